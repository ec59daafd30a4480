//! `fleet_attempt`: one row for each attempt that failed, and for the last where there were several.

use sea_orm::entity::prelude::*;

/// An attempt. A tenant whose only attempt went well has none: its outcome says all there is to say.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "fleet_attempt")]
pub(crate) struct Model {
    /// The run.
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) run: String,
    /// Counts the rows of the run in the order in which they were recorded. The attempt's number can't be part of the
    /// key: waiting for another run's hold on a tenant repeats it.
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) seq: i64,
    /// The tenant's place in the plan, from 0.
    pub(crate) place: i64,
    /// Which attempt, from 1.
    pub(crate) attempt: i64,
    /// Milliseconds since 1970-01-01 UTC.
    pub(crate) started_at_ms: i64,
    /// Milliseconds since 1970-01-01 UTC.
    pub(crate) ended_at_ms: i64,
    /// What went wrong, as JSON; NULL when this attempt went well.
    pub(crate) fault: Option<String>,
    /// After how many milliseconds it was tried again; NULL for the last attempt.
    pub(crate) retry_in_ms: Option<i64>,
}

/// None are declared: rows are joined by the reader.
#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
