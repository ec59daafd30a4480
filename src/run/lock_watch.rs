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
use crate::engine::{Look, Step, Watch};
use crate::model::fault::{Fault, FaultClass};
use crate::model::locks::LockWait;
use crate::policy::{Timeouts, format_duration};

/// A server may round the lock timeout up to a second, and counts row locks in whole seconds.
const MARGIN: Duration = Duration::from_secs(1);

/// The part of the shortest lock timeout between two looks.
const PAUSE: f64 = 0.6;

/// The same behind an attempt whose lock holders were not seen.
const SHORT_PAUSE: f64 = 0.1;

/// The waits seen during one work.
pub(super) struct LockSightings {
    /// The shortest and the longest lock timeout of the steps.
    limits: (Duration, Duration),
    /// Whether a statement may set another limit within itself. The server ends any other wait by itself, and a statement
    /// may wait for several locks one after another.
    may_override: bool,
    is_unseen: bool,
    last: Mutex<Option<(LockWait, Instant)>>,
    /// Whether the end of a statement of ours was asked for.
    has_ended: AtomicBool,
}

impl LockSightings {
    /// `is_unseen`: an attempt before this one ended at a lock whose holders were not seen. Its timeout was little longer than
    /// it takes to connect and ask, so this one connects at once, and asks often.
    pub(super) fn of(steps: &[Step], timeouts: Timeouts, is_unseen: bool) -> Self {
        let limits = || steps.iter().map(|step| step.limits.over(timeouts).lock);
        let limits = (limits().min().unwrap_or(timeouts.lock), limits().max().unwrap_or(timeouts.lock));
        let may_override = steps.iter().any(|step| step.may_set_limits());
        LockSightings { limits, may_override, is_unseen, last: Mutex::default(), has_ended: AtomicBool::default() }
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
        if self.is_unseen {
            watch(Look { most: None, keep: true }).await;
        }
        let pause = self.limits.0.mul_f64(if self.is_unseen { SHORT_PAUSE } else { PAUSE });
        let mut keep = self.is_unseen;
        loop {
            let left = waits_since.map_or(most, |since| most.saturating_sub(since.elapsed()));
            tokio::time::sleep(pause.min(left).max(Duration::from_millis(1))).await;
            let is_too_long = waits_since.is_some_and(|since| since.elapsed() >= most);
            // The work may end before the watch has heard of it.
            self.has_ended.fetch_or(is_too_long, Ordering::Relaxed);
            let found = watch(Look { most: is_too_long.then_some(most), keep }).await;
            keep = self.is_unseen || found.is_waiting;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::outcome::Blocker;

    const LOCK: Duration = Duration::from_secs(1);
    /// Connecting, over a slow network.
    const CONNECT: Duration = Duration::from_millis(700);
    const ASK: Duration = Duration::from_millis(50);

    /// The holders seen in a wait of `LOCK` that begins then.
    async fn seen(is_unseen: bool, begins: Duration) -> usize {
        let timeouts = Timeouts { lock: LOCK, ..Timeouts::default() };
        let sightings = LockSightings::of(&[], timeouts, is_unseen);
        let from = Instant::now() + begins;
        let until = from + LOCK;
        let is_connected = std::sync::Arc::new(AtomicBool::default());
        let watch: Watch = Box::new(move |look| {
            let is_connected = is_connected.clone();
            Box::pin(async move {
                tokio::time::sleep(if is_connected.swap(look.keep, Ordering::Relaxed) { ASK } else { CONNECT }).await;
                let is_waiting = (from..until).contains(&Instant::now());
                LockWait { holders: vec![Blocker::default(); is_waiting.into()], is_waiting, ..LockWait::default() }
            })
        });
        let _ = tokio::time::timeout(begins + LOCK, sightings.watch(Some(watch))).await;
        sightings.recent(LOCK).holders.len()
    }

    #[tokio::test(start_paused = true)]
    async fn a_lock_whose_holder_was_not_seen_is_looked_at_sooner_by_the_next_attempt() {
        assert_eq!(seen(false, Duration::ZERO).await, 0);
        assert_eq!(seen(true, Duration::ZERO).await, 1);
        // The first look comes before the wait.
        assert_eq!(seen(true, Duration::from_millis(800)).await, 1);
    }
}
