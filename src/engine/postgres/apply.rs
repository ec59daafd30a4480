//! Applying steps: together in transactions, statement by statement with the journal, or natively.
//!
//! Reading and settling are in the session.

use std::fmt::Write as _;
use std::ops::Range;

use async_trait::async_trait;
use sea_orm::SqlxPostgresConnector;
use sqlx::postgres::PgQueryResult;
use tracing::Instrument as _;

use crate::engine::directives;
use crate::engine::history;
use crate::engine::journal;
use crate::engine::journalled::{self, Journalled, Opening, Refusal};
use crate::engine::message::{Message, Place, send, stopped_at};
use crate::engine::native::Link;
use crate::engine::own_tables::OwnTables as _;
use crate::engine::postgres::PostgresSession;
use crate::engine::postgres::inside::Inside;
use crate::engine::postgres::native::around;
use crate::engine::postgres::settings::{OwnSettings, RESET, checks_deferred, leave};
use crate::engine::postgres::{codes, guards};
use crate::engine::queries::Queries as _;
use crate::engine::work::ScriptStatement;
use crate::engine::{ApplyError, PartialState, Work, errors, native};
use crate::model::fault::{Fault, FaultClass};
use crate::model::schema::{Script, Unfinished};
use crate::model::tenant::Engine;
use crate::sql::directive;
use crate::sql::settings::{may_forbid_writes, may_unlock};

impl PostgresSession {
    /// Applies steps that each have a transaction, in one message. The server reads a message as a whole before it runs
    /// any of it: the steps before one that it can't read go once more by themselves, and are applied as on the other
    /// engines. Dying between the two: nothing has run.
    pub(crate) async fn apply_together(&mut self, work: &Work, steps: Range<usize>) -> Result<(), ApplyError> {
        let Err((stop, unread)) = self.send_together(work, steps.clone()).await else { return Ok(()) };
        let holds_unread = |transaction: &Range<usize>| unread.is_some_and(|step| transaction.contains(&step));
        let first = work.transactions(&steps).into_iter().find(holds_unread).map_or(steps.start, |of| of.start);
        let before = steps.start..first;
        if before.is_empty() {
            return Err(stop);
        }
        self.send_together(work, before.clone()).await.map_err(|(stop, _)| stop)?;
        Err(ApplyError { committed: before.end, ..stop })
    }

