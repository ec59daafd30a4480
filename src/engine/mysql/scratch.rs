//! Scratch databases on a MySQL or MariaDB server.

use std::str::FromStr;

use async_trait::async_trait;
use sqlx::ConnectOptions as _;
use sqlx::mysql::MySqlConnectOptions;

use crate::engine::queries::{SideConnection, connect_aside};
use crate::engine::scratch::{ScratchServer, bad_url};
use crate::model::engine::Engine;
use crate::model::fault::Fault;

pub(in crate::engine) struct Scratch;

/// A query that was just killed may take a moment to release its tables.
const PATIENCE: &str = "SET SESSION lock_wait_timeout = 30";

#[async_trait]
impl ScratchServer for Scratch {
    async fn connect(&self, url: &str) -> Result<Box<dyn SideConnection>, Fault> {
        let options = MySqlConnectOptions::from_str(url).map_err(|_| bad_url())?;
        connect_aside(options.disable_statement_logging()).await
    }

    fn list(&self) -> &'static str {
        "SELECT schema_name FROM information_schema.schemata WHERE schema_name LIKE 'fleet\\_scratch\\_%' AND \
         IS_USED_LOCK(schema_name) IS NULL AND schema_name NOT IN (SELECT db FROM information_schema.processlist WHERE db IS \
         NOT NULL)"
    }

    /// A user sees only their own sessions in the list of them, but every lock.
    fn keep(&self, name: &str) -> String {
        format!("SET SESSION wait_timeout = 2147483; DO GET_LOCK('{name}', 0)")
    }

    fn create(&self, name: &str) -> String {
        format!("{PATIENCE}; CREATE DATABASE {}", Engine::Mysql.quote(name))
    }

    /// Kills the sessions that are still running there, as PostgreSQL's `FORCE` does: an abandoned query continues, and
    /// would keep its tables from being dropped.
    async fn drop(&self, connection: &mut dyn SideConnection, name: &str) -> Result<(), Fault> {
        let list = format!("SELECT id FROM information_schema.processlist WHERE db = '{name}'");
        for row in connection.rows(list).await.unwrap_or_default() {
            // A session that has already ended is fine too.
            let _ = connection.run(format!("KILL {}", row.must(0))).await;
        }
        connection.run(format!("{PATIENCE}; DROP DATABASE {}", Engine::Mysql.quote(name))).await
    }
}
