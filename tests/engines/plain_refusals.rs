//! Statements that an engine plainly refused, whatever stands around them, and commits that it refused.

use crate::model::fault::FaultClass;
use crate::model::outcome::Outcome;

use crate::engines::support::fleet::Fleet;
use crate::engines::support::migrations::{Migrations, sql};
use crate::engines::support::{Home, Site, with, with_mysqls};

const MAKES: &str = "CREATE TABLE a (i int NOT NULL PRIMARY KEY)";

/// A block of a script that asks before it acts, with this text.
fn asks(text: &str) -> String {
    format!(
        "SET @q = IF((SELECT count(*) FROM a) >= 0, '{text}', 'SELECT 1');\nPREPARE s FROM @q;\nEXECUTE s;\nDEALLOCATE PREPARE s"
    )
}

/// Scripts of which one statement is refused; the number of statements that have stayed; whether only MariaDB has it.
fn refused() -> Vec<(String, usize, bool)> {
    let with = |inner: &str| format!("SET STATEMENT max_statement_time = 10 FOR {inner}");
    let scripts = [
        (format!("{};\n{}", with("INSERT INTO a VALUES (1)"), with("INSERT INTO gone VALUES (1)")), 2, true),
        (format!("{};\n{}", with("INSERT INTO a VALUES (1)"), with("INSERT INTO a VALUES (1)")), 2, true),
        (format!("{};\n{}", with("DROP TABLE IF EXISTS x"), with("INSER INTO a VALUES (1)")), 2, true),
        (with("CALL gone()"), 1, true),
        ("SELECT 1;\nCALL gone()".to_owned(), 2, false),
        ("CALL gone_too.gone()".to_owned(), 1, false),
        ("EXECUTE IMMEDIATE 'INSERT INTO gone VALUES (1)'".to_owned(), 1, true),
        ("EXECUTE IMMEDIATE 'CALL gone()'".to_owned(), 1, true),
        ("PREPARE s FROM 'INSERT INTO a VALUES (1), (1)';\nEXECUTE s".to_owned(), 2, false),
        (format!("{};\n{}", asks("INSERT INTO a VALUES (1)"), asks("INSERT INTO a VALUES (1)")), 5, false),
        ("BEGIN NOT ATOMIC SELECT * FROM gone; END".to_owned(), 1, true),
        ("BEGIN NOT ATOMIC SELEC 1; END".to_owned(), 1, true),
        ("IF 1 THEN SIGNAL SQLSTATE '45000'; END IF".to_owned(), 1, true),
        ("CREATE PROCEDURE asks() SELECT * FROM gone;\nCALL asks()".to_owned(), 2, false),
        ("CREATE PROCEDURE asks() SELECT 1;\nCALL asks(1, 2)".to_owned(), 2, false),
        ("ANALYZE INSERT INTO gone VALUES (1)".to_owned(), 1, true),
        ("DO gone()".to_owned(), 1, false),
        ("SELECT gone()".to_owned(), 1, false),
    ];
    scripts.into()
}

#[tokio::test]
async fn a_statement_that_mysql_plainly_refused_is_not_in_doubt() {
    with_mysqls(async |home: &Home| {
        let end = "DROP TABLE IF EXISTS a, gone, fleet_journal, fleet_scripts, seaql_migrations; DROP PROCEDURE IF EXISTS asks";
        for (text, stayed, is_mariadbs) in refused() {
            if is_mariadbs && home.site != Site::Mariadb {
                continue;
            }
            let script = format!("{MAKES};\n{text};");
            let fleet = Fleet::with_scripts(&Migrations::of([]), &[("0001_a.sql", &script)]).await;
            let record = fleet.up(&home.tenant).await;
            assert!(matches!(record.outcome, Outcome::Failed { .. }), "{text}: {record:?}");
            assert_eq!(record.stopped_at.as_ref().and_then(|at| at.stayed), Some(stayed), "{text}: {record:?}");
            assert_eq!(fleet.observe(&home.tenant).await.state.name(), "partially_applied", "{text}");
            home.run(end).await;
        }
        // Nothing is there to go on behind.
        let script = "SET @q = (SELECT 'CALL gone()');\nSELECT 1;\nCALL gone();";
        let fleet = Fleet::with_scripts(&Migrations::of([]), &[("0001_a.sql", script)]).await;
        let record = fleet.up(&home.tenant).await;
        assert_eq!(record.stopped_at.as_ref().and_then(|at| at.stayed), Some(0), "{record:?}");
        assert_eq!(fleet.observe(&home.tenant).await.state.name(), "empty");
        home.run(end).await;
        // The next run prepares it again.
        let script = format!("{MAKES};\n{};\n{};", asks("INSERT INTO a VALUES (1)"), asks("INSERT INTO gone VALUES (2)"));
        let fleet = Fleet::with_scripts(&Migrations::of([]), &[("0001_a.sql", &script)]).await;
        assert_eq!(fleet.up(&home.tenant).await.outcome, Outcome::Failed { class: FaultClass::Missing });
        home.run("CREATE TABLE gone (i int)").await;
        let record = fleet.up(&home.tenant).await;
        assert_eq!(record.outcome.name(), "migrated", "{record:?}");
        assert_eq!(home.texts("SELECT i FROM a UNION ALL SELECT i FROM gone").await, ["1", "2"]);
        home.run(end).await;
    })
    .await;
}

