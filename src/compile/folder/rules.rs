//! Statements that a script must not contain, because they are not SQL or because they would break fleet's guarantees.
//!
//! It checks statements one by one and changes none.

use super::part::Found;
use crate::model::tenant::Engine;
use crate::sql::dialect::syntax;
use crate::sql::lex::{self, Kind, Token};
use crate::sql::split::Piece;
use crate::sql::statement::is_transaction_control;
use crate::sql::words::Words;

/// The code of one statement.
pub(super) struct Statement<'a> {
    pub(super) line: usize,
    text: &'a str,
    engine: Engine,
    /// All its unquoted words, in lower case.
    words: Vec<String>,
    /// It consists of unquoted words only.
    is_bare: bool,
}

impl<'a> Statement<'a> {
    pub(super) fn new(engine: Engine, piece: &Piece<'a>) -> Self {
        let words = Words::of(engine, piece.text);
        Statement { line: piece.line, text: piece.text, engine, words: words.all(), is_bare: words.is_bare() }
    }

    fn word(&self, at: usize) -> &str {
        self.words.get(at).map_or("", String::as_str)
    }

    fn has(&self, word: &str) -> bool {
        self.words.iter().any(|w| w == word)
    }

    /// The first words of the statement, for a message.
    fn name(&self) -> String {
        self.words.iter().take(2).map(|word| word.to_ascii_uppercase()).collect::<Vec<_>>().join(" ")
    }

    /// Whether it consists of exactly these words.
    fn is_only(&self, forms: &[&[&str]]) -> bool {
        self.is_bare && forms.iter().any(|form| self.words == *form)
    }

    /// Whether it only begins a transaction.
    pub(super) fn is_plain_begin(&self) -> bool {
        self.is_only(&[&["begin"], &["begin", "transaction"], &["begin", "work"], &["start", "transaction"]])
    }

    /// Whether it only commits.
    pub(super) fn is_plain_commit(&self) -> bool {
        self.is_only(&[&["commit"], &["commit", "transaction"], &["commit", "work"]])
    }

    /// Whether it begins or ends a transaction in any way.
    pub(super) fn controls_transaction(&self) -> bool {
        is_transaction_control(self.engine, self.text)
    }

    /// The error of a statement that begins or ends a transaction.
    pub(super) fn transaction_mistake(&self, transaction: bool) -> Found {
        let what = format!("`{}` is in the way of the transaction that fleet itself begins and ends", self.name());
        let (what, instead) = match transaction {
            true => (what, "leave it out (only a plain BEGIN at the very beginning and COMMIT at the end may stay)"),
            false => {
                let what = format!("`{}` in a script that says it runs without a transaction", self.name());
                (what, "leave it out; each statement takes effect by itself")
            }
        };
        Found::new(Some(self.line), what, instead)
    }

    /// The error of a client-only command; the text after it is not SQL either.
    pub(super) fn client_mistake(&self) -> Option<Found> {
        let from_stdin = self.words.windows(2).any(|pair| pair[0] == "from" && pair[1] == "stdin");
        let (what, instead) = if self.word(0) == "delimiter" {
            let instead = "leave such lines out and end each body with `;`: bodies are understood without it";
            ("`DELIMITER` is a command of the mysql client", instead)
        } else if self.word(0) == "source" {
            (
                "`SOURCE` is a command of the mysql client",
                "leave it out, and put what it would bring into the file as SQL",
            )
        } else if self.word(0) == "copy" && from_stdin {
            let instead = "write the rows as INSERT statements";
            ("`COPY … FROM STDIN` needs data from a client program", instead)
        } else {
            return None;
        };
        Some(Found::new(Some(self.line), what, instead))
    }

    /// Whether it can't run in a transaction on its engine.
    fn needs_no_transaction(&self) -> bool {
        syntax(self.engine).needs_no_transaction(&self.words)
    }

    /// The error of a statement that can't run in the transaction of its script.
    pub(super) fn transaction_needed_mistake(&self) -> Option<Found> {
        let concurrently = if self.has("concurrently") { " CONCURRENTLY" } else { "" };
        let what = format!("`{}{concurrently}` can't run in a transaction", self.name());
        let instead = "write `-- fleet: transaction=false` at the head of the file, best in a script of its own";
        self.needs_no_transaction().then(|| Found { always: true, ..Found::new(Some(self.line), what, instead) })
    }
}

/// Commands of psql: a backslash is never SQL outside quotes, except for MySQL's `\N`.
pub(super) fn psql_commands(engine: Engine, text: &str) -> Vec<Found> {
    let is_command = |token: &Token| token.kind == Kind::Symbol(b'\\') && !text[token.end..].starts_with('N');
    let commands = lex::tokens(engine, text).filter(is_command);
    let found = commands.map(|token| {
        let line = text[..token.start].matches('\n').count() + 1;
        let command: String = text[token.start..].chars().take_while(|c| !c.is_whitespace()).take(40).collect();
        let instead = "leave it out, and put what it would bring into the file as SQL";
        Found::new(Some(line), format!("`{command}` is a command of psql"), instead)
    });
    found.collect()
}
