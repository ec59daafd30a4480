//! Ctrl-C, SIGTERM and SIGHUP: the first drains, the second cancels.
//!
//! A closed terminal is a SIGHUP: it drains like the others, so that no tenant is left half done.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::outcome::NotStarted;
use crate::run::{Cancel, Level};

/// Listens until it is dropped.
pub(super) struct Signals {
    task: tokio::task::JoinHandle<()>,
    terminated: Arc<AtomicBool>,
}

impl Signals {
    pub(super) fn listen(cancel: Cancel) -> Self {
        let terminated = Arc::new(AtomicBool::new(false));
        let told = terminated.clone();
        let task = tokio::spawn(async move {
            use tokio::signal::unix::{SignalKind, signal};
            let (Ok(mut interrupt), Ok(mut terminate), Ok(mut hangup)) =
                (signal(SignalKind::interrupt()), signal(SignalKind::terminate()), signal(SignalKind::hangup()))
            else {
                return;
            };
            loop {
                let is_interrupt = tokio::select! {
                    _ = interrupt.recv() => true,
                    _ = terminate.recv() => false,
                    _ = hangup.recv() => false,
                };
                match cancel.level() {
                    Level::Running => {
                        told.store(!is_interrupt, Ordering::Relaxed);
                        cancel.drain(NotStarted::Interrupted);
                    }
                    _ => cancel.cancel(NotStarted::Interrupted),
                }
            }
        });
        Signals { task, terminated }
    }

    /// Whether the first signal was not Ctrl-C.
    pub(super) fn terminated(&self) -> bool {
        self.terminated.load(Ordering::Relaxed)
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        self.task.abort();
    }
}
