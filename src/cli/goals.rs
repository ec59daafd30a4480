//! From flags to goals: the migration, the number of steps, and the target it means for each tenant.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use super::exit::CliError;
use super::inspect::Planning;
use super::setup::{Program, quoted};
use crate::compile::{LazyScripts, MigrationSet};
use crate::engine::{Continuation, continuation};
use crate::inputs::select::Selection;
use crate::model::engine::Variant;
use crate::model::observation::Observation;
use crate::model::plan::{self, Decision, Goal, Refusal, Target};
use crate::model::run_kind::RunKind;
use crate::model::schema::{Catalog, Direction, Execution, Script, State};
use crate::model::tenant::{Tenant, TenantId};
use crate::policy::{Limits, format_duration};
use crate::report::edited_text;
use crate::report::plan::{LimitNote, PlanRow};

/// The target that `--to` or `--steps` names.
pub(super) fn target(catalog: &Catalog, to: Option<&str>, steps: Option<u32>) -> Result<Target, CliError> {
    Ok(match (to, steps) {
        (Some(name), _) => Target::Migration(catalog.resolve(name)?),
        (None, Some(n)) => Target::Steps(n as usize),
        (None, None) => Target::End,
    })
}

/// The goal of a run in words.
pub(super) fn in_words(kind: &RunKind, goal: &Goal, catalog: &Catalog) -> String {
    let undone = kind.undoes().map(|run| format!("the versions before run {run}"));
    undone.unwrap_or_else(|| goal.describe(catalog))
}

/// The target that a number of steps means for each tenant that could be read.
pub(super) fn settled(catalog: &Catalog, observations: &[Observation], goal: &Goal) -> HashMap<TenantId, Target> {
    let settle = |o: &Observation| match o.state {
        // The history of a tenant with an unfinished migration does not determine its steps.
        State::Unreachable | State::Migrating | State::InDoubt(_) => None,
        _ => plan::settle_steps(catalog, o.variant(), &o.history, goal).map(|target| (o.tenant.clone(), target)),
    };
    observations.iter().filter_map(settle).collect()
}

/// The order of the waves. On a rollback the dependencies are reversed, so that the last wave goes first where a tenant waits
/// for one of a later wave; on the way up the tenant file has no such dependency.
pub(super) fn order(program: &Program, selection: &mut Selection, direction: Direction) -> Result<(), CliError> {
    let Some((first, _)) = backwards(selection, direction) else { return Ok(()) };
    if direction == Direction::Down {
        program.terminal.tell(&format!("the last wave goes first: {first}"));
        selection.waves.reverse();
    }
    match backwards(selection, direction) {
        Some((why, then)) => {
            let verb = if direction == Direction::Up { "migrate" } else { "rollback" };
            Err(CliError::CanNotStart(format!(
                "{why}, so nothing was touched; take the waves by themselves, the later first: {}",
                program.command(&format!("{verb} --wave={}", quoted(&then)))
            )))
        }
        None => Ok(()),
    }
}

/// A tenant that would have to wait for one of a later wave, and that wave.
fn backwards(selection: &Selection, direction: Direction) -> Option<(String, String)> {
    let tenants: Vec<Arc<Tenant>> = selection.tenants().cloned().collect();
    if tenants.iter().all(|tenant| tenant.depends_on.is_empty()) {
        return None;
    }
    let sizes = selection.waves.iter().enumerate();
    let waves: Vec<usize> = sizes.flat_map(|(place, wave)| std::iter::repeat_n(place, wave.tenants.len())).collect();
    let before = plan::predecessors(&tenants, direction);
    let found = (0..tenants.len()).find_map(|i| Some((i, *before[i].iter().find(|&&other| waves[other] > waves[i])?)));
    let (first, then) = found?;
    let name = |i: usize| selection.waves[waves[i]].name.clone();
    let (earlier, later) = (name(first), name(then));
    let ids = (&tenants[first].id, &tenants[then].id);
    let why =
        format!("tenant {} of wave {earlier} has to wait for {} of wave {later}, which comes later", ids.0, ids.1);
    Some((why, later))
}

/// Refuses tenants that lack a tag which a script puts into its text.
pub(super) fn refuse_unset(set: &MigrationSet, selection: &Selection, goal: &Goal) -> Result<(), CliError> {
    const SHOWN: usize = 10;
    let wanted = goal.could_touch(set.catalog());
    let found: Vec<String> =
        selection.tenants().flat_map(|tenant| set.unset(tenant, goal.direction, &wanted)).collect();
    if found.is_empty() {
        return Ok(());
    }
    let more = found.len().saturating_sub(SHOWN);
    let more = if more > 0 { format!("\n  and {more} more") } else { String::new() };
    let shown = found[..found.len().min(SHOWN)].join("\n  ");
    Err(CliError::Settings(format!(
        "variables of SQL scripts have no value, and nothing was started:\n  {shown}{more}"
    )))
}

