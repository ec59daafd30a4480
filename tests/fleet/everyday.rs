//! Everyday commands, and the words that people type for them.

use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;

use sqlx::{Connection as _, Executor as _};

use crate::support::{Fleet, all, block_on, finish, mysql, program, signal, wait_for_end};

#[test]
fn words_of_other_tools_are_answered_with_the_command_here() {
    let fleet = Fleet::new().sqlite(1);
    let answers: [(&[&str], &[&str]); 28] = [
        (&["apply"], &["there is no command `apply`", "small migrate", "Brings the selected tenants"]),
        (&["logs"], &["small runs list", "small runs show"]),
        (&["diff"], &["small plan"]),
        (&["generate", "x"], &["small new"]),
        (&["validate"], &["small doctor"]),
        (&["list"], &["small history", "small tenants list"]),
        (&["db:rollback"], &["small rollback"]),
        (&["migration", "run"], &["small migrate"]),
        (&["version"], &["small current", "small --version"]),
        (&["migrat", "--yes"], &["did you mean", "small migrate"]),
        (&["zebra"], &["there is no command `zebra`", "small --help"]),
        (&["runs", "sho"], &["did you mean", "small runs show"]),
        (&["migrate", "status"], &["there is no `migrate status`; here it is", "small status"]),
        (&["migrate", "deploy"], &["there is no `migrate deploy`; here it is", "small migrate  "]),
        (&["sqlx", "migrate", "run"], &["there is no `sqlx migrate run`; here it is", "small migrate  "]),
        (&["npx", "prisma", "migrate", "deploy"], &["`npx prisma migrate deploy`; here it is", "small migrate  "]),
        (&["flyway", "migrate"], &["there is no `flyway migrate`; here it is", "small migrate  "]),
        (&["alembic", "upgrade", "head"], &["`alembic upgrade head`; here it is", "small migrate  "]),
        (&["prepare"], &["small plan"]),
        (&["runs", "last"], &["small runs show last"]),
        (&["runs", "0198abcd"], &["small runs show 0198abcd"]),
        (&["rollback", "1"], &["a number of steps is told by a flag", "small rollback --steps N"]),
        (&["rollback", "-n", "1"], &["small rollback --steps N"]),
        (&["migrate", "--steps", "-1"], &["the way back is told by a flag", "small rollback --steps N"]),
        (&["rollback"], &["rollback is told how far", "small rollback --steps N", "small rollback --to MIGRATION"]),
        (&["stamp", "head"], &["stamp takes the version by its flag", "small stamp --to VERSION", "small history"]),
        (&["migrate", "--fake"], &["migrate has no --fake", "stamp --to"]),
        (&["migrate", "--engine", "postgres"], &["migrate has no --engine", "--server SERVER"]),
    ];
    for (typed, told) in answers {
        let ran = fleet.run(typed).exits(64).tells(told);
        assert!(!ran.err.contains("restore") && !ran.err.contains("fleet "), "{typed:?}: {}", ran.err);
    }
    let line = "small migrate --tenant lite-000 --yes";
    fleet.run(&["migrate", "lite-000", "--yes"]).exits(64).tells(&[line, "--to lite-000"]);
    fleet.run(&["up", "--tenant", "lite-000", "--yes"]).exits(0);
    fleet.run(&["down", "--all", "--yes"]).exits(0);
}

#[test]
fn a_program_that_embeds_fleet_says_its_own_name() {
    let fleet = Fleet::new().sqlite(1);
    let version = fleet.run(&["--version"]).exits(0).out;
    assert!(version.starts_with("small (fleet ") && version.trim_end().ends_with(')'), "{version}");
    let help = fleet.run(&["migrate", "--help"]).exits(0).out;
    assert!(help.contains("`small plan --sql`") && !help.contains("`fleet "), "{help}");
    let help = fleet.run(&["--help"]).exits(0).out;
    assert!(help.contains("Exit codes: small help-exit-codes"), "{help}");
    let script = fleet.run(&["completions", "bash"]).exits(0).out;
    assert!(script.contains("_clap_complete_small") && !script.contains("_clap_complete_fleet"), "{}", &script[..400]);
    let plan = fleet.run(&["plan"]).exits(0).out;
    assert!(plan.contains("`small plan --list-scripts`"), "{plan}");
    let sarif = fleet.run(&["lint", "--engine", "sqlite", "--format", "sarif", "--fail-on", "never"]).exits(0).json();
    let driver = &sarif["runs"][0]["tool"]["driver"];
    assert_eq!(driver["name"], "small lint");
    assert_eq!(format!("small {}", driver["version"].as_str().unwrap()), version.trim_end());
}

