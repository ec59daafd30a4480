//! `runs prune`: old runs leave the ledger, but none that another command needs.

use crate::dumps::{run, run_id};
use crate::support::{Fleet, all, sql};

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
