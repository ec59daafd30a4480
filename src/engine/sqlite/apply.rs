//! Applying steps: together in transactions, statement by statement with the journal, or natively.
//!
//! Reading and settling are in the session.

use std::time::Duration;

use async_trait::async_trait;
use sqlx::sqlite::{SqliteConnectOptions, SqliteQueryResult};

use crate::engine::directives;
use crate::engine::history;
use crate::engine::journal;
use crate::engine::journalled::{self, Journalled, Opening, Refusal};
use crate::engine::message::{Message, Place, send, stopped_at};
use crate::engine::queries::Queries as _;
use crate::engine::sqlite::{SqliteSession, busy_timeout};
use crate::engine::work::ScriptStatement;
use crate::engine::{ApplyError, PartialState, Work, errors, literal, native};
use crate::model::fault::{Fault, FaultClass};
use crate::model::schema::Unfinished;
use crate::model::tenant::Engine;

/// Fails with "integer overflow" unless the condition holds: SQLite has no other way to raise an error in plain SQL.
fn require(condition: &str) -> String {
    format!("SELECT CASE WHEN {condition} THEN 1 ELSE abs(-9223372036854775808) END")
}

const NO_ORPHANS: &str = "(SELECT count(*) FROM pragma_foreign_key_check) = 0";

/// The lock timeout for the journal note of a refused statement.
const NOTE_PATIENCE: Duration = Duration::from_secs(30);

impl SqliteSession {
    /// The check that the history is as planned; it runs inside the transaction.
    pub(crate) fn history_guard(&self, expected: &[String]) -> String {
        let entries = self.door.books().read();
        require(&format!(
            "(SELECT group_concat(version, char(10)) FROM (SELECT version FROM ({entries}) ORDER BY version)) IS {}",
            if expected.is_empty() { "NULL".to_owned() } else { literal(Engine::Sqlite, &expected.join("\n")) }
        ))
    }

    /// Applies consecutive compiled steps in one call.
    pub(crate) async fn apply_together(
        &mut self,
        work: &Work,
        steps: std::ops::Range<usize>,
    ) -> Result<(), ApplyError> {
        let first = steps.start;
        let rebuilds = any_switches_foreign_keys(work, work.together_with(first));
        if let Err(fault) = self.begin(!rebuilds, self.door.limits(&work.steps[first]).lock).await {
            self.release().await;
            return Err(ApplyError {
                at: stopped_at(work, Some(Place::Prepare { step: first }), 0),
                ..ApplyError::before(first, fault)
            });
        }
        let mut message = Message::new(Engine::Sqlite);
        for step in steps {
            self.push_transaction(&mut message, work, step, step == first);
        }
        self.deliver(work, first, message).await
    }

    pub(crate) fn push_transaction(&self, message: &mut Message, work: &Work, step: usize, is_begun: bool) {
        let (script, together) = (&work.steps[step].script, work.together_with(step));
        let rebuilds = any_switches_foreign_keys(work, together.clone());
        let is_begun = is_begun || step > together.start;
        if rebuilds && !is_begun {
            // Inside a transaction the pragma is a no-op, and dropping the old table would delete its children's rows.
            message.push(Place::Prepare { step }, "PRAGMA foreign_keys = OFF");
        }
        if !is_begun {
            message.push(Place::Prepare { step }, busy_timeout(self.door.limits(&work.steps[step]).lock));
            message.push(Place::Prepare { step }, "BEGIN EXCLUSIVE");
        }
        if !self.has_history && step == 0 {
            message.push_all(Place::Prepare { step }, self.door.install());
        }
        if step == 0 && work.refreshes() {
            message.push(Place::Prepare { step }, self.door.books().create_refreshes());
        }
        message.push(Place::HistoryGuard { step }, self.history_guard(&work.history_before(step)));
        for (statement, sql) in script.statements.iter().enumerate() {
            message.push(Place::Statement { step, statement }, sql);
        }
        message.push(Place::Record { step }, self.door.record(&work.steps[step]));
        if step + 1 < together.end {
            return;
        }
        if rebuilds {
            message.push(Place::ForeignKeyGuard { step }, require(NO_ORPHANS));
        }
        message.push(Place::Commit { step }, "COMMIT");
        if rebuilds {
            message.push(Place::Tidy, "PRAGMA foreign_keys = ON");
        }
    }

