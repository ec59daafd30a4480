//! The schema that every tenant of the sample fleet has, as SeaORM migrations for SQLite, PostgreSQL and MySQL/MariaDB.
//!
//! A migration here never asks the database anything (`has_table` and the like): only then can its SQL be compiled
//! without one, read before it runs, and sent in one piece. `if_not_exists` is left out on purpose: an existing table
//! is an error to report, not to ignore. The book (`design/schema.md`) says what the tables are for.

use sea_orm_migration::prelude::{MigrationTrait, MigratorTrait, async_trait};

mod batch;
mod columns;
mod guard;
mod legacy;
mod touch;

mod m20250109_000001_dependencies;
mod m20250110_000001_initial_schema;
mod m20250110_000002_add_tenant_features;
mod m20250110_000003_add_inventory_tracking;
mod m20250115_000001_catalog_and_customers;
mod m20250830_000001_legacy_sales;
mod m20250919_000001_suppliers;
mod m20250919_000002_business_intelligence;
mod m20250929_000001_marketplace_data;
mod m20250930_000001_order_sale_fields;
mod m20251001_000001_multi_platform_orders;
mod m20251001_000002_migrate_transactions;
mod m20251001_000003_archive_transactions;
mod m20251001_000004_drop_sale_overview;
mod m20251215_000001_add_financial_tracking;
mod m20251215_000002_add_shipment_tracking;
mod m20251215_000003_add_benchmarking;
mod m20251215_000004_add_dashboard_personalization;
mod m20251215_000005_add_product_lead_times;

/// The migrations of a tenant, oldest first.
#[derive(Clone, Copy, Debug, Default)]
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m20250109_000001_dependencies::Migration),
            Box::new(m20250110_000001_initial_schema::Migration),
            Box::new(m20250110_000002_add_tenant_features::Migration),
            Box::new(m20250110_000003_add_inventory_tracking::Migration),
            Box::new(m20250115_000001_catalog_and_customers::Migration),
            Box::new(m20250830_000001_legacy_sales::Migration),
            Box::new(m20250919_000001_suppliers::Migration),
            Box::new(m20250919_000002_business_intelligence::Migration),
            Box::new(m20250929_000001_marketplace_data::Migration),
            Box::new(m20250930_000001_order_sale_fields::Migration),
            Box::new(m20251001_000001_multi_platform_orders::Migration),
            Box::new(m20251001_000002_migrate_transactions::Migration),
            Box::new(m20251001_000003_archive_transactions::Migration),
            Box::new(m20251001_000004_drop_sale_overview::Migration),
            Box::new(m20251215_000001_add_financial_tracking::Migration),
            Box::new(m20251215_000002_add_shipment_tracking::Migration),
            Box::new(m20251215_000003_add_benchmarking::Migration),
            Box::new(m20251215_000004_add_dashboard_personalization::Migration),
            Box::new(m20251215_000005_add_product_lead_times::Migration),
        ]
    }
}
