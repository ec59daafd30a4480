//! `tenants sources`, and the news of sources before a run: who is new, and who is gone.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use uuid::Uuid;

use super::args::{Command, Output, Runs, Tenants};
use super::code::Code;
use super::exit::CliError;
use super::files;
use super::setup::{Program, quoted};
use super::terminal::{self, Terminal};
use super::waiting::{Wait, waiting};
use crate::inputs::registry::{Discovered, Registry, Source};
use crate::inputs::{LedgerLocation, folder_of};
use crate::ledger::Ledger;
use crate::model::clock::now_ms;
use crate::model::source::SourceNote;
use crate::model::tenant::TenantId;
use crate::report::sources::{self, Since, SourceRow};
use crate::report::{clean, count, first};
use crate::sources::{self as asked, OwnFiles};

/// The tenants of a message that are named.
const NAMED: usize = 10;

/// The part of the tenant file that a command reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reads {
    Nothing,
    /// The file alone: a source that is down must not keep a person from the settings or the recorded runs.
    File,
    Sources,
}

impl Reads {
    pub(super) fn of(command: &Command) -> Self {
        match command {
            Command::Completions { .. } | Command::Man { .. } | Command::Init(_) => Reads::Nothing,
            Command::HelpExitCodes | Command::HelpReference { .. } => Reads::Nothing,
            Command::New(new) if !new.sql => Reads::Nothing,
            Command::New(_) | Command::Config(_) => Reads::File,
            Command::Runs(Runs::List { .. } | Runs::Show { .. }) => Reads::File,
            Command::Tenants(Tenants::Edit(_) | Tenants::Provision(_)) => Reads::Nothing,
            _ => Reads::Sources,
        }
    }
}

/// Asks all sources of a file.
///
/// # Errors
/// Each source that gave no whole answer.
pub(super) async fn ask(registry: &Registry, terminal: Terminal, code: &Code) -> Result<Discovered, CliError> {
    let here = std::env::current_dir().unwrap_or_default();
    let path = registry.path.strip_prefix(here).unwrap_or(&registry.path).display();
    answers(registry, terminal, code).await.map_err(|lines| {
        CliError::CanNotStart(format!(
            "{lines}\nno tenant was touched: put it right and try again; without its [[source]] in {path} its tenants are in no run"
        ))
    })
}

/// The answers of all sources; an error has a line for each that gave no whole one.
pub(super) async fn answers(registry: &Registry, terminal: Terminal, code: &Code) -> Result<Discovered, String> {
    let migrations = Arc::new(code.migrations().await.map_err(|error| error.to_string())?);
    let folder = folder_of(&registry.path);
    let wait = Wait { what: "asking sources", done: &Default::default(), all: 0 };
    let settings = &registry.settings;
    let ledger = if let LedgerLocation::File(file) = &settings.ledger { Some(file.clone()) } else { None };
    let folders = [Some(settings.backups.clone()), files::cache("templates")].into_iter().flatten().collect();
    let own = OwnFiles { ledger, folders };
    let answer = waiting(terminal, wait, asked::read(&registry.sources, (&folder, &own), &migrations)).await;
    if let Ok((_, told)) = &answer {
        told.iter().for_each(|line| terminal.warn(&clean(line)));
    }
    answer.map(|(discovered, _)| discovered).map_err(|errors| {
        let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
        lines.join("\n")
    })
}

/// The sources with what is new and gone since they were noted last.
pub(super) async fn news(program: &Program) -> Result<Vec<SourceRow>, CliError> {
    let registry = &program.registry;
    if registry.sources.is_empty() || !registry.is_whole {
        return Ok(Vec::new());
    }
    let read = async |ledger: &Ledger| ledger.sources().await.map_err(CliError::Ledger);
    let notes = program.read_ledger_if_any(read).await?.unwrap_or_default();
    let here: HashSet<&TenantId> = registry.tenants.iter().map(|tenant| &tenant.id).collect();
    let row = |note: SourceNote| -> SourceRow {
        let before = notes.iter().find(|before| before.source == note.source);
        let new = |before: &SourceNote| note.tenants.difference(&before.tenants).cloned().collect();
        let gone = |before: &SourceNote| before.tenants.iter().filter(|id| !here.contains(id)).cloned().collect();
        let source = registry.sources.iter().find(|source| source.name == note.source);
        SourceRow {
            source: note.source.to_string(),
            kind: source.map_or("", |source| source.kind.key()),
            max_gone: source.map_or(0, |source| source.max_gone),
            tenants: note.tenants.len(),
            new: before.map(new).unwrap_or_default(),
            gone: before.map(gone).unwrap_or_default(),
            since: before.map(|before| Since {
                run: before.run.map(|run| run.to_string()),
                at_ms: before.at_ms,
                tenants: before.tenants.len(),
            }),
        }
    };
    let mut rows: Vec<SourceRow> = notes_of(program, None).into_iter().map(row).collect();
    let left = notes.iter().filter(|note| !registry.sources.iter().any(|source| source.name == note.source));
    rows.extend(left.map(|note| SourceRow {
        source: note.source.to_string(),
        kind: "",
        // It was taken out of the file by a person.
        max_gone: 100,
        tenants: 0,
        new: Vec::new(),
        gone: note.tenants.iter().filter(|id| !here.contains(id)).cloned().collect(),
        since: Some(Since { run: note.run.map(|run| run.to_string()), at_ms: note.at_ms, tenants: note.tenants.len() }),
    }));
    Ok(rows)
}

