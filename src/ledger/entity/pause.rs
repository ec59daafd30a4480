//! `fleet_pause`: one row for each run that looks for a request to pause.

use sea_orm::entity::prelude::*;

/// A run that can be asked to pause.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "fleet_pause")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) run: String,
    /// The request as JSON; NULL: nobody has asked yet.
    pub(crate) request: Option<String>,
}

/// None are declared: rows are joined by the reader.
#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
