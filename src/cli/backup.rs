//! `backup`, `backup list`, `backup prune` and `restore`.
//!
//! Backups and restores are runs like any other; nothing here touches a tenant.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::args::{Backup, BackupList, Backups, Prune, Restore, RunArgs, RunOutput};
use super::command::Run;
use super::exit::{self, CliError, run_error};
use super::neighbours;
use super::previous_run::retained;
use super::servers;
use super::setup::{Program, quoted, tenant_flag};
use super::start::{Intent, Task, start};
use super::terminal;
use crate::backup::{BackupFolder, Manifest, RunBackups};
use crate::compile::MigrationSet;
use crate::engine::database_name;
use crate::inputs::select::{Filter, Selection};
use crate::ledger::Ledger;
use crate::model::clock::now_ms;
use crate::model::event::PlannedTenant;
use crate::model::outcome::{Outcome, Standing, TenantRecord};
use crate::model::run_kind::RunKind;
use crate::model::run_summary::{RunStatus, RunSummary};
use crate::model::stats::Verdict;
use crate::model::tenant::{Tenant, TenantId};
use crate::policy::format_duration;
use crate::report::adoption::{self, Foreseen};
use crate::report::backups::{self, BackupRow};
use crate::report::{clean, count, moment};
use crate::run::{BackupPlan, RestorePlan};

/// The most tenants that a question before a restore has a line for.
const MOST_TOLD: usize = 10;

/// The backups that a run is to make, by the settings.
pub(super) fn plan(program: &Program) -> BackupPlan {
    let settings = program.settings();
    BackupPlan {
        folder: settings.backups.clone(),
        command: settings.backup_command.clone(),
        restore_on_failure: settings.restore_on_failure(),
        trial: settings.restore_trial(),
    }
}

/// The backups of `migrate` and `rollback`: with `--backup`, and `on_failure = "restore"` only with it.
pub(super) fn wanted(program: &Program, backup: bool) -> Result<Option<BackupPlan>, CliError> {
    checked(plan(program), backup)
}

/// The backups of a migration that is resumed: where it made some, with what it was told to do on a failure.
pub(super) fn as_before(program: &Program, kind: &RunKind) -> Result<Option<BackupPlan>, CliError> {
    if kind.backups().is_none() {
        return Ok(None);
    }
    let plan = plan(program);
    let restore_on_failure = kind.restores_on_failure().unwrap_or(plan.restore_on_failure);
    checked(BackupPlan { restore_on_failure, ..plan }, true)
}

fn checked(plan: BackupPlan, backup: bool) -> Result<Option<BackupPlan>, CliError> {
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
            Some(Backups::List(args)) => list(program, &args).await,
            Some(Backups::Prune(prune)) => self::prune(program, &prune).await,
            None => backup(program, self.on).await,
        }
    }
}

async fn backup(program: &Program, on: RunArgs) -> Result<u8, CliError> {
    let set = program.set_or_code().await?;
    let intent = backing_up(program, program.select(&on.selection).await?);
    // No tenant changes, so there is no confirmation.
    start(program, &set, intent, &RunOutput { yes: true, ..on.output }).await
}

/// A backup of these tenants.
pub(super) fn backing_up(program: &Program, selection: Selection) -> Intent {
    let kind = RunKind::Backup { backups: None };
    let task = Task { kind, command: "backup".to_owned(), question: "Back up".to_owned() };
    let backup = Some(BackupPlan { restore_on_failure: false, ..plan(program) });
    Intent { backup, ..Intent::task(task, selection) }
}

/// The tenants that a restore would replace, with their databases and the ages of their backups; a line for each of the first.
fn backups_of(program: &Program, found: &RunBackups, selection: &Selection) -> String {
    let line = |tenant: &Arc<Tenant>| {
        let (id, place) = (clean(tenant.id.as_str()), clean(&program.place_of(tenant)));
        let Some(backup) = found.manifests.iter().find(|backup| backup.tenant == tenant.id) else {
            return format!("{id} ({place}): no whole backup\n");
        };
        format!("{id} ({place}): {}\n", as_of(backup))
    };
    let mut lines: String = selection.tenants().take(MOST_TOLD).map(line).collect();
    let more = selection.tenants().count().saturating_sub(MOST_TOLD);
    if more > 0 {
        lines.push_str(&format!("and {}\n", count(more, "more tenant")));
    }
    lines
}

const NO_VERSION: &str = "no version";

