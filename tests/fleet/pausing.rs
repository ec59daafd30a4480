//! `runs pause`: a run that lives is asked through its ledger, ends what is in flight, and goes on when it is resumed.

use std::process::Child;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::serving::Served;
use crate::support::{Fleet, Ran, count, finish, record, signal, sql, wait, with};

/// A fleet whose scripts take a while on its schemas alone.
fn scripted(head: &str, fleet: Fleet, seconds: &str) -> Fleet {
    std::fs::create_dir(fleet.path("sql")).unwrap();
    std::fs::write(fleet.path("sql/0001_wait.postgres.sql"), format!("SELECT pg_sleep({seconds});")).unwrap();
    for engine in ["sqlite", "mysql"] {
        std::fs::write(fleet.path(&format!("sql/0001_wait.{engine}.sql")), "SELECT 1;").unwrap();
    }
    fleet.head(&format!("[fleet]\nscripts = \"sql\"\nretry_pause = \"20ms\"\n{head}"))
}

/// With its ledger on PostgreSQL, and the ledger's URL.
fn with_ledger(mut fleet: Fleet, head: &str) -> (Fleet, String) {
    let ledger = fleet.database("postgres", "ledger");
    fleet.head = fleet.head.replace("[fleet]\n", &format!("[fleet]\nledger = '{ledger}'\n{head}"));
    fleet.write();
    (fleet, ledger)
}

fn program(fleet: &Fleet, arguments: &[&str]) -> Ran {
    finish(&mut fleet.program(arguments))
}

fn shown(fleet: &Fleet, run: &str) -> Value {
    program(fleet, &["runs", "show", run, "--all", "--format", "json"]).exits(0).json()
}

