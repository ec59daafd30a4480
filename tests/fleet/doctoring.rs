//! `fleet doctor`, and the look at the servers before a run: each finding made on a real server, and an outage in which
//! nothing starts.

use std::net::TcpListener;
use std::time::Duration;

use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection as _, MySqlConnection, PgConnection};

use crate::pgbouncer::Pgbouncer;
use crate::support::{Fleet, block_on, mysql_url, postgres_url, sql};

/// The findings of one severity whose text holds a word.
fn found<'a>(report: &'a Value, severity: &str, word: &str) -> Vec<&'a Value> {
    let is = |f: &&Value| f["severity"] == severity && f["what"].as_str().unwrap().contains(word);
    report["findings"].as_array().unwrap().iter().filter(is).collect()
}

#[track_caller]
fn one<'a>(report: &'a Value, severity: &str, word: &str) -> &'a Value {
    let all = found(report, severity, word);
    assert_eq!(all.len(), 1, "{severity} {word}: {report:#}");
    all[0]
}

fn tenants(finding: &Value) -> Vec<&str> {
    finding["tenants"].as_array().unwrap().iter().map(|t| t.as_str().unwrap()).collect()
}

/// The URL with another user.
fn as_user(url: &str, user: &str, password: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap();
    format!("{scheme}://{user}:{password}@{}", rest.split_once('@').unwrap().1)
}

#[test]
fn a_sound_fleet_has_no_errors_and_is_described() {
    let fleet = Fleet::new().sqlite(2).postgres(2).mariadb(2);
    let report = fleet.run(&["doctor", "--format", "json"]).exits(0).json();
    assert_eq!(report["tenants"], 6);
    for word in ["PostgreSQL ", "MariaDB ", "SQLite ", "MiB are free", "pg_dump", "mariadb-dump"] {
        assert!(!found(&report, "info", word).is_empty(), "{word}: {report:#}");
    }
    assert_eq!(found(&report, "error", ""), [&Value::Null; 0]);
    assert!(fleet.history("pg-000").is_none() && fleet.history("lite-000").is_none(), "nothing was made");
    fleet.run(&["doctor"]).exits(0).shows(&["0 errors", "on 6 tenants"]);
    fleet.run(&["doctor", "--format", "csv"]).exits(0).shows(&["severity,server,tenants,finding,fix", "info,"]);
    fleet.run(&["doctor", "--format", "md"]).exits(0).shows(&["| Severity | Server |"]);
}

#[test]
fn what_would_make_a_run_fail_or_wait_is_found_on_postgres() {
    let mut fleet = Fleet::new().head("[fleet]\nlong_transaction = \"1s\"\n").postgres(3);
    let pooler = Pgbouncer::start(&postgres_url(), "");
    let (role, few) = (fleet.unique("r"), fleet.unique("few"));
    sql(&postgres_url(), &format!("CREATE ROLE {role} LOGIN PASSWORD 'x'"));
    sql(&postgres_url(), &format!("CREATE ROLE {few} LOGIN PASSWORD 'x' CONNECTION LIMIT 3"));
    fleet.at_end(&postgres_url(), &format!("DROP ROLE {role}"));
    fleet.at_end(&postgres_url(), &format!("DROP ROLE {few}"));
    let plain = fleet.tenant("pg-000").url.clone();
    sql(&plain, "CREATE TABLE orders (id int)");
    sql(&plain, &format!("GRANT CREATE ON SCHEMA public TO {few}"));
    fleet.add("no-right", &as_user(&plain, &role, "x"));
    fleet.tenant_mut("no-right").schema = Some("public".into());
    fleet.add("few", &as_user(&fleet.tenant("pg-001").url.clone(), &few, "x"));
    fleet.tenant_mut("few").schema = Some("public".into());
    let name = fleet.tenant("pg-002").url.rsplit_once('/').unwrap().1.to_owned();
    fleet.add("pooled", &pooler.url(&name));
    fleet.add("wrong", &as_user(&plain, "postgres", "wrong"));
    fleet.tenant_mut("wrong").schema = Some("other".into());
    let holder = block_on(async {
        let mut holder = PgConnection::connect(&plain).await.unwrap();
        let hold = "SET application_name = 'shop'; BEGIN; LOCK TABLE orders IN ACCESS SHARE MODE";
        sqlx::raw_sql(AssertSqlSafe(hold)).execute(&mut holder).await.unwrap();
        holder
    });
    std::thread::sleep(Duration::from_millis(1_300));

    let report = fleet.run(&["doctor", "--lock-timeout", "1s", "--format", "json"]).exits(2).json();
    let open = one(&report, "warning", "a transaction has been open");
    assert!(open["what"].as_str().unwrap().ends_with("user postgres, shop"), "{open}");
    assert!(open["fix"].as_str().unwrap().starts_with("SELECT pg_terminate_backend("), "{open}");
    let lock = one(&report, "warning", "orders has been locked (AccessShareLock)");
    assert_eq!(lock["fix"], open["fix"]);
    let right = one(&report, "error", "lacks the right CREATE on schema public");
    assert!(tenants(right).contains(&"no-right"), "{right}");
    let foreign = one(&report, "warning", "only their owners may alter these tables: orders");
    assert_eq!(tenants(foreign), ["no-right"]);
    one(&report, "warning", "room for 3 connections");
    let pooled = one(&report, "info", "a connection pooler stands in front");
    assert!(pooled["fix"].as_str().unwrap().contains("migration_url"));
    let wrong = one(&report, "error", "not reached: [28P01]");
    assert_eq!(tenants(wrong), ["wrong"]);
    drop(holder);
}

