//! MySQL and MariaDB: a whole script in one message, with the journal between its statements.
//!
//! Each DDL statement commits by itself, so nothing here is ever wrapped in a transaction but the history row with the end
//! of the journal. When the process or the connection dies, the journal names the migration and the statement; all before
//! it happened, that one may have, none behind it has.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection, MySqlQueryResult, MySqlRow};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, MySql, Pool};

use super::asked::{self, Asked};
use super::books::Books;
use super::journal;
use super::message::{Message, Place, send, stopped_at};
use super::mysql_hold::{Held, LOAD_LOCK, LOCK_NAME, resumption, session_settings};
use super::native::Link;
use super::{
    Canceller, Cell, Door, Key, Locked, Pulse, Residue, Segment, Session, Settlement, Stop, Terminations, Transfer,
    Watch, Work, address, blocker, errors, fill, health, inspect, mysql_row, native, pulse, settle,
};
use crate::compile::{Directive, directive};
use crate::fault::{Fault, FaultClass};
use crate::health::{Health, Questions};
use crate::policy::Limits;
use crate::schema::{Direction, Record, Script, Unfinished};
use crate::shape::{Column, Shape, Table};
use crate::tenant::Engine;

pub(super) struct MysqlSession {
    pub(super) door: Door,
    pub(super) options: MySqlConnectOptions,
    /// `None` only while native code has it.
    connection: Option<Link<MySql>>,
    /// Where the connection came from, in a session that runs native code.
    pool: Option<Pool<MySql>>,
    /// The server's id of the connection that works, for `KILL QUERY`; 0 while it is not known.
    pub(super) id: Arc<AtomicU64>,
}

impl MysqlSession {
    pub(super) async fn open(door: Door) -> Result<Self, Fault> {
        let options = address::mysql(&door.tenant)?;
        let connection = match tokio::time::timeout(door.timeouts.connect, options.connect()).await {
            Ok(Ok(connection)) => connection,
            Ok(Err(error)) => {
                let fault = errors::connecting(&error);
                let limit = door.timeouts.connect;
                if fault.class == FaultClass::ConnectionLost && !address::resolves(&door.tenant, limit).await {
                    return Err(Fault { class: FaultClass::Dns, ..fault });
                }
                return Err(fault);
            }
            Err(_) => return Err(door.connect_timeout()),
        };
        Ok(MysqlSession { door, options, connection: Some(Link::Alone(connection)), pool: None, id: Arc::default() })
    }

    pub(super) fn connection(&mut self) -> Result<&mut MySqlConnection, Fault> {
        self.connection.as_deref_mut().ok_or_else(lost_connection)
    }

    pub(super) async fn rows(&mut self, sql: String) -> Result<Vec<MySqlRow>, Fault> {
        sqlx::raw_sql(AssertSqlSafe(sql)).fetch_all(self.connection()?).await.map_err(|e| errors::fault(&e))
    }

    pub(super) async fn run(&mut self, sql: String) -> Result<(), Fault> {
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(self.connection()?).await.map(drop).map_err(|e| errors::fault(&e))
    }

