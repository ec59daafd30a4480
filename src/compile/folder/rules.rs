//! Statements that a script must not contain, because they are not SQL or because they would break fleet's guarantees.
//!
//! It checks statements one by one and changes none.

use super::part::Found;
use crate::model::tenant::Engine;
use crate::sql::dialect::syntax;
use crate::sql::lex::{self, Kind, Token};
use crate::sql::settings::{bodies, body_changes_lock_timeout};
use crate::sql::split::Piece;
use crate::sql::statement::is_transaction_control;
use crate::sql::transaction::{Hindrance, hindrance_of_one, name as statement_name};
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
        // Rows are most of a large file, and no rule looks behind the first word of a statement about them.
        const ROWS: [&str; 4] = ["insert", "update", "delete", "replace"];
        let mut words = Words::beginning(engine, piece.text, 1);
        let is_about_rows = ROWS.iter().any(|word| words.is(0, word));
        if !is_about_rows {
            words = Words::of(engine, piece.text);
        }
        let is_bare = !is_about_rows && words.is_bare();
        Statement { line: piece.line, text: piece.text, engine, words: words.all(), is_bare }
    }

    fn word(&self, at: usize) -> &str {
        self.words.get(at).map_or("", String::as_str)
    }

    fn has(&self, word: &str) -> bool {
        self.words.iter().any(|w| w == word)
    }

    /// The first words of the statement, for a message.
    fn name(&self) -> String {
        statement_name(self.engine, self.text)
    }

    /// Whether it consists of exactly these words.
    fn is_only(&self, forms: &[&[&str]]) -> bool {
        self.is_bare && forms.iter().any(|form| self.words == *form)
    }

    /// Whether it only begins a transaction.
    pub(super) fn is_plain_begin(&self) -> bool {
        // fleet's own transaction of an SQLite file is exclusive from its beginning.
        let mode = usize::from(["deferred", "immediate", "exclusive"].contains(&self.word(1)));
        let is_begin = self.word(0) == "begin" && matches!(self.words.get(1 + mode..), Some([]) | None);
        let is_named =
            self.word(0) == "begin" && self.words.get(1 + mode..).is_some_and(|rest| rest == ["transaction"]);
        self.is_bare && (is_begin || is_named) || self.is_only(&[&["begin", "work"], &["start", "transaction"]])
    }

    /// Whether it only commits.
    pub(super) fn is_plain_commit(&self) -> bool {
        self.is_only(&[&["commit"], &["commit", "transaction"], &["commit", "work"]])
    }

    /// Whether it is a pragma of SQLite.
    pub(super) fn is_pragma(&self) -> bool {
        self.word(0) == "pragma"
    }

    /// Whether it begins or ends a transaction in any way.
    pub(super) fn controls_transaction(&self) -> bool {
        is_transaction_control(self.engine, self.text)
    }

    /// The error of a statement that begins or ends a transaction.
    pub(super) fn transaction_mistake(&self, transaction: bool) -> Found {
        let what = format!("`{}` is in the way of the transaction that fleet itself begins and ends", self.name());
        let (what, instead) = match transaction {
            _ if self.word(0) == "lock" => (
                format!("`{}` would lock fleet's own tables out of the session", self.name()),
                "leave it and UNLOCK TABLES out; fleet lets no other run in meanwhile, and each statement locks its own tables",
            ),
            true if ["savepoint", "release"].contains(&self.word(0)) || self.has("to") => (
                what,
                "leave it out, with its RELEASE and ROLLBACK TO: a script takes effect as a whole or not at all; what may fail by itself \
                 goes into a script of its own",
            ),
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
        let ends = |from: &str, at: &str| self.words.windows(2).any(|pair| pair[0] == from && pair[1] == at);
        let (what, instead) = if self.word(0) == "delimiter" {
            let instead = "leave such lines out and end each body with `;`: bodies are understood without it";
            ("`DELIMITER` is a command of the mysql client", instead)
        } else if self.word(0) == "source" {
            (
                "`SOURCE` is a command of the mysql client",
                "leave it out, and put what it would bring into the file as SQL",
            )
        } else if self.word(0) == "load" && ends("local", "infile") {
            let instead = "write the rows as INSERT statements";
            ("`LOAD … LOCAL INFILE` needs a file of a client program", instead)
        } else if self.word(0) == "copy" && ends("from", "stdin") {
            let instead = "write the rows as INSERT statements";
            ("`COPY … FROM STDIN` needs data from a client program", instead)
        } else if self.word(0) == "copy" && ends("to", "stdout") {
            ("`COPY … TO STDOUT` gives data to a client program", "leave it out; a script changes a database")
        } else {
            return None;
        };
        Some(Found::new(Some(self.line), what, instead))
    }

    /// The error of a setting that would change how the rest of the file is read: a file is read as a whole, before
    /// any of it runs.
    pub(super) fn reading_mistake(&self, all: &[Statement<'_>]) -> Option<Found> {
        let sets_escapes = self.word(0) == "set" && self.text.to_ascii_lowercase().contains("no_backslash_escapes");
        if sets_escapes && all.iter().any(|other| other.line > self.line && other.text.contains('\\')) {
            let what = "backslashes in texts would mean something else behind this, and the file is read as a whole before it runs";
            let instead = "leave NO_BACKSLASH_ESCAPES out, and write each backslash in a text twice";
            return Some(Found::new(Some(self.line), what, instead));
        }
        let sets_strings = self.word(0) == "set" && self.has("standard_conforming_strings");
        let is_off = || ["off", "false", "no"].iter().any(|off| self.text.to_ascii_lowercase().contains(off));
        let what = "backslashes in texts would mean something else behind this, and the file is read as a whole before it runs";
        let instead = "leave it out, and write texts with backslash escapes as E'…'";
        (sets_strings && is_off()).then(|| Found::new(Some(self.line), what, instead))
    }

    /// The error of a block that changes the lock timeout, or of a routine that does and is called in the same file:
    /// fleet can't put its limit back before the next lock.
    pub(super) fn lock_timeout_mistake(&self, all: &[Statement<'_>]) -> Option<Found> {
        let changes = || bodies(self.engine, self.text).any(|body| body_changes_lock_timeout(self.engine, body));
        let routine = self.words.iter().take(4).any(|word| ROUTINES.contains(&word.as_str()));
        let is_run = match self.word(0) {
            "do" if syntax(self.engine).lexis().has_dollar_quotes => changes(),
            "create" | "alter" if routine && (changes() || body_changes_lock_timeout(self.engine, self.text)) => {
                let name = routine_name(self.engine, self.text);
                let runs = |other: &&Statement<'_>| {
                    !["create", "alter", "drop", "grant", "revoke", "comment"].contains(&other.word(0))
                };
                !name.is_empty() && all.iter().filter(runs).any(|other| mentions(other, &name))
            }
            _ => false,
        };
        if !is_run {
            return None;
        }
        let what = format!(
            "`{}` changes lock_timeout by itself, and everybody would wait behind the lock it waits for",
            self.name()
        );
        let instead = "leave that out; fleet sets the limit and tries again, and `-- fleet: lock_timeout=2s` at the head of \
                       the file sets another one";
        Some(Found { always: true, ..Found::new(Some(self.line), what, instead) })
    }

    /// The error of a statement with a limit for locks of its own (MariaDB's `SET STATEMENT` and `WAIT n`): no setting before
    /// it holds for it. And of a lock on all tables, which fleet's own writes would wait for.
    pub(super) fn own_wait_mistake(&self) -> Option<Found> {
        let limits = ["lock_wait_timeout", "innodb_lock_wait_timeout"];
        let sets = self.word(0) == "set" && self.word(1) == "statement" && limits.iter().any(|limit| self.has(limit));
        let waits = ["alter", "create", "drop", "optimize", "rename", "truncate"].contains(&self.word(0)) && {
            let words = Words::of(self.engine, self.text);
            (1..words.len()).any(|at| words.is_after(at, "wait") && words.kind(at) == Some(Kind::Number))
        };
        let locks = self.word(0) == "flush" && (self.has("lock") || self.has("export"));
        let (what, instead) = if locks {
            (
                "locks tables that fleet's own writes would wait for",
                "leave it out; fleet lets no other run in meanwhile",
            )
        } else if sets || waits {
            let instead = "leave that out; fleet sets the limit and tries again, and `-- fleet: lock_timeout=2s` at the head of \
                           the file sets another one";
            ("has a limit for locks of its own, and everybody would wait behind the lock it waits for", instead)
        } else {
            return None;
        };
        Some(Found::new(Some(self.line), format!("`{}` {what}", self.name()), instead))
    }

    /// The error of a setting that PostgreSQL takes before the first query of a transaction only, or for one transaction only.
    pub(super) fn own_transaction_mistake(&self, transaction: bool) -> Option<Found> {
        // In the order of the grammar; read-only and read-write are taken at any time.
        const FIRST: [&str; 4] = ["isolation", "deferrable", "snapshot", "transaction_isolation"];
        let sets = syntax(self.engine).lexis().has_dollar_quotes
            && self.word(0) == "set"
            && (self.word(1) == "transaction"
                || self.has("transaction_isolation")
                || self.has("transaction_deferrable"));
        let what = match transaction {
            true if FIRST.iter().any(|word| self.has(word)) || self.has("transaction_deferrable") => {
                "comes too late: the transaction is fleet's own, and fleet has read in it before"
            }
            false => "sets nothing in a script without a transaction: it holds for its own statement alone",
            true => return None,
        };
        let instead = "leave it out: fleet's transaction reads what is committed (READ COMMITTED), and no other run is let in; LOCK TABLE \
                       keeps an application's writes out";
        sets.then(|| Found::new(Some(self.line), format!("`{}` {what}", self.name()), instead))
    }

    /// The error of a statement that can't run as its script runs.
    pub(super) fn transaction_needed_mistake(&self, transaction: bool) -> Option<Found> {
        let (name, hindrance) = hindrance_of_one(self.engine, self.text)?;
        let (what, instead) = match hindrance {
            Hindrance::Refused(instead) => (format!("`{name}` ends what fleet itself holds in the session"), instead),
            Hindrance::Block => (
                format!("a statement in this `{name}` block can't run in a transaction, and a block is one"),
                "write it as a statement of its own, in a script with `-- fleet: transaction=false` at its head",
            ),
            _ if !transaction => return None,
            Hindrance::Transaction => (
                format!("`{name}` can't run in a transaction"),
                "write `-- fleet: transaction=false` at the head of the file, best in a script of its own",
            ),
            Hindrance::EndsTransaction => (
                format!("this `{name}` block ends the transaction that its script runs in"),
                "leave COMMIT and ROLLBACK out, or write `-- fleet: transaction=false` at the head of the file",
            ),
        };
        // Another engine runs it in any script, and may be the only one of the fleet.
        let is_common = ["CREATE DATABASE", "DROP DATABASE", "ALTER DATABASE", "CREATE TABLESPACE", "DROP TABLESPACE"];
        let always = !is_common.contains(&name.as_str());
        Some(Found { always, ..Found::new(Some(self.line), what, instead) })
    }
}

const ROUTINES: [&str; 3] = ["function", "procedure", "routine"];

/// The unqualified name of the routine that a statement creates or alters; empty if it can't be told.
fn routine_name(engine: Engine, sql: &str) -> String {
    let words = Words::of(engine, sql);
    let kind = (0..words.len().min(4)).find(|&at| ROUTINES.iter().any(|kind| words.is(at, kind)));
    let Some(name) = kind.map(|at| at + 1) else { return String::new() };
    let last = if words.is_symbol(name + 1, b'.') { name + 2 } else { name };
    words.name(last).unwrap_or_default().to_lowercase()
}

/// Whether a statement names a routine, in its code or in the body of a block.
fn mentions(statement: &Statement<'_>, name: &str) -> bool {
    let text = statement.text.to_lowercase();
    text.split(|c: char| !(c.is_alphanumeric() || c == '_')).any(|word| word == name)
}

/// Commands of psql and of the mysql client: a backslash is never SQL outside quotes, except for MySQL's `\N`.
pub(super) fn psql_commands(engine: Engine, text: &str) -> Vec<Found> {
    if !text.contains('\\') {
        return Vec::new();
    }
    // The first line of a MariaDB dump since 2024: a comment to every server, and a command to its own client.
    const SANDBOX: &str = "- enable the sandbox mode";
    let is_command = |token: &Token| {
        let rest = &text[token.end..];
        token.kind == Kind::Symbol(b'\\') && !rest.starts_with('N') && !rest.starts_with(SANDBOX)
    };
    let commands = lex::tokens(engine, text).filter(is_command);
    let found = commands.map(|token| {
        let line = text[..token.start].matches('\n').count() + 1;
        let command: String = text[token.start..].chars().take_while(|c| !c.is_whitespace()).take(40).collect();
        let instead = "leave it out, and put what it would bring into the file as SQL";
        // `\g` is one of both.
        let (client, instead) = match command.starts_with("\\G") {
            true => ("the mysql client", "end the statement with `;`"),
            false => ("psql", instead),
        };
        Found::new(Some(line), format!("`{command}` is a command of {client}"), instead)
    });
    found.collect()
}
