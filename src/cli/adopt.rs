//! `baseline` and `stamp`: record a version on tenants without running it, once their schema looks like it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::args::{Baseline, Engines, Record, Stamp};
use super::command::Run;
use super::exit::{self, CliError};
use super::scratch;
use super::setup::{Program, quoted};
use super::start::{Intent, Task, start};
use crate::check::prove;
use crate::compile::MigrationSet;
use crate::inputs::select::Selection;
use crate::model::outcome::Standing;
use crate::model::run_kind::{RecordedVersion, RunKind};
use crate::model::schema::VersionSchema;
use crate::model::stats::Verdict;
use crate::model::tenant::{Engine, Tenant};
use crate::report::adoption::{self, Foreseen};
use crate::run::{self, AdoptPlan};

impl Run for Baseline {
    async fn run(self, program: &Program) -> Result<u8, CliError> {
        let checked = !self.record.no_check;
        let kind = |version| RunKind::Baseline(RecordedVersion { version, reason: self.reason, checked });
        record(program, &self.version, kind, self.record).await
    }
}

impl Run for Stamp {
    async fn run(self, program: &Program) -> Result<u8, CliError> {
        let checked = !self.record.no_check;
        let kind = |version| RunKind::Stamp(RecordedVersion { version, reason: Some(self.reason), checked });
        record(program, &self.to, kind, self.record).await
    }
}

async fn record(
    program: &Program,
    version: &str,
    kind: impl FnOnce(String) -> RunKind,
    args: Record,
) -> Result<u8, CliError> {
    let output = &args.on.output;
    if !output.yes && !args.dry_run {
        program.terminal.require_person("changes databases", ", or --dry-run to see what it would do")?;
    }
    let set = program.set().await?;
    let to = place(&set, version)?;
    if let Some(to) = to.filter(|to| set.catalog().is_repeatable(*to)) {
        let text = format!("{} is a repeatable script, and no version", set.catalog().migrations[to]);
        return Err(CliError::Usage(text));
    }
    let selection = program.select(&args.on.selection).await?;
    let tenants: Vec<Arc<Tenant>> = selection.tenants().cloned().collect();
    let kind = kind(name(&set, to).to_owned());
    let intent = recording(program, &set, kind, selection).await?;
    let Some(plan) = intent.adopt.as_ref().filter(|_| args.dry_run) else {
        return start(program, &set, intent, output).await;
    };
    let door = program.door(&set);
    let look = run::foresee(&tenants, &door, program.pace(), (plan, set.catalog()));
    let found = program.looking("comparing schemas", tenants.len(), look).await;
    let fails = found.iter().any(|found| found.outcome.standing() == Standing::Failed);
    let row = |(tenant, found): (&Arc<Tenant>, run::Foreseen)| Foreseen {
        tenant: tenant.id.clone(),
        engine: tenant.engine,
        outcome: found.outcome,
        error: found.fault,
        backup: None,
        differences: found.differences,
    };
    let rows: Vec<Foreseen> = tenants.iter().zip(found).map(row).collect();
    output.deliver(&adoption::render(&rows, output.format, &output.style(program)))?;
    Ok(if fails { exit::code(Verdict::Failures, false) } else { 0 })
}

/// The place of a version in the catalog; `None` for that of an empty history.
fn place(set: &MigrationSet, version: &str) -> Result<Option<usize>, CliError> {
    if version == RecordedVersion::EMPTY { Ok(None) } else { Ok(Some(set.catalog().resolve(version)?)) }
}

fn name(set: &MigrationSet, to: Option<usize>) -> &str {
    to.map_or(RecordedVersion::EMPTY, |to| &*set.catalog().migrations[to])
}

/// A run that records a version on these tenants, with the schema of the version where it is to be compared.
pub(super) async fn recording(
    program: &Program,
    set: &Arc<MigrationSet>,
    kind: RunKind,
    selection: Selection,
) -> Result<Intent, CliError> {
    let (is_baseline, recorded) = match &kind {
        RunKind::Baseline(recorded) => (true, recorded),
        RunKind::Stamp(recorded) => (false, recorded),
        _ => return Err(CliError::Usage("this run recorded no version".to_owned())),
    };
    let (version, to) = (&recorded.version, place(set, &recorded.version)?);
    if is_baseline && to.is_none() {
        let text = "a baseline records a version; a tenant without any needs none: migrate makes its schema";
        return Err(CliError::Usage(text.to_owned()));
    }
    let (verb, doing) = match is_baseline {
        true => (format!("baseline {}", quoted(version)), "Record, without running anything, that it is there, on"),
        false => (
            format!("stamp --to {}", quoted(version)),
            "Make it the version in the history, without running anything, of",
        ),
    };
    let reason = recorded.reason.as_ref().map(|reason| format!(" --reason {}", quoted(reason))).unwrap_or_default();
    let command = format!("{verb}{reason}{}", if recorded.checked { "" } else { " --no-check" });
    let question = format!("{version}: {doing}");
    let schemas = match recorded.checked {
        true => Some(Arc::new(schemas(program, set, to, &selection).await?)),
        false => None,
    };
    let adopt = Some(AdoptPlan { to, is_baseline, schemas });
    Ok(Intent { adopt, ..Intent::task(Task { kind, command, question }, selection) })
}

/// The schema of the version at this place on each engine of the tenants.
async fn schemas(
    program: &Program,
    set: &Arc<MigrationSet>,
    to: Option<usize>,
    selection: &Selection,
) -> Result<BTreeMap<Engine, VersionSchema>, CliError> {
    let engines: BTreeSet<Engine> = selection.tenants().map(|tenant| tenant.engine).collect();
    let engines = Engines { engine: engines.into_iter().collect() };
    let missing = scratch::missing(program, &engines.engine);
    if !missing.is_empty() {
        return Err(CliError::Usage(format!(
            "the tenants' schemas can't be compared with that of the version, so nothing was started\n  {}\nor record it \
             unchecked: --no-check",
            missing.join("\n  ")
        )));
    }
    let version = name(set, to);
    if !program.terminal.quiet {
        program.terminal.tell(&format!("making the schema of {version} on scratch databases, to compare with"));
    }
    let applied = &set.catalog().up_to(to);
    let tried =
        scratch::on_each(program, set, &engines, |bench| async move { prove::version_schema(&bench, applied).await });
    let tried = tried.await;
    if let Some(code) = tried.interrupted {
        return Err(CliError::Interrupted(code));
    }
    let mut schemas = BTreeMap::new();
    for (engine, result) in tried.results {
        let schema = result.and_then(|made| made).map_err(|why| {
            CliError::CanNotStart(format!(
                "the schema of {version} could not be made on a scratch database of {engine}: {why}; nothing was touched"
            ))
        })?;
        schemas.insert(engine, schema);
    }
    Ok(schemas)
}
