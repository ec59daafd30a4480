//! SQLite among the drivers.

use async_trait::async_trait;

use crate::engine::driver::Driver;
use crate::engine::sqlite::SqliteSession;
use crate::engine::{Session, TenantEndpoint};
use crate::model::fault::Fault;
use crate::model::tenant::Tenant;

pub(in crate::engine) struct Sqlite;

#[async_trait]
impl Driver for Sqlite {
    async fn open(&self, door: TenantEndpoint) -> Result<Box<dyn Session>, Fault> {
        Ok(Box::new(SqliteSession::open(door).await?))
    }

    fn namespace(&self, _tenant: &Tenant) -> Option<String> {
        None
    }
}
