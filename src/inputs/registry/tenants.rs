//! `[defaults]` and `[[tenant]]`: each tenant checked by itself and against all others.
//!
//! It opens no database and reads no password file.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use secrecy::SecretString;

use super::credentials::{PasswordSource, Pending};
use super::dependencies::{self, Dependency};
use super::discovered::{Discovered, ROW_KEYS};
use super::hold;
use super::identity::{Folders, Identity};
use super::sources::{Declared, Source};
use crate::inputs::database_url::Expanded;
use crate::inputs::{Diagnostics, Document, Item, Reader, ServerUrl, Sources, expand, is_sqlite, sqlite_path};
use crate::model::hold::Hold;
use crate::model::tenant::{Address, Engine, Tenant, TenantId};
use crate::model::transaction::TransactionScope;

const KEYS: [&str; 16] = [
    "id",
    "url",
    "schema",
    "shared_schemas",
    "server",
    "tags",
    "migration_url",
    "password",
    "create_missing",
    "single_writer",
    "lock_timeout",
    "transaction",
    "online",
    "depends_on",
    "quarantine",
    "freeze_at",
];
const DEFAULT_KEYS: [&str; 6] = ["create_missing", "password", "server", "shared_schemas", "single_writer", "tags"];

/// The longest id, and the longest name of a server or a wave, in characters.
pub(crate) const LONGEST_NAME: usize = 128;
/// The longest URL, in characters; paths of files end at 4,096 bytes on Linux.
const LONGEST_URL: usize = 8_192;
/// The longest name that PostgreSQL keeps, in bytes; it silently truncates longer ones.
const LONGEST_SCHEMA: usize = 63;

/// The tenant tables, read.
#[derive(Default)]
pub(crate) struct Read {
    pub(crate) tenants: Vec<Arc<Tenant>>,
    pub(crate) pending: HashMap<TenantId, Pending>,
    /// The first tenant whose password is in the file, and the number of such tenants.
    pub(crate) literal_passwords: Option<(TenantId, usize)>,
    /// The entries of `depends_on`, in file order.
    pub(crate) dependencies: Vec<Dependency>,
}

/// Reads all tenants: those of the file, then those of its sources, if these have been read.
pub(crate) fn read(
    document: &Document<'_>,
    sources: Sources<'_>,
    (declared, discovered): (&Declared<'_, '_>, Option<&Discovered>),
    drafts: &mut Diagnostics,
) -> Read {
    let defaults = document.root.get("defaults");
    let defaults = defaults.map(|item| Defaults::default().over(item, "[defaults]", sources, drafts));
    let defaults = defaults.unwrap_or_default();
    let list = match document.root.get("tenant") {
        None if declared.list.is_empty() => {
            let help = "add one: [[tenant]] with id = \"acme\" and url = \"sqlite:data/acme.db\"";
            drafts.elsewhere("the file has no tenant").help(help).absence();
            return Read::default();
        }
        None => None,
        Some(item) => match item.get_ref().as_array() {
            Some(list) if !list.is_empty() => Some(list),
            _ => {
                drafts.at(item.span(), "`tenant` must be a list of tables").help("write [[tenant]], with two brackets");
                return Read::default();
            }
        },
    };
    let mut reading = TenantParser {
        document,
        sources,
        drafts,
        defaults,
        ids: HashMap::new(),
        databases: HashMap::new(),
        folders: Folders::default(),
        servers: HashMap::new(),
        unset: HashMap::new(),
        source: None,
        out: Read::default(),
    };
    for item in list.into_iter().flat_map(|list| list.iter()) {
        reading.tenant(item);
    }
    for (source, own) in &declared.list {
        reading.source(source, *own, discovered);
    }
    // A tenant of a source that was not read is not known.
    if declared.list.is_empty() || discovered.is_some() {
        let known = reading.ids.keys().map(String::as_str).collect();
        dependencies::check(&reading.out.dependencies, &known, reading.drafts);
    }
    for (name, unset) in reading.unset {
        unset.note(&name, reading.drafts);
    }
    reading.out
}

/// `[defaults]`, and that of a source over it.
#[derive(Default, Clone)]
struct Defaults {
    create_missing: bool,
    single_writer: bool,
    shared_schemas: Vec<String>,
    password: Option<(PasswordSource, Range<usize>)>,
    server: Option<String>,
    tags: BTreeMap<String, String>,
}

