//! Queries whose answers are read as text, in the same way on every engine: over a session, or over a separate
//! connection.
//!
//! It does not know a query's purpose. Messages use the simple protocol, in which servers send each value as text.

use std::str::FromStr;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use sqlx::{AssertSqlSafe, Column as _, ConnectOptions, Connection, Database, Executor, Row as _};

use super::tape::Tape;
use super::{TenantEndpoint, errors};
use crate::model::fault::Fault;

/// A row of a result, each column as text.
#[derive(Debug, Clone)]
pub(crate) struct TextRow {
    names: Arc<[String]>,
    columns: Vec<Option<String>>,
}

impl TextRow {
    /// A row of columns with names.
    pub(crate) fn new(names: Vec<String>, columns: Vec<Option<String>>) -> Self {
        TextRow { names: names.into(), columns }
    }

    /// The names of the columns, and the values.
    pub(crate) fn into_parts(self) -> (Vec<String>, Vec<Option<String>>) {
        (self.names.to_vec(), self.columns)
    }

    /// A column; `None` is NULL.
    pub(crate) fn text(&self, column: usize) -> Option<String> {
        self.columns.get(column).cloned().flatten()
    }

    /// Changes the text of a column, if it is there.
    pub(crate) fn change(&mut self, column: usize, change: impl FnOnce(String) -> String) {
        if let Some(text) = self.columns.get_mut(column).and_then(Option::take) {
            self.columns[column] = Some(change(text));
        }
    }

    /// A column; empty if it is NULL.
    pub(crate) fn must(&self, column: usize) -> String {
        self.text(column).unwrap_or_default()
    }

    /// A column parsed as a number, if it is one.
    pub(crate) fn parse<T: FromStr>(&self, column: usize) -> Option<T> {
        self.columns.get(column)?.as_ref()?.parse().ok()
    }

    /// A column as a boolean, in any engine's spelling.
    pub(crate) fn is_true(&self, column: usize) -> bool {
        matches!(self.columns.get(column), Some(Some(text)) if ["t", "true", "1"].contains(&text.as_str()))
    }

    /// The column of this name; MySQL 8 has its catalog's column names in upper case.
    pub(crate) fn named(&self, name: &str) -> Option<String> {
        self.text(self.names.iter().position(|own| own.eq_ignore_ascii_case(name))?)
    }

    /// As [`TextRow::named`]; empty if it is NULL or missing.
    pub(crate) fn must_named(&self, name: &str) -> String {
        self.named(name).unwrap_or_default()
    }
}

/// Reads a driver's rows as text, whatever type the server labels a column with.
pub(crate) trait TextColumns: Database {
    fn text(row: &Self::Row, column: usize) -> Option<String>;

    /// The number of rows that a statement changed.
    fn changed(result: &Self::QueryResult) -> u64;
}

/// A connection that answers SQL queries.
#[async_trait]
pub(crate) trait Queries: Send {
    /// The rows of all statements of a message.
    async fn rows(&mut self, sql: String) -> Result<Vec<TextRow>, Fault>;

    async fn run(&mut self, sql: String) -> Result<(), Fault>;

    /// As [`Queries::run`], with the number of rows that were changed, where the connection tells it.
    async fn changed(&mut self, sql: String) -> Result<u64, Fault> {
        self.run(sql).await.map(|()| 0)
    }

    /// The recording of what a session would send.
    fn tape(&mut self) -> Option<&mut Tape> {
        None
    }

    /// The rows of a message up to the commit of a transaction; if a statement is refused, the transaction is rolled
    /// back.
    async fn transaction(&mut self, sql: String) -> Result<Vec<TextRow>, Fault> {
        if self.tape().is_some_and(|tape| tape.takes(&sql)) {
            return Ok(Vec::new());
        }
        let rows = self.rows(sql).await;
        if rows.is_err() {
            let _ = self.run("ROLLBACK".to_owned()).await;
        }
        rows
    }
}

#[async_trait]
impl<C> Queries for C
where
    C: Connection,
    C::Database: TextColumns,
    for<'c> &'c mut C: Executor<'c, Database = C::Database>,
{
    async fn rows(&mut self, sql: String) -> Result<Vec<TextRow>, Fault> {
        let rows = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_all(self).await.map_err(|e| errors::fault(&e))?;
        let mut all: Vec<TextRow> = Vec::with_capacity(rows.len());
        for row in &rows {
            let names = || row.columns().iter().map(|column| column.name());
            let known = all.last().filter(|last| last.names.iter().map(String::as_str).eq(names()));
            let names = known.map_or_else(|| names().map(str::to_owned).collect(), |last| last.names.clone());
            let columns = (0..row.columns().len()).map(|column| C::Database::text(row, column)).collect();
            all.push(TextRow { names, columns });
        }
        Ok(all)
    }

    async fn run(&mut self, sql: String) -> Result<(), Fault> {
        self.changed(sql).await.map(drop)
    }

    async fn changed(&mut self, sql: String) -> Result<u64, Fault> {
        let done = sqlx::raw_sql(AssertSqlSafe(sql)).execute(self).await;
        done.map(|result| C::Database::changed(&result)).map_err(|e| errors::fault(&e))
    }
}

/// A session with its tenant, for code that is the same on all engines.
pub(crate) trait TenantQueries: Queries {
    fn door(&self) -> &TenantEndpoint;
}

/// A separate connection, opened for a single question.
#[async_trait]
pub(crate) trait SideConnection: Queries {
    async fn close(self: Box<Self>);
}

#[async_trait]
impl<C: Connection + Queries> SideConnection for C {
    async fn close(self: Box<Self>) {
        let _ = Connection::close(*self).await;
    }
}

/// Opens a connection separate from the sessions.
pub(crate) async fn connect_aside<O>(options: O) -> Result<Box<dyn SideConnection>, Fault>
where
    O: ConnectOptions,
    O::Connection: SideConnection + Sized + 'static,
{
    Ok(Box::new(options.connect().await.map_err(|error| errors::connecting(&error))?))
}

/// A connection beside a session, for one question after another.
pub(crate) struct KeptAside<O> {
    options: O,
    kept: Mutex<Option<Box<dyn SideConnection>>>,
}

impl<O> KeptAside<O>
where
    O: ConnectOptions,
    O::Connection: SideConnection + Sized + 'static,
{
    pub(crate) fn of(options: O) -> Self {
        KeptAside { options, kept: Mutex::default() }
    }

    /// The connection that the question before this one left, or a new one.
    pub(crate) async fn take(&self) -> Result<Box<dyn SideConnection>, Fault> {
        let kept = self.kept.lock().expect("nobody panics while holding it").take();
        match kept {
            Some(connection) => Ok(connection),
            None => connect_aside(self.options.clone()).await,
        }
    }

    /// Keeps the connection for the next question, or closes it.
    pub(crate) async fn leave(&self, connection: Box<dyn SideConnection>, keep: bool) {
        if keep {
            *self.kept.lock().expect("nobody panics while holding it") = Some(connection);
        } else {
            connection.close().await;
        }
    }
}
