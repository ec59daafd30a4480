//! `transaction = "tenant"`: all steps of a tenant or none of them, where an engine and the steps allow it. On the engines.

use crate::support::{Fleet, Ran, record};

const WITH_DDL: [&str; 3] = ["lite-000", "pg-000", "schema-000"];
const WHOLE: [&str; 4] = ["migrate", "--yes", "--transaction", "tenant"];

/// Tenants at the last Rust migration, with a folder for scripts.
fn fleet() -> Fleet {
    let fleet =
        Fleet::new().head("[fleet]\nscripts = \"sql\"\nattempts = 1\n").sqlite(1).postgres(1).schemas(1).mariadb(1);
    write(&fleet, "0001_first.up.sql", "CREATE TABLE first (i int PRIMARY KEY);\nINSERT INTO first VALUES (1);\n");
    write(&fleet, "0001_first.down.sql", "DROP TABLE first;\n");
    fleet.run(&["migrate", "--yes"]).exits(0);
    fleet
}

fn write(fleet: &Fleet, file: &str, text: &str) {
    std::fs::create_dir_all(fleet.path("sql")).unwrap();
    std::fs::write(fleet.path("sql").join(file), text).unwrap();
}

/// A step, and one behind it that inserts and is refused.
fn refused_second(fleet: &Fleet) {
    write(fleet, "0002_second.up.sql", "CREATE TABLE second (i int);\nINSERT INTO second VALUES (1);\n");
    write(fleet, "0002_second.down.sql", "DROP TABLE second;\n");
    write(fleet, "0003_third.up.sql", "INSERT INTO second VALUES (2);\nINSERT INTO first VALUES (1);\n");
    write(fleet, "0003_third.down.sql", "CREATE TABLE undone (i int);\n");
}

fn scripts(fleet: &Fleet, tenant: &str) -> Vec<String> {
    fleet.ask(tenant, "SELECT version FROM fleet_scripts ORDER BY version")
}

fn outcome(ran: &Ran, tenant: &str) -> String {
    record(&ran.json(), tenant)["outcome"].as_str().unwrap().to_owned()
}

#[test]
fn a_failure_in_the_last_step_takes_back_all_of_them() {
    let fleet = fleet();
    refused_second(&fleet);
    let ran = fleet.run(&[&WHOLE[..], &["--format", "json"]].concat()).exits(100);
    for tenant in WITH_DDL {
        assert_eq!(scripts(&fleet, tenant), ["0001_first"], "{tenant}");
        assert!(!fleet.has_table(tenant, "second"), "{tenant}");
        assert_eq!(outcome(&ran, tenant), "failed", "{tenant}");
        let report = ran.json();
        let record = record(&report, tenant);
        assert!(
            record["error"]["message"].as_str().is_some_and(|text| text.to_lowercase().contains("unique")),
            "{record:#}"
        );
        assert_eq!(record["stopped_at"]["migration"], "0003_third", "{record:#}");
    }
    // Nothing holds its statements together.
    assert_eq!(scripts(&fleet, "my-000"), ["0001_first", "0002_second"]);
    let ran = fleet.run(&WHOLE).exits(100);
    let words = "0003_third was rolled back whole, and with it what shared its transaction: 0002_second";
    let told = ran.out.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(told.contains(words), "{}", ran.out);
    assert!(
        ran.out.contains("--transaction tenant") || ran.err.contains("--transaction tenant"),
        "{}{}",
        ran.out,
        ran.err
    );
    // Each by itself, and the first stays.
    fleet.run(&["migrate", "--yes"]).exits(100);
    for tenant in WITH_DDL {
        assert_eq!(scripts(&fleet, tenant), ["0001_first", "0002_second"], "{tenant}");
        assert_eq!(fleet.ask(tenant, "SELECT i FROM second"), ["1"], "{tenant}");
    }
}

