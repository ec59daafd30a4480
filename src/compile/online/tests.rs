//! Each form, before and after.

use super::*;
use crate::model::engine::Engine;

fn script(engine: Engine, statements: &[&str]) -> Arc<Script> {
    let execution = Execution::Compiled { transaction: engine.capabilities().transactional_ddl };
    let statements: Vec<String> = statements.iter().map(|sql| (*sql).to_owned()).collect();
    Arc::new(Script {
        flavour: None,
        migration: "m1".into(),
        direction: Direction::Up,
        engine,
        sha256: digest(engine, Direction::Up, &execution, &statements),
        execution,
        source: Some(Source { file: "m1.sql".into(), lines: (1..=statements.len()).collect() }),
        statements,
        has_variables: false,
        record: Record::Script { checksum: "c".into(), repeatable: false },
        online: None,
    })
}

/// The online form where no migration makes a view.
fn online_of(script: &Arc<Script>) -> Arc<Script> {
    online(script, &BTreeSet::new())
}

#[test]
fn a_backfill_through_a_view_stays_whole() {
    let views = BTreeSet::from(["open_bills".to_owned()]);
    for engine in [Engine::Postgres, Engine::Mysql] {
        for name in ["open_bills", "Open_Bills", "app.open_bills"] {
            let fill = script(engine, &[&format!("UPDATE {name} SET region = 'eu' WHERE region IS NULL")]);
            let form = online(&fill, &views);
            assert!(!form.is_online(), "{engine}: {:?}", form.statements);
            assert!(form.online.as_ref().unwrap().kept[0].why.contains("goes through a view"), "{:?}", form.online);
            assert!(online_of(&fill).is_online(), "{engine}: a table");
        }
    }
}

/// The statements that are sent for these.
fn sent(engine: Engine, statements: &[&str]) -> Vec<String> {
    let script = online_of(&script(engine, statements));
    assert!(script.is_online(), "{statements:?}: {:?}", script.online);
    script.statements.clone()
}

/// The reasons why these stay as they are.
fn reasons(engine: Engine, statements: &[&str]) -> String {
    let before = script(engine, statements);
    let after = online_of(&before);
    assert!(!after.is_online(), "{:?}", after.statements);
    assert_eq!((&before.sha256, &before.execution), (&after.sha256, &after.execution), "the same is sent");
    let why = |kept: &Kept| format!("{:?} {}", kept.statement, kept.why);
    after.online.as_ref().map(|form| form.kept.iter().map(why).collect::<Vec<_>>().join("; ")).unwrap_or_default()
}

#[test]
fn constraints_are_validated_behind_their_lock() {
    let pairs: [(&str, &[&str]); 4] = [
        (
            "ALTER TABLE \"orders\" ADD CONSTRAINT \"fk_User\" FOREIGN KEY (\"user_id\") REFERENCES \"users\" (\"id\") ON DELETE CASCADE",
            &[
                "ALTER TABLE \"orders\" ADD CONSTRAINT \"fk_User\" FOREIGN KEY (\"user_id\") REFERENCES \"users\" (\"id\") ON DELETE \
                 CASCADE NOT VALID",
                "ALTER TABLE \"orders\" VALIDATE CONSTRAINT \"fk_User\"",
            ],
        ),
        (
            "-- why\nalter table s.t add constraint c check (mail like '%@%' /* ; */) -- because",
            &[
                "-- why\nalter table s.t add constraint c check (mail like '%@%' /* ; */) NOT VALID -- because",
                "ALTER TABLE s.t VALIDATE CONSTRAINT c",
            ],
        ),
        (
            "ALTER TABLE t DROP CONSTRAINT fk, ADD CONSTRAINT fk FOREIGN KEY (a) REFERENCES b DEFERRABLE INITIALLY DEFERRED, ADD COLUMN x int",
            &[
                "ALTER TABLE t DROP CONSTRAINT fk, ADD CONSTRAINT fk FOREIGN KEY (a) REFERENCES b DEFERRABLE INITIALLY DEFERRED NOT \
                 VALID, ADD COLUMN x int",
                "ALTER TABLE t VALIDATE CONSTRAINT fk",
            ],
        ),
        (
            "ALTER TABLE ONLY t ADD CONSTRAINT a CHECK (x > 0), ADD CONSTRAINT b CHECK (y > 0) NOT VALID",
            &[
                "ALTER TABLE ONLY t ADD CONSTRAINT a CHECK (x > 0) NOT VALID, ADD CONSTRAINT b CHECK (y > 0) NOT VALID",
                "ALTER TABLE ONLY t VALIDATE CONSTRAINT a",
            ],
        ),
    ];
    for (before, after) in pairs {
        assert_eq!(sent(Engine::Postgres, &[before]), after, "{before}");
    }
}

