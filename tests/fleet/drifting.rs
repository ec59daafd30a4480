//! `check`: the schemas of live tenants against that of their own version. On the engines.

use serde_json::Value;

use crate::support::{Fleet, all, mariadb_url, postgres_url, sql, up_to};

const TRACKING: &str = "m20250110_000003_add_inventory_tracking";

fn scratch() -> String {
    format!("[scratch]\npostgres_url = \"{}\"\nmysql_url = \"{}\"\n", postgres_url(), mariadb_url())
}

/// Two tenants of each kind, with SQL scripts: a table, and a view that is made again and again.
fn fleet() -> Fleet {
    let head = format!("[fleet]\nattempts = 1\nscripts = \"sql\"\n{}", scratch());
    let fleet = Fleet::new().head(&head).sqlite(2).postgres(2).schemas(2).mariadb(2);
    std::fs::create_dir(fleet.path("sql")).unwrap();
    std::fs::write(fleet.path("sql/0001_a.sql"), "create table a (i int not null);\ncreate index ix_a on a (i);\n")
        .unwrap();
    let view = "drop view if exists report;\ncreate view report as select i from a;\n";
    std::fs::write(fleet.path("sql/R__report.sql"), view).unwrap();
    fleet
}

/// The groups of a document: tenants, and the titles of the differences.
fn groups(json: &Value) -> Vec<(Vec<String>, Vec<String>)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let group = |group: &Value| {
        let tenants = group["tenants"].as_array().unwrap().iter().map(text).collect();
        let title = |d: &Value| format!("{}: {}", text(&d["object"]), text(&d["part"]));
        (tenants, group["differences"].as_array().unwrap().iter().map(title).collect())
    };
    json["groups"].as_array().unwrap().iter().map(group).collect()
}

#[test]
fn drift_of_live_tenants_is_found_and_grouped() {
    let fleet = fleet();
    fleet.run(&["migrate", "--yes"]).exits(0);
    fleet
        .run(&["check"])
        .exits(0)
        .shows(&["8 tenants: 8 as they should be"])
        .tells(&["making the schema of 3 versions"]);
    // Recorded as applied, but the column is missing; a view of a repeatable script that is gone; a table too many.
    for id in ["lite-000", "pg-001", "schema-000", "my-001"] {
        fleet.ask(id, "DROP VIEW report");
    }
    for id in ["pg-001", "schema-000"] {
        fleet.ask(id, "ALTER TABLE order_items DROP COLUMN line_total");
    }
    fleet.ask("my-000", "CREATE TABLE tmp_copy (i int)");
    fleet.ask("schema-001", "ALTER TABLE users ALTER COLUMN email TYPE varchar(100)");
    let ran = fleet.run(&["check", "--format", "json"]).exits(2);
    let json = ran.json();
    let found = groups(&json);
    let has = |tenants: &[&str], titles: &[&str]| {
        let titles: Vec<String> = titles.iter().map(|title| (*title).to_owned()).collect();
        assert!(found.iter().any(|group| group.0 == tenants && group.1 == titles), "{tenants:?}: {found:#?}");
    };
    has(&["pg-001", "schema-000"], &["table order_items: column line_total", "view report: "]);
    has(&["lite-000"], &["view report: "]);
    has(&["my-001"], &["view report: "]);
    has(&["my-000"], &["table tmp_copy: "]);
    has(&["schema-001"], &["table users: column email"]);
    assert_eq!((found.len(), &json["equal"]), (5, &2.into()));
    let ran = fleet.run(&["check"]).exits(2);
    ran.shows(&[
        "DRIFT  pg-001, schema-000",
        "2 of 4 tenants at 0001_a (postgres)",
        "- table order_items: column line_total is missing; in its version it is there (numeric(12,2))",
        "- table tmp_copy is only here",
        "- table users: column email is here character varying(100) not null; in its version character varying(200) not",
        "8 tenants: 2 as they should be, 6 with drift, of 5 kinds",
    ]);
    let csv = fleet.run(&["check", "--format", "csv"]).exits(2);
    csv.shows(&["tenant,engine,group,compared_with,object,part,expected,found"]);
    // It changed nothing, and made nothing.
    assert!(!fleet.has_table("lite-000", "report") && fleet.has_table("my-000", "tmp_copy"));
    let only = fleet.run(&["check", "--engine", "sqlite", "--tenant", "*-001"]).exits(0);
    only.shows(&["1 tenant: 1 as they should be"]);
}

