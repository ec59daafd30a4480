//! Uses of the session by a statement: settings, variables, temporary tables, and code that can't be seen into.
//!
//! It reads words only, and in doubt assumes the stronger use.

use super::dialect::syntax;
use super::lex::Kind;
use super::split::split;
use super::words::{Words, first_words};
use crate::model::engine::Engine;

/// A statement's use of its session, from none to the strongest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum SessionUse {
    /// It sets nothing that outlives it, and reads nothing that an earlier statement has set.
    None,
    /// It sets or reads variables, prepared statements, or settings that do not reach the writes to fleet's own tables.
    Settings,
    /// It sets something that may reach the writes to fleet's own tables (a role, a read-only transaction, a time limit, a
    /// temporary table),
    /// or reads the result of the statement before it, which such a write would replace.
    Whole,
    /// It runs code that the text does not show, which may do all of this, or open a transaction.
    Code,
}

/// First words of statements that leave the session as it is, unless their text has a variable or a function below.
const PLAIN: [&str; 25] = [
    "alter", "analyze", "check", "checksum", "comment", "create", "delete", "desc", "describe", "drop", "explain",
    "grant", "insert", "load", "optimize", "rename", "repair", "replace", "revoke", "select", "show", "table",
    "truncate", "update", "with",
];

/// Objects whose definition is kept and not run.
const KEPT: [&str; 6] = ["event", "function", "package", "procedure", "trigger", "view"];

/// Other objects of `CREATE`, `ALTER` and `DROP`.
const OTHER: [&str; 9] = ["database", "index", "role", "schema", "sequence", "server", "table", "temporary", "user"];

/// Settings that change nothing in a write to fleet's own tables, which is ASCII and has neither strings with a backslash
/// nor double quotes.
const HARMLESS: [&str; 31] = [
    "auto_increment_increment",
    "auto_increment_offset",
    "bulk_insert_buffer_size",
    "character_set_client",
    "character_set_connection",
    "character_set_database",
    "character_set_results",
    "check_constraint_checks",
    "collation_connection",
    "collation_database",
    "default_storage_engine",
    "default_week_format",
    "div_precision_increment",
    "explicit_defaults_for_timestamp",
    "foreign_key_checks",
    "group_concat_max_len",
    "innodb_strict_mode",
    "insert_id",
    "join_buffer_size",
    "last_insert_id",
    "lc_time_names",
    "max_heap_table_size",
    "sort_buffer_size",
    "sql_mode",
    "sql_notes",
    "sql_quote_show_create",
    "sql_warnings",
    "time_zone",
    "timestamp",
    "tmp_table_size",
    "unique_checks",
];

/// Functions and words that read the result of the statement before, or take a lock of the session.
const WHOLE: [&str; 9] = [
    "row_count",
    "found_rows",
    "sql_calc_found_rows",
    "diagnostics",
    "warnings",
    "errors",
    "get_lock",
    "release_lock",
    "release_all_locks",
];

/// The use that a text makes of its session.
pub(crate) fn session_use(engine: Engine, sql: &str) -> SessionUse {
    // Some server settings change the meaning of a backslash, and with it the ends of strings: either reading counts.
    let is_unclear = syntax(engine).lexis().is_backslash_unsure && sql.contains("\\'");
    let unclear = sql.split([';', '\n']).filter(|_| is_unclear).map(|piece| match first_words(engine, piece).next() {
        Some(word) if ["set", "use", "call"].contains(&word.as_str()) => SessionUse::Whole,
        _ => SessionUse::None,
    });
    split(engine, sql).iter().map(|piece| of_piece(engine, piece.text)).chain(unclear).max().unwrap_or(SessionUse::None)
}

fn of_piece(engine: Engine, piece: &str) -> SessionUse {
    let Some(first) = first_words(engine, piece).next() else {
        // A parenthesis: a query.
        return of_words(engine, piece);
    };
    match first.as_str() {
        "set" => of_set(engine, piece),
        // For some servers it is a comment, which can't stand before the `;` of a message.
        _ if is_for_some_servers(piece) => SessionUse::Code,
        "use" | "prepare" | "deallocate" | "handler" => SessionUse::Settings,
        "unlock" => SessionUse::None,
        "flush" => SessionUse::Whole,
        "create" | "alter" | "drop" => {
            let words = first_words_and_quotes(engine, piece);
            match words.iter().find(|word| KEPT.contains(&word.as_str()) || OTHER.contains(&word.as_str())) {
                Some(kind) if KEPT.contains(&kind.as_str()) => SessionUse::None,
                // A table of the session may have the name of one of fleet's own, and hides it.
                Some(kind) if kind == "temporary" => of_words(engine, piece).max(SessionUse::Whole),
                Some(_) => of_words(engine, piece),
                // `DROP PREPARE`, and anything unknown.
                None => of_words(engine, piece).max(SessionUse::Settings),
            }
        }
        first if PLAIN.contains(&first) => of_words(engine, piece),
        _ => SessionUse::Code,
    }
}

/// Whether a piece is one conditional comment for servers of one product, or newer than the oldest that fleet knows.
fn is_for_some_servers(piece: &str) -> bool {
    const ALL: u32 = 50_700;
    let piece = piece.trim().trim_end_matches(';').trim_end();
    let is_one = piece.find("*/").is_some_and(|end| end + 2 == piece.len());
    let number = |rest: &str| rest.chars().take_while(char::is_ascii_digit).collect::<String>();
    let is_newer = piece.strip_prefix("/*!").is_some_and(|rest| number(rest).parse().unwrap_or(0) >= ALL);
    is_one && (is_newer || piece.starts_with("/*M!"))
}

