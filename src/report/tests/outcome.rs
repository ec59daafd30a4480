//! The end of a run.

use std::time::Duration;

use uuid::Uuid;

use super::*;
use crate::model::event::{PlannedTenant, RunHeader};
use crate::model::outcome::{Blocker, InDoubt, Moved, NotStarted, Outcome, OutcomeKind, StoppedAt, TenantRecord};
use crate::model::plan::{Goal, Target};
use crate::model::run_kind::RunKind;
use crate::model::schema::{Direction, Execution, Record, Script, Unfinished};
use crate::model::stats::RunStats;
use crate::policy::{StopCause, Tally, UsedUp};
use crate::report::Format;
use crate::report::outcome::OutcomeView;

/// The other ways on.
pub(super) const WAYS: &str =
    "the 5 that the run did not get to, once wave rest has at most 40 failed: fleet runs resume x\n";

pub(super) const RERUN: &str =
    "fleet migrate --failed-of 0198c0de-0000-7000-8000-000000000001 --to m20240330_000001_inventory_tracking";

pub(super) fn header(records: &[TenantRecord]) -> RunHeader {
    let goal = Goal { direction: Direction::Up, target: Target::End, out_of_order: false };
    RunHeader {
        run: Uuid::from_u128(0x0198_c0de_0000_7000_8000_0000_0000_0001),
        direction: Direction::Up,
        goal: "head".to_owned(),
        kind: RunKind::migrate(goal),
        resumes: None,
        catalog: catalog().migrations.iter().map(|m| m.to_string()).collect(),
        texts: Vec::new(),
        tenants: records
            .iter()
            .map(|r| PlannedTenant {
                tenant: r.tenant.clone(),
                engine: r.engine,
                server: r.server.clone(),
                wave: r.wave.clone(),
                target: None,
                database: None,
            })
            .collect(),
        started_at_ms: 1_795_169_702_000,
        program: "0.1.0".to_owned(),
        started_by: Default::default(),
        selection: Vec::new(),
    }
}

pub(super) fn record(index: usize, tenant: &str, outcome: Outcome) -> TenantRecord {
    let tried = !matches!(outcome, Outcome::NotStarted { .. } | Outcome::Skipped { .. });
    TenantRecord {
        version_known: !matches!(outcome, Outcome::Unreachable { .. } | Outcome::NotStarted { .. }),
        index,
        tenant: TenantId::from(tenant),
        engine: Engine::Postgres,
        server: "db7:5432".to_owned(),
        wave: if index < 3 { "canary" } else { "rest" }.to_owned(),
        version: match &outcome {
            Outcome::Migrated(moved) | Outcome::RolledBack(moved) => moved.to.clone(),
            Outcome::Unreachable { .. } | Outcome::NotStarted { .. } => None,
            _ => Some("m20240101_000001_initial_schema".to_owned()),
        },
        outcome,
        committed: Vec::new(),
        attempts: u32::from(tried),
        duration: Duration::from_millis(if tried { 40 + index as u64 } else { 0 }),
        notes: vec![],
        brought_back: false,
        stopped_at: None,
        error: None,
        timings: None,
        runner: None,
    }
}

pub(super) fn migrated(index: usize, tenant: &str, from: Option<&str>, n: usize) -> TenantRecord {
    let to = Some("m20240330_000001_inventory_tracking".to_owned());
    record(index, tenant, Outcome::Migrated(Moved { from: from.map(str::to_owned), to, n }))
}

pub(super) fn failed(index: usize, tenant: &str, class: FaultClass, code: &str, message: &str) -> TenantRecord {
    let mut r = record(index, tenant, Outcome::Failed { class });
    r.error = Some(Fault::with_code(class, code, message));
    r.stopped_at = Some(Box::new(StoppedAt {
        migration: "m20240215_000001_tenant_features".to_owned(),
        statement: Some(3),
        sql: Some(
            "CREATE TABLE \"features\" (\n  \"id\" uuid NOT NULL PRIMARY KEY,\n  \"name\" text NOT NULL\n)".to_owned(),
        ),
        ..StoppedAt::default()
    }));
    r
}

