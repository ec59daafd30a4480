//! `kill -9` of the process at each named point of a run, on every engine: whoever goes on with it ends where a run that was
//! not killed ends, with nothing applied twice.
//!
//! The points are those that an undisturbed run comes by (`src/crash.rs`), so that a new one is tested as soon as it is there.
//! Each test takes a part of them, and another part the next time; `FLEET_TEST_CRASHES=full` has it take all.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;

use crate::support::{Fleet, Ran, finish, sql};

/// A row more each time that it is applied.
const WITNESS: &str =
    "INSERT INTO tenant_features (id, feature) SELECT count(*) + 1, 'witness' FROM tenant_features;\n";

/// A fleet with this gate behind its canary: one tenant of each engine in it, and one behind it.
fn of_all(gate: &str) -> Fleet {
    scripted(Fleet::new().head(&head(gate, "")).sqlite(2).schemas(2).mariadb(2).mysql_where_there(2))
}

/// The same with the engines whose histories are in transactions: what is between the tenants is the same on all.
fn of_two(gate: &str, more: &str) -> Fleet {
    scripted(Fleet::new().head(&head(gate, more)).sqlite(2).schemas(2))
}

fn head(gate: &str, more: &str) -> String {
    format!(
        "{more}\n[fleet]\nscripts = \"sql\"\nconcurrency = 2\nretry_pause = \"20ms\"\n[[wave]]\nname = \"canary\"\ntenants = \
         [\"*-000\"]\n[wave.gate]\ncommand = [\"true\"]\n{gate}\n"
    )
}

pub(crate) fn scripted(fleet: Fleet) -> Fleet {
    std::fs::create_dir(fleet.path("sql")).unwrap();
    std::fs::write(fleet.path("sql/0008_witness.sql"), WITNESS).unwrap();
    std::fs::write(fleet.path("sql/0008_witness.down.sql"), "DELETE FROM tenant_features WHERE feature = 'witness';\n")
        .unwrap();
    fleet
}

/// The tables, indexes and triggers of a tenant, its history, and its witnesses.
pub(crate) fn content(fleet: &Fleet, id: &str) -> Vec<String> {
    let url = &fleet.tenant(id).url;
    let schema = match url.split(':').next().unwrap() {
        "sqlite" => "SELECT coalesce(sql, name) AS line FROM sqlite_master",
        "postgres" | "postgresql" => {
            "SELECT table_name || '.' || column_name || ' ' || data_type || ' ' || is_nullable || \
             coalesce(column_default, '') AS line FROM information_schema.columns WHERE table_schema = current_schema() \
             UNION ALL SELECT replace(indexdef, current_schema() || '.', '') FROM pg_indexes WHERE schemaname = \
             current_schema() UNION ALL SELECT tgname::text FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid WHERE \
             c.relnamespace = current_schema()::regnamespace AND NOT tgisinternal"
        }
        _ => {
            "SELECT CAST(concat(table_name, '.', column_name, ' ', column_type, ' ', is_nullable, coalesce(column_default, \
             '')) AS char) AS line FROM information_schema.columns WHERE table_schema = database() UNION ALL SELECT \
             CAST(concat(table_name, '.', index_name, ' ', seq_in_index, column_name) AS char) FROM \
             information_schema.statistics WHERE table_schema = database() UNION ALL SELECT CAST(trigger_name AS char) FROM \
             information_schema.triggers WHERE trigger_schema = database()"
        }
    };
    let mut lines = fleet.ask(id, schema);
    lines.sort_unstable();
    lines.push("applied:".to_owned());
    if fleet.has_table(id, "tenant_features") {
        lines.extend(fleet.ask(id, "SELECT feature FROM tenant_features"));
    }
    lines.extend(fleet.history(id).unwrap_or_default());
    lines
}

fn contents(fleet: &Fleet) -> BTreeMap<String, Vec<String>> {
    fleet.tenants.iter().map(|tenant| (tenant.id.clone(), content(fleet, &tenant.id))).collect()
}

/// Empties the tenants and the ledger.
fn rewind(fleet: &Fleet) {
    for tenant in &fleet.tenants {
        let name = tenant.url.rsplit('/').next().unwrap();
        match (&tenant.schema, tenant.url.strip_prefix("sqlite:")) {
            (Some(schema), _) => {
                sql(&tenant.url, &format!("DROP SCHEMA {schema} CASCADE; CREATE SCHEMA {schema}"));
            }
            (None, Some(file)) => std::fs::write(fleet.path(file), "").unwrap(),
            (None, None) => _ = sql(&tenant.url, &format!("DROP DATABASE {name}; CREATE DATABASE {name}")),
        }
    }
    for end in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(fleet.path(&format!("fleet-ledger.db{end}")));
    }
}

