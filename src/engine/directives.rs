//! Statements that ask something of the runner: to be repeated in batches, or to have their rows told.
//!
//! They run by themselves, with the journal before them; what an error means is for the session to say.

use sqlx::{AssertSqlSafe, Executor};

use super::errors;
use super::message::text_of;
use super::work::{Batches, Notice, Work};
use crate::model::fault::{Fault, FaultClass};
use crate::sql::Directive;

/// A statement of a script, by its places from 0.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DirectedStatement<'a> {
    pub(crate) work: &'a Work,
    pub(crate) step: usize,
    pub(crate) statement: usize,
}

/// How it ended, where it did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DirectiveEnd {
    Done,
    /// Between two batches; the next run goes on with it.
    Cancelled,
}

/// Runs it. Dying between two batches: the journal names this statement, and the next run repeats it.
pub(crate) async fn run<DB, C>(
    connection: &mut C,
    asked: DirectedStatement<'_>,
    directive: Directive,
    rows_affected: fn(&DB::QueryResult) -> u64,
) -> Result<DirectiveEnd, sqlx::Error>
where
    DB: sqlx::Database,
    for<'c> &'c mut C: Executor<'c, Database = DB>,
    usize: sqlx::ColumnIndex<DB::Row>,
    for<'r> String: sqlx::Decode<'r, DB> + sqlx::Type<DB>,
    for<'r> Vec<u8>: sqlx::Decode<'r, DB> + sqlx::Type<DB>,
{
    let sql = &asked.work.steps[asked.step].script.statements[asked.statement];
    let query = || sqlx::raw_sql(AssertSqlSafe(sql.clone()));
    match directive {
        Directive::Report => {
            let rows = query().fetch_all(&mut *connection).await?;
            rows.iter().filter_map(text_of).for_each(|text| asked.work.teller.tell(Notice::Note(text)));
        }
        Directive::Batch => {
            let mut batches = Batches::new(asked.work, asked.step, asked.statement);
            while batches.goes_on(rows_affected(&query().execute(&mut *connection).await?)) {
                if batches.is_cancelled() {
                    return Ok(DirectiveEnd::Cancelled);
                }
            }
        }
    }
    Ok(DirectiveEnd::Done)
}

/// The end as the session's fault. A cancelled batch has a code of its own: it is certain how far it came.
pub(crate) fn verdict(ended: Result<DirectiveEnd, sqlx::Error>) -> Result<(), Fault> {
    match ended {
        Ok(DirectiveEnd::Done) => Ok(()),
        Ok(DirectiveEnd::Cancelled) => {
            Err(Fault::with_code(FaultClass::Cancelled, "FL006", "cancelled between two batches; the next run goes on"))
        }
        Err(error) => Err(errors::fault(&error)),
    }
}
