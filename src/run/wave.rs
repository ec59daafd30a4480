//! A running wave: its queue, its counts, and the histories read for its tenants together.
//!
//! It starts and emits nothing; the dispatcher does.

use std::collections::HashMap;

use super::PlannedWave;
use super::queue::Queue;
use crate::model::outcome::{NotStarted, Outcome, Standing};
use crate::model::tenant::TenantId;
use crate::policy::Tally;

/// A wave of the plan, and its progress.
pub(super) struct WaveRun<'p> {
    pub(super) planned: &'p PlannedWave,
    pub(super) queue: Queue,
    /// Histories read over shared connections; each is used once.
    pub(super) known: HashMap<TenantId, Vec<String>>,
    tally: Tally,
    /// The opening of its window that was told last.
    pub(super) told_opening: Option<i64>,
}

impl<'p> WaveRun<'p> {
    /// A wave with an empty queue.
    pub(super) fn new(planned: &'p PlannedWave, known: HashMap<TenantId, Vec<String>>) -> Self {
        WaveRun { planned, queue: Queue::default(), known, tally: planned.former, told_opening: None }
    }

    /// Counts an outcome. Returns the reason to start nothing new, if the outcome used up the failure budget.
    pub(super) fn count(&mut self, outcome: &Outcome) -> Option<NotStarted> {
        self.tally.finished += 1;
        if outcome.standing() != Standing::Failed {
            return None;
        }
        self.tally.failed += 1;
        let Tally { finished, failed } = self.tally;
        let exceeded = self.planned.max_failures.is_exceeded(failed, finished, self.total());
        exceeded.then_some(NotStarted::FailureBudget)
    }

    /// Whether another tenant may be started while so many have no outcome yet.
    pub(super) fn admits(&self, at_risk: usize) -> bool {
        self.planned.max_failures.admits(self.tally.failed, at_risk, self.total())
    }

    /// The number of its tenants, with those of the runs that this one resumes.
    fn total(&self) -> usize {
        self.planned.tenants.len() + self.planned.former.finished
    }

    /// Whether any tenant has its outcome.
    pub(super) fn has_outcomes(&self) -> bool {
        self.tally.finished > self.planned.former.finished
    }
}
