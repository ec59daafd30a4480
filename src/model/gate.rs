//! Gates between waves, as events and the ledger have them: the answers to their checks, and the way on.
//!
//! Plain data: checks are asked elsewhere.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::model::outcome::NotStarted;

/// The way on from a gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, strum::EnumString, strum::Display)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub(crate) enum GateAction {
    /// The next wave starts.
    Continue,
    /// The run ends here, until a person has it go on.
    Pause,
    /// The rollout is stopped.
    Stop,
    /// The rollout is stopped, and what it moved in this wave is taken back.
    RollbackWave,
}

/// The end of a gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum GateEnd {
    /// All checks held for the whole soak.
    Passed,
    /// A check did not hold.
    Failed,
    /// A person let the run go on, without asking the checks again.
    Approved,
    /// The run was told to stop while the gate was watched.
    Interrupted,
}

/// The answer to one check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CheckAnswer {
    /// The check in words: `http https://shop.example/health`.
    pub(crate) check: String,
    pub(crate) holds: bool,
    /// The value, or the reason why there is none.
    pub(crate) value: String,
}

impl fmt::Display for CheckAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.check, self.value)
    }
}

/// A gate that came to its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct GateRecord {
    /// The wave that it stands behind.
    pub(crate) wave: String,
    pub(crate) end: GateEnd,
    pub(crate) then: GateAction,
    /// The last answers to its checks.
    pub(crate) answers: Vec<CheckAnswer>,
    /// The time that it took, in milliseconds.
    pub(crate) took_ms: u64,
    /// The person who approved it, as given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) by: Option<String>,
}

impl GateRecord {
    /// The reason why the tenants of later waves are not started, if they are not.
    pub(crate) fn reason(&self) -> Option<NotStarted> {
        match self.then {
            GateAction::Continue => None,
            GateAction::Pause => Some(NotStarted::Paused),
            GateAction::Stop | GateAction::RollbackWave if self.end == GateEnd::Interrupted => {
                Some(NotStarted::Interrupted)
            }
            GateAction::Stop | GateAction::RollbackWave => Some(NotStarted::GateFailed),
        }
    }

    /// Whether the next wave may start as far as the checks go.
    pub(crate) fn is_passed(&self) -> bool {
        matches!(self.end, GateEnd::Passed | GateEnd::Approved)
    }

    /// The answers that speak against it: `verify: no_orphans fails on acme`.
    pub(crate) fn against(&self) -> String {
        let against = self.answers.iter().filter(|answer| !answer.holds);
        against.map(ToString::to_string).collect::<Vec<_>>().join("; ")
    }

    /// Why later waves are not started, without the answers: `the gate of wave canary failed`.
    pub(crate) fn in_short(&self) -> String {
        let wave = &self.wave;
        match (self.then, self.end) {
            (GateAction::Pause, GateEnd::Failed) => format!("the run paused, because the gate of wave {wave} failed"),
            (GateAction::Pause, _) => format!("the run paused behind wave {wave}"),
            (_, GateEnd::Failed) => format!("the gate of wave {wave} failed"),
            (_, GateEnd::Interrupted) => format!("the run was interrupted at the gate of wave {wave}"),
            (_, GateEnd::Passed | GateEnd::Approved) => format!("the gate of wave {wave} was passed"),
        }
    }
}

impl fmt::Display for GateRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let against = self.against();
        let colon = if against.is_empty() { "" } else { ": " };
        write!(f, "{}{colon}{against}", self.in_short())
    }
}
