//! The whole program on MySQL itself, with its own tools.

use std::process::Command;

use crate::support::{Fleet, Ran, block_on, finish, record};

/// The program with MySQL's tools first in PATH.
fn with_tools(fleet: &Fleet, arguments: &[&str]) -> Ran {
    fleet.write();
    let path = format!("{}:{}", std::env::var("FLEET_TEST_MYSQL_BIN").unwrap(), std::env::var("PATH").unwrap());
    finish(fleet.program(arguments).env("PATH", path))
}

fn dump(fleet: &Fleet) -> String {
    let url = url::Url::parse(&fleet.tenant("mysql-000").url).unwrap();
    let mut command = Command::new(format!("{}/mysqldump", std::env::var("FLEET_TEST_MYSQL_BIN").unwrap()));
    command.env("MYSQL_PWD", url.password().unwrap());
    command.args(["--no-defaults", "--skip-comments", "--set-gtid-purged=OFF", "--routines", "--triggers", "--events"]);
    command.args(["--user=root", "--host=127.0.0.1", &format!("--port={}", url.port().unwrap()), &url.path()[1..]]);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// MariaDB's tool would write what MySQL does not load again.
fn a_backup_by_mysql_s_own_tool_comes_back() {
    let fleet = Fleet::new().head("[fleet]\nattempts = 1").mysql(1);
    with_tools(&fleet, &["migrate", "--yes"]).exits(0);
    for sql in [
        "CREATE TABLE g (i int PRIMARY KEY, twice int GENERATED ALWAYS AS (i * 2) STORED, v VECTOR(3))",
        "INSERT INTO g (i) VALUES (1), (2)",
        "CREATE TRIGGER t BEFORE INSERT ON g FOR EACH ROW SET NEW.i = NEW.i + 1",
    ] {
        fleet.ask("mysql-000", sql);
    }
    let before = dump(&fleet);
    // The machine's own `mysqldump` is MariaDB's.
    let refused = fleet.run(&["backup", "--yes"]).exits(100);
    refused.shows(&["the server is MySQL 9.", "mysqldump in PATH is MariaDB's"]);
    with_tools(&fleet, &["backup", "--yes"]).exits(0);
    fleet.ask("mysql-000", "DELETE FROM g");
    fleet.ask("mysql-000", "DROP TABLE order_items");
    let refused = fleet.run(&["restore", "--run", "last", "--yes"]).exits(100);
    refused.shows(&["mysql in PATH is MariaDB's"]);
    with_tools(&fleet, &["restore", "--run", "last", "--yes"]).exits(0);
    assert_eq!(dump(&fleet), before);
    with_tools(&fleet, &["migrate", "--yes"]).exits(0).shows(&["up to date  1"]);
}

/// The tables of locks are others than MariaDB's.
fn locks_are_listed_with_their_holders() {
    let fleet = Fleet::new().head("[fleet]\nattempts = 1\nlock_timeout = \"1s\"\nlock_wait = \"0s\"").mysql(1);
    fleet.run(&["migrate", "--yes", "--to", "tenant_features"]).exits(0);
    fleet.run(&["locks"]).exits(0);
    let url = fleet.tenant("mysql-000").url.clone();
    let mut holder = block_on(<sqlx::MySqlConnection as sqlx::Connection>::connect(&url)).unwrap();
    block_on(sqlx::Executor::execute(&mut holder, "START TRANSACTION; SELECT * FROM inventory_items")).unwrap();
    let report = fleet.run(&["migrate", "--yes", "--format", "json"]).exits(100).json();
    let found = record(&report, "mysql-000");
    assert!(found.to_string().contains("inventory_items (SHARED_READ"), "{found:#}");
}

#[test]
fn mysql() {
    a_backup_by_mysql_s_own_tool_comes_back();
    locks_are_listed_with_their_holders();
}
