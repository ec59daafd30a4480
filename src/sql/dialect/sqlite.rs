//! The SQL syntax of SQLite.

use super::{Lexis, STANDARD, Syntax};
use crate::model::engine::Engine;
use crate::sql::body::{self, Body};
use crate::sql::foreign_keys::ForeignKeys;
use crate::sql::pragma::Pragma;

pub(super) struct Sqlite;

static LEXIS: Lexis = Lexis { has_backticks: true, has_brackets: true, has_parameters: true, ..STANDARD };

impl Syntax for Sqlite {
    fn lexis(&self) -> &'static Lexis {
        &LEXIS
    }

    fn body(&self) -> Body {
        Body::Sqlite(body::Sqlite::default())
    }

    fn may_leave_a_part(&self, _sql: &str) -> bool {
        false
    }

    fn foreign_keys(&self, statements: &[String]) -> ForeignKeys {
        ForeignKeys::of(Engine::Sqlite, statements)
    }

    /// In a transaction these fail or do nothing (<https://www.sqlite.org/pragma.html>).
    fn needs_no_transaction(&self, sql: &str, words: &[String]) -> bool {
        const SET: [&str; 4] = ["journal_mode", "synchronous", "temp_store", "temp_store_directory"];
        match words.first().map(String::as_str) {
            Some("vacuum" | "attach" | "detach") => true,
            Some("pragma") => Pragma::of(Engine::Sqlite, sql).is_some_and(|pragma| {
                pragma.name == "wal_checkpoint" || (pragma.value.is_some() && SET.contains(&pragma.name.as_str()))
            }),
            _ => false,
        }
    }
}
