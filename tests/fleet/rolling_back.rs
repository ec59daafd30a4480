//! `rollback` and the goals of `migrate`, on the three engines.

use crate::support::{Fleet, all, up_to};

fn fleet() -> Fleet {
    Fleet::new().sqlite(1).postgres(1).schemas(1).mariadb(1)
}

const FIRST: &str = "initial_schema";
const SECOND: &str = "add_tenant_features";
const THIRD: &str = "add_inventory_tracking";

#[track_caller]
fn are_at(fleet: &Fleet, applied: usize) {
    for tenant in &fleet.tenants {
        let id = &tenant.id;
        assert_eq!(fleet.history(id).unwrap_or_default(), all()[..applied], "{id}");
        for (table, migration) in [("users", FIRST), ("tenant_features", SECOND), ("locations", THIRD)] {
            assert_eq!(fleet.has_table(id, table), applied >= up_to(migration), "{id}: {table}");
        }
    }
}

#[test]
fn goals_up_and_down() {
    let fleet = fleet();
    fleet.run(&["migrate", "--to", "tenant_features", "--yes"]).exits(0);
    are_at(&fleet, up_to(SECOND));
    fleet.run(&["migrate", "--steps", "1", "--yes"]).exits(0);
    are_at(&fleet, up_to(THIRD));
    let past = fleet.run(&["migrate", "--to", SECOND, "--yes"]).exits(0);
    past.shows(&["past", SECOND, "the way back is", "rollback --to"]);
    are_at(&fleet, up_to(THIRD));
    fleet.run(&["rollback", "--steps", "1", "--yes"]).exits(0).shows(&["rolled back"]);
    are_at(&fleet, up_to(SECOND));
    fleet.run(&["rollback", "--to", &all()[up_to(FIRST) - 1], "--yes"]).exits(0);
    are_at(&fleet, up_to(FIRST));
    fleet.run(&["migrate", "--yes"]).exits(0);
    are_at(&fleet, all().len());
    fleet.run(&["rollback", "--all", "--yes"]).exits(0);
    are_at(&fleet, 0);
    fleet.run(&["up", "--to", THIRD, "--yes"]).exits(0);
    are_at(&fleet, up_to(THIRD));
}

#[test]
fn a_rollback_to_the_present_version_changes_nothing() {
    let fleet = fleet();
    fleet.run(&["migrate", "--to", SECOND, "--yes"]).exits(0);
    let before: Vec<_> = fleet.tenants.iter().map(|tenant| (tenant.id.clone(), fleet.history(&tenant.id))).collect();
    // The table is named by the migration's way down, which would drop it with its row.
    fleet
        .tenants
        .iter()
        .for_each(|tenant| drop(fleet.ask(&tenant.id, "INSERT INTO tenant_features VALUES (1, 'x', true)")));
    let ran = fleet.run(&["rollback", "--to", SECOND, "--yes"]).exits(0);
    assert!(ran.out.contains("up to date") && !ran.out.contains("rolled back"), "{}", ran.out);
    for (id, history) in before {
        assert_eq!(fleet.history(&id), history, "{id}");
        assert_eq!(fleet.ask(&id, "SELECT feature FROM tenant_features"), ["x"], "{id}");
    }
    fleet.run(&["rollback", "--to", SECOND, "--dry-run"]).exits(0);
}

#[test]
fn a_goal_that_is_not_one_migration_is_answered_with_those_that_exist() {
    let fleet = fleet();
    let mut words = vec!["payroll"];
    words.extend(all().iter().map(String::as_str));
    fleet.run(&["migrate", "--to", "payroll", "--yes"]).exits(64).tells(&words);
    fleet.run(&["migrate", "--to", "add_", "--yes"]).exits(64).tells(&["add_", SECOND, THIRD]);
    fleet.run(&["migrate", "--to", FIRST, "--steps", "1", "--yes"]).exits(64);
    fleet.run(&["migrate", "--steps", "0", "--yes"]).exits(64);
    fleet.run(&["rollback", "--yes"]).exits(64).tells(&["--to", "--steps", "--all"]);
    are_at(&fleet, 0);
    assert!(!fleet.path("fleet-ledger.db").exists(), "what was not begun is not recorded");
}
