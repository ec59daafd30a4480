//! Tests that need servers of their own: replication, and MariaDB's plugin for metadata locks.

use std::time::{Duration, Instant};

use serde_json::Value;
use sqlx::{Connection as _, Executor as _, MySqlConnection, Row as _};

use crate::doctoring::{found, one, tenants};
use crate::servers::OwnServers;
use crate::support::{Fleet, block_on, database_of, finish, record, sql, wait};

fn what(finding: &Value) -> &str {
    finding["what"].as_str().unwrap()
}

/// Waits for a state that a server reaches by itself.
#[track_caller]
fn until<T>(ask: impl Fn() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = ask() {
            return found;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "it did not come to that");
        std::thread::sleep(Duration::from_millis(300));
    }
}

#[test]
fn a_standby_and_how_far_it_is_behind_are_told_on_postgres() {
    let own = OwnServers::start();
    let standby = own.standby();
    sql(&own.postgres, "CREATE DATABASE acme");
    let there = format!("{}/postgres", standby.server);
    until(|| (sql(&there, "SELECT datname::text FROM pg_database WHERE datname = 'acme'").len() == 1).then_some(()));
    let mut fleet = Fleet::new().head("[fleet]\nreplication_lag = \"2s\"\n");
    fleet.add("primary", &database_of(&own.postgres, "acme"));
    let report = fleet.run(&["doctor", "--format", "json"]).exits(0).json();
    assert!(found(&report, "warning", "behind").is_empty(), "{report:#}");
    one(&report, "info", "MiB are free on the disk");

    sql(&there, "SELECT pg_wal_replay_pause()::text");
    sql(&fleet.tenant("primary").url.clone(), "CREATE TABLE late (i int)");
    fleet.add("copy", &format!("{}/acme", standby.server));
    let report = until(|| {
        let report = fleet.run(&["doctor", "--format", "json"]).exits(2).json();
        (found(&report, "warning", "behind").len() == 2).then_some(report)
    });
    assert_eq!(tenants(one(&report, "error", "nothing can be written: the server is a standby")), ["copy"]);
    assert!(what(one(&report, "warning", "the server is a standby of 127.0.0.1, ")).ends_with("s behind it"));
    assert!(what(one(&report, "warning", "its follower ")).contains("s behind, and a run makes that more"));
    let ran = fleet.run(&["migrate", "--yes", "--tenant", "primary"]).exits(0);
    assert!(ran.err.contains("its follower "), "the run is warned and goes on: {}", ran.err);
}

