//! The log of a run: levels, spans, each text as it was sent, a file a tenant, and where the time went. On the engines.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::Value;
use sqlx::{Connection as _, Executor as _};

use crate::support::{Fleet, Ran, block_on, record, sql};

/// Two scripts: statements, a way down, and one step without a transaction.
fn fleet() -> Fleet {
    let fleet =
        Fleet::new().head("[fleet]\nscripts = \"sql\"\nattempts = 1\n").sqlite(1).postgres(1).schemas(1).mariadb(1);
    write(&fleet, "0001_notes.up.sql", "CREATE TABLE notes (i int);\nINSERT INTO notes (i) VALUES (41), (42);\n");
    write(&fleet, "0001_notes.down.sql", "DROP TABLE notes;\n");
    write(&fleet, "0002_alone.up.sql", "-- fleet: transaction=false\nINSERT INTO notes (i) VALUES (43);\n");
    write(&fleet, "0002_alone.down.sql", "-- fleet: transaction=false\nDELETE FROM notes WHERE i = 43;\n");
    fleet
}

fn write(fleet: &Fleet, file: &str, text: &str) {
    std::fs::create_dir_all(fleet.path("sql")).unwrap();
    std::fs::write(fleet.path("sql").join(file), text).unwrap();
}

/// The log's lines on stderr with `--log-format json`.
fn lines(ran: &Ran) -> Vec<Value> {
    ran.err.lines().filter(|line| line.starts_with('{')).map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The texts that were sent to a tenant, in one.
fn sent(lines: &[Value], tenant: &str) -> String {
    let own = lines.iter().filter(|line| line["target"] == "fleet::sql" && line["tenant"] == tenant);
    own.map(|line| format!("{}\n", line["sql"].as_str().unwrap())).collect()
}

/// The log files by tenant.
fn files(fleet: &Fleet, folder: &str) -> Vec<(String, PathBuf)> {
    let runs: Vec<_> = std::fs::read_dir(fleet.path(folder)).unwrap().map(|run| run.unwrap().path()).collect();
    let [run] = &runs[..] else { panic!("{runs:?}") };
    let mut files: Vec<_> = std::fs::read_dir(run).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    files.into_iter().map(|file| (file.file_stem().unwrap().to_string_lossy().into_owned(), file)).collect()
}

#[test]
fn each_text_is_traced_as_it_was_sent_up_and_down_compiled_and_native() {
    let fleet = fleet();
    let trace = ["--yes", "--trace-sql", "--log-format", "json"];
    for (command, texts) in [
        (
            &["migrate"][..],
            &[
                "CREATE TABLE notes (i int)",
                "INSERT INTO notes (i) VALUES (41), (42)",
                "VALUES (43)",
                "seaql_migrations",
            ][..],
        ),
        (&["rollback", "--all"], &["DROP TABLE notes", "DELETE FROM notes WHERE i = 43", "DROP TABLE users"]),
        (&["migrate", "--native"], &["CREATE TABLE users (id integer", "ADD COLUMN sku"]),
        (&["rollback", "--all", "--native"], &["DROP TABLE users"]),
    ] {
        let ran = fleet.run(&[command, &trace[..]].concat()).exits(0);
        let lines = lines(&ran);
        for tenant in &fleet.tenants {
            let sent = sent(&lines, &tenant.id);
            for text in texts {
                assert!(sent.contains(text), "{command:?} {}: no {text:?} in\n{sent}", tenant.id);
            }
        }
        let one = lines.iter().find(|line| line["target"] == "fleet::sql" && line["attempt"] == 1).unwrap();
        assert!(one["took_ms"].is_f64() && one["rows_affected"].is_u64() && one["run"].is_string(), "{one}");
        assert!(lines.iter().all(|line| line["target"] == "fleet::sql"), "nothing else without -v");
        if command == ["migrate"] {
            let is_alone = |line: &&Value| line["sql"].as_str().unwrap().contains("VALUES (43)");
            let alone: Vec<_> = lines.iter().filter(is_alone).collect();
            assert_eq!(alone.len(), 4);
            // MariaDB has no transaction that it could be without, and gets it in a message with others.
            assert!(
                alone
                    .iter()
                    .filter(|line| line["engine"] != "mysql")
                    .all(|line| line["step"] == "0002_alone" && line["statement"] == 1),
                "{alone:#?}"
            );
        }
    }
}

/// The outcome of a text that the engine refuses follows it.
#[test]
fn a_refused_text_and_its_code_are_in_the_log() {
    let fleet = fleet();
    write(&fleet, "0003_wrong.sql", "INSERT INTO not_there VALUES (1);\n");
    let ran = fleet.run(&["migrate", "--yes", "--trace-sql", "-vv", "--log-format", "json"]).exits(100);
    let lines = lines(&ran);
    let statements = lines.iter().filter(|line| line["tenant"] == "lite-000" && line["message"] == "statement");
    let mut told: Vec<_> = statements.map(|line| (line["step"].to_string(), line["statement"].as_u64())).collect();
    let all = told.len();
    told.sort_unstable();
    told.dedup();
    assert!(all == told.len() && all > 10, "each statement is told once: {all}, {told:#?}");
    for (tenant, code) in [("lite-000", "1"), ("pg-000", "42P01"), ("schema-000", "42P01"), ("my-000", "1146")] {
        assert!(sent(&lines, tenant).contains("INSERT INTO not_there"), "{tenant}");
        let is = |line: &&Value| line["tenant"] == tenant && line["message"] == "refused" && line["code"] == code;
        assert!(lines.iter().any(|line| is(&line)), "{tenant}");
        let ended = lines.iter().find(|line| line["tenant"] == tenant && line["message"] == "attempt ended").unwrap();
        assert!(ended["level"] == "WARN" && ended["end"] == "stopped" && ended["code"] == code, "{ended}");
    }
}

#[test]
fn each_v_says_more_and_stdout_is_only_the_outcome() {
    let fleet = fleet();
    let ran = fleet.run(&["migrate", "--yes", "--format", "json"]).exits(0);
    assert!(!ran.err.contains("fleet::"), "{}", ran.err);
    fleet.run(&["rollback", "--all", "--yes"]).exits(0);
    let ran = fleet.run(&["migrate", "--yes", "--format", "json", "-v"]).exits(0);
    assert_eq!(crate::support::count(&ran.json(), "migrated"), 4);
    let ran = ran.tells(&["INFO fleet::run: run started", "tenant=pg-000 attempt=1 end=done", "outcome=migrated"]);
    assert!(!ran.err.contains("DEBUG") && !ran.err.contains("CREATE TABLE"), "{}", ran.err);
    fleet.run(&["rollback", "--all", "--yes"]).exits(0);
    let ran = fleet.run(&["migrate", "--yes", "--format", "json", "-vv"]).exits(0);
    let ran = ran.tells(&[
        "DEBUG fleet::engine: connect tenant=my-000 attempt=1 took_ms=",
        "DEBUG fleet::engine: lock tenant=my-000",
        "DEBUG fleet::engine: one message tenant=pg-000",
        "head=\"CREATE TABLE notes (i int)\"",
        "statement=2",
    ]);
    assert!(!ran.err.contains("fleet::sql"), "{}", ran.err);
    // A command that reads has tenants, and no run.
    fleet.run(&["status", "-vv", "--trace-sql"]).exits(0).tells(&["fleet::sql: sent tenant=lite-000"]);
}

#[test]
fn the_filter_of_the_environment_is_heeded_or_told_to_be_wrong() {
    let fleet = fleet();
    let run = |log: &str, arguments: &[&str]| {
        fleet.write();
        crate::support::finish(fleet.program(arguments).env("FLEET_LOG", log)).exits(0)
    };
    let ran = run("fleet::sql=debug", &["migrate", "--yes"]).tells(&["fleet::sql: sent tenant=my-000 attempt=1"]);
    assert!(!ran.err.contains("fleet::run"), "{}", ran.err);
    let ran = run("fleet=nonsense", &["migrate", "--yes", "-v"]);
    ran.tells(&["warning: FLEET_LOG is no filter", "INFO fleet::run: run started"]);
}

#[test]
fn each_tenant_has_a_file_with_all_of_its_own() {
    let mut fleet = fleet();
    std::fs::write(fleet.path("odd.db"), "").unwrap();
    fleet.add("Odd.One", "sqlite:odd.db");
    write(&fleet, "0003_wrong.sql", "INSERT INTO not_there VALUES (1);\n");
    let ran = fleet.run(&["migrate", "--yes", "--log-dir", "logs"]).exits(100);
    assert!(!ran.err.contains("fleet::"), "the files are no reason for lines on stderr: {}", ran.err);
    let files = files(&fleet, "logs");
    let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["%4fdd%2e%4fne", "lite-000", "my-000", "pg-000", "schema-000"]);
    for (name, file) in &files {
        let text = std::fs::read_to_string(file).unwrap();
        for part in
            ["connect tenant=", "CREATE TABLE users", "INSERT INTO not_there", "attempt ended", "tenant finished"]
        {
            assert!(text.contains(part), "no {part:?} in {name}:\n{text}");
        }
        let others = names.iter().filter(|other| *other != name);
        others.for_each(|other| assert!(!text.contains(&format!("tenant={other} ")), "{other} in {name}"));
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(file.parent().unwrap().metadata().unwrap().permissions().mode() & 0o777, 0o700);
    }
    // By the environment, and as JSON.
    fleet.write();
    let mut program = fleet.program(&["migrate", "--yes"]);
    program.env("FLEET_LOG_DIR", "json-logs").env("FLEET_LOG_FORMAT", "json");
    crate::support::finish(&mut program).exits(100);
    for (name, file) in self::files(&fleet, "json-logs") {
        let text = std::fs::read_to_string(file).unwrap();
        text.lines()
            .for_each(|line| drop(serde_json::from_str::<Value>(line).unwrap_or_else(|e| panic!("{name}: {e}"))));
    }
}

