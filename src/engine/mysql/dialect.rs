//! The SQL dialect of MySQL and MariaDB.

use crate::engine::dialect::{ColumnTypes, Dialect, OwnTable, Product, Values, is_bytes};
use crate::engine::mysql::flavour::Flavour;

/// The databases that the user may see, without those of the server itself.
pub(in crate::engine) const DATABASES: &str = "SELECT schema_name AS id FROM information_schema.schemata \
     WHERE schema_name NOT IN ('information_schema', 'mysql', 'performance_schema', 'sys')";

pub(in crate::engine) struct Mysql;

impl Dialect for Mysql {
    /// The meaning of a backslash depends on the `sql_mode`, and that of other characters on `SET NAMES`, both of which a
    /// script may have set: hex digits depend on neither.
    fn literal(&self, text: &str) -> String {
        if text.is_ascii() && !text.contains('\\') {
            return format!("'{}'", text.replace('\'', "''"));
        }
        let hex: String = text.bytes().map(|byte| format!("{byte:02X}")).collect();
        format!("_utf8mb4 x'{hex}'")
    }

    fn as_text(&self, column: &str) -> String {
        format!("CAST({column} AS char)")
    }

    fn types(&self) -> ColumnTypes {
        ColumnTypes { integer: "int", name: "varchar(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin" }
    }

    /// Strings of two tables can be combined only in one collation.
    fn entries(&self) -> [&'static str; 2] {
        [
            "CONVERT(version USING utf8mb4) COLLATE utf8mb4_bin AS version",
            "CONVERT(CONCAT(version, CHAR(9), checksum) USING utf8mb4) COLLATE utf8mb4_bin",
        ]
    }

    fn marks(&self, mark: &str, table: &OwnTable<'_>) -> String {
        if table.by_rows {
            return format!("SELECT CONVERT({mark} USING utf8mb4) COLLATE utf8mb4_bin FROM {}", table.qualified);
        }
        format!(
            "SELECT CONVERT({mark} USING utf8mb4) COLLATE utf8mb4_bin FROM information_schema.tables WHERE \
             table_schema = DATABASE() AND table_name = {}",
            table.name
        )
    }

    fn put(&self, table: &str, columns: &[&str], values: &[String]) -> String {
        format!("REPLACE INTO {table} ({}) VALUES ({})", columns.join(", "), values.join(", "))
    }

    fn end_session(&self, id: i64) -> String {
        format!("KILL {id};")
    }

    fn product(&self, version: &str) -> Product {
        Flavour::of(version).product()
    }
}

impl Values for Mysql {
    fn key(&self, name: &str, kind: &str) -> String {
        if is_binary(kind) {
            format!("CASE WHEN {name} IS NULL THEN NULL ELSE CONCAT('x''', HEX({name}), '''') END")
        } else {
            format!("CASE WHEN {name} IS NULL THEN NULL ELSE QUOTE({name}) END")
        }
    }

    fn has_binary_uuid(&self, kind: &str) -> bool {
        is_binary(kind)
    }

    fn moment(&self, _kind: &str, date: &str, time: &str) -> String {
        format!("{date} {time}")
    }

    fn inserts_many_defaults(&self) -> bool {
        true
    }

    fn family(&self, kind: &str, base: &str) -> Option<&'static str> {
        // There is no boolean type.
        if kind.eq_ignore_ascii_case("tinyint(1)") {
            Some("boolean")
        } else if ["tinytext", "mediumtext", "longtext", "enum", "set"].contains(&base) {
            Some("text")
        } else {
            is_bytes(base).then_some("bytes")
        }
    }
}

fn is_binary(kind: &str) -> bool {
    ["binary", "varbinary", "blob", "tinyblob", "mediumblob", "longblob", "bit"].iter().any(|k| kind.starts_with(k))
}
