//! One attempt on one tenant: connect, read, decide, apply, close.
//!
//! It knows nothing of other tenants, retries or outcomes: it reports what happened.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::RunPlan;
use super::lock_watch::LockSightings;
use super::reread::Reread;
use crate::compile::Around;
use crate::crash;
use crate::engine::{
    ApplyError, Continuation, Database, Look, Notice, Notifier, PartialState, Session, Step, Stopwatch, Work,
    continuation, is_between_batches, is_of_form, with_session,
};
use crate::model::fault::{Fault, FaultClass, bounded};
use crate::model::locks::{LockWait, Terminations};
use crate::model::outcome::{Blocker, Outcome, StoppedAt};
use crate::model::plan::{self, Decision, Goal, Refusal};
use crate::model::schema::{Catalog, Direction, Execution, Script, Unfinished};
use crate::model::tenant::Tenant;
use crate::model::timings::Phase;
use crate::model::transaction::TransactionScope;
use crate::policy::{Limits, Timeouts};

/// The result of an attempt.
#[derive(Debug, Clone, Default)]
pub(super) struct Attempt {
    /// The history as read before anything was applied.
    pub(super) history: Option<Vec<String>>,
    /// Scripts committed by this attempt, in order.
    pub(super) committed: Vec<Arc<Script>>,
    /// Repeatable scripts that were taken down for others, or made again behind them, in order.
    pub(super) aside: Vec<Arc<Script>>,
    /// The holders of the lock that the attempt ran into, as far as known.
    pub(super) locked: LockWait,
    /// The sessions terminated to free the lock.
    pub(super) killed: Vec<Blocker>,
    /// The reasons why other sessions were not terminated although requested.
    pub(super) kept: Vec<String>,
    /// The lock timeout of the wait that ended the attempt.
    pub(super) lock: Duration,
    pub(super) end: AttemptEnd,
    /// Whether it was not made, because the hook before it failed or was not waited for.
    pub(super) is_unhooked: bool,
    /// The tenant as it was read again, if the attempt was lost and no other one follows.
    pub(super) reread: Option<Reread>,
}

impl Attempt {
    /// An attempt that committed nothing.
    pub(super) fn without_work(history: Option<Vec<String>>, end: AttemptEnd) -> Self {
        Attempt { history, end, ..Attempt::default() }
    }

    /// Whether the server had a free connection; `None` if it was not contacted, or did not say.
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

/// The end of an attempt.
#[derive(Debug, Clone, Default)]
pub(super) enum AttemptEnd {
    /// There was nothing to do.
    #[default]
    Nothing,
    /// The task is done, with this outcome.
    Task(Outcome),
    /// All planned work is committed.
    Done,
    /// The tenant must not be touched.
    Refused(Refusal),
    /// It could not be reached or read.
    Unreachable(Fault),
    /// Applying stopped.
    Stopped { fault: Fault, at: Option<StoppedAt>, residue: PartialState },
    /// Applying stopped, and the tenant was restored to its state before the run.
    Restored { fault: Fault, at: Option<StoppedAt> },
    /// It was cancelled by us.
    Cancelled { at: Option<StoppedAt>, residue: PartialState },
}

impl AttemptEnd {
    /// The end of an attempt by a fault that belongs to no statement.
    pub(super) fn stopped(fault: Fault, residue: PartialState) -> Self {
        AttemptEnd::Stopped { fault, at: None, residue }
    }

