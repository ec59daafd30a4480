//! What a MySQL or MariaDB database says of itself.
//!
//! Rights that come from a role are not looked through: such a user's rights are told as unknown.

use std::path::Path;

use async_trait::async_trait;
use sqlx::mysql::{MySqlConnection, MySqlRow};
use sqlx::{AssertSqlSafe, Column as _, Row as _};

use crate::engine::mysql::flavour::Flavour;
use crate::engine::mysql::session::lost_connection;
use crate::engine::mysql::{MysqlSession, decode};
use crate::engine::{HealthCheck, TenantEndpoint, address, errors, literal};
use crate::model::fault::Fault;
use crate::model::health::{Health, HeldLock, OpenTransaction, Questions, Room, Upstream};
use crate::model::tenant::Engine;

const SERVER: &str = "SELECT VERSION(), CAST(@@global.read_only AS CHAR), CAST(@@max_connections AS CHAR), \
                      CAST(@@max_user_connections AS CHAR), COALESCE(CURRENT_ROLE(), 'NONE'), (SELECT CAST(COUNT(*) AS CHAR) FROM \
                      information_schema.plugins WHERE plugin_name = 'METADATA_LOCK_INFO' AND plugin_status = 'ACTIVE'), CURRENT_USER(), COALESCE(DATABASE(), '')";
const CONNECTED: &str = "SHOW GLOBAL STATUS LIKE 'Threads_connected'";

/// The user's own grants, on all databases or on this one, whose name may be a pattern.
const RIGHTS: &str = "SELECT w.p FROM (SELECT 'SELECT' AS p UNION ALL SELECT 'INSERT' UNION ALL SELECT 'UPDATE' UNION ALL \
                      SELECT 'DELETE' UNION ALL SELECT 'CREATE' UNION ALL SELECT 'ALTER' UNION ALL SELECT 'DROP' UNION ALL \
                      SELECT 'INDEX' UNION ALL SELECT 'REFERENCES' UNION ALL SELECT 'TRIGGER' UNION ALL SELECT 'CREATE VIEW' \
                      UNION ALL SELECT 'CREATE ROUTINE' UNION ALL SELECT 'EVENT') w \
                      WHERE NOT EXISTS (SELECT 1 FROM information_schema.user_privileges u WHERE u.privilege_type = w.p \
                      AND u.grantee = CONCAT('''', REPLACE(CURRENT_USER(), '@', '''@'''), '''')) \
                      AND NOT EXISTS (SELECT 1 FROM information_schema.schema_privileges s WHERE s.privilege_type = w.p \
                      AND s.grantee = CONCAT('''', REPLACE(CURRENT_USER(), '@', '''@'''), '''') \
                      AND DATABASE() LIKE s.table_schema)";

/// The name under which the user has rights on this database already: of several that fit, the server looks at one only.
const GRANTED_ON: &str = "SELECT MAX(s.table_schema) FROM information_schema.schema_privileges s WHERE s.grantee = CONCAT('''', \
                          REPLACE(CURRENT_USER(), '@', '''@'''), '''') AND DATABASE() LIKE s.table_schema";
const TRANSACTIONS: &str = "SELECT CAST(p.id AS CHAR), p.user, CAST(TIMESTAMPDIFF(SECOND, t.trx_started, NOW()) AS CHAR) \
                            FROM information_schema.innodb_trx t JOIN information_schema.processlist p \
                            ON p.id = t.trx_mysql_thread_id WHERE p.db = DATABASE() AND p.id <> CONNECTION_ID() \
                            ORDER BY t.trx_started LIMIT 5";

/// What the plugin `metadata_lock_info` of MariaDB tells: every lock on a table that another session has.
const LOCKS: &str = "SELECT CAST(m.thread_id AS CHAR), p.user, CAST(COALESCE(TIMESTAMPDIFF(SECOND, t.trx_started, NOW()), p.time) \
                     AS CHAR), m.table_name, m.lock_mode FROM information_schema.metadata_lock_info m \
                     JOIN information_schema.processlist p ON p.id = m.thread_id \
                     LEFT JOIN information_schema.innodb_trx t ON t.trx_mysql_thread_id = p.id \
                     WHERE m.lock_type = 'Table metadata lock' AND m.table_schema = DATABASE() \
                     AND m.thread_id <> CONNECTION_ID() ORDER BY t.trx_started, m.table_name LIMIT 10";

/// The newer words first: MySQL 8.4 knows no others, and servers before MariaDB 10.5 and MySQL 8.0.22 only the older ones.
const REPLICA: [&str; 2] = ["SHOW REPLICA STATUS", "SHOW SLAVE STATUS"];

#[async_trait]
impl HealthCheck for MysqlSession {
    async fn health(&mut self, ask: &Questions) -> Result<Health, Fault> {
        let connection = self.connection.as_deref_mut().ok_or_else(lost_connection)?;
        read(connection, &self.door, ask).await
    }
}

