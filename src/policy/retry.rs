//! How often, and after which pause, a transient fault is tried again.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::LockRetry;

/// Bounded attempts with exponential backoff. The last attempt has the same timeouts as the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RetryPolicy {
    /// All attempts, the first included. At least 1.
    pub(crate) attempts: u32,
    /// The pause after the first failed attempt.
    pub(crate) first_pause: Duration,
    /// No pause is longer than this.
    pub(crate) longest_pause: Duration,
    /// For how long another run's hold on a tenant, or a server without a connection to spare, is waited out, over all
    /// attempts. These waits do not count as attempts.
    pub(crate) lock_wait_limit: Duration,
    /// How locks that were not granted are tried for again. They do not count against `attempts`, but for one thing: with
    /// a single attempt nothing is tried again.
    pub(crate) locks: LockRetry,
}

impl Default for RetryPolicy {
    /// Five attempts, pauses of 0.2 s, 0.4 s, 0.8 s, 1.6 s; another run is waited out for 60 s.
    fn default() -> Self {
        RetryPolicy {
            attempts: 5,
            first_pause: Duration::from_millis(200),
            longest_pause: Duration::from_secs(10),
            lock_wait_limit: Duration::from_secs(60),
            locks: LockRetry::default(),
        }
    }
}

impl RetryPolicy {
    /// The pause after failed attempt number `attempt` (from 1), doubling each time and shortened by up to half at random
    /// so that tenants do not come back in step. `jitter` is a random number in 0.0..1.0.
    pub(crate) fn pause_after(&self, attempt: u32, jitter: f64) -> Duration {
        let doubled = self.first_pause.saturating_mul(1_u32 << attempt.saturating_sub(1).min(20));
        doubled.min(self.longest_pause).mul_f64(1.0 - jitter.clamp(0.0, 1.0) / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let policy = RetryPolicy::default();
        assert_eq!(policy.pause_after(1, 0.0), Duration::from_millis(200));
        assert_eq!(policy.pause_after(3, 0.0), Duration::from_millis(800));
        assert_eq!(policy.pause_after(60, 0.0), Duration::from_secs(10));
        assert_eq!(policy.pause_after(1, 1.0), Duration::from_millis(100));
    }
}
