//! PostgreSQL: errors that are no lost connection although their codes look like one, and lost connections after which
//! the tenant tells its own state.

use std::time::Duration;

use crate::model::fault::FaultClass;
use crate::model::outcome::Outcome;

use crate::engines::support::fleet::Fleet;
use crate::engines::support::migrations::{Migrations, sql};
use crate::engines::support::{Home, Site, with};

/// Statements that open their own transactions, where no text says so.
const HIDDEN: &str = "CREATE PROCEDURE commits() LANGUAGE plpgsql AS $$ BEGIN INSERT INTO t VALUES (1); COMMIT; END $$; \
                      CREATE FUNCTION drops() RETURNS void LANGUAGE plpgsql AS $$ BEGIN EXECUTE 'DROP INDEX \
                      CONCURRENTLY IF EXISTS ix'; END $$; CREATE TABLE t (i int); CREATE INDEX ix ON t (i)";

#[tokio::test]
async fn an_answer_over_a_living_connection_is_one_failure_and_no_doubt() {
    let cases = [
        ("CALL commits()", "2D000", FaultClass::Transaction),
        ("SELECT drops()", "25001", FaultClass::Transaction),
        ("DO $$ BEGIN RAISE EXCEPTION 'gone' USING ERRCODE = '08006'; END $$", "08006", FaultClass::Foreign),
        ("DO $$ BEGIN RAISE EXCEPTION 'gone' USING ERRCODE = '25P02'; END $$", "25P02", FaultClass::Transaction),
        ("DO $$ BEGIN RAISE EXCEPTION 'gone' USING ERRCODE = '57P01'; END $$", "57P01", FaultClass::Foreign),
    ];
    with(Site::Postgres, async |home: &Home| {
        home.run(HIDDEN).await;
        for (statement, code, class) in cases {
            let text = format!("CREATE TABLE made (i int);\n{statement};");
            let scripts = Fleet::with_scripts(&Migrations::of([]), &[("0001_a.sql", &text)]).await;
            let rust = Fleet::of(&Migrations::of([sql("m1", ["CREATE TABLE made (i int)", statement])])).await;
            for mut fleet in [scripts, rust.clone(), rust.native(true)] {
                fleet.retry.attempts = 5;
                let record = fleet.up(&home.tenant).await;
                assert_eq!(record.outcome, Outcome::Failed { class }, "{statement}: {record:?}");
                assert_eq!(record.attempts, 1, "{statement}");
                let error = record.error.unwrap();
                assert_eq!(error.code.as_deref(), Some(code));
                assert_eq!(error.message.contains("transaction=false"), ["25001", "2D000"].contains(&code), "{error}");
                assert_eq!(home.tables().await, ["t"], "rolled back: {statement}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_rust_migration_that_can_not_run_in_a_transaction_is_refused_before_anything_is_touched() {
    with(Site::Postgres, async |home: &Home| {
        for statement in ["CREATE INDEX CONCURRENTLY ix ON one (i)", "VACUUM", "CLUSTER"] {
            let all = Migrations::of([sql("m1", ["CREATE TABLE one (i int)"]), sql("m2", [statement])]);
            for native in [false, true] {
                let record = Fleet::of(&all).await.native(native).up(&home.tenant).await;
                let error = record.error.unwrap();
                assert!(error.message.contains("use_transaction() return Some(false)"), "{error}");
                assert!(error.message.contains("nothing was touched"), "{error}");
                assert_eq!(home.tables().await, [""; 0]);
            }
        }
    })
    .await;
}

/// Ends all sessions of fleet on this database once one of them sleeps.
async fn end_sleeper(home: &Home) {
    let db = home.connect().await;
    let end = "SELECT pg_terminate_backend(pid)::text FROM pg_stat_activity WHERE datname = current_database() AND \
               application_name LIKE 'fleet:%' AND wait_event = 'PgSleep'";
    for _ in 0..200 {
        if !crate::engines::support::texts(&db, end).await.is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    db.close().await.unwrap();
}

#[tokio::test]
async fn after_a_lost_last_attempt_the_tenant_says_how_it_stands() {
    let sleep = "SELECT pg_sleep(20)";
    for native in [false, true] {
        with(Site::Postgres, async |home: &Home| {
            let all = Migrations::of([
                sql("m1", ["CREATE TABLE one (i int)"]),
                sql("m2", ["CREATE TABLE two (i int)", sleep]),
            ]);
            let mut fleet = Fleet::of(&all).await.native(native);
            fleet.retry.lock_wait_limit = Duration::from_secs(5);
            let (record, ()) = tokio::join!(fleet.up(&home.tenant), end_sleeper(home));
            assert_eq!(record.outcome, Outcome::Failed { class: FaultClass::ConnectionLost }, "{record:?}");
            assert!(record.version_known);
            assert_eq!((record.version.as_deref(), &record.committed[..]), (Some("m1"), &["m1".to_owned()][..]));
            assert!(record.error.unwrap().message.contains("rolled back"));
            assert_eq!(home.tables().await, ["one"]);
            assert_eq!(fleet.observe(&home.tenant).await.state.name(), "behind");
        })
        .await;
    }
}

#[tokio::test]
async fn a_statement_without_a_transaction_that_was_lost_stays_in_doubt() {
    with(Site::Postgres, async |home: &Home| {
        let text = "-- fleet: transaction=false\nCREATE TABLE one (i int);\nSELECT pg_sleep(20);";
        let fleet = Fleet::with_scripts(&Migrations::of([]), &[("0001_a.sql", text)]).await;
        let (record, ()) = tokio::join!(fleet.up(&home.tenant), end_sleeper(home));
        assert_eq!(record.outcome.name(), "in_doubt", "{record:?}");
    })
    .await;
}