#[test]
fn a_replica_and_who_holds_a_table_are_told_on_mariadb() {
    let own = OwnServers::start();
    sql(&own.mysql, "CREATE DATABASE acme");
    let mut fleet = Fleet::new().head("[fleet]\nlock_wait = \"0s\"\n");
    fleet.add("acme", &database_of(&own.mysql, "acme"));
    fleet.run(&["migrate", "--yes", "--to", "tenant_features"]).exits(0);
    let report = fleet.run(&["doctor", "--format", "json"]).exits(0).json();
    one(&report, "info", "INSTALL SONAME 'metadata_lock_info'");
    one(&report, "info", "MiB are free on the disk");

    sql(&own.mysql, "INSTALL SONAME 'metadata_lock_info'");
    let url = &fleet.tenant("acme").url;
    let reader = |query: &'static str| {
        block_on(async {
            let mut reader = MySqlConnection::connect(url).await.unwrap();
            reader.execute(sqlx::raw_sql("BEGIN")).await.unwrap();
            reader.execute(sqlx::raw_sql(query)).await.unwrap();
            let row = reader.fetch_one(sqlx::raw_sql("SELECT CAST(CONNECTION_ID() AS SIGNED)")).await.unwrap();
            let id: i64 = row.get(0);
            (reader, id)
        })
    };
    // The first blocks no one, and is the older one.
    let (mut other, other_id) = reader("SELECT count(*) FROM users");
    let (holder, id) = reader("SELECT count(*) FROM inventory_items");
    std::thread::sleep(Duration::from_millis(2_100));

    let report = fleet.run(&["doctor", "--lock-timeout", "1s", "--format", "json"]).exits(0).json();
    let lock = one(&report, "warning", "inventory_items has been locked (MDL_SHARED_READ)");
    assert_eq!(lock["fix"], format!("KILL {id};"));
    assert!(found(&report, "info", "metadata_lock_info").is_empty(), "{report:#}");

    let waits = ["migrate", "--yes", "--lock-timeout", "6s", "--attempts", "1", "--format", "json"];
    let running = fleet.program(&waits).spawn().unwrap();
    let rows = until(|| {
        let rows = fleet.run(&["locks", "--format", "json"]).exits(0).json()["locks"].as_array().unwrap().clone();
        rows.iter().any(|row| row["is_holder"] == true).then_some(rows)
    });
    let waiting: Vec<&Value> = rows.iter().filter(|row| row["waits_for"] != serde_json::json!([])).collect();
    let holders = rows.iter().filter(|row| row["is_holder"] == true).count();
    assert_eq!((rows.len(), waiting.len(), holders), (3, 1, 1), "the other one is only open: {rows:#?}");
    assert_eq!(waiting[0]["waits_for"], serde_json::json!([id]), "{rows:#?}");
    assert!(rows.iter().all(|row| row["certain"] == true), "the plugin tells: {rows:#?}");
    let ran = wait(running).exits(100);
    let report = ran.json();
    let record = record(&report, "acme");
    assert_eq!(record["blocker"]["id"], id, "{record:#}");
    assert_eq!(record["blocker"]["lock"], "inventory_items (MDL_SHARED_READ)", "{record:#}");
    assert!(!record.to_string().contains(&format!("\"id\":{other_id}")), "{record:#}");

    // Two transactions are open, and only because one is the holder for certain may it be terminated.
    let kill =
        ["migrate", "--yes", "--lock-timeout", "1s", "--kill-blockers", "older-than=1s", "--config", "kill.toml"];
    fleet.head = String::new();
    fleet.write();
    std::fs::rename(fleet.path("tenants.toml"), fleet.path("kill.toml")).unwrap();
    finish(&mut fleet.program(&kill)).exits(0).shows(&[&format!("connection {id}")]);
    block_on(other.execute(sqlx::raw_sql("SELECT 1"))).unwrap();
    drop(holder);
    drop(other);

    // Facts about the whole server are queried once, however many tenants it has.
    let asked = || {
        let shown = sql(
            &own.mysql,
            "SELECT CAST(variable_value AS char) FROM information_schema.global_status WHERE \
                                     variable_name = 'COM_SHOW_SLAVE_STATUS'",
        );
        shown[0].parse::<u64>().unwrap()
    };
    let before = asked();
    for name in ["b", "c", "d"] {
        sql(&own.mysql, &format!("CREATE DATABASE {name}"));
        fleet.add(name, &database_of(&own.mysql, name));
    }
    fleet.run(&["doctor"]).exits(0);
    assert_eq!(asked(), before + 1);

    sql(&own.mysql, "CHANGE MASTER TO MASTER_HOST = 'db1.example.org', MASTER_USER = 'x', MASTER_PASSWORD = 's3cret'");
    let report = fleet.run(&["doctor", "--format", "json"]).exits(0).json();
    let replica = one(&report, "warning", "the server is a replica of db1.example.org, and replication is stopped");
    assert!(what(replica).ends_with("what is changed here is missing there"), "{replica}");
    sql(&own.mysql, "SET GLOBAL read_only = 1");
    let report = fleet.run(&["doctor", "--format", "json"]).exits(2).json();
    one(&report, "error", "nothing can be written: it is read-only");
    assert!(!report.to_string().contains("s3cret"), "{report:#}");
}
