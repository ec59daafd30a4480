//! The text in which the engines differ: literals, the SQL of fleet's own tables, values as rows have them.
//!
//! Only text is made here; nothing is sent.

use super::{mysql, postgres, sqlite};
use crate::model::engine::{Engine, EngineMap};

/// A product that speaks an engine's dialect, and its oldest version that is supported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Product {
    pub(crate) name: &'static str,
    pub(crate) oldest: (u32, u32),
}

/// The text of an engine beside that of standard SQL.
pub(crate) trait Dialect: Values + Sync {
    /// A text as a literal.
    fn literal(&self, text: &str) -> String {
        format!("'{}'", text.replace('\'', "''"))
    }

    /// A column as text.
    fn as_text(&self, column: &str) -> String {
        format!("CAST({column} AS text)")
    }

    /// The types of columns of fleet's own tables.
    fn types(&self) -> ColumnTypes {
        ColumnTypes { integer: "integer", name: "varchar(255)" }
    }

    /// The entry of a row of SeaORM's history, and that of a row of the table of scripts: name, tab, checksum.
    fn entries(&self) -> [&'static str; 2];

    /// A query with the row `mark` (a literal) where there is a table of scripts.
    fn marks_scripts(&self, mark: &str, scripts: &ScriptsTable<'_>) -> String;

    /// A row, or a new row in the place of one with the same key, which is the first column.
    fn put(&self, table: &str, columns: &[&str], values: &[String]) -> String {
        let (names, values) = (columns.join(", "), values.join(", "));
        let changes: Vec<String> = columns[1..].iter().map(|c| format!("{c} = excluded.{c}")).collect();
        format!(
            "INSERT INTO {table} ({names}) VALUES ({values}) ON CONFLICT ({}) DO UPDATE SET {}",
            columns[0],
            changes.join(", ")
        )
    }

    /// The statement with which an administrator ends a session.
    fn end_session(&self, id: i64) -> String {
        format!("SELECT pg_terminate_backend({id});")
    }

    /// The product behind the text of a version.
    fn product(&self, version: &str) -> Product;
}

/// Types of columns that not every engine spells alike.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ColumnTypes {
    /// A small whole number.
    pub(crate) integer: &'static str,
    /// A name, such that all names are told apart.
    pub(crate) name: &'static str,
}

/// The ways in which the table of SQL scripts is named.
#[derive(Debug, Clone)]
pub(crate) struct ScriptsTable<'a> {
    /// Its name, as a literal.
    pub(crate) name: String,
    /// Quoted and qualified.
    pub(crate) qualified: &'a str,
    /// An expression for its database.
    pub(crate) database: &'a str,
}

/// Values as an engine writes and reads them.
pub(crate) trait Values {
    /// A column of this kind as a literal of the engine; `name` is quoted.
    fn key(&self, name: &str, kind: &str) -> String;

    /// True or false.
    fn boolean(&self, yes: bool) -> String {
        u8::from(yes).to_string()
    }

    /// Bytes, from hex digits.
    fn bytes(&self, hex: &str) -> String {
        format!("x'{hex}'")
    }

    /// Whether SeaORM keeps a UUID as 16 bytes in a column of this kind.
    fn has_binary_uuid(&self, _kind: &str) -> bool {
        false
    }

    /// A moment in UTC, as a column of this kind has it.
    fn moment(&self, kind: &str, date: &str, time: &str) -> String;

    /// Whether several rows of nothing but defaults can be one INSERT.
    fn inserts_many_defaults(&self) -> bool {
        false
    }

    /// The family of a type, for a program that reads its values, where the engine has several types of one family; `base`
    /// is the type without its length.
    fn family(&self, kind: &str, base: &str) -> Option<&'static str>;
}

static DIALECTS: EngineMap<&dyn Dialect> = EngineMap {
    sqlite: &sqlite::dialect::Sqlite,
    postgres: &postgres::dialect::Postgres,
    mysql: &mysql::dialect::Mysql,
};

/// How an engine writes.
pub(crate) fn dialect(engine: Engine) -> &'static dyn Dialect {
    DIALECTS[engine]
}

/// A text as an SQL literal.
pub(crate) fn literal(engine: Engine, text: &str) -> String {
    dialect(engine).literal(text)
}

/// Whether a type is one of bytes, by its names in SQLite and MySQL.
pub(crate) fn is_bytes(base: &str) -> bool {
    ["binary", "varbinary", "blob", "tinyblob", "mediumblob", "longblob"].iter().any(|b| base.starts_with(b))
}
