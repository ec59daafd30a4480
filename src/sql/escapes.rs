//! Statements that a read-only session does not hold back: those that make it one that writes, and those that act on the server or
//! its files.
//!
//! The engine refuses what would write to the database. This is for what the engine lets pass.

use super::dialect::syntax;
use super::split::split;
use super::statement::is_transaction_control;
use super::words::Words;
use crate::model::engine::Engine;

/// The first words of a statement that a read-only session does not hold back; `None`: there is none in this text.
pub(crate) fn escapes_read_only(engine: Engine, sql: &str) -> Option<String> {
    let found = split(engine, sql).into_iter().find(|piece| escapes(engine, piece.text))?;
    Some(Words::of(engine, found.text).all().into_iter().take(3).collect::<Vec<_>>().join(" ").to_uppercase())
}

/// Behind the end of the transaction nothing but a setting would keep the session from writing, and a setting can be changed in
/// more ways than this reader knows. A label begins a compound statement, in which a transaction can be ended.
fn escapes(engine: Engine, piece: &str) -> bool {
    let read = Words::of(engine, piece);
    if is_transaction_control(engine, piece) || read.is_symbol(1, b':') {
        return true;
    }
    // A quoted name is the same setting.
    let words: Vec<String> = (0..read.len()).filter_map(|at| read.name(at)).map(|name| name.to_lowercase()).collect();
    let has = |wanted: &[&str]| words.iter().any(|word| wanted.contains(&word.as_str()));
    let into_file = words.windows(2).any(|pair| pair[0] == "into" && ["outfile", "dumpfile"].contains(&&*pair[1]));
    let by_first = match words.first().map(String::as_str) {
        Some("set") => has(&[
            "transaction",
            "characteristics",
            "global",
            "persist",
            "persist_only",
            "transaction_read_only",
            "tx_read_only",
            "default_transaction_read_only",
            "password",
            // `SET STATEMENT .. FOR`.
            "begin",
            "commit",
            "execute",
            "rollback",
        ]),
        Some("begin" | "start") => true,
        Some("copy") => true,
        Some("vacuum") => has(&["into"]),
        Some("pragma") => has(&["query_only"]),
        Some(first) => syntax(engine).lexis().server_words.contains(&first),
        None => false,
    };
    into_file || by_first
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::engine::Engine::{Mysql, Postgres, Sqlite};

    #[test]
    fn statements_that_end_the_transaction_or_reach_beyond_the_database_are_found() {
        for (engine, sql, words) in [
            (Postgres, "SET TRANSACTION READ WRITE; CREATE TABLE t (i int)", "SET TRANSACTION READ"),
            (Postgres, "SELECT 1; ROLLBACK; BEGIN READ WRITE", "ROLLBACK"),
            (
                Postgres,
                "SELECT set_config('default_transaction_read_only', 'off', false); COMMIT; DELETE FROM t",
                "COMMIT",
            ),
            (Postgres, "SELECT 1; END; SELECT 2", "END"),
            (Postgres, "ABORT; BEGIN; DELETE FROM t", "ABORT"),
            (Postgres, "SET \"transaction_read_only\" TO off", "SET TO"),
            (Postgres, "COPY (SELECT 1) TO PROGRAM 'touch x'", "COPY SELECT TO"),
            (Postgres, "set default_transaction_read_only = off", "SET DEFAULT_TRANSACTION_READ_ONLY"),
            (Mysql, "SET SESSION transaction_read_only = 0; COMMIT", "SET SESSION TRANSACTION_READ_ONLY"),
            (Mysql, "SET `tx_read_only` = 0", "SET"),
            (Mysql, "SET @@session.`transaction_read_only` = DEFAULT", "SET"),
            (Mysql, "SET autocommit = 1; DELETE FROM t", "SET AUTOCOMMIT"),
            (Mysql, "IF 1 THEN COMMIT; END IF", "IF"),
            (Mysql, "a: LOOP COMMIT; END LOOP", "A LOOP"),
            (Mysql, "SET STATEMENT max_statement_time = 1 FOR COMMIT", "SET STATEMENT"),
            (Mysql, "RESTART", "RESTART"),
            (Mysql, "XA START 'x'", "XA START"),
            (Mysql, "BEGIN NOT ATOMIC COMMIT; END", "BEGIN NOT ATOMIC"),
            (Mysql, "START TRANSACTION READ WRITE", "START TRANSACTION READ"),
            (Mysql, "SELECT 1 INTO /* */ OUTFILE '/tmp/x'", "SELECT INTO OUTFILE"),
            (Mysql, "SHUTDOWN WAIT FOR ALL SLAVES", "SHUTDOWN WAIT FOR"),
            (Mysql, "SET GLOBAL x = 1", "SET GLOBAL X"),
            (Sqlite, "SELECT 1; COMMIT; SELECT 2", "COMMIT"),
            (Sqlite, "VACUUM INTO '/tmp/x'", "VACUUM INTO"),
            (Sqlite, "PRAGMA query_only = off", "PRAGMA QUERY_ONLY OFF"),
        ] {
            let found = escapes_read_only(engine, sql);
            assert!(found.as_ref().is_some_and(|found| found.starts_with(words)), "{engine} {sql}: {found:?}");
        }
        for (engine, sql) in [
            (Postgres, "SELECT 'commit; rollback' AS reset; DELETE FROM t"),
            (Postgres, "SET search_path = a; SHOW all; EXPLAIN SELECT 1"),
            (Mysql, "SET @a = 1; SELECT @a; SHOW TABLES; DELETE FROM t"),
            (Sqlite, "PRAGMA table_info(t)"),
        ] {
            assert_eq!(escapes_read_only(engine, sql), None, "{engine} {sql}");
        }
    }
}
