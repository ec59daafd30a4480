//! Native execution: the migration's own Rust code against the tenant, through SeaORM.
//!
//! SeaORM works on pools only, so it gets a pool of exactly one connection, which is closed when the step ends. Connecting
//! raw comes first everywhere: a pool would turn a refused connection into a timeout.

use std::ops::{Deref, DerefMut};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use futures_util::FutureExt;
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbErr, SqliteTransactionMode, SqlxMySqlConnector,
    SqlxPostgresConnector, SqlxSqliteConnector, TransactionOptions, TransactionTrait,
};
use sea_orm_migration::SchemaManager;
use sqlx::pool::{PoolConnection, PoolOptions};
use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection as _, MySql, Pool, Postgres};

use super::postgres::guards;
use super::{ApplyError, PartialState, TenantEndpoint, Work, errors, sqlite};
use crate::model::fault::{Fault, FaultClass};
use crate::model::outcome::StoppedAt;
use crate::model::schema::Direction;
use crate::model::tenant::Engine;

/// A session's connection: by itself, or out of a pool of one, because SeaORM takes pools only.
pub(crate) enum Link<DB: sqlx::Database> {
    Alone(DB::Connection),
    Pooled(PoolConnection<DB>),
}

impl<DB: sqlx::Database> Deref for Link<DB> {
    type Target = DB::Connection;

    fn deref(&self) -> &DB::Connection {
        match self {
            Link::Alone(connection) => connection,
            Link::Pooled(connection) => connection,
        }
    }
}

impl<DB: sqlx::Database> DerefMut for Link<DB> {
    fn deref_mut(&mut self) -> &mut DB::Connection {
        match self {
            Link::Alone(connection) => connection,
            Link::Pooled(connection) => connection,
        }
    }
}

impl<DB: sqlx::Database> Link<DB> {
    /// Ends it; a pooled connection goes back to its pool, which is closed by whoever has it.
    pub(crate) async fn close(self) {
        if let Link::Alone(connection) = self {
            let _ = connection.close().await;
        }
    }
}

/// One native step on one tenant.
pub(crate) struct Native<'a> {
    pub(crate) door: &'a TenantEndpoint,
    pub(crate) work: &'a Work,
    pub(crate) step: usize,
}

/// A statement before the commit that raises an error where there must be no commit.
pub(crate) struct Check {
    pub(crate) sql: String,
    /// What that error means.
    pub(crate) fault: Fault,
}

/// The end of a native step that did not succeed.
enum Ended {
    /// The preamble, the history row or the transaction itself failed.
    Ours(Fault),
    /// The migration's own code failed.
    Migration(Fault),
    /// The migration ended our transaction, so that nobody can take back what it did.
    Escaped(Fault),
}

