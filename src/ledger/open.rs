//! Opening a ledger: connect, make or upgrade the tables, refuse a newer version.
//!
//! Opening for reading must not create anything: `runs list` in the wrong folder leaves no file behind.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr,
    EntityTrait, QueryFilter, QueryOrder, SqliteTransactionMode, SqlxMySqlConnector, SqlxPostgresConnector,
    SqlxSqliteConnector, Statement, TransactionOptions, TransactionTrait,
};
use sea_orm_migration::MigratorTrait;
use secrecy::ExposeSecret;
use sqlx::mysql::{MySqlConnectOptions, MySqlPoolOptions};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection};

use super::Location;
use super::database::LedgerDatabase;
use super::entity::{run, version};
use super::error::LedgerError;
use super::look::{refuse_others, write_ahead_log};
use super::migrations::LedgerMigrator;
use super::recorder::Recorder;

/// The version of the tables that this program creates and knows.
pub(super) const VERSION: i32 = 8;

/// Wait limit for a lock or a server.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// A server that does not answer a write within this time is lost.
const LONGEST_WRITE: Duration = Duration::from_secs(30);

/// Time limit for closing the connections to a server.
const CLOSING: Duration = Duration::from_secs(2);

/// Capacity of the statement cache: statements differ in the number of rows, so caching many would only cost memory.
const PREPARED: usize = 4;

const OPEN: &str = "open";

/// An open ledger. Cheap to clone; all clones share one connection.
#[derive(Clone)]
pub(crate) struct Ledger {
    pub(super) store: Arc<Store>,
}

/// The connection to a ledger and its name in texts.
pub(super) struct Store {
    pub(super) db: DatabaseConnection,
    pub(super) site: LedgerDatabase,
    /// The file that is written, with its device and inode number.
    file: Option<(PathBuf, (u64, u64))>,
    /// The version of the tables. A reader leaves an older ledger as it is.
    pub(super) version: i32,
    pub(super) longest_write: Duration,
}

/// The mode of opening an SQLite file.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// Create the file; write.
    Create,
    /// Read an existing file; the engine's own `-wal` and `-shm` files may come and go.
    Read,
    /// Read an existing file and write nothing to it; nor beside it, unless it is in the mode of the write-ahead log.
    Look,
    /// Read a file without writers: in a folder that can't be written, or without creating any file beside it.
    Immutable,
}

impl std::fmt::Debug for Ledger {
    /// Names the ledger; a connection's own `Debug` is not trusted with its URL.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Ledger").field(&self.store.site.name()).finish()
    }
}

impl Ledger {
    /// Opens a ledger for writing. A missing file is created (its folder is not), and so are missing tables.
    ///
    /// # Errors
    /// One variant of [`LedgerError`] for each problem with a remedy of its own. A lock is awaited for at most 10 s.
    pub(crate) async fn open(location: &Location) -> Result<Ledger, LedgerError> {
        Ledger::open_patiently(location, PATIENCE).await
    }

    pub(super) async fn open_patiently(location: &Location, patience: Duration) -> Result<Ledger, LedgerError> {
        let site = LedgerDatabase::of(location)?;
        let (db, file) = match location {
            Location::File(file) => {
                LedgerDatabase::check_path(file)?;
                refuse_others(file, patience).await?;
                let db = connect_file(file, Access::Create, patience, &site).await?;
                (db, identity(file).map(|found| (file.clone(), found)))
            }
            Location::Url(url) => (connect_server(url.expose_secret(), &site).await?, None),
        };
        let store = Store { file, ..Store::new(db, site) };
        match store.version().await? {
            Some(found) => {
                store.check_version(found)?;
                store.check_writable().await?;
                if found < VERSION {
                    store.upgrade().await?;
                }
            }
            None => {
                store.check_own().await?;
                store.upgrade().await?;
            }
        }
        Ok(Ledger { store: Arc::new(store) })
    }

    /// Opens a ledger for reading. `None` when there is no ledger yet; nothing is created.
    ///
    /// # Errors
    /// As [`Ledger::open`].
    pub(crate) async fn open_existing(location: &Location) -> Result<Option<Ledger>, LedgerError> {
        let site = LedgerDatabase::of(location)?;
        let db = match location {
            Location::File(file) => {
                LedgerDatabase::check_path(file)?;
                if !file.exists() {
                    return Ok(None);
                }
                refuse_others(file, PATIENCE).await?;
                read_file(file, &site).await?
            }
            Location::Url(url) => connect_server(url.expose_secret(), &site).await?,
        };
        let mut store = Store::new(db, site);
        let Some(found) = store.version().await? else {
            let _ = store.db.close_by_ref().await;
            return Ok(None);
        };
        store.check_version(found)?;
        store.version = found;
        Ok(Some(Ledger { store: Arc::new(store) }))
    }

