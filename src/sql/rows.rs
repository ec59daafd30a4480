//! The meaning of a statement for the data that there is: the tables whose rows it works on, and the views that it drops.

use std::collections::HashSet;

use super::touch::{mentions, touched};
use super::words::first_words;
use crate::model::tenant::Engine;

/// Adds the names that a statement mentions, in lower case, where it changes, copies, checks, indexes or drops rows. It
/// prefers a name too many: they are compared with the tables that there are.
pub(crate) fn worked_on(engine: Engine, sql: &str, all: &mut HashSet<String>) {
    let words: Vec<String> = first_words(engine, sql).take(3).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut named = HashSet::new();
    mentions(engine, sql, &mut named);
    let reads_rows = || named.contains("select");
    let is_work = match words.as_slice() {
        ["update" | "delete" | "merge" | "truncate" | "do" | "reindex" | "cluster" | "vacuum" | "optimize", ..] => true,
        ["alter" | "drop", "table", ..]
        | ["create", "index" | "unique" | "fulltext" | "spatial" | "materialized", ..] => true,
        ["insert" | "replace" | "with", ..] | ["create", "table", ..] => reads_rows(),
        _ => false,
    };
    if is_work {
        all.extend(named);
    }
}

/// The views that a statement drops, in lower case.
pub(crate) fn dropped_views(engine: Engine, sql: &str) -> Vec<String> {
    let words: Vec<String> = first_words(engine, sql).take(2).collect();
    let is_drop =
        matches!(words.as_slice(), [drop, what] if drop == "drop" && matches!(what.as_str(), "view" | "materialized"));
    if is_drop { touched(engine, sql).into_iter().map(|touch| touch.name).collect() } else { Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_views_are_dropped_views() {
        for engine in Engine::ALL {
            assert_eq!(dropped_views(engine, "DROP VIEW IF EXISTS a, \"B\""), ["a", "b"], "{engine}");
            assert!(dropped_views(engine, "DROP TABLE a").is_empty());
        }
    }

    #[test]
    fn statements_that_work_on_rows_name_their_tables() {
        let is_named = |sql: &str, table: &str| {
            Engine::ALL.into_iter().all(|engine| {
                let mut all = HashSet::new();
                worked_on(engine, sql, &mut all);
                all.contains(table)
            })
        };
        for sql in [
            "UPDATE \"Orders\" SET a = 1",
            "-- all of them\nDELETE FROM orders",
            "ALTER TABLE s.orders ADD x int",
            "CREATE UNIQUE INDEX i ON orders (a)",
            "INSERT INTO t SELECT * FROM orders",
            "CREATE TABLE t AS SELECT * FROM orders",
            "DROP TABLE orders",
            "WITH o AS (SELECT * FROM orders) INSERT INTO t SELECT * FROM o",
        ] {
            assert!(is_named(sql, "orders"), "{sql}");
        }
        for sql in [
            "CREATE VIEW v AS SELECT * FROM orders",
            "CREATE TABLE t (id int REFERENCES orders)",
            "INSERT INTO orders VALUES (1)",
            "GRANT SELECT ON orders TO app",
        ] {
            assert!(!is_named(sql, "orders"), "{sql}");
        }
    }
}
