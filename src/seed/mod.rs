//! Fills a tenant's tables with made-up rows: believable, the same each time, every reference in place.
//!
//! It holds no SQL and no clock: what a row is depends on the seed, the moment that counts as now, the names of table and
//! column, the row's number, and the keys that are there; not on the engine or on the size of a batch. Rows go in through
//! [`Session::fill`] in batches that are committed one by one, so a seed that dies leaves whole batches, and `append` goes
//! on behind them.

mod dice;
mod keys;
mod kind;
mod order;
mod partition;
mod recipe;
mod rows;
mod rule;
mod sets;
#[cfg(test)]
mod tests;
mod value;
mod words;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use crate::engine::{Cell, ROWS_AT_ONCE, Session};
use crate::model::fault::{Fault, FaultClass};
use crate::model::shape::{Column, Table};

use keys::Keys;
use kind::OwnTypes;
use order::{Planned, Reference};
use rows::{Common, Maker, Trouble};

/// What is to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SeedRequest {
    /// 1 is about a hundred rows in a middling table; ten times as much is ten times as many.
    pub(crate) scale: u32,
    /// Tables that are to have so many rows, whatever the scale says.
    pub(crate) rows: Vec<(String, u64)>,
    /// Tables that are left as they are: what is in them is made from others.
    pub(crate) derived: Vec<String>,
    /// Another seed gives other values.
    pub(crate) seed: u64,
    /// Fills tables up that have some rows, behind these; else only empty tables are filled.
    pub(crate) append: bool,
    /// How many of a hundred texts of amounts and days are malformed in legacy tables: `transactions`, and tables and
    /// columns whose names begin with `legacy`.
    pub(crate) malformed_percent: u8,
    /// What counts as now, in seconds since 1970: rows were made in the eighteen months before.
    pub(crate) now: i64,
}

impl Default for SeedRequest {
    fn default() -> Self {
        // 2026-01-01T00:00:00Z
        SeedRequest {
            scale: 1,
            rows: Vec::new(),
            derived: Vec::new(),
            seed: 1,
            append: false,
            malformed_percent: 1,
            now: 1_767_225_600,
        }
    }
}

/// How far a table has come; told after each batch is committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SeedProgress {
    /// The table.
    pub(crate) table: String,
    /// Rows that were added to it.
    pub(crate) added: u64,
    /// Rows that are to be added.
    pub(crate) of: u64,
}

/// What was done, table by table, in the order in which they were filled.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct SeedSummary {
    /// The tables.
    pub(crate) tables: Vec<SeededTable>,
}

/// One table of a summary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SeededTable {
    /// Its name.
    pub(crate) table: String,
    /// The rows that it had.
    pub(crate) before: u64,
    /// The rows that were added.
    pub(crate) added: u64,
    /// The rows that it should have at this scale, as far as its unique keys leave room.
    pub(crate) wanted: u64,
}

impl SeedSummary {
    /// The rows that were added to all tables.
    pub(crate) fn added(&self) -> u64 {
        self.tables.iter().map(|t| t.added).sum()
    }
}

impl SeededTable {
    /// What a person should know of it, if anything: that it was left as it was, or has fewer rows than it should.
    pub(crate) fn note(&self) -> Option<String> {
        let (table, has, wanted) = (&self.table, grouped(self.before + self.added), grouped(self.wanted));
        match () {
            () if self.before + self.added >= self.wanted && self.added == 0 => {
                Some(format!("{table} has {has} rows already"))
            }
            () if self.before + self.added >= self.wanted => None,
            () if self.added == 0 && self.before > 0 => {
                Some(format!("{table} has {has} of {wanted} rows; `--append` goes on from there"))
            }
            () => Some(format!("{table} has {has} of {wanted} rows: no more fit its keys")),
        }
    }
}

fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Why a seed ended before its end, and what was done until then. All of that is committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SeedStop {
    /// What was done, the table at which it stopped included.
    pub(crate) done: SeedSummary,
    /// The table at which it stopped; `None`: before the first.
    pub(crate) table: Option<String>,
    /// The constraint that refused a row, where the engine named one.
    pub(crate) constraint: Option<String>,
    /// What went wrong.
    pub(crate) fault: Fault,
}

