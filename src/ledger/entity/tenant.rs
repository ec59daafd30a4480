//! `fleet_tenant`: one row for each selected tenant of a run.

use sea_orm::entity::prelude::*;

/// A selected tenant.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "fleet_tenant")]
pub(crate) struct Model {
    /// The run.
    #[sea_orm(primary_key, auto_increment = false, column_type = "String(StringLen::N(36))")]
    pub(crate) run: String,
    /// The tenant's place in the plan, from 0.
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) place: i64,
    /// Its id.
    #[sea_orm(column_type = "Text")]
    pub(crate) tenant: String,
    /// Its engine, as in JSON.
    #[sea_orm(column_type = "String(StringLen::N(16))")]
    pub(crate) engine: String,
    /// Its server key.
    #[sea_orm(column_type = "Text")]
    pub(crate) server: String,
    /// Its wave.
    #[sea_orm(column_type = "Text")]
    pub(crate) wave: String,
    /// What a number of steps means for it, as JSON.
    #[sea_orm(column_type = "Text", nullable)]
    pub(crate) target: Option<String>,
}

/// None are declared: rows are joined by the reader.
#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
