//! `scripts list`, `scripts repair`, `scripts forget`: the SQL scripts after the migrations, the acceptance of edited ones, and
//! the end of those whose files are gone.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::args::{RunArgs, Scripts};
use super::command::Run;
use super::exit::CliError;
use super::setup::{Program, quoted};
use super::start::{self, Task};
use crate::model::run_kind::RunKind;
use crate::model::schema::State;
use crate::model::tenant::Tenant;
use crate::model::text::suggestion;
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
            Scripts::Forget { names, on } => forget(program, names, &on).await,
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

async fn forget(program: &Program, names: Vec<String>, on: &RunArgs) -> Result<u8, CliError> {
    let set = program.set().await?;
    for name in &names {
        let why = if set.catalog().position(name).is_some() {
            "is not gone: remove its file first"
        } else if !name.starts_with("R__") {
            "is no repeatable script (R__...): a version can only be replaced, by a script with `-- fleet: replaces=`"
        } else if set.scripts().is_empty() {
            "may be in a folder of scripts that was not named: see --scripts"
        } else {
            continue;
        };
        return Err(CliError::Usage(format!("{name} {why}; nothing was changed")));
    }
    let tenants: Vec<Arc<Tenant>> = program.select(&on.selection).await?.tenants().cloned().collect();
    let observations = program.observe(&set, &tenants).await;
    let gone: BTreeSet<&str> = observations.iter().flat_map(|o| set.catalog().gone(&o.history)).collect();
    let are_read = observations.iter().all(|o| o.state != State::Unreachable);
    if let Some(name) = names.iter().find(|name| are_read && !gone.contains(name.as_str())) {
        let near = suggestion(name, gone.iter().copied());
        let near = near.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
        return Err(CliError::Usage(format!("{name} was applied on none of these tenants{near}; nothing was changed")));
    }
    start::task(program, &set, forgetting(names), on).await
}

/// The task that forgets these scripts.
pub(super) fn forgetting(scripts: Vec<String>) -> Task {
    let words: Vec<String> = scripts.iter().map(|name| quoted(name)).collect();
    Task {
        command: format!("scripts forget {}", words.join(" ")),
        question: format!("Forget that {} was applied on", scripts.join(", ")),
        kind: RunKind::Forget { scripts },
    }
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
