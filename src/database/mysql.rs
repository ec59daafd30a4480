//! MySQL and MariaDB: a whole script in one message, with the journal between its statements.
//!
//! Each DDL statement commits by itself, so nothing here is ever wrapped in a transaction but the history row with the end
//! of the journal. When the process or the connection dies, the journal names the migration and the statement; all before
//! it happened, that one may have, none behind it has.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use futures_util::StreamExt;
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection, MySqlRow};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Either, MySql, Pool, Row as _};

use super::journal;
use super::message::{Message, Place, send, stopped_at};
use super::native::Link;
use super::{
    Canceller, Door, Residue, Segment, Session, Settlement, Stop, Watch, Work, address, blocker, errors, inspect,
    mysql_row, native, settle,
};
use crate::compile::changes_session;
use crate::fault::{Fault, FaultClass};
use crate::policy::Timeouts;
use crate::schema::{Direction, Unfinished};
use crate::shape::Shape;
use crate::tenant::Engine;

pub(super) struct MysqlSession {
    door: Door,
    options: MySqlConnectOptions,
    /// `None` only while native code has it.
    connection: Option<Link<MySql>>,
    /// Where the connection came from, in a session that runs native code.
    pool: Option<Pool<MySql>>,
    /// The server's id of the connection that works, for `KILL QUERY`; 0 while it is not known.
    id: Arc<AtomicU64>,
}

/// The name of a tenant's lock, as an expression: names are the server's, so it carries the database; at most 64 characters.
const LOCK_NAME: &str = "CONCAT('fleet:', SUBSTRING(SHA2(DATABASE(), 256), 1, 56))";

/// What a tenant says once its lock is held.
#[derive(Debug, Default)]
struct Held {
    history: Option<Vec<String>>,
    has_journal: bool,
    entry: Option<journal::Entry>,
}

impl MysqlSession {
    pub(super) async fn open(door: Door) -> Result<Self, Fault> {
        let options = address::mysql(&door.tenant)?;
        let connection = match tokio::time::timeout(door.timeouts.connect, options.connect()).await {
            Ok(Ok(connection)) => connection,
            Ok(Err(error)) => {
                let fault = errors::fault(&error);
                if fault.class == FaultClass::ConnectionLost && !address::resolves(&door.tenant).await {
                    return Err(Fault { class: FaultClass::Dns, ..fault });
                }
                return Err(fault);
            }
            Err(_) => return Err(door.connect_timeout()),
        };
        Ok(MysqlSession { door, options, connection: Some(Link::Alone(connection)), pool: None, id: Arc::default() })
    }

    fn connection(&mut self) -> Result<&mut MySqlConnection, Fault> {
        let lost = || Fault::new(FaultClass::ConnectionLost, "the connection was lost");
        self.connection.as_deref_mut().ok_or_else(lost)
    }

    async fn rows(&mut self, sql: String) -> Result<Vec<MySqlRow>, Fault> {
        sqlx::raw_sql(AssertSqlSafe(sql)).fetch_all(self.connection()?).await.map_err(|e| errors::fault(&e))
    }

    async fn run(&mut self, sql: String) -> Result<(), Fault> {
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(self.connection()?).await.map(drop).map_err(|e| errors::fault(&e))
    }

