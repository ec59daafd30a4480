//! `rollback --run`: exactly what a run has moved, each tenant to its own version before.

use serde_json::Value;

use crate::crash_points::{dies_at, runs};
use crate::dumps::{run, run_id};
use crate::support::{Fleet, all, record, sql, with};

/// Two canaries, three early ones, and the rest.
const WAVES: &str = "[fleet]\nattempts = 1\n[[wave]]\nname = \"canary\"\ntenants = [\"lite-000\", \"pg-000\"]\n\
                     [[wave]]\nname = \"early\"\ntenants = [\"my-000\", \"schema-000\", \"lite-001\"]\n";

fn fleet() -> Fleet {
    Fleet::new().head(WAVES).sqlite(4).postgres(2).schemas(1).mariadb(2)
}

fn migrate_to(fleet: &Fleet, id: &str, applied: usize) {
    fleet.run(&["migrate", "--yes", "-q", "--tenant", id, "--to", &all()[applied - 1]]).exits(0);
}

#[track_caller]
fn is_at(fleet: &Fleet, id: &str, applied: usize) {
    assert_eq!(fleet.history(id).unwrap_or_default(), all()[..applied], "{id}");
}

/// The ledger's rows of a run that died when the first tenants, in plan order, had their outcome.
pub(crate) fn die_after(fleet: &Fleet, run: &str, finished: usize) {
    let ledger = format!("sqlite:{}", fleet.path("fleet-ledger.db").display());
    sql(&ledger, &format!("DELETE FROM fleet_outcome WHERE run = '{run}' AND place >= {finished}"));
    sql(&ledger, &format!("UPDATE fleet_run SET finished_at_ms = NULL, stats = NULL WHERE run = '{run}'"));
}

#[test]
fn exactly_what_a_run_moved_goes_back_each_tenant_to_its_own_version_the_last_wave_first() {
    let fleet = fleet();
    let before = [("pg-000", 2), ("my-000", 3), ("lite-001", 4), ("pg-001", 3), ("lite-002", 6)];
    before.iter().for_each(|(id, applied)| migrate_to(&fleet, id, *applied));
    let moved = run_id(&run(&fleet, &["migrate", "--yes"], 0));

    // The previews touch nothing, and say the same.
    let preview = fleet.run(&["rollback", "--run", &moved, "--dry-run"]).exits(0);
    preview.shows(&["pg-000", "lite-000", "rest", &format!("the versions before run {moved}")]);
    let plan = fleet.run(&["plan", "--run", "last", "--format", "json"]).exits(0).json();
    let waves = plan["waves"].as_array().unwrap();
    let names: Vec<&str> = waves.iter().map(|wave| wave["wave"].as_str().unwrap()).collect();
    assert_eq!(names, ["rest", "early", "canary"]);
    let steps = |id: &str| {
        let mut rows = waves.iter().flat_map(|wave| wave["tenants"].as_array().unwrap());
        rows.find(|row| row["tenant"] == id).map(|row| row["steps"].as_array().unwrap().len())
    };
    let found = [steps("pg-000"), steps("my-000"), steps("lite-001"), steps("lite-000"), steps("lite-002")];
    assert_eq!(found, [Some(4), Some(3), Some(2), Some(6), None]);
    fleet.tenants.iter().for_each(|tenant| is_at(&fleet, &tenant.id, 6));

    let ran = fleet.run(&["rollback", "--run", &moved[..13], "--yes", "--format", "jsonl"]).exits(0);
    let events: Vec<Value> = ran.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let began = events.iter().filter(|event| event["event"] == "wave_started");
    let began: Vec<String> = began.map(|e| format!("{}: {}", e["wave"].as_str().unwrap(), e["max_failures"])).collect();
    assert_eq!(began, ["rest: \"unlimited\"", "early: \"0\"", "canary: \"0\""], "the same budgets");
    for tenant in &fleet.tenants {
        let applied = before.iter().find(|(id, _)| *id == tenant.id).map_or(0, |(_, applied)| *applied);
        is_at(&fleet, &tenant.id, applied);
    }
    fleet.run(&["runs", "show", "last"]).exits(0).shows(&[&format!("down to the versions before run {moved}")]);
    // Nothing is left of it, and it says so.
    fleet.run(&["rollback", "--run", &moved, "--yes"]).exits(0).tells(&["8 tenants are at the version before run"]);
    fleet
        .run(&["rollback", "--run", "last", "--yes"])
        .exits(64)
        .tells(&["was a rollback", "to go on with it: small rollback --run"]);
}

