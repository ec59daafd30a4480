//! `runs resume` of every kind of run: exactly the tenants that it did not get to, with the same work, and nothing that
//! a later run has settled.

use crate::dumps::{run, run_id};
use crate::interrupted::Held;
use crate::support::{Fleet, all, finish, record, sql, wait};

/// Makes of a finished run one that died when the first tenants, in plan order, had their outcome.
fn die_after(fleet: &Fleet, run: &str, finished: usize) {
    let ledger = format!("sqlite:{}", fleet.path("fleet-ledger.db").display());
    sql(&ledger, &format!("DELETE FROM fleet_outcome WHERE run = '{run}' AND place >= {finished}"));
    sql(&ledger, &format!("UPDATE fleet_run SET finished_at_ms = NULL, stats = NULL WHERE run = '{run}'"));
}

fn tenants(report: &serde_json::Value) -> Vec<&str> {
    report["tenants"].as_array().unwrap().iter().map(|record| record["tenant"].as_str().unwrap()).collect()
}

#[test]
fn a_restore_that_died_goes_on_with_the_tenants_it_left_and_with_no_other() {
    let fleet = Fleet::new().sqlite(4);
    fleet.run(&["migrate", "--yes"]).exits(0);
    let source = run_id(&run(&fleet, &["backup"], 0));
    let chosen = ["-t", "lite-000", "-t", "lite-001", "-t", "lite-002"];
    let dead = run_id(&run(&fleet, &[&["restore", "--run", &source, "--yes"][..], &chosen].concat(), 0));
    die_after(&fleet, &dead, 1);
    for tenant in &fleet.tenants {
        fleet.ask(&tenant.id, "CREATE TABLE written_since (i int)");
    }
    let shown = fleet.run(&["runs", "show", "last"]).exits(0).shows(&[&format!("runs resume {dead}")]);
    assert!(!shown.out.contains("\n  small restore --run"), "{}", shown.out);

    // The backups are needed until the restore is over.
    let prune = || fleet.run(&["backup", "prune", "--older-than", "0s", "--yes"]).exits(0);
    let why = format!("run {dead}, which restores from it, left: lite-001, lite-002");
    prune().shows(&[&format!("kept {source}: {why}")]);
    fleet.run(&["backup", "list", "--width", "300"]).exits(0).shows(&[&why]);

    let resumed = run(&fleet, &["runs", "resume", &dead, "--yes"], 0);
    assert_eq!(tenants(&resumed), ["lite-001", "lite-002"], "{resumed}");
    let kept = |id: &str| fleet.has_table(id, "written_since");
    assert!(kept("lite-000"), "it was restored already");
    assert!(kept("lite-003"), "nobody chose it");
    assert!(!kept("lite-001") && !kept("lite-002"));
    fleet.run(&["runs", "resume", &dead, "--yes"]).exits(0).tells(&["settled since by run", "left nothing"]);
    fleet.run(&["backup"]).exits(0);
    prune().shows(&[&format!("removed {source}")]);
}

#[test]
fn every_kind_of_task_is_resumed_for_what_it_left() {
    let fleet = Fleet::new().head("[fleet]\nscripts = \"sql\"").sqlite(3);
    std::fs::create_dir(fleet.path("sql")).unwrap();
    let view = "-- fleet: view=v group=daily\nCREATE TABLE v AS SELECT 1 AS i;\n-- fleet: refresh\nDELETE FROM v;\n";
    std::fs::write(fleet.path("sql/0001_v.sql"), view).unwrap();
    std::fs::write(fleet.path("sql/0002_w.sql"), "CREATE TABLE w (i int);\n").unwrap();
    fleet.run(&["migrate", "--yes"]).exits(0);
    std::fs::write(fleet.path("sql/0002_w.sql"), "CREATE TABLE w (i int); -- edited\n").unwrap();
    let commands: [(&[&str], &str); 4] = [
        (&["scripts", "repair", "0002_w", "--yes"], "up_to_date"),
        (&["seed", "--rows", "w=3", "--append", "--yes"], "seeded"),
        (&["refresh", "--view", "v", "--yes"], "refreshed"),
        (&["backup"], "backed_up"),
    ];
    for (command, outcome) in commands {
        let dead = run_id(&run(&fleet, &[command, &["--exclude", "lite-002"]].concat(), 0));
        die_after(&fleet, &dead, 1);
        let resumed = run(&fleet, &["runs", "resume", "last", "--yes"], 0);
        assert_eq!(tenants(&resumed), ["lite-001"], "{resumed}");
        assert_eq!(record(&resumed, "lite-001")["outcome"], outcome, "{resumed}");
        fleet.run(&["runs", "show", "last"]).exits(0).shows(&[&dead]);
        fleet.run(&["runs", "resume", &dead, "--yes"]).exits(0).tells(&["left nothing"]);
    }
    let rows = |id: &str| fleet.ask(id, "SELECT CAST(count(*) AS text) FROM w").concat();
    assert_eq!((rows("lite-000"), rows("lite-001"), rows("lite-002")), ("3".into(), "3".into(), "0".into()));
}