    /// The rows of a query; `None` when its table is missing.
    async fn table_rows(&mut self, sql: String) -> Result<Option<Vec<MySqlRow>>, Fault> {
        match self.rows(sql).await {
            Ok(rows) => Ok(Some(rows)),
            Err(fault) if fault.code.as_deref() == Some("1146") => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    /// The journal's row, where there is one; `None` when there is no journal.
    pub(super) async fn entry(&mut self) -> Result<Option<Option<journal::Entry>>, Fault> {
        let rows = self.table_rows(self.door.journal().read()).await?;
        Ok(rows.map(|rows| rows.first().map(|row| journal::entry(std::array::from_fn(|i| mysql_row::text(row, i))))))
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

    /// The time limits of a step, where any step of the work has its own: the session keeps those of the step before.
    fn own_settings(&self, work: &Work, step: usize) -> Option<String> {
        let any = work.steps.iter().any(|step| step.limits != Limits::default());
        any.then(|| session_settings(&self.door.limits(&work.steps[step])))
    }

    fn push_step(&self, message: &mut Message, work: &Work, step: usize, resumed: Option<usize>) {
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
    fn push_refresh(&self, message: &mut Message, work: &Work, step: usize) {
        message.push(Place::Prepare { step }, "START TRANSACTION");
        for (statement, sql) in work.steps[step].script.statements.iter().enumerate() {
            message.push(Place::Statement { step, statement }, sql);
        }
        message.push(Place::Record { step }, self.door.record(&work.steps[step]));
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
        let connection = self.connection().map_err(|fault| Stop::before(first, fault))?;
        let sent = send(connection, &message).await;
        message.tell_reports(work, &sent);
        let Some(error) = sent.error else { return Ok(()) };
        let fault = errors::fault(&error);
        let place = message.place(sent.completed);
        let committed = first + message.committed(sent.completed);
        let residue = self.left_behind(work, place, sent.within, false, &fault).await;
        Err(Stop { committed, at: stopped_at(work, place), fault, residue })
    }

    /// What a refused statement left behind, noted in the journal while the connection still answers.
    async fn left_behind(
        &mut self,
        work: &Work,
        place: Option<Place>,
        within: usize,
        in_batches: bool,
        fault: &Fault,
    ) -> Residue {
        if fault.class == FaultClass::ConnectionLost {
            return Residue::Unknown;
        }
        let is_refresh = |step: usize| matches!(work.steps[step].script.record, Record::Refresh { .. });
        if place.and_then(Place::step).is_some_and(is_refresh) {
            return match self.run("ROLLBACK".to_owned()).await {
                Ok(()) => Residue::Nothing,
                Err(_) => Residue::Unknown,
            };
        }
        // Only the server's own refusal, which has a number, says for certain that a statement did not happen.
        match place.filter(|_| fault.code.is_some()) {
            Some(Place::Prepare { .. }) => Residue::Nothing,
            // The engine refused this statement as a whole, and those behind it can do without this connection.
            Some(Place::Statement { statement, step })
                if within == 0 && journal::keeps_session(&work.steps[step], statement) =>
            {
                let script = &work.steps[step].script;
                // A repeatable script may have been another one when it was applied: its row can't be put back.
                let is_lost = script.direction == Direction::Down
                    && matches!(script.record, Record::Script { repeatable: true, .. });
                let untouched = statement == 0 && !in_batches && !is_lost;
                let note = if untouched { self.undo(script) } else { self.door.journal().stop(Some(statement)) };
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

    /// Closes the journal of a step whose first statement was refused; on the way down the history row, which went first,
    /// is put back in the same transaction. Dying in it: the journal is open still.
    fn undo(&self, script: &Script) -> String {
        let close = self.door.journal().close();
        if script.direction == Direction::Up {
            return close;
        }
        let row = |direction| self.door.books().record_of(&script.migration, &script.record, direction);
        let (absent, present) = (row(Direction::Down), row(Direction::Up));
        format!("START TRANSACTION;\n{absent};\n{present};\n{close};\nCOMMIT")
    }

    /// A step with statements in batches: each statement by itself, with the journal before it. Dying between two
    /// batches: the journal names this statement, and the next run repeats it.
    async fn apply_alone(&mut self, work: &Work, step: usize, held: &Held) -> Result<(), Stop> {
        let stop = |fault| Stop::before(step, fault);
        let lost = |fault| Stop { residue: Residue::Unknown, ..Stop::before(step, fault) };
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
            let this = Asked { work, step, statement };
            let result = match asked {
                None => self.run(sql.clone()).await,
                Some(asked) => {
                    let connection = self.connection().map_err(lost)?;
                    let result = asked::run(connection, this, asked, MySqlQueryResult::rows_affected).await;
                    asked::verdict(result)
                }
            };
            if let Err(fault) = result {
                let place = Some(Place::Statement { step, statement });
                let batches = asked == Some(Directive::Batch);
                let within = usize::from(crate::compile::is_multiple(Engine::Mysql, sql));
                let residue = self.left_behind(work, place, within, batches, &fault).await;
                return Err(Stop { committed: step, at: stopped_at(work, place), fault, residue });
            }
        }
        let mut end = self.finish(work, step);
        end.push("COMMIT".to_owned());
        if step + 1 == work.steps.len() {
            end.push(format!("DO RELEASE_LOCK({LOCK_NAME})"));
        }
        self.run(end.join(";\n")).await.map_err(lost)
    }

    async fn apply_native(&mut self, work: &Work, step: usize, held: &Held) -> Result<(), Stop> {
        let stop = |fault| Stop::before(step, fault);
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

fn lost_connection() -> Fault {
    Fault::new(FaultClass::ConnectionLost, "the connection was lost")
}

#[async_trait]
impl Session for MysqlSession {
    async fn history(&mut self) -> Result<Vec<String>, Fault> {
        let books = self.door.books();
        let rows = match self.table_rows(books.look()).await? {
            Some(rows) => rows,
            None => {
                let mut rows = Vec::new();
                for query in books.read_apart() {
                    rows.extend(self.table_rows(query).await?.unwrap_or_default());
                }
                rows
            }
        };
        let mut entries: Vec<String> = rows.iter().filter_map(|row| mysql_row::text(row, 0)).collect();
        if let Some(query) = books.unknown_scripts(&mut entries) {
            let rows = self.table_rows(query).await?.unwrap_or_default();
            entries.extend(rows.iter().filter_map(|row| mysql_row::text(row, 0)));
        }
        entries.sort_unstable();
        Ok(entries)
    }

    async fn unfinished(&mut self) -> Result<Option<Unfinished>, Fault> {
        Ok(self.entry().await?.flatten().map(|entry| entry.unfinished))
    }

    async fn is_held(&mut self) -> Result<bool, Fault> {
        let sql = format!(
            "SELECT CAST(COALESCE(IS_USED_LOCK({LOCK_NAME}), IS_USED_LOCK({LOAD_LOCK}), 0) AS signed), CAST(CONNECTION_ID() AS signed)"
        );
        let rows = self.rows(sql).await?;
        let number = |i| rows.first().and_then(|row| mysql_row::number(row, i)).unwrap_or(0);
        Ok(number(0) != 0 && number(0) != number(1))
    }

    async fn refreshes(&mut self) -> Result<Vec<(String, i64)>, Fault> {
        let rows = self.table_rows(self.door.books().read_refreshes()).await?.unwrap_or_default();
        Ok(rows.iter().filter_map(|row| Books::refresh([0, 1].map(|i| mysql_row::text(row, i)))).collect())
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

    async fn health(&mut self, ask: &Questions) -> Result<Health, Fault> {
        let connection = self.connection.as_deref_mut().ok_or_else(lost_connection)?;
        health::mysql::read(connection, &self.door, ask).await
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
                Segment::Alone(step) => {
                    self.apply_alone(work, step, &held).await?;
                    step + 1
                }
                Segment::Native { step, .. } => {
                    self.apply_native(work, step, &held).await?;
                    step + 1
                }
            };
            held = Held { history: work.history_before(next), has_history: true, has_journal: true, entry: None };
        }
        Ok(())
    }

    async fn fill(&mut self, table: &Table, columns: &[&Column], rows: &[Vec<Cell>]) -> Result<u64, (u64, Fault)> {
        let mut filled = 0;
        for (insert, count) in fill::inserts(&self.door, table, columns, rows) {
            let settings = session_settings(&self.door.timeouts);
            let sent = self.run(format!("{settings};\nSTART TRANSACTION;\n{insert};\nCOMMIT")).await;
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
        Ok(fill::keys(&rows, columns.len(), mysql_row::text))
    }

    async fn footprint(&mut self) -> Result<Option<u64>, Fault> {
        self.size().await
    }

    async fn dump(&mut self, to: &Transfer<'_>) -> Result<String, Fault> {
        self.back_up(to).await
    }

    async fn load(&mut self, from: &Transfer<'_>) -> Result<(), Fault> {
        self.bring_back(from).await
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

    fn pulse(&self) -> Option<Pulse> {
        let (options, id, limit) = (self.options.clone(), self.id.clone(), self.door.timeouts.connect);
        Some(Box::new(move |idle, end| {
            let id = id.load(Ordering::Relaxed);
            Box::pin(pulse::mysql(options.clone(), id, pulse::Question { idle, end, limit }))
        }))
    }

    async fn terminate(&mut self, locked: &Locked, older_than: Duration) -> Terminations {
        let mut all = Terminations::default();
        if let Err(fault) = self.rows(blocker::SEES_ALL.to_owned()).await
            && fault.class == FaultClass::PermissionDenied
        {
            all.refused
                .push("nobody was terminated: who holds a lock is hidden from this user, who lacks PROCESS".into());
            return all;
        }
        // Where the holder is only likely to be one, it has to be the only one that it can be.
        for holder in locked.holders.iter().filter(|_| locked.certain || locked.holders.len() == 1) {
            let sql = blocker::may_terminate_mysql(holder, older_than, LOCK_NAME);
            if !self.rows(sql).await.is_ok_and(|rows| !rows.is_empty()) {
                continue;
            }
            match self.run(format!("KILL CONNECTION {}", holder.id)).await {
                Ok(()) => all.terminated.push(holder.clone()),
                // 1094: it is gone already.
                Err(fault) if fault.code.as_deref() == Some("1094") => {}
                Err(_) => all.refused.push(blocker::refused(holder, "CONNECTION ADMIN (or SUPER)")),
            }
        }
        all
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
