//! PostgreSQL tenants that are schemas: what is in no schema, and belongs to all tenants of the database.

use crate::model::fault::FaultClass;
use crate::model::outcome::Outcome;

use crate::engines::shared_schemas::tenant;
use crate::engines::support::fleet::Fleet;
use crate::engines::support::migrations::{Migrations, sql};
use crate::engines::support::{Home, Site, with};

/// Statements that code puts together; `@`: a role that is there already.
const BY_CODE: [&str; 18] = [
    "CREATE ROLE @_new",
    "ALTER ROLE @ CREATEDB",
    "ALTER ROLE @ SET search_path = x",
    "ALTER ROLE @ RESET work_mem",
    "GRANT pg_monitor TO @",
    "REVOKE pg_signal_backend FROM @",
    "DROP ROLE @_free",
    "ALTER DATABASE @ SET work_mem = 4096",
    "GRANT CONNECT ON DATABASE @ TO @",
    "CREATE EVENT TRIGGER watch ON ddl_command_end EXECUTE FUNCTION public.watch()",
    "CREATE CAST (public.shared_mood AS date) WITH INOUT",
    "DROP CAST (public.shared_mood AS time)",
    "CREATE PUBLICATION everything",
    "DROP PUBLICATION others",
    "CREATE FOREIGN DATA WRAPPER w",
    "CREATE SERVER s FOREIGN DATA WRAPPER other",
    "ALTER EXTENSION citext ADD FUNCTION public.watch()",
    "ALTER EXTENSION citext DROP FUNCTION public.citext_hash(public.citext)",
];

#[tokio::test]
async fn code_that_changes_what_is_in_no_schema_is_rolled_back() {
    with(Site::Postgres, async |home: &Home| {
        // Roles are the server's: each test has its own.
        let role = home.texts("SELECT current_database()::text").await.remove(0);
        home.run(&format!(
            "CREATE ROLE \"{role}\"; CREATE ROLE \"{role}_free\"; ALTER ROLE \"{role}\" SET work_mem = 4096; GRANT pg_signal_backend TO \
             \"{role}\"; CREATE FUNCTION watch() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN END $$; CREATE TYPE shared_mood AS ENUM \
             ('a'); CREATE CAST (shared_mood AS time) WITH INOUT; CREATE PUBLICATION others; CREATE FOREIGN DATA WRAPPER other; CREATE \
             EXTENSION citext"
        ))
        .await;
        for statement in BY_CODE {
            let quoted = statement.split(' ').map(|word| match word.strip_prefix('@') {
                Some(rest) => format!("\"{role}{rest}\""),
                None => word.to_owned(),
            });
            let text = quoted.collect::<Vec<_>>().join(" ");
            let what = format!("DO $$ BEGIN EXECUTE $x${text}$x$; END $$");
            for (way, native) in [("script", false), ("rust", false), ("rust", true)] {
                let fleet = match way {
                    "script" => Fleet::with_scripts(&Migrations::of([]), &[("0001_a.sql", &format!("{what};"))]).await,
                    _ => Fleet::of(&Migrations::of([sql("m1", [what.as_str()])])).await.native(native),
                };
                let record = fleet.up(&tenant(home, "t1", &["tools"])).await;
                let failed = Outcome::Failed { class: FaultClass::WrongSchema };
                assert_eq!(record.outcome, failed, "{way} {native} {text}: {record:?}");
                let said = record.error.unwrap().message;
                assert!(said.contains("shared by all tenants") && said.contains("rolled back"), "{text}: {said}");
            }
        }
        // Nothing is changed where it is there; what bears the tenant's name or has its types is its own; and what was rolled back.
        let fine = format!(
            "DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{role}') THEN CREATE ROLE \"{role}\"; END IF; END $$; DO $$ \
             BEGIN EXECUTE 'CREATE ROLE \"{role}-t2\"'; EXECUTE 'GRANT \"{role}\" TO \"{role}-t2\"'; EXECUTE 'CREATE PUBLICATION t2_rows'; \
             END $$; CREATE TYPE mood AS ENUM ('a'); CREATE CAST (mood AS date) WITH INOUT; DROP CAST (mood AS date); DO $$ BEGIN BEGIN CREATE \
             ROLE \"{role}_new\"; RAISE 'no'; EXCEPTION WHEN OTHERS THEN NULL; END; END $$; DO $$ BEGIN CREATE EXTENSION hstore SCHEMA \
             public; CREATE EXTENSION postgres_fdw SCHEMA public; PERFORM lo_create(0); END $$; CREATE SERVER IF NOT EXISTS t2_far FOREIGN \
             DATA WRAPPER other;"
        );
        let fleet = Fleet::with_scripts(&Migrations::of([]), &[("0001_a.sql", &fine)]).await;
        let record = fleet.up(&tenant(home, "t2", &[])).await;
        home.run(&format!("DROP OWNED BY \"{role}\"; DROP ROLE \"{role}\", \"{role}_free\"")).await;
        home.run(&format!("DROP ROLE IF EXISTS \"{role}-t2\"")).await;
        assert_eq!(record.outcome.name(), "migrated", "{record:?}");
    })
    .await;
}

