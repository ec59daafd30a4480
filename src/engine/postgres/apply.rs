//! Applying steps: together in transactions, statement by statement with the journal, or natively.
//!
//! Reading and settling are in the session.

use async_trait::async_trait;
use sea_orm::SqlxPostgresConnector;
use sqlx::postgres::PgQueryResult;

use crate::engine::directives;
use crate::engine::history;
use crate::engine::journal;
use crate::engine::journalled::{self, Journalled, Opening, Refusal};
use crate::engine::message::{Message, Place, send, stopped_at};
use crate::engine::native::Link;
use crate::engine::postgres::PostgresSession;
use crate::engine::postgres::{codes, guards};
use crate::engine::queries::Queries as _;
use crate::engine::work::ScriptStatement;
use crate::engine::{ApplyError, PartialState, Session, Work, errors, native};
use crate::model::fault::{Fault, FaultClass};
use crate::model::schema::Unfinished;
use crate::model::tenant::Engine;
use crate::sql::directive;

impl PostgresSession {
    /// Applies steps that each have a transaction, in one message.
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
        // Dying here: the server ends the open transaction with a rollback; earlier ones are committed.
        let sent = send(connection, &message).await;
        message.tell_reports(work, &sent);
        let Some(error) = sent.error else {
            self.has_history = true;
            return Ok(());
        };
        let fault = errors::fault(&error);
        let committed = first + message.committed(sent.completed);
        let place = message.place(sent.completed);
        // A syntax error refuses the whole message before its first part: only the character position says which
        // statement is wrong.
        let parsed = codes::character(&error).filter(|_| sent.completed == 0 && fault.class == FaultClass::Syntax);
        let at = match parsed.and_then(|character| message.part_at(character)) {
            Some((place, lines)) => stopped_at(work, Some(place), lines),
            None => stopped_at(work, place, 0),
        };
        let residue = match (fault.class, &fault.code) {
            (FaultClass::ConnectionLost, _) => PartialState::Unknown,
            (_, Some(code)) if code == "FL004" => self.in_doubt().await,
            _ => self.run("ROLLBACK".to_owned()).await.map_or(PartialState::Unknown, |()| PartialState::Nothing),
        };
        // A history table that is missing, or exists too early, means that another process migrated the tenant after
        // our read.
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
        journalled::in_doubt(self).await
    }

    pub(crate) fn push_transaction(&self, message: &mut Message, work: &Work, step: usize) {
        let script = &work.steps[step].script;
        let (prepare, together) = (Place::Prepare { step }, work.together_with(step));
        if step == together.start {
            message.push(prepare, "BEGIN");
        }
        message.push_all(prepare, guards::local_settings(&self.door.limits(&work.steps[step])));
        message.push_all(prepare, guards::lock_and_schema(&self.door));
        if !self.has_history && step == 0 {
            message.push_all(prepare, self.door.install());
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
        if step + 1 == together.end {
            message.push(Place::Commit { step }, "COMMIT");
        }
    }

    /// Runs native code and writes its history row in one transaction.
    pub(crate) async fn apply_native_together(&mut self, work: &Work, step: usize) -> Result<(), ApplyError> {
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
        result
    }

    /// Moves the session to a connection from a pool of one, for a step that runs native code without a transaction.
    pub(crate) async fn become_pooled(&mut self) -> Result<(), Fault> {
        if self.pool.is_some() {
            return Ok(());
        }
        self.release().await;
        let (pool, link) = native::pooled(&self.door, self.options.clone()).await?;
        (self.pool, self.connection) = (Some(pool), Some(link));
        Ok(())
    }
}

