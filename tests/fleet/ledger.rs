//! The ledger: no run without a ledger, and a ledger shared by several machines.

use sqlx::{Connection, Executor};

use crate::dumps::{run, run_id};
use crate::interrupted::Held;
use crate::support::{Fleet, all, block_on, finish, program};

#[test]
fn without_a_ledger_nothing_starts() {
    let fleet = Fleet::new().sqlite(2);
    std::fs::write(fleet.path("text.db"), "these are not the bytes of a database. ".repeat(50)).unwrap();
    std::fs::create_dir(fleet.path("folder")).unwrap();
    let nobody = "postgres://postgres:x@127.0.0.1:1/nowhere";
    for ledger in ["text.db", "folder", "missing/ledger.db", nobody, "mysql://root:x@127.0.0.1:1/nowhere"] {
        let ran = fleet.run(&["migrate", "--yes", "--ledger", ledger, "--connect-timeout", "2s"]).exits(75);
        let ran = ran.tells(&["ledger", "nothing was started"]);
        assert_eq!(ran.out, "", "{ledger}");
        assert!(fleet.history("lite-000").is_none(), "{ledger}: a tenant was touched");
    }
    fleet.run(&["migrate", "--yes"]).exits(0);
}

#[test]
fn a_ledger_that_another_program_holds_is_found_before_a_tenant_is_touched() {
    let fleet = Fleet::new().sqlite(2);
    fleet.run(&["migrate", "--yes", "--steps", "1"]).exits(0);
    let url = format!("sqlite:{}", fleet.path("fleet-ledger.db").display());
    let holder = block_on(async {
        let mut holder = sqlx::SqliteConnection::connect(&url).await.unwrap();
        holder.execute("BEGIN IMMEDIATE").await.unwrap();
        holder
    });
    fleet.run(&["migrate", "--yes"]).exits(75).tells(&["ledger", "nothing was started"]);
    for tenant in &fleet.tenants {
        assert_eq!(fleet.history(&tenant.id).unwrap(), all()[..1], "{}", tenant.id);
    }
    block_on(holder.close()).unwrap();
    fleet.run(&["migrate", "--yes"]).exits(0);
}

#[test]
fn a_shared_ledger_shows_a_run_on_another_machine() {
    for engine in ["postgres", "mariadb"] {
        let mut fleet = Fleet::new().sqlite(2);
        let ledger = fleet.database(engine, "ledger");
        fleet.run(&["migrate", "--yes", "--ledger", &ledger]).exits(0);
        assert!(!fleet.path("fleet-ledger.db").exists());

        let other = tempfile::tempdir().unwrap();
        let file = format!("[fleet]\nledger = \"{ledger}\"\n[[tenant]]\nid = \"x\"\nurl = \"sqlite:x.db\"\n");
        std::fs::write(other.path().join("tenants.toml"), file).unwrap();
        let runs = finish(&mut program(other.path(), &["runs", "list", "--format", "json"])).exits(0).json();
        let runs = runs["runs"].as_array().unwrap();
        assert_eq!(runs.len(), 1, "{engine}");
        assert_eq!((&runs[0]["status"], &runs[0]["selected"]), (&"finished".into(), &2.into()), "{engine}");
        finish(&mut program(other.path(), &["runs", "show", "last"])).exits(0).shows(&["2 migrated"]);
    }
}

