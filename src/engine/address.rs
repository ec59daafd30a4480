//! A tenant's address: connection options for the drivers, and a display form without credentials.
//!
//! Opens nothing. A displayed address never holds a password.

use std::str::FromStr;

use secrecy::ExposeSecret;
use sqlx::ConnectOptions;
use sqlx::mysql::MySqlConnectOptions;
use sqlx::postgres::PgConnectOptions;
use url::Url;

use crate::model::fault::{Fault, FaultClass};
use crate::model::tenant::{Address, Tenant};

/// The location of a tenant for display: scheme, host, port, database and schema, or the file. Never the user or the
/// password.
pub(crate) fn location(tenant: &Tenant) -> String {
    match &tenant.address {
        Address::File(path) => path.display().to_string(),
        Address::Unusable(_) => "unusable address".to_owned(),
        Address::Url(url) => match Url::parse(url.expose_secret()) {
            Ok(url) => {
                let port = url.port().map(|p| format!(":{p}")).unwrap_or_default();
                let schema = tenant.schema.as_ref().map(|s| format!(" schema {s}")).unwrap_or_default();
                format!("{}://{}{port}{}{schema}", url.scheme(), url.host_str().unwrap_or(""), url.path())
            }
            Err(_) => format!("{}://***", tenant.engine),
        },
    }
}

/// The server and database that a tenant's migrations go to: equal for tenants that share them. For a file, both are
/// the file. For comparison only; never displayed.
pub(crate) fn place(tenant: &Tenant) -> (String, String) {
    if let Address::File(path) = tenant.address_for_migrations() {
        return (path.display().to_string(), path.display().to_string());
    }
    let Some(url) = parsed(tenant) else { return (tenant.id.to_string(), tenant.id.to_string()) };
    let server = format!("{}://{}:{}", tenant.engine, url.host_str().unwrap_or(""), url.port().unwrap_or(0));
    let database = format!("{server}{}", url.path());
    (server, database)
}

/// The schema that a PostgreSQL tenant's migrations run in, as far as the tenant file says it. A search path of the role or of
/// the database is not known.
pub(crate) fn home(url: &Url, schema: Option<&str>) -> String {
    if let Some(schema) = schema {
        return schema.to_owned();
    }
    let in_options = |value: &str| Some(value.split_once("search_path=")?.1.split_whitespace().next()?.to_owned());
    let path = url.query_pairs().find_map(|(key, value)| match key.as_ref() {
        "options[search_path]" => Some(value.into_owned()),
        "options" => in_options(&value),
        _ => None,
    });
    let first = path.as_deref().and_then(|path| path.split(',').next());
    first.map_or("public", |name| name.trim().trim_matches('"')).to_owned()
}

/// As [`home`], of a tenant.
pub(super) fn home_of(tenant: &Tenant) -> String {
    parsed(tenant).map_or_else(|| tenant.schema.clone().unwrap_or_default(), |url| home(&url, tenant.schema.as_deref()))
}

/// Whether the migrations of two tenants go to the same file, database or schema, as far as the addresses say it.
pub(crate) fn is_same_place(one: &Tenant, other: &Tenant) -> bool {
    place(one) == place(other) && home_of(one) == home_of(other)
}

/// The URL of a tenant's migrations, with its password.
pub(super) fn url(tenant: &Tenant) -> Result<&str, Fault> {
    match tenant.address_for_migrations() {
        Address::Url(url) => Ok(url.expose_secret()),
        Address::Unusable(reason) => Err(Fault::new(FaultClass::BadAddress, reason.clone())),
        Address::File(_) => Err(Fault::new(FaultClass::BadAddress, "a file is no server address")),
    }
}

/// The URL of a tenant's migrations, where it has one.
fn parsed(tenant: &Tenant) -> Option<Url> {
    Url::parse(url(tenant).ok()?).ok()
}

/// The URL without its database: equal for the databases of one user on one server.
pub(crate) fn server(tenant: &Tenant) -> Option<String> {
    let mut url = parsed(tenant)?;
    url.set_path("");
    Some(url.to_string())
}

fn decoded(text: &str) -> Option<String> {
    Some(percent_encoding::percent_decode_str(text).decode_utf8().ok()?.into_owned())
}

/// The database that a tenant's URL names.
pub(crate) fn database(tenant: &Tenant) -> Option<String> {
    decoded(parsed(tenant)?.path().trim_start_matches('/')).filter(|name| !name.is_empty())
}

/// The decoded password of a tenant's URL, if the URL has one.
pub(crate) fn password(tenant: &Tenant) -> Option<String> {
    decoded(parsed(tenant)?.password()?)
}

