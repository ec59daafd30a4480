//! The tables, columns and indexes that scripts make, as far as their words tell.

use std::collections::{BTreeMap, BTreeSet};

use super::statement::Statement;
use super::types::{self, Size};
use crate::model::schema::Script;

/// All names are in lower case, without a schema.
#[derive(Debug, Clone, Default)]
pub(super) struct Known {
    /// Views among them: an index on a materialized one that is just made holds nobody up.
    pub(super) tables: BTreeSet<String>,
    /// Columns that were added to a table, by the table.
    pub(super) columns: BTreeSet<(String, String)>,
    /// The first column of each index and key, by the table.
    pub(super) indexed: BTreeSet<(String, String)>,
    /// The columns that were made as texts of any length, each with its limit, by the table.
    texts: BTreeMap<(String, String), Option<u32>>,
    /// The sizes with which columns were made, by the table.
    sizes: BTreeMap<(String, String), Size>,
    /// The tables of SQLite that keep no value of another kind than that of its column.
    strict: BTreeSet<String>,
    /// How often the type of a column is changed, by the table.
    changes: BTreeMap<(String, String), usize>,
}

impl Known {
    pub(super) fn of(script: &Script) -> Self {
        let mut known = Known::default();
        for (number, sql) in script.statements.iter().enumerate() {
            known.add(&Statement::new(script.engine, number, sql));
        }
        known
    }

    pub(super) fn merged(all: impl IntoIterator<Item = Known>) -> Self {
        let mut out = Known::default();
        for one in all {
            out.tables.extend(one.tables);
            out.columns.extend(one.columns);
            out.indexed.extend(one.indexed);
            out.texts.extend(one.texts);
            for (column, size) in one.sizes {
                out.sized(column, size);
            }
            out.strict.extend(one.strict);
            for (column, times) in one.changes {
                *out.changes.entry(column).or_default() += times;
            }
        }
        out
    }

    pub(super) fn add(&mut self, statement: &Statement<'_>) {
        self.tables.extend(statement.made_view());
        let Some(table) = statement.target.clone() else { return };
        let words = &statement.words;
        if statement.is("create", "table") {
            self.tables.insert(table.clone());
            if statement.is_strict() {
                self.strict.insert(table.clone());
            }
            for part in statement.elements() {
                self.add_element(&table, statement, part);
            }
        } else if statement.verb() == "create" {
            let open = (0..words.len()).find(|&at| words.is_symbol(at, b'('));
            let column = open.and_then(|open| words.name(open + 1));
            self.indexed.extend(column.map(|column| (table, column.to_lowercase())));
        } else {
            let changed = statement.changed_types().into_iter().map(|(column, _)| column);
            for column in changed.chain(types::modified(statement).into_iter().map(|(column, _)| column)) {
                *self.changes.entry((table.clone(), column)).or_default() += 1;
            }
            for action in statement.actions() {
                if words.is(action.start, "add") {
                    let at = action.start + 1 + usize::from(words.is(action.start + 1, "column"));
                    self.add_element(&table, statement, at..action.end);
                    let column = words.name(statement.skip(at, &["if", "not", "exists"]));
                    self.columns.extend(column.map(|column| (table.clone(), column.to_lowercase())));
                }
            }
            for (old, new) in statement.renames() {
                if !self.tables.contains(&old) {
                    continue;
                }
                let columns: Vec<String> =
                    self.sizes.keys().filter(|(table, _)| *table == old).map(|(_, column)| column.clone()).collect();
                for column in columns {
                    *self.changes.entry((new.clone(), column)).or_default() += 1;
                }
                self.tables.insert(new);
            }
        }
    }

    /// Whether a statement changes types only from a text to one that is at least as long, which rewrites nothing on PostgreSQL. A
    /// column whose type is changed more than once is not judged: nobody knows which change is behind which.
    pub(super) fn only_widens(&self, statement: &Statement<'_>) -> bool {
        let table = statement.target.clone().unwrap_or_default();
        let changes = statement.changed_types();
        !changes.is_empty()
            && changes.into_iter().all(|(column, to)| {
                let key = (table.clone(), column);
                let is_first = self.changes.get(&key).is_none_or(|times| *times <= 1);
                match (self.texts.get(&key), to) {
                    (Some(_), Some(None)) => is_first,
                    (Some(Some(from)), Some(Some(to))) => is_first && *from <= to,
                    _ => false,
                }
            })
    }

    /// Of the new types of a table's columns, the columns whose type holds less than the one that they were made with. A column whose
    /// type is changed more than once is not judged.
    pub(super) fn narrowed(&self, table: &str, types: Vec<(String, Size)>, is_strict: bool) -> Vec<String> {
        let was_strict = self.strict.contains(table);
        let is_narrower = |(column, new): &(String, Size)| {
            let key = (table.to_owned(), column.clone());
            let is_first = self.changes.get(&key).is_none_or(|times| *times <= 1);
            is_first && self.sizes.get(&key).is_some_and(|old| new.is_narrower_than(is_strict, (*old, was_strict)))
        };
        types.into_iter().filter(is_narrower).map(|(column, _)| column).collect()
    }

    /// Keeps the size with which a column was made: another one is a change.
    fn sized(&mut self, column: (String, String), size: Size) {
        match self.sizes.get(&column) {
            Some(_) => *self.changes.entry(column).or_default() += 1,
            None => {
                self.sizes.insert(column, size);
            }
        }
    }

    /// The key of a table element: of a column, or the first column of a list.
    fn add_element(&mut self, table: &str, statement: &Statement<'_>, part: std::ops::Range<usize>) {
        let words = &statement.words;
        let is_list = statement.is_key(part.start);
        let is_key = part.clone().any(|at| {
            words.is(at, "primary") || words.is(at, "unique") || words.is(at, "index") || words.is(at, "key")
        });
        let is_foreign = part.clone().any(|at| words.is(at, "foreign"));
        let column = match is_list {
            true if is_foreign => None,
            true => part.clone().find(|&at| words.is_symbol(at, b'(')).and_then(|open| words.name(open + 1)),
            false => words.name(part.start),
        };
        if let Some(limit) = statement.text_limit(part.start + 1).filter(|_| !is_list) {
            self.texts.extend(column.clone().map(|column| ((table.to_owned(), column.to_lowercase()), limit)));
        }
        let size = Size::at(statement, part.start + 1..part.end).filter(|_| !is_list);
        if let Some((column, size)) = column.clone().zip(size) {
            self.sized((table.to_owned(), column.to_lowercase()), size);
        }
        self.indexed.extend(column.filter(|_| is_key).map(|column| (table.to_owned(), column.to_lowercase())));
    }
}
