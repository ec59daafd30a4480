//! `scripts list` and `scripts accept`: the SQL scripts behind the migrations, and edited ones that are meant to be so.

use std::sync::Arc;

use super::args::{Output, RunOutput, Selection as SelectionArgs};
use super::exit::CliError;
use super::migrate::{self, Chore, Intent};
use super::setup::{Program, quoted};
use crate::compile::MigrationSet;
use crate::model::plan::{Goal, Target};
use crate::model::schema::Direction;
use crate::report::scripts;
use crate::run::Task;

pub(super) fn list(program: &Program, set: &Arc<MigrationSet>, output: &Output) -> Result<u8, CliError> {
    output.deliver(&scripts::list(set.scripts(), output.shape(), &output.style(program)))?;
    Ok(0)
}

pub(super) async fn accept(
    program: &Program,
    set: &Arc<MigrationSet>,
    names: &[String],
    selection: &SelectionArgs,
    output: &RunOutput,
) -> Result<u8, CliError> {
    let catalog = set.catalog();
    let mut wanted = Vec::new();
    for name in names {
        let index = catalog.resolve(name)?;
        if catalog.script(index).is_none() {
            let text = format!("{} is a Rust migration: it has no checksum to accept", catalog.migrations[index]);
            return Err(CliError::Usage(text));
        }
        wanted.push(catalog.migrations[index].to_string());
    }
    let words: Vec<String> = wanted.iter().map(|name| quoted(name)).collect();
    let chore = Chore {
        command: format!("scripts accept {}", words.join(" ")),
        question: format!("Take the present text of {} for what was applied on", wanted.join(", ")),
        task: Task::Accept(wanted),
    };
    start(program, set, chore, selection, output).await
}

/// Runs a chore on the selected tenants.
pub(super) async fn start(
    program: &Program,
    set: &Arc<MigrationSet>,
    chore: Chore,
    selection: &SelectionArgs,
    output: &RunOutput,
) -> Result<u8, CliError> {
    let intent = Intent {
        goal: Goal { direction: Direction::Up, target: Target::End, out_of_order: false },
        selection: program.select(selection).await?,
        targets: Default::default(),
        resumes: None,
        native: false,
        dry_run: false,
        kill_blockers: None,
        chore: Some(chore),
        backup: None,
    };
    migrate::start(program, set, intent, output).await
}
