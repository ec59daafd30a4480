//! Backups and restores, on all engines: the content of a dump is restored and nothing else stays, a partial or changed
//! backup is never used, and no password becomes visible.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;
use sqlx::Connection as _;

use crate::dumps::{dump, run, run_id};
use crate::support::{Fleet, all, block_on, count, finish, json_file, record, signal, wait};

const SITES: [&str; 4] = ["lite-000", "pg-000", "schema-000", "my-000"];

fn fleet() -> Fleet {
    Fleet::new().head("[fleet]\nretry_pause = \"5ms\"").sqlite(1).postgres(1).schemas(2).mariadb(1)
}

fn report(fleet: &Fleet, name: &str) -> Value {
    json_file(&fleet.path(name))
}

fn folder(fleet: &Fleet, run: &str) -> PathBuf {
    fleet.path("backups").join(run)
}

fn destroy(fleet: &Fleet, id: &str) {
    fleet.ask(id, "DELETE FROM seaql_migrations");
    fleet.ask(id, "CREATE TABLE added_later (a integer PRIMARY KEY)");
    fleet.ask(id, "INSERT INTO added_later VALUES (1)");
}

#[test]
fn what_was_backed_up_comes_back_and_what_came_later_goes() {
    let fleet = fleet();
    fleet.run(&["migrate", "--yes"]).exits(0);
    fleet.run(&["seed", "--yes"]).exits(0);
    let neighbour = dump(&fleet, "schema-001");
    let before: Vec<String> = SITES.iter().map(|id| dump(&fleet, id)).collect();
    let backed_up = run(&fleet, &["backup", "--exclude", "schema-001"], 0);
    assert_eq!(count(&backed_up, "backed_up"), 4, "{backed_up}");
    let run_name = run_id(&backed_up);

    for id in SITES {
        let manifest = json_file(&folder(&fleet, &run_name).join(format!("{id}.json")));
        assert_eq!(manifest["history"].as_array().unwrap().len(), all().len(), "{manifest}");
        assert!(manifest["bytes"].as_u64().unwrap() > 0 && manifest["sha256"].as_str().unwrap().len() == 64);
        assert_eq!(record(&backed_up, id)["bytes"], manifest["bytes"]);
        destroy(&fleet, id);
    }
    for entry in std::fs::read_dir(folder(&fleet, &run_name)).unwrap() {
        let mode = entry.unwrap().metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    assert_eq!(std::fs::metadata(fleet.path("backups")).unwrap().permissions().mode() & 0o777, 0o700);

    let restored = run(&fleet, &["restore", "--run", &run_name, "--yes"], 0);
    assert_eq!(count(&restored, "restored"), 4, "{restored}");
    for (id, before) in SITES.iter().zip(before) {
        assert_eq!(dump(&fleet, id), before, "{id}");
    }
    assert_eq!(dump(&fleet, "schema-001"), neighbour);
    fleet.run(&["status", "--exit-code"]).exits(0);
    let list = fleet.run(&["backup", "list", "--format", "json"]).exits(0).json();
    assert_eq!((&list["backups"][0]["tenants"], &list["backups"][0]["complete"]), (&4.into(), &true.into()), "{list}");
}

/// SQL of every engine's own objects, that a plain table by table copy would miss.
#[test]
fn views_routines_triggers_and_sequences_come_back_too() {
    let fleet = fleet();
    let table =
        "CREATE TABLE things (id integer PRIMARY KEY, name varchar(20)); INSERT INTO things VALUES (1, 'a:b\\c')";
    for id in SITES {
        for sql in table.split("; ") {
            fleet.ask(id, sql);
        }
        fleet.ask(id, "CREATE VIEW seen AS SELECT name FROM things");
    }
    for id in ["pg-000", "schema-000"] {
        fleet.ask(id, "CREATE SEQUENCE numbers START 7");
        fleet.ask(id, "CREATE TYPE mood AS ENUM ('good', 'bad')");
        fleet.ask(id, "CREATE FUNCTION one() RETURNS int LANGUAGE sql AS 'SELECT 1'");
    }
    fleet.ask("my-000", "CREATE PROCEDURE p() SELECT 1");
    fleet.ask("my-000", "CREATE TRIGGER t BEFORE INSERT ON things FOR EACH ROW SET NEW.name = UPPER(NEW.name)");
    fleet.ask("lite-000", "CREATE TRIGGER t AFTER INSERT ON things BEGIN DELETE FROM things WHERE id < 0; END");
    let before: Vec<String> = SITES.iter().map(|id| dump(&fleet, id)).collect();
    let report = run(&fleet, &["backup", "--exclude", "schema-001"], 0);
    for id in SITES {
        fleet.ask(id, "DROP VIEW seen");
        fleet.ask(id, "CREATE TABLE seen (a integer)");
        fleet.ask(id, "CREATE VIEW more AS SELECT a FROM seen");
    }
    fleet.ask("pg-000", "CREATE SCHEMA other CREATE TABLE inside (a int)");
    fleet.ask("pg-000", "CREATE DOMAIN later AS int");
    fleet.ask("my-000", "CREATE FUNCTION later() RETURNS int DETERMINISTIC RETURN 1");
    run(&fleet, &["restore", "--run", &run_id(&report), "--yes"], 0);
    for (id, before) in SITES.iter().zip(before) {
        assert_eq!(dump(&fleet, id), before, "{id}");
    }
}

/// A migration meant as a clean-up.
const DESTROYS: &str =
    "UPDATE inventory_items SET name = 'gone';\nCREATE TABLE ruin (a integer);\nINSERT INTO ruin VALUES (1);\n";

#[test]
fn a_migration_that_destroys_data_is_taken_back_with_its_backup() {
    let fleet = fleet();
    fleet.run(&["migrate", "--yes"]).exits(0);
    fleet.run(&["seed", "--yes"]).exits(0);
    let before: Vec<String> = SITES.iter().map(|id| dump(&fleet, id)).collect();
    std::fs::create_dir(fleet.path("sql")).unwrap();
    std::fs::write(fleet.path("sql/0001_destroy.sql"), DESTROYS).unwrap();
    let moved = run(&fleet, &["migrate", "--backup", "--yes", "--scripts", "sql"], 0);
    assert_eq!(count(&moved, "migrated"), 5, "{moved}");
    let run_name = run_id(&moved);
    let ruined: Vec<String> = SITES.iter().map(|id| dump(&fleet, id)).collect();
    for from in [&["--run", &run_name][..], &["--latest"]] {
        let would = fleet.run(&[&["restore", "--dry-run", "--format", "json"], from].concat()).exits(0).json();
        assert_eq!(would["tenants"].as_array().unwrap().len(), 5, "{would}");
        for tenant in would["tenants"].as_array().unwrap() {
            let backup = tenant["backup"].as_str().unwrap();
            assert_eq!(tenant["outcome"], "restored", "{would}");
            assert!(backup.starts_with("as of ") && backup.ends_with("; 0001_destroy now"), "{backup}");
        }
    }
    fleet.run(&["restore", "--latest", "--dry-run"]).exits(0).shows(&["WOULD BE", "dry run: nothing was touched"]);
    for (id, ruined) in SITES.iter().zip(ruined) {
        assert_eq!(dump(&fleet, id), ruined, "{id}: a dry run touched it");
    }
    fleet.run(&["runs", "show", &run_name]).exits(0).shows(&["backups", &run_name]);
    assert_eq!(std::fs::read_dir(folder(&fleet, &run_name)).unwrap().count(), 10);
    run(&fleet, &["restore", "--run", &run_name[..23], "--yes"], 0);
    for (id, before) in SITES.iter().zip(before) {
        assert_eq!(dump(&fleet, id), before, "{id}");
    }
    // There is nothing left to do, so nothing is backed up.
    let again = run(&fleet, &["migrate", "--backup", "--yes"], 0);
    assert_eq!(count(&again, "up_to_date"), 5);
    assert!(!folder(&fleet, &run_id(&again)).exists());
}

#[test]
fn a_backup_that_changed_or_is_half_is_never_taken() {
    let fleet = fleet();
    fleet.run(&["migrate", "--yes"]).exits(0);
    let backed_up = run(&fleet, &["backup", "--exclude", "schema-001"], 0);
    let at = folder(&fleet, &run_id(&backed_up));
    let before: Vec<String> = SITES.iter().map(|id| dump(&fleet, id)).collect();
    let file = |id: &str| {
        let manifest = json_file(&at.join(format!("{id}.json")));
        at.join(manifest["file"].as_str().unwrap())
    };
    for id in ["lite-000", "pg-000", "my-000"] {
        let mut bytes = std::fs::read(file(id)).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(file(id), bytes).unwrap();
    }
    // Without its manifest there is no backup.
    std::fs::remove_file(at.join("schema-000.json")).unwrap();
    let told = ["another than in its manifest", "has no whole backup of this", "dry run: nothing was touched"];
    fleet.run(&["restore", "--run", &run_id(&backed_up), "--dry-run"]).exits(100).shows(&told);
    let refused = run(&fleet, &["restore", "--run", &run_id(&backed_up), "--yes"], 100);
    assert_eq!(refused["tenants"].as_array().unwrap().len(), 4, "{refused}");
    for id in ["lite-000", "pg-000", "my-000"] {
        let record = record(&refused, id);
        assert_eq!((&record["outcome"], &record["class"]), (&"failed".into(), &"backup".into()), "{record}");
        assert!(record["error"]["message"].as_str().unwrap().contains("not what was written"), "{record}");
    }
    assert_eq!(record(&refused, "schema-000")["outcome"], "failed", "{refused}");
    for (id, before) in SITES.iter().zip(before) {
        assert_eq!(dump(&fleet, id), before, "{id}");
    }
    let alone = run(&fleet, &["restore", "--run", &run_id(&backed_up), "--tenant", "schema-000", "--yes"], 100);
    let message = record(&alone, "schema-000")["error"]["message"].as_str().unwrap().to_owned();
    assert!(message.ends_with(&format!("run {} has no whole backup of this tenant", run_id(&backed_up))), "{message}");
    let list = fleet.run(&["backup", "list", "--format", "json"]).exits(0).json();
    assert_eq!(list["backups"][0]["complete"], Value::Bool(false), "{list}");
}

#[test]
fn a_backup_is_not_loaded_into_another_database() {
    let mut fleet = Fleet::new().mariadb(2);
    fleet.run(&["migrate", "--yes"]).exits(0);
    let backed_up = run(&fleet, &["backup", "--tenant", "my-000"], 0);
    fleet.tenants[0].url = fleet.tenants[1].url.clone();
    fleet.tenants.pop();
    let refused = run(&fleet, &["restore", "--run", &run_id(&backed_up), "--yes"], 100);
    let record = record(&refused, "my-000");
    assert!(record["error"]["message"].as_str().unwrap().contains("and this tenant is mysql"), "{record}");
}

/// Reads the command lines and environments of all processes, repeatedly until `stop` is set.
fn seen_in_proc(stop: Arc<AtomicBool>) -> std::thread::JoinHandle<(Vec<u8>, bool)> {
    std::thread::spawn(move || {
        let (mut seen, mut tools) = (Vec::new(), false);
        while !stop.load(Ordering::Relaxed) {
            for entry in std::fs::read_dir("/proc").unwrap().flatten() {
                let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
                let text = String::from_utf8_lossy(&line);
                let name = text.split('\0').take(3).collect::<Vec<_>>().join(" ");
                if ["pg_dump", "mariadb-dump", "pg_restore", "psql"].iter().any(|tool| name.contains(tool)) {
                    tools = true;
                    seen.extend(line);
                    seen.extend(std::fs::read(entry.path().join("environ")).unwrap_or_default());
                }
            }
        }
        (seen, tools)
    })
}

#[test]
fn no_password_is_seen_while_it_works() {
    const SECRET: &str = "s3cret:with\\all\"of'them#and$ more";
    let encoded = percent_encoding::utf8_percent_encode(SECRET, percent_encoding::NON_ALPHANUMERIC).to_string();
    let mut fleet = Fleet::new().head("[fleet]\nretry_pause = \"5ms\"");
    let name = fleet.unique("bk");
    let doubled = SECRET.replace('\'', "''");
    let (postgres, mysql) = (crate::support::postgres_url(), crate::support::mariadb_url());
    crate::support::sql(&postgres, &format!("CREATE ROLE {name} LOGIN SUPERUSER PASSWORD '{doubled}'"));
    let quoted = doubled.replace('\\', "\\\\");
    crate::support::sql(&mysql, &format!("CREATE USER '{name}'@'%' IDENTIFIED BY '{quoted}'"));
    crate::support::sql(&mysql, &format!("GRANT ALL ON *.* TO '{name}'@'%'"));
    fleet.at_end(&postgres, &format!("DROP ROLE IF EXISTS {name}"));
    fleet.at_end(&mysql, &format!("DROP USER IF EXISTS '{name}'@'%'"));
    for engine in ["postgres", "mariadb"] {
        let url = fleet.database(engine, "secret");
        let (scheme, place) = (url.split_once("://").unwrap().0, url.rsplit_once('@').unwrap().1);
        fleet.add(engine, &format!("{scheme}://{name}:{encoded}@{place}"));
    }
    let ran = fleet.run(&["migrate", "--yes"]).exits(0);
    assert!(!ran.err.contains(SECRET));
    let stop = Arc::new(AtomicBool::new(false));
    let watching = seen_in_proc(stop.clone());
    let backed_up = run(&fleet, &["-vv", "backup"], 0);
    run(&fleet, &["restore", "--run", &run_id(&backed_up), "--yes"], 0);
    stop.store(true, Ordering::Relaxed);
    let (seen, tools) = watching.join().unwrap();
    assert!(tools, "no tool was seen at work");
    let holds = |bytes: &[u8]| [SECRET, &encoded].iter().any(|s| bytes.windows(s.len()).any(|w| w == s.as_bytes()));
    assert!(!holds(&seen), "a password is in an argument or a variable of a tool");
    for entry in std::fs::read_dir(folder(&fleet, &run_id(&backed_up))).unwrap() {
        let path = entry.unwrap().path();
        assert!(!holds(&std::fs::read(&path).unwrap()), "{}", path.display());
    }
}

#[test]
fn a_tool_that_is_missing_is_told_with_what_to_install_and_nothing_is_touched() {
    let fleet = fleet();
    fleet.write();
    let mut command = fleet.program(&["migrate", "--backup", "--yes", "--report", "json=report.json"]);
    finish(command.env("PATH", "")).exits(100);
    let report = report(&fleet, "report.json");
    for (id, package) in [("pg-000", "postgresql-client"), ("my-000", "mariadb-client")] {
        let record = record(&report, id);
        assert_eq!((&record["outcome"], &record["class"]), (&"failed".into(), &"backup".into()), "{record}");
        assert!(
            record["error"]["message"].as_str().unwrap().contains(&format!("apt-get install {package}")),
            "{record}"
        );
        assert_eq!(fleet.history(id), None, "{id} was touched");
    }
    // SQLite needs no tool.
    assert_eq!(fleet.history("lite-000").unwrap().len(), all().len());
}

#[test]
fn a_disk_without_room_is_told_before_anything_is_written() {
    let fleet = fleet();
    fleet.run(&["migrate", "--yes"]).exits(0);
    fleet.run(&["seed", "--yes"]).exits(0);
    std::fs::create_dir(fleet.path("small")).unwrap();
    // A small file system that only the program sees and that disappears with it.
    let script = "mount -t tmpfs -o size=64k tmpfs small || exit 1\n\"$0\" \"$@\"\ncode=$?\n\
                  find small -type f > left\nexit $code";
    let mut inside = Command::new("unshare");
    inside
        .args(["--mount", "--map-root-user", "sh", "-c", script])
        .arg(crate::PROGRAM)
        .current_dir(fleet.folder.path());
    inside.args(["backup", "--backups", "small", "--report", "json=report.json"]);
    inside.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    finish(&mut inside).exits(100);
    let refused = report(&fleet, "report.json");
    for id in ["lite-000", "pg-000", "my-000"] {
        let message = record(&refused, id)["error"]["message"].as_str().unwrap().to_owned();
        assert!(message.contains("bytes free") && message.contains("nothing was written"), "{message}");
    }
    assert_eq!(std::fs::read_to_string(fleet.path("left")).unwrap(), "");
}

#[test]
fn a_command_of_the_operators_backs_up_and_is_told_which_tenant() {
    let mut fleet = Fleet::new().sqlite(2);
    let script = "printf '%s %s %s %s\\n' \"$FLEET_TENANT\" \"$FLEET_ENGINE\" \"$FLEET_SERVER\" \"$FLEET_RUN\" >> hook.log; \
                  test $FLEET_TENANT != lite-001";
    fleet.head = format!("[backup]\ncommand = [\"sh\", \"-c\", '''{script}''']");
    let refused = run(&fleet, &["migrate", "--backup", "--yes"], 100);
    assert_eq!(record(&refused, "lite-001")["class"], "backup");
    assert_eq!((fleet.history("lite-000").is_some(), fleet.history("lite-001").is_some()), (true, false));
    let run_name = run_id(&refused);
    let mut log: Vec<String> =
        std::fs::read_to_string(fleet.path("hook.log")).unwrap().lines().map(str::to_owned).collect();
    log.sort();
    assert_eq!(log, ["lite-000", "lite-001"].map(|id| format!("{id} sqlite local {run_name}")));
    let manifest = json_file(&folder(&fleet, &run_name).join("lite-000.json"));
    assert_eq!((&manifest["tool"], &manifest["bytes"], &manifest["file"]), (&"hook".into(), &0.into(), &Value::Null));
    let refused = run(&fleet, &["restore", "--run", &run_name, "--yes"], 100);
    assert!(record(&refused, "lite-000")["error"]["message"].as_str().unwrap().contains("hook"));
}

#[test]
fn a_tool_that_hangs_is_killed_by_ctrl_c_twice_and_by_its_limit() {
    let mut fleet = Fleet::new().postgres(1);
    fleet.run(&["migrate", "--yes"]).exits(0);
    let tools = fleet.path("tools");
    std::fs::create_dir(&tools).unwrap();
    // It says which version it is, and then hangs with half a dump written.
    let script = "#!/bin/sh\nif [ \"$1\" = --version ]; then echo 'pg_dump (PostgreSQL) 99.0'; exit; fi\n\
                  for a; do last=$p; p=$a; [ \"$last\" = --file ] && echo half > \"$a\"; done\necho $$ > pid\nexec sleep 600\n";
    std::fs::write(tools.join("pg_dump"), script).unwrap();
    std::fs::set_permissions(tools.join("pg_dump"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", tools.display(), std::env::var("PATH").unwrap());
    let hanging = |fleet: &Fleet, arguments: &[&str]| {
        let _ = std::fs::remove_file(fleet.path("pid"));
        fleet.write();
        let child = fleet.program(arguments).env("PATH", &path).spawn().unwrap();
        let begun = Instant::now();
        while std::fs::read_to_string(fleet.path("pid")).map_or(true, |pid| pid.trim().is_empty()) {
            assert!(begun.elapsed() < Duration::from_secs(60), "the tool was not started");
            std::thread::sleep(Duration::from_millis(20));
        }
        (child, std::fs::read_to_string(fleet.path("pid")).unwrap().trim().to_owned())
    };
    let gone = |pid: &str| {
        let begun = Instant::now();
        while std::fs::read_to_string(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.contains("sleep")) {
            assert!(begun.elapsed() < Duration::from_secs(10), "the tool goes on");
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    let left = |fleet: &Fleet| {
        let runs = std::fs::read_dir(fleet.path("backups")).unwrap();
        runs.map(|run| std::fs::read_dir(run.unwrap().path()).unwrap().count()).sum::<usize>()
    };
    let (child, pid) = hanging(&fleet, &["backup", "--report", "json=report.json"]);
    signal(&child, "INT");
    std::thread::sleep(Duration::from_millis(500));
    assert!(Path::new(&format!("/proc/{pid}")).exists(), "the first Ctrl-C lets it go on");
    signal(&child, "INT");
    wait(child).exits(130);
    gone(&pid);
    assert_eq!(record(&report(&fleet, "report.json"), "pg-000")["outcome"], "interrupted");
    assert_eq!(left(&fleet), 0);

    fleet.head = "[fleet]\nbackup_timeout = \"1s\"".to_owned();
    let (child, pid) = hanging(&fleet, &["backup", "--report", "json=report.json"]);
    wait(child).exits(100);
    gone(&pid);
    let report = report(&fleet, "report.json");
    assert!(record(&report, "pg-000")["error"]["message"].as_str().unwrap().contains("backup_timeout"));
    assert_eq!(left(&fleet), 0);
}

/// A load that dies half way leaves a tenant that no run touches and that the same restore repairs.
#[test]
fn a_restore_that_died_is_told_and_the_same_restore_mends_it() {
    let fleet = Fleet::new().mariadb(1);
    fleet.run(&["migrate", "--yes"]).exits(0);
    let before = dump(&fleet, "my-000");
    let backed_up = run(&fleet, &["backup"], 0);
    let run_name = run_id(&backed_up);
    let tools = fleet.path("tools");
    std::fs::create_dir(&tools).unwrap();
    let own = std::env::var("PATH").unwrap();
    let script =
        format!("#!/bin/sh\ncase \"$*\" in *init-command*) exit 1;; *) PATH='{own}' exec mariadb \"$@\";; esac\n");
    std::fs::write(tools.join("mariadb"), script).unwrap();
    std::fs::set_permissions(tools.join("mariadb"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", tools.display(), std::env::var("PATH").unwrap());
    let arguments = ["restore", "--run", &run_name, "--yes", "--report", "json=report.json"];
    finish(fleet.program(&arguments).env("PATH", path)).exits(100);
    assert_eq!(record(&report(&fleet, "report.json"), "my-000")["outcome"], "in_doubt");
    let refused = run(&fleet, &["migrate", "--yes"], 100);
    assert_eq!(record(&refused, "my-000")["outcome"], "in_doubt", "{refused}");
    let told = fleet.run(&["runs", "resolve", "my-000"]).exits(2);
    told.shows(&[&format!("restore --run {run_name} --tenant my-000")]);
    fleet.run(&["runs", "resolve", "my-000", "--applied", "--yes"]).exits(2);

    run(&fleet, &["restore", "--run", &run_name, "--yes"], 0);
    let without_journal = |text: String| text.replace("fleet_journal", "");
    assert_eq!(without_journal(dump(&fleet, "my-000")), without_journal(before));
    fleet.run(&["status", "--exit-code"]).exits(0);
}

#[test]
fn a_failed_migration_is_brought_back_where_the_engine_could_not() {
    let fleet = fleet();
    fleet.run(&["migrate", "--yes"]).exits(0);
    fleet.run(&["seed", "--yes"]).exits(0);
    let before = dump(&fleet, "my-000");
    std::fs::create_dir(fleet.path("sql")).unwrap();
    let script =
        "CREATE TABLE half (a integer);\nINSERT INTO half VALUES (1);\nINSERT INTO no_such_table VALUES (1);\n";
    std::fs::write(fleet.path("sql/0001_half.sql"), script).unwrap();
    let migrate = ["migrate", "--yes", "--scripts", "sql", "--on-failure", "restore"];
    fleet.run(&migrate).exits(64).tells(&["--backup"]);
    let mut migrate = migrate.to_vec();
    migrate.push("--backup");
    let failed = run(&fleet, &migrate, 100);
    assert_eq!(count(&failed, "failed"), 5, "{failed}");
    assert_eq!(record(&failed, "pg-000")["brought_back"], Value::Null, "the engine itself rolled it back");
    let record = record(&failed, "my-000");
    assert_eq!(record["brought_back"], true, "{record}");
    assert_eq!(record["version"], all().last().unwrap().as_str(), "{record}");
    assert!(record["error"]["message"].as_str().unwrap().contains("brought back from the backup"), "{record}");
    assert_eq!(record["committed"], Value::Array(Vec::new()));
    assert_eq!(dump(&fleet, "my-000"), before);
    fleet.run(&["status", "--exit-code"]).exits(0);
}

#[test]
fn a_live_writer_gets_on_with_it_and_the_copy_is_of_one_moment() {
    let fleet = Fleet::new().sqlite(1);
    fleet.ask("lite-000", "PRAGMA journal_mode = WAL");
    fleet.ask("lite-000", "CREATE TABLE pair (a integer, b integer)");
    fleet.ask("lite-000", "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200000) INSERT INTO pair SELECT 0, 0 FROM n");
    let url = format!("sqlite:{}", fleet.path("lite-000.db").display());
    let stop = Arc::new(AtomicBool::new(false));
    let (stopped, written) = (stop.clone(), url.clone());
    let writer = std::thread::spawn(move || {
        let mut n = 0;
        block_on(async {
            let mut db = sqlx::SqliteConnection::connect(&written).await.unwrap();
            while !stopped.load(Ordering::Relaxed) {
                n += 1;
                // Both halves are in one transaction: no copy may have one of them only.
                let sql = format!(
                    "BEGIN IMMEDIATE; UPDATE pair SET a = {n} WHERE rowid IN (1, 199999); UPDATE pair SET b = {n} WHERE rowid IN (1, 199999); COMMIT"
                );
                sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut db).await.unwrap();
            }
            db.close().await.unwrap();
        });
        n
    });
    let backed_up = run(&fleet, &["backup"], 0);
    stop.store(true, Ordering::Relaxed);
    assert!(writer.join().unwrap() > 0);
    let copy = folder(&fleet, &run_id(&backed_up)).join("lite-000.db");
    let copied = format!("sqlite:{}", copy.display());
    let halves = crate::support::sql(&copied, "SELECT DISTINCT a || '=' || b FROM pair WHERE rowid IN (1, 199999)");
    assert!(halves.len() == 1, "{halves:?}");
    assert_eq!(crate::support::sql(&copied, "PRAGMA journal_mode"), ["delete"]);

    // A connection that stays open during the restore sees the old content before it and the new content after.
    block_on(async {
        let mut open = sqlx::SqliteConnection::connect(&url).await.unwrap();
        sqlx::raw_sql("UPDATE pair SET a = -1").execute(&mut open).await.unwrap();
        let run_name = run_id(&backed_up);
        run(&fleet, &["restore", "--run", &run_name, "--yes"], 0);
        let minus: i64 =
            sqlx::query_scalar("SELECT count(*) FROM pair WHERE a = -1").fetch_one(&mut open).await.unwrap();
        let ok: String = sqlx::query_scalar("PRAGMA integrity_check").fetch_one(&mut open).await.unwrap();
        assert_eq!((minus, ok.as_str()), (0, "ok"));
        open.close().await.unwrap();
    });
    assert_eq!(crate::support::sql(&url, "PRAGMA journal_mode"), ["wal"]);
}

#[test]
fn old_backups_go_but_not_those_that_may_still_be_needed() {
    let fleet = Fleet::new().head("[fleet]\nattempts = 1").sqlite(2);
    let good = run_id(&run(&fleet, &["migrate", "--backup", "--yes", "--limit", "1", "--to", &all()[0]], 5));
    std::fs::create_dir(fleet.path("sql")).unwrap();
    std::fs::write(fleet.path("sql/0001_bad.sql"), "INSERT INTO no_such_table VALUES (1);\n").unwrap();
    let bad = run_id(&run(&fleet, &["migrate", "--backup", "--yes", "--scripts", "sql"], 100));
    let stray = uuid::Uuid::now_v7().to_string();
    std::fs::create_dir(folder(&fleet, &stray)).unwrap();
    let kept = fleet.run(&["backup", "prune", "--older-than", "30d", "--yes"]).exits(0);
    kept.shows(&["nothing to remove"]);
    fleet.run(&["backup", "prune", "--older-than", "0s"]).exits(64);
    let pruned = fleet.run(&["backup", "prune", "--older-than", "0s", "--yes"]).exits(0);
    pruned.shows(&[
        &format!("kept {bad}: not at their target since: lite-000, lite-001"),
        &format!("kept {stray}: the ledger does not know"),
        &format!("removed {good}"),
    ]);
    assert!(!folder(&fleet, &good).exists() && folder(&fleet, &bad).exists() && folder(&fleet, &stray).exists());

    // A failed tenant is settled when a later run has brought it to its target.
    let prune = || fleet.run(&["backup", "prune", "--older-than", "0s", "--yes"]).exits(0);
    fleet.run(&["backup", "--tenant", "lite-001"]).exits(0);
    // Without the script that they failed at, none is brought to what that run was to reach.
    fleet.run(&["migrate", "--yes"]).exits(0);
    prune().shows(&[&format!("kept {bad}: not at their target since: lite-000, lite-001")]);
    std::fs::write(fleet.path("sql/0001_bad.sql"), "CREATE TABLE good (i int);\n").unwrap();
    fleet.run(&["migrate", "--yes", "--scripts", "sql", "--tenant", "lite-000"]).exits(0);
    prune().shows(&[&format!("kept {bad}: not at their target since: lite-001")]);
    // One that finds nothing to do and does not go as far settles nothing.
    fleet.run(&["scripts", "repair", "0001_bad", "--scripts", "sql", "--yes"]).exits(0);
    fleet.run(&["migrate", "--yes", "--scripts", "sql", "--to", &all()[0]]).exits(0);
    fleet
        .run(&["rollback", "--yes", "--scripts", "sql", "--tenant", "lite-001", "--to", all().last().unwrap()])
        .exits(0);
    prune().shows(&[&format!("kept {bad}: not at their target since: lite-001")]);
    fleet.run(&["migrate", "--yes", "--scripts", "sql"]).exits(0);
    prune().shows(&[&format!("kept {bad}: one of the newest 1 of lite-000")]);
    fleet.run(&["backup", "--tenant", "lite-000"]).exits(0);
    prune().shows(&[&format!("removed {bad}")]);
    assert!(!folder(&fleet, &bad).exists());
}

/// Names that mean something in a pattern of `pg_dump`, and the schema that every database has.
#[test]
fn schemas_of_any_name_come_back_alone() {
    let mut fleet = Fleet::new();
    let url = fleet.database("postgres", "names");
    let odd = "Ten'ant $One.*";
    let run_sql = |query: &str| crate::support::sql(&url, query);
    run_sql(&format!("CREATE SCHEMA \"{odd}\"; CREATE SCHEMA \"Ten'ant $Onexx\""));
    for (id, schema) in [("odd", odd), ("public", "public"), ("other", "Ten'ant $Onexx")] {
        fleet.add(id, &url);
        fleet.tenant_mut(id).schema = Some(schema.to_owned());
    }
    fleet.run(&["migrate", "--yes"]).exits(0);
    let tables = "SELECT schemaname || '.' || tablename FROM pg_tables WHERE schemaname NOT LIKE 'pg\\_%' ORDER BY 1";
    let before = run_sql(tables);
    let backed_up = run(&fleet, &["backup", "--exclude", "other"], 0);
    for schema in [odd, "public", "Ten'ant $Onexx"] {
        run_sql(&format!("CREATE TABLE \"{schema}\".later (a int)"));
    }
    run(&fleet, &["restore", "--run", &run_id(&backed_up), "--yes"], 0);
    let mut expected = before.clone();
    expected.push("Ten'ant $Onexx.later".to_owned());
    expected.sort();
    let mut found = run_sql(tables);
    found.sort();
    assert_eq!(found, expected);

    // A view of another schema would go with the tenant's tables: then nothing does.
    run_sql(&format!("CREATE VIEW \"Ten'ant $Onexx\".watch AS SELECT version FROM \"{odd}\".seaql_migrations"));
    let refused = run(&fleet, &["restore", "--run", &run_id(&backed_up), "--tenant", "odd", "--yes"], 100);
    let message = record(&refused, "odd")["error"]["message"].as_str().unwrap().to_owned();
    assert!(message.contains("other schemas hold something that depends on this one"), "{message}");
    assert_eq!(run_sql("SELECT viewname FROM pg_views WHERE viewname = 'watch'"), ["watch"]);
    assert_eq!(run_sql(&format!("SELECT count(*)::text FROM \"{odd}\".seaql_migrations")), [all().len().to_string()]);
}

/// The backup is of the tenant before the run, not of the state after an attempt of this run.
#[test]
fn another_attempt_keeps_the_backup_of_the_first() {
    let fleet =
        Fleet::new().head("[fleet]\nlock_wait = \"4s\"\nlock_timeout = \"1s\"\nretry_pause = \"5ms\"").mariadb(1);
    fleet.run(&["migrate", "--yes"]).exits(0);
    let before = dump(&fleet, "my-000");
    std::fs::create_dir(fleet.path("sql")).unwrap();
    let script = "CREATE TABLE half (a integer);\nALTER TABLE inventory_items ADD COLUMN more integer NULL;\n";
    std::fs::write(fleet.path("sql/0001_half.sql"), script).unwrap();
    let failed = block_on(async {
        let mut holder = sqlx::MySqlConnection::connect(&fleet.tenant("my-000").url).await.unwrap();
        for sql in ["START TRANSACTION", "SELECT count(*) FROM inventory_items"] {
            sqlx::raw_sql(sql).execute(&mut holder).await.unwrap();
        }
        let failed = run(&fleet, &["migrate", "--backup", "--yes", "--scripts", "sql"], 100);
        holder.close().await.unwrap();
        failed
    });
    let record = record(&failed, "my-000");
    assert_eq!(record["outcome"], "lock_timeout", "{record}");
    assert!(record["attempts"].as_u64().unwrap() >= 2, "{record}");
    assert!(fleet.has_table("my-000", "half"));
    run(&fleet, &["restore", "--run", &run_id(&failed), "--yes"], 0);
    assert_eq!(dump(&fleet, "my-000"), before);
}

/// A restore waits for a reader of the tenant as for any lock, and changes nothing if the reader stays.
#[test]
fn a_restore_that_gets_no_lock_is_tried_again_and_told_as_that() {
    let head = "[fleet]\nlock_wait = \"2s\"\nlock_timeout = \"500ms\"\nretry_pause = \"5ms\"";
    let fleet = Fleet::new().head(head).postgres(1).schemas(1);
    fleet.run(&["migrate", "--yes"]).exits(0);
    let backed_up = run(&fleet, &["backup"], 0);
    fleet.ask("pg-000", "CREATE TABLE later (a int)");
    let url = fleet.tenant("pg-000").url.clone();
    let refused = block_on(async {
        let mut reader = sqlx::PgConnection::connect(&url).await.unwrap();
        sqlx::raw_sql("BEGIN; SELECT count(*) FROM inventory_items").execute(&mut reader).await.unwrap();
        let refused = run(&fleet, &["restore", "--run", &run_id(&backed_up), "--yes"], 100);
        reader.close().await.unwrap();
        refused
    });
    let record = record(&refused, "pg-000");
    assert_eq!(record["outcome"], "lock_timeout", "{record}");
    assert!(record["attempts"].as_u64().unwrap() >= 2, "{record}");
    assert!(fleet.has_table("pg-000", "later") && fleet.history("pg-000").unwrap().len() == all().len());
    assert_eq!(count(&refused, "restored"), 1);
}
