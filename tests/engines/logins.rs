//! Logins that a MySQL or MariaDB refuses, each with the number, the class and the remedy of its own; and the password
//! that a MySQL takes without TLS.

use std::sync::Arc;
use std::time::Duration;

use crate::model::fault::{Fault, FaultClass};
use crate::model::tenant::{Address, Engine, Tenant};
use secrecy::SecretString;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
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
async fn each_refusal_is_told_with_its_number_and_remedy_on_mariadb() {
    is_told(
        Site::Mariadb,
        &[WRONG, Account { made: "IDENTIFIED VIA unix_socket", sent: "x", number: 1698, says: "unix_socket" }],
    )
    .await;
}

mod mysql {
    use super::*;

    #[tokio::test]
    async fn each_refusal_is_told_with_its_number_and_remedy() {
        let expired = "IDENTIFIED BY 'right' PASSWORD EXPIRE";
        is_told(
            Site::Mysql,
            &[
                WRONG,
                Account {
                    made: "IDENTIFIED BY 'right' ACCOUNT LOCK",
                    sent: "right",
                    number: 3118,
                    says: "ACCOUNT UNLOCK",
                },
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

    /// A regression: it said that the URL can't be used, of a right password and of a wrong one.
    #[tokio::test]
    async fn a_password_reaches_it_without_tls_too() {
        with(Site::Mysql, async |home: &Home| {
            let user = unique("fleet_sha2")[..30].to_owned();
            let account = format!("'{user}'@'%'");
            on_server(Site::Mysql, &format!("CREATE USER {account} IDENTIFIED WITH caching_sha2_password BY 'p@ss'"))
                .await;
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
            on_server(Site::Mysql, &format!("ALTER USER {account} IDENTIFIED WITH caching_sha2_password BY 'p@ss'"))
                .await;
            assert_eq!(fleet().await.native(true).up(&at(&url)).await.outcome.name(), "migrated");
            on_server(Site::Mysql, &format!("DROP USER {account}")).await;
        })
        .await;
    }
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

/// A relay to a server that answers each `GET_LOCK` as Percona XtraDB Cluster does in its strict mode; returns its port.
async fn that_refuses_get_lock(to: u16) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = tokio::net::TcpStream::connect(("127.0.0.1", to)).await.unwrap();
            let ((mut from_client, to_client), (mut from_server, mut to_server)) =
                (client.into_split(), server.into_split());
            let to_client = Arc::new(tokio::sync::Mutex::new(to_client));
            let answers = to_client.clone();
            tokio::spawn(async move {
                let mut buffer = vec![0; 65_536];
                while let Ok(count @ 1..) = from_server.read(&mut buffer).await {
                    if answers.lock().await.write_all(&buffer[..count]).await.is_err() {
                        break;
                    }
                }
            });
            tokio::spawn(async move {
                let mut head = [0; 4];
                while from_client.read_exact(&mut head).await.is_ok() {
                    let mut packet =
                        vec![0; usize::from(head[0]) | usize::from(head[1]) << 8 | usize::from(head[2]) << 16];
                    from_client.read_exact(&mut packet).await.unwrap();
                    if packet.windows(9).any(|word| word == b"GET_LOCK(") {
                        // The settings before it have a result of their own, and more follows.
                        let text = b"\xff\x51\x04#HY000Percona-XtraDB-Cluster prohibits use of GET_LOCK";
                        let answer = |number: u8, text: &[u8]| {
                            [&[u8::try_from(text.len()).unwrap(), 0, 0, head[3] + number][..], text].concat()
                        };
                        let refusal = [answer(1, &[0, 0, 0, 0x0a, 0, 0, 0]), answer(2, text)].concat();
                        to_client.lock().await.write_all(&refusal).await.unwrap();
                    } else if to_server.write_all(&[&head[..], &packet].concat()).await.is_err() {
                        break;
                    }
                }
            });
        }
    });
    port
}

/// A cluster that forbids the lock by which runs are kept apart: told at the first try, and nothing is touched.
#[tokio::test]
async fn a_server_that_refuses_get_lock_is_told_with_its_remedy_and_tried_once() {
    with(Site::Mariadb, async |home: &Home| {
        let mut url = Url::parse(&home.url()).unwrap();
        url.set_port(Some(that_refuses_get_lock(url.port().unwrap()).await)).unwrap();
        url.set_query(Some("ssl-mode=DISABLED"));
        for native in [false, true] {
            let mut fleet = fleet().await.native(native);
            fleet.retry.attempts = 5;
            let record = fleet.up(&at(&url)).await;
            assert_eq!((record.outcome.name(), record.attempts), ("failed", 1), "{record:?}");
            let error = record.error.unwrap();
            assert_eq!(error.code.as_deref(), Some("1105"), "{error}");
            for said in
                ["prohibits use of GET_LOCK", "nothing was changed", "pxc_strict_mode = PERMISSIVE", "single_writer"]
            {
                assert!(error.message.contains(said), "{said}: {error}");
            }
            assert_eq!(home.all_tables().await, [""; 0]);
        }
    })
    .await;
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
