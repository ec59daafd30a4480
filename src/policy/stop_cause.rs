//! The reason why a run started nothing more, with its particulars.

use std::fmt;

use super::UsedUp;
use crate::model::gate::{GateAction, GateEnd, GateRecord};
use crate::model::outcome::NotStarted;

/// The reason why a run started nothing more, as far as it has particulars.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum StopCause {
    /// A failure budget was used up.
    Budget(UsedUp),
    /// A gate did not let the run on.
    Gate(GateRecord),
}

impl StopCause {
    /// Whether it is the particulars of this reason.
    pub(crate) fn explains(&self, reason: NotStarted) -> bool {
        match self {
            StopCause::Budget(_) => reason.is_budget(),
            StopCause::Gate(gate) => gate.reason() == Some(reason),
        }
    }

    /// For tenants that were not started: `the gate of wave canary failed`.
    pub(crate) fn in_short(&self) -> String {
        match self {
            StopCause::Budget(used_up) => format!("the failure budget of {} was used up", used_up.of()),
            StopCause::Gate(gate) => gate.in_short(),
        }
    }

    /// When the run may go on: `once wave canary has no failure`.
    pub(crate) fn condition(&self) -> String {
        match self {
            StopCause::Budget(used_up) => used_up.condition(),
            StopCause::Gate(gate) if gate.then == GateAction::Pause => "when it is to go on".to_owned(),
            StopCause::Gate(gate) => format!("once the gate of wave {} holds", gate.wave),
        }
    }

    /// The gate at which a person is waited for.
    pub(crate) fn pause(&self) -> Option<&GateRecord> {
        match self {
            StopCause::Gate(gate) if gate.then == GateAction::Pause => Some(gate),
            _ => None,
        }
    }

    /// Whether a gate failed, and nobody is waited for.
    pub(crate) fn is_failed_gate(&self) -> bool {
        matches!(self, StopCause::Gate(gate) if gate.end == GateEnd::Failed && gate.then != GateAction::Pause)
    }
}

impl fmt::Display for StopCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StopCause::Budget(used_up) => used_up.fmt(f),
            StopCause::Gate(gate) => gate.fmt(f),
        }
    }
}