impl Defaults {
    /// These with the values of a table over them; `what` names it.
    fn over(&self, item: &Item<'_>, what: &str, sources: Sources<'_>, drafts: &mut Diagnostics) -> Self {
        let mut over = self.clone();
        let Some(reader) = Reader::of(item, what, &DEFAULT_KEYS, drafts) else { return over };
        let password = reader.item("password");
        let password = password.and_then(|at| Some((PasswordSource::read(at, sources.folder, drafts)?, at.span())));
        over.create_missing = reader.boolean("create_missing", drafts).unwrap_or(over.create_missing);
        over.single_writer = reader.boolean("single_writer", drafts).unwrap_or(over.single_writer);
        over.shared_schemas = shared_schemas(&reader, drafts).unwrap_or(over.shared_schemas);
        over.password = password.or(over.password);
        over.server = server(&reader, drafts).or(over.server);
        over.tags.extend(reader.labels("tags", drafts).unwrap_or_default());
        over
    }
}

/// A text that must not be empty.
fn label<'a>(reader: &Reader<'a, '_>, key: &str, drafts: &mut Diagnostics) -> Option<&'a str> {
    let text = reader.text(key, drafts)?;
    if text.trim().is_empty() {
        drafts.at(reader.at(key), format!("`{key}` is empty")).help("fill it or remove it");
        return None;
    }
    Some(text)
}

/// A text that must not be empty and not longer than [`LONGEST_NAME`]. `what` names it.
pub(super) fn name<'a>(reader: &Reader<'a, '_>, key: &str, what: &str, drafts: &mut Diagnostics) -> Option<&'a str> {
    let text = label(reader, key, drafts)?;
    if text.chars().nth(LONGEST_NAME).is_some() {
        drafts.too_long(reader.at(key), what, LONGEST_NAME);
        return None;
    }
    Some(text)
}

fn server(reader: &Reader<'_, '_>, drafts: &mut Diagnostics) -> Option<String> {
    name(reader, "server", "`server`", drafts).map(str::to_owned)
}

/// The location of a tenant's database, from its URL.
enum Target {
    File(std::path::PathBuf),
    Server { url: ServerUrl, literal_password: bool },
}

/// The state while reading all tenants; hash maps, so that a large fleet is compared in one pass.
struct TenantParser<'a, 'd> {
    document: &'a Document<'d>,
    sources: Sources<'a>,
    drafts: &'a mut Diagnostics,
    defaults: Defaults,
    ids: HashMap<String, Range<usize>>,
    databases: HashMap<Identity, (TenantId, Range<usize>)>,
    folders: Folders,
    servers: HashMap<String, Arc<str>>,
    unset: HashMap<String, Unset>,
    /// The source whose rows are read.
    source: Option<Source>,
    out: Read,
}

/// A variable that tenants need and that is not set: one mistake of the environment, not one of each tenant.
struct Unset {
    /// The first place that needs it, in a tenant or in the defaults.
    at: Range<usize>,
    /// Whether it is set to an empty text.
    is_empty: bool,
    in_defaults: bool,
    /// The tenants that need it, by their places: a tenant that needs it twice is counted once.
    tenants: HashSet<usize>,
}

impl Unset {
    fn note(self, name: &str, drafts: &mut Diagnostics) {
        let state = if self.is_empty { "empty" } else { "not set" };
        let users = match (self.tenants.len(), self.in_defaults) {
            (1, _) => String::new(),
            (n, true) => format!(" (used by {n} tenants)"),
            (n, false) => format!(" (used by {n} tenants, the first here)"),
        };
        let draft = drafts.at(self.at, format!("the environment variable {name} is {state}{users}"));
        draft.help(format!("set it before the command: export {name}=..."));
    }
}

/// The schemas that tenants share, each once.
fn shared_schemas(reader: &Reader<'_, '_>, drafts: &mut Diagnostics) -> Option<Vec<String>> {
    let mut schemas: Vec<String> = Vec::new();
    for (text, at) in reader.names("shared_schemas", drafts)? {
        if text.len() > LONGEST_SCHEMA {
            let help = "PostgreSQL would cut it off and use another schema";
            drafts.at(at, format!("this schema name has more than {LONGEST_SCHEMA} bytes")).help(help);
        } else if !schemas.iter().any(|schema| schema == text) {
            schemas.push(text.to_owned());
        }
    }
    Some(schemas)
}

