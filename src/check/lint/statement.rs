//! A statement by its words: its verb, the table it is about, the actions of an `ALTER TABLE`, the elements of a `CREATE TABLE`.
//!
//! It knows no grammar; a word that it does not expect gives no answer, and [`Statement::not_read`] says so.

use std::ops::Range;

use crate::model::engine::Engine;
use crate::sql::first_words;
use crate::sql::lex::{self, Kind};
use crate::sql::words::Words;

/// One statement of a script.
pub(crate) struct Statement<'a> {
    /// From 0.
    pub(super) number: usize,
    pub(super) engine: Engine,
    pub(super) sql: &'a str,
    pub(super) words: Words<'a>,
    /// The table that it changes, in lower case and without its schema; for an index the table of the index.
    pub(super) target: Option<String>,
    /// The index of the token behind the target.
    behind: usize,
    /// Whether the table has no rows and no readers yet: it was made here, and not only if it was missing.
    pub(super) is_new: bool,
    /// Whether the table was made here, or was there: `CREATE TABLE IF NOT EXISTS`. Nobody is expected to wait for it.
    pub(super) is_just_made: bool,
    /// The tables that it drops and that were not made here.
    pub(super) lost_tables: Vec<String>,
    /// The tables that it names, of all statements that take a list of them, and that were not made here.
    pub(super) old_tables: Vec<String>,
    is_unclosed: bool,
}

/// The first words of statements that the rules know, or know to be harmless.
const VERBS: [&str; 35] = [
    "alter",
    "analyze",
    "begin",
    "cluster",
    "comment",
    "commit",
    "create",
    "delete",
    "detach",
    "drop",
    "flush",
    "grant",
    "insert",
    "lock",
    "optimize",
    "pragma",
    "prepare",
    "refresh",
    "reindex",
    "release",
    "rename",
    "replace",
    "reset",
    "revoke",
    "rollback",
    "savepoint",
    "select",
    "set",
    "start",
    "truncate",
    "unlock",
    "update",
    "use",
    "vacuum",
    "with",
];

/// Objects with a body of code, which is not read.
const BODIES: [&str; 4] = ["trigger", "function", "procedure", "event"];

impl<'a> Statement<'a> {
    pub(super) fn new(engine: Engine, number: usize, sql: &'a str) -> Self {
        let is_unclosed = lex::tokens(engine, sql).any(|token| token.is_unclosed);
        let words = Words::of(engine, sql);
        let mut statement = Statement {
            number,
            engine,
            sql,
            words,
            target: None,
            behind: 0,
            is_new: false,
            is_just_made: false,
            lost_tables: Vec::new(),
            old_tables: Vec::new(),
            is_unclosed,
        };
        if let Some(at) = statement.target_at() {
            let end = if statement.words.is_symbol(at + 1, b'.') { at + 2 } else { at };
            statement.target = statement.table_name(at);
            statement.behind = end + 1;
        }
        statement
    }

    /// The name of a table as it is compared, with the schema that it is written with. PostgreSQL tells `"Users"` from `users`.
    pub(super) fn table_name(&self, at: usize) -> Option<String> {
        let part =
            |at: usize| self.words.name(at).or_else(|| self.words.string(at)).map(|name| self.words.folded(name));
        match self.words.is_symbol(at + 1, b'.') {
            true => Some(format!("{}.{}", part(at)?, part(at + 2)?)),
            false => part(at),
        }
    }

    /// Whether it makes something only if it is not there.
    pub(super) fn is_conditional(&self) -> bool {
        (0..self.words.len().min(10)).any(|at| self.words.are(at, &["if", "not", "exists"]))
    }

    /// The limit of a type that holds texts of any length, if the token is one: none for `text`.
    pub(super) fn text_limit(&self, at: usize) -> Option<Option<u32>> {
        let behind = match self.words.word(at).as_str() {
            "text" => return Some(None),
            "varchar" => at + 1,
            "character" if self.words.is(at + 1, "varying") => at + 2,
            _ => return None,
        };
        match self.words.is_symbol(behind, b'(') {
            true => self.token(behind + 1).parse().ok().map(Some),
            false => Some(None),
        }
    }

