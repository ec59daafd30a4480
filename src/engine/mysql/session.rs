//! MySQL and MariaDB: a whole script in one message, with the journal between its statements.
//!
//! Each DDL statement commits by itself, so nothing here is ever wrapped in a transaction but the history row with the end
//! of the journal. When the process or the connection dies, the journal names the migration and the statement; all before
//! it happened, that one may have, none behind it has.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection, MySqlRow};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, MySql, Pool};

use crate::engine::history::HistoryTables;
use crate::engine::journal;
use crate::engine::liveness;
use crate::engine::mysql::decode;
use crate::engine::mysql::tenant_lock::{LOAD_LOCK, LOCK_NAME, TenantLock, session_settings};
use crate::engine::native::Link;
use crate::engine::rows;
use crate::engine::{
    ApplyError, Canceller, Cell, Key, LockWait, Probe, Segment, Session, Settlement, TenantEndpoint, Terminations,
    Transfer, Watch, Work, address, blocker, errors, settle,
};
use crate::model::fault::{Fault, FaultClass};
use crate::model::health::{Health, Questions};
use crate::model::schema::Unfinished;
use crate::model::shape::{Column, Shape, Table};
use crate::model::tenant::Engine;

pub(crate) struct MysqlSession {
    pub(crate) door: TenantEndpoint,
    pub(crate) options: MySqlConnectOptions,
    /// `None` only while native code has it.
    pub(crate) connection: Option<Link<MySql>>,
    /// Where the connection came from, in a session that runs native code.
    pub(crate) pool: Option<Pool<MySql>>,
    /// The server's id of the connection that works, for `KILL QUERY`; 0 while it is not known.
    pub(crate) id: Arc<AtomicU64>,
}

impl MysqlSession {
    pub(crate) async fn open(door: TenantEndpoint) -> Result<Self, Fault> {
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

    pub(crate) fn connection(&mut self) -> Result<&mut MySqlConnection, Fault> {
        self.connection.as_deref_mut().ok_or_else(lost_connection)
    }

    pub(crate) async fn rows(&mut self, sql: String) -> Result<Vec<MySqlRow>, Fault> {
        sqlx::raw_sql(AssertSqlSafe(sql)).fetch_all(self.connection()?).await.map_err(|e| errors::fault(&e))
    }

    pub(crate) async fn run(&mut self, sql: String) -> Result<(), Fault> {
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(self.connection()?).await.map(drop).map_err(|e| errors::fault(&e))
    }

    /// The rows of a query; `None` when its table is missing.
    pub(crate) async fn table_rows(&mut self, sql: String) -> Result<Option<Vec<MySqlRow>>, Fault> {
        match self.rows(sql).await {
            Ok(rows) => Ok(Some(rows)),
            Err(fault) if fault.code.as_deref() == Some("1146") => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    /// Why nobody is terminated where the server does not tell who holds a lock.
    async fn several(&mut self) -> Option<String> {
        let rows = self.rows(blocker::OTHERS.to_owned()).await.ok()?;
        let others = rows.first().and_then(|row| decode::number(row, 0)).unwrap_or(0);
        (others > 1).then(|| {
            format!(
                "nobody was terminated: {others} sessions are connected to this database and the server does not tell which \
                 of them holds the lock; it does with INSTALL SONAME 'metadata_lock_info'"
            )
        })
    }

    /// The journal's row, where there is one; `None` when there is no journal.
    pub(crate) async fn entry(&mut self) -> Result<Option<Option<journal::Entry>>, Fault> {
        let rows = self.table_rows(self.door.journal().read()).await?;
        Ok(rows.map(|rows| rows.first().map(|row| journal::entry(std::array::from_fn(|i| decode::text(row, i))))))
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
        let mut entries: Vec<String> = rows.iter().filter_map(|row| decode::text(row, 0)).collect();
        if let Some(query) = books.unknown_scripts(&mut entries) {
            let rows = self.table_rows(query).await?.unwrap_or_default();
            entries.extend(rows.iter().filter_map(|row| decode::text(row, 0)));
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
        let number = |i| rows.first().and_then(|row| decode::number(row, i)).unwrap_or(0);
        Ok(number(0) != 0 && number(0) != number(1))
    }

    async fn refreshes(&mut self) -> Result<Vec<(String, i64)>, Fault> {
        let rows = self.table_rows(self.door.books().read_refreshes()).await?.unwrap_or_default();
        Ok(rows.iter().filter_map(|row| HistoryTables::refresh([0, 1].map(|i| decode::text(row, i)))).collect())
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
        crate::engine::mysql::inspect::shape(self.connection()?, &use_own.unwrap_or_default(), &history_table).await
    }

    async fn row_counts(&mut self, tables: &[String]) -> Result<Vec<u64>, Fault> {
        let database = self.door.namespace();
        crate::engine::mysql::inspect::row_counts(self.connection()?, database.as_deref(), tables).await
    }

    async fn health(&mut self, ask: &Questions) -> Result<Health, Fault> {
        let connection = self.connection.as_deref_mut().ok_or_else(lost_connection)?;
        crate::engine::mysql::health::read(connection, &self.door, ask).await
    }

    async fn apply(&mut self, work: &Work) -> Result<(), ApplyError> {
        let segments = work.segments().map_err(|fault| ApplyError::before(0, fault))?;
        if segments.iter().any(|segment| matches!(segment, Segment::Native { .. })) {
            self.become_pooled().await.map_err(|fault| ApplyError::before(0, fault))?;
        }
        let mut held = self.hold().await.map_err(|fault| ApplyError::before(0, fault))?;
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
            held = TenantLock { history: work.history_before(next), has_history: true, has_journal: true, entry: None };
        }
        Ok(())
    }

    async fn fill(&mut self, table: &Table, columns: &[&Column], rows: &[Vec<Cell>]) -> Result<u64, (u64, Fault)> {
        let mut filled = 0;
        for (insert, count) in rows::inserts(&self.door, table, columns, rows) {
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
        let rows = self.rows(rows::literals(&self.door, table, columns)).await?;
        Ok(rows::keys(&rows, columns.len(), decode::text))
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

    fn pulse(&self) -> Option<Probe> {
        let (options, id, limit) = (self.options.clone(), self.id.clone(), self.door.timeouts.connect);
        Some(Box::new(move |idle, end| {
            let id = id.load(Ordering::Relaxed);
            Box::pin(liveness::mysql(options.clone(), id, liveness::Question { idle, end, limit }))
        }))
    }

    async fn terminate(&mut self, locked: &LockWait, older_than: Duration) -> Terminations {
        let mut all = Terminations::default();
        if let Err(fault) = self.rows(blocker::SEES_ALL.to_owned()).await
            && fault.class == FaultClass::PermissionDenied
        {
            all.refused
                .push("nobody was terminated: who holds a lock is hidden from this user, who lacks PROCESS".into());
            return all;
        }
        // Where the holder is only likely to be one, it has to be the only one that it can be.
        if !locked.certain && !locked.holders.is_empty() {
            all.refused.extend(self.several().await);
        }
        for holder in locked.holders.iter().filter(|_| locked.certain || locked.holders.len() == 1) {
            let sql = blocker::may_terminate_mysql(holder, older_than, LOCK_NAME, locked.certain);
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
