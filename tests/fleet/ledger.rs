//! The ledger: no run without one, and one that several machines share.

use sqlx::{Connection, Executor};

use crate::support::{Fleet, all, block_on, finish, program};

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
fn a_ledger_that_another_program_holds_is_found_before_a_tenant_is_touched() {
    let fleet = Fleet::new().sqlite(2);
    fleet.run(&["migrate", "--yes", "--steps", "1"]).exits(0);
    let url = format!("sqlite:{}", fleet.path("fleet-ledger.db").display());
    let holder = block_on(async {
        let mut holder = sqlx::SqliteConnection::connect(&url).await.unwrap();
        holder.execute("BEGIN IMMEDIATE").await.unwrap();
        holder
    });
    fleet.run(&["migrate", "--yes"]).exits(75).tells(&["ledger", "nothing was started"]);
    for tenant in &fleet.tenants {
        assert_eq!(fleet.history(&tenant.id).unwrap(), all()[..1], "{}", tenant.id);
    }
    block_on(holder.close()).unwrap();
    fleet.run(&["migrate", "--yes"]).exits(0);
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
