//! A rollout brings the same texts to all of its tenants.

use super::{Former, waves};
use crate::cli::exit::CliError;
use crate::cli::origin::{self, Flag};
use crate::cli::setup::Program;
use crate::model::event::RunHeader;
use crate::model::plan::{Goal, Target};
use crate::model::schema::Catalog;
use crate::report::{clean, first};

/// The most scripts that a refusal names.
const NAMED: usize = 3;

/// Refuses to go on with a run whose scripts were edited or joined by others since it began: no earlier wave has seen them.
///
/// A run of a program that did not keep the texts is not refused for an edited one.
pub(super) fn refuse_changed(
    program: &Program,
    catalog: &Catalog,
    header: &RunHeader,
    goal: Goal,
) -> Result<(), CliError> {
    let Some(changed) = changed(catalog, header, goal) else { return Ok(()) };
    Err(CliError::PlanRefused(format!(
        "since run {} began, {changed}: {UNSEEN}; nothing was touched\nput the scripts back as they were and give the command again; \
         or {}",
        header.run,
        ways(program, header)
    )))
}

/// The lines on a run that is over and not gone on with, for the scripts are other ones now. `None`: they are not, or can't be read.
pub(in crate::cli) async fn on_changed(program: &Program, former: &Former) -> Option<String> {
    let header = &former.run.header;
    if former.left().is_empty() {
        return None;
    }
    let kept = origin::carried(former.commands.iter().map(String::as_str));
    let as_then = program.with_settings(kept.iter().filter_map(Flag::setting)).ok()?;
    let set = as_then.set().await.ok()?;
    let goal = match former.run.goal(set.catalog()) {
        Ok(goal) => goal,
        Err(why) => return Some(format!("{why}\n")),
    };
    if !(waves::goes_up(header) && former.is_begun) {
        return None;
    }
    let changed = changed(set.catalog(), header, goal)?;
    let then = program.command(&format!("runs resume {}", header.run));
    Some(format!(
        "{changed} since: {UNSEEN}\nput the scripts back as they were, then: {then}\nor {}\n",
        ways(program, header)
    ))
}

const UNSEEN: &str = "the tenants that are left would get a text that no earlier wave has seen";

/// Other ways than to put the scripts back.
fn ways(program: &Program, header: &RunHeader) -> String {
    let (again, command) = match header.kind.plan() {
        Some(_) => ("save a new plan, and have it approved where that is required", "plan --save plan.json"),
        None => ("begin a new rollout, with its canary first", "migrate"),
    };
    format!(
        "{again}: {}; where a tenant has an old text, have the new one counted as applied before: {}",
        program.command(command),
        program.command("scripts repair")
    )
}

/// The scripts up to the goal that are others now, or new, each with that word. `None`: there is none.
fn changed(catalog: &Catalog, header: &RunHeader, goal: Goal) -> Option<String> {
    let all = all_changed(catalog, header, goal);
    (!all.is_empty()).then(|| first(&all, NAMED))
}

/// Each script up to the goal that is another one now, or new, with that word.
fn all_changed(catalog: &Catalog, header: &RunHeader, goal: Goal) -> Vec<String> {
    let reach = match goal.target {
        Target::Migration(place) => place + 1,
        Target::End | Target::Steps(_) => catalog.migrations.len(),
    };
    let place_then = |name: &str| header.catalog.iter().position(|then| then == name);
    let texts = catalog.texts();
    let change = |place: usize| {
        let name = &catalog.migrations[place];
        let Some(then) = place_then(name) else { return (place < reach).then(|| format!("{} was added", clean(name))) };
        let (text, then) = (texts.get(place)?, header.texts.get(then)?);
        (text != then).then(|| format!("{} was edited", clean(name)))
    };
    let reached = (0..catalog.migrations.len()).filter(|&place| place < reach || catalog.is_repeatable(place));
    reached.filter_map(change).collect()
}