fn run(fleet: &Fleet, arguments: &[&str]) -> Ran {
    finish(&mut fleet.program(arguments))
}

/// The points that a command comes by, in the order of their names, each with how often.
pub(crate) fn points(fleet: &Fleet, arguments: &[&str], code: i32) -> BTreeMap<String, usize> {
    let log = fleet.path("points.log");
    let _ = std::fs::remove_file(&log);
    finish(fleet.program(arguments).env("FLEET_TEST_CRASH_LOG", &log)).exits(code);
    let mut points = BTreeMap::new();
    for line in std::fs::read_to_string(&log).unwrap().lines() {
        *points.entry(line.to_owned()).or_default() += 1;
    }
    points
}

/// The first time that the process comes to each of these points, and one in the middle where it comes there often: one in so many
/// of them, which follow the clock.
pub(crate) fn moments<'a>(points: impl Iterator<Item = (&'a String, &'a usize)>, part: usize) -> Vec<String> {
    let points: Vec<_> = points.collect();
    let often = points.iter().filter(|(_, times)| **times >= 4);
    let often = often.map(|(name, times)| format!("{name}@{}", *times / 2 + 1));
    let all = points.iter().map(|(name, _)| (*name).clone()).chain(often);
    let part = if std::env::var("FLEET_TEST_CRASHES").is_ok_and(|form| form == "full") { 1 } else { part };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().subsec_nanos() as usize;
    all.enumerate().filter(|(place, _)| place % part == now % part).map(|(_, moment)| moment).collect()
}

/// The part of the points that these tests take.
const PART: usize = 3;

/// Runs a command until it dies at a point. False: the run came by less often this time, as it may where it gathers events.
pub(crate) fn dies_at(fleet: &Fleet, arguments: &[&str], point: &str) -> bool {
    let mut program: Command = fleet.program(arguments);
    let ran = finish(program.env("FLEET_TEST_CRASH_AT", point));
    assert!(ran.code.is_none() || point.contains('@'), "{point}: it was not killed\n{}\n{}", ran.out, ran.err);
    ran.code.is_none()
}

/// The runs in the ledger, the newest first.
pub(crate) fn runs(fleet: &Fleet) -> Vec<Value> {
    let ran = run(fleet, &["runs", "list", "--limit", "99", "--format", "json"]);
    // A kill can come before there is a ledger.
    match ran.code {
        Some(64) if ran.err.contains("no run has been recorded yet") => Vec::new(),
        _ => ran.exits(0).json()["runs"].as_array().unwrap().clone(),
    }
}

/// Goes on with the last run until nothing is left, as an operator does who reads what is printed: approves it where it
/// paused, resolves who is in doubt, and gives the command again (`again`) for those.
#[track_caller]
pub(crate) fn go_on(fleet: &Fleet, point: &str, again: &[&str]) {
    for _ in 0..6 {
        let ran = run(fleet, &["runs", "resume", "last", "--yes"]);
        match ran.code {
            Some(0) => return,
            Some(5) => _ = run(fleet, &["runs", "approve", "last", "--by", "ann", "--yes"]),
            // Tenants in doubt of any of the runs: they are not taken up again.
            Some(100 | 101) => {
                let status = run(fleet, &["status", "--format", "json"]).exits(0).json();
                let is_open = |tenant: &&Value| tenant["state"] == "in_doubt";
                let open: Vec<&Value> = status["attention"].as_array().unwrap().iter().filter(is_open).collect();
                open.iter().for_each(|tenant| resolve(fleet, tenant["id"].as_str().unwrap()));
                // It may pause at its gate once more.
                if run(fleet, again).code == Some(0) {
                    return;
                }
            }
            _ => panic!("{point}: {:?}\n{}\n{}", ran.code, ran.out, ran.err),
        }
    }
    panic!("{point}: it does not come to an end");
}