#[test]
fn indexes_are_built_and_dropped_beside_the_writers() {
    let pairs: [(&str, &[&str]); 4] = [
        (
            "CREATE UNIQUE INDEX IF NOT EXISTS \"ix\" ON \"t\" (\"a\") WHERE a > 0",
            &["CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS \"ix\" ON \"t\" (\"a\") WHERE a > 0"],
        ),
        ("create index ix on s.t using gin (a)", &["create index CONCURRENTLY ix on s.t using gin (a)"]),
        ("DROP INDEX IF EXISTS \"ix\"", &["DROP INDEX CONCURRENTLY IF EXISTS \"ix\""]),
        ("DROP INDEX a, s.b RESTRICT", &["DROP INDEX CONCURRENTLY a RESTRICT", "DROP INDEX CONCURRENTLY s.b RESTRICT"]),
    ];
    for (before, after) in pairs {
        assert_eq!(sent(Engine::Postgres, &[before]), after, "{before}");
    }
}

#[test]
fn not_null_is_known_from_a_validated_check() {
    let all = sent(Engine::Postgres, &["ALTER TABLE t ALTER COLUMN a SET NOT NULL, ALTER \"B\" SET NOT NULL"]);
    let name = all[3].rsplit(' ').next().unwrap();
    assert!(name.starts_with("fleet_not_null_") && name.len() < 63, "{name}");
    let expected = [
        format!("ALTER TABLE t ADD CONSTRAINT {name} CHECK (a IS NOT NULL AND \"B\" IS NOT NULL) NOT VALID"),
        format!("ALTER TABLE t VALIDATE CONSTRAINT {name}"),
        "ALTER TABLE t ALTER COLUMN a SET NOT NULL, ALTER \"B\" SET NOT NULL".to_owned(),
        format!("ALTER TABLE t DROP CONSTRAINT {name}"),
    ];
    assert_eq!(all, expected);
}

#[test]
fn a_key_takes_over_an_index_that_was_built_before() {
    let all = sent(
        Engine::Postgres,
        &[
            "ALTER TABLE t ADD CONSTRAINT u UNIQUE NULLS NOT DISTINCT (a, b) INCLUDE (c) WITH (fillfactor=70) DEFERRABLE",
        ],
    );
    assert_eq!(
        all,
        [
            "CREATE UNIQUE INDEX CONCURRENTLY u ON t (a, b) INCLUDE (c) NULLS NOT DISTINCT WITH (fillfactor=70)",
            "ALTER TABLE t ADD CONSTRAINT u UNIQUE USING INDEX u DEFERRABLE",
        ]
    );
    let all = sent(Engine::Postgres, &["ALTER TABLE t ADD CONSTRAINT \"pk\" PRIMARY KEY (\"id\")"]);
    let name = all[4].rsplit(' ').next().unwrap();
    let expected = [
        format!("ALTER TABLE t ADD CONSTRAINT {name} CHECK (\"id\" IS NOT NULL) NOT VALID"),
        format!("ALTER TABLE t VALIDATE CONSTRAINT {name}"),
        "CREATE UNIQUE INDEX CONCURRENTLY \"pk\" ON t (\"id\")".to_owned(),
        "ALTER TABLE t ADD CONSTRAINT \"pk\" PRIMARY KEY USING INDEX \"pk\"".to_owned(),
        format!("ALTER TABLE t DROP CONSTRAINT {name}"),
    ];
    assert_eq!(all, expected);
}

