//! Unreachable servers, each in its own way: the fault class of each, and that none exceeds its time limit.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::model::fault::FaultClass;
use crate::model::tenant::{Address, Engine, Tenant};
use crate::policy::{RetryPolicy, Timeouts};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use url::Url;

use crate::engines::support::fleet::Fleet;
use crate::engines::support::migrations::{Migrations, sql};
use crate::engines::support::{Home, Site, connect, on_server, server_url, tenant, unique, url_of, with};

fn at(engine: Engine, url: &str) -> Arc<Tenant> {
    Arc::new(tenant("t", engine, Address::Url(SecretString::from(url.to_owned())), None))
}

/// The fleet of these tests: one attempt, a connect timeout of one second.
async fn hasty() -> Fleet {
    let timeouts = Timeouts { connect: Duration::from_secs(1), lock: Duration::from_secs(1), ..Timeouts::default() };
    Fleet { timeouts, ..Fleet::of(&Migrations::of([sql("m1", ["CREATE TABLE a (i int)"])])).await }
}

/// The point after which a server falls silent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Until {
    Accepted,
    Greeted,
    LoggedIn,
}

/// A server that answers up to a point and keeps the connection open. Returns its port.
async fn silent(engine: Engine, until: Until) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                if until != Until::Accepted {
                    let _ = greet(&mut stream, engine, until).await;
                }
                let mut rest = Vec::new();
                let _ = stream.read_to_end(&mut rest).await;
            });
        }
    });
    port
}

