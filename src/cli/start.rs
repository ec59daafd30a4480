//! The start of every run: the intent of a command, the confirmation, and the plan.
//!
//! It knows no command.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

use super::args::{RunArgs, RunOutput};
#[cfg(feature = "queue")]
use super::enqueue;
use super::exit::{self, CliError};
use super::inspect::{self, Planned, Planning};
use super::late::Late;
use super::session;
use super::setup::Program;
use super::{
    doctor, gates, goals, hold, neighbours, online_limits, origin, question, saved_plan, servers, sizes, sources,
    strata, unjudged, wave_notes, way_back,
};
use crate::compile::{LazyScripts, MigrationSet};
use crate::inputs::Settings;
use crate::inputs::select::{Filter, Selection};
use crate::model::clock::now_ms;
use crate::model::engine::Flavour;
use crate::model::event::{PlannedTenant, RunHeader};
use crate::model::observation::Observation;
use crate::model::plan::{Goal, Target};
use crate::model::program;
use crate::model::run_kind::RunKind;
use crate::model::run_summary::LeftAt;
use crate::model::schema::Direction;
use crate::model::started_by::StartedBy;
use crate::model::stats::Verdict;
use crate::model::tenant::{Tenant, TenantId};
use crate::policy::{FailureBudget, Tally, UsedUp, until};
use crate::report::plan::Detail;
use crate::report::{Format, count};
use crate::run::{AdoptPlan, BackupPlan, OpenGate, Pacing, PlannedWave, RestorePlan, RunPlan};
use crate::seed::SeedRequest;

/// A task as requested by a command.
pub(super) struct Task {
    pub(super) kind: RunKind,
    /// The command without the selection, to be typed again: `refresh --group hourly`.
    pub(super) command: String,
    /// The question without the tenants: `Refresh 3 views on`.
    pub(super) question: String,
}

/// A run that is about to be planned: made by [`Intent::migrate`] or [`Intent::task`], completed by a command.
pub(super) struct Intent {
    pub(super) kind: RunKind,
    pub(super) selection: Selection,
    /// Empty for a migration.
    pub(super) command: String,
    pub(super) question: String,
    /// Targets that a previous run settled for its tenants.
    pub(super) targets: HashMap<TenantId, Target>,
    pub(super) resumes: Option<Uuid>,
    /// By wave, the tenants that the resumed run is done with.
    pub(super) former: HashMap<String, Tally>,
    /// By wave, the tenants that the resumed run brought to their target, for the wave's gate.
    pub(super) done: HashMap<String, Vec<Arc<Tenant>>>,
    /// The waves whose failure budgets the resumed run has used up, where others go on without them.
    pub(super) closed: Vec<UsedUp>,
    /// The gates that the resumed run has not passed.
    pub(super) open_gates: Vec<OpenGate>,
    /// The failure budget of the whole run.
    pub(super) max_failures: FailureBudget,
    /// Whether every migration runs as Rust code.
    pub(super) native: bool,
    /// The plan is only shown.
    pub(super) dry_run: bool,
    /// It is handed out to runners.
    pub(super) enqueue: bool,
    /// Lock holders older than this are terminated.
    pub(super) kill_blockers: Option<Duration>,
    pub(super) backup: Option<BackupPlan>,
    pub(super) restore: Option<RestorePlan>,
    pub(super) seed: Option<SeedRequest>,
    pub(super) adopt: Option<AdoptPlan>,
    pub(super) exec: Option<Arc<str>>,
    /// Whether a tenant that lost its database is made anew.
    pub(super) recreate: bool,
    /// The versions at which earlier runs left the tenants, if those that lost their databases are refused.
    pub(super) left_at: HashMap<TenantId, LeftAt>,
    /// The tenants that are left out because they are in quarantine, each with the reason.
    pub(super) quarantined: Vec<(TenantId, String)>,
    /// The kinds of tenants that stratified waves have none of, by wave.
    pub(super) uncovered: Vec<(String, Vec<String>)>,
    /// The flags by which a tenant that comes into the fleet is one of the run, too; `None`: it would not be.
    pub(super) joins: Option<Filter>,
    /// Whether such tenants are migrated behind the run.
    pub(super) takes_late: bool,
    /// The versions that tenants must have when their turn comes.
    pub(super) starts: HashMap<TenantId, Option<String>>,
    /// The tenants as they were read already, by a command that had to.
    pub(super) seen: HashMap<TenantId, Observation>,
    /// The flavours of the servers of tenants that were asked for them, to choose those of a stratified wave.
    pub(super) flavours: HashMap<TenantId, Flavour>,
}

