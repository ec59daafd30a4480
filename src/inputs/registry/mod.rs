//! The fleet as `tenants.toml` describes it: its tenants, the sources of others, its waves and where passwords are.
//!
//! Reading it connects to no database. A mistake in the file never skips a tenant: it stops everything, reported
//! together with all other mistakes of the file.

mod bucket;
mod credentials;
mod dashboards;
mod dependencies;
mod discovered;
mod edit;
mod file;
mod gates;
mod hold;
mod identity;
mod patterns;
mod renewal;
mod servers;
mod sources;
mod strata;
mod tenants;
mod wave_order;
mod waves;

pub(crate) use bucket::bucket;
pub(crate) use bucket::smallest_percent;
pub(crate) use dashboards::Dashboard;
pub(crate) use discovered::{Discovered, Row};
pub(crate) use edit::{EditError, NewTenant, added, ids_in, quarantined, released, removed, renamed};
pub(crate) use file::{Registry, find, load};
pub(crate) use patterns::{BadPattern, Patterns};
pub(crate) use renewal::Renewal;
pub(crate) use servers::{ServerRule, rule_of as rule_of_server};
pub(crate) use sources::{ListForm, Secrets, Source, SourceDatabase, SourceKind};
pub(crate) use wave_order::WaveOrder;
pub(crate) use waves::{REST, WaveRule};
pub(crate) use waves::{places, waits_for};

#[cfg(test)]
mod tests;
