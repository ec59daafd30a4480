//! `on_failure = "rollback_wave"`: a wave that fails is taken back by itself, to the versions that its tenants had.

use serde_json::Value;

use crate::dumps::{run, run_id};
use crate::killed::read_until;
use crate::support::{Fleet, all, json_file, signal, sql, wait_for_end, with};

/// The goal: the schema's first tables are enough to tell versions by.
const GOAL: &str = "m20250110_000003_add_inventory_tracking";

/// An assertion that every tenant with a version fails.
const ASSERTION: &str = "[[assertion]]\nname = \"nothing_applied\"\nsql = \"SELECT version FROM seaql_migrations\"\n";

/// A canary of a tenant of each engine with this gate.
fn canary(gate: &str) -> String {
    let wave = "[[wave]]\nname = \"canary\"\nstratified = true\n[wave.gate]\nverify = true\n";
    format!("[fleet]\nattempts = 1\nconcurrency = 16\n{wave}{gate}\n{ASSERTION}")
}

const UNDO: &str = "on_failure = \"rollback_wave\"";

#[track_caller]
fn is_at(fleet: &Fleet, id: &str, applied: usize) {
    assert_eq!(fleet.history(id).unwrap_or_default(), all()[..applied], "{id}");
}

/// The runs of the ledger, the last first.
fn runs(fleet: &Fleet) -> Vec<Value> {
    fleet.run(&["runs", "list", "--format", "json"]).exits(0).json()["runs"].as_array().unwrap().clone()
}

fn id_of(run: &Value) -> String {
    run["run"].as_str().unwrap().to_owned()
}

#[test]
fn of_120_tenants_on_three_engines_only_the_canary_moves_and_exactly_it_goes_back() {
    let mut fleet = Fleet::new().head(&canary("")).sqlite(40).postgres(40).mariadb(40);
    let migrate = ["migrate", "--yes", "-q", "--to", GOAL, "--report", "json=report.json"];
    fleet.run(&migrate).exits(101).shows(&["not started  117  the gate of wave canary failed"]);
    let report = json_file(&fleet.path("report.json"));
    let canaries = with(&report, "migrated");
    let mut engines: Vec<&str> = canaries.iter().map(|id| &id[..2]).collect();
    engines.sort_unstable();
    assert_eq!(engines, ["li", "my", "pg"]);
    let all_are_at = |fleet: &Fleet, canary: &dyn Fn(&str) -> usize| {
        for tenant in &fleet.tenants {
            let is_canary = canaries.contains(&tenant.id);
            is_at(fleet, &tenant.id, if is_canary { canary(&tenant.id) } else { 0 });
        }
    };
    all_are_at(&fleet, &|_| 4);
    fleet.run(&["rollback", "--run", "last", "--yes"]).exits(0).shows(&["3 tenants: 3 rolled back"]);
    all_are_at(&fleet, &|_| 0);

    // The same by itself, each canary from a version of its own.
    for (id, steps) in canaries.iter().zip(["1", "2"]) {
        fleet.run(&["migrate", "--yes", "-q", "-t", id, "--steps", steps, "--ledger", "other.db"]).exits(0);
    }
    let before = |id: &str| canaries.iter().position(|canary| canary == id).map_or(0, |at| [1, 2, 0][at]);
    fleet.head = canary(UNDO);
    let ran = fleet.run(&migrate).exits(101);
    all_are_at(&fleet, &before);
    let listed = runs(&fleet);
    let (back, failed) = (id_of(&listed[0]), id_of(&listed[1]));
    let ran = ran.shows(&[
        "migrated       3",
        "not started  117  the gate of wave canary failed",
        "Stopped early: the gate of wave canary failed: verify: nothing_applied fails on",
        &format!("Taken back by run {back}: 3 tenants: 3 rolled back."),
        &format!("once it is mended, from the first wave on: small migrate --to {GOAL}"),
    ]);
    ran.tells(&[&format!("what run {failed} moved in it is taken back")]);
    let report = json_file(&fleet.path("report.json"));
    assert_eq!(report["verdict"], "gate_failed");
    assert_eq!(
        (&report["undo"]["waves"][0], &report["undo"]["runs"][0]["run"]),
        (&"canary".into(), &back.clone().into())
    );
    let shown = fleet.run(&["runs", "show", &failed]).exits(0);
    shown.shows(&["wave canary is taken back", &format!("Taken back by run {back}"), "from the first wave on"]);
    fleet.run(&["runs", "show", &back]).exits(0).shows(&[&format!("down to the versions before run {failed}")]);
    // Nothing of it goes on: the canary is not migrated.
    let refused = fleet.run(&["runs", "resume", &failed, "--yes"]).exits(64);
    refused.tells(&[&format!("run {back} has taken that back"), "nothing was touched"]);
    fleet.run(&["runs", "approve", &failed, "--by", "ann", "--yes"]).exits(64);
    all_are_at(&fleet, &before);

    // What it complained of is mended, and everybody is migrated.
    fleet.head = fleet.head.replace("SELECT version FROM seaql_migrations", "SELECT id FROM users");
    fleet.run(&migrate).exits(0).shows(&["120 migrated"]);
    fleet.tenants.iter().for_each(|tenant| is_at(&fleet, &tenant.id, 4));
}