#[tokio::test]
async fn a_procedure_that_failed_behind_its_first_write_stays_in_doubt_and_says_why() {
    with_mysqls(async |home: &Home| {
        let writes = "CREATE PROCEDURE writes() BEGIN INSERT INTO a VALUES (1); INSERT INTO a VALUES (1); END";
        let script = format!("{MAKES};\n{writes};\nCALL writes();");
        let fleet = Fleet::with_scripts(&Migrations::of([]), &[("0001_a.sql", &script)]).await;
        let record = fleet.up(&home.tenant).await;
        assert!(matches!(record.outcome, Outcome::InDoubt(_)), "{record:?}");
        let said = record.error.unwrap().message;
        assert!(said.contains("may have done a part of its work"), "{said}");
    })
    .await;
}

/// No statement fails: the constraint is checked where the transaction ends.
#[tokio::test]
async fn a_deferred_constraint_is_told_with_its_row_and_the_statements_on_its_table() {
    with(Site::Postgres, async |home: &Home| {
        let all = [
            "CREATE TABLE parent (id int PRIMARY KEY)",
            "CREATE TABLE child (pid int CONSTRAINT child_fk REFERENCES parent DEFERRABLE INITIALLY DEFERRED)",
            "INSERT INTO child VALUES (9)",
            "SELECT 1",
        ];
        let script = all.join(";\n") + ";";
        let fleets = [
            (Fleet::with_scripts(&Migrations::of([]), &[("0001_a.sql", &script)]).await, "0001_a.sql:2, "),
            (Fleet::of(&Migrations::of([sql("m1", all)])).await, "statement 2 of m1, statement 3 of m1"),
            (Fleet::of(&Migrations::of([sql("m1", all)])).await.native(true), ""),
        ];
        for (fleet, places) in fleets {
            let record = fleet.up(&home.tenant).await;
            assert_eq!(record.outcome, Outcome::Failed { class: FaultClass::ConstraintViolation }, "{record:?}");
            assert!(record.stopped_at.is_some(), "{record:?}");
            let said = record.error.unwrap().message;
            for words in ["told at the end of the transaction", "\"child_fk\"", "Key (pid)=(9)", "\"parent\"", places] {
                assert!(said.contains(words), "{words}: {said}");
            }
        }
        let trigger = "CREATE TABLE t (i int);\nCREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'too many'; END \
                       $$;\nCREATE CONSTRAINT TRIGGER late AFTER INSERT ON t DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION \
                       f();\nINSERT INTO t VALUES (1);";
        let fleet = Fleet::with_scripts(&Migrations::of([]), &[("0001_a.sql", trigger)]).await;
        let said = fleet.up(&home.tenant).await.error.unwrap().message;
        assert!(said.contains("too many; told at the end of the transaction") && said.contains("in PL/pgSQL function f()"), "{said}");
    })
    .await;
    with(Site::Sqlite, async |home: &Home| {
        let all = [
            "CREATE TABLE parent (id integer PRIMARY KEY)",
            "CREATE TABLE child (pid int REFERENCES parent DEFERRABLE INITIALLY DEFERRED)",
            "INSERT INTO child VALUES (9)",
        ];
        let script = all.join(";\n") + ";";
        for fleet in [
            Fleet::with_scripts(&Migrations::of([]), &[("0001_a.sql", &script)]).await,
            Fleet::of(&Migrations::of([sql("m1", all)])).await,
        ] {
            let said = fleet.up(&home.tenant).await.error.unwrap().message;
            let words =
                ["told at the end of the transaction", "rows that refer to nothing: child (rowid 1) by pid to parent"];
            assert!(words.iter().all(|words| said.contains(words)), "{said}");
        }
        let native = Fleet::of(&Migrations::of([sql("m1", all)])).await.native(true);
        let record = native.up(&home.tenant).await;
        assert!(
            record.stopped_at.is_some() && record.error.unwrap().message.contains("told at the end of the transaction")
        );
    })
    .await;
}
