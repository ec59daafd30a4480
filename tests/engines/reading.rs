//! Reading is read-only and cheap: it creates nothing, and takes one query per tenant, or one for many tenants that
//! share a connection.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::model::fault::FaultClass;
use crate::model::tenant::{Address, Engine, Tenant};
use sea_orm::ConnectionTrait;
use secrecy::SecretString;
use sqlx::{Connection as _, Executor as _};

use crate::engines::support::fleet::Fleet;
use crate::engines::support::migrations::{Migrations, sql};
use crate::engines::support::{Home, Site, connect, on_server, server_url, tenant, texts, unique, with};
use crate::policy::Concurrency;
use crate::run::{Pace, observe_schemas};

on_every_site!(looking_at_an_empty_database_makes_nothing);

async fn one() -> Fleet {
    Fleet::of(&Migrations::of([sql("m1", ["CREATE TABLE one (i int)"])])).await
}

async fn looking_at_an_empty_database_makes_nothing(home: &Home) {
    let (fleet, before) = (one().await, home.dump().await);
    assert_eq!(fleet.observe(&home.tenant).await.state.name(), "empty");
    assert_eq!(home.all_tables().await, [""; 0]);
    assert_eq!(home.dump().await, before);
    if home.site == Site::Sqlite {
        let folder = home.file().parent().unwrap().to_path_buf();
        assert_eq!(std::fs::read(home.file()).unwrap(), b"");
        assert_eq!(files(&folder), ["tenant.db"]);
    }
}

fn files(folder: &Path) -> Vec<String> {
    let names = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
    names.collect()
}

#[tokio::test]
async fn looking_makes_no_sqlite_file_even_where_a_run_may() {
    let (fleet, folder) = (one().await, tempfile::tempdir().unwrap());
    let file = folder.path().join("sub/typo.db");
    let missing = tenant("t", Engine::Sqlite, Address::File(file.clone()), None);
    let may_be_made = Arc::new(Tenant { create_missing: true, ..missing.clone() });
    let missing = Arc::new(missing);
    assert_eq!(fleet.observe(&missing).await.error.unwrap().class, FaultClass::UnknownDatabase);
    assert_eq!(fleet.observe(&may_be_made).await.state.name(), "empty");
    assert_eq!(fleet.up(&missing).await.outcome.name(), "unreachable");
    assert_eq!(files(folder.path()), [""; 0]);
    assert_eq!(fleet.up(&may_be_made).await.outcome.name(), "migrated");
    assert_eq!(fleet.observe(&missing).await.state.name(), "at_target");
}

/// The number of transactions that the server has counted for this database, once two readings in a row agree: those of
/// a connection are counted when it has closed.
async fn transactions(home: &Home) -> i64 {
    let count = format!("SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = '{}'", home.name);
    let server = connect(&server_url(Engine::Postgres)).await;
    let mut last = None;
    let settled = loop {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let found: i64 = texts(&server, &count).await[0].parse().unwrap();
        if last == Some(found) {
            break found;
        }
        last = Some(found);
    };
    server.close().await.unwrap();
    settled
}

/// The number of transactions that an operation costs on this database; outside a transaction, each query is one.
async fn cost(home: &Home, what: impl AsyncFnOnce()) -> i64 {
    let before = transactions(home).await;
    what().await;
    transactions(home).await - before
}

#[tokio::test]
async fn a_tenant_at_its_target_costs_one_query_on_postgres() {
    for site in [Site::Postgres, Site::PostgresSchema] {
        with(site, async |home| {
            let fleet = one().await;
            fleet.up(&home.tenant).await;
            let queries = async |n| {
                let mut connection = sqlx::PgConnection::connect(&home.url()).await.unwrap();
                for _ in 0..n {
                    connection.execute("SELECT 1").await.unwrap();
                }
                connection.close().await.unwrap();
            };
            let of_one_query = cost(home, async || queries(1).await).await;
            assert_eq!(cost(home, async || queries(2).await).await, of_one_query + 1, "the measure measures");
            let observed = cost(home, async || assert_eq!(fleet.observe(&home.tenant).await.state.name(), "at_target"));
            assert_eq!(observed.await, of_one_query);
            let run = cost(home, async || assert_eq!(fleet.up(&home.tenant).await.outcome.name(), "up_to_date"));
            assert_eq!(run.await, of_one_query);
        })
        .await;
    }
}

