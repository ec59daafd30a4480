//! The schemas in which a statement makes, changes or drops objects or rows, as far as its text names them.
//!
//! It reads words and no grammar; a name that is put together at run time is not found.

use super::computes::computes;
use super::settings::bodies;
use super::split::split;
use super::words::{Words, first_words};
use crate::model::engine::Engine;

/// A place in a text that names a schema to write in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NamedSchema {
    pub(crate) schema: String,
    /// The words that say so, for a message.
    pub(crate) by: String,
}

/// The schemas that a text writes in by name, or makes the place of unqualified names.
pub(crate) fn written(engine: Engine, sql: &str) -> Vec<NamedSchema> {
    split(engine, sql).into_iter().flat_map(|piece| of_piece(engine, piece.text)).collect()
}

/// Things that a text may change without naming them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reach {
    /// Those that triggers, rules, views, keys and defaults change, of the tables whose rows it changes.
    Rows,
    /// Anything, by code.
    Code,
}

/// The things that a text may change without naming them: a view that it asks may run code, too.
pub(crate) fn reach(engine: Engine, sql: &str) -> Option<Reach> {
    if runs_code(engine, sql) || asks_relations(engine, sql) {
        Some(Reach::Code)
    } else {
        changes_rows(engine, sql).then_some(Reach::Rows)
    }
}

/// Whether a text asks a table or a view and changes no rows that are there.
fn asks_relations(engine: Engine, sql: &str) -> bool {
    split(engine, sql).into_iter().any(|piece| {
        let words = Words::of(engine, piece.text);
        let has = |all: &[&str]| (1..words.len()).any(|at| all.iter().any(|word| words.is(at, word)));
        match first_words(engine, piece.text).next().as_deref() {
            Some("table" | "refresh") => true,
            Some("select" | "declare") => has(&["from", "table"]),
            Some("explain") => has(&["analyze", "analyse"]),
            Some("with") => !has(&["insert", "update", "delete", "merge"]),
            Some("copy") => words.is_symbol(1, b'('),
            Some("create") => stored_query(&words).is_some(),
            _ => false,
        }
    })
}

/// Whether a text may write anywhere, whatever it names: it runs a block, a routine or a function other than the best known
/// ones, or drops or empties with `CASCADE`.
pub(crate) fn runs_code(engine: Engine, sql: &str) -> bool {
    split(engine, sql).into_iter().any(|piece| {
        let words = || Words::of(engine, piece.text);
        let has = |words: &Words<'_>, word: &str| (0..words.len()).any(|at| words.is(at, word));
        // A name that is written with escapes is read by the server alone.
        if piece.text.contains("U&\"") || piece.text.contains("u&\"") {
            return true;
        }
        match first_words(engine, piece.text).next().as_deref() {
            Some("do" | "call" | "execute" | "reassign") => true,
            // It reaches what nobody names.
            Some("drop" | "truncate") => ["cascade", "owned"].iter().any(|word| has(&words(), word)),
            // A name without a schema may be anybody's behind it.
            Some("set") => {
                ["schema", "search_path"].iter().any(|word| has(&words(), word)) || piece.text.contains("\"search_path")
            }
            Some("create") => creates_from_call(engine, &words()),
            Some("alter") => alters_by_call(engine, &words()),
            Some(word) => ASKS.contains(&word) && calls(engine, &words(), 0),
            None => false,
        }
    })
}

/// Whether a statement makes a table or a materialized view from a query that calls a function, or an index of what one says.
fn creates_from_call(engine: Engine, words: &Words<'_>) -> bool {
    if (1..3).any(|at| words.is(at, "index")) {
        return (1..words.len())
            .find(|&at| words.is_symbol(at, b'('))
            .is_some_and(|list| calls(engine, words, list + 1));
    }
    stored_query(words).is_some_and(|at| words.is(at + 1, "execute") || calls(engine, words, at))
}

