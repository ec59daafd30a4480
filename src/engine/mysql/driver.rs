//! MySQL and MariaDB among the drivers.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use secrecy::ExposeSecret;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, MySqlConnection};
use url::Url;

use crate::engine::bulk_history::Reader;
use crate::engine::driver::Driver;
use crate::engine::mysql::{MysqlSession, decode, locks, scratch};
use crate::engine::scratch::ScratchServer;
use crate::engine::{Session, TenantEndpoint, address};
use crate::model::fault::Fault;
use crate::model::locks::LockHolder;
use crate::model::tenant::{Address, Tenant};

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
        let Address::Url(url) = tenant.address_for_migrations() else { return None };
        let mut url = Url::parse(url.expose_secret()).ok()?;
        address::database(tenant)?;
        url.set_path("");
        Some(url.to_string())
    }

    async fn reader(&self, tenant: &Tenant, limit: Duration) -> Option<Box<dyn Reader>> {
        let options = address::mysql(tenant).ok()?;
        let connection = tokio::time::timeout(limit, options.connect()).await.ok()?.ok()?;
        Some(Box::new(MysqlReader { connection, limit }))
    }

    async fn locks(&self, tenants: &[Arc<Tenant>]) -> Result<Vec<LockHolder>, Fault> {
        locks::all(tenants).await
    }

    fn scratch(&self) -> Option<&'static dyn ScratchServer> {
        Some(&scratch::Scratch)
    }
}

struct MysqlReader {
    connection: MySqlConnection,
    limit: Duration,
}

#[async_trait]
impl Reader for MysqlReader {
    async fn rows(&mut self, sql: String) -> Option<Vec<(usize, String)>> {
        let query = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_all(&mut self.connection);
        let rows = tokio::time::timeout(self.limit, query).await.ok()?.ok()?;
        let pair = |row| Some((usize::try_from(decode::number(row, 0)?).ok()?, decode::text(row, 1)?));
        rows.iter().map(pair).collect()
    }

    fn exist(&self, tables: &str, names: &str) -> String {
        format!(
            "SELECT 0, table_schema FROM information_schema.tables WHERE table_name IN ({tables}) AND table_schema IN \
             ({names})"
        )
    }

    async fn close(self: Box<Self>) {
        let _ = self.connection.close().await;
    }
}
