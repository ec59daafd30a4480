//! The SQL syntax of SQLite.

use super::{Lexis, STANDARD, Syntax};
use crate::sql::body::{self, Body};

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

    fn needs_no_transaction(&self, words: &[String]) -> bool {
        words.first().is_some_and(|word| word == "vacuum")
    }
}
