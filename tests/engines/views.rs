//! Repeatable scripts and the versions that change what they need: an old tenant and a new one end with equal objects.

use crate::model::outcome::TenantRecord;
use crate::model::plan::{Goal, Target};
use crate::model::schema::{Direction, State};

use crate::engines::support::fleet::Fleet;
use crate::engines::support::migrations::{Migrations, sql};
use crate::engines::support::{Home, Site, with};

on_every_site!(
    a_rebuild_of_a_table_that_a_view_reads_leaves_the_view,
    a_view_that_a_version_drops_comes_back,
    a_view_that_a_version_drops_by_its_name_comes_back,
    a_changed_column_type_and_a_view_in_one_release,
    a_column_more_is_in_a_view_of_all_columns,
    a_view_on_top_of_an_edited_one_is_made_again,
    a_trigger_of_a_rebuilt_table_comes_back,
    rows_of_a_repeatable_script_come_back_with_their_table,
    a_rust_migration_is_made_way_for,
    a_version_that_fails_leaves_the_view_as_it_was,
    an_edited_view_is_there_after_its_version_failed,
    a_view_is_made_again_on_the_way_down,
    a_target_before_the_end_keeps_the_view,
    a_view_that_nothing_touches_is_left_alone,
);

type Files = [(&'static str, &'static str)];

const BILLS: (&str, &str) = (
    "0002_bills.sql",
    "CREATE TABLE bills (id int NOT NULL PRIMARY KEY, amount int, paid int);\nINSERT INTO bills VALUES (1, 10, 0), (2, 20, 1);",
);
const VIEW: (&str, &str) = (
    "R__open_bills.sql",
    "DROP VIEW IF EXISTS open_bills;\nCREATE VIEW open_bills AS SELECT id, amount FROM bills WHERE paid = 0;",
);
const REBUILD: (&str, &str) = (
    "0003_rebuild.sql",
    "CREATE TABLE bills_new (id int NOT NULL PRIMARY KEY, amount int NOT NULL, paid int);\n\
     INSERT INTO bills_new SELECT * FROM bills;\nDROP TABLE bills;\nALTER TABLE bills_new RENAME TO bills;",
);
const REBUILD_DOWN: (&str, &str) = (
    "0003_rebuild.down.sql",
    "CREATE TABLE bills_old (id int NOT NULL PRIMARY KEY, amount int, paid int);\n\
     INSERT INTO bills_old SELECT * FROM bills;\nDROP TABLE bills;\nALTER TABLE bills_old RENAME TO bills;",
);

fn base() -> Migrations {
    Migrations::of([sql("m1", ["CREATE TABLE a (i int NOT NULL PRIMARY KEY, n int)"]).down(["DROP TABLE a"])])
}

async fn fleet(files: &[(&str, &str)]) -> Fleet {
    Fleet::with_scripts(&base(), files).await
}

/// Migrates the tenant in two releases and a new one in one, and compares them. Returns the record of the second one.
async fn both(home: &Home, before: &Files, after: &Files, rows: &str) -> TenantRecord {
    let old = fleet(before).await.up(&home.tenant).await;
    assert_eq!(old.outcome.name(), "migrated", "{:?}", old.error);
    let release = fleet(after).await;
    let record = release.up(&home.tenant).await;
    assert_eq!(record.outcome.name(), "migrated", "{:?} {:?}", record.error, record.stopped_at);
    assert_eq!(release.observe(&home.tenant).await.state, State::AtTarget);
    crate::engines::support::with(home.site, async |fresh: &Home| {
        let record = release.up(&fresh.tenant).await;
        assert_eq!(record.outcome.name(), "migrated", "{:?}", record.error);
        assert_eq!(home.dump_without_journal().await, fresh.dump_without_journal().await);
        assert_eq!(home.texts(rows).await, fresh.texts(rows).await);
        let scripts = "SELECT version || checksum FROM fleet_scripts ORDER BY version";
        let scripts = if home.site.is_mysql() { &scripts.replace(" || checksum", "") } else { scripts };
        assert_eq!(home.texts(scripts).await, fresh.texts(scripts).await);
    })
    .await;
    record
}

