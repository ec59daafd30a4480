//! Many histories by one query, where one connection can see many tenants: the databases of one MySQL server, the
//! schemas of one PostgreSQL database.
//!
//! It only saves round trips. A tenant that it can't read is left out, and is then read by itself.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use super::driver::driver;
use super::history::{HistoryTables, SCRIPTS};
use super::journal;
use super::mysql;
use super::queries::{SideConnection, TextRow};
use crate::compile::MigrationSet;
use crate::model::engine::Engine;
use crate::model::tenant::{Tenant, TenantId};

/// Tenants per query of histories: a server's parser is slower than linear in the length of a union.
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
                let engine = group[0].engine;
                let names: Vec<String> = group.iter().filter_map(|tenant| driver(engine).namespace(tenant)).collect();
                let mut reader = Reader { connection, limit, engine, names: &names };
                let found = reader.read(wanted).await.unwrap_or_default();
                reader.connection.close().await;
                found.into_iter().map(|(i, versions)| (group[i].id.clone(), versions)).collect()
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

/// Groups rows of (index in `group`, version) of the tenants that were read; one without rows has an empty history table.
fn collect(read: &[usize], rows: &[TextRow]) -> Option<HashMap<usize, Vec<String>>> {
    let mut found: HashMap<usize, Vec<String>> = read.iter().map(|&i| (i, Vec::new())).collect();
    for row in rows {
        let i = row.parse(0)?;
        match row.text(1) {
            Some(version) => found.entry(i).and_modify(|versions| versions.push(version)),
            // A journal has a row: the tenant is read by itself.
            None => {
                found.remove(&i);
                continue;
            }
        };
    }
    found.values_mut().for_each(|versions| versions.sort_unstable());
    Some(found)
}

/// The tables that are looked for in each tenant.
#[derive(Debug, Clone, Copy)]
struct Wanted<'a> {
    history_table: &'a str,
    has_scripts: bool,
}

impl<'a> Wanted<'a> {
    fn tables(self) -> [&'a str; 3] {
        [self.history_table, SCRIPTS, journal::TABLE]
    }

    /// Whether a tenant with these tables can be read together with others. In a program without scripts, one that has some is read by
    /// itself.
    fn can_be_read(self, [history, scripts, journal]: Has) -> bool {
        let are_scripts_as_expected = if self.has_scripts { scripts == Some(true) } else { scripts.is_none() };
        history == Some(true) && are_scripts_as_expected && journal != Some(false)
    }

    /// One query for the histories of tenants, by their numbers and names.
    fn union<'n>(self, engine: Engine, tenants: impl Iterator<Item = (usize, &'n str, Has)>) -> String {
        let one = |(i, name, [.., journal]): (usize, &str, Has)| {
            let history = format!("{}.{}", engine.quote(name), engine.quote(self.history_table));
            HistoryTables::new(engine, Some(name), history, self.has_scripts).look_at(i, journal.is_some())
        };
        tenants.map(one).collect::<Vec<_>>().join(" UNION ALL ")
    }
}

/// Which of [`Wanted::tables`] a tenant has, and whether each can be read.
type Has = [Option<bool>; 3];

/// A connection that can read all tenants of a group.
struct Reader<'a> {
    connection: Box<dyn SideConnection>,
    limit: Duration,
    engine: Engine,
    /// The databases or schemas of the tenants.
    names: &'a [String],
}

impl Reader<'_> {
    /// The rows of a query; `None` when it failed or took too long.
    async fn rows(&mut self, sql: String) -> Option<Vec<TextRow>> {
        tokio::time::timeout(self.limit, self.connection.rows(sql)).await.ok()?.ok()
    }

    /// Which of some tables each tenant has. A server may have turned names to lower case.
    async fn tables(&mut self, tables: &[&str]) -> Option<Vec<Vec<Option<bool>>>> {
        let mut places: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (i, name) in self.names.iter().enumerate() {
            places.entry(name.clone()).or_default().push(i);
        }
        let lower: HashMap<String, String> = places.keys().map(|name| (name.to_lowercase(), name.clone())).collect();
        let names: Vec<&str> = places.keys().map(String::as_str).collect();
        let rows = self.rows(driver(self.engine).tables_there(tables, &names)).await?;
        let mut found = vec![vec![None; tables.len()]; self.names.len()];
        for row in rows {
            let (table, name) = (row.text(0)?, row.text(1)?);
            let table = tables.iter().position(|own| own.eq_ignore_ascii_case(&table))?;
            let places = places.get(&name).or_else(|| places.get(lower.get(&name)?));
            for &i in places.into_iter().flatten() {
                found[i][table] = Some(row.is_true(2));
            }
        }
        Some(found)
    }

    /// Reads the tenants that have all tables which are needed. A table may be made meanwhile: whoever has another one behind it is
    /// left out, so that no journal is open in those that are found.
    async fn read(&mut self, wanted: Wanted<'_>) -> Option<HashMap<usize, Vec<String>>> {
        let tables = wanted.tables();
        let has: Vec<Has> = self.tables(&tables).await?.into_iter().map_while(|has| has.try_into().ok()).collect();
        let places: Vec<usize> = (0..has.len()).filter(|&i| wanted.can_be_read(has[i])).collect();
        let mut all = HashMap::new();
        for chunk in places.chunks(AT_ONCE) {
            let tenants = chunk.iter().map(|&i| (i, self.names[i].as_str(), has[i]));
            if let Some(rows) = self.rows(wanted.union(self.engine, tenants)).await {
                all.extend(collect(chunk, &rows)?);
            }
        }
        let lacked: Vec<usize> =
            (0..tables.len()).filter(|&table| all.keys().any(|&i: &usize| has[i][table].is_none())).collect();
        if !lacked.is_empty() {
            let now = self.tables(&lacked.iter().map(|&table| tables[table]).collect::<Vec<_>>()).await?;
            all.retain(|&i, _| lacked.iter().zip(&now[i]).all(|(&table, now)| *now == has[i][table]));
        }
        Some(all)
    }
}
