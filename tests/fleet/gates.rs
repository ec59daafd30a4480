//! Gates between waves: checks that have to hold, pauses for a person, and runs that go on behind them.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::dumps::{run, run_id};
use crate::killed::read_until;
use crate::support::{Fleet, all, json_file, record, signal, wait, wait_for_end, with};

/// An address that answers each request with the present status and body.
struct Site {
    url: String,
    answer: Arc<Mutex<(u16, String)>>,
    asked: Arc<AtomicUsize>,
}

impl Site {
    fn new(status: u16, body: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (answer, asked) = (Arc::new(Mutex::new((status, body.to_owned()))), Arc::new(AtomicUsize::new(0)));
        let (present, count) = (answer.clone(), asked.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    let mut byte = [0];
                    if stream.read(&mut byte).unwrap_or(0) == 0 {
                        break;
                    }
                    request.push(byte[0]);
                }
                count.fetch_add(1, Ordering::SeqCst);
                let (status, body) = present.lock().unwrap().clone();
                let head =
                    format!("HTTP/1.1 {status} x\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
                let _ = stream.write_all((head + &body).as_bytes());
            }
        });
        Site { url, answer, asked }
    }

    fn set(&self, status: u16, body: &str) {
        *self.answer.lock().unwrap() = (status, body.to_owned());
    }
}

/// A canary of one SQLite tenant with this gate, and three others.
fn fleet(gate: &str) -> Fleet {
    let wave = "[[wave]]\nname = \"canary\"\ntenants = [\"lite-003\"]\n";
    Fleet::new().head(&format!("[fleet]\nattempts = 1\n{wave}[wave.gate]\n{gate}\n")).sqlite(4)
}

#[track_caller]
fn only_the_canary_moved(fleet: &Fleet) {
    for tenant in &fleet.tenants {
        let moved = if tenant.id == "lite-003" { Some(all().to_vec()) } else { None };
        assert_eq!(fleet.history(&tenant.id), moved, "{}", tenant.id);
    }
}

#[track_caller]
fn everyone_moved(fleet: &Fleet) {
    for tenant in &fleet.tenants {
        assert_eq!(fleet.history(&tenant.id).unwrap_or_default(), all(), "{}", tenant.id);
    }
}

#[test]
fn a_canary_on_three_engines_that_is_not_as_it_should_be_stops_the_rollout() {
    let assertion = "[[assertion]]\nname = \"nothing_applied\"\nsql = \"SELECT version FROM seaql_migrations\"\n";
    let wave = "[[wave]]\nname = \"canary\"\nstratified = true\nmax_failures = 0\n[wave.gate]\nverify = true\n";
    let mut fleet = Fleet::new().head(&format!("{wave}{assertion}")).sqlite(3).postgres(3).mariadb(3);
    let ran = fleet.run(&["migrate", "--yes", "--report", "json=report.json"]).exits(101);
    let ran = ran.shows(&[
        "not started  6  the gate of wave canary failed",
        "Stopped early: the gate of wave canary failed: verify: nothing_applied fails on",
        "the rows that its assertions find: small verify --wave canary",
        "once the gate of wave canary holds: small runs resume",
        "to take back what it moved: small rollback --run",
    ]);
    ran.tells(&["gate of wave canary: verify", "gate of wave canary failed"]);
    let report = json_file(&fleet.path("report.json"));
    let (moved, waiting) = (with(&report, "migrated"), with(&report, "not_started"));
    let mut engines: Vec<&str> = moved.iter().map(|id| &id[..2]).collect();
    engines.sort_unstable();
    assert_eq!(engines, ["li", "my", "pg"], "one of each engine");
    assert!(moved.iter().all(|id| fleet.history(id).unwrap() == all()));
    assert_eq!((waiting.len(), &report["verdict"]), (6, &"gate_failed".into()));
    assert!(waiting.iter().all(|id| fleet.history(id).is_none()));
    assert_eq!(record(&report, &waiting[0])["reason"], "gate_failed");

    let shown = fleet.run(&["runs", "show", "last"]).exits(0);
    shown.shows(&["behind wave canary: verify", "failed: verify: nothing_applied fails on", "not started"]);
    // What it complained of is mended, and its gate is asked again.
    fleet.run(&["runs", "resume", "last", "--yes"]).exits(101).shows(&["the gate of wave canary failed"]);
    fleet.head = fleet.head.replace("SELECT version FROM seaql_migrations", "SELECT id FROM users");
    fleet.run(&["runs", "resume", "last", "--yes"]).exits(0).shows(&["6 migrated"]);
    everyone_moved(&fleet);
}

