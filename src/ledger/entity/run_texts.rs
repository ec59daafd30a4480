//! `fleet_run_texts`: one row for each run that brings SQL scripts.

use sea_orm::entity::prelude::*;

/// The texts of a run.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "fleet_run_texts")]
pub(crate) struct Model {
    /// The run.
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) run: String,
    /// The beginning of a checksum for each migration of its catalog, a JSON list; empty for a Rust migration.
    pub(crate) texts: String,
}

/// None are declared: rows are joined by the reader.
#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