/// The time, age and version of a backup.
fn as_of(backup: &Manifest) -> String {
    let age = u64::try_from(now_ms().saturating_sub(backup.at_ms) / 1000).unwrap_or_default();
    let age = Duration::from_secs(age.max(1));
    let at = backup.history.iter().rfind(|name| !name.starts_with("R__")).map_or(NO_VERSION, String::as_str);
    format!("as of {}, {} ago, at {}", moment(backup.at_ms), format_duration(age), clean(at))
}

/// A restore of these tenants.
pub(super) fn restoring(program: &Program, found: &RunBackups, selection: Selection) -> Intent {
    let folder = BackupFolder::of_run(found.path.parent().unwrap_or(&found.path), &found.run);
    let task = Task {
        kind: RunKind::Restore { run: found.run.clone() },
        command: format!("restore --run {}", found.run),
        question: format!(
            "{}What came since is lost. Replace the content by the backups of run {} on",
            backups_of(program, found, &selection),
            found.run
        ),
    };
    let restore = Some(RestorePlan { run: found.run.clone(), folder, trial: program.settings().restore_trial() });
    Intent { restore, ..Intent::task(task, selection) }
}

impl Run for Restore {
    async fn run(self, program: &Program) -> Result<u8, CliError> {
        let set = program.set_or_code().await?;
        let Some(run) = &self.run else { return latest(program, &set, &self).await };
        let found = find(program, run).await?;
        if found.manifests.is_empty() {
            return Err(CliError::NothingMatched(format!("there is no whole backup in {}", found.path.display())));
        }
        let selection = match self.on.selection.names_tenants() {
            // A tenant without a whole backup is not left out: it fails, and says so.
            true => program.select(&self.on.selection).await?,
            false => all_of(program, &found, self.on.selection.filter.clone()).await?,
        };
        let intent = restoring(program, &found, selection);
        match self.dry_run {
            true => foresee(program, &set, vec![intent], &self.on.output).await,
            false => start(program, &set, intent, &self.on.output).await,
        }
    }
}

/// Shows the backup that each tenant would be restored from, and touches nothing. Each file is read as a whole, as a restore does first.
async fn foresee(
    program: &Program,
    set: &Arc<MigrationSet>,
    intents: Vec<Intent>,
    output: &RunOutput,
) -> Result<u8, CliError> {
    let mut rows = Vec::new();
    for intent in &intents {
        servers::refuse_shut(program, &intent.selection)?;
        neighbours::refuse(program, intent)?;
        let Some(plan) = &intent.restore else { continue };
        let tenants: Vec<Arc<Tenant>> = intent.selection.tenants().cloned().collect();
        let observations = program.observe(set, &tenants).await;
        for (tenant, seen) in tenants.iter().zip(observations) {
            let found = match seen.error {
                Some(fault) if fault.class.is_unreachable() => Err(fault),
                _ => plan.verified(tenant).await,
            };
            let now = seen.version.unwrap_or_else(|| NO_VERSION.to_owned());
            let (outcome, error, backup) = match found {
                Ok((backup, _)) => {
                    let text = format!("{}; {} now", as_of(&backup), clean(&now));
                    (Outcome::Restored { bytes: backup.bytes }, None, Some(text))
                }
                Err(fault) if fault.class.is_unreachable() => {
                    (Outcome::Unreachable { class: fault.class }, Some(fault), None)
                }
                Err(fault) => (Outcome::Failed { class: fault.class }, Some(fault), None),
            };
            let (tenant, engine, differences) = (tenant.id.clone(), tenant.engine, Vec::new());
            rows.push(Foreseen { tenant, engine, outcome, error, backup, differences });
        }
    }
    let fails = rows.iter().any(|row| row.outcome.standing() == Standing::Failed);
    output.deliver(&adoption::render(&rows, output.format, &output.style(program)))?;
    Ok(if fails { exit::code(Verdict::Failures, false) } else { 0 })
}

