//! `reset`: everything back and anew, on a fleet whose tenant file says that it is one of development.

use super::args::{Reset, RunOutput};
use super::command::Run;
use super::exit::CliError;
use super::setup::{Program, quoted};
use super::start::{Intent, start};
use crate::inputs::Origin;
use crate::model::plan::{Goal, Target};
use crate::model::schema::Direction;
use crate::report::clean;

impl Run for Reset {
    /// Two runs: a rollback of everything, and a migration. Dying in or between them: each tenant is at a version, and the
    /// same command goes on.
    async fn run(self, program: &Program) -> Result<u8, CliError> {
        let name = development(program)?;
        if self.confirm != name {
            return Err(CliError::Usage(format!(
                "this takes everything back on the tenants of {}, with their rows, and makes it anew; nothing was touched: to \
                 go ahead, --confirm {}",
                program.shown(&program.registry.path).display(),
                quoted(&clean(name))
            )));
        }
        let set = program.set().await?;
        let output = RunOutput { yes: true, ..RunOutput::default() };
        for direction in [Direction::Down, Direction::Up] {
            let goal = Goal { direction, target: Target::End, out_of_order: false };
            let selection = program.select(&self.selection).await?;
            let code =
                start(program, &set, Intent { recreate: true, ..Intent::migrate(goal, selection) }, &output).await?;
            if code != 0 {
                return Ok(code);
            }
        }
        Ok(0)
    }
}

/// The name of a fleet of development. Only the file itself says so: a variable that is set somewhere does not.
fn development(program: &Program) -> Result<&str, CliError> {
    let settings = program.settings();
    let is_in_file = settings.origins.iter().any(|(key, _, origin)| key == "development" && *origin == Origin::File);
    settings.development.as_deref().filter(|_| is_in_file).ok_or_else(|| {
        CliError::Settings(format!(
            "{} does not say that this is a fleet of development, so it is not reset; nothing was touched\nwhere it is one, and \
             all of its rows may go: development = \"NAME\" under [fleet]; elsewhere: {}",
            program.shown(&program.registry.path).display(),
            program.command("rollback --all")
        ))
    })
}
