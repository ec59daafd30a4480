//! How often, and after which pause, a transient fault is tried again.

use std::time::Duration;

use super::{Backoff, LockRetry};

/// Bounded attempts with exponential backoff. The last attempt has the same timeouts as the first.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct RetryPolicy {
    /// All attempts, the first included. At least 1.
    pub(crate) attempts: u32,
    /// The pauses between them.
    pub(crate) pauses: Backoff,
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
            pauses: Backoff::doubling(Duration::from_millis(200), Duration::from_secs(10)),
            lock_wait_limit: Duration::from_secs(60),
            locks: LockRetry::default(),
        }
    }
}
