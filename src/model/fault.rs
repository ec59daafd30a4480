//! A fault of a tenant: a class, the engine's own code, a text without secrets.
//!
//! Plain data. Classes are decided from SQLSTATEs and error numbers at the database door, never from text.

use serde::{Deserialize, Serialize};

/// The class of a fault. Retrying and reporting go by this, never by the text.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    strum::Display,
    strum::IntoStaticStr,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
#[non_exhaustive]
pub(crate) enum FaultClass {
    /// Nothing listens at the address.
    ConnectionRefused,
    /// The host name does not resolve.
    Dns,
    /// The server did not answer within the connect timeout.
    ConnectTimeout,
    /// The server refused the user or the password.
    Authentication,
    /// The database, schema or file does not exist.
    UnknownDatabase,
    /// The server has no connection to spare.
    TooManyConnections,
    /// TLS was required and failed, or is not offered.
    Tls,
    /// The address itself is unusable: a credential could not be read, or the URL is malformed.
    BadAddress,
    /// A connection pooler stands in front of the database, and the work needs a dedicated session.
    Pooler,
    /// The connection was lost after it had been made.
    ConnectionLost,
    /// A lock was not granted within the lock timeout.
    LockTimeout,
    /// This session was chosen as the victim of a deadlock.
    Deadlock,
    /// A serialization failure.
    Serialization,
    /// An SQLite database is busy.
    Busy,
    /// A statement exceeded its time limit.
    StatementTimeout,
    /// Cancelled by this program.
    Cancelled,
    /// Another run holds this tenant.
    TenantLocked,
    /// The history changed between reading and applying.
    HistoryMoved,
    /// The session is not in the tenant's schema.
    WrongSchema,
    /// The database is read-only.
    ReadOnly,
    /// The server takes no writes: it has just become the follower in a failover, or a setting says so.
    ServerReadOnly,
    /// The user lacks a privilege.
    PermissionDenied,
    /// An object that a migration creates exists already.
    AlreadyExists,
    /// An object that a migration needs does not exist.
    Missing,
    /// A constraint was violated by data.
    ConstraintViolation,
    /// A value that a type, function or operator does not take.
    Data,
    /// The SQL is not valid on this engine.
    Syntax,
    /// A statement that can't run in the transaction it is in, or needs one.
    Transaction,
    /// Another server, to which the statement itself had connected, failed.
    Foreign,
    /// No disk space, or another resource of the server is used up.
    Resources,
    /// The file is not a database, or it is damaged.
    NotADatabase,
    /// The migration's own Rust code returned an error that no database caused.
    Migration,
    /// The migration's own Rust code panicked.
    Panic,
    /// The history has a gap, and the run is not allowed to fill it.
    #[serde(alias = "history_gap")]
    OutOfOrder,
    /// The checksum of an SQL script differs from the applied one.
    #[serde(alias = "edited")]
    ChecksumMismatch,
    /// The tenant stopped in another step, which has to be finished first.
    PartiallyApplied,
    /// The schema is not that of the version that is to be recorded.
    SchemaDiffers,
    /// A version is to be recorded for the first time, and there is a history.
    HasHistory,
    /// Nothing is applied, and the ledger has a version at which a run left it.
    DatabaseLost,
    /// A backup could not be made, or is not valid.
    Backup,
    /// A hook before the tenant failed.
    Hook,
    /// Any other fault.
    Other,
}

impl FaultClass {
    /// Whether a retry can help, provided the failed attempt left nothing behind.
    pub(crate) fn is_transient(self) -> bool {
        use FaultClass::*;
        matches!(
            self,
            ConnectionRefused
                | ConnectTimeout
                | TooManyConnections
                | ConnectionLost
                | LockTimeout
                | Deadlock
                | Serialization
                | Busy
                | TenantLocked
                | HistoryMoved
                | ServerReadOnly
        )
    }

    /// Whether a wait for a lock ended without it.
    pub(crate) fn is_lock(self) -> bool {
        matches!(self, FaultClass::LockTimeout | FaultClass::Busy | FaultClass::TenantLocked)
    }

