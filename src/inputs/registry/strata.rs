//! Strata of a fleet: the kinds of place that tenants have, of which a canary is to see each.
//!
//! Pure, and of what the file says alone: the same tenants are picked each time, whatever they have been migrated to.

use std::collections::HashMap;
use std::sync::Arc;

use super::bucket::bucket;
use crate::model::engine::Engine;
use crate::model::tenant::Tenant;

/// The kind of place of a tenant: its engine and its server key.
fn stratum(tenant: &Tenant) -> (Engine, &str) {
    (tenant.engine, &tenant.server)
}

/// Picks a tenant more for each stratum of `free` tenants that lacks one: that with the lowest bucket.
pub(super) fn complete(picked: &mut [bool], free: &[bool], tenants: &[Arc<Tenant>]) {
    let mut lowest: HashMap<(Engine, &str), (bool, u64, usize)> = HashMap::new();
    for (i, tenant) in tenants.iter().enumerate().filter(|(i, _)| free[*i]) {
        // One that is picked already comes before all others.
        let rank = (!picked[i], bucket(tenant.id.as_str()), i);
        lowest.entry(stratum(tenant)).and_modify(|least| *least = rank.min(*least)).or_insert(rank);
    }
    lowest.into_values().for_each(|(_, _, i)| picked[i] = true);
}