/// The place of the query from which a statement makes a table or a materialized view.
fn stored_query(words: &Words<'_>) -> Option<usize> {
    let is_query = |at: usize| ["select", "with", "values", "table", "execute"].iter().any(|word| words.is(at, word));
    let is_stored = (1..5).any(|at| words.is(at, "table") || words.is(at, "materialized"));
    let begins =
        |at: &usize| words.is(*at, "as") && (is_query(at + 1) || words.is_symbol(at + 1, b'(') && is_query(at + 2));
    (1..words.len()).find(begins).filter(|_| is_stored)
}

/// Whether a statement alters something by what a function says for each row.
fn alters_by_call(engine: Engine, words: &Words<'_>) -> bool {
    let begins = |at: usize| ["default", "using", "check", "as"].iter().any(|word| words.is(at, word));
    (0..words.len()).any(|at| begins(at) && calls(engine, words, at + 1))
}

/// Whether a text changes rows.
fn changes_rows(engine: Engine, sql: &str) -> bool {
    split(engine, sql).into_iter().any(|piece| {
        let first = first_words(engine, piece.text).next();
        match first.as_deref() {
            Some("insert" | "update" | "delete" | "merge" | "with" | "copy" | "truncate") => true,
            // With ANALYZE it is run.
            Some("explain") => {
                let words = Words::of(engine, piece.text);
                let changes = ["insert", "update", "delete", "merge"];
                (1..words.len()).any(|at| changes.iter().any(|word| words.is(at, word)))
            }
            _ => false,
        }
    })
}

/// The first words of statements that evaluate expressions when they run.
const ASKS: [&str; 10] =
    ["select", "with", "values", "explain", "insert", "update", "delete", "merge", "copy", "declare"];

/// Whether a text calls a function other than those that only compute and `nextval`, from this word on: by its name and a parenthesis; behind `INTO`
/// and `REFERENCES` that is a table with its columns.
pub(super) fn calls(engine: Engine, words: &Words<'_>, from: usize) -> bool {
    let is_called = |at: usize| {
        let first = if words.is_qualified(at) { at - 2 } else { at };
        let names_table = words.is_after(first, "into") || words.is_after(first, "references");
        words.name(at).is_some_and(|name| name != "nextval" && !computes(engine, &name)) && !names_table
    };
    (from.max(1)..words.len()).any(|at| words.is_symbol(at, b'(') && is_called(at - 1))
}

fn of_piece(engine: Engine, piece: &str) -> Vec<NamedSchema> {
    match first_words(engine, piece).next().as_deref() {
        // In a block, `SELECT INTO` assigns to variables.
        Some("do") => bodies(engine, piece).flat_map(|body| anywhere(&Words::of(engine, body), "select")).collect(),
        Some("with" | "explain") => anywhere(&Words::of(engine, piece), ""),
        Some("select") if piece.to_ascii_lowercase().contains("setval") => anywhere(&Words::of(engine, piece), ""),
        Some("select") if piece.to_ascii_lowercase().contains("search_path") => {
            let mut texts = bodies(engine, piece).skip_while(|text| !text.eq_ignore_ascii_case("search_path"));
            path(texts.nth(1).unwrap_or_default(), "set_config('search_path', …)")
        }
        Some("set") => {
            let rest = piece.to_ascii_lowercase().find("search_path").map(|at| &piece[at + "search_path".len()..]);
            let rest = rest.unwrap_or_default().trim_start();
            let list =
                rest.strip_prefix('=').or_else(|| rest.get(2..).filter(|_| rest[..2].eq_ignore_ascii_case("to")));
            path(list.unwrap_or_default(), "SET search_path")
        }
        Some(_) => at(&Words::of(engine, piece), 0),
        None => Vec::new(),
    }
}

/// The schemas of a search path that are neither the user's own nor the server's.
fn path(list: &str, by: &str) -> Vec<NamedSchema> {
    let names = list.split(',').map(|name| name.trim().trim_matches(['\'', '"', ';']).to_owned());
    let is_other =
        |name: &String| !name.is_empty() && !name.starts_with("pg_") && !name.eq_ignore_ascii_case("default");
    names.filter(is_other).map(|schema| NamedSchema { schema, by: by.to_owned() }).collect()
}

