//! `tenants provision`: new tenants equal to migrated ones, and what is left where it dies.

use std::process::Command;
use std::time::Duration;

use crate::support::{Fleet, Ran, database_of, finish, mariadb_url, mysql, postgres_url, sql, wait};

/// Objects of the kinds that a script of the whole schema could lose.
const NUMBERED: [(&str, &str); 3] = [
    (
        "postgres",
        "CREATE TABLE numbered (id serial PRIMARY KEY, name text);
CREATE FUNCTION add_one(n int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN n + 1; END $$;
CREATE FUNCTION shout() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.name := upper(NEW.name); RETURN NEW; END $$;
CREATE TRIGGER loud BEFORE INSERT ON numbered FOR EACH ROW EXECUTE FUNCTION shout();
CREATE VIEW report AS SELECT id, name, add_one(id) AS total FROM numbered ORDER BY id;
INSERT INTO numbered (name) VALUES ('a'), (E'b\\n\\\\restrict ''c''');
",
    ),
    (
        "mysql",
        "CREATE TABLE numbered (id int AUTO_INCREMENT PRIMARY KEY, name varchar(20));
CREATE FUNCTION add_one(n int) RETURNS int DETERMINISTIC RETURN n + 1;
CREATE TRIGGER loud BEFORE INSERT ON numbered FOR EACH ROW SET NEW.name = upper(NEW.name);
CREATE VIEW report AS SELECT id, name, add_one(id) AS total FROM numbered ORDER BY id;
INSERT INTO numbered (name) VALUES ('a'), ('b\\n''c''');
",
    ),
    ("sqlite", "CREATE TABLE numbered (id integer PRIMARY KEY, name text);\n"),
];

/// A migrated tenant of each engine, and a script with rows.
fn fleet() -> Fleet {
    let fleet = Fleet::new()
        .head("[fleet]\nscripts = \"sql\"")
        .sqlite(1)
        .postgres(1)
        .schemas(1)
        .mariadb(1)
        .mysql_where_there(1);
    std::fs::create_dir(fleet.path("sql")).unwrap();
    let rows = "CREATE TABLE plans (id int PRIMARY KEY, name varchar(20));\nINSERT INTO plans VALUES (1, 'free'), (2, 'pro');\n";
    std::fs::write(fleet.path("sql/0001_plans.up.sql"), rows).unwrap();
    for (engine, sql) in NUMBERED {
        std::fs::write(fleet.path(&format!("sql/0002_numbered.{engine}.up.sql")), sql).unwrap();
    }
    fleet.run(&["migrate", "--yes"]).exits(0);
    fleet
}

/// A URL whose password is in a variable of this name, and the password.
fn hidden(url: &str) -> Option<(String, String, String)> {
    let (scheme, rest) = url.split_once("://")?;
    let (user, place) = rest.split_once('@')?;
    let (user, password) = user.split_once(':')?;
    let port: String = place.chars().skip_while(|c| *c != ':').skip(1).take_while(char::is_ascii_digit).collect();
    let name = format!("PW_{port}");
    Some((format!("{scheme}://{user}:${{{name}}}@{place}"), name, password.to_owned()))
}

fn provision(fleet: &Fleet, id: &str, url: &str, more: &[&str]) -> Command {
    let shown = hidden(url).map_or_else(|| url.to_owned(), |(url, ..)| url);
    let mut command = fleet.program(&[&["tenants", "provision", id, "--url", &shown, "--yes"], more].concat());
    let urls = fleet.tenants.iter().map(|tenant| tenant.url.as_str()).chain([url]);
    command.env("XDG_CACHE_HOME", fleet.path("cache"));
    // MySQL's own programs before MariaDB's of these names.
    command.env("PATH", mysql::path());
    command.envs(urls.filter_map(hidden).map(|(_, name, password)| (name, password)));
    command
}

/// The URL of a database that is dropped with the fleet and is not there; nothing for a server that the tests have not got.
fn missing(fleet: &mut Fleet, engine: &'static str, name: &str) -> String {
    if mysql::is_left_out(engine) {
        return String::new();
    }
    let url = fleet.database(engine, name);
    let (server, name) = url.rsplit_once('/').unwrap();
    let server = if engine == "postgres" { postgres_url() } else { format!("{server}/mysql") };
    sql(&server, &format!("DROP DATABASE {name}"));
    url
}

/// The tenant file has it from now on, and so has the fleet of the test.
fn provisioned(fleet: &mut Fleet, id: &str, url: &str, schema: Option<&str>) -> Ran {
    let more: Vec<&str> = schema.map(|schema| vec!["--schema", schema]).unwrap_or_default();
    let ran = finish(&mut provision(fleet, id, url, &more)).exits(0).shows(&[&format!("provisioned {id} at")]);
    let text = std::fs::read_to_string(fleet.path("tenants.toml")).unwrap();
    assert!(text.contains(&format!("id = \"{id}\"")), "{text}");
    fleet.add(id, url);
    fleet.tenant_mut(id).schema = schema.map(str::to_owned);
    ran
}

#[test]
fn a_new_tenant_is_equal_to_a_migrated_one_on_every_engine() {
    let mut fleet = fleet();
    let postgres = missing(&mut fleet, "postgres", "new");
    let shared = fleet.tenant("schema-000").url.clone();
    let (mariadb, mysql) = (missing(&mut fleet, "mariadb", "new"), missing(&mut fleet, "mysql", "new"));
    let (copy, script) = ("a copy of the template", "made by the script of this catalog's final schema");
    for (id, like, url, schema, how) in [
        ("new-lite", "lite-000", "sqlite:data/new.db", None, copy),
        ("new-pg", "pg-000", &*postgres, None, copy),
        ("new-schema", "schema-000", &*shared, Some("new co"), script),
        ("new-my", "my-000", &*mariadb, None, script),
        ("new-mysql", "mysql-000", &*mysql, None, script),
    ] {
        if mysql::is_left_out(id) {
            continue;
        }
        let ran = provisioned(&mut fleet, id, url, schema).shows(&[how]);
        assert!(!ran.err.contains("it is migrated, not made"), "{}", ran.err);
        assert_eq!(fleet.history(id), fleet.history(like));
        let plans = "SELECT CONCAT(id, name) FROM plans ORDER BY id";
        let plans = if id == "new-lite" { "SELECT id || name FROM plans ORDER BY id" } else { plans };
        assert_eq!(fleet.ask(id, plans), ["1free", "2pro"], "{id}");
        if schema.is_some() || id.starts_with("new-my") {
            // Nothing of the template's own place, its objects work, and the next row has the next number.
            let view = "SELECT CONCAT(id, name, total) FROM report";
            fleet.ask(id, "INSERT INTO numbered (name) VALUES ('it''s')");
            assert_eq!(
                fleet.ask(id, view),
                fleet.ask(id, "SELECT CONCAT(id, name, add_one(id)) FROM numbered ORDER BY id"),
                "{id}"
            );
            assert_eq!(fleet.ask(id, "SELECT CONCAT('', max(id)) FROM numbered"), ["3"], "{id}");
        }
        // The same fingerprint, by which drift is found.
        let pair = ["check", "--tenant", id, "--tenant", like];
        fleet.run(&pair).exits(0).shows(&["2"]);
        fleet.run(&["runs", "show", "last"]).exits(0).shows(&["1 tenant", "up to date"]);
        assert!(!fleet.has_table(id, "fleet_provision"));
    }
    fleet.run(&["migrate", "--yes"]).exits(0).shows(&[&format!("{} up to date", fleet.tenants.len())]);
    let twice = finish(&mut provision(&fleet, "new-pg", &postgres, &[])).exits(64);
    twice.tells(&["there is a tenant new-pg already"]);
}

#[test]
fn a_template_of_another_catalog_is_never_used() {
    let mut fleet = fleet();
    let urls = [missing(&mut fleet, "postgres", "a"), missing(&mut fleet, "postgres", "b")];
    provisioned(&mut fleet, "a-lite", "sqlite:a.db", None);
    provisioned(&mut fleet, "a-pg", &urls[0], None);
    let templates = || {
        let files = std::fs::read_dir(fleet.path("cache/fleet/templates")).unwrap();
        files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect::<Vec<_>>()
    };
    let before = templates();
    assert_eq!(before.len(), 1, "{before:?}");
    // What a dying copy leaves is no template.
    let half = fleet.path("cache/fleet/templates").join(format!("{}.00000000.partial", before[0]));
    std::fs::write(&half, "half").unwrap();
    let more = "CREATE TABLE more (id int);\n";
    std::fs::write(fleet.path("sql/0003_more.up.sql"), more).unwrap();
    std::fs::remove_file(half).unwrap();
    provisioned(&mut fleet, "b-lite", "sqlite:b.db", None);
    provisioned(&mut fleet, "b-pg", &urls[1], None);
    assert!(fleet.has_table("b-lite", "more") && fleet.has_table("b-pg", "more"));
    assert!(!fleet.has_table("a-lite", "more"));
    let files = std::fs::read_dir(fleet.path("cache/fleet/templates")).unwrap();
    let after: Vec<_> = files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    assert!(after.len() == 1 && after != before, "{after:?}");
    // Each tenant's own values are in no template.
    std::fs::write(
        fleet.path("sql/0004_own.up.sql"),
        "-- fleet: variables\nINSERT INTO more SELECT 1 WHERE {{tenant}} = 'c';\n",
    )
    .unwrap();
    let ran = provisioned(&mut fleet, "c", "sqlite:c.db", None);
    ran.tells(&["it is migrated, not made from a template: its scripts hold variables"]);
    assert_eq!(fleet.ask("c", "SELECT CAST(count(*) AS text) FROM more"), ["1"]);
}

#[test]
fn what_is_there_already_is_not_touched_and_an_empty_place_is_filled() {
    let mut fleet = fleet();
    std::fs::write(fleet.path("taken.db"), "somebody's").unwrap();
    let urls = [("postgres", "t"), ("mariadb", "t")].map(|(engine, name)| fleet.database(engine, name));
    for url in &urls {
        sql(url, "CREATE TABLE kept (a int)");
    }
    fleet.ask("schema-000", "CREATE SCHEMA kept CREATE TABLE t (a int)");
    let shared = fleet.tenant("schema-000").url.clone();
    let before = std::fs::read_to_string(fleet.path("tenants.toml")).unwrap();
    for (url, what, more) in [
        ("sqlite:taken.db", "has 10 bytes", &[][..]),
        (&urls[0], "has 1 tables", &[]),
        (&urls[1], "has 1 tables", &[]),
        (&shared, "the schema kept of the database", &["--schema", "kept"]),
    ] {
        let ran = finish(&mut provision(&fleet, "x", url, more)).exits(1);
        ran.tells(&[what, "it was not touched", "x is not in the tenant file", "tenants add"]);
    }
    assert_eq!(std::fs::read_to_string(fleet.path("taken.db")).unwrap(), "somebody's");
    assert_eq!(std::fs::read_to_string(fleet.path("tenants.toml")).unwrap(), before);
    // A tenant that was removed from the file is no new customer's.
    fleet.run(&["tenants", "remove", "lite-000"]).exits(0);
    finish(&mut provision(&fleet, "x", "sqlite:lite-000.db", &[])).exits(1).tells(&["it was not touched"]);
    // Empty ones, made by whoever may make databases.
    std::fs::write(fleet.path("empty.db"), "").unwrap();
    provisioned(&mut fleet, "e-lite", "sqlite:empty.db", None);
    for (id, engine) in [("e-pg", "postgres"), ("e-my", "mariadb"), ("e-mysql", "mysql")] {
        if mysql::is_left_out(id) {
            continue;
        }
        let url = fleet.database(engine, "empty");
        provisioned(&mut fleet, id, &url, None);
        assert_eq!(fleet.history(id), fleet.history("pg-000"));
    }
}

/// Behind the tenant file only the mark is left, which must not stand when another tenant comes to this place.
#[test]
fn one_that_died_behind_the_tenant_file_loses_its_mark_and_the_ledger_s_place_is_none() {
    let mut fleet = fleet();
    provisioned(&mut fleet, "n", "sqlite:n.db", None);
    fleet.write();
    let mark = fleet.path("n.db.fleet-provision");
    assert!(!mark.exists());
    std::fs::hard_link(fleet.path("n.db"), &mark).unwrap();
    finish(&mut provision(&fleet, "n", "sqlite:n.db", &[])).exits(0).shows(&["n is in the tenant file, and finished"]);
    assert!(!mark.exists());
    finish(&mut provision(&fleet, "n", "sqlite:n.db", &[])).exits(64).tells(&["there is a tenant n already"]);
    let ledger = provision(&fleet, "led", "sqlite:other.db", &["--ledger", "other.db"]).output().unwrap();
    assert!(String::from_utf8_lossy(&ledger.stderr).contains("is the database of tenant led"));
    assert!(!fleet.path("other.db").exists());
}

/// A dump gives an event the start that it never had, and leaves out a cast, which is in no schema.
#[test]
fn a_schema_that_a_script_does_not_make_exactly_is_migrated() {
    let mut fleet = fleet();
    let event = "CREATE EVENT old_plans ON SCHEDULE EVERY 1 YEAR DO DELETE FROM plans WHERE id < 0;\n";
    let cast = "CREATE TYPE pair AS (a int);
CREATE FUNCTION to_pair(int) RETURNS pair LANGUAGE sql AS 'SELECT ROW($1)::pair';
CREATE CAST (int AS pair) WITH FUNCTION to_pair(int);\n";
    for (engine, sql) in [("mysql", event), ("postgres", cast), ("sqlite", "SELECT 1;\n")] {
        std::fs::write(fleet.path(&format!("sql/0003_more.{engine}.up.sql")), sql).unwrap();
    }
    fleet.run(&["migrate", "--yes"]).exits(0);
    let shared = fleet.tenant("schema-000").url.clone();
    let (mariadb, mysql) = (missing(&mut fleet, "mariadb", "e"), missing(&mut fleet, "mysql", "e"));
    let (other, moment) =
        ("the schema that the script of the final schema makes here is", "an event begins when it is made");
    for (id, like, url, schema, why) in [
        ("e-schema", "schema-000", &*shared, Some("e_schema"), other),
        ("e-my", "my-000", &*mariadb, None, moment),
        ("e-mysql", "mysql-000", &*mysql, None, moment),
    ] {
        if mysql::is_left_out(id) {
            continue;
        }
        let ran = provisioned(&mut fleet, id, url, schema);
        ran.tells(&[&format!("it is migrated, not made from a template: {why}")]);
        assert_eq!(fleet.history(id), fleet.history(like));
        fleet.run(&["check", "--tenant", id, "--tenant", like]).exits(0);
    }
    let left = std::fs::read_dir(fleet.path("cache/fleet/templates")).unwrap().count();
    assert_eq!(left, 0, "no script that was not proven is kept");
}

/// An extension is in no dump of a schema; a setting of a database and rights on it are in no copy of one.
#[test]
fn a_tenant_for_which_something_stands_beside_its_schema_is_migrated_where_that_is_missing() {
    let mut fleet = fleet();
    fleet.head += "\n[defaults]\nshared_schemas = [\"public\"]\n";
    let write = |fleet: &Fleet, name: &str, sql: &str| {
        for (engine, sql) in [("postgres", sql), ("mysql", "SELECT 1;\n"), ("sqlite", "SELECT 1;\n")] {
            std::fs::write(fleet.path(&format!("sql/{name}.{engine}.up.sql")), sql).unwrap();
        }
    };
    write(&fleet, "0003_more", "CREATE EXTENSION IF NOT EXISTS btree_gist SCHEMA public;\n");
    fleet.run(&["migrate", "--yes"]).exits(0);
    let shared = fleet.tenant("schema-000").url.clone();
    provisioned(&mut fleet, "beside", &shared, Some("beside")).shows(&["made by the script"]);
    let other = fleet.database("postgres", "other");
    let ran = provisioned(&mut fleet, "alone", &other, Some("alone"));
    ran.tells(&["it is migrated, not made from a template: the migrations make the extension btree_gist"]);
    let extension = "SELECT extname::text FROM pg_extension WHERE extname = 'btree_gist'";
    assert_eq!(fleet.ask("alone", extension), ["btree_gist"]);

    write(&fleet, "0004_of_all", "CREATE TABLE IF NOT EXISTS public.of_all (id int);\n");
    let ran = provisioned(&mut fleet, "late", &other, Some("late"));
    ran.tells(&["it is migrated, not made from a template: the migrations make public.of_all"]);
    assert_eq!(fleet.ask("late", "SELECT to_regclass('public.of_all')::text"), ["public.of_all"]);

    for (name, sql, why) in [
        ("setting", "ALTER DATABASE %I SET work_mem = ''5MB''", "ALTER DATABASE"),
        ("right", "GRANT CREATE ON DATABASE %I TO PUBLIC", "GRANT .. ON DATABASE"),
    ] {
        let sql = format!("DO $$ BEGIN EXECUTE format('{sql}', current_database()); END $$;\n");
        write(&fleet, "0004_of_all", &sql);
        let url = missing(&mut fleet, "postgres", name);
        let ran = provisioned(&mut fleet, name, &url, None);
        ran.tells(&[
            "it is migrated, not made from a template: the migrations set something for the database itself",
            why,
        ]);
    }
    let set = "SELECT unnest(setconfig) FROM pg_db_role_setting r JOIN pg_database d ON d.oid = setdatabase WHERE datname = \
               current_database()";
    assert_eq!(fleet.ask("setting", set), ["work_mem=5MB"]);
    let right = "SELECT has_database_privilege('public', current_database(), 'CREATE')::text";
    assert_eq!(fleet.ask("right", right), ["true"]);
}

/// As it is when the process is killed while the engine's client loads.
#[test]
fn a_script_that_was_killed_half_way_is_loaded_anew() {
    let mut fleet = fleet();
    for (id, engine) in [("h-my", "mariadb"), ("h-mysql", "mysql")] {
        if mysql::is_left_out(id) {
            continue;
        }
        let url = fleet.database(engine, "half");
        for statement in [
            "CREATE TABLE fleet_provision (tenant varchar(128) NOT NULL PRIMARY KEY)",
            &*format!("INSERT INTO fleet_provision VALUES ('{id}')"),
            "CREATE TABLE fleet_journal (id int NOT NULL PRIMARY KEY, migration varchar(255) NOT NULL, direction varchar(4) NOT NULL, \
             statement int NULL, state varchar(8) NOT NULL, sha256 varchar(64) NOT NULL, run varchar(36) NOT NULL, begun_at bigint NOT NULL)",
            "INSERT INTO fleet_journal VALUES (1, 'restore of a backup', 'up', NULL, 'running', '', 'provision', 1)",
            "CREATE TABLE half (a int)",
        ] {
            sql(&url, statement);
        }
        provisioned(&mut fleet, id, &url, None).shows(&["made by the script of this catalog's final schema"]);
        assert!(!fleet.has_table(id, "half") && !fleet.has_table(id, "fleet_provision"));
        assert_eq!(fleet.history(id), fleet.history("my-000"));
    }
}

/// Killed at any moment, the same command ends it.
#[test]
fn a_provisioning_that_was_killed_is_finished_by_the_same_command() {
    let mut fleet = fleet();
    for (n, pause) in [0, 30, 60, 100, 180].into_iter().enumerate() {
        let postgres = missing(&mut fleet, "postgres", &format!("k{n}"));
        let mariadb = missing(&mut fleet, "mariadb", &format!("k{n}"));
        let shared = fleet.tenant("schema-000").url.clone();
        let schema = format!("k{n}");
        for (id, url, schema) in [
            (format!("lite-k{n}"), format!("sqlite:k{n}.db"), None),
            (format!("pg-k{n}"), postgres, None),
            (format!("schema-k{n}"), shared, Some(&*schema)),
            (format!("my-k{n}"), mariadb, None),
        ] {
            let more: Vec<&str> = schema.map(|schema| vec!["--schema", schema]).unwrap_or_default();
            let mut child = provision(&fleet, &id, &url, &more).spawn().unwrap();
            std::thread::sleep(Duration::from_millis(pause));
            let _ = child.kill();
            wait(child);
            let text = std::fs::read_to_string(fleet.path("tenants.toml")).unwrap();
            // It may have ended before.
            if !text.contains(&format!("id = \"{id}\"")) {
                // An engine without transactional DDL may have stopped in a statement, and only a person may drop what is there.
                if id.starts_with("my-") {
                    let again = finish(&mut provision(&fleet, &id, &url, &more));
                    if again.code == Some(100) {
                        let again = again.tells(&["is marked as unfinished", "in doubt has no user yet: drop it"]);
                        assert!(again.out.contains("IN DOUBT"), "{}", again.out);
                        sql(&mariadb_url(), &format!("DROP DATABASE {}", url.rsplit_once('/').unwrap().1));
                    } else {
                        let again = again.exits(0);
                        assert!(again.out.contains("provisioned"));
                        fleet.add(&id, &url);
                        continue;
                    }
                }
                provisioned(&mut fleet, &id, &url, schema);
            } else {
                fleet.add(&id, &url);
                fleet.tenant_mut(&id).schema = schema.map(str::to_owned);
            }
            assert_eq!(fleet.history(&id), fleet.history("pg-000"), "{id}");
        }
    }
    fleet.run(&["migrate", "--yes"]).exits(0);
}

#[test]
fn what_a_source_gives_is_not_in_the_file_twice() {
    let fleet = fleet();
    let head = "[fleet]\nscripts = \"sql\"\n[[source]]\nname = \"folder\"\nfiles = \"data/*.db\"\n";
    let before = std::fs::read_to_string(fleet.path("tenants.toml")).unwrap();
    std::fs::create_dir(fleet.path("data")).unwrap();
    let text = before.replace("[fleet]\nscripts = \"sql\"", head);
    assert_ne!(text, before);
    std::fs::write(fleet.path("tenants.toml"), &text).unwrap();
    let ran = finish(&mut provision(&fleet, "newco", "sqlite:data/newco.db", &[])).exits(0);
    ran.shows(&["the source `folder` has it as newco, so ", " was not changed"]);
    assert_eq!(std::fs::read_to_string(fleet.path("tenants.toml")).unwrap(), text);
    let urls =
        fleet.tenants.iter().filter_map(|tenant| hidden(&tenant.url)).map(|(_, name, password)| (name, password));
    let listed = finish(fleet.program(&["tenants", "list", "--format", "json"]).envs(urls)).exits(0).json();
    let ids: Vec<&str> =
        listed["tenants"].as_array().unwrap().iter().filter_map(|tenant| tenant["id"].as_str()).collect();
    assert!(ids.contains(&"newco"), "{ids:?}");
    // It is whole, and nobody takes it for another's.
    finish(&mut provision(&fleet, "newco", "sqlite:data/newco.db", &[])).exits(78).tells(&["newco"]);
    finish(&mut provision(&fleet, "other", "sqlite:data/newco.db", &[])).exits(78).tells(&["newco"]);
    finish(&mut provision(&fleet, "elsewhere", "sqlite:elsewhere.db", &[])).exits(0).shows(&["it is in "]);
}

#[test]
fn a_role_is_made_with_rights_on_its_own_database_alone() {
    let mut fleet = fleet();
    let (postgres, mariadb) = (missing(&mut fleet, "postgres", "role"), missing(&mut fleet, "mariadb", "role"));
    for (id, url, admin, like) in
        [("r-pg", postgres, postgres_url(), "pg-000"), ("r-my", mariadb, mariadb_url(), "my-000")]
    {
        let user = format!("app_{:x}", std::process::id());
        let (scheme, rest) = url.split_once("://").unwrap();
        let (_, place) = rest.split_once('@').unwrap();
        let own = format!("{scheme}://{user}@{place}");
        let with = |variables: &[(&str, &str)], more: &[&str]| {
            let more = [&["--password-env", "APP_PW", "--admin-env", "ADMIN"], more].concat();
            finish(provision(&fleet, id, &own, &more).env("APP_PW", "its own").envs(variables.iter().copied()))
        };
        with(&[], &[]).exits(64).tells(&["ADMIN is not set"]);
        let ran = with(&[("ADMIN", &admin)], &["--create-role"]).exits(0).shows(&["provisioned"]);
        assert!(!ran.err.contains("its own") || !ran.err.contains("PASSWORD"), "{}", ran.err);
        let as_it = format!("{scheme}://{user}:its%20own@{place}");
        sql(&as_it, "INSERT INTO plans VALUES (3, 'own')");
        sql(&as_it, "ALTER TABLE plans ADD COLUMN own int");
        assert_eq!(sql(&as_it, "SELECT version FROM seaql_migrations ORDER BY version"), fleet.history(like).unwrap());
        let server = if id == "r-pg" { postgres_url() } else { mariadb_url() };
        let database = place.rsplit_once('/').unwrap().1;
        let gone = match id {
            "r-pg" => format!("DROP DATABASE {database} WITH (FORCE); DROP ROLE {user}"),
            _ => format!("DROP DATABASE {database}; DROP USER '{user}'@'%'"),
        };
        for sql_text in gone.split("; ") {
            sql(&database_of(&server, if id == "r-pg" { "postgres" } else { "mysql" }), sql_text);
        }
        std::fs::write(fleet.path("tenants.toml"), "").unwrap();
        fleet.write();
    }
}
