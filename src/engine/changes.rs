//! Hearing of changes of tenants' data, where the engine tells of them.
//!
//! It decides nothing: what a change is good for is up to the caller. Dying in it: the server closes the session and forgets
//! that it listened; what is told meanwhile is told to nobody.

use async_trait::async_trait;

use super::postgres;
use crate::model::engine::{Engine, EngineMap};
use crate::model::fault::Fault;
use crate::model::tenant::Tenant;
use crate::policy::Timeouts;

/// The channel of PostgreSQL on which changes are told; the payload is the tenant's schema, or empty.
pub(crate) const CHANNEL: &str = "fleet_changes";

/// A session that hears of the changes in one database.
#[async_trait]
pub(crate) trait Changes: Send {
    /// The next change: the schema that it is of; empty: not told.
    ///
    /// # Errors
    /// A [`Fault`]: the session is lost, and changes may be told from here on that it does not hear.
    async fn next(&mut self) -> Result<String, Fault>;
}

/// An engine that tells of changes.
#[async_trait]
pub(in crate::engine) trait Tells: Sync {
    /// A session that listens in the database of this tenant. Changes nothing.
    async fn listen(&self, tenant: &Tenant, timeouts: Timeouts) -> Result<Box<dyn Changes>, Fault>;
}

static TELLS: EngineMap<Option<&dyn Tells>> =
    EngineMap { sqlite: None, postgres: Some(&postgres::changes::Notifications), mysql: None };

/// Whether this engine can tell of changes.
pub(crate) fn tells_of_changes(engine: Engine) -> bool {
    TELLS[engine].is_some()
}

/// The means of an engine to tell of changes.
pub(in crate::engine) fn tells(engine: Engine) -> Option<&'static dyn Tells> {
    TELLS[engine]
}