/// Beside the history, before and behind it, and once the version of each server, `check` asks a tenant once for all of its schema.
#[tokio::test]
async fn a_check_reads_the_catalog_of_a_tenant_once() {
    with(Site::Postgres, async |home| {
        let fleet = one().await;
        fleet.up(&home.tenant).await;
        let observed = cost(home, async || assert_eq!(fleet.observe(&home.tenant).await.state.name(), "at_target"));
        let observed = observed.await;
        let (timeouts, lock_wait_limit) = (fleet.timeouts, fleet.retry.lock_wait_limit);
        let (tenants, database) = ([home.tenant.clone()], fleet.database());
        let done = std::sync::atomic::AtomicUsize::new(0);
        let checked = cost(home, async || {
            let pace =
                Pace { concurrency: Concurrency::default(), timeouts, lock_wait_limit, answer: None, done: &done };
            let live = observe_schemas(&tenants, &fleet.set, &database, pace).await;
            assert!(live.of(0).fingerprint.is_some());
        });
        assert_eq!(checked.await, observed + 3);
    })
    .await;
}

/// A user that may read only these databases, and the server's URL with that user.
async fn mariadb_user(databases: impl IntoIterator<Item = &str>) -> (String, url::Url) {
    let user = unique("u")[..30].to_owned();
    on_server(Engine::Mysql, &format!("CREATE USER '{user}'@'%' IDENTIFIED BY 'pw'")).await;
    for database in databases {
        on_server(Engine::Mysql, &format!("GRANT ALL ON `{database}`.* TO '{user}'@'%'")).await;
    }
    let mut url = url::Url::parse(&server_url(Engine::Mysql)).unwrap();
    url.set_username(&user).unwrap();
    url.set_password(Some("pw")).unwrap();
    (user, url)
}

#[tokio::test]
async fn a_tenant_at_its_target_costs_one_query_on_mariadb() {
    with(Site::Mariadb, async |home| {
        let fleet = one().await;
        fleet.up(&home.tenant).await;
        let (user, mut url) = mariadb_user([home.name.as_str()]).await;
        url.set_path(&home.name);
        let tenant = Arc::new(tenant("t", Engine::Mysql, Address::Url(SecretString::from(url.to_string())), None));
        on_server(Engine::Mysql, "SET GLOBAL log_output = 'TABLE', GLOBAL general_log = 1").await;
        assert_eq!(fleet.observe(&tenant).await.state.name(), "at_target");
        assert_eq!(fleet.up(&tenant).await.outcome.name(), "up_to_date");
        on_server(Engine::Mysql, "SET GLOBAL general_log = 0").await;
        let log = "SELECT CONCAT(command_type, ' ', argument) FROM mysql.general_log WHERE user_host LIKE";
        let server = connect(&server_url(Engine::Mysql)).await;
        let mut log = texts(&server, &format!("{log} '%{user}%' AND command_type <> 'Quit'")).await;
        server.close().await.unwrap();
        // The driver's own greeting sets modes and names; it reads nothing.
        log.retain(|line| !line.starts_with("Query SET "));
        let kinds: Vec<&str> = log.iter().map(|line| line.split(' ').next().unwrap()).collect();
        assert_eq!(kinds, ["Connect", "Query"].repeat(2), "{log:#?}");
        on_server(Engine::Mysql, &format!("DROP USER '{user}'@'%'")).await;
    })
    .await;
}

/// The histories of these tenants when read together, by id.
async fn together(fleet: &Fleet, tenants: &[Arc<Tenant>]) -> HashMap<String, Vec<String>> {
    let found = fleet.database().read_together(tenants).await;
    found.into_iter().map(|(id, versions)| (id.to_string(), versions)).collect()
}

/// The histories of thirty tenants: the first 26 have their own version; then one without a table, one without rows, an
/// unreadable one and a missing one.
fn expected() -> HashMap<String, Vec<String>> {
    let mut all: HashMap<_, _> = (0..26).map(|i| (format!("t{i}"), vec!["m0".to_owned(), format!("m{i}_x")])).collect();
    all.insert("t27".to_owned(), Vec::new());
    all
}

fn fill(table: &str, i: usize) -> String {
    let create = format!("CREATE TABLE {table} (version varchar(255) PRIMARY KEY, applied_at bigint NOT NULL)");
    match i {
        0..26 => format!("{create}; INSERT INTO {table} VALUES ('m{i}_x', 1), ('m0', 1)"),
        26 => "SELECT 1".to_owned(),
        _ => create,
    }
}

