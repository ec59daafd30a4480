//! Two tenants of one engine, and the messages that commands send to them.

use std::fs;
use std::path::Path;

use serde_json::Value;
use url::Url;

use crate::golden::{self, Sent};
use crate::logged;
use crate::normalize::{Detail, Normalizer};
use crate::process::{Fleet, finish, mariadb_url, postgres_url, sql};
use crate::tap::Tap;
use crate::wire::{self, Message};

/// Where the tenants live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Engine {
    Sqlite,
    Postgres,
    PostgresSchema,
    Mariadb,
}

impl Engine {
    /// The folder of recorded files.
    fn folder(self) -> &'static str {
        match self {
            Engine::Sqlite => "sqlite",
            Engine::Postgres => "postgres",
            Engine::PostgresSchema => "postgres_schema",
            Engine::Mariadb => "mariadb",
        }
    }
}

/// Lock and silence timeouts no run reaches: after a fraction of them the program opens a second connection to see who
/// holds a lock and whether the server still works, which would make the record depend on the speed of the machine.
const HEAD: &str = r#"[fleet]
scripts = "scripts"
lock_timeout = "1h"
silence_timeout = "1h"
statement_timeout = "7m"
"#;

/// Schema names that fail wherever quoting is forgotten.
const SCHEMAS: [&str; 2] = [r#"Tenant "One" s"#, r#"Tenant "Two" s"#];

/// An empty tenant `one`, and a tenant `two` whose file or schema the program has to create.
pub(crate) struct Tenants {
    engine: Engine,
    fleet: Fleet,
    tap: Option<Tap>,
    normalizer: Normalizer,
    /// The URL of tenant `one` without the relay.
    direct: String,
    differences: Vec<String>,
}

/// Commands under one name, with their messages.
pub(crate) struct Case<'a> {
    tenants: &'a Tenants,
    commands: Vec<(&'static str, Sent)>,
}

impl Tenants {
    pub(crate) fn new(engine: Engine) -> Self {
        let mut fleet = Fleet::new().head(HEAD);
        let scripts = fleet.path("scripts");
        fs::create_dir(&scripts).unwrap();
        for file in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../migration/sql")).unwrap() {
            let file = file.unwrap();
            fs::copy(file.path(), scripts.join(file.file_name())).unwrap();
        }
        let (urls, tap) = places(engine, &mut fleet);
        let mut names = Vec::new();
        for ((id, url), token) in ["one", "two"].into_iter().zip(&urls).zip(["DATABASE", "DATABASE2"]) {
            fleet.add(id, &url.reached(tap.as_ref()));
            names.extend(url.database().map(|name| (name, token)));
        }
        if engine == Engine::PostgresSchema {
            sql(&urls[0].0, &format!("CREATE SCHEMA {}", quoted(SCHEMAS[0])));
            for (tenant, schema) in fleet.tenants.iter_mut().zip(SCHEMAS) {
                tenant.more = format!("schema = '{schema}'");
            }
        }
        if matches!(engine, Engine::Sqlite | Engine::PostgresSchema) {
            fleet.tenant_mut("two").more.push_str("\ncreate_missing = true");
        }
        let direct = match engine {
            Engine::Sqlite => format!("sqlite:{}", fleet.path("one.db").display()),
            _ => urls[0].0.clone(),
        };
        Tenants { engine, fleet, tap, normalizer: Normalizer::new(names), direct, differences: Vec::new() }
    }

    /// Runs commands and compares their messages with the file of this name.
    pub(crate) fn case(&mut self, name: &str, detail: Detail, run: impl FnOnce(&mut Case<'_>)) {
        let mut case = Case { tenants: self, commands: Vec::new() };
        run(&mut case);
        let text = golden::text(&case.commands);
        self.differences.extend(golden::compare(self.engine.folder(), name, &text, detail).err());
    }

    /// Runs a command without comparing its messages.
    pub(crate) fn prepare(&self, arguments: &[&str]) {
        self.run(arguments, 0);
    }

    fn run(&self, arguments: &[&str], code: i32) -> Sent {
        self.fleet.write();
        let trace = self.fleet.path("trace.jsonl");
        let mut program = self.fleet.program(arguments);
        program.env("SENT_TRACE", &trace).env("FLEET_LOG", "fleet::sql=debug").env("FLEET_LOG_FORMAT", "json");
        let ran = finish(&mut program).exits(code);
        let sent = match &self.tap {
            None => traced(&trace),
            Some(tap) => {
                let read = if self.engine == Engine::Mariadb { wire::mysql } else { wire::postgres };
                tap.take().iter().map(|bytes| read(bytes)).collect()
            }
        };
        logged::check(&ran.err, &sent);
        let normalized = |message: &Message| Message::new(&message.kind, self.normalizer.text(&message.text));
        sent.iter().map(|messages: &Vec<Message>| messages.iter().map(normalized).collect()).collect()
    }

    /// Fails with the differences of all cases.
    #[track_caller]
    pub(crate) fn finish(self) {
        assert!(self.differences.is_empty(), "\n{}", self.differences.join("\n"));
    }
}

impl Case<'_> {
    /// Runs a command, checks its exit code and keeps its messages.
    #[track_caller]
    pub(crate) fn run(&mut self, title: &'static str, arguments: &[&str], code: i32) {
        let sent = self.tenants.run(arguments, code);
        assert!(sent.iter().any(|messages| !messages.is_empty()), "{title}: nothing was sent");
        self.commands.push((title, sent));
    }

    /// Adds a comment to a script.
    pub(crate) fn edit(&self, script: &str) {
        let file = self.tenants.fleet.path("scripts").join(script);
        let text = fs::read_to_string(&file).unwrap();
        fs::write(file, format!("-- Edited.\n{text}")).unwrap();
    }

    /// Runs SQL in tenant `one`, unrecorded.
    pub(crate) fn sql(&self, query: &str) {
        match self.tenants.engine {
            Engine::PostgresSchema => {
                sql(&self.tenants.direct, &format!("SET search_path TO {}; {query}", quoted(SCHEMAS[0])))
            }
            _ => sql(&self.tenants.direct, query),
        };
    }
}

