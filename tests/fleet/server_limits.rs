//! `[[server]]`: windows and caps that belong to servers, on two real ones.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::dumps::{run, run_id};
use crate::interrupted::Held;
use crate::support::{Fleet, all, finish, json_file, record, wait, with};

/// A window of an hour that opens in so many hours.
fn window(in_hours: u64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() / 3_600;
    let hour = |more: u64| (now + in_hours + more) % 24;
    format!("{:02}:00-{:02}:00 UTC", hour(0), hour(1))
}

/// Two tenants on each of two servers, of which MariaDB's is closed.
fn fleet(of_server: &str) -> Fleet {
    let mut fleet = Fleet::new().postgres(2).mariadb(2);
    for (id, server) in [("pg-000", "day"), ("pg-001", "day"), ("my-000", "night-1"), ("my-001", "night-1")] {
        fleet.tenant_mut(id).more = format!("server = \"{server}\"\n");
    }
    fleet.head = head("", of_server);
    fleet
}

fn head(settings: &str, of_server: &str) -> String {
    let waves = "[[wave]]\nname = \"canary\"\ntenants = [\"pg-000\", \"my-000\"]\n";
    format!("[fleet]\noutside_window = \"stop\"\n{settings}\n{waves}[[server]]\nservers = [\"night-*\"]\n{of_server}\n")
}

#[test]
fn a_server_outside_of_its_window_keeps_its_tenants_and_no_others() {
    let closed = window(12);
    let mut fleet = fleet(&format!("window = \"{closed}\"\nper_server = 1"));
    let told = format!("night-1 (2 tenants): window {closed}, closed until ");
    fleet.run(&["plan"]).exits(0).shows(&["Limits of servers", &told, "; per_server 1"]);
    let plan = fleet.run(&["plan", "--format", "json"]).exits(0).json();
    assert_eq!(plan["servers"][0]["window"], *closed, "{:#}", plan["servers"]);
    fleet.run(&["tenants", "list"]).exits(0).shows(&["SERVER WINDOW", &closed]);
    let listed = fleet.run(&["tenants", "list", "--format", "json"]).exits(0).json();
    let of = |id: &str| {
        let rows = listed["tenants"].as_array().unwrap();
        rows.iter().find(|row| row["id"] == *id).unwrap()["server_window"].as_str().map(str::to_owned)
    };
    assert_eq!([of("my-000"), of("pg-000")], [Some(closed.clone()), None]);

    let ended = run(&fleet, &["migrate", "--yes"], 5);
    assert_eq!(record(&ended, "pg-000")["outcome"], "migrated");
    for (id, reason) in [("my-000", "window"), ("my-001", "window"), ("pg-001", "window")] {
        assert_eq!(
            (&record(&ended, id)["outcome"], &record(&ended, id)["reason"]),
            (&"not_started".into(), &reason.into())
        );
    }
    assert_eq!(fleet.history("my-000"), None, "nothing of it was begun");
    let why = "the maintenance window of its wave or server was closed";
    fleet.run(&["runs", "show", "last"]).exits(0).shows(&["canary", "1 migrated", why]);

    // The next night it goes on where it stopped.
    fleet.head = head("", &format!("window = \"{}\"", window(0)));
    let resumed = run(&fleet, &["runs", "resume", &run_id(&ended), "--yes"], 0);
    assert!(
        ["my-000", "my-001", "pg-001"].iter().all(|id| record(&resumed, id)["outcome"] == "migrated"),
        "{resumed:#}"
    );
}

