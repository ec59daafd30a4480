//! The watch over one session's waits for locks, from outside it: the holders that it ran into, and the end of a wait that
//! is longer than the lock timeout.
//!
//! The server keeps the limit by itself, unless a statement sets another one within itself (a procedure, a block, a text
//! put together at run time).

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::unit::AttemptEnd;
use crate::engine::{Step, Watch};
use crate::model::fault::{Fault, FaultClass};
use crate::model::locks::LockWait;
use crate::policy::{Timeouts, format_duration};

/// A server may round the lock timeout up to a second, and counts row locks in whole seconds.
const MARGIN: Duration = Duration::from_secs(1);

/// The waits seen during one work.
pub(super) struct LockSightings {
    /// The shortest and the longest lock timeout of the steps.
    limits: (Duration, Duration),
    /// Whether a statement may set another limit within itself. The server ends any other wait by itself, and a statement
    /// may wait for several locks one after another.
    may_override: bool,
    last: Mutex<Option<(LockWait, Instant)>>,
    /// Whether the end of a statement of ours was asked for.
    has_ended: AtomicBool,
}

impl LockSightings {
    pub(super) fn of(steps: &[Step], timeouts: Timeouts) -> Self {
        let limits = || steps.iter().map(|step| step.limits.over(timeouts).lock);
        let limits = (limits().min().unwrap_or(timeouts.lock), limits().max().unwrap_or(timeouts.lock));
        let may_override = steps.iter().any(|step| step.may_set_limits());
        LockSightings { limits, may_override, last: Mutex::default(), has_ended: AtomicBool::default() }
    }

    /// Looks at intervals shorter than the lock timeout, so that it sees every wait that runs into it. A look after the
    /// end of the wait finds no holder, and records nothing. A wait that each look finds for longer than the timeout is
    /// ended on the server.
    ///
    /// Dying in it: the statement waits until it gets its lock or fails, and the journal or the transaction says how far
    /// the step came. Dying behind it: it has failed, as by a lock timeout.
    pub(super) async fn watch(&self, watch: Option<Watch>) {
        let Some(watch) = watch else { return std::future::pending().await };
        let most = self.limits.1 + MARGIN;
        let mut waits_since: Option<Instant> = None;
        loop {
            let left = waits_since.map_or(most, |since| most.saturating_sub(since.elapsed()));
            let pause = self.limits.0.mul_f64(0.6).min(left).max(Duration::from_millis(1));
            tokio::time::sleep(pause).await;
            let is_too_long = waits_since.is_some_and(|since| since.elapsed() >= most);
            // The work may end before the watch has heard of it.
            self.has_ended.fetch_or(is_too_long, Ordering::Relaxed);
            let found = watch(is_too_long.then_some(most)).await;
            waits_since = waits_since.filter(|_| found.is_waiting);
            if found.is_waiting && self.may_override {
                waits_since.get_or_insert_with(Instant::now);
            }
            if !found.holders.is_empty() {
                *self.last.lock().expect("nobody panics while holding it") = Some((found, Instant::now()));
            }
        }
    }

    /// The holders of the wait that the work has just ended with; older sightings belong to another one.
    pub(super) fn recent(&self, lock: Duration) -> LockWait {
        let recent = lock.max(MARGIN).mul_f64(1.5);
        let last = self.last.lock().expect("nobody panics while holding it").take();
        last.filter(|(_, at)| at.elapsed() <= recent).map_or_else(LockWait::default, |(found, _)| found)
    }

    /// A statement that was ended here ran into the lock timeout, whatever it had set.
    pub(super) fn explain(&self, end: &mut AttemptEnd) {
        let AttemptEnd::Stopped { fault, .. } = end else { return };
        let is_ours = matches!(fault.class, FaultClass::Cancelled | FaultClass::StatementTimeout);
        if is_ours && self.has_ended.load(Ordering::Relaxed) {
            let text = format!(
                "the statement waited at locks for longer than this attempt's limit ({}), which its own code may have set otherwise, \
                 and was ended",
                format_duration(self.limits.1)
            );
            *fault = Fault { class: FaultClass::LockTimeout, message: text, ..fault.clone() };
        }
    }
}
