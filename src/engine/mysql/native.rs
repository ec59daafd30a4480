//! Native execution on MySQL and MariaDB, and the server's own count of the statements that it sent.

use std::collections::BTreeMap;
use std::sync::Arc;

use sea_orm::{ConnectionTrait, DatabaseConnection, DatabaseTransaction, Statement, TransactionTrait};

use crate::engine::native::{self, Given, Native};
use crate::engine::queries::TextRow;
use crate::engine::{ApplyError, errors};

/// The commands that a session has sent so far, by the server's names, with their numbers.
pub(crate) type Commands = BTreeMap<String, u64>;

/// The query for [`Commands`]; the server counts statements inside of routines and triggers too. Its pattern needs no
/// backslash, whose meaning depends on the `sql_mode`.
pub(crate) const COMMANDS: &str = "SHOW SESSION STATUS WHERE Variable_name LIKE 'Com%' AND Value > 0";

/// Commands that leave nothing in the database.
const READS: [&str; 30] = [
    "select",
    "stmt_prepare",
    "stmt_execute",
    "stmt_close",
    "stmt_fetch",
    "stmt_reset",
    "stmt_reprepare",
    "stmt_send_long_data",
    "set_option",
    "begin",
    "commit",
    "rollback",
    "savepoint",
    "release_savepoint",
    "rollback_to_savepoint",
    "change_db",
    "admin_commands",
    "checksum",
    "explain_other",
    // The statements that these run are counted by themselves.
    "call_procedure",
    "compound_sql",
    "do",
    "dealloc_sql",
    "execute_immediate",
    "execute_sql",
    "prepare_sql",
    "empty_query",
    "get_diagnostics",
    "resignal",
    "signal",
];

/// Commands that a rollback takes back.
const ROWS: [&str; 8] =
    ["insert", "insert_select", "update", "update_multi", "delete", "delete_multi", "replace", "replace_select"];

/// The answer of [`COMMANDS`].
pub(crate) fn commands(rows: &[TextRow]) -> Commands {
    let command = |row: &TextRow| {
        let name = row.must(0).to_ascii_lowercase().strip_prefix("com_")?.to_owned();
        Some((name, row.parse(1)?))
    };
    rows.iter().filter_map(command).collect()
}

/// Whether what was sent between the two counts left nothing: it only read, or a rollback took back all its rows.
pub(crate) fn left_nothing(before: &Commands, after: &Commands, rolled_back: bool) -> bool {
    let sent: BTreeMap<&str, u64> = after
        .iter()
        .map(|(name, count)| (name.as_str(), count - before.get(name).copied().unwrap_or(0).min(*count)))
        .filter(|(_, count)| *count > 0)
        .collect();
    let is_read = |name: &str| READS.contains(&name) || name.starts_with("show_");
    let count = |name: &str| sent.get(name).copied().unwrap_or(0);
    // Each of these would have committed the rows before it.
    let is_one_transaction = count("begin") <= 1 && count("commit") == 0 && count("set_option") == 0;
    // Without a count of fleet's own statements the server does not count.
    let is_counted = [before.get("select"), after.get("show_status")].into_iter().flatten().any(|count| *count > 0);
    let is_read_only = sent.keys().all(|name| is_read(name));
    is_counted
        && (is_read_only
            || rolled_back && is_one_transaction && sent.keys().all(|name| is_read(name) || ROWS.contains(name)))
}

impl Native<'_> {
    /// Runs native code in a transaction, as SeaORM does. Rows are rolled back when it fails; each DDL statement commits, and
    /// ends the transaction. Dying in it: the journal is open, so the tenant is in doubt.
    ///
    /// The second result: whether a rollback took back the rows of all tables.
    pub(in crate::engine) async fn mysql(&self, db: &DatabaseConnection) -> (Result<(), ApplyError>, bool) {
        let ours = |e| self.stop(errors::sea_orm_fault(&e));
        let transaction = match db.begin().await {
            Ok(transaction) => Arc::new(transaction),
            Err(error) => return (Err(ours(error)), false),
        };
        let migrated = self.migrate(Given::Transaction(transaction.clone())).await;
        let Some(transaction) = Arc::into_inner(transaction) else {
            return (Err(self.stop(native::lost_connection())), false);
        };
        match migrated {
            Ok(()) => (transaction.commit().await.map_err(ours), false),
            Err(stop) => {
                let is_whole = rolls_back(&transaction).await;
                // The transaction is over already: this one is for SeaORM's own count.
                let _ = transaction.rollback().await;
                (Err(stop), is_whole)
            }
        }
    }
}

/// Rolls back, and says whether that reached all tables: those without transactions keep their rows, with a warning (1196).
///
/// The server keeps the warnings of a statement until one that reads a table; it is sent first, so that those of the statement
/// that failed are not counted. MySQL takes no `SHOW WARNINGS` as a prepared statement, which all queries of SeaORM are.
async fn rolls_back(transaction: &DatabaseTransaction) -> bool {
    for sql in
        ["SELECT 1 FROM information_schema.engines LIMIT 1", "ROLLBACK", "SELECT @@warning_count INTO @fleet_warnings"]
    {
        if transaction.execute_unprepared(sql).await.is_err() {
            return false;
        }
    }
    let count = "SELECT CAST(@fleet_warnings AS char)";
    let row = transaction.query_one_raw(Statement::from_string(transaction.get_database_backend(), count)).await;
    row.is_ok_and(|row| row.is_some_and(|row| row.try_get_by_index::<String>(0).is_ok_and(|count| count == "0")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(sent: &[(&str, u64)]) -> Commands {
        sent.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
    }

    #[test]
    fn only_reads_or_rows_of_one_transaction_leave_nothing() {
        let before = counts(&[("select", 1), ("insert", 3), ("create_table", 2), ("begin", 1)]);
        assert!(!left_nothing(&counts(&[]), &counts(&[]), false), "a server that counts nothing says nothing");
        let after = |more: &[(&str, u64)]| {
            let mut all = before.clone();
            for (name, count) in more {
                *all.entry((*name).to_owned()).or_default() += count;
            }
            all
        };
        for (sent, rolled_back, wanted) in [
            (&[][..], false, true),
            (&[("select", 2), ("show_tables", 1), ("stmt_execute", 2)], false, true),
            (&[("insert", 1)], false, false),
            (&[("insert", 1), ("begin", 1), ("rollback", 2)], true, true),
            (&[("insert", 1), ("begin", 2), ("rollback", 2)], true, false),
            (&[("insert", 1), ("begin", 1), ("commit", 1)], true, false),
            (&[("insert", 1), ("begin", 1), ("set_option", 1)], true, false),
            (&[("insert", 1), ("begin", 1), ("alter_table", 1)], true, false),
            (&[("create_table", 1)], false, false),
        ] {
            assert_eq!(left_nothing(&before, &after(sent), rolled_back), wanted, "{sent:?} {rolled_back}");
        }
    }
}
