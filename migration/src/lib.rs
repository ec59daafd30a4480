//! The schema that every tenant of the sample fleet has, as SeaORM migrations for SQLite, PostgreSQL and MySQL/MariaDB.
//!
//! A migration here never asks the database anything (`has_table` and the like): only then can its SQL be compiled
//! without one, read before it runs, and sent in one piece. `if_not_exists` is left out on purpose: a table that is
//! already there is a fault to be told, not to be passed over.

use sea_orm_migration::prelude::{MigrationTrait, MigratorTrait, async_trait};

mod m20250110_000001_initial_schema;
mod m20250110_000002_add_tenant_features;
mod m20250110_000003_add_inventory_tracking;

/// The migrations of a tenant, oldest first.
#[derive(Clone, Copy, Debug, Default)]
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m20250110_000001_initial_schema::Migration),
            Box::new(m20250110_000002_add_tenant_features::Migration),
            Box::new(m20250110_000003_add_inventory_tracking::Migration),
        ]
    }
}
