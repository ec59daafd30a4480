//! The waves of a rollout that goes on: those that its tenants had in it, with the budgets and gates of the tenant file as it is now.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::Former;
use crate::cli::exit::CliError;
use crate::cli::next;
use crate::cli::rollback_run;
use crate::cli::setup::Program;
use crate::inputs::registry::{REST, places};
use crate::inputs::select::{self, CANARY, Filter, Selection};
use crate::model::event::{PlannedTenant, RunHeader};
use crate::model::schema::Direction;
use crate::model::tenant::{Tenant, TenantId};
use crate::report::{clean, count};

/// All tenants of the run and of those that it resumed.
pub(super) fn of_run(program: &Program, former: &Former) -> Result<Selection, CliError> {
    let (only, recorded, of_canary) = (Some(former.tenants.clone()), former.waves.clone(), former.of_canary);
    let filter = Filter { only, recorded, of_canary, ..Filter::default() };
    let mut waves = select::select(&program.registry, &filter)?;
    if former.run.header.kind.undoes().is_some() {
        rollback_run::last_wave_first(program, &mut waves);
    }
    Ok(waves)
}

/// The waves of a migration that the tenant file does not have any more, in words: whether their gates let the others on, and how
/// many failures they may have, is not known. `None`: it has all.
pub(super) fn gone(program: &Program, former: &Former) -> Option<String> {
    if !goes_up(&former.run.header) {
        return None;
    }
    let is_there = |name: &str| {
        let is_flag = former.of_canary && name == CANARY;
        is_flag || name == REST || program.registry.waves.iter().any(|rule| rule.name == name)
    };
    let names: BTreeSet<String> =
        former.waves.values().filter(|name| !is_there(name)).map(|name| clean(name)).collect();
    let (waves, are) = if names.len() == 1 { ("wave", "is") } else { ("waves", "are") };
    let names: Vec<String> = names.into_iter().collect();
    let file = program.shown(&program.registry.path).display().to_string();
    (!names.is_empty()).then(|| format!("its {waves} {} {are} not in {file} any more", names.join(", ")))
}

pub(super) fn goes_up(header: &RunHeader) -> bool {
    header.kind.goal().is_some_and(|goal| goal.direction == Direction::Up)
}

/// Refuses to go on with a migration of which a wave is gone.
pub(super) fn refuse_gone(program: &Program, former: &Former) -> Result<(), CliError> {
    let Some(gone) = gone(program, former) else { return Ok(()) };
    let header = &former.run.header;
    Err(CliError::Usage(format!(
        "run {} is not gone on with: {gone}, and what gate and budget hold for their tenants is not known; nothing was touched\nput \
         them back under these names, then: {}\nor, from the first wave on: {}",
        header.run,
        program.command(&format!("runs resume {}", header.run)),
        program.command(&next::from_the_beginning(header))
    )))
}

/// Says which tenants keep the wave of their run where the tenant file has them in another one now, and which gates are no more.
pub(super) fn tell_kept(program: &Program, former: &Former, left: &BTreeSet<TenantId>) {
    let registry = &program.registry;
    let now = registry.tenants.iter().zip(places(&registry.waves, &registry.tenants));
    let name_of = |place: usize| registry.waves.get(place).map_or(REST, |rule| rule.name.as_str());
    let is_known = |name: &str| name == REST || registry.waves.iter().any(|rule| rule.name == name);
    // The tenants of a stratified wave follow from what they are.
    let is_stratified = registry.waves.iter().any(|rule| rule.members.stratified || rule.members.versions);
    let mut kept: BTreeMap<&str, BTreeSet<TenantId>> = BTreeMap::new();
    for (tenant, place) in now.filter(|_| !is_stratified) {
        if let Some(then) = former.waves.get(&tenant.id).filter(|then| is_known(then) && **then != name_of(place)) {
            kept.entry(then).or_default().insert(tenant.id.clone());
        }
    }
    for (wave, ids) in kept {
        program.terminal.warn(&format!(
            "{} in wave {}, as run {} had them, although the tenant file has them in others now: {}",
            count(ids.len(), "tenant"),
            clean(wave),
            former.run.header.run,
            program.terminal.names(&ids)
        ));
    }
    let header = &former.run.header;
    let records = former.run.records.iter();
    let then: HashMap<&TenantId, &PlannedTenant> = records.map(|(planned, _)| (&planned.tenant, planned)).collect();
    let is_elsewhere = |tenant: &&Arc<Tenant>| {
        let then = then.get(&tenant.id).and_then(|planned| planned.database.as_ref());
        then.is_some_and(|then| *then != program.place_of(tenant))
    };
    let elsewhere: BTreeSet<TenantId> =
        registry.tenants.iter().filter(is_elsewhere).map(|tenant| tenant.id.clone()).collect();
    if goes_up(header) && header.kind.plan().is_none() && !elsewhere.is_empty() {
        program.terminal.warn(&format!(
            "{} by another place than run {} had: {}; those that are left are taken where they are now, and of the others the \
             former databases have let it on",
            count(elsewhere.len(), "database"),
            header.run,
            program.terminal.names(&elsewhere)
        ));
    }
    let Ok(waves) = of_run(program, former) else { return };
    let is_left = |id: &TenantId| left.contains(id);
    for wave in waves.waves.iter().filter(|wave| wave.gate.is_none() && !wave.tenants.iter().any(|t| is_left(&t.id))) {
        if let Some(last) = former.gates.get(&wave.name).filter(|last| !last.is_passed()) {
            program.terminal.warn(&format!(
                "the tenant file has no gate behind wave {} any more, so it holds nobody back: {}",
                clean(&wave.name),
                clean(&last.to_string())
            ));
        }
    }
}
