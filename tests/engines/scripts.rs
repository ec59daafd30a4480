//! SQL scripts after the migrations: checksums, repeatable scripts, the way down, batches, reports, refreshes.

use crate::model::fault::FaultClass;
use crate::model::outcome::Outcome;
use crate::model::run_kind::RunKind;
use crate::model::schema::{Direction, State};

use crate::engines::support::fleet::Fleet;
use crate::engines::support::migrations::{Migrations, sql};
use crate::engines::support::{Home, Site};

on_every_site!(
    scripts_come_behind_the_migrations_and_go_back_before_them,
    seaorm_sees_nothing_of_the_scripts,
    an_edited_script_is_refused_until_it_is_accepted,
    a_repeatable_script_runs_again_when_its_text_changed,
    a_missing_down_part_is_said_before_anything_is_touched,
    a_failing_statement_is_named_by_file_and_line,
    a_new_migration_goes_in_before_scripts_that_were_applied,
    batches_end_and_reports_are_heard,
    a_batch_that_was_interrupted_goes_on,
    a_stopped_script_is_settled_in_its_own_table,
    a_refresh_is_dated_and_whole,
    a_script_that_does_not_parse_is_named_with_its_line,
    a_repeatable_script_that_was_mended_begins_again,
);

/// The class of a missing table: SQLite has one code for all mistakes in SQL.
fn missing(home: &Home) -> FaultClass {
    if home.site == Site::Sqlite { FaultClass::Other } else { FaultClass::Missing }
}

/// One table, as a Rust migration.
fn base() -> Migrations {
    Migrations::of([sql("m1", ["CREATE TABLE a (i int NOT NULL PRIMARY KEY, n int)"]).down(["DROP TABLE a"])])
}

const TABLE_B: [(&str, &str); 2] = [
    ("0001_b.up.sql", "-- a; comment\nCREATE TABLE b (i int);\nINSERT INTO b VALUES (1);\n"),
    ("0001_b.down.sql", "DROP TABLE b"),
];

async fn scripts_come_behind_the_migrations_and_go_back_before_them(home: &Home) {
    let mut files = TABLE_B.to_vec();
    files.extend([
        ("V2__view.sql", "CREATE VIEW v AS SELECT i FROM a;"),
        ("U2__view.sql", "DROP VIEW v;"),
        ("R__again.sql", "INSERT INTO a VALUES (7, 7);"),
        ("R__again.down.sql", "DELETE FROM a WHERE i = 7;"),
    ]);
    let fleet = Fleet::with_scripts(&base(), &files).await;
    let record = fleet.up(&home.tenant).await;
    assert_eq!(record.outcome.name(), "migrated", "{:?}", record.error);
    assert_eq!(record.committed, ["m1", "0001_b", "V2__view", "R__again"]);
    assert_eq!(record.version.as_deref(), Some("V2__view"));
    assert_eq!(home.texts("SELECT i FROM v").await, ["7"]);
    assert_eq!(fleet.up(&home.tenant).await.outcome, Outcome::UpToDate);
    let back = fleet.down(&home.tenant).await;
    assert_eq!(back.outcome.name(), "rolled_back", "{:?}", back.error);
    assert_eq!(back.committed, ["R__again", "V2__view", "0001_b", "m1"]);
    assert_eq!(fleet.observe(&home.tenant).await.state, State::Empty);
    assert_eq!(fleet.up(&home.tenant).await.outcome.name(), "migrated", "and up again");
}

async fn seaorm_sees_nothing_of_the_scripts(home: &Home) {
    let fleet = Fleet::with_scripts(&base(), &TABLE_B).await;
    assert_eq!(fleet.up(&home.tenant).await.outcome.name(), "migrated");
    assert_eq!(home.texts("SELECT version FROM seaql_migrations").await, ["m1"]);
    assert_eq!(home.texts("SELECT version FROM fleet_scripts").await, ["0001_b"]);
}

