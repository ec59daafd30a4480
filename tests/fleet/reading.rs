//! Read-only commands create nothing: no table, no schema, no file, no ledger.

use crate::support::{Fleet, all, sql};

const READING: [&[&str]; 8] = [
    &["plan"],
    &["plan", "--sql", "--down"],
    &["status"],
    &["matrix", "--all"],
    &["tenants", "list"],
    &["tenants", "check"],
    &["migrate", "--dry-run"],
    &["config"],
];

#[test]
fn looking_at_an_untouched_fleet_creates_nothing() {
    let mut fleet = Fleet::new().sqlite(3).postgres(2).schemas(2).mariadb(2);
    fleet.add("lite-missing", "sqlite:missing.db");
    fleet.tenant_mut("lite-missing").more = "create_missing = true".to_owned();
    let shared = fleet.tenant("schema-000").url.clone();
    fleet.add("schema-missing", &shared);
    let missing = fleet.tenant_mut("schema-missing");
    missing.schema = Some("not_there".to_owned());
    missing.more = "create_missing = true".to_owned();
    fleet.write();
    let names = || {
        let entries = std::fs::read_dir(fleet.folder.path()).unwrap();
        let mut names: Vec<_> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    let before = names();
    for arguments in READING {
        let ran = fleet.run(arguments);
        assert!(matches!(ran.code, Some(0 | 100)), "{arguments:?}: {ran:?}");
        assert!(!ran.out.is_empty(), "{arguments:?} shows nothing");
        assert_eq!(names(), before, "{arguments:?} left a file");
    }
    let tables = "SELECT table_name FROM information_schema.tables WHERE table_schema NOT IN ('pg_catalog', \
                  'information_schema')";
    for id in ["pg-000", "pg-001", "schema-000"] {
        assert_eq!(fleet.ask(id, tables), [""; 0], "{id}");
    }
    assert_eq!(sql(&shared, "SELECT nspname FROM pg_namespace WHERE nspname = 'not_there'"), [""; 0]);
    for id in ["my-000", "my-001"] {
        assert_eq!(fleet.ask(id, "SHOW TABLES"), [""; 0], "{id}");
    }
    for id in ["lite-000", "lite-002"] {
        assert_eq!(std::fs::metadata(fleet.path(&format!("{id}.db"))).unwrap().len(), 0, "{id}");
    }

    fleet.run(&["plan", "--exit-code"]).exits(2);
    fleet.run(&["status", "--exit-code"]).exits(2);
    fleet.run(&["migrate", "--yes"]).exits(0);
    fleet.run(&["plan", "--exit-code"]).exits(0);
    fleet.run(&["matrix", "--exit-code"]).exits(0);
    assert!(fleet.has_table("schema-missing", "users") && fleet.has_table("lite-missing", "users"));
}

#[test]
fn a_missing_file_or_schema_is_not_made_unless_asked_for() {
    let mut fleet = Fleet::new().schemas(1);
    fleet.add("lite-missing", "sqlite:missing.db");
    let shared = fleet.tenant("schema-000").url.clone();
    fleet.add("schema-missing", &shared);
    fleet.tenant_mut("schema-missing").schema = Some("not_there".to_owned());
    fleet.run(&["tenants", "check"]).exits(100).shows(&["lite-missing", "schema-missing"]);
    let report = fleet.run(&["migrate", "--yes", "--format", "json"]).exits(100).json();
    for id in ["lite-missing", "schema-missing"] {
        let record = crate::support::record(&report, id);
        assert_eq!((&record["outcome"], &record["class"]), (&"unreachable".into(), &"unknown_database".into()));
    }
    assert!(!fleet.path("missing.db").exists());
    assert_eq!(sql(&shared, "SELECT nspname FROM pg_namespace WHERE nspname = 'not_there'"), [""; 0]);
}

#[test]
fn the_scripts_of_a_rollback_stand_in_the_order_of_running() {
    let fleet = Fleet::new().sqlite(1);
    fleet.run(&["migrate", "--yes"]).exits(0);
    let order = |arguments: &[&str], mark: &str| {
        let ran = fleet.run(arguments).exits(0);
        let lines = ran.out.lines().filter(|line| line.contains(mark));
        lines.filter_map(|line| all().iter().position(|name| line.contains(name))).collect::<Vec<usize>>()
    };
    let newest_first: Vec<usize> = (0..all().len()).rev().collect();
    assert_eq!(order(&["plan", "--down", "--sql"], "-- m"), newest_first);
    assert_eq!(order(&["plan", "--down", "--list-scripts"], " sqlite "), newest_first);
    let json: serde_json::Value =
        serde_json::from_str(&fleet.run(&["plan", "--down", "--format", "json"]).exits(0).out).unwrap();
    assert_eq!(json["scripts"][0]["migration"], all()[all().len() - 1]);
}

#[test]
fn a_dry_run_shows_the_plan_without_the_sql() {
    let fleet = Fleet::new().sqlite(1);
    let ran = fleet.run(&["migrate", "--dry-run"]).exits(0).shows(&[&format!("1 to migrate ({} steps)", all().len())]);
    assert!(!ran.out.contains("CREATE TABLE"), "{}", ran.out);
    fleet.run(&["plan", "--sql"]).exits(0).shows(&["CREATE TABLE"]);
}

/// The plan answers first; the list of scripts, and their SQL, only when it is asked for.
#[test]
fn a_plan_lists_its_scripts_only_when_asked() {
    let fleet = Fleet::new().sqlite(2);
    let plan = fleet.run(&["plan"]).exits(0);
    let first: Vec<&str> = plan.out.lines().take(2).collect();
    assert!(first[0].starts_with("Plan: up to head") && first[1].starts_with("2 tenants: 2 to migrate"), "{first:?}");
    let each = |out: &str| all().iter().filter(|name| out.contains(&format!("  {name} "))).count();
    assert_eq!(each(&plan.out), 0, "{}", plan.out);
    plan.shows(&["small plan --list-scripts"]);
    let listed = fleet.run(&["plan", "--list-scripts"]).exits(0);
    assert_eq!(each(&listed.out), all().len(), "{}", listed.out);
    assert!(!listed.out.contains("CREATE TABLE"));
    fleet.run(&["plan", "--sql"]).exits(0).shows(&["CREATE TABLE"]);
}
