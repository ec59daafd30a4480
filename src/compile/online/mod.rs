//! The online form of a migration: statements that hold a long lock, rewritten to forms that hold short ones.
//!
//! It reads and makes text; what it can't read stays as it is, with the reason. It sends nothing, and never changes the
//! checksum by which a tenant knows the migration.

mod mysql;
mod postgres;
mod rows;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;

use super::digest;
use crate::model::engine::{Engine, EngineMap};
use crate::model::schema::{Direction, Execution, Kept, OnlineForm, Record, Script, Source};
use crate::sql::{changes_session, first_words, reads_session, split};

/// A statement in the online form.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Rewritten {
    /// It holds no long lock, as far as its text tells.
    Same,
    /// These in its place, in order.
    Into(Vec<String>),
    /// It stays although it may hold a long lock, for this reason.
    Kept(String),
}

/// All statements of a script, each rewritten, beside the names of views.
type Rewriter = fn(Engine, &[String], &BTreeSet<String>) -> Vec<Rewritten>;

/// SQLite locks the whole file for each change, whatever its form.
static REWRITERS: EngineMap<Option<Rewriter>> =
    EngineMap { sqlite: None, postgres: Some(postgres::rewrite), mysql: Some(mysql::rewrite) };

/// Statements that are refused because of what a tenant's table has, by number from 1, each with its table.
type Refused = fn(Engine, &[String]) -> Vec<(usize, String)>;

static REFUSED: EngineMap<Option<Refused>> =
    EngineMap { sqlite: None, postgres: Some(postgres::in_batches), mysql: Some(mysql::refused_beside_full_text) };

/// The statements of an online form that are refused where a tenant's table has what goes not with them, by number from 1, each
/// with its table: a full-text index on MySQL, a trigger that sees statements on PostgreSQL.
pub(crate) fn refused_online(script: &Script) -> Vec<(usize, String)> {
    REFUSED[script.engine]
        .filter(|_| script.is_online())
        .map(|of| of(script.engine, &script.statements))
        .unwrap_or_default()
}

/// The verbs of statements that mean the same alone in a transaction as together with their neighbours.
const ALONE: [&str; 9] = ["create", "alter", "drop", "comment", "insert", "update", "delete", "grant", "revoke"];

/// The online form of a script; where nothing can be rewritten, the script itself, with the reasons. The way down and
/// repeatable scripts have none. `views` are the names, in lower case, that any migration makes a view of.
pub(super) fn online(script: &Arc<Script>, views: &BTreeSet<String>) -> Arc<Script> {
    let has_form = matches!(script.record, Record::Migration | Record::Script { repeatable: false, .. });
    if script.direction == Direction::Down || !has_form || script.statements.is_empty() {
        return script.clone();
    }
    let whole = |why: &str| kept(script, vec![Kept { statement: None, why: why.to_owned() }]);
    let Some(rewriter) = REWRITERS[script.engine] else {
        return whole("the engine locks the whole database for each change, whatever its form");
    };
    let transaction = match &script.execution {
        Execution::Compiled { transaction } => *transaction,
        Execution::Native { .. } => return whole("it runs as Rust code"),
        Execution::Irreversible { .. } => return script.clone(),
    };
    let rewritten = rewriter(script.engine, &script.statements, views);
    let reason = |(at, of): (usize, &Rewritten)| match of {
        Rewritten::Kept(why) => Some(Kept { statement: Some(at + 1), why: why.clone() }),
        _ => None,
    };
    let mut reasons: Vec<Kept> = rewritten.iter().enumerate().filter_map(reason).collect();
    if !rewritten.iter().any(|of| matches!(of, Rewritten::Into(_))) {
        return if reasons.is_empty() { script.clone() } else { kept(script, reasons) };
    }
    if let Some(why) = bound_together(script) {
        reasons.insert(0, Kept { statement: None, why });
        return kept(script, reasons);
    }
    let (mut statements, mut lines) = (Vec::new(), Vec::new());
    for (at, of) in rewritten.into_iter().enumerate() {
        let before = statements.len();
        match of {
            Rewritten::Into(new) => statements.extend(new),
            Rewritten::Same | Rewritten::Kept(_) => statements.push(script.statements[at].clone()),
        }
        let line = script.source.as_ref().and_then(|source| source.lines.get(at)).copied();
        lines.extend(std::iter::repeat_n(line.unwrap_or(1), statements.len() - before));
    }
    let transaction = transaction && !script.engine.capabilities().transactional_ddl;
    let execution = Execution::Compiled { transaction };
    let form =
        OnlineForm { original: script.statements.clone(), original_sha256: script.sha256.clone(), kept: reasons };
    let sha256 = digest(script.engine, script.direction, &execution, &statements);
    let source = script.source.as_ref().map(|source| Source { file: source.file.clone(), lines });
    Arc::new(Script { execution, statements, sha256, source, online: Some(form), ..Script::clone(script) })
}

fn kept(script: &Script, kept: Vec<Kept>) -> Arc<Script> {
    let form = OnlineForm { original: Vec::new(), original_sha256: script.sha256.clone(), kept };
    Arc::new(Script { online: Some(form), ..Script::clone(script) })
}

/// The reason why the statements of a script can't be committed one by one, on an engine that would else roll all of them
/// back.
fn bound_together(script: &Script) -> Option<String> {
    let engine = script.engine;
    if !engine.capabilities().transactional_ddl {
        return None;
    }
    if script.has_variables {
        return Some("it has variables, whose values may change before it goes on".to_owned());
    }
    let needs_others = |piece: &str| {
        let is_alone = first_words(engine, piece).next().is_some_and(|verb| ALONE.contains(&verb.as_str()));
        // An @ is a session's variable on other engines only.
        !is_alone || changes_session(engine, &piece.replace('@', "")) || reads_session(piece)
    };
    script.statements.iter().enumerate().find_map(|(at, sql)| {
        let piece = split(engine, sql).into_iter().find(|piece| needs_others(piece.text))?;
        let name = crate::sql::transaction::name(engine, piece.text);
        Some(format!("statement {} (`{name}`) may need the transaction of the others", at + 1))
    })
}
