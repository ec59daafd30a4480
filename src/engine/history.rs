//! The record of applied migrations in a tenant's own database: SeaORM's history, the SQL scripts with their checksums,
//! and the refresh time of each view.
//!
//! Builds text only. SeaORM's own table holds Rust migrations and nothing else: SeaORM's tools refuse a history with
//! unknown versions.

use std::sync::Arc;

use super::dialect::{OwnTable, dialect, literal};
use super::expectation::NextHistory;
use super::journal;
use super::queries::TextRow;
use crate::model::clock::Stamp;
use crate::model::fault::{Fault, FaultClass};
use crate::model::schema::{Direction, HistoryChange, Record, Script, name_of};
use crate::model::tenant::Engine;

/// The table of applied SQL scripts.
pub(crate) const SCRIPTS: &str = "fleet_scripts";

/// An entry that can't be a migration: names hold no control characters.
const SCRIPTS_MARK: &str = "\tscripts";

/// The entry that says that the journal has to be looked at.
const JOURNAL_MARK: &str = "\tjournal";

/// The table of refreshed views.
pub(crate) const REFRESHES: &str = "fleet_refreshes";

/// The fault of a tenant that another process has migrated since it was read.
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
    journal: String,
    /// Whether the catalog has SQL scripts, which makes their table part of the history.
    has_scripts: bool,
    now: Stamp,
}

impl HistoryTables {
    /// `history` must already be quoted and qualified.
    pub(crate) fn new(engine: Engine, namespace: Option<&str>, history: String, has_scripts: bool) -> Self {
        let table = |name: &str| match namespace {
            Some(namespace) => format!("{}.{}", engine.quote(namespace), engine.quote(name)),
            None => engine.quote(name),
        };
        HistoryTables {
            engine,
            history,
            scripts: table(SCRIPTS),
            refreshes: table(REFRESHES),
            journal: table(journal::TABLE),
            has_scripts,
            now: Stamp::Now,
        }
    }

    /// With this as the present time.
    pub(crate) fn at(self, now: Stamp) -> Self {
        HistoryTables { now, ..self }
    }

    /// The statement that creates the table of SQL scripts, if the catalog has any.
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

