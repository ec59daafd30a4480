//! From flags to goals: which migration, how many steps, and what steps mean for each tenant.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use super::exit::CliError;
use crate::compile::MigrationSet;
use crate::config::Settings;
use crate::observation::Observation;
use crate::plan::{self, Decision, Goal, Refusal, Target};
use crate::policy::{Limits, format_duration};
use crate::report::plan::{LimitNote, PlanRow};
use crate::schema::{Catalog, Direction, Script, State};
use crate::select::Selection;
use crate::tenant::TenantId;

/// The goal that flags name.
pub(super) fn goal(
    catalog: &Catalog,
    direction: Direction,
    to: Option<&str>,
    steps: Option<u32>,
    out_of_order: bool,
) -> Result<Goal, CliError> {
    let target = match (to, steps) {
        (Some(name), _) => Target::Migration(catalog.resolve(name)?),
        (None, Some(n)) => Target::Steps(n as usize),
        (None, None) => Target::End,
    };
    Ok(Goal { direction, target, out_of_order })
}

/// What a number of steps means for each tenant that could be read.
pub(super) fn settled(catalog: &Catalog, observations: &[Observation], goal: &Goal) -> HashMap<TenantId, Target> {
    let settle = |o: &Observation| match o.state {
        State::Unreachable => None,
        _ => plan::settle_steps(catalog, o.engine, &o.history, goal).map(|target| (o.tenant.clone(), target)),
    };
    observations.iter().filter_map(settle).collect()
}

/// The row of the plan that an observation leads to.
pub(super) fn row(catalog: &Catalog, observation: &Observation, goal: &Goal) -> PlanRow {
    let mut row = PlanRow {
        tenant: observation.tenant.clone(),
        engine: observation.engine,
        server: observation.server.clone(),
        state: observation.state.name().to_owned(),
        steps: Vec::new(),
        refusal: None,
        error: observation.error.clone(),
    };
    match &observation.state {
        State::Unreachable => {}
        State::InDoubt(unfinished) => {
            row.refusal = Some(format!("{} was begun and not finished", unfinished.migration));
        }
        _ => match plan::decide(catalog, observation.engine, &observation.history, goal) {
            Decision::Nothing => {}
            Decision::Apply(steps) => row.steps = steps.iter().map(|&i| catalog.migrations[i].to_string()).collect(),
            Decision::Refuse(Refusal::Ahead(unknown)) => {
                row.refusal = Some(format!("it has {}, which this program does not know", unknown.join(", ")));
            }
            Decision::Refuse(Refusal::Gap(missing)) => {
                row.refusal = Some(format!(
                    "it lacks {} although later ones are applied; see --out-of-order",
                    missing.join(", ")
                ));
            }
            Decision::Refuse(Refusal::Edited(scripts)) => {
                row.refusal =
                    Some(format!("{} was edited after it had been applied; see `scripts accept`", scripts.join(", ")));
            }
        },
    }
    row
}

/// The time limits that hold somewhere in the plan and are not the fleet's.
pub(super) fn limits(
    settings: &Settings,
    set: &MigrationSet,
    selection: &Selection,
    goal: &Goal,
    scripts: &[Script],
) -> Vec<LimitNote> {
    let note = |of: String, limits: Limits| LimitNote {
        of,
        lock_timeout: limits.lock.map(format_duration),
        statement_timeout: limits.statement.map(format_duration),
    };
    let mut notes = Vec::new();
    for wave in selection.waves.iter().filter(|wave| wave.lock_timeout.is_some()) {
        notes.push(note(format!("wave {}", wave.name), Limits::of_lock(wave.lock_timeout)));
    }
    let mut tenants: BTreeMap<Duration, Vec<&str>> = BTreeMap::new();
    for tenant in selection.tenants() {
        if let Some(lock) = tenant.lock_timeout {
            tenants.entry(lock).or_default().push(tenant.id.as_str());
        }
    }
    for (lock, ids) in tenants {
        let of = match ids.as_slice() {
            [one] => format!("tenant {one}"),
            [first, rest @ ..] => format!("tenant {first} and {} more", rest.len()),
            [] => continue,
        };
        notes.push(note(of, Limits::of_lock(Some(lock))));
    }
    let own = set.limits(goal.direction, &settings.migrations);
    for script in scripts {
        let place = set.catalog().position(&script.migration);
        if let Some(limits) = place.and_then(|index| own.get(&(index, script.engine))) {
            notes.push(note(format!("{} on {}", script.migration, script.engine), *limits));
        }
    }
    notes
}

/// The places of the migrations that these rows name, as a range to compile.
pub(super) fn range(catalog: &Catalog, rows: &[&PlanRow]) -> std::ops::Range<usize> {
    let places = || rows.iter().flat_map(|row| &row.steps).filter_map(|name| catalog.position(name));
    match (places().min(), places().max()) {
        (Some(first), Some(last)) => first..last + 1,
        _ => 0..0,
    }
}
