//! Application sessions that hold locks needed by a migration, on ten tenants out of a hundred.
//!
//! They release their locks at a fixed time, whatever the run does meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _};

use crate::after::{self, Running, audit, is_true};
use crate::killed::hundred;
use crate::process::{Fleet, TenantDb, block_on, json_file, record, with};
use crate::server::Server;
use crate::tally::Tally;

/// A connection of an application.
enum Session {
    Postgres(sqlx::PgConnection),
    Mysql(sqlx::MySqlConnection),
    Sqlite(sqlx::SqliteConnection),
}

impl Session {
    fn open(fleet: &Fleet, tenant: &TenantDb) -> Session {
        block_on(async {
            if let Some(file) = tenant.url.strip_prefix("sqlite:") {
                let url = format!("sqlite:{}", fleet.path(file).display());
                Session::Sqlite(sqlx::SqliteConnection::connect(&url).await.unwrap())
            } else if tenant.url.starts_with("postgres") {
                let url = format!("{}?application_name=webapp", tenant.url);
                let mut connection = sqlx::PgConnection::connect(&url).await.unwrap();
                if let Some(schema) = &tenant.schema {
                    connection.execute(AssertSqlSafe(format!("SET search_path TO {schema}"))).await.unwrap();
                }
                Session::Postgres(connection)
            } else {
                Session::Mysql(sqlx::MySqlConnection::connect(&tenant.url).await.unwrap())
            }
        })
    }

    fn run(&mut self, query: &str) {
        let query = sqlx::raw_sql(AssertSqlSafe(query.to_owned()));
        block_on(async {
            match self {
                Session::Postgres(connection) => query.execute(connection).await.map(drop),
                Session::Mysql(connection) => query.execute(connection).await.map(drop),
                Session::Sqlite(connection) => query.execute(connection).await.map(drop),
            }
        })
        .unwrap();
    }

    fn close(self) {
        block_on(async {
            match self {
                Session::Postgres(connection) => connection.close().await,
                Session::Mysql(connection) => connection.close().await,
                Session::Sqlite(connection) => connection.close().await,
            }
        })
        .unwrap();
    }
}

/// Ten of the tenants, spread over all of them.
fn ten(fleet: &Fleet) -> Vec<TenantDb> {
    let step = fleet.tenants.len() / 10;
    fleet.tenants.iter().skip(step / 2 - 1).step_by(step).cloned().collect()
}

/// Application readers, one per tenant, that never stop reading, with the duration of the slowest read.
struct Readers {
    ended: Arc<AtomicBool>,
    threads: Vec<JoinHandle<Duration>>,
}

impl Readers {
    fn start(fleet: &Fleet, tenants: &[TenantDb]) -> Readers {
        let ended = Arc::new(AtomicBool::new(false));
        let read = |tenant: &TenantDb| {
            let mut session = Session::open(fleet, tenant);
            let ended = ended.clone();
            std::thread::spawn(move || {
                let mut worst = Duration::ZERO;
                while !ended.load(Ordering::Relaxed) {
                    let begun = Instant::now();
                    session.run("SELECT count(*) FROM accounts");
                    worst = worst.max(begun.elapsed());
                    std::thread::sleep(Duration::from_millis(20));
                }
                session.close();
                worst
            })
        };
        let threads = tenants.iter().map(read).collect();
        Readers { ended, threads }
    }

    fn worst(self) -> Duration {
        self.ended.store(true, Ordering::Relaxed);
        self.threads.into_iter().map(|thread| thread.join().unwrap()).max().unwrap()
    }
}

/// The result of a run during which ten tenants are held for `time`, and the time at which the others were done.
fn held_run(fleet: &Fleet, mut holders: Vec<Session>, release: &[&str], time: Duration) -> (Value, Duration) {
    let begun = Instant::now();
    let mut run = Running::start(fleet, &["migrate", "--yes", "--report", "json=run.json"]);
    run.until_finished(fleet.tenants.len() - holders.len());
    let others = begun.elapsed();
    // On a slow machine the last of the ten has only just begun to wait: it runs into its limit all the same.
    std::thread::sleep(time.saturating_sub(others).max(LOCK_TIMEOUT + Duration::from_secs(1)));
    for (holder, release) in holders.iter_mut().zip(release) {
        holder.run(release);
    }
    let (code, said) = run.end();
    assert_eq!(code, Some(0), "{said}");
    holders.into_iter().for_each(Session::close);
    (json_file(&fleet.path("run.json")), others)
}

