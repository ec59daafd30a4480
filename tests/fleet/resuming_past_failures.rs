//! `runs resume` and the failure budgets: a run that its failures stopped does not go on past them.

use crate::dumps::{run, run_id};
use crate::support::{Fleet, all};

const WAVES: &str = "[fleet]\nattempts = 1\nconcurrency = 1\n[[wave]]\nname = \"canary\"\ntenants = [\"lite-003\"]\n";

#[test]
fn a_run_that_its_canary_stopped_is_not_resumed_while_that_is_still_failed() {
    let fleet = Fleet::new().head(WAVES).sqlite(4);
    fleet.ask("lite-003", "CREATE TABLE users (id int)");
    let stopped = run_id(&run(&fleet, &["migrate", "--yes"], 101));
    let (first, then) = (format!("migrate --failed-of {stopped}"), format!("runs resume {stopped}"));
    let refused = fleet.run(&["runs", "resume", "last", "--yes"]).exits(101);
    refused.tells(&["lite-003", "wave canary", &format!("first: small {first}"), &format!("then: small {then}")]);
    fleet.run(&["migrate", "--failed-of", &stopped, "--yes"]).exits(100);
    fleet.run(&["runs", "resume", &stopped, "--yes"]).exits(101);
    for id in ["lite-000", "lite-001", "lite-002"] {
        assert_eq!(fleet.history(id), None, "{id}");
    }

    fleet.ask("lite-003", "DROP TABLE users");
    fleet.run(&["migrate", "--failed-of", &stopped, "--yes"]).exits(0);
    fleet.run(&["runs", "show", &stopped]).exits(0).shows(&[&then]);
    fleet.run(&["runs", "resume", &stopped, "--yes"]).exits(0);
    assert_eq!(fleet.history("lite-000").unwrap(), all());
}

#[test]
fn failures_of_the_resumed_run_count_for_the_budget_of_their_wave() {
    let fleet = Fleet::new().head("[fleet]\nattempts = 1\nconcurrency = 1\nmax_failures = 1").sqlite(6);
    for id in ["lite-000", "lite-001", "lite-003", "lite-004"] {
        fleet.ask(id, "CREATE TABLE users (id int)");
    }
    let stopped = run_id(&run(&fleet, &["migrate", "--yes"], 101));
    fleet.run(&["runs", "resume", &stopped, "--yes"]).exits(101).tells(&["lite-000, lite-001", "4 other tenants"]);
    // One of the two is mended, so that another one may still fail, and not two.
    fleet.ask("lite-000", "DROP TABLE users");
    fleet.run(&["migrate", "--yes", "-t", "lite-000"]).exits(0);
    fleet.run(&["runs", "resume", &stopped, "--yes"]).exits(101).shows(&["1 migrated", "1 failed"]);
    assert_eq!(fleet.history("lite-004"), None, "the budget was used up before it");
}

/// The failure of a run that was resumed with a larger budget is one of the rollout still, however often it was resumed.
#[test]
fn failures_of_the_runs_before_the_resumed_one_count_too() {
    let mut fleet = Fleet::new().head("[fleet]\nattempts = 1\nconcurrency = 1\nmax_failures = 0").sqlite(4);
    for id in ["lite-000", "lite-001", "lite-002"] {
        fleet.ask(id, "CREATE TABLE users (id int)");
    }
    let first = run_id(&run(&fleet, &["migrate", "--yes"], 101));
    fleet.head = fleet.head.replace("max_failures = 0", "max_failures = 1");
    let mut last = first.clone();
    for id in ["lite-001", "lite-002"] {
        last = run_id(&run(&fleet, &["runs", "resume", &last, "--yes"], 101));
        fleet.ask(id, "DROP TABLE users");
        fleet.run(&["migrate", "--failed-of", &last, "--yes"]).exits(0);
    }
    fleet.head = fleet.head.replace("max_failures = 1", "max_failures = 0");
    let refused = fleet.run(&["runs", "resume", &last, "--yes"]).exits(101);
    refused.tells(&["still failed: lite-000;", &format!("first: small migrate --failed-of {first}")]);
}
