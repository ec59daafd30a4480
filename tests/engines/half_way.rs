//! Tenants that are half way: work without a transaction was stopped or cut off, and such a tenant is never mistaken
//! for anything else.

use std::time::Duration;

use crate::engine::Settlement;
use crate::model::fault::FaultClass;
use crate::model::outcome::Outcome;
use crate::model::schema::State;
use sea_orm::ConnectionTrait as _;

use crate::engines::support::fleet::Fleet;
use crate::engines::support::migrations::{Migrations, Sql, sql};
use crate::engines::support::{Home, Site, with, with_mysqls};

on_every_site!(
    a_way_down_without_a_transaction_is_not_at_target_when_it_stopped,
    a_way_down_that_was_cut_off_is_in_doubt_and_nothing_else_is_taken_back,
    what_is_stopped_on_its_way_up_lets_nothing_below_it_go,
);

/// The server releases a tenant's lock when it notices that the connection has ended.
const GONE: Duration = Duration::from_millis(300);

fn first() -> Sql {
    sql("m0", ["CREATE TABLE first (i int)"]).down(["DROP TABLE first"])
}

fn second() -> Sql {
    let m1 = sql("m1", ["CREATE TABLE a (i int)", "CREATE TABLE b (i int)"]);
    m1.down(["DROP TABLE a", "DROP TABLE needed", "DROP TABLE b"]).without_transaction()
}

/// Two migrations, of which the second has stopped on its way down: `a` is gone, `b` is there.
async fn stopped(home: &Home) -> Fleet {
    let fleet = Fleet::of(&Migrations::of([first(), second()])).await;
    fleet.up(&home.tenant).await;
    let record = fleet.down(&home.tenant).await;
    assert_eq!((record.outcome.name(), record.stopped_at.unwrap().statement), ("failed", Some(2)));
    assert_eq!(home.tables().await, ["b", "first"]);
    tokio::time::sleep(GONE).await;
    fleet
}

async fn a_way_down_without_a_transaction_is_not_at_target_when_it_stopped(home: &Home) {
    let fleet = stopped(home).await;
    let state = fleet.observe(&home.tenant).await.state;
    assert!(matches!(state, State::Stopped(_)), "{state:?}");
    let up = fleet.up(&home.tenant).await;
    let refused = Outcome::Failed { class: FaultClass::PartiallyApplied };
    assert_eq!(up.outcome, refused, "the way up again is another one: {up:?}");
    tokio::time::sleep(GONE).await;
    home.run("CREATE TABLE needed (i int)").await;
    let down = fleet.down(&home.tenant).await;
    assert_eq!((down.outcome.name(), home.tables().await), ("rolled_back", Vec::new()), "{down:?}");
    assert_eq!(home.versions().await, [""; 0]);
}

async fn a_way_down_that_was_cut_off_is_in_doubt_and_nothing_else_is_taken_back(home: &Home) {
    let fleet = stopped(home).await;
    // The state left by a process that dies in the statement.
    home.run("UPDATE fleet_journal SET state = 'running'").await;
    home.run("CREATE TABLE needed (i int)").await;
    let state = fleet.observe(&home.tenant).await.state;
    assert!(matches!(state, State::InDoubt(_)), "{state:?}");
    for record in [fleet.down(&home.tenant).await, fleet.up(&home.tenant).await] {
        assert!(matches!(record.outcome, Outcome::InDoubt(_)), "{record:?}");
        assert_eq!(home.tables().await, ["b", "first", "needed"]);
        tokio::time::sleep(GONE).await;
    }
}

async fn what_is_stopped_on_its_way_up_lets_nothing_below_it_go(home: &Home) {
    let m1 = sql("m1", ["CREATE TABLE a (i int)", "INSERT INTO missing VALUES (1)"]).without_transaction();
    let fleet = Fleet::of(&Migrations::of([first(), m1.down(["DROP TABLE a"])])).await;
    let record = fleet.up(&home.tenant).await;
    assert_eq!((record.outcome.name(), home.tables().await), ("failed", vec!["a".into(), "first".into()]));
    tokio::time::sleep(GONE).await;
    let record = fleet.down(&home.tenant).await;
    assert_eq!(record.outcome, Outcome::Failed { class: FaultClass::PartiallyApplied }, "{record:?}");
    assert_eq!(home.tables().await, ["a", "first"]);
}

