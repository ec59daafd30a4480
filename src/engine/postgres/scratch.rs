//! Scratch databases on a PostgreSQL server.

use std::str::FromStr;

use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretString};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection, Row as _};

use crate::engine::errors;
use crate::engine::scratch::{ScratchServer, bad_url, within};
use crate::model::engine::Engine;
use crate::model::fault::Fault;

pub(in crate::engine) struct Scratch;

#[async_trait]
impl ScratchServer for Scratch {
    async fn names(&self, url: &SecretString) -> Result<Vec<String>, Fault> {
        let mut connection = connect(url).await?;
        let list = "SELECT datname::text FROM pg_database WHERE datname LIKE 'fleet\\_scratch\\_%'";
        let rows = sqlx::raw_sql(list).fetch_all(&mut connection).await.map_err(|e| errors::fault(&e))?;
        let _ = connection.close().await;
        Ok(rows.iter().filter_map(|row| row.try_get(0).ok()).collect())
    }

    /// The template may not have other sessions.
    async fn create(&self, url: &SecretString, name: &str) -> Result<(), Fault> {
        run(url, format!("CREATE DATABASE {} TEMPLATE template0", Engine::Postgres.quote(name))).await
    }

    async fn drop(&self, url: &SecretString, name: &str) -> Result<(), Fault> {
        run(url, format!("DROP DATABASE {} WITH (FORCE)", Engine::Postgres.quote(name))).await
    }
}

async fn run(url: &SecretString, sql: String) -> Result<(), Fault> {
    let mut connection = connect(url).await?;
    let result = sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await;
    let _ = connection.close().await;
    result.map(drop).map_err(|e| errors::fault(&e))
}

async fn connect(url: &SecretString) -> Result<PgConnection, Fault> {
    let options = PgConnectOptions::from_str(url.expose_secret()).map_err(|_| bad_url())?;
    within(options.application_name("fleet:scratch").disable_statement_logging().connect()).await
}
