//! `fleet_claim`: one row for each tenant of a shared run that was handed out and has no outcome yet.

use sea_orm::entity::prelude::*;

/// A claim on a tenant.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "fleet_claim")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) run: String,
    /// The tenant's place in the plan, from 0.
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) place: i64,
    /// The queue through which it is handed out: the tenants of one come one after another.
    pub(crate) queue: String,
    /// The runner that has it.
    pub(crate) runner: Option<String>,
    /// It grows with each runner: a former one writes no outcome any more.
    pub(crate) token: i64,
    /// The end of the lease, by the clock of the ledger, in milliseconds since 1970-01-01 UTC.
    pub(crate) until_ms: i64,
}

/// None are declared: rows are joined by the reader.
#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
