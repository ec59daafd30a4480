//! Applying steps: together in transactions, statement by statement with the journal, or natively.
//!
//! Reading and settling are in the session.

use std::ops::Range;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::sqlite::{SqliteConnectOptions, SqliteQueryResult};
use sqlx::{ConnectOptions as _, Connection as _};
use tracing::Instrument as _;

use crate::engine::directives;
use crate::engine::expectation::Expectation;
use crate::engine::history;
use crate::engine::journal;
use crate::engine::journalled::{self, Journalled, Opening, Refusal};
use crate::engine::message::{Message, Place, Sent, send, stopped_at, stopped_at_statement};
use crate::engine::native::{Check as _, Mark};
use crate::engine::queries::Queries as _;
use crate::engine::sqlite::key_check::{self, KeyCheck};
use crate::engine::sqlite::shared;
use crate::engine::sqlite::view_check::ViewCheck;
use crate::engine::sqlite::{SqliteSession, busy_timeout};
use crate::engine::work::ScriptStatement;
use crate::engine::{ApplyError, Notice, PartialState, Step, Work, errors, literal, native};
use crate::model::fault::{Fault, FaultClass};
use crate::model::schema::{Direction, Script, Unfinished};
use crate::model::tenant::Engine;
use crate::model::timings::Phase;
use crate::model::transaction::TransactionScope;
use crate::sql::dialect::syntax;
use crate::sql::foreign_keys::{ForeignKeys, mentions, takes_rows};
use crate::sql::{directive, split};

/// Fails with "integer overflow" unless the condition holds: SQLite has no other way to raise an error in plain SQL.
pub(super) fn require(condition: &str) -> String {
    format!("SELECT CASE WHEN {condition} THEN 1 ELSE abs(-9223372036854775808) END")
}

/// The lock timeout for the journal note of a refused statement.
const NOTE_PATIENCE: Duration = Duration::from_secs(30);

/// The length in bytes of a text that is sent at once: enough that the way to the driver's thread costs little, and
/// little enough that SQLite looks at no text often.
const TEXT: usize = 8_192;

const KEYS_OFF: &str = "PRAGMA foreign_keys = OFF";

/// A place in a message, and the fault there.
type Stop = (Place, Fault);

impl SqliteSession {
    /// The check that the history is as planned; it runs inside the transaction.
    pub(crate) fn history_guard(&self, expected: &Expectation) -> String {
        let books = self.door.books();
        require(&match expected {
            Expectation::Next(next) => books.is_as(next),
            Expectation::Whole(expected) => format!(
                "(SELECT group_concat(version, char(10)) FROM (SELECT version FROM ({}) ORDER BY version)) IS {}",
                books.read(),
                if expected.is_empty() { "NULL".to_owned() } else { literal(Engine::Sqlite, &expected.join("\n")) }
            ),
        })
    }

    /// Applies compiled steps in one transaction with their history rows: one step, or one behind those that make way
    /// for it. Dying in it: the next process to open the file rolls back.
    pub(crate) async fn apply_together(&mut self, work: &Work, steps: Range<usize>) -> Result<(), ApplyError> {
        let committed = steps.start;
        let Err((place, fault)) = self.transact(work, steps.clone()).await else { return Ok(()) };
        self.roll_back(work, steps).await;
        let at = stopped_at(work, Some(place), 0);
        Err(ApplyError { committed, at, fault, residue: PartialState::Nothing })
    }

    async fn transact(&mut self, work: &Work, steps: Range<usize>) -> Result<(), Stop> {
        let (step, last) = (steps.start, steps.end - 1);
        let at = |place: Place| move |fault: Fault| (place, fault);
        let (prepare, guard) = (Place::Prepare { step }, Place::ForeignKeyGuard { step: last });
        let mut keys = KeyCheck::Nothing;
        for step in steps.clone() {
            let script = &work.steps[step].script;
            keys = KeyCheck::for_tenant(script, self).await;
            if !keys.are_keys_on() {
                let refusal = key_check::relies_on_update(script, self).await;
                refusal.map_or(Ok(()), |fault| Err((Place::ForeignKeyGuard { step }, fault)))?;
                break;
            }
        }
        // Each step of its own: a transaction has foreign keys on or off as a whole.
        let makes_way = |step: &&Step| step.is_aside && step.script.direction == Direction::Down;
        let own = work.steps[steps.clone()].iter().filter(|step| !makes_way(step)).count();
        let is_shared = work.transaction == TransactionScope::Tenant && own > 1;
        if is_shared && !keys.are_keys_on() {
            return Err((guard, shared::refused(&work.steps[step].script)));
        }
        let mut views = ViewCheck::of(work, steps.clone());
        let begun = self.begin(keys.are_keys_on(), self.door.limits(&work.steps[last]).lock);
        work.start(Phase::Lock, last).over(begun).await.map_err(at(prepare))?;
        keys.before(self).await.map_err(at(guard))?;
        views.before(self).await.map_err(at(guard))?;
        let (message, ends) = self.transaction_of(work, steps.clone());
        let commit = message.len() - 1;
        let sent = match is_shared {
            true => self.deliver_apart(work, steps, (&message, &ends)).await?,
            false => self.deliver(&message, 0..commit).await?,
        };
        self.door.tape.by_hand(|| keys.by_hand());
        keys.after(self).await.map_err(at(guard))?;
        views.after(self).await.map_err(at(guard))?;
        let committed = match self.deliver(&message, commit..message.len()).await {
            Ok(committed) => committed,
            // The transaction is there still.
            Err((place, fault)) => return Err((place, key_check::at_commit(fault, self).await)),
        };
        self.has_history = true;
        message.tell_reports(work, &sent.then(committed));
        if !keys.are_keys_on() {
            self.release().await;
        }
        Ok(())
    }

