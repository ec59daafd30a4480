//! Ctrl-C and SIGTERM: once drains, twice cancels, on the servers too.

use std::process::Child;
use std::time::{Duration, Instant};

use sqlx::{Connection, Executor};

use crate::killed::read_until;
use crate::support::{Fleet, all, block_on, json_file, record, signal, sql, wait_for_end, with};

/// A lock in a tenant's database that allows reading its history and blocks adding to it.
pub(crate) enum Held {
    Sqlite(sqlx::SqliteConnection),
    Postgres(sqlx::PgConnection),
    Mysql(sqlx::MySqlConnection),
}

impl Held {
    pub(crate) fn on(fleet: &Fleet, id: &str) -> Self {
        let url = fleet.tenant(id).url.clone();
        block_on(async {
            if let Some(file) = url.strip_prefix("sqlite:") {
                let url = format!("sqlite:{}", fleet.path(file).display());
                let mut connection = sqlx::SqliteConnection::connect(&url).await.unwrap();
                connection.execute("BEGIN IMMEDIATE").await.unwrap();
                Held::Sqlite(connection)
            } else if url.starts_with("postgres") {
                let mut connection = sqlx::PgConnection::connect(&url).await.unwrap();
                connection.execute("BEGIN").await.unwrap();
                connection.execute("LOCK TABLE seaql_migrations IN EXCLUSIVE MODE").await.unwrap();
                Held::Postgres(connection)
            } else {
                let mut connection = sqlx::MySqlConnection::connect(&url).await.unwrap();
                connection.execute("LOCK TABLES seaql_migrations READ").await.unwrap();
                Held::Mysql(connection)
            }
        })
    }

    pub(crate) fn release(self) {
        block_on(async {
            match self {
                Held::Sqlite(connection) => connection.close().await.unwrap(),
                Held::Postgres(connection) => connection.close().await.unwrap(),
                Held::Mysql(connection) => connection.close().await.unwrap(),
            }
        });
    }
}

/// Five tenants one after another; the second one's database is locked, and the run waits there.
fn waiting(fleet: &Fleet, report: &str, more: &[&str]) -> (Child, Held) {
    let held = Held::on(fleet, "lite-001");
    fleet.write();
    let report = format!("json={report}");
    let arguments = ["migrate", "--yes", "--concurrency", "1", "--lock-timeout", "100s", "--report", &report];
    let mut child = fleet.program(&[&arguments, more].concat()).spawn().unwrap();
    read_until(&mut child, |line| line.contains("lite-000  migrated"));
    // The next tenant is started at once; nothing signals that it has reached the lock.
    std::thread::sleep(Duration::from_millis(700));
    (child, held)
}

fn drains(name: &str, code: i32) {
    let fleet = Fleet::new().sqlite(5);
    let (mut child, held) = waiting(&fleet, "first.json", &[]);
    signal(&child, name);
    std::thread::sleep(Duration::from_millis(300));
    assert!(child.try_wait().unwrap().is_none(), "it does not leave a tenant that is in flight");
    held.release();
    assert_eq!(wait_for_end(&mut child), Some(code));

    let report = json_file(&fleet.path("first.json"));
    assert_eq!(with(&report, "migrated"), ["lite-000", "lite-001"]);
    assert_eq!(with(&report, "not_started"), ["lite-002", "lite-003", "lite-004"]);
    assert_eq!(record(&report, "lite-002")["reason"], "interrupted");
    assert!(fleet.history("lite-002").is_none());
    let resume = report["rerun"].as_str().unwrap();
    assert!(resume.starts_with("small runs resume "), "{resume}");

    fleet.run(&["runs", "resume", "last", "--yes"]).exits(0);
    for tenant in &fleet.tenants {
        assert_eq!(fleet.history(&tenant.id).unwrap(), all(), "{}", tenant.id);
    }
    fleet.run(&["runs", "resume", report["run"].as_str().unwrap(), "--yes"]).exits(0);
}

#[test]
fn ctrl_c_finishes_what_is_in_flight_and_resume_does_the_rest() {
    drains("INT", 130);
}

#[test]
fn a_termination_does_the_same_with_its_own_code() {
    drains("TERM", 143);
}

#[test]
fn ctrl_c_twice_cancels_what_waits_for_a_lock() {
    let fleet = Fleet::new().sqlite(5);
    let (mut child, held) = waiting(&fleet, "first.json", &[]);
    signal(&child, "INT");
    std::thread::sleep(Duration::from_millis(300));
    let begun = Instant::now();
    signal(&child, "INT");
    assert_eq!(wait_for_end(&mut child), Some(130));
    assert!(begun.elapsed() < Duration::from_secs(30), "it did not wait for the lock's 100 s");
    let report = json_file(&fleet.path("first.json"));
    assert_eq!(with(&report, "interrupted"), ["lite-001"]);
    assert_eq!(with(&report, "not_started"), ["lite-002", "lite-003", "lite-004"]);
    held.release();
    assert!(fleet.history("lite-001").is_none());
    fleet.run(&["runs", "resume", "last", "--yes"]).exits(0);
    assert_eq!(fleet.history("lite-001").unwrap(), all());
}

