//! Restores with obstacles: tables with partitions, objects of others, locks. An impossible restore is reported before
//! anything is dropped, or leaves nothing behind.

use sqlx::Connection as _;

use crate::dumps::{dump, run, run_id};
use crate::support::{Fleet, block_on, finish, json_file, mariadb_url, mysql, record, sql};

#[test]
fn a_restore_that_postgres_rolled_back_says_that_nothing_changed_and_what_to_type() {
    let mut fleet = Fleet::new();
    let url = fleet.database("postgres", "undone");
    fleet.add("pg", &url);
    fleet.tenant_mut("pg").schema = Some("shop".to_owned());
    sql(&url, "CREATE SCHEMA shop");
    fleet.run(&["migrate", "--yes"]).exits(0);
    let backed_up = run_id(&run(&fleet, &["backup"], 0));
    sql(&url, "CREATE VIEW public.watch AS SELECT version FROM shop.seaql_migrations");
    let before = dump(&fleet, "pg");
    let refused = run(&fleet, &["restore", "--run", &backed_up, "--yes"], 100);
    let told = record(&refused, "pg");
    assert_eq!(told["outcome"], "failed", "{told}");
    let message = told["error"]["message"].as_str().unwrap();
    assert!(message.ends_with("; the restore was rolled back and has changed nothing"), "{message}");
    let next = refused["rerun"].as_str().unwrap();
    assert!(next.contains(&format!("restore --run {backed_up} --failed-of")), "{next}");
    assert_eq!(dump(&fleet, "pg"), before);
}

#[test]
fn a_whole_database_with_tenants_in_its_schemas_is_not_restored_over_them() {
    let mut fleet = Fleet::new().schemas(2);
    let url = fleet.tenant("schema-000").url.clone();
    fleet.add("whole", &url);
    fleet.run(&["migrate", "--yes"]).exits(0);
    let backed_up = run_id(&run(&fleet, &["backup"], 0));
    fleet.ask("schema-001", "CREATE TABLE later (a int)");
    for arguments in [
        &["restore", "--run", &backed_up, "--yes", "--tenant", "whole"][..],
        &["restore", "--run", &backed_up, "--yes"],
        &["restore", "--latest", "--yes", "--tenant", "whole"],
        &["migrate", "--backup", "--on-failure", "restore", "--yes"],
    ] {
        let ran = fleet.run(arguments).exits(1);
        ran.tells(&["other tenants live: schema-000, schema-001", "--exclude whole", "nothing was touched"]);
        assert!(fleet.has_table("schema-001", "later"), "{arguments:?}");
    }
    run(&fleet, &["restore", "--run", &backed_up, "--yes", "--exclude", "whole"], 0);
    assert!(!fleet.has_table("schema-001", "later"));
}

/// Otherwise the load would be rejected half way, with everything dropped, and again at each retry.
#[test]
fn objects_of_others_that_mariadb_would_refuse_are_told_before_anything_is_dropped() {
    let mut fleet = Fleet::new();
    let (server, user) = (mariadb_url(), fleet.unique("re"));
    let database = fleet.database("mariadb", "definers");
    let name = database.rsplit_once('/').unwrap().1.to_owned();
    sql(&server, &format!("CREATE USER '{user}'@'%' IDENTIFIED BY 'pw'; GRANT ALL ON `{name}`.* TO '{user}'@'%'"));
    sql(&server, &format!("CREATE USER '{user}_other'@'%' IDENTIFIED BY 'pw'"));
    fleet.at_end(&server, &format!("DROP USER IF EXISTS '{user}'@'%', '{user}_other'@'%'"));
    fleet.add("my", &format!("mysql://{user}:pw@{}", database.rsplit_once('@').unwrap().1));
    fleet.run(&["migrate", "--yes"]).exits(0);
    fleet.ask("my", "CREATE VIEW mine AS SELECT name FROM inventory_items");
    let own = run_id(&run(&fleet, &["backup"], 0));
    sql(&server, &format!("GRANT ALL ON `fleet\\_scratch\\_%`.* TO '{user}'@'%'"));
    run(&fleet, &["restore", "--run", &own, "--yes"], 0);
    let trigger = "TRIGGER theirs BEFORE INSERT ON inventory_items FOR EACH ROW SET NEW.name = 'x'";
    sql(&database, &format!("CREATE DEFINER = '{user}_other'@'%' {trigger}"));
    let theirs = run_id(&run(&fleet, &["backup"], 0));
    fleet.ask("my", "CREATE TABLE later (a integer)");

    let refused = run(&fleet, &["restore", "--run", &theirs, "--yes"], 100);
    let told = record(&refused, "my");
    assert_eq!((&told["outcome"], &told["class"]), (&"failed".into(), &"permission_denied".into()), "{told}");
    let message = told["error"]["message"].as_str().unwrap();
    for words in
        [&format!("events of `{user}_other`@`%`"), "changed nothing", &format!("GRANT SET USER ON *.* TO `{user}`@`%`")]
    {
        assert!(message.contains(words), "{message}");
    }
    assert!(fleet.has_table("my", "later"));
    fleet.run(&["status", "--exit-code"]).exits(0);

    sql(&server, &format!("GRANT SET USER ON *.* TO '{user}'@'%'"));
    run(&fleet, &["restore", "--run", &theirs, "--yes"], 0);
    let definer =
        "SELECT definer FROM information_schema.triggers WHERE trigger_name = 'theirs' AND trigger_schema = DATABASE()";
    assert!(!fleet.has_table("my", "later") && fleet.ask("my", definer) == [format!("{user}_other@%")]);
}