async fn an_edited_script_is_refused_until_it_is_accepted(home: &Home) {
    assert_eq!(Fleet::with_scripts(&base(), &TABLE_B).await.up(&home.tenant).await.outcome.name(), "migrated");
    let edited =
        [("0001_b.up.sql", "CREATE TABLE b (i int, j int);\n"), TABLE_B[1], ("0002_c.sql", "CREATE TABLE c (i int)")];
    let fleet = Fleet::with_scripts(&base(), &edited).await;
    assert_eq!(fleet.observe(&home.tenant).await.state, State::Edited { scripts: vec!["0001_b".into()] });
    for direction in [Direction::Up, Direction::Down] {
        let record = fleet.run(direction, std::slice::from_ref(&home.tenant), Default::default()).await.remove(0);
        assert_eq!(record.outcome, Outcome::Failed { class: FaultClass::ChecksumMismatch });
        assert!(record.error.unwrap().message.contains("scripts repair 0001_b"));
        assert_eq!(record.committed, [""; 0]);
    }
    let repair = |name: &str| RunKind::Repair { scripts: vec![name.into()] };
    let other = fleet.task(repair("0002_c"), &home.tenant).await;
    assert_eq!(other.outcome, Outcome::UpToDate, "only what is named");
    let accepted = fleet.task(repair("0001_b"), &home.tenant).await;
    assert_eq!(accepted.outcome, Outcome::Accepted { n: 1 }, "{:?}", accepted.error);
    assert_eq!(home.texts("SELECT i FROM b").await, ["1"], "nothing of it was run");
    let record = fleet.up(&home.tenant).await;
    assert_eq!((record.outcome.name(), record.committed), ("migrated", vec!["0002_c".to_owned()]));
}

async fn a_repeatable_script_runs_again_when_its_text_changed(home: &Home) {
    let again = |n| format!("DELETE FROM a;\nINSERT INTO a VALUES ({n}, 0);");
    let first = Fleet::with_scripts(&base(), &[("R__x.sql", &again(1))]).await;
    assert_eq!(first.up(&home.tenant).await.outcome.name(), "migrated");
    let changed = Fleet::with_scripts(&base(), &[("R__x.sql", &again(2))]).await;
    assert_eq!(changed.observe(&home.tenant).await.state, State::Behind { pending: 1 });
    let record = changed.up(&home.tenant).await;
    assert_eq!((record.outcome.name(), record.committed), ("migrated", vec!["R__x".to_owned()]));
    assert_eq!(home.texts("SELECT i FROM a").await, ["2"]);
    assert_eq!(changed.observe(&home.tenant).await.state, State::AtTarget);
    assert_eq!(changed.up(&home.tenant).await.outcome, Outcome::UpToDate);
    // Without a down part it is only removed from the history, and the migrations before it are rolled back.
    assert_eq!(changed.down(&home.tenant).await.committed, ["R__x", "m1"]);
}

async fn a_missing_down_part_is_said_before_anything_is_touched(home: &Home) {
    let mut files = TABLE_B.to_vec();
    files[1] = ("0002_c.sql", "CREATE TABLE c (i int)");
    files.push(("0002_c.down.sql", "DROP TABLE c"));
    files[1].0 = "0002_c.up.sql";
    let fleet = Fleet::with_scripts(&base(), &files).await;
    assert_eq!(fleet.up(&home.tenant).await.outcome.name(), "migrated");
    let record = fleet.down(&home.tenant).await;
    let text = record.error.unwrap().message;
    assert!(text.contains("0001_b.up.sql has no down part") && text.contains("0001_b.down.sql"), "{text}");
    assert_eq!(record.committed, [""; 0], "also what comes before it in the way back stays");
    assert_eq!(fleet.observe(&home.tenant).await.state, State::AtTarget);
}

async fn a_failing_statement_is_named_by_file_and_line(home: &Home) {
    let files = [
        ("0001_ok.sql", "CREATE TABLE b (i int);"),
        ("0002_bad.sql", "\n-- x\nINSERT INTO b VALUES (1);\n\nINSERT INTO\n  nowhere VALUES (1);"),
    ];
    let record = Fleet::with_scripts(&base(), &files).await.up(&home.tenant).await;
    let at = record.stopped_at.unwrap();
    assert_eq!((at.migration.as_str(), at.statement), ("0002_bad", Some(2)));
    assert!(at.file.as_deref().unwrap().ends_with("0002_bad.sql:5"), "{:?}", at.file);
    assert_eq!(record.error.unwrap().class, missing(home));
    assert_eq!(record.version.as_deref(), Some("0001_ok"));
    let left = if home.site.is_mysql() { "1" } else { "0" };
    assert_eq!(home.texts("SELECT count(*) FROM b").await, [left], "as far as the engine can take it back");
}

async fn a_new_migration_goes_in_before_scripts_that_were_applied(home: &Home) {
    assert_eq!(Fleet::with_scripts(&base(), &TABLE_B).await.up(&home.tenant).await.outcome.name(), "migrated");
    let two = Migrations::of([
        sql("m1", ["CREATE TABLE a (i int NOT NULL PRIMARY KEY, n int)"]),
        sql("m2", ["CREATE TABLE z (i int)"]),
    ]);
    let fleet = Fleet::with_scripts(&two, &TABLE_B).await;
    assert_eq!(fleet.observe(&home.tenant).await.state, State::Behind { pending: 1 });
    assert_eq!(fleet.up(&home.tenant).await.committed, ["m2"]);
    assert_eq!(fleet.observe(&home.tenant).await.state, State::AtTarget);
}

