//! A seed of one database, step by step: it asks for keys and hands out rows, and its driver reads and inserts them.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use fleet_shape::{Cell, Column, Key, Shape, Table};

use crate::generator::Generator;
use crate::keys::Keys;
use crate::kind::OwnTypes;
use crate::order::{self, Planned, Reference};
use crate::summary::{SeedSummary, SeededTable};
use crate::{SeedError, SeedRequest};

/// A seed in progress.
///
/// Its driver calls [`next_step`](Seeding::next_step), does the step on the database, and answers with
/// [`read`](Seeding::read) or [`inserted`](Seeding::inserted). Only empty tables are filled; with `append`, also those
/// that have some rows. Views, partitions and foreign tables are never filled by themselves.
#[derive(Debug)]
pub struct Seeding<'a> {
    request: &'a SeedRequest,
    /// Maximum number of rows in one step.
    batch: u64,
    planned: Vec<(Planned<'a>, u64)>,
    own: OwnTypes,
    /// Keys of tables that are finished, by table and columns.
    keys: HashMap<Place<'a>, Arc<Keys>>,
    summary: SeedSummary,
    stage: Stage<'a>,
}

/// A table and some of its columns.
type Place<'a> = (&'a str, Vec<&'a str>);

/// The progress of the current table.
#[derive(Debug)]
enum Stage<'a> {
    /// The keys of its parents are read, one reference after another.
    Parents(Vec<Arc<Keys>>),
    Rows(Box<Filling<'a>>),
    /// All tables are filled, or they have not been counted yet.
    Done,
}

/// A table whose rows are being generated.
#[derive(Debug)]
struct Filling<'a> {
    generator: Generator<'a>,
    /// The rows that it had.
    before: u64,
    /// Number of unique sets whose tuples have been read.
    sets: usize,
    /// The keys of its own rows, where it refers to itself, and the number of rows they are from.
    own_keys: Keys,
    read_at: Option<u64>,
}

/// A read or an insert that the driver does on the database.
#[derive(Debug)]
pub enum Step<'a> {
    /// These columns of all rows of a table are to be read.
    Read {
        /// The table.
        table: &'a Table,
        /// The columns.
        columns: Vec<&'a Column>,
    },
    /// Rows are to be inserted and committed.
    Insert {
        /// The table.
        table: &'a Table,
        /// The columns of each row.
        columns: Vec<&'a Column>,
        /// The rows.
        rows: Vec<Vec<Cell>>,
    },
}

impl<'a> Seeding<'a> {
    /// Plans a seed; `batch` is the maximum number of rows in one step.
    ///
    /// # Errors
    /// [`SeedError::Circle`] and [`SeedError::NoTable`].
    pub fn new(shape: &'a Shape, request: &'a SeedRequest, batch: usize) -> Result<Self, SeedError> {
        let mut planned = order::plan(shape, &request.rules, request.scale)?;
        for (table, rows) in &request.rows {
            let wanted = planned.iter_mut().find(|p| p.table.name == *table);
            wanted.ok_or_else(|| SeedError::NoTable(table.clone()))?.rows = *rows;
        }
        planned.retain(|p| !request.derived.contains(&p.table.name));
        Ok(Seeding {
            request,
            batch: batch as u64,
            planned: planned.into_iter().map(|planned| (planned, 0)).collect(),
            own: OwnTypes::of(shape),
            keys: HashMap::new(),
            summary: SeedSummary::default(),
            stage: Stage::Done,
        })
    }

    /// The names of the tables, in the order in which they are filled.
    pub fn tables(&self) -> Vec<String> {
        self.planned.iter().map(|(planned, _)| planned.table.name.clone()).collect()
    }

    /// Takes the number of rows that each of the [tables](Seeding::tables) has.
    pub fn counted(&mut self, counts: &[u64]) {
        self.planned.iter_mut().zip(counts).for_each(|(planned, count)| planned.1 = *count);
        self.begin(0);
    }

    /// The tables so far; the last one is in progress.
    pub fn summary(&self) -> &SeedSummary {
        &self.summary
    }

    /// The constraint of the current table that an engine's message names. It is for messages only: no decision depends
    /// on it.
    pub fn constraint_in(&self, message: &str) -> Option<String> {
        let table = self.planned.get(self.summary.tables.len().checked_sub(1)?)?.0.table;
        let checks = table.checks.iter().map(|(name, text)| if name.is_empty() { text } else { name });
        let keys = table.foreign_keys.iter().map(|key| &key.name);
        let all = checks.chain(keys).chain(table.uniques.iter().map(|u| &u.name));
        all.filter(|name| !name.is_empty() && message.contains(name.as_str())).max_by_key(|name| name.len()).cloned()
    }

