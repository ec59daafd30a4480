//! `runs resume`: the tenants that a run did not get to, with the same work.
//!
//! The run that goes on is a run of its own, which names the one it resumes: who dies in it is resumed like any other.

mod budgets;
mod moved_back;
mod texts;
mod waves;

pub(super) use moved_back::by_ledger as held;
pub(super) use texts::on_changed as changed;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use uuid::Uuid;

use budgets::{Budgets, within_budgets};

use super::args::{Resume, RunOutput};
use super::exit::{self, CliError, run_error};
use super::origin::{self, Flag};
use super::previous_run::{PreviousRun, retained};
use super::setup::Program;
use super::start::{Intent, start};
use super::{adopt, backup, gates, next, refresh, rollback_run, runs, scripts, seed, undo_wave};
use crate::compile::MigrationSet;
use crate::inputs::select::{CANARY, Filter, Selection};
use crate::ledger::{Ends, Ledger};
use crate::model::event::{Event, PlannedTenant, RunHeader};
use crate::model::gate::{GateEnd, GateRecord};
use crate::model::outcome::{OutcomeKind, Standing, TenantRecord};
use crate::model::plan::Goal;
use crate::model::run_kind::{RecordedVersion, RunKind};
use crate::model::run_summary::{RunFilter, RunStatus, RunSummary};
use crate::model::schema::Direction;
use crate::model::stats::Verdict;
use crate::model::tenant::TenantId;
use crate::model::undo::Undoing;
use crate::policy::FailureBudget;
use crate::report::{clean, count};
use crate::run::OpenGate;

/// The most runs that are looked at for one that left tenants.
const LOOKED_AT: usize = 50;

/// The ledger on a run that is to be resumed.
pub(super) struct Former {
    pub(super) run: PreviousRun,
    ends: Ends,
    /// Its tenants, and those of the runs that it resumed.
    tenants: BTreeSet<TenantId>,
    /// Their waves: those of a stratified canary may be others than the file says.
    waves: BTreeMap<TenantId, String>,
    /// Those of them that failed and were not settled since.
    failed: BTreeMap<TenantId, Failure>,
    /// The last end of each wave's gate.
    gates: HashMap<String, GateRecord>,
    /// The last gate of the run itself.
    pub(super) last_gate: Option<GateRecord>,
    /// Whether a wave of it is to be taken back, and the runs that did so.
    undoing: Undoing,
    /// The command lines of it and of those that it resumed, the latest first.
    pub(super) commands: Vec<String>,
    /// Whether runners share it.
    is_shared: bool,
    /// It and the runs that it resumed.
    chain: BTreeSet<Uuid>,
    /// Whether the first of them took a canary alone.
    of_canary: bool,
    /// Whether a tenant came to its target in one of them, and so has seen their scripts.
    is_begun: bool,
}

/// The failure of a tenant that was not settled since.
struct Failure {
    /// The run in which it failed.
    header: RunHeader,
    kind: OutcomeKind,
}

