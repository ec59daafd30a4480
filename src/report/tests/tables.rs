//! Runs and tenants.

use std::collections::{BTreeMap, HashMap};

use uuid::Uuid;

use super::outcome::{header, mixed, stats};
use super::*;
use crate::model::outcome::OutcomeKind;
use crate::model::plan::{Goal, Target};
use crate::model::run_kind::RunKind;
use crate::model::run_summary::{AttemptRow, RunSummary};
use crate::model::schema::Direction;
use crate::model::started_by::{Liveness, StartedBy};
use crate::model::stats::RunStats;
use crate::report::Format;
use crate::report::outcome::OutcomeView;
use crate::report::runs::{self, RunView};
use crate::report::tenants::{self, TenantRow};

pub(super) fn run(n: u128, finished: bool) -> RunSummary {
    let mut stats = RunStats { selected: 300, ..RunStats::default() };
    stats.outcomes[OutcomeKind::Migrated] = 295;
    stats.outcomes[OutcomeKind::Failed] = 5;
    let goal = Goal { direction: Direction::Up, target: Target::End, out_of_order: false };
    RunSummary {
        run: Uuid::from_u128(0x0198_c0de_0000_7000_8000_0000_0000_0000 + n),
        direction: Direction::Up,
        goal: "m20240330_000001_inventory_tracking".to_owned(),
        kind: RunKind::migrate(goal),
        program: "0.1.0".to_owned(),
        started_at_ms: 1_795_169_702_000,
        finished_at_ms: finished.then_some(1_795_169_763_500),
        stats: Some(stats),
        selected: 300,
        counts: stats,
        gone_on: false,
        taken_back: false,
        resumes: (n == 2).then(|| Uuid::from_u128(1)),
        started_by: StartedBy::default(),
        selection: Vec::new(),
        liveness: Liveness::Running,
        silent_ms: None,
    }
}

#[test]
fn runs_in_a_list() {
    let mut well = RunStats { selected: 295, ..RunStats::default() };
    well.outcomes[OutcomeKind::Migrated] = 295;
    let rows = [run(2, false), run(1, true), RunSummary { stats: Some(well), counts: well, ..run(0, true) }];
    for (name, style) in [("wide", WIDE), ("narrow", NARROW)] {
        let text = runs::list(&rows, Format::Table, &style);
        assert_readable(&text, &style);
        insta::assert_snapshot!(format!("runs_{name}"), text);
    }
    insta::assert_snapshot!("runs_json", runs::list(&rows[..2], Format::Json, &NARROW));
    assert_eq!(runs::list(&rows, Format::Csv, &NARROW).lines().count(), 4);
    assert_eq!(runs::list(&[], Format::Table, &NARROW), "no runs yet\n");
    let odd = RunSummary { started_at_ms: i64::MIN, goal: HOSTILE[1].to_owned(), ..run(1, true) };
    assert_readable(&runs::list(&[odd], Format::Table, &NARROW), &NARROW);
}

#[test]
fn one_run_in_full() {
    let records = mixed();
    let (row, header, stats) = (run(2, false), header(&records), stats(&records));
    let busy = Fault::with_code(FaultClass::LockTimeout, "55P03", "canceling statement due to lock timeout");
    let attempts: Vec<AttemptRow> = (1..=3)
        .map(|attempt| AttemptRow {
            index: 67,
            attempt,
            started_at_ms: 1_795_169_702_000,
            ended_at_ms: 1_795_169_703_000,
            error: (attempt < 3).then(|| busy.clone()),
            retry_in_ms: (attempt < 3).then_some(200),
        })
        .collect();
    let view = RunView {
        run: &row,
        outcome: OutcomeView {
            header: &header,
            records: &records[..4],
            stats: &stats,
            elapsed: row.elapsed(),
            scripts: &[],
            rerun: Some("fleet runs resume 0198c0de-0000-7000-8000-000000000002"),
            ways: "",
            cause: None,
            undo: None,
        },
        approvals: &[],
        attempts: &attempts,
        events: &[],
        ended_at_ms: &HashMap::new(),
        heirs: &[run(3, true)],
        approvers: &BTreeMap::new(),
        settled: &BTreeMap::new(),
        runners: &[],
        now_ms: 1_795_169_764_000,
        all: true,
    };
    let text = view.render(Format::Table, &NARROW);
    assert_readable(&text, &NARROW);
    insta::assert_snapshot!("run_show", text);
    let json: serde_json::Value = serde_json::from_str(&view.render(Format::Json, &NARROW)).unwrap();
    assert_eq!((&json["status"], &json["attempts"][2]["attempt"]), (&"running".into(), &3.into()));
    assert_eq!(json["elapsed_ms"], serde_json::Value::Null, "nobody knows how long a killed run took");
}

#[test]
fn tenants_in_a_list() {
    let row = |id: &str, tags: &[(&str, &str)]| TenantRow {
        server_window: None,
        per_server: None,
        id: TenantId::from(id),
        engine: Engine::Postgres,
        server: "db7:5432".to_owned(),
        wave: "canary".to_owned(),
        tags: tags.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
        depends_on: Vec::new(),
        quarantine: None,
        location: "postgres://app@db7:5432/acme_production?sslmode=require".to_owned(),
        source: None,
    };
    let mut rows =
        vec![row("acme", &[("plan", "gold"), ("region", "eu")]), row("a-tenant-with-a-long-name.example", &[])];
    rows.extend(HOSTILE.iter().map(|bad| TenantRow { location: (*bad).to_owned(), ..row(bad, &[("k", bad)]) }));
    for (name, style) in [("wide", WIDE), ("narrow", NARROW)] {
        let text = tenants::list(&rows, Format::Table, &style);
        assert_readable(&text, &style);
        insta::assert_snapshot!(format!("tenants_{name}"), text);
    }
    for format in [Format::Json, Format::Csv, Format::Md] {
        let text = tenants::list(&rows, format, &NARROW);
        assert!(text.lines().all(|l| l.chars().all(is_harmless)));
        insta::assert_snapshot!(format!("tenants_{format}"), text);
    }
}