#[async_trait]
impl Journalled for PostgresSession {
    /// The lock belongs to the session, because no transaction spans the whole step.
    async fn prepare(&mut self, work: &Work, step: usize) -> Result<Option<Unfinished>, Fault> {
        let limits = self.door.limits(&work.steps[step]);
        for setting in guards::session_settings(&limits, self.door.tenant.schema.as_deref()) {
            self.run(setting).await?;
        }
        let locked = self.rows(format!("SELECT pg_try_advisory_lock({})", guards::lock_key(&self.door))).await?;
        if !locked.first().is_some_and(|row| row.is_true(0)) {
            return Err(Fault::new(FaultClass::TenantLocked, "another run holds this tenant"));
        }
        let mut tables = guards::lock_and_schema(&self.door).split_off(1);
        tables.retain(|sql| !sql.starts_with("SET LOCAL"));
        tables.extend(self.door.install());
        tables.push(self.door.journal().create());
        for sql in tables {
            self.run(sql).await?;
        }
        self.has_history = true;
        self.entry().await
    }

    async fn open(&mut self, work: &Work, step: usize, opening: Opening) -> Result<(), Fault> {
        if let Some(statement) = opening.resumed {
            return self.run(self.door.journal().resume(&work.steps[step], statement, &work.run)).await;
        }
        if opening.closes_void {
            self.keep(self.door.journal().close()).await?;
        }
        if self.history().await? != work.history_before(step) {
            return Err(history::moved());
        }
        self.keep(journalled::begin_sql(&self.door, work, step).join("; ")).await
    }

    async fn advance(&mut self, this: ScriptStatement<'_>) -> Result<(), ApplyError> {
        let advanced = self.keep(self.door.journal().advance(this.statement)).await;
        advanced.map_err(|fault| ApplyError::lost(this.step, fault))
    }

    async fn send<'a>(&mut self, this: ScriptStatement<'a>) -> Result<(), Refusal<'a>> {
        let refusal = |within, fault| Refusal { of: this, within, fault };
        if directive(this.sql()).is_some() {
            let connection = self.connection().await.map_err(|fault| refusal(0, fault))?;
            let ended = directives::run(connection, this, PgQueryResult::rows_affected).await;
            return ended.map_err(|fault| refusal(0, fault));
        }
        let limits = self.door.limits(this.step());
        for (within, piece) in crate::sql::split(Engine::Postgres, this.sql()).into_iter().enumerate() {
            self.run_outside(piece.text, limits.lock).await.map_err(|fault| refusal(within, fault))?;
        }
        Ok(())
    }

    async fn left_behind(&mut self, refusal: &Refusal<'_>) -> PartialState {
        let Refusal { of, within, fault } = refusal;
        if *within > 0 || !journal::is_certain(of.step(), of.statement) {
            return self.in_doubt().await;
        }
        // Only the server's own refusal, which has a SQLSTATE, proves that a statement did not happen.
        if fault.class == FaultClass::ConnectionLost || fault.code.is_none() {
            return PartialState::Unknown;
        }
        let (note, left) = journalled::refusal_note(&self.door, *of, true);
        self.keep(note.join("; ")).await.map_or(PartialState::Unknown, |()| left)
    }

    /// The code gets the session's own connection, through a pool of one. If the server process has changed afterwards,
    /// the session's lock is lost.
    async fn run_native(&mut self, work: &Work, step: usize) -> (Result<(), ApplyError>, Result<(), Fault>) {
        let pool = self.pool.clone().expect("the session became pooled before the journal was opened");
        let before = self.backend().await;
        drop(self.connection.take());
        let db = SqlxPostgresConnector::from_sqlx_postgres_pool(pool.clone());
        let ended = native::Native { door: &self.door, work, step }.alone(&db).await;
        self.connection = pool.acquire().await.ok().map(Link::Pooled);
        let holds = match before {
            Some(_) if ended.is_err() || self.backend().await == before => Ok(()),
            _ => Err(native::lost_connection()),
        };
        (ended, holds)
    }

    async fn stop_native(&mut self) -> PartialState {
        let _ = self.keep(self.door.journal().stop(None)).await;
        self.in_doubt().await
    }

    async fn finish(&mut self, work: &Work, step: usize) -> Result<(), Fault> {
        // One transaction: the journal is closed if and only if the history says so.
        let end = format!("{}; {}", self.door.record(&work.steps[step]), self.door.journal().close());
        self.keep(end).await?;
        let _ = self.rows(format!("SELECT pg_advisory_unlock({})", guards::lock_key(&self.door))).await;
        Ok(())
    }
}
