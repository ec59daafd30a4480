//! The facts of one tenant: the results of its attempts in this run.
//!
//! It collects and decides nothing: [`super::decide`] draws the conclusions.

use std::time::Duration;

use super::decide::{Counted, Retry};
use super::unit::{Attempt, AttemptEnd};
use crate::engine::PartialState;
use crate::model::engine::Variant;
use crate::model::fault::{Fault, FaultClass, bounded};
use crate::model::locks::LockWait;
use crate::model::outcome::{Moved, StoppedAt};
use crate::model::plan::Goal;
use crate::model::schema::{Catalog, Direction, name_of};
use crate::policy::RetryPolicy;

/// The attempts on one tenant in this run.
#[derive(Debug, Clone, Default)]
pub(super) struct AttemptHistory {
    /// The number of attempts made.
    pub(super) attempts: u32,
    /// Waits for another run on this tenant, or for a server without a free connection.
    pub(super) waits: Waits,
    /// Attempts that ended because a lock was not granted.
    pub(super) locks: LockTries,
    /// The history at the first read.
    first: Option<Vec<String>>,
    /// The current history, as far as known.
    now: Option<Vec<String>>,
    /// Migrations that this run committed, in order.
    pub(super) committed: Vec<String>,
    /// Notes of the migrations, in order.
    pub(super) notes: Vec<String>,
    /// The number of notes that were only counted.
    unsaid: usize,
    /// Whether an attempt may have made a change that still persists.
    pub(super) touched: bool,
    /// Whether this run's backup was restored.
    pub(super) brought_back: bool,
    /// Whether an attempt was lost, and the tenant has not been read since.
    pub(super) unanswered: bool,
    /// The fault and place of the first lost attempt.
    pub(super) lost: Option<(Fault, Option<StoppedAt>)>,
    /// The holders of the lock that the last attempt ran into.
    pub(super) locked: LockWait,
    /// The failure of the last attempt, for a tenant whose next attempt is not made any more.
    pub(super) last: Option<Failure>,
}

/// A failed attempt: fault, place, and the state it left behind.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    pub(super) fault: Fault,
    pub(super) at: Option<StoppedAt>,
    pub(super) residue: PartialState,
}

/// Waits for another run, or for a server without a free connection.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Waits {
    pub(super) times: u32,
    pub(super) waited: Duration,
}

/// Waits for locks.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct LockTries {
    pub(super) tries: u32,
    /// The total of the lock timeouts of all tries and the pauses between them.
    pub(super) spent: Duration,
    /// The lock timeout of the last attempt.
    pub(super) timeout: Duration,
}

/// Maximum number of notes kept per tenant; further ones are to be looked up in its database.
const MOST_NOTES: usize = 200;

impl AttemptHistory {
    /// Records an attempt.
    pub(super) fn record(&mut self, attempt: &Attempt, direction: Direction) {
        self.attempts += 1;
        // A try that ended before its watch could look keeps the holders seen in the previous one.
        if !attempt.locked.holders.is_empty() {
            self.locked = attempt.locked.clone();
        }
        for killed in &attempt.killed {
            self.note(format!("terminated to get at a lock: {killed}"));
        }
        for kept in &attempt.kept {
            // Each try repeats the same notes.
            if !self.notes.contains(kept) {
                self.note(kept.clone());
            }
        }
        self.locks.timeout = attempt.lock;
        if let Some(history) = &attempt.history {
            self.read(history, direction);
            // The session that holds the tenant now, or has changed it since this read, may be the lost one, still at
            // work for us.
            self.unanswered &= matches!(
                &attempt.end,
                AttemptEnd::Stopped { fault, .. }
                    if matches!(fault.class, FaultClass::TenantLocked | FaultClass::HistoryMoved)
            );
        }
        if let Some(now) = &mut self.now {
            for script in attempt.aside.iter().chain(&attempt.committed) {
                script.enter_into(now);
            }
        }
        self.committed.extend(attempt.committed.iter().flat_map(|script| script.recorded()));
        let residue = attempt.end.residue();
        self.touched |= *residue != PartialState::Nothing || !attempt.committed.is_empty() || !attempt.aside.is_empty();
        if matches!(attempt.end, AttemptEnd::Restored { .. }) {
            // Everything that this run did is undone with it.
            self.committed.clear();
            self.brought_back = true;
        }
        self.unanswered |= *residue == PartialState::Unknown;
        if let AttemptEnd::Stopped { fault, at, residue: PartialState::Unknown } = &attempt.end {
            self.lost.get_or_insert_with(|| (fault.clone(), at.clone()));
        }
        if let Some(reread) = &attempt.reread {
            self.read(&reread.history, direction);
            self.unanswered = false;
            self.touched |= *reread.end.residue() != PartialState::Nothing;
        }
    }

