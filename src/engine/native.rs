//! Native execution: runs the migration's own Rust code against the tenant, through SeaORM.
//!
//! SeaORM works on pools only, so it gets a pool of exactly one connection, which is closed when the step ends. The raw
//! connection is always opened first: a pool would turn a refused connection into a timeout.

use std::ops::{Deref, DerefMut};
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;
use sea_orm::{ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbErr, TransactionOptions, TransactionTrait};
use sea_orm_migration::SchemaManager;
use sqlx::Connection as _;
use sqlx::pool::{PoolConnection, PoolOptions};

use super::{ApplyError, PartialState, TenantEndpoint, Work, errors};
use crate::model::fault::{Fault, FaultClass};
use crate::model::outcome::StoppedAt;
use crate::model::schema::Direction;

/// A session's connection: raw, or from a pool of one, because SeaORM accepts pools only.
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
    /// Closes the connection; a pooled one returns to its pool, which its owner closes.
    pub(crate) async fn close(self) {
        if let Link::Alone(connection) = self {
            let _ = connection.close().await;
        }
    }
}

/// A native step on one tenant.
pub(crate) struct Native<'a> {
    pub(crate) door: &'a TenantEndpoint,
    pub(crate) work: &'a Work,
    pub(crate) step: usize,
}

/// The statements that an engine sends in the transaction around native code, in addition to the migration itself and
/// its history row.
pub(crate) struct Around<'a> {
    /// The statements before the migration: settings, locks, guards.
    pub(crate) preamble: &'a [String],
    /// The way to recognize the transaction.
    pub(crate) mark: Mark,
    /// A statement between the migration and its history row.
    pub(crate) before_record: Option<&'static str>,
    /// A check after the history row.
    pub(crate) before_commit: Option<&'a Check>,
}

/// The way to detect that the migration's own SQL has ended the transaction around it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Mark {
    /// Transactions do not nest: `BEGIN` succeeds only if the transaction is gone.
    Begin,
    /// A setting that is local to the transaction.
    Setting {
        set: &'static str,
        /// Fails with `code` if the setting is gone.
        check: &'static str,
        code: &'static str,
    },
}

/// A statement before the commit that raises an error if the transaction must not be committed.
pub(crate) struct Check {
    pub(crate) sql: String,
    /// The fault that the error stands for.
    pub(crate) fault: Fault,
}

