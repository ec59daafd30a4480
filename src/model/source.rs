//! The tenants that a source of the tenant file gave, as a run noted them.

use std::collections::BTreeSet;
use std::sync::Arc;

use uuid::Uuid;

use crate::model::tenant::TenantId;

/// The answer of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SourceNote {
    pub(crate) source: Arc<str>,
    /// The run that noted it; `None`: a person accepted it.
    pub(crate) run: Option<Uuid>,
    /// Milliseconds since 1970-01-01 UTC.
    pub(crate) at_ms: i64,
    pub(crate) tenants: BTreeSet<TenantId>,
}
