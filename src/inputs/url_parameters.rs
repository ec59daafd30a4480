//! The query parameters of database URLs that the drivers know, and their values.
//!
//! It mirrors the parameters that sqlx reads (`options/parse.rs` of sqlx-postgres and sqlx-mysql 0.9); it sets nothing.

use std::path::Path;

use url::Url;

use super::database_url::{FORM, UrlProblem, normal, problem};
use crate::model::tenant::Engine;
use crate::model::text::suggestion;

/// Query parameters that the drivers know. Others are refused: the PostgreSQL driver logs an unknown one with its
/// value.
const POSTGRES_PARAMETERS: [&str; 12] = [
    "sslmode",
    "ssl-mode",
    "sslrootcert",
    "ssl-root-cert",
    "ssl-ca",
    "sslcert",
    "ssl-cert",
    "sslkey",
    "ssl-key",
    "statement-cache-capacity",
    "application_name",
    "options",
];
const MYSQL_PARAMETERS: [&str; 14] = [
    "sslmode",
    "ssl-mode",
    "sslca",
    "ssl-ca",
    "charset",
    "collation",
    "sslcert",
    "ssl-cert",
    "sslkey",
    "ssl-key",
    "statement-cache-capacity",
    "socket",
    "timezone",
    "time-zone",
];
/// The parameters with few values, which both drivers read in any case of letters.
const TLS_MODE: [&str; 2] = ["sslmode", "ssl-mode"];
/// Without `allow`, which the driver accepts and then never uses TLS, whatever the server requires.
const POSTGRES_TLS_MODES: [&str; 5] = ["disable", "prefer", "require", "verify-ca", "verify-full"];
const MYSQL_TLS_MODES: [&str; 5] = ["disabled", "preferred", "required", "verify_ca", "verify_identity"];
/// The parameters that name files, in all their spellings.
const CA: [&str; 4] = ["sslrootcert", "ssl-root-cert", "ssl-ca", "sslca"];
const CERTIFICATE: [&str; 2] = ["sslcert", "ssl-cert"];
const KEY: [&str; 2] = ["sslkey", "ssl-key"];
/// Parameters that could contradict the URL itself.
const MISPLACED: [&str; 6] = ["host", "hostaddr", "port", "dbname", "user", "password"];

/// Refuses parameters and values that the driver of this engine does not accept.
///
/// # Errors
/// The first of them.
pub(super) fn check(engine: Engine, url: &Url) -> Result<(), UrlProblem> {
    let known: &[&str] = if engine == Engine::Mysql { &MYSQL_PARAMETERS } else { &POSTGRES_PARAMETERS };
    for (key, value) in url.query_pairs() {
        let key = &*key;
        if MISPLACED.contains(&key) {
            let message = format!("has the parameter `{key}`, which would replace a part of the URL itself");
            return Err(problem(message, FORM));
        }
        // The driver silently drops an option without its bracket.
        let known_option = engine == Engine::Postgres && key.starts_with("options[") && key.ends_with(']');
        if !known.contains(&key) && !known_option {
            let help = match suggestion(key, known.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("the parameters are: {}", known.join(", ")),
            };
            return Err(problem(format!("has the unknown parameter `{}`", key.escape_debug()), help));
        }
        check_value(engine, key, &value)?;
    }
    check_tls(engine, url)
}

/// Lets relative paths of TLS files start at a folder. A URL without any is left as it was written.
pub(super) fn absolute_files(url: &mut Url, folder: &Path) {
    let names_file = |key: &str| CA.contains(&key) || CERTIFICATE.contains(&key) || KEY.contains(&key);
    if !url.query_pairs().any(|(key, value)| names_file(&key) && Path::new(&*value).is_relative()) {
        return;
    }
    let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    let mut query = url.query_pairs_mut();
    query.clear();
    for (key, value) in pairs {
        // An absolute path replaces the folder.
        let value = if names_file(&key) { normal(&folder.join(&value)).display().to_string() } else { value };
        query.append_pair(&key, &value);
    }
}

/// Refuses contradictory TLS parameters: the driver would ignore one, or fail at each tenant.
fn check_tls(engine: Engine, url: &Url) -> Result<(), UrlProblem> {
    let given = |names: &[&str]| url.query_pairs().find(|(key, _)| names.contains(&&**key));
    let mode = given(&TLS_MODE).map(|(_, mode)| mode.to_ascii_lowercase());
    let verifying = if engine == Engine::Mysql { "VERIFY_CA or VERIFY_IDENTITY" } else { "verify-ca or verify-full" };
    if let Some((ca, _)) = given(&CA)
        && !mode.as_deref().is_some_and(|mode| mode.starts_with("verify"))
    {
        let help = format!("add sslmode={verifying}: any other mode takes every certificate, whoever signed it");
        return Err(problem(
            format!("names a certificate authority with `{ca}` that nothing is checked against"),
            help,
        ));
    }
    match (given(&CERTIFICATE), given(&KEY)) {
        (Some((certificate, _)), None) => {
            Err(problem(format!("has `{certificate}` without its key"), "add sslkey=FILE, in the form of PEM"))
        }
        (None, Some((key, _))) => {
            Err(problem(format!("has `{key}` without its certificate"), "add sslcert=FILE, in the form of PEM"))
        }
        _ => Ok(()),
    }
}

