//! The fleet as `tenants.toml` describes it: its tenants, its waves and where their passwords come from.
//!
//! Reading it connects to no database. A mistake in the file is never a skipped tenant: it stops everything, with all
//! other mistakes of the file beside it.

mod credentials;
mod dependencies;
mod file;
mod identity;
mod patterns;
mod share;
mod tenants;
mod waves;

pub use crate::config::{Mistake, Mistakes, Place};
pub use credentials::PasswordSource;
pub use file::{FILE_NAME, Registry, find, load};
pub use patterns::{BadPattern, Patterns};
pub use share::share;
pub(crate) use share::smallest_percent;
pub(crate) use waves::places;
pub use waves::{Members, REST, WaveRule};

#[cfg(test)]
mod tests;
