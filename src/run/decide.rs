//! The decision from the facts of one tenant: its outcome, or another attempt. Pure.
//!
//! An outcome claims no more than is known: success only after a commit, "nothing changed" only after a rollback.

use std::time::Duration;

use super::attempts::{AttemptHistory, Failure};
use super::unit::AttemptEnd;
use crate::engine::PartialState;
use crate::model::fault::{Fault, FaultClass, bounded};
use crate::model::outcome::{InDoubt, LockQueue, Outcome, StoppedAt};
use crate::model::plan::Refusal;
use crate::model::program;
use crate::model::schema::{Catalog, Direction, Unfinished};
use crate::policy::{Backoff, RetryPolicy};

/// The rules of a decision, the same for every tenant of a run except for the jitter.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules<'a> {
    pub(super) direction: Direction,
    pub(super) catalog: &'a Catalog,
    pub(super) retry: &'a RetryPolicy,
    /// A random number in 0.0..1.0.
    pub(super) jitter: f64,
    /// Whether an attempt that may have changed something is made again.
    pub(super) may_be_repeated: bool,
    /// No further attempt is made, whatever the fault.
    pub(super) final_try: bool,
}

/// The next step for a tenant after an attempt.
#[derive(Debug, Clone)]
pub(super) enum Next {
    /// The tenant has its outcome.
    Conclude(Conclusion),
    /// The tenant is tried again after a pause.
    Again(Retry),
}

/// The end of a tenant's attempts.
#[derive(Debug, Clone)]
pub(super) struct Conclusion {
    pub(super) outcome: Outcome,
    pub(super) at: Option<StoppedAt>,
    pub(super) fault: Option<Fault>,
}

impl Conclusion {
    pub(super) fn of(outcome: Outcome) -> Self {
        Conclusion { outcome, at: None, fault: None }
    }

    fn failed(class: FaultClass, text: String) -> Self {
        let fault = Fault::new(class, text);
        Conclusion { outcome: Outcome::Failed { class }, at: None, fault: Some(fault) }
    }
}

/// A further attempt.
#[derive(Debug, Clone)]
pub(super) struct Retry {
    pub(super) pause: Duration,
    pub(super) counted: Counted,
    /// The attempt that led to it.
    pub(super) failure: Failure,
}

/// The budget that a pause counts against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Counted {
    /// Another run, or a full server: bounded by `lock_wait`.
    Wait,
    /// A lock that was not granted: bounded by the policy of lock retries.
    Lock,
    /// A transient fault: bounded by `attempts`.
    Attempt,
}

/// The pauses while another run works on the tenant, or its server has no free connection.
pub(super) const WAITS: Backoff =
    Backoff { first: Duration::from_millis(400), longest: Duration::from_secs(3), growth: 1.5 };

/// A server that does not answer costs a whole connect timeout each time: it is tried twice, not five times.
const CONNECT_TIMEOUT_ATTEMPTS: u32 = 2;

/// Maximum number of unknown versions kept per tenant: its history may hold anything.
const MOST_UNKNOWN: usize = 100;

/// Names from a tenant's history, truncated in number and length for a report.
fn in_bounds(mut names: Vec<String>) -> Vec<String> {
    let more = names.len().saturating_sub(MOST_UNKNOWN);
    names.truncate(MOST_UNKNOWN);
    names = names.into_iter().map(bounded).collect();
    names.extend((more > 0).then(|| format!("and {more} more")));
    names
}

