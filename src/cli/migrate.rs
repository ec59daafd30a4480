//! `migrate` and `rollback`: from flags to a goal for the selected tenants.

use std::collections::HashMap;

use super::args::{Change, Migrate, Rollback, Selection};
use super::command::Run;
use super::exit::CliError;
use super::previous_run::retained;
use super::rollback_run::Undo;
use super::setup::Program;
use super::start::{Intent, start};
use super::{backup, goals, rollback_run, saved_plan};
use crate::compile::MigrationSet;
use crate::model::plan::{Goal, Target};
use crate::model::run_kind::RunKind;
use crate::model::saved_plan::LateJoiners;
use crate::model::schema::Direction;

impl Run for Migrate {
    async fn run(self, program: &Program) -> Result<u8, CliError> {
        let late_joiners = self.change.late_joiners;
        if late_joiners == Some(LateJoiners::Refuse) && self.change.plan.is_none() {
            return Err(CliError::Usage("--late-joiners refuse is for a saved plan: --plan FILE".to_owned()));
        }
        #[cfg(feature = "queue")]
        if late_joiners == Some(LateJoiners::Migrate) && self.enqueue {
            let text = "--late-joiners migrate needs a process that sees the run's end, and --enqueue hands the run to runners; \
                        leave out one of them";
            return Err(CliError::Usage(text.to_owned()));
        }
        let takes_late = late_joiners == Some(LateJoiners::Migrate);
        let set = program.set().await?;
        if let Some(intent) = saved_plan::intent(program, &set, &self.change, Direction::Up).await? {
            let backup = backup::wanted(program, self.change.backup)?;
            let (kill_blockers, recreate) = (self.kill_blockers, self.recreate);
            let intent = Intent { backup, kill_blockers, recreate, takes_late, ..intent };
            return start(program, &set, intent, &self.change.on.output).await;
        }
        let named = (self.to.is_some() || self.steps.is_some())
            .then(|| goals::target(set.catalog(), self.to.as_deref(), self.steps))
            .transpose()?;
        let default = Goal { direction: Direction::Up, target: Target::End, out_of_order: self.out_of_order };
        let intent = intent(program, &set, &self.change, (default, named)).await?;
        #[cfg(feature = "queue")]
        let intent = Intent { enqueue: self.enqueue, ..intent };
        let intent = Intent { kill_blockers: self.kill_blockers, recreate: self.recreate, takes_late, ..intent };
        start(program, &set, intent, &self.change.on.output).await
    }
}

impl Run for Rollback {
    async fn run(self, program: &Program) -> Result<u8, CliError> {
        if self.change.late_joiners.is_some() && self.change.plan.is_none() {
            return Err(CliError::Usage("--late-joiners of a rollback is for a saved plan: --plan FILE".to_owned()));
        }
        let set = program.set().await?;
        let undoing = match &self.run {
            Some(run) => {
                let (native, dry_run) = (self.change.native, self.change.dry_run);
                let undo = Undo { run, waves: None, filter: &self.change.on.selection.filter };
                let undoing = rollback_run::intent(program, &set, undo).await?;
                Some(Intent { native, dry_run, ..undoing })
            }
            None => saved_plan::intent(program, &set, &self.change, Direction::Down).await?,
        };
        if let Some(intent) = undoing {
            if intent.selection.is_empty() {
                return Ok(0);
            }
            let backup = backup::wanted(program, self.change.backup)?;
            return start(program, &set, Intent { backup, ..intent }, &self.change.on.output).await;
        }
        let named = (self.to.is_some() || self.steps.is_some() || self.all)
            .then(|| goals::target(set.catalog(), self.to.as_deref(), self.steps))
            .transpose()?;
        let default = Goal { direction: Direction::Down, target: Target::End, out_of_order: false };
        let intent = intent(program, &set, &self.change, (default, named)).await?;
        start(program, &set, intent, &self.change.on.output).await
    }
}

async fn intent(
    program: &Program,
    set: &MigrationSet,
    args: &Change,
    goal: (Goal, Option<Target>),
) -> Result<Intent, CliError> {
    let selection = program.of_migrations(&args.on.selection).await?;
    let intent = selected(program, set, &selection, goal).await?;
    let backup = backup::wanted(program, args.backup)?;
    Ok(Intent { backup, native: args.native, dry_run: args.dry_run, ..intent })
}

/// Selects, and takes over the goal of the run that `--failed-of` names unless flags name another target.
pub(super) async fn selected(
    program: &Program,
    set: &MigrationSet,
    selection: &Selection,
    (default, named): (Goal, Option<Target>),
) -> Result<Intent, CliError> {
    let (mut filter, given) = (selection.filter.clone(), selection.filter.clone());
    let mut goal = Goal { target: named.unwrap_or(default.target), ..default };
    let (mut targets, mut undoes) = (HashMap::new(), None);
    let mut missing = 0;
    let previous = match &selection.failed_of {
        Some(run) => Some(program.previous_run(run).await?),
        None => None,
    };
    if let Some(previous) = &previous {
        if previous.header.direction != default.direction {
            let other = if default.direction == Direction::Up { "rollback" } else { "migrate" };
            let text = format!(
                "run {} went the other way; use: {}",
                previous.header.run,
                program.command(&format!("{other} --failed-of {}", previous.header.run))
            );
            return Err(CliError::Usage(text));
        }
        let failed = previous.failed();
        if failed.is_empty() {
            return Err(CliError::NothingMatched(program.no_failures(&previous.header).await?));
        }
        let (present, gone) = retained(program, previous.header.run, failed);
        (filter.only, missing) = (Some(present), gone);
        if named.is_none() {
            let recorded = previous.goal(set.catalog())?;
            goal = Goal { out_of_order: default.out_of_order || recorded.out_of_order, ..recorded };
            targets = previous.targets(set.catalog())?;
            undoes = previous.header.kind.undoes();
        }
    }
    let mut selection = program.filter(filter).await?;
    if let Some(previous) = &previous {
        previous.leave_out_moved(program, &mut selection)?;
    }
    if undoes.is_some() {
        rollback_run::last_wave_first(program, &mut selection);
    }
    // Skipped tenants must not produce exit code 0.
    selection.held_back += missing;
    let starts = match undoes {
        Some(undone) => rollback_run::left_at(program, undone).await?,
        None => HashMap::new(),
    };
    // Whoever joins is not among the failures of an earlier run.
    let joins = previous.is_none().then_some(given);
    Ok(Intent {
        kind: RunKind::migrate(goal).undoing(undoes),
        targets,
        starts,
        joins,
        ..Intent::migrate(goal, selection)
    })
}
