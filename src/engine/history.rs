//! What a tenant's own database keeps of what was applied to it: SeaORM's history, the SQL scripts with their checksums,
//! and when each view was refreshed.
//!
//! Only text is made here. SeaORM's own table holds Rust migrations and nothing else: its tools refuse a history with
//! versions that they do not know.

use super::dialect::{ScriptsTable, dialect, literal};
use crate::model::clock::unix_now;
use crate::model::fault::{Fault, FaultClass};
use crate::model::schema::{Direction, Record, Script};
use crate::model::tenant::Engine;

/// The table of applied SQL scripts.
pub(crate) const SCRIPTS: &str = "fleet_scripts";

/// An entry that no migration can have: names hold no control characters.
const SCRIPTS_MARK: &str = "\tscripts";

/// The table of refreshed views.
pub(crate) const REFRESHES: &str = "fleet_refreshes";

/// The fault of a tenant that somebody else has migrated since it was read.
pub(crate) fn moved() -> Fault {
    Fault::new(FaultClass::HistoryMoved, "the history is not what was planned")
}

/// The tables of one tenant.
#[derive(Debug, Clone)]
pub(crate) struct HistoryTables {
    engine: Engine,
    history: String,
    scripts: String,
    refreshes: String,
    /// Whether the catalog has SQL scripts, so that their table is part of the history.
    has_scripts: bool,
}

impl HistoryTables {
    /// `history` is quoted and qualified already.
    pub(crate) fn new(engine: Engine, namespace: Option<&str>, history: String, has_scripts: bool) -> Self {
        let table = |name: &str| match namespace {
            Some(namespace) => format!("{}.{}", engine.quote(namespace), engine.quote(name)),
            None => engine.quote(name),
        };
        HistoryTables { engine, history, scripts: table(SCRIPTS), refreshes: table(REFRESHES), has_scripts }
    }

    /// The statement that creates the table of SQL scripts, where the catalog has any.
    pub(crate) fn create_scripts(&self) -> Option<String> {
        let name = dialect(self.engine).types().name;
        self.has_scripts.then(|| {
            format!(
                "CREATE TABLE IF NOT EXISTS {} (version {name} NOT NULL PRIMARY KEY, checksum varchar(64) NOT \
                 NULL, applied_at bigint NOT NULL)",
                self.scripts
            )
        })
    }

    /// The statement that creates the table of refreshes.
    pub(crate) fn create_refreshes(&self) -> String {
        let name = dialect(self.engine).types().name;
        format!(
            "CREATE TABLE IF NOT EXISTS {} (view_name {name} NOT NULL PRIMARY KEY, refreshed_at bigint NOT \
             NULL)",
            self.refreshes
        )
    }

    /// The entries of the history, each a row with one text column.
    pub(crate) fn read(&self) -> String {
        if self.has_scripts {
            format!("{} UNION ALL {}", self.read_history(), self.read_scripts())
        } else {
            self.read_history()
        }
    }

    /// As [`HistoryTables::read`], for those who look and do not guard: a program without SQL scripts is told by an entry that
    /// is [`SCRIPTS_MARK`] when the tenant has a table of them.
    pub(crate) fn look(&self) -> String {
        self.look_in("DATABASE()")
    }

    /// As [`HistoryTables::look`], from a connection that is not in this database.
    pub(crate) fn look_at(&self, database: &str) -> String {
        self.look_in(&literal(self.engine, database))
    }

    /// Whether an entry says that there are scripts.
    pub(crate) fn is_mark(entry: &str) -> bool {
        entry == SCRIPTS_MARK
    }

    fn look_in(&self, database: &str) -> String {
        if self.has_scripts {
            return self.read();
        }
        let table = ScriptsTable { name: literal(self.engine, SCRIPTS), qualified: &self.scripts, database };
        let there = dialect(self.engine).marks_scripts(&literal(self.engine, SCRIPTS_MARK), &table);
        format!("{} UNION ALL {there}", self.read_history())
    }

    /// Takes the mark out of what [`HistoryTables::look`] found: the query for the scripts that this program does not know.
    pub(crate) fn unknown_scripts(&self, entries: &mut Vec<String>) -> Option<String> {
        let before = entries.len();
        entries.retain(|entry| entry != SCRIPTS_MARK);
        (entries.len() < before).then(|| self.read_scripts())
    }

    /// The queries of [`HistoryTables::read`] one by one, for a tenant that lacks one of the tables.
    pub(crate) fn read_apart(&self) -> Vec<String> {
        let mut queries = vec![self.read_history()];
        queries.extend(self.has_scripts.then(|| self.read_scripts()));
        queries
    }

    fn read_history(&self) -> String {
        let [text, _] = dialect(self.engine).entries();
        format!("SELECT {text} FROM {}", self.history)
    }

    fn read_scripts(&self) -> String {
        let [_, entry] = dialect(self.engine).entries();
        format!("SELECT {entry} FROM {}", self.scripts)
    }

    /// When each view was refreshed: name and seconds since 1970, as text.
    pub(crate) fn read_refreshes(&self) -> String {
        let text = |column: &str| dialect(self.engine).as_text(column);
        format!("SELECT {}, {} FROM {}", text("view_name"), text("refreshed_at"), self.refreshes)
    }

    /// Writes down that a script was applied or taken back.
    pub(crate) fn record(&self, script: &Script) -> String {
        self.record_of(&script.migration, &script.record, script.direction)
    }

    /// Writes down that something of this name was applied or taken back.
    pub(crate) fn record_of(&self, name: &str, record: &Record, direction: Direction) -> String {
        let engine = self.engine;
        let name = literal(engine, name);
        match (record, direction) {
            (Record::Migration, Direction::Up) => format!(
                "INSERT INTO {} ({}, {}) VALUES ({name}, {})",
                self.history,
                engine.quote("version"),
                engine.quote("applied_at"),
                unix_now()
            ),
            (Record::Migration, Direction::Down) => {
                format!("DELETE FROM {} WHERE {} = {name}", self.history, engine.quote("version"))
            }
            (Record::Script { checksum, .. }, Direction::Up) => dialect(engine).put(
                &self.scripts,
                &["version", "checksum", "applied_at"],
                &[name, literal(engine, checksum), unix_now().to_string()],
            ),
            (Record::Script { .. }, Direction::Down) => format!("DELETE FROM {} WHERE version = {name}", self.scripts),
            (Record::Refresh { view }, _) => dialect(engine).put(
                &self.refreshes,
                &["view_name", "refreshed_at"],
                &[literal(engine, view), unix_now().to_string()],
            ),
        }
    }
}
