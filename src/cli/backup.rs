//! `backup`, `backup list`, `backup prune` and `restore`.
//!
//! Backups and restores are runs like any other; nothing here touches a tenant.

use std::collections::{BTreeMap, BTreeSet};

use super::args::{Backup, Backups, Output, Prune, Restore, RunArgs, RunOutput};
use super::command::Run;
use super::exit::{CliError, run_error};
use super::setup::Program;
use super::start::{Intent, Task, start};
use super::terminal;
use crate::backup::{BackupFolder, RunBackups};
use crate::model::clock::now_ms;
use crate::model::event::PlannedTenant;
use crate::model::outcome::{Outcome, Standing, TenantRecord};
use crate::model::run_kind::RunKind;
use crate::model::run_summary::{RunStatus, RunSummary};
use crate::model::tenant::TenantId;
use crate::report::backups::{self, BackupRow};
use crate::report::{clean, count};
use crate::run::{BackupPlan, RestorePlan};

/// The backups that a run is to make, by the settings.
pub(super) fn plan(program: &Program) -> BackupPlan {
    let settings = program.settings();
    BackupPlan {
        folder: settings.backups.clone(),
        command: settings.backup_command.clone(),
        restore_on_failure: settings.restore_on_failure(),
    }
}

/// The backups of `migrate` and `rollback`: with `--backup`, and `on_failure = "restore"` only with it.
pub(super) fn wanted(program: &Program, backup: bool) -> Result<Option<BackupPlan>, CliError> {
    let plan = plan(program);
    if !backup && plan.restore_on_failure {
        let text = "on_failure is \"restore\", which needs a backup to restore from: add --backup, or go without with \
                    --on-failure leave";
        return Err(CliError::Usage(text.to_owned()));
    }
    if plan.restore_on_failure && plan.command.is_some() {
        let text = "on_failure is \"restore\", and the backups are made by the command in [backup], which only you can \
                    bring back: use --on-failure leave";
        return Err(CliError::Usage(text.to_owned()));
    }
    Ok(backup.then_some(plan))
}

impl Run for Backup {
    async fn run(self, program: &Program) -> Result<u8, CliError> {
        match self.what {
            Some(Backups::List(show)) => list(program, &show.output).await,
            Some(Backups::Prune(prune)) => self::prune(program, &prune).await,
            None => backup(program, self.on).await,
        }
    }
}

async fn backup(program: &Program, on: RunArgs) -> Result<u8, CliError> {
    let set = program.set().await?;
    let kind = RunKind::Backup { backups: None };
    let task = Task { kind, command: "backup".to_owned(), question: "Back up".to_owned() };
    let backup = BackupPlan { restore_on_failure: false, ..plan(program) };
    let intent = Intent { backup: Some(backup), ..Intent::task(task, program.select(&on.selection).await?) };
    // No tenant changes, so there is no confirmation.
    start(program, &set, intent, &RunOutput { yes: true, ..on.output }).await
}

impl Run for Restore {
    async fn run(self, program: &Program) -> Result<u8, CliError> {
        let set = program.set().await?;
        let found = find(program, &self.run).await?;
        if found.manifests.is_empty() {
            return Err(CliError::NothingMatched(format!("there is no whole backup in {}", found.path.display())));
        }
        let backed_up: BTreeSet<TenantId> = found.manifests.iter().map(|m| m.tenant.clone()).collect();
        let mut filter = self.on.selection.filter.clone();
        filter.only = Some(match &self.on.selection.failed_of {
            None => backed_up,
            Some(run) => program.previous_run(run).await?.failed().intersection(&backed_up).cloned().collect(),
        });
        let selection = program.filter(filter).await?;
        let folder = BackupFolder::of_run(found.path.parent().unwrap_or(&found.path), &found.run);
        let task = Task {
            kind: RunKind::Restore { run: found.run.clone() },
            command: format!("restore --run {}", found.run),
            question: format!("Replace the content by the backups of run {} on", found.run),
        };
        let restore = Some(RestorePlan { run: found.run, folder });
        let intent = Intent { restore, ..Intent::task(task, selection) };
        start(program, &set, intent, &self.on.output).await
    }
}

/// The backups of a run, named as in other commands; where the ledger is gone, by the whole name of its folder.
async fn find(program: &Program, wanted: &str) -> Result<RunBackups, CliError> {
    let all = all_runs(program)?;
    if let Some(found) = all.iter().find(|run| run.run == wanted) {
        return Ok(found.clone());
    }
    let summary = program.read_ledger(async |ledger| ledger.run(wanted).await.map_err(run_error)).await?;
    let id = summary.run.to_string();
    if let Some(found) = all.into_iter().find(|run| run.run == id) {
        return Ok(found);
    }
    // The run may have used another folder than the one in force now.
    let elsewhere = summary.kind.backups().map(std::path::Path::new);
    let parent = elsewhere.and_then(std::path::Path::parent).filter(|folder| folder.is_dir());
    let found = match parent {
        Some(parent) => BackupFolder::runs(parent).map_err(|e| unreadable(parent, &e))?,
        None => Vec::new(),
    };
    found.into_iter().find(|run| run.run == id).ok_or_else(|| {
        let folder = program.settings().backups.display();
        CliError::Usage(format!("run {id} has no backups in {folder}; see: {}", program.command("backup list")))
    })
}

fn unreadable(folder: &std::path::Path, error: &std::io::Error) -> CliError {
    CliError::CanNotStart(format!("the backups in {} can't be read: {error}", folder.display()))
}

