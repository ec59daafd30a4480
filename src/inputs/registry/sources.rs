//! `[[source]]`: places that know tenants which the file does not list.
//!
//! Declarations only: it asks no source.

use std::collections::HashSet;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};

use super::credentials::PasswordSource;
use super::patterns::Patterns;
use super::tenants::{LONGEST_NAME, name};
use super::waves::patterns;
use crate::inputs::database_url::UrlProblem;
use crate::inputs::form::percent;
use crate::inputs::{Diagnostics, Document, Item, Reader, ServerUrl, Sources, is_sqlite, sqlite_path};
use crate::model::engine::Engine;
use crate::model::tenant::Address;

/// The keys that say what kind of source it is.
const KINDS: [&str; 7] = ["query", "schemas", "databases", "files", "command", "file", "kubernetes"];
const KEYS: [&str; 13] = [
    "name",
    "query",
    "schemas",
    "databases",
    "files",
    "command",
    "file",
    "kubernetes",
    "exclude",
    "prefix",
    "max_gone",
    "timeout",
    "defaults",
];

/// The share of a source's tenants that may be gone since the last run.
const MAX_GONE: u8 = 10;
/// The time limit of a source without one of its own.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A source of tenants.
#[derive(Clone)]
pub(crate) struct Source {
    /// Unique in the file.
    pub(crate) name: Arc<str>,
    pub(crate) kind: SourceKind,
    /// Ids, as the source has them, that are left out.
    pub(crate) exclude: Patterns,
    /// Stands in front of each id.
    pub(crate) prefix: String,
    /// The share of its tenants, in percent, that may be gone since the last run.
    pub(crate) max_gone: u8,
    pub(crate) timeout: Duration,
    /// The place of its name in the file.
    pub(super) at: Range<usize>,
}

/// The place that a source asks, and how.
#[derive(Clone)]
pub(crate) enum SourceKind {
    /// A query, whose columns are keys of a tenant.
    Query {
        database: SourceDatabase,
        sql: String,
    },
    /// The schemas of a database.
    Schemas {
        database: SourceDatabase,
        names: Patterns,
    },
    /// The databases of a server.
    Databases {
        database: SourceDatabase,
        names: Patterns,
    },
    /// SQLite files: a glob.
    Files(String),
    /// A program that prints a JSON object a line.
    Command(Vec<String>),
    /// A list in a file: its absolute path.
    File(PathBuf, ListForm),
    Kubernetes(Secrets),
}

impl SourceKind {
    /// The key that says it.
    pub(crate) fn key(&self) -> &'static str {
        match self {
            SourceKind::Query { .. } => "query",
            SourceKind::Schemas { .. } => "schemas",
            SourceKind::Databases { .. } => "databases",
            SourceKind::Files(_) => "files",
            SourceKind::Command(_) => "command",
            SourceKind::File(..) => "file",
            SourceKind::Kubernetes(_) => "kubernetes",
        }
    }
}

/// The form of a list in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ListForm {
    Json,
    JsonLines,
    Csv,
    Toml,
}

/// The secrets of a Kubernetes cluster that hold addresses of tenants.
#[derive(Debug, Clone)]
pub(crate) struct Secrets {
    /// The selector: `app=tenant-database`.
    pub(crate) label: String,
    pub(crate) namespace: Option<String>,
    pub(crate) context: Option<String>,
    /// The key of a secret's data that holds the URL.
    pub(crate) url_key: String,
    /// The key of a secret's data that holds the id; `None`: its own name is the id.
    pub(crate) id_key: Option<String>,
}

/// A database that a source asks.
#[derive(Clone)]
pub(crate) struct SourceDatabase {
    target: Target,
    /// Where its password is, for a URL without one.
    pub(super) password: Option<(PasswordSource, Range<usize>)>,
}

#[derive(Clone)]
enum Target {
    File(PathBuf),
    Server(ServerUrl),
}

