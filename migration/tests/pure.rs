//! The migrations never ask the database anything, so that their SQL can be compiled without one.

use migration::Migrator;
use sea_orm_migration::sea_orm::{DbBackend, MockDatabase, MockExecResult};
use sea_orm_migration::{MigratorTrait, SchemaManager};

#[tokio::test]
async fn up_and_down_only_execute() {
    for backend in [DbBackend::Sqlite, DbBackend::Postgres, DbBackend::MySql] {
        for migration in Migrator::migrations() {
            // The mock answers a statement from this list and a query with an error: it has no rows to give.
            let accepted = vec![MockExecResult::default(); 200];
            let db = MockDatabase::new(backend).append_exec_results(accepted).into_connection();
            let manager = SchemaManager::new(&db);
            let name = migration.name().to_owned();
            migration.up(&manager).await.unwrap_or_else(|error| panic!("{name} up on {backend:?}: {error}"));
            migration.down(&manager).await.unwrap_or_else(|error| panic!("{name} down on {backend:?}: {error}"));
        }
    }
}
