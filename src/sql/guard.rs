//! Guards of a migration that the engine itself enforces: a table with a `CHECK`, rows put in from a query, and the table
//! dropped again. The engine refuses the rows if the query finds what must not be there.
//!
//! It reads words only; in doubt a statement is no guard, and what stands before one disturbs it.

use std::collections::HashSet;

use super::foreign_keys::set_columns;
use super::touch::{How, mentions, touched};
use super::words::{Words, first_words};
use crate::model::engine::Engine;

/// A guard among the statements of a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Guard {
    /// The first of its three statements, from 0.
    pub(crate) at: usize,
    /// The statements that ask its question on a table of the session, which changes nothing.
    pub(crate) ask: [String; 2],
    /// The statement that takes this table away, where no rollback does.
    pub(crate) end: String,
}

/// Keywords that tell nothing of what a text reads.
const KEYWORDS: [&str; 22] = [
    "select", "from", "where", "and", "or", "not", "null", "is", "in", "exists", "as", "on", "count", "insert", "into",
    "join", "left", "inner", "table", "add", "drop", "column",
];

/// The guards among these statements.
pub(crate) fn guards(engine: Engine, statements: &[String]) -> Vec<Guard> {
    let guard = |(at, three): (usize, &[String])| {
        let create = Words::of(engine, &three[0]);
        let has_check = create.are(0, &["create", "table"]) && (0..create.len()).any(|at| create.is(at, "check"));
        let table = create.name(if create.are(2, &["if", "not", "exists"]) { 5 } else { 2 })?;
        let insert = Words::of(engine, &three[1]);
        let is_filled = insert.are(0, &["insert", "into"])
            && insert.name(2).as_ref() == Some(&table)
            && (0..insert.len()).any(|at| insert.is(at, "select"));
        let drop = Words::of(engine, &three[2]);
        let is_gone = drop.are(0, &["drop", "table"]) && drop.name(2).as_ref() == Some(&table);
        let behind = three[0].get(create.start(0) + "create".len()..)?;
        let end = three[2].get(drop.start(0) + "drop".len()..)?;
        (has_check && is_filled && is_gone).then(|| Guard {
            at,
            ask: [format!("CREATE TEMPORARY{behind}"), three[1].clone()],
            end: format!("DROP TEMPORARY{end}"),
        })
    };
    statements.windows(3).enumerate().filter_map(guard).collect()
}

/// Whether the answer to a guard can't differ because of a statement that runs before it. No text of a statement says which
/// rows of other tables go with those that it deletes, or with an object that it drops with `CASCADE`.
pub(crate) fn is_undisturbed(engine: Engine, guard: &Guard, before: &str) -> bool {
    let mut read = HashSet::new();
    mentions(engine, &guard.ask[1], &mut read);
    read.retain(|word| !KEYWORDS.contains(&word.as_str()));
    super::split(engine, before).iter().all(|piece| {
        let words = Words::beginning(engine, piece.text, 9);
        match first_words(engine, piece.text).next().as_deref() {
            None | Some("set" | "comment" | "grant" | "revoke" | "analyze") => true,
            Some("update") => {
                let set = set_columns(engine, &[piece.text.to_owned()]);
                !set.is_empty() && set.iter().all(|(table, column)| !read.contains(table) || !read.contains(column))
            }
            Some("insert") if !words.is(2, "replace") => {
                let at = (1..words.len()).find(|&at| words.is(at, "into"));
                let last = at.map(|at| if words.is_symbol(at + 2, b'.') { at + 3 } else { at + 1 });
                last.and_then(|at| words.name(at)).is_some_and(|name| !read.contains(&name.to_lowercase()))
            }
            Some("create" | "alter" | "drop")
                if !Words::of(engine, piece.text).all().contains(&"cascade".to_owned()) =>
            {
                touched(engine, piece.text).iter().all(|touch| {
                    let all = Words::of(engine, piece.text);
                    let others = || {
                        let names = (0..all.len()).filter_map(|at| all.name(at)).map(|name| name.to_lowercase());
                        names.filter(|name| *name != touch.name)
                    };
                    match touch.how {
                        How::Widens => true,
                        _ if !read.contains(&touch.name) => true,
                        How::Alters => others().all(|name| !read.contains(&name)),
                        How::Drops | How::DropsIfThere | How::Makes => false,
                    }
                })
            }
            Some(_) => false,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::engine::Engine::{Mysql, Postgres, Sqlite};

    fn guard(engine: Engine) -> Guard {
        let quote = |name: &str| engine.quote(name);
        let table = quote("guard_x");
        let three = [
            format!(
                "CREATE TABLE IF NOT EXISTS {table} (found bigint NOT NULL, CONSTRAINT {} CHECK (found = 0))",
                quote("x")
            ),
            format!("INSERT INTO {table} (found) SELECT count(*) FROM orders WHERE platform IS NOT NULL"),
            format!("DROP TABLE {table}"),
        ];
        let mut all = vec!["SELECT 1".to_owned()];
        all.extend(three);
        guards(engine, &all).remove(0)
    }

    #[test]
    fn a_guard_is_seen_and_asked_on_a_table_of_the_session() {
        for engine in Engine::ALL {
            let guard = guard(engine);
            assert_eq!(guard.at, 1);
            assert!(guard.ask[0].starts_with("CREATE TEMPORARY TABLE IF NOT EXISTS "), "{guard:?}");
        }
        let none =
            ["CREATE TABLE a (i int CHECK (i > 0))", "INSERT INTO b SELECT 1", "DROP TABLE a"].map(str::to_owned);
        assert_eq!(guards(Sqlite, &none), []);
    }

    #[test]
    fn what_may_change_the_answer_disturbs_it() {
        for (sql, wanted) in [
            ("DELETE FROM orders WHERE a = 1", false),
            ("DELETE FROM items WHERE a = 1", false),
            ("INSERT OR REPLACE INTO items VALUES (1)", false),
            ("INSERT INTO items VALUES (1)", true),
            ("DROP TABLE items CASCADE", false),
            ("UPDATE orders SET total = 1 WHERE id = 2", true),
            ("UPDATE orders SET platform = NULL", false),
            ("INSERT INTO orders VALUES (1)", false),
            ("ALTER TABLE orders ADD note text NOT NULL", true),
            ("ALTER TABLE orders DROP COLUMN note", true),
            ("ALTER TABLE orders DROP COLUMN platform", false),
            ("ALTER TABLE other RENAME TO orders", false),
            ("DROP TABLE items", true),
            ("DROP TABLE orders", false),
            ("WITH x AS (SELECT 1) DELETE FROM a", false),
            ("CALL mend()", false),
        ] {
            for engine in [Sqlite, Postgres, Mysql] {
                assert_eq!(is_undisturbed(engine, &guard(engine), sql), wanted, "{engine} {sql}");
            }
        }
    }
}
