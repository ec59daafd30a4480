//! `runs list`, `runs show`, `runs resume`, and what a former run says to a new one.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::args::{Output, RunOutput};
use super::exit::CliError;
use super::migrate::{self, Intent};
use super::setup::{Program, run_error};
use crate::compile::MigrationSet;
use crate::event::{PlannedTenant, RunHeader};
use crate::ledger::{Ledger, RunStatus, RunSummary};
use crate::outcome::{Outcome, Standing, TenantRecord};
use crate::plan::{Goal, Target};
use crate::report::runs::{AttemptRow, RunRow, RunView};
use crate::schema::{Catalog, Direction};
use crate::select::Filter;
use crate::stats::RunStats;
use crate::tenant::TenantId;

/// A run that is in the ledger.
pub(super) struct Former {
    pub(super) header: RunHeader,
    records: Vec<(PlannedTenant, Option<TenantRecord>)>,
}

impl Former {
    pub(super) async fn read(ledger: &Ledger, wanted: &str) -> Result<Self, CliError> {
        let summary = ledger.run(wanted).await.map_err(run_error)?;
        let header = ledger.header(summary.run).await.map_err(run_error)?;
        let records = ledger.records(summary.run).await.map_err(run_error)?;
        Ok(Former { header, records })
    }

    /// The tenants that failed in it.
    pub(super) fn failed(&self) -> BTreeSet<TenantId> {
        let failed = |r: &TenantRecord| r.outcome.standing() == Standing::Failed;
        let records = self.records.iter().filter(|(_, record)| record.as_ref().is_some_and(failed));
        records.map(|(planned, _)| planned.tenant.clone()).collect()
    }

    /// The tenants that it did not get to, or whose outcome was not recorded.
    fn left(&self) -> BTreeSet<TenantId> {
        let left = |r: &Option<TenantRecord>| {
            r.as_ref().is_none_or(|r| r.outcome.standing() == Standing::Outstanding || is_lost(&r.outcome))
        };
        self.records.iter().filter(|(_, r)| left(r)).map(|(planned, _)| planned.tenant.clone()).collect()
    }

    /// Its goal, in the places of today's catalog.
    pub(super) fn goal(&self, catalog: &Catalog) -> Result<Goal, CliError> {
        let goal: Goal = serde_json::from_value(self.header.goal_data.clone()).map_err(|_| {
            CliError::Usage(format!(
                "the goal of run {} was recorded by another version; name it with --to",
                self.header.run
            ))
        })?;
        Ok(Goal { target: self.translate(goal.target, goal.direction, catalog)?, ..goal })
    }

    /// What it settled for each tenant, in the places of today's catalog.
    pub(super) fn targets(&self, catalog: &Catalog) -> Result<HashMap<TenantId, Target>, CliError> {
        let mut targets = HashMap::new();
        for (planned, _) in &self.records {
            if let Some(target) = planned.target {
                let target = self.translate(target, self.header.direction, catalog)?;
                targets.insert(planned.tenant.clone(), target);
            }
        }
        Ok(targets)
    }

    /// The end of the catalog was the end of *its* catalog: a program with more migrations does not go further for it.
    fn translate(&self, target: Target, direction: Direction, catalog: &Catalog) -> Result<Target, CliError> {
        let old = &self.header.catalog;
        let name = match target {
            Target::Migration(i) => old.get(i),
            Target::End if direction == Direction::Up => old.last(),
            Target::End | Target::Steps(_) => return Ok(target),
        };
        let Some(name) = name else { return Ok(target) };
        match catalog.position(name) {
            Some(i) if i + 1 == catalog.migrations.len() && direction == Direction::Up => Ok(Target::End),
            Some(i) => Ok(Target::Migration(i)),
            None => Err(CliError::Usage(format!(
                "run {} went to {name}, which this program does not know; use the program that began it",
                self.header.run
            ))),
        }
    }
}

/// Whether a tenant has to be asked again: the run did not learn how it ended.
fn is_lost(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::InDoubt(crate::outcome::InDoubt::Unanswered))
}