impl Native<'_> {
    /// In a transaction on PostgreSQL, behind the same guards as a compiled script.
    pub(crate) async fn postgres(&self, options: PgConnectOptions, preamble: &[String]) -> Result<(), ApplyError> {
        let pool =
            pool(self.door).connect_with(options).await.map_err(|e| self.stop(Ended::Ours(errors::fault(&e))))?;
        let db = SqlxPostgresConnector::from_sqlx_postgres_pool(pool);
        let result = self.in_transaction(&db, TransactionOptions::default(), preamble, None).await;
        let _ = db.close().await;
        result.map_err(|ended| self.stop(ended))
    }

    /// Without a transaction on PostgreSQL, over the session's own connection; the caller keeps lock and journal on it.
    pub(crate) async fn postgres_alone(&self, pool: Pool<Postgres>) -> Result<(), ApplyError> {
        self.alone(&SqlxPostgresConnector::from_sqlx_postgres_pool(pool)).await
    }

    /// Without a transaction on MySQL, where DDL commits by itself, over the session's own connection; the caller keeps
    /// lock and journal on it.
    pub(crate) async fn mysql_alone(&self, pool: Pool<MySql>) -> Result<(), ApplyError> {
        self.alone(&SqlxMySqlConnector::from_sqlx_mysql_pool(pool)).await
    }

    async fn alone(&self, db: &DatabaseConnection) -> Result<(), ApplyError> {
        self.migrate(&SchemaManager::new(db)).await.map_err(|ended| self.stop(ended))
    }

    /// In an exclusive transaction on SQLite, as compiled ones are.
    pub(crate) async fn sqlite(
        &self,
        options: SqliteConnectOptions,
        cancelled: &Arc<AtomicBool>,
        preamble: &[String],
        before_commit: Option<&Check>,
    ) -> Result<(), ApplyError> {
        let pool = sqlite_pool(self.door, cancelled).connect_with(options).await;
        let pool = pool.map_err(|e| self.stop(Ended::Ours(errors::fault(&e))))?;
        let db = SqlxSqliteConnector::from_sqlx_sqlite_pool(pool);
        let exclusive = TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Exclusive),
            ..TransactionOptions::default()
        };
        let result = self.in_transaction(&db, exclusive, preamble, before_commit).await;
        let _ = db.close().await;
        result.map_err(|ended| self.stop(ended))
    }

    /// Without a transaction of ours on SQLite; the caller keeps the journal.
    pub(crate) async fn sqlite_without_transaction(
        &self,
        options: SqliteConnectOptions,
        cancelled: &Arc<AtomicBool>,
    ) -> Result<(), ApplyError> {
        let pool = sqlite_pool(self.door, cancelled).connect_with(options).await;
        let pool = pool.map_err(|e| self.stop(Ended::Ours(errors::fault(&e))))?;
        let db = SqlxSqliteConnector::from_sqlx_sqlite_pool(pool);
        let result = self.migrate(&SchemaManager::new(&db)).await;
        let _ = db.close().await;
        result.map_err(|ended| self.stop(ended))
    }

    /// The migration and its history row in one transaction. Dying before the commit leaves nothing.
    async fn in_transaction(
        &self,
        db: &DatabaseConnection,
        options: TransactionOptions,
        preamble: &[String],
        before_commit: Option<&Check>,
    ) -> Result<(), Ended> {
        let ours = |e: DbErr| Ended::Ours(errors::sea_orm_fault(&e));
        let transaction = db.begin_with_options(options).await.map_err(ours)?;
        let result = self.inside(&transaction, preamble, before_commit).await;
        match result {
            // The history row was inserted after the migration: had an error been swallowed, that would have failed.
            Ok(()) => transaction.commit().await.map_err(ours),
            Err(ended) => {
                let _ = transaction.rollback().await;
                Err(ended)
            }
        }
    }

    async fn inside(
        &self,
        transaction: &DatabaseTransaction,
        preamble: &[String],
        before_commit: Option<&Check>,
    ) -> Result<(), Ended> {
        let ours = |e: DbErr| Ended::Ours(errors::sea_orm_fault(&e));
        transaction.execute_unprepared(&preamble.join(";\n")).await.map_err(ours)?;
        let is_postgres = self.door.tenant.engine == Engine::Postgres;
        if is_postgres {
            transaction.execute_unprepared("SELECT set_config('fleet.step', 'open', true)").await.map_err(ours)?;
        }
        let migrated = self.migrate(&SchemaManager::new(transaction)).await;
        // After these SQLite has rolled back by itself (https://www.sqlite.org/lang_transaction.html).
        let rolled_back = matches!(
            &migrated,
            Err(Ended::Migration(fault))
                if matches!(fault.class, FaultClass::Cancelled | FaultClass::Resources | FaultClass::Busy)
        );
        if !rolled_back && has_escaped(transaction, is_postgres).await {
            let text = "the migration ended the transaction around it by itself: what it did before that stays, whatever \
                        came after; look at the tenant, and let such a migration say use_transaction() == Some(false)";
            return Err(Ended::Escaped(Fault::new(FaultClass::Migration, text)));
        }
        migrated?;
        if self.door.tenant.engine == Engine::Postgres && self.door.tenant.schema.is_none() {
            transaction.execute_unprepared(guards::OWN_SEARCH_PATH).await.map_err(ours)?;
        }
        let record = self.door.record(&self.work.steps[self.step]);
        transaction.execute_unprepared(&record).await.map_err(ours)?;
        if let Some(check) = before_commit {
            transaction.execute_unprepared(&check.sql).await.map_err(|e| {
                let fault = errors::sea_orm_fault(&e);
                Ended::Ours(if fault.class == FaultClass::Other { check.fault.clone() } else { fault })
            })?;
        }
        Ok(())
    }

    async fn migrate(&self, manager: &SchemaManager<'_>) -> Result<(), Ended> {
        let step = &self.work.steps[self.step];
        let migration = self.door.migrations.migration(step.index);
        let run = async {
            match step.script.direction {
                Direction::Up => migration.up(manager).await,
                Direction::Down => migration.down(manager).await,
            }
        };
        match AssertUnwindSafe(run).catch_unwind().await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(Ended::Migration(errors::sea_orm_fault(&error))),
            Err(panic) => {
                let text = crate::compile::panic_text(panic.as_ref());
                Err(Ended::Migration(Fault::new(FaultClass::Panic, format!("the migration panicked: {text}"))))
            }
        }
    }

    fn stop(&self, ended: Ended) -> ApplyError {
        let migration = self.work.steps[self.step].script.migration.to_string();
        let (fault, at) = match ended {
            Ended::Ours(fault) => (fault, None),
            Ended::Escaped(fault) => {
                let at = Some(StoppedAt { migration, statement: None, sql: None, file: None });
                return ApplyError { committed: self.step, at, fault, residue: PartialState::Unknown };
            }
            Ended::Migration(fault) => (fault, Some(StoppedAt { migration, statement: None, sql: None, file: None })),
        };
        let residue =
            if fault.class == FaultClass::ConnectionLost { PartialState::Unknown } else { PartialState::Nothing };
        ApplyError { committed: self.step, at, fault, residue }
    }
}

