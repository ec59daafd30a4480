//! How a session applies: steps in one message with the journal between, alone, or natively.
//!
//! It only applies; reading and settling are in the session.

use std::sync::atomic::Ordering;

use sqlx::mysql::MySqlQueryResult;
use sqlx::{MySql, Pool};

use crate::engine::directives::{self, DirectedStatement};
use crate::engine::journal;
use crate::engine::message::{Message, Place, send, stopped_at};
use crate::engine::mysql::MysqlSession;
use crate::engine::mysql::tenant_lock::{LOCK_NAME, TenantLock, resumption, session_settings};
use crate::engine::native::Link;
use crate::engine::queries::Queries as _;
use crate::engine::{ApplyError, PartialState, Session, Work, errors, native};
use crate::model::fault::{Fault, FaultClass};
use crate::model::schema::{Direction, Record};
use crate::model::tenant::Engine;
use crate::policy::Limits;
use crate::sql::{Directive, directive};

/// Where a message was refused.
pub(crate) struct Refused {
    place: Option<Place>,
    /// Statements of that place that had completed.
    within: usize,
    /// The statement is repeated in batches, of which some may have been committed.
    in_batches: bool,
}

impl MysqlSession {
    /// Changes to a connection out of a pool of one, for work that has native steps. Nothing is held or begun yet.
    pub(crate) async fn become_pooled(&mut self) -> Result<(), Fault> {
        if self.pool.is_some() && self.connection.is_some() {
            // A second pool would find the tenant held by the connection of the first.
            return Ok(());
        }
        if let Some(link) = self.connection.take() {
            link.close().await;
        }
        let pool = native::pool(&self.door).connect_with(self.options.clone()).await.map_err(|e| errors::fault(&e))?;
        self.connection = Some(Link::Pooled(pool.acquire().await.map_err(|e| errors::fault(&e))?));
        self.pool = Some(pool);
        Ok(())
    }

    /// Takes the connection back from native code. One that was replaced has lost the tenant's lock.
    pub(crate) async fn take_back(&mut self, pool: &Pool<MySql>) -> Result<(), Fault> {
        let before = self.id.load(Ordering::Relaxed);
        self.connection = Some(Link::Pooled(pool.acquire().await.map_err(|e| errors::fault(&e))?));
        let rows = self.rows("SELECT CONNECTION_ID()".to_owned()).await?;
        if rows.first().and_then(|row| row.parse(0)) == Some(before) {
            return Ok(());
        }
        Err(Fault::new(FaultClass::ConnectionLost, "the connection was lost while the migration ran"))
    }

    /// The time limits of a step, where any step of the work has its own: the session keeps those of the step before.
    pub(crate) fn own_settings(&self, work: &Work, step: usize) -> Option<String> {
        let any = work.steps.iter().any(|step| step.limits != Limits::default());
        any.then(|| session_settings(&self.door.limits(&work.steps[step])))
    }

    pub(crate) fn push_step(&self, message: &mut Message, work: &Work, step: usize, resumed: Option<usize>) {
        let script = &work.steps[step].script;
        let first = resumed.unwrap_or(0);
        if let Some(setting) = self.own_settings(work, step) {
            message.push(Place::Prepare { step }, setting);
        }
        let open = match resumed {
            Some(statement) => self.door.journal().resume(&work.steps[step], statement, &work.run),
            None => self.door.journal().begin(&work.steps[step], Some(0), &work.run),
        };
        message.push(Place::Prepare { step }, open);
        if let Some(database) = self.door.namespace() {
            // The migration before may have switched to another one.
            message.push(Place::Prepare { step }, format!("USE {}", Engine::Mysql.quote(&database)));
        }
        if script.direction == Direction::Down && resumed.is_none() {
            // Gone first: should the rest not happen, the tenant does not look as if it were at its target.
            message.push(Place::Record { step }, self.door.record(&work.steps[step]));
        }
        for (statement, sql) in script.statements.iter().enumerate().skip(first) {
            if statement > first {
                message.push(Place::Record { step }, self.door.journal().advance(statement));
            }
            message.push(Place::Statement { step, statement }, sql);
        }
        for sql in self.finish(work, step) {
            message.push(Place::Record { step }, sql);
        }
        message.push(Place::Commit { step }, "COMMIT");
    }

    /// A refresh changes rows only, so that it has a transaction, and no journal. Dying in it: the server rolls it back.
    pub(crate) fn push_refresh(&self, message: &mut Message, work: &Work, step: usize) {
        message.push(Place::Prepare { step }, "START TRANSACTION");
        for (statement, sql) in work.steps[step].script.statements.iter().enumerate() {
            message.push(Place::Statement { step, statement }, sql);
        }
        message.push(Place::Record { step }, self.door.record(&work.steps[step]));
        message.push(Place::Commit { step }, "COMMIT");
    }

