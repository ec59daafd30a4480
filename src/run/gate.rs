//! The gate in front of a wave: whether it may start. Pure.

use crate::model::outcome::NotStarted;

/// The decision of a gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Passage {
    /// The wave starts.
    Open,
    /// No tenant of the wave is started, for this reason.
    Closed(NotStarted),
}

/// Decides whether the next wave may start. `stopping` is the reason why the run starts nothing new: a failure budget
/// that earlier waves used up, a signal, a lost ledger.
pub(super) fn before_wave(stopping: Option<NotStarted>) -> Passage {
    stopping.map_or(Passage::Open, Passage::Closed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_is_stopping_opens_no_gate() {
        assert_eq!(before_wave(None), Passage::Open);
        let reason = NotStarted::FailureBudget;
        assert_eq!(before_wave(Some(reason)), Passage::Closed(reason));
    }
}