/// Asserts that the other tenants succeeded at the first try, and the ten were retried and succeeded too.
#[track_caller]
fn only_the_ten_waited(fleet: &Fleet, report: &Value, held: &[TenantDb], tally: &mut Tally) {
    tally.report(report);
    is_true(fleet, report);
    assert_eq!(with(report, "migrated").len(), fleet.tenants.len(), "{report:#}");
    for tenant in &fleet.tenants {
        let attempts = record(report, &tenant.id)["attempts"].as_u64().unwrap();
        if held.iter().any(|held| held.id == tenant.id) {
            assert!(attempts > 1, "{} was not held: {report:#}", tenant.id);
            tally.fault();
        } else {
            assert_eq!(attempts, 1, "{} waited for others", tenant.id);
        }
    }
    let (lost, twice) = audit(fleet);
    tally.books(lost, twice);
}

/// With less patience than the holders, the ten are reported correctly: locks not granted, with their holders.
#[track_caller]
fn ends_as_lock_timeout(
    fleet: &mut Fleet,
    held: &[TenantDb],
    holders: Vec<Session>,
    tally: &mut Tally,
    names: impl Fn(&TenantDb, &Value) -> bool,
) {
    let head = std::mem::replace(
        &mut fleet.head,
        "[fleet]\nconcurrency = 8\nlock_timeout = \"1s\"\nlock_wait = \"4s\"\nhold_wait = \"4s\"".to_owned(),
    );
    let (ran, report) = after::reported(fleet, &["migrate", "--yes"]);
    let (ran, report) = (ran.exits(100), report.unwrap());
    tally.report(&report);
    is_true(fleet, &report);
    let ids: Vec<String> = held.iter().map(|tenant| tenant.id.clone()).collect();
    assert_eq!(with(&report, "lock_timeout"), ids, "{}\n{}", ran.out, ran.err);
    assert_eq!(with(&report, "migrated").len(), fleet.tenants.len() - held.len());
    for tenant in held {
        let record = record(&report, &tenant.id);
        assert!(names(tenant, record), "{record:#}");
        tally.fault();
    }
    ran.shows(&["migrate --failed-of"]);
    holders.into_iter().for_each(Session::close);
    fleet.run(&["migrate", "--failed-of", "last", "--yes"]).exits(0);
    let (lost, twice) = audit(fleet);
    tally.books(lost, twice);
    after::rewind(fleet);
    fleet.head = head;
}

fn open(fleet: &Fleet, held: &[TenantDb], queries: &[&str]) -> Vec<Session> {
    let open = |(tenant, query): (&TenantDb, &&str)| {
        let mut session = Session::open(fleet, tenant);
        session.run(query);
        session
    };
    held.iter().zip(queries).map(open).collect()
}

#[expect(clippy::print_stderr, reason = "figures for whoever reads the output of the suite")]
fn tell(engine: &str, time: Duration, others: Duration, worst: Duration) {
    eprintln!(
        "{engine}: held for {time:.1?}; the others were done after {others:.1?}; the worst read took {worst:.1?}"
    );
}

/// The README's lock timeout: no wait of ours is longer.
const LOCK_TIMEOUT: Duration = Duration::from_secs(3);

#[test]
fn ten_of_100_on_postgres_are_held_by_idle_transactions_for_20_seconds() {
    let server = Server::start("postgres");
    let mut fleet = hundred(&server, Fleet::new().head("[fleet]\nconcurrency = 8\nper_server = 8"));
    after::open(&fleet);
    let held = ten(&fleet);
    let mut tally = Tally::new("idle transaction holds the table", "PostgreSQL");
    let queries = ["BEGIN; SELECT count(*) AS held FROM accounts"; 10];
    let holders = open(&fleet, &held, &queries);
    ends_as_lock_timeout(&mut fleet, &held, holders, &mut tally, |_, record| {
        record["blocker"]["application"] == "webapp"
            && record["blocker"]["id"].as_i64().is_some_and(|pid| pid > 0)
            && record["blocker"]["query"].as_str().is_some_and(|query| query.contains("AS held FROM accounts"))
    });

    let holders = open(&fleet, &held, &queries);
    let readers = Readers::start(&fleet, &held);
    let time = Duration::from_secs(20);
    let (report, others) = held_run(&fleet, holders, &["COMMIT"; 10], time);
    let worst = readers.worst();
    tell("PostgreSQL", time, others, worst);
    // Allows for a busy machine.
    assert!(worst < LOCK_TIMEOUT * 2, "a reader stalled for {worst:?}");
    only_the_ten_waited(&fleet, &report, &held, &mut tally);
    tally.close();
}

