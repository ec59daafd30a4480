//! A new tenant's database or schema on PostgreSQL. A database gets its name when it is whole; its mark is its comment.

use std::str::FromStr as _;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use secrecy::{ExposeSecret as _, SecretString};
use sqlx::ConnectOptions as _;
use sqlx::postgres::PgConnectOptions;
use url::Url;

use crate::engine::final_script::{Workshop, load};
use crate::engine::postgres::final_script::as_tenant;
use crate::engine::provision::{Fill, Ground, Provisioner, Site, Template, TemplateName, mark, no_copies};
use crate::engine::queries::{SideConnection, connect_aside};
use crate::engine::scratch::bad_url;
use crate::engine::{ScratchPlace, address, literal};
use crate::model::engine::Engine;
use crate::model::fault::{Fault, FaultClass};
use crate::model::tenant::Tenant;

pub(in crate::engine) struct Provision;

/// The database that every server has, to connect to where the tenant's is not there yet.
const MAINTENANCE: &str = "postgres";

/// How often a database is renamed whose last session has ended and is not gone yet, and the pause between.
const TRIES: u32 = 50;
const PAUSE: Duration = Duration::from_millis(20);

/// A site's names, quoted, and who makes it.
struct Names {
    database: String,
    schema: Option<String>,
    user: String,
    password: Option<String>,
    /// Whether somebody else than the tenant's own user makes it.
    by_other: bool,
}

impl Names {
    fn of(site: &Site) -> Result<Self, Fault> {
        let tenant = &site.tenant;
        let options = PgConnectOptions::from_str(address::url(tenant)?).map_err(|_| bad_url())?;
        let user = options.get_username().to_owned();
        let admin = site.admin.as_ref().map(|url| PgConnectOptions::from_str(url.expose_secret()));
        let admin = admin.transpose().map_err(|_| bad_url())?;
        let by_other = admin.is_some_and(|admin| admin.get_username() != user);
        let database = address::database(tenant).ok_or_else(bad_url)?;
        Ok(Names { database, schema: tenant.schema.clone(), password: address::password(tenant), user, by_other })
    }
}

fn quote(name: &str) -> String {
    Engine::Postgres.quote(name)
}

fn text(value: &str) -> String {
    literal(Engine::Postgres, value)
}

/// The URL by which a site is made, to one of the server's databases.
fn url(site: &Site, database: &str) -> Result<SecretString, Fault> {
    let base = match &site.admin {
        Some(admin) => admin.expose_secret().to_owned(),
        None => address::url(&site.tenant)?.to_owned(),
    };
    let mut url = Url::parse(&base).map_err(|_| bad_url())?;
    url.set_path(database);
    Ok(SecretString::from(String::from(url)))
}

async fn connect(site: &Site, database: &str) -> Result<Box<dyn SideConnection>, Fault> {
    let url = url(site, database)?;
    let options = PgConnectOptions::from_str(url.expose_secret()).map_err(|_| bad_url())?;
    connect_aside(options.application_name("fleet:provision").disable_statement_logging()).await
}

/// The relations that somebody has made, in one schema or in all.
fn relations(schema: Option<&str>) -> String {
    let of = match schema {
        Some(schema) => format!("n.nspname = {}", text(schema)),
        None => "n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'".to_owned(),
    };
    format!(
        "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE {of} AND NOT EXISTS (SELECT \
         FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')"
    )
}

#[async_trait]
impl Provisioner for Provision {
    async fn ground(&self, site: &Site) -> Result<Ground, Fault> {
        let names = Names::of(site)?;
        let within = if names.schema.is_some() { &names.database } else { MAINTENANCE };
        let mut connection = connect(site, within).await?;
        let (there, what) = match &names.schema {
            Some(schema) => (
                format!(
                    "SELECT obj_description(oid, 'pg_namespace') FROM pg_namespace WHERE nspname = {}",
                    text(schema)
                ),
                format!("the schema {schema} of the database {}", names.database),
            ),
            None => (
                format!(
                    "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = {}",
                    text(&names.database)
                ),
                format!("the database {}", names.database),
            ),
        };
        let found = connection.rows(there).await?;
        connection.close().await;
        let Some(found) = found.first() else { return Ok(Ground::Missing) };
        if found.text(0) == Some(mark(&site.tenant)) {
            return Ok(Ground::Ours);
        }
        let mut connection = connect(site, &names.database).await?;
        let count = connection.rows(relations(names.schema.as_deref())).await?;
        connection.close().await;
        Ok(match count.first().map(|row| row.must(0)).unwrap_or_default().as_str() {
            "0" => Ground::Empty,
            n => Ground::Taken(format!("{what} has {n} tables, views, indexes or sequences")),
        })
    }

