//! Every SQL script on MySQL and MariaDB begins with the same session: tenants that take scripts one by one and tenants
//! that take all of them in one run end equal.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::model::fault::FaultClass;
use crate::model::outcome::{Outcome, TenantRecord};
use crate::model::run_kind::RunKind;
use crate::model::tenant::{Address, Tenant};
use crate::run::Cancel;
use sea_orm::ConnectionTrait as _;
use secrecy::SecretString;

use crate::engines::support::fleet::Fleet;
use crate::engines::support::migrations::{Migrations, sql};
use crate::engines::support::{Home, Site, connect, texts, unique, with, with_mysqls};

const TABLES: &str = "CREATE TABLE p (id int AUTO_INCREMENT PRIMARY KEY, n int); CREATE TABLE c (p int REFERENCES p (id)); CREATE TABLE \
                      seen (v varchar(200)); INSERT INTO p VALUES (1, 10), (2, 20);";

type Files<'a> = &'a [(&'a str, &'a str)];

fn none() -> Migrations {
    Migrations::of([])
}

/// The tables and these scripts: all in one run, or each in a run of its own. Returns the last record.
async fn taken(home: &Home, files: Files<'_>, one_by_one: bool) -> TenantRecord {
    let mut all = vec![("0000_tables.sql", TABLES)];
    all.extend(files);
    let first = if one_by_one { 1 } else { all.len() };
    let mut record = None;
    for n in first..=all.len() {
        record = Some(Fleet::with_scripts(&none(), &all[..n]).await.up(&home.tenant).await);
    }
    record.unwrap()
}

/// Runs the scripts on two tenants in both ways; the second column of what is seen is the outcome of the last run.
async fn both(site: Site, files: Files<'_>, query: &str) -> Vec<String> {
    let mut seen = Vec::new();
    for one_by_one in [true, false] {
        with(site, async |home| {
            let record = taken(home, files, one_by_one).await;
            let mut rows = home.texts(query).await;
            rows.push(match &record.outcome {
                Outcome::Failed { class } => class.name().to_owned(),
                other => other.name().to_owned(),
            });
            seen.push(rows);
        })
        .await;
    }
    assert_eq!(seen[0], seen[1], "one by one, and all in one run, on {site:?}: {files:?}");
    seen.remove(0)
}

#[tokio::test]
async fn no_setting_of_a_script_reaches_the_next() {
    let read = |what: &str| format!("INSERT INTO seen VALUES ({what});");
    for (set, what, want) in [
        ("SET @x = 7;", "@x", "NULL"),
        ("SELECT 7 INTO @x;", "@x", "NULL"),
        ("SELECT @x := n FROM p;", "@x", "NULL"),
        ("UPDATE p SET n = (@x := 7);", "@x", "NULL"),
        ("/*!40101 SET @x = 7 */;", "@x", "NULL"),
        ("SET UNIQUE_CHECKS = 0;", "@@unique_checks", "1"),
        ("/*!40014 SET @OLD=@@FOREIGN_KEY_CHECKS, FOREIGN_KEY_CHECKS=0 */;", "@@foreign_key_checks", "1"),
        ("SET @@session.div_precision_increment = 9;", "@@div_precision_increment", "4"),
        ("SET NAMES latin1;", "HEX('é')", "C3A9"),
        ("SET CHARACTER SET latin1;", "@@character_set_client", "utf8mb4"),
        ("SET collation_connection = latin1_swedish_ci;", "HEX('é')", "C3A9"),
        ("USE mysql;", "DATABASE() = 'mysql'", "0"),
        ("INSERT INTO p (n) VALUES (3);", "LAST_INSERT_ID()", "0"),
        ("CREATE PROCEDURE q() SET @x = 7; CALL q();", "@x", "NULL"),
        ("PREPARE s FROM 'SET @x = 7'; EXECUTE s;", "@x", "NULL"),
        ("DO GET_LOCK('mine', 0);", "IS_USED_LOCK('mine')", "NULL"),
        ("SELECT GET_LOCK('mine', 0);", "IS_USED_LOCK('mine')", "NULL"),
        ("SET SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE;", "@@ISOLATION", "REPEATABLE-READ"),
        ("CREATE PROCEDURE q() SET autocommit = 0; CALL q();", "@@autocommit", "1"),
        ("SET sql_safe_updates = 1, sql_select_limit = 0;", "@@sql_safe_updates", "0"),
        ("SET SQL_LOG_BIN = 0;", "@@sql_log_bin", "1"),
        ("SET ROLE NONE;", "NULLIF(CURRENT_ROLE(), 'NONE')", "NULL"),
    ] {
        for site in Site::mysqls() {
            let isolation = if site == Site::Mysql { "@@transaction_isolation" } else { "@@tx_isolation" };
            let second = read(&what.replace("@@ISOLATION", isolation));
            let rows = both(site, &[("0001_set.sql", set), ("0002_read.sql", &second)], "SELECT v FROM seen").await;
            assert_eq!(rows, [want, "migrated"], "{set} on {site:?}");
        }
    }
    for set in ["EXECUTE IMMEDIATE 'SET @x = 7';", "BEGIN NOT ATOMIC SET @x = 7; END;"] {
        let files = [("0001_set.sql", set), ("0002_read.sql", &*read("@x"))];
        assert_eq!(both(Site::Mariadb, &files, "SELECT v FROM seen").await, ["NULL", "migrated"], "{set}");
    }
}

