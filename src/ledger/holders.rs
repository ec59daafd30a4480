//! The run that is at work on a tenant: no two runs of one ledger are at the same tenants at once.
//!
//! It only reads. The tenants' own locks hold for runs of other ledgers, and for those that a heartbeat no longer vouches
//! for.

use std::collections::HashSet;

use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect};
use uuid::Uuid;

use super::entity::{run, tenant};
use super::error::LedgerError;
use super::open::{Ledger, Store};
use super::reader::{READ, newest_first};
use crate::model::run_summary::RunStatus;
use crate::model::tenant::TenantId;

impl Ledger {
    /// Refuses tenants that a living run has.
    ///
    /// # Errors
    /// [`LedgerError::Held`], or that the ledger can't be read.
    pub(crate) async fn refuse_held(&self, tenants: &HashSet<&TenantId>) -> Result<(), LedgerError> {
        // Runs of a ledger of version 1 have no heartbeat.
        if self.store.version < 2 {
            return Ok(());
        }
        self.store.refuse_held(&self.store.db, tenants, None).await
    }
}

impl Store {
    /// As [`Ledger::refuse_held`], within a transaction; `own` is no other run.
    pub(super) async fn refuse_held(
        &self,
        db: &impl ConnectionTrait,
        tenants: &HashSet<&TenantId>,
        own: Option<Uuid>,
    ) -> Result<(), LedgerError> {
        let unfinished = newest_first().filter(run::Column::FinishedAtMs.is_null());
        for holder in self.summaries_over(db, unfinished).await? {
            if holder.status() != RunStatus::Running || Some(holder.run) == own {
                continue;
            }
            let rows = tenant::Entity::find().select_only().column(tenant::Column::Tenant);
            let rows = rows.filter(tenant::Column::Run.eq(holder.run.to_string())).into_tuple().all(db);
            let names: Vec<String> = rows.await.map_err(self.explain(READ))?;
            let both: Vec<String> =
                names.into_iter().filter(|name| tenants.contains(&TenantId::from(name.as_str()))).collect();
            if !both.is_empty() {
                return Err(LedgerError::Held { holder: Box::new(holder), tenants: both });
            }
        }
        Ok(())
    }
}