impl fmt::Display for SeedStop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(table) = &self.table else { return write!(f, "{}", self.fault) };
        match &self.constraint {
            Some(constraint) => write!(f, "table {table}: constraint {constraint} refuses a row: {}", self.fault),
            None => write!(f, "table {table}: {}", self.fault),
        }
    }
}

impl std::error::Error for SeedStop {}

/// Fills the empty tables of one tenant; with `append`, also those that have some rows.
///
/// Views, partitions and foreign tables are never filled by themselves. A table that has rows and is not filled is in the
/// summary with a [note](SeededTable::note). Nothing keeps two seeds of one tenant apart.
///
/// # Errors
/// [`SeedStop`], in a box: the schema can't be read, tables refer to each other in a circle without a NULL, a column has a
/// type of which no value is known, or the engine refused a batch. What was committed before stays.
pub(crate) async fn seed(
    session: &mut dyn Session,
    request: &SeedRequest,
    progress: &(dyn Fn(SeedProgress) + Send + Sync),
) -> Result<SeedSummary, Box<SeedStop>> {
    let mut done = SeedSummary::default();
    let stop = |fault| Box::new(SeedStop { done: SeedSummary::default(), table: None, constraint: None, fault });
    let shape = session.shape().await.map_err(stop)?;
    let mut planned = order::plan(&shape, request.scale).map_err(|circle| {
        let text = format!("these tables refer to each other in a circle without a NULL: {}", circle.0.join(", "));
        stop(Fault::new(FaultClass::Other, text))
    })?;
    for (table, rows) in &request.rows {
        let Some(wanted) = planned.iter_mut().find(|p| p.table.name == *table) else {
            return Err(stop(Fault::new(FaultClass::Missing, format!("there is no table {table} to fill"))));
        };
        wanted.rows = *rows;
    }
    planned.retain(|p| !request.derived.contains(&p.table.name));
    let names: Vec<String> = planned.iter().map(|p| p.table.name.clone()).collect();
    let counts = session.row_counts(&names).await.map_err(stop)?;
    let mut seeder = Seeder { session, request, progress, own: OwnTypes::of(&shape), keys: HashMap::new() };
    for (planned, before) in planned.iter().zip(counts) {
        let mut table = SeededTable { table: planned.table.name.clone(), before, added: 0, wanted: planned.rows };
        let is_left = before > 0 && (!request.append || before >= planned.rows);
        let result = if is_left { Ok(()) } else { seeder.fill(planned, &mut table).await };
        let name = table.table.clone();
        done.tables.push(table);
        if let Err(fault) = result {
            let constraint = refused_by(planned.table, &fault);
            return Err(Box::new(SeedStop { done, table: Some(name), constraint, fault }));
        }
    }
    Ok(done)
}

/// The constraint of a table that an engine's text names. It is only told: nothing is decided by it.
fn refused_by(table: &Table, fault: &Fault) -> Option<String> {
    if fault.class != FaultClass::ConstraintViolation {
        return None;
    }
    let checks = table.checks.iter().map(|(name, text)| if name.is_empty() { text } else { name });
    let keys = table.foreign_keys.iter().map(|key| &key.name);
    let all = checks.chain(keys).chain(table.uniques.iter().map(|u| &u.name));
    all.filter(|name| !name.is_empty() && fault.message.contains(name.as_str())).max_by_key(|name| name.len()).cloned()
}

struct Seeder<'s> {
    session: &'s mut dyn Session,
    request: &'s SeedRequest,
    progress: &'s (dyn Fn(SeedProgress) + Send + Sync),
    own: OwnTypes,
    /// Keys of tables that are finished, by table and columns.
    keys: HashMap<(String, Vec<String>), Arc<Keys>>,
}

