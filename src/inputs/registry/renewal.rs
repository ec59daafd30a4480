//! Access to tenants whose password may change while a run goes on: tokens of cloud databases live for minutes.
//!
//! It asks for passwords and opens no connection itself.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;

use super::credentials::Passwords;
#[cfg(feature = "serve")]
use crate::engine::Changes;
use crate::engine::{Database, Session};
use crate::model::fault::{Fault, FaultClass};
use crate::model::tenant::{Tenant, TenantId};
use crate::policy::Timeouts;

/// Databases behind passwords that are asked for again.
pub(crate) struct Renewal {
    pub(crate) database: Arc<dyn Database>,
    pub(crate) passwords: Arc<Passwords>,
    /// The fleet's time limits.
    pub(crate) timeouts: Timeouts,
}

#[async_trait]
impl Database for Renewal {
    async fn connect(&self, tenant: &Arc<Tenant>) -> Result<Box<dyn Session>, Fault> {
        self.connect_within(tenant, self.timeouts).await
    }

    /// A refused login is tried once more with the password that the source has by then. Nothing was touched before it.
    async fn connect_within(&self, tenant: &Arc<Tenant>, limits: Timeouts) -> Result<Box<dyn Session>, Fault> {
        let tenant = self.passwords.current(tenant).await;
        let refused = match self.database.connect_within(&tenant, limits).await {
            Err(fault) if fault.class == FaultClass::Authentication => fault,
            other => return other,
        };
        match self.passwords.after_refusal(&tenant).await {
            Some(tenant) => self.database.connect_within(&tenant, limits).await,
            None => Err(refused),
        }
    }

    async fn read_together(&self, tenants: &[Arc<Tenant>]) -> HashMap<TenantId, Vec<String>> {
        let current = futures_util::future::join_all(tenants.iter().map(|tenant| self.passwords.current(tenant)));
        self.database.read_together(&current.await).await
    }

    #[cfg(feature = "serve")]
    async fn listen(&self, tenant: &Arc<Tenant>) -> Result<Option<Box<dyn Changes>>, Fault> {
        let tenant = self.passwords.current(tenant).await;
        let refused = match self.database.listen(&tenant).await {
            Err(fault) if fault.class == FaultClass::Authentication => fault,
            other => return other,
        };
        match self.passwords.after_refusal(&tenant).await {
            Some(tenant) => self.database.listen(&tenant).await,
            None => Err(refused),
        }
    }
}
