//! Hooks: programs and addresses that are called around a run, its waves and its tenants.

use std::io::{Read, Write};
use std::net::TcpListener;

use serde_json::Value;

use crate::support::{Fleet, all, count, record, with};

/// Each call as a line of a file: its place, the tenant or the wave, and the outcome.
const NOTE: &str = r#"["sh", "-c", "cat >> bodies; echo >> bodies; echo $FLEET_HOOK $FLEET_WAVE $FLEET_TENANT $FLEET_OUTCOME >> calls"]"#;

fn every(hook: &str) -> String {
    let points = ["before_run", "after_run", "before_wave", "after_wave", "before_tenant", "after_tenant"];
    points.map(|point| format!("{point} = {hook}\n")).concat()
}

fn lines(fleet: &Fleet, file: &str) -> Vec<String> {
    let text = std::fs::read_to_string(fleet.path(file)).unwrap_or_default();
    text.lines().map(|line| line.trim_end().to_owned()).collect()
}

#[test]
fn a_failing_after_hook_loses_nothing() {
    let fails = "[\"sh\", \"-c\", \"echo maintenance mode is stuck >&2; exit 3\"]";
    let hooks = format!("[hooks]\nafter_tenant = {fails}\nafter_wave = {fails}\nafter_run = {fails}\n");
    let fleet = Fleet::new().head(&hooks).sqlite(2).postgres(1).mariadb(1);
    let ran = fleet.run(&["migrate", "--yes", "--report", "json=run.json"]).exits(0);
    let ran = ran.tells(&[
        "hook after_tenant of lite-000 failed",
        "maintenance mode is stuck",
        "hook after_wave of rest failed",
    ]);
    assert!(ran.out.contains("4 migrated"), "{}", ran.out);
    for tenant in &fleet.tenants {
        assert_eq!(fleet.history(&tenant.id).unwrap(), all(), "{}", tenant.id);
    }
    fleet.run(&["runs", "show", "last"]).exits(0).shows(&[
        "hook",
        "after_tenant of pg-000 failed: `sh` failed (exit status: 3)",
        "after_run failed",
    ]);
    let story = fleet.run(&["runs", "show", "last", "--format", "json"]).exits(0).json();
    assert_eq!((&story["verdict"], count(&story, "migrated")), (&"all_at_target".into(), 4));
    let failed = |event: &&Value| event["event"]["event"] == "hook_finished" && event["event"]["error"].is_string();
    assert_eq!(story["events"].as_array().unwrap().iter().filter(failed).count(), 6, "{story:#}");
}

#[test]
fn hooks_are_called_around_what_they_are_about_and_told_of_it() {
    let head = format!("[[wave]]\nname = \"canary\"\ntenants = [\"lite-000\"]\n[hooks]\n{}", every(NOTE));
    let fleet = Fleet::new().head(&head).sqlite(2);
    fleet.run(&["plan"]).exits(0).shows(&["Hooks", "before_tenant: sh …", "(at most 30"]);
    assert!(lines(&fleet, "calls").is_empty(), "a plan calls none");
    fleet.run(&["migrate", "--yes"]).exits(0);
    let calls = lines(&fleet, "calls");
    let around = |wave: &str, tenant: &str| {
        [
            format!("before_wave {wave}"),
            format!("before_tenant {wave} {tenant}"),
            format!("after_tenant {wave} {tenant} migrated"),
            format!("after_wave {wave}"),
        ]
    };
    let waves = [around("canary", "lite-000"), around("rest", "lite-001")].concat();
    assert_eq!(calls, [vec!["before_run".to_owned()], waves, vec!["after_run".to_owned()]].concat());
    let bodies: Vec<Value> = lines(&fleet, "bodies").iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&bodies[0]["hook"], &bodies[0]["goal"]), (&"before_run".into(), &"head".into()));
    assert_eq!(
        (&bodies[3]["outcome"], &bodies[3]["version"]),
        (&"migrated".into(), &all().last().unwrap().as_str().into())
    );
    assert_eq!(bodies[9]["stats"]["migrated"], 2, "{:#}", bodies[9]);
}

#[test]
fn a_failing_before_hook_stops_what_it_precedes() {
    let head = |hook: &str| {
        format!("[[wave]]\nname = \"canary\"\ntenants = [\"lite-000\"]\n[hooks]\nafter_tenant = {NOTE}\n{hook}\n")
    };
    let run = Fleet::new().head(&head("before_run = [\"false\"]")).sqlite(2);
    run.run(&["migrate", "--yes"])
        .exits(101)
        .tells(&["hook before_run failed"])
        .shows(&["not started", "a hook failed"]);
    assert!(run.tenants.iter().all(|tenant| run.history(&tenant.id).is_none()) && lines(&run, "calls").is_empty());

    let wave = Fleet::new().head(&head("before_wave = [\"sh\", \"-c\", \"test $FLEET_WAVE = canary\"]")).sqlite(2);
    wave.run(&["migrate", "--yes"]).exits(101).tells(&["hook before_wave of rest failed"]);
    assert_eq!((wave.history("lite-000").unwrap().len(), wave.history("lite-001")), (all().len(), None));
    wave.run(&["runs", "show", "last"]).exits(0).shows(&["hook failed", "runs resume"]);

    let one =
        Fleet::new().head(&head("before_tenant = [\"sh\", \"-c\", \"test $FLEET_TENANT != lite-001\"]")).sqlite(3);
    let report = one.run(&["migrate", "--yes", "--format", "json"]).exits(100).json();
    assert_eq!(with(&report, "failed"), ["lite-001"]);
    let failed = record(&report, "lite-001");
    assert_eq!((&failed["error"]["class"], &failed["attempts"]), (&"hook".into(), &1.into()), "{failed:#}");
    assert_eq!(one.history("lite-001"), None, "it was not touched");
    assert_eq!(lines(&one, "calls").len(), 2, "no after hook where the before hook failed");
}

