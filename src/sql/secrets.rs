//! Texts without the secrets in them, for logs: passwords in URLs, and the literals of statements that handle one.
//!
//! It hides rather too much: where a statement speaks of a password, all its texts in quotes are hidden.

use std::borrow::Cow;

use super::lex::{Kind, Token, tokens};
use super::split;
use crate::model::engine::Engine;

/// The replacement of a secret.
const MASK: &str = "'***'";

/// Parts of words of statements that handle a secret. `pragma`: the key of an encrypted file.
const WORDS: [&str; 11] = [
    "password",
    "passwd",
    "passphrase",
    "pwd",
    "identified",
    "secret",
    "credential",
    "token",
    "api_key",
    "apikey",
    "pragma",
];

/// The word in front of the address of a subscription, a part of the names of many functions.
const CONNECTION: &str = "connection";

/// A text of this engine (SQL, or an error that may quote it) with its secrets hidden.
pub(crate) fn masked(engine: Engine, text: &str) -> Cow<'_, str> {
    let lower = text.to_ascii_lowercase();
    let text = match speaks_of_secrets(&lower) || lower.contains(CONNECTION) {
        false => Cow::Borrowed(text),
        true => without_literals(engine, text).map_or(Cow::Borrowed(text), Cow::Owned),
    };
    if text.contains("://") { Cow::Owned(without_passwords(&text)) } else { text }
}

fn speaks_of_secrets(lower: &str) -> bool {
    WORDS.iter().any(|word| lower.contains(word))
}

/// Whether a statement handles a secret.
fn handles_a_secret(engine: Engine, sql: &str) -> bool {
    if speaks_of_secrets(&sql.to_ascii_lowercase()) {
        return true;
    }
    let mut before = false;
    tokens(engine, sql).filter(|token| token.kind != Kind::Space).any(|token| {
        let is_word = token.kind == Kind::Word && sql[token.start..token.end].eq_ignore_ascii_case(CONNECTION);
        std::mem::replace(&mut before, is_word) && token.kind == Kind::Quote
    })
}

/// The text without the literals of the statements that handle a secret; `None` if there are none. Text that is no SQL is
/// one statement.
fn without_literals(engine: Engine, text: &str) -> Option<String> {
    let (mut out, mut at) = (String::with_capacity(text.len()), 0);
    for piece in split(engine, text).into_iter().filter(|piece| handles_a_secret(engine, piece.text)) {
        for token in tokens(engine, piece.text).filter(|token| is_literal(piece.text, token)) {
            out.push_str(&text[at..piece.start + token.start]);
            out.push_str(MASK);
            at = piece.start + token.end;
        }
    }
    out.push_str(&text[at..]);
    (at > 0).then_some(out)
}

/// Whether a token may hold a value: a text in quotes, which may be a name, or a comment, which may hold what was there
/// before.
fn is_literal(text: &str, token: &Token) -> bool {
    match token.kind {
        Kind::Comment => true,
        Kind::Quote => !text[token.start..].starts_with(['`', '[']),
        _ => false,
    }
}

/// The text without the passwords of URLs: all between the colon behind the user and the last `@` of the word.
pub(crate) fn without_passwords(text: &str) -> String {
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(at) = rest.find("://") {
        let (before, url) = rest.split_at(at + 3);
        out.push_str(before);
        let word = url.find(|c: char| c.is_whitespace() || "'\"`<>".contains(c)).unwrap_or(url.len());
        let secret = url[..word].rfind('@').and_then(|end| Some((url[..end].find(':')?, end)));
        if let Some((colon, end)) = secret {
            out.push_str(&url[..=colon]);
            out.push_str("***");
            out.push_str(&url[end..word]);
        } else {
            out.push_str(&url[..word]);
        }
        rest = &url[word..];
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_of_statements_that_handle_a_secret_are_hidden() {
        for (engine, sql, shown) in [
            (
                Engine::Mysql,
                "CREATE USER 'a' IDENTIFIED BY 'x'; SELECT 'y'",
                "CREATE USER '***' IDENTIFIED BY '***'; SELECT 'y'",
            ),
            (Engine::Mysql, r#"SET PASSWORD = "a\"b""#, "SET PASSWORD = '***'"),
            (Engine::Mysql, "ALTER USER `a` IDENTIFIED BY 'x", "ALTER USER `a` IDENTIFIED BY '***'"),
            (Engine::Postgres, "ALTER ROLE \"a\" PASSWORD 'it''s'", "ALTER ROLE '***' PASSWORD '***'"),
            (Engine::Postgres, "DO $$BEGIN CREATE ROLE a PASSWORD 'x'; END$$", "DO '***'"),
            (Engine::Postgres, "ALTER ROLE a PASSWORD E'a\\'b'", "ALTER ROLE a PASSWORD E'***'"),
            (
                Engine::Postgres,
                "CREATE SUBSCRIPTION s CONNECTION 'host=h x=y'",
                "CREATE SUBSCRIPTION s CONNECTION '***'",
            ),
            (
                Engine::Postgres,
                "INSERT INTO u (password) -- old: 'x'\nVALUES ('x', 1)",
                "INSERT INTO u (password) '***'\nVALUES ('***', 1)",
            ),
            (Engine::Sqlite, "PRAGMA key = 'x'", "PRAGMA key = '***'"),
            (Engine::Sqlite, "INSERT INTO [password] VALUES ('x')", "INSERT INTO [password] VALUES ('***')"),
            (Engine::Sqlite, "SELECT 'as it is'", "SELECT 'as it is'"),
            (Engine::Mysql, "SELECT 'x', CONNECTION_ID()", "SELECT 'x', CONNECTION_ID()"),
        ] {
            assert_eq!(masked(engine, sql), shown);
        }
    }

    #[test]
    fn passwords_of_urls_are_hidden_anywhere() {
        for (text, shown) in [
            ("SELECT dblink('postgres://u:p@ss@h/d')", "SELECT dblink('postgres://u:***@h/d')"),
            ("at mysql://u:p@h/d and a://h:1/x", "at mysql://u:***@h/d and a://h:1/x"),
            ("http://h/a:b and x@y", "http://h/a:b and x@y"),
        ] {
            assert_eq!(masked(Engine::Postgres, text), shown);
        }
    }
}
