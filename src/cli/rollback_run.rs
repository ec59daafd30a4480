//! `rollback --run`: exactly the tenants that a run moved, each to its own version before, the last wave first.
//!
//! A run with those that it resumed and those that resumed it is one rollout, whichever of them is named.

use std::collections::{BTreeMap, BTreeSet, HashMap};
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
use crate::model::plan::{Goal, Target};
use crate::model::run_kind::RunKind;
use crate::model::run_summary::RunStatus;
use crate::model::schema::Direction;
use crate::model::tenant::{Tenant, TenantId};
use crate::model::undo::{Rollout, Trail, WayBack};
use crate::report::{clean, count};

/// The rollback of a rollout; its selection is empty where nothing is left to be taken back. Tenants that must not be touched
/// are named, and count as held back.
pub(super) async fn intent(
    program: &Program,
    set: &Arc<MigrationSet>,
    wanted: &str,
    filter: &Filter,
) -> Result<Intent, CliError> {
    let rollout = program.read_ledger(async |ledger| ledger.rollout(wanted).await.map_err(run_error)).await?;
    let named = refuse(program, &rollout)?;
    let moved: BTreeSet<TenantId> =
        rollout.trails.iter().filter(|(_, trail)| trail.may_have_moved()).map(|(id, _)| id.clone()).collect();
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
    if present.is_empty() {
        program.terminal.tell(&format!("run {named} moved no tenant of the file; nothing is to be taken back"));
        let empty =
            Selection { waves: Vec::new(), mismatches: Vec::new(), held_back: gone, unmatched_patterns: Vec::new() };
        return Ok(Intent { kind, ..Intent::migrate(goal, empty) });
    }
    let mut selection = program.filter(Filter { only: Some(present), ..filter.clone() }).await?;
    let tenants: Vec<Arc<Tenant>> = selection.tenants().cloned().collect();
    let observations = program.observe(set, &tenants).await;
    let (mut targets, mut starts, mut done) = (HashMap::new(), HashMap::new(), 0);
    let mut refused: BTreeMap<String, BTreeSet<TenantId>> = BTreeMap::new();
    for now in &observations {
        match rollout.trails[&now.tenant].way_back(set.catalog(), now) {
            WayBack::Untouched => {}
            WayBack::Done => done += 1,
            WayBack::To(target) => {
                targets.insert(now.tenant.clone(), target);
                starts.insert(now.tenant.clone(), now.version.clone());
            }
            WayBack::Refused(why) => _ = refused.entry(why).or_default().insert(now.tenant.clone()),
        }
    }
    for (why, ids) in &refused {
        program.terminal.warn(&format!(
            "not taken back: {}: {}; look with `{}`, and name its version with --to",
            program.terminal.names(ids),
            clean(why),
            program.command("history --tenant ID")
        ));
    }
    let left_out: usize = refused.values().map(BTreeSet::len).sum();
    if targets.is_empty() && left_out > 0 {
        let text = format!(
            "none of the {} that run {named} moved can be taken back; nothing was touched",
            count(left_out, "tenant")
        );
        return Err(CliError::CanNotStart(text));
    }
    if done > 0 || targets.is_empty() {
        let are = if done == 1 { "is" } else { "are" };
        program.terminal.tell(&format!("{} {are} at the version before run {named} already", count(done, "tenant")));
    }
    let taken: Vec<Arc<Tenant>> = tenants.into_iter().filter(|tenant| targets.contains_key(&tenant.id)).collect();
    regroup(program, &mut selection, &rollout, taken);
    selection.held_back += gone + left_out;
    Ok(Intent { kind, targets, starts, ..Intent::migrate(goal, selection) })
}

/// The versions at which a rollout left its tenants: a rollback that goes on must not begin above them.
pub(super) async fn left_at(program: &Program, undone: Uuid) -> Result<HashMap<TenantId, Option<String>>, CliError> {
    let wanted = undone.to_string();
    let rollout = program.read_ledger(async |ledger| ledger.rollout(&wanted).await.map_err(run_error)).await?;
    Ok(rollout.trails.into_iter().filter_map(|(id, trail)| Some((id, trail.left_at()?))).collect())
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
