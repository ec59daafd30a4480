//! The SQL text that differs between engines: literals, fleet's own tables, and values as rows hold them.
//!
//! Builds text only; sends nothing.

use super::{mysql, postgres, sqlite};
use crate::model::engine::{Engine, EngineMap};

/// A product that speaks an engine's dialect, and its oldest supported version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Product {
    pub(crate) name: &'static str,
    pub(crate) oldest: (u32, u32),
    /// The client program that dumps a database, where one is used.
    pub(crate) dump: Option<&'static str>,
    /// Only this product's own build of that program makes dumps that can be loaded again.
    pub(crate) own_dump: bool,
}

/// The SQL of an engine where it differs from standard SQL.
pub(crate) trait Dialect: Values + Sync {
    /// A string as an SQL literal.
    fn literal(&self, text: &str) -> String {
        format!("'{}'", text.replace('\'', "''"))
    }

    /// A column cast to text.
    fn as_text(&self, column: &str) -> String {
        format!("CAST({column} AS text)")
    }

    /// The column types of fleet's own tables.
    fn types(&self) -> ColumnTypes {
        ColumnTypes { integer: "integer", name: "varchar(255)" }
    }

    /// The expressions for a row of SeaORM's history and for a row of the scripts table: name, tab, checksum.
    fn entries(&self) -> [&'static str; 2];

    /// A query that returns the row `mark` (a literal) if a table of fleet's own has to be looked at: always where it exists,
    /// or where it has a row. By rows it may fail where there is no such table.
    fn marks(&self, mark: &str, table: &OwnTable<'_>) -> String;

    /// An upsert: inserts a row, or replaces the row with the same key, which is the first column.
    fn put(&self, table: &str, columns: &[&str], values: &[String]) -> String {
        let (names, values) = (columns.join(", "), values.join(", "));
        let changes: Vec<String> = columns[1..].iter().map(|c| format!("{c} = excluded.{c}")).collect();
        format!(
            "INSERT INTO {table} ({names}) VALUES ({values}) ON CONFLICT ({}) DO UPDATE SET {}",
            columns[0],
            changes.join(", ")
        )
    }

    /// The statement with which an administrator terminates a session.
    fn end_session(&self, id: i64) -> String {
        format!("SELECT pg_terminate_backend({id});")
    }

    /// The product that a version string names.
    fn product(&self, version: &str) -> Product;
}

/// Column types that engines spell differently.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ColumnTypes {
    /// A small integer.
    pub(crate) integer: &'static str,
    /// A name, compared exactly.
    pub(crate) name: &'static str,
}

/// A table of fleet's own that a tenant may not have, in the forms in which it is named.
#[derive(Debug, Clone)]
pub(crate) struct OwnTable<'a> {
    /// Its name, as a literal.
    pub(crate) name: String,
    /// The quoted, qualified name.
    pub(crate) qualified: &'a str,
    /// Whether it counts only with a row.
    pub(crate) by_rows: bool,
}

/// Values as an engine writes and reads them.
pub(crate) trait Values {
    /// A column of this kind as a literal of the engine; `name` is quoted.
    fn key(&self, name: &str, kind: &str) -> String;

    /// A boolean literal.
    fn boolean(&self, yes: bool) -> String {
        u8::from(yes).to_string()
    }

    /// A binary literal, from hex digits.
    fn bytes(&self, hex: &str) -> String {
        format!("x'{hex}'")
    }

    /// Whether SeaORM keeps a UUID as 16 bytes in a column of this kind.
    fn has_binary_uuid(&self, _kind: &str) -> bool {
        false
    }

    /// A UTC timestamp, in the form that a column of this kind holds.
    fn moment(&self, kind: &str, date: &str, time: &str) -> String;

    /// Whether one INSERT can add several rows of nothing but defaults.
    fn inserts_many_defaults(&self) -> bool {
        false
    }

    /// The family of a type, for code that reads its values, where the engine has several types in one family; `base`
    /// is the type without its length.
    fn family(&self, kind: &str, base: &str) -> Option<&'static str>;
}

static DIALECTS: EngineMap<&dyn Dialect> = EngineMap {
    sqlite: &sqlite::dialect::Sqlite,
    postgres: &postgres::dialect::Postgres,
    mysql: &mysql::dialect::Mysql,
};

/// The dialect of an engine.
pub(crate) fn dialect(engine: Engine) -> &'static dyn Dialect {
    DIALECTS[engine]
}

/// A string as an SQL literal.
pub(crate) fn literal(engine: Engine, text: &str) -> String {
    dialect(engine).literal(text)
}

/// Whether a type is binary, by its names in SQLite and MySQL.
pub(crate) fn is_bytes(base: &str) -> bool {
    ["binary", "varbinary", "blob", "tinyblob", "mediumblob", "longblob"].iter().any(|b| base.starts_with(b))
}