    /// Sends steps as one message; with an error also the step that the server could not read, if that was why.
    async fn send_together(&mut self, work: &Work, steps: Range<usize>) -> Result<(), (ApplyError, Option<usize>)> {
        let mut message = Message::of(Engine::Postgres, work);
        let first = steps.start;
        for transaction in work.transactions(&steps) {
            for step in transaction.clone() {
                self.push_step(&mut message, work, step, (step == first, &transaction));
            }
        }
        if self.door.tape.takes_message(&message, 0..message.len()) {
            self.has_history = true;
            return Ok(());
        }
        let connected = self.connection().await;
        let connection = connected.map_err(|fault| (ApplyError::before(first, fault), None))?;
        // Dying here: the server ends the open transaction with a rollback; earlier ones are committed.
        let sent = send(connection, &message, 0..message.len()).await;
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
        let unread = parsed.and_then(|character| message.part_at(character));
        let at = match unread {
            Some((place, lines)) => stopped_at(work, Some(place), lines),
            None => stopped_at(work, place, 0),
        };
        let fault = raced(work, place, fault);
        let is_end =
            matches!(place, Some(Place::Commit { .. })) || message.sql(sent.completed).is_some_and(checks_deferred);
        let fault = match place {
            Some(Place::Commit { step } | Place::Record { step }) if is_end => {
                let transactions = work.transactions(&steps);
                let of = transactions.into_iter().find(|of| of.contains(&step)).unwrap_or(step..step + 1);
                codes::at_commit(&error, fault, work.steps[of].iter().map(|step| &*step.script))
            }
            _ => fault,
        };
        let fault = match place.and_then(Place::step) {
            Some(step) => forbidden(&work.steps[step].script, fault),
            None => fault,
        };
        let residue = match (fault.class, &fault.code) {
            // The driver has given up, and the server may have gone on to the end.
            (FaultClass::ConnectionLost, _) | (_, None) => PartialState::Unknown,
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
        Err((ApplyError { committed, at, fault, residue }, unread.and_then(|(place, _)| place.step())))
    }

    /// The state after a failure, as our own role and without the tables of the session: a script's role may not read the journal,
    /// and a table of its own may hide it. Dying in it: the session ends with all of that.
    pub(crate) async fn in_doubt(&mut self) -> PartialState {
        for end in ["ROLLBACK; RESET SESSION AUTHORIZATION; RESET ROLE", "DISCARD TEMP"] {
            let _ = self.rows(end.to_owned()).await;
        }
        journalled::in_doubt(self).await
    }

    /// The statements that create the history tables where they are missing.
    fn install(&self) -> Vec<String> {
        self.door.install().into_iter().map(|create| guards::makes_if_missing(&self.door, create)).collect()
    }

    /// Each step ends what it left in the session before its own history row. What others left in a pooler's session is
    /// ended in front of the first.
    fn push_step<'w>(&self, message: &mut Message<'w>, work: &'w Work, step: usize, within: (bool, &Range<usize>)) {
        let script = &work.steps[step].script;
        let settings = self.settings(&work.steps[step]);
        let (prepare, (is_first, transaction)) = (Place::Prepare { step }, within);
        if step == transaction.start {
            message.push(prepare, "BEGIN");
        }
        if is_first {
            RESET.into_iter().for_each(|sql| message.push(prepare, sql));
        }
        message.push_all(prepare, settings.all());
        let guard = Place::HistoryGuard { step };
        if is_first {
            message.push_all(prepare, guards::lock_and_schema(&self.door));
            if !self.has_history && step == 0 {
                message.push_all(prepare, self.install());
            }
            if step == 0 && work.refreshes() {
                message.push(prepare, guards::makes_if_missing(&self.door, self.door.books().create_refreshes()));
            }
            message.push(guard, guards::history(&self.door, work.expectation(step)));
        } else {
            let [search_path, all] = guards::again(&self.door, work.expectation(step));
            message.push(prepare, search_path);
            message.push(guard, all);
        }
        message.push_all(prepare, guards::extensions(&self.door, script).into_iter().collect());
        let (notes, check) = Inside::of_script(&self.door, script).map(|around| (around.before, around.behind)).unzip();
        message.push_all(prepare, notes.into_iter().collect());
        for (statement, sql) in script.statements.iter().enumerate() {
            for piece in settings.pieces(script, sql) {
                message.push(Place::Statement { step, statement }, piece);
                message.push_all(prepare, settings.again(piece));
            }
        }
        let (record, is_last) = (Place::Record { step }, step + 1 == transaction.end);
        // Any definition may run code: defaults, bounds of partitions, event triggers.
        message.push_all(record, leave(script, check, is_last));
        message.push(record, settings.own());
        message.push_all(record, guards::hides_nothing(&self.door, script).into_iter().collect());
        message.push(record, self.door.record(&work.steps[step]));
        if is_last {
            message.push(Place::Commit { step }, "COMMIT");
        }
    }

    /// Sets fleet's own settings again behind a statement that may have changed them. Dying here: the statement has
    /// happened, and the journal names it; the session is gone with its settings.
    async fn set_again(&mut self, settings: &OwnSettings, sql: &str) -> Result<(), Fault> {
        let mut again = settings.again(sql);
        // The journal is open: another run that got the lock meanwhile changes nothing.
        again.extend(may_unlock(Engine::Postgres, sql).then(|| guards::lock_for_session(&self.door)));
        if again.is_empty() { Ok(()) } else { self.run(again.join("; ")).await }
    }

