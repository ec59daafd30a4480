//! `kill -9` of the program at many moments of one piece of work: a migration, a backup, a restore.
//!
//! The moments are spread over the duration of the undisturbed work, so every point in it is hit sooner or later.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::after::{self, Running, audit, mend};
use crate::books::{self, CATALOG};
use crate::process::mysql::is_left_out;
use crate::process::{Fleet, json_file};
use crate::tally::{Tally, thorough};

fn sites() -> impl DoubleEndedIterator<Item = (&'static str, &'static str)> {
    let all = [
        ("lite-000", "SQLite"),
        ("pg-000", "PostgreSQL"),
        ("schema-000", "PostgreSQL schema"),
        ("my-000", "MariaDB"),
        ("mysql-000", "MySQL"),
    ];
    all.into_iter().filter(|(tenant, _)| !is_left_out(tenant))
}

fn fleet() -> Fleet {
    let fleet = Fleet::new().sqlite(1).postgres(1).schemas(1).mariadb(1).mysql_where_there(1).with_mysql_tools();
    let fleet = fleet.head("[fleet]\nretry_pause = \"50ms\"");
    after::open(&fleet);
    fleet
}

/// Rows that make a backup and a restore take time.
fn pad(fleet: &Fleet, tenant: &str, rows: u32) {
    fleet.ask(tenant, "CREATE TABLE padding (bytes text)");
    let counted =
        format!("WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < {rows}) SELECT i FROM n");
    let (before, numbers) = match tenant.split('-').next().unwrap() {
        "my" => (String::new(), format!("SELECT seq AS i FROM seq_1_to_{rows}")),
        "mysql" => (format!("SET cte_max_recursion_depth = {rows}; "), counted),
        "lite" => (String::new(), counted),
        _ => (String::new(), format!("SELECT generate_series(1, {rows}) AS i")),
    };
    fleet.ask(
        tenant,
        &format!(
            "{before}INSERT INTO padding SELECT 'so many words, and the number ' || CAST(i AS char(20)) FROM ({numbers}) AS n"
        ),
    );
}

/// The whole content of a tenant.
fn content(fleet: &Fleet, tenant: &str) -> Vec<String> {
    let mut all = Vec::new();
    for (table, row) in [
        ("seaql_migrations", "version"),
        ("accounts", "CAST(id AS char(20)) || '=' || CAST(balance AS char(20))"),
        ("bookings", "CAST(account AS char(20)) || why || CAST(amount AS char(20))"),
        ("currencies", "code"),
        ("fees", "CAST(account AS char(20))"),
        ("padding", "bytes"),
    ] {
        if fleet.has_table(tenant, table) {
            all.push(table.to_owned());
            all.extend(fleet.ask(tenant, &format!("SELECT {row} AS line FROM {table} ORDER BY line")));
        }
    }
    all
}

/// Kills it at this share of its duration, which is known to be less where it has ended by then: it is begun anew after `again`. `false` if
/// it always had.
fn killed_at(
    (fleet, arguments): (&Fleet, &[&str]),
    whole: &mut Duration,
    (step, steps): (u32, u32),
    again: impl Fn(),
) -> bool {
    for _ in 0..8 {
        let (begun, wait) = (Instant::now(), *whole * step / (steps + 1));
        let mut run = Running::start(fleet, arguments);
        std::thread::sleep(wait.saturating_sub(begun.elapsed()));
        if run.kill() {
            return true;
        }
        // The machine was busier when it was measured.
        *whole = wait;
        again();
    }
    false
}

