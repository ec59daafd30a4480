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
    overloads_routines: true,
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

    fn needs_no_transaction(&self, _sql: &str, words: &[String]) -> bool {
        let word = |at: usize| words.get(at).map_or("", String::as_str);
        let has = |wanted: &str| words.iter().any(|word| word == wanted);
        // A subscription is made with a replication slot, and refreshed, unless its options say otherwise.
        let says_no = |option: &str| words.windows(2).any(|pair| pair[0] == option && pair[1] == "false");
        match word(0) {
            "create" | "drop" => {
                let kind = if word(1) == "unique" { 2 } else { 1 };
                match word(kind) {
                    "database" | "tablespace" => true,
                    "index" => word(kind + 1) == "concurrently",
                    "subscription" => word(0) == "drop" || !(says_no("create_slot") || says_no("connect")),
                    _ => false,
                }
            }
            "vacuum" => true,
            // Of all tables, or of a partitioned one.
            "cluster" => words.len() == 1 || (words.len() == 2 && word(1) == "verbose"),
            "alter" => match word(1) {
                "system" => true,
                "table" => has("detach") && has("concurrently"),
                "database" => has("set") && has("tablespace"),
                "subscription" => has("publication") && !says_no("refresh"),
                _ => false,
            },
            "reindex" => {
                has("concurrently")
                    || words.iter().take(3).any(|w| matches!(w.as_str(), "database" | "system" | "schema"))
            }
            _ => false,
        }
    }

    fn is_refused(&self, words: &[String]) -> Option<&'static str> {
        (words == ["discard", "all"]).then_some("leave it out: each script begins with a fresh session")
    }

    fn refresh_view(&self, view: &str) -> Option<String> {
        Some(format!("REFRESH MATERIALIZED VIEW CONCURRENTLY {view}"))
    }
}
