//! Saved plans: what was approved is what happens, or it is refused with the difference.

use crate::dumps::{run, run_id};
use crate::support::{Fleet, all, finish, sql};

const HEAD: &str =
    "[fleet]\nscripts = \"sql\"\nlock_timeout = \"2s\"\n[[wave]]\nname = \"canary\"\ntenants = [\"lite-000\"]\n";

fn fleet() -> Fleet {
    let fleet = Fleet::new().head(HEAD).sqlite(2).postgres(1).mariadb(1);
    std::fs::create_dir(fleet.path("sql")).unwrap();
    script(&fleet, "CREATE TABLE notes (id integer);\n");
    fleet.run(&["migrate", "--yes", "-q", "--to", &all()[2]]).exits(0);
    fleet
}

fn script(fleet: &Fleet, text: &str) {
    std::fs::write(fleet.path("sql/0001_notes.up.sql"), text).unwrap();
}

fn save(fleet: &Fleet) -> String {
    let saved = fleet.run(&["plan", "--save", "plan.json"]).exits(0);
    saved.shows(&[
        "saved plan.json: 4 tenants, digest ",
        "plan approve plan.json --by NAME",
        "migrate --plan plan.json",
    ]);
    let plan: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(fleet.path("plan.json")).unwrap()).unwrap();
    plan["digest"].as_str().unwrap().to_owned()
}

/// Refused with this difference, and nothing was touched.
#[track_caller]
fn refused(fleet: &Fleet, words: &[&str]) {
    let ran = fleet.run(&["migrate", "--plan", "plan.json", "--yes"]).exits(2);
    ran.tells(&["does not hold any more, and nothing was touched", "small plan --save plan.json"]).tells(words);
    assert_eq!(fleet.history("my-000").unwrap(), all()[..3], "nothing was touched");
}

#[test]
fn a_plan_that_was_saved_runs_as_it_was_saved() {
    let fleet = fleet();
    let digest = save(&fleet);
    assert_eq!(save(&fleet), digest, "the same fleet makes the same plan");
    let text = std::fs::read_to_string(fleet.path("plan.json")).unwrap();
    let secrets = fleet.tenants.iter().filter_map(|tenant| tenant.url.split_once("://")).map(|(_, rest)| rest);
    assert!(secrets.into_iter().all(|rest| !text.contains(rest)), "{text}");
    fleet.run(&["migrate", "--plan", "plan.json", "--dry-run"]).exits(0).shows(&["canary"]);
    fleet.run(&["plan", "approve", "plan.json", "--by", "Ada"]).exits(0).shows(&["Ada approved the plan", &digest]);
    fleet.run(&["migrate", "--plan", "plan.json", "--yes"]).exits(0).shows(&["4 migrated"]);
    let shown = fleet.run(&["runs", "show", "last"]).exits(0);
    shown.shows(&["plan", &digest, "approved", "Ada"]);
    let json = fleet.run(&["runs", "show", "last", "--format", "json"]).exits(0).json();
    assert_eq!(
        (json["plan"]["digest"].as_str(), json["plan"]["approvals"][0]["by"].as_str()),
        (Some(&*digest), Some("Ada"))
    );
    // Done once, it does not hold any more.
    fleet.run(&["migrate", "--plan", "plan.json", "--yes"]).exits(2).tells(&["they have moved since"]);
    let back = fleet.run(&["plan", "--run", "last", "--save", "back.json"]).exits(0);
    back.shows(&["4 tenants", "rollback --plan back.json"]);
    fleet
        .run(&["migrate", "--plan", "back.json", "--yes"])
        .exits(64)
        .tells(&["goes down", "rollback --plan back.json"]);
    fleet.run(&["rollback", "--plan", "back.json", "--yes"]).exits(1).tells(&["no way down"]);
}

