//! The SQL syntax of MySQL and MariaDB.

use super::{Lexis, STANDARD, Syntax};
use crate::model::engine::Engine;
use crate::sql::body::{self, Body};
use crate::sql::prepared::of_set_statement;
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
    server_words: &[
        "binlog",
        "case",
        "change",
        "clone",
        "execute",
        "flush",
        "for",
        "if",
        "install",
        "kill",
        "loop",
        "prepare",
        "purge",
        "repeat",
        "reset",
        "restart",
        "shutdown",
        "stop",
        "uninstall",
        "while",
    ],
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

    /// Procedures and compound statements may commit at any point; with several objects, each is handled separately. Tables
    /// are renamed all or none. `CREATE OR REPLACE TABLE` drops the table first, and `DROP DATABASE` table after table.
    fn may_leave_a_part(&self, sql: &str) -> bool {
        if let Some(inner) = of_set_statement(Engine::Mysql, sql) {
            return self.may_leave_a_part(inner);
        }
        const CODE: [&str; 10] = ["call", "execute", "load", "if", "case", "loop", "while", "repeat", "for", "handler"];
        let words: Vec<String> = first_words(Engine::Mysql, sql).take(5).collect();
        let are = |at: usize, wanted: &[&str]| words.get(at).is_some_and(|word| wanted.contains(&word.as_str()));
        let names_several = || lex::tokens(Engine::Mysql, sql).any(|token| &sql[token.start..token.end] == ",");
        if are(0, &["rename"]) && are(1, &["table", "tables"]) {
            return false;
        }
        are(0, &CODE)
            || are(0, &["begin"]) && are(1, &["not"])
            || are(0, &["create"]) && are(1, &["or"]) && (are(3, &["table"]) || are(4, &["table"]))
            || are(0, &["drop"]) && are(1, &["database", "schema"])
            || (are(0, &["drop", "rename", "grant", "revoke"])
                || are(0, &["create", "alter", "set"]) && (1..=3).any(|at| are(at, &["user", "role", "password"])))
                && names_several()
    }

    fn needs_no_transaction(&self, _sql: &str, _words: &[String]) -> bool {
        false
    }
}