impl Intent {
    /// A migration of these tenants to a goal.
    pub(super) fn migrate(goal: Goal, selection: Selection) -> Self {
        Intent::task(Task { kind: RunKind::migrate(goal), command: String::new(), question: String::new() }, selection)
    }

    /// The request for its plan.
    pub(super) fn planning<'a>(
        &'a self,
        program: &'a Program,
        set: &'a Arc<MigrationSet>,
        goal: &'a Goal,
    ) -> Planning<'a> {
        let Intent { selection, native, recreate, targets, seen, flavours, .. } = self;
        let (native, recreate, undoes) = (*native, *recreate, self.kind.undoes());
        Planning { program, set, selection, goal, native, recreate, targets, undoes, seen, flavours }
    }

    /// A task on these tenants.
    pub(super) fn task(task: Task, selection: Selection) -> Self {
        Intent {
            kind: task.kind,
            selection,
            command: task.command,
            question: task.question,
            targets: HashMap::new(),
            resumes: None,
            former: HashMap::new(),
            done: HashMap::new(),
            closed: Vec::new(),
            open_gates: Vec::new(),
            max_failures: FailureBudget::UNLIMITED,
            native: false,
            dry_run: false,
            enqueue: false,
            kill_blockers: None,
            backup: None,
            restore: None,
            seed: None,
            adopt: None,
            exec: None,
            recreate: false,
            left_at: HashMap::new(),
            quarantined: Vec::new(),
            uncovered: Vec::new(),
            joins: None,
            takes_late: false,
            starts: HashMap::new(),
            seen: HashMap::new(),
            flavours: HashMap::new(),
        }
    }
}

/// Starts a task that needs nothing but its kind on the selected tenants.
pub(super) async fn task(program: &Program, set: &Arc<MigrationSet>, task: Task, on: &RunArgs) -> Result<u8, CliError> {
    let selection = program.select(&on.selection).await?;
    start(program, set, Intent::task(task, selection), &on.output).await
}

/// Plans, asks for confirmation where needed, and runs.
pub(super) async fn start(
    program: &Program,
    set: &Arc<MigrationSet>,
    mut intent: Intent,
    output: &RunOutput,
) -> Result<u8, CliError> {
    sources::tell(program);
    if !intent.dry_run {
        sources::refuse_gone(program)?;
    }
    let late = Late::of(&mut intent);
    match ready(program, set, intent, output).await? {
        Ready::Over(code) => Ok(code),
        Ready::Run(plan) => session::drive(program, set, (*plan, late), output).await,
    }
}

/// The plan of a run that may begin, or the exit code of a command that is over.
pub(super) enum Ready {
    Over(u8),
    Run(Box<RunPlan>),
}

