//! How a session applies: together in transactions, alone with the journal, or natively.
//!
//! It only applies; reading and settling are in the session.

use sqlx::postgres::PgQueryResult;

use crate::engine::directives::{self, DirectedStatement};
use crate::engine::journal;
use crate::engine::message::{Message, Place, send, stopped_at, stopped_behind};
use crate::engine::native::Link;
use crate::engine::postgres::PostgresSession;
use crate::engine::postgres::{codes, guards};
use crate::engine::queries::Queries as _;
use crate::engine::{ApplyError, PartialState, Session, Step, Work, errors, native};
use crate::model::fault::{Fault, FaultClass};
use crate::model::schema::Direction;
use crate::model::tenant::Engine;
use crate::sql::{Directive, directive};

impl PostgresSession {
    /// Steps that each have a transaction, in one message.
    pub(crate) async fn apply_together(
        &mut self,
        work: &Work,
        steps: std::ops::Range<usize>,
    ) -> Result<(), ApplyError> {
        let mut message = Message::new(Engine::Postgres);
        for step in steps.clone() {
            self.push_transaction(&mut message, work, step);
        }
        let first = steps.start;
        let connection = self.connection().await.map_err(|fault| ApplyError::before(first, fault))?;
        // Dying here: the server ends the open transaction with a rollback; those before it are committed.
        let sent = send(connection, &message).await;
        message.tell_reports(work, &sent);
        let Some(error) = sent.error else {
            self.has_history = true;
            return Ok(());
        };
        let fault = errors::fault(&error);
        let committed = first + message.committed(sent.completed);
        let place = message.place(sent.completed);
        // What does not parse is refused as a whole, before the first part: only the character tells whose mistake it is.
        let parsed = codes::character(&error).filter(|_| sent.completed == 0 && fault.class == FaultClass::Syntax);
        let at = match parsed.and_then(|character| message.part_at(character)) {
            Some((place, lines)) => stopped_behind(work, place, lines),
            None => stopped_at(work, place),
        };
        let residue = match (fault.class, &fault.code) {
            (FaultClass::ConnectionLost, _) => PartialState::Unknown,
            (_, Some(code)) if code == "FL004" => self.in_doubt().await,
            _ => match self.run("ROLLBACK".to_owned()).await {
                Ok(()) => PartialState::Nothing,
                Err(_) => PartialState::Unknown,
            },
        };
        // A history table that is gone or there too early means that someone else was here after our read.
        let guard = matches!(place, Some(Place::HistoryGuard { .. }));
        let fault = if guard && fault.class == FaultClass::Missing {
            Fault { class: FaultClass::HistoryMoved, ..fault }
        } else {
            fault
        };
        Err(ApplyError { committed, at, fault, residue })
    }

    pub(crate) async fn in_doubt(&mut self) -> PartialState {
        let _ = self.rows("ROLLBACK".to_owned()).await;
        match self.unfinished().await {
            Ok(Some(unfinished)) => PartialState::InDoubt(unfinished),
            _ => PartialState::Unknown,
        }
    }

    pub(crate) fn push_transaction(&self, message: &mut Message, work: &Work, step: usize) {
        let script = &work.steps[step].script;
        let prepare = Place::Prepare { step };
        message.push(prepare, "BEGIN");
        for setting in guards::local_settings(&self.door.limits(&work.steps[step])) {
            message.push(prepare, setting);
        }
        for sql in guards::lock_and_schema(&self.door) {
            message.push(prepare, sql);
        }
        if !self.has_history && step == 0 {
            for sql in self.door.install() {
                message.push(prepare, sql);
            }
        }
        if step == 0 && work.refreshes() {
            message.push(prepare, self.door.books().create_refreshes());
        }
        message.push(Place::HistoryGuard { step }, guards::history(&self.door, &work.history_before(step)));
        for (statement, sql) in script.statements.iter().enumerate() {
            message.push(Place::Statement { step, statement }, sql);
        }
        if self.door.tenant.schema.is_none() {
            message.push(Place::Record { step }, guards::OWN_SEARCH_PATH);
        }
        message.push(Place::Record { step }, self.door.record(&work.steps[step]));
        message.push(Place::Commit { step }, "COMMIT");
    }

