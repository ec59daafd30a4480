//! PostgreSQL tenants that are schemas of one database: a run keeps their sessions, and no tenant sees anything of another.

use std::num::NonZeroUsize;
use std::sync::Arc;

use crate::model::schema::Direction;
use crate::model::tenant::Tenant;
use crate::run::Cancel;

use crate::engines::support::fleet::Fleet;
use crate::engines::support::migrations::Migrations;
use crate::engines::support::{Home, Site, with};

/// All that a session can hold, and its process, as the first script of a tenant sees them.
const SEEN: &str = "CREATE TABLE pid AS SELECT pg_backend_pid()::text AS pid; \
    CREATE TABLE seen AS SELECT name || ' ' || setting AS what FROM pg_settings WHERE name NOT IN ('application_name', 'search_path') \
    UNION ALL SELECT 'role ' || current_user || session_user \
    UNION ALL SELECT 'temporary ' || count(*) FROM pg_class WHERE relnamespace = pg_my_temp_schema() AND relkind = 'r' \
    UNION ALL SELECT 'cursors ' || count(*) FROM pg_cursors WHERE name <> '' \
    UNION ALL SELECT 'listens ' || count(*) FROM pg_listening_channels() \
    UNION ALL SELECT 'prepared ' || count(*) FROM pg_prepared_statements \
    UNION ALL SELECT 'locks ' || count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid() \
    UNION ALL SELECT 'own ' || coalesce(current_setting('my.own', true), 'unknown');";

/// What a script leaves, and whether the next tenant gets the session.
const LEAVE: [(&str, bool); 15] = [
    ("CREATE TABLE t (i int);", true),
    (
        "CREATE TABLE t (i serial, u uuid DEFAULT gen_random_uuid()); INSERT INTO t DEFAULT VALUES; CREATE INDEX x ON t (i);",
        true,
    ),
    (
        "CREATE UNLOGGED TABLE t (i int); UPDATE t SET i = 1; DELETE FROM t; ALTER TABLE t ADD COLUMN j int; DROP TABLE t;",
        true,
    ),
    ("SET session_replication_role = replica; SET row_security = off; SET statement_timeout = '7min';", false),
    ("SET client_encoding = 'LATIN1'; SET TimeZone = 'Asia/Tokyo'; SET DateStyle = 'German';", false),
    ("SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE;", false),
    ("CREATE TEMP TABLE stage (i int); INSERT INTO stage VALUES (1);", false),
    ("CREATE SEQUENCE s; SELECT nextval('s'); LISTEN news; PREPARE p AS SELECT 1;", false),
    ("DECLARE c CURSOR WITH HOLD FOR SELECT 1;", false),
    ("SET ROLE pg_monitor;", false),
    ("SET my.own = 'x';", false),
    ("CREATE TABLE t AS SELECT set_config('my.own', 'x', false);", false),
    ("SELECT pg_advisory_lock(7);", false),
    ("DO $$ BEGIN EXECUTE 'SET ' || 'my.own = 1'; END $$;", false),
    ("DO $$ BEGIN NULL; END $$; RESET ALL;", false),
];

fn tenant(home: &Home, schema: &str) -> Arc<Tenant> {
    let tenant = Tenant::clone(&home.tenant);
    Arc::new(Tenant {
        id: format!("{}-{schema}", tenant.id).as_str().into(),
        schema: Some(schema.to_owned()),
        create_missing: true,
        ..tenant
    })
}

async fn one_by_one(files: &[(&str, &str)]) -> Fleet {
    Fleet { at_once: NonZeroUsize::MIN, ..Fleet::with_scripts(&Migrations::of([]), files).await }
}

async fn all_migrated(fleet: &Fleet, tenants: &[Arc<Tenant>]) {
    for record in fleet.run(Direction::Up, tenants, Cancel::default()).await {
        assert_eq!(record.outcome.name(), "migrated", "{record:?}");
    }
}

#[tokio::test]
async fn a_tenant_sees_nothing_of_the_one_before_it_in_its_session() {
    for (leave, is_kept) in LEAVE {
        with(Site::Postgres, async |home: &Home| {
            let fleet = one_by_one(&[("0001_a.sql", SEEN), ("0002_b.sql", leave)]).await;
            all_migrated(&fleet, &[tenant(home, "t1"), tenant(home, "t2")]).await;
            let processes = home.texts("SELECT pid FROM t1.pid UNION SELECT pid FROM t2.pid").await;
            assert_eq!(processes.len() == 1, is_kept, "{leave}");
            let new = home.texts("SELECT what FROM t2.seen EXCEPT SELECT what FROM t1.seen").await;
            assert_eq!(new, [""; 0], "{leave}");
            let gone = home.texts("SELECT what FROM t1.seen EXCEPT SELECT what FROM t2.seen").await;
            assert_eq!(gone, [""; 0], "{leave}");
        })
        .await;
    }
}

/// A function of a shared schema keeps the types that it was compiled with.
const SHARED: &str = "SET check_function_bodies = off; CREATE SCHEMA ext; CREATE FUNCTION ext.kept(t text) RETURNS boolean LANGUAGE plpgsql AS $$ DECLARE k kind; BEGIN \
    k := t; RETURN true; END $$; CREATE DOMAIN ext.kind_text AS text CHECK (ext.kept(value));";

