//! SQLite: a whole script in one call, each migration in an immediate transaction with its history row.
//!
//! When the process dies in a transaction, the next one to open the file rolls it back from its journal: the tenant is at
//! a whole version. A file is created only where the tenant says so, and only when there is something to apply.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteQueryResult, SqliteRow};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Row as _};

use super::asked::{self, Asked};
use super::message::{Message, Place, send, stopped_at};
use super::sqlite_file::{FileLock, check_folder, make_folder};
use super::{
    Canceller, Cell, Door, Key, Locked, Residue, Segment, Session, Settlement, Stop, Transfer, Watch, Work, errors,
    fill, health, inspect, literal, native, settle, sqlite_file,
};
use super::{books, journal};
use crate::compile::{Directive, directive};
use crate::fault::{Fault, FaultClass};
use crate::health::Health;
use crate::schema::Unfinished;
use crate::shape::{Column, Shape, Table};
use crate::tenant::{Address, Engine};

pub(super) struct SqliteSession {
    pub(super) door: Door,
    pub(super) path: PathBuf,
    /// `None` for a file that is not there yet, and while native code has the file.
    connection: Option<SqliteConnection>,
    has_history: bool,
    cancelled: Arc<AtomicBool>,
}

/// Fails with "integer overflow" unless the condition holds: SQLite has no other way to raise an error in plain SQL.
fn require(condition: &str) -> String {
    format!("SELECT CASE WHEN {condition} THEN 1 ELSE abs(-9223372036854775808) END")
}

const NO_ORPHANS: &str = "(SELECT count(*) FROM pragma_foreign_key_check) = 0";

impl SqliteSession {
    pub(super) async fn open(door: Door) -> Result<Self, Fault> {
        let path = match door.tenant.address_for_migrations() {
            Address::File(path) => path.clone(),
            Address::Unusable(reason) => return Err(Fault::new(FaultClass::BadAddress, reason.clone())),
            Address::Url(_) => return Err(Fault::new(FaultClass::BadAddress, "an SQLite tenant needs a file")),
        };
        let mut session = SqliteSession { door, path, connection: None, has_history: true, cancelled: Arc::default() };
        if session.path.exists() {
            session.connect(false).await?;
        } else if session.door.tenant.create_missing {
            check_folder(&session.path)?;
            session.has_history = false;
        } else {
            let text = format!(
                "the file {} does not exist; correct the path, or set create_missing = true for this tenant",
                session.path.display()
            );
            return Err(Fault::with_code(FaultClass::UnknownDatabase, "14", text));
        }
        Ok(session)
    }

    fn options(&self, create: bool) -> SqliteConnectOptions {
        SqliteConnectOptions::new()
            .filename(&self.path)
            .create_if_missing(create)
            .busy_timeout(self.door.timeouts.lock)
            .disable_statement_logging()
    }

    async fn connect(&mut self, create: bool) -> Result<(), Fault> {
        if create {
            make_folder(&self.path)?;
        }
        let mut connection = self.options(create).connect().await.map_err(|e| errors::fault(&e))?;
        stop_when(&mut connection, self.cancelled.clone()).await.map_err(|e| errors::fault(&e))?;
        self.connection = Some(connection);
        Ok(())
    }

    pub(super) async fn connection(&mut self) -> Result<&mut SqliteConnection, Fault> {
        if self.connection.is_none() {
            let create = self.door.tenant.create_missing;
            self.connect(create).await?;
        }
        Ok(self.connection.as_mut().expect("set just above"))
    }

    async fn rows(&mut self, sql: String) -> Result<Vec<SqliteRow>, Fault> {
        let connection = self.connection().await?;
        sqlx::raw_sql(AssertSqlSafe(sql)).fetch_all(connection).await.map_err(|e| errors::fault(&e))
    }

    async fn run(&mut self, sql: String) -> Result<(), Fault> {
        let connection = self.connection().await?;
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await.map(drop).map_err(|e| errors::fault(&e))
    }

    /// Whether a table is there; asked only after a read failed, because SQLite has one code for all mistakes.
    async fn has_table(&mut self, table: &str) -> Result<bool, Fault> {
        let name = literal(Engine::Sqlite, table);
        let rows = self.rows(format!("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = {name}")).await?;
        Ok(!rows.is_empty())
    }