    /// Changes to a connection out of a pool of one, for work that has native steps. Nothing is held or begun yet.
    async fn become_pooled(&mut self) -> Result<(), Fault> {
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
    async fn take_back(&mut self, pool: &Pool<MySql>) -> Result<(), Fault> {
        let before = self.id.load(Ordering::Relaxed);
        self.connection = Some(Link::Pooled(pool.acquire().await.map_err(|e| errors::fault(&e))?));
        let rows = self.rows("SELECT CONNECTION_ID()".to_owned()).await?;
        if rows.first().and_then(|row| mysql_row::number(row, 0)).map(i64::unsigned_abs) == Some(before) {
            return Ok(());
        }
        Err(Fault::new(FaultClass::ConnectionLost, "the connection was lost while the migration ran"))
    }

    fn history_query(&self) -> String {
        format!("SELECT version FROM {} ORDER BY version", self.door.history_table())
    }

    /// Takes the tenant's lock and reads history and journal under it, in one message.
    ///
    /// The lock belongs to the session: dying releases it, and DDL does not.
    async fn hold(&mut self) -> Result<Held, Fault> {
        let mut held = Held::default();
        let sql = format!(
            "{};\nSELECT CONNECTION_ID(), COALESCE(GET_LOCK({LOCK_NAME}, 0), 0);\n{};\n{}",
            session_settings(&self.door.timeouts),
            self.history_query(),
            self.door.journal().read()
        );
        let id = self.id.clone();
        let connection = self.connection()?;
        // Results of the message: the settings, the lock, the history, the journal.
        let mut results = 0;
        let mut locked = false;
        let mut versions = Vec::new();
        let mut stream = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_many(connection);
        while let Some(item) = stream.next().await {
            match item {
                Ok(Either::Left(_)) => results += 1,
                Ok(Either::Right(row)) => match results {
                    1 => {
                        id.store(mysql_row::number(&row, 0).unwrap_or(0).unsigned_abs(), Ordering::Relaxed);
                        locked =
                            row.try_get::<i64, _>(1).or_else(|_| row.try_get::<i32, _>(1).map(i64::from)).unwrap_or(0)
                                == 1;
                    }
                    2 => versions.push(mysql_row::text(&row, 0).unwrap_or_default()),
                    _ => held.entry = Some(journal::entry(std::array::from_fn(|i| mysql_row::text(&row, i)))),
                },
                Err(error) => {
                    let fault = errors::fault(&error);
                    // 1146: the table that is read now is not there; what follows was not sent.
                    if fault.code.as_deref() != Some("1146") || results < 2 {
                        return Err(fault);
                    }
                    break;
                }
            }
        }
        drop(stream);
        if !locked {
            return Err(Fault::new(FaultClass::HeldByAnotherRun, "another run holds this tenant"));
        }
        versions.sort_unstable();
        held.history = (results >= 3).then_some(versions);
        held.has_journal = results >= 4;
        Ok(held)
    }

    fn push_step(&self, message: &mut Message, work: &Work, step: usize, resumed: Option<usize>) {
        let script = &work.steps[step].script;
        let first = resumed.unwrap_or(0);
        let open = match resumed {
            Some(statement) => self.door.journal().resume(statement, &work.run),
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

    /// The history row and the end of the journal: one transaction, without its commit.
    fn finish(&self, work: &Work, step: usize) -> Vec<String> {
        let mut sql = vec!["START TRANSACTION".to_owned()];
        if work.steps[step].script.direction == Direction::Up {
            sql.push(self.door.record(&work.steps[step]));
        }
        sql.push(self.door.journal().close());
        sql
    }

    async fn apply_steps(&mut self, work: &Work, steps: std::ops::Range<usize>, held: &Held) -> Result<(), Stop> {
        let (first, last) = (steps.start, steps.end);
        let mut message = Message::default();
        let prepare = Place::Prepare { step: first };
        if held.history.is_none() {
            message.push(prepare, self.door.migrations.install(Engine::Mysql));
        }
        if !held.has_journal {
            message.push(prepare, self.door.journal().create());
        }
        for step in steps {
            let resumed = if step == first { resumption(work, step, held)? } else { None };
            self.push_step(&mut message, work, step, resumed);
        }
        if last == work.steps.len() {
            // Closing the connection releases it too, but only when the server gets to it.
            message.push(Place::Tidy, format!("DO RELEASE_LOCK({LOCK_NAME})"));
        }
        let connection = self.connection().map_err(|fault| Stop::before(first, fault))?;
        let sent = send(connection, &message).await;
        let Some(error) = sent.error else { return Ok(()) };
        let fault = errors::fault(&error);
        let place = message.place(sent.completed);
        let committed = first + message.committed(sent.completed);
        let residue = self.left_behind(work, place, sent.within, &fault).await;
        Err(Stop { committed, at: stopped_at(work, place), fault, residue })
    }

    /// What a refused statement left behind, noted in the journal while the connection still answers.
    async fn left_behind(&mut self, work: &Work, place: Option<Place>, within: usize, fault: &Fault) -> Residue {
        if fault.class == FaultClass::ConnectionLost {
            return Residue::Unknown;
        }
        // Only the server's own refusal, which has a number, says for certain that a statement did not happen.
        match place.filter(|_| fault.code.is_some()) {
            Some(Place::Prepare { .. }) => Residue::Nothing,
            // The engine refused this statement as a whole, and those behind it can do without this connection.
            Some(Place::Statement { statement, step })
                if within == 0
                    && !work.steps[step].script.statements[..statement].iter().any(|s| changes_session(s)) =>
            {
                let untouched = statement == 0 && work.steps[step].script.direction == Direction::Up;
                let note =
                    if untouched { self.door.journal().close() } else { self.door.journal().stop(Some(statement)) };
                match self.run(note).await {
                    Ok(()) if untouched => Residue::Nothing,
                    Ok(()) => Residue::Resumable { statements: statement },
                    Err(_) => Residue::Unknown,
                }
            }
            _ => {
                let _ = self.run("ROLLBACK".to_owned()).await;
                match self.unfinished().await {
                    Ok(Some(unfinished)) => Residue::InDoubt(unfinished),
                    Ok(None) => Residue::Nothing,
                    Err(_) => Residue::Unknown,
                }
            }
        }
    }

    async fn apply_native(&mut self, work: &Work, step: usize, held: &Held) -> Result<(), Stop> {
        let stop = |fault| Stop::before(step, fault);
        if resumption(work, step, held)?.is_some() {
            let fault = Fault::new(FaultClass::Other, "native code can't go on behind a statement");
            return Err(stop(fault));
        }
        let mut prepare = Vec::new();
        if held.history.is_none() && step == 0 {
            prepare.push(self.door.migrations.install(Engine::Mysql).to_owned());
        }
        if !held.has_journal {
            prepare.push(self.door.journal().create());
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
        let unknown = |fault| Stop { residue: Residue::Unknown, ..stop(fault) };
        let taken_back = self.take_back(&pool).await;
        if let Err(stop) = result {
            // Nobody can tell how far native code came; the open journal says so to whoever comes next.
            let _ = self.run(self.door.journal().stop(None)).await;
            let residue = match self.unfinished().await {
                Ok(Some(unfinished)) => Residue::InDoubt(unfinished),
                _ => Residue::Unknown,
            };
            return Err(Stop { residue, ..stop });
        }
        taken_back.map_err(unknown)?;
        let mut end = self.finish(work, step);
        end.push("COMMIT".to_owned());
        self.run(end.join(";\n")).await.map_err(|fault| Stop { residue: Residue::Unknown, ..stop(fault) })
    }
}

/// Where a step goes on, or the stop when its journal can't be resumed or the history has moved.
#[expect(clippy::result_large_err, reason = "made at most once for an attempt, and taken apart at once")]
fn resumption(work: &Work, step: usize, held: &Held) -> Result<Option<usize>, Stop> {
    let stop = |fault| Stop::before(step, fault);
    if let Some(entry) = &held.entry {
        return match entry.resumes(&work.steps[step]) {
            Some(statement) => Ok(Some(statement)),
            None => {
                let fault = Fault::new(FaultClass::Other, "a migration was begun here and not finished");
                Err(Stop { residue: Residue::InDoubt(entry.unfinished.clone()), ..stop(fault) })
            }
        };
    }
    if held.history.as_deref().unwrap_or_default() != work.history_before(step) {
        return Err(stop(Fault::new(FaultClass::HistoryMoved, "the history is not what was planned")));
    }
    Ok(None)
}

/// Whole seconds, rounded up, at least one: the engine knows no smaller unit for metadata locks.
///
/// `/*M! */` is read by MariaDB only; MySQL has no such limit for anything but `SELECT`. A literal in a script is written
/// with backslash escapes, so they have to mean something here.
fn session_settings(timeouts: &Timeouts) -> String {
    let lock = timeouts.lock.as_millis().div_ceil(1000).max(1);
    let statement = timeouts.statement.as_secs_f64();
    format!(
        "SET SESSION lock_wait_timeout = {lock}, innodb_lock_wait_timeout = {lock}, sql_mode = REPLACE(@@sql_mode, \
         'NO_BACKSLASH_ESCAPES', '') /*M!, max_statement_time = {statement} */"
    )
}

#[async_trait]
impl Session for MysqlSession {
    async fn history(&mut self) -> Result<Vec<String>, Fault> {
        match self.rows(self.history_query()).await {
            Ok(rows) => {
                let mut versions: Vec<String> = rows.iter().filter_map(|row| mysql_row::text(row, 0)).collect();
                versions.sort_unstable();
                Ok(versions)
            }
            Err(fault) if fault.code.as_deref() == Some("1146") => Ok(Vec::new()),
            Err(fault) => Err(fault),
        }
    }

    async fn unfinished(&mut self) -> Result<Option<Unfinished>, Fault> {
        match self.rows(self.door.journal().read()).await {
            Ok(rows) => {
                let entry = rows.first().map(|row| journal::entry(std::array::from_fn(|i| mysql_row::text(row, i))));
                Ok(entry.map(|entry| entry.unfinished))
            }
            Err(fault) if fault.code.as_deref() == Some("1146") => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    async fn settle(&mut self, settlement: &Settlement) -> Result<Unfinished, Fault> {
        let entry = self.hold().await?.entry.ok_or_else(|| self.door.nothing_to_settle())?;
        let mut all = vec!["START TRANSACTION".to_owned()];
        all.extend(settle::statements(&self.door, &self.door.journal(), &entry.unfinished, settlement));
        all.push("COMMIT".to_owned());
        if let Err(fault) = self.run(all.join(";\n")).await {
            let _ = self.run("ROLLBACK".to_owned()).await;
            return Err(fault);
        }
        Ok(entry.unfinished)
    }

    async fn shape(&mut self) -> Result<Shape, Fault> {
        let history_table = self.door.migrations.catalog().history_table.clone();
        let use_own = self.door.namespace().map(|name| format!("USE {};\n", Engine::Mysql.quote(&name)));
        inspect::mysql::shape(self.connection()?, &use_own.unwrap_or_default(), &history_table).await
    }

    async fn row_counts(&mut self, tables: &[String]) -> Result<Vec<u64>, Fault> {
        let database = self.door.namespace();
        inspect::mysql::row_counts(self.connection()?, database.as_deref(), tables).await
    }

    async fn apply(&mut self, work: &Work) -> Result<(), Stop> {
        let segments = work.segments().map_err(|fault| Stop::before(0, fault))?;
        if segments.iter().any(|segment| matches!(segment, Segment::Native { .. })) {
            self.become_pooled().await.map_err(|fault| Stop::before(0, fault))?;
        }
        let mut held = self.hold().await.map_err(|fault| Stop::before(0, fault))?;
        for segment in segments {
            let next = match segment {
                Segment::Together(steps) => {
                    let next = steps.end;
                    self.apply_steps(work, steps, &held).await?;
                    next
                }
                Segment::Alone(step) | Segment::Native { step, .. } => {
                    self.apply_native(work, step, &held).await?;
                    step + 1
                }
            };
            held = Held { history: Some(work.history_before(next)), has_journal: true, entry: None };
        }
        Ok(())
    }

    fn canceller(&self) -> Canceller {
        let (options, id, limit) = (self.options.clone(), self.id.clone(), self.door.timeouts.connect);
        Box::new(move || {
            Box::pin(async move {
                let id = id.load(Ordering::Relaxed);
                if id == 0 {
                    return;
                }
                if let Ok(Ok(mut connection)) = tokio::time::timeout(limit, options.connect()).await {
                    let _ = sqlx::raw_sql(AssertSqlSafe(format!("KILL QUERY {id}"))).execute(&mut connection).await;
                    let _ = connection.close().await;
                }
            })
        })
    }

    fn watch(&self) -> Option<Watch> {
        let (options, id, limit) = (self.options.clone(), self.id.clone(), self.door.timeouts.connect);
        Some(Box::new(move || {
            let id = id.load(Ordering::Relaxed);
            Box::pin(blocker::mysql(options.clone(), id, limit))
        }))
    }

    async fn close(mut self: Box<Self>) {
        if let Some(link) = self.connection.take() {
            link.close().await;
        }
        if let Some(pool) = &self.pool {
            pool.close().await;
        }
    }
}
