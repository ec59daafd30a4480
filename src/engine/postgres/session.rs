//! PostgreSQL: a whole script in one message, each migration in a transaction with its history row.
//!
//! When the process or the connection dies in a transaction, the server rolls it back: the tenant is at a whole
//! version, which its history names. Only steps without a transaction (`CREATE INDEX CONCURRENTLY`) can stop half way;
//! their journal records where.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use async_trait::async_trait;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{Pool, Postgres};

use crate::engine::ask::ask;
use crate::engine::history::HistoryTables;
use crate::engine::journal;
use crate::engine::journalled;
use crate::engine::native::Link;
use crate::engine::own_tables::OwnTables;
use crate::engine::postgres::clients::{ClientSettings, of_database};
use crate::engine::postgres::connect::{MARK, asks_mark, open, too_much_for_a_pooler};
use crate::engine::postgres::guards;
use crate::engine::postgres::kept::leaves_nothing;
use crate::engine::postgres::own_backend::OwnBackend;
use crate::engine::postgres::settings::{self, OwnSettings};
use crate::engine::queries::{Queries, TenantQueries, TextRow};
use crate::engine::rows::Batch;
use crate::engine::tape::Tape;
use crate::engine::{
    ApplyError, Rehearsal, Segment, Session, Settlement, Step, TenantEndpoint, Work, address, literal, settle,
};
use crate::model::fault::{Fault, FaultClass};
use crate::model::schema::Unfinished;
use crate::model::tenant::Engine;
use crate::model::timings::Phase;
use crate::model::wire::{Wire, mark};
use crate::sql::guard::Guard;
use crate::sql::outside::runs_code;

pub(crate) struct PostgresSession {
    pub(crate) door: TenantEndpoint,
    pub(crate) options: PgConnectOptions,
    /// `None` while native code has the only connection.
    pub(crate) connection: Option<Link<Postgres>>,
    /// The pool of the connection, while native code without a transaction shares it.
    pub(crate) pool: Option<Pool<Postgres>>,
    /// Whether the history table exists, once known.
    pub(crate) has_history: bool,
    /// Whether the last look at the history saw that no journal is open.
    saw_no_journal: bool,
    /// Whether a pooler is in front, once known. Only the first connection can tell.
    pub(crate) pooled: Option<bool>,
    /// This session in `pg_stat_activity`.
    pub(crate) own: OwnBackend,
    /// Whether a statement is under way that may wait for locks without a limit.
    pub(crate) is_patient: Arc<AtomicBool>,
    /// The statement (from 0) of an online form that may have happened in an earlier session.
    pub(crate) repeats: Option<usize>,
    /// The settings of the database's own clients, once a script needed them.
    clients: Option<ClientSettings>,
    /// The number of tenants that have had the connection, with this one.
    served: u32,
    /// Whether the connection may hold something that no `DISCARD ALL` ends, or was left in the middle of an answer.
    pub(super) is_spoilt: bool,
}

impl PostgresSession {
    pub(crate) async fn open(door: TenantEndpoint) -> Result<Self, Fault> {
        let id: String = door.tenant.id.as_str().chars().filter(|c| c.is_ascii_graphic()).take(44).collect();
        let name = format!("fleet:{id}:{:08x}", fastrand::u32(..));
        let options = address::postgres(&door.tenant)?.application_name(&name);
        let kept = door.kept.take(&door.tenant).await;
        let mut session = PostgresSession {
            door,
            options,
            connection: None,
            pool: None,
            has_history: true,
            saw_no_journal: false,
            pooled: None,
            own: OwnBackend::named(name),
            is_patient: Arc::default(),
            repeats: None,
            clients: None,
            served: 1,
            is_spoilt: false,
        };
        if let Some(kept) = kept {
            (session.connection, session.served) = (Some(Link::Alone(kept.connection)), kept.served + 1);
            if session.take_over().await {
                return Ok(session);
            }
        }
        let (connection, pooled) = open(&session.options, &session.door).await?;
        session.connection = Some(Link::Alone(connection));
        (session.pooled, session.served, session.is_spoilt) = (pooled, 1, false);
        Ok(session)
    }

    /// Makes a kept connection this tenant's own; `false`: the server has ended it, or does not answer. Dying here: the tenant
    /// was sent nothing.
    async fn take_over(&mut self) -> bool {
        let name = literal(Engine::Postgres, &self.own.name);
        // `DISCARD ALL` leaves no role, where that of the session's start may be one.
        let sql = format!("RESET ROLE; SELECT set_config('application_name', {name}, false); {}", OwnBackend::ask());
        let limit = self.door.timeouts.connect;
        let Ok(Ok(rows)) = tokio::time::timeout(limit, self.rows(sql)).await else { return false };
        self.own.note(rows.last(), false);
        self.pooled = Some(false);
        rows.last().is_some_and(|row| row.must(2) == MARK.1)
    }

