//! `kill -9` in the middle of a run: nothing is done twice, nothing is forgotten, nothing false is reported.

use std::io::{BufRead, BufReader};
use std::process::Child;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;
use sqlx::Connection;

use crate::going_on::waiting_for_a_table;
use crate::support::{Fleet, all, block_on, count, json_file, mariadb_url, sql, up_to, wait_for_end, with};

/// Waits for a line on stderr for which `fits` holds; goes on reading in the background, so that the program never
/// blocks on the pipe, and returns the rest of the output.
pub(crate) fn read_until(child: &mut Child, mut fits: impl FnMut(&str) -> bool) -> JoinHandle<String> {
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut read = Vec::new();
    loop {
        let line = lines.next().unwrap_or_else(|| panic!("the program ended too early:\n{}", read.join("\n"))).unwrap();
        let found = fits(&line);
        read.push(line);
        if found {
            break;
        }
    }
    std::thread::spawn(move || lines.map(|line| line.unwrap() + "\n").collect())
}

fn kill_after(fleet: &Fleet, arguments: &[&str], finished: usize) {
    fleet.write();
    let mut child = fleet.program(arguments).spawn().unwrap();
    let mut seen = 0;
    read_until(&mut child, |line| {
        seen += usize::from(line.starts_with('['));
        seen == finished
    });
    child.kill().unwrap();
    assert_eq!(wait_for_end(&mut child), None, "it was killed");
}

fn runs(fleet: &Fleet) -> Vec<Value> {
    fleet.run(&["runs", "list", "--format", "json"]).exits(0).json()["runs"].as_array().unwrap().clone()
}

/// The last migration before those in batches, which no engine can roll back as a whole.
const GOAL: &str = "m20250930_000001_order_sale_fields";

fn expected() -> &'static [String] {
    let last = all().iter().position(|name| name == GOAL).unwrap();
    &all()[..=last]
}

#[test]
fn a_killed_run_is_finished_by_resume() {
    let fleet = Fleet::new()
        .head("[fleet]\nconcurrency = 8\nper_server = 4\nretry_pause = \"20ms\"\nhold_wait = \"30s\"")
        .sqlite(60)
        .postgres(20)
        .mariadb(20);
    kill_after(&fleet, &["migrate", "--to", GOAL, "--yes"], 33);

    let killed = &runs(&fleet)[0];
    assert_eq!(killed["status"], "died", "{killed:#}");
    let id = killed["run"].as_str().unwrap();
    fleet.run(&["status"]).exits(0).tells(&[
        &format!("run {id}, begun at "),
        "died and left",
        &format!("runs resume {id}"),
    ]);
    fleet.run(&["tenants", "check"]).tells(&["died and left", &format!("runs resume {id}")]);
    fleet.run(&["runs", "list"]).exits(0).shows(&[id, "died"]);
    fleet.run(&["runs", "show", "last"]).exits(0).shows(&["died", &format!("runs resume {id}")]);
    let done = fleet.tenants.iter().filter(|t| fleet.history(&t.id).is_some_and(|h| h == expected())).count();
    assert!((33..100).contains(&done), "{done} tenants were at head when the run was killed");

    let resumed = fleet.run(&["runs", "resume", "last", "--yes", "--report", "json=resumed.json"]);
    let report = json_file(&fleet.path("resumed.json"));
    let in_doubt = with(&report, "in_doubt");
    assert!(in_doubt.iter().all(|t| t.starts_with("my-")), "only MariaDB can be left in doubt: {in_doubt:?}");
    let resumed = resumed.exits(if in_doubt.is_empty() { 0 } else { 100 });
    for tenant in &in_doubt {
        assert!(resumed.out.contains(tenant), "{tenant} is not named in:\n{}", resumed.out);
    }
    assert!(count(&report, "migrated") <= 100 - done, "more were migrated than were left: {report:#}");
    for tenant in &fleet.tenants {
        if !in_doubt.contains(&tenant.id) {
            assert_eq!(fleet.history(&tenant.id).unwrap(), expected(), "{}", tenant.id);
        }
    }

    let before: Vec<_> = fleet.tenants.iter().map(|t| fleet.history(&t.id)).collect();
    let again = fleet.run(&["runs", "resume", id, "--yes", "--report", "json=again.json"]);
    assert!(again.code == Some(0) || !in_doubt.is_empty(), "{}\n{}", again.out, again.err);
    if fleet.path("again.json").exists() {
        assert_eq!(count(&json_file(&fleet.path("again.json")), "migrated"), 0, "there was nothing left to do");
    }
    let after: Vec<_> = fleet.tenants.iter().map(|t| fleet.history(&t.id)).collect();
    assert_eq!(before, after);
}

