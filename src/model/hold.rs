//! Tenants that are held: in quarantine, where no run takes them, or frozen at a version.
//!
//! Plain data; the tenant file says it.

use std::fmt;
use std::time::{Duration, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// The holds on a tenant.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Hold {
    /// The reason why no run takes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) quarantine: Option<Quarantine>,
    /// The version that no migration takes it beyond.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) freeze_at: Option<String>,
}

/// A quarantine, with its reason.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Quarantine {
    pub(crate) reason: String,
    /// Its end, as it was written; `None`: until it is taken back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) until: Option<String>,
}

impl Quarantine {
    /// The end that a text means, in milliseconds since 1970-01-01 UTC: a day is over when it ends in UTC, `2026-12-01`, and a
    /// moment is itself, `2026-12-01T06:00:00Z`. `None`: it is neither.
    pub(crate) fn end_ms(until: &str) -> Option<i64> {
        const DAY: Duration = Duration::from_secs(86_400);
        let moment = humantime::parse_rfc3339(until);
        let end =
            moment.or_else(|_| humantime::parse_rfc3339(&format!("{until}T00:00:00Z")).map(|day| day + DAY)).ok()?;
        i64::try_from(end.duration_since(UNIX_EPOCH).ok()?.as_millis()).ok()
    }

    /// Whether it is over. One whose end can't be read never is.
    pub(crate) fn is_over(&self, now_ms: i64) -> bool {
        self.until.as_deref().and_then(Quarantine::end_ms).is_some_and(|end| end <= now_ms)
    }
}

impl fmt::Display for Quarantine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.until {
            Some(until) => write!(f, "{} (until {until})", self.reason),
            None => f.write_str(&self.reason),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_over_when_it_ends_and_a_moment_is_itself() {
        let until = |text: &str| Quarantine { reason: "r".into(), until: Some(text.into()) };
        let moment = Quarantine::end_ms("2026-12-02T00:00:00Z").unwrap();
        assert_eq!(Quarantine::end_ms("2026-12-01"), Some(moment));
        assert!(!until("2026-12-01").is_over(moment - 1) && until("2026-12-01").is_over(moment));
        for wrong in ["", "tomorrow", "2026-13-01", "2026-02-30", "12/01/2026", "2026-12-01 06:00"] {
            assert_eq!(Quarantine::end_ms(wrong), None, "{wrong}");
        }
        assert!(!Quarantine { reason: "r".into(), until: None }.is_over(i64::MAX));
        assert_eq!(until("2026-12-01").to_string(), "r (until 2026-12-01)");
    }
}