#[test]
fn where_there_is_no_tenant_file_a_small_one_is_shown_that_works() {
    let folder = tempfile::tempdir().unwrap();
    let ran = finish(&mut program(folder.path(), &["status"])).exits(78).tells(&["no tenants.toml", "[[tenant]]"]);
    let file: String = ran.err.split("\n\n").nth(1).unwrap().lines().map(|line| format!("{}\n", line.trim())).collect();
    std::fs::write(folder.path().join("tenants.toml"), file).unwrap();
    finish(&mut program(folder.path(), &["migrate", "--yes"])).exits(0).shows(&["1 migrated"]);
}

/// All commands that go on stand under one heading, with the wave whose budget stopped the run.
#[test]
fn the_ways_on_stand_under_one_next_with_the_budget_that_stopped_the_run() {
    let waves = "[[wave]]\nname = \"canary\"\ntenants = [\"lite-001\"]\n";
    let fleet = Fleet::new().head(waves).sqlite(3);
    fleet.ask("lite-001", "CREATE TABLE users (id int)");
    let check = |out: &str| {
        let next = out.split("\nNext\n").nth(1).unwrap_or_else(|| panic!("no Next in {out}"));
        let ways: Vec<&str> = next.lines().take_while(|line| line.starts_with("  ")).collect();
        assert!(ways[0].contains("--failed-of"), "{out}");
        let resume = "the 2 that the run did not get to, once wave canary has no failure: small runs resume";
        assert!(ways.iter().any(|way| way.contains(resume)), "{out}");
        assert!(!next.trim_end().lines().last().unwrap().contains("resume"), "{out}");
        let stopped =
            "the failure budget of wave canary was used up: 1 of 1 finished failed, and its max_failures allows";
        assert!(out.contains(stopped), "{out}");
    };
    let ran = fleet.run(&["migrate", "--yes"]).exits(101);
    check(&ran.out);
    assert!(ran.err.contains("the failure budget of wave canary (0) was used up"), "{}", ran.err);
    check(&fleet.run(&["runs", "show", "last"]).exits(0).out);
}

#[test]
fn the_history_shows_how_far_each_migration_has_spread() {
    let fleet = Fleet::new().sqlite(2).postgres(1).mariadb(1);
    fleet.run(&["migrate", "--yes", "--tenant", "lite-000"]).exits(0);
    fleet.run(&["migrate", "--yes", "--tenant", "pg-000", "--steps", "2"]).exits(0);
    let told = fleet.run(&["history", "--format", "json"]).exits(0).json();
    let (rows, names) = (told["migrations"].as_array().unwrap(), all());
    assert_eq!((told["tenants"].as_u64(), rows.len()), (Some(4), names.len()));
    let have: Vec<u64> = rows.iter().map(|row| row["have"].as_u64().unwrap()).collect();
    assert_eq!(have, [2, 2, 1, 1, 1, 1]);
    assert_eq!(
        (rows[1]["date"].as_str(), rows[1]["description"].as_str()),
        (Some("2025-01-10"), Some("initial schema"))
    );
    fleet.run(&["history"]).exits(0).shows(&["2 of 4", "1 of 4", "add tenant features", "4 tenants"]);
    fleet
        .run(&["history", "--format", "csv"])
        .exits(0)
        .shows(&["migration,kind,date,description,have,tenants,status,impact,rollback"]);
    fleet.run(&["history", "--format", "md"]).exits(0).shows(&["| Migration | Kind |"]);
}

