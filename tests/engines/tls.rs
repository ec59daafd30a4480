//! TLS to servers that accept nothing else: the authorities that the client trusts, its own certificate, and that it
//! never falls back.

use std::sync::Arc;

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

#[tokio::test]
async fn postgres() {
    what_is_checked_and_refused(Engine::Postgres).await;
}

#[tokio::test]
async fn mariadb() {
    what_is_checked_and_refused(Engine::Mysql).await;
}
