//! One spelling for SQL that differs in white space alone.
//!
//! It changes no token: comments and quotes stay as they are, and so does the end of the line that ends a comment.

use super::lex::{self, Kind};
use crate::model::engine::Engine;

/// The text with one space, or behind a comment up to the end of the line one line end, for each white space between tokens.
pub(crate) fn spaced(engine: Engine, sql: &str) -> String {
    let mut out = String::with_capacity(sql.len());
    let mut between = None;
    let mut ends_line = false;
    for token in lex::tokens(engine, sql) {
        let text = &sql[token.start..token.end];
        if token.kind == Kind::Space {
            between = Some(if ends_line { '\n' } else { ' ' });
            continue;
        }
        out.extend(between.take().filter(|_| !out.is_empty()));
        ends_line = token.kind == Kind::Comment && !text.starts_with("/*");
        out.push_str(if ends_line { text.trim_end() } else { text });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_counts_where_it_means_something() {
        let of = |sql: &str| spaced(Engine::OF_FILES, sql);
        assert_eq!(of(" SELECT\n\t'a  b' "), "SELECT 'a  b'");
        assert_eq!(of("SELECT 1 -- one  \n\n  + 1"), "SELECT 1 -- one\n+ 1");
        assert_ne!(of("SELECT 1 -- one\n + 1"), of("SELECT 1 -- one + 1"));
        assert_eq!(of("SELECT /* a\n b */\n 1"), "SELECT /* a\n b */ 1");
        for engine in Engine::ALL {
            assert_ne!(spaced(engine, "'it''s  a'"), spaced(engine, "'it''s a'"), "{engine}");
        }
    }
}