pub(super) async fn list(program: &Program, limit: usize, output: &Output) -> Result<u8, CliError> {
    let ledger = program.existing_ledger().await?;
    let runs = ledger.runs(limit).await.map_err(CliError::Ledger);
    ledger.close().await;
    let rows: Vec<RunRow> = runs?.iter().map(row).collect();
    output.deliver(&crate::report::runs::list(&rows, output.shape(), &output.style(program)))?;
    Ok(0)
}

fn row(run: &RunSummary) -> RunRow {
    let stats = run.stats.unwrap_or_default();
    let count = |n: usize| n as u64;
    let finished = run.status() == RunStatus::Finished;
    let verdict = run.stats.map(|s| s.verdict()).and_then(|v| serde_json::to_value(v).ok());
    RunRow {
        run: run.run,
        direction: run.direction,
        goal: run.goal.clone(),
        started_at_ms: run.started_at_ms,
        finished_at_ms: run.finished_at_ms,
        status: if finished { "finished" } else { "unfinished" }.to_owned(),
        verdict: verdict.and_then(|v| v.as_str().map(str::to_owned)),
        selected: count(run.selected),
        at_target: count(stats.at_target()),
        failures: count(stats.failures()),
        outstanding: if finished { count(stats.outstanding()) } else { count(run.selected - run.with_outcome) },
        resumes: run.resumes,
    }
}

pub(super) async fn show(program: &Program, wanted: &str, output: &Output) -> Result<u8, CliError> {
    let ledger = program.existing_ledger().await?;
    let shown = read(&ledger, wanted).await;
    ledger.close().await;
    let (summary, former, attempts) = shown?;
    let records: Vec<TenantRecord> = former.records.iter().filter_map(|(_, record)| record.clone()).collect();
    let mut stats = RunStats { selected: former.records.len(), ..RunStats::default() };
    for record in &records {
        stats.add(&record.outcome, record.attempts);
    }
    let stats = summary.stats.unwrap_or(stats);
    let mut row = row(&summary);
    row.at_target = stats.at_target() as u64;
    row.failures = stats.failures() as u64;
    let rerun = if former.left().is_empty() {
        let verb = if summary.direction == Direction::Up { "migrate" } else { "rollback" };
        (stats.failures() > 0).then(|| program.command(&format!("{verb} --failed-of {}", summary.run)))
    } else {
        Some(program.command(&format!("runs resume {}", summary.run)))
    };
    let view = RunView {
        row: &row,
        header: &former.header,
        records: &records,
        stats: &stats,
        attempts: &attempts,
        rerun: rerun.as_deref(),
    };
    output.deliver(&view.render(output.shape(), &output.style(program)))?;
    Ok(0)
}

async fn read(ledger: &Ledger, wanted: &str) -> Result<(RunSummary, Former, Vec<AttemptRow>), CliError> {
    let summary = ledger.run(wanted).await.map_err(run_error)?;
    let former = Former::read(ledger, &summary.run.to_string()).await?;
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
    Ok((summary, former, attempts))
}

pub(super) async fn resume(
    program: &Program,
    set: &Arc<MigrationSet>,
    wanted: &str,
    native: bool,
    output: RunOutput,
) -> Result<u8, CliError> {
    let ledger = program.existing_ledger().await?;
    let former = Former::read(&ledger, wanted).await;
    ledger.close().await;
    let former = former?;
    let left = former.left();
    if left.is_empty() {
        let text = format!("run {} left nothing: every tenant has its outcome", former.header.run);
        program.terminal.tell(&text);
        return Ok(0);
    }
    let gone: Vec<&TenantId> =
        left.iter().filter(|id| !program.registry.tenants.iter().any(|t| t.id == **id)).collect();
    for id in &gone {
        program.terminal.warn(&format!("tenant {id} of that run is not in the tenant file any more; it is left out"));
    }
    let selection = program.filter(Filter { only: Some(left), ..Filter::default() }).await?;
    let intent = Intent {
        goal: former.goal(set.catalog())?,
        selection,
        targets: former.targets(set.catalog())?,
        resumes: Some(former.header.run),
        native,
        dry_run: false,
    };
    migrate::start(program, set, intent, &output).await
}
