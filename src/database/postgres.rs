//! PostgreSQL: a whole script in one message, each migration in a transaction with its history row.
//!
//! When the process or the connection dies in a transaction, the server rolls it back: the tenant is at a whole version,
//! and reading its history says which. Only steps without a transaction (`CREATE INDEX CONCURRENTLY`) can stop half way;
//! their journal says where.

use std::time::Duration;

use async_trait::async_trait;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgQueryResult, PgRow};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Pool, Postgres, Row as _};

use super::asked::{self, Asked};
use super::books::Books;
use super::journal;
use super::message::{Message, Place, send, stopped_at, stopped_behind};
use super::native::Link;
use super::postgres_connect::{connect, is_unmarked, open, too_much_for_a_pooler};
use super::postgres_guards as guards;
use super::{
    Canceller, Cell, Door, Key, Locked, Pulse, Residue, Segment, Session, Settlement, Stop, Terminations, Transfer,
    Watch, Work, address, blocker, errors, fill, health, inspect, literal, native, pulse, settle,
};
use crate::compile::{Directive, directive};
use crate::fault::{Fault, FaultClass};
use crate::health::{Health, Questions};
use crate::schema::Unfinished;
use crate::shape::{Column, Shape, Table};
use crate::tenant::Engine;

pub(super) struct PostgresSession {
    pub(super) door: Door,
    pub(super) options: PgConnectOptions,
    /// `None` while native code has the only connection.
    connection: Option<Link<Postgres>>,
    /// Where the connection came from, while native code without a transaction shares it.
    pool: Option<Pool<Postgres>>,
    /// Whether the history table is there, once it is known.
    has_history: bool,
    /// Whether a pooler stands in front, once it is known. Only the first connection can tell.
    pooled: Option<bool>,
    /// How this session is called in `pg_stat_activity`; no other has that name.
    pub(super) name: String,
}

impl PostgresSession {
    pub(super) async fn open(door: Door) -> Result<Self, Fault> {
        let id: String = door.tenant.id.as_str().chars().filter(|c| c.is_ascii_graphic()).take(44).collect();
        let name = format!("fleet:{id}:{:08x}", fastrand::u32(..));
        let options = address::postgres(&door.tenant)?.application_name(&name);
        let (connection, pooled) = open(&options, &door).await?;
        Ok(PostgresSession {
            door,
            options,
            connection: Some(Link::Alone(connection)),
            pool: None,
            has_history: true,
            pooled,
            name,
        })
    }

    async fn connection(&mut self) -> Result<&mut PgConnection, Fault> {
        if self.connection.is_none() {
            self.connection = Some(Link::Alone(connect(&self.options, &self.door).await?));
        }
        Ok(self.connection.as_mut().expect("set just above"))
    }

    pub(super) async fn rows(&mut self, sql: String) -> Result<Vec<PgRow>, sqlx::Error> {
        let connection = self.connection().await.map_err(|f| sqlx::Error::Io(std::io::Error::other(f.message)))?;
        sqlx::raw_sql(AssertSqlSafe(sql)).fetch_all(connection).await
    }

    /// Steps that each have a transaction, in one message.
    async fn apply_together(&mut self, work: &Work, steps: std::ops::Range<usize>) -> Result<(), Stop> {
        let mut message = Message::new(Engine::Postgres);
        for step in steps.clone() {
            self.push_transaction(&mut message, work, step);
        }
        let first = steps.start;
        let connection = self.connection().await.map_err(|fault| Stop::before(first, fault))?;
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
        let parsed = errors::character(&error).filter(|_| sent.completed == 0 && fault.class == FaultClass::Syntax);
        let at = match parsed.and_then(|character| message.part_at(character)) {
            Some((place, lines)) => stopped_behind(work, place, lines),
            None => stopped_at(work, place),
        };
        let residue = match (fault.class, &fault.code) {
            (FaultClass::ConnectionLost, _) => Residue::Unknown,
            (_, Some(code)) if code == "FL004" => self.in_doubt().await,
            _ => match self.run("ROLLBACK".to_owned()).await {
                Ok(()) => Residue::Nothing,
                Err(_) => Residue::Unknown,
            },
        };
        // A history table that is gone or there too early means that someone else was here after our read.
        let guard = matches!(place, Some(Place::HistoryGuard { .. }));
        let fault = if guard && fault.class == FaultClass::Missing {
            Fault { class: FaultClass::HistoryMoved, ..fault }
        } else {
            fault
        };
        Err(Stop { committed, at, fault, residue })
    }