/// Decides what follows an attempt that is recorded in `history`.
pub(super) fn decide(history: &AttemptHistory, end: AttemptEnd, rules: &Rules<'_>) -> Next {
    Next::Conclude(match end {
        AttemptEnd::Unreachable(fault) => {
            let failure = Failure { fault, at: None, residue: PartialState::Nothing };
            return retry_or_conclude(history, failure, rules, true);
        }
        AttemptEnd::Stopped { fault, at, residue } => {
            return retry_or_conclude(history, Failure { fault, at, residue }, rules, false);
        }
        AttemptEnd::Task(outcome) => Conclusion::of(outcome),
        AttemptEnd::Nothing | AttemptEnd::Done if history.committed.is_empty() => Conclusion::of(Outcome::UpToDate),
        AttemptEnd::Nothing | AttemptEnd::Done => {
            let moved = history.moved(rules.catalog);
            Conclusion::of(match rules.direction {
                Direction::Up => Outcome::Migrated(moved),
                Direction::Down => Outcome::RolledBack(moved),
            })
        }
        AttemptEnd::Refused(refusal) => refused(refusal),
        AttemptEnd::Restored { fault, at } => {
            Conclusion { outcome: Outcome::Failed { class: fault.class }, at, fault: Some(fault) }
        }
        AttemptEnd::Cancelled { at, residue } => {
            let outcome = in_doubt(&residue).map_or(Outcome::Interrupted, Outcome::InDoubt);
            Conclusion { outcome, at: with_rest(at, &residue), fault: None }
        }
    })
}

/// The place where a script stopped, with what has stayed of it as far as that is known.
fn with_rest(at: Option<StoppedAt>, residue: &PartialState) -> Option<StoppedAt> {
    let stayed = match residue {
        PartialState::Nothing => Some(0),
        PartialState::Resumable { statements } => Some(*statements),
        PartialState::InDoubt(unfinished) if !unfinished.lost.is_empty() => unfinished.statement.map(|n| n - 1),
        PartialState::InDoubt(_) | PartialState::Unknown => None,
    };
    let lost = match residue {
        PartialState::InDoubt(unfinished) => unfinished.lost.clone(),
        _ => String::new(),
    };
    at.map(|at| StoppedAt { stayed, lost, ..at })
}

/// The doubt about a tenant left in this state.
fn in_doubt(residue: &PartialState) -> Option<InDoubt> {
    match residue {
        PartialState::InDoubt(unfinished) if !unfinished.lost.is_empty() => None,
        PartialState::InDoubt(unfinished) => Some(InDoubt::Journal(unfinished.clone())),
        PartialState::Unknown => Some(InDoubt::Unanswered),
        PartialState::Nothing | PartialState::Resumable { .. } => None,
    }
}

pub(super) fn refused(refusal: Refusal) -> Conclusion {
    match refusal {
        Refusal::Ahead(unknown) => Conclusion::of(Outcome::Ahead { unknown: in_bounds(unknown) }),
        Refusal::Gap(missing) => Conclusion::failed(
            FaultClass::OutOfOrder,
            format!(
                "{} was never applied although later migrations were; --out-of-order applies it now",
                missing.join(", ")
            ),
        ),
        Refusal::PartiallyApplied(unfinished) if !unfinished.lost.is_empty() => {
            let text = format!("partially applied: {}; see `runs resolve`; nothing was touched", unfinished.in_words());
            let (stayed, statement) = (unfinished.statement.map(|n| n.saturating_sub(1)), unfinished.statement);
            let Unfinished { migration, lost, .. } = unfinished;
            let at = StoppedAt { migration, statement, stayed, lost, ..StoppedAt::default() };
            Conclusion { at: Some(at), ..Conclusion::failed(FaultClass::PartiallyApplied, text) }
        }
        Refusal::PartiallyApplied(unfinished) => Conclusion::failed(
            FaultClass::PartiallyApplied,
            format!("partially applied: {}, or see `runs resolve`; nothing was touched", unfinished.in_words()),
        ),
        Refusal::Lost(tenant, left) => {
            let fault = left.lost(&tenant);
            Conclusion { outcome: Outcome::Failed { class: fault.class }, at: None, fault: Some(fault) }
        }
        Refusal::Moved { planned, found } => Conclusion::failed(
            FaultClass::HistoryMoved,
            format!(
                "it is at {}, and the run was planned for it at {}: something else has moved it since; nothing was touched",
                found.as_deref().unwrap_or("no version"),
                planned.as_deref().unwrap_or("no version")
            ),
        ),
        Refusal::OtherPart(scripts) => {
            Conclusion::failed(FaultClass::ChecksumMismatch, crate::model::plan::other_part(&scripts))
        }
        Refusal::Edited(scripts) => Conclusion::failed(
            FaultClass::ChecksumMismatch,
            format!(
                "{} was edited after it had been applied here; put its old text back, or accept the new text as what \
                 was applied: {} scripts repair {}",
                scripts.join(", "),
                program::name(),
                scripts.join(" ")
            ),
        ),
    }
}