#[test]
fn a_suggestion_takes_drift_away_when_a_person_runs_it() {
    let fleet = fleet();
    fleet.run(&["migrate", "--yes"]).exits(0);
    for id in ["lite-000", "pg-000", "schema-000", "my-000"] {
        fleet.ask(id, "DROP VIEW report");
        match id {
            "my-000" => drop(fleet.ask(id, "DROP INDEX ix_a ON a")),
            _ => drop(fleet.ask(id, "DROP INDEX ix_a")),
        }
        fleet.ask(id, "ALTER TABLE tenant_features DROP COLUMN enabled");
    }
    let ran = fleet.run(&["check", "--fix-sql"]).exits(2);
    ran.shows(&["A suggestion, of which nothing was run", "locks the table for a moment"]);
    let json = fleet.run(&["check", "--fix-sql", "--format", "json"]).exits(2).json();
    for group in json["groups"].as_array().unwrap() {
        for tenant in group["tenants"].as_array().unwrap() {
            for sql in group["fix_sql"].as_array().unwrap().iter().filter_map(Value::as_str) {
                let statement: Vec<&str> = sql.lines().filter(|line| !line.starts_with("--")).collect();
                if !statement.is_empty() {
                    fleet.ask(tenant.as_str().unwrap(), &statement.join("\n"));
                }
            }
        }
    }
    // The view of MariaDB has attributes that no plain text has, so that it is left to a person.
    fleet.ask("my-000", "create view report as select i from a");
    fleet.run(&["check"]).exits(0);
}

#[test]
fn each_tenant_is_compared_with_its_own_version() {
    let fleet = fleet();
    fleet.run(&["migrate", "--yes", "--tenant", "*-000"]).exits(0);
    fleet.run(&["migrate", "--yes", "--to", TRACKING, "--tenant", "*-001"]).exits(0);
    fleet
        .run(&["check"])
        .exits(0)
        .shows(&["8 tenants: 8 as they should be"])
        .tells(&["making the schema of 6 versions"]);
    for tenant in &fleet.tenants {
        fleet.ask(&tenant.id, "CREATE TABLE extra (i int)");
    }
    let json = fleet.run(&["check", "--format", "json"]).exits(2).json();
    let found = groups(&json);
    assert_eq!(found.len(), 3, "the same on two versions is one group for each engine: {found:#?}");
    assert!(found.iter().all(|group| group.1 == ["table extra: "]), "{found:#?}");
    assert_eq!(json["groups"][0]["versions"].as_array().unwrap().len(), 2);
    // A repeatable script that is pending may have left its object in any form.
    std::fs::write(
        fleet.path("sql/R__report.sql"),
        "drop view if exists report;\ncreate view report as select 1 as i;\n",
    )
    .unwrap();
    assert_eq!(groups(&fleet.run(&["check", "--format", "json"]).exits(2).json()), found);
}

#[test]
fn what_is_ignored_stands_in_the_tenant_file_or_a_flag() {
    let mut fleet = fleet();
    fleet.run(&["migrate", "--yes"]).exits(0);
    for tenant in &fleet.tenants {
        fleet.ask(&tenant.id, "CREATE TABLE tmp_copy (i int)");
        fleet.ask(&tenant.id, "CREATE INDEX tmp_users ON users (id)");
    }
    fleet.run(&["check"]).exits(2).shows(&["8 with drift"]);
    let ignored = fleet.run(&["check", "--ignore", "table tmp_*", "--ignore", "table users: index tmp_*"]).exits(0);
    ignored.shows(&["8 as they should be (8 with ignored differences)"]);
    fleet.head.push_str("[check]\nignore = [\"table tmp_*\"]\n");
    fleet.run(&["check"]).exits(2).shows(&["table users: index tmp_users is only here"]);
    fleet.run(&["check", "--ignore", "*: index tmp_*"]).exits(0);
    fleet.head = fleet.head.replace("tmp_*", "tmp_[");
    fleet.run(&["check"]).exits(78).tells(&["is not a valid pattern"]);
}

#[test]
fn without_a_scratch_server_tenants_are_compared_with_each_other_and_that_is_said() {
    let fleet = Fleet::new().sqlite(1).schemas(3).mariadb(1);
    fleet.run(&["migrate", "--yes"]).exits(0);
    fleet.ask("schema-001", "CREATE TABLE extra (i int)");
    let ran = fleet.run(&["check"]).exits(2);
    ran.shows(&[
        "DRIFT  schema-001",
        "3 tenants at m20251001_000002_migrate_transactions (postgres) were compared only with what most",
        "postgres_url",
        "no other tenant has this version",
    ]);
    fleet.ask("schema-001", "DROP TABLE extra");
    fleet
        .run(&["check", "--tenant", "schema-*", "--tenant", "lite-*"])
        .exits(0)
        .shows(&["compared only with what most"]);
    fleet.run(&["check", "--tenant", "my-*"]).exits(2).shows(&["1 tenant: 0 as they should be, 1 not compared"]);
}

