//! Scratch databases on a server of MySQL or MariaDB.

use std::str::FromStr;

use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretString};
use sqlx::mysql::MySqlConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, MySqlConnection};

use crate::engine::errors;
use crate::engine::mysql::decode;
use crate::engine::scratch::{ScratchServer, bad_url, within};
use crate::model::engine::Engine;
use crate::model::fault::Fault;

pub(in crate::engine) struct Scratch;

#[async_trait]
impl ScratchServer for Scratch {
    async fn names(&self, url: &SecretString) -> Result<Vec<String>, Fault> {
        let mut connection = connect(url).await?;
        let list = "SELECT schema_name FROM information_schema.schemata WHERE schema_name LIKE 'fleet\\_scratch\\_%'";
        let rows = sqlx::raw_sql(list).fetch_all(&mut connection).await.map_err(|e| errors::fault(&e))?;
        let _ = connection.close().await;
        Ok(rows.iter().filter_map(|row| decode::text(row, 0)).collect())
    }

    async fn create(&self, url: &SecretString, name: &str) -> Result<(), Fault> {
        let connection = connect(url).await?;
        run(connection, format!("CREATE DATABASE {}", Engine::Mysql.quote(name))).await
    }

    async fn drop(&self, url: &SecretString, name: &str) -> Result<(), Fault> {
        let mut connection = connect(url).await?;
        end_sessions(&mut connection, name).await;
        run(connection, format!("DROP DATABASE {}", Engine::Mysql.quote(name))).await
    }
}

/// A query that has just been ended may take a moment to let go of its tables.
async fn run(mut connection: MySqlConnection, sql: String) -> Result<(), Fault> {
    let sql = format!("SET SESSION lock_wait_timeout = 30; {sql}");
    let result = sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await;
    let _ = connection.close().await;
    result.map(drop).map_err(|e| errors::fault(&e))
}

/// Ends what is still at work in a scratch database, as PostgreSQL's `FORCE` does: a query that was given up goes on, and
/// would keep its tables from being dropped.
async fn end_sessions(connection: &mut MySqlConnection, name: &str) {
    let list = format!("SELECT id FROM information_schema.processlist WHERE db = '{name}'");
    let Ok(rows) = sqlx::raw_sql(AssertSqlSafe(list)).fetch_all(&mut *connection).await else { return };
    for id in rows.iter().filter_map(|row| decode::number(row, 0)) {
        // One that has ended by itself is as good.
        let _ = sqlx::raw_sql(AssertSqlSafe(format!("KILL {id}"))).execute(&mut *connection).await;
    }
}

async fn connect(url: &SecretString) -> Result<MySqlConnection, Fault> {
    let options = MySqlConnectOptions::from_str(url.expose_secret()).map_err(|_| bad_url())?;
    within(options.disable_statement_logging().connect()).await
}
