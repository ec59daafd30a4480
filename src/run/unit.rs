//! One attempt on one tenant: connect, read, decide, apply, close.
//!
//! It knows nothing of other tenants, of retries or of outcomes: it says what happened.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::RunPlan;
use crate::engine::{ApplyError, Database, Notifier, PartialState, Session, Step, Watch, Work};
use crate::model::fault::{Fault, FaultClass};
use crate::model::locks::{LockWait, Terminations};
use crate::model::outcome::{Blocker, Outcome, StoppedAt};
use crate::model::plan::{self, Decision, Goal, Refusal};
use crate::model::schema::{Direction, Execution, Script, Unfinished};
use crate::model::tenant::Tenant;
use crate::policy::{Limits, Timeouts};

/// What an attempt came to.
#[derive(Debug, Clone)]
pub(super) struct Attempt {
    /// The history as it was read, before anything was applied.
    pub(super) history: Option<Vec<String>>,
    /// Scripts committed by this attempt, in order.
    pub(super) committed: Vec<Arc<Script>>,
    /// Who held the lock that the attempt ran into, as far as could be learnt.
    pub(super) locked: LockWait,
    /// Whose sessions were terminated to get at it.
    pub(super) killed: Vec<Blocker>,
    /// Why others were not, although they were to be.
    pub(super) kept: Vec<String>,
    /// For how long it could wait for the lock that it ended at.
    pub(super) lock: Duration,
    pub(super) end: AttemptEnd,
}

impl Attempt {
    /// An attempt that committed nothing.
    pub(super) fn without_work(history: Option<Vec<String>>, end: AttemptEnd) -> Self {
        Attempt {
            history,
            committed: Vec::new(),
            locked: LockWait::default(),
            killed: Vec::new(),
            kept: Vec::new(),
            lock: Duration::ZERO,
            end,
        }
    }
}

impl Attempt {
    /// Whether the server had a connection to spare; `None` where it was not asked, or did not say.
    pub(super) fn room(&self) -> Option<bool> {
        match &self.end {
            AttemptEnd::Unreachable(fault) | AttemptEnd::Stopped { fault, .. }
                if fault.class == FaultClass::TooManyConnections =>
            {
                Some(false)
            }
            AttemptEnd::Unreachable(_) | AttemptEnd::Cancelled { .. } => None,
            _ => Some(true),
        }
    }
}

/// How an attempt ended.
#[derive(Debug, Clone)]
pub(super) enum AttemptEnd {
    /// There was nothing to do.
    Nothing,
    /// A task is done, with this outcome.
    Task(Outcome),
    /// Everything that was to be done is committed.
    Done,
    /// The tenant must not be touched.
    Refused(Refusal),
    /// It could not be reached or read.
    Unreachable(Fault),
    /// Applying stopped.
    Stopped { fault: Fault, at: Option<StoppedAt>, residue: PartialState },
    /// Applying stopped, and the tenant was brought back to where it was before the run.
    Restored { fault: Fault, at: Option<StoppedAt> },
    /// It was cancelled by us.
    Cancelled { at: Option<StoppedAt>, residue: PartialState },
}

/// What the unit is given.
pub(super) struct Assignment {
    pub(super) plan: Arc<RunPlan>,
    /// The goal of a migration; `None`: the run is a task.
    pub(super) goal: Option<Goal>,
    pub(super) database: Arc<dyn Database>,
    pub(super) tenant: Arc<Tenant>,
    /// The time limits of this tenant in this attempt.
    pub(super) timeouts: Timeouts,
    /// By what the lock timeout is divided for this attempt; `timeouts` has it in already.
    pub(super) divisor: u32,
    /// The history, where it was read together with others just now.
    pub(super) known: Option<Vec<String>>,
    pub(super) cancel: CancellationToken,
    pub(super) teller: Notifier,
    /// Whether an earlier attempt of this run may have changed something.
    pub(super) touched: bool,
    /// Whether no further attempt follows, whatever becomes of this one.
    pub(super) last_try: bool,
}

/// How long closing a connection may take before it is left to itself.
const CLOSE_LIMIT: Duration = Duration::from_secs(2);

