//! PostgreSQL tenants that are schemas: what code, a trigger, a view or a key changes in other schemas.

use crate::model::fault::FaultClass;
use crate::model::outcome::Outcome;

use crate::engines::shared_schemas::tenant;
use crate::engines::support::fleet::Fleet;
use crate::engines::support::migrations::{Migrations, sql};
use crate::engines::support::{Home, Site, with};

/// Statements on objects of the schema `@`, which code puts together: whole ones, and parts of a table to which a key refers. A key of
/// the tenant's own that goes first hides nothing.
const ELSEWHERE: [&str; 38] = [
    "ALTER TABLE @.wide ENABLE ROW LEVEL SECURITY",
    "ALTER TABLE @.wide FORCE ROW LEVEL SECURITY",
    "ALTER TABLE @.wide REPLICA IDENTITY FULL",
    "ALTER TABLE @.wide REPLICA IDENTITY USING INDEX wide_pkey",
    "ALTER TABLE @.wide CLUSTER ON wide_pkey",
    "ALTER TABLE @.wide SET (fillfactor = 50)",
    "ALTER TABLE @.wide DISABLE TRIGGER ALL",
    "ALTER TABLE @.wide OWNER TO pg_monitor",
    "GRANT SELECT ON @.wide TO PUBLIC",
    "CREATE TABLE t1.child () INHERITS (@.wide)",
    "COMMENT ON TRIGGER tr ON @.wide IS $x$a$x$",
    "COMMENT ON CONSTRAINT wide_pkey ON @.wide IS $x$a$x$",
    "COMMENT ON SCHEMA @ IS $x$a$x$",
    "COMMENT ON FUNCTION @.f() IS $x$a$x$",
    "ALTER TYPE @.feel ADD VALUE $x$b$x$",
    "ALTER TYPE @.feel RENAME VALUE $x$a$x$ TO $x$c$x$",
    "ALTER DOMAIN @.positive ADD CONSTRAINT x CHECK (VALUE > 3)",
    "ALTER DOMAIN @.positive SET NOT NULL",
    "ALTER DOMAIN @.positive DROP CONSTRAINT positive_check",
    "ALTER TYPE @.pair ADD ATTRIBUTE c int",
    "ALTER TYPE @.pair RENAME ATTRIBUTE a TO c",
    "CREATE TYPE @.shell",
    "ALTER SEQUENCE @.numbers INCREMENT 3",
    "ALTER STATISTICS @.st SET STATISTICS 3",
    "ALTER TEXT SEARCH CONFIGURATION @.words ALTER MAPPING FOR asciiword WITH english_stem",
    "ALTER TABLE @.ref SET SCHEMA t1",
    "ALTER FUNCTION @.f() SET SCHEMA t1",
    "ALTER TABLE @.ref DROP CONSTRAINT ref_id_fkey",
    "DROP STATISTICS @.st",
    "DROP COLLATION @.c0",
    "DROP TEXT SEARCH CONFIGURATION @.words",
    "DROP DOMAIN @.positive",
    "ALTER TABLE t1.kid DROP CONSTRAINT fk; DROP POLICY p ON @.wide",
    "ALTER TABLE t1.kid DROP CONSTRAINT fk; DROP TRIGGER tr ON @.wide",
    "ALTER TABLE t1.kid DROP CONSTRAINT fk; DROP RULE r ON @.wide",
    "ALTER TABLE t1.kid DROP CONSTRAINT fk; GRANT SELECT ON @.wide TO PUBLIC",
    "DROP TABLE t1.kid; ALTER TABLE @.wide ENABLE ROW LEVEL SECURITY",
    "CREATE TYPE @.other AS (a int)",
];

fn by_code(statement: &str) -> String {
    format!("DO $$ BEGIN EXECUTE replace('{statement}', '@', 'pub' || 'lic'); END $$")
}

