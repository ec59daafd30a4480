//! An operator's transaction on PostgreSQL.

use async_trait::async_trait;

use crate::engine::literal;
use crate::engine::postgres::inside::Inside;
use crate::engine::postgres::{PostgresSession, guards};
use crate::engine::queries::Queries as _;
use crate::engine::write::Transact;
use crate::model::engine::Engine;
use crate::model::fault::Fault;

#[async_trait]
impl Transact for PostgresSession {
    type Held = ();

    /// Also through a pooler: all of it belongs to the transaction. Dying in it: the server rolls back.
    async fn begin_write(&mut self, sql: &str) -> Result<(), Fault> {
        self.is_spoilt = true;
        let mut begin = guards::begin_in_place(&self.door);
        begin.push("SET LOCAL fleet.exec = 'on'".to_owned());
        // A tenant that is a schema has neighbours, which it must not touch.
        begin.extend(Inside::of_operator(&self.door, sql).map(|around| around.before));
        self.transaction(begin.join(";\n")).await.map(drop)
    }

    fn is_there(&self, table: &str, qualified: &str) -> String {
        let [table, qualified] = [table, qualified].map(|name| literal(Engine::Postgres, name));
        format!("SELECT {table} WHERE to_regclass({qualified}) IS NOT NULL")
    }

    fn look_again(&self, sql: &str) -> Option<String> {
        let path = guards::sets_search_path(&self.door);
        let inside =
            Inside::of_operator(&self.door, sql).map(|around| format!("; {}", around.behind)).unwrap_or_default();
        Some(format!(
            "RESET SESSION AUTHORIZATION; RESET ROLE; {path}{inside}; SELECT coalesce(current_setting('fleet.exec', true), '') = \
             'on'"
        ))
    }
}