/// Restores the newest whole backup of each tenant: one run for each run that made any of them.
async fn latest(program: &Program, set: &Arc<MigrationSet>, args: &Restore) -> Result<u8, CliError> {
    let on = &args.on;
    let runs = newest_first(&program.settings().backups)?;
    let mut newest: BTreeMap<&TenantId, usize> = BTreeMap::new();
    for (place, run) in runs.iter().enumerate() {
        run.manifests.iter().for_each(|m| _ = newest.entry(&m.tenant).or_insert(place));
    }
    let mut wanted: BTreeMap<usize, BTreeSet<TenantId>> = BTreeMap::new();
    let (mut without, mut renamed) = (BTreeSet::new(), Vec::new());
    for tenant in program.select(&on.selection).await?.tenants() {
        match newest.get(&tenant.id) {
            Some(place) => _ = wanted.entry(*place).or_default().insert(tenant.id.clone()),
            None => {
                without.insert(tenant.id.clone());
                renamed.extend(under_another_id(program, &runs, tenant));
            }
        }
    }
    if !without.is_empty() {
        program.terminal.warn(&format!("without a backup, left out: {}", program.terminal.names(&without)));
        renamed.iter().for_each(|line| program.terminal.warn(line));
    }
    if wanted.is_empty() {
        return Err(CliError::NothingMatched("none of these tenants has a whole backup".to_owned()));
    }
    let (mut code, mut intents) = (0, Vec::new());
    for (place, only) in wanted {
        let selection = program.filter(Filter { only: Some(only), ..Filter::default() }).await?;
        let intent = restoring(program, &runs[place], selection);
        match args.dry_run {
            true => intents.push(intent),
            false => code = code.max(start(program, set, intent, &on.output).await?),
        }
    }
    if args.dry_run {
        code = foresee(program, set, intents, &on.output).await?;
    }
    Ok(if code == 0 && !without.is_empty() { 5 } else { code })
}

/// The newest backup of a tenant's database under an id that it had before, and the way to restore it, in words.
fn under_another_id(program: &Program, runs: &[RunBackups], tenant: &Tenant) -> Option<String> {
    let is_of_it = |backup: &&Manifest| {
        backup.engine == tenant.engine
            && *backup.server == *tenant.server
            && backup.database == database_name(tenant)
            && backup.schema == tenant.schema
    };
    let (run, backup) = runs.iter().find_map(|run| Some((run, run.manifests.iter().find(is_of_it)?)))?;
    let (now, then) = (quoted(tenant.id.as_str()), quoted(backup.tenant.as_str()));
    Some(format!(
        "run {} has a backup of the database of {} under the id {}; to restore it: {}, then {}, then {}",
        run.run,
        clean(tenant.id.as_str()),
        clean(backup.tenant.as_str()),
        program.command(&format!("tenants rename {now} {then}")),
        program.command(&format!("restore --run {} {}", run.run, tenant_flag(&backup.tenant))),
        program.command(&format!("tenants rename {then} {now}"))
    ))
}

/// The runs that have backups, the newest first.
pub(super) fn newest_first(folder: &Path) -> Result<Vec<RunBackups>, CliError> {
    let mut runs = all_runs(folder)?;
    runs.sort_by_key(|run| std::cmp::Reverse(begun(run)));
    Ok(runs)
}

/// All tenants that a run was to back up, with or without a whole backup, but for those that the filter leaves out.
async fn all_of(program: &Program, found: &RunBackups, filter: Filter) -> Result<Selection, CliError> {
    let mut wanted: BTreeSet<TenantId> = found.manifests.iter().map(|m| m.tenant.clone()).collect();
    wanted.extend(program.registry.tenants.iter().map(|t| &t.id).filter(|id| found.is_broken(id)).cloned());
    if let Some(known) = known(program, std::slice::from_ref(found)).await?.remove(&found.run) {
        wanted.extend(known.without_backup);
    }
    let (present, missing) = retained(program, &found.run, wanted);
    let mut selection = program.filter(Filter { only: Some(present), ..filter }).await?;
    selection.held_back += missing;
    Ok(selection)
}

/// The backups of a run, named as in other commands; where the ledger is gone, by the whole name of its folder.
pub(super) async fn find(program: &Program, wanted: &str) -> Result<RunBackups, CliError> {
    let all = newest_first(&program.settings().backups)?;
    // The last run of all may be one that made none.
    let is_it = |run: &&RunBackups| run.run == wanted || (wanted == "last" && !run.manifests.is_empty());
    if let Some(found) = all.iter().find(is_it) {
        return Ok(found.clone());
    }
    let summary = program.read_ledger(async |ledger| ledger.run(wanted).await.map_err(run_error)).await?;
    let id = summary.run.to_string();
    if let Some(found) = all.into_iter().find(|run| run.run == id) {
        return Ok(found);
    }
    // The run may have used another folder than the one in force now.
    let elsewhere = summary.kind.backups().map(Path::new);
    let parent = elsewhere.and_then(Path::parent).filter(|folder| folder.is_dir());
    let found = match parent {
        Some(parent) => BackupFolder::runs(parent).map_err(|e| unreadable(parent, &e))?,
        None => Vec::new(),
    };
    found.into_iter().find(|run| run.run == id).ok_or_else(|| {
        let folder = program.settings().backups.display();
        CliError::Usage(format!("run {id} has no backups in {folder}; see: {}", program.command("backup list")))
    })
}

