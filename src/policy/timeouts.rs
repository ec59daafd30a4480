//! Time limits for work on a tenant.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The time limits of one tenant. The runner sets them on every engine; a limit is infinite only by choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Timeouts {
    /// Maximum time to reach a server and log in.
    pub(crate) connect: Duration,
    /// Maximum wait for a lock: PostgreSQL `lock_timeout`, MySQL `lock_wait_timeout` (whole seconds, rounded up),
    /// SQLite `busy_timeout`.
    pub(crate) lock: Duration,
    /// Maximum time for one statement: PostgreSQL `statement_timeout`, MariaDB `max_statement_time`. Zero means no
    /// limit.
    pub(crate) statement: Duration,
    /// Maximum time for a cancelled statement to end before the connection is given up.
    pub(crate) cancel: Duration,
    /// Maximum silence of a server that works on a tenant, unless it is found at work over another connection.
    pub(crate) silence: Duration,
    /// Maximum time for a tenant's whole backup or restore. Zero means no limit.
    pub(crate) backup: Duration,
}

impl Timeouts {
    /// The same with the lock timeout divided by `divisor` (at least 1), but at least a millisecond.
    pub(crate) fn shortened(self, divisor: u32) -> Timeouts {
        Timeouts { lock: share(self.lock, divisor), ..self }
    }
}

/// A zero timeout would mean no limit on some engines.
pub(super) fn share(lock: Duration, divisor: u32) -> Duration {
    (lock / divisor.max(1)).max(Duration::from_millis(1))
}

impl Default for Timeouts {
    /// Connect 10 s, lock 3 s, no statement limit, cancel 10 s, silence one minute, backup one hour.
    fn default() -> Self {
        Timeouts {
            connect: Duration::from_secs(10),
            lock: Duration::from_secs(3),
            statement: Duration::ZERO,
            cancel: Duration::from_secs(10),
            silence: Duration::from_secs(60),
            backup: Duration::from_secs(3_600),
        }
    }
}
