//! A migration compiled for one engine: its statements, how they run, and the history row for it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{HistoryChange, history_entry, name_of};
use crate::model::engine::{Engine, Flavour, Variant};

/// Whether migrations are applied or rolled back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, strum::Display)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub(crate) enum Direction {
    /// Apply.
    Up,
    /// Roll back.
    Down,
}

/// One migration, one direction, compiled for one engine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Script {
    /// The migration's name.
    pub(crate) migration: Arc<str>,
    /// Up or down.
    pub(crate) direction: Direction,
    /// The engine it was compiled for.
    pub(crate) engine: Engine,
    /// The flavour of the servers that it is for, where the migration has a part for each.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) flavour: Option<Flavour>,
    /// The way it is executed.
    pub(crate) execution: Execution,
    /// The recorded SQL, in order. For a native script, the statements that the recorder saw before it gave up: for
    /// reading only.
    pub(crate) statements: Vec<String>,
    /// SHA-256 over the engine, the direction, the execution and the statements, in lower-case hex.
    pub(crate) sha256: String,
    /// Whether it holds variables, each in quotes, in whose place each tenant's values are sent.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) has_variables: bool,
    /// The record written to the tenant's database once it has been applied.
    pub(crate) record: Record,
    /// Its file, for an SQL script.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) source: Option<Source>,
    /// Its online form, where that was asked for; the statements are those of this form.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) online: Option<OnlineForm>,
}

/// The online form of a script: what it was made from, and what it leaves as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct OnlineForm {
    /// The statements as the migration has them; empty where all of them stay as they are.
    pub(crate) original: Vec<String>,
    /// The hash of the script as the migration has it.
    pub(crate) original_sha256: String,
    /// Statements that stay although they may hold a long lock.
    pub(crate) kept: Vec<Kept>,
}

/// A statement that stays as it is in the online form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Kept {
    /// Its number in the original, from 1; `None`: all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) statement: Option<usize>,
    pub(crate) why: String,
}

/// The record written to the tenant's database once a script has been applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Record {
    /// A row of SeaORM's history.
    Migration,
    /// A row in the table of SQL scripts.
    Script {
        checksum: Arc<str>,
        /// Whether it may run repeatedly; then it may also begin again after it stopped half way.
        repeatable: bool,
    },
    /// No row any more: a repeatable script whose objects are taken down, so that it is pending again. Its statements
    /// may be repeated.
    TakenDown,
    /// The time of a view's refresh.
    Refresh { view: String },
    /// Rows of the history and of the table of SQL scripts that a person asked for: nothing of the migrations is run.
    History(HistoryChange),
    /// As `of`, for a migration that a tenant has under these names too: on the way down their rows go as well.
    Named { of: Box<Record>, names: Vec<Arc<str>> },
}

impl Record {
    /// Whether it is of a script that may run repeatedly.
    pub(crate) fn is_repeatable(&self) -> bool {
        match self {
            Record::Script { repeatable, .. } => *repeatable,
            Record::TakenDown => true,
            Record::Named { of, .. } => of.is_repeatable(),
            Record::Migration | Record::Refresh { .. } | Record::History(_) => false,
        }
    }

    /// Whether its script changes rows only, so that a transaction holds it together on every engine.
    pub(crate) fn is_of_rows(&self) -> bool {
        matches!(self, Record::Refresh { .. } | Record::History(_))
    }

    /// Whether it is of a script that is taken down in statements that may be repeated.
    pub(crate) fn is_taken_down(&self) -> bool {
        match self {
            Record::Named { of, .. } => of.is_taken_down(),
            record => *record == Record::TakenDown,
        }
    }
}

/// The file of an SQL script.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Source {
    pub(crate) file: String,
    /// The line, from 1, on which each statement begins.
    pub(crate) lines: Vec<usize>,
}

impl Script {
    /// The servers that it is for.
    pub(crate) fn variant(&self) -> Variant {
        Variant::new(self.engine, self.flavour)
    }

    /// The entry that it leaves in the history when it is applied; `None` where it leaves none.
    pub(crate) fn history_entry(&self) -> Option<String> {
        let record = match &self.record {
            Record::Named { of, .. } => of,
            record => record,
        };
        match record {
            Record::TakenDown => Some(history_entry(&self.migration, Some(super::NOTHING))),
            Record::Migration => Some(history_entry(&self.migration, None)),
            Record::Script { checksum, .. } => Some(history_entry(&self.migration, Some(checksum))),
            Record::Refresh { .. } | Record::History(_) | Record::Named { .. } => None,
        }
    }