    async fn in_doubt(&mut self) -> Residue {
        let _ = self.rows("ROLLBACK".to_owned()).await;
        match self.unfinished().await {
            Ok(Some(unfinished)) => Residue::InDoubt(unfinished),
            _ => Residue::Unknown,
        }
    }

    fn push_transaction(&self, message: &mut Message, work: &Work, step: usize) {
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
    async fn apply_alone(&mut self, work: &Work, step: usize) -> Result<(), Stop> {
        let begun = self.begin_journalled(work, step, true).await?;
        let (script, limits) = (work.steps[step].script.clone(), self.door.limits(&work.steps[step]));
        for (statement, sql) in script.statements.iter().enumerate().skip(begun) {
            // Dying before this: the journal names the statement before. Dying after: it names this one.
            self.keep(self.door.journal().advance(statement)).await.map_err(|fault| lost(step, fault))?;
            if let Some(asked) = directive(sql) {
                let this = Asked { work, step, statement };
                let connection = self.connection().await.map_err(|fault| lost(step, fault))?;
                let ended = asked::run(connection, this, asked, PgQueryResult::rows_affected).await;
                if let Err(fault) = asked::verdict(ended) {
                    let at = stopped_at(work, Some(Place::Statement { step, statement }));
                    let residue = match journal::keeps_session(&work.steps[step], statement) {
                        true => self.stopped(statement, &fault, asked == Directive::Batch).await,
                        false => self.in_doubt().await,
                    };
                    return Err(Stop { committed: step, at, fault, residue });
                }
                continue;
            }
            for (number, piece) in crate::compile::split(Engine::Postgres, sql).into_iter().enumerate() {
                if let Err(fault) = self.run_outside(piece.text, limits.lock).await {
                    let place = Place::Statement { step, statement };
                    let residue = if number == 0 && journal::keeps_session(&work.steps[step], statement) {
                        self.stopped(statement, &fault, false).await
                    } else {
                        self.in_doubt().await
                    };
                    return Err(Stop { committed: step, at: stopped_at(work, Some(place)), fault, residue });
                }
            }
        }
        self.finish_journalled(work, step).await
    }

    /// Takes the session lock, checks history and journal, and opens the journal. Returns the statement to begin with.
    async fn begin_journalled(&mut self, work: &Work, step: usize, compiled: bool) -> Result<usize, Stop> {
        let stop = |fault| Stop::before(step, fault);
        let limits = self.door.limits(&work.steps[step]);
        for setting in guards::session_settings(&limits, self.door.tenant.schema.as_deref()) {
            self.run(setting).await.map_err(stop)?;
        }
        let locked = self.rows(format!("SELECT pg_try_advisory_lock({})", guards::lock_key(&self.door))).await;
        let locked = locked.map_err(|e| stop(errors::fault(&e)))?;
        if !locked.first().and_then(|r| r.try_get::<bool, _>(0).ok()).unwrap_or(false) {
            return Err(stop(Fault::new(FaultClass::HeldByAnotherRun, "another run holds this tenant")));
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
                return Err(Stop { residue: Residue::InDoubt(entry.unfinished), ..stop(fault) });
            };
            self.run(self.door.journal().resume(&work.steps[step], statement, &work.run)).await.map_err(stop)?;
            return Ok(statement);
        }
        if self.history().await.map_err(stop)? != work.history_before(step) {
            return Err(stop(Fault::new(FaultClass::HistoryMoved, "the history is not what was planned")));
        }
        let first = compiled.then_some(0);
        self.run(self.door.journal().begin(&work.steps[step], first, &work.run)).await.map_err(stop)?;
        Ok(0)
    }