#[test]
fn a_hook_that_does_not_end_is_killed_with_its_children() {
    let hooks = "[hooks]\nafter_run = { command = [\"sh\", \"-c\", \"sleep 77777\"], timeout = \"500ms\" }\n";
    let fleet = Fleet::new().head(hooks).sqlite(1);
    fleet
        .run(&["migrate", "--yes"])
        .exits(0)
        .tells(&["hook after_run failed", "did not end within 500ms and was killed"]);
    let left = std::process::Command::new("pgrep").args(["-f", "sleep 77777"]).output().unwrap();
    assert!(left.stdout.is_empty(), "{left:?}");
}

#[test]
fn a_hook_posts_json_to_an_address_that_stays_secret() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = std::thread::spawn(move || {
        let mut requests = Vec::new();
        for status in ["204 No Content", "503 Service Unavailable"] {
            let (mut stream, _) = listener.accept().unwrap();
            let (mut request, mut piece) = (String::new(), [0; 4096]);
            while !request.contains("}") {
                let read = stream.read(&mut piece).unwrap();
                request.push_str(&String::from_utf8_lossy(&piece[..read]));
            }
            write!(stream, "HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").unwrap();
            requests.push(request);
        }
        requests
    });
    let post = "{ post = \"http://${HOOK_HOST}/s3cret-path\", timeout = \"20s\" }";
    let fleet = Fleet::new().head(&format!("[hooks]\nbefore_run = {post}\nafter_run = {post}\n")).sqlite(1);
    fleet.write();
    let program = |arguments: &[&str]| {
        let mut program = fleet.program(arguments);
        crate::support::finish(program.env("HOOK_HOST", address.to_string()))
    };
    let plan = program(&["plan"]).exits(0).shows(&["before_run: POST to 127.0.0.1 (at most 20"]);
    let ran =
        program(&["migrate", "--yes"]).exits(0).tells(&["hook after_run failed: the address answered with status 503"]);
    let requests = server.join().unwrap();
    assert!(
        requests[0].starts_with("POST /s3cret-path ") && requests[0].contains("application/json"),
        "{}",
        requests[0]
    );
    assert!(requests[0].contains("\"hook\":\"before_run\"") && requests[1].contains("\"migrated\":1"), "{requests:?}");
    let told = program(&["runs", "show", "last", "--format", "json"]).exits(0).out;
    assert!(![plan.out, ran.out, ran.err, told].iter().any(|text| text.contains("s3cret")));
    let gone = program(&["migrate", "--yes"]).exits(101).tells(&["hook before_run failed"]);
    assert!(!gone.err.contains("s3cret"), "{}", gone.err);
}

/// An address that takes the request and says nothing.
#[test]
fn a_post_that_is_never_answered_ends_with_its_timeout() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let post = format!("{{ post = \"http://{}/hook\", timeout = \"1s\" }}", listener.local_addr().unwrap());
    let _silent = std::thread::spawn(move || {
        let open: Vec<_> = listener.incoming().collect();
        drop(open);
    });
    let after = Fleet::new().head(&format!("[hooks]\nafter_run = {post}\nafter_tenant = {post}\n")).sqlite(1);
    let ran = after.run(&["migrate", "--yes"]).exits(0);
    ran.tells(&["hook after_run failed", "hook after_tenant of lite-000 failed", "1s"]).shows(&["1 migrated"]);

    let before = Fleet::new().head(&format!("[hooks]\nbefore_run = {post}\n")).sqlite(1);
    before.run(&["migrate", "--yes"]).exits(101).tells(&["hook before_run failed", "1s"]);
    assert_eq!(before.history("lite-000"), None);
    before.run(&["runs", "show", "last"]).exits(0).shows(&["before_run failed"]);
}

