//! Many histories by one query, where one connection can see many tenants: the databases of one MySQL server, the schemas
//! of one PostgreSQL database.
//!
//! It only saves round trips. Whatever it can't read it leaves out, and the tenant is read by itself.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use secrecy::ExposeSecret;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Row as _};
use url::Url;

use super::{address, literal};
use crate::tenant::{Address, Engine, Tenant, TenantId};

/// Tenants in one query: a server's parser is slower than linear in the length of a union.
const AT_ONCE: usize = 200;

/// Below this many tenants a shared connection saves nothing.
const WORTH_IT: usize = 2;

/// Reads what can be read together.
pub(super) async fn read(
    tenants: &[Arc<Tenant>],
    history_table: &str,
    limit: Duration,
) -> HashMap<TenantId, Vec<String>> {
    let mut groups: HashMap<String, Vec<Arc<Tenant>>> = HashMap::new();
    for tenant in tenants {
        if let Some(key) = shared_connection(tenant) {
            groups.entry(key).or_default().push(tenant.clone());
        }
    }
    let reads = groups.into_values().filter(|group| group.len() >= WORTH_IT).map(|group| async move {
        // The connection, and then every query, has the connect timeout: a hanging server must not hold up the rest.
        match group[0].engine {
            Engine::Mysql => mysql(&group, history_table, limit).await,
            Engine::Postgres => postgres(&group, history_table, limit).await,
            Engine::Sqlite => HashMap::new(),
        }
    });
    futures_util::future::join_all(reads).await.into_iter().flatten().collect()
}

/// What tenants must have in common to be read over one connection; `None`: a tenant of its own.
fn shared_connection(tenant: &Tenant) -> Option<String> {
    let Address::Url(url) = tenant.address_for_migrations() else { return None };
    match tenant.engine {
        Engine::Sqlite => None,
        Engine::Postgres => tenant.schema.as_ref().map(|_| url.expose_secret().to_owned()),
        Engine::Mysql => {
            let mut url = Url::parse(url.expose_secret()).ok()?;
            database(tenant)?;
            url.set_path("");
            Some(url.to_string())
        }
    }
}

/// The database that a MySQL tenant's URL names.
fn database(tenant: &Tenant) -> Option<String> {
    let Address::Url(url) = tenant.address_for_migrations() else { return None };
    let url = Url::parse(url.expose_secret()).ok()?;
    let name = percent_encoding::percent_decode_str(url.path().trim_start_matches('/')).decode_utf8().ok()?;
    (!name.is_empty()).then(|| name.into_owned())
}

/// Puts rows of (place in `group`, version) together; a place without rows is a tenant with an empty history table.
fn collect(group: &[Arc<Tenant>], read: &[usize], rows: Vec<(usize, String)>) -> HashMap<TenantId, Vec<String>> {
    let mut found: HashMap<usize, Vec<String>> = read.iter().map(|&i| (i, Vec::new())).collect();
    for (i, version) in rows {
        if let Some(versions) = found.get_mut(&i) {
            versions.push(version);
        }
    }
    let named = found.into_iter().map(|(i, mut versions)| {
        versions.sort_unstable();
        (group[i].id.clone(), versions)
    });
    named.collect()
}

fn union(parts: impl Iterator<Item = (usize, String)>) -> String {
    parts.map(|(i, table)| format!("SELECT {i}, version FROM {table}")).collect::<Vec<_>>().join(" UNION ALL ")
}

