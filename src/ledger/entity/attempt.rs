//! `fleet_attempt`: one row for each attempt that failed, and for the last where there were several.

use sea_orm::entity::prelude::*;

/// An attempt. A tenant with a single successful attempt has no row: its outcome has all the information.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "fleet_attempt")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) run: String,
    /// Numbers the rows of the run in the order in which they were recorded. The attempt's number can't be part of the
    /// key: waiting for another run's lock on a tenant repeats it.
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) seq: i64,
    /// The tenant's place in the plan, from 0.
    pub(crate) place: i64,
    /// The number of the attempt, from 1.
    pub(crate) attempt: i64,
    /// Milliseconds since 1970-01-01 UTC.
    pub(crate) started_at_ms: i64,
    /// Milliseconds since 1970-01-01 UTC.
    pub(crate) ended_at_ms: i64,
    /// The fault, as JSON; NULL when this attempt succeeded.
    pub(crate) fault: Option<String>,
    /// Delay before the next attempt, in milliseconds; NULL for the last attempt.
    pub(crate) retry_in_ms: Option<i64>,
}

/// None are declared: rows are joined by the reader.
#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
