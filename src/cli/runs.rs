//! `runs list`, `runs show` and `runs resume`; `runs resolve` has a file of its own.

use std::collections::BTreeSet;

use super::args::{Output, Runs};
use super::command::Run;
use super::exit::{CliError, run_error};
use super::previous_run::PreviousRun;
use super::setup::Program;
use super::{next, resolve, resume};
use crate::ledger::{Ends, Ledger};
use crate::model::event::{Event, PlannedTenant, RunHeader};
use crate::model::outcome::TenantRecord;
use crate::model::run_summary::{AttemptRow, RunStatus, RunSummary};
use crate::model::stats::RunStats;
use crate::model::tenant::TenantId;
use crate::policy::{Tally, UsedUp};
use crate::report::outcome::OutcomeView;
use crate::report::runs::RunView;

impl Run for Runs {
    async fn run(self, program: &Program) -> Result<u8, CliError> {
        match self {
            Runs::List { limit, show } => list(program, limit, &show.output).await,
            Runs::Show { run, show } => self::show(program, &run, &show.output).await,
            Runs::Resume { run, native, recreate, output, .. } => {
                resume::resume(program, &run, resume::How { native, recreate }, &output).await
            }
            Runs::Resolve(resolve) => resolve::resolve(program, &resolve).await,
        }
    }
}

async fn list(program: &Program, limit: usize, output: &Output) -> Result<u8, CliError> {
    let runs = program.read_ledger(async |ledger| ledger.runs(limit).await.map_err(CliError::Ledger)).await?;
    output.deliver(&crate::report::runs::list(&runs, output.format, &output.style(program)))?;
    Ok(0)
}

async fn show(program: &Program, wanted: &str, output: &Output) -> Result<u8, CliError> {
    let shown = program.read_ledger(async |ledger| read(ledger, wanted).await).await?;
    let Shown { summary, former, is_alive, ends, attempts, events } = shown;
    let records: Vec<TenantRecord> = former.records.iter().filter_map(|(_, record)| record.clone()).collect();
    let mut stats = RunStats { selected: former.records.len(), ..RunStats::default() };
    for record in &records {
        stats.add(&record.outcome, record.attempts);
    }
    let stats = summary.stats.unwrap_or(stats);
    let waves = events.iter().filter_map(|(_, event)| match event {
        Event::WaveStarted { wave, tenants, max_failures } => {
            Some((wave.clone(), max_failures.as_ref()?.parse().ok()?, Tally::default(), *tenants))
        }
        _ => None,
    });
    let used_up = next::used_up(waves, &records);
    // A run that lives, or is being resumed, needs nothing from anybody: what is not done yet is about to be done.
    let next = if is_alive { next::Next::default() } else { next_of(program, &former, &ends.open, used_up.as_ref()) };
    let view = RunView {
        run: &summary,
        outcome: OutcomeView {
            header: &former.header,
            records: &records,
            stats: &stats,
            elapsed: summary.elapsed(),
            scripts: &[],
            rerun: next.first.as_deref(),
            ways: &next.rest,
            used_up: used_up.as_ref(),
        },
        attempts: &attempts,
        events: &events,
    };
    output.deliver(&view.render(output.format, &output.style(program)))?;
    Ok(0)
}

/// A run as the ledger has it.
struct Shown {
    summary: RunSummary,
    former: PreviousRun,
    /// Whether it goes on, or a run that resumes it does.
    is_alive: bool,
    ends: Ends,
    attempts: Vec<AttemptRow>,
    events: Vec<(i64, Event)>,
}

async fn read(ledger: &Ledger, wanted: &str) -> Result<Shown, CliError> {
    let summary = ledger.run(wanted).await.map_err(run_error)?;
    let former = PreviousRun::read(ledger, &summary.run.to_string()).await?;
    let is_alive =
        summary.status() == RunStatus::Running || ledger.living_heir(summary.run).await.map_err(run_error)?.is_some();
    let ends = ledger.ends(summary.run).await.map_err(run_error)?;
    let attempts = ledger.attempts(summary.run).await.map_err(run_error)?;
    let events = ledger.events(summary.run).await.map_err(run_error)?;
    Ok(Shown { summary, former, is_alive, ends, attempts, events })
}

/// The commands to type next for the tenants that no later run has settled.
fn next_of(program: &Program, former: &PreviousRun, open: &BTreeSet<TenantId>, used_up: Option<&UsedUp>) -> next::Next {
    let still = |(planned, _): &&(PlannedTenant, Option<TenantRecord>)| open.contains(&planned.tenant);
    let tenants = former.records.iter().filter(still).map(|(planned, _)| planned.clone()).collect();
    let records: Vec<TenantRecord> =
        former.records.iter().filter(still).filter_map(|(_, record)| record.clone()).collect();
    next::after(program, &RunHeader { tenants, ..former.header.clone() }, &records, used_up)
}
