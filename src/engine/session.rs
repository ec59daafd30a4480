//! The interface to tenants' databases, independent of their engine.
//!
//! It decides nothing: the steps to apply, retries and outcomes are up to the caller.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;

use super::{Answers, ApplyError, Dump, HealthCheck, Inspect, Observe, Rehearsal, Rows, Settlement, Work, Writes};
use crate::model::fault::Fault;
use crate::model::schema::Unfinished;
use crate::model::tenant::{Tenant, TenantId};
use crate::model::wire::Wire;
use crate::policy::Timeouts;
use crate::sql::guard::Guard;

/// Access to tenants' databases. The real implementation is `Servers`; scheduling is tested on a scripted one.
#[async_trait]
pub(crate) trait Database: Send + Sync + 'static {
    /// Opens one connection to a tenant, with the fleet's time limits. Creates nothing.
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
    /// A tenant missing from the answer has to be read by itself. Never fails: unreadable tenants are left out.
    async fn read_together(&self, tenants: &[Arc<Tenant>]) -> HashMap<TenantId, Vec<String>>;

    /// A session that hears of changes in the database of this tenant; `None`: its engine tells nobody.
    ///
    /// # Errors
    /// A [`Fault`] of a class that says why nothing is heard.
    #[cfg(feature = "serve")]
    async fn listen(&self, _tenant: &Arc<Tenant>) -> Result<Option<Box<dyn super::Changes>>, Fault> {
        Ok(None)
    }
}

/// One connection to one tenant: the operations that change its history. Its other operations are in its supertraits.
#[async_trait]
pub(crate) trait Session: Answers + Inspect + HealthCheck + Rows + Dump + Observe + Writes {
    /// The applied versions, sorted. One read query.
    ///
    /// # Errors
    /// A [`Fault`]; a missing history table is no fault but an empty history.
    async fn history(&mut self) -> Result<Vec<String>, Fault>;

    /// Whether the last [`Session::history`] saw, at that moment, that no journal is open; false: it has to be asked for.
    fn saw_no_journal(&self) -> bool {
        false
    }

    /// The unfinished migration, if the journal has one.
    ///
    /// # Errors
    /// A [`Fault`] when the journal can't be read.
    async fn unfinished(&mut self) -> Result<Option<Unfinished>, Fault>;

    /// Applies steps in order. When it returns `Ok`, all of them were committed.
    ///
    /// # Errors
    /// [`ApplyError`]: the progress, and the state that the failed step left behind.
    async fn apply(&mut self, work: &Work) -> Result<(), ApplyError>;

    /// Everything that [`Session::apply`] would send for this work, recorded by the same code; nothing is changed, and the
    /// session is of no other use afterwards. What later steps ask is answered by the tenant as it is now.
    ///
    /// # Errors
    /// As [`Session::apply`], where that would stop before anything is sent.
    async fn wire(&mut self, _work: &Work, _rehearsal: &Rehearsal) -> Result<Wire, ApplyError> {
        Ok(Wire::default())
    }

    /// Settles an unfinished migration on an operator's word. Returns the unfinished migration.
    ///
    /// # Errors
    /// A [`Fault`] when there is nothing to settle, another run holds the tenant, or the change failed; nothing is
    /// changed then.
    async fn settle(&mut self, settlement: &Settlement) -> Result<Unfinished, Fault>;

    /// Asks a guard ahead of its step, without changing anything; `None` if it does not refuse, or can't be asked now.
    async fn ask(&mut self, guard: &Guard) -> Option<Fault>;

    /// Closes the connection; errors while closing are of no consequence.
    async fn close(self: Box<Self>);
}