    /// Sends a message. Dying in it: the next process to open the file rolls back the open transaction.
    pub(crate) async fn deliver(&mut self, work: &Work, first: usize, message: Message) -> Result<(), ApplyError> {
        let connection = self.connection().await.map_err(|fault| ApplyError::before(first, fault))?;
        let sent = send(connection, &message).await;
        message.tell_reports(work, &sent);
        let Some(error) = sent.error else {
            self.has_history = true;
            return Ok(());
        };
        let place = message.place(sent.completed);
        let fault = match place {
            // The guards raise an arithmetic error on purpose; any other error is genuine.
            Some(Place::HistoryGuard { .. }) if is_raised(&error) => history::moved(),
            Some(Place::ForeignKeyGuard { .. }) if is_raised(&error) => orphans(),
            _ => errors::fault(&error),
        };
        let committed = first + message.committed(sent.completed);
        // Closing rolls back, and waits for the worker to have done so.
        self.release().await;
        Err(ApplyError { committed, at: stopped_at(work, place, 0), fault, residue: PartialState::Nothing })
    }

    /// Runs native code and writes its history row in one transaction.
    pub(crate) async fn apply_native_together(&mut self, work: &Work, step: usize) -> Result<(), ApplyError> {
        let mut preamble = Vec::new();
        if !self.has_history && step == 0 {
            self.connection().await.map_err(|fault| ApplyError::before(step, fault))?;
            preamble.extend(self.door.install());
        }
        preamble.push(self.history_guard(&work.history_before(step)));
        self.release().await;
        let rebuilds = switches_foreign_keys(&work.steps[step].script.statements);
        let options = self.native_options(work, step);
        let options = if rebuilds { options.foreign_keys(false) } else { options };
        let no_orphans = native::Check { sql: require(NO_ORPHANS), fault: orphans() };
        let native = native::Native { door: &self.door, work, step };
        let result = native.sqlite(options, &self.cancelled, &preamble, rebuilds.then_some(&no_orphans)).await;
        if let Err(stop) = &result
            && stop.at.is_none()
            && stop.fault.message == "integer overflow"
        {
            return Err(ApplyError { fault: history::moved(), ..stop.clone() });
        }
        self.has_history |= result.is_ok();
        result
    }

    fn native_options(&self, work: &Work, step: usize) -> SqliteConnectOptions {
        let options = self.options(self.door.tenant.create_missing);
        options.busy_timeout(self.door.limits(&work.steps[step]).lock)
    }

    /// Records in the journal that a statement did not happen, because it or the journal write before it was refused.
    async fn stopped(&mut self, this: ScriptStatement<'_>, was_sent: bool) -> PartialState {
        let (note, left) = journalled::refusal_note(&self.door, this, was_sent);
        // The process that blocked the statement blocks the note too; waiting for it delays no other session.
        let patience = busy_timeout(NOTE_PATIENCE);
        let noted = self.run(format!("{patience};\nBEGIN IMMEDIATE;\n{};\nCOMMIT", note.join(";\n"))).await;
        noted.map_or(PartialState::Unknown, |()| left)
    }
}

#[async_trait]
impl Journalled for SqliteSession {
    async fn prepare(&mut self, work: &Work, step: usize) -> Result<Option<Unfinished>, Fault> {
        let mut sql = vec![busy_timeout(self.door.limits(&work.steps[step]).lock)];
        sql.extend(self.door.install());
        sql.push(self.door.journal().create());
        self.run(sql.join(";\n")).await?;
        self.has_history = true;
        self.entry().await
    }

