//! How a session applies: together in transactions, alone with the journal, or natively.
//!
//! It only applies; reading and settling are in the session.

use std::time::Duration;

use sqlx::sqlite::SqliteQueryResult;

use crate::engine::directives::{self, DirectedStatement};
use crate::engine::journal;
use crate::engine::message::{Message, Place, send, stopped_at};
use crate::engine::queries::Queries as _;
use crate::engine::sqlite::{SqliteSession, busy_timeout};
use crate::engine::{ApplyError, PartialState, Session, Step, Work, errors, literal, native};
use crate::model::fault::{Fault, FaultClass};
use crate::model::schema::Direction;
use crate::model::tenant::Engine;
use crate::sql::{Directive, directive};

/// Fails with "integer overflow" unless the condition holds: SQLite has no other way to raise an error in plain SQL.
fn require(condition: &str) -> String {
    format!("SELECT CASE WHEN {condition} THEN 1 ELSE abs(-9223372036854775808) END")
}

const NO_ORPHANS: &str = "(SELECT count(*) FROM pragma_foreign_key_check) = 0";

/// For how long the note of a refused statement waits for the file.
const NOTE_PATIENCE: Duration = Duration::from_secs(30);

impl SqliteSession {
    /// The check that the history is what was planned; it runs inside the transaction.
    pub(crate) fn history_guard(&self, expected: &[String]) -> String {
        let entries = self.door.books().read();
        require(&format!(
            "(SELECT group_concat(version, char(10)) FROM (SELECT version FROM ({entries}) ORDER BY version)) IS {}",
            if expected.is_empty() { "NULL".to_owned() } else { literal(Engine::Sqlite, &expected.join("\n")) }
        ))
    }

