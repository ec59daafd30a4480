//! Native execution: runs the migration's own Rust code against the tenant, through SeaORM.
//!
//! SeaORM works on pools only, so it gets a pool of exactly one connection, which is closed when the step ends. The raw
//! connection is always opened first: a pool would turn a refused connection into a timeout.

use std::ops::{Deref, DerefMut};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbErr, Statement, TransactionOptions, TransactionTrait,
};
use sea_orm_migration::SchemaManager;
use sqlx::Connection as _;
use sqlx::pool::{PoolConnection, PoolOptions};
use tracing::Instrument as _;

use super::queries::{Queries, TextRow};
use super::{ApplyError, PartialState, TenantEndpoint, Work, errors};
use crate::model::fault::{Fault, FaultClass};
use crate::model::outcome::StoppedAt;
use crate::model::schema::Direction;
use crate::model::timings::Phase;

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

/// The connection that a migration's code gets.
pub(super) enum Given {
    Connection(DatabaseConnection),
    Transaction(Arc<DatabaseTransaction>),
}

impl Given {
    fn manager(&self) -> SchemaManager<'_> {
        match self {
            Given::Connection(db) => SchemaManager::new(db),
            Given::Transaction(transaction) => SchemaManager::new(&**transaction),
        }
    }
}

/// The statements that an engine sends in the transaction around native code, in addition to the migration itself and
/// its history row.
pub(crate) struct Around<'a> {
    /// The statements before the migration: settings, locks, guards.
    pub(crate) preamble: &'a [String],
    /// The way to recognize the transaction.
    pub(crate) mark: Mark,
    /// A statement between the migration and its history row.
    pub(crate) before_record: Option<&'a str>,
    /// A look at the tenant before the migration and after the history row.
    pub(crate) check: Option<&'a mut dyn Check>,
}

/// The way to detect that the migration's own SQL has ended the transaction around it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Mark {
    /// Transactions do not nest: `BEGIN` succeeds only if the transaction is gone.
    Begin,
    /// Something that ends with the transaction.
    Statement {
        set: &'static str,
        /// Fails with `code` if it is gone.
        check: &'static str,
        code: &'static str,
    },
}

impl Mark {
    /// The statement that makes it, if there is one.
    pub(crate) fn set(self) -> Option<&'static str> {
        match self {
            Mark::Begin => None,
            Mark::Statement { set, .. } => Some(set),
        }
    }
}

/// A look at the tenant before a migration, and again before its commit.
#[async_trait]
pub(crate) trait Check: Send {
    async fn before(&mut self, tenant: &mut dyn Queries) -> Result<(), Fault>;

    /// Fails if the transaction must not be committed.
    async fn after(&mut self, tenant: &mut dyn Queries) -> Result<(), Fault>;
}

/// Queries in the transaction around native code.
struct Inside<'a>(&'a DatabaseTransaction);

#[async_trait]
impl Queries for Inside<'_> {
    async fn rows(&mut self, sql: String) -> Result<Vec<TextRow>, Fault> {
        let statement = Statement::from_string(self.0.get_database_backend(), sql);
        let rows = self.0.query_all_raw(statement).await.map_err(|e| errors::sea_orm_fault(&e))?;
        let row = |row: &sea_orm::QueryResult| {
            let names = row.column_names();
            let columns = (0..names.len()).map(|column| row.try_get_by_index(column).ok().flatten()).collect();
            TextRow::new(names, columns)
        };
        Ok(rows.iter().map(row).collect())
    }

    async fn run(&mut self, sql: String) -> Result<(), Fault> {
        self.0.execute_unprepared(&sql).await.map(drop).map_err(|e| errors::sea_orm_fault(&e))
    }
}