    /// Ends all that the tenant left in the session; `false`: it must not serve another. Not behind a pooler, whose sessions
    /// are not ours, and not in a database with functions of its own: triggers, defaults, checks and rules may run them, they keep
    /// what they were compiled with, and may set what no session forgets. Dying here: no transaction is open.
    async fn end_all(&mut self) -> bool {
        let ask = format!(
            "SELECT coalesce(pg_catalog.current_setting('{}', true), ''), \
             EXISTS (SELECT FROM pg_catalog.pg_proc WHERE oid >= 16384 AND prolang NOT IN (12, 13))",
            MARK.0
        );
        let is_direct = |rows: Vec<TextRow>| rows.first().is_some_and(|row| row.must(0) == MARK.1 && !row.is_true(1));
        self.rows(ask).await.is_ok_and(is_direct) && self.run("DISCARD ALL".to_owned()).await.is_ok()
    }

    /// Keeps the connection for the next tenant of its database, if there is one and nothing of this one is in it.
    async fn keep_connection(&mut self) {
        let is_wanted = !self.is_spoilt
            && self.pool.is_none()
            && self.pooled != Some(true)
            && self.door.kept.wants(&self.door.tenant, self.served);
        if is_wanted
            && self.end_all().await
            && let Some(Link::Alone(connection)) = self.connection.take()
        {
            self.door.kept.give(&self.door.tenant, connection, self.served);
        }
    }

    pub(crate) async fn connection(&mut self) -> Result<&mut PgConnection, Fault> {
        if self.connection.is_none() {
            self.connection = Some(Link::Alone(self.door.connect(&self.options).await?));
        }
        Ok(self.connection.as_mut().expect("set just above"))
    }

    /// Runs statements on fleet's own tables in one transaction, whatever role and search path a script has set.
    pub(crate) async fn keep(&mut self, sql: String) -> Result<(), Fault> {
        let own = guards::finds_own_tables(&self.door).map(|path| path + "; ").unwrap_or_default();
        self.transaction(format!("{}; {own}{sql}; COMMIT", settings::BEGIN_OWN)).await.map(drop)
    }

    /// Fleet's own settings for a step.
    pub(crate) fn settings(&self, step: &Step) -> OwnSettings {
        let clients = self.clients.clone().unwrap_or_default();
        let own = OwnSettings::new(self.door.limits(step), &self.own.name).of_tenant(&self.door.tenant);
        own.of_script(&step.script, &clients)
    }

    /// Asks for the settings of the database's own clients, if one of the steps is a script. Nothing is changed.
    async fn ask_for_clients(&mut self, work: &Work) -> Result<(), Fault> {
        if self.clients.is_some() || !work.steps.iter().any(|step| settings::is_sql(&step.script)) {
            return Ok(());
        }
        self.clients = Some(self.client_settings().await?);
        Ok(())
    }

    /// The settings that a script has as the database's own clients have them. Nothing is changed, and no plan has the question to the
    /// server: it was answered for another of its tenants, or will be.
    pub(super) async fn client_settings(&mut self) -> Result<ClientSettings, Fault> {
        let rows = self.rows(of_database()).await?;
        let (known, was_spoilt) = (self.door.settings.clone(), std::mem::replace(&mut self.is_spoilt, true));
        let values = known.all(rows.first(), self.connection().await?).await?;
        self.is_spoilt = was_spoilt;
        Ok(ClientSettings::read(self.options.get_options(), values))
    }

    /// Notes the process of this session, if code of the work may give the session another name. Nothing is changed.
    async fn note_backend(&mut self, work: &Work) -> Result<(), Fault> {
        let has_code = |step: &Step| step.script.statements.iter().any(|sql| runs_code(Engine::Postgres, sql));
        if work.steps.iter().any(has_code) {
            let rows = self.rows(OwnBackend::ask()).await?;
            self.own.note(rows.first(), self.pooled == Some(false));
        }
        Ok(())
    }

    pub(crate) async fn entry(&mut self) -> Result<Option<Unfinished>, Fault> {
        // A script without a transaction may have changed the search path for the session.
        let own = if self.door.tenant.schema.is_none() { "SET search_path TO DEFAULT;" } else { "" };
        let rows = match self.rows(format!("{own} {}", self.door.journal().read())).await {
            Ok(rows) => rows,
            Err(fault) if fault.class == FaultClass::Missing => return Ok(None),
            Err(fault) => return Err(fault),
        };
        Ok(rows.first().map(|row| journal::entry(std::array::from_fn(|i| row.text(i)))))
    }

    /// Whether the mark of the connection that [`open`] made did not arrive; queried once.
    pub(crate) async fn is_pooled(&mut self) -> Result<bool, Fault> {
        if let Some(pooled) = self.pooled {
            return Ok(pooled);
        }
        let pooled = self.rows(asks_mark()).await?.first().is_none_or(|row| row.must(0) != MARK.1);
        self.pooled = Some(pooled);
        Ok(pooled)
    }

    /// The server process behind this session: a different process would have lost the session's lock.
    pub(crate) async fn backend(&mut self) -> Option<i32> {
        let rows = self.rows("SELECT pg_backend_pid()".to_owned()).await.ok()?;
        rows.first()?.parse(0)
    }