/// Nobody knows of the statement that a process died in, or right behind: on MariaDB and MySQL, and where a migration has no
/// transaction.
pub(crate) fn resolve(fleet: &Fleet, id: &str) {
    let told = run(fleet, &["runs", "resolve", id]).exits(2).err;
    let hint = told.split_once("happen: ").or_else(|| told.split_once("happened: "));
    let flag = match hint.map(|(_, rest)| rest.lines().next().unwrap().trim().to_owned()) {
        Some(flag) => flag,
        None if told.contains("0008_witness") => {
            let is_there = !fleet.ask(id, "SELECT feature FROM tenant_features").is_empty();
            if is_there { "--applied" } else { "--not-applied" }.to_owned()
        }
        // Its last statement only reads.
        None => {
            assert!(told.contains("migrate_transactions") && told.contains("statement 3"), "{told}");
            "--applied".to_owned()
        }
    };
    let words: Vec<&str> = flag.split(' ').collect();
    run(fleet, &[&["runs", "resolve", id][..], &words, &["--yes"]].concat()).exits(0);
}

/// Whether a tenant behind the canary has anything of the catalog.
fn is_begun(fleet: &Fleet) -> bool {
    fleet.tenants.iter().filter(|tenant| tenant.id.ends_with("-001")).any(|tenant| {
        fleet.has_table(&tenant.id, "inventory_items") || fleet.history(&tenant.id).is_some_and(|h| !h.is_empty())
    })
}

/// Kills `migrate` at the points that are `wanted`, and goes on each time.
fn killed_at(fleet: &Fleet, wanted: impl Fn(&str) -> bool) {
    let migrate = ["migrate", "--yes"];
    fleet.write();
    let points = points(fleet, &migrate, 0);
    let whole = contents(fleet);
    assert!(whole.values().all(|lines| lines.iter().filter(|line| *line == "witness").count() == 1), "{whole:#?}");
    let moments = moments(points.iter().filter(|(point, _)| wanted(point)), PART);
    assert!(moments.len() > 2, "{points:?}");
    for point in &moments {
        rewind(fleet);
        if !dies_at(fleet, &migrate, point) {
            continue;
        }
        match !runs(fleet).is_empty() {
            true => go_on(fleet, point, &migrate),
            false => {
                assert!(contents(fleet).values().all(|lines| *lines == ["applied:"]), "{point}: nothing is recorded");
                run(fleet, &migrate).exits(0);
            }
        }
        let found = contents(fleet);
        assert_eq!(found, whole, "killed at {point}");
        run(fleet, &["migrate", "--yes"]).exits(0).shows(&[&format!("{} up to date", fleet.tenants.len())]);
    }
}

const SOAK: &str = "soak = \"60ms\"\nevery = \"20ms\"";

#[test]
fn a_run_that_is_killed_anywhere_is_finished_by_resume() {
    let fleet = of_all(SOAK);
    killed_at(&fleet, |point| !point.contains("gate"));
}

#[test]
fn a_run_that_is_killed_around_a_gate_or_a_hook_is_finished_by_resume() {
    let points = ["before_run", "after_run", "before_wave", "after_wave", "before_tenant", "after_tenant"];
    let hooks = format!("[hooks]\n{}", points.map(|point| format!("{point} = [\"true\"]\n")).concat());
    let fleet = of_two(SOAK, &hooks);
    killed_at(&fleet, |point| {
        let is_of_hook = point.starts_with("calling") || point.starts_with("called") || point.contains("hook");
        is_of_hook || point.contains("gate") || point.contains("wave_finished")
    });
}

#[test]
fn an_approval_is_in_the_ledger_before_anybody_moves() {
    let fleet = of_two("then = \"pause\"", "");
    fleet.write();
    let migrate = ["migrate", "--yes"];
    let paused = points(&fleet, &migrate, 5);
    let approve = ["runs", "approve", "last", "--by", "Ann B.", "--yes"];
    let approved = points(&fleet, &approve, 0);
    let whole = contents(&fleet);
    let at_gate = paused.iter().filter(|(point, _)| point.contains("gate") || point.contains("run_finished"));
    for point in &moments(at_gate, PART) {
        rewind(&fleet);
        if !dies_at(&fleet, &migrate, point) {
            continue;
        }
        assert!(!is_begun(&fleet), "killed at {point}: nobody has approved it");
        let resumed = run(&fleet, &["runs", "approve", "last", "--by", "ann", "--yes"]);
        match resumed.code {
            // The verdict is not in the ledger: the gate is asked again.
            Some(64) => go_on(&fleet, point, &migrate),
            code => assert_eq!(code, Some(0), "{point}: {}", resumed.err),
        }
        assert_eq!(contents(&fleet), whole, "killed at {point}");
    }
    for point in &moments(approved.iter(), PART) {
        rewind(&fleet);
        run(&fleet, &migrate).exits(5);
        if !dies_at(&fleet, &approve, point) {
            continue;
        }
        let last = run(&fleet, &["runs", "show", "last", "--format", "json"]).exits(0).json();
        let is_approved = |event: &&Value| event["event"]["by"] == "Ann B.";
        let is_told = last["events"].as_array().unwrap().iter().any(|event| is_approved(&event));
        assert!(
            is_told || !is_begun(&fleet),
            "killed at {point}: a tenant moved, and nobody is told to have approved it"
        );
        assert_eq!(is_told, !point.starts_with("unwritten:run_started"), "killed at {point}");
        match is_told {
            true => go_on(&fleet, point, &migrate),
            false => _ = run(&fleet, &approve).exits(0),
        }
        assert_eq!(contents(&fleet), whole, "killed at {point}");
    }
}

