//! The gates between waves: whether the next one may start.
//!
//! It waits and judges answers; how a check is asked is the gatekeeper's business.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;
use tokio::time::Instant;

use super::cancel::{Cancel, Level};
use crate::crash;
use crate::model::event::Event;
use crate::model::gate::{CheckAnswer, GateAction, GateEnd, GateRecord};
use crate::model::outcome::NotStarted;
use crate::model::tenant::Tenant;
use crate::policy::{Check, Gate, Moment};

/// The decision in front of a wave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Passage {
    /// The wave starts.
    Open,
    /// No tenant of the wave is started, for this reason.
    Closed(NotStarted),
}

/// Decides whether the next wave may start. `stopping` is the reason why the run starts nothing new: a failure budget
/// or a gate of earlier waves, a signal, a lost ledger.
pub(super) fn before_wave(stopping: Option<NotStarted>) -> Passage {
    stopping.map_or(Passage::Open, Passage::Closed)
}

/// A question to a gatekeeper.
pub(crate) struct Question<'a> {
    /// The name of the wave in front of the gate.
    pub(crate) wave: &'a str,
    /// The tenants of the wave that are at their target.
    pub(crate) tenants: &'a [Arc<Tenant>],
    pub(crate) check: &'a Check,
    /// The longest time for the answer of a command or an address.
    pub(crate) timeout: Duration,
}

/// Asks the checks of gates. An answer that can't be had is one that does not hold.
#[async_trait]
pub(crate) trait Gatekeeper: Send + Sync {
    /// Asks one check. It is dropped in the middle when the run is told to stop.
    async fn ask(&self, question: Question<'_>) -> CheckAnswer;
}

/// The gate behind a wave that the resumed run had finished with, and not passed.
pub(crate) struct OpenGate {
    pub(crate) wave: String,
    pub(crate) gate: Gate,
    /// The tenants of the wave that are at their target.
    pub(crate) tenants: Vec<Arc<Tenant>>,
    /// The person who approved it: its checks are not asked.
    pub(crate) approved_by: Option<String>,
}

impl OpenGate {
    /// Its end, if a person approved it.
    pub(crate) fn approval(&self) -> Option<GateRecord> {
        Some(GateRecord {
            wave: self.wave.clone(),
            end: GateEnd::Approved,
            then: GateAction::Continue,
            answers: Vec::new(),
            took_ms: 0,
            by: Some(self.approved_by.clone()?),
        })
    }
}

/// A gate that is watched.
pub(super) struct Watch<'a> {
    pub(super) wave: &'a str,
    pub(super) gate: &'a Gate,
    pub(super) tenants: &'a [Arc<Tenant>],
    pub(super) keeper: &'a dyn Gatekeeper,
}

impl Watch<'_> {
    /// The event at its beginning.
    pub(super) fn started(&self) -> Event {
        Event::GateStarted {
            wave: self.wave.to_owned(),
            soak_ms: millis(self.gate.soak),
            checks: self.gate.checks.iter().map(ToString::to_string).collect(),
        }
    }

    /// Asks the checks through the soak. A check that does not hold ends it at once, and so does a stop of the run.
    ///
    /// Dying in it: the ledger has its beginning alone, and a run that resumes this one begins it again.
    pub(super) async fn end(&self, cancel: &Cancel) -> GateRecord {
        let begun = Instant::now();
        let until = begun + self.gate.soak;
        let mut level = cancel.subscribe();
        let (mut moment, mut answers) =
            (if self.gate.soak.is_zero() { Moment::End } else { Moment::Start }, Vec::new());
        let end = loop {
            tokio::select! {
                biased;
                () = stopped(&mut level) => break GateEnd::Interrupted,
                () = self.round(moment, &mut answers) => {}
            }
            if answers.iter().any(|answer| !answer.holds) {
                break GateEnd::Failed;
            }
            if moment == Moment::End {
                break GateEnd::Passed;
            }
            crash::at("soaking", "gate");
            let next = until.min(Instant::now() + self.gate.every);
            tokio::select! {
                biased;
                () = stopped(&mut level) => break GateEnd::Interrupted,
                () = tokio::time::sleep_until(next) => {}
            }
            moment = if Instant::now() >= until { Moment::End } else { Moment::Between };
        };
        let then = match end {
            GateEnd::Failed => self.gate.on_failure,
            GateEnd::Interrupted => GateAction::Stop,
            GateEnd::Passed | GateEnd::Approved => self.gate.then,
        };
        GateRecord { wave: self.wave.to_owned(), end, then, answers, took_ms: millis(begun.elapsed()), by: None }
    }

    /// Asks the checks that are due; each answer takes the place of the one before.
    async fn round(&self, moment: Moment, answers: &mut Vec<CheckAnswer>) {
        for check in self.gate.checks.iter().filter(|check| check.is_due(moment)) {
            let (wave, tenants, timeout) = (self.wave, self.tenants, self.gate.timeout);
            let answer = self.keeper.ask(Question { wave, tenants, check, timeout }).await;
            let failed = !answer.holds;
            match answers.iter_mut().find(|known| known.check == answer.check) {
                Some(known) => *known = answer,
                None => answers.push(answer),
            }
            if failed {
                return;
            }
        }
    }
}

/// Completes when the run is told to start nothing new.
pub(super) async fn stopped(level: &mut watch::Receiver<Level>) {
    // The sender lives as long as the run.
    let _ = level.wait_for(|level| *level != Level::Running).await;
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_is_stopping_opens_no_gate() {
        assert_eq!(before_wave(None), Passage::Open);
        for reason in [NotStarted::FailureBudget, NotStarted::GateFailed, NotStarted::Paused] {
            assert_eq!(before_wave(Some(reason)), Passage::Closed(reason));
        }
    }
}
