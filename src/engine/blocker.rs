//! Who is at the lock that a session waits for: asked over a connection of its own while the wait goes on, because
//! afterwards nobody knows any more.
//!
//! It only looks; nothing is cancelled here, and a question that fails is answered with "not known".

use std::time::Duration;

use sqlx::mysql::{MySqlConnectOptions, MySqlRow};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Row as _};

use super::mysql::decode;
use super::{LockWait, literal};
use crate::model::outcome::Blocker;
use crate::model::tenant::Engine;

/// At most so many holders, and as many who wait.
const MOST: usize = 10;

/// Who is at the lock that the PostgreSQL session with this application name waits for.
///
/// Other users' queries are shown only to a superuser or a member of `pg_read_all_stats`
/// (<https://www.postgresql.org/docs/15/monitoring-stats.html>).
pub(crate) async fn postgres(options: PgConnectOptions, name: String, limit: Duration) -> LockWait {
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

/// Who is at the lock that the MySQL or MariaDB session with this connection id waits for.
///
/// A row lock's holder is known for certain, and so is that of a metadata lock where MariaDB's plugin `metadata_lock_info`
/// is loaded. Elsewhere the open transactions in the database are named instead, and called probable.
pub(crate) async fn mysql(options: MySqlConnectOptions, id: u64, limit: Duration) -> LockWait {
    let columns = "p.id, p.user, CAST(TIMESTAMPDIFF(SECOND, t.trx_started, NOW()) AS signed), \
                   LEFT(COALESCE(p.info, t.trx_query, ''), 200), SUBSTRING_INDEX(p.host, ':', 1), p.db";
    let from = "information_schema.innodb_trx t JOIN information_schema.processlist p ON p.id = t.trx_mysql_thread_id";
    let waits = "information_schema.innodb_lock_waits w JOIN information_schema.innodb_trx me";
    let certain = format!(
        "(SELECT DISTINCT {columns}, 'holds', t.trx_started FROM {waits} ON me.trx_id = w.requesting_trx_id JOIN {from} ON \
         t.trx_id = w.blocking_trx_id WHERE me.trx_mysql_thread_id = {id} ORDER BY t.trx_started LIMIT {MOST}) UNION ALL \
         (SELECT DISTINCT {columns}, 'waits', t.trx_started FROM {waits} ON me.trx_id = w.blocking_trx_id JOIN {from} ON \
         t.trx_id = w.requesting_trx_id WHERE me.trx_mysql_thread_id = {id} ORDER BY t.trx_started LIMIT {MOST})"
    );
    let i_wait = format!(
        "EXISTS (SELECT 1 FROM information_schema.processlist me WHERE me.id = {id} AND me.state LIKE 'Waiting for%lock%')"
    );
    let queued = "p.state LIKE 'Waiting for table metadata lock%'";
    let probable = format!(
        "(SELECT {columns}, 'holds', t.trx_started FROM {from} WHERE p.id <> {id} AND p.db = DATABASE() AND {i_wait} AND NOT \
         (COALESCE({queued}, 0)) ORDER BY t.trx_started LIMIT {MOST}) UNION ALL (SELECT p.id, p.user, NULL, LEFT(p.info, \
         200), SUBSTRING_INDEX(p.host, ':', 1), p.db, 'waits', NULL FROM information_schema.processlist p WHERE p.id <> \
         {id} AND p.db = DATABASE() AND {i_wait} AND {queued} LIMIT {MOST})"
    );
    let ask = async {
        let mut connection = options.connect().await.ok()?;
        let mut locked = LockWait::default();
        let mut told_of = (Vec::new(), false);
        for (sql, application) in [(certain, None), (probable, Some("probably: an open transaction here"))] {
            if application.is_some() {
                // Without the plugin there is no such table.
                let rows = sqlx::raw_sql(AssertSqlSafe(told(id))).fetch_all(&mut connection).await;
                told_of = at_tables(&rows.unwrap_or_default());
            }
            // MySQL 8 has other tables for the first question; not knowing is no reason not to ask the second.
            let rows = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_all(&mut connection).await.unwrap_or_default();
            for row in &rows {
                let holds = decode::text(row, 6).as_deref() == Some("holds");
                if holds && !told_of.0.is_empty() {
                    continue;
                }
                let list = if holds { &mut locked.holders } else { &mut locked.waiting };
                list.extend(blocker(row, application.filter(|_| holds)));
            }
            if !locked.holders.is_empty() {
                locked.certain = application.is_none();
                break;
            }
        }
        if !told_of.0.is_empty() {
            (locked.holders, locked.certain) = told_of;
        }
        let _ = connection.close().await;
        Some(locked)
    };
    tokio::time::timeout(limit, ask).await.ok().flatten().unwrap_or_default()
}

/// The locks on tables of this database that others hold while the session waits for one. The plugin tells which locks are
/// granted, but not what a session waits for: that is a table on which it has a weaker lock already, or one that its
/// statement names.
fn told(id: u64) -> String {
    let locks = "information_schema.metadata_lock_info";
    format!(
        "SELECT p.id, p.user, CAST(COALESCE(TIMESTAMPDIFF(SECOND, t.trx_started, NOW()), p.time) AS signed), \
         LEFT(COALESCE(p.info, t.trx_query, ''), 200), SUBSTRING_INDEX(p.host, ':', 1), p.db, m.table_name, m.lock_mode, \
         me.info, CASE WHEN EXISTS (SELECT 1 FROM {locks} own WHERE own.thread_id = me.id AND own.lock_type = m.lock_type AND \
         own.table_schema = m.table_schema AND own.table_name = m.table_name) THEN 'own' ELSE '' END \
         FROM {locks} m JOIN information_schema.processlist me ON me.id = {id} AND me.state LIKE 'Waiting for table metadata \
         lock%' JOIN information_schema.processlist p ON p.id = m.thread_id LEFT JOIN information_schema.innodb_trx t ON \
         t.trx_mysql_thread_id = p.id WHERE m.thread_id <> {id} AND m.lock_type = 'Table metadata lock' AND m.table_schema = \
         DATABASE() AND COALESCE(p.state, '') NOT LIKE 'Waiting for table metadata lock%' ORDER BY t.trx_started, p.id"
    )
}

/// The holders in the rows of [`told`], each session once, and whether they are so for certain: all their locks are on one
/// table.
fn at_tables(rows: &[MySqlRow]) -> (Vec<Blocker>, bool) {
    let text = |row: &MySqlRow, i: usize| decode::text(row, i).unwrap_or_default();
    let is_at = |row: &&MySqlRow| {
        let statement = text(row, 8);
        is_in_the_way(&statement, &text(row, 7)) && (text(row, 9) == "own" || names(&statement, &text(row, 6)))
    };
    let wanted: Vec<&MySqlRow> = rows.iter().filter(is_at).collect();
    let mut holders: Vec<Blocker> = Vec::new();
    for row in &wanted {
        let Some(mut holder) = blocker(row, None) else { continue };
        if holders.len() < MOST && holders.iter().all(|known| known.id != holder.id) {
            holder.lock = Some(format!("{} ({})", text(row, 6), text(row, 7)));
            holders.push(holder);
        }
    }
    let is_one = wanted.iter().all(|row| text(row, 6) == text(wanted[0], 6));
    (holders, is_one)
}

/// Whether a statement has to wait for a lock of this mode: one that changes the table for any, one that changes or reads
/// rows only for those that keep it out (<https://mariadb.com/kb/en/metadata-locking/>).
pub(crate) fn is_in_the_way(statement: &str, mode: &str) -> bool {
    let first = crate::sql::first_words(Engine::Mysql, statement).next().unwrap_or_default();
    let is_of_rows =
        ["select", "insert", "update", "delete", "replace", "with", "load", "call", "do"].contains(&&*first);
    !is_of_rows || ["NO_WRITE", "NO_READ_WRITE", "READ_ONLY", "EXCLUSIVE"].iter().any(|word| mode.ends_with(word))
}

/// Whether a statement has a name in it as a whole word.
pub(crate) fn names(sql: &str, name: &str) -> bool {
    let (sql, name) = (sql.to_lowercase(), name.to_lowercase());
    let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
    !name.is_empty()
        && sql
            .match_indices(&name)
            .any(|(at, _)| !sql[..at].ends_with(is_part) && !sql[at + name.len()..].starts_with(is_part))
}

fn blocker(row: &MySqlRow, application: Option<&str>) -> Option<Blocker> {
    let text = |i: usize| decode::text(row, i).filter(|t| !t.is_empty());
    Some(Blocker {
        id: decode::number(row, 0)?,
        user: text(1),
        application: application.map(str::to_owned),
        transaction_seconds: decode::number(row, 2).map(i64::unsigned_abs),
        query: text(3),
        address: text(4),
        database: text(5),
        lock: None,
    })
}

/// What terminates a PostgreSQL session, if it still is in the transaction that was seen, in the database that this is
/// asked in, an application's own, and old enough.
pub(crate) fn terminate_postgres(blocker: &Blocker, older_than: Duration) -> String {
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
pub(crate) fn is_hidden(blocker: &Blocker) -> String {
    format!(
        "SELECT 1 FROM pg_stat_activity WHERE pid = {} AND datname = current_database() AND query = '<insufficient privilege>'",
        blocker.id
    )
}

/// The sessions in this database besides our own, but for those who wait for a table themselves.
pub(crate) const OTHERS: &str = "SELECT CAST(COUNT(*) AS SIGNED) FROM information_schema.processlist WHERE db = DATABASE() \
    AND id <> CONNECTION_ID() AND user <> 'system user' AND COALESCE(state, '') NOT LIKE 'Waiting for table metadata lock%'";

/// Refused to a user who is not shown other users' transactions, with or without any.
pub(crate) const SEES_ALL: &str = "SELECT 1 FROM information_schema.innodb_trx LIMIT 1";

/// That a session was not terminated, and which right it takes.
pub(crate) fn refused(blocker: &Blocker, right: &str) -> String {
    let user = blocker.user.as_ref().map(|user| format!(" of user {user}")).unwrap_or_default();
    format!("connection {}{user} was not terminated: this user lacks {right}", blocker.id)
}

/// What finds a MySQL session that may be terminated, for the same reasons. `lock` is the name of fleet's own lock here.
/// Where the holder is not `certain`, nobody else may be connected to the database: `LOCK TABLES` shows nowhere.
pub(crate) fn may_terminate_mysql(blocker: &Blocker, older_than: Duration, lock: &str, certain: bool) -> String {
    let alone = "NOT EXISTS (SELECT 1 FROM information_schema.processlist o WHERE o.db = DATABASE() AND o.id NOT IN (p.id, \
                 CONNECTION_ID()) AND o.user <> 'system user' AND COALESCE(o.state, '') NOT LIKE 'Waiting for table \
                 metadata lock%')";
    let only = if certain { "1 = 1" } else { alone };
    let seen = Duration::from_secs(blocker.transaction_seconds.unwrap_or(0));
    format!(
        "SELECT CAST(p.id AS char) FROM information_schema.innodb_trx t JOIN information_schema.processlist p ON p.id = \
         t.trx_mysql_thread_id WHERE p.id = {} AND p.id <> CONNECTION_ID() AND p.db = DATABASE() AND p.user <> 'system \
         user' AND p.command IN ('Sleep', 'Query', 'Execute') AND p.id <> COALESCE(IS_USED_LOCK({lock}), 0) AND \
         t.trx_started <= NOW() - INTERVAL {} SECOND AND {only}",
        blocker.id,
        // The engine keeps whole seconds of a transaction's begin.
        older_than.max(seen).as_millis().div_ceil(1000)
    )
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_reader_is_in_nobodys_way_but_who_changes_the_table() {
        for (statement, mode, expected) in [
            ("ALTER TABLE a ADD b int", "MDL_SHARED_READ", true),
            ("/* x */ update a SET b = 1", "MDL_SHARED_READ", false),
            ("UPDATE a SET b = 1", "MDL_SHARED_NO_WRITE", true),
            ("INSERT INTO a VALUES (1)", "MDL_EXCLUSIVE", true),
        ] {
            assert_eq!(super::is_in_the_way(statement, mode), expected, "{statement} {mode}");
        }
    }

    #[test]
    fn a_table_is_named_by_a_whole_word_only() {
        for sql in ["ALTER TABLE orders ADD c int", "drop table `Orders`", "RENAME TABLE a.orders TO b"] {
            assert!(super::names(sql, "orders"), "{sql}");
        }
        for sql in ["ALTER TABLE orders_old ADD c int", "ALTER TABLE my$orders ADD c int", ""] {
            assert!(!super::names(sql, "orders"), "{sql}");
        }
    }
}
