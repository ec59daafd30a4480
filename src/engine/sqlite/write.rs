//! An operator's transaction on SQLite.

use async_trait::async_trait;

use crate::engine::literal;
use crate::engine::sqlite::SqliteSession;
use crate::engine::sqlite::file::FileLock;
use crate::engine::write::Transact;
use crate::model::engine::Engine;
use crate::model::fault::{Fault, FaultClass};

#[async_trait]
impl Transact for SqliteSession {
    type Held = Option<FileLock>;

    /// A file that does not exist is not made. Dying in it: the next process that opens the file rolls back.
    async fn begin_write(&mut self, _sql: &str) -> Result<Self::Held, Fault> {
        if self.is_missing() {
            return Err(Fault::new(FaultClass::UnknownDatabase, "the file does not exist yet: migrate makes it"));
        }
        let lock = FileLock::take(&self.path)?;
        self.begin(true, self.door.timeouts.lock).await?;
        Ok(lock)
    }

    fn is_there(&self, table: &str, _qualified: &str) -> String {
        format!(
            "SELECT name FROM main.sqlite_master WHERE type = 'table' AND name = {}",
            literal(Engine::Sqlite, table)
        )
    }
}
