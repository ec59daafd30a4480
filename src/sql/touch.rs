//! The tables, views and routines that a text makes, drops, alters or renames, and all names that it mentions.
//!
//! It looks for verb, kind and name anywhere in the text, also in bodies and in texts that are executed, and prefers a
//! name too many to one too few. It runs nothing, and knows no grammar.

use std::collections::HashSet;

use super::lex::Kind;
use super::signature::dropped_signature;
use super::split;
use super::words::{code, first_words, unquoted};
use crate::model::tenant::Engine;

/// A named object that a text drops, alters, renames or creates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Touch {
    /// The name in lower case, without its schema and its quotes.
    pub(crate) name: String,
    pub(crate) how: How,
}

/// The way in which an object is touched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    /// `DROP`, which fails when it is not there.
    Drops,
    /// `DROP ... IF EXISTS`.
    DropsIfThere,
    /// `CREATE`, and the new name of a renamed object.
    Makes,
    /// `ALTER`, and the old name of a renamed object.
    Alters,
    /// An `ALTER TABLE` that takes nothing away and changes no type or name: only who reads all columns sees it.
    Widens,
}

/// An object that a text creates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Made {
    pub(crate) kind: MadeKind,
    /// The name in lower case, without its schema and its quotes.
    pub(crate) name: String,
    /// The name as written.
    written: String,
    /// The table of a trigger, as written.
    table: Option<String>,
    /// The types of its arguments, where several routines have one name.
    arguments: Option<String>,
    /// Whether `OR REPLACE` takes the place of an older one.
    pub(crate) replaces: bool,
}

/// The kind of a created object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::EnumString, strum::IntoStaticStr)]
#[strum(serialize_all = "lowercase")]
pub(crate) enum MadeKind {
    #[strum(serialize = "materialized view")]
    Materialized,
    View,
    Trigger,
    Function,
    Procedure,
    Event,
    /// Anything else, a table above all: it may hold data, so that nobody but its script drops it.
    Table,
}

impl How {
    pub(crate) fn is_drop(self) -> bool {
        matches!(self, How::Drops | How::DropsIfThere)
    }
}

impl MadeKind {
    pub(crate) fn is_routine(self) -> bool {
        matches!(self, MadeKind::Function | MadeKind::Procedure)
    }

    /// Whether it holds nothing and stops changes of the tables that it needs.
    pub(crate) fn is_view_or_trigger(self) -> bool {
        matches!(self, MadeKind::View | MadeKind::Materialized | MadeKind::Trigger)
    }
}

impl Made {
    /// The statement that drops it if it is there; `None` for an object that may hold data. A routine of which the script makes
    /// several is named with its arguments; another one without them, as it may have had others before.
    pub(crate) fn drop(&self, all: &[Made]) -> Option<String> {
        if self.kind == MadeKind::Table {
            return None;
        }
        let kind = <&str>::from(self.kind).to_uppercase();
        let on = self.table.as_ref().map(|table| format!(" ON {table}")).unwrap_or_default();
        let is_overloaded = all.iter().any(|made| made.name == self.name && made.arguments != self.arguments);
        let arguments = self
            .arguments
            .as_ref()
            .filter(|_| is_overloaded)
            .map(|arguments| format!("({arguments})"))
            .unwrap_or_default();
        Some(format!("DROP {kind} IF EXISTS {}{arguments}{on}", self.written))
    }
}

/// The objects that a text touches, in order.
pub(crate) fn touched(engine: Engine, sql: &str) -> Vec<Touch> {
    found(engine, sql).into_iter().flat_map(Found::touches).collect()
}

/// The objects that a text creates, in order.
pub(crate) fn made(engine: Engine, sql: &str) -> Vec<Made> {
    let lexis = super::dialect::syntax(engine).lexis();
    let made = |found: Found| {
        let Found { verb: Verb::Create, kind, names, on, arguments, is_replacing, .. } = found else { return None };
        let name = names.into_iter().next()?;
        let table = on.filter(|_| lexis.triggers_belong_to_tables && kind == MadeKind::Trigger);
        let arguments = arguments.filter(|_| lexis.overloads_routines && kind.is_routine());
        Some(Made { kind, name: name.name, written: name.written, table, arguments, replaces: is_replacing })
    };
    found(engine, sql).into_iter().filter_map(made).collect()
}

/// Adds all names and words that a text mentions, in lower case, also those in its bodies and strings.
pub(crate) fn mentions(engine: Engine, sql: &str, all: &mut HashSet<String>) {
    add_words(engine, sql, 0, all);
}