/// Whether the transaction that was begun around a migration is gone: its own SQL committed or rolled it back.
async fn has_escaped(transaction: &DatabaseTransaction, is_postgres: bool) -> bool {
    if is_postgres {
        // The mark is the transaction's own; an aborted one answers with 25P02, and is still ours.
        let check = "DO $fleet_guard$ BEGIN IF current_setting('fleet.step', true) IS DISTINCT FROM 'open' THEN RAISE \
                     EXCEPTION 'gone' USING ERRCODE = 'FL005'; END IF; END $fleet_guard$";
        let result = transaction.execute_unprepared(check).await;
        return result.is_err_and(|e| errors::sea_orm_fault(&e).code.as_deref() == Some("FL005"));
    }
    // SQLite begins no transaction inside another.
    let escaped = transaction.execute_unprepared("BEGIN").await.is_ok();
    if escaped {
        let _ = transaction.execute_unprepared("ROLLBACK").await;
    }
    escaped
}

/// A pool that is a single connection: never pinged, never kept.
pub(crate) fn pool<DB: sqlx::Database>(door: &TenantEndpoint) -> PoolOptions<DB> {
    PoolOptions::new()
        .max_connections(1)
        .min_connections(0)
        .test_before_acquire(false)
        .idle_timeout(None)
        .max_lifetime(None)
        .acquire_timeout(door.timeouts.connect.max(Duration::from_secs(1)))
}

/// A pool whose connection stops as soon as it is cancelled.
fn sqlite_pool(door: &TenantEndpoint, cancelled: &Arc<AtomicBool>) -> PoolOptions<sqlx::Sqlite> {
    let cancelled = cancelled.clone();
    pool::<sqlx::Sqlite>(door).after_connect(move |connection, _| {
        let cancelled = cancelled.clone();
        Box::pin(async move { sqlite::stop_when(connection, cancelled).await })
    })
}