#[test]
fn the_timeline_and_a_rollback_tell_what_the_comments_of_migrations_say() {
    let fleet = Fleet::new().head("[fleet]\nscripts = \"sql\"").sqlite(2);
    std::fs::create_dir(fleet.path("sql")).unwrap();
    let script = "-- Phones of customers. With an index.\n-- status: reviewed\n-- impact: forms have one more field\n\
                  -- rollback: phones are lost;\n--   the shop fails\nCREATE TABLE phones (id int);\n";
    std::fs::write(fleet.path("sql/0001_phones.up.sql"), script).unwrap();
    std::fs::write(fleet.path("sql/0001_phones.down.sql"), "DROP TABLE phones;\n").unwrap();
    // Only the way down has its issue.
    std::fs::write(fleet.path("sql/0002_more.up.sql"), "CREATE TABLE more (id int);\n").unwrap();
    std::fs::write(fleet.path("sql/0002_more.down.sql"), "-- rollback: takes an hour\nDROP TABLE more;\n").unwrap();
    // The sources of one of the program's own migrations, in a crate as `new` finds it.
    std::fs::create_dir_all(fleet.path("migration/src")).unwrap();
    std::fs::write(fleet.path("migration/src/lib.rs"), "impl MigratorTrait for Migrator {}\n").unwrap();
    let source = "//! Users,\n//! and orders. More.\n//!\n//! rollback: needs the backup\n//! status: done\n\nuse a;\n";
    let first = &all()[0];
    std::fs::write(fleet.path(&format!("migration/src/{first}.rs")), source).unwrap();
    fleet.run(&["migrate", "--yes", "--tenant", "lite-000"]).exits(0);

    let told = fleet.run(&["history", "--timeline"]).exits(0).out;
    let [newer, older, rust] = ["0002_more\n", "0001_phones\n", first].map(|name| told.find(name).expect(name));
    assert!(newer < older && older < rust, "{told}");
    let entry = "0001_phones\n    Phones of customers.\n    status: reviewed\n    impact: forms have one more field\n\
                 \x20   rollback: phones are lost; the shop fails\n    versioned, 1 of 2 tenants\n";
    assert!(told.contains(entry), "{told}");
    assert!(told.contains("\n2025-01-10  m20250110_000001_initial_schema\n"), "{told}");
    assert!(told[rust..].contains("\n    Users, and orders.\n    status: done\n"), "{told}");
    assert!(told.lines().all(|line| line.chars().count() <= 80), "{told}");
    let json = fleet.run(&["history", "--format", "json"]).exits(0).json();
    let row = |name: &str| json["migrations"].as_array().unwrap().iter().find(|row| row["name"] == name).unwrap();
    assert_eq!(row("0001_phones")["status"], "reviewed");
    assert_eq!(row("0001_phones")["rollback"], "phones are lost; the shop fails");
    assert_eq!(row("0002_more")["rollback"], "takes an hour");
    assert_eq!(row(first)["rollback"], "needs the backup");
    assert!(row(&all()[1])["rollback"].is_null());

    let plan = ["plan", "--down", "--steps", "2", "--tenant", "lite-000"];
    let issues =
        ["Known issues of the way down", "0002_more: takes an hour", "0001_phones: phones are lost; the shop fails"];
    let shown = fleet.run(&plan).exits(0).shows(&issues);
    assert!(!shown.out.contains("needs the backup"), "{}", shown.out);
    let json = fleet.run(&[&plan[..], &["--format", "json"]].concat()).exits(0).json();
    assert_eq!(json["rollback_issues"][0]["migration"], "0002_more");
    assert_eq!(json["rollback_issues"][1]["issue"], "phones are lost; the shop fails");
    let up = fleet.run(&["plan"]).exits(0).out;
    assert!(!up.contains("Known issues"), "{up}");
}

#[test]
fn a_tenant_s_own_history_says_when_in_which_run_and_by_whom() {
    let mut fleet = Fleet::new().head("[fleet]\nscripts = \"sql\"").sqlite(1).postgres(1).mysql_where_there(1);
    std::fs::create_dir(fleet.path("sql")).unwrap();
    std::fs::write(fleet.path("sql/0001_a.up.sql"), "-- Makes a.\nCREATE TABLE a (id int);\n").unwrap();
    fleet.run(&["migrate", "--yes"]).exits(0);
    let run = fleet.run(&["runs", "show", "last", "--format", "json"]).exits(0).json()["run"].clone();
    for tenant in &fleet.tenants {
        let id = &*tenant.id;
        let told = fleet.run(&["history", "--tenant", id, "--format", "json"]).exits(0).json();
        let rows = told["history"].as_array().unwrap();
        assert_eq!(rows.len(), all().len() + 1, "{told}");
        assert_eq!(rows.last().unwrap()["name"], "0001_a");
        for row in rows {
            assert!(row["run"] == run && row["applied_at"].as_i64().unwrap() > 1_700_000_000, "{row}");
            assert!(row["by"].as_str().unwrap().contains('@'), "{row}");
        }
    }
    let one = ["history", "--tenant", "pg-000"];
    fleet.run(&one).exits(0).shows(&["APPLIED AT", "0001_a", "pg-000: 7 migrations, at target"]);
    fleet.run(&["history"]).exits(0).shows(&["Makes a.", &format!("{0} of {0}", fleet.tenants.len())]);
    fleet.add("gone", "sqlite:nowhere.db");
    fleet.run(&["history", "--tenant", "gone"]).exits(100).shows(&["gone", "unreachable"]);
}

