//! `exec --write`: one transaction a tenant, and one honest outcome.

use crate::support::{Fleet, count, mysql, record, with};

/// A tenant of each kind, migrated, with a table of two rows.
fn of_each_kind() -> Fleet {
    let fleet = Fleet::new().sqlite(1).postgres(1).schemas(1).mariadb(1).mysql_where_there(1);
    fleet.run(&["migrate", "--yes"]).exits(0);
    for tenant in &fleet.tenants {
        fleet.ask(&tenant.id, "CREATE TABLE t (a int, b varchar(20))");
        fleet.ask(&tenant.id, "INSERT INTO t VALUES (1, 'x'), (2, 'x')");
    }
    fleet
}

fn values(fleet: &Fleet, id: &str) -> Vec<String> {
    fleet.ask(id, "SELECT CAST(a AS char(1)) FROM t ORDER BY a")
}

/// The tenants without transactional DDL.
fn mysqls() -> Vec<&'static str> {
    ["my-000", "mysql-000"].into_iter().filter(|id| !mysql::is_left_out(id)).collect()
}

#[test]
fn sql_that_may_write_is_committed_once_on_each_tenant_and_recorded() {
    let fleet = of_each_kind();
    let sql = "UPDATE t SET b = 'y'; INSERT INTO t SELECT 3, 'z';";
    fleet.run(&["exec", "--write", sql]).exits(64).tells(&["--yes"]);
    let report = fleet.run(&["exec", "--write", sql, "--yes", "--format", "json"]).exits(0).json();
    let all = fleet.tenants.len();
    assert_eq!(count(&report, "committed"), all, "{report:#}");
    for tenant in &fleet.tenants {
        assert_eq!(values(&fleet, &tenant.id), ["1", "2", "3"], "{}", tenant.id);
        assert_eq!(record(&report, &tenant.id)["n"], 3);
    }
    let ran = fleet.run(&["runs", "show", "last"]).exits(0);
    let ran = ran.shows(&[&format!("{all} committed"), "exec --write 'UPDATE t SET b = '", "3 rows"]);
    assert!(!ran.out.contains("Next"), "{}", ran.out);
    // A secret in the text is not kept.
    let secret = "CREATE TABLE k AS SELECT 's3cret' AS password";
    fleet.run(&["exec", "--write", secret, "--yes", "--tenant", "lite-000"]).exits(0);
    let ran = fleet.run(&["runs", "show", "last", "--format", "json"]).exits(0);
    assert!(!ran.out.contains("s3cret") && ran.out.contains("exec --write -"), "{}", ran.out);
    // A file too, as a whole; without a statement about rows nothing is counted.
    std::fs::write(fleet.path("x.sql"), "CREATE TABLE u (a int);\n-- the end\n").unwrap();
    let lite = ["exec", "--write", "--file", "x.sql", "--yes", "--tenant", "lite-*"];
    fleet.run(&lite).exits(0).shows(&["0 rows"]);
    assert!(fleet.has_table("lite-000", "u"));
}

#[test]
fn a_statement_that_fails_takes_back_what_the_engine_can_and_the_rest_is_named() {
    let fleet = of_each_kind();
    let sql = "INSERT INTO t VALUES (3, 'x'); CREATE TABLE u (a int); INSERT INTO t VALUES (4, 'x'); INSERT INTO nosuch VALUES (1)";
    let ran = fleet.run(&["exec", "--write", sql, "--yes", "--format", "json"]).exits(100);
    let report = ran.json();
    assert_eq!(count(&report, "failed"), fleet.tenants.len());
    for tenant in &fleet.tenants {
        let record = record(&report, &tenant.id);
        let (text, is_mysql) = (record["error"]["message"].as_str().unwrap(), mysqls().contains(&&*tenant.id));
        let (state, left): (&str, &[&str]) = match is_mysql {
            true => ("statements 1 to 2 stay", &["1", "2", "3"]),
            false => ("it was rolled back, and nothing was changed", &["1", "2"]),
        };
        assert!(text.contains("nosuch") && text.contains(state), "{}: {text}", tenant.id);
        assert_eq!(record["stopped_at"]["statement"], 4);
        assert_eq!(record["attempts"], 1);
        assert_eq!(values(&fleet, &tenant.id), left, "{}", tenant.id);
        assert_eq!(fleet.has_table(&tenant.id, "u"), is_mysql);
    }
    // The errors of one cause stand once, and the command for those that failed names the text.
    let ran = fleet.run(&["exec", "--write", "DELETE FROM nosuch", "--yes", "--tenant", "my*"]).exits(100);
    let those = format!("exec --write 'DELETE FROM nosuch' --tenant {}", mysqls().join(" --tenant "));
    ran.shows(&["FAILED", "exec, statement 1", &those]);
}

