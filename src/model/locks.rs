//! Sessions at locks: who holds one, who waits for it, and who was terminated for it.
//!
//! Plain data. How it is found out is each engine's.

use serde::Serialize;

use super::outcome::Blocker;
use super::tenant::Engine;

/// Who is at the lock that a session of ours waits for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct LockWait {
    /// Who holds it, the oldest transaction first.
    pub(crate) holders: Vec<Blocker>,
    /// Who waits behind us.
    pub(crate) waiting: Vec<Blocker>,
    /// The holders were told by the server for this lock; otherwise they are only likely to be.
    pub(crate) certain: bool,
}

/// What became of the sessions that were to be terminated; one that is too young, or another now, is in neither list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Terminations {
    /// Those that were.
    pub(crate) terminated: Vec<Blocker>,
    /// Why others were not, each with the right that is missing.
    pub(crate) refused: Vec<String>,
}

/// A session at a lock, as `fleet locks` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct LockHolder {
    /// The tenants whose database it is in, or which of them are likely to be meant: several share a database as schemas.
    pub(crate) tenants: Vec<String>,
    /// Their engine.
    pub(crate) engine: Engine,
    /// Their server key.
    pub(crate) server: String,
    /// The sessions that it waits for; empty: it waits for nobody.
    pub(crate) waits_for: Vec<i64>,
    /// Whether it holds what others wait for, or the file. Neither this nor waiting: a transaction that is open on tables
    /// of this database.
    pub(crate) is_holder: bool,
    /// Whether the engine told who waits for whom; otherwise it was concluded from open transactions, and others than these
    /// may hold the lock.
    pub(crate) certain: bool,
    /// The session.
    #[serde(flatten)]
    pub(crate) session: Blocker,
}

impl LockHolder {
    /// Whether somebody waits, or is waited for.
    pub(crate) fn is_contended(&self) -> bool {
        self.is_holder || !self.waits_for.is_empty()
    }
}