#[test]
fn what_has_no_short_form_stays_and_says_why() {
    for (sql, why) in [
        ("ALTER TABLE t ADD CHECK (a > 0)", "has no name"),
        ("ALTER TABLE t ADD FOREIGN KEY (a) REFERENCES b", "has no name"),
        ("ALTER TABLE t ADD UNIQUE (a)", "has no name"),
        ("CREATE INDEX ON t (a)", "has no name"),
        ("CREATE INDEX i ON ONLY t (a)", "partitioned"),
        ("DROP INDEX i CASCADE", "CASCADE"),
        ("ALTER TABLE t ALTER a TYPE bigint", "type"),
        ("ALTER TABLE t ADD COLUMN a int UNIQUE", "ADD COLUMN"),
        ("ALTER TABLE t ADD COLUMN a int, ADD CONSTRAINT u UNIQUE (a)", "part the two"),
        ("ALTER TABLE t ADD COLUMN a int, ALTER a SET NOT NULL", "part the two"),
        ("ALTER TABLE IF EXISTS t ADD CONSTRAINT c CHECK (a > 0)", "IF EXISTS"),
        ("ALTER TABLE t ADD CONSTRAINT e EXCLUDE USING gist (a WITH &&)", "EXCLUDE"),
        ("ALTER TABLE t SET UNLOGGED", "rewrites"),
        ("DO $$ BEGIN ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0); END $$", "DO block"),
        ("CREATE INDEX i ON t (a); CREATE INDEX j ON t (b)", "several statements"),
        ("INSERT INTO u VALUES (1); UPDATE t SET a = 1", "several statements"),
        ("ALTER TABLE t FROBNICATE", "parser"),
    ] {
        let found = reasons(Engine::Postgres, &[sql]);
        assert!(found.starts_with("Some(1) ") && found.contains(why), "{sql}: {found}");
    }
    assert!(reasons(Engine::Sqlite, &["CREATE INDEX i ON t (a)"]).starts_with("None the engine locks"));
    let mut native = Script::clone(&script(Engine::Postgres, &["CREATE INDEX i ON t (a)"]));
    native.execution =
        Execution::Native { transaction: true, reason: crate::model::schema::NativeReason::OwnTransaction };
    let native = online_of(&Arc::new(native));
    assert_eq!(native.online.as_ref().unwrap().kept[0].why, "it runs as Rust code");
}

#[test]
fn what_is_short_already_stays_without_a_word() {
    for sql in [
        "ALTER TABLE t ADD COLUMN a int NOT NULL DEFAULT 7",
        "ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0) NOT VALID",
        "ALTER TABLE t ADD CONSTRAINT u UNIQUE USING INDEX i",
        "ALTER TABLE t DROP COLUMN a",
        "UPDATE t SET a = 1 WHERE id = 3",
        "UPDATE t SET a = 1 WHERE a IS NULL AND id = 3",
        "DELETE FROM t WHERE a < 3",
    ] {
        assert_eq!(reasons(Engine::Postgres, &[sql]), "", "{sql}");
    }
    let new = [
        "CREATE TABLE IF NOT EXISTS \"t\" (a int)",
        "CREATE INDEX i ON t (a)",
        "ALTER TABLE public.T ADD CONSTRAINT c CHECK (a > 0)",
    ];
    assert_eq!(reasons(Engine::Postgres, &new), "", "nobody uses a new table yet");
    let filled =
        ["CREATE TABLE t (a int)", "UPDATE T SET a = 1", "DELETE FROM s.t", "UPDATE t SET a = 1 WHERE a IS NULL"];
    for engine in [Engine::Postgres, Engine::Mysql] {
        assert_eq!(reasons(engine, &filled), "", "{engine}");
    }
    assert_eq!(reasons(Engine::Mysql, &["CREATE TABLE `t` (a int)", "CREATE INDEX i ON t (a)"]), "");
}

#[test]
fn changes_of_columns_are_known_to_be_refused_beside_a_full_text() {
    let all =
        ["ALTER TABLE `s`.`T` ADD COLUMN a int", "CREATE INDEX i ON t (a)", "ALTER TABLE t DROP COLUMN b", "SELECT 1"];
    let found = refused_online(&online_of(&script(Engine::Mysql, &all)));
    assert_eq!(found, [(1, "t".to_owned()), (3, "t".to_owned())]);
    assert_eq!(refused_online(&script(Engine::Mysql, &all)), [], "not in its online form");
    assert_eq!(refused_online(&online_of(&script(Engine::Postgres, &["CREATE INDEX i ON t (a)"]))), []);
    let fill =
        ["CREATE INDEX i ON t (a)", "UPDATE \"S\".t SET a = 1 WHERE a IS NULL", "UPDATE t SET a = 1 WHERE id = 3"];
    assert_eq!(refused_online(&online_of(&script(Engine::Postgres, &fill))), [(2, "\"S\".t".to_owned())]);
}

