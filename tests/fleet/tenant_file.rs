//! `tenants add`, `remove` and `rename`: the tenant file with its comments, and nothing else.

use std::os::unix::fs::{PermissionsExt, symlink};

use crate::support::{Ran, finish, program};

/// A folder with a tenant file.
struct Folder(tempfile::TempDir);

const FILE: &str = "# Ours.\n\n[[wave]]\nname = \"canary\"\ntenants = [\"acme\", \"beta\"] # first\n\n# The first.\n[[tenant]]\nid = \
                    \"acme\"\nurl = \"sqlite:acme.db\"\ncreate_missing = true\n\n[[tenant]]\nid = \"beta\" # later\nurl = \
                    \"sqlite:beta.db\"\ncreate_missing = true\ndepends_on = [\"acme\"]\n# The end.\n";

impl Folder {
    fn new() -> Self {
        let folder = Folder(tempfile::tempdir().unwrap());
        std::fs::write(folder.0.path().join("tenants.toml"), FILE).unwrap();
        folder
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        finish(&mut program(self.0.path(), arguments))
    }

    fn text(&self) -> String {
        std::fs::read_to_string(self.0.path().join("tenants.toml")).unwrap()
    }
}

#[test]
fn a_tenant_is_added_behind_the_others_and_nothing_else_changes() {
    let folder = Folder::new();
    let add = ["tenants", "add", "gamma", "--url", "postgres://app@db/gamma", "--schema", "g", "--tag", "plan=pro"];
    let add = [&add[..], &["--password-env", "GAMMA_PW"]].concat();
    // The file that it would be is not one that can be read.
    folder.run(&add).exits(78).tells(&["GAMMA_PW is not set", "the file was not changed"]);
    let ran = finish(program(folder.0.path(), &add).env("GAMMA_PW", "x")).exits(0);
    ran.shows(&["added gamma to", "in wave rest", "no database was reached"]);
    let own = "\n[[tenant]]\nid = \"gamma\"\nurl = \"postgres://app@db/gamma\"\nschema = \"g\"\ntags = { plan = \"pro\" \
               }\npassword = { env = \"GAMMA_PW\" }\n";
    assert_eq!(folder.text(), FILE.replace("# The end.\n", &format!("{own}# The end.\n")));
    let before = folder.text();
    let with = |id: &str, url: &str| {
        finish(program(folder.0.path(), &["tenants", "add", id, "--url", url]).env("GAMMA_PW", "x"))
    };
    with("acme", "sqlite:x.db").exits(64).tells(&["there is a tenant acme already", "it was not changed"]);
    with("delta", "sqlite:./acme.db").exits(78).tells(&["are one database", "the file was not changed"]);
    with(&"x".repeat(200), "sqlite:x.db").exits(78).tells(&["the file was not changed"]);
    with("delta", "oracle://x").exits(78);
    // A password is neither written nor repeated.
    let ran = with("delta", "postgres://u:s3cret@db/delta").exits(64).tells(&[
        "--password-env",
        "--password-command",
        "${VAR}",
    ]);
    assert!(!ran.err.contains("s3cret"), "{}", ran.err);
    assert_eq!(folder.text(), before);
}

#[test]
fn a_file_without_a_tenant_gets_its_first_and_links_and_permissions_stay() {
    let folder = Folder::new();
    let (file, real) = (folder.0.path().join("tenants.toml"), folder.0.path().join("real.toml"));
    std::fs::remove_file(&file).unwrap();
    std::fs::write(&real, "").unwrap();
    std::fs::set_permissions(&real, PermissionsExt::from_mode(0o640)).unwrap();
    symlink("real.toml", &file).unwrap();
    folder.run(&["tenants", "add", "acme", "--url", "sqlite:acme.db", "--create-missing"]).exits(0);
    assert!(file.is_symlink());
    assert_eq!(std::fs::metadata(&real).unwrap().permissions().mode() & 0o777, 0o640);
    folder.run(&["migrate", "--yes"]).exits(0).shows(&["1 migrated"]);
    folder.run(&["tenants", "remove", "acme"]).exits(78).tells(&["no tenant", "the file was not changed"]);
    assert_eq!(std::fs::read_dir(folder.0.path()).unwrap().count(), 4, "no partial file is left");
}

#[test]
fn a_tenant_is_removed_and_its_database_stays() {
    let folder = Folder::new();
    folder.run(&["migrate", "--yes"]).exits(0);
    folder.run(&["tenants", "remove", "acne"]).exits(64).tells(&["did you mean acme?"]);
    folder.run(&["tenants", "remove", "acme"]).exits(78).tells(&["depends_on", "the file was not changed"]);
    assert_eq!(folder.text(), FILE);
    let ran = folder.run(&["tenants", "remove", "beta"]).exits(0).shows(&["its database is as it was"]);
    ran.tells(&["wave canary names the tenant beta, which is not in the file"]);
    assert!(folder.0.path().join("beta.db").exists() && !folder.text().contains("beta.db"));
    assert!(folder.text().contains("# The first.\n[[tenant]]\nid = \"acme\""));
}

#[test]
fn a_renamed_tenant_keeps_its_history_and_is_told_what_keeps_the_old_id() {
    let folder = Folder::new();
    folder.run(&["migrate", "--yes"]).exits(0);
    let ran = folder.run(&["tenants", "rename", "beta", "delta"]).exits(0);
    let ran = ran.shows(&["renamed beta to delta", "its history is in its own database", "keep the old id"]);
    assert!(!ran.out.contains("it moves"), "the wave names it too: {}", ran.out);
    folder.run(&["tenants", "rename", "acme", "a c"]).exits(0);
    let wanted = FILE
        .replace("[\"acme\", \"beta\"]", "[\"a c\", \"delta\"]")
        .replace("id = \"beta\" # later", "id = \"delta\" # later")
        .replace("id = \"acme\"", "id = \"a c\"")
        .replace("[\"acme\"]", "[\"a c\"]");
    assert_eq!(folder.text(), wanted);
    folder.run(&["status"]).exits(0).shows(&["2 tenants"]);
    folder.run(&["migrate", "--yes"]).exits(0).shows(&["2 up to date"]);
    folder.run(&["runs", "list"]).exits(0);
    folder.run(&["tenants", "rename", "delta", "a c"]).exits(64).tells(&["there is a tenant a c already"]);
}

/// Each edit reads the file that the one before it wrote.
#[test]
fn edits_at_once_are_all_in_the_file() {
    let folder = Folder::new();
    let add = |n: usize| {
        let (id, url) = (format!("t{n}"), format!("sqlite:t{n}.db"));
        program(folder.0.path(), &["tenants", "add", &id, "--url", &url]).spawn().unwrap()
    };
    let all: Vec<_> = (0..12).map(add).collect();
    for child in all {
        crate::support::wait(child).exits(0);
    }
    assert_eq!(folder.text().matches("[[tenant]]").count(), 14);
}