fn unreadable(folder: &Path, error: &std::io::Error) -> CliError {
    CliError::CanNotStart(format!("the backups in {} can't be read: {error}", folder.display()))
}

fn all_runs(folder: &Path) -> Result<Vec<RunBackups>, CliError> {
    BackupFolder::runs(folder).map_err(|e| unreadable(folder, &e))
}

/// The ledger on a run that has backups.
struct Known {
    summary: RunSummary,
    /// Its tenants that still wait for a good end.
    open: BTreeSet<TenantId>,
    /// How many it was to back up.
    expected: usize,
    /// Those of them that it worked on and that have no backup.
    without_backup: BTreeSet<TenantId>,
    /// A restore from its backups that goes on, or left tenants that were not restored since.
    restore: Option<(RunSummary, BTreeSet<TenantId>)>,
}

/// The ledger's information on the runs, as far as it has them.
async fn known(program: &Program, runs: &[RunBackups]) -> Result<BTreeMap<String, Known>, CliError> {
    let known = program.read_ledger_if_any(async |ledger| {
        let restores = ledger.restores().await.map_err(run_error)?;
        let mut known = BTreeMap::new();
        for run in runs {
            match of_run(ledger, run, &restores).await {
                Err(CliError::NoSuchRun(_)) => continue,
                found => known.insert(run.run.clone(), found?),
            };
        }
        Ok(known)
    });
    Ok(known.await?.unwrap_or_default())
}

async fn of_run(ledger: &Ledger, run: &RunBackups, restores: &[RunSummary]) -> Result<Known, CliError> {
    let summary = ledger.run(&run.run).await.map_err(run_error)?;
    let open = ledger.ends(summary.run).await.map_err(run_error)?.open;
    let records = ledger.records(summary.run).await.map_err(run_error)?;
    let missing: Vec<&(PlannedTenant, Option<TenantRecord>)> = missing(run, &records).collect();
    let expected = run.manifests.len() + missing.len();
    let without_backup = missing
        .into_iter()
        .filter(|(_, record)| summary.kind.is_task() || record.as_ref().is_some_and(was_begun))
        .map(|(planned, _)| planned.tenant.clone())
        .collect();
    let mut restore = None;
    let is_from_it =
        |restore: &&RunSummary| matches!(&restore.kind, RunKind::Restore { run: from } if *from == run.run);
    for later in restores.iter().filter(is_from_it) {
        let left = ledger.ends(later.run).await.map_err(run_error)?.open;
        if later.status() == RunStatus::Running || !left.is_empty() {
            restore = Some((later.clone(), left));
            break;
        }
    }
    Ok(Known { summary, open, expected, without_backup, restore })
}

/// Whether a migration came to a tenant. One that it did not come to was not changed by it: there is nothing to restore.
fn was_begun(record: &TenantRecord) -> bool {
    !matches!(record.outcome, Outcome::NotStarted { .. })
}

/// The tenants that have no backup and should: those that ended badly or have no outcome yet, and those whose backup is
/// gone. One that was at its target or had nothing to be backed up needed none.
fn missing<'a>(
    run: &RunBackups,
    records: &'a [(PlannedTenant, Option<TenantRecord>)],
) -> impl Iterator<Item = &'a (PlannedTenant, Option<TenantRecord>)> {
    let there: BTreeSet<TenantId> = run.manifests.iter().map(|m| m.tenant.clone()).collect();
    let needed = |record: &TenantRecord| match &record.outcome {
        Outcome::BackedUp { .. } => true,
        Outcome::Skipped { .. } => false,
        // Where nothing had been applied there was perhaps nothing yet to be backed up.
        Outcome::Migrated(moved) | Outcome::RolledBack(moved) => moved.from.is_some(),
        outcome => outcome.standing() != Standing::AtTarget,
    };
    let without = records.iter().filter(move |(planned, _)| !there.contains(&planned.tenant));
    without.filter(move |(_, record)| record.as_ref().is_none_or(needed))
}

