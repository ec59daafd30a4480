//! A separate database for each test, on every kind of site where a tenant can be.
//!
//! It creates, reads and drops databases, and knows nothing of the purpose of a test.

pub(crate) mod fleet;
pub(crate) mod migrations;
#[expect(dead_code, reason = "the tests of the whole program use the rest")]
pub(crate) mod mysql;
pub(crate) mod pgbouncer;
pub(crate) mod tls_server;

use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use crate::model::tenant::{Address, Engine, Tenant};
use futures_util::FutureExt as _;
use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection, Statement};
use secrecy::SecretString;
use url::Url;

/// The name of a tenant's schema: it fails wherever quoting is forgotten.
pub(crate) const SCHEMA: &str = r#"Tenant "One" s"#;

/// A site where a tenant can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Site {
    Sqlite,
    Postgres,
    PostgresSchema,
    Mariadb,
    Mysql,
}

impl Site {
    pub(crate) fn engine(self) -> Engine {
        match self {
            Site::Sqlite => Engine::Sqlite,
            Site::Postgres | Site::PostgresSchema => Engine::Postgres,
            Site::Mariadb | Site::Mysql => Engine::Mysql,
        }
    }

    /// MariaDB, and MySQL where the tests have one.
    pub(crate) fn mysqls() -> Vec<Site> {
        Site::there(&[Site::Mariadb, Site::Mysql])
    }

    /// Those of them that the tests have: without MySQL where it is left out.
    pub(crate) fn there(sites: &[Site]) -> Vec<Site> {
        sites.iter().copied().filter(|site| *site != Site::Mysql || mysql::is_there()).collect()
    }

    /// Whether it speaks MySQL's protocol and dialect.
    pub(crate) fn is_mysql(self) -> bool {
        self.engine() == Engine::Mysql
    }

    /// The value for this engine.
    pub(crate) fn pick<T>(self, sqlite: T, postgres: T, mariadb: T) -> T {
        match self.engine() {
            Engine::Sqlite => sqlite,
            Engine::Postgres => postgres,
            Engine::Mysql => mariadb,
        }
    }
}

/// One tenant's database.
pub(crate) struct Home {
    pub(crate) site: Site,
    pub(crate) tenant: Arc<Tenant>,
    /// The database's name on its server; for SQLite the file.
    pub(crate) name: String,
    _folder: Option<tempfile::TempDir>,
}

/// Runs a test in a new database and drops it, whatever the result of the test.
pub(crate) async fn with(site: Site, test: impl AsyncFnOnce(&Home)) {
    let home = Home::new(site).await;
    let result = AssertUnwindSafe(test(&home)).catch_unwind().await;
    home.remove().await;
    if let Err(panic) = result {
        std::panic::resume_unwind(panic);
    }
}

/// The same on MariaDB, and on MySQL where the tests have one.
pub(crate) async fn with_mysqls(mut test: impl AsyncFnMut(&Home)) {
    for site in Site::mysqls() {
        with(site, async |home: &Home| test(home).await).await;
    }
}