const OPEN: &str = "SELECT id FROM open_bills ORDER BY id";

async fn a_rebuild_of_a_table_that_a_view_reads_leaves_the_view(home: &Home) {
    let record = both(home, &[BILLS, VIEW], &[BILLS, REBUILD, VIEW], OPEN).await;
    assert_eq!(record.committed, ["0003_rebuild"], "the view is no step of its own");
    assert_eq!(record.notes, ["R__open_bills is taken down and made again, because 0003_rebuild changes bills"]);
    assert_eq!(home.texts(OPEN).await, ["1"]);
}

async fn a_view_that_a_version_drops_comes_back(home: &Home) {
    let drops = (REBUILD.0, "DROP VIEW IF EXISTS open_bills;\nALTER TABLE bills ADD due int;");
    both(home, &[BILLS, VIEW], &[BILLS, drops, VIEW], OPEN).await;
}

/// A new tenant has no such view when the version runs, so that only old ones can run it.
async fn a_view_that_a_version_drops_by_its_name_comes_back(home: &Home) {
    assert_eq!(fleet(&[BILLS, VIEW]).await.up(&home.tenant).await.outcome.name(), "migrated");
    let drops = (REBUILD.0, "DROP VIEW open_bills;\nALTER TABLE bills ADD due int;");
    let release = fleet(&[BILLS, drops, VIEW]).await;
    let record = release.up(&home.tenant).await;
    assert_eq!(record.outcome.name(), "migrated", "{:?}", record.error);
    assert_eq!(home.texts(OPEN).await, ["1"]);
    assert_eq!(release.observe(&home.tenant).await.state, State::AtTarget);
}

async fn a_changed_column_type_and_a_view_in_one_release(home: &Home) {
    let change = home.site.pick(
        "ALTER TABLE bills RENAME COLUMN amount TO total;",
        "ALTER TABLE bills RENAME COLUMN amount TO total; ALTER TABLE bills ALTER COLUMN total TYPE text;",
        "ALTER TABLE bills CHANGE amount total varchar(20);",
    );
    let edited = (
        VIEW.0,
        "DROP VIEW IF EXISTS open_bills;\nCREATE VIEW open_bills AS SELECT id, total FROM bills WHERE paid = 0;",
    );
    let record = both(home, &[BILLS, VIEW], &[BILLS, ("0003_change.sql", change), edited], OPEN).await;
    assert_eq!(record.committed, ["0003_change", "R__open_bills"]);
}

async fn a_column_more_is_in_a_view_of_all_columns(home: &Home) {
    let view = ("R__all.sql", "DROP VIEW IF EXISTS everything; CREATE VIEW everything AS SELECT * FROM bills;");
    let more = ("0003_more.sql", "ALTER TABLE bills ADD due int;");
    both(home, &[BILLS, view], &[BILLS, more, view], "SELECT due FROM everything").await;
}

async fn a_view_on_top_of_an_edited_one_is_made_again(home: &Home) {
    let cascade = home.site.pick("", " CASCADE", "");
    let drop = format!("DROP VIEW IF EXISTS base{cascade};");
    let base = |columns: &str| -> (&'static str, &'static str) {
        ("R__base.sql", format!("{drop}\nCREATE VIEW base AS SELECT {columns} FROM bills;").leak())
    };
    let child = ("R__child.sql", "DROP VIEW IF EXISTS child;\nCREATE VIEW child AS SELECT * FROM base;");
    let (old, new) = (base("id"), base("id, amount"));
    let record = both(home, &[BILLS, old, child], &[BILLS, new, child], "SELECT amount FROM child ORDER BY id").await;
    assert_eq!(record.committed, ["R__base"]);
}

