//! `runs resume`: the tenants that a run did not get to, with the same work.
//!
//! The run that goes on is a run of its own, which names the one it resumes: who dies in it is resumed like any other.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use uuid::Uuid;

use super::args::{Resume, RunOutput};
use super::exit::{CliError, run_error};
use super::previous_run::{PreviousRun, retained};
use super::setup::Program;
use super::start::{Intent, start};
use super::{adopt, backup, gates, next, refresh, rollback_run, scripts, seed};
use crate::compile::MigrationSet;
use crate::inputs::select::{self, Filter, Selection};
use crate::ledger::{Ends, Ledger};
use crate::model::event::{Event, RunHeader};
use crate::model::gate::GateRecord;
use crate::model::outcome::TenantRecord;
use crate::model::plan::Goal;
use crate::model::run_kind::{RecordedVersion, RunKind};
use crate::model::run_summary::{RunStatus, RunSummary};
use crate::model::schema::Direction;
use crate::model::tenant::TenantId;
use crate::policy::{FailureBudget, Tally};
use crate::report::{clean, count};

/// The most tenants that a proposed command names.
const NAMED: usize = 10;

/// The ledger on a run that is to be resumed.
struct Former {
    run: PreviousRun,
    ends: Ends,
    /// Its tenants, and those of the runs that it resumed.
    tenants: BTreeSet<TenantId>,
    /// Those of them that failed and were not settled since, and in which run.
    failed: BTreeMap<TenantId, RunHeader>,
    /// The last end of each wave's gate.
    gates: HashMap<String, GateRecord>,
    /// The last gate of the run itself.
    last_gate: Option<GateRecord>,
}

/// `approved_by`: the person who has it go on behind the gate at which it paused.
pub(super) async fn resume(program: &Program, args: &Resume, approved_by: Option<&str>) -> Result<u8, CliError> {
    let Resume { native, recreate, output, .. } = args;
    let set = program.set().await?;
    let former = program.read_ledger(async |ledger| read(program, ledger, &args.run).await).await?;
    let (run, header) = (&former.run, &former.run.header);
    if approved_by.is_some() {
        gates::refuse_approval(program, header.run, former.last_gate.as_ref())?;
    }
    let unreached = run.unreached();
    tell_of_later_runs(program, &former, &unreached);
    let left: BTreeSet<TenantId> = unreached.into_iter().filter(|id| former.is_left(id)).collect();
    if left.is_empty() {
        return Ok(nothing_left(program, &former));
    }
    let uncertain = run.uncertain();
    for id in &uncertain {
        program.terminal.warn(&format!(
            "tenant {} could not be read when run {} was planned, so nobody knows whether it took its steps; it is left \
             out: look at it with `status`, then name its goal with --to",
            clean(id.as_str()),
            header.run
        ));
    }
    let left: BTreeSet<TenantId> = left.difference(&uncertain).cloned().collect();
    let mut waves = waves_of_run(program, &former)?;
    if gates::verify(&waves) {
        waves.resolve_credentials(&program.registry).await;
    }
    let tallies = within_budgets(program, &former, (&waves, &left), output)?;
    let taken = left.clone();
    let is_up = header.kind.goal().is_some_and(|goal| goal.direction == Direction::Up);
    let (present, missing) = retained(program, header.run, left);
    let mut selection = program.filter(Filter { only: Some(present), ..Filter::default() }).await?;
    if header.kind.undoes().is_some() {
        rollback_run::last_wave_first(program, &mut selection);
    }
    selection.held_back += missing + uncertain.len();
    // The last wave of what is left may have been an early one: the run's own budgets stay.
    for wave in &mut selection.waves {
        if let Some(of_run) = waves.waves.iter().find(|of_run| of_run.name == wave.name) {
            wave.max_failures = of_run.max_failures;
        }
    }
    let is_backup = matches!(header.kind, RunKind::Backup { .. });
    let intent = again(program, &set, run, selection).await?;
    let is_failed = |id: &TenantId| former.failed.contains_key(id);
    let resumed =
        gates::Resumed { waves: &waves, left: &taken, is_failed: &is_failed, gates: &former.gates, approved_by };
    let (open_gates, done) = if is_up { (resumed.open(), resumed.done()) } else { Default::default() };
    let intent = Intent {
        native: *native,
        recreate: *recreate,
        resumes: Some(header.run),
        former: tallies,
        open_gates,
        done,
        ..intent
    };
    let code = start(program, &set, intent, &RunOutput { yes: output.yes || is_backup, ..output.clone() }).await?;
    Ok(if code == 0 && tell_open_failures(program, &former, &taken) { 100 } else { code })
}

