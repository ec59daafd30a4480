//! Locks of a MySQL or MariaDB server: one reading of holders and waiters, and the query for a session that may be
//! terminated.
//!
//! A row lock's holder is known for certain, and so is that of a metadata lock on MySQL, and where MariaDB's plugin
//! `metadata_lock_info` is loaded. Otherwise the open transactions in the database are named instead, marked as
//! probable.

use std::time::Duration;

use sqlx::mysql::MySqlConnectOptions;

use crate::engine::Look;
use crate::engine::locks::{AtLock, MOST, OPEN_FOR};
use crate::engine::mysql::flavour::Flavour;
use crate::engine::queries::{KeptAside, Queries, TextRow, connect_aside};
use crate::model::engine::Engine;
use crate::model::fault::Fault;
use crate::model::locks::LockWait;
use crate::model::outcome::Blocker;

/// The holders and waiters of the lock that the MySQL or MariaDB session with this connection id waits for. Its statement
/// is ended if it still waits and has lasted for longer than the look says: the server does not tell when a wait for a
/// table began. `None` if the server can't be asked.
pub(in crate::engine) async fn wait(aside: &KeptAside<MySqlConnectOptions>, id: u64, look: Look) -> Option<LockWait> {
    let mut connection = aside.take().await.ok()?;
    // Without the right PROCESS nobody else is seen, and of our own session only waits for tables.
    let reading = Reading::of(&mut *connection, "DATABASE()").await.ok();
    // Another is opened in place of a connection that the server has cut.
    let keep = look.keep && reading.is_some();
    let around = reading.and_then(|reading| reading.around(id.cast_signed())).unwrap_or_default();
    let is_waiting = is_waiting(&mut *connection, id, look.most.unwrap_or_default()).await;
    if is_waiting && look.most.is_some() {
        connection.run(format!("KILL QUERY {id}")).await.ok()?;
    }
    aside.leave(connection, keep).await;
    Some(LockWait { is_waiting, ..around })
}

/// Whether a session waits for a lock, in a statement that has lasted at least this long.
async fn is_waiting(connection: &mut dyn Queries, id: u64, at_least: Duration) -> bool {
    let sessions = format!("SELECT 1 FROM information_schema.processlist p WHERE p.id = {id}");
    let for_table = format!("{sessions} AND p.state LIKE 'Waiting for%lock%' AND p.time >= {}", at_least.as_secs());
    let for_row = format!(
        "SELECT 1 FROM information_schema.innodb_trx WHERE trx_mysql_thread_id = {id} AND trx_state = 'LOCK WAIT' AND \
         trx_wait_started <= NOW() - INTERVAL {} SECOND",
        at_least.as_secs()
    );
    for sql in [for_table, for_row] {
        if connection.rows(sql).await.is_ok_and(|rows| !rows.is_empty()) {
            return true;
        }
    }
    false
}

/// The holders, the waiters and the long transactions in these databases.
pub(in crate::engine) async fn all(options: MySqlConnectOptions, databases: &str) -> Result<Vec<AtLock>, Fault> {
    let reading = read(options, databases).await?;
    match &reading.rows_unknown {
        // Without them, a session that waits for a row would be reported as waiting for none.
        Some(fault) => Err(fault.clone()),
        None => Ok(reading.sessions.iter().map(|session| reading.at_lock(session)).collect()),
    }
}

async fn read(options: MySqlConnectOptions, databases: &str) -> Result<Reading, Fault> {
    let mut connection = connect_aside(options).await?;
    let reading = Reading::of(&mut *connection, databases).await;
    connection.close().await;
    reading
}

/// The engine's own table of waits, the plugin's table of locks, and the sessions in some databases that are in a
/// transaction or wait for a lock.
struct Reading {
    sessions: Vec<Session>,
    /// Waiters and holders of row locks.
    row_waits: Vec<(i64, i64)>,
    /// The reason if row waits are unknown: a right is missing.
    rows_unknown: Option<Fault>,
    table_locks: Vec<TableLock>,
}

/// A session as the server lists it.
struct Session {
    who: Blocker,
    is_in_transaction: bool,
    state: String,
    statement: String,
}

/// A metadata lock that a session holds on a table.
struct TableLock {
    session: i64,
    database: String,
    table: String,
    mode: String,
}

/// The sessions that a session waits for.
enum WaitsFor<'a> {
    Rows(Vec<i64>),
    Tables(Vec<&'a TableLock>),
    /// The open transactions in its database, one of which may hold the lock.
    Likely(Vec<i64>),
}

