//! Logins that a MySQL or MariaDB refuses, each with the number, the class and the remedy of its own; and the password
//! that a MySQL takes without TLS.

use std::sync::Arc;
use std::time::Duration;

use crate::model::fault::{Fault, FaultClass};
use crate::model::tenant::{Address, Engine, Tenant};
use secrecy::SecretString;
use tokio::net::{TcpListener, TcpSocket};
use url::Url;

use crate::engines::servers::OwnServers;
use crate::engines::support::fleet::Fleet;
use crate::engines::support::migrations::{Migrations, sql};
use crate::engines::support::{Home, Site, connect, on_server, tenant, unique, with};
use sea_orm::ConnectionTrait as _;

fn at(url: &Url) -> Arc<Tenant> {
    Arc::new(tenant("t", Engine::Mysql, Address::Url(SecretString::from(url.to_string())), None))
}

async fn fleet() -> Fleet {
    Fleet::of(&Migrations::of([sql("m1", ["CREATE TABLE a (i int)"])])).await
}

/// The fault of a refused login, which is the same wherever the tenant is opened.
async fn refused(url: &Url) -> Fault {
    let fleet = fleet().await;
    let record = fleet.up(&at(url)).await;
    let error = record.error.unwrap_or_else(|| panic!("{} was let in", url.username()));
    assert_eq!(record.outcome.name(), "unreachable", "{error}");
    assert_eq!(error.class, FaultClass::Authentication, "{error}");
    assert_eq!(fleet.observe(&at(url)).await.error.unwrap(), error);
    error
}

/// An account of a test: how `CREATE USER` makes it, the password that is sent, and what the refusal says.
struct Account {
    made: &'static str,
    sent: &'static str,
    number: u16,
    says: &'static str,
}

async fn is_told(site: Site, accounts: &[Account]) {
    with(site, async |home: &Home| {
        for Account { made, sent, number, says } in accounts {
            let user = unique("fleet_login")[..30].to_owned();
            let _ = on_server(site, &format!("CREATE USER '{user}'@'%' {made}")).await;
            on_server(site, &format!("GRANT ALL ON `{}`.* TO '{user}'@'%'", home.name)).await;
            for mode in ["DISABLED", "REQUIRED"] {
                if site == Site::Mariadb && mode == "REQUIRED" {
                    continue;
                }
                let mut url = Url::parse(&home.url()).unwrap();
                url.set_username(&user).unwrap();
                url.set_password(Some(sent)).unwrap();
                url.set_query(Some(&format!("ssl-mode={mode}")));
                let error = refused(&url).await;
                assert_eq!(error.code, Some(number.to_string()), "{made} {mode}: {error}");
                assert!(error.message.contains(says) && error.message.contains(&user), "{made} {mode}: {error}");
            }
            on_server(site, &format!("DROP USER '{user}'@'%'")).await;
        }
        assert_eq!(home.all_tables().await, [""; 0]);
    })
    .await;
}

const WRONG: Account = Account {
    made: "IDENTIFIED BY 'right'",
    sent: "wrong",
    number: 1045,
    says: "correct the tenant's user or password",
};

#[tokio::test]
async fn each_refusal_is_told_with_its_number_and_remedy_mysql() {
    let expired = "IDENTIFIED BY 'right' PASSWORD EXPIRE";
    is_told(
        Site::Mysql,
        &[
            WRONG,
            Account { made: "IDENTIFIED BY 'right' ACCOUNT LOCK", sent: "right", number: 3118, says: "ACCOUNT UNLOCK" },
        ],
    )
    .await;
    // This text names no user.
    with(Site::Mysql, async |home: &Home| {
        let user = unique("fleet_login")[..30].to_owned();
        on_server(Site::Mysql, &format!("CREATE USER '{user}'@'%' {expired}")).await;
        let mut url = Url::parse(&home.url()).unwrap();
        url.set_username(&user).unwrap();
        url.set_password(Some("right")).unwrap();
        let error = refused(&url).await;
        assert_eq!(error.code.as_deref(), Some("1862"), "{error}");
        assert!(error.message.contains("type ALTER USER USER() IDENTIFIED BY"), "{error}");
        on_server(Site::Mysql, &format!("DROP USER '{user}'@'%'")).await;
    })
    .await;
}

#[tokio::test]
async fn each_refusal_is_told_with_its_number_and_remedy_mariadb() {
    is_told(
        Site::Mariadb,
        &[WRONG, Account { made: "IDENTIFIED VIA unix_socket", sent: "x", number: 1698, says: "unix_socket" }],
    )
    .await;
}