impl Assignment {
    /// Makes one attempt.
    pub(super) async fn attempt(self) -> Attempt {
        let nothing = |end| Attempt::without_work(None, end);
        // Nothing is touched before the script is sent; dying until then leaves the tenant as it was.
        let connected = tokio::select! {
            biased;
            () = self.cancel.cancelled() => return nothing(untouched()),
            connected = self.database.connect_within(&self.tenant, self.timeouts) => connected,
        };
        let mut session = match connected {
            Ok(session) => session,
            Err(fault) => return nothing(AttemptEnd::Unreachable(fault)),
        };
        let mut attempt = self.with(session.as_mut()).await;
        if attempt.lock.is_zero() {
            attempt.lock = self.timeouts.lock;
        }
        // The outcome is known; a connection that does not close is the server's to clean up.
        let _ = tokio::time::timeout(CLOSE_LIMIT, session.close()).await;
        attempt
    }

    async fn with(&self, session: &mut dyn Session) -> Attempt {
        let history = match &self.known {
            Some(history) => history.clone(),
            None => match self.read(session).await {
                Ok(history) => history,
                Err(end) => return Attempt::without_work(None, end),
            },
        };
        let Some(goal) = &self.goal else { return self.task(session, history).await };
        let history = match self.stopped_way_down(session, history, goal.direction).await {
            Ok(history) => history,
            Err(end) => return Attempt::without_work(None, end),
        };
        let steps = match plan::decide(&self.plan.catalog, self.tenant.engine, &history, goal) {
            Decision::Nothing => {
                let end = self.nothing_to_do(session, &history).await;
                return Attempt::without_work(Some(history), end);
            }
            Decision::Refuse(refusal) => {
                return Attempt::without_work(Some(history), AttemptEnd::Refused(refusal));
            }
            Decision::Apply(steps) => steps,
        };
        let work = match self.work(&history, &steps).await {
            Ok(work) => work,
            Err(fault) => {
                let end = AttemptEnd::Stopped { fault, at: None, residue: PartialState::Nothing };
                return Attempt::without_work(Some(history), end);
            }
        };
        if let Some(end) = self.back_up_first(session, &history).await {
            return Attempt::without_work(Some(history), end);
        }
        let attempt = self.carry_out(session, history, work).await;
        self.restore_after_failure(session, attempt).await
    }

    /// Applies what was decided, and watches who holds it up.
    pub(super) async fn carry_out(&self, session: &mut dyn Session, history: Vec<String>, work: Work) -> Attempt {
        let limits = |step: &Step| step.limits.over(self.timeouts).lock;
        let shortest = work.steps.iter().map(limits).min().unwrap_or(self.timeouts.lock);
        let (watch, probe) = (session.watch(), session.probe());
        let seen = Mutex::new(None);
        // The watch ends with the work: it never holds a tenant up.
        let (committed, end) = tokio::select! {
            applied = self.apply(session, &work) => applied,
            () = self.keep_watch(watch, shortest, &seen) => unreachable!("a watch never ends by itself"),
            // How far it came is read from the tenant by whoever comes next.
            fault = self.abandoned(probe) => (0, AttemptEnd::Stopped { fault, at: None, residue: PartialState::Unknown }),
        };
        let lock = work.steps.get(committed).map_or(self.timeouts.lock, limits);
        let seen = seen.into_inner().expect("nobody panics while holding it");
        // What was seen longer ago was another wait. An engine may round the lock timeout up to a second.
        let recent = lock.max(Duration::from_secs(1)).mul_f64(1.5);
        let locked =
            seen.filter(|(_, at): &(LockWait, Instant)| at.elapsed() <= recent).map_or_else(LockWait::default, |l| l.0);
        let committed = work.steps[..committed].iter().map(|s| s.script.clone()).collect();
        let Terminations { terminated: killed, refused: kept } = self.kill(session, &locked, &end).await;
        let end = explained(end, &kept);
        Attempt { history: Some(history), committed, locked, killed, kept, lock, end }
    }

    /// Looks at shorter intervals than the lock timeout, so that every wait that runs into it was seen. A look that comes
    /// when the wait is over finds nobody, and says nothing.
    async fn keep_watch(&self, watch: Option<Watch>, shortest: Duration, seen: &Mutex<Option<(LockWait, Instant)>>) {
        let Some(watch) = watch else { return std::future::pending().await };
        loop {
            tokio::time::sleep(shortest.mul_f64(0.6)).await;
            let found = watch().await;
            if !found.holders.is_empty() {
                *seen.lock().expect("nobody panics while holding it") = Some((found, Instant::now()));
            }
        }
    }

