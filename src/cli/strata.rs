//! Strata of which the tenant file says nothing: adds to a wave a tenant of each flavour of an engine, and with `stratified =
//! "versions"` of each start version on each of these, that it, and those before it, have none of.
//!
//! The tenants are read for it, once for the whole command.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use super::setup::Program;
use super::start::Intent;
use crate::compile::MigrationSet;
use crate::engine::place;
use crate::inputs::registry::bucket;
use crate::inputs::select::{Selection, Wave};
use crate::model::engine::Flavour;
use crate::model::schema::Direction;
use crate::model::tenant::{Tenant, TenantId};

/// The kind of a tenant: engine, flavour and version.
type Kind = (&'static str, Option<Flavour>, Option<String>);

/// Completes the waves of a migration that begins. One that is resumed has the waves of its run.
pub(super) async fn complete(program: &Program, set: &Arc<MigrationSet>, intent: &mut Intent) {
    let is_up = intent.kind.goal().is_some_and(|goal| goal.direction == Direction::Up);
    let mixes_flavours = mixes_flavours(&intent.selection);
    // By the name of the wave, whether start versions are among its strata.
    let rules = program.registry.waves.iter().map(|rule| (rule.name.clone(), &rule.members));
    let wanted: HashMap<String, bool> = rules
        .filter(|(_, members)| members.versions || (members.stratified && mixes_flavours))
        .map(|(name, members)| (name, members.versions))
        .collect();
    if !is_up || intent.resumes.is_some() || wanted.is_empty() || intent.selection.waves.len() < 2 {
        return;
    }
    read(program, set, intent).await;
    let (seen, flavours) = (&intent.seen, &intent.flavours);
    // A tenant that can't be read, has lost its database, or whose server does not say what it is, is of no kind.
    let kind = |tenant: &Arc<Tenant>, versions: bool| -> Option<Kind> {
        let seen = seen.get(&tenant.id).filter(|seen| seen.error.is_none())?;
        let flavour = flavours.get(&tenant.id).copied();
        if flavour.is_none() && seen.engine.capabilities().flavours {
            return None;
        }
        Some((seen.engine.name(), flavour, seen.version.clone().filter(|_| versions)))
    };
    let waves = &mut intent.selection.waves;
    for place in 0..waves.len() {
        let Some(&versions) = wanted.get(&waves[place].name) else { continue };
        let kind = |tenant: &Arc<Tenant>| kind(tenant, versions);
        let covered: HashSet<Kind> = waves[..=place].iter().flat_map(|wave| &wave.tenants).filter_map(kind).collect();
        let mut missing: BTreeMap<Kind, (u64, TenantId)> = BTreeMap::new();
        for tenant in waves[place + 1..].iter().flat_map(|wave| &wave.tenants) {
            // One that waits for others has to stay behind them.
            let may_move = tenant.depends_on.is_empty() && tenant.hold.quarantine.is_none();
            if let Some(kind) = kind(tenant).filter(|kind| may_move && !covered.contains(kind)) {
                let rank = (bucket(tenant.id.as_str()), tenant.id.clone());
                missing.entry(kind).and_modify(|least| *least = rank.clone().min(least.clone())).or_insert(rank);
            }
        }
        let picked: HashSet<TenantId> = missing.into_values().map(|(_, id)| id).collect();
        let moved = take(&mut waves[place + 1..], &picked);
        waves[place].tenants.extend(moved);
    }
    waves.retain(|wave| !wave.tenants.is_empty());
}

/// Reads the tenants of a run with the flavours of their servers, unless that was done.
pub(super) async fn read(program: &Program, set: &Arc<MigrationSet>, intent: &mut Intent) {
    let tenants: Vec<Arc<Tenant>> = intent.selection.tenants().cloned().collect();
    if !tenants.iter().all(|tenant| intent.seen.contains_key(&tenant.id)) {
        for (seen, flavour) in program.observe_flavours(set, &tenants).await {
            intent.flavours.extend(flavour.map(|flavour| (seen.tenant.clone(), flavour)));
            intent.seen.insert(seen.tenant.clone(), seen);
        }
    }
}

/// Whether a server key stands for several servers of an engine with flavours, so that strata by what the file says may
/// have one flavour for both.
fn mixes_flavours(selection: &Selection) -> bool {
    let mut places: HashMap<&str, String> = HashMap::new();
    let mut tenants = selection.tenants().filter(|tenant| tenant.engine.capabilities().flavours);
    tenants.any(|tenant| {
        let here = place(tenant).0;
        *places.entry(&tenant.server).or_insert_with(|| here.clone()) != here
    })
}

/// Takes tenants out of waves, in their order.
fn take(waves: &mut [Wave], wanted: &HashSet<TenantId>) -> Vec<Arc<Tenant>> {
    let mut taken = Vec::new();
    for wave in waves {
        let (of_it, left) = wave.tenants.drain(..).partition(|tenant: &Arc<Tenant>| wanted.contains(&tenant.id));
        taken.extend::<Vec<_>>(of_it);
        wave.tenants = left;
    }
    taken
}
