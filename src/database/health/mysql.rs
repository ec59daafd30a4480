//! What a MySQL or MariaDB database says of itself.
//!
//! Rights that come from a role are not looked through: such a user's rights are told as unknown.

use sqlx::AssertSqlSafe;
use sqlx::mysql::{MySqlConnection, MySqlRow};

use crate::database::{errors, mysql_row};
use crate::fault::Fault;
use crate::health::{Health, OpenTransaction, Room};

const SERVER: &str = "SELECT VERSION(), CAST(@@global.read_only AS CHAR), CAST(@@max_connections AS CHAR), \
                      CAST(@@max_user_connections AS CHAR), COALESCE(CURRENT_ROLE(), 'NONE')";
const CONNECTED: &str = "SHOW GLOBAL STATUS LIKE 'Threads_connected'";

/// The user's own grants, on all databases or on this one, whose name may be a pattern.
const RIGHTS: &str = "SELECT w.p FROM (SELECT 'CREATE' AS p UNION SELECT 'ALTER' UNION SELECT 'DROP' UNION SELECT 'INDEX') w \
                      WHERE NOT EXISTS (SELECT 1 FROM information_schema.user_privileges u WHERE u.privilege_type = w.p \
                      AND u.grantee = CONCAT('''', REPLACE(CURRENT_USER(), '@', '''@'''), '''')) \
                      AND NOT EXISTS (SELECT 1 FROM information_schema.schema_privileges s WHERE s.privilege_type = w.p \
                      AND s.grantee = CONCAT('''', REPLACE(CURRENT_USER(), '@', '''@'''), '''') \
                      AND DATABASE() LIKE s.table_schema)";
const TRANSACTIONS: &str = "SELECT CAST(p.id AS CHAR), p.user, CAST(TIMESTAMPDIFF(SECOND, t.trx_started, NOW()) AS CHAR) \
                            FROM information_schema.innodb_trx t JOIN information_schema.processlist p \
                            ON p.id = t.trx_mysql_thread_id WHERE p.db = DATABASE() AND p.id <> CONNECTION_ID() \
                            ORDER BY t.trx_started LIMIT 5";

/// Reads it: a few small queries, since a right that is lacking would spoil those behind it in one message.
pub(in crate::database) async fn read(connection: &mut MySqlConnection) -> Result<Health, Fault> {
    let mut health = Health::default();
    let rows = rows(connection, SERVER).await?;
    let Some(server) = rows.first() else { return Ok(health) };
    let text = |i: usize| mysql_row::text(server, i).unwrap_or_default();
    let version = text(0);
    health.number = super::number(&version);
    let product = if version.contains("MariaDB") { "MariaDB" } else { "MySQL" };
    health.version = format!("{product} {}", version.split('-').next().unwrap_or_default());
    health.read_only = !["0", "OFF"].contains(&text(1).as_str());
    if let Some(used) = self::rows(connection, CONNECTED).await?.first().and_then(|row| mysql_row::text(row, 1)) {
        let most = |i: usize| text(i).parse::<u64>().ok().filter(|n| *n > 0);
        let limits = [most(2), most(3)];
        let most = limits.into_iter().flatten().min();
        health.connections = used.parse().ok().zip(most).map(|(used, most)| Room { used, most });
    }
    if text(4) == "NONE" {
        health.missing_rights =
            self::rows(connection, RIGHTS).await?.iter().filter_map(|row| mysql_row::text(row, 0)).collect();
    } else {
        health.unknown.push("rights: this user has them through a role".to_owned());
    }
    match self::rows(connection, TRANSACTIONS).await {
        Ok(open) => health.transactions = open.iter().map(transaction).collect(),
        Err(fault) => health.unknown.push(format!("open transactions: {fault}")),
    }
    health.unknown.push("locks on tables, and free space: the server does not tell".to_owned());
    Ok(health)
}

async fn rows(connection: &mut MySqlConnection, sql: &'static str) -> Result<Vec<MySqlRow>, Fault> {
    sqlx::raw_sql(AssertSqlSafe(sql)).fetch_all(connection).await.map_err(|e| errors::fault(&e))
}

fn transaction(row: &MySqlRow) -> OpenTransaction {
    let text = |i: usize| mysql_row::text(row, i).unwrap_or_default();
    OpenTransaction {
        id: text(0).parse().unwrap_or(0),
        user: text(1),
        application: String::new(),
        seconds: text(2).parse().unwrap_or(0),
    }
}
