//! `baseline` and `stamp`: tenants that something else has made, and histories that are not what the schema is. On the
//! engines.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{
    Fleet, Ran, finish, mariadb_url, postgres_url, program, record, signal, sql, up_to, wait_for_end,
};

const TRACKING: &str = "m20250110_000003_add_inventory_tracking";
const LAST: &str = "m20251001_000002_migrate_transactions";

/// One tenant of each kind, with scratch servers.
fn fleet() -> Fleet {
    let servers = format!("[scratch]\npostgres_url = \"{}\"\nmysql_url = \"{}\"\n", postgres_url(), mariadb_url());
    let head = format!("[fleet]\nattempts = 1\nlock_wait = \"1s\"\n{servers}");
    Fleet::new().head(&head).sqlite(1).postgres(1).schemas(1).mariadb(1)
}

/// The same with SQL scripts: a table, and a view that is made again and again.
fn with_scripts() -> Fleet {
    let mut fleet = fleet();
    fleet.head = fleet.head.replacen("[fleet]\n", "[fleet]\nscripts = \"sql\"\n", 1);
    std::fs::create_dir(fleet.path("sql")).unwrap();
    std::fs::write(fleet.path("sql/0001_a.sql"), "create table a (i int not null);\n").unwrap();
    let view = "drop view if exists report;\ncreate view report as select i from a;\n";
    std::fs::write(fleet.path("sql/R__report.sql"), view).unwrap();
    fleet
}

fn change(fleet: &Fleet, arguments: &[&str], code: i32) -> Ran {
    fleet.run(&[arguments, &["--yes"]].concat()).exits(code)
}

/// Brings all tenants to a version, and takes every trace of it away but the schema.
fn made_by_others(fleet: &Fleet, to: &str) {
    change(fleet, &["migrate", "--to", to], 0);
    for tenant in &fleet.tenants {
        for table in ["seaql_migrations", "fleet_scripts", "fleet_journal", "fleet_refreshes"] {
            fleet.ask(&tenant.id, &format!("DROP TABLE IF EXISTS {table}"));
        }
    }
}

fn outcomes(fleet: &Fleet, report: &Value, wanted: &str) {
    for tenant in &fleet.tenants {
        assert_eq!(record(report, &tenant.id)["outcome"], wanted, "{}", record(report, &tenant.id));
    }
}

#[test]
fn a_fleet_that_something_else_made_is_adopted() {
    let fleet = with_scripts();
    made_by_others(&fleet, "0001_a");
    // The view of one tenant is of another release: it is made again.
    fleet.ask("my-000", "create view report as select i + 1 as i from a");
    let dry = ["baseline", "0001", "--reason", "taken over from Flyway", "--dry-run"];
    fleet.run(&dry).exits(0).shows(&["stamped", "empty -> 0001_a (7)", "dry run: nothing was touched"]);
    for tenant in &fleet.tenants {
        assert!(!fleet.has_table(&tenant.id, "seaql_migrations"), "{}", tenant.id);
    }
    let ran = change(&fleet, &["baseline", "0001_a", "--reason", "taken over from Flyway"], 0);
    ran.shows(&["stamped", "4 tenants: 4 stamped"]).tells(&["making the schema of 0001_a on scratch databases"]);
    for tenant in &fleet.tenants {
        assert_eq!(fleet.history(&tenant.id).unwrap().len(), up_to("migrate_transactions"), "{}", tenant.id);
        assert_eq!(fleet.ask(&tenant.id, "SELECT version FROM fleet_scripts"), ["0001_a"]);
    }
    let shown = fleet.run(&["runs", "show", "last"]).exits(0);
    shown.shows(&["baseline 0001_a --reason 'taken over from Flyway'"]);
    // The repeatable script is pending.
    fleet.run(&["status", "--exit-code"]).exits(2).shows(&["0001_a", "1 behind"]);
    change(&fleet, &["baseline", "0001_a"], 0).shows(&["4 up to date"]);
    change(&fleet, &["migrate"], 0).shows(&["4 migrated"]);
    assert_eq!(fleet.ask("my-000", "select count(*) from report"), ["0"]);
    fleet.run(&["status", "--exit-code"]).exits(0);
}

