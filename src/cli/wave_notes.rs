//! Notes on the waves of a plan: their gates, and the kinds of tenants that a stratified one has none of.

use std::collections::{HashMap, HashSet};

use indexmap::IndexMap;

use super::inspect::Planning;
use crate::model::engine::Flavour;
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
            let rule = rules.iter().find(|rule| rule.name == wave.name);
            let is_stratified = rule.is_some_and(|rule| rule.members.stratified);
            let (seen, later) = observations.split_at(end);
            WaveNote {
                wave: wave.name.clone(),
                waits_for: rule.and_then(|rule| rule.depends_on.clone()).filter(|_| is_up),
                gate: wave.gate.clone().filter(|_| is_up),
                sizes: wave.tenants.iter().map(|tenant| tenant.id.clone()).zip(wave.sizes.iter().copied()).collect(),
                uncovered: if is_stratified { uncovered(seen, later, planning.flavours) } else { Vec::new() },
            }
        })
        .collect()
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