/// Three canaries, one after the other, and three others.
fn fleet(gate: &str) -> Fleet {
    let wave =
        "[[wave]]\nname = \"canary\"\ntenants = [\"lite-000\", \"pg-000\", \"my-000\"]\n[wave.gate]\nverify = true\n";
    Fleet::new().head(&format!("[fleet]\nattempts = 1\n{wave}{gate}\n{ASSERTION}")).sqlite(2).postgres(2).mariadb(2)
}

const CANARIES: [&str; 3] = ["lite-000", "pg-000", "my-000"];

#[test]
fn a_wave_whose_budget_is_used_up_is_taken_back_too_and_who_needs_a_person_is_named() {
    let mut fleet = fleet(UNDO);
    fleet.head = fleet.head.replace("SELECT version FROM seaql_migrations", "SELECT id FROM users");
    fleet.run(&["migrate", "--yes", "-q", "-t", "lite-000", "--to", &all()[0]]).exits(0);
    // MariaDB keeps what came before the statement that fails.
    fleet.ask("my-000", "CREATE TABLE users (id int)");
    let ran = fleet.run(&["migrate", "--yes", "--to", GOAL]).exits(100);
    let ran = ran.shows(&["Stopped early: the failure budget of wave canary was used up", "Taken back by run"]);
    ran.tells(&["not taken back: my-000: partially applied"]);
    is_at(&fleet, "lite-000", 1);
    is_at(&fleet, "pg-000", 0);
    is_at(&fleet, "my-000", 1);
    for id in ["lite-001", "pg-001", "my-001"] {
        is_at(&fleet, id, 0);
    }
    let shown = fleet.run(&["runs", "show", &id_of(&runs(&fleet)[1])]).exits(0);
    shown.shows(&["what of it is not back", "runs show"]);
}

