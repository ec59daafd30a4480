//! Two people start the same migration at the same moment: with one ledger the second is refused, with two the tenants' own
//! locks decide.

use std::process::Child;

use serde_json::Value;

use crate::interrupted::Held;
use crate::support::{Fleet, all, block_on, count, finish, json_file, record, signal, sql, until, wait};

/// Every migration of every tenant was committed by exactly one run. Where a lock lasts for one migration a run may
/// find that another one has continued after its first migration; then both have migrated the tenant, by different
/// migrations.
#[track_caller]
fn assert_each_once(fleet: &Fleet, reports: &[Value]) {
    let total = reports.iter().map(|r| count(r, "migrated") + count(r, "up_to_date")).sum::<usize>();
    assert_eq!(total, reports.len() * fleet.tenants.len(), "all ended well");
    for tenant in &fleet.tenants {
        let records = reports.iter().map(|report| record(report, &tenant.id));
        let mut committed = Vec::new();
        for record in records {
            let here = record["committed"].as_array().unwrap();
            assert_eq!(record["outcome"] == "migrated", !here.is_empty(), "{record:#}");
            committed.extend(here.iter().map(|m| m.as_str().unwrap()));
        }
        committed.sort_unstable();
        assert_eq!(committed, all(), "{}: a migration was not committed exactly once", tenant.id);
        assert_eq!(fleet.history(&tenant.id).unwrap(), all(), "{}", tenant.id);
    }
}

fn until_running(fleet: &Fleet, more: &[&str]) -> Value {
    let until = std::time::Instant::now() + std::time::Duration::from_secs(60);
    loop {
        let list = finish(&mut fleet.program(&[&["runs", "list", "--format", "json"], more].concat()));
        let newest = if list.code == Some(0) { list.json()["runs"][0].clone() } else { Value::Null };
        if newest["status"] == "running" {
            return newest;
        }
        assert!(std::time::Instant::now() < until, "{newest:#}");
    }
}

#[test]
fn a_second_run_over_the_same_tenants_is_refused_with_who_holds_them() {
    let fleet = Fleet::new().head("[fleet]\nlock_timeout = \"60s\"").sqlite(4);
    fleet.run(&["migrate", "--yes", "-q", "--to", &all()[0]]).exits(0);
    let holder = Held::on(&fleet, "lite-000");
    let first = fleet.program(&["migrate", "--yes", "-t", "lite-000", "-t", "lite-001"]).spawn().unwrap();
    let run = until_running(&fleet, &[]);
    let watch = format!("small runs show {} --watch", run["run"].as_str().unwrap());
    fleet.run(&["status", "--tenant", "lite-003"]).exits(0).tells(&["is at work since ", &watch]);
    let by = &run["started_by"];
    let what = format!("run {} is at work on lite-00", run["run"].as_str().unwrap());
    let (user, host) = (by["user"].as_str().unwrap(), by["host"].as_str().unwrap());
    assert!(!user.is_empty() && !host.is_empty(), "{run:#}");
    let on = format!("{user} on {host}, process {}, since ", first.id());
    for words in [&["migrate"][..], &["rollback", "--all"], &["backup"], &["exec", "--write", "SELECT 1"]] {
        let mut words = words.to_vec();
        words.extend((words[0] != "backup").then_some("--yes"));
        fleet.run(&words).exits(75).tells(&[&what, &on, "last sign of life", "nothing was started", "runs show"]);
    }
    let list = || fleet.run(&["runs", "list", "--format", "json"]).exits(0).json()["runs"].as_array().unwrap().len();
    assert_eq!(list(), 2, "what was refused is no run");
    // Reading goes on, and so do other tenants, and other ledgers.
    fleet.run(&["status"]).exits(0);
    fleet.run(&["migrate", "--dry-run", "-t", "lite-001"]).exits(0);
    fleet.run(&["migrate", "--yes", "-t", "lite-002"]).exits(0);
    fleet.run(&["migrate", "--yes", "-t", "lite-003", "-t", "lite-001", "--ledger", "other.db"]).exits(0);
    holder.release();
    wait(first).exits(0);
    fleet.run(&["migrate", "--yes"]).exits(0);
}

#[test]
fn a_run_whose_process_is_gone_or_whose_heartbeat_is_old_holds_nothing() {
    let fleet = Fleet::new().head("[fleet]\nlock_timeout = \"60s\"").sqlite(2);
    fleet.run(&["migrate", "--yes", "-q", "--to", &all()[0]]).exits(0);
    // Both are held: a tenant that is free could be killed within a step, and is in doubt then.
    let holders = ["lite-000", "lite-001"].map(|tenant| Held::on(&fleet, tenant));
    let mut first = fleet.program(&["migrate", "--yes"]).spawn().unwrap();
    until_running(&fleet, &[]);
    first.kill().unwrap();
    first.wait().unwrap();
    holders.into_iter().for_each(Held::release);
    // As another machine sees it: only the heartbeat tells.
    let ledger = format!("sqlite:{}", fleet.path("fleet-ledger.db").display());
    let age = |seconds: u32| {
        let text = format!(
            "UPDATE fleet_run SET started_by = json_set(started_by, '$.process.space', 'elsewhere'), heartbeat_at_ms = \
             CAST((julianday('now') - 2440587.5) * 86400000 AS integer) - {seconds}000 WHERE finished_at_ms IS NULL"
        );
        sql(&ledger, &text);
    };
    age(10);
    fleet.run(&["migrate", "--yes"]).exits(75).tells(&["is at work on", "last sign of life 1"]);
    age(31);
    fleet.run(&["migrate", "--yes"]).exits(0);
    assert_eq!(fleet.history("lite-000").unwrap(), all());
}

