//! v2.2.2: the legacy sales become orders, in batches; those that can't are named with the reason.
//!
//! It changes no table's shape and deletes no legacy row. Every statement can be repeated, so that a run that was
//! interrupted simply goes on.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

use crate::batch::{ROWS, change_rows, delete_rows, in_batches, report};
use crate::guard::only_if_none;
use crate::legacy::{Legacy, SALE};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        // Each batch has its own transaction.
        Some(false)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let db = manager.get_connection();
        let backend = manager.get_database_backend();
        let legacy = Legacy::new(backend);
        // All errors are known before the first order is created: no order is created from a rejected row.
        in_batches(db, &reject_unusable(legacy)).await?;
        in_batches(db, &reject_taken_numbers(legacy)).await?;
        in_batches(db, &reject_duplicates(legacy)).await?;
        in_batches(db, &make_orders(legacy)).await?;
        in_batches(db, &make_order_items(legacy)).await?;
        in_batches(db, &link_expenses(backend)).await?;
        if backend != DbBackend::Sqlite {
            // On SQLite the column was replaced with the empty ones left out.
            in_batches(db, &change_rows(backend, "orders", "stockx_order_number = NULL", "stockx_order_number = ''"))
                .await?;
        }
        let line = legacy.concat(&["'transaction '", "transaction_id", "': '", "reason"]);
        report(db, &format!("SELECT {line} FROM legacy_rejects ORDER BY transaction_id")).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let db = manager.get_connection();
        let backend = manager.get_database_backend();
        only_if_none(
            db,
            "new_expenses_would_lose_their_order",
            "SELECT count(*) FROM expenses WHERE order_id IS NOT NULL AND legacy_transaction_id IS NULL",
        )
        .await?;
        // Created from a legacy sale and changed since: the legacy sale does not have the change.
        only_if_none(
            db,
            "changed_orders_would_be_deleted",
            "SELECT count(*) FROM orders WHERE legacy_transaction_id IS NOT NULL AND updated_at <> created_at",
        )
        .await?;
        in_batches(
            db,
            &change_rows(
                backend,
                "expenses",
                "order_id = NULL, legacy_transaction_id = NULL",
                "legacy_transaction_id IS NOT NULL",
            ),
        )
        .await?;
        // Their lines are deleted with them.
        in_batches(db, &delete_rows(backend, "orders", "id", "legacy_transaction_id IS NOT NULL")).await?;
        // The rejects stay recorded: the way up adds those that are missing.
        in_batches(db, &change_rows(backend, "orders", "stockx_order_number = ''", "stockx_order_number IS NULL")).await
    }
}

const NOT_REJECTED: &str = "NOT EXISTS (SELECT 1 FROM legacy_rejects r WHERE r.transaction_id = t.id)";
const NOT_AN_ORDER: &str = "NOT EXISTS (SELECT 1 FROM orders o WHERE o.legacy_transaction_id = t.id)";

fn reject(legacy: Legacy, reason: &str, from: &str, condition: &str) -> String {
    format!(
        "INSERT INTO legacy_rejects (transaction_id, reason, row_text) \
         SELECT t.id, {reason}, {} FROM {from} WHERE {condition} AND {NOT_REJECTED} AND {NOT_AN_ORDER} \
         ORDER BY t.id LIMIT {ROWS}",
        legacy.row_text()
    )
}

fn reject_unusable(legacy: Legacy) -> String {
    let reason = legacy.reason();
    reject(legacy, &reason, SALE, &format!("({reason}) IS NOT NULL"))
}

/// The number of an order created from a legacy sale; it has a prefix that no other order should have.
fn number(legacy: Legacy) -> String {
    legacy.concat(&["'LEGACY-'", "t.id"])
}

fn reject_taken_numbers(legacy: Legacy) -> String {
    let reason = legacy.concat(&["'order number ''LEGACY-'", "t.id", "''' is taken by another order'"]);
    let taken = format!(
        "EXISTS (SELECT 1 FROM orders n WHERE n.tenant_id = t.tenant_id AND n.number = {} \
         AND n.legacy_transaction_id IS NULL)",
        number(legacy)
    );
    reject(legacy, &reason, "transactions t", &taken)
}

