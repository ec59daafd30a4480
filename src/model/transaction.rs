//! The extent of a transaction over the steps of a tenant.

use serde::Deserialize;

/// The steps that are committed together on an engine with transactional DDL.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum TransactionScope {
    /// Each migration by itself.
    #[default]
    Migration,
    /// All consecutive steps of a tenant that can share a transaction: all of them, or none.
    Tenant,
}

impl TransactionScope {
    /// The words of the tenant file and the flag.
    pub(crate) const WORDS: &[&str] = &["migration", "tenant"];

    /// The scope with this word.
    pub(crate) fn of(word: &str) -> Option<Self> {
        match word {
            "migration" => Some(TransactionScope::Migration),
            "tenant" => Some(TransactionScope::Tenant),
            _ => None,
        }
    }
}