#[tokio::test]
async fn many_mariadb_databases_are_read_together() {
    let prefix = unique("many");
    let names: Vec<String> = (0..30).map(|i| format!("{prefix}_{i}")).collect();
    for (i, name) in names.iter().enumerate().take(29) {
        on_server(Engine::Mysql, &format!("CREATE DATABASE {name}; USE {name}; {}", fill("seaql_migrations", i))).await;
    }
    let (user, url) = mariadb_user(names.iter().map(String::as_str).filter(|n| !n.ends_with("_28"))).await;
    let address = |name: &str| Address::Url(SecretString::from(url.join(name).unwrap().to_string()));
    let one_of = |(i, name): (usize, &String)| Arc::new(tenant(&format!("t{i}"), Engine::Mysql, address(name), None));
    let tenants: Vec<Arc<Tenant>> = names.iter().enumerate().map(one_of).collect();
    assert_eq!(together(&one().await, &tenants).await, expected());
    let readable = &tenants[..26];
    assert_eq!(together(&one().await, readable).await.len(), 26);
    let journal = |i: usize, and: &str| format!("USE {prefix}_{i}; CREATE TABLE fleet_journal (id int); {and}");
    on_server(Engine::Mysql, &(journal(0, "") + &journal(1, "INSERT INTO fleet_journal VALUES (1);"))).await;
    for tenants in [readable, &tenants[..3]] {
        let found = together(&one().await, tenants).await;
        assert_eq!((found.len(), found.contains_key("t1")), (tenants.len() - 1, false), "its journal is open");
    }
    let drop: String = names.iter().map(|name| format!("DROP DATABASE IF EXISTS {name};")).collect();
    on_server(Engine::Mysql, &format!("{drop} DROP USER '{user}'@'%'")).await;
}

#[tokio::test]
async fn many_postgres_schemas_are_read_together() {
    with(Site::Postgres, async |home| {
        let (db, role) = (home.connect().await, unique("r"));
        db.execute_unprepared(&format!("CREATE ROLE {role} LOGIN PASSWORD 'pw'")).await.unwrap();
        for i in 0..29 {
            let schema = format!("\"S {i}\"");
            db.execute_unprepared(&format!(
                "CREATE SCHEMA {schema}; {}",
                fill(&format!("{schema}.seaql_migrations"), i)
            ))
            .await
            .unwrap();
            if i != 28 {
                let grant = format!("GRANT USAGE ON SCHEMA {schema} TO {role}; GRANT SELECT ON ALL TABLES IN SCHEMA");
                db.execute_unprepared(&format!("{grant} {schema} TO {role}")).await.unwrap();
            }
        }
        let mut url = url::Url::parse(&home.url()).unwrap();
        url.set_username(&role).unwrap();
        url.set_password(Some("pw")).unwrap();
        let one_of = |i| {
            let address = Address::Url(SecretString::from(url.to_string()));
            Arc::new(tenant(&format!("t{i}"), Engine::Postgres, address, Some(&format!("S {i}"))))
        };
        let tenants: Vec<Arc<Tenant>> = (0..30).map(one_of).collect();
        assert_eq!(together(&one().await, &tenants).await, expected());
        assert_eq!(together(&one().await, &tenants[..26]).await.len(), 26);
        // A journal without a row; one with a row; one that can't be read; scripts that this program does not know.
        let made = "CREATE TABLE \"S 0\".fleet_journal (id int); CREATE TABLE \"S 1\".fleet_journal AS SELECT 1 AS id; CREATE TABLE \
                    \"S 2\".fleet_journal (id int); CREATE TABLE \"S 3\".fleet_scripts (version text)";
        let grant = format!("GRANT SELECT ON \"S 0\".fleet_journal, \"S 1\".fleet_journal TO {role}");
        db.execute_unprepared(&format!("{made}; {grant}")).await.unwrap();
        let found = together(&one().await, &tenants[..26]).await;
        let left_out: Vec<String> = (0..26).map(|i| format!("t{i}")).filter(|id| !found.contains_key(id)).collect();
        assert_eq!(left_out, ["t1", "t2", "t3"]);
        db.execute_unprepared(&format!("DROP OWNED BY {role}; DROP ROLE {role}")).await.unwrap();
        db.close().await.unwrap();
    })
    .await;
}

/// A typo in a path used to create a tree of folders, with an empty database at its end.
#[tokio::test]
async fn with_a_missing_file_its_own_folder_is_made_and_none_above_it() {
    let folder = tempfile::tempdir().unwrap();
    let fleet = one().await;
    let of = |path: &str| {
        let tenant = tenant("t", Engine::Sqlite, Address::File(folder.path().join(path)), None);
        Arc::new(Tenant { create_missing: true, ..tenant })
    };
    let error = fleet.observe(&of("no/such/t.db")).await.error.unwrap();
    assert_eq!(error.class, FaultClass::UnknownDatabase);
    assert!(error.message.contains("there is no folder") && error.message.contains("mkdir -p"), "{error:?}");
    assert_eq!(fleet.up(&of("no/such/t.db")).await.outcome.name(), "unreachable");
    assert!(!folder.path().join("no").exists());
    let near = of("data/t.db");
    assert_eq!(fleet.observe(&near).await.state.name(), "empty");
    assert!(!folder.path().join("data").exists(), "reading makes nothing");
    assert_eq!(fleet.up(&near).await.outcome.name(), "migrated");
}
