//! The kind of a statement, from its first words: whether it ends transactions or changes the session, and the
//! directive of its leading comment.
//!
//! It knows words only; `split` finds the boundaries of statements.

use serde::Serialize;

use super::dialect::{ALL_COMMENTS, syntax};
use super::foreign_keys::mentions;
use super::left::calls_only_fixed;
use super::lex::{self, Kind};
use super::outside::calls;
use super::prepared::{of_set_statement, prepares_text};
use super::split::split;
use super::words::{Words, first_words};
use crate::model::tenant::Engine;

/// The directive of the comment before a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, strum::EnumString)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub(crate) enum Directive {
    /// `/* fleet: batch */`: the statement is repeated until it affects no row.
    Batch,
    /// `/* fleet: report */`: its rows are shown.
    Report,
}

/// The directive in the comments before a statement's first word; the first one, if there are several.
pub(crate) fn directive(sql: &str) -> Option<Directive> {
    // The engine does not matter.
    ALL_COMMENTS.into_iter().find_map(|engine| {
        let head = lex::tokens(engine, sql).take_while(|t| matches!(t.kind, Kind::Space | Kind::Comment));
        let mut comments = head.filter(|token| token.kind == Kind::Comment);
        comments.find_map(|token| fleet_comment(&sql[token.start..token.end])?.parse().ok())
    })
}

/// The directive in a comment: the words after `fleet:`.
pub(crate) fn fleet_comment(comment: &str) -> Option<&str> {
    Some(comment_text(comment).strip_prefix("fleet:")?.trim())
}

/// The rule and the reason of a suppression, in the words of a directive; none where it is another one, or lacks either.
pub(crate) fn allowed(words: &str) -> Option<(&str, &str)> {
    let (rule, reason) = words.strip_prefix("allow=")?.split_once(char::is_whitespace)?;
    let reason = reason.trim();
    (!rule.is_empty() && !reason.is_empty()).then_some((rule, reason))
}

/// A comment without its delimiters.
pub(crate) fn comment_text(comment: &str) -> &str {
    let block = comment.strip_prefix("/*").map(|rest| rest.strip_suffix("*/").unwrap_or(rest));
    let line = comment.strip_prefix("--").or_else(|| comment.strip_prefix('#'));
    block.or(line).unwrap_or(comment).trim()
}

/// Whether a text may hold more than one statement, or none.
pub(crate) fn is_multiple(engine: Engine, sql: &str) -> bool {
    split(engine, sql).len() != 1
}

/// Whether a statement in the text begins, commits or rolls back a transaction, or changes the autocommit mode.
pub(crate) fn controls_transactions(engine: Engine, sql: &str) -> bool {
    // Some server settings change the meaning of a backslash: either reading counts.
    let is_unclear = syntax(engine).lexis().is_backslash_unsure && sql.contains("\\'");
    let other_pieces = sql.split([';', '\n']).filter(|_| is_unclear);
    let pieces = split(engine, sql);
    pieces.iter().map(|piece| piece.text).chain(other_pieces).any(|piece| is_transaction_control(engine, piece))
}

/// [`controls_transactions`] for a text that is one statement.
pub(crate) fn is_transaction_control(engine: Engine, piece: &str) -> bool {
    const FIRST: [&str; 11] =
        ["abort", "begin", "commit", "end", "lock", "prepare", "release", "rollback", "savepoint", "set", "start"];
    let (mut words, lexis) = (first_words(engine, piece), syntax(engine).lexis());
    let may_be = |first: &String| FIRST.contains(&&**first) || lexis.transaction_word == Some(first);
    // Most statements are none, and few of their words are read.
    let Some(first) = words.next().filter(may_be) else { return false };
    let words: Vec<String> = std::iter::once(first).chain(words.take(2)).collect();
    let word = |i: usize| words.get(i).map(String::as_str);
    match word(0) {
        Some("abort" | "commit" | "rollback" | "savepoint" | "release") => true,
        first @ Some(_) if first == lexis.transaction_word => true,
        Some("end") => lexis.has_end && matches!(word(1), None | Some("transaction" | "work" | "and")),
        Some("start" | "prepare") => word(1) == Some("transaction"),
        // MySQL's table locks would block writes to the journal; PostgreSQL's LOCK TABLE belongs in a transaction.
        Some("lock") => word(1) == Some("tables") || (lexis.locks_for_session && word(1) == Some("table")),
        Some("set") => piece.to_ascii_lowercase().contains("autocommit"),
        Some("begin") => {
            matches!(
                word(1),
                None | Some(
                    "transaction"
                        | "work"
                        | "immediate"
                        | "exclusive"
                        | "deferred"
                        | "deferrable"
                        | "isolation"
                        | "read"
                )
            ) || (word(1) == Some("not") && word(2) == Some("deferrable"))
        }
        _ => false,
    }
}

