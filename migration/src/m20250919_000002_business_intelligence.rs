//! v2.1.0: reporting data of purchases, suppliers, brands and products.

use sea_orm_migration::{prelude::*, schema::*};

use crate::columns::{add_columns, drop_columns, money_or_null};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let condition = string_len_null("item_condition", 20);
        add_columns(
            manager,
            "inventory_items",
            [money_or_null("purchase_price"), date_null("purchased_on"), condition],
        )
        .await?;
        let rating = decimal_len_null("rating", 3, 2);
        add_columns(manager, "suppliers", [rating, decimal_len_null("average_roi", 18, 4)]).await?;
        add_columns(manager, "brands", [string_len_null("segment", 40)]).await?;
        add_columns(manager, "products", [date_null("released_on")]).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop_columns(manager, "products", ["released_on"]).await?;
        drop_columns(manager, "brands", ["segment"]).await?;
        drop_columns(manager, "suppliers", ["average_roi", "rating"]).await?;
        drop_columns(manager, "inventory_items", ["item_condition", "purchased_on", "purchase_price"]).await
    }
}
