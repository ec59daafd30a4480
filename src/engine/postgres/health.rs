//! The health of a PostgreSQL database, from the system views, in one message.
//!
//! Times of other users' transactions are shown only to a superuser or a member of `pg_read_all_stats`
//! (<https://www.postgresql.org/docs/15/monitoring-stats.html>); hidden values are reported as unknown.

use std::path::Path;

use async_trait::async_trait;

use crate::engine::health::{UNSEEN_FOLDER, is_local, number};
use crate::engine::postgres::PostgresSession;
use crate::engine::queries::{Queries as _, TextRow};
use crate::engine::{HealthCheck, TenantEndpoint, address, literal};
use crate::model::fault::Fault;
use crate::model::health::{Extension, Follower, Health, HeldLock, Questions, Room, Upstream};
use crate::model::load::ServerLoad;
use crate::model::outcome::Blocker;
use crate::model::tenant::Engine;

/// Maximum difference in seconds between a server's two start times.
const START_TAKES: u64 = 120;

/// All columns are text; the first is the kind of the row.
fn queries(door: &TenantEndpoint, ask: &Questions) -> String {
    let here = match &door.tenant.schema {
        Some(schema) => literal(Engine::Postgres, schema),
        None => "current_schema()::text".to_owned(),
    };
    let age = "coalesce(greatest(0, extract(epoch FROM clock_timestamp() - a.xact_start)), 0)::bigint::text";
    let who = format!("a.pid::text, coalesce(a.usename, '')::text, a.application_name, {age}");
    let own = format!(
        "SELECT 'server', current_setting('server_version'), current_setting('transaction_read_only'), \
         coalesce(current_setting('fleet.direct', true), ''), pg_is_in_recovery()::text, quote_ident(current_user), \
         quote_ident(current_database());\n\
         {CONNECTIONS};\n\
         SELECT 'rights', CASE WHEN n.oid IS NULL THEN (has_database_privilege(current_database(), 'CREATE'))::text ELSE \
         (has_schema_privilege(n.oid, 'CREATE'))::text END, coalesce(quote_ident(n.nspname), '') \
         FROM (SELECT 1) one LEFT JOIN pg_namespace n ON n.nspname = {here};\n\
         SELECT 'foreign', format('%I.%I', n.nspname, c.relname), count(*) OVER ()::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
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
    );
    let invalid = || {
        format!(
            "SELECT 'invalid', format('%I.%I', n.nspname, c.relname) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN \
             pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = {here} AND NOT i.indisvalid AND c.relkind = 'i' AND NOT EXISTS \
             (SELECT FROM pg_locks l WHERE l.relation = i.indrelid AND l.mode = 'ShareUpdateExclusiveLock') ORDER BY 2 LIMIT 10"
        )
    };
    let mut all = vec![own];
    all.extend(ask.closely.then(invalid));
    all.extend(ask.closely.then(|| {
        format!(
            "SELECT 'identity', concat_ws(' ', extract(epoch FROM pg_postmaster_start_time()), d.oid, {here}) FROM pg_database d \
             WHERE d.datname = current_database()"
        )
    }));
    all.extend(ask.server.then(|| OF_THE_SERVER.to_owned()));
    all.extend((!ask.extensions.is_empty()).then(|| extensions(&ask.extensions)));
    all.join(";\n")
}

const CONNECTIONS: &str = "SELECT 'connections', (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend')::text, \
     (current_setting('max_connections')::bigint - CASE WHEN r.rolsuper THEN 0 ELSE \
     current_setting('superuser_reserved_connections')::bigint END)::text, r.rolconnlimit::text, \
     (SELECT count(*) FROM pg_stat_activity a WHERE a.usename = r.rolname)::text \
     FROM pg_roles r WHERE r.rolname = current_user";

/// Every user may read `pg_locks`, of all databases.
const LOAD: &str = "SELECT 'load', (SELECT count(DISTINCT pid) FROM pg_locks WHERE NOT granted)::text, CASE WHEN NOT \
     pg_is_in_recovery() THEN pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint::text END";