    /// Sends each step of a transaction that several share when its turn comes: what one before it has made can show that it
    /// needs foreign keys off, and a deferred key is checked at the end of the step that needs it. Dying in it: the next
    /// process to open the file rolls all of them back.
    async fn deliver_apart(
        &mut self,
        work: &Work,
        steps: Range<usize>,
        (message, ends): (&Message<'_>, &[usize]),
    ) -> Result<Sent, Stop> {
        let (first, last) = (steps.start, steps.end - 1);
        let guard = |step: usize| Place::ForeignKeyGuard { step };
        let at = |step: usize| move |fault: Fault| (guard(step), fault);
        let deferred = shared::Deferred::of(&work.steps[steps.clone()], self).await.map_err(at(first))?;
        let (mut sent, mut begin) = (None::<Sent>, 0);
        for (step, &end) in steps.zip(ends) {
            let script = &work.steps[step].script;
            self.may_replace = None;
            if step > first && !KeyCheck::for_tenant(script, self).await.are_keys_on() {
                return Err((guard(step), shared::refused(script)));
            }
            let next = self.deliver(message, begin..end).await?;
            sent = Some(match sent {
                Some(sent) => sent.then(next),
                None => next,
            });
            begin = end;
            if step < last {
                deferred.hold(self).await.map_err(at(step))?;
            }
        }
        Ok(sent.expect("a transaction has steps"))
    }

    /// The transaction of these steps, without its beginning, and the end of each step in it.
    fn transaction_of<'w>(&self, work: &'w Work, steps: Range<usize>) -> (Message<'w>, Vec<usize>) {
        let mut message = Message::of(Engine::Sqlite, work).in_texts_of(TEXT);
        let (last, mut ends) = (steps.end - 1, Vec::new());
        for step in steps {
            self.push_step(&mut message, work, step);
            ends.push(message.len());
        }
        message.push(Place::Commit { step: last }, "COMMIT");
        (message, ends)
    }

