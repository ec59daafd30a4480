//! Statements that change settings of the session they run in: fleet puts its own back behind them.
//!
//! It reads words and no more grammar than it needs; in doubt a statement counts as one that changes them.

use super::lex::{self, Kind};
use super::words::{Words, code, first_words};
use crate::model::engine::Engine;

/// The settings that are fleet's own while a script runs.
const OWN: [&str; 5] =
    ["lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout", "client_encoding", "application_name"];

/// The settings that the driver forces, and a script has as the database's own clients have them.
const FORCED: [&str; 2] = ["timezone", "datestyle"];

/// Whether a statement may have changed one of fleet's own settings: it names one, or runs code that may.
pub(crate) fn may_change_own(engine: Engine, sql: &str) -> bool {
    let names_own = || {
        let words = words(engine, sql);
        words.iter().any(|word| ["all", "names"].contains(&word.as_str()) || OWN.contains(&word.as_str()))
    };
    match first_words(engine, sql).next().as_deref() {
        Some("select" | "with" | "values" | "do" | "call" | "execute" | "explain") => true,
        Some("set" | "reset" | "discard") => names_own(),
        _ => {
            let sql = sql.to_ascii_lowercase();
            sql.contains("set_config") || sql.contains("pg_settings")
        }
    }
}

/// Whether a statement sets the search path back to the session's default.
pub(crate) fn restores_search_path(engine: Engine, sql: &str) -> bool {
    let first = first_words(engine, sql).next();
    if !matches!(first.as_deref(), Some("set" | "reset" | "discard")) {
        return false;
    }
    let words = words(engine, sql);
    let has = |word: &str| words.iter().any(|w| w == word);
    match first.as_deref() {
        Some("set") => has("search_path") && has("default"),
        _ => has("all") || has("search_path"),
    }
}

/// Whether a statement sets a setting that the driver forces back to the session's default, which is the driver's.
pub(crate) fn restores_forced(engine: Engine, sql: &str) -> bool {
    let first = first_words(engine, sql).next();
    if !matches!(first.as_deref(), Some("set" | "reset" | "discard")) {
        return false;
    }
    let words = words(engine, sql);
    let has = |word: &str| words.iter().any(|w| w == word);
    let names_one = FORCED.iter().any(|forced| has(forced)) || (has("time") && has("zone"));
    match first.as_deref() {
        Some("set") => names_one && (has("default") || has("local")),
        _ => has("all") || names_one,
    }
}

/// Whether a statement may forbid its session or transaction all writes.
pub(crate) fn may_forbid_writes(engine: Engine, sql: &str) -> bool {
    const MAY: [&str; 6] = ["set", "select", "with", "do", "call", "execute"];
    if !first_words(engine, sql).next().is_some_and(|first| MAY.contains(&first.as_str())) {
        return false;
    }
    let words = words(engine, sql);
    words.iter().any(|word| word.ends_with("transaction_read_only"))
        || words.windows(2).any(|pair| pair[0] == "read" && pair[1] == "only")
}

/// Whether a statement may release all locks that its session holds.
pub(crate) fn may_unlock(engine: Engine, sql: &str) -> bool {
    words(engine, sql).iter().any(|word| word == "pg_advisory_unlock_all")
}

/// Whether the body of a block or routine changes the lock timeout by itself: nothing from outside can come between
/// that and the next lock.
pub(crate) fn body_changes_lock_timeout(engine: Engine, body: &str) -> bool {
    let mut words = words(engine, body);
    let names = ["set_config", "pg_settings"];
    // A text in quotes is no statement unless it is executed.
    if !words.iter().any(|word| word == "execute" || names.contains(&word.as_str())) {
        let code = Words::of(engine, body);
        words = (0..code.len()).filter_map(|at| code.name(at)).map(|name| name.to_ascii_lowercase()).collect();
    }
    let is = |at: usize, wanted: &str| words.get(at).is_some_and(|word| word == wanted);
    (0..words.len()).any(|at| match words[at].as_str() {
        // `UPDATE t SET lock_timeout = 1` sets a column.
        "set" if words[at.saturating_sub(4)..at].iter().any(|word| word == "update") => false,
        "set" => {
            let scoped = is(at + 1, "local") || is(at + 1, "session");
            let name = at + 1 + usize::from(scoped);
            // `format('SET %I = 0', 'lock_timeout')`
            let is_filled_in =
                (is(name, "i") || is(name, "s")) && words[name..].iter().any(|word| word == "lock_timeout");
            is(name, "lock_timeout") || is_filled_in
        }
        "reset" => is(at + 1, "all") || is(at + 1, "lock_timeout"),
        "set_config" | "pg_settings" => words[at..].iter().any(|word| word == "lock_timeout"),
        _ => false,
    })
}

