//! `runs list`, `runs show` and `runs resume`; `runs resolve` has a file of its own.

use std::collections::BTreeSet;

use super::args::{Output, RunOutput, Runs};
use super::command::Run;
use super::exit::{CliError, run_error};
use super::previous_run::PreviousRun;
use super::setup::Program;
use super::start::{Intent, start};
use super::{backup, next, resolve};
use crate::inputs::select::Filter;
use crate::ledger::Ledger;
use crate::model::event::{Event, RunHeader};
use crate::model::outcome::TenantRecord;
use crate::model::run_summary::{AttemptRow, RunStatus, RunSummary};
use crate::model::stats::RunStats;
use crate::model::tenant::TenantId;
use crate::report::outcome::OutcomeView;
use crate::report::runs::RunView;
use crate::report::{Format, count};

impl Run for Runs {
    async fn run(self, program: &Program) -> Result<u8, CliError> {
        match self {
            Runs::List { limit, show } => list(program, limit, &show.output).await,
            Runs::Show { run, show } => self::show(program, &run, &show.output).await,
            Runs::Resume { run, native, output, .. } => resume(program, &run, native, &output).await,
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
    let Shown { summary, former, attempts, events } = shown;
    let records: Vec<TenantRecord> = former.records.iter().filter_map(|(_, record)| record.clone()).collect();
    let mut stats = RunStats { selected: former.records.len(), ..RunStats::default() };
    for record in &records {
        stats.add(&record.outcome, record.attempts);
    }
    let stats = summary.stats.unwrap_or(stats);
    // A live run needs no command: it will do the remaining work itself.
    let next = match summary.status() {
        RunStatus::Running => next::Next::default(),
        _ => next::after(program, &former.header, &records),
    };
    let view = RunView {
        run: &summary,
        outcome: OutcomeView {
            header: &former.header,
            records: &records,
            stats: &stats,
            elapsed: summary.elapsed(),
            scripts: &[],
            rerun: next.first.as_deref(),
        },
        attempts: &attempts,
        events: &events,
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
    attempts: Vec<AttemptRow>,
    events: Vec<(i64, Event)>,
}

async fn read(ledger: &Ledger, wanted: &str) -> Result<Shown, CliError> {
    let summary = ledger.run(wanted).await.map_err(run_error)?;
    let former = PreviousRun::read(ledger, &summary.run.to_string()).await?;
    let attempts = ledger.attempts(summary.run).await.map_err(run_error)?;
    let events = ledger.events(summary.run).await.map_err(run_error)?;
    Ok(Shown { summary, former, attempts, events })
}

async fn resume(program: &Program, wanted: &str, native: bool, output: &RunOutput) -> Result<u8, CliError> {
    let set = program.set().await?;
    let read = program.read_ledger(async |ledger| {
        let summary = ledger.run(wanted).await.map_err(run_error)?;
        if summary.status() == RunStatus::Running {
            return Err(still_running(program, &summary));
        }
        let previous = PreviousRun::read(ledger, &summary.run.to_string()).await?;
        let open = ledger.open_ends(previous.header.run).await.map_err(run_error)?;
        Ok((previous, open))
    });
    let (previous, open) = read.await?;
    let run = previous.header.run;
    let unreached = previous.unreached();
    if unreached.is_empty() {
        return Ok(nothing_left(program, &previous, &open));
    }
    let uncertain = previous.uncertain();
    for id in &uncertain {
        program.terminal.warn(&format!(
            "tenant {} could not be read when run {run} was planned, so nobody knows whether it took its steps; it is left \
             out: look at it with `status`, then name its goal with --to",
            crate::report::clean(id.as_str())
        ));
    }
    let (present, missing) = previous.retained(program, unreached.difference(&uncertain).cloned().collect());
    let mut selection = program.filter(Filter { only: Some(present), ..Filter::default() }).await?;
    selection.held_back += missing + uncertain.len();
    let intent = Intent {
        targets: previous.targets(set.catalog())?,
        resumes: Some(run),
        native,
        backup: previous.header.kind.backups().is_some().then(|| backup::plan(program)),
        ..Intent::migrate(previous.goal(set.catalog())?, selection)
    };
    start(program, &set, intent, output).await
}

/// The refusal to resume a live run: two runs would divide its tenants between them.
fn still_running(program: &Program, run: &RunSummary) -> CliError {
    let by = &run.started_by;
    let since = crate::report::moment(run.started_at_ms);
    let sign = run.silent_ms.map_or(0, |ms| ms.max(0) / 1_000);
    CliError::StillRunning {
        text: format!(
            "run {} still goes on: {} on {}, process {}, since {since}, last sign of life {sign} s ago; wait for its end, or \
             end that process with Ctrl-C or SIGTERM, which lets the tenants in flight finish",
            run.run, by.user, by.host, by.process.id
        ),
        next: program.command(&format!("runs show {}", run.run)),
    }
}

/// A run that reached every tenant. Failed tenants stay failed unless a later run migrated them.
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