async fn a_trigger_of_a_rebuilt_table_comes_back(home: &Home) {
    let trigger = home.site.pick(
        "DROP TRIGGER IF EXISTS log_bill;\nCREATE TRIGGER log_bill AFTER INSERT ON bills BEGIN INSERT INTO a VALUES (NEW.id, 0); END;",
        "CREATE OR REPLACE FUNCTION log_bill() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO a VALUES (NEW.id, 0); \
         RETURN NEW; END $$;\nDROP TRIGGER IF EXISTS log_bill ON bills;\n\
         CREATE TRIGGER log_bill AFTER INSERT ON bills FOR EACH ROW EXECUTE FUNCTION log_bill();",
        "DROP TRIGGER IF EXISTS log_bill;\nCREATE TRIGGER log_bill AFTER INSERT ON bills FOR EACH ROW INSERT INTO a VALUES (NEW.id, 0);",
    );
    let trigger = ("R__log_bill.sql", trigger);
    both(home, &[BILLS, trigger], &[BILLS, REBUILD, trigger], "SELECT i FROM a").await;
    home.run("INSERT INTO bills VALUES (7, 7, 7)").await;
    assert_eq!(home.texts("SELECT i FROM a").await, ["7"]);
}

async fn rows_of_a_repeatable_script_come_back_with_their_table(home: &Home) {
    let rows = ("R__rows.sql", "DELETE FROM bills;\nINSERT INTO bills (id, paid) VALUES (5, 0);");
    let anew =
        ("0003_anew.sql", "DROP TABLE bills;\nCREATE TABLE bills (id int NOT NULL PRIMARY KEY, amount int, paid int);");
    both(home, &[BILLS, rows], &[BILLS, anew, rows], "SELECT id FROM bills").await;
}

async fn a_rust_migration_is_made_way_for(home: &Home) {
    let view = ("R__all.sql", "DROP VIEW IF EXISTS every; CREATE VIEW every AS SELECT i, n FROM a;");
    assert_eq!(fleet(&[view]).await.up(&home.tenant).await.outcome.name(), "migrated");
    let rebuild = [
        "CREATE TABLE b (i int NOT NULL PRIMARY KEY, n int NOT NULL)",
        "INSERT INTO b SELECT * FROM a",
        "DROP TABLE a",
        "ALTER TABLE b RENAME TO a",
    ];
    let two = Migrations::of([sql("m1", ["CREATE TABLE a (i int NOT NULL PRIMARY KEY, n int)"]), sql("m2", rebuild)]);
    for native in [false, true] {
        let release = Fleet::with_scripts(&two, &[view]).await.native(native);
        if native {
            home.run("DELETE FROM seaql_migrations WHERE version = 'm2'").await;
        }
        let record = release.up(&home.tenant).await;
        assert_eq!(
            (record.outcome.name(), record.committed),
            ("migrated", vec!["m2".to_owned()]),
            "{:?}",
            record.error
        );
        assert_eq!(home.texts("SELECT count(*) FROM every").await, ["0"]);
        assert_eq!(release.observe(&home.tenant).await.state, State::AtTarget);
    }
}

async fn a_version_that_fails_leaves_the_view_as_it_was(home: &Home) {
    assert_eq!(fleet(&[BILLS, VIEW]).await.up(&home.tenant).await.outcome.name(), "migrated");
    let before = home.dump_without_journal().await;
    let fails = "INSERT INTO nowhere VALUES (1);\nALTER TABLE bills DROP COLUMN paid;";
    let record = fleet(&[BILLS, ("0003_fails.sql", fails), VIEW]).await.up(&home.tenant).await;
    assert_eq!(
        (record.outcome.name(), record.version.as_deref()),
        ("failed", Some("0002_bills")),
        "{:?}",
        record.error
    );
    assert_eq!(home.dump_without_journal().await, before);
    // The view made way for the first of two versions, and the second one fails.
    let due = "ALTER TABLE bills ADD due int;\nALTER TABLE bills RENAME COLUMN due TO due_at;";
    let release = fleet(&[BILLS, ("0003_due.sql", due), ("0004_fails.sql", fails), VIEW]).await;
    let record = release.up(&home.tenant).await;
    assert_eq!((record.outcome.name(), record.version.as_deref()), ("failed", Some("0003_due")), "{:?}", record.error);
    assert_eq!(home.texts(OPEN).await, ["1"], "it is there again: {:?}", record.error);
    assert_eq!(release.observe(&home.tenant).await.state, State::Behind { pending: 1 });
}

