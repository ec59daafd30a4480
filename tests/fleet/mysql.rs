//! The whole program on MySQL itself, with its own tools.

use crate::doctoring::{as_user, one};
use crate::dumps::dump;
use crate::support::{Fleet, Ran, block_on, finish, mysql, record, sql};

/// The program with MySQL's tools first in PATH.
fn with_tools(fleet: &Fleet, arguments: &[&str]) -> Ran {
    fleet.write();
    finish(fleet.program(arguments).env("PATH", mysql::path()))
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
    let before = dump(&fleet, "mysql-000");
    // The machine's own `mysqldump` is MariaDB's.
    let refused = fleet.run(&["backup", "--yes"]).exits(100);
    refused.shows(&["the server is MySQL 9.", "mysqldump in PATH is MariaDB's"]);
    with_tools(&fleet, &["backup", "--yes"]).exits(0);
    fleet.ask("mysql-000", "CREATE LIBRARY later LANGUAGE JAVASCRIPT AS 'export function f() { return 1; }'");
    fleet.ask("mysql-000", "ALTER DATABASE CHARACTER SET latin1");
    fleet.ask("mysql-000", "DELETE FROM g");
    fleet.ask("mysql-000", "DROP TABLE order_items");
    let refused = fleet.run(&["restore", "--run", "last", "--yes"]).exits(100);
    refused.shows(&["mysql in PATH is MariaDB's"]);
    with_tools(&fleet, &["restore", "--run", "last", "--yes"]).exits(0);
    assert_eq!(dump(&fleet, "mysql-000"), before);
    let libraries = "SELECT library_name FROM information_schema.libraries WHERE library_schema = DATABASE()";
    assert_eq!(fleet.ask("mysql-000", libraries), [""; 0]);
    assert_eq!(fleet.ask("mysql-000", "SELECT @@character_set_database"), ["utf8mb4"]);
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

/// The server's own certificate is for no host: its authority alone can be checked. The last backup finds another one in
/// the file, which the driver has read before.
fn the_tools_check_the_certificate_as_the_url_says() {
    let mut fleet = Fleet::new().head("[fleet]\nattempts = 1").mysql(1);
    let data = sql(&mysql::url(), "SELECT @@datadir").remove(0);
    for name in ["ca.pem", "client-cert.pem"] {
        std::fs::copy(format!("{data}/{name}"), fleet.path(name)).unwrap();
    }
    let ca = fleet.path("ca.pem").display().to_string();
    fleet.tenant_mut("mysql-000").url += &format!("?ssl-mode=VERIFY_CA&ssl-ca={ca}");
    let (tools, log) = (fleet.path("tools"), fleet.path("options"));
    std::fs::create_dir(&tools).unwrap();
    for tool in ["mysql", "mysqldump"] {
        let real = mysql::program(tool);
        let text = format!(
            "#!/bin/sh\ncase $1 in --defaults-file=*) cat \"${{1#--defaults-file=}}\" >>{}; [ -z \"$SWAP\" ] || cp {} {ca};; esac\n\
             exec {real} \"$@\"\n",
            log.display(),
            fleet.path("client-cert.pem").display()
        );
        std::fs::write(tools.join(tool), text).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(tools.join(tool), mode).unwrap();
    }
    fleet.write();
    let path = format!("{}:{}", tools.display(), std::env::var("PATH").unwrap());
    let with = |arguments: &[&str], swap: &str| finish(fleet.program(arguments).env("PATH", &path).env("SWAP", swap));
    with(&["migrate", "--yes"], "").exits(0);
    with(&["backup", "--yes"], "").exits(0);
    with(&["restore", "--run", "last", "--yes"], "").exits(0);
    let options = std::fs::read_to_string(log).unwrap();
    let said = options.matches("ssl-mode=VERIFY_CA").count();
    assert!(
        said >= 2 && options.matches(&format!("ssl-ca=\"{ca}\"")).count() == said,
        "the dump and the client: {options}"
    );
    with(&["backup", "--yes"], "yes").exits(100).shows(&["certificate"]);
}

/// The settings that the server at hand has, and the rights of a user who has the database alone.
fn doctor_names_the_rights_and_settings_of_mysql() {
    let mut fleet = Fleet::new().head("[fleet]\nattempts = 1").mysql(1);
    let root = fleet.tenant("mysql-000").url.clone();
    let name = root.rsplit_once('/').unwrap().1.to_owned();
    let server = mysql::url();
    let user = format!("d{:x}", std::process::id());
    sql(&server, &format!("CREATE USER '{user}'@'%' IDENTIFIED BY 'x'"));
    sql(&server, &format!("GRANT ALL ON `{name}`.* TO '{user}'@'%'"));
    fleet.at_end(&server, &format!("DROP USER IF EXISTS '{user}'@'%'"));
    fleet.run(&["migrate", "--yes", "--to", "tenant_features"]).exits(0);
    let mut holder = block_on(<sqlx::MySqlConnection as sqlx::Connection>::connect(&root)).unwrap();
    block_on(sqlx::Executor::execute(&mut holder, "START TRANSACTION; SELECT * FROM inventory_items")).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(1_100));
    let report = fleet.run(&["doctor", "--lock-timeout", "1s", "--format", "json"]).exits(0).json();
    one(&report, "warning", "inventory_items has been locked (SHARED_READ");
    assert!(!report.to_string().contains("metadata_lock_info"), "{report:#}");
    drop(holder);

    fleet.tenant_mut("mysql-000").url = as_user(&root, &user, "x");
    let report = fleet.run(&["doctor", "--format", "json"]).exits(0).json();
    let unknown = one(&report, "info", "not known: ")["what"].as_str().unwrap().to_owned();
    for said in ["replication: [1227]", "REPLICATION CLIENT", "[1142]", "GRANT SELECT ON performance_schema.*"] {
        assert!(unknown.contains(said), "no {said} in {unknown}");
    }
    assert!(!unknown.contains("1064"), "{unknown}");
}

#[test]
fn mysql() {
    the_tools_check_the_certificate_as_the_url_says();
    doctor_names_the_rights_and_settings_of_mysql();
    a_backup_by_mysql_s_own_tool_comes_back();
    locks_are_listed_with_their_holders();
}
