//! An index built while the service goes on writing. PostgreSQL allows that only outside a transaction, and the
//! migration says so; the other engines get a plain index.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let concurrently = match manager.get_database_backend() {
            DbBackend::Postgres => " CONCURRENTLY",
            _ => "",
        };
        manager
            .get_connection()
            .execute_unprepared(&format!(
                "CREATE INDEX{concurrently} ix_subscriptions_renews_at ON subscriptions (renews_at)"
            ))
            .await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let drop_index = match manager.get_database_backend() {
            DbBackend::Postgres => "DROP INDEX CONCURRENTLY ix_subscriptions_renews_at",
            DbBackend::MySql => "DROP INDEX ix_subscriptions_renews_at ON subscriptions",
            _ => "DROP INDEX ix_subscriptions_renews_at",
        };
        manager.get_connection().execute_unprepared(drop_index).await?;
        Ok(())
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(false)
    }
}
