//! Locks that are not granted, tenants that stopped half way, and the reports on both.

use std::time::{Duration, Instant};

use crate::model::fault::FaultClass;
use crate::model::locks::LockWait;
use crate::model::outcome::{Blocker, Outcome};
use crate::model::schema::State;
use crate::policy::Limits;
use sea_orm::ConnectionTrait;

use crate::engines::support::fleet::Fleet;
use crate::engines::support::migrations::{Migrations, sql};
use crate::engines::support::{Home, Site, connect, on_server, texts, unique, url_of, with};

on_every_site!(
    a_migration_has_a_lock_timeout_of_its_own,
    a_tenant_whose_statement_was_refused_is_not_in_doubt,
    a_tenant_that_a_run_works_on_is_not_in_doubt,
    the_lock_limit_holds_inside_one_statement,
);

fn two() -> Migrations {
    Migrations::of([sql("m1", ["CREATE TABLE one (i int)"]), sql("m2", ["ALTER TABLE one ADD COLUMN j int"])])
}

/// The fleet's lock timeout is a minute, and so is that of the migration before it.
async fn a_migration_has_a_lock_timeout_of_its_own(home: &Home) {
    for native in [false, true] {
        let mut fleet = Fleet::of(&two()).await.native(native);
        fleet.timeouts.lock = Duration::from_secs(60);
        let first = Fleet::of(&Migrations::of([sql("m1", ["CREATE TABLE one (i int)"])])).await;
        first.up(&home.tenant).await;
        let other = home.connect().await;
        let hold =
            home.site.pick("BEGIN IMMEDIATE", "BEGIN; SELECT count(*) FROM one", "BEGIN; SELECT count(*) FROM one");
        other.execute_unprepared(hold).await.unwrap();
        let engine = home.tenant.engine;
        fleet.limits = [((1, engine.into()), Limits::of_lock(Some(Duration::from_millis(400))))].into();
        let begun = Instant::now();
        let record = fleet.up(&home.tenant).await;
        assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
        let class = home.site.pick(FaultClass::Busy, FaultClass::LockTimeout, FaultClass::LockTimeout);
        assert_eq!(record.error.as_ref().unwrap().class, class, "{record:?}");
        other.close().await.unwrap();
        home.run("DROP TABLE one").await;
        home.run("DROP TABLE seaql_migrations").await;
        if home.site.is_mysql() {
            home.run("DROP TABLE fleet_journal").await;
        }
    }
}

/// In a rollback journal a statement that outgrows SQLite's page cache needs an exclusive lock in the middle of the
/// transaction: it used to wait there, the next one again, the commit once more, and all that time no reader got in.
#[tokio::test]
async fn a_reader_of_a_file_is_waited_for_once_and_not_by_each_large_statement() {
    with(Site::Sqlite, async |home| {
        home.run(
            "CREATE TABLE big (a text, b text); INSERT INTO big WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 \
             FROM c WHERE x < 40000) SELECT printf('%0100d', x), printf('%0100d', -x) FROM c",
        )
        .await;
        let other = home.connect().await;
        other.execute_unprepared("BEGIN; SELECT count(*) FROM big").await.unwrap();
        let indexes = ["CREATE INDEX ix_a ON big (a)", "CREATE INDEX ix_b ON big (b)", "CREATE INDEX ix_c ON big (b, a)"];
        for native in [false, true] {
            // A lock timeout of one second and a single try.
            let fleet = Fleet::of(&Migrations::of([sql("m1", indexes)])).await.native(native);
            let begun = Instant::now();
            let record = fleet.up(&home.tenant).await;
            assert_eq!(record.error.as_ref().unwrap().class, FaultClass::Busy, "{record:?}");
            assert!(begun.elapsed() < Duration::from_millis(2900), "{:?}", begun.elapsed());
        }
        other.close().await.unwrap();
    })
    .await;
}

