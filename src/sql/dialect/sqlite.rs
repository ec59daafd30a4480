//! The SQL syntax of SQLite.

use super::{Lexis, STANDARD, Syntax};
use crate::model::engine::Engine;
use crate::sql::body::{self, Body};
use crate::sql::foreign_keys::ForeignKeys;

pub(super) struct Sqlite;

static LEXIS: Lexis = Lexis { has_backticks: true, has_brackets: true, ..STANDARD };

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

    fn needs_no_transaction(&self, words: &[String]) -> bool {
        words.first().is_some_and(|word| word == "vacuum")
    }
}