    /// The check that the history is what was planned; it runs inside the transaction.
    fn history_guard(&self, expected: &[String]) -> String {
        let entries = self.door.books().read();
        require(&format!(
            "(SELECT group_concat(version, char(10)) FROM (SELECT version FROM ({entries}) ORDER BY version)) IS {}",
            if expected.is_empty() { "NULL".to_owned() } else { literal(Engine::Sqlite, &expected.join("\n")) }
        ))
    }

    /// Begins a transaction. While SQLite itself waits for a lock nothing can stop it, so it waits in short turns.
    async fn begin(&mut self, foreign_keys: bool, limit: Duration) -> Result<(), Fault> {
        const TURN_MS: u32 = 50;
        let begun = Instant::now();
        let before = if foreign_keys { "" } else { "PRAGMA foreign_keys = OFF;\n" };
        let begin = format!("{before}PRAGMA busy_timeout = {TURN_MS};\nBEGIN IMMEDIATE;\n{}", busy_timeout(limit));
        loop {
            match self.run(begin.clone()).await {
                Err(fault)
                    if fault.class == FaultClass::Busy
                        && begun.elapsed() < limit
                        && !self.cancelled.load(Ordering::Relaxed) => {}
                result => return result,
            }
        }
    }

    /// Compiled steps in a row, in one call.
    async fn apply_together(&mut self, work: &Work, steps: std::ops::Range<usize>) -> Result<(), Stop> {
        let first = steps.start;
        let rebuilds = switches_foreign_keys(&work.steps[first].script.statements);
        if let Err(fault) = self.begin(!rebuilds, self.door.limits(&work.steps[first]).lock).await {
            self.release().await;
            return Err(Stop {
                at: stopped_at(work, Some(Place::Prepare { step: first })),
                ..Stop::before(first, fault)
            });
        }
        let mut message = Message::new(Engine::Sqlite);
        for step in steps {
            self.push_transaction(&mut message, work, step, step == first);
        }
        self.deliver(work, first, message).await
    }

