//! What a tenant is: an id, an engine, where its database is and how it may be grouped.
//!
//! Plain data. Nothing here opens a connection, reads a file or prints, and no secret can be displayed from here.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

pub(crate) use super::engine::Engine;

/// The id of a tenant, unique in its fleet. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct TenantId(Arc<str>);

impl TenantId {
    /// The id as text, exactly as the tenant file spells it.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for TenantId {
    fn from(id: &str) -> Self {
        TenantId(id.into())
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Where a tenant's database is. It holds secrets: `Debug` shows none of them.
#[derive(Debug, Clone)]
pub(crate) enum Address {
    /// An SQLite file, as an absolute path.
    File(std::path::PathBuf),
    /// A server database: the URL with its password filled in.
    Url(SecretString),
    /// The address could not be made (a credential file is missing, a command failed): the reason, free of secrets.
    /// Such a tenant ends as `unreachable`; its neighbours go on.
    Unusable(String),
}

/// One tenant database of the fleet.
#[derive(Debug, Clone)]
pub(crate) struct Tenant {
    /// Unique in the fleet.
    pub(crate) id: TenantId,
    /// Which driver talks to it.
    pub(crate) engine: Engine,
    /// Tenants with the same key share one concurrency cap. Default: `host:port`; for SQLite `local`.
    pub(crate) server: Arc<str>,
    /// Free labels for selection and waves.
    pub(crate) tags: BTreeMap<String, String>,
    /// PostgreSQL only: the schema that is the tenant; without it the whole database is.
    pub(crate) schema: Option<String>,
    /// Where its database is.
    pub(crate) address: Address,
    /// Where migrations connect when that differs, for a tenant whose `address` is a transaction pooler.
    pub(crate) migration_address: Option<Address>,
    /// Whether a missing SQLite file or PostgreSQL schema may be created. Never true by default.
    pub(crate) create_missing: bool,
    /// To be granted a lock here, where that differs from the rest of its wave.
    pub(crate) lock_timeout: Option<Duration>,
    /// Tenants that must have ended well, where a run has them, before this one is migrated. On the way back it is the
    /// other way round.
    pub(crate) depends_on: Vec<TenantId>,
}

impl Tenant {
    /// The address that migrations use: `migration_url` where there is one.
    pub(crate) fn address_for_migrations(&self) -> &Address {
        self.migration_address.as_ref().unwrap_or(&self.address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_of_an_address_hides_the_password() {
        let address = Address::Url(SecretString::from("postgres://u:s3cret@h/db".to_owned()));
        assert!(!format!("{address:?}").contains("s3cret"));
    }
}
