//! Whether the waves that are taken back when they fail can be taken back: asked before the first tenant is touched.
//!
//! It reads scripts and what was read of the tenants; it asks no database.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use super::exit::CliError;
use super::goals::{self, Irreversible};
use super::inspect::{Planned, Planning};
use super::lint::compiled;
use crate::check::lint::{self, Finding, LOSSES, Subject};
use crate::compile::MigrationSet;
use crate::inputs::select::{Selection, Wave};
use crate::model::engine::Variant;
use crate::model::gate::GateAction;
use crate::model::observation::Observation;
use crate::model::schema::{Catalog, Direction};
use crate::model::tenant::TenantId;
use crate::report::plan::PlanRow;
use crate::report::{clean, count};

/// The reasons that are shown of each kind.
const SHOWN: usize = 10;

/// Whether a wave is taken back when it fails.
pub(super) fn is_due(wave: &Wave) -> bool {
    wave.gate.as_ref().is_some_and(|gate| gate.on_failure == GateAction::RollbackWave)
}

/// The waves of a selection that are taken back when they fail.
pub(super) fn due(selection: &Selection) -> Option<Selection> {
    let waves: Vec<Wave> = selection.waves.iter().filter(|wave| is_due(wave)).cloned().collect();
    let none = Selection { waves: Vec::new(), mismatches: Vec::new(), held_back: 0, unmatched_patterns: Vec::new() };
    (!waves.is_empty()).then_some(Selection { waves, ..none })
}

/// Refuses a run with a wave that could not be taken back as it should be, with the reasons.
pub(super) async fn refuse(planning: &Planning<'_>, planned: &Planned) -> Result<(), CliError> {
    let Planning { program, set, selection, native, .. } = planning;
    let waves: Vec<&str> = selection.waves.iter().filter(|wave| is_due(wave)).map(|wave| wave.name.as_str()).collect();
    let of_them = planned.waves.iter().filter(|(name, _)| waves.contains(&name.as_str()));
    let rows: Vec<&PlanRow> = of_them.flat_map(|(_, rows)| rows).filter(|row| !row.steps.is_empty()).collect();
    if rows.is_empty() {
        return Ok(());
    }
    let allowed = program.settings().migrations.iter().map(|(name, of)| (name.clone(), of.allow.clone())).collect();
    let mut reasons: Vec<String> = goals::irreversible(set, &rows, *native).await.iter().map(no_way_down).collect();
    reasons.extend(lost(set, &rows, allowed).await?);
    reasons.extend(stuck(set.catalog(), &rows, &planned.observations));
    if reasons.is_empty() {
        return Ok(());
    }
    let more = reasons.len().saturating_sub(SHOWN);
    let more = if more > 0 { format!("\n  and {more} more") } else { String::new() };
    reasons.truncate(SHOWN);
    let (noun, verb) = if waves.len() == 1 { ("wave", "is") } else { ("waves", "are") };
    Err(CliError::CanNotStart(format!(
        "{noun} {} {verb} taken back on a failure (on_failure = \"rollback_wave\"), and could not be as it was, so nothing was \
         touched:\n  {}{more}\nset that right, go only as far as --to allows, or give the gate on_failure = \"stop\"",
        clean(&waves.join(", ")),
        reasons.iter().map(|reason| clean(reason)).collect::<Vec<_>>().join("\n  ")
    )))
}

fn no_way_down(of: &Irreversible) -> String {
    let Irreversible { migration, variant, tenants, reason } = of;
    format!("{migration} ({variant}, {}) has no way down: {reason}", count(*tenants, "tenant"))
}

/// The migrations whose way up takes rows that no way down brings back, and those whose way down takes more than the way up
/// made.
async fn lost(
    set: &Arc<MigrationSet>,
    rows: &[&PlanRow],
    allowed: BTreeMap<String, BTreeMap<String, String>>,
) -> Result<Vec<String>, CliError> {
    let catalog = set.catalog();
    let variants: HashSet<Variant> = rows.iter().map(|row| Variant::new(row.engine, row.flavour)).collect();
    let scripts = compiled(set, Variant::ALL.into_iter().filter(|variant| variants.contains(variant))).await;
    let has = |row: &&PlanRow, name: &str| row.steps.iter().any(|step| step == name);
    let chosen = catalog.migrations.iter().map(|name| rows.iter().any(|row| has(row, name))).collect();
    // A table that is new on all of them has no rows.
    let is_new = catalog.migrations.iter().map(|name| rows.iter().all(|row| has(row, name))).collect();
    let subject = Subject { scripts, chosen, is_new, is_whole_fleet: false, allowed };
    // All cores are busy for a moment; the tasks of this runtime must not wait for that.
    let work = tokio::task::spawn_blocking(move || lint::lint(&subject));
    let linted = work.await.map_err(|e| CliError::CanNotStart(format!("linting ended unexpectedly: {e}")))?;
    let is_loss = |finding: &&Finding| LOSSES.contains(&finding.rule) && finding.suppressed.is_none();
    let line = |finding: &Finding| {
        let way = if finding.place.direction == Direction::Up { "its way up" } else { "its way down" };
        format!("{} loses rows: {way} {} ({})", finding.place.migration, finding.what, finding.rule)
    };
    Ok(linted.findings.iter().filter(is_loss).map(line).collect())
}

/// The tenants that `rollback --run` refuses after such steps.
fn stuck(catalog: &Catalog, rows: &[&PlanRow], observations: &[Observation]) -> Vec<String> {
    let seen: HashMap<&TenantId, &Observation> = observations.iter().map(|seen| (&seen.tenant, seen)).collect();
    let why = |row: &&PlanRow| {
        let places = row.steps.iter().filter_map(|name| catalog.position(name));
        let Some(lowest) = places.filter(|place| !catalog.is_repeatable(*place)).min() else {
            return Some("has only repeatable scripts to run, and their former texts are not kept".to_owned());
        };
        let applied = catalog.applied(&seen.get(&row.tenant)?.history);
        let above = applied.into_iter().filter(|place| *place > lowest && !catalog.is_repeatable(*place)).min()?;
        let (above, lowest) = (&catalog.migrations[above], &catalog.migrations[lowest]);
        Some(format!("has {above} already, which comes after {lowest} and would go with it"))
    };
    rows.iter().filter_map(|row| Some(format!("tenant {} {}", row.tenant, why(row)?))).collect()
}