#[test]
fn a_task_of_which_an_old_ledger_lacks_the_particulars_is_refused_with_its_tenants() {
    let fleet = Fleet::new().sqlite(2);
    fleet.run(&["migrate", "--yes"]).exits(0);
    let dead = run_id(&run(&fleet, &["backup"], 0));
    die_after(&fleet, &dead, 1);
    let ledger = format!("sqlite:{}", fleet.path("fleet-ledger.db").display());
    let old =
        "UPDATE fleet_run SET goal_data = '{\"chore\":\"refresh --group daily\"}', goal = 'refresh --group daily'";
    sql(&ledger, &format!("{old} WHERE run = '{dead}'"));
    let refused = fleet.run(&["runs", "resume", "last", "--yes"]).exits(64);
    refused.tells(&["nothing was started", "small refresh --group daily --tenant lite-001"]);
    sql(&ledger, &format!("UPDATE fleet_run SET goal_data = '{{\"kind\":\"verify\"}}' WHERE run = '{dead}'"));
    fleet.run(&["runs", "resume", "last", "--yes"]).exits(64).tells(&["nothing was started", "--tenant lite-001"]);
}

#[test]
fn a_rollback_that_died_does_not_take_back_what_was_migrated_since() {
    let fleet = Fleet::new().sqlite(3);
    fleet.run(&["migrate", "--yes"]).exits(0);
    let dead = run_id(&run(&fleet, &["rollback", "--to", &all()[2], "--yes"], 0));
    die_after(&fleet, &dead, 1);
    let later = run_id(&run(&fleet, &["migrate", "--yes", "--tenant", "lite-001"], 0));
    let resumed = fleet.run(&["runs", "resume", &dead, "--yes"]).exits(0);
    resumed.tells(&[&format!("1 tenant settled since by run {later}, left out: lite-001")]);
    assert_eq!(fleet.history("lite-001").unwrap(), all());
    assert_eq!(fleet.history("lite-002").unwrap(), all()[..3]);
    let shown = fleet.run(&["runs", "show", &dead]).exits(0);
    assert!(!shown.out.contains("runs resume"), "nothing is left: {}", shown.out);
}

#[test]
fn a_run_that_is_being_resumed_is_not_resumed_once_more() {
    let fleet = Fleet::new().head("[fleet]\nlock_timeout = \"60s\"").sqlite(2);
    let dead = run_id(&run(&fleet, &["migrate", "--yes", "--to", &all()[1]], 0));
    die_after(&fleet, &dead, 0);
    fleet.run(&["rollback", "--yes", "--to", &all()[0], "--tenant", "lite-000", "--ledger", "other.db"]).exits(0);
    let holder = Held::on(&fleet, "lite-000");
    let heir = fleet.program(&["runs", "resume", &dead, "--yes"]).spawn().unwrap();
    // The tenant file is not written again while the other program may be reading it.
    let list = || finish(&mut fleet.program(&["runs", "list", "--format", "json"])).exits(0).json();
    let newest = || list()["runs"][0].clone();
    let until = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while newest()["status"] != "running" {
        assert!(std::time::Instant::now() < until, "{:#}", newest());
    }
    let words = format!("run {dead} is being resumed by run {}", newest()["run"].as_str().unwrap());
    fleet.run(&["runs", "resume", &dead, "--yes"]).exits(75).tells(&[&words, "nothing was started"]);
    let shown = fleet.run(&["runs", "show", &dead]).exits(0);
    assert!(!shown.out.contains("runs resume"), "{}", shown.out);
    holder.release();
    wait(heir).exits(0);
}

#[test]
fn what_is_done_on_a_failure_is_kept_by_resume_and_by_what_is_proposed() {
    let fleet = Fleet::new().head("[fleet]\nattempts = 1").sqlite(2);
    fleet.run(&["migrate", "--yes", "--to", &all()[0]]).exits(0);
    fleet.ask("lite-000", "CREATE TABLE users (id int)");
    let flags = ["migrate", "--backup", "--on-failure", "restore", "--yes"];
    let failed = run(&fleet, &flags, 100);
    let again = format!("migrate --failed-of {} --backup --on-failure restore", run_id(&failed));
    assert!(failed["rerun"].as_str().unwrap().ends_with(&again), "{}", failed["rerun"]);
    die_after(&fleet, &run_id(&failed), 1);
    fleet.run(&["runs", "show", "last"]).exits(0).shows(&[&again]);
    fleet.run(&["migrate", "--yes", "--failed-of", "last", "--max-failures", "5"]).exits(100);
    let resumed = run(&fleet, &["runs", "resume", &run_id(&failed), "--yes", "--max-failures", "5"], 100);
    let ledger = format!("sqlite:{}", fleet.path("fleet-ledger.db").display());
    let kind = sql(&ledger, &format!("SELECT goal_data FROM fleet_run WHERE run = '{}'", run_id(&resumed))).concat();
    assert!(kind.contains("\"restore_on_failure\":true"), "{kind}");
}

