//! `fleet_approval`: one row for each approval of a saved plan.

use sea_orm::entity::prelude::*;

/// An approval.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "fleet_approval")]
pub(crate) struct Model {
    /// A UUIDv7.
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) id: String,
    /// The digest of the plan.
    pub(crate) digest: String,
    /// The person who approved it, as named by the command.
    pub(crate) approver: String,
    /// The user, host and process of the command, as JSON.
    pub(crate) origin: String,
    /// Milliseconds since 1970-01-01 UTC.
    pub(crate) at_ms: i64,
    /// The plan as its file has it.
    pub(crate) plan: String,
}

/// None are declared: rows are joined by the reader.
#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