#[test]
fn the_current_version_of_each_tenant_in_a_line() {
    let fleet = Fleet::new().sqlite(2);
    fleet.run(&["migrate", "--yes", "--tenant", "lite-000"]).exits(0);
    let head = all().last().unwrap();
    let ran =
        fleet.run(&["current"]).exits(0).shows(&[&format!("{head} (head)"), "at target", "(nothing applied)", "empty"]);
    assert_eq!(ran.out.lines().count(), 3, "{}", ran.out);
    fleet.run(&["current", "--exit-code"]).exits(2);
    fleet.run(&["current", "--format", "csv"]).exits(0).shows(&[&format!("lite-000,{head},at target\n")]);
}

#[test]
fn a_new_script_has_the_next_number_and_no_name_twice() {
    let fleet = Fleet::new().head("[fleet]\nscripts = \"sql\"").sqlite(1);
    std::fs::create_dir(fleet.path("sql")).unwrap();
    std::fs::write(fleet.path("sql/0009_a.up.sql"), "CREATE TABLE a (id int);\n").unwrap();
    fleet.run(&["new", "--sql", "Add phone"]).exits(0).shows(&["sql/0010_add_phone.up.sql", "0010_add_phone.down.sql"]);
    fleet.run(&["new", "--sql", "add_phone"]).exits(64).tells(&["0010_add_phone", "already"]);
    fleet.run(&["new", "--sql", "a'b"]).exits(64).tells(&["letters"]);
    std::fs::write(fleet.path("sql/0010_add_phone.up.sql"), "-- add phone\nALTER TABLE a ADD COLUMN phone text;\n")
        .unwrap();
    std::fs::write(fleet.path("sql/0010_add_phone.down.sql"), "ALTER TABLE a DROP COLUMN phone;\n").unwrap();
    fleet.run(&["migrate", "--yes"]).exits(0);
    fleet.run(&["rollback", "--steps", "1", "--yes"]).exits(0);
    fleet.run(&["history"]).exits(0).shows(&["add phone", "0 of 1"]);
}

#[test]
fn a_new_migration_is_listed_in_the_migrator_or_the_lines_are_shown() {
    let fleet = Fleet::new().sqlite(1);
    std::fs::create_dir_all(fleet.path("migration/src")).unwrap();
    let lib = fleet.path("migration/src/lib.rs");
    let head = "use sea_orm_migration::prelude::*;\n\npub struct Migrator;\n\nimpl MigratorTrait for Migrator {\n    fn migrations() -> Vec<Box<dyn MigrationTrait>> {\n";
    std::fs::write(&lib, format!("{head}        vec![]\n    }}\n}}\n")).unwrap();
    let made = fleet.run(&["new", "add_phone"]).exits(0).shows(&["_add_phone.rs", "listed in"]);
    let file = made.out.split("made ").nth(1).unwrap().lines().next().unwrap();
    let module = file.rsplit('/').next().unwrap().strip_suffix(".rs").unwrap();
    let clock = std::process::Command::new("date").args(["-u", "-d", "1 minute ago", "+m%Y%m%d_%H"]).output().unwrap();
    assert!(module > String::from_utf8(clock.stdout).unwrap().trim(), "{module}: the time is that of the clock");
    assert!(std::fs::read_to_string(file).unwrap().contains("async fn down"));
    let text = std::fs::read_to_string(&lib).unwrap();
    assert!(text.contains(&format!("mod {module};")) && text.contains(&format!("Box::new({module}::Migration),")));
    fleet.run(&["new", "add_phone"]).exits(64).tells(&["already"]);
    std::fs::write(&lib, format!("{head}        all()\n    }}\n}}\n")).unwrap();
    let before = std::fs::read_to_string(&lib).unwrap();
    fleet.run(&["new", "other"]).exits(0).shows(&["not touched", "_other::Migration),"]);
    assert_eq!(std::fs::read_to_string(&lib).unwrap(), before);
}

