//! Runs that paused, or stopped at several places, and what happened to them before they go on.

use std::fs::{remove_file, write};

use crate::dumps::{run, run_id};
use crate::support::{Fleet, Ran, all};
use crate::undoing::die_after;

/// A fleet with scripts whose run has paused behind its canary, `lite-003`.
fn paused() -> Fleet {
    let wave = "[[wave]]\nname = \"canary\"\ntenants = [\"lite-003\"]\n[wave.gate]\nthen = \"pause\"\n";
    let fleet = Fleet::new().head(&format!("[fleet]\nattempts = 1\nscripts = \"sql\"\n{wave}")).sqlite(4);
    std::fs::create_dir(fleet.path("sql")).unwrap();
    write(fleet.path("sql/0009_a.sql"), "CREATE TABLE a (i int);\n").unwrap();
    write(fleet.path("sql/0009_a.down.sql"), "DROP TABLE a;\n").unwrap();
    write(fleet.path("sql/R__v.sql"), "CREATE VIEW v AS SELECT 1 AS one;\n").unwrap();
    fleet.run(&["migrate", "--yes"]).exits(5);
    fleet
}

fn last_run(fleet: &Fleet) -> String {
    let listed = fleet.run(&["runs", "list", "--format", "json"]).exits(0).json();
    listed["runs"][0]["run"].as_str().unwrap().to_owned()
}

/// Whether the tenants behind the canary have the table of the script.
fn others_have_it(fleet: &Fleet) -> bool {
    let has = |id: &&str| fleet.has_table(id, "a");
    let having = ["lite-000", "lite-001", "lite-002"].iter().filter(|id| has(id)).count();
    assert!([0, 3].contains(&having), "{having} of 3");
    having == 3
}

#[track_caller]
fn refuses_to_go_on(fleet: &Fleet, changed: &str) {
    for command in [&["runs", "resume", "last", "--yes"][..], &["runs", "approve", "last", "--by", "ann", "--yes"]] {
        let said =
            [changed, "no earlier wave has seen", "nothing was touched", "small scripts repair", "small migrate"];
        fleet.run(command).exits(2).tells(&said);
        assert!(!others_have_it(fleet));
    }
    let back = "put the scripts back as they were, then: small runs resume";
    let shown = fleet.run(&["runs", "show", "last"]).exits(0);
    let shown = shown.shows(&[changed, "no earlier wave has seen", back, "small scripts repair", "small migrate"]).out;
    assert!(!shown.contains("did not get to") && !shown.contains("runs approve"), "{shown}");
    assert_eq!(shown.matches("runs resume").count(), 1, "{shown}");
}

/// The tenants behind the gate would get a text that no canary has seen.
#[test]
fn a_script_that_was_edited_while_a_run_was_paused_stops_it() {
    let mut fleet = paused();
    write(fleet.path("sql/0009_a.sql"), "CREATE TABLE a (i int, j int);\n").unwrap();
    refuses_to_go_on(&fleet, "0009_a was edited");
    // Whatever has become of the canary: the run itself knows its texts.
    fleet.tenant_mut("lite-003").more = "freeze_at = \"0009_a\"".to_owned();
    fleet.write();
    refuses_to_go_on(&fleet, "0009_a was edited");
    fleet.tenant_mut("lite-003").more = "freeze_at = \"R__v\"".to_owned();
    fleet.write();
    fleet.run(&["runs", "approve", "last", "--by", "ann", "--yes"]).exits(78).tells(&["R__v", "names a repeatable"]);
    fleet.tenant_mut("lite-003").more = String::new();
    fleet.write();
    write(fleet.path("sql/0009_a.sql"), "CREATE TABLE a (i int);\n").unwrap();

    write(fleet.path("sql/R__v.sql"), "CREATE VIEW v AS SELECT 2 AS one;\n").unwrap();
    refuses_to_go_on(&fleet, "R__v was edited");
    write(fleet.path("sql/R__v.sql"), "CREATE VIEW v AS SELECT 1 AS one;\n").unwrap();

    write(fleet.path("sql/0008_b.sql"), "CREATE TABLE b (i int);\n").unwrap();
    refuses_to_go_on(&fleet, "0008_b was added");
    remove_file(fleet.path("sql/0008_b.sql")).unwrap();
    write(fleet.path("sql/0010_c.sql"), "CREATE TABLE c (i int);\n").unwrap();
    refuses_to_go_on(&fleet, "0010_c was added");
    remove_file(fleet.path("sql/0010_c.sql")).unwrap();
    fleet.run(&["runs", "approve", "last", "--by", "ann", "--yes"]).exits(0);
    assert!(others_have_it(&fleet));
}

