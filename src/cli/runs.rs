//! `runs list`, `runs show`, `runs resume` and `runs approve`; `runs resolve` has a file of its own.

use std::collections::BTreeSet;

use super::args::{Approve, Output, Runs};
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
use crate::policy::{StopCause, Tally};
use crate::report::outcome::OutcomeView;
use crate::report::runs::RunView;

impl Run for Runs {
    async fn run(self, program: &Program) -> Result<u8, CliError> {
        match self {
            Runs::List { limit, show } => list(program, limit, &show.output).await,
            Runs::Show { run, show } => self::show(program, &run, &show.output).await,
            Runs::Resume(resume) => resume::resume(program, &resume, None).await,
            Runs::Approve(Approve { by, resume }) => resume::resume(program, &resume, Some(&by)).await,
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
    let closed = events.iter().rev().find_map(|(_, event)| match event {
        Event::GateFinished(gate) => gate.reason().map(|_| StopCause::Gate(gate.clone())),
        _ => None,
    });
    let used_up = || next::used_up(budgets(&events, summary.selected).into_iter(), &records);
    let cause = closed.or_else(|| used_up().map(StopCause::Budget));
    // A run that lives, or is being resumed, needs nothing from anybody: what is not done yet is about to be done.
    let next = if is_alive { next::Next::default() } else { next_of(program, &former, &ends.open, cause.as_ref()) };
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
            cause: cause.as_ref(),
        },
        attempts: &attempts,
        events: &events,
    };
    output.deliver(&view.render(output.format, &output.style(program)))?;
    Ok(0)
}

/// The budgets of the waves that began, and that of the run, as its events have them.
fn budgets(events: &[(i64, Event)], selected: usize) -> Vec<next::Budget> {
    let (mut budgets, mut of_run) = (Vec::new(), None);
    for (_, event) in events {
        if let Event::WaveStarted { wave, tenants, max_failures, run_max_failures } = event {
            let parsed = |text: &Option<String>| text.as_ref()?.parse().ok();
            budgets.extend(parsed(max_failures).map(|most| (Some(wave.clone()), most, Tally::default(), *tenants)));
            of_run = of_run.or(parsed(run_max_failures));
        }
    }
    budgets.extend(of_run.map(|most| (None, most, Tally::default(), selected)));
    budgets
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
fn next_of(
    program: &Program,
    former: &PreviousRun,
    open: &BTreeSet<TenantId>,
    cause: Option<&StopCause>,
) -> next::Next {
    let still = |(planned, _): &&(PlannedTenant, Option<TenantRecord>)| open.contains(&planned.tenant);
    let tenants = former.records.iter().filter(still).map(|(planned, _)| planned.clone()).collect();
    let records: Vec<TenantRecord> =
        former.records.iter().filter(still).filter_map(|(_, record)| record.clone()).collect();
    next::after(program, &RunHeader { tenants, ..former.header.clone() }, &records, cause)
}
