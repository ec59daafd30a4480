//! A new tenant's database on MySQL or MariaDB, whose mark is a table. Its content comes from the migrations.

use std::str::FromStr as _;

use async_trait::async_trait;
use secrecy::ExposeSecret as _;
use sqlx::ConnectOptions as _;
use sqlx::mysql::MySqlConnectOptions;

use crate::engine::provision::{Ground, Provisioner, Site, Template};
use crate::engine::queries::{SideConnection, connect_aside};
use crate::engine::scratch::bad_url;
use crate::engine::{address, literal};
use crate::model::engine::Engine;
use crate::model::fault::Fault;

pub(in crate::engine) struct Provision;

/// The table that marks a database.
const MARK: &str = "fleet_provision";

fn quote(name: &str) -> String {
    Engine::Mysql.quote(name)
}

fn text(value: &str) -> String {
    literal(Engine::Mysql, value)
}

/// A connection to the server, as the user who makes databases, and the database's name.
async fn connect(site: &Site) -> Result<(Box<dyn SideConnection>, String), Fault> {
    let database = address::database(&site.tenant).ok_or_else(bad_url)?;
    let options = match &site.admin {
        Some(admin) => MySqlConnectOptions::from_str(admin.expose_secret()).map_err(|_| bad_url())?,
        // The tenant's own database may be missing.
        None => address::mysql(&site.tenant)?.database("information_schema"),
    };
    Ok((connect_aside(options.disable_statement_logging()).await?, database))
}

#[async_trait]
impl Provisioner for Provision {
    async fn ground(&self, site: &Site) -> Result<Ground, Fault> {
        let (mut connection, database) = connect(site).await?;
        let name = text(&database);
        let there = format!("SELECT 1 FROM information_schema.schemata WHERE schema_name = {name}");
        if connection.rows(there).await?.is_empty() {
            connection.close().await;
            return Ok(Ground::Missing);
        }
        let count = format!(
            "SELECT CAST((SELECT count(*) FROM information_schema.tables WHERE table_schema = {name}) + (SELECT count(*) FROM \
             information_schema.routines WHERE routine_schema = {name}) + (SELECT count(*) FROM information_schema.events WHERE \
             event_schema = {name}) AS char), CAST((SELECT count(*) FROM information_schema.tables WHERE table_schema = {name} AND \
             table_name = {}) AS char)",
            text(MARK)
        );
        let rows = connection.rows(count).await?;
        let is_marked = rows.first().is_some_and(|row| row.must(1) == "1")
            && connection
                .rows(format!("SELECT tenant FROM {}.{}", quote(&database), quote(MARK)))
                .await?
                .iter()
                .all(|row| row.must(0) == site.tenant.id.as_str());
        connection.close().await;
        Ok(match rows.first().map(|row| row.must(0)).unwrap_or_default().as_str() {
            _ if is_marked => Ground::Ours,
            "0" => Ground::Empty,
            n => Ground::Taken(format!("the database {database} has {n} tables, views, routines or events")),
        })
    }

    /// Dying behind the database: it is empty. Behind the mark: it is marked.
    async fn make(&self, site: &Site, _template: Option<&Template>) -> Result<(), Fault> {
        let is_missing = self.ground(site).await? == Ground::Missing;
        let (mut connection, database) = connect(site).await?;
        if is_missing {
            connection.run(format!("CREATE DATABASE {}", quote(&database))).await?;
        }
        if site.role {
            let options = address::mysql(&site.tenant)?;
            let user = format!("{}@'%'", text(options.get_username()));
            let password = address::password(&site.tenant).unwrap_or_default();
            connection.run(format!("CREATE USER IF NOT EXISTS {user} IDENTIFIED BY {}", text(&password))).await?;
            // In a grant, these letters of a name stand for others.
            let only = quote(&database).replace('_', "\\_").replace('%', "\\%");
            connection.run(format!("GRANT ALL PRIVILEGES ON {only}.* TO {user}")).await?;
        }
        if is_missing {
            let table = format!("{}.{}", quote(&database), quote(MARK));
            connection.run(format!("CREATE TABLE {table} (tenant varchar(128) NOT NULL PRIMARY KEY)")).await?;
            connection.run(format!("INSERT INTO {table} VALUES ({})", text(site.tenant.id.as_str()))).await?;
        }
        connection.close().await;
        Ok(())
    }

    async fn finish(&self, site: &Site) -> Result<(), Fault> {
        if self.ground(site).await? != Ground::Ours {
            return Ok(());
        }
        let (mut connection, database) = connect(site).await?;
        let done = connection.run(format!("DROP TABLE {}.{}", quote(&database), quote(MARK))).await;
        connection.close().await;
        done
    }
}
