//! SQL scripts as the catalog and the run see them: entries, scripts, and refreshable views.
//!
//! It changes no text: a file's statements are sent as they are.

use std::ffi::OsStr;
use std::path::Path;
use std::sync::Arc;

use super::digest;
use super::folder::{SqlFolder, SqlPart, SqlScript, SqlStatement};
use crate::model::engine::{Engine, EngineMap, Variant, VariantMap};
use crate::model::schema::{
    Direction, Execution, HistoryChange, NOTHING, Record, Script, ScriptEntry, ScriptKind, Source,
};
use crate::policy::RefreshGroup;

/// A view that is refreshed on request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct View {
    pub(crate) name: String,
    /// The intended frequency of its refreshes.
    pub(crate) group: RefreshGroup,
    /// The index in the catalog of the script that creates it.
    pub(crate) index: usize,
    /// The refresh script by variant; `None` if the script creates no view.
    scripts: VariantMap<Option<Arc<Script>>>,
}

impl View {
    /// The refresh script for a tenant; `None` if it has no such view.
    pub(crate) fn refresh(&self, variant: Variant) -> Option<&Arc<Script>> {
        self.scripts[variant].as_ref()
    }
}

/// The catalog entry of a script.
pub(super) fn entry(script: &SqlScript) -> ScriptEntry {
    let checksums = VariantMap {
        engines: EngineMap::from_fn(|engine| checksum(script, engine.into())),
        mariadb: script.has_flavours().then(|| checksum(script, Variant::MariaDb)),
    };
    ScriptEntry { kind: script.kind, checksums }
}

/// The history record of a script on a tenant.
pub(super) fn record(script: &SqlScript, variant: Variant) -> Record {
    Record::Script { checksum: checksum(script, variant), repeatable: script.kind == ScriptKind::Repeatable }
}

/// The checksum of a script on a tenant.
fn checksum(script: &SqlScript, variant: Variant) -> Arc<str> {
    script.up.get(variant).map_or(NOTHING, |part| &part.checksum).into()
}

/// The script for one variant and direction. A script without a file for the engine does nothing there.
pub(super) fn compile(script: &SqlScript, variant: Variant, direction: Direction) -> Script {
    let open = Open { script, variant, direction, record: record(script, variant) };
    let does_something = script.up.get(variant).is_some_and(|up| !up.statements.is_empty());
    match script.part(variant, direction) {
        Some(part) => match part.mistakes.first() {
            Some(mistake) => open.unusable(mistake.to_string()),
            None => open.with_part(part),
        },
        None if direction == Direction::Down && does_something && script.kind == ScriptKind::Versioned => {
            let up = script.up.get(variant).map(|part| part.file.display().to_string()).unwrap_or_default();
            let reason = format!("{up} has no down part; write {}", down_name(script, &up));
            open.unusable(reason)
        }
        // Its views would stand in the way of the migrations before it.
        None if direction == Direction::Down && does_something => {
            let up = compile(script, variant, Direction::Up);
            let made = up.statements.iter().flat_map(|sql| crate::sql::made(variant.engine(), sql));
            let views = made.filter(|made| made.kind.is_view_or_trigger()).collect::<Vec<_>>();
            taken_down(&up, views.iter().rev().filter_map(|made| made.drop(&views)).collect())
        }
        None => open.seal(Execution::Compiled { transaction: true }, Vec::new(), None),
    }
}

/// A script that only records the current checksum: an operator has confirmed that this text is the one applied.
pub(super) fn acceptance(script: &SqlScript, variant: Variant) -> Script {
    let open = Open { script, variant, direction: Direction::Up, record: record(script, variant) };
    open.seal(Execution::Compiled { transaction: true }, Vec::new(), None)
}

/// The script that takes a repeatable script down in these statements, each of which may be repeated.
pub(super) fn taken_down(up: &Script, statements: Vec<String>) -> Script {
    let execution = Execution::Compiled { transaction: up.engine.capabilities().transactional_ddl };
    let sha256 = digest(up.engine, Direction::Down, &execution, &statements);
    let record = Record::TakenDown;
    Script { direction: Direction::Down, execution, statements, sha256, record, source: None, ..up.clone() }
}

/// A script that only removes the row of a repeatable script whose file is gone.
pub(super) fn forgetting(name: &str, engine: Engine) -> Script {
    let (direction, execution) = (Direction::Down, Execution::Compiled { transaction: true });
    Script {
        migration: name.into(),
        direction,
        engine,
        flavour: None,
        sha256: digest(engine, direction, &execution, &[]),
        execution,
        statements: Vec::new(),
        has_variables: false,
        record: Record::Script { checksum: NOTHING.into(), repeatable: true },
        source: None,
        online: None,
    }
}

