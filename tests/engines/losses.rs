//! Runs that are cancelled or cut off while a statement is under way.

use std::time::{Duration, Instant};

use crate::engine::{ApplyError, PartialState};
use crate::model::fault::FaultClass;
use crate::model::outcome::{InDoubt, Outcome, TenantRecord};
use crate::model::schema::{Direction, State, Unfinished};
use sea_orm::ConnectionTrait;

use crate::engines::support::fleet::Fleet;
use crate::engines::support::migrations::{Migrations, sql};
use crate::engines::support::{Home, Site, with, with_mysqls};

on_every_site!(
    a_long_statement_is_cancelled_on_the_server,
    a_long_native_statement_is_cancelled_on_the_server,
    a_way_down_that_stopped_is_never_taken_for_done,
    a_way_down_that_was_refused_at_once_can_be_taken_again,
    a_driver_that_gives_up_says_nothing_about_the_server,
);

/// The name of a column comes in another encoding than the driver reads, and the server goes on to the end.
async fn a_driver_that_gives_up_says_nothing_about_the_server(home: &Home) {
    let odd = home.site.pick(
        "SELECT 1",
        "SET client_encoding = 'LATIN1'; SELECT 1 AS \"é\"",
        "SET character_set_results = latin1; SELECT 1 AS `é`",
    );
    let first = format!("CREATE TABLE one (i int);\n{odd};\nCREATE TABLE two (i int);\n");
    let fleet = Fleet::with_scripts(&Migrations::of([]), &[("0001_a.sql", &first)]).await;
    let record = fleet.up(&home.tenant).await;
    assert_eq!(record.outcome.name(), "migrated", "{record:?}");
    assert_eq!(home.tables().await, ["fleet_scripts", "one", "two"]);
    let script = format!("{odd};\nCREATE TABLE one (i int);\n");
    let fleet = Fleet::with_scripts(&Migrations::of([]), &[("0001_a.sql", &first), ("0002_b.sql", &script)]).await;
    let record = fleet.up(&home.tenant).await;
    assert_ne!(record.outcome.name(), "migrated", "{record:?}");
    assert_eq!(home.tables().await, ["fleet_scripts", "one", "two"]);
}

const LONG: Duration = Duration::from_secs(25);

/// The second statement of the second migration takes much longer than any test waits.
fn slow(home: &Home) -> Migrations {
    let slow = home.site.pick(
        "INSERT INTO two WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000000) SELECT \
         max(i) FROM n",
        "SELECT pg_sleep(60)",
        // Not SLEEP, which MySQL ends without an error.
        "INSERT INTO two WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 999) SELECT \
         count(*) FROM n a, n b, n c, n d",
    );
    Migrations::of([
        sql("m1", ["CREATE TABLE one (i int)"]),
        sql("m2", ["CREATE TABLE two (i bigint)", slow, "CREATE TABLE two_b (i int)"]),
        sql("m3", ["CREATE TABLE three (i int)"]),
    ])
}

async fn cancel(home: &Home, native: bool) -> ApplyError {
    let fleet = Fleet::of(&slow(home)).await.native(native);
    let mut session = fleet.database().connect(&home.tenant).await.unwrap();
    let history = session.history().await.unwrap();
    let work = fleet.work(&home.tenant, &history.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let canceller = session.canceller();
    let applying = async {
        let stop = session.apply(&work).await.unwrap_err();
        (stop, Instant::now())
    };
    let cancelling = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        canceller().await;
        Instant::now()
    };
    let both = async { tokio::join!(applying, cancelling) };
    let ((stop, ended), cancelled) = tokio::time::timeout(LONG, both).await.expect("it was not cancelled at all");
    assert!(ended.saturating_duration_since(cancelled) < Duration::from_secs(1), "it went on after it was cancelled");
    session.close().await;
    assert_eq!(stop.committed, 1, "{stop:?}");
    nothing_runs(home).await;
    stop
}

/// Asserts that nothing is left running on the server.
async fn nothing_runs(home: &Home) {
    let running = home.site.pick(
        "SELECT 0 WHERE false",
        "SELECT query FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'",
        "SELECT CAST(info AS CHAR) FROM information_schema.processlist WHERE db = DATABASE() AND info LIKE 'INSERT INTO two%'",
    );
    assert_eq!(home.texts(running).await, [""; 0]);
}

