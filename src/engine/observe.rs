//! Observes a session from outside while it works or waits: the holder of its lock, and whether its server still works
//! for it.
//!
//! A failed query is answered with "not known"; the caller decides how long is too long.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use async_trait::async_trait;

use super::Liveness;
use crate::model::fault::Fault;
use crate::model::locks::{LockWait, Terminations};

/// Cancels, watches and unblocks a session.
#[async_trait]
pub(crate) trait Observe: Send {
    /// Whether another session is working on this tenant at this moment; an open journal alone does not say so.
    /// Read-only.
    ///
    /// # Errors
    /// A [`Fault`] when this can't be determined.
    async fn is_held(&mut self) -> Result<bool, Fault>;

    /// Returns a function that cancels the session's current work on the server.
    fn canceller(&self) -> Canceller;

    /// Returns a function that finds the holder of the lock that this session waits for, from outside the session;
    /// `None` if the engine can't report it.
    fn watch(&self) -> Option<Watch> {
        None
    }

    /// Returns a function that finds out whether the server still works for this session, from outside the session;
    /// `None` if there is no server.
    fn probe(&self) -> Option<Probe> {
        None
    }

    /// Terminates the sessions of `locked` that are client sessions other than fleet's own, still hold this tenant's
    /// own database in the same transaction, and whose transaction is older than `older_than`.
    async fn terminate(&mut self, locked: &LockWait, older_than: Duration) -> Terminations {
        let _ = (locked, older_than);
        Terminations::default()
    }
}

/// Cancels a session's work on its server, from outside the session.
pub(crate) type Canceller = Box<dyn FnOnce() -> Pin<Box<dyn Future<Output = ()> + Send>> + Send>;

/// Finds the holders and waiters of the lock that a session currently waits for; empty: none, or unknown.
pub(crate) type Watch = Box<dyn Fn(Look) -> Pin<Box<dyn Future<Output = LockWait> + Send>> + Send + Sync>;

/// One question of a [`Watch`].
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Look {
    /// A statement that the server still sees waiting, and that may have waited for longer, is ended on the server.
    ///
    /// Dying behind that: the statement has failed on the server, as by a lock timeout of its own.
    pub(crate) most: Option<Duration>,
    /// Another look follows soon: it has no time to connect.
    pub(crate) keep: bool,
}

/// Asks the server for the state of a session that waits for it, and on request ends that session unless it works. A
/// session that has been waiting for us for less than the duration counts as working.
pub(crate) type Probe = Box<dyn Fn(Duration, bool) -> Pin<Box<dyn Future<Output = Liveness> + Send>> + Send + Sync>;
