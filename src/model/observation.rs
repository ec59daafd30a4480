//! The result of reading a tenant. Reading creates nothing and changes nothing.
//!
//! Plain data: reading is the job of `engine`.

use serde::{Deserialize, Serialize};

use crate::model::fault::{Fault, FaultClass};
use crate::model::hold::Hold;
use crate::model::schema::{Catalog, State};
use crate::model::tenant::{Engine, Tenant, TenantId};

/// One tenant's own history, and its state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Observation {
    pub(crate) tenant: TenantId,
    pub(crate) engine: Engine,
    /// Its server key.
    pub(crate) server: String,
    /// Its history compared with the catalog.
    #[serde(flatten)]
    pub(crate) state: State,
    /// The newest applied migration; `None` when nothing is applied or the tenant could not be read.
    pub(crate) version: Option<String>,
    /// The applied versions as the tenant has them, sorted.
    pub(crate) history: Vec<String>,
    /// The reason why it could not be read.
    pub(crate) error: Option<Fault>,
    /// Its quarantine, and the version at which it is frozen, if it is not at the target because of that.
    #[serde(default)]
    pub(crate) hold: Hold,
}

impl Observation {
    /// An observation of a tenant with this history.
    pub(crate) fn new(tenant: &Tenant, catalog: &Catalog, history: Vec<String>, state: State) -> Self {
        Observation {
            tenant: tenant.id.clone(),
            engine: tenant.engine,
            server: tenant.server.to_string(),
            version: catalog.version_of(&history),
            state,
            history,
            error: None,
            hold: Hold::default(),
        }
    }

    /// Whether nothing is applied to it although a run left it at a version; `error` says so.
    pub(crate) fn is_held(&self) -> bool {
        self.hold != Hold::default()
    }

    /// Whether nothing is applied although a run left it at a version.
    pub(crate) fn is_lost(&self) -> bool {
        self.state == State::Empty && self.error.as_ref().is_some_and(|error| error.class == FaultClass::DatabaseLost)
    }

    /// An observation of a tenant that could not be read.
    pub(crate) fn unreachable(tenant: &Tenant, error: Fault) -> Self {
        let nothing = Observation::new(tenant, &Catalog::default(), Vec::new(), State::Unreachable);
        Observation { error: Some(error), ..nothing }
    }
}
