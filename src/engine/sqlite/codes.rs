//! The fault classes of SQLite's result codes.

use sqlx::sqlite::SqliteError;

use crate::engine::errors::Code;
use crate::model::fault::{Fault, FaultClass};

use FaultClass as F;

pub(in crate::engine) fn fault(error: &SqliteError) -> Fault {
    use sqlx::error::DatabaseError as _;
    let code = error.code().and_then(|c| c.parse::<u32>().ok()).unwrap_or(1);
    // A text that can't be read has the code of all errors that have none.
    let is_unread = |message: &str| {
        ["syntax error", "incomplete input"].iter().any(|end| message.ends_with(end))
            || message.starts_with("unrecognized token")
    };
    let class = if code == 1 && is_unread(error.message()) { F::Syntax } else { class(code) };
    Fault::with_code(class, code.to_string(), error.message())
}

/// The class of a result code: that of its primary code, which is the low byte.
fn class(code: u32) -> FaultClass {
    CODES.iter().find(|(primary, ..)| *primary == code & 0xff).map_or(F::Other, |(_, _, class)| *class)
}

/// The listed codes, for the book.
pub(in crate::engine) fn listed() -> impl Iterator<Item = Code> {
    CODES.iter().map(|(code, name, class)| Code { code: code.to_string(), name: (*name).to_owned(), class: *class })
}

/// Source: <https://www.sqlite.org/rescode.html>.
const CODES: [(u32, &str, FaultClass); 26] = [
    (1, "ERROR", F::Other),
    (2, "INTERNAL", F::Other),
    (3, "PERM", F::PermissionDenied),
    (4, "ABORT", F::Other),
    (5, "BUSY", F::Busy),
    (6, "LOCKED", F::Busy),
    (7, "NOMEM", F::Resources),
    (8, "READONLY", F::ReadOnly),
    (9, "INTERRUPT", F::Cancelled),
    (10, "IOERR", F::Resources),
    (11, "CORRUPT", F::NotADatabase),
    (12, "NOTFOUND", F::Other),
    (13, "FULL", F::Resources),
    (14, "CANTOPEN", F::UnknownDatabase),
    (15, "PROTOCOL", F::Busy),
    (16, "EMPTY", F::Other),
    (17, "SCHEMA", F::Other),
    (18, "TOOBIG", F::Resources),
    (19, "CONSTRAINT", F::ConstraintViolation),
    (20, "MISMATCH", F::Data),
    (21, "MISUSE", F::Other),
    (22, "NOLFS", F::Resources),
    (23, "AUTH", F::PermissionDenied),
    (24, "FORMAT", F::NotADatabase),
    (25, "RANGE", F::Other),
    (26, "NOTADB", F::NotADatabase),
];