#[test]
fn a_rollout_that_its_canary_stopped_is_taken_back_by_the_command_that_it_names() {
    let fleet = fleet();
    fleet.run(&["migrate", "--yes", "-q", "--to", &all()[0], "-t", "lite-000"]).exits(0);
    fleet.ask("pg-000", "CREATE TABLE users (id int)");
    let stopped = run(&fleet, &["migrate", "--yes"], 101);
    assert_eq!(with(&stopped, "migrated"), ["lite-000"]);
    is_at(&fleet, "pg-000", 1);
    let text = fleet.run(&["migrate", "--yes", "--failed-of", "last", "--max-failures", "0"]).exits(100);
    assert!(!text.out.contains("rollback --run"), "it has moved nothing: {}", text.out);
    fleet.run(&["rollback", "--run", &run_id(&stopped), "--yes"]).exits(0).shows(&["2 rolled back"]);
    is_at(&fleet, "lite-000", 1);
    is_at(&fleet, "pg-000", 0);
    let again = fleet.run(&["migrate", "--yes"]).exits(101);
    let named = again.out.lines().find_map(|line| line.trim().strip_prefix("to take back what it moved: small "));
    let named: Vec<&str> = named.unwrap_or_else(|| panic!("{}", again.out)).split(' ').collect();
    fleet.run(&[&named[..], &["--yes"]].concat()).exits(0).shows(&["2 rolled back"]);
    is_at(&fleet, "lite-000", 1);
}

#[test]
fn a_tenant_that_moved_since_is_refused_by_name_and_the_others_go_back() {
    let mut fleet = fleet();
    fleet.run(&["migrate", "--yes", "-q", "--to", &all()[2]]).exits(0);
    let moved = run_id(&run(&fleet, &["migrate", "--yes", "--to", &all()[4]], 0));
    // Another run, a person, a tenant that left the file.
    let other = run_id(&run(&fleet, &["migrate", "--yes", "--tenant", "lite-002"], 0));
    fleet.ask("pg-001", &format!("DELETE FROM seaql_migrations WHERE version = '{}'", all()[4]));
    fleet.tenants.retain(|tenant| tenant.id != "lite-003");
    let dry = fleet.run(&["rollback", "--run", &moved, "--dry-run"]).exits(5);
    dry.tells(&["lite-002", "pg-001"]);
    let narrow = fleet.run(&["rollback", "--run", &moved, "--dry-run", "--width", "60"]).exits(5).err;
    assert!(narrow.lines().all(|line| line.len() <= 60) && narrow.contains("warning: not taken back:"), "{narrow}");
    let ran = fleet.run(&["rollback", "--run", &moved, "--yes"]).exits(5);
    let by_hand =
        format!("pg-001: it is at {}, where no run has brought it: the run left it at {}", all()[3], all()[4]);
    let ran = ran.tells(&[&format!("lite-002: run {other} has moved it since"), &by_hand, "lite-003"]);
    let ran = ran.shows(&["rolled back"]);
    for id in ["lite-000", "lite-001", "pg-000", "schema-000", "my-000", "my-001"] {
        is_at(&fleet, id, 3);
    }
    is_at(&fleet, "lite-002", 6);
    is_at(&fleet, "pg-001", 4);
    // At its end, and whenever it is looked at: who is gone, and how it comes back.
    let back = format!(
        "not taken back: lite-003: it is not in the tenant file any more; put it back there, then: small rollback --run {moved}"
    );
    ran.shows(&[&back]);
    fleet.run(&["runs", "show", "last"]).exits(0).shows(&[&back]);
    let none = ["rollback", "--run", &moved, "--yes", "--tenant", "pg-001"];
    fleet.run(&none).exits(1).tells(&["the tenant that run", "can't be taken back; nothing was touched"]);
    let rollback = runs(&fleet)[0]["run"].as_str().unwrap().to_owned();
    fleet.add("lite-003", "sqlite:lite-003.db");
    is_at(&fleet, "lite-003", 5);
    fleet.run(&["rollback", "--run", &moved, "--yes"]).exits(5).shows(&["1 rolled back"]);
    is_at(&fleet, "lite-003", 3);
    let shown = fleet.run(&["runs", "show", &rollback]).exits(0);
    assert!(!shown.out.contains("not taken back"), "{}", shown.out);
}

