//! What one statement of DDL makes or takes away, read from its first words.
//!
//! It knows the plain forms only: a statement that it can't read has no effect that it could name.

use super::dialect::syntax;
use super::lex::{self, Kind};
use crate::model::tenant::Engine;

/// A name as a statement spells it, without its quotes; what PostgreSQL folds is folded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Named {
    /// The schema or database before it.
    pub(crate) schema: Option<String>,
    /// The name itself.
    pub(crate) name: String,
}

/// What a statement does to the schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum DdlEffect {
    /// Something is there afterwards.
    Creates(SchemaObject),
    /// It is gone afterwards.
    Drops(SchemaObject),
    /// It goes by another name afterwards.
    Renames(SchemaObject, SchemaObject),
}

/// A part of a schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SchemaObject {
    /// A table.
    Table(Named),
    /// A view, materialized or not.
    View(Named),
    /// An index, and its table where the statement names it.
    Index(Named, Option<Named>),
    /// A column of a table.
    Column(Named, String),
}

/// The effect of a statement; of an `ALTER TABLE` that does several things, the first of them.
pub(crate) fn effect(engine: Engine, sql: &str) -> Option<DdlEffect> {
    let mut words = Words { folds_names: syntax(engine).lexis().folds_names, tokens: tokens(engine, sql), at: 0 };
    match words.keyword()?.as_str() {
        "create" => words.create(),
        "drop" => words.drop(),
        "alter" => words.alter(),
        "rename" => words.rename(),
        _ => None,
    }
}

enum Token {
    Word(String),
    Name(String),
    Symbol(u8),
}

fn tokens(engine: Engine, sql: &str) -> Vec<Token> {
    let token = |token: lex::Token| {
        let text = &sql[token.start..token.end];
        match token.kind {
            Kind::Space | Kind::Comment => None,
            Kind::Word => Some(Token::Word(text.to_owned())),
            Kind::Quote => Some(unquoted(text).map_or(Token::Symbol(b'\''), Token::Name)),
            Kind::Symbol(symbol) => Some(Token::Symbol(symbol)),
            Kind::Number | Kind::Executable => Some(Token::Symbol(b'0')),
        }
    };
    // A statement says what it is about within its first words; a long list of columns need not be read.
    lex::tokens(engine, sql).filter_map(token).take(64).collect()
}

/// The name in quotes of any engine; `None` for a text.
pub(crate) fn unquoted(text: &str) -> Option<String> {
    let inner = text.get(1..text.len().checked_sub(1)?)?;
    match text.as_bytes().first()? {
        b'"' => Some(inner.replace("\"\"", "\"")),
        b'`' => Some(inner.replace("``", "`")),
        b'[' => Some(inner.to_owned()),
        _ => None,
    }
}

struct Words {
    folds_names: bool,
    tokens: Vec<Token>,
    at: usize,
}

impl Words {
    fn peek(&self) -> Option<String> {
        match self.tokens.get(self.at)? {
            Token::Word(word) => Some(word.to_ascii_lowercase()),
            Token::Name(_) | Token::Symbol(_) => None,
        }
    }

    fn keyword(&mut self) -> Option<String> {
        let word = self.peek()?;
        self.at += 1;
        Some(word)
    }

    /// Passes over these words, when all of them come next.
    fn eat(&mut self, words: &[&str]) -> bool {
        let begun = self.at;
        let all = words.iter().all(|word| self.keyword().as_deref() == Some(*word));
        if !all {
            self.at = begun;
        }
        all
    }

    /// Passes over any of these words, however many come next.
    fn skip(&mut self, words: &[&str]) {
        while self.peek().is_some_and(|word| words.contains(&word.as_str())) {
            self.at += 1;
        }
    }

    fn symbol(&mut self, wanted: u8) -> bool {
        let is_it = matches!(self.tokens.get(self.at), Some(Token::Symbol(symbol)) if *symbol == wanted);
        self.at += usize::from(is_it);
        is_it
    }

    fn part(&mut self) -> Option<String> {
        let part = match self.tokens.get(self.at)? {
            // PostgreSQL folds what is not quoted (https://www.postgresql.org/docs/15/sql-syntax-lexical.html).
            Token::Word(word) if self.folds_names => word.to_lowercase(),
            Token::Word(name) | Token::Name(name) => name.clone(),
            Token::Symbol(_) => return None,
        };
        self.at += 1;
        Some(part)
    }

