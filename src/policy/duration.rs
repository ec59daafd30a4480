//! Durations in human notation: `500ms`, `5s`, `2m 30s`.

use std::time::Duration;

/// A text that is not a duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a duration; write a number with a unit, such as 500ms, 5s or 2m")]
pub(crate) struct BadDuration(pub(crate) String);

/// Parses a duration such as `500ms`, `5s` or `2m 30s`, of at most one day, rounded up to whole milliseconds.
///
/// No engine has a finer unit, and to most of them a limit of 0 is no limit: rounding up here, in one place, ensures that a
/// limit that is set never becomes none.
///
/// # Errors
/// [`BadDuration`] for a number without a unit, an unknown unit, a negative number, or more than a day.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, BadDuration> {
    match humantime::parse_duration(text.trim()) {
        Ok(d) if d <= Duration::from_secs(86_400) => Ok(whole_millis(d)),
        _ => Err(BadDuration(text.to_owned())),
    }
}

fn whole_millis(d: Duration) -> Duration {
    Duration::from_millis(u64::try_from(d.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX))
}

/// Formats a duration for display, rounded to its significant digits: `3.8ms`, `1.25s`, `2m 5s`.
pub(crate) fn format_duration(d: Duration) -> String {
    let ms = d.as_secs_f64() * 1000.0;
    match ms {
        _ if ms < 10.0 => format!("{ms:.1}ms"),
        _ if ms < 1000.0 => format!("{ms:.0}ms"),
        _ if ms < 60_000.0 => format!("{:.1}s", ms / 1000.0),
        _ => humantime::format_duration(Duration::from_secs(d.as_secs())).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_units_and_refuses_bare_numbers() {
        assert_eq!(parse_duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_duration("2m 30s"), Ok(Duration::from_secs(150)));
        for bad in ["5", "", "-1s", "5 parsecs", "2days"] {
            assert!(parse_duration(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_duration_that_is_set_never_becomes_none_at_all() {
        let millis = |text| parse_duration(text).unwrap().as_millis();
        assert_eq!(["0s", "1ns", "900us", "1ms 1us", "1day"].map(millis), [0, 1, 1, 2, 86_400_000]);
    }

    #[test]
    fn writes_what_matters() {
        assert_eq!(format_duration(Duration::from_micros(3_840)), "3.8ms");
        assert_eq!(format_duration(Duration::from_millis(1_250)), "1.2s");
        assert_eq!(format_duration(Duration::from_secs(125)), "2m 5s");
    }
}
