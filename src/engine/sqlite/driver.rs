//! The driver for SQLite.

use async_trait::async_trait;
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use crate::engine::driver::Driver;
use crate::engine::queries::TextColumns;
use crate::engine::sqlite::{SqliteSession, shared};
use crate::engine::{Session, TenantEndpoint};
use crate::model::fault::Fault;
use crate::model::schema::Script;
use crate::model::tenant::Tenant;

pub(in crate::engine) struct Sqlite;

#[async_trait]
impl Driver for Sqlite {
    async fn open(&self, door: TenantEndpoint) -> Result<Box<dyn Session>, Fault> {
        Ok(Box::new(SqliteSession::open(door).await?))
    }

    /// The file itself: a table of the session, or of an attached file, would come first.
    fn namespace(&self, _tenant: &Tenant) -> Option<String> {
        Some("main".to_owned())
    }

    fn ends_transaction(&self, scripts: &[&Script]) -> Vec<usize> {
        shared::ends(scripts)
    }
}

impl TextColumns for sqlx::Sqlite {
    /// SQLite converts a value of any type to text.
    fn text(row: &SqliteRow, column: usize) -> Option<String> {
        row.try_get_unchecked::<Option<String>, _>(column).ok().flatten()
    }

    fn changed(result: &sqlx::sqlite::SqliteQueryResult) -> u64 {
        result.rows_affected()
    }
}
