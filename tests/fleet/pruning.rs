//! `runs prune`: old runs leave the ledger, but none that another command needs.

use crate::crash_points::dies_at;
use crate::dumps::{run, run_id};
use crate::going_on::left_in_doubt;
use crate::support::{Fleet, all, record, sql};

fn rows(fleet: &Fleet) -> Vec<String> {
    let ledger = format!("sqlite:{}", fleet.path("fleet-ledger.db").display());
    let tables = ["fleet_outcome", "fleet_tenant", "fleet_event", "fleet_run"];
    let tables = tables.map(|table| format!("SELECT run FROM {table}")).join(" UNION ");
    sql(&ledger, &format!("SELECT DISTINCT run FROM ({tables}) ORDER BY 1"))
}

#[test]
fn runs_that_nobody_needs_are_forgotten_and_the_others_named() {
    let fleet = Fleet::new().head("[fleet]\nattempts = 1\nmax_failures = \"unlimited\"\n").sqlite(2).postgres(1);
    fleet.run(&["runs", "prune", "--keep", "1", "--yes"]).exits(64).tells(&["there is no ledger"]);
    fleet.run(&["runs", "prune"]).exits(64);
    let to = |n: usize| all()[n].clone();
    let first = run_id(&run(&fleet, &["migrate", "--yes", "--to", &to(0)], 0));
    let second = run_id(&run(&fleet, &["migrate", "--yes", "--to", &to(1)], 0));
    // A tenant that fails, and is settled later; one that fails and is not.
    fleet.ask("lite-000", "CREATE TABLE tenant_features (id int)");
    let settled = run_id(&run(&fleet, &["migrate", "--yes", "--to", &to(2)], 100));
    fleet.ask("lite-000", "DROP TABLE tenant_features");
    let mended = run_id(&run(&fleet, &["migrate", "--yes", "--to", &to(2)], 0));
    fleet.ask("pg-000", "CREATE TABLE locations (id int)");
    let open = run_id(&run(&fleet, &["migrate", "--yes", "--to", &to(3)], 100));
    let last = run_id(&run(&fleet, &["migrate", "--yes", "--to", &to(3), "-t", "lite-00*"], 0));

    let everything = rows(&fleet);
    let dry = fleet.run(&["runs", "prune", "--keep", "1", "--dry-run"]).exits(0);
    let dry = dry.shows(&["would remove 4 runs of 6", &format!("kept {open}: 1 of its tenants are not settled")]);
    assert!(!dry.out.contains(&last), "{}", dry.out);
    fleet.run(&["runs", "prune", "--older-than", "1h", "--yes"]).exits(0).shows(&["nothing to remove"]);
    fleet.run(&["runs", "prune", "--keep", "1"]).exits(64).tells(&["--yes"]);
    assert_eq!(rows(&fleet), everything);
    fleet.run(&["runs", "prune", "--keep", "1", "--yes"]).exits(0).shows(&["removed 4 runs of 6"]);
    assert_eq!(rows(&fleet), [open.clone(), last.clone()], "without {first}, {second}, {settled} and {mended}");
    // What is left works as before.
    fleet.ask("pg-000", "DROP TABLE locations");
    fleet.run(&["migrate", "--failed-of", &open, "--yes"]).exits(0).shows(&["1 migrated"]);
    fleet.run(&["rollback", "--run", &last, "--yes", "--dry-run"]).exits(0);
    fleet.run(&["runs", "list"]).exits(0).shows(&[&open]);
}

#[test]
fn a_rollback_and_the_run_that_it_takes_back_stay_together() {
    let fleet = Fleet::new().head("[fleet]\nattempts = 1\nmax_failures = \"unlimited\"\n").sqlite(2);
    let moved = run_id(&run(&fleet, &["migrate", "--yes"], 0));
    let back = run_id(&run(&fleet, &["rollback", "--run", &moved, "--yes"], 0));
    let last = run_id(&run(&fleet, &["migrate", "--yes", "-t", "lite-000"], 0));
    // The rollback is the last that tells of lite-001.
    let kept = fleet.run(&["runs", "prune", "--keep", "1", "--yes"]).exits(0);
    kept.shows(&[
        &format!("kept {back}: it is the last that tells the version of 1 of its tenants"),
        &format!("kept {moved}: it belongs to run {back}, which stays"),
        "nothing to remove",
    ]);
    assert_eq!(rows(&fleet), [moved, back, last]);
}