impl Native<'_> {
    /// Runs the migration without a transaction of ours.
    pub(crate) async fn alone(&self, db: &DatabaseConnection) -> Result<(), ApplyError> {
        self.migrate(&SchemaManager::new(db)).await
    }

    /// Runs the migration and writes its history row in one transaction. Dying before the commit leaves nothing.
    pub(crate) async fn in_transaction(
        &self,
        db: &DatabaseConnection,
        options: TransactionOptions,
        around: &Around<'_>,
    ) -> Result<(), ApplyError> {
        let ours = |e: DbErr| self.stop(errors::sea_orm_fault(&e));
        let transaction = db.begin_with_options(options).await.map_err(ours)?;
        let result = self.inside(&transaction, around).await;
        match result {
            // The history row was inserted after the migration: a swallowed error would have made that fail.
            Ok(()) => transaction.commit().await.map_err(ours),
            Err(stop) => {
                let _ = transaction.rollback().await;
                Err(stop)
            }
        }
    }

    async fn inside(&self, transaction: &DatabaseTransaction, around: &Around<'_>) -> Result<(), ApplyError> {
        let ours = |e: DbErr| self.stop(errors::sea_orm_fault(&e));
        transaction.execute_unprepared(&around.preamble.join(";\n")).await.map_err(ours)?;
        if let Mark::Setting { set, .. } = around.mark {
            transaction.execute_unprepared(set).await.map_err(ours)?;
        }
        let migrated = self.migrate(&SchemaManager::new(transaction)).await;
        // After these codes SQLite has already rolled back (https://www.sqlite.org/lang_transaction.html).
        let rolled_back = matches!(
            &migrated,
            Err(stop)
                if matches!(stop.fault.class, FaultClass::Cancelled | FaultClass::Resources | FaultClass::Busy)
        );
        if !rolled_back && has_escaped(transaction, around.mark).await {
            let text = "the migration ended the transaction around it by itself: what it did before that stays, whatever \
                        came after; look at the tenant, and let such a migration say use_transaction() == Some(false)";
            let stop = self.stop_inside(Fault::new(FaultClass::Migration, text));
            // The effects can't be rolled back.
            return Err(ApplyError { residue: PartialState::Unknown, ..stop });
        }
        migrated?;
        if let Some(sql) = around.before_record {
            transaction.execute_unprepared(sql).await.map_err(ours)?;
        }
        let record = self.door.record(&self.work.steps[self.step]);
        transaction.execute_unprepared(&record).await.map_err(ours)?;
        if let Some(check) = around.before_commit {
            transaction.execute_unprepared(&check.sql).await.map_err(|e| {
                let fault = errors::sea_orm_fault(&e);
                self.stop(if fault.class == FaultClass::Other { check.fault.clone() } else { fault })
            })?;
        }
        Ok(())
    }

    async fn migrate(&self, manager: &SchemaManager<'_>) -> Result<(), ApplyError> {
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
            Ok(Err(error)) => Err(self.stop_inside(errors::sea_orm_fault(&error))),
            Err(panic) => {
                let text = crate::compile::panic_text(panic.as_ref());
                let at = crate::compile::panic_place().map(|place| format!(" at {place}")).unwrap_or_default();
                Err(self.stop_inside(Fault::new(FaultClass::Panic, format!("the migration panicked{at}: {text}"))))
            }
        }
    }

    /// The stop where the preamble, the history row or the transaction itself failed.
    pub(crate) fn stop(&self, fault: Fault) -> ApplyError {
        match fault.class {
            FaultClass::ConnectionLost => ApplyError::lost(self.step, fault),
            _ => ApplyError::before(self.step, fault),
        }
    }

    /// The stop where the migration's own code failed.
    fn stop_inside(&self, fault: Fault) -> ApplyError {
        let migration = self.work.steps[self.step].script.migration.to_string();
        ApplyError { at: Some(StoppedAt { migration, statement: None, sql: None, file: None }), ..self.stop(fault) }
    }
}

/// Whether the transaction that was begun around a migration is gone: its own SQL committed or rolled it back.
async fn has_escaped(transaction: &DatabaseTransaction, mark: Mark) -> bool {
    if let Mark::Setting { check, code, .. } = mark {
        let result = transaction.execute_unprepared(check).await;
        return result.is_err_and(|e| errors::sea_orm_fault(&e).code.as_deref() == Some(code));
    }
    let escaped = transaction.execute_unprepared("BEGIN").await.is_ok();
    if escaped {
        let _ = transaction.execute_unprepared("ROLLBACK").await;
    }
    escaped
}

/// The fault of a session whose connection changed during native code.
pub(crate) fn lost_connection() -> Fault {
    Fault::new(FaultClass::ConnectionLost, "the connection was lost while the migration ran")
}

/// A pool of one for native code, with its connection.
pub(crate) async fn pooled<DB: sqlx::Database>(
    door: &TenantEndpoint,
    options: <DB::Connection as sqlx::Connection>::Options,
) -> Result<(sqlx::Pool<DB>, Link<DB>), Fault> {
    let pool = pool(door).connect_with(options).await.map_err(|e| errors::fault(&e))?;
    let link = Link::Pooled(pool.acquire().await.map_err(|e| errors::fault(&e))?);
    Ok((pool, link))
}

/// A pool with a single connection: never pinged, never kept.
pub(crate) fn pool<DB: sqlx::Database>(door: &TenantEndpoint) -> PoolOptions<DB> {
    PoolOptions::new()
        .max_connections(1)
        .min_connections(0)
        .test_before_acquire(false)
        .idle_timeout(None)
        .max_lifetime(None)
        .acquire_timeout(door.timeouts.connect.max(Duration::from_secs(1)))
}