/// The engine's client prints an error after the whole failed statement.
#[test]
fn the_error_of_a_load_is_told_with_its_number_and_not_the_statement() {
    let fleet = Fleet::new().mariadb(1);
    fleet.run(&["migrate", "--yes"]).exits(0);
    let columns: Vec<String> = (0..200).map(|n| format!("name AS a_rather_long_name_of_column_{n}")).collect();
    fleet.ask("my-000", &format!("CREATE VIEW wide AS SELECT {} FROM inventory_items", columns.join(", ")));
    let run_name = run_id(&run(&fleet, &["backup"], 0));
    let folder = fleet.path("backups").join(&run_name);
    let manifest = crate::support::json_file(&folder.join("my-000.json"));
    let file = folder.join(manifest["file"].as_str().unwrap());
    let whole = std::fs::read_to_string(&file).unwrap();
    let broken = whole.replace(" VIEW `wide` AS select ", " VIEW `wide` AS select no_such_column AS x, ");
    assert_ne!(whole, broken);
    std::fs::write(&file, &broken).unwrap();
    let sum = |bytes: &str| std::process::Command::new("sha256sum").arg(bytes).output().unwrap().stdout;
    let sum = String::from_utf8(sum(file.to_str().unwrap())).unwrap();
    let mut manifest = manifest;
    manifest["sha256"] = sum.split_whitespace().next().unwrap().into();
    manifest["bytes"] = broken.len().into();
    std::fs::write(folder.join("my-000.json"), manifest.to_string()).unwrap();
    let failed = run(&fleet, &["restore", "--run", &run_name, "--yes"], 100);
    let told = record(&failed, "my-000");
    assert_eq!((&told["outcome"], &told["error"]["code"]), (&"failed".into(), &"1054".into()), "{told}");
    let message = told["error"]["message"].as_str().unwrap();
    assert!(message.contains("): ERROR 1054 (42S22) at line") && !message.contains("a_rather_long"), "{message}");
}

/// The restore meets a reader of any table before it drops the first one, so nothing is in doubt.
#[test]
fn a_restore_that_gets_no_lock_on_mariadb_has_dropped_nothing_and_is_tried_again() {
    let head = "[fleet]\nlock_wait = \"4s\"\nlock_timeout = \"1s\"\nretry_pause = \"5ms\"";
    let fleet = Fleet::new().head(head).mariadb(1);
    fleet.run(&["migrate", "--yes"]).exits(0);
    let before = dump(&fleet, "my-000");
    let backed_up = run_id(&run(&fleet, &["backup"], 0));
    let tables =
        fleet.ask("my-000", "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE()");
    let url = fleet.tenant("my-000").url.clone();
    let refused = block_on(async {
        let mut reader = sqlx::MySqlConnection::connect(&url).await.unwrap();
        let last = tables.iter().max().unwrap();
        for query in ["START TRANSACTION".to_owned(), format!("SELECT count(*) FROM `{last}`")] {
            sqlx::raw_sql(sqlx::AssertSqlSafe(query)).execute(&mut reader).await.unwrap();
        }
        let refused = run(&fleet, &["restore", "--run", &backed_up, "--yes"], 100);
        reader.close().await.unwrap();
        refused
    });
    let told = record(&refused, "my-000");
    assert_eq!(told["outcome"], "lock_timeout", "{told}");
    assert!(told["attempts"].as_u64().unwrap() >= 2, "{told}");
    assert_eq!(dump(&fleet, "my-000"), before);
    run(&fleet, &["restore", "--run", &backed_up, "--yes"], 0);
    assert_eq!(dump(&fleet, "my-000"), before);
}

