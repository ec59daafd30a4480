//! PostgreSQL among the drivers.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use secrecy::ExposeSecret;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection, Row as _};

use crate::engine::bulk_history::Reader;
use crate::engine::driver::Driver;
use crate::engine::postgres::{PostgresSession, locks, scratch};
use crate::engine::scratch::ScratchServer;
use crate::engine::{Session, TenantEndpoint, address};
use crate::model::fault::Fault;
use crate::model::locks::LockHolder;
use crate::model::tenant::{Address, Tenant};

pub(in crate::engine) struct Postgres;

#[async_trait]
impl Driver for Postgres {
    async fn open(&self, door: TenantEndpoint) -> Result<Box<dyn Session>, Fault> {
        Ok(Box::new(PostgresSession::open(door).await?))
    }

    fn namespace(&self, tenant: &Tenant) -> Option<String> {
        tenant.schema.clone()
    }

    /// The schemas of one database.
    fn shared_connection(&self, tenant: &Tenant) -> Option<String> {
        let Address::Url(url) = tenant.address_for_migrations() else { return None };
        tenant.schema.as_ref().map(|_| url.expose_secret().to_owned())
    }

    async fn reader(&self, tenant: &Tenant, limit: Duration) -> Option<Box<dyn Reader>> {
        let options = address::postgres(tenant).ok()?.application_name("fleet:read");
        let connection = tokio::time::timeout(limit, options.connect()).await.ok()?.ok()?;
        Some(Box::new(PostgresReader { connection, limit }))
    }

    async fn locks(&self, tenants: &[Arc<Tenant>]) -> Result<Vec<LockHolder>, Fault> {
        locks::all(tenants).await
    }

    fn scratch(&self) -> Option<&'static dyn ScratchServer> {
        Some(&scratch::Scratch)
    }
}

struct PostgresReader {
    connection: PgConnection,
    limit: Duration,
}

#[async_trait]
impl Reader for PostgresReader {
    async fn rows(&mut self, sql: String) -> Option<Vec<(usize, String)>> {
        let query = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_all(&mut self.connection);
        let rows = tokio::time::timeout(self.limit, query).await.ok()?.ok()?;
        let pair = |row: &sqlx::postgres::PgRow| {
            Some((usize::try_from(row.try_get::<i32, _>(0).ok()?).ok()?, row.try_get::<String, _>(1).ok()?))
        };
        rows.iter().map(pair).collect()
    }

    fn exist(&self, tables: &str, names: &str) -> String {
        // One that may not be read would spoil the union for all; unlike MySQL, PostgreSQL lists it too.
        format!(
            "SELECT 0, n.nspname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relname IN \
             ({tables}) AND n.nspname IN ({names}) AND has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT')"
        )
    }

    async fn close(self: Box<Self>) {
        let _ = self.connection.close().await;
    }
}
