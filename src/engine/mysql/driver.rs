//! The driver for MySQL and MariaDB.

use async_trait::async_trait;
use sqlx::mysql::MySqlRow;
use sqlx::{MySql, Row as _};

use crate::engine::driver::Driver;
use crate::engine::locks::AtLock;
use crate::engine::mysql::{MysqlSession, locks, scratch};
use crate::engine::queries::{SideConnection, TextColumns, connect_aside};
use crate::engine::scratch::ScratchServer;
use crate::engine::{Session, TenantEndpoint, address, literal};
use crate::model::engine::Engine;
use crate::model::fault::Fault;
use crate::model::tenant::Tenant;

/// Databases that are asked for one by one.
const FEW: usize = 20;

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

    /// For a table's name alone MariaDB looks into each database of the server, for both names into the one; and into all tables
    /// for several names.
    fn tables_there(&self, tables: &[&str], names: &[&str]) -> String {
        let mut names: Vec<String> = names.iter().map(|name| literal(Engine::Mysql, name)).collect();
        if names.len() > FEW {
            names = vec![names.join(", ")];
        }
        let one = |(table, name): (&&str, &String)| {
            let table = literal(Engine::Mysql, table);
            format!(
                "SELECT table_name, table_schema, 1 FROM information_schema.tables WHERE table_name = {table} AND table_schema IN ({name})"
            )
        };
        tables
            .iter()
            .flat_map(|table| names.iter().map(move |name| (table, name)))
            .map(one)
            .collect::<Vec<_>>()
            .join(" UNION ALL ")
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
