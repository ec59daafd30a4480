//! Native execution on SQLite.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use sea_orm::{DatabaseConnection, SqliteTransactionMode, SqlxSqliteConnector, TransactionOptions};
use sqlx::sqlite::SqliteConnectOptions;

use crate::engine::ApplyError;
use crate::engine::native::{self, Around, Native};
use crate::engine::sqlite::stop_when;

impl Native<'_> {
    /// Runs native code in an exclusive transaction on SQLite, like compiled steps.
    pub(in crate::engine) async fn sqlite(
        &self,
        options: SqliteConnectOptions,
        cancelled: &Arc<AtomicBool>,
        around: &mut Around<'_>,
    ) -> Result<(), ApplyError> {
        let db = self.file(options, cancelled).await?;
        let exclusive = TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Exclusive),
            ..TransactionOptions::default()
        };
        let result = self.in_transaction(&db, exclusive, around).await;
        let _ = db.close().await;
        result
    }

    /// Runs native code without a transaction of ours on SQLite; the caller keeps the journal.
    pub(in crate::engine) async fn sqlite_without_transaction(
        &self,
        options: SqliteConnectOptions,
        cancelled: &Arc<AtomicBool>,
    ) -> Result<(), ApplyError> {
        let db = self.file(options, cancelled).await?;
        let result = self.alone(&db).await;
        let _ = db.close().await;
        result
    }

    /// A separate connection that stops as soon as it is cancelled.
    async fn file(
        &self,
        options: SqliteConnectOptions,
        cancelled: &Arc<AtomicBool>,
    ) -> Result<DatabaseConnection, ApplyError> {
        let cancelled = cancelled.clone();
        let pool = native::pool::<sqlx::Sqlite>(self.door).after_connect(move |connection, _| {
            let cancelled = cancelled.clone();
            Box::pin(async move { stop_when(connection, cancelled).await })
        });
        let connecting = pool.connect_with(options);
        let pool = self.connected(connecting).await?;
        Ok(SqlxSqliteConnector::from_sqlx_sqlite_pool(pool))
    }
}