/// Names the tenants that failed in the resumed runs and are not settled: they were not taken up again (`taken`), and an exit code of 0
/// would pass over them. False: there is none.
fn tell_open_failures(program: &Program, former: &Former, taken: &BTreeSet<TenantId>) -> bool {
    let failed: BTreeSet<TenantId> = former.failed.keys().filter(|id| !taken.contains(*id)).cloned().collect();
    if failed.is_empty() {
        return false;
    }
    let runs: BTreeSet<Uuid> = failed.iter().map(|id| former.failed[id].run).collect();
    let again: Vec<String> = runs.iter().map(|run| program.command(&format!("migrate --failed-of {run}"))).collect();
    let (count, verb) = (count(failed.len(), "tenant"), if failed.len() == 1 { "is" } else { "are" });
    program.terminal.error(&format!(
        "{count} that failed before {verb} not at the target: {}\nthose that failed: {}",
        program.terminal.names(&failed),
        again.join("; ")
    ));
    true
}

async fn read(program: &Program, ledger: &Ledger, wanted: &str) -> Result<Former, CliError> {
    let summary = ledger.run(wanted).await.map_err(run_error)?;
    let living = match summary.status() {
        RunStatus::Running => Some(summary.clone()),
        _ => ledger.living_heir(summary.run).await.map_err(run_error)?,
    };
    if let Some(living) = living {
        return Err(still_running(program, &summary, &living));
    }
    let run = PreviousRun::read(ledger, &summary.run.to_string()).await?;
    let mut gates = HashMap::new();
    let last_gate = gates_of(ledger, summary.run, &mut gates).await?;
    let ends = ledger.ends(summary.run).await.map_err(run_error)?;
    let mut failed = still_failed(&run, &ends);
    let mut tenants: BTreeSet<TenantId> = run.records.iter().map(|(planned, _)| planned.tenant.clone()).collect();
    // A failure that a run resumed past, because its budget had been raised, is one of this rollout still.
    let mut parent = run.header.resumes;
    while let Some(id) = parent {
        let earlier = PreviousRun::read(ledger, &id.to_string()).await?;
        gates_of(ledger, id, &mut gates).await?;
        for (tenant, header) in still_failed(&earlier, &ledger.ends(id).await.map_err(run_error)?) {
            failed.entry(tenant).or_insert(header);
        }
        tenants.extend(earlier.records.iter().map(|(planned, _)| planned.tenant.clone()));
        parent = earlier.header.resumes;
    }
    Ok(Former { run, ends, tenants, failed, gates, last_gate })
}

/// Adds the ends of a run's gates to those of later runs; returns the last.
async fn gates_of(
    ledger: &Ledger,
    run: Uuid,
    gates: &mut HashMap<String, GateRecord>,
) -> Result<Option<GateRecord>, CliError> {
    let events = ledger.events(run).await.map_err(run_error)?;
    let ended = |(_, event): (i64, Event)| if let Event::GateFinished(gate) = event { Some(gate) } else { None };
    let ended: Vec<GateRecord> = events.into_iter().filter_map(ended).collect();
    for gate in ended.iter().rev() {
        gates.entry(gate.wave.clone()).or_insert_with(|| gate.clone());
    }
    Ok(ended.into_iter().next_back())
}

fn still_failed(run: &PreviousRun, ends: &Ends) -> BTreeMap<TenantId, RunHeader> {
    // Without tenants of the header nothing but the failures is asked for.
    let header = || RunHeader { tenants: Vec::new(), ..run.header.clone() };
    run.failed().into_iter().filter(|id| ends.open.contains(id)).map(|id| (id, header())).collect()
}

