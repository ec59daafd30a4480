//! `init`, `reset`, manual pages and completions: what stands around the work on tenants.

use std::process::Stdio;

use crate::support::{Fleet, all, finish, program};

#[test]
fn a_new_project_gets_a_tenant_file_and_a_crate_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| finish(&mut program(folder.path(), arguments));
    let made = run(&["init", "shop"]).exits(0);
    let made = made.shows(&["made shop/tenants.toml", "made shop/migration/src/main.rs", "new NAME"]);
    assert!(!made.err.contains("sample"), "a program of one's own has no sample: {}", made.err);
    let in_shop = |arguments: &[&str]| finish(&mut program(&folder.path().join("shop"), arguments));
    in_shop(&["new", "add_phone"]).exits(0).shows(&["listed in"]);
    let lib = std::fs::read_to_string(folder.path().join("shop/migration/src/lib.rs")).unwrap();
    assert!(lib.contains("_add_phone::Migration),"), "{lib}");
    in_shop(&["migrate", "--yes"]).exits(0).shows(&["1 migrated"]);
    let before = std::fs::read_to_string(folder.path().join("shop/tenants.toml")).unwrap();
    run(&["init", "shop"]).exits(64).tells(&["shop/tenants.toml is there already", "nothing was made"]);
    std::fs::remove_file(folder.path().join("shop/tenants.toml")).unwrap();
    run(&["init", "shop"]).exits(64).tells(&["migration/Cargo.toml is there already"]);
    assert!(!folder.path().join("shop/tenants.toml").exists());
    assert!(before.contains("id = \"acme\""));
}

#[test]
fn a_list_of_databases_becomes_a_tenant_file_or_nothing_does() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let run = |arguments: &[&str]| finish(&mut program(folder.path(), arguments));
    std::fs::write(path("a.db"), "").unwrap();
    std::fs::write(path("list"), "acme,sqlite:a.db\nacme,sqlite:b.db\n").unwrap();
    run(&["init", "--from", "list"]).exits(78).tells(&["a second tenant has the id `acme`", "nothing was made"]);
    std::fs::write(path("list"), "acme,postgres://u:s3cret@h/x\nx\n").unwrap();
    let ran =
        run(&["init", "--from", "list"]).exits(64).tells(&["line 1: its URL holds a password", "line 2: write ID,URL"]);
    assert!(!ran.err.contains("s3cret") && !path("tenants.toml").exists());
    std::fs::write(path("list"), "id,url\nacme,sqlite:a.db\n").unwrap();
    run(&["init", "--from", "list"]).exits(0).shows(&["made ./tenants.toml", "tenants check", "baseline"]);
    assert!(!path("migration").exists());
    run(&["tenants", "check"]).exits(0);
    run(&["init", "--from", "list"]).exits(64).tells(&["is there already"]);
    let mut child = program(&path(""), &["init", "other", "--from", "-"]).stdin(Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), b"acme,sqlite:a.db\n").unwrap();
    crate::support::wait(child).exits(0);
    assert!(path("other/tenants.toml").exists());
}

/// Only the file itself, and the name in it, open the way.
#[test]
fn a_fleet_is_reset_only_where_its_file_and_the_command_say_the_same_name() {
    let mut fleet = Fleet::new().sqlite(1).postgres(1).mariadb(1);
    fleet.run(&["migrate", "--yes"]).exits(0);
    let ids: Vec<String> = fleet.tenants.iter().map(|tenant| tenant.id.clone()).collect();
    let users = |fleet: &Fleet| -> Vec<Vec<String>> {
        ids.iter().map(|id| fleet.ask(id, "SELECT CAST(count(*) AS char(9)) FROM users")).collect()
    };
    let empty = users(&fleet);
    for id in &ids {
        fleet.ask(id, "CREATE TABLE kept (a int)");
    }
    fleet.run(&["seed", "--yes", "--rows", "users=5"]).exits(0);
    let seeded = users(&fleet);
    assert_ne!(seeded, empty);
    fleet.run(&["reset"]).exits(64);
    fleet.run(&["reset", "--confirm", "x"]).exits(78).tells(&["does not say", "nothing was touched", "rollback --all"]);
    fleet.write();
    let by_variable = finish(fleet.program(&["reset", "--confirm", "x"]).env("FLEET_DEVELOPMENT", "x"));
    by_variable.exits(78).tells(&["nothing was touched"]);
    fleet.head = "[fleet]\ndevelopment = \"laptop\"\n".to_owned();
    fleet.run(&["reset", "--confirm", "x"]).exits(64).tells(&["--confirm laptop", "nothing was touched"]);
    assert_eq!(users(&fleet), seeded);
    fleet.run(&["reset", "--confirm", "laptop"]).exits(0).shows(&["3 rolled back", "3 migrated"]);
    assert_eq!(users(&fleet), empty);
    for id in &ids {
        assert_eq!(fleet.history(id).unwrap(), all());
        assert!(fleet.has_table(id, "kept"), "what migrations did not make stays");
    }
}

#[test]
fn there_is_a_manual_page_for_each_command_under_the_program_s_own_name() {
    let folder = tempfile::tempdir().unwrap();
    finish(&mut program(folder.path(), &["man", "pages/man1"])).exits(0).shows(&["pages are in pages/man1"]);
    let page = |name: &str| std::fs::read_to_string(folder.path().join("pages/man1").join(name)).unwrap();
    assert!(page("small.1").contains(".TH small 1"));
    assert!(
        page("small-migrate.1").contains("lock\\-timeout")
            && page("small-tenants-provision.1").contains("create\\-role")
    );
    assert!(!folder.path().join("pages/man1/small-help-reference.1").exists());
}

#[test]
fn a_shell_completes_tenants_and_migrations() {
    let fleet = Fleet::new().head("[fleet]\nscripts = \"sql\"").sqlite(12);
    std::fs::create_dir(fleet.path("sql")).unwrap();
    std::fs::write(fleet.path("sql/0001_plans.up.sql"), "CREATE TABLE plans (id int);\n").unwrap();
    fleet.write();
    let complete = |folder: &std::path::Path, words: &[&str]| {
        let line = [&["--", "small"], words].concat();
        finish(program(folder, &line).env("FLEET_COMPLETE", "fish")).exits(0).out
    };
    let here = fleet.folder.path();
    let told = complete(here, &["migrate", "--tenant", "lite-01"]);
    assert_eq!(told.lines().collect::<Vec<_>>(), ["lite-010", "lite-011"]);
    assert!(complete(here, &["shell", ""]).contains("lite-000"));
    let told = complete(here, &["migrate", "--to", ""]);
    assert!(all().iter().all(|name| told.contains(name)) && told.contains("0001_plans"), "{told}");
    assert!(complete(here, &["migr"]).contains("migrate"));
    // From elsewhere by --config; without a file, or with one that is no TOML, there is nothing and no error.
    let elsewhere = tempfile::tempdir().unwrap();
    let file = fleet.path("tenants.toml").display().to_string();
    assert!(complete(elsewhere.path(), &["--config", &file, "shell", "lite-00"]).contains("lite-009"));
    assert!(!complete(elsewhere.path(), &["shell", ""]).contains("lite"));
    std::fs::write(elsewhere.path().join("tenants.toml"), "[[").unwrap();
    assert!(!complete(elsewhere.path(), &["shell", ""]).contains("lite"));
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = fleet.run(&["completions", shell]).exits(0).out;
        assert!(script.contains("FLEET_COMPLETE") && script.contains("small"), "{shell}: {script}");
    }
}
