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
#[derive(Debug, Clone, Default)]
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
        Attempt { history, end, ..Attempt::default() }
    }

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
#[derive(Debug, Clone, Default)]
pub(super) enum AttemptEnd {
    /// There was nothing to do.
    #[default]
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

impl AttemptEnd {
    /// Stopped by a fault that belongs to no statement.
    pub(super) fn stopped(fault: Fault, residue: PartialState) -> Self {
        AttemptEnd::Stopped { fault, at: None, residue }
    }

    /// The same of a tool that we end ourselves when the run is cancelled.
    pub(super) fn stopped_or_cancelled(fault: Fault, residue: PartialState) -> Self {
        match fault.class {
            FaultClass::Cancelled => AttemptEnd::Cancelled { at: None, residue },
            _ => AttemptEnd::stopped(fault, residue),
        }
    }

    /// The state that a failure left behind.
    pub(super) fn residue(&self) -> &PartialState {
        match self {
            AttemptEnd::Stopped { residue, .. } | AttemptEnd::Cancelled { residue, .. } => residue,
            _ => &PartialState::Nothing,
        }
    }
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
        let read = match &self.known {
            Some(history) => Ok(history.clone()),
            None => self.read(session).await,
        };
        let history = match (read, &self.goal) {
            (Ok(history), Some(goal)) => self.stopped_way_down(session, history, goal.direction).await,
            (read, _) => read,
        };
        match (history, &self.goal) {
            (Err(end), _) => Attempt::without_work(None, end),
            (Ok(history), None) => self.task(session, history).await,
            (Ok(history), Some(goal)) => match self.prepared(session, &history, goal).await {
                Err(end) => Attempt::without_work(Some(history), end),
                Ok(work) => {
                    let attempt = self.carry_out(session, history, work).await;
                    self.restore_after_failure(session, attempt).await
                }
            },
        }
    }

    /// The work that brings a tenant with this history to the goal, after the tenant was backed up where it is to be. The
    /// end of the attempt where there is none.
    async fn prepared(&self, session: &mut dyn Session, history: &[String], goal: &Goal) -> Result<Work, AttemptEnd> {
        let steps = match plan::decide(&self.plan.catalog, self.tenant.engine, history, goal) {
            Decision::Nothing => return Err(self.nothing_to_do(session, history).await),
            Decision::Refuse(refusal) => return Err(AttemptEnd::Refused(refusal)),
            Decision::Apply(steps) => steps,
        };
        let work = self.work(history, &steps).await;
        let work = work.map_err(|fault| AttemptEnd::stopped(fault, PartialState::Nothing))?;
        match self.back_up_first(session, history).await {
            Some(end) => Err(end),
            None => Ok(work),
        }
    }

