//! Requests to pause a run that goes on.

use sea_orm_migration::prelude::*;

use super::{long_text, run_id, table};

pub(super) struct Migration;

pub(super) const NAME: &str = "m0010_pauses";

impl MigrationName for Migration {
    fn name(&self) -> &str {
        NAME
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let mut pause = table(manager, "fleet_pause");
        pause.col(run_id().primary_key()).col(long_text(manager, "request"));
        manager.create_table(pause).await
    }
}
