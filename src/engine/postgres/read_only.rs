//! PostgreSQL's read-only transaction: <https://www.postgresql.org/docs/current/sql-set-transaction.html>.

use crate::engine::postgres::{PostgresSession, guards};
use crate::engine::read_only::ReadOnlyTransaction;
use crate::model::fault::Fault;

impl ReadOnlyTransaction for PostgresSession {
    fn begin_read_only(&self) -> Result<String, Fault> {
        let mut begin = vec!["BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY".to_owned()];
        begin.extend(guards::local_settings(&self.door.timeouts));
        if let Some(schema) = &self.door.tenant.schema {
            begin.push(format!("SET LOCAL search_path = {}", guards::search_path(&self.door.tenant, schema)));
        }
        Ok(begin.join(";\n"))
    }

    fn end_read_only(&self) -> &'static str {
        "ROLLBACK"
    }
}