/// The password in an address, decoded and as it is in the URL.
pub(crate) fn secrets(address: &Address) -> Vec<String> {
    let Address::Url(url) = address else { return Vec::new() };
    let Ok(url) = Url::parse(url.expose_secret()) else { return Vec::new() };
    url.password().into_iter().flat_map(|password| [Some(password.to_owned()), decoded(password)]).flatten().collect()
}

/// The value of a parameter of a tenant's URL, by any of its spellings; the last one counts, as it does for the
/// drivers.
pub(crate) fn parameter(tenant: &Tenant, names: &[&str]) -> Option<String> {
    let url = parsed(tenant)?;
    url.query_pairs().filter(|(key, _)| names.contains(&&**key)).last().map(|(_, value)| value.into_owned())
}

fn unusable(_: sqlx::Error) -> Fault {
    Fault::new(FaultClass::BadAddress, "the URL can't be used by the driver; check its host, port and options")
}

/// The parameters of a URL that name files for TLS.
const TLS_FILES: [&str; 8] =
    ["sslrootcert", "ssl-root-cert", "ssl-ca", "sslca", "sslcert", "ssl-cert", "sslkey", "ssl-key"];

/// Checks that the TLS files can be read: the driver's own error looks like an unreachable server.
fn check_tls_files(tenant: &Tenant) -> Result<(), Fault> {
    let Some(url) = parsed(tenant) else { return Ok(()) };
    for (key, path) in url.query_pairs().filter(|(key, _)| TLS_FILES.contains(&&**key)) {
        if let Err(error) = std::fs::File::open(&*path) {
            let text = format!("the file {path} that `{key}` names can't be read: {error}");
            return Err(Fault::new(FaultClass::Tls, text));
        }
    }
    Ok(())
}

/// Options whose driver tells the log each text that it sends, where the log wants that, and nothing otherwise.
pub(crate) fn logged<O: ConnectOptions>(options: O) -> O {
    match tracing::enabled!(target: "sqlx::query", tracing::Level::DEBUG) {
        true => options,
        false => options.disable_statement_logging(),
    }
}

/// Options for a PostgreSQL connection that sets our application name.
pub(crate) fn postgres(tenant: &Tenant) -> Result<PgConnectOptions, Fault> {
    let name: String = format!("fleet:{}", tenant.id).chars().filter(|c| c.is_ascii_graphic()).take(63).collect();
    check_tls_files(tenant)?;
    let options = PgConnectOptions::from_str(url(tenant)?).map_err(unusable)?;
    // A pooler refuses startup parameters that it does not know; this one is not needed.
    Ok(logged(options.application_name(&name).extra_float_digits(None).statement_cache_capacity(1_000)))
}

/// Options for a MySQL or MariaDB connection that leaves the `sql_mode` and the time zone as the server
/// gives them to its own clients, unless the URL names a time zone.
pub(crate) fn mysql(tenant: &Tenant) -> Result<MySqlConnectOptions, Fault> {
    check_tls_files(tenant)?;
    let mut options = MySqlConnectOptions::from_str(url(tenant)?).map_err(unusable)?;
    if !has_time_zone(tenant) {
        options = options.timezone(None);
    }
    let options = options.pipes_as_concat(false).no_engine_substitution(false);
    Ok(logged(options.statement_cache_capacity(1_000)))
}

/// Whether the URL of a MySQL or MariaDB tenant names a time zone for its sessions.
pub(crate) fn has_time_zone(tenant: &Tenant) -> bool {
    parameter(tenant, &["timezone", "time-zone"]).is_some()
}

/// Whether a connection failed because its host name does not resolve: the driver's error does not say so.
pub(crate) async fn resolves(tenant: &Tenant, limit: std::time::Duration) -> bool {
    let Some(url) = parsed(tenant) else { return true };
    let Some(host) = url.host_str() else { return true };
    if host.starts_with('%') || host.starts_with('[') {
        return true;
    }
    let look_up = tokio::net::lookup_host((host, url.port().unwrap_or(1)));
    tokio::time::timeout(limit, look_up).await.is_ok_and(|found| found.is_ok())
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;

    use super::*;
    use crate::model::tenant::Engine;

    #[test]
    fn a_location_shows_neither_user_nor_password() {
        let address = "postgres://app:s3cret@db7:5433/main?sslpassword=s3cret".to_owned();
        let mut tenant = Tenant {
            schema: Some("acme".into()),
            ..Tenant::apart("a", Engine::Postgres, Address::Url(SecretString::from(address)))
        };
        assert_eq!(location(&tenant), "postgres://db7:5433/main schema acme");
        tenant.address = Address::Url(SecretString::from("postgres://app:s3cret@@[bad/".to_owned()));
        assert!(!location(&tenant).contains("s3cret"));
    }
}
