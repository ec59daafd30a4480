//! A folder of plain SQL scripts, the part of the catalog after the Rust migrations.
//!
//! It reads files and checks their text; it accesses no database and never changes a file's content.

pub(in crate::compile) mod batches;
mod comments;
mod foreign;
mod layout;
mod names;
mod part;
mod placeholders;
mod read;
mod rules;
mod variables;

use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::model::engine::{Flavour, Variant, VariantMap};
use crate::model::schema::{Direction, ScriptKind};
use crate::model::variable::Variable;
use crate::policy::{Limits, RefreshGroup};

pub(in crate::compile) use names::is_name;
pub(crate) use read::{look, read};

/// The scripts of a folder: versioned ones in the order of their versions, then repeatable ones in the order of their
/// names.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct SqlFolder {
    /// The scripts in the order in which they are applied.
    pub(crate) scripts: Vec<SqlScript>,
    /// The parts of scripts that may mean something else.
    pub(crate) warnings: Vec<ScriptMistake>,
    /// The mistakes in the texts of scripts, of which no run begins. Their parts have them, too.
    #[serde(skip)]
    pub(crate) mistakes: Vec<ScriptMistake>,
}

/// One script: its up part and, if present, its down part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct SqlScript {
    /// Its key in the history: the file name without engine, `.up` or `.down`, and `.sql`.
    pub(crate) name: Arc<str>,
    /// Versioned (applied once) or repeatable (applied again whenever it changes).
    pub(crate) kind: ScriptKind,
    /// The up part.
    pub(crate) up: Variants,
    /// The down part. If it is empty, the script can't be rolled back.
    pub(crate) down: Variants,
}

impl SqlScript {
    /// The names that this script replaces, by any of its up files.
    pub(crate) fn replaces(&self) -> Vec<Arc<str>> {
        let mut names: Vec<Arc<str>> = self.up.iter().flat_map(|(_, part)| part.replaces.iter().cloned()).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The part for a tenant in a direction, if any.
    pub(crate) fn part(&self, variant: impl Into<Variant>, direction: Direction) -> Option<&Arc<SqlPart>> {
        match direction {
            Direction::Up => self.up.get(variant),
            Direction::Down => self.down.get(variant),
        }
    }

    /// Whether it has a part for MariaDB alone, in either direction.
    pub(crate) fn has_flavours(&self) -> bool {
        self.up.0.mariadb.is_some() || self.down.0.mariadb.is_some()
    }

    /// The flavour of the servers that its text for this variant is for; `None`: it is for both.
    pub(crate) fn flavour(&self, variant: Variant) -> Option<Flavour> {
        variant.flavour().filter(|_| self.has_flavours())
    }
}

/// One direction of a script: for each engine its own file, or else the general one; MariaDB may have one beside MySQL's.
///
/// A general file is kept once for each engine, because engines disagree about where its statements end.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Variants(VariantMap<Option<Arc<SqlPart>>>);

impl Variants {
    /// The part for a tenant: its own file, or else the general one, or else nothing. MariaDB has MySQL's unless it has its
    /// own.
    pub(crate) fn get(&self, variant: impl Into<Variant>) -> Option<&Arc<SqlPart>> {
        self.0[variant.into()].as_ref()
    }

    /// MariaDB has nothing, and not the part for MySQL.
    fn no_mariadb(&mut self) {
        self.0.mariadb = Some(None);
    }

    /// Whether no engine has a file.
    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.iter().all(|(_, part)| part.is_none())
    }

    /// Each file with the variant that it is parsed for; a general file appears once for each engine that uses it.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Variant, &Arc<SqlPart>)> {
        self.0.iter().filter_map(|(variant, part)| Some((variant, part.as_ref()?)))
    }
}

/// One file as one engine reads it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct SqlPart {
    /// The file's path: the folder as given, and the file's name.
    pub(crate) file: PathBuf,
    /// SHA-256 over the text without a byte order mark and with LF as line end, in lower-case hex, as `sha256sum`
    /// prints it for such a file.
    pub(crate) checksum: String,
    /// Whether it runs in one transaction with its history row; false if the file says so.
    pub(crate) transaction: bool,
    /// Whether the file asks for its online form, or for none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) online: Option<bool>,
    /// The time limits that the file sets.
    pub(crate) limits: Limits,
    /// The statements, in order, without those after `-- fleet: refresh`.
    pub(crate) statements: Vec<SqlStatement>,
    /// The view that this script creates.
    pub(crate) view: Option<ViewNote>,
    /// The names of the scripts that this one replaces.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) replaces: Vec<Arc<str>>,
    /// The statements that refresh the view; empty if and only if there is no view.
    pub(crate) refresh: Vec<SqlStatement>,
    /// The variables in the text, each with its line; in the statements each is in quotes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) variables: Vec<(Variable, usize)>,
    /// Errors in a general file for this engine alone. They must be reported, and nothing sent, when a tenant of this
    /// engine reaches the file. [`read()`] reports other errors at once.
    pub(crate) mistakes: Vec<ScriptMistake>,
}

/// One statement of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct SqlStatement {
    /// Its text with the comments before it, without the semicolon.
    pub(crate) sql: String,
    /// The line of its first word, counted from 1.
    pub(crate) line: usize,
}

/// A view that a script creates and that is refreshed periodically.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ViewNote {
    /// The name as the script's directive spells it.
    pub(crate) name: String,
    /// The frequency of its refreshes.
    pub(crate) group: RefreshGroup,
}

/// An unusable file or entry in the folder.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, thiserror::Error)]
#[error("{}{}: {what}; {instead}", file.display(), line.map(|line| format!(":{line}")).unwrap_or_default())]
pub(crate) struct ScriptMistake {
    /// The file, or the folder.
    pub(crate) file: PathBuf,
    /// The line, counted from 1, if the mistake is in one.
    pub(crate) line: Option<usize>,
    /// The error.
    pub(crate) what: String,
    /// The fix.
    pub(crate) instead: String,
    /// The file can be used nevertheless.
    #[serde(skip)]
    pub(crate) is_warning: bool,
    /// The catalog is known nevertheless: the name of the script, and that it is there.
    #[serde(skip)]
    pub(crate) is_of_text: bool,
}

#[cfg(test)]
mod tests;
