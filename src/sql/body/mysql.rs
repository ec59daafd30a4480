//! The compound statements of MySQL and MariaDB.
//!
//! A keyword opens a block only where a statement can begin: `IF`, `REPEAT` and others are functions or clauses
//! elsewhere.

use super::{Kind, Words};

/// An open block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Block {
    Begin,
    /// The declarations of a package or of an Oracle-style routine; a `BEGIN` after them belongs to them.
    Declarations,
    If,
    /// The statement, which ends with `END CASE`.
    Case,
    /// The expression, which ends with `END` wherever it stands.
    CaseExpression,
    Loop,
    While,
    Repeat,
    For,
}

impl Block {
    /// The block that a word opens at the start of a statement.
    fn opened_by(word: &str) -> Option<Block> {
        Some(match word {
            "if" => Block::If,
            "case" => Block::Case,
            "loop" => Block::Loop,
            "while" => Block::While,
            "repeat" => Block::Repeat,
            "for" => Block::For,
            _ => return None,
        })
    }

    /// Whether this word after `END` belongs to it.
    fn is_closed_by(self, word: &str) -> bool {
        Block::opened_by(word) == Some(self)
    }
}

/// The kind of the current statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Mode {
    #[default]
    Plain,
    /// Up to the body of a trigger, which begins after `FOR EACH ROW`.
    Trigger,
    /// Up to the body of an event, which begins after `DO`.
    Event,
    /// Up to the body of a routine; whether its parameters and a `RETURN` were seen.
    Routine { parameters: bool, returns: bool },
    /// Up to the declarations of a package.
    Package,
    /// `DECLARE`, which may turn out to be a handler.
    Declare,
    /// The conditions of a handler; whether one is expected.
    Handler { condition: bool },
}

/// The progress of one statement into compound statements.
#[derive(Debug, Default)]
pub(crate) struct Mysql {
    open: Vec<(Block, usize)>,
    mode: Mode,
    /// A token of this statement was seen.
    is_begun: bool,
    /// A statement can begin at the next token.
    at_start: bool,
    /// The body of a routine was reached.
    in_body: bool,
    parentheses: usize,
    /// Tokens before this place were looked at already.
    looked_at: usize,
}

impl Mysql {
    /// Whether a semicolon here ends the statement; if not, a statement of the body can begin after it.
    pub(crate) fn is_ended(&mut self) -> bool {
        while self.top() == Some(Block::CaseExpression) {
            self.open.pop();
        }
        (self.mode, self.at_start, self.parentheses) = (Mode::Plain, true, 0);
        self.open.is_empty()
    }

    pub(crate) fn open(&self) -> Option<(&'static str, Option<usize>)> {
        let (block, at) = self.open.iter().find(|(block, _)| *block != Block::CaseExpression)?;
        let what = match block {
            Block::Begin => "a body (BEGIN … END)",
            Block::Declarations => "a package or routine (AS … END)",
            Block::If => "a statement (IF … END IF)",
            Block::Case | Block::CaseExpression => "a statement (CASE … END CASE)",
            Block::Loop => "a statement (LOOP … END LOOP)",
            Block::While => "a statement (WHILE … END WHILE)",
            Block::Repeat => "a statement (REPEAT … END REPEAT)",
            Block::For => "a statement (FOR … END FOR)",
        };
        Some((what, Some(*at)))
    }

