//! Waves: they run in order, and a failure in one stops the rest.

use std::collections::HashMap;

use crate::dumps::{run, run_id};
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

/// The order of SHA-256 of the ids, which no version of the program may change: 005, 007, 002, 003, 008, 006, 000, 004, 001, 009.
#[test]
fn percent_and_count_take_the_tenants_that_they_always_took() {
    let members = |wave: &str| -> Vec<String> {
        let fleet = Fleet::new().head(&format!("[[wave]]\nname = \"canary\"\n{wave}\n")).sqlite(10);
        fleet.run(&["migrate", "--yes", "--steps", "1", "--canary"]).exits(5);
        let moved = fleet.tenants.iter().filter(|tenant| fleet.history(&tenant.id).is_some());
        moved.map(|tenant| tenant.id.trim_start_matches("lite-").to_owned()).collect()
    };
    assert_eq!(members("count = 3"), ["002", "005", "007"]);
    assert_eq!(members("percent = 40"), ["002", "003", "005", "007"]);
    assert_eq!(members("percent = 45\ncount = 6"), ["002", "003", "005", "006", "007", "008"]);
    assert_eq!(members("percent = 1\ntenants = [\"lite-009\"]"), ["005", "009"]);
}

/// A tenant is at work from its first attempt to its outcome. A failure budget of none would hold them back by itself.
#[test]
fn a_wave_with_a_concurrency_of_one_takes_one_tenant_after_another() {
    let waves = "[[wave]]\nname = \"slow\"\ntenants = [\"lite-00[0-3]\", \"pg-000\", \"my-000\"]\nconcurrency = 1\nmax_failures = \"unlimited\"\n";
    let fleet = Fleet::new().head(waves).sqlite(10).postgres(1).mariadb(1);
    let ran = fleet.run(&["migrate", "--yes", "--concurrency", "8", "--format", "jsonl"]).exits(0);
    let (mut at_work, mut most, mut slow) = (Vec::new(), HashMap::new(), Vec::new());
    for line in ran.out.lines() {
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        let tenant = event["tenant"].as_str().unwrap_or_default().to_owned();
        match event["event"].as_str().unwrap() {
            "attempt_started" => at_work.push(tenant),
            "tenant_finished" => {
                slow.extend((event["wave"] == "slow").then(|| tenant.clone()));
                at_work.retain(|other| *other != tenant);
            }
            _ => {}
        }
        let wave = if slow.len() < 6 { "slow" } else { "rest" };
        let widest = most.entry(wave).or_insert(0);
        *widest = at_work.len().max(*widest);
    }
    assert_eq!((slow.len(), most["slow"]), (6, 1), "{}", ran.out);
    assert!(most["rest"] > 1, "the others are not held to it: {}", ran.out);
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
fn a_canary_alone_stops_at_its_first_failure_and_so_does_the_run_that_goes_on() {
    let wave = "[fleet]\nattempts = 1\n[[wave]]\nname = \"canary\"\ntenants = [\"lite-00[0-3]\"]\n";
    let fleet = Fleet::new().head(wave).sqlite(6);
    for id in ["lite-000", "lite-001"] {
        fleet.ask(id, "CREATE TABLE users (id int)");
    }
    let stopped = run(&fleet, &["migrate", "--canary", "--yes"], 101);
    assert_eq!((with(&stopped, "failed").len(), with(&stopped, "not_started").len()), (1, 3), "{stopped:#}");
    fleet.ask("lite-000", "DROP TABLE users");
    fleet.run(&["migrate", "--yes", "-q", "-t", "lite-000"]).exits(0);
    let resumed = run(&fleet, &["runs", "resume", &run_id(&stopped), "--yes"], 101);
    assert_eq!(with(&resumed, "failed"), ["lite-001"], "{resumed:#}");
    assert_eq!(with(&resumed, "not_started").len(), 2, "{resumed:#}");
    // A value for this run is one.
    let free = run(&fleet, &["migrate", "--canary", "--yes", "--max-failures", "unlimited"], 100);
    assert_eq!(with(&free, "migrated").len(), 2, "{free:#}");
    let share = run(&fleet, &["migrate", "--canary-percent", "100", "--yes"], 101);
    assert_eq!(with(&share, "failed").len(), 1);
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

#[test]
fn waves_that_do_not_wait_for_one_that_failed_go_on() {
    let wave = |name: &str, tenant: &str, more: &str| {
        format!("[[wave]]\nname = \"{name}\"\ntenants = [\"{tenant}\"]\n{more}\n")
    };
    let waves = [
        wave("canary-eu", "my-000", ""),
        wave("eu", "my-001", ""),
        wave("canary-us", "pg-000", "depends_on = []"),
        wave("us", "lite-00[0-1]", "depends_on = [\"canary-us\"]"),
    ];
    let mut fleet =
        Fleet::new().head(&format!("[fleet]\nattempts = 1\n{}", waves.concat())).sqlite(3).postgres(1).mariadb(2);
    fleet.ask("my-000", "CREATE TABLE users (id int)");
    fleet.run(&["plan"]).exits(0).shows(&["waits for no other wave", "waits for: canary-us"]);
    let ran = fleet.run(&["migrate", "--yes"]).exits(101);
    let ran = ran.shows(&["migrated     3", "not started  2  the failure budget of wave canary-eu was used up"]);
    ran.tells(&["wave canary-eu ends"]);
    let done = |id: &str| fleet.history(id).unwrap_or_default().len() == all().len();
    assert_eq!(["my-001", "pg-000", "lite-000", "lite-001", "lite-002"].map(done), [false, true, true, true, false]);
    fleet.run(&["runs", "show", "last"]).exits(0).shows(&["nothing new of wave canary-eu was started"]);
    // Nothing that is left may go on yet.
    fleet
        .run(&["runs", "resume", "last", "--yes"])
        .exits(101)
        .tells(&["the failure budget of wave canary-eu was used up"]);
    fleet.head = fleet.head.replace("depends_on = [\"canary-us\"]", "depends_on = [\"us\", \"canary-usa\"]");
    let wrong = fleet.run(&["plan"]).exits(78);
    wrong.tells(&["`depends_on` names `us`, which is no wave before this one", "did you mean `canary-us`?"]);
}

#[test]
fn the_largest_databases_come_first_where_the_file_says_so() {
    let wave = "[[wave]]\nname = \"all\"\ntenants = [\"*\"]\norder = \"largest\"\nconcurrency = 1\n";
    let fleet = Fleet::new().head(wave).sqlite(3).postgres(1).mariadb(1);
    fleet.run(&["migrate", "--yes", "-q", "--to", &all()[0]]).exits(0);
    // By far the largest, and one that has more than the others of its kind.
    fleet.ask("pg-000", "CREATE TABLE heavy AS SELECT repeat('x', 2000) AS t FROM generate_series(1, 2000)");
    fleet.ask("lite-002", "CREATE TABLE heavy (t text); INSERT INTO heavy SELECT hex(zeroblob(300000))");
    let plan = fleet.run(&["plan", "--format", "json"]).exits(0).json();
    let order: Vec<&str> =
        plan["waves"][0]["tenants"].as_array().unwrap().iter().map(|row| row["tenant"].as_str().unwrap()).collect();
    let place = |id: &str| order.iter().position(|other| *other == id).unwrap();
    assert_eq!(place("pg-000"), 0, "{order:?}");
    assert!(place("lite-002") < place("lite-000") && place("lite-000") < place("lite-001"), "{order:?}");
    assert!(plan["waves"][0]["sizes"]["lite-002"].as_u64().unwrap() > 600_000, "{plan:#}");
    fleet.run(&["plan"]).exits(0).shows(&["largest first: pg-000 "]);
    let events = fleet.run(&["migrate", "--yes", "--format", "jsonl"]).exits(0).out;
    let began: Vec<String> = events
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .filter(|event| event["event"] == "attempt_started")
        .map(|event| event["tenant"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(began, order);
}