#[test]
fn a_plan_that_does_not_hold_any_more_is_refused_with_each_difference() {
    let mut fleet = fleet();
    save(&fleet);
    // One tenant was moved by hand.
    fleet.run(&["migrate", "--yes", "-q", "--to", &all()[3], "-t", "pg-000", "--ledger", "other.db"]).exits(0);
    refused(&fleet, &[&format!("tenant pg-000 is at {}, planned from {}: it has moved since", all()[3], all()[2])]);
    save(&fleet);
    // One script was edited.
    script(&fleet, "CREATE TABLE notes (id integer, text text);\n");
    refused(&fleet, &["the script of 0001_notes (sqlite, up) was edited", "0001_notes (postgres, up)", "planned"]);
    script(&fleet, "CREATE TABLE notes (id integer);\n");
    fleet.run(&["migrate", "--plan", "plan.json", "--dry-run"]).exits(0);
    // One more script came.
    std::fs::write(fleet.path("sql/0002_more.up.sql"), "CREATE TABLE more (id integer);\n").unwrap();
    refused(&fleet, &["the script of 0002_more (sqlite) is new: it is not in the plan"]);
    std::fs::remove_file(fleet.path("sql/0002_more.up.sql")).unwrap();
    // One limit was changed.
    fleet.head = HEAD.replace("\"2s\"", "\"9s\"");
    refused(&fleet, &["lock_timeout is 9s, planned 2s"]);
    fleet.head = format!("{HEAD}max_failures = 1\n");
    refused(&fleet, &["max_failures of wave canary is 1, planned 0"]);
    let canary = |keys: &str| format!("{HEAD}{keys}\n");
    fleet.head = canary("per_server = 2\nwindow = \"22:00-04:00 Europe/Berlin\"");
    refused(&fleet, &["per_server of wave canary is 2, planned not set", "window of wave canary is 22:00"]);
    fleet.head = canary("[wave.gate]\nsoak = \"1m\"");
    refused(&fleet, &["gate of wave canary is soak 1m; then continue"]);
    fleet.head = format!("{HEAD}[hooks]\nbefore_run = [\"true\"]\n");
    refused(&fleet, &["hook before_run is", "planned not set"]);
    fleet.head = HEAD.replace("lock_timeout", "run_max_failures = 3\nlock_timeout");
    refused(&fleet, &["run_max_failures is 3, planned unlimited"]);
    fleet.head = HEAD.replace("lock_timeout", "connect_timeout = \"9s\"\nlock_timeout");
    refused(&fleet, &["connect_timeout is 9s, planned 10s"]);
    fleet.head = HEAD.replace("lock_timeout", "min_free_space = \"1MB\"\nlock_timeout");
    refused(&fleet, &["min_free_space is 1", "planned not set"]);
    fleet.head = HEAD.to_owned();
    // The file is of another fleet, and was of one without a name.
    fleet.head = HEAD.replace("[fleet]", "[fleet]\nname = \"staging\"");
    refused(&fleet, &["this is the fleet staging, and the plan is for a fleet without a name"]);
    save(&fleet);
    fleet.head = HEAD.replace("[fleet]", "[fleet]\nname = \"shop\"");
    refused(&fleet, &["this is the fleet shop, and the plan is for the fleet staging"]);
    fleet.head = HEAD.to_owned();
    refused(&fleet, &["this is a fleet without a name, and the plan is for the fleet staging"]);
    save(&fleet);
    // One is in quarantine, or frozen, or is not any more.
    fleet.tenant_mut("lite-001").more = "quarantine = { reason = \"broken\", until = \"2999-01-01\" }".to_owned();
    refused(&fleet, &["quarantine of tenant lite-001 is broken (until 2999-01-01), planned not set"]);
    save(&fleet);
    fleet.tenant_mut("lite-001").more = format!("freeze_at = \"{}\"", all()[3]);
    let held = ["quarantine of tenant lite-001 is not set, planned broken", "freeze_at of tenant lite-001 is "];
    refused(&fleet, &held);
    fleet.tenant_mut("lite-001").more.clear();
    save(&fleet);
    // The order of tenants is another one.
    fleet.tenant_mut("lite-001").more = "depends_on = [\"pg-000\"]".to_owned();
    refused(&fleet, &["depends_on of tenant lite-001 is pg-000, planned not set"]);
    fleet.tenant_mut("lite-001").more.clear();
    // One tenant is another database.
    std::fs::copy(fleet.path("lite-001.db"), fleet.path("copy.db")).unwrap();
    fleet.tenant_mut("lite-001").url = "sqlite:copy.db".to_owned();
    refused(&fleet, &["tenant lite-001 is another database than the planned one"]);
    fleet.tenant_mut("lite-001").url = "sqlite:lite-001.db".to_owned();
    // Its migrations would go elsewhere.
    let url = fleet.tenant_mut("pg-000").url.clone();
    fleet.tenant_mut("pg-000").more = format!("migration_url = '{url}'\n");
    refused(&fleet, &["migration_url of tenant pg-000 is", "planned not set"]);
    fleet.tenant_mut("pg-000").more.clear();
    // One is gone.
    let gone = fleet.tenants.remove(1);
    refused(&fleet, &["tenant lite-001 is in the plan, and no more among the tenants that it takes"]);
    fleet.tenants.insert(1, gone);
    // One can't be read.
    fleet.tenant_mut("lite-001").url = "sqlite:missing.db".to_owned();
    refused(&fleet, &["tenant lite-001 can't be read"]);
    fleet.tenant_mut("lite-001").url = "sqlite:lite-001.db".to_owned();
    // The file itself was changed.
    let text = std::fs::read_to_string(fleet.path("plan.json")).unwrap();
    std::fs::write(fleet.path("plan.json"), text.replace("\"2s\"", "\"9s\"")).unwrap();
    let changed = fleet.run(&["migrate", "--plan", "plan.json", "--yes"]).exits(2);
    changed.tells(&["it was changed after it had been saved", "nothing was touched"]);
    std::fs::write(fleet.path("plan.json"), text).unwrap();
    fleet.run(&["migrate", "--plan", "plan.json", "--yes"]).exits(0).shows(&["4 migrated"]);
}

