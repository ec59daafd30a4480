//! PostgreSQL statements that can't run in a transaction, indexes made concurrently above all.
//!
//! It keeps no journal: the session does, around each of them.

use std::collections::HashSet;
use std::time::Duration;

use sqlx::Row as _;

use super::errors;
use super::postgres::PostgresSession;
use crate::fault::Fault;
use crate::tenant::Engine;

impl PostgresSession {
    /// A statement outside a transaction. An index that an earlier try left invalid would hide behind `IF NOT EXISTS`.
    pub(super) async fn run_outside(&mut self, sql: &str, lock: Duration) -> Result<(), Fault> {
        let words: Vec<String> = crate::compile::first_words(Engine::Postgres, sql).take(4).collect();
        let concurrently = words.iter().any(|w| w == "concurrently");
        if !concurrently {
            return self.run(sql.to_owned()).await;
        }
        if words[0] == "create" {
            self.drop_invalid_indexes(sql).await?;
        }
        // A lock timeout would leave an invalid index behind; these statements block nobody while they wait.
        self.run("SET lock_timeout = 0".to_owned()).await?;
        let result = self.run(sql.to_owned()).await;
        let back = format!("SET lock_timeout = {}", lock.as_millis());
        result.and(self.run(back).await)
    }

    async fn drop_invalid_indexes(&mut self, sql: &str) -> Result<(), Fault> {
        let invalid = "SELECT c.relname::text FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE NOT \
                       i.indisvalid AND c.relnamespace = to_regnamespace(quote_ident(current_schema()))";
        let rows = self.rows(invalid.to_owned()).await.map_err(|e| errors::fault(&e))?;
        let words: HashSet<&str> = sql.split(|c: char| !(c.is_alphanumeric() || c == '_')).collect();
        for name in rows.iter().filter_map(|r| r.try_get::<String, _>(0).ok()) {
            if words.contains(name.as_str()) {
                self.run(format!("DROP INDEX CONCURRENTLY {}", Engine::Postgres.quote(&name))).await?;
            }
        }
        Ok(())
    }
}