    /// A step that can't run in a transaction: each statement alone, with the journal between them.
    pub(crate) async fn apply_alone(&mut self, work: &Work, step: usize) -> Result<(), ApplyError> {
        let begun = self.begin_journalled(work, step, true).await?;
        let (script, limits) = (work.steps[step].script.clone(), self.door.limits(&work.steps[step]));
        for (statement, sql) in script.statements.iter().enumerate().skip(begun) {
            // Dying before this: the journal names the statement before. Dying after: it names this one.
            self.keep(self.door.journal().advance(statement)).await.map_err(|fault| lost(step, fault))?;
            if let Some(asked) = directive(sql) {
                let this = DirectedStatement { work, step, statement };
                let connection = self.connection().await.map_err(|fault| lost(step, fault))?;
                let ended = directives::run(connection, this, asked, PgQueryResult::rows_affected).await;
                if let Err(fault) = directives::verdict(ended) {
                    let at = stopped_at(work, Some(Place::Statement { step, statement }));
                    let residue = match journal::is_certain(&work.steps[step], statement) {
                        true => self.stopped(&work.steps[step], statement, &fault, asked == Directive::Batch).await,
                        false => self.in_doubt().await,
                    };
                    return Err(ApplyError { committed: step, at, fault, residue });
                }
                continue;
            }
            for (number, piece) in crate::sql::split(Engine::Postgres, sql).into_iter().enumerate() {
                if let Err(fault) = self.run_outside(piece.text, limits.lock).await {
                    let place = Place::Statement { step, statement };
                    let residue = if number == 0 && journal::is_certain(&work.steps[step], statement) {
                        self.stopped(&work.steps[step], statement, &fault, false).await
                    } else {
                        self.in_doubt().await
                    };
                    return Err(ApplyError { committed: step, at: stopped_at(work, Some(place)), fault, residue });
                }
            }
        }
        self.finish_journalled(work, step).await
    }

    /// Takes the session lock, checks history and journal, and opens the journal. Returns the statement to begin with.
    pub(crate) async fn begin_journalled(
        &mut self,
        work: &Work,
        step: usize,
        compiled: bool,
    ) -> Result<usize, ApplyError> {
        let stop = |fault| ApplyError::before(step, fault);
        let limits = self.door.limits(&work.steps[step]);
        for setting in guards::session_settings(&limits, self.door.tenant.schema.as_deref()) {
            self.run(setting).await.map_err(stop)?;
        }
        let locked = self.rows(format!("SELECT pg_try_advisory_lock({})", guards::lock_key(&self.door))).await;
        if !locked.map_err(stop)?.first().is_some_and(|row| row.is_true(0)) {
            return Err(stop(Fault::new(FaultClass::TenantLocked, "another run holds this tenant")));
        }
        let mut prepare = guards::lock_and_schema(&self.door).split_off(1);
        prepare.retain(|sql| !sql.starts_with("SET LOCAL"));
        prepare.extend(self.door.install());
        prepare.push(self.door.journal().create());
        for sql in prepare {
            self.run(sql).await.map_err(stop)?;
        }
        self.has_history = true;
        let entry = self.entry().await.map_err(stop)?;
        if entry.as_ref().is_some_and(|entry| entry.is_void(&work.steps[step])) {
            self.keep(self.door.journal().close()).await.map_err(stop)?;
        } else if let Some(entry) = entry {
            let Some(statement) = entry.resumes(&work.steps[step]) else {
                let fault = Fault::new(FaultClass::Other, "a migration was begun here and not finished");
                return Err(ApplyError { residue: PartialState::InDoubt(entry.unfinished), ..stop(fault) });
            };
            self.run(self.door.journal().resume(&work.steps[step], statement, &work.run)).await.map_err(stop)?;
            return Ok(statement);
        }
        if self.history().await.map_err(stop)? != work.history_before(step) {
            return Err(stop(Fault::new(FaultClass::HistoryMoved, "the history is not what was planned")));
        }
        let mut begin = self.door.journal().begin(&work.steps[step], compiled.then_some(0), &work.run);
        if work.steps[step].script.direction == Direction::Down {
            // Gone first: should the rest not happen, the tenant does not look as if it were at its target.
            begin = format!("{begin}; {}", self.door.record(&work.steps[step]));
        }
        self.keep(begin).await.map_err(stop)?;
        Ok(0)
    }

