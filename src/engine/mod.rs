//! The only door to a tenant's database: read a history, apply steps, close.
//!
//! It decides nothing: what is to be applied, whether to try again and what an outcome is are for those who call it.
//! What happens to a tenant when the process dies is written at each step of the engines' files.

mod address;
mod backup;
mod blocker;
mod bulk_history;
mod directives;
mod errors;
mod health;
mod history;
mod inspect;
mod journal;
mod liveness;
mod locks;
mod message;
mod mysql;
mod native;
mod postgres;
mod rows;
mod scratch;
#[cfg(test)]
pub(crate) mod scripted;
mod settle;
mod sqlite;
mod work;

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::compile::MigrationSet;
use crate::model::fault::{Fault, FaultClass};
use crate::model::health::{Health, Questions};
use crate::model::outcome::Blocker;
use crate::model::schema::{Direction, Script, Unfinished};
use crate::model::shape::{Column, Shape, Table};
use crate::model::tenant::{Engine, Tenant, TenantId};
use crate::policy::Timeouts;
pub(crate) use address::{location, place};
pub(crate) use backup::{Transfer, database_name, hook, remove_left_secrets};
use history::HistoryTables;
use journal::Journal;
pub(crate) use liveness::Liveness;
pub(crate) use locks::{LockHolder, locks};
pub(crate) use rows::{Cell, Key, ROWS_AT_ONCE};
pub(crate) use rows::{day, decimal};
pub(crate) use scratch::ScratchPlace;
pub(crate) use settle::Settlement;
pub(crate) use work::{ApplyError, Notice, Notifier, PartialState, Step, Work};
pub(crate) use work::{Segment, TELL_EVERY};

/// A way to tenants' databases. The real one is [`Servers`]; scheduling is tested on a scripted one.
#[async_trait]
pub(crate) trait Database: Send + Sync + 'static {
    /// Opens one connection to a tenant, with the fleet's time limits. Nothing is created.
    ///
    /// # Errors
    /// A [`Fault`] of a class that says why the tenant can't be reached; the tenant was not touched.
    async fn connect(&self, tenant: &Arc<Tenant>) -> Result<Box<dyn Session>, Fault>;

    /// As [`Database::connect`], with the time limits of this tenant in this attempt.
    ///
    /// # Errors
    /// As [`Database::connect`].
    async fn connect_within(&self, tenant: &Arc<Tenant>, limits: Timeouts) -> Result<Box<dyn Session>, Fault>;

    /// Reads the histories of tenants that one connection can see together, in one query for many.
    ///
    /// A tenant that is missing from the answer has to be read by itself. Never fails: what can't be read is left out.
    async fn read_together(&self, tenants: &[Arc<Tenant>]) -> HashMap<TenantId, Vec<String>>;
}

/// One connection to one tenant.
#[async_trait]
pub(crate) trait Session: Send {
    /// The applied versions, sorted. One read query.
    ///
    /// # Errors
    /// A [`Fault`]; a missing history table is no fault but an empty history.
    async fn history(&mut self) -> Result<Vec<String>, Fault>;

    /// What a journal says of a migration that was begun and not finished.
    ///
    /// # Errors
    /// A [`Fault`] when the journal can't be read.
    async fn unfinished(&mut self) -> Result<Option<Unfinished>, Fault>;

    /// Whether another session works on this tenant at this moment, which an open journal alone does not say. Read-only.
    ///
    /// # Errors
    /// A [`Fault`] when that can't be found out.
    async fn is_held(&mut self) -> Result<bool, Fault>;

    /// When each view was refreshed last, in seconds since 1970-01-01 UTC; nothing where none ever was.
    ///
    /// # Errors
    /// A [`Fault`] when that can't be read.
    async fn refreshes(&mut self) -> Result<Vec<(String, i64)>, Fault>;

    /// What the schema in the tenant's own namespace looks like, without the history and fleet's own tables. Read-only: one
    /// round trip, two on a server with sequences of MariaDB.
    ///
    /// # Errors
    /// A [`Fault`] when it can't be read.
    async fn shape(&mut self) -> Result<Shape, Fault>;

    /// The number of rows of each of these tables of the tenant's own namespace. Read-only: one round trip.
    ///
    /// # Errors
    /// A [`Fault`] when one of them can't be read, or is not there.
    async fn row_counts(&mut self, tables: &[String]) -> Result<Vec<u64>, Fault>;

    /// What the database says of itself and of its server, and answers to `ask`. Read-only; locks nothing.
    ///
    /// # Errors
    /// A [`Fault`] when it can't be read.
    async fn health(&mut self, ask: &Questions) -> Result<Health, Fault>;

    /// Applies steps in order. When it returns `Ok`, all of them were committed.
    ///
    /// # Errors
    /// [`ApplyError`]: how far it came, and what the failed step left behind.
    async fn apply(&mut self, work: &Work) -> Result<(), ApplyError>;