#[test]
fn a_folder_of_logs_that_can_not_be_made_is_told_before_anything_is_touched() {
    let fleet = fleet();
    std::fs::write(fleet.path("file"), "").unwrap();
    let ran = fleet.run(&["migrate", "--yes", "--log-dir", "file/logs"]).exits(1);
    ran.tells(&["logs to file/logs; nothing was started: name another folder with --log-dir"]);
    for place in ["sql", "sql/logs", "backups/sub/../logs"] {
        let ran = fleet.run(&["migrate", "--yes", "--log-dir", place]).exits(78);
        ran.tells(&["is in that of the", "nothing was started: name another with --log-dir"]);
    }
    assert!(!fleet.has_table("lite-000", "notes"));
    // A command that only reads needs none, and makes none.
    fleet.run(&["status", "--log-dir", "file/logs"]).exits(0);
    fleet.run(&["status", "--log-dir", "logs"]).exits(0);
    assert!(!fleet.path("logs").exists());
}

/// The program in a terminal of its own (`script` of util-linux).
#[test]
fn a_line_of_the_log_stands_above_the_bar() {
    let fleet = Fleet::new().head("[fleet]\nconcurrency = 1\nscripts = \"sql\"").sqlite(6);
    let slow = "CREATE TABLE n AS WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 1000000) SELECT max(i) \
                FROM c;\n";
    write(&fleet, "0001_slow.sql", slow);
    fleet.write();
    let line = format!("'{}' migrate --yes -v", crate::PROGRAM);
    let mut script = std::process::Command::new("script");
    script.args(["-qec", &line, "/dev/null"]).current_dir(fleet.folder.path()).stdin(std::process::Stdio::null());
    let shown = String::from_utf8(script.output().unwrap().stdout).unwrap();
    assert!(shown.contains("in flight"), "there is a bar: {shown}");
    // A bar is drawn over, and cleared before something else is written in its line.
    let lines = shown.split('\n').map(|line| line.rsplit("\x1b[2K").next().unwrap());
    let logged: Vec<&str> = lines.filter(|line| line.contains(" fleet::run: ")).collect();
    // Run and wave begin and end, and two lines a tenant.
    assert_eq!(logged.len(), 16, "{shown}");
    assert!(logged.iter().all(|line| line.trim_start_matches('\r').starts_with("20")), "{logged:#?}");
}