    /// Reads as in a folder without write permission, for tests: they may run as root, who has all permissions.
    #[cfg(test)]
    pub(super) async fn open_frozen(file: &Path) -> Result<Ledger, LedgerError> {
        let site = LedgerDatabase::of(&Location::File(file.to_owned()))?;
        let db = connect_frozen(file, &site).await?;
        Ok(Ledger { store: Arc::new(Store::new(db, site)) })
    }

    /// A recorder for one run.
    pub(crate) fn recorder(&self) -> Recorder {
        Recorder::new(Arc::clone(&self.store))
    }

    /// Closes the connection, and with it an SQLite ledger's write-ahead log. Leaving this to the end of the process
    /// loses nothing, but leaves the log beside the file. A server's session that waits for a lock can't be closed before
    /// the lock is granted: that is left to the end of the process.
    pub(crate) async fn close(self) {
        // A pool can only fail to close when it is closed already.
        let _ = match self.store.db.get_database_backend() == DbBackend::Sqlite {
            true => Ok(self.store.db.close_by_ref().await),
            false => tokio::time::timeout(CLOSING, self.store.db.close_by_ref()).await,
        };
    }
}

impl Store {
    pub(super) fn new(db: DatabaseConnection, site: LedgerDatabase) -> Store {
        Store { db, site, file: None, version: VERSION, longest_write: LONGEST_WRITE }
    }

    /// The ledger error for an error of SeaORM.
    pub(super) fn explain(&self, action: &'static str) -> impl Fn(DbErr) -> LedgerError {
        move |error| self.site.explain(action, &error)
    }

    /// On SQLite: whether commits wait for the disk. With a write-ahead log NORMAL does not sync at a commit, and a
    /// power cut could take it away; FULL syncs the log, and with it everything before
    /// (<https://www.sqlite.org/pragma.html#pragma_synchronous>). Servers sync every commit. It is set around a
    /// transaction, because inside one it is not allowed, on the one connection that the pool has.
    pub(super) async fn durably(&self, on: bool) -> Result<(), DbErr> {
        if self.db.get_database_backend() != DbBackend::Sqlite {
            return Ok(());
        }
        let sql = if on { "PRAGMA synchronous = FULL" } else { "PRAGMA synchronous = NORMAL" };
        self.db.execute_unprepared(sql).await.map(drop)
    }

    /// A transaction that writes. On SQLite it takes the write lock at once: a transaction that reads first and writes
    /// later fails immediately when another process wrote in between, whatever the busy timeout says.
    pub(super) async fn begin(&self) -> Result<DatabaseTransaction, DbErr> {
        let immediate = TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        self.db.begin_with_options(immediate).await
    }

    /// Writes that a run lives, by the ledger's own clock.
    pub(super) async fn sign_of_life(&self, run: &str, db: &impl ConnectionTrait) -> Result<(), DbErr> {
        let sign = run::Entity::update_many()
            .col_expr(run::Column::HeartbeatAtMs, Expr::cust(self.clock()))
            .filter(run::Column::Run.eq(run));
        sign.exec(db).await.map(drop)
    }

    /// The version of the tables; `None` when they were never completed.
    pub(super) async fn version(&self) -> Result<Option<i32>, LedgerError> {
        let backend = self.db.get_database_backend();
        let sql = match backend {
            DbBackend::Postgres => "SELECT count(*) AS n FROM pg_class WHERE oid = to_regclass('fleet_ledger')",
            DbBackend::MySql => {
                "SELECT count(*) AS n FROM information_schema.tables \
                 WHERE table_schema = database() AND table_name = 'fleet_ledger'"
            }
            _ => "SELECT count(*) AS n FROM sqlite_master WHERE type = 'table' AND name = 'fleet_ledger'",
        };
        let read = async {
            let row = self.db.query_one_raw(Statement::from_string(backend, sql)).await?;
            let tables: i64 = row.map_or(Ok(0), |r| r.try_get("", "n"))?;
            if tables == 0 {
                return Ok(None);
            }
            version::Entity::find().order_by_desc(version::Column::Version).one(&self.db).await
        };
        let newest = read.await.map_err(self.explain(OPEN))?;
        Ok(newest.map(|row| row.version))
    }

    pub(super) fn check_version(&self, found: i32) -> Result<(), LedgerError> {
        if found > VERSION {
            return Err(LedgerError::Newer { site: self.site.name(), found, known: VERSION });
        }
        Ok(())
    }