#[tokio::test]
async fn keys_modes_and_statements_of_one_script_are_not_those_of_the_next() {
    for site in Site::mysqls() {
        keys_modes_and_statements(site).await;
    }
}

async fn keys_modes_and_statements(site: Site) {
    let count = "SELECT COUNT(*) FROM c";
    let orphan = ("0002_orphan.sql", "INSERT INTO c VALUES (99);");
    let rows = both(site, &[("0001_off.sql", "SET FOREIGN_KEY_CHECKS = 0;"), orphan], count).await;
    assert_eq!(rows, ["0", FaultClass::ConstraintViolation.name()]);
    let mode = ("0001_mode.sql", "SET sql_mode = 'ANSI_QUOTES'; INSERT INTO seen SELECT n FROM \"p\" WHERE id = 1;");
    let rows = both(site, &[mode, ("0002_text.sql", "INSERT INTO seen VALUES (\"v\");")], "SELECT v FROM seen").await;
    assert_eq!(rows, ["10", "v", "migrated"]);
    let temporary = ("0001_temp.sql", "CREATE TEMPORARY TABLE seen (v int); INSERT INTO seen VALUES (1);");
    let rows = both(site, &[temporary, ("0002_row.sql", "INSERT INTO seen VALUES ('v');")], "SELECT v FROM seen").await;
    assert_eq!(rows, ["v", "migrated"]);
    let prepare = ("0001_prepare.sql", "PREPARE s FROM 'INSERT INTO seen VALUES (1)';");
    let rows = both(site, &[prepare, ("0002_execute.sql", "EXECUTE s;")], "SELECT v FROM seen").await;
    assert_eq!(rows, ["other"], "nothing of that name is prepared there");
    let handler = ("0001_handler.sql", "HANDLER p OPEN;");
    both(site, &[handler, ("0002_read.sql", "HANDLER p READ FIRST; INSERT INTO seen VALUES (1);")], count).await;
}

#[tokio::test]
async fn the_way_down_a_refresh_and_rust_begin_with_a_session_of_their_own_too() {
    with_mysqls(async |home: &Home| {
        home.run("CREATE TABLE seen (v varchar(200))").await;
        let read = |what: &str| format!("INSERT INTO seen VALUES (CONCAT('{what} ', COALESCE(@x, 'none'), IF(@@foreign_key_checks, 1, 0)))");
        let (up, down) = (read("up"), read("down"));
        let rust = Migrations::of([
            sql("m1", ["SET @x = 1".to_owned(), "SET FOREIGN_KEY_CHECKS = 0".to_owned()]).down([read("m1")]),
            sql("m2", [read("m2")]).down(["SET @x = 2"]),
        ]);
        let view = format!("-- fleet: view=totals group=hourly\nCREATE TABLE totals (n int);\n-- fleet: refresh\nSET @x = 5;\n{};\nDELETE FROM totals;", read("refresh"));
        let files = [
            ("0001_a.up.sql", "SET @x = 3, FOREIGN_KEY_CHECKS = 0;"),
            ("0001_a.down.sql", down.as_str()),
            ("0002_b.up.sql", up.as_str()),
            ("0002_b.down.sql", "SET @x = 4, FOREIGN_KEY_CHECKS = 0;"),
            ("R__totals.sql", view.as_str()),
            ("R__totals.down.sql", "DROP TABLE totals; SET @x = 6;"),
        ];
        for native in [false, true] {
            home.run("DELETE FROM seen").await;
            let fleet = Fleet::with_scripts(&rust, &files).await.native(native);
            let record = fleet.up(&home.tenant).await;
            assert_eq!(record.outcome.name(), "migrated", "{:?} {:?}", record.error, record.stopped_at);
            let record = fleet.task(RunKind::Refresh { views: fleet.set.derived() }, &home.tenant).await;
            assert_eq!(record.outcome, Outcome::Refreshed { n: 1 }, "{:?}", record.error);
            let record = fleet.down(&home.tenant).await;
            assert_eq!(record.outcome.name(), "rolled_back", "{:?} {:?}", record.error, record.stopped_at);
            let seen = home.texts("SELECT v FROM seen").await;
            assert_eq!(seen, ["m2 none1", "up none1", "refresh 51", "refresh 51", "down none1", "m1 none1"], "{native}");
        }
    })
    .await;
}

