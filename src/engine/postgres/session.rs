//! PostgreSQL: a whole script in one message, each migration in a transaction with its history row.
//!
//! When the process or the connection dies in a transaction, the server rolls it back: the tenant is at a whole version,
//! and reading its history says which. Only steps without a transaction (`CREATE INDEX CONCURRENTLY`) can stop half way;
//! their journal says where.

use async_trait::async_trait;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgRow};
use sqlx::{AssertSqlSafe, Pool, Postgres, Row as _};

use crate::engine::journal;
use crate::engine::journalled;
use crate::engine::native::Link;
use crate::engine::postgres::connect::{connect, is_unmarked, open, too_much_for_a_pooler};
use crate::engine::postgres::guards;
use crate::engine::{ApplyError, Segment, Session, Settlement, TenantEndpoint, Work, address, errors, literal, settle};
use crate::model::fault::{Fault, FaultClass};
use crate::model::schema::Unfinished;
use crate::model::tenant::Engine;

pub(crate) struct PostgresSession {
    pub(crate) door: TenantEndpoint,
    pub(crate) options: PgConnectOptions,
    /// `None` while native code has the only connection.
    pub(crate) connection: Option<Link<Postgres>>,
    /// Where the connection came from, while native code without a transaction shares it.
    pub(crate) pool: Option<Pool<Postgres>>,
    /// Whether the history table is there, once it is known.
    pub(crate) has_history: bool,
    /// Whether a pooler stands in front, once it is known. Only the first connection can tell.
    pub(crate) pooled: Option<bool>,
    /// How this session is called in `pg_stat_activity`; no other has that name.
    pub(crate) name: String,
}

impl PostgresSession {
    pub(crate) async fn open(door: TenantEndpoint) -> Result<Self, Fault> {
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

    pub(crate) async fn connection(&mut self) -> Result<&mut PgConnection, Fault> {
        if self.connection.is_none() {
            self.connection = Some(Link::Alone(connect(&self.options, &self.door).await?));
        }
        Ok(self.connection.as_mut().expect("set just above"))
    }

    pub(crate) async fn rows(&mut self, sql: String) -> Result<Vec<PgRow>, sqlx::Error> {
        let connection = self.connection().await.map_err(|f| sqlx::Error::Io(std::io::Error::other(f.message)))?;
        sqlx::raw_sql(AssertSqlSafe(sql)).fetch_all(connection).await
    }

    pub(crate) async fn run(&mut self, sql: String) -> Result<(), Fault> {
        let connection = self.connection().await?;
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await.map(drop).map_err(|e| errors::fault(&e))
    }

    /// Runs statements on fleet's own tables in one transaction, whatever a script has done to the search path.
    pub(crate) async fn keep(&mut self, sql: String) -> Result<(), Fault> {
        let own = if self.door.tenant.schema.is_none() { guards::OWN_SEARCH_PATH } else { "SELECT 1" };
        let result = self.run(format!("BEGIN; {own}; {sql}; COMMIT")).await;
        if result.is_err() {
            let _ = self.rows("ROLLBACK".to_owned()).await;
        }
        result
    }

    pub(crate) async fn entry(&mut self) -> Result<Option<journal::Entry>, Fault> {
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

    pub(crate) async fn is_pooled(&mut self) -> Result<bool, Fault> {
        if let Some(pooled) = self.pooled {
            return Ok(pooled);
        }
        let pooled = is_unmarked(self.connection().await?).await?;
        self.pooled = Some(pooled);
        Ok(pooled)
    }

    /// The server process behind this session: another one would have lost the session's lock.
    pub(crate) async fn backend(&mut self) -> Option<i32> {
        let rows = self.rows("SELECT pg_backend_pid()".to_owned()).await.ok()?;
        rows.first()?.try_get(0).ok()
    }

    /// The sorted texts of a query's first column; `None` when a table is missing.
    pub(crate) async fn entries(&mut self, query: String) -> Result<Option<Vec<String>>, Fault> {
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
    pub(crate) async fn release(&mut self) {
        if let Some(link) = self.connection.take() {
            link.close().await;
        }
        if let Some(pool) = self.pool.take() {
            pool.close().await;
        }
    }
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

    async fn apply(&mut self, work: &Work) -> Result<(), ApplyError> {
        let segments = work.segments().map_err(|fault| ApplyError::before(0, fault))?;
        if let Some(refusal) = too_much_for_a_pooler(work, &segments)
            && self.is_pooled().await.map_err(|fault| ApplyError::before(0, fault))?
        {
            return Err(ApplyError::before(0, refusal));
        }
        for segment in segments {
            match segment {
                Segment::Together(steps) => self.apply_together(work, steps).await?,
                Segment::Alone(step) => journalled::apply_alone(self, work, step).await?,
                Segment::Native { step, transaction: true } => self.apply_native_together(work, step).await?,
                Segment::Native { step, transaction: false } => {
                    self.become_pooled().await.map_err(|fault| ApplyError::before(step, fault))?;
                    journalled::apply_native(self, work, step).await?;
                }
            }
        }
        Ok(())
    }

    async fn close(mut self: Box<Self>) {
        self.release().await;
    }
}
