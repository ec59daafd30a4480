//! The order of the migrations, and the table that keeps their history.

use sea_orm_migration::prelude::{Alias, DynIden, IntoIden, MigrationTrait, MigratorTrait, async_trait};

use crate::migrations;

/// The migrations of this service, oldest first.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ServiceMigrator;

#[async_trait::async_trait]
impl MigratorTrait for ServiceMigrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(migrations::m20250201_000001_plans_and_subscriptions::Migration),
            Box::new(migrations::m20250208_000002_seed_plans::Migration),
            Box::new(migrations::m20250215_000003_lower_case_emails::Migration),
            Box::new(migrations::m20250222_000004_index_renewals::Migration),
        ]
    }

    // Another service may share the database: each keeps its history in a table of its own.
    fn migration_table_name() -> DynIden {
        Alias::new("service_migrations").into_iden()
    }
}
