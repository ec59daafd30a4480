//! The commands that the program proposes next: they work, and are the same wherever they are shown.

use std::process::Child;

use serde_json::Value;
use sqlx::{Connection, Executor};

use crate::support::{Fleet, block_on, mariadb_url, record, sql, wait};

/// Two folders of scripts that end alike; one of them holds a migration that fails.
fn with_scripts(fleet: &Fleet) {
    for folder in ["sql", "bad sql"] {
        std::fs::create_dir(fleet.path(folder)).unwrap();
        std::fs::write(fleet.path(folder).join("R__v.sql"), "CREATE VIEW v AS SELECT 1 AS one;\n").unwrap();
    }
    std::fs::write(fleet.path("bad sql/0008_bad.sql"), "INSERT INTO no_such_table VALUES (1);\n").unwrap();
}

#[test]
fn proposed_commands_mean_the_places_that_were_given() {
    let fleet = Fleet::new().head("[fleet]\nattempts = 1\nscripts = \"sql\"").sqlite(1);
    with_scripts(&fleet);
    let places = ["--scripts", "bad sql", "--ledger", "here.db", "--backups", "copies"];
    let given = |words: &[&'static str]| [words, &places[..]].concat();
    let first = fleet.run(&given(&["migrate", "--backup", "--yes", "--format", "json"])).exits(100).json();
    let run = first["run"].as_str().unwrap();
    let flags = "--ledger here.db --scripts 'bad sql' --backups copies";
    let again = format!("migrate --failed-of {run} --backup {flags}");
    assert!(first["rerun"].as_str().unwrap().ends_with(&again), "{}", first["rerun"]);
    // `runs show` says what the run said, and `runs resume` that something is left to do.
    fleet.run(&given(&["runs", "show", "last"])).exits(0).shows(&[&again]);
    fleet.run(&given(&["runs", "resume", "last", "--yes"])).exits(100).tells(&["1 tenant of it is not at", &again]);
    // With other scripts the tenant would end as if it were at its target.
    let elsewhere = ["migrate", "--failed-of", run, "--yes", "--ledger", "here.db"];
    fleet.run(&elsewhere).exits(64).tells(&["0008_bad", "--scripts"]);
    fleet.run(&[&elsewhere[..], &["--scripts", "bad sql"]].concat()).exits(100);

    std::fs::write(fleet.path("bad sql/0008_bad.sql"), "CREATE TABLE good (i int);\n").unwrap();
    fleet.run(&[&elsewhere[..], &["--scripts", "bad sql"]].concat()).exits(0);
    assert!(fleet.has_table("lite-000", "good"));
    let later = ["runs", "resume", run, "--yes", "--ledger", "here.db", "--scripts", "bad sql"];
    fleet.run(&later).exits(0).tells(&["left nothing"]);
}

/// After a stop by the failure budget there are failed tenants and tenants not started: a command for each.
#[test]
fn a_budget_stop_has_a_command_for_the_failures_and_one_for_the_rest() {
    let fleet = Fleet::new().head("[fleet]\nattempts = 1\nconcurrency = 1\nmax_failures = \"0\"").sqlite(4);
    fleet.ask("lite-000", "CREATE TABLE users (id int)");
    let ended = fleet.run(&["migrate", "--yes", "--ledger", "here.db"]).exits(101);
    let shown = fleet.run(&["runs", "show", "last", "--ledger", "here.db"]).exits(0);
    for out in [&ended.out, &shown.out] {
        let line =
            |words: &str| out.lines().find(|line| line.contains(words)).unwrap_or_else(|| panic!("{words}: {out}"));
        assert!(line("migrate --failed-of ").ends_with(" --ledger here.db"), "{out}");
        assert!(
            line("the 3 that the run did not get to, once wave rest has no failure: ").ends_with(" --ledger here.db"),
            "{out}"
        );
    }
}

/// A migration of `my-000` that waits for a table, with the one who holds it, and the id of the waiting connection.
pub(crate) fn waiting_for_a_table(fleet: &Fleet, migrate: &[&str]) -> (Child, sqlx::MySqlConnection, String) {
    fleet.run(&["migrate", "--to", "tenant_features", "--yes", "-t", "my-*"]).exits(0);
    let mut holder = block_on(sqlx::MySqlConnection::connect(&fleet.tenant("my-000").url)).unwrap();
    block_on(holder.execute("LOCK TABLES inventory_items READ")).unwrap();
    let child = fleet.program(&[migrate, &["--yes", "--lock-timeout", "100s"]].concat()).spawn().unwrap();
    let name = fleet.tenant("my-000").url.rsplit('/').next().unwrap().to_owned();
    let waiting = format!(
        "SELECT CAST(id AS char) FROM information_schema.processlist WHERE db = '{name}' AND state LIKE '%metadata lock%'"
    );
    let begun = std::time::Instant::now();
    loop {
        match sql(&mariadb_url(), &waiting).pop() {
            Some(connection) => return (child, holder, connection),
            None => assert!(begun.elapsed().as_secs() < 60, "the migration never came to the lock"),
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

/// A server that drops the connection of `my-000` half way through a migration, which leaves the tenant in doubt; the report.
pub(crate) fn left_in_doubt(fleet: &Fleet) -> Value {
    let migrate = ["migrate", "-t", "my-000", "--format", "json"];
    let (child, holder, waiting) = waiting_for_a_table(fleet, &migrate);
    sql(&mariadb_url(), &format!("KILL {waiting}"));
    let report = wait(child).exits(100).json();
    block_on(holder.close()).unwrap();
    report
}

/// MariaDB keeps no transaction around DDL: a server that drops the connection half way leaves a tenant in doubt.
#[test]
fn a_tenant_in_doubt_tells_its_cause_and_is_settled_forwards_only() {
    let fleet = Fleet::new().mariadb(1);
    let report = left_in_doubt(&fleet);
    let found = record(&report, "my-000");
    assert_eq!(found["outcome"], "in_doubt", "{found:#}");
    assert_eq!(found["error"]["class"], "connection_lost", "{found:#}");
    assert!(report["rerun"].is_null(), "running it again would be refused: {}", report["rerun"]);

    let settle = "runs resolve my-000";
    let shown = fleet.run(&["runs", "show", "last"]).exits(0).shows(&[settle]);
    assert!(!shown.out.contains("--failed-of"), "{}", shown.out);
    fleet.run(&["runs", "resume", "last", "--yes"]).exits(100).tells(&[settle]);
    let back = fleet.run(&["runs", "resolve", "my-000", "--resume-at", "1", "--yes"]).exits(64);
    back.tells(&["happened", "nothing was changed"]);
    let at = found["statement"].as_u64().unwrap().to_string();
    fleet.run(&["runs", "resolve", "my-000", "--resume-at", &at, "--yes"]).exits(0);
    fleet.run(&["status"]).exits(0).shows(&[&format!("stopped before statement {at}")]);
    fleet.run(&["migrate", "--yes"]).exits(0);
    fleet.run(&["runs", "resume", report["run"].as_str().unwrap(), "--yes"]).exits(0);
}

/// The statement numbers in the journal refer to the text that was sent: they mean nothing in another one.
#[test]
fn a_script_that_was_edited_after_it_stopped_is_not_gone_on_with() {
    let fleet = Fleet::new().head("[fleet]\nattempts = 1\nscripts = \"sql\"").mariadb(1);
    std::fs::create_dir(fleet.path("sql")).unwrap();
    let script = |last: &str| {
        let text = format!("CREATE TABLE first_one (i int);\n{last}\n");
        std::fs::write(fleet.path("sql/0008_two.sql"), text).unwrap();
    };
    script("INSERT INTO no_such_table VALUES (1);");
    fleet.run(&["migrate", "--yes"]).exits(100);
    fleet.run(&["status"]).exits(0).shows(&["partially applied", "the next migrate goes on there"]);
    fleet
        .run(&["runs", "resolve", "my-000"])
        .exits(2)
        .tells(&["my-000 is partially applied", "the next migrate goes on there"]);

    script("INSERT INTO first_one VALUES (1);");
    let states = || fleet.run(&["status", "--format", "json"]).exits(0).json()["summary"]["by_state"].clone();
    assert_eq!((states()["in_doubt"].as_u64(), states()["partially_applied"].as_u64()), (Some(1), Some(0)));
    let edited = "was edited since";
    let status = fleet.run(&["status"]).exits(0).shows(&["in doubt", "0008_two", edited]);
    let resolve = fleet.run(&["runs", "resolve", "my-000"]).exits(2).tells(&["my-000 is in doubt", "0008_two", edited]);
    for told in [&status.out, &resolve.err] {
        assert!(!told.contains("goes on there"), "{told}");
    }
    fleet.run(&["plan"]).exits(0).shows(&["refused", "0008_two", edited]);
    fleet.run(&["doctor"]).exits(2).shows(&["in doubt", "runs resolve my-000"]);
    fleet.run(&["migrate", "--yes"]).exits(100).shows(&["IN DOUBT"]);
    // With its old text it continues.
    script("INSERT INTO no_such_table VALUES (1);");
    fleet.run(&["runs", "resolve", "my-000"]).exits(2).tells(&["the next migrate goes on there"]);
    script("INSERT INTO first_one VALUES (1);");
    let by_number = fleet.run(&["runs", "resolve", "my-000", "--resume-at", "2", "--yes"]).exits(64);
    by_number.tells(&["my-000", "could mean another statement", "nothing was changed", "put the old text back"]);
    fleet.run(&["runs", "resolve", "my-000", "--applied", "--yes"]).exits(0);
    fleet.run(&["migrate", "--yes"]).exits(0);
}

/// Two tenants on a script whose second statement was refused; then the process may have died in any of its statements.
fn stopped_in(script: &str) -> Fleet {
    let fleet = Fleet::new().head("[fleet]\nattempts = 1\nscripts = \"sql\"").sqlite(2);
    std::fs::create_dir(fleet.path("sql")).unwrap();
    write_script(&fleet, script);
    for id in ["lite-000", "lite-001"] {
        fleet.ask(id, "CREATE TABLE last_one (i int)");
    }
    fleet.run(&["migrate", "--yes"]).exits(100);
    for id in ["lite-000", "lite-001"] {
        fleet.ask(id, "DROP TABLE last_one");
    }
    fleet
}

fn write_script(fleet: &Fleet, text: &str) {
    std::fs::write(fleet.path("sql/0008_two.sql"), format!("-- fleet: transaction=false\n{text}\n")).unwrap();
}

/// The number in a journal is one of the text that was sent: taken for one of today's text, a statement would never run.
#[test]
fn a_script_that_was_edited_while_in_doubt_is_not_resolved_by_numbers() {
    let old = "CREATE TABLE first_one (i int);\nCREATE TABLE last_one (i int);";
    let new = format!("CREATE TABLE zeroth_one (i int);\n{old}");
    let fleet = stopped_in(old);
    fleet.ask("lite-000", "UPDATE fleet_journal SET state = 'running'");
    fleet.ask("lite-001", "UPDATE fleet_journal SET state = 'running', statement = 1; DROP TABLE first_one");
    let first = fleet.run(&["runs", "resolve", "lite-001"]).exits(2);
    first.tells(&["no statement of 2 happened", "statement 1 may have", "CREATE TABLE first_one", "--not-applied"]);

    write_script(&fleet, &new);
    let resolve = |id: &str, flags: &[&str]| fleet.run(&[&["runs", "resolve", id][..], flags].concat());
    let told = resolve("lite-000", &[]).exits(2).shows(&["put the old text back", "runs resolve lite-000 --applied"]);
    let told =
        told.tells(&["is in doubt", "was edited since", "statements 1 to 1 of the old text happened; statement 2 may"]);
    assert!(
        !told.err.contains("CREATE TABLE") && !told.err.contains(" -> "),
        "today's text says nothing: {}",
        told.err
    );
    assert!(!told.out.contains("--not-applied") && !told.out.contains("--resume-at"), "{}", told.out);
    for flags in [&["--resume-at", "2", "--yes"][..], &["--resume-at", "3", "--yes"], &["--not-applied", "--yes"]] {
        resolve("lite-000", flags).exits(64).tells(&[
            "tenant lite-000",
            "nothing was changed",
            "put the old text back",
        ]);
    }
    fleet.run(&["migrate", "--yes"]).exits(100).shows(&["IN DOUBT"]);
    assert!(!fleet.has_table("lite-000", "last_one") && !fleet.has_table("lite-000", "zeroth_one"));

    // Nothing but its first statement can have happened: that is seen without the old text.
    let told = resolve("lite-001", &[]).exits(2).shows(&["--applied", "--not-applied"]);
    told.tells(&["no statement of the old text happened"]);
    resolve("lite-001", &["--resume-at", "1", "--yes"]).exits(64);
    resolve("lite-001", &["--not-applied", "--yes"]).exits(0);
    fleet.run(&["migrate", "--yes", "--tenant", "lite-001"]).exits(0);
    assert!(fleet.has_table("lite-001", "zeroth_one"));

    // With the old text back, numbers mean what they did.
    write_script(&fleet, old);
    let told = resolve("lite-000", &[]).exits(2).shows(&["--resume-at 2"]);
    told.tells(&["statements 1 to 1 of 2 happened", "statement 2: CREATE TABLE last_one", "--resume-at 2"]);
    resolve("lite-000", &["--resume-at", "2", "--yes"]).exits(0);
    fleet.run(&["migrate", "--yes", "--tenant", "lite-000"]).exits(0);
    assert!(fleet.has_table("lite-000", "last_one"));
}

/// A PostgreSQL tenant on a script without a transaction that was refused for want of the table `missing`, which is there now.
fn refused_on_postgres(script: &str) -> Fleet {
    let fleet = Fleet::new().head("[fleet]\nattempts = 1\nscripts = \"sql\"").postgres(1);
    std::fs::create_dir(fleet.path("sql")).unwrap();
    write_script(&fleet, script);
    fleet.ask("pg-000", "CREATE SCHEMA other");
    fleet.run(&["migrate", "--yes"]).exits(100);
    fleet.ask("pg-000", "CREATE TABLE public.missing (i int)");
    fleet
}

/// The index of that name in `public` is another one: nothing says whether the statement happened.
#[test]
fn an_object_is_not_looked_for_where_its_name_leads_elsewhere() {
    let script =
        "SET search_path = other;\nCREATE TABLE a (i int);\nCREATE INDEX ix ON a (i);\nSELECT * FROM public.missing;";
    let fleet = refused_on_postgres(script);
    fleet.ask("pg-000", "CREATE TABLE public.b (i int); CREATE INDEX ix ON public.b (i); DROP INDEX other.ix");
    fleet.ask("pg-000", "UPDATE fleet_journal SET state = 'running', statement = 3");
    let told = fleet.run(&["runs", "resolve", "pg-000"]).exits(2);
    assert!(!told.err.contains(" -> "), "{}", told.err);
    told.tells(&["statement 3: CREATE INDEX ix"]);
}

/// The table would be read of that name that stays, with other rows.
#[test]
fn nothing_goes_on_behind_a_temporary_table_of_a_query_or_a_path() {
    for temporary in
        ["SELECT 1 AS i INTO TEMP t", "SET search_path = pg_temp, public;\nCREATE TABLE t AS SELECT 1 AS i"]
    {
        let script = format!("{temporary};\nSELECT * FROM public.missing;\nCREATE TABLE public.b AS SELECT * FROM t;");
        let fleet = refused_on_postgres(&script);
        fleet.ask("pg-000", "CREATE TABLE public.t AS SELECT 99 AS i");
        fleet.run(&["migrate", "--yes"]).exits(100).shows(&["the state of its session is gone"]);
        assert_eq!(
            fleet.ask("pg-000", "SELECT count(*)::text FROM pg_class WHERE relname = 'b'"),
            ["0"],
            "{temporary}"
        );
    }
}

/// A batch may be repeated: nobody has to say how far it came, and no command says that somebody has to.
#[test]
fn every_command_says_of_a_batch_what_the_next_run_does() {
    let fleet = stopped_in(
        "CREATE TABLE first_one (i int);\n/* fleet: batch */ DELETE FROM first_one WHERE i IN (SELECT i FROM first_one LIMIT 9);\n\
         CREATE TABLE last_one (i int);",
    );
    for id in ["lite-000", "lite-001"] {
        fleet.ask(id, "UPDATE fleet_journal SET state = 'running', statement = 2");
    }
    let goes_on = "which may be repeated; the next migrate goes on there";
    fleet.run(&["status"]).exits(0).shows(&["partially applied", goes_on]);
    fleet.run(&["plan"]).exits(0).shows(&["which may be repeated"]);
    fleet.run(&["runs", "resolve", "lite-000"]).exits(2).tells(&["is partially applied", goes_on]);
    fleet.run(&["migrate", "--yes"]).exits(0);
    assert!(fleet.has_table("lite-001", "last_one"));
}

#[test]
fn a_tenants_database_on_a_server_is_no_place_for_the_ledger() {
    let fleet = Fleet::new().sqlite(1).postgres(1).schemas(1).mariadb(1);
    for id in ["pg-000", "schema-000", "my-000"] {
        let ledger = fleet.tenant(id).url.clone();
        for command in [&["migrate", "--yes"][..], &["seed", "--yes"], &["backup"]] {
            let refused = fleet.run(&[command, &["--ledger", &ledger]].concat()).exits(78);
            refused.tells(&["the ledger on that server is the database of tenant", id]);
        }
        assert!(!fleet.has_table(id, "fleet_run"), "{id}");
    }
    assert_eq!(fleet.history("lite-000"), None, "nothing was started");
}