#[test]
fn a_tenant_whose_schema_differs_is_refused_with_the_difference() {
    let fleet = fleet();
    made_by_others(&fleet, TRACKING);
    fleet.ask("lite-000", "ALTER TABLE users ADD COLUMN nickname varchar(20)");
    fleet.ask("pg-000", "ALTER TABLE users ALTER COLUMN email TYPE varchar(100)");
    fleet.ask("schema-000", "DROP TABLE locations CASCADE");
    fleet.ask("my-000", "DROP INDEX uq_inventory_items_sku ON inventory_items");
    let wanted = [
        ("lite-000", "table users: column nickname is only here"),
        ("pg-000", "table users: column email is character varying(200)"),
        ("schema-000", "table locations is only at m20250110_000003_add_inventory_tracking"),
        ("my-000", "table inventory_items: unique uq_inventory_items_sku is only at"),
    ];
    let dry = fleet.run(&["baseline", TRACKING, "--dry-run", "--format", "json"]).exits(100).json();
    let report = change(&fleet, &["baseline", TRACKING, "--format", "json"], 100).json();
    for report in [dry, report] {
        outcomes(&fleet, &report, "failed");
        for (tenant, difference) in wanted {
            let error = &record(&report, tenant)["error"];
            assert_eq!(error["class"], "schema_differs", "{error}");
            let message = error["message"].as_str().unwrap();
            assert!(message.contains(difference) && message.contains("--no-check"), "{message}");
        }
    }
    let next = change(&fleet, &["baseline", TRACKING], 100);
    next.shows(&["another schema: name the version that it has", "small baseline VERSION --dry-run --tenant lite-000"]);
    for tenant in &fleet.tenants {
        assert!(!fleet.has_table(&tenant.id, "seaql_migrations"), "{}", tenant.id);
    }
    fleet.ask("lite-000", "ALTER TABLE users DROP COLUMN nickname");
    change(&fleet, &["baseline", TRACKING, "--failed-of", "last", "--tenant", "lite-000"], 0);
    let unchecked = change(&fleet, &["baseline", TRACKING, "--no-check", "--format", "json"], 0).json();
    for tenant in ["pg-000", "schema-000", "my-000"] {
        let record = record(&unchecked, tenant);
        let note = format!("the schema was not compared with that of {TRACKING} (--no-check)");
        assert_eq!((&record["outcome"], &record["notes"][0]), (&"stamped".into(), &note.into()));
    }
    fleet.run(&["runs", "show", "last"]).exits(0).shows(&["was not compared"]);
}

#[test]
fn many_differences_are_bounded_and_told_one_by_one() {
    let fleet = fleet();
    made_by_others(&fleet, TRACKING);
    for n in 0..150 {
        fleet.ask("lite-000", &format!("CREATE TABLE more_{n:03} (i int)"));
    }
    let report = change(&fleet, &["baseline", TRACKING, "--tenant", "lite-000", "--format", "json"], 100).json();
    let record = record(&report, "lite-000");
    assert!(record["error"]["message"].as_str().unwrap().contains("and 147 more, in the notes"), "{record}");
    let notes = record["notes"].as_array().unwrap();
    assert_eq!((notes.len(), notes[100].as_str()), (101, Some("and 50 more differences")));
}

#[test]
fn a_database_without_tables_is_not_adopted() {
    let mut fleet = fleet();
    fleet.add("lite-none", "sqlite:none.db");
    fleet.tenant_mut("lite-none").more = "create_missing = true\n".to_owned();
    for check in [&["baseline", TRACKING][..], &["baseline", TRACKING, "--no-check"]] {
        change(&fleet, check, 100).shows(&["there is nothing to adopt"]);
    }
    let stamp = ["stamp", "--to", TRACKING, "--reason", "r", "--no-check", "--tenant", "lite-none"];
    change(&fleet, &stamp, 100).shows(&["the database does not exist yet"]);
    assert!(!fleet.path("none.db").exists() && !fleet.has_table("my-000", "seaql_migrations"));
}