/// Each of them, once newer runs are there that settle nothing of it.
#[track_caller]
fn kept(fleet: &Fleet, run: &str, why: &str) {
    let newer = run_id(&self::run(fleet, &["migrate", "--yes", "-t", "other-*", "--no-preflight"], 0));
    let before = rows(fleet);
    let pruned = fleet.run(&["runs", "prune", "--keep", "1", "--yes"]).exits(0);
    pruned.shows(&[&format!("kept {run}: {why}")]);
    assert!(rows(fleet).contains(&run.to_owned()) && rows(fleet).contains(&newer), "{before:?}");
}

/// A fleet with a tenant whose runs settle nobody else.
fn and_another(mut fleet: Fleet) -> Fleet {
    std::fs::write(fleet.path("other.db"), "").unwrap();
    fleet.add("other-1", "sqlite:other.db");
    fleet
}

#[test]
fn a_run_that_paused_or_was_stopped_before_others_stays() {
    let wave = "[fleet]\nattempts = 1\n[[wave]]\nname = \"canary\"\ntenants = [\"lite-000\"]\n[wave.gate]\n";
    let select = ["migrate", "--yes", "-t", "lite-*"];
    let paused = and_another(Fleet::new().head(&format!("{wave}then = \"pause\"\n")).sqlite(3));
    let id = run_id(&run(&paused, &select, 5));
    kept(&paused, &id, "2 of its tenants are not settled by a later run, the first lite-001");
    // It waits no less than before.
    paused.run(&["runs", "approve", &id, "--by", "Ann", "--yes"]).exits(0).shows(&["2 migrated"]);

    let stopped = and_another(Fleet::new().head(&format!("{wave}command = [\"false\"]\n")).sqlite(3));
    let id = run_id(&run(&stopped, &select, 101));
    kept(&stopped, &id, "2 of its tenants are not settled by a later run, the first lite-001");
    stopped.run(&["runs", "show", &id]).exits(0).shows(&["not started"]);
}

#[test]
fn a_run_that_died_stays_until_another_one_has_gone_on() {
    let fleet = and_another(Fleet::new().sqlite(3));
    fleet.write();
    assert!(dies_at(&fleet, &["migrate", "--yes", "-t", "lite-*"], "written:run_started"));
    let id = fleet.run(&["runs", "list", "--format", "json"]).exits(0).json()["runs"][0]["run"].clone();
    let id = id.as_str().unwrap();
    kept(&fleet, id, "3 of its tenants are not settled by a later run, the first lite-000");
    fleet.run(&["runs", "resume", id, "--yes"]).exits(0).shows(&["3 migrated"]);
    fleet.run(&["migrate", "--yes"]).exits(0);
    fleet.run(&["runs", "prune", "--keep", "1", "--yes"]).exits(0).shows(&["removed "]);
    assert!(!rows(&fleet).contains(&id.to_owned()), "nobody needs it any more");
}

#[test]
fn a_run_that_left_a_tenant_in_doubt_stays() {
    let fleet = and_another(Fleet::new().mariadb(1));
    let report = left_in_doubt(&fleet);
    assert_eq!(record(&report, "my-000")["outcome"], "in_doubt", "{report:#}");
    let id = run_id(&report);
    kept(&fleet, &id, "1 of its tenants are not settled by a later run, the first my-000");
    // Its cause is still told.
    fleet.run(&["runs", "show", &id]).exits(0).shows(&["runs resolve my-000"]);
}

#[test]
fn an_approval_that_is_not_used_yet_stays() {
    let fleet = Fleet::new().head("[fleet]\nrequire_approval = true\n").sqlite(2);
    for to in [&all()[0], &all()[1]] {
        fleet.run(&["plan", "--to", to, "--save", "plan.json"]).exits(0);
        fleet.run(&["plan", "approve", "plan.json", "--by", "Ann"]).exits(0);
        fleet.run(&["migrate", "--plan", "plan.json", "--yes"]).exits(0);
    }
    fleet.run(&["plan", "--save", "next.json"]).exits(0);
    fleet.run(&["plan", "approve", "next.json", "--by", "Bea"]).exits(0);
    let approvals = || {
        let ledger = format!("sqlite:{}", fleet.path("fleet-ledger.db").display());
        sql(&ledger, "SELECT approver FROM fleet_approval ORDER BY at_ms")
    };
    assert_eq!(approvals(), ["Ann", "Ann", "Bea"]);
    fleet.run(&["runs", "prune", "--keep", "1", "--yes"]).exits(0).shows(&["removed 1 run of 2"]);
    assert_eq!(approvals(), ["Ann", "Bea"], "that of the run which is gone was used");
    fleet.run(&["migrate", "--plan", "next.json", "--yes"]).exits(0).shows(&["2 migrated"]);
}