    /// Refuses a file without a ledger that has other tables: a ledger does not belong there. On a server a database
    /// may be shared.
    pub(super) async fn check_own(&self) -> Result<(), LedgerError> {
        if self.db.get_database_backend() != DbBackend::Sqlite {
            return Ok(());
        }
        let sql = "SELECT name FROM sqlite_master WHERE name NOT LIKE 'sqlite@_%' ESCAPE '@' AND name NOT IN \
                   ('fleet_ledger', 'fleet_ledger_migrations', 'fleet_run', 'fleet_tenant', 'fleet_outcome', \
                    'fleet_attempt', 'fleet_event', 'fleet_progress', 'fleet_approval', 'fleet_source', \
                    'fleet_source_tenant', 'fleet_shared_run', 'fleet_claim', 'fleet_runner', 'fleet_run_texts', \
                    'fleet_pause') LIMIT 1";
        let read = async {
            let row = self.db.query_one_raw(Statement::from_string(DbBackend::Sqlite, sql)).await?;
            row.map(|row| row.try_get::<String>("", "name")).transpose()
        };
        match read.await.map_err(self.explain(OPEN))? {
            Some(table) => Err(LedgerError::NotALedger { site: self.site.name(), table }),
            None => Ok(()),
        }
    }

    /// Fails when the file at the ledger's place is not the one that was opened: SQLite would silently go on writing to
    /// the unlinked file.
    pub(super) fn check_place(&self, action: &'static str) -> Result<(), LedgerError> {
        match &self.file {
            Some((path, opened)) if identity(path) != Some(*opened) => {
                Err(LedgerError::Gone { action, site: self.site.name() })
            }
            _ => Ok(()),
        }
    }

    /// Detects a read-only ledger before anything is touched. SQLite opens a file without the right to write as if
    /// nothing were wrong and even grants BEGIN IMMEDIATE; a server may be a read-only replica. Only a writing
    /// statement reveals it, and this one changes no row.
    async fn check_writable(&self) -> Result<(), LedgerError> {
        let write_nothing = async {
            let tx = self.begin().await?;
            version::Entity::update_many()
                .col_expr(version::Column::Version, Expr::col(version::Column::Version))
                .filter(version::Column::Version.lt(0))
                .exec(&tx)
                .await?;
            tx.rollback().await
        };
        write_nothing.await.map_err(self.explain(OPEN))
    }

    /// Creates the tables, or upgrades those of an older version. The version row comes last: MySQL commits each
    /// statement by itself, so a program that finds the row knows that all of its version exists, and one that does not
    /// creates the missing parts. Older programs refuse a ledger with a newer row.
    ///
    /// Dying in it: SQLite and PostgreSQL roll it back; on MySQL the next program continues it.
    async fn upgrade(&self) -> Result<(), LedgerError> {
        let upgrade = async {
            let tx = self.begin().await?;
            let backend = tx.get_database_backend();
            // Two programs that change one schema at once fail, even with IF NOT EXISTS; the second finds nothing to
            // do.
            match backend {
                DbBackend::Postgres => {
                    let lock = "SET LOCAL lock_timeout = '10s'; SELECT pg_advisory_xact_lock(7380386120393126247)";
                    tx.execute_unprepared(lock).await.map(drop)?;
                }
                DbBackend::MySql => drop(tx.query_one_raw(Statement::from_string(backend, MYSQL_LOCK)).await?),
                _ => {}
            }
            let upgraded = LedgerMigrator::up(&tx, None).await;
            if backend == DbBackend::MySql {
                tx.query_one_raw(Statement::from_string(backend, MYSQL_UNLOCK)).await?;
            }
            upgraded?;
            version::Entity::insert(version::ActiveModel { version: Set(VERSION) })
                .on_conflict(
                    OnConflict::column(version::Column::Version).update_column(version::Column::Version).to_owned(),
                )
                .exec_without_returning(&tx)
                .await?;
            tx.commit().await
        };
        upgrade.await.map_err(self.explain("create or upgrade the tables of"))
    }

    /// The present time by the clock of the ledger's database, in milliseconds since 1970-01-01 UTC, as an expression:
    /// the clocks of the machines that share a ledger need not agree.
    pub(super) fn clock(&self) -> &'static str {
        match self.db.get_database_backend() {
            DbBackend::Postgres => "CAST(extract(epoch FROM clock_timestamp()) * 1000 AS bigint)",
            DbBackend::MySql => "CAST(unix_timestamp(now(3)) * 1000 AS signed)",
            _ => "CAST((julianday('now') - 2440587.5) * 86400000 AS integer)",
        }
    }
}

