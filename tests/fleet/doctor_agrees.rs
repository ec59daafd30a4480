//! `doctor` answers whether `migrate` would work now: on some forty planted states it has an error for exactly the
//! tenants that `migrate` refuses or fails.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

use crate::doctoring::{as_user, tenants};
use crate::pgbouncer::Pgbouncer;
use crate::support::{Fleet, mariadb_url, mysql, postgres_url, sql};

const HEAD: &str = "[fleet]\nscripts = \"sql\"\nattempts = 1\nconnect_timeout = \"2s\"\nlock_timeout = \"1s\"\n\
                    hold_wait = \"0s\"\nlock_wait = \"0s\"\n";

fn script(fleet: &Fleet, name: &str, text: &str) {
    std::fs::create_dir_all(fleet.path("sql")).unwrap();
    std::fs::write(fleet.path("sql").join(name), text).unwrap();
}

/// The tenants with an error, each with what was found.
fn errors(report: &Value) -> BTreeMap<String, String> {
    let all = report["findings"].as_array().unwrap().iter().filter(|finding| finding["severity"] == "error");
    all.flat_map(|finding| {
        let what = finding["what"].as_str().unwrap();
        tenants(finding).into_iter().map(move |tenant| (tenant.to_owned(), what.to_owned()))
    })
    .collect()
}

/// Compares `doctor` with the plan and with the run itself, and returns the errors.
fn agree(fleet: &Fleet, server_wide: &[&str]) -> BTreeMap<String, String> {
    let doctor = fleet.run(&["doctor", "--format", "json"]);
    let mut found = errors(&doctor.json());
    found.extend(server_wide.iter().map(|id| ((*id).to_owned(), "of its server".to_owned())));
    doctor.exits(if found.is_empty() { 0 } else { 2 });
    let plan = fleet.run(&["plan", "--format", "json"]).exits(0).json();
    let rows = plan["waves"].as_array().unwrap().iter().flat_map(|wave| wave["tenants"].as_array().unwrap());
    for row in rows.filter(|row| !row["refusal"].is_null() || !row["error"].is_null()) {
        let id = row["tenant"].as_str().unwrap();
        assert!(found.contains_key(id), "the plan refuses {id} and doctor does not: {row:#}");
    }
    let run = fleet.run(&["migrate", "--yes", "--no-preflight", "--format", "json"]).json();
    let is_well = |record: &&Value| ["migrated", "up_to_date"].contains(&record["outcome"].as_str().unwrap());
    let failed = run["tenants"].as_array().unwrap().iter().filter(|record| !is_well(record));
    let failed: BTreeMap<&str, &Value> = failed.map(|record| (record["tenant"].as_str().unwrap(), record)).collect();
    for (id, record) in &failed {
        assert!(found.contains_key(*id), "doctor has no error for {id}, and it failed: {record:#}");
    }
    for (id, what) in &found {
        assert!(failed.contains_key(id.as_str()), "doctor has an error for {id}, and it was migrated: {what}");
    }
    found
}

