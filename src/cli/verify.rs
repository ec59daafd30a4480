//! `verify`: assertions about the rows of tenants, and row counts before and after. It changes nothing.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::args::Verify;
use super::command::Run;
use super::exit::CliError;
use super::setup::Program;
use crate::check::verify::{RowCounts, Written, assertions};
use crate::model::assertion::Assertion;
use crate::model::fault::Fault;
use crate::model::tenant::{Tenant, TenantId};
use crate::report::verify::{CountsView, Verified, VerifyView};
use crate::report::{clean, first};
use crate::run;

/// The time for all questions to one tenant where no statement timeout is set.
const LONGEST: Duration = Duration::from_secs(3600);

impl Run for Verify {
    async fn run(self, program: &Program) -> Result<u8, CliError> {
        if self.row_counts {
            return self.count(program).await;
        }
        let assertions: Arc<[Assertion]> = written(program)?.into();
        let (set, selection) = (program.set().await?, program.select(&self.read.selection).await?);
        let tenants: Vec<Arc<Tenant>> = selection.tenants().cloned().collect();
        let door = program.door(&set);
        let pace = run::Pace { answer: limit(program, assertions.len()), ..program.pace() };
        let look = run::observe_assertions(&tenants, &door, pace, assertions.clone());
        let answers = program.looking("verifying", tenants.len(), look).await;
        let row = |(tenant, answers): (&Arc<Tenant>, _)| Verified {
            tenant: tenant.id.clone(),
            engine: tenant.engine,
            answers,
        };
        let asked = |tenant: &Arc<Tenant>| assertions.iter().any(|assertion| assertion.sql[tenant.engine].is_some());
        if let Some(tenant) = tenants.iter().find(|tenant| !asked(tenant)) {
            return Err(CliError::Settings(format!(
                "no assertion has a text for {}, the engine of tenant {}: it would hold without having been asked. Write one, or \
                 leave these tenants out",
                tenant.engine,
                clean(tenant.id.as_str())
            )));
        }
        let rows: Vec<Verified> = tenants.iter().zip(answers).map(row).collect();
        let output = &self.read.output;
        let view = VerifyView { assertions: &assertions, tenants: &rows, all: self.all };
        output.deliver(&view.render(output.format, &output.style(program)))?;
        Ok(if rows.iter().all(Verified::is_good) { 0 } else { 2 })
    }
}

impl Verify {
    /// Counts the rows of all tables; saves the counts, or compares them with saved ones.
    async fn count(&self, program: &Program) -> Result<u8, CliError> {
        let before = self.against.as_deref().map(saved).transpose()?;
        let (set, selection) = (program.set().await?, program.select(&self.read.selection).await?);
        let tenants: Vec<Arc<Tenant>> = selection.tenants().cloned().collect();
        let door = program.door(&set);
        let pace = run::Pace { answer: limit(program, 1), ..program.pace() };
        let look = run::count_rows(&tenants, &door, pace);
        let counts = program.looking("counting rows", tenants.len(), look).await;
        let (mut now, mut failed): (RowCounts, Vec<(TenantId, Fault)>) = Default::default();
        for (tenant, counts) in tenants.iter().zip(counts) {
            match counts {
                Ok(counts) => drop(now.tenants.insert(tenant.id.to_string(), counts.into_iter().collect())),
                Err(fault) => failed.push((tenant.id.clone(), fault)),
            }
        }
        if let Some(path) = &self.save {
            let text = serde_json::to_string_pretty(&now).expect("plain data becomes JSON");
            let written = std::fs::write(path, text + "\n");
            written.map_err(|error| CliError::Write { what: path.display().to_string(), error })?;
        }
        let changed = before.map(|before| now.changed_since(&before)).unwrap_or_default();
        let view = CountsView { changed: &changed, failed: &failed, counted: now.tenants.len() };
        let output = &self.read.output;
        output.deliver(&view.render(output.format, &output.style(program)))?;
        Ok(if changed.is_empty() && failed.is_empty() { 0 } else { 2 })
    }
}

/// The time for one tenant: that of each statement, as far as there is one.
pub(super) fn limit(program: &Program, statements: usize) -> Option<Duration> {
    let timeouts = program.settings().timeouts();
    let statements = u32::try_from(statements).unwrap_or(u32::MAX);
    let all = if timeouts.statement.is_zero() { LONGEST } else { timeouts.statement.saturating_mul(statements) };
    Some(all + timeouts.connect * 2 + timeouts.lock)
}

/// The counts that `--save` wrote.
fn saved(path: &Path) -> Result<RowCounts, CliError> {
    let read = |error: String| CliError::Usage(format!("can't read {}: {error}; nothing was asked", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| read(error.to_string()))?;
    serde_json::from_str(&text).map_err(|error| read(format!("{error}; write it with --row-counts --save FILE")))
}

/// The assertions of the folder and of the tenant file.
pub(super) fn written(program: &Program) -> Result<Vec<Assertion>, CliError> {
    let (settings, mut all) = (program.settings(), Vec::new());
    let folder = program.shown(&settings.verify);
    let unread = |error| CliError::Settings(format!("can't read the assertions in {}: {error}", folder.display()));
    match std::fs::read_dir(&folder) {
        Ok(entries) => {
            // In the order of their names, so that mistakes are told in the same order each time.
            let mut files = BTreeMap::new();
            for entry in entries {
                let entry = entry.map_err(unread)?;
                if let Ok(name) = entry.file_name().into_string() {
                    files.insert(name, entry.path());
                }
            }
            // A file that only looks like an assertion would never be asked.
            let odd: Vec<String> = files
                .iter()
                .filter(|(name, path)| path.is_dir() && !name.starts_with('.') || Written::is_mistaken(name))
                .map(|(name, _)| clean(name))
                .collect();
            if !odd.is_empty() {
                return Err(CliError::Settings(format!(
                    "{} in {} would never be asked: an assertion is NAME.sql or NAME.ENGINE.sql (sqlite, postgres, mysql) in this \
                     folder itself; rename or remove it",
                    first(&odd, 3),
                    folder.display()
                )));
            }
            for (name, path) in files.into_iter().filter(|(name, _)| name.ends_with(".sql")) {
                let sql = std::fs::read_to_string(&path).map_err(unread)?;
                all.extend(Written::of_file(program.shown(&path).display().to_string(), &name, sql));
            }
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(unread(error)),
    }
    let file = program.registry.path.display().to_string();
    let of_file = |(name, engine, sql): &(String, _, String)| Written {
        place: format!("{file}, [[assertion]] {name}"),
        name: name.clone(),
        engine: *engine,
        sql: sql.clone(),
    };
    all.extend(settings.assertions.iter().map(of_file));
    if all.is_empty() {
        return Err(CliError::Settings(format!(
            "there is no assertion: write a query that returns no row while all is well, as {}/NAME.sql or as \
             [[assertion]] in {file}",
            folder.display()
        )));
    }
    assertions(&all).map_err(|mistakes| {
        let lines: Vec<String> = mistakes.iter().map(|line| clean(line)).collect();
        CliError::Settings(format!("the assertions can't be used, and nothing was asked:\n  {}", lines.join("\n  ")))
    })
}