/// A standby's lag is known only while it receives data; a standby that has applied all of it does not lag, however
/// long nothing was written. Unprivileged users only see that followers exist.
const OF_THE_SERVER: &str = "SELECT 'follows', coalesce((SELECT sender_host FROM pg_stat_wal_receiver), ''), \
     (EXISTS (SELECT FROM pg_stat_wal_receiver))::text, CASE WHEN pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() THEN 0 \
     ELSE floor(extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp())) END::bigint::text \
     WHERE pg_is_in_recovery();\n\
     SELECT 'follower', coalesce(nullif(application_name, ''), host(client_addr), 'process ' || pid), state, \
     coalesce(greatest(0, floor(extract(epoch FROM replay_lag))), 0)::bigint::text FROM pg_stat_replication \
     WHERE state IS DISTINCT FROM 'backup' ORDER BY replay_lag DESC NULLS LAST LIMIT 5;\n\
     SELECT 'folder', setting, extract(epoch FROM pg_postmaster_start_time())::bigint::text FROM pg_settings \
     WHERE name = 'data_directory'";

/// Creating a trusted extension, or one that needs no superuser, takes the `CREATE` right on the database
/// (<https://www.postgresql.org/docs/15/sql-createextension.html>). Before version 13 no extension is trusted. For those that are
/// there, nothing is asked of the server's files, which it reads one by one.
fn extensions(names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("({})", literal(Engine::Postgres, name))).collect();
    format!(
        "SELECT 'extension', w.name, current_database()::text, (e.oid IS NOT NULL)::text, coalesce(v.is_available, false)::text, \
         (r.rolsuper OR (NOT coalesce(v.is_superusers, true) AND has_database_privilege(current_database(), 'CREATE')))::text, \
         coalesce(v.is_placed, false)::text FROM (VALUES {}) w(name) JOIN pg_roles r ON r.rolname = current_user LEFT JOIN pg_extension \
         e ON e.extname = w.name LEFT JOIN LATERAL (SELECT bool_or(p.version = a.default_version) AS is_available, bool_or(p.superuser \
         AND NOT coalesce((to_jsonb(p)->>'trusted')::boolean, false)) FILTER (WHERE p.version = a.default_version) AS is_superusers, \
         bool_or(p.schema IS NOT NULL) AS is_placed FROM pg_available_extension_versions p LEFT JOIN pg_available_extensions a USING \
         (name) WHERE p.name = w.name AND e.oid IS NULL) v ON true",
        names.join(", ")
    )
}

#[async_trait]
impl HealthCheck for PostgresSession {
    /// Reads everything in one round trip.
    async fn health(&mut self, ask: &Questions) -> Result<Health, Fault> {
        let rows = self.rows(queries(&self.door, ask)).await?;
        let door = &self.door;
        let mut health = Health::default();
        for row in rows {
            match row.must(0).as_str() {
                "server" => {
                    health.number = number(&row.must(1));
                    health.version = format!("PostgreSQL {}", row.must(1).split(' ').next().unwrap_or_default());
                    health.read_only = row.must(2) == "on";
                    health.pooled = self.pooled.unwrap_or(row.must(3) != "yes");
                    health.is_standby = row.is_true(4);
                    health.grantee = row.must(5);
                    health.grant_on = format!("DATABASE {}", row.must(6));
                }
                "connections" => health.connections = room(&row),
                "rights" => rights(&mut health, door, row.is_true(1), &row.must(2)),
                "foreign" => {
                    health.foreign_tables.push(row.must(1));
                    health.foreign_count = row.parse(2).unwrap_or(0);
                }
                "identity" => health.identity = Some(row.must(1)),
                "invalid" => health.invalid_indexes.push(row.must(1)),
                "transaction" => health.transactions.push(who(&row)),
                "hidden" => health
                    .unknown
                    .push("transactions of other users: this user is no member of pg_read_all_stats".to_owned()),
                "lock" => health.locks.push(HeldLock { table: row.must(5), mode: row.must(6), by: who(&row) }),
                "follows" => {
                    let (host, is_running) = (row.must(1), row.is_true(2));
                    health.follows = Some(Upstream { host, is_running, lag_seconds: row.parse(3) });
                }
                "follower" if row.must(2).is_empty() => {
                    health.unknown.push("how far its followers are behind: pg_read_all_stats is lacking".to_owned());
                }
                "follower" => {
                    health.followers.push(Follower { name: row.must(1), lag_seconds: row.parse(3).unwrap_or(0) });
                }
                "folder" => health.free_bytes = free(door, &row.must(1), row.parse(2)),
                "extension" => health.extensions.push(Extension {
                    name: row.must(1),
                    database: row.must(2),
                    is_installed: row.is_true(3),
                    is_available: row.is_true(4),
                    may_create: row.is_true(5),
                    is_placed: row.is_true(6),
                }),
                _ => {}
            }
        }
        if ask.server && health.free_bytes.is_none() {
            health
                .unknown
                .push("free space: PostgreSQL does not tell, and its folder can't be looked at from here".to_owned());
        }
        if ask.server && !self.door.migrations.catalog().scripts.is_empty() {
            let clients = self.client_settings().await?;
            if !clients.unknown.is_empty() {
                health.unknown.push(format!(
                    "{} in the server's own configuration: this user may not read it, and SQL scripts see the driver's (UTC; \
                     ISO, MDY); ALTER DATABASE .. SET timezone, or ?options[TimeZone]= in the url, says what they see",
                    clients.unknown.join(" and ")
                ));
            }
        }
        health.unknown.dedup();
        self.pooled = Some(health.pooled);
        Ok(health)
    }

