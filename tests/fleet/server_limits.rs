//! `[[server]]`: windows and caps that belong to servers, on two real ones.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::dumps::{run, run_id};
use crate::support::{Fleet, all, record};

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