#[test]
fn a_tenant_that_can_not_be_compared_is_a_row() {
    let mut fleet = Fleet::new().head(&scratch()).sqlite(2).mariadb(2);
    fleet.run(&["migrate", "--yes", "--to", "m20250110_000002_add_tenant_features"]).exits(0);
    // The second statement of its next migration makes a table that is there.
    fleet.ask("my-001", "CREATE TABLE inventory_transactions (i int)");
    fleet.run(&["migrate", "--yes", "--tenant", "my-001"]).exits(100);
    fleet.add("lite-gone", "sqlite:gone.db");
    let json = fleet.run(&["check", "--format", "json"]).exits(2).json();
    let rows: Vec<(&str, &str)> = json["not_compared"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (row["tenant"].as_str().unwrap(), row["state"].as_str().unwrap()))
        .collect();
    assert_eq!(rows, [("my-001", "partially_applied"), ("lite-gone", "unreachable")], "{json}");
    assert_eq!((&json["equal"], groups(&json).len()), (&3.into(), 0), "{json}");
    fleet.run(&["check"]).exits(2).shows(&["NOT COMPARED", "partially applied", "does not exist", "2 not compared"]);
    assert!(!fleet.path("gone.db").exists(), "reading creates nothing");
    fleet.run(&["check", "--entities", "--tenant", "lite-000"]).exits(64);
}

#[test]
fn sixty_equal_tenants_of_each_engine_have_no_drift() {
    let fleet = Fleet::new().head(&scratch()).sqlite(60).schemas(60).mariadb(60);
    fleet.run(&["migrate", "--yes", "--concurrency", "24"]).exits(0);
    assert_eq!(fleet.history("my-059").unwrap().len(), up_to("migrate_transactions"));
    assert_eq!(all().len(), up_to("migrate_transactions"));
    fleet.run(&["check"]).exits(0).shows(&["180 tenants: 180 as they should be"]);
}

mod mysql {
    use super::*;

    #[test]
    fn sixty_equal_tenants_have_no_drift() {
        let mut fleet = Fleet::new().mysql(60);
        let server = fleet.tenants[0].url.rsplit_once('/').unwrap().0.to_owned();
        fleet.head = format!("[scratch]\nmysql_url = \"{server}/mysql\"\n");
        fleet.run(&["migrate", "--yes", "--concurrency", "24"]).exits(0);
        fleet.ask("mysql-059", "ALTER TABLE users DROP INDEX uq_users_email");
        let ran = fleet.run(&["check"]).exits(2);
        ran.shows(&[
            "DRIFT  mysql-059",
            "unique uq_users_email is missing",
            "60 tenants: 59 as they should be, 1 with drift",
        ]);
    }

    /// MariaDB and MySQL say the same schema in different words.
    #[test]
    fn tenants_of_another_product_than_the_scratch_server_are_compared_with_each_other() {
        let fleet = Fleet::new().head(&scratch()).mariadb(1).mysql(2);
        fleet.run(&["migrate", "--yes"]).exits(0);
        let ran = fleet.run(&["check"]).exits(0);
        ran.shows(&[
            "2 tenants at m20251001_000002_migrate_transactions (mysql) were compared only",
            "server is MariaDB",
        ]);
    }
}