    pub(crate) async fn finish_journalled(&mut self, work: &Work, step: usize) -> Result<(), ApplyError> {
        // One transaction: the journal is closed exactly when the history says so.
        let end = format!("{}; {}", self.door.record(&work.steps[step]), self.door.journal().close());
        self.keep(end).await.map_err(|fault| lost(step, fault))?;
        let _ = self.rows(format!("SELECT pg_advisory_unlock({})", guards::lock_key(&self.door))).await;
        Ok(())
    }

    /// Notes in the journal that the engine refused a statement; what is left behind if it did.
    /// Batches that were committed before it stay, also where it is the first.
    async fn stopped(&mut self, step: &Step, statement: usize, fault: &Fault, in_batches: bool) -> PartialState {
        // Only the server's own refusal, which has a code, says for certain that a statement did not happen.
        if fault.class == FaultClass::ConnectionLost || fault.code.is_none() {
            return PartialState::Unknown;
        }
        let untouched = statement == 0 && !in_batches && !journal::is_row_lost(&step.script);
        let note = match untouched {
            true => self.door.undo(&step.script).join("; "),
            false => self.door.journal().stop(Some(statement)),
        };
        match self.keep(note).await {
            Ok(()) if untouched => PartialState::Nothing,
            Ok(()) => PartialState::Resumable { statements: statement },
            Err(_) => PartialState::Unknown,
        }
    }

    pub(crate) async fn apply_native(&mut self, work: &Work, step: usize, transaction: bool) -> Result<(), ApplyError> {
        if transaction {
            let mut preamble = guards::local_settings(&self.door.limits(&work.steps[step]));
            preamble.extend(guards::lock_and_schema(&self.door));
            if !self.has_history && step == 0 {
                preamble.extend(self.door.install());
            }
            preamble.push(guards::history(&self.door, &work.history_before(step)));
            self.release().await;
            let options = self.options.clone();
            let native = native::Native { door: &self.door, work, step };
            let result = native.postgres(options, &preamble).await;
            if let Err(stop) = &result
                && stop.fault.code.as_deref() == Some("FL004")
            {
                let residue = self.in_doubt().await;
                return Err(ApplyError { residue, ..stop.clone() });
            }
            self.has_history |= result.is_ok();
            return result;
        }
        self.become_pooled().await.map_err(|fault| ApplyError::before(step, fault))?;
        self.begin_journalled(work, step, false).await?;
        let pool = self.pool.clone().expect("it has just become pooled");
        let before = self.backend().await;
        drop(self.connection.take());
        let native = native::Native { door: &self.door, work, step };
        let result = native.postgres_alone(pool.clone()).await;
        self.connection = pool.acquire().await.ok().map(Link::Pooled);
        if let Err(stop) = result {
            // Nobody can tell how far native code came; the open journal says so to whoever comes next.
            let _ = self.keep(self.door.journal().stop(None)).await;
            let residue = self.in_doubt().await;
            return Err(ApplyError { residue, ..stop });
        }
        if before.is_none() || self.backend().await != before {
            let fault = Fault::new(FaultClass::ConnectionLost, "the connection was lost while the migration ran");
            return Err(lost(step, fault));
        }
        self.finish_journalled(work, step).await
    }

    /// Changes to a connection out of a pool of one, for a step that runs native code without a transaction.
    pub(crate) async fn become_pooled(&mut self) -> Result<(), Fault> {
        if self.pool.is_some() {
            return Ok(());
        }
        self.release().await;
        let pool = native::pool(&self.door).connect_with(self.options.clone()).await.map_err(|e| errors::fault(&e))?;
        self.connection = Some(Link::Pooled(pool.acquire().await.map_err(|e| errors::fault(&e))?));
        self.pool = Some(pool);
        Ok(())
    }
}

fn lost(step: usize, fault: Fault) -> ApplyError {
    ApplyError { committed: step, at: None, fault, residue: PartialState::Unknown }
}