#[test]
fn at_every_moment_of_a_migration() {
    let fleet = fleet();
    let mut tallies: Vec<Tally> =
        sites().map(|(_, engine)| Tally::new("program killed at any moment", engine)).collect();
    let begun = Instant::now();
    fleet.run(&["migrate", "--yes"]).exits(0);
    let mut whole = begun.elapsed();
    after::rewind(&fleet);
    let steps = if thorough() { 120 } else { 8 };
    for step in 1..=steps {
        // The end is excluded: closing and reporting touch no tenant.
        let migrate: (&Fleet, &[&str]) = (&fleet, &["migrate", "--yes"]);
        if !killed_at(migrate, &mut whole, (step, steps), || after::rewind(&fleet)) {
            continue;
        }
        fleet.run(&["runs", "list"]).exits(0);
        fleet.run(&["status"]).exits(0);
        let (report, _) = mend(&fleet);
        audit(&fleet);
        for ((tenant, _), tally) in sites().zip(&mut tallies) {
            tally.fault();
            let (lost, twice) = books::audit(&fleet, tenant);
            tally.books(lost, twice);
            if let Some(report) = &report {
                let only = report["tenants"].as_array().unwrap().iter().filter(|record| record["tenant"] == tenant);
                tally.report(&serde_json::json!({ "tenants": only.collect::<Vec<_>>() }));
            }
        }
        after::rewind(&fleet);
    }
    tallies.into_iter().for_each(Tally::close);
}

fn runs_of_backups(fleet: &Fleet) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(fleet.path("backups")) else { return Vec::new() };
    let mut found: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).collect();
    found.sort();
    found
}

fn files(folder: &PathBuf, ending: &str) -> usize {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    entries.filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().ends_with(ending)).count()
}

#[test]
fn while_a_backup_is_made() {
    let fleet = fleet();
    for (tenant, engine) in sites() {
        pad(&fleet, tenant, 30_000);
        let mut tally = Tally::new("program killed in a backup", engine);
        let waits: &[u64] = if thorough() { &[0, 1, 2, 5, 10, 20, 40, 80, 160] } else { &[0, 20] };
        for wait in waits {
            let before = runs_of_backups(&fleet);
            let mut run = Running::start(&fleet, &["migrate", "--backup", "--tenant", tenant, "--yes"]);
            let folder = loop {
                let now = runs_of_backups(&fleet);
                let new = now.into_iter().find(|path| !before.contains(path) && files(path, "") > 0);
                if new.is_some() || run.child.try_wait().unwrap().is_some() {
                    break new.unwrap();
                }
                std::thread::sleep(Duration::from_millis(1));
            };
            std::thread::sleep(Duration::from_millis(*wait));
            let whole = files(&folder, ".json") > 0;
            if run.kill() && !whole {
                tally.fault();
                // Statements that it had already sent may have taken effect after the check above.
                if files(&folder, ".json") == 0 {
                    let history = fleet.history(tenant).unwrap();
                    assert_eq!(history, CATALOG[..1], "{tenant} was touched before its backup was whole");
                }
            }
            let (ran, report) = after::reported(&fleet, &["runs", "resume", "last", "--yes"]);
            assert!([Some(0), Some(100)].contains(&ran.code), "{}\n{}", ran.out, ran.err);
            if let Some(report) = &report {
                tally.report(report);
                after::is_true(&fleet, report);
                if report["tenants"][0]["outcome"] == "migrated" {
                    let own = fleet.path("backups").join(report["run"].as_str().unwrap());
                    assert_eq!(files(&own, ".json"), 1, "the next run makes a backup of its own");
                }
            }
            finish(&fleet, tenant);
            let (lost, twice) = books::audit(&fleet, tenant);
            tally.books(lost, twice);
            fleet.run(&["rollback", "--to", CATALOG[0], "--tenant", tenant, "--yes"]).exits(0);
        }
        tally.close();
    }
}

/// Finishes the work left after a killed run of one tenant.
fn finish(fleet: &Fleet, tenant: &str) {
    let (ran, report) = after::reported(fleet, &["migrate", "--tenant", tenant, "--yes"]);
    if ran.code == Some(100) {
        let report = report.unwrap();
        assert_eq!(report["tenants"][0]["outcome"], "in_doubt", "{report:#}");
        crate::person::settle(fleet, tenant);
    } else {
        ran.exits(0);
    }
}