#[test]
fn a_history_of_seaorm_alone_is_stamped_and_not_overwritten() {
    let fleet = with_scripts();
    change(&fleet, &["migrate"], 0);
    for tenant in &fleet.tenants {
        fleet.ask(&tenant.id, "DROP TABLE fleet_scripts");
        fleet.ask(&tenant.id, "DROP TABLE IF EXISTS fleet_journal");
    }
    let report = change(&fleet, &["baseline", "0001_a", "--format", "json"], 100).json();
    for tenant in &fleet.tenants {
        let error = &record(&report, &tenant.id)["error"];
        let message = error["message"].as_str().unwrap();
        assert_eq!(error["class"], "has_history", "{error}");
        assert!(message.contains(&format!("at {LAST}")) && message.contains("small stamp --to 0001_a"), "{message}");
    }
    change(&fleet, &["baseline", "0001_a"], 100).shows(&["has a history: to set it right: small stamp --to 0001_a"]);
    change(&fleet, &["stamp", "--to", "0001_a", "--reason", "scripts were run by hand"], 0).shows(&["4 stamped"]);
    for tenant in &fleet.tenants {
        assert_eq!(fleet.ask(&tenant.id, "SELECT version FROM fleet_scripts"), ["0001_a"]);
    }
    change(&fleet, &["migrate"], 0);
    fleet.run(&["status", "--exit-code"]).exits(0);
}

#[test]
fn a_stamp_sets_a_history_up_and_down_and_runs_nothing() {
    let fleet = fleet();
    change(&fleet, &["migrate", "--to", TRACKING], 0);
    // The history is behind the schema, and ahead of it.
    for (tenant, newer) in [("lite-000", false), ("pg-000", true), ("schema-000", false), ("my-000", true)] {
        match newer {
            false => fleet.ask(tenant, &format!("DELETE FROM seaql_migrations WHERE version = '{TRACKING}'")),
            true => fleet.ask(tenant, &format!("INSERT INTO seaql_migrations VALUES ('{LAST}', 1)")),
        };
    }
    fleet.run(&["stamp", "--to", TRACKING, "--yes"]).exits(64).tells(&["--reason"]);
    let report = change(&fleet, &["stamp", "--to", TRACKING, "--reason", "restored", "--format", "json"], 0).json();
    outcomes(&fleet, &report, "stamped");
    assert_eq!(record(&report, "my-000")["from"], LAST);
    for tenant in &fleet.tenants {
        assert_eq!(fleet.history(&tenant.id).unwrap().last().map(String::as_str), Some(TRACKING), "{}", tenant.id);
    }
    change(&fleet, &["migrate"], 0);
    fleet.run(&["status", "--exit-code"]).exits(0);
    let wrong = change(&fleet, &["stamp", "--to", TRACKING, "--reason", "wrong", "--format", "json"], 100).json();
    assert_eq!(record(&wrong, "my-000")["error"]["class"], "schema_differs");
    assert_eq!(fleet.history("my-000").unwrap().last().map(String::as_str), Some(LAST));
}

#[test]
fn a_tenant_that_stopped_half_way_is_settled_first() {
    let fleet = fleet();
    fleet.ask("my-000", "CREATE TABLE users (id int)");
    change(&fleet, &["migrate", "--tenant", "my-000"], 100);
    for command in [&["baseline", TRACKING][..], &["stamp", "--to", TRACKING, "--reason", "r"]] {
        for more in [&["--tenant", "my-000"][..], &["--tenant", "my-000", "--no-check"]] {
            let ran = change(&fleet, &[command, more].concat(), 100);
            ran.shows(&["partially applied", "runs resolve"]);
            fleet.run(&[command, more, &["--dry-run"]].concat()).exits(100).shows(&["runs resolve"]);
        }
    }
    let history = fleet.history("my-000").unwrap();
    assert_eq!(history.len(), 1, "{history:?}");
}

