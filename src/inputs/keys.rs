//! The keys of `[fleet]` and the form that each value must have.
//!
//! Every layer (file, environment, flags) passes through here, so that all of them are refused for the same reasons.

use crate::model::text::unprintable;

use super::document::{Item, article, integer};
use crate::policy::{FailureBudget, parse_duration};

/// The form of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// Any printable text.
    Text,
    /// A whole number from 1 to a million.
    Count,
    /// A duration; the flag says whether zero has a meaning.
    Duration { zero: bool },
    /// A failure budget.
    Budget,
    /// A share in percent, from 1.
    Share,
    /// What becomes of a tenant that an engine could not roll back: `leave` or `restore`.
    OnFailure,
    /// A path or URL; checked where it is taken apart.
    Ledger,
}

/// All keys of `[fleet]`, in the order in which they are shown, with their defaults (empty: none).
pub(crate) const KEYS: [(&str, Form, &str); 22] = [
    ("name", Form::Text, ""),
    ("concurrency", Form::Count, "16"),
    ("per_server", Form::Count, "8"),
    ("connect_timeout", Form::Duration { zero: false }, "10s"),
    ("lock_timeout", Form::Duration { zero: false }, "3s"),
    ("statement_timeout", Form::Duration { zero: true }, "0s"),
    ("cancel_timeout", Form::Duration { zero: false }, "10s"),
    ("silence_timeout", Form::Duration { zero: false }, "1m"),
    ("attempts", Form::Count, "5"),
    ("retry_pause", Form::Duration { zero: true }, "200ms"),
    ("longest_pause", Form::Duration { zero: true }, "10s"),
    ("hold_wait", Form::Duration { zero: true }, "60s"),
    ("lock_wait", Form::Duration { zero: true }, "2m"),
    ("max_failures", Form::Budget, "unlimited"),
    ("outage", Form::Share, "50%"),
    ("long_transaction", Form::Duration { zero: false }, "5m"),
    ("replication_lag", Form::Duration { zero: false }, "30s"),
    ("ledger", Form::Ledger, "fleet-ledger.db"),
    ("scripts", Form::Text, ""),
    ("backups", Form::Text, "backups"),
    ("backup_timeout", Form::Duration { zero: true }, "1h"),
    ("on_failure", Form::OnFailure, "leave"),
];

/// The form of a key; `None` for an unknown one.
pub(crate) fn form(key: &str) -> Option<Form> {
    KEYS.iter().find(|(name, ..)| *name == key).map(|&(_, form, _)| form)
}

/// A share's number of percent.
pub(super) fn share(text: &str) -> Option<u8> {
    text.trim().strip_suffix('%')?.trim().parse().ok()
}

impl Form {
    /// Checks a text; the error says what it must be. It never holds the text, which may be a secret.
    pub(crate) fn check(self, text: &str) -> Result<(), &'static str> {
        match self {
            Form::Text if text.trim().is_empty() || unprintable(text).is_some() => Err("a printable text"),
            Form::Ledger if text.trim().is_empty() || unprintable(text).is_some() => Err("a path or a database URL"),
            Form::Text | Form::Ledger => Ok(()),
            Form::OnFailure if ["leave", "restore"].contains(&text) => Ok(()),
            Form::OnFailure => Err("\"leave\" or \"restore\""),
            Form::Count => match text.parse::<u32>() {
                Ok(1..=1_000_000) => Ok(()),
                _ => Err("a whole number, 1 to 1000000"),
            },
            Form::Duration { zero } => match parse_duration(text) {
                Ok(d) if d.is_zero() && !zero => Err("a duration of more than 0s, such as \"3s\""),
                Ok(_) => Ok(()),
                Err(_) => Err("a duration of at most a day with its unit, such as \"500ms\", \"5s\" or \"2m\""),
            },
            Form::Share => match share(text) {
                Some(1..=100) => Ok(()),
                _ => Err("a share from \"1%\" to \"100%\""),
            },
            Form::Budget => {
                text.parse::<FailureBudget>().map(|_| ()).map_err(|_| "a count (3), a share (\"5%\") or \"unlimited\"")
            }
        }
    }

    /// Reads a value of the file into the text that all layers share.
    pub(crate) fn read(self, item: &Item<'_>) -> Result<String, String> {
        let number = integer(item).map(|n| n.to_string());
        let text = match self {
            Form::Count => number,
            Form::Budget => number.or_else(|| item.get_ref().as_str().map(str::to_owned)),
            Form::Text | Form::Duration { .. } | Form::Share | Form::Ledger | Form::OnFailure => {
                item.get_ref().as_str().map(str::to_owned)
            }
        };
        match text {
            Some(text) => self.check(&text).map(|()| text).map_err(|wanted| format!("must be {wanted}")),
            None => Err(format!("must be {}, not {}", self.wanted(), article(item))),
        }
    }

    fn wanted(self) -> &'static str {
        match self {
            Form::Text => "a text in quotes",
            Form::OnFailure => "\"leave\" or \"restore\", in quotes",
            Form::Count => "a whole number without quotes",
            Form::Duration { .. } => "a duration in quotes with its unit, such as \"5s\"",
            Form::Budget => "a count (3), a share (\"5%\") or \"unlimited\"",
            Form::Share => "a share in quotes, such as \"50%\"",
            Form::Ledger => "a path or a database URL in quotes",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_can_not_be_switched_off_by_accident() {
        assert!(form("lock_timeout").unwrap().check("0s").is_err());
        assert!(form("statement_timeout").unwrap().check("0s").is_ok());
        assert!(form("concurrency").unwrap().check("0").is_err());
    }

    #[test]
    fn every_default_has_its_form() {
        for (name, form, default) in KEYS.iter().filter(|(_, _, default)| !default.is_empty()) {
            assert_eq!(form.check(default), Ok(()), "{name}");
        }
    }
}