/// A server of `scripts/servers`, by the variable that holds its URL; MySQL has none here. An engine alone means its
/// first server.
pub(crate) struct Server(Option<&'static str>);

impl From<Engine> for Server {
    fn from(engine: Engine) -> Self {
        Server(Some(if engine == Engine::Postgres { "FLEET_TEST_POSTGRES_URL" } else { "FLEET_TEST_MARIADB_URL" }))
    }
}

impl From<Site> for Server {
    fn from(site: Site) -> Self {
        if site == Site::Mysql { Server(None) } else { site.engine().into() }
    }
}

/// The URL of a server's own database, from `scripts/servers`.
pub(crate) fn server_url(server: impl Into<Server>) -> String {
    let Some(variable) = server.into().0 else { return mysql::url() };
    std::env::var(variable)
        .unwrap_or_else(|_| panic!("{variable} is not set; run `eval \"$(scripts/servers start)\"` first"))
}

/// A server's URL with another database in it.
pub(crate) fn url_of(server: impl Into<Server>, database: &str) -> String {
    let mut url = Url::parse(&server_url(server)).unwrap();
    url.set_path(database);
    url.to_string()
}

/// A name unique among the tests.
pub(crate) fn unique(prefix: &str) -> String {
    format!("{prefix}_{}", uuid::Uuid::now_v7().simple())
}

/// A single connection: settings and transactions on it persist.
pub(crate) async fn connect(url: &str) -> DatabaseConnection {
    let options = ConnectOptions::new(url).max_connections(1).min_connections(1).sqlx_logging(false).to_owned();
    Database::connect(options).await.unwrap()
}

/// Runs SQL on a server's own database.
pub(crate) async fn on_server(server: impl Into<Server>, sql: &str) {
    let server = connect(&server_url(server)).await;
    server.execute_unprepared(sql).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
    server.close().await.unwrap();
}

/// The first column of every row, as text.
pub(crate) async fn texts(db: &DatabaseConnection, sql: &str) -> Vec<String> {
    let rows = db.query_all_raw(Statement::from_string(db.get_database_backend(), sql)).await;
    let rows = rows.unwrap_or_else(|e| panic!("{sql}: {e}"));
    let text = |row: &sea_orm::QueryResult| {
        let text = row.try_get_by_index::<Option<String>>(0).map(|t| t.unwrap_or("NULL".to_owned()));
        let text = text.or_else(|_| row.try_get_by_index::<i64>(0).map(|n| n.to_string()));
        text.or_else(|_| row.try_get_by_index::<i32>(0).map(|n| n.to_string())).unwrap()
    };
    rows.iter().map(text).collect()
}

/// A tenant at an address.
pub(crate) fn tenant(id: &str, engine: Engine, address: Address, schema: Option<&str>) -> Tenant {
    Tenant { server: "here".into(), schema: schema.map(str::to_owned), ..Tenant::apart(id, engine, address) }
}

impl Home {
    pub(crate) async fn new(site: Site) -> Self {
        let engine = site.engine();
        if site == Site::Sqlite {
            let folder = tempfile::tempdir().unwrap();
            let file = folder.path().join("tenant.db");
            std::fs::write(&file, "").unwrap();
            let tenant = Arc::new(tenant("t", engine, Address::File(file.clone()), None));
            return Home { site, tenant, name: file.display().to_string(), _folder: Some(folder) };
        }
        let name = unique("fleet_test");
        on_server(site, &format!("CREATE DATABASE {name}")).await;
        let address = Address::Url(SecretString::from(url_of(site, &name)));
        let schema = (site == Site::PostgresSchema).then_some(SCHEMA);
        let home = Home { site, tenant: Arc::new(tenant("t", engine, address, schema)), name, _folder: None };
        if schema.is_some() {
            let db = connect(&home.url()).await;
            db.execute_unprepared(&format!("CREATE SCHEMA {}", engine.quote(SCHEMA))).await.unwrap();
            db.close().await.unwrap();
        }
        home
    }

    async fn remove(self) {
        match self.site {
            Site::Sqlite => {}
            Site::Mariadb | Site::Mysql => on_server(self.site, &format!("DROP DATABASE {}", self.name)).await,
            _ => on_server(Engine::Postgres, &format!("DROP DATABASE {} WITH (FORCE)", self.name)).await,
        }
    }

    pub(crate) fn url(&self) -> String {
        match self.site {
            Site::Sqlite => format!("sqlite:{}?mode=rw", self.name),
            _ => url_of(self.site, &self.name),
        }
    }

    pub(crate) fn file(&self) -> PathBuf {
        PathBuf::from(&self.name)
    }

    /// A connection beside the one of the program under test, in the tenant's schema.
    pub(crate) async fn connect(&self) -> DatabaseConnection {
        let db = connect(&self.url()).await;
        if let Some(schema) = &self.tenant.schema {
            let set = format!("SET search_path = {}", Engine::Postgres.quote(schema));
            db.execute_unprepared(&set).await.unwrap();
        }
        db
    }

    /// Runs SQL in the tenant's database.
    pub(crate) async fn run(&self, sql: &str) {
        let db = self.connect().await;
        db.execute_unprepared(sql).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
        db.close().await.unwrap();
    }

    /// The first column of every row, as text.
    pub(crate) async fn texts(&self, sql: &str) -> Vec<String> {
        let db = self.connect().await;
        let found = texts(&db, sql).await;
        db.close().await.unwrap();
        found
    }

    /// Every table but SeaORM's and ours.
    pub(crate) async fn tables(&self) -> Vec<String> {
        let mut tables = self.all_tables().await;
        tables.retain(|t| t != "seaql_migrations" && t != "fleet_journal");
        tables
    }

    pub(crate) async fn all_tables(&self) -> Vec<String> {
        self.texts(self.site.pick(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY 1",
            "SELECT tablename::text FROM pg_tables WHERE schemaname = current_schema() ORDER BY 1",
            "SELECT CAST(table_name AS CHAR) FROM information_schema.tables WHERE table_schema = DATABASE() ORDER BY 1",
        ))
        .await
    }

    /// The versions in `seaql_migrations`.
    pub(crate) async fn versions(&self) -> Vec<String> {
        self.texts("SELECT version FROM seaql_migrations ORDER BY version").await
    }

    /// The schema of the whole database, by the engine's own tool, as text.
    pub(crate) async fn dump(&self) -> String {
        self.dump_with(&[]).await
    }

    /// The same without `fleet_journal`, which only our runner creates, and only where it needs one.
    pub(crate) async fn dump_without_journal(&self) -> String {
        match self.site {
            Site::Mariadb | Site::Mysql => {
                self.dump_with(&[&format!("--ignore-table={}.fleet_journal", self.name)]).await
            }
            Site::Postgres | Site::PostgresSchema => self.dump_with(&["--exclude-table=*.fleet_journal"]).await,
            Site::Sqlite => {
                let dump = self.dump().await;
                // A line break may occur inside a statement; only the journal's own has its name in its first line.
                dump.lines().filter(|line| !line.contains("fleet_journal")).collect::<Vec<_>>().join("\n")
            }
        }
    }

    async fn dump_with(&self, options: &[&str]) -> String {
        let mut command = match self.site {
            Site::Sqlite => {
                let master = "SELECT type || ' ' || name || ' ' || coalesce(sql, '') FROM sqlite_master ORDER BY 1";
                return self.texts(master).await.join("\n");
            }
            Site::Mariadb | Site::Mysql => self.mysql_dump(),
            Site::Postgres | Site::PostgresSchema => {
                let mut command = Command::new("pg_dump");
                command.args(["--schema-only", "--dbname"]).arg(self.url());
                command
            }
        };
        let output = command.args(options).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        // A random key in each dump, against injection by hostile names.
        text.lines()
            .filter(|l| !l.starts_with("\\restrict") && !l.starts_with("\\unrestrict"))
            .collect::<Vec<_>>()
            .join("\n")
    }

    /// Each server's own tool: that of the other one writes what only the other one has.
    fn mysql_dump(&self) -> Command {
        let url = Url::parse(&self.url()).unwrap();
        let mut command = match self.site {
            Site::Mysql => {
                let mut command = Command::new(mysql::program("mysqldump"));
                command.args(["--no-defaults", "--set-gtid-purged=OFF"]);
                command
            }
            _ => {
                let mut command = Command::new("mariadb-dump");
                command.arg("--no-defaults");
                command
            }
        };
        command.env("MYSQL_PWD", url.password().unwrap());
        command.args(["--no-data", "--skip-comments", "--routines", "--protocol=tcp"]);
        command.args([format!("--host={}", url.host_str().unwrap()), format!("--port={}", url.port().unwrap())]);
        command.args([format!("--user={}", url.username()), self.name.clone()]);
        command
    }
}
