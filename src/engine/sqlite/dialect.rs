//! The SQL dialect of SQLite.

use crate::engine::dialect::{Dialect, OwnTable, Product, Values};

pub(in crate::engine) struct Sqlite;

impl Dialect for Sqlite {
    fn entries(&self) -> [&'static str; 2] {
        ["version", "version || char(9) || checksum"]
    }

    /// Rows are looked for by themselves: that costs no round trip.
    fn marks(&self, mark: &str, table: &OwnTable<'_>) -> String {
        format!("SELECT {mark} FROM sqlite_master WHERE type = 'table' AND name = {}", table.name)
    }

    fn product(&self, _version: &str) -> Product {
        Product { name: "SQLite", oldest: (3, 35), dump: None, own_dump: false }
    }
}

impl Values for Sqlite {
    fn key(&self, name: &str, _kind: &str) -> String {
        format!("CASE WHEN {name} IS NULL THEN NULL ELSE quote({name}) END")
    }

    /// SQLite has no UUID type, and SeaORM stores it as 16 bytes there, as in a BINARY(16) of MySQL.
    fn has_binary_uuid(&self, _kind: &str) -> bool {
        true
    }

    /// A string; with a time zone it has the form of RFC 3339, so that strings sort in time order.
    fn moment(&self, kind: &str, date: &str, time: &str) -> String {
        if kind.starts_with("datetime") || kind == "timestamp_text" {
            format!("{date} {time}")
        } else {
            format!("{date}T{time}+00:00")
        }
    }

    fn family(&self, _kind: &str, base: &str) -> Option<&'static str> {
        const WHOLE: [&str; 6] = ["integer", "int", "bigint", "smallint", "tinyint", "mediumint"];
        if crate::engine::dialect::is_bytes(base) { Some("bytes") } else { WHOLE.contains(&base).then_some("integer") }
    }
}
