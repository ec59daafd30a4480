//! v1.0.0: sales as the previous system stored them, with every amount and date a text, and their expenses.

use sea_orm_migration::{prelude::*, schema::*};

use crate::columns::{BaseColumns, Reference, add_columns, drop_columns, drop_tables, index, money, table};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const PRODUCT: Reference = Reference::new("inventory_items", "product_id", "products");

/// The expenses' link to a legacy sale: a column of its own statement, so that SQLite can drop it again.
pub(crate) const TRANSACTION: Reference = Reference {
    table: "expenses",
    column: "transaction_id",
    parent: "transactions",
    on_delete: ForeignKeyAction::Restrict,
    is_number: true,
};

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(transactions()).await?;
        manager.create_table(expenses()).await?;
        for index in [
            index("ix_transactions_tenant_id", "transactions", ["tenant_id"]),
            index("ix_transactions_external_id", "transactions", ["external_id"]),
            index("ix_expenses_tenant_id_incurred_on", "expenses", ["tenant_id", "incurred_on"]),
        ] {
            manager.create_index(index).await?;
        }
        TRANSACTION.add(manager).await?;
        PRODUCT.add(manager).await?;
        add_columns(manager, "inventory_items", [text_null("sale_overview")]).await?;
        let order_number = string_len("stockx_order_number", 64).default("").take();
        add_columns(manager, "orders", [order_number]).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop_columns(manager, "orders", ["stockx_order_number"]).await?;
        drop_columns(manager, "inventory_items", ["sale_overview"]).await?;
        PRODUCT.drop(manager).await?;
        TRANSACTION.drop(manager).await?;
        drop_tables(manager, ["expenses", "transactions"]).await
    }
}

/// Only the key and the tenant are checked: the old system accepted any input.
fn transactions() -> TableCreateStatement {
    let table = "transactions";
    Table::create()
        .table(table)
        .col(big_integer("id").primary_key())
        .of_tenant(table)
        .col(string_len_null("item_sku", 64))
        .col(string_len_null("platform", 64))
        .col(string_len_null("external_id", 64))
        .col(string_len_null("order_number", 64))
        .col(string_len_null("amount", 64))
        .col(string_len_null("fee", 64))
        .col(string_len_null("shipping", 64))
        .col(string_len_null("sold_on", 64))
        .col(string_len_null("status", 64))
        .col(string_len_null("buyer_city", 100))
        .col(string_len_null("buyer_country", 100))
        .col(text_null("notes"))
        .to_owned()
}

fn expenses() -> TableCreateStatement {
    table("expenses")
        .of_tenant("expenses")
        .col(string_len("category", 40))
        .col(money("amount"))
        .col(char_len("currency", 3).default("EUR"))
        .col(date("incurred_on"))
        .col(text_null("notes"))
        .timestamps()
        .to_owned()
}
