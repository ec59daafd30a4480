//! Steps without a single transaction: statements that commit one by one, and native code. The order of journal writes
//! around them is defined here, and is the same on all engines.
//!
//! The engines decide how a statement is sent, and which transaction a journal write belongs to.

use std::sync::atomic::Ordering;

use async_trait::async_trait;
use tracing::Instrument as _;

use super::journal::{
    Continuation, continuation, goes_on_at, is_row_lost, is_void, lost_session, only_settings_before, settings_before,
};
use super::message::stopped_at_statement;
use super::work::ScriptStatement;
use super::{ApplyError, PartialState, Session, TenantEndpoint, Work};
use crate::model::fault::{Fault, FaultClass};
use crate::model::schema::{Direction, Execution, Unfinished};
use crate::model::timings::Phase;
use crate::sql::{Directive, directive, may_leave_a_part};

/// A session that applies steps with a journal; its methods are called in this order.
#[async_trait]
pub(crate) trait Journalled: Send {
    /// Takes or checks the tenant's lock, the time limits and fleet's own tables; returns the journal's row.
    async fn prepare(&mut self, work: &Work, step: usize) -> Result<Option<Unfinished>, Fault>;

    /// Opens the journal, unless the history has changed since it was read.
    async fn open(&mut self, work: &Work, step: usize, opening: Opening) -> Result<(), Fault>;

    /// Records in the journal that a statement is about to be sent.
    async fn advance(&mut self, this: ScriptStatement<'_>) -> Result<(), ApplyError>;

    /// Sends a statement.
    async fn send<'a>(&mut self, this: ScriptStatement<'a>) -> Result<(), Refusal<'a>>;

    /// Determines the state after a refused statement, and records it in the journal if it is certain.
    async fn left_behind(&mut self, refusal: &Refusal<'_>) -> PartialState;

    /// Runs native code. The second result: whether the session still holds the tenant's lock afterwards.
    async fn run_native(&mut self, work: &Work, step: usize) -> (Result<(), ApplyError>, Result<(), Fault>);

    /// Records in the journal that native code stopped, or closes it if that left nothing.
    async fn stop_native(&mut self, work: &Work, step: usize) -> PartialState;

    /// Writes the history row and closes the journal in one transaction.
    async fn finish(&mut self, work: &Work, step: usize) -> Result<(), Fault>;
}

/// The start of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Opening {
    /// The statement (from 0) at which it resumes in its own journal; `None`: it begins with a new journal.
    pub(crate) resumed: Option<usize>,
    /// Whether the statement at which it resumes may have happened.
    pub(crate) repeats: bool,
    /// Whether the void journal of another script has to be closed first.
    pub(crate) closes_void: bool,
}

/// A statement that the engine refused.
#[derive(Debug)]
pub(crate) struct Refusal<'a> {
    pub(crate) of: ScriptStatement<'a>,
    /// The number of its sub-statements that may have completed, if it consists of several.
    pub(crate) within: usize,
    pub(crate) fault: Fault,
}

/// Applies a step whose statements commit one by one, with a journal write before each.
pub(crate) async fn apply_alone(session: &mut dyn Journalled, work: &Work, step: usize) -> Result<(), ApplyError> {
    one_by_one(session, work, step).instrument(work.span(step)).await
}

async fn one_by_one(session: &mut dyn Journalled, work: &Work, step: usize) -> Result<(), ApplyError> {
    let first = begin(session, work, step).await?.resumed;
    // Dying in it: the settings go with the session, and the journal names the statement behind them.
    for statement in settings_before(&work.steps[step].script, first.unwrap_or(0)) {
        if let Err(refusal) = session.send(ScriptStatement { work, step, statement }).await {
            let of = ScriptStatement { work, step, statement: first.unwrap_or(0) };
            let refusal = Refusal { of, within: 0, fault: refusal.fault };
            let residue = session.left_behind(&refusal).await;
            let at = stopped_at_statement(work, step, statement);
            return Err(ApplyError { committed: step, at, fault: refusal.fault, residue });
        }
    }
    for statement in first.unwrap_or(0)..work.steps[step].script.statements.len() {
        let this = ScriptStatement { work, step, statement };
        work.has_rows.store(first == Some(statement), Ordering::Relaxed);
        // Dying before this: the journal names the previous statement. Dying after: it names this one.
        work.start(Phase::Commit, step).over(session.advance(this)).await?;
        let mut running = work.start(Phase::Statements, step);
        running.is_silent = true;
        let sent = session.send(this).instrument(Work::statement_span(statement)).await;
        if sent.as_ref().is_err_and(|refusal| refusal.fault.class.is_lock()) {
            running.phase = Phase::Lock;
        }
        work.tell_statement(step, statement, running.elapsed());
        drop(running);
        if let Err(refusal) = sent {
            let residue = session.left_behind(&refusal).await;
            let at = stopped_at_statement(work, step, statement);
            let fault = in_part(this, refusal.fault, &residue);
            return Err(ApplyError { committed: step, at, fault, residue });
        }
    }
    finish(session, work, step).await
}

/// Applies a step that is native code without a transaction.
pub(crate) async fn apply_native(session: &mut dyn Journalled, work: &Work, step: usize) -> Result<(), ApplyError> {
    natively(session, work, step).instrument(work.span(step)).await
}

