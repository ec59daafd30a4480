//! Stragglers: tenants that take many times as long as most others of their run.
//!
//! Pure: times come in, and a judgement goes out.

use std::time::Duration;

use crate::model::outcome::{Outcome, Standing, TenantRecord};

/// The times of the tenants that a run has changed, in order.
#[derive(Debug, Clone, Default)]
pub(super) struct Durations(Vec<Duration>);

impl Durations {
    /// A straggler takes this many times the median.
    const TIMES: u32 = 4;
    /// The number of times below which they are no measure of others.
    const SAMPLE: usize = 5;
    /// Nobody is called a straggler for less.
    const SHORTEST: Duration = Duration::from_secs(5);

    /// Of the records of a run.
    pub(super) fn of(records: &[TenantRecord]) -> Self {
        let mut durations = Durations::default();
        records.iter().for_each(|record| durations.add(record));
        durations
    }

    /// Counts a tenant that was brought to its target. One that was there already took only a look.
    pub(super) fn add(&mut self, record: &TenantRecord) {
        if record.outcome.standing() == Standing::AtTarget && record.outcome != Outcome::UpToDate {
            let at = self.0.partition_point(|other| *other <= record.duration);
            self.0.insert(at, record.duration);
        }
    }

    /// The time that this share of them, in percent, took at most.
    pub(super) fn percentile(&self, percent: usize) -> Option<Duration> {
        let at = (self.0.len() * percent).div_ceil(100).saturating_sub(1);
        self.0.get(at).copied()
    }

    /// Says of a tenant at work for this long how many times the median that is, if it is a straggler: `9 times the median of
    /// 3.5s`.
    pub(super) fn straggles(&self, age: Duration) -> Option<String> {
        let median = self.percentile(50).filter(|_| self.0.len() >= Self::SAMPLE)?;
        let is_one = age >= Self::SHORTEST && age >= median * Self::TIMES;
        let times = age.as_millis() / median.as_millis().max(1);
        is_one.then(|| format!("{times} times the median of {}", super::outcome::took(median)))
    }
}
