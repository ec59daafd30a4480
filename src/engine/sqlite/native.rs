//! Native code on SQLite.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use sea_orm::{SqliteTransactionMode, SqlxSqliteConnector, TransactionOptions};
use sqlx::pool::PoolOptions;
use sqlx::sqlite::SqliteConnectOptions;

use crate::engine::native::{self, Around, Check, Ended, Mark, Native};
use crate::engine::sqlite::stop_when;
use crate::engine::{ApplyError, TenantEndpoint, errors};

impl Native<'_> {
    /// In an exclusive transaction on SQLite, as compiled ones are.
    pub(in crate::engine) async fn sqlite(
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
        let around = Around { preamble, mark: Mark::Begin, before_record: None, before_commit };
        let result = self.in_transaction(&db, exclusive, &around).await;
        let _ = db.close().await;
        result.map_err(|ended| self.stop(ended))
    }

    /// Without a transaction of ours on SQLite; the caller keeps the journal.
    pub(in crate::engine) async fn sqlite_without_transaction(
        &self,
        options: SqliteConnectOptions,
        cancelled: &Arc<AtomicBool>,
    ) -> Result<(), ApplyError> {
        let pool = sqlite_pool(self.door, cancelled).connect_with(options).await;
        let pool = pool.map_err(|e| self.stop(Ended::Ours(errors::fault(&e))))?;
        let db = SqlxSqliteConnector::from_sqlx_sqlite_pool(pool);
        let result = self.alone(&db).await;
        let _ = db.close().await;
        result
    }
}

/// A pool whose connection stops as soon as it is cancelled.
fn sqlite_pool(door: &TenantEndpoint, cancelled: &Arc<AtomicBool>) -> PoolOptions<sqlx::Sqlite> {
    let cancelled = cancelled.clone();
    native::pool::<sqlx::Sqlite>(door).after_connect(move |connection, _| {
        let cancelled = cancelled.clone();
        Box::pin(async move { stop_when(connection, cancelled).await })
    })
}
