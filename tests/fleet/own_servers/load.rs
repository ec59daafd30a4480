//! The load of servers while a run works on them: lock queues, connections and logs that are planted on servers of the test's
//! own, so that no other test is seen in them.

use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::Value;
use sqlx::{Connection as _, Executor as _, MySqlConnection, PgConnection};

use crate::servers::{OwnMysql, OwnServers};
use crate::serving::{LOAD, Served};
use crate::support::{Fleet, all, block_on, database_of, finish, sql, until, wait, with};

/// A session that is open until it is dropped.
enum Open {
    Postgres(PgConnection),
    Mysql(MySqlConnection),
}

impl Open {
    fn on(url: &str, statements: &[&'static str]) -> Self {
        block_on(async {
            if url.starts_with("postgres") {
                let mut connection = PgConnection::connect(url).await.unwrap();
                for statement in statements {
                    connection.execute(sqlx::raw_sql(*statement)).await.unwrap();
                }
                return Open::Postgres(connection);
            }
            let mut connection = MySqlConnection::connect(url).await.unwrap();
            for statement in statements {
                connection.execute(sqlx::raw_sql(*statement)).await.unwrap();
            }
            Open::Mysql(connection)
        })
    }

    fn close(self) {
        block_on(async {
            match self {
                Open::Postgres(connection) => connection.close().await.unwrap(),
                Open::Mysql(connection) => connection.close().await.unwrap(),
            }
        });
    }
}

/// A session that holds a row, and two that wait: for the row, and for its table.
struct LockQueue {
    holder: Open,
    waiting: Vec<JoinHandle<Vec<String>>>,
}

impl LockQueue {
    fn on(url: &str) -> Self {
        sql(url, "DROP TABLE IF EXISTS queued");
        sql(url, "CREATE TABLE queued (i int PRIMARY KEY)");
        sql(url, "INSERT INTO queued VALUES (1)");
        let holder = Open::on(url, &["BEGIN", "SELECT i FROM queued FOR UPDATE"]);
        let wait = |query: &'static str| {
            let url = url.to_owned();
            std::thread::spawn(move || sql(&url, query))
        };
        let waiting = vec![wait("SELECT i FROM queued FOR UPDATE"), wait("ALTER TABLE queued ADD j int")];
        let count = match &holder {
            Open::Postgres(_) => "SELECT count(DISTINCT pid)::text FROM pg_locks WHERE NOT granted",
            Open::Mysql(_) => {
                "SELECT CAST(COUNT(*) AS CHAR) FROM information_schema.processlist WHERE command = 'Query' AND time >= 1 AND \
                 (info LIKE 'SELECT i FROM queued%' OR info LIKE 'ALTER TABLE queued%')"
            }
        };
        until("two sessions wait", || sql(url, count) == ["2"]);
        LockQueue { holder, waiting }
    }

    fn release(self) {
        self.holder.close();
        for thread in self.waiting {
            thread.join().unwrap();
        }
    }
}

/// Two tenants on a server, `db7`, and two files.
fn fleet(server: &str, settings: &str) -> Fleet {
    let mut fleet = Fleet::new().sqlite(2).head(&format!("[fleet]\nload_interval = \"200ms\"\n{settings}"));
    for id in ["first", "second"] {
        let database = fleet.unique(id).replace('-', "_");
        sql(server, &format!("CREATE DATABASE {database}"));
        fleet.add(id, &database_of(server, &database));
        fleet.tenant_mut(id).more = "server = \"db7\"\n".to_owned();
    }
    fleet.write();
    fleet
}

/// The readings of `db7` among the lines of a run.
fn readings(lines: &str) -> Vec<Value> {
    let events = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    events.filter(|event| event["event"] == "server_load" && event["server"] == "db7").collect()
}

const WAITS: &str = "2 sessions wait for locks (at most 1)";

