//! The reason why a run started nothing more, with its particulars.

use std::fmt;
use std::time::Duration;

use super::{UsedUp, format_duration};
use crate::model::event::Event;
use crate::model::gate::{GateAction, GateEnd, GateRecord};
use crate::model::load::{Overload, in_words};
use crate::model::outcome::NotStarted;
use crate::model::pause::Pause;

/// The reason why a run started nothing more, as far as it has particulars.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum StopCause {
    /// A failure budget was used up.
    Budget(UsedUp),
    /// A gate did not let the run on.
    Gate(GateRecord),
    /// A person had it pause.
    Person(Pause),
    /// A server stayed beyond a limit on its load.
    Load(Overload),
}

impl StopCause {
    /// The cause among what is known of a run, its recorded events among it: that of the reason for which it stopped, if any is. A
    /// gate that was cut short by a person's request is not one.
    pub(crate) fn of(
        gate: Option<GateRecord>,
        pause: Option<Pause>,
        used_up: Option<UsedUp>,
        (stopped, events): (Option<NotStarted>, &[(i64, Event)]),
    ) -> Option<Self> {
        let load = events.iter().find_map(|(_, event)| match event {
            Event::Overloaded(overload) => Some(StopCause::Load(overload.clone())),
            _ => None,
        });
        let gate = gate.filter(|gate| pause.is_none() || gate.reason() != Some(NotStarted::Interrupted));
        let known = [gate.map(StopCause::Gate), pause.map(StopCause::Person), load, used_up.map(StopCause::Budget)];
        let mut known: Vec<StopCause> = known.into_iter().flatten().collect();
        // The order of the others stays.
        known.sort_by_key(|cause| !stopped.is_some_and(|reason| cause.explains(reason)));
        known.into_iter().next()
    }

    /// Whether it is the particulars of this reason.
    pub(crate) fn explains(&self, reason: NotStarted) -> bool {
        match self {
            StopCause::Budget(_) => reason.is_budget(),
            StopCause::Gate(gate) => gate.reason() == Some(reason),
            StopCause::Person(_) => reason == NotStarted::Paused,
            StopCause::Load(_) => reason == NotStarted::Overloaded,
        }
    }

    /// For tenants that were not started: `the gate of wave canary failed`.
    pub(crate) fn in_short(&self) -> String {
        match self {
            StopCause::Budget(used_up) => format!("the failure budget of {} was used up", used_up.of()),
            StopCause::Gate(gate) => gate.in_short(),
            StopCause::Person(pause) => pause.in_short(),
            StopCause::Load(overload) => format!("server {} stayed beyond a limit", overload.server),
        }
    }

    /// When the run may go on: `once wave canary has no failure`.
    pub(crate) fn condition(&self) -> String {
        match self {
            StopCause::Budget(used_up) => used_up.condition(),
            StopCause::Gate(gate) if gate.then == GateAction::Pause => "when it is to go on".to_owned(),
            StopCause::Person(_) => "when it is to go on".to_owned(),
            StopCause::Load(overload) => format!("once server {} is within its limits", overload.server),
            StopCause::Gate(gate) => format!("once the gate of wave {} holds", gate.wave),
        }
    }

    /// The gate, if it was one.
    pub(crate) fn gate(&self) -> Option<&GateRecord> {
        match self {
            StopCause::Gate(gate) => Some(gate),
            StopCause::Budget(_) | StopCause::Person(_) | StopCause::Load(_) => None,
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
            StopCause::Person(pause) => f.write_str(&pause.in_short()),
            StopCause::Load(Overload { server, over, for_ms }) => {
                let stayed = match for_ms {
                    0 => "is beyond its limits".to_owned(),
                    ms => format!("stayed beyond its limits for {}", format_duration(Duration::from_millis(*ms))),
                };
                write!(f, "server {server} {stayed}: {}", in_words(over))
            }
        }
    }
}