/// The lock of an upgrade on MySQL, released with the session at the latest. Names are server-wide, so it carries the
/// database; where named locks are forbidden, the upgrade fails and says so.
const MYSQL_LOCK: &str = "SELECT get_lock(concat('fleet_ledger:', left(sha2(database(), 256), 32)), 10)";
const MYSQL_UNLOCK: &str = "SELECT release_lock(concat('fleet_ledger:', left(sha2(database(), 256), 32)))";

/// The identity of a file: its device and inode number.
fn identity(file: &Path) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata(file).ok().map(|found| (found.dev(), found.ino()))
}

/// Connects to an SQLite file, retrying for `patience` while another process holds it: switching to the write-ahead log
/// needs the file alone, and does not wait for it by itself.
pub(super) async fn connect_file(
    file: &Path,
    access: Access,
    patience: Duration,
    site: &LedgerDatabase,
) -> Result<DatabaseConnection, LedgerError> {
    let until = Instant::now() + patience;
    loop {
        let error = match try_connect_file(file, access, patience).await {
            Ok(db) => return Ok(db),
            Err(error) => site.explain_sqlx(OPEN, &error),
        };
        if !matches!(error, LedgerError::LockWait { .. }) || Instant::now() >= until {
            return Err(error);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn try_connect_file(file: &Path, access: Access, patience: Duration) -> Result<DatabaseConnection, sqlx::Error> {
    // NORMAL never damages the file, and a killed process loses nothing with it; `Recorder::begin` asks for more.
    let mut options = SqliteConnectOptions::new()
        .filename(file)
        .busy_timeout(patience)
        .synchronous(SqliteSynchronous::Normal)
        .statement_cache_capacity(PREPARED)
        .disable_statement_logging();
    match access {
        Access::Create => options = options.create_if_missing(true).journal_mode(SqliteJournalMode::Wal),
        Access::Read => {}
        Access::Look => options = options.read_only(true),
        Access::Immutable => options = options.read_only(true).immutable(true),
    }
    // A single connection, never closed: settings made on it persist.
    let pool = SqlitePoolOptions::new().max_connections(1).idle_timeout(None).max_lifetime(None);
    let pool = pool.test_before_acquire(false).connect_with(options).await?;
    Ok(SqlxSqliteConnector::from_sqlx_sqlite_pool(pool))
}

/// Opens an existing file for reading. SQLite writes a `-shm` file even for that; where the folder forbids it, a ledger
/// without a write-ahead log is complete in its one file and can be read as it is.
async fn read_file(file: &Path, site: &LedgerDatabase) -> Result<DatabaseConnection, LedgerError> {
    // Connecting reads the file, so this fails where nothing can be read.
    let error = match connect_file(file, Access::Read, PATIENCE, site).await {
        Err(error @ LedgerError::NotWritable { .. }) => error,
        done => return done,
    };
    if write_ahead_log(file).exists() {
        return Err(error);
    }
    connect_frozen(file, site).await
}

async fn connect_frozen(file: &Path, site: &LedgerDatabase) -> Result<DatabaseConnection, LedgerError> {
    connect_file(file, Access::Immutable, PATIENCE, site).await
}

/// Connects to a server. Raw first: a pool would turn a refused connection or a wrong password into a timeout.
async fn connect_server(url: &str, site: &LedgerDatabase) -> Result<DatabaseConnection, LedgerError> {
    let connect = async {
        if url.starts_with("postgres") {
            let options: PgConnectOptions = url.parse()?;
            let options = options.statement_cache_capacity(PREPARED).disable_statement_logging();
            options.connect().await?.close().await?;
            let pool = PgPoolOptions::new().max_connections(2).acquire_timeout(PATIENCE);
            Ok(SqlxPostgresConnector::from_sqlx_postgres_pool(pool.connect_lazy_with(options)))
        } else {
            let options: MySqlConnectOptions = url.parse()?;
            let options = options.statement_cache_capacity(PREPARED).disable_statement_logging();
            options.connect().await?.close().await?;
            let pool = MySqlPoolOptions::new().max_connections(2).acquire_timeout(PATIENCE);
            Ok(SqlxMySqlConnector::from_sqlx_mysql_pool(pool.connect_lazy_with(options)))
        }
    };
    match tokio::time::timeout(PATIENCE, connect).await {
        Ok(done) => done.map_err(|e| site.explain_sqlx(OPEN, &e)),
        Err(_) => Err(site.unreachable(OPEN, &"no answer within 10 s")),
    }
}
