//! Questions to a tenant's database: the times in its history, and SQL that a person typed, which can't change anything.

use async_trait::async_trait;

use super::queries::{TenantQueries, TextRow};
use crate::model::answer::Answer;
use crate::model::fault::Fault;

/// Answers questions of people.
#[async_trait]
pub(crate) trait Answers: Send {
    /// Each applied version with the time of its row, in seconds since 1970-01-01 UTC. Read-only, a query for each of
    /// the history's tables.
    ///
    /// # Errors
    /// A [`Fault`] when the history can't be read.
    async fn applied(&mut self) -> Result<Vec<(String, i64)>, Fault>;

    /// The rows of a text of SQL, in a transaction that the engine itself keeps from writing: the text is not looked at.
    /// The session is of no use for anything else behind it.
    ///
    /// Dying in it: the engine ends a transaction that has changed nothing.
    ///
    /// # Errors
    /// A [`Fault`] with the engine's code, also where the text would change something.
    async fn answers(&mut self, sql: &str) -> Result<Vec<Answer>, Fault>;
}

/// A session that can be kept from writing.
#[async_trait]
pub(crate) trait ReadOnly: TenantQueries {
    /// Keeps the session from writing, also behind a `COMMIT` in the text. Returns the statements before the text.
    ///
    /// # Errors
    /// A [`Fault`] when the session can't be made so.
    async fn read_only(&mut self) -> Result<Vec<String>, Fault>;
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
        let begin = self.read_only().await?;
        self.run(begin.join(";\n")).await?;
        let rows = self.rows(sql.to_owned()).await;
        let _ = self.run("ROLLBACK".to_owned()).await;
        Ok(grouped(rows?))
    }
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
