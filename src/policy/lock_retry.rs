//! Retries for a lock that was not granted: short bursts, rests between them, and an end.

use std::time::Duration;

use super::Backoff;
use super::backoff::jittered;

/// Several tries in quick succession find the gap between two transactions of the application; the rest lets the queue
/// behind us drain. Each burst waits longer for the lock than the one before: a quarter of the lock timeout, half of
/// it, then all of it. No try waits longer than that, because every session queued behind it is delayed as long.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct LockRetry {
    /// Tries per burst. At least 1.
    pub(crate) burst: u32,
    /// The pause between two tries of a burst, shortened by up to half at random.
    pub(crate) pause: Duration,
    /// The rests between bursts.
    pub(crate) rests: Backoff,
    /// Maximum total time per tenant: the lock timeouts of its tries, pauses and rests. Zero means one try.
    pub(crate) wait: Duration,
}

/// A further try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LockTry {
    /// The pause before it.
    pub(crate) pause: Duration,
    /// The divisor of the lock timeout for this try.
    pub(crate) divisor: u32,
}

impl Default for LockRetry {
    /// Bursts of 3, a pause of 0.2 s, rests of 5 s and then 10 s, 2 min in all.
    fn default() -> Self {
        LockRetry {
            burst: 3,
            pause: Duration::from_millis(200),
            rests: Backoff::doubling(Duration::from_secs(5), Duration::from_secs(10)),
            wait: Duration::from_secs(120),
        }
    }
}

impl LockRetry {
    /// The divisor of the lock timeout in the first burst.
    pub(crate) const FIRST_DIVISOR: u32 = 4;

    /// The divisor of the lock timeout for a try, counted from 0. A try that no other can follow gets the whole
    /// timeout.
    pub(crate) fn divisor(&self, number: u32) -> u32 {
        if self.wait.is_zero() {
            return 1;
        }
        let burst = number / self.burst.max(1);
        Self::FIRST_DIVISOR.checked_shr(burst).unwrap_or(1).max(1)
    }

    /// The next try after `tries` that all ran into the lock timeout, with `spent` on them and the pauses between them;
    /// `None` when the time is used up. `timeout` is the lock timeout; `jitter` is in 0.0..1.0.
    pub(crate) fn next(&self, tries: u32, spent: Duration, timeout: Duration, jitter: f64) -> Option<LockTry> {
        let burst = self.burst.max(1);
        let pause = if tries.is_multiple_of(burst) {
            self.rests.pause((tries / burst).saturating_sub(1), jitter)
        } else {
            jittered(self.pause, jitter)
        };
        let divisor = self.divisor(tries);
        let all = spent.checked_add(pause)?.checked_add(timeout / divisor)?;
        (all <= self.wait).then_some(LockTry { pause, divisor })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// All tries of a tenant: their pauses and the lock timeout of each.
    fn tries(policy: &LockRetry, timeout: Duration, jitter: f64) -> Vec<(Duration, Duration)> {
        let first = timeout / policy.divisor(0);
        let mut made = vec![(Duration::ZERO, first)];
        let mut spent = first;
        while let Some(next) = policy.next(u32::try_from(made.len()).unwrap(), spent, timeout, jitter) {
            made.push((next.pause, timeout / next.divisor));
            spent += next.pause + timeout / next.divisor;
        }
        made
    }

    #[test]
    fn bursts_grow_and_rests_part_them() {
        let s = Duration::from_secs;
        let short = Duration::from_millis(200);
        let policy = LockRetry { wait: s(40), ..LockRetry::default() };
        let made = tries(&policy, s(4), 0.0);
        let expected = [
            (s(0), s(1)),
            (short, s(1)),
            (short, s(1)),
            (s(5), s(2)),
            (short, s(2)),
            (short, s(2)),
            (s(10), s(4)),
            (short, s(4)),
            (short, s(4)),
        ];
        assert_eq!(made, expected);
        let all = tries(&LockRetry::default(), s(4), 0.0);
        assert!(all.len() > 12 && all[9] == (s(10), s(4)), "it goes on with the whole lock timeout: {all:?}");
    }

    #[test]
    fn without_time_to_wait_there_is_one_try() {
        let policy = LockRetry { wait: Duration::ZERO, ..LockRetry::default() };
        assert_eq!(tries(&policy, Duration::from_secs(3), 0.5), [(Duration::ZERO, Duration::from_secs(3))]);
    }

    proptest! {
        #[test]
        fn the_total_is_bounded_and_every_try_has_a_limit(
            burst in 0_u32..9, pause in 0_u64..2_000, rest in 0_u64..20_000, longest in 0_u64..60_000,
            wait in 0_u64..300_000, timeout in 1_u64..90_000, jitter in 0.0_f64..1.0
        ) {
            let ms = Duration::from_millis;
            let (timeout, wait) = (ms(timeout), ms(wait));
            let policy = LockRetry { burst, pause: ms(pause), rests: Backoff::doubling(ms(rest), ms(longest)), wait };
            let made = tries(&policy, timeout, jitter);
            let total: Duration = made.iter().map(|(pause, lock)| *pause + *lock).sum();
            // The first try is always made, whatever its timeout.
            prop_assert!(total <= wait.max(timeout));
            for (pause, lock) in made {
                prop_assert!(!lock.is_zero() && lock <= timeout);
                prop_assert!(pause <= ms(longest).max(policy.pause));
            }
        }
    }
}
