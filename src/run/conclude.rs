//! From what attempts came to, to an outcome or another attempt. Pure.
//!
//! An outcome says no more than is known: success only after a commit, "nothing changed" only after a rollback.

use std::time::Duration;

use super::unit::{Attempt, End};
use crate::engine::{LockWait, PartialState};
use crate::model::fault::{Fault, FaultClass, bounded};
use crate::model::outcome::{InDoubt, LockQueue, Moved, Outcome, StoppedAt};
use crate::model::plan::{Goal, Refusal};
use crate::model::schema::{Catalog, Direction, name_of};
use crate::model::tenant::Engine;
use crate::policy::RetryPolicy;

/// What is known of one tenant over all its attempts.
#[derive(Debug, Clone, Default)]
pub(super) struct Progress {
    /// Attempts made.
    pub(super) attempts: u32,
    /// Attempts that ended because another run was at work on the tenant or its server was full, and how long was waited.
    pub(super) held: Option<Held>,
    /// The history when it was first read.
    first: Option<Vec<String>>,
    /// The history as it is now, as far as is known.
    now: Option<Vec<String>>,
    /// What this run committed, in order.
    pub(super) committed: Vec<String>,
    /// What the migrations had to say, in order.
    pub(super) notes: Vec<String>,
    /// How many lines were not kept.
    unsaid: usize,
    /// An attempt may have changed something that is still so.
    pub(super) touched: bool,
    /// The backup of this run was loaded again.
    pub(super) brought_back: bool,
    /// An attempt was lost, and the tenant has not been read since.
    unanswered: bool,
    /// What the first attempt that was lost died of, and where.
    lost: Option<(Fault, Option<StoppedAt>)>,
    /// Who held the lock that the last attempt ran into.
    locked: LockWait,
    /// Tries that ended because a lock was not granted.
    locks: Locks,
    /// The last fault, for a tenant whose next try is not made any more.
    pub(super) last: Option<(Fault, Option<StoppedAt>, PartialState)>,
}

/// Waiting for another run, or for a server that has no connection to spare.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Held {
    pub(super) times: u32,
    pub(super) waited: Duration,
}

/// Waiting for locks.
#[derive(Debug, Clone, Copy, Default)]
struct Locks {
    tries: u32,
    /// The lock timeouts of all of them, and the pauses between them.
    spent: Duration,
    /// For how long the last attempt could wait.
    timeout: Duration,
}

/// What is to be done with a tenant after an attempt.
#[derive(Debug, Clone)]
pub(super) enum Next {
    /// It has its outcome.
    Conclude(Outcome, Option<StoppedAt>, Option<Fault>),
    /// It is tried again after a pause.
    Again(Duration, Fault),
}

/// The first pause while another run is at work on the tenant, or its server is full; each further one is half as long again.
const HELD_PAUSE: Duration = Duration::from_millis(250);

/// No such pause is longer.
const HELD_PAUSE_AT_MOST: Duration = Duration::from_secs(2);

/// Lines that are kept of one tenant: what goes beyond is to be looked up in its database.
const MOST_NOTES: usize = 200;

/// A server that does not answer costs a whole connect timeout each time: it is asked twice, not five times.
const CONNECT_TIMEOUT_ATTEMPTS: u32 = 2;

/// The unknown versions that are kept of one tenant: its history may hold anything.
const MOST_UNKNOWN: usize = 100;

/// Names from a tenant's history, as many and as long as a report can take.
fn in_bounds(mut names: Vec<String>) -> Vec<String> {
    let more = names.len().saturating_sub(MOST_UNKNOWN);
    names.truncate(MOST_UNKNOWN);
    names = names.into_iter().map(bounded).collect();
    names.extend((more > 0).then(|| format!("and {more} more")));
    names
}

