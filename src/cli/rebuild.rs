//! `runs rebuild`: the versions of the tenants, from their own tables, into the ledger.
//!
//! It reads the tenants and writes to the ledger alone: a run of its own, which applied nothing.

use std::sync::Arc;
use std::time::Duration;

use super::args::Selection as SelectionArgs;
use super::exit::CliError;
use super::setup::Program;
use super::start::{Intent, Task, plan};
use super::{session, terminal};
use crate::ledger::Ledger;
use crate::model::clock::now_ms;
use crate::model::event::{Event, RunHeader};
use crate::model::fault::FaultClass;
use crate::model::observation::Observation;
use crate::model::outcome::{InDoubt, Outcome, TenantRecord};
use crate::model::run_kind::RunKind;
use crate::model::schema::State;
use crate::model::stats::RunStats;
use crate::model::tenant::Tenant;
use crate::report::count;

/// Records where the selected tenants are. Exits with 100 when one could not be read, or is in doubt.
pub(super) async fn rebuild(program: &Program, selection: &SelectionArgs) -> Result<u8, CliError> {
    session::refuse_tenant(program)?;
    let set = program.set().await?;
    let task = Task { kind: RunKind::Rebuild, command: "runs rebuild".to_owned(), question: String::new() };
    let intent = Intent::task(task, program.select(selection).await?);
    session::refuse_held(program, &intent.selection, false).await?;
    let tenants: Vec<Arc<Tenant>> = intent.selection.tenants().cloned().collect();
    let observations = program.observe(&set, &tenants).await;
    let header = plan(program, &set, intent).header;
    let ledger = Ledger::open(&program.settings().ledger).await.map_err(CliError::Ledger)?;
    let recorded = record(program, &ledger, &header, &observations).await;
    ledger.close().await;
    let stats = recorded?;
    terminal::print(&format!("recorded the versions of {} as run {}", count(stats.at_target(), "tenant"), header.run))?;
    if stats.failures() == 0 {
        return Ok(0);
    }
    program.terminal.warn(&format!(
        "{} could not be read, or the state is not known; see: {}",
        count(stats.failures(), "tenant"),
        program.command(&format!("runs show {}", header.run))
    ));
    Ok(100)
}

/// Dying in it: a run without the outcomes that are not written yet, which may be made again.
async fn record(
    program: &Program,
    ledger: &Ledger,
    header: &RunHeader,
    observations: &[Observation],
) -> Result<RunStats, CliError> {
    let mut recorder = ledger.recorder();
    recorder.begin(header).await.map_err(|error| session::held_or(program, error))?;
    let mut stats = RunStats { selected: header.tenants.len(), ..RunStats::default() };
    for (index, (planned, seen)) in header.tenants.iter().zip(observations).enumerate() {
        let outcome = outcome_of(seen);
        stats.add(&outcome, 1);
        let record = TenantRecord {
            index,
            tenant: planned.tenant.clone(),
            engine: planned.engine,
            server: planned.server.clone(),
            wave: planned.wave.clone(),
            outcome,
            version: seen.version.clone(),
            version_known: seen.state != State::Unreachable && !seen.is_lost(),
            committed: Vec::new(),
            attempts: 1,
            duration: Duration::ZERO,
            notes: Vec::new(),
            brought_back: false,
            stopped_at: None,
            error: seen.error.clone(),
            timings: None,
            runner: None,
        };
        // A record that was lost is told by `finish`.
        if recorder.record(Event::TenantFinished(record), now_ms()).await.is_err() {
            break;
        }
    }
    let _ = recorder.record(Event::RunFinished { stats }, now_ms()).await;
    recorder.finish().await.map_err(CliError::Ledger)?;
    Ok(stats)
}

/// The outcome of reading a tenant: it is where it is, or nobody knows where.
fn outcome_of(seen: &Observation) -> Outcome {
    let class = seen.error.as_ref().map_or(FaultClass::Other, |error| error.class);
    match &seen.state {
        State::Unreachable => Outcome::Unreachable { class },
        State::InDoubt(unfinished) => Outcome::InDoubt(InDoubt::Journal(unfinished.clone())),
        State::Stopped(_) => Outcome::Failed { class: FaultClass::PartiallyApplied },
        State::Ahead { unknown } => Outcome::Ahead { unknown: unknown.clone() },
        _ if seen.is_lost() => Outcome::Failed { class },
        _ => Outcome::UpToDate,
    }
}
