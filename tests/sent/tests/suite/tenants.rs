//! Two tenants of one engine, and the messages that commands send to them.

use std::fs;
use std::path::Path;
use std::rc::Rc;

use regex::Regex;
use serde_json::Value;
use url::Url;

use crate::golden::{self, Sent};
use crate::logged;
use crate::normalize::{Detail, Normalizer};
use crate::process::{Fleet, database_of, finish, mariadb_url, postgres_url, server_of, sql};
use crate::server_log::ServerLog;
use crate::tap::Tap;
use crate::wire::{self, Message};

/// Where the tenants live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Engine {
    Sqlite,
    Postgres,
    PostgresSchema,
    Mariadb,
    Mysql,
}

impl Engine {
    /// The folder of recorded files.
    fn folder(self) -> &'static str {
        match self {
            Engine::Sqlite => "sqlite",
            Engine::Postgres => "postgres",
            Engine::PostgresSchema => "postgres_schema",
            Engine::Mariadb => "mariadb",
            Engine::Mysql => "mysql",
        }
    }
}

/// Lock and silence timeouts no run reaches: after a fraction of them the program opens a second connection to see who
/// holds a lock and whether the server still works, which would make the record depend on the speed of the machine.
const HEAD: &str = r#"[fleet]
load_interval = "1h"
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
    /// In the place of the relay.
    log: Option<Rc<ServerLog>>,
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
        Self::of(engine, None)
    }

    /// Tenants on a server of the test's own, whose log is the record.
    pub(crate) fn logged(engine: Engine, log: &Rc<ServerLog>) -> Self {
        Self::of(engine, Some(log.clone()))
    }

    fn of(engine: Engine, log: Option<Rc<ServerLog>>) -> Self {
        let mut fleet = Fleet::new().head(HEAD);
        let scripts = fleet.path("scripts");
        fs::create_dir(&scripts).unwrap();
        for file in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../migration/sql")).unwrap() {
            let file = file.unwrap();
            fs::copy(file.path(), scripts.join(file.file_name())).unwrap();
        }
        let (urls, tap) = places(engine, &mut fleet, log.as_deref());
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
        Tenants { engine, fleet, tap, log, normalizer: Normalizer::new(names), direct, differences: Vec::new() }
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

    /// Adds a script behind all others.
    pub(crate) fn script(&self, name: &str, text: &str) {
        fs::write(self.fleet.path("scripts").join(name), text).unwrap();
    }

    /// Plans a change, makes it, and compares everything that the plan said would be sent with what was sent, byte for byte. Only the
    /// marks of values that nobody knows before are replaced.
    pub(crate) fn wired(&mut self, title: &str, change: &[&str]) {
        let options = ["--tenant", "one", "--sql", "--wire", "--format", "json"];
        let down: &[&str] = if change[0] == "rollback" { &["--down"] } else { &[] };
        let (out, asked) = self.ran(&[&["plan"], &change[1..], down, &options].concat(), 0);
        let changes = |message: &&Message| {
            let reads = ["read_only", "READ ONLY"].iter().any(|word| message.text.contains(word));
            let is_own = message.text.contains("fleet_guard$ DECLARE wanted") || reads;
            ["INSERT ", "CREATE ", "DELETE ", "BEGIN"].iter().any(|word| message.text.contains(word)) && !is_own
        };
        let changed = asked.iter().flatten().find(changes);
        let plan: Value = serde_json::from_str(&out).unwrap();
        let items = plan["wire"][0]["sent"].as_array().unwrap();
        let has_code = items.iter().any(|item| item.get("code").is_some());
        let planned: Vec<String> = items.iter().filter_map(planned).collect();
        let sent = self.run(&[change, &["--tenant", "one", "--no-preflight", "--yes"]].concat(), 0);
        let mut sent: Vec<String> =
            sent.into_iter().flatten().filter(|m| m.kind == "query" || m.kind.is_empty()).map(|m| m.text).collect();
        // A server's own configuration is asked for once a run, for any of its tenants.
        sent.retain(|text| !text.contains("fleet_guard$ DECLARE wanted"));
        let lock = Regex::new(r"advisory_(?:xact_)?lock\((-?[0-9]+)\)").unwrap();
        let lock = sent.iter().find_map(|text| Some(lock.captures(text)?[1].to_owned())).unwrap_or_default();
        let known = |text: &String| {
            let text = self.normalizer.text(&text.replace("<fleet:lock>", &lock));
            self.log.as_ref().map_or(text.clone(), |log| log.kept(&text).to_owned())
        };
        let mut planned: Vec<String> = planned.iter().map(known).collect();
        if has_code {
            // Rust code sends its own statements between them, some over a second connection.
            let missing = self.missing(&planned, &sent);
            self.differences.extend(missing.iter().map(|text| format!("{title}: planned and not sent: {text}")));
            if planned.is_empty() {
                self.differences.push(format!("{title}: nothing was planned around the code"));
            }
            self.differences.extend(changed.map(|message| format!("{title}: the plan sent {}", message.text)));
            return;
        }
        if self.engine == Engine::Sqlite {
            // SQLite traces statements, not texts; none of them has the line break behind the last one, and those that it can't
            // read, of tables that are not there yet, are missing.
            let changes = |texts: &[String]| {
                let all: String = texts.iter().filter(|text| !reads(text)).map(|text| text.trim_end()).collect();
                // A guard that is asked ahead, and rolled back.
                all.split_once("ROLLBACK").map_or(all.clone(), |(_, behind)| behind.to_owned())
            };
            (planned, sent) = (vec![changes(&planned)], vec![changes(&sent)]);
        }
        let tail = &sent[sent.len().saturating_sub(planned.len())..];
        if planned != tail || planned.is_empty() {
            let heads = |texts: &[String]| {
                let head =
                    |text: &String| format!("  {}", text.chars().take(120).collect::<String>().replace('\n', " "));
                texts.iter().map(head).collect::<Vec<_>>().join("\n")
            };
            let different = planned.iter().zip(tail).find(|(planned, sent)| planned != sent);
            let different = different.map(|(planned, sent)| first_difference(planned, sent)).unwrap_or_default();
            let (planned, sent) = (heads(&planned), heads(&sent));
            self.differences.push(format!("{title}:\nplanned:\n{planned}\nsent:\n{sent}\nfirst: {different}\n"));
        }
        self.differences.extend(changed.map(|message| format!("{title}: the plan sent {}", message.text)));
    }

    /// The planned texts that were not sent, each as often as it was planned.
    fn missing(&self, planned: &[String], sent: &[String]) -> Vec<String> {
        if self.engine == Engine::Sqlite {
            let all: String = sent.iter().map(|text| text.trim_end()).collect();
            let is_missing = |text: &&String| !reads(text) && !all.contains(text.trim_end());
            return planned.iter().filter(is_missing).cloned().collect();
        }
        let mut left = sent.to_vec();
        let mut is_missing = |text: &&String| match left.iter().position(|other| other == *text) {
            Some(at) => {
                left.remove(at);
                false
            }
            None => true,
        };
        planned.iter().filter(|text| is_missing(text)).cloned().collect()
    }

    fn run(&self, arguments: &[&str], code: i32) -> Sent {
        self.ran(arguments, code).1
    }

    /// The output of a command, and its messages.
    fn ran(&self, arguments: &[&str], code: i32) -> (String, Sent) {
        self.fleet.write();
        let trace = self.fleet.path("trace.jsonl");
        let mut program = self.fleet.program(arguments);
        program.env("SENT_TRACE", &trace).env("FLEET_LOG", "fleet::sql=debug").env("FLEET_LOG_FORMAT", "json");
        if let Some(log) = &self.log {
            // Of the test itself.
            log.take();
        }
        let ran = finish(&mut program).exits(code);
        let sent = match (&self.tap, &self.log) {
            (None, None) => traced(&trace),
            (None, Some(log)) => log.take(),
            (Some(tap), _) => {
                let is_mysql = matches!(self.engine, Engine::Mariadb | Engine::Mysql);
                let read = if is_mysql { wire::mysql } else { wire::postgres };
                tap.take().iter().map(|bytes| read(bytes)).collect()
            }
        };
        logged::check(&ran.err, &sent);
        let normalized = |message: &Message| Message::new(&message.kind, self.normalizer.text(&message.text));
        let sent = sent.iter().map(|messages: &Vec<Message>| messages.iter().map(normalized).collect()).collect();
        (ran.out, sent)
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

/// The databases of both tenants, and the relay in front of their server, unless it is one whose log is read.
fn places(engine: Engine, fleet: &mut Fleet, log: Option<&ServerLog>) -> ([Place; 2], Option<Tap>) {
    let databases = if engine == Engine::PostgresSchema { ["both", "both"] } else { ["one", "two"] };
    if let Some(log) = log {
        let names = databases.map(|name| fleet.unique(name));
        for name in &names[..if names[0] == names[1] { 1 } else { 2 }] {
            sql(log.server(), &format!("CREATE DATABASE {name}"));
        }
        return (names.map(|name| Place(database_of(log.server(), &name))), None);
    }
    let (kind, server) = match engine {
        Engine::Sqlite => {
            fs::write(fleet.path("one.db"), "").unwrap();
            return (["one", "two"].map(|id| Place(format!("sqlite:{id}.db"))), None);
        }
        Engine::Postgres | Engine::PostgresSchema => ("postgres", postgres_url()),
        Engine::Mariadb => ("mariadb", mariadb_url()),
        Engine::Mysql => ("mysql", server_of("mysql")),
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

/// Both texts from a little before the first byte that differs.
fn first_difference(planned: &str, sent: &str) -> String {
    let at = planned.bytes().zip(sent.bytes()).take_while(|(a, b)| a == b).count();
    let from = |text: &str| text.bytes().skip(at.saturating_sub(60)).take(300).map(char::from).collect::<String>();
    format!("{:?}\n       {:?}", from(planned), from(sent))
}

/// Whether a text only asks SQLite.
fn reads(text: &str) -> bool {
    let text = text.trim_start();
    let is_read = ["SELECT ", "EXPLAIN ", "PRAGMA foreign_keys"].iter().any(|word| text.starts_with(word));
    is_read
        && !["SELECT CASE", "SELECT 0 AS fleet_part;"].iter().any(|own| text.starts_with(own))
        && !text.contains("AS fleet_part;")
}

/// The text of an item of a plan, with the words of the normalizer in the place of marks.
fn planned(item: &Value) -> Option<String> {
    let marks = [
        ("<fleet:now>", "TIME".to_owned()),
        ("<fleet:run>", "RUN".to_owned()),
        ("<fleet:session>", "fleet:one:NAME".to_owned()),
        ("\"<fleet:name>\"", quoted(SCHEMAS[0])),
        ("'<fleet:name>'", format!("'{}'", SCHEMAS[0])),
        ("<fleet:name>", "DATABASE".to_owned()),
    ];
    let text = ["text", "batch", "count", "question"].iter().find_map(|kind| item[*kind].as_str())?;
    Some(marks.iter().fold(text.to_owned(), |text, (mark, word)| text.replace(mark, word)))
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
