//! The counts of a run, and its verdict.
//!
//! Pure: the exit code that belongs to a verdict is the command line's business.

use std::collections::HashMap;
use std::ops::{Index, IndexMut};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use strum::{EnumCount, IntoEnumIterator};

use crate::model::outcome::{NotStarted, Outcome, OutcomeKind, Standing};

/// Counts of a run. Only the dispatcher adds to them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct RunStats {
    /// Tenants in the plan.
    pub(crate) selected: usize,
    /// Tenants that matched the selection but were held back by `--canary`, `--canary-percent`, `--partition` or
    /// `--limit`.
    pub(crate) held_back: usize,
    /// Tenants by outcome, each under its name.
    #[serde(flatten)]
    pub(crate) outcomes: OutcomeCounts,
    /// Attempts over all tenants.
    pub(crate) attempts: u64,
    /// The reason why the run stopped starting tenants, if it did.
    pub(crate) stopped: Option<NotStarted>,
}

/// A number for each kind of outcome.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct OutcomeCounts([usize; OutcomeKind::COUNT]);

impl Index<OutcomeKind> for OutcomeCounts {
    type Output = usize;

    fn index(&self, kind: OutcomeKind) -> &usize {
        &self.0[kind as usize]
    }
}

impl IndexMut<OutcomeKind> for OutcomeCounts {
    fn index_mut(&mut self, kind: OutcomeKind) -> &mut usize {
        &mut self.0[kind as usize]
    }
}

impl Serialize for OutcomeCounts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(OutcomeKind::iter().map(|kind| (<&str>::from(kind), self[kind])))
    }
}

impl<'de> Deserialize<'de> for OutcomeCounts {
    /// Takes the outcomes that this program knows; a ledger of another version may lack some and have others.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let found = HashMap::<String, Value>::deserialize(deserializer)?;
        let mut counts = OutcomeCounts::default();
        for kind in OutcomeKind::iter() {
            let count = found.get(<&str>::from(kind)).and_then(Value::as_u64).unwrap_or_default();
            counts[kind] = usize::try_from(count).unwrap_or(usize::MAX);
        }
        Ok(counts)
    }
}

impl RunStats {
    /// Counts one outcome.
    pub(crate) fn add(&mut self, outcome: &Outcome, attempts: u32) {
        self.attempts += u64::from(attempts);
        self.outcomes[outcome.kind()] += 1;
    }

    /// Tenants with an outcome.
    pub(crate) fn finished(&self) -> usize {
        self.outcomes.0.iter().sum()
    }

    /// Tenants at the target of the run.
    pub(crate) fn at_target(&self) -> usize {
        self.count(Standing::AtTarget)
    }

    /// Tenants that need attention.
    pub(crate) fn failures(&self) -> usize {
        self.count(Standing::Failed)
    }

    /// Tenants that the run did not get to.
    pub(crate) fn outstanding(&self) -> usize {
        self.count(Standing::Outstanding)
    }

    fn count(&self, standing: Standing) -> usize {
        OutcomeKind::iter().filter(|kind| kind.standing() == standing).map(|kind| self.outcomes[kind]).sum()
    }

    /// The counts by outcome name, in the order of the contract, zeros included.
    pub(crate) fn by_name(&self) -> Vec<(&'static str, usize)> {
        let mut kinds: Vec<OutcomeKind> = OutcomeKind::iter().collect();
        // A changed tenant is listed before one that needed no change.
        kinds.sort_by_key(|kind| (kind.standing(), *kind == OutcomeKind::UpToDate));
        kinds.into_iter().map(|kind| (kind.into(), self.outcomes[kind])).collect()
    }

    /// The verdict on the run.
    ///
    /// An interruption outweighs failures, because the operator caused it; a lost ledger outweighs everything.
    pub(crate) fn verdict(&self) -> Verdict {
        match self.stopped {
            Some(NotStarted::Ledger) => return Verdict::LedgerLost,
            Some(NotStarted::Interrupted) => return Verdict::Interrupted,
            Some(NotStarted::FailureBudget | NotStarted::RunFailureBudget) => return Verdict::BudgetExhausted,
            Some(NotStarted::GateFailed) => return Verdict::GateFailed,
            Some(NotStarted::Hook) => return Verdict::HookFailed,
            // No run stops for a dependency, one that ran out of time is judged by what it did, and one that paused may have
            // failures within its budgets.
            Some(
                NotStarted::Paused
                | NotStarted::Dependency
                | NotStarted::Deadline
                | NotStarted::Window
                | NotStarted::Overloaded,
            )
            | None => {}
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

/// The verdict on a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    /// Every selected tenant is at its target.
    AllAtTarget,
    /// No tenant matched.
    NothingSelected,
    /// No failures, but work is outstanding.
    Outstanding,
    /// At least one tenant failed.
    Failures,
    /// A failure budget stopped the rollout.
    BudgetExhausted,
    /// A gate between two waves stopped the rollout.
    GateFailed,
    /// A hook stopped the rollout.
    HookFailed,
    /// The operator interrupted it.
    Interrupted,
    /// The ledger could not be written any more.
    LedgerLost,
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
        let names: Vec<&str> = stats.by_name().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names[7..11], ["restored", "committed", "up_to_date", "failed"]);
    }

    #[test]
    fn json_has_every_count_and_reads_what_another_version_wrote() {
        let mut stats = RunStats { selected: 1, ..RunStats::default() };
        stats.add(&Outcome::UpToDate, 2);
        let json = serde_json::to_string(&stats).unwrap();
        let head =
            r#"{"selected":1,"held_back":0,"up_to_date":1,"migrated":0,"rolled_back":0,"refreshed":0,"accepted":0"#;
        assert!(json.starts_with(head) && json.ends_with(r#""not_started":0,"attempts":2,"stopped":null}"#), "{json}");
        assert_eq!(serde_json::from_str::<RunStats>(&json).unwrap(), stats);
        let other = r#"{"selected":1,"attempts":2,"up_to_date":1,"verified":3,"stopped":null}"#;
        assert_eq!(serde_json::from_str::<RunStats>(other).unwrap(), stats);
    }
}
