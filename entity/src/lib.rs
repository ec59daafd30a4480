//! The tables of a tenant as SeaORM entities, one file each.
//!
//! They describe the tables of the `migration` crate and never create any themselves.
#![expect(missing_docs, reason = "a column says what it is by its name, and the entity macros add items of their own")]

pub mod api_keys;
pub mod archive_transactions;
pub mod audit_logs;
pub mod benchmark_participation;
pub mod benchmark_snapshots;
pub mod billing_cycles;
pub mod brands;
pub mod budgets;
pub mod categories;
pub mod cost_tracking;
pub mod customers;
pub mod dashboard_layouts;
pub mod expenses;
pub mod inventory_items;
pub mod inventory_transactions;
pub mod legacy_rejects;
pub mod locations;
pub mod marketplace_data;
pub mod marketplace_price_history;
pub mod order_items;
pub mod orders;
pub mod platforms;
pub mod products;
pub mod shipment_events;
pub mod shipment_items;
pub mod shipments;
pub mod supplier_accounts;
pub mod suppliers;
pub mod tenant_features;
pub mod tenant_settings;
pub mod tenants;
pub mod user_preferences;
pub mod users;

/// Hands every entity to a macro, so that code for all tables can't forget one: `with_every_entity!(callback)` becomes
/// `callback!(api_keys, archive_transactions, …)`.
#[macro_export]
macro_rules! with_every_entity {
    ($callback:ident) => {
        $callback! {
            api_keys,
            archive_transactions,
            audit_logs,
            benchmark_participation,
            benchmark_snapshots,
            billing_cycles,
            brands,
            budgets,
            categories,
            cost_tracking,
            customers,
            dashboard_layouts,
            expenses,
            inventory_items,
            inventory_transactions,
            legacy_rejects,
            locations,
            marketplace_data,
            marketplace_price_history,
            order_items,
            orders,
            platforms,
            products,
            shipment_events,
            shipment_items,
            shipments,
            supplier_accounts,
            suppliers,
            tenant_features,
            tenant_settings,
            tenants,
            user_preferences,
            users,
        }
    };
}

/// Registers all entities with SeaORM's schema builder; a missing one is a finding of `fleet check --entities`.
pub fn register(schema: sea_orm::Schema) -> sea_orm::SchemaBuilder {
    macro_rules! register_all {
        ($($table:ident),* $(,)?) => {
            schema.builder()$(.register($table::Entity))*
        };
    }
    with_every_entity!(register_all)
}
