//! MySQL and MariaDB: a whole script in one message, with the journal between its statements.
//!
//! Each DDL statement commits by itself, so only the history row and the end of the journal share a transaction. When
//! the process or the connection dies, the journal names the migration and the statement; all statements before it
//! happened, that one may have, none after it has.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use async_trait::async_trait;
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection};
use sqlx::{MySql, Pool};

use crate::engine::ask::ask;
use crate::engine::history::HistoryTables;
use crate::engine::journal;
use crate::engine::journalled;
use crate::engine::mysql::flavour::learn;
use crate::engine::mysql::fresh::{Part, Settings};
use crate::engine::mysql::native::Commands;
use crate::engine::mysql::tenant_lock::{TenantLock, session_settings};
use crate::engine::native::Link;
use crate::engine::own_tables::OwnTables;
use crate::engine::queries::{Queries, TenantQueries, TextRow};
use crate::engine::rows::Batch;
use crate::engine::tape::Tape;
use crate::engine::{ApplyError, Rehearsal, Segment, Session, Settlement, TenantEndpoint, Work, address, settle};
use crate::model::fault::{Fault, FaultClass};
use crate::model::schema::Unfinished;
use crate::model::timings::Phase;
use crate::model::wire::Wire;
use crate::sql::SessionUse;
use crate::sql::guard::Guard;

pub(crate) struct MysqlSession {
    pub(crate) door: TenantEndpoint,
    pub(crate) options: MySqlConnectOptions,
    /// `None` only while native code has it.
    pub(crate) connection: Option<Link<MySql>>,
    /// The pool of the connection, in a session that runs native code.
    pub(crate) pool: Option<Pool<MySql>>,
    /// The server's id of the active connection, for `KILL QUERY`; 0 while it is unknown.
    pub(crate) id: Arc<AtomicU64>,
    /// The tenant's lock and the state read under it, while work is applied.
    pub(crate) held: TenantLock,
    /// The strongest use that steps have made of this connection; `None`: no step ran on it.
    pub(crate) used: Option<SessionUse>,
    /// The settings that the connection has for steps.
    pub(crate) settings: Settings,
    /// The connection for fleet's own writes, while a script has the other to itself.
    pub(crate) aside: Option<MySqlConnection>,
    /// Whether a script that has the connection to itself ran code that may have opened a transaction.
    pub(crate) ran_code: bool,
    /// Whether the last look at the history saw that no journal is open.
    pub(crate) saw_no_journal: bool,
    /// Whether native code that failed left nothing in the database.
    pub(crate) left_nothing: bool,
    /// The commands that the session had sent before the present statement of a script, if that runs code.
    pub(crate) counted: Option<Commands>,
}

impl MysqlSession {
    pub(crate) async fn open(door: TenantEndpoint) -> Result<Self, Fault> {
        let options = address::mysql(&door.tenant)?;
        let mut connection = door.connect(&options).await?;
        let has_flavours = door.migrations.has_flavours();
        if has_flavours || door.asks_flavours {
            let limit = door.timeouts.connect;
            let silent = |_| Err(Fault::new(FaultClass::ConnectTimeout, "the server does not say which product it is"));
            let learned =
                tokio::time::timeout(limit, learn(&door.tenant, &mut connection)).await.unwrap_or_else(silent);
            learned.or_else(|fault| if has_flavours { Err(fault) } else { Ok(()) })?;
        }
        let connection = Some(Link::Alone(connection));
        Ok(MysqlSession {
            door,
            options,
            connection,
            pool: None,
            id: Arc::default(),
            held: TenantLock::default(),
            used: None,
            settings: Settings::default(),
            aside: None,
            ran_code: false,
            saw_no_journal: false,
            left_nothing: false,
            counted: None,
        })
    }

    pub(crate) fn connection(&mut self) -> Result<&mut MySqlConnection, Fault> {
        let lost = || Fault::new(FaultClass::ConnectionLost, "the connection was lost");
        self.connection.as_deref_mut().ok_or_else(lost)
    }

    /// The connection for fleet's own statements.
    fn own(&mut self) -> Result<&mut MySqlConnection, Fault> {
        if self.aside.is_none() {
            return self.connection();
        }
        Ok(self.aside.as_mut().expect("it was there just now"))
    }

    /// Sends fleet's own statements over the connection of the script.
    pub(crate) async fn run_in_script(&mut self, sql: String) -> Result<(), Fault> {
        if self.door.tape.takes(&sql) { Ok(()) } else { self.connection()?.run(sql).await }
    }

    /// Takes the lock before a step.
    async fn lock(&mut self, work: &Work, step: usize, uses: SessionUse) -> Result<TenantLock, ApplyError> {
        let held = work.start(Phase::Lock, step).over(self.hold(uses)).await;
        held.map_err(|fault| ApplyError::before(step, fault))
    }

