//! Whether a statement that the server refused, and that might have been done in part, has done nothing: by what is there
//! still.
//!
//! It only reads. Without a proof the step stays in doubt.

use sqlx::{AssertSqlSafe, MySqlConnection};

use crate::engine::message::error_in;
use crate::engine::mysql::MysqlSession;
use crate::engine::mysql::native::{COMMANDS, commands, left_nothing};
use crate::engine::queries::Queries as _;
use crate::engine::{errors, literal};
use crate::model::engine::Engine;
use crate::model::fault::Fault;
use crate::sql::prepared::{Executed, called, executed, of_set_statement};
use crate::sql::{Named, dropped, first_words, may_leave_a_part, tells_errors_in_rows};

/// Runs a statement, and reads the rows in which it may tell an error.
pub(crate) async fn run(connection: &mut MySqlConnection, sql: &str) -> Result<(), Fault> {
    if !tells_errors_in_rows(Engine::Mysql, sql) {
        return connection.run(sql.to_owned()).await;
    }
    let rows = sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).fetch_all(connection).await;
    let error = rows.map(|rows| rows.iter().find_map(error_in)).unwrap_or_else(Some);
    error.map_or(Ok(()), |error| Err(errors::fault(&error)))
}

impl MysqlSession {
    /// Whether the last of these statements of a script, which was refused, certainly did nothing. Dying in it: the journal is open
    /// still.
    pub(crate) async fn did_nothing(&mut self, statements: &[String], fault: &Fault) -> bool {
        let sql = statements.last().map(String::as_str).unwrap_or_default();
        let executed = match executed(Engine::Mysql, statements) {
            Some(Executed::Text(text)) => Some(text),
            Some(Executed::Variable(name)) => self.variable(&name).await,
            None => None,
        };
        let sql = executed.as_deref().or(of_set_statement(Engine::Mysql, sql)).unwrap_or(sql);
        if !may_leave_a_part(Engine::Mysql, sql) {
            return true;
        }
        if let Some(names) = dropped(Engine::Mysql, sql)
            && self.are_there(&names).await
        {
            return true;
        }
        let is_missing = fault.code.as_deref() == Some("1305");
        if let Some(procedure) = called(Engine::Mysql, sql).filter(|_| is_missing)
            && self.lacks(procedure).await
        {
            return true;
        }
        self.only_asked().await
    }

    /// The text in a variable of the session.
    async fn variable(&mut self, name: &str) -> Option<String> {
        let rows = self.connection().ok()?.rows(format!("SELECT CAST(@{name} AS CHAR)")).await.ok()?;
        rows.first().and_then(|row| row.text(0))
    }

    /// Whether there is no such procedure, and no package that could have it.
    async fn lacks(&mut self, (schema, name): (Option<String>, String)) -> bool {
        let quoted = |name: &str| literal(Engine::Mysql, name);
        let package = schema.as_deref().map_or("NULL".to_owned(), quoted);
        let sql = format!(
            "SELECT NOT EXISTS (SELECT 1 FROM information_schema.routines WHERE routine_type = 'PROCEDURE' AND routine_schema = \
             {} AND routine_name = {} OR routine_type LIKE 'PACKAGE%' AND routine_name = {package})",
            schema.as_deref().map_or("DATABASE()".to_owned(), quoted),
            quoted(&name)
        );
        let Ok(connection) = self.connection() else { return false };
        connection.rows(sql).await.is_ok_and(|rows| rows.first().is_some_and(|row| row.is_true(0)))
    }

    /// Counts what the session has sent so far, before a statement that runs code, unless that may read the result of the statement
    /// before it, which the count would replace.
    pub(crate) async fn count_before(&mut self, before: Option<&str>, sql: &str) {
        const RESULTS: [&str; 9] =
            ["select", "insert", "update", "delete", "replace", "with", "load", "table", "values"];
        let has_result =
            |sql: &str| first_words(Engine::Mysql, sql).next().is_none_or(|first| RESULTS.contains(&first.as_str()));
        self.counted = None;
        if may_leave_a_part(Engine::Mysql, sql)
            && !before.is_some_and(has_result)
            && let Ok(connection) = self.connection()
        {
            self.counted = connection.rows(COMMANDS.to_owned()).await.ok().map(|rows| commands(&rows));
        }
    }

    /// Whether the server has counted nothing since but what only asks.
    async fn only_asked(&mut self) -> bool {
        let (Some(before), Ok(connection)) = (self.counted.take(), self.connection()) else { return false };
        let after = connection.rows(COMMANDS.to_owned()).await.map(|rows| commands(&rows));
        after.is_ok_and(|after| left_nothing(&before, &after, false))
    }

    /// Whether all of these tables, views or sequences exist.
    async fn are_there(&mut self, names: &[Named]) -> bool {
        let quoted = |name: &str| literal(Engine::Mysql, name);
        let is_there = |name: &Named| {
            let (table, schema) = (quoted(&name.name), name.schema.as_deref().map_or("DATABASE()".to_owned(), quoted));
            format!(
                "EXISTS (SELECT 1 FROM information_schema.tables WHERE table_schema = {schema} AND (table_name = BINARY {table} \
                 OR (@@lower_case_table_names > 0 AND table_name = {table})))"
            )
        };
        let sql = format!("SELECT {}", names.iter().map(is_there).collect::<Vec<_>>().join(" AND "));
        let Ok(connection) = self.connection() else { return false };
        connection.rows(sql).await.is_ok_and(|rows| rows.first().is_some_and(|row| row.is_true(0)))
    }
}
