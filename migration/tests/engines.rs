//! The migrations on the three real engines with SeaORM's own runner: up, down, up, and what they leave behind.
//!
//! The servers come from `scripts/servers`; without them the test fails, it is never skipped.
#![expect(clippy::unwrap_used, reason = "the steps of a test panic where they fail")]

use std::time::{SystemTime, UNIX_EPOCH};

use migration::Migrator;
use sea_orm_migration::MigratorTrait;
use sea_orm_migration::sea_orm::{ConnectionTrait, Database, DatabaseConnection, DbBackend, Statement};

const TABLES: [&str; 12] = [
    "api_keys",
    "audit_logs",
    "billing_cycles",
    "inventory_items",
    "inventory_transactions",
    "locations",
    "order_items",
    "orders",
    "tenant_features",
    "tenant_settings",
    "tenants",
    "users",
];

#[tokio::test]
async fn sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}?mode=rwc", folder.path().join("tenant.db").display());
    let db = Database::connect(url).await.unwrap();
    up_down_up(&db, "SELECT name FROM sqlite_master WHERE type = 'table'").await;
    db.close().await.unwrap();
}

#[tokio::test]
async fn postgres() {
    on_server(
        "FLEET_TEST_POSTGRES_URL",
        "SELECT table_name::text FROM information_schema.tables WHERE table_schema = 'public'",
    )
    .await;
}

#[tokio::test]
async fn mariadb() {
    on_server(
        "FLEET_TEST_MYSQL_URL",
        "SELECT CAST(table_name AS CHAR) FROM information_schema.tables WHERE table_schema = DATABASE()",
    )
    .await;
}

async fn on_server(variable: &str, list_tables: &str) {
    let server_url = std::env::var(variable)
        .unwrap_or_else(|_| panic!("{variable} is not set; run `eval \"$(scripts/servers start)\"` first"));
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos();
    let name = format!("migration_test_{nanos}");
    let (prefix, _) = server_url.rsplit_once('/').unwrap();

    let server = Database::connect(&server_url).await.unwrap();
    server.execute_unprepared(&format!("CREATE DATABASE {name}")).await.unwrap();
    let db = Database::connect(format!("{prefix}/{name}")).await.unwrap();
    up_down_up(&db, list_tables).await;
    db.close().await.unwrap();
    server.execute_unprepared(&format!("DROP DATABASE {name}")).await.unwrap();
    server.close().await.unwrap();
}

async fn up_down_up(db: &DatabaseConnection, list_tables: &str) {
    Migrator::up(db, None).await.unwrap();
    assert_eq!(tables(db, list_tables).await, TABLES);
    for _ in 0..Migrator::migrations().len() {
        // One at a time: each `down` has to work on the schema that its own `up` left.
        Migrator::down(db, Some(1)).await.unwrap();
    }
    assert_eq!(tables(db, list_tables).await, [""; 0]);
    Migrator::up(db, None).await.unwrap();
    assert_eq!(tables(db, list_tables).await, TABLES);
    assert!(Migrator::get_pending_migrations_read_only(db).await.unwrap().is_empty());
    references_are_enforced(db).await;
    the_last_down_and_up_keep_rows(db).await;
}

async fn tables(db: &DatabaseConnection, list_tables: &str) -> Vec<String> {
    let rows = db.query_all_raw(Statement::from_string(db.get_database_backend(), list_tables)).await.unwrap();
    let mut names: Vec<String> = rows.iter().map(|row| row.try_get_by_index(0).unwrap()).collect();
    names.retain(|name| name != "seaql_migrations");
    names.sort();
    names
}

/// A literal for the UUID whose 16 bytes are all `byte`; MySQL keeps a UUID as 16 bytes, SQLite as a blob of them.
fn uuid(db: &DatabaseConnection, byte: &str) -> String {
    let hex = byte.repeat(16);
    match db.get_database_backend() {
        DbBackend::Postgres => format!("'{hex}'"),
        _ => format!("x'{hex}'"),
    }
}

async fn references_are_enforced(db: &DatabaseConnection) {
    let insert_user = format!(
        "INSERT INTO users (id, tenant_id, email, full_name, password_hash) VALUES ({}, {}, 'a@b.example', 'A B', '-')",
        uuid(db, "02"),
        uuid(db, "01"),
    );
    assert!(db.execute_unprepared(&insert_user).await.is_err(), "a user of a tenant that does not exist was accepted");
    db.execute_unprepared(&format!(
        "INSERT INTO tenants (id, slug, name) VALUES ({}, 'acme', 'Acme GmbH')",
        uuid(db, "01")
    ))
    .await
    .unwrap();
    db.execute_unprepared(&insert_user).await.unwrap();
    let twin = insert_user.replace(&uuid(db, "02"), &uuid(db, "03"));
    assert!(db.execute_unprepared(&twin).await.is_err(), "the same email twice in one tenant was accepted");
}

/// Stock that was there before SKUs were known stays, whether they come or go.
async fn the_last_down_and_up_keep_rows(db: &DatabaseConnection) {
    for byte in ["0a", "0b"] {
        db.execute_unprepared(&format!(
            "INSERT INTO inventory_items (id, tenant_id, name) VALUES ({}, {}, 'Bolt M8')",
            uuid(db, byte),
            uuid(db, "01")
        ))
        .await
        .unwrap();
    }
    Migrator::down(db, Some(1)).await.unwrap();
    Migrator::up(db, None).await.unwrap();
    let count = "SELECT count(*) FROM inventory_items WHERE sku IS NULL AND reorder_point = 0";
    let row =
        db.query_one_raw(Statement::from_string(db.get_database_backend(), count)).await.unwrap().expect("a count");
    assert_eq!(row.try_get_by_index::<i64>(0).unwrap(), 2);
}
