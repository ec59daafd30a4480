//! No way back: once the letters are small nobody knows which were not. There is no `down`, so `fleet rollback`
//! refuses to cross this migration before it touches a tenant.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let db = manager.get_connection();
        db.execute_unprepared("UPDATE subscriptions SET email = lower(email)").await?;
        db.execute_unprepared("CREATE UNIQUE INDEX uq_subscriptions_email ON subscriptions (email)").await?;
        Ok(())
    }
}
