//! PostgreSQL tenants that are schemas: scripts that write in others' schemas, and schemas that tenants share.

use std::num::NonZeroUsize;
use std::sync::Arc;

use crate::model::fault::FaultClass;
use crate::model::outcome::Outcome;
use crate::model::schema::Direction;
use crate::model::tenant::Tenant;
use crate::model::transaction::TransactionScope;
use crate::policy::RetryPolicy;

use crate::engines::support::fleet::Fleet;
use crate::engines::support::migrations::{Migrations, sql};
use crate::engines::support::{Home, Site, with};

pub(crate) fn tenant(home: &Home, schema: &str, shared: &[&str]) -> Arc<Tenant> {
    Arc::new(Tenant {
        schema: Some(schema.to_owned()),
        create_missing: true,
        shared_schemas: shared.iter().map(|s| (*s).to_owned()).collect(),
        ..Tenant::clone(&home.tenant)
    })
}

/// The head of a dump, and tables in `public`.
const DUMP: &str = "SET statement_timeout = 0; SET lock_timeout = 0; SET client_encoding = 'UTF8';\n\
                    SELECT pg_catalog.set_config('search_path', '', false);\nSET check_function_bodies = false;\n\
                    CREATE TABLE public.invoices (id bigint NOT NULL);\n";

#[tokio::test]
async fn a_dump_that_writes_in_public_is_refused_for_schemas_and_runs_for_a_database() {
    with(Site::Postgres, async |home: &Home| {
        let files = [("0001_base.sql", DUMP), ("0002_next.sql", "CREATE INDEX i ON invoices (id);")];
        let fleet = Fleet::with_scripts(&Migrations::of([]), &files).await;
        for schema in ["t1", "t2"] {
            let record = fleet.up(&tenant(home, schema, &[])).await;
            assert_eq!(record.outcome, Outcome::Failed { class: FaultClass::WrongSchema }, "{record:?}");
            let error = record.error.unwrap().message;
            assert!(error.contains("0001_base.sql:4: `CREATE TABLE public.invoices`"), "{error}");
            assert!(
                error.contains("shared_schemas = [\"public\"]") && error.contains("nothing was touched"),
                "{error}"
            );
        }
        assert_eq!(home.texts("SELECT nspname::text FROM pg_namespace WHERE nspname IN ('t1', 't2')").await, [""; 0]);
        assert_eq!(home.tables().await, [""; 0]);
        let record = fleet.up(&home.tenant).await;
        assert_eq!(record.outcome.name(), "migrated", "the search path is the tenant's again for the next: {record:?}");
        // What is applied already is not asked about.
        let record = fleet.up(&home.tenant).await;
        assert_eq!(record.outcome, Outcome::UpToDate);
    })
    .await;
}

