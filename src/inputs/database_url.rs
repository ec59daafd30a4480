//! Database URLs: `${VAR}` in them, their required parts, and dangerous ones.
//!
//! No text returned from here contains a part of a URL that could be a secret; nothing here connects.

use std::cell::RefCell;
use std::ops::Range;
use std::path::{Component, Path, PathBuf};

use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use secrecy::{ExposeSecret, SecretString};
use subst::VariableMap;
use url::Url;

use super::{Variables, url_parameters};
use crate::engine::home;
use crate::model::tenant::Engine;
use crate::model::text::{suggestion, unprintable};

/// The remedy for a password that a URL can't hold as it is.
const ENCODE: &str = "a password with / ? # @ : or % must be percent-encoded (p@ss/w becomes p%40ss%2Fw), or be kept out of the URL: password = { env = \"VAR\" }";

/// The form that a URL must have.
pub(super) const FORM: &str =
    "write scheme://user@host:port/database, with scheme postgres or mysql, or sqlite:path/to/file.db";

/// A problem of a URL, without any part of it. The message continues "`url` ...".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct UrlProblem {
    pub(crate) message: String,
    pub(crate) help: String,
    /// The missing variable, if that is the problem.
    pub(crate) variable: Option<String>,
}

pub(super) fn problem(message: impl Into<String>, help: impl Into<String>) -> UrlProblem {
    UrlProblem { message: message.into(), help: help.into(), variable: None }
}

/// A URL with its variables filled in. It may hold a password.
pub(crate) struct Expanded {
    pub(crate) text: String,
    /// Whether the password is in the file itself.
    pub(crate) literal_password: bool,
}

/// Fills `${VAR}` in. A value that lands before the `@` of a URL is percent-encoded, so that any password works. A `$`
/// without a brace is a plain character, and so is a backslash unless it precedes `$`, `{`, `}`, `:` or `\`.
///
/// # Errors
/// Each missing variable with its place in `template`.
pub(crate) fn expand(template: &str, variables: &Variables) -> Result<Expanded, Vec<(UrlProblem, Range<usize>)>> {
    if !template.contains("${") {
        let text = template.replace("\\$", "$");
        return Ok(Expanded { literal_password: has_literal_password(&text), text });
    }
    let escaped = escape_plain_dollars(template);
    let mut seen = Seen { variables, values: RefCell::default(), missing: Vec::new() };
    let marked = loop {
        match subst::substitute(&escaped, &seen) {
            // Treat it as set and go on, so that all missing variables are found.
            Err(subst::Error::NoSuchVariable(missing)) => seen.missing.push(missing.name),
            other => break other,
        }
        seen.values.borrow_mut().clear();
    };
    if !seen.missing.is_empty() {
        let report = |name: &String| {
            let help = format!("set it before the command: export {name}=...");
            let unset = problem(format!("the environment variable {name} is not set"), help);
            (UrlProblem { variable: Some(name.clone()), ..unset }, place_of(template, name))
        };
        return Err(seen.missing.iter().map(report).collect());
    }
    let Ok(marked) = marked else {
        let start = template.find("${").unwrap_or(0);
        let help = "write ${NAME}, or \\$ for a plain dollar sign";
        return Err(vec![(problem("has a ${...} that is not complete", help), start..template.len())]);
    };
    let literal_password = has_literal_password(&marked);
    let text = fill(&marked, &seen.values.into_inner());
    Ok(Expanded { text, literal_password })
}

/// The first of the mark characters for variables, in a private use area of Unicode.
const FIRST_MARK: u32 = 0xF_0000;

/// Assigns a mark to each variable, so that its place in the URL is known before its value can change the URL's
/// structure.
struct Seen<'v> {
    variables: &'v Variables,
    values: RefCell<Vec<String>>,
    missing: Vec<String>,
}

impl<'a> VariableMap<'a> for Seen<'_> {
    type Value = String;

    fn get(&'a self, name: &str) -> Option<String> {
        if self.missing.iter().any(|missing| missing == name) {
            return Some(String::new());
        }
        let value = self.variables.get(name)?;
        let mut values = self.values.borrow_mut();
        values.push(value.to_owned());
        (FIRST_MARK..).nth(values.len() - 1).and_then(char::from_u32).map(String::from)
    }
}

fn fill(marked: &str, values: &[String]) -> String {
    let user = userinfo(marked).unwrap_or(0..0);
    let value = |mark: char| values.get(u32::from(mark).checked_sub(FIRST_MARK)? as usize);
    let mut text = String::with_capacity(marked.len());
    for (at, c) in marked.char_indices() {
        match value(c) {
            Some(value) if user.contains(&at) => text.extend(utf8_percent_encode(value, NON_ALPHANUMERIC)),
            Some(value) => text.push_str(value),
            None => text.push(c),
        }
    }
    text
}

