//! Reads fleet's own tables in a tenant on a server, whether they exist or not.
//!
//! Read-only. An SQLite file is different: it has no code of its own for a missing table.

use async_trait::async_trait;

use super::queries::{TenantQueries, TextRow};
use crate::model::fault::Fault;

#[async_trait]
pub(crate) trait OwnTables: TenantQueries {
    /// The server's code for a missing table.
    const NO_TABLE: &'static str;

    /// The rows of a query; `None` when its table is missing.
    async fn table_rows(&mut self, sql: String) -> Result<Option<Vec<TextRow>>, Fault> {
        match self.rows(sql).await {
            Ok(rows) => Ok(Some(rows)),
            Err(fault) if fault.code.as_deref() == Some(Self::NO_TABLE) => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    /// The applied versions, sorted, from the rows of the history tables; `None`: one of them is missing, so each is read by
    /// itself.
    async fn versions(&mut self, looked: Option<Vec<TextRow>>) -> Result<Vec<String>, Fault> {
        let books = self.door().books();
        let rows = match looked {
            Some(rows) => rows,
            None => {
                let mut rows = Vec::new();
                for query in books.read_apart() {
                    rows.extend(self.table_rows(query).await?.unwrap_or_default());
                }
                rows
            }
        };
        let mut entries: Vec<String> = rows.iter().filter_map(|row| row.text(0)).collect();
        if let Some(query) = books.unknown_scripts(&mut entries) {
            let rows = self.table_rows(query).await?.unwrap_or_default();
            entries.extend(rows.iter().filter_map(|row| row.text(0)));
        }
        entries.sort_unstable();
        Ok(entries)
    }
}