impl SourceDatabase {
    pub(crate) fn engine(&self) -> Engine {
        match &self.target {
            Target::File(_) => Engine::Sqlite,
            Target::Server(url) => url.engine,
        }
    }

    /// Where its password is, unless the URL has it.
    pub(crate) fn password(&self) -> Option<&PasswordSource> {
        self.password.as_ref().map(|(source, _)| source)
    }

    /// Its address with this password.
    pub(crate) fn address(&self, password: Option<&str>) -> Address {
        match (&self.target, password) {
            (Target::File(file), _) => Address::File(file.clone()),
            (Target::Server(url), Some(password)) => Address::Url(url.with_password(password)),
            (Target::Server(url), None) => Address::Url(url.secret()),
        }
    }

    /// The URL of another database of its server, or its own, as the file has it: without a password that is elsewhere.
    pub(crate) fn url_of(&self, database: Option<&str>) -> Option<SecretString> {
        match (&self.target, database) {
            (Target::File(_), _) => None,
            (Target::Server(url), Some(database)) => Some(url.with_database(database)),
            (Target::Server(url), None) => Some(url.secret()),
        }
    }
}

impl Source {
    /// Where the passwords of its tenants are, if it is that of the source itself.
    pub(super) fn own_password(&self) -> Option<(PasswordSource, Range<usize>)> {
        match &self.kind {
            SourceKind::Schemas { database, .. } | SourceKind::Databases { database, .. } => database.password.clone(),
            _ => None,
        }
    }
}

/// The sources of a file.
#[derive(Default)]
pub(super) struct Declared<'a, 'd> {
    /// Each with its `defaults`.
    pub(super) list: Vec<(Source, Option<&'a Item<'d>>)>,
    /// Whether the URL of one holds its password.
    pub(super) literal_password: bool,
}

/// Reads all of them.
pub(super) fn read<'a, 'd>(
    document: &'a Document<'d>,
    sources: Sources<'_>,
    drafts: &mut Diagnostics,
) -> Declared<'a, 'd> {
    let mut declared = Declared::default();
    let mut names = HashSet::new();
    for item in document.tables("source", drafts) {
        let Some(reader) = Reader::of(item, "[[source]]", &KEYS, drafts) else { continue };
        let mut parser = SourceParser { document, sources, reader, drafts, literal_password: false };
        let source = parser.source(&mut names);
        declared.literal_password |= parser.literal_password;
        let defaults = parser.reader.item("defaults");
        declared.list.extend(source.map(|source| (source, defaults)));
    }
    declared
}

struct SourceParser<'p, 'a, 'd> {
    document: &'a Document<'d>,
    sources: Sources<'p>,
    reader: Reader<'a, 'd>,
    drafts: &'p mut Diagnostics,
    literal_password: bool,
}