/// `plan -o` writes what is shown, in any form: no digest holds it.
#[test]
fn the_report_of_a_plan_is_none_that_can_be_carried_out() {
    let fleet = fleet();
    for format in ["table", "json"] {
        fleet.run(&["plan", "--format", format, "-o", "shown.json"]).exits(0);
        for words in
            [&["migrate", "--plan", "shown.json", "--yes"][..], &["plan", "approve", "shown.json", "--by", "Ada"]]
        {
            let refused = fleet.run(words).exits(64);
            refused.tells(&["shown.json", "it is no plan of", "small plan --save shown.json", "nothing was touched"]);
        }
    }
    assert_eq!(fleet.history("lite-000").unwrap(), all()[..3]);
}

#[test]
fn a_tenant_that_came_after_the_plan_is_told_and_never_taken_in_silence() {
    let mut fleet = fleet();
    save(&fleet);
    std::fs::write(fleet.path("late.db"), "").unwrap();
    fleet.add("late", "sqlite:late.db");
    refused(&fleet, &["tenant late is in the fleet now, and not in the plan", "--late-joiners"]);
    let report = ["migrate", "--plan", "plan.json", "--yes", "--late-joiners", "report"];
    fleet.run(&report).exits(5).tells(&["came into the fleet after the plan, left out: late"]).shows(&["4 migrated"]);
    assert_eq!(fleet.history("late"), None);

    fleet.run(&["rollback", "--to", &all()[2], "-t", "lite-000", "--yes", "-q"]).exits(1);
    std::fs::write(fleet.path("sql/0001_notes.down.sql"), "DROP TABLE notes;\n").unwrap();
    fleet.run(&["rollback", "--to", &all()[2], "-t", "lite-000", "--yes", "-q"]).exits(0);
    fleet.tenants.pop();
    fleet.run(&["plan", "--save", "plan.json"]).exits(0);
    fleet.add("late", "sqlite:late.db");
    let migrate = ["migrate", "--plan", "plan.json", "--yes", "--late-joiners", "migrate"];
    fleet.run(&migrate).exits(0).tells(&["migrated with the others: late"]);
    assert_eq!(fleet.history("late").unwrap().len(), all().len());
}