impl Native<'_> {
    /// Runs the migration without a transaction of ours.
    pub(crate) async fn alone(&self, db: &DatabaseConnection) -> Result<(), ApplyError> {
        self.migrate(Given::Connection(db.clone())).await
    }

    /// Runs the migration and writes its history row in one transaction. Dying before the commit leaves nothing.
    pub(crate) async fn in_transaction(
        &self,
        db: &DatabaseConnection,
        options: TransactionOptions,
        around: &mut Around<'_>,
    ) -> Result<(), ApplyError> {
        let ours = |e: DbErr| self.stop(errors::sea_orm_fault(&e));
        let begun = self.work.start(Phase::Lock, self.step).over(db.begin_with_options(options)).await;
        let transaction = Arc::new(begun.map_err(ours)?);
        let result = self.inside(&transaction, around).await;
        let transaction = Arc::into_inner(transaction).ok_or_else(|| self.stop(lost_connection()))?;
        match result {
            // The history row was inserted after the migration: a swallowed error would have made that fail.
            Ok(()) => {
                let ended = self.work.start(Phase::Commit, self.step).over(transaction.commit()).await;
                ended.map_err(|error| self.stop_inside(errors::at_commit(errors::sea_orm_fault(&error))))
            }
            Err(stop) => {
                let _ = transaction.rollback().await;
                Err(stop)
            }
        }
    }

    async fn inside(&self, transaction: &Arc<DatabaseTransaction>, around: &mut Around<'_>) -> Result<(), ApplyError> {
        let ours = |e: DbErr| self.stop(errors::sea_orm_fault(&e));
        let preamble = around.preamble.join(";\n");
        let locked = self.work.start(Phase::Lock, self.step).over(transaction.execute_unprepared(&preamble)).await;
        locked.map_err(ours)?;
        if let Some(set) = around.mark.set() {
            transaction.execute_unprepared(set).await.map_err(ours)?;
        }
        if let Some(check) = &mut around.check {
            check.before(&mut Inside(transaction)).await.map_err(|fault| self.stop_inside(fault))?;
        }
        let migrated = self.migrate(Given::Transaction(transaction.clone())).await;
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
            let ended = transaction.execute_unprepared(sql).await;
            ended.map_err(|error| self.stop_inside(errors::at_commit(errors::sea_orm_fault(&error))))?;
        }
        let record = self.door.record(&self.work.steps[self.step]);
        transaction.execute_unprepared(&record).await.map_err(ours)?;
        if let Some(check) = &mut around.check {
            check.after(&mut Inside(transaction)).await.map_err(|fault| self.stop_inside(fault))?;
        }
        Ok(())
    }

    /// Runs the migration's own code on a thread where it may block: code that sleeps or computes would otherwise hold up
    /// the other tenants and Ctrl-C. When the run gives the tenant up, the thread goes on until the code ends; its
    /// connection, and with it a transaction, lives that long.
    pub(super) async fn migrate(&self, given: Given) -> Result<(), ApplyError> {
        let step = &self.work.steps[self.step];
        let (migration, direction) = (self.door.migrations.migration(step.index).clone(), step.script.direction);
        let runtime = tokio::runtime::Handle::current();
        let span = tracing::Span::current();
        let run = move || {
            let manager = given.manager();
            let migrated = async {
                match direction {
                    Direction::Up => migration.up(&manager).await,
                    Direction::Down => migration.down(&manager).await,
                }
            };
            runtime.block_on(migrated.instrument(span))
        };
        // The thread that panicked knows the place.
        let guarded =
            move || catch_unwind(AssertUnwindSafe(run)).map_err(|panic| (panic, crate::compile::panic_place()));
        let running = self.work.start(Phase::Statements, self.step);
        let ended = running.over(tokio::task::spawn_blocking(guarded)).await;
        match ended.unwrap_or_else(|lost| Err((lost.into_panic(), None))) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(self.stop_inside(errors::sea_orm_fault(&error))),
            Err((panic, place)) => {
                let text = crate::compile::panic_text(panic.as_ref());
                let at = place.map(|place| format!(" at {place}")).unwrap_or_default();
                Err(self.stop_inside(Fault::new(FaultClass::Panic, format!("the migration panicked{at}: {text}"))))
            }
        }
    }

    /// The pool that a native step runs on, once it is connected.
    pub(crate) async fn connected<P>(
        &self,
        connecting: impl Future<Output = Result<P, sqlx::Error>>,
    ) -> Result<P, ApplyError> {
        let connected = self.work.start(Phase::Connect, self.step).over(connecting).await;
        connected.map_err(|error| self.stop(connecting_fault(self.door, &error)))
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
        ApplyError { at: Some(StoppedAt { migration, ..StoppedAt::default() }), ..self.stop(fault) }
    }
}

/// Whether the transaction that was begun around a migration is gone: its own SQL committed or rolled it back.
async fn has_escaped(transaction: &DatabaseTransaction, mark: Mark) -> bool {
    if let Mark::Statement { check, code, .. } = mark {
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
    let pool = pool(door).connect_with(options).await.map_err(|e| connecting_fault(door, &e))?;
    let link = Link::Pooled(pool.acquire().await.map_err(|e| errors::fault(&e))?);
    Ok((pool, link))
}

/// The fault where the connection of a pool can't be made. Its time is up before any code of a migration could ask for a second one,
/// and nothing was sent.
fn connecting_fault(door: &TenantEndpoint, error: &sqlx::Error) -> Fault {
    match error {
        sqlx::Error::PoolTimedOut => door.no_answer(),
        error => errors::fault(error),
    }
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