#[test]
fn restore_leaves_no_tenant_out_in_silence() {
    let mut fleet = Fleet::new().sqlite(4);
    fleet.run(&["migrate", "--yes"]).exits(0);
    let source = run_id(&run(&fleet, &["backup", "--exclude", "lite-003"], 0));
    let none = format!("run {source} has no whole backup of this tenant");
    let message = |report: &serde_json::Value, id: &str| record(report, id)["error"]["message"].to_string();
    // Named, and not backed up.
    let named = run(&fleet, &["restore", "--run", &source, "-t", "lite-000", "-t", "lite-003", "--yes"], 100);
    assert_eq!(record(&named, "lite-000")["outcome"], "restored");
    assert!(message(&named, "lite-003").contains(&none), "{named}");
    // A manifest that is garbled, and a backup that is gone.
    let folder = fleet.path("backups").join(&source);
    std::fs::write(folder.join("lite-001.json"), "{").unwrap();
    for ending in ["json", "db"] {
        std::fs::remove_file(folder.join(format!("lite-002.{ending}"))).unwrap();
    }
    let all = run(&fleet, &["restore", "--run", &source, "--yes"], 100);
    assert_eq!(tenants(&all), ["lite-000", "lite-001", "lite-002"], "{all}");
    assert!(message(&all, "lite-001").contains(&none) && message(&all, "lite-002").contains(&none), "{all}");
    // A tenant that has left the file is told.
    fleet.tenants.remove(0);
    let rest = fleet.run(&["restore", "--run", &source, "--yes"]).exits(100);
    rest.tells(&["1 of the tenants wanted from run", "lite-000"]);
}

#[test]
fn failures_of_a_task_that_left_the_file_are_named() {
    let mut fleet = Fleet::new().head("[fleet]\nattempts = 1").sqlite(3);
    fleet.run(&["migrate", "--yes"]).exits(0);
    for id in ["lite-001", "lite-002"] {
        std::fs::write(fleet.path(&format!("{id}.db")), "this was a database, and is none any more: unread").unwrap();
    }
    let failed = run_id(&run(&fleet, &["backup"], 100));
    std::fs::copy(fleet.path("lite-000.db"), fleet.path("lite-001.db")).unwrap();
    fleet.tenants.pop();
    let again = fleet.run(&["backup", "--failed-of", &failed]).exits(5);
    again.tells(&["not in the tenant file any more: lite-002"]).shows(&["1 backed up"]);
}

#[test]
fn a_resumed_run_keeps_the_limits_that_were_flags_and_says_which() {
    let fleet = Fleet::new().head("[fleet]\nconcurrency = 1\n").sqlite(4);
    fleet.ask("lite-000", "CREATE TABLE users (id int)");
    let begun = ["migrate", "--yes", "--max-failures", "0", "--attempts", "1", "--rate", "6000/min"];
    let stopped = run_id(&run(&fleet, &begun, 101));
    let kept = format!("kept from run {stopped}: --max-failures 0 --attempts 1 --rate 6000/min");
    let resume = |more: &[&str]| fleet.run(&[&["runs", "resume", "last", "--yes"][..], more].concat());
    resume(&[]).exits(101).tells(&[&kept, "its max_failures allows none; still failed: lite-000", "3 other tenants"]);
    assert_eq!(fleet.history("lite-001"), None, "its budget is used up still");
    let raised = resume(&["--max-failures", "1", "--rate", "9000/min"]).exits(100);
    raised.tells(&[&format!("kept from run {stopped}: --attempts 1; give a flag")]).shows(&["3 migrated"]);
    let story = fleet.run(&["runs", "show", "last", "--format", "json"]).exits(0).json();
    assert_eq!(story["events"][0]["event"]["max_failures"], "1", "{story:#}");
    // One that resumes the resumed run has what both were told.
    die_after(&fleet, story["run"].as_str().unwrap(), 1);
    resume(&["--keep-going"]).exits(100).tells(&["--rate 9000/min --attempts 1; give a flag"]);
}