async fn an_edited_view_is_there_after_its_version_failed(home: &Home) {
    assert_eq!(fleet(&[BILLS, VIEW]).await.up(&home.tenant).await.outcome.name(), "migrated");
    let edited = (VIEW.0, "DROP VIEW IF EXISTS open_bills;\nCREATE VIEW open_bills AS SELECT id, total FROM bills;");
    let fails = "INSERT INTO nowhere VALUES (1);\nALTER TABLE bills RENAME COLUMN amount TO total;";
    let record = fleet(&[BILLS, ("0003_total.sql", fails), edited]).await.up(&home.tenant).await;
    assert_eq!(record.outcome.name(), "failed", "{:?}", record.error);
    assert_eq!(home.texts(OPEN).await, ["1"], "the old view is there: {:?}", record.error);
}

async fn a_view_is_made_again_on_the_way_down(home: &Home) {
    let files = [BILLS, REBUILD, REBUILD_DOWN, VIEW];
    assert_eq!(fleet(&[BILLS, VIEW]).await.up(&home.tenant).await.outcome.name(), "migrated");
    let release = fleet(&files).await;
    assert_eq!(release.up(&home.tenant).await.outcome.name(), "migrated");
    let one = Goal { direction: Direction::Down, target: Target::Steps(1), out_of_order: false };
    let record = release.towards(one, &home.tenant).await;
    assert_eq!((record.outcome.name(), record.committed), ("rolled_back", vec!["0003_rebuild".to_owned()]));
    assert_eq!(record.notes, ["R__open_bills is taken down and made again, because 0003_rebuild changes bills"]);
    assert_eq!(home.texts(OPEN).await, ["1"]);
    assert_eq!(release.observe(&home.tenant).await.state, State::Behind { pending: 1 });
    assert_eq!(release.up(&home.tenant).await.committed, ["0003_rebuild"]);
    let files = [BILLS, ("0002_bills.down.sql", "DROP TABLE bills"), REBUILD, REBUILD_DOWN, VIEW];
    let all = fleet(&files).await.down(&home.tenant).await;
    assert_eq!(all.outcome.name(), "rolled_back", "{:?}", all.error);
    assert!(!home.dump().await.contains("open_bills"), "with everything, the view goes too");
}

async fn a_target_before_the_end_keeps_the_view(home: &Home) {
    assert_eq!(fleet(&[BILLS, VIEW]).await.up(&home.tenant).await.outcome.name(), "migrated");
    let more = ("0004_more.sql", "ALTER TABLE bills ADD due int;");
    let release = fleet(&[BILLS, REBUILD, more, VIEW]).await;
    let to = release.set.catalog().position("0003_rebuild").unwrap();
    for target in [Target::Migration(to), Target::Steps(1)] {
        let record =
            release.towards(Goal { direction: Direction::Up, target, out_of_order: false }, &home.tenant).await;
        assert_eq!(record.outcome.name(), "migrated", "{:?}", record.error);
        assert_eq!(home.texts(OPEN).await, ["1"]);
    }
    assert_eq!(release.observe(&home.tenant).await.state, State::AtTarget);
}

async fn a_view_that_nothing_touches_is_left_alone(home: &Home) {
    let view = ("R__x.sql", "DELETE FROM a;\nINSERT INTO a VALUES (1, 0);");
    let with = |text| fleet_of([BILLS, ("0003_x.sql", text), VIEW, view]);
    assert_eq!(fleet(&[BILLS, VIEW, view]).await.up(&home.tenant).await.outcome.name(), "migrated");
    home.run("UPDATE a SET n = 9").await;
    let record = with("CREATE TABLE c (i int); INSERT INTO c VALUES (1);").await.up(&home.tenant).await;
    assert_eq!((record.outcome.name(), record.notes), ("migrated", Vec::new()));
    assert_eq!(home.texts("SELECT n FROM a").await, ["9"]);
}

