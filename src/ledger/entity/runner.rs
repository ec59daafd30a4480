//! `fleet_runner`: one row for each runner that takes part in a shared run.

use sea_orm::entity::prelude::*;

/// A runner.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "fleet_runner")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) run: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) runner: String,
    /// The times of its first and of its last sign, by the clock of the ledger, in milliseconds since 1970-01-01 UTC.
    pub(crate) since_ms: i64,
    pub(crate) seen_ms: i64,
}

/// None are declared: rows are joined by the reader.
#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
