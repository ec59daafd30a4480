//! v2.2.1: thirteen fields for the proceeds of a sale.
//!
//! impact: what writes sales has places for tax, proceeds, payout and shelf life
//! rollback: the values of all thirteen fields are lost, and what writes sales fails until they are there again

use sea_orm_migration::{prelude::*, schema::*};

use crate::columns::{add_columns, drop_columns};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        add_columns(manager, "orders", fields()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // In the order of `fields`, from the last to the first.
        drop_columns(
            manager,
            "orders",
            [
                "shelf_life_days",
                "payout_date",
                "payout_received",
                "roi",
                "net_profit",
                "gross_profit",
                "net_proceeds",
                "gross_sale",
                "net_buy",
                "gross_buy",
                "vat_rate",
                "vat_amount",
                "sold_at",
            ],
        )
        .await
    }
}

fn fields() -> [ColumnDef; 13] {
    // Wider than a price: differences of prices go in here.
    let amount = |name| decimal_len_null(name, 14, 2);
    [
        timestamp_with_time_zone_null("sold_at"),
        amount("vat_amount"),
        // A share: 0.19 is 19 %.
        decimal_len_null("vat_rate", 6, 4),
        amount("gross_buy"),
        amount("net_buy"),
        amount("gross_sale"),
        amount("net_proceeds"),
        amount("gross_profit"),
        amount("net_profit"),
        // In percent of what was paid.
        decimal_len_null("roi", 18, 4),
        boolean("payout_received").default(false).take(),
        date_null("payout_date"),
        integer_null("shelf_life_days"),
    ]
}
