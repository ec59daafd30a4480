//! `online = true`: statements that lock a table for long are sent in forms with short locks, and a run that dies in the
//! middle of one goes on where it was. On the engines.

use serde_json::Value;
use sqlx::{Connection, Executor};

use crate::support::{
    Fleet, awaited, block_on, database_of, mysql, postgres_url, record, signal, sql, wait_for_end, with,
};

const HEAD: &str = "[fleet]\nscripts = \"sql\"\nattempts = 1\nlock_timeout = \"60s\"\n";

const TABLES: &str = "CREATE TABLE people (id int, mail text, age int);\n\
    CREATE TABLE sales (id int PRIMARY KEY, user_id int, total int);\n\
    CREATE TABLE counted (n int);\n\
    CREATE INDEX old ON sales (total);\n\
    INSERT INTO people SELECT i, 'm' || i || '@x', i FROM generate_series(1, 50) i;\n\
    INSERT INTO sales SELECT i, i, i FROM generate_series(1, 50) i;\n\
    INSERT INTO counted VALUES (0);\n";

/// Each form, and between them a change that must happen exactly once.
const LOCKS: &str = "ALTER TABLE people ALTER COLUMN mail SET NOT NULL;\n\
    ALTER TABLE people ADD CONSTRAINT people_pk PRIMARY KEY (id);\n\
    UPDATE counted SET n = n + 1;\n\
    ALTER TABLE sales ADD CONSTRAINT fk_user FOREIGN KEY (user_id) REFERENCES people (id);\n\
    CREATE INDEX ix_total ON sales (total);\n\
    ALTER TABLE people ADD CONSTRAINT u_mail UNIQUE (mail);\n\
    UPDATE counted SET n = n + 1;\n\
    DROP INDEX old;\n\
    ALTER TABLE people ADD CONSTRAINT c_mail CHECK (mail LIKE '%@%');\n\
    UPDATE counted SET n = n + 1;\n";

/// The statements of [`LOCKS`] in their online forms that define something.
const DEFINITIONS: usize = 4 + 5 + 2 + 1 + 2 + 1 + 2;

fn write(fleet: &Fleet, file: &str, text: &str) {
    std::fs::create_dir_all(fleet.path("sql")).unwrap();
    std::fs::write(fleet.path("sql").join(file), text).unwrap();
}

/// PostgreSQL tenants that have the tables, and the script with the locks is there.
fn fleet(fleet: Fleet) -> Fleet {
    let fleet = fleet.head(HEAD);
    write(&fleet, "0001_tables.sql", TABLES);
    fleet.run(&["migrate", "--yes"]).exits(0);
    write(&fleet, "0002_locks.sql", LOCKS);
    fleet
}

/// What a tenant's tables are, in words of the server.
fn schema(fleet: &Fleet, tenant: &str) -> Vec<String> {
    let named = "relname IN ('people', 'sales') AND relnamespace = current_schema()::regnamespace";
    fleet.ask(
        tenant,
        &format!(
            "SELECT conname || ' ' || pg_get_constraintdef(k.oid) || ' ' || convalidated FROM pg_constraint k JOIN pg_class c \
             ON c.oid = conrelid WHERE {named} UNION ALL \
             SELECT replace(pg_get_indexdef(indexrelid), current_schema() || '.', '') || ' ' || indisvalid FROM pg_index JOIN \
             pg_class c ON c.oid = indrelid WHERE {named} UNION ALL \
             SELECT c.relname || '.' || attname || ' ' || attnotnull FROM pg_attribute JOIN pg_class c ON c.oid = attrelid WHERE \
             {named} AND attnum > 0 ORDER BY 1"
        ),
    )
}

fn counted(fleet: &Fleet, tenant: &str) -> Vec<String> {
    fleet.ask(tenant, "SELECT n::text FROM counted")
}

fn scripts(fleet: &Fleet, tenant: &str) -> Vec<String> {
    fleet.ask(tenant, "SELECT version || ' ' || checksum FROM fleet_scripts ORDER BY version")
}

/// The schema that the migration leaves where it is sent as it is.
fn plain() -> Vec<String> {
    let plain = fleet(Fleet::new().postgres(1));
    plain.run(&["migrate", "--yes"]).exits(0);
    schema(&plain, "pg-000")
}

#[test]
fn the_online_form_leaves_the_schema_and_the_history_of_the_migration() {
    let fleet = fleet(Fleet::new().postgres(2).schemas(2));
    let one = ["--tenant", "pg-000", "--tenant", "schema-000"];
    fleet.run(&[&["migrate", "--yes", "--online"][..], &one].concat()).exits(0);
    assert!(!fleet.ask("pg-000", "SELECT relname FROM pg_class WHERE relname = 'fleet_journal'").is_empty());
    fleet.run(&["migrate", "--yes"]).exits(0);
    for (online, plain) in [("pg-000", "pg-001"), ("schema-000", "schema-001")] {
        assert_eq!(schema(&fleet, online), schema(&fleet, plain));
        assert_eq!(scripts(&fleet, online), scripts(&fleet, plain), "one checksum, whatever was sent");
        assert_eq!(counted(&fleet, online), ["3"]);
        assert_eq!(fleet.ask(online, "SELECT migration FROM fleet_journal"), [""; 0]);
    }
    fleet.run(&["status", "--exit-code"]).exits(0);
}