impl Reading {
    async fn of(connection: &mut dyn Queries, databases: &str) -> Result<Self, Fault> {
        let version = connection.rows("SELECT VERSION()".to_owned()).await?;
        let flavour = Flavour::of(&version.first().map(|row| row.must(0)).unwrap_or_default());
        let row_waits = connection.rows(flavour.row_waits().to_owned()).await;
        let rows_unknown = row_waits.as_ref().err().cloned();
        let pair = |row: &TextRow| Some((row.parse(0)?, row.parse(1)?));
        let row_waits: Vec<(i64, i64)> = row_waits.unwrap_or_default().iter().filter_map(pair).collect();
        // Without MariaDB's plugin, or the right to read MySQL's tables, nothing is known of them.
        let table_locks = connection.rows(flavour.table_locks(databases)).await.unwrap_or_default();
        let table_locks: Vec<TableLock> = table_locks.iter().filter_map(TableLock::of).collect();
        let at_locks = row_waits.iter().flat_map(|(waiting, holder)| [*waiting, *holder]);
        let ids: Vec<String> =
            at_locks.chain(table_locks.iter().map(|lock| lock.session)).chain([0]).map(|id| id.to_string()).collect();
        let sessions = format!(
            "SELECT p.id, p.user, TIMESTAMPDIFF(SECOND, t.trx_started, NOW()), LEFT(COALESCE(p.info, t.trx_query, ''), 200), \
             SUBSTRING_INDEX(p.host, ':', 1), p.db, p.time, p.state, p.info FROM information_schema.processlist p LEFT JOIN \
             information_schema.innodb_trx t ON t.trx_mysql_thread_id = p.id WHERE p.id IN ({}) OR (p.db IN ({databases}) AND \
             (t.trx_id IS NOT NULL OR p.state LIKE 'Waiting for%lock%')) ORDER BY t.trx_started, p.id",
            ids.join(", ")
        );
        let sessions = connection.rows(sessions).await?;
        let sessions = sessions.iter().filter_map(|row| Session::of(row, &table_locks)).collect();
        Ok(Reading { sessions, row_waits, rows_unknown, table_locks })
    }

    /// The sessions that a session waits for: the holders of a row lock; the holders of a table's locks if the plugin
    /// lists them; or else all possible holders.
    fn waits_of(&self, session: &Session) -> WaitsFor<'_> {
        let id = session.who.id;
        let rows: Vec<i64> =
            self.row_waits.iter().filter(|(waiting, _)| *waiting == id).map(|(_, holder)| *holder).collect();
        let tables = if session.is_queued() { self.in_the_way_of(session) } else { Vec::new() };
        let may_hold =
            |other: &&Session| other.is_in_transaction && !other.is_queued() && other.is_in_the_database_of(session);
        if !rows.is_empty() {
            WaitsFor::Rows(rows)
        } else if !tables.is_empty() {
            WaitsFor::Tables(tables)
        } else if session.waits() {
            WaitsFor::Likely(self.sessions.iter().filter(may_hold).map(|other| other.who.id).collect())
        } else {
            WaitsFor::Rows(Vec::new())
        }
    }

    /// The metadata locks on tables of its database that block a session. The plugin lists granted locks, but not the
    /// lock that a session waits for: that is on a table where the session already has a weaker lock, or that its
    /// statement names.
    fn in_the_way_of(&self, session: &Session) -> Vec<&TableLock> {
        let here = self.table_locks.iter().filter(|lock| Some(&lock.database) == session.who.database.as_ref());
        let (own, others): (Vec<&TableLock>, Vec<&TableLock>) = here.partition(|lock| lock.session == session.who.id);
        let is_wanted = |table: &str| own.iter().any(|own| own.table == table) || names(&session.statement, table);
        let is_in_the_way = |lock: &&TableLock| is_in_the_way(&session.statement, &lock.mode) && is_wanted(&lock.table);
        others.into_iter().filter(is_in_the_way).collect()
    }

    fn at_lock(&self, session: &Session) -> AtLock {
        let waits = self.waits_of(session);
        let is_open = session.is_in_transaction && session.who.transaction_seconds >= Some(OPEN_FOR);
        AtLock { session: session.who.clone(), waits_for: waits.sessions(), certain: waits.is_certain(), is_open }
    }

    /// The holders and waiters of the lock that a session waits for; `None` if it waits for none.
    fn around(mut self, id: i64) -> Option<LockWait> {
        // Other sessions that wait for a table are not taken for blockers: the server resolves such a deadlock itself.
        let queued = |id: i64| self.sessions.iter().any(|other| other.who.id == id && other.is_queued());
        self.table_locks.retain(|lock| lock.session == id || !queued(lock.session));
        let me = self.sessions.iter().find(|session| session.who.id == id)?;
        let waits = self.waits_of(me);
        let ids = waits.sessions();
        let holder = |session: &Session| {
            let mut who = session.who.clone();
            match &waits {
                WaitsFor::Rows(_) => {}
                WaitsFor::Tables(locks) => {
                    let lock = locks.iter().find(|lock| lock.session == who.id);
                    who.lock = lock.map(|lock| format!("{} ({})", lock.table, lock.mode));
                }
                WaitsFor::Likely(_) => who.application = Some("probably: an open transaction here".to_owned()),
            }
            who
        };
        let is_for_a_row = matches!(&waits, WaitsFor::Rows(ids) if !ids.is_empty());
        let is_behind = |other: &&Session| {
            let is_queued = !is_for_a_row && me.waits() && other.is_queued() && other.is_in_the_database_of(me);
            self.row_waits.contains(&(other.who.id, id)) || is_queued
        };
        let holders = self.sessions.iter().filter(|session| ids.contains(&session.who.id));
        Some(LockWait {
            holders: holders.take(MOST).map(holder).collect(),
            waiting: self.sessions.iter().filter(is_behind).take(MOST).map(|other| other.who.clone()).collect(),
            certain: waits.is_certain(),
            ..LockWait::default()
        })
    }
}

