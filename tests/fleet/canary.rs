//! Waves: they run in order, and a failure in one stops the rest.

use crate::support::{Fleet, all, json_file, record, with};

const WAVES: &str = "[fleet]\nattempts = 1\n[[wave]]\nname = \"canary\"\ntenants = [\"lite-003\"]\nmax_failures = 0\n\
                     [[wave]]\nname = \"early\"\ntenants = [\"pg-000\", \"my-000\"]\n";

fn fleet() -> Fleet {
    Fleet::new().head(WAVES).sqlite(6).postgres(1).mariadb(1)
}

#[test]
fn waves_run_in_order_and_a_wave_begins_when_the_one_before_is_over() {
    let fleet = fleet();
    let ran = fleet.run(&["migrate", "--yes", "--format", "jsonl"]).exits(0);
    let mut seen = Vec::new();
    for line in ran.out.lines() {
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        match event["event"].as_str().unwrap_or_else(|| panic!("{line}")) {
            "wave_started" => seen.push(format!("+{}", event["wave"].as_str().unwrap())),
            "wave_finished" => seen.push(format!("-{}", event["wave"].as_str().unwrap())),
            "tenant_finished" => seen.push(event["wave"].as_str().unwrap().to_owned()),
            _ => {}
        }
    }
    seen.dedup();
    assert_eq!(seen, ["+canary", "canary", "-canary", "+early", "early", "-early", "+rest", "rest", "-rest"]);
}

#[test]
fn a_failing_canary_stops_the_rest() {
    let fleet = fleet();
    fleet.ask("lite-003", "CREATE TABLE users (id int)");
    let ran = fleet.run(&["migrate", "--yes", "--report", "json=report.json"]).exits(101);
    let ran = ran.shows(&["lite-003", "users", "not started", "7", "failure budget", "--failed-of", "runs resume"]);
    assert!(ran.err.contains("draining"), "{}", ran.err);
    // A wave that never began has not ended either.
    let shown = fleet.run(&["runs", "show", "last"]).exits(0);
    let row = |wave: &str| shown.out.lines().find(|line| line.starts_with(&format!("{wave} "))).unwrap().to_owned();
    assert!(!row("canary").contains("not started") && row("early").contains("not started"), "{}", shown.out);
    assert!(
        row("rest").contains("not started") && !ran.err.contains("wave rest is over"),
        "{}\n{}",
        shown.out,
        ran.err
    );
    let report = json_file(&fleet.path("report.json"));
    assert_eq!(with(&report, "failed"), ["lite-003"]);
    assert_eq!(with(&report, "not_started").len(), 7);
    assert_eq!(record(&report, "pg-000")["reason"], "failure_budget");
    for tenant in &fleet.tenants {
        // The conflicting table belongs to the second migration.
        let applied = usize::from(tenant.id == "lite-003");
        assert_eq!(fleet.history(&tenant.id).unwrap_or_default(), all()[..applied], "{}", tenant.id);
    }
}

#[test]
fn a_canary_alone_leaves_work_outstanding() {
    let fleet = fleet();
    fleet.run(&["migrate", "--canary", "--yes"]).exits(5).shows(&["1 migrated"]);
    assert_eq!(fleet.history("lite-003").unwrap(), all());
    assert!(fleet.history("pg-000").is_none());
    fleet.run(&["migrate", "--limit", "2", "--yes"]).exits(5).shows(&["--limit"]);
    fleet.run(&["migrate", "--yes"]).exits(0);
}

#[test]
fn a_percentage_is_the_same_tenants_each_time() {
    let fleet = Fleet::new().sqlite(40);
    let arguments = ["migrate", "--canary-percent", "20", "--yes", "--format", "json"];
    let first = fleet.run(&arguments).exits(5).json();
    let second = fleet.run(&arguments).exits(5).json();
    let chosen = with(&first, "migrated");
    assert_eq!(chosen.len(), 8, "{chosen:?}");
    assert_eq!(chosen, with(&second, "up_to_date"));
    let migrated = fleet.tenants.iter().filter(|t| fleet.history(&t.id).is_some()).count();
    assert_eq!(migrated, 8);
}