#[test]
fn the_list_of_backups_says_how_many_of_how_many_and_what_nobody_knows() {
    let mut fleet = Fleet::new().head("[fleet]\nattempts = 1").sqlite(3);
    fleet.run(&["migrate", "--yes"]).exits(0);
    let file = fleet.path("lite-001.db");
    std::fs::write(&file, "this was a database, and is none any more: no engine reads it").unwrap();
    let partly = run_id(&run(&fleet, &["backup"], 100));
    let whole = run_id(&run(&fleet, &["backup", "--exclude", "lite-001"], 0));
    let listed = |fleet: &Fleet| fleet.run(&["backup", "list", "--format", "json"]).exits(0).json()["backups"].clone();
    let row = |fleet: &Fleet, run: &str| {
        let all = listed(fleet);
        let row = all.as_array().unwrap().iter().find(|row| row["run"] == run).unwrap();
        serde_json::json!([row["tenants"], row["expected"], row["complete"]])
    };
    assert_eq!(row(&fleet, &partly), serde_json::json!([2, 3, false]));
    assert_eq!(row(&fleet, &whole), serde_json::json!([2, 2, true]));
    fleet.run(&["backup", "list"]).exits(0).shows(&["2 of 3", "2 of 2"]);

    // Another ledger has neither.
    fleet.head = "[fleet]\nledger = \"another.db\"".to_owned();
    assert_eq!(row(&fleet, &whole), serde_json::json!([2, null, null]));
    fleet.run(&["backup", "list"]).exits(0).shows(&["2 of ?"]);
}

/// `pg_restore` would begin and commit transactions of its own around large objects, and the restore's with them.
#[test]
fn a_restore_with_large_objects_is_rolled_back_whole_too() {
    let mut fleet = Fleet::new();
    let url = fleet.database("postgres", "large");
    fleet.add("pg", &url);
    fleet.run(&["migrate", "--yes"]).exits(0);
    sql(
        &url,
        "SELECT lo_from_bytea(4712, 'abc'); CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE ch (id int REFERENCES t)",
    );
    // A key that can't be made again.
    sql(&url, "SET session_replication_role = replica; INSERT INTO ch VALUES (1)");
    let backed_up = run_id(&run(&fleet, &["backup"], 0));
    sql(&url, "CREATE TABLE newer (i int)");
    let before = dump(&fleet, "pg");
    let refused = run(&fleet, &["restore", "--run", &backed_up, "--yes"], 100);
    let message = record(&refused, "pg")["error"]["message"].as_str().unwrap().to_owned();
    assert!(message.ends_with("; the restore was rolled back and has changed nothing"), "{message}");
    assert_eq!(dump(&fleet, "pg"), before);
    assert!(fleet.has_table("pg", "newer"));
    sql(&url, "DELETE FROM ch");
    let whole = run_id(&run(&fleet, &["backup"], 0));
    sql(&url, "SELECT lo_unlink(4712); DROP TABLE newer");
    run(&fleet, &["restore", "--run", &whole, "--yes"], 0);
    assert_eq!(fleet.ask("pg", "SELECT convert_from(lo_get(4712), 'UTF8')"), ["abc"]);
}

