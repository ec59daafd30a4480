//! `[scratch]`: the servers for scratch databases, on which migrations are tried out.
//!
//! Such a server may be a tenant's, but its URL is never taken from a tenant: creating databases must be requested
//! explicitly. There is no flag either, since a URL with a password does not belong in a process list.

use std::fmt;
use std::path::Path;

use secrecy::SecretString;

use super::Diagnostics;
use super::database_url::{ServerUrl, UrlProblem, shown};
use super::document::{Document, Reader};
use super::settings::{Origin, Sources};
use crate::model::tenant::Engine;
use crate::model::text::suggestion;

const KEYS: [(&str, Engine); 2] = [("postgres_url", Engine::Postgres), ("mysql_url", Engine::Mysql)];

/// The prefix of the environment variables.
pub(super) const PREFIX: &str = "FLEET_SCRATCH_";

/// The environment variable of a key: `FLEET_SCRATCH_POSTGRES_URL`.
pub(crate) fn variable(key: &str) -> String {
    super::settings::variable(&format!("scratch_{key}"))
}

/// All keys with their section: `scratch_postgres_url`.
pub(super) fn keys() -> impl Iterator<Item = String> {
    KEYS.iter().map(|(key, _)| format!("scratch_{key}"))
}

/// The servers for scratch databases. SQLite needs no server.
#[derive(Clone, Default)]
pub(crate) struct ScratchServers {
    urls: Vec<(Engine, SecretString, Origin)>,
    /// Whether a password is in the file itself.
    pub(crate) literal_password: bool,
}

impl fmt::Debug for ScratchServers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.urls.iter().map(|(engine, ..)| engine)).finish()
    }
}

impl ScratchServers {
    /// The URL of a database on the server for an engine's scratch databases: a scheme, a host and a database.
    pub(crate) fn url(&self, engine: Engine) -> Option<&SecretString> {
        self.urls.iter().find(|(of, ..)| *of == engine).map(|(_, url, _)| url)
    }

    /// The key that names an engine's server; `None` for SQLite, which needs none.
    pub(crate) fn key(engine: Engine) -> Option<&'static str> {
        KEYS.iter().find(|(_, of)| *of == engine).map(|(key, _)| *key)
    }

    /// The URLs that are set, as they may be shown.
    pub(super) fn origins(&self) -> impl Iterator<Item = (String, String, Origin)> {
        let key = |engine: Engine| Self::key(engine).expect("only engines with a key are set");
        self.urls
            .iter()
            .map(move |(engine, url, origin)| (format!("scratch.{}", key(*engine)), shown(url), origin.clone()))
    }

    fn set(&mut self, engine: Engine, url: SecretString, origin: Origin) {
        self.urls.retain(|(of, ..)| *of != engine);
        self.urls.push((engine, url, origin));
    }
}

/// Reads `[scratch]` of the file and the variables over it.
pub(super) fn read(document: &Document<'_>, sources: Sources<'_>, drafts: &mut Diagnostics) -> ScratchServers {
    let mut out = ScratchServers::default();
    let known = KEYS.map(|(key, _)| key);
    let item = document.root.get("scratch");
    if let Some(reader) = item.and_then(|item| Reader::of_secret(item, "[scratch]", &known, drafts)) {
        for (key, engine) in KEYS {
            let (Some(item), Some(text)) = (reader.item(key), reader.text(key, drafts)) else { continue };
            let Some(expanded) = document.expand(item, text, sources.variables, drafts) else { continue };
            match server(&expanded.text, engine, sources.folder) {
                Ok(url) => {
                    out.literal_password |= expanded.literal_password;
                    out.set(engine, url, Origin::File);
                }
                Err(problem) => {
                    drafts.at(item.span(), format!("`{key}` {}", problem.message)).help(problem.help).hide();
                }
            }
        }
    }
    from_environment(&mut out, sources, drafts);
    out
}

