//! A folder of plain SQL scripts, which are the part of the catalog behind the Rust migrations.
//!
//! It reads files and judges texts; it touches no database and never changes what a file says.

mod comments;
mod names;
mod part;
mod read;
mod rules;

use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::model::engine::{Engine, EngineMap};
use crate::model::schema::{Direction, ScriptKind};
use crate::policy::Limits;

pub(crate) use read::read;

/// The scripts of a folder: versioned ones in the order of their versions, then repeatable ones in the order of their
/// names.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct SqlFolder {
    /// In the order in which they are applied.
    pub(crate) scripts: Vec<SqlScript>,
}

/// One script: what brings a tenant there and, where it is written, what takes it back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct SqlScript {
    /// Its key in the history: the file name without engine, `.up` or `.down`, and `.sql`.
    pub(crate) name: Arc<str>,
    /// Once, or again whenever it changes.
    pub(crate) kind: ScriptKind,
    /// What is applied.
    pub(crate) up: Variants,
    /// What takes it back. It may be empty: then the script can't be rolled back.
    pub(crate) down: Variants,
}

impl SqlScript {
    /// What an engine is sent in a direction, if anything.
    pub(crate) fn part(&self, engine: Engine, direction: Direction) -> Option<&Arc<SqlPart>> {
        match direction {
            Direction::Up => self.up.get(engine),
            Direction::Down => self.down.get(engine),
        }
    }
}

/// One direction of a script: for each engine its own file, else the general one.
///
/// A general file is kept once for each engine, because engines disagree about where its statements end.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Variants(EngineMap<Option<Arc<SqlPart>>>);

impl Variants {
    /// What an engine is sent: its own file, else the general one, else nothing.
    pub(crate) fn get(&self, engine: Engine) -> Option<&Arc<SqlPart>> {
        self.0[engine].as_ref()
    }

    /// Whether there is no file for any engine.
    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.iter().all(|(_, part)| part.is_none())
    }

    /// Each file with the engine that it is read for; a general file comes once for each engine that uses it.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Engine, &Arc<SqlPart>)> {
        self.0.iter().filter_map(|(engine, part)| Some((engine, part.as_ref()?)))
    }
}

/// One file as one engine reads it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct SqlPart {
    /// The file: the folder as it was given, and the file's name.
    pub(crate) file: PathBuf,
    /// SHA-256 over the text without a byte order mark and with LF as line end, in lower-case hex: what `sha256sum` says
    /// of such a file.
    pub(crate) checksum: String,
    /// Whether it runs in one transaction with its history row; false where the file says so.
    pub(crate) transaction: bool,
    /// The time limits that the file asks for.
    pub(crate) limits: Limits,
    /// The statements, in order, without those behind `-- fleet: refresh`.
    pub(crate) statements: Vec<SqlStatement>,
    /// The view that this script makes.
    pub(crate) view: Option<ViewNote>,
    /// What brings that view up to date; empty exactly where there is no view.
    pub(crate) refresh: Vec<SqlStatement>,
    /// What is wrong with a general file for this engine alone. It must be told, and nothing sent, when a tenant of this
    /// engine comes to it. Other mistakes are told by [`read()`] at once.
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

/// A view that a script makes and that is to be brought up to date from time to time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ViewNote {
    /// As the script's directive spells it.
    pub(crate) name: String,
    /// How often.
    pub(crate) group: RefreshGroup,
}

/// How often a view is brought up to date.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    strum::Display,
    strum::IntoStaticStr,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub(crate) enum RefreshGroup {
    /// Every hour.
    Hourly,
    /// Every day.
    Daily,
    /// Every week.
    Weekly,
    /// Every month.
    Monthly,
}

impl RefreshGroup {
    /// All groups, the most frequent first.
    pub(crate) const ALL: [RefreshGroup; 4] =
        [RefreshGroup::Hourly, RefreshGroup::Daily, RefreshGroup::Weekly, RefreshGroup::Monthly];

    /// The lower-case word for it.
    pub(crate) fn name(self) -> &'static str {
        self.into()
    }
}

/// A word that is none of the groups.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown group '{0}'; it is one of hourly, daily, weekly, monthly")]
pub(crate) struct UnknownGroup(pub(crate) String);

impl FromStr for RefreshGroup {
    type Err = UnknownGroup;

    fn from_str(word: &str) -> Result<Self, UnknownGroup> {
        RefreshGroup::ALL.into_iter().find(|group| group.name() == word).ok_or_else(|| UnknownGroup(word.to_owned()))
    }
}

/// Something in the folder that can't be used as it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, thiserror::Error)]
#[error("{}{}: {what}; {instead}", file.display(), line.map(|line| format!(":{line}")).unwrap_or_default())]
pub(crate) struct ScriptMistake {
    /// The file, or the folder.
    pub(crate) file: PathBuf,
    /// The line, counted from 1, where it is about one.
    pub(crate) line: Option<usize>,
    /// What is wrong.
    pub(crate) what: String,
    /// What to do instead.
    pub(crate) instead: String,
}

#[cfg(test)]
mod tests;
