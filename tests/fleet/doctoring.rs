//! `fleet doctor`, and the look at the servers before a run: each finding made on a real server, and an outage in which
//! nothing starts.

use std::net::TcpListener;
use std::time::Duration;

use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection as _, MySqlConnection, PgConnection};

use crate::pgbouncer::Pgbouncer;
use crate::support::{Fleet, block_on, mariadb_url, postgres_url, sql};

/// The findings of one severity whose text holds a word.
pub(crate) fn found<'a>(report: &'a Value, severity: &str, word: &str) -> Vec<&'a Value> {
    let is = |f: &&Value| f["severity"] == severity && f["what"].as_str().unwrap().contains(word);
    report["findings"].as_array().unwrap().iter().filter(is).collect()
}

#[track_caller]
pub(crate) fn one<'a>(report: &'a Value, severity: &str, word: &str) -> &'a Value {
    let all = found(report, severity, word);
    assert_eq!(all.len(), 1, "{severity} {word}: {report:#}");
    all[0]
}

pub(crate) fn tenants(finding: &Value) -> Vec<&str> {
    finding["tenants"].as_array().unwrap().iter().map(|t| t.as_str().unwrap()).collect()
}

/// The URL with another user.
pub(crate) fn as_user(url: &str, user: &str, password: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap();
    format!("{scheme}://{user}:{password}@{}", rest.split_once('@').unwrap().1)
}