    /// The columns whose type it changes, in lower case; with the limit of the new one, if that is a text and nothing is said of how old
    /// values become new ones.
    pub(super) fn changed_types(&self) -> Vec<(String, Option<Option<u32>>)> {
        let changed = |action: Range<usize>| {
            let at = self.skip(action.start + 1, &["column"]);
            let kind = self.skip(at + 1, &["set", "data"]);
            let is_change = self.words.is(action.start, "alter") && self.words.is(kind, "type");
            let limit = self.text_limit(kind + 1).filter(|_| !self.has_in(&action, &["using", "collate"]));
            self.words.name(at).filter(|_| is_change).map(|column| (column.to_lowercase(), limit))
        };
        self.actions().into_iter().filter_map(changed).collect()
    }

    /// The reason why nobody should parse it: its expressions go too deep, or on for too long.
    pub(super) fn too_deep(&self) -> Option<String> {
        const DEEPEST: usize = 200;
        const LONGEST: usize = 2_000;
        const JOINTS: [&str; 6] = ["or", "and", "union", "except", "intersect", "case"];
        let (mut depth, mut deepest, mut joints) = (0_usize, 0_usize, 0_usize);
        for at in 0..self.words.len() {
            match self.words.kind(at) {
                Some(Kind::Symbol(b'(' | b'[')) => {
                    depth += 1;
                    deepest = deepest.max(depth);
                }
                Some(Kind::Symbol(b')' | b']')) => depth = depth.saturating_sub(1),
                Some(Kind::Symbol(b',' | b'.' | b';')) => {}
                Some(Kind::Symbol(_)) => joints += 1,
                _ => joints += usize::from(JOINTS.iter().any(|word| self.words.is(at, word))),
            }
        }
        (deepest > DEEPEST)
            .then(|| format!("its parentheses are nested {deepest} deep, and at most {DEEPEST} levels are read"))
            .or_else(|| {
                (joints > LONGEST)
                    .then(|| format!("its expressions have {joints} operators, and at most {LONGEST} are read"))
            })
    }

    /// Whether every default that it names is the same for all rows: no function is called but the clock of the transaction.
    pub(super) fn has_constant_defaults(&self) -> bool {
        const STABLE: [&str; 3] = ["now", "transaction_timestamp", "current_setting"];
        let calls = |at: &usize| {
            let is_call = self.words.is_symbol(at + 1, b'(') && !self.words.word(*at).is_empty();
            let is_type = at.checked_sub(1).is_some_and(|before| self.words.is_symbol(before, b':'));
            is_call && !is_type && !STABLE.iter().any(|word| self.words.is(*at, word))
        };
        let defaults: Vec<Range<usize>> = self
            .actions()
            .into_iter()
            .filter_map(|action| {
                let begin = self.outside(action.clone()).find(|&at| self.words.is(at, "default"))? + 1;
                let ends = ["not", "null", "constraint", "check", "unique", "primary", "references", "collate"];
                let end = self.outside(begin..action.end).find(|&at| ends.iter().any(|word| self.words.is(at, word)));
                Some(begin..end.unwrap_or(action.end))
            })
            .collect();
        !defaults.is_empty() && !defaults.into_iter().flatten().any(|at| calls(&at))
    }

    pub(super) fn verb(&self) -> String {
        self.words.word(0)
    }

    /// Whether it begins with this verb, and this kind of object comes next but for words that stand between them.
    pub(super) fn is(&self, verb: &str, kind: &str) -> bool {
        const BETWEEN: [&str; 13] = [
            "or",
            "replace",
            "unique",
            "fulltext",
            "spatial",
            "unlogged",
            "temporary",
            "temp",
            "global",
            "local",
            "online",
            "ignore",
            "materialized",
        ];
        self.words.is(0, verb) && self.words.is(self.skip(1, &BETWEEN), kind)
    }

    /// The first token from here that is none of these words.
    pub(super) fn skip(&self, mut at: usize, words: &[&str]) -> usize {
        while words.iter().any(|word| self.words.is(at, word)) {
            at += 1;
        }
        at
    }