#[test]
fn what_would_make_a_run_fail_or_wait_is_found_on_mariadb() {
    let mut fleet = Fleet::new().head("[fleet]\nlong_transaction = \"1s\"\n").mariadb(2);
    let plain = fleet.tenant("my-000").url.clone();
    let name = plain.rsplit_once('/').unwrap().1.to_owned();
    let user = format!("d{:x}", std::process::id());
    sql(&mysql_url(), &format!("CREATE USER '{user}'@'%' IDENTIFIED BY 'x' WITH MAX_USER_CONNECTIONS 2"));
    sql(&mysql_url(), &format!("GRANT SELECT, CREATE, INDEX ON `{name}`.* TO '{user}'@'%'"));
    fleet.at_end(&mysql_url(), &format!("DROP USER '{user}'@'%'"));
    sql(&plain, "CREATE TABLE orders (id int) ENGINE = InnoDB");
    fleet.add("few", &as_user(&fleet.tenant("my-000").url.clone(), &user, "x"));
    // Two tenants can't be in one database.
    fleet.tenants.retain(|tenant| tenant.id != "my-000");
    let holder = block_on(async {
        let mut holder = MySqlConnection::connect(&fleet.tenant("my-001").url).await.unwrap();
        let hold = "CREATE TABLE held (id int) ENGINE = InnoDB; START TRANSACTION; INSERT INTO held VALUES (1)";
        sqlx::raw_sql(AssertSqlSafe(hold)).execute(&mut holder).await.unwrap();
        holder
    });
    std::thread::sleep(Duration::from_millis(2_100));
    let report = fleet.run(&["doctor", "--format", "json"]).exits(2).json();
    let open = one(&report, "warning", "a transaction has been open");
    assert!(open["fix"].as_str().unwrap().starts_with("KILL "), "{open}");
    let right = one(&report, "error", "lacks the right ALTER, DROP");
    assert_eq!(tenants(right), ["few"]);
    one(&report, "warning", "and per_server is 8");

    let run = fleet.run(&["migrate", "--yes", "--tenant", "my-001"]).exits(0);
    assert!(run.err.contains("a transaction has been open"), "the run is warned and goes on: {}", run.err);
    drop(holder);
}

#[test]
fn in_an_outage_nothing_starts_and_one_unreachable_tenant_is_only_its_own() {
    let mut fleet = Fleet::new().postgres(2).sqlite(2);
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    fleet.add("gone-0", &format!("postgres://u@127.0.0.1:{free}/d0"));
    let ran = fleet.run(&["migrate", "--yes", "--attempts", "1"]).exits(100);
    assert!(!ran.err.contains("outage"), "{}", ran.err);

    let mut fleet = Fleet::new().postgres(2).sqlite(2);
    for i in 0..6 {
        fleet.add(&format!("gone-{i}"), &format!("postgres://u@127.0.0.1:{free}/d{i}"));
    }
    let ran = fleet.run(&["migrate", "--yes"]).exits(75);
    let ran = ran.tells(&["6 of 10 tenants can't be reached", &format!("127.0.0.1:{free}: 6 of 6"), "--no-preflight"]);
    assert!(ran.out.is_empty(), "{}", ran.out);
    for id in ["pg-000", "lite-000"] {
        assert!(fleet.history(id).is_none(), "{id} was touched");
    }
    assert!(!fleet.path("fleet-ledger.db").exists(), "there was no run");
    fleet.run(&["migrate", "--yes", "--attempts", "1", "--no-preflight"]).exits(100);
    assert!(fleet.history("pg-000").is_some());
    fleet.head = "[fleet]\noutage = \"60%\"\n".to_owned();
    fleet.run(&["migrate", "--yes", "--attempts", "1"]).exits(100);
}

#[test]
fn the_look_before_a_run_costs_one_connection_a_server() {
    let fleet = Fleet::new().schemas(6);
    fleet.run(&["migrate", "--yes"]).exits(0);
    let url = fleet.tenant("schema-000").url.clone();
    let name = url.rsplit_once('/').unwrap().1.to_owned();
    // Statistics of a session are complete only some time after its end.
    let sessions = || {
        std::thread::sleep(Duration::from_millis(1_200));
        let query = format!("SELECT sessions::text FROM pg_stat_database WHERE datname = '{name}'");
        sql(&postgres_url(), &query)[0].parse::<i64>().unwrap()
    };
    let before = sessions();
    fleet.run(&["migrate", "--yes", "--no-preflight"]).exits(0);
    let without = sessions();
    fleet.run(&["migrate", "--yes"]).exits(0);
    assert_eq!(sessions() - without, without - before + 1);
}
