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

use crate::engine::journal;
use crate::engine::journalled;
use crate::engine::mysql::tenant_lock::{TenantLock, session_settings};
use crate::engine::native::Link;
use crate::engine::own_tables::OwnTables;
use crate::engine::queries::{Queries, TenantQueries, TextRow};
use crate::engine::rows::Batch;
use crate::engine::{ApplyError, Segment, Session, Settlement, TenantEndpoint, Work, address, settle};
use crate::model::fault::{Fault, FaultClass};
use crate::model::schema::Unfinished;

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
}

impl MysqlSession {
    pub(crate) async fn open(door: TenantEndpoint) -> Result<Self, Fault> {
        let options = address::mysql(&door.tenant)?;
        let connection = Some(Link::Alone(door.connect(&options).await?));
        Ok(MysqlSession { door, options, connection, pool: None, id: Arc::default(), held: TenantLock::default() })
    }

    pub(crate) fn connection(&mut self) -> Result<&mut MySqlConnection, Fault> {
        let lost = || Fault::new(FaultClass::ConnectionLost, "the connection was lost");
        self.connection.as_deref_mut().ok_or_else(lost)
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
        self.connection()?.rows(sql).await
    }

    async fn run(&mut self, sql: String) -> Result<(), Fault> {
        self.connection()?.run(sql).await
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
        let settings = session_settings(&self.door.timeouts);
        self.transaction(format!("{settings};\nSTART TRANSACTION;\n{insert};\nCOMMIT")).await.map(drop)
    }
}

#[async_trait]
impl Session for MysqlSession {
    async fn history(&mut self) -> Result<Vec<String>, Fault> {
        let looked = self.table_rows(self.door.books().look()).await?;
        self.versions(looked).await
    }

    async fn unfinished(&mut self) -> Result<Option<Unfinished>, Fault> {
        Ok(self.entry().await?.flatten())
    }

    async fn settle(&mut self, settlement: &Settlement) -> Result<Unfinished, Fault> {
        let entry = self.hold().await?.entry.ok_or_else(|| self.door.nothing_to_settle())?;
        let begin = vec!["START TRANSACTION".to_owned()];
        settle::settle(self, begin, entry, settlement).await
    }

    async fn apply(&mut self, work: &Work) -> Result<(), ApplyError> {
        let segments = work.segments().map_err(|fault| ApplyError::before(0, fault))?;
        if segments.iter().any(|segment| matches!(segment, Segment::Native { .. })) {
            self.become_pooled().await.map_err(|fault| ApplyError::before(0, fault))?;
        }
        self.held = self.hold().await.map_err(|fault| ApplyError::before(0, fault))?;
        for segment in segments {
            let next = segment.end();
            match segment {
                Segment::Together(steps) => self.apply_steps(work, steps).await?,
                Segment::Alone(step) => journalled::apply_alone(self, work, step).await?,
                Segment::Native { step, .. } => journalled::apply_native(self, work, step).await?,
            }
            let history = work.history_before(next);
            self.held = TenantLock { history, has_history: true, has_journal: true, entry: None };
        }
        Ok(())
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
