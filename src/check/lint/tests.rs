use std::time::{Duration, Instant};

use super::rules::tests::{found, linted, pair};
use super::*;

const BOTH: [Engine; 3] = Engine::ALL;

/// Scripts on all engines, with the suppressions of a tenant file.
fn subject(texts: &[&str]) -> Subject {
    let pairs = |engine| texts.iter().zip(1..).map(|(text, n)| pair(engine, text, &format!("{n:04}"))).collect();
    let scripts = BOTH.into_iter().map(|engine| (engine, pairs(engine))).collect();
    Subject { scripts, chosen: vec![true; texts.len()], first_new: texts.len(), allowed: BTreeMap::new() }
}

#[test]
fn a_table_of_the_same_migration_has_no_rows_and_no_readers() {
    let text = "CREATE TABLE plans (id integer, name integer);\nALTER TABLE plans DROP COLUMN name;\nUPDATE plans SET id = 1;\n\
                CREATE INDEX plans_id ON plans (id);\nDROP TABLE plans\n-- down\nSELECT 1";
    for engine in BOTH {
        let rules = found(engine, &[text]);
        assert!(rules.iter().all(|rule| rule.starts_with("prefer-")), "{engine} {rules:?}");
        // The same in two migrations is about a table with rows.
        let (made, changed) = text.split_once(";\n").unwrap();
        let rules = found(engine, &[made, changed]);
        for rule in ["ban-drop-column", "unbatched-change", "ban-drop-table"] {
            assert!(rules.contains(&rule), "{engine} {rule} {rules:?}");
        }
    }
}

#[test]
fn tables_made_since_the_last_applied_migration_are_new() {
    let mut subject =
        subject(&["CREATE TABLE a (id integer)", "CREATE TABLE b (id integer)", "DROP TABLE b;\nDROP TABLE a"]);
    (subject.first_new, subject.chosen) = (1, vec![false, true, true]);
    let found = lint(&subject).findings;
    let drops: Vec<&Finding> = found.iter().filter(|f| f.rule == "ban-drop-table").collect();
    assert_eq!(drops.len(), 1, "{drops:?}");
    assert!(drops[0].what.contains("drops a"), "{drops:?}");
    assert!(found.iter().all(|f| f.place.index > 0), "the first one is not chosen: {found:?}");
}

#[test]
fn a_finding_on_three_engines_is_one_with_its_file_and_line() {
    let found = lint(&subject(&["-- A note.\n\nSELECT 1;\n\nALTER TABLE users\n  DROP COLUMN plan"])).findings;
    let drops: Vec<&Finding> = found.iter().filter(|f| f.rule == "ban-drop-column").collect();
    assert_eq!(drops.len(), 1, "{drops:?}");
    assert_eq!((drops[0].engines.as_slice(), drops[0].place.line, drops[0].place.statement), (&Engine::ALL[..], 5, 2));
    assert_eq!(drops[0].place.file.as_deref(), Some("0001.sql"));
    // squawk tells a place inside of the statement.
    let inside = found.iter().find(|f| f.rule == "ban-drop-column" || f.place.line == 6);
    assert!(inside.is_some(), "{found:?}");
}

#[test]
fn a_suppression_with_its_reason_is_kept_and_one_for_nothing_is_told() {
    let above = "SELECT 1;\n-- fleet: allow=ban-drop-table it is empty\nDROP TABLE a;\nDROP TABLE b";
    let head = "-- fleet: allow=ban-drop-table both are empty\nSELECT 1;\nDROP TABLE a;\nDROP TABLE b";
    let told = |text: &str| {
        let found = lint(&subject(&[text])).findings.into_iter().filter(|f| f.rule == "ban-drop-table");
        found.map(|f| (f.place.statement, f.suppressed)).collect::<Vec<_>>()
    };
    assert_eq!(told(above), [(2, Some("it is empty".to_owned())), (3, None)]);
    let reason = Some("both are empty".to_owned());
    assert_eq!(told(head), [(2, reason.clone()), (3, reason)]);

    let mut subject = subject(&["DROP TABLE a"]);
    let rules = [("ban-drop-table", "it is empty"), ("ban-drop-colum", "a typo"), ("renaming-table", "not any more")];
    let rules = rules.map(|(rule, reason)| (rule.to_owned(), reason.to_owned())).into();
    subject.allowed = BTreeMap::from([("0001".to_owned(), rules)]);
    let all = lint(&subject).findings;
    let drop = all.iter().find(|f| f.rule == "ban-drop-table");
    assert_eq!(drop.and_then(|f| f.suppressed.as_deref()), Some("it is empty"));
    let unused: Vec<&str> = all.iter().filter(|f| f.rule == "unused-suppression").map(|f| f.what.as_str()).collect();
    assert_eq!(unused.len(), 2, "{unused:?}");
    assert!(unused[0].contains("ban-drop-colum") && unused[0].contains("no rule has that name"), "{unused:?}");
    assert!(unused[1].contains("renaming-table") && unused[1].contains("nothing to suppress"), "{unused:?}");
}

#[test]
fn a_statement_that_no_parser_knows_is_not_analysed_and_no_error() {
    for engine in BOTH {
        let result = linted(engine, &["SELECT 1;\nFROBNICATE THE users;\nDROP TABLE users"]);
        let notes: Vec<usize> = result.not_analysed.iter().map(|n| n.place.line).collect();
        assert_eq!(notes, [2], "{engine} {:?}", result.not_analysed);
        assert!(
            result.findings.iter().any(|f| f.rule == "ban-drop-table" && f.place.line == 3),
            "{engine}: the rest is read"
        );
        assert_eq!(result.counted(Severity::Error), 0, "{engine}");
    }
    let body = "CREATE TRIGGER t AFTER INSERT ON users BEGIN UPDATE users SET plan = 'x'; END";
    assert_eq!(linted(Engine::Sqlite, &[body]).not_analysed.len(), 1, "a body is not read");
    let block = "DO $$ BEGIN DROP TABLE users; END $$";
    assert_eq!(linted(Engine::Postgres, &[block]).not_analysed.len(), 1, "nor is a block");
}

#[test]
fn five_hundred_scripts_are_linted_in_a_second() {
    let one = |n: usize| {
        format!(
            "-- Migration {n}.\nCREATE TABLE t{n} (id bigint PRIMARY KEY, parent_id bigint REFERENCES t0 (id), name text NOT NULL);\n\
             CREATE INDEX t{n}_parent ON t{n} (parent_id);\nALTER TABLE t0 ADD COLUMN c{n} text;\n\
             UPDATE t0 SET c{n} = 'x' WHERE c{n} IS NULL;\nINSERT INTO t{n} SELECT id, id, 'a;b' FROM t0;\n-- down\nDROP TABLE t{n}"
        )
    };
    let texts: Vec<String> = (0..500).map(one).collect();
    let subject = subject(&texts.iter().map(String::as_str).collect::<Vec<_>>());
    let begun = Instant::now();
    let result = lint(&subject);
    // Without optimization, and beside other tests: ten times what a release build needs.
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    assert_eq!(result.statements, 500 * 3 * 6);
}