impl TenantParser<'_, '_> {
    /// The tenants of a source, each as a table at the source's place; mistakes name the row.
    fn source(&mut self, source: &Source, own: Option<&Item<'_>>, discovered: Option<&Discovered>) {
        let of_source = own.map(|item| self.defaults.over(item, "[source.defaults]", self.sources, self.drafts));
        let Some(rows) = discovered.and_then(|discovered| discovered.get(&source.name)) else { return };
        let of_fleet = of_source.map(|defaults| std::mem::replace(&mut self.defaults, defaults));
        self.source = Some(source.clone());
        for row in rows {
            let before = self.drafts.len();
            self.tenant(&row.table(&source.at));
            self.drafts.name_since(before, || format!("source `{}`, {}", source.name, row.name()));
        }
        self.source = None;
        self.defaults = of_fleet.unwrap_or_else(|| std::mem::take(&mut self.defaults));
    }

    fn tenant(&mut self, item: &Item<'_>) {
        let keys: (&str, &[&str]) = if self.source.is_some() { ("a row", &ROW_KEYS) } else { ("[[tenant]]", &KEYS) };
        let Some(reader) = Reader::of(item, keys.0, keys.1, self.drafts) else { return };
        let id = self.id(&reader);
        let create_missing = reader.boolean("create_missing", self.drafts).unwrap_or(self.defaults.create_missing);
        let single_writer = reader.boolean("single_writer", self.drafts).unwrap_or(self.defaults.single_writer);
        let server = server(&reader, self.drafts);
        let mut tags = self.defaults.tags.clone();
        tags.extend(reader.labels("tags", self.drafts).unwrap_or_default());
        let lock_timeout = reader.duration("lock_timeout", false, self.drafts);
        let transaction = reader.transaction(self.drafts);
        let online = reader.boolean("online", self.drafts);
        let depends_on = self.depends_on(&reader, id.as_ref());
        let hold = Hold {
            quarantine: hold::quarantine(&reader, self.drafts),
            freeze_at: name(&reader, "freeze_at", "`freeze_at`", self.drafts).map(str::to_owned),
        };
        let password = reader.item("password");
        let source = password.and_then(|at| PasswordSource::read(at, self.sources.folder, self.drafts));
        if !reader.has("url") {
            let help = "add: url = \"postgres://user@host/database\", \"mysql://..\" or \"sqlite:path/to/file.db\"";
            self.drafts.at(reader.span.clone(), "this tenant has no url").help(help).absence();
        }
        let target = self.target(&reader, "url");
        let schema = self.schema(&reader, target.as_ref());
        let mut shared_schemas =
            shared_schemas(&reader, self.drafts).unwrap_or_else(|| self.defaults.shared_schemas.clone());
        if schema.is_none() {
            if reader.has("shared_schemas") {
                let help = "remove it, or say which `schema` of the database the tenant is";
                self.drafts
                    .at(reader.at("shared_schemas"), "`shared_schemas` of a tenant that is a whole database")
                    .help(help);
            }
            shared_schemas.clear();
        }
        let migration = self.migration_target(&reader, target.as_ref());
        let (Some(id), Some(target)) = (id, target) else { return };

        self.compare(&reader, &id, [("url", Some(&target)), ("migration_url", migration.as_ref())], schema.as_deref());
        if let (Target::File(_), Some(at)) = (&target, password) {
            self.drafts.at(at.span(), "an SQLite file has no password").help("remove it").hide();
        }
        if transaction == Some(TransactionScope::Tenant) && !target.engine().capabilities().transactional_ddl {
            let text = format!("{} commits each statement that changes a schema by itself", target.engine());
            let help = "remove `transaction`: such a tenant has no transaction around several steps";
            self.drafts.at(reader.at("transaction"), text).help(help);
        }
        let server = server.or_else(|| self.defaults.server.clone()).unwrap_or_else(|| target.default_server());
        let server = self.servers.entry(server).or_insert_with_key(|key| key.as_str().into()).clone();
        let mut tenant = Tenant {
            engine: target.engine(),
            flavour: Arc::default(),
            address: target.address(),
            migration_address: migration.as_ref().map(Target::address),
            id,
            server,
            tags,
            schema,
            shared_schemas,
            create_missing,
            single_writer,
            lock_timeout,
            transaction,
            online,
            depends_on,
            hold,
            per_server: None,
            source: self.source.as_ref().map(|source| source.name.clone()),
        };
        let of_source = || self.source.as_ref().and_then(Source::own_password);
        let own = source.zip(password.map(Item::span)).or_else(of_source);
        self.password(&reader, &mut tenant, own, (target, migration));
        self.out.tenants.push(Arc::new(tenant));
    }