#[test]
fn ten_of_100_on_mariadb_are_held_by_transactions_table_locks_and_named_locks() {
    held_by_transactions_table_locks_and_named_locks(Fleet::new().mariadb(100), "MariaDB");
}

mod mysql {
    use crate::process::Fleet;

    /// Of fewer in the ordinary tests: a database of MySQL takes several times as long to make as one of MariaDB.
    #[test]
    fn ten_are_held_by_transactions_table_locks_and_named_locks() {
        let fleet = Fleet::new().mysql(if crate::tally::thorough() { 100 } else { 30 });
        super::held_by_transactions_table_locks_and_named_locks(fleet, "MySQL");
    }
}

fn held_by_transactions_table_locks_and_named_locks(fleet: Fleet, engine: &'static str) {
    let mut fleet = fleet.head("[fleet]\nconcurrency = 8\nper_server = 8");
    after::open(&fleet);
    let held = ten(&fleet);
    let mut tally = Tally::new("open transaction, table lock, named lock", engine);
    // Four read in a transaction that stays open, three hold a table lock, three hold fleet's own tenant lock.
    let transaction = "START TRANSACTION; SELECT count(*) AS held FROM accounts";
    let named = "DO GET_LOCK(CONCAT('fleet:', SUBSTRING(SHA2(DATABASE(), 256), 1, 56)), 0)";
    let table = "LOCK TABLES accounts READ";
    let queries = [transaction, transaction, transaction, transaction, table, table, table, named, named, named];
    let holders = open(&fleet, &held, &queries);
    let kinds: Vec<(String, &str)> = held.iter().map(|tenant| tenant.id.clone()).zip(queries).collect();
    ends_as_lock_timeout(&mut fleet, &held, holders, &mut tally, |tenant, record| {
        let kind = kinds.iter().find(|(id, _)| *id == tenant.id).unwrap().1;
        match kind {
            // MariaDB does not report the holders of a table lock or a metadata lock; the open transaction is the
            // probable one. MySQL does.
            "LOCK TABLES accounts READ" => {
                let is_named = record["blocker"]["id"].as_i64().is_some_and(|id| id > 0);
                record["error"]["code"] == "1205" && (engine == "MariaDB" || is_named)
            }
            kind if kind.starts_with("START") => record["blocker"]["id"].as_i64().is_some_and(|id| id > 0),
            _ => record["error"]["class"] == "tenant_locked",
        }
    });

    let holders = open(&fleet, &held, &queries);
    let readers = Readers::start(&fleet, &held);
    let time = Duration::from_secs(if crate::tally::thorough() { 20 } else { 8 });
    let release = ["COMMIT; UNLOCK TABLES; DO RELEASE_ALL_LOCKS()"; 10];
    let (report, others) = held_run(&fleet, holders, &release, time);
    let worst = readers.worst();
    tell(engine, time, others, worst);
    assert!(worst < LOCK_TIMEOUT * 2, "a reader stalled for {worst:?}");
    only_the_ten_waited(&fleet, &report, &held, &mut tally);
    tally.close();
}

#[test]
fn ten_of_100_on_sqlite_are_held_by_a_writer() {
    let mut fleet = Fleet::new().sqlite(100).head("[fleet]\nconcurrency = 8");
    after::open(&fleet);
    let held = ten(&fleet);
    let mut tally = Tally::new("writer holds the file", "SQLite");
    let queries = ["BEGIN IMMEDIATE"; 10];
    let holders = open(&fleet, &held, &queries);
    let us = i64::from(std::process::id());
    ends_as_lock_timeout(&mut fleet, &held, holders, &mut tally, |_, record| record["blocker"]["id"] == us);

    let holders = open(&fleet, &held, &queries);
    let readers = Readers::start(&fleet, &held);
    let time = Duration::from_secs(if crate::tally::thorough() { 20 } else { 8 });
    let (report, others) = held_run(&fleet, holders, &["COMMIT"; 10], time);
    tell("SQLite", time, others, readers.worst());
    only_the_ten_waited(&fleet, &report, &held, &mut tally);
    tally.close();
}