/// The folder goes while the run is under way: the logs are lost, and nothing else.
#[test]
fn logs_that_can_not_be_written_are_told_once_and_are_no_outcome() {
    let mut fleet = fleet();
    // One by one: files that are open already are written on.
    fleet.head.push_str("concurrency = 1\nper_server = 1\n");
    fleet.tenant_mut("pg-000").more = "password = { command = [\"sh\", \"ask.sh\"] }".to_owned();
    fleet.head.push_str("password_max_age = \"1ms\"\n");
    // It is asked at the start, and again when the tenant's turn comes.
    let ask = "if [ -f asked ]; then rm -rf logs; touch logs; fi; touch asked; echo unused\n";
    std::fs::write(fleet.path("ask.sh"), ask).unwrap();
    let (role, server) = (fleet.unique("role"), crate::support::postgres_url());
    sql(&server, &format!("CREATE ROLE {role} LOGIN SUPERUSER PASSWORD 'unused'"));
    fleet.at_end(&server, &format!("DROP ROLE {role}"));
    let url = fleet.tenant("pg-000").url.clone();
    fleet.tenant_mut("pg-000").url = format!("postgres://{role}@{}", url.rsplit_once('@').unwrap().1);
    let ran = fleet.run(&["migrate", "--yes", "--no-preflight", "--log-dir", "logs"]).exits(0).shows(&["4 migrated"]);
    assert_eq!(ran.err.matches("lack lines from here on").count(), 1, "{}", ran.err);
}