/// A script behind the goal of the run is brought to nobody by it.
#[test]
fn a_script_behind_the_goal_of_a_paused_run_does_not_hinder_it() {
    let fleet = paused();
    write(fleet.path("sql/0010_c.sql"), "CREATE TABLE c (i int);\n").unwrap();
    fleet.run(&["migrate", "--yes", "--to", "0010_c"]).exits(5);
    write(fleet.path("sql/0011_d.sql"), "CREATE TABLE d (i int);\n").unwrap();
    fleet.run(&["runs", "approve", "last", "--by", "ann", "--yes"]).exits(0);
    assert!(fleet.has_table("lite-000", "c") && !fleet.has_table("lite-000", "d"));
}

#[test]
fn a_run_that_was_taken_back_is_not_gone_on_with() {
    let fleet = paused();
    let run = last_run(&fleet);
    fleet.run(&["rollback", "--run", "last", "--yes"]).exits(0);
    assert!(!fleet.has_table("lite-003", "a"));
    let again = "from the first wave on: small migrate";
    for command in [&["runs", "resume", &run, "--yes"][..], &["runs", "approve", &run, "--by", "ann", "--yes"]] {
        fleet.run(command).exits(64).tells(&["has taken back what run", "nothing was touched", again]);
        assert!(!others_have_it(&fleet));
    }
    let shown = fleet.run(&["runs", "show", &run]).exits(0).shows(&[again]);
    fleet.run(&["runs", "list"]).exits(0).shows(&["paused, taken back later"]);
    let waiting = fleet.run(&["runs", "list", "--status", "paused", "--format", "json"]).json();
    assert_eq!(waiting["runs"].as_array().map(Vec::len), Some(0), "{waiting}");
    assert!(!shown.out.contains("small runs resume"), "{}", shown.out);
    fleet.run(&["migrate", "--yes"]).exits(5);
    fleet.run(&["runs", "approve", "last", "--by", "ann", "--yes"]).exits(0);
    assert!(others_have_it(&fleet));
}

/// A canary of each engine, of which each tenant is moved back in another way; none of it by `rollback --run`.
#[test]
fn a_run_whose_canary_was_moved_back_is_not_gone_on_with() {
    let wave = "[[wave]]\nname = \"canary\"\ntenants = [\"*-000\"]\n[wave.gate]\nthen = \"pause\"\n";
    let fleet = Fleet::new().head(&format!("[fleet]\nattempts = 1\n{wave}")).sqlite(2).postgres(1).mariadb(1);
    fleet.run(&["migrate", "--yes", "-q", "--to", &all()[1], "-t", "*-000"]).exits(0);
    let backups = run_id(&run(&fleet, &["backup", "-t", "lite-000"], 0));
    let paused = run_id(&run(&fleet, &["migrate", "--yes", "--to", &all()[3]], 5));
    let approve = ["runs", "approve", &paused, "--by", "ann", "--yes"];
    let refused = |ids: &str, by: &str| {
        let there = format!("small migrate --to {}", all()[3]);
        for command in [&["runs", "resume", &paused, "--yes"][..], &approve] {
            let ran = fleet.run(command).exits(64);
            ran.tells(&["moved back since", &format!("{ids}, by run {by}"), "nothing was touched", &there]);
        }
        let shown = fleet.run(&["runs", "show", &paused]).exits(0);
        says(
            &shown,
            &["moved back since: ", &format!("{ids} by run {by}"), "1 tenant that waits for them stays", &there],
        );
        assert!(!shown.out.contains("runs approve"), "{}", shown.out);
        fleet.run(&["runs", "pause", &paused]).exits(64).tells(&[&format!("small runs show {paused}")]);
        assert_eq!(fleet.history("lite-001"), None);
    };
    let there_again = |ids: &[&str]| {
        let tenants = ids.iter().flat_map(|id| ["--tenant", id]);
        let words: Vec<&str> = ["migrate", "--yes", "-q", "--to", &all()[3]].into_iter().chain(tenants).collect();
        fleet.run(&words).exits(0);
    };

    fleet.run(&["rollback", "--steps", "1", "--yes", "-q", "-t", "pg-000"]).exits(0);
    refused("pg-000", &last_run(&fleet));
    there_again(&["pg-000"]);
    fleet.run(&["rollback", "--to", &all()[0], "--yes", "-q", "-t", "my-000"]).exits(0);
    refused("my-000", &last_run(&fleet));
    fleet.run(&["restore", "--run", &backups, "--yes", "-q", "-t", "lite-000"]).exits(0);
    refused("lite-000", &last_run(&fleet));
    there_again(&["my-000", "lite-000"]);
    // Moved on, and back to no further than the goal, it is what the gate stood on.
    fleet.run(&["migrate", "--yes", "-q", "--to", &all()[4], "-t", "pg-000", "-t", "my-000"]).exits(0);
    fleet.run(&["rollback", "--steps", "1", "--yes", "-q", "-t", "pg-000"]).exits(0);
    says(&fleet.run(&["runs", "show", &paused]).exits(0), &[&format!("small runs approve {paused} --by NAME")]);
    fleet.run(&approve).exits(0);
    assert_eq!(fleet.history("lite-001").unwrap(), all()[..4]);
}