/// Of privileges, those count that most tenants of a version have; a tenant's own role is not another one.
#[test]
fn privileges_that_most_tenants_do_not_have_are_drift() {
    let head = format!("[fleet]\nattempts = 1\n{}", scratch());
    let mut fleet = Fleet::new().head(&head).postgres(3).schemas(3).mariadb(3);
    fleet.run(&["migrate", "--yes"]).exits(0);
    let reader = fleet.unique("rd");
    for (kind, server) in [("pg", postgres_url()), ("schema", postgres_url()), ("my", mariadb_url())] {
        let is_mysql = kind == "my";
        let role = |name: &str| if is_mysql { format!("'{name}'@'%'") } else { format!("\"{name}\"") };
        let word = if is_mysql { "USER" } else { "ROLE" };
        if kind != "schema" {
            fleet.ask(&format!("{kind}-000"), &format!("CREATE {word} {}", role(&reader)));
            fleet.at_end(&server, &format!("DROP {word} {}", role(&reader)));
        }
        for number in 0..3 {
            let id = format!("{kind}-00{number}");
            let tenant = fleet.tenant(&id);
            let database = tenant.url.rsplit('/').next().unwrap();
            let own = tenant.schema.as_ref().map_or(format!("r_{database}"), |schema| fleet.unique(schema));
            fleet.at_end(&server, &format!("DROP {word} {}", role(&own)));
            fleet.ask(&id, &format!("CREATE {word} {}", role(&own)));
            fleet.ask(&id, &format!("GRANT SELECT, INSERT ON users TO {}", role(&own)));
            if number < 2 {
                fleet.ask(&id, &format!("GRANT SELECT ON order_items TO {}", role(&reader)));
            }
        }
    }
    let ran = fleet.run(&["check", "--format", "json"]).exits(2);
    let found = groups(&ran.json());
    let missing = |to: &str| format!("table order_items: grants to {to}");
    for (tenant, to) in
        [("my-002", format!("'{reader}'@'%'")), ("pg-002", reader.clone()), ("schema-002", reader.clone())]
    {
        assert!(
            found.iter().any(|group| group.0.contains(&tenant.to_owned()) && group.1 == [missing(&to)]),
            "{found:#?}"
        );
    }
    assert_eq!(found.iter().map(|group| group.0.len()).sum::<usize>(), 3, "{found:?}");
    let words = format!("- table order_items: grants to {reader} is missing; on most tenants it is there");
    fleet.run(&["check", "--fix-sql"]).exits(2).shows(&[&*words, "not as on most tenants of this version"]);
    fleet.run(&["check", "--ignore", "table *: grants to *"]).exits(0);
}

#[test]
fn schemas_of_versions_are_made_once_and_kept() {
    let fleet = fleet();
    fleet.run(&["migrate", "--yes"]).exits(0);
    let made = "making the schema of ";
    fleet.run(&["check"]).exits(0).tells(&[made]);
    let again = fleet.run(&["check"]).exits(0);
    assert!(!again.err.contains(made), "{}", again.err);
    fleet.run(&["check", "--no-cache"]).exits(0).tells(&[made]);
    // A difference is found by a kept schema as by a new one.
    fleet.ask("pg-000", "ALTER TABLE users DROP COLUMN email");
    let drifted = fleet.run(&["check"]).exits(2);
    assert!(drifted.out.contains("email") && !drifted.err.contains(made), "{drifted:?}");
    fleet.ask("pg-000", "ALTER TABLE users ADD COLUMN email varchar(200) NOT NULL UNIQUE");
    // A broken file, and one of another key, are as if they were not there.
    let folder = fleet.path(".cache/fleet/schemas");
    let files: Vec<_> = folder.read_dir().unwrap().map(|file| file.unwrap().path()).collect();
    assert!(files.len() >= 2, "{files:?}");
    let text = std::fs::read_to_string(&files[0]).unwrap();
    for file in &files {
        std::fs::write(file, text.replace("users", "losers")).unwrap();
    }
    fleet.run(&["check"]).tells(&[made]);
    for file in &files {
        std::fs::write(file, &text).unwrap();
    }
    fleet.run(&["check"]).tells(&[made]);
    // Another text of a script makes another schema.
    fleet.run(&["check"]);
    std::fs::write(fleet.path("sql/R__made_again.sql"), "SELECT 1;").unwrap();
    fleet.run(&["check"]).tells(&[made]);
}

/// `app_ro`, which all tenants share, has the name of the tenant `app` in it.
#[test]
fn a_shared_role_with_the_name_of_a_tenant_is_no_drift() {
    let mut fleet = Fleet::new().head(&scratch()).postgres(3).schemas(3).mariadb(2);
    fleet.run(&["migrate", "--yes"]).exits(0);
    for (kind, server, tenants) in [("pg", postgres_url(), 3), ("schema", postgres_url(), 3), ("my", mariadb_url(), 2)]
    {
        let first = fleet.tenant(&format!("{kind}-000"));
        let database = first.url.rsplit('/').next().unwrap();
        let name =
            first.schema.as_ref().map_or(format!("{database}_ro"), |schema| fleet.unique(&format!("{schema}_ro")));
        let (word, role) =
            if kind == "my" { ("USER", format!("'{name}'@'%'")) } else { ("ROLE", format!("\"{name}\"")) };
        fleet.ask(&format!("{kind}-000"), &format!("CREATE {word} {role}"));
        fleet.at_end(&server, &format!("DROP {word} {role}"));
        for number in 0..tenants {
            fleet.ask(&format!("{kind}-00{number}"), &format!("GRANT SELECT ON users TO {role}"));
        }
    }
    let ran = fleet.run(&["check"]).exits(0).shows(&["8 tenants: 8 as they should be"]);
    assert!(!ran.out.contains("were not compared"), "{}", ran.out);
}