/// The run waits for the server, while the files are migrated, and goes on when the queue is gone.
fn waits_and_goes_on(server: &str, aside: &str) {
    let fleet = fleet(server, "max_lock_waits = 1\nmax_replication_lag = \"1h\"\n");
    let queue = LockQueue::on(aside);
    let going = fleet.program(&["migrate", "--yes", "--format", "jsonl", "--no-preflight"]).spawn().unwrap();
    let is_done = |id: &str| fleet.history(id).is_some_and(|history| history == all());
    until("the files are migrated", || is_done("lite-000") && is_done("lite-001"));
    let served = Served::start(&fleet, &[]);
    until("the numbers are told", || served.get("/metrics").contains("fleet_server_lock_waits{server=\"db7\"} 2\n"));
    let metrics = served.get("/metrics");
    let told = |name: &str| metrics.contains(&format!("{name}{{server=\"db7\"}} "));
    assert!(LOAD[..3].iter().all(|name| told(name)), "{metrics}");
    let of_load = |name: &&str| name.starts_with("fleet_server_") && *name != "fleet_server_tenants";
    let helped = metrics.lines().filter_map(|line| line.strip_prefix("# HELP ")?.split(' ').next()).filter(of_load);
    let unknown: Vec<&str> = helped.filter(|name| !LOAD.contains(name)).collect();
    assert!(unknown.is_empty(), "the examples lack {unknown:?}");
    let page = served.get("/runs/last/progress");
    assert!(page.contains("db7") && page.contains("2 waiting for locks"), "{page}");
    assert!(["first", "second"].iter().all(|id| fleet.history(id).is_none()), "nothing of them was begun");
    queue.release();
    let ran = wait(going)
        .exits(0)
        .tells(&[&format!("nothing new is started on server db7: {WAITS}"), "server db7 is within its limits again"]);
    assert!(is_done("first") && is_done("second"));
    let told = readings(&ran.out);
    assert_eq!(told[0]["over"][0]["limit"], "max_lock_waits", "it is read before anything is started: {told:?}");
    assert_eq!(told.iter().filter(|reading| reading["turns"] == true && reading["over"].is_null()).count(), 1);
    assert!(told.iter().all(|reading| reading["connections"]["most"].as_u64() > Some(0)), "{told:?}");
    fleet.run(&["runs", "show", "last"]).exits(0).shows(&["load", WAITS]);
}

/// It stays beyond its limit: the run pauses, says why, and is gone on with.
fn pauses_and_is_resumed(server: &str, aside: &str) {
    let fleet = fleet(server, "max_lock_waits = 1\nload_wait = \"1s\"\n");
    let queue = LockQueue::on(aside);
    let ran = finish(&mut fleet.program(&["migrate", "--yes", "--no-preflight"])).exits(5);
    let ran = ran.shows(&["Stopped early: server db7 stayed beyond its limits for ", WAITS, "runs resume"]);
    ran.tells(&["it goes on with `runs resume`"]);
    let shown = fleet.run(&["runs", "show", "last", "--all", "--format", "json"]).exits(0).json();
    assert_eq!(with(&shown, "not_started"), ["first", "second"], "{shown:#}");
    assert_eq!((&shown["result"], &shown["stats"]["stopped"]), (&"paused".into(), &"overloaded".into()), "{shown:#}");
    fleet.run(&["runs", "show", "last"]).exits(0).shows(&[WAITS, "runs resume"]);
    // As long as it is so, whoever goes on waits as well.
    fleet.run(&["runs", "resume", "last", "--yes", "--no-preflight"]).exits(5).shows(&[WAITS]);
    queue.release();
    fleet.run(&["runs", "resume", "last", "--yes"]).exits(0).shows(&["2 migrated"]);
}

/// 1% of 400 connections are 4.
fn waits_for_connections(server: &str, aside: &str) {
    let fleet = fleet(server, "max_connections_share = \"1%\"\nload_wait = \"1s\"\n");
    let sessions: Vec<Open> = (0..8).map(|_| Open::on(aside, &[])).collect();
    let ran = fleet.run(&["migrate", "--yes", "--no-preflight", "--concurrency", "1"]).exits(5);
    ran.shows(&[" connections are in use (at most 1%)", "runs resume"]);
    assert!(fleet.history("first").is_none());
    sessions.into_iter().for_each(Open::close);
    // A server may take a moment to forget them.
    std::thread::sleep(Duration::from_secs(1));
    fleet
        .run(&["runs", "resume", "last", "--yes", "--no-preflight", "--concurrency", "1"])
        .exits(0)
        .shows(&["2 migrated"]);
}