/// Two machines with one ledger and the same tenant file.
#[test]
fn a_run_that_paused_or_died_on_one_machine_goes_on_from_another() {
    let mut fleet = Fleet::new().postgres(2).mariadb(2);
    let ledger = fleet.database("postgres", "ledger");
    let held = "[hooks]\nbefore_tenant = { command = [\"sh\", \"-c\", \"test $FLEET_TENANT != my-001 || test -e go || sleep 90\"], \
                timeout = \"100s\" }\n";
    let gate = "[[wave]]\nname = \"canary\"\ntenants = [\"pg-000\"]\n[wave.gate]\nthen = \"pause\"\n";
    fleet.head = format!("[fleet]\nledger = \"{ledger}\"\n{gate}{held}");
    std::fs::write(fleet.path("go"), "").unwrap();
    let paused = run_id(&run(&fleet, &["migrate", "--yes", "--to", &all()[1]], 5));

    let other = tempfile::tempdir().unwrap();
    let here = fleet.path("");
    let copied = |file: &str| std::fs::copy(here.join(file), other.path().join(file)).unwrap();
    ["tenants.toml", "go"].iter().for_each(|file| _ = copied(file));
    let there = |arguments: &[&str]| finish(&mut program(other.path(), arguments));
    let last = || there(&["runs", "list", "--format", "json"]).exits(0).json()["runs"][0].clone();
    let id_of = |run: &serde_json::Value| run["run"].as_str().unwrap().to_owned();
    assert_eq!((id_of(&last()), &last()["result"]), (paused.clone(), &"paused".into()));
    there(&["runs", "approve", &paused, "--by", "Ann B.", "--yes"]).exits(0).shows(&["3 migrated"]);
    assert!(fleet.tenants.iter().all(|tenant| fleet.history(&tenant.id).unwrap() == all()[..2]));
    let heir = id_of(&last());
    let shown = fleet.run(&["runs", "show", &paused, "--width", "200"]).exits(0);
    let shown = shown.shows(&["resumed by", "settled"]);
    let line = shown.out.lines().find(|line| line.starts_with("resumed by")).unwrap();
    assert!(line.contains(&heir) && line.contains(", approved by Ann B.: all at target"), "{line}");
    fleet.run(&["runs", "show", &heir]).exits(0).shows(&["approved by Ann B.", &paused, "3 migrated"]);

    // The gate is behind it: `kill -9` of the one, and the other goes on.
    std::fs::remove_file(fleet.path("go")).unwrap();
    fleet.head = fleet.head.replace(gate, "");
    fleet.write();
    copied("tenants.toml");
    let mut killed = fleet.program(&["migrate", "--yes"]).spawn().unwrap();
    let until = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while last()["at_target"] != 3 || last()["status"] != "running" {
        assert!(std::time::Instant::now() < until, "{:#}", last());
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    let died = id_of(&last());
    killed.kill().unwrap();
    killed.wait().unwrap();
    assert_eq!(fleet.history("my-001").unwrap(), all()[..2], "it was held");
    there(&["runs", "resume", &died, "--yes"]).exits(0).shows(&["1 migrated"]);
    assert!(fleet.tenants.iter().all(|tenant| fleet.history(&tenant.id).unwrap() == all()));
    let heir = id_of(&last());
    fleet.run(&["runs", "show", &died]).exits(0).shows(&["its end is not recorded", "resumed by", &heir]);
}

#[test]
fn a_run_that_lives_is_told_and_not_resumed_and_one_that_was_killed_is() {
    let fleet = Fleet::new().head("[fleet]\nlock_timeout = \"60s\"").sqlite(2);
    fleet.run(&["migrate", "--yes", "--steps", "1"]).exits(0);
    let holder = Held::on(&fleet, "lite-000");
    let mut alive = fleet.program(&["migrate", "--yes", "--steps", "1", "--tenant=lite-000"]).spawn().unwrap();
    let newest = || fleet.run(&["runs", "list", "--format", "json"]).exits(0).json()["runs"][0].clone();
    let until = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while newest()["status"] != "running" {
        assert!(std::time::Instant::now() < until, "{:#}", newest());
    }
    let run = newest();
    assert_eq!(run["selection"], serde_json::json!(["--tenant=lite-000"]), "{run:#}");
    assert_eq!(run["started_by"]["process"]["id"], alive.id(), "{run:#}");
    let id = run["run"].as_str().unwrap();
    let refused = fleet.run(&["runs", "resume", id, "--yes"]).exits(75);
    refused.tells(&["still goes on", &format!("process {}", alive.id()), "nothing was started"]);
    let shown =
        fleet.run(&["runs", "show", id]).exits(0).shows(&["running", "it goes on", "--tenant=lite-000", "WAVE"]);
    assert!(!shown.out.contains("resume"), "{}", shown.out);

    alive.kill().unwrap();
    alive.wait().unwrap();
    assert_eq!(newest()["status"], "died");
    fleet.run(&["runs", "show", id]).exits(0).shows(&["died", &format!("runs resume {id}")]);
    holder.release();
    fleet.run(&["runs", "resume", id, "--yes"]).exits(0);
    assert_eq!(fleet.history("lite-000").unwrap(), all()[..2]);
}

#[test]
fn a_ledger_of_version_1_is_read_and_carried_forward() {
    let fleet = Fleet::new().sqlite(1);
    let old = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/ledger-v1.db");
    std::fs::copy(&old, fleet.path("fleet-ledger.db")).unwrap();
    let goals = ["1 step", "backup", "2 steps", "unfinished", "all at target"];
    fleet.run(&["runs", "list"]).exits(0).shows(&goals);
    assert!(std::fs::read(&old).unwrap() == std::fs::read(fleet.path("fleet-ledger.db")).unwrap(), "a reader wrote");
    fleet.run(&["migrate", "--yes", "--steps", "1"]).exits(0);
    let runs = fleet.run(&["runs", "list"]).exits(0).shows(&goals).out;
    assert_eq!(runs.lines().count(), 7, "{runs}");
}