fn retry_or_conclude(history: &AttemptHistory, failure: Failure, rules: &Rules<'_>, unreachable: bool) -> Next {
    let Failure { fault, at, residue } = failure;
    let at = with_rest(at, &residue);
    // Nothing of the migration was begun: the position of a guard says nothing about it.
    let guarded = matches!(fault.class, FaultClass::TenantLocked | FaultClass::HistoryMoved | FaultClass::WrongSchema);
    let at = at.filter(|_| !guarded || matches!(residue, PartialState::Resumable { .. }));
    let may_repeat = fault.class.is_transient() && !matches!(residue, PartialState::InDoubt(_)) && !rules.final_try;
    let may_repeat = may_repeat && (rules.may_be_repeated || residue == PartialState::Nothing);
    if may_repeat && let Some((pause, counted)) = pause(history, fault.class, rules) {
        return Next::Again(Retry { pause, counted, failure: Failure { fault, at, residue } });
    }
    // A tenant lost in an earlier attempt stays in doubt if it can't be read again.
    if unreachable && !history.unanswered {
        let outcome = Outcome::Unreachable { class: fault.class };
        return Next::Conclude(Conclusion { outcome, at, fault: Some(fault) });
    }
    let outcome = outcome_of(history, &fault, &residue);
    Next::Conclude(match (&outcome, history.lost.clone()) {
        // That a journal was found is already in the outcome. The useful information is why it was left.
        (Outcome::InDoubt(InDoubt::Journal(_)), Some((lost, lost_at))) => {
            Conclusion { outcome, at: at.or(lost_at), fault: Some(lost) }
        }
        _ => Conclusion { outcome, at, fault: Some(fault) },
    })
}

/// The pause before another attempt, and the budget that it counts against; `None` if the budget is used up.
fn pause(history: &AttemptHistory, class: FaultClass, rules: &Rules<'_>) -> Option<(Duration, Counted)> {
    let retry = rules.retry;
    match class {
        _ if is_waited_out(class) => {
            let waits = history.waits;
            (waits.waited < retry.lock_wait_limit).then(|| (WAITS.pause(waits.times, rules.jitter), Counted::Wait))
        }
        FaultClass::LockTimeout | FaultClass::Busy => {
            let locks = history.locks;
            let usual = locks.timeout * history.divisor(retry);
            let next = || retry.locks.next(locks.tries + 1, locks.spent + locks.timeout, usual, rules.jitter);
            (retry.attempts > 1).then(next).flatten().map(|next| (next.pause, Counted::Lock))
        }
        _ => {
            let most = match class {
                FaultClass::ConnectTimeout => retry.attempts.min(CONNECT_TIMEOUT_ATTEMPTS),
                _ => retry.attempts,
            };
            let tries = history.counted();
            (tries < most).then(|| (retry.pauses.pause(tries.saturating_sub(1), rules.jitter), Counted::Attempt))
        }
    }
}

/// The conclusion of a tenant whose next attempt is not made any more.
pub(super) fn given_up(history: &AttemptHistory, Failure { fault, at, residue }: Failure) -> Conclusion {
    Conclusion { outcome: outcome_of(history, &fault, &residue), at: with_rest(at, &residue), fault: Some(fault) }
}

