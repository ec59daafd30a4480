//! The result of reading a tenant. Reading creates nothing and changes nothing.
//!
//! Plain data: reading is the job of `engine`.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::model::engine::{Flavour, Variant};
use crate::model::fault::{Fault, FaultClass};
use crate::model::hold::Hold;
use crate::model::schema::{Catalog, State};
use crate::model::tenant::{Engine, Tenant, TenantId};

/// One tenant's own history, and its state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Observation {
    pub(crate) tenant: TenantId,
    pub(crate) engine: Engine,
    /// The flavour of its server, where scripts differ by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) flavour: Option<Flavour>,
    /// Its server key.
    pub(crate) server: String,
    /// Its history compared with the catalog.
    #[serde(flatten)]
    pub(crate) state: State,
    /// The newest applied migration; `None` when nothing is applied or the tenant could not be read.
    pub(crate) version: Option<String>,
    /// The applied versions as the tenant has them, sorted. Most tenants of a fleet share a few.
    pub(crate) history: Arc<[String]>,
    /// The tables that it has although nothing is applied to it; 0 where something is, where it is not known, or was not asked.
    #[serde(skip)]
    pub(crate) tables: usize,
    /// The reason why it could not be read.
    pub(crate) error: Option<Fault>,
    /// Its quarantine, and the version at which it is frozen, if it is not at the target because of that.
    #[serde(default)]
    pub(crate) hold: Hold,
    /// The source of the tenant file that it comes from, unless the file lists it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) source: Option<Arc<str>>,
}

impl Observation {
    /// The part of a script that the tenant is sent.
    pub(crate) fn variant(&self) -> Variant {
        Variant::new(self.engine, self.flavour)
    }

    /// An observation of a tenant with this history.
    pub(crate) fn new(tenant: &Tenant, catalog: &Catalog, history: Arc<[String]>, state: State) -> Self {
        Observation {
            tenant: tenant.id.clone(),
            engine: tenant.engine,
            flavour: tenant.flavour.get().copied(),
            server: tenant.server.to_string(),
            version: catalog.version_of(&history),
            state,
            history,
            tables: 0,
            error: None,
            hold: Hold::default(),
            source: tenant.source.clone(),
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
        let nothing = Observation::new(tenant, &Catalog::default(), Arc::default(), State::Unreachable);
        Observation { error: Some(error), ..nothing }
    }
}
