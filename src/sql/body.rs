//! Distinguishes semicolons that end a statement from those inside the body of a trigger, function or procedure.
//!
//! It follows keywords, not a grammar: invalid SQL may be cut anywhere, and the engine will report it.

pub(super) mod mysql;

use super::lex::Kind;
use super::words::Words;

/// The progress of one statement into a body.
pub(crate) enum Body {
    Sqlite(Sqlite),
    Postgres(Postgres),
    Mysql(mysql::Mysql),
}

impl Body {
    /// Advances by one token of code that does not end the statement.
    pub(crate) fn take(&mut self, code: &Words<'_>, at: usize) {
        match self {
            Body::Sqlite(body) => body.take(code, at),
            Body::Postgres(body) => body.take(code, at),
            Body::Mysql(body) => body.take(code, at),
        }
    }

    /// Whether the semicolon at this place ends the statement.
    pub(crate) fn ends_at(&mut self, code: &Words<'_>, at: usize) -> bool {
        match self {
            Body::Sqlite(body) => body.is_ended(code, at),
            Body::Postgres(body) => body.opened.is_empty(),
            Body::Mysql(body) => body.is_ended(),
        }
    }

    /// The construct left open after the last token, and the byte offset where it was opened.
    pub(crate) fn open(&mut self, code: &Words<'_>) -> Option<(&'static str, usize)> {
        let (what, opened) = match self {
            Body::Sqlite(body) if !body.is_ended(code, code.len()) => ("a body (BEGIN … END)", body.begun),
            Body::Sqlite(_) => return None,
            Body::Postgres(body) if body.is_rule => ("a rule's list of statements ((…))", body.opened.first().copied()),
            Body::Postgres(body) => ("a body (BEGIN ATOMIC … END)", body.opened.first().copied()),
            Body::Mysql(body) => body.open()?,
        };
        opened.map(|at| (what, code.start(at)))
    }
}

/// A trigger's body ends where SQLite's own shell ends it: at `; END ;` (<https://www.sqlite.org/c3ref/complete.html>).
/// Counting would be wrong, since `end` may be the name of a column.
#[derive(Default)]
pub(crate) struct Sqlite {
    words: usize,
    is_trigger: bool,
    begun: Option<usize>,
}

impl Sqlite {
    fn take(&mut self, code: &Words<'_>, at: usize) {
        // `EXPLAIN QUERY PLAN CREATE TEMP TRIGGER IF NOT EXISTS …`: the word is one of the first six.
        self.words += 1;
        self.is_trigger |= code.is(at, "trigger") && self.words <= 6 && {
            let temporary = code.is_after(at, "temp") || code.is_after(at, "temporary");
            code.is_after(at - usize::from(temporary), "create")
        };
        if self.is_trigger && self.begun.is_none() && code.is(at, "begin") && !code.is_qualified(at) {
            self.begun = Some(at);
        }
    }

    fn is_ended(&self, code: &Words<'_>, at: usize) -> bool {
        let is_end = at >= 2 && code.is(at - 1, "end") && code.is_symbol(at - 2, b';');
        self.begun.is_none_or(|begun| is_end && at - 2 > begun)
    }
}

/// `BEGIN ATOMIC … END` of a function in standard SQL, with the `CASE … END` in it, and the statements of a rule in
/// parentheses. Other bodies are texts in quotes.
#[derive(Default)]
pub(crate) struct Postgres {
    words: usize,
    is_routine: bool,
    is_rule: bool,
    opened: Vec<usize>,
}

impl Postgres {
    fn take(&mut self, code: &Words<'_>, at: usize) {
        self.words += 1;
        if self.words <= 4 && (code.is_after(at, "create") || code.is_after(at, "replace")) {
            self.is_routine |= code.is(at, "function") || code.is(at, "procedure");
            self.is_rule |= code.is(at, "rule");
        }
        if self.is_rule {
            match code.kind(at) {
                Some(Kind::Symbol(b'(')) => self.opened.push(at),
                Some(Kind::Symbol(b')')) => drop(self.opened.pop()),
                _ => {}
            }
        }
        // After AS any keyword is a name.
        if !self.is_routine || code.is_qualified(at) || code.is_after(at, "as") {
            return;
        }
        let begins = self.opened.is_empty() && code.is(at, "begin") && code.is(at + 1, "atomic");
        if begins || (!self.opened.is_empty() && code.is(at, "case")) {
            self.opened.push(at);
        } else if code.is(at, "end") {
            self.opened.pop();
        }
    }
}
