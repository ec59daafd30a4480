//! `migrate` and `rollback`: from flags to a plan of a run, the question, and the run.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use super::args::{Migrate, Rollback, RunOutput, Selection as SelectionArgs};
use super::exit::CliError;
use super::inspect::{self, Planned};
use super::previous_run::PreviousRun;
use super::session;
use super::setup::Program;
use super::{backup, doctor, goals, terminal};
use crate::compile::{LazyScripts, MigrationSet};
use crate::inputs::select::Selection;
use crate::model::event::{PlannedTenant, RunHeader};
use crate::model::plan::{Goal, Target};
use crate::model::schema::{Direction, Execution};
use crate::model::tenant::TenantId;
use crate::report::plan::PlanRow;
use crate::report::{Format, count, towards};
use crate::run::{BackupPlan, PlannedWave, RunPlan, Task};

/// A run that is about to be planned.
pub(super) struct Intent {
    pub(super) goal: Goal,
    pub(super) selection: Selection,
    /// Targets that a former run settled, for its tenants.
    pub(super) targets: HashMap<TenantId, Target>,
    pub(super) resumes: Option<Uuid>,
    pub(super) native: bool,
    pub(super) dry_run: bool,
    /// Older holders of locks are terminated.
    pub(super) kill_blockers: Option<Duration>,
    /// What is done instead of migrating.
    pub(super) chore: Option<Chore>,
    /// The backups that it makes.
    pub(super) backup: Option<BackupPlan>,
}

/// Something that a run does instead of migrating.
pub(super) struct Chore {
    pub(super) task: Task,
    /// The command without the selection, to be typed again: `refresh --group hourly`.
    pub(super) command: String,
    /// What the person who is asked is asked: `Refresh 3 views on`.
    pub(super) question: String,
}

pub(super) async fn migrate(program: &Program, set: &Arc<MigrationSet>, args: Migrate) -> Result<u8, CliError> {
    let named = (args.to.is_some() || args.steps.is_some())
        .then(|| goals::goal(set.catalog(), Direction::Up, args.to.as_deref(), args.steps, args.out_of_order))
        .transpose()?;
    let goal = Goal { direction: Direction::Up, target: Target::End, out_of_order: args.out_of_order };
    let mut intent = intent(program, set, &args.change.selection, goal, named).await?;
    intent.native = args.change.native;
    intent.backup = backup::wanted(program, args.change.backup)?;
    intent.dry_run = args.change.dry_run;
    intent.kill_blockers = args.kill_blockers;
    start(program, set, intent, &args.change.output).await
}

pub(super) async fn rollback(program: &Program, set: &Arc<MigrationSet>, args: Rollback) -> Result<u8, CliError> {
    let named = (args.to.is_some() || args.steps.is_some() || args.all)
        .then(|| goals::goal(set.catalog(), Direction::Down, args.to.as_deref(), args.steps, false))
        .transpose()?;
    let goal = Goal { direction: Direction::Down, target: Target::End, out_of_order: false };
    let mut intent = intent(program, set, &args.change.selection, goal, named).await?;
    intent.native = args.change.native;
    intent.backup = backup::wanted(program, args.change.backup)?;
    intent.dry_run = args.change.dry_run;
    start(program, set, intent, &args.change.output).await
}

/// Selects, and takes over the goal of the run that `--failed-of` names unless flags name another.
async fn intent(
    program: &Program,
    set: &Arc<MigrationSet>,
    args: &SelectionArgs,
    default: Goal,
    named: Option<Goal>,
) -> Result<Intent, CliError> {
    let mut filter = args.filter();
    let mut intent_goal = named.unwrap_or(default);
    let mut targets = HashMap::new();
    let mut gone = 0;
    if let Some(run) = &args.failed_of {
        let ledger = program.existing_ledger().await?;
        let former = PreviousRun::read(&ledger, run).await;
        ledger.close().await;
        let former = former?;
        if former.header.direction != default.direction {
            let other = if default.direction == Direction::Up { "rollback" } else { "migrate" };
            let text = format!(
                "run {} went the other way; use: {}",
                former.header.run,
                program.command(&format!("{other} --failed-of {}", former.header.run))
            );
            return Err(CliError::Usage(text));
        }
        let failed = former.failed();
        if failed.is_empty() {
            return Err(CliError::NothingMatched(format!("run {} has no failures", former.header.run)));
        }
        let taken = PreviousRun::taken(failed, &program.registry);
        if let Some(warning) = taken.warning(former.header.run) {
            program.terminal.warn(&warning);
        }
        gone = taken.gone.len();
        filter.only = Some(taken.present);
        if named.is_none() {
            let goal = former.goal(set.catalog())?;
            intent_goal = Goal { out_of_order: default.out_of_order || goal.out_of_order, ..goal };
            targets = former.targets(set.catalog())?;
        }
    }
    let mut selection = program.filter(filter).await?;
    // Work that stays undone must not end as if all was well.
    selection.held_back += gone;
    Ok(Intent {
        goal: intent_goal,
        selection,
        targets,
        resumes: None,
        native: false,
        dry_run: false,
        kill_blockers: None,
        chore: None,
        backup: None,
    })
}

