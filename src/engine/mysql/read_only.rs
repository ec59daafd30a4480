//! MySQL's read-only transaction: <https://dev.mysql.com/doc/refman/8.4/en/commit.html>.
//!
//! A procedure that commits would leave it, so the session is read-only, too.

use crate::engine::mysql::MysqlSession;
use crate::engine::mysql::tenant_lock::session_settings;
use crate::engine::read_only::ReadOnlyTransaction;
use crate::model::fault::Fault;

impl ReadOnlyTransaction for MysqlSession {
    /// `max_execution_time` is MySQL's limit for SELECT; MariaDB has one for all statements, among the settings.
    fn begin_read_only(&self) -> Result<String, Fault> {
        let (settings, limit) = (session_settings(&self.door.timeouts), self.door.timeouts.statement.as_millis());
        let of_select = format!("/*!80000 , max_execution_time = {limit} */");
        Ok(format!("{settings} {of_select};\nSET SESSION TRANSACTION READ ONLY;\nSTART TRANSACTION READ ONLY"))
    }

    fn end_read_only(&self) -> &'static str {
        "ROLLBACK;\nSET SESSION TRANSACTION READ WRITE"
    }
}