    /// Compiled steps in a row, in one call.
    pub(crate) async fn apply_together(
        &mut self,
        work: &Work,
        steps: std::ops::Range<usize>,
    ) -> Result<(), ApplyError> {
        let first = steps.start;
        let rebuilds = switches_foreign_keys(&work.steps[first].script.statements);
        if let Err(fault) = self.begin(!rebuilds, self.door.limits(&work.steps[first]).lock).await {
            self.release().await;
            return Err(ApplyError {
                at: stopped_at(work, Some(Place::Prepare { step: first })),
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
        let script = &work.steps[step].script;
        let rebuilds = switches_foreign_keys(&script.statements);
        if rebuilds && !is_begun {
            // Inside a transaction the pragma is ignored, and dropping the old table would delete its children's rows.
            message.push(Place::Prepare { step }, "PRAGMA foreign_keys = OFF");
        }
        if !is_begun {
            message.push(Place::Prepare { step }, busy_timeout(self.door.limits(&work.steps[step]).lock));
            message.push(Place::Prepare { step }, "BEGIN EXCLUSIVE");
        }
        if !self.has_history && step == 0 {
            for sql in self.door.install() {
                message.push(Place::Prepare { step }, sql);
            }
        }
        if step == 0 && work.refreshes() {
            message.push(Place::Prepare { step }, self.door.books().create_refreshes());
        }
        message.push(Place::HistoryGuard { step }, self.history_guard(&work.history_before(step)));
        for (statement, sql) in script.statements.iter().enumerate() {
            message.push(Place::Statement { step, statement }, sql);
        }
        message.push(Place::Record { step }, self.door.record(&work.steps[step]));
        if rebuilds {
            message.push(Place::ForeignKeyGuard { step }, require(NO_ORPHANS));
        }
        message.push(Place::Commit { step }, "COMMIT");
        if rebuilds {
            message.push(Place::Tidy, "PRAGMA foreign_keys = ON");
        }
    }

    /// Sends a message. Dying in it: the open transaction is rolled back by whoever opens the file next.
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
            // The guards raise an arithmetic error on purpose; any other error there is what it says.
            Some(Place::HistoryGuard { .. }) if is_raised(&error) => {
                Fault::new(FaultClass::HistoryMoved, "the history is not what was planned")
            }
            Some(Place::ForeignKeyGuard { .. }) if is_raised(&error) => orphans(),
            _ => errors::fault(&error),
        };
        let committed = first + message.committed(sent.completed);
        // Closing rolls back, and waits for the worker to have done so.
        self.release().await;
        Err(ApplyError { committed, at: stopped_at(work, place), fault, residue: PartialState::Nothing })
    }

    /// A compiled step that must not run in a transaction: the journal goes with each statement.
    pub(crate) async fn apply_alone(&mut self, work: &Work, step: usize) -> Result<(), ApplyError> {
        let begun = self.begin_journalled(work, step, true).await?;
        let script = work.steps[step].script.clone();
        for (statement, sql) in script.statements.iter().enumerate().skip(begun) {
            // Dying before this: the journal names the statement before. Dying after: it names this one.
            if let Err(fault) = self.run(self.door.journal().advance(statement)).await {
                // Only the note was refused: all before this statement happened, and it did not.
                let certain = journal::keeps_session(&work.steps[step], statement);
                let residue = self.stopped(&work.steps[step], statement, certain, false).await;
                let at = stopped_at(work, Some(Place::Statement { step, statement }));
                return Err(ApplyError { committed: step, at, fault, residue });
            }
            let asked = directive(sql);
            let this = DirectedStatement { work, step, statement };
            let result = match asked {
                None => self.run(sql.clone()).await,
                Some(asked) => {
                    let connection = self.connection().await.map_err(|f| ApplyError::before(step, f))?;
                    let result = directives::run(connection, this, asked, SqliteQueryResult::rows_affected).await;
                    directives::verdict(result)
                }
            };
            if let Err(fault) = result {
                let place = Place::Statement { step, statement };
                // Of several statements in one piece the first ones may have happened.
                let certain =
                    !crate::sql::is_multiple(Engine::Sqlite, sql) && journal::is_certain(&work.steps[step], statement);
                let batches = asked == Some(Directive::Batch);
                let residue = self.stopped(&work.steps[step], statement, certain, batches).await;
                return Err(ApplyError { committed: step, at: stopped_at(work, Some(place)), fault, residue });
            }
        }
        self.finish_journalled(work, step).await
    }

    /// Notes in the journal that SQLite refused a statement; what is left behind if it did.
    /// Batches that were committed before it stay, also where it is the first.
    async fn stopped(&mut self, step: &Step, statement: usize, certain: bool, in_batches: bool) -> PartialState {
        if !certain {
            return match self.unfinished().await {
                Ok(Some(unfinished)) => PartialState::InDoubt(unfinished),
                _ => PartialState::Unknown,
            };
        }
        let untouched = statement == 0 && !in_batches && !journal::is_row_lost(&step.script);
        let note = match untouched {
            true => self.door.undo(&step.script).join(";\n"),
            false => self.door.journal().stop(Some(statement)),
        };
        // Who kept the statement from the file keeps the note from it, too; to wait for that holds up nobody.
        let patience = busy_timeout(NOTE_PATIENCE);
        match self.run(format!("{patience};\nBEGIN IMMEDIATE;\n{note};\nCOMMIT")).await {
            Ok(()) if untouched => PartialState::Nothing,
            Ok(()) => PartialState::Resumable { statements: statement },
            Err(_) => PartialState::Unknown,
        }
    }

    pub(crate) async fn begin_journalled(
        &mut self,
        work: &Work,
        step: usize,
        compiled: bool,
    ) -> Result<usize, ApplyError> {
        let stop = |fault| ApplyError::before(step, fault);
        let mut prepare = vec![busy_timeout(self.door.limits(&work.steps[step]).lock)];
        prepare.extend(self.door.install());
        prepare.push(self.door.journal().create());
        self.run(prepare.join(";\n")).await.map_err(stop)?;
        self.has_history = true;
        let entry = self.entry().await.map_err(stop)?;
        if entry.as_ref().is_some_and(|entry| entry.is_void(&work.steps[step])) {
            self.run(self.door.journal().close()).await.map_err(stop)?;
        } else if let Some(entry) = entry {
            let Some(statement) = entry.resumes(&work.steps[step]) else {
                let fault = Fault::new(FaultClass::Other, "a migration was begun here and not finished");
                return Err(ApplyError { residue: PartialState::InDoubt(entry.unfinished), ..stop(fault) });
            };
            self.run(self.door.journal().resume(&work.steps[step], statement, &work.run)).await.map_err(stop)?;
            return Ok(statement);
        }
        // The journal's key is the lock: of two runners one gets the row, the other a constraint violation.
        let guard = self.history_guard(&work.history_before(step));
        let begin = self.door.journal().begin(&work.steps[step], compiled.then_some(0), &work.run);
        // On the way down the history row goes first: should the rest not happen, the tenant does not look as if it were at
        // its target.
        let gone = match work.steps[step].script.direction {
            Direction::Up => String::new(),
            Direction::Down => format!("{};\n", self.door.record(&work.steps[step])),
        };
        let opened = self.run(format!("BEGIN IMMEDIATE;\n{guard};\n{begin};\n{gone}COMMIT")).await;
        if let Err(fault) = opened {
            let _ = self.run("ROLLBACK".to_owned()).await;
            let class = match fault.class {
                FaultClass::Other | FaultClass::ConstraintViolation => FaultClass::HistoryMoved,
                class => class,
            };
            return Err(stop(Fault { class, ..fault }));
        }
        Ok(0)
    }

    pub(crate) async fn finish_journalled(&mut self, work: &Work, step: usize) -> Result<(), ApplyError> {
        let (record, close) = (self.door.record(&work.steps[step]), self.door.journal().close());
        let end = format!("BEGIN IMMEDIATE;\n{record};\n{close};\nCOMMIT");
        self.run(end)
            .await
            .map_err(|fault| ApplyError { residue: PartialState::Unknown, ..ApplyError::before(step, fault) })
    }

    pub(crate) async fn apply_native(&mut self, work: &Work, step: usize, transaction: bool) -> Result<(), ApplyError> {
        let options = self.options(self.door.tenant.create_missing);
        let options = options.busy_timeout(self.door.limits(&work.steps[step]).lock);
        if !transaction {
            self.begin_journalled(work, step, false).await?;
            let native = native::Native { door: &self.door, work, step };
            if let Err(stop) = native.sqlite_without_transaction(options, &self.cancelled).await {
                // Nobody can tell how far native code came; the open journal says so to whoever comes next.
                let _ = self.run(self.door.journal().stop(None)).await;
                let residue = match self.unfinished().await {
                    Ok(Some(unfinished)) => PartialState::InDoubt(unfinished),
                    _ => PartialState::Unknown,
                };
                return Err(ApplyError { residue, ..stop });
            }
            return self.finish_journalled(work, step).await;
        }
        let mut preamble = Vec::new();
        if !self.has_history && step == 0 {
            self.connection().await.map_err(|fault| ApplyError::before(step, fault))?;
            preamble.extend(self.door.install());
        }
        preamble.push(self.history_guard(&work.history_before(step)));
        self.release().await;
        let rebuilds = switches_foreign_keys(&work.steps[step].script.statements);
        let options = if rebuilds { options.foreign_keys(false) } else { options };
        let no_orphans = native::Check { sql: require(NO_ORPHANS), fault: orphans() };
        let native = native::Native { door: &self.door, work, step };
        let result = native.sqlite(options, &self.cancelled, &preamble, rebuilds.then_some(&no_orphans)).await;
        if let Err(stop) = &result
            && stop.at.is_none()
            && stop.fault.message == "integer overflow"
        {
            let fault = Fault::new(FaultClass::HistoryMoved, "the history is not what was planned");
            return Err(ApplyError { fault, ..stop.clone() });
        }
        self.has_history |= result.is_ok();
        result
    }
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
