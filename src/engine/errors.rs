//! From a driver's error to a fault: by SQLSTATE, error number or result code, never by text.
//!
//! No URL and no secret gets into a fault: drivers' texts about URLs are replaced by ours.

use std::io::ErrorKind;

use sea_orm::{DbErr, RuntimeErr};
use sqlx::mysql::MySqlDatabaseError;
use sqlx::postgres::{PgDatabaseError, PgErrorPosition};
use sqlx::sqlite::SqliteError;

use crate::model::fault::{Fault, FaultClass};

/// What a driver's error means.
pub(crate) fn fault(error: &sqlx::Error) -> Fault {
    use sqlx::Error as E;
    match error {
        E::Database(inner) => {
            if let Some(pg) = inner.try_downcast_ref::<PgDatabaseError>() {
                return postgres(pg);
            }
            if let Some(my) = inner.try_downcast_ref::<MySqlDatabaseError>() {
                return Fault::with_code(mysql_class(my.number()), my.number().to_string(), my.message());
            }
            if let Some(lite) = inner.try_downcast_ref::<SqliteError>() {
                return sqlite(lite);
            }
            Fault::new(FaultClass::Other, inner.message())
        }
        E::Io(io) => io_fault(io),
        E::Tls(_) => Fault::new(FaultClass::Tls, format!("TLS failed: {}", chain(error))),
        E::Configuration(_) => Fault::new(FaultClass::BadAddress, "the URL can't be used; check its parts and options"),
        E::WorkerCrashed | E::PoolClosed => Fault::new(FaultClass::ConnectionLost, "the connection's worker ended"),
        E::PoolTimedOut => Fault::new(
            FaultClass::ConnectionLost,
            "the migration asked for a second connection while it held the only one, or the connection was lost",
        ),
        // `COPY … FROM STDIN` ends here too, and would again: nothing that a further try could help.
        E::Protocol(text) => Fault::new(FaultClass::Other, format!("the server said something unexpected: {text}")),
        other => Fault::new(FaultClass::Other, chain(other)),
    }
}

/// What a driver's error means while a connection is made: TLS that fails in its handshake looks like broken data.
pub(crate) fn connecting(error: &sqlx::Error) -> Fault {
    match error {
        sqlx::Error::Io(io) if io.kind() == ErrorKind::InvalidData => {
            Fault::new(FaultClass::Tls, format!("TLS failed: {io}"))
        }
        other => fault(other),
    }
}

/// What an error from SeaORM means.
pub(crate) fn sea_orm_fault(error: &DbErr) -> Fault {
    match error {
        DbErr::Conn(RuntimeErr::SqlxError(e))
        | DbErr::Exec(RuntimeErr::SqlxError(e))
        | DbErr::Query(RuntimeErr::SqlxError(e)) => fault(e),
        DbErr::ConnectionAcquire(_) => fault(&sqlx::Error::PoolTimedOut),
        other => Fault::new(FaultClass::Migration, other.to_string()),
    }
}

fn io_fault(io: &std::io::Error) -> Fault {
    let class = match io.kind() {
        ErrorKind::ConnectionRefused
        | ErrorKind::HostUnreachable
        | ErrorKind::NetworkUnreachable
        | ErrorKind::NotFound => FaultClass::ConnectionRefused,
        ErrorKind::TimedOut => FaultClass::ConnectTimeout,
        _ => FaultClass::ConnectionLost,
    };
    Fault::new(class, io.to_string())
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        source = inner.source();
    }
    text
}

fn postgres(error: &PgDatabaseError) -> Fault {
    // The driver's own Display adds a line number of the server's source; only the server's words are kept.
    let detail = error.detail().map(|d| format!(" ({d})")).unwrap_or_default();
    Fault::with_code(postgres_class(error.code()), error.code(), format!("{}{detail}", error.message()))
}

/// Source: <https://www.postgresql.org/docs/15/errcodes-appendix.html>, and the guard's own codes.
pub(crate) fn postgres_class(code: &str) -> FaultClass {
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

/// Sources: <https://mariadb.com/kb/en/mariadb-error-code-reference/>,
/// <https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html>.
pub(crate) fn mysql_class(number: u16) -> FaultClass {
    use FaultClass as F;
    match number {
        1205 => F::LockTimeout,
        1213 => F::Deadlock,
        1040 | 1203 | 1226 => F::TooManyConnections,
        1044 | 1142 | 1143 | 1227 | 1370 => F::PermissionDenied,
        1045 | 1130 | 1251 | 1698 | 1820 | 1862 => F::Authentication,
        1049 => F::UnknownDatabase,
        1007 | 1050 | 1060 | 1061 | 1304 | 1359 | 1826 => F::AlreadyExists,
        1054 | 1091 | 1146 | 1305 | 1360 => F::Missing,
        1048 | 1062 | 1216 | 1217 | 1364 | 1406 | 1451 | 1452 | 3819 | 4025 => F::ConstraintViolation,
        1064 | 1065 | 1149 => F::Syntax,
        1290 | 1792 | 1836 => F::ReadOnly,
        1969 | 3024 => F::StatementTimeout,
        1317 => F::Cancelled,
        1021 | 1037 | 1041 | 1114 => F::Resources,
        1053 | 1077 | 1079 | 1152 | 1927 | 2006 | 2013 => F::ConnectionLost,
        3159 => F::Tls,
        _ => F::Other,
    }
}

/// Source: <https://www.sqlite.org/rescode.html>. The primary code is the low byte.
fn sqlite(error: &SqliteError) -> Fault {
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

/// The character of the message, from 1, that PostgreSQL points at.
pub(crate) fn character(error: &sqlx::Error) -> Option<usize> {
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
        assert_eq!(postgres_class("55P03"), FaultClass::LockTimeout);
        assert_eq!(postgres_class("23505"), FaultClass::ConstraintViolation);
        assert_eq!(postgres_class("57P01"), FaultClass::ConnectionLost);
        assert_eq!(postgres_class("FL002"), FaultClass::HistoryMoved);
        assert_eq!(postgres_class(""), FaultClass::Other);
    }

    #[test]
    fn a_url_that_can_not_be_used_is_not_quoted() {
        let error = sqlx::Error::Configuration("postgres://u:s3cret@h has a bad port".into());
        assert!(!fault(&error).to_string().contains("s3cret"));
    }
}