impl<'a, 'd> SourceParser<'_, 'a, 'd> {
    fn source(&mut self, names: &mut HashSet<&'a str>) -> Option<Source> {
        let reader = &self.reader;
        if !reader.has("name") {
            let draft = self.drafts.at(reader.span.clone(), "this source has no name");
            draft.help("add: name = \"crm\"").absence();
        }
        let at = reader.at("name");
        let name = name(reader, "name", "this name", self.drafts);
        if let Some(name) = name.filter(|name| !names.insert(name)) {
            let text = format!("a second source has the name `{name}`");
            self.drafts.at(at.clone(), text).help("give each source a name of its own");
        }
        let exclude = patterns(reader, "exclude", self.drafts);
        let prefix = reader.text("prefix", self.drafts).unwrap_or_default();
        if prefix.chars().nth(LONGEST_NAME).is_some() {
            self.drafts.too_long(reader.at("prefix"), "this prefix", LONGEST_NAME);
        }
        let max_gone = reader.text("max_gone", self.drafts).map(|text| (percent(text), reader.at("max_gone")));
        if let Some((None | Some(101..), at)) = &max_gone {
            let text = "`max_gone` must be a share from \"0%\" to \"100%\"";
            self.drafts.at(at.clone(), text).help("write max_gone = \"10%\"");
        }
        let timeout = reader.duration("timeout", false, self.drafts).unwrap_or(TIMEOUT);
        let kind = self.kind();
        let max_gone = max_gone.and_then(|(percent, _)| percent).unwrap_or(MAX_GONE);
        Some(Source { name: name?.into(), kind: kind?, exclude, prefix: prefix.to_owned(), max_gone, timeout, at })
    }

    fn kind(&mut self) -> Option<SourceKind> {
        let given: Vec<&str> = KINDS.into_iter().filter(|kind| self.reader.has(kind)).collect();
        let &[kind] = given.as_slice() else {
            let at = given.get(1).map_or(self.reader.span.clone(), |second| self.reader.at(second));
            let text = if given.is_empty() { "this source does not say where" } else { "this source has two kinds" };
            self.drafts.at(at, text).help(format!("write one of: {}", KINDS.join(", ")));
            return None;
        };
        match kind {
            "query" => {
                let (inner, database) = self.database("query", "sql")?;
                let sql = inner.item("sql").and_then(|sql| sql.get_ref().as_str()).map(str::trim).unwrap_or_default();
                let sql = sql.trim_end_matches(';').trim_end();
                if sql.is_empty() {
                    let text = "`query` has no `sql`, a text with one query";
                    self.drafts.at(inner.at("sql"), text).help("write sql = \"SELECT id, url FROM tenants\"");
                    return None;
                }
                Some(SourceKind::Query { database, sql: sql.to_owned() })
            }
            "schemas" => {
                let (database, names) = self.places("schemas")?;
                if database.engine() != Engine::Postgres {
                    let text = format!("{} has no schemas in a database", database.engine());
                    self.drafts
                        .at(self.reader.at("schemas"), text)
                        .help("use `databases` for the databases of a server");
                    return None;
                }
                Some(SourceKind::Schemas { database, names })
            }
            "databases" => {
                let (database, names) = self.places("databases")?;
                Some(SourceKind::Databases { database, names })
            }
            "files" => Some(SourceKind::Files(self.filled("files")?.to_owned())),
            "command" => {
                let words = self.reader.texts("command", self.drafts)?;
                if words.first().is_none_or(|(program, _)| program.trim().is_empty()) {
                    let draft = self.drafts.at(self.reader.at("command"), "`command` names no program");
                    draft.help("write [\"program\", \"argument\"]");
                    return None;
                }
                Some(SourceKind::Command(words.into_iter().map(|(word, _)| word.to_owned()).collect()))
            }
            "file" => {
                let path = self.sources.folder.join(self.filled("file")?);
                let form = match path.extension().and_then(|ending| ending.to_str()) {
                    Some("json") => ListForm::Json,
                    Some("jsonl" | "ndjson") => ListForm::JsonLines,
                    Some("csv") => ListForm::Csv,
                    Some("toml") => ListForm::Toml,
                    _ => {
                        let draft =
                            self.drafts.at(self.reader.at("file"), "the ending of this file says no known form");
                        draft.help("name a file that ends in .json, .jsonl, .csv or .toml");
                        return None;
                    }
                };
                Some(SourceKind::File(path, form))
            }
            _ => self.kubernetes(),
        }
    }

    fn filled(&mut self, key: &str) -> Option<&'a str> {
        let text = self.reader.text(key, self.drafts)?;
        if text.trim().is_empty() {
            self.drafts.at(self.reader.at(key), format!("`{key}` is empty")).help("write a path");
            return None;
        }
        Some(text)
    }

    fn kubernetes(&mut self) -> Option<SourceKind> {
        const OWN: [&str; 5] = ["label", "namespace", "context", "url_key", "id_key"];
        let item = self.reader.item("kubernetes")?;
        let inner = Reader::of(item, "`kubernetes`", &OWN, self.drafts)?;
        let mut text = |key| inner.text(key, self.drafts).filter(|text| !text.is_empty()).map(str::to_owned);
        let (label, namespace, context) = (text("label"), text("namespace"), text("context"));
        let (url_key, id_key) = (text("url_key"), text("id_key"));
        let Some(label) = label else {
            let text = "`kubernetes` has no `label`, and all secrets of a namespace are no tenants";
            self.drafts.at(item.span(), text).help("write kubernetes = { label = \"app=tenant-database\" }");
            return None;
        };
        let url_key = url_key.unwrap_or_else(|| "url".to_owned());
        Some(SourceKind::Kubernetes(Secrets { label, namespace, context, url_key, id_key }))
    }

    /// A database whose schemas, or a server whose databases are tenants, and the patterns on their names.
    fn places(&mut self, key: &'static str) -> Option<(SourceDatabase, Patterns)> {
        let (inner, database) = self.database(key, "match")?;
        let names = patterns(&inner, "match", self.drafts);
        if names.is_empty() {
            let text = format!("`{key}` has no `match`, patterns on names");
            self.drafts.at(inner.at("match"), text).help("write match = [\"tenant_*\"]");
            return None;
        }
        if database.url_of(None).is_none() {
            let text = format!("`{key}` needs a server, and this is a file");
            self.drafts.at(inner.at("url"), text).help("use `files` for SQLite files");
            return None;
        }
        Some((database, names))
    }

    /// The table of a kind that asks a database, and the database; `more` is its other key.
    fn database(&mut self, key: &'static str, more: &'static str) -> Option<(Reader<'a, 'd>, SourceDatabase)> {
        let item = self.reader.item(key)?;
        let inner = Reader::of(item, &format!("`{key}`"), &["url", "password", more], self.drafts)?;
        let password = inner.item("password");
        let own = password.and_then(|at| PasswordSource::read(at, self.sources.folder, self.drafts));
        let url = inner.item("url");
        let Some((url, text)) = url.and_then(|item| Some((item, item.get_ref().as_str()?))) else {
            let text = format!("`{key}` has no `url`, a text in quotes");
            let help = "write url = \"postgres://user@host/database\", \"mysql://..\" or \"sqlite:FILE\"";
            self.drafts.at(inner.at("url"), text).help(help).hide();
            return None;
        };
        let expanded = self.document.expand(url, text, self.sources.variables, self.drafts)?;
        let target = match is_sqlite(&expanded.text) {
            true => sqlite_path(&expanded.text, self.sources.folder).map(Target::File),
            false => ServerUrl::parse_in(&expanded.text, self.sources.folder).map(Target::Server),
        };
        let wrong = |problem: UrlProblem, drafts: &mut Diagnostics| {
            _ = drafts.at(url.span(), format!("`url` {}", problem.message)).help(problem.help);
        };
        let target = target.map_err(|problem| wrong(problem, self.drafts)).ok()?;
        self.literal_password |= expanded.literal_password;
        let has_password = match &target {
            Target::File(_) => true,
            Target::Server(url) => url.has_password(),
        };
        if let (true, Some(at)) = (has_password, password) {
            let text = "a password here, and its url has one or needs none";
            self.drafts.at(at.span(), text).help("keep one of them").hide();
            return None;
        }
        let password = own.zip(password.map(Item::span));
        let Some((PasswordSource::Env(name), at)) = password else {
            return Some((inner, SourceDatabase { target, password }));
        };
        let Some(value) = self.sources.variables.get(&name).filter(|value| !value.is_empty()) else {
            let text = format!("the environment variable {name} is not set or empty");
            self.drafts.at(at, text).help(format!("set it before the command: export {name}=..."));
            return None;
        };
        let filled = match &target {
            Target::Server(url) => ServerUrl::parse(url.with_password(value).expose_secret()).map(Target::Server),
            Target::File(_) => Ok(target),
        };
        Some((
            inner,
            SourceDatabase { target: filled.map_err(|problem| wrong(problem, self.drafts)).ok()?, password: None },
        ))
    }
}