    fn push_transaction(&self, message: &mut Message, work: &Work, step: usize, is_begun: bool) {
        let script = &work.steps[step].script;
        let rebuilds = switches_foreign_keys(&script.statements);
        if rebuilds && !is_begun {
            // Inside a transaction the pragma is ignored, and dropping the old table would delete its children's rows.
            message.push(Place::Prepare { step }, "PRAGMA foreign_keys = OFF");
        }
        if !is_begun {
            message.push(Place::Prepare { step }, busy_timeout(self.door.limits(&work.steps[step]).lock));
            message.push(Place::Prepare { step }, "BEGIN IMMEDIATE");
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
    async fn deliver(&mut self, work: &Work, first: usize, message: Message) -> Result<(), Stop> {
        let connection = self.connection().await.map_err(|fault| Stop::before(first, fault))?;
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
        Err(Stop { committed, at: stopped_at(work, place), fault, residue: Residue::Nothing })
    }

    /// A compiled step that must not run in a transaction: the journal goes with each statement.
    async fn apply_alone(&mut self, work: &Work, step: usize) -> Result<(), Stop> {
        let begun = self.begin_journalled(work, step, true).await?;
        let script = work.steps[step].script.clone();
        for (statement, sql) in script.statements.iter().enumerate().skip(begun) {
            // Dying before this: the journal names the statement before. Dying after: it names this one.
            self.run(self.door.journal().advance(statement)).await.map_err(|f| Stop::before(step, f))?;
            let asked = directive(sql);
            let this = Asked { work, step, statement };
            let result = match asked {
                None => self.run(sql.clone()).await,
                Some(asked) => {
                    let connection = self.connection().await.map_err(|f| Stop::before(step, f))?;
                    let result = asked::run(connection, this, asked, SqliteQueryResult::rows_affected).await;
                    asked::verdict(result)
                }
            };
            if let Err(fault) = result {
                let place = Place::Statement { step, statement };
                // Of several statements in one piece the first ones may have happened.
                let certain = !crate::compile::is_multiple(Engine::Sqlite, sql)
                    && journal::keeps_session(&work.steps[step], statement);
                let residue = self.stopped(statement, certain, asked == Some(Directive::Batch)).await;
                return Err(Stop { committed: step, at: stopped_at(work, Some(place)), fault, residue });
            }
        }
        self.finish_journalled(work, step).await
    }

    /// Notes in the journal that SQLite refused a statement; what is left behind if it did.
    /// Batches that were committed before it stay, also where it is the first.
    async fn stopped(&mut self, statement: usize, certain: bool, in_batches: bool) -> Residue {
        if !certain {
            return match self.unfinished().await {
                Ok(Some(unfinished)) => Residue::InDoubt(unfinished),
                _ => Residue::Unknown,
            };
        }
        let untouched = statement == 0 && !in_batches;
        let note = if untouched { self.door.journal().close() } else { self.door.journal().stop(Some(statement)) };
        match self.run(note).await {
            Ok(()) if untouched => Residue::Nothing,
            Ok(()) => Residue::Resumable { statements: statement },
            Err(_) => Residue::Unknown,
        }
    }

    async fn begin_journalled(&mut self, work: &Work, step: usize, compiled: bool) -> Result<usize, Stop> {
        let stop = |fault| Stop::before(step, fault);
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
                return Err(Stop { residue: Residue::InDoubt(entry.unfinished), ..stop(fault) });
            };
            self.run(self.door.journal().resume(&work.steps[step], statement, &work.run)).await.map_err(stop)?;
            return Ok(statement);
        }
        // The journal's key is the lock: of two runners one gets the row, the other a constraint violation.
        let guard = self.history_guard(&work.history_before(step));
        let begin = self.door.journal().begin(&work.steps[step], compiled.then_some(0), &work.run);
        let opened = self.run(format!("BEGIN IMMEDIATE;\n{guard};\n{begin};\nCOMMIT")).await;
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

    async fn finish_journalled(&mut self, work: &Work, step: usize) -> Result<(), Stop> {
        let (record, close) = (self.door.record(&work.steps[step]), self.door.journal().close());
        let end = format!("BEGIN IMMEDIATE;\n{record};\n{close};\nCOMMIT");
        self.run(end).await.map_err(|fault| Stop { residue: Residue::Unknown, ..Stop::before(step, fault) })
    }

    async fn apply_native(&mut self, work: &Work, step: usize, transaction: bool) -> Result<(), Stop> {
        let options = self.options(self.door.tenant.create_missing);
        let options = options.busy_timeout(self.door.limits(&work.steps[step]).lock);
        if !transaction {
            self.begin_journalled(work, step, false).await?;
            let native = native::Native { door: &self.door, work, step };
            if let Err(stop) = native.sqlite_without_transaction(options, &self.cancelled).await {
                // Nobody can tell how far native code came; the open journal says so to whoever comes next.
                let _ = self.run(self.door.journal().stop(None)).await;
                let residue = match self.unfinished().await {
                    Ok(Some(unfinished)) => Residue::InDoubt(unfinished),
                    _ => Residue::Unknown,
                };
                return Err(Stop { residue, ..stop });
            }
            return self.finish_journalled(work, step).await;
        }
        let mut preamble = Vec::new();
        if !self.has_history && step == 0 {
            self.connection().await.map_err(|fault| Stop::before(step, fault))?;
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
            return Err(Stop { fault, ..stop.clone() });
        }
        self.has_history |= result.is_ok();
        result
    }

    async fn entry(&mut self) -> Result<Option<journal::Entry>, Fault> {
        match self.rows(self.door.journal().read()).await {
            Ok(rows) => {
                Ok(rows.first().map(|row| journal::entry(std::array::from_fn(|i| row.try_get(i).ok().flatten()))))
            }
            Err(fault) if self.has_table(journal::TABLE).await? => Err(fault),
            Err(_) => Ok(None),
        }
    }

    pub(super) async fn release(&mut self) {
        if let Some(connection) = self.connection.take() {
            let _ = connection.close().await;
        }
    }
}

/// Makes a connection fail whatever it is doing once it is cancelled.
pub(super) async fn stop_when(connection: &mut SqliteConnection, cancelled: Arc<AtomicBool>) -> sqlx::Result<()> {
    let mut handle = connection.lock_handle().await?;
    // Called every 10,000 steps of SQLite's machine: often enough to stop within milliseconds, too rarely to cost.
    handle.set_progress_handler(10_000, move || !cancelled.load(Ordering::Relaxed));
    Ok(())
}

/// Whether a script switches foreign keys off for a table rebuild (<https://www.sqlite.org/lang_altertable.html>).
fn switches_foreign_keys(statements: &[String]) -> bool {
    statements.iter().flat_map(|sql| crate::compile::split(Engine::Sqlite, sql)).any(|piece| {
        let mut words = crate::compile::first_words(Engine::Sqlite, piece.text);
        words.next().as_deref() == Some("pragma") && words.next().as_deref() == Some("foreign_keys")
    })
}

/// Rounded up to a millisecond: none at all would mean not to wait.
fn busy_timeout(limit: Duration) -> String {
    format!("PRAGMA busy_timeout = {}", limit.as_millis().clamp(1, i32::MAX as u128))
}

/// Whether an error is the arithmetic one that [`require`] raises.
fn is_raised(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Database(e) if e.message() == "integer overflow")
}