/// Whether a text changes state that lives as long as the connection: resuming after it on another connection would use
/// different state (a user variable would be NULL, an unqualified name would mean another database's table).
pub(crate) fn changes_session(engine: Engine, sql: &str) -> bool {
    // Its settings end with it.
    let sql = of_set_statement(engine, sql).unwrap_or(sql);
    mentions_variable(sql)
        || split(engine, sql).into_iter().any(|piece| {
            let words: Vec<String> = first_words(engine, piece.text).take(4).collect();
            let first = words.first().map(String::as_str);
            matches!(first, Some("set" | "reset" | "use" | "prepare" | "pragma" | "attach" | "detach"))
                || piece.text.to_ascii_lowercase().contains("set_config")
                || (matches!(first, Some("create" | "explain")) && is_temporary(engine, piece.text))
                || selects_into_temporary(engine, piece.text)
        })
}

/// Whether a text may change where names without a schema lead in the statements behind it: a search path, a role, another database,
/// a temporary object that comes first.
pub(crate) fn moves_names(engine: Engine, sql: &str) -> bool {
    const WORDS: [&str; 9] =
        ["search_path", "schema", "role", "authorization", "set_config", "reset", "use", "temp", "attach"];
    changes_session(engine, sql) && mentions(sql, &WORDS)
}

/// Whether a query makes a temporary table of its rows.
fn selects_into_temporary(engine: Engine, piece: &str) -> bool {
    if !mentions(piece, &["temp"]) {
        return false;
    }
    let words = Words::of(engine, piece);
    let is_of_query = |&at: &usize| words.is(at, "into") && !words.is(at - 1, "insert") && !words.is(at - 1, "merge");
    (1..words.len()).filter(is_of_query).any(|at| {
        let after = at + 1 + usize::from(words.is(at + 1, "local") || words.is(at + 1, "global"));
        ["temp", "temporary", "pg_temp"].iter().any(|word| words.is(after, word))
    })
}

/// Whether a search path begins with the schema of temporary objects: tables that are made without a schema go with the session.
fn begins_temporary(sql: &str) -> bool {
    sql.to_ascii_lowercase().split("search_path").skip(1).any(|path| {
        let path = path.trim_start_matches(|c: char| c.is_whitespace() || "='\"".contains(c));
        path.strip_prefix("to ").unwrap_or(path).trim_start_matches([' ', '\'', '"']).starts_with("pg_temp")
    })
}

/// Whether a text may name a variable: the `@` directly behind a quoted name is that of an account, as in a definer.
fn mentions_variable(sql: &str) -> bool {
    sql.match_indices('@').any(|(at, _)| !sql[..at].ends_with(['`', '\'', '"']))
}

/// Whether a text sets something in its session and nothing else: no variable of the whole server, no password, and no
/// expression that could do more.
fn only_sets_session(engine: Engine, sql: &str) -> bool {
    split(engine, sql)
        .into_iter()
        .all(|piece| is_set_of_session(engine, piece.text) && calls_only_fixed(engine, piece.text))
}

/// Whether a statement is a `SET` of nothing wider than its session.
pub(super) fn is_set_of_session(engine: Engine, piece: &str) -> bool {
    // `SET STATEMENT … FOR` runs a statement.
    const WIDER: [&str; 6] = ["global", "persist", "persist_only", "password", "default", "statement"];
    let words: Vec<String> = first_words(engine, piece).take(2).collect();
    let text = piece.to_ascii_lowercase();
    words.first().is_some_and(|word| word == "set")
        && !WIDER.contains(&words.get(1).map_or("", String::as_str))
        && !["@@global", "@@persist"].iter().any(|word| text.contains(word))
}

/// Whether a text leaves nothing in the database, so that it can be sent again: it sets something in its session, or only asks, and
/// calls nothing that could do more.
pub(crate) fn leaves_nothing(engine: Engine, sql: &str) -> bool {
    only_sets_session(engine, sql)
        || split(engine, sql).into_iter().all(|piece| {
            let words = Words::of(engine, piece.text);
            // `SELECT … INTO` makes a table or a file, but for a variable.
            let keeps = |at: usize| words.is(at, "into") && !words.is_symbol(at + 1, b'@');
            match words.word(0).as_str() {
                "set" => is_set_of_session(engine, piece.text) && !calls(engine, &words, 1),
                "select" => !(1..words.len()).any(keeps) && !calls(engine, &words, 1),
                "prepare" => words.is(2, "from"),
                "deallocate" | "use" => true,
                "drop" => words.is(1, "prepare"),
                _ => false,
            }
        })
}