#[test]
fn all_steps_are_one_transaction_up_and_down() {
    let fleet = fleet();
    refused_second(&fleet);
    write(&fleet, "0003_third.up.sql", "INSERT INTO second VALUES (2);\n");
    write(&fleet, "0004_fourth.up.sql", "ALTER TABLE second ADD COLUMN j int;\n");
    write(&fleet, "0004_fourth.down.sql", "ALTER TABLE second DROP COLUMN j;\n");
    fleet
        .run(&["plan", "--transaction", "tenant"])
        .exits(0)
        .shows(&["all in one transaction", "each statement that changes the schema is committed by itself"]);
    fleet.run(&WHOLE).exits(0);
    for tenant in WITH_DDL {
        assert_eq!(scripts(&fleet, tenant).len(), 4, "{tenant}");
    }
    let transactions = "SELECT count(DISTINCT xmin::text)::text FROM fleet_scripts WHERE version > '0001_first'";
    assert_eq!(fleet.ask("pg-000", transactions), ["1"]);
    assert_eq!(fleet.ask("schema-000", transactions), ["1"]);
    // The way down of the second is refused, and none of them has gone.
    write(&fleet, "0002_second.down.sql", "ALTER TABLE second RENAME TO gone;\nINSERT INTO first VALUES (1);\n");
    fleet.run(&["rollback", "--to", "0001_first", "--yes", "--transaction", "tenant"]).exits(100);
    for tenant in WITH_DDL {
        assert_eq!(scripts(&fleet, tenant).len(), 4, "{tenant}");
        assert_eq!(fleet.ask(tenant, "SELECT i FROM second ORDER BY i"), ["1", "2"], "{tenant}");
    }
}

#[test]
fn a_step_that_can_not_share_it_parts_those_before_it_from_those_behind() {
    let fleet = fleet();
    refused_second(&fleet);
    std::fs::rename(fleet.path("sql/0003_third.up.sql"), fleet.path("sql/0004_fourth.up.sql")).unwrap();
    write(&fleet, "0003_third.up.sql", "-- fleet: transaction=false\nINSERT INTO second VALUES (3);\n");
    let parted = "not all in one transaction: also committed behind 0002_second, 0003_third";
    fleet.run(&["plan", "--transaction", "tenant"]).exits(0).shows(&[parted]);
    fleet.run(&WHOLE).exits(100);
    for tenant in WITH_DDL {
        assert_eq!(scripts(&fleet, tenant), ["0001_first", "0002_second", "0003_third"], "{tenant}");
        assert_eq!(fleet.ask(tenant, "SELECT i FROM second ORDER BY i"), ["1", "3"], "{tenant}");
    }
}

#[test]
fn the_tenant_says_it_before_its_wave_and_that_before_the_fleet() {
    let mut fleet = fleet();
    refused_second(&fleet);
    fleet.head.push_str("transaction = \"tenant\"\n[[wave]]\nname = \"one\"\ntenants = [\"pg-000\", \"lite-000\"]\ntransaction = \"migration\"\nmax_failures = 1\n");
    fleet.tenant_mut("lite-000").more = "transaction = \"tenant\"".to_owned();
    fleet.run(&["migrate", "--yes"]).exits(101);
    assert_eq!(scripts(&fleet, "lite-000"), ["0001_first"]);
    assert_eq!(scripts(&fleet, "pg-000"), ["0001_first", "0002_second"]);
    fleet.run(&["migrate", "--yes", "--tenant", "schema-000"]).exits(100);
    assert_eq!(scripts(&fleet, "schema-000"), ["0001_first"]);
    fleet.tenant_mut("my-000").more = "transaction = \"tenant\"".to_owned();
    fleet.run(&["status"]).exits(78).tells(&["commits each statement that changes a schema by itself"]);
    fleet.tenant_mut("my-000").more = "transaction = \"all\"".to_owned();
    fleet.run(&["status"]).exits(78).tells(&["`transaction` must be \"migration\" or \"tenant\""]);
}