#[test]
fn a_version_that_this_program_does_not_know_stays() {
    let fleet = fleet();
    change(&fleet, &["migrate", "--to", TRACKING], 0);
    fleet.ask("pg-000", "INSERT INTO seaql_migrations VALUES ('m9_newer', 1)");
    let report =
        change(&fleet, &["stamp", "--to", TRACKING, "--reason", "r", "--format", "json", "--tenant", "pg-000"], 100);
    assert_eq!(record(&report.json(), "pg-000")["outcome"], "ahead");
    assert_eq!(fleet.history("pg-000").unwrap().last().map(String::as_str), Some("m9_newer"));
}

#[test]
fn without_a_scratch_server_nothing_is_started() {
    let mut fleet = fleet();
    made_by_others(&fleet, TRACKING);
    fleet.head = "[fleet]\nattempts = 1\n".to_owned();
    let told = ["postgres: no scratch server: set postgres_url in [scratch]", "mysql: no scratch server", "--no-check"];
    for more in ["--yes", "--dry-run"] {
        fleet.run(&["baseline", TRACKING, more]).exits(64).tells(&told);
    }
    fleet.run(&["baseline", TRACKING]).exits(64).tells(&["pass --yes to confirm, or --dry-run"]);
    assert!(!fleet.has_table("lite-000", "seaql_migrations"));
    change(&fleet, &["baseline", TRACKING, "--tenant", "lite-*"], 0).shows(&["1 stamped"]);
    change(&fleet, &["baseline", TRACKING, "--no-check"], 0).shows(&["3 stamped", "1 up to date"]);
    fleet.run(&["baseline", "R__x", "--yes"]).exits(64);
}

#[test]
fn a_history_without_its_schema_is_emptied() {
    let fleet = fleet();
    change(&fleet, &["migrate"], 0);
    change(&fleet, &["rollback", "--all"], 0);
    let written = format!("INSERT INTO seaql_migrations VALUES ('{TRACKING}', 1)");
    for tenant in &fleet.tenants {
        fleet.ask(&tenant.id, &written);
    }
    fleet.ask("my-000", "CREATE TABLE users (id int)");
    let stamp = ["stamp", "--to", "empty", "--reason", "restored without data", "--format", "json"];
    let report = change(&fleet, &stamp, 100).json();
    let error = &record(&report, "my-000")["error"];
    let message = error["message"].as_str().unwrap();
    assert_eq!(error["class"], "schema_differs", "{error}");
    assert!(message.contains("not that of empty: table users is only here"), "{message}");
    fleet.ask("my-000", "DROP TABLE users");
    for tenant in ["lite-000", "pg-000", "schema-000"] {
        assert_eq!(record(&report, tenant)["outcome"], "stamped", "{}", record(&report, tenant));
    }
    change(&fleet, &[&stamp[..5], &["--failed-of", "last"]].concat(), 0).shows(&["1 stamped"]);
    for tenant in &fleet.tenants {
        assert_eq!(fleet.history(&tenant.id).unwrap(), [""; 0], "{}", tenant.id);
    }
    change(&fleet, &stamp[..5], 0).shows(&["4 up to date"]);
    fleet.run(&["baseline", "empty", "--yes"]).exits(64).tells(&["a baseline records a version"]);
    change(&fleet, &["migrate"], 0).shows(&["4 migrated"]);
}

