//! Rows as SQL: multi-row INSERTs in bounded messages, and existing keys as literals of the engine.
//!
//! It does not know the meaning or origin of a value; it only writes each in the form that SeaORM reads back.

use async_trait::async_trait;

use super::TenantEndpoint;
use super::dialect::{dialect, literal};
use super::queries::TenantQueries;
use crate::model::fault::Fault;
use crate::model::shape::{Cell, Column, Key, Table};
use crate::model::tenant::Engine;

/// Adds rows to tables, and reads existing keys.
#[async_trait]
pub(crate) trait Rows: Send {
    /// Adds rows to a table, in batches of a bounded size, each in a transaction. Each row has one cell per column.
    ///
    /// Returns the number of rows added. Dying in it: whole batches are there, in order, and no part of one.
    ///
    /// # Errors
    /// The number of rows committed before, and the [`Fault`] of the failed batch.
    async fn fill(&mut self, table: &Table, columns: &[&Column], rows: &[Vec<Cell>]) -> Result<u64, (u64, Fault)>;

    /// Some columns of all rows of a table, in no particular order; `None` is NULL. One read query.
    ///
    /// # Errors
    /// A [`Fault`] when the table can't be read.
    async fn keys(&mut self, table: &Table, columns: &[&Column]) -> Result<Vec<Vec<Option<Key>>>, Fault>;
}

/// A batch of rows, added in a transaction of its own; if it fails, none are added.
#[async_trait]
pub(crate) trait Batch: TenantQueries {
    async fn add(&mut self, insert: String) -> Result<(), Fault>;

    /// The statements before a query for keys, so that the values read mean the same when they are written.
    fn settings(&self) -> String {
        String::new()
    }
}

#[async_trait]
impl<S: Batch> Rows for S {
    async fn fill(&mut self, table: &Table, columns: &[&Column], rows: &[Vec<Cell>]) -> Result<u64, (u64, Fault)> {
        let mut filled = 0;
        for (insert, count) in inserts(self.door(), table, columns, rows) {
            self.add(insert).await.map_err(|fault| (filled, fault))?;
            filled += count;
        }
        Ok(filled)
    }

    async fn keys(&mut self, table: &Table, columns: &[&Column]) -> Result<Vec<Vec<Option<Key>>>, Fault> {
        let rows = self.rows(self.settings() + &literals(self.door(), table, columns)).await?;
        Ok(rows.iter().map(|row| (0..columns.len()).map(|column| row.text(column).map(Key::new)).collect()).collect())
    }
}

/// Maximum number of rows per INSERT.
pub(crate) const ROWS_AT_ONCE: usize = 500;

/// Approximate maximum size of an INSERT, in bytes: MySQL's default message limit has been as low as 1 MiB.
const BYTES_AT_ONCE: usize = 256 * 1024;

/// INSERT statements, with the number of rows of each.
fn inserts(door: &TenantEndpoint, table: &Table, columns: &[&Column], rows: &[Vec<Cell>]) -> Vec<(String, u64)> {
    let engine = door.tenant.engine;
    let names = columns.iter().map(|c| engine.quote(&c.name)).collect::<Vec<_>>().join(", ");
    let into = format!("INSERT INTO {}", qualified(door, &table.name));
    if columns.is_empty() && !dialect(engine).inserts_many_defaults() {
        // These engines have no syntax for several such rows in one INSERT.
        let batch =
            |rows: &[Vec<Cell>]| (vec![format!("{into} DEFAULT VALUES"); rows.len()].join(";\n"), rows.len() as u64);
        return rows.chunks(ROWS_AT_ONCE).map(batch).collect();
    }
    let mut all: Vec<(String, u64)> = Vec::new();
    for row in rows {
        let cells = columns.iter().zip(row).map(|(column, cell)| written(engine, column, cell));
        let values = format!("({})", cells.collect::<Vec<_>>().join(", "));
        match all.last_mut() {
            Some((sql, count)) if *count < ROWS_AT_ONCE as u64 && sql.len() + values.len() < BYTES_AT_ONCE => {
                sql.push_str(",\n");
                sql.push_str(&values);
                *count += 1;
            }
            _ => all.push((format!("{into} ({names}) VALUES\n{values}"), 1)),
        }
    }
    all
}

