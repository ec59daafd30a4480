//! `depends_on`: the order of tenants, up and down, and its messages.

use serde_json::Value;

use crate::support::{Fleet, Ran, json_file, record, with};

/// `lite-000` and `lite-001` depend on `lite-003`, on which `lite-002` depends too; `lite-000` also on `lite-002`.
fn fleet() -> Fleet {
    let mut fleet = Fleet::new().head("[fleet]\nattempts = 1").sqlite(5);
    for (id, on) in [("lite-000", "'lite-003', 'lite-002'"), ("lite-001", "'lite-003'"), ("lite-002", "'lite-003'")] {
        fleet.tenant_mut(id).more = format!("depends_on = [{on}]");
    }
    fleet
}

/// The places of starts and ends in the events of a run.
fn moment(ran: &Ran, event: &str, tenant: &str) -> usize {
    let lines = ran.out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let mut found = lines.enumerate().filter(|(_, e)| e["event"] == event && e["tenant"] == tenant);
    found.next().unwrap_or_else(|| panic!("no {event} of {tenant} in:\n{}", ran.out)).0
}

#[track_caller]
fn assert_order(ran: &Ran, first: &str, then: &str) {
    let (ended, began) = (moment(ran, "tenant_finished", first), moment(ran, "attempt_started", then));
    assert!(ended < began, "{first} ended at {ended}, {then} began at {began}:\n{}", ran.out);
}

#[test]
fn the_way_up_keeps_the_order_and_the_way_back_turns_it_round() {
    let fleet = fleet();
    let plan = fleet.run(&["plan"]).exits(0);
    let plan = plan.shows(&["Order\n  after lite-003, lite-002: lite-000\n  after lite-003: lite-001, lite-002\n"]);
    drop(plan);
    let plan = fleet.run(&["plan", "--format", "json"]).exits(0).json();
    assert_eq!(plan["waves"][0]["tenants"][0]["after"], serde_json::json!(["lite-003", "lite-002"]));
    let listed = fleet.run(&["tenants", "list", "--format", "json"]).exits(0).json();
    assert_eq!(listed["tenants"][1]["depends_on"], serde_json::json!(["lite-003"]));

    let up = fleet.run(&["migrate", "--yes", "--format", "jsonl"]).exits(0);
    for (first, then) in [("lite-003", "lite-002"), ("lite-002", "lite-000"), ("lite-003", "lite-001")] {
        assert_order(&up, first, then);
    }
    fleet.run(&["plan", "--down"]).exits(0).shows(&["after lite-000, lite-001, lite-002: lite-003"]);
    let down = fleet.run(&["rollback", "--steps", "1", "--yes", "--format", "jsonl"]).exits(0);
    for (first, then) in [("lite-000", "lite-002"), ("lite-002", "lite-003"), ("lite-001", "lite-003")] {
        assert_order(&down, first, then);
    }
    // A tenant that is not selected is not waited for.
    fleet.run(&["migrate", "--yes", "--tenant", "lite-000"]).exits(0).shows(&["1 migrated"]);
}

#[test]
fn who_waits_in_vain_is_not_started_and_comes_with_the_next_resume() {
    let fleet = fleet();
    fleet.ask("lite-003", "CREATE TABLE users (id int)");
    let arguments = ["migrate", "--yes", "--report", "json=r.json", "--report", "junit=r.xml", "--report", "csv=r.csv"];
    let ran = fleet.run(&arguments).exits(100);
    let ran = ran.tells(&["lite-001  not started: it had to wait for lite-003, which did not end well"]);
    drop(ran.shows(&["1 failed", "3 not started"]));
    let report = json_file(&fleet.path("r.json"));
    assert_eq!(with(&report, "not_started"), ["lite-000", "lite-001", "lite-002"]);
    assert_eq!(with(&report, "migrated"), ["lite-004"]);
    let waiting = record(&report, "lite-001");
    assert_eq!((&waiting["reason"], &waiting["waited_for"]), (&"dependency".into(), &"lite-003".into()));
    for name in ["r.xml", "r.csv"] {
        let text = std::fs::read_to_string(fleet.path(name)).unwrap();
        assert!(text.contains("it had to wait for lite-003, which did not end well"), "{name}:\n{text}");
    }
    for id in ["lite-000", "lite-001", "lite-002"] {
        assert!(fleet.history(id).is_none(), "{id} was touched");
    }
    fleet.run(&["runs", "show", "last"]).exits(0).shows(&["3 not started"]);

    // They are not resumed without the tenant that they wait for.
    let ran = fleet.run(&["runs", "resume", "last", "--yes"]).exits(100);
    drop(ran.tells(&["lite-003  FAILED", "lite-000  not started"]));
    fleet.ask("lite-003", "DROP TABLE users");
    fleet.run(&["runs", "resume", "last", "--yes"]).exits(0).shows(&["4 migrated"]);
}

#[test]
fn mistakes_are_told_with_their_places_and_waves_are_not_turned_round() {
    let mut fleet = fleet();
    fleet.tenant_mut("lite-003").more = "depends_on = [\"lite-000\", \"lite-04\", \"lite-003\"]".to_owned();
    let ran = fleet.run(&["migrate", "--yes"]).exits(78);
    drop(ran.tells(&[
        "tenants wait for each other: lite-000 -> lite-003 -> lite-000",
        "tenants.toml:18:15",
        "`depends_on` names the tenant `lite-04`, which is not in the file",
        "did you mean `lite-004`?",
        "tenant `lite-003` depends on itself",
    ]));
    fleet.tenant_mut("lite-003").more.clear();
    fleet.head = "[[wave]]\nname = \"canary\"\ntenants = [\"lite-000\"]\n".to_owned();
    let ran = fleet.run(&["migrate", "--yes"]).exits(78);
    drop(ran.tells(&["`lite-000` of wave canary depends on `lite-003`, whose wave rest comes later"]));
    assert!(fleet.history("lite-003").is_none() && !fleet.path("fleet-ledger.db").exists());

    fleet.head = "[[wave]]\nname = \"canary\"\ntenants = [\"lite-003\"]\n".to_owned();
    fleet.run(&["migrate", "--yes"]).exits(0);
    let why = "the last wave goes first: tenant lite-003 of wave canary has to wait for lite-000 of wave rest";
    fleet.run(&["plan", "--down"]).exits(0).tells(&[why]);
    let saved = fleet.run(&["plan", "--down", "--steps", "1", "--save", "plan.json"]).exits(0);
    saved.tells(&[why]);
    let ran = fleet.run(&["rollback", "--plan", "plan.json", "--yes"]).exits(0).tells(&[why]);
    ran.shows(&["5 rolled back"]);
    let shown = fleet.run(&["runs", "show", "last", "--format", "json"]).exits(0).json();
    let started = shown["events"].as_array().unwrap().iter().filter(|event| event["event"]["event"] == "wave_started");
    let waves: Vec<&str> = started.map(|event| event["event"]["wave"].as_str().unwrap()).collect();
    assert_eq!(waves, ["rest", "canary"]);
    fleet.run(&["rollback", "--steps", "1", "--wave", "canary", "--yes"]).exits(0);
}
