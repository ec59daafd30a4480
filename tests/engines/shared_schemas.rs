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

fn tenant(home: &Home, schema: &str, shared: &[&str]) -> Arc<Tenant> {
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

/// No reading of texts finds what code puts together at run time.
#[tokio::test]
async fn code_that_changes_something_outside_of_the_schema_is_rolled_back() {
    with(Site::Postgres, async |home: &Home| {
        home.run(
            "CREATE TABLE plans (id int PRIMARY KEY); CREATE SCHEMA tools; CREATE FUNCTION tools.hurt(what text) RETURNS int \
             LANGUAGE plpgsql AS $$ BEGIN EXECUTE what; RETURN 1; END $$; CREATE TABLE wide (id int PRIMARY KEY, note text); CREATE \
             TABLE ref (id int REFERENCES wide); CREATE FUNCTION tools.t() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; \
             END $$; CREATE TRIGGER tr BEFORE INSERT ON wide FOR EACH ROW EXECUTE FUNCTION tools.t(); CREATE POLICY p ON wide; CREATE \
             RULE r AS ON DELETE TO wide DO ALSO NOTHING",
        )
        .await;
        for what in [
            "DO $$ BEGIN EXECUTE 'CREATE TABLE pub' || 'lic.extra (i int)'; END $$",
            "DO $$ BEGIN BEGIN EXECUTE 'ALTER TABLE pub' || 'lic.plans ADD COLUMN x int'; EXCEPTION WHEN OTHERS THEN RAISE; END; END $$",
            "DO $$ BEGIN EXECUTE format('INSERT INTO %I.plans VALUES (1)', 'public'); END $$",
            "DO $$ BEGIN EXECUTE format('GRANT SELECT ON %I.plans TO PUBLIC', 'public'); END $$",
            "DO $$ BEGIN EXECUTE 'CREATE SCHEMA ' || 'other'; END $$",
            "SELECT tools.hurt('CREATE OR REPLACE FUNCTION pub' || 'lic.f() RETURNS int LANGUAGE sql AS ''SELECT 1''')",
            "CREATE FUNCTION own() RETURNS int LANGUAGE plpgsql AS $$ BEGIN EXECUTE 'CREATE TYPE pub' || 'lic.mood AS ENUM ()'; \
             RETURN 1; END $$; SELECT own()",
            // Parts of a table to which a key of somebody refers.
            "DO $$ BEGIN EXECUTE 'ALTER TABLE pub' || 'lic.wide ADD COLUMN x int'; END $$",
            "DO $$ BEGIN EXECUTE 'ALTER TABLE pub' || 'lic.wide DROP COLUMN note'; END $$",
            "DO $$ BEGIN EXECUTE 'ALTER TABLE pub' || 'lic.wide RENAME TO narrow'; END $$",
            "DO $$ BEGIN EXECUTE 'ALTER TABLE pub' || 'lic.wide RENAME COLUMN note TO n'; END $$",
            "DO $$ BEGIN EXECUTE 'ALTER TABLE pub' || 'lic.wide ALTER COLUMN note SET DEFAULT 1'; END $$",
            "DO $$ BEGIN EXECUTE 'ALTER TABLE pub' || 'lic.wide ADD CHECK (id > 0)'; END $$",
            "DO $$ BEGIN EXECUTE 'COMMENT ON TABLE pub' || 'lic.wide IS $x$a$x$'; END $$",
            "DO $$ BEGIN EXECUTE 'CREATE POLICY q ON pub' || 'lic.wide'; END $$",
            "DO $$ BEGIN EXECUTE 'CREATE RULE s AS ON INSERT TO pub' || 'lic.wide DO ALSO NOTHING'; END $$",
            "DO $$ BEGIN EXECUTE 'CREATE INDEX i ON pub' || 'lic.wide (note)'; END $$",
            "DO $$ BEGIN EXECUTE 'DROP TRIGGER tr ON pub' || 'lic.wide'; END $$",
            "DO $$ BEGIN EXECUTE 'DROP POLICY p ON pub' || 'lic.wide'; END $$",
            "DO $$ BEGIN EXECUTE 'DROP RULE r ON pub' || 'lic.wide'; END $$",
            "DO $$ BEGIN EXECUTE 'CREATE COLLATION pub' || 'lic.c (locale = $x$C$x$)'; END $$",
            "DO $$ BEGIN EXECUTE 'CREATE TEXT SEARCH CONFIGURATION pub' || 'lic.c (COPY = simple)'; END $$",
            "DO $$ BEGIN EXECUTE 'ALTER DEFAULT PRIVILEGES IN SCHEMA pub' || 'lic GRANT SELECT ON TABLES TO PUBLIC'; END $$",
            // Code that runs where no query is, and names that the server alone reads.
            "CREATE TABLE made AS SELECT tools.hurt('CREATE TABLE pub' || 'lic.extra (i int)') AS one",
            "CREATE MATERIALIZED VIEW made AS SELECT tools.hurt('CREATE TABLE pub' || 'lic.extra (i int)') AS one",
            "CREATE TABLE own (i int); ALTER TABLE own ADD COLUMN c int DEFAULT tools.hurt('CREATE TABLE pub' || 'lic.extra (i int)'); \
             INSERT INTO own (i) VALUES (1); ALTER TABLE own ADD COLUMN d int DEFAULT tools.hurt('CREATE TABLE pub' || 'lic.more (i int)')",
            "CREATE TABLE own (i) AS VALUES (1); ALTER TABLE own ALTER COLUMN i TYPE text USING tools.hurt('CREATE TABLE pub' || \
             'lic.extra (i int)')::text",
            "SET SCHEMA 'public'; ALTER TABLE wide ADD COLUMN c int",
            "SELECT set_config('search' || '_path', 'public', true); DROP TABLE ref",
            "DECLARE c CURSOR FOR SELECT tools.hurt('CREATE TABLE pub' || 'lic.extra (i int)'); FETCH ALL FROM c",
            "COPY (SELECT tools.hurt('CREATE TABLE pub' || 'lic.extra (i int)')) TO '/dev/null'",
            "CREATE TABLE U&\"\\0070ublic\".m4 (k int)",
            "DROP TABLE U&\"\\0070ublic\".ref",
            "DELETE FROM U&\"\\0070ublic\".ref; ALTER TABLE U&\"\\0070ublic\".ref RENAME TO other",
        ] {
            for (way, native) in [("script", false), ("rust", false), ("rust", true)] {
                let fleet = match way {
                    "script" => Fleet::with_scripts(&Migrations::of([]), &[("0001_a.sql", &format!("{what};"))]).await,
                    _ => Fleet::of(&Migrations::of([sql("m1", [what])])).await.native(native),
                };
                let record = fleet.up(&tenant(home, "t1", &["tools"])).await;
                assert_eq!(record.outcome, Outcome::Failed { class: FaultClass::WrongSchema }, "{way} {native} {what}: {record:?}");
                let said = record.error.unwrap().message;
                assert!(said.contains("shared_schemas") && said.contains("rolled back"), "{said}");
                assert_eq!(home.tables().await, ["plans", "ref", "wide"]);
            }
        }
        let explained = Fleet::with_scripts(&Migrations::of([]), &[("0001_a.sql", "EXPLAIN ANALYZE DELETE FROM public.ref;")]).await;
        let record = explained.up(&tenant(home, "t1", &["tools"])).await;
        assert_eq!(record.outcome, Outcome::Failed { class: FaultClass::WrongSchema }, "{record:?}");
        // A key that refers there, also as it goes, and parts of its own.
        let fine = "CREATE TABLE mine (plan int REFERENCES public.plans (id)); DO $$ BEGIN EXECUTE 'CREATE TABLE made (i int)'; END $$; \
                    DO $$ BEGIN BEGIN CREATE TABLE two (i int); EXCEPTION WHEN OTHERS THEN NULL; END; END $$; DO $$ BEGIN ALTER TABLE mine \
                    DROP CONSTRAINT mine_plan_fkey; CREATE TABLE kid (id int REFERENCES public.wide); DROP TABLE kid; CREATE TRIGGER x \
                    BEFORE INSERT ON mine FOR EACH ROW EXECUTE FUNCTION tools.t(); DROP TRIGGER x ON mine; COMMENT ON TABLE mine IS 'a'; \
                    END $$; CREATE TABLE c AS SELECT tools.hurt('SELECT 1') AS one; EXPLAIN ANALYZE DELETE FROM mine;";
        let fleet = Fleet::with_scripts(&Migrations::of([]), &[("0001_a.sql", fine)]).await;
        let record = fleet.up(&tenant(home, "t2", &["tools"])).await;
        assert_eq!(record.outcome.name(), "migrated", "{record:?}");
        let shared = "DO $$ BEGIN EXECUTE 'CREATE TABLE pub' || 'lic.extra (i int)'; END $$;";
        let fleet = Fleet::with_scripts(&Migrations::of([]), &[("0001_a.sql", shared)]).await;
        let record = fleet.up(&tenant(home, "t3", &["tools", "public"])).await;
        assert_eq!(record.outcome.name(), "migrated", "{record:?}");
    })
    .await;
}

/// What is dropped has no schema any more, and is found by its lock.
#[tokio::test]
async fn code_that_drops_something_outside_of_the_schema_is_rolled_back() {
    with(Site::Postgres, async |home: &Home| {
        home.run(
            "CREATE SCHEMA other; CREATE TABLE other.t (id int PRIMARY KEY); CREATE INDEX i ON other.t (id); CREATE TYPE other.mood AS \
             ENUM (); CREATE SCHEMA empty; CREATE FUNCTION other.f() RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE SCHEMA t1; \
             CREATE TABLE t1.base (id int PRIMARY KEY, note text); CREATE VIEW other.v AS SELECT * FROM t1.base; CREATE TABLE \
             other.child (id int REFERENCES t1.base)",
        )
        .await;
        for what in [
            "DO $$ BEGIN EXECUTE 'DROP TABLE oth' || 'er.t'; END $$",
            "DO $$ BEGIN EXECUTE 'DROP INDEX oth' || 'er.i'; END $$",
            "DO $$ BEGIN EXECUTE 'DROP TYPE oth' || 'er.mood'; END $$",
            "DO $$ BEGIN EXECUTE 'DROP FUNCTION oth' || 'er.f()'; END $$",
            "DO $$ BEGIN EXECUTE 'DROP SCHEMA emp' || 'ty'; END $$",
            "DO $$ BEGIN EXECUTE 'DROP SCHEMA oth' || 'er CASCADE'; END $$",
            "CREATE FUNCTION own() RETURNS void LANGUAGE plpgsql AS $$ BEGIN DROP VIEW other.v; END $$; SELECT own()",
            // A view, and a key, of a neighbour that nobody names.
            "DROP VIEW IF EXISTS nothing, base_view; ALTER TABLE base RENAME TO b; DROP TABLE b CASCADE",
        ] {
            for (way, native) in [("script", false), ("rust", false), ("rust", true)] {
                let fleet = match way {
                    "script" => Fleet::with_scripts(&Migrations::of([]), &[("0001_a.sql", &format!("{what};"))]).await,
                    _ => Fleet::of(&Migrations::of([sql("m1", [what])])).await.native(native),
                };
                let record = fleet.up(&tenant(home, "t1", &[])).await;
                assert_eq!(record.outcome, Outcome::Failed { class: FaultClass::WrongSchema }, "{way} {native} {what}: {record:?}");
                let said = record.error.unwrap().message;
                assert!(said.contains("that it dropped (oid ") && said.contains("rolled back"), "{said}");
            }
        }
        // What hides the notes hides no drop.
        let drops = "DO $$ BEGIN EXECUTE 'DROP TABLE oth' || 'er.t'; END $$";
        for hides in ["RESET ALL", "DO $$ BEGIN EXECUTE 'RES' || 'ET A' || 'LL'; END $$"] {
            for text in [format!("{hides};\n{drops};"), format!("{drops};\n{hides};")] {
                for (way, native) in [("script", false), ("rust", false), ("rust", true)] {
                    let fleet = match way {
                        "script" => Fleet::with_scripts(&Migrations::of([]), &[("0001_a.sql", &text)]).await,
                        _ => Fleet::of(&Migrations::of([sql("m1", text.split_inclusive(";\n"))])).await.native(native),
                    };
                    let record = fleet.up(&tenant(home, "t1", &[])).await;
                    let failed = Outcome::Failed { class: FaultClass::WrongSchema };
                    assert_eq!(record.outcome, failed, "{way} {native} {text}: {record:?}");
                    let said = record.error.unwrap().message;
                    assert!(said.contains("is not known behind RESET ALL: leave that out"), "{said}");
                }
            }
        }
        // Its own objects of every kind, what it has made itself, and what others drop meanwhile.
        let fine = "CREATE TABLE big (id bigserial PRIMARY KEY, note text UNIQUE, part int); CREATE TYPE mood AS ENUM ('a'); CREATE DOMAIN \
                    positive AS int CHECK (VALUE > 0); CREATE TYPE span AS RANGE (subtype = int); CREATE TABLE p (i int) PARTITION BY \
                    RANGE (i); CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (9); CREATE FUNCTION g() RETURNS trigger LANGUAGE \
                    plpgsql AS $$ BEGIN RETURN NEW; END $$; CREATE TRIGGER tr BEFORE INSERT ON big FOR EACH ROW EXECUTE FUNCTION g(); \
                    CREATE TYPE pair AS (a int, b int); CREATE VIEW w AS SELECT * FROM big;";
        let gone = "DO $$ BEGIN CREATE TEMP TABLE x (i int); CREATE TABLE made (i int PRIMARY KEY, t text); DROP TABLE made, x; ALTER TABLE \
                    big ALTER COLUMN part TYPE text; DROP TABLE big, p CASCADE; DROP TYPE mood, span, pair; DROP DOMAIN positive; DROP \
                    FUNCTION g(); END $$;";
        let fine = [("0001_a.sql", fine), ("0002_b.sql", "DROP VIEW w CASCADE;"), ("0003_c.sql", gone)];
        let fleet = Fleet::with_scripts(&Migrations::of([]), &fine).await;
        let record = fleet.up(&tenant(home, "t2", &[])).await;
        assert_eq!(record.outcome.name(), "migrated", "{record:?}");
        let shared = "DO $$ BEGIN EXECUTE 'DROP TABLE oth' || 'er.t'; END $$;";
        let fleet = Fleet::with_scripts(&Migrations::of([]), &[("0001_a.sql", shared)]).await;
        let record = fleet.up(&tenant(home, "t3", &["other"])).await;
        assert_eq!(record.outcome.name(), "migrated", "{record:?}");
    })
    .await;
}

#[tokio::test]
async fn rows_outside_that_a_trigger_a_rule_a_view_or_a_key_changes_are_kept() {
    with(Site::Postgres, async |home: &Home| {
        home.run(
            "CREATE SCHEMA other; CREATE TABLE other.t (id int); INSERT INTO other.t VALUES (1); CREATE SCHEMA t1; CREATE TABLE t1.a (id \
             int PRIMARY KEY); INSERT INTO t1.a VALUES (1); CREATE TABLE other.child (id int REFERENCES t1.a ON DELETE CASCADE); INSERT \
             INTO other.child VALUES (1); CREATE VIEW t1.v AS SELECT * FROM other.t; CREATE FUNCTION t1.f() RETURNS trigger LANGUAGE \
             plpgsql AS $$ BEGIN DELETE FROM other.t; RETURN NEW; END $$; CREATE TABLE t1.b (id int); CREATE TRIGGER tr BEFORE INSERT ON \
             t1.b FOR EACH ROW EXECUTE FUNCTION t1.f(); CREATE TABLE t1.c (id int); CREATE RULE r AS ON INSERT TO t1.c DO ALSO DELETE \
             FROM other.t; CREATE TABLE t1.d (id int); CREATE FUNCTION t1.e() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN EXECUTE \
             TG_ARGV[0]; RETURN NEW; END $$; CREATE TRIGGER tr BEFORE INSERT ON t1.d FOR EACH ROW EXECUTE FUNCTION t1.e('TRUNCATE \
             other.t'); CREATE TABLE t1.e (id int); CREATE TRIGGER tr BEFORE UPDATE ON t1.e FOR EACH STATEMENT EXECUTE FUNCTION \
             t1.e('DELETE FROM other.t; TRUNCATE other.t'); CREATE TABLE other.parent (id int PRIMARY KEY); INSERT INTO other.parent \
             VALUES (1); CREATE TABLE t1.kid (id int REFERENCES other.parent); CREATE TABLE t1.f (id int); CREATE TRIGGER tr AFTER \
             TRUNCATE ON t1.f FOR EACH STATEMENT EXECUTE FUNCTION t1.e('TRUNCATE other.parent, t1.kid')",
        )
        .await;
        for what in
            ["DELETE FROM a", "UPDATE v SET id = 2", "INSERT INTO b VALUES (1)", "INSERT INTO c VALUES (1)", "INSERT INTO d VALUES (1)",
             "UPDATE e SET id = 1", "TRUNCATE f", "DO $$ BEGIN TRUNCATE f; END $$"]
        {
            let without = format!("-- fleet: transaction=false\n{what};");
            for (text, native) in [(format!("{what};"), false), (without, false), (String::new(), false), (String::new(), true)] {
                let fleet = match &*text {
                    "" => Fleet::of(&Migrations::of([sql("m1", [what])])).await.native(native),
                    text => Fleet::with_scripts(&Migrations::of([]), &[("0001_a.sql", text)]).await,
                };
                let record = fleet.up(&tenant(home, "t1", &[])).await;
                assert_eq!(record.outcome.name(), "failed", "{text} {native} {what}: {record:?}");
                assert!(record.error.unwrap().message.contains("changed other."), "{what}");
                let rows = home.texts("SELECT id::text FROM other.t UNION ALL SELECT id::text FROM other.child UNION ALL \
                            SELECT id::text FROM other.parent").await;
                assert_eq!(rows, ["1", "1", "1"], "{what}");
                home.run("DROP TABLE IF EXISTS t1.seaql_migrations, t1.fleet_scripts, t1.fleet_progress").await;
            }
        }
        // A reference is read, a row may be added to a log, and a shared schema is the tenant's too.
        let fine = "CREATE TABLE one (id int REFERENCES other.k); INSERT INTO one VALUES (1); CREATE TABLE d (id int); CREATE RULE r AS ON \
                    INSERT TO d DO ALSO INSERT INTO other.log VALUES (1); INSERT INTO d VALUES (1); DROP TABLE one;";
        home.run("CREATE TABLE other.k (id int PRIMARY KEY); INSERT INTO other.k VALUES (1); CREATE TABLE other.log (id int)").await;
        let fleet = Fleet::with_scripts(&Migrations::of([]), &[("0001_a.sql", fine)]).await;
        assert_eq!(fleet.up(&tenant(home, "t2", &[])).await.outcome.name(), "migrated");
        let fleet = Fleet::with_scripts(&Migrations::of([]), &[("0001_a.sql", "DELETE FROM a;")]).await;
        assert_eq!(fleet.up(&tenant(home, "t1", &["other"])).await.outcome.name(), "migrated");
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