/// Adds the names and words of a text outside of its strings, in lower case: those that the engine itself reads when the text
/// makes a routine.
pub(crate) fn mentions_outside_texts(engine: Engine, sql: &str, all: &mut HashSet<String>) {
    add_words(engine, sql, DEEPEST, all);
}

fn add_words(engine: Engine, sql: &str, depth: u8, all: &mut HashSet<String>) {
    let mut flat = Vec::new();
    flatten(engine, sql, depth, &mut flat);
    all.extend(flat.into_iter().filter_map(|part| match part {
        Part::Word(text) => Some(text.to_lowercase()),
        Part::Name { name, .. } => Some(name.to_lowercase()),
        Part::Symbol(_) => None,
    }));
}

/// Whether a text reads all columns of something: `*` behind `SELECT`, a dot or a comma.
pub(crate) fn reads_all_columns(engine: Engine, sql: &str) -> bool {
    let mut flat = Vec::new();
    flatten(engine, sql, 0, &mut flat);
    let leads = |part: &Part| match part {
        Part::Word(word) => ["select", "distinct", "all"].iter().any(|lead| word.eq_ignore_ascii_case(lead)),
        Part::Symbol(symbol) => matches!(symbol, b'.' | b','),
        Part::Name { .. } => false,
    };
    flat.windows(2).any(|pair| pair[1] == Part::Symbol(b'*') && leads(&pair[0]))
}

/// A token without comments, white space and the quotes of strings.
#[derive(Debug, PartialEq)]
enum Part {
    Word(String),
    /// A quoted name.
    Name {
        name: String,
        written: String,
    },
    Symbol(u8),
}

/// Bodies in bodies in bodies: deeper ones are left out.
const DEEPEST: u8 = 4;

fn flatten(engine: Engine, sql: &str, depth: u8, out: &mut Vec<Part>) {
    for token in code(engine, sql) {
        let text = &sql[token.start..token.end];
        match (token.kind, unquoted(text)) {
            (Kind::Word, _) => out.push(Part::Word(text.to_owned())),
            (Kind::Quote, Some(name)) => out.push(Part::Name { name, written: text.to_owned() }),
            // The text of a string is read as SQL, as a body or an EXECUTE does.
            (Kind::Quote, None) if depth < DEEPEST => {
                out.push(Part::Symbol(b'\''));
                flatten(engine, inner(text), depth + 1, out);
                out.push(Part::Symbol(b'\''));
            }
            (Kind::Symbol(symbol), _) => out.push(Part::Symbol(symbol)),
            _ => out.push(Part::Symbol(b'0')),
        }
    }
}

/// A string without its delimiters.
fn inner(text: &str) -> &str {
    let tag = match text.starts_with('$') {
        true => text[1..].find('$').map_or(1, |end| end + 2),
        false => 1,
    };
    text.get(tag..text.len().saturating_sub(tag)).unwrap_or_default()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::EnumString)]
#[strum(serialize_all = "lowercase")]
enum Verb {
    Create,
    Drop,
    Alter,
    Rename,
}

struct Named {
    name: String,
    written: String,
}

struct Found {
    verb: Verb,
    kind: MadeKind,
    names: Vec<Named>,
    /// The new names of renamed objects.
    new: Vec<Named>,
    on: Option<String>,
    /// The types in parentheses behind the last name, as a `DROP` takes them.
    arguments: Option<String>,
    is_conditional: bool,
    is_replacing: bool,
    is_widening: bool,
}

impl Found {
    fn touches(self) -> Vec<Touch> {
        let how = match self.verb {
            Verb::Drop if self.is_conditional => How::DropsIfThere,
            Verb::Drop => How::Drops,
            // A new table is in nobody's way.
            Verb::Create if self.kind == MadeKind::Table && !self.is_replacing => return Vec::new(),
            Verb::Create => How::Makes,
            Verb::Alter if self.is_widening => How::Widens,
            Verb::Alter | Verb::Rename => How::Alters,
        };
        let old = self.names.into_iter().map(|n| Touch { name: n.name, how });
        old.chain(self.new.into_iter().map(|n| Touch { name: n.name, how: How::Makes })).collect()
    }
}