#[test]
fn the_plan_shows_the_online_form_beside_the_migration() {
    let fleet = fleet(Fleet::new().postgres(2));
    let shown = fleet.run(&["plan", "--sql", "--online", "--tenant", "pg-*"]).exits(0);
    shown.shows(&[
        "NOT ATOMIC",
        "0002_locks on postgres is in its online form: 10 statements of the migration, 20 sent, each committed by itself",
        "--   CREATE INDEX ix_total ON sales (total)",
        "\nCREATE INDEX CONCURRENTLY ix_total ON sales (total);",
        "\nALTER TABLE sales VALIDATE CONSTRAINT fk_user;",
    ]);
    let document = fleet.run(&["plan", "--online", "--format", "json", "--tenant", "pg-*"]).exits(0).json();
    let script = &document["scripts"][0];
    assert_eq!(script["atomic"], false);
    assert_eq!(script["online"]["original"].as_array().unwrap().len(), 10, "{script:#}");
    assert_ne!(script["sha256"], script["online"]["original_sha256"]);
    assert_eq!(script["tenants"], serde_json::json!(["pg-000", "pg-001"]), "{script:#}");
    let plain = fleet.run(&["plan", "--format", "json", "--tenant", "pg-*"]).exits(0).json();
    assert_eq!(plain["scripts"][0]["sha256"], script["online"]["original_sha256"]);
    assert!(plain["scripts"][0].get("online").is_none(), "{plain:#}");
    let summary = fleet.run(&["plan", "--online"]).exits(0);
    summary.shows(&["online form, committed statement by statement: "]);
}

#[test]
fn the_plan_says_what_has_no_online_form() {
    let fleet = Fleet::new().head(HEAD).sqlite(1).postgres(1).mariadb(1);
    write(&fleet, "0001_t.sql", "CREATE TABLE t (i int);\n");
    write(&fleet, "0002_c.sql", "ALTER TABLE t ADD COLUMN j int;\n");
    write(&fleet, "0002_c.postgres.sql", "SET LOCAL work_mem = '1MB';\nCREATE INDEX i ON t (i);\n");
    write(&fleet, "0003_c.sqlite.sql", "CREATE INDEX i ON t (i);\n");
    write(&fleet, "0003_c.mysql.sql", "ALTER TABLE t MODIFY COLUMN i bigint;\n");
    fleet.run(&["plan", "--online"]).exits(0).shows(&["without an online form, at least in part: "]);
    fleet.run(&["plan", "--online", "--sql"]).exits(0).shows(&[
        "-- 0002_c on sqlite has no online form: the engine locks the whole database for each change",
        "-- 0002_c on postgres has no online form: statement 1 (`SET LOCAL`) may need the transaction of the others",
        "-- 0002_c on mysql is in its online form",
        "-- 0003_c on mysql: statement 1 has no online form: a change of type may copy the table",
    ]);
}

/// What a migration says of itself counts before the tenant's word, that before the wave's, and that before the fleet's.
#[test]
fn a_migration_a_tenant_a_wave_and_the_fleet_ask_for_it() {
    let mut fleet = Fleet::new().postgres(3);
    let waves = "[[wave]]\nname = \"first\"\ntenants = [\"pg-000\"]\nonline = true\n";
    fleet.head = format!("{HEAD}{waves}");
    fleet.tenant_mut("pg-001").more = "online = true".to_owned();
    let index = |name: &str| format!("CREATE INDEX {name} ON t (i);\n");
    write(&fleet, "0001_t.sql", "CREATE TABLE t (i int);\n");
    write(&fleet, "0002_a.sql", &index("a"));
    write(&fleet, "0003_b.sql", &format!("-- fleet: online\n{}", index("b")));
    write(&fleet, "0004_c.sql", &format!("-- fleet: online=false\n{}", index("c")));
    write(&fleet, "0005_d.sql", &index("d"));
    let asked = |fleet: &Fleet, more: &[&str]| -> Vec<String> {
        let plan = fleet.run(&[&["plan", "--format", "json"][..], more].concat()).exits(0).json();
        let is_online = |script: &&Value| script["online"]["original"].as_array().is_some_and(|all| !all.is_empty());
        let is_script = |script: &&Value| script["migration"].as_str().unwrap().starts_with("00");
        let scripts = plan["scripts"].as_array().unwrap().iter().filter(is_online).filter(is_script);
        scripts.map(|script| script["migration"].as_str().unwrap().to_owned()).collect()
    };
    for tenant in ["pg-000", "pg-001"] {
        assert_eq!(asked(&fleet, &["--tenant", tenant]), ["0002_a", "0003_b", "0005_d"], "{tenant}");
    }
    assert_eq!(asked(&fleet, &["--tenant", "pg-002"]), ["0003_b"]);
    assert_eq!(asked(&fleet, &["--tenant", "pg-002", "--online"]), ["0002_a", "0003_b", "0005_d"]);
    assert_eq!(asked(&fleet, &["--tenant", "pg-002", "--online", "--no-online"]), ["0003_b"]);
    fleet.head = fleet.head.replace("[fleet]\n", "[fleet]\nonline = true\n");
    assert_eq!(asked(&fleet, &["--tenant", "pg-002"]), ["0002_a", "0003_b", "0005_d"], "the fleet's own setting");
    assert_eq!(asked(&fleet, &["--tenant", "pg-002", "--no-online"]), ["0003_b"]);
    fleet.head = fleet.head.replace("online = true\nscripts", "scripts");
    fleet.head.push_str("[migrations.\"0003_b\"]\nonline = false\n[migrations.\"0004_c\"]\nonline = true\n");
    assert_eq!(asked(&fleet, &["--tenant", "pg-002"]), ["0004_c"], "the operator's word on a migration is the last");
    fleet.head = fleet.head.replace("scripts =", "online = \"yes\"\nscripts =");
    fleet.run(&["plan"]).exits(78).tells(&["`online` must be true or false, without quotes"]);
}

/// A program that waits in its definition number `at`, and the process on the server.
struct Waiting {
    child: std::process::Child,
    backend: String,
    gate: sqlx::PgConnection,
    url: String,
}