/// The `user:password` of a URL: the part before the last `@` of its possible authority.
fn userinfo(url: &str) -> Option<Range<usize>> {
    let start = url.find("://")? + 3;
    let authority = url[start..].find(['/', '?', '#']).map_or(&url[start..], |i| &url[start..start + i]);
    authority.rfind('@').map(|i| start..start + i)
}

fn has_literal_password(marked: &str) -> bool {
    userinfo(marked)
        .and_then(|range| marked[range].split_once(':').map(|(_, password)| password))
        .is_some_and(|password| !password.is_empty() && !password.contains(|c| u32::from(c) >= FIRST_MARK))
}

fn escape_plain_dollars(template: &str) -> String {
    let mut out = String::with_capacity(template.len());
    let mut chars = template.chars().peekable();
    while let Some(c) = chars.next() {
        match (c, chars.peek()) {
            ('\\', Some(&next @ ('$' | '{' | '}' | ':' | '\\'))) => {
                out.extend(['\\', next]);
                chars.next();
            }
            ('\\', _) => out.push_str("\\\\"),
            ('$', next) if next != Some(&'{') => out.push_str("\\$"),
            _ => out.push(c),
        }
    }
    out
}

fn place_of(template: &str, name: &str) -> Range<usize> {
    let wanted = format!("${{{name}}}");
    template.find(&wanted).map_or(0..template.len(), |start| start..start + wanted.len())
}

/// The scheme of a URL: the text before `:` if it could be one. A drive letter or a bare path has none.
pub(crate) fn scheme(text: &str) -> Option<&str> {
    let (scheme, _) = text.split_once(':')?;
    let fits = scheme.len() > 1
        && scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+.-".contains(c));
    fits.then_some(scheme)
}

/// Whether a text names an SQLite file: by its scheme, or by its ending where it has none.
pub(crate) fn is_sqlite(text: &str) -> bool {
    match scheme(text) {
        Some(scheme) => scheme == "sqlite",
        None => [".db", ".sqlite", ".sqlite3"].iter().any(|ending| text.ends_with(ending)),
    }
}

/// The path of an SQLite file, absolute and without `.` and `..`; a relative one starts at `folder`.
///
/// # Errors
/// For a database in memory, and for parameters: `create_missing` alone decides whether a file is created.
pub(crate) fn sqlite_path(text: &str, folder: &Path) -> Result<PathBuf, UrlProblem> {
    let path = match text.strip_prefix("sqlite:") {
        None => text.to_owned(),
        Some(rest) if rest.contains('?') => {
            let help = "remove it; whether a missing file is created is said by create_missing = true";
            return Err(problem("has parameters behind a question mark", help));
        }
        Some(rest) => decoded(rest.strip_prefix("//").unwrap_or(rest)),
    };
    if let Some(found) = unprintable(&path) {
        return Err(problem(format!("holds the unprintable character {found}"), "remove it"));
    }
    if path.is_empty() || path.ends_with('/') {
        return Err(problem("names no file", "write sqlite:path/to/file.db"));
    }
    if path == ":memory:" {
        return Err(problem(
            "is a database in memory, which is gone with its connection",
            "write sqlite:path/to/file.db",
        ));
    }
    Ok(normal(&folder.join(path)))
}

/// Resolves `.` and `..` in an absolute path by its text alone.
pub(super) fn normal(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                out.pop();
            }
            other => out.push(other),
        }
    }
    out
}

/// `scheme://***`, for a URL that has to be named.
pub(crate) fn shown(url: &SecretString) -> String {
    format!("{}://***", scheme(url.expose_secret()).unwrap_or("url"))
}

/// The URL of a database on a server, checked and in one spelling. No `Debug`: it holds a password.
#[derive(Clone)]
pub(crate) struct ServerUrl {
    pub(crate) engine: Engine,
    /// As in the URL, decoded; a path where it is a socket's folder.
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) database: String,
    url: Url,
}

impl ServerUrl {
    /// The schema that its scripts run in; only PostgreSQL has any.
    pub(crate) fn home(&self, schema: Option<&str>) -> String {
        home(&self.url, schema)
    }

