//! Rows of SQLite: each batch in a transaction of its own.

use async_trait::async_trait;
use sqlx::Row as _;

use crate::engine::sqlite::SqliteSession;
use crate::engine::{Rows, rows};
use crate::model::fault::Fault;
use crate::model::shape::{Cell, Column, Key, Table};

#[async_trait]
impl Rows for SqliteSession {
    async fn fill(&mut self, table: &Table, columns: &[&Column], rows: &[Vec<Cell>]) -> Result<u64, (u64, Fault)> {
        let mut filled = 0;
        for (insert, count) in rows::inserts(&self.door, table, columns, rows) {
            self.begin(true, self.door.timeouts.lock).await.map_err(|fault| (filled, fault))?;
            let sent = self.run(format!("{insert};\nCOMMIT")).await;
            if let Err(fault) = sent {
                let _ = self.run("ROLLBACK".to_owned()).await;
                return Err((filled, fault));
            }
            filled += count;
        }
        Ok(filled)
    }

    async fn keys(&mut self, table: &Table, columns: &[&Column]) -> Result<Vec<Vec<Option<Key>>>, Fault> {
        let rows = self.rows(rows::literals(&self.door, table, columns)).await?;
        Ok(rows::keys(&rows, columns.len(), |row, i| row.try_get(i).ok().flatten()))
    }
}
