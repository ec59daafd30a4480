//! A rollout brings the same texts to all of its tenants.

use crate::cli::exit::CliError;
use crate::cli::setup::Program;
use crate::model::event::RunHeader;
use crate::model::plan::{Goal, Target};
use crate::model::schema::Catalog;
use crate::report::clean;

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
    let changed = changed(catalog, header, goal);
    if changed.is_empty() {
        return Ok(());
    }
    let more = if changed.len() > NAMED { format!(" and {} more", changed.len() - NAMED) } else { String::new() };
    let (again, command) = match header.kind.plan() {
        Some(_) => ("save a new plan, and have it approved where that is required", "plan --save plan.json"),
        None => ("begin a new rollout, with its canary first", "migrate"),
    };
    Err(CliError::PlanRefused(format!(
        "since run {} began, {}{more}: the tenants that are left would get a text that no earlier wave has seen; nothing was \
         touched\nput the scripts back as they were and give the command again; or {again}: {}; where a tenant has an old text, \
         have the new one counted as applied before: {}",
        header.run,
        changed[..changed.len().min(NAMED)].join(", "),
        program.command(command),
        program.command("scripts repair")
    )))
}

/// Each script up to the goal that is another one now, or new, with that word.
fn changed(catalog: &Catalog, header: &RunHeader, goal: Goal) -> Vec<String> {
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
