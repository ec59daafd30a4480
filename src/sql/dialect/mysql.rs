//! The SQL syntax of MySQL and MariaDB.

use super::{Lexis, STANDARD, Syntax};
use crate::model::engine::Engine;
use crate::sql::body::{self, Body};
use crate::sql::{first_words, lex};

pub(super) struct Mysql;

static LEXIS: Lexis = Lexis {
    has_backslash_escapes: true,
    is_backslash_unsure: true,
    has_backticks: true,
    has_hash_comments: true,
    needs_space_after_dashes: true,
    has_executable_comments: true,
    has_end: false,
    locks_for_session: true,
    tells_errors_in_rows: true,
    transaction_word: Some("xa"),
    ..STANDARD
};

impl Syntax for Mysql {
    fn lexis(&self) -> &'static Lexis {
        &LEXIS
    }

    fn body(&self) -> Body {
        Body::Mysql(body::mysql::Mysql::default())
    }

    /// A procedure may commit at any point; with several objects, each is handled separately. Tables are renamed all or
    /// none.
    fn may_leave_a_part(&self, sql: &str) -> bool {
        let mut words = first_words(Engine::Mysql, sql);
        match words.next().as_deref() {
            Some("call" | "execute" | "load") => true,
            Some("rename") if words.next().is_some_and(|word| word.starts_with("table")) => false,
            Some("drop" | "rename") => lex::tokens(Engine::Mysql, sql).any(|token| &sql[token.start..token.end] == ","),
            _ => false,
        }
    }

    fn needs_no_transaction(&self, _sql: &str, _words: &[String]) -> bool {
        false
    }
}
