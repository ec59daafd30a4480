//! `fleet_tenant`: one row for each selected tenant of a run.

use sea_orm::entity::prelude::*;

/// A selected tenant.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "fleet_tenant")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) run: String,
    /// The tenant's place in the plan, from 0.
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) place: i64,
    pub(crate) tenant: String,
    /// Its engine, as in JSON.
    pub(crate) engine: String,
    /// Its server key.
    pub(crate) server: String,
    pub(crate) wave: String,
    /// The target that a number of steps means for it, as JSON.
    pub(crate) target: Option<String>,
    /// The place of its database, without user and password. Absent for runs recorded before it was kept.
    pub(crate) database_at: Option<String>,
}

/// None are declared: rows are joined by the reader.
#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