#[test]
fn steps_of_a_killed_run_are_not_taken_twice() {
    let fleet = Fleet::new().head("[fleet]\nconcurrency = 2").sqlite(60).postgres(5);
    kill_after(&fleet, &["migrate", "--steps", "1", "--yes"], 12);
    fleet.run(&["runs", "resume", "last", "--yes"]).exits(0);
    for tenant in &fleet.tenants {
        assert_eq!(fleet.history(&tenant.id).unwrap(), all()[..1], "{}: one step was asked for", tenant.id);
    }
}

#[test]
fn failed_of_takes_exactly_the_failures_to_the_same_goal() {
    let fleet = Fleet::new().head("[fleet]\nattempts = 1").sqlite(4).postgres(1).mariadb(2);
    fleet.ask("lite-002", "CREATE TABLE users (id int)");
    fleet.ask("my-001", "CREATE TABLE users (id int)");
    let first = fleet.run(&["migrate", "--steps", "2", "--yes", "--format", "json"]).exits(100).json();
    assert_eq!(with(&first, "failed"), ["lite-002", "my-001"]);
    let run = first["run"].as_str().unwrap();
    assert!(first["rerun"].as_str().unwrap().ends_with(&format!("migrate --failed-of {run}")));

    for tenant in ["lite-002", "my-001"] {
        fleet.ask(tenant, "DROP TABLE users");
    }
    let second = fleet.run(&["migrate", "--failed-of", run, "--yes", "--format", "json"]).exits(0).json();
    let tenants: Vec<&str> =
        second["tenants"].as_array().unwrap().iter().map(|r| r["tenant"].as_str().unwrap()).collect();
    assert_eq!(tenants, ["lite-002", "my-001"]);
    assert_eq!(count(&second, "migrated"), 2, "{second:#}");
    for tenant in &fleet.tenants {
        assert_eq!(fleet.history(&tenant.id).unwrap(), all()[..2], "{}: two steps were asked for", tenant.id);
    }
    fleet.run(&["migrate", "--failed-of", run, "--yes"]).exits(0);
    assert_eq!(fleet.history("lite-002").unwrap(), all()[..2], "asked again, the steps are not taken twice");
    fleet.run(&["migrate", "--failed-of", "last", "--yes"]).exits(4);
}

#[test]
fn failures_that_left_the_file_are_named_and_do_not_end_as_if_all_was_well() {
    let mut fleet = Fleet::new().head("[fleet]\nattempts = 1").sqlite(4);
    for tenant in ["lite-001", "lite-002"] {
        fleet.ask(tenant, "CREATE TABLE users (id int)");
    }
    fleet.run(&["migrate", "--yes"]).exits(100);
    fleet.ask("lite-001", "DROP TABLE users");
    fleet.tenants.retain(|tenant| tenant.id != "lite-002");
    let rest = fleet.run(&["migrate", "--failed-of", "last", "--yes"]).exits(5);
    rest.tells(&["not in the tenant file any more", "lite-002"]);
    assert_eq!(fleet.history("lite-001").unwrap(), all());
}

/// MariaDB finishes a statement it has received, unless it goes down too: then only a person can determine how far it
/// got.
#[test]
fn a_tenant_whose_server_forgot_it_too_is_in_doubt_until_it_is_settled() {
    let fleet = Fleet::new().mariadb(2);
    let (mut child, holder, waiting) = waiting_for_a_table(&fleet, &["migrate"]);
    let begun = Instant::now();
    while fleet.history("my-001").unwrap() != all() {
        assert!(begun.elapsed() < Duration::from_secs(60), "the neighbour never came to its end");
    }
    child.kill().unwrap();
    wait_for_end(&mut child);
    sql(&mariadb_url(), &format!("KILL {waiting}"));
    block_on(holder.close()).unwrap();

    let resumed = fleet.run(&["runs", "resume", "last", "--yes", "--report", "json=resumed.json"]).exits(100);
    assert_eq!(with(&json_file(&fleet.path("resumed.json")), "in_doubt"), ["my-000"]);
    resumed.shows(&["IN DOUBT", "my-000", "statement 3", "runs resolve my-000"]);
    fleet.run(&["migrate", "--yes"]).exits(100);
    assert_eq!(fleet.history("my-000").unwrap(), all()[..up_to("add_tenant_features")], "it is left alone");
    assert_eq!(fleet.history("my-001").unwrap(), all(), "its neighbour is not");
    fleet.run(&["tenants", "check"]).shows(&["in doubt", "my-000"]);
    fleet.run(&["doctor"]).exits(2).shows(&["error", "in doubt: ", "runs resolve my-000"]);

    let looked = fleet.run(&["runs", "resolve", "my-000"]).exits(2);
    looked.shows(&["--applied", "--not-applied", "--resume-at"]).tells(&[
        "my-000",
        "ALTER TABLE",
        "is not there -> it did not happen: --resume-at 3",
    ]);
    fleet.run(&["runs", "resolve", "my-000", "--not-applied"]).exits(64).tells(&["--yes"]);
    fleet.run(&["runs", "resolve", "my-000", "--resume-at", "3", "--yes"]).exits(0).shows(&["migrate --tenant my-000"]);
    fleet.run(&["migrate", "--yes"]).exits(0);
    assert_eq!(fleet.history("my-000").unwrap(), all());
    assert!(fleet.has_table("my-000", "locations"));
    fleet.run(&["runs", "resolve", "my-000"]).exits(0).tells(&["not in doubt"]);
}