/// No reading of texts finds what code puts together at run time.
#[tokio::test]
async fn code_that_changes_something_outside_of_the_schema_is_rolled_back() {
    with(Site::Postgres, async |home: &Home| {
        home.run(
            "CREATE TABLE plans (id int PRIMARY KEY); CREATE SCHEMA tools; CREATE EXTENSION citext SCHEMA tools; CREATE FUNCTION tools.hurt(what text) RETURNS int \
             LANGUAGE plpgsql AS $$ BEGIN EXECUTE what; RETURN 1; END $$; CREATE TABLE wide (id int PRIMARY KEY, note text); CREATE \
             TABLE ref (id int REFERENCES wide); CREATE FUNCTION tools.t() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; \
             END $$; CREATE TRIGGER tr BEFORE INSERT ON wide FOR EACH ROW EXECUTE FUNCTION tools.t(); CREATE POLICY p ON wide; CREATE \
             RULE r AS ON DELETE TO wide DO ALSO NOTHING; CREATE TYPE feel AS ENUM ('a'); CREATE DOMAIN positive AS int CHECK (VALUE > 0); \
             CREATE STATISTICS st ON id, note FROM wide; CREATE COLLATION c0 (locale = 'C'); CREATE TYPE pair AS (a int, b int); CREATE \
             FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE SEQUENCE numbers; CREATE TEXT SEARCH CONFIGURATION words (COPY = \
             simple); CREATE SCHEMA t1; CREATE TABLE t1.kid (id int CONSTRAINT fk REFERENCES wide); CREATE VIEW t1.makes AS SELECT \
             tools.hurt('CREATE TABLE pub' || 'lic.extra (i int)') AS one; CREATE VIEW t1.adds AS SELECT tools.hurt('INSERT INTO pub' || \
             'lic.plans VALUES (1)') AS one",
        )
        .await;
        let texts = [
            "DO $$ BEGIN EXECUTE 'CREATE TABLE pub' || 'lic.extra (i int)'; END $$",
            "DO $$ BEGIN BEGIN EXECUTE 'ALTER TABLE pub' || 'lic.plans ADD COLUMN x int'; EXCEPTION WHEN OTHERS THEN RAISE; END; END $$",
            "DO $$ BEGIN EXECUTE format('INSERT INTO %I.plans VALUES (1)', 'public'); END $$",
            "DO $$ BEGIN EXECUTE format('GRANT SELECT ON %I.plans TO PUBLIC', 'public'); END $$",
            "DO $$ BEGIN EXECUTE 'CREATE SCHEMA ' || 'other'; END $$",
            "SELECT tools.hurt('CREATE OR REPLACE FUNCTION pub' || 'lic.f() RETURNS int LANGUAGE sql AS ''SELECT 1''')",
            "CREATE FUNCTION own() RETURNS int LANGUAGE plpgsql AS $$ BEGIN EXECUTE 'CREATE TYPE pub' || 'lic.mood AS ENUM ()'; \
             RETURN 1; END $$; SELECT own()",
            "DO $$ BEGIN EXECUTE 'ALTER EXTENSION cit' || 'ext SET SCHEMA ' || current_schema(); END $$",
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
            // A view that runs code.
            "SELECT * FROM makes",
            "SELECT one FROM adds",
            "TABLE adds",
            "CREATE TABLE made AS SELECT * FROM adds",
            "COPY (SELECT * FROM adds) TO '/dev/null'",
            "WITH a AS (SELECT * FROM adds) SELECT * FROM a",
            "CREATE MATERIALIZED VIEW made AS SELECT * FROM adds WITH NO DATA; REFRESH MATERIALIZED VIEW made",
        ];
        for what in texts.map(str::to_owned).into_iter().chain(ELSEWHERE.map(by_code)) {
            let what = what.as_str();
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
                    END $$; CREATE TABLE c AS SELECT tools.hurt('SELECT 1') AS one; EXPLAIN ANALYZE DELETE FROM mine; \
                    DO $$ BEGIN CREATE EXTENSION tablefunc SCHEMA tools; CREATE EXTENSION pg_stat_statements SCHEMA tools; END $$; \
                    CREATE EXTENSION earthdistance SCHEMA public CASCADE; SELECT * FROM public.plans;";
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
                assert!(said.contains("(dropped or moved)") && said.contains("rolled back"), "{said}");
            }
        }
        // A drop is found also where the notes are gone.
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
                    assert!(said.contains("other.t (dropped or moved)"), "{said}");
                }
            }
        }
        let closes = format!("CLOSE ALL;\n{drops};");
        let fleet = Fleet::with_scripts(&Migrations::of([]), &[("0001_a.sql", &closes)]).await;
        let record = fleet.up(&tenant(home, "t1", &[])).await;
        assert_eq!(record.outcome, Outcome::Failed { class: FaultClass::WrongSchema }, "{record:?}");
        assert!(record.error.unwrap().message.contains("leave CLOSE ALL out"));
        // Its own objects of every kind, what it has made itself, and what others drop meanwhile.
        let fine = "CREATE TABLE big (id bigserial PRIMARY KEY, note text UNIQUE, part int); CREATE TYPE mood AS ENUM ('a'); CREATE DOMAIN \
                    positive AS int CHECK (VALUE > 0); CREATE TYPE span AS RANGE (subtype = int); CREATE TABLE p (i int) PARTITION BY \
                    RANGE (i); CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (9); CREATE FUNCTION g() RETURNS trigger LANGUAGE \
                    plpgsql AS $$ BEGIN RETURN NEW; END $$; CREATE TRIGGER tr BEFORE INSERT ON big FOR EACH ROW EXECUTE FUNCTION g(); \
                    CREATE TYPE pair AS (a int, b int); CREATE VIEW w AS SELECT * FROM big;";
        let gone = "DO $$ BEGIN CREATE TEMP TABLE x (i int); CREATE TABLE made (i int PRIMARY KEY, t text); DROP TABLE made, x; ALTER TABLE \
                    big ALTER COLUMN part TYPE text; DROP TABLE big, p CASCADE; DROP TYPE mood, span, pair; DROP DOMAIN positive; DROP \
                    FUNCTION g(); EXECUTE 'RES' || 'ET A' || 'LL'; END $$;";
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
             TRUNCATE ON t1.f FOR EACH STATEMENT EXECUTE FUNCTION t1.e('TRUNCATE other.parent, t1.kid'); CREATE TABLE \
             other.gone (id int); CREATE TABLE t1.g (id int); CREATE TRIGGER tr BEFORE INSERT ON t1.g FOR EACH ROW EXECUTE FUNCTION \
             t1.e('CREATE TABLE other.made (id int)'); CREATE TABLE t1.h (id int); CREATE TRIGGER tr BEFORE INSERT ON t1.h FOR EACH ROW \
             EXECUTE FUNCTION t1.e('GRANT SELECT ON other.parent TO PUBLIC'); CREATE TABLE t1.i (id int); CREATE TRIGGER tr BEFORE DELETE \
             ON t1.i FOR EACH STATEMENT EXECUTE FUNCTION t1.e('DROP TABLE other.gone'); CREATE FUNCTION t1.m() RETURNS boolean LANGUAGE \
             plpgsql AS $$ BEGIN CREATE TABLE other.made (id int); RETURN true; END $$; CREATE TABLE t1.j (id int, b boolean DEFAULT \
             t1.m()); CREATE DOMAIN t1.checked AS int CHECK (VALUE > 0 AND t1.m()); CREATE TABLE t1.k (id t1.checked); CREATE VIEW t1.w \
             AS SELECT t1.m() AS b; CREATE TABLE t1.l (id int)",
        )
        .await;
        for what in
            ["DELETE FROM a", "UPDATE v SET id = 2", "INSERT INTO b VALUES (1)", "INSERT INTO c VALUES (1)", "INSERT INTO d VALUES (1)",
             "UPDATE e SET id = 1", "TRUNCATE f", "DO $$ BEGIN TRUNCATE f; END $$", "INSERT INTO g VALUES (1)", "INSERT INTO h VALUES (1)",
             "DELETE FROM i", "INSERT INTO j VALUES (1)", "INSERT INTO k VALUES (1)", "INSERT INTO l SELECT 1 FROM w WHERE b"]
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
        // A trigger that is gone again by the end.
        let hidden = "CREATE TRIGGER x BEFORE INSERT ON l FOR EACH ROW EXECUTE FUNCTION e('CREATE TABLE other.made (id int)'); INSERT INTO l \
                      VALUES (1); DROP TRIGGER x ON l;";
        let fleet = Fleet::with_scripts(&Migrations::of([]), &[("0001_a.sql", hidden)]).await;
        let record = fleet.up(&tenant(home, "t1", &[])).await;
        assert_eq!(record.outcome, Outcome::Failed { class: FaultClass::WrongSchema }, "{record:?}");
        // A reference is read, a row may be added to a log, and a shared schema is the tenant's too.
        let fine = "CREATE TABLE one (id int REFERENCES other.k); INSERT INTO one VALUES (1); CREATE TABLE d (id int); CREATE RULE r AS ON \
                    INSERT TO d DO ALSO INSERT INTO other.log VALUES (1); INSERT INTO d VALUES (1); DROP TABLE one; CREATE \
                    FUNCTION adds() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO other.log VALUES (2); RETURN NEW; END $$; CREATE \
                    TABLE e (id int); CREATE TRIGGER tr BEFORE INSERT ON e FOR EACH ROW EXECUTE FUNCTION adds(); INSERT INTO e VALUES (1); \
                    DROP TRIGGER tr ON e; CREATE TYPE mood AS ENUM ('a'); DROP TYPE mood; DROP FUNCTION adds();";
        home.run("CREATE TABLE other.k (id int PRIMARY KEY); INSERT INTO other.k VALUES (1); CREATE TABLE other.log (id int)").await;
        let fleet = Fleet::with_scripts(&Migrations::of([]), &[("0001_a.sql", fine)]).await;
        assert_eq!(fleet.up(&tenant(home, "t2", &[])).await.outcome.name(), "migrated");
        let fleet = Fleet::with_scripts(&Migrations::of([]), &[("0001_a.sql", "DELETE FROM a;")]).await;
        assert_eq!(fleet.up(&tenant(home, "t1", &["other"])).await.outcome.name(), "migrated");
    })
    .await;
}

