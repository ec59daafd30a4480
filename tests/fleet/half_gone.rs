//! A step that is half there is told by every command alike, also when its script is gone, squashed or put back.

use crate::support::Fleet;

const HEAD: &str = "[fleet]\nscripts = \"sql\"\nattempts = 1\nlock_timeout = \"1s\"\n";

fn script(fleet: &Fleet, name: &str, text: &str) {
    std::fs::create_dir_all(fleet.path("sql")).unwrap();
    std::fs::write(fleet.path("sql").join(name), text).unwrap();
}

fn remove(fleet: &Fleet, name: &str) {
    std::fs::remove_file(fleet.path("sql").join(name)).unwrap();
}

fn of_each_kind() -> Fleet {
    let fleet = Fleet::new().head(HEAD).sqlite(1).postgres(1).schemas(1).mariadb(1).mysql_where_there(1);
    script(&fleet, "0001_a.sql", "CREATE TABLE a (i int);");
    fleet
}

fn on_all(fleet: &Fleet, sql: &str) {
    for tenant in &fleet.tenants {
        fleet.ask(&tenant.id, sql);
    }
}

const B: &str = "-- fleet: transaction=false\nCREATE TABLE b1 (i int);\nCREATE TABLE b2 (i int);";

/// Every tenant has the first statement of 0002_b.
fn stopped_in_b() -> Fleet {
    let fleet = of_each_kind();
    fleet.run(&["migrate", "--yes"]).exits(0);
    script(&fleet, "0002_b.sql", B);
    on_all(&fleet, "CREATE TABLE b2 (i int)");
    fleet.run(&["migrate", "--yes"]).exits(100);
    fleet
}

#[track_caller]
fn all_are(fleet: &Fleet, state: &str) {
    let told = fleet.run(&["status", "--format", "json"]).exits(0).json();
    assert_eq!(told["summary"]["by_state"][state], fleet.tenants.len(), "{told:#}");
}

/// Each command says that all tenants are in doubt at this migration, and that its script is gone.
#[track_caller]
fn all_are_in_doubt(fleet: &Fleet, migration: &str) {
    all_are(fleet, "in_doubt");
    let back = format!("put it back under the name {migration}");
    let status = fleet.run(&["status"]);
    status.shows(&[&back]);
    fleet.run(&["matrix"]).exits(0).shows(&["in doubt"]);
    fleet.run(&["plan", "--format", "json"]).exits(0).shows(&[&back]);
    fleet.run(&["doctor"]).exits(2).shows(&[migration]);
    for command in [&["migrate", "--yes"][..], &["rollback", "--steps", "1", "--yes"]] {
        let told = fleet.run(&[command, &["--format", "json"]].concat()).exits(100).json();
        for tenant in told["tenants"].as_array().unwrap() {
            assert_eq!(tenant["outcome"], "in_doubt", "{command:?}: {tenant:#}");
        }
    }
    let ids = fleet.tenants.iter().map(|tenant| tenant.id.as_str());
    let resolve: Vec<&str> = ["runs", "resolve"].into_iter().chain(ids).collect();
    fleet.run(&resolve).exits(2).tells(&["is in doubt", &back]);
}

#[test]
fn a_script_that_stopped_half_way_and_is_gone_leaves_no_tenant_at_its_target() {
    let fleet = stopped_in_b();
    remove(&fleet, "0002_b.sql");
    all_are_in_doubt(&fleet, "0002_b");
    script(&fleet, "0002_b.sql", B);
    all_are(&fleet, "partially_applied");
    on_all(&fleet, "DROP TABLE b2");
    fleet.run(&["migrate", "--yes"]).exits(0);
    fleet.run(&["status", "--exit-code"]).exits(0);
}

#[test]
fn a_script_that_stopped_half_way_and_was_squashed_leaves_no_tenant_ahead() {
    let fleet = stopped_in_b();
    remove(&fleet, "0001_a.sql");
    remove(&fleet, "0002_b.sql");
    script(&fleet, "0003_s.sql", "-- fleet: replaces=0001_a,0002_b\nCREATE TABLE a (i int);\nCREATE TABLE b1 (i int);");
    all_are_in_doubt(&fleet, "0002_b");
}

#[test]
fn a_repeatable_script_that_stopped_half_way_has_one_word_and_begins_again() {
    const GOOD: &str = "-- fleet: transaction=false\nDROP TABLE IF EXISTS r1;\nCREATE TABLE r1 (i int);";
    let fleet = of_each_kind();
    script(&fleet, "R__r.sql", GOOD);
    fleet.run(&["migrate", "--yes"]).exits(0);
    script(&fleet, "R__r.sql", &format!("{GOOD}\nCREATE TABLE r2 (i int);\nINSERT INTO nowhere VALUES (1);"));
    fleet.run(&["migrate", "--yes"]).exits(100);
    all_are(&fleet, "partially_applied");
    fleet.run(&["status"]).exits(0).shows(&["R__r ended half way; the next migrate begins it again"]);
    fleet.run(&["doctor"]).exits(2).shows(&["R__r"]);
    fleet.run(&["runs", "resolve", "lite-000"]).exits(2).tells(&["lite-000 is partially applied", "begins it again"]);
    // A stamp says nothing about a repeatable script.
    fleet.run(&["stamp", "--to", "0001_a", "--reason", "r", "--no-check", "--yes"]).exits(0);
    all_are(&fleet, "partially_applied");
    fleet.run(&["doctor"]).exits(2).shows(&["R__r"]);

    remove(&fleet, "R__r.sql");
    all_are_in_doubt(&fleet, "R__r");

    // Its old text again: what the history has, and not what the tables are.
    script(&fleet, "R__r.sql", GOOD);
    all_are(&fleet, "partially_applied");
    fleet.run(&["migrate", "--yes"]).exits(0).shows(&["migrated"]);
    fleet.run(&["status", "--exit-code"]).exits(0);
    fleet.run(&["migrate", "--yes"]).exits(0).shows(&["up to date"]);
}
