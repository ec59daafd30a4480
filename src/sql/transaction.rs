//! Statements that can't run in a transaction, and blocks that run such a statement or end their transaction.
//!
//! It reads words; a statement that is put together at run time is not found.

use super::dialect::syntax;
use super::lex::Kind;
use super::pragma::Pragma;
use super::settings::bodies;
use super::split::split;
use super::words::{Words, code, first_words};
use crate::model::engine::Engine;

/// The reason why a statement can't run as it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hindrance {
    /// It can't run in a transaction.
    Transaction,
    /// It is a block that ends its transaction.
    EndsTransaction,
    /// It is a block with a statement that can't run in a block at all.
    Block,
    /// It ends what fleet itself holds; the way out.
    Refused(&'static str),
}

/// The first words of the first statement in the text that can't run in a transaction, and why.
pub(crate) fn hindrance(engine: Engine, sql: &str) -> Option<(String, Hindrance)> {
    split(engine, sql).into_iter().find_map(|piece| hindrance_of_one(engine, piece.text))
}

/// [`hindrance`] for a text that is one statement.
pub(crate) fn hindrance_of_one(engine: Engine, piece: &str) -> Option<(String, Hindrance)> {
    of_piece(engine, piece).map(|why| (name(engine, piece), why))
}

/// The first words of a statement, for a message.
pub(crate) fn name(engine: Engine, piece: &str) -> String {
    if let Some(pragma) = Pragma::of(engine, piece) {
        return format!("PRAGMA {}", pragma.name);
    }
    let words = Words::of(engine, piece).all();
    let most = match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["attach" | "detach" | "update" | "call", ..] => 1,
        ["truncate", second, ..] if second != "table" => 1,
        [_, "unique", ..] => 3,
        _ => 2,
    };
    let mut name = words.iter().take(most).map(|word| word.to_ascii_uppercase()).collect::<Vec<_>>().join(" ");
    if words.iter().any(|word| word == "concurrently") {
        name.push_str(" CONCURRENTLY");
    }
    name
}

fn of_piece(engine: Engine, piece: &str) -> Option<Hindrance> {
    let first = first_words(engine, piece).next()?;
    if first == "do" && syntax(engine).lexis().has_dollar_quotes {
        return bodies(engine, piece).find_map(|body| of_body(engine, body));
    }
    // Rows and texts need not be read word by word.
    if matches!(first.as_str(), "insert" | "update" | "delete" | "select" | "with" | "comment" | "values") {
        return None;
    }
    let words = Words::of(engine, piece).all();
    if let Some(instead) = syntax(engine).is_refused(&words) {
        return Some(Hindrance::Refused(instead));
    }
    syntax(engine).needs_no_transaction(piece, &words).then_some(Hindrance::Transaction)
}

/// A body runs as one statement, so that what can't run in a transaction can't run in it either.
fn of_body(engine: Engine, body: &str) -> Option<Hindrance> {
    let words = Words::of(engine, body).all();
    let is_concurrent = |words: &[String]| {
        words.windows(2).any(|pair| pair[1] == "concurrently" && matches!(pair[0].as_str(), "index" | "table"))
            || (words.iter().any(|w| w == "concurrently") && words.iter().any(|w| w == "detach" || w == "reindex"))
    };
    let executed = || {
        let is_one = |text: &str| {
            let words = Words::of(engine, text).all();
            is_concurrent(&words) || syntax(engine).needs_no_transaction(text, &words)
        };
        bodies(engine, body).any(is_one)
    };
    if is_concurrent(&words) || (words.iter().any(|word| word == "execute") && executed()) {
        return Some(Hindrance::Block);
    }
    ends_transaction(engine, body).then_some(Hindrance::EndsTransaction)
}

/// Whether a statement of a body is `COMMIT` or `ROLLBACK`: the word stands where a statement begins.
fn ends_transaction(engine: Engine, body: &str) -> bool {
    let mut begins = true;
    for token in code(engine, body) {
        let word =
            if token.kind == Kind::Word { body[token.start..token.end].to_ascii_lowercase() } else { String::new() };
        if begins && matches!(word.as_str(), "commit" | "rollback") {
            return true;
        }
        begins = token.kind == Kind::Symbol(b';') || matches!(word.as_str(), "begin" | "then" | "else" | "loop");
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::engine::Engine::{Mysql, Postgres, Sqlite};

    #[test]
    fn statements_that_can_not_run_in_a_transaction_are_seen() {
        for (engine, sql) in [
            (Postgres, "CREATE UNIQUE INDEX CONCURRENTLY i ON t (a)"),
            (Postgres, "CREATE SUBSCRIPTION s CONNECTION 'x' PUBLICATION p"),
            (Postgres, "DROP SUBSCRIPTION s"),
            (Postgres, "ALTER SUBSCRIPTION s REFRESH PUBLICATION"),
            (Postgres, "CLUSTER"),
            (Postgres, "CLUSTER VERBOSE"),
            (Postgres, "ALTER DATABASE d SET TABLESPACE x"),
            (Postgres, "ALTER SYSTEM SET work_mem = '1MB'"),
            (Postgres, "REINDEX (VERBOSE) DATABASE d"),
            (Postgres, "REINDEX SYSTEM d"),
            (Postgres, "select 1; vacuum t"),
            (Sqlite, "VACUUM"),
        ] {
            assert_eq!(hindrance(engine, sql).map(|(_, why)| why), Some(Hindrance::Transaction), "{sql}");
        }
        let unique = "CREATE UNIQUE INDEX CONCURRENTLY i ON t (a)";
        assert_eq!(name(Postgres, unique), "CREATE UNIQUE INDEX CONCURRENTLY");
        assert_eq!(name(Postgres, "truncate s.t"), "TRUNCATE");
        for sql in [
            "DO $$ BEGIN EXECUTE 'DROP INDEX CONCURRENTLY IF EXISTS ix'; END $$",
            "DO $$ BEGIN EXECUTE format('CREATE INDEX CONCURRENTLY %I ON t (a)', 'i'); END $$",
            "DO $$ BEGIN EXECUTE 'VACUUM t'; END $$",
        ] {
            assert_eq!(hindrance(Postgres, sql), Some(("DO".to_owned(), Hindrance::Block)), "{sql}");
        }
        let ends = "DO $$ BEGIN FOR i IN 1..3 LOOP INSERT INTO t VALUES (i); COMMIT; END LOOP; END $$";
        assert_eq!(hindrance(Postgres, ends).map(|(_, why)| why), Some(Hindrance::EndsTransaction));
        assert!(matches!(hindrance(Postgres, "DISCARD ALL"), Some((_, Hindrance::Refused(_)))));
        for (engine, sql) in [
            (Postgres, "CLUSTER t USING i"),
            (Postgres, "CREATE SUBSCRIPTION s CONNECTION 'x' PUBLICATION p WITH (create_slot = false)"),
            (Postgres, "DO $$ BEGIN REFRESH MATERIALIZED VIEW CONCURRENTLY v; END $$"),
            (Postgres, "DO $$ BEGIN CREATE TEMP TABLE t (i int) ON COMMIT DROP; END $$"),
            (Postgres, "CREATE TABLE concurrently_made (i int)"),
            (Postgres, "DISCARD TEMP"),
            (Mysql, "CREATE DATABASE d"),
        ] {
            assert_eq!(hindrance(engine, sql), None, "{sql}");
        }
    }
}
