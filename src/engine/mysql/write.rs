//! An operator's transaction on MySQL and MariaDB, which holds rows only.

use async_trait::async_trait;

use crate::engine::literal;
use crate::engine::mysql::MysqlSession;
use crate::engine::queries::Queries as _;
use crate::engine::write::Transact;
use crate::model::engine::Engine;
use crate::model::fault::Fault;
use crate::sql::SessionUse;

#[async_trait]
impl Transact for MysqlSession {
    type Held = ();

    /// Without autocommit, rows behind a statement that has committed by itself are in a transaction too. The session,
    /// which is closed afterwards, holds the tenant's lock. Dying in it: the server rolls back what it has not committed.
    async fn begin_write(&mut self, _sql: &str) -> Result<(), Fault> {
        self.held = self.hold(SessionUse::None).await?;
        let use_own = self.use_own_database().map(|sql| format!("{sql};\n")).unwrap_or_default();
        self.run(format!("{use_own}SET SESSION autocommit = 0")).await
    }

    fn is_there(&self, table: &str, _qualified: &str) -> String {
        let of = literal(Engine::Mysql, &crate::engine::address::database(&self.door.tenant).unwrap_or_default());
        let table = literal(Engine::Mysql, table);
        format!("SELECT {table} FROM information_schema.tables WHERE table_schema = {of} AND table_name = {table}")
    }
}
