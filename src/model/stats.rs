//! Counts of a run, and the verdict they lead to.
//!
//! Pure: the exit code that belongs to a verdict is the command line's business.

use serde::{Deserialize, Serialize};

use crate::model::outcome::{NotStarted, Outcome, Standing};

/// Counts of a run. Only the dispatcher adds to them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct RunStats {
    /// Tenants in the plan.
    pub(crate) selected: usize,
    /// Tenants that matched the selection but were held back by `--canary`, `--canary-percent`, `--partition` or `--limit`.
    pub(crate) held_back: usize,
    /// Outcomes by kind.
    pub(crate) up_to_date: usize,
    /// See [`Outcome::Migrated`].
    pub(crate) migrated: usize,
    /// See [`Outcome::RolledBack`].
    pub(crate) rolled_back: usize,
    /// See [`Outcome::Refreshed`].
    pub(crate) refreshed: usize,
    /// See [`Outcome::Accepted`].
    pub(crate) accepted: usize,
    /// See [`Outcome::Seeded`].
    pub(crate) seeded: usize,
    /// See [`Outcome::BackedUp`].
    pub(crate) backed_up: usize,
    /// See [`Outcome::Restored`].
    pub(crate) restored: usize,
    /// See [`Outcome::Failed`].
    pub(crate) failed: usize,
    /// See [`Outcome::LockTimeout`].
    pub(crate) lock_timeout: usize,
    /// See [`Outcome::InDoubt`].
    pub(crate) in_doubt: usize,
    /// See [`Outcome::Ahead`].
    pub(crate) ahead: usize,
    /// See [`Outcome::Unreachable`].
    pub(crate) unreachable: usize,
    /// See [`Outcome::Interrupted`].
    pub(crate) interrupted: usize,
    /// See [`Outcome::Skipped`].
    pub(crate) skipped: usize,
    /// See [`Outcome::NotStarted`].
    pub(crate) not_started: usize,
    /// Attempts over all tenants.
    pub(crate) attempts: u64,
    /// Why the run stopped starting tenants, when it did.
    pub(crate) stopped: Option<NotStarted>,
}

impl RunStats {
    /// Counts one outcome.
    pub(crate) fn add(&mut self, outcome: &Outcome, attempts: u32) {
        self.attempts += u64::from(attempts);
        *match outcome {
            Outcome::UpToDate => &mut self.up_to_date,
            Outcome::Migrated(_) => &mut self.migrated,
            Outcome::RolledBack(_) => &mut self.rolled_back,
            Outcome::Refreshed { .. } => &mut self.refreshed,
            Outcome::Accepted { .. } => &mut self.accepted,
            Outcome::Seeded { .. } => &mut self.seeded,
            Outcome::BackedUp { .. } => &mut self.backed_up,
            Outcome::Restored { .. } => &mut self.restored,
            Outcome::Failed { .. } => &mut self.failed,
            Outcome::LockTimeout { .. } => &mut self.lock_timeout,
            Outcome::InDoubt(_) => &mut self.in_doubt,
            Outcome::Ahead { .. } => &mut self.ahead,
            Outcome::Unreachable { .. } => &mut self.unreachable,
            Outcome::Interrupted => &mut self.interrupted,
            Outcome::Skipped { .. } => &mut self.skipped,
            Outcome::NotStarted { .. } => &mut self.not_started,
        } += 1;
    }

    /// Tenants with an outcome.
    pub(crate) fn finished(&self) -> usize {
        self.at_target() + self.failures() + self.outstanding()
    }

    /// Tenants that are where the run was to bring them.
    pub(crate) fn at_target(&self) -> usize {
        let tasks = self.refreshed + self.accepted + self.seeded + self.backed_up + self.restored;
        self.up_to_date + self.migrated + self.rolled_back + tasks
    }

