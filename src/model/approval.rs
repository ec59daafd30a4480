//! The approval of a saved plan.

use crate::model::started_by::StartedBy;

/// An approval: the plan's digest, and the person who approved it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Approval {
    /// The digest of the plan.
    pub(crate) digest: String,
    /// The name that was given.
    pub(crate) by: String,
    /// The user, host and process that recorded it.
    pub(crate) origin: StartedBy,
    /// Milliseconds since 1970-01-01 UTC.
    pub(crate) at_ms: i64,
    /// The plan as its file has it.
    pub(crate) plan: String,
}
