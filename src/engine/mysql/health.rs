//! The health of a MySQL or MariaDB database.
//!
//! Rights granted through a role are not resolved: such a user's rights are reported as unknown.

use std::path::Path;

use async_trait::async_trait;

use crate::engine::health::{UNSEEN_FOLDER, is_local, number};
use crate::engine::mysql::flavour::Flavour;
use crate::engine::mysql::settings::Settings;
use crate::engine::mysql::{MysqlSession, cluster};
use crate::engine::queries::{Queries as _, TextRow};
use crate::engine::{HealthCheck, TenantEndpoint, address, literal};
use crate::model::fault::Fault;
use crate::model::health::{Health, HeldLock, Obstacle, Questions, Room, Upstream};
use crate::model::load::ServerLoad;
use crate::model::outcome::Blocker;
use crate::model::tenant::Engine;

const SERVER: &str = "SELECT VERSION(), CURRENT_USER(), CAST(@@max_connections AS CHAR), CAST(@@max_user_connections AS CHAR), \
                      COALESCE(CURRENT_ROLE(), 'NONE'), (SELECT CAST(COUNT(*) AS CHAR) FROM information_schema.plugins WHERE \
                      plugin_name = 'METADATA_LOCK_INFO' AND plugin_status = 'ACTIVE'), COALESCE(DATABASE(), '')";
const LOAD: &str = "SELECT VERSION(), CAST(@@max_connections AS CHAR), CAST(@@max_user_connections AS CHAR), \
                    CAST(@@log_bin AS CHAR), @@datadir, @@hostname";

/// The sessions that wait for rows, and those that wait for tables and other objects.
const LOCK_WAITS: &str = "SELECT CAST(COUNT(*) AS CHAR) FROM (SELECT trx_mysql_thread_id AS id FROM \
                          information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT' UNION SELECT id FROM \
                          information_schema.processlist WHERE state LIKE 'Waiting for % lock') waiting";
const CONNECTED: &str = "SHOW GLOBAL STATUS LIKE 'Threads_connected'";

/// MySQL's servers have an id of their own, those of MariaDB since 10.11.9 one made from the machine's address and the port.
const IDENTITY: &str =
    "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('datadir', 'hostname', 'port', 'server_uid', 'server_uuid')";

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

/// The name under which the user already has rights on this database: if several match, the server uses only one.
const GRANTED_ON: &str = "SELECT MAX(s.table_schema) FROM information_schema.schema_privileges s WHERE s.grantee = CONCAT('''', \
                          REPLACE(CURRENT_USER(), '@', '''@'''), '''') AND DATABASE() LIKE s.table_schema";
const TRANSACTIONS: &str = "SELECT CAST(p.id AS CHAR), p.user, CAST(TIMESTAMPDIFF(SECOND, t.trx_started, NOW()) AS CHAR) \
                            FROM information_schema.innodb_trx t JOIN information_schema.processlist p \
                            ON p.id = t.trx_mysql_thread_id WHERE p.db = DATABASE() AND p.id <> CONNECTION_ID() \
                            ORDER BY t.trx_started LIMIT 5";

/// The newer keywords first: MySQL 8.4 has only these, and servers before MariaDB 10.5 and MySQL 8.0.22 only the older
/// ones.
const REPLICA: [&str; 2] = ["SHOW REPLICA STATUS", "SHOW SLAVE STATUS"];

