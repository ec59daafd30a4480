//! The number of tenants that may fail before no new ones are started.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;

/// The failures that a wave may have; one more stops the rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) enum FailureBudget {
    /// Failures never stop the rollout.
    Unlimited,
    /// At most this many tenants.
    Count(usize),
    /// At most this share of the finished tenants, in whole percent (0 to 100), counted from ten finished tenants on.
    Percent(u8),
}

/// The tenants of a wave that are done with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) finished: usize,
    /// Those of them that failed.
    pub(crate) failed: usize,
}

impl std::iter::Sum for Tally {
    fn sum<I: Iterator<Item = Tally>>(all: I) -> Tally {
        let add = |a: Tally, b: Tally| Tally { finished: a.finished + b.finished, failed: a.failed + b.failed };
        all.fold(Tally::default(), add)
    }
}

impl FailureBudget {
    /// Minimum number of finished tenants for a meaningful percentage.
    pub(crate) const MINIMUM_SAMPLE: usize = 10;

    /// Whether another tenant may be started while `at_risk` ones are under way, each of which may fail: if all of them did,
    /// the budget would not be exceeded yet. So at most one tenant more fails than the budget allows: the one that stops
    /// the run. A share is one of the wave's `total` tenants here. One tenant at a time is always allowed.
    pub(crate) fn admits(self, failed: usize, at_risk: usize, total: usize) -> bool {
        at_risk == 0 || failed + at_risk <= self.most(total)
    }

    /// The most failures that a wave of `total` tenants can have within it.
    fn most(self, total: usize) -> usize {
        match self {
            FailureBudget::Unlimited => usize::MAX,
            FailureBudget::Count(most) => most,
            FailureBudget::Percent(most) => total * usize::from(most) / 100,
        }
    }

    /// Whether `failed` of `finished` tenants is more than the budget allows.
    ///
    /// `total` is the size of the wave: a percentage that the whole wave can't keep any more is exceeded at once, and one
    /// of a wave that is over, or smaller than the minimum sample, applies as it is.
    pub(crate) fn is_exceeded(self, failed: usize, finished: usize, total: usize) -> bool {
        let of_finished =
            |share: u8| finished >= Self::MINIMUM_SAMPLE.min(total) && failed * 100 > finished * usize::from(share);
        failed > self.most(total) || matches!(self, FailureBudget::Percent(share) if of_finished(share))
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
            FailureBudget::Count(0) => format!("once {of} has no failure"),
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
        let UsedUp { budget, tally: Tally { finished, failed }, .. } = self;
        let allows = match budget {
            FailureBudget::Count(0) => "none".to_owned(),
            _ => budget.to_string(),
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
#[error("'{0}' is not a failure budget; write a count (3), a percentage (5%) or unlimited")]
pub(crate) struct BadFailureBudget(pub(crate) String);

impl FromStr for FailureBudget {
    type Err = BadFailureBudget;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || BadFailureBudget(text.to_owned());
        let trimmed = text.trim();
        if trimmed == "unlimited" {
            return Ok(FailureBudget::Unlimited);
        }
        match trimmed.strip_suffix('%') {
            Some(share) => match share.trim().parse::<u8>() {
                Ok(p) if p <= 100 => Ok(FailureBudget::Percent(p)),
                _ => Err(bad()),
            },
            None => trimmed.parse().map(FailureBudget::Count).map_err(|_| bad()),
        }
    }
}

impl fmt::Display for FailureBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FailureBudget::Unlimited => f.write_str("unlimited"),
            FailureBudget::Count(n) => write!(f, "{n}"),
            FailureBudget::Percent(p) => write!(f, "{p}%"),
        }
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

    #[test]
    fn reads_what_it_writes() {
        for text in ["unlimited", "0", "3", "5%"] {
            assert_eq!(text.parse::<FailureBudget>().unwrap().to_string(), text);
        }
        for bad in ["-1", "101%", "few", ""] {
            assert!(bad.parse::<FailureBudget>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_percentage_waits_for_its_sample_but_not_in_a_small_wave() {
        let budget = FailureBudget::Percent(10);
        assert!(!budget.is_exceeded(1, 1, 100), "one of one is no sample");
        assert!(budget.is_exceeded(1, 1, 9), "nine tenants can't keep it any more");
        assert!(budget.is_exceeded(2, 10, 100));
        assert!(!budget.is_exceeded(1, 10, 100));
        assert!(budget.is_exceeded(1, 3, 3), "the wave is smaller than the sample");
    }

    #[test]
    fn fewer_are_under_way_the_less_of_the_budget_is_left() {
        let under_way = |budget: FailureBudget, failed, total| {
            (0..).take_while(|&at_risk| budget.admits(failed, at_risk, total)).take(50).count()
        };
        let cases =
            [("0", 0, 28, 1), ("3", 0, 28, 4), ("3", 2, 28, 2), ("3", 3, 28, 1), ("10%", 0, 28, 3), ("5%", 0, 10, 1)];
        for (budget, failed, total, wanted) in cases {
            assert_eq!(under_way(budget.parse().unwrap(), failed, total), wanted, "{budget}, {failed} failed");
        }
        assert_eq!(under_way(FailureBudget::Unlimited, 9, 28), 50);
    }

    #[test]
    fn a_count_of_zero_allows_no_failure() {
        assert!(!FailureBudget::Count(0).is_exceeded(0, 5, 5));
        assert!(FailureBudget::Count(0).is_exceeded(1, 1, 5));
    }
}
