//! Times of the day at which a run may start tenants, and the time after which it may not: with time zones.

use std::str::FromStr;
use std::time::Duration;

use jiff::civil::Time;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan as _};
use serde::Deserialize;

/// A maintenance window: `always`, or the same hours every day, `22:00-04:00 Europe/Berlin`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Window {
    text: String,
    /// From the first time up to the second, which is the next day's where it is not later.
    hours: Option<(Time, Time, TimeZone)>,
}

impl Window {
    /// The next time at which it opens, in milliseconds since 1970-01-01 UTC; `None`: it is open.
    pub(crate) fn opens_at(&self, now_ms: i64) -> Option<i64> {
        let (from, to, zone) = self.hours.as_ref()?;
        let now = Timestamp::from_millisecond(now_ms).ok()?.to_zoned(zone.clone());
        let time = now.time();
        let is_open = if from < to { *from <= time && time < *to } else { time >= *from || time < *to };
        if is_open {
            return None;
        }
        // A day on which the hour is skipped or comes twice has one such time all the same.
        let days = [now.date(), now.date().tomorrow().ok()?];
        let openings = days.into_iter().filter_map(|day| day.to_datetime(*from).to_zoned(zone.clone()).ok());
        openings.map(|opening| opening.timestamp().as_millisecond()).find(|at_ms| *at_ms > now_ms)
    }
}

impl Window {
    /// Whether there is a time within a day from now on at which both are open.
    pub(crate) fn meets(&self, other: &Window, now_ms: i64) -> bool {
        const MINUTE_MS: i64 = 60_000;
        // From whole minutes to whole minutes, so that none is between two of these; a day may have 25 hours.
        let mut times = (0..25 * 60).map(|minute| now_ms - now_ms.rem_euclid(MINUTE_MS) + minute * MINUTE_MS);
        times.any(|at_ms| self.opens_at(at_ms).is_none() && other.opens_at(at_ms).is_none())
    }
}

impl std::fmt::Display for Window {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

/// A text that is not a window.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a maintenance window; write hours and a time zone, 22:00-04:00 Europe/Berlin, or always")]
pub(crate) struct BadWindow(String);

impl FromStr for Window {
    type Err = BadWindow;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let hours = || {
            let (hours, zone) = text.trim().split_once(' ')?;
            let (from, to) = hours.split_once('-')?;
            let hours = (time(from)?, time(to)?, TimeZone::get(zone.trim()).ok()?);
            Some(hours).filter(|(from, to, _)| from != to)
        };
        let hours = match text.trim() {
            "always" => None,
            _ => Some(hours().ok_or_else(|| BadWindow(text.to_owned()))?),
        };
        Ok(Window { text: text.trim().to_owned(), hours })
    }
}

impl TryFrom<String> for Window {
    type Error = BadWindow;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

/// The time after which a run starts nothing new: so long after its start, at a time of the day, or at a moment.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) enum Deadline {
    /// `90m`.
    After(Duration),
    /// `04:00 Europe/Berlin`: the next time that the clocks there say so.
    Clock(Time, TimeZone),
    /// `2026-11-29T04:00:00Z`.
    At(Timestamp),
}

impl Deadline {
    /// The moment that it means for a run that starts now; both in milliseconds since 1970-01-01 UTC.
    pub(crate) fn moment(&self, now_ms: i64) -> i64 {
        match self {
            Deadline::After(time) => now_ms.saturating_add(i64::try_from(time.as_millis()).unwrap_or(i64::MAX)),
            Deadline::At(at) => at.as_millisecond(),
            Deadline::Clock(time, zone) => {
                let next = || {
                    let now = Timestamp::from_millisecond(now_ms).ok()?.to_zoned(zone.clone());
                    let at = now.date().to_datetime(*time).to_zoned(zone.clone()).ok()?;
                    let at = if at > now { at } else { at.checked_add(1.day()).ok()? };
                    Some(at.timestamp().as_millisecond())
                };
                next().unwrap_or(i64::MAX)
            }
        }
    }
}

/// A text that is not a deadline.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{0}' is not a deadline; write a duration (90m), a time of the day with its zone (04:00 Europe/Berlin) or a moment (2026-11-29T04:00:00Z)"
)]
pub(crate) struct BadDeadline(String);

impl FromStr for Deadline {
    type Err = BadDeadline;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        if let Ok(after) = humantime::parse_duration(text) {
            return Ok(Deadline::After(after));
        }
        if let Ok(at) = text.parse::<Timestamp>() {
            return Ok(Deadline::At(at));
        }
        let clock = text.split_once(' ').and_then(|(hour, zone)| Some((time(hour)?, TimeZone::get(zone.trim()).ok()?)));
        clock.map(|(time, zone)| Deadline::Clock(time, zone)).ok_or_else(|| BadDeadline(text.to_owned()))
    }
}

