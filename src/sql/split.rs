//! The boundaries of statements in a piece of SQL, as the receiving engine sees them.
//!
//! It never rewrites SQL, and its callers stay correct if it finds too many pieces.

use super::dialect::syntax;
use super::lex::{self, Kind, Token};
use super::words::Words;
use crate::model::tenant::Engine;

/// One statement of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Piece<'a> {
    /// The statement with the comments before and inside it, without its semicolon.
    pub(crate) text: &'a str,
    /// The line of its first code, counted from 1.
    pub(crate) line: usize,
    /// The byte offset of `text` in the whole.
    pub(crate) start: usize,
}

/// A construct that begins in a text and does not end there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unclosed {
    /// Its name, with an article.
    pub(crate) what: &'static str,
    /// The line where it begins, counted from 1.
    pub(crate) line: usize,
}

/// The statements of a text; those without any code are left out.
///
/// The body of a trigger, function or procedure is in one piece with its statement.
pub(crate) fn split(engine: Engine, sql: &str) -> Vec<Piece<'_>> {
    scan(engine, sql).0
}

/// A statement while its tokens are read.
#[derive(Default)]
struct Begun {
    /// The start of its first token or comment.
    start: Option<usize>,
    /// The start of its first code.
    code: Option<usize>,
    end: usize,
}

/// The statements of a text as [`split`] finds them, and a construct that is begun and never ended: all text after its
/// beginning may be read as part of it.
pub(crate) fn scan(engine: Engine, sql: &str) -> (Vec<Piece<'_>>, Option<Unclosed>) {
    let (mut code, mut ahead) = (Words::beginning(engine, sql, 0), Vec::new());
    let mut lexer = lex::tokens(engine, sql);
    let (mut executable, mut quote) = (None, None);
    let mut lines = Lines { sql, at: 0, line: 1 };
    let (mut pieces, mut begun, mut body) = (Vec::new(), Begun::default(), syntax(engine).body());
    let mut finish = |begun: Begun| {
        if let (Some(start), Some(code)) = (begun.start, begun.code) {
            pieces.push(Piece { text: &sql[start..begun.end], line: lines.of(code), start });
        }
    };
    // The index among the tokens that are code, from the beginning of the statement.
    let mut place = 0;
    loop {
        // A body looks at words behind the present one, and at none behind the next semicolon.
        while let Some(token) = lexer.next() {
            code.push(token);
            ahead.push((token, lexer.in_executable));
            if token.kind == Kind::Symbol(b';') {
                break;
            }
        }
        if ahead.is_empty() {
            break;
        }
        for (token, in_executable) in ahead.drain(..) {
            quote = quote.or(token.is_unclosed.then(|| (name(sql, &token), token.start)));
            match token.kind {
                Kind::Space => continue,
                Kind::Symbol(b';') => {
                    place += 1;
                    if body.ends_at(&code, place - 1) && !in_executable {
                        finish(std::mem::take(&mut begun));
                        body = syntax(engine).body();
                        code.clear();
                        place = 0;
                        continue;
                    }
                }
                Kind::Comment => {}
                Kind::Executable => {
                    executable = in_executable.then_some(token.start);
                    begun.code = begun.code.or(Some(token.start));
                }
                _ => {
                    body.take(&code, place);
                    place += 1;
                    begun.code = begun.code.or(Some(token.start));
                }
            }
            begun.start = begun.start.or(Some(token.start));
            begun.end = token.end;
        }
    }
    finish(begun);
    let open = quote.or(executable.map(|at| ("a comment with code (/*! … */)", at))).or(body.open(&code));
    (pieces, open.map(|(what, at)| Unclosed { what, line: Lines { sql, at: 0, line: 1 }.of(at) }))
}

/// The name of an unclosed token.
fn name(sql: &str, token: &Token) -> &'static str {
    match sql.as_bytes()[token.start] {
        b'\'' => "a text in quotes ('…')",
        b'"' => "a name or text in quotes (\"…\")",
        b'`' => "a name in quotes (`…`)",
        b'[' => "a name in brackets ([…])",
        b'$' => "a text in dollar quotes ($…$)",
        _ => "a comment (/* … */)",
    }
}

/// Counts lines; positions must be queried in ascending order.
struct Lines<'a> {
    sql: &'a str,
    at: usize,
    line: usize,
}

impl Lines<'_> {
    fn of(&mut self, place: usize) -> usize {
        self.line += self.sql.as_bytes()[self.at..place].iter().filter(|&&b| b == b'\n').count();
        self.at = place;
        self.line
    }
}

#[cfg(test)]
mod tests;
