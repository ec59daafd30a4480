//! Scratch databases on a PostgreSQL server.

use std::str::FromStr;

use async_trait::async_trait;
use sqlx::ConnectOptions as _;
use sqlx::postgres::PgConnectOptions;

use crate::engine::queries::{SideConnection, connect_aside};
use crate::engine::scratch::{ScratchServer, bad_url};
use crate::model::engine::Engine;
use crate::model::fault::Fault;

pub(in crate::engine) struct Scratch;

#[async_trait]
impl ScratchServer for Scratch {
    async fn connect(&self, url: &str) -> Result<Box<dyn SideConnection>, Fault> {
        let options = PgConnectOptions::from_str(url).map_err(|_| bad_url())?;
        connect_aside(options.application_name("fleet:scratch").disable_statement_logging()).await
    }

    fn list(&self) -> &'static str {
        "SELECT datname::text FROM pg_database d WHERE datname LIKE 'fleet\\_scratch\\_%' AND NOT EXISTS (SELECT FROM \
         pg_stat_activity a WHERE a.datid = d.oid)"
    }

    /// The setting came with release 14; before it, no session was ended for its silence.
    fn keep(&self, _name: &str) -> String {
        "SELECT set_config(name, '0', false) FROM pg_settings WHERE name = 'idle_session_timeout'".to_owned()
    }

    /// The template must have no other sessions.
    fn create(&self, name: &str) -> String {
        format!("CREATE DATABASE {} TEMPLATE template0", Engine::Postgres.quote(name))
    }

    async fn drop(&self, connection: &mut dyn SideConnection, name: &str) -> Result<(), Fault> {
        connection.run(format!("DROP DATABASE {} WITH (FORCE)", Engine::Postgres.quote(name))).await
    }
}