    /// The history row and the end of the journal: one transaction, without its commit.
    pub(crate) fn finish(&self, work: &Work, step: usize) -> Vec<String> {
        let mut sql = vec!["START TRANSACTION".to_owned()];
        if work.steps[step].script.direction == Direction::Up {
            sql.push(self.door.record(&work.steps[step]));
        }
        sql.push(self.door.journal().close());
        sql
    }

    pub(crate) async fn apply_steps(
        &mut self,
        work: &Work,
        steps: std::ops::Range<usize>,
        held: &TenantLock,
    ) -> Result<(), ApplyError> {
        let (first, last) = (steps.start, steps.end);
        let mut message = Message::new(Engine::Mysql);
        let prepare = Place::Prepare { step: first };
        if !held.has_history {
            for sql in self.door.install() {
                message.push(prepare, sql);
            }
        }
        if !held.has_journal {
            message.push(prepare, self.door.journal().create());
        }
        if first == 0 && work.refreshes() {
            message.push(prepare, self.door.books().create_refreshes());
        }
        if held.entry.as_ref().is_some_and(|entry| entry.is_void(&work.steps[first])) {
            message.push(prepare, self.door.journal().close());
        }
        for step in steps {
            let resumed = if step == first { resumption(work, step, held)? } else { None };
            if matches!(work.steps[step].script.record, Record::Refresh { .. }) {
                self.push_refresh(&mut message, work, step);
            } else {
                self.push_step(&mut message, work, step, resumed);
            }
        }
        if last == work.steps.len() {
            // Closing the connection releases it too, but only when the server gets to it.
            message.push(Place::Tidy, format!("DO RELEASE_LOCK({LOCK_NAME})"));
        }
        let connection = self.connection().map_err(|fault| ApplyError::before(first, fault))?;
        let sent = send(connection, &message).await;
        message.tell_reports(work, &sent);
        let Some(error) = sent.error else { return Ok(()) };
        let fault = errors::fault(&error);
        let place = message.place(sent.completed);
        let committed = first + message.committed(sent.completed);
        let residue = self.left_behind(work, Refused { place, within: sent.within, in_batches: false }, &fault).await;
        Err(ApplyError { committed, at: stopped_at(work, place), fault, residue })
    }

    /// What a refused statement left behind, noted in the journal while the connection still answers.
    pub(crate) async fn left_behind(&mut self, work: &Work, refused: Refused, fault: &Fault) -> PartialState {
        let Refused { place, within, in_batches } = refused;
        if fault.class == FaultClass::ConnectionLost {
            return PartialState::Unknown;
        }
        let is_refresh = |step: usize| matches!(work.steps[step].script.record, Record::Refresh { .. });
        if place.and_then(Place::step).is_some_and(is_refresh) {
            return match self.run("ROLLBACK".to_owned()).await {
                Ok(()) => PartialState::Nothing,
                Err(_) => PartialState::Unknown,
            };
        }
        // Only the server's own refusal, which has a number, says for certain that a statement did not happen.
        match place.filter(|_| fault.code.is_some()) {
            Some(Place::Prepare { .. }) => PartialState::Nothing,
            // The engine refused this statement as a whole, and those behind it can do without this connection.
            Some(Place::Statement { statement, step })
                if within == 0 && journal::is_certain(&work.steps[step], statement) =>
            {
                let script = &work.steps[step].script;
                let untouched = statement == 0 && !in_batches && !journal::is_row_lost(script);
                let note = match untouched {
                    // Dying in it: the journal is open still.
                    true => format!("START TRANSACTION;\n{};\nCOMMIT", self.door.undo(script).join(";\n")),
                    false => self.door.journal().stop(Some(statement)),
                };
                match self.run(note).await {
                    Ok(()) if untouched => PartialState::Nothing,
                    Ok(()) => PartialState::Resumable { statements: statement },
                    Err(_) => PartialState::Unknown,
                }
            }
            _ => {
                let _ = self.run("ROLLBACK".to_owned()).await;
                match self.unfinished().await {
                    Ok(Some(unfinished)) => PartialState::InDoubt(unfinished),
                    Ok(None) => PartialState::Nothing,
                    Err(_) => PartialState::Unknown,
                }
            }
        }
    }