/// A table and an index that only repeatable scripts make may be there or not, but not in another form.
#[test]
fn a_table_of_a_repeatable_script_is_compared_where_it_is_there() {
    let fleet = with_scripts();
    let more = "create table if not exists seen (i int not null);\ndrop table if exists gone;\n";
    std::fs::write(fleet.path("sql/R__seen.sql"), more).unwrap();
    let index = "create index ix_a on a (i);\n";
    std::fs::write(fleet.path("sql/R__z_index.sql"), index).unwrap();
    made_by_others(&fleet, "0001_a");
    fleet.ask("pg-000", "create table seen (i int not null); create index ix_a on a (i)");
    fleet.ask("my-000", "create index ix_a on a (i)");
    fleet.ask("lite-000", "create table seen (i bigint)");
    fleet.ask("schema-000", "create index ix_a on a (i desc)");
    let report = change(&fleet, &["baseline", "0001_a", "--format", "json"], 100).json();
    for tenant in ["pg-000", "my-000"] {
        assert_eq!(record(&report, tenant)["outcome"], "stamped", "{}", record(&report, tenant));
    }
    for (tenant, told) in
        [("lite-000", "table seen: column i is int not null"), ("schema-000", "table a: index ix_a is")]
    {
        let message = record(&report, tenant)["error"]["message"].as_str().unwrap();
        assert!(message.contains(told), "{message}");
    }
}

#[test]
fn ctrl_c_while_the_schema_is_made_is_an_interruption() {
    let mut fleet = Fleet::new().head(&fleet().head).postgres(1);
    fleet.head = fleet.head.replacen("[fleet]\n", "[fleet]\nscripts = \"sql\"\n", 1);
    std::fs::create_dir(fleet.path("sql")).unwrap();
    std::fs::write(
        fleet.path("sql/0001_slow.sql"),
        "do $$ begin perform pg_advisory_xact_lock(2125001); perform pg_sleep(30); end $$;\n",
    )
    .unwrap();
    fleet.ask("pg-000", "create table a (i int)");
    fleet.write();
    let mut child = program(fleet.folder.path(), &["baseline", "0001_slow", "--yes"]).spawn().unwrap();
    let at = "SELECT d.datname::text FROM pg_locks l JOIN pg_database d ON d.oid = l.database WHERE l.locktype = 'advisory' AND \
              l.objid = 2125001 AND d.datname LIKE 'fleet_scratch%'";
    let begun = Instant::now();
    let scratch = loop {
        if let [name] = &fleet.ask("pg-000", at)[..] {
            break name.clone();
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "the scratch database is made");
        std::thread::sleep(Duration::from_millis(100));
    };
    signal(&child, "INT");
    assert_eq!(wait_for_end(&mut child), Some(130));
    let left = fleet.ask("pg-000", &format!("SELECT count(*)::text FROM pg_database WHERE datname = '{scratch}'"));
    assert_eq!(left, ["0"], "{scratch} is dropped");
    assert!(!fleet.has_table("pg-000", "seaql_migrations"));
}

/// The process is killed while its transaction waits in the middle: all of the rows are there afterwards, or none.
#[test]
fn a_baseline_that_was_killed_left_nothing_and_is_resumed() {
    let fleet = fleet();
    made_by_others(&fleet, TRACKING);
    let empty =
        ["CREATE TABLE seaql_migrations (version varchar(255) NOT NULL PRIMARY KEY, applied_at bigint NOT NULL)"];
    for tenant in ["pg-000", "my-000"] {
        fleet.ask(tenant, empty[0]);
        let url = fleet.tenant(tenant).url.clone();
        let (begin, lock) = match tenant {
            "pg-000" => ("BEGIN", "LOCK TABLE seaql_migrations IN EXCLUSIVE MODE"),
            _ => ("SELECT 1", "LOCK TABLES seaql_migrations READ"),
        };
        let holder = std::thread::spawn(move || {
            let wait = if url.starts_with("postgres") { "SELECT pg_sleep(4)::text" } else { "SELECT sleep(4)" };
            sql(&url, &format!("{begin}; {lock}; {wait}"));
        });
        std::thread::sleep(Duration::from_millis(500));
        fleet.write();
        let arguments = ["baseline", TRACKING, "--no-check", "--yes", "--lock-timeout", "20s", "--tenant", tenant];
        let mut child = program(fleet.folder.path(), &arguments).spawn().unwrap();
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_millis(1_500) {
            assert!(child.try_wait().unwrap().is_none(), "it waits for the lock");
            std::thread::sleep(Duration::from_millis(50));
        }
        signal(&child, "KILL");
        wait_for_end(&mut child);
        holder.join().unwrap();
        // The server may go on with the message it has: whole or not at all.
        std::thread::sleep(Duration::from_millis(500));
        let rows = fleet.history(tenant).unwrap().len();
        assert!(rows == 0 || rows == up_to("add_inventory_tracking"), "{tenant}: {rows}");
        finish(&mut program(fleet.folder.path(), &["runs", "resume", "last", "--yes"])).exits(0);
        assert_eq!(fleet.history(tenant).unwrap().len(), up_to("add_inventory_tracking"), "{tenant}");
    }
}

