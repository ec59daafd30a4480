//! What reading a tenant said. Reading creates nothing and changes nothing.
//!
//! Plain data: who read it, and how, is the database door's business.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::model::fault::Fault;
use crate::model::schema::State;
use crate::model::tenant::{Engine, Tenant, TenantId};

/// What one tenant's own history says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Observation {
    /// The tenant.
    pub(crate) tenant: TenantId,
    /// Its engine.
    pub(crate) engine: Engine,
    /// Its server key.
    pub(crate) server: String,
    /// Its history against the catalog.
    #[serde(flatten)]
    pub(crate) state: State,
    /// The newest applied migration; `None` when nothing is applied or the tenant could not be read.
    pub(crate) version: Option<String>,
    /// The applied versions as the tenant has them, sorted.
    pub(crate) history: Vec<String>,
    /// Why it could not be read.
    pub(crate) error: Option<Fault>,
}

impl Observation {
    /// A tenant that could not be read.
    pub(crate) fn unreachable(tenant: &Arc<Tenant>, error: Fault) -> Self {
        Observation {
            tenant: tenant.id.clone(),
            engine: tenant.engine,
            server: tenant.server.to_string(),
            state: State::Unreachable,
            version: None,
            history: Vec::new(),
            error: Some(error),
        }
    }
}
