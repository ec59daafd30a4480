//! Backups that can't be loaded: the tenant is found untouched, whatever engine it is on, with the cause and the next step.
//! On MySQL and MariaDB a restore tries its backup out on a scratch database first.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::dumps::{dump, run_id};
use crate::support::{Fleet, finish, json_file, mariadb_url, record, signal, sql, wait_for_end};

fn plain_path() -> String {
    std::env::var("PATH").unwrap()
}

/// Runs the program with this PATH and a JSON report, and returns the report.
#[track_caller]
fn run(fleet: &Fleet, path: &str, arguments: &[&str], code: i32) -> Value {
    fleet.write();
    let mut all = arguments.to_vec();
    all.extend(["--yes", "--report", "json=report.json"]);
    finish(fleet.program(&all).env("PATH", path)).exits(code);
    json_file(&fleet.path("report.json"))
}

/// A tenant's file in the backup of a run.
fn file(fleet: &Fleet, run: &str, id: &str) -> PathBuf {
    let folder = fleet.path("backups").join(run);
    folder.join(json_file(&folder.join(format!("{id}.json")))["file"].as_str().unwrap())
}

/// Writes another content into a backup, with a manifest that agrees.
fn replace(fleet: &Fleet, run: &str, id: &str, content: &[u8]) {
    let file = file(fleet, run, id);
    std::fs::write(&file, content).unwrap();
    let sum = Command::new("sha256sum").arg(&file).output().unwrap().stdout;
    let manifest = file.parent().unwrap().join(format!("{id}.json"));
    let mut text = json_file(&manifest);
    text["sha256"] = String::from_utf8(sum).unwrap().split_whitespace().next().unwrap().into();
    text["bytes"] = content.len().into();
    std::fs::write(manifest, text.to_string()).unwrap();
}

#[track_caller]
fn says(report: &Value, id: &str, words: &[&str]) {
    let told = record(report, id);
    assert_eq!(told["outcome"], "failed", "{told}");
    let message = told["error"]["message"].as_str().unwrap();
    for word in words {
        assert!(message.contains(word), "no {word:?} in {message}");
    }
}

/// The scratch databases that the user of a URL sees, of this moment on.
fn scratch(url: &str, since: u64) -> Vec<String> {
    let all = sql(
        url,
        "SELECT CAST(schema_name AS char) FROM information_schema.schemata WHERE schema_name LIKE 'fleet\\_scratch\\_%'",
    );
    let made = |name: &String| u64::from_str_radix(name.split('_').nth(2).unwrap(), 16).unwrap();
    all.into_iter().filter(|name| made(name) >= since).collect()
}

fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}

#[test]
fn a_broken_dump_leaves_every_tenant_as_it_was() {
    let fleet = Fleet::new().head("[fleet]\nattempts = 1").sqlite(1).postgres(1).schemas(1).mariadb(1);
    let path = plain_path();
    run(&fleet, &path, &["migrate"], 0);
    let sites = ["lite-000", "pg-000", "schema-000", "my-000"];
    let backed_up = run_id(&run(&fleet, &path, &["backup"], 0));
    for id in sites {
        fleet.ask(id, "CREATE TABLE since (a integer)");
        let mut content = std::fs::read(file(&fleet, &backed_up, id)).unwrap();
        if id == "my-000" {
            let text = String::from_utf8(content).unwrap();
            content = text.replacen("-- Dumping events", "CREATE TABLE broken (;\n-- Dumping events", 1).into_bytes();
        } else {
            // The head of the file is whole, so that only a look at all of it finds this.
            let half = content.len() / 2;
            content[half..].fill(0x5a);
        }
        replace(&fleet, &backed_up, id, &content);
    }
    let before = sites.map(|id| dump(&fleet, id));
    let refused = run(&fleet, &path, &["restore", "--run", &backed_up], 100);
    says(&refused, "my-000", &["ERROR 1064", "nothing was dropped and the tenant is as it was", "small backup list"]);
    for id in ["pg-000", "schema-000"] {
        says(&refused, id, &["has changed nothing"]);
    }
    says(&refused, "lite-000", &["is damaged"]);
    assert_eq!(sites.map(|id| dump(&fleet, id)), before);
    fleet.run(&["status", "--exit-code"]).exits(0);
}