/// A dump tool gets its password in a file. A killed run leaves the file, and the next run removes it, but never one in
/// use.
#[test]
fn what_a_killed_backup_left_of_a_password_is_removed_by_the_next_run() {
    use std::os::unix::fs::PermissionsExt as _;
    let fleet = Fleet::new().sqlite(1).postgres(1);
    fleet.run(&["migrate", "--yes"]).exits(0);
    let (tools, temp) = (fleet.path("tools"), fleet.path("temp"));
    std::fs::create_dir(&tools).unwrap();
    std::fs::create_dir(&temp).unwrap();
    let script = "#!/bin/sh\nif [ \"$1\" = --version ]; then echo 'pg_dump (PostgreSQL) 99.0'; exit; fi\n\
                  cat \"$PGPASSFILE\" > seen\necho $$ > pid\nexec sleep 600\n";
    std::fs::write(tools.join("pg_dump"), script).unwrap();
    std::fs::set_permissions(tools.join("pg_dump"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", tools.display(), std::env::var("PATH").unwrap());
    let mut child =
        fleet.program(&["backup", "--tenant", "pg-000"]).env("PATH", &path).env("TMPDIR", &temp).spawn().unwrap();
    let begun = std::time::Instant::now();
    while std::fs::read_to_string(fleet.path("pid")).map_or(true, |pid| pid.trim().is_empty()) {
        assert!(begun.elapsed().as_secs() < 60, "the tool was not started");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let secrets = || std::fs::read_dir(&temp).unwrap().count();
    let other_run = || {
        let mut command = fleet.program(&["migrate", "--yes", "--tenant", "lite-000"]);
        crate::support::finish(command.env("TMPDIR", &temp)).exits(0);
    };
    assert_eq!(secrets(), 1);
    assert!(!std::fs::read_to_string(fleet.path("seen")).unwrap().is_empty(), "the tool could read it");
    other_run();
    assert_eq!(secrets(), 1, "it is in use");
    child.kill().unwrap();
    wait_for_end(&mut child);
    let tool = std::fs::read_to_string(fleet.path("pid")).unwrap();
    std::process::Command::new("kill").arg(tool.trim()).status().unwrap();
    assert_eq!(secrets(), 1, "nobody could remove it");
    other_run();
    assert_eq!(secrets(), 0);
}

/// Other runs may come between a migration and the word "last".
#[test]
fn the_last_run_whose_failures_are_taken_is_one_that_migrates() {
    let fleet = Fleet::new().head("[fleet]\nattempts = 1").sqlite(3);
    fleet.ask("lite-001", "CREATE TABLE users (id int)");
    fleet.run(&["migrate", "--yes", "-q"]).exits(100);
    fleet.run(&["exec", "UPDATE tenant_features SET enabled = true", "--write", "--yes", "-t", "lite-000"]).exits(0);
    fleet.run(&["backup", "-q"]).exits(0);
    fleet.run(&["plan", "--failed-of", "last"]).exits(0).shows(&["lite-001"]);
    fleet.ask("lite-001", "DROP TABLE users");
    fleet.run(&["migrate", "--failed-of", "last", "--yes"]).exits(0).shows(&["1 migrated"]);
    let none = Fleet::new().sqlite(1);
    none.run(&["backup", "-q"]).exits(0);
    none.run(&["migrate", "--failed-of", "last", "--yes"]).exits(64).tells(&["no run that migrates or rolls back"]);
}
