//! The words of a text by index: the shared reader for all code that follows keywords without a grammar.
//!
//! An index past the end yields no word, so callers need not check the length. It does not split the text.

use super::dialect::syntax;
use super::lex::{self, Kind, Token};
use crate::model::engine::Engine;

/// The tokens of a text that are code. Comments and white space are left out; so are the delimiters of `/*! */`,
/// because the text between them is code.
pub(super) fn code(engine: Engine, sql: &str) -> impl Iterator<Item = Token> + '_ {
    lex::tokens(engine, sql).filter(is_code)
}

/// Whether a token is code.
fn is_code(token: &Token) -> bool {
    !matches!(token.kind, Kind::Space | Kind::Comment | Kind::Executable)
}

/// The words at the start of a piece, in lower case and up to the first other token; comments are skipped.
pub(crate) fn first_words(engine: Engine, piece: &str) -> impl Iterator<Item = String> + '_ {
    let words = code(engine, piece).take_while(|token| token.kind == Kind::Word);
    words.map(|token| piece[token.start..token.end].to_ascii_lowercase())
}

/// The unquoted form of a name quoted as on any engine; `None` for a string.
pub(crate) fn unquoted(text: &str) -> Option<String> {
    let inner = text.get(1..text.len().checked_sub(1)?)?;
    match text.as_bytes().first()? {
        b'"' => Some(inner.replace("\"\"", "\"")),
        b'`' => Some(inner.replace("``", "`")),
        b'[' => Some(inner.to_owned()),
        _ => None,
    }
}

/// Tokens of a text, by their index.
pub(crate) struct Words<'a> {
    sql: &'a str,
    tokens: Vec<Token>,
    folds_names: bool,
}

impl<'a> Words<'a> {
    /// All code of a text.
    pub(crate) fn of(engine: Engine, sql: &'a str) -> Self {
        Words::new(engine, sql, code(engine, sql))
    }

    /// The first `most` tokens of a text's code: a statement names its object there, and a long list need not be read.
    pub(crate) fn beginning(engine: Engine, sql: &'a str, most: usize) -> Self {
        Words::new(engine, sql, code(engine, sql).take(most))
    }

    /// The words of these tokens of a text.
    pub(super) fn new(engine: Engine, sql: &'a str, tokens: impl Iterator<Item = Token>) -> Self {
        Words { sql, tokens: tokens.collect(), folds_names: syntax(engine).lexis().folds_names }
    }

    /// Takes the next token of the text, if it is code.
    pub(super) fn push(&mut self, token: Token) {
        if is_code(&token) {
            self.tokens.push(token);
        }
    }

    /// Forgets the tokens so far; the next one has the index 0.
    pub(super) fn clear(&mut self) {
        self.tokens.clear();
    }

    pub(crate) fn len(&self) -> usize {
        self.tokens.len()
    }

    pub(crate) fn kind(&self, at: usize) -> Option<Kind> {
        self.tokens.get(at).map(|token| token.kind)
    }

    /// The byte offset of a token in the text.
    pub(crate) fn start(&self, at: usize) -> usize {
        self.tokens[at].start
    }

    fn text(&self, token: &Token) -> &'a str {
        &self.sql[token.start..token.end]
    }

    /// The token as written, if it is an unquoted word; empty for anything else.
    fn bare(&self, at: usize) -> &'a str {
        self.tokens.get(at).filter(|token| token.kind == Kind::Word).map_or("", |token| self.text(token))
    }

    /// An unquoted word in lower case; empty for anything else.
    pub(crate) fn word(&self, at: usize) -> String {
        self.bare(at).to_ascii_lowercase()
    }

    pub(crate) fn is(&self, at: usize, word: &str) -> bool {
        self.bare(at).eq_ignore_ascii_case(word)
    }

    /// Whether these words come here in a row.
    pub(crate) fn are(&self, at: usize, words: &[&str]) -> bool {
        words.iter().enumerate().all(|(n, word)| self.is(at + n, word))
    }

    pub(crate) fn is_symbol(&self, at: usize, symbol: u8) -> bool {
        self.kind(at) == Some(Kind::Symbol(symbol))
    }

    /// Whether the token before this one is the word.
    pub(crate) fn is_after(&self, at: usize, word: &str) -> bool {
        at.checked_sub(1).is_some_and(|before| self.is(before, word))
    }

    /// Whether this is the second part of a qualified name, where a keyword is an ordinary name.
    pub(super) fn is_qualified(&self, at: usize) -> bool {
        at.checked_sub(1).is_some_and(|before| self.is_symbol(before, b'.'))
    }

    /// A text in single quotes, which SQLite takes for a name where one is wanted.
    pub(crate) fn string(&self, at: usize) -> Option<String> {
        let token = self.tokens.get(at).filter(|token| token.kind == Kind::Quote)?;
        let inner = self.text(token).strip_prefix('\'')?.strip_suffix('\'')?;
        Some(inner.replace("''", "'"))
    }

    /// A name as it is compared: where unquoted ones are folded already, the case of the others counts.
    pub(crate) fn folded(&self, name: String) -> String {
        if self.folds_names { name } else { name.to_lowercase() }
    }

    /// A name without its quotes. PostgreSQL folds an unquoted one
    /// (<https://www.postgresql.org/docs/15/sql-syntax-lexical.html>).
    pub(crate) fn name(&self, at: usize) -> Option<String> {
        let token = self.tokens.get(at)?;
        let text = self.text(token);
        match token.kind {
            Kind::Word if self.folds_names => Some(text.to_lowercase()),
            Kind::Word => Some(text.to_owned()),
            Kind::Quote => unquoted(text),
            _ => None,
        }
    }

    /// A token as it stands in the text.
    pub(crate) fn as_written(&self, at: usize) -> &'a str {
        self.tokens.get(at).map_or("", |token| self.text(token))
    }

    /// A word, a number or a quote, without its quotes.
    pub(crate) fn written(&self, at: usize) -> Option<String> {
        let token = self.tokens.get(at)?;
        let text = self.text(token);
        match token.kind {
            Kind::Word | Kind::Number => Some(text.to_owned()),
            Kind::Quote => unquoted(text).or_else(|| Some(text.trim_matches('\'').to_owned())),
            _ => None,
        }
    }

    /// All unquoted words, in lower case.
    pub(crate) fn all(&self) -> Vec<String> {
        let words = self.tokens.iter().filter(|token| token.kind == Kind::Word);
        words.map(|token| self.text(token).to_ascii_lowercase()).collect()
    }

    /// Whether the text consists of unquoted words only.
    pub(crate) fn is_bare(&self) -> bool {
        self.tokens.iter().all(|token| token.kind == Kind::Word)
    }
}
