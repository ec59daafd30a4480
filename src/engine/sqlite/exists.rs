//! The class of a statement that makes what is there already: SQLite has one code for all mistakes in SQL, so its schema
//! is asked.
//!
//! It reads only, behind the rollback.

use crate::engine::queries::Queries as _;
use crate::engine::sqlite::SqliteSession;
use crate::engine::{ApplyError, Work, literal};
use crate::model::fault::{Fault, FaultClass};
use crate::model::tenant::Engine;
use crate::sql::{DdlEffect, SchemaObject, effect, made};

impl SqliteSession {
    /// The same stop, of class `already_exists` where what the refused statement makes is there.
    pub(crate) async fn told_apart(&mut self, work: &Work, stop: ApplyError) -> ApplyError {
        if stop.fault.code.as_deref() != Some("1") || stop.fault.class != FaultClass::Other {
            return stop;
        }
        let Some(query) = refused(work, &stop).and_then(question) else { return stop };
        match self.rows(query).await {
            Ok(rows) if !rows.is_empty() => {
                ApplyError { fault: Fault { class: FaultClass::AlreadyExists, ..stop.fault }, ..stop }
            }
            _ => stop,
        }
    }
}

/// The statement that was refused.
fn refused<'w>(work: &'w Work, stop: &ApplyError) -> Option<&'w str> {
    let at = stop.at.as_ref()?;
    let step = work.steps.iter().find(|step| *step.script.migration == *at.migration)?;
    step.script.statements.get(at.statement?.checked_sub(1)?).map(String::as_str)
}

/// The query that has a row if an object is there that a statement makes whatever is there.
fn question(sql: &str) -> Option<String> {
    if sql.to_ascii_lowercase().contains("if not exists") {
        return None;
    }
    let name = |name: &str| literal(Engine::Sqlite, name);
    let mut names: Vec<String> = made(Engine::Sqlite, sql).iter().map(|made| name(&made.name)).collect();
    match effect(Engine::Sqlite, sql) {
        Some(DdlEffect::Creates(SchemaObject::Column(table, column))) => {
            let (table, column) = (name(&table.name), name(&column));
            return Some(format!("SELECT 1 FROM pragma_table_xinfo({table}) WHERE name = {column} COLLATE NOCASE"));
        }
        Some(DdlEffect::Creates(SchemaObject::Index(index, _))) => names.push(name(&index.name.to_lowercase())),
        _ => {}
    }
    let list = names.join(", ");
    (!names.is_empty()).then(|| format!("SELECT 1 FROM sqlite_master WHERE lower(name) IN ({list})"))
}
