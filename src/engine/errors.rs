//! Maps a driver's error to a fault: by SQLSTATE, error number or result code, never by text.
//!
//! No URL and no secret gets into a fault: driver messages that mention URLs are replaced.

use std::io::ErrorKind;

use sea_orm::{DbErr, RuntimeErr};
use sqlx::mysql::MySqlDatabaseError;
use sqlx::postgres::PgDatabaseError;
use sqlx::sqlite::SqliteError;

use super::{mysql, postgres, sqlite};
use crate::model::engine::{Engine, EngineMap};
use crate::model::fault::{Fault, FaultClass};

/// One code of an engine, and the class that it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Code {
    /// A SQLSTATE, an error number or a result code.
    pub(crate) code: String,
    /// Its name in the engine's manual.
    pub(crate) name: String,
    pub(crate) class: FaultClass,
}

/// The codes of an engine that have a class of their own, class by class. A code that is not listed has the class of its
/// group (PostgreSQL: its first two characters, SQLite: its low byte), or `other`.
pub(crate) fn codes(engine: Engine) -> Vec<Code> {
    static LISTED: EngineMap<fn() -> Vec<Code>> = EngineMap {
        sqlite: || sqlite::codes::listed().collect(),
        postgres: || postgres::codes::listed().collect(),
        mysql: || mysql::codes::listed().collect(),
    };
    LISTED[engine]()
}

/// Whether a server says with this code that it can't carry a statement out in the form in which it is written, before
/// anything has happened: `LOCK=NONE`, or a constraint of a partitioned table that is not valid yet.
pub(crate) fn is_of_form(fault: &Fault) -> bool {
    matches!(fault.code.as_deref(), Some("0A000" | "42809" | "1845" | "1846"))
}

/// The fault for a driver's error, which the log hears of.
pub(crate) fn fault(error: &sqlx::Error) -> Fault {
    let fault = of(error);
    let (class, code, error) = (fault.class.name(), fault.code.as_deref(), fault.message.as_str());
    tracing::debug!(target: "fleet::engine", class, code, error, "refused");
    fault
}

/// The fault for a driver's error, of which the log hears elsewhere.
pub(crate) fn of(error: &sqlx::Error) -> Fault {
    use sqlx::Error as E;
    match error {
        E::Database(inner) => {
            if let Some(pg) = inner.try_downcast_ref::<PgDatabaseError>() {
                return postgres::codes::fault(pg);
            }
            if let Some(my) = inner.try_downcast_ref::<MySqlDatabaseError>() {
                let (number, class) = (my.number(), mysql::codes::class(my.number()));
                let fault = Fault::with_code(class, number.to_string(), mysql::codes::of_statement(my.message()));
                // An expired password may show only in the first query.
                return if class == FaultClass::Authentication { mysql::codes::login(fault, number) } else { fault };
            }
            if let Some(lite) = inner.try_downcast_ref::<SqliteError>() {
                return sqlite::codes::fault(lite);
            }
            Fault::new(FaultClass::Other, inner.message())
        }
        E::AnyDriverError(inner) if let Some(fault) = inner.downcast_ref::<Fault>() => fault.clone(),
        E::Io(io) => io_fault(io),
        E::Tls(_) => Fault::new(FaultClass::Tls, format!("TLS failed: {}", chain(error))),
        E::Configuration(_) => Fault::new(FaultClass::BadAddress, "the URL can't be used; check its parts and options"),
        E::WorkerCrashed | E::PoolClosed => Fault::new(FaultClass::ConnectionLost, "the connection's worker ended"),
        E::PoolTimedOut => Fault::new(
            FaultClass::ConnectionLost,
            "the migration asked for a second connection while it held the only one, or the connection was lost",
        ),
        // `COPY … FROM STDIN` ends here too, and would fail again: a retry can't help.
        E::Protocol(text) => Fault::new(FaultClass::Other, format!("the server said something unexpected: {text}")),
        other => Fault::new(FaultClass::Other, chain(other)),
    }
}

/// The fault at the end of a transaction, which no statement is told with. fleet's own guards have codes of their own.
pub(crate) fn at_commit(fault: Fault) -> Fault {
    if fault.class.is_transient() || fault.code.as_ref().is_none_or(|code| code.starts_with("FL")) {
        return fault;
    }
    let text = "; told at the end of the transaction, where deferred constraints and constraint triggers are checked";
    Fault { message: format!("{}{text}", fault.message), ..fault }
}

/// The fault for a driver's error while connecting: a failed TLS handshake looks like malformed data. A login that the
/// driver itself gives up has no code, so only its text tells it apart.
pub(crate) fn connecting(error: &sqlx::Error) -> Fault {
    let is_login = |text: &str| text.contains("authentication") || text.contains("cleartext_plugin");
    match error {
        sqlx::Error::Io(io) if io.kind() == ErrorKind::InvalidData => {
            Fault::new(FaultClass::Tls, format!("TLS failed: {io}"))
        }
        sqlx::Error::Protocol(text) if is_login(text) => {
            // The driver puts its own line behind it.
            let told = text.split(" (sqlx").next().unwrap_or_default();
            let text = format!("the login can't go on: {told}; {}", mysql::codes::OTHER_PLUGIN);
            Fault::new(FaultClass::Authentication, text)
        }
        sqlx::Error::Database(inner) => match inner.try_downcast_ref::<MySqlDatabaseError>() {
            Some(my) if my.number() == mysql::codes::PLUGIN_IS_NOT_LOADED => {
                mysql::codes::login(Fault { class: FaultClass::Authentication, ..fault(error) }, my.number())
            }
            _ => fault(error),
        },
        other => fault(other),
    }
}

/// The driver's error for one that MySQL or MariaDB tells in a row, which has no number: only its text in English says
/// which it is.
pub(crate) fn in_row(text: &str) -> sqlx::Error {
    const KNOWN: [(&str, u16); 3] =
        [("Lock wait timeout exceeded", 1205), ("Deadlock found", 1213), ("doesn't exist", 1146)];
    let number = KNOWN.iter().find(|(part, _)| text.contains(part)).map_or(1105, |(_, number)| *number);
    let fault = Fault::with_code(mysql::codes::class(number), number.to_string(), text);
    sqlx::Error::AnyDriverError(Box::new(fault))
}

/// The fault for a SeaORM error.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_that_can_not_be_used_is_not_quoted() {
        let error = sqlx::Error::Configuration("postgres://u:s3cret@h has a bad port".into());
        assert!(!fault(&error).to_string().contains("s3cret"));
    }
}