/// The outcome of a tenant whose attempts are over.
fn outcome_of(history: &AttemptHistory, fault: &Fault, residue: &PartialState) -> Outcome {
    let unanswered = || history.unanswered.then_some(InDoubt::Unanswered);
    if let Some(in_doubt) = in_doubt(residue).or_else(unanswered) {
        return Outcome::InDoubt(in_doubt);
    }
    match fault.class {
        FaultClass::LockTimeout | FaultClass::Busy | FaultClass::TenantLocked => {
            let mut holders = history.locked.holders.iter().cloned();
            let (blocker, others) = (holders.next().map(Box::new), holders.collect());
            let queue = LockQueue { others, waiting: history.locked.waiting.clone() };
            Outcome::LockTimeout { blocker, queue }
        }
        class => Outcome::Failed { class },
    }
}

/// Environmental faults, which end by themselves: they are waited out for `lock_wait_limit`, and do not count as
/// attempts.
fn is_waited_out(class: FaultClass) -> bool {
    matches!(class, FaultClass::TenantLocked | FaultClass::HistoryMoved | FaultClass::TooManyConnections)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::plan::{Goal, Target};
    use crate::model::tenant::Engine;
    use crate::run::unit::Attempt;

    #[test]
    fn a_number_of_steps_counts_from_where_the_tenant_was_first() {
        let catalog = Catalog::new(["m1", "m2", "m3"], "h");
        let goal = Goal { direction: Direction::Down, target: Target::Steps(1), out_of_order: false };
        let lost = |versions: &[&str]| {
            let fault = Fault::new(FaultClass::ConnectionLost, "lost");
            let end = AttemptEnd::Stopped { fault, at: None, residue: PartialState::Unknown };
            Attempt::without_work(Some(versions.iter().map(|v| (*v).to_owned()).collect()), end)
        };
        let mut history = AttemptHistory::default();
        history.record(&lost(&["m1", "m2", "m3"]), Direction::Down);
        // The lost attempt did commit: another step from here would roll back m2 too.
        history.record(&lost(&["m1", "m2"]), Direction::Down);
        assert_eq!(history.goal(goal, &catalog, Engine::Sqlite.into()).target, Target::Migration(1));
    }

    #[test]
    fn a_tenant_in_doubt_tells_what_its_connection_died_of() {
        let catalog = Catalog::new(["m1", "m2"], "h");
        let retry = RetryPolicy { attempts: 3, ..RetryPolicy::default() };
        let unfinished = crate::model::schema::Unfinished {
            migration: "m2".into(),
            direction: Direction::Up,
            statement: Some(1),
            run: "r".into(),
            stopped: false,
            sha256: String::new(),
            is_gone: false,
            lost: String::new(),
            vouched: false,
        };
        let stopped = |class, message: &str, residue| {
            let end = AttemptEnd::Stopped { fault: Fault::new(class, message), at: None, residue };
            Attempt::without_work(Some(vec!["m1".to_owned()]), end)
        };
        let mut history = AttemptHistory::default();
        let lost = stopped(FaultClass::ConnectionLost, "gone away", PartialState::Unknown);
        let found = stopped(FaultClass::Other, "was begun and not finished", PartialState::InDoubt(unfinished));
        history.record(&lost, Direction::Up);
        let (direction, catalog, retry) = (Direction::Up, &catalog, &retry);
        let rules = Rules { direction, catalog, retry, jitter: 0.0, may_be_repeated: true, final_try: false };
        let next = decide(&history, lost.end, &rules);
        let Next::Again(again) = next else { panic!("{next:?}") };
        history.pausing(&again);
        history.record(&found, Direction::Up);
        let next = decide(&history, found.end, &rules);
        let Next::Conclude(Conclusion { outcome: Outcome::InDoubt(InDoubt::Journal(_)), fault: Some(fault), .. }) =
            next
        else {
            panic!("{next:?}")
        };
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
