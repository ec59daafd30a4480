//! SQLite's connection that can't write: <https://www.sqlite.org/c3ref/open.html>.

use async_trait::async_trait;
use sqlx::ConnectOptions as _;

use crate::engine::errors;
use crate::engine::read_only::ReadOnly;
use crate::engine::sqlite::SqliteSession;
use crate::model::fault::{Fault, FaultClass};

#[async_trait]
impl ReadOnly for SqliteSession {
    /// The file is opened anew for each question: what the text has set goes with the connection. One that does not exist is
    /// not made for a question.
    async fn read_only(&mut self) -> Result<String, Fault> {
        if self.is_missing() {
            return Err(Fault::new(FaultClass::UnknownDatabase, "the file does not exist yet: migrate makes it"));
        }
        let options = self.options(false).read_only(true);
        self.connection = Some(options.connect().await.map_err(|e| errors::fault(&e))?);
        Ok("BEGIN".to_owned())
    }
}
