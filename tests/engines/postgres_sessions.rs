//! PostgreSQL: each script begins with the same session, whatever ran before it, and the limits hold whatever it says.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::model::fault::FaultClass;
use crate::model::outcome::Outcome;
use crate::model::tenant::{Address, Engine, Tenant};
use sea_orm::ConnectionTrait;
use secrecy::SecretString;

use crate::engines::support::fleet::Fleet;
use crate::engines::support::migrations::{Migrations, sql};
use crate::engines::support::pgbouncer::Pgbouncer;
use crate::engines::support::{Home, Site, on_server, server_url, unique, url_of, with};

/// Everything that a session can hold, as the second script sees it.
const SEEN: &str = "CREATE TABLE seen AS SELECT name || ' ' || setting AS what FROM pg_settings WHERE name <> \
    'application_name' AND (name NOT LIKE 'fleet.%') UNION ALL SELECT 'role ' || current_user || session_user \
    UNION ALL SELECT 'temporary ' || count(*) FROM pg_class WHERE relpersistence = 't' \
    UNION ALL SELECT 'cursors ' || count(*) FROM pg_cursors WHERE name <> '' \
    UNION ALL SELECT 'listens ' || count(*) FROM pg_listening_channels() \
    UNION ALL SELECT 'prepared ' || count(*) FROM pg_prepared_statements WHERE from_sql \
    UNION ALL SELECT 'locks ' || count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid() \
    UNION ALL SELECT 'own ' || coalesce(nullif(current_setting('my.own', true), ''), '-');";

/// Scripts that leave something behind; all but the last may run in a transaction.
const LEAVE: [&str; 12] = [
    "SET session_replication_role = replica; SET row_security = off;",
    "SET client_encoding = 'LATIN1'; SET TimeZone = 'Asia/Tokyo'; SET DateStyle = 'German';",
    "SET my.own = 'x'; SET search_path TO pg_catalog; SET statement_timeout = '7min'; SET lock_timeout = 0;",
    "SELECT set_config('search_path', '', false), set_config('lock_timeout', '0', false);",
    "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE;",
    "CREATE TEMP TABLE stage (i int); INSERT INTO stage VALUES (1);",
    "CREATE TEMP TABLE seen (i int) ON COMMIT PRESERVE ROWS;",
    "LISTEN news; PREPARE p AS SELECT 1; SELECT pg_advisory_lock(7);",
    "SET ROLE pg_monitor;",
    "SET SESSION AUTHORIZATION pg_monitor;",
    "RESET ALL; SET idle_in_transaction_session_timeout = 1;",
    "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY;",
];

async fn seen(home: &Home) -> Vec<String> {
    home.texts("SELECT what FROM seen ORDER BY what").await
}

async fn one_run_and_two_are_equal(site: Site, leave: &str, mode: &str) {
    let first = format!("{mode}CREATE TABLE one (i int);\n{leave}");
    let (first, second) = (("0001_a.sql", first.as_str()), ("0002_b.sql", SEEN));
    let mut found = Vec::new();
    for is_one in [true, false] {
        with(site, async |home: &Home| {
            if !is_one {
                let alone = Fleet::with_scripts(&Migrations::of([]), &[first]).await;
                let record = alone.up(&home.tenant).await;
                assert_eq!(record.outcome.name(), "migrated", "{leave}: {record:?}");
            }
            let both = Fleet::with_scripts(&Migrations::of([]), &[first, second]).await;
            let record = both.up(&home.tenant).await;
            assert_eq!(record.outcome.name(), "migrated", "{mode}{leave}: {record:?}");
            let mut rows = seen(home).await;
            rows.retain(|row| !row.contains(&home.name));
            assert!(rows.len() > 100);
            found.push(rows);
        })
        .await;
    }
    let differing: Vec<_> = found[0].iter().filter(|row| !found[1].contains(row)).collect();
    assert_eq!(differing, [""; 0], "{site:?} {mode}{leave}");
    assert_eq!(found[0].len(), found[1].len());
}

#[tokio::test]
async fn a_script_begins_with_the_same_session_in_one_run_and_in_two() {
    for leave in LEAVE {
        one_run_and_two_are_equal(Site::Postgres, leave, "").await;
    }
}

#[tokio::test]
async fn a_script_begins_with_the_same_session_after_one_without_a_transaction() {
    for leave in LEAVE {
        one_run_and_two_are_equal(Site::Postgres, leave, "-- fleet: transaction=false\n").await;
    }
}

#[tokio::test]
async fn a_script_of_a_schema_begins_with_the_same_session() {
    for mode in ["", "-- fleet: transaction=false\n"] {
        one_run_and_two_are_equal(Site::PostgresSchema, &LEAVE[..8].join("\n"), mode).await;
    }
}

