//! Whether SQL text can represent the values that a statement binds.
//!
//! It never guesses: a value counts as representable only if its literal is known to mean the same on every engine.

use sea_orm::sea_query::Value;
use sea_orm::{DbBackend, Statement};

/// A statement with its bound values as literals, or the kind of a value that has no exact literal.
///
/// A float without a fraction turns into an integer and divides like one, a `DateTimeUtc` is spelled differently on
/// SQLite, a UUID is 16 bytes on MySQL and SQLite but would be text: such a script would write different data from the
/// migration.
pub(super) fn literal(mut statement: Statement) -> Result<Statement, &'static str> {
    if let Some(values) = &mut statement.values {
        for value in &mut values.0 {
            if let (Value::Uuid(Some(uuid)), DbBackend::MySql | DbBackend::Sqlite) = (&*value, statement.db_backend) {
                *value = Value::Bytes(Some(uuid.as_bytes().to_vec()));
            }
            if let Some(kind) = not_carried(value) {
                return Err(kind);
            }
        }
    }
    Ok(statement)
}

/// The kind of a value that has no exact literal.
fn not_carried(value: &Value) -> Option<&'static str> {
    match value {
        value if *value == value.as_null() => None,
        Value::Bool(_) | Value::TinyInt(_) | Value::SmallInt(_) | Value::Int(_) | Value::BigInt(_) => None,
        Value::TinyUnsigned(_) | Value::SmallUnsigned(_) | Value::Unsigned(_) | Value::Bytes(_) => None,
        // Only PostgreSQL gets here: elsewhere it is already bytes.
        Value::Uuid(_) => None,
        Value::BigUnsigned(Some(n)) if i64::try_from(*n).is_ok() => None,
        Value::BigUnsigned(_) => Some("an integer beyond 64 bits with sign"),
        // SQLite reads a statement up to its first NUL; MySQL reads sea-query's escape for U+001A as a plain z.
        Value::String(Some(text)) if text.contains(['\0', '\u{1a}']) => Some("a text with NUL or U+001A"),
        Value::Char(Some('\0' | '\u{1a}')) => Some("a text with NUL or U+001A"),
        Value::String(_) | Value::Char(_) => None,
        Value::Float(_) | Value::Double(_) => Some("a floating-point number"),
        Value::Json(_) => Some("JSON"),
        Value::ChronoDate(_)
        | Value::ChronoTime(_)
        | Value::ChronoDateTime(_)
        | Value::ChronoDateTimeUtc(_)
        | Value::ChronoDateTimeLocal(_)
        | Value::ChronoDateTimeWithTimeZone(_) => Some("a date or time"),
        _ => Some("a value of an engine's own type"),
    }
}
