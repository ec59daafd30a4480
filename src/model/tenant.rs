//! A tenant: its id, engine, address and tags.
//!
//! Plain data. Nothing here opens a connection, reads a file or prints, and no secret can be displayed from here.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroUsize;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

pub(crate) use super::engine::Engine;
use super::engine::{Flavour, Variant};
use super::hold::Hold;
use super::transaction::TransactionScope;

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

/// The address of a tenant's database. It holds secrets: `Debug` shows none of them.
#[derive(Debug, Clone)]
pub(crate) enum Address {
    /// An SQLite file, as an absolute path.
    File(std::path::PathBuf),
    /// A server database: the URL with its password filled in.
    Url(SecretString),
    /// The address could not be resolved (a credential file is missing, a command failed): the reason, without secrets.
    /// Such a tenant ends as `unreachable`; the others go on.
    Unusable(String),
}

/// One tenant database of the fleet.
#[derive(Debug, Clone)]
pub(crate) struct Tenant {
    /// Unique in the fleet.
    pub(crate) id: TenantId,
    pub(crate) engine: Engine,
    /// The flavour of its server, known from the first connection on, and asked for only where scripts differ by it.
    pub(crate) flavour: Arc<OnceLock<Flavour>>,
    /// Tenants with the same key share one concurrency cap. Default: `host:port`; for SQLite `local`.
    pub(crate) server: Arc<str>,
    /// The cap of its server on tenants in flight, where it has one of its own.
    pub(crate) per_server: Option<NonZeroUsize>,
    /// Free labels for selection and waves.
    pub(crate) tags: BTreeMap<String, String>,
    /// PostgreSQL only: the tenant's schema; without it the tenant is the whole database.
    pub(crate) schema: Option<String>,
    /// Schemas of the database that a tenant with a schema shares with others: they stand behind its own in the search
    /// path, and scripts may write in them.
    pub(crate) shared_schemas: Vec<String>,
    pub(crate) address: Address,
    /// The address for migrations where it differs, for a tenant whose `address` is a transaction pooler.
    pub(crate) migration_address: Option<Address>,
    /// Whether a missing SQLite file or PostgreSQL schema may be created. Never true by default.
    pub(crate) create_missing: bool,
    /// Whether all runs and all writers of this tenant use one node, where its server is a cluster of nodes that all take
    /// writes. Never true by default.
    pub(crate) single_writer: bool,
    /// Its own lock timeout, where it differs from the rest of its wave.
    pub(crate) lock_timeout: Option<Duration>,
    /// The extent of its transactions, where that differs from the rest of its wave.
    pub(crate) transaction: Option<TransactionScope>,
    /// Whether its migrations are sent in their online form: its own setting, and once it is selected that of its wave or of
    /// the fleet.
    pub(crate) online: Option<bool>,
    /// Tenants that must have ended well, if selected in the run, before this one is migrated. On a rollback the order
    /// is reversed.
    pub(crate) depends_on: Vec<TenantId>,
    /// Whether it is in quarantine, or frozen at a version; over the fleet's own.
    pub(crate) hold: Hold,
    /// The source of the tenant file that it comes from; `None`: the file itself.
    pub(crate) source: Option<Arc<str>>,
}

impl Tenant {
    /// A database that is no tenant of the fleet and is reached like one.
    pub(crate) fn apart(id: &str, engine: Engine, address: Address) -> Self {
        Tenant {
            id: TenantId::from(id),
            engine,
            flavour: Arc::default(),
            server: "".into(),
            per_server: None,
            tags: BTreeMap::new(),
            schema: None,
            shared_schemas: Vec::new(),
            address,
            migration_address: None,
            create_missing: false,
            single_writer: false,
            lock_timeout: None,
            transaction: None,
            online: None,
            depends_on: Vec::new(),
            hold: Hold::default(),
            source: None,
        }
    }

    /// The part of a script that it is sent. Without a connection so far, the one that its engine has for all servers.
    pub(crate) fn variant(&self) -> Variant {
        Variant::new(self.engine, self.flavour.get().copied())
    }

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