/// A setting that code has made for the session leads the statements behind it elsewhere, where each is by itself.
#[tokio::test]
async fn a_search_path_that_code_leads_outside_does_not_stay_for_the_next_statement() {
    with(Site::Postgres, async |home: &Home| {
        for leads in [
            "SELECT set_config('search' || '_path', 'public', false)",
            "DO $$ BEGIN PERFORM set_config('search' || '_path', 'pub' || 'lic', false); END $$",
            "SET SCHEMA 'public'",
        ] {
            let rust = sql("m1", [leads, "CREATE TABLE extra (i int)"]).without_transaction();
            let text = format!("-- fleet: transaction=false\n{leads};\nCREATE TABLE extra (i int);");
            for fleet in [
                Fleet::of(&Migrations::of([rust])).await,
                Fleet::with_scripts(&Migrations::of([]), &[("0001_a.sql", &text)]).await,
            ] {
                let record = fleet.up(&tenant(home, "t1", &[])).await;
                assert_eq!(record.outcome, Outcome::Failed { class: FaultClass::WrongSchema }, "{leads}: {record:?}");
                assert!(record.error.unwrap().message.contains("the search path to public"), "{leads}");
                assert_eq!(home.tables().await, [""; 0], "nothing is in public");
                home.run("DROP SCHEMA t1 CASCADE").await;
            }
        }
        // One that stays inside is as the script has it.
        let text = "-- fleet: transaction=false\nSELECT set_config('search_path', 'shared', false);\nCREATE TABLE extra (i int);";
        home.run("CREATE SCHEMA shared").await;
        let fleet = Fleet::with_scripts(&Migrations::of([]), &[("0001_a.sql", text)]).await;
        let record = fleet.up(&tenant(home, "t1", &["shared"])).await;
        assert_eq!(record.outcome.name(), "migrated", "{record:?}");
        assert_eq!(home.texts("SELECT schemaname::text FROM pg_tables WHERE tablename = 'extra'").await, ["shared"]);
    })
    .await;
}