#[test]
fn a_rollback_of_a_run_that_is_killed_anywhere_is_finished_by_resume() {
    let fleet = of_two("", "");
    let first = &crate::support::all()[1];
    fleet.run(&["migrate", "--yes", "--to", first, "-t", "*-001"]).exits(0);
    let before = contents(&fleet);
    run(&fleet, &["migrate", "--yes"]).exits(0);
    let back = ["rollback", "--run", "last", "--yes"];
    let points = points(&fleet, &back, 0);
    let histories = |contents: &BTreeMap<String, Vec<String>>| -> Vec<Vec<String>> {
        contents.values().map(|lines| lines.iter().skip_while(|line| *line != "applied:").cloned().collect()).collect()
    };
    let rolled_back = contents(&fleet);
    assert_eq!(histories(&rolled_back), histories(&before));
    for point in &moments(points.iter(), PART) {
        let moved = run(&fleet, &["migrate", "--yes", "--format", "json"]).exits(0).json();
        let moved = moved["run"].as_str().unwrap();
        if !dies_at(&fleet, &["rollback", "--run", moved, "--yes"], point) {
            continue;
        }
        let runs = run(&fleet, &["runs", "list", "--limit", "1", "--format", "json"]).exits(0).json();
        match runs["runs"][0]["run"] == moved {
            true => _ = run(&fleet, &["rollback", "--run", moved, "--yes"]).exits(0),
            false => go_on(&fleet, point, &["rollback", "--run", moved, "--yes"]),
        }
        assert_eq!(contents(&fleet), rolled_back, "killed at {point}");
    }
}

#[test]
fn an_approval_of_a_plan_is_recorded_whole_or_not_at_all() {
    let fleet = Fleet::new().head("[fleet]\nrequire_approval = true\n").sqlite(2);
    fleet.run(&["plan", "--save", "plan.json"]).exits(0);
    let (approve, migrate) =
        (["plan", "approve", "plan.json", "--by", "ann"], ["migrate", "--plan", "plan.json", "--yes"]);
    assert!(dies_at(&fleet, &approve, "unwritten:approval"));
    run(&fleet, &migrate).exits(2).tells(&["nobody has approved the plan", "nothing was touched"]);
    assert!(dies_at(&fleet, &approve, "written:approval"));
    run(&fleet, &migrate).exits(0);
}

