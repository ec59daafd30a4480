//! A fleet of real databases for one test: created under unique names, dropped at the end.
//!
//! It asserts nothing about `fleet`; the content of the databases is read over separate connections.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection, Row};

#[path = "mysql.rs"]
pub(crate) mod mysql;

/// Time limit, longer than any run of these tests takes on a busy machine.
const LIMIT: Duration = Duration::from_secs(420);

/// One tenant's database.
#[derive(Debug, Clone)]
pub(crate) struct TenantDb {
    pub(crate) id: String,
    /// The URL as in the tenant file.
    pub(crate) url: String,
    pub(crate) schema: Option<String>,
    /// Further lines of its table in the tenant file.
    pub(crate) more: String,
}

/// A tenant file and its databases.
pub(crate) struct Fleet {
    pub(crate) folder: tempfile::TempDir,
    /// The text before the tenants.
    pub(crate) head: String,
    pub(crate) tenants: Vec<TenantDb>,
    prefix: String,
    databases: Vec<(&'static str, String)>,
    /// SQL that is run on a server after the databases are dropped.
    last: Vec<(String, String)>,
    /// Whether the program finds MySQL's own tools before MariaDB's.
    mysql_tools: bool,
}

/// The result of running the program.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

pub(crate) fn postgres_url() -> String {
    server("FLEET_TEST_POSTGRES_URL")
}

pub(crate) fn mariadb_url() -> String {
    server("FLEET_TEST_MARIADB_URL")
}

/// The server of this name.
pub(crate) fn server_of(name: &str) -> String {
    match name {
        "postgres" => postgres_url(),
        "mysql" => mysql::url(),
        _ => mariadb_url(),
    }
}

fn server(variable: &str) -> String {
    std::env::var(variable)
        .unwrap_or_else(|_| panic!("{variable} is not set; run `eval \"$(scripts/servers start)\"` first"))
}

/// The same server, another database.
pub(crate) fn database_of(server: &str, name: &str) -> String {
    format!("{}/{name}", server.rsplit_once('/').unwrap().0)
}

impl Fleet {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let nanos = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos();
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        Fleet {
            folder: tempfile::tempdir().unwrap(),
            head: String::new(),
            tenants: Vec::new(),
            prefix: format!("e2e_{:x}_{:x}_{count}", std::process::id(), nanos % 0xffff_ffff),
            databases: Vec::new(),
            last: Vec::new(),
            mysql_tools: false,
        }
    }

    /// Sets the text before the tenants in the tenant file: settings and waves.
    pub(crate) fn head(mut self, text: &str) -> Self {
        self.head = text.to_owned();
        self
    }

    /// Adds `n` SQLite tenants, from `lite-000` on.
    pub(crate) fn sqlite(mut self, n: usize) -> Self {
        for i in 0..n {
            let id = format!("lite-{i:03}");
            std::fs::write(self.folder.path().join(format!("{id}.db")), "").unwrap();
            self.add(&id, &format!("sqlite:{id}.db"));
        }
        self
    }

    /// Adds `n` PostgreSQL tenants, from `pg-000` on, a database each.
    pub(crate) fn postgres(mut self, n: usize) -> Self {
        let made: Vec<String> = (0..n).map(|i| self.database("postgres", &format!("p{i}"))).collect();
        for (i, url) in made.iter().enumerate() {
            self.add(&format!("pg-{i:03}"), url);
        }
        self
    }

    /// Adds `n` PostgreSQL tenants, from `schema-000` on, in schemas of one database.
    pub(crate) fn schemas(mut self, n: usize) -> Self {
        let url = self.database("postgres", "shared");
        let names: Vec<String> = (0..n).map(|i| format!("t{i:03}")).collect();
        let create: Vec<String> = names.iter().map(|name| format!("CREATE SCHEMA {name}")).collect();
        sql(&url, &create.join(";"));
        for (i, name) in names.into_iter().enumerate() {
            self.add(&format!("schema-{i:03}"), &url);
            self.tenants.last_mut().unwrap().schema = Some(name);
        }
        self
    }

    /// Adds `n` MariaDB tenants, from `my-000` on.
    pub(crate) fn mariadb(mut self, n: usize) -> Self {
        for i in 0..n {
            let url = self.database("mariadb", &format!("m{i}"));
            self.add(&format!("my-{i:03}"), &url);
        }
        self
    }

    /// Adds `n` MySQL tenants, from `mysql-000` on.
    pub(crate) fn mysql(mut self, n: usize) -> Self {
        for i in 0..n {
            let url = self.database("mysql", &format!("s{i}"));
            self.add(&format!("mysql-{i:03}"), &url);
        }
        self
    }