/// The first tenant's migrations are more than the log may grow by.
fn pauses_when_the_log_has_grown(server: &str) {
    let fleet = fleet(server, "max_log_growth = \"1kB\"\nload_wait = \"0s\"\n");
    let ran = fleet.run(&["migrate", "--yes", "--no-preflight", "--concurrency", "1", "--rate", "1/s"]).exits(5);
    ran.shows(&["server db7 is beyond its limits: ", "were written to its log during this run", "1 not started"]);
    assert_eq!(fleet.history("first").unwrap(), all());
    assert!(fleet.history("second").is_none());
    fleet.run(&["runs", "resume", "last", "--yes", "--no-preflight"]).exits(0).shows(&["1 migrated"]);
}

fn aside(server: &str) -> String {
    sql(server, "CREATE DATABASE aside");
    database_of(server, "aside")
}

#[test]
fn a_run_waits_for_a_server_beyond_a_limit_and_pauses_where_it_stays_so_on_postgres() {
    let own = OwnServers::start();
    let aside = aside(&own.postgres);
    waits_and_goes_on(&own.postgres, &aside);
    pauses_and_is_resumed(&own.postgres, &aside);
    waits_for_connections(&own.postgres, &aside);
    pauses_when_the_log_has_grown(&own.postgres);
}

#[test]
fn a_run_waits_for_a_server_beyond_a_limit_and_pauses_where_it_stays_so_on_mariadb() {
    let own = OwnServers::start();
    let aside = aside(&own.mysql);
    waits_and_goes_on(&own.mysql, &aside);
    pauses_and_is_resumed(&own.mysql, &aside);
    waits_for_connections(&own.mysql, &aside);
    // A limit that can't be kept stops nothing, and is told.
    let fleet = fleet(&own.mysql, "max_replication_lag = \"1s\"\n");
    fleet.run(&["migrate", "--yes"]).exits(0).tells(&["server db7: max_replication_lag is not kept: "]);
}

mod mysql {
    use super::*;

    #[test]
    fn a_run_waits_for_a_server_beyond_a_limit_and_pauses_where_it_stays_so() {
        let own = OwnMysql::start();
        let aside = aside(&own.url);
        waits_and_goes_on(&own.url, &aside);
        pauses_and_is_resumed(&own.url, &aside);
        waits_for_connections(&own.url, &aside);
        pauses_when_the_log_has_grown(&own.url);
    }
}

#[test]
fn a_replica_that_is_behind_is_waited_for_on_postgres() {
    let own = OwnServers::start();
    let standby = own.standby();
    let fleet = fleet(&own.postgres, "max_replication_lag = \"1s\"\nload_wait = \"2s\"\n");
    let there = format!("{}/postgres", standby.server);
    sql(&there, "SELECT pg_wal_replay_pause()::text");
    let aside = aside(&own.postgres);
    sql(&aside, "CREATE TABLE late (i int)");
    std::thread::sleep(Duration::from_secs(3));
    let ran = fleet.run(&["migrate", "--yes", "--no-preflight"]).exits(5);
    ran.shows(&["a replica is ", " behind (at most 1.0s)", "runs resume"]);
    assert!(fleet.history("first").is_none());
    sql(&there, "SELECT pg_wal_replay_resume()::text");
    fleet.run(&["runs", "resume", "last", "--yes", "--no-preflight"]).exits(0).shows(&["2 migrated"]);
}

#[test]
fn files_are_not_touched_where_their_disk_is_too_full() {
    let fleet = Fleet::new().sqlite(2).head("[fleet]\nmin_free_space = \"900000TB\"\nload_wait = \"0s\"\n");
    fleet.write();
    let ran = fleet.run(&["migrate", "--yes", "--no-preflight"]).exits(5);
    ran.shows(&["server local is beyond its limits: ", " of its disk are free (at least 900000TB)"]);
    assert!(fleet.history("lite-000").is_none());
}
