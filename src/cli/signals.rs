//! Ctrl-C, SIGTERM and SIGHUP: the first drains, the second cancels.
//!
//! A closed terminal is a SIGHUP: it drains like the others, so that no tenant is left half done.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::model::outcome::NotStarted;
use crate::run::{Cancel, Level};

/// Listens until it is dropped.
pub(super) struct Signals {
    task: tokio::task::JoinHandle<()>,
    terminated: Arc<AtomicBool>,
}

impl Signals {
    /// From its return on, no signal ends the process by itself.
    pub(super) fn listen(cancel: Cancel) -> Self {
        use tokio::signal::unix::{SignalKind, signal};
        let terminated = Arc::new(AtomicBool::new(false));
        let told = terminated.clone();
        let both = signal(SignalKind::interrupt()).ok().zip(signal(SignalKind::terminate()).ok());
        // A program started with nohup must go on when the terminal closes.
        let mut hangup = if is_hangup_ignored() { None } else { signal(SignalKind::hangup()).ok() };
        let task = tokio::spawn(async move {
            let Some((mut interrupt, mut terminate)) = both else { return };
            loop {
                let is_interrupt = tokio::select! {
                    _ = interrupt.recv() => true,
                    _ = terminate.recv() => false,
                    Some(_) = next(&mut hangup) => false,
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

async fn next(signal: &mut Option<tokio::signal::unix::Signal>) -> Option<()> {
    match signal {
        Some(signal) => signal.recv().await,
        None => std::future::pending().await,
    }
}

/// Whether SIGHUP is ignored, from the mask that Linux shows (`man 5 proc`, SigIgn: bit 0 is signal 1). Elsewhere: no.
fn is_hangup_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 1)
}

impl Drop for Signals {
    fn drop(&mut self) {
        self.task.abort();
    }
}