/// A trigger that a plain statement fires is code as well.
#[tokio::test]
async fn a_trigger_that_makes_a_role_is_rolled_back() {
    with(Site::Postgres, async |home: &Home| {
        let role = home.texts("SELECT current_database()::text").await.remove(0);
        home.run(&format!(
            "CREATE SCHEMA t1; CREATE TABLE t1.a (i int); CREATE FUNCTION t1.f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN CREATE ROLE \
             \"{role}\"; RETURN NEW; END $$; CREATE TRIGGER tr BEFORE INSERT ON t1.a FOR EACH ROW EXECUTE FUNCTION t1.f()"
        ))
        .await;
        let fleet = Fleet::with_scripts(&Migrations::of([]), &[("0001_a.sql", "INSERT INTO a VALUES (1);")]).await;
        let record = fleet.up(&tenant(home, "t1", &[])).await;
        assert_eq!(record.outcome, Outcome::Failed { class: FaultClass::WrongSchema }, "{record:?}");
        assert!(record.error.unwrap().message.contains(&format!("role {role}")));
    })
    .await;
}

/// Its text says so before anything is sent to the first tenant.
#[tokio::test]
async fn a_statement_on_what_is_in_no_schema_is_told_before_the_first_tenant() {
    with(Site::Postgres, async |home: &Home| {
        for text in ["CREATE TABLE a (i int);\nCREATE ROLE app;", "CREATE TABLE a (i int);\nGRANT pg_monitor TO app;"] {
            let fleet = Fleet::with_scripts(&Migrations::of([]), &[("0001_a.sql", text)]).await;
            let record = fleet.up(&tenant(home, "t1", &[])).await;
            assert_eq!(record.outcome, Outcome::Failed { class: FaultClass::WrongSchema }, "{record:?}");
            let said = record.error.unwrap().message;
            assert!(said.contains("0001_a.sql:2: `") && said.contains("nothing was touched"), "{said}");
            assert_eq!(home.texts("SELECT nspname::text FROM pg_namespace WHERE nspname = 't1'").await, [""; 0]);
        }
    })
    .await;
}

/// A key makes the neighbour's deletes fail.
#[tokio::test]
async fn a_key_that_code_puts_on_a_neighbours_table_is_rolled_back() {
    with(Site::Postgres, async |home: &Home| {
        home.run("CREATE SCHEMA other; CREATE TABLE other.k (id int PRIMARY KEY); CREATE TABLE plans (id int PRIMARY KEY)").await;
        let key = |table: &str| format!("CREATE TABLE a (i int); DO $$ BEGIN EXECUTE 'ALTER TABLE a ADD FOREIGN KEY (i) REFERENCES ' || '{table}'; END $$;");
        for (table, shared, wanted) in
            [("other.k", &[][..], "failed"), ("other.k", &["other"], "migrated"), ("public.plans", &[], "migrated")]
        {
            let fleet = Fleet::with_scripts(&Migrations::of([]), &[("0001_a.sql", &key(table))]).await;
            let record = fleet.up(&tenant(home, "t1", shared)).await;
            assert_eq!(record.outcome.name(), wanted, "{table}: {record:?}");
            if wanted == "failed" {
                let said = record.error.unwrap().message;
                assert!(said.contains("a key of t1.a refers to it") || said.contains("a key of a refers to it"), "{said}");
            }
            home.run("DROP SCHEMA IF EXISTS t1 CASCADE").await;
        }
    })
    .await;
}

/// The own schema comes first: what is made is made there, and the names that it lacks are read behind it.
#[tokio::test]
async fn a_search_path_with_the_tenants_own_schema_first_is_taken() {
    with(Site::Postgres, async |home: &Home| {
        home.run("CREATE TABLE plans (id int); INSERT INTO plans VALUES (7)").await;
        let path = "SET search_path TO t1, public;\n";
        for (text, class) in [
            (format!("{path}CREATE TABLE a AS SELECT id FROM plans;"), None),
            (
                "SELECT pg_catalog.set_config('search_path', 't1, public', false);\nCREATE TABLE a (i int);".to_owned(),
                None,
            ),
            (format!("{path}DROP TABLE plans;"), Some("public.plans")),
            (format!("{path}INSERT INTO plans VALUES (8);"), Some("public.plans")),
            (format!("{path}ALTER TABLE plans ADD COLUMN x int;"), Some("public.plans")),
            ("SET search_path TO public, t1;\nCREATE TABLE a (i int);".to_owned(), Some("names without one")),
            ("SET search_path TO \"$user\", public;\nCREATE TABLE a (i int);".to_owned(), Some("names without one")),
            (
                format!("-- fleet: transaction=false\n{path}CREATE TABLE a (i int);"),
                Some("leave public out of the path"),
            ),
        ] {
            let fleet = Fleet::with_scripts(&Migrations::of([]), &[("0001_a.sql", &text)]).await;
            let record = fleet.up(&tenant(home, "t1", &[])).await;
            match class {
                None => {
                    assert_eq!(record.outcome.name(), "migrated", "{text}: {record:?}");
                    assert_eq!(
                        home.texts("SELECT schemaname::text FROM pg_tables WHERE tablename = 'a'").await,
                        ["t1"]
                    );
                }
                Some(words) => {
                    assert_eq!(
                        record.outcome,
                        Outcome::Failed { class: FaultClass::WrongSchema },
                        "{text}: {record:?}"
                    );
                    let said = record.error.unwrap().message;
                    assert!(said.contains(words), "{text}: {said}");
                }
            }
            home.run("DROP SCHEMA IF EXISTS t1 CASCADE").await;
            assert_eq!(home.texts("SELECT id::text FROM plans").await, ["7"], "{text}");
        }
        let fleet = Fleet::of(&Migrations::of([sql(
            "m1",
            ["SET search_path TO t1, public", "CREATE TABLE a AS SELECT id FROM plans"],
        )]))
        .await;
        assert_eq!(fleet.up(&tenant(home, "t1", &[])).await.outcome.name(), "migrated");
    })
    .await;
}
