//! The approvals of saved plans.

use sea_orm_migration::prelude::*;

use super::{long_text, table};

pub(super) struct Migration;

pub(super) const NAME: &str = "m0004_approvals";

impl MigrationName for Migration {
    fn name(&self) -> &str {
        NAME
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let mut approval = table(manager, "fleet_approval");
        approval.col(ColumnDef::new("id").string_len(36).not_null().primary_key());
        approval.col(ColumnDef::new("digest").string_len(64).not_null());
        approval.col(long_text(manager, "approver").not_null()).col(long_text(manager, "origin").not_null());
        approval.col(ColumnDef::new("at_ms").big_integer().not_null()).col(long_text(manager, "plan").not_null());
        manager.create_table(approval).await
    }
}
