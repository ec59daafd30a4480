//! Guards against two runs on one tenant, and against work on a tenant that has changed since it was read.

use std::time::{Duration, Instant};

use crate::engine::PartialState;
use crate::model::fault::FaultClass;
use crate::model::outcome::Outcome;
use sea_orm::ConnectionTrait;

use crate::engines::support::fleet::Fleet;
use crate::engines::support::migrations::{Migrations, sql};
use crate::engines::support::{Home, Site, with, with_mysqls};

on_every_site!(
    a_history_that_moved_is_left_alone,
    a_tenant_that_somebody_else_holds_is_left_alone,
    two_runs_at_once_migrate_a_tenant_once,
    a_guard_of_a_later_step_down_is_asked_before_the_first,
    a_guard_that_an_earlier_step_may_satisfy_is_asked_at_its_step,
    a_guard_whose_rows_go_with_those_of_another_table_is_asked_at_its_step,
);

fn two() -> Migrations {
    Migrations::of([sql("m1", ["CREATE TABLE one (i int)"]), sql("m2", ["CREATE TABLE two (i int)"])])
}

async fn a_history_that_moved_is_left_alone(home: &Home) {
    for native in [false, true] {
        let first = Fleet::of(&Migrations::of([sql("m1", ["CREATE TABLE one (i int)"])])).await;
        // On a tenant without a history table another run is first; on one at m1 a row comes, then goes.
        for change in ["", "INSERT INTO seaql_migrations VALUES ('m2', 1)", "DELETE FROM seaql_migrations"] {
            let fleet = Fleet::of(&two()).await.native(native);
            let stop = fleet.apply_after(&home.tenant, async || match change {
                "" => {
                    assert_eq!(first.up(&home.tenant).await.outcome.name(), "migrated");
                    until_released(home).await;
                }
                change => home.run(change).await,
            });
            let stop = stop.await.unwrap_err();
            assert_eq!((stop.fault.class, stop.committed), (FaultClass::HistoryMoved, 0), "{change}: {stop:?}");
            assert_eq!(stop.residue, PartialState::Nothing);
            assert_eq!(home.tables().await, ["one"], "{change}");
            home.run("DELETE FROM seaql_migrations WHERE version = 'm2'").await;
        }
        home.run("DROP TABLE one").await;
        home.run("DROP TABLE seaql_migrations").await;
    }
}

