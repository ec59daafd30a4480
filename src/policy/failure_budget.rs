//! The number of tenants that may fail before no new ones are started.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;
use strum::IntoEnumIterator as _;

use crate::model::outcome::{OutcomeKind, Standing};
use crate::model::stats::OutcomeCounts;

/// The failures that a wave may have; one more stops the rollout. As a text: `3`, `5% from 20`, `0 without unreachable`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct FailureBudget {
    most: Most,
    /// A share is judged from this many finished tenants on; at least 1.
    sample: usize,
    /// The kinds of failures that do not count.
    without: Kinds,
}

/// The number of failures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Most {
    /// Failures never stop the rollout.
    Unlimited,
    /// At most this many tenants.
    Count(usize),
    /// At most this share of the finished tenants, in whole percent (0 to 100).
    Percent(u8),
}

/// Kinds of outcomes, a bit for each.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Kinds(u32);

impl Kinds {
    fn has(self, kind: OutcomeKind) -> bool {
        self.0 & (1 << kind as u32) != 0
    }

    fn with(self, kind: OutcomeKind) -> Self {
        Kinds(self.0 | (1 << kind as u32))
    }
}

/// The tenants of a wave that are done with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) finished: usize,
    /// Those of them that failed, by kind.
    failed: OutcomeCounts,
}

impl Tally {
    /// Counts one tenant that is done with.
    pub(crate) fn add(&mut self, kind: OutcomeKind) {
        self.finished += 1;
        self.failed[kind] += usize::from(kind.standing() == Standing::Failed);
    }
}

impl FromIterator<OutcomeKind> for Tally {
    fn from_iter<I: IntoIterator<Item = OutcomeKind>>(kinds: I) -> Self {
        let mut tally = Tally::default();
        kinds.into_iter().for_each(|kind| tally.add(kind));
        tally
    }
}

impl std::iter::Sum for Tally {
    fn sum<I: Iterator<Item = Tally>>(all: I) -> Tally {
        all.fold(Tally::default(), |mut sum, of| {
            sum.finished += of.finished;
            OutcomeKind::iter().for_each(|kind| sum.failed[kind] += of.failed[kind]);
            sum
        })
    }
}

impl FailureBudget {
    /// Failures never stop the rollout.
    pub(crate) const UNLIMITED: Self = Self::of(Most::Unlimited);

    /// The first failure stops it.
    pub(crate) const NONE: Self = Self::of(Most::Count(0));

    /// The finished tenants from which on a share is judged, where nothing else is said.
    const SAMPLE: usize = 10;

    const fn of(most: Most) -> Self {
        FailureBudget { most, sample: Self::SAMPLE, without: Kinds(0) }
    }

    /// The failures that count.
    pub(crate) fn failed(self, tally: &Tally) -> usize {
        OutcomeKind::iter().filter(|kind| !self.without.has(*kind)).map(|kind| tally.failed[kind]).sum()
    }

    /// Whether a failure of this kind counts.
    pub(crate) fn counts(self, kind: OutcomeKind) -> bool {
        kind.standing() == Standing::Failed && !self.without.has(kind)
    }

    /// Whether another tenant may be started while `at_risk` ones are under way, each of which may fail: if all of them did,
    /// the budget would not be exceeded yet. So at most one tenant more fails than the budget allows: the one that stops
    /// the run. A share is one of the wave's `total` tenants here. One tenant at a time is always allowed.
    pub(crate) fn admits(self, tally: &Tally, at_risk: usize, total: usize) -> bool {
        at_risk == 0 || self.failed(tally) + at_risk <= self.most(total)
    }

    /// The most failures that a wave of `total` tenants can have within it.
    pub(crate) fn most(self, total: usize) -> usize {
        match self.most {
            Most::Unlimited => usize::MAX,
            Most::Count(most) => most,
            Most::Percent(most) => total * usize::from(most) / 100,
        }
    }