/// The first words of a piece in lower case, names in quotes and symbols between them left out.
fn first_words_and_quotes(engine: Engine, piece: &str) -> Vec<String> {
    let words = Words::of(engine, piece);
    (0..words.len().min(16)).map(|at| words.word(at)).filter(|word| !word.is_empty()).collect()
}

/// The use by the variables and functions in a statement.
fn of_words(engine: Engine, piece: &str) -> SessionUse {
    let lower = piece.to_ascii_lowercase();
    let reads_last = ["last_insert_id", "@"].iter().any(|word| lower.contains(word));
    if !reads_last && !WHOLE.iter().any(|word| lower.contains(word)) {
        return SessionUse::None;
    }
    let words = Words::of(engine, piece);
    let uses = (0..words.len()).map(|at| match words.kind(at) {
        Some(Kind::Symbol(b'@')) => SessionUse::Settings,
        Some(Kind::Word) if words.is(at, "last_insert_id") => SessionUse::Settings,
        Some(Kind::Word) if WHOLE.iter().any(|word| words.is(at, word)) => SessionUse::Whole,
        _ => SessionUse::None,
    });
    uses.max().unwrap_or(SessionUse::None)
}

/// The use by a `SET`: its assignments outside parentheses.
fn of_set(engine: Engine, piece: &str) -> SessionUse {
    let words = Words::of(engine, piece);
    if ["role", "transaction", "password", "statement", "default"].iter().any(|word| words.is(1, word))
        || words.is(2, "transaction")
    {
        return SessionUse::Whole;
    }
    let mut depth = 0_usize;
    for at in 1..words.len() {
        match words.kind(at) {
            Some(Kind::Symbol(b'(')) => depth += 1,
            Some(Kind::Symbol(b')')) => depth = depth.saturating_sub(1),
            Some(Kind::Symbol(b'=')) if depth == 0 => {
                // `:=` is the other spelling.
                let name = if words.is_symbol(at - 1, b':') { at.saturating_sub(2) } else { at - 1 };
                let is_at = |back: usize| name.checked_sub(back).is_some_and(|at| words.is_symbol(at, b'@'));
                let is_own = is_at(1) && !is_at(2);
                if !is_own && !HARMLESS.contains(&words.word(name).as_str()) {
                    return SessionUse::Whole;
                }
            }
            _ => {}
        }
    }
    of_words(engine, piece).max(SessionUse::Settings)
}

#[cfg(test)]
mod tests {
    use super::SessionUse::{Code, None, Settings, Whole};
    use super::*;
    use crate::model::engine::Engine::Mysql;

    #[test]
    fn the_use_of_a_session_is_seen_in_the_text() {
        for (sql, wanted) in [
            ("CREATE TABLE a (i int)", None),
            ("INSERT INTO a VALUES ('x@example.org')", None),
            ("CREATE DEFINER=`root`@`%` TRIGGER t BEFORE INSERT ON a FOR EACH ROW SET @n = ROW_COUNT()", None),
            ("CREATE PROCEDURE p() BEGIN SET lock_wait_timeout = 0; END", None),
            ("/*!50001 CREATE VIEW v AS SELECT 1 */", None),
            ("/*!80000 INSERT INTO a VALUES (1) */;", Code),
            ("/*M! INSERT INTO a VALUES (1) */", Code),
            ("CREATE TABLE a (i int) /*!80000 ENGINE = InnoDB */", None),
            ("(SELECT 1) UNION (SELECT 2)", None),
            ("-- only a comment", None),
            ("SET @x = (SELECT n FROM t WHERE lock_wait_timeout = 1)", Settings),
            ("SELECT n INTO @x FROM t", Settings),
            ("(SELECT @x := 1)", Settings),
            ("INSERT INTO c VALUES (LAST_INSERT_ID())", Settings),
            ("/*!40014 SET @OLD=@@UNIQUE_CHECKS, UNIQUE_CHECKS=0 */", Settings),
            ("SET NAMES utf8mb4 COLLATE utf8mb4_bin", Settings),
            ("SET CHARACTER SET latin1", Settings),
            ("set @@session.sql_mode := ''", Settings),
            ("DROP PREPARE s", Settings),
            ("USE other", Settings),
            ("HANDLER t OPEN", Settings),
            ("INSERT INTO a VALUES (1); SET FOREIGN_KEY_CHECKS = 0", Settings),
            ("SET FOREIGN_KEY_CHECKS = 0, lock_wait_timeout = 100", Whole),
            ("SET @@lock_wait_timeout = 100", Whole),
            ("SET SQL_LOG_BIN = 0", Whole),
            ("CREATE OR REPLACE TEMPORARY TABLE a (i int)", Whole),
            ("SET ROLE app", Whole),
            ("SET TRANSACTION READ ONLY", Whole),
            ("SET SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE", Whole),
            ("SET STATEMENT max_statement_time = 1 FOR DELETE FROM a", Whole),
            ("INSERT INTO a SELECT ROW_COUNT()", Whole),
            ("SELECT GET_LOCK('x', 1)", Whole),
            ("FLUSH TABLES WITH READ LOCK", Whole),
            ("CALL p()", Code),
            ("/* x */ execute s", Code),
            ("BEGIN NOT ATOMIC SET @x = 1; END", Code),
            ("DO f()", Code),
            ("XA START 'x'", Code),
        ] {
            assert_eq!(session_use(Mysql, sql), wanted, "{sql}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_survived(text in "\\PC{0,80}") {
            let _ = session_use(Mysql, &text);
        }
    }
}
