//! An operator's actions after a fault, using only the commands that fleet prints, and the state that they must lead
//! to.
//!
//! It injects nothing.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::Child;
use std::sync::mpsc;
use std::time::Duration;

use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection as _, Row as _};

use crate::books::{self, CATALOG};
use crate::person;
use crate::process::{Fleet, Ran, block_on, json_file, wait_for_end, with};

/// A run in progress, with its progress output.
pub(crate) struct Running {
    pub(crate) child: Child,
    lines: mpsc::Receiver<String>,
    read: Vec<String>,
}

impl Running {
    pub(crate) fn start(fleet: &Fleet, arguments: &[&str]) -> Running {
        fleet.write();
        let mut child = fleet.program(arguments).spawn().unwrap();
        let (send, lines) = mpsc::channel();
        let err = BufReader::new(child.stderr.take().unwrap());
        std::thread::spawn(move || err.lines().map_while(Result::ok).try_for_each(|line| send.send(line)));
        let mut out = child.stdout.take().unwrap();
        std::thread::spawn(move || std::io::copy(&mut out, &mut std::io::sink()));
        Running { child, lines, read: Vec::new() }
    }

    /// Waits until this many tenants have their outcome.
    #[track_caller]
    pub(crate) fn until_finished(&mut self, tenants: usize) {
        let mut seen = 0;
        self.until(|line| {
            seen += usize::from(line.starts_with('['));
            seen == tenants
        });
    }

    /// Waits until work on tenants is in progress.
    #[track_caller]
    pub(crate) fn until_begun(&mut self) {
        self.until(|line| line.starts_with("wave "));
    }

    #[track_caller]
    fn until(&mut self, mut fits: impl FnMut(&str) -> bool) {
        loop {
            let line = self.lines.recv_timeout(Duration::from_secs(120));
            let line = line.unwrap_or_else(|e| panic!("{e}; it said only:\n{}", self.read.join("\n")));
            let fits = fits(&line);
            self.read.push(line);
            if fits {
                return;
            }
        }
    }

    /// Sends SIGKILL. Returns whether it was still alive.
    pub(crate) fn kill(&mut self) -> bool {
        self.child.kill().unwrap();
        wait_for_end(&mut self.child).is_none()
    }

    /// The exit code, and the whole progress output.
    pub(crate) fn end(mut self) -> (Option<i32>, String) {
        let code = wait_for_end(&mut self.child);
        self.read.extend(self.lines.iter());
        (code, self.read.join("\n"))
    }
}

/// Runs with a report, and returns the report with the program's end; `None` if it ended without one.
pub(crate) fn reported(fleet: &Fleet, arguments: &[&str]) -> (Ran, Option<Value>) {
    let file = fleet.path("after.json");
    drop(std::fs::remove_file(&file));
    let mut all = arguments.to_vec();
    all.extend(["--report", "json=after.json"]);
    let ran = fleet.run(&all);
    let report = file.metadata().is_ok_and(|file| file.len() > 0).then(|| json_file(&file));
    (ran, report)
}

/// The histories of all tenants that have one, with one connection per database.
fn histories(fleet: &Fleet) -> BTreeMap<String, Vec<String>> {
    ask_all(fleet, "SELECT version FROM seaql_migrations ORDER BY version")
}

/// Asserts that every claim is true: tenants reported at the target are there, and a version reported as known is the
/// tenant's own.
#[track_caller]
pub(crate) fn is_true(fleet: &Fleet, report: &Value) {
    let mut histories = histories(fleet);
    for record in report["tenants"].as_array().unwrap() {
        let tenant = record["tenant"].as_str().unwrap();
        let history = histories.remove(tenant).unwrap_or_else(|| panic!("{tenant} has two outcomes"));
        if ["migrated", "up_to_date"].contains(&record["outcome"].as_str().unwrap()) {
            assert_eq!(history, CATALOG, "{record:#}");
        }
        if record["version_known"] == true {
            assert_eq!(record["version"].as_str(), history.last().map(String::as_str), "{record:#}");
        }
    }
}