#[test]
fn of_two_baselines_at_once_one_records_each_tenant() {
    let fleet = fleet();
    made_by_others(&fleet, TRACKING);
    fleet.write();
    let arguments = ["baseline", TRACKING, "--no-check", "--yes", "--lock-wait", "30s", "--format", "json"];
    let with = |ledger: &'static str| [&arguments[..], &["--ledger", ledger]].concat();
    let both =
        ["one.db", "two.db"].map(|ledger| fleet.program(&with(ledger)).spawn().unwrap()).map(crate::support::wait);
    let reports = both.map(|ran| ran.exits(0).json());
    for tenant in &fleet.tenants {
        let mut outcomes = reports.each_ref().map(|report| record(report, &tenant.id)["outcome"].clone());
        outcomes.sort_by_key(ToString::to_string);
        assert_eq!(outcomes, ["stamped", "up_to_date"], "{}", tenant.id);
        assert_eq!(fleet.history(&tenant.id).unwrap().len(), up_to("add_inventory_tracking"));
    }
}

#[test]
fn what_exists_already_is_told_with_both_ways_out() {
    let fleet = fleet();
    for tenant in &fleet.tenants {
        fleet.ask(&tenant.id, "CREATE TABLE inventory_items (id int)");
    }
    let report = change(&fleet, &["migrate", "--format", "json"], 100).json();
    for tenant in &fleet.tenants {
        assert_eq!(record(&report, &tenant.id)["error"]["class"], "already_exists", "{}", tenant.id);
    }
    let told =
        ["small stamp --to m20250110_000001_initial_schema --reason TEXT", "only what nobody needs is dropped instead"];
    change(&fleet, &["migrate"], 100).shows(&told);
    // A column, an index and a trigger, where the engine has one code for all mistakes.
    let fleet = Fleet::new().head("[fleet]\nscripts = \"sql\"\nattempts = 1\n").sqlite(1);
    std::fs::create_dir(fleet.path("sql")).unwrap();
    std::fs::write(fleet.path("sql/0000_first.sql"), "create table first (i int);").unwrap();
    let made = [
        "alter table users add column email varchar(1);",
        "create unique index uq_inventory_items_sku on users (id);",
        "create trigger keep_line_total after insert on users begin select 1; end;",
    ];
    change(&fleet, &["migrate"], 0);
    for text in made {
        std::fs::write(fleet.path("sql/0001_again.sql"), text).unwrap();
        let report = change(&fleet, &["migrate", "--format", "json"], 100).json();
        assert_eq!(record(&report, "lite-000")["error"]["class"], "already_exists", "{text}");
    }
    std::fs::write(fleet.path("sql/0001_again.sql"), "alter table users add column other nonsense(;").unwrap();
    let report = change(&fleet, &["migrate", "--format", "json"], 100).json();
    assert_eq!(record(&report, "lite-000")["error"]["class"], "syntax");
}
