//! What reading a tenant said. Reading creates nothing and changes nothing.
//!
//! Plain data: who read it, and how, is the database door's business.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::fault::Fault;
use crate::schema::State;
use crate::tenant::{Engine, Tenant, TenantId};

/// What one tenant's own history says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observation {
    /// The tenant.
    pub tenant: TenantId,
    /// Its engine.
    pub engine: Engine,
    /// Its server key.
    pub server: String,
    /// Its history against the catalog.
    #[serde(flatten)]
    pub state: State,
    /// The newest applied migration; `None` when nothing is applied or the tenant could not be read.
    pub version: Option<String>,
    /// The applied versions as the tenant has them, sorted.
    pub history: Vec<String>,
    /// Why it could not be read.
    pub error: Option<Fault>,
}

impl Observation {
    /// A tenant that could not be read.
    pub fn unreachable(tenant: &Arc<Tenant>, error: Fault) -> Self {
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