#[test]
fn a_way_up_that_has_no_way_back_is_refused_before_the_first_tenant() {
    let mut fleet = self::fleet(UNDO);
    fleet.head = fleet.head.replace("attempts = 1", "attempts = 1\nscripts = \"sql\"");
    std::fs::create_dir(fleet.path("sql")).unwrap();
    let write = |fleet: &Fleet, file: &str, text: &str| std::fs::write(fleet.path("sql").join(file), text).unwrap();
    write(&fleet, "0007_audit.up.sql", "CREATE TABLE audit (id integer);");
    for command in [&["migrate", "--yes"][..], &["migrate", "--dry-run"]] {
        fleet.run(command).exits(1).tells(&[
            "wave canary is taken back on a failure",
            "0007_audit (sqlite, 1 tenant) has no way down",
            "0007_audit (postgres, 1 tenant)",
            "0007_audit (mysql",
        ]);
    }
    assert!(fleet.tenants.iter().all(|tenant| fleet.history(&tenant.id).is_none()), "nobody was touched");
    let ids: Vec<&str> = CANARIES.iter().flat_map(|id| ["-t", id]).collect();
    fleet.run(&[&["migrate", "--yes", "-q", "--to", &all()[5]][..], &ids].concat()).exits(0);
    write(&fleet, "0007_audit.down.sql", "DROP TABLE audit;");
    write(&fleet, "0008_sku.up.sql", "ALTER TABLE inventory_items DROP COLUMN reorder_point;");
    write(&fleet, "0008_sku.down.sql", "ALTER TABLE inventory_items ADD COLUMN reorder_point integer;");
    fleet.run(&["migrate", "--yes"]).exits(1).tells(&["0008_sku loses rows: its way up drops reorder_point"]);
    assert!(!fleet.has_table("lite-000", "audit"), "nobody was touched");
    // A reason in the script is an answer to that.
    let drop =
        "-- fleet: allow=ban-drop-column no program reads it\nALTER TABLE inventory_items DROP COLUMN reorder_point;";
    write(&fleet, "0008_sku.up.sql", drop);
    fleet.run(&["migrate", "--yes"]).exits(101).shows(&["Taken back by run"]);
    for id in CANARIES {
        is_at(&fleet, id, 6);
        assert!(!fleet.has_table(id, "audit"), "{id}");
    }
    is_at(&fleet, "lite-001", 0);
    // Whoever is not in such a wave needs no way back.
    std::fs::remove_file(fleet.path("sql").join("0007_audit.down.sql")).unwrap();
    fleet.run(&["migrate", "--yes", "-t", "lite-001"]).exits(0);
}

/// The ledger's rows of a run that died when the first tenants, in plan order, had their outcome.
fn die_after(fleet: &Fleet, run: &str, finished: usize) {
    let ledger = format!("sqlite:{}", fleet.path("fleet-ledger.db").display());
    sql(&ledger, &format!("DELETE FROM fleet_outcome WHERE run = '{run}' AND place >= {finished}"));
    sql(&ledger, &format!("UPDATE fleet_run SET finished_at_ms = NULL, stats = NULL WHERE run = '{run}'"));
}

#[test]
fn a_process_that_dies_before_the_rollback_or_in_it_is_finished_by_resume() {
    let fleet = fleet(UNDO);
    let failed = run_id(&run(&fleet, &["migrate", "--yes", "--to", GOAL], 101));
    let back = id_of(&runs(&fleet)[0]);
    CANARIES.iter().for_each(|id| is_at(&fleet, id, 0));
    // Without the gate, and in another ledger: as if the rollback had not come to them.
    let again = |ledger: &str| {
        let ids = CANARIES.iter().flat_map(|id| ["-t", id]);
        let command = ["migrate", "--yes", "-q", "--to", GOAL, "--ledger", ledger];
        fleet.run(&command.into_iter().chain(ids).collect::<Vec<_>>()).exits(0);
    };
    // It died in the rollback, behind the first tenant.
    again("other.db");
    fleet.run(&["rollback", "--all", "--yes", "-q", "-t", "lite-000", "--ledger", "other.db"]).exits(0);
    die_after(&fleet, &back, 1);
    fleet
        .run(&["runs", "show", &failed])
        .exits(0)
        .shows(&["whose end is not recorded", &format!("runs resume {back}")]);
    fleet.run(&["runs", "resume", &failed, "--yes"]).exits(101).shows(&["2 tenants: 2 rolled back"]);
    CANARIES.iter().for_each(|id| is_at(&fleet, id, 0));

    // It died before: the ledger has the request alone.
    again("third.db");
    let ledger = format!("sqlite:{}", fleet.path("fleet-ledger.db").display());
    for table in ["fleet_outcome", "fleet_tenant", "fleet_event", "fleet_attempt", "fleet_run"] {
        sql(&ledger, &format!("DELETE FROM {table} WHERE run <> '{failed}'"));
    }
    let shown = fleet.run(&["runs", "show", &failed]).exits(0);
    shown.shows(&["wave canary is taken back", &format!("rollback --run {failed} --wave canary")]);
    let resumed = fleet.run(&["runs", "resume", &failed, "--yes"]).exits(101);
    resumed.shows(&["3 tenants: 3 rolled back"]);
    CANARIES.iter().for_each(|id| is_at(&fleet, id, 0));
}