#[test]
fn a_tenant_in_doubt_or_partially_applied_is_told_and_not_guessed() {
    let fleet = Fleet::new().head("[fleet]\nattempts = 1\nmax_failures = \"9\"").sqlite(1).mariadb(2);
    fleet.run(&["migrate", "--yes", "-q", "--to", &all()[0]]).exits(0);
    fleet.ask("my-000", "CREATE TABLE users (id int)");
    let moved = run_id(&run(&fleet, &["migrate", "--yes", "--to", &all()[3]], 100));
    let ran = fleet.run(&["rollback", "--run", &moved, "--yes"]).exits(5);
    ran.tells(&["not taken back: my-000: partially applied: stopped before statement", "runs resolve"]);
    is_at(&fleet, "my-001", 1);
    is_at(&fleet, "lite-000", 1);
    fleet.run(&["status"]).exits(0).shows(&["partially applied", "my-000"]);
}

#[test]
fn runs_that_resume_each_other_are_taken_back_as_one_rollout() {
    let fleet = Fleet::new().sqlite(4);
    fleet.run(&["migrate", "--yes", "-q", "--to", &all()[1]]).exits(0);
    let dead = run_id(&run(&fleet, &["migrate", "--yes"], 0));
    die_after(&fleet, &dead, 2);
    // The third was not reached, the fourth was done and its outcome is lost.
    fleet.run(&["rollback", "--yes", "-q", "--to", &all()[1], "-t", "lite-002", "--ledger", "other.db"]).exits(0);
    let resumed = run(&fleet, &["runs", "resume", &dead, "--yes"], 0);
    assert_eq!(with(&resumed, "migrated"), ["lite-002"]);
    let ran = fleet.run(&["rollback", "--run", "last", "--yes"]).exits(5);
    ran.tells(&["lite-003", "its version before is not certain", &all()[1], "--to"]);
    for (id, applied) in [("lite-000", 2), ("lite-001", 2), ("lite-002", 2), ("lite-003", 6)] {
        is_at(&fleet, id, applied);
    }
}

