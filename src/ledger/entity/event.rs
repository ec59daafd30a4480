//! `fleet_event`: the waves of a run, the gates between them, and the requests to stop it.

use sea_orm::entity::prelude::*;

/// An event. A run has two for each wave, two for each gate, and at most two more.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "fleet_event")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) run: String,
    /// Numbers the rows of the run in the order in which they were recorded.
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) seq: i64,
    /// Milliseconds since 1970-01-01 UTC.
    pub(crate) at_ms: i64,
    /// The `Event` as JSON.
    pub(crate) event: String,
}

/// None are declared: rows are joined by the reader.
#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
