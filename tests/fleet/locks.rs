//! Time limits as they are configured and planned, and tenants that stopped.

use crate::support::{Fleet, all};

#[test]
fn the_plan_says_which_time_limits_are_not_the_fleets() {
    let mut fleet = Fleet::new().sqlite(2);
    let migration = &all()[1];
    fleet.head = format!(
        "[fleet]\nlock_timeout = \"2s\"\n[migrations.\"{migration}\"]\nlock_timeout = \"300ms\"\nstatement_timeout = \"9s\"\n\
         [[wave]]\nname = \"canary\"\ntenants = [\"lite-000\"]\nlock_timeout = \"1s\""
    );
    fleet.tenant_mut("lite-001").more = "lock_timeout = \"700ms\"".to_owned();
    let plan = fleet.run(&["plan"]).exits(0);
    plan.shows(&[
        "wave canary: lock_timeout 1.0s",
        "tenant lite-001: lock_timeout 700ms",
        &format!("{migration} on sqlite: lock_timeout 300ms, statement_timeout 9.0s"),
    ]);
    let json = fleet.run(&["plan", "--format", "json"]).exits(0).json();
    assert_eq!(json["limits"][0]["of"], "wave canary");
    fleet.run(&["migrate", "--yes"]).exits(0);
}

#[test]
fn a_limit_for_a_migration_that_does_not_exist_is_refused_at_the_start() {
    let mut fleet = Fleet::new().sqlite(1);
    let misspelt = all()[1].replace("tenant", "tennant");
    fleet.head = format!("[migrations.\"{misspelt}\"]\nlock_timeout = \"300ms\"");
    fleet.run(&["migrate", "--yes"]).exits(78).tells(&[&misspelt, &format!("did you mean \"{}\"", all()[1])]);
    assert_eq!(fleet.history("lite-000"), None);
}

/// The engine refused a statement for certain: that is no doubt, and the next run goes on there.
#[test]
fn a_stopped_tenant_is_planned_and_goes_on() {
    let fleet = Fleet::new().mariadb(1);
    fleet.ask("my-000", "CREATE TABLE users (id int)");
    fleet.run(&["migrate", "--yes"]).exits(100);
    let stopped = fleet.run(&["status"]).exits(0);
    if stopped.out.contains("stopped") {
        stopped.shows(&["refused by the engine; the next migrate goes on there"]);
    }
    fleet.run(&["plan"]).exits(0).shows(&["1 to migrate"]);
    fleet.run(&["runs", "settle", "my-000"]).tells(&["not in doubt"]);
    fleet.ask("my-000", "DROP TABLE users");
    fleet.run(&["migrate", "--yes"]).exits(0);
    assert_eq!(fleet.history("my-000").unwrap(), all());
}