#[tokio::test]
async fn native_and_compiled_migrations_hand_on_the_same_session_too() {
    let migrations = || {
        let left = ["SET session_replication_role = replica", "CREATE TEMP TABLE stage (i int)", "SET ROLE pg_monitor"];
        Migrations::of([sql("m1", left), sql("m2", [SEEN.trim_end_matches(';')])])
    };
    for native in [false, true] {
        with(Site::Postgres, async |home: &Home| {
            let record = Fleet::of(&migrations()).await.native(native).up(&home.tenant).await;
            assert_eq!(record.outcome.name(), "migrated", "{record:?}");
            let seen = seen(home).await;
            assert!(seen.contains(&"session_replication_role origin".to_owned()));
            assert!(seen.contains(&"temporary 0".to_owned()) && seen.contains(&"role postgrespostgres".to_owned()));
        })
        .await;
    }
}

#[tokio::test]
async fn a_script_begins_with_the_same_session_behind_a_pooler() {
    let pooler =
        Pgbouncer::start(&server_url(Engine::Postgres), "ignore_startup_parameters = extra_float_digits,options");
    with(Site::Postgres, async |home: &Home| {
        let address = Address::Url(SecretString::from(pooler.url(&home.name)));
        let tenant = Arc::new(Tenant { address, ..Tenant::clone(&home.tenant) });
        let first = format!("CREATE TABLE one (i int);\n{}", LEAVE[..8].join("\n"));
        let files = [("0001_a.sql", first.as_str()), ("0002_b.sql", SEEN)];
        let record = Fleet::with_scripts(&Migrations::of([]), &files).await.up(&tenant).await;
        assert_eq!(record.outcome.name(), "migrated", "{record:?}");
        for wanted in ["session_replication_role origin", "temporary 0", "prepared 0", "listens 0", "own -"] {
            assert!(seen(home).await.contains(&wanted.to_owned()), "{wanted}");
        }
    })
    .await;
}

/// A login that may become the owner of the tables, who has no right on fleet's own.
async fn with_roles(test: impl AsyncFnOnce(&Home, Arc<Tenant>, &str)) {
    let (deployer, owner) = (unique("deployer"), unique("app_owner"));
    on_server(
        Engine::Postgres,
        &format!("CREATE ROLE {owner}; CREATE ROLE {deployer} LOGIN PASSWORD 'x' IN ROLE {owner}"),
    )
    .await;
    with(Site::Postgres, async |home: &Home| {
        home.run(&format!("GRANT CREATE ON SCHEMA public TO {deployer}, {owner}")).await;
        let mut url = url::Url::parse(&url_of(Engine::Postgres, &home.name)).unwrap();
        url.set_username(&deployer).unwrap();
        url.set_password(Some("x")).unwrap();
        let address = Address::Url(SecretString::from(url.to_string()));
        test(home, Arc::new(Tenant { address, ..Tenant::clone(&home.tenant) }), &owner).await;
    })
    .await;
    on_server(Engine::Postgres, &format!("DROP ROLE {deployer}; DROP ROLE {owner}")).await;
}

const OWNERS: &str = "SELECT relname::text || ' ' || left(pg_get_userbyid(relowner)::text, 8) FROM pg_class WHERE relkind = 'r' \
                      AND relnamespace = 'public'::regnamespace ORDER BY 1";

#[tokio::test]
async fn a_script_that_sets_a_role_leaves_the_history_and_the_next_script_to_our_own() {
    for mode in ["", "-- fleet: transaction=false\n"] {
        for is_one in [true, false] {
            with_roles(async |home, tenant, owner| {
                let first =
                    format!("{mode}SET ROLE {owner};\nCREATE TABLE owned (id int);\nCREATE TABLE owned2 (id int);");
                let files = [("0001_a.sql", first.as_str()), ("0002_b.sql", "CREATE TABLE mine (id int);")];
                for files in if is_one { vec![&files[..]] } else { vec![&files[..1], &files[..]] } {
                    let record = Fleet::with_scripts(&Migrations::of([]), files).await.up(&tenant).await;
                    assert_eq!(record.outcome.name(), "migrated", "{mode}{is_one}: {record:?}");
                }
                let owners = home.texts(OWNERS).await;
                let expected = ["fleet_scripts deployer", "mine deployer", "owned app_owne", "owned2 app_owne"];
                let owners: Vec<_> =
                    owners.iter().filter(|o| !o.starts_with("fleet_journal") && !o.starts_with("seaql")).collect();
                assert_eq!(owners, expected, "{mode}{is_one}");
            })
            .await;
        }
    }
}

