//! The group of a view: when it is meant to be refreshed.

use std::str::FromStr;

use jiff::{Timestamp, ToSpan as _, Unit, Zoned, tz::TimeZone};
use serde::{Deserialize, Serialize};

/// The occasion on which a view is refreshed.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    strum::Display,
    strum::IntoStaticStr,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub(crate) enum RefreshGroup {
    /// Every hour.
    Hourly,
    /// Every day.
    Daily,
    /// Every week.
    Weekly,
    /// Every month.
    Monthly,
    /// When its tenant's data changed, where the engine can tell.
    Changes,
}

impl RefreshGroup {
    /// All groups, those with times first, the most frequent of them before the others.
    pub(crate) const ALL: [RefreshGroup; 5] =
        [RefreshGroup::Hourly, RefreshGroup::Daily, RefreshGroup::Weekly, RefreshGroup::Monthly, RefreshGroup::Changes];

    /// Its lower-case name.
    pub(crate) fn name(self) -> &'static str {
        self.into()
    }

    /// The first of its times behind `after_ms`, both in milliseconds since 1970-01-01 UTC: a full hour, a midnight, that
    /// before a Monday, or that before the first of a month, in UTC. `None`: it has no times, or none before the year 10000.
    pub(crate) fn next_ms(self, after_ms: i64) -> Option<i64> {
        let after = Timestamp::from_millisecond(after_ms).ok()?.to_zoned(TimeZone::UTC);
        self.next(after).map(|next| next.timestamp().as_millisecond())
    }

    fn next(self, after: Zoned) -> Option<Zoned> {
        let midnight = after.start_of_day().ok()?;
        let next = match self {
            RefreshGroup::Hourly => {
                let hour = jiff::ZonedRound::new().smallest(Unit::Hour).mode(jiff::RoundMode::Trunc);
                after.round(hour).ok()?.checked_add(1.hour())
            }
            RefreshGroup::Daily => midnight.checked_add(1.day()),
            RefreshGroup::Weekly => {
                let since_monday = after.weekday().to_monday_zero_offset();
                midnight.checked_add((7 - i64::from(since_monday)).days())
            }
            RefreshGroup::Monthly => midnight.first_of_month().ok()?.checked_add(1.month()),
            RefreshGroup::Changes => return None,
        };
        next.ok()
    }
}

/// A word that names no group.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown group '{0}'; it is one of hourly, daily, weekly, monthly, changes")]
pub(crate) struct UnknownGroup(pub(crate) String);

impl FromStr for RefreshGroup {
    type Err = UnknownGroup;

    fn from_str(word: &str) -> Result<Self, UnknownGroup> {
        RefreshGroup::ALL.into_iter().find(|group| group.name() == word).ok_or_else(|| UnknownGroup(word.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_time_is_a_full_hour_or_a_midnight() {
        for (group, after, expected) in [
            ("hourly", "2026-11-30T09:59:59.999Z", "2026-11-30T10:00:00Z"),
            ("hourly", "2026-11-30T10:00:00Z", "2026-11-30T11:00:00Z"),
            ("daily", "2026-11-30T10:00:00Z", "2026-12-01T00:00:00Z"),
            ("weekly", "2026-11-29T23:59:59Z", "2026-11-30T00:00:00Z"),
            ("weekly", "2026-11-30T00:00:00Z", "2026-12-07T00:00:00Z"),
            ("monthly", "2026-12-31T10:00:00Z", "2027-01-01T00:00:00Z"),
            ("monthly", "2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z"),
        ] {
            let after: Timestamp = after.parse().unwrap();
            let next_ms = group.parse::<RefreshGroup>().unwrap().next_ms(after.as_millisecond()).unwrap();
            assert_eq!(Timestamp::from_millisecond(next_ms).unwrap().to_string(), expected, "{group} after {after}");
        }
        assert_eq!(RefreshGroup::Changes.next_ms(0), None);
    }
}