/// Fills `a` with 25 rows, and updates them in batches of 10.
fn batches(home: &Home) -> Vec<(&'static str, String)> {
    let rows: Vec<String> = (1..=25).map(|i| format!("({i}, NULL)")).collect();
    let batch = home.site.pick(
        "UPDATE a SET n = i WHERE i IN (SELECT i FROM a WHERE n IS NULL ORDER BY i LIMIT 10)",
        "UPDATE a SET n = i WHERE i IN (SELECT i FROM a WHERE n IS NULL ORDER BY i LIMIT 10)",
        "UPDATE a SET n = i WHERE n IS NULL ORDER BY i LIMIT 10",
    );
    let text = home.site.pick("'row ' || i", "'row ' || i", "CONCAT('row ', i)");
    vec![
        ("0001_rows.sql", format!("INSERT INTO a VALUES {};", rows.join(", "))),
        (
            "0002_fill.sql",
            format!(
                "-- fleet: transaction=false\nINSERT INTO a VALUES (99, 99);\n/* fleet: batch */ {batch};\n-- fleet: report\n\
                 SELECT {text} FROM a WHERE n > 23 ORDER BY i;\nDELETE FROM a WHERE i = 99;"
            ),
        ),
    ]
}

async fn batches_end_and_reports_are_heard(home: &Home) {
    let files = batches(home);
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let record = Fleet::with_scripts(&base(), &files).await.up(&home.tenant).await;
    assert_eq!(record.outcome.name(), "migrated", "{:?} {:?}", record.error, record.stopped_at);
    assert_eq!(home.texts("SELECT count(*) FROM a WHERE n = i").await, ["25"]);
    assert_eq!(record.notes, ["row 24", "row 25", "row 99"]);
}

async fn a_batch_that_was_interrupted_goes_on(home: &Home) {
    let files = batches(home);
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let fleet = Fleet::with_scripts(&base(), &files).await;
    // A run that died between two batches: the journal says so, and 10 rows are done.
    assert_eq!(Fleet::with_scripts(&base(), &files[..1]).await.up(&home.tenant).await.outcome.name(), "migrated");
    home.run("INSERT INTO a VALUES (99, 99)").await;
    home.run("UPDATE a SET n = i WHERE i <= 10").await;
    let scripts = fleet.set.compile(home.tenant.engine, Direction::Up, 0..3, Default::default()).await;
    let sha = &scripts.get(2).unwrap().sha256;
    home.run(
        "CREATE TABLE IF NOT EXISTS fleet_journal (id int NOT NULL PRIMARY KEY, migration varchar(255) NOT NULL, direction varchar(4) NOT \
         NULL, statement int NULL, state varchar(8) NOT NULL, sha256 varchar(64) NOT NULL, run varchar(36) NOT NULL, \
         begun_at bigint NOT NULL)",
    )
    .await;
    home.run(&format!("INSERT INTO fleet_journal VALUES (1, '0002_fill', 'up', 2, 'running', '{sha}', 'r', 0)")).await;
    let record = fleet.up(&home.tenant).await;
    assert_eq!(record.outcome.name(), "migrated", "{:?} {:?}", record.error, record.outcome);
    assert_eq!(home.texts("SELECT count(*) FROM a WHERE n = i").await, ["25"]);
}

async fn a_stopped_script_is_settled_in_its_own_table(home: &Home) {
    let files =
        [("0001_x.sql", "-- fleet: transaction=false\nCREATE TABLE b (i int);\nINSERT INTO nowhere VALUES (1);")];
    let fleet = Fleet::with_scripts(&base(), &files).await;
    assert_eq!(fleet.up(&home.tenant).await.outcome.name(), "failed");
    let mut session = fleet.database().connect(&home.tenant).await.unwrap();
    session.settle(&crate::engine::Settlement::Applied).await.unwrap();
    session.close().await;
    assert_eq!(home.texts("SELECT version FROM fleet_scripts").await, ["0001_x"]);
    assert_eq!(home.texts("SELECT version FROM seaql_migrations").await, ["m1"]);
    assert_eq!(fleet.observe(&home.tenant).await.state, State::AtTarget);
}

