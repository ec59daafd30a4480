//! `rollback --run`: exactly the tenants that a run moved, each to its own version before, the last wave first.
//!
//! A run with those that it resumed and those that resumed it is one rollout, whichever of them is named.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use indexmap::IndexMap;
use uuid::Uuid;

use super::exit::{CliError, run_error};
use super::previous_run::retained;
use super::resume::still_running;
use super::setup::Program;
use super::start::Intent;
use crate::compile::MigrationSet;
use crate::inputs::Origin;
use crate::inputs::select::{Filter, Selection};
use crate::ledger::Ledger;
use crate::model::event::RunHeader;
use crate::model::plan::{Goal, Target};
use crate::model::run_kind::RunKind;
use crate::model::run_summary::RunStatus;
use crate::model::schema::Direction;
use crate::model::tenant::{Tenant, TenantId};
use crate::model::undo::{Rollout, Trail, WayBack};
use crate::report::{clean, count};

/// The part of a rollout that is to be taken back.
pub(super) struct Undo<'a> {
    /// One of its runs: `last`, an id, or its beginning or end.
    pub(super) run: &'a str,
    /// Only what it moved in these waves of its own.
    pub(super) waves: Option<&'a [String]>,
    pub(super) filter: &'a Filter,
}

/// The rollback of a rollout; its selection is empty where nothing is left to be taken back. Tenants that must not be touched
/// are named, and count as held back.
pub(super) async fn intent(
    program: &Program,
    set: &Arc<MigrationSet>,
    Undo { run, waves, filter }: Undo<'_>,
) -> Result<Intent, CliError> {
    let rollout = program.read_ledger(async |ledger| ledger.rollout(run).await.map_err(run_error)).await?;
    let named = refuse(program, &rollout)?;
    let is_wanted = |trail: &Trail| trail.may_have_moved() && waves.is_none_or(|waves| waves.contains(&trail.wave));
    let moved: BTreeSet<TenantId> =
        rollout.trails.iter().filter(|(_, trail)| is_wanted(trail)).map(|(id, _)| id.clone()).collect();
    let (present, gone) = match moved.is_empty() {
        true => (moved, 0),
        false => retained(program, named, moved),
    };
    let goal = Goal {
        direction: Direction::Down,
        target: Target::Migration(set.catalog().migrations.len().saturating_sub(1)),
        out_of_order: false,
    };
    let kind = RunKind::migrate(goal).undoing(Some(named));
    let nobody = format!("run {named} moved no tenant of the file; nothing is to be taken back");
    if present.is_empty() {
        program.terminal.tell(&nobody);
        let empty =
            Selection { waves: Vec::new(), mismatches: Vec::new(), held_back: gone, unmatched_patterns: Vec::new() };
        return Ok(Intent { kind, ..Intent::migrate(goal, empty) });
    }
    let mut selection = program.filter(Filter { only: Some(present), ..filter.clone() }).await?;
    let tenants: Vec<Arc<Tenant>> = selection.tenants().cloned().collect();
    let observations = program.observe(set, &tenants).await;
    let (mut targets, mut starts, mut done) = (HashMap::new(), HashMap::new(), 0);
    let mut refused: BTreeMap<String, BTreeSet<TenantId>> = BTreeMap::new();
    tell_of_places(program, named, rollout.trails.values());
    for (tenant, now) in tenants.iter().zip(&observations) {
        let trail = &rollout.trails[&now.tenant];
        let way = match other_place(program, trail, tenant) {
            Some(why) if trail.may_have_moved() => WayBack::Refused(why),
            _ => trail.way_back(set.catalog(), now),
        };
        match way {
            WayBack::Untouched => {}
            WayBack::Done => done += 1,
            WayBack::To(target) => {
                targets.insert(now.tenant.clone(), target);
                starts.insert(now.tenant.clone(), now.version.clone());
            }
            WayBack::Refused(why) => _ = refused.entry(why).or_default().insert(now.tenant.clone()),
        }
    }
    warn(program, &refused);
    let left_out: usize = refused.values().map(BTreeSet::len).sum();
    if targets.is_empty() && left_out > 0 {
        let (none, can) = match left_out {
            1 => ("the tenant".to_owned(), "can't"),
            n => (format!("none of the {n} tenants"), "can"),
        };
        let text = format!("{none} that run {named} moved {can} be taken back; nothing was touched");
        return Err(CliError::CanNotStart(text));
    }
    if done == 0 && targets.is_empty() {
        program.terminal.tell(&nobody);
    } else if done > 0 {
        let are = if done == 1 { "is" } else { "are" };
        program.terminal.tell(&format!("{} {are} at the version before run {named} already", count(done, "tenant")));
    }
    let taken: Vec<Arc<Tenant>> = tenants.into_iter().filter(|tenant| targets.contains_key(&tenant.id)).collect();
    regroup(program, &mut selection, &rollout, taken);
    selection.held_back += gone + left_out;
    let seen = observations.into_iter().map(|now| (now.tenant.clone(), now)).collect();
    Ok(Intent { kind, targets, starts, seen, ..Intent::migrate(goal, selection) })
}

