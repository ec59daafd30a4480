//! SQL scripts as the catalog and the run see them: entries, scripts, and the views that can be refreshed.
//!
//! It changes no text: what a file says is what is sent.

use std::sync::Arc;

use super::digest;
use super::folder::{RefreshGroup, SqlFolder, SqlPart, SqlScript, SqlStatement};
use crate::model::schema::{Direction, Execution, NOTHING, Record, Script, ScriptEntry, ScriptKind, Source};
use crate::model::tenant::Engine;

/// A view that is brought up to date on request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct View {
    /// Its name.
    pub(crate) name: String,
    /// How often it is meant to be refreshed.
    pub(crate) group: RefreshGroup,
    /// The place in the catalog of the script that makes it.
    pub(crate) index: usize,
    /// What refreshes it, by engine; `None` where the script makes no view.
    scripts: [Option<Arc<Script>>; 3],
}

impl View {
    /// What refreshes it on an engine; `None` where that engine has no such view.
    pub(crate) fn refresh(&self, engine: Engine) -> Option<&Arc<Script>> {
        self.scripts[engine as usize].as_ref()
    }
}

/// What the catalog knows of a script.
pub(super) fn entry(script: &SqlScript) -> ScriptEntry {
    let checksums = Engine::ALL.map(|engine| checksum(script, engine));
    ScriptEntry { kind: script.kind, checksums }
}

/// What is written down for a script on an engine.
pub(super) fn record(script: &SqlScript, engine: Engine) -> Record {
    Record::Script { checksum: checksum(script, engine), repeatable: script.kind == ScriptKind::Repeatable }
}

/// What a script is applied with on an engine.
fn checksum(script: &SqlScript, engine: Engine) -> Arc<str> {
    script.up.get(engine).map_or(NOTHING, |part| &part.checksum).into()
}

/// The script for one engine and direction. One that has no file for the engine does nothing there.
pub(super) fn compile(script: &SqlScript, engine: Engine, direction: Direction) -> Script {
    let part = match direction {
        Direction::Up => script.up.get(engine),
        Direction::Down => script.down.get(engine),
    };
    let record = record(script, engine);
    let does_something = script.up.get(engine).is_some_and(|up| !up.statements.is_empty());
    match part {
        Some(part) => match part.mistakes.first() {
            Some(mistake) => unusable(script, engine, direction, record, mistake.to_string()),
            None => from_part(script, engine, direction, record, part),
        },
        None if direction == Direction::Down && does_something && script.kind == ScriptKind::Versioned => {
            let up = script.up.get(engine).map(|part| part.file.display().to_string()).unwrap_or_default();
            let reason = format!("{up} has no down part; write {}", down_name(script, &up));
            unusable(script, engine, direction, record, reason)
        }
        None => sealed(script, engine, direction, record, Execution::Compiled { transaction: true }, Vec::new(), None),
    }
}

/// What only writes the present checksum down: a person has said that this text is what was applied.
pub(super) fn acceptance(script: &SqlScript, engine: Engine) -> Script {
    let record = record(script, engine);
    sealed(script, engine, Direction::Up, record, Execution::Compiled { transaction: true }, Vec::new(), None)
}

/// The file that a missing down part would be in.
fn down_name(script: &SqlScript, up: &str) -> String {
    match script.name.strip_prefix('V') {
        Some(rest) if rest.contains("__") => format!("U{rest}.sql"),
        _ => {
            let stem = up.strip_suffix(".sql").unwrap_or(up);
            format!("{}.down.sql", stem.strip_suffix(".up").unwrap_or(stem))
        }
    }
}

/// One that can't run: what it says is told before anything is touched.
fn unusable(script: &SqlScript, engine: Engine, direction: Direction, record: Record, reason: String) -> Script {
    sealed(script, engine, direction, record, Execution::Irreversible { reason }, Vec::new(), None)
}

fn from_part(script: &SqlScript, engine: Engine, direction: Direction, record: Record, part: &Arc<SqlPart>) -> Script {
    let execution = Execution::Compiled { transaction: part.transaction && engine.has_transactional_ddl() };
    // A table that the fleet refreshes is filled when it is made; a view of the engine's own fills itself.
    let fills = direction == Direction::Up && !is_materialized(part);
    let filling = part.refresh.iter().filter(|_| fills);
    let all: Vec<&SqlStatement> = part.statements.iter().chain(filling).collect();
    let source = Source { file: part.file.display().to_string(), lines: all.iter().map(|s| s.line).collect() };
    let statements = all.into_iter().map(|s| s.sql.clone()).collect();
    sealed(script, engine, direction, record, execution, statements, Some(source))
}

/// Whether the engine itself keeps the view's rows.
fn is_materialized(part: &SqlPart) -> bool {
    part.refresh
        .first()
        .is_some_and(|s| crate::sql::first_words(Engine::Postgres, &s.sql).next().as_deref() == Some("refresh"))
}

fn sealed(
    script: &SqlScript,
    engine: Engine,
    direction: Direction,
    record: Record,
    execution: Execution,
    statements: Vec<String>,
    source: Option<Source>,
) -> Script {
    let sha256 = digest(engine, direction, &execution, &statements);
    Script { migration: script.name.clone(), direction, engine, execution, statements, sha256, record, source }
}

/// The views of a folder; `first` is the place of its first script in the catalog.
pub(super) fn views(folder: &SqlFolder, first: usize) -> Vec<View> {
    let mut views: Vec<View> = Vec::new();
    for (number, script) in folder.scripts.iter().enumerate() {
        for (engine, part) in script.up.iter() {
            let Some(note) = &part.view else { continue };
            let refresh = Arc::new(refresh(script, engine, part, &note.name));
            let at = views.iter().position(|v| v.name == note.name).unwrap_or_else(|| {
                let view = View {
                    name: note.name.clone(),
                    group: note.group,
                    index: first + number,
                    scripts: [const { None }; 3],
                };
                views.push(view);
                views.len() - 1
            });
            views[at].scripts[engine as usize] = Some(refresh);
        }
    }
    views
}

/// What brings a view up to date: in one transaction on every engine, since it changes rows only.
fn refresh(script: &SqlScript, engine: Engine, part: &SqlPart, view: &str) -> Script {
    let source = Source { file: part.file.display().to_string(), lines: part.refresh.iter().map(|s| s.line).collect() };
    let record = Record::Refresh { view: view.to_owned() };
    let statements = part.refresh.iter().map(|s| s.sql.clone()).collect();
    let execution = Execution::Compiled { transaction: true };
    sealed(script, engine, Direction::Up, record, execution, statements, Some(source))
}