#[test]
fn a_database_with_another_character_set_is_drift() {
    let fleet = Fleet::new().head(&scratch()).postgres(3).schemas(2).mariadb(3).mysql_where_there(3);
    let name = fleet.tenant("pg-001").url.rsplit('/').next().unwrap().to_owned();
    sql(&postgres_url(), &format!("DROP DATABASE {name}"));
    sql(
        &postgres_url(),
        &format!("CREATE DATABASE {name} TEMPLATE template0 ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C'"),
    );
    fleet.run(&["migrate", "--yes"]).exits(0);
    let mysqls: Vec<&str> =
        ["my-002", "mysql-002"].into_iter().filter(|id| !crate::support::mysql::is_left_out(id)).collect();
    for id in &mysqls {
        fleet.ask(id, "ALTER DATABASE CHARACTER SET latin1 COLLATE latin1_bin");
    }
    let found = groups(&fleet.run(&["check", "--format", "json"]).exits(2).json());
    let has = |tenant: &str, part: &str| {
        let title = format!("database: {part}");
        assert!(
            found.iter().any(|group| group.0.contains(&tenant.to_owned()) && group.1.contains(&title)),
            "{found:#?}"
        );
    };
    for part in ["character set", "collation"] {
        mysqls.iter().for_each(|id| has(id, part));
    }
    has("pg-001", "encoding");
    assert_eq!(found.iter().map(|group| group.0.len()).sum::<usize>(), 1 + mysqls.len(), "{found:#?}");
    let ran = fleet.run(&["check", "--fix-sql"]).exits(2);
    ran.shows(&[
        "database: character set is here latin1; on most tenants",
        "ALTER DATABASE changes it for later tables only",
    ]);
}

/// A dump is read back in other words than it was written from.
#[test]
fn a_tenant_that_came_back_from_a_backup_has_no_drift() {
    let head = format!("[fleet]\nattempts = 1\nscripts = \"sql\"\n{}", scratch());
    let fleet = Fleet::new().head(&head).postgres(1);
    std::fs::create_dir(fleet.path("sql")).unwrap();
    let script = "CREATE TABLE o (status varchar(20), CONSTRAINT o_st CHECK (status IN ('new', 'open')));\n\
        CREATE INDEX o_open ON o (status) WHERE status IN ('new', 'open');\n\
        ALTER TABLE o ADD COLUMN g boolean GENERATED ALWAYS AS (status IN ('a', 'b')) STORED;\n\
        CREATE POLICY p ON o USING (status IN ('a', 'b'));\n\
        CREATE DOMAIN d AS varchar(9) CHECK (value IN ('a', 'b'));\n\
        CREATE VIEW v AS SELECT status FROM o WHERE status IN ('a', 'b');\n\
        CREATE MATERIALIZED VIEW m AS SELECT status FROM o WHERE status IN ('a', 'b');\n\
        CREATE RULE r AS ON UPDATE TO o WHERE NEW.status IN ('a', 'b') DO ALSO NOTHING;\n\
        CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';\n\
        CREATE TRIGGER t BEFORE INSERT ON o FOR EACH ROW WHEN (NEW.status IN ('a', 'b')) EXECUTE FUNCTION f();\n\
        CREATE PUBLICATION w FOR TABLE o WHERE (status = 'a');\n";
    std::fs::write(fleet.path("sql/0001_o.sql"), script).unwrap();
    fleet.run(&["migrate", "--yes"]).exits(0);
    fleet.run(&["check"]).exits(0);
    let backed_up = crate::dumps::run_id(&crate::dumps::run(&fleet, &["backup"], 0));
    crate::dumps::run(&fleet, &["restore", "--run", &backed_up, "--yes"], 0);
    let json = fleet.run(&["check", "--format", "json"]).exits(0).json();
    assert_eq!((&json["equal"], groups(&json).len()), (&1.into(), 0), "{json:#}");
    fleet.ask("pg-000", "ALTER TABLE o DROP CONSTRAINT o_st");
    fleet.ask("pg-000", "ALTER TABLE o ADD CONSTRAINT o_st CHECK (status IN ('new', 'closed'))");
    assert_eq!(groups(&fleet.run(&["check", "--format", "json"]).exits(2).json())[0].1.len(), 1);
}
