//! Tenants that come into the fleet while a migration goes on: told, or taken by a run of their own.

use std::fmt::Write as _;

use serde_json::Value;

use crate::support::{Fleet, all, json_file, sql};

/// Adds `late.toml` to the tenant file while the first tenant is at work, as a provisioning program would.
const JOIN: &str = "[hooks]\nbefore_tenant = [\"sh\", \"-c\", \"if mv late.toml joined.toml; then cat joined.toml >> tenants.toml; fi 2> /dev/null; true\"]\n";

/// A fleet of two SQLite tenants, to which these come meanwhile.
fn fleet(head: &str, late: &[&str]) -> Fleet {
    let fleet = Fleet::new().head(&format!("[fleet]\nattempts = 1\nconcurrency = 1\n{head}{JOIN}")).sqlite(2);
    late_file(&fleet, late);
    fleet
}

fn late_file(fleet: &Fleet, late: &[&str]) {
    let mut text = String::new();
    for id in late {
        std::fs::write(fleet.path(&format!("{id}.db")), "").unwrap();
        write!(text, "\n[[tenant]]\nid = \"{id}\"\nurl = 'sqlite:{id}.db'\n").unwrap();
    }
    std::fs::write(fleet.path("late.toml"), text).unwrap();
}

/// The migrations of a tenant that is in no tenant file any more, as the next command writes it anew.
fn history(fleet: &Fleet, id: &str) -> Vec<String> {
    let url = format!("sqlite:{}", fleet.path(&format!("{id}.db")).display());
    match sql(&url, "SELECT name FROM sqlite_master WHERE name = 'seaql_migrations'").is_empty() {
        true => Vec::new(),
        false => sql(&url, "SELECT version FROM seaql_migrations ORDER BY version"),
    }
}

fn runs(fleet: &Fleet) -> Vec<Value> {
    fleet.run(&["runs", "list", "--format", "json"]).exits(0).json()["runs"].as_array().unwrap().clone()
}