impl Former {
    /// Whether a tenant that the run did not get to is still to be taken.
    fn is_left(&self, id: &TenantId) -> bool {
        !self.ends.settled.contains_key(id) && !self.ends.replaced.contains_key(id)
    }
}

/// Says which tenants are left out because of later runs.
fn tell_of_later_runs(program: &Program, former: &Former, unreached: &BTreeSet<TenantId>) {
    let by_run = |later: &BTreeMap<TenantId, Uuid>| {
        let mut runs: BTreeMap<Uuid, BTreeSet<TenantId>> = BTreeMap::new();
        for (id, run) in later.iter().filter(|(id, _)| unreached.contains(id)) {
            runs.entry(*run).or_default().insert(id.clone());
        }
        runs
    };
    for (run, ids) in by_run(&former.ends.settled) {
        let tenants = count(ids.len(), "tenant");
        program
            .terminal
            .tell(&format!("{tenants} settled since by run {run}, left out: {}", program.terminal.names(&ids)));
    }
    for (run, ids) in by_run(&former.ends.replaced) {
        let command = program.command(&next::only(&former.run.header.goal, ids.iter().take(NAMED)));
        program.terminal.warn(&format!(
            "{} restored since from other backups by run {run}, left out: {}; to have the older content after all: {command}",
            count(ids.len(), "tenant"),
            program.terminal.names(&ids)
        ));
    }
}

/// All tenants of the run and of those that it resumed, in the waves of the tenant file with their budgets.
fn waves_of_run(program: &Program, former: &Former) -> Result<Selection, CliError> {
    let only = Some(former.tenants.clone());
    let mut waves = select::select(&program.registry, &Filter { only, ..Filter::default() })?;
    if former.run.header.kind.undoes().is_some() {
        rollback_run::last_wave_first(program, &mut waves);
    }
    Ok(waves)
}

/// The failures that are still open count for the budgets of their waves and of the run: where they use one up, nothing of
/// that wave or a later one is started. Returns the counts that the waves begin with.
fn within_budgets(
    program: &Program,
    former: &Former,
    (waves, left): (&Selection, &BTreeSet<TenantId>),
    output: &RunOutput,
) -> Result<HashMap<String, Tally>, CliError> {
    let (mut tallies, mut all_failed) = (HashMap::new(), BTreeSet::new());
    for (place, wave) in waves.waves.iter().enumerate() {
        let is_left = |id: &TenantId| left.contains(id);
        let finished = wave.tenants.iter().map(|tenant| &tenant.id).filter(|id| !is_left(id));
        let failed: BTreeSet<TenantId> =
            finished.clone().filter(|id| former.failed.contains_key(id)).cloned().collect();
        let tally = Tally { finished: finished.count(), failed: failed.len() };
        let waiting =
            waves.waves[place..].iter().flat_map(|wave| &wave.tenants).filter(|tenant| is_left(&tenant.id)).count();
        let most = if output.keep_going { FailureBudget::Unlimited } else { wave.max_failures };
        if waiting > 0 && most.is_exceeded(tally.failed, tally.finished, wave.tenants.len()) {
            return Err(UsedUp { wave: Some(&wave.name), failed, waiting }.error(program, former));
        }
        tallies.insert(wave.name.clone(), tally);
        all_failed.extend(failed);
    }
    let Tally { finished, failed } = tallies.values().copied().sum();
    match output.run_budget(program.settings()).is_exceeded(failed, finished, finished + left.len()) {
        true => Err(UsedUp { wave: None, failed: all_failed, waiting: left.len() }.error(program, former)),
        false => Ok(tallies),
    }
}

/// A wave, or a run, whose budget is used up by tenants that still fail, while others wait.
struct UsedUp<'a> {
    wave: Option<&'a str>,
    failed: BTreeSet<TenantId>,
    waiting: usize,
}