    /// The same for a tool that we end ourselves when the run is cancelled.
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

/// The input of the unit.
pub(super) struct Assignment {
    pub(super) plan: Arc<RunPlan>,
    /// The goal of a migration; `None`: the run is a task.
    pub(super) goal: Option<Goal>,
    pub(super) database: Arc<dyn Database>,
    pub(super) tenant: Arc<Tenant>,
    /// The time limits of this tenant in this attempt.
    pub(super) timeouts: Timeouts,
    /// The divisor of the lock timeout for this attempt; already applied to `timeouts`.
    pub(super) divisor: u32,
    /// The extent of its transactions.
    pub(super) transaction: TransactionScope,
    /// The history, if it was just read together with others.
    pub(super) known: Option<Vec<String>>,
    pub(super) cancel: CancellationToken,
    /// Asks for an end at the next safe place.
    pub(super) interrupted: CancellationToken,
    pub(super) teller: Notifier,
    pub(super) stopwatch: Stopwatch,
    /// Whether an earlier attempt of this run may have made changes.
    pub(super) touched: bool,
    /// Whether no further attempt follows, whatever the result of this one.
    pub(super) last_try: bool,
    /// Whether an earlier attempt ended at a lock whose holders were not seen.
    pub(super) is_unseen: bool,
}

/// Maximum time to close a connection before it is abandoned.
const CLOSE_LIMIT: Duration = Duration::from_secs(2);

impl Assignment {
    /// Makes one attempt.
    pub(super) async fn attempt(self) -> Attempt {
        let nothing = |end| Attempt::without_work(None, end);
        // Nothing is touched before the script is sent; dying until then leaves the tenant unchanged.
        let connecting = self.database.connect_within(&self.tenant, self.timeouts);
        let connecting = self.stopwatch.start(Phase::Connect, None).over(connecting);
        let connected = tokio::select! {
            biased;
            () = self.cancel.cancelled() => return nothing(untouched()),
            connected = connecting => connected,
        };
        let mut session = match connected {
            Ok(session) => session,
            Err(fault) => return nothing(AttemptEnd::Unreachable(fault)),
        };
        let mut attempt = self.with(session.as_mut()).await;
        if attempt.lock.is_zero() {
            attempt.lock = self.timeouts.lock;
        }
        // The outcome is known; a connection that does not close is left for the server to clean up.
        let _ = tokio::time::timeout(CLOSE_LIMIT, session.close()).await;
        attempt.reread = self.read_again(&attempt).await;
        attempt
    }

    async fn with(&self, session: &mut dyn Session) -> Attempt {
        let mut attempt = self.with_goal_or_task(session).await;
        attempt.end = self.told_apart(attempt.end).await;
        find_holder(session, &mut attempt).await;
        attempt
    }

    /// A journal that only another command goes on with is a refusal: the tenant is partially applied and not in doubt,
    /// and every command says so.
    async fn told_apart(&self, end: AttemptEnd) -> AttemptEnd {
        let AttemptEnd::Stopped { residue: PartialState::InDoubt(unfinished), fault, .. } = &end else { return end };
        // The engine's own refusal says more than the journal.
        let is_told = !unfinished.lost.is_empty() && fault.code.is_some();
        let Some(script) = self.script_begun(unfinished).await.filter(|_| !is_told) else { return end };
        let unfinished = with_session(unfinished.clone(), &script);
        let goes_on = matches!(continuation(&unfinished, &script), Continuation::At(_));
        match goes_on || !unfinished.lost.is_empty() {
            true => AttemptEnd::Refused(Refusal::PartiallyApplied(unfinished)),
            false => end,
        }
    }

    async fn script_begun(&self, unfinished: &Unfinished) -> Option<Arc<Script>> {
        self.plan.scripts.migrations().script_of(self.tenant.variant(), unfinished).await
    }

    /// Whether a command goes on with an unfinished migration by itself.
    pub(super) async fn goes_on_with(&self, unfinished: &Unfinished) -> bool {
        self.script_begun(unfinished)
            .await
            .is_some_and(|script| matches!(continuation(unfinished, &script), Continuation::At(_)))
    }

    async fn with_goal_or_task(&self, session: &mut dyn Session) -> Attempt {
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
                Ok((work, around)) => {
                    let attempt = self.in_the_form_begun(session, history, work).await;
                    let attempt = self.restore_after_failure(session, attempt).await;
                    self.make_again(session, attempt, &around).await
                }
            },
        }
    }