/// Stops a process where it does not write to this SQLite file: the lock of a stopped writer never ends.
fn freeze(process: &Child, file: &str) {
    use sqlx::Connection as _;
    until("it stopped between two writes", || {
        signal(process, "STOP");
        let is_free = block_on(async {
            let mut connection = sqlx::SqliteConnection::connect(file).await.unwrap();
            let lock =
                sqlx::raw_sql("PRAGMA busy_timeout = 0; BEGIN IMMEDIATE; ROLLBACK").execute(&mut connection).await;
            connection.close().await.unwrap();
            lock.is_ok()
        });
        if !is_free {
            signal(process, "CONT");
        }
        is_free
    });
}

/// A laptop that slept, or a virtual machine that was moved: its run was taken for dead, and another did the rest.
#[test]
fn a_run_that_wakes_up_behind_its_successor_starts_nothing_more() {
    let fleet = Fleet::new().head("[fleet]\nlock_timeout = \"60s\"\nconcurrency = 1").sqlite(3);
    fleet.run(&["migrate", "--yes", "-q", "--to", &all()[0]]).exits(0);
    let holder = Held::on(&fleet, "lite-000");
    let first = fleet.program(&["migrate", "--yes"]).spawn().unwrap();
    until_running(&fleet, &[]);
    let ledger = format!("sqlite:{}", fleet.path("fleet-ledger.db").display());
    freeze(&first, &ledger);
    // As another machine sees it.
    let text = "UPDATE fleet_run SET started_by = json_set(started_by, '$.process.space', 'elsewhere'), heartbeat_at_ms = \
                heartbeat_at_ms - 60000 WHERE finished_at_ms IS NULL";
    sql(&ledger, text);
    fleet.run(&["migrate", "--yes", "-t", "lite-001"]).exits(0);
    let later = fleet.run(&["runs", "list", "--format", "json"]).exits(0).json()["runs"][0]["run"].clone();
    let later = later.as_str().unwrap();
    std::thread::sleep(std::time::Duration::from_secs(6));
    signal(&first, "CONT");
    std::thread::sleep(std::time::Duration::from_secs(1));
    holder.release();
    let said =
        ["was taken for dead", "tenant lite-001 among them", &format!("small runs show {later}"), "do not resume"];
    wait(first).exits(75).tells(&said);
    assert_eq!(fleet.history("lite-000").unwrap(), all(), "it was in flight");
    assert_eq!(fleet.history("lite-002").unwrap(), all()[..1], "it was not");
}

#[test]
fn runs_that_start_together_with_one_ledger_run_or_are_refused() {
    for server in ["postgres", "mariadb", ""] {
        let mut fleet = Fleet::new().sqlite(30);
        let ledger = match server {
            "" => "one.db".to_owned(),
            server => fleet.database(server, "ledger"),
        };
        fleet.head = format!("[fleet]\nledger = '{ledger}'");
        fleet.write();
        let runs: Vec<_> =
            (0..3).map(|_| fleet.program(&["migrate", "--yes", "--format", "json"]).spawn().unwrap()).collect();
        let ran: Vec<_> = runs.into_iter().map(wait).collect();
        let codes: Vec<_> = ran.iter().map(|ran| ran.code).collect();
        assert!(codes.iter().all(|code| matches!(code, Some(0 | 75))) && codes.contains(&Some(0)), "{ran:?}");
        let done: Vec<Value> = ran.into_iter().filter(|ran| ran.code == Some(0)).map(|ran| ran.json()).collect();
        assert_each_once(&fleet, &done);
    }
}

#[test]
fn two_runs_started_together_migrate_every_tenant_once() {
    let fleet = Fleet::new()
        .head("[fleet]\nconcurrency = 8\nper_server = 4\nretry_pause = \"20ms\"")
        .sqlite(14)
        .postgres(7)
        .schemas(7)
        .mariadb(12);
    fleet.write();
    let start = |report: &str| {
        let (ledger, report) = (format!("{report}.db"), format!("json={report}"));
        fleet.program(&["migrate", "--yes", "--ledger", &ledger, "--report", &report]).spawn().unwrap()
    };
    let (one, two) = (start("one.json"), start("two.json"));
    let (one, two) = (std::thread::spawn(|| wait(one)), wait(two));
    one.join().unwrap().exits(0);
    two.exits(0);

    let reports = ["one.json", "two.json"].map(|file| json_file(&fleet.path(file)));
    assert_each_once(&fleet, &reports);
}

/// Between two queries of one run another run creates the history table: that is no failure.
#[test]
fn runs_that_meet_in_every_file_do_not_fail() {
    let fleet = Fleet::new().head("[fleet]\nconcurrency = 16\nper_server = 16\nretry_pause = \"5ms\"").sqlite(150);
    fleet.write();
    let runs: Vec<_> = (0..4)
        .map(|i| {
            fleet.program(&["migrate", "--yes", "--format", "json", "--ledger", &format!("{i}.db")]).spawn().unwrap()
        })
        .collect();
    let waiting: Vec<_> = runs.into_iter().map(|run| std::thread::spawn(|| wait(run))).collect();
    let reports: Vec<_> = waiting.into_iter().map(|run| run.join().unwrap().exits(0).json()).collect();
    assert_each_once(&fleet, &reports);
}
