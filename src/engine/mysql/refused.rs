//! Whether a statement that the server refused, and that might have been done in part, has done nothing: by what is there
//! still.
//!
//! It only reads. Without a proof the step stays in doubt.

use sqlx::{AssertSqlSafe, MySqlConnection};

use crate::engine::message::error_in;
use crate::engine::mysql::MysqlSession;
use crate::engine::queries::Queries as _;
use crate::engine::{errors, literal};
use crate::model::engine::Engine;
use crate::model::fault::Fault;
use crate::sql::{Named, dropped, may_leave_a_part, tells_errors_in_rows};

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
    /// Whether a refused statement certainly did nothing. Dying in it: the journal is open still.
    pub(crate) async fn did_nothing(&mut self, sql: &str) -> bool {
        if !may_leave_a_part(Engine::Mysql, sql) {
            return true;
        }
        match dropped(Engine::Mysql, sql) {
            Some(names) => self.are_there(&names).await,
            None => false,
        }
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