/// Without a transaction the first statement stays, and the second is refused.
async fn half_way(home: &Home) -> Fleet {
    let script = "-- fleet: transaction=false\nCREATE TABLE a (i int);\nCREATE TABLE b (i int);";
    let fleet = Fleet::with_scripts(&Migrations::of([]), &[("1_two.sql", script)]).await;
    home.run("CREATE TABLE b (i int)").await;
    assert_eq!(fleet.up(&home.tenant).await.outcome.name(), "failed");
    fleet
}

async fn a_tenant_whose_statement_was_refused_is_not_in_doubt(home: &Home) {
    let fleet = half_way(home).await;
    let observation = fleet.observe(&home.tenant).await;
    let State::Stopped(unfinished) = &observation.state else { panic!("{observation:?}") };
    assert_eq!((unfinished.migration.as_str(), unfinished.statement), ("1_two", Some(2)));
    home.run("DROP TABLE b").await;
    assert_eq!(fleet.up(&home.tenant).await.outcome.name(), "migrated", "it goes on there");
    assert_eq!(fleet.observe(&home.tenant).await.state, State::AtTarget);
}

async fn a_tenant_that_a_run_works_on_is_not_in_doubt(home: &Home) {
    let slow = home.site.pick(
        "INSERT INTO a WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 4000000) SELECT count(*) \
         FROM c",
        "SELECT pg_sleep(3)",
        "DO SLEEP(3)",
    );
    let script = format!("-- fleet: transaction=false\nCREATE TABLE a (i int);\n{slow};\nCREATE TABLE b (i int);");
    let fleet = Fleet::with_scripts(&Migrations::of([]), &[("1_slow.sql", &script)]).await;
    let looking = async {
        let begun = Instant::now();
        let mut seen = Vec::new();
        while begun.elapsed() < Duration::from_secs(20) {
            let state = fleet.observe(&home.tenant).await.state;
            seen.push(state.name());
            if state == State::AtTarget {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        seen
    };
    let (record, seen) = tokio::join!(fleet.up(&home.tenant), looking);
    assert_eq!(record.outcome.name(), "migrated", "{record:?}");
    assert!(seen.contains(&"migrating") && !seen.contains(&"in_doubt"), "{seen:?}");
}

/// Another invalid index has a name that is a word of the statement.
#[tokio::test]
async fn exactly_the_invalid_index_of_the_statement_is_dropped_before_it_is_tried_again() {
    with(Site::Postgres, async |home| {
        home.run("CREATE SCHEMA \"S s\"; CREATE TABLE \"S s\".t (a int); INSERT INTO \"S s\".t VALUES (1), (1)").await;
        home.run("CREATE TABLE u (a int); INSERT INTO u VALUES (1), (1)").await;
        let other = home.connect().await;
        other.execute_unprepared("CREATE UNIQUE INDEX CONCURRENTLY a ON u (a)").await.unwrap_err();
        let create = "CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS \"Ix a\" ON \"S s\".t (a)";
        let fleet = Fleet::of(&Migrations::of([sql("m1", [create]).without_transaction()])).await;
        assert_eq!(fleet.up(&home.tenant).await.outcome.name(), "failed");
        home.run("DELETE FROM \"S s\".t").await;
        assert_eq!(fleet.up(&home.tenant).await.outcome.name(), "migrated");
        let valid = "SELECT c.relname || ' ' || i.indisvalid FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE \
                     c.relname IN ('a', 'Ix a') ORDER BY 1";
        assert_eq!(home.texts(valid).await, ["Ix a true", "a false"]);
        other.close().await.unwrap();
    })
    .await;
}

/// A reader in an open transaction that blocks `m2` of [`two`]; its connection id.
async fn reader(home: &Home, database: &str, table: &str) -> (sea_orm::DatabaseConnection, i64) {
    let other = connect(&url_of(home.site, database)).await;
    other.execute_unprepared(&format!("BEGIN; SELECT count(*) FROM {table}")).await.unwrap();
    let id = own_id(home, &other).await;
    (other, id)
}

async fn own_id(home: &Home, other: &sea_orm::DatabaseConnection) -> i64 {
    let own = home.site.pick("", "SELECT pg_backend_pid()::text", "SELECT CAST(CONNECTION_ID() AS char)");
    let mut asked = other.execute_unprepared(own).await;
    if asked.is_err() {
        // The pool notices that its connection is gone, and makes another one.
        asked = other.execute_unprepared(own).await;
    }
    asked.unwrap();
    texts(other, own).await[0].parse().unwrap()
}

async fn a_blocker_is_terminated_only_when_it_is_old_enough(home: &Home) {
    Fleet::of(&Migrations::of([sql("m1", ["CREATE TABLE one (i int)"])])).await.up(&home.tenant).await;
    let database = home.url().rsplit('/').next().unwrap().to_owned();
    let (other, id) = reader(home, &database, "one").await;
    let mut fleet = Fleet::of(&two()).await;
    fleet.retry.attempts = 5;
    fleet.retry.locks.wait = Duration::from_secs(8);
    // The check for the lock holder comes after a part of the timeout, and takes a connection: this leaves time for it.
    fleet.timeouts.lock = Duration::from_secs(2);
    fleet.kill_blockers = Some(Duration::from_secs(3600));
    let record = fleet.up(&home.tenant).await;
    let Outcome::LockTimeout { blocker: Some(blocker), .. } = &record.outcome else { panic!("{record:?}") };
    assert_eq!((blocker.id, blocker.database.as_deref()), (id, Some(&*database)), "{record:?}");
    assert!(record.notes.is_empty() && record.attempts > 1, "{record:?}");
    assert_eq!(own_id(home, &other).await, id, "it was left alone");

    fleet.kill_blockers = Some(Duration::from_secs(1));
    let record = fleet.up(&home.tenant).await;
    assert_eq!(record.outcome.name(), "migrated", "{record:?}");
    assert!(record.notes[0].contains(&format!("terminated to get at a lock: connection {id}")), "{record:?}");
    assert_ne!(own_id(home, &other).await, id, "it had to connect again");
}

/// Without its plugin MariaDB does not tell who holds a table. The only open transaction here never touched it, and the
/// holder, under `LOCK TABLES`, has none.
async fn a_blocker_that_nothing_proves_is_named_and_left_alone(home: &Home) {
    Fleet::of(&Migrations::of([sql("m1", ["CREATE TABLE one (i int)"])])).await.up(&home.tenant).await;
    home.run("CREATE TABLE others (i int)").await;
    let database = home.url().rsplit('/').next().unwrap().to_owned();
    let (innocent, id) = reader(home, &database, "others").await;
    let holder = home.connect().await;
    holder.execute_unprepared("LOCK TABLES one READ").await.unwrap();
    let holder_id = own_id(home, &holder).await;
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    let mut fleet = Fleet::of(&two()).await;
    fleet.timeouts.lock = Duration::from_secs(2);
    fleet.kill_blockers = Some(Duration::from_secs(1));
    let record = fleet.up(&home.tenant).await;
    assert_eq!(record.outcome.name(), "lock_timeout", "{record:?}");
    let told = record.error.unwrap().message;
    for part in ["nobody was terminated", &format!("connection {id} "), "INSTALL SONAME 'metadata_lock_info'"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert_eq!((own_id(home, &innocent).await, own_id(home, &holder).await), (id, holder_id));
    innocent.close().await.unwrap();
    holder.close().await.unwrap();
}

/// A session queued behind us is named too, and a session in another database is never terminated, whatever a watch has
/// seen.
async fn a_session_of_another_database_is_left_alone(home: &Home) {
    let elsewhere = unique("elsewhere");
    on_server(home.site, &format!("CREATE DATABASE {elsewhere}")).await;
    let make = connect(&url_of(home.site, &elsewhere)).await;
    make.execute_unprepared("CREATE TABLE t (i int)").await.unwrap();
    make.close().await.unwrap();
    let (other, id) = reader(home, &elsewhere, "t").await;
    tokio::time::sleep(Duration::from_millis(2200)).await;
    let fleet = Fleet::of(&two()).await;
    let mut session = fleet.database().connect(&home.tenant).await.unwrap();
    let holder = Blocker {
        id,
        user: None,
        application: None,
        address: None,
        database: None,
        transaction_seconds: Some(1),
        query: None,
        lock: None,
    };
    let locked = LockWait { holders: vec![holder], certain: true, ..LockWait::default() };
    assert_eq!(session.terminate(&locked, Duration::from_secs(1)).await.terminated, []);
    session.close().await;
    assert_eq!(own_id(home, &other).await, id);
    other.close().await.unwrap();
    on_server(home.site, &format!("DROP DATABASE {elsewhere}")).await;
}

async fn who_queued_behind_us_is_named(home: &Home) {
    Fleet::of(&Migrations::of([sql("m1", ["CREATE TABLE one (i int)"])])).await.up(&home.tenant).await;
    let database = home.url().rsplit('/').next().unwrap().to_owned();
    let (other, _) = reader(home, &database, "one").await;
    let mut fleet = Fleet::of(&two()).await;
    fleet.timeouts.lock = Duration::from_secs(3);
    let victim = home.connect().await;
    let behind = async {
        tokio::time::sleep(Duration::from_millis(700)).await;
        victim.execute_unprepared("SELECT count(*) FROM one").await.unwrap();
    };
    let (record, ()) = tokio::join!(fleet.up(&home.tenant), behind);
    let Outcome::LockTimeout { queue, .. } = &record.outcome else { panic!("{record:?}") };
    assert!(queue.waiting[0].query.as_ref().unwrap().contains("count(*)"), "{record:?}");
    other.close().await.unwrap();
}

/// The holder of a row is told by the server for certain: another open transaction beside it is left alone.
async fn the_holder_of_a_row_is_terminated_and_nobody_else(home: &Home) {
    home.run("CREATE TABLE one (i int PRIMARY KEY); INSERT INTO one VALUES (1), (9)").await;
    home.run("CREATE TABLE other (i int PRIMARY KEY); INSERT INTO other VALUES (1)").await;
    let holding = async |statement: &str| {
        let other = home.connect().await;
        other.execute_unprepared(&format!("BEGIN; {statement}")).await.unwrap();
        let id = own_id(home, &other).await;
        (other, id)
    };
    let (bystander, near) = holding("UPDATE other SET i = 3 WHERE i = 1").await;
    let (other, id) = holding("UPDATE one SET i = 3 WHERE i = 1").await;
    let mut fleet = Fleet::of(&Migrations::of([sql("m1", ["UPDATE one SET i = 2 WHERE i = 1"])])).await;
    fleet.retry.attempts = 5;
    fleet.retry.locks.wait = Duration::from_secs(8);
    fleet.timeouts.lock = Duration::from_secs(2);
    let record = fleet.up(&home.tenant).await;
    let Outcome::LockTimeout { blocker: Some(blocker), .. } = &record.outcome else { panic!("{record:?}") };
    assert_eq!(blocker.id, id, "{record:?}");
    assert!(record.notes.is_empty(), "{record:?}");

    fleet.kill_blockers = Some(Duration::from_secs(1));
    let record = fleet.up(&home.tenant).await;
    assert_eq!(record.outcome.name(), "migrated", "{record:?}");
    assert!(record.notes[0].contains(&format!("terminated to get at a lock: connection {id}")), "{record:?}");
    assert_ne!(own_id(home, &other).await, id, "it had to connect again");
    assert_eq!(own_id(home, &bystander).await, near, "it holds no lock in our way");
    assert_eq!(home.texts("SELECT CAST(i AS char) FROM one ORDER BY i").await, ["2", "9"]);
}

#[tokio::test]
async fn blockers_on_postgres() {
    with(Site::Postgres, a_blocker_is_terminated_only_when_it_is_old_enough).await;
    with(Site::Postgres, a_session_of_another_database_is_left_alone).await;
    with(Site::Postgres, who_queued_behind_us_is_named).await;
}

mod blockers {
    use super::*;

    #[tokio::test]
    async fn mysql() {
        with(Site::Mysql, a_blocker_is_terminated_only_when_it_is_old_enough).await;
        with(Site::Mysql, a_session_of_another_database_is_left_alone).await;
        with(Site::Mysql, who_queued_behind_us_is_named).await;
        with(Site::Mysql, the_holder_of_a_row_is_terminated_and_nobody_else).await;
    }
}

#[tokio::test]
async fn blockers_on_mariadb() {
    with(Site::Mariadb, a_blocker_that_nothing_proves_is_named_and_left_alone).await;
    with(Site::Mariadb, a_session_of_another_database_is_left_alone).await;
    with(Site::Mariadb, who_queued_behind_us_is_named).await;
    with(Site::Mariadb, the_holder_of_a_row_is_terminated_and_nobody_else).await;
}

const MARIADB_WAITS: &[&str] = &[
    "BEGIN NOT ATOMIC SET lock_wait_timeout = 60; ALTER TABLE held ADD COLUMN j int; END;",
    "EXECUTE IMMEDIATE 'SET STATEMENT innodb_lock_wait_timeout = 60 FOR UPDATE held SET i = 3';",
    "CREATE OR REPLACE PROCEDURE q() BEGIN SET lock_wait_timeout = 60; DROP TABLE held; END; CALL q();",
];

const MYSQL_WAITS: &[&str] = &[
    "DROP PROCEDURE IF EXISTS q; CREATE PROCEDURE q() BEGIN SET lock_wait_timeout = 60; DROP TABLE held; END; CALL q();",
    "DROP PROCEDURE IF EXISTS r; CREATE PROCEDURE r() BEGIN SET innodb_lock_wait_timeout = 60; UPDATE held SET i = 3; END; CALL r();",
];

/// A statement that sets a limit of its own and waits within itself, with a lock timeout of a second: in a script, compiled
/// and as Rust code. An SQLite script sets it before.
async fn the_lock_limit_holds_inside_one_statement(home: &Home) {
    let texts: &[&str] = home.site.pick(
        &["PRAGMA busy_timeout = 60000; INSERT INTO held VALUES (2);"],
        &[
            "DO $$ BEGIN PERFORM set_config('lock' || '_timeout', '60s', true); ALTER TABLE held ADD COLUMN j int; END $$;",
            "DO $$ BEGIN PERFORM set_config('application' || '_name', 'x', true), set_config('lock' || '_timeout', '60s', true); \
             ALTER TABLE held ADD COLUMN j int; END $$;",
            "DO $$ BEGIN EXECUTE 'SET lock_time' || 'out = 0'; LOCK TABLE held IN EXCLUSIVE MODE; UPDATE held SET i = 3; END $$;",
        ],
        if home.site == Site::Mysql { MYSQL_WAITS } else { MARIADB_WAITS },
    );
    home.run("CREATE TABLE held (i int); INSERT INTO held VALUES (1)").await;
    let hold = home.site.pick(
        "BEGIN; SELECT * FROM held",
        "BEGIN; SELECT * FROM held FOR UPDATE",
        "BEGIN; SELECT * FROM held FOR UPDATE",
    );
    for text in texts {
        for way in ["script", "compiled", "native"] {
            let other = home.connect().await;
            other.execute_unprepared(hold).await.unwrap();
            let mut fleet = match way {
                "script" => Fleet::with_scripts(&Migrations::of([]), &[("0001_x.sql", text)]).await,
                _ => Fleet::of(&Migrations::of([sql("m1", [*text])])).await.native(way == "native"),
            };
            fleet.timeouts.cancel = Duration::from_secs(2);
            let begun = Instant::now();
            let record = fleet.up(&home.tenant).await;
            let class = record.error.as_ref().unwrap().class;
            assert!(matches!(class, FaultClass::LockTimeout | FaultClass::Busy), "{way} {text}: {record:?}");
            assert!(begun.elapsed() < Duration::from_secs(6), "{way} {text}: {:?}", begun.elapsed());
            other.close().await.unwrap();
            if home.site.is_mysql() {
                home.run("DROP TABLE IF EXISTS fleet_journal").await;
            }
        }
    }
}
