//! SeaORM's own runner, exactly as its documentation has it: one tenant a process, `seaorm-runner up -u URL`.

#[tokio::main]
async fn main() {
    sea_orm_migration::cli::run_cli(migration::Migrator).await;
}
