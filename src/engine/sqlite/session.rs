//! SQLite: a whole script in one call, each migration in an exclusive transaction with its history row.
//!
//! When the process dies in a transaction, the next process to open the file rolls it back from its journal: the tenant
//! is at a whole version. A file is created only if the tenant allows it, and only when there is something to apply.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions as _, Connection as _};

use crate::engine::ask::ask;
use crate::engine::history;
use crate::engine::history::HistoryTables;
use crate::engine::journal;
use crate::engine::journalled;
use crate::engine::queries::{Queries, TenantQueries, TextRow};
use crate::engine::rows::Batch;
use crate::engine::sqlite::file::{FileLock, check_folder, make_folder};
use crate::engine::sqlite::key_check::KeyCheck;
use crate::engine::sqlite::view_check::Endangered;
use crate::engine::tape::Tape;
use crate::engine::{
    ApplyError, Notice, Rehearsal, Segment, Session, Settlement, Step, TenantEndpoint, Work, address, errors, literal,
    settle,
};
use crate::model::fault::{Fault, FaultClass};
use crate::model::schema::{Execution, Unfinished};
use crate::model::tenant::{Address, Engine};
use crate::model::wire::Wire;
use crate::sql::foreign_keys::mentions;
use crate::sql::guard::Guard;
use crate::sql::{changes_session, reads_session};

pub(crate) struct SqliteSession {
    pub(crate) door: TenantEndpoint,
    pub(crate) path: PathBuf,
    /// `None` if the file does not exist yet, and while native code uses the file.
    pub(crate) connection: Option<SqliteConnection>,
    pub(crate) has_history: bool,
    /// Whether the last look at the history saw that there is no journal.
    saw_no_journal: bool,
    pub(crate) cancelled: Arc<AtomicBool>,
    /// The rows that referred to nothing before the step that is under way without a transaction.
    pub(crate) keys: KeyCheck,
    /// Whether a trigger or a table of the file may replace rows by itself, once that was asked.
    pub(crate) may_replace: Option<bool>,
}