    async fn finish_journalled(&mut self, work: &Work, step: usize) -> Result<(), Stop> {
        // One transaction: the journal is closed exactly when the history says so.
        let end = format!("{}; {}", self.door.record(&work.steps[step]), self.door.journal().close());
        self.keep(end).await.map_err(|fault| lost(step, fault))?;
        let _ = self.rows(format!("SELECT pg_advisory_unlock({})", guards::lock_key(&self.door))).await;
        Ok(())
    }

    pub(super) async fn run(&mut self, sql: String) -> Result<(), Fault> {
        let connection = self.connection().await?;
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await.map(drop).map_err(|e| errors::fault(&e))
    }

    /// Runs statements on fleet's own tables in one transaction, whatever a script has done to the search path.
    async fn keep(&mut self, sql: String) -> Result<(), Fault> {
        let own = if self.door.tenant.schema.is_none() { guards::OWN_SEARCH_PATH } else { "SELECT 1" };
        let result = self.run(format!("BEGIN; {own}; {sql}; COMMIT")).await;
        if result.is_err() {
            let _ = self.rows("ROLLBACK".to_owned()).await;
        }
        result
    }

    /// Notes in the journal that the engine refused a statement; what is left behind if it did.
    /// Batches that were committed before it stay, also where it is the first.
    async fn stopped(&mut self, statement: usize, fault: &Fault, in_batches: bool) -> Residue {
        // Only the server's own refusal, which has a code, says for certain that a statement did not happen.
        if fault.class == FaultClass::ConnectionLost || fault.code.is_none() {
            return Residue::Unknown;
        }
        let untouched = statement == 0 && !in_batches;
        let note = if untouched { self.door.journal().close() } else { self.door.journal().stop(Some(statement)) };
        match self.keep(note).await {
            Ok(()) if untouched => Residue::Nothing,
            Ok(()) => Residue::Resumable { statements: statement },
            Err(_) => Residue::Unknown,
        }
    }

    async fn entry(&mut self) -> Result<Option<journal::Entry>, Fault> {
        // A script without a transaction may have changed it for the session.
        let own = if self.door.tenant.schema.is_none() { "SET search_path TO DEFAULT;" } else { "" };
        let rows = match self.rows(format!("{own} {}", self.door.journal().read())).await {
            Ok(rows) => rows,
            Err(error) => {
                let fault = errors::fault(&error);
                return if fault.class == FaultClass::Missing { Ok(None) } else { Err(fault) };
            }
        };
        Ok(rows.first().map(|row| journal::entry(std::array::from_fn(|i| row.try_get(i).ok().flatten()))))
    }

    async fn apply_native(&mut self, work: &Work, step: usize, transaction: bool) -> Result<(), Stop> {
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
                return Err(Stop { residue, ..stop.clone() });
            }
            self.has_history |= result.is_ok();
            return result;
        }
        self.become_pooled().await.map_err(|fault| Stop::before(step, fault))?;
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
            return Err(Stop { residue, ..stop });
        }
        if before.is_none() || self.backend().await != before {
            let fault = Fault::new(FaultClass::ConnectionLost, "the connection was lost while the migration ran");
            return Err(lost(step, fault));
        }
        self.finish_journalled(work, step).await
    }

    /// Changes to a connection out of a pool of one, for a step that runs native code without a transaction.
    async fn become_pooled(&mut self) -> Result<(), Fault> {
        if self.pool.is_some() {
            return Ok(());
        }
        self.release().await;
        let pool = native::pool(&self.door).connect_with(self.options.clone()).await.map_err(|e| errors::fault(&e))?;
        self.connection = Some(Link::Pooled(pool.acquire().await.map_err(|e| errors::fault(&e))?));
        self.pool = Some(pool);
        Ok(())
    }

    async fn is_pooled(&mut self) -> Result<bool, Fault> {
        if let Some(pooled) = self.pooled {
            return Ok(pooled);
        }
        let pooled = is_unmarked(self.connection().await?).await?;
        self.pooled = Some(pooled);
        Ok(pooled)
    }

    /// The server process behind this session: another one would have lost the session's lock.
    async fn backend(&mut self) -> Option<i32> {
        let rows = self.rows("SELECT pg_backend_pid()".to_owned()).await.ok()?;
        rows.first()?.try_get(0).ok()
    }

    /// The sorted texts of a query's first column; `None` when a table is missing.
    async fn entries(&mut self, query: String) -> Result<Option<Vec<String>>, Fault> {
        match self.rows(query).await {
            Ok(rows) => {
                let mut entries: Vec<String> = rows.iter().filter_map(|r| r.try_get(0).ok()).collect();
                entries.sort_unstable();
                Ok(Some(entries))
            }
            Err(error) => match errors::fault(&error) {
                fault if fault.code.as_deref() == Some("42P01") => Ok(None),
                fault => Err(fault),
            },
        }
    }

    /// Gives the connection back, because native code opens its own.
    async fn release(&mut self) {
        if let Some(link) = self.connection.take() {
            link.close().await;
        }
        if let Some(pool) = self.pool.take() {
            pool.close().await;
        }
    }
}

