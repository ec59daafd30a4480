//! A new tenant's database on MySQL or MariaDB, whose mark is a table. Its content comes from a script of the final schema, or from
//! the migrations.

use std::str::FromStr as _;

use async_trait::async_trait;
use secrecy::{ExposeSecret as _, SecretString};
use sqlx::ConnectOptions as _;
use sqlx::mysql::MySqlConnectOptions;
use url::Url;

use crate::engine::final_script::{Workshop, load};
use crate::engine::mysql::scratch::Scratch;
use crate::engine::provision::{Fill, Ground, MARK_TABLE, Provisioner, Site, Template, TemplateName};
use crate::engine::queries::{SideConnection, connect_aside};
use crate::engine::scratch::{ScratchServer as _, bad_url};
use crate::engine::{ScratchPlace, address, journal, literal};
use crate::model::engine::Engine;
use crate::model::fault::{Fault, FaultClass};
use crate::model::schema::Unfinished;

pub(in crate::engine) struct Provision;

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
             table_name = {}) AS char), CAST((SELECT count(*) FROM information_schema.tables WHERE table_schema = {name} AND \
             table_name = {}) AS char)",
            text(MARK_TABLE),
            text(journal::TABLE)
        );
        let rows = connection.rows(count).await?;
        let is_marked = rows.first().is_some_and(|row| row.must(1) == "1")
            && connection
                .rows(format!("SELECT tenant FROM {}.{}", quote(&database), quote(MARK_TABLE)))
                .await?
                .iter()
                .all(|row| row.must(0) == site.tenant.id.as_str());
        let begun = journal::Journal::new(Engine::Mysql, Some(&database)).read();
        let is_half = is_marked
            && rows.first().is_some_and(|row| row.must(2) == "1")
            && connection.rows(begun).await?.iter().any(|row| row.must(0) == Unfinished::RESTORE);
        connection.close().await;
        Ok(match rows.first().map(|row| row.must(0)).unwrap_or_default().as_str() {
            _ if is_half => Ground::Half,
            _ if is_marked => Ground::Ours,
            "0" => Ground::Empty,
            n => Ground::Taken(format!("the database {database} has {n} tables, views, routines or events")),
        })
    }

    /// Dying behind the database: it is empty. Behind the mark: it is marked. In the script: it is half.
    async fn make(&self, site: &Site, template: Option<&Template>) -> Result<(), Fault> {
        let ground = self.ground(site).await?;
        if let Ground::Taken(what) = &ground {
            return Err(Fault::new(FaultClass::AlreadyExists, format!("{what} meanwhile, and was not touched")));
        }
        let (mut connection, database) = connect(site).await?;
        if ground == Ground::Half {
            // The client that loads may have outlived its process, and would go on in the new database.
            Scratch.drop(&mut *connection, &database).await?;
        }
        let is_missing = matches!(ground, Ground::Missing | Ground::Half);
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
            let table = format!("{}.{}", quote(&database), quote(MARK_TABLE));
            connection.run(format!("CREATE TABLE {table} (tenant varchar(128) NOT NULL PRIMARY KEY)")).await?;
            connection.run(format!("INSERT INTO {table} VALUES ({})", text(site.tenant.id.as_str()))).await?;
        }
        let made = match template {
            Some(Template::Script(script)) if is_missing => load(&*site.door, &site.tenant, script).await,
            _ => Ok(()),
        };
        if made.is_err() {
            Scratch.drop(&mut *connection, &database).await?;
        }
        connection.close().await;
        made
    }

    async fn finish(&self, site: &Site) -> Result<(), Fault> {
        if self.ground(site).await? != Ground::Ours {
            return Ok(());
        }
        let (mut connection, database) = connect(site).await?;
        let done = connection.run(format!("DROP TABLE {}.{}", quote(&database), quote(MARK_TABLE))).await;
        connection.close().await;
        done
    }

    /// These servers copy no databases, so it is a script.
    async fn template(&self, site: &Site, name: &TemplateName, fill: &Fill<'_>) -> Result<Template, Fault> {
        let (mut connection, _) = connect(site).await?;
        let settings = "SELECT CONCAT_WS(' ', VERSION(), @@character_set_server, @@collation_server, @@lower_case_table_names, \
                        @@global.sql_mode, @@global.default_storage_engine, @@global.innodb_default_row_format)";
        let rows = connection.rows(settings.to_owned()).await;
        connection.close().await;
        let settings = rows?.first().map(|row| row.must(0)).unwrap_or_default();
        let url = match &site.admin {
            Some(admin) => admin.expose_secret(),
            None => address::url(&site.tenant)?,
        };
        let mut url = Url::parse(url).map_err(|_| bad_url())?;
        // The tenant's own database may be missing.
        url.set_path("information_schema");
        let place = ScratchPlace::Server(Engine::Mysql, SecretString::from(String::from(url)));
        let server = format!("{} {settings}", site.tenant.server);
        Workshop { site, place, server, as_tenant: |tenant, _| tenant }.script(name, fill).await
    }
}
