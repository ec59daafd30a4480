//! How a run is asked to stop: first nothing new is started, then what is in flight is cancelled.
//!
//! It only carries the wish; signals are the command line's business.

use std::sync::Arc;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::model::outcome::NotStarted;

/// How far stopping has gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    /// Go on.
    Running,
    /// Start nothing new.
    Draining(NotStarted),
    /// Cancel what is in flight.
    Cancelling(NotStarted),
}

/// A handle that asks a run to stop. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Cancel {
    level: Arc<watch::Sender<Level>>,
    in_flight: CancellationToken,
}

impl Default for Cancel {
    fn default() -> Self {
        Cancel { level: Arc::new(watch::Sender::new(Level::Running)), in_flight: CancellationToken::new() }
    }
}

impl Cancel {
    /// Starts nothing new from now on. The first reason stays.
    pub(crate) fn drain(&self, reason: NotStarted) {
        self.level.send_if_modified(|level| {
            let changes = *level == Level::Running;
            if changes {
                *level = Level::Draining(reason);
            }
            changes
        });
    }

    /// Cancels what is in flight, on the servers.
    pub(crate) fn cancel(&self, reason: NotStarted) {
        self.level.send_if_modified(|level| {
            let first = match *level {
                Level::Running => reason,
                Level::Draining(first) => first,
                Level::Cancelling(_) => return false,
            };
            *level = Level::Cancelling(first);
            true
        });
        self.in_flight.cancel();
    }

    /// How far it has gone.
    pub(crate) fn level(&self) -> Level {
        *self.level.borrow()
    }

    /// Why nothing new is started, if so.
    pub(super) fn reason(&self) -> Option<NotStarted> {
        match self.level() {
            Level::Running => None,
            Level::Draining(reason) | Level::Cancelling(reason) => Some(reason),
        }
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<Level> {
        self.level.subscribe()
    }

    pub(super) fn token(&self) -> CancellationToken {
        self.in_flight.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_reason_stays_and_stopping_only_goes_further() {
        let cancel = Cancel::default();
        cancel.drain(NotStarted::FailureBudget);
        cancel.drain(NotStarted::Interrupted);
        assert_eq!(cancel.level(), Level::Draining(NotStarted::FailureBudget));
        cancel.cancel(NotStarted::Interrupted);
        cancel.drain(NotStarted::Ledger);
        assert_eq!(cancel.level(), Level::Cancelling(NotStarted::FailureBudget));
        assert!(cancel.token().is_cancelled());
    }
}