/// The words of a text in lower case, also those in quotes: a setting's name may be one, and so may the text of a
/// statement that is executed.
fn words(engine: Engine, sql: &str) -> Vec<String> {
    let named = code(engine, sql).filter(|token| matches!(token.kind, Kind::Word | Kind::Quote));
    let words = named.flat_map(|token| sql[token.start..token.end].split(|c: char| !(c.is_alphanumeric() || c == '_')));
    words.filter(|word| !word.is_empty()).map(str::to_ascii_lowercase).collect()
}

/// The texts in quotes of a statement, without their quotes: among them is the body of a block or routine.
pub(crate) fn bodies(engine: Engine, sql: &str) -> impl Iterator<Item = &str> {
    let quotes = lex::tokens(engine, sql).filter(|token| token.kind == Kind::Quote);
    quotes.map(|token| inner(&sql[token.start..token.end]))
}

/// A quoted text without its quotes.
fn inner(quote: &str) -> &str {
    let tag = quote.strip_prefix('$').and_then(|rest| rest.find('$')).map_or(1, |at| at + 2);
    quote.get(tag..quote.len().saturating_sub(tag)).unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::engine::Engine::Postgres;

    #[test]
    fn statements_that_may_change_own_settings_are_seen() {
        for sql in [
            "SET lock_timeout = 0",
            "/* x */ set local \"statement_timeout\" to '0'",
            "SET NAMES 'latin1'",
            "SELECT pg_catalog.set_config('lock_timeout', '0', false)",
            "RESET ALL",
            "discard all",
            "DO $$ BEGIN PERFORM f(); END $$",
            "UPDATE pg_settings SET setting = '0' WHERE name = 'lock_timeout'",
        ] {
            assert!(may_change_own(Postgres, sql), "{sql}");
        }
        for sql in ["SET search_path = x", "RESET ROLE", "CREATE TABLE t (i int)", "SET deadlock_timeout = 1"] {
            assert!(!may_change_own(Postgres, sql), "{sql}");
        }
    }

    #[test]
    fn a_default_of_the_session_is_seen() {
        for sql in ["RESET ALL", "RESET TimeZone", "SET TIME ZONE LOCAL", "set datestyle to default", "DISCARD ALL"] {
            assert!(restores_forced(Postgres, sql), "{sql}");
        }
        for sql in ["SET TIME ZONE 'Asia/Tokyo'", "RESET ROLE", "SET LOCAL timezone_abbreviations = x", "SELECT 1"] {
            assert!(!restores_forced(Postgres, sql), "{sql}");
        }
    }

    #[test]
    fn a_statement_that_forbids_writes_is_seen() {
        for sql in [
            "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ ONLY",
            "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
            "SET default_transaction_read_only = on",
            "SELECT set_config('transaction_read_only', 'on', true)",
            "DO $$ BEGIN SET LOCAL transaction_read_only = on; END $$",
        ] {
            assert!(may_forbid_writes(Postgres, sql), "{sql}");
        }
        for sql in ["SET search_path = x", "INSERT INTO t VALUES ('read only')", "SELECT read, only_x FROM t"] {
            assert!(!may_forbid_writes(Postgres, sql), "{sql}");
        }
    }

    #[test]
    fn a_body_that_changes_the_lock_timeout_is_seen() {
        for body in [
            "BEGIN SET LOCAL lock_timeout = 0; ALTER TABLE t ADD c int; END",
            "BEGIN EXECUTE 'SET lock_timeout = 0'; END",
            "BEGIN SET LOCAL \"lock_timeout\" TO 0; ALTER TABLE t ADD c int; END",
            "BEGIN EXECUTE format('SET LOCAL %I = %L', 'lock_timeout', 0); END",
            "BEGIN PERFORM set_config('lock_timeout', '500ms', true); END",
            "BEGIN RESET ALL; END",
        ] {
            assert!(body_changes_lock_timeout(Postgres, body), "{body}");
        }
        for body in [
            "BEGIN RAISE NOTICE '%', current_setting('lock_timeout'); END",
            "BEGIN SET LOCAL statement_timeout = 0; SET deadlock_timeout = 1; END",
            "-- SET lock_timeout = 0\nBEGIN END",
        ] {
            assert!(!body_changes_lock_timeout(Postgres, body), "{body}");
        }
        let sql = "DO $x$ BEGIN NULL; END $x$";
        assert_eq!(bodies(Postgres, sql).collect::<Vec<_>>(), [" BEGIN NULL; END "]);
    }
}
