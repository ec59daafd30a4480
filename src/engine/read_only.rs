//! Queries of operators: one statement, in a transaction in which the engine itself refuses every change.
//!
//! It judges no text. A query that would change something is refused by the engine, with its code.

use async_trait::async_trait;

use super::queries::TenantQueries;
use crate::model::assertion::FirstRows;
use crate::model::fault::Fault;

/// Asks what an operator wrote.
#[async_trait]
pub(crate) trait ReadOnly: Send {
    /// The first `most` rows of a query, which must be one statement that returns rows, in the tenant's own namespace
    /// and within the statement timeout. It is read as a subquery, so that the engine may stop behind these rows.
    ///
    /// Dying in it changes nothing: the transaction is read-only, and it is never committed.
    ///
    /// # Errors
    /// A [`Fault`] when the engine refuses the query; the session works on.
    async fn query(&mut self, sql: &str, most: usize) -> Result<FirstRows, Fault>;
}

/// The read-only transaction of an engine.
#[async_trait]
pub(crate) trait ReadOnlyTransaction: TenantQueries {
    /// The statements before a query.
    ///
    /// # Errors
    /// A [`Fault`] where there is no database to ask.
    fn begin_read_only(&self) -> Result<String, Fault>;

    /// The statements behind it, also where it failed. They take nothing back but the settings of the session.
    fn end_read_only(&self) -> &'static str;
}

#[async_trait]
impl<S: ReadOnlyTransaction> ReadOnly for S {
    async fn query(&mut self, sql: &str, most: usize) -> Result<FirstRows, Fault> {
        let begin = self.begin_read_only()?;
        self.run(begin).await?;
        // A comment at the end of the text must not hide the parenthesis.
        let rows = self.rows(format!("SELECT * FROM (\n{sql}\n) AS fleet_rows LIMIT {}", most + 1)).await;
        let ended = self.run(self.end_read_only().to_owned()).await;
        let rows = rows?;
        ended?;
        let mut first = FirstRows { more: rows.len() > most, ..FirstRows::default() };
        for row in rows.into_iter().take(most) {
            let (columns, values) = row.whole();
            first.columns = columns;
            first.rows.push(values);
        }
        Ok(first)
    }
}
