//! The fault classes of PostgreSQL's SQLSTATEs.

use sqlx::postgres::{PgDatabaseError, PgErrorPosition};

use crate::model::fault::{Fault, FaultClass};

/// A server error. The driver's own Display adds a line number of the server's source; only the message is kept.
pub(in crate::engine) fn fault(error: &PgDatabaseError) -> Fault {
    let detail = error.detail().map(|d| format!(" ({d})")).unwrap_or_default();
    Fault::with_code(class(error.code()), error.code(), format!("{}{detail}", error.message()))
}

/// Source: <https://www.postgresql.org/docs/15/errcodes-appendix.html>, and the guard's own codes.
pub(in crate::engine) fn class(code: &str) -> FaultClass {
    use FaultClass as F;
    match code {
        "FL001" => F::TenantLocked,
        "FL002" => F::HistoryMoved,
        "FL003" => F::WrongSchema,
        "55P03" => F::LockTimeout,
        "40P01" => F::Deadlock,
        "40001" => F::Serialization,
        "57014" => F::StatementTimeout,
        "53300" => F::TooManyConnections,
        "57P03" => F::ConnectionRefused,
        "28000" | "28P01" => F::Authentication,
        "3D000" => F::UnknownDatabase,
        "25006" => F::ReadOnly,
        "42501" => F::PermissionDenied,
        "42P04" | "42P06" | "42P07" | "42701" | "42710" | "42723" => F::AlreadyExists,
        "42P01" | "42703" | "42704" | "42883" | "3F000" => F::Missing,
        _ => match &code[..code.len().min(2)] {
            "08" | "57" | "25" => F::ConnectionLost,
            "23" => F::ConstraintViolation,
            "42" => F::Syntax,
            "53" | "54" => F::Resources,
            _ => F::Other,
        },
    }
}

/// The position in the message, in characters from 1, that PostgreSQL reports.
pub(in crate::engine) fn character(error: &sqlx::Error) -> Option<usize> {
    let error = error.as_database_error()?.try_downcast_ref::<PgDatabaseError>()?;
    match error.position()? {
        PgErrorPosition::Original(character) => Some(character),
        PgErrorPosition::Internal { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sqlstates_are_classes() {
        assert_eq!(class("55P03"), FaultClass::LockTimeout);
        assert_eq!(class("23505"), FaultClass::ConstraintViolation);
        assert_eq!(class("57P01"), FaultClass::ConnectionLost);
        assert_eq!(class("FL002"), FaultClass::HistoryMoved);
        assert_eq!(class(""), FaultClass::Other);
    }
}
