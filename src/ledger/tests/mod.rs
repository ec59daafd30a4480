//! The ledger on real SQLite files: shared parts of the tests.

mod faults;
mod finding;
mod order;
mod processes;
mod recording;
mod sharing;
mod upgrades;

use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;
use uuid::Uuid;

use super::*;
use crate::model::event::{Event, PlannedTenant, RunHeader};
use crate::model::fault::{Fault, FaultClass};
use crate::model::outcome::{Blocker, InDoubt, Moved, NotStarted, Outcome, StoppedAt, TenantRecord};
use crate::model::plan::{Goal, Target};
use crate::model::run_kind::RunKind;
use crate::model::run_summary::{RunStatus, RunSummary};
use crate::model::schema::{Direction, Unfinished};
use crate::model::started_by::StartedBy;
use crate::model::stats::RunStats;
use crate::model::tenant::{Engine, TenantId};

/// A folder with a place for a ledger.
fn place() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("fleet.db");
    (folder, file)
}

fn at(file: &Path) -> Location {
    Location::File(file.to_owned())
}

const GOAL: Goal = Goal { direction: Direction::Up, target: Target::End, out_of_order: false };

fn header(tenants: usize) -> RunHeader {
    RunHeader {
        run: Uuid::now_v7(),
        direction: Direction::Up,
        goal: "head".into(),
        kind: RunKind::migrate(GOAL),
        resumes: None,
        catalog: vec!["m1_a".into(), "m2_b".into()],
        texts: vec![String::new(), "0123456789ab".into()],
        tenants: (0..tenants)
            .map(|i| PlannedTenant {
                tenant: TenantId::from(format!("tenant-{i}").as_str()),
                engine: Engine::ALL[i % 3],
                server: "db1:5432".into(),
                wave: if i == 0 { "canary".into() } else { "rest".into() },
                target: (i % 2 == 1).then_some(Target::Migration(i)),
                database: Some(format!("sqlite:{i}.db")),
            })
            .collect(),
        started_at_ms: 1_700_000_000_000,
        program: "0.1.0".into(),
        started_by: StartedBy { process: super::process::current(), ..StartedBy::default() },
        selection: Vec::new(),
    }
}

fn record(header: &RunHeader, index: usize, outcome: Outcome) -> TenantRecord {
    let planned = header.tenants[index].clone();
    TenantRecord {
        version_known: true,
        index,
        tenant: planned.tenant,
        engine: planned.engine,
        server: planned.server,
        wave: planned.wave,
        outcome,
        version: Some("m2_b".into()),
        committed: vec!["m2_b".into()],
        attempts: 1,
        duration: Duration::from_millis(12),
        notes: vec![],
        brought_back: false,
        stopped_at: None,
        error: None,
        timings: None,
        runner: None,
    }
}

fn every_outcome() -> Vec<Outcome> {
    let moved = || Moved { from: Some("m1_a".into()), to: Some("m2_b".into()), n: 1 };
    vec![
        Outcome::UpToDate,
        Outcome::Migrated(moved()),
        Outcome::RolledBack(Moved { from: None, to: None, n: 2 }),
        Outcome::Failed { class: FaultClass::AlreadyExists },
        Outcome::LockTimeout { blocker: None, queue: Default::default() },
        Outcome::LockTimeout {
            blocker: Some(Box::new(Blocker {
                id: 4711,
                user: Some("o'neill".into()),
                address: None,
                database: None,
                application: None,
                transaction_seconds: Some(9),
                query: Some("SELECT '🦀\u{0}'".into()),
                lock: None,
            })),
            queue: Default::default(),
        },
        Outcome::InDoubt(InDoubt::Unanswered),
        Outcome::InDoubt(InDoubt::Journal(Unfinished {
            migration: "m2_b".into(),
            direction: Direction::Down,
            statement: Some(3),
            run: "other".into(),
            stopped: false,
            sha256: String::new(),
            is_gone: false,
            lost: String::new(),
            vouched: false,
        })),
        Outcome::Ahead { unknown: vec!["m9_z".into()] },
        Outcome::Unreachable { class: FaultClass::Dns },
        Outcome::Interrupted,
        Outcome::Skipped { reason: "quarantined".into() },
        NotStarted::FailureBudget.outcome(),
    ]
}

/// Records a whole run in which every tenant was up to date.
async fn recorded(ledger: &Ledger, tenants: usize) -> RunHeader {
    let header = header(tenants);
    record_all(ledger, &header).await;
    header
}

async fn record_all(ledger: &Ledger, header: &RunHeader) {
    let tenants = header.tenants.len();
    let mut recorder = ledger.recorder();
    recorder.begin(header).await.unwrap();
    let mut stats = RunStats { selected: tenants, ..RunStats::default() };
    for index in 0..tenants {
        stats.add(&Outcome::UpToDate, 1);
        let record = record(header, index, Outcome::UpToDate);
        recorder.record(Event::TenantFinished(record), 1).await.unwrap();
    }
    recorder.record(Event::RunFinished { stats }, 2).await.unwrap();
    recorder.finish().await.unwrap();
}
