//! A tenant that lost its database: no command makes another one in its place without being told to.

use std::fs;

use crate::support::*;

const LOST: [&str; 4] = ["lite-000", "pg-000", "schema-000", "my-000"];

/// Migrated tenants, of which one of each kind then loses its database: a volume that is not mounted, a schema that was
/// dropped, databases that are there and empty.
fn lost() -> Fleet {
    let mut fleet = Fleet::new().sqlite(2).postgres(2).schemas(2).mariadb(2);
    for id in ["lite-000", "schema-000"] {
        fleet.tenant_mut(id).more = "create_missing = true".to_owned();
    }
    fleet.run(&["migrate", "--yes"]).exits(0);
    fs::rename(fleet.path("lite-000.db"), fleet.path("away.db")).unwrap();
    fleet.ask("pg-000", "DROP SCHEMA public CASCADE");
    fleet.ask("pg-000", "CREATE SCHEMA public");
    fleet.ask("schema-000", "DROP SCHEMA t000 CASCADE");
    let (server, name) =
        fleet.tenant("my-000").url.rsplit_once('/').map(|(s, n)| (s.to_owned(), n.to_owned())).unwrap();
    sql(&format!("{server}/mysql"), &format!("DROP DATABASE {name}"));
    sql(&format!("{server}/mysql"), &format!("CREATE DATABASE {name}"));
    fleet
}

fn is_untouched(fleet: &Fleet) {
    assert!(!fleet.path("lite-000.db").exists(), "no file was made");
    for id in ["pg-000", "my-000"] {
        assert!(!fleet.has_table(id, "seaql_migrations"), "{id}");
    }
    let schemas = fleet.ask("schema-001", "SELECT nspname::text FROM pg_namespace WHERE nspname LIKE 't0%'");
    assert_eq!(schemas, ["t001"]);
}

#[test]
fn a_tenant_that_lost_its_database_is_not_made_anew_unasked() {
    let fleet = lost();
    let status = fleet.run(&["status"]).exits(0).shows(&["NEEDS ATTENTION", "empty (4): ", "its database is gone"]);
    LOST.iter().for_each(|id| assert!(status.out.contains(id), "{}", status.out));
    fleet.run(&["status", "--tenant", "lite-000"]).exits(0).shows(&["small migrate --recreate --tenant lite-000"]);
    fleet.run(&["tenants", "check"]).exits(100);
    let doctor = fleet.run(&["doctor"]).exits(2).shows(&["left it at", "small migrate --recreate --tenant lite-000"]);
    LOST.iter().for_each(|id| assert!(doctor.out.contains(&format!(" --tenant {id}")), "{}", doctor.out));
    fleet.run(&["plan"]).exits(0).shows(&["its database is gone"]);
    fleet.run(&["migrate", "--dry-run"]).exits(100).shows(&["its database is gone"]);
    let migrate = fleet.run(&["migrate", "--yes"]).exits(100).shows(&["FAILED", "its database is gone"]);
    migrate.shows(&["small migrate --recreate --tenant lite-000 --tenant pg-000 --tenant schema-000 --tenant my-000"]);
    is_untouched(&fleet);
    // A run that found nothing to take back has not emptied them.
    fleet.run(&["rollback", "--steps", "1", "--yes", "--tenant", "*-000"]).exits(0);
    fleet.run(&["migrate", "--yes", "--tenant", "*-000"]).exits(100);
    is_untouched(&fleet);
}

#[test]
fn a_ledger_that_was_lost_is_rebuilt_from_the_tenants() {
    let mut fleet = Fleet::new().sqlite(2).postgres(1).mariadb(1);
    fleet.run(&["migrate", "--yes", "-q", "--to", &all()[2]]).exits(0);
    fs::remove_file(fleet.path("fleet-ledger.db")).unwrap();
    fleet.run(&["runs", "rebuild"]).exits(0).shows(&["recorded the versions of 4 tenants"]);
    fleet.run(&["runs", "show", "last"]).exits(0).shows(&["runs rebuild", "4 up to date"]);
    // What a run is told by it: a tenant that lost its database is no new one.
    fleet.tenant_mut("lite-000").more = "create_missing = true".to_owned();
    fs::remove_file(fleet.path("lite-000.db")).unwrap();
    fleet.run(&["migrate", "--yes"]).exits(100).shows(&["its database is gone", &all()[2], "3 migrated"]);
    // Read again, it is no version, and one that can't be read is told.
    fleet.tenant_mut("lite-001").url = "sqlite:nowhere.db".to_owned();
    let again = fleet.run(&["runs", "rebuild"]).exits(100);
    again.shows(&["recorded the versions of 2 tenants"]).tells(&["2 tenants could not be read"]);
    fleet.run(&["migrate", "--yes", "-t", "lite-000"]).exits(100).shows(&["its database is gone"]);
}

#[test]
fn a_lost_tenant_is_brought_back_or_made_anew_by_a_flag() {
    let fleet = lost();
    fs::rename(fleet.path("away.db"), fleet.path("lite-000.db")).unwrap();
    fleet.run(&["migrate", "--yes", "--tenant", "lite-*"]).exits(0).shows(&["2 up to date"]);
    fleet.run(&["migrate", "--recreate", "--dry-run"]).exits(0);
    fleet.run(&["migrate", "--recreate", "--yes"]).exits(0).shows(&["3 migrated", "5 up to date"]);
    assert_eq!(LOST.map(|id| fleet.history(id).unwrap()), [(); 4].map(|()| all().to_vec()));
    // What a run emptied is no loss.
    fleet.run(&["rollback", "--all", "--yes"]).exits(0);
    fleet.run(&["status"]).exits(0).shows(&["8 empty"]);
    fleet.run(&["migrate", "--yes"]).exits(0).shows(&["8 migrated"]);
}
