//! The sample's whole catalog on MySQL itself: up, down and up again, proven, with rows, and against its entities.

use std::process::Command;

use crate::support::{Fleet, mysql, sql};

/// The folder of the sample's own scripts.
const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/migration/sql");

/// Number of migrations of the sample, Rust and SQL.
const ALL: usize = 52;

fn fleet() -> Fleet {
    let head =
        format!("[fleet]\nattempts = 1\nscripts = \"{SCRIPTS}\"\n\n[scratch]\nmysql_url = \"{}\"\n", mysql::url());
    Fleet::new().head(&head).mysql(1)
}

/// The schema by MySQL's own tool, without what counts rows.
fn schema(fleet: &Fleet) -> Vec<String> {
    let url = url::Url::parse(&fleet.tenant("mysql-000").url).unwrap();
    let mut command = Command::new(mysql::program("mysqldump"));
    command.env("MYSQL_PWD", url.password().unwrap());
    command.args([
        "--no-defaults",
        "--skip-comments",
        "--set-gtid-purged=OFF",
        "--no-data",
        "--routines",
        "--triggers",
    ]);
    command.args(["--events", "--user=root", "--host=127.0.0.1", &format!("--port={}", url.port().unwrap())]);
    let output = command.arg(&url.path()[1..]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let counter = regex::Regex::new(" AUTO_INCREMENT=[0-9]+").unwrap();
    text.lines().map(|line| counter.replace(line, "").into_owned()).collect()
}

#[test]
fn the_sample_goes_up_down_and_up_again_on_mysql() {
    let fleet = fleet();
    fleet.run(&["migrate", "--yes"]).exits(0).shows(&[&format!("({ALL})")]);
    let first = schema(&fleet);
    assert!(first.iter().any(|line| line.contains("TRIGGER")), "the sample has triggers");
    fleet.run(&["rollback", "--all", "--yes"]).exits(0);
    let left = sql(
        &fleet.tenant("mysql-000").url,
        "SELECT CAST(table_name AS CHAR) FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name NOT LIKE \
         'fleet\\_%' AND table_name <> 'seaql_migrations'",
    );
    assert_eq!(left, [""; 0]);
    fleet.run(&["migrate", "--yes"]).exits(0);
    let second = schema(&fleet);
    let other = first.iter().zip(&second).find(|(first, second)| first != second);
    assert!(other.is_none() && first.len() == second.len(), "{other:?}");
    fleet.run(&["refresh", "--yes"]).exits(0);
    fleet.run(&["seed", "--yes"]).exits(0);
    fleet.run(&["status", "--exit-code"]).exits(0);
}

#[test]
fn the_sample_is_proven_on_mysql_and_fits_its_entities() {
    let fleet = fleet();
    let json = fleet.run(&["prove", "--online", "--engine", "mysql", "--format", "json"]).exits(0).json();
    let engine = &json["engines"][0];
    assert_eq!((&engine["engine"], &engine["could_not"]), (&"mysql".into(), &serde_json::Value::Null), "{engine:#}");
    let proofs = engine["proofs"].as_array().unwrap();
    assert!(proofs.len() >= ALL && proofs.iter().all(|p| p["verdict"] == "proven"), "{engine:#}");
    assert!(proofs.last().unwrap()["rows"].as_u64().unwrap() > 1_000, "{engine:#}");
    let json = fleet.run(&["check", "--entities", "--engine", "mysql", "--format", "json"]).exits(0).json();
    let engine = &json["engines"][0];
    assert_eq!(
        (&engine["could_not"], &engine["findings"]),
        (&serde_json::Value::Null, &serde_json::json!([])),
        "{engine:#}"
    );
}

#[test]
fn the_sample_made_by_others_is_adopted_on_mysql() {
    let fleet = fleet();
    fleet.run(&["migrate", "--yes"]).exits(0);
    for table in ["seaql_migrations", "fleet_scripts", "fleet_journal", "fleet_refreshes"] {
        fleet.ask("mysql-000", &format!("DROP TABLE IF EXISTS {table}"));
    }
    let last = "0006_aggregation_tables";
    fleet.ask("mysql-000", "ALTER TABLE users ADD COLUMN nickname varchar(20)");
    fleet.run(&["baseline", last, "--yes"]).exits(100).shows(&["[schema_differs]", "table users: column nickname"]);
    fleet.ask("mysql-000", "ALTER TABLE users DROP COLUMN nickname");
    fleet.run(&["baseline", last, "--yes"]).exits(0).shows(&["stamped"]);
    fleet.run(&["migrate", "--yes"]).exits(0);
    fleet.run(&["status", "--exit-code"]).exits(0);
    // A history that is behind the schema is set right.
    fleet.ask("mysql-000", &format!("DELETE FROM fleet_scripts WHERE version = '{last}'"));
    fleet.run(&["stamp", "--to", last, "--reason", "a row was lost", "--yes"]).exits(0).shows(&["stamped"]);
    fleet.run(&["migrate", "--yes"]).exits(0);
    fleet.run(&["status", "--exit-code"]).exits(0);
}