/// A view reads the history, whose rows come last, and a trigger is on it.
#[test]
fn a_view_on_the_history_and_a_trigger_on_it_come_back() {
    let fleet = Fleet::new().mariadb(1).mysql_where_there(1).with_mysql_tools();
    fleet.write();
    fleet.run(&["migrate", "--yes"]).exits(0);
    for tenant in fleet.tenants.iter().map(|tenant| &*tenant.id) {
        fleet.ask(tenant, "CREATE VIEW a_version AS SELECT max(version) AS v FROM seaql_migrations");
        fleet.ask(tenant, "CREATE TABLE heard (v varchar(255))");
        let heard =
            "CREATE TRIGGER hears AFTER INSERT ON seaql_migrations FOR EACH ROW INSERT INTO heard VALUES (NEW.version)";
        fleet.ask(tenant, heard);
    }
    fleet.run(&["backup"]).exits(0);
    for tenant in fleet.tenants.iter().map(|tenant| &*tenant.id) {
        fleet.ask(tenant, "DROP VIEW a_version");
    }
    fleet.run(&["restore", "--latest", "--yes"]).exits(0);
    for tenant in fleet.tenants.iter().map(|tenant| &*tenant.id) {
        assert_eq!(fleet.ask(tenant, "SELECT count(*) FROM a_version"), ["1"], "{tenant}");
        let triggers = "SELECT trigger_name FROM information_schema.triggers WHERE trigger_schema = DATABASE() AND \
                        event_object_table = 'seaql_migrations'";
        assert_eq!(fleet.ask(tenant, triggers), ["hears"], "{tenant}");
        assert_eq!(fleet.ask(tenant, "SELECT count(*) FROM heard"), ["0"], "{tenant}: the load fires no trigger");
    }
}

/// A package is known to a server in Oracle's mode alone, and the tools write no default of a database without its name.
#[test]
fn packages_go_and_the_character_set_comes_back_on_mariadb() {
    let fleet = Fleet::new().head("[fleet]\nattempts = 1").mariadb(1);
    fleet.run(&["migrate", "--yes"]).exits(0);
    let url = fleet.tenant("my-000").url.clone();
    let mut connection = block_on(<sqlx::MySqlConnection as sqlx::Connection>::connect(&url)).unwrap();
    for sql in ["ALTER DATABASE CHARACTER SET latin1", "SET sql_mode = ORACLE"] {
        block_on(sqlx::Executor::execute(&mut connection, sql)).unwrap();
    }
    fleet.run(&["backup", "--yes"]).exits(0);
    for sql in ["CREATE PACKAGE later AS FUNCTION f RETURN INT; END", "ALTER DATABASE CHARACTER SET utf8mb3"] {
        block_on(sqlx::Executor::execute(&mut connection, sqlx::raw_sql(sql))).unwrap();
    }
    drop(connection);
    fleet.run(&["restore", "--run", "last", "--yes"]).exits(0);
    let packages = "SELECT routine_name FROM information_schema.routines WHERE routine_schema = DATABASE() AND routine_type LIKE 'PACK%'";
    assert_eq!(fleet.ask("my-000", packages), [""; 0]);
    assert_eq!(fleet.ask("my-000", "SELECT @@character_set_database"), ["latin1"]);
}

/// The tools write such names with the database before them, and the trial is made in another one.
#[test]
fn a_trial_takes_a_dump_that_names_its_own_database_on_mariadb() {
    let fleet = Fleet::new().head("[fleet]\nattempts = 1").mariadb(1);
    fleet.run(&["migrate", "--yes"]).exits(0);
    for sql in [
        "CREATE FUNCTION f(i int) RETURNS int DETERMINISTIC RETURN i + 1",
        "CREATE VIEW called AS SELECT f(1) AS two",
        "CREATE SEQUENCE q",
        "CREATE TABLE numbered (i int DEFAULT nextval(q), j int)",
    ] {
        fleet.ask("my-000", sql);
    }
    fleet.run(&["backup", "--yes"]).exits(0);
    for sql in ["DROP FUNCTION f", "DROP TABLE numbered", "DROP SEQUENCE q"] {
        fleet.ask("my-000", sql);
    }
    fleet.run(&["restore", "--run", "last", "--yes"]).exits(0);
    fleet.ask("my-000", "INSERT INTO numbered (j) VALUES (1)");
    assert_eq!(fleet.ask("my-000", "SELECT two FROM called"), ["2"]);
}