/// A view of a run and of nothing around it.
pub(super) fn bare<'a>(header: &'a RunHeader, records: &'a [TenantRecord], stats: &'a RunStats) -> OutcomeView<'a> {
    OutcomeView { header, records, stats, elapsed: None, scripts: &[], rerun: None, ways: "", cause: None, undo: None }
}

pub(super) fn stats(records: &[TenantRecord]) -> RunStats {
    let mut stats = RunStats { selected: records.len(), ..RunStats::default() };
    for r in records {
        stats.add(&r.outcome, r.attempts);
    }
    stats
}

pub(super) fn script(migration: usize, engine: Engine) -> Script {
    Script {
        flavour: None,
        migration: catalog().migrations[migration].clone(),
        direction: Direction::Up,
        engine,
        execution: Execution::Compiled { transaction: true },
        statements: vec!["CREATE TABLE \"features\" (\"id\" uuid)".to_owned(), "SELECT 1;".to_owned()],
        sha256: "3f2a9c".repeat(10) + "beef",
        has_variables: false,
        record: Record::Migration,
        source: None,
        online: None,
    }
}

/// One of each outcome, and 63 tenants with the same error.
pub(super) fn mixed() -> Vec<TenantRecord> {
    let exists = "relation \"features\" already exists";
    let mut all = vec![
        migrated(0, "acme", None, 3),
        migrated(1, "beta", Some("m20240101_000001_initial_schema"), 2),
        record(2, "gamma", Outcome::UpToDate),
    ];
    for i in 3..66 {
        all.push(failed(i, &format!("tenant-{i}"), FaultClass::AlreadyExists, "42P07", exists));
    }
    let mut partly = failed(66, "shop-mysql", FaultClass::AlreadyExists, "1050", "Table 'features' already exists");
    partly.engine = Engine::Mysql;
    partly.committed = vec!["m20240101_000001_initial_schema".to_owned()];
    all.push(partly);
    let blocker = Blocker {
        id: 4242,
        user: Some("reporting".to_owned()),
        address: None,
        database: None,
        application: Some("psql".to_owned()),
        transaction_seconds: Some(725),
        query: Some("SELECT * FROM orders FOR UPDATE".to_owned()),
        lock: None,
    };
    let mut locked = failed(67, "delta", FaultClass::LockTimeout, "55P03", "canceling statement due to lock timeout");
    locked.outcome = Outcome::LockTimeout { blocker: Some(Box::new(blocker)), queue: Default::default() };
    locked.attempts = 5;
    locked.duration = Duration::from_millis(26_300);
    all.push(locked);
    let mut doubt = record(
        68,
        "epsilon",
        Outcome::InDoubt(InDoubt::Journal(Unfinished {
            migration: "m20240215_000001_tenant_features".to_owned(),
            direction: Direction::Up,
            statement: Some(4),
            run: "0198b000-0000-7000-8000-000000000000".to_owned(),
            stopped: false,
            sha256: String::new(),
            is_gone: false,
            lost: String::new(),
            vouched: false,
        })),
    );
    doubt.engine = Engine::Mysql;
    all.push(doubt);
    all.push(record(69, "zeta", Outcome::InDoubt(InDoubt::Unanswered)));
    all.push(record(70, "eta", Outcome::Ahead { unknown: vec!["m20991231_000001_from_the_future".to_owned()] }));
    for (i, t) in [(71, "theta"), (72, "iota")] {
        let mut r = record(i, t, Outcome::Unreachable { class: FaultClass::UnknownDatabase });
        let text = format!("database \"db_{i}\" does not exist");
        r.error = Some(Fault::with_code(FaultClass::UnknownDatabase, "3D000", text));
        all.push(r);
    }
    all.push(record(73, "kappa", Outcome::Interrupted));
    all.push(record(74, "lambda", Outcome::Skipped { reason: "quarantined".to_owned() }));
    for i in 75..80 {
        all.push(record(i, &format!("late-{i}"), NotStarted::FailureBudget.outcome()));
    }
    all
}

