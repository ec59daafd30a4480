//! The fleet as `tenants.toml` describes it: its tenants, its waves and the sources of passwords.
//!
//! Reading it connects to no database. A mistake in the file never skips a tenant: it stops everything, reported
//! together with all other mistakes of the file.

mod bucket;
mod credentials;
mod dependencies;
mod edit;
mod file;
mod gates;
mod hold;
mod identity;
mod patterns;
mod renewal;
mod strata;
mod tenants;
mod wave_order;
mod waves;

pub(crate) use bucket::bucket;
pub(crate) use bucket::smallest_percent;
pub(crate) use edit::{EditError, NewTenant, added, ids_in, quarantined, released, removed, renamed};
pub(crate) use file::{Registry, find, load};
pub(crate) use patterns::{BadPattern, Patterns};
pub(crate) use renewal::Renewal;
pub(crate) use waves::places;
pub(crate) use waves::{REST, WaveRule};

#[cfg(test)]
mod tests;
