//! Users, inventory and orders.

use sea_orm_migration::{prelude::*, schema::*};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in [tenants(), users(), inventory_items(), orders(), order_items(), audit_logs()] {
            manager.create_table(table).await?;
        }
        for index in indexes() {
            manager.create_index(index).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // A table is dropped before those its foreign keys reference; its indexes are dropped with it.
        for table in ["audit_logs", "order_items", "orders", "inventory_items", "users", "tenants"] {
            manager.drop_table(Table::drop().table(table).to_owned()).await?;
        }
        Ok(())
    }
}

fn tenants() -> TableCreateStatement {
    Table::create()
        .table("tenants")
        .col(pk_uuid("id"))
        .col(string_len("slug", 63))
        .col(string_len("name", 200))
        .col(string_len("plan", 20).default("starter"))
        .col(string_len("status", 20).default("active"))
        .col(timestamp_with_time_zone_default_now("created_at"))
        .col(timestamp_with_time_zone_default_now("updated_at"))
        .index(Index::create().name("uq_tenants_slug").unique().col("slug"))
        .to_owned()
}

fn users() -> TableCreateStatement {
    Table::create()
        .table("users")
        .col(pk_uuid("id"))
        .col(uuid("tenant_id"))
        .col(string_len("email", 254))
        .col(string_len("full_name", 200))
        .col(string_len("password_hash", 255))
        .col(string_len("role", 20).default("member"))
        .col(boolean("is_active").default(true))
        .col(timestamp_with_time_zone_null("last_login_at"))
        .col(timestamp_with_time_zone_default_now("created_at"))
        .col(timestamp_with_time_zone_default_now("updated_at"))
        .index(Index::create().name("uq_users_tenant_id_email").unique().col("tenant_id").col("email"))
        .foreign_key(belongs_to("fk_users_tenant_id", "users", "tenant_id", "tenants").on_delete(Cascade))
        .to_owned()
}

fn inventory_items() -> TableCreateStatement {
    Table::create()
        .table("inventory_items")
        .col(pk_uuid("id"))
        .col(uuid("tenant_id"))
        .col(string_len("name", 200))
        .col(text_null("description"))
        .col(integer("quantity").default(0))
        .col(decimal_len("unit_price", 12, 2).default(0))
        .col(string_len("status", 20).default("active"))
        .col(timestamp_with_time_zone_default_now("created_at"))
        .col(timestamp_with_time_zone_default_now("updated_at"))
        .foreign_key(
            belongs_to("fk_inventory_items_tenant_id", "inventory_items", "tenant_id", "tenants").on_delete(Cascade),
        )
        .to_owned()
}

fn orders() -> TableCreateStatement {
    Table::create()
        .table("orders")
        .col(pk_uuid("id"))
        .col(uuid("tenant_id"))
        .col(uuid_null("placed_by"))
        .col(string_len("number", 32))
        .col(string_len("status", 20).default("draft"))
        .col(char_len("currency", 3).default("EUR"))
        .col(decimal_len("total", 12, 2).default(0))
        .col(text_null("notes"))
        .col(timestamp_with_time_zone_null("placed_at"))
        .col(timestamp_with_time_zone_default_now("created_at"))
        .col(timestamp_with_time_zone_default_now("updated_at"))
        .index(Index::create().name("uq_orders_tenant_id_number").unique().col("tenant_id").col("number"))
        .foreign_key(belongs_to("fk_orders_tenant_id", "orders", "tenant_id", "tenants").on_delete(Cascade))
        .foreign_key(belongs_to("fk_orders_placed_by", "orders", "placed_by", "users").on_delete(SetNull))
        .to_owned()
}

fn order_items() -> TableCreateStatement {
    Table::create()
        .table("order_items")
        .col(pk_uuid("id"))
        .col(uuid("order_id"))
        .col(uuid("inventory_item_id"))
        .col(integer("quantity"))
        .col(decimal_len("unit_price", 12, 2))
        .col(decimal_len("line_total", 12, 2))
        .col(timestamp_with_time_zone_default_now("created_at"))
        .index(
            Index::create()
                .name("uq_order_items_order_id_inventory_item_id")
                .unique()
                .col("order_id")
                .col("inventory_item_id"),
        )
        .foreign_key(belongs_to("fk_order_items_order_id", "order_items", "order_id", "orders").on_delete(Cascade))
        .foreign_key(
            belongs_to("fk_order_items_inventory_item_id", "order_items", "inventory_item_id", "inventory_items")
                .on_delete(Restrict),
        )
        .to_owned()
}

fn audit_logs() -> TableCreateStatement {
    Table::create()
        .table("audit_logs")
        .col(pk_uuid("id"))
        .col(uuid("tenant_id"))
        .col(uuid_null("user_id"))
        .col(string_len("action", 64))
        .col(string_len("entity_type", 64))
        .col(uuid_null("entity_id"))
        .col(json_null("changes"))
        .col(string_len_null("ip_address", 45))
        .col(timestamp_with_time_zone_default_now("created_at"))
        .foreign_key(belongs_to("fk_audit_logs_tenant_id", "audit_logs", "tenant_id", "tenants").on_delete(Cascade))
        .foreign_key(belongs_to("fk_audit_logs_user_id", "audit_logs", "user_id", "users").on_delete(SetNull))
        .to_owned()
}

/// The plain indexes. Each foreign key column leads one (here or in a unique index above), so that deleting a parent
/// row never scans a child table, and so that MySQL's own hidden index for the key never has to step in.
fn indexes() -> [IndexCreateStatement; 8] {
    let index = |name: &'static str, table: &'static str, columns: &[&'static str]| {
        let mut index = Index::create().name(name).table(table).to_owned();
        for column in columns {
            index.col(*column);
        }
        index
    };
    [
        index("ix_users_email", "users", &["email"]),
        index("ix_inventory_items_tenant_id_status", "inventory_items", &["tenant_id", "status"]),
        index("ix_inventory_items_name", "inventory_items", &["name"]),
        index("ix_orders_tenant_id_status_placed_at", "orders", &["tenant_id", "status", "placed_at"]),
        index("ix_orders_placed_by", "orders", &["placed_by"]),
        index("ix_order_items_inventory_item_id", "order_items", &["inventory_item_id"]),
        index("ix_audit_logs_tenant_id_created_at", "audit_logs", &["tenant_id", "created_at"]),
        index("ix_audit_logs_user_id", "audit_logs", &["user_id"]),
    ]
}

use ForeignKeyAction::{Cascade, Restrict, SetNull};

/// A foreign key to `parent(id)`. It is written inside CREATE TABLE: SQLite can't add one later.
fn belongs_to(
    name: &'static str,
    child: &'static str,
    column: &'static str,
    parent: &'static str,
) -> ForeignKeyCreateStatement {
    ForeignKey::create().name(name).from(child, column).to(parent, "id").to_owned()
}
