//! Statements that ask something of the runner: to be repeated in batches, or to have their rows told.
//!
//! They run by themselves, with the journal before them; what an error means is for the session to say.

use std::sync::atomic::Ordering;
use std::time::Instant;

use sqlx::{AssertSqlSafe, Executor};

use super::errors;
use super::message::text_of;
use super::work::{Notice, ScriptStatement, TELL_EVERY};
use crate::model::fault::{Fault, FaultClass};
use crate::sql::Directive;

/// Runs it. Dying between two batches: the journal names this statement, and the next run repeats it.
pub(crate) async fn run<DB, C>(
    connection: &mut C,
    asked: ScriptStatement<'_>,
    directive: Directive,
    rows_affected: fn(&DB::QueryResult) -> u64,
) -> Result<(), Fault>
where
    DB: sqlx::Database,
    for<'c> &'c mut C: Executor<'c, Database = DB>,
    usize: sqlx::ColumnIndex<DB::Row>,
    for<'r> String: sqlx::Decode<'r, DB> + sqlx::Type<DB>,
    for<'r> Vec<u8>: sqlx::Decode<'r, DB> + sqlx::Type<DB>,
{
    let query = || sqlx::raw_sql(AssertSqlSafe(asked.sql().to_owned()));
    let fault = |error: sqlx::Error| errors::fault(&error);
    match directive {
        Directive::Report => {
            let rows = query().fetch_all(&mut *connection).await.map_err(fault)?;
            rows.iter().filter_map(text_of).for_each(|text| asked.work.teller.tell(Notice::Note(text)));
        }
        Directive::Batch => {
            let (mut rows, mut told) = (0, Instant::now());
            loop {
                let changed = rows_affected(&query().execute(&mut *connection).await.map_err(fault)?);
                if changed == 0 {
                    break;
                }
                rows += changed;
                if told.elapsed() >= TELL_EVERY {
                    told = Instant::now();
                    let migration = asked.step().script.migration.clone();
                    asked.work.teller.tell(Notice::Rows { migration, statement: Some(asked.statement + 1), rows });
                }
                if asked.work.cancelled.load(Ordering::Relaxed) {
                    // With a code of its own: it is certain how far it came.
                    let text = "cancelled between two batches; the next run goes on";
                    return Err(Fault::with_code(FaultClass::Cancelled, "FL006", text));
                }
            }
        }
    }
    Ok(())
}