/// The versions before are in another ledger: of tenants whose wave had begun nobody knows them, and nobody moved the others.
#[test]
fn a_tenant_whose_wave_no_killed_run_had_begun_is_taken_back() {
    // Each outcome is in the ledger before the next.
    let head = "[fleet]\nattempts = 1\nconcurrency = 1\n[[wave]]\nname = \"canary\"\ntenants = [\"*-000\"]\n[hooks]\nbefore_tenant = \
                [\"sleep\", \"0.3\"]\n";
    let before = || {
        let fleet = Fleet::new().head(head).sqlite(2).postgres(2).mariadb(2);
        fleet.run(&["migrate", "--yes", "-q", "--to", &all()[1], "--ledger", "other.db"]).exits(0);
        fleet
    };
    let fleet = before();
    for command in [&["migrate", "--yes"][..], &["runs", "resume", "last", "--yes"]] {
        assert!(dies_at(&fleet, command, "written:tenant_finished"));
    }
    let first = runs(&fleet)[1]["run"].as_str().unwrap().to_owned();
    fleet.run(&["runs", "resume", "last", "--yes"]).exits(0);
    let ran = fleet.run(&["rollback", "--run", &first, "--yes"]).exits(5);
    ran.tells(&["its version before is not certain: no run before has recorded one", "-000"]);
    for id in ["lite-001", "pg-001", "my-001"] {
        is_at(&fleet, id, 2);
    }
    // Its first outcome is that of the first run.
    let back = ["lite-000", "pg-000", "my-000"].iter().filter(|id| fleet.history(id).unwrap().len() == 2);
    assert_eq!(back.count(), 1);

    // The ledger has the beginning of a wave before a tenant of it is touched.
    let fleet = before();
    assert!(dies_at(&fleet, &["migrate", "--yes"], "told:attempt_started@4"));
    let ledger = format!("sqlite:{}", fleet.path("fleet-ledger.db").display());
    let begun = sql(&ledger, "SELECT event FROM fleet_event WHERE event LIKE '%wave_started%'");
    assert!(begun.iter().any(|event| event.contains("\"wave\":\"rest\"")), "{begun:?}");
    fleet.run(&["runs", "resume", "last", "--yes"]).exits(0);
    fleet.run(&["rollback", "--run", "last", "--yes"]).exits(5).tells(&["not certain", "lite-001", "pg-001", "my-001"]);
    for (place, id) in ["lite-000", "pg-000", "my-000", "lite-001", "pg-001", "my-001"].into_iter().enumerate() {
        is_at(&fleet, id, if place < 3 { 2 } else { 6 });
    }
}

/// Nobody had moved when it was killed, and the ledger says so: whoever takes it back has nothing to do.
#[test]
fn a_run_that_was_killed_before_its_first_wave_has_moved_nobody() {
    let fleet = Fleet::new().head("[fleet]\nattempts = 1\n").sqlite(2).postgres(1).mariadb(1);
    fleet.run(&["migrate", "--yes", "-q", "--to", &all()[1], "--ledger", "other.db"]).exits(0);
    let back = || fleet.run(&["rollback", "--run", "last", "--yes"]);
    for point in ["written:run_started", "told:wave_started", "unwritten:wave_started"] {
        assert!(dies_at(&fleet, &["migrate", "--yes"], point));
        back().exits(0).tells(&["moved no tenant", "nothing is to be taken back"]);
    }
    // A program that did not wait for the ledger may have touched anybody, and so may one behind the beginning of the wave.
    let ledger = format!("sqlite:{}", fleet.path("fleet-ledger.db").display());
    sql(&ledger, "UPDATE fleet_run SET started_by = json_remove(started_by, '$.awaits_waves')");
    back().exits(1).tells(&["its version before is not certain", "nothing was touched"]);
    assert!(dies_at(&fleet, &["migrate", "--yes"], "written:wave_started"));
    back().exits(1).tells(&["its version before is not certain", "nothing was touched"]);
    ["lite-000", "lite-001", "pg-000", "my-000"].iter().for_each(|id| is_at(&fleet, id, 2));
}

/// It would have emptied them, had it begun: the version that the run before left is still the one before.
#[test]
fn a_rollback_that_was_killed_before_its_first_wave_leaves_the_version_before_known() {
    let fleet = Fleet::new().head("[fleet]\nattempts = 1\n").sqlite(2).postgres(1).mariadb(1);
    fleet.run(&["migrate", "--yes", "-q", "--to", &all()[1]]).exits(0);
    assert!(dies_at(&fleet, &["rollback", "--all", "--yes"], "written:run_started"));
    assert!(dies_at(&fleet, &["migrate", "--yes"], "written:wave_started"));
    fleet.run(&["rollback", "--run", "last", "--yes"]).exits(0).tells(&["moved no tenant"]);
    ["lite-000", "lite-001", "pg-000", "my-000"].iter().for_each(|id| is_at(&fleet, id, 2));
}