/// Refuses what must not run, asks for confirmation where needed, and plans.
pub(super) async fn ready(
    program: &Program,
    set: &Arc<MigrationSet>,
    mut intent: Intent,
    output: &RunOutput,
) -> Result<Ready, CliError> {
    #[cfg(feature = "queue")]
    if intent.enqueue {
        enqueue::refuse(program, &intent)?;
    }
    hold::set_aside(program, &mut intent)?;
    if intent.kind.plan().is_none() {
        strata::complete(program, set, &mut intent).await;
    }
    if output.keep_going && intent.kind.plan().is_some() {
        let text =
            "--keep-going lifts the failure budgets that the plan was saved with; leave it out, or save a new plan";
        return Err(CliError::Usage(format!("{text}; nothing was touched")));
    }
    intent.max_failures = output.run_budget(program.settings());
    for wave in intent.selection.waves.iter_mut().filter(|_| output.keep_going) {
        wave.max_failures = FailureBudget::UNLIMITED;
    }
    let may_ask = !output.yes && !intent.dry_run;
    let goal = intent.kind.goal();
    if goal.is_none_or(|goal| goal.direction == Direction::Down) {
        intent.selection.waves.iter_mut().for_each(|wave| wave.gate = None);
    }
    gates::assertions(program, gates::of(&intent.selection))?;
    if goal.is_some_and(|goal| goal.direction == Direction::Up)
        && let Some(why) = gates::unguarded(program, &intent.selection)
    {
        return Err(CliError::CanNotStart(format!("{why}\nnothing was touched")));
    }
    servers::refuse_shut(program, &intent.selection)?;
    neighbours::refuse(program, &intent)?;
    unjudged::refuse(program, set, &intent).await?;
    let wants_versions = goal.is_some_and(|goal| goal.direction == Direction::Up) && !intent.recreate;
    if !intent.dry_run {
        session::refuse_tenant(program)?;
        intent.left_at = session::refuse_held(program, &intent.selection, wants_versions && !may_ask).await?;
    }
    if may_ask {
        let or = if goal.is_some() && intent.resumes.is_none() { ", or --dry-run to see the plan" } else { "" };
        program.terminal.require_person("changes databases", or)?;
    }
    if !intent.dry_run {
        saved_plan::refuse_unapproved(program, set, &intent).await?;
    }
    if let Some(goal) = &goal {
        goals::order(program, &mut intent.selection, goal.direction)?;
        goals::refuse_unset(set, &intent.selection, goal)?;
    }
    if !intent.dry_run {
        wave_notes::tell_uncovered(program, set, &mut intent).await;
    }
    sizes::largest_first(program, set, &mut intent.selection).await;
    if !output.no_preflight && !intent.dry_run {
        let goes_up = goal.is_some_and(|goal| goal.direction == Direction::Up);
        doctor::preflight(program, set, &intent.selection, goes_up).await?;
    }
    let Some(goal) = goal else {
        let tenants = count(intent.selection.tenants().count(), "tenant");
        if may_ask && !program.terminal.confirm(&format!("{} {tenants}. Go ahead?", intent.question)) {
            return Ok(Ready::Over(1));
        }
        return Ok(Ready::Run(Box::new(plan(program, set, intent))));
    };
    // Reading first is needed to show a plan, to determine the target of steps, and to find a missing `down` before
    // anything is touched. Otherwise each tenant is read just before it is changed, over the same connection.
    let counts_steps = matches!(goal.target, Target::Steps(_));
    let needs_plan = may_ask || intent.dry_run || counts_steps || goal.direction == Direction::Down;
    // A wave that is taken back on a failure has to have a way back.
    let due = way_back::due(&intent.selection).filter(|_| goal.direction == Direction::Up);
    if let Some(waves) = due.as_ref().filter(|_| !needs_plan) {
        let planning = Planning { selection: waves, ..intent.planning(program, set, &goal) };
        way_back::refuse(&planning, &inspect::planned(&planning).await).await?;
    }
    if needs_plan {
        let planning = intent.planning(program, set, &goal);
        let mut planned = inspect::planned(&planning).await;
        if intent.dry_run {
            online_limits::note(&planning, &mut planned).await;
            output.deliver(&planned.view(set, &goal, Detail::Summary).render(Format::Table, &output.style(program)))?;
        }
        if due.is_some() {
            way_back::refuse(&planning, &planned).await?;
        }
        if goal.direction == Direction::Down {
            refuse_irreversible(program, set, &planned, intent.native).await?;
        }
        if intent.dry_run {
            sources::refuse_gone(program)?;
            // As the run itself would: a tenant that it refuses, or can't read, fails.
            let fails = planned.rows().iter().any(|row| row.refusal.is_some() || row.error.is_some());
            let left_out = intent.kind.undoes().is_some() && intent.selection.held_back > 0;
            return Ok(Ready::Over(match (fails, left_out) {
                (true, _) => exit::code(Verdict::Failures, false),
                (false, true) => exit::code(Verdict::Outstanding, false),
                (false, false) => 0,
            }));
        }
        let has_work = planned.rows().iter().any(|row| !row.is_done());
        if may_ask && has_work && !program.terminal.confirm(&question::text(&planning, &planned).await) {
            return Ok(Ready::Over(1));
        }
        if counts_steps {
            for (tenant, target) in goals::settled(set.catalog(), &planned.observations, &goal) {
                intent.targets.entry(tenant).or_insert(target);
            }
        }
    }
    // A person may have taken long to answer.
    if wants_versions && may_ask {
        let ids = intent.selection.tenants().map(|tenant| tenant.id.clone()).collect();
        intent.left_at = program.left_at(ids).await?;
    }
    #[cfg(feature = "queue")]
    if intent.enqueue {
        return enqueue::enqueue(program, plan(program, set, intent)).await.map(Ready::Over);
    }
    Ok(Ready::Run(Box::new(plan(program, set, intent))))
}

/// Refuses a migration without a `down` before anything is touched.
async fn refuse_irreversible(
    program: &Program,
    set: &Arc<MigrationSet>,
    planned: &Planned,
    native: bool,
) -> Result<(), CliError> {
    let irreversible = goals::irreversible(set, &planned.rows(), native).await;
    if irreversible.is_empty() {
        return Ok(());
    }
    let line = |of: &goals::Irreversible| {
        let goals::Irreversible { migration, variant, tenants, reason } = of;
        format!("{migration} ({variant}, {}): {reason}", count(*tenants, "tenant"))
    };
    let found: Vec<String> = irreversible.iter().map(line).collect();
    Err(CliError::CanNotStart(format!(
        "these migrations have no way down, so nothing was touched:\n  {}\nroll back only as far as --to allows (see: {}), \
         or write their `down`",
        found.join("\n  "),
        program.command("plan --down")
    )))
}