async fn greet(stream: &mut TcpStream, engine: Engine, until: Until) -> std::io::Result<()> {
    let mut read = [0; 4096];
    if engine == Engine::Postgres {
        let _ = stream.read(&mut read).await?;
        if until == Until::LoggedIn {
            // AuthenticationOk and ReadyForQuery.
            stream.write_all(b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I").await?;
        }
        return Ok(());
    }
    let mut greeting = b"\x0a5.5.5-10.11.0-MariaDB\0\x01\0\0\0abcdefgh\0".to_vec();
    // Capabilities without TLS, utf8mb4, autocommit; 21 bytes of salt.
    greeting.extend(b"\xff\xf7\x2d\x02\0\x0f\0\x15\0\0\0\0\0\0\0\0\0\0ijklmnopqrst\0mysql_native_password\0");
    let mut packet = vec![u8::try_from(greeting.len()).unwrap(), 0, 0, 0];
    packet.append(&mut greeting);
    stream.write_all(&packet).await?;
    let _ = stream.read(&mut read).await?;
    if until == Until::LoggedIn {
        stream.write_all(b"\x07\0\0\x02\0\0\0\x02\0\0\0").await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_server_that_falls_silent_is_given_up_in_time_wherever_it_does() {
    let fleet = hasty().await;
    for engine in [Engine::Postgres, Engine::Mysql] {
        for until in [Until::Accepted, Until::Greeted, Until::LoggedIn] {
            let port = silent(engine, until).await;
            let scheme = if engine == Engine::Postgres { "postgres" } else { "mysql" };
            let mode = if engine == Engine::Postgres { "disable" } else { "disabled" };
            let tenant = at(engine, &format!("{scheme}://u:p@127.0.0.1:{port}/d?ssl-mode={mode}"));
            let begun = Instant::now();
            let observed = fleet.observe(&tenant).await;
            let record = fleet.up(&tenant).await;
            for error in [observed.error.unwrap(), record.error.unwrap()] {
                assert_eq!(error.class, FaultClass::ConnectTimeout, "{engine} {until:?}: {error}");
            }
            assert_eq!(record.outcome.name(), "unreachable");
            // Connecting and the first query have separate limits, for each of the two.
            assert!(begun.elapsed() < Duration::from_secs(8), "{engine} {until:?}: {:?}", begun.elapsed());
        }
    }
}

#[tokio::test]
async fn each_way_not_to_be_let_in_has_its_class() {
    use FaultClass as F;
    let fleet = hasty().await;
    for engine in [Engine::Postgres, Engine::Mysql] {
        let change = |change: &dyn Fn(&mut Url)| {
            let mut url = Url::parse(&server_url(engine)).unwrap();
            change(&mut url);
            url.to_string()
        };
        let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
        let required = if engine == Engine::Postgres { "sslmode=verify-full" } else { "ssl-mode=VERIFY_IDENTITY" };
        let weaker = if engine == Engine::Postgres { "sslmode=require" } else { "ssl-mode=REQUIRED" };
        for (url, class) in [
            (change(&|url| url.set_port(Some(free)).unwrap()), F::ConnectionRefused),
            (change(&|url| url.set_host(Some("no-such-host.invalid")).unwrap()), F::Dns),
            (change(&|url| url.set_password(Some("wrong")).unwrap()), F::Authentication),
            (change(&|url| url.set_username("nobody_at_all").unwrap()), F::Authentication),
            (change(&|url| url.set_path("no_such_database")), F::UnknownDatabase),
            (change(&|url| url.set_query(Some(required))), F::Tls),
            (change(&|url| url.set_query(Some(weaker))), F::Tls),
        ] {
            let begun = Instant::now();
            let tenant = at(engine, &url);
            let record = fleet.up(&tenant).await;
            let error = record.error.unwrap();
            assert_eq!(error.class, class, "{engine}: {error}");
            assert_eq!(fleet.observe(&tenant).await.error.unwrap().class, class, "{engine}");
            assert_eq!(record.outcome.name(), "unreachable", "{engine}: {error}");
            assert!(begun.elapsed() < Duration::from_secs(8), "{engine} {class}: {:?}", begun.elapsed());
        }
    }
}

/// Six tenants of a user with at most two connections.
async fn with_room_for_two(engine: Engine, test: impl AsyncFnOnce(&[Arc<Tenant>])) {
    let (user, password) = (unique("fleet_two"), "two-at-once");
    let user = user[..30].to_owned();
    let databases: Vec<String> = (0..6).map(|_| unique("fleet_test")).collect();
    match engine {
        Engine::Postgres => {
            let role = format!("CREATE ROLE {user} LOGIN PASSWORD '{password}' CONNECTION LIMIT 2");
            on_server(engine, &role).await;
        }
        _ => {
            let made = format!("CREATE USER '{user}'@'%' IDENTIFIED BY '{password}' WITH MAX_USER_CONNECTIONS 2");
            on_server(engine, &made).await;
        }
    }
    let mut tenants = Vec::new();
    for (i, name) in databases.iter().enumerate() {
        match engine {
            Engine::Postgres => on_server(engine, &format!("CREATE DATABASE {name} OWNER {user}")).await,
            _ => {
                on_server(engine, &format!("CREATE DATABASE {name}")).await;
                on_server(engine, &format!("GRANT ALL ON {name}.* TO '{user}'@'%'")).await;
            }
        }
        let mut url = Url::parse(&url_of(engine, name)).unwrap();
        url.set_username(&user).unwrap();
        url.set_password(Some(password)).unwrap();
        let address = Address::Url(SecretString::from(url.to_string()));
        tenants.push(Arc::new(tenant(&format!("t{i}"), engine, address, None)));
    }
    test(&tenants).await;
    for name in &databases {
        let force = if engine == Engine::Postgres { " WITH (FORCE)" } else { "" };
        on_server(engine, &format!("DROP DATABASE {name}{force}")).await;
    }
    on_server(
        engine,
        &format!("DROP USER {}", if engine == Engine::Postgres { user } else { format!("'{user}'@'%'") }),
    )
    .await;
}

#[tokio::test]
async fn a_limit_on_connections_slows_a_run_down_and_fails_nobody() {
    for (engine, sleep) in [(Engine::Postgres, "SELECT pg_sleep(0.4)"), (Engine::Mysql, "DO SLEEP(0.4)")] {
        with_room_for_two(engine, async |tenants: &[Arc<Tenant>]| {
            let migrations = Migrations::of([sql("m1", ["CREATE TABLE a (i int)", sleep])]);
            let mut fleet = Fleet::of(&migrations).await;
            // On a fast machine six sequential readers fit into two connections: both are taken here.
            let Address::Url(url) = &tenants[0].address else { unreachable!("it is on a server") };
            let url = url.expose_secret();
            let taken = [connect(url).await, connect(url).await];
            let observed = fleet.observe_all(tenants).await;
            assert!(
                observed.iter().all(|o| o.error.as_ref().is_some_and(|e| e.class == FaultClass::TooManyConnections)),
                "two connections of two are taken, or this test tests nothing: {observed:?}"
            );
            for connection in taken {
                connection.close().await.unwrap();
            }
            fleet.retry = RetryPolicy { attempts: 1, ..RetryPolicy::default() };
            let records = fleet.run(crate::model::schema::Direction::Up, tenants, crate::run::Cancel::default()).await;
            for record in &records {
                assert_eq!(record.outcome.name(), "migrated", "{record:?}");
            }
            assert!(records.iter().any(|r| r.attempts > 1), "{engine}: some were refused at first");
            let observed = fleet.observe_all(tenants).await;
            assert!(observed.iter().all(|o| o.state.name() == "at_target"), "{engine}: {observed:?}");
        })
        .await;
    }
}

#[tokio::test]
async fn a_user_from_elsewhere_is_not_let_in_and_the_database_stays_as_it_was() {
    with(Site::Mariadb, async |home: &Home| {
        let user = unique("fleet_else")[..30].to_owned();
        on_server(Engine::Mysql, &format!("CREATE USER '{user}'@'192.0.2.1' IDENTIFIED BY 'x'")).await;
        let mut url = Url::parse(&home.url()).unwrap();
        url.set_username(&user).unwrap();
        let record = hasty().await.up(&at(Engine::Mysql, url.as_str())).await;
        on_server(Engine::Mysql, &format!("DROP USER '{user}'@'192.0.2.1'")).await;
        assert_eq!(record.error.unwrap().class, FaultClass::Authentication);
        assert_eq!(home.all_tables().await, [""; 0]);
    })
    .await;
}