/// All statements in a body, wherever they begin, except for those with this verb.
fn anywhere(words: &Words<'_>, except: &str) -> Vec<NamedSchema> {
    (0..words.len()).filter(|&place| !words.is(place, except)).flat_map(|place| at(words, place)).collect()
}

/// The schemas that the statement at this place names as those of its object.
fn at(words: &Words<'_>, place: usize) -> Vec<NamedSchema> {
    let verb = words.word(place);
    let mut reader = Reader { words, at: place + 1 };
    let objects = match verb.as_str() {
        "insert" | "merge" => reader.after(&["into", "only"]),
        "delete" => reader.after(&["from", "only"]),
        "update" if place == 0 || !["for", "do", "on"].iter().any(|word| words.is_after(place, word)) => {
            reader.after(&["only"])
        }
        "truncate" => reader.after(&["table", "only"]),
        "copy" => reader.after(&[]),
        "lock" => reader.after(&["table", "only"]),
        "reindex" => reader.after(&["table", "index", "concurrently"]),
        "select" => {
            let into = (place..words.len()).find(|&at| words.is(at, "into")).unwrap_or(words.len());
            Reader { words, at: into + 1 }.after(&["unlogged", "table"])
        }
        "refresh" => reader.after(&["materialized", "view", "concurrently"]),
        "create" | "alter" | "drop" => reader.definition(&verb),
        "grant" | "revoke" => reader.rights(),
        "comment" if words.is(place + 1, "on") => reader.comment(),
        "setval" if words.is_symbol(place + 1, b'(') => reader.sequence().into_iter().collect(),
        _ => Vec::new(),
    };
    let kind = words.word(place + 1).to_ascii_uppercase();
    let verb = verb.to_ascii_uppercase();
    let by = |(schema, name): (String, String)| NamedSchema { by: format!("{verb} {kind} {schema}.{name}"), schema };
    // Temporary objects are nobody's, and the server protects its own schemas itself.
    objects.into_iter().filter(|(schema, _)| !schema.starts_with("pg_")).map(by).collect()
}

struct Reader<'a, 'b> {
    words: &'a Words<'b>,
    at: usize,
}

impl Reader<'_, '_> {
    fn skip(&mut self, words: &[&str]) {
        while words.iter().any(|word| self.words.is(self.at, word)) {
            self.at += 1;
        }
    }

    /// The qualified names of a list behind these words.
    fn after(&mut self, words: &[&str]) -> Vec<(String, String)> {
        self.skip(words);
        let mut found = Vec::new();
        while let (Some(first), true) = (self.words.name(self.at), self.words.is_symbol(self.at + 1, b'.')) {
            let Some(second) = self.words.name(self.at + 2) else { break };
            found.push((first, second));
            self.at += 3;
            if !self.words.is_symbol(self.at, b',') {
                break;
            }
            self.at += 1;
            self.skip(&["only"]);
        }
        found
    }

    /// The schemas of a list of their names.
    fn schemas(&mut self) -> Vec<(String, String)> {
        let mut found = Vec::new();
        while let Some(name) = self.words.name(self.at) {
            found.push((name, "*".to_owned()));
            self.at += 2;
            if !self.words.is_symbol(self.at - 1, b',') {
                break;
            }
        }
        found
    }

    /// `GRANT` or `REVOKE` on objects; a role that is granted is nobody's object.
    fn rights(&mut self) -> Vec<(String, String)> {
        let ends = |at: &usize| ["on", "to", "from"].iter().any(|word| self.words.is(*at, word));
        self.at = (self.at..self.words.len()).find(ends).unwrap_or(self.words.len());
        if !self.words.is(self.at, "on") {
            return Vec::new();
        }
        self.at += 1;
        let in_schema = (self.at..self.at + 4).find(|&at| self.words.are(at, &["in", "schema"]));
        if self.words.is(self.at, "schema") || self.words.is(self.at, "all") && in_schema.is_some() {
            self.at = in_schema.map_or(self.at + 1, |at| at + 2);
            return self.schemas();
        }
        self.after(&["table", "sequence", "function", "procedure", "routine", "type", "domain"])
    }

