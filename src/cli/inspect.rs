//! Commands that only look: plan, status, matrix, tenants check. They read once and create nothing.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::args::{Look, Matrix, Output, Plan, Shape};
use super::exit::CliError;
use super::setup::Program;
use super::{goals, terminal};
use crate::compile::{LazyScripts, MigrationSet};
use crate::inputs::select::Selection;
use crate::model::observation::Observation;
use crate::model::plan::{Goal, predecessors};
use crate::model::schema::{Direction, Script, State};
use crate::model::tenant::Tenant;
use crate::report::matrix::MatrixView;
use crate::report::plan::{LimitNote, PlanRow, PlanView};
use crate::report::status::StatusView;
use crate::report::{Format, Style};

impl Output {
    pub(super) fn shape(&self) -> Format {
        match self.format {
            Shape::Table => Format::Table,
            Shape::Json => Format::Json,
            Shape::Csv => Format::Csv,
            Shape::Md => Format::Md,
        }
    }

    /// How stdout may look; a file gets no colours.
    pub(super) fn style(&self, program: &Program) -> Style {
        match self.output {
            Some(_) => Style { colour: false, ..program.terminal.out },
            None => program.terminal.out,
        }
    }

    pub(super) fn deliver(&self, text: &str) -> Result<(), CliError> {
        terminal::deliver(text, self.output.as_deref())
    }
}

async fn read(
    program: &Program,
    set: &Arc<MigrationSet>,
    look: &Look,
) -> Result<(Vec<Arc<Tenant>>, Vec<Observation>), CliError> {
    let selection = program.select(&look.selection).await?;
    let tenants: Vec<Arc<Tenant>> = selection.tenants().cloned().collect();
    let observations = program.observe(set, &tenants).await;
    Ok((tenants, observations))
}

fn code(look: &Look, observations: &[Observation]) -> u8 {
    let pending = observations.iter().any(|o| o.state != State::AtTarget);
    if look.exit_code && pending { 2 } else { 0 }
}

pub(super) async fn status(program: &Program, set: &Arc<MigrationSet>, look: &Look) -> Result<u8, CliError> {
    let (_, observations) = read(program, set, look).await?;
    let view = StatusView { catalog: set.catalog(), observations: &observations };
    look.output.deliver(&view.render(look.output.shape(), &look.output.style(program)))?;
    Ok(code(look, &observations))
}

pub(super) async fn matrix(program: &Program, set: &Arc<MigrationSet>, matrix: &Matrix) -> Result<u8, CliError> {
    let look = &matrix.look;
    let (_, observations) = read(program, set, look).await?;
    let view = MatrixView { catalog: set.catalog(), observations: &observations, all: matrix.all };
    look.output.deliver(&view.render(look.output.shape(), &look.output.style(program)))?;
    Ok(code(look, &observations))
}

/// Reaches every tenant; fails when one can't be read.
pub(super) async fn check(program: &Program, set: &Arc<MigrationSet>, look: &Look) -> Result<u8, CliError> {
    let (_, observations) = read(program, set, look).await?;
    let view = StatusView { catalog: set.catalog(), observations: &observations };
    look.output.deliver(&view.render(look.output.shape(), &look.output.style(program)))?;
    let unreachable = observations.iter().any(|o| o.state == State::Unreachable);
    Ok(if unreachable { 100 } else { code(look, &observations) })
}

pub(super) async fn plan(program: &Program, set: &Arc<MigrationSet>, args: &Plan) -> Result<u8, CliError> {
    let direction = if args.down { Direction::Down } else { Direction::Up };
    let goal = goals::goal(set.catalog(), direction, args.to.as_deref(), args.steps, args.out_of_order)?;
    let selection = program.select(&args.selection).await?;
    goals::refuse_backwards(program, &selection, direction)?;
    let planned = planned(program, set, &selection, &goal, args.native).await;
    let view = planned.view(set, &goal, args.sql);
    args.output.deliver(&view.render(args.output.shape(), &args.output.style(program)))?;
    Ok(if args.exit_code && planned.is_pending() { 2 } else { 0 })
}

/// What a run would do, from reading every tenant.
pub(super) struct Planned {
    pub(super) waves: Vec<(String, Vec<PlanRow>)>,
    pub(super) observations: Vec<Observation>,
    scripts: Vec<Script>,
    limits: Vec<LimitNote>,
    goal_text: String,
}

impl Planned {
    pub(super) fn rows(&self) -> Vec<&PlanRow> {
        self.waves.iter().flat_map(|(_, rows)| rows).collect()
    }

    pub(super) fn view<'a>(&'a self, set: &'a MigrationSet, goal: &Goal, show_sql: bool) -> PlanView<'a> {
        PlanView {
            catalog: set.catalog(),
            direction: goal.direction,
            goal: &self.goal_text,
            waves: &self.waves,
            scripts: &self.scripts,
            limits: &self.limits,
            show_sql,
        }
    }

    pub(super) fn is_pending(&self) -> bool {
        self.rows().iter().any(|row| !row.steps.is_empty() || row.refusal.is_some() || row.error.is_some())
    }
}

/// Reads the selected tenants and decides for each what the goal means.
pub(super) async fn planned(
    program: &Program,
    set: &Arc<MigrationSet>,
    selection: &Selection,
    goal: &Goal,
    native: bool,
) -> Planned {
    let tenants: Vec<Arc<Tenant>> = selection.tenants().cloned().collect();
    let mut observations = program.observe(set, &tenants).await;
    let catalog = set.catalog();
    for o in observations.iter_mut().filter(|_| goal.direction == Direction::Down) {
        if let State::Stopped(unfinished) = &o.state {
            o.history = catalog.before_way_down(std::mem::take(&mut o.history), unfinished, o.engine);
        }
    }
    let mut left = observations.iter();
    let mut waves: Vec<(String, Vec<PlanRow>)> = selection
        .waves
        .iter()
        .map(|wave| {
            let rows = left.by_ref().take(wave.tenants.len()).map(|o| goals::row(catalog, o, goal)).collect();
            (wave.name.clone(), rows)
        })
        .collect();
    let rows: Vec<&PlanRow> = waves.iter().flat_map(|(_, rows)| rows).collect();
    let wanted: BTreeSet<&String> = rows.iter().flat_map(|row| &row.steps).collect();
    let lazy = LazyScripts::new(set.clone(), goal.direction, goals::range(catalog, &rows), native);
    let mut scripts = Vec::new();
    for engine in crate::model::tenant::Engine::ALL {
        if rows.iter().any(|row| row.engine == engine && !row.steps.is_empty()) {
            let compiled = lazy.get(engine).await;
            scripts.extend(
                compiled.iter().filter(|s| wanted.contains(&s.migration.to_string())).map(|s| Script::clone(s)),
            );
        }
    }
    let all = waves.iter_mut().flat_map(|(_, rows)| rows);
    let before = predecessors(&tenants, goal.direction);
    for ((row, o), before) in all.zip(&observations).zip(before) {
        goals::refuse_changed(row, &o.state, &scripts);
        row.after = before.into_iter().map(|place| tenants[place].id.clone()).collect();
    }
    if goal.direction == Direction::Down {
        // The newest goes first, and a reader expects the scripts as they run; the engines keep their order.
        scripts.reverse();
        scripts
            .sort_by_key(|script| crate::model::tenant::Engine::ALL.iter().position(|engine| *engine == script.engine));
    }
    let limits = goals::limits(program.settings(), set, selection, goal, &scripts);
    Planned { goal_text: goal.describe(catalog), waves, observations, scripts, limits }
}