/// Refuses values that the driver would refuse when connecting. A value that is not close to a known one may be
/// anything, a secret too, and is not repeated.
fn check_value(engine: Engine, key: &str, value: &str) -> Result<(), UrlProblem> {
    if TLS_MODE.contains(&key) {
        let modes: &[&str] = if engine == Engine::Mysql { &MYSQL_TLS_MODES } else { &POSTGRES_TLS_MODES };
        if !modes.contains(&&*value.to_ascii_lowercase()) {
            let all = format!("the values for {engine} are: {}", modes.join(", "));
            return Err(match suggestion(value, modes.iter().copied()) {
                Some(near) => {
                    let message = format!("has the unknown value `{}` for `{key}`", value.escape_debug());
                    problem(message, format!("did you mean `{near}`? {all}"))
                }
                None => problem(format!("has an unknown value for `{key}`"), all),
            });
        }
    }
    if key == "statement-cache-capacity" && value.parse::<usize>().is_err() {
        let help = format!("write {key}=100");
        return Err(problem(format!("has a value for `{key}` that is not a whole number"), help));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::ServerUrl;
    use super::*;

    fn refused(text: &str) -> UrlProblem {
        ServerUrl::parse(text).err().unwrap_or_else(|| panic!("{text} was accepted"))
    }

    /// A regression: they ended as "unreachable", once for each tenant and only on connecting.
    #[test]
    fn values_that_a_driver_refuses_are_refused_with_what_was_meant() {
        for (text, message, help) in [
            (
                "postgres://h/a?sslmode=verfy-full",
                "has the unknown value `verfy-full` for `sslmode`",
                "did you mean `verify-full`? the values for postgres are: disable, prefer, ",
            ),
            (
                "postgres://h/a?sslmode=s3cret-word",
                "has an unknown value for `sslmode`",
                "the values for postgres are: disable, prefer, require, verify-ca, verify-full",
            ),
            (
                "postgres://h/a?sslmode=allow",
                "has an unknown value for `sslmode`",
                "the values for postgres are: disable, prefer, require, verify-ca, verify-full",
            ),
            (
                "postgres://h/a?sslmode=require&sslrootcert=/ca.pem",
                "names a certificate authority with `sslrootcert` that nothing is checked against",
                "add sslmode=verify-ca or verify-full",
            ),
            (
                "mysql://h/a?ssl-ca=/ca.pem",
                "names a certificate authority with `ssl-ca` that nothing is checked against",
                "add sslmode=VERIFY_CA or VERIFY_IDENTITY",
            ),
            ("postgres://h/a?sslcert=/c.pem", "has `sslcert` without its key", "add sslkey=FILE"),
            ("mysql://h/a?ssl-key=/k.pem", "has `ssl-key` without its certificate", "add sslcert=FILE"),
            (
                "mysql://h/a?ssl-mode=on",
                "has an unknown value for `ssl-mode`",
                "the values for mysql are: disabled, preferred, required, verify_ca, verify_identity",
            ),
            (
                "mysql://h/a?charset=utf8mb4&sslmode=require",
                "has the unknown value `require` for `sslmode`",
                "did you mean `required`? ",
            ),
            (
                "mysql://h/a?sslmode=verify-ca",
                "has the unknown value `verify-ca` for `sslmode`",
                "did you mean `verify_ca`? ",
            ),
            (
                "mysql://h/a?statement-cache-capacity=-1",
                "has a value for `statement-cache-capacity` that is not a whole number",
                "write statement-cache-capacity=100",
            ),
        ] {
            let found = refused(text);
            assert_eq!(found.message, message, "{text}");
            assert!(found.help.starts_with(help), "{text}: {found:?}");
        }
        assert_eq!(refused("postgres://h/a?options[x=1").message, "has the unknown parameter `options[x`");
    }

    /// The lists above are what the drivers accept: each value goes through the driver itself.
    #[test]
    fn every_value_that_is_accepted_here_is_one_that_the_driver_accepts() {
        use sqlx::{mysql::MySqlConnectOptions, postgres::PgConnectOptions};

        for mode in POSTGRES_TLS_MODES.into_iter().chain(["VERIFY-FULL"]) {
            let text = format!("postgres://h/a?sslmode={mode}&options[x]=1&statement-cache-capacity=0");
            assert!(ServerUrl::parse(&text).is_ok() && text.parse::<PgConnectOptions>().is_ok(), "{mode}");
        }
        for mode in MYSQL_TLS_MODES.into_iter().chain(["Required"]) {
            let text = format!("mysql://h/a?ssl-mode={mode}&timezone=%2B00:00");
            assert!(ServerUrl::parse(&text).is_ok() && text.parse::<MySqlConnectOptions>().is_ok(), "{mode}");
        }
    }

    #[test]
    fn relative_paths_of_tls_files_start_at_the_folder_of_the_file() {
        let secret = |text: &str| {
            use secrecy::ExposeSecret as _;
            ServerUrl::parse_in(text, Path::new("/etc/fleet")).ok().unwrap().secret().expose_secret().to_owned()
        };
        let url = secret("postgres://u@h/d?sslmode=verify-full&sslrootcert=../ca%20b.pem&options[x]=a%26b");
        let url = Url::parse(&url).unwrap();
        let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
        let expected = [("sslmode", "verify-full"), ("sslrootcert", "/etc/ca b.pem"), ("options[x]", "a&b")];
        assert_eq!(pairs, expected.map(|(key, value)| (key.to_owned(), value.to_owned())));
        for whole in ["mysql://u@h/d?ssl-mode=verify_ca&ssl-ca=/ca.pem", "postgres://u@h/d?sslmode=require"] {
            assert_eq!(secret(whole), whole, "it is left as it was written");
        }
    }
}