/// `approved_by`: the person who has it go on behind the gate at which it paused.
pub(super) async fn resume(program: &Program, args: &Resume, approved_by: Option<&str>) -> Result<u8, CliError> {
    let former = program.read_ledger(async |ledger| read(program, ledger, &args.run).await).await?;
    let kept = origin::carried(former.commands.iter().map(String::as_str));
    let program = &program.with_settings(kept.iter().filter_map(Flag::setting))?;
    let is_kept = |long: &str| kept.iter().any(|flag| flag.long == long);
    let Resume { native, recreate, output, .. } = args;
    let output = &RunOutput {
        fail_fast: output.fail_fast || is_kept("fail-fast"),
        keep_going: output.keep_going || is_kept("keep-going"),
        ..output.clone()
    };
    let set = program.set().await?;
    if !former.undoing.due.is_empty() {
        return take_back(program, &set, &former, args).await;
    }
    moved_back::refuse_whole(program, &former)?;
    let (run, header) = (&former.run, &former.run.header);
    if approved_by.is_some() {
        gates::refuse_approval(program, header.run, former.last_gate.as_ref())?;
    }
    let unreached = run.unreached();
    tell_of_later_runs(program, &former, &unreached);
    let left = former.left();
    if left.is_empty() {
        let code = nothing_left(program, &former);
        return if code == 0 && args.run == "last" { earlier(program, header.run).await } else { Ok(code) };
    }
    if !kept.is_empty() {
        let flags: Vec<String> = kept.iter().map(Flag::text).collect();
        program.terminal.tell(&format!(
            "kept from run {}: {}; give a flag to have another value",
            header.run,
            clean(&flags.join(" "))
        ));
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
    let mut left: BTreeSet<TenantId> = left.difference(&uncertain).cloned().collect();
    waves::refuse_gone(program, &former)?;
    let behind = moved_back::left_out(program, &set, &former, &left).await?;
    left.retain(|id| !behind.contains(id));
    waves::tell_kept(program, &former, &left);
    let taken = left.clone();
    let (keep_going, of_run) = (output.keep_going, output.run_budget(program.settings()));
    let mut intent = rest(program, &set, &former, Rest { left, keep_going, of_run, approved_by }).await?;
    intent.selection.held_back += uncertain.len() + behind.len();
    tell_approved(program, &former, &intent.open_gates);
    let is_backup = matches!(header.kind, RunKind::Backup { .. });
    let intent = Intent {
        native: *native || is_kept("native"),
        recreate: *recreate,
        resumes: Some(header.run),
        enqueue: former.is_shared,
        ..intent
    };
    let code = start(program, &set, intent, &RunOutput { yes: output.yes || is_backup, ..output.clone() }).await?;
    Ok(if code == 0 && tell_open_failures(program, &former, &taken) { 100 } else { code })
}

/// Names the gates that failed and are passed because a person says so: the run may have paused at several.
fn tell_approved(program: &Program, former: &Former, open: &[OpenGate]) {
    for gate in open.iter().filter(|open| open.approved_by.is_some()).filter_map(|open| former.gates.get(&open.wave)) {
        if gate.end == GateEnd::Failed {
            program.terminal.warn(&format!("approved in spite of its gate: {}", clean(&gate.to_string())));
        }
    }
}

/// The part of a run that is gone on with.
pub(super) struct Rest<'a> {
    /// The tenants that are still to be taken; not empty.
    pub(super) left: BTreeSet<TenantId>,
    /// Whether the budgets of the waves are passed over.
    pub(super) keep_going: bool,
    /// The budget of the whole run.
    pub(super) of_run: FailureBudget,
    /// The person who has it go on behind the gate at which it paused.
    pub(super) approved_by: Option<&'a str>,
}