/// Definitions wait for a lock that the test holds, each after the one that it is told to.
const GATE: &str = "CREATE TABLE gate (at int); CREATE SEQUENCE hits; \
    CREATE FUNCTION wait() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN \
    IF nextval('public.hits') = (SELECT at FROM public.gate) THEN PERFORM pg_advisory_lock(4242); \
    PERFORM pg_advisory_unlock(4242); END IF; END $$; \
    CREATE EVENT TRIGGER wait ON ddl_command_start WHEN TAG IN ('ALTER TABLE', 'CREATE INDEX', 'DROP INDEX') \
    EXECUTE FUNCTION wait()";

fn wait_in(fleet: &Fleet, tenant: &str, at: usize) -> Waiting {
    wait_in_with(fleet, (tenant, at), &[])
}

fn wait_in_with(fleet: &Fleet, (tenant, at): (&str, usize), more: &[&str]) -> Waiting {
    let url = fleet.tenant(tenant).url.clone();
    sql(&url, GATE);
    sql(&url, &format!("INSERT INTO gate VALUES ({at})"));
    let gate = block_on(async {
        let mut gate = sqlx::PgConnection::connect(&url).await.unwrap();
        gate.execute("SELECT pg_advisory_lock(4242)").await.unwrap();
        gate
    });
    // It waits once: a wait that ended before anybody saw it would not come again.
    let run = ["migrate", "--yes", "--online", "--no-preflight", "--lock-timeout", "10m", "--tenant", tenant];
    let child = fleet.program(&[&run, more].concat()).spawn().unwrap();
    let waits = "SELECT pid::text FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'advisory'";
    Waiting { child, backend: row(&url, waits), gate, url }
}

/// The first row of a query, once it has one.
fn row(url: &str, query: &str) -> String {
    awaited(query, || sql(url, query).pop())
}

const NOBODY: &str = "SELECT 'nobody' WHERE NOT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND \
    application_name LIKE 'fleet:%')";

impl Waiting {
    /// Kills the program; the server goes on with what it has, or loses it too.
    fn kill(mut self, server_goes_on: bool) {
        self.child.kill().unwrap();
        wait_for_end(&mut self.child);
        let url = &self.url;
        if !server_goes_on {
            sql(url, &format!("SELECT pg_terminate_backend({})::text", self.backend));
        }
        block_on(self.gate.close()).unwrap();
        row(url, NOBODY);
        sql(url, "DROP EVENT TRIGGER wait");
    }
}

fn is_done(fleet: &Fleet, tenant: &str, plain: &[String], told: &str) {
    assert_eq!(schema(fleet, tenant), plain, "{told}");
    assert_eq!(counted(fleet, tenant), ["3"], "{told}");
    assert_eq!(fleet.ask(tenant, "SELECT migration FROM fleet_journal"), [""; 0], "{told}");
}

/// A tenant for each definition, copied from one that has the tables, and a run that is killed there.
fn killed_at_each(server_goes_on: bool) {
    let plain = plain();
    let mut fleet = fleet(Fleet::new().postgres(1));
    let (server, template) = (postgres_url(), fleet.tenant("pg-000").url.rsplit('/').next().unwrap().to_owned());
    let id = |at: usize| format!("pg-{at:03}");
    for at in 1..=DEFINITIONS {
        let copy = format!("{template}_{at}");
        sql(&server, &format!("CREATE DATABASE {copy} TEMPLATE {template}"));
        fleet.at_end(&server, &format!("DROP DATABASE {copy} WITH (FORCE)"));
        fleet.add(&id(at), &database_of(&server, &copy));
    }
    fleet.write();
    for at in 1..=DEFINITIONS {
        wait_in(&fleet, &id(at), at).kill(server_goes_on);
    }
    let status = fleet.run(&["status", "--format", "json"]).exits(0).json();
    assert_eq!(status["summary"]["by_state"]["partially_applied"], DEFINITIONS, "{status:#}");
    let ran = fleet.run(&["migrate", "--yes", "--online"]).exits(0);
    for at in 1..=DEFINITIONS {
        is_done(&fleet, &id(at), &plain, &format!("killed in definition {at}: {ran:?}"));
    }
}

#[test]
fn a_run_killed_in_any_statement_goes_on_where_the_server_finished_it() {
    killed_at_each(true);
}

#[test]
fn a_run_killed_in_any_statement_goes_on_where_the_server_forgot_it() {
    killed_at_each(false);
}

/// An index that was left half built hides behind its name.
#[test]
fn an_index_of_a_killed_run_is_built_again() {
    let plain = plain();
    let fleet = fleet(Fleet::new().postgres(1));
    // It waits there for all who were at work before it, and is invalid meanwhile.
    let url = fleet.tenant("pg-000").url.clone();
    let mut writer = block_on(sqlx::PgConnection::connect(&url)).unwrap();
    let waiting = wait_in(&fleet, "pg-000", 12);
    block_on(writer.execute("BEGIN; UPDATE sales SET total = total WHERE id = 1")).unwrap();
    let Waiting { mut child, backend, gate, .. } = waiting;
    block_on(gate.close()).unwrap();
    row(&url, "SELECT '1' FROM pg_index WHERE NOT indisvalid");
    child.kill().unwrap();
    wait_for_end(&mut child);
    sql(&url, &format!("SELECT pg_terminate_backend({backend})::text"));
    block_on(writer.close()).unwrap();
    row(&url, NOBODY);
    sql(&url, "DROP EVENT TRIGGER wait");
    assert_eq!(
        sql(&url, "SELECT c.relname FROM pg_index JOIN pg_class c ON c.oid = indexrelid WHERE NOT indisvalid"),
        ["ix_total"]
    );
    fleet.run(&["migrate", "--yes", "--online"]).exits(0);
    is_done(&fleet, "pg-000", &plain, "an invalid index");
}