/// A script that only changes rows of the history, so that the tenant counts as at this version.
pub(super) fn recording(version: &str, change: HistoryChange, engine: Engine) -> Script {
    Script {
        migration: version.into(),
        direction: Direction::Up,
        record: Record::History(change),
        ..forgetting("", engine)
    }
}

/// The file name of a missing down part.
fn down_name(script: &SqlScript, up: &str) -> String {
    let file = Path::new(up);
    match script.name.strip_prefix('V') {
        // The folder of one migration.
        _ if file.parent().is_some_and(|folder| folder.file_name() == Some(OsStr::new(&*script.name))) => {
            file.with_file_name("down.sql").display().to_string()
        }
        Some(rest) if rest.contains("__") => format!("U{rest}.sql"),
        _ => {
            let stem = up.strip_suffix(".sql").unwrap_or(up);
            format!("{}.down.sql", stem.strip_suffix(".up").unwrap_or(stem))
        }
    }
}

/// A script whose statements are not sealed yet.
struct Open<'a> {
    script: &'a SqlScript,
    variant: Variant,
    direction: Direction,
    record: Record,
}

impl Open<'_> {
    /// A script that can't run: the reason is reported before anything is touched.
    fn unusable(self, reason: String) -> Script {
        self.seal(Execution::Irreversible { reason }, Vec::new(), None)
    }

    fn with_part(self, part: &SqlPart) -> Script {
        let transaction = part.transaction && self.variant.engine().capabilities().transactional_ddl;
        // A table that fleet refreshes is filled when it is created; an engine's own materialized view fills itself.
        let fills = self.direction == Direction::Up && !is_materialized(self.variant.engine(), part);
        let filling = part.refresh.iter().filter(|_| fills);
        let all: Vec<&SqlStatement> = part.statements.iter().chain(filling).collect();
        let source = Source { file: part.file.display().to_string(), lines: all.iter().map(|s| s.line).collect() };
        let statements = all.into_iter().map(|s| s.sql.clone()).collect();
        self.seal(Execution::Compiled { transaction }, statements, Some(source))
    }

    fn seal(self, execution: Execution, statements: Vec<String>, source: Option<Source>) -> Script {
        let Open { script, variant, direction, record } = self;
        let (engine, flavour) = (variant.engine(), script.flavour(variant));
        let sha256 = digest(engine, direction, &execution, &statements);
        let has_variables = script.part(variant, direction).is_some_and(|part| !part.variables.is_empty());
        let migration = script.name.clone();
        Script {
            migration,
            direction,
            engine,
            flavour,
            execution,
            statements,
            sha256,
            has_variables,
            record,
            source,
            online: None,
        }
    }
}

/// Whether the engine itself stores the view's rows.
fn is_materialized(engine: Engine, part: &SqlPart) -> bool {
    let first = part.refresh.first().and_then(|s| crate::sql::first_words(engine, &s.sql).next());
    first.as_deref() == Some("refresh")
}

/// The views of a folder; `first` is the catalog index of its first script.
pub(super) fn views(folder: &SqlFolder, first: usize) -> Vec<View> {
    let mut views: Vec<View> = Vec::new();
    for (number, script) in folder.scripts.iter().enumerate() {
        for (variant, part) in script.up.iter() {
            let Some(note) = &part.view else { continue };
            let refresh = Arc::new(refresh(script, variant, part, &note.name));
            let at = views.iter().position(|v| v.name == note.name).unwrap_or_else(|| {
                let view = View {
                    name: note.name.clone(),
                    group: note.group,
                    index: first + number,
                    scripts: VariantMap::default(),
                };
                views.push(view);
                views.len() - 1
            });
            match variant {
                Variant::Of(engine) => views[at].scripts.engines[engine] = Some(refresh),
                Variant::MariaDb => views[at].scripts.mariadb = Some(Some(refresh)),
            }
        }
    }
    views
}

/// The script that refreshes a view: in one transaction on every engine, since it changes rows only.
fn refresh(script: &SqlScript, variant: Variant, part: &SqlPart, view: &str) -> Script {
    let source = Source { file: part.file.display().to_string(), lines: part.refresh.iter().map(|s| s.line).collect() };
    let statements = part.refresh.iter().map(|s| s.sql.clone()).collect();
    let open = Open { script, variant, direction: Direction::Up, record: Record::Refresh { view: view.to_owned() } };
    open.seal(Execution::Compiled { transaction: true }, statements, Some(source))
}
