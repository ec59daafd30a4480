//! Version 2: the origin of a run, its heartbeat, and its events between the outcomes.

use sea_orm_migration::prelude::*;

use super::{long_text, run_id, table};

pub(super) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m0002_live_runs"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let columns = [
            ColumnDef::new("heartbeat_at_ms").big_integer().to_owned(),
            long_text(manager, "started_by"),
            long_text(manager, "selection"),
        ];
        for column in columns {
            let name = column.get_column_name();
            if !manager.has_column("fleet_run", &name).await? {
                manager.alter_table(Table::alter().table("fleet_run").add_column(column).to_owned()).await?;
            }
        }
        let mut event = table(manager, "fleet_event");
        event.col(run_id()).col(ColumnDef::new("seq").big_integer().not_null());
        event.col(ColumnDef::new("at_ms").big_integer().not_null()).col(long_text(manager, "event").not_null());
        event.primary_key(Index::create().col("run").col("seq"));
        manager.create_table(event).await?;

        let mut progress = table(manager, "fleet_progress");
        progress.col(run_id()).col(ColumnDef::new("place").big_integer().not_null());
        progress.col(ColumnDef::new("at_ms").big_integer().not_null()).col(long_text(manager, "event").not_null());
        progress.primary_key(Index::create().col("run").col("place"));
        manager.create_table(progress).await
    }
}
