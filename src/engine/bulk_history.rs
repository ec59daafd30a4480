//! Many histories by one query, where one connection can see many tenants: the databases of one MySQL server, the
//! schemas of one PostgreSQL database.
//!
//! It only saves round trips. A tenant that it can't read is left out, and is then read by itself.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use super::dialect::literal;
use super::driver::driver;
use super::history::HistoryTables;
use super::journal;
use super::mysql;
use super::queries::SideConnection;
use crate::compile::MigrationSet;
use crate::model::engine::Engine;
use crate::model::tenant::{Tenant, TenantId};

/// Tenants per query: a server's parser is slower than linear in the length of a union.
const AT_ONCE: usize = 200;

/// Below this many tenants a shared connection saves nothing.
const WORTH_IT: usize = 2;

/// Reads the histories of tenants that can share a connection.
pub(crate) async fn read(
    tenants: &[Arc<Tenant>],
    (set, asks_flavours): (&MigrationSet, bool),
    limit: Duration,
) -> HashMap<TenantId, Vec<String>> {
    let (catalog, has_flavours) = (set.catalog(), set.has_flavours());
    let wanted = Wanted { history_table: &catalog.history_table, has_scripts: !catalog.scripts.is_empty() };
    let mut groups: HashMap<String, Vec<Arc<Tenant>>> = HashMap::new();
    for tenant in tenants {
        if let Some(key) = driver(tenant.engine).shared_connection(tenant) {
            groups.entry(key).or_default().push(tenant.clone());
        }
    }
    let reads = groups.into_values().filter(|group| group.len() >= WORTH_IT).map(|group| async move {
        // The connection, and then every query, has the connect timeout: a hanging server must not delay the rest.
        match tokio::time::timeout(limit, driver(group[0].engine).reader(&group[0])).await {
            Ok(Some(mut connection)) => {
                // A tenant whose flavour is not learned here is read by itself, and tells why, if it has to be known.
                let asks = has_flavours || asks_flavours;
                if asks && !learn(&group, &mut *connection, limit).await && has_flavours {
                    connection.close().await;
                    return HashMap::new();
                }
                read_chunks(&group, wanted, Reader { connection, limit }).await
            }
            _ => HashMap::new(),
        }
    });
    futures_util::future::join_all(reads).await.into_iter().flatten().collect()
}

/// Finds out the flavour of a server for all of its tenants; false: it is not known.
async fn learn(group: &[Arc<Tenant>], connection: &mut dyn SideConnection, limit: Duration) -> bool {
    let learned = tokio::time::timeout(limit, mysql::learn(&group[0], connection)).await;
    let is_known = matches!(learned, Ok(Ok(())));
    if let Some(flavour) = group[0].flavour.get().filter(|_| is_known) {
        group.iter().for_each(|tenant| _ = tenant.flavour.set(*flavour));
    }
    is_known
}

/// Groups rows of (index in `group`, version); a tenant without rows has an empty history table.
fn collect(group: &[Arc<Tenant>], read: &[usize], rows: Vec<(usize, String)>) -> HashMap<TenantId, Vec<String>> {
    let mut found: HashMap<usize, Vec<String>> = read.iter().map(|&i| (i, Vec::new())).collect();
    for (i, version) in rows {
        // A tenant with scripts unknown to this program, or with an open journal, is read by itself.
        if HistoryTables::is_mark(&version) {
            found.remove(&i);
        } else if let Some(versions) = found.get_mut(&i) {
            versions.push(version);
        }
    }
    let named = found.into_iter().map(|(i, mut versions)| {
        versions.sort_unstable();
        (group[i].id.clone(), versions)
    });
    named.collect()
}

/// The tables that are read of each tenant.
#[derive(Debug, Clone, Copy)]
struct Wanted<'a> {
    history_table: &'a str,
    has_scripts: bool,
}

impl<'a> Wanted<'a> {
    fn tables(self) -> Vec<&'a str> {
        let mut tables = vec![self.history_table];
        tables.extend(self.has_scripts.then_some(super::history::SCRIPTS));
        tables
    }

    /// One query for the histories of tenants, by their numbers and names.
    fn union<'n>(self, engine: Engine, tenants: impl Iterator<Item = (usize, &'n str, bool)>) -> String {
        let one = |(i, name, has_journal): (usize, &str, bool)| {
            let history = format!("{}.{}", engine.quote(name), engine.quote(self.history_table));
            let books = HistoryTables::new(engine, Some(name), history, self.has_scripts);
            format!("SELECT {i}, version FROM ({}) AS t{i}", books.look_at(name, has_journal))
        };
        tenants.map(one).collect::<Vec<_>>().join(" UNION ALL ")
    }
}

/// A connection that can read all tenants of a group.
struct Reader {
    connection: Box<dyn SideConnection>,
    limit: Duration,
}

impl Reader {
    /// The (number, text) rows of a query; `None` when it failed or took too long.
    async fn rows(&mut self, sql: String) -> Option<Vec<(usize, String)>> {
        let rows = tokio::time::timeout(self.limit, self.connection.rows(sql)).await.ok()?.ok()?;
        rows.iter().map(|row| Some((row.parse(0)?, row.text(1)?))).collect()
    }
}

/// Reads one group over one connection.
async fn read_chunks(group: &[Arc<Tenant>], wanted: Wanted<'_>, mut reader: Reader) -> HashMap<TenantId, Vec<String>> {
    let engine = group[0].engine;
    let names: Vec<String> = group.iter().filter_map(|tenant| driver(engine).namespace(tenant)).collect();
    let tables = wanted.tables();
    let union = |places: &[usize], has_journal: &dyn Fn(&str) -> bool| {
        wanted.union(engine, places.iter().map(|&i| (i, names[i].as_str(), has_journal(&names[i]))))
    };
    let list = |names: &mut dyn Iterator<Item = &str>| names.map(|n| literal(engine, n)).collect::<Vec<_>>().join(", ");
    let places: Vec<usize> = (0..names.len()).collect();
    let mut all = HashMap::new();
    for chunk in places.chunks(AT_ONCE) {
        let mut read = chunk.to_vec();
        let mut found = reader.rows(union(&read, &|_| true)).await;
        if found.is_none() {
            // A table is missing or unreadable: only the tables that exist are read.
            let here = list(&mut chunk.iter().map(|&i| names[i].as_str()));
            let there = reader.rows(driver(engine).tables_there(&list(&mut tables.iter().copied()), &here)).await;
            let there = there.unwrap_or_default();
            let journals = reader.rows(driver(engine).tables_there(&literal(engine, journal::TABLE), &here)).await;
            let journals: HashSet<String> = journals.into_iter().flatten().map(|(_, name)| name).collect();
            read.retain(|&i| there.iter().filter(|(_, name)| *name == names[i]).count() == tables.len());
            if !read.is_empty() {
                found = reader.rows(union(&read, &|name| journals.contains(name))).await;
            }
        }
        if let Some(found) = found {
            all.extend(collect(group, &read, found));
        }
    }
    reader.connection.close().await;
    all
}
