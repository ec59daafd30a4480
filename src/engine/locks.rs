//! Who holds and who waits on the tenants' databases at this moment, and whose open transaction the next migration may
//! have to wait for: one query a server.
//!
//! It only looks. Files are asked of the system, where that tells (Linux).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use secrecy::ExposeSecret;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Row as _};
use url::Url;

use super::mysql::decode;
use super::sqlite::file;
use super::{address, blocker, errors, literal};
use crate::model::fault::{Fault, FaultClass};
use crate::model::outcome::Blocker;
use crate::model::tenant::{Address, Engine, Tenant};

/// A session at a lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LockHolder {
    /// The tenants whose database it is in, or which of them are likely to be meant: several share a database as schemas.
    pub(crate) tenants: Vec<String>,
    /// Their engine.
    pub(crate) engine: Engine,
    /// Their server key.
    pub(crate) server: String,
    /// The session.
    pub(crate) session: Blocker,
    /// The sessions that it waits for; empty: it waits for nobody.
    pub(crate) waits_for: Vec<i64>,
    /// Whether it holds what others wait for, or the file. Neither this nor waiting: a transaction that is open on tables
    /// of this database.
    pub(crate) is_holder: bool,
    /// Whether the engine told who waits for whom; otherwise it was concluded from open transactions, and others than these
    /// may hold the lock.
    pub(crate) certain: bool,
}

/// How long a transaction has to be open before it is listed although nobody waits for it, in seconds.
const OPEN_FOR: u64 = 1;

/// What the servers of these tenants say, sorted; a server that can't be asked is a fault with its key.
pub(crate) async fn locks(tenants: &[Arc<Tenant>], limit: Duration) -> (Vec<LockHolder>, Vec<(String, Fault)>) {
    let mut groups: BTreeMap<(Engine, String), Vec<Arc<Tenant>>> = BTreeMap::new();
    let (mut found, mut faults) = (Vec::new(), Vec::new());
    for tenant in tenants {
        match tenant.address_for_migrations() {
            Address::File(path) => found.extend(file::holders(path).into_iter().map(|session| LockHolder {
                tenants: vec![tenant.id.to_string()],
                engine: tenant.engine,
                server: tenant.server.to_string(),
                session,
                waits_for: Vec::new(),
                is_holder: true,
                certain: true,
            })),
            Address::Url(url) => {
                let mut key = Url::parse(url.expose_secret()).ok();
                if let Some(url) = &mut key {
                    url.set_path("");
                }
                let key = key.map(|url| url.to_string()).unwrap_or_default();
                groups.entry((tenant.engine, key)).or_default().push(tenant.clone());
            }
            Address::Unusable(reason) => {
                faults.push((tenant.server.to_string(), Fault::new(FaultClass::BadAddress, reason.clone())));
            }
        }
    }
    let asked = groups.into_values().map(|group| async move {
        let answer = match group[0].engine {
            Engine::Mysql => tokio::time::timeout(limit, mysql(&group)).await,
            Engine::Postgres | Engine::Sqlite => tokio::time::timeout(limit, postgres(&group)).await,
        };
        let silent = || Fault::new(FaultClass::ConnectTimeout, "the server did not answer");
        (group[0].server.to_string(), answer.unwrap_or_else(|_| Err(silent())))
    });
    for (server, answer) in futures_util::future::join_all(asked).await {
        match answer {
            Ok(rows) => found.extend(rows),
            Err(fault) => faults.push((server, fault)),
        }
    }
    found.sort_by(|a, b| {
        let key = |row: &LockHolder| {
            (row.server.clone(), row.tenants.clone(), !row.is_holder, row.waits_for.is_empty(), row.session.id)
        };
        key(a).cmp(&key(b))
    });
    (found, faults)
}

/// The tenants by their database.
fn databases(group: &[Arc<Tenant>]) -> BTreeMap<String, Vec<String>> {
    let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for tenant in group {
        all.entry(address::database(tenant).unwrap_or_default()).or_default().push(tenant.id.to_string());
    }
    all
}

fn names(databases: &BTreeMap<String, Vec<String>>, engine: Engine) -> String {
    databases.keys().map(|name| literal(engine, name)).collect::<Vec<_>>().join(", ")
}

fn at_lock(group: &[Arc<Tenant>], tenants: &[String], session: Blocker, waits_for: Vec<i64>) -> LockHolder {
    let (engine, server) = (group[0].engine, group[0].server.to_string());
    LockHolder { tenants: tenants.to_vec(), engine, server, session, waits_for, is_holder: false, certain: true }
}