/// Whether a text only sets something in its session, and to the same in another session that begins alike: it can be set
/// again before a script goes on there.
pub(crate) fn can_be_set_again(engine: Engine, sql: &str) -> bool {
    const DIFFERS: [&str; 12] = [
        "current_",
        "localtime",
        "utc_",
        "timestamp",
        "_count",
        "insert_id",
        "identity",
        "rand_seed",
        "pseudo_",
        "gtid",
        "local",
        "transaction",
    ];
    let differs = |word: &String| DIFFERS.iter().any(|part| word.contains(part));
    let is_same = only_sets_session(engine, sql) && !Words::of(engine, sql).all().iter().any(differs);
    is_same && !begins_temporary(sql) || prepares_text(engine, sql)
}

/// Whether a `CREATE` makes something that goes with the session: by its word, or by the schema of its name.
fn is_temporary(engine: Engine, piece: &str) -> bool {
    const SCHEMAS: [&str; 2] = ["temp", "pg_temp"];
    let words = Words::beginning(engine, piece, 12);
    let is_schema = |at: usize| words.name(at).is_some_and(|name| SCHEMAS.contains(&name.to_lowercase().as_str()));
    (1..words.len())
        .any(|at| words.is(at, "temporary") || words.is(at, "temp") || (is_schema(at) && words.is_symbol(at + 1, b'.')))
}

/// Whether a text reads the session's last result: another session would give a different answer, or none.
pub(crate) fn reads_session(sql: &str) -> bool {
    let sql = sql.to_ascii_lowercase();
    let words = ["last_insert_id", "last_insert_rowid", "lastval", "currval", "row_count", "found_rows", "changes("];
    words.iter().any(|word| sql.contains(word))
}

/// Whether a statement that runs without a transaction may have taken partial effect when the engine refuses it. The
/// text does not say what a storage engine without transactions keeps.
pub(crate) fn may_leave_a_part(engine: Engine, sql: &str) -> bool {
    syntax(engine).may_leave_a_part(sql)
}

