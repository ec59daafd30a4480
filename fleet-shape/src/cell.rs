//! One value of a row, whatever the engine.

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use rust_decimal::Decimal;
use uuid::Uuid;

/// One value, whatever the engine.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Cell {
    /// NULL.
    Null,
    /// A boolean.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A decimal number with the scale it is written with.
    Decimal(Decimal),
    /// A text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// A UUID.
    Uuid(Uuid),
    /// A point in time, to the second.
    Moment(DateTime<Utc>),
    /// A day of the calendar.
    Day(NaiveDate),
    /// A time of day, to the second.
    Time(NaiveTime),
    /// JSON as text.
    Json(String),
    /// A value that was read from the same database.
    Key(Key),
}

/// A value as the database has it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Key {
    /// A literal of the engine.
    pub literal: String,
    /// The same without quotes, in lower case; a UUID is 32 hex digits on every engine.
    pub text: String,
}

impl Key {
    /// A key from a literal of the engine.
    pub fn new(literal: String) -> Self {
        let lower = literal.to_lowercase();
        let bare = lower.strip_prefix('x').filter(|rest| rest.starts_with('\'')).unwrap_or(&lower);
        let inner = bare.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')).unwrap_or(bare);
        let hex: String = inner.chars().filter(|c| *c != '-').collect();
        let is_uuid = hex.len() == 32 && hex.bytes().all(|b| b.is_ascii_hexdigit());
        let text = if is_uuid { hex } else { inner.replace("''", "'") };
        Key { literal, text }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_reads_the_same_from_every_engine() {
        let uuid = "0123456789ab4def8000000000000001";
        assert_eq!(Key::new("X'0123456789AB4DEF8000000000000001'".into()).text, uuid);
        assert_eq!(Key::new("'01234567-89ab-4def-8000-000000000001'".into()).text, uuid);
        assert_eq!(Key::new("'O''Brien'".into()).text, "o'brien");
        assert_eq!((Key::new("12".into()).text, Key::new("'12'".into()).text), ("12".into(), "12".into()));
    }
}