    /// The work of this attempt, without any of it being done; `None`: there is none, or the tenant is refused.
    pub(super) async fn planned_work(&self, session: &mut dyn Session) -> Result<Option<Work>, Fault> {
        let Some(goal) = &self.goal else { return Ok(None) };
        let history = match self.read(session).await {
            Ok(history) => self.stopped_way_down(session, history, goal.direction).await,
            Err(end) => Err(end),
        };
        let work = match history {
            Ok(history) => self.decided(session, &history, goal).await,
            Err(end) => Err(end),
        };
        match work {
            Ok((work, _)) => Ok(Some(work)),
            Err(AttemptEnd::Unreachable(fault) | AttemptEnd::Stopped { fault, .. }) => Err(fault),
            Err(_) => Ok(None),
        }
    }

    /// The work that brings a tenant with this history to the goal; or the end of the attempt if there is no work.
    async fn decided(
        &self,
        session: &mut dyn Session,
        history: &[String],
        goal: &Goal,
    ) -> Result<(Work, Around), AttemptEnd> {
        let open = self.open_journal(session).await?;
        let before = match goal.direction {
            Direction::Up => Catalog::before_way_up(history, open.as_ref()),
            Direction::Down => history.to_vec(),
        };
        let goes_on = match &open {
            Some(open) => self.goes_on_with(open).await,
            None => true,
        };
        // Nothing goes on with a journal whose script is gone, or has another text: that comes before all else.
        if let Some(open) = open.clone().filter(|open| !goes_on && (open.is_gone || open.is_restore())) {
            return Err(self.half_way(session, open).await);
        }
        let steps = match plan::decide(&self.plan.catalog, self.tenant.variant(), &before, goal) {
            Decision::Nothing => return Err(self.nothing_to_do(session, open).await),
            Decision::Refuse(_) if !goes_on => return Err(self.nothing_to_do(session, open).await),
            Decision::Refuse(refusal) => return Err(AttemptEnd::Refused(refusal)),
            Decision::Apply(steps) => steps,
        };
        let steps = match self.plan.freezes.get(&self.tenant.id) {
            Some(&last) if goal.direction == Direction::Up => self.up_to(last, steps),
            _ => steps,
        };
        if steps.is_empty() {
            return Err(self.nothing_to_do(session, open).await);
        }
        // A change by an earlier attempt of this run is no move of others.
        let found = || self.plan.catalog.version_of(history);
        let has_moved = |planned: &Option<String>| match self.plan.header.kind.undoes() {
            None => *planned != found(),
            Some(_) => self.is_above(planned.as_ref(), found().as_ref()),
        };
        if let Some(planned) =
            self.plan.starts.get(&self.tenant.id).filter(|planned| !self.touched && has_moved(planned))
        {
            return Err(AttemptEnd::Refused(Refusal::Moved { planned: planned.clone(), found: found() }));
        }
        // A new database in the place of a lost one would hide the loss.
        if let Some(left) = self.plan.left_at.get(&self.tenant.id)
            && goal.direction == Direction::Up
            && history.is_empty()
            // Something that was begun here, such as a restore, is told first.
            && open.is_none()
        {
            return Err(AttemptEnd::Refused(Refusal::Lost(self.tenant.id.clone(), left.clone())));
        }
        let work = self.work(history, &steps).await;
        let mut work = work.map_err(|fault| AttemptEnd::stopped(fault, PartialState::Nothing))?;
        let around = self.make_way(session, &mut work, &steps).await?;
        Ok((work, around))
    }

    /// Whether a version is above another one, or unknown: something else has moved the tenant there.
    fn is_above(&self, planned: Option<&String>, found: Option<&String>) -> bool {
        let place = |version: &String| self.plan.catalog.position(version);
        found.is_some_and(|found| place(found).is_none_or(|at| planned.and_then(place).is_none_or(|most| at > most)))
    }

    /// The steps of a frozen tenant.
    fn up_to(&self, last: usize, steps: Vec<usize>) -> Vec<usize> {
        let (within, beyond): (Vec<usize>, Vec<usize>) = steps.into_iter().partition(|&step| step <= last);
        if !beyond.is_empty() && !self.touched {
            let name = &self.plan.catalog.migrations[last];
            self.teller.tell(Notice::Note(format!("frozen at {name}: {} later not applied", beyond.len())));
        }
        within
    }