/// The work on the rest of a run, with what it and those that it resumed have used of their budgets, and the gates that they
/// have not passed.
///
/// # Errors
/// [`CliError::BudgetUsedUp`]: nothing more may be started.
pub(super) async fn rest(
    program: &Program,
    set: &Arc<MigrationSet>,
    former: &Former,
    Rest { left, keep_going, of_run, approved_by }: Rest<'_>,
) -> Result<Intent, CliError> {
    let (run, header) = (&former.run, &former.run.header);
    let mut waves = waves::of_run(program, former)?;
    if gates::verify(&waves) {
        waves.resolve_credentials(&program.registry).await;
    }
    let is_up = header.kind.goal().is_some_and(|goal| goal.direction == Direction::Up);
    if is_up && former.is_begun {
        texts::refuse_changed(program, set.catalog(), header, run.goal(set.catalog())?)?;
    }
    let failure = |id: &TenantId| former.failure(id);
    let is_failed = |id: &TenantId| failure(id).is_some();
    let budgets = Budgets { keep_going, of_run, is_up };
    let (tallies, closed) =
        within_budgets((&waves, &left), &failure, budgets).map_err(|used_up| used_up.error(program, former))?;
    let (present, missing) = retained(program, header.run, left.clone());
    let recorded = former.waves.clone();
    let mut selection = program.filter(Filter { only: Some(present), recorded, ..Filter::default() }).await?;
    selection.held_back += missing;
    run.leave_out_moved(program, &mut selection)?;
    if let Some(undone) = header.kind.undoes() {
        rollback_run::last_wave_first(program, &mut selection);
        rollback_run::leave_out(program, undone, &former.chain, &mut selection).await?;
    }
    // The last wave of what is left may have been an early one: the run's own budgets stay.
    for wave in &mut selection.waves {
        if let Some(of_run) = waves.waves.iter().find(|of_run| of_run.name == wave.name) {
            wave.max_failures = of_run.max_failures;
        }
    }
    let intent = again(program, set, run, selection).await?;
    let gates = &former.gates;
    let resumed = gates::Resumed { waves: &waves, left: &left, is_failed: &is_failed, gates, approved_by };
    let (open_gates, done) = if is_up { (resumed.open(), resumed.done()) } else { Default::default() };
    Ok(Intent { former: tallies, closed, open_gates, done, ..intent })
}

/// Names the tenants that failed in the resumed runs and are not settled: they were not taken up again (`taken`), and an exit code of 0
/// would pass over them. False: there is none.
fn tell_open_failures(program: &Program, former: &Former, taken: &BTreeSet<TenantId>) -> bool {
    let failed: BTreeSet<TenantId> = former.failed.keys().filter(|id| !taken.contains(*id)).cloned().collect();
    if failed.is_empty() {
        return false;
    }
    let runs: BTreeMap<Uuid, &RunHeader> =
        failed.iter().map(|id| &former.failed[id].header).map(|header| (header.run, header)).collect();
    let again: Vec<String> = runs.values().map(|header| program.command(&next::again(header))).collect();
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
    read_past(ledger, &summary).await
}

/// As [`read`], also of a run that goes on: by those who go on with it.
pub(super) async fn read_past(ledger: &Ledger, summary: &RunSummary) -> Result<Former, CliError> {
    let run = PreviousRun::read(ledger, &summary.run.to_string()).await?;
    let is_shared = ledger.shared(summary.run).await.map_err(run_error)?.is_some();
    let events = ledger.events(summary.run).await.map_err(run_error)?;
    let undoing = Undoing::of(&events, ledger.taken_back(summary.run).await.map_err(run_error)?);
    let mut gates = HashMap::new();
    let ends = ledger.ends(summary.run).await.map_err(run_error)?;
    let mut failed = still_failed(&run, &ends);
    let wave_of = |(planned, _): &(PlannedTenant, _)| (planned.tenant.clone(), planned.wave.clone());
    let mut tenants: BTreeSet<TenantId> = run.records.iter().map(|(planned, _)| planned.tenant.clone()).collect();
    let mut waves: BTreeMap<TenantId, String> = run.records.iter().map(wave_of).collect();
    // A failure that a run resumed past, because its budget had been raised, is one of this rollout still.
    let mut parent = run.header.resumes;
    let mut commands = vec![run.header.started_by.command.clone()];
    let mut chain = BTreeSet::from([run.header.run]);
    let mut of_canary = is_of_canary(&run.header);
    let mut is_begun = has_begun(&run);
    // One that was resumed before, and is resumed once more, has passed the gates that those runs did.
    for heir in ledger.heirs(summary.run).await.map_err(run_error)?.into_iter().rev() {
        gates_of(ledger.events(heir.run).await.map_err(run_error)?, &mut gates);
    }
    let last_gate = gates_of(events, &mut gates);
    while let Some(id) = parent {
        let earlier = PreviousRun::read(ledger, &id.to_string()).await?;
        chain.insert(id);
        of_canary = is_of_canary(&earlier.header);
        is_begun |= has_begun(&earlier);
        gates_of(ledger.events(id).await.map_err(run_error)?, &mut gates);
        for (tenant, failure) in still_failed(&earlier, &ledger.ends(id).await.map_err(run_error)?) {
            failed.entry(tenant).or_insert(failure);
        }
        tenants.extend(earlier.records.iter().map(|(planned, _)| planned.tenant.clone()));
        waves.extend(earlier.records.iter().map(wave_of));
        parent = earlier.header.resumes;
        commands.push(earlier.header.started_by.command);
    }
    Ok(Former {
        run,
        ends,
        tenants,
        waves,
        failed,
        gates,
        last_gate,
        undoing,
        commands,
        is_shared,
        chain,
        of_canary,
        is_begun,
    })
}