/// Leaves out of a rollback that goes on whom it must not touch any more: what has happened since it died is not its own.
/// They are named, and count as held back.
pub(super) async fn leave_out(
    program: &Program,
    undone: Uuid,
    rollback: &BTreeSet<Uuid>,
    selection: &mut Selection,
) -> Result<(), CliError> {
    let wanted = undone.to_string();
    let rollout = program.read_ledger(async |ledger| ledger.rollout(&wanted).await.map_err(run_error)).await?;
    let mut refused: BTreeMap<String, BTreeSet<TenantId>> = BTreeMap::new();
    for tenant in selection.tenants() {
        let Some(trail) = rollout.trails.get(&tenant.id) else { continue };
        let moved = || trail.moved_behind(rollback).map(|run| format!("run {run} has moved it since"));
        if let Some(why) = other_place(program, trail, tenant).or_else(moved) {
            refused.entry(why).or_default().insert(tenant.id.clone());
        }
    }
    warn(program, &refused);
    let is_refused = |id: &TenantId| refused.values().any(|ids| ids.contains(id));
    selection.waves.iter_mut().for_each(|wave| wave.tenants.retain(|tenant| !is_refused(&tenant.id)));
    selection.waves.retain(|wave| !wave.tenants.is_empty());
    selection.held_back += refused.values().map(BTreeSet::len).sum::<usize>();
    match selection.is_empty() && !refused.is_empty() {
        true => Err(CliError::CanNotStart(format!(
            "none of the tenants that are left of this rollback of run {undone} can be taken back; nothing was touched"
        ))),
        false => Ok(()),
    }
}

fn warn(program: &Program, refused: &BTreeMap<String, BTreeSet<TenantId>>) {
    refused.iter().for_each(|(why, ids)| program.terminal.warn(&by_hand(program, why, ids)));
}

fn by_hand(program: &Program, why: &str, ids: &BTreeSet<TenantId>) -> String {
    format!(
        "not taken back: {}: {}; look with `{}`, and name its version with --to",
        program.terminal.names(ids),
        clean(why),
        program.command("history --tenant ID")
    )
}

/// The lines on the tenants that this rollback of a run left out and that no run has taken back since, as far as the ledger and the
/// tenant file know why.
pub(super) async fn left_behind(program: &Program, ledger: &Ledger, header: &RunHeader) -> Result<String, CliError> {
    let Some(undone) = header.kind.undoes() else { return Ok(String::new()) };
    let rollout = ledger.rollout(&undone.to_string()).await.map_err(run_error)?;
    let taken: HashSet<&TenantId> = header.tenants.iter().map(|planned| &planned.tenant).collect();
    let now: HashMap<&TenantId, &Arc<Tenant>> =
        program.registry.tenants.iter().map(|tenant| (&tenant.id, tenant)).collect();
    let mut gone = BTreeSet::new();
    let mut elsewhere: BTreeMap<String, BTreeSet<TenantId>> = BTreeMap::new();
    for (id, trail) in rollout.trails.iter().filter(|(id, trail)| trail.is_not_back() && !taken.contains(id)) {
        match now.get(id) {
            None => _ = gone.insert(id.clone()),
            Some(tenant) => {
                if let Some(why) = other_place(program, trail, tenant) {
                    elsewhere.entry(why).or_default().insert(id.clone());
                }
            }
        }
    }
    let mut lines: String = elsewhere.iter().map(|(why, ids)| by_hand(program, why, ids) + "\n").collect();
    if !gone.is_empty() {
        let (are, them) = if gone.len() == 1 { ("it is", "it") } else { ("they are", "them") };
        lines.push_str(&format!(
            "not taken back: {}: {are} not in the tenant file any more; put {them} back there, then: {}\n",
            program.terminal.names(&gone),
            program.command(&format!("rollback --run {undone}"))
        ));
    }
    Ok(lines)
}

