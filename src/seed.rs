//! Fills a tenant's tables with generated rows: drives a [`Seeding`] on a session.
//!
//! `fleet-seed` generates the rows; this module only connects it to the database. Rows go in through `Rows::fill` in
//! batches that are committed one by one.

use std::fmt;

pub(crate) use fleet_seed::{Rules, SeedRequest, SeedSummary, SeededTable};
use fleet_seed::{SeedError, Seeding, Step};

use crate::engine::{ROWS_AT_ONCE, Session};
use crate::model::fault::{Fault, FaultClass};

/// The reason why a seed stopped early, and the work done until then, all of which is committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SeedStop {
    /// The rows added, including those in the table at which it stopped.
    pub(crate) done: SeedSummary,
    /// The table at which it stopped; `None` if it stopped before the first.
    pub(crate) table: Option<String>,
    /// The constraint that rejected a row, if the engine named one.
    pub(crate) constraint: Option<String>,
    /// The reason.
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

impl SeedStop {
    fn before_the_first(fault: Fault) -> Box<Self> {
        Box::new(SeedStop { done: SeedSummary::default(), table: None, constraint: None, fault })
    }

    fn of(seeding: &Seeding<'_>, fault: Fault) -> Box<Self> {
        let done = seeding.summary().clone();
        let is_refused = fault.class == FaultClass::ConstraintViolation;
        let constraint = if is_refused { seeding.constraint_in(&fault.message) } else { None };
        Box::new(SeedStop { table: done.tables.last().map(|t| t.table.clone()), done, constraint, fault })
    }
}

/// Fills the empty tables of one tenant; with `append`, also those that have some rows.
///
/// A table that has rows and is not filled is in the summary with a [note](fleet_seed::SeededTable::note). Two
/// concurrent seeds of one tenant are not excluded.
///
/// # Errors
/// [`SeedStop`], in a box: the schema can't be read, tables refer to each other in a circle without a NULL, a column
/// has a type of which no value is known, or the engine refused a batch. Batches that were committed before stay.
pub(crate) async fn seed(
    session: &mut dyn Session,
    request: &SeedRequest,
    progress: &(dyn Fn(&SeededTable) + Send + Sync),
) -> Result<SeedSummary, Box<SeedStop>> {
    let shape = session.shape().await.map_err(SeedStop::before_the_first)?;
    let planned = Seeding::new(&shape, request, ROWS_AT_ONCE);
    let mut seeding = planned.map_err(|error| SeedStop::before_the_first(fault(&error)))?;
    let counts = session.row_counts(&seeding.tables()).await.map_err(SeedStop::before_the_first)?;
    seeding.counted(&counts);
    loop {
        match seeding.next_step().map_err(|error| SeedStop::of(&seeding, fault(&error)))? {
            None => return Ok(seeding.summary().clone()),
            Some(Step::Read { table, columns }) => match session.keys(table, &columns).await {
                Ok(rows) => seeding.read(rows),
                Err(fault) => return Err(SeedStop::of(&seeding, fault)),
            },
            Some(Step::Insert { table, columns, rows }) => {
                let filled = session.fill(table, &columns, &rows).await;
                seeding.inserted(*filled.as_ref().unwrap_or_else(|(before, _)| before));
                seeding.summary().tables.last().into_iter().for_each(progress);
                filled.map_err(|(_, fault)| SeedStop::of(&seeding, fault))?;
            }
        }
    }
}

fn fault(error: &SeedError) -> Fault {
    let class = if matches!(error, SeedError::NoTable(_)) { FaultClass::Missing } else { FaultClass::Other };
    Fault::new(class, error.to_string())
}