    pub(crate) fn take(&mut self, code: &Words<'_>, at: usize) {
        if at < self.looked_at {
            return;
        }
        let is_first = !std::mem::replace(&mut self.is_begun, true);
        let is_start = std::mem::take(&mut self.at_start) || is_first;
        if is_first && self.header(code, at) {
            return;
        }
        let is_name = matches!(code.kind(at), Some(Kind::Word | Kind::Quote));
        let is_label = is_name && code.is_symbol(at + 1, b':') && !code.is_symbol(at + 2, b'=');
        let may_be_labelled = is_start || matches!(self.mode, Mode::Routine { parameters: true, .. });
        if is_label && may_be_labelled {
            return self.begin_statement(at + 2);
        }
        match code.kind(at) {
            Some(Kind::Symbol(b'(')) => {
                self.parentheses += 1;
                if let Mode::Routine { parameters, .. } = &mut self.mode {
                    *parameters = true;
                }
            }
            Some(Kind::Symbol(b')')) => self.parentheses = self.parentheses.saturating_sub(1),
            Some(Kind::Symbol(b',')) if self.mode == (Mode::Handler { condition: false }) => {
                self.mode = Mode::Handler { condition: true };
            }
            Some(Kind::Quote | Kind::Number) if matches!(self.mode, Mode::Handler { .. }) => {
                self.mode = Mode::Handler { condition: false };
            }
            Some(Kind::Word) if !code.is_qualified(at) => self.word(code, at, is_start),
            _ => {}
        }
    }

    fn word(&mut self, code: &Words<'_>, at: usize, is_start: bool) {
        let word = code.word(at);
        let is_end = is_start
            || self.top() == Some(Block::CaseExpression)
            || (self.top() == Some(Block::Repeat) && code.is(at + 1, "repeat"));
        match (word.as_str(), self.mode) {
            ("end", _) if is_end => {
                let closed = self.open.pop();
                let is_named = closed.is_some_and(|(block, _)| block.is_closed_by(&code.word(at + 1)));
                self.looked_at = at + 1 + usize::from(is_named);
                if closed.is_none_or(|(block, _)| block != Block::CaseExpression) {
                    self.mode = Mode::Plain;
                }
            }
            (_, Mode::Trigger | Mode::Event | Mode::Routine { .. } | Mode::Package) if self.parentheses == 0 => {
                self.header_word(code, at, &word);
            }
            ("handler", Mode::Declare) => {
                let conditions = if code.is(at + 1, "for") { at + 2 } else { at + 1 };
                (self.mode, self.looked_at) = (Mode::Handler { condition: true }, conditions);
            }
            ("not" | "sqlstate" | "value", Mode::Handler { .. }) => {}
            (_, Mode::Handler { condition: true }) => self.mode = Mode::Handler { condition: false },
            (word, Mode::Handler { condition: false }) => {
                self.mode = Mode::Plain;
                self.statement_word(code, at, word, true);
            }
            (word, _) => self.statement_word(code, at, word, is_start),
        }
    }

    /// A word of a statement, not of a header.
    fn statement_word(&mut self, code: &Words<'_>, at: usize, word: &str, is_start: bool) {
        match word {
            "case" if !is_start => self.open.push((Block::CaseExpression, at)),
            "begin" if is_start => self.begin(code, at),
            "loop" | "repeat" if is_start => self.open_block(word, at, true),
            "if" | "case" | "while" | "for" if is_start => self.open_block(word, at, false),
            "declare" if is_start => self.mode = Mode::Declare,
            "function" | "procedure" if is_start && self.top() == Some(Block::Declarations) => {
                self.mode = Mode::Routine { parameters: false, returns: false };
            }
            "then" | "else" => self.at_start = self.top().is_some_and(|top| top != Block::CaseExpression),
            // `LOOP` here is Oracle's `WHILE … LOOP`.
            "do" | "loop" if !is_start => self.at_start = matches!(self.top(), Some(Block::While | Block::For)),
            _ => {}
        }
    }

    fn begin(&mut self, code: &Words<'_>, at: usize) {
        let is_block = code.is(at + 1, "not") && code.is(at + 2, "atomic");
        if self.open.is_empty() && !self.in_body && !is_block {
            return; // A transaction.
        }
        match self.open.last_mut() {
            Some((block @ Block::Declarations, _)) => *block = Block::Begin,
            _ => self.open.push((Block::Begin, at)),
        }
        self.begin_statement(if is_block { at + 3 } else { at + 1 });
    }

    fn open_block(&mut self, word: &str, at: usize, begins_statement: bool) {
        self.open.extend(Block::opened_by(word).map(|block| (block, at)));
        (self.mode, self.in_body, self.at_start) = (Mode::Plain, true, begins_statement);
    }

