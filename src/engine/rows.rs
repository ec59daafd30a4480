//! Rows as SQL: multi-row INSERTs in bounded messages, and the keys that are there, as literals of the engine.
//!
//! It does not know what a value means or where it comes from; it only writes each in the form that SeaORM reads back.

use super::{TenantEndpoint, literal};
use crate::model::shape::{Column, Table};
use crate::model::tenant::Engine;

/// Rows of one INSERT.
pub(crate) const ROWS_AT_ONCE: usize = 500;

/// Bytes of one INSERT, about: MySQL's default limit for a message has been as low as 1 MiB.
const BYTES_AT_ONCE: usize = 256 * 1024;

/// One value, whatever the engine.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Cell {
    /// NULL.
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number of so many decimal places: `Decimal(1999, 2)` is 19.99.
    Decimal(i64, u32),
    /// A text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// A UUID.
    Uuid(u128),
    /// A moment, in seconds since 1970 in UTC.
    Moment(i64),
    /// A day, in days since 1970.
    Day(i64),
    /// A time of day, in seconds.
    Time(u32),
    /// JSON as text.
    Json(String),
    /// A value that was read from the same database.
    Key(Key),
}

/// A value as the database has it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    /// A literal of the engine.
    pub(crate) literal: String,
    /// The same without quotes, in lower case; a UUID is 32 hex digits on every engine.
    pub(crate) text: String,
}

impl Key {
    /// From a literal of the engine.
    pub(crate) fn new(literal: String) -> Self {
        let lower = literal.to_lowercase();
        let bare = lower.strip_prefix('x').filter(|rest| rest.starts_with('\'')).unwrap_or(&lower);
        let inner = bare.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')).unwrap_or(bare);
        let hex: String = inner.chars().filter(|c| *c != '-').collect();
        let is_uuid = hex.len() == 32 && hex.bytes().all(|b| b.is_ascii_hexdigit());
        let text = if is_uuid { hex } else { inner.replace("''", "'") };
        Key { literal, text }
    }
}

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
        Cell::Decimal(mantissa, scale) => decimal(*mantissa, *scale),
        Cell::Text(text) | Cell::Json(text) => literal(engine, text),
        Cell::Bytes(bytes) => binary(engine, bytes),
        // SQLite has no such type, and SeaORM keeps it there as 16 bytes, as it does in a BINARY(16) of MySQL.
        Cell::Uuid(id) if engine == Engine::Sqlite || (engine == Engine::Mysql && is_binary(&column.kind)) => {
            binary(engine, &id.to_be_bytes())
        }
        Cell::Uuid(id) => literal(engine, &uuid::Uuid::from_u128(*id).to_string()),
        Cell::Moment(seconds) => literal(engine, &moment(engine, &column.kind, *seconds)),
        Cell::Day(days) => literal(engine, &day(*days)),
        Cell::Time(seconds) => literal(engine, &clock(*seconds)),
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

/// A number of so many decimal places, as text.
pub(crate) fn decimal(mantissa: i64, scale: u32) -> String {
    if scale == 0 {
        return mantissa.to_string();
    }
    let one = 10_u64.pow(scale);
    let (whole, part) = (mantissa.unsigned_abs() / one, mantissa.unsigned_abs() % one);
    let sign = if mantissa < 0 { "-" } else { "" };
    format!("{sign}{whole}.{part:0width$}", width = scale as usize)
}

/// In SQLite, a moment is a text; with a time zone it is as RFC 3339 has it, so that texts sort as moments do.
fn moment(engine: Engine, kind: &str, seconds: i64) -> String {
    let (date, time) = (day(seconds.div_euclid(86_400)), clock(seconds_of_day(seconds)));
    match engine {
        Engine::Postgres => format!("{date} {time}+00"),
        Engine::Mysql => format!("{date} {time}"),
        Engine::Sqlite if kind.starts_with("datetime") || kind == "timestamp_text" => format!("{date} {time}"),
        Engine::Sqlite => format!("{date}T{time}+00:00"),
    }
}

fn seconds_of_day(seconds: i64) -> u32 {
    u32::try_from(seconds.rem_euclid(86_400)).expect("less than a day")
}

fn clock(seconds: u32) -> String {
    format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// `2026-02-28`, from days since 1970 (<https://howardhinnant.github.io/date_algorithms.html#civil_from_days>).
pub(crate) fn day(days: i64) -> String {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(kind: &str) -> Column {
        Column { kind: kind.into(), ..Column::default() }
    }

    #[test]
    fn values_are_written_as_seaorm_keeps_them() {
        let id = Cell::Uuid(0x0123_4567_89ab_4def_8000_0000_0000_0001);
        assert_eq!(written(Engine::Sqlite, &column("uuid_text"), &id), "x'0123456789AB4DEF8000000000000001'");
        assert_eq!(written(Engine::Mysql, &column("binary(16)"), &id), "x'0123456789AB4DEF8000000000000001'");
        assert_eq!(written(Engine::Mysql, &column("uuid"), &id), "'01234567-89ab-4def-8000-000000000001'");
        assert_eq!(written(Engine::Postgres, &column("uuid"), &id), "'01234567-89ab-4def-8000-000000000001'");
        let at = Cell::Moment(1_709_251_198);
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
        assert_eq!(decimal(-5, 2), "-0.05");
        assert_eq!(decimal(1999, 2), "19.99");
        assert_eq!((day(0), day(-1), day(19_782)), ("1970-01-01".into(), "1969-12-31".into(), "2024-02-29".into()));
    }

    #[test]
    fn a_key_reads_the_same_from_every_engine() {
        let uuid = "0123456789ab4def8000000000000001";
        assert_eq!(Key::new("X'0123456789AB4DEF8000000000000001'".into()).text, uuid);
        assert_eq!(Key::new("'01234567-89ab-4def-8000-000000000001'".into()).text, uuid);
        assert_eq!(Key::new("'O''Brien'".into()).text, "o'brien");
        assert_eq!((Key::new("12".into()).text, Key::new("'12'".into()).text), ("12".into(), "12".into()));
    }
}