    /// The journal's row, if any; `None` if there is no journal table.
    pub(crate) async fn entry(&mut self) -> Result<Option<Option<Unfinished>>, Fault> {
        let rows = self.table_rows(self.door.journal().read()).await?;
        Ok(rows.map(|rows| rows.first().map(|row| journal::entry(std::array::from_fn(|i| row.text(i))))))
    }
}

#[async_trait]
impl Queries for MysqlSession {
    async fn rows(&mut self, sql: String) -> Result<Vec<TextRow>, Fault> {
        self.door.tape.asks(&sql);
        self.own()?.rows(sql).await
    }

    async fn run(&mut self, sql: String) -> Result<(), Fault> {
        if self.door.tape.takes(&sql) { Ok(()) } else { self.own()?.run(sql).await }
    }

    fn tape(&mut self) -> Option<&mut Tape> {
        Some(&mut self.door.tape)
    }

    async fn changed(&mut self, sql: String) -> Result<u64, Fault> {
        self.own()?.changed(sql).await
    }
}

impl OwnTables for MysqlSession {
    const NO_TABLE: &'static str = "1146";
}

impl TenantQueries for MysqlSession {
    fn door(&self) -> &TenantEndpoint {
        &self.door
    }
}

#[async_trait]
impl Batch for MysqlSession {
    async fn add(&mut self, insert: String) -> Result<(), Fault> {
        let settings = format!("{};\n{}", session_settings(&self.door.timeouts), self.settings());
        self.transaction(format!("{settings}START TRANSACTION;\n{insert};\nCOMMIT")).await.map(drop)
    }

    /// Rows are written as SeaORM would write them.
    fn settings(&self) -> String {
        format!("{};\n", self.as_seaorm(false))
    }
}

#[async_trait]
impl Session for MysqlSession {
    async fn history(&mut self) -> Result<Vec<String>, Fault> {
        self.saw_no_journal = false;
        let looked = self.table_rows(self.door.books().look()).await?;
        self.saw_no_journal = looked.as_deref().is_some_and(HistoryTables::is_closed);
        self.versions(looked).await
    }

    fn saw_no_journal(&self) -> bool {
        self.saw_no_journal
    }

    async fn unfinished(&mut self) -> Result<Option<Unfinished>, Fault> {
        Ok(self.entry().await?.flatten())
    }

    async fn wire(&mut self, work: &Work, rehearsal: &Rehearsal) -> Result<Wire, ApplyError> {
        let kept = self.run("SET SESSION TRANSACTION READ ONLY".to_owned()).await;
        kept.map_err(|fault| ApplyError::before(0, fault))?;
        self.door.rehearse(rehearsal);
        self.apply(work).await?;
        let names = self.door.own_names();
        Ok(self.door.tape.take(rehearsal, &names))
    }

    async fn settle(&mut self, settlement: &Settlement) -> Result<Unfinished, Fault> {
        let entry = self.hold(SessionUse::None).await?.entry.ok_or_else(|| self.door.nothing_to_settle())?;
        let begin = vec!["START TRANSACTION".to_owned()];
        settle::settle(self, begin, entry, settlement).await
    }

    async fn apply(&mut self, work: &Work) -> Result<(), ApplyError> {
        let bound = work.bound_to(&self.door.tenant).map_err(|stop| *stop)?;
        let work = &*bound;
        let segments = work.segments().map_err(|fault| ApplyError::before(0, fault))?;
        if segments.iter().any(|segment| matches!(segment, Segment::Native { .. })) {
            let pooled = work.stopwatch.start(Phase::Connect, None).over(self.become_pooled()).await;
            pooled.map_err(|fault| ApplyError::before(0, fault))?;
        }
        let parts = Part::of(work, segments);
        let uses = parts.first().map_or(SessionUse::None, |part| part.uses);
        self.held = self.lock(work, 0, uses).await?;
        if let Some(stop) = self.too_long(work) {
            return Err(stop);
        }
        for Part { segment, uses } in parts {
            let first = segment.start();
            let is_new = self.needs_another_connection(uses);
            if is_new {
                self.held = self.lock(work, first, uses).await?;
            }
            if first > 0 && (!is_new || self.door.tape.is_on()) {
                let history = work.history_before(first);
                self.held = TenantLock { history, has_history: true, has_journal: true, entry: None, ..self.held };
            }
            self.used = self.used.max(Some(uses));
            match segment {
                Segment::Together(steps) => self.apply_steps(work, steps).await?,
                Segment::Alone(step) => self.apply_alone(work, step, uses).await?,
                Segment::Native { step, .. } => journalled::apply_native(self, work, step).await?,
            }
        }
        Ok(())
    }

    async fn ask(&mut self, guard: &Guard) -> Option<Fault> {
        let begin = vec![session_settings(&self.door.timeouts), "START TRANSACTION".to_owned()];
        let refusal = ask(self, begin, guard).await;
        let _ = self.run(guard.end.clone()).await;
        refusal
    }

    async fn close(mut self: Box<Self>) {
        self.close_aside().await;
        if let Some(link) = self.connection.take() {
            link.close().await;
        }
        if let Some(pool) = &self.pool {
            pool.close().await;
        }
    }
}
