//! Who holds the lock that a session waits for: asked over a connection of its own while the wait goes on, because
//! afterwards nobody knows any more.
//!
//! It only looks; nothing is cancelled here, and a question that fails is answered with "not known".

use std::time::Duration;

use sqlx::mysql::{MySqlConnectOptions, MySqlRow};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Row as _};

use super::{literal, mysql_row};
use crate::outcome::Blocker;
use crate::tenant::Engine;

/// Who blocks the PostgreSQL session with this application name.
///
/// Other users' queries are shown only to a superuser or a member of `pg_read_all_stats`
/// (<https://www.postgresql.org/docs/15/monitoring-stats.html>).
pub(super) async fn postgres(options: PgConnectOptions, name: String, limit: Duration) -> Option<Blocker> {
    let sql = format!(
        "SELECT b.pid, b.usename::text, b.application_name, \
         CASE WHEN b.xact_start IS NULL THEN NULL ELSE greatest(0, extract(epoch from clock_timestamp() - b.xact_start)) \
         END::bigint, CASE b.query WHEN '<insufficient privilege>' THEN 'hidden from this user, who lacks \
         pg_read_all_stats' ELSE left(b.query, 200) END \
         FROM pg_stat_activity me CROSS JOIN LATERAL unnest(pg_blocking_pids(me.pid)) AS blocking(pid) \
         JOIN pg_stat_activity b ON b.pid = blocking.pid WHERE me.application_name = {} ORDER BY b.xact_start LIMIT 1",
        literal(Engine::Postgres, &name)
    );
    let ask = async {
        let mut connection = options.application_name("fleet:watch").connect().await.ok()?;
        let row = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_optional(&mut connection).await.ok()?;
        let _ = connection.close().await;
        let row = row?;
        let text = |i: usize| row.try_get::<Option<String>, _>(i).ok().flatten().filter(|t| !t.is_empty());
        Some(Blocker {
            id: row.try_get::<i32, _>(0).ok()?.into(),
            user: text(1),
            application: text(2),
            transaction_seconds: row.try_get::<Option<i64>, _>(3).ok().flatten().map(i64::unsigned_abs),
            query: text(4),
        })
    };
    tokio::time::timeout(limit, ask).await.ok().flatten()
}

/// Who blocks the MySQL or MariaDB session with this connection id.
///
/// A row lock's holder is known for certain. Holders of metadata locks are listed by a plugin that few servers have: without
/// it the oldest open transaction in the database is named, and called probable.
pub(super) async fn mysql(options: MySqlConnectOptions, id: u64, limit: Duration) -> Option<Blocker> {
    let columns = "p.id, p.user, CAST(TIMESTAMPDIFF(SECOND, t.trx_started, NOW()) AS signed), \
                   LEFT(COALESCE(p.info, t.trx_query, ''), 200)";
    let from = "information_schema.innodb_trx t JOIN information_schema.processlist p ON p.id = t.trx_mysql_thread_id";
    let certain = format!(
        "SELECT {columns} FROM information_schema.innodb_lock_waits w JOIN information_schema.innodb_trx me \
         ON me.trx_id = w.requesting_trx_id JOIN {from} ON t.trx_id = w.blocking_trx_id WHERE me.trx_mysql_thread_id = {id} \
         ORDER BY t.trx_started LIMIT 1"
    );
    let probable = format!(
        "SELECT {columns} FROM {from} WHERE p.id <> {id} AND p.db = DATABASE() AND EXISTS (SELECT 1 FROM \
         information_schema.processlist me WHERE me.id = {id} AND me.state LIKE 'Waiting for%lock%') \
         ORDER BY t.trx_started LIMIT 1"
    );
    let ask = async {
        let mut connection = options.connect().await.ok()?;
        let mut found = None;
        for (sql, application) in [(certain, None), (probable, Some("probably: the oldest open transaction here"))] {
            // MySQL 8 has other tables for the first question; not knowing is no reason not to ask the second.
            if let Ok(Some(row)) = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_optional(&mut connection).await {
                found = blocker(&row, application);
                break;
            }
        }
        let _ = connection.close().await;
        found
    };
    tokio::time::timeout(limit, ask).await.ok().flatten()
}

fn blocker(row: &MySqlRow, application: Option<&str>) -> Option<Blocker> {
    let text = |i: usize| mysql_row::text(row, i).filter(|t| !t.is_empty());
    Some(Blocker {
        id: mysql_row::number(row, 0)?,
        user: text(1),
        application: application.map(str::to_owned),
        transaction_seconds: mysql_row::number(row, 2).map(i64::unsigned_abs),
        query: text(3),
    })
}