/// The runs that this one resumed in which tenants failed that still do.
pub(super) async fn failed_before(ledger: &Ledger, run: Uuid) -> Result<(Vec<RunHeader>, Former), CliError> {
    let summary = ledger.run(&run.to_string()).await.map_err(run_error)?;
    let former = read_past(ledger, &summary).await?;
    let headers = former.failed.values().map(|failure| &failure.header).filter(|header| header.run != run);
    let runs: BTreeMap<Uuid, RunHeader> = headers.map(|header| (header.run, header.without_tenants())).collect();
    Ok((runs.into_values().collect(), former))
}

/// Whether a tenant came to its target in a run.
fn has_begun(run: &PreviousRun) -> bool {
    run.records.iter().filter_map(|(_, record)| record.as_ref()).any(|r| r.outcome.standing() == Standing::AtTarget)
}

/// Whether a run was given a canary to take, and nothing else.
fn is_of_canary(header: &RunHeader) -> bool {
    let is_wave = |flag: &&String| flag.starts_with("--wave");
    let mut waves = header.selection.iter().filter(is_wave).peekable();
    let is_named = waves.peek().is_some() && waves.all(|flag| *flag == format!("--wave={CANARY}"));
    is_named || header.selection.iter().any(|flag| flag.starts_with("--canary"))
}

/// Takes back, of a run that failed at a wave which is taken back then, what is not back yet. Nothing else of it goes on. A
/// rollback that died is finished first; whom it left out is looked at again.
async fn take_back(program: &Program, set: &Arc<MigrationSet>, former: &Former, args: &Resume) -> Result<u8, CliError> {
    let (run, waves) = (former.run.header.run, &former.undoing.due);
    let last = former.undoing.runs.last();
    if let Some(last) = last.filter(|last| !last.is_whole()) {
        let code = Box::pin(resume(program, &args.of(last.run.to_string()), None)).await?;
        if !undo_wave::is_over(code) {
            return Ok(code);
        }
    }
    match (undo_wave::later(program, set, (run, waves), &args.output).await?, last.filter(|last| last.is_whole())) {
        (Some(code), _) => Ok(code),
        (None, None) => Ok(undo_wave::all_back()),
        (None, Some(last)) => Err(CliError::Usage(format!(
            "run {run} failed at {}, and run {} has taken that back, so there is nothing to go on with; nothing was \
             touched\nsee: {}",
            undo_wave::named(waves),
            last.run,
            program.command(&format!("runs show {run}"))
        ))),
    }
}

/// Adds the ends of a run's gates to those of later runs; returns the last.
fn gates_of(events: Vec<(i64, Event)>, gates: &mut HashMap<String, GateRecord>) -> Option<GateRecord> {
    let ended = |(_, event): (i64, Event)| if let Event::GateFinished(gate) = event { Some(gate) } else { None };
    let ended: Vec<GateRecord> = events.into_iter().filter_map(ended).collect();
    for gate in ended.iter().rev() {
        gates.entry(gate.wave.clone()).or_insert_with(|| gate.clone());
    }
    ended.into_iter().next_back()
}