/// The commands that bring it there again would refuse it as long as it is in quarantine.
#[test]
fn a_canary_that_was_moved_back_and_is_in_quarantine_is_named_with_the_way_out_of_it() {
    let mut fleet = paused();
    let run = last_run(&fleet);
    fleet.run(&["rollback", "--steps", "1", "--yes", "-q", "-t", "lite-003"]).exits(0);
    fleet.tenant_mut("lite-003").more = "quarantine = { reason = \"half a restore\" }".to_owned();
    let out = "lite-003 is in quarantine, half a restore; to take it out: small tenants release lite-003";
    for command in [&["runs", "resume", &run, "--yes"][..], &["runs", "approve", &run, "--by", "ann", "--yes"]] {
        fleet.run(command).exits(64).tells(&[
            "moved back since",
            out,
            "to bring them there again",
            "nothing was touched",
        ]);
    }
    says(&fleet.run(&["runs", "show", &run]).exits(0), &[out]);
    fleet.tenant_mut("lite-003").more = String::new();
    fleet.run(&["migrate", "--yes", "-q", "-t", "lite-003"]).exits(0);
    fleet.run(&["runs", "resume", &run, "--yes"]).exits(0);
    assert!(others_have_it(&fleet));
}

/// Nobody waits for a tenant of the same wave: the others of it go on.
#[test]
fn a_tenant_that_was_moved_back_holds_up_no_other_of_its_wave() {
    let fleet = Fleet::new().head("[fleet]\nattempts = 1\n").sqlite(3);
    let died = run_id(&run(&fleet, &["migrate", "--yes"], 0));
    die_after(&fleet, &died, 1);
    fleet.run(&["rollback", "--steps", "1", "--yes", "-q", "-t", "lite-000"]).exits(0);
    fleet.run(&["runs", "resume", &died, "--yes"]).exits(0).shows(&["2 up to date"]);
}

/// Two lines of waves that do not wait for each other, the second with a pause behind its canary.
fn two_lines(first: &str) -> Fleet {
    let wave = |name: &str, tenant: &str, more: &str| {
        format!("[[wave]]\nname = \"{name}\"\ntenants = [\"{tenant}\"]\n{more}\n")
    };
    let waves = [
        wave("canary-eu", "lite-000", first),
        wave("eu", "lite-001", "depends_on = [\"canary-eu\"]"),
        wave("canary-us", "lite-002", "depends_on = []\ngate = { command = [\"true\"], then = \"pause\" }"),
        wave("us", "lite-003", "depends_on = [\"canary-us\"]"),
    ];
    Fleet::new().head(&format!("[fleet]\nattempts = 1\n{}", waves.concat())).sqlite(4)
}

fn done(fleet: &Fleet) -> [bool; 4] {
    ["lite-000", "lite-001", "lite-002", "lite-003"].map(|id| fleet.history(id).unwrap_or_default() == all())
}

/// Only those that wait for the canary that was moved back are left out.
#[test]
fn a_line_of_waves_goes_on_although_the_canary_of_another_one_was_moved_back() {
    let fleet = two_lines("gate = { command = [\"true\"], then = \"pause\" }");
    let paused = run_id(&run(&fleet, &["migrate", "--yes"], 5));
    fleet.run(&["rollback", "--steps", "1", "--yes", "-q", "-t", "lite-000"]).exits(0);
    let by = last_run(&fleet);
    let (resume, there) = (format!("small runs resume {paused}"), "small migrate --tenant lite-000");
    let back = format!("moved back since: lite-000 by run {by}; 1 tenant that waits for them stays");
    says(&fleet.run(&["runs", "show", &paused]).exits(0), &[&resume, &back, there]);
    let gone_on = fleet.run(&["runs", "approve", &paused, "--by", "ann", "--yes"]).exits(5);
    gone_on.tells(&[
        "left out: lite-001: tenants of the waves that they wait for",
        &format!("lite-000, by run {by}"),
        there,
    ]);
    assert_eq!(done(&fleet), [false, false, true, true]);
    // Nobody else is left by now.
    let shown = fleet.run(&["runs", "show", &paused]).exits(0);
    says(&shown, &[&back, there, &format!("resumed by run {}, which has the others", last_run(&fleet))]);
    fleet.run(&["runs", "resume", &paused, "--yes"]).exits(64).tells(&["is not gone on with", "nothing was touched"]);
    fleet.run(&["migrate", "--yes", "-q", "-t", "lite-000"]).exits(0);
    says(&fleet.run(&["runs", "show", &paused]).exits(0), &[&resume]);
    fleet.run(&["runs", "resume", &paused, "--yes"]).exits(0);
    assert_eq!(done(&fleet), [true; 4]);
}

