//! The migrator alone, with SeaORM's own runner: what `fleet` is given works without `fleet`.

#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

#[path = "../src/migrations/mod.rs"]
mod migrations;
#[path = "../src/migrator.rs"]
mod migrator;

use std::time::{SystemTime, UNIX_EPOCH};

use sea_orm_migration::MigratorTrait;
use sea_orm_migration::sea_orm::{ConnectionTrait, Database, DatabaseConnection, Statement};

use migrator::ServiceMigrator;

#[tokio::test]
async fn sqlite() {
    let db = Database::connect("sqlite::memory:").await.unwrap();
    up_and_one_back(&db).await;
}

#[tokio::test]
async fn postgres() {
    on_server("FLEET_TEST_POSTGRES_URL").await;
}

#[tokio::test]
async fn mariadb() {
    on_server("FLEET_TEST_MARIADB_URL").await;
}

async fn on_server(variable: &str) {
    let server_url = std::env::var(variable)
        .unwrap_or_else(|_| panic!("{variable} is not set; run `eval \"$(scripts/servers start)\"` first"));
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos();
    let name = format!("embed_test_{nanos}");
    let (prefix, _) = server_url.rsplit_once('/').unwrap();

    let server = Database::connect(&server_url).await.unwrap();
    server.execute_unprepared(&format!("CREATE DATABASE {name}")).await.unwrap();
    let db = Database::connect(format!("{prefix}/{name}")).await.unwrap();
    up_and_one_back(&db).await;
    db.close().await.unwrap();
    server.execute_unprepared(&format!("DROP DATABASE {name}")).await.unwrap();
    server.close().await.unwrap();
}

async fn up_and_one_back(db: &DatabaseConnection) {
    ServiceMigrator::up(db, Some(1)).await.unwrap();
    db.execute_unprepared("INSERT INTO plans (code, title, monthly_price) VALUES ('trial', 'Trial', 0)").await.unwrap();
    db.execute_unprepared("INSERT INTO subscriptions (plan_code, email) VALUES ('trial', 'Grace@Acme.example')")
        .await
        .unwrap();

    ServiceMigrator::up(db, None).await.unwrap();
    assert_eq!(text(db, "SELECT email FROM subscriptions").await, "grace@acme.example");
    assert_eq!(text(db, "SELECT title FROM plans WHERE code = 'enterprise'").await, "Enterprise (up to 500 seats)");
    assert_eq!(
        text(db, "SELECT max(version) FROM service_migrations").await,
        "m20250222_000004_index_renewals",
        "the history is in the service's own table"
    );

    ServiceMigrator::down(db, Some(1)).await.unwrap();
    let refused = ServiceMigrator::down(db, Some(1)).await;
    assert!(refused.is_err(), "a migration without `down` was rolled back");
    assert_eq!(
        text(db, "SELECT max(version) FROM service_migrations").await,
        "m20250215_000003_lower_case_emails",
        "the refused one is still in the history"
    );
}

async fn text(db: &DatabaseConnection, query: &str) -> String {
    let row = db.query_one_raw(Statement::from_string(db.get_database_backend(), query)).await.unwrap();
    row.expect("one row").try_get_by_index(0).unwrap()
}