/// Says of all who of them holds what another waits for, or may hold it: somebody whom nobody waits for with certainty.
fn mark_holders(mut found: Vec<LockHolder>) -> Vec<LockHolder> {
    let wanted: Vec<(i64, bool)> =
        found.iter().flat_map(|row| row.waits_for.iter().map(|id| (*id, row.certain))).collect();
    for row in &mut found {
        let mut waits = wanted.iter().filter(|(id, _)| *id == row.session.id).peekable();
        row.is_holder = waits.peek().is_some();
        row.certain &= !row.is_holder || waits.any(|(_, certain)| *certain);
    }
    found
}

/// The first id of what is not the server's own catalog (`FirstNormalObjectId` in its access/transam.h).
const FIRST_TABLE: u32 = 16_384;

/// What PostgreSQL shows instead of a query.
const HIDDEN: &str = "<insufficient privilege>";

/// What others do is hidden from a user who is no member of `pg_read_all_stats`, their transactions' age included
/// (<https://www.postgresql.org/docs/15/monitoring-stats.html>); the locks themselves are not. So the locks say who waits, and
/// a hidden session with a lock on a table is listed however long it has had it.
async fn postgres(group: &[Arc<Tenant>]) -> Result<Vec<LockHolder>, Fault> {
    let databases = databases(group);
    let sql = format!(
        "WITH waiting AS (SELECT pid, pg_blocking_pids(pid) AS by FROM (SELECT DISTINCT pid FROM pg_locks WHERE NOT granted) l) \
         SELECT a.pid, a.usename::text, a.application_name, CASE WHEN a.xact_start IS NULL THEN NULL ELSE greatest(0, \
         extract(epoch from clock_timestamp() - a.xact_start)) END::bigint, CASE a.query WHEN '{HIDDEN}' THEN 'hidden \
         from this user, who lacks pg_read_all_stats' ELSE left(a.query, 200) END, host(a.client_addr), \
         a.datname::text, array_to_string(w.by, ' ') FROM pg_stat_activity a LEFT JOIN waiting w ON w.pid = a.pid WHERE \
         a.datname IN ({}) AND (w.pid IS NOT NULL OR EXISTS (SELECT 1 FROM waiting o WHERE a.pid = ANY (o.by)) OR \
         ((a.xact_start < clock_timestamp() - interval '{OPEN_FOR} s' OR a.query = '{HIDDEN}') AND a.application_name NOT LIKE 'fleet:%' AND EXISTS \
         (SELECT 1 FROM pg_locks l WHERE l.pid = a.pid AND l.database = a.datid AND l.relation >= {FIRST_TABLE})))",
        names(&databases, Engine::Postgres)
    );
    let options = address::postgres(&group[0])?.application_name("fleet:locks");
    let mut connection = options.connect().await.map_err(|e| errors::fault(&e))?;
    let rows = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_all(&mut connection).await.map_err(|e| errors::fault(&e));
    let _ = connection.close().await;
    let row = |row: &sqlx::postgres::PgRow| {
        let text = |i: usize| row.try_get::<Option<String>, _>(i).ok().flatten().filter(|t| !t.is_empty());
        let session = Blocker {
            id: row.try_get::<i32, _>(0).ok()?.into(),
            user: text(1),
            application: text(2),
            transaction_seconds: row.try_get::<Option<i64>, _>(3).ok().flatten().map(i64::unsigned_abs),
            query: text(4),
            address: text(5),
            database: text(6),
            lock: None,
        };
        let by = text(7).unwrap_or_default().split(' ').filter_map(|pid| pid.parse().ok()).collect();
        Some(at_lock(group, databases.get(session.database.as_deref()?)?, session, by))
    };
    Ok(mark_holders(rows?.iter().filter_map(row).collect()))
}