/// A tenant of each kind with two rows: an empty text and a NULL.
fn of_each_kind() -> Fleet {
    let fleet = Fleet::new().sqlite(1).postgres(1).schemas(1).mariadb(1).mysql_where_there(1);
    for tenant in &fleet.tenants {
        fleet.ask(&tenant.id, "CREATE TABLE t (a int, b varchar(20))");
        fleet.ask(&tenant.id, "INSERT INTO t VALUES (1, ''), (2, NULL)");
    }
    fleet
}

#[test]
fn sql_is_asked_of_all_tenants_and_null_is_no_empty_text() {
    let fleet = of_each_kind();
    let sql = "SELECT a, b FROM t ORDER BY a";
    let csv = fleet.run(&["exec", sql, "--format", "csv"]).exits(0).out;
    let rows: String = fleet.tenants.iter().map(|t| format!("{},1,\"\"\n{},2,\n", t.id, t.id)).collect();
    assert_eq!(csv, format!("tenant,a,b\n{rows}"));
    let lines = fleet.run(&["exec", sql, "--format", "jsonl"]).exits(0).out;
    let all = fleet.tenants.len();
    let null = format!("{{\"tenant\":\"{}\",\"row\":{{\"a\":\"2\",\"b\":null}}}}\n", fleet.tenants[all - 1].id);
    assert!(lines.ends_with(&null) && lines.lines().count() == 2 * all, "{lines}");
    let rows = format!("{} rows of {all} tenants", 2 * all);
    fleet.run(&["exec", sql]).exits(0).shows(&["TENANT", "NULL", "schema-000", &rows]);
    std::fs::write(fleet.path("q.sql"), "SELECT 7 AS x;\nSELECT 'y' AS z;\n").unwrap();
    let ran = fleet.run(&["exec", "--file", "q.sql", "--tenant", "pg-000", "--format", "json"]).exits(0).json();
    assert_eq!(ran["tenants"][0]["answers"][1]["rows"][0][0], "y", "{ran}");
}

/// What the engines would let pass.
#[test]
fn sql_that_takes_the_read_only_session_back_is_refused() {
    let fleet = of_each_kind();
    for (id, sql) in [
        ("pg-000", "SET TRANSACTION READ WRITE; CREATE TABLE u (a int); COMMIT; SELECT 1/0"),
        ("pg-000", "ROLLBACK; BEGIN READ WRITE; CREATE TABLE u (a int); COMMIT"),
        ("pg-000", "SELECT set_config('default_transaction_read_only','off',false); COMMIT; CREATE TABLE u (a int)"),
        ("pg-000", "SET \"transaction_read_only\" TO off; CREATE TABLE u (a int)"),
        ("pg-000", "SELECT lo_create(4242); COMMIT"),
        ("pg-000", "ABORT; CREATE TABLE u (a int)"),
        ("schema-000", "COMMIT; DROP TABLE t"),
        ("pg-000", "COPY (SELECT 1) TO PROGRAM 'cat'"),
        ("my-000", "COMMIT; SET `tx_read_only` = 0; CREATE TABLE u (a int)"),
        ("my-000", "SET @@`tx_read_only` = 0"),
        ("my-000", "IF 1 THEN COMMIT; START TRANSACTION READ WRITE; CREATE TABLE u (a int); END IF"),
        ("my-000", "a: LOOP COMMIT; SET tx_read_only = 0; CREATE TABLE u (a int); LEAVE a; END LOOP"),
        ("mysql-000", "SET `transaction_read_only` = 0; COMMIT; CREATE TABLE u (a int)"),
        ("mysql-000", "RESTART"),
        ("lite-000", "COMMIT; DROP TABLE t"),
        ("my-000", "BEGIN NOT ATOMIC SET SESSION TRANSACTION READ WRITE; COMMIT; INSERT INTO t VALUES (3, 'x'); END"),
        ("my-000", "SHUTDOWN WAIT FOR ALL SLAVES"),
        ("mysql-000", "SET SESSION transaction_read_only = 0; COMMIT; CREATE TABLE u (a int)"),
        ("lite-000", "COMMIT; VACUUM INTO 'copy.db'"),
    ] {
        if mysql::is_left_out(id) {
            continue;
        }
        fleet.run(&["exec", sql, "--tenant", id]).exits(64).tells(&["nothing was sent", "--write"]);
        assert!(!fleet.has_table(id, "u") && !fleet.path("copy.db").exists(), "{id} {sql}");
    }
    // By the engine itself: behind a first query the mode of a transaction stays.
    fleet.run(&["exec", "SELECT set_config('transaction_read_only', 'off', false)", "--tenant", "pg-000"]).exits(100);
}

