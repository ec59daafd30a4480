//! SQLite only: each script begins with the same session, whatever ran before it.

use crate::model::outcome::TenantRecord;

use crate::engines::support::fleet::Fleet;
use crate::engines::support::migrations::{Migrations, Sql, sql};
use crate::engines::support::{Home, Site, with};

const ROWS: &str =
    "CREATE TABLE zz(id INTEGER PRIMARY KEY, name TEXT); INSERT INTO zz(name) VALUES('acme one'),('ACME TWO');";

fn none() -> Migrations {
    Migrations::of([])
}

/// The outcome of the last script, and the names that are left, after all scripts in one run and after a run for each.
async fn in_one_and_in_many(files: &[(&str, &str)]) -> [(String, Vec<String>); 2] {
    let mut ends = Vec::new();
    for sizes in [vec![files.len()], (1..=files.len()).collect()] {
        with(Site::Sqlite, async |home| {
            let mut last: Option<TenantRecord> = None;
            for size in sizes {
                last = Some(Fleet::with_scripts(&none(), &files[..size]).await.up(&home.tenant).await);
            }
            ends.push((last.unwrap().outcome.name().to_owned(), names(home).await));
        })
        .await;
    }
    ends.try_into().unwrap()
}

async fn names(home: &Home) -> Vec<String> {
    home.texts("SELECT name FROM zz ORDER BY id").await
}

#[tokio::test]
async fn no_script_inherits_the_session_of_the_one_before() {
    let like = "DELETE FROM zz WHERE name LIKE 'acme%';";
    let cases = [
        ("PRAGMA case_sensitive_like = ON; UPDATE zz SET name = name||'!' WHERE name LIKE 'acme%';", like, "migrated"),
        ("PRAGMA main.case_sensitive_like(1);", like, "migrated"),
        ("CREATE TEMP TABLE stage5 AS SELECT 1 AS i;", "DELETE FROM zz WHERE id IN (SELECT i FROM stage5);", "failed"),
        ("CREATE TABLE IF NOT EXISTS temp.stage5 (i);", "DELETE FROM zz WHERE id IN (SELECT i FROM stage5);", "failed"),
        ("CREATE TABLE \"temp\".stage5 (i);", "DELETE FROM zz WHERE id IN (SELECT i FROM stage5);", "failed"),
        ("CREATE TEMP VIEW zz AS SELECT 1 AS id, 'no' AS name;", like, "migrated"),
        (
            "CREATE TEMPORARY TRIGGER t AFTER DELETE ON main.zz BEGIN INSERT INTO zz(name) VALUES ('again'); END;",
            like,
            "migrated",
        ),
        (
            "PRAGMA ignore_check_constraints = ON;",
            "CREATE TABLE c(i CHECK (i > 0)); INSERT INTO c VALUES (0);",
            "failed",
        ),
        ("INSERT INTO zz(name) VALUES ('acme three');", "DELETE FROM zz WHERE id = last_insert_rowid();", "migrated"),
        ("DELETE FROM zz WHERE id = 1;", "INSERT INTO zz(name) SELECT 'one' WHERE changes() > 0;", "migrated"),
    ];
    for (before, then, outcome) in cases {
        for head in ["", "-- fleet: transaction=false\n"] {
            for other in ["", "-- fleet: transaction=false\n"] {
                let (before, then) = (format!("{head}{before}"), format!("{other}{then}"));
                let files = [("0002_zz.sql", ROWS), ("0003_before.sql", &before), ("0004_then.sql", &then)];
                let [one, many] = in_one_and_in_many(&files).await;
                assert_eq!(one, many, "{before} / {then}");
                assert_eq!(one.0, outcome, "{before} / {then}");
            }
        }
    }
}

#[tokio::test]
async fn foreign_keys_are_on_again_for_the_next_script() {
    let family = "CREATE TABLE p(id INTEGER PRIMARY KEY); CREATE TABLE zz(id INTEGER PRIMARY KEY, name TEXT, p REFERENCES \
                  p(id) ON DELETE CASCADE); INSERT INTO p VALUES (1); INSERT INTO zz VALUES (1, 'a', 1);";
    for before in [
        "-- fleet: transaction=false\nPRAGMA foreign_keys = OFF;",
        "PRAGMA foreign_keys = OFF; SELECT 1;",
        "CREATE TABLE x(i); DROP TABLE x;",
        "-- fleet: transaction=false\nCREATE TABLE x(i);\nDROP TABLE x;",
    ] {
        let files = [("0002_zz.sql", family), ("0003_before.sql", before), ("0004_then.sql", "DELETE FROM p;")];
        let [one, many] = in_one_and_in_many(&files).await;
        assert_eq!(one, many, "{before}");
        assert_eq!(one, ("migrated".to_owned(), Vec::new()), "{before}");
    }
}

#[tokio::test]
async fn rust_code_inherits_no_session_either() {
    let set = ["PRAGMA case_sensitive_like = ON; CREATE TEMP TABLE seen AS SELECT 1 AS i"];
    let list = |set: Sql| [sql("m1", [ROWS]), set, sql("m3", ["DELETE FROM zz WHERE name LIKE 'acme%'"])];
    for native in [false, true] {
        for set in [sql("m2", set), sql("m2", set).without_transaction()] {
            with(Site::Sqlite, async |home| {
                let fleet = Fleet::of(&Migrations::of(list(set.clone()))).await.native(native);
                assert_eq!(fleet.up(&home.tenant).await.outcome.name(), "migrated");
                assert_eq!(names(home).await, [""; 0], "{native}");
            })
            .await;
        }
    }
}

#[tokio::test]
async fn a_set_up_file_runs_without_a_transaction() {
    let set_up = "-- fleet: transaction=false\nPRAGMA foreign_keys = ON;\nPRAGMA journal_mode = WAL;\nPRAGMA synchronous = \
                  NORMAL;\nCREATE TABLE zz(id, name);\n";
    let attach = "-- fleet: transaction=false\nATTACH ':memory:' AS other;\nCREATE TABLE other.x(i);\nDETACH other;\n";
    with(Site::Sqlite, async |home| {
        let files = [("0001_first.sql", set_up), ("0002_attach.sql", attach)];
        let record = Fleet::with_scripts(&none(), &files).await.up(&home.tenant).await;
        assert_eq!(record.outcome.name(), "migrated", "{:?}", record.error);
        assert_eq!(home.texts("PRAGMA journal_mode").await, ["wal"]);
    })
    .await;
    // Rust code that says nothing of a transaction runs without one in SeaORM, too.
    for native in [false, true] {
        with(Site::Sqlite, async |home| {
            let set_up =
                sql("m1", ["PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL", "CREATE TABLE zz(id, name)"]);
            let record = Fleet::of(&Migrations::of([set_up])).await.native(native).up(&home.tenant).await;
            assert_eq!(record.outcome.name(), "migrated", "{:?}", record.error);
            assert_eq!(home.texts("PRAGMA journal_mode").await, ["wal"]);
        })
        .await;
    }
}
