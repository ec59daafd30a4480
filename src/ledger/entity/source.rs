//! `fleet_source`: one row for each source whose answer was noted.

use sea_orm::entity::prelude::*;

/// A source.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "fleet_source")]
pub(crate) struct Model {
    /// Its name in the tenant file.
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) source: String,
    /// The run that noted it; `None`: a person accepted it.
    pub(crate) run: Option<String>,
    /// Milliseconds since 1970-01-01 UTC.
    pub(crate) at_ms: i64,
}

/// None are declared: rows are joined by the reader.
#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
