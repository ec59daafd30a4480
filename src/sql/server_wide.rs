//! Statements on what is in no schema: all tenants of a database, or of a server, share it.
//!
//! It reads words only; a name that is put together at run time is not found.

use super::split::{Piece, split};
use super::words::{Words, first_words};
use crate::model::engine::Engine;

/// The kinds of such objects, by their words behind `CREATE`, `ALTER` and `DROP`.
const KINDS: [&[&str]; 14] = [
    &["role"],
    &["user", "mapping"],
    &["user"],
    &["group"],
    &["database"],
    &["tablespace"],
    &["publication"],
    &["subscription"],
    &["server"],
    &["language"],
    &["event", "trigger"],
    &["foreign", "data", "wrapper"],
    &["access", "method"],
    &["cast"],
];

/// The kinds whose rights are granted with `ON`.
const GRANTED: [&str; 6] = ["database", "tablespace", "language", "server", "foreign", "parameter"];

/// A statement that makes, changes or drops something that is in no schema.
#[derive(Debug, Clone)]
pub(crate) struct ServerWide {
    /// Its first words, for a message.
    pub(crate) words: String,
    /// The names in it.
    names: Vec<String>,
}

impl ServerWide {
    /// Whether a tenant's schema is a word of a name in it: then it is taken for the tenant's own.
    pub(crate) fn is_of(&self, schema: &str) -> bool {
        self.names.iter().any(|name| has_word(name, schema))
    }
}

/// The statements of a text on what is in no schema, but for those that the server judges when they run.
pub(crate) fn server_wide(engine: Engine, sql: &str) -> Vec<ServerWide> {
    let one = |piece: Piece<'_>| {
        let words = changing(engine, piece.text)?;
        // The server says whether it is there, and the types of a cast tell whose it is.
        let is_asked = (0..words.len()).any(|at| words.is(at, "exists")) || words.is(1, "cast");
        let first: Vec<&str> = (0..words.len().min(4)).map(|at| words.as_written(at)).collect();
        let names = (1..words.len()).filter_map(|at| words.name(at)).collect();
        (!is_asked).then(|| ServerWide { words: first.join(" "), names })
    };
    split(engine, sql).into_iter().filter_map(one).collect()
}

/// Whether a text has such a statement, whatever its name.
pub(crate) fn is_server_wide(engine: Engine, sql: &str) -> bool {
    split(engine, sql).into_iter().any(|piece| changing(engine, piece.text).is_some())
}

/// The words of such a statement.
fn changing(engine: Engine, piece: &str) -> Option<Words<'_>> {
    let first = first_words(engine, piece).next()?;
    let is_right = first == "grant" || first == "revoke";
    if !is_right && !["create", "alter", "drop"].contains(&first.as_str()) {
        return None;
    }
    let words = Words::of(engine, piece);
    let is_one = if is_right {
        let ends = ["on", "to", "from"];
        let end = (1..words.len()).find(|&at| ends.iter().any(|end| words.is(at, end)))?;
        !words.is(end, "on") || GRANTED.iter().any(|kind| words.is(end + 1, kind))
    } else {
        let before = ["or", "replace", "trusted", "procedural"];
        let at = (1..words.len()).find(|&at| !before.iter().any(|word| words.is(at, word)))?;
        KINDS.iter().any(|kind| words.are(at, kind))
    };
    is_one.then_some(words)
}

/// Whether a name has another as a whole word.
fn has_word(name: &str, word: &str) -> bool {
    let is_part = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    !word.is_empty()
        && name.match_indices(word).any(|(at, found)| {
            !is_part(name[..at].chars().next_back()) && !is_part(name[at + found.len()..].chars().next())
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::engine::Engine::Postgres;

    #[test]
    fn what_all_tenants_of_a_database_share_is_seen() {
        let is_shared = |sql| server_wide(Postgres, sql).iter().any(|statement| !statement.is_of("t1"));
        for sql in [
            "CREATE ROLE app LOGIN",
            "ALTER USER app SET search_path = x",
            "DROP GROUP app",
            "GRANT reader TO app",
            "REVOKE reader, writer FROM app",
            "GRANT CONNECT ON DATABASE d TO app",
            "ALTER DATABASE d SET timezone = 'UTC'",
            "CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION f()",
            "CREATE OR REPLACE PROCEDURAL LANGUAGE plsample HANDLER h",
            "CREATE PUBLICATION p FOR ALL TABLES",
            "CREATE SERVER s FOREIGN DATA WRAPPER w",
            "CREATE USER MAPPING FOR app SERVER s",
            "CREATE TABLE a (i int); CREATE ROLE t10_app",
        ] {
            assert!(is_shared(sql), "{sql}");
        }
        for sql in [
            "CREATE ROLE t1_app",
            "GRANT app TO \"app-t1\"",
            "CREATE SERVER IF NOT EXISTS s FOREIGN DATA WRAPPER w",
            "DROP ROLE IF EXISTS app",
            "CREATE CAST (mood AS text) WITH INOUT AS IMPLICIT",
        ] {
            assert!(!is_shared(sql) && is_server_wide(Postgres, sql), "{sql}");
        }
        for sql in [
            "GRANT SELECT ON a TO app",
            "GRANT USAGE ON SCHEMA t1 TO app",
            "CREATE FOREIGN TABLE f (i int) SERVER s",
            "CREATE TABLE role (i int)",
            "ALTER DEFAULT PRIVILEGES IN SCHEMA t1 GRANT SELECT ON TABLES TO app",
            "COMMENT ON EXTENSION plpgsql IS 'x'",
            "CREATE TRIGGER t BEFORE INSERT ON a FOR EACH ROW EXECUTE FUNCTION f()",
        ] {
            assert!(!is_server_wide(Postgres, sql), "{sql}");
        }
    }
}
