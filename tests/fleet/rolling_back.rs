//! `rollback` and the goals of `migrate`, on the three engines.

use crate::support::{ALL, FIRST, Fleet, SECOND, THIRD};

fn fleet() -> Fleet {
    Fleet::new().sqlite(1).postgres(1).schemas(1).mariadb(1)
}

#[track_caller]
fn are_at(fleet: &Fleet, applied: usize) {
    for tenant in &fleet.tenants {
        let id = &tenant.id;
        assert_eq!(fleet.history(id).unwrap_or_default(), ALL[..applied], "{id}");
        assert_eq!(fleet.has_table(id, "users"), applied >= 1, "{id}");
        assert_eq!(fleet.has_table(id, "tenant_features"), applied >= 2, "{id}");
        assert_eq!(fleet.has_table(id, "locations"), applied >= 3, "{id}");
    }
}

#[test]
fn goals_up_and_down() {
    let fleet = fleet();
    fleet.run(&["migrate", "--to", "tenant_features", "--yes"]).exits(0);
    are_at(&fleet, 2);
    fleet.run(&["migrate", "--steps", "1", "--yes"]).exits(0);
    are_at(&fleet, 3);
    fleet.run(&["rollback", "--steps", "1", "--yes"]).exits(0).shows(&["rolled back"]);
    are_at(&fleet, 2);
    fleet.run(&["rollback", "--to", FIRST, "--yes"]).exits(0);
    are_at(&fleet, 1);
    fleet.run(&["migrate", "--yes"]).exits(0);
    are_at(&fleet, 3);
    fleet.run(&["rollback", "--all", "--yes"]).exits(0);
    are_at(&fleet, 0);
    fleet.run(&["up", "--to", THIRD, "--yes"]).exits(0);
    are_at(&fleet, 3);
}

#[test]
fn a_goal_that_is_not_one_migration_is_answered_with_those_that_exist() {
    let fleet = fleet();
    fleet.run(&["migrate", "--to", "billing", "--yes"]).exits(64).tells(&["billing", FIRST, SECOND, THIRD]);
    fleet.run(&["migrate", "--to", "add_", "--yes"]).exits(64).tells(&["add_", SECOND, THIRD]);
    fleet.run(&["migrate", "--to", FIRST, "--steps", "1", "--yes"]).exits(64);
    fleet.run(&["migrate", "--steps", "0", "--yes"]).exits(64);
    fleet.run(&["rollback", "--yes"]).exits(64).tells(&["--to", "--steps", "--all"]);
    are_at(&fleet, 0);
    assert!(!fleet.path("fleet-ledger.db").exists(), "what was not begun is not recorded");
}
