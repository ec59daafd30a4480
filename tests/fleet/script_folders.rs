//! The folder of scripts, as an operator has it: layouts of other tools, files that nobody would look at, scripts that are
//! gone, renamed or replaced. On the engines.

use crate::support::{Fleet, Ran, all};

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

/// One stub that nobody has filled yet keeps nobody from seeing how the fleet is.
#[test]
fn a_text_that_can_not_be_run_stops_runs_and_no_look() {
    let fleet = fleet();
    write(&fleet, "0001_a.sql", "create table a (i int);");
    migrate(&fleet, 0);
    let told = ["sql/0002_b.sql", "holds no SQL that would be run; write `-- fleet: nothing`"];
    for text in ["", "-- to do\n", "\n\n"] {
        write(&fleet, "0002_b.sql", text);
        for look in [&["status"][..], &["matrix"], &["current"], &["history"], &["tenants", "check"]] {
            fleet.run(look).exits(0).shows(&["0001_a"]).tells(&told).tells(&["no run begins"]);
        }
        fleet.run(&["status", "--exit-code"]).exits(2).shows(&["4 behind"]);
        fleet.run(&["doctor"]).exits(2).shows(&["`migrate` refuses it", "sql/0002_b.sql"]).tells(&told);
        for run in [&["migrate", "--yes"][..], &["plan"], &["migrate", "--dry-run"], &["rollback", "--all", "--yes"]] {
            fleet.run(run).exits(78).tells(&told);
        }
    }
    have(&fleet, &["0001_a"]);
    // An applied one that was emptied is another text than the applied one.
    remove(&fleet, "0002_b.sql");
    write(&fleet, "0001_a.sql", "");
    fleet.run(&["status"]).exits(0).shows(&["0001_a"]).tells(&["sql/0001_a.sql"]);
    fleet.run(&["doctor"]).exits(2).shows(&["0001_a"]);
    write(&fleet, "0003_c.down.sql", "drop table c;");
    fleet.run(&["status"]).exits(78).tells(&["sql/0003_c.down.sql: it takes back a script that is not here"]);
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
    fleet.run(&["rollback", "--steps", "1", "--yes"]).exits(1).tells(&told);
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

/// A view as every engine makes it again.
fn view(name: &str) -> String {
    format!("drop view if exists {name};\ncreate view {name} as select 1 as one;\n")
}

#[test]
fn a_repeatable_script_that_is_gone_is_told_and_can_be_forgotten() {
    let fleet = fleet();
    write(&fleet, "0001_a.sql", "create table a (i int);");
    write(&fleet, "R__old_report.sql", &view("old_report"));
    write(&fleet, "R__report.sql", &view("report"));
    migrate(&fleet, 0);
    remove(&fleet, "R__old_report.sql");
    write(&fleet, "0002_n.sql", "create table n (i int);");
    migrate(&fleet, 0).shows(&["R__old_report: applied here, and gone from the scripts"]);
    have(&fleet, &["0001_a", "0002_n", "R__old_report", "R__report"]);
    agree(&fleet);
    let told = ["R__old_report was applied to 4 tenants, and its script is gone", "scripts forget R__old_report"];
    for look in [&["status"][..], &["plan"], &["migrate", "--dry-run"], &["matrix"], &["doctor"]] {
        fleet.run(look).exits(0).tells(&told);
    }
    fleet.run(&["scripts", "forget", "R__report", "--yes"]).exits(64).tells(&["is not gone"]);
    fleet.run(&["scripts", "forget", "0001_a", "--yes"]).exits(64);
    let unknown = ["R__old_raport was applied on none of these tenants; did you mean R__old_report?"];
    fleet.run(&["scripts", "forget", "R__old_raport", "--yes"]).exits(64).tells(&unknown);
    fleet.run(&["scripts", "forget", "0009_x", "--yes"]).exits(64).tells(&["`-- fleet: replaces=`"]);
    fleet.run(&["scripts", "forget", "R__old_report", "--yes", "--tenant", "lite-000"]).exits(0);
    fleet.run(&["scripts", "forget", "R__old_report", "--yes"]).exits(0).shows(&["up to date"]);
    have(&fleet, &["0001_a", "0002_n", "R__report"]);
    assert!(!fleet.run(&["status"]).exits(0).err.contains("R__old_report"));
    // What it made stays.
    assert_eq!(fleet.ask("my-000", "select one from old_report"), ["1"]);
    fleet.run(&["rollback", "--to", "0001_a", "--yes"]).exits(1);
}

#[test]
fn a_renamed_script_is_not_applied_again() {
    let fleet = fleet();
    write(&fleet, "0001_x.sql", "create table x (i int);");
    write(&fleet, "0002_add_x2.up.sql", "alter table x add column x2 int;");
    write(&fleet, "0002_add_x2.down.sql", "alter table x drop column x2;");
    migrate(&fleet, 0);
    for part in ["up", "down"] {
        let name = |name: &str| fleet.path("sql").join(format!("{name}.{part}.sql"));
        std::fs::rename(name("0002_add_x2"), name("0002_create_x2")).unwrap();
    }
    agree(&fleet);
    have(&fleet, &["0001_x", "0002_add_x2"]);
    write(&fleet, "0003_more.up.sql", "create table more (i int);");
    write(&fleet, "0003_more.down.sql", "drop table more;");
    migrate(&fleet, 0);
    have(&fleet, &["0001_x", "0002_add_x2", "0003_more"]);
    fleet.run(&["rollback", "--to", "0001_x", "--yes"]).exits(0);
    have(&fleet, &["0001_x"]);
    migrate(&fleet, 0);
    have(&fleet, &["0001_x", "0002_create_x2", "0003_more"]);
    // An edited one is another script.
    std::fs::rename(fleet.path("sql/0001_x.sql"), fleet.path("sql/0001_y.sql")).unwrap();
    write(&fleet, "0001_y.sql", "create table y (i int);");
    migrate(&fleet, 100).shows(&["0001_x"]);
    assert!(!fleet.has_table("pg-000", "y"));
}

/// A renamed version and a renamed view among other steps, up and down: each step finds the history that it expects.
#[test]
fn renamed_scripts_are_steps_among_others() {
    let fleet = fleet();
    write(&fleet, "0001_x.sql", "create table x (i int);");
    write(&fleet, "0002_y.up.sql", "create table y (i int);");
    write(&fleet, "0002_y.down.sql", "drop table y;");
    write(&fleet, "R__v.sql", "drop view if exists v;\ncreate view v as select i from x;");
    migrate(&fleet, 0);
    for (from, to) in [("0002_y.up", "0002_z.up"), ("0002_y.down", "0002_z.down"), ("R__v", "R__view_v")] {
        let path = |name: &str| fleet.path("sql").join(format!("{name}.sql"));
        std::fs::rename(path(from), path(to)).unwrap();
    }
    write(&fleet, "0003_anew.up.sql", "drop table x;\ncreate table x (i int, j int);");
    write(&fleet, "0003_anew.down.sql", "alter table x drop column j;");
    write(&fleet, "0004_more.up.sql", "create table more (i int);");
    write(&fleet, "0004_more.down.sql", "drop table more;");
    migrate(&fleet, 0);
    agree(&fleet);
    have(&fleet, &["0001_x", "0002_y", "0003_anew", "0004_more", "R__view_v"]);
    fleet.run(&["rollback", "--to", "0001_x", "--yes"]).exits(0);
    have(&fleet, &["0001_x", "R__view_v"]);
    migrate(&fleet, 0);
    have(&fleet, &["0001_x", "0002_z", "0003_anew", "0004_more", "R__view_v"]);
}

#[test]
fn a_squash_counts_as_applied_where_all_of_its_parts_are() {
    let fleet = fleet();
    write(&fleet, "0001_x.sql", "create table x (i int);");
    write(&fleet, "0002_add_x2.sql", "alter table x add column x2 int;");
    // Two tenants have both parts, one has the first, one has none.
    fleet.run(&["migrate", "--yes", "--tenant", "lite-000", "--tenant", "my-000"]).exits(0);
    fleet.run(&["migrate", "--yes", "--tenant", "pg-000", "--to", "0001_x"]).exits(0);
    write(&fleet, "0002_squashed.up.sql", "-- fleet: replaces=0001_x,0002_add_x2\ncreate table x (i int, x2 int);");
    write(&fleet, "0002_squashed.down.sql", "drop table x;");
    fleet.run(&["migrate", "--yes"]).exits(78);
    remove(&fleet, "0002_add_x2.sql");
    fleet
        .run(&["migrate", "--yes"])
        .exits(1)
        .tells(&["0002_squashed says that it replaces 0001_x, which is still here"]);
    remove(&fleet, "0001_x.sql");
    let squash = |names: &str| {
        let text = format!("-- fleet: replaces={names}\ncreate table x (i int, x2 int);");
        write(&fleet, "0002_squashed.up.sql", &text);
    };
    squash("x,0002_add_x2");
    fleet.run(&["migrate", "--yes"]).exits(1).tells(&["replaces x, which is no name of a script; write it", "0001_x"]);
    squash("0001_x.up.sql,0002_add_x2");
    fleet
        .run(&["migrate", "--yes"])
        .exits(78)
        .tells(&["`0001_x.up.sql` is one of a file; write `0001_x`, as the history has it"]);
    squash("0001_x,2_add_x2");
    fleet.run(&["status"]).exits(0).shows(&["0002_add_x2"]);
    squash("0001_x,0002_add_x2");
    let why = "0001_x (0002_squashed replaces it together with 0002_add_x2, not applied)";
    fleet.run(&["plan"]).exits(0).shows(&[why]);
    migrate(&fleet, 100).shows(&["0002_squashed replaces it together with"]);
    for (tenant, rows) in [
        ("lite-000", &["0001_x", "0002_add_x2"][..]),
        ("my-000", &["0001_x", "0002_add_x2"]),
        ("pg-000", &["0001_x"]),
        ("schema-000", &["0002_squashed"]),
    ] {
        assert_eq!(fleet.ask(tenant, "SELECT version FROM fleet_scripts ORDER BY version"), rows, "{tenant}");
        if tenant != "pg-000" {
            assert!(fleet.ask(tenant, "select x2 from x").is_empty());
        }
    }
    let others = ["--tenant", "lite-000", "--tenant", "my-000", "--tenant", "schema-000"];
    for look in [&["status", "--exit-code"][..], &["matrix", "--exit-code"], &["plan", "--exit-code"]] {
        fleet.run(&[look, &others].concat()).exits(0);
    }
    fleet.run(&[&["rollback", "--steps", "1", "--yes"][..], &others].concat()).exits(0);
    for tenant in ["lite-000", "my-000", "schema-000"] {
        assert!(fleet.ask(tenant, "SELECT version FROM fleet_scripts").is_empty(), "{tenant}");
        assert!(!fleet.has_table(tenant, "x"));
    }
    fleet.run(&[&["migrate", "--yes"][..], &others].concat()).exits(0);
    assert_eq!(fleet.ask("my-000", "SELECT version FROM fleet_scripts"), ["0002_squashed"]);
}

#[test]
fn a_rust_migration_may_replace_others() {
    let mut fleet = Fleet::new().sqlite(1).postgres(1).schemas(1).mariadb(1);
    migrate(&fleet, 0);
    let first = &all()[0];
    for tenant in &fleet.tenants {
        fleet.ask(&tenant.id, &format!("UPDATE seaql_migrations SET version = 'm0_a' WHERE version = '{first}'"));
        fleet.ask(&tenant.id, "INSERT INTO seaql_migrations (version, applied_at) VALUES ('m0_b', 0)");
    }
    migrate(&fleet, 100).shows(&["m0_a"]);
    fleet.head = format!("[migrations.\"{first}\"]\nreplaces = [\"a\", \"m0_b.rs\"]\n");
    let told = [&format!("m0_a ({first} replaces a: let it say m0_a")[..], "replaces m0_b.rs: let it say m0_b"];
    migrate(&fleet, 100).shows(&told);
    fleet.head = format!("[migrations.\"{first}\"]\nreplaces = [\"m0_a\", \"m0_b\"]\n");
    agree(&fleet);
    fleet.run(&["rollback", "--all", "--yes"]).exits(0);
    for tenant in &fleet.tenants {
        assert!(fleet.history(&tenant.id).unwrap_or_default().is_empty(), "{}", tenant.id);
    }
    migrate(&fleet, 0);
    assert_eq!(fleet.history("my-000").unwrap(), all());
    fleet.head = format!("[migrations.\"{first}\"]\nreplaces = [\"{}\"]\n", all()[1]);
    fleet.run(&["status"]).exits(1).tells(&[first, "which is still here"]);
}

/// What a run would refuse because a tenant is a schema, the plan says, up and down.
#[test]
fn a_plan_shows_what_is_refused_on_a_schema() {
    let fleet = fleet();
    write(&fleet, "0001_a.postgres.up.sql", "create table a (i int);");
    write(&fleet, "0001_a.postgres.down.sql", "drop table a;\ncomment on schema public is 'gone';");
    migrate(&fleet, 0);
    write(&fleet, "0002_b.postgres.up.sql", "create table b (i int);\ngrant select on public.b to public;");
    write(&fleet, "0002_b.postgres.down.sql", "drop table b;");
    let told = ["schema-000: refused: 0002_b can't run on a tenant that is a schema", "writes in the schema public"];
    fleet.run(&["plan"]).exits(0).shows(&told);
    fleet.run(&["migrate", "--dry-run"]).exits(100).shows(&told);
    let told = ["schema-000: refused: 0001_a can't run on a tenant that is a schema", "`COMMENT ON"];
    fleet.run(&["plan", "--down", "--to", "0001_a"]).exits(0);
    fleet.run(&["plan", "--down"]).exits(0).shows(&told);
}

#[test]
fn each_tenant_gets_its_own_values() {
    let mut fleet = fleet();
    for (tenant, region) in [("lite-000", "o'b"), ("pg-000", "b\\' --"), ("schema-000", "sch"), ("my-000", "b\\' --")] {
        fleet.tenant_mut(tenant).more = format!("tags = {{ region = '''{region}''' }}\n");
    }
    let up = "-- fleet: variables\ncreate table {{name:tag.region}} (t varchar(99), r varchar(99));\n\
              insert into {{name:tag.region}} values ({{tenant}}, {{text:tag.region}});\n";
    write(&fleet, "0001_a.sql", up);
    write(&fleet, "0003_c.up.sql", "-- fleet: variables\nalter table b add column {{name:tenant}} int;\n");
    write(&fleet, "0003_c.down.sql", "-- fleet: variables\nalter table b drop column {{name:tenant}};\n");
    // There a backslash in plain quotes hides the quote behind it.
    let database = fleet.tenant("pg-000").url.rsplit('/').next().unwrap().to_owned();
    fleet.ask("pg-000", &format!("alter database {database} set standard_conforming_strings = off"));
    // Elsewhere it is text.
    write(&fleet, "0002_b.sql", "create table b (t varchar(99));\ninsert into b values ('{{tenant}}');\n");
    let shown = fleet.run(&["plan", "--sql", "--tenant", "pg-000"]).exits(0);
    shown.shows(&["values ('{{tenant}}', '{{tag.region}}')", "each tenant is sent its own value"]);
    migrate(&fleet, 0);
    for (tenant, table, region) in [
        ("lite-000", "\"o'b\"", "o'b"),
        ("pg-000", "\"b\\' --\"", "b\\' --"),
        ("schema-000", "\"sch\"", "sch"),
        ("my-000", "`b\\' --`", "b\\' --"),
    ] {
        assert_eq!(fleet.ask(tenant, &format!("select t from {table}")), [tenant]);
        assert_eq!(fleet.ask(tenant, &format!("select r from {table}")), [region]);
        assert_eq!(fleet.ask(tenant, "select t from b"), ["{{tenant}}"]);
    }
    let checksums: Vec<_> =
        fleet.tenants.iter().map(|t| fleet.ask(&t.id, "SELECT checksum FROM fleet_scripts ORDER BY version")).collect();
    assert!(checksums.windows(2).all(|pair| pair[0] == pair[1]), "{checksums:?}");
    agree(&fleet);
    fleet.run(&["prove", "--engine", "sqlite"]).exits(0);
    let own = "select column_name::text from information_schema.columns where column_name = 'schema-000'";
    assert_eq!(fleet.ask("schema-000", own), ["schema-000"]);
    fleet.run(&["rollback", "--steps", "1", "--yes"]).exits(0);
    assert_eq!(fleet.ask("schema-000", own), [""; 0]);
    // A tag may have been changed since: another table would be dropped.
    write(&fleet, "0003_c.down.sql", "-- fleet: variables\n\ndrop table {{name:tag.region}};\n");
    let told = "sql/0003_c.down.sql:3: the way down uses the tag {{tag.region}}, which may have been changed";
    fleet.run(&["migrate", "--yes"]).exits(78).tells(&[told]);
    remove(&fleet, "0003_c.down.sql");
    for (tenant, region) in [("my-000", "\u{4f60}` (i int); DROP TABLE victim; -- "), ("pg-000", "\u{e9}\\")] {
        fleet.tenant_mut(tenant).more = format!("tags = {{ region = '''{region}''' }}\n");
    }
    write(&fleet, "0004_d.sql", up);
    let ran = fleet.run(&["migrate", "--yes", "--tenant", "my-000", "--tenant", "pg-000"]).exits(100);
    ran.shows(&["the value of {{tag.region}} has other than ASCII characters as a name; nothing was sent"]);
}

#[test]
fn a_variable_without_a_value_stops_everything_before_the_first_tenant() {
    let mut fleet = fleet();
    fleet.tenant_mut("pg-000").more = "tags = { region = \"eu\" }\n".to_owned();
    write(&fleet, "0001_a.sql", "create table a (i int);");
    write(&fleet, "0002_b.sql", "-- fleet: variables\ncreate table b (\n r varchar(9) default {{tag.region}});\n");
    let told = ["sql/0002_b.sql:3: {{tag.region}} is not set for tenant lite-000; give it `tags = { region ="];
    for look in [&["migrate", "--yes"][..], &["plan"], &["migrate", "--dry-run"], &["doctor"]] {
        fleet.run(look).exits(78).tells(&told);
    }
    assert!(!fleet.has_table("pg-000", "a"));
    fleet.run(&["migrate", "--yes", "--to", "0001_a"]).exits(0);
    fleet.run(&["migrate", "--yes", "--tenant", "pg-000"]).exits(0);
    for (text, wanted) in [
        ("-- fleet: variables\nselect 'a {{tenant}}';", "sql/0002_b.sql:2: the variable {{tenant}} stands in quotes"),
        ("select {{name:tenant}};", "`-- fleet: variables` at the head of the file"),
        ("-- fleet: variables\nselect {{user}};", "sql/0002_b.sql:2: there is no variable {{user}}"),
        ("select 1;\n-- fleet: variables\nselect 2;", "belongs to the head"),
    ] {
        write(&fleet, "0002_b.sql", text);
        fleet.run(&["migrate", "--yes"]).exits(78).tells(&[wanted]);
    }
    write(&fleet, "0002_b.sql", "-- fleet: variables\ncreate table {{name:tag.region}} (i int);\n");
    fleet.tenant_mut("lite-000").more = format!("tags = {{ region = \"{}\" }}\n", "x".repeat(64));
    fleet.run(&["migrate", "--yes", "--tenant", "lite-000"]).exits(100).shows(&["is no name of 1 to 63 bytes"]);
    assert!(!fleet.has_table("lite-000", &"x".repeat(63)));
}

/// A new tenant of the other engine would have nothing of what the replaced scripts made.
#[test]
fn a_squash_replaces_the_same_on_each_engine() {
    let fleet = fleet();
    write(&fleet, "0001_a.sql", "create table a (i int);");
    write(&fleet, "0002_b.sql", "create table b (i int);");
    migrate(&fleet, 0);
    remove(&fleet, "0001_a.sql");
    remove(&fleet, "0002_b.sql");
    write(&fleet, "0009_other.sql", "create table other (i int);");
    write(
        &fleet,
        "0003_s.postgres.sql",
        "-- fleet: replaces=0001_a,0002_b\ncreate table a (i int); create table b (i int);",
    );
    let told = ["0003_s replaces others, and on sqlite there is no part of it"];
    fleet.run(&["plan"]).exits(1).tells(&told);
    write(&fleet, "0003_s.sqlite.sql", "-- fleet: replaces=0001_a\ncreate table a (i int);");
    fleet.run(&["plan"]).exits(1).tells(&["on sqlite sql/0003_s.sqlite.sql names other ones"]);
}

#[test]
fn drizzles_marks_end_statements_on_every_engine_with_and_without_a_semicolon() {
    let fleet = fleet().mysql_where_there(1);
    let up = "CREATE TABLE x1 (id integer);--> statement-breakpoint\nCREATE TABLE x2 (id integer);\n--> statement-breakpoint\n\
              CREATE TABLE x3 (id integer)\n--> statement-breakpoint\nCREATE TABLE x4 (id integer)";
    write(&fleet, "20230101000000_x/up.sql", up);
    write(&fleet, "20230101000000_x/down.sql", "DROP TABLE x1;--> statement-breakpoint\nDROP TABLE x2");
    migrate(&fleet, 0);
    for tenant in &fleet.tenants {
        assert!(["x1", "x2", "x3", "x4"].iter().all(|table| fleet.has_table(&tenant.id, table)), "{}", tenant.id);
    }
    fleet.run(&["rollback", "--steps", "1", "--yes"]).exits(0);
    for tenant in &fleet.tenants {
        assert!(!fleet.has_table(&tenant.id, "x2") && fleet.has_table(&tenant.id, "x3"), "{}", tenant.id);
    }
}

#[test]
fn a_statement_for_some_servers_only_may_be_the_last_one() {
    let fleet = Fleet::new().head("[fleet]\nscripts = \"sql\"\nattempts = 1\n").mariadb(1).mysql_where_there(1);
    let rows = "/*!80000 INSERT INTO c VALUES (1) */;\n/*M! INSERT INTO c VALUES (2) */;\n/*!999999 INSERT INTO c VALUES (3) */;";
    write(&fleet, "0001_c.mysql.up.sql", &format!("CREATE TABLE c (i int);\n{rows}"));
    write(&fleet, "0001_c.mysql.down.sql", "DELETE FROM c;\nDROP TABLE c;\n/*!999999 SELECT 1 */;");
    migrate(&fleet, 0);
    for tenant in &fleet.tenants {
        let wanted = if tenant.id.starts_with("mysql") { "1" } else { "2" };
        assert_eq!(fleet.ask(&tenant.id, "SELECT CAST(i AS CHAR) FROM c"), [wanted], "{}", tenant.id);
    }
    fleet.run(&["rollback", "--steps", "1", "--yes"]).exits(0);
}

/// An account in a definer is no variable, so the statement behind it may begin another session.
#[test]
fn a_refused_statement_behind_a_definer_is_no_doubt() {
    let fleet = Fleet::new().head("[fleet]\nscripts = \"sql\"\nattempts = 1\n").mariadb(1).mysql_where_there(1);
    let trigger = "/*!50003 CREATE*/ /*!50017 DEFINER=`root`@`%`*/ /*!50003 TRIGGER t BEFORE INSERT ON g FOR EACH ROW SET NEW.i = 1 */;";
    write(&fleet, "0001_g.mysql.sql", &format!("CREATE TABLE g (i int);\n{trigger}\nINSERT INTO nowhere VALUES (1);"));
    migrate(&fleet, 100);
    let told = fleet.run(&["status", "--format", "json"]).exits(0).json();
    assert_eq!(told["summary"]["by_state"]["partially_applied"], fleet.tenants.len(), "{told:#}");
}

/// What fleet writes between two statements is no change of the script.
#[test]
fn a_script_counts_its_own_changes_on_sqlite() {
    let fleet = Fleet::new().head("[fleet]\nscripts = \"sql\"\nattempts = 1\n").sqlite(2);
    write(
        &fleet,
        "0001_p.sql",
        "CREATE TABLE p (a int);\nCREATE TABLE log (n int, m int);\nINSERT INTO p VALUES (1), (2), (3), (4);",
    );
    let counts = "-- fleet: transaction=false\nUPDATE p SET a = a + 1;\nINSERT INTO log VALUES (changes(), total_changes());\n\
                  INSERT INTO log VALUES (changes(), total_changes());";
    write(&fleet, "0002_n.sql", counts);
    write(&fleet, "0002_n.down.sql", counts);
    let logged = |id: &str| fleet.ask(id, "SELECT n || ' ' || m FROM log ORDER BY rowid");
    fleet.run(&["migrate", "--yes", "--tenant", "lite-000"]).exits(0);
    fleet.run(&["migrate", "--yes", "--tenant", "lite-001", "--native"]).exits(0);
    assert_eq!(logged("lite-000"), ["4 4", "1 5"]);
    assert_eq!(logged("lite-001"), ["4 4", "1 5"]);
    fleet.run(&["rollback", "--steps", "1", "--yes"]).exits(0);
    assert_eq!(logged("lite-000"), ["4 4", "1 5", "4 4", "1 5"]);
}