/// The statements that are left are those of the form in which it was begun.
#[test]
fn it_goes_on_in_the_form_in_which_it_was_begun() {
    let plain = plain();
    let fleet = fleet(Fleet::new().postgres(1));
    wait_in(&fleet, "pg-000", 8).kill(false);
    fleet.run(&["migrate", "--yes"]).exits(0);
    is_done(&fleet, "pg-000", &plain, "without --online");
}

#[test]
fn rows_that_break_a_constraint_stop_it_and_it_goes_on_without_them() {
    let fleet = fleet(Fleet::new().postgres(1));
    fleet.ask("pg-000", "INSERT INTO sales VALUES (99, 99, 99)");
    let ran = fleet.run(&["migrate", "--yes", "--online", "--format", "json"]).exits(100);
    let report = ran.json();
    let failed = record(&report, "pg-000");
    assert_eq!(failed["stopped_at"]["sql"], "ALTER TABLE sales VALIDATE CONSTRAINT fk_user", "{failed:#}");
    assert_eq!(failed["error"]["code"], "23503", "{failed:#}");
    fleet.run(&["status"]).exits(0).shows(&["partially applied"]);
    fleet.ask("pg-000", "DELETE FROM sales WHERE id = 99");
    fleet.run(&["migrate", "--yes", "--online"]).exits(0);
    is_done(&fleet, "pg-000", &plain(), "without the rows");
    assert_eq!(with(&report, "failed"), ["pg-000"]);
}

/// A writer that comes while an index is built does not wait for those who were there before.
#[test]
fn others_write_while_an_index_is_built() {
    for (online, is_held_up) in [(false, true), (true, false)] {
        let fleet = Fleet::new().head(HEAD).postgres(1);
        write(&fleet, "0001_t.sql", "CREATE TABLE t (i int);\n");
        fleet.run(&["migrate", "--yes"]).exits(0);
        write(&fleet, "0002_i.sql", "CREATE INDEX i ON t (i);\n");
        let url = fleet.tenant("pg-000").url.clone();
        let mut writer = block_on(sqlx::PgConnection::connect(&url)).unwrap();
        block_on(writer.execute("BEGIN; INSERT INTO t VALUES (1)")).unwrap();
        let mut child =
            fleet.program(&["migrate", "--yes", if online { "--online" } else { "--no-online" }]).spawn().unwrap();
        row(&url, "SELECT '1' FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'");
        let other = block_on(async {
            let mut other = sqlx::PgConnection::connect(&url).await.unwrap();
            other.execute("SET lock_timeout = '500ms'; INSERT INTO t VALUES (2)").await
        });
        assert_eq!(other.is_err(), is_held_up, "{other:?}");
        block_on(writer.execute("COMMIT")).unwrap();
        assert_eq!(wait_for_end(&mut child), Some(0));
        assert_eq!(
            fleet.ask("pg-000", "SELECT indisvalid::text FROM pg_index WHERE indexrelid = 'i'::regclass"),
            ["true"]
        );
    }
}

/// MySQL and MariaDB: what they can't do while others write is refused, and nothing has happened.
#[test]
fn a_server_that_can_not_do_it_without_a_lock_refuses_it() {
    let fleet = Fleet::new().head(HEAD).mariadb(1).mysql_where_there(1);
    write(
        &fleet,
        "0001_t.sql",
        "CREATE TABLE t (i int PRIMARY KEY, b text, FULLTEXT f (b));\nINSERT INTO t VALUES (1, 'a');\n",
    );
    fleet.run(&["migrate", "--yes"]).exits(0);
    write(&fleet, "0002_c.sql", "ALTER TABLE t ADD COLUMN c int;\nCREATE INDEX x ON t (c);\nDROP INDEX x ON t;\n");
    // It is known before the run.
    let notes = |more: &[&str]| -> Vec<String> {
        let plan = fleet.run(&[&["plan", "--format", "json"][..], more].concat()).exits(0).json();
        let rows = plan["waves"][0]["tenants"].as_array().unwrap().iter();
        rows.map(|row| row["note"].as_str().unwrap_or_default().to_owned()).collect()
    };
    let said = "statement 1 of 0002_c will be refused in its online form: t has the full-text index f; \
                `online = false` in [migrations.\"0002_c\"] is the way on";
    assert_eq!(notes(&["--online"]), [said; 2]);
    assert_eq!(notes(&[]), [""; 2]);
    let ran = fleet.run(&["migrate", "--yes", "--online", "--format", "json"]).exits(100);
    let report = ran.json();
    let all: Vec<&str> = fleet.tenants.iter().map(|tenant| &*tenant.id).collect();
    assert_eq!(with(&report, "failed"), all);
    for tenant in all.iter().copied() {
        let failed = record(&report, tenant);
        assert_eq!(failed["error"]["code"], "1846", "{failed:#}");
        let message = failed["error"]["message"].as_str().unwrap();
        assert!(message.contains("`online = false` in [migrations.\"0002_c\"]"), "{message}");
        let columns =
            "SELECT column_name FROM information_schema.columns WHERE table_name = 't' AND table_schema = database()";
        assert_eq!(fleet.ask(tenant, &format!("{columns} ORDER BY 1")), ["b", "i"], "{tenant}");
        assert_eq!(fleet.ask(tenant, "SELECT migration FROM fleet_journal"), [""; 0], "{tenant}");
        fleet.ask(tenant, "ALTER TABLE t DROP INDEX f");
    }
    assert_eq!(notes(&["--online"]), [""; 2]);
    fleet.run(&["migrate", "--yes", "--online"]).exits(0);
    fleet.run(&["status", "--exit-code"]).exits(0);
    for tenant in all {
        assert_eq!(fleet.ask(tenant, "SELECT count(c) FROM t"), ["0"], "{tenant}");
    }
}

