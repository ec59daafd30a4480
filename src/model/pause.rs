//! A request to pause a run that goes on.

use serde::{Deserialize, Serialize};

use crate::model::started_by::StartedBy;

/// The request: nothing new is started, and what is in flight comes to its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pause {
    /// The name that was given, or else the user.
    pub(crate) by: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
    /// Milliseconds since 1970-01-01 UTC.
    pub(crate) asked_at_ms: i64,
    /// The user, host and process that asked.
    pub(crate) origin: StartedBy,
}

impl Pause {
    /// `the run was paused by jane: the incident comes first`.
    pub(crate) fn in_short(&self) -> String {
        let reason = self.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
        format!("the run was paused by {}{reason}", self.by)
    }
}