/// Runs the program with each product's own tools, and returns the report.
#[track_caller]
fn with_tools(fleet: &Fleet, arguments: &[&str], code: i32) -> serde_json::Value {
    fleet.write();
    let all = [arguments, &["--yes", "--report", "json=report.json"]].concat();
    finish(fleet.program(&all).env("PATH", mysql::path())).exits(code);
    json_file(&fleet.path("report.json"))
}

/// A date that no calendar has is let in by one mode, and a load without it makes it zero, with a warning alone.
#[test]
fn dates_that_no_calendar_has_come_back_as_they_were() {
    let fleet = Fleet::new().head("[fleet]\nattempts = 1").mariadb(1).mysql_where_there(1);
    fleet.run(&["migrate", "--yes"]).exits(0);
    for tenant in &fleet.tenants {
        let rows = "SET sql_mode = 'ALLOW_INVALID_DATES'; CREATE TABLE z (i int PRIMARY KEY, d date, t datetime(3)); INSERT INTO \
                    z VALUES (1, '2026-02-31', '2025-02-29 01:02:03.5')";
        let mut connection = block_on(sqlx::MySqlConnection::connect(&tenant.url)).unwrap();
        block_on(sqlx::Executor::execute(&mut connection, sqlx::raw_sql(rows))).unwrap();
    }
    with_tools(&fleet, &["backup"], 0);
    for tenant in &fleet.tenants {
        fleet.ask(&tenant.id, "DROP TABLE z");
    }
    with_tools(&fleet, &["restore", "--run", "last"], 0);
    for tenant in &fleet.tenants {
        let found = fleet.ask(&tenant.id, "SELECT CONCAT(d, ' ', t) FROM z");
        assert_eq!(found, ["2026-02-31 2025-02-29 01:02:03.500"], "{}", tenant.id);
    }
}

/// Hexadecimal text is twice as long as the bytes, so a row that a server took may be one that it takes no more.
#[test]
fn a_dump_that_its_own_server_can_not_load_is_no_backup() {
    let fleet = Fleet::new().head("[fleet]\nattempts = 1").mariadb(1).mysql_where_there(1);
    fleet.run(&["migrate", "--yes"]).exits(0);
    for tenant in &fleet.tenants {
        let most: usize = fleet.ask(&tenant.id, "SELECT CAST(@@GLOBAL.max_allowed_packet AS CHAR)")[0].parse().unwrap();
        fleet.ask(&tenant.id, "CREATE TABLE large (i int PRIMARY KEY, b LONGBLOB)");
        let row = format!("INSERT INTO large VALUES (1, REPEAT(X'00FF275C', {}))", (most / 2 + 4096) / 4);
        fleet.ask(&tenant.id, &row);
    }
    let report = with_tools(&fleet, &["backup"], 100);
    for tenant in &fleet.tenants {
        let told = record(&report, &tenant.id);
        assert_eq!((&told["outcome"], &told["error"]["code"]), (&"failed".into(), &"1153".into()), "{told}");
        assert!(told["error"]["message"].as_str().unwrap().contains("SET GLOBAL max_allowed_packet = "), "{told}");
        fleet.ask(&tenant.id, "UPDATE large SET b = LEFT(b, 1000000)");
    }
    with_tools(&fleet, &["backup"], 0);
    with_tools(&fleet, &["restore", "--run", "last"], 0);
}

#[test]
fn an_event_at_which_the_dump_would_never_end_is_named() {
    let fleet = Fleet::new().head("[fleet]\nattempts = 1").mariadb(1).mysql_where_there(1);
    fleet.run(&["migrate", "--yes"]).exits(0);
    for tenant in &fleet.tenants {
        let event = "CREATE EVENT quarterly ON SCHEDULE EVERY 1 QUARTER STARTS '2031-01-01' DISABLE DO IF 1 THEN SELECT ';;'; END IF";
        fleet.ask(&tenant.id, event);
    }
    let report = with_tools(&fleet, &["backup"], 100);
    for tenant in &fleet.tenants {
        let message = record(&report, &tenant.id)["error"]["message"].as_str().unwrap().to_owned();
        assert!(message.contains("never ends at an event whose text or comment has `;;`: quarterly"), "{message}");
        fleet.ask(&tenant.id, "DROP EVENT quarterly");
    }
    with_tools(&fleet, &["backup"], 0);
}