impl Progress {
    /// Takes in what an attempt came to.
    pub(super) fn absorb(&mut self, attempt: &Attempt, direction: Direction) {
        self.attempts += 1;
        // A try that was over before anybody could look leaves what the one before it saw.
        if !attempt.locked.holders.is_empty() {
            self.locked = attempt.locked.clone();
        }
        for killed in &attempt.killed {
            self.note(format!("terminated to get at a lock: {killed}"));
        }
        for kept in &attempt.kept {
            // Each try says the same.
            if !self.notes.contains(kept) {
                self.note(kept.clone());
            }
        }
        self.locks.timeout = attempt.lock;
        if let Some(history) = &attempt.history {
            if self.first.is_none() {
                self.first = Some(history.clone());
            }
            if self.unanswered
                && let Some(before) = &self.now
            {
                // The lost attempt is answered: what it committed is in the history now (or gone from it).
                let (old, new) = if direction == Direction::Up { (before, history) } else { (history, before) };
                let mut found: Vec<String> =
                    new.iter().filter(|v| !old.contains(v)).map(|v| name_of(v).to_owned()).collect();
                if direction == Direction::Down {
                    found.reverse();
                }
                self.committed.extend(found);
            }
            // Whoever holds the tenant now, or has moved it since this was read, may be the session that was lost, still
            // at work for us.
            self.unanswered &= matches!(
                &attempt.end,
                End::Stopped { fault, .. }
                    if matches!(fault.class, FaultClass::TenantLocked | FaultClass::HistoryMoved)
            );
            self.now = Some(history.clone());
        }
        if let Some(now) = &mut self.now {
            for script in &attempt.committed {
                script.enter_into(now);
            }
        }
        self.committed.extend(attempt.committed.iter().map(|script| script.migration.to_string()));
        let left = match &attempt.end {
            End::Stopped { residue, .. } | End::Cancelled { residue, .. } => *residue != PartialState::Nothing,
            _ => false,
        };
        self.touched |= left || !attempt.committed.is_empty();
        if matches!(attempt.end, End::Restored { .. }) {
            // All that this run did is gone with it.
            self.committed.clear();
            self.brought_back = true;
        }
        let lost = match &attempt.end {
            End::Stopped { residue, .. } | End::Cancelled { residue, .. } => *residue == PartialState::Unknown,
            _ => false,
        };
        self.unanswered |= lost;
        if let End::Stopped { fault, at, residue: PartialState::Unknown } = &attempt.end {
            self.lost.get_or_insert_with(|| (fault.clone(), at.clone()));
        }
    }

    /// Keeps what a migration had to say; beyond [`MOST_NOTES`] lines it is only counted.
    pub(super) fn note(&mut self, text: String) {
        if self.notes.len() < MOST_NOTES {
            self.notes.push(text);
            return;
        }
        self.unsaid += 1;
        let more = format!("and {} more", self.unsaid + 1);
        self.notes[MOST_NOTES - 1] = more;
    }

    /// By what the lock timeout is divided for the next attempt; one that nothing follows has all of it.
    pub(super) fn divisor(&self, retry: &RetryPolicy) -> u32 {
        if retry.attempts <= 1 { 1 } else { retry.locks.divisor(self.locks.tries) }
    }

    /// Takes in that a lock was not granted. The pause before the next try, unless that was the last one.
    fn lock_refused(&mut self, retry: &RetryPolicy, jitter: f64) -> Option<Duration> {
        let usual = self.locks.timeout * self.divisor(retry);
        self.locks.tries += 1;
        self.locks.spent += self.locks.timeout;
        if retry.attempts <= 1 {
            return None;
        }
        let next = retry.locks.next(self.locks.tries, self.locks.spent, usual, jitter)?;
        self.locks.spent += next.pause;
        Some(next.pause)
    }

    /// Whether the tenant was read, and not lost since.
    pub(super) fn is_known(&self) -> bool {
        self.now.is_some() && !self.unanswered
    }

    /// The newest applied migration, as far as is known.
    pub(super) fn version(&self, catalog: &Catalog) -> Option<String> {
        self.now.as_ref().filter(|_| self.is_known()).and_then(|now| catalog.version_of(now)).map(bounded)
    }

    /// What a tenant is to reach in its next attempt: a number of steps counts from where it was first, not from where an
    /// attempt left it.
    pub(super) fn goal(&self, goal: Goal, catalog: &Catalog, engine: Engine) -> Goal {
        let settled =
            self.first.as_ref().and_then(|first| crate::model::plan::settle_steps(catalog, engine, first, &goal));
        Goal { target: settled.unwrap_or(goal.target), ..goal }
    }

    fn moved(&self, catalog: &Catalog) -> Moved {
        Moved {
            from: self.first.as_ref().and_then(|first| catalog.version_of(first)),
            to: self.now.as_ref().and_then(|now| catalog.version_of(now)),
            n: self.committed.len(),
        }
    }

