//! The fleet as `tenants.toml` describes it: its tenants, its waves and where their passwords come from.
//!
//! Reading it connects to no database. A mistake in the file is never a skipped tenant: it stops everything, with all
//! other mistakes of the file beside it.

mod bucket;
mod credentials;
mod dependencies;
mod file;
mod identity;
mod patterns;
mod tenants;
mod waves;

pub(crate) use bucket::bucket;
pub(crate) use bucket::smallest_percent;
pub(crate) use file::{Registry, find, load};
pub(crate) use patterns::{BadPattern, Patterns};
pub(crate) use waves::places;
pub(crate) use waves::{REST, WaveRule};

#[cfg(test)]
mod tests;
