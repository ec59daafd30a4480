//! What a PostgreSQL database says of itself: the system views in one message.
//!
//! Times of other users' transactions are shown only to a superuser or a member of `pg_read_all_stats`
//! (<https://www.postgresql.org/docs/15/monitoring-stats.html>); what is hidden is told as unknown.

use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{AssertSqlSafe, Row as _};

use crate::database::{Door, errors, literal};
use crate::fault::Fault;
use crate::health::{Health, HeldLock, OpenTransaction, Room};
use crate::tenant::Engine;

/// All columns are text, and the first says what a row is about.
fn queries(door: &Door) -> String {
    let here = match &door.tenant.schema {
        Some(schema) => literal(Engine::Postgres, schema),
        None => "current_schema()::text".to_owned(),
    };
    let age = "coalesce(greatest(0, extract(epoch FROM clock_timestamp() - a.xact_start)), 0)::bigint::text";
    let who = format!("a.pid::text, coalesce(a.usename, '')::text, a.application_name, {age}");
    format!(
        "SELECT 'server', current_setting('server_version'), current_setting('transaction_read_only'), \
         coalesce(current_setting('fleet.direct', true), '');\n\
         SELECT 'connections', (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend')::text, \
         (current_setting('max_connections')::bigint - CASE WHEN r.rolsuper THEN 0 ELSE \
         current_setting('superuser_reserved_connections')::bigint END)::text, r.rolconnlimit::text, \
         (SELECT count(*) FROM pg_stat_activity a WHERE a.usename = r.rolname)::text \
         FROM pg_roles r WHERE r.rolname = current_user;\n\
         SELECT 'rights', CASE WHEN n.oid IS NULL THEN (has_database_privilege(current_database(), 'CREATE'))::text ELSE \
         (has_schema_privilege(n.oid, 'CREATE'))::text END, coalesce(quote_ident(n.nspname), '') \
         FROM (SELECT 1) one LEFT JOIN pg_namespace n ON n.nspname = {here};\n\
         SELECT 'foreign', c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
         WHERE n.nspname = {here} AND c.relkind IN ('r', 'p', 'm') AND NOT pg_has_role(c.relowner, 'USAGE') \
         ORDER BY 2 LIMIT 5;\n\
         SELECT 'transaction', {who} FROM pg_stat_activity a WHERE a.datname = current_database() AND a.xact_start IS NOT NULL \
         AND a.pid <> pg_backend_pid() AND a.backend_type = 'client backend' ORDER BY a.xact_start LIMIT 5;\n\
         SELECT 'hidden', count(*)::text FROM pg_stat_activity a WHERE a.datname = current_database() \
         AND a.query = '<insufficient privilege>' HAVING count(*) > 0;\n\
         SELECT 'lock', {who}, c.relname::text, l.mode FROM pg_locks l JOIN pg_class c ON c.oid = l.relation \
         JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_stat_activity a ON a.pid = l.pid \
         WHERE l.granted AND l.locktype = 'relation' AND n.nspname = {here} AND c.relkind IN ('r', 'p', 'm') \
         AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND l.pid <> pg_backend_pid() \
         AND a.backend_type = 'client backend' ORDER BY a.xact_start, c.relname, l.mode LIMIT 10"
    )
}

/// Reads it in one round trip. `pooled`: what is known of a pooler already.
pub(in crate::database) async fn read(
    connection: &mut PgConnection,
    door: &Door,
    pooled: Option<bool>,
) -> Result<Health, Fault> {
    let rows = sqlx::raw_sql(AssertSqlSafe(queries(door))).fetch_all(connection).await;
    let mut health = Health::default();
    for row in rows.map_err(|e| errors::fault(&e))? {
        let text = |i: usize| row.try_get::<Option<String>, _>(i).ok().flatten().unwrap_or_default();
        match text(0).as_str() {
            "server" => {
                health.number = super::number(&text(1));
                health.version = format!("PostgreSQL {}", text(1).split(' ').next().unwrap_or_default());
                health.read_only = text(2) == "on";
                health.pooled = pooled.unwrap_or(text(3) != "yes");
            }
            "connections" => health.connections = room(&row),
            "rights" if text(1) != "true" => {
                let place = if text(2).is_empty() { "the database".to_owned() } else { format!("schema {}", text(2)) };
                health.missing_rights.push(format!("CREATE on {place}"));
            }
            "foreign" => health.foreign_tables.push(text(1)),
            "transaction" => health.transactions.push(who(&row)),
            "hidden" => health
                .unknown
                .push("transactions of other users: this user is no member of pg_read_all_stats".to_owned()),
            "lock" => health.locks.push(HeldLock { table: text(5), mode: text(6), by: who(&row) }),
            _ => {}
        }
    }
    health.unknown.push("free space: PostgreSQL does not tell".to_owned());
    Ok(health)
}

fn who(row: &PgRow) -> OpenTransaction {
    let text = |i: usize| row.try_get::<Option<String>, _>(i).ok().flatten().unwrap_or_default();
    OpenTransaction {
        id: text(1).parse().unwrap_or(0),
        user: text(2),
        application: text(3),
        seconds: text(4).parse().unwrap_or(0),
    }
}

/// The tighter of the server's limit and the role's own.
fn room(row: &PgRow) -> Option<Room> {
    let number = |i: usize| row.try_get::<Option<String>, _>(i).ok().flatten()?.parse::<i64>().ok();
    let (used, most, own_most, own_used) = (number(1)?, number(2)?, number(3)?, number(4)?);
    let is_tighter = own_most >= 0 && own_most - own_used < most - used;
    let (used, most) = if is_tighter { (own_used, own_most) } else { (used, most) };
    Some(Room { used: used.unsigned_abs(), most: most.max(0).unsigned_abs() })
}
