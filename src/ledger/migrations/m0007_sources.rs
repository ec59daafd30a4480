//! The tenants that sources gave.

use sea_orm_migration::prelude::*;

use super::table;

pub(super) struct Migration;

pub(super) const NAME: &str = "m0007_sources";

/// The longest name of a source and the longest id, in characters.
const LONGEST: u32 = 128;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        NAME
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let mut source = table(manager, "fleet_source");
        source.col(ColumnDef::new("source").string_len(LONGEST).not_null().primary_key());
        source.col(ColumnDef::new("run").string_len(36)).col(ColumnDef::new("at_ms").big_integer().not_null());
        manager.create_table(source).await?;
        let mut tenant = table(manager, "fleet_source_tenant");
        tenant.col(ColumnDef::new("source").string_len(LONGEST).not_null());
        tenant.col(ColumnDef::new("tenant").string_len(LONGEST).not_null());
        tenant.primary_key(Index::create().col("source").col("tenant"));
        manager.create_table(tenant).await
    }
}
