//! SQLite only: a table that is built anew, or dropped, takes no rows of other tables with it.

use sea_orm::{ConnectionTrait, DbErr};
use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager, async_trait};

use crate::model::fault::FaultClass;
use crate::model::outcome::{Outcome, TenantRecord};

use crate::engines::support::fleet::Fleet;
use crate::engines::support::migrations::{Migrations, sql};
use crate::engines::support::{Home, Site, with};

/// A parent with two rows and a child of each, with this action; `0` is a parent without children.
fn family(action: &str) -> String {
    format!(
        "CREATE TABLE parent(id INTEGER PRIMARY KEY, name TEXT);\nCREATE TABLE child(id INTEGER PRIMARY KEY, pid INTEGER \
         DEFAULT 0 REFERENCES parent(id) ON DELETE {action});\nINSERT INTO parent VALUES(0,'o'),(1,'x'),(2,'y');\nINSERT \
         INTO child VALUES(10,1),(20,2);"
    )
}

const ACTIONS: [&str; 4] = ["CASCADE", "SET NULL", "SET DEFAULT", "NO ACTION"];

/// The statements of a rebuild, with this spelling of the drop.
fn rebuild(drop: &str) -> Vec<String> {
    [
        "CREATE TABLE parent_new(id INTEGER PRIMARY KEY, name TEXT NOT NULL DEFAULT '')",
        "INSERT INTO parent_new SELECT id, name FROM parent",
        drop,
        "ALTER TABLE parent_new RENAME TO parent",
    ]
    .map(str::to_owned)
    .to_vec()
}

fn file(head: &str, statements: &[String]) -> String {
    format!("{head}\n{};\n", statements.join(";\n"))
}

async fn children(home: &Home) -> Vec<String> {
    home.texts("SELECT id || ' ' || ifnull(pid, 'NULL') FROM child ORDER BY id").await
}

fn text(record: &TenantRecord) -> String {
    record.error.as_ref().map(|fault| fault.message.clone()).unwrap_or_default()
}

/// Looks at the tenant before it runs its statements, so that a recording ends at the first call.
#[derive(Clone)]
struct Looks {
    name: &'static str,
    first: Vec<String>,
    then: Vec<String>,
    transaction: Option<bool>,
}

fn looks(name: &'static str, first: &[&str], then: &[String]) -> Looks {
    Looks { name, first: first.iter().map(|s| s.to_string()).collect(), then: then.to_vec(), transaction: None }
}