/// The URL of a tenant's database, without the relay.
struct Place(String);

impl Place {
    fn database(&self) -> Option<String> {
        Some(Url::parse(&self.0).unwrap().path().strip_prefix('/')?.to_owned())
    }

    /// The URL for the tenant file: through the relay, and unencrypted, so that messages can be read.
    fn reached(&self, tap: Option<&Tap>) -> String {
        let Some(tap) = tap else { return self.0.clone() };
        let mut url = Url::parse(&self.0).unwrap();
        url.set_port(Some(tap.port)).unwrap();
        url.set_query(Some(if url.scheme() == "mysql" { "ssl-mode=disabled" } else { "sslmode=disable" }));
        url.to_string()
    }
}

/// The databases of both tenants, and the relay in front of their server.
fn places(engine: Engine, fleet: &mut Fleet) -> ([Place; 2], Option<Tap>) {
    let (kind, server, databases) = match engine {
        Engine::Sqlite => {
            fs::write(fleet.path("one.db"), "").unwrap();
            return (["one", "two"].map(|id| Place(format!("sqlite:{id}.db"))), None);
        }
        Engine::Postgres => ("postgres", postgres_url(), ["one", "two"]),
        Engine::PostgresSchema => ("postgres", postgres_url(), ["both", "both"]),
        Engine::Mariadb => ("mariadb", mariadb_url(), ["one", "two"]),
    };
    let first = fleet.database(kind, databases[0]);
    let second = if databases[0] == databases[1] { first.clone() } else { fleet.database(kind, databases[1]) };
    let server = Url::parse(&server).unwrap();
    let tap = Tap::on(&format!("{}:{}", server.host_str().unwrap(), server.port().unwrap()));
    ([Place(first), Place(second)], Some(tap))
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Takes the statements of each connection out of the trace.
fn traced(trace: &Path) -> Sent {
    let text = fs::read_to_string(trace).unwrap_or_default();
    let _ = fs::remove_file(trace);
    let mut sent = Sent::new();
    for line in text.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let number = usize::try_from(line["connection"].as_u64().unwrap()).unwrap();
        if sent.len() < number {
            sent.resize(number, Vec::new());
        }
        sent[number - 1].extend(line["sql"].as_str().map(|sql| Message::new("", sql)));
    }
    sent
}
