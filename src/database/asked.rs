//! Statements that ask something of the runner: to be repeated in batches, or to have their rows told.
//!
//! They run by themselves, with the journal before them; what an error means is for the session to say.

use sqlx::{AssertSqlSafe, Executor};

use super::message::text_of;
use super::work::{Batches, Telling, Work};
use crate::compile::Directive;

/// A statement of a script, by its places from 0.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) work: &'a Work,
    pub(super) step: usize,
    pub(super) statement: usize,
}

/// Runs it. Dying between two batches: the journal names this statement, and the next run repeats it.
pub(super) async fn run<DB, C>(
    connection: &mut C,
    asked: Asked<'_>,
    directive: Directive,
    rows_affected: fn(&DB::QueryResult) -> u64,
) -> Result<(), sqlx::Error>
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
            rows.iter().filter_map(text_of).for_each(|text| asked.work.teller.tell(Telling::Note(text)));
        }
        Directive::Batch => {
            let mut batches = Batches::new(asked.work, asked.step, asked.statement);
            while batches.goes_on(rows_affected(&query().execute(&mut *connection).await?)) {}
        }
    }
    Ok(())
}