    /// The index of the token that names the table.
    pub(super) fn target_at(&self) -> Option<usize> {
        const NOISE: [&str; 16] = [
            "or",
            "abort",
            "fail",
            "ignore",
            "rollback",
            "replace",
            "low_priority",
            "delayed",
            "high_priority",
            "quick",
            "only",
            "into",
            "from",
            "if",
            "exists",
            "not",
        ];
        let words = &self.words;
        match self.verb().as_str() {
            "alter" if self.is("alter", "table") => {
                let at = self.skip(2, &["online", "ignore", "if", "exists", "only", "table"]);
                (!words.are(at, &["all", "in", "tablespace"])).then_some(at)
            }
            "create" if self.is("create", "table") => {
                let kind = (1..words.len()).find(|&at| words.is(at, "table"))?;
                Some(self.skip(kind + 1, &["if", "not", "exists"]))
            }
            "create" if self.is("create", "index") => {
                let on = (2..words.len()).find(|&at| words.is(at, "on"))?;
                Some(self.skip(on + 1, &["only"]))
            }
            "drop" if self.is("drop", "table") || words.are(0, &["drop", "tables"]) => {
                let kind = (1..words.len()).find(|&at| words.is(at, "table") || words.is(at, "tables"))?;
                Some(self.skip(kind + 1, &["if", "exists"]))
            }
            "drop" if self.is("drop", "index") => {
                let on = (2..words.len()).find(|&at| words.is(at, "on"))?;
                Some(on + 1)
            }
            "rename" if words.is(1, "table") => Some(self.skip(2, &["if", "exists"])),
            "truncate" => Some(self.skip(1, &["table", "only"])),
            "update" | "delete" | "insert" | "replace" => Some(self.skip(1, &NOISE)),
            _ => None,
        }
    }

    /// The byte offset of its first word.
    pub(super) fn begin(&self) -> usize {
        if self.words.len() > 0 { self.words.start(0) } else { 0 }
    }

    /// The actions of an `ALTER TABLE`, by their tokens; empty for another statement.
    pub(super) fn actions(&self) -> Vec<Range<usize>> {
        if self.is("alter", "table") && self.target.is_some() {
            self.parts(self.behind, self.words.len())
        } else {
            Vec::new()
        }
    }

    /// The columns and keys of a `CREATE TABLE`, by their tokens.
    pub(super) fn elements(&self) -> Vec<Range<usize>> {
        if !self.is("create", "table") || !self.words.is_symbol(self.behind, b'(') {
            return Vec::new();
        }
        let close = self.closing(self.behind);
        self.parts(self.behind + 1, close)
    }

    /// Whether it makes a table of SQLite that refuses values of other kinds than its columns'.
    pub(super) fn is_strict(&self) -> bool {
        self.is("create", "table") && self.has_outside("strict")
    }