async fn natively(session: &mut dyn Journalled, work: &Work, step: usize) -> Result<(), ApplyError> {
    begin(session, work, step).await?;
    let (ended, holds) = session.run_native(work, step).await;
    if let Err(stop) = ended {
        // Unless it certainly left nothing, its progress is unknown; the open journal records that for the next run.
        let residue = session.stop_native(work, step).await;
        return Err(ApplyError { residue, ..stop });
    }
    holds.map_err(|fault| ApplyError::lost(step, fault))?;
    finish(session, work, step).await
}

async fn begin(session: &mut dyn Journalled, work: &Work, step: usize) -> Result<Opening, ApplyError> {
    let stop = |fault| ApplyError::before(step, fault);
    let entry = work.start(Phase::Lock, step).over(session.prepare(work, step)).await.map_err(stop)?;
    let opening = opening(entry, work, step)?;
    work.start(Phase::Commit, step).over(session.open(work, step, opening)).await.map_err(stop)?;
    Ok(opening)
}

async fn finish(session: &mut dyn Journalled, work: &Work, step: usize) -> Result<(), ApplyError> {
    let finished = work.start(Phase::Commit, step).over(session.finish(work, step)).await;
    finished.map_err(|fault| ApplyError::lost(step, fault))
}

/// The start of a step given this journal row, or the stop if it can't start.
#[expect(clippy::result_large_err, reason = "made at most once for an attempt, and taken apart at once")]
pub(crate) fn opening(entry: Option<Unfinished>, work: &Work, step: usize) -> Result<Opening, ApplyError> {
    let this = &work.steps[step];
    let closes_void = entry.is_some();
    let Some(entry) = entry.filter(|entry| !is_void(entry, this)) else {
        return Ok(Opening { resumed: None, repeats: false, closes_void });
    };
    match continuation(&entry, &this.script) {
        Continuation::At(_) if matches!(this.script.execution, Execution::Native { .. }) => {
            let fault = Fault::new(FaultClass::Other, "native code can't go on behind a statement");
            Err(ApplyError::before(step, fault))
        }
        Continuation::At(statement) => {
            Ok(Opening { resumed: Some(statement), repeats: !entry.stopped, closes_void: false })
        }
        Continuation::Unknown => Err(unfinished(step, entry)),
        Continuation::Edited => {
            let mut stop = unfinished(step, entry);
            stop.fault.message.push_str(", and its script was edited since");
            Err(stop)
        }
    }
}

/// The stop before a step whose tenant has a journal that only an operator can settle.
pub(crate) fn unfinished(step: usize, unfinished: Unfinished) -> ApplyError {
    let fault = Fault::new(FaultClass::Other, "a migration was begun here and not finished");
    ApplyError { residue: PartialState::InDoubt(unfinished), ..ApplyError::before(step, fault) }
}

/// The statements that open the journal of a step at its first statement.
pub(crate) fn begin_sql(door: &TenantEndpoint, work: &Work, step: usize) -> Vec<String> {
    let this = &work.steps[step];
    let mut sql = vec![door.journal().begin(this, &work.run)];
    if this.script.direction == Direction::Down {
        // Deleted first: if the rest does not happen, the tenant must not look as if it were at its target.
        sql.push(door.record(this));
    }
    sql
}

/// The journal note that a statement did not happen, and the state of the step once the note is written. Batches that
/// were committed before stay, even for the first statement.
pub(crate) fn refusal_note(
    door: &TenantEndpoint,
    this: ScriptStatement<'_>,
    was_sent: bool,
) -> (Vec<String>, PartialState) {
    let ScriptStatement { statement, .. } = this;
    let has_rows = this.work.has_rows.load(Ordering::Relaxed);
    let in_batches = was_sent && has_rows && directive(this.sql()) == Some(Directive::Batch);
    let script = &this.step().script;
    if only_settings_before(script, statement) && !in_batches && !is_row_lost(script) {
        return (door.undo(&this.step().script), PartialState::Nothing);
    }
    if let Some(statements) = goes_on_at(script, statement) {
        return (vec![door.journal().stop(Some(statements))], PartialState::Resumable { statements });
    }
    let left = Unfinished {
        migration: script.migration.to_string(),
        direction: script.direction,
        statement: Some(statement + 1),
        run: this.work.run.to_string(),
        stopped: true,
        sha256: script.sha256.to_string(),
        is_gone: false,
        lost: lost_session(script, statement),
        vouched: false,
    };
    (vec![door.journal().stop(Some(statement))], PartialState::InDoubt(left))
}

/// The fault of a statement whose state afterwards is not known, with the reason.
fn in_part(this: ScriptStatement<'_>, fault: Fault, residue: &PartialState) -> Fault {
    if !matches!(residue, PartialState::InDoubt(_))
        || fault.code.is_none()
        || !may_leave_a_part(this.step().script.engine, this.sql())
    {
        return fault;
    }
    let text = "; it may have done a part of its work before that, which the engine keeps and does not tell";
    Fault { message: fault.message.clone() + text, ..fault }
}

/// The state of a step with unknown progress, from its journal.
pub(crate) async fn in_doubt(session: &mut impl Session) -> PartialState {
    match session.unfinished().await {
        Ok(Some(unfinished)) => PartialState::InDoubt(unfinished),
        _ => PartialState::Unknown,
    }
}
