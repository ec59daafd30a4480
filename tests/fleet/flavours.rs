//! Scripts with a part for MySQL and one for MariaDB, on a fleet that has both.

use crate::support::{Fleet, Ran, mariadb_url, record};

const MYSQL: &str = "CREATE TABLE a (i int, who varchar(9) DEFAULT 'mysql')";
const MARIADB: &str = "CREATE TABLE a (i int, who varchar(9) DEFAULT 'mariadb');\nCREATE SEQUENCE s";

fn fleet(tenants: usize) -> Fleet {
    Fleet::new().head("[fleet]\nscripts = \"sql\"\nattempts = 1\n").mysql_where_there(tenants).mariadb(tenants)
}

fn write(fleet: &Fleet, file: &str, text: &str) {
    std::fs::create_dir_all(fleet.path("sql")).unwrap();
    std::fs::write(fleet.path("sql").join(file), text).unwrap();
}

fn migrate(fleet: &Fleet) -> Ran {
    fleet.run(&["migrate", "--yes"]).exits(0)
}

/// The default that tells which part made the table.
fn made_by(fleet: &Fleet) -> [String; 2] {
    ["mysql-000", "my-000"].map(|id| {
        fleet.ask(id, "INSERT INTO a (i) VALUES (1)");
        fleet.ask(id, "SELECT MAX(who) FROM a").remove(0)
    })
}

/// The checksum of each tenant's row.
fn checksums(fleet: &Fleet, script: &str) -> [String; 2] {
    let query = format!("SELECT checksum FROM fleet_scripts WHERE version = '{script}'");
    ["mysql-000", "my-000"].map(|id| fleet.ask(id, &query).remove(0))
}

fn agree(fleet: &Fleet) {
    for look in [&["status", "--exit-code"][..], &["matrix", "--exit-code"], &["plan", "--exit-code"], &["doctor"]] {
        fleet.run(look).exits(0);
    }
}

fn sha256(text: &str) -> String {
    let output = std::process::Command::new("sh").args(["-c", "printf %s \"$1\" | sha256sum", "sh", text]).output();
    String::from_utf8(output.unwrap().stdout).unwrap()[..64].to_owned()
}

/// A proof on one product says nothing of the other.
fn a_part_that_no_scratch_server_is_for_is_not_proven_in_silence() {
    let mut fleet = fleet(1);
    fleet.head.push_str(&format!("[scratch]\nmysql_url = \"{}\"\n", mariadb_url()));
    for (file, text) in [("up", "CREATE TABLE a (i int)"), ("down", "DROP TABLE a")] {
        write(&fleet, &format!("0001_a.mysql.{file}.sql"), text);
        write(&fleet, &format!("0001_a.mariadb.{file}.sql"), text);
    }
    let prove = ["prove", "--empty", "--engine", "mysql"];
    let told = fleet.run(&prove).exits(0);
    told.shows(&[
        "0001_a on mysql: not proven",
        "the scratch server is the other product",
        "1 part for another product",
    ]);
    let json = fleet.run(&[&prove[..], &["--format", "json"]].concat()).exits(0).json();
    let others = serde_json::json!([{ "migration": "0001_a", "product": "mysql" }]);
    assert_eq!(json["engines"][0]["other_parts"], others, "{json:#}");
}

