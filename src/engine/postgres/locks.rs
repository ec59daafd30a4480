//! Locks of a PostgreSQL server: who holds the one that a session waits for, who is at one in some databases, and what ends
//! a session that holds one.
//!
//! Other users' queries and the age of their transactions are shown only to a superuser or a member of `pg_read_all_stats`
//! (<https://www.postgresql.org/docs/15/monitoring-stats.html>).

use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgRow};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Row as _};

use crate::engine::dialect::literal;
use crate::engine::locks::{MOST, OPEN_FOR, at_lock, databases, mark_holders, names};
use crate::engine::{address, errors};
use crate::model::engine::Engine;
use crate::model::fault::Fault;
use crate::model::locks::{LockHolder, LockWait};
use crate::model::outcome::Blocker;
use crate::model::tenant::Tenant;

/// The first id of what is not the server's own catalog (`FirstNormalObjectId` in its access/transam.h).
const FIRST_TABLE: u32 = 16_384;

/// What PostgreSQL shows instead of a query.
const HIDDEN: &str = "<insufficient privilege>";

/// Who is at the lock that the PostgreSQL session with this application name waits for.
///
/// Other users' queries are shown only to a superuser or a member of `pg_read_all_stats`
/// (<https://www.postgresql.org/docs/15/monitoring-stats.html>).
pub(in crate::engine) async fn wait(options: PgConnectOptions, name: String, limit: Duration) -> LockWait {
    let columns = "b.pid, b.usename::text, b.application_name, \
         CASE WHEN b.xact_start IS NULL THEN NULL ELSE greatest(0, extract(epoch from clock_timestamp() - b.xact_start)) \
         END::bigint, CASE b.query WHEN '<insufficient privilege>' THEN 'hidden from this user, who lacks \
         pg_read_all_stats' ELSE left(b.query, 200) END, host(b.client_addr), b.datname::text";
    let me = format!(
        "(SELECT pid FROM pg_stat_activity WHERE application_name = {} AND pid <> pg_backend_pid())",
        literal(Engine::Postgres, &name)
    );
    let sql = format!(
        "(SELECT DISTINCT {columns}, 'holds', b.xact_start FROM {me} me CROSS JOIN LATERAL unnest(pg_blocking_pids(me.pid)) \
         AS blocking(pid) JOIN pg_stat_activity b ON b.pid = blocking.pid ORDER BY b.xact_start LIMIT {MOST}) UNION ALL \
         (SELECT {columns}, 'waits', b.xact_start FROM {me} me JOIN pg_stat_activity b ON me.pid = ANY (CASE WHEN \
         b.wait_event_type = 'Lock' THEN pg_blocking_pids(b.pid) END) ORDER BY b.xact_start LIMIT {MOST})"
    );
    let ask = async {
        let mut connection = options.application_name("fleet:watch").connect().await.ok()?;
        let rows = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_all(&mut connection).await.ok()?;
        let _ = connection.close().await;
        let mut locked = LockWait { certain: true, ..LockWait::default() };
        for row in &rows {
            let text = |i: usize| row.try_get::<Option<String>, _>(i).ok().flatten().filter(|t| !t.is_empty());
            let blocker = Blocker {
                id: row.try_get::<i32, _>(0).ok()?.into(),
                user: text(1),
                application: text(2),
                transaction_seconds: row.try_get::<Option<i64>, _>(3).ok().flatten().map(i64::unsigned_abs),
                query: text(4),
                address: text(5),
                database: text(6),
                lock: None,
            };
            let list = if text(7).as_deref() == Some("holds") { &mut locked.holders } else { &mut locked.waiting };
            list.push(blocker);
        }
        Some(locked)
    };
    tokio::time::timeout(limit, ask).await.ok().flatten().unwrap_or_default()
}

/// What others do is hidden from a user who is no member of `pg_read_all_stats`, their transactions' age included
/// (<https://www.postgresql.org/docs/15/monitoring-stats.html>); the locks themselves are not. So the locks say who waits, and
/// a hidden session with a lock on a table is listed however long it has had it.
pub(in crate::engine) async fn all(group: &[Arc<Tenant>]) -> Result<Vec<LockHolder>, Fault> {
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
    let row = |row: &PgRow| {
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

/// What terminates a PostgreSQL session, if it still is in the transaction that was seen, in the database that this is
/// asked in, an application's own, and old enough.
pub(in crate::engine) fn terminate(blocker: &Blocker, older_than: Duration) -> String {
    let seen = Duration::from_secs(blocker.transaction_seconds.unwrap_or(0));
    format!(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = {} AND pid <> pg_backend_pid() AND datname = \
         current_database() AND backend_type = 'client backend' AND application_name NOT LIKE 'fleet:%' AND xact_start <= \
         clock_timestamp() - interval '{} milliseconds'",
        blocker.id,
        older_than.max(seen).as_millis()
    )
}

/// Whether the session is one whose transaction this user is not shown.
pub(in crate::engine) fn is_hidden(blocker: &Blocker) -> String {
    format!(
        "SELECT 1 FROM pg_stat_activity WHERE pid = {} AND datname = current_database() AND query = '<insufficient privilege>'",
        blocker.id
    )
}
