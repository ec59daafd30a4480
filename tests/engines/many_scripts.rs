//! A long folder like those of sqlx users, with everything that makes splitting SQL hard, run by fleet and by sqlx.
//!
//! The folder is generated here, identically each time; the meaning of its scripts does not matter.

use std::path::Path;

use crate::model::schema::State;
use crate::model::shape::Shape;
use sqlx::migrate::Migrator;
use sqlx::{Connection as _, Executor as _, PgConnection};

use crate::engines::support::fleet::Fleet;
use crate::engines::support::migrations::{Migrations, sql};
use crate::engines::support::{Home, Site, with};

/// The number of versions in the folder.
const VERSIONS: u32 = 168;

/// The up and down part of one version. Eight kinds rotate; each of the last seven builds on the table of the first.
fn parts(n: u32) -> (&'static str, String, String) {
    let (t, k) = (n / 8 * 8, n % 8);
    match k {
        0 => (
            "table",
            format!(
                "-- It's a table; \"t{t}\" is its name. $$ means nothing here.\n\
                 /* So does ; in /* a comment; in */ a comment. */\n\
                 CREATE TABLE t{t} (\n    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,\n    \"odd; name\" text NOT NULL DEFAULT \
                 'a;b''c', -- don't; split\n    n int CHECK (n > {n} - 1000),\n    changed timestamptz\n);\n\
                 COMMENT ON TABLE t{t} IS 'one; of $$many$$';\n"
            ),
            format!("DROP TABLE t{t};"),
        ),
        1 => (
            "function",
            format!(
                "CREATE FUNCTION f{n}(a int, b text DEFAULT $$x;y$$) RETURNS int LANGUAGE plpgsql AS $$\n\
                 -- A comment; with an apostrophe: don't.\nDECLARE\n    found int := {n};\n    word text := 'it''s; fine';\nBEGIN\n    \
                 IF a > 1 THEN\n        found := found + a; /* ; */\n    ELSE\n        BEGIN\n            found := length(b);\n        \
                 EXCEPTION WHEN others THEN\n            RAISE NOTICE 'no; %', word;\n        END;\n    END IF;\n    \
                 RETURN found;\nEND;\n$$;\nSELECT f{n}(2);\n"
            ),
            format!("DROP FUNCTION f{n}(int, text);"),
        ),
        2 => (
            "trigger",
            format!(
                "CREATE FUNCTION touch{t}() RETURNS trigger AS $touch_{t}$\nBEGIN\n    -- $$ is no end; nor is $touch$\n    \
                 NEW.changed := now();\n    RETURN NEW;\nEND\n$touch_{t}$ LANGUAGE plpgsql;\n\n\
                 CREATE TRIGGER touch BEFORE INSERT OR UPDATE ON t{t} FOR EACH ROW EXECUTE FUNCTION touch{t}();\n"
            ),
            format!("DROP TRIGGER touch ON t{t};\nDROP FUNCTION touch{t}();\n-- the end; without a line break"),
        ),
        3 => (
            "do_block",
            format!(
                "DO $do$\nDECLARE\n    name text;\nBEGIN\n    FOR name IN SELECT unnest(ARRAY['a', 'b;', 'c']) LOOP\n        \
                 EXECUTE format($q$ALTER TABLE t{t} ADD COLUMN %I text DEFAULT 'x;'$q$, 'c_' || name);\n    END LOOP;\n    \
                 IF NOT EXISTS (SELECT FROM pg_class WHERE relname = 'nothing; here') THEN\n        EXECUTE 'CREATE INDEX ix{n} ON \
                 t{t} (n)';\n    END IF;\nEND\n$do$;\n"
            ),
            format!(
                "DO $$ BEGIN EXECUTE 'DROP INDEX ix{n}'; END $$;\nALTER TABLE t{t} DROP COLUMN c_a, DROP COLUMN \"c_b;\", DROP \
                 COLUMN c_c;"
            ),
        ),
        4 => (
            "rows",
            format!(
                "INSERT INTO t{t} (\"odd; name\", n) VALUES (E'back\\\\slash\\'; quote', 1), ($$dollar; 'quoted'$$, 2), (U&'d\\0061t\\+000061', \
                 3);\nUPDATE t{t} SET n = n + {n} WHERE \"odd; name\" LIKE '%;%' ; ; \nWITH gone AS (DELETE FROM t{t} WHERE n = 3 \
                 RETURNING id) SELECT count(*) FROM gone;\n"
            ),
            format!("TRUNCATE t{t};"),
        ),
        5 => (
            "view",
            format!(
                "CREATE VIEW v{n} AS SELECT id, n, CASE WHEN n > 1 THEN 'more; than one' ELSE 'one' END AS many FROM t{t};\n\
                 CREATE MATERIALIZED VIEW m{n} AS SELECT count(*) AS rows, max(n) AS most FROM v{n};\n\
                 CREATE UNIQUE INDEX ux{n} ON m{n} (rows)"
            ),
            format!("DROP MATERIALIZED VIEW m{n};\nDROP VIEW v{n};"),
        ),
        6 => (
            "index_beside_the_application",
            format!(
                "-- no-transaction\nCREATE INDEX CONCURRENTLY ixc{n} ON t{t} (lower(\"odd; name\")) WHERE n > {n};\n"
            ),
            format!("-- no-transaction\nDROP INDEX CONCURRENTLY ixc{n};\n"),
        ),
        _ => (
            "procedure",
            format!(
                "CREATE PROCEDURE p{n}(INOUT x int) LANGUAGE plpgsql AS $body_1$\nBEGIN\n    EXECUTE $inner$SELECT $$;$$ || \
                 'it''s'$inner$;\n    x := x + 1;\nEND;\n$body_1$;\n\
                 CREATE FUNCTION s{n}(int) RETURNS int LANGUAGE sql IMMUTABLE\nBEGIN ATOMIC\n    SELECT 1;\n    SELECT CASE WHEN $1 > 0 THEN \
                 $1 ELSE 0 END;\nEND;\nCREATE TYPE k{n} AS ENUM ('a;', 'b''');\nCALL p{n}(1);\n"
            ),
            format!("DROP TYPE k{n};\nDROP FUNCTION s{n}(int);\nDROP PROCEDURE p{n}(int);"),
        ),
    }
}