    /// The next statement of the body can begin at this place.
    fn begin_statement(&mut self, at: usize) {
        (self.mode, self.in_body, self.at_start, self.looked_at) = (Mode::Plain, true, true, at);
    }

    fn top(&self) -> Option<Block> {
        self.open.last().map(|(block, _)| *block)
    }

    /// Whether a statement that begins here creates an object with a body; if so, the words up to its kind are skipped.
    fn header(&mut self, code: &Words<'_>, at: usize) -> bool {
        let mut next = at + 1;
        if code.is(at, "create") && code.is(next, "or") && code.is(next + 1, "replace") {
            next += 2;
        }
        if code.is(next, "definer") && code.is_symbol(next + 1, b'=') {
            // `name`, `name@host` or `CURRENT_USER()`.
            next += 3;
            if code.is_symbol(next, b'@') || code.is_symbol(next, b'(') {
                next += 2;
            }
        }
        if code.is(next, "aggregate") {
            next += 1;
        }
        let mode = match (code.word(at).as_str(), code.word(next).as_str()) {
            ("create", "trigger") => Mode::Trigger,
            ("create" | "alter", "event") => Mode::Event,
            ("create", "procedure" | "function") => Mode::Routine { parameters: false, returns: false },
            ("create", "package") => Mode::Package,
            _ => return false,
        };
        if mode == Mode::Package {
            self.open.push((Block::Declarations, at));
            next += usize::from(code.is(next + 1, "body"));
        }
        (self.mode, self.looked_at) = (mode, next + 1);
        true
    }

    /// A word between the kind of the created object and its body.
    fn header_word(&mut self, code: &Words<'_>, at: usize, word: &str) {
        match (self.mode, word) {
            (Mode::Trigger, "row") if code.is_after(at, "each") => {
                let has_order = code.is(at + 1, "follows") || code.is(at + 1, "precedes");
                let is_qualified = has_order && code.is_symbol(at + 3, b'.');
                self.begin_statement(at + 1 + if has_order { 2 } else { 0 } + if is_qualified { 2 } else { 0 });
            }
            (Mode::Event, "do") => self.begin_statement(at + 1),
            (Mode::Package, "as" | "is") => self.begin_statement(at + 1),
            (Mode::Package, "function" | "procedure") => {
                self.mode = Mode::Routine { parameters: false, returns: false };
            }
            (Mode::Routine { .. }, "as" | "is")
                if !["null", "not", "true", "false", "unknown"].contains(&code.word(at + 1).as_str()) =>
            {
                self.open.push((Block::Declarations, at));
                self.begin_statement(at + 1);
            }
            (Mode::Routine { returns: true, .. }, "case") => self.open.push((Block::CaseExpression, at)),
            (Mode::Routine { returns: true, .. }, _) => {}
            (Mode::Routine { parameters, .. }, "return") => self.mode = Mode::Routine { parameters, returns: true },
            (Mode::Routine { .. }, "begin") => {
                self.open.push((Block::Begin, at));
                self.begin_statement(at + 1);
            }
            (Mode::Routine { parameters: true, .. }, "loop" | "repeat") => self.open_block(word, at, true),
            (Mode::Routine { parameters: true, .. }, "if" | "case" | "while" | "for") => {
                self.open_block(word, at, false);
            }
            // `CHARACTER SET utf8mb4` and `RETURNS SET('a')` are types.
            (Mode::Routine { .. }, "set") if code.is_after(at, "character") || code.is_after(at, "returns") => {}
            (Mode::Routine { parameters: true, .. }, word) if SIMPLE.contains(&word) => {
                (self.mode, self.in_body) = (Mode::Plain, true);
            }
            _ => {}
        }
    }
}

/// The keywords that can begin a body of one simple statement.
const SIMPLE: [&str; 21] = [
    "set", "select", "with", "values", "insert", "update", "delete", "replace", "call", "do", "create", "alter",
    "drop", "rename", "truncate", "load", "grant", "revoke", "prepare", "execute", "signal",
];