#[test]
fn a_tenant_that_came_during_a_run_is_told_and_left() {
    let fleet = fleet("", &["late"]);
    let ran = fleet.run(&["migrate", "--yes"]).exits(5);
    ran.tells(&[
        "1 tenant came into the fleet while the run went on, not migrated: late",
        "to migrate: small migrate --tenant late",
    ]);
    assert!(history(&fleet, "late").is_empty());
    let shown = fleet.run(&["runs", "show", "last"]).exits(0);
    shown.shows(&["late joiners", "1 tenant came into the fleet during the run, not migrated: late", "outstanding"]);
    let story = fleet.run(&["runs", "show", "last", "--format", "json"]).exits(0).json();
    let told = story["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| &event["event"])
        .find(|event| event["event"] == "late_joiners");
    let told = told.unwrap_or_else(|| panic!("{story:#}"));
    assert_eq!((&told["tenants"][0], &told["are_taken"]), (&"late".into(), &false.into()));
    assert_eq!(runs(&fleet)[0]["result"], "outstanding");

    // A goal is named as a person names it.
    let to = all()[2].clone();
    fleet.run(&["rollback", "--yes", "--steps", "9", "-t", "lite-000"]).exits(0);
    late_file(&fleet, &["third"]);
    let ran = fleet.run(&["migrate", "--yes", "--to", &to]).exits(5);
    ran.tells(&[&format!("to migrate: small migrate --to {to} --tenant third")]);

    // Also where it is said, and in a stream.
    fleet.run(&["migrate", "--yes"]).exits(0);
    late_file(&fleet, &["later"]);
    let streamed = ["migrate", "--yes", "--late-joiners", "report", "--format", "jsonl"];
    let ran = fleet.run(&streamed).exits(5);
    let last: Vec<&str> = ran.out.lines().rev().take(2).collect();
    assert!(last[0].contains("\"run_finished\"") && last[1].contains("\"late_joiners\""), "{}", ran.out);
}

#[test]
fn a_tenant_that_came_during_a_run_is_migrated_behind_it() {
    let fleet = fleet("", &["late"]);
    let ran = fleet.run(&["migrate", "--yes", "--late-joiners", "migrate"]).exits(0);
    ran.tells(&["1 tenant came into the fleet while the run went on, migrated now by a run of its own: late"]);
    assert_eq!(history(&fleet, "late"), all());
    let runs = runs(&fleet);
    let selected: Vec<_> = runs.iter().map(|run| (run["selected"].as_u64().unwrap(), &run["result"])).collect();
    assert_eq!(selected, [(1, &"ok".into()), (2, &"ok".into())]);
    let first = runs[1]["run"].as_str().unwrap();
    fleet.run(&["runs", "show", first]).exits(0).shows(&["migrated behind it by a run of its own: late"]);

    // Those that join during the second run are told, and the reports have the first alone.
    let again = "if [ $FLEET_TENANT = next ]; then printf '\\n[[tenant]]\\nid = \"last\"\\nurl = \"sqlite:last.db\"\\n' >> tenants.toml; fi";
    let script = fleet.path("hook.sh");
    std::fs::write(
        &script,
        format!("if mv late.toml joined.toml; then cat joined.toml >> tenants.toml; fi 2> /dev/null\n{again}\n"),
    )
    .unwrap();
    let head = "[fleet]\nattempts = 1\nconcurrency = 1\n[hooks]\nbefore_tenant = [\"sh\", \"hook.sh\"]\n";
    let chain = Fleet::new().head(head).sqlite(1);
    late_file(&chain, &["next"]);
    std::fs::copy(&script, chain.path("hook.sh")).unwrap();
    std::fs::write(chain.path("last.db"), "").unwrap();
    let ran = chain.run(&["migrate", "--yes", "--late-joiners", "migrate", "--report", "json=report.json"]).exits(5);
    ran.tells(&["migrated now by a run of its own: next", "not migrated: last"]);
    let report = json_file(&chain.path("report.json"));
    assert_eq!(report["tenants"].as_array().unwrap().len(), 1, "{report:#}");

    // In a stream both are whole.
    late_file(&fleet, &["later"]);
    let ran = fleet.run(&["migrate", "--yes", "--late-joiners", "migrate", "--format", "jsonl"]).exits(0);
    let events = |name: &str| ran.out.matches(&format!("\"event\":\"{name}\"")).count();
    assert_eq!([events("run_started"), events("late_joiners"), events("run_finished")], [2, 1, 2], "{}", ran.out);
    assert_eq!(history(&fleet, "later"), all());
}

#[test]
fn only_tenants_that_the_run_would_have_taken_and_that_have_something_to_do_are_told() {
    let fleet = fleet("", &["late"]);
    let ran = fleet.run(&["migrate", "--yes", "--exclude", "late", "-t", "lite-000", "-t", "la*"]).exits(0);
    assert!(!ran.err.contains("came into the fleet"), "{}", ran.err);

    // One that was made from a template is where the others are, and one in quarantine waits for its end.
    std::fs::copy(fleet.path("lite-000.db"), fleet.path("made.db")).unwrap();
    let text = "\n[[tenant]]\nid = \"made\"\nurl = 'sqlite:made.db'\n[[tenant]]\nid = \"sick\"\nurl = 'sqlite:sick.db'\n\
                quarantine = { reason = \"it is ill\" }\n";
    std::fs::write(fleet.path("late.toml"), text).unwrap();
    let ran = fleet.run(&["migrate", "--yes"]).exits(0);
    assert!(!ran.err.contains("came into the fleet"), "{}", ran.err);
}

#[test]
fn nobody_is_taken_behind_a_run_that_failed_or_paused() {
    let fleet = self::fleet("", &["late"]);
    fleet.ask("lite-001", "CREATE TABLE users (id int)");
    let ran = fleet.run(&["migrate", "--yes", "--late-joiners", "migrate"]).exits(100);
    ran.tells(&["not migrated, because the run did not bring all its tenants to its goal: late"]);
    assert!(history(&fleet, "late").is_empty());

    let gate = "[[wave]]\nname = \"canary\"\ntenants = [\"lite-000\"]\n[wave.gate]\nthen = \"pause\"\n";
    let paused = self::fleet(gate, &["late"]);
    paused.run(&["migrate", "--yes", "--late-joiners", "migrate"]).exits(5).tells(&["not migrated, because"]);
    assert!(history(&paused, "late").is_empty());
}

/// They pass the gates that are in front of them, and no more of them is started behind one that fails.
#[test]
fn the_run_of_late_joiners_has_waves_and_gates_of_its_own() {
    let gate = "[[wave]]\nname = \"canary\"\ntenants = [\"lite-000\", \"early\"]\n[wave.gate]\n\
                command = [\"sh\", \"-c\", \"echo >> asked; test $(wc -l < asked) = 1\"]\n";
    let fleet = fleet(gate, &["late", "early"]);
    let ran = fleet.run(&["migrate", "--yes", "--late-joiners", "migrate"]).exits(101);
    ran.tells(&["2 tenants came into the fleet", "the gate of wave canary failed"]);
    assert_eq!(history(&fleet, "early"), all());
    assert!(history(&fleet, "late").is_empty());
    let results: Vec<_> = runs(&fleet).iter().map(|run| run["result"].clone()).collect();
    assert_eq!(results, ["stopped", "ok"]);
}

#[test]
fn a_source_that_grows_is_asked_again_and_one_that_says_nothing_makes_nobody_up() {
    let source = "[[source]]\nname = \"crm\"\ncommand = [\"cat\", \"tenants.json\"]\n";
    let hook = |then: &str| format!("[hooks]\nbefore_tenant = [\"sh\", \"-c\", \"{then}\"]\n");
    let fleet = |then: &str| {
        let fleet = Fleet::new().head(&format!("[fleet]\nconcurrency = 1\n{source}{}", hook(then)));
        let row = |id: &str| format!("{{\"id\": \"{id}\", \"url\": \"sqlite:{id}.db\"}}");
        ["a", "b"].iter().for_each(|id| std::fs::write(fleet.path(&format!("{id}.db")), "").unwrap());
        std::fs::write(fleet.path("tenants.json"), row("a")).unwrap();
        std::fs::write(fleet.path("more.json"), row("a") + "\n" + &row("b")).unwrap();
        fleet
    };
    let grows = fleet("cp more.json tenants.json");
    grows.run(&["migrate", "--yes"]).exits(5).tells(&["not migrated: b", "small migrate --tenant b"]);
    assert!(history(&grows, "b").is_empty());
    let taken = fleet("cp more.json tenants.json");
    taken.run(&["migrate", "--yes", "--late-joiners", "migrate"]).exits(0);
    assert_eq!(history(&taken, "b"), all());

    let silent = fleet("rm -f tenants.json");
    let ran = silent.run(&["migrate", "--yes", "--late-joiners", "migrate"]).exits(0);
    let ran = ran.tells(&["whether tenants came into the fleet meanwhile is not known", "crm", "small tenants list"]);
    assert!(!ran.err.contains("no tenant was touched"), "{}", ran.err);
    assert_eq!(history(&silent, "a"), all());
}

#[test]
fn a_tenant_file_that_is_broken_by_then_is_told() {
    let head = "[fleet]\nconcurrency = 1\n[hooks]\nbefore_tenant = [\"sh\", \"-c\", \"echo '[[' >> tenants.toml\"]\n";
    let fleet = Fleet::new().head(head).sqlite(1);
    let ran = fleet.run(&["migrate", "--yes"]).exits(0);
    ran.tells(&["whether tenants came into the fleet meanwhile is not known: the tenant file has mistakes"]);
}

#[test]
fn the_flag_is_refused_where_it_means_nothing() {
    let fleet = Fleet::new().sqlite(1);
    fleet.run(&["migrate", "--yes", "--late-joiners", "refuse"]).exits(64).tells(&["--plan"]);
    fleet.run(&["rollback", "--all", "--yes", "--late-joiners", "report"]).exits(64).tells(&["--plan"]);
    fleet.run(&["migrate", "--yes", "--enqueue", "--late-joiners", "migrate"]).exits(64).tells(&["--enqueue"]);
}
