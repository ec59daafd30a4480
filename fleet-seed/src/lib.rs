//! Generates rows for the tables of any schema: believable, the same each time, every reference in place.
//!
//! It holds no SQL, no clock and no database: a value depends on the seed, the moment that counts as now, the names of
//! table and column, the row's number, and the keys that are there; not on the engine or on the size of a batch. A
//! driver with a database runs a [`Seeding`], which says which keys to read and which rows to insert. Batches are
//! committed one by one, so that a seed that dies leaves whole batches, and `append` continues after them.

mod agree;
mod check;
mod generator;
mod keys;
mod kind;
mod order;
mod parents;
mod partition;
mod pattern;
mod recipe;
mod rng;
mod rules;
mod seeding;
mod sets;
mod summary;
#[cfg(test)]
mod tests;
mod value;

use std::sync::Arc;

use chrono::{DateTime, Utc};

pub use rules::{Rules, RulesError};
pub use seeding::{Seeding, Step};
pub use summary::{SeedSummary, SeededTable};

/// The request for rows.
#[derive(Debug, Clone, PartialEq)]
pub struct SeedRequest {
    /// Scale factor: 1 gives about 100 rows in a medium-sized table, 10 ten times as many.
    pub scale: u32,
    /// Numbers of rows of single tables, whatever the scale says.
    pub rows: Vec<(String, u64)>,
    /// Tables that are left as they are: their rows are derived from others.
    pub derived: Vec<String>,
    /// Seed of the random numbers: another seed gives other values.
    pub seed: u64,
    /// Whether tables with rows are filled up, after the existing ones; otherwise only empty tables are filled.
    pub append: bool,
    /// Percentage of rows with a malformed text, in tables with columns for which a rule has malformed texts.
    pub malformed_percent: u8,
    /// The moment that counts as now: rows date from the eighteen months before.
    pub now: DateTime<Utc>,
    /// Rules by the names of tables and columns.
    pub rules: Arc<Rules>,
}

impl Default for SeedRequest {
    fn default() -> Self {
        SeedRequest {
            scale: 1,
            rows: Vec::new(),
            derived: Vec::new(),
            seed: 1,
            append: false,
            malformed_percent: 1,
            // 2026-01-01T00:00:00Z
            now: DateTime::from_timestamp(1_767_225_600, 0).unwrap_or_default(),
            rules: Arc::default(),
        }
    }
}

/// The reason why rows can't be generated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SeedError {
    /// The tables have no valid order, because of circular references.
    #[error("these tables refer to each other in a circle without a NULL: {}", .0.join(", "))]
    Circle(Vec<String>),
    /// A named table does not exist, or is not one that is filled.
    #[error("there is no table {0} to fill")]
    NoTable(String),
    /// These columns need a row of another table that has none.
    #[error("{} needs a row of {to}, and there is none to refer to", columns.join(", "))]
    NoParent {
        /// The columns.
        columns: Vec<String>,
        /// The other table.
        to: String,
    },
    /// No value of this type is known, and the column takes neither NULL nor a default.
    #[error("no value is known for column {column} of type {kind}; give it a default, or let it be NULL")]
    UnknownType {
        /// The column.
        column: String,
        /// Its type.
        kind: String,
    },
}