/// 100 tenants, and room for few open files.
#[test]
fn the_files_of_tenants_that_are_done_are_closed() {
    let fleet = Fleet::new().head("[fleet]\nconcurrency = 4\nper_server = 4").sqlite(100);
    fleet.write();
    let limited = "ulimit -n 64; exec \"$0\" migrate --yes --no-preflight --log-dir logs";
    let mut program = std::process::Command::new("sh");
    program.args(["-c", limited, crate::PROGRAM]).current_dir(fleet.folder.path()).stdin(std::process::Stdio::null());
    program.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let ran = crate::support::finish(&mut program).exits(0).shows(&["100 migrated"]);
    assert!(!ran.err.contains("lack lines"), "{}", ran.err);
    let files = files(&fleet, "logs");
    assert_eq!(files.len(), 100);
    for (name, file) in files {
        assert!(std::fs::read_to_string(file).unwrap().contains("tenant finished"), "{name}");
    }
}

#[test]
fn timings_name_the_slowest_and_divide_its_time() {
    let fleet = fleet();
    let ran = fleet.run(&["migrate", "--yes", "--format", "json"]).exits(0);
    assert!(ran.json()["timings"].is_null() && record(&ran.json(), "my-000")["timings"].is_null());
    fleet.run(&["rollback", "--all", "--yes"]).exits(0);
    write(&fleet, "0003_slow.mysql.up.sql", "SELECT SLEEP(2);\n");
    write(&fleet, "0003_slow.postgres.up.sql", "SELECT pg_sleep(2);\n");
    let ran = fleet.run(&["migrate", "--yes", "--format", "json", "--timings"]).exits(0);
    let report = ran.json();
    let ms = |value: &Value| value.as_u64().unwrap();
    for tenant in ["my-000", "pg-000", "schema-000", "lite-000"] {
        let record = record(&report, tenant);
        let timings = &record["timings"];
        let parts = ["connect_ms", "lock_ms", "statements_ms", "commit_ms", "one_message_ms"];
        let sum: u64 = parts.iter().map(|part| ms(&timings[*part])).sum();
        assert!(sum <= ms(&record["duration_ms"]) + 5, "{record:#}");
        assert!(timings["steps"].as_array().unwrap().len() >= 2, "{record:#}");
        assert_eq!(ms(&timings["one_message_ms"]) > 0, record["engine"] == "postgres", "{record:#}");
    }
    let step = |tenant: &str| {
        let all = report["timings"]["slowest_steps"].as_array().unwrap();
        all.iter().find(|step| step["tenant"] == tenant).unwrap_or_else(|| panic!("{report:#}")).clone()
    };
    assert!(ms(&step("my-000")["statements_ms"]) >= 1900, "{}", step("my-000"));
    assert!(ms(&step("pg-000")["one_message_ms"]) >= 1900, "{}", step("pg-000"));
    assert_eq!(step("my-000")["step"], "0003_slow", "{}", step("my-000"));
    let slowest = &report["timings"]["slowest_tenants"];
    assert!(slowest.as_array().unwrap().len() == 4 && slowest[0]["tenant"] != "lite-000", "{slowest:#}");
    fleet.run(&["runs", "show", "last"]).exits(0).shows(&["SLOWEST TENANTS", "SLOWEST STEPS", "IN ONE MESSAGE"]);
}