impl Seeder<'_> {
    async fn fill(&mut self, planned: &Planned<'_>, told: &mut SeededTable) -> Result<(), Fault> {
        let mut keys = Vec::new();
        for reference in &planned.references {
            keys.push(self.keys_of(planned.table, reference).await?);
        }
        let common = Common {
            seed: self.request.seed,
            now: self.request.now,
            malformed_percent: u64::from(self.request.malformed_percent),
        };
        let mut maker = Maker::new(planned, &self.own, common, &keys, told.before).map_err(|t| explained(&t))?;
        told.wanted = told.wanted.min(maker.room());
        if told.before > 0 {
            self.take(&mut maker).await?;
        }
        self.fill_rows(planned, &mut maker, told).await
    }

    async fn fill_rows(
        &mut self,
        planned: &Planned<'_>,
        maker: &mut Maker<'_>,
        told: &mut SeededTable,
    ) -> Result<(), Fault> {
        let columns = maker.columns.clone();
        let itself: Option<&Reference<'_>> = planned.references.iter().find(|r| r.is_to(planned.table));
        let mut own_keys = Keys::default();
        // Numbers of rows that did not fit were passed over. Where a value that has the number worked in can't be compared
        // with those that are there, what is added begins behind any number that was tried.
        let passed_over = if maker.carries_unread() { told.before / 2 + MISSES } else { 0 };
        let mut number = if told.before == 0 { 0 } else { told.before + passed_over };
        let mut missed = 0;
        while told.before + told.added < told.wanted && missed < MISSES {
            let here = told.before + told.added;
            let mut until = told.wanted.min(here + ROWS_AT_ONCE as u64);
            if let Some((to, to_columns)) = itself.and_then(|r| r.to.as_ref()) {
                // A row refers to those of the rounds before: the rounds double, whatever a batch is.
                if here == told.before || here.is_power_of_two() {
                    own_keys = Keys::new(self.session.keys(to, to_columns).await?);
                }
                until = until.min((here + 1).next_power_of_two().max(here + 1));
            }
            let mut batch: Vec<Vec<Cell>> = Vec::new();
            while here + (batch.len() as u64) < until && missed < MISSES {
                match maker.row(number, &own_keys) {
                    Some(row) => {
                        batch.push(row);
                        missed = 0;
                    }
                    None => missed += 1,
                }
                number += 1;
            }
            let filled = self.session.fill(planned.table, &columns, &batch).await;
            told.added += *filled.as_ref().unwrap_or_else(|(before, _)| before);
            (self.progress)(SeedProgress {
                table: told.table.clone(),
                added: told.added,
                of: told.wanted - told.before.min(told.wanted),
            });
            filled.map_err(|(_, fault)| fault)?;
        }
        Ok(())
    }

    /// The keys that a reference can have.
    async fn keys_of(&mut self, table: &Table, reference: &Reference<'_>) -> Result<Arc<Keys>, Fault> {
        let Some((to, columns)) = reference.to.as_ref().filter(|(to, _)| to.name != table.name && !reference.is_cut)
        else {
            return Ok(Arc::default());
        };
        let place = (to.name.clone(), columns.iter().map(|c| c.name.clone()).collect());
        if let Some(known) = self.keys.get(&place) {
            return Ok(known.clone());
        }
        let keys = Arc::new(Keys::new(self.session.keys(to, columns).await?));
        self.keys.insert(place, keys.clone());
        Ok(keys)
    }

    /// Tells the maker which tuples of its unique sets are there.
    async fn take(&mut self, maker: &mut Maker<'_>) -> Result<(), Fault> {
        for set in 0..maker.sets.len() {
            let columns: Vec<&Column> = maker.sets[set].columns.iter().map(|place| maker.columns[*place]).collect();
            let rows = self.session.keys(maker.table, &columns).await?;
            maker.take(set, &rows);
        }
        Ok(())
    }
}

/// Rows in a row that did not fit, after which a table counts as full.
const MISSES: u64 = 5_000;

impl Reference<'_> {
    fn is_to(&self, table: &Table) -> bool {
        !self.is_cut && self.to.as_ref().is_some_and(|(to, _)| to.name == table.name)
    }
}

fn explained(trouble: &Trouble) -> Fault {
    let text = match trouble {
        Trouble::NoParent(columns, to) => {
            format!("{} needs a row of {to}, and there is none to refer to", columns.join(", "))
        }
        Trouble::UnknownType(column, kind) => {
            format!("no value is known for column {column} of type {kind}; give it a default, or let it be NULL")
        }
    };
    Fault::new(FaultClass::Other, text)
}
