//! The run that is at work on a tenant: no two runs of one ledger are at the same tenants at once, and one that was taken for
//! dead makes way for its successor.
//!
//! It only reads. The tenants' own locks hold for runs of other ledgers, and for those that a heartbeat no longer vouches
//! for.

use std::collections::HashSet;

use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect, QueryTrait};
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

    /// Refuses to go on with a run of which a later one has taken tenants: this process was frozen for so long that it was taken
    /// for dead.
    ///
    /// # Errors
    /// [`LedgerError::Superseded`], or that the ledger can't be read.
    pub(super) async fn refuse_superseded(&self, run: Uuid) -> Result<(), LedgerError> {
        let Some(is_later) = self.is_later_than(run).await? else { return Ok(()) };
        let later =
            run::Entity::find().select_only().column(run::Column::Run).filter(is_later).into_tuple().all(&self.db);
        let later: Vec<String> = later.await.map_err(self.explain(READ))?;
        if later.is_empty() {
            return Ok(());
        }
        let own = tenant::Entity::find().select_only().column(tenant::Column::Tenant);
        let own = own.filter(tenant::Column::Run.eq(run.to_string())).into_query();
        let taken = tenant::Entity::find().filter(tenant::Column::Run.is_in(later));
        let taken = taken.filter(tenant::Column::Tenant.in_subquery(own)).one(&self.db);
        match taken.await.map_err(self.explain(READ))? {
            None => Ok(()),
            Some(taken) => Err(LedgerError::Superseded { run: run.to_string(), by: taken.run, tenant: taken.tenant }),
        }
    }
}