fn from_environment(out: &mut ScratchServers, sources: Sources<'_>, drafts: &mut Diagnostics) {
    for (name, text) in sources.variables.sorted() {
        let Some(key) = name.strip_prefix(PREFIX) else { continue };
        let Some((_, engine)) = KEYS.iter().find(|(known, _)| variable(known) == name) else {
            let near = suggestion(key, KEYS.iter().map(|(key, _)| *key)).unwrap_or(KEYS[0].0);
            let help = format!("[scratch] has: {}", KEYS.map(|(key, _)| key).join(", "));
            let draft = drafts.elsewhere(format!("the environment variable {name} names no key of [scratch]"));
            draft.help(format!("did you mean {}? {help}", variable(near)));
            continue;
        };
        match server(text, *engine, sources.folder) {
            Ok(url) => out.set(*engine, url, Origin::Environment(name.to_owned())),
            Err(problem) => {
                drafts.elsewhere(format!("the environment variable {name} {}", problem.message)).help(problem.help);
            }
        }
    }
}

fn server(text: &str, engine: Engine, folder: &Path) -> Result<SecretString, UrlProblem> {
    let url = ServerUrl::parse_in(text, folder)?;
    if url.engine != engine {
        let message = format!("is a URL of {}, not of {engine}", url.engine);
        return Err(super::database_url::problem(message, format!("write {engine}://user@host:port/database")));
    }
    Ok(url.secret())
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::super::document::with_document;
    use super::super::{Mistakes, Overrides, Variables};
    use super::*;

    fn parse<const N: usize>(text: &str, variables: [(&str, &str); N]) -> Result<ScratchServers, Mistakes> {
        let (overrides, variables) = (Overrides::default(), Variables::from(variables));
        let sources = Sources { folder: Path::new("/"), overrides: &overrides, variables: &variables };
        let mut drafts = Diagnostics::default();
        let read = with_document(text, &mut drafts, |document, drafts| read(document, sources, drafts));
        drafts.finish(Path::new("/tenants.toml"), text).map(|()| read)
    }

    fn url(servers: &ScratchServers, engine: Engine) -> Option<&str> {
        servers.url(engine).map(ExposeSecret::expose_secret)
    }

    #[test]
    fn the_environment_wins_over_the_file_and_placeholders_are_filled_in() {
        let text = "[scratch]\npostgres_url = \"postgres://u:${P}@h/db\"\nmysql_url = \"mariadb://u@h/db\"";
        let servers = parse(text, [("P", "p@ss"), ("FLEET_SCRATCH_MYSQL_URL", "mysql://v@i/db")]).unwrap();
        assert_eq!(url(&servers, Engine::Postgres), Some("postgres://u:p%40ss@h/db"));
        assert_eq!(url(&servers, Engine::Mysql), Some("mysql://v@i/db"));
        assert_eq!(url(&servers, Engine::Sqlite), None);
        assert!(!servers.literal_password, "the password is in a variable");
        let shown: Vec<String> =
            servers.origins().map(|(key, value, origin)| format!("{key} {value} {origin}")).collect();
        assert!(!format!("{shown:?} {servers:?}").contains("p%40ss"), "{shown:?}");
        assert!(shown.iter().any(|line| line.ends_with("FLEET_SCRATCH_MYSQL_URL")), "{shown:?}");
        assert!(parse("[scratch]\nmysql_url = \"mysql://u:s3cret@h/db\"", []).unwrap().literal_password);
    }

    #[test]
    fn mistakes_are_told_without_the_password() {
        for (text, variable, wanted) in [
            ("[scratch]\npostgres_url = \"mysql://u:s3cret@h/db\"", ("X", ""), "is a URL of mysql, not of postgres"),
            ("[scratch]\npostgres_url = \"postgres://u:s3cret@h\"", ("X", ""), "names no database"),
            ("[scratch]\npostgress_url = \"postgres://u:s3cret@h/d\"", ("X", ""), "unknown key `postgress_url`"),
            ("[scratch]\nmysql_url = \"mysql://u:${NO}@h/d\"", ("X", ""), "NO is not set"),
            ("", ("FLEET_SCRATCH_MYSQL_URL", "postgres://u:s3cret@h/d"), "MYSQL_URL is a URL of postgres"),
            ("", ("FLEET_SCRATCH_ORACLE_URL", "x:s3cret"), "names no key of [scratch]"),
        ] {
            let told = parse(text, [variable]).unwrap_err().render(false);
            assert!(told.contains(wanted) && !told.contains("s3cret"), "{told}");
        }
    }
}
