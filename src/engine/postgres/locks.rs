//! Locks of a PostgreSQL server: one reading of holders and waiters, and the statement that terminates a holder.
//!
//! Other users' queries and the age of their transactions are shown only to a superuser or a member of
//! `pg_read_all_stats` (<https://www.postgresql.org/docs/15/monitoring-stats.html>); the locks themselves are visible,
//! so waiters are known.

use std::time::Duration;

use sqlx::postgres::PgConnectOptions;

use crate::engine::Look;
use crate::engine::locks::{AtLock, MOST, OPEN_FOR};
use crate::engine::postgres::own_backend::OwnBackend;
use crate::engine::queries::{KeptAside, Queries, TextRow, connect_aside};
use crate::model::fault::Fault;
use crate::model::locks::LockWait;
use crate::model::outcome::Blocker;

/// The first object id outside the server's own catalog (`FirstNormalObjectId` in its access/transam.h).
const FIRST_TABLE: u32 = 16_384;

/// PostgreSQL's placeholder for a hidden query.
const HIDDEN: &str = "<insufficient privilege>";

/// The holders and waiters of the lock that a PostgreSQL session waits for, which is ended if it waits for longer than the
/// look says; `None` if the server can't be asked.
pub(in crate::engine) async fn wait(
    aside: &KeptAside<PgConnectOptions>,
    own: &OwnBackend,
    look: Look,
) -> Option<LockWait> {
    let scope = format!(
        "EXISTS (SELECT 1 FROM pg_stat_activity me LEFT JOIN waiting v ON v.pid = me.pid WHERE {} AND \
         me.pid <> pg_backend_pid() AND (a.pid = me.pid OR a.pid = ANY (v.by) OR me.pid = ANY (w.by)))",
        own.is_it("me")
    );
    let mut connection = aside.take().await.ok()?;
    // The blockers of a session are read from all locks of the server while nobody else gets one.
    let is_waiting =
        format!("SELECT 1 FROM pg_stat_activity a WHERE {} AND a.wait_event_type = 'Lock'", own.is_it("a"));
    if connection.rows(is_waiting).await.ok()?.is_empty() {
        aside.leave(connection, look.keep).await;
        return Some(LockWait::default());
    }
    let found = read(&mut *connection, &scope).await.ok()?;
    if let Some(most) = look.most {
        connection.run(end(own, most)).await.ok()?;
    }
    aside.leave(connection, look.keep).await;
    let (me, others): (Vec<AtLock>, Vec<AtLock>) =
        found.into_iter().partition(|at| own.is(at.session.id, at.session.application.as_ref()));
    let is_waited_for = |other: &&AtLock| me.iter().any(|me| me.waits_for.contains(&other.session.id));
    let is_behind = |other: &&AtLock| me.iter().any(|me| other.waits_for.contains(&me.session.id));
    let sessions = |found: Vec<&AtLock>| found.into_iter().take(MOST).map(|at| at.session.clone()).collect();
    Some(LockWait {
        holders: sessions(others.iter().filter(is_waited_for).collect()),
        waiting: sessions(others.iter().filter(is_behind).collect()),
        certain: true,
        is_waiting: me.iter().any(|me| !me.waits_for.is_empty()),
        ..LockWait::default()
    })
}

/// Ends the statement of the session, if it has waited at one lock for longer than `most`. Before
/// PostgreSQL 14 the server tells only for how long the statement has lasted.
fn end(own: &OwnBackend, most: Duration) -> String {
    format!(
        "SELECT pg_cancel_backend(a.pid) FROM pg_stat_activity a JOIN pg_locks l ON l.pid = a.pid AND NOT l.granted WHERE \
         {} AND a.pid <> pg_backend_pid() AND CASE WHEN to_jsonb(l) ? 'waitstart' THEN (to_jsonb(l) \
         ->> 'waitstart')::timestamptz ELSE a.query_start END < clock_timestamp() - interval '{} milliseconds'",
        own.is_it("a"),
        most.as_millis()
    )
}

/// The holders, the waiters, and the sessions that have long held a lock on a table of these databases. A hidden
/// session with such a lock is included however long it has held it.
pub(in crate::engine) async fn all(options: PgConnectOptions, databases: &str) -> Result<Vec<AtLock>, Fault> {
    let scope = format!(
        "a.datname IN ({databases}) AND (w.pid IS NOT NULL OR EXISTS (SELECT 1 FROM waiting o WHERE a.pid = ANY (o.by)) OR \
         ((a.xact_start < clock_timestamp() - interval '{OPEN_FOR} s' OR a.query = '{HIDDEN}') AND a.application_name NOT \
         LIKE 'fleet:%' AND EXISTS (SELECT 1 FROM pg_locks l WHERE l.pid = a.pid AND l.database = a.datid AND l.relation >= \
         {FIRST_TABLE})))"
    );
    let mut connection = connect_aside(options.application_name("fleet:locks")).await?;
    let found = read(&mut *connection, &scope).await;
    connection.close().await;
    found
}

/// The sessions `a` in a scope, each with the sessions that it waits for (`w`), oldest transaction first.
async fn read(connection: &mut dyn Queries, scope: &str) -> Result<Vec<AtLock>, Fault> {
    // An age must not be rounded up: it would exceed the real one when the session is terminated a moment later.
    let sql = format!(
        "WITH waiting AS (SELECT pid, pg_blocking_pids(pid) AS by FROM (SELECT DISTINCT pid FROM pg_locks WHERE NOT granted) l) \
         SELECT a.pid, a.usename, a.application_name, CASE WHEN a.xact_start IS NOT NULL THEN greatest(0, floor(extract(epoch \
         from clock_timestamp() - a.xact_start))) END::bigint, CASE a.query WHEN '{HIDDEN}' THEN 'hidden from this user, who \
         lacks pg_read_all_stats' ELSE left(a.query, 200) END, host(a.client_addr), a.datname, array_to_string(w.by, ' ') \
         FROM pg_stat_activity a LEFT JOIN waiting w ON w.pid = a.pid WHERE {scope} ORDER BY a.xact_start"
    );
    let rows = connection.rows(sql).await?;
    let at_lock = |row: &TextRow| {
        let text = |column| row.text(column).filter(|text| !text.is_empty());
        let session = Blocker {
            id: row.parse(0)?,
            user: text(1),
            application: text(2),
            transaction_seconds: row.parse(3),
            query: text(4),
            address: text(5),
            database: text(6),
            lock: None,
        };
        let waits_for = row.must(7).split(' ').filter_map(|pid| pid.parse().ok()).collect();
        Some(AtLock { session, waits_for, certain: true, is_open: true })
    };
    Ok(rows.iter().filter_map(at_lock).collect())
}

/// The statement that terminates a PostgreSQL session, if it is an application's own, still in the transaction that was
/// seen, in the current database, and old enough.
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

/// Whether this user can't see the session's transaction.
pub(in crate::engine) fn is_hidden(blocker: &Blocker) -> String {
    format!(
        "SELECT 1 FROM pg_stat_activity WHERE pid = {} AND datname = current_database() AND query = '{HIDDEN}'",
        blocker.id
    )
}