/// Rows by the engine's own table of waits. Who holds a metadata lock is told by MariaDB's plugin `metadata_lock_info`;
/// without it, all open transactions of a database are listed in which somebody waits for one, as probable holders only.
async fn mysql(group: &[Arc<Tenant>]) -> Result<Vec<LockHolder>, Fault> {
    let databases = databases(group);
    let names = names(&databases, Engine::Mysql);
    let columns = "p.id, p.user, CAST(TIMESTAMPDIFF(SECOND, t.trx_started, NOW()) AS signed), \
                   LEFT(COALESCE(p.info, ''), 200), SUBSTRING_INDEX(p.host, ':', 1), p.db";
    let all =
        "information_schema.processlist p LEFT JOIN information_schema.innodb_trx t ON t.trx_mysql_thread_id = p.id";
    let meta = "LIKE 'Waiting for table metadata lock%'";
    let by_row = "(SELECT GROUP_CONCAT(b.trx_mysql_thread_id SEPARATOR ' ') FROM information_schema.innodb_lock_waits w JOIN \
                  information_schema.innodb_trx b ON b.trx_id = w.blocking_trx_id WHERE w.requesting_trx_id = t.trx_id)";
    let by_meta = format!(
        "CASE WHEN p.state {meta} THEN (SELECT GROUP_CONCAT(o.id SEPARATOR ' ') FROM information_schema.processlist o JOIN \
         information_schema.innodb_trx u ON u.trx_mysql_thread_id = o.id WHERE o.db = p.db AND o.id <> p.id AND NOT \
         COALESCE(o.state {meta}, 0)) END"
    );
    let sql = format!(
        "SELECT {columns}, {by_row}, {by_meta}, CASE WHEN p.state {meta} THEN p.info END FROM {all} WHERE p.db IN \
         ({names}) AND (t.trx_id IS NOT NULL OR p.state {meta})"
    );
    let options = address::mysql(&group[0])?;
    let mut connection = options.connect().await.map_err(|e| errors::fault(&e))?;
    let rows = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_all(&mut connection).await.map_err(|e| errors::fault(&e));
    let tables = format!(
        "SELECT thread_id, table_schema, table_name, lock_mode FROM information_schema.metadata_lock_info WHERE lock_type = \
         'Table metadata lock' AND table_schema IN ({names})"
    );
    // Without the plugin there is no such table.
    let tables = sqlx::raw_sql(AssertSqlSafe(tables)).fetch_all(&mut connection).await.unwrap_or_default();
    let tables: Vec<TableLock> = tables.iter().filter_map(TableLock::of).collect();
    let _ = connection.close().await;
    let row = |row: &sqlx::mysql::MySqlRow| {
        let text = |i: usize| decode::text(row, i).filter(|t| !t.is_empty());
        let session = Blocker {
            id: decode::number(row, 0)?,
            user: text(1),
            application: None,
            transaction_seconds: decode::number(row, 2).map(i64::unsigned_abs),
            query: text(3),
            address: text(4),
            database: text(5),
            lock: None,
        };
        let ids = |text: String| text.split(' ').filter_map(|id| id.parse().ok()).collect::<Vec<i64>>();
        let by_table = || text(8).map(|statement| holders_of(&session, &statement, &tables));
        let (by, certain) = match (text(6), by_table().filter(|(told, _)| !told.is_empty())) {
            (Some(by_row), _) => (ids(by_row), true),
            (None, Some(told)) => told,
            (None, None) => text(7).map_or((Vec::new(), true), |guessed| (ids(guessed), false)),
        };
        let of = databases.get(session.database.as_deref()?)?;
        Some(LockHolder { certain, ..at_lock(group, of, session, by) })
    };
    let is_old = |row: &LockHolder| row.session.transaction_seconds.is_some_and(|age| age >= OPEN_FOR);
    let found = mark_holders(rows?.iter().filter_map(row).collect());
    Ok(found.into_iter().filter(|row| row.is_holder || !row.waits_for.is_empty() || is_old(row)).collect())
}

/// A lock on a table that a session has.
struct TableLock {
    session: i64,
    database: String,
    table: String,
    mode: String,
}

impl TableLock {
    fn of(row: &sqlx::mysql::MySqlRow) -> Option<Self> {
        let (database, table) = (decode::text(row, 1)?, decode::text(row, 2)?);
        Some(TableLock { session: decode::number(row, 0)?, database, table, mode: decode::text(row, 3)? })
    }
}

/// The sessions with a lock on a table at which a session waits: one on which it has a weaker lock already, or that its
/// statement names. It is certain where these locks are all on one table.
fn holders_of(waiting: &Blocker, statement: &str, tables: &[TableLock]) -> (Vec<i64>, bool) {
    let here = |lock: &&TableLock| waiting.database.as_ref() == Some(&lock.database);
    let own: Vec<&TableLock> = tables.iter().filter(here).filter(|lock| lock.session == waiting.id).collect();
    let is_at = |lock: &&TableLock| {
        blocker::is_in_the_way(statement, &lock.mode)
            && (own.iter().any(|own| own.table == lock.table) || blocker::names(statement, &lock.table))
    };
    let others = tables.iter().filter(here).filter(|lock| lock.session != waiting.id).filter(is_at);
    let others: Vec<&TableLock> = others.collect();
    let is_one = others.iter().all(|lock| lock.table == others[0].table);
    let mut sessions: Vec<i64> = others.iter().map(|lock| lock.session).collect();
    sessions.sort_unstable();
    sessions.dedup();
    (sessions, is_one)
}