    /// Tenants that someone must look at.
    pub(crate) fn failures(&self) -> usize {
        self.failed + self.lock_timeout + self.in_doubt + self.ahead + self.unreachable
    }

    /// Tenants that the run did not get to.
    pub(crate) fn outstanding(&self) -> usize {
        self.interrupted + self.skipped + self.not_started
    }

    /// The counts by outcome name, in the order of the contract, zeros included.
    pub(crate) fn by_name(&self) -> [(&'static str, usize); 16] {
        [
            ("migrated", self.migrated),
            ("rolled_back", self.rolled_back),
            ("refreshed", self.refreshed),
            ("accepted", self.accepted),
            ("seeded", self.seeded),
            ("backed_up", self.backed_up),
            ("restored", self.restored),
            ("up_to_date", self.up_to_date),
            ("failed", self.failed),
            ("lock_timeout", self.lock_timeout),
            ("in_doubt", self.in_doubt),
            ("ahead", self.ahead),
            ("unreachable", self.unreachable),
            ("interrupted", self.interrupted),
            ("skipped", self.skipped),
            ("not_started", self.not_started),
        ]
    }

    /// What the run comes to.
    ///
    /// Being interrupted outweighs failures, because the operator did it and knows; a lost ledger outweighs all.
    pub(crate) fn verdict(&self) -> Verdict {
        match self.stopped {
            Some(NotStarted::Ledger) => return Verdict::LedgerLost,
            Some(NotStarted::Interrupted) => return Verdict::Interrupted,
            Some(NotStarted::FailureBudget) => return Verdict::BudgetExhausted,
            // No run stops for it.
            Some(NotStarted::Dependency) | None => {}
        }
        if self.selected == 0 {
            Verdict::NothingSelected
        } else if self.failures() > 0 {
            Verdict::Failures
        } else if self.outstanding() > 0 || self.held_back > 0 || self.finished() < self.selected {
            Verdict::Outstanding
        } else {
            Verdict::AllAtTarget
        }
    }
}

/// What a run comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    /// Every selected tenant is at its target.
    AllAtTarget,
    /// No tenant matched.
    NothingSelected,
    /// What ran passed, work is outstanding.
    Outstanding,
    /// At least one tenant failed.
    Failures,
    /// A failure budget stopped the rollout.
    BudgetExhausted,
    /// The operator interrupted it.
    Interrupted,
    /// The ledger could not be written any more.
    LedgerLost,
}

/// Whether a standing makes a failure budget smaller.
pub(crate) fn uses_failure_budget(outcome: &Outcome) -> bool {
    outcome.standing() == Standing::Failed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fault::FaultClass;

    #[test]
    fn verdicts() {
        assert_eq!(RunStats::default().verdict(), Verdict::NothingSelected);
        let mut stats = RunStats { selected: 2, ..RunStats::default() };
        stats.add(&Outcome::UpToDate, 1);
        assert_eq!(stats.verdict(), Verdict::Outstanding, "one tenant has no outcome yet");
        stats.add(&Outcome::UpToDate, 1);
        assert_eq!(stats.verdict(), Verdict::AllAtTarget);
        stats.held_back = 1;
        assert_eq!(stats.verdict(), Verdict::Outstanding);
        stats.add(&Outcome::Failed { class: FaultClass::Other }, 3);
        assert_eq!(stats.verdict(), Verdict::Failures);
        assert_eq!(stats.attempts, 5);
        stats.stopped = Some(NotStarted::FailureBudget);
        assert_eq!(stats.verdict(), Verdict::BudgetExhausted);
    }

    #[test]
    fn names_add_up_to_the_finished() {
        let mut stats = RunStats { selected: 3, ..RunStats::default() };
        stats.add(&Outcome::Interrupted, 1);
        stats.add(&Outcome::Ahead { unknown: vec![] }, 1);
        assert_eq!(stats.by_name().iter().map(|(_, n)| n).sum::<usize>(), stats.finished());
    }
}