/// Whether a statement tells its errors in rows, and succeeds: it checks or mends tables.
pub(crate) fn tells_errors_in_rows(engine: Engine, sql: &str) -> bool {
    const MENDS: [&str; 4] = ["analyze", "check", "optimize", "repair"];
    if !syntax(engine).lexis().tells_errors_in_rows {
        return false;
    }
    let first = Words::beginning(engine, sql, 4);
    let is_table = |at: usize| first.is(at, "table") || first.is(at, "tables");
    if first.is(0, "alter") {
        let words = Words::of(engine, sql);
        return is_table(1) && (3..words.len()).any(|at| MENDS.iter().any(|mend| words.are(at, &[mend, "partition"])));
    }
    MENDS.iter().any(|mend| first.is(0, mend)) && (is_table(1) || is_table(2))
        || first.are(0, &["cache", "index"])
        || first.are(0, &["load", "index"])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::tenant::Engine::{Mysql, Postgres, Sqlite};

    #[test]
    fn what_lives_in_a_session_is_seen() {
        for (engine, sql) in [
            (Mysql, "CREATE OR REPLACE TEMPORARY TABLE t (i int)"),
            (Postgres, "create local temp table t (i int)"),
            (Sqlite, "CREATE TEMP TABLE t (i int)"),
            (Sqlite, "CREATE UNIQUE INDEX IF NOT EXISTS [Temp].i ON t (i)"),
            (Postgres, "CREATE TABLE IF NOT EXISTS pg_temp.t (i int)"),
            (Postgres, "SET search_path TO x"),
            (Postgres, "SELECT 1 AS id INTO TEMP t"),
            (Postgres, "WITH a AS (SELECT 1) SELECT * INTO LOCAL TEMPORARY TABLE t FROM a"),
            (Postgres, "EXPLAIN ANALYZE CREATE TEMP TABLE t AS SELECT 1"),
        ] {
            assert!(changes_session(engine, sql), "{sql}");
        }
        assert!(!changes_session(Postgres, "INSERT INTO temp SELECT 1"), "a table of that name");
        assert!(!changes_session(Mysql, "CREATE TABLE temporary_ones (i int)"));
        let trigger = "/*!50003 CREATE*/ /*!50017 DEFINER=`root`@`%`*/ /*!50003 TRIGGER t BEFORE INSERT ON a FOR EACH ROW SET NEW.i = 1 */";
        assert!(!changes_session(Mysql, trigger));
        assert!(changes_session(Mysql, "SELECT 'x', 7 INTO @a") && changes_session(Mysql, "SELECT 7 INTO@a"));
        assert!(reads_session("INSERT INTO child VALUES (LAST_INSERT_ID())") && reads_session("select currval('s')"));
        assert!(!reads_session("INSERT INTO child VALUES (1)"));
    }

    /// An object that is looked for behind such a text may be another one of that name.
    #[test]
    fn names_may_lead_elsewhere_behind_a_path_a_role_or_a_temporary_table() {
        for sql in
            ["SET search_path = other", "SET ROLE a", "SELECT set_config('search_path', 'x', false)", "RESET ALL"]
        {
            assert!(moves_names(Postgres, sql), "{sql}");
        }
        assert!(moves_names(Mysql, "USE other") && moves_names(Sqlite, "CREATE TEMP TABLE t (i)"));
        assert!(!moves_names(Mysql, "SET FOREIGN_KEY_CHECKS = 0") && !moves_names(Postgres, "CREATE SCHEMA other"));
    }

    #[test]
    fn a_path_that_begins_with_temporary_objects_is_not_set_again() {
        assert!(can_be_set_again(Postgres, "SET search_path = public, pg_temp"));
        for sql in
            ["SET search_path = pg_temp, public", "SET search_path TO 'pg_temp'", "set search_path to \"pg_temp\", a"]
        {
            assert!(!can_be_set_again(Postgres, sql), "{sql}");
        }
    }

    #[test]
    fn a_setting_of_the_session_alone_leaves_nothing() {
        for sql in [
            "SET NAMES utf8mb4",
            "set foreign_key_checks = 0; SET @x = 1",
            "SET SESSION sql_mode = ''",
            "-- x\nSET a = 1",
        ] {
            assert!(only_sets_session(Mysql, sql), "{sql}");
        }
        for sql in [
            "SET GLOBAL a = 1",
            "SET @@global.a = 1",
            "SET PASSWORD = 'x'",
            "SET @x = f()",
            "SET a = 1; DROP TABLE t",
            "SET STATEMENT max_statement_time = 1 FOR DROP TABLE t",
            "USE x",
        ] {
            assert!(!only_sets_session(Mysql, sql), "{sql}");
        }
        for sql in [
            "SET @x = (SELECT count(*) FROM a)",
            "SELECT 1 INTO @x",
            "PREPARE s FROM @x",
            "DEALLOCATE PREPARE s",
            "USE x",
        ] {
            assert!(leaves_nothing(Mysql, sql), "{sql}");
        }
        for sql in ["SET @x = f()", "SELECT f()", "SELECT 1 INTO OUTFILE 'x'", "SET GLOBAL a = 1", "EXECUTE s"] {
            assert!(!leaves_nothing(Mysql, sql), "{sql}");
        }
        assert!(
            !leaves_nothing(Postgres, "SELECT * INTO b FROM a") && !leaves_nothing(Postgres, "PREPARE TRANSACTION 'x'")
        );
        for (sql, wanted) in [
            ("SET @OLD = @@FOREIGN_KEY_CHECKS, FOREIGN_KEY_CHECKS = 0", true),
            ("SET NAMES utf8mb4; SET @x := 'a'", true),
            ("SET @now = CURRENT_TIMESTAMP", false),
            ("SET @id = @@last_insert_id", false),
            ("SET TRANSACTION ISOLATION LEVEL READ COMMITTED", false),
            ("SET @x = (SELECT 1)", false),
        ] {
            assert_eq!(can_be_set_again(Mysql, sql), wanted, "{sql}");
        }
    }

    #[test]
    fn a_statement_that_may_leave_a_part_is_seen() {
        for (engine, sql) in [
            (Mysql, "/* x */ CALL bump()"),
            (Mysql, "DROP TABLE acc, typo"),
            (Mysql, "RENAME USER a TO b, c TO d"),
            (Mysql, "CREATE OR REPLACE TABLE t (i int) SELECT 1 AS i"),
            (Mysql, "create or replace temporary table t (i int)"),
            (Mysql, "BEGIN NOT ATOMIC INSERT INTO t VALUES (1); UPDATE l SET v = 1; END"),
            (Mysql, "IF 1 THEN ALTER TABLE t ADD c int; END IF"),
            (Mysql, "FOR i IN 1..2 DO INSERT INTO t VALUES (i); END FOR"),
            (Mysql, "DROP DATABASE zdb"),
            (Mysql, "CREATE USER a, b"),
            (Mysql, "CREATE OR REPLACE USER a, b"),
            (Mysql, "GRANT a TO b, c"),
            (Postgres, "DO $$ BEGIN COMMIT; END $$"),
            (Postgres, "ALTER TABLE po DETACH PARTITION po1 CONCURRENTLY"),
        ] {
            assert!(may_leave_a_part(engine, sql), "{sql}");
        }
        for (engine, sql) in [
            (Mysql, "DROP TABLE acc"),
            (Mysql, "RENAME TABLE a TO b, c TO d"),
            (Mysql, "CREATE OR REPLACE VIEW v AS SELECT 1, 2"),
            (Mysql, "CREATE TABLE t (i int, j int)"),
            (Mysql, "BEGIN"),
            (Mysql, "INSERT INTO a VALUES (1, 2)"),
            (Postgres, "CREATE INDEX CONCURRENTLY i ON t (a, b)"),
            (Sqlite, "DROP TABLE a"),
        ] {
            assert!(!may_leave_a_part(engine, sql), "{sql}");
        }
    }

    #[test]
    fn statements_that_tell_their_errors_in_rows_are_seen() {
        for sql in [
            "OPTIMIZE TABLE a, b",
            "/* x */ analyze local table a",
            "CHECK TABLES a",
            "REPAIR NO_WRITE_TO_BINLOG TABLE a QUICK",
            "ALTER TABLE a CHECK PARTITION p",
            "LOAD INDEX INTO CACHE a",
        ] {
            assert!(tells_errors_in_rows(Mysql, sql), "{sql}");
            assert!(!tells_errors_in_rows(Postgres, sql), "{sql}");
        }
        for sql in ["ANALYZE SELECT 1", "ALTER TABLE a ADD CHECK (b > 0)", "LOAD DATA INFILE 'x' INTO TABLE a"] {
            assert!(!tells_errors_in_rows(Mysql, sql), "{sql}");
        }
    }

    #[test]
    fn transaction_control_is_seen_and_bodies_are_not_mistaken_for_it() {
        for (engine, sql) in [
            (Postgres, "BEGIN; create table t(i int); COMMIT"),
            (Mysql, "/* x */ start transaction"),
            (Mysql, "/*!40000 start transaction */"),
            (Sqlite, "begin immediate"),
            (Sqlite, "rollback"),
            (Postgres, "select 1; END"),
            (Sqlite, "end transaction"),
            (Postgres, "abort"),
            (Mysql, "lock tables t write"),
            (Mysql, "set session autocommit = 0"),
            (Mysql, "set @x = 1, autocommit = 0"),
            (Mysql, "lock table t write"),
            (Mysql, "insert into t values ('C:\\'); commit; select 'b'"),
            (Mysql, "x; # don't\ncommit"),
        ] {
            assert!(controls_transactions(engine, sql), "{engine} {sql}");
        }
        for (engine, sql) in [
            (Sqlite, "create trigger t after insert on a begin update b set c = 1; end"),
            (Mysql, "create trigger t after insert on a for each row begin update b set c = 1; end"),
            (Mysql, "begin not atomic select 1; commit; end"),
            (Postgres, "do $$ begin commit; end $$"),
            (Sqlite, "insert into t values ('; commit;')"),
            (Mysql, "select 1 # ; commit;"),
            (Postgres, "create table begin_again (i int)"),
            (Postgres, "lock table t in exclusive mode"),
        ] {
            assert!(!controls_transactions(engine, sql), "{engine} {sql}");
        }
    }

    #[test]
    fn a_directive_stands_before_the_first_word() {
        for sql in [
            "/* fleet: batch */ update t set a = 1",
            "-- why\n--fleet:batch\nupdate t set a = 1",
            "# fleet: batch\r\nupdate t",
            "/* fleet: batch */ -- fleet: report\nupdate t",
        ] {
            assert_eq!(directive(sql), Some(Directive::Batch), "{sql}");
        }
        assert_eq!(directive("-- fleet: report\nselect 1"), Some(Directive::Report));
        for sql in ["update t /* fleet: batch */ set a = 1", "-- fleet: batches\nx", "'-- fleet: batch'", ""] {
            assert_eq!(directive(sql), None, "{sql}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_survived(text in "\\PC{0,80}") {
            for engine in Engine::ALL {
                let _ = controls_transactions(engine, &text);
                let _ = changes_session(engine, &text);
            }
            let _ = directive(&text);
        }
    }
}
