//! The texts of the scripts that a run brings.

use sea_orm_migration::prelude::*;

use super::{long_text, run_id, table};

pub(super) struct Migration;

pub(super) const NAME: &str = "m0009_texts";

impl MigrationName for Migration {
    fn name(&self) -> &str {
        NAME
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let mut texts = table(manager, "fleet_run_texts");
        texts.col(run_id().primary_key()).col(long_text(manager, "texts").not_null());
        manager.create_table(texts).await
    }
}