    /// The index of the parenthesis that closes this one, or the end.
    pub(super) fn closing(&self, open: usize) -> usize {
        let mut depth = 0_usize;
        for at in open..self.words.len() {
            depth += usize::from(self.words.is_symbol(at, b'('));
            if self.words.is_symbol(at, b')') {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return at;
                }
            }
        }
        self.words.len()
    }

    pub(super) fn parts(&self, from: usize, to: usize) -> Vec<Range<usize>> {
        let (mut parts, mut begin, mut at) = (Vec::new(), from, from);
        while at < to {
            if self.words.is_symbol(at, b'(') {
                at = self.closing(at);
            } else if self.words.is_symbol(at, b',') {
                parts.push(begin..at);
                begin = at + 1;
            }
            at += 1;
        }
        if begin < to {
            parts.push(begin..to);
        }
        parts
    }

    /// Whether this word stands outside of all parentheses.
    pub(super) fn has_outside(&self, word: &str) -> bool {
        self.outside(0..self.words.len()).any(|at| self.words.is(at, word))
    }

    /// The numbers of rows to which a range is limited, also in a query within it.
    pub(super) fn limits(&self, range: Range<usize>) -> impl Iterator<Item = u64> {
        let number = |at: usize| self.words.written(at)?.parse::<u64>().ok();
        range.filter_map(move |at| match self.words.word(at).as_str() {
            "limit" => number(at + 1),
            "fetch" => number(at + 2),
            _ => None,
        })
    }

    /// The tokens of a range outside of parentheses.
    pub(super) fn outside(&self, range: Range<usize>) -> impl Iterator<Item = usize> {
        let mut depth = 0_usize;
        range.filter(move |&at| {
            depth += usize::from(self.words.is_symbol(at, b'('));
            let is_out = depth == 0;
            depth = depth.saturating_sub(usize::from(self.words.is_symbol(at, b')')));
            is_out
        })
    }

    /// Whether any of these words stands in a range.
    pub(super) fn has_in(&self, range: &Range<usize>, words: &[&str]) -> bool {
        range.clone().any(|at| words.iter().any(|word| self.words.is(at, word)))
    }

    /// A token as written, in lower case.
    pub(super) fn token(&self, at: usize) -> String {
        let end = if at + 1 < self.words.len() { self.words.start(at + 1) } else { self.sql.len() };
        self.sql[self.words.start(at)..end].trim().trim_end_matches(';').trim_end().to_lowercase()
    }

    /// The tokens of a range as text, with one blank between them.
    pub(super) fn text(&self, range: Range<usize>) -> String {
        let most = range.end.min(range.start + 6).min(self.words.len());
        let (from, to) = (
            self.words.start(range.start),
            if most < self.words.len() { self.words.start(most) } else { self.sql.len() },
        );
        self.sql[from..to].split_whitespace().collect::<Vec<_>>().join(" ").trim_end_matches([' ', ',', '(']).to_owned()
    }

    /// Whether an element of a table is a key or a check, and no column.
    pub(super) fn is_key(&self, at: usize) -> bool {
        const KEYS: [&str; 11] = [
            "constraint",
            "primary",
            "unique",
            "index",
            "key",
            "fulltext",
            "spatial",
            "foreign",
            "check",
            "exclude",
            "like",
        ];
        KEYS.iter().any(|word| self.words.is(at, word))
    }

    /// Whether it changes or removes rows, or copies them from a query.
    pub(super) fn is_data_change(&self) -> bool {
        match self.verb().as_str() {
            "update" | "delete" => true,
            "insert" | "replace" => self.has_outside("select"),
            "with" => ["update", "delete", "insert"].iter().any(|verb| self.has_outside(verb)),
            _ => false,
        }
    }

    /// Whether it changes tables or indexes.
    pub(super) fn is_ddl(&self) -> bool {
        ["alter", "create", "drop", "truncate", "rename"].contains(&self.verb().as_str())
            && !self.words.is(1, "temporary")
    }

    /// The reason why no rule could read it; `None` where they did.
    pub(super) fn not_read(&self) -> Option<String> {
        let verb = self.verb();
        if self.is_unclosed {
            return Some("a quote or comment in it has no end".to_owned());
        }
        if self.words.len() == 0 {
            return None;
        }
        let has_body = verb == "create"
            && (1..self.words.len().min(12)).any(|at| BODIES.iter().any(|body| self.words.is(at, body)))
            && self.target.is_none();
        match verb.as_str() {
            "do" | "call" | "execute" => Some("it runs code, which is not read".to_owned()),
            "select" | "with" => {
                self.call_that_may_write().map(|name| format!("it calls {name}(), which may write and is not read"))
            }
            _ if has_body => Some("it has a body of code, which is not read".to_owned()),
            known if VERBS.contains(&known) => None,
            "" => Some("it does not begin with a word".to_owned()),
            _ => Some(format!("no rule knows `{}`", verb.to_uppercase())),
        }
    }

    /// The comments before its first word, each with its line behind the first, from 0.
    pub(super) fn comments(&self, engine: Engine) -> Vec<(String, usize)> {
        let head = lex::tokens(engine, self.sql).take_while(|t| matches!(t.kind, Kind::Space | Kind::Comment));
        let comment = |token: lex::Token| {
            (token.kind == Kind::Comment).then(|| {
                let line = self.sql[..token.start].bytes().filter(|b| *b == b'\n').count();
                (self.sql[token.start..token.end].to_owned(), line)
            })
        };
        head.filter_map(comment).collect()
    }

    /// The words that it begins with, in lower case, up to the first other token.
    pub(super) fn beginning(&self, engine: Engine) -> Vec<String> {
        first_words(engine, self.sql).collect()
    }

    /// The table as the findings name it.
    pub(super) fn table(&self) -> &str {
        self.target.as_deref().unwrap_or("a table")
    }

    /// The view that it makes, in lower case and without its schema.
    pub(super) fn made_view(&self) -> Option<String> {
        let kind = (1..self.words.len().min(8)).find(|&at| self.words.is(at, "view"))?;
        let at = self.skip(kind + 1, &["if", "not", "exists"]);
        self.table_name(at).filter(|_| self.is("create", "view"))
    }

    /// The columns that an `ALTER TABLE` drops.
    pub(super) fn dropped_columns(&self) -> Vec<String> {
        const OTHERS: [&str; 9] =
            ["constraint", "primary", "foreign", "index", "key", "check", "partition", "system", "period"];
        let dropped = |action: Range<usize>| {
            let next = self.skip(action.start + 1, &["column", "if", "exists"]);
            let is_column =
                self.words.is(action.start, "drop") && !OTHERS.iter().any(|other| self.words.is(next, other));
            self.words.name(next).filter(|_| is_column)
        };
        self.actions().into_iter().filter_map(dropped).collect()
    }

    /// The old and the new name of a column that is renamed.
    pub(super) fn renamed_column(&self) -> Option<(String, String)> {
        self.actions().into_iter().find_map(|action| {
            let at = self.skip(action.start + 1, &["column", "if", "exists"]);
            let (old, new) = match self.words.word(action.start).as_str() {
                "rename" if ["to", "as", "index", "key", "constraint"].iter().any(|word| self.words.is(at, word)) => {
                    return None;
                }
                "rename" if self.words.is(at + 1, "to") => (at, at + 2),
                "change" => (at, at + 1),
                _ => return None,
            };
            let (old, new) = (self.words.name(old)?, self.words.name(new)?);
            (!old.eq_ignore_ascii_case(&new)).then_some((old, new))
        })
    }

    /// The columns that an `ALTER TABLE` adds, each with the tokens of its definition.
    pub(super) fn added_columns(&self) -> Vec<(String, Range<usize>)> {
        const OTHERS: [&str; 12] = [
            "constraint",
            "primary",
            "foreign",
            "unique",
            "index",
            "key",
            "check",
            "fulltext",
            "spatial",
            "partition",
            "system",
            "period",
        ];
        let added = |action: Range<usize>| {
            let is_column = self.words.is(action.start + 1, "column");
            let at = self.skip(action.start + 1, &["column", "if", "not", "exists"]);
            let is_other = !is_column && OTHERS.iter().any(|other| self.words.is(at, other));
            let name = self.words.name(at).filter(|_| self.words.is(action.start, "add") && !is_other)?;
            Some((name, at + 1..action.end))
        };
        self.actions().into_iter().filter_map(added).collect()
    }

    /// The first columns, in lower case, of the foreign keys that it makes.
    pub(super) fn foreign_keys(&self) -> Vec<String> {
        let element = |part: Range<usize>| {
            let words = &self.words;
            if let Some(key) = part.clone().find(|&at| words.are(at, &["foreign", "key"])) {
                let open = (key..part.end).find(|&at| words.is_symbol(at, b'('))?;
                return words.name(open + 1);
            }
            let column = self.skip(part.start, &["add", "column", "if", "not", "exists"]);
            words.name(column).filter(|_| self.outside(part.clone()).any(|at| words.is(at, "references")))
        };
        let parts =
            self.elements().into_iter().chain(self.actions().into_iter().filter(|a| self.words.is(a.start, "add")));
        parts.filter_map(element).map(|column| column.to_lowercase()).collect()
    }
}