fn lost(step: usize, fault: Fault) -> Stop {
    Stop { committed: step, at: None, fault, residue: Residue::Unknown }
}

#[async_trait]
impl Session for PostgresSession {
    async fn history(&mut self) -> Result<Vec<String>, Fault> {
        let books = self.door.books();
        if let Some(mut entries) = self.entries(books.look()).await? {
            self.has_history = true;
            if let Some(query) = books.unknown_scripts(&mut entries) {
                entries.extend(self.entries(query).await?.unwrap_or_default());
                entries.sort_unstable();
            }
            return Ok(entries);
        }
        self.has_history = false;
        if let Some(schema) = &self.door.tenant.schema
            && !self.door.tenant.create_missing
        {
            let name = literal(Engine::Postgres, &Engine::Postgres.quote(schema));
            let rows = self.rows(format!("SELECT to_regnamespace({name}) IS NOT NULL")).await;
            let rows = rows.map_err(|e| errors::fault(&e))?;
            if !rows.first().and_then(|r| r.try_get::<bool, _>(0).ok()).unwrap_or(false) {
                return Err(self.door.no_schema());
            }
        }
        let mut all = Vec::new();
        for query in books.read_apart() {
            all.extend(self.entries(query).await?.unwrap_or_default());
        }
        all.sort_unstable();
        Ok(all)
    }

    async fn unfinished(&mut self) -> Result<Option<Unfinished>, Fault> {
        Ok(self.entry().await?.map(|entry| entry.unfinished))
    }

    async fn is_held(&mut self) -> Result<bool, Fault> {
        let rows = self.rows(guards::is_locked(&self.door)).await.map_err(|e| errors::fault(&e))?;
        Ok(rows.first().and_then(|row| row.try_get(0).ok()).unwrap_or(false))
    }

    async fn refreshes(&mut self) -> Result<Vec<(String, i64)>, Fault> {
        match self.rows(self.door.books().read_refreshes()).await {
            Ok(rows) => Ok(rows.iter().filter_map(|r| Books::refresh([0, 1].map(|i| r.try_get(i).ok()))).collect()),
            Err(error) => match errors::fault(&error) {
                fault if fault.code.as_deref() == Some("42P01") => Ok(Vec::new()),
                fault => Err(fault),
            },
        }
    }

    async fn settle(&mut self, settlement: &Settlement) -> Result<Unfinished, Fault> {
        let entry = self.entry().await?.ok_or_else(|| self.door.nothing_to_settle())?;
        let mut all = vec!["BEGIN".to_owned()];
        all.extend(guards::local_settings(&self.door.timeouts));
        all.extend(guards::lock_and_schema(&self.door));
        all.extend(settle::statements(&self.door, &self.door.journal(), &entry.unfinished, settlement));
        all.push("COMMIT".to_owned());
        if let Err(fault) = self.run(all.join(";\n")).await {
            let _ = self.run("ROLLBACK".to_owned()).await;
            return Err(fault);
        }
        Ok(entry.unfinished)
    }

    async fn shape(&mut self) -> Result<Shape, Fault> {
        self.connection().await?;
        let place = inspect::postgres::Place::of(&self.door);
        let connection = self.connection.as_mut().expect("made just above");
        match inspect::postgres::shape(connection, &place, &self.door.migrations.catalog().history_table).await? {
            Some(shape) => Ok(shape),
            None if self.door.tenant.create_missing => Ok(Shape::default()),
            None => Err(self.door.no_schema()),
        }
    }

