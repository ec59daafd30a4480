//! The catalog of migrations, what a tenant's history says against it, and compiled scripts.
//!
//! Plain data and pure functions: no database, no clock, no SeaORM.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::tenant::Engine;

/// The ordered migrations that the binary knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Catalog {
    /// Names in the order in which they are applied.
    pub migrations: Vec<Arc<str>>,
    /// The table in each tenant that records applied migrations, `seaql_migrations` unless the migrator says otherwise.
    pub history_table: String,
}

impl Catalog {
    /// The place of a migration in the order, from its exact name.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.migrations.iter().position(|m| &**m == name)
    }

    /// Finds the one migration that `wanted` names: its exact name, or a part that only one name contains.
    ///
    /// # Errors
    /// [`UnknownMigration`] when none or several match; it lists the candidates.
    pub fn resolve(&self, wanted: &str) -> Result<usize, UnknownMigration> {
        if let Some(at) = self.position(wanted) {
            return Ok(at);
        }
        let matches: Vec<usize> = (0..self.migrations.len()).filter(|&i| self.migrations[i].contains(wanted)).collect();
        match matches.as_slice() {
            [one] => Ok(*one),
            many => Err(UnknownMigration {
                wanted: wanted.to_owned(),
                candidates: if many.is_empty() {
                    self.migrations.iter().map(|m| m.to_string()).collect()
                } else {
                    many.iter().map(|&i| self.migrations[i].to_string()).collect()
                },
                ambiguous: !many.is_empty(),
            }),
        }
    }

    /// Compares a tenant's history with this catalog.
    pub fn state(&self, history: &[String]) -> State {
        let unknown: Vec<String> = history.iter().filter(|v| self.position(v).is_none()).cloned().collect();
        if !unknown.is_empty() {
            return State::Ahead { unknown };
        }
        let missing = self.missing(history);
        if missing.is_empty() {
            return State::AtTarget;
        }
        if history.is_empty() {
            return State::Empty;
        }
        let last_applied = (0..self.migrations.len()).rev().find(|i| !missing.contains(i));
        let gaps: Vec<String> = missing
            .iter()
            .filter(|&&i| last_applied.is_some_and(|last| i < last))
            .map(|&i| self.migrations[i].to_string())
            .collect();
        if gaps.is_empty() { State::Behind { pending: missing.len() } } else { State::Gap { missing: gaps } }
    }

    /// The places of the migrations that `history` lacks, in catalog order.
    pub fn missing(&self, history: &[String]) -> Vec<usize> {
        (0..self.migrations.len()).filter(|&i| !history.iter().any(|v| **v == *self.migrations[i])).collect()
    }

    /// The newest applied migration that this catalog knows, or the newest unknown one, or `None` for an empty history.
    pub fn version_of(&self, history: &[String]) -> Option<String> {
        if let Some(unknown) = history.iter().filter(|v| self.position(v).is_none()).max() {
            return Some(unknown.clone());
        }
        let newest = history.iter().filter_map(|v| self.position(v)).max()?;
        Some(self.migrations[newest].to_string())
    }
}

/// No migration, or more than one, goes by that name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} '{wanted}'; {}: {}",
    if *ambiguous { "more than one migration matches" } else { "no migration is named" },
    if *ambiguous { "it could be" } else { "the catalog has" },
    candidates.join(", "))]
pub struct UnknownMigration {
    /// What was asked for.
    pub wanted: String,
    /// What there is.
    pub candidates: Vec<String>,
    /// Whether several names contain it.
    pub ambiguous: bool,
}

/// What a tenant's own history says against the catalog.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum State {
    /// No migration has been applied.
    Empty,
    /// A number of migrations at the end of the catalog are pending.
    Behind {
        /// How many.
        pending: usize,
    },
    /// Everything in the catalog has been applied.
    AtTarget,
    /// The history has rows that the catalog does not know: a newer program was here.
    Ahead {
        /// The unknown versions.
        unknown: Vec<String>,
    },
    /// A migration is missing although a later one has been applied.
    Gap {
        /// The missing ones that lie before an applied one.
        missing: Vec<String>,
    },
    /// A journal shows a migration that was begun and not finished.
    InDoubt(Unfinished),
    /// The tenant could not be asked.
    Unreachable,
}

impl State {
    /// One word for tables and JSON.
    pub fn name(&self) -> &'static str {
        match self {
            State::Empty => "empty",
            State::Behind { .. } => "behind",
            State::AtTarget => "at_target",
            State::Ahead { .. } => "ahead",
            State::Gap { .. } => "gap",
            State::InDoubt(_) => "in_doubt",
            State::Unreachable => "unreachable",
        }
    }
}