pub(super) fn render(records: &[TenantRecord], format: Format, style: &Style) -> String {
    let mut stats = stats(records);
    stats.stopped = records
        .iter()
        .find_map(|r| if let Outcome::NotStarted { reason, .. } = &r.outcome { Some(*reason) } else { None });
    let kinds = [OutcomeKind::Failed, OutcomeKind::Migrated];
    let tally: Tally = (0..75).map(|n| kinds[usize::from(n >= 41)]).collect();
    let used_up = UsedUp { wave: Some("rest".to_owned()), budget: "40".parse().unwrap(), tally };
    let scripts = [script(1, Engine::Postgres), script(1, Engine::Mysql)];
    let view = OutcomeView {
        header: &header(records),
        records,
        stats: &stats,
        elapsed: Some(Duration::from_millis(1_234)),
        scripts: &scripts,
        rerun: Some(RERUN),
        ways: WAYS,
        cause: Some(&StopCause::Budget(used_up)),
        undo: None,
    };
    view.render(format, style)
}

#[test]
fn every_outcome_for_a_person() {
    let records = mixed();
    for (name, style) in [("wide", WIDE), ("narrow", NARROW), ("ascii", ASCII)] {
        let text = render(&records, Format::Table, &style);
        // The command line is to be copied: it is never cut.
        assert!(text.contains(&format!("\n  {RERUN}\n")));
        assert_readable(&text.replace(RERUN, "x").replace(WAYS.trim_end(), "x"), &style);
        assert_eq!(text.matches("CREATE TABLE").count(), 3, "once for each cause");
        insta::assert_snapshot!(format!("outcome_{name}"), text);
    }
}

#[test]
fn every_outcome_for_machines() {
    let mut records = mixed();
    records.drain(5..66);
    insta::assert_snapshot!("outcome_csv", render(&records, Format::Csv, &NARROW));
    insta::assert_snapshot!("outcome_md", render(&records, Format::Md, &NARROW));
    let json: serde_json::Value = serde_json::from_str(&render(&records, Format::Json, &NARROW)).unwrap();
    assert_eq!(json["schema_version"], 2);
    assert_eq!(json["verdict"], "budget_exhausted");
    assert_eq!(json["started_at"], "2026-11-20T10:15:02Z");
    assert_eq!(json["elapsed_ms"], 1_234);
    assert_eq!(json["tenants"].as_array().unwrap().len(), records.len());
    assert_eq!(serde_json::from_value::<TenantRecord>(json["tenants"][3].clone()).unwrap(), records[3]);
    insta::assert_snapshot!("outcome_json", render(&records[2..4], Format::Json, &NARROW));
}

#[test]
fn junit_has_a_suite_a_wave_and_a_case_a_tenant() {
    let mut records = mixed();
    records.drain(4..66);
    records.push(failed(90, HOSTILE[0], FaultClass::Other, HOSTILE[3], HOSTILE[1]));
    let (stats, header) = (stats(&records), header(&records));
    let view = bare(&header, &records, &stats);
    insta::assert_snapshot!("outcome_junit", view.render(Format::Junit, &NARROW));
}

