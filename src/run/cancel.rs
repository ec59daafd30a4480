//! Stopping a run: first nothing new is started, then work in flight is cancelled.
//!
//! It only carries the request; signals are handled by the command line.

use std::sync::Arc;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::model::outcome::NotStarted;

/// The stage of stopping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    /// The run goes on.
    Running,
    /// Nothing new is started.
    Draining(NotStarted),
    /// Work in flight is cancelled.
    Cancelling(NotStarted),
}

/// A handle to request a stop. Clones share their state.
#[derive(Debug, Clone)]
pub(crate) struct Cancel {
    level: Arc<watch::Sender<Level>>,
    in_flight: CancellationToken,
    interrupted: CancellationToken,
}

impl Default for Cancel {
    fn default() -> Self {
        Cancel {
            level: Arc::new(watch::Sender::new(Level::Running)),
            in_flight: CancellationToken::new(),
            interrupted: CancellationToken::new(),
        }
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
        if reason == NotStarted::Interrupted {
            self.interrupted.cancel();
        }
    }

    /// Cancels work in flight, on the servers.
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

    /// The current stage.
    pub(crate) fn level(&self) -> Level {
        *self.level.borrow()
    }

    /// The reason why nothing new is started, if so.
    pub(super) fn reason(&self) -> Option<NotStarted> {
        match self.level() {
            Level::Running => None,
            Level::Draining(reason) | Level::Cancelling(reason) => Some(reason),
        }
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<Level> {
        self.level.subscribe()
    }

    /// Told as soon as a person or the system asks for an end: work that has a safe place to stop at does so.
    pub(super) fn interrupted(&self) -> CancellationToken {
        self.interrupted.clone()
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
        assert!(!cancel.interrupted().is_cancelled());
        cancel.drain(NotStarted::Interrupted);
        assert_eq!(cancel.level(), Level::Draining(NotStarted::FailureBudget));
        cancel.cancel(NotStarted::Interrupted);
        cancel.drain(NotStarted::Ledger);
        assert_eq!(cancel.level(), Level::Cancelling(NotStarted::FailureBudget));
        assert!(cancel.token().is_cancelled() && cancel.interrupted().is_cancelled());
    }
}
