//! The engines as fleet speaks to them: one value each, and one place that picks it.

use async_trait::async_trait;

use super::locks::AtLock;
use super::queries::SideConnection;
use super::scratch::ScratchServer;
use super::{Session, TenantEndpoint, mysql, postgres, sqlite};
use crate::model::engine::{Engine, EngineMap};
use crate::model::fault::Fault;
use crate::model::tenant::Tenant;

/// An engine's way to databases. An engine that lacks something keeps the method's own body.
#[async_trait]
pub(crate) trait Driver: Sync {
    /// Opens one connection to a tenant. Nothing is created.
    ///
    /// # Errors
    /// A [`Fault`] of a class that says why the tenant can't be reached.
    async fn open(&self, door: TenantEndpoint) -> Result<Box<dyn Session>, Fault>;

    /// What a tenant's tables are qualified with. An unqualified name could mean another's: the history of `public`, or
    /// that of a database which a migration's `USE` switched to.
    fn namespace(&self, tenant: &Tenant) -> Option<String>;

    /// What tenants must have in common to be read over one connection; `None`: a tenant of its own.
    fn shared_connection(&self, _tenant: &Tenant) -> Option<String> {
        None
    }

    /// A connection that sees all tenants with the same [`shared_connection`](Driver::shared_connection).
    async fn reader(&self, _tenant: &Tenant) -> Option<Box<dyn SideConnection>> {
        None
    }

    /// Asks which of some quoted names have the quoted tables: a (0, name) row for each that there is.
    fn tables_there(&self, _tables: &str, _names: &str) -> String {
        String::new()
    }

    /// The sessions at locks in some databases, quoted, of this tenant's server, the oldest transaction first.
    ///
    /// # Errors
    /// A [`Fault`] when the server can't be asked.
    async fn locks(&self, _tenant: &Tenant, _databases: &str) -> Result<Vec<AtLock>, Fault> {
        Ok(Vec::new())
    }

    /// Its servers as places of scratch databases.
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