    /// As [`Assignment::decided`], after a backup of the tenant if planned.
    async fn prepared(
        &self,
        session: &mut dyn Session,
        history: &[String],
        goal: &Goal,
    ) -> Result<(Work, Around), AttemptEnd> {
        let (work, around) = self.decided(session, history, goal).await?;
        if goal.direction == Direction::Down {
            let refused = tokio::select! {
                () = self.cancel.cancelled() => Some(untouched()),
                refused = self.refused_ahead(session, &work) => refused,
            };
            refused.map_or(Ok(()), Err)?;
        }
        match self.back_up_first(session, history).await {
            Some(end) => Err(end),
            None => Ok((work, around)),
        }
    }

    /// Applies the planned work; a step that was begun in its other form, online or not, goes on in that one, whose
    /// statements its journal counts. Dying between the two: nothing has run, and the journal is as it was.
    async fn in_the_form_begun(&self, session: &mut dyn Session, history: Vec<String>, mut work: Work) -> Attempt {
        let mut attempt = self.carry_out(session, history.clone(), work.clone()).await;
        explain_form(&mut attempt.end, &work);
        let AttemptEnd::Stopped { residue: PartialState::InDoubt(unfinished), .. } = &attempt.end else {
            return attempt;
        };
        let Some(script) = self.script_begun(unfinished).await else { return attempt };
        let goes_on = matches!(continuation(unfinished, &script), Continuation::At(_));
        let is_other = |step: &&mut Step| {
            step.script.migration == script.migration
                && step.script.direction == script.direction
                && step.script.sha256 != script.sha256
        };
        let Some(step) = work.steps.iter_mut().find(is_other).filter(|_| goes_on) else { return attempt };
        let record = step.script.record.clone();
        step.script = Arc::new(Script { record, ..Script::clone(&script) });
        self.carry_out(session, history, work).await
    }

    /// Applies the planned work, and watches for sessions that block it.
    pub(super) async fn carry_out(&self, session: &mut dyn Session, history: Vec<String>, work: Work) -> Attempt {
        let limits = |step: &Step| step.limits.over(self.timeouts).lock;
        let (watch, probe) = (session.watch(), session.probe());
        let seen = LockSightings::of(&work.steps, self.timeouts, self.is_unseen);
        // The watch ends with the work: it never delays a tenant.
        let (committed, mut end) = tokio::select! {
            applied = self.apply(session, &work) => applied,
            () = seen.watch(watch) => unreachable!("a watch never ends by itself"),
            // The next attempt or run reads the progress from the tenant.
            fault = self.abandoned(probe) => (0, AttemptEnd::stopped(fault, PartialState::Unknown)),
        };
        let lock = work.steps.get(committed).map_or(self.timeouts.lock, limits);
        seen.explain(&mut end);
        let locked = seen.recent(lock);
        let (aside, committed): (Vec<&Step>, Vec<&Step>) = work.steps[..committed].iter().partition(|s| s.is_aside);
        let [aside, committed] = [aside, committed].map(|steps| steps.iter().map(|s| s.script.clone()).collect());
        let Terminations { terminated: killed, refused: kept } = self.kill(session, &locked, &end).await;
        // The fault also says why the lock could not be obtained: it is reported at once, with the attempt.
        if let AttemptEnd::Stopped { fault, .. } = &mut end
            && !kept.is_empty()
        {
            fault.message = format!("{}; {}", fault.message, kept.join("; "));
        }
        Attempt { history: Some(history), committed, aside, locked, killed, kept, lock, end, ..Attempt::default() }
    }