    /// Whether the failures are more than the budget allows.
    ///
    /// `total` is the size of the wave: a percentage that the whole wave can't keep any more is exceeded at once, and one
    /// of a wave that is over, or smaller than the minimum sample, applies as it is.
    pub(crate) fn is_exceeded(self, tally: &Tally, total: usize) -> bool {
        let (failed, finished) = (self.failed(tally), tally.finished);
        let of_finished =
            |share: u8| finished >= self.sample.min(total) && failed * 100 > finished * usize::from(share);
        failed > self.most(total) || matches!(self.most, Most::Percent(share) if of_finished(share))
    }
}

/// A wave, or a run, whose failures are more than its budget allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UsedUp {
    /// `None`: the whole run.
    pub(crate) wave: Option<String>,
    pub(crate) budget: FailureBudget,
    pub(crate) tally: Tally,
}

impl UsedUp {
    /// The way to go on: `once wave canary has no failure`.
    pub(crate) fn condition(&self) -> String {
        let of = self.of();
        match self.budget {
            FailureBudget::NONE => format!("once {of} has no failure"),
            budget => format!("once {of} has at most {budget} failed"),
        }
    }

    /// `wave canary`, or `the run`.
    pub(crate) fn of(&self) -> String {
        self.wave.as_ref().map_or_else(|| "the run".to_owned(), |wave| format!("wave {wave}"))
    }

    /// The setting that has the budget.
    fn key(&self) -> &'static str {
        if self.wave.is_some() { "max_failures" } else { "run_max_failures" }
    }
}

impl fmt::Display for UsedUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let UsedUp { budget, tally, .. } = self;
        let (failed, finished) = (budget.failed(tally), tally.finished);
        let allows = match *budget {
            FailureBudget::NONE => "none".to_owned(),
            budget => budget.to_string(),
        };
        write!(
            f,
            "the failure budget of {} was used up: {failed} of {finished} finished failed, and its {} allows {allows}",
            self.of(),
            self.key()
        )
    }
}

/// A text that is not a failure budget.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadFailureBudget {
    #[error(
        "'{0}' is not a failure budget; write a count (3), a percentage (5%, or 5% from 20 for one that counts from 20 finished \
         tenants on) or unlimited"
    )]
    Text(String),
    /// A kind of failure that there is none of.
    #[error("'{text}' is not a failure budget: behind `without` are kinds of failures, {known}, and '{kind}' is none")]
    Kind { text: String, kind: String, known: String },
}

impl FromStr for FailureBudget {
    type Err = BadFailureBudget;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || BadFailureBudget::Text(text.to_owned());
        let (rest, without) = match text.split_once(" without ") {
            Some((rest, kinds)) => (rest, read_kinds(text, kinds)?),
            None => (text, Kinds::default()),
        };
        let (most, sample) = match rest.split_once(" from ") {
            Some((most, sample)) => (most, sample.trim().parse().ok().filter(|n| *n > 0).ok_or_else(bad)?),
            None => (rest, Self::SAMPLE),
        };
        let most = read_most(most.trim()).ok_or_else(bad)?;
        match most {
            // Only a share is judged by a sample.
            Most::Unlimited | Most::Count(_) if rest.contains(" from ") => Err(bad()),
            most => Ok(FailureBudget { most, sample, without }),
        }
    }
}

fn read_most(text: &str) -> Option<Most> {
    if text == "unlimited" {
        return Some(Most::Unlimited);
    }
    match text.strip_suffix('%') {
        Some(share) => share.trim().parse().ok().filter(|share| *share <= 100).map(Most::Percent),
        None => text.parse().ok().map(Most::Count),
    }
}

/// The kinds of outcomes that are failures.
fn failures() -> impl Iterator<Item = OutcomeKind> {
    OutcomeKind::iter().filter(|kind| kind.standing() == Standing::Failed)
}

fn read_kinds(text: &str, kinds: &str) -> Result<Kinds, BadFailureBudget> {
    kinds.split(',').map(str::trim).try_fold(Kinds::default(), |all, name| {
        let kind = failures().find(|kind| <&str>::from(*kind) == name);
        kind.map(|kind| all.with(kind)).ok_or_else(|| BadFailureBudget::Kind {
            text: text.to_owned(),
            kind: name.to_owned(),
            known: failures().map(<&str>::from).collect::<Vec<_>>().join(", "),
        })
    })
}

