//! The statements of an online form: each in one transaction with its step of the journal, or an index beside the writers.
//!
//! Which statement is sent in which way is decided by the journal.

use crate::engine::postgres::outside::quoted;
use crate::engine::postgres::{PostgresSession, guards};
use crate::engine::queries::Queries as _;
use crate::engine::work::ScriptStatement;
use crate::engine::{TenantEndpoint, literal};
use crate::model::fault::{Fault, FaultClass};
use crate::model::tenant::Engine;
use crate::sql::{DdlEffect, SchemaObject, effect};

impl PostgresSession {
    /// Sends a statement in one transaction with the journal's step behind it. Dying in it: the server rolls both back, or
    /// has committed both; either way the journal names the first statement that has not happened.
    pub(crate) async fn send_whole(&mut self, this: ScriptStatement<'_>) -> Result<(), Fault> {
        let sent = self.run(whole(&self.door, this).join(";\n")).await;
        if sent.as_ref().is_err_and(|fault| fault.class != FaultClass::ConnectionLost) {
            self.run("ROLLBACK".to_owned()).await?;
        }
        sent
    }

    /// Whether a statement on an index, in which an earlier session died, has happened. That session is gone: it held the
    /// tenant's lock. An index that it left invalid is not there, and is dropped before it is built again.
    pub(crate) async fn has_happened(&mut self, sql: &str) -> Result<bool, Fault> {
        let ask = match effect(Engine::Postgres, sql) {
            Some(DdlEffect::Creates(SchemaObject::Index(index, Some(table)))) => format!(
                "SELECT EXISTS (SELECT FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE i.indisvalid AND \
                 c.relname = {} AND i.indrelid = to_regclass({}))",
                literal(Engine::Postgres, &index.name),
                literal(Engine::Postgres, &quoted(&table))
            ),
            Some(DdlEffect::Drops(SchemaObject::Index(index, _))) => {
                format!("SELECT to_regclass({}) IS NULL", literal(Engine::Postgres, &quoted(&index)))
            }
            _ => return Ok(false),
        };
        Ok(self.rows(ask).await?.first().is_some_and(|row| row.is_true(0)))
    }
}

/// One transaction. The role and the search path are fleet's own again before the journal is written: a trigger or a default
/// may run code.
fn whole(door: &TenantEndpoint, this: ScriptStatement<'_>) -> Vec<String> {
    let guard = guards::statement_stays_inside(door, &this.step().script, this.sql());
    let mut all = vec!["BEGIN READ WRITE".to_owned()];
    all.extend(guards::notes_before_statement(door, this.sql()));
    // A comment at its end would hide the semicolon.
    all.push(format!("{}\n", this.sql()));
    all.push("SET CONSTRAINTS ALL IMMEDIATE".to_owned());
    all.extend(guard);
    all.extend(["SET LOCAL session_authorization = DEFAULT", "SET LOCAL role = DEFAULT"].map(str::to_owned));
    all.extend(door.tenant.schema.is_none().then(|| guards::OWN_SEARCH_PATH.to_owned()));
    all.push(door.journal().advance(this.statement + 1));
    all.push("COMMIT".to_owned());
    all
}
