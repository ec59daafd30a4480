//! Rows of PostgreSQL: each batch in a transaction of its own.

use async_trait::async_trait;
use sqlx::Row as _;

use crate::engine::postgres::{PostgresSession, guards};
use crate::engine::{Rows, errors, rows};
use crate::model::fault::Fault;
use crate::model::shape::{Cell, Column, Key, Table};

#[async_trait]
impl Rows for PostgresSession {
    async fn fill(&mut self, table: &Table, columns: &[&Column], rows: &[Vec<Cell>]) -> Result<u64, (u64, Fault)> {
        let mut filled = 0;
        for (insert, count) in rows::inserts(&self.door, table, columns, rows) {
            let mut all = vec!["BEGIN".to_owned()];
            all.extend(guards::local_settings(&self.door.timeouts));
            all.extend(guards::lock_and_schema(&self.door));
            all.extend([insert, "COMMIT".to_owned()]);
            let sent = self.run(all.join(";\n")).await;
            if let Err(fault) = sent {
                let _ = self.run("ROLLBACK".to_owned()).await;
                return Err((filled, fault));
            }
            filled += count;
        }
        Ok(filled)
    }

    async fn keys(&mut self, table: &Table, columns: &[&Column]) -> Result<Vec<Vec<Option<Key>>>, Fault> {
        let rows = self.rows(rows::literals(&self.door, table, columns)).await.map_err(|e| errors::fault(&e))?;
        Ok(rows::keys(&rows, columns.len(), |row, i| row.try_get(i).ok().flatten()))
    }
}
