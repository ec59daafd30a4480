//! The program itself on its three tenants: what a person types, and what is in the databases afterwards.

use std::path::Path;
use std::process::{Command, Output};

use sea_orm_migration::sea_orm::{ConnectionTrait, Database, DbBackend, Statement};

const TENANTS: [&str; 3] = ["northwind", "contoso", "fabrikam"];

fn embed(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_embed")).args(arguments).current_dir(folder).output().expect("embed starts")
}

#[tokio::test]
async fn migrates_its_three_tenants() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join("tenants.toml"), folder.path().join("tenants.toml"))
        .unwrap();

    let migrated = embed(folder.path(), &["migrate", "--yes"]);
    assert!(migrated.status.success(), "{}", String::from_utf8_lossy(&migrated.stderr));
    for tenant in TENANTS {
        let path = folder.path().join("data").join(format!("{tenant}.db"));
        let db = Database::connect(format!("sqlite:{}", path.display())).await.unwrap();
        let counts = "SELECT (SELECT count(*) FROM service_migrations), (SELECT count(*) FROM plans), \
                      (SELECT count(*) FROM sqlite_master WHERE name = 'seaql_migrations')";
        let row = db.query_one_raw(Statement::from_string(DbBackend::Sqlite, counts)).await.unwrap().expect("one row");
        let counts: Vec<i64> = (0..3).map(|column| row.try_get_by_index(column).unwrap()).collect();
        assert_eq!(counts, [4, 3, 0], "{tenant}: migrations, plans, tables named seaql_migrations");
        db.close().await.unwrap();
    }

    let again = embed(folder.path(), &["migrate", "--yes"]);
    assert!(again.status.success(), "{}", String::from_utf8_lossy(&again.stderr));
}

#[test]
fn rollback_past_the_migration_without_down_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join("tenants.toml"), folder.path().join("tenants.toml"))
        .unwrap();
    assert!(embed(folder.path(), &["migrate", "--yes"]).status.success());
    let refused = embed(folder.path(), &["rollback", "--steps", "2", "--yes"]);
    let told = String::from_utf8_lossy(&refused.stdout) + String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success(), "{told}");
    assert!(told.contains("m20250215_000003_lower_case_emails"), "{told}");
}
