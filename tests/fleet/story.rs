//! The story of a run: lists of runs, a run that is followed from another terminal, its report for a browser.

use std::time::Duration;

use serde_json::Value;

use crate::interrupted::Held;
use crate::support::{Fleet, all, until, wait};

fn listed(fleet: &Fleet, arguments: &[&str]) -> Vec<Value> {
    let arguments: Vec<&str> = ["runs", "list", "--format", "json"].iter().chain(arguments).copied().collect();
    fleet.run(&arguments).exits(0).json()["runs"].as_array().unwrap().clone()
}

#[test]
fn a_run_is_followed_and_one_that_died_is_counted_and_tells_who_went_on_with_it() {
    let fleet = Fleet::new().head("[fleet]\nlock_timeout = \"60s\"").sqlite(8);
    fleet.run(&["migrate", "--yes", "--steps", "1"]).exits(0);
    let holder = Held::on(&fleet, "lite-003");
    let mut alive = fleet.program(&["migrate", "--yes", "--steps", "1"]).spawn().unwrap();
    until("seven are done", || listed(&fleet, &["--status", "alive"]).first().is_some_and(|run| run["at_target"] == 7));
    let id = listed(&fleet, &[])[0]["run"].as_str().unwrap().to_owned();
    let watching = fleet.program(&["runs", "show", "last", "--watch"]).spawn().unwrap();
    // A tenant in flight is noted once it is older than a heartbeat.
    let shown = || fleet.run(&["runs", "show", &id]).exits(0).out;
    until("it is told to be in flight", || shown().contains("in flight"));
    until("it straggles", || shown().contains("times the median"));
    assert!(shown().contains("lite-003 for "), "{}", shown());
    std::thread::sleep(Duration::from_secs(2));

    alive.kill().unwrap();
    let live = wait(alive);
    assert!(live.err.contains("lite-003  straggles: at work for"), "{}", live.err);
    let watched = wait(watching).exits(5).shows(&["died", &format!("runs resume {id}"), "1 without an outcome"]);
    for words in [&*format!("run {id}: up by 1 step, 8 tenants"), "rest  7/8", "lite-003  straggles"] {
        assert!(watched.err.contains(words), "no {words:?} in:\n{}", watched.err);
    }

    let died = &listed(&fleet, &["--status", "dead", "--tenant", "lite-003"])[0];
    let counts = ["run", "at_target", "failures", "outstanding"].map(|key| &died[key]);
    assert_eq!(counts, [&Value::from(id.as_str()), &7.into(), &0.into(), &1.into()], "{died:#}");
    fleet.run(&["runs", "list"]).exits(0).shows(&["died", "7/8"]);
    holder.release();
    fleet.run(&["runs", "resume", &id, "--yes"]).exits(0);
    let heir = listed(&fleet, &[])[0]["run"].as_str().unwrap().to_owned();
    let told = fleet.run(&["runs", "show", &id, "--all", "--width", "200"]).exits(0);
    let told = told.shows(&[
        "resumed by",
        &heir,
        "settled",
        &format!("1 tenant since then, by run {heir}"),
        "its end is not recorded",
    ]);
    // Each tenant that has its outcome, with its version before and after, and its time.
    let columns = ["TENANT", "BEFORE", "AFTER", "TOOK"];
    let lines: Vec<&str> = told.out.lines().collect();
    let head = lines.iter().position(|line| columns.iter().all(|column| line.contains(column)));
    let head = head.unwrap_or_else(|| panic!("{}", told.out));
    let rows: Vec<&&str> = lines[head + 1..].iter().take_while(|line| line.starts_with("lite-")).collect();
    assert_eq!(rows.len(), 7, "{}", told.out);
    let (before, after) = (all()[0].as_str(), all()[1].as_str());
    for row in rows {
        assert!(row.contains(before) && row.find(after) > row.find(before), "{row}");
        assert!(
            row.split_whitespace().any(|word| word.ends_with('s') && word.starts_with(|c: char| c.is_ascii_digit())),
            "{row}"
        );
    }
    let story = fleet.run(&["runs", "show", &id, "--format", "json"]).exits(0).json();
    assert_eq!(
        (&story["resumed_by"][0], &story["settled_by"]["lite-003"]),
        (&Value::from(&*heir), &Value::from(&*heir))
    );
    let tenant = &story["tenants"][0];
    assert!(tenant["version_before"].as_str().unwrap() < tenant["version"].as_str().unwrap(), "{tenant:#}");
    assert!(tenant["finished_at_ms"].is_i64() && story["waves"][0]["started_at_ms"].is_i64(), "{story:#}");
}