#[test]
fn on_the_way_back() {
    let fleet = fleet();
    for (tenant, engine) in sites().rev() {
        // Only a load by such a client goes on when the program is gone, and takes long enough to overlap with the next one.
        let has_client = tenant.starts_with("my");
        pad(&fleet, tenant, if has_client { 100_000 } else { 10_000 });
        let mut tally = Tally::new("program killed in a restore", engine);
        let at_first = content(&fleet, tenant);
        let migrate = ["migrate", "--backup", "--tenant", tenant, "--yes", "--report", "json=run.json"];
        fleet.run(&migrate).exits(0);
        let run = json_file(&fleet.path("run.json"))["run"].as_str().unwrap().to_owned();
        let at_last = content(&fleet, tenant);
        let restore = ["restore", "--run", &run, "--tenant", tenant, "--yes"];
        let begun = Instant::now();
        fleet.run(&restore).exits(0);
        let mut whole = begun.elapsed();
        assert_eq!(content(&fleet, tenant), at_first);

        let steps = if thorough() { 24 } else { 4 };
        for step in 1..=steps {
            let migrate = || drop(fleet.run(&["migrate", "--tenant", tenant, "--yes"]).exits(0));
            migrate();
            if !killed_at((&fleet, &restore), &mut whole, (step, steps), migrate) {
                continue;
            }
            tally.fault();
            fleet.run(&["runs", "list"]).exits(0);
            if !has_client {
                wait_for_quiet(&fleet, tenant);
                let now = content(&fleet, tenant);
                assert!(now == at_first || now == at_last, "{tenant} is neither as before nor restored");
            }
            // Immediately, as the program says, whatever the killed one left running.
            let (ran, report) = after::reported(&fleet, &restore);
            let ran = ran.exits(0);
            tally.report(&report.unwrap());
            let found = content(&fleet, tenant);
            let (lost, twice) = different(&at_first, &found);
            tally.books(lost, twice);
            assert_eq!((lost, twice), (0, 0), "killed at {step} of {steps} in {whole:?}: {}", ran.err);
        }
        tally.close();
    }
}

/// The clients of MariaDB and MySQL end with the part that they have when the program that started them dies, and not at once: a
/// load that is still under way must not mix with that of the next restore.
fn a_load_that_the_client_goes_on_with(fleet: Fleet, engine: &'static str, program: &str) {
    let fleet = fleet.head("[fleet]\nretry_pause = \"50ms\"");
    after::open(&fleet);
    let tenant = &*fleet.tenants[0].id;
    // MySQL loads faster than its next session is open.
    pad(&fleet, tenant, if engine == "MySQL" { 80_000 } else { 10_000 });
    fleet.ask(tenant, "UPDATE padding SET bytes = concat(bytes, repeat('x', 700))");
    let at_first = content(&fleet, tenant);
    fleet.run(&["migrate", "--backup", "--yes", "--report", "json=run.json"]).exits(0);
    let run = json_file(&fleet.path("run.json"))["run"].as_str().unwrap().to_owned();
    let restore = ["restore", "--run", &run, "--yes"];
    let mut tally = Tally::new("program killed, its client goes on", engine);
    for _ in 0..if thorough() { 10 } else { 1 } {
        let mut killed = Running::start(&fleet, &restore);
        let loads = "SELECT CAST(id AS char(20)) FROM information_schema.processlist WHERE db = DATABASE() AND info LIKE \
                     'INSERT INTO `padding`%'";
        while fleet.ask(tenant, loads).is_empty() {
            assert!(killed.child.try_wait().unwrap().is_none(), "it ended before its client was seen");
        }
        let client = child_named(killed.child.id(), program).unwrap();
        // In this order: the system kills a stopped process whose parent exits.
        assert!(killed.kill());
        let stopped = signal(&client, "STOP");
        tally.fault();
        std::thread::sleep(Duration::from_millis(500));
        let sessions = "SELECT CAST(id AS char(20)) FROM information_schema.processlist WHERE db = DATABASE() AND id <> \
                        CONNECTION_ID()";
        let is_loading = !fleet.ask(tenant, sessions).is_empty();
        let mut again = Running::start(&fleet, &[&restore[..], &["--report", "json=again.json"]].concat());
        again.until_begun();
        // Enough time for it to verify the backup and reach the lock.
        std::thread::sleep(Duration::from_secs(6));
        if stopped {
            signal(&client, "CONT");
        }
        let (code, said) = again.end();
        assert_eq!(code, Some(0), "{said}");
        let report = json_file(&fleet.path("again.json"));
        let attempts = report["tenants"][0]["attempts"].as_u64();
        assert!(!is_loading || attempts > Some(1), "it has to wait: {:#}", report["tenants"][0]);
        tally.report(&report);
        // A client without a session yet has to give up by itself.
        std::thread::sleep(Duration::from_millis(500));
        let (lost, twice) = different(&at_first, &content(&fleet, tenant));
        tally.books(lost, twice);
        fleet.run(&["migrate", "--yes"]).exits(0);
        let (lost, twice) = books::audit(&fleet, tenant);
        tally.books(lost, twice);
    }
    tally.close();
}

