//! Native code on MySQL and MariaDB.

use sea_orm::SqlxMySqlConnector;
use sqlx::{MySql, Pool};

use crate::engine::ApplyError;
use crate::engine::native::Native;

impl Native<'_> {
    /// Without a transaction on MySQL, where DDL commits by itself, over the session's own connection; the caller keeps
    /// lock and journal on it.
    pub(in crate::engine) async fn mysql_alone(&self, pool: Pool<MySql>) -> Result<(), ApplyError> {
        self.alone(&SqlxMySqlConnector::from_sqlx_mysql_pool(pool)).await
    }
}