/// `lint` says of what it finds that `--online` rewrites it: of its own example it is true.
#[test]
fn what_lint_says_of_online_is_true() {
    let all = crate::check::lint::rules::all();
    let said: Vec<_> = all.iter().filter(|rule| rule.instead.contains("--online")).collect();
    assert_eq!(said.len(), 7);
    for rule in said {
        assert_ne!(sent(Engine::Postgres, &[rule.bad]), [rule.bad], "{}", rule.id);
    }
}

/// Each statement is committed by itself, so each has to mean the same by itself.
#[test]
fn a_script_that_needs_its_transaction_stays_whole() {
    let index = "CREATE INDEX i ON t (a)";
    for other in [
        "SET LOCAL work_mem = '1GB'",
        "LOCK TABLE t",
        "CREATE TEMP TABLE x (a int)",
        "INSERT INTO c VALUES (currval('s'))",
        "SELECT 1",
    ] {
        let found = reasons(Engine::Postgres, &[other, index]);
        assert!(
            found.starts_with("None statement 1") && found.contains("transaction of the others"),
            "{other}: {found}"
        );
    }
}

#[test]
fn the_script_says_what_it_was_made_from() {
    let before = script(Engine::Postgres, &["UPDATE t SET a = 1", "CREATE INDEX i ON t (a)", "DROP INDEX j, k"]);
    let after = online_of(&before);
    assert_eq!(after.execution, Execution::Compiled { transaction: false });
    assert_ne!(after.sha256, before.sha256);
    assert_eq!(after.record, before.record, "the checksum of the migration is the same");
    assert_eq!(after.source.as_ref().unwrap().lines, [1, 2, 3, 3]);
    let form = after.online.as_ref().unwrap();
    assert_eq!((&form.original, &form.original_sha256), (&before.statements, &before.sha256));
    let down = Script { direction: Direction::Down, ..Script::clone(&before) };
    assert_eq!(online_of(&Arc::new(down)).online, None, "the way down stays one transaction");
}

#[test]
fn mysql_says_that_others_read_and_write_meanwhile() {
    for (before, after) in [
        ("ALTER TABLE `t` ADD COLUMN `a` int NULL -- why", "ALTER TABLE `t` ADD COLUMN `a` int NULL, LOCK=NONE -- why"),
        ("CREATE UNIQUE INDEX `i` ON `t` (`a`)", "CREATE UNIQUE INDEX `i` ON `t` (`a`) LOCK=NONE"),
        ("DROP INDEX `i` ON `s`.`t`", "ALTER TABLE `s`.`t` DROP INDEX `i`, LOCK=NONE"),
        (
            "ALTER TABLE t ADD UNIQUE KEY u (a), DROP COLUMN b",
            "ALTER TABLE t ADD UNIQUE KEY u (a), DROP COLUMN b, LOCK=NONE",
        ),
    ] {
        assert_eq!(sent(Engine::Mysql, &[before]), [after], "{before}");
    }
    for (sql, why) in [
        ("ALTER TABLE `t` ADD CONSTRAINT `fk` FOREIGN KEY (`a`) REFERENCES `b` (`id`)", "foreign key"),
        ("ALTER TABLE t MODIFY COLUMN a bigint", "type"),
        ("ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0)", "check"),
        ("CREATE FULLTEXT INDEX i ON t (a)", "parser"),
        ("ALTER TABLE t CONVERT TO CHARACTER SET utf8mb4", "parser"),
    ] {
        let found = reasons(Engine::Mysql, &[sql]);
        assert!(found.starts_with("Some(1) ") && found.contains(why), "{sql}: {found}");
    }
    for sql in [
        "ALTER TABLE t ADD COLUMN a int, ALGORITHM=INSTANT",
        "ALTER TABLE t RENAME TO u",
        "UPDATE t SET a = 1 WHERE id IN (1, 2)",
        "UPDATE t SET a = 1 LIMIT 9",
        "DELETE FROM t LIMIT 9",
    ] {
        assert_eq!(reasons(Engine::Mysql, &[sql]), "", "{sql}");
    }
}

