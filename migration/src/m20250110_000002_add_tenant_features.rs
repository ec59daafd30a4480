//! Features, settings, API keys and billing of a tenant.

use sea_orm_migration::{prelude::*, schema::*};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in [tenant_features(), tenant_settings(), api_keys(), billing_cycles()] {
            manager.create_table(table).await?;
        }
        for index in indexes() {
            manager.create_index(index).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["billing_cycles", "api_keys", "tenant_settings", "tenant_features"] {
            manager.drop_table(Table::drop().table(table).to_owned()).await?;
        }
        Ok(())
    }
}

fn tenant_features() -> TableCreateStatement {
    Table::create()
        .table("tenant_features")
        .col(pk_uuid("id"))
        .col(uuid("tenant_id"))
        .col(string_len("feature", 64))
        .col(boolean("enabled").default(false))
        .col(integer_null("usage_limit"))
        .col(timestamp_with_time_zone_null("expires_at"))
        .col(timestamp_with_time_zone_default_now("created_at"))
        .index(Index::create().name("uq_tenant_features_tenant_id_feature").unique().col("tenant_id").col("feature"))
        .foreign_key(&mut of_tenant("fk_tenant_features_tenant_id", "tenant_features"))
        .to_owned()
}

fn tenant_settings() -> TableCreateStatement {
    Table::create()
        .table("tenant_settings")
        .col(pk_uuid("id"))
        .col(uuid("tenant_id"))
        // Not `key`: it is a reserved word on MySQL, and hand-written queries would have to quote it.
        .col(string_len("name", 100))
        .col(json("value"))
        .col(timestamp_with_time_zone_default_now("created_at"))
        .col(timestamp_with_time_zone_default_now("updated_at"))
        .index(Index::create().name("uq_tenant_settings_tenant_id_name").unique().col("tenant_id").col("name"))
        .foreign_key(&mut of_tenant("fk_tenant_settings_tenant_id", "tenant_settings"))
        .to_owned()
}

fn api_keys() -> TableCreateStatement {
    Table::create()
        .table("api_keys")
        .col(pk_uuid("id"))
        .col(uuid("tenant_id"))
        .col(uuid_null("created_by"))
        .col(string_len("name", 100))
        // The first characters, to tell keys apart on a page; the key itself is never stored, only its hash.
        .col(string_len("prefix", 12))
        .col(char_len("key_hash", 64))
        .col(json_null("scopes"))
        .col(timestamp_with_time_zone_null("last_used_at"))
        .col(timestamp_with_time_zone_null("expires_at"))
        .col(timestamp_with_time_zone_null("revoked_at"))
        .col(timestamp_with_time_zone_default_now("created_at"))
        .index(Index::create().name("uq_api_keys_key_hash").unique().col("key_hash"))
        .foreign_key(&mut of_tenant("fk_api_keys_tenant_id", "api_keys"))
        .foreign_key(
            ForeignKey::create()
                .name("fk_api_keys_created_by")
                .from("api_keys", "created_by")
                .to("users", "id")
                .on_delete(ForeignKeyAction::SetNull),
        )
        .to_owned()
}

fn billing_cycles() -> TableCreateStatement {
    Table::create()
        .table("billing_cycles")
        .col(pk_uuid("id"))
        .col(uuid("tenant_id"))
        .col(date("starts_on"))
        .col(date("ends_on"))
        .col(string_len("status", 20).default("open"))
        .col(char_len("currency", 3).default("EUR"))
        .col(decimal_len("amount_due", 12, 2).default(0))
        .col(decimal_len("amount_paid", 12, 2).default(0))
        .col(timestamp_with_time_zone_null("closed_at"))
        .col(timestamp_with_time_zone_default_now("created_at"))
        .index(Index::create().name("uq_billing_cycles_tenant_id_starts_on").unique().col("tenant_id").col("starts_on"))
        .foreign_key(&mut of_tenant("fk_billing_cycles_tenant_id", "billing_cycles"))
        .to_owned()
}

fn indexes() -> [IndexCreateStatement; 4] {
    [
        Index::create().name("ix_api_keys_tenant_id").table("api_keys").col("tenant_id").to_owned(),
        Index::create().name("ix_api_keys_created_by").table("api_keys").col("created_by").to_owned(),
        Index::create().name("ix_api_keys_prefix").table("api_keys").col("prefix").to_owned(),
        Index::create()
            .name("ix_billing_cycles_status_ends_on")
            .table("billing_cycles")
            .col("status")
            .col("ends_on")
            .to_owned(),
    ]
}

fn of_tenant(name: &'static str, table: &'static str) -> ForeignKeyCreateStatement {
    ForeignKey::create()
        .name(name)
        .from(table, "tenant_id")
        .to("tenants", "id")
        .on_delete(ForeignKeyAction::Cascade)
        .to_owned()
}
