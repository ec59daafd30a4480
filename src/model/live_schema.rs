//! The schemas of live tenants as they were read, each distinct one once.

use std::collections::HashMap;
use std::sync::Arc;

use crate::model::observation::Observation;
use crate::model::shape::Shape;

/// A tenant and the schema that it has.
#[derive(Debug, Clone)]
pub(crate) struct LiveSchema {
    pub(crate) seen: Observation,
    /// The product of its server and its version: `PostgreSQL 15.4`; empty where it was not read.
    pub(crate) product: String,
    /// The fingerprint of its schema with its grants; `None` where it can't be read, or is between two versions.
    pub(crate) fingerprint: Option<String>,
    /// Whether it is a schema of a database that others share.
    pub(crate) is_schema: bool,
}

/// Many tenants. Memory grows with the number of distinct schemas, and with a small record for each tenant.
#[derive(Debug, Clone, Default)]
pub(crate) struct LiveSchemas {
    /// In plan order.
    pub(crate) tenants: Vec<LiveSchema>,
    /// By fingerprint.
    pub(crate) shapes: HashMap<String, Arc<Shape>>,
}