    /// The same where the tests have a MySQL, and none elsewhere.
    pub(crate) fn mysql_where_there(self, n: usize) -> Self {
        if mysql::is_there() { self.mysql(n) } else { self }
    }

    /// From now on the program finds MySQL's own tools before MariaDB's of the same names, where there are any.
    pub(crate) fn with_mysql_tools(mut self) -> Self {
        self.mysql_tools = true;
        self
    }

    /// Makes a database that is dropped with the fleet; returns its URL.
    pub(crate) fn database(&mut self, engine: &'static str, name: &str) -> String {
        let server = server_of(engine);
        let name = format!("{}_{name}", self.prefix);
        sql(&server, &format!("CREATE DATABASE {name}"));
        self.databases.push((engine, name.clone()));
        database_of(&server, &name)
    }

    /// Runs SQL on a server when the fleet's databases have been dropped.
    pub(crate) fn at_end(&mut self, server: &str, query: &str) {
        self.last.push((server.to_owned(), query.to_owned()));
    }

    /// A name unique among the tests.
    pub(crate) fn unique(&self, name: &str) -> String {
        format!("{}_{name}", self.prefix)
    }

    pub(crate) fn add(&mut self, id: &str, url: &str) {
        self.tenants.push(TenantDb { id: id.to_owned(), url: url.to_owned(), schema: None, more: String::new() });
    }

    pub(crate) fn tenant(&self, id: &str) -> &TenantDb {
        self.tenants.iter().find(|t| t.id == id).unwrap()
    }

    pub(crate) fn tenant_mut(&mut self, id: &str) -> &mut TenantDb {
        self.tenants.iter_mut().find(|t| t.id == id).unwrap()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes the tenant file.
    pub(crate) fn write(&self) {
        let mut text = format!("{}\n", self.head);
        for t in &self.tenants {
            write!(text, "[[tenant]]\nid = \"{}\"\nurl = '{}'\n", t.id, t.url).unwrap();
            if let Some(schema) = &t.schema {
                writeln!(text, "schema = \"{schema}\"").unwrap();
            }
            writeln!(text, "{}", t.more).unwrap();
        }
        let file = self.path("tenants.toml");
        std::fs::write(&file, text).unwrap();
        std::fs::set_permissions(file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    }

    /// Writes the tenant file and runs the program in its folder.
    pub(crate) fn run<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Ran {
        self.write();
        finish(&mut self.program(arguments))
    }

    /// The program in the folder of the tenant file, without the settings of this process.
    pub(crate) fn program<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Command {
        let mut program = program(self.folder.path(), arguments);
        if self.mysql_tools {
            program.env("PATH", mysql::path());
        }
        program
    }

    /// The first column of the rows of a query on a tenant's database.
    pub(crate) fn ask(&self, id: &str, query: &str) -> Vec<String> {
        let t = self.tenant(id);
        match (&t.schema, t.url.strip_prefix("sqlite:")) {
            (Some(schema), _) => sql(&t.url, &format!("SET search_path TO \"{schema}\"; {query}")),
            (None, Some(file)) => sql(&format!("sqlite:{}", self.path(file).display()), query),
            (None, None) => sql(&t.url, query),
        }
    }

    /// A tenant's history, in order; `None` where it has no history table.
    pub(crate) fn history(&self, id: &str) -> Option<Vec<String>> {
        self.has_table(id, "seaql_migrations")
            .then(|| self.ask(id, "SELECT version FROM seaql_migrations ORDER BY version"))
    }

    pub(crate) fn has_table(&self, id: &str, table: &str) -> bool {
        let t = self.tenant(id);
        let query = match &t.url {
            url if url.starts_with("sqlite:") => format!("SELECT name FROM sqlite_master WHERE name = '{table}'"),
            url => {
                let here = if url.starts_with("postgres") { "current_schema()" } else { "database()" };
                format!(
                    "SELECT table_name FROM information_schema.tables WHERE table_name = '{table}' AND table_schema = {here}"
                )
            }
        };
        !self.ask(id, &query).is_empty()
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        for (engine, name) in std::mem::take(&mut self.databases) {
            let (server, force) = (server_of(engine), if engine == "postgres" { " WITH (FORCE)" } else { "" });
            let dropped = std::panic::catch_unwind(|| sql(&server, &format!("DROP DATABASE IF EXISTS {name}{force}")));
            drop(dropped);
        }
        for (server, query) in std::mem::take(&mut self.last) {
            drop(std::panic::catch_unwind(|| sql(&server, &query)));
        }
    }
}

pub(crate) fn program<S: AsRef<OsStr>>(folder: &Path, arguments: &[S]) -> Command {
    let mut command = Command::new(crate::PROGRAM);
    command.env("XDG_CACHE_HOME", folder.join(".cache"));
    command.args(arguments).current_dir(folder).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    for (name, _) in std::env::vars() {
        if name.starts_with("FLEET_") || name == "NO_COLOR" || name.starts_with("CLICOLOR") {
            command.env_remove(name);
        }
    }
    command
}

/// Runs to the end; a program that hangs is ended and the test with it.
pub(crate) fn finish(command: &mut Command) -> Ran {
    wait(command.spawn().unwrap())
}

/// Waits for the end of a program whose output is read meanwhile.
pub(crate) fn wait(mut child: Child) -> Ran {
    let read = |pipe: Option<Box<dyn std::io::Read + Send>>| {
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            if let Some(mut pipe) = pipe {
                pipe.read_to_end(&mut bytes).unwrap();
            }
            String::from_utf8(bytes).unwrap()
        })
    };
    let out = read(child.stdout.take().map(|p| Box::new(p) as _));
    let err = read(child.stderr.take().map(|p| Box::new(p) as _));
    let code = wait_for_end(&mut child);
    Ran { code, out: out.join().unwrap(), err: err.join().unwrap() }
}

