//! Columns of MySQL rows in the text protocol, whatever type and character set the server labels them with.

use sqlx::Row as _;
use sqlx::mysql::MySqlRow;

/// A column as text.
pub(crate) fn text(row: &MySqlRow, column: usize) -> Option<String> {
    let bytes = || row.try_get::<Option<Vec<u8>>, _>(column).ok().flatten();
    let text = row.try_get::<Option<String>, _>(column).ok().flatten();
    text.or_else(|| bytes().map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
}

/// A column as a whole number.
pub(crate) fn number(row: &MySqlRow, column: usize) -> Option<i64> {
    let signed = row.try_get::<i64, _>(column).ok();
    let unsigned = || row.try_get::<u64, _>(column).ok()?.try_into().ok();
    signed.or_else(unsigned).or_else(|| row.try_get::<i32, _>(column).ok().map(i64::from))
}