    /// Takes a URL apart.
    ///
    /// # Errors
    /// Any form that would make a driver connect elsewhere than a reader of the URL expects.
    pub(crate) fn parse(text: &str) -> Result<Self, UrlProblem> {
        if let Some(found) = unprintable(text) {
            return Err(problem(format!("holds the unprintable character {found}"), "write it percent-encoded"));
        }
        let engine = engine_of(text)?;
        let mut url = Url::parse(text).map_err(|why| problem(format!("can't be read as a URL ({why})"), ENCODE))?;
        if url.fragment().is_some() || url.path().contains('@') || url.query().is_some_and(|q| q.contains('@')) {
            return Err(problem("is cut apart at a character that seems to belong to its password", ENCODE));
        }
        let host = url.host_str().map(decoded).unwrap_or_default();
        if host.is_empty() {
            let help = "name the host; the folder of a socket is written percent-encoded as the host: postgres://app@%2Fvar%2Frun%2Fpostgresql/acme";
            return Err(problem("names no host", help));
        }
        let database = decoded(url.path().trim_start_matches('/'));
        if database.is_empty() {
            return Err(problem("names no database", FORM));
        }
        if url.path().trim_start_matches('/').contains('/') || unprintable(&database).is_some() {
            return Err(problem("names no single database behind the host", FORM));
        }
        url_parameters::check(engine, &url)?;
        let (name, port) = match engine {
            Engine::Mysql => ("mysql", 3306),
            Engine::Postgres | Engine::Sqlite => ("postgres", 5432),
        };
        // Both spellings of a scheme are not special ones in the sense of the URL standard, so this can't be refused.
        let _ = url.set_scheme(name);
        Ok(ServerUrl { engine, host, port: url.port().unwrap_or(port), database, url })
    }

    /// As [`ServerUrl::parse`], for a URL of a file: relative paths of TLS files start at `folder`, which is that
    /// file's.
    ///
    /// # Errors
    /// As [`ServerUrl::parse`].
    pub(crate) fn parse_in(text: &str, folder: &Path) -> Result<Self, UrlProblem> {
        let mut parsed = ServerUrl::parse(text)?;
        url_parameters::absolute_files(&mut parsed.url, folder);
        Ok(parsed)
    }

    /// Whether it holds a password.
    pub(crate) fn has_password(&self) -> bool {
        self.url.password().is_some()
    }

    /// The same URL with this password, whatever characters it has.
    pub(crate) fn with_password(&self, password: &str) -> SecretString {
        let mut url = self.url.clone();
        // `Url::set_password` leaves `%` alone, so that a password such as `p%41` would change.
        let encoded = utf8_percent_encode(password, NON_ALPHANUMERIC).to_string();
        url.set_password(Some(&encoded)).expect("a URL with a host can have a password");
        SecretString::from(String::from(url))
    }

    /// The URL of another database of the same server, with the same user and parameters.
    pub(crate) fn with_database(&self, name: &str) -> SecretString {
        let mut url = self.url.clone();
        url.set_path(&utf8_percent_encode(name, NON_ALPHANUMERIC).to_string());
        SecretString::from(String::from(url))
    }

    /// The URL with `***` for its password, as it may be shown.
    pub(crate) fn masked(&self) -> String {
        let mut url = self.url.clone();
        if self.has_password() {
            url.set_password(Some("***")).expect("a URL with a host can have a password");
        }
        String::from(url)
    }

    /// The URL as a driver takes it.
    pub(crate) fn secret(&self) -> SecretString {
        SecretString::from(self.url.as_str().to_owned())
    }
}

