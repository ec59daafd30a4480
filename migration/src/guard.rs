//! A guard that the engine itself enforces, in plain SQL that is the same on all three.
//!
//! It changes no row: it goes before the step that would lose data.

use sea_orm_migration::prelude::DbErr;
use sea_orm_migration::sea_orm::{ConnectionTrait, DbBackend};

/// Lets the migration go on only if `count`, a query for one number, gives 0. Otherwise the engine rejects it with a
/// violated constraint whose name, `why`, says what is wrong.
///
/// The table for it stays behind where a refusal is not rolled back (MySQL, and migrations without a transaction), so
/// the next attempt uses the existing one.
///
/// # Errors
/// The engine's, with `why` in its text.
pub(crate) async fn only_if_none<C: ConnectionTrait>(db: &C, why: &str, count: &str) -> Result<(), DbErr> {
    let quote = if db.get_database_backend() == DbBackend::MySql { '`' } else { '"' };
    let table = format!("{quote}guard_{why}{quote}");
    for sql in [
        format!(
            "CREATE TABLE IF NOT EXISTS {table} \
             (found bigint NOT NULL, CONSTRAINT {quote}{why}{quote} CHECK (found = 0))"
        ),
        format!("INSERT INTO {table} (found) {count}"),
        format!("DROP TABLE {table}"),
    ] {
        db.execute_unprepared(&sql).await?;
    }
    Ok(())
}
