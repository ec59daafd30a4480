//! Whether a statement that the server refused, and that might have been done in part, has done nothing: by what is there
//! still, and by the server's own counts.
//!
//! It only reads. Without a proof the step stays in doubt.

use std::collections::BTreeMap;

use sqlx::{AssertSqlSafe, MySqlConnection};

use crate::engine::message::error_in;
use crate::engine::mysql::MysqlSession;
use crate::engine::mysql::native::{self, Commands};
use crate::engine::queries::{Queries as _, TextRow};
use crate::engine::{errors, literal};
use crate::model::engine::Engine;
use crate::model::fault::Fault;
use crate::sql::{Named, called, dropped, may_leave_a_part, reads_session, tells_errors_in_rows};

/// The rows that a session has asked its storage engines to write, change or delete, also inside of routines.
const ROWS: &str = "SHOW SESSION STATUS WHERE Variable_name IN ('Handler_write', 'Handler_update', 'Handler_delete')";

/// The counts of a session before it calls a procedure.
#[derive(Debug, Default, Clone)]
pub(crate) struct Counts {
    commands: Commands,
    rows: BTreeMap<String, u64>,
}

impl Counts {
    /// Whether a procedure that was refused between the two changed no row, and began nothing else.
    fn changed_nothing(&self, after: &Counts) -> bool {
        self.rows == after.rows && native::only_rows(&self.commands, &after.commands)
    }
}

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
    /// Notes the counts before a statement that calls a procedure. Its own queries would replace a result of the statement
    /// before it, so that nothing is noted where that is read.
    pub(crate) async fn note_counts(&mut self, sql: &str) {
        self.counts = None;
        if called(Engine::Mysql, sql).is_some() && !reads_session(sql) {
            self.counts = self.counts().await;
        }
    }

    async fn counts(&mut self) -> Option<Counts> {
        let connection = self.connection().ok()?;
        let commands = native::commands(&connection.rows(native::COMMANDS.to_owned()).await.ok()?);
        let rows = connection.rows(ROWS.to_owned()).await.ok()?;
        let count = |row: &TextRow| Some((row.must(0), row.parse(1)?));
        Some(Counts { commands, rows: rows.iter().filter_map(count).collect() })
    }

    /// Whether a refused statement certainly did nothing. Dying in it: the journal is open still.
    pub(crate) async fn did_nothing(&mut self, sql: &str) -> bool {
        if !may_leave_a_part(Engine::Mysql, sql) {
            return true;
        }
        let before = self.counts.take();
        if let Some(names) = dropped(Engine::Mysql, sql) {
            return self.are_there(&names).await;
        }
        let (Some(before), Some(name)) = (before, called(Engine::Mysql, sql)) else { return false };
        let Some(after) = self.counts().await else { return false };
        before.changed_nothing(&after)
            || native::only_one_change(&before.commands, &after.commands) && self.reads_nothing(&name).await
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

    /// Whether a procedure has no query in its text, for which it could have waited behind what it did.
    async fn reads_nothing(&mut self, name: &Named) -> bool {
        let schema = name.schema.as_deref().map_or("DATABASE()".to_owned(), |schema| literal(Engine::Mysql, schema));
        let sql = format!(
            "SELECT LOWER(routine_definition) NOT LIKE '%select%' FROM information_schema.routines WHERE routine_type = \
             'PROCEDURE' AND routine_schema = {schema} AND routine_name = {}",
            literal(Engine::Mysql, &name.name)
        );
        let Ok(connection) = self.connection() else { return false };
        connection.rows(sql).await.is_ok_and(|rows| rows.first().is_some_and(|row| row.is_true(0)))
    }
}