/// Each step begins with the same session, whatever the one before it in the transaction has set.
#[test]
fn what_a_step_leaves_in_the_session_does_not_reach_the_next() {
    let fleet = fleet();
    write(
        &fleet,
        "0002_a.postgres.up.sql",
        "CREATE TABLE seen (what text, value text);\nSET LOCAL DateStyle = 'German';\nSET LOCAL lock_timeout = 0;\nCREATE TEMP TABLE kept (i int);\nSET CONSTRAINTS ALL DEFERRED;\n",
    );
    write(
        &fleet,
        "0002_a.sqlite.up.sql",
        "CREATE TABLE seen (what text, value text);\nPRAGMA case_sensitive_like = ON;\n",
    );
    write(&fleet, "0002_a.mysql.up.sql", "CREATE TABLE seen (what text, value text);\n");
    write(
        &fleet,
        "0003_b.postgres.up.sql",
        "INSERT INTO seen SELECT 'style', current_setting('DateStyle');\nINSERT INTO seen SELECT 'kept', coalesce(to_regclass('pg_temp.kept')::text, 'gone');\n",
    );
    write(&fleet, "0003_b.sqlite.up.sql", "INSERT INTO seen SELECT 'like', 'A' LIKE 'a';\n");
    write(&fleet, "0003_b.mysql.up.sql", "INSERT INTO seen SELECT 'like', 1;\n");
    fleet.run(&WHOLE).exits(0);
    for tenant in ["pg-000", "schema-000"] {
        assert_eq!(fleet.ask(tenant, "SELECT value FROM seen ORDER BY what"), ["gone", "ISO, MDY"], "{tenant}");
    }
    assert_eq!(fleet.ask("lite-000", "SELECT value FROM seen"), ["1"]);
}

/// Constraints are as they were declared when the next step begins; what a step has deferred is checked at its own end.
#[test]
fn deferred_constraints_are_checked_at_the_end_of_each_step() {
    let fleet = fleet();
    write(
        &fleet,
        "0002_a.postgres.up.sql",
        "CREATE TABLE child (p int CONSTRAINT child_p REFERENCES first (i) DEFERRABLE INITIALLY DEFERRED, u int UNIQUE DEFERRABLE);\nINSERT INTO child VALUES (2, 1);\nINSERT INTO first VALUES (2);\n",
    );
    // Would be refused while events of a trigger are pending; and inserts a child before its parent again.
    write(
        &fleet,
        "0003_b.postgres.up.sql",
        "ALTER TABLE child ADD COLUMN more int;\nINSERT INTO child VALUES (3, 2);\nINSERT INTO first VALUES (3);\n",
    );
    for engine in ["sqlite", "mysql"] {
        write(&fleet, &format!("0002_a.{engine}.up.sql"), "CREATE TABLE child (p int);\n");
        write(&fleet, &format!("0003_b.{engine}.up.sql"), "ALTER TABLE child ADD COLUMN more int;\n");
    }
    fleet.run(&WHOLE).exits(0);
    // UNIQUE DEFERRABLE is not INITIALLY DEFERRED: it is checked behind each statement.
    write(&fleet, "0004_c.postgres.up.sql", "INSERT INTO child VALUES (2, 9);\n");
    write(
        &fleet,
        "0005_d.postgres.up.sql",
        "DO $$ BEGIN INSERT INTO child VALUES (2, 9); EXCEPTION WHEN unique_violation THEN UPDATE child SET more = 7 WHERE u = 9; END $$;\n",
    );
    for engine in ["sqlite", "mysql"] {
        write(&fleet, &format!("0004_c.{engine}.up.sql"), "INSERT INTO child VALUES (1, 1);\n");
        write(&fleet, &format!("0005_d.{engine}.up.sql"), "INSERT INTO child VALUES (1, 2);\n");
    }
    fleet.run(&WHOLE).exits(0);
    assert_eq!(fleet.ask("pg-000", "SELECT more::text FROM child WHERE u = 9"), ["7"]);
    // An orphan is refused at the end of its own step.
    write(&fleet, "0006_e.postgres.up.sql", "INSERT INTO child VALUES (99, 99);\n");
    write(&fleet, "0007_f.postgres.up.sql", "CREATE TABLE late (i int);\n");
    for engine in ["sqlite", "mysql"] {
        write(&fleet, &format!("0006_e.{engine}.up.sql"), "SELECT 1;\n");
        write(&fleet, &format!("0007_f.{engine}.up.sql"), "SELECT 1;\n");
    }
    let ran = fleet.run(&[&WHOLE[..], &["--format", "json"]].concat()).exits(100);
    let report = ran.json();
    let record = record(&report, "pg-000");
    assert_eq!(record["stopped_at"]["migration"], "0006_e", "{record:#}");
    assert_eq!(record["error"]["code"], "23503", "{record:#}");
}

