//! Notes on the waves of a plan: their gates, and the kinds of tenants that a stratified one has none of.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use indexmap::IndexMap;

use super::inspect::Planning;
use super::setup::Program;
use super::start::Intent;
use super::strata;
use crate::compile::MigrationSet;
use crate::model::clock::now_ms;
use crate::model::engine::Flavour;
use crate::model::observation::Observation;
use crate::model::schema::Direction;
use crate::model::tenant::{Tenant, TenantId};
use crate::report::plan::WaveNote;
use crate::report::{clean, count};

/// The notes on each wave of the selection, whose tenants were read in this order.
pub(super) fn of(planning: &Planning<'_>, observations: &[Observation]) -> Vec<WaveNote> {
    let rules = &planning.program.registry.waves;
    let is_up = planning.goal.direction == Direction::Up;
    let (mut end, now_ms) = (0, now_ms());
    let waves = planning.selection.waves.iter();
    waves
        .map(|wave| {
            end += wave.tenants.len();
            let rule = rules.iter().find(|rule| rule.name == wave.name);
            let is_stratified = rule.is_some_and(|rule| rule.members.stratified);
            let (seen, later) = observations.split_at(end);
            WaveNote {
                wave: wave.name.clone(),
                waits_for: rule.and_then(|rule| rule.depends_on.clone()).filter(|_| is_up),
                gate: wave.gate.clone().filter(|_| is_up),
                window: wave.window.as_ref().map(|window| (window.to_string(), window.opens_at(now_ms))),
                sizes: wave.tenants.iter().map(|tenant| tenant.id.clone()).zip(wave.sizes.iter().copied()).collect(),
                uncovered: if is_stratified { uncovered(seen, later, planning.flavours) } else { Vec::new() },
            }
        })
        .collect()
}

/// Tells, and notes for the run, the kinds of tenants that the stratified waves of a migration that begins have none of. Reads
/// the tenants for it, once for the whole command.
pub(super) async fn tell_uncovered(program: &Program, set: &Arc<MigrationSet>, intent: &mut Intent) {
    let Some(goal) = intent.kind.goal().filter(|goal| goal.direction == Direction::Up) else { return };
    let is_stratified =
        |name: &str| program.registry.waves.iter().any(|rule| rule.name == name && rule.members.stratified);
    // The last wave has nobody behind it to stand for. One that is resumed has the waves of its run, which told it.
    let before_others = intent.selection.waves.split_last().map_or(&[][..], |(_, before)| before);
    if intent.resumes.is_some() || before_others.iter().all(|wave| !is_stratified(&wave.name)) {
        return;
    }
    strata::read(program, set, intent).await;
    let planning = intent.planning(program, set, &goal);
    let seen = |tenant: &Arc<Tenant>| intent.seen.get(&tenant.id).cloned();
    let observations: Vec<Observation> = intent.selection.tenants().filter_map(seen).collect();
    let notes = of(&planning, &observations).into_iter().filter(|note| !note.uncovered.is_empty());
    let uncovered: Vec<(String, Vec<String>)> = notes.map(|note| (note.wave, note.uncovered)).collect();
    for (wave, kinds) in &uncovered {
        program.terminal.warn(&format!(
            "wave {} is stratified and has none of {}",
            clean(wave),
            clean(&kinds.join("; "))
        ));
    }
    intent.uncovered = uncovered;
}

/// The engines, flavours, servers and start versions of later tenants that none of those before them has.
fn uncovered(seen: &[Observation], later: &[Observation], flavours: &HashMap<TenantId, Flavour>) -> Vec<String> {
    type Kind<'a> = (&'static str, &'a dyn Fn(&Observation) -> Option<String>);
    let flavour = |o: &Observation| o.flavour.or_else(|| flavours.get(&o.tenant).copied());
    let kinds: [Kind<'_>; 4] = [
        ("engine", &|o| Some(o.engine.to_string())),
        // MariaDB and MySQL, as the server says it is.
        ("flavour", &|o| flavour(o).map(|flavour| flavour.to_string())),
        ("server", &|o| Some(o.server.clone())),
        // That of a tenant which can't be read is not known.
        ("start version", &|o| match &o.error {
            None => Some(o.version.clone().unwrap_or_else(|| "none".to_owned())),
            Some(_) => None,
        }),
    ];
    let mut lines = Vec::new();
    for (name, kind) in kinds {
        let covered: HashSet<String> = seen.iter().filter_map(kind).collect();
        let mut missing: IndexMap<String, Vec<&TenantId>> = IndexMap::new();
        for o in later {
            if let Some(value) = kind(o).filter(|value| !covered.contains(value)) {
                missing.entry(value).or_default().push(&o.tenant);
            }
        }
        let line = |(value, ids): (String, Vec<&TenantId>)| {
            format!("{name} {value} ({}, the first {})", count(ids.len(), "tenant"), ids[0])
        };
        lines.extend(missing.into_iter().map(line));
    }
    lines
}