#[tokio::test]
async fn a_rust_migration_that_writes_in_public_is_refused_for_schemas_too() {
    with(Site::Postgres, async |home: &Home| {
        for statement in
            ["CREATE TABLE public.x (i int)", "INSERT INTO public.plans VALUES (1)", "SET search_path TO public"]
        {
            let fleet = Fleet::of(&Migrations::of([sql("m1", [statement])])).await;
            let record = fleet.up(&tenant(home, "t1", &[])).await;
            assert_eq!(record.outcome, Outcome::Failed { class: FaultClass::WrongSchema }, "{statement}: {record:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn shared_schemas_stand_behind_the_tenants_own() {
    with(Site::Postgres, async |home: &Home| {
        home.run("CREATE TABLE plans (id int PRIMARY KEY); CREATE SCHEMA extensions; CREATE EXTENSION citext WITH SCHEMA extensions")
            .await;
        let first = "CREATE TABLE u (mail citext, plan int REFERENCES public.plans (id), other int REFERENCES plans (id));\n\
                     INSERT INTO public.plans VALUES (1) ON CONFLICT DO NOTHING;\nRESET ALL;\nCREATE TABLE mine (i int);";
        let journalled = "-- fleet: transaction=false\nCREATE TABLE plain (mail citext);\nRESET search_path;\n\
                          CREATE TABLE plain2 (mail citext);";
        let files = [("0001_a.sql", first), ("0002_b.sql", journalled)];
        let fleet = Fleet::with_scripts(&Migrations::of([sql("m1", ["CREATE TABLE r (mail citext)"])]), &files).await;
        for native in [false, true] {
            let schema = if native { "t2" } else { "t1" };
            let tenant = tenant(home, schema, &["public", "extensions"]);
            let record = fleet.clone().native(native).up(&tenant).await;
            assert_eq!(record.outcome.name(), "migrated", "{record:?}");
            let made = format!(
                "SELECT tablename::text FROM pg_tables WHERE schemaname = '{schema}' AND tablename NOT LIKE 'fleet%' AND \
                 tablename NOT LIKE 'seaql%' ORDER BY 1"
            );
            assert_eq!(home.texts(&made).await, ["mine", "plain", "plain2", "r", "u"]);
        }
        assert_eq!(home.tables().await, ["plans"], "nothing else is in public");
    })
    .await;
}

#[tokio::test]
async fn an_extension_that_would_live_in_one_tenant_is_refused() {
    with(Site::Postgres, async |home: &Home| {
        let script = [("0001_a.sql", "CREATE EXTENSION IF NOT EXISTS citext; CREATE TABLE u (mail citext);")];
        let rust =
            Migrations::of([sql("m1", ["CREATE EXTENSION IF NOT EXISTS citext", "CREATE TABLE u (mail citext)"])]);
        let fleets = [
            Fleet::with_scripts(&Migrations::of([]), &script).await,
            Fleet::of(&rust).await,
            Fleet::of(&rust).await.native(true),
        ];
        for fleet in &fleets {
            for schema in ["t1", "t2"] {
                let record = fleet.up(&tenant(home, schema, &[])).await;
                assert_eq!(record.outcome, Outcome::Failed { class: FaultClass::WrongSchema }, "{record:?}");
                assert!(record.error.unwrap().message.contains("WITH SCHEMA extensions"));
                assert_eq!(
                    home.texts("SELECT extname::text FROM pg_extension WHERE extname = 'citext'").await,
                    [""; 0]
                );
            }
        }
        // Where it is there already, the statement does nothing.
        home.run("CREATE SCHEMA extensions; CREATE EXTENSION citext WITH SCHEMA extensions").await;
        let record = fleets[0].up(&tenant(home, "t1", &["extensions"])).await;
        assert_eq!(record.outcome.name(), "migrated", "{record:?}");
    })
    .await;
}

/// Statements on objects that tenants share, each of which loses a race against the same statement of a neighbour.
const ON_SHARED_OBJECTS: [&str; 14] = [
    "CREATE EXTENSION IF NOT EXISTS unaccent WITH SCHEMA shared",
    "REVOKE CREATE ON SCHEMA public FROM PUBLIC",
    "CREATE OR REPLACE FUNCTION shared.touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$",
    "CREATE TABLE IF NOT EXISTS shared.plans (i int)",
    "GRANT SELECT ON shared.t TO PUBLIC",
    "GRANT USAGE ON SCHEMA shared TO PUBLIC",
    "COMMENT ON TABLE shared.t IS 'of all'",
    "ALTER DEFAULT PRIVILEGES IN SCHEMA shared GRANT SELECT ON TABLES TO PUBLIC",
    "CREATE OR REPLACE VIEW shared.v AS SELECT i FROM shared.t",
    "DROP TRIGGER IF EXISTS tr ON shared.t",
    "ALTER FUNCTION shared.touch() STABLE",
    "DO $$ BEGIN CREATE TYPE shared.mood AS ENUM ('a'); EXCEPTION WHEN duplicate_object THEN NULL; END $$",
    "CREATE SEQUENCE IF NOT EXISTS shared.numbers",
    "CREATE SCHEMA IF NOT EXISTS extra",
];

/// Sixteen tenants of one database change the same rows of its catalog at once; nobody takes a lock for that.
#[tokio::test]
async fn tenants_of_one_database_that_change_shared_objects_at_once_all_get_there() {
    with(Site::Postgres, async |home: &Home| {
        home.run(
            "CREATE SCHEMA shared; CREATE TABLE shared.t (i int); CREATE FUNCTION shared.logs() RETURNS trigger LANGUAGE plpgsql AS \
             $$ BEGIN RETURN NEW; END $$; CREATE TRIGGER tr BEFORE INSERT ON shared.t FOR EACH ROW EXECUTE FUNCTION shared.logs()",
        )
        .await;
        let tenants: Vec<Arc<Tenant>> = (0..16)
            .map(|n| {
                let tenant = tenant(home, &format!("t{n}"), &["shared", "public", "extra"]);
                Arc::new(Tenant { id: format!("t{n}").as_str().into(), ..Tenant::clone(&tenant) })
            })
            .collect();
        let mut files = Vec::new();
        for (n, statement) in ON_SHARED_OBJECTS.iter().enumerate() {
            files.push((format!("{n:04}_a.sql"), format!("{statement};")));
            let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (&**name, &**text)).collect();
            let mut fleet = Fleet::with_scripts(&Migrations::of([]), &files).await;
            (fleet.retry, fleet.at_once) = (RetryPolicy::default(), NonZeroUsize::new(tenants.len()).unwrap());
            let records = fleet.run(Direction::Up, &tenants, Default::default()).await;
            let failed: Vec<_> = records.iter().filter(|record| record.outcome.name() != "migrated").collect();
            assert!(failed.is_empty(), "{statement}: {failed:#?}");
        }
        assert_eq!(home.texts("SELECT obj_description('shared.t'::regclass)").await, ["of all"]);
    })
    .await;
}

/// A script without a transaction has one for each statement that runs code; what came before it stays.
#[tokio::test]
async fn code_without_a_transaction_that_changes_something_outside_is_rolled_back_alone() {
    with(Site::Postgres, async |home: &Home| {
        let outside = "DO $$ BEGIN EXECUTE 'CREATE TABLE pub' || 'lic.extra (i int)'; END $$";
        let commits = "DO $$ BEGIN CREATE TABLE two (i int); COMMIT; CREATE TABLE three (i int); END $$";
        let script = format!("-- fleet: transaction=false\nCREATE TABLE mine (i int);\n{commits};\n{outside};\n");
        let fleet = Fleet::with_scripts(&Migrations::of([]), &[("0001_a.sql", &script)]).await;
        let record = fleet.up(&tenant(home, "t1", &[])).await;
        assert!(!matches!(record.outcome, Outcome::InDoubt(_)), "{record:?}");
        assert_eq!(record.stopped_at.clone().and_then(|at| at.statement), Some(3), "{record:?}");
        let said = record.error.unwrap();
        assert!(said.class == FaultClass::WrongSchema && said.message.contains("public.extra"), "{said}");
        assert_eq!(home.tables().await, [""; 0], "nothing is in public");
        let made =
            "SELECT tablename::text FROM pg_tables WHERE schemaname = 't1' AND tablename IN ('mine', 'two', 'three')";
        assert_eq!(home.texts(made).await.len(), 3);
    })
    .await;
}

#[tokio::test]
async fn a_sequence_of_another_schema_is_not_set_by_code() {
    with(Site::Postgres, async |home: &Home| {
        home.run("CREATE SEQUENCE numbers").await;
        let set = "DO $$ BEGIN EXECUTE format('SELECT setval(%L, 7)', 'pub' || 'lic.numbers'); END $$";
        for native in [false, true] {
            let fleet = Fleet::of(&Migrations::of([sql("m1", [set])])).await.native(native);
            let record = fleet.up(&tenant(home, "t1", &[])).await;
            assert_eq!(record.outcome, Outcome::Failed { class: FaultClass::WrongSchema }, "{native}: {record:?}");
            assert!(record.error.unwrap().message.contains("public.numbers (a sequence"));
        }
        let own =
            "CREATE SEQUENCE own; DO $$ BEGIN PERFORM setval('own', 7); PERFORM last_value FROM public.numbers; END $$";
        let fleet = Fleet::of(&Migrations::of([sql("m1", [own])])).await;
        assert_eq!(fleet.up(&tenant(home, "t2", &[])).await.outcome.name(), "migrated");
    })
    .await;
}

/// What an earlier step of the same transaction has dropped of its own is known to the guard of a later one.
#[tokio::test]
async fn code_is_not_blamed_for_what_an_earlier_step_has_dropped() {
    with(Site::Postgres, async |home: &Home| {
        home.run("CREATE TABLE plans (id int PRIMARY KEY)").await;
        let makes = "CREATE TABLE d (i int); CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE TABLE c (i int CONSTRAINT \
                     ck CHECK (i > 0), plan int CONSTRAINT fk REFERENCES public.plans);";
        let drops = "ALTER TABLE c DROP CONSTRAINT ck; ALTER TABLE c DROP CONSTRAINT fk; DROP TABLE d; DROP FUNCTION f();";
        let files = [("0001_a.sql", makes), ("0002_b.sql", drops), ("0003_c.sql", "DO $$ BEGIN PERFORM 1; END $$;")];
        let mut fleet = Fleet::with_scripts(&Migrations::of([]), &files[..1]).await;
        assert_eq!(fleet.up(&tenant(home, "t1", &[])).await.outcome.name(), "migrated");
        fleet = Fleet::with_scripts(&Migrations::of([]), &files).await;
        fleet.transaction = TransactionScope::Tenant;
        let record = fleet.up(&tenant(home, "t1", &[])).await;
        assert_eq!(record.outcome.name(), "migrated", "{record:?}");
    })
    .await;
}

/// The rows that an earlier step has changed outside, by a trigger that is there already, are none of a later one's.
#[tokio::test]
async fn code_is_not_blamed_for_the_rows_of_an_earlier_step() {
    with(Site::Postgres, async |home: &Home| {
        let makes = "CREATE TABLE a (i int);\nCREATE FUNCTION logs() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO \
                     public.shared_log VALUES (new.i); RETURN NULL; END $$;\nCREATE TRIGGER t AFTER INSERT ON a FOR EACH ROW \
                     EXECUTE FUNCTION logs();";
        home.run("CREATE TABLE shared_log (i int)").await;
        let does = |n: usize| format!("DO $$ BEGIN PERFORM {n}; END $$;");
        let files = [("0001_a.sql", makes.to_owned()), ("0002_b.sql", "INSERT INTO a VALUES (1);".to_owned()), ("0003_c.sql", does(1))];
        let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
        let fleet = Fleet::with_scripts(&Migrations::of([]), &files).await;
        let mut whole = Fleet::with_scripts(&Migrations::of([]), &files).await;
        whole.transaction = TransactionScope::Tenant;
        for (fleet, schema) in [(fleet, "t1"), (whole, "t2")] {
            let record = fleet.up(&tenant(home, schema, &[])).await;
            assert_eq!(record.outcome.name(), "migrated", "{schema}: {record:?}");
        }
        // What code changes itself is still found.
        let own = [("0001_a.sql", makes), ("0002_b.sql", "DO $$ BEGIN INSERT INTO a VALUES (1); END $$;")];
        let record = Fleet::with_scripts(&Migrations::of([]), &own).await.up(&tenant(home, "t3", &[])).await;
        assert_eq!(record.outcome, Outcome::Failed { class: FaultClass::WrongSchema }, "{record:?}");
        assert!(record.error.unwrap().message.contains("public.shared_log"));
    })
    .await;
}

/// A script without a transaction may give back what its session holds: the limits and the lock are there again behind it.
/// `DISCARD ALL` is refused before anything is sent.
#[tokio::test]
async fn the_lock_that_a_script_without_a_transaction_gives_back_is_taken_again() {
    with(Site::Postgres, async |home: &Home| {
        let held = "DO $$ BEGIN IF current_setting('lock_timeout') <> '1s' THEN RAISE EXCEPTION 'no limit'; END IF; IF NOT EXISTS (SELECT FROM \
                    pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid() AND objsubid = 1) THEN RAISE EXCEPTION 'no lock'; END IF; \
                    END $$";
        for (n, ends) in ["SELECT pg_advisory_unlock_all()", "SET SESSION AUTHORIZATION DEFAULT"].iter().enumerate() {
            let text = format!("-- fleet: transaction=false\n{ends};\nCREATE TABLE mine (i int);\n{held};");
            let fleet = Fleet::with_scripts(&Migrations::of([]), &[("0001_a.sql", &text)]).await;
            let record = fleet.up(&tenant(home, &format!("t{n}"), &[])).await;
            assert_eq!(record.outcome.name(), "migrated", "{ends}: {record:?}");
            let rust = sql("m1", [*ends, "CREATE TABLE mine (i int)", held]).without_transaction();
            let record = Fleet::of(&Migrations::of([rust])).await.up(&tenant(home, &format!("r{n}"), &[])).await;
            assert_eq!(record.outcome.name(), "migrated", "{ends}: {record:?}");
        }
        let rust = Migrations::of([sql("m1", ["DISCARD ALL"]).without_transaction()]);
        let record = Fleet::of(&rust).await.up(&tenant(home, "r9", &[])).await;
        assert!(record.error.unwrap().message.contains("ends what fleet itself holds in the session"));
        assert_eq!(home.tables().await, [""; 0], "nothing is in public");
    })
    .await;
}
