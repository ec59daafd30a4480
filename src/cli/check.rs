//! `check`: live schemas, or with `--entities` the program's entities against the tables its migrations create, on
//! scratch databases.

use std::sync::Arc;

use super::args::Check;
use super::command::Run;
use super::exit::CliError;
use super::scratch;
use super::setup::Program;
use crate::check::prove;
use crate::report::entities::{EngineFindings, EntitiesView};

impl Run for Check {
    async fn run(self, program: &Program) -> Result<u8, CliError> {
        if !self.entities {
            return self.drift(program).await;
        }
        if self.read.selection.names_tenants() {
            let text = "--entities reads no tenant, so none can be selected; leave the selection or --entities out";
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
        let is_wrong = tried.results.iter().any(|(_, result)| matches!(result, Ok(Ok(found)) if !found.is_empty()));
        let could_not = tried.results.iter().any(|(_, result)| !matches!(result, Ok(Ok(_))));
        let code = tried.code(is_wrong, could_not);
        let row = |(engine, result): (_, Result<Result<_, String>, String>)| match result.and_then(|found| found) {
            Ok(findings) => EngineFindings { engine, could_not: None, findings },
            Err(why) => {
                program.terminal.warn(&format!("{engine} was not checked: {why}"));
                EngineFindings { engine, could_not: Some(why), findings: Vec::new() }
            }
        };
        let engines: Vec<EngineFindings> = tried.results.into_iter().map(row).collect();
        let output = &self.read.output;
        let view = EntitiesView { engines: &engines };
        output.deliver(&view.render(output.format, &output.style(program)))?;
        Ok(code)
    }
}
