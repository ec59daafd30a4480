//! The driver for PostgreSQL.

use async_trait::async_trait;
use secrecy::ExposeSecret;
use sqlx::postgres::PgRow;
use sqlx::{Row as _, ValueRef as _};

use crate::engine::driver::Driver;
use crate::engine::locks::AtLock;
use crate::engine::postgres::{PostgresSession, locks, scratch};
use crate::engine::queries::{SideConnection, TextColumns, connect_aside};
use crate::engine::scratch::ScratchServer;
use crate::engine::{Session, TenantEndpoint, address, literal};
use crate::model::engine::Engine;
use crate::model::fault::Fault;
use crate::model::schema::Script;
use crate::model::tenant::{Address, Tenant};
use crate::sql::foreign_keys::mentions;

pub(in crate::engine) struct Postgres;

#[async_trait]
impl Driver for Postgres {
    /// A new value of an enumeration can't be used before its transaction has ended.
    fn ends_transaction(&self, scripts: &[&Script]) -> Vec<usize> {
        let adds = |script: &Script| script.statements.iter().any(|sql| mentions(sql, &["add value"]));
        (0..scripts.len()).filter(|&index| adds(scripts[index])).collect()
    }

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

    async fn reader(&self, tenant: &Tenant) -> Option<Box<dyn SideConnection>> {
        connect_aside(address::postgres(tenant).ok()?.application_name("fleet:read")).await.ok()
    }

    /// Joined without `pg_namespace`, which a server that does not know its size reads once for each table.
    fn tables_there(&self, tables: &[&str], names: &[&str]) -> String {
        let list = |all: &[&str]| all.iter().map(|name| literal(Engine::Postgres, name)).collect::<Vec<_>>().join(", ");
        format!(
            "SELECT c.relname, v.name, has_schema_privilege(c.relnamespace, 'USAGE') AND has_table_privilege(c.oid, 'SELECT') FROM \
             unnest(ARRAY[{}]) v(name) JOIN pg_catalog.pg_class c ON c.relnamespace = to_regnamespace(quote_ident(v.name))::oid WHERE \
             c.relname IN ({})",
            list(names),
            list(tables)
        )
    }

    async fn locks(&self, tenant: &Tenant, databases: &str) -> Result<Vec<AtLock>, Fault> {
        locks::all(address::postgres(tenant)?, databases).await
    }

    fn scratch(&self) -> Option<&'static dyn ScratchServer> {
        Some(&scratch::Scratch)
    }
}

impl TextColumns for sqlx::Postgres {
    fn text(row: &PgRow, column: usize) -> Option<String> {
        let value = row.try_get_raw(column).ok().filter(|value| !value.is_null())?;
        value.as_str().ok().map(str::to_owned)
    }

    fn changed(result: &sqlx::postgres::PgQueryResult) -> u64 {
        result.rows_affected()
    }
}
