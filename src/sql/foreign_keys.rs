//! The part that foreign keys play while a script of SQLite runs: `DROP TABLE` deletes the rows of the table first, and
//! `REPLACE` those in its way; with foreign keys on that deletes or changes the rows that refer to them, which the script
//! does not name (<https://www.sqlite.org/lang_droptable.html>, <https://www.sqlite.org/lang_conflict.html>).

use std::collections::BTreeSet;

use memchr::memchr2_iter;

use super::pragma::Pragma;
use super::split::split;
use super::words::Words;
use crate::model::engine::Engine;

/// The part that foreign keys play in a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ForeignKeys {
    /// The script does not speak of them, drops no table and replaces no row.
    Unmentioned,
    /// It says that they are on.
    On,
    /// It says that they are off.
    Off,
    /// It drops a table or replaces rows, and does not say how they are meant.
    TakesRows,
}

impl ForeignKeys {
    /// Whether a transaction around the script has them off, and a check of them before its commit.
    pub(crate) fn are_off(self) -> bool {
        matches!(self, ForeignKeys::Off | ForeignKeys::TakesRows)
    }

    /// The part that they play in these statements; OFF and then ON is the frame of a table that is built anew.
    pub(super) fn of(engine: Engine, statements: &[String]) -> Self {
        let mut found = ForeignKeys::Unmentioned;
        let texts = statements.iter().filter(|sql| mentions(sql, &["drop", "replace", "foreign_keys"]));
        for piece in texts.flat_map(|sql| split(engine, sql)) {
            match Pragma::of(engine, piece.text).filter(|pragma| pragma.name == "foreign_keys").map(|p| p.is_on()) {
                Some(Some(false)) => return ForeignKeys::Off,
                // Behind a statement that takes rows it says how the rest is meant, as at the end of such a frame.
                Some(Some(true)) if found == ForeignKeys::Unmentioned => found = ForeignKeys::On,
                Some(_) => {}
                None if found == ForeignKeys::Unmentioned && takes_rows(engine, piece.text) => {
                    found = ForeignKeys::TakesRows;
                }
                None => {}
            }
        }
        found
    }
}

/// Whether a statement drops a table, or replaces rows.
pub(crate) fn takes_rows(engine: Engine, piece: &str) -> bool {
    let words = Words::beginning(engine, piece, 3);
    let is_replace = |words: &Words<'_>, at: usize| {
        words.are(at, &["replace", "into"])
            || words.are(at, &["insert", "or", "replace"])
            || words.are(at, &["update", "or", "replace"])
    };
    if !words.is(0, "with") {
        return words.are(0, &["drop", "table"]) || is_replace(&words, 0);
    }
    let words = Words::of(engine, piece);
    (1..words.len()).any(|at| is_replace(&words, at))
}

/// The tables, in lower case, that these statements drop or replace rows of; `None` where a statement does not say it in
/// its first words, or the script makes a table that refers to another.
pub(crate) fn taken_from(engine: Engine, statements: &[String]) -> Option<BTreeSet<String>> {
    if statements.iter().any(|sql| mentions(sql, &["references"])) {
        return None;
    }
    let mut tables = BTreeSet::new();
    for piece in statements.iter().filter(|sql| mentions(sql, &["drop", "replace"])).flat_map(|sql| split(engine, sql))
    {
        if takes_rows(engine, piece.text) {
            tables.insert(target(&Words::beginning(engine, piece.text, 9), 0)?.to_lowercase());
        }
    }
    Some(tables)
}

/// The tables and columns, in lower case, that the `UPDATE` statements among these set.
pub(crate) fn set_columns(engine: Engine, statements: &[String]) -> BTreeSet<(String, String)> {
    let mut found = BTreeSet::new();
    for piece in statements.iter().filter(|sql| mentions(sql, &["update"])).flat_map(|sql| split(engine, sql)) {
        let words = Words::of(engine, piece.text);
        if !words.is(0, "update") {
            continue;
        }
        let at = if words.is(1, "or") { 3 } else { 1 };
        let Some(table) = (if words.is_symbol(at + 1, b'.') { words.name(at + 2) } else { words.name(at) }) else {
            continue;
        };
        let set = (at..words.len()).find(|&at| words.is(at, "set")).unwrap_or(words.len());
        for at in set + 1..words.len() {
            let begins = at == set + 1 || words.is_symbol(at - 1, b',') || words.is_symbol(at - 1, b'(');
            let ends = words.is_symbol(at + 1, b'=') || words.is_symbol(at + 1, b',') || words.is_symbol(at + 1, b')');
            found.extend(
                words.name(at).filter(|_| begins && ends).map(|name| (table.to_lowercase(), name.to_lowercase())),
            );
        }
    }
    found
}