    /// Records the tenant's history as read now. What a lost attempt committed is in it (or gone from it).
    fn read(&mut self, history: &[String], direction: Direction) {
        self.first.get_or_insert_with(|| history.to_vec());
        if self.unanswered
            && let Some(before) = &self.now
        {
            let (old, new) = if direction == Direction::Up { (&before[..], history) } else { (history, &before[..]) };
            let mut found: Vec<String> =
                new.iter().filter(|v| !old.contains(v)).map(|v| name_of(v).to_owned()).collect();
            if direction == Direction::Down {
                found.reverse();
            }
            self.committed.extend(found);
        }
        self.now = Some(history.to_vec());
    }

    /// Records that another attempt follows, and the budget that its pause counts against.
    pub(super) fn pausing(&mut self, retry: &Retry) {
        match retry.counted {
            Counted::Wait => {
                self.waits.times += 1;
                self.waits.waited += retry.pause;
            }
            Counted::Lock => {
                self.locks.tries += 1;
                self.locks.spent += self.locks.timeout + retry.pause;
            }
            Counted::Attempt => {}
        }
        self.last = Some(retry.failure.clone());
    }

    /// The number of attempts that count: waits for another run or for a lock do not.
    pub(super) fn counted(&self) -> u32 {
        self.attempts - self.waits.times - self.locks.tries
    }

    /// Keeps a note of a migration; beyond [`MOST_NOTES`] notes it is only counted.
    pub(super) fn note(&mut self, text: String) {
        if self.notes.len() < MOST_NOTES {
            self.notes.push(text);
            return;
        }
        self.unsaid += 1;
        let more = format!("and {} more", self.unsaid + 1);
        self.notes[MOST_NOTES - 1] = more;
    }

    /// Notes the repeatable scripts that the tenant has and the catalog has no more.
    pub(super) fn note_gone(&mut self, catalog: &Catalog) {
        let names = self.now.as_ref().map(|now| catalog.gone(now).join(", ")).unwrap_or_default();
        if !names.is_empty() {
            self.note(format!("{names}: applied here, and gone from the scripts; `scripts forget` ends this note"));
        }
    }

    /// The divisor of the lock timeout for the next attempt; a final attempt gets the whole timeout.
    pub(super) fn divisor(&self, retry: &RetryPolicy) -> u32 {
        if retry.attempts <= 1 { 1 } else { retry.locks.divisor(self.locks.tries) }
    }

    /// Whether the tenant was read, and not lost since.
    pub(super) fn is_known(&self) -> bool {
        self.now.is_some() && !self.unanswered
    }

    /// The newest applied migration, as far as known.
    pub(super) fn version(&self, catalog: &Catalog) -> Option<String> {
        self.now.as_ref().filter(|_| self.is_known()).and_then(|now| catalog.version_of(now)).map(bounded)
    }

    /// The goal of a tenant's next attempt: a number of steps counts from its first state in this run, not from where
    /// an attempt left it.
    pub(super) fn goal(&self, goal: Goal, catalog: &Catalog, variant: Variant) -> Goal {
        let settled =
            self.first.as_ref().and_then(|first| crate::model::plan::settle_steps(catalog, variant, first, &goal));
        Goal { target: settled.unwrap_or(goal.target), ..goal }
    }

    /// The versions between which this run moved the tenant.
    pub(super) fn moved(&self, catalog: &Catalog) -> Moved {
        Moved {
            from: self.first.as_ref().and_then(|first| catalog.version_of(first)),
            to: self.now.as_ref().and_then(|now| catalog.version_of(now)),
            n: self.committed.len(),
        }
    }
}