/// Plans, asks where someone is to be asked, and runs.
pub(super) async fn start(
    program: &Program,
    set: &Arc<MigrationSet>,
    mut intent: Intent,
    output: &RunOutput,
) -> Result<u8, CliError> {
    let may_ask = !output.yes && !intent.dry_run;
    if may_ask && !program.terminal.interactive {
        let plan = if intent.chore.is_none() { ", or --dry-run to see the plan" } else { "" };
        let text = format!("this changes databases and nobody can be asked: add --yes to go ahead{plan}");
        return Err(CliError::Usage(text));
    }
    if intent.chore.is_none() {
        goals::refuse_backwards(program, &intent.selection, intent.goal.direction)?;
    }
    if !output.no_preflight && !intent.dry_run {
        let goes_up = intent.chore.is_none() && intent.goal.direction == Direction::Up;
        doctor::preflight(program, set, &intent.selection, goes_up).await?;
    }
    if let Some(chore) = &intent.chore {
        let tenants = intent.selection.tenants().count();
        if may_ask && !program.terminal.confirm(&format!("{} {}. Go ahead?", chore.question, count(tenants, "tenant")))
        {
            program.terminal.tell("nothing was done");
            return Ok(1);
        }
        let plan = plan(program, set, intent);
        return session::drive(program, set, plan, output).await;
    }
    // Reading first is needed to show a plan, to know what steps mean, and to find a way down that is not written before
    // anything is touched. Otherwise each tenant is read just before it is changed, over the same connection.
    let counts_steps = matches!(intent.goal.target, Target::Steps(_));
    if may_ask || intent.dry_run || counts_steps || intent.goal.direction == Direction::Down {
        let planned = inspect::planned(program, set, &intent.selection, &intent.goal, intent.native).await;
        if intent.dry_run {
            let text = planned.view(set, &intent.goal, false).render(Format::Table, &program.terminal.out);
            terminal::deliver(&text, output.output.as_deref())?;
            return Ok(0);
        }
        refuse_irreversible(program, set, &intent, &planned).await?;
        if counts_steps {
            for (tenant, target) in goals::settled(set.catalog(), &planned.observations, &intent.goal) {
                intent.targets.entry(tenant).or_insert(target);
            }
        }
        if may_ask && !program.terminal.confirm(&question(&planned.rows(), &intent, set)) {
            program.terminal.tell("nothing was done");
            return Ok(1);
        }
    }
    let plan = plan(program, set, intent);
    session::drive(program, set, plan, output).await
}

/// A migration whose `down` is not written is found before anything is touched.
async fn refuse_irreversible(
    program: &Program,
    set: &Arc<MigrationSet>,
    intent: &Intent,
    planned: &Planned,
) -> Result<(), CliError> {
    if intent.goal.direction == Direction::Up {
        return Ok(());
    }
    let rows = planned.rows();
    let lazy = LazyScripts::new(set.clone(), Direction::Down, goals::range(set.catalog(), &rows), intent.native);
    let mut found: Vec<String> = Vec::new();
    for engine in crate::model::tenant::Engine::ALL {
        let here: Vec<&&PlanRow> = rows.iter().filter(|row| row.engine == engine && !row.steps.is_empty()).collect();
        if here.is_empty() {
            continue;
        }
        for script in lazy.get(engine).await.iter() {
            let Execution::Irreversible { reason } = &script.execution else { continue };
            let tenants = here.iter().filter(|row| row.steps.contains(&script.migration.to_string())).count();
            if tenants > 0 {
                found.push(format!("{} ({engine}, {}): {reason}", script.migration, count(tenants, "tenant")));
            }
        }
    }
    if found.is_empty() {
        return Ok(());
    }
    Err(CliError::CanNotStart(format!(
        "these migrations have no way down, so nothing was touched:\n  {}\nroll back only as far as --to allows (see: {}), \
         or write their `down`",
        found.join("\n  "),
        program.command("plan --down")
    )))
}