    async fn open(&mut self, work: &Work, step: usize, opening: Opening) -> Result<(), Fault> {
        if let Some(statement) = opening.resumed {
            return self.run(self.door.journal().resume(&work.steps[step], statement, &work.run)).await;
        }
        if opening.closes_void {
            self.run(self.door.journal().close()).await?;
        }
        // The journal's key is the lock: of two runners, one gets the row, the other a constraint violation.
        let guard = self.history_guard(&work.history_before(step));
        let begin = journalled::begin_sql(&self.door, work, step).join(";\n");
        let opened = self.run(format!("BEGIN IMMEDIATE;\n{guard};\n{begin};\nCOMMIT")).await;
        if let Err(fault) = opened {
            let _ = self.run("ROLLBACK".to_owned()).await;
            let class = match fault.class {
                FaultClass::Other | FaultClass::ConstraintViolation => FaultClass::HistoryMoved,
                class => class,
            };
            return Err(Fault { class, ..fault });
        }
        Ok(())
    }

    async fn advance(&mut self, this: ScriptStatement<'_>) -> Result<(), ApplyError> {
        let ScriptStatement { work, step, statement } = this;
        let Err(fault) = self.run(self.door.journal().advance(statement)).await else { return Ok(()) };
        // Only the note was refused: all statements before this one happened, and it did not.
        let residue = match journal::keeps_session(&this.step().script, statement) {
            true => self.stopped(this, false).await,
            false => journalled::in_doubt(self).await,
        };
        let at = stopped_at(work, Some(Place::Statement { step, statement }), 0);
        Err(ApplyError { committed: step, at, fault, residue })
    }

    async fn send<'a>(&mut self, this: ScriptStatement<'a>) -> Result<(), Refusal<'a>> {
        // If the text has several statements, the first ones may have happened.
        let within = usize::from(crate::sql::is_multiple(Engine::Sqlite, this.sql()));
        let refusal = |fault| Refusal { of: this, within, fault };
        let connection = self.connection().await.map_err(refusal)?;
        directives::run(connection, this, SqliteQueryResult::rows_affected).await.map_err(refusal)
    }

    async fn left_behind(&mut self, refusal: &Refusal<'_>) -> PartialState {
        let this = refusal.of;
        match refusal.within == 0 && journal::is_certain(this.step(), this.statement) {
            true => self.stopped(this, true).await,
            false => journalled::in_doubt(self).await,
        }
    }

    async fn run_native(&mut self, work: &Work, step: usize) -> (Result<(), ApplyError>, Result<(), Fault>) {
        let options = self.native_options(work, step);
        let native = native::Native { door: &self.door, work, step };
        (native.sqlite_without_transaction(options, &self.cancelled).await, Ok(()))
    }

    async fn stop_native(&mut self) -> PartialState {
        let _ = self.run(self.door.journal().stop(None)).await;
        journalled::in_doubt(self).await
    }

    async fn finish(&mut self, work: &Work, step: usize) -> Result<(), Fault> {
        let (record, close) = (self.door.record(&work.steps[step]), self.door.journal().close());
        self.run(format!("BEGIN IMMEDIATE;\n{record};\n{close};\nCOMMIT")).await
    }
}

fn any_switches_foreign_keys(work: &Work, mut steps: std::ops::Range<usize>) -> bool {
    steps.any(|step| switches_foreign_keys(&work.steps[step].script.statements))
}

/// Whether a script switches foreign keys off for a table rebuild (<https://www.sqlite.org/lang_altertable.html>).
fn switches_foreign_keys(statements: &[String]) -> bool {
    statements.iter().flat_map(|sql| crate::sql::split(Engine::Sqlite, sql)).any(|piece| {
        let mut words = crate::sql::first_words(Engine::Sqlite, piece.text);
        words.next().as_deref() == Some("pragma") && words.next().as_deref() == Some("foreign_keys")
    })
}

/// Whether an error is the arithmetic one that [`require`] raises.
fn is_raised(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Database(e) if e.message() == "integer overflow")
}

fn orphans() -> Fault {
    let text = "rows would be left that refer to rows that are gone; PRAGMA foreign_key_check names them";
    Fault::new(FaultClass::ConstraintViolation, text)
}
