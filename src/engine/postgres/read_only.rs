//! PostgreSQL's read-only transaction: <https://www.postgresql.org/docs/current/sql-set-transaction.html>.

use async_trait::async_trait;

use crate::engine::postgres::{PostgresSession, guards};
use crate::engine::queries::Queries;
use crate::engine::read_only::ReadOnly;
use crate::model::fault::{Fault, FaultClass};

#[async_trait]
impl ReadOnly for PostgresSession {
    /// Settings of the session: they hold for the transactions behind a COMMIT in the text, too. A pooler would give them to
    /// others, or to nobody.
    async fn read_only(&mut self) -> Result<String, Fault> {
        if self.is_pooled().await? {
            let text = "a connection pooler keeps no settings, so nothing would keep SQL through it from writing; set migration_url \
                        to the server itself for this tenant";
            return Err(Fault::new(FaultClass::Pooler, text));
        }
        let limits = guards::local_settings(&self.door.timeouts);
        let mut begin: Vec<String> = limits.iter().map(|limit| limit.replacen("SET LOCAL", "SET", 1)).collect();
        let tenant = &self.door.tenant;
        let path = |schema: &String| format!("SET search_path = {}", guards::search_path(tenant, schema));
        begin.extend(tenant.schema.as_ref().map(path));
        begin.push("SET default_transaction_read_only = on".to_owned());
        // In a message of their own: a ROLLBACK in the text would take them back with the transaction that they began in.
        self.run(begin.join(";\n")).await?;
        // Behind a first query the transaction can't be made READ WRITE any more.
        Ok("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY;\nSELECT 1".to_owned())
    }

    fn unfiltered(&self) -> Option<&'static str> {
        Some("SET LOCAL row_security = off")
    }
}