#[test]
fn a_window_of_a_server_that_is_waited_for_is_told() {
    let fleet = fleet(&format!("window = \"{}\"", window(12)));
    // It waits for the rest of the day, and is interrupted.
    fleet.write();
    let mut program = fleet.program(&["migrate", "--yes", "--outside-window", "wait"]);
    program.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let running = program.spawn().unwrap();
    for _ in 0..600 {
        if fleet.history("pg-000").is_some_and(|history| history.len() == all().len()) {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    std::thread::sleep(std::time::Duration::from_millis(500));
    fleet.run(&["runs", "show", "last"]).exits(0).shows(&["server night-1 of wave canary waited for "]);
    let pid = running.id().to_string();
    assert!(std::process::Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    let ended = running.wait_with_output().unwrap();
    let told = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(130), "{told}");
    assert!(told.contains("server night-1 of wave canary waits until "), "{told}");
    assert_eq!(fleet.history("my-000"), None);
}

#[test]
fn a_plan_that_was_saved_holds_for_the_limits_of_servers() {
    let mut fleet = fleet("window = \"22:00-04:00 UTC\"");
    fleet.run(&["plan", "--save", "plan.json"]).exits(0);
    fleet.head = head("", "window = \"22:00-05:00 UTC\"\nper_server = 3");
    let ran = fleet.run(&["migrate", "--plan", "plan.json", "--yes"]).exits(2);
    ran.tells(&[
        "window of server night-1 is 22:00-05:00 UTC, planned 22:00-04:00 UTC",
        "per_server of server night-1 is 3, planned not set",
    ]);
}

#[test]
fn windows_that_are_never_open_together_are_refused_and_mistakes_are_told() {
    let mut fleet = fleet("window = \"09:00-10:00 UTC\"");
    fleet.head = head("window = \"22:00-04:00 UTC\"", "window = \"09:00-10:00 UTC\"");
    let never = "the windows of wave canary (22:00-04:00 UTC) and of server night-1 (09:00-10:00 UTC) are never open at the same";
    fleet.run(&["migrate", "--yes"]).exits(1).tells(&[never, "1 tenant would never be started; nothing was touched"]);
    fleet.run(&["plan"]).exits(0).tells(&[never]);
    fleet.head = "[[server]]\nservers = []\n[[server]]\nwindow = \"9-10\"\nservers = [\"day\"]\nrate = 3\n".to_owned();
    fleet.run(&["plan"]).exits(78).tells(&[
        "this table limits nothing",
        "`servers` is empty",
        "`window` must be hours with their time zone",
        "`rate`",
    ]);
    fleet.head = "[[server]]\nservers = [\"nihgt-1\"]\nper_server = 2\n".to_owned();
    fleet.run(&["status"]).exits(0).tells(&["[[server]] names nihgt-1, and no tenant is on it; did you mean night-1?"]);
}

/// `[[wave]] window`: its tenants, and those behind it, are left for the next night.
#[test]
fn a_wave_outside_of_its_window_is_left_and_gone_on_with_when_it_is_open() {
    let head = |window: &str| {
        let canary = "[[wave]]\nname = \"canary\"\ntenants = [\"lite-000\"]\n";
        format!(
            "[fleet]\noutside_window = \"stop\"\n{canary}[[wave]]\nname = \"night\"\ntenants = [\"pg-000\"]\nwindow = \"{window}\"\n"
        )
    };
    let closed = window(12);
    let mut fleet = Fleet::new().head(&head(&closed)).sqlite(2).postgres(1);
    let told = format!("window: {closed}, closed until ");
    fleet.run(&["plan"]).exits(0).shows(&["Wave night (1 tenant)", &told]);
    let plan = fleet.run(&["plan", "--format", "json"]).exits(0).json();
    assert_eq!(plan["waves"][1]["window"], *closed, "{:#}", plan["waves"][1]);
    assert!(plan["waves"][1]["opens_at_ms"].is_i64() && plan["waves"][0]["window"].is_null(), "{:#}", plan["waves"]);
    // The flag is the fleet's window: that of a wave stays.
    let ended = run(&fleet, &["migrate", "--yes", "--window", "always"], 5);
    let told = ["lite-000", "pg-000", "lite-001"].map(|id| {
        let of = record(&ended, id);
        format!("{} {}", of["outcome"].as_str().unwrap(), of["reason"].as_str().unwrap_or("-"))
    });
    assert_eq!(told, ["migrated -", "not_started window", "not_started window"]);
    assert_eq!((fleet.history("pg-000"), fleet.history("lite-001")), (None, None));
    fleet.run(&["runs", "list", "--status", "stopped"]).exits(0).shows(&["1/3"]);

    fleet.head = head(&window(0));
    let resumed = run(&fleet, &["runs", "resume", &run_id(&ended), "--yes"], 0);
    assert!(["pg-000", "lite-001"].iter().all(|id| record(&resumed, id)["outcome"] == "migrated"), "{resumed:#}");
}

#[test]
fn the_window_of_the_fleet_is_lifted_by_a_flag() {
    let head = format!("[fleet]\noutside_window = \"stop\"\nwindow = \"{}\"\n", window(12));
    let fleet = Fleet::new().head(&head).sqlite(2);
    let ended = run(&fleet, &["migrate", "--yes"], 5);
    assert!(["lite-000", "lite-001"].iter().all(|id| record(&ended, id)["reason"] == "window"), "{ended:#}");
    assert_eq!(fleet.history("lite-000"), None);
    fleet.run(&["migrate", "--yes", "--window", "always"]).exits(0).shows(&["2 migrated"]);
}

/// It starts nothing new, and the tenant in flight comes to its end in its own time.
#[test]
fn a_deadline_that_passes_while_a_tenant_waits_for_a_lock_kills_nothing() {
    let fleet = Fleet::new().head("[fleet]\nconcurrency = 1\nlock_timeout = \"100s\"").sqlite(3);
    fleet.run(&["migrate", "--yes", "-q", "--to", &all()[0]]).exits(0);
    let holder = Held::on(&fleet, "lite-000");
    let begun = std::time::Instant::now();
    let running =
        fleet.program(&["migrate", "--yes", "--deadline", "2s", "--report", "json=report.json"]).spawn().unwrap();
    // On a slow machine it has not begun by then; one in flight is in the ledger once it is older than a heartbeat.
    let is_in_flight = || {
        let shown = finish(&mut fleet.program(&["runs", "show", "last"]));
        shown.out.contains("in flight") && shown.out.contains("lite-000 for ")
    };
    while !is_in_flight() {
        assert!(begun.elapsed().as_secs() < 60, "it never was in flight");
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
    assert!(begun.elapsed().as_secs() >= 2, "the deadline is over, and it is still in flight");
    holder.release();
    wait(running).exits(5);
    let report = json_file(&fleet.path("report.json"));
    assert_eq!(record(&report, "lite-000")["outcome"], "migrated", "{report:#}");
    for id in ["lite-001", "lite-002"] {
        assert_eq!(record(&report, id)["reason"], "deadline", "{report:#}");
        assert_eq!(fleet.history(id).unwrap(), all()[..1], "{id}");
    }
    fleet.run(&["runs", "resume", "last", "--yes"]).exits(0).shows(&["2 migrated"]);
}

/// The first of five starts at once, and each of the others half a second behind the one before.
#[test]
fn a_rate_spreads_the_starts() {
    let fleet = Fleet::new().sqlite(5);
    let report = run(&fleet, &["migrate", "--yes", "--rate", "2/s"], 0);
    assert!(report["elapsed_ms"].as_u64().unwrap() >= 2_000, "{report:#}");
    assert_eq!(with(&report, "migrated").len(), 5);
}
