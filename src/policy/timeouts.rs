//! How long anything may take on a tenant.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The time limits of one tenant. The runner sets them on every engine; none is ever left at "forever" but by choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Timeouts {
    /// To reach a server and log in.
    pub(crate) connect: Duration,
    /// To be granted a lock: PostgreSQL `lock_timeout`, MySQL `lock_wait_timeout` (whole seconds, rounded up), SQLite
    /// `busy_timeout`.
    pub(crate) lock: Duration,
    /// For one statement: PostgreSQL `statement_timeout`, MariaDB `max_statement_time`. Zero means no limit.
    pub(crate) statement: Duration,
    /// For a cancelled statement to end before the connection is given up.
    pub(crate) cancel: Duration,
    /// For a server that works on a tenant to say nothing, and not to be found at work over another connection either.
    pub(crate) silence: Duration,
    /// For a tenant's whole backup or restore. Zero means no limit.
    pub(crate) backup: Duration,
}

impl Timeouts {
    /// The same with locks waited for a share of the time, at least a millisecond. `divisor` is at least 1.
    pub(crate) fn shortened(self, divisor: u32) -> Timeouts {
        Timeouts { lock: share(self.lock, divisor), ..self }
    }
}

/// No time at all would mean no limit on some engines.
pub(super) fn share(lock: Duration, divisor: u32) -> Duration {
    (lock / divisor.max(1)).max(Duration::from_millis(1))
}

impl Default for Timeouts {
    /// Connect 10 s, lock 3 s, statement without limit, cancel 10 s, silence a minute, backup an hour.
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