    /// Decides what follows an attempt. `jitter` is in 0.0..1.0; `final_try`: no further attempt will be made.
    pub(super) fn next(
        &mut self,
        end: End,
        goal: &Goal,
        catalog: &Catalog,
        retry: &RetryPolicy,
        jitter: f64,
        final_try: bool,
    ) -> Next {
        let conclude = |outcome, at, fault| Next::Conclude(outcome, at, fault);
        match end {
            End::Chore(outcome) => conclude(outcome, None, None),
            End::Nothing | End::Done if self.committed.is_empty() => conclude(Outcome::UpToDate, None, None),
            End::Nothing | End::Done => {
                let moved = self.moved(catalog);
                let outcome = match goal.direction {
                    Direction::Up => Outcome::Migrated(moved),
                    Direction::Down => Outcome::RolledBack(moved),
                };
                conclude(outcome, None, None)
            }
            End::Refused(Refusal::Ahead(unknown)) => {
                conclude(Outcome::Ahead { unknown: in_bounds(unknown) }, None, None)
            }
            End::Refused(Refusal::Gap(missing)) => {
                let text = format!(
                    "{} was never applied although later migrations were; --out-of-order applies it now",
                    missing.join(", ")
                );
                let fault = Fault::new(FaultClass::HistoryGap, text);
                conclude(Outcome::Failed { class: fault.class }, None, Some(fault))
            }
            End::Refused(Refusal::Edited(scripts)) => {
                let text = format!(
                    "{} was edited after it had been applied here; put its old text back, or accept the new text as what \
                     was applied: fleet scripts accept {}",
                    scripts.join(", "),
                    scripts.join(" ")
                );
                let fault = Fault::new(FaultClass::Edited, text);
                conclude(Outcome::Failed { class: fault.class }, None, Some(fault))
            }
            End::Restored { fault, at } => conclude(Outcome::Failed { class: fault.class }, at, Some(fault)),
            End::Unreachable(fault) => {
                self.again_or(fault, None, PartialState::Nothing, retry, jitter, final_try, true)
            }
            End::Stopped { fault, at, residue } => self.again_or(fault, at, residue, retry, jitter, final_try, false),
            End::Cancelled { at, residue } => match residue {
                PartialState::InDoubt(unfinished) => conclude(Outcome::InDoubt(InDoubt::Journal(unfinished)), at, None),
                PartialState::Unknown => conclude(Outcome::InDoubt(InDoubt::Unanswered), at, None),
                PartialState::Nothing | PartialState::Resumable { .. } => conclude(Outcome::Interrupted, at, None),
            },
        }
    }

    #[expect(clippy::too_many_arguments, reason = "one private step of a pure decision")]
    fn again_or(
        &mut self,
        fault: Fault,
        at: Option<StoppedAt>,
        residue: PartialState,
        retry: &RetryPolicy,
        jitter: f64,
        final_try: bool,
        unreachable: bool,
    ) -> Next {
        // Nothing of the migration was begun: the place of a guard says nothing about it.
        let guarded =
            matches!(fault.class, FaultClass::TenantLocked | FaultClass::HistoryMoved | FaultClass::WrongSchema);
        let at = at.filter(|_| !guarded);
        let may_repeat = fault.class.is_transient() && !matches!(residue, PartialState::InDoubt(_)) && !final_try;
        if may_repeat && is_waited_out(fault.class) {
            let held = self.held.get_or_insert_default();
            if held.waited < retry.lock_wait_limit {
                let pause = waiting_pause(held.times, jitter);
                held.times += 1;
                held.waited += pause;
                self.last = Some((fault.clone(), at, residue));
                return Next::Again(pause, fault);
            }
        } else if may_repeat && matches!(fault.class, FaultClass::LockTimeout | FaultClass::Busy) {
            if let Some(pause) = self.lock_refused(retry, jitter) {
                self.last = Some((fault.clone(), at, residue));
                return Next::Again(pause, fault);
            }
        } else if may_repeat {
            // Waiting for another run, or for a lock, is no attempt on the tenant.
            let tries = self.attempts - self.held.map_or(0, |held| held.times) - self.locks.tries;
            let most = match fault.class {
                FaultClass::ConnectTimeout => retry.attempts.min(CONNECT_TIMEOUT_ATTEMPTS),
                _ => retry.attempts,
            };
            if tries < most {
                self.last = Some((fault.clone(), at, residue));
                return Next::Again(retry.pause_after(tries, jitter), fault);
            }
        }
        // A tenant that was lost in an earlier attempt stays in doubt when it can't be read again.
        if unreachable && !self.unanswered {
            return Next::Conclude(Outcome::Unreachable { class: fault.class }, at, Some(fault));
        }
        let outcome = self.failure(&fault, &residue);
        match (&outcome, self.lost.take()) {
            // That a journal was found says what the outcome says already. Why it was left is what somebody has to know.
            (Outcome::InDoubt(InDoubt::Journal(_)), Some((lost, lost_at))) => {
                Next::Conclude(outcome, at.or(lost_at), Some(lost))
            }
            _ => Next::Conclude(outcome, at, Some(fault)),
        }
    }

