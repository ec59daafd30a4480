//! Scratch databases are dropped in every case, and entities that do not match the migrations are detected on each
//! engine.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use crate::check::prove::{Bench, entities};
use crate::compile::{Entities, MigrationSet};
use crate::engine::ScratchPlace;
use crate::model::tenant::{Engine, Tenant};
use crate::policy::Timeouts;
use futures_util::FutureExt as _;
use sea_orm::{ConnectOptions, Database, Schema};
use secrecy::SecretString;

use crate::engines::support::fleet::Fleet;
use crate::engines::support::migrations::{Migrations, sql};
use crate::engines::support::{Site, on_server, server_url, texts, url_of};

/// A temporary folder, and the servers.
pub(crate) fn places() -> Vec<ScratchPlace> {
    [ScratchPlace::temporary()].into_iter().chain(servers().into_iter().map(on)).collect()
}

fn servers() -> Vec<Site> {
    [Site::Postgres].into_iter().chain(Site::mysqls()).collect()
}

pub(crate) fn on(site: Site) -> ScratchPlace {
    ScratchPlace::Server(site.engine(), SecretString::from(server_url(site)))
}

pub(crate) async fn bench(place: ScratchPlace, migrations: &Migrations) -> Bench {
    Bench {
        online: false,
        done: Arc::default(),
        variant: place.engine().into(),
        place,
        set: Arc::new(MigrationSet::new(migrations).await.unwrap()),
        timeouts: Timeouts::default(),
        stop: Arc::new(|| Box::pin(std::future::pending())),
        tell: Arc::new(|_| {}),
    }
}

async fn databases(site: Site) -> Vec<String> {
    let db = crate::engines::support::connect(&server_url(site)).await;
    let sql = match site.engine() {
        Engine::Postgres => "SELECT datname::text FROM pg_database",
        _ => "SELECT CAST(schema_name AS CHAR) FROM information_schema.schemata",
    };
    let names = texts(&db, sql).await;
    db.close().await.unwrap();
    names
}

#[tokio::test]
async fn a_scratch_database_is_dropped_after_success_a_stop_and_a_panic() {
    for site in servers() {
        let place = on(site);
        let name = std::sync::Mutex::new(String::new());
        let used = async |tenant: Arc<Tenant>| {
            let made = databases(site).await;
            assert!(made.contains(&tenant.id.to_string()), "{site:?}: {} in {made:?}", tenant.id);
            *name.lock().unwrap() = tenant.id.to_string();
        };
        let gone = async || !databases(site).await.contains(&name.lock().unwrap().clone());
        place.with(std::future::pending(), &|_| {}, used).await.unwrap().unwrap();
        assert!(gone().await, "{site:?}: after success");

        let (sender, receiver) = tokio::sync::oneshot::channel::<()>();
        let hangs = async |tenant: Arc<Tenant>| {
            used(tenant.clone()).await;
            sender.send(()).unwrap();
            // A session that is still working when it is stopped must not keep its database.
            let set = Arc::new(MigrationSet::new(&Migrations::of([])).await.unwrap());
            let servers = crate::engine::Servers::new(set, Timeouts::default());
            let _session = crate::engine::Database::connect(&servers, &tenant).await.unwrap();
            std::future::pending::<()>().await
        };
        let stop = async {
            receiver.await.unwrap();
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        };
        assert_eq!(place.with(stop, &|_| {}, hangs).await.unwrap(), None);
        assert!(gone().await, "{site:?}: after a stop");

        let panics = async |tenant: Arc<Tenant>| {
            used(tenant).await;
            panic!("planted")
        };
        let never = std::future::pending();
        let panic = AssertUnwindSafe(place.with::<()>(never, &|_| {}, panics)).catch_unwind().await;
        assert!(panic.is_err() && gone().await, "{site:?}: after a panic");
    }
}

#[tokio::test]
async fn a_statement_that_is_still_running_does_not_keep_its_database() {
    for site in servers() {
        let place = on(site);
        let sleep = match site.engine() {
            Engine::Postgres => "INSERT INTO t SELECT 1 FROM pg_sleep(60)",
            // SLEEP would notice that its client has gone.
            _ => "INSERT INTO t SELECT BENCHMARK(300000000, SHA2('x', 512))",
        };
        let fleet = Fleet::of(&Migrations::of([sql("m1", ["CREATE TABLE t (i int)", sleep])])).await;
        let name = std::sync::Mutex::new(String::new());
        let works = async |tenant: Arc<Tenant>| {
            *name.lock().unwrap() = tenant.id.to_string();
            let mut session = fleet.database().connect(&tenant).await.unwrap();
            assert!(session.history().await.unwrap().is_empty());
            session.apply(&fleet.work(&tenant, &[]).await).await.unwrap();
        };
        let begun = std::time::Instant::now();
        let stop = tokio::time::sleep(std::time::Duration::from_secs(2));
        // Another test may have left one behind.
        let tell = |text: String| assert!(text.contains("was left behind"), "{text}");
        assert_eq!(place.with(stop, &tell, works).await.unwrap(), None);
        assert!(begun.elapsed() < std::time::Duration::from_secs(20), "{site:?}: {:?}", begun.elapsed());
        assert!(!databases(site).await.contains(&name.lock().unwrap().clone()), "{site:?}");
    }
}