#[async_trait]
impl HealthCheck for MysqlSession {
    /// Several small queries, since a missing right would fail all later ones in one message.
    async fn health(&mut self, ask: &Questions) -> Result<Health, Fault> {
        let mut health = Health::default();
        let rows = self.rows(SERVER.to_owned()).await?;
        let Some(server) = rows.first() else { return Ok(health) };
        let version = server.must(0);
        health.number = number(&version);
        let flavour = Flavour::of(&version);
        health.version = format!("{} {}", flavour.product().name, version.split('-').next().unwrap_or_default());
        health.connections = self.room([2, 3].map(|column| server.parse(column))).await?;
        let settings = Settings::read(self).await?;
        health.read_only_by = settings.read_only(flavour, health.number);
        health.read_only = !health.read_only_by.is_empty();
        health.obstacles = settings.obstacles(flavour, health.number);
        if let Some(cluster) = settings.cluster().filter(|_| !self.door.tenant.single_writer) {
            let (what, fix) = cluster::many_writers(cluster);
            health.obstacles.push(Obstacle { stops: true, concerns: &[], what, fix: fix.to_owned() });
        }
        if server.must(4) == "NONE" {
            health.missing_rights = self.rows(RIGHTS.to_owned()).await?.iter().filter_map(|row| row.text(0)).collect();
            let granted = self.rows(GRANTED_ON.to_owned()).await?.first().and_then(|row| row.text(0));
            health.grantee = grantee(&server.must(1));
            let name = granted.unwrap_or_else(|| as_pattern(&server.must(6)));
            health.grant_on = format!("{}.*", Engine::Mysql.quote(&name));
        } else {
            health.unknown.push("rights: this user has them through a role".to_owned());
        }
        match self.rows(TRANSACTIONS.to_owned()).await {
            Ok(open) => health.transactions = open.iter().map(transaction).collect(),
            Err(fault) => health.unknown.push(format!("open transactions: {fault}")),
        }
        if flavour == Flavour::MariaDb && server.must(5) == "0" {
            let why = format!("the plugin is not loaded: {}", flavour.tells_holders());
            health.unknown.push(format!("locks on tables: {why}"));
        } else {
            let lock = |row: &TextRow| HeldLock { table: row.must(3), mode: row.must(4), by: transaction(row) };
            match self.rows(flavour.locks_here().to_owned()).await {
                Ok(locks) => health.locks = locks.iter().map(lock).collect(),
                Err(fault) if fault.code.as_deref() == Some("1142") => {
                    health.unknown.push(format!("locks on tables: {fault}; it takes {}", flavour.tells_holders()));
                }
                Err(fault) => health.unknown.push(format!("locks on tables: {fault}")),
            }
        }
        if ask.closely {
            let of_server = self.rows(IDENTITY.to_owned()).await?;
            let mut parts: Vec<String> = of_server.iter().map(|row| row.must(1)).collect();
            parts.push(server.must(6));
            health.identity = Some(parts.join(" "));
        }
        if ask.server {
            self.read_server(&mut health).await;
        }
        Ok(health)
    }

    /// As [`HealthCheck::health`], several small queries.
    async fn server_load(&mut self) -> Result<ServerLoad, Fault> {
        let mut load = ServerLoad::default();
        let rows = self.rows(LOAD.to_owned()).await?;
        let Some(server) = rows.first() else { return Ok(load) };
        let flavour = Flavour::of(&server.must(0));
        load.connections = self.room([1, 2].map(|column| server.parse(column))).await?;
        let mut unknown = |number: &str, why: String| load.unknown.insert(number.to_owned(), why);
        match self.rows(LOCK_WAITS.to_owned()).await {
            Ok(rows) => load.lock_waits = rows.first().and_then(|row| row.parse(0)),
            Err(fault) => _ = unknown("lock_waits", format!("it takes the right PROCESS: {fault}")),
        }
        if server.is_true(3) {
            let (sql, column, right) = flavour.log_written();
            match self.rows(sql.to_owned()).await {
                Ok(rows) => load.log_bytes = rows.first().and_then(|row| row.parse(column)),
                Err(fault) => _ = unknown("log_bytes", format!("it takes {right}: {fault}")),
            }
        }
        match self.replica_status().await {
            Ok(rows) if rows.is_empty() => {
                let why = "the server does not know how far its replicas are behind";
                unknown("replication_lag", why.to_owned());
            }
            Ok(rows) => load.replication_lag = rows.iter().filter_map(|row| upstream(row).lag_seconds).max(),
            Err(fault) => _ = unknown("replication_lag", fault.to_string()),
        }
        load.free_bytes = free(&self.door, &server.must(4), &server.must(5));
        if load.free_bytes.is_none() {
            load.unknown.insert("free_bytes".to_owned(), UNSEEN_FOLDER.to_owned());
        }
        Ok(load)
    }
}

