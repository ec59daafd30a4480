//! `fleet_outcome`: one row for each tenant of a run that has its outcome.

use sea_orm::entity::prelude::*;

/// An outcome.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "fleet_outcome")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) run: String,
    /// The tenant's place in the plan, from 0.
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) place: i64,
    /// The outcome's name, for people who query the ledger by hand.
    pub(crate) outcome: String,
    /// When it was recorded, in milliseconds since 1970-01-01 UTC.
    pub(crate) at_ms: i64,
    /// The whole `TenantRecord` as JSON.
    pub(crate) record: String,
}

/// None are declared: rows are joined by the reader.
#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