    /// Terminates who held the lock that an attempt ran into, where the operator asked for that and it is old enough.
    async fn kill(&self, session: &mut dyn Session, locked: &LockWait, end: &AttemptEnd) -> Terminations {
        let Some(older_than) = self.plan.kill_blockers else { return Terminations::default() };
        let may_be_repeated =
            |residue: &PartialState| matches!(residue, PartialState::Nothing | PartialState::Resumable { .. });
        match end {
            AttemptEnd::Stopped { fault, residue, .. }
                if fault.class == FaultClass::LockTimeout
                    && may_be_repeated(residue)
                    && !self.cancel.is_cancelled() =>
            {
                session.terminate(locked, older_than).await
            }
            _ => Terminations::default(),
        }
    }

    /// Makes sure that a tenant which lacks a migration is not in the middle of it: the way down on an engine without
    /// transactional DDL takes the history row away first.
    async fn nothing_to_do(&self, session: &mut dyn Session, history: &[String]) -> AttemptEnd {
        if self.plan.catalog.missing(history, self.tenant.engine).is_empty() {
            return AttemptEnd::Nothing;
        }
        match self.unfinished(session).await {
            Ok(None) => AttemptEnd::Nothing,
            Ok(Some(unfinished)) if unfinished.may_begin_again() => AttemptEnd::Nothing,
            Ok(Some(unfinished)) => self.half_way(session, unfinished).await,
            Err(end) => end,
        }
    }

    /// On the way down, a migration that stopped on it before is the first that is taken back.
    async fn stopped_way_down(
        &self,
        session: &mut dyn Session,
        history: Vec<String>,
        direction: Direction,
    ) -> Result<Vec<String>, AttemptEnd> {
        if direction == Direction::Up {
            return Ok(history);
        }
        match self.unfinished(session).await? {
            Some(unfinished) if unfinished.goes_on() => {
                Ok(self.plan.catalog.before_way_down(history, &unfinished, self.tenant.engine))
            }
            Some(unfinished) if unfinished.may_begin_again() => Ok(history),
            // A history that is in the middle of something says nothing of what is to be taken back.
            Some(unfinished) => Err(self.half_way(session, unfinished).await),
            None => Ok(history),
        }
    }

    /// Of a tenant with an open journal: another run is at work on it, or was, or nobody is.
    async fn half_way(&self, session: &mut dyn Session, unfinished: Unfinished) -> AttemptEnd {
        let stopped = |fault, residue| AttemptEnd::Stopped { fault, at: None, residue };
        match session.is_held().await {
            Ok(true) => {
                let fault = Fault::new(FaultClass::TenantLocked, "another run holds this tenant");
                return stopped(fault, PartialState::Nothing);
            }
            Ok(false) => {}
            Err(fault) => return stopped(fault, PartialState::Nothing),
        }
        match self.unfinished(session).await {
            Ok(Some(_)) => {
                let fault = Fault::new(FaultClass::Other, "a migration was begun here and not finished");
                stopped(fault, PartialState::InDoubt(unfinished))
            }
            Ok(None) => {
                let fault = Fault::new(FaultClass::HistoryMoved, "the history is not what was planned");
                stopped(fault, PartialState::Nothing)
            }
            Err(end) => end,
        }
    }

    async fn unfinished(&self, session: &mut dyn Session) -> Result<Option<Unfinished>, AttemptEnd> {
        let limit = self.timeouts.connect + self.timeouts.lock;
        match tokio::time::timeout(limit, session.unfinished()).await {
            Ok(Ok(unfinished)) => Ok(unfinished),
            Ok(Err(fault)) if fault.class.is_unreachable() => Err(AttemptEnd::Unreachable(fault)),
            Ok(Err(fault)) => Err(AttemptEnd::Stopped { fault, at: None, residue: PartialState::Nothing }),
            Err(_) => {
                let text = "the server did not answer when it was asked for an unfinished migration";
                Err(AttemptEnd::Unreachable(Fault::new(FaultClass::ConnectTimeout, text)))
            }
        }
    }