/// The answers of the sources of this command, to be noted.
fn notes_of(program: &Program, run: Option<Uuid>) -> Vec<SourceNote> {
    let (registry, at_ms) = (&program.registry, now_ms());
    let note = |source: &Source| SourceNote { source: source.name.clone(), run, at_ms, tenants: BTreeSet::new() };
    let mut notes: Vec<SourceNote> = registry.sources.iter().map(note).collect();
    for (tenant, source) in registry.tenants.iter().filter_map(|tenant| Some((tenant, tenant.source.as_ref()?))) {
        if let Some(note) = notes.iter_mut().find(|note| note.source == *source) {
            note.tenants.insert(tenant.id.clone());
        }
    }
    notes
}

/// Warns of tenants that are gone: nobody would miss them otherwise.
pub(super) fn warn_of_gone(program: &Program) {
    for row in program.news.iter().filter(|row| !row.gone.is_empty()) {
        let more = if is_too_much(row) { "; a run is refused" } else { "; their databases are left as they are" };
        program.terminal.warn(&format!("{}{more}", gone(row)));
    }
    for row in program.news.iter().filter(|row| row.tenants == 0 && !row.kind.is_empty()) {
        program.terminal.warn(&format!("source `{}` has no tenant", clean(&row.source)));
    }
}

/// Says what the sources gave.
pub(super) fn tell(program: &Program) {
    for row in program.news.iter().filter(|row| !row.kind.is_empty() && !program.terminal.quiet) {
        let changes = match &row.since {
            None => ", noted for the first time".to_owned(),
            Some(since) => format!(", {} new, {} gone since {}", row.new.len(), row.gone.len(), since.text()),
        };
        program.terminal.tell(&format!("source {}: {}{changes}", clean(&row.source), count(row.tenants, "tenant")));
    }
}

fn gone(row: &SourceRow) -> String {
    let names: Vec<String> = row.gone.iter().map(|id| clean(id.as_str())).collect();
    let (of, since) = row.since.as_ref().map(|since| (since.tenants, since.text())).unwrap_or_default();
    format!(
        "source `{}`: {} of {of} tenants {} gone since {since}: {}",
        clean(&row.source),
        names.len(),
        if names.len() == 1 { "is" } else { "are" },
        first(&names, NAMED)
    )
}

fn is_too_much(row: &SourceRow) -> bool {
    let of = row.since.as_ref().map_or(0, |since| since.tenants);
    row.gone.len() * 100 > usize::from(row.max_gone) * of
}

/// Refuses a run where more tenants are gone than their source allows.
pub(super) fn refuse_gone(program: &Program) -> Result<(), CliError> {
    let lines: Vec<String> = program
        .news
        .iter()
        .filter(|row| is_too_much(row))
        .map(|row| {
            let accept = program.command(&format!("tenants sources --accept {}", quoted(&row.source)));
            format!("{}; max_gone allows {}%\n  if they are gone for good: {accept}", gone(row), row.max_gone)
        })
        .collect();
    if lines.is_empty() {
        return Ok(());
    }
    Err(CliError::CanNotStart(format!(
        "{}\nno tenant was touched: look at the source first, which may not have told all; then try again",
        lines.join("\n")
    )))
}

/// Notes in the ledger what the sources gave this run. Dying before it: the notes of the run before stand, and the next
/// command tells the same news again.
pub(super) async fn note(program: &Program, ledger: &Ledger, run: Uuid) {
    if !program.registry.is_whole || (program.registry.sources.is_empty() && program.news.is_empty()) {
        return;
    }
    if let Err(error) = ledger.note_sources(&notes_of(program, Some(run))).await {
        program.terminal.warn(&format!("failed to {error}; the next run compares with an older note of the sources"));
    }
}

/// `tenants sources`.
pub(super) async fn list(program: &Program, accept: &[String], output: &Output) -> Result<u8, CliError> {
    let known: Vec<&str> = program.registry.sources.iter().map(|source| &*source.name).collect();
    if let Some(unknown) = accept.iter().find(|name| !known.contains(&name.as_str())) {
        let text = format!("there is no source {}; the sources are: {}", clean(unknown), known.join(", "));
        return Err(CliError::Usage(text));
    }
    if !accept.is_empty() {
        let notes = notes_of(program, None);
        let notes: Vec<SourceNote> =
            notes.into_iter().filter(|note| accept.iter().any(|name| **name == *note.source)).collect();
        super::session::refuse_tenant(program)?;
        let ledger = Ledger::open(&program.settings().ledger).await.map_err(CliError::Ledger)?;
        let noted = ledger.note_sources(&notes).await.map_err(CliError::Ledger);
        ledger.close().await;
        noted?;
        for note in &notes {
            let text = format!("accepted {} of source {}", count(note.tenants.len(), "tenant"), clean(&note.source));
            terminal::print(&text)?;
        }
        return Ok(0);
    }
    output.deliver(&sources::list(&program.news, output.format, &output.style(program)))?;
    Ok(0)
}
