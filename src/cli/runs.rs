//! `runs list`, `runs show`, `runs resume`, and what a former run says to a new one.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::args::{Output, RunOutput};
use super::exit::CliError;
use super::exit::run_error;
use super::migrate::{self, Intent};
use super::next;
use super::previous_run::PreviousRun;
use super::setup::Program;
use crate::compile::MigrationSet;
use crate::inputs::select::Filter;
use crate::ledger::{Ledger, RunStatus, RunSummary};
use crate::model::event::RunHeader;
use crate::model::outcome::TenantRecord;
use crate::model::stats::RunStats;
use crate::model::tenant::TenantId;
use crate::report::runs::{AttemptRow, RunRow, RunView};
use crate::report::{Format, count};

pub(super) async fn list(program: &Program, limit: usize, output: &Output) -> Result<u8, CliError> {
    let ledger = program.existing_ledger().await?;
    let runs = ledger.runs(limit).await.map_err(CliError::Ledger);
    ledger.close().await;
    let runs = runs?;
    let mut rows: Vec<RunRow> = runs.iter().map(row).collect();
    for row in &mut rows {
        if row.finished_at_ms.is_none() && runs.iter().any(|other| other.resumes == Some(row.run)) {
            row.status = "resumed later".to_owned();
        }
    }
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
        is_chore: crate::model::event::chore(&run.goal_data).is_some(),
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
    let next = next::after(program, &former.header, &records);
    let view = RunView {
        row: &row,
        header: &former.header,
        records: &records,
        stats: &stats,
        attempts: &attempts,
        rerun: next.first.as_deref(),
    };
    let mut text = view.render(output.shape(), &output.style(program));
    if output.shape() == Format::Table && !next.rest.is_empty() {
        text = format!("{}\n{}", text.trim_end(), next.rest);
    }
    output.deliver(&text)?;
    Ok(0)
}

async fn read(ledger: &Ledger, wanted: &str) -> Result<(RunSummary, PreviousRun, Vec<AttemptRow>), CliError> {
    let summary = ledger.run(wanted).await.map_err(run_error)?;
    let former = PreviousRun::read(ledger, &summary.run.to_string()).await?;
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
    let read = async {
        let former = PreviousRun::read(&ledger, wanted).await?;
        let open = ledger.open_ends(former.header.run).await.map_err(run_error)?;
        Ok::<_, CliError>((former, open))
    };
    let read = read.await;
    ledger.close().await;
    let (former, open) = read?;
    let left = former.left();
    if left.is_empty() {
        return Ok(nothing_left(program, &former, &open));
    }
    let uncertain = former.uncertain();
    for id in &uncertain {
        program.terminal.warn(&format!(
            "tenant {} could not be read when run {} was planned, so nobody knows whether it took its steps; it is left \
             out: look at it with `status`, then name its goal with --to",
            crate::report::clean(id.as_str()),
            former.header.run
        ));
    }
    let taken = PreviousRun::taken(left.difference(&uncertain).cloned().collect(), &program.registry);
    if let Some(warning) = taken.warning(former.header.run) {
        program.terminal.warn(&warning);
    }
    let only = Some(taken.present);
    let mut selection = program.filter(Filter { only, ..Filter::default() }).await?;
    selection.held_back += taken.gone.len() + uncertain.len();
    let intent = Intent {
        goal: former.goal(set.catalog())?,
        selection,
        targets: former.targets(set.catalog())?,
        resumes: Some(former.header.run),
        native,
        dry_run: false,
        kill_blockers: None,
        chore: None,
        backup: former.header.backups().is_some().then(|| super::backup::plan(program)),
    };
    migrate::start(program, set, intent, &output).await
}

/// A run that got to all its tenants. Those that failed in it are not well for that, unless a later run brought them there.
fn nothing_left(program: &Program, former: &PreviousRun, open: &BTreeSet<TenantId>) -> u8 {
    let run = former.header.run;
    let records: Vec<TenantRecord> = former.records.iter().filter_map(|(_, record)| record.clone()).collect();
    let open: Vec<TenantRecord> = records.into_iter().filter(|record| open.contains(&record.tenant)).collect();
    if open.is_empty() {
        program.terminal.tell(&format!("run {run} left nothing: every tenant has its outcome"));
        return 0;
    }
    let header = RunHeader { tenants: Vec::new(), ..former.header.clone() };
    let next = next::after(program, &header, &open);
    let (count, verb) = (count(open.len(), "tenant"), if open.len() == 1 { "is" } else { "are" });
    let again = next.first.map(|command| format!("\nthose that failed: {command}")).unwrap_or_default();
    let text =
        format!("run {run} left nothing to resume, but {count} of it {verb} not at the target{again}\n{}", next.rest);
    program.terminal.error(text.trim_end());
    100
}