/// A regression: it said that the URL can't be used, of a right password and of a wrong one.
#[tokio::test]
async fn a_password_reaches_mysql_without_tls_too() {
    with(Site::Mysql, async |home: &Home| {
        let user = unique("fleet_sha2")[..30].to_owned();
        let account = format!("'{user}'@'%'");
        on_server(Site::Mysql, &format!("CREATE USER {account} IDENTIFIED WITH caching_sha2_password BY 'p@ss'")).await;
        on_server(Site::Mysql, &format!("GRANT ALL ON `{}`.* TO {account}", home.name)).await;
        let mut url = Url::parse(&home.url()).unwrap();
        url.set_username(&user).unwrap();
        url.set_password(Some("p@ss")).unwrap();
        // The server keeps no digest of a password that was just set, and then one of the first login.
        for (mode, state) in [("DISABLED", "empty"), ("DISABLED", "empty"), ("REQUIRED", "empty")] {
            url.set_query(Some(&format!("ssl-mode={mode}")));
            let observed = fleet().await.observe(&at(&url)).await;
            assert_eq!(observed.state.name(), state, "{mode} {:?}", observed.error);
        }
        url.set_query(Some("ssl-mode=DISABLED"));
        on_server(Site::Mysql, &format!("ALTER USER {account} IDENTIFIED WITH caching_sha2_password BY 'p@ss'")).await;
        assert_eq!(fleet().await.native(true).up(&at(&url)).await.outcome.name(), "migrated");
        on_server(Site::Mysql, &format!("DROP USER {account}")).await;
    })
    .await;
}

/// A relay to a server that comes from another address of this machine; returns its port.
async fn from_another_address(to: u16) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let socket = TcpSocket::new_v4().unwrap();
            socket.bind("127.0.0.5:0".parse().unwrap()).unwrap();
            let mut server = socket.connect(([127, 0, 0, 1], to).into()).await.unwrap();
            tokio::spawn(async move { tokio::io::copy_bidirectional(&mut stream, &mut server).await });
        }
    });
    port
}

/// On a server that has no account for everyone.
mod own_servers {
    use super::*;

    #[tokio::test]
    async fn accounts_that_are_locked_expired_of_other_hosts_or_of_other_plugins() {
        let own = OwnServers::start();
        let url = Url::parse(&own.mysql).unwrap();
        let db = connect(own.mysql.as_str()).await;
        for statement in [
            "CREATE DATABASE app",
            "CREATE USER locked@'127.0.0.1' IDENTIFIED BY 'x' ACCOUNT LOCK",
            "CREATE USER expired@'127.0.0.1' IDENTIFIED BY 'x' PASSWORD EXPIRE",
            "INSTALL SONAME 'auth_ed25519'",
            "CREATE USER other@'127.0.0.1' IDENTIFIED VIA ed25519 USING PASSWORD('x')",
            "GRANT ALL ON app.* TO locked@'127.0.0.1', expired@'127.0.0.1', other@'127.0.0.1'",
        ] {
            db.execute_unprepared(statement).await.unwrap_or_else(|e| panic!("{statement}: {e}"));
        }
        let of = |user: &str| {
            let mut url = url.clone();
            url.set_path("app");
            url.set_username(user).unwrap();
            url.set_password(Some("x")).unwrap();
            url
        };
        for (user, number, says) in [
            ("locked", Some("4151"), "ACCOUNT UNLOCK"),
            ("expired", Some("1820"), "PASSWORD('...')"),
            ("other", None, "client_ed25519; give the account a password that fleet can send"),
        ] {
            let error = refused(&of(user)).await;
            assert_eq!(error.code.as_deref(), number, "{user}: {error}");
            assert!(error.message.contains(says), "{user}: {error}");
        }
        db.execute_unprepared("SET GLOBAL disconnect_on_expired_password = ON").await.unwrap();
        let error = refused(&of("expired")).await;
        assert_eq!(error.code.as_deref(), Some("1862"), "{error}");
        assert!(error.message.contains("PASSWORD('...')"), "{error}");
        db.close().await.unwrap();
        let mut elsewhere = of("root");
        elsewhere.set_port(Some(from_another_address(url.port().unwrap()).await)).unwrap();
        let error = tokio::time::timeout(Duration::from_secs(10), refused(&elsewhere)).await.unwrap();
        assert_eq!(error.code.as_deref(), Some("1130"), "{error}");
        assert!(error.message.contains("CREATE USER name@'this host'"), "{error}");
    }
}
