//! Sessions at locks: holders, waiters, and terminated blockers.
//!
//! Plain data. Each engine has its own queries for it.

use serde::Serialize;

use super::outcome::Blocker;
use super::tenant::Engine;

/// The holders and waiters of a lock that one of our sessions waits for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct LockWait {
    /// The holders, the oldest transaction first.
    pub(crate) holders: Vec<Blocker>,
    /// Sessions that wait behind ours.
    pub(crate) waiting: Vec<Blocker>,
    /// Whether the server named the holders of this lock; otherwise they are only probable.
    pub(crate) certain: bool,
    /// Whether our session waits at this moment, as far as the server says so.
    pub(crate) is_waiting: bool,
    /// Whether a holder is another run of this program.
    pub(crate) by_run: bool,
}

/// The result of terminating sessions; a session that is too young, or has been replaced by another since, is in
/// neither list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Terminations {
    /// The terminated sessions.
    pub(crate) terminated: Vec<Blocker>,
    /// The reasons why others were not terminated, each with the missing privilege.
    pub(crate) refused: Vec<String>,
}

/// A session at a lock, as `fleet locks` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct LockHolder {
    /// The tenants whose database it is in, or the likely ones where several share a database as schemas.
    pub(crate) tenants: Vec<String>,
    /// Their engine.
    pub(crate) engine: Engine,
    /// Their server key.
    pub(crate) server: String,
    /// The sessions that it waits for; empty if none.
    pub(crate) waits_for: Vec<i64>,
    /// Whether it holds a lock that others wait for, or the file. A session that neither holds nor waits has an open
    /// transaction on tables of this database.
    pub(crate) is_holder: bool,
    /// Whether the engine reported the wait graph; otherwise it was inferred from open transactions, and other sessions
    /// may hold the lock.
    pub(crate) certain: bool,
    #[serde(flatten)]
    pub(crate) session: Blocker,
}

impl LockHolder {
    /// Whether the session waits, or another session waits for it.
    pub(crate) fn is_contended(&self) -> bool {
        self.is_holder || !self.waits_for.is_empty()
    }
}