#[test]
fn a_rollback_that_died_goes_on_to_the_same_versions() {
    let fleet = Fleet::new().head("[fleet]\nattempts = 1\nmax_failures = \"1\"").sqlite(4);
    migrate_to(&fleet, "lite-001", 3);
    migrate_to(&fleet, "lite-003", 2);
    let moved = run_id(&run(&fleet, &["migrate", "--yes"], 0));
    let back = run(&fleet, &["rollback", "--run", &moved, "--yes"], 0);
    let dead = run_id(&back);
    assert_eq!(record(&back, "lite-003")["to"], all()[1]);
    fleet.run(&["migrate", "--yes", "-q", "--ledger", "other.db"]).exits(0);
    die_after(&fleet, &dead, 1);
    let resumed = run(&fleet, &["runs", "resume", &dead, "--yes"], 0);
    assert_eq!(with(&resumed, "rolled_back"), ["lite-001", "lite-002", "lite-003"]);
    for (id, applied) in [("lite-001", 3), ("lite-002", 0), ("lite-003", 2)] {
        is_at(&fleet, id, applied);
    }
    fleet.run(&["runs", "show", "last"]).exits(0).shows(&[&format!("the versions before run {moved}")]);
}

#[test]
fn a_run_that_goes_on_or_moved_nothing_is_not_rolled_back() {
    let fleet = Fleet::new().sqlite(1);
    fleet.run(&["migrate", "--yes", "-q"]).exits(0);
    fleet.run(&["backup", "-q"]).exits(0);
    fleet.run(&["rollback", "--run", "last", "--yes"]).exits(64).tells(&["was no migration", "runs show"]);
    fleet.run(&["migrate", "--yes", "-q"]).exits(0);
    fleet
        .run(&["rollback", "--run", "last", "--yes"])
        .exits(0)
        .tells(&["moved no tenant", "nothing is to be taken back"]);
    // Nor did one that failed before its first step.
    let failed = Fleet::new().head("[fleet]\nattempts = 1\n[hooks]\nbefore_tenant = [\"false\"]\n").sqlite(1);
    failed.run(&["migrate", "--yes", "-q"]).exits(100);
    failed.run(&["rollback", "--run", "last", "--yes"]).exits(0).tells(&["moved no tenant"]);
    fleet.run(&["rollback", "--run", "beef", "--yes"]).exits(64);
    fleet.run(&["rollback", "--run", "last", "--steps", "1", "--yes"]).exits(64);
    is_at(&fleet, "lite-000", 6);
    let ledger = format!("sqlite:{}", fleet.path("fleet-ledger.db").display());
    let own = "UPDATE fleet_run SET finished_at_ms = NULL, started_by = json_set(started_by, '$.process.space', 'else'), \
               heartbeat_at_ms = CAST((julianday('now') - 2440587.5) * 86400000 AS integer)";
    sql(&ledger, own);
    fleet.run(&["rollback", "--run", "last", "--yes"]).exits(75).tells(&["still goes on", "nothing was started"]);
}

#[test]
fn a_rollback_that_goes_on_takes_nothing_that_came_meanwhile() {
    let fleet = Fleet::new().head("[fleet]\nattempts = 1\nmax_failures = \"unlimited\"\n").sqlite(2).postgres(1);
    let moved = run_id(&run(&fleet, &["migrate", "--yes", "--to", &all()[3]], 0));
    let back = run_id(&run(&fleet, &["rollback", "--run", &moved, "--yes"], 0));
    die_after(&fleet, &back, 1);
    for id in ["lite-001", "pg-000"] {
        let elsewhere = ["migrate", "--yes", "-q", "-t", id, "--to", &all()[4], "--ledger", "other.db"];
        fleet.run(&elsewhere).exits(0);
    }
    let resumed = fleet.run(&["runs", "resume", &back, "--yes"]).exits(100);
    resumed.shows(&["something else has moved it since"]);
    ["lite-001", "pg-000"].iter().for_each(|id| is_at(&fleet, id, 5));
    fleet.run(&["rollback", "--failed-of", "last", "--yes"]).exits(100).shows(&["something else has moved it since"]);
    ["lite-001", "pg-000"].iter().for_each(|id| is_at(&fleet, id, 5));
}