/// The same when only the session is lost: the run itself goes on, or says that the next one will.
#[test]
fn a_session_lost_in_the_middle_leaves_no_doubt() {
    let plain = plain();
    for (attempts, code) in [("3", 0), ("1", 100)] {
        let fleet = fleet(Fleet::new().postgres(1));
        let Waiting { mut child, backend, gate, .. } = wait_in_with(&fleet, ("pg-000", 10), &["--attempts", attempts]);
        let url = &fleet.tenant("pg-000").url;
        sql(url, &format!("SELECT pg_terminate_backend({backend})::text"));
        assert_eq!(wait_for_end(&mut child), Some(code), "{attempts} attempts");
        block_on(gate.close()).unwrap();
        sql(url, "DROP EVENT TRIGGER wait");
        if code == 100 {
            let said = fleet.run(&["runs", "show", "last", "--format", "json"]).exits(0).json();
            assert_eq!(said["tenants"][0]["outcome"], "failed", "{said:#}");
            fleet.run(&["status"]).exits(0).shows(&["partially applied"]);
        }
        fleet.run(&["migrate", "--yes", "--online"]).exits(0);
        is_done(&fleet, "pg-000", &plain, attempts);
    }
}

/// Each batch is committed by itself, and a run that dies goes on with the rows that are left.
#[test]
fn rows_are_changed_in_batches_with_a_commit_each() {
    let fleet = Fleet::new().head(HEAD).sqlite(1).postgres(1).schemas(1).mariadb(1).mysql_where_there(1);
    let values = (1..=250).map(|i| format!("({i}, NULL)")).collect::<Vec<_>>().join(", ");
    let table = "CREATE TABLE t (i int PRIMARY KEY, done int);\nCREATE TABLE gone (i int PRIMARY KEY);\n";
    let rows = format!("INSERT INTO t VALUES {values};\nINSERT INTO gone SELECT i FROM t;\n");
    write(&fleet, "0001_t.sql", &format!("{table}{rows}"));
    fleet.run(&["migrate", "--yes"]).exits(0);
    let change = "-- fleet: batch=100\nUPDATE t SET done = i + 0 WHERE done IS NULL AND i > 10;\n\
        -- fleet: batch=60\nDELETE FROM gone WHERE i <= 200;\n";
    write(&fleet, "0002_fill.sql", change);
    fleet.run(&["plan"]).exits(78).tells(&["0002_fill.sql:1: a batch is repeated", "transaction=false"]);
    write(&fleet, "0002_fill.sql", &format!("-- fleet: transaction=false\n{change}"));
    let shown = fleet.run(&["plan", "--sql"]).exits(0);
    shown.shows(&[
        "AND ctid = ANY (ARRAY (SELECT ctid FROM t WHERE",
        "LIMIT 100",
        "DELETE FROM gone WHERE i <= 200 LIMIT 60",
    ]);
    // A key that is taken stops the third batch on PostgreSQL.
    for tenant in ["pg-000", "schema-000"] {
        fleet.ask(tenant, "ALTER TABLE t ADD CONSTRAINT few CHECK (done < 211)");
    }
    fleet.run(&["migrate", "--yes"]).exits(100);
    for tenant in ["pg-000", "schema-000"] {
        let done = fleet.ask(tenant, "SELECT count(done)::text FROM t").pop().unwrap();
        assert_eq!(done, "200", "{tenant}: two batches are committed, the third is refused");
        fleet.ask(tenant, "ALTER TABLE t DROP CONSTRAINT few");
    }
    fleet.run(&["migrate", "--yes"]).exits(0);
    for tenant in &fleet.tenants {
        let count = |query: &str| {
            fleet.ask(&tenant.id, &format!("SELECT CAST({query} AS char(9))")).pop().unwrap().trim().to_owned()
        };
        assert_eq!(count("(SELECT count(done) FROM t)"), "240", "{}", tenant.id);
        assert_eq!(count("(SELECT sum(done) FROM t)"), count("(SELECT sum(i) FROM t WHERE i > 10)"), "{}", tenant.id);
        assert_eq!(count("(SELECT count(*) FROM gone)"), "50", "{}", tenant.id);
    }
    write(&fleet, "0003_more.sql", "-- fleet: transaction=false\n-- fleet: batch=9\nUPDATE t SET done = done + 1;\n");
    let refused = fleet.run(&["migrate", "--yes"]).exits(78);
    refused.tells(&["0003_more.sql:2: this can't be done in batches by itself: nothing shows that it comes to an end"]);
}

