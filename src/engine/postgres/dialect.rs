//! The SQL dialect of PostgreSQL.

use crate::engine::dialect::{Dialect, OwnTable, Product, Values};

/// <https://www.postgresql.org/docs/current/catalog-pg-database.html>
pub(in crate::engine) const DATABASES: &str =
    "SELECT datname AS id FROM pg_catalog.pg_database WHERE NOT datistemplate AND datallowconn";

/// Names that begin with `pg_` are reserved: <https://www.postgresql.org/docs/current/ddl-schemas.html>.
pub(in crate::engine) const SCHEMAS: &str =
    "SELECT nspname AS id FROM pg_catalog.pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'";

pub(in crate::engine) struct Postgres;

impl Dialect for Postgres {
    /// A backslash means the same whatever `standard_conforming_strings` is: a database may switch it off.
    fn literal(&self, text: &str) -> String {
        let quoted = text.replace('\'', "''");
        if text.contains('\\') { format!("E'{}'", quoted.replace('\\', "\\\\")) } else { format!("'{quoted}'") }
    }

    fn entries(&self) -> [&'static str; 2] {
        ["version::text AS version", "version::text || chr(9) || checksum::text"]
    }

    /// `ts_stat` is a function of every server that reads a text of SQL only when it is called, so the table need not be there.
    fn marks(&self, mark: &str, table: &OwnTable<'_>) -> String {
        let exists = format!("to_regclass({}) IS NOT NULL", self.literal(table.qualified));
        if !table.by_rows {
            return format!("SELECT {mark}::text WHERE {exists}");
        }
        let rows = self.literal(&format!("SELECT array_to_tsvector(ARRAY['x']) FROM {}", table.qualified));
        format!("SELECT {mark}::text WHERE CASE WHEN {exists} THEN EXISTS (SELECT FROM ts_stat({rows})) ELSE false END")
    }

    fn product(&self, _version: &str) -> Product {
        Product { name: "PostgreSQL", oldest: (12, 0), dump: Some("pg_dump"), own_dump: false }
    }
}

impl Values for Postgres {
    fn key(&self, name: &str, _kind: &str) -> String {
        format!("quote_literal({name}::text)")
    }

    fn boolean(&self, yes: bool) -> String {
        yes.to_string()
    }

    fn bytes(&self, hex: &str) -> String {
        format!("'\\x{hex}'")
    }

    fn moment(&self, _kind: &str, date: &str, time: &str) -> String {
        format!("{date} {time}+00")
    }

    fn family(&self, _kind: &str, base: &str) -> Option<&'static str> {
        matches!(base, "json" | "jsonb").then_some("json")
    }
}