#[test]
fn text_that_would_leave_the_transaction_is_refused_before_anything_is_sent() {
    let fleet = of_each_kind();
    for (sql, why) in [
        ("DELETE FROM t;\nCOMMIT", "line 2: `COMMIT` is in the way of the transaction"),
        ("BEGIN; DELETE FROM t", "line 1: `BEGIN`"),
        ("DELETE FROM t; SELECT 'a", "never ends"),
        ("/* nothing */", "there is no statement in it"),
    ] {
        fleet.run(&["exec", "--write", sql, "--yes"]).exits(64).tells(&[why, "nothing was sent"]);
    }
    for tenant in &fleet.tenants {
        assert_eq!(values(&fleet, &tenant.id), ["1", "2"]);
    }
}

/// Each tenant that is a schema would do it again to the same rows.
#[test]
fn a_tenant_that_is_a_schema_changes_nothing_of_its_neighbours() {
    let fleet = Fleet::new().schemas(2);
    fleet.run(&["migrate", "--yes"]).exits(0);
    fleet.ask("schema-001", "CREATE TABLE mine (a int); INSERT INTO mine VALUES (1)");
    let dynamic = "DO $$ BEGIN EXECUTE 'UPDATE t00' || '1.mine SET a = 2'; END $$";
    for sql in [
        "DELETE FROM t001.mine",
        "TRUNCATE t001.mine",
        "DROP TABLE t001.mine",
        "SET ROLE postgres; DELETE FROM t001.mine",
        dynamic,
    ] {
        let ran = fleet.run(&["exec", "--write", sql, "--yes", "--tenant", "schema-000"]).exits(100);
        match sql == dynamic {
            true => ran.shows(&["outside of the tenant's schema", "FL008"]),
            false => ran.shows(&["and not in the tenant's own"]).tells(&["nothing was sent"]),
        };
        assert_eq!(fleet.ask("schema-001", "SELECT a::text FROM mine"), ["1"], "{sql}");
    }
    fleet.run(&["exec", "--write", "DELETE FROM mine", "--yes", "--tenant", "schema-001"]).exits(0);
    // As in a migration: a trigger may add a row to a log of all tenants for a plain statement, and code may not.
    fleet.ask(
        "schema-000",
        "CREATE TABLE public.log (a int); CREATE TABLE kept (a int); CREATE FUNCTION logs() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
         INSERT INTO public.log VALUES (new.a); RETURN new; END $$; CREATE TRIGGER logs BEFORE INSERT ON kept FOR EACH ROW EXECUTE \
         FUNCTION logs()",
    );
    let exec = |sql: &str| fleet.run(&["exec", "--write", sql, "--yes", "--tenant", "schema-000"]);
    exec("INSERT INTO kept VALUES (1)").exits(0);
    exec("DO $$ BEGIN INSERT INTO kept VALUES (2); END $$").exits(100).shows(&["public.log", "shared_schemas"]);
    assert_eq!(fleet.ask("schema-000", "SELECT a::text FROM public.log"), ["1"]);
}