/// A view has no place of its own for a row; it is known by the migration that made it, in SQL or in Rust.
#[test]
fn a_backfill_through_a_view_stays_whole_and_the_plan_says_why() {
    let fleet = Fleet::new().head(HEAD).postgres(1).schemas(1).mariadb(1).mysql_where_there(1);
    let table = "CREATE TABLE bills (i int PRIMARY KEY, region varchar(9));\nINSERT INTO bills (i) VALUES (1), (2);\n";
    write(&fleet, "0001_t.sql", &format!("{table}CREATE VIEW open_bills AS SELECT * FROM bills;\n"));
    write(&fleet, "0002_fill.sql", "UPDATE open_bills SET region = 'eu' WHERE region IS NULL;\n");
    write(
        &fleet,
        "0003_table.sql",
        "UPDATE bills SET region = NULL;\nUPDATE bills SET region = 'us' WHERE region IS NULL;\n",
    );
    let shown = fleet.run(&["plan", "--online", "--sql"]).exits(0);
    let shown = shown.shows(&[
        "goes through a view, whose rows have no place of their own",
        "/* fleet: batch */ UPDATE bills SET region = 'us'",
    ]);
    assert!(!shown.out.contains("/* fleet: batch */ UPDATE open_bills"), "{}", shown.out);
    fleet.run(&["migrate", "--yes", "--online", "--to", "0002_fill"]).exits(0);
    for tenant in &fleet.tenants {
        assert_eq!(fleet.ask(&tenant.id, "SELECT region FROM bills ORDER BY i"), ["eu", "eu"], "{}", tenant.id);
    }
    // The view is made already, and known from the catalog all the same.
    write(&fleet, "0003_table.sql", "UPDATE open_bills SET region = 'us' WHERE region IS NULL;\n");
    fleet.run(&["plan", "--online", "--sql"]).exits(0).shows(&["goes through a view"]);
    fleet.run(&["migrate", "--yes", "--online"]).exits(0);
}

/// A backfill of 12,000 rows becomes batches by itself, and dies in the second.
#[test]
fn a_backfill_that_was_killed_in_its_second_batch_goes_on_with_the_rows_that_are_left() {
    let fleet = Fleet::new().head(HEAD).postgres(1).mariadb(1).mysql_where_there(1);
    let tenants = || ["pg-000", "my-000", "mysql-000"].into_iter().filter(|tenant| !mysql::is_left_out(tenant));
    let values = (1..=12_000).map(|i| format!("({i})")).collect::<Vec<_>>().join(", ");
    write(&fleet, "0001_t.sql", &format!("CREATE TABLE t (i int PRIMARY KEY);\nINSERT INTO t VALUES {values};\n"));
    fleet.run(&["migrate", "--yes"]).exits(0);
    let fill = "ALTER TABLE t ADD COLUMN a int;\nUPDATE t SET a = i + 1 WHERE a IS NULL;\nCREATE INDEX x ON t (a);\n";
    write(&fleet, "0002_fill.sql", fill);
    fleet.run(&["plan", "--online", "--sql"]).exits(0).shows(&["AND (i + 1) IS NOT NULL LIMIT 5000"]);
    for tenant in tenants() {
        let url = fleet.tenant(tenant).url.clone();
        let is_postgres = tenant == "pg-000";
        // Row 7,000 takes two minutes.
        let (slow, waits, fast) = match is_postgres {
            true => (
                "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.i = 7000 THEN \
                 PERFORM pg_sleep(120); END IF; RETURN NEW; END $$; \
                 CREATE TRIGGER slow BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION slow()",
                "SELECT pid::text FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'",
                "DROP TRIGGER slow ON t",
            ),
            false => (
                "CREATE TRIGGER slow BEFORE UPDATE ON t FOR EACH ROW SET @slept = IF(NEW.i = 7000, SLEEP(120), 0)",
                "SELECT CAST(id AS char) FROM information_schema.processlist WHERE db = database() AND state = 'User sleep'",
                "DROP TRIGGER slow",
            ),
        };
        sql(&url, slow);
        let mut child = fleet.program(&["migrate", "--yes", "--online", "--tenant", tenant]).spawn().unwrap();
        let backend = row(&url, waits);
        child.kill().unwrap();
        wait_for_end(&mut child);
        let end = format!("SELECT pg_terminate_backend({backend})::text");
        sql(&url, &if is_postgres { end } else { format!("KILL {backend}") });
        row(&url, &format!("SELECT 'gone' FROM (SELECT 1 AS n) one WHERE NOT EXISTS ({waits})"));
        assert_eq!(fleet.ask(tenant, "SELECT CAST(count(a) AS char(9)) FROM t")[0].trim(), "5000", "{tenant}");
        sql(&url, fast);
    }
    fleet.run(&["status"]).exits(0).shows(&["partially applied"]);
    fleet.run(&["migrate", "--yes"]).exits(0);
    for tenant in tenants() {
        let asked = "SELECT CAST(count(*) AS char(9)) FROM t WHERE a = i + 1";
        assert_eq!(fleet.ask(tenant, asked)[0].trim(), "12000", "{tenant}");
        assert_eq!(fleet.ask(tenant, "SELECT migration FROM fleet_journal"), [""; 0], "{tenant}");
    }
    fleet.run(&["status", "--exit-code"]).exits(0);
}

