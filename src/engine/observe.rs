//! Looking at a session from outside while it works or waits: who holds its lock, whether its server still works for it.
//!
//! A question that fails is answered with "not known"; how long is too long is not decided here.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use async_trait::async_trait;

use super::Liveness;
use crate::model::fault::Fault;
use crate::model::locks::{LockWait, Terminations};

/// Cancelling, watching and unblocking what a session does.
#[async_trait]
pub(crate) trait Observe: Send {
    /// Whether another session works on this tenant at this moment, which an open journal alone does not say. Read-only.
    ///
    /// # Errors
    /// A [`Fault`] when that can't be found out.
    async fn is_held(&mut self) -> Result<bool, Fault>;

    /// A way to cancel what this session is doing, on the server.
    fn canceller(&self) -> Canceller;

    /// A way to learn who holds the lock that this session waits for, from outside the session; `None` where the engine
    /// can't tell.
    fn watch(&self) -> Option<Watch> {
        None
    }

    /// A way to learn whether the server still works for this session, from outside the session; `None` where there is no
    /// server.
    fn probe(&self) -> Option<Probe> {
        None
    }

    /// Terminates the sessions of `locked` that still hold on to this tenant's own database with the same transaction, are
    /// clients, none of fleet's own, and whose transaction is older than `older_than`.
    async fn terminate(&mut self, locked: &LockWait, older_than: Duration) -> Terminations {
        let _ = (locked, older_than);
        Terminations::default()
    }
}

/// Cancels a session's work on its server, from outside the session.
pub(crate) type Canceller = Box<dyn FnOnce() -> Pin<Box<dyn Future<Output = ()> + Send>> + Send>;

/// Asks who is at the lock that a session waits for now; empty: nobody, or it is not known.
pub(crate) type Watch = Box<dyn Fn() -> Pin<Box<dyn Future<Output = LockWait> + Send>> + Send + Sync>;

/// Asks what the server says of a session that waits for it, and ends that session when told to, unless it works. A session
/// that has been waiting for us for less than the duration counts as working.
pub(crate) type Probe = Box<dyn Fn(Duration, bool) -> Pin<Box<dyn Future<Output = Liveness> + Send>> + Send + Sync>;