/// The engines refuse it: the text is not looked at.
#[test]
fn sql_that_would_change_something_is_refused_by_every_engine() {
    let fleet = of_each_kind();
    let codes = ["[8]", "[25006]", "[25006]", "[1792]", "[1792]"];
    for sql in
        ["INSERT INTO t VALUES (3, 'x')", "CREATE TABLE u (a int)", "DROP TABLE t", "SELECT 1; DELETE FROM t; SELECT 1"]
    {
        for (tenant, code) in fleet.tenants.iter().zip(codes) {
            let ran = fleet.run(&["exec", sql, "--tenant", &tenant.id]).exits(100);
            ran.tells(&[code, &tenant.id, "nothing was changed"]);
            assert_eq!(fleet.ask(&tenant.id, "SELECT CAST(a AS char(1)) FROM t ORDER BY a"), ["1", "2"], "{sql}");
            assert!(!fleet.has_table(&tenant.id, "u"));
        }
    }
}

#[test]
fn failures_of_one_cause_are_told_once_and_a_statement_has_its_time() {
    let fleet = Fleet::new().sqlite(3).postgres(1);
    fleet.ask("lite-001", "CREATE TABLE only_here (a int)");
    let ran = fleet.run(&["exec", "SELECT count(*) AS n FROM only_here", "--tenant", "lite-*"]).exits(100);
    let ran = ran.shows(&["lite-001"]).tells(&["2 tenants (lite-000, lite-002): [1] no such table: only_here"]);
    assert_eq!(ran.err.matches("only_here").count(), 1, "{}", ran.err);
    let slow = ["exec", "SELECT pg_sleep(60)", "--tenant", "pg-000", "--statement-timeout", "1s"];
    fleet.run(&slow).exits(100).tells(&["[57014]"]);
}

#[test]
fn a_shell_is_the_engine_s_own_client_on_the_tenant() {
    let fleet = of_each_kind();
    let asked: [(&str, &[&str], &str); 5] = [
        ("lite-000", &["SELECT 40 + count(*) FROM t"], "42\n"),
        ("pg-000", &["-Atc", "SELECT 40 + count(*) FROM t"], "42\n"),
        ("schema-000", &["-Atc", "SELECT current_schema(), count(*) FROM t"], "t000|2\n"),
        ("my-000", &["-Ne", "SELECT 40 + count(*) FROM t"], "42\n"),
        ("mysql-000", &["-Ne", "SELECT 40 + count(*) FROM t"], "42\n"),
    ];
    for (id, rest, answer) in asked {
        if mysql::is_left_out(id) {
            continue;
        }
        let ran = fleet.run(&[&["shell", id, "--"], rest].concat()).exits(0);
        assert_eq!(ran.out, answer, "{id}: {}", ran.err);
    }
    fleet.run(&["shell", "pg-000", "--", "-c", "SELECT nothing"]).exits(1).tells(&["nothing"]);
    fleet.run(&["shell", "*"]).exits(64).tells(&[&format!("matches {} tenants", fleet.tenants.len())]);
    let without = |id: &str| finish(fleet.program(&["shell", id]).env("PATH", "/nowhere"));
    without("pg-000").exits(1).tells(&["apt-get install postgresql-client"]);
    without("my-000").exits(1).tells(&["apt-get install mariadb-client"]);
    without("lite-000").exits(1).tells(&["apt-get install sqlite3"]);
}

