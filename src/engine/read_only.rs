//! Questions of people to a tenant's database: the times in its history, and SQL that the engine itself keeps from changing
//! anything.
//!
//! It judges no text. One that would change something is refused by the engine, with its code.

use async_trait::async_trait;

use super::queries::{TenantQueries, TextRow};
use crate::model::answer::Answer;
use crate::model::assertion::FirstRows;
use crate::model::fault::Fault;

/// Answers questions of people. From the first on that is SQL of theirs the session can't write.
#[async_trait]
pub(crate) trait Answers: Send {
    /// Each applied version with the time of its row, in seconds since 1970-01-01 UTC. Read-only, a query for each of
    /// the history's tables.
    ///
    /// # Errors
    /// A [`Fault`] when the history can't be read.
    async fn applied(&mut self) -> Result<Vec<(String, i64)>, Fault>;

    /// The rows of a text of SQL, of one statement or several, in the tenant's own namespace and within the statement timeout.
    ///
    /// Dying in it: the engine ends a transaction that has changed nothing.
    ///
    /// # Errors
    /// A [`Fault`] with the engine's code, also where the text would change something.
    async fn answers(&mut self, sql: &str) -> Result<Vec<Answer>, Fault>;

    /// The first `most` rows of a query, which must be one statement that returns rows. It is read as a subquery, so that the
    /// engine may stop behind these rows.
    ///
    /// # Errors
    /// As [`Answers::answers`].
    async fn first_rows(&mut self, query: &str, most: usize) -> Result<FirstRows, Fault>;
}

/// A session that can be kept from writing.
#[async_trait]
pub(crate) trait ReadOnly: TenantQueries {
    /// Keeps the session from writing, also behind a `COMMIT` in the text. Returns the statements before the text, whose
    /// last begins a transaction.
    ///
    /// # Errors
    /// A [`Fault`] when the session can't be made so.
    async fn read_only(&mut self) -> Result<String, Fault>;

    /// The statement behind which a query fails instead of leaving out rows that its user may not see.
    fn unfiltered(&self) -> Option<&'static str> {
        None
    }
}

#[async_trait]
impl<S: ReadOnly> Answers for S {
    async fn applied(&mut self) -> Result<Vec<(String, i64)>, Fault> {
        let (history, scripts) = self.door().books().read_applied();
        let mut rows = self.rows(history).await?;
        if let Some(scripts) = scripts {
            // A tenant that no script has reached has no table of them.
            rows.extend(self.rows(scripts).await.unwrap_or_default());
        }
        Ok(rows.iter().filter_map(|row| Some((row.text(0)?, row.parse(1)?))).collect())
    }

    async fn answers(&mut self, sql: &str) -> Result<Vec<Answer>, Fault> {
        Ok(grouped(asked(self, sql.to_owned(), None).await?))
    }

    async fn first_rows(&mut self, query: &str, most: usize) -> Result<FirstRows, Fault> {
        // A comment at the end of the text must not hide the parenthesis.
        let (query, all) = (format!("SELECT * FROM (\n{query}\n) AS fleet_rows LIMIT {}", most + 1), self.unfiltered());
        let mut rows = asked(self, query, all).await?;
        let more = rows.len() > most;
        rows.truncate(most);
        let Answer { columns, rows } = grouped(rows).pop().unwrap_or_default();
        Ok(FirstRows { columns, rows, more })
    }
}

async fn asked(session: &mut impl ReadOnly, sql: String, more: Option<&str>) -> Result<Vec<TextRow>, Fault> {
    let begin = session.read_only().await?;
    let begin = [Some(begin.as_str()), more].into_iter().flatten().collect::<Vec<_>>().join(";\n");
    session.run(begin).await?;
    let rows = session.rows(sql).await;
    let _ = session.run("ROLLBACK".to_owned()).await;
    rows
}

fn grouped(rows: Vec<TextRow>) -> Vec<Answer> {
    let mut answers: Vec<Answer> = Vec::new();
    for row in rows {
        let (columns, values) = row.into_parts();
        match answers.last_mut().filter(|last| last.columns == columns) {
            Some(last) => last.rows.push(values),
            None => answers.push(Answer { columns, rows: vec![values] }),
        }
    }
    answers
}