    fn push_step<'w>(&self, message: &mut Message<'w>, work: &'w Work, step: usize) {
        if !self.has_history && step == 0 {
            message.push_all(Place::Prepare { step }, self.door.install());
        }
        if step == 0 && work.refreshes() {
            message.push(Place::Prepare { step }, self.door.books().create_refreshes());
        }
        message.push(Place::HistoryGuard { step }, self.history_guard(work.expectation(step)));
        for (statement, sql) in work.steps[step].script.statements.iter().enumerate() {
            message.push(Place::Statement { step, statement }, sql);
        }
        message.push(Place::Record { step }, self.door.record(&work.steps[step]));
    }

    async fn deliver(&mut self, message: &Message<'_>, parts: Range<usize>) -> Result<Sent, Stop> {
        if self.door.tape.takes_message(message, parts.clone()) {
            return Ok(Sent::whole(parts.end));
        }
        let place = |part| message.place(part).unwrap_or(Place::Tidy);
        let connection = self.connection().await.map_err(|fault| (place(parts.start), fault))?;
        let sent = send(connection, message, parts).await;
        let Some(error) = &sent.error else { return Ok(sent) };
        let place = place(sent.completed);
        // The guard raises an arithmetic error on purpose; any other error is genuine.
        let is_moved = matches!(place, Place::HistoryGuard { .. }) && is_raised(error);
        let fault = if is_moved { history::moved() } else { errors::fault(error) };
        Err((place, in_the_way(fault)))
    }

    /// Runs native code and writes its history row in one transaction.
    pub(crate) async fn apply_native_together(&mut self, work: &Work, step: usize) -> Result<(), ApplyError> {
        let mut preamble = Vec::new();
        if !self.has_history && step == 0 {
            self.connection().await.map_err(|fault| ApplyError::before(step, fault))?;
            preamble.extend(self.door.install());
        }
        preamble.push(self.history_guard(work.expectation(step)));
        let mut keys = KeyCheck::for_tenant(&work.steps[step].script, self).await;
        let options = self.native_options(work, step).foreign_keys(keys.are_keys_on());
        let mut around =
            native::Around { preamble: &preamble, mark: Mark::Begin, before_record: None, check: Some(&mut keys) };
        let (script, record) = (&work.steps[step].script, self.door.record(&work.steps[step]));
        if self.door.tape.takes_native(&script.migration, &around, ["BEGIN EXCLUSIVE", &record]) {
            return Ok(());
        }
        self.release().await;
        let native = native::Native { door: &self.door, work, step };
        let applied = native.sqlite(options, &self.cancelled, &mut around);
        let result = applied.instrument(work.span(step)).await;
        if let Err(stop) = &result
            && stop.at.is_none()
            && stop.fault.message == "integer overflow"
        {
            return Err(ApplyError { fault: history::moved(), ..stop.clone() });
        }
        self.has_history |= result.is_ok();
        result.map_err(|stop| ApplyError { fault: in_the_way(stop.fault), ..stop })
    }

    fn native_options(&self, work: &Work, step: usize) -> SqliteConnectOptions {
        let options = self.options(self.door.tenant.create_missing);
        options.busy_timeout(self.door.limits(&work.steps[step]).lock)
    }

    /// Runs the statements of a text one by one; where it `takes` rows that it does not name, those statements with
    /// foreign keys off. Dying in it: the setting goes with the connection.
    async fn run_apart(&mut self, sql: &str, takes: bool) -> Result<(), Fault> {
        for piece in split(Engine::Sqlite, sql) {
            if !(takes && takes_rows(Engine::Sqlite, piece.text)) {
                self.run(piece.text.to_owned()).await?;
                continue;
            }
            let were_on = self.are_keys_on().await?;
            self.run(KEYS_OFF.to_owned()).await?;
            let ran = self.run(piece.text.to_owned()).await;
            if were_on {
                self.keys_on().await;
            }
            ran?;
        }
        Ok(())
    }

    /// Whether foreign keys are on: a script without a transaction may have switched them off before.
    pub(super) async fn are_keys_on(&mut self) -> Result<bool, Fault> {
        Ok(self.rows("PRAGMA foreign_keys".to_owned()).await?.first().is_some_and(|row| row.is_true(0)))
    }

    /// Switches foreign keys on again; a new connection has them on.
    async fn keys_on(&mut self) {
        if self.run("PRAGMA foreign_keys = ON".to_owned()).await.is_err() {
            self.release().await;
        }
    }

    /// Fleet's own writes around the statements of a script that asks how many rows were changed: over a connection of their
    /// own, so that they count as none of them. Dying in it: as over the script's connection.
    async fn run_uncounted(&mut self, script: &Script, sql: String) -> Result<(), Fault> {
        let asks = |sql: &String| mentions(sql, &["changes", "total_changes"]);
        if self.door.tape.is_on() || !script.statements.iter().any(asks) {
            return self.run(sql).await;
        }
        let mut aside = self.options(false).connect().await.map_err(|e| errors::fault(&e))?;
        let ran = aside.run(sql).await;
        let _ = aside.close().await;
        ran
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
            let resume = self.door.journal().resume(&work.steps[step], statement, &work.run);
            return self.run_uncounted(&work.steps[step].script, resume).await;
        }
        if opening.closes_void {
            self.run(self.door.journal().close()).await?;
        }
        let script = &work.steps[step].script;
        self.keys = KeyCheck::for_tenant(script, self).await.begun(self).await;
        if !self.keys.are_keys_on()
            && syntax(Engine::Sqlite).foreign_keys(&script.statements) == ForeignKeys::Unmentioned
        {
            // The setting goes with the connection.
            self.run(KEYS_OFF.to_owned()).await?;
        }
        // The journal's key is the lock: of two runners, one gets the row, the other a constraint violation.
        let guard = self.history_guard(work.expectation(step));
        let begin = journalled::begin_sql(&self.door, work, step).join(";\n");
        let opened = self.run_uncounted(script, format!("BEGIN IMMEDIATE;\n{guard};\n{begin};\nCOMMIT")).await;
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
        let advance = self.door.journal().advance(statement);
        let Err(fault) = self.run_uncounted(&this.step().script, advance).await else { return Ok(()) };
        // Only the note was refused: all statements before this one happened, and it did not.
        let residue = match journal::keeps_session(&this.step().script, statement) {
            true => self.stopped(this, false).await,
            false => journalled::in_doubt(self).await,
        };
        let at = stopped_at_statement(work, step, statement);
        Err(ApplyError { committed: step, at, fault, residue })
    }

    async fn send<'a>(&mut self, this: ScriptStatement<'a>) -> Result<(), Refusal<'a>> {
        // If the text has several statements, the first ones may have happened.
        let within = usize::from(crate::sql::is_multiple(Engine::Sqlite, this.sql()));
        let refusal = |fault| Refusal { of: this, within, fault };
        let takes = takes_rows_unsaid(this);
        if within > 0 && (takes || this.sql().len() > TEXT) && directive(this.sql()).is_none() {
            return self.run_apart(this.sql(), takes).await.map_err(refusal);
        }
        let were_on = takes && self.are_keys_on().await.map_err(refusal)?;
        if were_on {
            self.run(KEYS_OFF.to_owned()).await.map_err(refusal)?;
        }
        let ran = match self.door.tape.takes_directive(Engine::Sqlite, this.sql()) {
            true => Ok(()),
            false => {
                let connection = self.connection().await.map_err(refusal)?;
                directives::run(connection, this, SqliteQueryResult::rows_affected).await
            }
        };
        if were_on {
            self.keys_on().await;
        }
        ran.map_err(refusal)
    }

    async fn left_behind(&mut self, refusal: &Refusal<'_>) -> PartialState {
        let this = refusal.of;
        match refusal.within == 0 && journal::is_certain(this.step(), this.statement) {
            true => self.stopped(this, true).await,
            false => journalled::in_doubt(self).await,
        }
    }

    async fn run_native(&mut self, work: &Work, step: usize) -> (Result<(), ApplyError>, Result<(), Fault>) {
        let script = &work.steps[step].script;
        if self.door.tape.takes_code(&script.migration) {
            return (Ok(()), Ok(()));
        }
        let keys = syntax(Engine::Sqlite).foreign_keys(&script.statements);
        let options = self.native_options(work, step).foreign_keys(!keys.are_off());
        let native = native::Native { door: &self.door, work, step };
        (native.sqlite_without_transaction(options, &self.cancelled).await, Ok(()))
    }

    async fn stop_native(&mut self, _: &Work, _: usize) -> PartialState {
        let _ = self.run(self.door.journal().stop(None)).await;
        journalled::in_doubt(self).await
    }

    async fn finish(&mut self, work: &Work, step: usize) -> Result<(), Fault> {
        let (record, close) = (self.door.record(&work.steps[step]), self.door.journal().close());
        if let Err(fault) = ViewCheck::of(work, step..step + 1).after(self).await {
            // A repeatable script without its row is pending, whether or not the process dies before this.
            self.run(close).await?;
            return Err(fault);
        }
        self.run(format!("BEGIN IMMEDIATE;\n{record};\n{close};\nCOMMIT")).await?;
        let keys = std::mem::take(&mut self.keys);
        if !keys.are_keys_on() {
            self.keys_on().await;
        }
        if let Some(why) = keys.left(self).await {
            let name = &work.steps[step].script.migration;
            let text = format!("{why} after {name}, which ran without a transaction: delete or change those rows");
            work.teller.tell(Notice::Note(text));
        }
        Ok(())
    }
}