    fn id(&mut self, reader: &Reader<'_, '_>) -> Option<TenantId> {
        if !reader.has("id") {
            let draft = self.drafts.at(reader.span.clone(), "this tenant has no id");
            draft.help("add: id = \"acme\"").absence();
        }
        let id = name(reader, "id", "this id", self.drafts)?;
        let at = reader.at("id");
        if let Some(first) = self.ids.get(id) {
            let draft = self.drafts.at(at, format!("a second tenant has the id `{id}`"));
            draft.related(first.clone(), "the first is here").help("give each tenant an id of its own");
            return None;
        }
        self.ids.insert(id.to_owned(), at);
        Some(TenantId::from(id))
    }

    /// The tenants it waits for, each once; their existence is checked when all tenants have been read.
    fn depends_on(&mut self, reader: &Reader<'_, '_>, id: Option<&TenantId>) -> Vec<TenantId> {
        let mut ids: Vec<TenantId> = Vec::new();
        let mut seen = HashSet::new();
        for (text, at) in reader.names("depends_on", self.drafts).unwrap_or_default() {
            if text.chars().nth(LONGEST_NAME).is_some() {
                self.drafts.too_long(at, "an id in `depends_on`", LONGEST_NAME);
            } else if seen.insert(text) {
                ids.push(TenantId::from(text));
                if let Some(of) = id {
                    self.out.dependencies.push(Dependency { of: of.to_string(), on: text.to_owned(), at });
                }
            }
        }
        ids
    }

    fn target(&mut self, reader: &Reader<'_, '_>, key: &str) -> Option<Target> {
        let item = reader.item(key)?;
        let wrong = match item.get_ref().as_str() {
            None => Err(format!("`{key}` must be a text in quotes")),
            Some(text) if text.chars().nth(LONGEST_URL).is_some() => {
                Err(format!("`{key}` has more than {LONGEST_URL} characters"))
            }
            Some(text) => Ok(text),
        };
        let note =
            |wrong| _ = self.drafts.at(item.span(), wrong).help("write: url = \"sqlite:path/to/file.db\"").hide();
        let template = wrong.map_err(note).ok()?;
        let expanded = match self.source {
            // Whoever writes a row has no business in the environment of this process.
            Some(_) => Ok(Expanded { text: template.to_owned(), literal_password: false }),
            None => expand(template, self.sources.variables),
        };
        let expanded = match expanded {
            Ok(expanded) => expanded,
            Err(problems) => {
                for (problem, part) in problems {
                    let at = self.document.within(item, part);
                    match &problem.variable {
                        Some(name) => self.unset(name, at, reader.span.clone(), false),
                        None => _ = self.drafts.at(at, problem.message).help(problem.help),
                    }
                }
                return None;
            }
        };
        let target = if is_sqlite(&expanded.text) {
            sqlite_path(&expanded.text, self.sources.folder).map(Target::File)
        } else {
            let literal_password = expanded.literal_password;
            ServerUrl::parse_in(&expanded.text, self.sources.folder).map(|url| Target::Server { url, literal_password })
        };
        match target {
            Ok(target) => Some(target),
            Err(problem) => {
                self.drafts.at(item.span(), format!("`{key}` {}", problem.message)).help(problem.help);
                None
            }
        }
    }

    /// Counts a tenant (by its place) that needs a variable which is not set.
    fn unset(&mut self, name: &str, at: Range<usize>, tenant: Range<usize>, in_defaults: bool) {
        let is_empty = self.sources.variables.get(name).is_some();
        let first = Unset { at, is_empty, in_defaults, tenants: HashSet::new() };
        self.unset.entry(name.to_owned()).or_insert(first).tenants.insert(tenant.start);
    }

    fn schema(&mut self, reader: &Reader<'_, '_>, target: Option<&Target>) -> Option<String> {
        let schema = label(reader, "schema", self.drafts)?;
        let at = reader.at("schema");
        if let Some(engine) = target.map(Target::engine).filter(|engine| *engine != Engine::Postgres) {
            let help = "remove it; only a PostgreSQL tenant can be a schema in a database";
            self.drafts.at(at, format!("`schema` has no meaning for {engine}")).help(help);
        } else if schema.len() > LONGEST_SCHEMA {
            let help = "PostgreSQL would cut it off and use another schema";
            self.drafts.at(at, format!("this schema name has more than {LONGEST_SCHEMA} bytes")).help(help);
        } else if schema.starts_with("pg_") || schema == "information_schema" {
            self.drafts.at(at, "this schema belongs to PostgreSQL itself").help("name the tenant's own schema");
        }
        Some(schema.to_owned())
    }

