//! Changes to the rows of a big table, a bounded piece at a time.
//!
//! Nothing here holds a transaction over more than one piece.

use sea_orm_migration::prelude::DbErr;
use sea_orm_migration::sea_orm::{ConnectionTrait, DbBackend};

/// What a statement begins with that is repeated until it affects no row, each time in a transaction of its own.
pub(crate) const MARK: &str = "/* fleet: batch */";

/// What a query begins with whose rows of text are shown to the operator.
pub(crate) const REPORT: &str = "/* fleet: report */";

/// How many rows a piece takes.
pub(crate) const ROWS: u32 = 1000;

/// Repeats a statement until it affects no row. A recorder that answers 0 sees it once, with its mark; the one who plays
/// the recording repeats it.
///
/// The statement must get on by itself: what it has done it does not find again.
///
/// # Errors
/// The engine's, of the piece that failed; the pieces before it stay.
pub(crate) async fn in_batches<C: ConnectionTrait>(db: &C, sql: &str) -> Result<(), DbErr> {
    let marked = format!("{MARK} {sql}");
    while db.execute_unprepared(&marked).await?.rows_affected() > 0 {}
    Ok(())
}

/// Shows the rows of a query, one column of text, where someone is there to read them.
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
