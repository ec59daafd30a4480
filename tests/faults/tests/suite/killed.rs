//! `kill -9` of the server in the middle of a run, and of the program itself.
//!
//! Whatever is killed, the tenants' books are complete after all the actions that fleet prints.

use crate::after::{self, Running, audit, is_true, mend, rewind};
use crate::process::{Fleet, json_file};
use crate::server::Server;
use crate::tally::{Tally, thorough};

/// The numbers of tenants, out of a hundred, that have their outcome when it happens.
fn moments() -> &'static [usize] {
    if thorough() { &[1, 5, 17, 30, 44, 60, 75, 90] } else { &[30] }
}

const MIGRATE: [&str; 4] = ["migrate", "--yes", "--report", "json=run.json"];

/// `waits`: the server is back while the run still goes on; otherwise after the run has concluded all its tenants.
fn kill_server(server: &Server, fleet: &Fleet, tally: &mut Tally, moment: usize, waits: bool) {
    let all = fleet.tenants.len();
    let mut run = Running::start(fleet, &MIGRATE);
    run.until_finished((moment * all / 100).max(1));
    server.kill();
    tally.fault();
    if waits {
        server.restart();
    }
    let (code, said) = run.end();
    if !waits {
        assert_eq!(code, Some(100), "{said}");
        server.restart();
    }
    let report = json_file(&fleet.path("run.json"));
    assert_eq!(report["tenants"].as_array().unwrap().len(), all, "{said}");
    tally.report(&report);
    is_true(fleet, &report);
    mend(fleet);
    let (lost, twice) = audit(fleet);
    tally.books(lost, twice);
}

/// A hundred tenants on a server.
pub(crate) fn hundred(server: &Server, mut fleet: Fleet) -> Fleet {
    if server.name == "postgres" {
        server.databases(&mut fleet, 20);
        server.schemas(&mut fleet, 80);
    } else {
        server.databases(&mut fleet, 100);
    }
    fleet
}

fn server_killed(name: &'static str, engine: &'static str) {
    let server = Server::start(name);
    // MySQL needs a second for a few changes of a schema that are to outlive it.
    let mut fleet = if name == "mysql" && !thorough() {
        let mut few = Fleet::new();
        server.databases(&mut few, 20);
        few
    } else {
        hundred(&server, Fleet::new())
    };
    after::open(&fleet);
    for (fault, waits) in [("server killed, back during the run", true), ("server killed, back after the run", false)] {
        let mut tally = Tally::new(fault, engine);
        // The default number of tries outlasts a restart; with a few, all is over before.
        let attempts = if waits { 5 } else { 2 };
        fleet.head = format!("[fleet]\nconcurrency = 8\nper_server = 8\nattempts = {attempts}");
        for &moment in moments() {
            kill_server(&server, &fleet, &mut tally, moment, waits);
            rewind(&fleet);
        }
        tally.close();
    }
}

#[test]
fn postgres_is_killed_in_a_run_of_100() {
    server_killed("postgres", "PostgreSQL");
}

#[test]
fn mariadb_is_killed_in_a_run_of_100() {
    server_killed("mariadb", "MariaDB");
}

mod mysql {
    use super::*;

    #[test]
    fn it_is_killed_in_a_run() {
        server_killed("mysql", "MySQL");
    }

    #[test]
    fn the_program_is_killed_in_a_run() {
        program_killed(Fleet::new().mysql(if thorough() { 100 } else { 30 }), "MySQL");
    }
}

fn program_killed(fleet: Fleet, engine: &'static str) {
    let fleet = fleet.head("[fleet]\nconcurrency = 8\nper_server = 8\nhold_wait = \"30s\"");
    after::open(&fleet);
    let mut tally = Tally::new("program killed", engine);
    for &moment in moments() {
        let mut run = Running::start(&fleet, &MIGRATE);
        run.until_finished((moment * fleet.tenants.len() / 100).max(1));
        assert!(run.kill(), "it had ended before");
        tally.fault();
        let last = &fleet.run(&["runs", "list", "--format", "json"]).exits(0).json()["runs"][0];
        assert_eq!(last["status"], "died", "{last:#}");
        let (report, _) = mend(&fleet);
        tally.report(&report.expect("a killed run leaves something"));
        let (lost, twice) = audit(&fleet);
        tally.books(lost, twice);
        rewind(&fleet);
    }
    tally.close();
}

#[test]
fn the_program_is_killed_in_a_run_of_100_on_sqlite() {
    program_killed(Fleet::new().sqlite(100), "SQLite");
}

#[test]
fn the_program_is_killed_in_a_run_of_100_on_postgres() {
    let server = Server::start("postgres");
    program_killed(hundred(&server, Fleet::new()), "PostgreSQL");
}

#[test]
fn the_program_is_killed_in_a_run_of_100_on_mariadb() {
    program_killed(Fleet::new().mariadb(100), "MariaDB");
}