/// A value of an enumeration is used in the step behind the one that adds it.
#[test]
fn a_new_value_of_an_enumeration_is_committed_before_it_is_used() {
    let fleet = fleet();
    for engine in ["sqlite", "mysql"] {
        for n in ["0002_a", "0003_b", "0004_c"] {
            write(&fleet, &format!("{n}.{engine}.up.sql"), "SELECT 1;\n");
        }
    }
    write(&fleet, "0002_a.postgres.up.sql", "CREATE TYPE mood AS ENUM ('sad');\nCREATE TABLE moods (m mood);\n");
    write(&fleet, "0003_b.postgres.up.sql", "ALTER TYPE mood ADD VALUE 'glad';\n");
    write(&fleet, "0004_c.postgres.up.sql", "INSERT INTO moods VALUES ('glad');\n");
    fleet.run(&WHOLE).exits(0);
    assert_eq!(fleet.ask("pg-000", "SELECT m::text FROM moods"), ["glad"]);
}

/// A table that is built anew needs foreign keys off, and a step that deletes rows of a parent needs them on.
#[test]
fn foreign_keys_of_sqlite_act_as_if_each_step_were_alone() {
    let fleet = Fleet::new().head("[fleet]\nscripts = \"sql\"\nattempts = 1\n").sqlite(1);
    write(
        &fleet,
        "0001_a.sql",
        "CREATE TABLE parent (id int PRIMARY KEY);\nCREATE TABLE child (p int REFERENCES parent ON DELETE CASCADE);\nINSERT INTO parent VALUES (1), (2);\nINSERT INTO child VALUES (1), (2);\n",
    );
    fleet.run(&["migrate", "--yes"]).exits(0);
    write(&fleet, "0002_b.sql", "CREATE TABLE other (i int);\n");
    write(&fleet, "0003_c.sql", "DELETE FROM parent WHERE id = 1;\nINSERT INTO parent VALUES (1);\n");
    write(
        &fleet,
        "0004_d.sql",
        "CREATE TABLE new_parent (id int PRIMARY KEY, more int);\nINSERT INTO new_parent SELECT id, 0 FROM parent;\nDROP TABLE parent;\nALTER TABLE new_parent RENAME TO parent;\n",
    );
    fleet.run(&["plan", "--transaction", "tenant"]).exits(0).shows(&["also committed behind 0003_c"]);
    fleet.run(&WHOLE).exits(0);
    assert_eq!(
        fleet.ask("lite-000", "SELECT p FROM child"),
        ["2"],
        "the first went with its parent, the second stayed"
    );
    assert_eq!(fleet.ask("lite-000", "SELECT count(*) FROM parent"), ["2"]);
    // A trigger that replaces rows, made in the transaction, is not in effect for a step of the same transaction unseen.
    write(
        &fleet,
        "0005_e.sql",
        "CREATE TABLE log (i int);\nCREATE TRIGGER again AFTER INSERT ON log BEGIN INSERT OR REPLACE INTO parent VALUES (2, 5); END;\n",
    );
    write(&fleet, "0006_f.sql", "INSERT INTO log VALUES (1);\n");
    fleet.run(&WHOLE).exits(0);
    assert_eq!(fleet.ask("lite-000", "SELECT p FROM child"), ["2"], "the child of the row that was replaced stayed");
    assert_eq!(fleet.ask("lite-000", "SELECT more FROM parent WHERE id = 2"), ["5"]);
}