impl UsedUp<'_> {
    fn error(&self, program: &Program, former: &Former) -> CliError {
        let records: Vec<&TenantRecord> = former.run.records.iter().filter_map(|(_, record)| record.as_ref()).collect();
        let mut by_run: BTreeMap<Uuid, (&RunHeader, Vec<TenantRecord>)> = BTreeMap::new();
        for id in &self.failed {
            let header = &former.failed[id];
            let of_run = records.iter().filter(|record| record.tenant == *id && header.run == former.run.header.run);
            by_run.entry(header.run).or_insert((header, Vec::new())).1.extend(of_run.map(|record| (*record).clone()));
        }
        let steps = by_run.into_values().flat_map(|(header, records)| match records.is_empty() {
            false => {
                let next = next::after(program, header, &records, None);
                next.first.into_iter().chain(next.rest.lines().map(str::to_owned)).collect::<Vec<_>>()
            }
            // They failed in a run that this one resumed.
            true => vec![program.command(&next::again(header))],
        });
        let run = former.run.header.run;
        let file = program.shown(&program.registry.path).display().to_string();
        let (of, raise) = match self.wave {
            Some(wave) => {
                let raise = format!("the wave's max_failures in {file} (of the last wave: --max-failures)");
                (format!("wave {wave}"), raise)
            }
            None => ("it".to_owned(), format!("run_max_failures in {file}, or --run-max-failures")),
        };
        CliError::BudgetUsedUp(format!(
            "run {run} is not resumed: {of} may not have so many failures, and still failed: {}; {} would be started \
             nevertheless, so nothing was\nfirst: {}\nthen: {}\nor raise {raise}",
            program.terminal.names(&self.failed),
            count(self.waiting, "other tenant"),
            steps.collect::<Vec<_>>().join("\n       "),
            program.command(&format!("runs resume {run}")),
        ))
    }
}

/// The work of the run on these tenants, from what the ledger has of it and today's files.
async fn again(
    program: &Program,
    set: &Arc<MigrationSet>,
    run: &PreviousRun,
    selection: Selection,
) -> Result<Intent, CliError> {
    let kind = run.header.kind.clone();
    Ok(match &kind {
        RunKind::Migrate { .. } => {
            let backup = backup::as_before(program, &kind)?;
            let targets = run.targets(set.catalog())?;
            let goal = run.goal(set.catalog())?;
            let starts = match kind.undoes() {
                Some(undone) => rollback_run::left_at(program, undone).await?,
                None => HashMap::new(),
            };
            Intent { kind: again_as(&kind, goal), targets, starts, backup, ..Intent::migrate(goal, selection) }
        }
        RunKind::Backup { .. } => backup::backing_up(program, selection),
        // A tenant that was in the middle of it, or whose outcome was not recorded any more, is brought back again.
        RunKind::Restore { run: source } if !source.is_empty() => {
            backup::restoring(program, &backup::find(program, source).await?, selection)
        }
        // Rows of whole batches that the run left stay: the table they are in is not empty, and only --append fills it up.
        RunKind::Seed { .. } => seed::seeding(program, set, kind, selection)?,
        RunKind::Refresh { views } if !views.is_empty() => {
            let known = |name: &&String| set.views().iter().any(|view| view.name == **name);
            refuse_unknown(run, views.iter().find(|name| !known(name)))?;
            Intent::task(refresh::refreshing(run.header.goal.clone(), views.clone()), selection)
        }
        RunKind::Repair { scripts } if !scripts.is_empty() => {
            let is_script =
                |name: &str| set.catalog().position(name).is_some_and(|index| set.catalog().script(index).is_some());
            refuse_unknown(run, scripts.iter().find(|name| !is_script(name)))?;
            Intent::task(scripts::repairing(scripts.clone()), selection)
        }
        RunKind::Forget { scripts } if !scripts.is_empty() => {
            Intent::task(scripts::forgetting(scripts.clone()), selection)
        }
        RunKind::Baseline(recorded) | RunKind::Stamp(recorded) => {
            let known =
                recorded.version == RecordedVersion::EMPTY || set.catalog().position(&recorded.version).is_some();
            refuse_unknown(run, Some(&recorded.version).filter(|_| !known))?;
            adopt::recording(program, set, kind, selection).await?
        }
        RunKind::Exec { .. } => {
            let ids: BTreeSet<TenantId> = selection.tenants().map(|tenant| tenant.id.clone()).collect();
            return Err(CliError::Usage(next::look_first(program, &run.header, &ids)));
        }
        RunKind::Restore { .. }
        | RunKind::Refresh { .. }
        | RunKind::Repair { .. }
        | RunKind::Forget { .. }
        | RunKind::Rebuild
        | RunKind::Unknown => {
            return Err(unknown_work(program, &run.header, &selection));
        }
    })
}

