//! `fleet_progress`: the latest progress of each tenant of a run, and the latest reading of each server.

use sea_orm::entity::prelude::*;

/// The progress of a tenant; a later one replaces it.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "fleet_progress")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) run: String,
    /// The tenant's place in the plan, from 0; that of a server is below 0.
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) place: i64,
    /// Milliseconds since 1970-01-01 UTC.
    pub(crate) at_ms: i64,
    /// The `Event::Progress` or `Event::ServerLoad` as JSON.
    pub(crate) event: String,
}

/// None are declared: rows are joined by the reader.
#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
