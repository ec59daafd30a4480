//! The driver for MySQL and MariaDB.

use async_trait::async_trait;
use sqlx::mysql::MySqlRow;
use sqlx::{MySql, Row as _};

use crate::engine::driver::Driver;
use crate::engine::locks::AtLock;
use crate::engine::mysql::{MysqlSession, locks, scratch};
use crate::engine::queries::{SideConnection, TextColumns, connect_aside};
use crate::engine::scratch::ScratchServer;
use crate::engine::{Session, TenantEndpoint, address};
use crate::model::fault::Fault;
use crate::model::tenant::Tenant;

pub(in crate::engine) struct Mysql;

#[async_trait]
impl Driver for Mysql {
    async fn open(&self, door: TenantEndpoint) -> Result<Box<dyn Session>, Fault> {
        Ok(Box::new(MysqlSession::open(door).await?))
    }

    fn namespace(&self, tenant: &Tenant) -> Option<String> {
        address::database(tenant)
    }

    /// The databases of one server.
    fn shared_connection(&self, tenant: &Tenant) -> Option<String> {
        address::database(tenant)?;
        address::server(tenant)
    }

    async fn reader(&self, tenant: &Tenant) -> Option<Box<dyn SideConnection>> {
        connect_aside(address::mysql(tenant).ok()?).await.ok()
    }

    fn tables_there(&self, tables: &str, names: &str) -> String {
        format!(
            "SELECT 0, table_schema FROM information_schema.tables WHERE table_name IN ({tables}) AND table_schema IN \
             ({names})"
        )
    }

    async fn locks(&self, tenant: &Tenant, databases: &str) -> Result<Vec<AtLock>, Fault> {
        locks::all(address::mysql(tenant)?, databases).await
    }

    fn scratch(&self) -> Option<&'static dyn ScratchServer> {
        Some(&scratch::Scratch)
    }
}

impl TextColumns for MySql {
    /// Reads bytes, whatever character set the server labels them with.
    fn text(row: &MySqlRow, column: usize) -> Option<String> {
        let bytes = row.try_get_unchecked::<Option<Vec<u8>>, _>(column).ok().flatten()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn changed(result: &sqlx::mysql::MySqlQueryResult) -> u64 {
        result.rows_affected()
    }
}
