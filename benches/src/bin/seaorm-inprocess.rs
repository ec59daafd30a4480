//! SeaORM's `Migrator::up` on all tenants from one process: what a team writes in an afternoon.
//!
//! `seaorm-inprocess TENANTS CONCURRENCY`

use std::process::ExitCode;

use fleet_bench::{for_each, read_tenants};
use migration::Migrator;
use sea_orm::{ConnectOptions, Database};
use sea_orm_migration::MigratorTrait as _;

#[tokio::main]
async fn main() -> ExitCode {
    match start().await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("seaorm-inprocess: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn start() -> Result<ExitCode, String> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let usage = || "usage: seaorm-inprocess TENANTS CONCURRENCY".to_owned();
    let [tenants, concurrency] = arguments.as_slice() else { return Err(usage()) };
    let concurrency: usize = concurrency.parse().map_err(|_| usage())?;
    Ok(for_each(read_tenants(tenants)?, concurrency, |url| async move {
        let mut options = ConnectOptions::new(url);
        options.max_connections(1).sqlx_logging(false);
        let db = Database::connect(options).await?;
        Migrator::up(&db, None).await?;
        db.close().await
    })
    .await)
}
