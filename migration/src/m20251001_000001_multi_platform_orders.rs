//! v2.2.2: orders of every platform in one table, and room for the legacy sales.
//!
//! It moves no row; the next migration does, in batches.
//!
//! impact: an order may lack its number; reports of sales can read one table for all platforms
//! rollback: is refused as long as an order has a platform, or an expense has its order: what only these columns hold
//!     would be lost; move it elsewhere first

use sea_orm_migration::sea_orm::{ConnectionTrait, DbBackend};
use sea_orm_migration::{prelude::*, schema::*};

use crate::columns::{Reference, add_columns, drop_columns, drop_index, drop_tables, index, money_or_null};
use crate::guard::only_if_none;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const PLATFORM: Reference =
    Reference { on_delete: ForeignKeyAction::Restrict, ..Reference::new("orders", "platform_id", "platforms") };
const EXPENSE: Reference = Reference::new("expenses", "order_id", "orders");

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        PLATFORM.add(manager).await?;
        add_columns(manager, "orders", order_columns()).await?;
        for (name, columns) in [
            ("uq_orders_platform_id_external_id", vec!["platform_id", "external_id"]),
            ("uq_orders_legacy_transaction_id", vec!["legacy_transaction_id"]),
        ] {
            manager.create_index(index(name, "orders", columns).unique().to_owned()).await?;
        }
        order_number_may_be_missing(manager).await?;
        EXPENSE.add(manager).await?;
        add_columns(manager, "expenses", [big_integer_null("legacy_transaction_id")]).await?;
        manager.create_index(legacy_expenses()).await?;
        manager.create_table(legacy_rejects()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let db = manager.get_connection();
        // Data that only the new columns hold would be lost without a trace.
        only_if_none(
            db,
            "orders_of_a_platform_would_lose_it",
            "SELECT count(*) FROM orders WHERE platform_id IS NOT NULL OR external_id IS NOT NULL",
        )
        .await?;
        only_if_none(db, "expenses_would_lose_their_order", "SELECT count(*) FROM expenses WHERE order_id IS NOT NULL")
            .await?;
        drop_tables(manager, ["legacy_rejects"]).await?;
        drop_index(manager, "expenses", "ix_expenses_legacy_transaction_id").await?;
        drop_columns(manager, "expenses", ["legacy_transaction_id"]).await?;
        EXPENSE.drop(manager).await?;
        order_number_is_required(manager).await?;
        drop_index(manager, "orders", "uq_orders_legacy_transaction_id").await?;
        // The index of the foreign key serves it once this one is gone.
        drop_index(manager, "orders", "uq_orders_platform_id_external_id").await?;
        drop_columns(
            manager,
            "orders",
            [
                "legacy_transaction_id",
                "buyer_country",
                "buyer_postcode",
                "buyer_region",
                "buyer_city",
                "shipping_cost",
                "platform_fee",
                "external_id",
            ],
        )
        .await?;
        PLATFORM.drop(manager).await
    }
}

fn order_columns() -> [ColumnDef; 8] {
    [
        string_len_null("external_id", 64),
        money_or_null("platform_fee"),
        money_or_null("shipping_cost"),
        string_len_null("buyer_city", 100),
        string_len_null("buyer_region", 100),
        string_len_null("buyer_postcode", 20),
        string_len_null("buyer_country", 100),
        big_integer_null("legacy_transaction_id"),
    ]
}

fn legacy_expenses() -> IndexCreateStatement {
    index("ix_expenses_legacy_transaction_id", "expenses", ["legacy_transaction_id"])
}

/// The legacy sales that could not become orders. They stay in the legacy table too; this says why.
fn legacy_rejects() -> TableCreateStatement {
    Table::create()
        .table("legacy_rejects")
        .col(big_integer("transaction_id").primary_key())
        .col(text("reason"))
        .col(text("row_text"))
        .col(timestamp_with_time_zone_default_now("rejected_at"))
        .to_owned()
}

/// StockX's own order number becomes one that an order may lack. SQLite can't take NOT NULL from a column, so there the
/// column is replaced; dropping the old one rewrites the whole table anyway, so its values are not copied in batches.
/// The other engines leave the empty ones to the next migration's batches.
async fn order_number_may_be_missing(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let db = manager.get_connection();
    let statements: &[&str] = match manager.get_database_backend() {
        DbBackend::Postgres => &[
            "ALTER TABLE orders ALTER COLUMN stockx_order_number DROP NOT NULL",
            "ALTER TABLE orders ALTER COLUMN stockx_order_number DROP DEFAULT",
        ],
        DbBackend::Sqlite => &[
            "ALTER TABLE orders RENAME COLUMN stockx_order_number TO required_order_number",
            "ALTER TABLE orders ADD COLUMN stockx_order_number varchar(64)",
            "UPDATE orders SET stockx_order_number = required_order_number WHERE required_order_number <> ''",
            "ALTER TABLE orders DROP COLUMN required_order_number",
        ],
        _ => &["ALTER TABLE orders MODIFY COLUMN stockx_order_number varchar(64) NULL"],
    };
    for sql in statements {
        db.execute_unprepared(sql).await?;
    }
    Ok(())
}

/// The way back; the migration before this one in the same rollback has made the missing ones empty.
async fn order_number_is_required(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let db = manager.get_connection();
    let statements: &[&str] = match manager.get_database_backend() {
        DbBackend::Postgres => &[
            "ALTER TABLE orders ALTER COLUMN stockx_order_number SET DEFAULT ''",
            "ALTER TABLE orders ALTER COLUMN stockx_order_number SET NOT NULL",
        ],
        DbBackend::Sqlite => &[
            "ALTER TABLE orders RENAME COLUMN stockx_order_number TO optional_order_number",
            "ALTER TABLE orders ADD COLUMN stockx_order_number varchar(64) NOT NULL DEFAULT ''",
            "UPDATE orders SET stockx_order_number = optional_order_number WHERE optional_order_number <> ''",
            "ALTER TABLE orders DROP COLUMN optional_order_number",
        ],
        _ => &["ALTER TABLE orders MODIFY COLUMN stockx_order_number varchar(64) NOT NULL DEFAULT ''"],
    };
    for sql in statements {
        db.execute_unprepared(sql).await?;
    }
    Ok(())
}
