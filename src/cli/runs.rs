//! `runs list`, `runs show` and `runs resume`; `runs resolve` has a file of its own.

use std::collections::BTreeSet;

use super::args::{Output, Runs};
use super::command::Run;
use super::exit::{CliError, run_error};
use super::previous_run::PreviousRun;
use super::setup::Program;
use super::{next, resolve, resume};
use crate::inputs::Overrides;
use crate::ledger::{Ends, Ledger, RunStatus, RunSummary};
use crate::model::event::{Event, PlannedTenant, RunHeader};
use crate::model::outcome::TenantRecord;
use crate::model::stats::RunStats;
use crate::model::tenant::TenantId;
use crate::report::Format;
use crate::report::runs::{AttemptRow, RunRow, RunView};

impl Run for Runs {
    fn overrides(&self) -> Overrides {
        match self {
            Runs::List { show, .. } | Runs::Show { show, .. } => show.flags.overrides(),
            Runs::Resume { flags, .. } => flags.overrides(),
            Runs::Resolve(resolve) => resolve.flags.overrides(),
        }
    }

    async fn run(self, program: &Program) -> Result<u8, CliError> {
        match self {
            Runs::List { limit, show } => list(program, limit, &show.output).await,
            Runs::Show { run, show } => self::show(program, &run, &show.output).await,
            Runs::Resume { run, native, output, .. } => resume::resume(program, &run, native, &output).await,
            Runs::Resolve(resolve) => resolve::resolve(program, &resolve).await,
        }
    }
}

async fn list(program: &Program, limit: usize, output: &Output) -> Result<u8, CliError> {
    let ledger = program.existing_ledger().await?;
    let runs = ledger.runs(limit).await.map_err(CliError::Ledger);
    ledger.close().await;
    let runs = runs?;
    let mut rows: Vec<RunRow> = runs.iter().map(row).collect();
    for row in &mut rows {
        if row.finished_at_ms.is_none()
            && row.status != "running"
            && runs.iter().any(|other| other.resumes == Some(row.run))
        {
            row.status = "resumed later".to_owned();
        }
    }
    output.deliver(&crate::report::runs::list(&rows, output.format, &output.style(program)))?;
    Ok(0)
}

fn row(run: &RunSummary) -> RunRow {
    let stats = run.stats.unwrap_or_default();
    let count = |n: usize| n as u64;
    let status = run.status();
    let finished = status == RunStatus::Finished;
    let verdict = run.stats.map(|s| s.verdict()).and_then(|v| serde_json::to_value(v).ok());
    RunRow {
        run: run.run,
        direction: run.direction,
        goal: run.goal.clone(),
        is_task: run.kind.is_task(),
        started_at_ms: run.started_at_ms,
        finished_at_ms: run.finished_at_ms,
        status: match status {
            RunStatus::Finished => "finished",
            RunStatus::Running => "running",
            RunStatus::Dead => "died",
            RunStatus::Unfinished => "unfinished",
        }
        .to_owned(),
        started_by: run.started_by.clone(),
        selection: run.selection.clone(),
        verdict: verdict.and_then(|v| v.as_str().map(str::to_owned)),
        selected: count(run.selected),
        at_target: count(stats.at_target()),
        failures: count(stats.failures()),
        outstanding: if finished { count(stats.outstanding()) } else { count(run.selected - run.with_outcome) },
        resumes: run.resumes,
    }
}

async fn show(program: &Program, wanted: &str, output: &Output) -> Result<u8, CliError> {
    let ledger = program.existing_ledger().await?;
    let shown = read(&ledger, wanted).await;
    ledger.close().await;
    let Shown { summary, former, is_alive, ends, attempts, events } = shown?;
    let records: Vec<TenantRecord> = former.records.iter().filter_map(|(_, record)| record.clone()).collect();
    let mut stats = RunStats { selected: former.records.len(), ..RunStats::default() };
    for record in &records {
        stats.add(&record.outcome, record.attempts);
    }
    let stats = summary.stats.unwrap_or(stats);
    let mut row = row(&summary);
    row.at_target = stats.at_target() as u64;
    row.failures = stats.failures() as u64;
    // A run that lives, or is being resumed, needs nothing from anybody: what is not done yet is about to be done.
    let next = if is_alive { next::Next::default() } else { next_of(program, &former, &ends.open) };
    let view = RunView {
        events: &events,
        row: &row,
        header: &former.header,
        records: &records,
        stats: &stats,
        attempts: &attempts,
        rerun: next.first.as_deref(),
    };
    let mut text = view.render(output.format, &output.style(program));
    if output.format == Format::Table && !next.rest.is_empty() {
        text = format!("{}\n{}", text.trim_end(), next.rest);
    }
    output.deliver(&text)?;
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
    let name = |index: usize| former.records.get(index).map(|(p, _)| p.tenant.to_string()).unwrap_or_default();
    let attempts = attempts
        .into_iter()
        .map(|a| AttemptRow {
            tenant: name(a.index),
            attempt: a.attempt,
            started_at_ms: Some(a.started_at_ms),
            error: a.error,
        })
        .collect();
    let events = ledger.events(summary.run).await.map_err(run_error)?;
    Ok(Shown { summary, former, is_alive, ends, attempts, events })
}

/// What is left to be typed for the tenants that no later run has settled.
fn next_of(program: &Program, former: &PreviousRun, open: &BTreeSet<TenantId>) -> next::Next {
    let still = |(planned, _): &&(PlannedTenant, Option<TenantRecord>)| open.contains(&planned.tenant);
    let tenants = former.records.iter().filter(still).map(|(planned, _)| planned.clone()).collect();
    let records: Vec<TenantRecord> =
        former.records.iter().filter(still).filter_map(|(_, record)| record.clone()).collect();
    next::after(program, &RunHeader { tenants, ..former.header.clone() }, &records)
}
