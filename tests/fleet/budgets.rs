//! The failure budget of the whole run, beside those of its waves.

use crate::dumps::{run, run_id};
use crate::support::{Fleet, all};

/// Three waves of three SQLite tenants, the first two of which may have any failures; the first of each fails.
fn fleet(head: &str) -> Fleet {
    let wave = |name: &str, tenants: &str| {
        format!("[[wave]]\nname = \"{name}\"\ntenants = {tenants}\nmax_failures = \"unlimited\"\n")
    };
    let waves = wave("first", "[\"lite-00[0-2]\"]") + &wave("second", "[\"lite-00[3-5]\"]");
    let fleet = Fleet::new().head(&format!("[fleet]\nattempts = 1\nconcurrency = 1\n{head}\n{waves}")).sqlite(9);
    for id in ["lite-000", "lite-003", "lite-006"] {
        fleet.ask(id, "CREATE TABLE users (id int)");
    }
    fleet
}

fn mend(fleet: &Fleet, id: &str) {
    fleet.ask(id, "DROP TABLE users");
    fleet.run(&["migrate", "--yes", "-t", id]).exits(0);
}

#[test]
fn failures_of_all_waves_count_for_the_budget_of_the_run() {
    let fleet = fleet("run_max_failures = 1");
    let ran = fleet.run(&["migrate", "--yes"]).exits(101);
    let ran = ran.shows(&[
        "not started  5  the failure budget of the run was used up",
        "once the run has at most 1 failed",
        "2 of 4 finished failed, and its run_max_failures allows 1",
    ]);
    ran.tells(&["draining: the failure budget of the run was used up"]);
    assert_eq!((fleet.history("lite-002").unwrap().len(), fleet.history("lite-004")), (all().len(), None));
    let shown = fleet.run(&["runs", "show", "last"]).exits(0);
    shown.shows(&[
        "the failure budget of the run was used up: 2 of 4 finished failed",
        "once the run has at most 1 failed",
    ]);
    let json = fleet.run(&["runs", "show", "last", "--format", "json"]).exits(0).json();
    assert_eq!(
        (&json["verdict"], &json["stats"]["stopped"]),
        (&"budget_exhausted".into(), &"run_failure_budget".into())
    );
}

#[test]
fn a_resumed_run_has_what_is_left_of_the_budget() {
    let fleet = fleet("run_max_failures = 1");
    let stopped = run_id(&run(&fleet, &["migrate", "--yes"], 101));
    let refused = fleet.run(&["runs", "resume", &stopped, "--yes"]).exits(101);
    refused.tells(&[
        "its run_max_failures allows 1; still failed: lite-000, lite-003",
        "5 other tenants",
        "--run-max-failures",
    ]);
    assert_eq!(fleet.history("lite-004"), None);
    mend(&fleet, "lite-000");
    // One failure is still open, and the next one is one too many.
    let ran = fleet.run(&["runs", "resume", &stopped, "--yes"]).exits(101);
    ran.shows(&["2 migrated, 1 failed, 2 not started", "2 of 7 finished failed"]);
    assert_eq!(fleet.history("lite-007"), None);
    let ran = fleet.run(&["runs", "resume", "last", "--yes", "--run-max-failures", "2"]).exits(100);
    // Those that failed in the runs before are not passed over.
    ran.tells(&["2 tenants that failed before are not at the target: lite-003, lite-006", "migrate --failed-of"]);
    fleet.run(&["runs", "resume", "last", "--yes"]).exits(100).tells(&["lite-003, lite-006"]);
}

#[test]
fn the_first_failure_stops_a_run_that_is_to_fail_fast() {
    let fleet = fleet("run_max_failures = 8");
    let ran = fleet.run(&["migrate", "--yes", "--fail-fast"]).exits(101);
    // The command that goes on is as strict.
    ran.shows(&[
        "1 of 1 finished failed, and its run_max_failures allows none",
        "--fail-fast",
        "once the run has no failure",
    ]);
    assert_eq!(fleet.history("lite-001"), None);
    let refused = fleet.run(&["migrate", "--yes", "--fail-fast", "--keep-going"]).exits(64);
    refused.tells(&["--fail-fast", "--keep-going"]);
    fleet.run(&["migrate", "--yes", "--fail-fast", "--run-max-failures", "1"]).exits(64);
}

#[test]
fn a_run_that_is_to_keep_going_reaches_every_tenant() {
    let mut fleet = fleet("run_max_failures = 0\nmax_failures = 0");
    fleet.head = fleet.head.replace("max_failures = \"unlimited\"", "max_failures = 0");
    let stopped = run_id(&run(&fleet, &["migrate", "--yes", "--limit", "4"], 101));
    fleet.run(&["runs", "resume", &stopped, "--yes"]).exits(101);
    fleet.run(&["runs", "resume", &stopped, "--yes", "--keep-going"]).exits(100).shows(&["2 migrated, 1 failed"]);
    let ran = fleet.run(&["migrate", "--yes", "--keep-going"]).exits(100);
    ran.shows(&["4 migrated, 2 up to date, 3 failed"]);
    assert_eq!(fleet.history("lite-008").unwrap(), all());
}

#[test]
fn kinds_of_failures_that_do_not_count_and_a_sample_of_ones_own() {
    let fleet = fleet("run_max_failures = \"0 without failed\"");
    fleet.run(&["migrate", "--yes"]).exits(100).shows(&["9 tenants: 6 migrated, 3 failed"]);
    fleet.run(&["runs", "resume", "last", "--yes"]).exits(100);
    let other = self::fleet("run_max_failures = \"0 without unreachable,in_doubt\"");
    other
        .run(&["migrate", "--yes"])
        .exits(101)
        .shows(&["its run_max_failures allows 0", "without in_doubt,unreachable"]);
    let flag = ["migrate", "--yes", "--run-max-failures", "40% from 2"];
    self::fleet("").run(&flag).exits(101).shows(&["2 of 4 finished failed, and its run_max_failures allows 40%"]);
    let wrong = self::fleet("run_max_failures = \"0 without dead\"");
    wrong.run(&["migrate", "--yes"]).exits(78).tells(&["failed, lock_timeout, in_doubt, ahead, unreachable"]);
    assert_eq!(wrong.history("lite-001"), None);
}