fn write(folder: &Path) {
    for n in 0..VERSIONS {
        let (name, up, down) = parts(n);
        let version = 20_240_101_000_000_u64 + u64::from(n);
        std::fs::write(folder.join(format!("{version}_{name}_{n}.up.sql")), up).unwrap();
        std::fs::write(folder.join(format!("{version}_{name}_{n}.down.sql")), down).unwrap();
    }
}

async fn shape(fleet: &Fleet, home: &Home) -> Shape {
    let mut session = fleet.database().connect(&home.tenant).await.unwrap();
    let shape = session.shape().await.unwrap_or_else(|e| panic!("{e:?}"));
    session.close().await;
    shape
}

/// The schemas that sqlx itself leaves with the folder: after going up, all the way down, and up again.
async fn as_sqlx_leaves_it(folder: &Path, fleet: &Fleet) -> Vec<Shape> {
    let mut shapes = Vec::new();
    with(Site::Postgres, async |home| {
        let migrator = Migrator::new(folder).await.unwrap();
        let mut connection = PgConnection::connect(&home.url()).await.unwrap();
        for up in [true, false, true] {
            match up {
                true => migrator.run(&mut connection).await.unwrap(),
                false => migrator.undo(&mut connection, 0).await.unwrap(),
            }
            // Its history is not part of the schema, and neither is ours.
            connection.execute("ALTER TABLE _sqlx_migrations RENAME TO fleet_journal").await.unwrap();
            shapes.push(shape(fleet, home).await);
            connection.execute("ALTER TABLE fleet_journal RENAME TO _sqlx_migrations").await.unwrap();
        }
        connection.close().await.unwrap();
    })
    .await;
    shapes
}

#[tokio::test]
async fn a_long_folder_ends_as_it_does_with_sqlx() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path());
    let scripts = crate::compile::folder::read(folder.path()).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"));
    assert_eq!(scripts.scripts.len(), VERSIONS as usize);
    let none = Migrations::of([]);
    let set = crate::compile::MigrationSet::new(&none).await.unwrap().with_scripts(scripts).unwrap();
    let fleet = Fleet { set: set.into(), ..Fleet::of(&none).await };
    let theirs = as_sqlx_leaves_it(folder.path(), &fleet).await;
    for site in [Site::Postgres, Site::PostgresSchema] {
        with(site, async |home| {
            for (step, theirs) in theirs.iter().enumerate() {
                let record = match step {
                    1 => fleet.down(&home.tenant).await,
                    _ => fleet.up(&home.tenant).await,
                };
                let wanted = if step == 1 { "rolled_back" } else { "migrated" };
                assert_eq!(record.outcome.name(), wanted, "{:?} {:?}", record.error, record.stopped_at);
                assert_eq!(record.committed.len(), VERSIONS as usize);
                let ours = shape(&fleet, home).await;
                assert_eq!(theirs.differences(&ours), [""; 0], "{site:?} step {step}: sqlx and ours");
                assert_eq!(theirs.fingerprint(), ours.fingerprint());
                let state = if step == 1 { State::Empty } else { State::AtTarget };
                assert_eq!(fleet.observe(&home.tenant).await.state, state);
            }
            assert!(theirs[0].tables.len() == 21 && theirs[0].others.len() > 100, "{:?}", theirs[0]);
            assert_eq!(theirs[1].fingerprint(), Shape::default().fingerprint());
            assert_eq!(home.texts("SELECT sum(n)::text FROM t8").await, ["27"], "the rows are those of the scripts");
        })
        .await;
    }
}

