//! Locks of a server of MySQL or MariaDB: who holds the one that a session waits for, who is at one in some databases, and
//! which session that holds one may be ended.
//!
//! A row lock's holder is known for certain, and so is that of a metadata lock where MariaDB's plugin `metadata_lock_info`
//! is loaded. Elsewhere the open transactions in the database are named instead, and called probable.

use std::sync::Arc;
use std::time::Duration;

use sqlx::mysql::{MySqlConnectOptions, MySqlRow};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _};

use crate::engine::locks::{MOST, OPEN_FOR, at_lock, databases, mark_holders};
use crate::engine::mysql::decode;
use crate::engine::{address, errors, locks};
use crate::model::engine::Engine;
use crate::model::fault::Fault;
use crate::model::locks::{LockHolder, LockWait};
use crate::model::outcome::Blocker;
use crate::model::tenant::Tenant;

/// Who is at the lock that the MySQL or MariaDB session with this connection id waits for.
///
/// A row lock's holder is known for certain, and so is that of a metadata lock where MariaDB's plugin `metadata_lock_info`
/// is loaded. Elsewhere the open transactions in the database are named instead, and called probable.
pub(in crate::engine) async fn wait(options: MySqlConnectOptions, id: u64, limit: Duration) -> LockWait {
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
fn is_in_the_way(statement: &str, mode: &str) -> bool {
    let first = crate::sql::first_words(Engine::Mysql, statement).next().unwrap_or_default();
    let is_of_rows =
        ["select", "insert", "update", "delete", "replace", "with", "load", "call", "do"].contains(&&*first);
    !is_of_rows || ["NO_WRITE", "NO_READ_WRITE", "READ_ONLY", "EXCLUSIVE"].iter().any(|word| mode.ends_with(word))
}

/// Whether a statement has a name in it as a whole word.
fn names(sql: &str, name: &str) -> bool {
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

/// The sessions in this database besides our own, but for those who wait for a table themselves.
pub(in crate::engine) const OTHERS: &str = "SELECT CAST(COUNT(*) AS SIGNED) FROM information_schema.processlist WHERE db = DATABASE() \
    AND id <> CONNECTION_ID() AND user <> 'system user' AND COALESCE(state, '') NOT LIKE 'Waiting for table metadata lock%'";

/// Refused to a user who is not shown other users' transactions, with or without any.
pub(in crate::engine) const SEES_ALL: &str = "SELECT 1 FROM information_schema.innodb_trx LIMIT 1";

/// What finds a MySQL session that may be terminated, for the same reasons. `lock` is the name of fleet's own lock here.
/// Where the holder is not `certain`, nobody else may be connected to the database: `LOCK TABLES` shows nowhere.
pub(in crate::engine) fn may_terminate(blocker: &Blocker, older_than: Duration, lock: &str, certain: bool) -> String {
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

/// Rows by the engine's own table of waits. Who holds a metadata lock is told by MariaDB's plugin `metadata_lock_info`;
/// without it, all open transactions of a database are listed in which somebody waits for one, as probable holders only.
pub(in crate::engine) async fn all(group: &[Arc<Tenant>]) -> Result<Vec<LockHolder>, Fault> {
    let databases = databases(group);
    let names = locks::names(&databases, Engine::Mysql);
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
    let row = |row: &MySqlRow| {
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
    fn of(row: &MySqlRow) -> Option<Self> {
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
        is_in_the_way(statement, &lock.mode)
            && (own.iter().any(|own| own.table == lock.table) || names(statement, &lock.table))
    };
    let others = tables.iter().filter(here).filter(|lock| lock.session != waiting.id).filter(is_at);
    let others: Vec<&TableLock> = others.collect();
    let is_one = others.iter().all(|lock| lock.table == others[0].table);
    let mut sessions: Vec<i64> = others.iter().map(|lock| lock.session).collect();
    sessions.sort_unstable();
    sessions.dedup();
    (sessions, is_one)
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