    fn name(&mut self) -> Option<Named> {
        let first = self.part()?;
        if self.symbol(b'.') {
            return Some(Named { schema: Some(first), name: self.part()? });
        }
        Some(Named { schema: None, name: first })
    }

    fn create(&mut self) -> Option<DdlEffect> {
        self.skip(&["or", "replace", "unique", "fulltext", "spatial", "unlogged", "materialized", "recursive"]);
        match self.keyword()?.as_str() {
            "table" => {
                self.eat(&["if", "not", "exists"]);
                Some(DdlEffect::Creates(SchemaObject::Table(self.name()?)))
            }
            "view" => {
                self.eat(&["if", "not", "exists"]);
                Some(DdlEffect::Creates(SchemaObject::View(self.name()?)))
            }
            "index" => {
                self.skip(&["concurrently"]);
                self.eat(&["if", "not", "exists"]);
                if self.peek().as_deref() == Some("on") {
                    // PostgreSQL finds a name by itself.
                    return None;
                }
                let index = self.name()?;
                self.skip(&["on", "only"]);
                Some(DdlEffect::Creates(SchemaObject::Index(index, self.name())))
            }
            _ => None,
        }
    }

    fn drop(&mut self) -> Option<DdlEffect> {
        self.skip(&["materialized"]);
        let thing = match self.keyword()?.as_str() {
            "table" => {
                self.eat(&["if", "exists"]);
                SchemaObject::Table(self.name()?)
            }
            "view" => {
                self.eat(&["if", "exists"]);
                SchemaObject::View(self.name()?)
            }
            "index" => {
                self.skip(&["concurrently"]);
                self.eat(&["if", "exists"]);
                let index = self.name()?;
                let table = if self.eat(&["on"]) { self.name() } else { None };
                SchemaObject::Index(index, table)
            }
            _ => return None,
        };
        // Of several, some may be gone and some not.
        if self.symbol(b',') { None } else { Some(DdlEffect::Drops(thing)) }
    }

    fn alter(&mut self) -> Option<DdlEffect> {
        if !self.eat(&["table"]) {
            return None;
        }
        self.eat(&["if", "exists"]);
        self.skip(&["only"]);
        let table = self.name()?;
        match self.keyword()?.as_str() {
            "add" => self.add(table),
            "drop" => {
                let is_column = self.eat(&["column"]);
                if !is_column && (self.eat(&["index"]) || self.eat(&["key"])) {
                    self.eat(&["if", "exists"]);
                    return Some(DdlEffect::Drops(SchemaObject::Index(self.name()?, Some(table))));
                }
                if !is_column && self.is_other_part() {
                    return None;
                }
                self.eat(&["if", "exists"]);
                Some(DdlEffect::Drops(SchemaObject::Column(table, self.part()?)))
            }
            "rename" => {
                if self.eat(&["to"]) || self.eat(&["as"]) {
                    let to = Named { schema: table.schema.clone(), name: self.name()?.name };
                    return Some(DdlEffect::Renames(SchemaObject::Table(table), SchemaObject::Table(to)));
                }
                if !self.eat(&["column"]) && self.is_other_part() {
                    return None;
                }
                let from = self.part()?;
                let to = self.eat(&["to"]).then(|| self.part())??;
                Some(DdlEffect::Renames(SchemaObject::Column(table.clone(), from), SchemaObject::Column(table, to)))
            }
            _ => None,
        }
    }

    fn add(&mut self, table: Named) -> Option<DdlEffect> {
        let is_column = self.eat(&["column"]);
        if !is_column {
            self.skip(&["fulltext", "spatial"]);
            if self.eat(&["unique", "index"])
                || self.eat(&["unique", "key"])
                || self.eat(&["index"])
                || self.eat(&["key"])
            {
                self.eat(&["if", "not", "exists"]);
                return Some(DdlEffect::Creates(SchemaObject::Index(self.name()?, Some(table))));
            }
            if self.is_other_part() {
                return None;
            }
        }
        self.eat(&["if", "not", "exists"]);
        Some(DdlEffect::Creates(SchemaObject::Column(table, self.part()?)))
    }

    /// Whether a part of a table that is no column comes next.
    fn is_other_part(&self) -> bool {
        let others = ["constraint", "primary", "foreign", "unique", "check", "index", "key", "partition", "period"];
        self.peek().is_none_or(|word| others.contains(&word.as_str()))
            && !matches!(self.tokens.get(self.at), Some(Token::Name(_)))
    }