/// A procedure may commit at any point: a statement that was refused inside one may have had an effect.
#[tokio::test]
async fn a_call_that_is_refused_is_in_doubt_and_not_made_again() {
    for site in [Site::Postgres].into_iter().chain(Site::mysqls()) {
        with(site, async |home| {
            let procedure = site.pick(
                "",
                "CREATE PROCEDURE bump() LANGUAGE plpgsql AS $$ BEGIN UPDATE acc SET v = v + 1; COMMIT; PERFORM 1/0; END $$",
                "CREATE PROCEDURE bump() BEGIN UPDATE acc SET v = v + 1; COMMIT; SIGNAL SQLSTATE '45000'; END",
            );
            home.run("CREATE TABLE acc (v int)").await;
            home.run("INSERT INTO acc VALUES (0)").await;
            home.run(procedure).await;
            let fleet = Fleet::of(&Migrations::of([sql("m1", ["CALL bump()"]).without_transaction()])).await;
            for _ in 0..2 {
                let record = fleet.up(&home.tenant).await;
                assert!(matches!(record.outcome, Outcome::InDoubt(_)), "{record:?}");
                assert_eq!(home.texts("SELECT v FROM acc").await, ["1"]);
                tokio::time::sleep(GONE).await;
            }
        })
        .await;
    }
}

/// Only settings of the session came before the refused statement: nothing is left, and the next run begins again.
#[tokio::test]
async fn a_refusal_behind_settings_alone_has_failed_and_is_not_in_doubt() {
    for site in [Site::Postgres].into_iter().chain(Site::mysqls()) {
        let script = site.pick(
            "",
            "-- fleet: transaction=false\nSET statement_timeout = 0;\nCREATE TABLE t (i int);",
            "SET NAMES utf8mb4;\nSET FOREIGN_KEY_CHECKS = 0;\nCREATE TABLE t (i int);",
        );
        with(site, async |home| {
            home.run("CREATE TABLE t (i int)").await;
            let fleet = Fleet::with_scripts(&Migrations::of([]), &[("0001_x.sql", script)]).await;
            let record = fleet.up(&home.tenant).await;
            assert_eq!(record.outcome, Outcome::Failed { class: FaultClass::AlreadyExists }, "{script}: {record:?}");
            home.run("DROP TABLE t").await;
            assert_eq!(fleet.up(&home.tenant).await.outcome.name(), "migrated", "{script}");
            assert_eq!(home.texts("SELECT count(*) FROM t").await, ["0"]);
        })
        .await;
    }
}