/// A script's own statements follow each other as in the server's own client.
#[tokio::test]
async fn nothing_of_fleet_comes_between_the_statements_of_a_script() {
    let counts = "UPDATE p SET n = 1; INSERT INTO seen VALUES (ROW_COUNT()); SELECT SQL_CALC_FOUND_ROWS * FROM p LIMIT 1; \
                  INSERT INTO seen VALUES (FOUND_ROWS()); SET TRANSACTION ISOLATION LEVEL READ COMMITTED; INSERT INTO seen \
                  VALUES ('x'); INSERT INTO seen SELECT ROW_COUNT();";
    for site in Site::mysqls() {
        let rows = both(site, &[("0001_counts.sql", counts)], "SELECT v FROM seen").await;
        assert_eq!(rows, ["2", "2", "x", "1", "migrated"], "{site:?}");
    }
}

#[tokio::test]
async fn the_history_is_written_whatever_a_script_sets() {
    for set in [
        "SET SESSION TRANSACTION READ ONLY; SELECT 1;",
        "SET TRANSACTION READ ONLY; SELECT 1;",
        "SET sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES,PAD_CHAR_TO_FULL_LENGTH';",
        "SET sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES,ORACLE';",
        "SET sql_mode = 'EMPTY_STRING_IS_NULL';",
        "SET NAMES latin1;",
        "SET sql_safe_updates = 1, sql_select_limit = 0; SELECT 1;",
        "USE mysql; SELECT 1;",
        "CREATE PROCEDURE q() BEGIN SET autocommit = 0; SET SESSION TRANSACTION READ ONLY; END; CALL q(); SELECT 1;",
        "CREATE PROCEDURE q() START TRANSACTION; CALL q(); INSERT INTO seen VALUES (1); SELECT 1;",
        "SELECT RELEASE_ALL_LOCKS(); SELECT 1;",
        "SET @x = 1; SELECT 1;",
    ] {
        with_mysqls(async |home: &Home| {
            // Modes that MySQL does not have.
            if home.site == Site::Mysql && (set.contains("ORACLE") || set.contains("EMPTY_STRING")) {
                return;
            }
            let files =
                [("0000_tables.sql", TABLES), ("0001_größe\\.sql", set), ("0002_b.sql", "CREATE TABLE z (i int);")];
            let fleet = Fleet::with_scripts(&none(), &files).await;
            let record = fleet.up(&home.tenant).await;
            assert_eq!(record.outcome.name(), "migrated", "{set}: {:?} {:?}", record.error, record.stopped_at);
            let versions = home.texts("SELECT version FROM fleet_scripts ORDER BY 1").await;
            assert_eq!(versions, ["0000_tables", "0001_größe\\", "0002_b"], "{set}");
            assert_eq!(fleet.up(&home.tenant).await.outcome, Outcome::UpToDate, "{set}");
            assert_eq!(home.texts("SELECT COUNT(*) FROM fleet_journal").await, ["0"], "{set}");
            let expected = if set.contains("INTO seen") { "1" } else { "0" };
            assert_eq!(home.texts("SELECT COUNT(*) FROM seen").await, [expected], "{set}: its rows are committed");
        })
        .await;
    }
}

