//! Sizes in bytes: `500MB`, `20GB`.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;

/// A number of bytes that an operator wrote; at least one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Size(u64);

/// The units, the largest first. Decimal, as everywhere in reports.
const UNITS: [(&str, u64); 4] = [("TB", 1_000_000_000_000), ("GB", 1_000_000_000), ("MB", 1_000_000), ("kB", 1_000)];

/// A text that is not a size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a size; write a whole number and a unit: 500MB, 20GB or 2TB")]
pub(crate) struct BadSize(String);

impl Size {
    pub(crate) fn bytes(self) -> u64 {
        self.0
    }
}

impl FromStr for Size {
    type Err = BadSize;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let of = |(unit, size): &(&str, u64)| {
            let number: u64 = text.trim().strip_suffix(unit)?.trim_end().parse().ok()?;
            number.checked_mul(*size).filter(|bytes| *bytes > 0)
        };
        UNITS.iter().find_map(of).map(Size).ok_or_else(|| BadSize(text.to_owned()))
    }
}

impl TryFrom<String> for Size {
    type Error = BadSize;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, size) = UNITS.iter().find(|(_, size)| self.0.is_multiple_of(*size)).unwrap_or(&("B", 1));
        write!(f, "{}{unit}", self.0 / size)
    }
}

/// A number of bytes in few digits: `812 B`, `12.4 kB`, `48.0 GB`.
pub(crate) fn format_bytes(n: u64) -> String {
    scaled(n, [" GB", " MB", " kB", " B"])
}

/// A large number in few digits, with these words for a thousand million and less.
#[expect(clippy::cast_precision_loss, reason = "one digit behind the point is shown")]
pub(crate) fn scaled(n: u64, [giga, mega, kilo, one]: [&str; 4]) -> String {
    let units = [(1_000_000_000.0, giga), (1_000_000.0, mega), (1_000.0, kilo)];
    match units.iter().find(|(size, _)| n as f64 >= *size) {
        Some((size, unit)) => format!("{:.1}{unit}", n as f64 / size),
        None => format!("{n}{one}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        for text in ["1kB", "500MB", "20GB", "2TB"] {
            assert_eq!(text.parse::<Size>().unwrap().to_string(), text);
        }
        assert_eq!("1000 MB".parse::<Size>().unwrap().to_string(), "1GB");
        for bad in ["", "20", "0GB", "-1GB", "1.5GB", "20GiB", "GB", "99999999999TB"] {
            assert!(bad.parse::<Size>().is_err(), "{bad}");
        }
    }
}