fn orphans() -> Fault {
    let text = "rows would be left that refer to rows that are gone; PRAGMA foreign_key_check names them";
    Fault::new(FaultClass::ConstraintViolation, text)
}

#[async_trait]
impl Session for SqliteSession {
    async fn history(&mut self) -> Result<Vec<String>, Fault> {
        if self.connection.is_none() {
            return Ok(Vec::new());
        }
        let books = self.door.books();
        self.has_history = true;
        let rows = match self.rows(books.look()).await {
            Err(fault) if fault.code.as_deref() == Some("1") => {
                let mut rows = Vec::new();
                let tables = [&self.door.migrations.catalog().history_table.clone(), books::SCRIPTS];
                for (query, table) in books.read_apart().into_iter().zip(tables) {
                    if self.has_table(table).await? {
                        // Another run may have made the table after it was missed; any other mistake is made again.
                        rows.extend(self.rows(query).await?);
                    } else {
                        self.has_history = false;
                    }
                }
                rows
            }
            rows => rows?,
        };
        let mut entries: Vec<String> = rows.iter().filter_map(|r| r.try_get(0).ok()).collect();
        if let Some(query) = books.unknown_scripts(&mut entries) {
            entries.extend(self.rows(query).await?.iter().filter_map(|r| r.try_get::<String, _>(0).ok()));
        }
        entries.sort_unstable();
        Ok(entries)
    }

    async fn unfinished(&mut self) -> Result<Option<Unfinished>, Fault> {
        if self.connection.is_none() && !self.path.exists() {
            return Ok(None);
        }
        Ok(self.entry().await?.map(|entry| entry.unfinished))
    }

    async fn is_held(&mut self) -> Result<bool, Fault> {
        Ok(FileLock::is_taken(&self.path))
    }

    async fn refreshes(&mut self) -> Result<Vec<(String, i64)>, Fault> {
        if self.connection.is_none() || !self.has_table(books::REFRESHES).await? {
            return Ok(Vec::new());
        }
        let rows = self.rows(self.door.books().read_refreshes()).await?;
        Ok(rows.iter().filter_map(|r| books::Books::refresh([0, 1].map(|i| r.try_get(i).ok()))).collect())
    }

    async fn settle(&mut self, settlement: &Settlement) -> Result<Unfinished, Fault> {
        let entry = match self.connection.is_some() {
            true => self.entry().await?,
            false => None,
        };
        let entry = entry.ok_or_else(|| self.door.nothing_to_settle())?;
        let _lock = FileLock::take(&self.path)?;
        let mut all = vec!["BEGIN IMMEDIATE".to_owned()];
        all.extend(settle::statements(&self.door, &self.door.journal(), &entry.unfinished, settlement));
        all.push("COMMIT".to_owned());
        if let Err(fault) = self.run(all.join(";\n")).await {
            let _ = self.run("ROLLBACK".to_owned()).await;
            return Err(fault);
        }
        Ok(entry.unfinished)
    }

