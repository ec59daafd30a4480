//! TLS to servers that accept nothing else: the authorities that the client trusts, its own certificate, and that it
//! never falls back.

use std::sync::Arc;
use std::time::Duration;

use crate::engine::Transfer;
use crate::model::fault::FaultClass;
use crate::model::tenant::{Address, Engine, Tenant};
use secrecy::SecretString;

use crate::engines::support::fleet::Fleet;
use crate::engines::support::migrations::{Migrations, sql};
use crate::engines::support::tenant;
use crate::engines::support::tls_server::TlsServer;

/// The TLS modes in an engine's own words: none, required, verified authority, verified host name too.
fn modes(engine: Engine) -> [&'static str; 4] {
    match engine {
        Engine::Postgres => ["disable", "require", "verify-ca", "verify-full"],
        _ => ["DISABLED", "REQUIRED", "VERIFY_CA", "VERIFY_IDENTITY"],
    }
}

async fn what_is_checked_and_refused(engine: Engine) {
    let server = TlsServer::start(engine);
    let [none, required, authority, name] = modes(engine);
    let (scheme, ca_key) = if engine == Engine::Postgres { ("postgres", "sslrootcert") } else { ("mysql", "ssl-ca") };
    let at = |user: &str, host: &str, parameters: &str| -> Arc<Tenant> {
        let url = format!("{scheme}://{user}:x@{host}:{}/app?ssl-mode={parameters}", server.port);
        Arc::new(tenant("t", engine, Address::Url(SecretString::from(url)), None))
    };
    let (ca, other) = (server.file("ca.pem"), server.file("other-ca.pem"));
    let shown = format!("&sslcert={}&sslkey={}", server.file("certified.pem"), server.file("certified.key"));
    let fleet = Fleet::of(&Migrations::of([sql("m1", ["SELECT 1"])])).await;

    for (user, host, parameters) in [
        ("plain", "localhost", format!("{name}&{ca_key}={ca}")),
        ("plain", "127.0.0.1", format!("{authority}&{ca_key}={ca}")),
        ("plain", "127.0.0.1", required.to_owned()),
        ("certified", "localhost", format!("{name}&{ca_key}={ca}{shown}")),
    ] {
        let observed = fleet.observe(&at(user, host, &parameters)).await;
        assert_eq!(observed.state.name(), "empty", "{engine} {user}@{host} {parameters}: {:?}", observed.error);
    }
    use FaultClass::{Authentication, Tls};
    for (user, host, parameters, class) in [
        ("plain", "localhost", format!("{name}&{ca_key}={other}"), Tls),
        ("plain", "localhost", format!("{authority}&{ca_key}={other}"), Tls),
        ("plain", "localhost", name.to_owned(), Tls),
        ("plain", "127.0.0.1", format!("{name}&{ca_key}={ca}"), Tls),
        ("plain", "localhost", format!("{name}&{ca_key}={ca}.missing"), Tls),
        ("plain", "localhost", none.to_owned(), Authentication),
        ("certified", "localhost", format!("{name}&{ca_key}={ca}"), Authentication),
    ] {
        let tenant = at(user, host, &parameters);
        let record = fleet.up(&tenant).await;
        let error = record.error.unwrap_or_else(|| panic!("{engine} {user}@{host} {parameters} was let in"));
        assert_eq!(error.class, class, "{engine} {user}@{host} {parameters}: {error}");
        assert!(record.outcome.name() == "unreachable" && !error.class.is_transient());
    }
    // A native migration has its own connection, opened the same way.
    let certified = at("certified", "localhost", &format!("{name}&{ca_key}={ca}{shown}"));
    assert_eq!(fleet.native(true).up(&certified).await.outcome.name(), "migrated", "{engine}");
}

/// The authority is replaced between the driver's connection and the tool's: what the driver let in, the tool refuses.
async fn the_dump_tool_checks_what_the_url_says(engine: Engine) {
    let server = TlsServer::start(engine);
    let [_, _, authority, name] = modes(engine);
    let (scheme, ca_key) = if engine == Engine::Postgres { ("postgres", "sslrootcert") } else { ("mysql", "ssl-ca") };
    let fleet = Fleet::of(&Migrations::of([sql("m1", ["SELECT 1"])])).await;
    let folder = tempfile::tempdir().unwrap();
    let (ca, file) = (folder.path().join("ca.pem"), folder.path().join("dump"));
    for (host, mode) in [("127.0.0.1", authority), ("localhost", name)] {
        let url = format!("{scheme}://plain:x@{host}:{}/app?ssl-mode={mode}&{ca_key}={}", server.port, ca.display());
        let tenant = Arc::new(tenant("t", engine, Address::Url(SecretString::from(url)), None));
        for (with, comes_back) in [("ca.pem", true), ("other-ca.pem", false)] {
            std::fs::copy(server.file("ca.pem"), &ca).unwrap();
            let mut session = fleet.database().connect(&tenant).await.unwrap();
            std::fs::copy(server.file(with), &ca).unwrap();
            let (run, limit, cancel) = ("run", Duration::ZERO, Default::default());
            let made = session.dump(&Transfer { file: &file, run, limit, cancel, trial: None }).await;
            assert_eq!(made.is_ok(), comes_back, "{engine} {mode} {with}: {made:?}");
            let told = made.err().map(|fault| fault.message).unwrap_or_default();
            assert!(comes_back || told.contains("certificate"), "{engine} {mode}: {told}");
            session.close().await;
            std::fs::remove_file(&file).unwrap();
        }
    }
}

#[tokio::test]
async fn the_dump_tool_on_postgres() {
    the_dump_tool_checks_what_the_url_says(Engine::Postgres).await;
}

#[tokio::test]
async fn the_dump_tool_on_mariadb() {
    the_dump_tool_checks_what_the_url_says(Engine::Mysql).await;
}

#[tokio::test]
async fn postgres() {
    what_is_checked_and_refused(Engine::Postgres).await;
}

#[tokio::test]
async fn mariadb() {
    what_is_checked_and_refused(Engine::Mysql).await;
}