/// A migration to this goal with what is said of the former one: the run that it undoes, and its plan.
fn again_as(kind: &RunKind, goal: Goal) -> RunKind {
    let again = RunKind::migrate(goal).undoing(kind.undoes());
    kind.plan().map_or(again.clone(), |digest| again.planned(digest.to_owned()))
}

fn refuse_unknown(run: &PreviousRun, missing: Option<&String>) -> Result<(), CliError> {
    let Some(name) = missing else { return Ok(()) };
    Err(CliError::Usage(format!(
        "run {} was `{}`, and this program with these --scripts has no {}; give it what the run had. Nothing was started",
        run.header.run,
        clean(&run.header.goal),
        clean(name)
    )))
}

/// The refusal of a run whose work was recorded by another version, in part or in words that this one does not know.
fn unknown_work(program: &Program, header: &RunHeader, selection: &Selection) -> CliError {
    let tenants: BTreeSet<TenantId> = selection.tenants().map(|tenant| tenant.id.clone()).collect();
    let text = format!(
        "run {} was recorded by version {} without all that is needed to go on with it, so nothing was started; it left: {}",
        header.run,
        clean(&header.program),
        program.terminal.names(&tenants)
    );
    let command = header.command().filter(|command| !command.is_empty());
    let (of_run, for_them) = match command {
        Some(command) => (clean(command), program.command(&next::only(command, &tenants))),
        None => (clean(&header.goal), next::only("", &tenants).trim_start().to_owned()),
    };
    CliError::Usage(format!("{text}\ngive `{of_run}` again for these tenants alone: {for_them}"))
}

/// The refusal to go on with a run that lives, or that another run is about to finish: two runs would divide its tenants
/// between them.
pub(super) fn still_running(program: &Program, wanted: &RunSummary, living: &RunSummary) -> CliError {
    let what = if wanted.run == living.run {
        format!("run {} still goes on", living.run)
    } else {
        format!("run {} is being resumed by run {}, which still goes on", wanted.run, living.run)
    };
    at_work(program, &what, living)
}

/// The refusal because of a run that lives: who started it, where and when.
pub(super) fn at_work(program: &Program, what: &str, living: &RunSummary) -> CliError {
    let by = &living.started_by;
    let since = crate::report::moment(living.started_at_ms);
    let sign = living.silent_ms.map_or(0, |ms| ms.max(0) / 1_000);
    CliError::StillRunning {
        text: format!(
            "{what}: {} on {}, process {}, since {since}, last sign of life {sign} s ago; wait for its end, or end that \
             process with Ctrl-C or SIGTERM, which lets the tenants in flight finish",
            by.user, by.host, by.process.id
        ),
        next: program.command(&format!("runs show {}", living.run)),
    }
}

/// A run without a tenant to be taken. Failed tenants stay failed unless a later run settled them.
fn nothing_left(program: &Program, former: &Former) -> u8 {
    let header = &former.run.header;
    let records = former.run.records.iter().filter_map(|(_, record)| record.clone());
    let open: Vec<TenantRecord> = records.filter(|record| former.ends.open.contains(&record.tenant)).collect();
    if open.is_empty() && tell_open_failures(program, former, &BTreeSet::new()) {
        return 100;
    }
    if open.is_empty() {
        program.terminal.tell(&format!("run {} left nothing: every tenant has its outcome", header.run));
        return 0;
    }
    let next = next::after(program, &RunHeader { tenants: Vec::new(), ..header.clone() }, &open, None);
    let (count, verb) = (count(open.len(), "tenant"), if open.len() == 1 { "is" } else { "are" });
    let again = next.first.map(|command| format!("\nthose that failed: {command}")).unwrap_or_default();
    let text = format!(
        "run {} left nothing to resume, but {count} of it {verb} not at the target{again}\n{}",
        header.run, next.rest
    );
    program.terminal.error(text.trim_end());
    100
}