    /// The next step; `None`: everything is done.
    ///
    /// # Errors
    /// [`SeedError::NoParent`] and [`SeedError::UnknownType`] of the current table.
    pub fn next_step(&mut self) -> Result<Option<Step<'a>>, SeedError> {
        loop {
            let at = self.summary.tables.len().saturating_sub(1);
            match &mut self.stage {
                Stage::Done => return Ok(None),
                Stage::Parents(keys) => {
                    let (planned, before) = &self.planned[at];
                    let Some(reference) = planned.references.get(keys.len()) else {
                        let generator = Generator::new(planned, (&self.own, self.request), keys, *before)?;
                        let told = &mut self.summary.tables[at];
                        told.wanted = told.wanted.min(generator.room());
                        let own_keys = Keys::default();
                        let filling = Filling { generator, before: *before, sets: 0, own_keys, read_at: None };
                        self.stage = Stage::Rows(Box::new(filling));
                        continue;
                    };
                    match reference.parent(planned.table).map(|place| (self.keys.get(&named(&place)), place)) {
                        None => keys.push(Arc::default()),
                        Some((Some(known), _)) => keys.push(known.clone()),
                        Some((None, (table, columns))) => return Ok(Some(Step::Read { table, columns })),
                    }
                }
                Stage::Rows(filling) => {
                    let told = &self.summary.tables[at];
                    let rows = told.added..told.wanted.saturating_sub(told.before);
                    match filling.next(&self.planned[at].0, rows, self.batch) {
                        Some(step) => return Ok(Some(step)),
                        None => self.begin(at + 1),
                    }
                }
            }
        }
    }

    /// Takes the rows that [`Step::Read`] asked for.
    pub fn read(&mut self, rows: Vec<Vec<Option<Key>>>) {
        match &mut self.stage {
            Stage::Done => {}
            Stage::Parents(keys) => {
                let planned = &self.planned[self.summary.tables.len() - 1].0;
                let read = Arc::new(Keys::new(rows));
                let reference = planned.references.get(keys.len());
                if let Some(place) = reference.and_then(|reference| reference.parent(planned.table)) {
                    self.keys.insert(named(&place), read.clone());
                }
                keys.push(read);
            }
            Stage::Rows(filling) => match filling.open_set() {
                Some(_) => {
                    filling.generator.take(filling.sets, &rows);
                    filling.sets += 1;
                }
                None => filling.own_keys = Keys::new(rows),
            },
        }
    }

    /// Takes the number of committed rows of [`Step::Insert`].
    pub fn inserted(&mut self, rows: u64) {
        if let Some(told) = self.summary.tables.last_mut() {
            told.added += rows;
        }
    }

    /// Begins with the first table from `at` on that is to be filled.
    fn begin(&mut self, at: usize) {
        self.stage = Stage::Done;
        for (planned, before) in &self.planned[at..] {
            let (table, before, wanted) = (planned.table.name.clone(), *before, planned.rows);
            self.summary.tables.push(SeededTable { table, before, added: 0, wanted });
            if before == 0 || (self.request.append && before < wanted) {
                self.stage = Stage::Parents(Vec::new());
                return;
            }
        }
    }
}

impl<'a> Filling<'a> {
    /// The columns of the next unique set whose tuples are to be read.
    fn open_set(&self) -> Option<Vec<&'a Column>> {
        self.generator.columns_of(self.sets).filter(|_| self.before > 0)
    }

    /// The next step; `None`: the table has all its rows, or no more fit. `rows`: those that were added, up to those
    /// that are to be added.
    fn next(&mut self, planned: &Planned<'a>, rows: Range<u64>, batch: u64) -> Option<Step<'a>> {
        let table = planned.table;
        if let Some(columns) = self.open_set() {
            return Some(Step::Read { table, columns });
        }
        let here = self.before + rows.start;
        let mut wanted = rows.end.saturating_sub(rows.start).min(batch);
        if let Some((table, columns)) = planned.references.iter().find_map(|r| r.own(table)) {
            // A row refers to those of the rounds before: the rounds double, whatever a batch is.
            if wanted > 0 && (self.read_at.is_none() || (here.is_power_of_two() && self.read_at != Some(here))) {
                self.read_at = Some(here);
                return Some(Step::Read { table, columns });
            }
            wanted = wanted.min((here + 1).next_power_of_two() - here);
        }
        let rows = self.generator.rows(wanted, &self.own_keys);
        let columns = self.generator.columns.clone();
        (!rows.is_empty()).then_some(Step::Insert { table, columns, rows })
    }
}

fn named<'a>((table, columns): &(&'a Table, Vec<&'a Column>)) -> Place<'a> {
    (&table.name, columns.iter().map(|c| c.name.as_str()).collect())
}

impl<'a> Reference<'a> {
    /// The other table and its columns, where keys of it are wanted.
    fn parent(&self, table: &Table) -> Option<(&'a Table, Vec<&'a Column>)> {
        self.to.clone().filter(|(to, _)| to.name != table.name && !self.is_cut)
    }

    /// The table itself, where the reference is to it.
    fn own(&self, table: &Table) -> Option<(&'a Table, Vec<&'a Column>)> {
        self.to.clone().filter(|(to, _)| to.name == table.name && !self.is_cut)
    }
}
