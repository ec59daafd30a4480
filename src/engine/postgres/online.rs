//! The statements of an online form: each in one transaction with its step of the journal, or an index beside the writers.
//!
//! Which statement is sent in which way is decided by the journal.

use crate::compile::refused_online;
use crate::engine::postgres::inside::Inside;
use crate::engine::postgres::outside::quoted;
use crate::engine::postgres::{PostgresSession, guards};
use crate::engine::queries::Queries as _;
use crate::engine::work::ScriptStatement;
use crate::engine::{TenantEndpoint, literal};
use crate::model::fault::{Fault, FaultClass};
use crate::model::schema::Script;
use crate::model::tenant::Engine;
use crate::sql::{DdlEffect, SchemaObject, effect};

/// Each relation with what sees, or does not take, a statement that is sent in batches: <https://www.postgresql.org/docs/current/catalog-pg-trigger.html>
/// has no list of the bits of `tgtype`; 1 is a row's, 16 an update's.
pub(crate) const HINDRANCES: &str = "\
    SELECT c.relname::text AS name, CASE WHEN c.relkind NOT IN ('r', 'p') THEN 'no rows of its own' ELSE coalesce(\
    (SELECT 'the trigger ' || min(g.tgname) || ', which fires for each statement' FROM pg_trigger g WHERE g.tgrelid = c.oid AND NOT \
    g.tgisinternal AND g.tgenabled IN ('O', 'A') AND g.tgtype & 16 <> 0 AND (g.tgtype & 1 = 0 OR g.tgoldtable IS NOT NULL OR \
    g.tgnewtable IS NOT NULL) HAVING count(*) > 0), (SELECT 'the rule ' || min(r.rulename) FROM pg_rewrite r WHERE r.ev_class = c.oid AND \
    r.ev_type = '2' AND r.ev_enabled IN ('O', 'A') HAVING count(*) > 0)) END AS hindrance FROM pg_class c";

impl PostgresSession {
    /// Refuses the batches of an online form on a table where they are not the same as one statement. Reads only; dying in it
    /// leaves nothing.
    pub(crate) async fn check_batches(&mut self, script: &Script) -> Result<(), Fault> {
        let all: Vec<String> = refused_online(script).into_iter().map(|(_, table)| table).collect();
        if all.is_empty() {
            return Ok(());
        }
        let tables: Vec<String> =
            all.iter().map(|table| format!("to_regclass({})", literal(Engine::Postgres, table))).collect();
        let rows = self.rows(format!("{HINDRANCES} WHERE c.oid IN ({})", tables.join(", "))).await?;
        let found = rows.iter().find_map(|row| Some((row.text(0)?, row.text(1)?)));
        // A plan says so beside its tenants.
        let Some((name, what)) = found.filter(|_| !self.door.tape.is_on()) else { return Ok(()) };
        let text = format!(
            "{name} has {what}, so that batches are not the same as one statement; nothing was changed; `online = false` in [migrations.\"{}\"] \
             of the tenant file sends it as it is written",
            script.migration
        );
        Err(Fault::with_code(FaultClass::Migration, "FL011", text))
    }

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
    let (notes, guard) = Inside::of_statement(door, &this.step().script, this.sql())
        .map(|around| (around.before, around.behind))
        .unzip();
    let mut all = vec!["BEGIN READ WRITE".to_owned()];
    all.extend(notes);
    // A comment at its end would hide the semicolon.
    all.push(format!("{}\n", this.sql()));
    all.push("SET CONSTRAINTS ALL IMMEDIATE".to_owned());
    all.extend(guard);
    all.extend(["SET LOCAL session_authorization = DEFAULT", "SET LOCAL role = DEFAULT"].map(str::to_owned));
    all.extend(guards::finds_own_tables(door));
    all.push(door.journal().advance(this.statement + 1));
    all.push("COMMIT".to_owned());
    all
}
