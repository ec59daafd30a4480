//! `check` without `--entities`: each live tenant's schema against that of its own version. It changes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::args::{Check, Engines};
use super::exit::CliError;
use super::schema_cache::SchemaCache;
use super::scratch;
use super::setup::Program;
use crate::check::drift::{Comparison, Made, Version};
use crate::check::prove;
use crate::compile::MigrationSet;
use crate::inputs::registry::Patterns;
use crate::model::schema::AppliedSet;
use crate::model::tenant::{Engine, Tenant};
use crate::report::drift::DriftView;
use crate::report::{count, first};
use crate::run;

impl Check {
    /// The exit code is 0 only if every selected tenant was compared, and none differs.
    pub(super) async fn drift(&self, program: &Program) -> Result<u8, CliError> {
        let patterns = program.settings().check_ignore.iter().chain(&self.ignore);
        let ignore = Patterns::new(patterns).map_err(|error| CliError::Usage(format!("--ignore: {error}")))?;
        let set = program.set().await?;
        let tenants = self.tenants(program).await?;
        let door = program.door(&set);
        let look = run::observe_schemas(&tenants, &set, &door, program.pace());
        let live = program.looking("reading schemas", tenants.len(), look).await;
        let catalog = set.catalog().clone();
        let versions: BTreeSet<Version> =
            live.schemas.iter().filter_map(|schema| Version::of(schema, &catalog)).filter(Version::is_known).collect();
        let cache = match self.no_cache {
            true => SchemaCache::off(),
            false => SchemaCache::of(program, &set, &live.schemas).await,
        };
        let made = made(program, &set, versions, &cache).await?;
        let is_ignored = Box::new(move |title: &str| ignore.matches(title));
        let comparison = Comparison { live, catalog, made, is_ignored, fixes: self.fix_sql };
        // CPU-bound parallel work takes all cores for a moment; the tasks of this runtime must not wait for it.
        let compared = tokio::task::spawn_blocking(move || comparison.drift()).await;
        let drift = compared.map_err(|e| CliError::CanNotStart(format!("the comparison ended unexpectedly: {e}")))?;
        let output = &self.read.output;
        output.deliver(&DriftView { drift: &drift }.render(output.format, &output.style(program)))?;
        Ok(if drift.is_clean() { 0 } else { 2 })
    }

    pub(super) async fn tenants(&self, program: &Program) -> Result<Vec<Arc<Tenant>>, CliError> {
        let selection = program.select(&self.read.selection).await?;
        let wanted = &self.engines.engine;
        let is_wanted = |tenant: &&Arc<Tenant>| wanted.is_empty() || wanted.contains(&tenant.engine);
        let tenants: Vec<Arc<Tenant>> = selection.tenants().filter(is_wanted).cloned().collect();
        let none = || CliError::NothingMatched("none of the selected tenants has this engine".to_owned());
        if tenants.is_empty() { Err(none()) } else { Ok(tenants) }
    }
}

/// The schemas of these versions, from the cache, or each made once on a scratch database of its engine.
async fn made(
    program: &Program,
    set: &Arc<MigrationSet>,
    versions: BTreeSet<Version>,
    cache: &SchemaCache,
) -> Result<Made, CliError> {
    let mut made = Made::new();
    let mut sets: BTreeMap<Engine, BTreeSet<AppliedSet>> = BTreeMap::new();
    // The schema of an empty history needs no database.
    for version in versions.iter().filter(|version| version.applied != AppliedSet::default()) {
        if let Some(schema) = cache.get(version) {
            made.insert(version.clone(), Ok(schema));
            continue;
        }
        match scratch::place(&program.settings().scratch, version.engine) {
            Ok(_) => drop(sets.entry(version.engine).or_default().insert(version.applied.clone())),
            Err(why) => drop(made.insert(version.clone(), Err(why))),
        }
    }
    if sets.is_empty() {
        return Ok(made);
    }
    if !program.terminal.quiet {
        let all = sets.values().map(BTreeSet::len).sum();
        let engines: Vec<String> = sets.keys().map(Engine::to_string).collect();
        let what = format!("making the schema of {}", count(all, "version"));
        program.terminal.tell(&format!("{what} on scratch databases ({}), to compare with", first(&engines, 3)));
    }
    let engines = Engines { engine: sets.keys().copied().collect() };
    let sets = &sets;
    let make = |bench: prove::Bench| async move {
        let mut all = Vec::new();
        for applied in sets.get(&bench.place.engine()).into_iter().flatten() {
            all.push((applied.clone(), prove::version_schema(&bench, applied).await));
        }
        all
    };
    let tried = scratch::on_each(program, set, &engines, make).await;
    if let Some(code) = tried.interrupted {
        return Err(CliError::Interrupted(code));
    }
    for (engine, result) in tried.results {
        for (applied, schema) in result.map_err(CliError::CanNotStart)? {
            let schema = schema.map_err(|why| format!("it could not be made on a scratch database: {why}"));
            for version in versions.iter().filter(|v| v.engine == engine && v.applied == applied) {
                schema.iter().for_each(|schema| cache.put(version, schema));
                made.insert(version.clone(), schema.clone());
            }
        }
    }
    Ok(made)
}