/// A child that an earlier step makes refers to the table that a later one builds anew.
#[test]
fn a_rebuild_keeps_the_rows_of_a_child_that_the_same_work_made() {
    let fleet = Fleet::new().head("[fleet]\nscripts = \"sql\"\nattempts = 1\n").sqlite(1);
    write(&fleet, "0001_a.sql", "CREATE TABLE parent (id int PRIMARY KEY);\nINSERT INTO parent VALUES (1);\n");
    fleet.run(&["migrate", "--yes"]).exits(0);
    let child = "CREATE TABLE child (p int REFERENCES parent ON DELETE CASCADE);\nINSERT INTO child VALUES (1);\n";
    write(&fleet, "0002_b.sql", child);
    let anew = "CREATE TABLE anew (id int PRIMARY KEY, more int);\nINSERT INTO anew SELECT id, 0 FROM parent;\nDROP TABLE \
                parent;\nALTER TABLE anew RENAME TO parent;\n";
    write(&fleet, "0003_c.sql", anew);
    fleet.run(&["plan", "--transaction", "tenant"]).exits(0).shows(&["also committed behind 0002_b"]);
    fleet.run(&WHOLE).exits(0);
    assert_eq!(fleet.ask("lite-000", "SELECT p FROM child"), ["1"]);
}

/// A trigger that the tenant has replaces rows, to which the step before makes a key with ON DELETE CASCADE.
#[test]
fn rows_that_a_trigger_would_take_with_it_in_a_shared_transaction_stay() {
    let fleet = Fleet::new().head("[fleet]\nscripts = \"sql\"\nattempts = 1\n").sqlite(1);
    let before = "CREATE TABLE totals (id int PRIMARY KEY, n int);\nCREATE TABLE events (id int, t int);\nINSERT INTO totals VALUES \
                  (1, 0);\nCREATE TRIGGER again AFTER INSERT ON events BEGIN REPLACE INTO totals VALUES (new.t, 1); END;\n";
    write(&fleet, "0001_a.sql", before);
    fleet.run(&["migrate", "--yes"]).exits(0);
    let notes = "CREATE TABLE notes (t int REFERENCES totals ON DELETE CASCADE);\nINSERT INTO notes VALUES (1), (1);\n";
    write(&fleet, "0002_b.sql", notes);
    write(&fleet, "0003_c.sql", "INSERT INTO events VALUES (1, 1);\n");
    fleet
        .run(&WHOLE)
        .exits(100)
        .shows(&["0003_c replaces rows of a table that others refer to", "--transaction migration"]);
    assert!(!fleet.has_table("lite-000", "notes"), "all was rolled back");
    fleet.run(&["migrate", "--yes"]).exits(0);
    assert_eq!(fleet.ask("lite-000", "SELECT count(*) FROM notes"), ["2"]);
}

/// A key of SQLite that is deferred is checked at the end of its own step, as if that had a commit.
#[test]
fn a_deferred_key_of_sqlite_is_checked_at_the_end_of_its_step() {
    let fleet = Fleet::new().head("[fleet]\nscripts = \"sql\"\nattempts = 1\n").sqlite(1);
    let before = "CREATE TABLE parent (id int PRIMARY KEY);\nCREATE TABLE child (p int REFERENCES parent DEFERRABLE INITIALLY \
                  DEFERRED);\n";
    write(&fleet, "0001_a.sql", before);
    fleet.run(&["migrate", "--yes"]).exits(0);
    write(&fleet, "0002_b.sql", "INSERT INTO child VALUES (2);\nINSERT INTO parent VALUES (2);\n");
    write(&fleet, "0003_c.sql", "INSERT INTO child VALUES (3);\n");
    write(&fleet, "0004_d.sql", "INSERT INTO parent VALUES (3);\n");
    let ran = fleet.run(&[&WHOLE[..], &["--format", "json"]].concat()).exits(100);
    let report = ran.json();
    let record = record(&report, "lite-000");
    assert_eq!(
        (&record["error"]["code"], &record["stopped_at"]["migration"]),
        (&"787".into(), &"0003_c".into()),
        "{record:#}"
    );
    assert_eq!(fleet.ask("lite-000", "SELECT count(*) FROM child"), ["0"]);
}

