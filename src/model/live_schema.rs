//! The schemas of live tenants as they were read, each distinct one once.

use std::collections::HashMap;
use std::sync::Arc;

use crate::model::engine::Variant;
use crate::model::fault::Fault;
use crate::model::schema::State;
use crate::model::shape::Shape;
use crate::model::tenant::TenantId;

/// A tenant. Everything else about it is shared with those that are alike.
#[derive(Debug, Clone)]
pub(crate) struct LiveTenant {
    pub(crate) id: TenantId,
    /// The name of its schema or database, where a role has it in its own name.
    pub(crate) namespace: Option<Box<str>>,
    /// Its place in [`LiveSchemas::schemas`].
    pub(crate) schema: usize,
}

/// The history and the schema that a tenant has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LiveSchema {
    pub(crate) variant: Variant,
    pub(crate) state: State,
    /// The newest applied migration.
    pub(crate) version: Option<String>,
    /// The applied versions, sorted.
    pub(crate) history: Arc<[String]>,
    /// The reason why it could not be read.
    pub(crate) error: Option<Fault>,
    /// The product of its server and its version: `PostgreSQL 15.4`; empty where it was not read.
    pub(crate) product: String,
    /// The fingerprint of its schema with its grants and defaults; `None` where it can't be read, or is between two versions.
    pub(crate) fingerprint: Option<String>,
    /// Whether it is a schema of a database that others share.
    pub(crate) is_schema: bool,
}

/// Many tenants. Memory grows with the number of distinct schemas, and with an id for each tenant.
#[derive(Debug, Clone, Default)]
pub(crate) struct LiveSchemas {
    /// In plan order.
    pub(crate) tenants: Vec<LiveTenant>,
    /// Each once.
    pub(crate) schemas: Vec<LiveSchema>,
    /// By fingerprint.
    pub(crate) shapes: HashMap<String, Arc<Shape>>,
}

impl LiveSchemas {
    /// The schema of the tenant at this place.
    pub(crate) fn of(&self, tenant: usize) -> &LiveSchema {
        &self.schemas[self.tenants[tenant].schema]
    }
}