#[test]
fn an_assertion_that_can_not_be_asked_is_told_with_its_tenants_before_its_error() {
    let mut fleet = fleet("verify = true");
    fleet.head.push_str("[[assertion]]\nname = \"broken\"\nsql = \"SELECT id FROM nowhere\"\n");
    let ran = fleet.run(&["migrate", "--yes"]).exits(101);
    ran.shows(&["verify: broken can't be asked on lite-003 ("]);
}

#[test]
fn a_run_that_paused_goes_on_when_a_person_says_so() {
    let fleet = fleet("then = \"pause\"").postgres(1).mariadb(1);
    let paused = run_id(&run(&fleet, &["migrate", "--yes"], 5));
    only_the_canary_moved(&fleet);
    let shown = fleet.run(&["runs", "show", &paused]).exits(0);
    let approve = format!("small runs approve {paused} --by NAME");
    shown.shows(&["the run paused behind wave canary", &format!("small runs resume {paused}"), &approve]);
    fleet.run(&["runs", "approve", &paused, "--yes"]).exits(64).tells(&["--by"]);
    fleet.run(&["runs", "approve", &paused, "--by", "Ann B.", "--yes"]).exits(0).shows(&["5 migrated"]);
    everyone_moved(&fleet);
    let shown = fleet.run(&["runs", "show", "last"]).exits(0);
    shown.shows(&["approved by Ann B.", &format!("resumes  {paused}")].map(|text| text.split("  ").next().unwrap()));
    fleet.run(&["runs", "approve", "last", "--by", "Ann B.", "--yes"]).exits(64).tells(&["did not pause"]);

    let other = self::fleet("then = \"pause\"");
    other.run(&["migrate", "--yes"]).exits(5);
    // Once more is no approval.
    other.run(&["migrate", "--yes"]).exits(5).shows(&["paused behind wave canary"]);
    only_the_canary_moved(&other);
    other.run(&["runs", "resume", "last", "--yes"]).exits(0).shows(&["3 migrated"]);
    // Nothing to do is nothing to wait for.
    other.run(&["migrate", "--yes"]).exits(0).shows(&["4 up to date"]);
}

#[test]
fn a_gate_that_failed_may_leave_the_decision_to_a_person() {
    let site = Site::new(503, "");
    let fleet = fleet(&format!("http = \"{}/health\"\non_failure = \"pause\"", site.url));
    let paused = run_id(&run(&fleet, &["migrate", "--yes"], 5));
    fleet.run(&["runs", "show", &paused]).exits(0).shows(&["because the gate of wave canary failed", "status 503"]);
    // To resume it is to ask again, to approve it is to go on in spite of the answer.
    fleet.run(&["runs", "resume", &paused, "--yes"]).exits(5).shows(&["status 503"]);
    only_the_canary_moved(&fleet);
    fleet.run(&["runs", "approve", "last", "--by", "ann", "--yes"]).exits(0);
    everyone_moved(&fleet);
    assert_eq!(site.asked.load(Ordering::SeqCst), 2);

    let stopped = self::fleet(&format!("http = \"{}/health\"", site.url));
    stopped.run(&["migrate", "--yes"]).exits(101);
    stopped
        .run(&["runs", "approve", "last", "--by", "ann", "--yes"])
        .exits(64)
        .tells(&["did not pause", "runs resume"]);
    only_the_canary_moved(&stopped);
}