/// All places of a text that name an object behind a verb.
fn found(engine: Engine, sql: &str) -> Vec<Found> {
    // Rows are data, however they read.
    const DATA: [&str; 8] = ["insert", "update", "delete", "replace", "merge", "comment", "copy", "pragma"];
    let mut all = Vec::new();
    for piece in split(engine, sql) {
        if first_words(engine, piece.text).next().is_some_and(|word| DATA.contains(&word.as_str())) {
            continue;
        }
        let mut parts = Vec::new();
        flatten(engine, piece.text, 0, &mut parts);
        let reader = Reader { parts: &parts };
        all.extend((0..parts.len()).filter_map(|at| reader.object(at)));
    }
    all
}

struct Reader<'a> {
    parts: &'a [Part],
}

impl Reader<'_> {
    fn word(&self, at: usize) -> &str {
        match self.parts.get(at) {
            Some(Part::Word(word)) => word,
            _ => "",
        }
    }

    fn is(&self, at: usize, word: &str) -> bool {
        self.word(at).eq_ignore_ascii_case(word)
    }

    fn is_symbol(&self, at: usize, symbol: u8) -> bool {
        self.parts.get(at) == Some(&Part::Symbol(symbol))
    }

    /// The object behind a verb at this place.
    fn object(&self, at: usize) -> Option<Found> {
        let verb: Verb = self.word(at).to_ascii_lowercase().parse().ok()?;
        let (kind, mut next) = match verb {
            Verb::Rename => return self.renamed(at),
            _ => self.kind(verb, at + 1)?,
        };
        let is_replacing = self.is(at + 1, "or") && self.is(at + 2, "replace");
        let mut is_conditional = false;
        while ["if", "not", "exists", "only", "concurrently"].iter().any(|word| self.is(next, word)) {
            is_conditional |= self.is(next, "exists");
            next += 1;
        }
        let (mut names, mut arguments) = (Vec::new(), None);
        while let Some((name, behind)) = self.name(next) {
            names.push(name);
            next = self.behind_arguments(behind);
            let is_list = kind.is_routine() && next > behind + 1;
            arguments = is_list.then(|| dropped_signature(&self.written(behind + 1..next - 1)));
            if verb != Verb::Drop || !self.is_symbol(next, b',') {
                break;
            }
            next += 1;
        }
        let on = (next..next + 40).find(|&i| self.is(i, "on")).filter(|_| kind == MadeKind::Trigger);
        let on = on.and_then(|on| self.name(on + 1)).map(|(table, _)| table.written);
        let is_widening = kind == MadeKind::Table && self.is(next, "add") && self.takes_nothing_away(next);
        Some(Found { verb, kind, names, new: Vec::new(), on, arguments, is_conditional, is_replacing, is_widening })
    }

    /// Tokens as they are written; numbers and texts are not told.
    fn written(&self, range: std::ops::Range<usize>) -> Vec<String> {
        let token = |part: &Part| match part {
            Part::Word(word) => word.clone(),
            Part::Name { written, .. } => written.clone(),
            Part::Symbol(symbol) => char::from(*symbol).to_string(),
        };
        self.parts[range].iter().map(token).collect()
    }

    /// The kind of object behind a verb, and the place behind it.
    fn kind(&self, verb: Verb, from: usize) -> Option<(MadeKind, usize)> {
        const OTHERS: [&str; 10] =
            ["type", "domain", "schema", "sequence", "aggregate", "rule", "policy", "tables", "package", "synonym"];
        const STOPS: [&str; 18] = [
            "index",
            "column",
            "key",
            "primary",
            "as",
            "on",
            "from",
            "select",
            "set",
            "user",
            "role",
            "database",
            "extension",
            "partition",
            "check",
            "server",
            "language",
            "add",
        ];
        for at in from..from + 20 {
            let word = self.word(at).to_ascii_lowercase();
            match word.as_str() {
                "materialized" if self.is(at + 1, "view") => return Some((MadeKind::Materialized, at + 2)),
                "materialized" => {}
                // CREATE CONSTRAINT TRIGGER is one, DROP CONSTRAINT is none.
                "constraint" if verb != Verb::Create => return None,
                word if OTHERS.contains(&word) => return Some((MadeKind::Table, at + 1)),
                word if STOPS.contains(&word) => return None,
                word => {
                    if let Ok(kind) = word.parse() {
                        return Some((kind, at + 1));
                    }
                    if matches!(self.parts.get(at), None | Some(Part::Symbol(b';' | b'(' | b','))) {
                        return None;
                    }
                }
            }
        }
        None
    }

    /// Whether no word from here to the end of the statement drops, renames or changes anything.
    fn takes_nothing_away(&self, from: usize) -> bool {
        const CHANGES: [&str; 12] = [
            "drop", "rename", "type", "change", "modify", "convert", "schema", "exchange", "attach", "detach", "alter",
            "inherit",
        ];
        let rest = (from..self.parts.len()).take_while(|&at| !self.is_symbol(at, b';') && !self.is_symbol(at, b'\''));
        rest.into_iter().all(|at| !CHANGES.iter().any(|word| self.is(at, word)))
    }

    /// `RENAME TABLE a TO b, c TO d`, and the `RENAME TO b` of an `ALTER`.
    fn renamed(&self, at: usize) -> Option<Found> {
        let (mut names, mut new) = (Vec::new(), Vec::new());
        if self.is(at + 1, "table") || self.is(at + 1, "tables") {
            let mut next = at + 2;
            while let Some((old, behind)) = self.name(next) {
                names.push(old);
                let to = (behind..behind + 6).find(|&i| self.is(i, "to"))?;
                let (name, behind) = self.name(to + 1)?;
                new.push(name);
                next = behind + 1;
                if !self.is_symbol(behind, b',') {
                    break;
                }
            }
        } else {
            let to = at + 1 + usize::from(self.is(at + 1, "to") || self.is(at + 1, "as"));
            let parts = ["column", "index", "key", "constraint", "attribute", "value"];
            let is_part = parts.iter().any(|word| self.is(to, word));
            new.extend(self.name(to).filter(|_| !is_part).map(|(name, _)| name));
        }
        let (kind, verb) = (MadeKind::Table, Verb::Rename);
        let (is_conditional, is_replacing, is_widening) = (false, false, false);
        Some(Found { verb, kind, names, new, on: None, arguments: None, is_conditional, is_replacing, is_widening })
    }

    /// The name at this place, and the place behind it.
    fn name(&self, at: usize) -> Option<(Named, usize)> {
        let part = |at: usize| match self.parts.get(at)? {
            Part::Word(word) => Some((word.clone(), word.clone())),
            Part::Name { name, written } => Some((name.clone(), written.clone())),
            Part::Symbol(_) => None,
        };
        let (mut name, mut written) = part(at)?;
        let mut next = at + 1;
        while self.is_symbol(next, b'.')
            && let Some((inner, as_written)) = part(next + 1)
        {
            name = inner;
            written = format!("{written}.{as_written}");
            next += 2;
        }
        Some((Named { name: name.to_lowercase(), written }, next))
    }

    /// The place behind arguments in brackets, if any come here.
    fn behind_arguments(&self, at: usize) -> usize {
        if !self.is_symbol(at, b'(') {
            return at;
        }
        let mut depth = 0_usize;
        for next in at..self.parts.len() {
            depth = match self.parts[next] {
                Part::Symbol(b'(') => depth + 1,
                Part::Symbol(b')') => depth.saturating_sub(1),
                _ => depth,
            };
            if depth == 0 {
                return next + 1;
            }
        }
        self.parts.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::tenant::Engine::{Mysql, Postgres, Sqlite};

    fn touches(engine: Engine, sql: &str) -> Vec<String> {
        touched(engine, sql).into_iter().map(|touch| format!("{:?} {}", touch.how, touch.name)).collect()
    }

    #[test]
    fn objects_behind_a_verb_are_found_wherever_they_stand() {
        for (engine, sql, expected) in [
            (Sqlite, "DROP TABLE IF EXISTS \"Bills\"", vec!["DropsIfThere bills"]),
            (Sqlite, "ALTER TABLE bills_new RENAME TO bills", vec!["Alters bills_new", "Makes bills"]),
            (Sqlite, "ALTER TABLE bills RENAME COLUMN a TO b", vec!["Alters bills"]),
            (Postgres, "alter table if exists only s.bills alter column amount type text", vec!["Alters bills"]),
            (Postgres, "DROP VIEW a, s.\"B\" CASCADE", vec!["Drops a", "Drops b"]),
            (Postgres, "DROP FUNCTION f(int, text), g", vec!["Drops f", "Drops g"]),
            (Postgres, "DROP MATERIALIZED VIEW CONCURRENTLY m", vec!["Drops m"]),
            (Postgres, "DO $$ BEGIN EXECUTE 'ALTER TABLE bills ADD x int'; END $$", vec!["Widens bills"]),
            (Postgres, "CREATE OR REPLACE VIEW v AS SELECT 1", vec!["Makes v"]),
            (Postgres, "ALTER TABLE t DROP CONSTRAINT c, DROP COLUMN d", vec!["Alters t"]),
            (Postgres, "ALTER TABLE ONLY t ADD COLUMN a int, ADD \"type\" text", vec!["Widens t"]),
            (Mysql, "ALTER TABLE t ADD a int, MODIFY b text", vec!["Alters t"]),
            (Sqlite, "ALTER TABLE t ADD a int; DROP VIEW v", vec!["Widens t", "Drops v"]),
            (Mysql, "RENAME TABLE a TO b, `c` TO d.e", vec!["Alters a", "Alters c", "Makes b", "Makes e"]),
            (Mysql, "CREATE DEFINER = `root`@`%` SQL SECURITY DEFINER VIEW v AS SELECT 1", vec!["Makes v"]),
            (Mysql, "SET @s = 'DROP TABLE bills'", vec!["Drops bills"]),
            (Mysql, "ALTER TABLE a ENGINE = InnoDB; DROP VIEW v", vec!["Alters a", "Drops v"]),
        ] {
            assert_eq!(touches(engine, sql), expected, "{sql}");
        }
        for sql in [
            "CREATE TABLE bills (i int)",
            "CREATE UNIQUE INDEX i ON bills (a)",
            "INSERT INTO notes VALUES ('drop table bills')",
            "DROP INDEX i",
            "ALTER INDEX i RENAME COLUMN x TO y",
            "-- DROP TABLE bills\nSELECT 1",
        ] {
            assert_eq!(touches(Postgres, sql), [""; 0], "{sql}");
        }
    }

    #[test]
    fn an_object_that_a_script_made_can_be_dropped_by_its_name() {
        let drops = |engine, sql| {
            let all = made(engine, sql);
            all.iter().filter_map(|made| made.drop(&all)).collect::<Vec<_>>().join("; ")
        };
        for (engine, sql, expected) in [
            (Sqlite, "CREATE VIEW IF NOT EXISTS \"Open bills\" AS SELECT 1", "DROP VIEW IF EXISTS \"Open bills\""),
            (Postgres, "create materialized view s.m as select 1", "DROP MATERIALIZED VIEW IF EXISTS s.m"),
            (Sqlite, "CREATE TRIGGER t AFTER INSERT ON a BEGIN SELECT 1; END", "DROP TRIGGER IF EXISTS t"),
            (
                Postgres,
                "CREATE TRIGGER t BEFORE UPDATE OF x ON s.a FOR EACH ROW EXECUTE FUNCTION f()",
                "DROP TRIGGER IF EXISTS t ON s.a",
            ),
            (Postgres, "CREATE TABLE IF NOT EXISTS t (i int)", ""),
            (Mysql, "CREATE PROCEDURE p(a int) SELECT 1", "DROP PROCEDURE IF EXISTS p"),
            (Postgres, "CREATE FUNCTION f(a int) RETURNS int RETURN 1", "DROP FUNCTION IF EXISTS f"),
            (
                Postgres,
                "CREATE FUNCTION f(a int, b varchar(20) = 'x, y') RETURNS int RETURN 1; CREATE FUNCTION s.f() RETURNS int RETURN 1",
                "DROP FUNCTION IF EXISTS f(int, varchar); DROP FUNCTION IF EXISTS s.f()",
            ),
        ] {
            assert_eq!(drops(engine, sql), expected, "{sql}");
        }
        assert!(made(Postgres, "CREATE OR REPLACE VIEW v AS SELECT 1")[0].replaces);
    }

    #[test]
    fn a_star_is_all_columns_or_a_product_or_a_count() {
        for (sql, is_all) in [
            ("CREATE VIEW v AS SELECT * FROM t", true),
            ("CREATE VIEW v AS SELECT a, t.* FROM t", true),
            ("CREATE FUNCTION f() RETURNS int AS $$ SELECT DISTINCT * FROM t $$", true),
            ("CREATE VIEW v AS SELECT count(*), a * b FROM t -- SELECT *", false),
        ] {
            assert_eq!(reads_all_columns(Postgres, sql), is_all, "{sql}");
        }
    }

    #[test]
    fn names_are_mentioned_also_in_bodies_and_not_in_comments() {
        let mut all = HashSet::new();
        mentions(
            Postgres,
            "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS $x$ SELECT n FROM \"Bills\" /* old */ $x$ -- gone",
            &mut all,
        );
        assert!(all.contains("bills") && all.contains("f") && !all.contains("old") && !all.contains("gone"), "{all:?}");
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_survived(text in "\\PC{0,80}") {
            for engine in Engine::ALL {
                let _ = touched(engine, &text);
                let _ = made(engine, &text);
                mentions(engine, &text, &mut HashSet::new());
            }
        }
    }
}
