//! The PostgreSQL extensions that statements create.
//!
//! It reads words and no more grammar than it needs; a name assembled at run time is not found.

use super::settings::bodies;
use super::split::split;
use super::words::{Words, first_words};
use crate::model::engine::Engine;

/// The extensions that a statement creates, each with whether its failure is caught (a block with `EXCEPTION`).
pub(crate) fn created(engine: Engine, sql: &str) -> Vec<(String, bool)> {
    let mut found = Vec::new();
    // Most statements do not create extensions, and need not be read word by word.
    if !sql.to_ascii_lowercase().contains("extension") {
        return found;
    }
    for piece in split(engine, sql) {
        match first_words(engine, piece.text).next().as_deref() {
            Some("create") => {
                let names = named(&Words::of(engine, piece.text));
                found.extend(names.into_iter().take(1).map(|name| (name, false)));
            }
            Some("do") => {
                let words = Words::of(engine, bodies(engine, piece.text).next().unwrap_or_default());
                let is_caught = (0..words.len()).any(|at| words.is(at, "exception"));
                found.extend(named(&words).into_iter().map(|name| (name, is_caught)));
            }
            _ => {}
        }
    }
    found
}

/// The extensions that a statement creates in the first schema of the search path, because it names none.
pub(crate) fn unplaced(engine: Engine, sql: &str) -> Vec<String> {
    if !sql.to_ascii_lowercase().contains("extension") {
        return Vec::new();
    }
    let pieces = split(engine, sql).into_iter().flat_map(|piece| {
        let is_block = first_words(engine, piece.text).next().as_deref() == Some("do");
        let body = || bodies(engine, piece.text).next().unwrap_or_default();
        if is_block { split(engine, body()) } else { vec![piece] }
    });
    let names_no_schema = |text: &str| !Words::of(engine, text).all().iter().any(|word| word == "schema");
    pieces.filter(|piece| names_no_schema(piece.text)).flat_map(|piece| named(&Words::of(engine, piece.text))).collect()
}

/// The names after `CREATE EXTENSION [IF NOT EXISTS]`.
fn named(words: &Words<'_>) -> Vec<String> {
    let mut names = Vec::new();
    for at in (0..words.len()).filter(|at| words.are(*at, &["create", "extension"])) {
        let has_if = words.are(at + 2, &["if", "not", "exists"]);
        names.extend(words.name(if has_if { at + 5 } else { at + 2 }).filter(|name| !name.is_empty()));
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_extension_without_a_schema_is_found() {
        let unplaced = |sql: &str| unplaced(Engine::Postgres, sql);
        assert_eq!(unplaced("CREATE EXTENSION IF NOT EXISTS citext"), ["citext"]);
        assert_eq!(unplaced("DO $$ BEGIN CREATE EXTENSION hstore; CREATE EXTENSION a SCHEMA b; END $$"), ["hstore"]);
        assert_eq!(unplaced("CREATE EXTENSION citext WITH SCHEMA extensions"), [""; 0]);
    }

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
