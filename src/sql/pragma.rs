//! SQLite's `PRAGMA` statement: its name, and the value that it sets.

use super::words::Words;
use crate::model::engine::Engine;

/// A `PRAGMA` statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pragma {
    /// Its name in lower case, without the schema.
    pub(crate) name: String,
    /// The value that it sets, without quotes; `None` for a question.
    pub(crate) value: Option<String>,
}

impl Pragma {
    /// The pragma that a statement is.
    pub(crate) fn of(engine: Engine, sql: &str) -> Option<Self> {
        let words = Words::beginning(engine, sql, 8);
        if !words.is(0, "pragma") {
            return None;
        }
        let at = if words.is_symbol(2, b'.') { 3 } else { 1 };
        let name = words.written(at)?.to_ascii_lowercase();
        let sets = words.is_symbol(at + 1, b'=') || words.is_symbol(at + 1, b'(');
        let value = at + if words.is_symbol(at + 2, b'+') { 3 } else { 2 };
        Some(Pragma { name, value: sets.then(|| words.written(value).unwrap_or_default()) })
    }

    /// Whether the value switches something on, as SQLite reads it (<https://www.sqlite.org/pragma.html>); `None` for a
    /// question.
    pub(crate) fn is_on(&self) -> Option<bool> {
        let value = self.value.as_deref()?;
        let number: String = value.chars().take_while(char::is_ascii_digit).collect();
        let is_word = || ["on", "yes", "true"].iter().any(|word| value.eq_ignore_ascii_case(word));
        Some(if number.is_empty() { is_word() } else { number.contains(|digit| digit != '0') })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pragma_sets_or_asks() {
        for (sql, name, is_on) in [
            ("PRAGMA foreign_keys", "foreign_keys", None),
            ("-- x\npragma main.Foreign_Keys = 'ON'", "foreign_keys", Some(true)),
            ("PRAGMA \"foreign_keys\"(yes)", "foreign_keys", Some(true)),
            ("PRAGMA foreign_keys=+1", "foreign_keys", Some(true)),
            ("PRAGMA foreign_keys = -1", "foreign_keys", Some(false)),
            ("PRAGMA foreign_keys = 00", "foreign_keys", Some(false)),
            ("PRAGMA temp.journal_mode = WAL", "journal_mode", Some(false)),
        ] {
            let pragma = Pragma::of(Engine::OF_FILES, sql).unwrap();
            assert_eq!((pragma.name.as_str(), pragma.is_on()), (name, is_on), "{sql}");
        }
        assert_eq!(Pragma::of(Engine::OF_FILES, "SELECT 1 -- PRAGMA x = 1"), None);
    }
}
