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
fn a_new_migration_goes_where_the_others_of_this_layout_are() {
    let folder = tempfile::tempdir().unwrap();
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    std::fs::copy(own.join("tenants.toml"), folder.path().join("tenants.toml")).unwrap();
    let source = |name: &str| folder.path().join("src").join(name);
    std::fs::create_dir_all(source("migrations")).unwrap();
    for name in ["migrator.rs", "migrations/mod.rs"] {
        std::fs::copy(own.join("src").join(name), source(name)).unwrap();
    }
    let made = embed(folder.path(), &["new", "unique_invoice_numbers"]);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let files: Vec<String> = std::fs::read_dir(source("migrations"))
        .unwrap()
        .filter_map(|file| file.unwrap().file_name().to_string_lossy().strip_suffix(".rs").map(str::to_owned))
        .filter(|name| name != "mod")
        .collect();
    let [module] = files.as_slice() else { panic!("{files:?}") };
    let text = |name: &str| std::fs::read_to_string(source(name)).unwrap();
    assert!(text("migrations/mod.rs").contains(&format!("index_renewals;\npub(crate) mod {module};\n")));
    let listed = format!("Migration),\n            Box::new(migrations::{module}::Migration),\n        ]");
    assert!(text("migrator.rs").contains(&listed), "{}", text("migrator.rs"));
    assert!(!text("migrator.rs").contains("mod m2"), "the module is declared where its file is");
}

#[tokio::test]
async fn rollback_past_the_migration_without_down_is_refused_before_anything_is_touched() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join("tenants.toml"), folder.path().join("tenants.toml"))
        .unwrap();
    assert!(embed(folder.path(), &["migrate", "--yes"]).status.success());
    let refused = embed(folder.path(), &["rollback", "--steps", "2", "--yes"]);
    let told = String::from_utf8_lossy(&refused.stdout) + String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(1), "{told}");
    assert!(told.contains("m20250215_000003_lower_case_emails"), "{told}");
    // The step before it has a way down, and is not taken either.
    for tenant in TENANTS {
        let path = folder.path().join("data").join(format!("{tenant}.db"));
        let db = Database::connect(format!("sqlite:{}", path.display())).await.unwrap();
        let count = Statement::from_string(DbBackend::Sqlite, "SELECT count(*) FROM service_migrations");
        let row = db.query_one_raw(count).await.unwrap().expect("one row");
        assert_eq!(row.try_get_by_index::<i64>(0).unwrap(), 4, "{tenant} was touched");
        db.close().await.unwrap();
    }
    assert!(embed(folder.path(), &["rollback", "--steps", "1", "--yes"]).status.success());
}

#[test]
fn its_migrations_are_proven_on_every_engine() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join("tenants.toml"), folder.path().join("tenants.toml"))
        .unwrap();
    let server = |variable: &str| {
        let missing = || format!("{variable} is not set; run `eval \"$(scripts/servers start)\"` first");
        std::env::var(variable).unwrap_or_else(|_| panic!("{}", missing()))
    };
    let prove = |strict: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_embed"));
        command.args(["prove", "--engine", "sqlite", "--engine", "postgres", "--engine", "mysql"]).args(strict);
        command.env("FLEET_SCRATCH_POSTGRES_URL", server("FLEET_TEST_POSTGRES_URL"));
        command.env("FLEET_SCRATCH_MYSQL_URL", server("FLEET_TEST_MARIADB_URL"));
        let output = command.current_dir(folder.path()).output().expect("embed starts");
        let told = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        (output.status.code(), told.into_owned())
    };
    let (code, told) = prove(&[]);
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("12 proofs on 3 engines, 9 proven, 3 irreversible"), "{told}");
    let (code, told) = prove(&["--strict"]);
    assert_eq!(code, Some(2), "{told}");
}

#[test]
fn a_program_without_entities_says_how_to_name_them() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join("tenants.toml"), folder.path().join("tenants.toml"))
        .unwrap();
    let refused = embed(folder.path(), &["check", "--entities"]);
    let told = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(64), "{told}");
    assert!(told.contains("main_with"), "{told}");
}
