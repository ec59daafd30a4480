//! `fleet_run`: one row for each run.

use sea_orm::entity::prelude::*;

/// A run.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "fleet_run")]
pub(crate) struct Model {
    /// Its UUIDv7, lower-case with hyphens.
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) run: String,
    /// `up` or `down`.
    pub(crate) direction: String,
    /// The goal in words.
    pub(crate) goal: String,
    /// The goal as JSON.
    pub(crate) goal_data: String,
    /// The run that this run resumes.
    pub(crate) resumes: Option<String>,
    /// The catalog's migrations, a JSON list.
    pub(crate) catalog: String,
    /// The version of the program.
    pub(crate) program: String,
    /// Number of selected tenants.
    pub(crate) selected: i64,
    /// Milliseconds since 1970-01-01 UTC.
    pub(crate) started_at_ms: i64,
    /// Milliseconds since 1970-01-01 UTC; NULL while the run goes on, and for good if its process died.
    pub(crate) finished_at_ms: Option<i64>,
    /// The final counts as JSON.
    pub(crate) stats: Option<String>,
    /// The last heartbeat, by the clock of the ledger's database; NULL in runs of version 1.
    pub(crate) heartbeat_at_ms: Option<i64>,
    /// User, host, process and command line, as JSON; NULL in runs of version 1.
    pub(crate) started_by: Option<String>,
    /// The flags that selected its tenants, as JSON; NULL in runs of version 1.
    pub(crate) selection: Option<String>,
}

/// None are declared: rows are joined by the reader.
#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