#[tokio::test]
async fn a_rust_migration_that_sets_a_role_leaves_the_history_to_our_own() {
    for native in [false, true] {
        with_roles(async |home, tenant, owner| {
            let owned = [format!("SET ROLE {owner}"), "CREATE TABLE owned (id int)".to_owned()];
            let all = Migrations::of([sql("m1", owned), sql("m2", ["CREATE TABLE mine (id int)".to_owned()])]);
            let record = Fleet::of(&all).await.native(native).up(&tenant).await;
            assert_eq!(record.outcome.name(), "migrated", "{native}: {record:?}");
            assert_eq!(home.texts(OWNERS).await, ["mine deployer", "owned app_owne", "seaql_migrations deployer"]);
        })
        .await;
    }
}

#[tokio::test]
async fn the_lock_limit_holds_whatever_a_script_says() {
    let heads = [
        "SET lock_timeout = 0;",
        "SET LOCAL lock_timeout = 0;",
        "SET SESSION lock_timeout TO '0';",
        "SELECT pg_catalog.set_config('lock_timeout', '0', false);",
        "RESET ALL;",
        "DO $$ BEGIN EXECUTE 'SET ' || 'lock_' || 'timeout = 0'; END $$;",
        "RESET lock_timeout;",
        "UPDATE pg_settings SET setting = '0' WHERE name = 'lock_timeout';",
        "ALTER ROLE CURRENT_USER SET deadlock_timeout = '1s'; SET SESSION \"lock_timeout\" TO DEFAULT;",
        "SET statement_timeout = 0; SET lock_timeout = 0; SET client_encoding = 'UTF8'; SET check_function_bodies = false;",
    ];
    for mode in ["", "-- fleet: transaction=false\n"] {
        with(Site::Postgres, async |home: &Home| {
            home.run("CREATE TABLE invoices (id int)").await;
            let holder = home.connect().await;
            holder.execute_unprepared("BEGIN; LOCK TABLE invoices").await.unwrap();
            for head in heads {
                let text = format!("{mode}{head}\nALTER TABLE invoices ADD COLUMN n int;");
                let fleet = Fleet::with_scripts(&Migrations::of([]), &[("0001_a.sql", &text)]).await;
                let begun = Instant::now();
                let up = tokio::time::timeout(Duration::from_secs(20), fleet.up(&home.tenant)).await;
                let record = up.unwrap_or_else(|_| panic!("{mode}{head} waits for ever"));
                assert_eq!(record.error.as_ref().map(|e| e.class), Some(FaultClass::LockTimeout), "{head}: {record:?}");
                assert!(begun.elapsed() < Duration::from_secs(8), "{head}: {:?}", begun.elapsed());
                if !mode.is_empty() {
                    home.run("DELETE FROM fleet_journal").await;
                }
            }
            // A compiled Rust migration says it in the same way.
            let two = vec!["SET lock_timeout = 0", "ALTER TABLE invoices ADD COLUMN n int"];
            let one = vec!["SET lock_timeout = 0; ALTER TABLE invoices ADD COLUMN n int"];
            for statements in [two, one] {
                let rust = sql("m1", statements);
                let rust = Migrations::of([if mode.is_empty() { rust } else { rust.without_transaction() }]);
                let up = tokio::time::timeout(Duration::from_secs(20), Fleet::of(&rust).await.up(&home.tenant)).await;
                let record = up.expect("it ends with its limit");
                assert_eq!(record.error.unwrap().class, FaultClass::LockTimeout);
                if !mode.is_empty() {
                    home.run("DELETE FROM fleet_journal").await;
                }
            }
            holder.close().await.unwrap();
        })
        .await;
    }
}

#[tokio::test]
async fn a_deferred_trigger_fires_in_the_session_of_its_script() {
    with(Site::Postgres, async |home: &Home| {
        home.run(
            "CREATE TABLE log (who text); CREATE TABLE t (i int); CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS \
             $$ BEGIN INSERT INTO public.log VALUES (current_setting('my.own', true)); RETURN NULL; END $$; \
             CREATE CONSTRAINT TRIGGER c AFTER INSERT ON t DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION f();",
        )
        .await;
        let files = [("0001_a.sql", "SET my.own = 'mine';\nINSERT INTO t VALUES (1);")];
        let record = Fleet::with_scripts(&Migrations::of([]), &files).await.up(&home.tenant).await;
        assert_eq!(record.outcome.name(), "migrated", "{record:?}");
        assert_eq!(home.texts("SELECT who FROM log").await, ["mine"]);
    })
    .await;
}