#[test]
fn a_before_hook_that_hangs_is_killed_and_nothing_behind_it_is_touched() {
    let hangs = |hook: &str, more: &str| {
        format!("[hooks]\n{hook} = {{ command = [\"sh\", \"-c\", \"{more}sleep 66666\"], timeout = \"500ms\" }}\n")
    };
    let run = Fleet::new().head(&hangs("before_run", "")).sqlite(2);
    let ran = run.run(&["migrate", "--yes"]).exits(101);
    ran.tells(&["hook before_run failed", "did not end within 500ms and was killed"]).shows(&["2 not started"]);
    assert!(run.tenants.iter().all(|tenant| run.history(&tenant.id).is_none()));

    let one = Fleet::new().head(&hangs("before_tenant", "test $FLEET_TENANT != lite-001 || ")).sqlite(3);
    let report = one.run(&["migrate", "--yes", "--format", "json"]).exits(100).json();
    let failed = record(&report, "lite-001");
    assert_eq!((&failed["error"]["class"], &failed["attempts"]), (&"hook".into(), &1.into()), "{failed:#}");
    assert!(failed["error"]["message"].as_str().unwrap().contains("500ms"), "{failed:#}");
    assert_eq!((with(&report, "migrated").len(), one.history("lite-001")), (2, None));
    let left = std::process::Command::new("pgrep").args(["-f", "sleep 66666"]).output().unwrap();
    assert!(left.stdout.is_empty(), "{left:?}");
}

#[test]
fn wrong_hooks_are_refused_with_their_place() {
    for (hook, told) in [
        ("before_runs = [\"x\"]", "did you mean `before_run`?"),
        ("before_run = []", "`before_run` names no program"),
        ("before_run = \"sh -c x\"", "must be a table"),
        ("before_run = { timeout = \"3s\" }", "must have either `command` or `post`"),
        ("before_run = { post = \"ftp://x/s3cret\" }", "`post` must be an address"),
        ("before_run = { command = [\"x\"], timeout = \"0s\" }", "`timeout` must be a duration"),
    ] {
        let fleet = Fleet::new().head(&format!("[hooks]\n{hook}\n")).sqlite(1);
        let refused = fleet.run(&["tenants", "list"]).exits(78).tells(&[told]);
        assert!(!refused.err.contains("s3cret"), "{}", refused.err);
    }
}

/// A tenant that waits for its after hook may be in maintenance mode: no others are begun meanwhile.
#[test]
fn after_hooks_hold_up_the_tenants_behind_them() {
    let note = |text: &str| format!("[\"sh\", \"-c\", \"{text} echo $FLEET_HOOK >> calls\"]");
    let hooks = format!("[hooks]\nbefore_tenant = {}\nafter_tenant = {}\n", note(""), note("sleep 0.2;"));
    let fleet = Fleet::new().head(&hooks).sqlite(8);
    fleet.run(&["migrate", "--yes", "--concurrency", "1"]).exits(0).shows(&["8 migrated"]);
    let mut open = 0;
    for line in lines(&fleet, "calls") {
        open += if line == "before_tenant" { 1 } else { -1 };
        assert!(open <= 2, "{:?}", lines(&fleet, "calls"));
    }
    assert_eq!(open, 0);
}

/// Ctrl-C twice while a tenant waits for its before hook: it was not touched, and did not fail.
#[test]
fn a_tenant_whose_before_hook_is_not_waited_for_is_interrupted() {
    let hooks = "[hooks]\nbefore_tenant = [\"sh\", \"-c\", \"touch waits; exec sleep 60\"]\nafter_tenant = [\"touch\", \"after\"]\n";
    let fleet = Fleet::new().head(hooks).sqlite(2);
    fleet.write();
    let child =
        fleet.program(&["migrate", "--yes", "--concurrency", "1", "--report", "json=run.json"]).spawn().unwrap();
    let begun = std::time::Instant::now();
    let is_drained = || {
        let runs = crate::support::finish(&mut fleet.program(&["runs", "show", "last", "--format", "json"]));
        runs.code == Some(0) && runs.out.contains("\"draining\"")
    };
    while !fleet.path("waits").exists() && begun.elapsed().as_secs() < 60 {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    crate::support::signal(&child, "INT");
    while !is_drained() && begun.elapsed().as_secs() < 60 {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    crate::support::signal(&child, "INT");
    let ran = crate::support::wait(child).exits(130);
    assert!(begun.elapsed().as_secs() < 50, "{}", ran.err);
    let report = crate::support::json_file(&fleet.path("run.json"));
    assert_eq!(with(&report, "interrupted"), ["lite-000"], "{report:#}");
    assert_eq!((with(&report, "not_started"), fleet.history("lite-000")), (vec!["lite-001".to_owned()], None));
    assert!(!fleet.path("after").exists(), "its before hook did not come to its end");
    let mut fleet = fleet;
    fleet.head = String::new();
    fleet.run(&["runs", "resume", "last", "--yes"]).exits(0).shows(&["2 migrated"]);
}

#[test]
fn a_failed_hook_is_told_to_those_who_want_to_hear_little() {
    let hooks = "[hooks]\nafter_tenant = [\"false\"]\nafter_run = [\"false\"]\n";
    let fleet = Fleet::new().head(hooks).sqlite(1);
    let ran = fleet.run(&["migrate", "--yes", "-q"]).exits(0);
    let ran = ran.tells(&["hook after_tenant of lite-000 failed", "hook after_run failed"]);
    assert_eq!(ran.err.lines().count(), 2, "{}", ran.err);
}