fn mysql_and_mariadb_get_their_own_parts_up_and_down() {
    let fleet = fleet(2);
    write(&fleet, "0001_a.up.mysql.sql", MYSQL);
    fleet.run(&["plan"]).exits(78).tells(&["name it `0001_a.mysql.up.sql`"]);
    std::fs::remove_file(fleet.path("sql/0001_a.up.mysql.sql")).unwrap();
    write(&fleet, "0001_a.mysql.up.sql", MYSQL);
    write(&fleet, "0001_a.mariadb.up.sql", MARIADB);
    write(&fleet, "0001_a.mysql.down.sql", "DROP TABLE a");
    write(&fleet, "0001_a.mariadb.down.sql", "DROP TABLE a;\nDROP SEQUENCE s");
    write(&fleet, "R__v.mysql.sql", "CREATE OR REPLACE VIEW v AS SELECT 'mysql' AS w");
    write(&fleet, "R__v.mariadb.sql", "CREATE OR REPLACE VIEW v AS SELECT 'mariadb' AS w");
    let plan = fleet.run(&["plan", "--sql"]).exits(0);
    plan.shows(&[
        "-- 0001_a mysql up",
        "-- 0001_a mariadb up",
        "x 2 tenants: mysql-000, mysql-001",
        "CREATE SEQUENCE s",
    ]);
    fleet.run(&["plan", "--sql", "--wire"]).exits(0).shows(&["CREATE SEQUENCE s"]);
    fleet.run(&["lint"]).exits(0);
    migrate(&fleet);
    assert_eq!(made_by(&fleet), ["mysql", "mariadb"]);
    assert_eq!(checksums(&fleet, "0001_a"), [sha256(MYSQL), sha256(MARIADB)]);
    assert_eq!(fleet.ask("my-000", "SELECT w FROM v"), ["mariadb"]);
    agree(&fleet);

    // A changed repeatable part runs again where it is for.
    write(&fleet, "R__v.mariadb.sql", "CREATE OR REPLACE VIEW v AS SELECT 'maria' AS w");
    let report = fleet.run(&["migrate", "--yes", "--format", "json"]).exits(0).json();
    assert_eq!(record(&report, "my-000")["outcome"], "migrated");
    assert_eq!(record(&report, "mysql-000")["outcome"], "up_to_date");
    assert_eq!(["mysql-000", "my-000"].map(|id| fleet.ask(id, "SELECT w FROM v").remove(0)), ["mysql", "maria"]);

    // An edited part is a mismatch where it was sent, and repaired there.
    write(&fleet, "0001_a.mysql.up.sql", &format!("{MYSQL} -- edited"));
    let status = fleet.run(&["status", "--format", "json"]).exits(0).json();
    let ids: Vec<&str> = status["attention"].as_array().unwrap().iter().map(|t| t["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["mysql-000", "mysql-001"], "{status:#}");
    fleet.run(&["scripts", "repair", "0001_a", "--yes"]).exits(0);
    assert_eq!(checksums(&fleet, "0001_a"), [sha256(&format!("{MYSQL} -- edited")), sha256(MARIADB)]);
    agree(&fleet);

    fleet.run(&["rollback", "--all", "--yes"]).exits(0);
    assert_eq!(
        fleet.ask(
            "my-000",
            "SELECT COUNT(*) FROM information_schema.tables WHERE table_name = 's' AND table_schema = DATABASE()"
        ),
        ["0"]
    );
    migrate(&fleet);
    agree(&fleet);
}

fn a_part_for_mariadb_beside_one_for_mysql_may_come_later() {
    let fleet = fleet(1);
    write(&fleet, "0001_a.mysql.sql", MYSQL);
    write(&fleet, "R__v.mysql.sql", "CREATE OR REPLACE VIEW v AS SELECT 'mysql' AS w");
    migrate(&fleet);
    assert_eq!(made_by(&fleet), ["mysql", "mysql"], "alone it is for both");
    write(&fleet, "0001_a.mariadb.sql", MARIADB);
    write(&fleet, "R__v.mariadb.sql", "CREATE OR REPLACE VIEW v AS SELECT 'mariadb' AS w");
    // The version has run there, and its text of then is known; the repeatable one has a text of its own now.
    let report = fleet.run(&["migrate", "--yes", "--format", "json"]).exits(0).json();
    assert_eq!(record(&report, "mysql-000")["outcome"], "up_to_date");
    assert_eq!(fleet.ask("my-000", "SELECT w FROM v"), ["mariadb"]);
    assert_eq!(checksums(&fleet, "0001_a"), [sha256(MYSQL), sha256(MYSQL)], "what each was really sent");
    agree(&fleet);
}

/// The way down beside the later part takes back what that part would have made.
fn the_way_down_of_a_part_that_came_later_is_refused() {
    let fleet = fleet(1);
    write(&fleet, "0001_a.mysql.up.sql", MYSQL);
    write(&fleet, "0001_a.mysql.down.sql", "DROP TABLE a");
    migrate(&fleet);
    write(&fleet, "0001_a.mariadb.up.sql", MARIADB);
    write(&fleet, "0001_a.mariadb.down.sql", "DROP TABLE IF EXISTS a;\nDROP TABLE IF EXISTS other");
    fleet.ask("my-000", "CREATE TABLE other (i int)");
    let refused = fleet.run(&["rollback", "--all", "--yes"]).exits(100);
    refused.shows(&["0001_a was sent to it in the part for MySQL", "nothing was touched"]);
    fleet.ask("my-000", "INSERT INTO other VALUES (1)");
    std::fs::remove_file(fleet.path("sql/0001_a.mariadb.up.sql")).unwrap();
    std::fs::remove_file(fleet.path("sql/0001_a.mariadb.down.sql")).unwrap();
    fleet.run(&["rollback", "--all", "--yes"]).exits(0);
    fleet.ask("my-000", "INSERT INTO other VALUES (1)");
}

fn mysql_s_and_mariadb_s_parts_of_a_squash_must_replace_the_same() {
    let fleet = fleet(1);
    write(&fleet, "0002_b.mysql.sql", "-- fleet: replaces=0001_a\nCREATE TABLE a (i int)");
    write(&fleet, "0002_b.mariadb.sql", "CREATE TABLE a (i int)");
    fleet.run(&["plan"]).exits(1).tells(&["on mariadb sql/0002_b.mariadb.sql names other ones"]);
    write(&fleet, "0002_b.mariadb.sql", "-- fleet: replaces=0001_a\nCREATE TABLE a (i int, j int)");
    migrate(&fleet);
    agree(&fleet);
}

/// One server key stands for both products, and no script says that they differ.
fn mysql_and_mariadb_are_strata_of_a_canary() {
    let mut fleet = Fleet::new().mysql_where_there(2).mariadb(2);
    fleet.tenants.iter_mut().for_each(|tenant| tenant.more = "server = \"db\"\n".to_owned());
    let canary = |members: &str| format!("[[wave]]\nname = \"canary\"\n{members}\n");
    let plan = |fleet: &Fleet| -> (Vec<String>, String) {
        let plan = fleet.run(&["plan", "--format", "json"]).exits(0).json();
        let tenants = plan["waves"][0]["tenants"].as_array().unwrap().iter();
        let mut ids: Vec<String> = tenants.map(|row| row["tenant"].as_str().unwrap().to_owned()).collect();
        ids.sort();
        (ids, plan["waves"][0]["uncovered"].to_string())
    };
    for kinds in ["true", "\"versions\""] {
        fleet.head = canary(&format!("stratified = {kinds}"));
        let (ids, uncovered) = plan(&fleet);
        assert!(ids.len() == 2 && ids[0].starts_with("my-") && ids[1].starts_with("mysql-"), "{kinds}: {ids:?}");
        assert_eq!(uncovered, "null");
    }
    let (two, _) = plan(&fleet);
    for tenant in fleet.tenants.iter().filter(|tenant| !two.contains(&tenant.id)) {
        fleet.run(&["migrate", "--yes", "-q", "-t", &tenant.id, "--steps", "1"]).exits(0);
    }
    assert_eq!(plan(&fleet).0.len(), 4, "a version of each product");
    fleet.head = canary("tenants = [\"my-*\"]\nstratified = true");
    for id in ["mysql-000", "mysql-001"] {
        fleet.tenant_mut(id).more = "server = \"db\"\ndepends_on = [\"my-000\"]\n".to_owned();
    }
    let told = "not covered by it: flavour mysql (2 tenants, the first mysql-000)";
    fleet.run(&["plan"]).exits(0).shows(&[told]);
    assert_eq!(plan(&fleet).0, ["my-000", "my-001"]);
    fleet.run(&["migrate", "--yes"]).exits(0).shows(&["4 migrated"]);
}

#[test]
fn mysql() {
    mysql_and_mariadb_are_strata_of_a_canary();
    mysql_and_mariadb_get_their_own_parts_up_and_down();
    a_part_that_no_scratch_server_is_for_is_not_proven_in_silence();
    a_part_for_mariadb_beside_one_for_mysql_may_come_later();
    the_way_down_of_a_part_that_came_later_is_refused();
    mysql_s_and_mariadb_s_parts_of_a_squash_must_replace_the_same();
}
