//! The schema effect of a single DDL statement, inferred from its first keywords.
//!
//! It knows the plain forms only; for a statement that it can't parse, it reports no effect.

use super::lex::{self, Kind};
use super::words::Words;
use crate::model::tenant::Engine;

/// A name as a statement spells it, without its quotes; names that PostgreSQL folds are folded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Named {
    /// The schema or database that qualifies it.
    pub(crate) schema: Option<String>,
    /// The unqualified name.
    pub(crate) name: String,
}

/// The effect of a statement on the schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum DdlEffect {
    /// The object exists afterwards.
    Creates(SchemaObject),
    /// The object is gone afterwards.
    Drops(SchemaObject),
    /// The object has another name afterwards.
    Renames(SchemaObject, SchemaObject),
}

/// A schema object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SchemaObject {
    Table(Named),
    /// A view, materialized or not.
    View(Named),
    /// An index, and its table if the statement names it.
    Index(Named, Option<Named>),
    /// A column of a table.
    Column(Named, String),
}

/// The effect of a statement; of an `ALTER TABLE` with several actions, the first.
pub(crate) fn effect(engine: Engine, sql: &str) -> Option<DdlEffect> {
    let code = lex::tokens(engine, sql).filter(|token| !matches!(token.kind, Kind::Space | Kind::Comment));
    // A statement names its object within its first words; a long list of columns need not be read.
    let mut reader = Reader { words: Words::new(engine, sql, code.take(64)), at: 0 };
    match reader.keyword().as_str() {
        "create" => reader.create().map(DdlEffect::Creates),
        "drop" => reader.drop().map(DdlEffect::Drops),
        "alter" => reader.alter(),
        "rename" => reader.rename(),
        _ => None,
    }
}

/// The tables, views or sequences that a statement drops; `None` if it drops none.
pub(crate) fn dropped(engine: Engine, sql: &str) -> Option<Vec<Named>> {
    let mut reader = Reader { words: Words::of(engine, sql), at: 0 };
    let is_drop = reader.keyword() == "drop" && ["table", "tables", "view", "sequence"].contains(&&*reader.keyword());
    reader.eat(&["if", "exists"]);
    let mut names = vec![reader.name().filter(|_| is_drop)?];
    while reader.symbol(b',') {
        names.push(reader.name()?);
    }
    Some(names)
}

/// Reads the words of a statement in order.
struct Reader<'a> {
    words: Words<'a>,
    at: usize,
}

impl Reader<'_> {
    /// The next word; empty for anything else.
    fn keyword(&mut self) -> String {
        self.at += 1;
        self.words.word(self.at - 1)
    }

    /// Skips these words if all of them come next.
    fn eat(&mut self, words: &[&str]) -> bool {
        let are_next = self.words.are(self.at, words);
        self.at += if are_next { words.len() } else { 0 };
        are_next
    }

    /// Skips any of these words, however many come next.
    fn skip(&mut self, words: &[&str]) {
        while words.iter().any(|word| self.words.is(self.at, word)) {
            self.at += 1;
        }
    }

    fn symbol(&mut self, wanted: u8) -> bool {
        let is_next = self.words.is_symbol(self.at, wanted);
        self.at += usize::from(is_next);
        is_next
    }

    fn part(&mut self) -> Option<String> {
        let part = self.words.name(self.at)?;
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

    fn create(&mut self) -> Option<SchemaObject> {
        self.skip(&["or", "replace", "unique", "fulltext", "spatial", "unlogged", "materialized", "recursive"]);
        let kind = self.keyword();
        if kind == "index" {
            self.skip(&["concurrently"]);
        }
        self.eat(&["if", "not", "exists"]);
        match kind.as_str() {
            "table" => Some(SchemaObject::Table(self.name()?)),
            "view" => Some(SchemaObject::View(self.name()?)),
            // Without a name, PostgreSQL chooses one.
            "index" if !self.words.is(self.at, "on") => {
                let index = self.name()?;
                self.skip(&["on", "only"]);
                Some(SchemaObject::Index(index, self.name()))
            }
            _ => None,
        }
    }

    fn drop(&mut self) -> Option<SchemaObject> {
        self.skip(&["materialized"]);
        let kind = self.keyword();
        if kind == "index" {
            self.skip(&["concurrently"]);
        }
        self.eat(&["if", "exists"]);
        let object = match kind.as_str() {
            "table" => SchemaObject::Table(self.name()?),
            "view" => SchemaObject::View(self.name()?),
            "index" => {
                let index = self.name()?;
                let table = if self.eat(&["on"]) { self.name() } else { None };
                SchemaObject::Index(index, table)
            }
            _ => return None,
        };
        // Of several objects, some may be gone and some not.
        if self.symbol(b',') { None } else { Some(object) }
    }

    fn alter(&mut self) -> Option<DdlEffect> {
        if !self.eat(&["table"]) {
            return None;
        }
        self.eat(&["if", "exists"]);
        self.skip(&["only"]);
        let table = self.name()?;
        match self.keyword().as_str() {
            "add" => {
                let object = self.part_of(table, &["if", "not", "exists"])?;
                Some(DdlEffect::Creates(object))
            }
            "drop" => {
                let object = self.part_of(table, &["if", "exists"])?;
                Some(DdlEffect::Drops(object))
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

    /// The column or index of a table that is added or dropped, after `condition` if present.
    fn part_of(&mut self, table: Named, condition: &[&str]) -> Option<SchemaObject> {
        let is_column = self.eat(&["column"]);
        if !is_column {
            self.skip(&["fulltext", "spatial"]);
            let index: [&[&str]; 4] = [&["unique", "index"], &["unique", "key"], &["index"], &["key"]];
            if index.into_iter().any(|words| self.eat(words)) {
                self.eat(condition);
                return Some(SchemaObject::Index(self.name()?, Some(table)));
            }
            if self.is_other_part() {
                return None;
            }
        }
        self.eat(condition);
        Some(SchemaObject::Column(table, self.part()?))
    }

    /// Whether a table element other than a column comes next.
    fn is_other_part(&self) -> bool {
        let others = ["constraint", "primary", "foreign", "unique", "check", "index", "key", "partition", "period"];
        match self.words.kind(self.at) {
            Some(Kind::Word) => others.iter().any(|other| self.words.is(self.at, other)),
            _ => self.words.name(self.at).is_none(),
        }
    }

    /// MySQL's `RENAME TABLE a TO b`.
    fn rename(&mut self) -> Option<DdlEffect> {
        if !self.eat(&["table"]) {
            return None;
        }
        let from = self.name()?;
        let to = self.eat(&["to"]).then(|| self.name())??;
        let renames = DdlEffect::Renames(SchemaObject::Table(from), SchemaObject::Table(to));
        if self.symbol(b',') { None } else { Some(renames) }
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