    /// Whether the tenant could not be reached at all (its database was not touched).
    pub(crate) fn is_unreachable(self) -> bool {
        use FaultClass::*;
        matches!(
            self,
            ConnectionRefused
                | Dns
                | ConnectTimeout
                | Authentication
                | UnknownDatabase
                | TooManyConnections
                | Tls
                | BadAddress
                | NotADatabase
        )
    }

    /// The snake_case name, as in JSON.
    pub(crate) fn name(self) -> &'static str {
        self.into()
    }
}

/// A fault on one tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{}{message}", code.as_ref().map(|c| format!("[{c}] ")).unwrap_or_default())]
pub(crate) struct Fault {
    pub(crate) class: FaultClass,
    /// The engine's own code: a PostgreSQL SQLSTATE (`42P07`), a MySQL error number (`1050`), an SQLite result code
    /// (`1`).
    pub(crate) code: Option<String>,
    /// The engine's text, or ours. No secret, at most [`Fault::MAX_MESSAGE`] characters: see [`bounded`].
    pub(crate) message: String,
}

/// The words before the names of indexes that a refused statement has left, in the message of its fault.
pub(crate) const LEFT_INVALID: &str = "the invalid index ";

impl Fault {
    /// The longest message that is kept, in characters.
    pub(crate) const MAX_MESSAGE: usize = 2_000;

    /// A fault without an engine code.
    pub(crate) fn new(class: FaultClass, message: impl Into<String>) -> Self {
        Fault { class, code: None, message: bounded(message.into()) }
    }

    /// A fault with the engine's code.
    pub(crate) fn with_code(class: FaultClass, code: impl Into<String>, message: impl Into<String>) -> Self {
        Fault { class, code: Some(code.into()), message: bounded(message.into()) }
    }
}

/// A text from a database, shortened to at most [`Fault::MAX_MESSAGE`] characters. A longer text keeps its beginning,
/// which says what happened, and its end, where an engine names the place; between them is the number of characters
/// left out.
pub(crate) fn bounded(text: String) -> String {
    // The rest is for the mark, which is shorter for any number.
    const HEAD: usize = Fault::MAX_MESSAGE - 600;
    const TAIL: usize = 500;
    if text.char_indices().nth(Fault::MAX_MESSAGE).is_none() {
        return text;
    }
    let head = text.char_indices().nth(HEAD).map_or(text.len(), |(at, _)| at);
    let tail = text.char_indices().rev().nth(TAIL - 1).map_or(0, |(at, _)| at);
    let left_out = text[head..tail].chars().count();
    format!("{} [... {left_out} characters left out ...] {}", &text[..head], &text[tail..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_huge_message_the_middle_is_left_out_and_counted() {
        let text = format!("begin{}end", "é".repeat(10_000_000));
        let fault = Fault::new(FaultClass::Other, text.clone());
        assert!(fault.message.chars().count() <= Fault::MAX_MESSAGE);
        let (head, rest) = fault.message.split_once(" [... ").unwrap();
        let (count, tail) = rest.split_once(" characters left out ...] ").unwrap();
        assert!(text.starts_with(head) && text.ends_with(tail) && tail.ends_with("éend"), "{}", fault.message);
        let kept = head.chars().count() + tail.chars().count();
        assert_eq!(count.parse(), Ok(text.chars().count() - kept));
        let all = "é".repeat(Fault::MAX_MESSAGE);
        assert_eq!(Fault::new(FaultClass::Other, all.clone()).message, all);
    }

    #[test]
    fn a_class_has_one_name_and_older_ledgers_are_read() {
        for class in [FaultClass::TenantLocked, FaultClass::NotADatabase, FaultClass::OutOfOrder] {
            assert_eq!(serde_json::to_value(class).unwrap(), class.name());
            assert_eq!(class.to_string(), class.name());
        }
        let read = |word: &str| serde_json::from_value::<FaultClass>(word.into()).unwrap();
        assert_eq!([read("history_gap"), read("edited")], [FaultClass::OutOfOrder, FaultClass::ChecksumMismatch]);
    }

    #[test]
    fn the_code_is_shown_before_the_text() {
        let fault = Fault::with_code(FaultClass::AlreadyExists, "42P07", "relation \"users\" already exists");
        assert_eq!(fault.to_string(), "[42P07] relation \"users\" already exists");
    }
}
