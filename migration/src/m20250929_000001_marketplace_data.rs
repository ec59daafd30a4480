//! v2.2.0: the sales platforms, and their present and former prices.

use sea_orm_migration::sea_orm::prelude::Uuid;
use sea_orm_migration::{prelude::*, schema::*};

use crate::columns::{BaseColumns, drop_tables, index, money, money_or_null, table, unique};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

/// The platforms that every tenant knows: the number that is the id, code, name.
const PLATFORMS: [(u8, &str, &str); 5] = [
    (1, "stockx", "StockX"),
    (2, "ebay", "eBay"),
    (3, "goat", "GOAT"),
    (4, "grailed", "Grailed"),
    (5, "direct", "Direct sale"),
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in [platforms(), marketplace_data(), marketplace_price_history()] {
            manager.create_table(table).await?;
        }
        for index in [
            index("ix_marketplace_data_platform_id", "marketplace_data", ["platform_id"]),
            index(
                "ix_marketplace_price_history_marketplace_data_id_observed_at",
                "marketplace_price_history",
                ["marketplace_data_id", "observed_at"],
            ),
        ] {
            manager.create_index(index).await?;
        }
        for (number, code, name) in PLATFORMS {
            let id = Uuid::from_u128(u128::from(number));
            let insert = Query::insert()
                .into_table("platforms")
                .columns(["id", "code", "name"])
                .values_panic([id.into(), code.into(), name.into()])
                .to_owned();
            manager.execute(insert).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop_tables(manager, ["marketplace_price_history", "marketplace_data", "platforms"]).await
    }
}

fn platforms() -> TableCreateStatement {
    table("platforms")
        .col(string_len("code", 40))
        .col(string_len("name", 100))
        .col(decimal_len_null("fee_rate", 6, 4))
        .col(json_null("settings"))
        .col(boolean("is_active").default(true))
        .timestamps()
        .index(&mut unique("uq_platforms_code", ["code"]))
        .to_owned()
}

fn marketplace_data() -> TableCreateStatement {
    let name = "marketplace_data";
    table(name)
        .col(uuid("product_id"))
        .col(uuid("platform_id"))
        .col(money_or_null("market_price"))
        .col(money_or_null("lowest_ask"))
        .col(money_or_null("highest_bid"))
        .col(money_or_null("last_sale_price"))
        .col(decimal_len_null("fee_rate", 6, 4))
        .col(boolean("is_available").default(true))
        .col(boolean("is_repriced").default(false))
        .col(money_or_null("lowest_own_price"))
        .col(timestamp_with_time_zone_null("fetched_at"))
        .timestamps()
        .index(&mut unique("uq_marketplace_data_product_id_platform_id", ["product_id", "platform_id"]))
        .references(name, "product_id", "products", ForeignKeyAction::Cascade)
        .references(name, "platform_id", "platforms", ForeignKeyAction::Restrict)
        .to_owned()
}

fn marketplace_price_history() -> TableCreateStatement {
    let name = "marketplace_price_history";
    table(name)
        .col(uuid("marketplace_data_id"))
        .col(money("market_price"))
        .col(money_or_null("lowest_ask"))
        .col(money_or_null("highest_bid"))
        .col(timestamp_with_time_zone_default_now("observed_at"))
        .references(name, "marketplace_data_id", "marketplace_data", ForeignKeyAction::Cascade)
        .to_owned()
}