    async fn row_counts(&mut self, tables: &[String]) -> Result<Vec<u64>, Fault> {
        self.connection().await?;
        let place = inspect::postgres::Place::of(&self.door);
        let connection = self.connection.as_mut().expect("made just above");
        inspect::postgres::row_counts(connection, &place, tables).await
    }

    async fn health(&mut self, ask: &Questions) -> Result<Health, Fault> {
        self.connection().await?;
        let connection = self.connection.as_mut().expect("made just above");
        let health = health::postgres::read(connection, &self.door, self.pooled, ask).await?;
        self.pooled = Some(health.pooled);
        Ok(health)
    }

    async fn apply(&mut self, work: &Work) -> Result<(), Stop> {
        let segments = work.segments().map_err(|fault| Stop::before(0, fault))?;
        if let Some(refusal) = too_much_for_a_pooler(work, &segments)
            && self.is_pooled().await.map_err(|fault| Stop::before(0, fault))?
        {
            return Err(Stop::before(0, refusal));
        }
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
            let mut all = vec!["BEGIN".to_owned()];
            all.extend(guards::local_settings(&self.door.timeouts));
            all.extend(guards::lock_and_schema(&self.door));
            all.extend([insert, "COMMIT".to_owned()]);
            let sent = self.run(all.join(";\n")).await;
            if let Err(fault) = sent {
                let _ = self.run("ROLLBACK".to_owned()).await;
                return Err((filled, fault));
            }
            filled += count;
        }
        Ok(filled)
    }

    async fn keys(&mut self, table: &Table, columns: &[&Column]) -> Result<Vec<Vec<Option<Key>>>, Fault> {
        let rows = self.rows(fill::literals(&self.door, table, columns)).await.map_err(|e| errors::fault(&e))?;
        Ok(fill::keys(&rows, columns.len(), |row, i| row.try_get(i).ok().flatten()))
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
        let (options, name, limit) = (self.options.clone(), self.name.clone(), self.door.timeouts.connect);
        Box::new(move || {
            Box::pin(async move {
                let cancel = format!(
                    "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE application_name = {} AND pid <> \
                     pg_backend_pid()",
                    literal(Engine::Postgres, &name)
                );
                let control = options.application_name("fleet:cancel");
                if let Ok(Ok(mut connection)) = tokio::time::timeout(limit, control.connect()).await {
                    let _ = sqlx::raw_sql(AssertSqlSafe(cancel)).execute(&mut connection).await;
                    let _ = connection.close().await;
                }
            })
        })
    }

    fn watch(&self) -> Option<Watch> {
        let (options, name, limit) = (self.options.clone(), self.name.clone(), self.door.timeouts.connect);
        Some(Box::new(move || Box::pin(blocker::postgres(options.clone(), name.clone(), limit))))
    }

    fn pulse(&self) -> Option<Pulse> {
        let (options, name, limit) = (self.options.clone(), self.name.clone(), self.door.timeouts.connect);
        Some(Box::new(move |idle, end| {
            Box::pin(pulse::postgres(options.clone(), name.clone(), pulse::Question { idle, end, limit }))
        }))
    }

    async fn terminate(&mut self, locked: &Locked, older_than: Duration) -> Terminations {
        let mut all = Terminations::default();
        for holder in &locked.holders {
            match self.rows(blocker::terminate_postgres(holder, older_than)).await.map_err(|e| errors::fault(&e)) {
                Ok(rows) if rows.iter().any(|row| row.try_get(0).unwrap_or(false)) => {
                    all.terminated.push(holder.clone());
                }
                Ok(_) if self.rows(blocker::is_hidden(holder)).await.is_ok_and(|rows| !rows.is_empty()) => {
                    all.refused.push(blocker::refused(holder, "pg_read_all_stats, which shows since when it holds on"));
                }
                Err(fault) if fault.class == FaultClass::PermissionDenied => {
                    all.refused
                        .push(blocker::refused(holder, "pg_signal_backend (of a superuser's session: superuser)"));
                }
                Ok(_) | Err(_) => {}
            }
        }
        all
    }

    async fn close(mut self: Box<Self>) {
        self.release().await;
    }
}