    /// Reads the history within a limit: a server that accepts and never answers must not hold the tenant up for ever.
    async fn read(&self, session: &mut dyn Session) -> Result<Vec<String>, AttemptEnd> {
        let limit = self.timeouts.connect + self.timeouts.lock;
        let read = tokio::select! {
            biased;
            () = self.cancel.cancelled() => return Err(untouched()),
            read = tokio::time::timeout(limit, session.history()) => read,
        };
        match read {
            Ok(Ok(history)) => Ok(history),
            Ok(Err(fault)) if fault.class.is_unreachable() => Err(AttemptEnd::Unreachable(fault)),
            Ok(Err(fault)) => Err(AttemptEnd::Stopped { fault, at: None, residue: PartialState::Nothing }),
            Err(_) => {
                let text = "the server accepted the connection and did not answer the first query";
                Err(AttemptEnd::Unreachable(Fault::new(FaultClass::ConnectTimeout, text)))
            }
        }
    }

    async fn work(&self, history: &[String], steps: &[usize]) -> Result<Work, Fault> {
        let scripts = self.plan.scripts.get(self.tenant.engine).await;
        let mut work = self.empty_work(history);
        for &index in steps {
            let script = scripts.get(index).ok_or_else(|| {
                Fault::new(FaultClass::Migration, format!("migration {index} of the catalog was not compiled"))
            })?;
            if let Execution::Irreversible { reason } = &script.execution {
                let text = match script.direction {
                    Direction::Up => format!("{} can't run here ({reason}); nothing was touched", script.migration),
                    Direction::Down => format!("{} has no way down ({reason}); nothing was touched", script.migration),
                };
                return Err(Fault::new(FaultClass::Migration, text));
            }
            work.steps.push(Step { index, script: script.clone(), limits: self.limits(index) });
        }
        Ok(work)
    }

    /// The time limits that a migration has for itself, in this attempt.
    pub(super) fn limits(&self, migration: usize) -> Limits {
        self.plan.limits_of(migration, self.tenant.engine).shortened(self.divisor)
    }

    pub(super) fn empty_work(&self, history: &[String]) -> Work {
        let mut history = history.to_vec();
        history.sort_unstable();
        let run = self.plan.header.run.to_string();
        Work { run, history, steps: Vec::new(), teller: self.teller.clone(), cancelled: Arc::default() }
    }

    /// Applies, and cancels on the server when asked to: dropping a future stops nothing there.
    async fn apply(&self, session: &mut dyn Session, work: &Work) -> (usize, AttemptEnd) {
        let canceller = session.canceller();
        let mut applying = std::pin::pin!(session.apply(work));
        let result = tokio::select! {
            result = &mut applying => result,
            () = self.cancel.cancelled() => {
                work.cancelled.store(true, Ordering::Relaxed);
                let grace = self.timeouts.cancel;
                let _ = tokio::time::timeout(grace, canceller()).await;
                match tokio::time::timeout(grace, applying).await {
                    Ok(Ok(())) => Ok(()),
                    Ok(Err(stop)) => {
                        return (stop.committed, AttemptEnd::Cancelled { at: stop.at, residue: stop.residue });
                    }
                    Err(_) => return (0, AttemptEnd::Cancelled { at: None, residue: PartialState::Unknown }),
                }
            }
        };
        match result {
            Ok(()) => (work.steps.len(), AttemptEnd::Done),
            Err(ApplyError { committed, at, fault, residue }) => {
                (committed, AttemptEnd::Stopped { fault, at, residue })
            }
        }
    }
}

/// The fault says why the lock could not be got at either: it is told at once, with the attempt.
fn explained(end: AttemptEnd, kept: &[String]) -> AttemptEnd {
    match end {
        AttemptEnd::Stopped { mut fault, at, residue } if !kept.is_empty() => {
            fault.message = format!("{}; {}", fault.message, kept.join("; "));
            AttemptEnd::Stopped { fault, at, residue }
        }
        end => end,
    }
}

fn untouched() -> AttemptEnd {
    AttemptEnd::Cancelled { at: None, residue: PartialState::Nothing }
}
