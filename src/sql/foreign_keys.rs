//! The part that foreign keys play while a script of SQLite runs: `DROP TABLE` deletes the rows of the table first, and
//! with foreign keys on that deletes or changes the rows that refer to them (<https://www.sqlite.org/lang_droptable.html>).

use super::pragma::Pragma;
use super::split::split;
use super::words::first_words;
use crate::model::engine::Engine;

/// The part that foreign keys play in a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ForeignKeys {
    /// The script does not speak of them and drops no table.
    Unmentioned,
    /// It says that they are on.
    On,
    /// It says that they are off.
    Off,
    /// It drops a table, and does not say how they are meant.
    Dropping,
}

impl ForeignKeys {
    /// Whether a transaction around the script has them off, and a check of them before its commit.
    pub(crate) fn are_off(self) -> bool {
        matches!(self, ForeignKeys::Off | ForeignKeys::Dropping)
    }

    /// The part that they play in these statements; OFF and then ON is the frame of a table that is built anew.
    pub(super) fn of(engine: Engine, statements: &[String]) -> Self {
        let mut found = ForeignKeys::Unmentioned;
        let texts = statements.iter().filter(|sql| mentions(sql, &["drop", "foreign_keys"]));
        for piece in texts.flat_map(|sql| split(engine, sql)) {
            match Pragma::of(engine, piece.text).filter(|pragma| pragma.name == "foreign_keys").map(|p| p.is_on()) {
                Some(Some(false)) => return ForeignKeys::Off,
                Some(Some(true)) => found = ForeignKeys::On,
                Some(None) => {}
                None if found == ForeignKeys::Unmentioned && drops_table(engine, piece.text) => {
                    found = ForeignKeys::Dropping;
                }
                None => {}
            }
        }
        found
    }
}

/// Whether a statement drops a table.
pub(crate) fn drops_table(engine: Engine, piece: &str) -> bool {
    first_words(engine, piece).take(2).eq(["drop", "table"])
}

/// Whether a text holds any of these lower-case words, in any case and anywhere: cheaper than to split it.
pub(crate) fn mentions(sql: &str, words: &[&str]) -> bool {
    let sql = sql.to_ascii_lowercase();
    words.iter().any(|word| sql.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_says_how_foreign_keys_are_meant_or_drops_a_table() {
        use ForeignKeys::{Dropping, Off, On, Unmentioned};
        for (sql, expected) in [
            ("CREATE TABLE drops (i); INSERT INTO drops VALUES ('DROP TABLE x')", Unmentioned),
            ("PRAGMA foreign_keys; SELECT 1", Unmentioned),
            ("DROP INDEX i; DROP VIEW v; ALTER TABLE t DROP COLUMN c", Unmentioned),
            ("SELECT 1; drop /* x */ table if exists \"main\".t", Dropping),
            ("PRAGMA foreign_keys; DROP TABLE t", Dropping),
            ("PRAGMA defer_foreign_keys = ON; DROP TABLE t", Dropping),
            ("PRAGMA foreign_keys = ON; DROP TABLE t", On),
            ("DROP TABLE t; PRAGMA foreign_keys = ON", On),
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