    /// Checks that the tenant's schema exists, if fleet must not create it.
    async fn check_schema(&mut self) -> Result<(), Fault> {
        let Some(schema) = self.door.tenant.schema.as_ref().filter(|_| !self.door.tenant.create_missing) else {
            return Ok(());
        };
        let name = literal(Engine::Postgres, &Engine::Postgres.quote(schema));
        let rows = self.rows(format!("SELECT to_regnamespace({name}) IS NOT NULL")).await?;
        if rows.first().is_some_and(|row| row.is_true(0)) { Ok(()) } else { Err(self.door.no_schema()) }
    }

    /// Gives up the connection, because native code opens its own.
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
impl Queries for PostgresSession {
    /// A call that is dropped half way, and one that fails, spoil the session; a table that is missing does not.
    async fn rows(&mut self, sql: String) -> Result<Vec<TextRow>, Fault> {
        self.door.tape.asks(&sql);
        let was_spoilt = std::mem::replace(&mut self.is_spoilt, true);
        let rows = self.connection().await?.rows(sql).await;
        self.is_spoilt = was_spoilt || rows.as_ref().is_err_and(|fault| fault.class != FaultClass::Missing);
        rows
    }

    async fn run(&mut self, sql: String) -> Result<(), Fault> {
        if self.door.tape.takes(&sql) { Ok(()) } else { self.rows(sql).await.map(drop) }
    }

    async fn changed(&mut self, sql: String) -> Result<u64, Fault> {
        self.connection().await?.changed(sql).await
    }

    fn tape(&mut self) -> Option<&mut Tape> {
        Some(&mut self.door.tape)
    }
}

impl OwnTables for PostgresSession {
    const NO_TABLE: &'static str = "42P01";
}

impl TenantQueries for PostgresSession {
    fn door(&self) -> &TenantEndpoint {
        &self.door
    }
}

#[async_trait]
impl Batch for PostgresSession {
    async fn add(&mut self, insert: String) -> Result<(), Fault> {
        let begin = guards::begin(&self.door).join(";\n");
        // Triggers of the tenant run.
        self.is_spoilt = true;
        self.transaction(format!("{begin};\n{insert};\nCOMMIT")).await.map(drop)
    }
}

#[async_trait]
impl Session for PostgresSession {
    async fn history(&mut self) -> Result<Vec<String>, Fault> {
        self.saw_no_journal = false;
        let looked = self.table_rows(self.door.books().look()).await?;
        self.saw_no_journal = looked.as_deref().is_some_and(HistoryTables::is_closed);
        self.has_history = looked.is_some();
        if !self.has_history {
            self.check_schema().await?;
        }
        self.versions(looked).await
    }

    fn saw_no_journal(&self) -> bool {
        self.saw_no_journal
    }

    async fn unfinished(&mut self) -> Result<Option<Unfinished>, Fault> {
        self.entry().await
    }

    async fn wire(&mut self, work: &Work, rehearsal: &Rehearsal) -> Result<Wire, ApplyError> {
        let kept = self.run("SET default_transaction_read_only = on".to_owned()).await;
        kept.map_err(|fault| ApplyError::before(0, fault))?;
        self.door.rehearse(rehearsal);
        self.own = OwnBackend::named(rehearsal.session().to_owned());
        let applied = self.apply(work).await;
        // The connection only reads now, and must serve nobody else.
        self.release().await;
        applied?;
        let mut names = self.door.own_names();
        if let Some(schema) = &self.door.tenant.schema {
            let literal = |name: &str| literal(Engine::Postgres, name);
            names.push((literal(schema), literal(mark::NAME)));
            names.push((guards::lock_key(&self.door).to_string(), mark::LOCK.to_owned()));
        }
        Ok(self.door.tape.take(rehearsal, &names))
    }

    async fn settle(&mut self, settlement: &Settlement) -> Result<Unfinished, Fault> {
        let entry = self.entry().await?.ok_or_else(|| self.door.nothing_to_settle())?;
        let begin = guards::begin(&self.door);
        settle::settle(self, begin, entry, settlement).await
    }

    async fn apply(&mut self, work: &Work) -> Result<(), ApplyError> {
        let bound = work.bound_to(&self.door.tenant).map_err(|stop| *stop)?;
        let work = &*bound;
        let was_spoilt = std::mem::replace(&mut self.is_spoilt, true);
        let segments = work.segments().map_err(|fault| ApplyError::before(0, fault))?;
        self.ask_for_clients(work).await.map_err(|fault| ApplyError::before(0, fault))?;
        self.note_backend(work).await.map_err(|fault| ApplyError::before(0, fault))?;
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
                    work.start(Phase::Connect, step)
                        .over(self.become_pooled())
                        .await
                        .map_err(|fault| ApplyError::before(step, fault))?;
                    journalled::apply_native(self, work, step).await?;
                }
            }
        }
        self.is_spoilt = was_spoilt || !leaves_nothing(work);
        Ok(())
    }

    async fn ask(&mut self, guard: &Guard) -> Option<Fault> {
        let begin = guards::begin(&self.door);
        self.is_spoilt = true;
        ask(self, begin, guard).await
    }

    async fn close(mut self: Box<Self>) {
        self.keep_connection().await;
        self.release().await;
    }
}