    /// Runs native code and writes its history row in one transaction.
    pub(crate) async fn apply_native_together(&mut self, work: &Work, step: usize) -> Result<(), ApplyError> {
        let settings = self.settings(&work.steps[step]);
        let mut preamble = vec![settings.own()];
        preamble.extend(guards::lock_and_schema(&self.door));
        if !self.has_history && step == 0 {
            preamble.extend(self.install());
        }
        preamble.push(guards::history(&self.door, work.expectation(step)));
        preamble.extend(guards::extensions(&self.door, &work.steps[step].script));
        let script = &work.steps[step].script;
        let (notes, check) = Inside::of_script(&self.door, script).map(|around| (around.before, around.behind)).unzip();
        preamble.extend(notes);
        let mut before_record = leave(script, check, true).join(";\n");
        let hides = guards::hides_nothing(&self.door, script).map(|check| format!(";\n{check}")).unwrap_or_default();
        let _ = write!(before_record, ";\n{}{hides}", settings.own());
        let mut around = around(&preamble, &before_record);
        let record = self.door.record(&work.steps[step]);
        if self.door.tape.takes_native(&script.migration, &around, ["BEGIN", &record]) {
            self.has_history = true;
            return Ok(());
        }
        self.release().await;
        let options = self.options.clone();
        let native = native::Native { door: &self.door, work, step };
        let applied = native.postgres(options, &mut around, &self.own);
        let result = applied.instrument(work.span(step)).await;
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
        if self.pool.is_some() || self.door.tape.reconnects() {
            return Ok(());
        }
        self.release().await;
        let (pool, link) = native::pooled(&self.door, self.options.clone()).await?;
        (self.pool, self.connection) = (Some(pool), Some(link));
        Ok(())
    }
}

/// The fault of a statement that makes an object only if it does not exist, and is told that it does: another session
/// made it meanwhile, and the next attempt finds it.
fn raced(work: &Work, place: Option<Place>, fault: Fault) -> Fault {
    let Some(Place::Statement { step, statement }) = place else { return fault };
    let sql = work.steps[step].script.statements.get(statement).map(|sql| sql.to_ascii_lowercase());
    let is_conditional = |sql: String| sql.contains("if not exists") || sql.contains("or replace");
    match fault.class {
        FaultClass::AlreadyExists if sql.is_some_and(is_conditional) => {
            Fault { class: FaultClass::Serialization, ..fault }
        }
        _ => fault,
    }
}

/// The fault of a script that forbids writes to its own transaction or session: a server that takes none for a moment is waited for,
/// and this would be refused each time.
fn forbidden(script: &Script, fault: Fault) -> Fault {
    let is_own = || script.statements.iter().any(|sql| may_forbid_writes(Engine::Postgres, sql));
    if fault.class != FaultClass::ServerReadOnly || !is_own() {
        return fault;
    }
    let text = format!(
        "{}; the migration itself forbids writes (READ ONLY), also that of its row in the history: leave that out",
        fault.message
    );
    Fault { class: FaultClass::ReadOnly, message: text, ..fault }
}

#[async_trait]
impl Journalled for PostgresSession {
    /// The lock belongs to the session, because no transaction spans the whole step.
    async fn prepare(&mut self, work: &Work, step: usize) -> Result<Option<Unfinished>, Fault> {
        let mut begin: Vec<String> = RESET.map(str::to_owned).into();
        begin.extend(self.settings(&work.steps[step]).of_session().all());
        let tenant = &self.door.tenant;
        begin.extend(tenant.schema.as_ref().map(|s| format!("SET search_path = {}", guards::search_path(tenant, s))));
        begin.extend(guards::extensions(&self.door, &work.steps[step].script));
        self.run(begin.join("; ")).await?;
        let lock = format!("SELECT pg_try_advisory_lock({})", guards::lock_key(&self.door));
        if self.door.tape.takes(&lock) {
            let held = guards::holds_lock(&self.door);
            self.door.tape.by_hand(|| held);
        } else if !self.rows(lock).await?.first().is_some_and(|row| row.is_true(0)) {
            return Err(Fault::new(FaultClass::TenantLocked, "another run holds this tenant"));
        }
        let mut tables = guards::lock_and_schema(&self.door).split_off(1);
        tables.retain(|sql| !sql.starts_with("SET LOCAL"));
        tables.extend(self.install());
        tables.push(guards::makes_if_missing(&self.door, self.door.journal().create()));
        for sql in tables {
            self.run(sql).await?;
        }
        self.has_history = true;
        let entry = self.entry().await?;
        if entry.is_none() {
            self.check_batches(&work.steps[step].script).await?;
        }
        Ok(entry)
    }