    /// The outcome of a tenant whose attempts are over.
    pub(super) fn failure(&self, fault: &Fault, residue: &PartialState) -> Outcome {
        match residue {
            PartialState::InDoubt(unfinished) => return Outcome::InDoubt(InDoubt::Journal(unfinished.clone())),
            PartialState::Unknown => return Outcome::InDoubt(InDoubt::Unanswered),
            _ if self.unanswered => return Outcome::InDoubt(InDoubt::Unanswered),
            _ => {}
        }
        match fault.class {
            FaultClass::LockTimeout | FaultClass::Busy | FaultClass::TenantLocked => {
                let mut holders = self.locked.holders.iter().cloned();
                let (blocker, others) = (holders.next().map(Box::new), holders.collect());
                let queue = LockQueue { others, waiting: self.locked.waiting.clone() };
                Outcome::LockTimeout { blocker, queue }
            }
            class => Outcome::Failed { class },
        }
    }
}

/// Faults of the surroundings, which end by themselves: they are waited out for `lock_wait_limit`, and are no attempts.
fn is_waited_out(class: FaultClass) -> bool {
    matches!(class, FaultClass::TenantLocked | FaultClass::HistoryMoved | FaultClass::TooManyConnections)
}

/// The pause before wait number `times` (from 0). `jitter` is in 0.0..1.0.
pub(super) fn waiting_pause(times: u32, jitter: f64) -> Duration {
    let longer = 1.5_f64.powi(i32::try_from(times.min(20)).unwrap_or(20));
    HELD_PAUSE.mul_f64(longer).min(HELD_PAUSE_AT_MOST).mul_f64(1.0 + jitter / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::plan::Target;

    #[test]
    fn a_number_of_steps_counts_from_where_the_tenant_was_first() {
        let catalog = Catalog::new(["m1", "m2", "m3"], "h");
        let goal = Goal { direction: Direction::Down, target: Target::Steps(1), out_of_order: false };
        let lost = |history: &[&str]| {
            let fault = Fault::new(FaultClass::ConnectionLost, "lost");
            let end = End::Stopped { fault, at: None, residue: PartialState::Unknown };
            Attempt::without_work(Some(history.iter().map(|v| (*v).to_owned()).collect()), end)
        };
        let mut progress = Progress::default();
        progress.absorb(&lost(&["m1", "m2", "m3"]), Direction::Down);
        // The lost attempt did commit: another step from here would take m2 back too.
        progress.absorb(&lost(&["m1", "m2"]), Direction::Down);
        assert_eq!(progress.goal(goal, &catalog, Engine::Sqlite).target, Target::Migration(1));
    }

    #[test]
    fn a_tenant_in_doubt_tells_what_its_connection_died_of() {
        let catalog = Catalog::new(["m1", "m2"], "h");
        let goal = Goal { direction: Direction::Up, target: Target::End, out_of_order: false };
        let retry = RetryPolicy { attempts: 3, ..RetryPolicy::default() };
        let unfinished = crate::model::schema::Unfinished {
            migration: "m2".into(),
            direction: Direction::Up,
            statement: Some(1),
            run: "r".into(),
            stopped: false,
            sha256: String::new(),
        };
        let stopped = |class, message: &str, residue| {
            let end = End::Stopped { fault: Fault::new(class, message), at: None, residue };
            Attempt::without_work(Some(vec!["m1".to_owned()]), end)
        };
        let mut progress = Progress::default();
        let lost = stopped(FaultClass::ConnectionLost, "gone away", PartialState::Unknown);
        let found = stopped(FaultClass::Other, "was begun and not finished", PartialState::InDoubt(unfinished));
        progress.absorb(&lost, goal.direction);
        let next = progress.next(lost.end, &goal, &catalog, &retry, 0.0, false);
        assert!(matches!(next, Next::Again(..)), "{next:?}");
        progress.absorb(&found, goal.direction);
        let next = progress.next(found.end, &goal, &catalog, &retry, 0.0, false);
        let Next::Conclude(Outcome::InDoubt(InDoubt::Journal(_)), _, Some(fault)) = next else { panic!("{next:?}") };
        assert_eq!((fault.class, fault.message.as_str()), (FaultClass::ConnectionLost, "gone away"));
    }

    #[test]
    fn of_a_history_that_holds_anything_a_record_keeps_what_a_report_can_take() {
        let mut names: Vec<String> = (0..1_000).map(|i| format!("x{i}")).collect();
        names[0] = "y".repeat(10_000_000);
        let kept = in_bounds(names);
        assert_eq!((kept.len(), kept.last().map(String::as_str)), (MOST_UNKNOWN + 1, Some("and 900 more")));
        assert!(kept[0].len() <= Fault::MAX_MESSAGE);
        assert_eq!(in_bounds(vec!["x".to_owned()]), ["x"]);
    }
}