#[test]
fn what_the_server_lacks_is_told_and_every_tenant_is_as_it_was() {
    let fleet = Fleet::new().head("[fleet]\nattempts = 1").postgres(1).mariadb(1);
    let path = plain_path();
    run(&fleet, &path, &["migrate"], 0);
    let role = fleet.unique("gone");
    sql(&crate::support::postgres_url(), &format!("CREATE ROLE {role}"));
    fleet.ask("pg-000", &format!("GRANT SELECT ON inventory_items TO {role}"));
    let backed_up = run_id(&run(&fleet, &path, &["backup"], 0));
    fleet.ask("pg-000", &format!("DROP OWNED BY {role}; DROP ROLE {role}"));
    // As from a newer server, with a storage engine that this one lacks.
    let text = std::fs::read_to_string(file(&fleet, &backed_up, "my-000")).unwrap();
    replace(&fleet, &backed_up, "my-000", text.replacen("utf8mb4_general_ci", "utf8mb4_0900_ai_ci", 1).as_bytes());
    let before = ["pg-000", "my-000"].map(|id| dump(&fleet, id));
    let refused = run(&fleet, &path, &["restore", "--run", &backed_up], 100);
    says(&refused, "pg-000", &[&format!("role \"{role}\" does not exist"), "has changed nothing"]);
    says(&refused, "my-000", &["ERROR 1273", "nothing was dropped"]);
    assert_eq!(["pg-000", "my-000"].map(|id| dump(&fleet, id)), before);
}

/// A trigger that names its own database, objects made under another collation, and an event that is due all the time.
#[test]
fn a_trial_touches_neither_the_tenant_nor_runs_its_events() {
    let fleet = Fleet::new().head("[fleet]\nattempts = 1").mariadb(1);
    let path = plain_path();
    run(&fleet, &path, &["migrate"], 0);
    let database = fleet.ask("my-000", "SELECT DATABASE()").remove(0);
    for statement in [
        "CREATE TABLE {db}.ticks (a int)",
        "CREATE TRIGGER {db}.qualified BEFORE INSERT ON {db}.ticks FOR EACH ROW SET NEW.a = 1",
        "ALTER DATABASE CHARACTER SET latin1",
        "CREATE FUNCTION under_latin1() RETURNS char(3) RETURN 'x'",
        "ALTER DATABASE CHARACTER SET utf8mb4",
    ] {
        fleet.ask("my-000", &statement.replace("{db}", &database));
    }
    let begun = now();
    let before = dump(&fleet, "my-000");
    let backed_up = run_id(&run(&fleet, &path, &["backup"], 0));
    // The load fails behind everything else, with the tenant's default collation changed on the way.
    let content = std::fs::read_to_string(file(&fleet, &backed_up, "my-000")).unwrap();
    let broken = content.replacen("-- Dump completed", "NO SUCH STATEMENT;\n-- Dump completed", 1);
    let broken = broken.replace("ALTER DATABASE `", "SELECT 1;\nALTER DATABASE `");
    replace(&fleet, &backed_up, "my-000", broken.as_bytes());
    says(&run(&fleet, &path, &["restore", "--run", &backed_up], 100), "my-000", &["ERROR 1064"]);
    assert_eq!(dump(&fleet, "my-000"), before);
    replace(&fleet, &backed_up, "my-000", content.as_bytes());
    run(&fleet, &path, &["restore", "--run", &backed_up], 0);
    assert_eq!(dump(&fleet, "my-000"), before);
    let url = fleet.tenant("my-000").url.clone();
    let ours = |name: &String| {
        sql(&url, &format!("SELECT table_name FROM information_schema.tables WHERE table_schema = '{name}'"))
    };
    assert!(scratch(&url, begun).iter().all(|name| !ours(name).contains(&"ticks".to_owned())));
}

#[test]
fn a_user_who_may_create_no_database_is_told_so_before_anything_is_touched() {
    let mut fleet = Fleet::new().head("[fleet]\nattempts = 1");
    let (server, user) = (mariadb_url(), fleet.unique("nc"));
    let database = fleet.database("mariadb", "small");
    let name = database.rsplit_once('/').unwrap().1.to_owned();
    sql(&server, &format!("CREATE USER '{user}'@'%' IDENTIFIED BY 'pw'; GRANT ALL ON `{name}`.* TO '{user}'@'%'"));
    fleet.at_end(&server, &format!("DROP USER IF EXISTS '{user}'@'%'"));
    fleet.add("my", &format!("mysql://{user}:pw@{}", database.rsplit_once('@').unwrap().1));
    let path = plain_path();
    let grant = format!("GRANT ALL ON `fleet\\_scratch\\_%`.* TO `{user}`@`%`");
    let refused = run(&fleet, &path, &["migrate", "--backup", "--on-failure", "restore"], 100);
    says(&refused, "my", &[&grant, "nothing was touched", "--restore-trial never"]);
    assert_eq!(fleet.history("my"), None);
    run(&fleet, &path, &["migrate"], 0);
    let backed_up = run_id(&run(&fleet, &path, &["backup"], 0));
    fleet.ask("my", "CREATE TABLE since (a integer)");
    let restore = ["restore", "--run", &backed_up];
    says(&run(&fleet, &path, &restore, 100), "my", &[&grant, "nothing was touched", "--restore-trial never"]);
    assert!(fleet.has_table("my", "since"));
    let done = run(&fleet, &path, &[&restore[..], &["--restore-trial", "never"]].concat(), 0);
    assert!(record(&done, "my").to_string().contains("restored without a trial"), "{done}");
    assert!(!fleet.has_table("my", "since"));
    sql(&server, &grant);
    run(&fleet, &path, &restore, 0);
}

