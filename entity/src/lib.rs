//! The tables of a tenant as SeaORM entities, one file each.
//!
//! They describe what the `migration` crate made and never make anything themselves.
#![expect(missing_docs, reason = "a column says what it is by its name, and the entity macros add items of their own")]

pub mod api_keys;
pub mod audit_logs;
pub mod billing_cycles;
pub mod inventory_items;
pub mod inventory_transactions;
pub mod locations;
pub mod order_items;
pub mod orders;
pub mod tenant_features;
pub mod tenant_settings;
pub mod tenants;
pub mod users;

/// All of them, for SeaORM's schema builder; one that is forgotten here is a finding of `fleet check --entities`.
pub fn register(schema: sea_orm::Schema) -> sea_orm::SchemaBuilder {
    schema
        .builder()
        .register(api_keys::Entity)
        .register(audit_logs::Entity)
        .register(billing_cycles::Entity)
        .register(inventory_items::Entity)
        .register(inventory_transactions::Entity)
        .register(locations::Entity)
        .register(order_items::Entity)
        .register(orders::Entity)
        .register(tenant_features::Entity)
        .register(tenant_settings::Entity)
        .register(tenants::Entity)
        .register(users::Entity)
}