impl Session {
    /// For a session that holds a table lock without a transaction, as from `LOCK TABLES`, the time in its current
    /// state counts.
    fn of(row: &TextRow, table_locks: &[TableLock]) -> Option<Self> {
        let text = |column| row.text(column).filter(|text| !text.is_empty());
        let id = row.parse(0)?;
        let age = row.parse(2).map(i64::unsigned_abs);
        let has_lock = table_locks.iter().any(|lock| lock.session == id);
        let who = Blocker {
            id,
            user: text(1),
            application: None,
            transaction_seconds: age.or_else(|| row.parse(6).filter(|_| has_lock)),
            query: text(3),
            address: text(4),
            database: text(5),
            lock: None,
        };
        Some(Session { who, is_in_transaction: age.is_some(), state: row.must(7), statement: row.must(8) })
    }

    fn waits(&self) -> bool {
        self.state.starts_with("Waiting for") && self.state.contains("lock")
    }

    /// Whether it waits for a lock on a table.
    fn is_queued(&self) -> bool {
        self.state.starts_with("Waiting for table metadata lock")
    }

    fn is_in_the_database_of(&self, other: &Session) -> bool {
        self.who.id != other.who.id && self.who.database.is_some() && self.who.database == other.who.database
    }
}

impl TableLock {
    fn of(row: &TextRow) -> Option<Self> {
        Some(TableLock { session: row.parse(0)?, database: row.text(1)?, table: row.text(2)?, mode: row.text(3)? })
    }
}

impl WaitsFor<'_> {
    fn sessions(&self) -> Vec<i64> {
        let mut ids = match self {
            WaitsFor::Rows(ids) | WaitsFor::Likely(ids) => ids.clone(),
            WaitsFor::Tables(locks) => locks.iter().map(|lock| lock.session).collect(),
        };
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    /// Whether all of these are blockers: with locks on several tables, the one waited for is unknown.
    fn is_certain(&self) -> bool {
        match self {
            WaitsFor::Rows(_) => true,
            WaitsFor::Tables(locks) => locks.iter().all(|lock| lock.table == locks[0].table),
            WaitsFor::Likely(ids) => ids.is_empty(),
        }
    }
}

/// Whether a statement has to wait for a lock of this mode: a statement that alters the table waits for any, one that
/// reads or changes rows only for those that exclude it (<https://mariadb.com/kb/en/metadata-locking/>).
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

/// A query that is refused to users who can't see other users' transactions, whether or not there are any.
pub(in crate::engine) const SEES_ALL: &str = "SELECT 1 FROM information_schema.innodb_trx LIMIT 1";

/// The query that finds a MySQL session which may be terminated, under the same conditions. `lock` is the name of
/// fleet's own lock here. A holder that is connected to another database is not found.
pub(in crate::engine) fn may_terminate(blocker: &Blocker, older_than: Duration, lock: &str) -> String {
    let seen = Duration::from_secs(blocker.transaction_seconds.unwrap_or(0));
    format!(
        "SELECT CAST(p.id AS char) FROM information_schema.innodb_trx t JOIN information_schema.processlist p ON p.id = \
         t.trx_mysql_thread_id WHERE p.id = {} AND p.id <> CONNECTION_ID() AND p.db = DATABASE() AND p.user <> 'system \
         user' AND p.command IN ('Sleep', 'Query', 'Execute') AND p.id <> COALESCE(IS_USED_LOCK({lock}), 0) AND \
         t.trx_started <= NOW() - INTERVAL {} SECOND",
        blocker.id,
        // The engine records the start of a transaction in whole seconds.
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