/// The gate of a wave holds for the tenants that the run had in it, whatever the file says of them since.
#[test]
fn a_tenant_file_that_changed_while_a_run_was_paused_is_told_or_stops_it() {
    let wave = "[[wave]]\nname = \"canary\"\ntenants = [\"lite-003\"]\n[wave.gate]\ncommand = [\"false\"]\non_failure = \"pause\"\n";
    let head = format!("[fleet]\nattempts = 1\n{wave}");
    let mut fleet = Fleet::new().head(&head).sqlite(4);
    let paused = run_id(&run(&fleet, &["migrate", "--yes"], 5));
    let resume = |fleet: &Fleet| fleet.run(&["runs", "resume", &paused, "--yes"]);
    // The wave has another tenant now, or none.
    for tenant in ["lite-000", "nobody-*"] {
        fleet.head = head.replace("lite-003", tenant);
        resume(&fleet)
            .exits(5)
            .tells(&["in wave canary, as run ", "lite-003"])
            .shows(&["the gate of wave canary failed"]);
        assert_eq!(done(&fleet), [false, false, false, true]);
    }
    fleet.head = head.replace("\"canary\"", "\"first\"");
    let gone = "its wave canary is not in tenants.toml any more";
    resume(&fleet).exits(64).tells(&[gone, "nothing was touched", "small migrate"]);
    fleet.run(&["runs", "approve", &paused, "--by", "ann", "--yes"]).exits(64).tells(&[gone]);
    says(&fleet.run(&["runs", "show", "last"]).exits(0), &[gone]);
    // One left the file, one has another name, and one another database.
    fleet.head = head.clone();
    fleet.tenants.remove(0);
    fleet.tenant_mut("lite-001").id = "renamed".to_owned();
    std::fs::write(fleet.path("new.db"), "").unwrap();
    fleet.tenant_mut("lite-002").url = "sqlite:new.db".to_owned();
    fleet.head = head.replace("[wave.gate]\ncommand = [\"false\"]\non_failure = \"pause\"\n", "");
    let told = resume(&fleet).exits(5);
    let told = told
        .tells(&["are not in the tenant file any more: lite-000, lite-001", "has no gate behind wave canary any more"]);
    told.tells(&["1 database by another place", "lite-002"]).shows(&["1 migrated"]);
    assert_eq!(fleet.history("lite-002").unwrap(), all());
    assert_eq!(fleet.history("renamed"), None);
}

#[test]
fn a_run_that_failed_in_one_line_of_waves_and_paused_in_another_has_failed() {
    let fleet = two_lines("gate = { command = [\"sh\", \"-c\", \"echo on fire; false\"] }");
    fleet.run(&["migrate", "--yes"]).exits(101).shows(&["the gate of wave canary-eu failed"]);
    assert_eq!(done(&fleet), [true, false, true, false]);
    fleet.run(&["runs", "show", "last"]).exits(0).shows(&["the gate of wave canary-eu failed"]);

    let fleet = two_lines("");
    fleet.ask("lite-000", "CREATE TABLE users (id int)");
    fleet.run(&["migrate", "--yes"]).exits(101);
    assert_eq!(done(&fleet), [false, false, true, false]);
}

/// Asserts that stdout says these, wherever its lines end.
#[track_caller]
fn says(ran: &Ran, words: &[&str]) {
    let out = ran.out.split_whitespace().collect::<Vec<_>>().join(" ");
    for word in words {
        assert!(out.contains(word), "no {word:?} in stdout:\n{}", ran.out);
    }
}

