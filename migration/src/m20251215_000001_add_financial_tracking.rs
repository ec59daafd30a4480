//! Budgets, monthly costs of goods, and the purchase, order and holding costs of a product.
//!
//! The names of indexes and keys are those of the guide this follows, where a tenant is called a client.

use sea_orm_migration::{prelude::*, schema::*};

use crate::columns::{BaseColumns, add_columns, drop_columns, drop_tables, index, money, money_or_null, table, unique};
use crate::touch;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(budgets(manager)).await?;
        manager.create_table(cost_tracking()).await?;
        for index in [
            index("budgets_client_id_period_start_idx", "budgets", ["tenant_id", "period_start"]),
            index("budgets_product_id_idx", "budgets", ["product_id"]),
            index("cost_tracking_product_id_idx", "cost_tracking", ["product_id"]),
            index("cost_tracking_period_idx", "cost_tracking", ["period"]),
        ] {
            manager.create_index(index).await?;
        }
        touch::keep(manager, "budgets").await?;
        add_columns(
            manager,
            "products",
            [
                money_or_null("unit_cost"),
                money_or_null("unit_price"),
                money_or_null("reorder_cost"),
                decimal_len_null("holding_cost_rate", 6, 4),
                timestamp_with_time_zone_null("last_cost_update"),
                string_len_null("cost_source", 40),
            ],
        )
        .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let columns =
            ["cost_source", "last_cost_update", "holding_cost_rate", "reorder_cost", "unit_price", "unit_cost"];
        drop_columns(manager, "products", columns).await?;
        drop_tables(manager, ["cost_tracking", "budgets"]).await?;
        touch::forget(manager, "budgets").await
    }
}

fn budgets(manager: &SchemaManager<'_>) -> TableCreateStatement {
    table("budgets")
        .of_tenant("budgets")
        .col(uuid_null("product_id"))
        .col(string_len("name", 200))
        .col(date("period_start"))
        .col(date("period_end"))
        .col(money("budgeted_amount"))
        .col(money("actual_amount").default(0))
        .col(money_or_null("variance"))
        .col(char_len("currency", 3).default("EUR"))
        .col(timestamp_with_time_zone_default_now("created_at"))
        .col(touch::updated_at(manager))
        .references("budgets", "product_id", "products", ForeignKeyAction::Cascade)
        .to_owned()
}

fn cost_tracking() -> TableCreateStatement {
    let name = "cost_tracking";
    table(name)
        .of_tenant(name)
        .col(uuid("product_id"))
        // The first day of the month.
        .col(date("period"))
        .col(integer("units_purchased").default(0))
        .col(money("purchase_cost").default(0))
        .col(money("ordering_cost").default(0))
        .col(money("holding_cost").default(0))
        .col(money("total_cost").default(0))
        .col(integer_null("annual_demand"))
        .col(integer_null("economic_order_quantity"))
        .timestamps()
        .index(&mut unique("cost_tracking_client_id_product_id_period_key", ["tenant_id", "product_id", "period"]))
        .references(name, "product_id", "products", ForeignKeyAction::Cascade)
        .to_owned()
}
