//! The ledger: no run without one, and one that several machines share.

use std::os::unix::fs::PermissionsExt;

use crate::support::{ALL, Fleet, finish, program};

#[test]
fn without_a_ledger_nothing_starts() {
    let fleet = Fleet::new().sqlite(2);
    std::fs::write(fleet.path("text.db"), "these are not the bytes of a database. ".repeat(50)).unwrap();
    std::fs::create_dir(fleet.path("folder")).unwrap();
    let nobody = "postgres://postgres:x@127.0.0.1:1/nowhere";
    for ledger in ["text.db", "folder", "missing/ledger.db", nobody, "mysql://root:x@127.0.0.1:1/nowhere"] {
        let ran = fleet.run(&["migrate", "--yes", "--ledger", ledger, "--connect-timeout", "2s"]).exits(75);
        let ran = ran.tells(&["ledger", "nothing was started"]);
        assert_eq!(ran.out, "", "{ledger}");
        assert!(fleet.history("lite-000").is_none(), "{ledger}: a tenant was touched");
    }
    fleet.run(&["migrate", "--yes"]).exits(0);
}

#[test]
fn a_ledger_that_can_not_be_written_is_found_before_a_tenant_is_touched() {
    let fleet = Fleet::new().sqlite(2);
    fleet.run(&["migrate", "--yes", "--steps", "1"]).exits(0);
    // Root writes where it has no right to: what stops it too is a database that other programs hold.
    let file = fleet.path("fleet-ledger.db");
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o444)).unwrap();
    let is_root = std::fs::OpenOptions::new().append(true).open(&file).is_ok();
    if is_root {
        std::fs::set_permissions(&file, PermissionsExt::from_mode(0o644)).unwrap();
        fleet.ledger("DROP TABLE fleet_outcomes; SELECT 1");
    }
    fleet.run(&["migrate", "--yes"]).exits(75).tells(&["ledger"]);
    for tenant in &fleet.tenants {
        assert_eq!(fleet.history(&tenant.id).unwrap(), ALL[..1], "{}", tenant.id);
    }
}

#[test]
fn a_shared_ledger_shows_a_run_on_another_machine() {
    for engine in ["postgres", "mysql"] {
        let mut fleet = Fleet::new().sqlite(2);
        let ledger = fleet.database(engine, "ledger");
        fleet.run(&["migrate", "--yes", "--ledger", &ledger]).exits(0);
        assert!(!fleet.path("fleet-ledger.db").exists());

        let other = tempfile::tempdir().unwrap();
        let file = format!("[fleet]\nledger = \"{ledger}\"\n[[tenant]]\nid = \"x\"\nurl = \"sqlite:x.db\"\n");
        std::fs::write(other.path().join("tenants.toml"), file).unwrap();
        let runs = finish(&mut program(other.path(), &["runs", "list", "--format", "json"])).exits(0).json();
        let runs = runs["runs"].as_array().unwrap();
        assert_eq!(runs.len(), 1, "{engine}");
        assert_eq!((&runs[0]["status"], &runs[0]["selected"]), (&"finished".into(), &2.into()), "{engine}");
        finish(&mut program(other.path(), &["runs", "show", "last"])).exits(0).shows(&["2 migrated"]);
    }
}