/// Each step of a long work checks only what the step before has changed; see `expectation.rs`.
#[tokio::test]
async fn a_thousand_scripts_go_up_and_down_in_one_run() {
    let some = [(Site::Sqlite, 1_000), (Site::Postgres, 300), (Site::PostgresSchema, 100)];
    for (site, scripts) in some.into_iter().chain(Site::mysqls().into_iter().map(|site| (site, 150))) {
        let folder = tempfile::tempdir().unwrap();
        for n in 1..=scripts {
            std::fs::write(folder.path().join(format!("{n:05}_s.up.sql")), format!("CREATE TABLE t{n} (i int);"))
                .unwrap();
            std::fs::write(folder.path().join(format!("{n:05}_s.down.sql")), format!("DROP TABLE t{n};")).unwrap();
        }
        let scripts_of = crate::compile::folder::read(folder.path()).unwrap();
        let none = Migrations::of([]);
        let set = crate::compile::MigrationSet::new(&none).await.unwrap().with_scripts(scripts_of).unwrap();
        let fleet = Fleet { set: set.into(), ..Fleet::of(&none).await };
        with(site, async |home| {
            let record = fleet.up(&home.tenant).await;
            assert_eq!((record.outcome.name(), record.committed.len()), ("migrated", scripts), "{:?}", record.error);
            assert_eq!(fleet.observe(&home.tenant).await.state, State::AtTarget);
            let record = fleet.down(&home.tenant).await;
            assert_eq!((record.outcome.name(), record.committed.len()), ("rolled_back", scripts), "{:?}", record.error);
            assert_eq!(fleet.observe(&home.tenant).await.state, State::Empty);
        })
        .await;
    }
}

/// A step in the middle of a run finds that the history is not as the run itself left it.
#[tokio::test]
async fn a_history_that_changes_in_the_middle_of_a_run_stops_it() {
    for site in [Site::Sqlite, Site::Postgres] {
        for meddle in [
            "INSERT INTO fleet_scripts VALUES ('0009_other', 'x', 0)",
            "DELETE FROM fleet_scripts WHERE version = '0001_a'",
        ] {
            with(site, async |home| {
                let second = format!("CREATE TABLE b (i int);\n{meddle};");
                let files = [
                    ("0001_a.sql", "CREATE TABLE a (i int);"),
                    ("0002_b.sql", second.as_str()),
                    ("0003_c.sql", "SELECT 1"),
                ];
                let record = Fleet::with_scripts(&Migrations::of([]), &files).await.up(&home.tenant).await;
                assert_eq!(record.committed, ["0001_a", "0002_b"], "{site:?} {meddle}: {record:?}");
            })
            .await;
        }
    }
}

/// SQLite's driver hands the whole rest of a text to the engine for each statement, so a large script goes in small texts.
#[tokio::test]
async fn a_large_script_runs_whole_and_names_the_place_of_a_fault() {
    let rows = |wrong: Option<usize>| -> Vec<String> {
        let row = |n| match wrong == Some(n) {
            true => "INSERT INTO big(w) VALUES(0)".to_owned(),
            false => format!("INSERT INTO big(v) VALUES('row {n}; {}')", "x".repeat(150)),
        };
        (1..=4_000).map(row).collect()
    };
    for head in ["", "-- fleet: transaction=false\n"] {
        with(Site::Sqlite, async |home| {
            let text = |wrong| format!("{head}CREATE TABLE big(v TEXT);\n{};\n", rows(wrong).join(";\n"));
            let bad = Fleet::with_scripts(&Migrations::of([]), &[("0001_big.sql", &text(Some(3_000)))]).await;
            if head.is_empty() {
                let record = bad.up(&home.tenant).await;
                let at = record.stopped_at.unwrap();
                assert_eq!(at.statement, Some(3_001), "the first one makes the table");
                assert!(at.file.as_deref().unwrap().ends_with("0001_big.sql:3001"), "{at:?}");
                assert_eq!(home.tables().await, [""; 0], "all of it was rolled back");
            }
            let good = Fleet::with_scripts(&Migrations::of([]), &[("0001_big.sql", &text(None))]).await;
            assert_eq!(good.up(&home.tenant).await.outcome.name(), "migrated");
            assert_eq!(home.texts("SELECT count(DISTINCT v) FROM big").await, ["4000"]);
        })
        .await;
    }
    for transaction in [true, false] {
        with(Site::Sqlite, async |home| {
            let text = format!("CREATE TABLE big(v TEXT);\n{};\n", rows(None).join(";\n"));
            let one = sql("m1", [text]);
            let one = if transaction { one } else { one.without_transaction() };
            let fleet = Fleet::of(&Migrations::of([one])).await;
            assert_eq!(fleet.up(&home.tenant).await.outcome.name(), "migrated");
            assert_eq!(home.texts("SELECT count(DISTINCT v) FROM big").await, ["4000"]);
        })
        .await;
    }
}