impl fmt::Display for FailureBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.most {
            Most::Unlimited => f.write_str("unlimited")?,
            Most::Count(n) => write!(f, "{n}")?,
            Most::Percent(p) => write!(f, "{p}%")?,
        }
        if self.sample != Self::SAMPLE {
            write!(f, " from {}", self.sample)?;
        }
        let without: Vec<&str> = failures().filter(|kind| self.without.has(*kind)).map(<&str>::from).collect();
        if without.is_empty() { Ok(()) } else { write!(f, " without {}", without.join(",")) }
    }
}

impl TryFrom<String> for FailureBudget {
    type Error = BadFailureBudget;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget(text: &str) -> FailureBudget {
        text.parse().unwrap()
    }

    fn tally(failed: usize, finished: usize) -> Tally {
        let kinds = [OutcomeKind::Failed, OutcomeKind::Migrated];
        (0..finished).map(|n| kinds[usize::from(n >= failed)]).collect()
    }

    #[test]
    fn reads_what_it_writes() {
        for text in [
            "unlimited",
            "0",
            "3",
            "5%",
            "5% from 20",
            "0 without unreachable",
            "5% from 1 without lock_timeout,unreachable",
        ] {
            assert_eq!(budget(text).to_string(), text);
        }
        assert_eq!(budget("5% from 10"), budget("5%"));
        for bad in ["-1", "101%", "few", "", "3 from 20", "5% from 0", "5% from", "3 without", "3 without migrated"] {
            assert!(bad.parse::<FailureBudget>().is_err(), "{bad}");
        }
        let kinds = "3 without dead".parse::<FailureBudget>().unwrap_err().to_string();
        assert!(kinds.contains("failed, lock_timeout, in_doubt, ahead, unreachable, and 'dead' is none"), "{kinds}");
    }

    #[test]
    fn a_percentage_waits_for_its_sample_but_not_in_a_small_wave() {
        let exceeded = |text: &str, failed, finished, total| budget(text).is_exceeded(&tally(failed, finished), total);
        assert!(!exceeded("10%", 1, 1, 100), "one of one is no sample");
        assert!(exceeded("10%", 1, 1, 9), "nine tenants can't keep it any more");
        assert!(exceeded("10%", 2, 10, 100));
        assert!(!exceeded("10%", 1, 10, 100));
        assert!(exceeded("10%", 1, 3, 3), "the wave is smaller than the sample");
        assert!(!exceeded("10% from 50", 9, 49, 100) && exceeded("10% from 50", 9, 50, 100));
        assert!(exceeded("10% from 1", 1, 1, 100));
    }

    #[test]
    fn fewer_are_under_way_the_less_of_the_budget_is_left() {
        let under_way = |budget: FailureBudget, failed, total| {
            let tally = tally(failed, failed);
            (0..).take_while(|&at_risk| budget.admits(&tally, at_risk, total)).take(50).count()
        };
        let cases =
            [("0", 0, 28, 1), ("3", 0, 28, 4), ("3", 2, 28, 2), ("3", 3, 28, 1), ("10%", 0, 28, 3), ("5%", 0, 10, 1)];
        for (text, failed, total, wanted) in cases {
            assert_eq!(under_way(budget(text), failed, total), wanted, "{text}, {failed} failed");
        }
        assert_eq!(under_way(FailureBudget::UNLIMITED, 9, 28), 50);
    }

    #[test]
    fn failures_of_other_kinds_do_not_count() {
        let kinds = [OutcomeKind::Unreachable, OutcomeKind::Unreachable, OutcomeKind::Failed, OutcomeKind::UpToDate];
        let tally: Tally = kinds.into_iter().collect();
        assert_eq!((budget("2").failed(&tally), budget("1 without unreachable").failed(&tally)), (3, 1));
        assert!(budget("2").is_exceeded(&tally, 9) && !budget("1 without unreachable").is_exceeded(&tally, 9));
        // One at work may fail in a way that counts.
        assert!(!budget("1 without unreachable").admits(&tally, 1, 9));
    }

    #[test]
    fn a_count_of_zero_allows_no_failure() {
        assert!(!FailureBudget::NONE.is_exceeded(&tally(0, 5), 5));
        assert!(FailureBudget::NONE.is_exceeded(&tally(1, 1), 5));
    }
}
