//! The real databases: each tenant through the driver of its engine.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;

use super::driver::driver;
use super::{Database, Session, TenantEndpoint, bulk_history, mysql, postgres};
use crate::compile::MigrationSet;
use crate::model::fault::Fault;
use crate::model::tenant::{Tenant, TenantId};
use crate::policy::Timeouts;

/// Access to the real databases.
pub(crate) struct Servers {
    migrations: Arc<MigrationSet>,
    asks_flavours: bool,
    timeouts: Timeouts,
    poolers: postgres::connect::Poolers,
    clusters: mysql::Clusters,
    kept: postgres::KeptSessions,
    settings: postgres::ServerSettings,
}

impl Servers {
    /// Access to real databases, for the migrations of one program.
    pub(crate) fn new(migrations: Arc<MigrationSet>, timeouts: Timeouts) -> Self {
        let (poolers, clusters, kept, settings) = Default::default();
        Servers { migrations, asks_flavours: false, timeouts, poolers, clusters, kept, settings }
    }

    /// The same, which asks each server for its flavour also where no script differs by it.
    pub(crate) fn asking_flavours(self) -> Self {
        Servers { asks_flavours: true, ..self }
    }
}

#[async_trait]
impl Database for Servers {
    async fn connect(&self, tenant: &Arc<Tenant>) -> Result<Box<dyn Session>, Fault> {
        self.connect_within(tenant, self.timeouts).await
    }

    async fn connect_within(&self, tenant: &Arc<Tenant>, timeouts: Timeouts) -> Result<Box<dyn Session>, Fault> {
        let (migrations, poolers, clusters) = (self.migrations.clone(), self.poolers.clone(), self.clusters.clone());
        let ((tape, now), kept, settings) = (Default::default(), self.kept.clone(), self.settings.clone());
        let (tenant, asks_flavours) = (tenant.clone(), self.asks_flavours);
        let door = TenantEndpoint {
            tenant,
            asks_flavours,
            migrations,
            timeouts,
            poolers,
            clusters,
            kept,
            settings,
            tape,
            now,
        };
        driver(door.tenant.engine).open(door).await
    }

    async fn read_together(&self, tenants: &[Arc<Tenant>]) -> HashMap<TenantId, Vec<String>> {
        self.kept.expect(tenants);
        bulk_history::read(tenants, (&self.migrations, self.asks_flavours), self.timeouts.connect).await
    }

    #[cfg(feature = "serve")]
    async fn listen(&self, tenant: &Arc<Tenant>) -> Result<Option<Box<dyn super::Changes>>, Fault> {
        match super::changes::tells(tenant.engine) {
            Some(engine) => engine.listen(tenant, self.timeouts).await.map(Some),
            None => Ok(None),
        }
    }
}
