//! The rate at which a run starts tenants: `10/min`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::Deserialize;

/// A number of tenants in a time, evenly spread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Rate {
    /// At least 1.
    count: u32,
    unit: Unit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Second,
    Minute,
    Hour,
}

impl Unit {
    const ALL: [(Unit, &'static str, u64); 3] =
        [(Unit::Second, "s", 1), (Unit::Minute, "min", 60), (Unit::Hour, "h", 3_600)];
}

impl Rate {
    /// The least time between two starts: then no second, minute or hour has more of them, wherever it begins.
    pub(crate) fn interval(self) -> Duration {
        let seconds = Unit::ALL.iter().find(|(unit, ..)| *unit == self.unit).map_or(1, |(_, _, seconds)| *seconds);
        // Rounded up, and one more start at the far end of a window is none within it.
        Duration::from_secs(seconds) / self.count + Duration::from_nanos(1)
    }
}

/// A text that is not a rate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a rate; write a number of tenants and a unit of time: 10/min, 2/s or 100/h")]
pub(crate) struct BadRate(String);

impl FromStr for Rate {
    type Err = BadRate;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts = text.split_once('/').map(|(count, unit)| (count.trim().parse(), unit.trim()));
        let Some((Ok(count @ 1..=1_000_000), unit)) = parts else { return Err(BadRate(text.to_owned())) };
        let unit = Unit::ALL.iter().find(|(_, name, _)| *name == unit).ok_or_else(|| BadRate(text.to_owned()))?.0;
        Ok(Rate { count, unit })
    }
}

impl TryFrom<String> for Rate {
    type Error = BadRate;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = Unit::ALL.iter().find(|(unit, ..)| *unit == self.unit).map_or("s", |(_, name, _)| name);
        write!(f, "{}/{unit}", self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        for text in ["1/s", "10/min", "100/h"] {
            assert_eq!(text.parse::<Rate>().unwrap().to_string(), text);
        }
        for bad in ["", "10", "0/s", "-1/s", "10/day", "/min", "1.5/s", "2000000/s"] {
            assert!(bad.parse::<Rate>().is_err(), "{bad}");
        }
        assert_eq!("10/min".parse::<Rate>().unwrap().interval().as_secs(), 6);
    }
}
