//! `fleet_shared_run`: one row for each run that several runners share.

use sea_orm::entity::prelude::*;

/// A shared run.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "fleet_shared_run")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) run: String,
    /// The time for which a claim holds without a sign of its holder.
    pub(crate) lease_ms: i64,
    /// The matching tenants that were left out when it was planned.
    pub(crate) held_back: i64,
    /// The `Terms` as JSON.
    pub(crate) terms: String,
    /// The runner that leads it.
    pub(crate) leader: Option<String>,
    /// It grows with each leader: a former one writes nothing any more.
    pub(crate) token: i64,
    /// The end of the lease of its leader, by the clock of the ledger, in milliseconds since 1970-01-01 UTC.
    pub(crate) until_ms: i64,
}

/// None are declared: rows are joined by the reader.
#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