#[test]
fn without_an_approval_that_the_tenant_file_requires_nothing_is_run() {
    let mut fleet = fleet();
    fleet.head = HEAD.replace("[fleet]\n", "[fleet]\nrequire_approval = true\n");
    for (command, verb) in [("migrate", "plan"), ("rollback", "plan --down")] {
        let mut words = vec![command, "--yes", "-t", "lite-*"];
        words.extend((command == "rollback").then_some("--all"));
        let ran = fleet.run(&words).exits(2);
        ran.tells(&[
            "require_approval",
            "nothing was touched",
            &format!("small {verb} '--tenant=lite-*' --save plan.json"),
        ]);
    }
    // A variable does not switch it off.
    let mut program = fleet.program(&["migrate", "--yes"]);
    finish(program.env("FLEET_REQUIRE_APPROVAL", "false")).exits(78).tells(&["FLEET_REQUIRE_APPROVAL", "tenant file"]);
    let digest = save(&fleet);
    fleet
        .run(&["migrate", "--plan", "plan.json", "--yes"])
        .exits(2)
        .tells(&["nobody has approved the plan", "plan approve"]);
    fleet.run(&["migrate", "--yes", "--dry-run"]).exits(0);
    assert_eq!(fleet.history("lite-000").unwrap(), all()[..3]);
    fleet.run(&["plan", "approve", "plan.json", "--by", " "]).exits(64);
    fleet.run(&["plan", "approve", "plan.json", "--by", "Ada"]).exits(0);
    let late = ["migrate", "--plan", "plan.json", "--yes", "--late-joiners", "migrate"];
    fleet.run(&late).exits(64).tells(&["nobody has approved"]);
    let done = run(&fleet, &["migrate", "--plan", "plan.json", "--yes"], 0);
    // A run of it that died goes on without another approval, with the same scripts only.
    let dead = run_id(&done);
    let ledger = format!("sqlite:{}", fleet.path("fleet-ledger.db").display());
    let kind = sql(&ledger, &format!("SELECT goal_data FROM fleet_run WHERE run = '{dead}'")).concat();
    assert!(kind.contains(&format!("\"plan\":\"{digest}\"")), "{kind}");
    sql(&ledger, &format!("DELETE FROM fleet_outcome WHERE run = '{dead}' AND place >= 1"));
    sql(&ledger, &format!("UPDATE fleet_run SET finished_at_ms = NULL, stats = NULL WHERE run = '{dead}'"));
    fleet.ask("lite-001", "DROP TABLE notes");
    fleet.ask("lite-001", "DELETE FROM fleet_scripts");
    script(&fleet, "CREATE TABLE notes (id integer, secret text);\n");
    let resumed = fleet.run(&["runs", "resume", &dead, "--yes"]).exits(2);
    resumed.tells(&["0001_notes was edited", "nothing was touched", "small plan --save"]);
    script(&fleet, "CREATE TABLE notes (id integer);\n");
    fleet
        .run(&["runs", "resume", &dead, "--yes", "--keep-going"])
        .exits(64)
        .tells(&["--keep-going", "nothing was touched"]);
    for (looser, said) in [
        (["--lock-timeout", "55s"], "lock_timeout is 55s, planned "),
        (["--max-failures", "50%"], "max_failures of wave "),
        (["--attempts", "9"], "attempts is 9, planned "),
    ] {
        let refused = fleet.run(&[&["runs", "resume", &dead, "--yes"], &looser[..]].concat()).exits(2);
        refused.tells(&[said, "that Ada approved", "nothing was touched"]);
    }
    let head = fleet.head.clone();
    fleet.head = head.replace("[fleet]\n", "[fleet]\nname = \"other\"\n");
    let refused = fleet.run(&["runs", "resume", &dead, "--yes"]).exits(2);
    refused.tells(&["this is the fleet other, and the plan is for a fleet without a name", "that Ada approved"]);
    fleet.head = head;
    fleet.run(&["runs", "resume", &dead, "--yes"]).exits(0);
}