/// Whether a statement that runs without a transaction drops a table or replaces rows, and its script does not say how
/// foreign keys are meant.
fn takes_rows_unsaid(this: ScriptStatement<'_>) -> bool {
    let takes = |sql: &String| syntax(Engine::Sqlite).foreign_keys(std::slice::from_ref(sql)) == ForeignKeys::TakesRows;
    let script = &this.step().script;
    script.statements.get(this.statement).is_some_and(takes)
        && syntax(Engine::Sqlite).foreign_keys(&script.statements).are_off()
}

/// A view or trigger in the way of a change, and the ways out: none of the program's scripts makes it now, or fleet
/// had taken it down.
fn in_the_way(fault: Fault) -> Fault {
    let mut words = fault.message.strip_prefix("error in ").unwrap_or_default().split([' ', ':']);
    let (object, name) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    if !["view", "trigger"].contains(&object) {
        return fault;
    }
    let (kind, quoted) = (object.to_ascii_uppercase(), Engine::Sqlite.quote(name));
    let message = format!(
        "{}; the {object} {name} stands in the way, and no repeatable script makes it under that name now: begin this script with \
         DROP {kind} IF EXISTS {quoted} (and make it again behind the change, if it is still needed), or put the file of the R__ \
         script that made it back",
        fault.message
    );
    Fault { message, ..fault }
}

/// Whether an error is the arithmetic one that [`require`] raises.
fn is_raised(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Database(e) if e.message() == "integer overflow")
}
