//! v2.2.3: drops an item's text about its sale, because the order has that information.
//!
//! It never drops a text that no order replaces: the engine refuses first.
//!
//! impact: what still reads the column fails
//! rollback: the column comes back with texts that are made from the orders; those that were written by hand are lost

use sea_orm_migration::sea_orm::DbBackend;
use sea_orm_migration::{prelude::*, schema::text_null};

use crate::batch::{change_rows, in_batches};
use crate::columns::{add_columns, drop_columns};
use crate::guard::only_if_none;
use crate::legacy::Legacy;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

/// An order that has the shelf life and the sale of item `{item}`.
const SUPERSEDED: &str = "FROM order_items l JOIN orders o ON o.id = l.order_id \
     WHERE l.inventory_item_id = {item} AND o.shelf_life_days IS NOT NULL AND o.status <> 'draft'";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        // The way down fills the column in batches.
        Some(false)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let superseded = SUPERSEDED.replace("{item}", "i.id");
        only_if_none(
            manager.get_connection(),
            "sale_overview_is_not_superseded_by_an_order",
            &format!(
                "SELECT count(*) FROM inventory_items i \
                 WHERE i.sale_overview IS NOT NULL AND trim(i.sale_overview) <> '' AND NOT EXISTS (SELECT 1 {superseded})"
            ),
        )
        .await?;
        drop_columns(manager, "inventory_items", ["sale_overview"]).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        add_columns(manager, "inventory_items", [text_null("sale_overview")]).await?;
        let backend = manager.get_database_backend();
        // The latest sale, should an item have been sold, returned and sold again.
        let superseded = SUPERSEDED.replace("{item}", "inventory_items.id");
        let line = Legacy::new(backend).concat(&["o.status", "' after '", "o.shelf_life_days", "' days'"]);
        let set = format!("sale_overview = (SELECT {line} {superseded} ORDER BY o.sold_at DESC, o.id LIMIT 1)");
        // `change_rows` looks for rows under the name x, but for MySQL.
        let row = if backend == DbBackend::MySql { "inventory_items.id" } else { "x.id" };
        let of_row = SUPERSEDED.replace("{item}", row);
        let condition = format!("sale_overview IS NULL AND EXISTS (SELECT 1 {of_row})");
        in_batches(manager.get_connection(), &change_rows(backend, "inventory_items", &set, &condition)).await
    }
}