async fn a_refresh_is_dated_and_whole(home: &Home) {
    let view = home.site.pick(
        "-- fleet: view=totals group=hourly\nCREATE TABLE totals (k int PRIMARY KEY, n int);\n-- fleet: refresh\nDELETE FROM \
         totals;\nINSERT INTO totals SELECT 1, count(*) FROM a;",
        "-- fleet: view=totals group=hourly\nCREATE MATERIALIZED VIEW totals AS SELECT 1 AS k, count(*) AS n FROM a;\n\
         CREATE UNIQUE INDEX uq ON totals (k);",
        "-- fleet: view=totals group=hourly\nCREATE TABLE totals (k int PRIMARY KEY, n int);\n-- fleet: refresh\nDELETE FROM \
         totals;\nINSERT INTO totals SELECT 1, count(*) FROM a;",
    );
    let file = home.site.pick("R__totals.sqlite.sql", "R__totals.postgres.sql", "R__totals.mysql.sql");
    let fleet = Fleet::with_scripts(&base(), &[(file, view)]).await;
    let refresh = RunKind::Refresh { views: fleet.set.derived() };
    let early = fleet.task(refresh.clone(), &home.tenant).await;
    assert!(matches!(early.outcome, Outcome::Skipped { .. }), "{:?}", early.outcome);
    assert_eq!(fleet.up(&home.tenant).await.outcome.name(), "migrated");
    assert_eq!(home.texts("SELECT n FROM totals").await, ["0"], "it is filled when it is made");
    home.run("INSERT INTO a VALUES (1, 1)").await;
    let before = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let record = fleet.task(refresh.clone(), &home.tenant).await;
    assert_eq!(record.outcome, Outcome::Refreshed { n: 1 }, "{:?}", record.error);
    assert_eq!(home.texts("SELECT n FROM totals").await, ["1"]);
    let mut session = fleet.database().connect(&home.tenant).await.unwrap();
    let told = session.refreshes().await.unwrap();
    session.close().await;
    assert!(told.len() == 1 && told[0].0 == "totals" && told[0].1.unsigned_abs() >= before, "{told:?}");
    // A failed refresh leaves the existing rows.
    if home.site != Site::Postgres && home.site != Site::PostgresSchema {
        home.run("ALTER TABLE a RENAME TO gone").await;
        let failed = fleet.task(refresh, &home.tenant).await;
        assert_eq!(failed.outcome, Outcome::Failed { class: missing(home) }, "{:?}", failed.error);
        assert_eq!(home.texts("SELECT n FROM totals").await, ["1"]);
    }
}

async fn a_repeatable_script_that_was_mended_begins_again(home: &Home) {
    let file = |bad: &str| {
        format!(
            "-- fleet: transaction=false\nDROP TABLE IF EXISTS b;\nCREATE TABLE b (i int);\nINSERT INTO {bad} VALUES (1);"
        )
    };
    let broken = Fleet::with_scripts(&base(), &[("R__x.sql", &file("nowhere"))]).await;
    assert_eq!(broken.up(&home.tenant).await.outcome.name(), "failed");
    let mended = Fleet::with_scripts(&base(), &[("R__x.sql", &file("b"))]).await;
    let record = mended.up(&home.tenant).await;
    assert_eq!(record.outcome.name(), "migrated", "{:?} {:?}", record.error, record.outcome);
    assert_eq!(home.texts("SELECT i FROM b").await, ["1"]);
    assert_eq!(mended.observe(&home.tenant).await.state, State::AtTarget);
}

async fn a_script_that_does_not_parse_is_named_with_its_line(home: &Home) {
    // PostgreSQL parses a whole message before it executes any of it: the error must not be attributed to the first
    // script.
    let files = [
        ("0001_ok.sql", "CREATE TABLE b (i int);"),
        ("0002_bad.sql", "-- one\nCREATE TABLE c (i int);\n\nCREATE\n  TABEL d (i int);\nSELECT 1;"),
    ];
    let record = Fleet::with_scripts(&base(), &files).await.up(&home.tenant).await;
    let at = record.stopped_at.unwrap();
    assert_eq!((at.migration.as_str(), at.statement), ("0002_bad", Some(2)), "{:?}", record.error);
    let line = if matches!(home.site, Site::Postgres | Site::PostgresSchema) { 5 } else { 4 };
    assert!(at.file.as_deref().unwrap().ends_with(&format!("0002_bad.sql:{line}")), "{:?}", at.file);
    // One rule on all engines: what stands before the script that can't be read is applied.
    assert_eq!(record.version.as_deref(), Some("0001_ok"));
    assert_eq!(home.texts("SELECT count(*) FROM b").await, ["0"]);
}
