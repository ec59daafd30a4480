//! A single statement of a script, including those with a directive: repeated in batches, or with their rows reported.
//!
//! The journal is written before it; the session interprets errors.

use std::sync::atomic::Ordering;
use std::time::Instant;

use sqlx::{AssertSqlSafe, Executor};

use super::errors;
use super::message::{error_in, text_of};
use super::work::{Notice, ScriptStatement, TELL_EVERY};
use crate::model::fault::{Fault, FaultClass};
use crate::sql::{Directive, directive, split, tells_errors_in_rows};

/// Runs the statement. Dying between two batches: the journal names this statement, and the next run repeats it.
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
            let (mut rows, mut told) = (0, Instant::now());
            loop {
                let changed = rows_affected(&query().execute(&mut *connection).await.map_err(fault)?);
                if changed == 0 {
                    break;
                }
                rows += changed;
                if told.elapsed() >= TELL_EVERY {
                    told = Instant::now();
                    let migration = this.step().script.migration.clone();
                    this.work.teller.tell(Notice::Rows { migration, statement: Some(this.statement + 1), rows });
                }
                if this.work.cancelled.load(Ordering::Relaxed) {
                    // An error code of its own: the position is certain.
                    let text = "cancelled between two batches; the next run goes on";
                    return Err(Fault::with_code(FaultClass::Cancelled, "FL006", text));
                }
            }
        }
    }
    Ok(())
}

/// Whether a statement of the text tells its errors in rows.
fn tells_errors(this: ScriptStatement<'_>) -> bool {
    let engine = this.step().script.engine;
    split(engine, this.sql()).iter().any(|piece| tells_errors_in_rows(engine, piece.text))
}
