//! The number of retries of a transient fault, and the pauses between them.

use std::time::Duration;

use super::{Backoff, LockRetry};

/// Bounded attempts with exponential backoff. The last attempt has the same timeouts as the first.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct RetryPolicy {
    /// All attempts, including the first. At least 1.
    pub(crate) attempts: u32,
    /// The pauses between them.
    pub(crate) pauses: Backoff,
    /// Maximum total wait, over all attempts, while another run holds the tenant or its server has no free connection.
    /// These waits do not count as attempts.
    pub(crate) lock_wait_limit: Duration,
    /// The retries for locks that were not granted. They do not count against `attempts`, with one exception: with a
    /// single attempt nothing is retried.
    pub(crate) locks: LockRetry,
}

impl Default for RetryPolicy {
    /// Five attempts, pauses of 0.2 s, 0.4 s, 0.8 s, 1.6 s; a wait of up to 60 s for another run.
    fn default() -> Self {
        RetryPolicy {
            attempts: 5,
            pauses: Backoff::doubling(Duration::from_millis(200), Duration::from_secs(10)),
            lock_wait_limit: Duration::from_secs(60),
            locks: LockRetry::default(),
        }
    }
}
