//! The present time: the only place that reads the clock.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970-01-01 UTC.
pub(crate) fn now_ms() -> i64 {
    i64::try_from(since_1970().as_millis()).unwrap_or(i64::MAX)
}

/// Seconds since 1970-01-01 UTC.
pub(crate) fn unix_now() -> u64 {
    since_1970().as_secs()
}

/// The present time in a text of SQL: a number, or what stands for it in a text that is not sent now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Stamp {
    /// Seconds since 1970.
    #[default]
    Now,
    /// A mark, or an expression of the engine.
    Text(&'static str),
}

impl std::fmt::Display for Stamp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Stamp::Now => write!(f, "{}", unix_now()),
            Stamp::Text(text) => f.write_str(text),
        }
    }
}

fn since_1970() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