#[test]
fn a_load_that_mariadb_s_client_goes_on_with() {
    a_load_that_the_client_goes_on_with(Fleet::new().mariadb(1), "MariaDB", "mariadb");
}

mod mysql {
    use crate::process::Fleet;

    #[test]
    fn a_load_that_its_client_goes_on_with() {
        super::a_load_that_the_client_goes_on_with(Fleet::new().mysql(1).with_mysql_tools(), "MySQL", "mysql");
    }
}

/// A child process of any thread of a process.
fn child_named(parent: u32, name: &str) -> Option<String> {
    let threads = std::fs::read_dir(format!("/proc/{parent}/task")).ok()?;
    let children = threads.flatten().filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok());
    let all: Vec<String> =
        children.flat_map(|list| list.split_whitespace().map(str::to_owned).collect::<Vec<_>>()).collect();
    all.into_iter().find(|pid| {
        // Skips the process that only prints its version.
        let line = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let is_it = |word: &str| word.rsplit('/').next() == Some(name);
        line.split('\0').take(4).any(is_it) && line.contains("--defaults-file")
    })
}

fn signal(pid: &str, name: &str) -> bool {
    std::process::Command::new("kill").args([&format!("-{name}"), pid]).status().unwrap().success()
}

/// The lines of each that the other lacks; both are sorted within each table.
fn different(wanted: &[String], found: &[String]) -> (u64, u64) {
    let count = |lines: &[String]| {
        let mut counts = std::collections::HashMap::<String, i64>::new();
        lines.iter().for_each(|line| *counts.entry(line.clone()).or_default() += 1);
        counts
    };
    let (wanted, found) = (count(wanted), count(found));
    let more = |a: &std::collections::HashMap<String, i64>, b: &std::collections::HashMap<String, i64>| {
        let over = a.iter().map(|(line, n)| (n - b.get(line).copied().unwrap_or(0)).max(0).unsigned_abs());
        over.sum::<u64>()
    };
    (more(&wanted, &found), more(&found, &wanted))
}

/// Waits until the server has noticed that the restoring session is gone.
fn wait_for_quiet(fleet: &Fleet, tenant: &str) {
    if tenant.starts_with("lite") {
        return;
    }
    let begun = Instant::now();
    let others = "SELECT CAST(count(*) AS char(20)) FROM pg_stat_activity WHERE datname = current_database() AND pid <> \
                  pg_backend_pid() AND backend_type = 'client backend'";
    while fleet.ask(tenant, others)[0].trim() != "0" {
        assert!(begun.elapsed() < Duration::from_secs(30), "somebody is still at work on {tenant}");
        std::thread::sleep(Duration::from_millis(50));
    }
}