/// Reads it: a few small queries, since a right that is lacking would spoil those behind it in one message.
async fn read(connection: &mut MySqlConnection, door: &TenantEndpoint, ask: &Questions) -> Result<Health, Fault> {
    let mut health = Health::default();
    let rows = rows(connection, SERVER).await?;
    let Some(server) = rows.first() else { return Ok(health) };
    let text = |i: usize| decode::text(server, i).unwrap_or_default();
    let version = text(0);
    health.number = crate::engine::health::number(&version);
    let product = Flavour::of(&version).product().name;
    health.version = format!("{product} {}", version.split('-').next().unwrap_or_default());
    health.read_only = !["0", "OFF"].contains(&text(1).as_str());
    if let Some(used) = self::rows(connection, CONNECTED).await?.first().and_then(|row| decode::text(row, 1)) {
        let most = |i: usize| text(i).parse::<u64>().ok().filter(|n| *n > 0);
        let limits = [most(2), most(3)];
        let most = limits.into_iter().flatten().min();
        health.connections = used.parse().ok().zip(most).map(|(used, most)| Room { used, most });
    }
    if text(4) == "NONE" {
        health.missing_rights =
            self::rows(connection, RIGHTS).await?.iter().filter_map(|row| decode::text(row, 0)).collect();
        let granted = self::rows(connection, GRANTED_ON).await?.first().and_then(|row| decode::text(row, 0));
        health.grantee = grantee(&text(6));
        health.grant_on = format!("{}.*", Engine::Mysql.quote(&granted.unwrap_or_else(|| as_pattern(&text(7)))));
    } else {
        health.unknown.push("rights: this user has them through a role".to_owned());
    }
    match self::rows(connection, TRANSACTIONS).await {
        Ok(open) => health.transactions = open.iter().map(transaction).collect(),
        Err(fault) => health.unknown.push(format!("open transactions: {fault}")),
    }
    if text(5) == "0" {
        let why = "the plugin is not loaded: INSTALL SONAME 'metadata_lock_info' (MariaDB)";
        health.unknown.push(format!("locks on tables: {why}"));
    } else {
        match self::rows(connection, LOCKS).await {
            Ok(locks) => health.locks = locks.iter().map(lock).collect(),
            Err(fault) => health.unknown.push(format!("locks on tables: {fault}")),
        }
    }
    if ask.server {
        read_server(connection, door, &mut health).await;
    }
    Ok(health)
}

/// `user@host` as a `GRANT` reads it.
fn grantee(user: &str) -> String {
    let (name, host) = user.rsplit_once('@').unwrap_or((user, "%"));
    format!("{}@{}", literal(Engine::Mysql, name), literal(Engine::Mysql, host))
}

/// A database's name as a `GRANT` reads it, which takes it for a pattern
/// (<https://mariadb.com/kb/en/grant/#database-privileges>).
fn as_pattern(name: &str) -> String {
    name.replace('\\', "\\\\").replace('_', "\\_").replace('%', "\\%")
}

/// What is the same for all databases of the server.
async fn read_server(connection: &mut MySqlConnection, door: &TenantEndpoint, health: &mut Health) {
    let mut status = rows(connection, REPLICA[0]).await;
    if status.is_err() {
        status = rows(connection, REPLICA[1]).await;
    }
    match status {
        Ok(rows) => health.follows = rows.first().map(upstream),
        Err(fault) => health.unknown.push(format!("replication: {fault}")),
    }
    if let Ok(rows) = rows(connection, "SELECT @@datadir, @@hostname").await {
        let text = |i: usize| rows.first().and_then(|row| decode::text(row, i)).unwrap_or_default();
        health.free_bytes = free(door, &text(0), &text(1));
    }
    if health.free_bytes.is_none() {
        let text = "free space: the server does not tell, and its folder can't be looked at from here";
        health.unknown.push(text.to_owned());
    }
}

/// Both engines, and each of their versions, call the columns in their own way.
fn upstream(row: &MySqlRow) -> Upstream {
    let of = |names: &[&str]| {
        let at =
            row.columns().iter().position(|column| names.iter().any(|name| column.name().eq_ignore_ascii_case(name)));
        at.and_then(|at| decode::text(row, at))
    };
    let runs = |names: &[&str]| of(names).is_some_and(|state| state == "Yes");
    Upstream {
        host: of(&["Master_Host", "Source_Host"]).unwrap_or_default(),
        is_running: runs(&["Slave_IO_Running", "Replica_IO_Running"])
            && runs(&["Slave_SQL_Running", "Replica_SQL_Running"]),
        lag_seconds: of(&["Seconds_Behind_Master", "Seconds_Behind_Source"]).and_then(|text| text.parse().ok()),
    }
}

/// What is free on the disk of a server's folder, where it is on this machine and may be looked at. A server in a container
/// calls its machine otherwise.
fn free(door: &TenantEndpoint, folder: &str, machine: &str) -> Option<u64> {
    let options = address::mysql(&door.tenant).ok()?;
    let is_local = options.get_socket().is_some() || crate::engine::health::is_local(options.get_host());
    let ours = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    let is_here = is_local && ours.trim() == machine && Path::new(folder).join("mysql").is_dir();
    is_here.then(|| crate::backup::free_space(Path::new(folder)).ok()).flatten()
}

fn lock(row: &MySqlRow) -> HeldLock {
    let text = |i: usize| decode::text(row, i).unwrap_or_default();
    HeldLock { table: text(3), mode: text(4), by: transaction(row) }
}

async fn rows(connection: &mut MySqlConnection, sql: &'static str) -> Result<Vec<MySqlRow>, Fault> {
    sqlx::raw_sql(AssertSqlSafe(sql)).fetch_all(connection).await.map_err(|e| errors::fault(&e))
}

fn transaction(row: &MySqlRow) -> OpenTransaction {
    let text = |i: usize| decode::text(row, i).unwrap_or_default();
    OpenTransaction {
        id: text(0).parse().unwrap_or(0),
        user: text(1),
        application: String::new(),
        seconds: text(2).parse().unwrap_or(0),
    }
}
