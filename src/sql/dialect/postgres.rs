//! The SQL syntax of PostgreSQL.

use super::{Lexis, STANDARD, Syntax};
use crate::model::engine::Engine;
use crate::sql::body::{self, Body};
use crate::sql::first_words;

pub(super) struct Postgres;

static LEXIS: Lexis = Lexis {
    has_escape_strings: true,
    is_backslash_unsure: true,
    has_dollar_quotes: true,
    triggers_belong_to_tables: true,
    ends_lines_at_cr: true,
    nests_comments: true,
    folds_names: true,
    transaction_word: Some("abort"),
    ..STANDARD
};

impl Syntax for Postgres {
    fn lexis(&self) -> &'static Lexis {
        &LEXIS
    }

    fn body(&self) -> Body {
        Body::Postgres(body::Postgres::default())
    }

    /// DETACH PARTITION runs two transactions, and the first persists.
    fn may_leave_a_part(&self, sql: &str) -> bool {
        match first_words(Engine::Postgres, sql).next().as_deref() {
            Some("call" | "do" | "execute") => true,
            Some("alter") => {
                let sql = sql.to_ascii_lowercase();
                sql.contains("detach") && sql.contains("concurrently")
            }
            _ => false,
        }
    }

    fn needs_no_transaction(&self, words: &[String]) -> bool {
        let word = |at: usize| words.get(at).map_or("", String::as_str);
        let has = |wanted: &str| words.iter().any(|word| word == wanted);
        match word(0) {
            "create" | "drop" => {
                let kind = if word(1) == "unique" { 2 } else { 1 };
                matches!(word(kind), "database" | "tablespace")
                    || (word(kind) == "index" && word(kind + 1) == "concurrently")
            }
            "vacuum" => true,
            "alter" => word(1) == "system" || (word(1) == "table" && has("detach") && has("concurrently")),
            "reindex" => has("concurrently") || matches!(word(1), "database" | "system" | "schema"),
            _ => false,
        }
    }

    fn refresh_view(&self, view: &str) -> Option<String> {
        Some(format!("REFRESH MATERIALIZED VIEW CONCURRENTLY {view}"))
    }
}
