//! Changes to the rows of a large table, one bounded piece at a time.
//!
//! Nothing here holds a transaction over more than one piece.

use sea_orm_migration::prelude::DbErr;
use sea_orm_migration::sea_orm::{ConnectionTrait, DbBackend};

/// The prefix of a statement that is repeated until it affects no row, each time in a transaction of its own.
pub(crate) const MARK: &str = "/* fleet: batch */";

/// The prefix of a query whose rows of text are shown to the operator.
pub(crate) const REPORT: &str = "/* fleet: report */";

/// Number of rows in a piece.
pub(crate) const ROWS: u32 = 1000;

/// Repeats a statement until it affects no row. A recorder that answers 0 sees it once, with its mark; executing the
/// recording repeats it.
///
/// The statement must make progress by itself: it must not match the rows that it has changed.
///
/// # Errors
/// The engine's, of the piece that failed; the pieces before it stay.
pub(crate) async fn in_batches<C: ConnectionTrait>(db: &C, sql: &str) -> Result<(), DbErr> {
    let marked = format!("{MARK} {sql}");
    while db.execute_unprepared(&marked).await?.rows_affected() > 0 {}
    Ok(())
}

/// Shows the rows of a query, one column of text, where an operator can read them.
///
/// # Errors
/// The engine's.
pub(crate) async fn report<C: ConnectionTrait>(db: &C, query: &str) -> Result<(), DbErr> {
    db.execute_unprepared(&format!("{REPORT} {query}")).await.map(drop)
}

/// An UPDATE of one piece of the rows of a table with key `id`. MySQL limits the UPDATE itself, the others a subquery.
pub(crate) fn change_rows(backend: DbBackend, table: &str, set: &str, condition: &str) -> String {
    match backend {
        DbBackend::MySql => format!("UPDATE {table} SET {set} WHERE {condition} LIMIT {ROWS}"),
        _ => {
            format!("UPDATE {table} SET {set} WHERE id IN (SELECT x.id FROM {table} x WHERE {condition} LIMIT {ROWS})")
        }
    }
}

/// A DELETE of one piece of the rows of a table.
pub(crate) fn delete_rows(backend: DbBackend, table: &str, key: &str, condition: &str) -> String {
    match backend {
        DbBackend::MySql => format!("DELETE FROM {table} WHERE {condition} LIMIT {ROWS}"),
        _ => {
            format!("DELETE FROM {table} WHERE {key} IN (SELECT x.{key} FROM {table} x WHERE {condition} LIMIT {ROWS})")
        }
    }
}
