//! `fleet_ledger`: the versions that the tables went through.

use sea_orm::entity::prelude::*;

/// A version; the row is written after the tables of that version were created.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "fleet_ledger")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) version: i32,
}

/// None are declared: rows are joined by the reader.
#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
