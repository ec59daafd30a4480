//! The seam: connections to tenants' databases, whichever engine they are of.
//!
//! It decides nothing: what is to be applied, whether to try again and what an outcome is are for those who call it.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;

use super::{ApplyError, Dump, HealthCheck, Inspect, Observe, Rows, Settlement, Work};
use crate::model::fault::Fault;
use crate::model::schema::Unfinished;
use crate::model::tenant::{Tenant, TenantId};
use crate::policy::Timeouts;

/// A way to tenants' databases. The real one is `Servers`; scheduling is tested on a scripted one.
#[async_trait]
pub(crate) trait Database: Send + Sync + 'static {
    /// Opens one connection to a tenant, with the fleet's time limits. Nothing is created.
    ///
    /// # Errors
    /// A [`Fault`] of a class that says why the tenant can't be reached; the tenant was not touched.
    async fn connect(&self, tenant: &Arc<Tenant>) -> Result<Box<dyn Session>, Fault>;

    /// As [`Database::connect`], with the time limits of this tenant in this attempt.
    ///
    /// # Errors
    /// As [`Database::connect`].
    async fn connect_within(&self, tenant: &Arc<Tenant>, limits: Timeouts) -> Result<Box<dyn Session>, Fault>;

    /// Reads the histories of tenants that one connection can see together, in one query for many.
    ///
    /// A tenant that is missing from the answer has to be read by itself. Never fails: what can't be read is left out.
    async fn read_together(&self, tenants: &[Arc<Tenant>]) -> HashMap<TenantId, Vec<String>>;
}

/// One connection to one tenant: what changes its history. What else a session can do stands in the traits it is made of.
#[async_trait]
pub(crate) trait Session: Inspect + HealthCheck + Rows + Dump + Observe {
    /// The applied versions, sorted. One read query.
    ///
    /// # Errors
    /// A [`Fault`]; a missing history table is no fault but an empty history.
    async fn history(&mut self) -> Result<Vec<String>, Fault>;

    /// What a journal says of a migration that was begun and not finished.
    ///
    /// # Errors
    /// A [`Fault`] when the journal can't be read.
    async fn unfinished(&mut self) -> Result<Option<Unfinished>, Fault>;

    /// Applies steps in order. When it returns `Ok`, all of them were committed.
    ///
    /// # Errors
    /// [`ApplyError`]: how far it came, and what the failed step left behind.
    async fn apply(&mut self, work: &Work) -> Result<(), ApplyError>;

    /// Settles a migration that was begun and not finished, as a person says. Returns what it was.
    ///
    /// # Errors
    /// A [`Fault`] when there is nothing to settle, another run holds the tenant, or the change failed: nothing changed.
    async fn settle(&mut self, settlement: &Settlement) -> Result<Unfinished, Fault>;

    /// Closes the connection; errors while closing change nothing for anyone.
    async fn close(self: Box<Self>);
}
