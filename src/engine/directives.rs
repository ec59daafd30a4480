//! A single statement of a script, including those with a directive: repeated in batches, or with their rows reported.
//!
//! The journal is written before it; the session interprets errors.

use std::mem;
use std::sync::atomic::Ordering;
use std::time::Instant;

use sqlx::{AssertSqlSafe, Executor, Row as _};

use super::errors;
use super::message::{error_in, text_of};
use super::work::{Notice, ScriptStatement, TELL_EVERY};
use crate::compile::{Left, left};
use crate::model::fault::{Fault, FaultClass};
use crate::sql::{Directive, directive, split, tells_errors_in_rows};

/// The code of a stop between two batches.
const BETWEEN: &str = "FL006";

/// The code of batches that leave rows as they were.
const ENDLESS: &str = "FL012";

/// Whether the work stopped between two batches, as it was asked to.
pub(crate) fn is_between_batches(fault: &Fault) -> bool {
    fault.code.as_deref() == Some(BETWEEN)
}

/// Runs the statement. Dying between two batches: the journal names this statement, and the next run repeats it. Batches whose
/// rows can be counted end whatever the tenant has, and well only where no row is left. Dying in the count: the same.
pub(crate) async fn run<DB, C>(
    connection: &mut C,
    this: ScriptStatement<'_>,
    rows_affected: fn(&DB::QueryResult) -> u64,
) -> Result<(), Fault>
where
    DB: sqlx::Database,
    for<'c> &'c mut C: Executor<'c, Database = DB>,
    usize: sqlx::ColumnIndex<DB::Row>,
    for<'r> String: sqlx::Decode<'r, DB> + sqlx::Type<DB>,
    for<'r> Vec<u8>: sqlx::Decode<'r, DB> + sqlx::Type<DB>,
    for<'r> i64: sqlx::Decode<'r, DB> + sqlx::Type<DB>,
{
    let query = || sqlx::raw_sql(AssertSqlSafe(this.sql().to_owned()));
    let fault = |error: sqlx::Error| errors::fault(&error);
    match directive(this.sql()) {
        None if !tells_errors(this) => {
            query().execute(connection).await.map_err(fault)?;
        }
        kind @ (None | Some(Directive::Report)) => {
            let rows = query().fetch_all(&mut *connection).await.map_err(fault)?;
            if let Some(error) = rows.iter().find_map(error_in).filter(|_| tells_errors(this)) {
                return Err(fault(error));
            }
            let rows = if kind.is_some() { rows } else { Vec::new() };
            rows.iter().filter_map(text_of).for_each(|text| this.work.teller.tell(Notice::Note(text)));
        }
        Some(Directive::Batch) => {
            let left = left(this.step().script.engine, this.sql());
            let (mut rows, mut told, mut bound) = (0, Instant::now(), Bound::default());
            loop {
                let changed = rows_affected(&query().execute(&mut *connection).await.map_err(fault)?);
                if changed == 0 {
                    let Some(left) = &left else { break };
                    let now = count::<DB, C>(connection, left).await.map_err(fault)?;
                    if now == 0 {
                        break;
                    }
                    if bound.is_passed_over() {
                        return Err(passed_over(&left.table, now, rows));
                    }
                    continue;
                }
                this.work.has_rows.store(true, Ordering::Relaxed);
                rows += changed;
                if told.elapsed() >= TELL_EVERY {
                    told = Instant::now();
                    let migration = this.step().script.migration.clone();
                    this.work.teller.tell(Notice::Rows { migration, statement: Some(this.statement + 1), rows });
                }
                if this.work.cancelled.load(Ordering::Relaxed) {
                    // An error code of its own: the position is certain.
                    let text = "cancelled between two batches; the next run goes on";
                    return Err(Fault::with_code(FaultClass::Cancelled, BETWEEN, text));
                }
                if bound.asks(changed)
                    && let Some(left) = &left
                {
                    // Where they can't be counted now, as within a time limit, the batches go on.
                    let now = count::<DB, C>(connection, left).await.ok();
                    if bound.is_stuck(now) {
                        return Err(no_end(&left.table, now.unwrap_or_default(), rows));
                    }
                }
            }
        }
    }
    Ok(())
}

/// The number of batches behind which the rows that are left are counted: a trigger may give a row back what the condition asks for.
/// Fewer are not counted, because that reads the table once more.
const UNCOUNTED: u64 = 100;

/// The rows that batches may change before they have to be fewer.
#[derive(Debug, Default)]
struct Bound {
    /// When they were counted last.
    left: Option<u64>,
    /// Since then.
    batches: u64,
    changed: u64,
    /// Whether the last batch changed none of the rows that were left.
    idle: bool,
}