    async fn open(&mut self, work: &Work, step: usize, opening: Opening) -> Result<(), Fault> {
        if let Some(statement) = opening.resumed {
            self.repeats = Some(statement).filter(|_| opening.repeats);
            return self.run(self.door.journal().resume(&work.steps[step], statement, &work.run)).await;
        }
        if opening.closes_void {
            self.keep(self.door.journal().close()).await?;
        }
        let looked = self.table_rows(self.door.books().look()).await?;
        let is_planned = match looked {
            // A rehearsal has made no table, and a run does not look for them again.
            None if self.door.tape.is_on() => true,
            looked => self.versions(looked).await? == work.history_before(step),
        };
        let guard = guards::history(&self.door, work.expectation(step));
        self.door.tape.by_hand(|| guard);
        if !is_planned && !self.door.tape.is_on() {
            return Err(history::moved());
        }
        self.keep(journalled::begin_sql(&self.door, work, step).join("; ")).await
    }

    async fn advance(&mut self, this: ScriptStatement<'_>) -> Result<(), ApplyError> {
        let advanced = self.keep(self.door.journal().advance(this.statement)).await;
        advanced.map_err(|fault| ApplyError::lost(this.step, fault))
    }

    async fn send<'a>(&mut self, this: ScriptStatement<'a>) -> Result<(), Refusal<'a>> {
        let refusal = |within, fault| Refusal { of: this, within, fault: forbidden(&this.step().script, fault) };
        let settings = self.settings(this.step()).of_session();
        let limits = self.door.limits(this.step());
        let is_repeated = self.repeats.take() == Some(this.statement);
        if journal::is_whole(&this.step().script, this.statement) {
            return self.send_whole(this).await.map_err(|fault| refusal(0, fault));
        }
        if is_repeated && this.step().script.is_online() {
            match self.has_happened(this.sql()).await {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                Err(fault) => return Err(refusal(0, fault)),
            }
        }
        if directive(this.sql()).is_some() {
            if !self.door.tape.takes_directive(Engine::Postgres, this.sql()) {
                let connection = self.connection().await.map_err(|fault| refusal(0, fault))?;
                let ended = directives::run(connection, this, PgQueryResult::rows_affected).await;
                ended.map_err(|fault| refusal(0, fault))?;
            }
        } else {
            for (within, piece) in crate::sql::split(Engine::Postgres, this.sql()).into_iter().enumerate() {
                let sent = match Inside::of_statement(&self.door, &this.step().script, piece.text) {
                    Some(around) => self.run_inside(piece.text, &around, limits.lock).await,
                    None => self.run_outside(piece.text, limits.lock).await,
                };
                sent.map_err(|fault| refusal(within, fault))?;
                self.set_again(&settings, piece.text).await.map_err(|fault| refusal(within + 1, fault))?;
            }
            return Ok(());
        }
        self.set_again(&settings, this.sql()).await.map_err(|fault| refusal(1, fault))
    }

    async fn left_behind(&mut self, refusal: &Refusal<'_>) -> PartialState {
        let Refusal { of, within, fault } = refusal;
        // A statement that changed something outside of the schema was rolled back, whatever it was.
        let is_whole = fault.code.as_deref() == Some("FL008") && journal::can_go_on(&of.step().script, of.statement);
        if *within > 0 || !(is_whole || journal::is_certain(of.step(), of.statement)) {
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
        if self.door.tape.takes_code(&work.steps[step].script.migration) {
            return (Ok(()), Ok(()));
        }
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

    async fn stop_native(&mut self, _: &Work, _: usize) -> PartialState {
        let _ = self.keep(self.door.journal().stop(None)).await;
        self.in_doubt().await
    }

    async fn finish(&mut self, work: &Work, step: usize) -> Result<(), Fault> {
        // One transaction: the journal is closed if and only if the history says so.
        let hides =
            guards::hides_nothing(&self.door, &work.steps[step].script).map(|check| check + "; ").unwrap_or_default();
        let end = format!("{hides}{}; {}", self.door.record(&work.steps[step]), self.door.journal().close());
        self.keep(end).await?;
        // Dying here: all is recorded, and the session's lock ends with the session.
        let leave = leave(&work.steps[step].script, None, true).join("; ");
        let _ = self.run(format!("{leave}; SELECT pg_advisory_unlock({})", guards::lock_key(&self.door))).await;
        Ok(())
    }
}