    /// Dying before the database has its name: a scratch database, swept later. Behind it: whole, with its mark.
    async fn make(&self, site: &Site, template: Option<&Template>) -> Result<(), Fault> {
        let names = Names::of(site)?;
        let mut connection = connect(site, MAINTENANCE).await?;
        if site.role {
            let there =
                connection.rows(format!("SELECT 1 FROM pg_roles WHERE rolname = {}", text(&names.user))).await?;
            if there.is_empty() {
                let password = names.password.as_ref().map(|it| format!(" PASSWORD {}", text(it))).unwrap_or_default();
                connection.run(format!("CREATE ROLE {} LOGIN{password}", quote(&names.user))).await?;
            }
            if names.by_other {
                // Only a member may give a database to a role; a superuser needs no membership.
                let _ = connection.run(format!("GRANT {} TO CURRENT_USER", quote(&names.user))).await;
            }
        }
        let ground = self.ground(site).await?;
        let is_missing = ground == Ground::Missing;
        let made = match (&names.schema, is_missing) {
            _ if matches!(ground, Ground::Taken(_)) => {
                Err(Fault::new(FaultClass::AlreadyExists, "it is there meanwhile"))
            }
            (_, false) => Ok(()),
            (Some(_), true) => make_schema(site, &names, template).await,
            (None, true) => make_database(site, &names, (&mut *connection, template)).await,
        };
        connection.close().await;
        made
    }

    async fn finish(&self, site: &Site) -> Result<(), Fault> {
        if self.ground(site).await? != Ground::Ours {
            return Ok(());
        }
        let names = Names::of(site)?;
        let mut connection = connect(site, &names.database).await?;
        let object = match &names.schema {
            Some(schema) => format!("SCHEMA {}", quote(schema)),
            None => format!("DATABASE {}", quote(&names.database)),
        };
        let done = connection.run(format!("COMMENT ON {object} IS NULL")).await;
        connection.close().await;
        done
    }

    async fn template(&self, site: &Site, name: &TemplateName, fill: &Fill<'_>) -> Result<Template, Fault> {
        let names = Names::of(site)?;
        if names.schema.is_some() {
            // PostgreSQL copies whole databases only, so it is a script.
            let place = ScratchPlace::Server(Engine::Postgres, url(site, MAINTENANCE)?);
            let mut connection = connect(site, &names.database).await?;
            let version = connection.rows("SELECT version()".to_owned()).await;
            connection.close().await;
            let version = version?.first().map(|row| row.must(0)).unwrap_or_default();
            let server = format!("{} {version}", site.tenant.server);
            let fill = |scratch: Arc<Tenant>| -> BoxFuture<'_, Result<(), Fault>> {
                Box::pin(async move {
                    fill(scratch.clone()).await?;
                    only_in_its_schema(site, &scratch).await
                })
            };
            return Workshop { site, place, server, as_tenant }.script(name, &fill).await;
        }
        if names.by_other {
            return Err(no_copies(
                "its own user makes what belongs to it: a copy would belong to the maker of the template",
            ));
        }
        let whole = name.whole();
        let mut connection = connect(site, MAINTENANCE).await?;
        let there = connection.rows(format!("SELECT 1 FROM pg_database WHERE datname = {}", text(&whole))).await?;
        if there.is_empty() {
            let settle = async |scratch: Arc<Tenant>| {
                let made = scratch.id.to_string();
                fill(scratch).await?;
                is_copied_whole(&mut *connection, &made).await?;
                rename(&mut *connection, &made, &whole).await
            };
            let place = ScratchPlace::Server(Engine::Postgres, url(site, MAINTENANCE)?);
            match place.settle(settle).await {
                Err(fault) if fault.class == FaultClass::AlreadyExists => {}
                settled => settled?,
            }
            let older = format!(
                "SELECT datname::text FROM pg_database WHERE starts_with(datname::text, {}) AND datname <> {}",
                text(&name.prefix()),
                text(&whole)
            );
            for row in connection.rows(older).await.unwrap_or_default() {
                // One that is being copied at this moment stays.
                let _ = connection.run(format!("DROP DATABASE {}", quote(&row.must(0)))).await;
            }
        }
        connection.close().await;
        Ok(Template::Database(whole))
    }
}