/// Rust code that computes or calls others and asks nobody whether it is to stop.
fn code_that_blocks_its_thread(fleet: Fleet) {
    let kind = fleet.tenants[0].id.clone();
    fleet.write();
    let arguments = ["migrate", "--native", "--yes", "--concurrency", "1", "--report", "json=run.json"];
    let mut child = fleet.program(&arguments).env("SMALL_BLOCKS", fleet.path("blocks")).spawn().unwrap();
    while !fleet.path("blocks").exists() {
        assert!(child.try_wait().unwrap().is_none(), "{kind}: it has ended before");
        std::thread::sleep(Duration::from_millis(20));
    }
    signal(&child, "INT");
    std::thread::sleep(Duration::from_millis(500));
    assert!(child.try_wait().unwrap().is_none(), "{kind}: it does not leave a tenant that is in flight");
    let begun = Instant::now();
    signal(&child, "INT");
    assert_eq!(wait_for_end(&mut child), Some(130), "{kind}");
    assert!(begun.elapsed() < Duration::from_secs(120), "{kind}: the code blocks for 600 s");
    let report = json_file(&fleet.path("run.json"));
    let outcome = record(&report, &kind)["outcome"].as_str().unwrap().to_owned();
    assert!(["interrupted", "in_doubt"].contains(&&*outcome), "{kind}: {report:#}");
    let others: Vec<&str> = fleet.tenants[1..].iter().map(|tenant| &*tenant.id).collect();
    assert_eq!(with(&report, "not_started"), others, "{kind}");
    assert!(others.iter().all(|id| fleet.history(id).is_none()), "{kind}: nothing new was begun");
    if outcome == "interrupted" {
        fleet.run(&["runs", "resume", "last", "--native", "--yes"]).exits(0);
        assert_eq!(fleet.history(&kind).unwrap(), all());
    }
}

#[test]
fn ctrl_c_twice_ends_a_run_whose_rust_code_blocks_its_thread() {
    code_that_blocks_its_thread(Fleet::new().sqlite(3));
    code_that_blocks_its_thread(Fleet::new().postgres(2));
    code_that_blocks_its_thread(Fleet::new().mariadb(2));
}

mod mysql {
    use super::*;

    #[test]
    fn ctrl_c_twice_ends_a_run_whose_rust_code_blocks_its_thread() {
        code_that_blocks_its_thread(Fleet::new().mysql(2));
    }
}

#[test]
fn ctrl_c_twice_cancels_on_the_servers() {
    let fleet = Fleet::new().postgres(1).mariadb(1);
    fleet.run(&["migrate", "--steps", "1", "--yes"]).exits(0);
    let held = ["pg-000", "my-000"].map(|id| Held::on(&fleet, id));
    let arguments = ["migrate", "--yes", "--lock-timeout", "100s", "--report", "json=second.json"];
    let mut child = fleet.program(&arguments).spawn().unwrap();
    read_until(&mut child, |line| line.contains("wave rest"));
    std::thread::sleep(Duration::from_millis(2_000));
    signal(&child, "INT");
    std::thread::sleep(Duration::from_millis(300));
    assert!(child.try_wait().unwrap().is_none());
    signal(&child, "INT");
    assert_eq!(wait_for_end(&mut child), Some(130));

    let report = json_file(&fleet.path("second.json"));
    assert_eq!(record(&report, "pg-000")["outcome"], "interrupted", "{report:#}");
    let outcome = record(&report, "my-000")["outcome"].as_str().unwrap();
    assert!(["interrupted", "in_doubt"].contains(&outcome), "{report:#}");
    for held in held {
        held.release();
    }
    let name = |id: &str| fleet.tenant(id).url.rsplit('/').next().unwrap().to_owned();
    let left = sql(
        &crate::support::postgres_url(),
        &format!(
            "SELECT pid FROM pg_stat_activity WHERE datname = '{}' AND application_name LIKE 'fleet%'",
            name("pg-000")
        ),
    );
    assert_eq!(left, [""; 0], "a session is left on PostgreSQL");
    let query =
        format!("SELECT info FROM information_schema.processlist WHERE db = '{}' AND info IS NOT NULL", name("my-000"));
    assert_eq!(sql(&crate::support::mariadb_url(), &query), [""; 0], "a statement is left on MariaDB");
    assert_eq!(fleet.history("pg-000").unwrap(), all()[..1]);
    fleet.run(&["runs", "resume", "last", "--yes", "--tenant", "pg-000"]);
}

/// The ledger's server goes away in the middle of a run: the work in flight ends, no other tenant is started, and it is
/// reported.
#[test]
fn a_ledger_that_is_lost_stops_the_run() {
    // Many, because each takes milliseconds and the ledger is written in batches.
    let mut fleet = Fleet::new().sqlite(300);
    let ledger = fleet.database("postgres", "ledger");
    let (mut child, held) = waiting(&fleet, "first.json", &["--ledger", &ledger]);
    let name = ledger.rsplit('/').next().unwrap();
    sql(&crate::support::postgres_url(), &format!("DROP DATABASE {name} WITH (FORCE)"));
    held.release();
    assert_eq!(wait_for_end(&mut child), Some(75));
    let report = json_file(&fleet.path("first.json"));
    assert_eq!(with(&report, "migrated")[..2], ["lite-000", "lite-001"], "what was in flight has ended");
    assert!(!with(&report, "not_started").is_empty(), "{report:#}");
    for tenant in with(&report, "not_started") {
        assert!(fleet.history(&tenant).is_none(), "{tenant} was touched");
        assert_eq!(record(&report, &tenant)["reason"], "ledger");
    }
}