async fn list(program: &Program, args: &BackupList) -> Result<u8, CliError> {
    let output = &args.show.output;
    let mut runs = all_runs(&program.settings().backups)?;
    let known = known(program, &runs).await?;
    if args.selection.names_tenants() {
        let selection = program.select_to_show(&args.selection).await?;
        let wanted: BTreeSet<&TenantId> = selection.tenants().map(|tenant| &tenant.id).collect();
        runs.retain(|run| run.manifests.iter().any(|m| wanted.contains(&m.tenant)));
    }
    let row = |run: &RunBackups| BackupRow {
        run: run.run.clone(),
        at_ms: begun(run),
        tenants: run.manifests.len(),
        bytes: bytes(run),
        expected: known.get(&run.run).map(|known| known.expected),
        broken: run.broken.len(),
        pinned: pin(program, run, known.get(&run.run)),
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
fn pin(program: &Program, run: &RunBackups, known: Option<&Known>) -> Option<String> {
    let names = |tenants| program.terminal.names(tenants);
    let Some(Known { summary, open, restore, .. }) = known else {
        return Some(format!("the ledger does not know run {}", run.run));
    };
    if let Some((restore, left)) = restore {
        return Some(match restore.status() {
            RunStatus::Running => format!("run {} is restoring from it", restore.run),
            _ => format!("run {}, which restores from it, left: {} (see runs resume)", restore.run, names(left)),
        });
    }
    if open.is_empty() {
        return None;
    }
    let how = match summary.status() {
        RunStatus::Finished => "not at their target since",
        RunStatus::Running => "the run goes on, and not at their target yet",
        RunStatus::Dead | RunStatus::Unfinished => "the run is unfinished, and not at their target since",
    };
    Some(format!("{how}: {}", names(open)))
}

async fn prune(program: &Program, args: &Prune) -> Result<u8, CliError> {
    let runs = all_runs(&program.settings().backups)?;
    let mut known = known(program, &runs).await?;
    let age = args.older_than.unwrap_or_default();
    let limit = now_ms().saturating_sub(i64::try_from(age.as_millis()).unwrap_or(i64::MAX));
    let keep = usize::try_from(args.keep.unwrap_or(1)).unwrap_or(usize::MAX);
    let mut gone = Vec::new();
    // Whole backups of each tenant that stay, the newest first.
    let mut stay: BTreeMap<&TenantId, usize> = BTreeMap::new();
    let mut by_age: Vec<&RunBackups> = runs.iter().collect();
    by_age.sort_by_key(|run| std::cmp::Reverse(begun(run)));
    for run in by_age {
        let is_old = begun(run) < limit;
        let needed: BTreeSet<TenantId> = run
            .manifests
            .iter()
            .map(|m| &m.tenant)
            .filter(|id| stay.get(id).is_none_or(|n| *n < keep))
            .cloned()
            .collect();
        let why = match pin(program, run, known.get(&run.run)) {
            None if !needed.is_empty() => {
                Some(format!("one of the newest {keep} of {}", program.terminal.names(&needed)))
            }
            pinned => pinned,
        };
        match why {
            None if is_old => {
                gone.push(run);
                continue;
            }
            Some(why) if is_old => print_kept(run, &why)?,
            _ => {}
        }
        run.manifests.iter().for_each(|m| *stay.entry(&m.tenant).or_default() += 1);
    }
    gone.reverse();
    if gone.is_empty() {
        terminal::print("nothing to remove")?;
        return Ok(0);
    }
    if args.dry_run {
        for run in gone {
            terminal::print(&format!("would remove {}: {}", run.run, count(run.manifests.len(), "tenant")))?;
        }
        return Ok(0);
    }
    if !args.yes {
        program.terminal.require_person("removes backups", "")?;
        if !program.terminal.confirm(&format!("Remove the backups of {}. Go ahead?", count(gone.len(), "run"))) {
            return Ok(1);
        }
        // A restore from one may have begun while the question was read.
        known = self::known(program, &runs).await?;
    }
    for run in gone {
        if let Some(why) = pin(program, run, known.get(&run.run)) {
            print_kept(run, &why)?;
            continue;
        }
        let what = run.path.display().to_string();
        std::fs::remove_dir_all(&run.path).map_err(|error| CliError::Write { what, error })?;
        terminal::print(&format!("removed {}: {}", run.run, count(run.manifests.len(), "tenant")))?;
    }
    Ok(0)
}

fn print_kept(run: &RunBackups, why: &str) -> Result<(), CliError> {
    terminal::print(&format!("kept {}: {}", run.run, clean(why)))
}