#[test]
fn a_backfill_is_done_in_batches() {
    let fill = "-- why\nUPDATE t SET a = lower(b) WHERE a IS NULL";
    for (engine, after) in [
        (
            Engine::Postgres,
            "-- why\n/* fleet: batch */ UPDATE t SET a = lower(b) WHERE ((a IS NULL) AND (lower(b)) IS NOT NULL) AND \
             ctid = ANY (ARRAY (SELECT ctid FROM t WHERE (a IS NULL) AND (lower(b)) IS NOT NULL LIMIT 5000))",
        ),
        (
            Engine::Mysql,
            "-- why\n/* fleet: batch */ UPDATE t SET a = lower(b) WHERE (a IS NULL) AND (lower(b)) IS NOT NULL LIMIT 5000",
        ),
    ] {
        assert_eq!(sent(engine, &[fill]), [after], "{engine}");
        let several = sent(engine, &["UPDATE t SET a = 1, b = 'x' WHERE c > 2 AND a IS NULL"]).concat();
        assert!(several.starts_with("/* fleet: batch */ UPDATE t SET a = 1, b = 'x' WHERE "), "{several}");
        assert!(several.contains("LIMIT 5000") && !several.contains("NOT NULL"), "{several}");
        // A new column, its values, and NOT NULL: the usual three.
        let usual = ["ALTER TABLE t ADD COLUMN a int", "UPDATE t SET a = 0 WHERE a IS NULL", "CREATE INDEX i ON t (a)"];
        let script = online_of(&script(engine, &usual));
        assert!(script.statements[1].starts_with("/* fleet: batch */ ") && script.is_online(), "{script:?}");
        assert!(script.online.as_ref().unwrap().kept.is_empty() && !script.is_atomic());
    }
}

#[test]
fn a_change_of_all_rows_that_might_not_end_or_leave_rows_out_stays_and_says_so() {
    for (sql, why) in [
        ("UPDATE t SET a = 1", "nothing in it tells the rows that are done"),
        ("UPDATE t SET a = 1 WHERE true", "nothing in it tells"),
        ("UPDATE t SET a = a + 1 WHERE 1 = 1", "nothing in it tells"),
        ("DELETE FROM t", "go together with one that refers to it"),
        ("UPDATE t SET a = (SELECT max(x) FROM t) WHERE a IS NULL", "may differ between two batches"),
        ("UPDATE t SET a = now() WHERE a IS NULL", "may differ between two batches"),
        ("UPDATE t SET a = 'now' WHERE a IS NULL", "may differ between two batches"),
        ("UPDATE t SET a = CAST('Today' AS date) WHERE a IS NULL", "may differ between two batches"),
        ("UPDATE t SET a = N'now' WHERE a IS NULL", "may differ between two batches"),
        ("UPDATE t SET a = UTC_TIMESTAMP WHERE a IS NULL", "may differ between two batches"),
        ("UPDATE t SET a = DEFAULT WHERE a IS NULL", "may differ between two batches"),
        ("UPDATE t SET a = 1 WHERE a IS NULL AND EXISTS (SELECT 1 FROM u WHERE u.t = t.id)", "may differ"),
        ("UPDATE t SET a = lower(b), c = 1 WHERE a IS NULL", "a row is left out"),
        ("UPDATE t SET a = NULL, c = 1 WHERE a IS NULL", "a row is left out"),
        ("UPDATE t SET a = 1 /* here */ WHERE a IS NULL", "comment"),
        ("UPDATE t SET a = '\\' WHERE a IS NULL", "backslash"),
        ("UPDATE t AS x SET a = 1 WHERE a IS NULL", "one table alone"),
    ] {
        for engine in [Engine::Postgres, Engine::Mysql] {
            let found = reasons(engine, &[sql]);
            let start = "Some(1) it changes all rows in one statement: ";
            // A backslash ends no text on MySQL.
            if !(engine == Engine::Mysql && why == "backslash") {
                assert!(found.starts_with(start) && found.contains(why), "{engine} {sql}: {found}");
            }
        }
    }
    let batch = "/* fleet: batch */ UPDATE t SET a = a + 1 WHERE a IS NULL LIMIT 9";
    assert_eq!(reasons(Engine::Mysql, &[batch]), "");
    assert!(reasons(Engine::Sqlite, &["UPDATE t SET a = 1"]).starts_with("None the engine locks"));
}
