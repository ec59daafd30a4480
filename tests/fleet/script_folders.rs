//! The folder of scripts, as an operator has it: layouts of other tools, files that nobody would look at, scripts that are
//! gone, renamed or replaced. On the engines.

use crate::support::{Fleet, Ran};

fn fleet() -> Fleet {
    Fleet::new().head("[fleet]\nscripts = \"sql\"\nattempts = 1\n").sqlite(1).postgres(1).schemas(1).mariadb(1)
}

/// Writes a script, and its folders.
fn write(fleet: &Fleet, file: &str, text: &str) {
    let path = fleet.path("sql").join(file);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

fn remove(fleet: &Fleet, file: &str) {
    std::fs::remove_file(fleet.path("sql").join(file)).unwrap();
}

fn migrate(fleet: &Fleet, code: i32) -> Ran {
    fleet.run(&["migrate", "--yes"]).exits(code)
}

/// The names in each tenant's table of scripts.
fn have(fleet: &Fleet, names: &[&str]) {
    for tenant in &fleet.tenants {
        let rows = fleet.ask(&tenant.id, "SELECT version FROM fleet_scripts ORDER BY version");
        assert_eq!(rows, names, "{}", tenant.id);
    }
}

/// Every command that reads says that all tenants are at their target.
fn agree(fleet: &Fleet) {
    for look in [&["status", "--exit-code"][..], &["matrix", "--exit-code"], &["plan", "--exit-code"], &["doctor"]] {
        fleet.run(look).exits(0);
    }
    migrate(fleet, 0);
}

#[test]
fn scripts_that_nobody_would_look_at_are_refused() {
    let fleet = fleet();
    write(&fleet, "0001_a.sql", "create table a (i int);");
    write(&fleet, "2026/0003_nested.sql", "create table nested (i int);");
    write(&fleet, "0004_x.ddl", "create table x (i int);");
    for look in [&["migrate", "--yes"][..], &["plan"], &["status"], &["scripts", "list"]] {
        fleet.run(look).exits(78).tells(&[
            "sql/2026/0003_nested.sql: ",
            "name sql/2026 as `scripts`",
            "sql/0004_x.ddl: ",
        ]);
    }
    assert!(!fleet.has_table("lite-000", "a"));
    std::fs::create_dir(fleet.path("empty")).unwrap();
    fleet.run(&["migrate", "--yes", "--scripts", "empty"]).exits(78).tells(&["empty: this folder of scripts holds no"]);
    std::fs::remove_dir_all(fleet.path("sql")).unwrap();
    fleet.run(&["migrate", "--yes"]).exits(78).tells(&["sql: it can't be read"]);
}

#[test]
fn a_folder_for_each_migration_goes_up_and_down() {
    let fleet = fleet();
    write(&fleet, "20230101000000_init/migration.sql", "create table a (i int);");
    write(&fleet, "migration_lock.toml", "provider = \"postgresql\"");
    write(&fleet, "2024-01-01-000000_more/up.sql", "create table b (i int);");
    write(&fleet, "2024-01-01-000000_more/down.sql", "drop table b;");
    migrate(&fleet, 0);
    have(&fleet, &["20230101000000_init", "2024-01-01-000000_more"]);
    fleet.run(&["rollback", "--steps", "1", "--yes"]).exits(0);
    have(&fleet, &["20230101000000_init"]);
    assert!(!fleet.has_table("pg-000", "b") && fleet.has_table("my-000", "a"));
    let told = ["20230101000000_init/migration.sql has no down part", "sql/20230101000000_init/down.sql"];
    fleet.run(&["rollback", "--steps", "1", "--yes"]).exits(78).tells(&told);
}

#[test]
fn a_placeholder_in_a_text_is_warned_of_and_other_annotations_stop_everything() {
    let fleet = fleet();
    write(&fleet, "0001_a.sql", "create table a (t varchar(99));\ninsert into a values ('https://${host}/');");
    let warning = "warning: sql/0001_a.sql:2: `${host}` is sent as it stands; ";
    migrate(&fleet, 0).tells(&[warning, "-- fleet: literal"]);
    assert_eq!(fleet.ask("my-000", "select t from a"), ["https://${host}/"]);
    write(
        &fleet,
        "0002_b.sql",
        "--liquibase formatted sql\n--changeset dev:1 context:test\ncreate table only_in_test (i int);",
    );
    fleet.run(&["migrate", "--yes"]).exits(78).tells(&["sql/0002_b.sql:2: `changeset dev:1 context:test`"]);
    assert!(!fleet.has_table("lite-000", "only_in_test"));
}
