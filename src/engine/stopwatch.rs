//! The clock of a tenant's work: adds up where its time goes, and tells it to the log.
//!
//! Where neither is wanted, nothing is measured.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::model::timings::{Phase, Timings};

/// Adds up a tenant's time by phase. Switched off by default.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stopwatch(Option<Arc<Mutex<Timings>>>);

/// A phase under way; it ends when this is dropped, however the work ends.
pub(crate) struct Running<'a> {
    stopwatch: &'a Stopwatch,
    step: Option<&'a str>,
    /// The phase that it counts as.
    pub(crate) phase: Phase,
    /// Whether the log hears of it in other words.
    pub(crate) is_silent: bool,
    begun: Option<Instant>,
}

impl Stopwatch {
    /// A stopwatch that adds up.
    pub(crate) fn on() -> Self {
        Stopwatch(Some(Arc::default()))
    }

    /// The times so far; `None` if it is off.
    pub(crate) fn read(&self) -> Option<Timings> {
        self.0.as_ref().map(|timings| timings.lock().expect("nobody panics while holding it").clone())
    }

    /// Whether somebody wants to know the times.
    pub(crate) fn is_asked(&self) -> bool {
        self.0.is_some() || tracing::enabled!(target: "fleet::engine", tracing::Level::DEBUG)
    }

    /// Begins a phase, within a step if one is named.
    pub(crate) fn start<'a>(&'a self, phase: Phase, step: Option<&'a str>) -> Running<'a> {
        Running { stopwatch: self, step, phase, is_silent: false, begun: self.is_asked().then(Instant::now) }
    }

    /// Adds a time that was measured.
    pub(crate) fn add(&self, phase: Phase, step: Option<&str>, took: Duration) {
        if let Some(timings) = &self.0 {
            timings.lock().expect("nobody panics while holding it").add(phase, step, took);
        }
    }
}

impl Running<'_> {
    /// Counts until this work has ended.
    pub(crate) async fn over<T>(self, work: impl Future<Output = T>) -> T {
        let result = work.await;
        drop(self);
        result
    }

    /// The time so far, if it is measured.
    pub(crate) fn elapsed(&self) -> Option<Duration> {
        self.begun.map(|begun| begun.elapsed())
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let Some(begun) = self.begun else { return };
        let took = begun.elapsed();
        self.stopwatch.add(self.phase, self.step, took);
        if self.is_silent {
            return;
        }
        let phase: &'static str = self.phase.into();
        tracing::debug!(target: "fleet::engine", step = self.step, took_ms = millis(took), "{phase}");
    }
}

/// Milliseconds with their fraction, for the log.
pub(crate) fn millis(took: Duration) -> f64 {
    (took.as_secs_f64() * 1e6).round() / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_measured_unless_somebody_asks() {
        assert_eq!(Stopwatch::default().start(Phase::Lock, None).elapsed(), None);
        assert_eq!(Stopwatch::default().read(), None);
        let on = Stopwatch::on();
        assert!(on.start(Phase::Lock, Some("m1")).elapsed().is_some());
        assert_eq!(on.read().unwrap().steps.len(), 1, "also when it was dropped before its end");
    }
}