fn all_runs(program: &Program) -> Result<Vec<RunBackups>, CliError> {
    let folder = &program.settings().backups;
    BackupFolder::runs(folder).map_err(|e| unreadable(folder, &e))
}

/// The ledger on a run that has backups: its end, its tenants that are still unsettled, and the number of tenants to
/// back up.
struct Known {
    summary: RunSummary,
    open: BTreeSet<TenantId>,
    expected: usize,
}

/// The ledger's information on the runs, as far as it has them.
async fn known(program: &Program, runs: &[RunBackups]) -> Result<BTreeMap<String, Known>, CliError> {
    let known = program.read_ledger_if_any(async |ledger| {
        let mut known = BTreeMap::new();
        for run in runs {
            let summary = match ledger.run(&run.run).await.map_err(run_error) {
                Err(CliError::NoSuchRun(_)) => continue,
                summary => summary?,
            };
            let open = ledger.open_ends(summary.run).await.map_err(run_error)?;
            let records = ledger.records(summary.run).await.map_err(run_error)?;
            let expected = run.manifests.len() + missing(run, &records);
            known.insert(run.run.clone(), Known { summary, open, expected });
        }
        Ok(known)
    });
    Ok(known.await?.unwrap_or_default())
}

/// Number of tenants that lack a backup: those that failed or have no outcome yet, and those whose backup is gone. A
/// tenant that was at its target or had nothing to back up needed none.
fn missing(run: &RunBackups, records: &[(PlannedTenant, Option<TenantRecord>)]) -> usize {
    let there: BTreeSet<&TenantId> = run.manifests.iter().map(|m| &m.tenant).collect();
    let needed = |record: &TenantRecord| match record.outcome {
        Outcome::BackedUp { .. } => true,
        Outcome::Skipped { .. } => false,
        _ => record.outcome.standing() != Standing::AtTarget,
    };
    let without = records.iter().filter(|(planned, _)| !there.contains(&planned.tenant));
    without.filter(|(_, record)| record.as_ref().is_none_or(needed)).count()
}

async fn list(program: &Program, output: &Output) -> Result<u8, CliError> {
    let runs = all_runs(program)?;
    let known = known(program, &runs).await?;
    let row = |run: &RunBackups| BackupRow {
        run: run.run.clone(),
        at_ms: begun(run),
        tenants: run.manifests.len(),
        bytes: bytes(run),
        expected: known.get(&run.run).map(|known| known.expected),
        broken: run.broken.len(),
        pinned: pin(run, known.get(&run.run)),
    };
    let rows: Vec<BackupRow> = runs.iter().map(row).collect();
    output.deliver(&backups::list(&rows, output.format, &output.style(program)))?;
    Ok(0)
}

fn bytes(run: &RunBackups) -> u64 {
    run.manifests.iter().map(|m| m.bytes).sum()
}

/// The start of a run, from its id, in milliseconds since 1970-01-01 UTC.
fn begun(run: &RunBackups) -> i64 {
    let stamp = uuid::Uuid::parse_str(&run.run).ok().and_then(|id| id.get_timestamp());
    let (seconds, nanos) = stamp.map_or((0, 0), |stamp| stamp.to_unix());
    i64::try_from(seconds * 1000 + u64::from(nanos / 1_000_000)).unwrap_or(i64::MAX)
}

/// The reason why a run's backups may still be needed; `None`: the run is closed. A failed tenant is settled when a
/// later run has brought it to its target, or restored it.
fn pin(run: &RunBackups, known: Option<&Known>) -> Option<String> {
    let Some(Known { summary, open, .. }) = known else {
        return Some(format!("the ledger does not know run {}", run.run));
    };
    if open.is_empty() {
        return None;
    }
    let first: Vec<&str> = open.iter().take(3).map(TenantId::as_str).collect();
    let more = if open.len() > first.len() { format!(", ... (+{})", open.len() - first.len()) } else { String::new() };
    let how = match summary.status() {
        RunStatus::Finished => "not at their target since",
        RunStatus::Running => "the run goes on, and not at their target yet",
        RunStatus::Dead | RunStatus::Unfinished => "the run is unfinished, and not at their target since",
    };
    Some(format!("{how}: {}{more}", first.join(", ")))
}

async fn prune(program: &Program, args: &Prune) -> Result<u8, CliError> {
    let runs = all_runs(program)?;
    let known = known(program, &runs).await?;
    let limit = i64::try_from(args.older_than.as_millis()).unwrap_or(i64::MAX);
    let old: Vec<&RunBackups> = runs.iter().filter(|run| begun(run) < now_ms().saturating_sub(limit)).collect();
    let (kept, gone): (Vec<&RunBackups>, Vec<&RunBackups>) =
        old.into_iter().partition(|run| pin(run, known.get(&run.run)).is_some());
    for run in &kept {
        let why = pin(run, known.get(&run.run)).unwrap_or_default();
        terminal::print(&format!("kept {}: {}", run.run, clean(&why)))?;
    }
    if gone.is_empty() {
        terminal::print("nothing to remove")?;
        return Ok(0);
    }
    if !args.yes {
        program.terminal.require_person("removes backups", "")?;
        if !program.terminal.confirm(&format!("Remove the backups of {}. Go ahead?", count(gone.len(), "run"))) {
            return Ok(1);
        }
    }
    for run in gone {
        let what = run.path.display().to_string();
        std::fs::remove_dir_all(&run.path).map_err(|error| CliError::Write { what, error })?;
        terminal::print(&format!("removed {}: {}", run.run, count(run.manifests.len(), "tenant")))?;
    }
    Ok(0)
}
