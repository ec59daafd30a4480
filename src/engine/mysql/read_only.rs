//! MySQL's read-only transaction: <https://dev.mysql.com/doc/refman/8.4/en/commit.html>.

use async_trait::async_trait;

use crate::engine::mysql::MysqlSession;
use crate::engine::mysql::tenant_lock::session_settings;
use crate::engine::read_only::ReadOnly;
use crate::model::fault::Fault;

#[async_trait]
impl ReadOnly for MysqlSession {
    /// The session's default holds for the transactions behind a COMMIT too. `max_execution_time` is MySQL's limit for
    /// SELECT; MariaDB has one for all statements, among the settings.
    async fn read_only(&mut self) -> Result<String, Fault> {
        let (settings, limit) = (session_settings(&self.door.timeouts), self.door.timeouts.statement.as_millis());
        let of_select = format!("/*!80000 , max_execution_time = {limit} */");
        Ok(format!("{settings} {of_select};\nSET SESSION TRANSACTION READ ONLY;\nSTART TRANSACTION READ ONLY"))
    }
}
