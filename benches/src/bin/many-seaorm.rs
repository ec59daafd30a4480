//! SeaORM's `Migrator::up` for the catalog of many small migrations, on one database: `many-seaorm URL`.

use std::process::ExitCode;

use fleet_bench::many::ManyMigrator;
use sea_orm::{ConnectOptions, Database};
use sea_orm_migration::MigratorTrait as _;

#[tokio::main]
async fn main() -> ExitCode {
    let Some(url) = std::env::args().nth(1) else {
        eprintln!("usage: many-seaorm URL");
        return ExitCode::FAILURE;
    };
    let mut options = ConnectOptions::new(url);
    options.max_connections(1).sqlx_logging(false);
    let done = async {
        let db = Database::connect(options).await?;
        ManyMigrator::up(&db, None).await?;
        db.close().await
    };
    match done.await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("many-seaorm: {error}");
            ExitCode::FAILURE
        }
    }
}