/// Runs the commands for a run that ended badly or not at all: `runs resume`, `runs resolve` for tenants in doubt, then
/// the migration again. Returns the report of the resumed run, if there was something to resume, and the number of
/// tenants settled.
#[track_caller]
pub(crate) fn mend(fleet: &Fleet) -> (Option<Value>, usize) {
    let (resumed, report) = reported(fleet, &["runs", "resume", "last", "--yes"]);
    assert!([Some(0), Some(100)].contains(&resumed.code), "{}\n{}", resumed.out, resumed.err);
    if let Some(report) = &report {
        is_true(fleet, report);
    }
    let (again, second) = reported(fleet, &["migrate", "--yes"]);
    let Some(second) = second else { panic!("{}\n{}", again.out, again.err) };
    is_true(fleet, &second);
    let in_doubt = with(&second, "in_doubt");
    assert_eq!(again.code, Some(if in_doubt.is_empty() { 0 } else { 100 }), "{}\n{}", again.out, again.err);
    for tenant in &in_doubt {
        assert!(again.out.contains(tenant.as_str()), "{tenant} is not named in:\n{}", again.out);
        person::settle(fleet, tenant);
    }
    (report, in_doubt.len())
}

/// Asserts that all tenants are exactly at the newest version, and audits their books; returns the sum of the errors.
#[track_caller]
pub(crate) fn audit(fleet: &Fleet) -> (u64, u64) {
    let wanted = books::CATALOG.map(str::to_owned);
    for (tenant, history) in histories(fleet) {
        assert_eq!(history, wanted, "{tenant}");
    }
    let (query, wanted) = books::question(&wanted);
    let wrong = ask_all(fleet, &query).into_values().map(|found| books::difference(&found, &wanted));
    wrong.fold((0, 0), |all, (lost, twice)| (all.0 + lost, all.1 + twice))
}

/// Runs the same query on all tenants; schemas of one database share a connection.
fn ask_all(fleet: &Fleet, query: &str) -> BTreeMap<String, Vec<String>> {
    let mut found = BTreeMap::new();
    let mut shared: Option<(&str, sqlx::PgConnection)> = None;
    for tenant in &fleet.tenants {
        let Some(schema) = &tenant.schema else {
            found.insert(tenant.id.clone(), fleet.ask(&tenant.id, query));
            continue;
        };
        if shared.as_ref().is_none_or(|(url, _)| *url != tenant.url) {
            shared = Some((&tenant.url, block_on(sqlx::PgConnection::connect(&tenant.url)).unwrap()));
        }
        let connection = &mut shared.as_mut().unwrap().1;
        let query = format!("SET search_path TO {schema}; {query}");
        let rows = block_on(sqlx::raw_sql(AssertSqlSafe(query)).fetch_all(connection)).unwrap();
        found.insert(tenant.id.clone(), rows.iter().map(|row| row.try_get_unchecked(0).unwrap()).collect());
    }
    if let Some((_, connection)) = shared {
        block_on(connection.close()).unwrap();
    }
    found
}

/// Brings tenants to the first version with rows in them, as [`books::open`] does one by one.
pub(crate) fn open(fleet: &Fleet) {
    fleet.run(&["migrate", "--to", CATALOG[0], "--yes"]).exits(0);
    ask_all(fleet, &books::fill());
}

/// Takes tenants back to the first version, for another round.
#[track_caller]
pub(crate) fn rewind(fleet: &Fleet) {
    fleet.run(&["rollback", "--to", CATALOG[0], "--yes"]).exits(0);
    // MariaDB keeps every column ever added and dropped in place, until the row is too large for another one.
    for tenant in fleet.tenants.iter().filter(|tenant| tenant.url.starts_with("mysql")) {
        fleet.ask(&tenant.id, "ALTER TABLE accounts FORCE");
    }
}