/// One died on its first tenant with a part of the steps, and one failed on the second: the same command goes on with both.
#[test]
fn a_rollback_that_stopped_within_a_tenant_is_gone_on_with_by_the_same_command() {
    let fleet = Fleet::new().head("[fleet]\nattempts = 1\nmax_failures = \"unlimited\"\n").sqlite(2).postgres(1);
    migrate_to(&fleet, "lite-000", 1);
    let moved = run_id(&run(&fleet, &["migrate", "--yes", "--to", &all()[3]], 0));
    let back = ["rollback", "--run", &moved, "--yes"];
    // The way down fails at its second step.
    let halves = ["lite-001", "pg-000"];
    halves.iter().for_each(|id| _ = fleet.ask(id, "ALTER TABLE tenant_features RENAME TO kept"));
    let failed = run(&fleet, &back, 100);
    assert_eq!(with(&failed, "failed"), halves);
    halves.iter().for_each(|id| is_at(&fleet, id, 3));
    let second = run_id(&run(&fleet, &back, 100));
    halves.iter().for_each(|id| is_at(&fleet, id, 3));
    // The second one dies, and how far it came is not recorded.
    halves.iter().for_each(|id| _ = fleet.ask(id, "ALTER TABLE kept RENAME TO tenant_features"));
    fleet.run(&["rollback", "--to", &all()[1], "--yes", "-q", "-t", "pg-000", "--ledger", "other.db"]).exits(0);
    die_after(&fleet, &second, 0);
    let ran = fleet.run(&back).exits(0);
    ran.shows(&["2 rolled back"]);
    halves.iter().for_each(|id| is_at(&fleet, id, 0));
    is_at(&fleet, "lite-000", 1);
}

/// It died with the outcome of one tenant; another run moved one of the others, and an id was given to another database.
#[test]
fn a_rollback_that_goes_on_asks_again_whom_it_may_take_back() {
    let mut fleet = Fleet::new().head("[fleet]\nattempts = 1\nmax_failures = \"unlimited\"\n").sqlite(3).postgres(2);
    let moved = run_id(&run(&fleet, &["migrate", "--yes"], 0));
    let back = run_id(&run(&fleet, &["rollback", "--run", &moved, "--yes"], 0));
    die_after(&fleet, &back, 1);
    fleet.run(&["migrate", "--yes", "-q", "--exclude", "lite-000", "--ledger", "other.db"]).exits(0);
    fleet.run(&["rollback", "--steps", "1", "--yes", "-q", "-t", "lite-001"]).exits(0);
    let pg = fleet.tenant("pg-001").url.clone();
    fleet.tenants.retain(|tenant| tenant.id != "pg-001");
    fleet.tenant_mut("pg-000").url = pg;
    let resumed = fleet.run(&["runs", "resume", &back, "--yes"]).exits(5).shows(&["1 rolled back"]);
    resumed.tells(&["lite-001: run ", "has moved it since", "pg-000: its database is ", "name its version with --to"]);
    [("lite-001", 5), ("lite-002", 0), ("pg-000", 6)].iter().for_each(|(id, applied)| is_at(&fleet, id, *applied));
}

/// Two ids have each other's database since: what goes on with a rollback by another way than its run knows them, too.
#[test]
fn a_rollback_is_not_gone_on_with_on_the_database_of_another_id() {
    for way in ["--failed-of", "resume"] {
        let mut fleet =
            Fleet::new().head("[fleet]\nattempts = 1\nmax_failures = \"unlimited\"\n").sqlite(1).postgres(2);
        fleet.run(&["migrate", "--yes", "-q", "--to", &all()[3]]).exits(0);
        fleet.ask("pg-000", "ALTER TABLE inventory_transactions RENAME TO kept");
        let back = ["rollback", "--to", &all()[1], "--yes"];
        let failed = run_id(&run(&fleet, &back, 100));
        is_at(&fleet, "pg-001", 2);
        fleet.run(&["migrate", "--yes", "-q", "-t", "pg-001", "--to", &all()[3]]).exits(0);
        let urls = ["pg-000", "pg-001"].map(|id| fleet.tenant(id).url.clone());
        fleet.tenant_mut("pg-000").url = urls[1].clone();
        fleet.tenant_mut("pg-001").url = urls[0].clone();
        let ran = match way {
            "resume" => {
                die_after(&fleet, &failed, 0);
                fleet.run(&["runs", "resume", &failed, "--yes"]).exits(5)
            }
            _ => fleet.run(&["rollback", "--failed-of", &failed, "--yes"]).exits(1),
        };
        ran.tells(&[
            "left out: pg-000: its database is ",
            &format!("and run {failed} had "),
            "name its version with --to",
        ]);
        is_at(&fleet, "pg-000", 4);
    }
}

