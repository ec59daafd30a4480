//! Statements that a read-only session does not hold back: those that make it one that writes, and those that act on the server or
//! its files.
//!
//! The engine refuses what would write to the database. This is for what the engine lets pass.

use super::dialect::syntax;
use super::split::split;
use super::words::Words;
use crate::model::engine::Engine;

/// The first words of a statement that a read-only session does not hold back; `None`: there is none in this text.
pub(crate) fn escapes_read_only(engine: Engine, sql: &str) -> Option<String> {
    let found = split(engine, sql).into_iter().find(|piece| escapes(engine, piece.text))?;
    Some(Words::of(engine, found.text).all().into_iter().take(3).collect::<Vec<_>>().join(" ").to_uppercase())
}

fn escapes(engine: Engine, piece: &str) -> bool {
    let words = Words::of(engine, piece).all();
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
        ]),
        Some("begin" | "start") => has(&["write", "atomic", "replica", "slave", "group_replication"]),
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
            (Postgres, "SELECT 1; ROLLBACK; BEGIN READ WRITE", "BEGIN READ WRITE"),
            (Postgres, "COPY (SELECT 1) TO PROGRAM 'touch x'", "COPY SELECT TO"),
            (Postgres, "set default_transaction_read_only = off", "SET DEFAULT_TRANSACTION_READ_ONLY"),
            (Mysql, "SET SESSION transaction_read_only = 0; COMMIT", "SET SESSION TRANSACTION_READ_ONLY"),
            (Mysql, "BEGIN NOT ATOMIC COMMIT; END", "BEGIN NOT ATOMIC"),
            (Mysql, "START TRANSACTION READ WRITE", "START TRANSACTION READ"),
            (Mysql, "SELECT 1 INTO /* */ OUTFILE '/tmp/x'", "SELECT INTO OUTFILE"),
            (Mysql, "SHUTDOWN WAIT FOR ALL SLAVES", "SHUTDOWN WAIT FOR"),
            (Mysql, "SET GLOBAL x = 1", "SET GLOBAL X"),
            (Sqlite, "COMMIT; VACUUM INTO '/tmp/x'", "VACUUM INTO"),
            (Sqlite, "PRAGMA query_only = off", "PRAGMA QUERY_ONLY OFF"),
        ] {
            let found = escapes_read_only(engine, sql);
            assert!(found.as_ref().is_some_and(|found| found.starts_with(words)), "{engine} {sql}: {found:?}");
        }
        for (engine, sql) in [
            (Postgres, "SELECT 'commit; rollback' AS reset; COMMIT; BEGIN; DELETE FROM t"),
            (Postgres, "SET search_path = a; SHOW all; EXPLAIN SELECT 1"),
            (Mysql, "SET @a = 1; SELECT @a; SHOW TABLES; DELETE FROM t"),
            (Sqlite, "PRAGMA table_info(t)"),
        ] {
            assert_eq!(escapes_read_only(engine, sql), None, "{engine} {sql}");
        }
    }
}