/// A reader holds the file: the time to get the lock is not that of the statements.
#[test]
fn the_wait_for_a_lock_is_told_from_the_statements() {
    let fleet = Fleet::new().head("[fleet]\nlock_timeout = \"20s\"\nattempts = 1").sqlite(1);
    fleet.write();
    let url = format!("sqlite:{}", fleet.path("lite-000.db").display());
    let mut reader = block_on(sqlx::SqliteConnection::connect(&url)).unwrap();
    block_on(reader.execute("BEGIN; SELECT * FROM sqlite_master")).unwrap();
    let holding = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(800));
        block_on(reader.close()).unwrap();
    });
    let begun = Instant::now();
    let ran = fleet.run(&["migrate", "--yes", "--no-preflight", "--format", "json", "--timings"]).exits(0);
    holding.join().unwrap();
    let report = ran.json();
    let timings = &record(&report, "lite-000")["timings"];
    assert!(timings["lock_ms"].as_u64().unwrap() >= 200, "{timings:#} after {:?}", begun.elapsed());
    assert!(timings["statements_ms"].as_u64().unwrap() < 200, "{timings:#}");
}

/// A reader on each server: the statement that it stops waited for all of the lock timeout.
#[test]
fn a_statement_that_was_granted_no_lock_waited_for_one() {
    let fleet = Fleet::new().postgres(1).mariadb(1);
    fleet.run(&["migrate", "--to", "tenant_features", "--yes"]).exits(0);
    let reading = "BEGIN; SELECT * FROM inventory_items";
    let mut pg = block_on(sqlx::PgConnection::connect(&fleet.tenant("pg-000").url)).unwrap();
    block_on(pg.execute(reading)).unwrap();
    let mut my = block_on(sqlx::MySqlConnection::connect(&fleet.tenant("my-000").url)).unwrap();
    block_on(my.execute(reading)).unwrap();
    let limits = ["--attempts", "1", "--lock-timeout", "1s", "--no-preflight"];
    let ran = fleet.run(&[&["migrate", "--yes", "--format", "json", "--timings"][..], &limits].concat()).exits(100);
    let report = ran.json();
    for tenant in ["pg-000", "my-000"] {
        let timings = &record(&report, tenant)["timings"];
        assert!(timings["lock_ms"].as_u64().unwrap() >= 900, "{timings:#}");
        assert!(timings["statements_ms"].as_u64().unwrap() < 900, "{timings:#}");
    }
    block_on(pg.close()).unwrap();
    block_on(my.close()).unwrap();
}
