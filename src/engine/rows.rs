//! Rows as SQL: multi-row INSERTs in bounded messages, and the keys that are there, as literals of the engine.
//!
//! It does not know what a value means or where it comes from; it only writes each in the form that SeaORM reads back.

use super::{TenantEndpoint, literal};
use crate::model::shape::{Cell, Column, Key, Table};
use crate::model::tenant::Engine;

/// Rows of one INSERT.
pub(crate) const ROWS_AT_ONCE: usize = 500;

/// Bytes of one INSERT, about: MySQL's default limit for a message has been as low as 1 MiB.
const BYTES_AT_ONCE: usize = 256 * 1024;

/// INSERTs with the number of rows of each.
pub(crate) fn inserts(
    door: &TenantEndpoint,
    table: &Table,
    columns: &[&Column],
    rows: &[Vec<Cell>],
) -> Vec<(String, u64)> {
    let engine = door.tenant.engine;
    let names = columns.iter().map(|c| engine.quote(&c.name)).collect::<Vec<_>>().join(", ");
    let into = format!("INSERT INTO {}", qualified(door, &table.name));
    if columns.is_empty() && engine != Engine::Mysql {
        // They have no way to say it for many rows at once.
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
pub(crate) fn literals(door: &TenantEndpoint, table: &Table, columns: &[&Column]) -> String {
    let engine = door.tenant.engine;
    let one = |column: &&Column| {
        let name = engine.quote(&column.name);
        match engine {
            Engine::Sqlite => format!("CASE WHEN {name} IS NULL THEN NULL ELSE quote({name}) END"),
            Engine::Postgres => format!("quote_literal({name}::text)"),
            Engine::Mysql if is_binary(&column.kind) => {
                format!("CASE WHEN {name} IS NULL THEN NULL ELSE CONCAT('x''', HEX({name}), '''') END")
            }
            Engine::Mysql => format!("CASE WHEN {name} IS NULL THEN NULL ELSE QUOTE({name}) END"),
        }
    };
    let list = columns.iter().map(one).collect::<Vec<_>>().join(", ");
    format!("SELECT {list} FROM {}", qualified(door, &table.name))
}

/// Rows of texts as rows of keys.
pub(crate) fn keys<R>(rows: &[R], width: usize, text: impl Fn(&R, usize) -> Option<String>) -> Vec<Vec<Option<Key>>> {
    rows.iter().map(|row| (0..width).map(|i| text(row, i).map(Key::new)).collect()).collect()
}

fn qualified(door: &TenantEndpoint, table: &str) -> String {
    let engine = door.tenant.engine;
    let table = engine.quote(table);
    door.namespace().map_or(table.clone(), |name| format!("{}.{table}", engine.quote(&name)))
}

fn is_binary(kind: &str) -> bool {
    ["binary", "varbinary", "blob", "tinyblob", "mediumblob", "longblob", "bit"].iter().any(|k| kind.starts_with(k))
}

/// A value as SeaORM's own insert would have left it in this column.
fn written(engine: Engine, column: &Column, cell: &Cell) -> String {
    match cell {
        Cell::Null => "NULL".to_owned(),
        Cell::Bool(yes) if engine == Engine::Postgres => yes.to_string(),
        Cell::Bool(yes) => u8::from(*yes).to_string(),
        Cell::Int(number) => number.to_string(),
        Cell::Decimal(number) => number.to_string(),
        Cell::Text(text) | Cell::Json(text) => literal(engine, text),
        Cell::Bytes(bytes) => binary(engine, bytes),
        // SQLite has no such type, and SeaORM keeps it there as 16 bytes, as it does in a BINARY(16) of MySQL.
        Cell::Uuid(id) if engine == Engine::Sqlite || (engine == Engine::Mysql && is_binary(&column.kind)) => {
            binary(engine, id.as_bytes())
        }
        Cell::Uuid(id) => literal(engine, &id.to_string()),
        Cell::Moment(at) => literal(engine, &at.format(moment(engine, &column.kind)).to_string()),
        Cell::Day(day) => literal(engine, &day.to_string()),
        Cell::Time(time) => literal(engine, &time.to_string()),
        Cell::Key(key) => key.literal.clone(),
    }
}

fn binary(engine: Engine, bytes: &[u8]) -> String {
    let hex: String = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
    match engine {
        Engine::Postgres => format!("'\\x{hex}'"),
        Engine::Sqlite | Engine::Mysql => format!("x'{hex}'"),
    }
}

/// The format of a moment. In SQLite it is a text; with a time zone it is as RFC 3339 has it, so that texts sort as moments
/// do.
fn moment(engine: Engine, kind: &str) -> &'static str {
    match engine {
        Engine::Postgres => "%F %T+00",
        Engine::Mysql => "%F %T",
        Engine::Sqlite if kind.starts_with("datetime") || kind == "timestamp_text" => "%F %T",
        Engine::Sqlite => "%FT%T+00:00",
    }
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
        assert_eq!(written(Engine::Mysql, &column("text"), &Cell::Text("O'B\\".into())), "'O''B\\\\'");
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