#[test]
fn an_address_and_a_query_have_to_hold_for_the_whole_soak() {
    let (site, values) = (Site::new(200, ""), Site::new(200, r#"{"status":"success","data":{"result":[1,"0.004"]}}"#));
    let query = format!("{{ url = \"{}\", query = \"errors:rate\", max = 0.01 }}", values.url);
    let fleet = fleet(&format!("soak = \"30s\"\nevery = \"100ms\"\nhttp = \"{}/\"\nprometheus = {query}", site.url));
    fleet.write();
    let begun = Instant::now();
    let child = fleet.program(&["migrate", "--yes"]).spawn().unwrap();
    while values.asked.load(Ordering::SeqCst) < 3 && begun.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(20));
    }
    values.set(
        200,
        r#"{"status":"success","data":{"result":[{"metric":{},"value":[1,"0.002"]},{"metric":{},"value":[1,"0.5"]}]}}"#,
    );
    let ran = wait(child).exits(101);
    ran.shows(&["the gate of wave canary failed: prometheus errors:rate, at most 0.01: 0.5"]);
    assert!(site.asked.load(Ordering::SeqCst) >= 3);
    only_the_canary_moved(&fleet);
    let json = fleet.run(&["runs", "show", "last", "--format", "json"]).exits(0).json();
    let gates = json["events"].as_array().unwrap().iter().map(|of| &of["event"]);
    let gate = gates.clone().find(|event| event["event"] == "gate_finished").unwrap();
    assert_eq!((&gate["wave"], &gate["end"], &gate["then"]), (&"canary".into(), &"failed".into(), &"stop".into()));
    assert_eq!(gate["answers"][0]["value"], "200");
    assert_eq!(gate["answers"][1]["holds"], false);

    // A server that has only a part of what was asked for says so by its status.
    values.set(503, r#"{"status":"success","data":{"result":[1,"0.004"]}}"#);
    fleet.run(&["runs", "resume", "last", "--yes"]).exits(101).shows(&["at most 0.01: status 503"]);
    only_the_canary_moved(&fleet);
}

#[test]
fn a_command_has_to_end_with_0_within_its_time() {
    let script = |text: &str| format!("command = [\"sh\", \"-c\", '''{text}''']\ntimeout = \"1s\"");
    let failing = fleet(&script("echo told >&2; echo \"$FLEET_WAVE is not ready\" >&2; exit 3"));
    let ran = failing.run(&["migrate", "--yes"]).exits(101);
    ran.shows(&["command sh …: failed (exit status: 3): canary is not ready"]);
    only_the_canary_moved(&failing);
    let slow = fleet(&script("exec sleep 77"));
    slow.run(&["migrate", "--yes"]).exits(101).shows(&["did not end within 1s"]);
    let good = fleet(&script("test -f tenants.toml && echo $FLEET_RUN > ran"));
    good.run(&["migrate", "--yes"]).exits(0);
    assert_eq!(std::fs::read_to_string(good.path("ran")).unwrap().trim().len(), 36);
    let missing = fleet("command = [\"no-such-program\"]");
    missing.run(&["migrate", "--yes"]).exits(101).shows(&["command no-such-program: can't be started"]);
}

#[test]
fn a_run_that_was_killed_in_a_soak_has_its_gate_asked_again() {
    let site = Site::new(200, "");
    let mut fleet = fleet(&format!("soak = \"10m\"\nhttp = \"{}/\"", site.url)).postgres(1).mariadb(1);
    fleet.write();
    let mut child = fleet.program(&["migrate", "--yes"]).spawn().unwrap();
    read_until(&mut child, |line| line.contains("gate of wave canary"));
    while site.asked.load(Ordering::SeqCst) == 0 {
        std::thread::sleep(Duration::from_millis(20));
    }
    // The ledger has it by then, or by the first heartbeat.
    std::thread::sleep(Duration::from_millis(500));
    child.kill().unwrap();
    assert_eq!(wait_for_end(&mut child), None, "it was killed");
    only_the_canary_moved(&fleet);
    fleet.run(&["runs", "show", "last"]).exits(0).shows(&["behind wave canary: soak 10m"]);

    fleet.head = fleet.head.replace("soak = \"10m\"", "soak = \"100ms\"");
    site.set(500, "");
    let ran = fleet.run(&["runs", "resume", "last", "--yes"]).exits(101);
    ran.shows(&["not started  5  the gate of wave canary failed"]);
    only_the_canary_moved(&fleet);
    site.set(200, "");
    let events = fleet.run(&["runs", "resume", "last", "--yes", "--format", "jsonl"]).exits(0).out;
    let place = |of: &str| events.find(of).unwrap_or_else(|| panic!("no {of} in {events}"));
    assert!(place("\"event\":\"gate_finished\"") < place("\"event\":\"wave_started\""), "{events}");
    everyone_moved(&fleet);
}

/// Makes a check of a gate fail, or hold again.
type Break = fn(&Fleet, &Site, bool);

/// Whoever goes on passes a gate that held, or that a person approved; any other is asked as a whole, whatever it asks.
#[test]
fn a_gate_that_was_not_passed_is_asked_again_as_a_whole_and_one_that_was_is_not() {
    let (site, values) = (Site::new(200, ""), Site::new(200, r#"{"status":"success","data":{"result":[1,"9"]}}"#));
    let gate = format!(
        "soak = \"300ms\"\nevery = \"100ms\"\ncommand = [\"sh\", \"-c\", \"echo >> asked; test ! -f broken\"]\nverify = true\n\
         http = \"{}/\"\nprometheus = {{ url = \"{}\", query = \"q\", max = 9 }}\nthen = \"pause\"\n\
         [[assertion]]\nname = \"whole\"\nsql = \"SELECT name FROM sqlite_master WHERE name = 'broken'\"",
        site.url, values.url
    );
    let asked = |fleet: &Fleet| std::fs::read_to_string(fleet.path("asked")).unwrap_or_default().lines().count();
    let breaks: [(&str, Break); 3] = [
        ("command", |fleet, _, broken| match broken {
            true => std::fs::write(fleet.path("broken"), "").unwrap(),
            false => std::fs::remove_file(fleet.path("broken")).unwrap(),
        }),
        ("http", |_, site, broken| site.set(if broken { 503 } else { 200 }, "")),
        ("verify", |fleet, _, broken| {
            _ = fleet.ask("lite-003", if broken { "CREATE TABLE broken (i int)" } else { "DROP TABLE broken" });
        }),
    ];
    let began = |ran: &crate::support::Ran| ran.out.matches("\"event\":\"gate_started\"").count();
    for (what, set) in breaks {
        let fleet = fleet(&gate);
        set(&fleet, &site, true);
        let stopped = run_id(&run(&fleet, &["migrate", "--yes"], 101));
        let (http, query) = (site.asked.load(Ordering::SeqCst), values.asked.load(Ordering::SeqCst));
        let resume = |run: &str, code| fleet.run(&["runs", "resume", run, "--yes", "--format", "jsonl"]).exits(code);
        assert_eq!(began(&resume(&stopped, 101)), 1, "{what}");
        set(&fleet, &site, false);
        let before = asked(&fleet);
        let held = resume(&stopped, 5);
        // The soak is a new one: both addresses are asked at its start, within it and at its end.
        assert_eq!((began(&held), asked(&fleet)), (1, before + 1), "{what}");
        assert!(
            site.asked.load(Ordering::SeqCst) >= http + 3 && values.asked.load(Ordering::SeqCst) >= query + 3,
            "{what}"
        );
        only_the_canary_moved(&fleet);
        // It has held, and waits for a person alone.
        let last = fleet.run(&["runs", "list", "--format", "json"]).exits(0).json()["runs"][0]["run"].to_string();
        let gone_on = match what {
            "http" => fleet
                .run(&["runs", "approve", last.trim_matches('"'), "--by", "ann", "--yes", "--format", "jsonl"])
                .exits(0),
            _ => resume(last.trim_matches('"'), 0),
        };
        assert_eq!((began(&gone_on), asked(&fleet)), (0, before + 1), "{what}");
        everyone_moved(&fleet);
    }
}

#[test]
fn an_interrupt_ends_a_soak_at_once() {
    // Nobody accepts there, so that no answer ever comes.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let fleet = fleet(&format!("soak = \"10m\"\nhttp = \"http://{}/\"", silent.local_addr().unwrap()));
    fleet.write();
    let mut child = fleet.program(&["migrate", "--yes", "--report", "json=report.json"]).spawn().unwrap();
    read_until(&mut child, |line| line.contains("gate of wave canary"));
    std::thread::sleep(Duration::from_millis(300));
    let begun = Instant::now();
    signal(&child, "INT");
    assert_eq!(wait_for_end(&mut child), Some(130));
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    let report = json_file(&fleet.path("report.json"));
    assert_eq!(record(&report, "lite-000")["reason"], "interrupted");
    only_the_canary_moved(&fleet);
    drop(silent);
}

#[test]
fn a_plan_shows_the_gates_and_a_file_with_a_wrong_one_is_refused() {
    let mut fleet =
        fleet("soak = \"10m\"\nhttp = \"http://me:s3cret@shop.example/health?key=s3cret\"\nthen = \"pause\"");
    let plan = fleet.run(&["plan"]).exits(0);
    plan.shows(&["gate: soak 10m; http http://shop.example/health; then pause; on failure stop"]);
    let json = fleet.run(&["plan", "--format", "json"]).exits(0);
    assert!(!json.out.contains("s3cret"), "{}", json.out);
    assert_eq!(json.json()["waves"][0]["gate"]["then"], "pause");
    for (gate, told) in [
        ("", "this gate lets every run pass at once"),
        ("soak = \"1m\"\non_failure = \"undo\"", "`on_failure` must be \"stop\" or \"pause\" or \"rollback_wave\""),
        ("http = \"shop.example\"", "`http` must be an address"),
        ("prometheus = { url = \"http://h\", query = \"up\" }", "any value of `prometheus` would hold"),
        ("prometheus = { url = \"http://h\", query = \"up\", min = 2, max = 1 }", "`min` is above `max`"),
        ("verify = []", "`verify` must be true"),
        ("command = []", "`command` names no program"),
    ] {
        fleet.head = format!("[[wave]]\nname = \"canary\"\ntenants = [\"lite-003\"]\n[wave.gate]\n{gate}\n");
        fleet.run(&["migrate", "--yes"]).exits(78).tells(&[told]);
    }
    fleet.head = "[[wave]]\nname = \"canary\"\ntenants = [\"lite-003\"]\n[wave.gate]\nverify = [\"orphan\"]\n\
                  [[assertion]]\nname = \"orphans\"\nsql = \"SELECT 1\"\n"
        .to_owned();
    for command in [&["migrate", "--yes"][..], &["plan"]] {
        let ran = fleet.run(command).exits(78);
        ran.tells(&["the gate of wave canary asks for the assertion orphan, and there is none; did you mean orphans?"]);
    }
    assert!(fleet.history("lite-003").is_none());
}

#[test]
fn a_plan_says_what_a_stratified_canary_does_not_cover() {
    let fleet = Fleet::new().head("[[wave]]\nname = \"canary\"\nstratified = true\n").sqlite(3);
    let plan = fleet.run(&["plan"]).exits(0);
    assert!(!plan.out.contains("not covered"), "{}", plan.out);
    let json = fleet.run(&["plan", "--format", "json"]).exits(0).json();
    let canary = json["waves"][0]["tenants"][0]["tenant"].as_str().unwrap().to_owned();
    let other = fleet.tenants.iter().find(|tenant| tenant.id != canary).unwrap().id.clone();
    fleet.run(&["migrate", "--yes", "-t", &other, "--steps", "1"]).exits(0);
    let kind = format!("start version {} (1 tenant, the first {other})", all()[0]);
    fleet.run(&["plan"]).exits(0).shows(&[&format!("not covered by it: {kind}")]);
    let json = fleet.run(&["plan", "--format", "json"]).exits(0).json();
    assert_eq!(json["waves"][0]["uncovered"], serde_json::json!([kind]));
    assert_eq!(json["waves"][0]["tenants"][0]["tenant"], canary, "the same one as before");
}

#[test]
fn a_migration_says_at_its_start_what_a_stratified_canary_does_not_cover() {
    let mut fleet = Fleet::new().head("[[wave]]\nname = \"canary\"\nstratified = true\n").sqlite(3).postgres(1);
    fleet.tenant_mut("lite-002").more = "server = \"other\"\n".to_owned();
    let plan = fleet.run(&["plan", "--format", "json"]).exits(0).json();
    let canaries: Vec<_> =
        plan["waves"][0]["tenants"].as_array().unwrap().iter().map(|row| row["tenant"].as_str().unwrap()).collect();
    assert!(canaries.contains(&"pg-000") && canaries.contains(&"lite-002"), "{canaries:?}");
    let lite = if canaries.contains(&"lite-000") { "lite-001" } else { "lite-000" };
    fleet.run(&["migrate", "--yes", "-q", "-t", lite, "--steps", "1", "--ledger", "other.db"]).exits(0);
    let version = format!("start version {} (1 tenant, the first {lite})", all()[0]);
    let line = format!("wave canary is stratified and has none of {version}");
    let ran = fleet.run(&["migrate", "--yes", "--format", "jsonl"]).exits(0).tells(&[&line]);
    let event = ran.out.lines().find(|line| line.contains("\"uncovered\"")).unwrap_or_else(|| panic!("{}", ran.out));
    let event: serde_json::Value = serde_json::from_str(event).unwrap();
    assert_eq!((&event["wave"], &event["kinds"]), (&"canary".into(), &serde_json::json!([version])));
    fleet
        .run(&["runs", "show", "last"])
        .exits(0)
        .shows(&["not covered", &format!("wave canary has none of {version}")]);
    // Everybody is at one version now.
    let again = fleet.run(&["migrate", "--yes"]).exits(0);
    assert!(!again.err.contains("has none of"), "{}", again.err);
}

/// One that is left out stands for nobody.
#[test]
fn engines_and_servers_that_a_canary_has_none_of_are_told_by_migrate() {
    let mut fleet = Fleet::new().head("[[wave]]\nname = \"canary\"\nstratified = true\n").sqlite(2).postgres(2);
    for id in ["pg-000", "pg-001"] {
        fleet.tenant_mut(id).more = "server = \"db7\"\n".to_owned();
    }
    let plan = fleet.run(&["plan", "--format", "json"]).exits(0).json();
    let canaries = plan["waves"][0]["tenants"].as_array().unwrap().iter().map(|row| row["tenant"].as_str().unwrap());
    let canary = canaries.into_iter().find(|id| id.starts_with("pg")).unwrap().to_owned();
    let other = if canary == "pg-000" { "pg-001" } else { "pg-000" };
    let kinds =
        ["engine postgres", "server db7"].map(|kind| format!("{kind} (1 tenant, the first {other})")).join("; ");
    let ran = fleet.run(&["migrate", "--yes", "--exclude", &canary]).exits(0);
    ran.tells(&[&format!("wave canary is stratified and has none of {kinds}")]);
    fleet.run(&["runs", "show", "last"]).exits(0).shows(&["not covered", "engine postgres", "server db7"]);
}

#[test]
fn a_canary_with_each_start_version_goes_on_as_it_was() {
    let mut fleet = Fleet::new()
        .head("[fleet]\nattempts = 1\n[[wave]]\nname = \"canary\"\nstratified = \"versions\"\n[wave.gate]\nthen = \"pause\"\n")
        .sqlite(3)
        .postgres(2);
    for id in ["pg-000", "pg-001"] {
        fleet.run(&["migrate", "--yes", "-q", "-t", id, "--to", &all()[1], "--ledger", "other.db"]).exits(0);
    }
    let plan = |fleet: &Fleet| fleet.run(&["plan", "--format", "json"]).exits(0).json();
    let canaries = |plan: &serde_json::Value| -> Vec<String> {
        let tenants = plan["waves"][0]["tenants"].as_array().unwrap();
        tenants.iter().map(|row| row["tenant"].as_str().unwrap().to_owned()).collect()
    };
    let two = canaries(&plan(&fleet));
    assert_eq!(two.len(), 2, "{two:?}");
    let other = |prefix: &str| {
        let tenants = fleet.tenants.iter().map(|tenant| tenant.id.clone());
        tenants.filter(|id| id.starts_with(prefix) && !two.contains(id)).collect::<Vec<_>>()
    };
    let (lite, pg) = (other("lite")[0].clone(), other("pg")[0].clone());
    fleet.run(&["migrate", "--yes", "-q", "-t", &lite, "--to", &all()[2], "--ledger", "other.db"]).exits(0);
    fleet.run(&["migrate", "--yes", "-q", "-t", &pg, "--to", &all()[3], "--ledger", "other.db"]).exits(0);
    let all_kinds = plan(&fleet);
    assert_eq!(canaries(&all_kinds), [two.clone(), vec![lite.clone(), pg.clone()]].concat());
    assert!(all_kinds["waves"][0]["uncovered"].is_null(), "{all_kinds:#}");

    let paused = run_id(&run(&fleet, &["migrate", "--yes"], 5));
    let left = other("lite").into_iter().find(|id| *id != lite).unwrap();
    assert_eq!(fleet.history(&left), None);
    // Everybody's version is another one now, and the canary is the one that it was: its gate is not in front of itself.
    fleet.run(&["runs", "resume", &paused, "--yes"]).exits(0).shows(&["1 tenant: 1 migrated"]);
    everyone_moved(&fleet);
    fleet.head = fleet.head.replace("\"versions\"", "\"all\"");
    fleet.run(&["plan"]).exits(78).tells(&["`stratified` must be true, false or \"versions\""]);
}

/// An assertion holds for everybody who is not there.
#[test]
fn a_gate_that_verifies_nobody_is_not_passed() {
    let assertion = "[[assertion]]\nname = \"none\"\nsql = \"SELECT id FROM users\"\n";
    let mut fleet = fleet("verify = true");
    fleet.head = fleet.head.replace("[wave.gate]", "max_failures = \"unlimited\"\n[wave.gate]") + assertion;
    fleet.ask("lite-003", "CREATE TABLE users (id int)");
    let ran = fleet.run(&["migrate", "--yes"]).exits(101);
    ran.shows(&[
        "the gate of wave canary failed: verify: no tenant of the wave is at its target, so nothing was asked",
    ]);
    assert_eq!(fleet.history("lite-000"), None);
}

#[test]
fn a_long_answer_of_a_gate_is_shown_whole_in_a_narrow_terminal() {
    let word = "a-reason-that-is-not-cut";
    let fleet = fleet(&format!("command = [\"sh\", \"-c\", 'echo {} {word} >&2; exit 3']", "words ".repeat(25).trim()));
    fleet.run(&["migrate", "--yes"]).exits(101);
    let shown = fleet.run(&["runs", "show", "last", "--width", "80"]).exits(0);
    let gate = shown.out.lines().skip_while(|line| !line.starts_with("gate")).take(12).collect::<String>();
    assert!(gate.contains(word), "{}", shown.out);
}