/// A user whose rights all come from a default role, which a script takes off.
#[tokio::test]
async fn the_history_is_written_with_the_role_of_the_tenants_user() {
    with_mysqls(async |home: &Home| {
        let (role, user) = (&unique("r")[..30], &unique("u")[..30]);
        home.run(&format!("CREATE ROLE {role}")).await;
        home.run(&format!("GRANT ALL ON {}.* TO {role}", home.name)).await;
        home.run(&format!("CREATE USER {user}@'%' IDENTIFIED BY 'x'")).await;
        home.run(&format!("GRANT {role} TO {user}@'%'")).await;
        let to = if home.site == Site::Mysql { "TO" } else { "FOR" };
        home.run(&format!("SET DEFAULT ROLE {role} {to} {user}@'%'")).await;
        let mut url = url::Url::parse(&home.url()).unwrap();
        url.set_username(user).unwrap();
        url.set_password(Some("x")).unwrap();
        let tenant = Arc::new(Tenant {
            address: Address::Url(SecretString::from(url.to_string())),
            ..Tenant::clone(&home.tenant)
        });
        let files = [("0001_role.sql", "SET ROLE NONE; SELECT 1;"), ("0002_b.sql", "CREATE TABLE z (i int);")];
        let record = Fleet::with_scripts(&none(), &files).await.up(&tenant).await;
        home.run(&format!("DROP USER {user}@'%'")).await;
        home.run(&format!("DROP ROLE {role}")).await;
        assert_eq!(record.outcome.name(), "migrated", "{:?} {:?}", record.error, record.stopped_at);
        assert_eq!(record.committed, ["0001_role", "0002_b"]);
    })
    .await;
}

#[tokio::test]
async fn the_limit_for_locks_holds_whatever_a_script_sets() {
    for set in [
        "SET SESSION lock_wait_timeout = 600, innodb_lock_wait_timeout = 600;",
        "SET @@lock_wait_timeout = 600;",
        "/*!40101 SET lock_wait_timeout = 600 */;",
        "CREATE PROCEDURE q() SET lock_wait_timeout = 600; CALL q();",
        "PREPARE s FROM 'SET lock_wait_timeout = 600'; EXECUTE s;",
        "/*M! EXECUTE IMMEDIATE 'SET lock_wait_timeout = 600' */;",
    ] {
        with_mysqls(async |home: &Home| {
            home.run("CREATE TABLE held (i int)").await;
            let other = home.connect().await;
            other.execute_unprepared("BEGIN").await.unwrap();
            texts(&other, "SELECT COUNT(*) FROM held").await;
            let begun = Instant::now();
            let script = format!("{set} ALTER TABLE held ADD COLUMN j int;");
            let record = Fleet::with_scripts(&none(), &[("0001_x.sql", &script)]).await.up(&home.tenant).await;
            assert_eq!(record.error.as_ref().unwrap().class, FaultClass::LockTimeout, "{set}: {record:?}");
            assert!(begun.elapsed() < Duration::from_secs(20), "{set}: {:?}", begun.elapsed());
            home.run("DELETE FROM fleet_journal; DROP PROCEDURE IF EXISTS q").await;
            let one_call = Migrations::of([sql("m1", [script])]);
            let record = Fleet::of(&one_call).await.up(&home.tenant).await;
            assert_eq!(record.error.as_ref().unwrap().class, FaultClass::LockTimeout, "{set}: {record:?}");
            assert!(begun.elapsed() < Duration::from_secs(20), "{set}: {:?}", begun.elapsed());
            other.close().await.unwrap();
        })
        .await;
    }
}

/// A run keeps the tenant while it changes from one session to the next, however often others try to get in.
#[tokio::test]
async fn a_run_keeps_the_tenant_between_its_sessions() {
    with_mysqls(async |home: &Home| {
        let names: Vec<String> = (1..=40).map(|n| format!("{n:04}_s.sql")).collect();
        let texts: Vec<String> = (1..=40).map(|n| format!("SET @x = {n}; CREATE TABLE t{n} (i int);")).collect();
        let files: Vec<(&str, &str)> = names.iter().map(String::as_str).zip(texts.iter().map(String::as_str)).collect();
        let fleet = Fleet::with_scripts(&none(), &files).await;
        let (first, tenant) = (fleet.clone(), home.tenant.clone());
        let running = tokio::spawn(async move { first.up(&tenant).await });
        while home.texts("SHOW TABLES LIKE 't1'").await.is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let mut refused = 0;
        while !running.is_finished() {
            let record = fleet.up(&home.tenant).await;
            assert!(record.committed.is_empty(), "{record:?}");
            refused += usize::from(record.error.is_some_and(|fault| fault.class == FaultClass::TenantLocked));
        }
        let record = running.await.unwrap();
        assert_eq!((record.outcome.name(), record.committed.len()), ("migrated", 40), "{:?}", record.error);
        assert!(refused > 0, "somebody tried");
    })
    .await;
}