/// The reason not to take a tenant back whose id was another database's when the run moved it.
fn other_place(program: &Program, trail: &Trail, tenant: &Tenant) -> Option<String> {
    let (then, now) = (trail.database.as_ref()?, program.place_of(tenant));
    (*then != now).then(|| format!("its database is {now} now, and the run moved {then}"))
}

/// Says that the databases of a run of an older version are not known.
fn tell_of_places<'a>(program: &Program, named: Uuid, trails: impl Iterator<Item = &'a Trail>) {
    let unknown = trails.filter(|trail| trail.database.is_none() && trail.may_have_moved()).count();
    if unknown > 0 {
        program.terminal.tell(&format!(
            "run {named} was recorded without the places of {}: one whose id was given to another database since is not told \
             from it",
            count(unknown, "database")
        ));
    }
}

/// The versions at which a rollout left its tenants: a rollback that goes on must not begin above them.
pub(super) async fn left_at(program: &Program, undone: Uuid) -> Result<HashMap<TenantId, Option<String>>, CliError> {
    let wanted = undone.to_string();
    let rollout = program.read_ledger(async |ledger| ledger.rollout(&wanted).await.map_err(run_error)).await?;
    Ok(rollout.trails.into_iter().filter_map(|(id, trail)| Some((id, trail.left_by_rollout()?))).collect())
}

/// Refuses a rollout that goes on, or that is no migration up. Returns the run to name it by: its first.
fn refuse(program: &Program, rollout: &Rollout) -> Result<Uuid, CliError> {
    let first = rollout.runs.first().expect("a rollout has its first run");
    if let Some(living) = rollout.runs.iter().find(|run| run.status() == RunStatus::Running) {
        return Err(still_running(program, first, living));
    }
    let goal = first.kind.goal();
    if goal.is_some_and(|goal| goal.direction == Direction::Up) {
        return Ok(first.run);
    }
    let (what, way) = match goal {
        Some(_) => ("a rollback", program.command("migrate")),
        None => ("no migration", program.command(&format!("runs show {}", first.run))),
    };
    if let Some(undone) = first.kind.undoes() {
        return Err(CliError::Usage(format!(
            "run {} was a rollback (`{}`) itself; nothing was touched; to go on with it: {}",
            first.run,
            clean(&first.goal),
            program.command(&format!("rollback --run {undone}"))
        )));
    }
    Err(CliError::Usage(format!(
        "run {} was {what} (`{}`), and only a migration is rolled back; nothing was touched; see: {way}",
        first.run,
        clean(&first.goal)
    )))
}

/// The tenants in the waves of the rollout with their recorded budgets, the last wave first.
fn regroup(program: &Program, selection: &mut Selection, rollout: &Rollout, taken: Vec<Arc<Tenant>>) {
    let is_flag = |(key, _, origin): &(String, String, Origin)| key == "max_failures" && *origin == Origin::Flag;
    let asked = program.settings().origins.iter().any(is_flag).then(|| program.settings().max_failures);
    let mut by_wave: IndexMap<&str, Vec<Arc<Tenant>>> =
        rollout.trails.values().map(|trail| (trail.wave.as_str(), Vec::new())).collect();
    for tenant in taken {
        let wave: &Trail = &rollout.trails[&tenant.id];
        by_wave.entry(&wave.wave).or_default().push(tenant);
    }
    let today = std::mem::take(&mut selection.waves);
    for (name, tenants) in by_wave.into_iter().rev().filter(|(_, tenants)| !tenants.is_empty()) {
        // A wave that is not in the file any more has the settings of that in which its first tenant is now.
        let same = today.iter().find(|wave| wave.name == name);
        let now = || today.iter().find(|wave| wave.tenants.iter().any(|tenant| tenant.id == tenants[0].id));
        let Some(mut wave) = same.or_else(now).cloned() else { continue };
        let recorded = rollout.budgets.get(name).and_then(|budget| budget.parse().ok());
        wave.max_failures = asked.or(recorded).unwrap_or(wave.max_failures);
        (wave.name, wave.tenants) = (name.to_owned(), tenants);
        selection.waves.push(wave);
    }
}

/// The waves in the opposite order of the tenant file, for a run that goes on with such a rollback.
pub(super) fn last_wave_first(program: &Program, selection: &mut Selection) {
    let rules = &program.registry.waves;
    let place = |name: &str| rules.iter().position(|rule| rule.name == name).unwrap_or(rules.len());
    selection.waves.sort_by_key(|wave| std::cmp::Reverse(place(&wave.name)));
}