impl MysqlSession {
    /// The connections of the server, against the least of these limits; 0 is none.
    async fn room(&mut self, limits: [Option<u64>; 2]) -> Result<Option<Room>, Fault> {
        let used = self.rows(CONNECTED.to_owned()).await?.first().and_then(|row| row.parse(1));
        let most = limits.into_iter().flatten().filter(|most| *most > 0).min();
        Ok(used.zip(most).map(|(used, most)| Room { used, most }))
    }

    async fn replica_status(&mut self) -> Result<Vec<TextRow>, Fault> {
        match self.rows(REPLICA[0].to_owned()).await {
            // It does not know the keyword. A right that is missing for one is missing for the other.
            Err(fault) if fault.code.as_deref() == Some("1064") => self.rows(REPLICA[1].to_owned()).await,
            read => read,
        }
    }

    /// The values shared by all databases of the server.
    async fn read_server(&mut self, health: &mut Health) {
        match self.replica_status().await {
            Ok(rows) => health.follows = rows.first().map(upstream),
            Err(fault) => health.unknown.push(format!("replication: {fault}")),
        }
        if let Ok(rows) = self.rows("SELECT @@datadir, @@hostname".to_owned()).await {
            health.free_bytes = rows.first().and_then(|row| free(&self.door, &row.must(0), &row.must(1)));
        }
        if health.free_bytes.is_none() {
            health.unknown.push(format!("free space: {UNSEEN_FOLDER}"));
        }
    }
}

/// `user@host` in the form of a `GRANT`.
fn grantee(user: &str) -> String {
    let (name, host) = user.rsplit_once('@').unwrap_or((user, "%"));
    format!("{}@{}", literal(Engine::Mysql, name), literal(Engine::Mysql, host))
}

/// A database name for a `GRANT`, which reads it as a pattern (<https://mariadb.com/kb/en/grant/#database-privileges>).
fn as_pattern(name: &str) -> String {
    name.replace('\\', "\\\\").replace('_', "\\_").replace('%', "\\%")
}

/// The two products, and their versions, name the columns differently.
fn upstream(row: &TextRow) -> Upstream {
    let of = |names: &[&str]| names.iter().find_map(|name| row.named(name));
    let runs = |names: &[&str]| of(names).is_some_and(|state| state == "Yes");
    Upstream {
        host: of(&["Master_Host", "Source_Host"]).unwrap_or_default(),
        is_running: runs(&["Slave_IO_Running", "Replica_IO_Running"])
            && runs(&["Slave_SQL_Running", "Replica_SQL_Running"]),
        lag_seconds: of(&["Seconds_Behind_Master", "Seconds_Behind_Source"]).and_then(|text| text.parse().ok()),
    }
}

/// The free space on the disk of a server's folder, if the folder is on this machine and readable. A server in a
/// container has another host name.
fn free(door: &TenantEndpoint, folder: &str, machine: &str) -> Option<u64> {
    let options = address::mysql(&door.tenant).ok()?;
    let is_local = options.get_socket().is_some() || is_local(options.get_host());
    let ours = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    let is_here = is_local && ours.trim() == machine && Path::new(folder).join("mysql").is_dir();
    is_here.then(|| crate::backup::free_space(Path::new(folder)).ok()).flatten()
}

fn transaction(row: &TextRow) -> Blocker {
    Blocker {
        id: row.parse(0).unwrap_or(0),
        user: row.text(1),
        transaction_seconds: row.parse(2),
        ..Blocker::default()
    }
}
