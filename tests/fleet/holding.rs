//! Tenants in quarantine, and tenants frozen at a version.

use crate::dumps::run;
use crate::support::{Fleet, all, finish, record};

fn edited(fleet: &Fleet, arguments: &[&str]) -> crate::support::Ran {
    // Without writing the tenant file again.
    finish(&mut fleet.program(arguments))
}

#[test]
fn a_tenant_in_quarantine_is_out_of_every_run_and_in_every_report() {
    let fleet = Fleet::new().sqlite(2).postgres(1).mariadb(1);
    fleet.run(&["migrate", "--yes", "-q", "--to", &all()[1]]).exits(0);
    let file = std::fs::read_to_string(fleet.path("tenants.toml")).unwrap();
    let put = ["tenants", "quarantine", "pg-000", "--reason", "half a restore", "--until", "2999-12-31"];
    edited(&fleet, &put).exits(0).shows(&["pg-000 is in quarantine", "until 2999-12-31"]);

    let ran = edited(&fleet, &["migrate", "--yes"]).exits(0);
    let why = "in quarantine, left out: pg-000: half a restore (until 2999-12-31)";
    ran.shows(&["3 migrated", why, "small tenants release TENANT"]);
    assert_eq!(fleet.history("pg-000").unwrap(), all()[..2]);
    for command in [&["rollback", "--all", "--yes"][..], &["seed", "--yes"]] {
        edited(&fleet, command).exits(0).shows(&[why]);
        assert_eq!(fleet.history("pg-000").unwrap(), all()[..2]);
    }
    for format in ["table", "md"] {
        edited(&fleet, &["matrix", "--format", format]).exits(0).shows(&["pg-000", "quarantined", "half a restore"]);
    }
    let matrix = edited(&fleet, &["matrix", "--format", "json"]).exits(0).json();
    let row = matrix["tenants"].as_array().unwrap().iter().find(|row| row["id"] == "pg-000").unwrap();
    assert_eq!(row["quarantine"]["reason"], "half a restore");
    edited(&fleet, &["plan"]).exits(0).shows(&["pg-000", "in quarantine: half a restore"]);
    let named = edited(&fleet, &["migrate", "--yes", "--tenant", "pg-000"]).exits(64);
    named.tells(&[
        "tenant pg-000 is in quarantine: half a restore",
        "nothing was touched",
        "small tenants release pg-000",
    ]);
    edited(&fleet, &["migrate", "--yes", "--tenant", "pg-*"]).exits(4).tells(&["in quarantine", "half a restore"]);
    // A backup is made of it all the same.
    edited(&fleet, &["backup"]).exits(0).shows(&["4 backed up"]);

    edited(&fleet, &["migrate", "--yes"]).exits(0);
    edited(&fleet, &["status", "--exit-code"]).exits(0).shows(&["quarantined", "half a restore"]);
    edited(&fleet, &["tenants", "release", "pg-000"]).exits(0).shows(&["the next run takes it"]);
    assert_eq!(std::fs::read_to_string(fleet.path("tenants.toml")).unwrap(), file);
    edited(&fleet, &["tenants", "release", "pg-000"]).exits(64).tells(&["is in no quarantine"]);
    edited(&fleet, &["status", "--exit-code"]).exits(2);
    edited(&fleet, &["migrate", "--yes"]).exits(0).shows(&["1 migrated"]);
}

#[test]
fn a_quarantine_that_is_over_is_as_if_it_were_not_there() {
    let mut fleet = Fleet::new().sqlite(1);
    fleet.tenants[0].more = "quarantine = { reason = \"old\", until = \"2020-01-31\" }".into();
    fleet.run(&["migrate", "--yes"]).exits(0).shows(&["1 migrated"]);
    for (wrong, words) in [
        ("quarantine = \"x\"", "must be a table with its reason"),
        ("quarantine = { until = \"2020-01-31\" }", "has no reason"),
        ("quarantine = { reason = \"x\", until = \"soon\" }", "neither a day nor a moment"),
    ] {
        fleet.tenants[0].more = wrong.into();
        fleet.run(&["status"]).exits(78).tells(&[words]);
    }
    fleet.tenants[0].more = String::new();
    fleet.write();
    let wrong = ["tenants", "quarantine", "lite-000", "--reason", "x", "--until", "soon"];
    edited(&fleet, &wrong).exits(78).tells(&["neither a day nor a moment", "the file was not changed"]);
}

#[test]
fn a_frozen_tenant_goes_up_to_its_version_and_no_further() {
    let mut fleet = Fleet::new().sqlite(2).postgres(1).mariadb(1);
    fleet.tenant_mut("pg-000").more = format!("freeze_at = \"{}\"", all()[1]);
    fleet.tenant_mut("my-000").more = format!("freeze_at = \"{}\"", all()[3]);
    fleet.run(&["plan"]).exits(0).shows(&[&format!("frozen at {}", all()[1])]);
    let done = run(&fleet, &["migrate", "--yes"], 0);
    for (id, applied) in [("pg-000", 2), ("my-000", 4), ("lite-000", 6), ("lite-001", 6)] {
        assert_eq!(fleet.history(id).unwrap(), all()[..applied], "{id}");
    }
    let note = format!("frozen at {}: 4 later not applied", all()[1]);
    assert_eq!(record(&done, "pg-000")["notes"][0], note);
    fleet.run(&["migrate", "--yes", "--steps", "1"]).exits(0);
    assert_eq!(fleet.history("pg-000").unwrap(), all()[..2], "a step is no way around it");
    fleet.run(&["status", "--exit-code"]).exits(0).shows(&["frozen", "pg-000", &all()[1], "by the tenant file"]);
    // A rollback is no migration up, and the fleet's own holds for those without theirs.
    fleet.run(&["rollback", "--all", "--yes"]).exits(0);
    fleet.head = format!("[fleet]\nfreeze_at = \"{}\"", all()[2]);
    fleet.run(&["migrate", "--yes"]).exits(0);
    for (id, applied) in [("pg-000", 2), ("my-000", 4), ("lite-000", 3), ("lite-001", 3)] {
        assert_eq!(fleet.history(id).unwrap(), all()[..applied], "{id}");
    }
    fleet.head = "[fleet]\nfreeze_at = \"m2025_nothing\"".into();
    fleet.run(&["migrate", "--yes"]).exits(78).tells(&["m2025_nothing", "[fleet]", "names no migration"]);
}