/// Waits until the last run has so many outcomes; returns its id.
#[track_caller]
fn under_way(fleet: &Fleet, outcomes: usize) -> String {
    let begun = Instant::now();
    loop {
        assert!(begun.elapsed() < Duration::from_secs(120), "the run does not get on");
        let ran = program(fleet, &["runs", "show", "last", "--all", "--format", "json"]);
        if ran.code == Some(0) {
            let shown = ran.json();
            if shown["status"] == "running" && shown["tenants"].as_array().unwrap().len() >= outcomes {
                return shown["run"].as_str().unwrap().to_owned();
            }
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

const MIGRATE: [&str; 5] = ["migrate", "--yes", "--rate", "2/s", "--no-preflight"];
const ASKED: [&str; 4] = ["--by", "Ann B.", "--reason", "the incident comes first"];

/// Asks a run to pause that goes on, and looks at how it ends and goes on.
fn pauses_and_goes_on(fleet: &Fleet) {
    let going = fleet.program(&MIGRATE).spawn().unwrap();
    let run = under_way(fleet, 1);
    program(fleet, &[&["runs", "pause", &run][..], &ASKED].concat())
        .exits(0)
        .tells(&["is asked to pause", &format!("runs resume {run}")]);
    program(fleet, &["runs", "pause", &run]).exits(0).tells(&["was asked to pause already, by Ann B."]);
    let told = "the run was paused by Ann B.: the incident comes first";
    wait(going).exits(5).shows(&[told, &format!("runs resume {run}")]).tells(&[told, "draining"]);

    let shown = shown(fleet, &run);
    let left = with(&shown, "not_started");
    assert!(!left.is_empty() && count(&shown, "migrated") + left.len() == fleet.tenants.len(), "{shown:#}");
    assert_eq!(record(&shown, "schema-000")["outcome"], "migrated", "it was in flight: {shown:#}");
    assert!(left.iter().all(|id| record(&shown, id)["reason"] == "paused" && fleet.history(id).is_none()));
    assert_eq!((&shown["result"], &shown["stats"]["stopped"]), (&"paused".into(), &"paused".into()), "{shown:#}");
    let listed = program(fleet, &["runs", "list", "--status", "paused", "--format", "json"]).exits(0).json();
    assert_eq!(listed["runs"][0]["run"], run.as_str());
    let show = program(fleet, &["runs", "show", &run]).exits(0);
    show.shows(&["pause", "asked for by Ann B. (", told, &format!("runs resume {run}")]);
    program(fleet, &["runs", "pause", &run]).exits(64).tells(&["has been paused since", "runs resume"]);
    program(fleet, &["runs", "approve", &run, "--by", "Ann B.", "--yes"]).exits(64).tells(&["did not pause at a gate"]);

    // Nobody asked this one.
    program(fleet, &["runs", "resume", &run, "--yes"]).exits(0).shows(&[&format!("{} migrated", left.len())]);
    assert!(fleet.tenants.iter().all(|tenant| fleet.history(&tenant.id).is_some()));
    program(fleet, &["runs", "pause", "last"]).exits(64).tells(&["ended", "nothing to pause"]);
}

#[test]
fn a_run_that_lives_is_paused_through_a_ledger_in_a_file() {
    let fleet = scripted("", Fleet::new().schemas(1).sqlite(24).mariadb(1).mysql_where_there(1), "7");
    fleet.write();
    pauses_and_goes_on(&fleet);
}

#[test]
fn a_run_that_lives_is_paused_through_a_ledger_on_a_server() {
    let (fleet, _) = with_ledger(scripted("", Fleet::new().schemas(1).sqlite(24), "7"), "");
    pauses_and_goes_on(&fleet);
}

#[test]
fn a_request_concerns_its_own_run_and_one_that_can_not_be_asked_is_refused() {
    let (fleet, ledger) = with_ledger(scripted("", Fleet::new().sqlite(12), "0"), "");
    program(&fleet, &["runs", "pause", "last"]).exits(64).tells(&["no run has been recorded yet"]);
    // Its process dies before it has read the request, or behind that.
    let mut going = fleet.program(&MIGRATE).spawn().unwrap();
    let run = under_way(&fleet, 1);
    program(&fleet, &["runs", "pause", &run]).exits(0);
    going.kill().unwrap();
    going.wait().unwrap();
    program(&fleet, &["runs", "pause", &run]).exits(64).tells(&["its process is gone", &format!("runs resume {run}")]);
    let resumed = fleet.program(&["runs", "resume", &run, "--yes", "--rate", "1/s"]).spawn().unwrap();
    let second = under_way(&fleet, 1);
    assert_ne!(run, second);
    program(&fleet, &["runs", "pause", &run]).exits(64).tells(&["goes on with it", &format!("runs pause {second}")]);
    // As the program before this one has begun it.
    sql(&ledger, &format!("DELETE FROM fleet_pause WHERE run = '{second}' RETURNING run"));
    let refused = program(&fleet, &["runs", "pause", &second]).exits(75);
    refused.tells(&["looks for no request to pause", "Ctrl-C or SIGTERM"]);
    wait(resumed).exits(0).shows(&["migrated"]);
    assert!(fleet.tenants.iter().all(|tenant| fleet.history(&tenant.id).is_some()));
}

#[test]
fn a_run_is_paused_by_a_call() {
    let fleet = scripted("", Fleet::new().sqlite(24), "0");
    fleet.write();
    let going = fleet.program(&MIGRATE).spawn().unwrap();
    let run = under_way(&fleet, 1);
    let served = Served::start(&fleet, &[]);
    let pause = |run: &str, body: &str| served.post(&format!("/api/v1/runs/{run}/pause"), body);
    assert!(served.get(&format!("/runs/{run}")).contains(&format!("runs pause {run}")), "its page has the command");
    assert_eq!(pause("01990000-0000-7000-8000-000000000000", "{}").0, 404);
    assert_eq!(pause(&run, r#"{"who":"ada"}"#).0, 400);
    let (status, answer) = pause(&run, r#"{"by":"--yes","reason":"too loud"}"#);
    assert!(status == 202 && answer["done"] == true, "{answer}");
    wait(going).exits(5).shows(&["the run was paused by --yes: too loud"]);
    let shown = served.json(&format!("/api/v1/runs/{run}"));
    let events = shown["events"].as_array().unwrap();
    let asked = events.iter().find(|of| of["event"]["event"] == "pause_requested").unwrap();
    assert_eq!((&asked["event"]["by"], &asked["event"]["reason"]), (&"--yes".into(), &"too loud".into()), "{asked}");
    assert!(served.get(&format!("/runs/{run}")).contains("asked for by --yes"));
    let (status, refused) = pause(&run, "{}");
    assert!(status == 409 && refused["error"].as_str().unwrap().contains("has been paused since"), "{refused}");
    let document = served.json("/api/v1/openapi.json");
    assert_eq!(
        document["paths"]["/api/v1/runs/{run}/pause"]["post"]["security"],
        serde_json::json!([{ "bearer": [] }])
    );
}

#[test]
fn a_run_that_runners_share_pauses_on_all_of_them_and_with_another_leader() {
    let head = "concurrency = 12\nper_server = 12\nlease = \"1500ms\"\n";
    let (fleet, ledger) = with_ledger(scripted("", Fleet::new().schemas(60), "0.5"), head);
    let enqueued = program(&fleet, &["migrate", "--enqueue", "--yes"]).exits(0);
    let run = enqueued.err.split_once("run ").unwrap().1.split(' ').next().unwrap().to_owned();
    sql(&ledger, "UPDATE fleet_run SET heartbeat_at_ms = heartbeat_at_ms - 60000");
    program(&fleet, &["runs", "pause", &run]).exits(64).tells(&["has no runner that lives", "work "]);
    let work = |run: &str| -> Child { fleet.program(&["work", run, "--slots", "1"]).spawn().unwrap() };
    let runners = [work(&run), work(&run)];
    under_way(&fleet, 2);
    program(&fleet, &[&["runs", "pause", &run][..], &ASKED].concat()).exits(0);
    for ran in runners.map(wait) {
        ran.exits(5).shows(&["the run was paused by Ann B.: the incident comes first"]);
    }
    let first = shown(&fleet, &run);
    let left = with(&first, "not_started");
    assert!(!left.is_empty() && left.iter().all(|id| record(&first, id)["reason"] == "paused"), "{first:#}");
    assert_eq!(count(&first, "migrated") + left.len(), 60);
    assert!(left.iter().all(|id| fleet.history(id).is_none()));
    let events = first["events"].as_array().unwrap();
    let asked_at =
        events.iter().find(|of| of["event"]["event"] == "pause_requested").unwrap()["at_ms"].as_i64().unwrap();
    let is_later = |of: &&Value| of["outcome"] == "migrated" && of["finished_at_ms"].as_i64().unwrap() > asked_at;
    let later = first["tenants"].as_array().unwrap().iter().filter(is_later).count();
    assert!(later <= 4, "{later} ended behind the request: what was handed out and not taken was not taken back");
    assert_eq!(sql(&ledger, "SELECT count(*)::text FROM fleet_claim"), ["0"]);

    // The leader dies with the request unread; the next one starts nothing.
    let resumed = program(&fleet, &["runs", "resume", &run, "--yes"]).exits(0).tells(&["is enqueued"]);
    let second = resumed.err.split_once("run ").unwrap().1.split(' ').next().unwrap().to_owned();
    let leader = work(&second);
    under_way(&fleet, 1);
    program(&fleet, &["runs", "pause", &second, "--by", "Bo"]).exits(0);
    signal(&leader, "KILL");
    drop(wait(leader));
    let before: usize = sql(&ledger, "SELECT count(*)::text FROM fleet_outcome")[0].parse().unwrap();
    wait(work(&second)).exits(5).shows(&["the run was paused by Bo"]);
    let paused = shown(&fleet, &second);
    // Whoever the leader had in flight, or had handed out, comes to its end.
    assert!(60 + count(&paused, "migrated") <= before + 13, "{before}: {paused:#}");
    assert!(with(&paused, "not_started").iter().all(|id| fleet.history(id).is_none()));
    program(&fleet, &["runs", "resume", &second, "--yes"]).exits(0);
    wait(fleet.program(&["work"]).spawn().unwrap()).exits(0);
    assert!(fleet.tenants.iter().all(|tenant| fleet.history(&tenant.id).is_some()));
}
