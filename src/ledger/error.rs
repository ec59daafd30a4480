//! Ledger errors in words for the operator: the ledger, its state, the remedy.
//!
//! Texts only: no variant carries a URL, a password or a library's own error.

use std::path::PathBuf;
use std::sync::Arc;

use crate::model::run_summary::RunSummary;

/// An error of a ledger. The text fits "failed to ...".
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
        /// The folder in which it should be.
        folder: PathBuf,
    },
    /// The path is not a file.
    #[error("open the ledger {}: it is not a file but a folder or a device; set another place for the ledger", file.display())]
    NotAFile {
        /// The ledger's file.
        file: PathBuf,
    },
    /// The ledger can't be written.
    #[error(
        "{action} the {site}: it can't be written ({reason}); check the owner and rights of it and its folder, \
         and that the disk is not mounted read-only"
    )]
    NotWritable {
        /// The action that failed.
        action: &'static str,
        /// The ledger.
        site: String,
        /// The engine's text.
        reason: String,
    },
    /// The file is not an SQLite database.
    #[error(
        "{action} the {site}: it is not an SQLite database; move the file away and a new ledger is made \
         (tenants keep their own history), or set another place for the ledger"
    )]
    NotADatabase {
        /// The action that failed.
        action: &'static str,
        /// The ledger.
        site: String,
    },
    /// The file is an SQLite database that is truncated or overwritten.
    #[error(
        "{action} the {site}: the file is damaged ({reason}); restore it, or move it and its -wal file away and a new \
         ledger is made: past runs are then unknown, and tenants keep their own history"
    )]
    Damaged {
        /// The action that failed.
        action: &'static str,
        /// The ledger.
        site: String,
        /// The engine's text.
        reason: String,
    },
    /// The file is another database: a tenant's, or another program's.
    #[error(
        "open the {site}: it holds the table {table}, which is no ledger's, so that it is the database of a tenant or of \
         another program; set another place for the ledger"
    )]
    NotALedger {
        /// The ledger.
        site: String,
        /// One of its tables.
        table: String,
    },
    /// The file is no longer the one that was opened: anything written to it would be lost.
    #[error(
        "{action} the {site}: the file was removed or replaced while it was in use; what was recorded in it is lost \
         unless the file is brought back, and tenants keep their own history"
    )]
    Gone {
        /// The action that failed.
        action: &'static str,
        /// The ledger.
        site: String,
    },
    /// No space is left.
    #[error("{action} the {site}: no space is left for it ({reason}); make room, then resume the run")]
    Full {
        /// The action that failed.
        action: &'static str,
        /// The ledger.
        site: String,
        /// The engine's text.
        reason: String,
    },
    /// Another process holds a lock on it for longer than the wait limit.
    #[error("{action} the {site}: another process holds it locked ({reason}); end that process, or try again")]
    LockWait {
        /// The action that failed.
        action: &'static str,
        /// The ledger.
        site: String,
        /// The engine's text.
        reason: String,
    },
    /// The ledger can't be reached, or no longer.
    #[error("{action} the {site}: it can't be reached ({reason}); check the server and the network, then try again")]
    Unreachable {
        /// The action that failed.
        action: &'static str,
        /// The ledger.
        site: String,
        /// The driver's text, without secrets.
        reason: String,
    },
    /// Another runner has the tenant, or leads the run: this one was silent for longer than its lease.
    #[error(
        "write to the {site}: another runner has taken over, because this one gave no sign for longer than the lease"
    )]
    TakenOver {
        /// The ledger.
        site: String,
    },
    /// A later run has taken tenants of this one: this process was frozen for so long that it was taken for dead.
    #[error(
        "go on with run {run}: it gave no sign of life for so long that it was taken for dead, and run {by} has taken tenants \
         of it, tenant {tenant} among them"
    )]
    Superseded {
        /// This run.
        run: String,
        /// The later one.
        by: String,
        /// A tenant of both.
        tenant: String,
    },
    /// The engine refused.
    #[error("{action} the {site}: {reason}")]
    Refused {
        /// The action that failed.
        action: &'static str,
        /// The ledger.
        site: String,
        /// The engine's code and text, without secrets.
        reason: String,
    },
    /// The URL is not valid for a ledger.
    #[error("read the ledger's URL: {reason}; write postgres://user:password@host/database, or mysql://...")]
    BadUrl {
        /// The reason, without the URL.
        reason: String,
    },
    /// A newer program created its tables.
    #[error(
        "open the {site}: it was made by a newer fleet (ledger version {found}, this program knows {known}); \
         use that fleet, or set another place for the ledger"
    )]
    Newer {
        /// The ledger.
        site: String,
        /// Its version.
        found: i32,
        /// The newest version that this program knows.
        known: i32,
    },
    /// A row can't be decoded.
    #[error("read the {site}: {what} can't be understood ({reason}); was it written by another version of fleet?")]
    Unreadable {
        /// The ledger.
        site: String,
        /// The row.
        what: String,
        /// The reason.
        reason: String,
    },
    /// No run has that id.
    #[error("find run '{wanted}' in the {site}: {}", none_or_newest(newest))]
    NoSuchRun {
        /// The name or id that was given.
        wanted: String,
        /// The ledger.
        site: String,
        /// The newest runs, newest first.
        newest: Vec<String>,
    },
    /// Several runs match that part of an id.
    #[error("find run '{wanted}': more than one run matches; write more of the id: {}", candidates.join(", "))]
    Ambiguous {
        /// The name or id that was given.
        wanted: String,
        /// Matching runs, newest first; not all, when there are many.
        candidates: Vec<String>,
    },
    /// Too few characters for a search.
    #[error("find run '{wanted}': write 'last', a whole run id, or at least 4 characters of its beginning or end")]
    NotAnId {
        /// The name or id that was given.
        wanted: String,
    },
    /// Another run is at work on some of the tenants.
    #[error("begin a run: run {} is at work on {}", holder.run, tenants.join(", "))]
    Held {
        /// That run.
        holder: Box<RunSummary>,
        /// The tenants of both.
        tenants: Vec<String>,
    },
    /// A defect of this program: an event came before the run was begun.
    #[error("record an event: the run has not been begun in the ledger; please report this as a defect")]
    NotBegun,
    /// A defect of this program: the writer task ended by itself.
    #[error(
        "write the {site}: the task that writes it broke down; please report this as a defect, then resume the run"
    )]
    WriterDied {
        /// The ledger.
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