/// What a step has deferred or not says nothing of the constraints that the next one makes.
#[test]
fn constraints_that_a_later_step_makes_are_as_they_are_declared() {
    let fleet = Fleet::new().head("[fleet]\nscripts = \"sql\"\nattempts = 1\n").postgres(1);
    let log = "CREATE TABLE log (n bigint);\nCREATE TABLE first (i int PRIMARY KEY);\nCREATE FUNCTION counts() RETURNS trigger LANGUAGE \
               plpgsql AS $$ BEGIN INSERT INTO log SELECT count(*) FROM first; RETURN NULL; END $$;\n";
    write(&fleet, "0001_a.sql", log);
    fleet.run(&["migrate", "--yes"]).exits(0);
    write(&fleet, "0002_b.sql", "SELECT 1;\n");
    let trigger = "CREATE CONSTRAINT TRIGGER counted AFTER INSERT ON first DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION \
                   counts();\nINSERT INTO first VALUES (1);\nINSERT INTO first VALUES (2);\n";
    write(&fleet, "0003_c.sql", trigger);
    let child = "CREATE TABLE c3 (p int REFERENCES first DEFERRABLE INITIALLY DEFERRED);\nINSERT INTO c3 VALUES (7);\nINSERT INTO first \
                 VALUES (7);\n";
    write(&fleet, "0004_d.sql", child);
    fleet.run(&WHOLE).exits(0);
    assert_eq!(fleet.ask("pg-000", "SELECT n::text FROM log"), ["2", "2", "3"]);
    // Two constraints of one name can't be told apart.
    let twins = "CREATE TABLE t1 (i int, CONSTRAINT twin UNIQUE (i) DEFERRABLE INITIALLY DEFERRED);\nCREATE TABLE t2 (p int CONSTRAINT \
                 twin REFERENCES first DEFERRABLE);\n";
    write(&fleet, "0005_e.sql", twins);
    write(&fleet, "0006_f.sql", "SELECT 1;\n");
    fleet.run(&WHOLE).exits(100).shows(&["FL009", "several constraints are named", "transaction = \"migration\""]);
    assert!(!fleet.has_table("pg-000", "t1"));
}

/// The program is killed while the last step waits: none of them has happened, and the next run does all.
#[test]
fn a_kill_in_the_last_step_leaves_none_of_them() {
    let fleet = Fleet::new().head("[fleet]\nscripts = \"sql\"\n").postgres(1).schemas(1);
    write(&fleet, "0001_first.sql", "CREATE TABLE first (i int);\n");
    fleet.run(&["migrate", "--yes"]).exits(0);
    write(&fleet, "0002_second.sql", "CREATE TABLE second (i int);\n");
    write(&fleet, "0003_third.sql", "SELECT pg_sleep(3);\nINSERT INTO second VALUES (1);\n");
    fleet.write();
    let mut program = fleet.program(&WHOLE);
    let mut running = program.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(1500));
    running.kill().unwrap();
    running.wait().unwrap();
    for tenant in ["pg-000", "schema-000"] {
        assert_eq!(scripts(&fleet, tenant), ["0001_first"], "{tenant}");
        assert!(!fleet.has_table(tenant, "second"), "{tenant}");
    }
    fleet.run(&WHOLE).exits(0);
    for tenant in ["pg-000", "schema-000"] {
        assert_eq!(fleet.ask(tenant, "SELECT i::text FROM second"), ["1"], "{tenant}");
    }
}