/// The limits on starts of a run that begins now.
fn pacing(settings: &Settings) -> Pacing {
    let now_ms = now_ms();
    let deadline = settings.deadline.as_ref().map(|deadline| Instant::now() + until(now_ms, deadline.moment(now_ms)));
    let (rate, load) = (settings.rate, Some(settings.load_limits()));
    Pacing { rate, deadline, stops_outside: settings.stops_outside_window(), load, ..Pacing::default() }
}

/// The plan of a run, of which nothing has been done.
pub(super) fn plan(program: &Program, set: &Arc<MigrationSet>, intent: Intent) -> RunPlan {
    let catalog = set.catalog().clone();
    let settings = program.settings();
    let (mut tenants, mut waves, mut planned) = (Vec::new(), Vec::new(), Vec::new());
    let held_back = intent.selection.held_back;
    let is_up = intent.kind.goal().is_some_and(|goal| goal.direction == Direction::Up);
    for wave in intent.selection.waves {
        let places = (tenants.len()..tenants.len() + wave.tenants.len()).collect();
        for tenant in wave.tenants {
            planned.push(PlannedTenant {
                tenant: tenant.id.clone(),
                engine: tenant.engine,
                server: tenant.server.to_string(),
                wave: wave.name.clone(),
                target: intent.targets.get(&tenant.id).copied(),
                database: Some(program.place_of(&tenant)),
            });
            tenants.push(tenant);
        }
        waves.push(PlannedWave {
            former: intent.former.get(&wave.name).copied().unwrap_or_default(),
            name: wave.name.clone(),
            tenants: places,
            concurrency: wave.concurrency,
            per_server: wave.per_server,
            max_failures: wave.max_failures,
            lock_timeout: wave.lock_timeout,
            transaction: wave.transaction,
            window: Some(wave.window.unwrap_or_else(|| settings.window.clone())),
            done: intent.done.get(&wave.name).cloned().unwrap_or_default(),
            // Only a migration knows waves that go on without others.
            waits_for: match is_up {
                true => wave.waits_for,
                false => waves.iter().map(|wave: &PlannedWave| wave.name.clone()).collect(),
            },
            gate: wave.gate,
        });
    }
    let freezes = hold::freezes(program, &catalog, &tenants);
    let pacing = Pacing { servers: servers::windows(program, &tenants), ..pacing(settings) };
    let run = Uuid::now_v7();
    let goal = intent.kind.goal();
    let direction = goal.map_or(Direction::Up, |goal| goal.direction);
    let wanted = match &goal {
        Some(goal) => goal.could_touch_each(&catalog, planned.iter().map(|of: &PlannedTenant| of.target)),
        None => 0..catalog.migrations.len(),
    };
    let kind = match &intent.backup {
        Some(backup) => {
            let folder = backup.folder.join(run.to_string()).display().to_string();
            intent.kind.with_backups(folder, backup.restore_on_failure)
        }
        None => intent.kind,
    };
    let hook_secrets = gates::secrets(&tenants);
    let header = RunHeader {
        run,
        direction,
        goal: goal.map_or(intent.command, |goal| goals::in_words(&kind, &goal, &catalog)),
        kind,
        resumes: intent.resumes,
        catalog: catalog.migrations.iter().map(|m| m.to_string()).collect(),
        texts: goal.map(|_| catalog.texts()).unwrap_or_default(),
        tenants: planned,
        started_at_ms: now_ms(),
        program: program::version().to_owned(),
        started_by: StartedBy { awaits_waves: true, ..origin::started_by() },
        selection: origin::selection(),
    };
    RunPlan {
        header,
        catalog,
        tenants,
        waves,
        max_failures: intent.max_failures,
        former: intent.former.values().copied().sum(),
        closed: intent.closed,
        open_gates: intent.open_gates,
        gatekeeper: None,
        runners: None,
        recorded: None,
        scripts: Arc::new(LazyScripts::new(set.clone(), direction, wanted, intent.native)),
        held_back,
        concurrency: settings.concurrency(),
        pacing,
        hooks: program.hooks(hook_secrets),
        retry: settings.retry(),
        timeouts: settings.timeouts(),
        kill_blockers: intent.kill_blockers,
        limits: set.limits(direction, |name| program.limits_of(name)),
        backup: intent.backup,
        restore: intent.restore,
        seed: intent.seed,
        exec: intent.exec,
        timings: false,
        transaction: settings.transaction,
        adopt: intent.adopt,
        left_at: intent.left_at,
        freezes,
        quarantined: intent.quarantined,
        uncovered: intent.uncovered,
        starts: intent.starts,
    }
}