#[test]
fn a_good_run_is_short() {
    let records = [migrated(0, "acme", None, 3), record(1, "beta", Outcome::UpToDate)];
    let (mut stats, header) = (stats(&records), header(&records));
    stats.held_back = 2;
    let elapsed = Some(Duration::from_millis(1_234));
    let view = OutcomeView { elapsed, ..bare(&header, &records, &stats) };
    insta::assert_snapshot!(view.render(Format::Table, &NARROW), @r"
    migrated    1  empty → inventory_tracking (3)
    up to date  1

    2 more tenants left out: held back by --canary, --partition or --limit, gone
    from the tenant file, or for the reason told above.
    2 tenants: 1 migrated, 1 up to date in 1.2s
    ");
}

#[test]
fn of_a_tenant_that_was_brought_back_nothing_has_stayed() {
    let mut r = failed(0, "acme", FaultClass::Other, "1146", "no such table; brought back from the backup of this run");
    r.brought_back = true;
    let records = [r];
    let (stats, header) = (stats(&records), header(&records));
    let view = bare(&header, &records, &stats);
    let text = view.render(Format::Table, &WIDE);
    assert!(text.contains("; as it was before this run, from its backup; nothing of the run has stayed"), "{text}");
    assert!(!text.contains("may have stayed") && !text.contains("not completed"), "{text}");
}

#[test]
fn what_is_not_known_is_not_claimed() {
    let mut r = failed(0, "acme", FaultClass::Other, "XX000", "oops");
    (r.version, r.version_known) = (None, false);
    let records = [r];
    let (stats, header) = (RunStats { selected: 2, ..stats(&records) }, header(&records));
    let view = bare(&header, &records, &stats);
    let text = view.render(Format::Table, &WIDE);
    assert!(text.contains("now at   not known; m20240215_000001_tenant_features was not completed"), "{text}");
    assert!(!text.contains("rolled back"), "no script, no claim: {text}");
    assert!(text.ends_with("2 tenants: 1 failed, 1 without an outcome\n"), "{text}");
    // The script of another engine says nothing about this one.
    let scripts = [script(1, Engine::Sqlite)];
    assert!(!OutcomeView { scripts: &scripts, ..view }.render(Format::Table, &WIDE).contains("rolled back"));
    let scripts = [script(1, Engine::Postgres)];
    assert!(OutcomeView { scripts: &scripts, ..view }.render(Format::Table, &WIDE).contains("was rolled back whole"));
}

#[test]
fn a_tenant_that_was_lost_midway_was_touched() {
    let mut r = record(0, "acme", Outcome::Unreachable { class: FaultClass::ConnectionRefused });
    let text = |r: &TenantRecord| render(std::slice::from_ref(r), Format::Table, &WIDE);
    assert!(text(&r).contains("nothing was touched"));
    r.committed = vec!["m20240101_000001_initial_schema".to_owned()];
    assert!(text(&r).contains("this run applied m20240101_000001_initial_schema\n"), "{}", text(&r));
    assert!(!text(&r).contains("nothing was touched"));
}

#[test]
fn colour_changes_nothing_but_the_colour() {
    let coloured = render(&mixed(), Format::Table, &Style { colour: true, ..NARROW });
    let mut plain = String::new();
    for (n, part) in coloured.split("\x1b[").enumerate() {
        plain.push_str(if n == 0 { part } else { part.split_once('m').map_or("", |(_, rest)| rest) });
    }
    assert!(coloured.contains("\x1b[31mFAILED\x1b[0m"));
    assert_eq!(plain, render(&mixed(), Format::Table, &NARROW));
}

#[test]
fn hostile_text_steers_nothing() {
    let mut records: Vec<TenantRecord> = HOSTILE
        .iter()
        .enumerate()
        .map(|(i, bad)| {
            let mut r = failed(i, bad, FaultClass::Other, bad, &bad.repeat(10_000 / bad.len()));
            r.stopped_at = Some(Box::new(StoppedAt {
                migration: (*bad).to_owned(),
                statement: None,
                sql: Some((*bad).to_owned()),
                file: Some((*bad).to_owned()),
                ..StoppedAt::default()
            }));
            r.committed = vec![(*bad).to_owned()];
            r
        })
        .collect();
    let text = render(&records, Format::Table, &NARROW);
    assert!(text.lines().all(|l| l.chars().all(is_harmless) && (l.contains(RERUN) || l.contains(WAYS.trim_end()) || width(l) <= 80)), "{text}");
    insta::assert_snapshot!("outcome_hostile", text);
    for format in [Format::Md, Format::Csv, Format::Json] {
        let text = render(&records, format, &NARROW);
        assert!(text.lines().all(|l| l.chars().all(is_harmless)));
    }
    let md = render(&records, Format::Md, &NARROW);
    assert!(md.lines().filter(|l| l.starts_with('|')).all(|l| !l.contains("<script>") && !l.contains("@everyone")));
    // Causes beyond those shown in full have one line each.
    for i in 0..40 {
        records.push(failed(10 + i, &format!("t{i}"), FaultClass::Other, "X", &format!("cause {i}")));
    }
    let text = render(&records, Format::Table, &NARROW);
    assert!((10..40).all(|i| text.contains(&format!("cause {i}"))), "{text}");
}