/// Settings with constant values are set again where the script goes on, whatever came between.
#[tokio::test]
async fn a_script_goes_on_behind_settings_that_can_be_set_again() {
    let rest = "CREATE TABLE one (i int);\nINSERT INTO needed VALUES (1);\nINSERT INTO seen VALUES (";
    let own = format!("-- fleet: transaction=false\nSET my.own = '70';\n{rest}current_setting('my.own')::int);");
    let both = [
        format!("SET NAMES utf8mb4;\nSET @x = 7, FOREIGN_KEY_CHECKS = 0;\n{rest}@x * 10 + @@foreign_key_checks);"),
        format!("SET @x = 70, lock_wait_timeout = 100;\n{rest}@x);"),
        format!(
            "SET SESSION sql_mode = CONCAT(@@sql_mode, ',ANSI_QUOTES'), @d = DATABASE();\n{rest}IF(@d = DATABASE() AND @@sql_mode \
             LIKE '%ANSI_QUOTES%', 70, 0));"
        ),
    ];
    let both = Site::mysqls().into_iter().flat_map(|site| both.iter().map(move |script| (site, script)));
    for (site, script) in both.chain([(Site::Postgres, &own)]) {
        with(site, async |home| {
            home.run("CREATE TABLE seen (i int)").await;
            let fleet = Fleet::with_scripts(&Migrations::of([]), &[("0001_x.sql", script)]).await;
            let record = fleet.up(&home.tenant).await;
            assert_eq!(record.outcome.name(), "failed", "{script}: {record:?}");
            let state = fleet.observe(&home.tenant).await.state;
            assert!(matches!(state, State::Stopped(_)), "{script}: {state:?}");
            home.run("CREATE TABLE needed (i int)").await;
            tokio::time::sleep(GONE).await;
            let record = fleet.up(&home.tenant).await;
            assert_eq!(record.outcome.name(), "migrated", "{script}: {record:?}");
            assert_eq!(home.texts("SELECT i FROM seen").await, ["70"], "{script}");
        })
        .await;
    }
    // Where the value is another one in each session, a person has to say that another one will do.
    with_mysqls(async |home: &Home| {
        home.run("CREATE TABLE seen (i int)").await;
        let script = format!("SET @x = NOW();\n{rest}@x > '2000-01-01');");
        let fleet = Fleet::with_scripts(&Migrations::of([]), &[("0001_x.sql", &script)]).await;
        for class in [FaultClass::Missing, FaultClass::PartiallyApplied] {
            let record = fleet.up(&home.tenant).await;
            assert_eq!(record.outcome, Outcome::Failed { class }, "{record:?}");
            let at = record.stopped_at.unwrap();
            assert_eq!((at.statement, at.stayed, at.lost.as_str()), (Some(3), Some(2), "@x (read by statement 4)"));
            let State::Stopped(unfinished) = fleet.observe(&home.tenant).await.state else { panic!() };
            assert!(!unfinished.lost.is_empty() && !unfinished.goes_on(), "{unfinished:?}");
        }
        home.run("CREATE TABLE needed (i int)").await;
        assert_eq!(fleet.up(&home.tenant).await.outcome.name(), "failed", "nobody has said that @x may be another");
        let State::Stopped(unfinished) = fleet.observe(&home.tenant).await.state else { panic!() };
        let mut session = fleet.database().connect(&home.tenant).await.unwrap();
        let settlement = Settlement::ResumeAt { statement: 3, sha256: unfinished.sha256 };
        session.settle(&settlement).await.unwrap();
        session.close().await;
        let record = fleet.up(&home.tenant).await;
        assert_eq!(record.outcome.name(), "migrated", "{record:?}");
        assert_eq!(home.texts("SELECT i FROM seen").await, ["1"], "@x would have been NULL");
    })
    .await;
}

/// Everything here waits for a table that another session has read, and was not begun: nothing is in doubt.
#[tokio::test]
async fn what_waited_for_a_lock_in_vain_was_not_done() {
    for site in Site::mysqls() {
        with(site, async |home| {
            home.run("CREATE TABLE held (i int); CREATE TABLE free (i int); INSERT INTO held VALUES (1)").await;
            let holder = home.connect().await;
            holder.execute_unprepared("BEGIN; SELECT * FROM held FOR UPDATE").await.unwrap();
            for text in ["DROP TABLE free, held", "RENAME TABLE free TO free2, held TO held2"] {
                let fleet = Fleet::with_scripts(&Migrations::of([]), &[("0001_x.sql", text)]).await;
                let record = fleet.up(&home.tenant).await;
                assert!(matches!(record.outcome, Outcome::LockTimeout { .. }), "{text}: {record:?}");
                assert_eq!(record.error.unwrap().code.as_deref(), Some("1205"), "{text}");
                assert_eq!(home.texts("SELECT count(*) FROM free").await, ["0"], "{text}");
                assert_eq!(home.texts("SELECT count(*) FROM fleet_journal").await, ["0"], "{text}");
            }
            holder.close().await.unwrap();
            let fleet = Fleet::with_scripts(&Migrations::of([]), &[("0001_x.sql", "DROP TABLE free, held")]).await;
            assert_eq!(fleet.up(&home.tenant).await.outcome.name(), "migrated");
        })
        .await;
    }
}

