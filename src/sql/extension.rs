//! The extensions of PostgreSQL that statements create.
//!
//! It reads words and knows no more grammar than it needs; a name that a program puts together is not found.

use super::lex::{self, Kind};
use super::{first_words, split::split};
use crate::model::engine::Engine;

/// The extensions that a statement creates, each with whether its failure is caught (a block with `EXCEPTION`).
pub(crate) fn created(engine: Engine, sql: &str) -> Vec<(String, bool)> {
    let mut found = Vec::new();
    // Most statements are not about it, and need not be read word by word.
    if !sql.to_ascii_lowercase().contains("extension") {
        return found;
    }
    for piece in split(engine, sql) {
        match first_words(engine, piece.text).next().as_deref() {
            Some("create") => found.extend(named(engine, piece.text).into_iter().take(1).map(|name| (name, false))),
            Some("do") => {
                let body = body(engine, piece.text);
                let is_caught = words(engine, body)
                    .any(|(kind, word)| kind == Kind::Word && word.eq_ignore_ascii_case("exception"));
                found.extend(named(engine, body).into_iter().map(|name| (name, is_caught)));
            }
            _ => {}
        }
    }
    found
}

/// What stands between the dollar signs of a block.
fn body(engine: Engine, block: &str) -> &str {
    let quote = lex::tokens(engine, block).find(|token| token.kind == Kind::Quote);
    let text = quote.map_or("", |token| &block[token.start..token.end]);
    let tag = text.get(1..).and_then(|rest| rest.find('$')).map_or(0, |at| at + 2);
    text.get(tag..text.len().saturating_sub(tag)).unwrap_or("")
}

fn words(engine: Engine, sql: &str) -> impl Iterator<Item = (Kind, &str)> {
    let code = lex::tokens(engine, sql).filter(|token| !matches!(token.kind, Kind::Space | Kind::Comment));
    code.map(|token| (token.kind, &sql[token.start..token.end]))
}

/// The names behind `CREATE EXTENSION [IF NOT EXISTS]`.
fn named(engine: Engine, sql: &str) -> Vec<String> {
    let words: Vec<(Kind, &str)> = words(engine, sql).collect();
    let is = |at: usize, wanted: &str| {
        words.get(at).is_some_and(|(kind, word)| *kind == Kind::Word && word.eq_ignore_ascii_case(wanted))
    };
    let mut names = Vec::new();
    for at in (0..words.len()).filter(|at| is(*at, "create") && is(at + 1, "extension")) {
        let has_if = is(at + 2, "if") && is(at + 3, "not") && is(at + 4, "exists");
        match words.get(if has_if { at + 5 } else { at + 2 }) {
            // PostgreSQL folds what is not quoted.
            Some((Kind::Word, name)) => names.push(name.to_lowercase()),
            Some((Kind::Quote, name)) if name.starts_with('"') && name.len() > 2 => {
                names.push(name[1..name.len() - 1].replace("\"\"", "\""));
            }
            _ => {}
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extensions_are_found_in_statements_and_in_blocks() {
        let created = |sql: &str| {
            created(Engine::Postgres, sql)
                .into_iter()
                .map(|(name, caught)| format!("{name} {caught}"))
                .collect::<Vec<_>>()
        };
        assert_eq!(created("CREATE EXTENSION IF NOT EXISTS \"uuid-ossp\" WITH SCHEMA public"), ["uuid-ossp false"]);
        assert_eq!(created("SELECT 1; create extension /* x */ PostGIS;"), ["postgis false"]);
        let block = "DO $x$ BEGIN CREATE EXTENSION pg_trgm; EXCEPTION WHEN others THEN NULL; END $x$";
        assert_eq!(created(block), ["pg_trgm true"]);
        assert_eq!(created("DO $$ BEGIN CREATE EXTENSION pg_trgm; END $$"), ["pg_trgm false"]);
        assert_eq!(
            created("SELECT 'CREATE EXTENSION a'; -- CREATE EXTENSION b\nCREATE TABLE extension (i int)"),
            [""; 0]
        );
    }
}