    async fn shape(&mut self) -> Result<Shape, Fault> {
        if self.connection.is_none() && !self.path.exists() {
            return Ok(Shape::default());
        }
        let history_table = self.door.migrations.catalog().history_table.clone();
        inspect::sqlite::shape(self.connection().await?, &history_table).await
    }

    async fn health(&mut self) -> Result<Health, Fault> {
        if self.connection.is_none() && !self.path.exists() {
            return Ok(health::sqlite::read(&self.path, None));
        }
        let rows = self.rows("SELECT sqlite_version()".to_owned()).await?;
        let version: Option<String> = rows.first().and_then(|row| row.try_get(0).ok());
        Ok(health::sqlite::read(&self.path, version.as_deref()))
    }

    async fn row_counts(&mut self, tables: &[String]) -> Result<Vec<u64>, Fault> {
        if tables.is_empty() {
            return Ok(Vec::new());
        }
        if self.connection.is_none() && !self.path.exists() {
            return Err(Fault::new(FaultClass::Missing, "the file does not exist, so no table does"));
        }
        inspect::sqlite::row_counts(self.connection().await?, tables).await
    }

    async fn apply(&mut self, work: &Work) -> Result<(), Stop> {
        let segments = work.segments().map_err(|fault| Stop::before(0, fault))?;
        let alone = |s: &Segment| matches!(s, Segment::Alone(_) | Segment::Native { transaction: false, .. });
        let _lock = if segments.iter().any(alone) {
            self.connection().await.map_err(|fault| Stop::before(0, fault))?;
            FileLock::take(&self.path).map_err(|fault| Stop::before(0, fault))?
        } else {
            None
        };
        for segment in segments {
            match segment {
                Segment::Together(steps) => self.apply_together(work, steps).await?,
                Segment::Alone(step) => self.apply_alone(work, step).await?,
                Segment::Native { step, transaction } => self.apply_native(work, step, transaction).await?,
            }
        }
        Ok(())
    }

    async fn fill(&mut self, table: &Table, columns: &[&Column], rows: &[Vec<Cell>]) -> Result<u64, (u64, Fault)> {
        let mut filled = 0;
        for (insert, count) in fill::inserts(&self.door, table, columns, rows) {
            self.begin(true, self.door.timeouts.lock).await.map_err(|fault| (filled, fault))?;
            let sent = self.run(format!("{insert};\nCOMMIT")).await;
            if let Err(fault) = sent {
                let _ = self.run("ROLLBACK".to_owned()).await;
                return Err((filled, fault));
            }
            filled += count;
        }
        Ok(filled)
    }

    async fn keys(&mut self, table: &Table, columns: &[&Column]) -> Result<Vec<Vec<Option<Key>>>, Fault> {
        let rows = self.rows(fill::literals(&self.door, table, columns)).await?;
        Ok(fill::keys(&rows, columns.len(), |row, i| row.try_get(i).ok().flatten()))
    }

    async fn footprint(&mut self) -> Result<Option<u64>, Fault> {
        if self.connection.is_none() && !self.path.exists() {
            return Ok(None);
        }
        let sql = "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()";
        let rows = self.rows(sql.to_owned()).await?;
        Ok(Some(rows.first().and_then(|row| row.try_get::<i64, _>(0).ok()).unwrap_or(0).unsigned_abs()))
    }

    async fn dump(&mut self, to: &Transfer<'_>) -> Result<String, Fault> {
        self.back_up(to).await
    }

    async fn load(&mut self, from: &Transfer<'_>) -> Result<(), Fault> {
        self.bring_back(from).await
    }

    fn canceller(&self) -> Canceller {
        let cancelled = self.cancelled.clone();
        Box::new(move || Box::pin(async move { cancelled.store(true, Ordering::Relaxed) }))
    }

    fn watch(&self) -> Option<Watch> {
        let path = self.path.clone();
        Some(Box::new(move || {
            let path = path.clone();
            Box::pin(async move {
                let holders = tokio::task::spawn_blocking(move || sqlite_file::holders(&path)).await;
                Locked { holders: holders.unwrap_or_default(), ..Locked::default() }
            })
        }))
    }

    async fn close(mut self: Box<Self>) {
        self.release().await;
    }
}