    /// Updates a history as applying this script does.
    pub(crate) fn enter_into(&self, history: &mut Vec<String>) {
        if let Record::History(HistoryChange { removed, added }) = &self.record {
            history.retain(|entry| !removed.contains(entry));
            history.extend(added.iter().cloned());
        }
        let Some(entry) = self.history_entry() else { return };
        history.retain(|e| self.names().all(|name| **name != *name_of(e)));
        if self.direction == Direction::Up {
            history.push(entry);
        }
    }

    /// The migrations that applying it records, by name.
    pub(crate) fn recorded(&self) -> Vec<String> {
        match &self.record {
            Record::History(HistoryChange { added, .. }) => {
                added.iter().map(|entry| super::name_of(entry).to_owned()).collect()
            }
            _ => vec![self.migration.to_string()],
        }
    }

    /// The names under which a tenant has it in its history: its own, and former ones.
    pub(crate) fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        let others: &[Arc<str>] = match &self.record {
            Record::Named { names, .. } => names,
            _ => &[],
        };
        std::iter::once(&self.migration).chain(others)
    }

    /// The same script for a tenant that has the migration under these names in its history.
    pub(crate) fn under(self: Arc<Self>, names: &[&str]) -> Arc<Self> {
        let others = names.iter().filter(|name| **name != &*self.migration);
        let others: Vec<Arc<str>> = others.map(|name| Arc::from(*name)).collect();
        if others.is_empty() {
            return self;
        }
        let record = Record::Named { of: Box::new(self.record.clone()), names: others };
        Arc::new(Script { record, ..Script::clone(&self) })
    }

    /// Whether its statements were rewritten to an online form.
    pub(crate) fn is_online(&self) -> bool {
        self.online.as_ref().is_some_and(|form| !form.original.is_empty())
    }

    /// Whether a failure leaves nothing behind: the engine rolls DDL back and the script runs in a transaction.
    pub(crate) fn is_atomic(&self) -> bool {
        let transaction = match &self.execution {
            Execution::Compiled { transaction } | Execution::Native { transaction, .. } => *transaction,
            Execution::Irreversible { .. } => return true,
        };
        transaction && self.engine.capabilities().transactional_ddl
    }
}

/// The way a script runs on a tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, strum::IntoStaticStr)]
#[serde(tag = "execution", rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub(crate) enum Execution {
    /// The recorded SQL is sent unchanged.
    Compiled {
        /// In one transaction with its history row; false where the migration says `use_transaction() == Some(false)`.
        transaction: bool,
    },
    /// The Rust code runs against the tenant through SeaORM.
    Native {
        /// Inside our transaction with its history row.
        transaction: bool,
        /// The reason why it could not be compiled.
        reason: NativeReason,
    },
    /// A `down` that is not implemented: it can't run at all.
    Irreversible {
        /// The migration's own reason.
        reason: String,
    },
}

/// The reason why a migration runs natively and not as a script.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(tag = "reason", content = "detail", rename_all = "snake_case")]
pub(crate) enum NativeReason {
    /// It queries the database, so its effect may depend on the tenant.
    #[error("it queries the database ({0})")]
    Queries(String),
    /// It begins, commits or rolls back transactions itself.
    #[error("it manages its own transactions")]
    OwnTransaction,
    /// It failed on the recorder.
    #[error("it fails without a database ({0})")]
    Failed(String),
    /// It panicked on the recorder.
    #[error("it panics without a database ({0})")]
    Panicked(String),
    /// Two recordings differ: it depends on a clock, a random number or a result.
    #[error("two recordings differ ({0})")]
    Differs(String),
    /// It was stopped on the recorder after more calls than a terminating migration would make.
    #[error("it makes more than 100,000 calls without a database, as if it never ended")]
    Endless,
    /// It binds a value that SQL text does not carry exactly.
    #[error("it binds {0}, which SQL text does not carry exactly")]
    Values(String),
    /// It asks for a transaction on an engine that rolls back rows and no DDL: SeaORM's own transaction is around it.
    #[error("it asks for a transaction, which takes back rows alone there")]
    RowsInTransaction,
    /// The operator asked for it (`--native`).
    #[error("native execution was asked for")]
    Forced,
}