fn question(rows: &[&PlanRow], intent: &Intent, set: &MigrationSet) -> String {
    let pending = rows.iter().filter(|row| !row.steps.is_empty()).count();
    let trouble = rows.iter().filter(|row| row.refusal.is_some() || row.error.is_some()).count();
    let done = rows.len() - pending - trouble;
    let verb = if intent.goal.direction == Direction::Up { "Migrate" } else { "Roll back" };
    let waves: Vec<String> = intent.selection.waves.iter().map(|w| format!("{} {}", w.name, w.tenants.len())).collect();
    let held = if trouble > 0 { format!(", {trouble} can't be changed now") } else { String::new() };
    format!(
        "{verb} {pending} of {} {} ({done} there already{held}).\nWaves: {}. Go ahead?",
        count(rows.len(), "tenant"),
        towards(&intent.goal.describe(set.catalog())),
        waves.join(", ")
    )
}

fn plan(program: &Program, set: &Arc<MigrationSet>, intent: Intent) -> RunPlan {
    let Intent { goal, selection, targets, resumes, native, kill_blockers, chore, backup, .. } = intent;
    let catalog = set.catalog().clone();
    let settings = program.settings();
    let (mut tenants, mut waves, mut planned) = (Vec::new(), Vec::new(), Vec::new());
    let held_back = selection.held_back;
    for wave in selection.waves {
        let places = (tenants.len()..tenants.len() + wave.tenants.len()).collect();
        for tenant in wave.tenants {
            planned.push(PlannedTenant {
                tenant: tenant.id.clone(),
                engine: tenant.engine,
                server: tenant.server.to_string(),
                wave: wave.name.clone(),
                target: targets.get(&tenant.id).copied(),
            });
            tenants.push(tenant);
        }
        waves.push(PlannedWave {
            name: wave.name,
            tenants: places,
            concurrency: wave.concurrency,
            max_failures: wave.max_failures,
            lock_timeout: wave.lock_timeout,
        });
    }
    let wanted = if targets.is_empty() { goal.could_touch(&catalog) } else { 0..catalog.migrations.len() };
    let run = Uuid::now_v7();
    let header = RunHeader {
        run,
        direction: goal.direction,
        goal: chore.as_ref().map_or_else(|| goal.describe(&catalog), |chore| chore.command.clone()),
        goal_data: goal_data(chore.as_ref(), &goal, backup.as_ref(), run),
        resumes,
        catalog: catalog.migrations.iter().map(|m| m.to_string()).collect(),
        tenants: planned,
        started_at_ms: session::now_ms(),
        program: env!("CARGO_PKG_VERSION").to_owned(),
    };
    RunPlan {
        header,
        goal,
        catalog,
        tenants,
        waves,
        scripts: LazyScripts::new(set.clone(), goal.direction, wanted, native),
        held_back,
        concurrency: settings.concurrency,
        retry: settings.retry,
        timeouts: settings.timeouts,
        kill_blockers,
        limits: set.limits(goal.direction, &settings.migrations),
        task: chore.map_or(Task::Migrate, |chore| chore.task),
        backup,
    }
}

/// What the ledger keeps of the goal: enough to resume the run, and where its backups are.
fn goal_data(chore: Option<&Chore>, goal: &Goal, backup: Option<&BackupPlan>, run: Uuid) -> serde_json::Value {
    let mut data = match chore {
        Some(chore) => serde_json::json!({ "chore": chore.command }),
        None => serde_json::to_value(goal).expect("a goal is plain data"),
    };
    if let (Some(backup), Some(fields)) = (backup, data.as_object_mut()) {
        let folder = backup.folder.join(run.to_string());
        fields.insert("backups".to_owned(), folder.display().to_string().into());
    }
    data
}