/// Whether `CREATE DATABASE .. TEMPLATE` takes over everything that the migrations have made: it leaves out the settings of a
/// database and the rights on it.
async fn is_copied_whole(connection: &mut dyn SideConnection, made: &str) -> Result<(), Fault> {
    let lost = format!(
        "SELECT 1 FROM pg_database b WHERE b.datname = {} AND (b.datacl IS NOT NULL OR EXISTS (SELECT FROM pg_db_role_setting r \
         WHERE r.setdatabase = b.oid))",
        text(made)
    );
    match connection.rows(lost).await?.is_empty() {
        true => Ok(()),
        false => Err(no_copies(
            "the migrations set something for the database itself (ALTER DATABASE or GRANT .. ON DATABASE)",
        )),
    }
}

/// Whether the dump of a schema has everything that the migrations have made: what is in a schema that tenants share is not in it.
async fn only_in_its_schema(site: &Site, scratch: &Tenant) -> Result<(), Fault> {
    let mut connection = connect(site, &address::database(scratch).ok_or_else(bad_url)?).await?;
    let kinds = [
        ("pg_class", "relnamespace", "relname"),
        ("pg_proc", "pronamespace", "proname"),
        ("pg_type", "typnamespace", "typname"),
    ];
    let kinds = kinds.map(|(catalog, of, name)| {
        format!(
            "SELECT n.nspname::text, o.{name}::text FROM {catalog} o JOIN pg_namespace n ON n.oid = o.{of} WHERE n.nspname NOT LIKE \
             'pg\\_%' AND n.nspname NOT IN ('information_schema', {}) AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = \
             '{catalog}'::regclass AND d.objid = o.oid AND d.deptype IN ('e', 'i'))",
            text(scratch.schema.as_deref().unwrap_or_default())
        )
    });
    let outside = connection.rows(format!("{} LIMIT 1", kinds.join(" UNION ALL "))).await;
    connection.close().await;
    match outside?.first() {
        None => Ok(()),
        Some(row) => {
            let (schema, name) = (row.must(0), row.must(1));
            Err(no_copies(&format!("the migrations make {schema}.{name}, which is outside of the tenant's schema")))
        }
    }
}

async fn rename(connection: &mut dyn SideConnection, from: &str, to: &str) -> Result<(), Fault> {
    for _ in 0..TRIES {
        match connection.run(format!("ALTER DATABASE {} RENAME TO {}", quote(from), quote(to))).await {
            // 55006: its last session has ended, and the server has not noticed.
            Err(fault) if fault.code.as_deref() == Some("55006") => tokio::time::sleep(PAUSE).await,
            renamed => return renamed,
        }
    }
    Err(no_copies("sessions of others keep the new database from getting its name"))
}

/// Dying before the script is run, it is empty, and marked.
async fn make_schema(site: &Site, names: &Names, template: Option<&Template>) -> Result<(), Fault> {
    let schema = names.schema.as_deref().unwrap_or_default();
    let mut connection = connect(site, &names.database).await?;
    let owner = if names.by_other { format!(" AUTHORIZATION {}", quote(&names.user)) } else { String::new() };
    let sql = format!(
        "BEGIN;\nCREATE SCHEMA {}{owner};\nCOMMENT ON SCHEMA {} IS {};\nCOMMIT",
        quote(schema),
        quote(schema),
        text(&mark(&site.tenant))
    );
    let mut made = connection.transaction(sql).await.map(drop);
    if let (Ok(()), Some(Template::Script(script))) = (&made, template) {
        made = load(&*site.door, &site.tenant, script).await;
        if made.is_err() {
            connection.run(format!("DROP SCHEMA {} CASCADE", quote(schema))).await?;
        }
    }
    connection.close().await;
    made
}

async fn make_database(
    site: &Site,
    names: &Names,
    (connection, template): (&mut dyn SideConnection, Option<&Template>),
) -> Result<(), Fault> {
    let name = ScratchPlace::new_name();
    let template = match template {
        Some(Template::Database(template)) => format!(" TEMPLATE {}", quote(template)),
        _ => String::new(),
    };
    let owner = if names.by_other { format!(" OWNER {}", quote(&names.user)) } else { String::new() };
    connection.run(format!("CREATE DATABASE {}{template}{owner}", quote(&name))).await?;
    let marked = connection.run(format!("COMMENT ON DATABASE {} IS {}", quote(&name), text(&mark(&site.tenant)))).await;
    let named = match marked {
        Ok(()) => rename(connection, &name, &names.database).await,
        Err(fault) => Err(fault),
    };
    if named.is_err() {
        let _ = connection.run(format!("DROP DATABASE {}", quote(&name))).await;
    }
    named
}