    /// A step with statements in batches: each statement by itself, with the journal before it. Dying between two
    /// batches: the journal names this statement, and the next run repeats it.
    pub(crate) async fn apply_alone(&mut self, work: &Work, step: usize, held: &TenantLock) -> Result<(), ApplyError> {
        let stop = |fault| ApplyError::before(step, fault);
        let lost = |fault| ApplyError { residue: PartialState::Unknown, ..ApplyError::before(step, fault) };
        let resumed = resumption(work, step, held)?;
        let first = resumed.unwrap_or(0);
        if let Some(setting) = self.own_settings(work, step) {
            self.run(setting).await.map_err(stop)?;
        }
        let script = work.steps[step].script.clone();
        let mut prepare = if held.has_history { Vec::new() } else { self.door.install() };
        if !held.has_journal {
            prepare.push(self.door.journal().create());
        }
        if held.entry.as_ref().is_some_and(|entry| entry.is_void(&work.steps[step])) {
            prepare.push(self.door.journal().close());
        }
        prepare.push(match resumed {
            Some(statement) => self.door.journal().resume(&work.steps[step], statement, &work.run),
            None => self.door.journal().begin(&work.steps[step], Some(0), &work.run),
        });
        if script.direction == Direction::Down && resumed.is_none() {
            prepare.push(self.door.record(&work.steps[step]));
        }
        self.run(prepare.join(";\n")).await.map_err(stop)?;
        for (statement, sql) in script.statements.iter().enumerate().skip(first) {
            self.run(self.door.journal().advance(statement)).await.map_err(lost)?;
            let asked = directive(sql);
            let this = DirectedStatement { work, step, statement };
            let result = match asked {
                None => self.run(sql.clone()).await,
                Some(asked) => {
                    let connection = self.connection().map_err(lost)?;
                    let result = directives::run(connection, this, asked, MySqlQueryResult::rows_affected).await;
                    directives::verdict(result)
                }
            };
            if let Err(fault) = result {
                let place = Some(Place::Statement { step, statement });
                let batches = asked == Some(Directive::Batch);
                let within = usize::from(crate::sql::is_multiple(Engine::Mysql, sql));
                let residue = self.left_behind(work, Refused { place, within, in_batches: batches }, &fault).await;
                return Err(ApplyError { committed: step, at: stopped_at(work, place), fault, residue });
            }
        }
        let mut end = self.finish(work, step);
        end.push("COMMIT".to_owned());
        if step + 1 == work.steps.len() {
            end.push(format!("DO RELEASE_LOCK({LOCK_NAME})"));
        }
        self.run(end.join(";\n")).await.map_err(lost)
    }

    pub(crate) async fn apply_native(&mut self, work: &Work, step: usize, held: &TenantLock) -> Result<(), ApplyError> {
        let stop = |fault| ApplyError::before(step, fault);
        if resumption(work, step, held)?.is_some() {
            let fault = Fault::new(FaultClass::Other, "native code can't go on behind a statement");
            return Err(stop(fault));
        }
        if let Some(setting) = self.own_settings(work, step) {
            self.run(setting).await.map_err(stop)?;
        }
        let mut prepare = Vec::new();
        if !held.has_history {
            prepare.extend(self.door.install());
        }
        if !held.has_journal {
            prepare.push(self.door.journal().create());
        }
        if held.entry.as_ref().is_some_and(|entry| entry.is_void(&work.steps[step])) {
            prepare.push(self.door.journal().close());
        }
        prepare.push(self.door.journal().begin(&work.steps[step], None, &work.run));
        if work.steps[step].script.direction == Direction::Down {
            prepare.push(self.door.record(&work.steps[step]));
        }
        self.run(prepare.join(";\n")).await.map_err(stop)?;
        let Some(pool) = self.pool.clone() else {
            return Err(stop(Fault::new(FaultClass::Other, "native code was not prepared for; this is a defect")));
        };
        drop(self.connection.take());
        let native = native::Native { door: &self.door, work, step };
        let result = native.mysql_alone(pool.clone()).await;
        let unknown = |fault| ApplyError { residue: PartialState::Unknown, ..stop(fault) };
        let taken_back = self.take_back(&pool).await;
        if let Err(stop) = result {
            // Nobody can tell how far native code came; the open journal says so to whoever comes next.
            let _ = self.run(self.door.journal().stop(None)).await;
            let residue = match self.unfinished().await {
                Ok(Some(unfinished)) => PartialState::InDoubt(unfinished),
                _ => PartialState::Unknown,
            };
            return Err(ApplyError { residue, ..stop });
        }
        taken_back.map_err(unknown)?;
        let mut end = self.finish(work, step);
        end.push("COMMIT".to_owned());
        self.run(end.join(";\n")).await.map_err(|fault| ApplyError { residue: PartialState::Unknown, ..stop(fault) })
    }
}