/// An external id is a platform's own: the first sale (and before it, an order that is there) keeps it.
fn reject_duplicates(legacy: Legacy) -> String {
    let reason = legacy.concat(&[
        "'external id '''",
        "t.external_id",
        "''' of platform '''",
        "t.platform",
        "''' is taken by an earlier sale'",
    ]);
    let earlier = "EXISTS (SELECT 1 FROM transactions d WHERE d.external_id = t.external_id AND d.id < t.id \
         AND lower(trim(d.platform)) = lower(trim(t.platform)) \
         AND NOT EXISTS (SELECT 1 FROM legacy_rejects e WHERE e.transaction_id = d.id))";
    let order = "EXISTS (SELECT 1 FROM orders n WHERE n.platform_id = p.id AND n.external_id = t.external_id)";
    reject(legacy, &reason, SALE, &format!("trim(t.external_id) <> '' AND ({earlier} OR {order})"))
}

/// A batch begins after the last sale that is an order, so that none is examined twice.
fn make_orders(legacy: Legacy) -> String {
    let (sale, fee, shipping) = (legacy.money("amount"), legacy.money("fee"), legacy.money("shipping"));
    let proceeds = format!("({sale}) - ({fee}) - ({shipping})");
    let profit = format!("{proceeds} - i.purchase_price");
    let columns = [
        ("id", legacy.new_id().to_owned()),
        ("tenant_id", "t.tenant_id".to_owned()),
        ("number", number(legacy)),
        ("status", legacy.status().to_owned()),
        ("total", sale.clone()),
        ("notes", "t.notes".to_owned()),
        ("placed_at", legacy.sold_at()),
        ("sold_at", legacy.sold_at()),
        ("created_at", "CURRENT_TIMESTAMP".to_owned()),
        ("updated_at", "CURRENT_TIMESTAMP".to_owned()),
        ("platform_id", "p.id".to_owned()),
        ("external_id", "CASE WHEN trim(t.external_id) <> '' THEN t.external_id END".to_owned()),
        ("stockx_order_number", "NULLIF(trim(t.order_number), '')".to_owned()),
        ("platform_fee", fee),
        ("shipping_cost", shipping),
        ("buyer_city", "t.buyer_city".to_owned()),
        ("buyer_country", "t.buyer_country".to_owned()),
        ("gross_buy", "i.purchase_price".to_owned()),
        ("gross_sale", sale),
        ("net_proceeds", legacy.rounded(&proceeds, 2)),
        ("net_profit", legacy.rounded(&profit, 2)),
        ("roi", legacy.rounded(&format!("({profit}) * 100 / NULLIF(i.purchase_price, 0)"), 4)),
        ("shelf_life_days", legacy.shelf_life_days()),
        ("legacy_transaction_id", "t.id".to_owned()),
    ];
    let (names, values): (Vec<&str>, Vec<String>) = columns.into_iter().unzip();
    format!(
        "INSERT INTO orders ({}) SELECT {} FROM {SALE} \
         WHERE t.id > (SELECT COALESCE(MAX(m.legacy_transaction_id), {}) FROM orders m) \
         AND i.id IS NOT NULL AND p.id IS NOT NULL AND {NOT_REJECTED} ORDER BY t.id LIMIT {ROWS}",
        names.join(", "),
        values.join(", "),
        i64::MIN + 1
    )
}

/// One line for each such order: one piece of the item.
fn make_order_items(legacy: Legacy) -> String {
    format!(
        "INSERT INTO order_items (id, order_id, inventory_item_id, quantity, unit_price, line_total) \
         SELECT {}, o.id, i.id, 1, o.total, o.total FROM orders o \
         JOIN transactions t ON t.id = o.legacy_transaction_id \
         JOIN inventory_items i ON i.tenant_id = t.tenant_id AND i.sku = trim(t.item_sku) \
         WHERE NOT EXISTS (SELECT 1 FROM order_items l WHERE l.order_id = o.id) \
         ORDER BY o.legacy_transaction_id LIMIT {ROWS}",
        legacy.new_id()
    )
}

/// An expense of a rejected sale keeps the sale's number and has no order.
fn link_expenses(backend: DbBackend) -> String {
    change_rows(
        backend,
        "expenses",
        "order_id = (SELECT o.id FROM orders o WHERE o.legacy_transaction_id = expenses.transaction_id), \
         legacy_transaction_id = transaction_id",
        "transaction_id IS NOT NULL AND legacy_transaction_id IS NULL",
    )
}
