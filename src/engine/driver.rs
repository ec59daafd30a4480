//! The engine drivers: one value per engine, and the single place that selects it.

use async_trait::async_trait;

use super::locks::AtLock;
use super::queries::SideConnection;
use super::scratch::ScratchServer;
use super::{Session, TenantEndpoint, mysql, postgres, sqlite};
use crate::model::engine::{Engine, EngineMap};
use crate::model::fault::Fault;
use crate::model::schema::Script;
use crate::model::tenant::Tenant;

/// A driver for an engine's databases. An engine without a capability keeps the default method.
#[async_trait]
pub(crate) trait Driver: Sync {
    /// Opens one connection to a tenant. Creates nothing.
    ///
    /// # Errors
    /// A [`Fault`] of a class that says why the tenant can't be reached.
    async fn open(&self, door: TenantEndpoint) -> Result<Box<dyn Session>, Fault>;

    /// The qualifier of a tenant's tables. An unqualified name could resolve to another tenant's table: the history of
    /// `public`, or that of a database which a migration's `USE` switched to.
    fn namespace(&self, tenant: &Tenant) -> Option<String>;

    /// The key that tenants must share to be read over one connection; `None`: each tenant needs its own connection.
    fn shared_connection(&self, _tenant: &Tenant) -> Option<String> {
        None
    }

    /// A connection that can read all tenants with the same [`shared_connection`](Driver::shared_connection).
    async fn reader(&self, _tenant: &Tenant) -> Option<Box<dyn SideConnection>> {
        None
    }

    /// The query for the tables that the namespaces of these names have: for each one the table, the namespace, and whether it can be
    /// read.
    fn tables_there(&self, _tables: &[&str], _names: &[&str]) -> String {
        String::new()
    }

    /// The sessions that hold or wait for locks in some databases (quoted) of this tenant's server, oldest transaction
    /// first.
    ///
    /// # Errors
    /// A [`Fault`] when the server can't be asked.
    async fn locks(&self, _tenant: &Tenant, _databases: &str) -> Result<Vec<AtLock>, Fault> {
        Ok(Vec::new())
    }

    /// The scripts, by index, behind which a transaction that holds several of these consecutive scripts has to end, since
    /// the next one would run there in another way than by itself.
    fn ends_transaction(&self, _scripts: &[&Script]) -> Vec<usize> {
        Vec::new()
    }

    /// The engine's servers as places for scratch databases.
    fn scratch(&self) -> Option<&'static dyn ScratchServer> {
        None
    }
}

static DRIVERS: EngineMap<&dyn Driver> =
    EngineMap { sqlite: &sqlite::driver::Sqlite, postgres: &postgres::driver::Postgres, mysql: &mysql::driver::Mysql };

/// The driver of an engine.
pub(crate) fn driver(engine: Engine) -> &'static dyn Driver {
    DRIVERS[engine]
}
