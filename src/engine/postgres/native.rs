//! Native execution on PostgreSQL.

use sea_orm::{SqlxPostgresConnector, TransactionOptions};
use sqlx::postgres::PgConnectOptions;

use crate::engine::ApplyError;
use crate::engine::native::{self, Around, Mark, Native};
use crate::engine::postgres::own_backend::OwnBackend;
use crate::engine::queries::Queries as _;

/// The mark is a lock of the transaction that all sessions share; a setting would end with a `RESET ALL` of the migration. An
/// aborted transaction answers with 25P02, and is still ours.
const MARK: Mark = Mark::Statement {
    set: "SELECT pg_catalog.pg_advisory_xact_lock_shared(1718379877, 1937007984)",
    check: "DO $fleet_guard$ BEGIN IF NOT EXISTS (SELECT FROM pg_catalog.pg_locks WHERE locktype = 'advisory' AND pid = \
            pg_catalog.pg_backend_pid() AND mode = 'ShareLock' AND classid = 1718379877 AND objid = 1937007984 AND objsubid = 2) \
            THEN RAISE EXCEPTION 'gone' USING ERRCODE = 'FL005'; END IF; END $fleet_guard$",
    code: "FL005",
};

/// The statements around native code on PostgreSQL.
pub(super) fn around<'a>(preamble: &'a [String], before_record: &'a str) -> Around<'a> {
    Around { preamble, mark: MARK, before_record: Some(before_record), check: None }
}

impl Native<'_> {
    /// Runs native code in a transaction on PostgreSQL, with the same guards as a compiled script.
    pub(in crate::engine) async fn postgres(
        &self,
        options: PgConnectOptions,
        around: &mut Around<'_>,
        own: &OwnBackend,
    ) -> Result<(), ApplyError> {
        let connecting = native::pool(self.door).connect_with(options);
        let pool: sqlx::PgPool = self.connected(connecting).await?;
        // Code may give its session another name. What goes wrong here goes wrong again in a moment.
        if let Ok(mut connection) = pool.acquire().await
            && let Ok(rows) = (*connection).rows(OwnBackend::ask()).await
        {
            own.note(rows.first(), true);
        }
        let db = SqlxPostgresConnector::from_sqlx_postgres_pool(pool);
        let result = self.in_transaction(&db, TransactionOptions::default(), around).await;
        let _ = db.close().await;
        result
    }
}
