use std::time::{Duration, Instant};

use super::rules::tests::{found, linted, pair};
use super::*;

const BOTH: [Engine; 3] = Engine::ALL;

/// Scripts on all engines, with the suppressions of a tenant file.
fn subject(texts: &[&str]) -> Subject {
    let pairs = |engine| texts.iter().zip(1..).map(|(text, n)| pair(engine, text, &format!("{n:04}"))).collect();
    let scripts = BOTH.into_iter().map(|engine| (engine, pairs(engine))).collect();
    Subject {
        scripts,
        chosen: vec![true; texts.len()],
        is_new: vec![false; texts.len()],
        is_whole_fleet: true,
        allowed: BTreeMap::new(),
    }
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
fn a_view_that_the_same_script_makes_again_is_not_missed() {
    let again = "DROP MATERIALIZED VIEW IF EXISTS totals;\nCREATE MATERIALIZED VIEW totals AS SELECT 1 AS n;\n\
                 CREATE UNIQUE INDEX totals_n ON totals (n)";
    let rules = found(Engine::Postgres, &[again]);
    for rule in ["ban-drop-view", "require-concurrent-index-creation"] {
        assert!(!rules.contains(&rule), "{rules:?}");
    }
    let gone = found(Engine::Postgres, &["DROP VIEW totals, users_of;\nCREATE VIEW totals AS SELECT 1 AS n"]);
    assert!(gone.contains(&"ban-drop-view"), "one of the two is missed: {gone:?}");
}

#[test]
fn a_suppression_is_one_too_many_only_if_the_whole_fleet_was_linted() {
    let mut subject = subject(&["SELECT 1"]);
    subject.allowed.insert("0001".into(), [("ban-drop-table".to_owned(), "small".to_owned())].into());
    let unused = |subject: &Subject| lint(subject).findings.iter().filter(|f| f.rule == "unused-suppression").count();
    assert_eq!(unused(&subject), 1);
    subject.is_whole_fleet = false;
    assert_eq!(unused(&subject), 0);
}

#[test]
fn tables_made_since_the_last_applied_migration_are_new() {
    let mut subject =
        subject(&["CREATE TABLE a (id integer)", "CREATE TABLE b (id integer)", "DROP TABLE b;\nDROP TABLE a"]);
    (subject.is_new, subject.chosen) = (vec![false, true, true], vec![false, true, true]);
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

#[test]
fn texts_that_would_end_the_process_are_not_analysed() {
    let deep = format!("SELECT {}1{}", "(".repeat(1_000), ")".repeat(1_000));
    let chain = format!("DELETE FROM users WHERE {}", vec!["id = 1"; 8_000].join(" OR "));
    let union = vec!["SELECT 1"; 8_000].join(" UNION ALL ");
    for text in [deep, chain, union] {
        let linted = linted(Engine::Postgres, &["CREATE TABLE users (id int)", &text]);
        assert_eq!(linted.not_analysed.len(), 1, "{:?}", linted.not_analysed);
        assert_eq!(linted.not_analysed[0].place.statement, 1);
    }
}

#[test]
fn a_table_that_may_have_been_there_is_not_new() {
    let (pg, lite, my) = (Engine::Postgres, Engine::Sqlite, Engine::Mysql);
    for (engine, text, rule) in [
        (pg, "CREATE TABLE IF NOT EXISTS users (id int); DROP TABLE users", "ban-drop-table"),
        (lite, "CREATE TABLE IF NOT EXISTS users (id int); DROP TABLE users", "ban-drop-table"),
        (pg, "CREATE TABLE IF NOT EXISTS users (id int); ALTER TABLE users DROP COLUMN email", "ban-drop-column"),
        (my, "CREATE TABLE IF NOT EXISTS users (id int); DELETE FROM users", "unbatched-change"),
        (pg, "CREATE TABLE other.users (id int); DROP TABLE users", "ban-drop-table"),
        (pg, "CREATE TABLE \"Users\" (id int); DROP TABLE Users", "ban-drop-table"),
        (pg, "CREATE TEMP TABLE users (id int); DROP TABLE users; DROP TABLE users", "ban-drop-table"),
        (my, "CREATE TABLE users (id int); DROP TABLE users; DELETE FROM users", "unbatched-change"),
    ] {
        let text = text.replace("; ", ";\n");
        assert!(found(engine, &[&text]).contains(&rule), "{engine} {text}: {:?}", found(engine, &[&text]));
    }
    let index = "CREATE TABLE IF NOT EXISTS users (id int);\nCREATE INDEX i ON users (id)";
    assert!(!found(pg, &[index]).contains(&"require-concurrent-index-creation"), "it is made here as a rule");
}

#[test]
fn each_way_to_lose_rows_or_to_hold_a_table_is_told() {
    let (pg, lite, my) = (Engine::Postgres, Engine::Sqlite, Engine::Mysql);
    for (engine, text, rule) in [
        (pg, "TRUNCATE users", "ban-drop-table"),
        (pg, "WITH d AS (DELETE FROM users RETURNING id) SELECT count(*) FROM d", "unbatched-change"),
        (pg, "DELETE FROM users WHERE true", "unbatched-change"),
        (pg, "VACUUM FULL users", "exclusive-lock"),
        (pg, "CLUSTER users USING users_pkey", "exclusive-lock"),
        (pg, "ALTER TABLE users SET UNLOGGED", "exclusive-lock"),
        (pg, "ALTER TABLE users SET TABLESPACE fast", "exclusive-lock"),
        (pg, "LOCK TABLE users", "exclusive-lock"),
        (pg, "REFRESH MATERIALIZED VIEW totals", "exclusive-lock"),
        (my, "DROP DATABASE acme", "ban-drop-table"),
        (my, "DROP TABLES users, orders", "ban-drop-table"),
        (my, "TRUNCATE TABLE users", "ban-drop-table"),
        (my, "ALTER TABLE users DROP PARTITION p0", "ban-drop-table"),
        (my, "ALTER TABLE users TRUNCATE PARTITION p0", "ban-drop-table"),
        (my, "ALTER TABLE users EXCHANGE PARTITION p0 WITH TABLE old", "ban-drop-table"),
        (my, "ALTER TABLE users DISCARD TABLESPACE", "ban-drop-table"),
        (my, "ALTER TABLE users PARTITION BY HASH (id) PARTITIONS 4", "copying-alter"),
        (my, "ALTER TABLE users REMOVE PARTITIONING", "copying-alter"),
        (my, "ALTER TABLE users ADD PRIMARY KEY (id)", "copying-alter"),
        (my, "ALTER TABLE users ADD COLUMN n int AS (id + 1) STORED", "copying-alter"),
        (my, "OPTIMIZE TABLE users", "copying-alter"),
        (my, "WITH d AS (SELECT 1) DELETE FROM users", "unbatched-change"),
        (my, "DELETE FROM users WHERE 1", "unbatched-change"),
        (pg, "UPDATE users SET a = lower(b), \"C\" = 1 WHERE \"C\" IS NULL AND b > 2", "unbatched-change"),
        (my, "UPDATE `users` SET `a` = 1 WHERE (a IS NULL)", "unbatched-change"),
        (pg, "UPDATE users SET a = 1 WHERE a IS NULL AND born >= '2020-01-01'", "unbatched-change"),
        (lite, "UPDATE users SET a = 1", "unbatched-change"),
        (pg, "INSERT INTO s.users SELECT * FROM ONLY \"Old\" ON CONFLICT DO NOTHING", "unbatched-copy"),
        (my, "REPLACE INTO users (id) SELECT o.id FROM shop.orders o JOIN items i ON i.o = o.id", "unbatched-copy"),
        (lite, "INSERT INTO users SELECT id FROM orders", "unbatched-copy"),
        (lite, "ALTER TABLE 'users' DROP COLUMN [email]", "ban-drop-column"),
        (lite, "WITH d AS (SELECT 1) DELETE FROM users", "unbatched-change"),
    ] {
        assert!(found(engine, &[text]).contains(&rule), "{engine} {text}: {:?}", found(engine, &[text]));
    }
    for (engine, text) in [
        (pg, "WITH d AS (DELETE FROM users WHERE id = 1 RETURNING id) SELECT count(*) FROM d"),
        (pg, "VACUUM (ANALYZE) users"),
        (my, "WITH d AS (SELECT 1) DELETE FROM users WHERE id IN (SELECT * FROM d)"),
        (pg, "UPDATE users SET a = 1 WHERE b IS NULL"),
        (pg, "UPDATE users SET a = 1 WHERE a IS NULL AND id = 3"),
        (pg, "UPDATE users SET a = 1 WHERE ((a IS NULL AND id = 3))"),
        (pg, "UPDATE users SET a = 1 WHERE a IS NULL OR b > 3"),
        (my, "UPDATE users SET a = 1 WHERE a IS NULL LIMIT 100"),
        (pg, "INSERT INTO users VALUES (1)"),
        (pg, "INSERT INTO users SELECT 1, 'from'"),
        (pg, "INSERT INTO users SELECT n FROM generate_series(1, 9) n"),
        (my, "INSERT INTO users SELECT id FROM orders WHERE id < 9 ON DUPLICATE KEY UPDATE id = id"),
        (lite, "INSERT INTO users SELECT region, count(*) FROM orders GROUP BY region"),
        (lite, "CREATE TABLE users (id int); INSERT INTO users SELECT id FROM orders"),
    ] {
        let rules = found(engine, &[&text.replace("; ", ";\n")]);
        for rule in ["unbatched-change", "unbatched-copy", "exclusive-lock"] {
            assert!(!rules.contains(&rule), "{text}: {rules:?}");
        }
    }
}

#[test]
fn suppressions_of_others_hide_nothing_and_a_default_of_the_transaction_is_no_rewrite() {
    let drop = "ALTER TABLE users DROP COLUMN email";
    for comment in
        ["-- squawk-ignore-file", "-- squawk-ignore-file ban-drop-column", "-- squawk-ignore renaming-column"]
    {
        let text = format!("{comment}\nALTER TABLE users RENAME COLUMN a TO b;\n{drop}");
        let rules = found(Engine::Postgres, &[&text]);
        assert!(rules.contains(&"ban-drop-column") && rules.contains(&"renaming-column"), "{comment}: {rules:?}");
    }
    let of = |default: &str| {
        let text = format!("ALTER TABLE users ADD COLUMN n text DEFAULT {default}");
        found(Engine::Postgres, &[&text]).contains(&"adding-field-with-default")
    };
    for constant in ["(1 + 1)", "current_date", "now()", "'x'::varchar(10)"] {
        assert!(!of(constant), "{constant}");
    }
    for computed in ["gen_random_uuid()", "(random() * 2)", "clock_timestamp()", "nextval('s')"] {
        assert!(of(computed), "{computed}");
    }
}

#[test]
fn a_text_that_becomes_longer_is_no_rewrite() {
    let of = |made: &str, changes: &[&str]| {
        let texts: Vec<String> =
            changes.iter().map(|to| format!("ALTER TABLE users ALTER COLUMN name TYPE {to}")).collect();
        let made = format!("CREATE TABLE users (id int, name {made} NOT NULL)");
        let all: Vec<&str> = std::iter::once(&made).chain(&texts).map(String::as_str).collect();
        found(Engine::Postgres, &all).contains(&"changing-column-type")
    };
    for (made, to) in [("varchar(200)", "text"), ("varchar(200)", "character varying(300)"), ("text", "varchar")] {
        assert!(!of(made, &[to]), "{made} to {to}");
    }
    for (made, to) in [
        ("varchar(200)", "varchar(100)"),
        ("int", "text"),
        ("varchar(9)", "text USING upper(name)"),
        ("text", "varchar(9)"),
    ] {
        assert!(of(made, &[to]), "{made} to {to}");
    }
    assert!(of("varchar(9)", &["int", "text"]), "which change is behind which is not known");
}

#[test]
fn what_readers_of_the_version_before_miss_is_told_on_each_engine() {
    let (pg, lite, my) = (Engine::Postgres, Engine::Sqlite, Engine::Mysql);
    for engine in BOTH {
        let gone = found(engine, &["DROP VIEW IF EXISTS totals, \"Users_of\""]);
        assert!(gone.contains(&"ban-drop-view"), "{engine}: {gone:?}");
        for kept in [
            "DROP VIEW totals;\nCREATE VIEW totals AS SELECT 1 AS n",
            "CREATE VIEW totals AS SELECT 1 AS n;\nDROP VIEW totals",
            "SELECT 1\n-- down\nDROP VIEW totals",
        ] {
            assert!(!found(engine, &[kept]).contains(&"ban-drop-view"), "{engine}: {kept}");
        }
        let several = found(engine, &["DROP VIEW totals, users_of;\nCREATE VIEW totals AS SELECT 1 AS n"]);
        assert!(several.contains(&"ban-drop-view"), "{engine}: one of the two is missed: {several:?}");
        let crossed = "DROP VIEW totals;\nCREATE TABLE totals (id int)";
        assert!(found(engine, &[crossed]).contains(&"ban-drop-view"), "{engine}: a table is no view");
    }
    assert!(found(pg, &["DROP MATERIALIZED VIEW totals"]).contains(&"ban-drop-view"));
    for (engine, text) in [
        (pg, "DROP FUNCTION total(int), other"),
        (pg, "DROP PROCEDURE IF EXISTS s.fill"),
        (my, "DROP FUNCTION IF EXISTS total"),
        (my, "DROP PROCEDURE fill"),
    ] {
        assert!(found(engine, &[text]).contains(&"ban-drop-function"), "{engine} {text}");
    }
    for (text, lost) in [
        ("DROP FUNCTION f(int);\nCREATE FUNCTION f(text) RETURNS int LANGUAGE sql RETURN 1", "f(integer)"),
        ("DROP FUNCTION f(a int4, OUT b int);\nCREATE FUNCTION f(x integer = 1) RETURNS int LANGUAGE sql RETURN 1", ""),
        ("DROP FUNCTION f;\nCREATE FUNCTION f(text) RETURNS int LANGUAGE sql RETURN 1", ""),
        ("DROP FUNCTION f();\nCREATE OR REPLACE FUNCTION f(int) RETURNS int LANGUAGE sql RETURN 1", "f()"),
        ("DROP FUNCTION f(int), f(text);\nCREATE FUNCTION f(text) RETURNS int LANGUAGE sql RETURN 1", "f(integer)"),
        ("DROP FUNCTION a.f(int);\nCREATE FUNCTION b.f(int) RETURNS int LANGUAGE sql RETURN 1", "a.f(integer)"),
        ("DROP FUNCTION a.f(int);\nCREATE FUNCTION f(int) RETURNS int LANGUAGE sql RETURN 1", ""),
        ("DROP FUNCTION f(int);\nDO $$ BEGIN EXECUTE 'CREATE FUNCTION f(text) RETURNS int RETURN 1'; END $$", ""),
        ("DROP PROCEDURE IF EXISTS p(int[]);\nCREATE PROCEDURE p(int) LANGUAGE sql AS ''", "p(integer[])"),
        ("DROP ROUTINE p(int);\nCREATE PROCEDURE p(a int) LANGUAGE sql AS ''", ""),
        (
            "DROP AGGREGATE total(int);\nCREATE AGGREGATE total(bigint) (SFUNC = int8pl, STYPE = bigint)",
            "total(integer)",
        ),
        ("DROP AGGREGATE total(int);\nCREATE AGGREGATE total(int4) (SFUNC = int4pl, STYPE = int)", ""),
        ("DROP AGGREGATE total(int);\nCREATE AGGREGATE total (BASETYPE = int, SFUNC = int4pl, STYPE = int)", ""),
        (
            "DROP OPERATOR @@@ (text, int);\nCREATE OPERATOR @@@ (LEFTARG = text, RIGHTARG = int8, FUNCTION = f)",
            "@@@(text, integer)",
        ),
        ("DROP OPERATOR s.@@@ (NONE, int);\nCREATE OPERATOR s.@@@ (RIGHTARG = int4, FUNCTION = f)", ""),
        ("DROP OPERATOR CLASS c USING btree", ""),
    ] {
        let all = linted(pg, &[text]).findings;
        let told = all.iter().find(|found| found.rule == "ban-drop-function").map(|found| found.what.as_str());
        assert!(
            told.map_or(lost.is_empty(), |told| !lost.is_empty() && told.contains(&format!(" {lost},"))),
            "{text}: {told:?}"
        );
    }
    assert!(found(pg, &["DROP VIEW a.totals;\nCREATE VIEW b.totals AS SELECT 1 AS n"]).contains(&"ban-drop-view"));
    let columns = "DROP VIEW totals;\nCREATE OR REPLACE VIEW s.totals (n) AS SELECT 1";
    assert!(!found(pg, &[columns]).contains(&"ban-drop-view"));
    let again = "DROP FUNCTION IF EXISTS total;\nCREATE FUNCTION total() RETURNS int DETERMINISTIC RETURN 1";
    assert!(!found(my, &[again]).contains(&"ban-drop-function"));
    let called = "DROP FUNCTION total;\nCREATE TRIGGER t AFTER INSERT ON users EXECUTE FUNCTION total()";
    assert!(found(pg, &[called]).contains(&"ban-drop-function"), "a trigger that calls it does not make it");
    let made =
        "CREATE TABLE users (id bigint, name varchar(200), born datetime, note text, n int, price decimal(10,2));";
    for (change, is_narrower) in [
        ("MODIFY id int", true),
        ("CHANGE COLUMN `name` title VARCHAR(100) NOT NULL", true),
        ("MODIFY COLUMN born date, ADD COLUMN x int", true),
        ("MODIFY note varchar(500)", true),
        ("MODIFY n tinyint", true),
        ("MODIFY id bigint NOT NULL", false),
        ("MODIFY name varchar(300)", false),
        ("MODIFY name text", false),
        ("MODIFY n bigint", false),
        ("MODIFY name int", true),
        ("MODIFY id int unsigned", true),
        ("MODIFY id bigint(20) unsigned", true),
        ("MODIFY price decimal(8,2)", true),
        ("MODIFY price decimal(10,1)", true),
        ("MODIFY price bigint", true),
        ("MODIFY price decimal(12,2)", false),
        ("MODIFY n int unsigned, ADD INDEX (n)", true),
        ("MODIFY born text", false),
        ("MODIFY n mediumtext", false),
        ("MODIFY other tinyint", false),
        ("MODIFY n tinyint, MODIFY n bigint", false),
    ] {
        let rules = found(my, &[made, &format!("ALTER TABLE users {change}")]);
        assert_eq!(rules.contains(&"narrowing-column-type"), is_narrower, "{change}: {rules:?}");
    }
    let down = "SELECT 1\n-- down\nALTER TABLE users MODIFY id int";
    assert!(!found(my, &[made, down]).contains(&"narrowing-column-type"));
    assert!(!found(lite, &["DROP TRIGGER t"]).contains(&"ban-drop-function"));
}

#[test]
fn a_table_that_is_built_anew_with_narrower_columns_is_found() {
    let [lite, pg, my] = Engine::ALL;
    let made = "CREATE TABLE users (id bigint PRIMARY KEY, name varchar(200), price double)";
    let renamed = |columns: &str| {
        format!(
            "CREATE TABLE users_new ({columns});\nINSERT INTO users_new SELECT * FROM users;\nDROP TABLE users;\n\
             ALTER TABLE users_new RENAME TO users"
        )
    };
    let moved = |columns: &str| {
        format!(
            "ALTER TABLE users RENAME TO users_old;\nCREATE TABLE users ({columns});\nINSERT INTO users SELECT * FROM users_old;\n\
             DROP TABLE users_old"
        )
    };
    let rule = |engine, texts: &[&str]| {
        let all = linted(engine, texts).findings;
        all.into_iter().find(|f| f.rule == "narrowing-column-type").map(|found| (found.table.unwrap(), found.what))
    };
    let says = |column: &str| {
        let what =
            format!("makes {column} of users narrower, and a program that still runs may write values that do not fit");
        Some(("users".to_owned(), what))
    };
    for (engine, columns, narrower) in [
        (my, "id bigint, name varchar(50), price double", "name"),
        (pg, "id int8, name character varying(50), price float8", "name"),
        (pg, "id integer, name text, price float", "id"),
        (my, "id bigint, name varchar(300), price double", ""),
        (lite, "id bigint, name varchar(50), price double", ""),
        (lite, "id bigint, name integer, price double", "name"),
        (lite, "\"id\" bigint, 'price' real, [name] date_text NOT NULL", ""),
        (lite, "id bigint, name text, price integer", ""),
        (lite, "id real, name text, price double", "id"),
    ] {
        for text in [renamed(columns), moved(columns)] {
            let expected = if narrower.is_empty() { None } else { says(narrower) };
            assert_eq!(rule(engine, &[made, &text]), expected, "{engine} {text}");
            assert_eq!(rule(engine, &[made, &format!("SELECT 1\n-- down\n{text}")]), None, "{engine} down");
            let other = text.replace("users", "others");
            assert_eq!(rule(engine, &[made, &other]), None, "{engine}: of what the table was nothing is known");
            // After another rebuild nobody knows what it was.
            assert_eq!(rule(engine, &[made, &text, &text]), None, "{engine} twice: {text}");
        }
    }
    let swapped = "CREATE TABLE users_new (id int, name varchar(200), price double);\n\
                   RENAME TABLE users TO users_old, users_new TO users";
    assert_eq!(rule(my, &[made, swapped]), says("id"));
    let of_one = format!("{made};\n{}", renamed("id int, name int, price int"));
    for engine in Engine::ALL {
        assert_eq!(rule(engine, &[&of_one]), None, "{engine}: the table is new");
    }
}

#[test]
fn the_rows_of_a_copy_and_of_a_rebuild_are_those_of_the_old_table() {
    use super::live::{LiveTenant, judge};
    let copy = "INSERT INTO archive (id) SELECT id FROM app.Orders";
    let rebuild = "CREATE TABLE orders_new (id int);\nINSERT INTO orders_new SELECT id FROM orders WHERE id > 0;\nDROP TABLE orders;\n\
                   ALTER TABLE orders_new RENAME TO orders";
    for (engine, text, rule) in Engine::ALL.map(|engine| (engine, copy, "unbatched-copy")).into_iter().chain([(
        Engine::Sqlite,
        rebuild,
        "table-rebuild",
    )]) {
        let mut all = linted(engine, &[text]);
        let rows = [("orders".to_owned(), 48_000_000), ("archive".to_owned(), 1)].into();
        let answer = Ok((BTreeSet::new(), rows));
        judge(&mut all, &[LiveTenant { tenant: "acme".into(), engine, wave: "rest".to_owned(), answer }]);
        let found = all.findings.iter().find(|found| found.rule == rule).unwrap();
        assert_eq!(found.table.as_deref(), Some("orders"));
        assert!(
            found.what.ends_with("live: 1 tenant over 1M rows of orders, the largest about 48M (acme)"),
            "{engine} {found:?}"
        );
    }
}

#[test]
fn a_query_that_may_write_is_not_analysed() {
    for sql in [
        "SELECT f_that_deletes()",
        "SELECT setval('o_id_seq', 1)",
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity",
        "WITH x AS (SELECT s.purge(1)) SELECT * FROM x",
    ] {
        let result = linted(Engine::Postgres, &[sql]);
        assert!(result.not_analysed.iter().any(|one| one.why.contains("which may write")), "{sql}: {result:?}");
    }
    for sql in [
        "SELECT count(*), coalesce(max(a), 0) FROM o WHERE a IN (1, 2) AND (b OR c)",
        "WITH x (a) AS (SELECT 1) SELECT cast(a AS varchar(9)) FROM x",
    ] {
        for engine in Engine::ALL {
            assert_eq!(linted(engine, &[sql]).not_analysed, [], "{engine}: {sql}");
        }
    }
}

#[test]
fn what_takes_all_rows_or_hides_them_is_told() {
    for (sql, rule) in [
        ("CREATE TABLE copy AS SELECT * FROM o", "unbatched-copy"),
        ("SELECT * INTO copy FROM o", "unbatched-copy"),
        ("DELETE FROM o USING o2 WHERE o.id = o2.id", "unbatched-change"),
        ("DELETE FROM o WHERE id IS NOT NULL RETURNING id", "unbatched-change"),
        ("UPDATE o SET a = lower(a) WHERE o.a IS NOT NULL AND b IS NOT NULL", "unbatched-change"),
        ("ALTER TABLE s.o NO INHERIT s.par", "changed-inheritance"),
        ("ALTER TABLE o DISABLE TRIGGER ALL", "switched-off-checks"),
        ("create or replace rule r as on delete to s.o do instead nothing", "rewrite-rule"),
        ("ALTER TABLE par ATTACH PARTITION s.o FOR VALUES FROM (1) TO (2)", "attach-partition"),
        ("drop owned by a, b", "ban-drop-owned"),
    ] {
        assert!(found(Engine::Postgres, &[sql]).contains(&rule), "{sql}: {:?}", found(Engine::Postgres, &[sql]));
    }
    assert!(found(Engine::Mysql, &["CREATE TABLE copy SELECT * FROM o"]).contains(&"unbatched-copy"));
    for engine in Engine::ALL {
        assert!(found(engine, &["DELETE FROM o WHERE id IS NOT NULL"]).contains(&"unbatched-change"), "{engine}");
    }
    for sql in [
        "CREATE TABLE o (id int);\nCREATE TABLE copy AS SELECT * FROM o",
        "CREATE TABLE copy AS SELECT * FROM o WITH NO DATA",
        "DELETE FROM o USING o2 WHERE o.id = o2.id AND o2.gone = 'y'",
        "DELETE FROM o WHERE a IS NOT NULL AND b < 3",
        "DELETE FROM o WHERE a OR b IS NOT NULL",
        "SELECT id INTO t FROM o WHERE id = 1",
        "CREATE TABLE o (id int);\nALTER TABLE o DISABLE TRIGGER ALL",
        "CREATE RULE r AS ON SELECT TO o DO INSTEAD SELECT 1",
        "ALTER INDEX o_id ATTACH PARTITION o_2026_id",
    ] {
        let told = found(Engine::Postgres, &[sql]);
        assert!(
            !told.iter().any(|rule| [
                "unbatched-copy",
                "unbatched-change",
                "rewrite-rule",
                "switched-off-checks",
                "attach-partition"
            ]
            .contains(rule)),
            "{sql}: {told:?}"
        );
    }
}

/// The findings of a rule in a script, each with its table and words.
fn told(engine: Engine, rule: &str, text: &str) -> Vec<(Option<String>, String)> {
    let found = linted(engine, &[text]).findings.into_iter().filter(|found| found.rule == rule);
    found.map(|found| (found.table, found.what)).collect()
}

#[test]
fn each_of_several_tables_has_its_finding() {
    let (pg, lite, my) = (Engine::Postgres, Engine::Sqlite, Engine::Mysql);
    for (engine, text, rule) in [
        (pg, "DROP TABLE users, s.orgs CASCADE", "ban-drop-table"),
        (my, "DROP TABLES IF EXISTS users, orgs", "ban-drop-table"),
        (pg, "TRUNCATE users, ONLY orgs RESTART IDENTITY", "ban-drop-table"),
        (pg, "CREATE TABLE a (id int);\nTRUNCATE a, users, orgs", "ban-drop-table"),
        (pg, "SELECT 1\n-- down\nDROP TABLE users, orgs", "down-loses-data"),
        (pg, "SELECT 1\n-- down\nTRUNCATE users, orgs", "down-loses-data"),
        (my, "RENAME TABLE users TO a, orgs TO b", "renaming-table"),
        (my, "CREATE TABLE a (id int);\nRENAME TABLE a TO c, users TO d, orgs TO e", "renaming-table"),
        (pg, "LOCK TABLE users, ONLY orgs IN SHARE MODE", "exclusive-lock"),
        (pg, "VACUUM (FULL, ANALYZE) users, orgs", "exclusive-lock"),
        (my, "OPTIMIZE LOCAL TABLE users, orgs", "copying-alter"),
        (my, "DELETE users, orgs FROM users JOIN orgs ON orgs.id = users.org", "unbatched-change"),
        (my, "DELETE FROM users, orgs USING users JOIN orgs", "unbatched-change"),
    ] {
        let all = told(engine, rule, text);
        let tables: Vec<&str> = all.iter().filter_map(|(table, _)| table.as_deref()).collect();
        assert_eq!(tables, ["orgs", "users"].as_slice(), "{text}: {all:?}");
    }
    assert_eq!(told(lite, "ban-drop-table", "CREATE TABLE a (id int);\nDROP TABLE a"), []);
    assert_eq!(told(my, "renaming-table", "CREATE TABLE a (id int);\nRENAME TABLE a TO b;\nRENAME TABLE b TO c"), []);
    let locks = |sql: &str| super::locks(&pair(pg, sql, "0001").up).join("; ");
    assert!(locks("DROP TABLE users, orgs").contains("on users, orgs"), "{}", locks("DROP TABLE users, orgs"));
}

#[test]
fn a_statement_that_asks_for_a_copy_or_a_lock_is_told() {
    for text in [
        "CREATE INDEX i ON users (a) ALGORITHM=COPY",
        "CREATE UNIQUE INDEX i ON users (a) LOCK = EXCLUSIVE",
        "DROP INDEX i ON users LOCK SHARED",
        "ALTER TABLE users ADD COLUMN b int, LOCK=SHARED",
        "ALTER TABLE users ALGORITHM COPY, ADD COLUMN b int",
        "ALTER TABLE users ADD SPATIAL INDEX (g)",
        "ALTER TABLE users ALTER CHECK c ENFORCED",
        "ALTER TABLE users REBUILD PARTITION p0",
        "ALTER TABLE users ADD PARTITION PARTITIONS 2",
        "ALTER TABLE users COMMENT 'x' PARTITION BY HASH (id)",
        "SET SESSION alter_algorithm = COPY",
        "SET old_alter_table = 1",
    ] {
        assert_eq!(told(Engine::Mysql, "copying-alter", text).len(), 1, "{text}");
    }
    for text in [
        "CREATE INDEX i ON users (a) ALGORITHM=INPLACE LOCK=NONE",
        "CREATE INDEX i ON users (a) LOCK=DEFAULT",
        "ALTER TABLE users ADD COLUMN `lock` varchar(9), ADD COLUMN b varchar(9) COMMENT 'lock=shared'",
        "ALTER TABLE users ADD COLUMN checked int",
        "ALTER TABLE users ALTER CHECK c NOT ENFORCED",
        "ALTER TABLE users ADD PARTITION (PARTITION p2 VALUES LESS THAN (20))",
        "CREATE TABLE t (id int);\nALTER TABLE t ADD CHECK (id > 0)",
    ] {
        assert_eq!(told(Engine::Mysql, "copying-alter", text), [], "{text}");
    }
}

#[test]
fn a_limit_that_bounds_nothing_is_no_batch() {
    for (engine, text, rule) in [
        (Engine::Mysql, "DELETE FROM users LIMIT 100000000", "unbatched-change"),
        (Engine::Mysql, "UPDATE users SET a = 1 WHERE a IS NULL LIMIT 100000000", "unbatched-change"),
        (Engine::Mysql, "/* fleet: batch */ DELETE FROM users WHERE a < 3 LIMIT 100000000", "unbatched-change"),
        (Engine::Postgres, "DELETE FROM users WHERE id IN (SELECT id FROM users LIMIT 100000000)", "unbatched-change"),
        (Engine::Sqlite, "INSERT INTO users SELECT * FROM orders LIMIT 100000000", "unbatched-copy"),
        (Engine::Postgres, "INSERT INTO users SELECT * FROM orders FETCH FIRST 100000000 ROWS ONLY", "unbatched-copy"),
        (
            Engine::Postgres,
            "ALTER TABLE users ADD COLUMN a int;\nUPDATE orgs SET a = 1 WHERE id IN (SELECT 1) LIMIT 100000000",
            "data-change-beside-lock",
        ),
    ] {
        assert_eq!(told(engine, rule, text).len(), 1, "{text}");
    }
    assert_eq!(told(Engine::Mysql, "unbatched-change", "DELETE FROM users LIMIT 5000"), []);
}

#[test]
fn a_mode_without_strict_values_is_told_unless_it_is_that_of_a_dump() {
    let dump = "/*!40101 SET @OLD_SQL_MODE=@@SQL_MODE, SQL_MODE='NO_AUTO_VALUE_ON_ZERO' */;\nDROP TABLE IF EXISTS `o`;\n\
                CREATE TABLE `o` (`id` int);\nINSERT INTO `o` VALUES (1);\n/*!40101 SET SQL_MODE=@OLD_SQL_MODE */";
    for text in [
        "SET SESSION sql_mode = ''",
        "SET sql_mode = 'NO_ENGINE_SUBSTITUTION'",
        "SET @@session.sql_mode := ANSI",
        "SET sql_mode = 0",
        "SET GLOBAL sql_mode = ''",
        "SET sql_mode=REPLACE(@@sql_mode,'STRICT_TRANS_TABLES','')",
        "SET sql_mode=(SELECT REPLACE(@@sql_mode,'STRICT_TRANS_TABLES',''))",
        "SET @x = 1, sql_mode = '', @y = 'STRICT_TRANS_TABLES'",
        "SET sql_mode = '';\nUPDATE users SET a = 'long' WHERE id = 1;\nSET sql_mode = DEFAULT",
        "SET sql_mode = '';\nALTER TABLE users MODIFY a varchar(3);\nSET sql_mode = @old",
        &dump.replace("INSERT INTO `o`", "INSERT INTO `users`"),
    ] {
        assert_eq!(told(Engine::Mysql, "switched-off-checks", text).len(), 1, "{text}");
    }
    for text in [
        dump,
        "SET sql_mode = 'STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION'",
        "SET sql_mode = TRADITIONAL",
        "SET sql_mode = 4194304",
        "SET sql_mode = CONCAT(@@sql_mode, ',ANSI_QUOTES')",
        "SET sql_mode = REPLACE(@@sql_mode, 'NO_ZERO_DATE', '')",
        "SET sql_mode = @old",
        "SET @sql_mode = ''",
        "SET sql_mode = '';\nCREATE PROCEDURE p() SELECT 1;\nSET sql_mode = @saved",
    ] {
        assert_eq!(told(Engine::Mysql, "switched-off-checks", text), [], "{text}");
    }
}

#[test]
fn a_serial_column_and_what_moves_to_another_tablespace_are_told_on_postgres() {
    for kind in ["serial", "bigserial", "smallserial", "SERIAL8"] {
        let text = format!("ALTER TABLE users ADD COLUMN ser {kind}");
        let all = told(Engine::Postgres, "adding-field-with-default", &text);
        assert_eq!(
            all.iter().map(|(table, _)| table.as_deref()).collect::<Vec<_>>(),
            [Some("users")],
            "{text}: {all:?}"
        );
    }
    let identity = "ALTER TABLE users ADD COLUMN ser int GENERATED ALWAYS AS IDENTITY";
    assert_eq!(told(Engine::Postgres, "adding-field-with-default", identity).len(), 1);
    let made = "CREATE TABLE t (id int);\nALTER TABLE t ADD COLUMN ser serial";
    assert_eq!(told(Engine::Postgres, "adding-field-with-default", made), []);
    for text in [
        "ALTER INDEX users_mail SET TABLESPACE fast",
        "ALTER INDEX ALL IN TABLESPACE pg_default SET TABLESPACE fast",
        "ALTER TABLE ALL IN TABLESPACE pg_default OWNED BY app SET TABLESPACE fast NOWAIT",
        "ALTER MATERIALIZED VIEW totals SET TABLESPACE fast",
    ] {
        let all = told(Engine::Postgres, "exclusive-lock", text);
        assert!(all.len() == 1 && all[0].0.is_none(), "{text}: {all:?}");
    }
    let of_new = "CREATE TABLE t (id int);\nCREATE INDEX t_id ON t (id);\nALTER INDEX t_id SET TABLESPACE fast";
    assert_eq!(told(Engine::Postgres, "exclusive-lock", of_new), []);
    assert_eq!(told(Engine::Postgres, "exclusive-lock", "ALTER INDEX a RENAME TO b"), []);
}