    /// Settles a migration that was begun and not finished, as a person says. Returns what it was.
    ///
    /// # Errors
    /// A [`Fault`] when there is nothing to settle, another run holds the tenant, or the change failed: nothing changed.
    async fn settle(&mut self, settlement: &Settlement) -> Result<Unfinished, Fault>;

    /// Adds rows to a table, in batches of a bounded size, each in a transaction. A row has a cell for each of the columns.
    ///
    /// Returns how many rows were added. Dying in it: whole batches are there, in order, and no part of one.
    ///
    /// # Errors
    /// How many rows were committed before, and the [`Fault`] of the batch that was not.
    async fn fill(&mut self, table: &Table, columns: &[&Column], rows: &[Vec<Cell>]) -> Result<u64, (u64, Fault)>;

    /// Some columns of all rows of a table, in no order; `None` is NULL. One read query.
    ///
    /// # Errors
    /// A [`Fault`] when the table can't be read.
    async fn keys(&mut self, table: &Table, columns: &[&Column]) -> Result<Vec<Vec<Option<Key>>>, Fault>;

    /// About how many bytes a backup takes at the most; `None` where there is nothing yet that could be backed up.
    ///
    /// # Errors
    /// A [`Fault`] when that can't be read.
    async fn footprint(&mut self) -> Result<Option<u64>, Fault> {
        Err(Fault::new(FaultClass::Backup, "this kind of database can't be backed up"))
    }

    /// Writes all of the tenant to a file, as it is at one moment, and checks it. Returns what made it, with its version.
    /// Dying in it: the file is partial, and the tenant as it was.
    ///
    /// # Errors
    /// A [`Fault`]; of class `cancelled` when it was ended by us.
    async fn dump(&mut self, _to: &Transfer<'_>) -> Result<String, Fault> {
        Err(Fault::new(FaultClass::Backup, "this kind of database can't be backed up"))
    }

    /// Brings the tenant back to what a dump has: what is not in it goes. What dying in it leaves is told in
    /// `docs/architecture.md`.
    ///
    /// # Errors
    /// A [`Fault`]. The tenant is as it was, unless [`Session::unfinished`] says that a restore was begun.
    async fn load(&mut self, _from: &Transfer<'_>) -> Result<(), Fault> {
        Err(Fault::new(FaultClass::Backup, "this kind of database can't be brought back"))
    }

    /// A way to cancel what this session is doing, on the server.
    fn canceller(&self) -> Canceller;

    /// A way to learn who holds the lock that this session waits for, from outside the session; `None` where the engine
    /// can't tell.
    fn watch(&self) -> Option<Watch> {
        None
    }

    /// A way to learn whether the server still works for this session, from outside the session; `None` where there is no
    /// server.
    fn pulse(&self) -> Option<Probe> {
        None
    }

    /// Terminates the sessions of `locked` that still hold on to this tenant's own database with the same transaction, are
    /// clients, none of fleet's own, and whose transaction is older than `older_than`.
    async fn terminate(&mut self, locked: &LockWait, older_than: Duration) -> Terminations {
        let _ = (locked, older_than);
        Terminations::default()
    }

    /// Closes the connection; errors while closing change nothing for anyone.
    async fn close(self: Box<Self>);
}

/// Cancels a session's work on its server, from outside the session.
pub(crate) type Canceller = Box<dyn FnOnce() -> Pin<Box<dyn Future<Output = ()> + Send>> + Send>;

/// Asks who is at the lock that a session waits for now; empty: nobody, or it is not known.
pub(crate) type Watch = Box<dyn Fn() -> Pin<Box<dyn Future<Output = LockWait> + Send>> + Send + Sync>;

/// Asks what the server says of a session that waits for it, and ends that session when told to, unless it works. A session
/// that has been waiting for us for less than the duration counts as working.
pub(crate) type Probe = Box<dyn Fn(Duration, bool) -> Pin<Box<dyn Future<Output = Liveness> + Send>> + Send + Sync>;

/// Who is at a lock: what a watch saw, and what `fleet locks` shows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct LockWait {
    /// Who holds it, the oldest transaction first.
    pub(crate) holders: Vec<Blocker>,
    /// Who waits behind us.
    pub(crate) waiting: Vec<Blocker>,
    /// The holders were told by the server for this lock; otherwise they are only likely to be.
    pub(crate) certain: bool,
}

/// What became of the sessions that were to be terminated; one that is too young, or another now, is in neither list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Terminations {
    /// Those that were.
    pub(crate) terminated: Vec<Blocker>,
    /// Why others were not, each with the right that is missing.
    pub(crate) refused: Vec<String>,
}

/// The real databases.
pub(crate) struct Servers {
    migrations: Arc<MigrationSet>,
    timeouts: Timeouts,
    poolers: postgres::connect::Poolers,
}