    async fn server_load(&mut self) -> Result<ServerLoad, Fault> {
        let rows = self.rows(format!("{CONNECTIONS};\n{LOAD};\n{OF_THE_SERVER}")).await?;
        let mut load = ServerLoad::default();
        for row in rows {
            match row.must(0).as_str() {
                "connections" => load.connections = room(&row),
                "load" => (load.lock_waits, load.log_bytes) = (row.parse(1), row.parse(2)),
                "follower" if row.must(2).is_empty() => {
                    let why = "the right pg_read_all_stats is lacking, without which the server does not tell it";
                    load.unknown.insert("replication_lag".to_owned(), why.to_owned());
                }
                "follower" => load.replication_lag = load.replication_lag.max(row.parse(3)),
                "folder" => load.free_bytes = free(&self.door, &row.must(1), row.parse(2)),
                _ => {}
            }
        }
        if load.free_bytes.is_none() {
            load.unknown.insert("free_bytes".to_owned(), UNSEEN_FOLDER.to_owned());
        }
        Ok(load)
    }
}

/// If the schema is missing, the right to create it counts, unless another user has to create it.
fn rights(health: &mut Health, door: &TenantEndpoint, may_create: bool, schema: &str) {
    if let (Some(name), "", false) = (&door.tenant.schema, schema, door.tenant.create_missing) {
        health.missing_schema = Some(Engine::Postgres.quote(name));
    } else if !may_create {
        let place = if schema.is_empty() { "the database".to_owned() } else { format!("schema {schema}") };
        health.missing_rights.push(format!("CREATE on {place}"));
        if !schema.is_empty() {
            health.grant_on = format!("SCHEMA {schema}");
        }
    }
}

/// The free space on the disk of a server's folder, if the folder is on this machine, readable, and really this
/// server's: another server may have the same path in a container. The folder's first file holds the start time
/// (<https://www.postgresql.org/docs/15/storage-file-layout.html>).
fn free(door: &TenantEndpoint, folder: &str, started: Option<u64>) -> Option<u64> {
    let options = address::postgres(&door.tenant).ok()?;
    let is_here = options.get_socket().is_some() || is_local(options.get_host());
    if !is_here || folder.is_empty() {
        return None;
    }
    let of_process = std::fs::read_to_string(Path::new(folder).join("postmaster.pid")).ok()?;
    let there = of_process.lines().nth(2)?.trim().parse::<u64>().ok()?;
    let is_it = there.abs_diff(started?) <= START_TAKES;
    is_it.then(|| crate::backup::free_space(Path::new(folder)).ok()).flatten()
}

fn who(row: &TextRow) -> Blocker {
    Blocker {
        id: row.parse(1).unwrap_or(0),
        user: row.text(2),
        application: row.text(3).filter(|name| !name.is_empty()),
        transaction_seconds: row.parse(4),
        ..Blocker::default()
    }
}

/// The tighter of the server's connection limit and the role's own.
fn room(row: &TextRow) -> Option<Room> {
    let (used, most, own_most, own_used): (i64, i64, i64, i64) =
        (row.parse(1)?, row.parse(2)?, row.parse(3)?, row.parse(4)?);
    let is_tighter = own_most >= 0 && own_most - own_used < most - used;
    let (used, most) = if is_tighter { (own_used, own_most) } else { (used, most) };
    Some(Room { used: used.unsigned_abs(), most: most.max(0).unsigned_abs() })
}