#[test]
fn a_sound_fleet_has_no_errors_and_is_described() {
    let fleet = Fleet::new().sqlite(2).postgres(2).mariadb(2);
    let report = fleet.run(&["doctor", "--format", "json"]).exits(0).json();
    assert_eq!(report["tenants"], 6);
    for word in ["PostgreSQL ", "MariaDB ", "SQLite ", "MiB are free on the disk of /", "pg_dump", "mariadb-dump"] {
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
    sql(&plain, "CREATE TABLE orders (id int); CREATE SCHEMA shop; CREATE TABLE shop.sales (id int)");
    sql(&plain, &format!("GRANT USAGE ON SCHEMA shop TO {role}"));
    fleet.add("no-right", &as_user(&plain, &role, "x"));
    fleet.tenant_mut("no-right").schema = Some("shop".into());
    let url = fleet.tenant("pg-001").url.clone();
    sql(&url, &format!("CREATE SCHEMA few AUTHORIZATION {few}"));
    fleet.add("few", &as_user(&url, &few, "x"));
    fleet.tenant_mut("few").schema = Some("few".into());
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
    // Each user, and each database, takes a grant of its own.
    let rights = found(&report, "error", "lacks the right CREATE on schema shop");
    assert!(rights.iter().any(|right| tenants(right) == ["no-right"]), "{report:#}");
    let foreign = one(&report, "warning", "only their owners may alter these tables: shop.sales");
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
    sql(&mariadb_url(), &format!("CREATE USER '{user}'@'%' IDENTIFIED BY 'x' WITH MAX_USER_CONNECTIONS 2"));
    sql(&mariadb_url(), &format!("GRANT SELECT, CREATE, INDEX ON `{name}`.* TO '{user}'@'%'"));
    fleet.at_end(&mariadb_url(), &format!("DROP USER '{user}'@'%'"));
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
    let right = one(&report, "error", "lacks the right INSERT, UPDATE, DELETE, ALTER, DROP");
    assert_eq!(tenants(right), ["few"]);
    one(&report, "warning", "and per_server is 8");

    let run = fleet.run(&["migrate", "--yes", "--tenant", "my-001"]).exits(0);
    assert!(run.err.contains("a transaction has been open"), "the run is warned and goes on: {}", run.err);
    drop(holder);
}

/// Another name of the host: the tenant file can't tell, the databases can.
#[test]
fn one_database_under_two_addresses_is_found() {
    let mut fleet = Fleet::new().postgres(2).schemas(2).mariadb(2).mysql_where_there(2);
    let first: Vec<_> = fleet.tenants.iter().map(|t| (t.id.clone(), t.url.clone(), t.schema.clone())).collect();
    let mut twins = Vec::new();
    for (id, url, schema) in first.into_iter().filter(|(id, ..)| id.ends_with("000")) {
        let (other, again) = (url.replacen("127.0.0.1", "localhost", 1), format!("{id}-again"));
        assert_ne!(other, url);
        fleet.add(&again, &other);
        fleet.tenant_mut(&again).schema = schema;
        twins.push([id, again]);
    }
    let report = fleet.run(&["doctor", "--format", "json"]).exits(0).json();
    let mut same: Vec<Vec<&str>> =
        found(&report, "warning", "one database under several addresses").into_iter().map(tenants).collect();
    same.sort_unstable();
    twins.sort_unstable();
    assert_eq!(same, twins, "{report:#}");
}

/// An extension that the server does not have, one that only a superuser may create, and those that the sample can do
/// without.
#[test]
fn an_extension_that_can_not_be_created_is_found_before_its_migration_fails() {
    let mut fleet = Fleet::new().head("[fleet]\nscripts = \"sql\"\n").postgres(1).sqlite(1);
    std::fs::create_dir(fleet.path("sql")).unwrap();
    std::fs::write(fleet.path("sql/1_a.postgres.sql"), "CREATE EXTENSION IF NOT EXISTS pageinspect;").unwrap();
    std::fs::write(fleet.path("sql/2_b.postgres.sql"), "CREATE EXTENSION \"nosuch ext\";").unwrap();
    let report = fleet.run(&["doctor", "--format", "json", "--tenant", "lite-000"]).exits(0).json();
    assert!(found(&report, "error", "").is_empty(), "an SQLite tenant has no extensions: {report:#}");

    let role = fleet.unique("r");
    sql(&postgres_url(), &format!("CREATE ROLE {role} LOGIN PASSWORD 'x'"));
    fleet.at_end(&postgres_url(), &format!("DROP ROLE {role}"));
    let url = fleet.tenant("pg-000").url.clone();
    let name = url.rsplit_once('/').unwrap().1.to_owned();
    let missing = "the server does not have the extension nosuch ext, which 2_b creates in";
    one(&fleet.run(&["doctor", "--format", "json"]).exits(2).json(), "error", missing);
    fleet.tenant_mut("pg-000").url = as_user(&url, &role, "x");
    sql(&url, &format!("GRANT CREATE ON SCHEMA public TO {role}"));
    let report = fleet.run(&["doctor", "--format", "json"]).exits(2).json();
    let right = one(&report, "warning", "may not create the extension pageinspect");
    assert_eq!(right["fix"], "as an administrator, in that database: CREATE EXTENSION \"pageinspect\";");
    one(&report, "info", "may not create the extension pgcrypto");
    // A trusted extension requires only the CREATE privilege on the database.
    sql(&url, &format!("GRANT CREATE ON DATABASE {name} TO {role}"));
    let report = fleet.run(&["doctor", "--format", "json"]).exits(2).json();
    assert!(found(&report, "info", "pgcrypto").is_empty(), "{report:#}");
    sql(&url, "CREATE EXTENSION pageinspect");
    let report = fleet.run(&["doctor", "--format", "json"]).exits(2).json();
    assert!(found(&report, "warning", "pageinspect").is_empty(), "{report:#}");
    let ran = fleet.run(&["migrate", "--yes", "--tenant", "pg-000"]).exits(100);
    assert!(ran.err.contains(missing), "the run is warned: {}", ran.err);
    sql(&url, &format!("DROP OWNED BY {role} CASCADE"));
}

/// A process that only has the file open in WAL mode blocks no one.
#[test]
fn who_has_a_file_locked_is_found_and_who_only_reads_in_wal_mode_is_not() {
    let fleet = Fleet::new().sqlite(2);
    fleet.write();
    let python = "import sqlite3,sys,time\n\
                  a=sqlite3.connect('lite-000.db',isolation_level=None);a.execute('BEGIN IMMEDIATE')\n\
                  b=sqlite3.connect('lite-001.db',isolation_level=None);b.execute('PRAGMA journal_mode=WAL')\n\
                  b.execute('CREATE TABLE t(i)');b.execute('BEGIN');b.execute('SELECT * FROM t').fetchall()\n\
                  print('held',flush=True);sys.stdin.readline()\n\
                  b.execute('COMMIT');b.execute('BEGIN IMMEDIATE');print('held',flush=True);time.sleep(60)";
    let mut holder = std::process::Command::new("python3");
    holder.args(["-c", python]).current_dir(fleet.folder.path());
    holder.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
    let mut holder = holder.spawn().unwrap();
    let mut lines = std::io::BufReader::new(holder.stdout.take().unwrap());
    let mut held = || std::io::BufRead::read_line(&mut lines, &mut String::new()).unwrap();
    held();
    let reads = fleet.run(&["doctor", "--format", "json"]);
    std::io::Write::write_all(holder.stdin.as_mut().unwrap(), b"\n").unwrap();
    held();
    let writes = fleet.run(&["doctor", "--format", "json"]);
    holder.kill().unwrap();
    holder.wait().unwrap();
    let text = format!("the file is locked by process {} (python3)", holder.id());
    assert_eq!(tenants(one(&reads.exits(0).json(), "warning", &text)), ["lite-000"]);
    let report = writes.exits(0).json();
    let lock = one(&report, "warning", &text);
    assert_eq!(tenants(lock), ["lite-000", "lite-001"]);
    assert!(lock["fix"].as_str().unwrap().ends_with(&format!("kill {}", holder.id())));
}

#[test]
fn the_disk_of_backups_is_told() {
    let fleet = Fleet::new().sqlite(1);
    let report = fleet.run(&["doctor", "--format", "json"]).exits(0).json();
    assert!(one(&report, "info", "MiB are free for backups in backups")["server"] == "");
}

/// No kind of run starts during an outage.
#[test]
fn no_command_that_changes_tenants_starts_in_an_outage() {
    let mut fleet = Fleet::new().sqlite(6).head("[fleet]\nscripts = \"sql\"\n");
    std::fs::create_dir(fleet.path("sql")).unwrap();
    let view = "-- fleet: view=v group=daily\nCREATE TABLE v AS SELECT 1 AS i;\n-- fleet: refresh\nDELETE FROM v;";
    std::fs::write(fleet.path("sql/R__v.sql"), view).unwrap();
    fleet.run(&["migrate", "--yes", "--to", "R__v"]).exits(0);
    fleet.run(&["backup"]).exits(0);
    let last = |fleet: &Fleet| {
        let runs = fleet.run(&["runs", "list", "--format", "json"]).json();
        runs["runs"][0]["run"].as_str().unwrap().to_owned()
    };
    let backups = last(&fleet);
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    for (i, tenant) in fleet.tenants.iter_mut().enumerate() {
        tenant.url = format!("postgres://u@127.0.0.1:{free}/d{i}");
    }
    let runs = || fleet.run(&["runs", "list", "--format", "json"]).json()["runs"].as_array().unwrap().len();
    // Each tenant is one failure, and nothing is left: there has to be something to resume.
    fleet
        .run(&["migrate", "--yes", "--attempts", "1", "--no-preflight", "--max-failures", "0", "--concurrency", "1"])
        .exits(101);
    let (before, stopped) = (runs(), last(&fleet));
    let resume = ["runs", "resume", &stopped, "--yes", "--keep-going"];
    let restore = ["restore", "--run", &backups, "--yes"];
    let commands: [&[&str]; 8] = [
        &["migrate", "--yes"],
        &["rollback", "--steps", "1", "--yes"],
        &["refresh", "--yes"],
        &["seed", "--yes"],
        &["scripts", "repair", "R__v", "--yes"],
        &["backup"],
        &restore,
        &resume,
    ];
    for command in commands {
        fleet.run(command).exits(75).tells(&["tenants can't be reached", "--no-preflight"]);
        assert_eq!(runs(), before, "{command:?} has begun a run");
    }
    for command in &commands[2..] {
        let begins = [*command, &["--no-preflight", "--attempts", "1"]].concat();
        fleet.run(&begins).exits(100);
    }
    assert_eq!(runs(), before + commands.len() - 2);
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
