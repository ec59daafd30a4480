//! The database that each tenant of a run had.

use sea_orm_migration::prelude::*;

use super::long_text;

pub(super) struct Migration;

pub(super) const NAME: &str = "m0006_databases";

impl MigrationName for Migration {
    fn name(&self) -> &str {
        NAME
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        if manager.has_column("fleet_tenant", "database_at").await? {
            return Ok(());
        }
        let column = long_text(manager, "database_at");
        manager.alter_table(Table::alter().table("fleet_tenant").add_column(column).to_owned()).await
    }
}