impl MigrationName for Looks {
    fn name(&self) -> &str {
        self.name
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Looks {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for statement in &self.first {
            manager.get_connection().execute_unprepared(statement).await?;
        }
        if manager.has_table("parent").await? {
            for statement in &self.then {
                manager.get_connection().execute_unprepared(statement).await?;
            }
        }
        Ok(())
    }

    fn use_transaction(&self) -> Option<bool> {
        self.transaction
    }
}

/// The family as `m1`, then native code.
fn native_after(action: &str, native: Looks) -> Migrations {
    let family = family(action);
    Migrations::new(move || vec![Box::new(sql("m1", [family.clone()])), Box::new(native.clone())])
}

#[tokio::test]
async fn no_spelling_of_a_rebuild_takes_the_rows_of_children() {
    let drops = [
        "DROP TABLE parent",
        "drop /* the old one */ table if exists main.\"parent\"",
        "DROP TABLE [parent]",
        "DROP\nTABLE IF EXISTS `main`.'parent'",
    ];
    for (number, drop) in drops.iter().enumerate() {
        for head in ["", "PRAGMA defer_foreign_keys = ON;", "PRAGMA foreign_keys = off;", "PRAGMA foreign_keys(0);"] {
            with(Site::Sqlite, async |home| {
                let action = ACTIONS[number];
                let files = [("0002_t.sql", family(action)), ("0003_rebuild.sql", file(head, &rebuild(drop)))];
                let files = files.each_ref().map(|(name, text)| (*name, text.as_str()));
                let record = Fleet::with_scripts(&Migrations::of([]), &files).await.up(&home.tenant).await;
                assert_eq!(record.outcome.name(), "migrated", "{head} {drop} {action}: {}", text(&record));
                assert_eq!(children(home).await, ["10 1", "20 2"], "{head} {drop} {action}");
                assert_eq!(home.texts("SELECT name FROM parent").await, ["o", "x", "y"]);
            })
            .await;
        }
    }
}

#[tokio::test]
async fn rust_code_rebuilds_like_a_script() {
    for action in ACTIONS {
        let alone = rebuild("DROP TABLE parent");
        for statements in [alone.clone(), vec![alone.join(";\n")]] {
            for native in [false, true] {
                with(Site::Sqlite, async |home| {
                    let migrations = Migrations::of([sql("m1", [family(action)]), sql("m2", statements.clone())]);
                    let record = Fleet::of(&migrations).await.native(native).up(&home.tenant).await;
                    assert_eq!(record.outcome.name(), "migrated", "{action} {native}: {}", text(&record));
                    assert_eq!(children(home).await, ["10 1", "20 2"], "{action} {native}");
                })
                .await;
            }
        }
    }
}

#[tokio::test]
async fn a_way_down_that_rebuilds_takes_no_rows_either() {
    for (up, down) in [("0002_r.up.sql", "0002_r.down.sql"), ("V2__r.sql", "U2__r.sql")] {
        with(Site::Sqlite, async |home| {
            let rebuild = file("", &rebuild("DROP TABLE parent"));
            let family = family("CASCADE");
            let base = Migrations::of([sql("m1", [family.clone()]).down(["SELECT 1"])]);
            let files = [(up, "ALTER TABLE parent ADD COLUMN x"), (down, rebuild.as_str())];
            let fleet = Fleet::with_scripts(&base, &files).await;
            assert_eq!(fleet.up(&home.tenant).await.outcome.name(), "migrated");
            let record = fleet.down(&home.tenant).await;
            assert_eq!(record.outcome.name(), "rolled_back", "{}", text(&record));
            assert_eq!(children(home).await, ["10 1", "20 2"]);
        })
        .await;
    }
}

#[tokio::test]
async fn rust_code_rebuilds_on_its_way_down_too() {
    for action in ACTIONS {
        for native in [false, true] {
            with(Site::Sqlite, async |home| {
                let migrations = Migrations::of([
                    sql("m1", [family(action)]).down(["SELECT 1"]),
                    sql("m2", ["ALTER TABLE parent ADD COLUMN x"]).down(rebuild("DROP TABLE parent")),
                ]);
                let fleet = Fleet::of(&migrations).await.native(native);
                assert_eq!(fleet.up(&home.tenant).await.outcome.name(), "migrated");
                let record = fleet.down(&home.tenant).await;
                assert_eq!(record.outcome.name(), "rolled_back", "{action} {native}: {}", text(&record));
                assert_eq!(children(home).await, ["10 1", "20 2"], "{action} {native}");
                assert_eq!(home.texts("SELECT name FROM parent").await, ["o", "x", "y"]);
            })
            .await;
        }
    }
}

/// Tables whose rows refer to a table that is built anew in other ways than by one column of another table.
const OTHER_FAMILIES: [(&str, &str, &str); 3] = [
    (
        "CREATE TABLE parent(id INTEGER PRIMARY KEY, name TEXT, up INTEGER REFERENCES parent(id) ON DELETE CASCADE);\nINSERT INTO parent \
         VALUES(1,'x',NULL),(2,'y',1),(3,'z',2);",
        "CREATE TABLE parent_new(id INTEGER PRIMARY KEY, name TEXT NOT NULL, up INTEGER REFERENCES parent(id) ON DELETE CASCADE)",
        "SELECT id || ' ' || ifnull(up, 'NULL') FROM parent ORDER BY id",
    ),
    (
        "CREATE TABLE parent(a INTEGER, b TEXT, name TEXT, PRIMARY KEY (a, b));\nCREATE TABLE child(id INTEGER PRIMARY KEY, pa INTEGER, pb \
         TEXT, FOREIGN KEY (pa, pb) REFERENCES parent(a, b) ON DELETE CASCADE);\nINSERT INTO parent VALUES(1,'k','x'),(2,'l','y');\nINSERT \
         INTO child VALUES(1,1,'k'),(2,2,'l'),(3,NULL,'k');",
        "CREATE TABLE parent_new(a INTEGER, b TEXT, name TEXT NOT NULL, PRIMARY KEY (a, b))",
        "SELECT id || ' ' || ifnull(pa, 'NULL') || pb FROM child ORDER BY id",
    ),
    (
        "CREATE TABLE parent(id INTEGER PRIMARY KEY, name TEXT, more TEXT);\nCREATE TABLE child(k TEXT PRIMARY KEY, pid INTEGER REFERENCES \
         parent(id) ON DELETE CASCADE) WITHOUT ROWID;\nINSERT INTO parent VALUES(1,'x',''),(2,'y','');\nINSERT INTO child \
         VALUES('a',1),('b',2),('c',2);",
        "CREATE TABLE parent_new(id INTEGER PRIMARY KEY, name TEXT NOT NULL, more TEXT)",
        "SELECT k || ' ' || pid FROM child ORDER BY k",
    ),
];

#[tokio::test]
async fn rows_that_refer_to_their_own_table_by_several_columns_or_have_no_row_number_stay() {
    for (tables, new, query) in OTHER_FAMILIES {
        let mut statements = rebuild("DROP TABLE parent");
        statements[0] = new.to_owned();
        statements[1] = "INSERT INTO parent_new SELECT * FROM parent".to_owned();
        for way in ["script", "without a transaction", "compiled", "native"] {
            with(Site::Sqlite, async |home| {
                home.run(tables).await;
                let before = home.texts(query).await;
                let head = if way == "script" { "" } else { "-- fleet: transaction=false" };
                let script = file(head, &statements);
                let fleet = match way {
                    "compiled" | "native" => {
                        Fleet::of(&Migrations::of([sql("m1", statements.clone())])).await.native(way == "native")
                    }
                    _ => Fleet::with_scripts(&Migrations::of([]), &[("0001_r.sql", &script)]).await,
                };
                let record = fleet.up(&home.tenant).await;
                assert_eq!(record.outcome.name(), "migrated", "{way} {tables}: {}", text(&record));
                assert_eq!(home.texts(query).await, before, "{way} {tables}");
                assert_eq!(
                    home.texts("SELECT \"table\" FROM pragma_foreign_key_check").await,
                    [""; 0],
                    "{way} {tables}"
                );
            })
            .await;
        }
    }
}

#[tokio::test]
async fn without_a_transaction_only_the_drop_runs_with_foreign_keys_off() {
    for (head, wanted) in [
        ("-- fleet: transaction=false", ["10 1", "20 2"]),
        ("-- fleet: transaction=false\nPRAGMA foreign_keys = OFF;", ["10 1", "20 2"]),
    ] {
        with(Site::Sqlite, async |home| {
            let mut statements = rebuild("DROP TABLE parent");
            statements.push("INSERT INTO child VALUES (30, 0)".to_owned());
            statements.push("DELETE FROM parent WHERE id = 0".to_owned());
            let family = family("CASCADE");
            let script = file(head, &statements);
            let files = [("0002_t.sql", family.as_str()), ("0003_rebuild.sql", script.as_str())];
            let record = Fleet::with_scripts(&Migrations::of([]), &files).await.up(&home.tenant).await;
            assert_eq!(record.outcome.name(), "migrated", "{}", text(&record));
            let all = children(home).await;
            assert_eq!(all[..2], wanted, "{head}");
            // Keys are on again for the statements behind the drop, unless the script itself switched them off.
            assert_eq!(all.len(), if head.contains("PRAGMA") { 3 } else { 2 }, "{head}");
        })
        .await;
    }
}

#[tokio::test]
async fn a_rebuild_that_stopped_goes_on_without_taking_rows() {
    with(Site::Sqlite, async |home| {
        let mut statements = rebuild("DROP TABLE parent");
        statements.insert(2, "INSERT INTO wanted VALUES (1)".to_owned());
        let family = family("CASCADE");
        let script = file("-- fleet: transaction=false", &statements);
        let files = [("0002_t.sql", family.as_str()), ("0003_rebuild.sql", script.as_str())];
        let fleet = Fleet::with_scripts(&Migrations::of([]), &files).await;
        assert_eq!(fleet.up(&home.tenant).await.outcome.name(), "failed");
        home.run("CREATE TABLE wanted (i)").await;
        let record = fleet.up(&home.tenant).await;
        assert_eq!(record.outcome.name(), "migrated", "{}", text(&record));
        assert_eq!(children(home).await, ["10 1", "20 2"]);
    })
    .await;
}

#[tokio::test]
async fn rust_code_without_a_transaction_takes_no_rows() {
    for native in [false, true] {
        with(Site::Sqlite, async |home| {
            let statements = rebuild("DROP TABLE parent").join(";\n");
            let rebuild = sql("m2", [statements]).without_transaction();
            let migrations = Migrations::of([sql("m1", [family("CASCADE")]), rebuild]);
            let record = Fleet::of(&migrations).await.native(native).up(&home.tenant).await;
            assert_eq!(record.outcome.name(), "migrated", "{}", text(&record));
            assert_eq!(children(home).await, ["10 1", "20 2"], "{native}");
        })
        .await;
    }
}

#[tokio::test]
async fn native_code_that_takes_rows_of_children_unseen_is_rolled_back() {
    for (action, drop) in [
        ("CASCADE", rebuild("DROP TABLE parent")),
        ("SET NULL", rebuild("DROP TABLE parent")),
        ("SET DEFAULT DEFERRABLE INITIALLY DEFERRED", rebuild("DROP TABLE parent")),
        ("CASCADE", vec!["DROP TABLE \"PARENT\"; CREATE TABLE parent(id INTEGER PRIMARY KEY, name TEXT)".to_owned()]),
    ] {
        with(Site::Sqlite, async |home| {
            Fleet::of(&Migrations::of([sql("m1", [family(action)])])).await.up(&home.tenant).await;
            let before = (home.dump().await, children(home).await);
            let fleet = Fleet::of(&native_after(action, looks("m2", &[], &drop))).await;
            let record = fleet.up(&home.tenant).await;
            assert_eq!(record.outcome, Outcome::Failed { class: FaultClass::ConstraintViolation }, "{record:?}");
            let said = text(&record);
            for word in ["child", "parent", "rolled back", "PRAGMA foreign_keys = OFF"] {
                assert!(said.contains(word), "{word}: {said}");
            }
            assert_eq!((home.dump().await, children(home).await), before);
            assert_eq!(home.versions().await, ["m1"]);
            // The remedy that the message names.
            let mended = looks("m2", &["PRAGMA foreign_keys = OFF"], &rebuild("DROP TABLE parent"));
            let fleet = Fleet::of(&native_after(action, mended)).await;
            assert_eq!(fleet.up(&home.tenant).await.outcome.name(), "migrated");
            assert_eq!(children(home).await, ["10 1", "20 2"]);
        })
        .await;
    }
}

#[tokio::test]
async fn native_code_that_takes_nothing_from_children_goes_through() {
    for then in [
        vec!["DROP TABLE child; DROP TABLE parent".to_owned()],
        vec!["DELETE FROM parent WHERE id = 1".to_owned(), "ALTER TABLE parent ADD COLUMN x".to_owned()],
        vec!["ALTER TABLE parent RENAME TO parents".to_owned()],
    ] {
        with(Site::Sqlite, async |home| {
            let record = Fleet::of(&native_after("CASCADE", looks("m2", &[], &then))).await.up(&home.tenant).await;
            assert_eq!(record.outcome.name(), "migrated", "{then:?}: {}", text(&record));
        })
        .await;
    }
}

/// A tenant with a family, and the record of this script on it; what it leaves of the children.
async fn left_by(tables: &str, script: &str) -> (TenantRecord, Vec<String>) {
    let mut left = None;
    with(Site::Sqlite, async |home| {
        let files = [("0002_t.sql", tables), ("0003_x.sql", script)];
        let record = Fleet::with_scripts(&Migrations::of([]), &files).await.up(&home.tenant).await;
        left = Some((record, children(home).await));
    })
    .await;
    left.unwrap()
}

/// The table is renamed first, so that its dependents refer to another name when it is dropped or replaced.
#[tokio::test]
async fn a_table_that_is_renamed_before_it_is_dropped_takes_no_rows_with_it() {
    let first = "ALTER TABLE parent RENAME TO old; CREATE TABLE parent(id INTEGER PRIMARY KEY, name TEXT, more TEXT); INSERT INTO \
                 parent(id, name) SELECT id, name FROM old; DROP TABLE old;";
    let between = "CREATE TABLE anew(id INTEGER PRIMARY KEY, name TEXT, more TEXT); INSERT INTO anew(id, name) SELECT id, name FROM \
                   parent; ALTER TABLE parent RENAME TO \"old\"; ALTER TABLE anew RENAME TO parent; DROP TABLE [old];";
    for action in ["CASCADE", "SET NULL"] {
        for script in [first, between, "ALTER TABLE parent RENAME TO old; DROP TABLE old;"] {
            let (record, children) = left_by(&family(action), script).await;
            assert_eq!(record.outcome.name(), "failed", "{action} {script}: {}", text(&record));
            assert!(text(&record).contains("rows of child refer to rows of"), "{}", text(&record));
            assert_eq!(children, ["10 1", "20 2"], "{action} {script}");
            let (_, children) = left_by(&family(action), &format!("-- fleet: transaction=false\n{script}")).await;
            assert_eq!(children, ["10 1", "20 2"], "{action} {script}");
        }
        let replaced = "ALTER TABLE parent RENAME TO p9; INSERT OR REPLACE INTO p9 VALUES(1,'z'); ALTER TABLE p9 RENAME TO parent;";
        let (record, children) = left_by(&family(action), replaced).await;
        assert_eq!(
            (record.outcome.name(), children),
            ("migrated", vec!["10 1".to_owned(), "20 2".to_owned()]),
            "{action}"
        );
    }
}

/// `REPLACE` holds for what triggers of its table insert, too.
#[tokio::test]
async fn rows_that_triggers_replace_because_their_statement_does_take_no_rows_with_them() {
    let seen = "CREATE TABLE seen(id INTEGER PRIMARY KEY, v TEXT); CREATE TRIGGER t AFTER INSERT ON seen BEGIN INSERT INTO parent \
                VALUES(NEW.id, NEW.v); END;";
    let view = "CREATE VIEW seen AS SELECT * FROM parent; CREATE TRIGGER t INSTEAD OF INSERT ON seen BEGIN INSERT INTO parent \
                VALUES(NEW.id, NEW.name); END;";
    let own = "DROP TRIGGER t; CREATE TRIGGER t AFTER INSERT ON seen BEGIN REPLACE INTO parent VALUES(1, NEW.v); END; INSERT INTO \
               seen VALUES(1,'z');";
    let tables =
        [(seen, "REPLACE INTO seen VALUES(1,'z');"), (view, "INSERT OR REPLACE INTO seen VALUES(1,'z');"), (seen, own)];
    for (tables, script) in tables {
        for way in ["", "-- fleet: transaction=false\n"] {
            let before = format!("{}{tables}", family("CASCADE"));
            let (record, children) = left_by(&before, &format!("{way}{script}")).await;
            assert_eq!(record.outcome.name(), "migrated", "{way}{script}: {}", text(&record));
            assert_eq!(children, ["10 1", "20 2"], "{way}{script}");
        }
    }
}

#[tokio::test]
async fn a_pragma_behind_a_rebuild_says_nothing_of_it() {
    for action in ["CASCADE", "SET NULL"] {
        let on = vec!["PRAGMA foreign_keys = ON".to_owned()];
        let alone = [rebuild("DROP TABLE parent"), on.clone()].concat();
        let replace = [vec!["REPLACE INTO parent VALUES(1,'n')".to_owned()], on.clone()].concat();
        let framed = [vec!["PRAGMA foreign_keys = OFF".to_owned()], on, rebuild("DROP TABLE parent")].concat();
        for statements in [alone, replace, framed] {
            for head in ["", "-- fleet: transaction=false"] {
                let script = file(head, &statements);
                let (record, children) = left_by(&family(action), &script).await;
                assert_eq!(record.outcome.name(), "migrated", "{script}: {}", text(&record));
                assert_eq!(children, ["10 1", "20 2"], "{script}");
            }
        }
    }
}

#[tokio::test]
async fn keys_act_where_nothing_refers_to_the_tables_that_lose_rows() {
    let tables = "CREATE TABLE parent(id INTEGER PRIMARY KEY, name TEXT); CREATE TABLE child(id INTEGER PRIMARY KEY, pid INTEGER \
                  REFERENCES parent(id) ON DELETE CASCADE ON UPDATE CASCADE); CREATE TABLE settings(k TEXT PRIMARY KEY, v TEXT); \
                  INSERT INTO parent VALUES(1,'a'),(2,'b'); INSERT INTO child VALUES(10,1),(20,2);";
    let swap =
        "UPDATE parent SET id=-1 WHERE id=1; UPDATE parent SET id=1 WHERE id=2; UPDATE parent SET id=2 WHERE id=-1;";
    for first in ["REPLACE INTO settings VALUES('a','2');", "CREATE TEMP TABLE m(a); DROP TABLE m;"] {
        let (record, children) = left_by(tables, &format!("{first} {swap}")).await;
        assert_eq!(
            (record.outcome.name(), &children[..]),
            ("migrated", &["10 2".to_owned(), "20 1".to_owned()][..]),
            "{first}"
        );
        let (record, children) = left_by(tables, &format!("{first} DELETE FROM parent WHERE id = 2;")).await;
        assert_eq!((record.outcome.name(), &children[..]), ("migrated", &["10 1".to_owned()][..]), "{first}");
    }
}

#[tokio::test]
async fn an_orphan_that_goes_makes_no_room_for_a_new_one() {
    with(Site::Sqlite, async |home| {
        Fleet::of(&Migrations::of([sql("m1", [family("CASCADE")])])).await.up(&home.tenant).await;
        home.run("PRAGMA foreign_keys = OFF; INSERT INTO child VALUES (30, 77)").await;
        let swap =
            ["DELETE FROM child WHERE pid = 77; DELETE FROM parent WHERE id = 2; REPLACE INTO parent VALUES(1,'z')"];
        let record =
            Fleet::of(&Migrations::of([sql("m1", ["SELECT 1"]), sql("m2", swap)])).await.up(&home.tenant).await;
        assert_eq!(record.outcome.name(), "failed", "{record:?}");
        assert!(text(&record).contains("row 20 of child refers to a row of parent"), "{}", text(&record));
        assert_eq!(children(home).await, ["10 1", "20 2", "30 77"]);
    })
    .await;
}

#[tokio::test]
async fn keys_that_a_script_switches_on_are_on() {
    let prune = "PRAGMA foreign_keys = ON; DELETE FROM parent WHERE id = 1;";
    let drop = "PRAGMA foreign_keys = 1; DROP TABLE parent;";
    let asks = "PRAGMA foreign_keys; DELETE FROM parent WHERE id = 1;";
    let both = "PRAGMA foreign_keys = ON; PRAGMA foreign_keys = 'no'; DROP TABLE child; DROP TABLE parent;";
    for (script, left) in [(prune, Some(1)), (drop, Some(0)), (asks, Some(1)), (both, None)] {
        for native in [false, true] {
            with(Site::Sqlite, async |home| {
                let statements: Vec<&str> = script.split_terminator(';').collect();
                let migrations = Migrations::of([sql("m1", [family("CASCADE")]), sql("m2", statements)]);
                let record = Fleet::of(&migrations).await.native(native).up(&home.tenant).await;
                assert_eq!(record.outcome.name(), "migrated", "{script} {native}: {}", text(&record));
                if let Some(left) = left {
                    assert_eq!(home.texts("SELECT id FROM child").await.len(), left, "{script} {native}");
                }
            })
            .await;
        }
    }
}

#[tokio::test]
async fn orphans_of_before_are_no_fault_and_new_ones_are_named() {
    for native in [false, true] {
        with(Site::Sqlite, async |home| {
            Fleet::of(&Migrations::of([sql("m1", [family("CASCADE")])])).await.up(&home.tenant).await;
            // A reference to columns that are not unique: SQLite refuses to check that table at all.
            home.run(
                "PRAGMA foreign_keys = OFF; INSERT INTO child VALUES (30, 77); CREATE TABLE odd (name TEXT REFERENCES \
                 parent(name)); INSERT INTO odd VALUES ('q')",
            )
            .await;
            let good = sql("m2", rebuild("DROP TABLE parent"));
            let bad = sql("m3", ["REPLACE INTO parent VALUES(1,'z'); DELETE FROM parent WHERE id = 2"]);
            let fleet = Fleet::of(&Migrations::of([sql("m1", ["SELECT 1"]), good, bad])).await.native(native);
            let record = fleet.up(&home.tenant).await;
            assert_eq!(record.committed, ["m2"], "{}", text(&record));
            assert_eq!(record.outcome, Outcome::Failed { class: FaultClass::ConstraintViolation }, "{record:?}");
            let said = text(&record);
            for word in ["1 row of child", "parent", "rolled back", "script of its own"] {
                assert!(said.contains(word), "{word}: {said}");
            }
            assert_eq!(children(home).await, ["10 1", "20 2", "30 77"]);
        })
        .await;
    }
}

#[tokio::test]
async fn a_table_that_is_dropped_and_still_referred_to_is_refused() {
    for (script, said) in [
        ("DROP TABLE parent;", Some("2 rows of child")),
        ("DELETE FROM child; DROP TABLE parent;", None),
        ("DROP TABLE child; DROP TABLE parent;", None),
    ] {
        with(Site::Sqlite, async |home| {
            let family = family("CASCADE");
            let files = [("0002_t.sql", family.as_str()), ("0003_drop.sql", script)];
            let record = Fleet::with_scripts(&Migrations::of([]), &files).await.up(&home.tenant).await;
            match said {
                Some(said) => assert!(text(&record).contains(said), "{record:?}"),
                None => assert_eq!(record.outcome.name(), "migrated", "{}", text(&record)),
            }
            if said.is_some() {
                assert_eq!(children(home).await, ["10 1", "20 2"]);
            }
        })
        .await;
    }
}

#[tokio::test]
async fn rows_that_are_replaced_take_no_rows_with_them() {
    let replaces = [
        "REPLACE INTO parent VALUES(1,'z')",
        "INSERT OR REPLACE INTO parent SELECT id, 'z' FROM parent",
        "WITH new AS (SELECT id, 'z' FROM parent) INSERT OR REPLACE INTO parent SELECT * FROM new",
    ];
    for replace in replaces {
        for head in ["", "-- fleet: transaction=false\n", "-- fleet: transaction=false\nSELECT 1; "] {
            with(Site::Sqlite, async |home| {
                let (family, script) = (family("CASCADE"), format!("{head}{replace};"));
                let files = [("0002_t.sql", family.as_str()), ("0003_replace.sql", script.as_str())];
                let record = Fleet::with_scripts(&Migrations::of([]), &files).await.up(&home.tenant).await;
                assert_eq!(record.outcome.name(), "migrated", "{head}{replace}: {}", text(&record));
                assert_eq!(children(home).await, ["10 1", "20 2"], "{head}{replace}");
                assert_eq!(home.texts("SELECT name FROM parent WHERE id = 1").await, ["z"]);
            })
            .await;
        }
    }
    // Said to be on, they act.
    with(Site::Sqlite, async |home| {
        let family = family("CASCADE");
        let files = [
            ("0002_t.sql", family.as_str()),
            ("0003_r.sql", "PRAGMA foreign_keys = ON; REPLACE INTO parent VALUES(1,'z')"),
        ];
        Fleet::with_scripts(&Migrations::of([]), &files).await.up(&home.tenant).await;
        assert_eq!(children(home).await, ["20 2"]);
    })
    .await;
}

/// Without a transaction nothing can be rolled back, so the rows are only told.
#[tokio::test]
async fn rows_that_refer_to_nothing_after_a_step_without_a_transaction_are_told() {
    for native in [false, true] {
        with(Site::Sqlite, async |home| {
            let drop = sql("m2", ["DROP TABLE parent"]).without_transaction();
            let fleet = Fleet::of(&Migrations::of([sql("m1", [family("CASCADE")]), drop])).await.native(native);
            let record = fleet.up(&home.tenant).await;
            assert_eq!(record.outcome.name(), "migrated", "{}", text(&record));
            assert_eq!(children(home).await, ["10 1", "20 2"]);
            assert!(
                record.notes.iter().any(|note| note.contains("2 rows of child") && note.contains("m2")),
                "{record:?}"
            );
        })
        .await;
    }
}

/// Rows replaced by a trigger's body or by the table's own definition: no statement of the script says so.
#[tokio::test]
async fn rows_that_are_replaced_unseen_take_no_rows_with_them() {
    let tables = "CREATE TABLE parent(id INTEGER PRIMARY KEY ON CONFLICT REPLACE, name TEXT); CREATE TABLE child(id INTEGER PRIMARY \
                  KEY, pid INTEGER REFERENCES parent(id) ON DELETE CASCADE); INSERT INTO parent VALUES(1,'x'),(2,'y'); INSERT INTO \
                  child VALUES(10,1),(20,2);";
    let trigger = "CREATE TABLE seen(v TEXT); CREATE TRIGGER t AFTER INSERT ON seen BEGIN INSERT OR REPLACE INTO parent \
                   VALUES(1, NEW.v); END;";
    let (by_trigger, by_table) = (format!("{}{trigger}", family("CASCADE")), tables.to_owned());
    for (tables, script) in
        [(by_trigger, "INSERT INTO seen VALUES('z');"), (by_table, "INSERT INTO parent VALUES(1,'z');")]
    {
        for way in ["", "-- fleet: transaction=false\n"] {
            let (record, children) = left_by(&tables, &format!("{way}{script}")).await;
            assert_eq!(record.outcome.name(), "migrated", "{way}{script}: {}", text(&record));
            assert_eq!(children, ["10 1", "20 2"], "{way}{script}");
        }
        with(Site::Sqlite, async |home| {
            let native = looks("m2", &[], &[script.to_owned()]);
            let tables = tables.clone();
            let migrations =
                Migrations::new(move || vec![Box::new(sql("m1", [tables.clone()])), Box::new(native.clone())]);
            let record = Fleet::of(&migrations).await.up(&home.tenant).await;
            assert_eq!(record.outcome.name(), "migrated", "{script}: {}", text(&record));
            assert_eq!(children(home).await, ["10 1", "20 2"], "{script}");
            assert_eq!(home.texts("SELECT name FROM parent WHERE id = 1").await, ["z"]);
        })
        .await;
        let (record, children) = left_by(&tables, &format!("{script} DELETE FROM parent WHERE id = 2;")).await;
        assert_eq!(record.outcome.name(), "failed", "{script}: {record:?}");
        assert!(text(&record).contains("1 row of child refers to rows of parent"), "{}", text(&record));
        assert_eq!(children, ["10 1", "20 2"]);
    }
    // Where nothing replaces, an ON DELETE acts.
    let (_, children) = left_by(&family("CASCADE"), "DELETE FROM parent WHERE id = 2;").await;
    assert_eq!(children, ["10 1"]);
}

#[tokio::test]
async fn a_rebuild_in_one_file_with_an_update_of_a_key_that_others_follow_is_refused() {
    let tables = "CREATE TABLE parent(id INTEGER PRIMARY KEY, name TEXT); CREATE TABLE child(id INTEGER PRIMARY KEY, pid INTEGER \
                  REFERENCES parent ON UPDATE CASCADE); INSERT INTO parent VALUES(1,'x'),(2,'y'); INSERT INTO child \
                  VALUES(10,1),(20,2);";
    let swap = "UPDATE parent SET name = 'n', id = CASE id WHEN 1 THEN -2 ELSE -1 END; UPDATE \"parent\" SET id = -id;";
    let rebuild = file("", &rebuild("DROP TABLE parent"));
    for script in [format!("{swap}{rebuild}"), format!("{rebuild}{swap}")] {
        let (record, children) = left_by(tables, &script).await;
        assert_eq!(record.outcome, Outcome::Failed { class: FaultClass::ConstraintViolation }, "{script}: {record:?}");
        let said = text(&record);
        assert!(said.contains("parent.id") && said.contains("child follows with ON UPDATE CASCADE"), "{said}");
        assert_eq!(children, ["10 1", "20 2"]);
    }
    let other = "UPDATE parent SET name = CASE WHEN id = 1 THEN 'one' ELSE name END WHERE id = 1;";
    let (record, children) = left_by(tables, &format!("{other}{rebuild}")).await;
    assert_eq!(record.outcome.name(), "migrated", "{}", text(&record));
    assert_eq!(children, ["10 1", "20 2"]);
}