    /// `COMMENT ON` an object.
    fn comment(&mut self) -> Vec<(String, String)> {
        self.at += 1;
        let kind = self.words.word(self.at);
        self.at += 1;
        match kind.as_str() {
            "schema" => self.schemas(),
            // With two names, the first is the table's.
            "column" if !self.words.is_symbol(self.at + 3, b'.') => Vec::new(),
            "trigger" | "constraint" | "rule" | "policy" => {
                self.at = (self.at..self.words.len()).find(|&at| self.words.is(at, "on")).map_or(self.at, |on| on + 1);
                self.after(&["domain"])
            }
            _ => self.after(&["view"]),
        }
    }

    /// The sequence in a text: `'public.s'`.
    fn sequence(&mut self) -> Option<(String, String)> {
        let name = self.words.written(self.at + 1)?;
        let (schema, name) = name.split_once('.')?;
        Some((schema.trim_matches('"').to_owned(), name.to_owned()))
    }

    /// `CREATE`, `ALTER` or `DROP` of an object that lives in a schema, or of a schema.
    fn definition(&mut self, verb: &str) -> Vec<(String, String)> {
        const BEFORE: [&str; 11] = [
            "or",
            "replace",
            "unique",
            "unlogged",
            "materialized",
            "recursive",
            "foreign",
            "constraint",
            "default",
            "global",
            "local",
        ];
        self.skip(&BEFORE);
        let kind = self.words.word(self.at);
        self.at += 1;
        let condition = ["concurrently", "if", "not", "exists", "only"];
        let mut found = match kind.as_str() {
            "schema" => {
                self.skip(&condition);
                let name = self.words.name(self.at).unwrap_or_default();
                // A schema that only its owner names is none of these.
                let is_named = !name.is_empty() && name != "authorization";
                return is_named.then(|| (name, "*".to_owned())).into_iter().collect();
            }
            "table" | "view" | "sequence" | "type" | "domain" | "function" | "procedure" | "aggregate" | "routine"
            | "statistics" | "collation" => self.after(&condition),
            "index" if verb != "create" => self.after(&condition),
            // The object is in the schema of its table.
            "index" | "trigger" | "rule" | "policy" => {
                // `CREATE RULE r AS ON INSERT TO t`.
                let before = if kind == "rule" && verb == "create" { "to" } else { "on" };
                let on = (self.at..self.words.len()).find(|&at| self.words.is(at, before));
                self.at = on.map_or(self.words.len(), |on| on + 1);
                self.after(&["only"])
            }
            _ => Vec::new(),
        };
        // `ALTER DEFAULT PRIVILEGES IN SCHEMA a, b GRANT …`.
        if kind == "privileges" {
            let at = (self.at..self.words.len()).find(|&at| self.words.are(at, &["in", "schema"]));
            return at.map(|at| Reader { words: self.words, at: at + 2 }.schemas()).unwrap_or_default();
        }
        // A table of another schema that this one becomes a part of, or that becomes a part of this one.
        if kind == "table" {
            const PARTS: [&[&str]; 5] =
                [&["inherits"], &["inherit"], &["partition", "of"], &["attach", "partition"], &["detach", "partition"]];
            for (at, part) in (self.at..self.words.len()).flat_map(|at| PARTS.map(|part| (at, part))) {
                if self.words.are(at, part) {
                    let at = at + part.len() + usize::from(self.words.is_symbol(at + part.len(), b'('));
                    found.extend(Reader { words: self.words, at }.after(&[]));
                }
            }
        }
        if verb == "alter" {
            let set = (self.at..self.words.len()).find(|&at| self.words.are(at, &["set", "schema"]));
            let moved = set.and_then(|at| self.words.name(at + 2));
            found.extend(moved.map(|schema| (schema, "*".to_owned())));
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::engine::Engine::Postgres;

    #[test]
    fn schemas_that_a_statement_writes_in_are_seen() {
        for sql in [
            "CREATE TABLE public.invoices (id bigint NOT NULL)",
            "CREATE UNLOGGED TABLE IF NOT EXISTS \"public\".t (i int)",
            "CREATE OR REPLACE FUNCTION public.f() RETURNS int LANGUAGE sql AS $$ SELECT 1 $$",
            "CREATE UNIQUE INDEX i ON ONLY Public.t (a)",
            "CREATE TRIGGER x BEFORE INSERT ON public.t FOR EACH ROW EXECUTE FUNCTION f()",
            "ALTER TABLE ONLY public.t ADD COLUMN c int",
            "ALTER TABLE t SET SCHEMA public",
            "DROP TABLE a.b, public.t",
            "INSERT INTO public.t VALUES (1)",
            "UPDATE public.t SET a = 1",
            "DELETE FROM ONLY public.t",
            "TRUNCATE public.t",
            "CREATE OR REPLACE RULE r AS ON INSERT TO public.t DO INSTEAD NOTHING",
            "DROP RULE r ON public.t",
            "LOCK TABLE public.t",
            "REINDEX TABLE CONCURRENTLY public.t",
            "WITH x AS (DELETE FROM public.t RETURNING *) SELECT * FROM x",
            "MERGE INTO ONLY public.t USING a ON true WHEN MATCHED THEN DELETE",
            "EXPLAIN ANALYZE DELETE FROM public.t",
            "DO $$ BEGIN CREATE TABLE public.t (i int); END $$",
            "SET search_path TO app, public",
            "SET LOCAL search_path = \"public\"",
            "SELECT pg_catalog.set_config('search_path', 'public', false)",
            "CREATE SCHEMA IF NOT EXISTS public",
            "ALTER DOMAIN public.d DROP NOT NULL",
            "SELECT * INTO public.copied FROM t",
            "GRANT SELECT, INSERT (a) ON TABLE public.t TO reader",
            "REVOKE ALL ON public.t FROM reader",
            "GRANT USAGE ON SCHEMA app, public TO reader",
            "GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader",
            "GRANT EXECUTE ON FUNCTION public.f(int) TO reader",
            "COMMENT ON TABLE public.t IS 'x'",
            "COMMENT ON COLUMN public.t.a IS 'x'",
            "COMMENT ON TRIGGER x ON public.t IS 'x'",
            "COMMENT ON MATERIALIZED VIEW public.v IS 'x'",
            "COMMENT ON SCHEMA public IS 'x'",
            "SELECT pg_catalog.setval('public.s', 3, true)",
            "DO $$ BEGIN PERFORM setval('public.s', 3); END $$",
            "CREATE TABLE t () INHERITS (public.t)",
            "CREATE TABLE p PARTITION OF public.t DEFAULT",
            "ALTER TABLE t INHERIT public.t",
            "ALTER TABLE t ATTACH PARTITION public.t DEFAULT",
            "ALTER DEFAULT PRIVILEGES FOR ROLE r IN SCHEMA public GRANT SELECT ON TABLES TO reader",
        ] {
            let found: Vec<String> = written(Postgres, sql).into_iter().map(|named| named.schema).collect();
            assert!(found.contains(&"public".to_owned()), "{sql}: {found:?}");
        }
        for sql in [
            "CREATE TABLE t (plan int REFERENCES public.plans (id))",
            "SELECT * FROM public.plans",
            "SELECT pg_catalog.set_config('search_path', '', false)",
            "CREATE TEMP TABLE t AS SELECT * FROM public.plans",
            "SELECT * FROM t FOR UPDATE",
            "INSERT INTO t SELECT * FROM public.plans ON CONFLICT (id) DO UPDATE SET a = excluded.a",
            "CREATE VIEW v AS SELECT p.id FROM public.plans p",
            "SET search_path TO DEFAULT",
            "CREATE EXTENSION citext WITH SCHEMA extensions",
            "DO $$ DECLARE r t; BEGIN SELECT 1 INTO r.a FROM t; END $$",
            "CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql AS $$ SELECT 1 $$",
            "GRANT SELECT ON t TO reader",
            "GRANT public TO reader",
            "GRANT CONNECT ON DATABASE public TO reader",
            "COMMENT ON COLUMN public.a IS 'x'",
            "COMMENT ON TABLE t IS 'public.t'",
            "SELECT setval('s', 3)",
            "CREATE TABLE t (LIKE public.t)",
        ] {
            assert_eq!(written(Postgres, sql), [], "{sql}");
        }
        let table = &written(Postgres, "CREATE TABLE public.t (i int)")[0];
        assert_eq!(table.by, "CREATE TABLE public.t");
    }

    #[test]
    fn a_statement_that_may_run_code_is_told_from_one_that_can_not() {
        for sql in [
            "DO $$ BEGIN END $$",
            "SELECT own()",
            "CREATE TABLE a AS SELECT own() AS x",
            "CREATE UNLOGGED TABLE a AS EXECUTE prepared",
            "CREATE MATERIALIZED VIEW a AS (SELECT b.own(1))",
            "ALTER TABLE a ADD COLUMN b int DEFAULT b.own()",
            "ALTER TABLE a ALTER COLUMN b TYPE text USING own(b)",
            "ALTER TABLE a ADD CHECK (own(b))",
            "DROP TABLE U&\"\\0070ublic\".t",
            "DROP TABLE a CASCADE",
            "DROP OWNED BY somebody",
            "REASSIGN OWNED BY a TO b",
            "SET SCHEMA 'b'",
            "SET LOCAL \"search_path\" TO b",
            "SELECT set_config('search' || '_path', 'b', true)",
            "SELECT setval(('b.s')::regclass, 77)",
            "COPY (SELECT own()) TO '/dev/null'",
            "DECLARE c CURSOR FOR SELECT own()",
            "CREATE UNIQUE INDEX i ON a (own(b)) WHERE b = 1",
        ] {
            assert!(runs_code(Postgres, sql), "{sql}");
        }
        for sql in [
            "CREATE TABLE a (id int GENERATED ALWAYS AS IDENTITY, b varchar(20) DEFAULT 'x', c numeric(12, 2), PRIMARY KEY (id))",
            "CREATE TABLE a AS SELECT count(*) FROM b",
            "CREATE VIEW a AS SELECT own()",
            "CREATE FUNCTION own() RETURNS int LANGUAGE sql AS 'SELECT other()'",
            "CREATE INDEX i ON a (b)",
            "CREATE INDEX CONCURRENTLY i ON a USING btree (lower(b), (c + 1)) INCLUDE (d)",
            "SET LOCAL statement_timeout = 0",
            "ALTER TABLE a ADD COLUMN b timestamptz DEFAULT now(), ADD FOREIGN KEY (c) REFERENCES d (id)",
            "ALTER TABLE a ALTER COLUMN b TYPE numeric(10, 2) USING b::numeric(10, 2)",
        ] {
            assert!(!runs_code(Postgres, sql), "{sql}");
        }
        for sql in [
            "SELECT a FROM v",
            "TABLE v",
            "WITH x AS (SELECT * FROM v) SELECT * FROM x",
            "CREATE TABLE a AS SELECT * FROM v",
            "REFRESH MATERIALIZED VIEW m",
        ] {
            assert_eq!(reach(Postgres, sql), Some(Reach::Code), "{sql}");
        }
        for sql in ["INSERT INTO a SELECT * FROM v", "WITH x AS (SELECT 1) DELETE FROM a", "COPY a FROM stdin"] {
            assert_eq!(reach(Postgres, sql), Some(Reach::Rows), "{sql}");
        }
        for sql in ["SELECT 1", "CREATE TABLE a (i int)", "CREATE VIEW v AS SELECT * FROM a", "EXPLAIN SELECT * FROM v"]
        {
            assert_eq!(reach(Postgres, sql), None, "{sql}");
        }
        assert!(
            changes_rows(Postgres, "EXPLAIN (ANALYZE) DELETE FROM a") && !changes_rows(Postgres, "EXPLAIN SELECT 1")
        );
    }
}