/// A trigger may give each row back what the condition asks for: the batches end nevertheless, on each engine.
#[test]
fn a_trigger_that_keeps_a_column_null_ends_a_backfill_with_an_error() {
    let fleet = Fleet::new().head(HEAD).sqlite(1).postgres(1).schemas(1).mariadb(1).mysql_where_there(1);
    let values = (1..=30).map(|i| format!("({i}, NULL)")).collect::<Vec<_>>().join(", ");
    let rows = format!("CREATE TABLE t (i int PRIMARY KEY, v int);\nINSERT INTO t VALUES {values};\n");
    write(&fleet, "0001_t.sql", &rows);
    fleet.run(&["migrate", "--yes"]).exits(0);
    let ids: Vec<String> = fleet.tenants.iter().map(|tenant| tenant.id.to_string()).collect();
    let is_postgres = |tenant: &str| tenant.starts_with("pg-") || tenant.starts_with("schema-");
    for tenant in &ids {
        if is_postgres(tenant) {
            let back =
                "CREATE FUNCTION back() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.v := NULL; RETURN NEW; END $$";
            fleet.ask(tenant, back);
        }
        fleet.ask(
            tenant,
            match tenant.as_str() {
                "lite-000" => "CREATE TRIGGER back AFTER UPDATE ON t BEGIN UPDATE t SET v = NULL WHERE i = NEW.i; END",
                tenant if is_postgres(tenant) => {
                    "CREATE TRIGGER back BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION back()"
                }
                _ => "CREATE TRIGGER back BEFORE UPDATE ON t FOR EACH ROW SET NEW.v = NULL",
            },
        );
    }
    // On servers the online form makes batches of it, on SQLite a person.
    let change = "UPDATE t SET v = 1 WHERE v IS NULL;\n";
    write(&fleet, "0002_c.sql", change);
    write(&fleet, "0002_c.sqlite.sql", &format!("-- fleet: transaction=false\n-- fleet: batch=10\n{change}"));
    let report = fleet.run(&["migrate", "--yes", "--online", "--format", "json"]).exits(100).json();
    for tenant in &ids {
        let failed = record(&report, tenant);
        assert_eq!(failed["error"]["code"], "FL012", "{failed:#}");
        let message = failed["error"]["message"].as_str().unwrap();
        for part in
            ["rows of t were changed, and 30 are still as its condition asks for", "Disable that and migrate again"]
        {
            assert!(message.contains(part), "{tenant}: {message}");
        }
    }
    fleet.run(&["status"]).exits(0).shows(&["partially applied"]);
    for tenant in &ids {
        fleet.ask(tenant, if is_postgres(tenant) { "DROP TRIGGER back ON t" } else { "DROP TRIGGER back" });
    }
    fleet.run(&["migrate", "--yes"]).exits(0);
    for tenant in &ids {
        assert_eq!(fleet.ask(tenant, "SELECT CAST(sum(v) AS char(9)) FROM t")[0].trim(), "30", "{tenant}");
    }
    fleet.run(&["status", "--exit-code"]).exits(0);
}

/// A trigger may pass over rows without an error. The plain statement leaves them out too, but reaches all others; batches would end at
/// the first one that holds such rows alone. MySQL has no such trigger.
#[test]
fn a_trigger_that_passes_over_rows_ends_a_backfill_with_an_error() {
    let fleet = Fleet::new().head(HEAD).sqlite(1).postgres(1).schemas(1);
    let values = (1..=3000).map(|i| format!("({i}, NULL)")).collect::<Vec<_>>().join(", ");
    let rows = format!("CREATE TABLE t (i int PRIMARY KEY, v int);\nINSERT INTO t VALUES {values};\n");
    write(&fleet, "0001_t.sql", &rows);
    fleet.run(&["migrate", "--yes"]).exits(0);
    let ids: Vec<String> = fleet.tenants.iter().map(|tenant| tenant.id.to_string()).collect();
    let is_postgres = |tenant: &str| tenant.starts_with("pg-") || tenant.starts_with("schema-");
    for tenant in &ids {
        if is_postgres(tenant) {
            fleet.ask(
                tenant,
                "CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$; \
                 CREATE TRIGGER hold BEFORE UPDATE ON t FOR EACH ROW WHEN (NEW.i <= 2000) EXECUTE FUNCTION hold()",
            );
        } else {
            fleet.ask(
                tenant,
                "CREATE TRIGGER hold BEFORE UPDATE ON t WHEN NEW.i <= 2000 BEGIN SELECT RAISE(IGNORE); END",
            );
        }
    }
    let change = "UPDATE t SET v = 1 WHERE v IS NULL;\n";
    write(&fleet, "0002_c.sql", &format!("-- fleet: transaction=false\n-- fleet: batch=500\n{change}"));
    let report = fleet.run(&["migrate", "--yes", "--format", "json"]).exits(100).json();
    for tenant in &ids {
        let failed = record(&report, tenant);
        assert_eq!(failed["error"]["code"], "FL012", "{failed:#}");
        let message = failed["error"]["message"].as_str().unwrap();
        for part in ["its batches pass over rows: 0 rows of t were changed, and 3000 are still", "holds them back"] {
            assert!(message.contains(part), "{tenant}: {message}");
        }
    }
    // Rows without a trigger are all that is left.
    for tenant in &ids {
        fleet.ask(tenant, if is_postgres(tenant) { "DROP TRIGGER hold ON t" } else { "DROP TRIGGER hold" });
    }
    fleet.run(&["migrate", "--yes"]).exits(0);
    for tenant in &ids {
        assert_eq!(fleet.ask(tenant, "SELECT CAST(sum(v) AS char(9)) FROM t")[0].trim(), "3000", "{tenant}");
    }
}

/// A first batch that is refused has changed nothing: nothing binds the tenant to the text, or to its form.
#[test]
fn a_first_batch_that_is_refused_leaves_no_line_in_the_journal() {
    let mut fleet = Fleet::new().head(HEAD).postgres(1).mariadb(1).mysql_where_there(1);
    let table = "CREATE TABLE t (i int PRIMARY KEY, v int, CONSTRAINT few CHECK (v < 5));\nINSERT INTO t (i) VALUES (1), (2);\n";
    write(&fleet, "0001_t.sql", table);
    fleet.run(&["migrate", "--yes"]).exits(0);
    write(&fleet, "0002_c.sql", "UPDATE t SET v = 9 WHERE v IS NULL;\n");
    fleet.run(&["migrate", "--yes", "--online"]).exits(100);
    for tenant in &fleet.tenants {
        assert_eq!(fleet.ask(&tenant.id, "SELECT migration FROM fleet_journal"), [""; 0], "{}", tenant.id);
    }
    write(&fleet, "0002_c.sql", "UPDATE t SET v = 3 WHERE v IS NULL;\n");
    fleet.head = format!("{HEAD}[migrations.\"0002_c\"]\nonline = false\n");
    fleet.run(&["migrate", "--yes"]).exits(0);
    fleet.run(&["status", "--exit-code"]).exits(0);
}