/// A repeatable script that is no view: the script, the statement by which a version drops its object, and a query for it.
struct Kind {
    script: (&'static str, &'static str),
    drop: &'static str,
    seen: &'static str,
    found: &'static str,
}

const OF_POSTGRES: [Kind; 4] = [
    // The server knows the table that this body reads, and keeps it from being dropped.
    Kind {
        script: (
            "R__open_ids.sql",
            "DROP FUNCTION IF EXISTS open_ids();\nCREATE FUNCTION open_ids() RETURNS SETOF bills LANGUAGE sql BEGIN ATOMIC SELECT * \
             FROM bills WHERE paid = 0; END;",
        ),
        drop: "DROP FUNCTION IF EXISTS open_ids();",
        seen: "SELECT id FROM open_ids()",
        found: "1",
    },
    Kind {
        script: (
            "R__count_open.sql",
            "CREATE OR REPLACE FUNCTION count_open() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM bills WHERE paid = 0';",
        ),
        drop: "DROP FUNCTION IF EXISTS count_open();",
        seen: "SELECT count_open()",
        found: "1",
    },
    Kind {
        script: (
            "R__open_sum.sql",
            "DROP MATERIALIZED VIEW IF EXISTS open_sum;\nCREATE MATERIALIZED VIEW open_sum AS SELECT sum(amount) AS n FROM bills WHERE \
             paid = 0;\nCREATE UNIQUE INDEX open_sum_n ON open_sum (n);",
        ),
        drop: "DROP MATERIALIZED VIEW IF EXISTS open_sum;",
        seen: "SELECT n FROM open_sum WHERE EXISTS (SELECT FROM pg_indexes WHERE indexname = 'open_sum_n')",
        found: "10",
    },
    Kind {
        script: (
            "R__pay.sql",
            "DROP PROCEDURE IF EXISTS pay(int);\nCREATE PROCEDURE pay(n int) LANGUAGE sql BEGIN ATOMIC UPDATE bills SET paid = 1 WHERE \
             id = n; END;",
        ),
        drop: "DROP PROCEDURE IF EXISTS pay(int);",
        seen: "SELECT proname::text FROM pg_proc WHERE proname = 'pay'",
        found: "pay",
    },
];

const OF_MYSQLS: [Kind; 3] = [
    Kind {
        script: (
            "R__count_open.sql",
            "DROP FUNCTION IF EXISTS count_open;\nCREATE FUNCTION count_open() RETURNS int READS SQL DATA RETURN (SELECT count(*) FROM \
             bills WHERE paid = 0);",
        ),
        drop: "DROP FUNCTION IF EXISTS count_open;",
        seen: "SELECT count_open()",
        found: "1",
    },
    Kind {
        script: (
            "R__pay.sql",
            "DROP PROCEDURE IF EXISTS pay;\nCREATE PROCEDURE pay(n int) BEGIN UPDATE bills SET paid = 1 WHERE id = n; END;",
        ),
        drop: "DROP PROCEDURE IF EXISTS pay;",
        seen: "SELECT CAST(routine_name AS CHAR) FROM information_schema.routines WHERE routine_schema = DATABASE()",
        found: "pay",
    },
    Kind {
        script: (
            "R__pays.sql",
            "DROP EVENT IF EXISTS pays;\nCREATE EVENT pays ON SCHEDULE EVERY 1 YEAR STARTS '2035-01-01 00:00:00' DO UPDATE bills SET \
             paid = 1;",
        ),
        drop: "DROP EVENT IF EXISTS pays;",
        seen: "SELECT CAST(event_name AS CHAR) FROM information_schema.events WHERE event_schema = DATABASE()",
        found: "pays",
    },
];

/// A version that rebuilds the table that the object reads, and one that drops the object.
async fn is_there_behind_versions(site: Site, kind: &'static Kind) {
    let drops: &'static str = format!("{}\nALTER TABLE bills ADD due int;", kind.drop).leak();
    for version in [REBUILD, ("0003_drops.sql", drops)] {
        with(site, async |home| {
            both(home, &[BILLS, kind.script], &[BILLS, version, kind.script], kind.seen).await;
            assert_eq!(home.texts(kind.seen).await, [kind.found], "{} behind {}", kind.script.0, version.0);
        })
        .await;
    }
}

