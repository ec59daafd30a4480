//! PostgreSQL statements that can't run in a transaction, chiefly concurrent index builds.
//!
//! It keeps no journal: the session writes it around each statement.

use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::engine::literal;
use crate::engine::postgres::PostgresSession;
use crate::engine::postgres::inside::Inside;
use crate::engine::queries::Queries as _;
use crate::model::fault::{Fault, FaultClass, LEFT_INVALID};
use crate::model::tenant::Engine;
use crate::sql::{DdlEffect, Named, SchemaObject, effect};

/// Invalid indexes by their quoted names; a condition may follow.
const INVALID: &str = "SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname) FROM pg_index i JOIN pg_class c ON c.oid = \
                       i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace WHERE NOT i.indisvalid";

impl PostgresSession {
    /// Runs a statement outside a transaction. An index left invalid by an earlier attempt would hide behind `IF NOT
    /// EXISTS`.
    pub(crate) async fn run_outside(&mut self, sql: &str, lock: Duration) -> Result<(), Fault> {
        let words: Vec<String> = crate::sql::first_words(Engine::Postgres, sql).take(4).collect();
        let concurrently = words.iter().any(|w| w == "concurrently");
        if !concurrently {
            return self.run(sql.to_owned()).await;
        }
        if words[0] == "create" {
            self.drop_invalid_indexes(sql).await?;
        }
        // A lock timeout would leave an invalid index behind; these statements block no session while they wait.
        self.run("SET lock_timeout = 0".to_owned()).await?;
        self.is_patient.store(true, Ordering::Relaxed);
        let mut result = self.run(sql.to_owned()).await;
        self.is_patient.store(false, Ordering::Relaxed);
        if let Err(fault) = &mut result
            && fault.class != FaultClass::ConnectionLost
        {
            fault.message.push_str(&self.left_invalid(sql, words[0] == "create").await);
        }
        let back = format!("SET lock_timeout = {}", lock.as_millis());
        result.and(self.run(back).await)
    }

    /// Runs a statement that runs code, on a tenant that is a schema: in a transaction of its own, which is rolled back if it
    /// changed something outside of the schema. Code that commits by itself is refused in one; it is run without, and what it
    /// changes elsewhere is not seen.
    ///
    /// Dying in it: the server rolls the transaction back or has committed it whole, and the journal names the statement.
    pub(crate) async fn run_inside(&mut self, sql: &str, around: &Inside, lock: Duration) -> Result<(), Fault> {
        let Inside { before, behind } = around;
        let Err(fault) = self.run(format!("BEGIN;\n{before};\n{sql}\n;\n{behind};\nCOMMIT")).await else {
            return Ok(());
        };
        if fault.class == FaultClass::ConnectionLost {
            return Err(fault);
        }
        self.run("ROLLBACK".to_owned()).await?;
        let needs_none = matches!(fault.code.as_deref(), Some("25001" | "2D000"));
        if needs_none { self.run_outside(sql, lock).await } else { Err(fault) }
    }

    /// The invalid indexes that a refused statement has left, in words. Reads only.
    async fn left_invalid(&mut self, sql: &str, is_create: bool) -> String {
        let which = match effect(Engine::Postgres, sql) {
            Some(DdlEffect::Creates(SchemaObject::Index(index, Some(table)))) => format!(
                "c.relname = {} AND i.indrelid = to_regclass({})",
                literal(Engine::Postgres, &index.name),
                literal(Engine::Postgres, &quoted(&table))
            ),
            // REINDEX builds under these names (https://www.postgresql.org/docs/15/sql-reindex.html).
            _ if !is_create => "c.relname ~ '_cc(new|old)[0-9]*$' AND pg_table_is_visible(c.oid)".to_owned(),
            _ => return String::new(),
        };
        let Ok(rows) = self.rows(format!("{INVALID} AND {which}")).await else { return String::new() };
        let names: Vec<String> = rows.iter().map(|row| row.must(0)).collect();
        let drops = names.iter().map(|name| format!("DROP INDEX CONCURRENTLY {name};")).collect::<Vec<_>>().join(" ");
        let next = if is_create { "the next run of this script drops it, or type " } else { "type " };
        match names.is_empty() {
            true => String::new(),
            false => format!("; {LEFT_INVALID}{} has stayed: {next}{drops}", names.join(", ")),
        }
    }

    /// Drops the index of exactly this name, on the table that the statement names, if an earlier attempt left it
    /// invalid.
    async fn drop_invalid_indexes(&mut self, sql: &str) -> Result<(), Fault> {
        let Some(DdlEffect::Creates(SchemaObject::Index(index, Some(table)))) = effect(Engine::Postgres, sql) else {
            return Ok(());
        };
        // An index lives in the schema of its table (https://www.postgresql.org/docs/15/sql-createindex.html).
        let invalid = format!(
            "{INVALID} AND c.relname = {} AND i.indrelid = to_regclass({})",
            literal(Engine::Postgres, &index.name),
            literal(Engine::Postgres, &quoted(&table))
        );
        for row in self.rows(invalid).await? {
            self.run(format!("DROP INDEX CONCURRENTLY {}", row.must(0))).await?;
        }
        Ok(())
    }
}

/// A name as SQL has it.
pub(crate) fn quoted(named: &Named) -> String {
    let schema = named.schema.iter().map(|schema| Engine::Postgres.quote(schema) + ".");
    schema.chain([Engine::Postgres.quote(&named.name)]).collect()
}
