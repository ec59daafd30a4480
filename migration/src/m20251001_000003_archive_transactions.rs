//! v2.2.3: expenses belong to orders alone, and the legacy sales rest in `archive_transactions`.
//!
//! No row is deleted: the table gets another name, and an expense keeps the number of the legacy sale it was made for.

use sea_orm_migration::prelude::*;

use crate::batch::{change_rows, in_batches};
use crate::guard::only_if_none;
use crate::m20250830_000001_legacy_sales::TRANSACTION;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        // The way down fills a column in batches.
        Some(false)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let db = manager.get_connection();
        only_if_none(
            db,
            "transactions_are_neither_orders_nor_rejected",
            "SELECT count(*) FROM transactions t \
             WHERE NOT EXISTS (SELECT 1 FROM orders o WHERE o.legacy_transaction_id = t.id) \
             AND NOT EXISTS (SELECT 1 FROM legacy_rejects r WHERE r.transaction_id = t.id)",
        )
        .await?;
        only_if_none(
            db,
            "expenses_would_lose_their_transaction",
            "SELECT count(*) FROM expenses WHERE transaction_id IS NOT NULL AND legacy_transaction_id IS NULL",
        )
        .await?;
        TRANSACTION.drop(manager).await?;
        manager.rename_table(Table::rename().table("transactions", "archive_transactions").to_owned()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.rename_table(Table::rename().table("archive_transactions", "transactions").to_owned()).await?;
        TRANSACTION.add(manager).await?;
        let fill = change_rows(
            manager.get_database_backend(),
            "expenses",
            "transaction_id = legacy_transaction_id",
            "legacy_transaction_id IS NOT NULL AND transaction_id IS NULL",
        );
        in_batches(manager.get_connection(), &fill).await
    }
}