/// Both at once: the failures that have used the budget up are first, and whoever goes on past them is told the same.
#[test]
fn a_run_that_used_up_a_budget_and_paused_names_what_is_first_and_so_does_the_run_that_goes_on() {
    let fleet = two_lines("");
    fleet.ask("lite-000", "CREATE TABLE users (id int)");
    let first = run_id(&run(&fleet, &["migrate", "--yes"], 101));
    let why =
        "the failure budget of wave canary-eu was used up: 1 of 1 finished failed, and its max_failures allows none";
    let mended = format!("small migrate --failed-of {first}");
    let once = "once wave canary-eu has no failure: small runs";
    let shown = fleet.run(&["runs", "show", &first]).exits(0);
    says(&shown, &[why, &mended, &format!("{once} resume {first}"), &format!("{once} approve {first} --by NAME")]);
    // The other line goes on; the one that failed is not the approved run's own.
    let gone_on = fleet.run(&["runs", "approve", &first, "--by", "ann", "--yes"]).exits(101);
    assert_eq!(done(&fleet), [false, false, true, true]);
    let second = last_run(&fleet);
    for ran in [gone_on, fleet.run(&["runs", "show", &second]).exits(0)] {
        says(&ran, &[why, &mended, &format!("{once} resume {second}")]);
    }
    let refused = fleet.run(&["runs", "resume", &second, "--yes"]).exits(101);
    refused.tells(&[why, "still failed: lite-000", &format!("first: {mended}"), "max_failures in"]);
    fleet.ask("lite-000", "DROP TABLE users");
    fleet.run(&["migrate", "--failed-of", &first, "--yes"]).exits(0);
    fleet.run(&["runs", "resume", &second, "--yes"]).exits(0);
    assert_eq!(done(&fleet), [true; 4]);
}

/// The budget of the whole run lets nobody past its pause.
#[test]
fn an_approval_is_proposed_for_when_the_budget_of_the_run_lets_it_go_on() {
    let mut fleet = two_lines("gate = { command = [\"true\"], then = \"pause\" }");
    fleet.head = fleet.head.replace("attempts = 1", "attempts = 1\nrun_max_failures = 0");
    fleet.ask("lite-002", "CREATE TABLE users (id int)");
    let stopped = run_id(&run(&fleet, &["migrate", "--yes"], 101));
    let approve = format!("small runs approve {stopped} --by NAME");
    let shown = fleet.run(&["runs", "show", &stopped]).exits(0);
    says(&shown, &["Stopped early: the failure budget of ", &format!("has no failure: {approve}")]);
    let refused = fleet.run(&["runs", "approve", &stopped, "--by", "ann", "--yes"]).exits(101);
    let why = "the failure budget of the run was used up: 1 of 2 finished failed, and its run_max_failures allows none";
    refused.tells(&[why, "still failed: lite-002", "run_max_failures in"]);
    fleet.ask("lite-002", "DROP TABLE users");
    fleet.run(&["migrate", "--failed-of", &stopped, "--yes"]).exits(0);
    // The gate of the wave that failed was not asked yet.
    fleet.run(&["runs", "approve", &stopped, "--by", "ann", "--yes"]).exits(5);
    fleet.run(&["runs", "approve", "last", "--by", "ann", "--yes"]).exits(0);
    assert_eq!(done(&fleet), [true; 4]);
}

#[test]
fn a_run_that_paused_at_two_gates_names_the_one_that_failed() {
    let fleet = two_lines("gate = { command = [\"sh\", \"-c\", \"echo on fire; false\"], on_failure = \"pause\" }");
    fleet.run(&["migrate", "--yes"]).exits(5).shows(&["because the gate of wave canary-eu failed"]);
    fleet.run(&["runs", "show", "last"]).exits(0).shows(&["because the gate of wave canary-eu failed"]);
    let approved = fleet.run(&["runs", "approve", "last", "--by", "ann", "--yes"]).exits(0);
    approved.tells(&["approved in spite of its gate", "canary-eu", "on fire"]);
    assert_eq!(done(&fleet), [true; 4]);
}

/// Its command goes on with the rollback, not with a migration.
#[test]
fn those_that_a_rollback_failed_on_are_rolled_back_again() {
    let fleet = Fleet::new().head("[fleet]\nattempts = 1\nconcurrency = 1\nmax_failures = 0").sqlite(3);
    fleet.run(&["migrate", "--yes", "--to", &all()[3]]).exits(0);
    fleet.ask("lite-000", "ALTER TABLE inventory_transactions RENAME TO away");
    fleet.run(&["rollback", "--steps", "1", "--yes"]).exits(101);
    let run = last_run(&fleet);
    assert!(fleet.has_table("lite-000", "away"));
    let resumed = fleet.run(&["runs", "resume", &run, "--yes", "--max-failures", "1"]);
    assert!(!resumed.err.contains("migrate --failed-of"), "{}", resumed.err);
    resumed.exits(100).tells(&[&format!("small rollback --failed-of {run}")]);
}