/// Dies in the gate, or right behind its verdict, and types `migrate` again.
#[test]
fn a_migration_in_place_of_resume_never_leaves_a_failed_canary_up() {
    let gate = "on_failure = \"rollback_wave\"";
    let fleet =
        scripted(Fleet::new().head(&head(gate, "").replace("command = [\"true\"]", "command = [\"false\"]")).sqlite(4));
    let canary = &fleet.tenants[0].id.clone();
    let migrate = ["migrate", "--yes"];
    fleet.write();
    let points = points(&fleet, &migrate, 101);
    assert_eq!(fleet.history(canary).unwrap_or_default().len(), 0, "it is back");
    let behind = [
        "told:gate_started",
        "written:gate_started",
        "told:gate_finished",
        "written:gate_finished",
        "written:rollback_due",
    ];
    let moments: Vec<&str> = behind.into_iter().filter(|point| points.contains_key(*point)).collect();
    assert!(moments.len() > 2, "{points:?}");
    for point in moments {
        rewind(&fleet);
        assert!(dies_at(&fleet, &migrate, point));
        assert!(!fleet.history(canary).unwrap().is_empty(), "{point}: the canary is up");
        let dead = run(&fleet, &["runs", "list", "--format", "json"]).exits(0).json()["runs"][0]["run"].clone();
        let dead = dead.as_str().unwrap();
        let refused = run(&fleet, &migrate).exits(1);
        let ways = [format!("runs resume {dead}"), format!("rollback --run {dead} --wave canary")];
        refused.tells(&[" before ", canary, "nothing was touched", &ways[0], &ways[1]]);
        assert!(!is_begun(&fleet), "{point}");
        if point == "written:gate_started" {
            run(&fleet, &["rollback", "--run", dead, "--wave", "canary", "--yes"]).exits(0);
        } else {
            let resumed = run(&fleet, &["runs", "resume", dead, "--yes"]);
            if resumed.code == Some(1) && point.starts_with("told") {
                // Its outcome had not been written yet: a person is told, once.
                resumed.tells(&[&format!("not taken back: {canary}"), "a run ended without a certain outcome for it"]);
                run(&fleet, &migrate).exits(101);
                continue;
            }
            assert_eq!(resumed.code, Some(101), "{point}: {}{}", resumed.out, resumed.err);
        }
        assert_eq!(fleet.history(canary).unwrap_or_default().len(), 0, "{point}: it is back");
        // Nothing is left of it, and the next one has its own judgement.
        run(&fleet, &migrate).exits(101).shows(&["Taken back by run"]);
        assert_eq!(fleet.history(canary).unwrap_or_default().len(), 0, "{point}");
    }
    // Died before anybody was touched, there is nothing to be judged.
    rewind(&fleet);
    assert!(dies_at(&fleet, &migrate, "written:run_started"));
    run(&fleet, &migrate).exits(101).shows(&["Taken back by run"]);
}

/// The first time that a command comes to each point behind the beginning of its second run.
fn points_of_the_second_run(fleet: &Fleet, arguments: &[&str], code: i32) -> Vec<String> {
    points(fleet, arguments, code);
    let log = std::fs::read_to_string(fleet.path("points.log")).unwrap();
    let (mut times, mut found) = (BTreeMap::<&str, usize>::new(), BTreeMap::new());
    for point in log.lines() {
        let time = times.entry(point).or_default();
        *time += 1;
        let time = *time;
        if times.get("unwritten:run_started").is_some_and(|begun| *begun == 2) {
            found.entry(point).or_insert(format!("{point}@{time}"));
        }
    }
    found.into_values().collect()
}

/// The second run of `on_failure = "rollback_wave"`, on every engine.
#[test]
fn a_wave_that_takes_itself_back_is_back_wherever_that_is_killed() {
    let mut fleet = of_all("on_failure = \"rollback_wave\"");
    fleet.head = fleet.head.replace("command = [\"true\"]", "command = [\"false\"]");
    fleet.write();
    let to = crate::support::all()[3].clone();
    let migrate = ["migrate", "--yes", "--to", &to];
    let all = points_of_the_second_run(&fleet, &migrate, 101);
    let whole = contents(&fleet);
    assert!(fleet.tenants.iter().all(|tenant| fleet.history(&tenant.id).unwrap_or_default().is_empty()), "{whole:#?}");
    assert!(all.len() > 10, "{all:?}");
    let one = 1;
    let mut killed = 0;
    for point in &moments(all.iter().map(|point| (point, &one)), 6) {
        rewind(&fleet);
        if !dies_at(&fleet, &migrate, point) {
            continue;
        }
        killed += 1;
        for _ in 0..6 {
            let status = run(&fleet, &["status", "--format", "json"]);
            let status = status.json();
            let is_open = |tenant: &&Value| tenant["state"] == "in_doubt";
            let open: Vec<&Value> = status["attention"].as_array().unwrap().iter().filter(is_open).collect();
            open.iter().for_each(|tenant| resolve(&fleet, tenant["id"].as_str().unwrap()));
            if open.is_empty() && contents(&fleet) == whole {
                break;
            }
            run(&fleet, &["runs", "resume", "last", "--yes"]);
        }
        assert_eq!(contents(&fleet), whole, "killed at {point}");
        // Nothing of it is left, and the next one has its own judgement.
        run(&fleet, &migrate).exits(101).shows(&["Taken back by run"]);
        assert_eq!(contents(&fleet), whole, "killed at {point}");
    }
    assert!(killed > 0, "{all:?}");
}
