//! Asks the sources of a tenant file for their tenants: databases, files, programs, Kubernetes.
//!
//! It touches no tenant, and judges no row: that is the registry's. An answer is whole, or an error.

mod database;
mod files;
mod list;
mod secrets;

use std::path::Path;
use std::sync::Arc;

use futures_util::future::join_all;
use serde_json::{Map, Value};

use crate::compile::MigrationSet;
use crate::external::Secrets;
use crate::external::program::Program;
use crate::inputs::registry::{Discovered, Row, Source, SourceKind};
use crate::policy::{format_duration, program_of};
use crate::sql::without_passwords;

pub(crate) use files::OwnFiles;

/// The most tenants of a source.
const MOST_ROWS: usize = 500_000;

/// The most bytes of an answer: of a program's output, or a file.
const MOST_BYTES: u64 = 256 * 1024 * 1024;

/// The values of a row, by key.
type Values = Map<String, Value>;

/// The answer of a source.
struct Answer {
    rows: Vec<Values>,
    /// The ids of files that are no tenants, each with the reason.
    left_out: Vec<(String, String)>,
}

impl From<Vec<Values>> for Answer {
    fn from(rows: Vec<Values>) -> Self {
        Answer { rows, left_out: Vec::new() }
    }
}

/// A source that gave no whole answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("source `{name}` {why}")]
pub(crate) struct SourceError {
    pub(crate) name: Arc<str>,
    why: String,
}

/// Asks all sources at once, each within its time limit. Programs start in `folder`; `migrations` are for the sessions, and
/// none is run. Returns the answers, and what was left out of them although it matches, as sentences.
///
/// Dying in it: no tenant was touched; a program that was started goes on by itself.
///
/// # Errors
/// Each source that gave no whole answer, in their order.
pub(crate) async fn read(
    sources: &[Source],
    (folder, own): (&Path, &OwnFiles),
    migrations: &Arc<MigrationSet>,
) -> Result<(Discovered, Vec<String>), Vec<SourceError>> {
    let asked = join_all(sources.iter().map(async |source| {
        let late = |_| Err(format!("gave no answer within {}", format_duration(source.timeout)));
        let answer = answer(source, (folder, own), migrations);
        let answer = match &source.kind {
            // A program is killed by its own limit, and told by name.
            SourceKind::Command(_) | SourceKind::Kubernetes(_) => answer.await,
            _ => tokio::time::timeout(source.timeout, answer).await.unwrap_or_else(late),
        };
        let rows = answer.and_then(|answer| Ok((rows(source, answer.rows)?, answer.left_out)));
        let error = |why: String| SourceError { name: source.name.clone(), why: without_passwords(&why) };
        rows.map(|rows| (source, rows)).map_err(error)
    }));
    let (mut discovered, mut told, mut errors) = (Discovered::new(), Vec::new(), Vec::new());
    for answer in asked.await {
        match answer {
            Ok((source, (rows, left_out))) => {
                discovered.insert(source.name.clone(), rows);
                let told_of = left_out.into_iter().filter(|(id, _)| !source.exclude.matches(id));
                told.extend(told_of.map(|(id, why)| {
                    format!("source `{}`: {why}, and no tenant; `exclude = [\"{id}\"]` says the same", source.name)
                }));
            }
            Err(error) => errors.push(error),
        }
    }
    if errors.is_empty() { Ok((discovered, told)) } else { Err(errors) }
}

async fn answer(
    source: &Source,
    (folder, own): (&Path, &OwnFiles),
    migrations: &Arc<MigrationSet>,
) -> Result<Answer, String> {
    let rows = match &source.kind {
        SourceKind::Query { database, sql } => {
            database::Asked { database, folder, migrations, limit: source.timeout }.query(sql).await
        }
        SourceKind::Schemas { database, names } => {
            database::Asked { database, folder, migrations, limit: source.timeout }.schemas(names).await
        }
        SourceKind::Databases { database, names } => {
            database::Asked { database, folder, migrations, limit: source.timeout }.databases(names).await
        }
        SourceKind::Files(pattern) => {
            let (pattern, folder, own) = (pattern.clone(), folder.to_owned(), own.clone());
            return apart(move || files::matching(&pattern, &folder, &own)).await;
        }
        SourceKind::Command(words) => {
            let text = output(words, folder, source).await?;
            apart(move || list::json_lines(&text)).await.map_err(|why| format!("{}: {why}", named(words)))
        }
        SourceKind::File(path, form) => {
            let (path, form) = (path.clone(), *form);
            apart(move || list::read(&path, form)).await
        }
        SourceKind::Kubernetes(secrets) => {
            let words = secrets::command(secrets);
            let (text, secrets) = (output(&words, folder, source).await?, secrets.clone());
            apart(move || secrets::rows(&text, &secrets)).await.map_err(|why| format!("{}: {why}", named(&words)))
        }
    };
    rows.map(Answer::from)
}

/// Blocking work, apart from the tasks of the runtime.
async fn apart<T: Send + 'static>(work: impl FnOnce() -> Result<T, String> + Send + 'static) -> Result<T, String> {
    tokio::task::spawn_blocking(work).await.map_err(|error| format!("ended unexpectedly: {error}"))?
}

async fn output(words: &[String], folder: &Path, source: &Source) -> Result<String, String> {
    let (variables, input, timeout) = (Vec::new(), String::new(), source.timeout);
    let answer =
        Program { words, folder, variables, input, timeout, secrets: &Secrets::default() }.output(MOST_BYTES).await;
    let answer = answer.map_err(|why| format!("{} {why}", named(words)))?;
    String::from_utf8(answer).map_err(|_| format!("{} printed something that is not UTF-8 text", named(words)))
}

fn named(words: &[String]) -> String {
    format!("`{}`", program_of(words))
}

/// The rows in the order of their ids, without those that are excluded.
fn rows(source: &Source, values: Vec<Values>) -> Result<Vec<Row>, String> {
    if values.len() > MOST_ROWS {
        return Err(too_many());
    }
    let rows = values.into_iter().enumerate().map(|(at, values)| Row::new(at + 1, values));
    let mut rows = rows.collect::<Result<Vec<Row>, String>>()?;
    rows.retain(|row| row.id().is_none_or(|id| !source.exclude.matches(id)));
    rows.iter_mut().for_each(|row| row.prefix(&source.prefix));
    rows.sort_by(|a, b| a.id().cmp(&b.id()));
    Ok(rows)
}

fn too_many() -> String {
    format!("has more than {MOST_ROWS} rows")
}

fn value(text: impl Into<String>) -> Value {
    Value::String(text.into())
}