impl Bound {
    /// Whether the rows have to be counted behind a batch: more were changed than there were.
    fn asks(&mut self, changed: u64) -> bool {
        self.idle = false;
        self.batches += 1;
        self.changed += changed;
        self.batches.is_multiple_of(UNCOUNTED) && self.left.is_none_or(|left| self.changed > left)
    }

    /// Whether the batches get nowhere: there are as many rows as before.
    fn is_stuck(&mut self, now: Option<u64>) -> bool {
        let is_stuck = now > Some(0) && self.left.is_some() && now >= self.left;
        *self = Bound { left: now, ..Bound::default() };
        is_stuck
    }

    /// Whether the rows that are left behind a batch without a row stay as they are. Others may have written them behind the first such
    /// batch: the next one would change them.
    fn is_passed_over(&mut self) -> bool {
        mem::replace(&mut self.idle, true)
    }
}

/// The rows that are left. Reads only.
async fn count<DB, C>(connection: &mut C, left: &Left) -> Result<u64, sqlx::Error>
where
    DB: sqlx::Database,
    for<'c> &'c mut C: Executor<'c, Database = DB>,
    usize: sqlx::ColumnIndex<DB::Row>,
    for<'r> i64: sqlx::Decode<'r, DB> + sqlx::Type<DB>,
{
    let row = sqlx::raw_sql(AssertSqlSafe(left.count.clone())).fetch_one(connection).await?;
    row.try_get::<i64, _>(0).map(i64::unsigned_abs)
}

fn no_end(table: &str, left: u64, rows: u64) -> Fault {
    let text = format!(
        "its batches come to no end: {rows} rows of {table} were changed, and {left} are still as its condition asks for, as many as before. \
         A trigger, a rule or a policy of {table} takes the change back, or the new value is NULL. Each batch is committed. Disable that and \
         migrate again: it goes on with the rows that are left"
    );
    Fault::with_code(FaultClass::Migration, ENDLESS, text)
}

fn passed_over(table: &str, left: u64, rows: u64) -> Fault {
    let text = format!(
        "its batches pass over rows: {rows} rows of {table} were changed, and {left} are still as its condition asks for, although a batch \
         changed none of them. A trigger or a policy of {table} holds them back. Each batch is committed. Disable that and migrate again: it \
         goes on with the rows that are left; rows that are meant to stay as they are, its WHERE has to leave out"
    );
    Fault::with_code(FaultClass::Migration, ENDLESS, text)
}

/// Whether a statement of the text tells its errors in rows.
fn tells_errors(this: ScriptStatement<'_>) -> bool {
    let engine = this.step().script.engine;
    split(engine, this.sql()).iter().any(|piece| tells_errors_in_rows(engine, piece.text))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends batches until they end, each with the rows that it changes; returns whether they got nowhere, and how often they were counted.
    fn sent(mut left: u64, mut batch: impl FnMut(&mut u64) -> u64) -> (bool, usize) {
        let (mut bound, mut counts) = (Bound::default(), 0);
        loop {
            let changed = batch(&mut left);
            if changed == 0 {
                return (false, counts);
            }
            if bound.asks(changed) {
                counts += 1;
                if bound.is_stuck(Some(left)) {
                    return (true, counts);
                }
            }
        }
    }

    #[test]
    fn batches_that_take_rows_away_end_and_are_counted_once() {
        let fills = |left: &mut u64| {
            let changed = (*left).min(10);
            *left -= changed;
            changed
        };
        assert_eq!(sent(900, fills), (false, 0), "90 batches");
        assert_eq!(sent(50_000, fills), (false, 1), "5,000 batches");
    }

    #[test]
    fn rows_that_stay_are_passed_over_and_rows_of_others_are_not() {
        let mut bound = Bound::default();
        assert!(!bound.is_passed_over(), "others may have written them behind the batch");
        assert!(!bound.asks(5), "the next batch changes them");
        assert!(!bound.is_passed_over(), "others once more");
        assert!(bound.is_passed_over(), "no batch changes them");
    }

    #[test]
    fn batches_that_leave_rows_as_they_were_get_nowhere() {
        assert_eq!(sent(30, |left| *left), (true, 2), "all of them");
        let fills_some = |left: &mut u64| {
            let changed = (*left).min(10);
            *left -= changed.min(*left - 3);
            changed
        };
        assert_eq!(sent(50_000, fills_some), (true, 3), "three are put back");
    }
}