async fn mysql(group: &[Arc<Tenant>], history_table: &str, limit: Duration) -> HashMap<TenantId, Vec<String>> {
    let mut all = HashMap::new();
    let Ok(options) = address::mysql(&group[0]) else { return all };
    let Ok(Ok(mut connection)) = tokio::time::timeout(limit, options.connect()).await else { return all };
    let databases: Vec<String> = group.iter().filter_map(|t| database(t)).collect();
    let table = |i: usize| format!("{}.{}", Engine::Mysql.quote(&databases[i]), Engine::Mysql.quote(history_table));
    let places: Vec<usize> = (0..databases.len()).collect();
    for chunk in places.chunks(AT_ONCE) {
        let mut read = chunk.to_vec();
        let mut rows = rows_mysql(&mut connection, union(read.iter().map(|&i| (i, table(i)))), limit).await;
        if rows.is_none() {
            // Some table is missing, or may not be read: those that are there, and only those.
            let names = chunk.iter().map(|&i| literal(Engine::Mysql, &databases[i])).collect::<Vec<_>>().join(", ");
            let there = format!(
                "SELECT 0, table_schema FROM information_schema.tables WHERE table_name = {} AND table_schema IN ({names})",
                literal(Engine::Mysql, history_table)
            );
            let there = rows_mysql(&mut connection, there, limit).await.unwrap_or_default();
            read.retain(|&i| there.iter().any(|(_, name)| *name == databases[i]));
            if !read.is_empty() {
                rows = rows_mysql(&mut connection, union(read.iter().map(|&i| (i, table(i)))), limit).await;
            }
        }
        if let Some(rows) = rows {
            all.extend(collect(group, &read, rows));
        }
    }
    let _ = connection.close().await;
    all
}

async fn rows_mysql(
    connection: &mut sqlx::MySqlConnection,
    sql: String,
    limit: Duration,
) -> Option<Vec<(usize, String)>> {
    let query = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_all(connection);
    let rows = tokio::time::timeout(limit, query).await.ok()?.ok()?;
    let pair = |row: &sqlx::mysql::MySqlRow| {
        let i = row.try_get::<i64, _>(0).or_else(|_| row.try_get::<i32, _>(0).map(i64::from)).ok()?;
        let version = row
            .try_get::<String, _>(1)
            .or_else(|_| row.try_get::<Vec<u8>, _>(1).map(|b| String::from_utf8_lossy(&b).into_owned()));
        Some((usize::try_from(i).ok()?, version.ok()?))
    };
    rows.iter().map(pair).collect()
}

async fn postgres(group: &[Arc<Tenant>], history_table: &str, limit: Duration) -> HashMap<TenantId, Vec<String>> {
    let mut all = HashMap::new();
    let Ok(options) = address::postgres(&group[0]) else { return all };
    let options = options.application_name("fleet:read");
    let Ok(Ok(mut connection)) = tokio::time::timeout(limit, options.connect()).await else { return all };
    let schema = |i: usize| group[i].schema.as_deref().unwrap_or_default();
    let table = |i: usize| format!("{}.{}", Engine::Postgres.quote(schema(i)), Engine::Postgres.quote(history_table));
    let places: Vec<usize> = (0..group.len()).collect();
    for chunk in places.chunks(AT_ONCE) {
        let mut read = chunk.to_vec();
        let mut rows = rows_postgres(&mut connection, union(read.iter().map(|&i| (i, table(i)))), limit).await;
        if rows.is_none() {
            // One that may not be read would spoil the union for all; unlike MySQL, PostgreSQL lists it too.
            let names = chunk.iter().map(|&i| literal(Engine::Postgres, schema(i))).collect::<Vec<_>>().join(", ");
            let there = format!(
                "SELECT 0, n.nspname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relname = {} \
                 AND n.nspname IN ({names}) AND has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, \
                 'SELECT')",
                literal(Engine::Postgres, history_table)
            );
            let there = rows_postgres(&mut connection, there, limit).await.unwrap_or_default();
            read.retain(|&i| there.iter().any(|(_, name)| name == schema(i)));
            if !read.is_empty() {
                rows = rows_postgres(&mut connection, union(read.iter().map(|&i| (i, table(i)))), limit).await;
            }
        }
        if let Some(rows) = rows {
            all.extend(collect(group, &read, rows));
        }
    }
    let _ = connection.close().await;
    all
}

async fn rows_postgres(
    connection: &mut sqlx::PgConnection,
    sql: String,
    limit: Duration,
) -> Option<Vec<(usize, String)>> {
    let query = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_all(connection);
    let rows = tokio::time::timeout(limit, query).await.ok()?.ok()?;
    let pair = |row: &sqlx::postgres::PgRow| {
        Some((usize::try_from(row.try_get::<i32, _>(0).ok()?).ok()?, row.try_get::<String, _>(1).ok()?))
    };
    rows.iter().map(pair).collect()
}