#[test]
fn runs_are_listed_by_tenant_time_and_result() {
    let fleet = Fleet::new().sqlite(3);
    fleet.ask("lite-001", "CREATE TABLE users (id int)");
    fleet.run(&["migrate", "--yes", "--tenant", "lite-000"]).exits(0);
    fleet.run(&["migrate", "--yes", "--tenant", "lite-001"]).exits(100);
    fleet.run(&["migrate", "--yes", "--tenant", "lite-00[12]", "--max-failures", "0"]).exits(101);
    let results = |arguments: &[&str]| -> Vec<String> {
        listed(&fleet, arguments).iter().map(|run| run["verdict"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(results(&[]), ["budget_exhausted", "failures", "all_at_target"]);
    assert_eq!(results(&["--tenant", "lite-001"]), ["budget_exhausted", "failures"]);
    assert_eq!(results(&["--status", "ok", "--status", "failed"]), ["failures", "all_at_target"]);
    assert_eq!(results(&["--status", "stopped", "--limit", "1"]), ["budget_exhausted"]);
    assert_eq!(results(&["--since", "1h", "--tenant", "lite-000"]), ["all_at_target"]);
    assert_eq!(results(&["--since", "2000-01-01"]).len(), 3);
    assert!(results(&["--since", "2999-01-01 12:00:00"]).is_empty() && results(&["--tenant", "nobody"]).is_empty());
    fleet.run(&["runs", "list", "--since", "yesterday"]).exits(64).tells(&["write an age (2d, 12h) or a time in UTC"]);
    // A run that is over is shown as without --watch, and its exit code is the run's.
    fleet.run(&["runs", "show", "last", "--watch", "-q"]).exits(101).shows(&["budget exhausted"]);
}

#[test]
fn runs_that_wait_for_a_person_or_left_tenants_behind_are_not_listed_as_ok() {
    let gate = |gate: &str| {
        let head = "[fleet]\nattempts = 1\n[[wave]]\nname = \"canary\"\ncount = 1\n[wave.gate]\n";
        Fleet::new().head(&format!("{head}{gate}\n")).sqlite(3)
    };
    let by = |fleet: &Fleet, result: &str| -> Vec<String> {
        let runs = listed(fleet, &["--status", result]);
        runs.iter().map(|run| format!("{} {}", run["verdict"].as_str().unwrap(), run["at_target"])).collect()
    };
    let results = ["ok", "failed", "paused", "stopped", "outstanding", "alive", "dead"];
    let only = |fleet: &Fleet, result: &str, run: &str| {
        let found: Vec<_> = results.iter().map(|result| by(fleet, result)).collect();
        let wanted: Vec<Vec<String>> =
            results.iter().map(|one| if *one == result { vec![run.to_owned()] } else { Vec::new() }).collect();
        assert_eq!(found, wanted, "{results:?}");
        assert_eq!(listed(fleet, &[])[0]["result"], result);
        let others = results.iter().filter(|one| **one != result).flat_map(|one| ["--status", *one]);
        let rest = ["runs", "list"].into_iter().chain(others).collect::<Vec<_>>();
        fleet.run(&rest).exits(0).shows(&["no runs yet"]);
        fleet.run(&["runs", "list", "--status", result]).exits(0);
    };

    let by_gate = gate("then = \"pause\"");
    by_gate.run(&["migrate", "--yes"]).exits(5);
    only(&by_gate, "paused", "outstanding 1");
    by_gate.run(&["runs", "list", "--status", "paused"]).exits(0).shows(&["  paused  ", "1/3"]);

    let failed = gate("command = [\"false\"]\non_failure = \"pause\"");
    failed.run(&["migrate", "--yes"]).exits(5);
    only(&failed, "paused", "outstanding 1");

    let late = Fleet::new().head("[fleet]\nconcurrency = 1\n[hooks]\nbefore_tenant = [\"sleep\", \"2\"]\n").sqlite(3);
    late.run(&["migrate", "--yes", "--deadline", "1s"]).exits(5);
    only(&late, "stopped", "outstanding 1");

    let limited = Fleet::new().sqlite(3);
    limited.run(&["migrate", "--yes", "--limit", "1"]).exits(5);
    only(&limited, "outstanding", "outstanding 1");

    // Nobody has to come for one that was gone on with.
    by_gate.run(&["runs", "approve", "last", "--by", "Ann", "--yes"]).exits(0);
    assert_eq!([by(&by_gate, "paused"), by(&by_gate, "stopped")], [vec![], vec!["outstanding 1".to_owned()]]);
    assert_eq!(by(&by_gate, "ok"), ["all_at_target 2"]);
    by_gate.run(&["runs", "list"]).exits(0).shows(&["paused, resumed later"]);
}

#[test]
fn a_run_has_a_page_at_its_end_and_later() {
    let fleet = Fleet::new().head("[[wave]]\nname = \"canary\"\ncount = 1\n").sqlite(4);
    fleet.ask("lite-002", "CREATE TABLE users (id int)");
    fleet.run(&["migrate", "--yes", "--report", "html=end.html"]);
    fleet.run(&["runs", "show", "last", "--report", "html=later.html"]).exits(0);
    let page = |name: &str| std::fs::read_to_string(fleet.path(name)).unwrap();
    let (end, later) = (page("end.html"), page("later.html"));
    for page in [&end, &later] {
        for words in ["<!DOCTYPE html>", "<h2>Timeline</h2>", "Failures by cause", "lite-002", "class=\"wave\""] {
            assert!(page.contains(words), "no {words:?} in:\n{page}");
        }
    }
    // The ledger shifts the times of a run as a whole, and keeps no scripts.
    assert_eq!(end.matches("<article>").count(), later.matches("<article>").count());
    fleet
        .run(&["runs", "show", "last", "--report", "html=fleet-ledger.db"])
        .exits(64)
        .tells(&["would destroy the ledger"]);
}