/// The plan for those that failed has the direction and the goal of the run that they failed in.
#[test]
fn the_failures_of_a_rollback_are_planned_and_saved_as_a_rollback() {
    let fleet = Fleet::new().head("[fleet]\nattempts = 1\nmax_failures = \"9\"\n").sqlite(1).postgres(1);
    fleet.run(&["migrate", "--yes", "-q", "--to", &all()[3]]).exits(0);
    let broken = "ALTER TABLE inventory_transactions RENAME TO kept";
    let mended = "ALTER TABLE kept RENAME TO inventory_transactions";
    for back in [&["rollback", "--steps", "1", "--yes"][..], &["rollback", "--run", "last", "--yes"]] {
        fleet.ask("pg-000", broken);
        let failed = run_id(&run(&fleet, back, 100));
        let steps = fleet.history("pg-000").unwrap().len();
        let planned = fleet.run(&["plan", "--failed-of", "last"]).exits(0);
        planned.shows(&["1 to roll back"]);
        fleet
            .run(&["plan", "--failed-of", "last", "--save", "plan.json"])
            .exits(0)
            .shows(&["small rollback --plan plan.json"]);
        // By then the last run is another one.
        fleet.run(&["backup", "-q"]).exits(0);
        fleet.ask("pg-000", mended);
        fleet.run(&["rollback", "--plan", "plan.json", "--yes"]).exits(0).shows(&["1 rolled back"]);
        let back_to = fleet.history("lite-000").unwrap_or_default();
        assert_eq!(fleet.history("pg-000").unwrap_or_default(), back_to, "{failed}: it had {steps}");
        fleet.run(&["migrate", "--yes", "-q", "--to", &all()[3]]).exits(0);
    }
}

/// Taken back, everything is as it was planned: that was approved once, and is wanted by nobody now.
#[test]
fn an_approval_is_for_one_run() {
    let mut fleet = fleet();
    fleet.head = HEAD.replace("[fleet]\n", "[fleet]\nrequire_approval = true\n");
    std::fs::write(fleet.path("sql/0001_notes.down.sql"), "DROP TABLE notes;\n").unwrap();
    save(&fleet);
    fleet.run(&["plan", "approve", "plan.json", "--by", "Ada"]).exits(0);
    let moved = run_id(&run(&fleet, &["migrate", "--plan", "plan.json", "--yes"], 0));
    // The steps that are printed are those that were asked for.
    let refused = fleet.run(&["rollback", "--steps", "1", "--yes"]).exits(2);
    refused.tells(&["small plan --down --steps 1 --save plan.json"]);
    fleet.run(&["plan", "--run", &moved, "--save", "back.json"]).exits(0);
    fleet.run(&["plan", "approve", "back.json", "--by", "Ada"]).exits(0);
    fleet.run(&["rollback", "--plan", "back.json", "--yes"]).exits(0);
    let again = fleet.run(&["migrate", "--plan", "plan.json", "--yes"]).exits(2);
    again.tells(&["has used the approval", "Ada", "plan approve plan.json --by NAME"]);
    fleet.run(&["plan", "approve", "plan.json", "--by", "Bob"]).exits(0);
    fleet.run(&["migrate", "--plan", "plan.json", "--yes"]).exits(0);
}