/// The last of 250 tenants answers only when the test lets it: whatever is read before came as a stream.
#[test]
fn answers_are_streamed_in_the_order_of_the_tenants() {
    let fleet = Fleet::new().sqlite(250);
    let ids: Vec<String> = fleet.tenants.iter().map(|tenant| tenant.id.clone()).collect();
    for id in &ids {
        std::fs::write(fleet.path(&format!("{id}.db")), "").unwrap();
    }
    fleet.ask(&ids[249], "CREATE TABLE held (a int)");
    let url = format!("sqlite:{}", fleet.path(&format!("{}.db", ids[249])).display());
    let mut holder = block_on(async {
        let mut holder = sqlx::SqliteConnection::connect(&url).await.unwrap();
        holder.execute("BEGIN EXCLUSIVE").await.unwrap();
        holder
    });
    fleet.write();
    let sql = "SELECT count(*) AS n FROM sqlite_master";
    let mut child = fleet
        .program(&["exec", sql, "--format", "jsonl", "--lock-timeout", "5m", "--statement-timeout", "10m"])
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let tenant = |line: String| -> String {
        let row: serde_json::Value = serde_json::from_str(&line).unwrap_or_else(|e| panic!("{line}: {e}"));
        row["tenant"].as_str().unwrap().to_owned()
    };
    let first: Vec<String> = lines.by_ref().take(150).map(tenant).collect();
    assert_eq!(first, ids[..150]);
    assert_eq!(child.try_wait().unwrap(), None, "the last tenant has not answered yet");
    block_on(holder.execute("COMMIT")).unwrap();
    let rest: Vec<String> = lines.map(tenant).collect();
    assert_eq!(rest, ids[150..]);
    assert_eq!(wait_for_end(&mut child), Some(0));
}

/// A client that writes down what it is given, and then waits.
const SPY: &str = "#!/bin/sh\n\
    if [ \"$1\" = --version ]; then echo 'spy 99'; exit; fi\n\
    for word in \"$@\"; do case $word in --defaults-file=*) file=${word#*=};; esac; done\n\
    file=${file:-$PGPASSFILE}\n\
    { echo \"$@\"; env; } > told\n\
    stat -c %a \"$file\" > mode\ncat \"$file\" > secret\necho \"$file\" > file.part\nmv file.part file\n\
    exec sleep 600\n";

#[test]
fn the_client_of_a_shell_has_the_password_in_a_private_file_that_goes_with_it() {
    let fleet = Fleet::new().postgres(1).mariadb(1);
    let (tools, temp) = (fleet.path("tools"), fleet.path("temp"));
    std::fs::create_dir(&tools).unwrap();
    std::fs::create_dir(&temp).unwrap();
    for tool in ["psql", "mariadb", "mysql"] {
        std::fs::write(tools.join(tool), SPY).unwrap();
        std::fs::set_permissions(tools.join(tool), std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let path = format!("{}:{}", tools.display(), std::env::var("PATH").unwrap());
    fleet.write();
    for tenant in ["pg-000", "my-000"] {
        let url = fleet.tenant(tenant).url.clone();
        let password = url.split_once('@').unwrap().0.rsplit_once(':').unwrap().1.to_owned();
        assert!(password.len() > 8, "the server of the tests has a password");
        let mut shell = fleet.program(&["shell", tenant, "--", "-x"]);
        // The environment of the tests themselves has the URLs of the servers.
        for (name, _) in std::env::vars().filter(|(_, value)| value.contains(&password)) {
            shell.env_remove(name);
        }
        let mut child = shell.env("PATH", &path).env("TMPDIR", &temp).spawn().unwrap();
        let begun = std::time::Instant::now();
        while !fleet.path("file").exists() {
            assert!(begun.elapsed().as_secs() < 60, "{tenant}: the client was not started");
            assert_eq!(child.try_wait().unwrap(), None, "{tenant}: the shell has ended");
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        let read = |name: &str| std::fs::read_to_string(fleet.path(name)).unwrap();
        let file = read("file").trim().to_owned();
        assert_eq!(read("mode").trim(), "600", "{tenant}");
        assert!(read("secret").contains(&password), "{tenant}: the client can read it");
        assert!(!read("told").contains(&password), "{tenant}: no password in arguments or environment");
        assert!(read("told").contains("-x"), "{tenant}: its own arguments");
        assert!(file.starts_with(temp.to_str().unwrap()) && std::path::Path::new(&file).exists(), "{file}");
        signal(&child, "TERM");
        wait_for_end(&mut child);
        assert!(!std::path::Path::new(&file).exists(), "{tenant}: {file} is left");
        assert_eq!(std::fs::read_dir(&temp).unwrap().count(), 0, "{tenant}");
        std::fs::remove_file(fleet.path("file")).unwrap();
    }
}
