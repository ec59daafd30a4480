//! Rows of MySQL and MariaDB: each batch in a transaction of its own.

use async_trait::async_trait;

use crate::engine::mysql::tenant_lock::session_settings;
use crate::engine::mysql::{MysqlSession, decode};
use crate::engine::{Rows, rows};
use crate::model::fault::Fault;
use crate::model::shape::{Cell, Column, Key, Table};

#[async_trait]
impl Rows for MysqlSession {
    async fn fill(&mut self, table: &Table, columns: &[&Column], rows: &[Vec<Cell>]) -> Result<u64, (u64, Fault)> {
        let mut filled = 0;
        for (insert, count) in rows::inserts(&self.door, table, columns, rows) {
            let settings = session_settings(&self.door.timeouts);
            let sent = self.run(format!("{settings};\nSTART TRANSACTION;\n{insert};\nCOMMIT")).await;
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
        Ok(rows::keys(&rows, columns.len(), decode::text))
    }
}
