//! `scripts list` and `scripts repair`: the SQL scripts after the migrations, and the acceptance of edited ones.

use super::args::{RunArgs, Scripts};
use super::command::Run;
use super::exit::CliError;
use super::setup::{Program, quoted};
use super::start::{self, Task};
use crate::model::run_kind::RunKind;
use crate::report::scripts;

impl Run for Scripts {
    async fn run(self, program: &Program) -> Result<u8, CliError> {
        match self {
            Scripts::List(show) => {
                let set = program.set().await?;
                let output = &show.output;
                output.deliver(&scripts::list(set.scripts(), output.format, &output.style(program)))?;
                Ok(0)
            }
            Scripts::Repair { names, on } => repair(program, &names, &on).await,
        }
    }
}

async fn repair(program: &Program, names: &[String], on: &RunArgs) -> Result<u8, CliError> {
    let set = program.set().await?;
    let catalog = set.catalog();
    let mut scripts = Vec::new();
    for name in names {
        let index = catalog.resolve(name)?;
        if catalog.script(index).is_none() {
            let text = format!("{} is a Rust migration: it has no checksum to repair", catalog.migrations[index]);
            return Err(CliError::Usage(text));
        }
        scripts.push(catalog.migrations[index].to_string());
    }
    start::task(program, &set, repairing(scripts), on).await
}

/// The task for these scripts.
pub(super) fn repairing(scripts: Vec<String>) -> Task {
    let words: Vec<String> = scripts.iter().map(|name| quoted(name)).collect();
    Task {
        command: format!("scripts repair {}", words.join(" ")),
        question: format!("Take the present text of {} for what was applied on", scripts.join(", ")),
        kind: RunKind::Repair { scripts },
    }
}
