//! `verify`: assertions about the rows of tenants, and row counts and measures before and after. It changes nothing.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::args::Verify;
use super::command::Run;
use super::exit::CliError;
use super::setup::Program;
use crate::check::verify::{RowCounts, Values, Written, assertions, values};
use crate::external::file;
use crate::model::assertion::{Assertion, FirstRows};
use crate::model::fault::{Fault, FaultClass};
use crate::model::tenant::{Tenant, TenantId};
use crate::report::verify::{CountsView, Verified, VerifyView};
use crate::report::{clean, first};
use crate::run::{self, ValuesOf};

/// The time for all questions to one tenant where no statement timeout is set.
const LONGEST: Duration = Duration::from_secs(3600);

impl Run for Verify {
    async fn run(self, program: &Program) -> Result<u8, CliError> {
        if self.row_counts || self.measures {
            return self.compare(program).await;
        }
        let assertions: Arc<[Assertion]> = written(program)?.into();
        let (set, selection) = (program.set_or_code().await?, program.select(&self.read.selection).await?);
        let tenants: Vec<Arc<Tenant>> = selection.tenants().cloned().collect();
        refuse_unasked(&tenants, &assertions, "assertion")?;
        let door = program.door(&set);
        let pace = run::Pace { answer: limit(program, assertions.len()), ..program.pace() };
        let look = run::observe_assertions(&tenants, &door, pace, assertions.clone());
        let answers = program.looking("verifying", tenants.len(), look).await;
        let row = |(tenant, answers): (&Arc<Tenant>, _)| Verified {
            tenant: tenant.id.clone(),
            engine: tenant.engine,
            answers,
        };
        let rows: Vec<Verified> = tenants.iter().zip(answers).map(row).collect();
        let output = &self.read.output;
        let view = VerifyView { assertions: &assertions, tenants: &rows, all: self.all };
        output.deliver(&view.render(output.format, &output.style(program)))?;
        Ok(if rows.iter().all(Verified::is_good) { 0 } else { 2 })
    }
}

impl Verify {
    /// Counts the rows of all tables and asks for the measures, as wanted; saves the values, or compares them with saved ones.
    async fn compare(&self, program: &Program) -> Result<u8, CliError> {
        let before = self.against.as_deref().map(|path| saved(path, (self.row_counts, self.measures))).transpose()?;
        let measures: Arc<[Assertion]> = if self.measures { measures(program)?.into() } else { Arc::default() };
        let (set, selection) = (program.set_or_code().await?, program.select(&self.read.selection).await?);
        let tenants: Vec<Arc<Tenant>> = selection.tenants().cloned().collect();
        if self.measures {
            refuse_unasked(&tenants, &measures, "measure")?;
        }
        let door = program.door(&set);
        let (mut now, mut failed): (RowCounts, Vec<(TenantId, Fault)>) = Default::default();
        let pace =
            run::Pace { answer: limit(program, usize::from(self.row_counts) + measures.len()), ..program.pace() };
        let look = run::observe_values(&tenants, &door, pace, (self.row_counts, measures.clone()));
        let doing = if self.row_counts { "counting rows" } else { "measuring" };
        let answers = program.looking(doing, tenants.len(), look).await;
        for (tenant, values) in tenants.iter().zip(answers) {
            let fault = match values {
                Ok(values) => add(tenant, values, (&mut now, self.measures)),
                Err(fault) => Some(fault),
            };
            failed.extend(fault.map(|fault| (tenant.id.clone(), fault)));
        }
        if let Some(path) = &self.save {
            let text = serde_json::to_string_pretty(&now).expect("plain data becomes JSON");
            let written = std::fs::write(path, text + "\n");
            written.map_err(|error| CliError::Write { what: path.display().to_string(), error })?;
        }
        let changed = before.as_ref().filter(|_| self.row_counts).map(|before| now.changed_since(before));
        let moved = before.as_ref().filter(|_| self.measures).map(|before| now.moved_since(before));
        let (changed, moved) = (changed.unwrap_or_default(), moved.unwrap_or_default());
        let view = CountsView {
            changed: &changed,
            moved: &moved,
            failed: &failed,
            counted: now.tenants.len().max(now.measures.len()),
            of: (self.row_counts, self.measures),
        };
        let output = &self.read.output;
        output.deliver(&view.render(output.format, &output.style(program)))?;
        Ok(if changed.is_empty() && moved.is_empty() && failed.is_empty() { 0 } else { 2 })
    }
}

/// Adds the values of a tenant as far as it gave them. A tenant with several faults is told once.
fn add(tenant: &Tenant, values: ValuesOf, (now, is_measured): (&mut RowCounts, bool)) -> Option<Fault> {
    let id = tenant.id.to_string();
    let mut faults = Vec::new();
    match values.counts {
        Some(Ok(counts)) => drop(now.tenants.insert(id.clone(), counts.into_iter().collect())),
        Some(Err(fault)) => faults.push(fault),
        None => {}
    }
    match values.measures.and_then(of_measures) {
        Ok(all) if is_measured => drop(now.measures.insert(id, all)),
        Ok(_) => {}
        Err(fault) => faults.push(fault),
    }
    faults.into_iter().next()
}