/// The row of the plan that an observation leads to.
pub(super) fn row(catalog: &Catalog, observation: &Observation, goal: &Goal) -> PlanRow {
    let mut row = PlanRow {
        tenant: observation.tenant.clone(),
        engine: observation.engine,
        flavour: observation.flavour,
        server: observation.server.clone(),
        source: observation.source.as_ref().map(ToString::to_string),
        state: observation.state.name().to_owned(),
        steps: Vec::new(),
        online: false,
        refusal: None,
        note: None,
        error: observation.error.clone(),
        after: Vec::new(),
    };
    match &observation.state {
        State::Unreachable => {}
        State::Empty if observation.is_lost() => {
            // A rollback has nothing to do there.
            let fault = row.error.take().filter(|_| goal.direction == Direction::Up);
            row.refusal = fault.map(|fault| fault.message);
        }
        State::Migrating => row.refusal = Some("it is being migrated by another run".to_owned()),
        State::InDoubt(unfinished) if unfinished.goes_on() => {
            row.refusal = Some(edited_text(unfinished));
        }
        State::InDoubt(unfinished) => {
            row.refusal = Some(format!("{} was begun and not finished{}", unfinished.migration, unfinished.way_back()));
        }
        _ => match plan::decide(catalog, observation.variant(), &observation.history, goal) {
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
            // The journal is read below, the ledger was read with the tenant, and a plan is made for what was read.
            Decision::Refuse(Refusal::PartiallyApplied(_) | Refusal::Lost(..) | Refusal::Moved { .. }) => {}
            Decision::Refuse(Refusal::OtherPart(scripts)) => row.refusal = Some(plan::other_part(&scripts)),
            Decision::Refuse(Refusal::Edited(scripts)) => {
                row.refusal =
                    Some(format!("{} was edited after it had been applied; see `scripts repair`", scripts.join(", ")));
            }
        },
    }
    if let State::Stopped(unfinished) = &observation.state
        && row.refusal.is_none()
    {
        // The journal has to be closed before anything else can be done.
        let is_next = match (unfinished.may_begin_again(), goal.direction) {
            // It begins again when its turn comes, and a rollback does not wait for that.
            (true, Direction::Up) => row.steps.contains(&unfinished.migration),
            (true, Direction::Down) => true,
            (false, direction) => row.steps.first() == Some(&unfinished.migration) && unfinished.direction == direction,
        };
        if is_next && unfinished.lost.is_empty() {
            row.note = Some(unfinished.in_words());
        } else {
            row.steps.clear();
            row.refusal = Some(format!("partially applied: {}, or resolve it: `runs resolve`", unfinished.in_words()));
        }
    }
    row
}

/// Refuses a tenant that stopped half way through a compiled script and would continue natively: Rust code has no
/// statements.
pub(super) fn refuse_native(row: &mut PlanRow, state: &State, scripts: &[Script]) {
    let State::Stopped(unfinished) = state else { return };
    let is_its_own = |s: &&Script| s.engine == row.engine && s.flavour.is_none_or(|of| row.flavour == Some(of));
    let script = scripts.iter().find(|s| *s.migration == *unfinished.migration && is_its_own(s));
    if row.refusal.is_none() && script.is_some_and(|script| continuation(unfinished, script) == Continuation::Edited) {
        row.steps.clear();
        row.note = None;
        row.refusal = Some(format!(
            "it stopped half way through the script of {}: leave --native out, or see `runs resolve`",
            unfinished.migration
        ));
    }
}

/// The time limits in the plan that differ from the fleet's.
pub(super) fn limits(planning: &Planning<'_>, scripts: &[Script]) -> Vec<LimitNote> {
    let Planning { program, set, selection, goal, .. } = planning;
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
    let own = set.limits(goal.direction, |name| program.limits_of(name));
    for script in scripts {
        let place = set.catalog().position(&script.migration);
        if let Some(limits) = place.and_then(|index| own.get(&(index, script.variant()))) {
            notes.push(note(format!("{} on {}", script.migration, script.variant()), *limits));
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

/// A planned migration without a way down.
pub(super) struct Irreversible {
    pub(super) migration: Arc<str>,
    pub(super) variant: Variant,
    /// The number of tenants that would run it.
    pub(super) tenants: usize,
    pub(super) reason: String,
}

/// The planned migrations that have no way down.
pub(super) async fn irreversible(set: &Arc<MigrationSet>, rows: &[&PlanRow], native: bool) -> Vec<Irreversible> {
    let lazy = LazyScripts::new(set.clone(), Direction::Down, range(set.catalog(), rows), native);
    let mut found = Vec::new();
    for variant in Variant::ALL {
        let is_here = |row: &&&PlanRow| Variant::new(row.engine, row.flavour) == variant && !row.steps.is_empty();
        let here: Vec<&&PlanRow> = rows.iter().filter(is_here).collect();
        if here.is_empty() {
            continue;
        }
        for script in lazy.get(variant).await.iter() {
            let Execution::Irreversible { reason } = &script.execution else { continue };
            let tenants = here.iter().filter(|row| row.steps.iter().any(|step| **step == *script.migration)).count();
            if tenants > 0 {
                let (migration, reason) = (script.migration.clone(), reason.clone());
                found.push(Irreversible { migration, variant, tenants, reason });
            }
        }
    }
    found
}