/// The form in which it was begun is known also where the operator has asked for the other one since.
#[test]
fn it_goes_on_in_the_form_in_which_it_was_begun_although_it_was_switched_off() {
    let plain = plain();
    let mut fleet = fleet(Fleet::new().postgres(1));
    wait_in(&fleet, "pg-000", 8).kill(false);
    fleet.head = format!("{}[migrations.\"0002_locks\"]\nonline = false\n", fleet.head);
    let told = fleet.run(&["runs", "resolve", "pg-000"]);
    assert!(!told.out.contains("edited since") && !told.err.contains("edited since"), "{}\n{}", told.out, told.err);
    fleet.run(&["migrate", "--yes"]).exits(0);
    is_done(&fleet, "pg-000", &plain, "with online = false");
}

/// What sees statements sees batches: such a table is refused before anything is changed, and sent whole when that is asked for.
#[test]
fn a_table_on_which_batches_are_not_one_statement_is_refused_before_anything_is_changed() {
    let mut fleet = Fleet::new().head(HEAD).postgres(4);
    let rows = "INSERT INTO t SELECT i, NULL FROM generate_series(1, 30) i;\n";
    write(&fleet, "0001_t.sql", &format!("CREATE TABLE t (i int, v int);\n{rows}CREATE TABLE log (n int);\n"));
    fleet.run(&["migrate", "--yes"]).exits(0);
    let logs = "CREATE FUNCTION lg() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO log VALUES (1); RETURN NULL; END $$";
    fleet.ask("pg-000", logs);
    fleet.ask("pg-000", "CREATE TRIGGER lg AFTER UPDATE ON t FOR EACH STATEMENT EXECUTE FUNCTION lg()");
    fleet.ask("pg-001", "ALTER TABLE t RENAME TO t_all");
    fleet.ask("pg-001", "CREATE VIEW t AS SELECT * FROM t_all");
    fleet.ask("pg-002", "CREATE RULE lg AS ON UPDATE TO t DO ALSO INSERT INTO log VALUES (1)");
    write(&fleet, "0002_c.sql", "UPDATE t SET v = 1 WHERE v IS NULL;\n");
    let plan = fleet.run(&["plan", "--online", "--format", "json"]).exits(0).json();
    let notes: Vec<&str> = plan["waves"][0]["tenants"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["note"].as_str().unwrap_or_default())
        .collect();
    for (note, what) in
        notes.iter().zip(["the trigger lg, which fires for each statement", "no rows of its own", "the rule lg", ""])
    {
        assert!(note.contains(what) && note.is_empty() == what.is_empty(), "{notes:?}");
    }
    // The question of the run is one of the plan, too.
    fleet.run(&["plan", "--online", "--sql", "--wire"]).exits(0).shows(&["-- asked; this plan", "g.tgtype & 16"]);
    let report = fleet.run(&["migrate", "--yes", "--online", "--format", "json"]).exits(100).json();
    for tenant in ["pg-000", "pg-001", "pg-002"] {
        let failed = record(&report, tenant);
        assert_eq!(failed["error"]["code"], "FL011", "{failed:#}");
        assert!(
            failed["error"]["message"].as_str().unwrap().contains("`online = false` in [migrations.\"0002_c\"]"),
            "{failed:#}"
        );
        assert_eq!(fleet.ask(tenant, "SELECT migration FROM fleet_journal"), [""; 0], "{tenant}");
    }
    fleet.head = format!("{HEAD}[migrations.\"0002_c\"]\nonline = false\n");
    fleet.run(&["migrate", "--yes", "--online"]).exits(0);
    assert_eq!(fleet.ask("pg-000", "SELECT n::text FROM log"), ["1"]);
    for tenant in ["pg-000", "pg-001", "pg-002", "pg-003"] {
        assert_eq!(fleet.ask(tenant, "SELECT sum(v)::text FROM t"), ["30"], "{tenant}");
    }
}

/// The first signal is enough: each batch is committed, and the next run goes on.
#[test]
fn a_signal_ends_a_backfill_behind_its_batch() {
    let fleet = Fleet::new().head(HEAD).postgres(1);
    let rows = "INSERT INTO t SELECT i, NULL FROM generate_series(1, 40) i;\n";
    write(&fleet, "0001_t.sql", &format!("CREATE TABLE t (i int PRIMARY KEY, v int);\n{rows}"));
    fleet.run(&["migrate", "--yes"]).exits(0);
    fleet.ask(
        "pg-000",
        "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(2); RETURN NEW; END $$",
    );
    fleet.ask("pg-000", "CREATE TRIGGER slow BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION slow()");
    let change = "-- fleet: transaction=false\n-- fleet: batch=1\nUPDATE t SET v = 1 WHERE v IS NULL;\n";
    write(&fleet, "0002_c.sql", change);
    let mut child = fleet.program(&["migrate", "--yes"]).spawn().unwrap();
    let url = fleet.tenant("pg-000").url.clone();
    row(&url, "SELECT 'one' FROM t WHERE v = 1 LIMIT 1");
    signal(&child, "INT");
    assert_ne!(wait_for_end(&mut child), Some(0));
    let done: usize = fleet.ask("pg-000", "SELECT count(v)::text FROM t")[0].parse().unwrap();
    assert!((1..40).contains(&done), "{done}");
    fleet.ask("pg-000", "DROP TRIGGER slow ON t");
    fleet.run(&["migrate", "--yes"]).exits(0);
    assert_eq!(fleet.ask("pg-000", "SELECT count(v)::text FROM t"), ["40"]);
}
