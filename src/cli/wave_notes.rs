//! Notes on the waves of a plan: their gates, and the kinds of tenants that a stratified one has none of.

use std::collections::HashSet;

use indexmap::IndexMap;

use super::inspect::Planning;
use crate::model::observation::Observation;
use crate::model::schema::Direction;
use crate::model::tenant::TenantId;
use crate::report::count;
use crate::report::plan::WaveNote;

/// The notes on each wave of the selection, whose tenants were read in this order.
pub(super) fn of(planning: &Planning<'_>, observations: &[Observation]) -> Vec<WaveNote> {
    let rules = &planning.program.registry.waves;
    let is_up = planning.goal.direction == Direction::Up;
    let mut end = 0;
    let waves = planning.selection.waves.iter();
    waves
        .map(|wave| {
            end += wave.tenants.len();
            let is_stratified = rules.iter().any(|rule| rule.name == wave.name && rule.members.stratified);
            let (seen, later) = observations.split_at(end);
            WaveNote {
                wave: wave.name.clone(),
                gate: wave.gate.clone().filter(|_| is_up),
                uncovered: if is_stratified { uncovered(seen, later) } else { Vec::new() },
            }
        })
        .collect()
}

/// The engines, servers and start versions of later tenants that none of those before them has.
fn uncovered(seen: &[Observation], later: &[Observation]) -> Vec<String> {
    type Kind = (&'static str, fn(&Observation) -> Option<String>);
    let kinds: [Kind; 3] = [
        ("engine", |o| Some(o.engine.to_string())),
        ("server", |o| Some(o.server.clone())),
        // That of a tenant which can't be read is not known.
        ("start version", |o| match &o.error {
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