/// One role has no right on the journal: the state of a refused script is still known.
#[tokio::test]
async fn a_refused_statement_after_a_role_was_set_is_not_in_doubt() {
    with_roles(async |home, tenant, owner| {
        let text =
            format!("-- fleet: transaction=false\nCREATE TABLE a (i int);\nSET ROLE {owner};\nSELECT no_such();");
        let fleet = Fleet::with_scripts(&Migrations::of([]), &[("0001_a.sql", &text)]).await;
        let record = fleet.up(&tenant).await;
        assert_eq!(record.outcome.name(), "failed", "{record:?}");
        assert_eq!(home.texts("SELECT state FROM fleet_journal").await, ["stopped"]);
        // The role is a part of the session, and set again before the script goes on.
        home.run("CREATE FUNCTION no_such() RETURNS void LANGUAGE plpgsql AS $$ BEGIN EXECUTE format('CREATE TABLE of_%I (i int)', \
                  current_user); END $$").await;
        let record = fleet.up(&tenant).await;
        assert_eq!(record.outcome.name(), "migrated", "{record:?}");
        assert_eq!(home.texts("SELECT tableowner::text FROM pg_tables WHERE tablename LIKE 'of\\_%'").await, [owner]);
    })
    .await;
}

/// The mark by which fleet knows its transaction around Rust code is no setting.
#[tokio::test]
async fn rust_code_may_reset_all_settings() {
    with(Site::Postgres, async |home: &Home| {
        let migrations = Migrations::of([sql("m1", ["RESET ALL", "CREATE TABLE one (i int)"])]);
        let record = Fleet::of(&migrations).await.native(true).up(&home.tenant).await;
        assert_eq!(record.outcome.name(), "migrated", "{record:?}");
    })
    .await;
}

/// A migration that raises the code of a lock timeout itself waits for nobody, and is not tried again.
#[tokio::test]
async fn a_raised_lock_timeout_is_not_waited_out() {
    with(Site::Postgres, async |home: &Home| {
        let raise = "DO $$ BEGIN RAISE EXCEPTION 'not now' USING ERRCODE = '55P03'; END $$;";
        let mut fleet = Fleet::with_scripts(&Migrations::of([]), &[("0001_x.sql", raise)]).await;
        fleet.retry = Default::default();
        let record = fleet.up(&home.tenant).await;
        assert_eq!((record.outcome, record.attempts), (Outcome::Failed { class: FaultClass::Other }, 1));
        // The server's own is one as ever.
        home.run("CREATE TABLE held (i int)").await;
        let other = home.connect().await;
        other.execute_unprepared("BEGIN; LOCK TABLE held").await.unwrap();
        let nowait = Migrations::of([sql("m1", ["LOCK TABLE held NOWAIT"])]);
        let record = Fleet::of(&nowait).await.up(&home.tenant).await;
        assert_eq!(record.error.unwrap().class, FaultClass::LockTimeout);
        other.close().await.unwrap();
    })
    .await;
}

/// A definition may run code: the bound of a partition, the default of a domain, an event trigger.
#[tokio::test]
async fn a_definition_that_runs_code_leaves_nothing_to_the_next_script() {
    with(Site::Postgres, async |home| {
        home.run("CREATE TABLE seen (what text, value text)").await;
        let leak = "CREATE FUNCTION leak() RETURNS text LANGUAGE plpgsql AS $$ BEGIN PERFORM set_config('DateStyle', 'German', false); \
                    RETURN 'x'; END $$";
        home.run(leak).await;
        home.run("CREATE DOMAIN leaking AS text DEFAULT leak()").await;
        home.run("CREATE TABLE parts (i text) PARTITION BY LIST (i)").await;
        let seen = "INSERT INTO seen SELECT 'style', current_setting('DateStyle')";
        let bound = "CREATE TABLE part PARTITION OF parts FOR VALUES IN (set_config('DateStyle', 'SQL, DMY', false))";
        for (n, text) in [bound, "ALTER TABLE seen ADD COLUMN c leaking"].into_iter().enumerate() {
            let (first, second) = (format!("000{n}_x.sql"), format!("000{n}_y.sql"));
            let files = [(first.as_str(), text), (second.as_str(), seen)];
            let files = files.map(|(name, text)| (name.replace("_y", "5_y"), text));
            let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (name.as_str(), *text)).collect();
            home.run("DROP TABLE IF EXISTS fleet_scripts").await;
            let record = Fleet::with_scripts(&Migrations::of([]), &files).await.up(&home.tenant).await;
            assert_eq!(record.outcome.name(), "migrated", "{text}: {record:?}");
            assert_eq!(home.texts("SELECT value FROM seen").await, ["ISO, MDY"], "{text}");
            home.run("TRUNCATE seen").await;
        }
    })
    .await;
}