/// MariaDB frees a closed connection's lock in its own time.
async fn until_released(home: &Home) {
    let free = "SELECT CAST(IS_FREE_LOCK(CONCAT('fleet:', SUBSTRING(SHA2(DATABASE(), 256), 1, 56))) AS CHAR)";
    while home.site.is_mysql() && home.texts(free).await != ["1"] {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Takes the lock that a run holds while it works on a tenant.
fn hold(home: &Home) -> String {
    let key = |schema: &str| {
        let text = format!("convert_to(E'fleet tenant lock\\n' || '{schema}', 'UTF8')");
        format!("('x' || left(encode(sha256({text}), 'hex'), 16))::bit(64)::bigint")
    };
    let schema = home.tenant.schema.as_deref().unwrap_or("public");
    home.site.pick(
        "BEGIN IMMEDIATE".to_owned(),
        format!("BEGIN; SELECT pg_advisory_xact_lock({})", key(schema)),
        "SELECT GET_LOCK(CONCAT('fleet:', SUBSTRING(SHA2(DATABASE(), 256), 1, 56)), 0)".to_owned(),
    )
}

async fn a_tenant_that_somebody_else_holds_is_left_alone(home: &Home) {
    for native in [false, true] {
        let fleet = Fleet::of(&two()).await.native(native);
        let before = home.dump().await;
        let other = home.connect().await;
        other.execute_unprepared(&hold(home)).await.unwrap();
        let begun = Instant::now();
        let record = fleet.up(&home.tenant).await;
        let class = home.site.pick(FaultClass::Busy, FaultClass::TenantLocked, FaultClass::TenantLocked);
        assert_eq!(record.outcome, Outcome::LockTimeout { blocker: None, queue: Default::default() }, "{record:?}");
        assert_eq!(record.error.unwrap().class, class);
        assert!(begun.elapsed() < fleet.timeouts.lock * 3, "{:?}", begun.elapsed());
        other.close().await.unwrap();
        until_released(home).await;
        assert_eq!(home.dump().await, before);
    }
    assert_eq!(Fleet::of(&two()).await.up(&home.tenant).await.outcome.name(), "migrated");
}

async fn two_runs_at_once_migrate_a_tenant_once(home: &Home) {
    let slow = home.site.pick("SELECT 1", "SELECT pg_sleep(0.3)", "DO SLEEP(0.3)");
    let migrations = Migrations::of([sql("m1", [slow, "CREATE TABLE one (i int)"]), sql("m2", ["SELECT 1"])]);
    let mut fleet = Fleet::of(&migrations).await;
    fleet.retry.lock_wait_limit = Duration::from_secs(20);
    fleet.timeouts.lock = Duration::from_secs(5);
    let (a, b) = tokio::join!(fleet.up(&home.tenant), fleet.up(&home.tenant));
    let mut names = [a.outcome.name(), b.outcome.name()];
    names.sort_unstable();
    assert_eq!(names, ["migrated", "up_to_date"], "{a:?} {b:?}");
}

/// Another session's open transaction has read a table that a migration wants to alter.
async fn a_table_that_is_in_use(home: &Home, native: bool) {
    let alter = sql("m2", ["CREATE TABLE two (i int)", "ALTER TABLE one ADD COLUMN j int"]);
    let fleet = Fleet::of(&Migrations::of([sql("m1", ["CREATE TABLE one (i int)"]), alter])).await.native(native);
    let one = Fleet::of(&Migrations::of([sql("m1", ["CREATE TABLE one (i int)"])])).await;
    one.up(&home.tenant).await;
    let before = home.dump().await;
    let reader = home.connect().await;
    reader.execute_unprepared("BEGIN; SELECT count(*) FROM one").await.unwrap();
    let begun = Instant::now();
    let record = fleet.up(&home.tenant).await;
    let took = begun.elapsed();
    assert!(took > Duration::from_millis(900) && took < Duration::from_secs(3), "{took:?}");
    assert_eq!(record.error.as_ref().unwrap().class, FaultClass::LockTimeout, "{record:?}");
    match home.site {
        Site::Mariadb | Site::Mysql if native => assert_eq!(record.outcome.name(), "in_doubt"),
        Site::Mariadb | Site::Mysql => {
            assert_eq!(record.outcome.name(), "lock_timeout");
            assert_eq!(record.stopped_at.unwrap().statement, Some(2));
            assert_eq!(home.tables().await, ["one", "two"]);
        }
        _ => {
            assert_eq!(record.outcome.name(), "lock_timeout");
            assert_eq!(home.dump().await, before);
        }
    }
    reader.close().await.unwrap();
    if !(home.site.is_mysql() && native) {
        let record = fleet.up(&home.tenant).await;
        assert_eq!(record.outcome.name(), "migrated", "{record:?}");
        assert_eq!(home.tables().await, ["one", "two"]);
    }
}

#[tokio::test]
async fn a_table_in_use_ends_in_a_lock_timeout_on_postgres() {
    for (site, native) in [(Site::Postgres, false), (Site::Postgres, true), (Site::PostgresSchema, false)] {
        with(site, async |home| a_table_that_is_in_use(home, native).await).await;
    }
}

#[tokio::test]
async fn a_table_in_use_ends_in_a_lock_timeout_on_mariadb_and_mysql() {
    for native in [false, true] {
        with_mysqls(async |home: &Home| a_table_that_is_in_use(home, native).await).await;
    }
}

/// The statements of a guard that the engine enforces: no row of `one` may have this condition.
fn guard(home: &Home, why: &str, condition: &str) -> Vec<String> {
    let engine = home.tenant.engine;
    let (table, why) = (engine.quote(&format!("guard_{why}")), engine.quote(why));
    vec![
        format!("CREATE TABLE IF NOT EXISTS {table} (found bigint NOT NULL, CONSTRAINT {why} CHECK (found = 0))"),
        format!("INSERT INTO {table} (found) SELECT count(*) FROM one WHERE {condition}"),
        format!("DROP TABLE {table}"),
    ]
}

/// `m1` with a guard on its way down, and steps above it.
fn guarded(home: &Home, m2_down: &[&str], is_atomic: bool) -> Migrations {
    let mut down = guard(home, "fine", "i > 9");
    down.extend(guard(home, "rows_would_be_lost", "j IS NOT NULL"));
    down.push("DROP TABLE one".to_owned());
    let m1 = sql("m1", ["CREATE TABLE one (i int, j int, k int)"]).down(down);
    let m2 =
        sql("m2", ["CREATE TABLE two (i int)"]).down(m2_down.iter().map(|sql| (*sql).to_owned()).collect::<Vec<_>>());
    let m3 = sql("m3", ["CREATE TABLE three (i int)"]).down(["DROP TABLE three"]);
    let [m1, m2, m3] = [m1, m2, m3].map(|m| if is_atomic { m } else { m.without_transaction() });
    Migrations::of([m1, m2, m3])
}

async fn a_guard_of_a_later_step_down_is_asked_before_the_first(home: &Home) {
    for is_atomic in [true, false] {
        let down = [
            "UPDATE one SET k = 1",
            "ALTER TABLE one ADD note text",
            "ALTER TABLE one DROP COLUMN note",
            "DROP TABLE two",
        ];
        let fleet = Fleet::of(&guarded(home, &down, is_atomic)).await;
        assert_eq!(fleet.up(&home.tenant).await.outcome.name(), "migrated");
        home.run("INSERT INTO one VALUES (1, 2, 3)").await;
        let before = (home.dump_without_journal().await, home.versions().await);
        let record = fleet.down(&home.tenant).await;
        assert_eq!(record.outcome, Outcome::Failed { class: FaultClass::ConstraintViolation }, "{record:?}");
        let said = &record.error.as_ref().unwrap().message;
        for word in ["m1 would refuse its way down", "rows_would_be_lost", "nothing was changed", "--to m1"] {
            assert!(said.contains(word), "{word}: {said}");
        }
        assert_eq!((record.committed.len(), record.version.as_deref()), (0, Some("m3")), "{record:?}");
        assert_eq!((home.dump_without_journal().await, home.versions().await), before, "atomic: {is_atomic}");
        assert_eq!(home.texts("SELECT k FROM one").await, ["3"]);
        home.run("DELETE FROM one").await;
        let record = fleet.down(&home.tenant).await;
        assert_eq!(record.outcome.name(), "rolled_back", "{record:?}");
    }
}

async fn a_guard_that_an_earlier_step_may_satisfy_is_asked_at_its_step(home: &Home) {
    for clears in ["UPDATE one SET j = NULL", "DELETE FROM one"] {
        let fleet = Fleet::of(&guarded(home, &[clears, "DROP TABLE two"], true)).await;
        assert_eq!(fleet.up(&home.tenant).await.outcome.name(), "migrated");
        home.run("INSERT INTO one VALUES (1, 2, 3)").await;
        let record = fleet.down(&home.tenant).await;
        assert_eq!(record.outcome.name(), "rolled_back", "{clears}: {record:?}");
    }
}

/// The rows that the guard of `m1` counts go with those that `m2` deletes from another table.
async fn a_guard_whose_rows_go_with_those_of_another_table_is_asked_at_its_step(home: &Home) {
    let mut down = guard(home, "rows_would_be_lost", "j IS NOT NULL");
    down.extend(["DROP TABLE one", "DROP TABLE parent"].map(str::to_owned));
    let child = "CREATE TABLE one (i int, j int, FOREIGN KEY (i) REFERENCES parent (i) ON DELETE CASCADE)";
    let m1 = sql("m1", ["CREATE TABLE parent (i int NOT NULL PRIMARY KEY)", child]).down(down);
    let m2 = sql("m2", ["CREATE TABLE two (i int)"]).down(["DELETE FROM parent", "DROP TABLE two"]);
    let fleet = Fleet::of(&Migrations::of([m1, m2])).await;
    assert_eq!(fleet.up(&home.tenant).await.outcome.name(), "migrated");
    home.run("INSERT INTO parent VALUES (1)").await;
    home.run("INSERT INTO one VALUES (1, 2)").await;
    let record = fleet.down(&home.tenant).await;
    assert_eq!(record.outcome.name(), "rolled_back", "{record:?}");
}
