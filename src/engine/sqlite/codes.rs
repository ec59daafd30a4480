//! The fault classes of SQLite's result codes.

use sqlx::sqlite::SqliteError;

use crate::model::fault::{Fault, FaultClass};

/// Source: <https://www.sqlite.org/rescode.html>. The primary code is the low byte.
pub(in crate::engine) fn fault(error: &SqliteError) -> Fault {
    use sqlx::error::DatabaseError as _;
    let code = error.code().and_then(|c| c.parse::<u32>().ok()).unwrap_or(1);
    let class = match code & 0xff {
        5 | 6 => FaultClass::Busy,
        3 | 23 => FaultClass::PermissionDenied,
        8 => FaultClass::ReadOnly,
        9 => FaultClass::Cancelled,
        10 | 13 => FaultClass::Resources,
        11 | 26 => FaultClass::NotADatabase,
        14 => FaultClass::UnknownDatabase,
        19 => FaultClass::ConstraintViolation,
        _ => FaultClass::Other,
    };
    Fault::with_code(class, code.to_string(), error.message())
}