#[test]
fn what_doctor_says_of_a_history_is_what_migrate_does() {
    let fleet = Fleet::new().head(HEAD).sqlite(9).postgres(8).mariadb(11).mysql_where_there(11);
    script(&fleet, "0001_a.sql", "CREATE TABLE a (i int);");
    script(&fleet, "0002_b.sql", "CREATE TABLE b1 (i int);\nCREATE TABLE b2 (i int);");
    let of = |kind: &str, n: usize| format!("{kind}-{n:03}");
    let kinds: Vec<&str> = ["lite", "pg", "my", "mysql"].into_iter().filter(|kind| !mysql::is_left_out(kind)).collect();
    for kind in kinds.iter().copied() {
        let ids: Vec<String> = [0, 3, 4, 5].iter().map(|n| format!("--tenant={}", of(kind, *n))).collect();
        fleet.run(&[vec!["migrate".to_owned(), "--yes".to_owned()], ids].concat()).exits(0);
        fleet.run(&["migrate", "--yes", "--to", "0001_a", "--tenant", &of(kind, 1)]).exits(0);
        // 0: at its target, 1: behind, 2: empty, and then:
        fleet.ask(&of(kind, 3), "INSERT INTO seaql_migrations VALUES ('m99999999_000001_later', 1)");
        fleet.ask(&of(kind, 4), "DELETE FROM fleet_scripts WHERE version = '0001_a'");
        fleet.ask(&of(kind, 5), "UPDATE fleet_scripts SET checksum = 'x' WHERE version = '0001_a'");
    }
    // 6: partially applied, 7: edited after the stop, 8: in doubt.
    for kind in &kinds[2..] {
        for n in [6, 7, 8] {
            fleet.run(&["migrate", "--yes", "--to", "0001_a", "--tenant", &of(kind, n)]).exits(0);
        }
        for n in [6, 7] {
            fleet.ask(&of(kind, n), "CREATE TABLE b2 (i int)");
            fleet.run(&["migrate", "--yes", "--tenant", &of(kind, n)]).exits(100);
        }
        fleet.ask(&of(kind, 7), "UPDATE fleet_journal SET sha256 = 'x'");
        let open = "INSERT INTO fleet_journal (id, migration, direction, statement, state, sha256, run, begun_at) \
                    VALUES (1, '0002_b', 'up', 1, 'running', 'x', 'r', 0)";
        fleet.ask(&of(kind, 8), open);
    }
    // At their targets, and half way in a script that is gone: a version, and one that may begin again.
    let half_gone: Vec<String> = [("lite", 7), ("pg", 6), ("my", 9), ("mysql", 9)]
        .into_iter()
        .filter(|(kind, _)| kinds.contains(kind))
        .flat_map(|(kind, n)| [of(kind, n), of(kind, n + 1)])
        .collect();
    for (id, migration) in half_gone.iter().zip(["0009_gone", "R__gone"].iter().cycle()) {
        fleet.run(&["migrate", "--yes", "--tenant", id]).exits(0);
        let create = "CREATE TABLE IF NOT EXISTS fleet_journal (id integer NOT NULL PRIMARY KEY, migration varchar(255) NOT \
                      NULL, direction varchar(4) NOT NULL, statement integer NULL, state varchar(8) NOT NULL, sha256 \
                      varchar(64) NOT NULL, run varchar(36) NOT NULL, begun_at bigint NOT NULL)";
        fleet.ask(id, create);
        fleet.ask(id, &format!("INSERT INTO fleet_journal VALUES (1, '{migration}', 'up', 2, 'stopped', 'x', 'r', 0)"));
    }
    // Another run holds the file.
    let lock = fleet.path("lite-006.db.fleet-lock");
    let mut holder = Command::new("flock").arg("--no-fork").arg(&lock).args(["sleep", "100"]).spawn().unwrap();
    while Command::new("flock").arg("-n").arg(&lock).arg("true").status().unwrap().success() {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let found = agree(&fleet, &[]);
    let _ = holder.kill();
    let _ = holder.wait();
    let ids: BTreeSet<&str> = found.keys().map(String::as_str).collect();
    let mut wanted = BTreeSet::from(["lite-006".to_owned()]);
    wanted.extend(half_gone.iter().cloned());
    wanted.extend(kinds[2..].iter().flat_map(|kind| [6, 7, 8].map(|n| of(kind, n))));
    wanted.extend(kinds.iter().flat_map(|kind| [3, 4, 5].map(|n| of(kind, n))));
    assert_eq!(ids, wanted.iter().map(String::as_str).collect());
    assert!(found["pg-003"].contains("m99999999_000001_later"), "{found:#?}");
    assert!(found["lite-006"].contains("another run"), "{found:#?}");
    assert!(found["my-006"].contains("0002_b"), "{found:#?}");
    assert!(found["my-009"].contains("put it back under the name 0009_gone"), "{found:#?}");
}

#[test]
fn what_doctor_says_of_a_database_is_what_migrate_does() {
    let mut fleet = Fleet::new().head(HEAD).sqlite(4).postgres(8).mariadb(4);
    script(&fleet, "0001_a.sql", "CREATE TABLE a (i int);");
    std::fs::remove_file(fleet.path("lite-000.db")).unwrap();
    std::fs::remove_file(fleet.path("lite-001.db")).unwrap();
    fleet.tenant_mut("lite-001").more = "create_missing = true".to_owned();
    std::fs::write(fleet.path("lite-002.db"), "this is not a database, whatever its name says").unwrap();

    let role = fleet.unique("r");
    sql(&postgres_url(), &format!("CREATE ROLE {role} LOGIN PASSWORD 'x'"));
    fleet.at_end(&postgres_url(), &format!("DROP ROLE {role}"));
    fleet.tenant_mut("pg-000").schema = Some("nowhere".to_owned());
    fleet.tenant_mut("pg-001").schema = Some("made".to_owned());
    fleet.tenant_mut("pg-001").more = "create_missing = true".to_owned();
    let url = |fleet: &Fleet, id: &str| fleet.tenant(id).url.clone();
    fleet.tenant_mut("pg-002").url = as_user(&url(&fleet, "pg-002"), "postgres", "wrong");
    fleet.tenant_mut("pg-003").url = as_user(&url(&fleet, "pg-003"), &role, "x");
    let pooler = Pgbouncer::start(&postgres_url(), "");
    let name = url(&fleet, "pg-004").rsplit_once('/').unwrap().1.to_owned();
    fleet.tenant_mut("pg-004").url = pooler.url(&name);
    let gone = format!("{}_gone", url(&fleet, "pg-005"));
    fleet.tenant_mut("pg-005").url = gone;
    let read_only = |fleet: &Fleet, id: &str| {
        let name = url(fleet, id).rsplit_once('/').unwrap().1.to_owned();
        sql(&postgres_url(), &format!("ALTER DATABASE {name} SET default_transaction_read_only = on"));
    };
    // 6: read-only and behind, 7: read-only and at its target.
    fleet.run(&["migrate", "--yes", "--tenant", "pg-007"]).exits(0);
    read_only(&fleet, "pg-006");
    read_only(&fleet, "pg-007");
    fleet.add("pg-refused", "postgres://u@127.0.0.1:1/d");

    let user = format!("a{:x}", std::process::id());
    sql(&mariadb_url(), &format!("CREATE USER '{user}'@'%' IDENTIFIED BY 'x'"));
    fleet.at_end(&mariadb_url(), &format!("DROP USER '{user}'@'%'"));
    let name = url(&fleet, "my-000").rsplit_once('/').unwrap().1.to_owned();
    sql(&mariadb_url(), &format!("GRANT SELECT ON `{name}`.* TO '{user}'@'%'"));
    fleet.tenant_mut("my-000").url = as_user(&url(&fleet, "my-000"), &user, "x");
    fleet.tenant_mut("my-001").url = as_user(&url(&fleet, "my-001"), "root", "wrong");
    let gone = format!("{}_gone", url(&fleet, "my-002"));
    fleet.tenant_mut("my-002").url = gone;

    let found = agree(&fleet, &[]);
    let ids: Vec<&str> = found.keys().map(String::as_str).collect();
    let wanted = [
        "lite-000",
        "lite-002",
        "my-000",
        "my-001",
        "my-002",
        "pg-000",
        "pg-002",
        "pg-003",
        "pg-004",
        "pg-005",
        "pg-006",
        "pg-refused",
    ];
    assert_eq!(ids, wanted);
}

/// Each text is refused for tenants that are schemas, and for them alone.
#[test]
fn what_doctor_says_of_tenants_that_are_schemas_is_what_migrate_does() {
    for (text, said) in
        [("CREATE TABLE public.of_all (i int);", "0001_x.sql"), ("CREATE EXTENSION IF NOT EXISTS citext;", "citext")]
    {
        let fleet = Fleet::new().head(HEAD).postgres(1).schemas(2);
        script(&fleet, "0001_x.sql", text);
        let found = agree(&fleet, &[]);
        assert_eq!(found.keys().map(String::as_str).collect::<Vec<_>>(), ["schema-000", "schema-001"], "{text}");
        assert!(found["schema-001"].contains(said), "{found:#?}");
    }
}

/// A squash is refused where some of its parts are there, and a new name of an old script is not.
#[test]
fn what_doctor_says_of_renamed_and_squashed_scripts_is_what_migrate_does() {
    let fleet = Fleet::new().head(HEAD).sqlite(3).postgres(3).mariadb(3).mysql_where_there(3);
    let (a, b) = ("CREATE TABLE a (i int);\n", "CREATE TABLE b (i int);\n");
    script(&fleet, "0001_a.sql", a);
    script(&fleet, "0002_b.sql", b);
    script(&fleet, "0003_c.sql", "CREATE TABLE c (i int);");
    // 0: has all, 1: has a part of the squash, 2: has nothing.
    fleet.run(&["migrate", "--yes", "--tenant", "*-000"]).exits(0);
    fleet.run(&["migrate", "--yes", "--to", "0001_a", "--tenant", "*-001"]).exits(0);
    std::fs::remove_file(fleet.path("sql/0001_a.sql")).unwrap();
    std::fs::remove_file(fleet.path("sql/0002_b.sql")).unwrap();
    script(&fleet, "0002_both.sql", &format!("-- fleet: replaces=0001_a,0002_b\n{a}{b}"));
    std::fs::rename(fleet.path("sql/0003_c.sql"), fleet.path("sql/0003_renamed.sql")).unwrap();
    let found = agree(&fleet, &[]);
    let some: Vec<&str> = fleet.tenants.iter().map(|tenant| &*tenant.id).filter(|id| id.ends_with("-001")).collect();
    let ids: BTreeSet<&str> = found.keys().map(String::as_str).collect();
    assert_eq!(ids, some.into_iter().collect(), "{found:#?}");
    assert!(found.values().all(|what| what.contains("0002_both")), "{found:#?}");
}

#[test]
fn what_doctor_says_of_scripts_and_extensions_is_what_migrate_does() {
    let fleet = Fleet::new().head(HEAD).sqlite(1).postgres(1).mariadb(1);
    // To MySQL the text does not end; PostgreSQL lacks the extension.
    script(&fleet, "0001_text.sql", "CREATE TABLE paths (p varchar(20));\nINSERT INTO paths VALUES ('C:\\');");
    script(&fleet, "0002_ext.postgres.sql", "CREATE EXTENSION nosuchthing;");
    let found = agree(&fleet, &["pg-000"]);
    assert_eq!(found.keys().map(String::as_str).collect::<Vec<_>>(), ["my-000", "pg-000"]);
    assert!(found["my-000"].contains("0001_text"), "{found:#?}");
}