impl TryFrom<String> for Deadline {
    type Error = BadDeadline;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

/// A time of the day: `22:00`.
fn time(text: &str) -> Option<Time> {
    let (hour, minute) = text.split_once(':')?;
    let is_two_digits = |part: &str| part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit());
    if !is_two_digits(hour) || !is_two_digits(minute) {
        return None;
    }
    Time::new(hour.parse().ok()?, minute.parse().ok()?, 0, 0).ok()
}

/// The time between two moments in milliseconds; zero where the second is not later.
pub(crate) fn until(now_ms: i64, at_ms: i64) -> Duration {
    let between = SignedDuration::from_millis(at_ms.saturating_sub(now_ms));
    Duration::try_from(between).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_millisecond()
    }

    fn opens(window: &str, now: &str) -> Option<String> {
        let at_ms = window.parse::<Window>().unwrap().opens_at(ms(now))?;
        Some(Timestamp::from_millisecond(at_ms).unwrap().to_string())
    }

    #[test]
    fn a_window_opens_by_the_clocks_of_its_zone() {
        let night = "22:00-04:00 Europe/Berlin";
        assert_eq!(opens("always", "2026-11-28T12:00:00Z"), None);
        assert_eq!(opens(night, "2026-11-28T21:00:00Z"), None, "22:00 in winter");
        assert_eq!(opens(night, "2026-11-29T02:59:59Z"), None);
        assert_eq!(opens(night, "2026-11-29T03:00:00Z").as_deref(), Some("2026-11-29T21:00:00Z"), "its end is outside");
        assert_eq!(opens(night, "2026-07-01T12:00:00Z").as_deref(), Some("2026-07-01T20:00:00Z"), "22:00 in summer");
        let noon = "11:00-13:00 UTC";
        assert_eq!(opens(noon, "2026-11-28T12:00:00Z"), None);
        assert_eq!(opens(noon, "2026-11-28T10:59:59Z").as_deref(), Some("2026-11-28T11:00:00Z"));
        assert_eq!(opens(noon, "2026-11-28T13:00:00Z").as_deref(), Some("2026-11-29T11:00:00Z"));
        // The clocks skip from 02:00 to 03:00 on this day.
        let skipped = "02:30-05:00 Europe/Berlin";
        assert_eq!(opens(skipped, "2026-03-29T00:00:00Z").as_deref(), Some("2026-03-29T01:30:00Z"));
        for bad in
            ["", "22-04 UTC", "22:00-04:00", "22:00-22:00 UTC", "25:00-04:00 UTC", "22:00-04:00 Mars/Base", "never"]
        {
            assert!(bad.parse::<Window>().is_err(), "{bad}");
        }
    }

    #[test]
    fn two_windows_meet_where_they_share_a_minute() {
        let meet = |one: &str, other: &str| {
            let (one, other): (Window, Window) = (one.parse().unwrap(), other.parse().unwrap());
            assert_eq!(one.meets(&other, NOON), other.meets(&one, NOON));
            one.meets(&other, NOON)
        };
        const NOON: i64 = 1_795_867_217_000;
        assert!(meet("22:00-04:00 Europe/Berlin", "always") && meet("22:00-04:00 UTC", "03:59-05:00 UTC"));
        assert!(!meet("22:00-04:00 UTC", "04:00-22:00 UTC"));
        assert!(
            !meet("22:00-04:00 Europe/Berlin", "22:00-04:00 America/New_York")
                || meet("22:00-04:30 Europe/Berlin", "22:00-04:00 America/New_York")
        );
    }

    #[test]
    fn a_deadline_is_a_time_from_now_on_or_the_next_on_a_clock() {
        let now = ms("2026-11-28T21:00:00Z");
        let at = |text: &str| {
            Timestamp::from_millisecond(text.parse::<Deadline>().unwrap().moment(now)).unwrap().to_string()
        };
        assert_eq!(at("90m"), "2026-11-28T22:30:00Z");
        assert_eq!(at("3days"), "2026-12-01T21:00:00Z");
        assert_eq!(at("04:00 Europe/Berlin"), "2026-11-29T03:00:00Z");
        assert_eq!(at("23:30 Europe/Berlin"), "2026-11-28T22:30:00Z");
        assert_eq!(at("22:00 Europe/Berlin"), "2026-11-29T21:00:00Z", "now is not later");
        assert_eq!(at("2026-11-29T04:00:00+01:00"), "2026-11-29T03:00:00Z");
        for bad in ["", "04:00", "4 o'clock", "soon", "2026-11-29"] {
            assert!(bad.parse::<Deadline>().is_err(), "{bad}");
        }
        assert_eq!([until(5, 7), until(7, 5)], [Duration::from_millis(2), Duration::ZERO]);
    }
}
