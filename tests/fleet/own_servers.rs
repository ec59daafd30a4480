//! Tests that need servers of their own: replication, and MariaDB's plugin for metadata locks.

mod load;

use std::time::Duration;

use serde_json::Value;
use sqlx::{Connection as _, Executor as _, MySqlConnection, Row as _};

use crate::doctoring::{as_user, found, one, tenants};
use crate::servers::OwnServers;
use crate::support::{Fleet, awaited, block_on, database_of, finish, record, sql, until, wait};

fn what(finding: &Value) -> &str {
    finding["what"].as_str().unwrap()
}

#[test]
fn a_standby_and_how_far_it_is_behind_are_told_on_postgres() {
    let own = OwnServers::start();
    let standby = own.standby();
    sql(&own.postgres, "CREATE DATABASE acme");
    let there = format!("{}/postgres", standby.server);
    until("the database on the standby", || {
        sql(&there, "SELECT datname::text FROM pg_database WHERE datname = 'acme'").len() == 1
    });
    let mut fleet = Fleet::new().head("[fleet]\nreplication_lag = \"2s\"\n");
    fleet.add("primary", &database_of(&own.postgres, "acme"));
    let report = fleet.run(&["doctor", "--format", "json"]).exits(0).json();
    assert!(found(&report, "warning", "behind").is_empty(), "{report:#}");
    one(&report, "info", "MiB are free on the disk");

    sql(&there, "SELECT pg_wal_replay_pause()::text");
    sql(&fleet.tenant("primary").url.clone(), "CREATE TABLE late (i int)");
    fleet.add("copy", &format!("{}/acme", standby.server));
    let report = awaited("both are behind", || {
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
    let rows = awaited("a holder", || {
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
    let report = fleet.run(&["doctor", "--format", "json"]).exits(0).json();
    one(&report, "warning", "read_only of the server is on, and this user may write nevertheless");
    sql(&own.mysql, "CREATE USER plain@'%' IDENTIFIED BY 'x'; GRANT ALL ON acme.* TO plain@'%'");
    let root = std::mem::take(&mut fleet.tenant_mut("acme").url);
    fleet.tenant_mut("acme").url = as_user(&root, "plain", "x");
    let report = fleet.run(&["doctor", "--format", "json"]).exits(0).json();
    let shut = one(&report, "warning", "nothing can be written: read_only of the server is on");
    assert_eq!(tenants(shut), ["acme"], "it is a warning, since no migration is pending: {shut}");
    assert!(!report.to_string().contains("s3cret"), "{report:#}");
}

mod mysql {
    use super::*;
    use crate::servers::OwnMysql;

    /// Each by what the server then refuses, and with the remedy that lifts it.
    #[test]
    fn settings_that_refuse_statements_are_told_before_a_run() {
        let own = OwnMysql::start();
        sql(
            &own.url,
            "CREATE DATABASE acme; CREATE USER plain@'%' IDENTIFIED BY 'x'; GRANT ALL ON acme.* TO plain@'%'",
        );
        let mut fleet = Fleet::new().head("[fleet]\nattempts = 1\n");
        fleet.add("acme", &as_user(&database_of(&own.url, "acme"), "plain", "x"));
        let doctor = |fleet: &Fleet, code| fleet.run(&["doctor", "--format", "json"]).exits(code).json();
        let refused = |fleet: &Fleet, code: &str| drop(fleet.run(&["migrate", "--yes"]).exits(100).shows(&[code]));

        let logged = doctor(&fleet, 0);
        let logged = one(&logged, "warning", "triggers and functions are refused (1419)");
        assert!(logged["fix"].as_str().unwrap().contains("SET GLOBAL log_bin_trust_function_creators = 1"), "{logged}");
        refused(&fleet, "1419");
        sql(&own.url, "SET GLOBAL log_bin_trust_function_creators = 1");
        assert!(found(&doctor(&fleet, 2), "warning", "1419").is_empty());
        fleet.run(&["migrate", "--yes"]).exits(0);

        fleet.head = "[fleet]\nscripts = \"sql\"\nattempts = 1\n".to_owned();
        std::fs::create_dir(fleet.path("sql")).unwrap();
        std::fs::write(fleet.path("sql/0001_b.sql"), "CREATE TABLE b (i int);").unwrap();
        sql(&own.url, "SET GLOBAL sql_require_primary_key = 1");
        one(
            &doctor(&fleet, 0),
            "warning",
            "tables without a primary key are refused (3750): sql_require_primary_key is on",
        );
        refused(&fleet, "3750");
        sql(&own.url, "SET GLOBAL sql_require_primary_key = 0; SET GLOBAL super_read_only = 1");
        one(&doctor(&fleet, 2), "error", "nothing can be written: read_only, super_read_only of the server is on");
        refused(&fleet, "1290");
        sql(&own.url, "SET GLOBAL read_only = 0");
        fleet.run(&["migrate", "--yes"]).exits(0);
    }

    /// A failover that ends while the tenant waits for its second attempt.
    #[test]
    fn a_server_that_takes_no_writes_for_a_moment_is_tried_again() {
        let own = OwnMysql::start();
        let mut fleet = Fleet::new().head("[fleet]\nretry_pause = \"2s\"\n");
        for name in ["one", "two"] {
            sql(&own.url, &format!("CREATE DATABASE {name}"));
            fleet.add(name, &database_of(&own.url, name));
        }
        sql(&own.url, "SET GLOBAL super_read_only = 1");
        let lift = || drop(sql(&own.url, "SET GLOBAL read_only = 0"));
        crate::failovers::writable_after_the_first_attempt(&fleet, "1290", lift);
    }
    /// A group of one member, which takes writes like each of its later ones; in single-primary mode nothing is refused.
    #[test]
    fn a_replication_group_is_refused_in_multi_primary_mode_alone() {
        let own = OwnMysql::start();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        for statement in [
            "INSTALL PLUGIN group_replication SONAME 'group_replication.so'",
            "SET GLOBAL group_replication_group_name = 'aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa'",
            &format!("SET GLOBAL group_replication_local_address = '127.0.0.1:{port}'"),
            "SET GLOBAL group_replication_bootstrap_group = ON",
            "START GROUP_REPLICATION",
            "CREATE DATABASE single",
        ] {
            sql(&own.url, statement);
        }
        let mut fleet = Fleet::new().head("[fleet]\nattempts = 1\n");
        fleet.add("single", &database_of(&own.url, "single"));
        fleet.run(&["migrate", "--yes"]).exits(0);
        for statement in [
            "STOP GROUP_REPLICATION",
            "SET GLOBAL group_replication_single_primary_mode = OFF",
            "SET GLOBAL group_replication_enforce_update_everywhere_checks = ON",
            "START GROUP_REPLICATION",
        ] {
            sql(&own.url, statement);
        }
        refused_until_one_node_is_used(&own.url, "multi-primary mode");
    }
}

/// Doctor and the run refuse the tenant before anything is touched; with the word of its file both go on.
fn refused_until_one_node_is_used(url: &str, cluster: &str) {
    sql(url, "CREATE DATABASE acme");
    let mut fleet = Fleet::new().head("[fleet]\nattempts = 1\n");
    fleet.add("acme", &database_of(url, "acme"));
    let report = fleet.run(&["doctor", "--format", "json"]).exits(2).json();
    let finding = one(&report, "error", "GET_LOCK holds on one node only");
    assert!(what(finding).contains(cluster) && tenants(finding) == ["acme"], "{finding}");
    assert!(finding["fix"].as_str().unwrap().contains("single_writer = true"), "{finding}");
    fleet.run(&["migrate", "--yes"]).exits(100).shows(&[cluster, "nothing was changed", "single_writer = true"]);
    assert_eq!(fleet.history("acme"), None);
    fleet.head += "\n[defaults]\nsingle_writer = true\n";
    fleet.run(&["migrate", "--yes"]).exits(0);
    let report = fleet.run(&["doctor", "--format", "json"]).exits(0).json();
    assert!(found(&report, "error", "GET_LOCK").is_empty(), "{report:#}");
}

#[test]
fn a_cluster_with_many_writers_is_refused_until_the_file_says_that_one_is_used() {
    let own = OwnServers::start();
    own.join_galera();
    refused_until_one_node_is_used(&own.mysql, "a node of a Galera cluster");
}