/// The client hangs, either in the trial or in the load behind it, and the program is killed there.
#[test]
fn killed_in_the_trial_leaves_the_tenant_as_it_was_and_killed_behind_it_in_doubt() {
    let fleet = Fleet::new().head("[fleet]\nattempts = 1").mariadb(1);
    let path = plain_path();
    run(&fleet, &path, &["migrate"], 0);
    let before = dump(&fleet, "my-000");
    let backed_up = run_id(&run(&fleet, &path, &["backup"], 0));
    let tools = fleet.path("tools");
    std::fs::create_dir(&tools).unwrap();
    let hanging = format!("{}:{path}", tools.display());
    for (in_trial, outcome) in [(true, None), (false, Some("in_doubt"))] {
        let begun = now();
        let hangs = if in_trial { "*fleet_scratch_*" } else { "*init-command*" };
        let script = format!(
            "#!/bin/sh\ncase \"$*\" in\n{hangs}) head -c 2000 >/dev/null; echo $$ >'{}'; exec sleep 600;;\n*) PATH='{path}' exec \
             mariadb \"$@\";;\nesac\n",
            fleet.path("pid").display()
        );
        std::fs::write(tools.join("mariadb"), script).unwrap();
        std::fs::set_permissions(tools.join("mariadb"), std::fs::Permissions::from_mode(0o755)).unwrap();
        let restore = ["restore", "--run", &backed_up, "--yes"];
        let mut child = fleet.program(&restore).env("PATH", &hanging).spawn().unwrap();
        let started = Instant::now();
        let pid = loop {
            match std::fs::read_to_string(fleet.path("pid")) {
                Ok(pid) if !pid.trim().is_empty() => break pid,
                _ => assert!(started.elapsed() < Duration::from_secs(60), "the client was not started"),
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        std::fs::remove_file(fleet.path("pid")).unwrap();
        signal(&child, "KILL");
        wait_for_end(&mut child);
        Command::new("kill").args(["-KILL", pid.trim()]).status().unwrap();
        let left = scratch(&fleet.tenant("my-000").url, begun);
        match outcome {
            None => {
                assert_eq!(dump(&fleet, "my-000"), before);
                assert!(!left.is_empty(), "the killed trial left its database");
                fleet.run(&["status", "--exit-code"]).exits(0);
                // Those of other tests are in use, and not dropped here.
                left.iter().for_each(|name| fleet_drops(&fleet, name));
            }
            Some(outcome) => {
                let refused = run(&fleet, &path, &["migrate"], 100);
                assert_eq!(record(&refused, "my-000")["outcome"], outcome, "{refused}");
            }
        }
        run(&fleet, &path, &["restore", "--run", &backed_up], 0);
        let without_journal = |text: String| text.replace("fleet_journal", "");
        assert_eq!(without_journal(dump(&fleet, "my-000")), without_journal(before.clone()));
    }
}

/// Drops a scratch database that no process marks as used.
fn fleet_drops(fleet: &Fleet, name: &str) {
    let url = &fleet.tenant("my-000").url;
    if sql(url, &format!("SELECT 'free' FROM DUAL WHERE IS_USED_LOCK('{name}') IS NULL")) == ["free"] {
        sql(url, &format!("DROP DATABASE IF EXISTS `{name}`"));
    }
}

/// The server stores the semicolon behind the body, when another statement follows in the same message.
#[test]
fn mysql() {
    let fleet = Fleet::new().head("[fleet]\nattempts = 1").mysql(1);
    let path = crate::support::mysql::path();
    run(&fleet, &path, &["migrate"], 0);
    let whole = run_id(&run(&fleet, &path, &["backup"], 0));
    let trigger = "CREATE TRIGGER ends BEFORE INSERT ON inventory_items FOR EACH ROW SET NEW.name = 'x'; SELECT 'a'";
    fleet.ask("mysql-000", trigger);
    let stored = run_id(&run(&fleet, &path, &["backup"], 0));
    let before = dump(&fleet, "mysql-000");
    let refused = run(&fleet, &path, &["restore", "--run", &stored], 100);
    says(
        &refused,
        "mysql-000",
        &["ERROR 1064", "nothing was dropped and the tenant is as it was", "small backup list"],
    );
    assert_eq!(dump(&fleet, "mysql-000"), before);
    run(&fleet, &path, &["restore", "--run", &whole], 0);
    assert!(!dump(&fleet, "mysql-000").contains("TRIGGER `ends`"));
}