fn still_failed(run: &PreviousRun, ends: &Ends) -> BTreeMap<TenantId, Failure> {
    // Without tenants of the header nothing but the failures is asked for.
    let header = || run.header.without_tenants();
    let records = run.records.iter().filter_map(|(_, record)| record.as_ref());
    let failed = records.filter(|r| r.outcome.standing() == Standing::Failed && ends.open.contains(&r.tenant));
    failed.map(|r| (r.tenant.clone(), Failure { header: header(), kind: r.outcome.kind() })).collect()
}

impl Former {
    /// The failure of a tenant that was not settled since.
    pub(super) fn failure(&self, id: &TenantId) -> Option<OutcomeKind> {
        self.failed.get(id).map(|failure| failure.kind)
    }

    /// The tenants that the run did not get to and that are still to be taken.
    pub(super) fn left(&self) -> BTreeSet<TenantId> {
        self.run.unreached().into_iter().filter(|id| self.is_left(id)).collect()
    }

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
        let command = next::first_of(program, &former.run.header.goal, &ids);
        program.terminal.warn(&format!(
            "{} restored since from other backups by run {run}, left out: {}; to have the older content after all: {command}",
            count(ids.len(), "tenant"),
            program.terminal.names(&ids)
        ));
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
    let next = program.command(&format!("runs show {}", living.run));
    if by.is_shared() {
        let text = format!(
            "{what}: {} on {} has enqueued it {since}, and runners share it, last sign of life {sign} s ago; wait for its end, \
             or end its runners with Ctrl-C or SIGTERM, which lets the tenants in flight finish",
            by.user, by.host
        );
        return CliError::StillRunning { text, next };
    }
    CliError::StillRunning {
        text: format!(
            "{what}: {} on {}, process {}, since {since}, last sign of life {sign} s ago; wait for its end, or end that \
             process with Ctrl-C or SIGTERM, which lets the tenants in flight finish",
            by.user, by.host, by.process.id
        ),
        next,
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
    let next =
        next::after(program, &RunHeader { tenants: Vec::new(), ..header.clone() }, &open, &next::Stop::default());
    let (count, verb) = (count(open.len(), "tenant"), if open.len() == 1 { "is" } else { "are" });
    let again = next.first.map(|command| format!("\nthose that failed: {command}")).unwrap_or_default();
    let text = format!(
        "run {} left nothing to resume, but {count} of it {verb} not at the target{again}\n{}",
        header.run, next.rest
    );
    program.terminal.error(text.trim_end());
    100
}

/// Names the newest run before this one that left tenants which no later run has taken: `last` is not always the run that is
/// meant.
async fn earlier(program: &Program, last: Uuid) -> Result<u8, CliError> {
    let found = program.read_ledger(async |ledger| {
        let runs = ledger.runs_of(&RunFilter::default(), LOOKED_AT).await.map_err(run_error)?;
        for run in runs.into_iter().skip_while(|run| run.run != last).skip(1) {
            let is_over = run.status() != RunStatus::Running && !matches!(run.kind, RunKind::Exec { .. });
            let ends = if is_over { ledger.ends(run.run).await.map_err(run_error)? } else { continue };
            let unreached = PreviousRun::read(ledger, &run.run.to_string()).await?.unreached();
            let left =
                unreached.iter().filter(|id| ends.open.contains(*id) && !ends.replaced.contains_key(*id)).count();
            if left > 0 {
                return Ok(Some((run, left)));
            }
        }
        Ok(None)
    });
    let Some((run, left)) = found.await? else { return Ok(0) };
    program.terminal.warn(&format!(
        "run {}, before it, ended with {} that it did not get to, and no run has taken since: {}",
        run.run,
        count(left, "tenant"),
        runs::way_on(program, run.run).await
    ));
    Ok(exit::code(Verdict::Outstanding, false))
}

#[cfg(test)]
mod tests;