#[tokio::test]
async fn functions_procedures_materialized_views_and_events_are_there_behind_versions() {
    for kind in &OF_POSTGRES {
        is_there_behind_versions(Site::Postgres, kind).await;
        is_there_behind_versions(Site::PostgresSchema, kind).await;
    }
    for site in Site::mysqls() {
        for kind in &OF_MYSQLS {
            is_there_behind_versions(site, kind).await;
        }
    }
}

async fn fleet_of(files: [(&'static str, &'static str); 4]) -> Fleet {
    fleet(&files).await
}

/// SQLite makes a view over anything; the other engines refuse it where it is made.
#[tokio::test]
async fn a_view_that_no_longer_fits_is_refused_and_not_made_again_broken() {
    let rename = ("0003_rename.sql", "ALTER TABLE bills RENAME COLUMN amount TO total;");
    let rebuilt = (
        "0003_rename.sql",
        "CREATE TABLE bills_new (id int NOT NULL PRIMARY KEY, total int, paid int);\nINSERT INTO bills_new SELECT * FROM \
         bills;\nDROP TABLE bills;\nALTER TABLE bills_new RENAME TO bills;",
    );
    let alone = (
        VIEW.0,
        "-- fleet: transaction=false\nDROP VIEW IF EXISTS open_bills; CREATE VIEW open_bills AS SELECT amount FROM bills;",
    );
    for (version, view) in [(rename, VIEW), (rebuilt, VIEW), (rename, alone)] {
        crate::engines::support::with(Site::Sqlite, async |home: &Home| {
            assert_eq!(fleet(&[BILLS, view]).await.up(&home.tenant).await.outcome.name(), "migrated");
            let release = fleet(&[BILLS, version, view]).await;
            for _ in 0..2 {
                let record = release.up(&home.tenant).await;
                assert_eq!(record.outcome.name(), "failed", "{record:?}");
                let said = record.error.unwrap().message;
                assert!(said.contains("view open_bills, which R__open_bills makes") && said.contains("amount"), "{said}");
            }
            let mended = ("R__open_bills.sql", "DROP VIEW IF EXISTS open_bills;\nCREATE VIEW open_bills AS SELECT id, total FROM bills WHERE paid = 0;");
            let record = fleet(&[BILLS, version, mended]).await.up(&home.tenant).await;
            assert_eq!(record.outcome.name(), "migrated", "{record:?}");
            assert_eq!(home.texts(OPEN).await, ["1"]);
        })
        .await;
    }
}