/// MySQL and MariaDB refuse to drop a parent while keys are checked, and keep its children while they are not.
#[tokio::test]
async fn a_rebuild_of_a_parent_takes_no_rows_of_its_children() {
    for (set, rows) in [("SET FOREIGN_KEY_CHECKS = 0;", "3"), ("", "2")] {
        with_mysqls(async |home: &Home| {
            home.run("CREATE TABLE parent (id int PRIMARY KEY, name text)").await;
            for action in ["CASCADE", "SET NULL"] {
                let name = action.replace(' ', "_");
                home.run(&format!(
                    "CREATE TABLE child_{name} (id int PRIMARY KEY, pid int, FOREIGN KEY (pid) REFERENCES parent (id) ON DELETE {action})"
                ))
                .await;
            }
            home.run("INSERT INTO parent VALUES (1, 'x'), (2, 'y')").await;
            home.run("INSERT INTO child_CASCADE VALUES (10, 1), (20, 2)").await;
            home.run("INSERT INTO child_SET_NULL VALUES (10, 1), (20, 2)").await;
            let rebuild = format!(
                "{set} CREATE TABLE parent_new (id int PRIMARY KEY, name text NOT NULL); INSERT INTO parent_new SELECT id, name FROM \
                 parent; DROP TABLE parent; ALTER TABLE parent_new RENAME TO parent;"
            );
            let files = [("0001_rebuild.sql", &*rebuild), ("0002_more.sql", "INSERT INTO parent VALUES (3, 'z');")];
            let record = Fleet::with_scripts(&none(), &files).await.up(&home.tenant).await;
            assert_eq!(record.outcome.name() == "migrated", !set.is_empty(), "{:?} {:?}", record.error, record.stopped_at);
            assert_eq!(home.texts("SELECT COUNT(*) FROM child_CASCADE").await, ["2"]);
            assert_eq!(home.texts("SELECT COUNT(pid) FROM child_SET_NULL").await, ["2"]);
            assert_eq!(home.texts("SELECT COUNT(*) FROM parent").await, [rows]);
            let orphan = Fleet::with_scripts(&none(), &[files[0], files[1], ("0003_orphan.sql", "INSERT INTO child_CASCADE VALUES (30, 99);")]).await;
            if !set.is_empty() {
                let class = orphan.up(&home.tenant).await.error.unwrap().class;
                assert_eq!(class, FaultClass::ConstraintViolation, "the key is there still");
            }
        })
        .await;
    }
}

/// Whoever takes the tenant's lock by other means is waited for, and nothing is lost.
#[tokio::test]
async fn another_run_may_take_the_tenant_between_two_sessions() {
    with_mysqls(async |home: &Home| {
        let files = [
            ("0001_a.sql", "SET @x = 1; SELECT SLEEP(2); CREATE TABLE a (i int);"),
            ("0002_b.sql", "CREATE TABLE b (i int);"),
        ];
        let fleet = Fleet::with_scripts(&none(), &files).await;
        let tenants = [home.tenant.clone()];
        let run = fleet.run(crate::model::schema::Direction::Up, &tenants, Cancel::default());
        let lock = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let other = connect(&home.url()).await;
            let name = "CONCAT('fleet:', SUBSTRING(SHA2(DATABASE(), 256), 1, 56))";
            assert_eq!(texts(&other, &format!("SELECT CAST(GET_LOCK({name}, 20) AS CHAR)")).await, ["1"]);
            other
        };
        let (records, other) = tokio::join!(run, lock);
        assert_eq!(records[0].error.as_ref().unwrap().class, FaultClass::TenantLocked, "{:?}", records[0]);
        assert_eq!(
            (records[0].committed.clone(), records[0].outcome.name()),
            (vec!["0001_a".to_owned()], "lock_timeout")
        );
        other.close().await.unwrap();
        tokio::time::sleep(Duration::from_millis(300)).await;
        let record = fleet.up(&home.tenant).await;
        assert_eq!((record.outcome.name(), record.committed), ("migrated", vec!["0002_b".to_owned()]));
    })
    .await;
}
