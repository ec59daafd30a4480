//! The migrations of this service. Each shows one thing that a migration may do.

use sea_orm_migration::prelude::{Alias, DynIden, IntoIden, MigrationTrait, MigratorTrait, async_trait};

mod m20250201_000001_plans_and_subscriptions;
mod m20250208_000002_seed_plans;
mod m20250215_000003_lower_case_emails;
mod m20250222_000004_index_renewals;
#[cfg(test)]
mod tests;

/// The migrations, oldest first.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ServiceMigrator;

#[async_trait::async_trait]
impl MigratorTrait for ServiceMigrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m20250201_000001_plans_and_subscriptions::Migration),
            Box::new(m20250208_000002_seed_plans::Migration),
            Box::new(m20250215_000003_lower_case_emails::Migration),
            Box::new(m20250222_000004_index_renewals::Migration),
        ]
    }

    // Another service may share the database: each keeps its history in a table of its own.
    fn migration_table_name() -> DynIden {
        Alias::new("service_migrations").into_iden()
    }
}