#[tokio::test]
async fn a_view_on_one_that_comes_later_is_asked_when_that_is_there() {
    crate::engines::support::with(Site::Sqlite, async |home: &Home| {
        let early = (
            "R__early.sql",
            "DROP VIEW IF EXISTS early; CREATE VIEW early AS SELECT amount, my_function(id) FROM open_bills;",
        );
        let later =
            ("R__open_bills.sql", "DROP VIEW IF EXISTS open_bills; CREATE VIEW open_bills AS SELECT id FROM bills;");
        let record = fleet(&[BILLS, early, VIEW]).await.up(&home.tenant).await;
        assert_eq!(record.outcome.name(), "migrated", "a function may belong to the application: {record:?}");
        let release = fleet(&[BILLS, early, later]).await;
        for _ in 0..2 {
            let record = release.up(&home.tenant).await;
            assert_eq!(record.outcome.name(), "failed", "{record:?}");
            let said = record.error.unwrap().message;
            assert!(said.contains("view early") && said.contains("amount"), "{said}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_view_of_a_versions_own_that_a_step_breaks_is_told() {
    crate::engines::support::with(Site::Sqlite, async |home: &Home| {
        let views = "CREATE VIEW own AS SELECT amount FROM BILLS; CREATE VIEW over AS SELECT * FROM \"Own\"; CREATE VIEW other AS \
                     SELECT 1 AS one; CREATE VIEW \"q\"\"x\" AS SELECT * FROM over; CREATE VIEW `far` AS SELECT * FROM `q\"x`; CREATE \
                     VIEW further AS SELECT * FROM \"q\"\"x\";";
        let own = ("0003_own.sql", views);
        let drop = ("0004_drop.sql", "DROP TABLE bills;");
        assert_eq!(fleet(&[BILLS, own]).await.up(&home.tenant).await.notes, [""; 0]);
        let record = fleet(&[BILLS, own, drop]).await.up(&home.tenant).await;
        assert_eq!(record.outcome.name(), "migrated", "{record:?}");
        let lost = |view: &str| format!("the view {view} does not answer any more: no such table: main.BILLS");
        assert_eq!(record.notes, ["far", "further", "over", "own", "q\"x"].map(lost));
    })
    .await;
}

/// A view names as many columns as its tables had, or takes one by a name that two tables have now.
#[tokio::test]
async fn a_view_that_a_column_more_or_less_breaks_is_told() {
    crate::engines::support::with(Site::Sqlite, async |home: &Home| {
        let views = "CREATE TABLE t (a, b); CREATE TABLE u (a, c); CREATE VIEW named (x, y) AS SELECT * FROM t; CREATE VIEW joined AS \
                     SELECT t.a, c FROM t JOIN u; CREATE VIEW both AS SELECT * FROM t UNION SELECT * FROM u; CREATE VIEW one_of AS SELECT \
                     (SELECT * FROM (SELECT c FROM u)) AS n FROM t; CREATE VIEW fine AS SELECT * FROM t;";
        let own = ("0003_own.sql", views);
        let add = ("0004_add.sql", "ALTER TABLE t ADD COLUMN c;");
        assert_eq!(fleet(&[BILLS, own]).await.up(&home.tenant).await.notes, [""; 0]);
        let record = fleet(&[BILLS, own, add]).await.up(&home.tenant).await;
        assert_eq!(record.outcome.name(), "migrated", "{record:?}");
        let told = [
            "the view both does not answer any more: SELECTs to the left and right of UNION do not have the same number of result columns",
            "the view joined does not answer any more: ambiguous column name: c",
            "the view named does not answer any more: expected 2 columns for 'named' but got 3",
        ];
        assert_eq!(record.notes, told);
        let fewer = ("0005_fewer.sql", "DROP TABLE t; CREATE TABLE t (a);");
        home.run("CREATE VIEW later (x, y, z) AS SELECT * FROM t").await;
        let record = fleet(&[BILLS, own, add, fewer]).await.up(&home.tenant).await;
        assert_eq!(record.outcome.name(), "migrated", "{record:?}");
        assert_eq!(record.notes, ["the view later does not answer any more: expected 3 columns for 'later' but got 1"]);
    })
    .await;
}

/// The file of the view is gone, or has another name and text, and its view is in the way of a rebuild.
#[tokio::test]
async fn a_view_of_a_removed_script_in_the_way_is_named_with_the_way_out() {
    for native in [false, true] {
        crate::engines::support::with(Site::Sqlite, async |home: &Home| {
            assert_eq!(fleet(&[BILLS, VIEW]).await.up(&home.tenant).await.outcome.name(), "migrated");
            let rebuild: Vec<&str> = REBUILD.1.split(";\n").map(|sql| sql.trim_end_matches(';')).collect();
            let renamed = ("R__renamed.sql", "DROP VIEW IF EXISTS other; CREATE VIEW other AS SELECT id FROM bills;");
            let two = Migrations::of([
                sql("m1", ["CREATE TABLE a (i int NOT NULL PRIMARY KEY, n int)"]),
                sql("m2", rebuild.clone()),
            ]);
            let record = Fleet::with_scripts(&two, &[BILLS, renamed]).await.native(native).up(&home.tenant).await;
            assert_eq!(record.outcome.name(), "failed", "{record:?}");
            let said = record.error.unwrap().message;
            for word in ["view open_bills stands in the way", "DROP VIEW IF EXISTS \"open_bills\"", "R__"] {
                assert!(said.contains(word), "{word}: {said}");
            }
        })
        .await;
    }
}
