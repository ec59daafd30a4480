//! A service with migrations of its own that gets the whole `fleet` program: the line in `main` is all there is to it.

use std::process::ExitCode;

use sea_orm_migration::prelude::{Alias, DynIden, IntoIden, MigrationTrait, MigratorTrait, async_trait};

mod migrations;

/// The migrations of this service, oldest first.
#[derive(Clone, Copy, Debug)]
struct ServiceMigrator;

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

fn main() -> ExitCode {
    fleet::cli::main(ServiceMigrator)
}

#[cfg(test)]
mod tests;