/// What a journal says of a migration that was begun and not finished.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unfinished {
    /// The migration.
    pub migration: String,
    /// Up or down.
    pub direction: Direction,
    /// The statement that was begun last, counted from 1; it may or may not have happened. `None`: not known
    /// (the migration ran natively). 0: none had been begun.
    pub statement: Option<usize>,
    /// The run that began it.
    pub run: String,
}

/// Whether migrations are applied or taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// Apply.
    Up,
    /// Take back.
    Down,
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Direction::Up => "up",
            Direction::Down => "down",
        })
    }
}

/// One migration, one direction, compiled for one engine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Script {
    /// The migration's name.
    pub migration: Arc<str>,
    /// Up or down.
    pub direction: Direction,
    /// The engine it was compiled for.
    pub engine: Engine,
    /// How it will run.
    pub execution: Execution,
    /// The recorded SQL, in order. For a native script it is what the recorder saw before it gave up: for reading only.
    pub statements: Vec<String>,
    /// SHA-256 over the engine, the direction, the execution and the statements, in lower-case hex.
    pub sha256: String,
}

impl Script {
    /// Whether a failure leaves nothing behind: the engine rolls DDL back and the script runs in a transaction.
    pub fn is_atomic(&self) -> bool {
        let transaction = match &self.execution {
            Execution::Compiled { transaction } => *transaction,
            Execution::Native { transaction, .. } => *transaction,
            Execution::Irreversible { .. } => return true,
        };
        transaction && self.engine.has_transactional_ddl()
    }
}

/// How a script runs on a tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "execution", rename_all = "snake_case")]
pub enum Execution {
    /// The recorded SQL is sent as it is.
    Compiled {
        /// In one transaction with its history row; false where the migration says `use_transaction() == Some(false)`.
        transaction: bool,
    },
    /// The Rust code runs against the tenant through SeaORM.
    Native {
        /// Inside our transaction with its history row.
        transaction: bool,
        /// Why it could not be compiled.
        reason: NativeReason,
    },
    /// A `down` that is not written: it can't run at all.
    Irreversible {
        /// What the migration said.
        reason: String,
    },
}

/// Why a migration runs natively and not as a script.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "reason", content = "detail", rename_all = "snake_case")]
pub enum NativeReason {
    /// It asks the database something, so what it does may depend on the tenant.
    Queries(String),
    /// It begins, commits or rolls back transactions itself.
    OwnTransaction,
    /// It failed on the recorder.
    Failed(String),
    /// It panicked on the recorder.
    Panicked(String),
    /// Two recordings differ: it depends on a clock, a random number or a result.
    Differs(String),
    /// It was stopped on the recorder after more calls than a migration that ends would make.
    Endless,
    /// It binds a value that SQL text does not carry exactly.
    Values(String),
    /// The operator asked for it (`--native`).
    Forced,
}

impl fmt::Display for NativeReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NativeReason::Queries(sql) => write!(f, "it queries the database ({sql})"),
            NativeReason::OwnTransaction => f.write_str("it manages its own transactions"),
            NativeReason::Failed(why) => write!(f, "it fails without a database ({why})"),
            NativeReason::Panicked(why) => write!(f, "it panics without a database ({why})"),
            NativeReason::Differs(what) => write!(f, "two recordings differ ({what})"),
            NativeReason::Endless => {
                f.write_str("it makes more than 100,000 calls without a database, as if it never ended")
            }
            NativeReason::Values(kind) => write!(f, "it binds {kind}, which SQL text does not carry exactly"),
            NativeReason::Forced => f.write_str("native execution was asked for"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn catalog() -> Catalog {
        Catalog {
            migrations: ["m1_a", "m2_b", "m3_c"].map(Arc::from).to_vec(),
            history_table: "seaql_migrations".into(),
        }
    }

    fn history(versions: &[&str]) -> Vec<String> {
        versions.iter().map(|v| v.to_string()).collect()
    }

    #[test]
    fn state_covers_every_shape_of_history() {
        let c = catalog();
        assert_eq!(c.state(&[]), State::Empty);
        assert_eq!(c.state(&history(&["m1_a"])), State::Behind { pending: 2 });
        assert_eq!(c.state(&history(&["m1_a", "m2_b", "m3_c"])), State::AtTarget);
        assert_eq!(c.state(&history(&["m1_a", "m3_c"])), State::Gap { missing: vec!["m2_b".into()] });
        assert_eq!(c.state(&history(&["m1_a", "m9_z"])), State::Ahead { unknown: vec!["m9_z".into()] });
    }

    #[test]
    fn a_migration_is_found_by_a_unique_part_of_its_name() {
        let c = catalog();
        assert_eq!(c.resolve("m2_b"), Ok(1));
        assert_eq!(c.resolve("_c"), Ok(2));
        assert!(c.resolve("m").unwrap_err().ambiguous);
        assert!(!c.resolve("nope").unwrap_err().ambiguous);
    }
}