/// The query for columns of all rows, as literals.
fn literals(door: &TenantEndpoint, table: &Table, columns: &[&Column]) -> String {
    let engine = door.tenant.engine;
    let one = |column: &&Column| dialect(engine).key(&engine.quote(&column.name), &column.kind);
    let list = columns.iter().map(one).collect::<Vec<_>>().join(", ");
    format!("SELECT {list} FROM {}", qualified(door, &table.name))
}

fn qualified(door: &TenantEndpoint, table: &str) -> String {
    let engine = door.tenant.engine;
    let table = engine.quote(table);
    door.namespace().map_or(table.clone(), |name| format!("{}.{table}", engine.quote(&name)))
}

/// A value in the form that SeaORM's own insert would store in this column.
fn written(engine: Engine, column: &Column, cell: &Cell) -> String {
    match cell {
        Cell::Null => "NULL".to_owned(),
        Cell::Bool(yes) => dialect(engine).boolean(*yes),
        Cell::Int(number) => number.to_string(),
        Cell::Decimal(number) => number.to_string(),
        Cell::Text(text) | Cell::Json(text) => literal(engine, text),
        Cell::Bytes(bytes) => binary(engine, bytes),
        Cell::Uuid(id) if dialect(engine).has_binary_uuid(&column.kind) => binary(engine, id.as_bytes()),
        Cell::Uuid(id) => literal(engine, &id.to_string()),
        Cell::Moment(at) => {
            let (date, time) = (at.format("%F").to_string(), at.format("%T").to_string());
            literal(engine, &dialect(engine).moment(&column.kind, &date, &time))
        }
        Cell::Day(day) => literal(engine, &day.to_string()),
        Cell::Time(time) => literal(engine, &time.to_string()),
        Cell::Key(key) => key.literal.clone(),
    }
}

fn binary(engine: Engine, bytes: &[u8]) -> String {
    let hex: String = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
    dialect(engine).bytes(&hex)
}

#[cfg(test)]
mod tests {
    use chrono::{NaiveDate, NaiveTime};
    use rust_decimal::Decimal;

    use super::*;

    fn column(kind: &str) -> Column {
        Column { kind: kind.into(), ..Column::default() }
    }

    #[test]
    fn values_are_written_as_seaorm_keeps_them() {
        let id = Cell::Uuid(uuid::Uuid::from_u128(0x0123_4567_89ab_4def_8000_0000_0000_0001));
        assert_eq!(written(Engine::Sqlite, &column("uuid_text"), &id), "x'0123456789AB4DEF8000000000000001'");
        assert_eq!(written(Engine::Mysql, &column("binary(16)"), &id), "x'0123456789AB4DEF8000000000000001'");
        assert_eq!(written(Engine::Mysql, &column("uuid"), &id), "'01234567-89ab-4def-8000-000000000001'");
        assert_eq!(written(Engine::Postgres, &column("uuid"), &id), "'01234567-89ab-4def-8000-000000000001'");
        let at = Cell::Moment("2024-02-29T23:59:58Z".parse().unwrap());
        assert_eq!(
            written(Engine::Sqlite, &column("timestamp_with_timezone_text"), &at),
            "'2024-02-29T23:59:58+00:00'"
        );
        assert_eq!(written(Engine::Sqlite, &column("datetime_text"), &at), "'2024-02-29 23:59:58'");
        assert_eq!(written(Engine::Postgres, &column("timestamptz"), &at), "'2024-02-29 23:59:58+00'");
        assert_eq!(written(Engine::Mysql, &column("timestamp"), &at), "'2024-02-29 23:59:58'");
        assert_eq!(written(Engine::Mysql, &column("text"), &Cell::Text("O'B\\".into())), "_utf8mb4 x'4F27425C'");
        assert_eq!(written(Engine::Postgres, &column("bytea"), &Cell::Bytes(vec![0, 255])), "'\\x00FF'");
        assert_eq!(written(Engine::Sqlite, &column("boolean"), &Cell::Bool(true)), "1");
        for (cell, text) in [
            (Cell::Decimal(Decimal::new(-5, 2)), "-0.05"),
            (Cell::Decimal(Decimal::new(1_900, 2)), "19.00"),
            (Cell::Day(NaiveDate::from_ymd_opt(2024, 2, 29).unwrap()), "'2024-02-29'"),
            (Cell::Time(NaiveTime::from_hms_opt(7, 5, 0).unwrap()), "'07:05:00'"),
        ] {
            assert_eq!(written(Engine::Mysql, &Column::default(), &cell), text);
        }
    }
}