fn engine_of(text: &str) -> Result<Engine, UrlProblem> {
    match scheme(text).filter(|s| text[s.len()..].starts_with("://")) {
        Some("postgres" | "postgresql") => Ok(Engine::Postgres),
        Some("mysql" | "mariadb") => Ok(Engine::Mysql),
        Some(other) => {
            let help = match suggestion(other, ["postgres", "postgresql", "mysql", "mariadb", "sqlite"].into_iter()) {
                Some(near) => format!("did you mean {near}?"),
                None => FORM.to_owned(),
            };
            Err(problem(format!("has the unknown scheme `{other}`"), help))
        }
        None => Err(problem("is not a database URL", FORM)),
    }
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(template: &str, pairs: [(&str, &str); 1]) -> String {
        expand(template, &Variables::from(pairs)).ok().unwrap().text
    }

    fn refused(text: &str) -> UrlProblem {
        ServerUrl::parse(text).err().unwrap_or_else(|| panic!("{text} was accepted"))
    }

    #[test]
    fn a_variable_before_the_at_sign_is_encoded_and_elsewhere_it_is_not() {
        let text = expanded("postgres://app:${P}@h/acme", [("P", "p@ss/w#rd%41")]);
        let url = Url::parse(&text).unwrap();
        assert_eq!(decoded(url.password().unwrap()), "p@ss/w#rd%41");
        assert_eq!(expanded("postgres://app@${H}/acme", [("H", "db7:5433")]), "postgres://app@db7:5433/acme");
        assert_eq!(expanded("${URL}", [("URL", "postgres://u:p@h/db")]), "postgres://u:p@h/db");
    }

    #[test]
    fn defaults_escapes_and_plain_dollars() {
        assert_eq!(expanded("postgres://app@${H:db1}/acme", [("X", "")]), "postgres://app@db1/acme");
        assert_eq!(expanded("postgres://u:a$b@h/db", [("X", "")]), "postgres://u:a$b@h/db");
        assert_eq!(expanded("postgres://u:a\\${b}$c@${H}/db", [("H", "h")]), "postgres://u:a${b}$c@h/db");
    }

    #[test]
    fn every_missing_variable_is_named_with_its_place() {
        let template = "postgres://${A}:${B}@h/${A}";
        let problems = expand(template, &Variables::default()).err().unwrap();
        let found: Vec<_> = problems.iter().map(|(p, at)| (p.message.as_str(), &template[at.clone()])).collect();
        let expected =
            [("the environment variable A is not set", "${A}"), ("the environment variable B is not set", "${B}")];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_password_in_the_file_is_told_from_one_in_a_variable() {
        let literal = |t: &str| expand(t, &Variables::from([("P", "x")])).ok().unwrap().literal_password;
        assert!(literal("postgres://u:s3cret@h/db"));
        assert!(!literal("postgres://u:${P}@h/db") && !literal("postgres://u@h/db") && !literal("data/a.db"));
    }

    #[test]
    fn schemes_have_one_spelling_and_ports_their_default() {
        let maria = ServerUrl::parse("mariadb://app@DB7/acme").ok().unwrap();
        assert_eq!((maria.engine, maria.port, maria.host.as_str()), (Engine::Mysql, 3306, "DB7"));
        assert_eq!(maria.secret().expose_secret(), "mysql://app@DB7/acme");
        let socket = ServerUrl::parse("postgresql://app@%2Fvar%2Frun/acme").ok().unwrap();
        assert_eq!((socket.host.as_str(), socket.port), ("/var/run", 5432));
    }

    #[test]
    fn any_password_can_be_put_in() {
        let url = ServerUrl::parse("mysql://app@h/acme").ok().unwrap();
        for password in ["p@ss/w#rd", "p%41", "é ü:?[]", "a b"] {
            let filled = Url::parse(url.with_password(password).expose_secret()).unwrap();
            assert_eq!(decoded(filled.password().unwrap()), password);
        }
    }

    #[test]
    fn a_password_that_breaks_the_url_is_refused_and_never_told() {
        for text in [
            "s3cret/w#rd@h/db",
            "12/s3cret@h/db",
            "s3c?ret@h/db",
            "12?s3cret@h/db",
            "12#s3cret@h/db",
            "p@s3cret/w@h/db",
        ] {
            let problem = refused(&format!("postgres://u:{text}"));
            assert!(problem.help.contains("percent-encoded"), "{text}: {problem:?}");
            assert!(!format!("{problem:?}").contains("s3c"), "{problem:?}");
        }
    }

    #[test]
    fn what_a_driver_would_read_differently_is_refused() {
        for (text, expected) in [
            ("postgres:///acme", "names no host"),
            ("postgres://h", "names no database"),
            ("postgres://h/a/b", "names no single database behind the host"),
            ("postgres://h/a?sslmod=require", "has the unknown parameter `sslmod`"),
            (
                "postgres://h/a?password=s3cret",
                "has the parameter `password`, which would replace a part of the URL itself",
            ),
            ("postgress://h/a", "has the unknown scheme `postgress`"),
            ("acme", "is not a database URL"),
            ("postgres://h/a\nb", "holds the unprintable character U+000A"),
        ] {
            assert_eq!(refused(text).message, expected, "{text}");
        }
    }

    #[test]
    fn sqlite_paths_are_absolute_and_normal() {
        let folder = Path::new("/fleet");
        for (text, expected) in [
            ("sqlite:data/./x/../acme.db", "/fleet/data/acme.db"),
            ("sqlite://data/acme.db", "/fleet/data/acme.db"),
            ("sqlite:///srv/a%20b.db", "/srv/a b.db"),
            ("data/acme.sqlite3", "/fleet/data/acme.sqlite3"),
        ] {
            assert!(is_sqlite(text));
            assert_eq!(sqlite_path(text, folder).unwrap(), Path::new(expected));
        }
        for bad in ["sqlite:a.db?mode=rwc", "sqlite::memory:", "sqlite:", "sqlite:data/"] {
            assert!(sqlite_path(bad, folder).is_err(), "{bad}");
        }
    }
}