/// The tables, in lower case, that the body of a trigger replaces rows of.
pub(crate) fn replaced_in(engine: Engine, trigger: &str) -> BTreeSet<String> {
    let words = Words::of(engine, trigger);
    (1..words.len()).filter_map(|at| target(&words, at)).map(|name| name.to_lowercase()).collect()
}

/// The table behind the words of a statement that takes rows.
fn target(words: &Words<'_>, first: usize) -> Option<String> {
    const FORMS: [&[&str]; 5] = [
        &["drop", "table", "if", "exists"],
        &["drop", "table"],
        &["replace", "into"],
        &["insert", "or", "replace", "into"],
        &["update", "or", "replace"],
    ];
    let at = first + FORMS.into_iter().find(|form| words.are(first, form))?.len();
    if words.is_symbol(at + 1, b'.') { words.name(at + 2) } else { words.name(at) }
}

/// Whether a text holds any of these lower-case words, in any case and anywhere: cheaper than to split it.
pub(crate) fn mentions(sql: &str, words: &[&str]) -> bool {
    let sql = sql.as_bytes();
    words.iter().map(|word| word.as_bytes()).any(|word| {
        let is_here = |at: usize| sql[at..].get(..word.len()).is_some_and(|found| found.eq_ignore_ascii_case(word));
        memchr2_iter(word[0], word[0].to_ascii_uppercase(), sql).any(is_here)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_that_lose_rows_are_named_or_not_known() {
        let of = |sql: &str| taken_from(Engine::OF_FILES, &[sql.to_owned()]).map(|t| t.into_iter().collect::<Vec<_>>());
        let names = |names: &[&str]| Some(names.iter().map(|name| name.to_string()).collect());
        assert_eq!(
            of("REPLACE INTO Settings VALUES (1); DROP TABLE IF EXISTS \"main\".\"T 1\""),
            names(&["settings", "t 1"])
        );
        assert_eq!(of("insert or replace into s select 1; UPDATE OR REPLACE u SET a = 1"), names(&["s", "u"]));
        assert_eq!(of("WITH x AS (SELECT 1) REPLACE INTO s SELECT * FROM x"), None);
        assert_eq!(of("CREATE TABLE c (p REFERENCES t); DROP TABLE t"), None);
        assert_eq!(of("SELECT 'DROP TABLE t'"), names(&[]));
    }

    #[test]
    fn a_script_says_how_foreign_keys_are_meant_or_drops_a_table() {
        use ForeignKeys::{Off, On, TakesRows, Unmentioned};
        for (sql, expected) in [
            ("CREATE TABLE drops (i); INSERT INTO drops VALUES ('DROP TABLE x')", Unmentioned),
            ("PRAGMA foreign_keys; SELECT 1", Unmentioned),
            ("DROP INDEX i; DROP VIEW v; ALTER TABLE t DROP COLUMN c", Unmentioned),
            ("UPDATE t SET a = replace(a, 'DROP TABLE', ''); INSERT INTO t VALUES (1)", Unmentioned),
            ("SELECT 1; insert or replace into t VALUES (1)", TakesRows),
            ("REPLACE INTO t SELECT * FROM u", TakesRows),
            ("WITH x AS (SELECT 1) INSERT OR REPLACE INTO t SELECT * FROM x", TakesRows),
            ("update or replace t SET a = 1", TakesRows),
            ("SELECT 1; drop /* x */ table if exists \"main\".t", TakesRows),
            ("PRAGMA foreign_keys; DROP TABLE t", TakesRows),
            ("PRAGMA defer_foreign_keys = ON; DROP TABLE t", TakesRows),
            ("PRAGMA foreign_keys = ON; DROP TABLE t", On),
            ("DROP TABLE t; PRAGMA foreign_keys = ON", TakesRows),
            ("PRAGMA foreign_keys; REPLACE INTO t VALUES (1); PRAGMA foreign_keys = ON", TakesRows),
            ("PRAGMA foreign_keys = ON", On),
            ("PRAGMA foreign_keys = OFF; DROP TABLE t; PRAGMA foreign_keys = ON", Off),
            ("PRAGMA foreign_keys(no)", Off),
        ] {
            assert_eq!(ForeignKeys::of(Engine::OF_FILES, &[sql.to_owned()]), expected, "{sql}");
            let apart: Vec<String> = sql.split("; ").map(str::to_owned).collect();
            assert_eq!(ForeignKeys::of(Engine::OF_FILES, &apart), expected, "{sql}");
        }
    }
}
