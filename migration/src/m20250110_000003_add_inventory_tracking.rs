//! Locations and movements of stock, labels and reorder levels.

use sea_orm_migration::{prelude::*, schema::*};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(locations()).await?;
        manager.create_table(inventory_transactions()).await?;
        // One column per statement: SQLite's ALTER TABLE takes no more.
        for column in item_columns() {
            manager.alter_table(Table::alter().table("inventory_items").add_column(column).to_owned()).await?;
        }
        for index in indexes() {
            manager.create_index(index).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // SQLite refuses to drop a column that an index still uses.
        for index in ["ix_inventory_items_barcode", "uq_inventory_items_tenant_id_sku"] {
            manager.drop_index(Index::drop().name(index).table("inventory_items").to_owned()).await?;
        }
        for column in ["reorder_quantity", "reorder_point", "barcode", "sku"] {
            manager.alter_table(Table::alter().table("inventory_items").drop_column(column).to_owned()).await?;
        }
        for table in ["inventory_transactions", "locations"] {
            manager.drop_table(Table::drop().table(table).to_owned()).await?;
        }
        Ok(())
    }
}

fn locations() -> TableCreateStatement {
    Table::create()
        .table("locations")
        .col(pk_uuid("id"))
        .col(uuid("tenant_id"))
        .col(string_len("code", 32))
        .col(string_len("name", 200))
        .col(string_len("kind", 20).default("warehouse"))
        .col(json_null("address"))
        .col(boolean("is_active").default(true))
        .col(timestamp_with_time_zone_default_now("created_at"))
        .index(Index::create().name("uq_locations_tenant_id_code").unique().col("tenant_id").col("code"))
        .foreign_key(
            ForeignKey::create()
                .name("fk_locations_tenant_id")
                .from("locations", "tenant_id")
                .to("tenants", "id")
                .on_delete(ForeignKeyAction::Cascade),
        )
        .to_owned()
}

fn inventory_transactions() -> TableCreateStatement {
    let table = "inventory_transactions";
    Table::create()
        .table(table)
        .col(pk_uuid("id"))
        .col(uuid("inventory_item_id"))
        .col(uuid_null("location_id"))
        .col(uuid_null("performed_by"))
        .col(string_len("kind", 20))
        // Positive for stock in, negative for stock out.
        .col(integer("quantity_change"))
        .col(decimal_len_null("unit_cost", 12, 2))
        .col(string_len_null("reference", 64))
        .col(text_null("notes"))
        .col(timestamp_with_time_zone_default_now("occurred_at"))
        .foreign_key(
            ForeignKey::create()
                .name("fk_inventory_transactions_inventory_item_id")
                .from(table, "inventory_item_id")
                .to("inventory_items", "id")
                .on_delete(ForeignKeyAction::Cascade),
        )
        .foreign_key(
            ForeignKey::create()
                .name("fk_inventory_transactions_location_id")
                .from(table, "location_id")
                .to("locations", "id")
                .on_delete(ForeignKeyAction::SetNull),
        )
        .foreign_key(
            ForeignKey::create()
                .name("fk_inventory_transactions_performed_by")
                .from(table, "performed_by")
                .to("users", "id")
                .on_delete(ForeignKeyAction::SetNull),
        )
        .to_owned()
}

/// Columns for a table that already has rows: each is nullable or has a default.
fn item_columns() -> [ColumnDef; 4] {
    [
        string_len_null("sku", 64),
        string_len_null("barcode", 64),
        integer("reorder_point").default(0).take(),
        integer("reorder_quantity").default(0).take(),
    ]
}

fn indexes() -> [IndexCreateStatement; 5] {
    let table = "inventory_transactions";
    [
        Index::create()
            .name("uq_inventory_items_tenant_id_sku")
            .table("inventory_items")
            .unique()
            .col("tenant_id")
            .col("sku")
            .to_owned(),
        Index::create().name("ix_inventory_items_barcode").table("inventory_items").col("barcode").to_owned(),
        Index::create()
            .name("ix_inventory_transactions_inventory_item_id_occurred_at")
            .table(table)
            .col("inventory_item_id")
            .col("occurred_at")
            .to_owned(),
        Index::create().name("ix_inventory_transactions_location_id").table(table).col("location_id").to_owned(),
        Index::create().name("ix_inventory_transactions_performed_by").table(table).col("performed_by").to_owned(),
    ]
}