pub(crate) fn wait_for_end(child: &mut Child) -> Option<i32> {
    let begun = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        if begun.elapsed() > LIMIT {
            child.kill().unwrap();
            panic!("the program did not end within {LIMIT:?}");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Sends a signal to a program that a test has started.
pub(crate) fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args([format!("-{name}"), child.id().to_string()]).status().unwrap();
    assert!(sent.success());
}

impl Ran {
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "stdout:\n{}\nstderr:\n{}", self.out, self.err);
        self
    }

    /// Asserts that stderr contains all of these.
    #[track_caller]
    pub(crate) fn tells(self, words: &[&str]) -> Self {
        for word in words {
            assert!(self.err.contains(word), "no {word:?} in stderr:\n{}", self.err);
        }
        self
    }

    /// Asserts that stdout contains all of these.
    #[track_caller]
    pub(crate) fn shows(self, words: &[&str]) -> Self {
        for word in words {
            assert!(self.out.contains(word), "no {word:?} in stdout:\n{}\nstderr:\n{}", self.out, self.err);
        }
        self
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e} in stdout:\n{}", self.out))
    }
}

pub(crate) fn json_file(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// The record of one tenant in a report.
#[track_caller]
pub(crate) fn record<'a>(report: &'a Value, tenant: &str) -> &'a Value {
    let mut found = report["tenants"].as_array().unwrap().iter().filter(|r| r["tenant"] == tenant);
    let record = found.next().unwrap_or_else(|| panic!("{tenant} has no record"));
    assert!(found.next().is_none(), "{tenant} has two records");
    record
}

/// Number of records in a report with an outcome.
pub(crate) fn count(report: &Value, outcome: &str) -> usize {
    report["tenants"].as_array().unwrap().iter().filter(|r| r["outcome"] == outcome).count()
}

/// The tenants of a report with an outcome, in its order.
pub(crate) fn with(report: &Value, outcome: &str) -> Vec<String> {
    let tenants = report["tenants"].as_array().unwrap().iter().filter(|r| r["outcome"] == outcome);
    tenants.map(|r| r["tenant"].as_str().unwrap().to_owned()).collect()
}

/// Runs SQL on a database of any engine over a connection of its own; the first column of the rows.
#[track_caller]
pub(crate) fn sql(url: &str, query: &str) -> Vec<String> {
    let text = query.to_owned();
    block_on(async move {
        macro_rules! ask {
            ($connection:ty) => {{
                let mut connection = <$connection>::connect(url).await.unwrap();
                let rows = sqlx::raw_sql(AssertSqlSafe(text)).fetch_all(&mut connection).await;
                let rows = rows.unwrap_or_else(|e| panic!("{e} in {query}"));
                connection.close().await.unwrap();
                rows.iter().map(|row| row.try_get_unchecked::<String, _>(0).unwrap()).collect()
            }};
        }
        if url.starts_with("sqlite:") {
            ask!(sqlx::SqliteConnection)
        } else if url.starts_with("postgres") {
            ask!(sqlx::PgConnection)
        } else {
            ask!(sqlx::MySqlConnection)
        }
    })
}

/// Waits until something holds that comes about by itself.
#[track_caller]
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    awaited(what, || holds().then_some(()));
}

/// The answer of `ask`, once it has one.
#[track_caller]
pub(crate) fn awaited<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = ask() {
            return found;
        }
        assert!(begun.elapsed() < Duration::from_secs(120), "it never came to this: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

pub(crate) fn block_on<T>(work: impl Future<Output = T>) -> T {
    static RUNTIME: OnceLock<tokio::runtime::Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| tokio::runtime::Runtime::new().unwrap()).block_on(work)
}
