//! The time of each part of a message, taken as the answers come.
//!
//! Where all answers of a text come at once, only the text as a whole has a time. Nothing is measured unless somebody asks.

use std::ops::Range;
use std::time::{Duration, Instant};

use super::{Message, Place};
use crate::engine::errors;
use crate::engine::stopwatch::millis;
use crate::engine::work::Work;
use crate::model::timings::Phase;

/// The clock over the answers to one text.
pub(super) struct Laps<'m> {
    message: &'m Message<'m>,
    parts: Range<usize>,
    clock: Option<Clock<'m>>,
}

struct Clock<'m> {
    work: &'m Work,
    begun: Instant,
    last: Instant,
}

impl<'m> Laps<'m> {
    /// Starts with the sending of these parts.
    pub(super) fn new(message: &'m Message<'m>, parts: Range<usize>) -> Self {
        let now = |work| Clock { work, begun: Instant::now(), last: Instant::now() };
        Laps { message, parts, clock: message.work.filter(|work| work.stopwatch.is_asked()).map(now) }
    }

    /// Takes the time of a part that was answered.
    pub(super) fn answered(&mut self, part: usize) {
        let Some(clock) = &mut self.clock else { return };
        let now = Instant::now();
        let took = now - std::mem::replace(&mut clock.last, now);
        let (Some(place), work) = (self.message.place(part), clock.work) else { return };
        let is_statement = matches!(place, Place::Statement { .. });
        if self.message.engine.capabilities().answers_each_statement {
            self.add(part, if is_statement { Phase::Statements } else { Phase::Commit }, took);
            tell(work, place, Some(took));
        } else {
            tell(work, place, None);
        }
    }

    /// Ends, at this part if the engine refused it.
    pub(super) fn end(self, refused: Option<(usize, &sqlx::Error)>) {
        let Some(clock) = &self.clock else { return };
        let is_lock = refused.is_some_and(|(_, error)| errors::of(error).class.is_lock());
        if !self.message.engine.capabilities().answers_each_statement {
            let steps = self.message.parts[self.parts.clone()].iter().filter_map(|part| part.place.step());
            let name = |step: usize| &*clock.work.steps[step].script.migration;
            let (first, last) = (steps.clone().min().map(name), steps.max().map(name));
            let step = match (first, last) {
                (Some(first), Some(last)) if first != last => Some(format!("{first} to {last}")),
                (first, _) => first.map(str::to_owned),
            };
            let phase = if is_lock { Phase::Lock } else { Phase::Message };
            let took = clock.begun.elapsed();
            clock.work.stopwatch.add(phase, step.as_deref(), took);
            tracing::debug!(target: "fleet::engine", step, took_ms = millis(took), "one message");
        } else if let Some((part, _)) = refused {
            let is_statement = matches!(self.message.place(part), Some(Place::Statement { .. }));
            let phase = match (is_lock, is_statement) {
                (true, _) => Phase::Lock,
                (false, true) => Phase::Statements,
                (false, false) => Phase::Commit,
            };
            self.add(part, phase, clock.last.elapsed());
        }
    }

    fn add(&self, part: usize, phase: Phase, took: Duration) {
        let Some(Clock { work, .. }) = &self.clock else { return };
        let step = self.message.place(part).and_then(Place::step);
        work.stopwatch.add(phase, step.map(|step| &*work.steps[step].script.migration), took);
    }
}

/// Tells the log of a statement that has ended.
fn tell(work: &Work, place: Place, took: Option<Duration>) {
    if let Place::Statement { step, statement } = place {
        work.tell_statement(step, statement, took);
    }
}