impl SqliteSession {
    pub(crate) async fn open(door: TenantEndpoint) -> Result<Self, Fault> {
        let path = match door.tenant.address_for_migrations() {
            Address::File(path) => path.clone(),
            Address::Unusable(reason) => return Err(Fault::new(FaultClass::BadAddress, reason.clone())),
            Address::Url(_) => return Err(Fault::new(FaultClass::BadAddress, "an SQLite tenant needs a file")),
        };
        let mut session = SqliteSession {
            door,
            path,
            connection: None,
            has_history: true,
            saw_no_journal: false,
            cancelled: Arc::default(),
            keys: KeyCheck::default(),
            may_replace: None,
        };
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

    /// Whether the file does not exist yet.
    pub(crate) fn is_missing(&self) -> bool {
        self.connection.is_none() && !self.path.exists()
    }

    pub(crate) fn options(&self, create: bool) -> SqliteConnectOptions {
        let options = SqliteConnectOptions::new().filename(&self.path).create_if_missing(create);
        address::logged(options.busy_timeout(self.door.timeouts.lock))
    }

    pub(crate) async fn connect(&mut self, create: bool) -> Result<(), Fault> {
        let is_rehearsed = self.door.tape.is_on();
        // A file that a recording would find is not there yet: an empty one in memory answers in its place.
        let options = match is_rehearsed && !self.path.exists() {
            true => SqliteConnectOptions::new().in_memory(true),
            false => self.options(create && !is_rehearsed),
        };
        if create && !is_rehearsed {
            make_folder(&self.path)?;
        }
        let mut connection = options.connect().await.map_err(|e| errors::fault(&e))?;
        stop_when(&mut connection, self.cancelled.clone()).await.map_err(|e| errors::fault(&e))?;
        if is_rehearsed {
            connection.run("PRAGMA query_only = ON".to_owned()).await?;
            self.door.tape.reconnects();
        }
        self.connection = Some(connection);
        Ok(())
    }

    pub(crate) async fn connection(&mut self) -> Result<&mut SqliteConnection, Fault> {
        if self.connection.is_none() {
            let create = self.door.tenant.create_missing;
            self.connect(create).await?;
        }
        Ok(self.connection.as_mut().expect("set just above"))
    }

    /// Whether a table exists; checked only after a read failed, because SQLite has one code for all SQL errors.
    pub(crate) async fn has_table(&mut self, table: &str) -> Result<bool, Fault> {
        let name = literal(Engine::Sqlite, table);
        let rows = self.rows(format!("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = {name}")).await?;
        Ok(!rows.is_empty())
    }

    /// Begins a transaction. SQLite's own wait for a lock can't be interrupted, so it waits in short intervals.
    ///
    /// The transaction is exclusive, so it waits for readers of a file without a write-ahead log here, once. An
    /// immediate transaction waits for them as soon as the page cache is full, again with each large statement and with
    /// the commit, each time up to the whole limit, while no new reader gets in
    /// (<https://www.sqlite.org/lockingv3.html>).
    pub(crate) async fn begin(&mut self, foreign_keys: bool, limit: Duration) -> Result<(), Fault> {
        const TURN_MS: u32 = 50;
        let begun = Instant::now();
        let before = if foreign_keys { "" } else { "PRAGMA foreign_keys = OFF;\n" };
        let begin = format!("{before}PRAGMA busy_timeout = {TURN_MS};\nBEGIN EXCLUSIVE;\n{}", busy_timeout(limit));
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

    pub(crate) async fn entry(&mut self) -> Result<Option<Unfinished>, Fault> {
        let entry = |rows: Vec<TextRow>| rows.first().map(|row| journal::entry(std::array::from_fn(|i| row.text(i))));
        match self.rows(self.door.journal().read()).await {
            Ok(rows) => Ok(entry(rows)),
            // Another run may have made it since.
            Err(_) if self.has_table(journal::TABLE).await? => self.rows(self.door.journal().read()).await.map(entry),
            Err(_) => Ok(None),
        }
    }

    /// Rolls a transaction of these steps back, and closes the connection where it may keep more of them than that takes back:
    /// closing rolls back too, but the next connection reads the whole schema again. Dying in it: the next process to open the
    /// file rolls back.
    pub(super) async fn roll_back(&mut self, work: &Work, steps: Range<usize>) {
        let keeps = work.steps[steps].iter().any(|step| step.script.statements.iter().any(|sql| leaves_settings(sql)))
            // The row ids and counts of what was rolled back.
            || work.steps.iter().any(|step| step.script.statements.iter().any(|sql| reads_session(sql)));
        let rolled_back = match &mut self.connection {
            Some(connection) if !keeps && !self.door.tape.is_on() => {
                connection.run("ROLLBACK".to_owned()).await.is_ok()
            }
            _ => false,
        };
        if !rolled_back || !self.are_keys_on().await.unwrap_or(false) {
            self.release().await;
        }
    }

    /// Closes a connection whose state the next step must not see: settings and temporary objects of this step, and the
    /// row ids and counts of any.
    pub(crate) async fn end_step(&mut self, work: &Work, step: usize) {
        let script = &work.steps[step].script;
        if matches!(script.execution, Execution::Native { .. })
            || script.statements.iter().any(|sql| mentions(sql, &["replace"]))
        {
            self.may_replace = None;
        }
        let asks = |step: &Step| step.script.statements.iter().any(|sql| reads_session(sql));
        if script.statements.iter().any(|sql| leaves_settings(sql)) || work.steps.get(step + 1).is_some_and(asks) {
            self.release().await;
        }
    }

    pub(crate) async fn release(&mut self) {
        if let Some(connection) = self.connection.take() {
            let _ = connection.close().await;
        }
    }
}

/// Whether a statement may change settings of the connection, or what belongs to it alone.
fn leaves_settings(sql: &str) -> bool {
    mentions(sql, &["pragma", "temp", "attach", "detach"]) && changes_session(Engine::Sqlite, sql)
}

/// Makes a connection fail, whatever it is doing, once it is cancelled.
pub(crate) async fn stop_when(connection: &mut SqliteConnection, cancelled: Arc<AtomicBool>) -> sqlx::Result<()> {
    let mut handle = connection.lock_handle().await?;
    // Called every 10,000 instructions of SQLite's virtual machine: often enough to stop within milliseconds, rarely
    // enough to cost nothing.
    handle.set_progress_handler(10_000, move || !cancelled.load(Ordering::Relaxed));
    Ok(())
}

/// Rounded up to a millisecond: zero would mean not to wait.
pub(crate) fn busy_timeout(limit: Duration) -> String {
    format!("PRAGMA busy_timeout = {}", limit.as_millis().clamp(1, i32::MAX as u128))
}

#[async_trait]
impl Queries for SqliteSession {
    async fn rows(&mut self, sql: String) -> Result<Vec<TextRow>, Fault> {
        self.door.tape.asks(&sql);
        self.connection().await?.rows(sql).await
    }

    async fn run(&mut self, sql: String) -> Result<(), Fault> {
        if self.door.tape.takes(&sql) { Ok(()) } else { self.connection().await?.run(sql).await }
    }

    fn tape(&mut self) -> Option<&mut Tape> {
        Some(&mut self.door.tape)
    }

    async fn changed(&mut self, sql: String) -> Result<u64, Fault> {
        self.connection().await?.changed(sql).await
    }
}

impl TenantQueries for SqliteSession {
    fn door(&self) -> &TenantEndpoint {
        &self.door
    }
}

#[async_trait]
impl Batch for SqliteSession {
    async fn add(&mut self, insert: String) -> Result<(), Fault> {
        self.begin(true, self.door.timeouts.lock).await?;
        self.transaction(format!("{insert};\nCOMMIT")).await.map(drop)
    }
}

#[async_trait]
impl Session for SqliteSession {
    async fn history(&mut self) -> Result<Vec<String>, Fault> {
        if self.is_missing() {
            return Ok(Vec::new());
        }
        let books = self.door.books();
        self.has_history = true;
        self.saw_no_journal = false;
        let looked = self.rows(books.look()).await;
        self.saw_no_journal = looked.as_deref().is_ok_and(HistoryTables::is_closed);
        let rows = match looked {
            Err(fault) if fault.code.as_deref() == Some("1") => {
                let mut rows = Vec::new();
                let tables = [&self.door.migrations.catalog().history_table.clone(), history::SCRIPTS];
                for (query, table) in books.read_apart().into_iter().zip(tables) {
                    if self.has_table(table).await? {
                        // Another run may have created the table after it was found missing; any other error occurs
                        // again.
                        rows.extend(self.rows(query).await?);
                    } else {
                        self.has_history = false;
                    }
                }
                rows
            }
            rows => rows?,
        };
        let mut entries: Vec<String> = rows.iter().filter_map(|row| row.text(0)).collect();
        if let Some(query) = books.unknown_scripts(&mut entries) {
            entries.extend(self.rows(query).await?.iter().filter_map(|row| row.text(0)));
        }
        entries.sort_unstable();
        Ok(entries)
    }

    fn saw_no_journal(&self) -> bool {
        self.saw_no_journal
    }

    async fn unfinished(&mut self) -> Result<Option<Unfinished>, Fault> {
        if self.is_missing() {
            return Ok(None);
        }
        self.entry().await
    }

    async fn wire(&mut self, work: &Work, rehearsal: &Rehearsal) -> Result<Wire, ApplyError> {
        // The next connection, which is opened at once, only reads.
        self.release().await;
        self.door.rehearse(rehearsal);
        self.apply(work).await?;
        Ok(self.door.tape.take(rehearsal, &[]))
    }

    async fn settle(&mut self, settlement: &Settlement) -> Result<Unfinished, Fault> {
        let entry = match self.connection.is_some() {
            true => self.entry().await?,
            false => None,
        };
        let entry = entry.ok_or_else(|| self.door.nothing_to_settle())?;
        let _lock = FileLock::take(&self.path)?;
        settle::settle(self, vec!["BEGIN IMMEDIATE".to_owned()], entry, settlement).await
    }

    async fn apply(&mut self, work: &Work) -> Result<(), ApplyError> {
        let bound = work.bound_to(&self.door.tenant).map_err(|stop| *stop)?;
        let work = &*bound;
        match self.apply_all(work).await {
            Ok(()) => Ok(()),
            Err(stop) => Err(self.told_apart(work, stop).await),
        }
    }

    async fn ask(&mut self, guard: &Guard) -> Option<Fault> {
        ask(self, vec!["BEGIN".to_owned()], guard).await
    }

    async fn close(mut self: Box<Self>) {
        self.release().await;
    }
}

impl SqliteSession {
    async fn apply_all(&mut self, work: &Work) -> Result<(), ApplyError> {
        let segments = work.segments().map_err(|fault| ApplyError::before(0, fault))?;
        let alone = |s: &Segment| matches!(s, Segment::Alone(_) | Segment::Native { transaction: false, .. });
        self.connection().await.map_err(|fault| ApplyError::before(0, fault))?;
        // Also for steps in a transaction: another run may be in the middle of a step without one.
        let _lock = match self.door.tape.is_on() {
            true => None,
            false => Some(FileLock::take(&self.path).map_err(|fault| ApplyError::before(0, fault))?),
        };
        if !segments.first().is_some_and(alone)
            && let Some(entry) = self.entry().await.map_err(|fault| ApplyError::before(0, fault))?
            && !journal::is_void(&entry, &work.steps[0])
        {
            return Err(journalled::unfinished(0, entry));
        }
        let endangered = Endangered::by(work, self).await;
        for segment in segments {
            let last = segment.end() - 1;
            match segment {
                Segment::Together(steps) => {
                    for transaction in work.transactions(&steps) {
                        let last = transaction.end - 1;
                        self.apply_together(work, transaction).await?;
                        self.end_step(work, last).await;
                    }
                }
                Segment::Alone(step) => journalled::apply_alone(self, work, step).await?,
                Segment::Native { step, transaction: true } => self.apply_native_together(work, step).await?,
                Segment::Native { step, transaction: false } => journalled::apply_native(self, work, step).await?,
            }
            self.end_step(work, last).await;
        }
        if let Some(endangered) = endangered {
            let new = endangered.broken_since(self).await;
            new.into_iter().for_each(|line| work.teller.tell(Notice::Note(line)));
        }
        Ok(())
    }
}
