//! The form of a setting's value, the same for every layer: file, environment and flags are refused for the same
//! reasons.
//!
//! It knows no setting by name.

use std::borrow::Cow;

use crate::model::text::unprintable;

use super::document::{Item, article, integer};
use crate::policy::{BadFailureBudget, Deadline, FailureBudget, Rate, Size, Window, parse_duration};

const RATE: &str = "a number of tenants and a unit of time: \"10/min\", \"2/s\" or \"100/h\"";
const SIZE: &str = "a size in quotes with its unit: \"500MB\", \"20GB\" or \"2TB\"";
const DEADLINE: &str = "a duration (\"90m\"), a time of the day with its zone (\"04:00 Europe/Berlin\") or a moment (\"2026-11-29T04:00:00Z\")";
const WINDOW: &str = "hours with their time zone, such as \"22:00-04:00 Europe/Berlin\", or \"always\"";

/// The form of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// Any printable text.
    Text,
    /// A whole number from 1 to a million.
    Count,
    /// A duration; `zero`: whether zero is allowed.
    Duration { zero: bool },
    /// A failure budget.
    Budget,
    /// Tenants in a time.
    Rate,
    /// Bytes.
    Size,
    /// A duration or a time.
    Deadline,
    /// Hours of the day.
    Window,
    /// A share in percent, from 1.
    Percent,
    /// Yes or no; `off`: the long flag that says no.
    Switch { off: &'static str },
    /// One of these words.
    Choice(&'static [&'static str]),
    /// The path of a folder.
    Folder,
    /// A path or URL; checked further where it is parsed, and never shown.
    Ledger,
}

/// The number of a share in percent.
pub(super) fn percent(text: &str) -> Option<u8> {
    text.trim().strip_suffix('%')?.trim().parse().ok()
}

