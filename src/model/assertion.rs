//! Assertions about a tenant's rows, and the answers to them.
//!
//! Plain data: the queries are read and sent elsewhere.

use std::sync::Arc;

use serde::Serialize;

use crate::model::engine::EngineMap;
use crate::model::fault::Fault;

/// A condition, as one query that returns no row while it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Assertion {
    pub(crate) name: String,
    /// The query for each engine; `None` where the condition is of no concern.
    pub(crate) sql: EngineMap<Option<Arc<str>>>,
}

/// The first rows of a query.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct FirstRows {
    pub(crate) columns: Vec<String>,
    /// `None` is NULL.
    pub(crate) rows: Vec<Vec<Option<String>>>,
    /// Whether the query has more rows.
    pub(crate) more: bool,
}

/// A tenant's answer to one assertion.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "result", rename_all = "snake_case")]
pub(crate) enum Answer {
    Holds,
    /// The rows that should not be there.
    Fails(FirstRows),
    /// The engine refused the query, or did not answer it in time.
    Error {
        error: Fault,
    },
    /// The assertion has no query for the tenant's engine.
    NotAsked,
}

impl Answer {
    /// Whether it speaks against the tenant.
    pub(crate) fn is_bad(&self) -> bool {
        matches!(self, Answer::Fails(_) | Answer::Error { .. })
    }
}