#[tokio::test]
async fn what_was_left_behind_is_removed_and_nothing_else() {
    for site in servers() {
        let place = on(site);
        let number = hex();
        let old = format!("fleet_scratch_10_{number}");
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        let new = format!("fleet_scratch_{now:x}_{number}");
        let other = format!("fleet_scratch_x_{number}");
        let used = format!("fleet_scratch_11_{number}");
        for name in [&old, &new, &other] {
            on_server(site, &format!("CREATE DATABASE {name}")).await;
        }
        // Until somebody is connected, another sweep may take it: .config/nextest.toml runs this test by itself.
        on_server(site, &format!("CREATE DATABASE {used}")).await;
        let one = ConnectOptions::new(url_of(site, &used)).max_connections(1).min_connections(1).to_owned();
        let user = Database::connect(one).await.unwrap();
        place.with(std::future::pending(), &|_| {}, async |_| ()).await.unwrap();
        let left = databases(site).await;
        assert!(!left.contains(&old), "{site:?}: {left:?}");
        assert!([&new, &other, &used].iter().all(|name| left.contains(name)), "{site:?}: {left:?}");
        user.close().await.unwrap();
        for name in [&new, &other, &used] {
            on_server(site, &format!("DROP DATABASE IF EXISTS {name}")).await;
        }
    }
}

fn hex() -> String {
    uuid::Uuid::now_v7().simple().to_string()[24..].to_owned()
}

/// Entities of a test, one module each, since SeaORM's macros generate items with fixed names.
#[expect(unreachable_pub, reason = "SeaORM's macros want a public model")]
mod good {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "people")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        pub name: String,
        pub age: Option<i32>,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

#[expect(unreachable_pub, reason = "SeaORM's macros want a public model")]
mod extra {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "nowhere")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: i32,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// A table `people` with these columns behind the key, and more tables.
fn migrations(place: &ScratchPlace, columns: &str, more: &[&'static str]) -> Migrations {
    let key = match place.engine() {
        Engine::Sqlite => "id integer PRIMARY KEY AUTOINCREMENT",
        Engine::Postgres => "id bigserial PRIMARY KEY",
        Engine::Mysql => "id bigint AUTO_INCREMENT PRIMARY KEY",
    };
    let mut all = vec![format!("CREATE TABLE people ({key}, {columns})")];
    all.extend(more.iter().map(|sql| sql.to_string()));
    Migrations::of([sql("m1", all)])
}

#[tokio::test]
async fn entities_that_do_not_fit_are_found_on_each_engine() {
    for place in places() {
        let engine = place.engine();
        let found = async |columns: &str, more: &[&'static str], of: &Entities| -> Vec<String> {
            let bench = bench(place.clone(), &migrations(&place, columns, more)).await;
            let found = entities(&bench, of).await.unwrap();
            let column = |c: Option<String>| c.map(|c| format!(".{c}")).unwrap_or_default();
            let line = |f: crate::check::prove::Finding| {
                assert_eq!(f.engine, engine);
                format!("{}{}: {} / {}", f.table, column(f.column), f.migrations, f.entities)
            };
            found.into_iter().map(line).collect()
        };
        let one = Entities::from(|schema: Schema| schema.builder().register(good::Entity));
        let both = Entities::from(|schema: Schema| schema.builder().register(good::Entity).register(extra::Entity));
        let fits = "name varchar(64) NOT NULL, age integer";
        assert_eq!(found(fits, &[], &one).await, [""; 0], "{engine}");
        assert_eq!(found(fits, &[], &both).await, ["nowhere: no table / an entity"], "{engine}");
        assert_eq!(
            found(fits, &["CREATE TABLE lonely (i integer)"], &one).await,
            ["lonely: a table / no entity"],
            "{engine}"
        );
        assert_eq!(found("name varchar(9), age integer", &[], &one).await, ["people.name: takes NULL / not NULL"]);
        assert_eq!(found("name varchar(9) NOT NULL, old integer", &[], &one).await.len(), 2, "{engine}");
        let typed = found("name varchar(9) NOT NULL, age date", &[], &one).await;
        assert!(typed.len() == 1 && typed[0].starts_with("people.age: date / int"), "{engine}: {typed:?}");
    }
}

#[tokio::test]
async fn migrations_that_fail_are_no_agreement() {
    for place in places() {
        let bench = bench(place, &Migrations::of([sql("m1", ["CREATE TABEL x"])])).await;
        let of = Entities::from(|schema: Schema| schema.builder().register(good::Entity));
        let told = entities(&bench, &of).await.unwrap_err();
        assert!(told.contains("the migrations could not be applied"), "{told}");
    }
}
