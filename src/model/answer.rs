//! The rows that a tenant's database gave as an answer, each value as the engine writes it.

use serde::Serialize;

/// Rows with the same columns; a text of several statements has several such answers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Answer {
    pub(crate) columns: Vec<String>,
    /// `None` is NULL.
    pub(crate) rows: Vec<Vec<Option<String>>>,
}