async fn a_long_statement_is_cancelled_on_the_server(home: &Home) {
    let stop = cancel(home, false).await;
    let at = stop.at.unwrap();
    assert_eq!((at.migration.as_str(), at.statement), ("m2", Some(2)));
    let class = home.site.pick(FaultClass::Cancelled, FaultClass::StatementTimeout, FaultClass::Cancelled);
    assert_eq!(stop.fault.class, class, "57014 does not say whose wish it was");
    if home.site.is_mysql() {
        assert_eq!(stop.residue, PartialState::Resumable { statements: 1 });
        assert_eq!(home.tables().await, ["one", "two"]);
    } else {
        assert_eq!(stop.residue, PartialState::Nothing);
        assert_eq!(home.tables().await, ["one"]);
    }
    assert_eq!(home.versions().await, ["m1"]);
}

async fn a_long_native_statement_is_cancelled_on_the_server(home: &Home) {
    let stop = cancel(home, true).await;
    assert_eq!(home.versions().await, ["m1"]);
    if home.site.is_mysql() {
        assert!(matches!(stop.residue, PartialState::InDoubt(_)), "{stop:?}");
    } else {
        assert_eq!((stop.residue, home.tables().await), (PartialState::Nothing, vec!["one".to_owned()]));
    }
}

/// Runs until the slow statement is in progress, ends its connection on the server, and waits for the result of the
/// run.
async fn cut_off(home: &Home, fleet: &Fleet) -> TenantRecord {
    let kill = async {
        let server = home.connect().await;
        let find = home.site.pick(
            "",
            "SELECT pg_terminate_backend(pid)::text FROM pg_stat_activity WHERE datname = current_database() AND wait_event \
             = 'PgSleep'",
            "SELECT CAST(id AS CHAR) FROM information_schema.processlist WHERE db = DATABASE() AND info LIKE 'INSERT INTO two%'",
        );
        let found = loop {
            let found = crate::engines::support::texts(&server, find).await;
            if !found.is_empty() {
                break found;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        if home.site.is_mysql() {
            server.execute_unprepared(&format!("KILL {}", found[0])).await.unwrap();
        }
        server.close().await.unwrap();
    };
    let both = async { tokio::join!(fleet.up(&home.tenant), kill) };
    tokio::time::timeout(LONG, both).await.expect("the run did not notice").0
}

#[tokio::test]
async fn a_script_cut_off_on_mariadb_or_mysql_is_in_doubt_until_somebody_settles_it() {
    with_mysqls(async |home: &Home| {
        let fleet = Fleet::of(&slow(home)).await;
        let record = cut_off(home, &fleet).await;
        // The server may not have noticed yet, and hold the tenant for the lost session; else its journal says it.
        assert!(matches!(record.outcome, Outcome::InDoubt(_)), "{record:?}");
        let before = (home.dump().await, home.texts("SELECT state FROM fleet_journal").await);
        for native in [false, true] {
            let record = fleet.clone().native(native).up(&home.tenant).await;
            let Outcome::InDoubt(InDoubt::Journal(Unfinished { migration, direction, statement, run, .. })) =
                record.outcome
            else {
                panic!("{record:?}");
            };
            assert_eq!((migration.as_str(), direction, statement), ("m2", Direction::Up, Some(2)));
            assert!(!run.is_empty() && record.committed.is_empty());
            assert_eq!((home.dump().await, home.texts("SELECT state FROM fleet_journal").await), before);
        }
        assert_eq!(fleet.observe(&home.tenant).await.state.name(), "in_doubt");
        assert_eq!(home.versions().await, ["m1"]);
    })
    .await;
}

#[tokio::test]
async fn native_code_that_fails_on_mariadb_or_mysql_is_in_doubt() {
    with_mysqls(async |home: &Home| {
        let fails = sql("m1", ["CREATE TABLE one (i int)", "INSERT INTO gone VALUES (1)"]);
        let fleet = Fleet::of(&Migrations::of([fails])).await.native(true);
        for _ in 0..2 {
            let record = fleet.up(&home.tenant).await;
            let Outcome::InDoubt(InDoubt::Journal(unfinished)) = record.outcome else { panic!("{record:?}") };
            assert_eq!((unfinished.migration.as_str(), unfinished.statement), ("m1", None));
            assert_eq!(home.tables().await, ["one"]);
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_run_cut_off_on_postgres_leaves_a_whole_version_and_the_next_one_goes_on() {
    for native in [false, true] {
        with(Site::Postgres, async |home| {
            let fleet = Fleet::of(&slow(home)).await.native(native);
            let record = cut_off(home, &fleet).await;
            // The tenant was read again: the server has rolled back what was begun.
            assert_eq!(record.outcome, Outcome::Failed { class: FaultClass::ConnectionLost }, "{record:?}");
            assert!(record.version_known);
            assert_eq!((home.tables().await, home.versions().await), (vec!["one".to_owned()], vec!["m1".to_owned()]));
            let quick = sql("m2", ["CREATE TABLE two (i int)"]);
            let fleet = Fleet::of(&Migrations::of([sql("m1", ["SELECT 1"]), quick])).await;
            let record = fleet.up(&home.tenant).await;
            assert_eq!((record.outcome.name(), record.committed), ("migrated", vec!["m2".to_owned()]));
        })
        .await;
    }
}

/// On MariaDB the history row is deleted first, so the next read finds nothing more to roll back; but the journal is
/// open.
async fn a_way_down_that_stopped_is_never_taken_for_done(home: &Home) {
    let m0 = sql("m0", ["CREATE TABLE first (i int)"]).down(["DROP TABLE first"]);
    let m1 = sql("m1", ["CREATE TABLE a (i int)", "CREATE TABLE b (i int)"]);
    let m1 = m1.down(["DROP TABLE a", "DROP TABLE needed", "DROP TABLE b"]);
    let fleet = Fleet::of(&Migrations::of([m0, m1])).await;
    fleet.up(&home.tenant).await;
    for attempt in ["the first run", "a second run"] {
        let record = fleet.down(&home.tenant).await;
        assert_eq!(record.outcome.name(), "failed", "{attempt}: {record:?}");
        assert_eq!(record.stopped_at.unwrap().statement, Some(2), "{attempt}");
        let left: &[&str] = if home.site.is_mysql() { &["b", "first"] } else { &["a", "b", "first"] };
        assert_eq!(home.tables().await, left, "{attempt}");
        // The server releases the tenant's lock when it notices that the connection has ended.
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    if home.site.is_mysql() {
        let state = fleet.observe(&home.tenant).await.state;
        let State::Stopped(unfinished) = &state else { panic!("{state:?}") };
        assert_eq!((unfinished.direction, unfinished.statement), (Direction::Down, Some(2)));
        // Migrating up again is the other direction, which is refused until the rollback has ended.
        let record = fleet.up(&home.tenant).await;
        assert_eq!(record.outcome, Outcome::Failed { class: FaultClass::PartiallyApplied }, "{record:?}");
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    home.run("CREATE TABLE needed (i int)").await;
    let record = fleet.down(&home.tenant).await;
    assert_eq!((record.outcome.name(), home.tables().await), ("rolled_back", Vec::new()), "{record:?}");
    assert_eq!(home.versions().await, [""; 0]);
}

/// Nothing of it happened, and that is certain: the tenant is unchanged, and not in doubt.
async fn a_way_down_that_was_refused_at_once_can_be_taken_again(home: &Home) {
    let m1 = sql("m1", ["CREATE TABLE a (i int)"]).down(["DROP TABLE a"]);
    let m2 = sql("m2", ["CREATE TABLE b (i int)"]).down(["DROP TABLE needed", "DROP TABLE b"]);
    let fleet = Fleet::of(&Migrations::of([m1, m2])).await;
    fleet.up(&home.tenant).await;
    for _ in 0..2 {
        let record = fleet.down(&home.tenant).await;
        assert_eq!(record.outcome.name(), "failed", "{record:?}");
        assert_eq!(record.stopped_at.unwrap().statement, Some(1));
        // The server releases the tenant's lock when it notices that the connection has ended.
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert_eq!(fleet.observe(&home.tenant).await.state, State::AtTarget);
        assert_eq!(
            (home.versions().await, home.tables().await),
            (vec!["m1".into(), "m2".into()], vec!["a".into(), "b".into()])
        );
    }
    home.run("CREATE TABLE needed (i int)").await;
    let record = fleet.down(&home.tenant).await;
    assert_eq!((record.outcome.name(), home.tables().await), ("rolled_back", Vec::new()), "{record:?}");
}