    /// Terminates the holders of the lock that an attempt ran into, if the operator asked for that and their
    /// transactions are old enough.
    async fn kill(&self, session: &mut dyn Session, locked: &LockWait, end: &AttemptEnd) -> Terminations {
        let Some(older_than) = self.plan.kill_blockers else { return Terminations::default() };
        let is_lock = matches!(end, AttemptEnd::Stopped { fault, .. } if fault.class == FaultClass::LockTimeout);
        let may_be_repeated = matches!(end.residue(), PartialState::Nothing | PartialState::Resumable { .. });
        if !is_lock || !may_be_repeated || self.cancel.is_cancelled() {
            return Terminations::default();
        }
        session.terminate(locked, older_than).await
    }

    /// The end where no step is to be applied: a tenant with an open journal is half way all the same.
    async fn nothing_to_do(&self, session: &mut dyn Session, open: Option<Unfinished>) -> AttemptEnd {
        match open {
            None => AttemptEnd::Nothing,
            Some(unfinished) => self.half_way(session, unfinished).await,
        }
    }

    /// The unfinished migration, which is asked for only where the history, read in the same round trip, came without the
    /// word that there is none.
    pub(super) async fn open_journal(&self, session: &mut dyn Session) -> Result<Option<Unfinished>, AttemptEnd> {
        if self.known.is_some() || session.saw_no_journal() {
            return Ok(None);
        }
        self.unfinished(session).await
    }

    /// On the way down, a migration that stopped there before is the first to be rolled back.
    async fn stopped_way_down(
        &self,
        session: &mut dyn Session,
        history: Vec<String>,
        direction: Direction,
    ) -> Result<Vec<String>, AttemptEnd> {
        if direction == Direction::Up {
            return Ok(history);
        }
        match self.open_journal(session).await? {
            Some(unfinished) if unfinished.goes_on() && !unfinished.is_gone => {
                Ok(self.plan.catalog.before_way_down(history, &unfinished, self.tenant.variant()))
            }
            Some(unfinished) if unfinished.may_begin_again() && !unfinished.is_gone => Ok(history),
            // The history of a tenant in the middle of a step does not tell which migrations to roll back.
            Some(unfinished) => Err(self.half_way(session, unfinished).await),
            None => Ok(history),
        }
    }

    /// The end of an attempt on a tenant with an open journal: another run works on it, or did, or no run does.
    pub(super) async fn half_way(&self, session: &mut dyn Session, unfinished: Unfinished) -> AttemptEnd {
        let fault = match session.is_held().await {
            Ok(true) => Fault::new(FaultClass::TenantLocked, "another run holds this tenant"),
            Err(fault) => fault,
            Ok(false) => match self.unfinished(session).await {
                Ok(Some(_)) => {
                    let text = format!("a migration was begun here and not finished{}", unfinished.way_back());
                    let fault = Fault::new(FaultClass::Other, text);
                    return AttemptEnd::stopped(fault, PartialState::InDoubt(unfinished));
                }
                Ok(None) => Fault::new(FaultClass::HistoryMoved, "the history is not what was planned"),
                Err(end) => return end,
            },
        };
        AttemptEnd::stopped(fault, PartialState::Nothing)
    }

    pub(super) async fn unfinished(&self, session: &mut dyn Session) -> Result<Option<Unfinished>, AttemptEnd> {
        let silent = "the server did not answer when it was asked for an unfinished migration";
        let unfinished = self.answer(session.unfinished(), silent).await?;
        Ok(unfinished.map(|unfinished| self.plan.catalog.named(unfinished)))
    }