/// The values of one tenant's measures.
fn of_measures(answers: Vec<(String, FirstRows)>) -> Result<Values, Fault> {
    let mut all = Values::new();
    for (name, answer) in answers {
        all.extend(values(&name, answer).map_err(|why| Fault::new(FaultClass::Other, why))?);
    }
    Ok(all)
}

/// Refuses tenants on whose engine nothing would be asked.
fn refuse_unasked(tenants: &[Arc<Tenant>], all: &[Assertion], kind: &str) -> Result<(), CliError> {
    let asked = |tenant: &Arc<Tenant>| all.iter().any(|assertion| assertion.sql[tenant.engine].is_some());
    match tenants.iter().find(|tenant| !asked(tenant)) {
        Some(tenant) => Err(CliError::Settings(format!(
            "no {kind} has a text for {}, the engine of tenant {}: it would hold without having been asked. Write one, or leave these \
             tenants out",
            tenant.engine,
            clean(tenant.id.as_str())
        ))),
        None => Ok(()),
    }
}

/// The time for one tenant: that of each statement, as far as there is one.
pub(super) fn limit(program: &Program, statements: usize) -> Option<Duration> {
    let timeouts = program.settings().timeouts();
    let statements = u32::try_from(statements).unwrap_or(u32::MAX);
    let all = if timeouts.statement.is_zero() { LONGEST } else { timeouts.statement.saturating_mul(statements) };
    Some(all + timeouts.connect * 2 + timeouts.lock)
}

/// The values that `--save` wrote.
fn saved(path: &Path, (with_counts, with_measures): (bool, bool)) -> Result<RowCounts, CliError> {
    let read = |error: String| CliError::Usage(format!("can't read {}: {error}; nothing was asked", path.display()));
    let text = file::read_text(path).map_err(|error| read(error.to_string()))?;
    let saved = serde_json::from_str(&text);
    let saved: RowCounts =
        saved.map_err(|error| read(format!("{error}; write it with --row-counts or --measures and --save FILE")))?;
    let parts = [
        ("row counts", "--row-counts", with_counts && saved.tenants.is_empty()),
        ("measures", "--measures", with_measures && saved.measures.is_empty()),
    ];
    if let Some((what, flag, _)) = parts.into_iter().find(|(.., is_missing)| *is_missing) {
        return Err(CliError::Usage(format!(
            "{} has no {what}, and nothing was asked: write it before a run with {flag} --save FILE",
            path.display()
        )));
    }
    Ok(saved)
}

/// The assertions of the folder and of the tenant file.
pub(super) fn written(program: &Program) -> Result<Vec<Assertion>, CliError> {
    let way = "a query that returns no row while all is well, as FOLDER/NAME.sql or as [[assertion]]";
    of_kind(program, "assertion", way)
}

/// The measures of the folder and of the tenant file.
fn measures(program: &Program) -> Result<Vec<Assertion>, CliError> {
    let way = "a query of one row, as FOLDER/NAME.measure.sql or as [[measure]]";
    of_kind(program, "measure", way)
}

fn of_kind(program: &Program, kind: &str, way: &str) -> Result<Vec<Assertion>, CliError> {
    let mut all = every(program)?;
    all.retain(|one| one.is_measure == (kind == "measure"));
    if all.is_empty() {
        let folder = program.shown(&program.settings().verify).display().to_string();
        let file = program.registry.path.display();
        let way = way.replace("FOLDER", &folder);
        return Err(CliError::Settings(format!("there is no {kind}: write {way} in {file}")));
    }
    assertions(&all).map_err(|mistakes| {
        let lines: Vec<String> = mistakes.iter().map(|line| clean(line)).collect();
        CliError::Settings(format!("the {kind}s can't be used, and nothing was asked:\n  {}", lines.join("\n  ")))
    })
}

/// All assertions and measures, as they are written.
fn every(program: &Program) -> Result<Vec<Written>, CliError> {
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
                     folder itself, a measure NAME.measure.sql or NAME.measure.ENGINE.sql; rename or remove it",
                    first(&odd, 3),
                    folder.display()
                )));
            }
            for (name, path) in files.into_iter().filter(|(name, _)| name.ends_with(".sql")) {
                let sql = file::read_text(&path).map_err(unread)?;
                all.extend(Written::of_file(program.shown(&path).display().to_string(), &name, sql));
            }
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(unread(error)),
    }
    let file = program.registry.path.display().to_string();
    let of_file = |is_measure: bool| {
        let (kind, file) = (if is_measure { "measure" } else { "assertion" }, &file);
        move |(name, engine, sql): &(String, _, String)| Written {
            place: format!("{file}, [[{kind}]] {name}"),
            name: name.clone(),
            engine: *engine,
            is_measure,
            sql: sql.clone(),
        }
    };
    all.extend(settings.assertions.iter().map(of_file(false)));
    all.extend(settings.measures.iter().map(of_file(true)));
    Ok(all)
}