    /// All of its tables, whether the tenant has them or not.
    pub(crate) fn tables(&self) -> [&str; 3] {
        [&self.history, &self.scripts, &self.refreshes]
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

    /// The condition that the history is this one; each part of it is a look into an index, or a count.
    pub(crate) fn is_as(&self, next: &NextHistory) -> String {
        let has = |entry: &String| {
            let (table, checksum) = match entry.split_once('\t') {
                Some((_, checksum)) => (&self.scripts, format!(" AND checksum = {}", literal(self.engine, checksum))),
                None => (&self.history, String::new()),
            };
            let version = literal(self.engine, name_of(entry));
            format!("EXISTS (SELECT 1 FROM {table} WHERE version = {version}{checksum})")
        };
        let tables = [Some(&self.history), self.has_scripts.then_some(&self.scripts)];
        let counts = tables.into_iter().flatten().map(|table| format!("(SELECT count(*) FROM {table})"));
        let mut conditions = vec![format!("{} = {}", counts.collect::<Vec<_>>().join(" + "), next.entries)];
        conditions.extend(next.there.iter().map(has));
        conditions.extend(next.gone.iter().map(|entry| format!("NOT {}", has(entry))));
        conditions.join(" AND ")
    }

    /// As [`HistoryTables::read`], for unguarded reads: in a program without SQL scripts, the entry [`SCRIPTS_MARK`]
    /// says that the tenant has a table of them; [`JOURNAL_MARK`] says that its journal may have a row. One round trip.
    pub(crate) fn look(&self) -> String {
        let marks = |mark: &str, name: &str, qualified: &str, by_rows: bool| {
            let table = OwnTable { name: literal(self.engine, name), qualified, by_rows };
            format!(" UNION ALL {}", dialect(self.engine).marks(&literal(self.engine, mark), &table))
        };
        let journal = marks(JOURNAL_MARK, journal::TABLE, &self.journal, true);
        let scripts = if self.has_scripts { String::new() } else { marks(SCRIPTS_MARK, SCRIPTS, &self.scripts, false) };
        self.read() + &scripts + &journal
    }

    /// The entries of a tenant whose tables are there, each behind this number, over a connection to another database; and NULL if its
    /// journal has a row.
    pub(crate) fn look_at(&self, number: usize, has_journal: bool) -> String {
        let [text, entry] = dialect(self.engine).entries();
        let scripts = self.has_scripts.then_some((entry, &self.scripts));
        let all = [Some((text, &self.history)), scripts, has_journal.then_some(("NULL", &self.journal))];
        let one = |(column, table)| format!("SELECT {number}, {column} FROM {table}");
        all.into_iter().flatten().map(one).collect::<Vec<_>>().join(" UNION ALL ")
    }

    /// Whether an entry is none: the tenant has scripts, or a journal, that have to be looked at.
    fn is_mark(entry: &str) -> bool {
        entry == SCRIPTS_MARK || entry == JOURNAL_MARK
    }

    /// Whether the answer to [`HistoryTables::look`] says that no journal is open.
    pub(crate) fn is_closed(rows: &[TextRow]) -> bool {
        !rows.iter().any(|row| row.text(0).as_deref() == Some(JOURNAL_MARK))
    }

    /// Removes the marks from the entries of [`HistoryTables::look`] and returns the query for the scripts unknown to
    /// this program.
    pub(crate) fn unknown_scripts(&self, entries: &mut Vec<String>) -> Option<String> {
        let has_scripts = entries.iter().any(|entry| entry == SCRIPTS_MARK);
        entries.retain(|entry| !Self::is_mark(entry));
        has_scripts.then(|| self.read_scripts())
    }

    /// The parts of [`HistoryTables::read`] as separate queries, for a tenant that lacks one of the tables.
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

    /// The time of each entry in SeaORM's table and in that of the scripts, if the catalog has any: version and seconds
    /// since 1970, as text.
    pub(crate) fn read_applied(&self) -> (String, Option<String>) {
        let text = |column: &str| dialect(self.engine).as_text(&self.engine.quote(column));
        let of = |table: &str| format!("SELECT {}, {} FROM {table}", text("version"), text("applied_at"));
        (of(&self.history), self.has_scripts.then(|| of(&self.scripts)))
    }

    /// The refresh time of each view: name and seconds since 1970, as text.
    pub(crate) fn read_refreshes(&self) -> String {
        let text = |column: &str| dialect(self.engine).as_text(column);
        format!("SELECT {}, {} FROM {}", text("view_name"), text("refreshed_at"), self.refreshes)
    }

    /// Records that a script was applied or rolled back.
    pub(crate) fn record(&self, script: &Script) -> String {
        self.record_of(&script.migration, &script.record, script.direction)
    }

    /// Records that a migration of this name was applied or rolled back.
    pub(crate) fn record_of(&self, name: &str, record: &Record, direction: Direction) -> String {
        let engine = self.engine;
        // Dying between two statements would leave a tenant with a migration by half of its names: one takes all rows.
        let (record, others): (&Record, &[Arc<str>]) = match record {
            Record::Named { of, names } => (of, names),
            record => (record, &[]),
        };
        let rows = |column: &str| match others {
            [] => format!("{column} = {}", literal(engine, name)),
            others => {
                let all = std::iter::once(name).chain(others.iter().map(|other| &**other));
                let all: Vec<String> = all.map(|name| literal(engine, name)).collect();
                format!("{column} IN ({})", all.join(", "))
            }
        };
        let name = literal(engine, name);
        match (record, direction) {
            (Record::Migration, Direction::Up) => format!(
                "INSERT INTO {} ({}, {}) VALUES ({name}, {})",
                self.history,
                engine.quote("version"),
                engine.quote("applied_at"),
                self.now
            ),
            (Record::Migration, Direction::Down) => {
                format!("DELETE FROM {} WHERE {}", self.history, rows(&engine.quote("version")))
            }
            (Record::Script { checksum, .. }, Direction::Up) => dialect(engine).put(
                &self.scripts,
                &["version", "checksum", "applied_at"],
                &[name, literal(engine, checksum), self.now.to_string()],
            ),
            (Record::Script { .. }, Direction::Down) | (Record::TakenDown, _) => {
                format!("DELETE FROM {} WHERE {}", self.scripts, rows("version"))
            }
            (Record::History(change), _) => self.change(change),
            (Record::Named { of, .. }, direction) => self.record_of("", of, direction),
            (Record::Refresh { view }, _) => dialect(engine).put(
                &self.refreshes,
                &["view_name", "refreshed_at"],
                &[literal(engine, view), self.now.to_string()],
            ),
        }
    }

    /// The statements that remove and add rows: at most one for each table and kind.
    fn change(&self, HistoryChange { removed, added }: &HistoryChange) -> String {
        let engine = self.engine;
        let (version, at) = (engine.quote("version"), engine.quote("applied_at"));
        let of_table = |entries: &[String], scripts: bool| -> Vec<(String, Option<String>)> {
            let of_it = entries.iter().filter(|entry| entry.contains('\t') == scripts);
            of_it
                .map(|entry| {
                    let checksum = entry.split_once('\t').map(|(_, checksum)| literal(engine, checksum));
                    (literal(engine, name_of(entry)), checksum)
                })
                .collect()
        };
        let mut all = Vec::new();
        for (table, scripts) in [(&self.history, false), (&self.scripts, true)] {
            let gone: Vec<String> = of_table(removed, scripts).into_iter().map(|(name, _)| name).collect();
            if !gone.is_empty() {
                all.push(format!("DELETE FROM {table} WHERE {version} IN ({})", gone.join(", ")));
            }
            let row = |(name, checksum): (String, Option<String>)| {
                let values = [Some(name), checksum, Some(self.now.to_string())];
                format!("({})", values.into_iter().flatten().collect::<Vec<_>>().join(", "))
            };
            let rows: Vec<String> = of_table(added, scripts).into_iter().map(row).collect();
            if !rows.is_empty() {
                let checksum = if scripts { "checksum, " } else { "" };
                all.push(format!("INSERT INTO {table} ({version}, {checksum}{at}) VALUES {}", rows.join(", ")));
            }
        }
        all.join(";\n")
    }
}