impl Form {
    /// Checks a text; the error completes "must be ...". It never holds the text, which may be a secret.
    pub(crate) fn check(self, text: &str) -> Result<(), Cow<'static, str>> {
        let is_printable = || !text.trim().is_empty() && unprintable(text).is_none();
        let (is_good, wanted) = match self {
            Form::Text | Form::Folder => (is_printable(), "a printable text"),
            Form::Ledger => (is_printable(), "a path or a database URL"),
            Form::Switch { .. } => (matches!(text, "true" | "false"), "true or false"),
            Form::Choice(words) => return if words.contains(&text) { Ok(()) } else { Err(quoted(words).into()) },
            Form::Count => (matches!(text.parse::<u32>(), Ok(1..=1_000_000)), "a whole number, 1 to 1000000"),
            Form::Duration { zero } => match parse_duration(text) {
                Ok(d) => (zero || !d.is_zero(), "a duration of more than 0s, such as \"3s\""),
                Err(_) => (false, "a duration of at most a day with its unit, such as \"500ms\", \"5s\" or \"2m\""),
            },
            Form::Percent => (matches!(percent(text), Some(1..=100)), "a share from \"1%\" to \"100%\""),
            Form::Budget => match text.parse::<FailureBudget>() {
                Err(BadFailureBudget::Kind { known, .. }) => {
                    return Err(format!("a failure budget with only these kinds behind `without`: {known}").into());
                }
                read => (read.is_ok(), "a count (3), a share (\"5%\") or \"unlimited\""),
            },
            Form::Rate => (text.parse::<Rate>().is_ok(), RATE),
            Form::Size => (text.parse::<Size>().is_ok(), SIZE),
            Form::Deadline => (text.parse::<Deadline>().is_ok(), DEADLINE),
            Form::Window => (text.parse::<Window>().is_ok(), WINDOW),
        };
        if is_good { Ok(()) } else { Err(wanted.into()) }
    }

    /// Reads a value of the file into the text that all layers share.
    pub(crate) fn read(self, item: &Item<'_>) -> Result<String, String> {
        let number = || integer(item.get_ref()).map(|n| n.to_string());
        let text = || item.get_ref().as_str().map(str::to_owned);
        let found = match self {
            Form::Count => number(),
            Form::Budget => number().or_else(text),
            Form::Switch { .. } => item.get_ref().as_bool().map(|is| is.to_string()),
            _ => text(),
        };
        match found {
            Some(text) => self.check(&text).map(|()| text).map_err(|wanted| format!("must be {wanted}")),
            None => Err(format!("must be {}, not {}", self.wanted(), article(item))),
        }
    }

    fn wanted(self) -> Cow<'static, str> {
        match self {
            Form::Text | Form::Folder => "a text in quotes".into(),
            Form::Switch { .. } => "true or false, without quotes".into(),
            Form::Choice(words) => format!("{}, in quotes", quoted(words)).into(),
            Form::Count => "a whole number without quotes".into(),
            Form::Duration { .. } => "a duration in quotes with its unit, such as \"5s\"".into(),
            Form::Budget => "a count (3), a share (\"5%\") or \"unlimited\"".into(),
            Form::Percent => "a share in quotes, such as \"50%\"".into(),
            Form::Rate => RATE.into(),
            Form::Size => SIZE.into(),
            Form::Deadline => DEADLINE.into(),
            Form::Window => WINDOW.into(),
            Form::Ledger => "a path or a database URL in quotes".into(),
        }
    }

    /// Refuses a flag of another type. A value of the right type out of its range is a wrong setting, reported as in
    /// every other layer.
    pub(crate) fn parse_flag(self, text: &str) -> Result<String, String> {
        let refused = match self {
            Form::Count => text.parse::<u32>().err().map(|e| e.to_string()),
            Form::Duration { .. } => parse_duration(text).err().map(|e| e.to_string()),
            Form::Budget => text.parse::<FailureBudget>().err().map(|e| e.to_string()),
            Form::Rate => text.parse::<Rate>().err().map(|e| e.to_string()),
            Form::Deadline => text.parse::<Deadline>().err().map(|e| e.to_string()),
            Form::Window => text.parse::<Window>().err().map(|e| e.to_string()),
            _ => None,
        };
        refused.map_or_else(|| Ok(text.to_owned()), Err)
    }

    /// The placeholder of the value in help pages.
    pub(crate) fn placeholder(self) -> &'static str {
        match self {
            Form::Text => "TEXT",
            Form::Count => "N",
            Form::Duration { .. } => "DURATION",
            Form::Budget => "BUDGET",
            Form::Percent => "PERCENT",
            Form::Rate => "N/min",
            Form::Size => "SIZE",
            Form::Deadline => "DURATION|TIME",
            Form::Window => "WINDOW",
            Form::Choice(_) | Form::Switch { .. } => "WHAT",
            Form::Folder => "FOLDER",
            Form::Ledger => "FILE|URL",
        }
    }

    /// The type and range for a reference page.
    pub(crate) fn describe(self) -> Cow<'static, str> {
        match self {
            Form::Text => "text".into(),
            Form::Count => "whole number, 1 to 1000000".into(),
            Form::Duration { zero: false } => "duration above 0s".into(),
            Form::Duration { zero: true } => "duration, 0s or more".into(),
            Form::Budget => "count (`3`), share (`\"5%\"`) or `\"unlimited\"`".into(),
            Form::Percent => "share, `\"1%\"` to `\"100%\"`".into(),
            Form::Rate => "`\"10/min\"`, `\"2/s\"` or `\"100/h\"`".into(),
            Form::Size => "size, such as `\"20GB\"`".into(),
            Form::Deadline => "duration, time of the day with its zone, or moment".into(),
            Form::Window => "hours with their time zone, or `\"always\"`".into(),
            Form::Switch { .. } => "`true` or `false`".into(),
            Form::Choice(words) => words.iter().map(|w| format!("`\"{w}\"`")).collect::<Vec<_>>().join(" or ").into(),
            Form::Folder => "path of a folder".into(),
            Form::Ledger => "path or database URL".into(),
        }
    }
}

/// `"leave" or "restore"`.
fn quoted(words: &[&str]) -> String {
    words.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(" or ")
}