/// A rollback died behind its first tenant, and the others can't be taken back now: nothing says that the wave is back.
#[test]
fn a_wave_is_back_only_when_each_tenant_of_it_is() {
    let mut fleet = fleet(UNDO);
    let failed = run_id(&run(&fleet, &["migrate", "--yes", "--to", GOAL], 101));
    let back = id_of(&runs(&fleet)[0]);
    let ids = ["-t", "pg-000", "-t", "my-000"];
    fleet.run(&[&["migrate", "--yes", "-q", "--to", GOAL, "--ledger", "other.db"], &ids[..]].concat()).exits(0);
    die_after(&fleet, &back, 1);
    let resume = ["runs", "resume", &failed, "--yes"];
    let gone = fleet.tenants.iter().position(|tenant| tenant.id == "my-000").unwrap();
    let gone = fleet.tenants.remove(gone);
    fleet.run(&resume).exits(1).tells(&["my-000", "1 tenant that run", "can't be taken back now"]);
    is_at(&fleet, "pg-000", 0);
    fleet.tenants.push(gone);
    is_at(&fleet, "my-000", 4);
    fleet.tenant_mut("my-000").more = "quarantine = { reason = \"looked at\" }".to_owned();
    fleet.run(&resume).exits(4).tells(&["1 tenant in quarantine, the first my-000: looked at"]);
    is_at(&fleet, "my-000", 4);
    fleet.tenant_mut("my-000").more.clear();
    fleet.run(&resume).exits(101).shows(&["1 tenant: 1 rolled back"]);
    CANARIES.iter().for_each(|id| is_at(&fleet, id, 0));
    fleet.run(&resume).exits(64).tells(&["has taken that back", "nothing was touched"]);
}

#[test]
fn an_interrupt_ends_the_rollback_behind_the_tenant_in_flight_and_resume_goes_on() {
    let wave =
        "[[wave]]\nname = \"canary\"\ntenants = [\"pg-000\", \"pg-001\", \"pg-002\"]\n[wave.gate]\nverify = true\n";
    let head = format!("[fleet]\nattempts = 1\nscripts = \"sql\"\n{wave}{UNDO}\n{ASSERTION}");
    let fleet = Fleet::new().head(&head).postgres(4);
    std::fs::create_dir(fleet.path("sql")).unwrap();
    std::fs::write(fleet.path("sql/0007_slow.up.sql"), "CREATE TABLE slow (id integer);").unwrap();
    std::fs::write(fleet.path("sql/0007_slow.down.sql"), "DROP TABLE slow; SELECT pg_sleep(2);").unwrap();
    fleet.write();
    let mut child = fleet.program(&["migrate", "--yes"]).spawn().unwrap();
    // The first line of the rollback's own wave.
    let rest = read_until(&mut child, |line| line.contains("down to the versions before run"));
    std::thread::sleep(std::time::Duration::from_millis(500));
    signal(&child, "INT");
    assert_eq!(wait_for_end(&mut child), Some(130));
    let told = rest.join().unwrap();
    assert!(told.contains("draining"), "{told}");
    let left = ["pg-000", "pg-001", "pg-002"].map(|id| fleet.history(id).unwrap_or_default().len());
    assert!(left.contains(&0) && left.contains(&6), "{left:?}");
    let failed = id_of(&runs(&fleet)[1]);
    fleet.run(&["runs", "show", &failed]).exits(0).shows(&["Taken back by run"]);
    let back = id_of(&runs(&fleet)[0]);
    fleet.run(&["runs", "resume", &back, "--yes"]).exits(0);
    let left = ["pg-000", "pg-001", "pg-002"].map(|id| fleet.history(id).unwrap_or_default().len());
    assert_eq!(left, [0; 3]);
}