/// A part that was done stays a part: the first of two tables is gone, or the procedure has changed something.
#[tokio::test]
async fn what_was_done_in_part_stays_in_doubt() {
    let both = ["CALL partly()", "CALL empties('x')"];
    let both = Site::mysqls().into_iter().flat_map(|site| both.map(|text| (site, text)));
    for (site, text) in both.chain([
        (Site::Mariadb, "DROP TABLE free, missing"),
        (Site::Mariadb, "CALL looks()"),
        (Site::Mariadb, "BEGIN NOT ATOMIC INSERT INTO free VALUES (2); ALTER TABLE held ADD COLUMN j int; END"),
        (Site::Mariadb, "IF 1 THEN ALTER TABLE free ADD COLUMN j int; ALTER TABLE held ADD COLUMN j int; END IF"),
        (Site::Mariadb, "CREATE OR REPLACE TABLE free (i int PRIMARY KEY) SELECT 1 AS i UNION ALL SELECT 1"),
    ]) {
        with(site, async |home| {
            home.run("CREATE TABLE held (i int); CREATE TABLE free (i int); INSERT INTO free VALUES (1)").await;
            home.run("CREATE PROCEDURE partly() BEGIN UPDATE free SET i = 2; ALTER TABLE held ADD COLUMN j int; END").await;
            let looks = "CREATE PROCEDURE looks() BEGIN ALTER TABLE free ADD COLUMN j int; IF (SELECT count(*) FROM held) > 0 THEN \
                         DO 0; END IF; END";
            home.run(looks).await;
            home.run("CREATE PROCEDURE empties(x text) BEGIN DECLARE i int; TRUNCATE TABLE free; SET i = x; END").await;
            let holder = home.connect().await;
            holder.execute_unprepared("LOCK TABLES held WRITE").await.unwrap();
            let fleet = Fleet::with_scripts(&Migrations::of([]), &[("0001_x.sql", text)]).await;
            let record = fleet.up(&home.tenant).await;
            assert!(matches!(record.outcome, Outcome::InDoubt(_)), "{text}: {record:?}");
            holder.close().await.unwrap();
        })
        .await;
    }
}

/// `OPTIMIZE TABLE` and its like tell their errors in rows, and the server goes on.
#[tokio::test]
async fn an_error_that_the_server_tells_in_a_row_is_one() {
    for site in Site::mysqls() {
        with(site, async |home| {
            home.run("CREATE TABLE there (i int)").await;
            for text in [
                "OPTIMIZE TABLE missing;\nCREATE TABLE behind (i int);",
                "SELECT 1;\nANALYZE TABLE there, missing;\nCREATE TABLE behind (i int);",
                "-- fleet: report\nCHECK TABLE missing;\nCREATE TABLE behind (i int);",
                "SET @x = 1;\nFLUSH TABLES;\nREPAIR TABLE missing;\nCREATE TABLE behind (i int);",
            ] {
                let fleet = Fleet::with_scripts(&Migrations::of([]), &[("0001_x.sql", text)]).await;
                let record = fleet.up(&home.tenant).await;
                let error = record.error.clone().unwrap_or_else(|| panic!("{text}: {record:?}"));
                assert_eq!(
                    (error.class, error.code.as_deref()),
                    (FaultClass::Missing, Some("1146")),
                    "{text}: {error}"
                );
                assert!(error.message.contains("missing' doesn't exist"), "{error}");
                assert!(!matches!(record.outcome, Outcome::InDoubt(_)), "{text}: {record:?}");
                assert!(!home.tables().await.contains(&"behind".to_owned()), "{text}");
                home.run("DROP TABLE IF EXISTS fleet_journal").await;
            }
            let compiled = sql("m1", ["CREATE TABLE new (i int); OPTIMIZE TABLE new", "ANALYZE TABLE new"]);
            let record = Fleet::of(&Migrations::of([compiled])).await.up(&home.tenant).await;
            assert_eq!(record.outcome.name(), "migrated", "{record:?}");
        })
        .await;
    }
}