#[tokio::test]
async fn no_session_is_kept_where_the_database_has_functions() {
    with(Site::Postgres, async |home: &Home| {
        let (a, b) = (tenant(home, "t1"), tenant(home, "t2"));
        let files = [("0001_a.sql", "CREATE TABLE t (i int);"), ("0002_b.sql", "ALTER TABLE t ADD COLUMN d ext.kind_text, ADD COLUMN v text; UPDATE t SET v = 'w'; UPDATE t SET v = 'y' WHERE i = 2;")];
        all_migrated(&one_by_one(&files[..1]).await, &[a.clone(), b.clone()]).await;
        home.run(SHARED).await;
        home.run("CREATE TYPE t1.kind AS ENUM ('w'); CREATE TYPE t2.kind AS ENUM ('y'); INSERT INTO t1.t VALUES (1); INSERT INTO t2.t VALUES (2)")
            .await;
        let more = [files[0], files[1], ("0003_c.sql", "UPDATE t SET d = v;")];
        let fleet = one_by_one(&more).await;
        all_migrated(&fleet, &[a, b]).await;
    })
    .await;
}

/// Code of event triggers runs with each definition, and no script shows it.
#[tokio::test]
async fn no_session_is_kept_where_an_event_trigger_runs() {
    with(Site::Postgres, async |home: &Home| {
        home.run(
            "CREATE FUNCTION public.note() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM set_config('my.own', 'x', \
             false); END $$; CREATE EVENT TRIGGER n ON ddl_command_end EXECUTE FUNCTION public.note();",
        )
        .await;
        let fleet = one_by_one(&[("0001_a.sql", SEEN)]).await;
        all_migrated(&fleet, &[tenant(home, "t1"), tenant(home, "t2")]).await;
        assert_eq!(home.texts("SELECT pid FROM t1.pid UNION SELECT pid FROM t2.pid").await.len(), 2);
    })
    .await;
}

/// The rows that a session wrote are counted for it until its server is told of it: the check that code stayed in its own schema would
/// find the rows of the tenant before.
#[tokio::test]
async fn rows_of_the_tenant_before_are_not_those_of_the_next_one() {
    with(Site::Postgres, async |home: &Home| {
        let script = "CREATE TABLE t (i int); INSERT INTO t SELECT generate_series(1, 3); UPDATE t SET i = abs(i);";
        let fleet = one_by_one(&[("0001_a.sql", SEEN), ("0002_b.sql", script)]).await;
        all_migrated(&fleet, &[tenant(home, "t1"), tenant(home, "t2"), tenant(home, "t3")]).await;
        assert_eq!(home.texts("SELECT pid FROM t1.pid UNION SELECT pid FROM t3.pid").await.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_kept_session_that_the_server_has_ended_is_replaced() {
    with(Site::Postgres, async |home: &Home| {
        let fleet = one_by_one(&[("0001_a.sql", "CREATE TABLE t (i int);")]).await;
        let (database, tenants) = (fleet.database(), [tenant(home, "t1"), tenant(home, "t2")]);
        database.read_together(&tenants).await;
        let mut first = database.connect(&tenants[0]).await.unwrap();
        home.run("CREATE SCHEMA t1; CREATE SCHEMA t2").await;
        first.history().await.unwrap();
        first.close().await;
        let kept = "SELECT count(pg_terminate_backend(pid))::text FROM pg_stat_activity WHERE datname = current_database() AND \
                    application_name LIKE 'fleet:%'";
        assert_eq!(home.texts(kept).await, ["1"]);
        let mut second = database.connect(&tenants[1]).await.unwrap();
        assert_eq!(second.history().await.unwrap(), [""; 0]);
        second.close().await;
    })
    .await;
}

#[tokio::test]
async fn a_session_of_another_database_makes_room_and_none_outlives_its_use() {
    const OURS: &str = "SELECT count(*)::text FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'fleet:%'";
    with(Site::Postgres, async |home: &Home| {
        with(Site::Postgres, async |other: &Home| {
            let fleet = one_by_one(&[("0001_a.sql", "CREATE TABLE t (i int);")]).await;
            home.run("CREATE SCHEMA t1; CREATE SCHEMA t2; CREATE SCHEMA t3").await;
            let (database, tenants) = (fleet.database(), ["t1", "t2", "t3"].map(|schema| tenant(home, schema)));
            database.read_together(&tenants).await;
            for (name, sessions) in [("t1", "1"), ("t2", "1")] {
                let mut session = database.connect(&tenant(home, name)).await.unwrap();
                session.history().await.unwrap();
                session.close().await;
                assert_eq!(home.texts(OURS).await, [sessions], "{name}");
            }
            let elsewhere = database.connect(&other.tenant).await.unwrap();
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
            assert_eq!(home.texts(OURS).await, ["0"]);
            elsewhere.close().await;
            let mut last = database.connect(&tenants[2]).await.unwrap();
            last.history().await.unwrap();
            last.close().await;
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
            assert_eq!(home.texts(OURS).await, ["0"], "nobody is to come");
        })
        .await;
    })
    .await;
}
