//! SQLite's connection that writes nothing: <https://www.sqlite.org/pragma.html#pragma_query_only>.

use crate::engine::read_only::ReadOnlyTransaction;
use crate::engine::sqlite::SqliteSession;
use crate::model::fault::{Fault, FaultClass};

impl ReadOnlyTransaction for SqliteSession {
    /// A file that does not exist yet is not made for a question.
    fn begin_read_only(&self) -> Result<String, Fault> {
        if self.is_missing() {
            return Err(Fault::new(FaultClass::Missing, "the file does not exist, so no table does"));
        }
        Ok("PRAGMA query_only = ON;\nBEGIN".to_owned())
    }

    fn end_read_only(&self) -> &'static str {
        "ROLLBACK;\nPRAGMA query_only = OFF"
    }
}