impl Servers {
    /// A door to real databases, for the migrations of one program.
    pub(crate) fn new(migrations: Arc<MigrationSet>, timeouts: Timeouts) -> Self {
        Servers { migrations, timeouts, poolers: postgres::connect::Poolers::default() }
    }
}

#[async_trait]
impl Database for Servers {
    async fn connect(&self, tenant: &Arc<Tenant>) -> Result<Box<dyn Session>, Fault> {
        self.connect_within(tenant, self.timeouts).await
    }

    async fn connect_within(&self, tenant: &Arc<Tenant>, timeouts: Timeouts) -> Result<Box<dyn Session>, Fault> {
        let (migrations, poolers) = (self.migrations.clone(), self.poolers.clone());
        let door = TenantEndpoint { tenant: tenant.clone(), migrations, timeouts, poolers };
        match tenant.engine {
            Engine::Sqlite => Ok(Box::new(sqlite::SqliteSession::open(door).await?)),
            Engine::Postgres => Ok(Box::new(postgres::PostgresSession::open(door).await?)),
            Engine::Mysql => Ok(Box::new(mysql::MysqlSession::open(door).await?)),
        }
    }

    async fn read_together(&self, tenants: &[Arc<Tenant>]) -> HashMap<TenantId, Vec<String>> {
        let catalog = self.migrations.catalog();
        bulk_history::read(tenants, &catalog.history_table, !catalog.scripts.is_empty(), self.timeouts.connect).await
    }
}

/// What every engine's session is made from.
struct TenantEndpoint {
    tenant: Arc<Tenant>,
    migrations: Arc<MigrationSet>,
    timeouts: Timeouts,
    poolers: postgres::connect::Poolers,
}

impl TenantEndpoint {
    /// The fault of a tenant whose schema is not there and is not to be made.
    fn no_schema(&self) -> Fault {
        let text = "the tenant's schema does not exist; create it, or set create_missing = true for this tenant";
        Fault::with_code(FaultClass::UnknownDatabase, "3F000", text)
    }

    fn nothing_to_settle(&self) -> Fault {
        Fault::new(FaultClass::Other, "no migration was begun and left unfinished here; there is nothing to settle")
    }

    /// What the tenant's tables are qualified with: its schema, or its MySQL database. An unqualified name could mean
    /// another's: the history of `public`, or that of a database which a migration's `USE` switched to.
    fn namespace(&self) -> Option<String> {
        match self.tenant.engine {
            Engine::Sqlite => None,
            Engine::Postgres => self.tenant.schema.clone(),
            Engine::Mysql => address::database(&self.tenant),
        }
    }

    /// The history table, quoted and qualified.
    fn history_table(&self) -> String {
        let engine = self.tenant.engine;
        let table = engine.quote(&self.migrations.catalog().history_table);
        match self.namespace() {
            Some(name) => format!("{}.{table}", engine.quote(&name)),
            None => table,
        }
    }

    /// The time limits of a step.
    fn limits(&self, step: &Step) -> Timeouts {
        step.limits.over(self.timeouts)
    }

    /// The tenant's journal.
    fn journal(&self) -> Journal {
        Journal::new(self.tenant.engine, self.namespace().as_deref())
    }

    /// What the tenant's database keeps of what was applied.
    fn books(&self) -> HistoryTables {
        let has_scripts = !self.migrations.catalog().scripts.is_empty();
        HistoryTables::new(self.tenant.engine, self.namespace().as_deref(), self.history_table(), has_scripts)
    }

    /// The statements that create the tables of the history where they are missing.
    fn install(&self) -> Vec<String> {
        let mut sql = vec![self.migrations.install(self.tenant.engine).to_owned()];
        sql.extend(self.books().create_scripts());
        sql
    }

    /// The row of a step, added or taken away.
    fn record(&self, step: &Step) -> String {
        self.books().record(&step.script)
    }

    /// What takes a step back of which nothing happened, without the transaction around it: the journal is closed, and on
    /// the way down the history row, which went first, is put back.
    fn undo(&self, script: &Script) -> Vec<String> {
        let close = self.journal().close();
        if script.direction == Direction::Up {
            return vec![close];
        }
        let row = |direction| self.books().record_of(&script.migration, &script.record, direction);
        vec![row(Direction::Down), row(Direction::Up), close]
    }

    /// The fault of a step that never came to an end within the connect timeout.
    fn connect_timeout(&self) -> Fault {
        let limit = crate::policy::format_duration(self.timeouts.connect);
        Fault::new(FaultClass::ConnectTimeout, format!("the server did not answer within {limit}"))
    }
}

/// A text as an SQL literal.
fn literal(engine: Engine, text: &str) -> String {
    let doubled = text.replace('\'', "''");
    match engine {
        Engine::Mysql => format!("'{}'", doubled.replace('\\', "\\\\")),
        Engine::Sqlite | Engine::Postgres => format!("'{doubled}'"),
    }
}

/// Seconds since 1970, as SeaORM writes them into `applied_at`.
fn unix_now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |d| d.as_secs())
}