    async fn read(&self, session: &mut dyn Session) -> Result<Vec<String>, AttemptEnd> {
        let silent = "the server accepted the connection and did not answer the first query";
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => Err(untouched()),
            read = self.answer(session.history(), silent) => read,
        }
    }

    /// Waits for an answer within a limit: a server that accepts a connection and never answers must not delay the
    /// tenant forever.
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
        let scripts = self.plan.scripts.of(&self.tenant).await;
        let names = self.plan.catalog.names(history);
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
            if let Some(schema) = &self.tenant.schema {
                let own: Vec<&str> =
                    std::iter::once(schema).chain(&self.tenant.shared_schemas).map(String::as_str).collect();
                if let Some(place) = scripts.foreign_schema(index, &own) {
                    let text = format!(
                        "{} can't run on a tenant that is a schema ({place}); nothing was touched",
                        script.migration
                    );
                    return Err(Fault::new(FaultClass::WrongSchema, text));
                }
            }
            let script = script.clone().under(&names[index]);
            work.steps.push(Step::new(index, script, self.limits(index)));
        }
        Ok(work)
    }

    /// The time limits specific to a migration, in this attempt.
    pub(super) fn limits(&self, migration: usize) -> Limits {
        self.plan.limits_of(migration, self.tenant.variant()).shortened(self.divisor)
    }

    pub(super) fn empty_work(&self, history: &[String]) -> Work {
        let mut history = history.to_vec();
        history.sort_unstable();
        let run = self.plan.header.run.to_string();
        Work {
            run,
            history,
            steps: Vec::new(),
            teller: self.teller.clone(),
            cancelled: Arc::default(),
            has_rows: Arc::default(),
            expectations: Default::default(),
            transaction: self.transaction,
            stopwatch: self.stopwatch.clone(),
        }
    }

    /// Applies the work, and cancels it on the server on request: dropping a future stops nothing there.
    async fn apply(&self, session: &mut dyn Session, work: &Work) -> (usize, AttemptEnd) {
        crash::at("applying", "tenant");
        let canceller = session.canceller();
        let mut applying = std::pin::pin!(session.apply(work));
        let interrupted = async {
            self.interrupted.cancelled().await;
            work.cancelled.store(true, Ordering::Relaxed);
            std::future::pending().await
        };
        let (result, is_cancelled) = tokio::select! {
            result = &mut applying => (result, false),
            () = interrupted => unreachable!("it waits for the work"),
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
        crash::at("applied", "tenant");
        match result {
            Ok(()) => (work.steps.len(), AttemptEnd::Done),
            Err(ApplyError { committed, at, residue, ref fault }) if is_cancelled || is_between_batches(fault) => {
                (committed, AttemptEnd::Cancelled { at, residue })
            }
            Err(ApplyError { committed, at, fault, residue }) => {
                let at = at.map(|at| StoppedAt { with: work.went_back(committed, &at, &residue), ..at });
                (committed, AttemptEnd::Stopped { fault, at, residue })
            }
        }
    }
}

/// Finds out who holds the lock that an attempt ended at, if nobody was seen meanwhile: a first read is not watched. Another
/// run of this program is waited for as on every engine, not tried again as a lock. Reads only.
async fn find_holder(session: &mut dyn Session, attempt: &mut Attempt) {
    let AttemptEnd::Stopped { fault, residue: PartialState::Nothing, .. } = &mut attempt.end else { return };
    if !matches!(fault.class, FaultClass::LockTimeout | FaultClass::Busy) {
        return;
    }
    if attempt.locked.holders.is_empty()
        && let Some(watch) = session.watch()
    {
        attempt.locked = watch(Look::default()).await;
    }
    if attempt.locked.by_run {
        let text = "another run holds this tenant".to_owned();
        *fault = Fault { class: FaultClass::TenantLocked, message: text, ..fault.clone() };
    }
}

/// Adds the remedy where a server can't carry out the online form of a migration.
fn explain_form(end: &mut AttemptEnd, work: &Work) {
    let AttemptEnd::Stopped { fault, at: Some(at), .. } = end else { return };
    let is_stopped = |step: &&Step| *step.script.migration == *at.migration && step.script.is_online();
    if is_of_form(fault) && work.steps.iter().any(|step| is_stopped(&step)) {
        let remedy = format!(
            "{}; this is its online form: `online = false` in [migrations.\"{}\"] of the tenant file sends it as it is written",
            fault.message.trim_end_matches('.'),
            at.migration
        );
        fault.message = bounded(remedy);
    }
}

fn untouched() -> AttemptEnd {
    AttemptEnd::Cancelled { at: None, residue: PartialState::Nothing }
}