    fn migration_target(&mut self, reader: &Reader<'_, '_>, target: Option<&Target>) -> Option<Target> {
        let migration = self.target(reader, "migration_url")?;
        let engine = target?.engine();
        if migration.engine() != engine || engine == Engine::Sqlite {
            let help = "it is for a server database whose url is a pooler: the same database without the pooler";
            self.drafts
                .at(reader.at("migration_url"), format!("`migration_url` does not fit a url of {engine}"))
                .help(help);
            return None;
        }
        Some(migration)
    }

    /// Records a mistake when another tenant has one of these databases.
    fn compare(
        &mut self,
        reader: &Reader<'_, '_>,
        id: &TenantId,
        targets: [(&str, Option<&Target>); 2],
        schema: Option<&str>,
    ) {
        for (key, target) in targets {
            let (Some(target), Some(item)) = (target, reader.item(key)) else { continue };
            let identity = match target {
                Target::File(path) => self.folders.identity(path),
                Target::Server { url, .. } => Identity::of_server(url, schema),
            };
            match self.databases.get(&identity) {
                Some((other, _)) if other == id => {}
                Some((other, first)) => {
                    let draft = self.drafts.at(item.span(), format!("tenants `{other}` and `{id}` are one database"));
                    draft.related(first.clone(), format!("`{other}` is here"));
                    draft.help("give each tenant a database of its own, or on PostgreSQL a schema");
                    return;
                }
                None => {
                    self.databases.insert(identity, (id.clone(), item.span()));
                }
            }
        }
    }

    /// Fills the password in where the URL has none, or marks it as to be fetched.
    fn password(
        &mut self,
        reader: &Reader<'_, '_>,
        tenant: &mut Tenant,
        own: Option<(PasswordSource, Range<usize>)>,
        (target, migration): (Target, Option<Target>),
    ) {
        let Target::Server { url, literal_password } = target else { return };
        let literal = literal_password || matches!(migration, Some(Target::Server { literal_password: true, .. }));
        if literal {
            self.out.literal_passwords.get_or_insert_with(|| (tenant.id.clone(), 0)).1 += 1;
        }
        if let (Some((_, at)), true) = (&own, url.has_password()) {
            let help = "keep one of them; the password in the url is the one to remove";
            self.drafts.at(at.clone(), "this tenant has a password here and another in its url").help(help);
            return;
        }
        let is_own = own.is_some();
        let Some((source, at)) = own.or_else(|| self.defaults.password.clone()) else { return };
        let without = |url: ServerUrl| Some(url).filter(|url| !url.has_password());
        let migration = migration.and_then(|m| match m {
            Target::Server { url, .. } => without(url),
            Target::File(_) => None,
        });
        let pending = Pending { url: without(url), migration_url: migration, source };
        if pending.url.is_none() && pending.migration_url.is_none() {
            return;
        }
        if let PasswordSource::Env(name) = &pending.source {
            match self.sources.variables.get(name).filter(|value| !value.is_empty()) {
                Some(password) => pending.fill(tenant, &Ok(SecretString::from(password.to_owned()))),
                None => self.unset(name, at, reader.span.clone(), !is_own),
            }
            return;
        }
        // Until it is fetched, the address is unusable: nothing connects without the password by mistake.
        pending.fill(tenant, &Err("its password has not been fetched".to_owned()));
        self.out.pending.insert(tenant.id.clone(), pending);
    }
}

impl Target {
    fn engine(&self) -> Engine {
        match self {
            Target::File(_) => Engine::Sqlite,
            Target::Server { url, .. } => url.engine,
        }
    }

    fn address(&self) -> Address {
        match self {
            Target::File(path) => Address::File(path.clone()),
            Target::Server { url, .. } => Address::Url(url.secret()),
        }
    }

    fn default_server(&self) -> String {
        match self {
            Target::File(_) => "local".to_owned(),
            Target::Server { url, .. } => format!("{}:{}", url.host, url.port),
        }
    }
}