    /// Applies what was decided, and watches who holds it up.
    pub(super) async fn carry_out(&self, session: &mut dyn Session, history: Vec<String>, work: Work) -> Attempt {
        let limits = |step: &Step| step.limits.over(self.timeouts).lock;
        let shortest = work.steps.iter().map(limits).min().unwrap_or(self.timeouts.lock);
        let (watch, probe) = (session.watch(), session.probe());
        let seen = Mutex::new(None);
        // The watch ends with the work: it never holds a tenant up.
        let (committed, mut end) = tokio::select! {
            applied = self.apply(session, &work) => applied,
            () = self.keep_watch(watch, shortest, &seen) => unreachable!("a watch never ends by itself"),
            // How far it came is read from the tenant by whoever comes next.
            fault = self.abandoned(probe) => (0, AttemptEnd::stopped(fault, PartialState::Unknown)),
        };
        let lock = work.steps.get(committed).map_or(self.timeouts.lock, limits);
        let seen = seen.into_inner().expect("nobody panics while holding it");
        // What was seen longer ago was another wait. An engine may round the lock timeout up to a second.
        let recent = lock.max(Duration::from_secs(1)).mul_f64(1.5);
        let locked =
            seen.filter(|(_, at): &(LockWait, Instant)| at.elapsed() <= recent).map_or_else(LockWait::default, |l| l.0);
        let committed = work.steps[..committed].iter().map(|s| s.script.clone()).collect();
        let Terminations { terminated: killed, refused: kept } = self.kill(session, &locked, &end).await;
        // The fault says why the lock could not be got at either: it is told at once, with the attempt.
        if let AttemptEnd::Stopped { fault, .. } = &mut end
            && !kept.is_empty()
        {
            fault.message = format!("{}; {}", fault.message, kept.join("; "));
        }
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
        let is_lock = matches!(end, AttemptEnd::Stopped { fault, .. } if fault.class == FaultClass::LockTimeout);
        let may_be_repeated = matches!(end.residue(), PartialState::Nothing | PartialState::Resumable { .. });
        if !is_lock || !may_be_repeated || self.cancel.is_cancelled() {
            return Terminations::default();
        }
        session.terminate(locked, older_than).await
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
        let fault = match session.is_held().await {
            Ok(true) => Fault::new(FaultClass::TenantLocked, "another run holds this tenant"),
            Err(fault) => fault,
            Ok(false) => match self.unfinished(session).await {
                Ok(Some(_)) => {
                    let fault = Fault::new(FaultClass::Other, "a migration was begun here and not finished");
                    return AttemptEnd::stopped(fault, PartialState::InDoubt(unfinished));
                }
                Ok(None) => Fault::new(FaultClass::HistoryMoved, "the history is not what was planned"),
                Err(end) => return end,
            },
        };
        AttemptEnd::stopped(fault, PartialState::Nothing)
    }

    async fn unfinished(&self, session: &mut dyn Session) -> Result<Option<Unfinished>, AttemptEnd> {
        self.answer(session.unfinished(), "the server did not answer when it was asked for an unfinished migration")
            .await
    }

    async fn read(&self, session: &mut dyn Session) -> Result<Vec<String>, AttemptEnd> {
        let silent = "the server accepted the connection and did not answer the first query";
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => Err(untouched()),
            read = self.answer(session.history(), silent) => read,
        }
    }

    /// Waits for an answer within a limit: a server that accepts and never answers must not hold the tenant up for ever.
    async fn answer<T>(&self, answer: impl Future<Output = Result<T, Fault>>, silent: &str) -> Result<T, AttemptEnd> {
        match tokio::time::timeout(self.timeouts.connect + self.timeouts.lock, answer).await {
            Ok(answer) => answer.map_err(|fault| match fault.class.is_unreachable() {
                true => AttemptEnd::Unreachable(fault),
                false => AttemptEnd::stopped(fault, PartialState::Nothing),
            }),
            Err(_) => Err(AttemptEnd::Unreachable(Fault::new(FaultClass::ConnectTimeout, silent))),
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
        let (result, is_cancelled) = tokio::select! {
            result = &mut applying => (result, false),
            () = self.cancel.cancelled() => {
                work.cancelled.store(true, Ordering::Relaxed);
                let grace = self.timeouts.cancel;
                let _ = tokio::time::timeout(grace, canceller()).await;
                match tokio::time::timeout(grace, applying).await {
                    Ok(result) => (result, true),
                    Err(_) => return (0, AttemptEnd::Cancelled { at: None, residue: PartialState::Unknown }),
                }
            }
        };
        match result {
            Ok(()) => (work.steps.len(), AttemptEnd::Done),
            Err(ApplyError { committed, at, residue, .. }) if is_cancelled => {
                (committed, AttemptEnd::Cancelled { at, residue })
            }
            Err(ApplyError { committed, at, fault, residue }) => {
                (committed, AttemptEnd::Stopped { fault, at, residue })
            }
        }
    }
}

fn untouched() -> AttemptEnd {
    AttemptEnd::Cancelled { at: None, residue: PartialState::Nothing }
}