#[test]
fn a_plan_with_a_tenant_that_can_not_be_taken_is_not_saved() {
    let fleet = fleet();
    fleet.ask("lite-001", "INSERT INTO seaql_migrations (version, applied_at) VALUES ('m9_unknown', 1)");
    let refused = fleet.run(&["plan", "--save", "plan.json"]).exits(1);
    refused.tells(&["1 tenant can't be migrated now: lite-001", "nothing was saved", "--exclude"]);
    assert!(!fleet.path("plan.json").exists());
    fleet.run(&["plan", "--save", "plan.json", "--exclude", "lite-001"]).exits(0).shows(&["3 tenants"]);
    // It takes those that it was made for.
    fleet.run(&["migrate", "--plan", "plan.json", "--yes", "-t", "lite-000"]).exits(64);
    fleet.run(&["migrate", "--plan", "plan.json", "--yes"]).exits(0).shows(&["3 migrated"]);
    assert_eq!(fleet.history("lite-001").unwrap().len(), 4);
}

#[test]
fn the_command_that_runs_a_plan_has_its_limits() {
    let fleet = Fleet::new().sqlite(2);
    let limits = ["--lock-timeout 2s", "--statement-timeout 9s", "--plan plan.json"];
    fleet
        .run(&["plan", "--save", "plan.json", "--lock-timeout", "2s", "--statement-timeout", "9s"])
        .exits(0)
        .shows(&limits);
    let refused = fleet.run(&["migrate", "--plan", "plan.json", "--yes"]).exits(2);
    refused
        .tells(&["lock_timeout is 3s, planned 2s", "to run it with the limits that it was saved with: "])
        .tells(&limits);
    fleet.run(&["plan", "approve", "plan.json", "--by", "ann"]).exits(0).shows(&limits);
    let ran =
        fleet.run(&["migrate", "--plan", "plan.json", "--lock-timeout", "2s", "--statement-timeout", "9s", "--yes"]);
    ran.exits(0).shows(&["2 migrated"]);
}

#[test]
fn a_plan_of_online_forms_is_approved_and_sent_as_such_or_refused() {
    let mut fleet = Fleet::new().head("[fleet]\nscripts = \"sql\"\n").postgres(1).mariadb(1);
    std::fs::create_dir(fleet.path("sql")).unwrap();
    script(&fleet, "CREATE TABLE notes (id integer);\n");
    fleet.run(&["migrate", "--yes", "-q"]).exits(0);
    std::fs::write(fleet.path("sql/0002_index.up.sql"), "CREATE INDEX ix_notes ON notes (id);\n").unwrap();
    fleet.run(&["plan", "--online", "--save", "plan.json"]).exits(0).shows(&["2 tenants, digest"]);
    fleet.run(&["plan", "approve", "plan.json", "--by", "Ada"]).exits(0);
    let plain = fleet.run(&["migrate", "--plan", "plan.json", "--yes"]).exits(2);
    plain.tells(&[
        "does not hold any more, and nothing was touched",
        "the script of 0002_index (postgres, up) is sent in its plain form now",
        "the script of 0002_index (mysql, up) is sent in its plain form now",
        "online is false, planned true",
    ]);
    for tenant in ["pg-000", "my-000"] {
        assert!(!fleet.history(tenant).unwrap().contains(&"0002_index".to_owned()), "{tenant}");
    }
    // The same word in the file instead of the flag.
    fleet.head.push_str("online = true\n");
    fleet.run(&["migrate", "--plan", "plan.json", "--dry-run"]).exits(0).shows(&["online form"]);
    fleet.head = fleet.head.replace("online = true\n", "");
    fleet.run(&["migrate", "--online", "--plan", "plan.json", "--yes"]).exits(0).shows(&["2 migrated"]);
    let shown = fleet.run(&["runs", "show", "last", "--format", "json"]).exits(0).json();
    assert_eq!(shown["plan"]["approvals"][0]["by"], "Ada", "{shown:#}");
    // Only an online form has a journal on PostgreSQL.
    assert!(fleet.has_table("pg-000", "fleet_journal"));
    let index = "SELECT indisvalid::text FROM pg_index WHERE indexrelid = 'ix_notes'::regclass";
    assert_eq!(fleet.ask("pg-000", index), ["true"]);
}
