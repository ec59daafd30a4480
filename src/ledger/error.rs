//! What can go wrong with a ledger, in words for the operator: which ledger, what state, what to do.
//!
//! Texts only: no variant carries a URL, a password or a library's own error.

use std::path::PathBuf;
use std::sync::Arc;

/// What can go wrong with a ledger. The text fits "failed to ...".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum LedgerError {
    /// The folder of the file is missing, or is a file.
    #[error(
        "open the ledger {}: there is no folder {}; create it, or set another place for the ledger",
        file.display(), folder.display()
    )]
    NoFolder {
        /// The ledger's file.
        file: PathBuf,
        /// The folder that it should be in.
        folder: PathBuf,
    },
    /// There is something else than a file at the place.
    #[error("open the ledger {}: it is not a file but a folder or a device; set another place for the ledger", file.display())]
    NotAFile {
        /// The ledger's file.
        file: PathBuf,
    },
    /// It can be read at best.
    #[error(
        "{action} the {site}: it can't be written ({reason}); check the owner and rights of it and its folder, \
         and that the disk is not mounted read-only"
    )]
    NotWritable {
        /// What was being done.
        action: &'static str,
        /// Which ledger.
        site: String,
        /// The engine's text.
        reason: String,
    },
    /// The file is something else.
    #[error(
        "{action} the {site}: it is not an SQLite database; move the file away and a new ledger is made \
         (tenants keep their own history), or set another place for the ledger"
    )]
    NotADatabase {
        /// What was being done.
        action: &'static str,
        /// Which ledger.
        site: String,
    },
    /// The file is an SQLite database that is cut short or overwritten.
    #[error(
        "{action} the {site}: the file is damaged ({reason}); restore it, or move it and its -wal file away and a new \
         ledger is made: past runs are then unknown, and tenants keep their own history"
    )]
    Damaged {
        /// What was being done.
        action: &'static str,
        /// Which ledger.
        site: String,
        /// The engine's text.
        reason: String,
    },
    /// The file is somebody else's database: a tenant's, or another program's.
    #[error(
        "open the {site}: it holds the table {table}, which is no ledger's, so that it is the database of a tenant or of \
         another program; set another place for the ledger"
    )]
    NotALedger {
        /// Which ledger.
        site: String,
        /// One of its tables.
        table: String,
    },
    /// The file is not the one any more that was opened: writing to it would write into nothing.
    #[error(
        "{action} the {site}: the file was removed or replaced while it was in use; what was recorded in it is lost \
         unless the file is brought back, and tenants keep their own history"
    )]
    Gone {
        /// What was being done.
        action: &'static str,
        /// Which ledger.
        site: String,
    },
    /// No space is left.
    #[error("{action} the {site}: no space is left for it ({reason}); make room, then resume the run")]
    Full {
        /// What was being done.
        action: &'static str,
        /// Which ledger.
        site: String,
        /// The engine's text.
        reason: String,
    },
    /// Another process holds it for longer than we wait.
    #[error("{action} the {site}: another process holds it locked ({reason}); end that process, or try again")]
    LockWait {
        /// What was being done.
        action: &'static str,
        /// Which ledger.
        site: String,
        /// The engine's text.
        reason: String,
    },
    /// It can't be reached, or no longer.
    #[error("{action} the {site}: it can't be reached ({reason}); check the server and the network, then try again")]
    Unreachable {
        /// What was being done.
        action: &'static str,
        /// Which ledger.
        site: String,
        /// The driver's text, without secrets.
        reason: String,
    },
    /// The engine said no.
    #[error("{action} the {site}: {reason}")]
    Refused {
        /// What was being done.
        action: &'static str,
        /// Which ledger.
        site: String,
        /// The engine's code and text, without secrets.
        reason: String,
    },
    /// The URL is not one of a ledger.
    #[error("read the ledger's URL: {reason}; write postgres://user:password@host/database, or mysql://...")]
    BadUrl {
        /// Why, without the URL.
        reason: String,
    },
    /// A newer program made its tables.
    #[error(
        "open the {site}: it was made by a newer fleet (ledger version {found}, this program knows {known}); \
         use that fleet, or set another place for the ledger"
    )]
    Newer {
        /// Which ledger.
        site: String,
        /// Its version.
        found: i32,
        /// The newest version that this program knows.
        known: i32,
    },
    /// A row does not read as what it should be.
    #[error("read the {site}: {what} can't be understood ({reason}); was it written by another version of fleet?")]
    Unreadable {
        /// Which ledger.
        site: String,
        /// Which row.
        what: String,
        /// Why.
        reason: String,
    },
    /// No run goes by that id.
    #[error("find run '{wanted}' in the {site}: {}", none_or_newest(newest))]
    NoSuchRun {
        /// What was asked for.
        wanted: String,
        /// Which ledger.
        site: String,
        /// The newest runs, newest first.
        newest: Vec<String>,
    },
    /// Several runs go by that part of an id.
    #[error("find run '{wanted}': more than one run matches; write more of the id: {}", candidates.join(", "))]
    Ambiguous {
        /// What was asked for.
        wanted: String,
        /// Runs that match, newest first; not all, when there are many.
        candidates: Vec<String>,
    },
    /// Too few characters to look for.
    #[error("find run '{wanted}': write 'last', a whole run id, or at least 4 characters of its beginning or end")]
    NotAnId {
        /// What was asked for.
        wanted: String,
    },
    /// A mistake in this program: an event came before the run was begun.
    #[error("record an event: the run has not been begun in the ledger; please report this as a defect")]
    NotBegun,
    /// A mistake in this program: the task that writes ended by itself.
    #[error(
        "write the {site}: the task that writes it broke down; please report this as a defect, then resume the run"
    )]
    WriterDied {
        /// Which ledger.
        site: String,
    },
}

fn none_or_newest(newest: &[String]) -> String {
    if newest.is_empty() {
        "no run has been recorded there yet".to_owned()
    } else {
        format!("there is none; the newest are {}", newest.join(", "))
    }
}

/// A write failed: nothing more is recorded. The text fits "failed to ...".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct LedgerLost(pub(crate) Arc<LedgerError>);