/// The id of a tenant that left was given to another one, and an id now has a database on another server.
#[test]
fn a_database_that_the_run_did_not_move_is_not_taken_back_by_an_id() {
    let mut fleet = Fleet::new().sqlite(3).postgres(2);
    let moved = run_id(&run(&fleet, &["migrate", "--yes"], 0));
    let pg = fleet.tenant("pg-001").url.clone();
    fleet.tenants.retain(|tenant| tenant.id != "lite-002" && tenant.id != "pg-001");
    fleet.tenant_mut("lite-001").url = "sqlite:lite-002.db".to_owned();
    fleet.tenant_mut("pg-000").url = pg.clone();
    let dry = fleet.run(&["rollback", "--run", &moved, "--dry-run"]).exits(5);
    dry.tells(&[
        "lite-001: its database is lite-002.db now, and the run moved lite-001.db",
        "name its version with --to",
    ]);
    let ran = fleet.run(&["rollback", "--run", &moved, "--yes"]).exits(5);
    let ran = ran.shows(&["1 rolled back"]).tells(&["not taken back: pg-000: its database is postgres://"]);
    let secret = pg.split("://postgres:").nth(1).unwrap().split('@').next().unwrap();
    assert!(secret.len() < 3 || !ran.err.contains(secret), "{}", ran.err);
    is_at(&fleet, "lite-000", 0);
    is_at(&fleet, "lite-001", 6);
    is_at(&fleet, "pg-000", 6);
    // A ledger of an older program says nothing of it.
    fleet.run(&["migrate", "--yes", "-q"]).exits(0);
    let ledger = format!("sqlite:{}", fleet.path("fleet-ledger.db").display());
    sql(&ledger, "UPDATE fleet_tenant SET database_at = NULL");
    let last = fleet.run(&["rollback", "--run", "last", "--yes"]).exits(0);
    last.tells(&["was recorded without the places of 1 database", "is not told from it"]);
    is_at(&fleet, "lite-000", 0);
}

/// The version that the last run before left is that of the database which the id had then.
#[test]
fn the_version_before_a_killed_run_is_not_that_of_another_database() {
    let mut fleet = Fleet::new().sqlite(2);
    migrate_to(&fleet, "lite-000", 5);
    migrate_to(&fleet, "lite-001", 2);
    fleet.tenants.retain(|tenant| tenant.id == "lite-000");
    fleet.tenant_mut("lite-000").url = "sqlite:lite-001.db".to_owned();
    let moved = run_id(&run(&fleet, &["migrate", "--yes", "--to", &all()[4]], 0));
    is_at(&fleet, "lite-000", 5);
    die_after(&fleet, &moved, 0);
    let ran = fleet.run(&["rollback", "--run", &moved, "--yes"]).exits(1);
    ran.tells(&[
        "lite-000: a run ended without a certain outcome for it, so that its version before is not certain: run ",
        &format!(" left it at {}, when its database was lite-000.db", all()[4]),
        "name its version with --to",
    ]);
    is_at(&fleet, "lite-000", 5);
    // What is read of the tenants by hand is no version before.
    fleet.run(&["runs", "rebuild"]).exits(0);
    fleet.run(&["rollback", "--run", &moved, "--yes"]).exits(1).tells(&["when its database was lite-000.db"]);
    is_at(&fleet, "lite-000", 5);
}
