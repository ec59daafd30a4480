//! `check`: live schemas, or with `--entities` the program's entities against the tables its migrations create, on
//! scratch databases.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::args::{Check, Engines};
use super::command::Run;
use super::exit::CliError;
use super::scratch;
use super::setup::Program;
use crate::check::prove;
use crate::compile::Entities;
use crate::model::shape::Shape;
use crate::model::tenant::Engine;
use crate::report::entities::{EngineFindings, EntitiesView};
use crate::run;

impl Run for Check {
    async fn run(self, program: &Program) -> Result<u8, CliError> {
        if !self.entities {
            return self.drift(program).await;
        }
        if !self.live && self.read.selection.names_tenants() {
            let text = "--entities reads no tenant, so none can be selected; leave the selection out, or add --live";
            return Err(CliError::Usage(text.to_owned()));
        }
        // Entities describe the tables of the Rust migrations; SQL scripts add objects that only SQL reads.
        let set = Arc::new(program.code.migrations().await?);
        let Some(entities) = &program.code.entities else {
            let text = "this program names no entities; start it with fleet::cli::main_with(migrator, |schema| \
                        schema.builder().register(user::Entity))";
            return Err(CliError::Usage(text.to_owned()));
        };
        let check = |bench| async move { prove::entities(&bench, entities).await };
        let tried = scratch::on_each(program, &set, &self.engines, check).await;
        let row = |(engine, result): (_, Result<Result<_, String>, String>)| match result.and_then(|found| found) {
            Ok(findings) => EngineFindings { engine, tenants: Vec::new(), could_not: None, findings },
            Err(why) => {
                program.terminal.warn(&format!("{engine} was not checked: {why}"));
                EngineFindings { engine, tenants: Vec::new(), could_not: Some(why), findings: Vec::new() }
            }
        };
        let interrupted = tried.interrupted;
        let mut engines: Vec<EngineFindings> = tried.results.into_iter().map(row).collect();
        if self.live && interrupted.is_none() {
            engines.extend(self.live_entities(program, entities).await?);
        }
        let is_wrong = engines.iter().any(|engine| !engine.findings.is_empty());
        let could_not = engines.iter().any(|engine| engine.could_not.is_some());
        let code = scratch::Tried::<()> { results: Vec::new(), interrupted }.code(is_wrong, could_not);
        let output = &self.read.output;
        let view = EntitiesView { engines: &engines };
        output.deliver(&view.render(output.format, &output.style(program)))?;
        Ok(code)
    }
}

impl Check {
    /// The tables of the selected tenants against the entities: tenants with the same differences together, and each that can't be read
    /// or is between two versions by itself.
    async fn live_entities(&self, program: &Program, entities: &Entities) -> Result<Vec<EngineFindings>, CliError> {
        let set = program.set().await?;
        let tenants = self.tenants(program).await?;
        let door = program.door(&set);
        let look = run::observe_schemas(&tenants, &set, &door, program.pace());
        let live = program.looking("reading schemas", tenants.len(), look).await;
        let engines: BTreeSet<Engine> = tenants.iter().map(|tenant| tenant.engine).collect();
        let engines = Engines { engine: engines.into_iter().collect() };
        let describe = |bench| async move { prove::described(&bench, entities).await };
        let tried = scratch::on_each(program, &set, &engines, describe).await;
        let described: BTreeMap<Engine, Result<Shape, String>> =
            tried.results.into_iter().map(|(engine, result)| (engine, result.and_then(|shape| shape))).collect();
        let mut groups: Vec<EngineFindings> = Vec::new();
        for tenant in &live.tenants {
            let seen = &live.schemas[tenant.schema];
            let engine = seen.variant.engine();
            let found = seen.fingerprint.as_ref().and_then(|print| live.shapes.get(print));
            let found = match (found, described.get(&engine)) {
                (Some(shape), Some(Ok(entities))) => Ok(prove::against_live(engine, shape, entities)),
                (Some(_), Some(Err(why))) => Err(why.clone()),
                (Some(_), None) => Err("interrupted".to_owned()),
                (None, _) => {
                    Err(seen.error.as_ref().map_or_else(|| format!("it is {}", seen.state.name()), ToString::to_string))
                }
            };
            let (could_not, findings) = found.map_or_else(|why| (Some(why), Vec::new()), |findings| (None, findings));
            let same =
                |of: &&mut EngineFindings| (of.engine, &of.could_not, &of.findings) == (engine, &could_not, &findings);
            match groups.iter_mut().find(same) {
                Some(group) => group.tenants.push(tenant.id.clone()),
                None => groups.push(EngineFindings { engine, tenants: vec![tenant.id.clone()], could_not, findings }),
            }
        }
        Ok(groups)
    }
}