    /// MySQL's `RENAME TABLE a TO b`.
    fn rename(&mut self) -> Option<DdlEffect> {
        if !self.eat(&["table"]) {
            return None;
        }
        let from = self.name()?;
        let to = self.eat(&["to"]).then(|| self.name())??;
        if self.symbol(b',') {
            None
        } else {
            Some(DdlEffect::Renames(SchemaObject::Table(from), SchemaObject::Table(to)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::tenant::Engine::{Mysql, Postgres, Sqlite};

    fn name(text: &str) -> Named {
        match text.split_once('.') {
            Some((schema, name)) => Named { schema: Some(schema.into()), name: name.into() },
            None => Named { schema: None, name: text.into() },
        }
    }

    #[test]
    fn plain_statements_say_what_they_make_and_take() {
        let index = |i: &str, t: Option<&str>| SchemaObject::Index(name(i), t.map(name));
        let column = |t: &str, c: &str| SchemaObject::Column(name(t), c.into());
        let table = |t: &str| SchemaObject::Table(name(t));
        let view = |t: &str| SchemaObject::View(name(t));
        for (engine, sql, expected) in [
            (Postgres, "-- x\nCREATE TABLE IF NOT EXISTS S.\"T t\" (i int)", DdlEffect::Creates(table("s.T t"))),
            (Mysql, "create table `a``b` (i int)", DdlEffect::Creates(table("a`b"))),
            (Sqlite, "CREATE TABLE [a] (i)", DdlEffect::Creates(table("a"))),
            (
                Postgres,
                "CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS Ix ON ONLY s.t (a)",
                DdlEffect::Creates(index("ix", Some("s.t"))),
            ),
            (Mysql, "ALTER TABLE t ADD INDEX ix (a)", DdlEffect::Creates(index("ix", Some("t")))),
            (Mysql, "ALTER TABLE t ADD UNIQUE KEY `Ix` (a)", DdlEffect::Creates(index("Ix", Some("t")))),
            (Mysql, "DROP INDEX ix ON t", DdlEffect::Drops(index("ix", Some("t")))),
            (Postgres, "DROP INDEX CONCURRENTLY IF EXISTS s.ix", DdlEffect::Drops(index("s.ix", None))),
            (Postgres, "CREATE OR REPLACE VIEW v AS SELECT 1", DdlEffect::Creates(view("v"))),
            (Postgres, "DROP MATERIALIZED VIEW v", DdlEffect::Drops(view("v"))),
            (Mysql, "ALTER TABLE t ADD c int", DdlEffect::Creates(column("t", "c"))),
            (Mysql, "ALTER TABLE t ADD COLUMN `key` int", DdlEffect::Creates(column("t", "key"))),
            (Mysql, "ALTER TABLE t ADD `key` int", DdlEffect::Creates(column("t", "key"))),
            (Postgres, "ALTER TABLE t DROP COLUMN IF EXISTS c", DdlEffect::Drops(column("t", "c"))),
            (Sqlite, "ALTER TABLE t RENAME COLUMN a TO b", DdlEffect::Renames(column("t", "a"), column("t", "b"))),
            (Sqlite, "ALTER TABLE t RENAME TO u", DdlEffect::Renames(table("t"), table("u"))),
            (Mysql, "RENAME TABLE t TO u", DdlEffect::Renames(table("t"), table("u"))),
        ] {
            assert_eq!(effect(engine, sql), Some(expected), "{sql}");
        }
    }

    #[test]
    fn what_is_not_plain_has_no_effect_that_could_be_named() {
        for (engine, sql) in [
            (Mysql, "UPDATE t SET a = 'DROP TABLE t'"),
            (Mysql, "DROP TABLE a, b"),
            (Mysql, "ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0)"),
            (Mysql, "ALTER TABLE t ADD PRIMARY KEY (a)"),
            (Mysql, "ALTER TABLE t DROP FOREIGN KEY f"),
            (Mysql, "ALTER TABLE t RENAME INDEX a TO b"),
            (Postgres, "CREATE INDEX ON t (a)"),
            (Postgres, "ALTER TABLE t ALTER COLUMN a SET NOT NULL"),
            (Mysql, "RENAME TABLE a TO b, c TO d"),
            (Postgres, ""),
        ] {
            assert_eq!(effect(engine, sql), None, "{sql}");
        }
    }
}