fn canary(quarantined: bool) -> Fleet {
    let head = "[[wave]]\nname = \"canary\"\ntenants = [\"lite-000\"]\n[wave.gate]\ncommand = [\"touch\", \"asked\"]\n";
    let mut fleet = Fleet::new().head(head).sqlite(6);
    if quarantined {
        fleet.tenant_mut("lite-000").more = "quarantine = { reason = \"half a restore\" }".into();
    }
    fleet
}

#[test]
fn a_gate_is_not_passed_over_because_its_canary_is_in_quarantine_or_in_another_partition() {
    let fleet = canary(true);
    let words = [
        "wave canary has a gate and no tenant in this run: its tenant lite-000 is in quarantine",
        "5 tenants of later waves would pass no gate",
        "--wave rest",
    ];
    fleet.run(&["plan"]).exits(0).tells(&["migrate would refuse this"]).tells(&words);
    fleet.run(&["migrate", "--yes"]).exits(1).tells(&words).tells(&["nothing was touched"]);
    assert!(fleet.tenants.iter().all(|tenant| fleet.history(&tenant.id).is_none()));
    // Whoever names the later waves says so, and a rollback has no gates.
    fleet.run(&["migrate", "--yes", "--wave", "rest"]).exits(0).shows(&["5 migrated"]);
    fleet.run(&["rollback", "--all", "--yes"]).exits(0).shows(&["5 rolled back"]);

    let fleet = canary(false);
    let parts: Vec<_> =
        (1..=2).map(|i| fleet.run(&["migrate", "--yes", "--partition", &format!("hash:{i}/2")])).collect();
    let refused: Vec<_> = parts.iter().filter(|ran| ran.code == Some(1)).collect();
    assert_eq!(refused.len(), 1, "{parts:#?}");
    for words in ["its tenants are in other partitions", "run it first: small migrate --wave canary", "--wave rest"] {
        assert!(refused[0].err.contains(words), "{}", refused[0].err);
    }
    let done = fleet.tenants.iter().filter(|tenant| fleet.history(&tenant.id).is_some()).count();
    assert!(fleet.history("lite-000").is_some() && done < 6, "{done}");
    for part in ["hash:1/2", "hash:2/2"] {
        fleet.run(&["migrate", "--yes", "--partition", part, "--wave", "rest"]);
    }
    assert!(fleet.tenants.iter().all(|tenant| fleet.history(&tenant.id).is_some()));
}

#[test]
fn nobody_goes_ahead_of_a_tenant_in_quarantine_that_it_depends_on() {
    let mut fleet = Fleet::new().sqlite(4);
    fleet.tenant_mut("lite-000").more = "quarantine = { reason = \"half a restore\" }".into();
    fleet.tenant_mut("lite-001").more = "depends_on = [\"lite-000\"]".into();
    fleet.tenant_mut("lite-002").more = "depends_on = [\"lite-001\"]".into();
    fleet.run(&["plan"]).exits(0).shows(&["lite-002", "waits for lite-000, which is in quarantine"]);
    let ran = fleet.run(&["migrate", "--yes"]).exits(5).shows(&["1 migrated"]);
    ran.tells(&[
        "left out: lite-001 waits for lite-000, which is in quarantine",
        "left out: lite-002 waits for lite-000",
    ]);
    assert_eq!(["lite-000", "lite-001", "lite-002"].map(|id| fleet.history(id)), [None, None, None]);
    // By its name it is taken, and with it whoever waits for it alone.
    fleet.run(&["migrate", "--yes", "-t", "lite-001"]).exits(0).shows(&["1 migrated"]);
    fleet.tenant_mut("lite-000").more = String::new();
    fleet.run(&["migrate", "--yes"]).exits(0).shows(&["2 migrated"]);
    // On the way back those come first that depend on others.
    fleet.tenant_mut("lite-002").more = "depends_on = [\"lite-001\"]\nquarantine = { reason = \"x\" }".into();
    fleet.run(&["rollback", "--all", "--yes"]).exits(5).shows(&["1 rolled back"]);
    assert!(["lite-000", "lite-001", "lite-002"].iter().all(|id| fleet.history(id).unwrap() == all()));
    fleet.run(&["tenants", "list"]).exits(0).shows(&["QUARANTINE", "x"]);
    let json = fleet.run(&["tenants", "list", "--format", "json"]).exits(0).json();
    assert_eq!((&json["tenants"][2]["quarantine"], json["tenants"][0].get("quarantine")), (&"x".into(), None));
}