#[test]
fn fleet_s_own_tables_are_not_changed_by_an_operator_s_text() {
    let fleet = of_each_kind();
    let history = fleet.history("pg-000");
    let dynamic = "DO $$ BEGIN EXECUTE 'DELETE FROM seaql_' || 'migrations'; END $$";
    for (id, sql) in [
        ("lite-000", "DELETE FROM t; DELETE FROM seaql_migrations"),
        ("lite-000", "DELETE FROM t; DROP TABLE seaql_migrations"),
        ("lite-000", "DELETE FROM t; CREATE TABLE fleet_scripts (a int)"),
        ("pg-000", "DELETE FROM t; DELETE FROM seaql_migrations"),
        ("pg-000", dynamic),
        ("schema-000", dynamic),
        ("my-000", "DELETE FROM t; DELETE FROM seaql_migrations"),
        ("mysql-000", "DELETE FROM t; DROP TABLE `seaql_migrations`"),
    ] {
        if mysql::is_left_out(id) {
            continue;
        }
        let ran = fleet.run(&["exec", "--write", sql, "--yes", "--tenant", id]).exits(100);
        ran.shows(&["fleet's own", "stamp"]);
        assert_eq!(fleet.history(id), history, "{id}");
        assert_eq!(values(&fleet, id), ["1", "2"], "{id}");
    }
}

/// The server ends the session in the commit itself: nobody knows what came of it, and it is not sent again.
#[test]
fn a_connection_lost_in_the_commit_is_in_doubt_and_never_sent_again() {
    let fleet = of_each_kind();
    fleet.ask(
        "pg-000",
        "CREATE FUNCTION dies() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); \
         RETURN NULL; END $$; CREATE CONSTRAINT TRIGGER dies AFTER INSERT ON t DEFERRABLE INITIALLY DEFERRED FOR EACH ROW \
         EXECUTE FUNCTION dies()",
    );
    let sql = "INSERT INTO t VALUES (3, 'x')";
    let ran = fleet.run(&["exec", "--write", sql, "--yes", "--tenant", "pg-*", "--tenant", "lite-*"]).exits(100);
    let ran = ran.shows(&[
        "IN DOUBT",
        "the connection was lost in the commit",
        "may have been committed on pg-000",
        "1 attempt,",
    ]);
    assert!(!ran.out.contains("--failed-of") && !ran.out.contains("runs resume"), "{}", ran.out);
    fleet.run(&["runs", "resume", "last", "--yes"]).exits(64).tells(&["may have been committed on pg-000"]);
    let ran = fleet.run(&["exec", "--write", sql, "--yes", "--failed-of", "last", "--format", "json"]);
    let ran = ran.tells(&["pg-000 may have it already"]);
    assert_eq!(ran.json()["tenants"].as_array().unwrap().len(), 0);
    assert_eq!(values(&fleet, "lite-000"), ["1", "2", "3"]);
    // Before the commit it is known: the server rolls back.
    let dies = "INSERT INTO t VALUES (4, 'x'); SELECT pg_terminate_backend(pg_backend_pid())";
    let ran = fleet.run(&["exec", "--write", dies, "--yes", "--tenant", "schema-000", "--attempts", "1"]).exits(100);
    ran.shows(&["FAILED", "it was rolled back, and nothing was changed"]);
    assert_eq!(values(&fleet, "schema-000"), ["1", "2"]);
    let dies = "KILL CONNECTION_ID()";
    let report =
        fleet.run(&["exec", "--write", dies, "--yes", "--tenant", "my*", "--format", "json"]).exits(100).json();
    assert_eq!(with(&report, "in_doubt"), mysqls(), "{report:#}");
}

#[test]
fn sql_with_a_character_that_no_server_takes_is_refused() {
    let fleet = Fleet::new().sqlite(1);
    std::fs::write(fleet.path("x.sql"), "SELECT 'a\0b'").unwrap();
    let refused = fleet.run(&["exec", "--write", "--file", "x.sql", "--yes"]).exits(64);
    refused.tells(&["the SQL holds the character U+0000; nothing was sent"]);
}
