//! `tenants` and `config`: the content of the tenant file. Only `tenants check` connects to databases.

use super::args::{Output, Selection, Tenants};
use super::command::Run;
use super::exit::CliError;
use super::setup::Program;
use crate::engine;
use crate::report::settings;
use crate::report::tenants::{self, TenantRow};

impl Run for Tenants {
    async fn run(self, program: &Program) -> Result<u8, CliError> {
        match self {
            Tenants::List { selection, output } => list(program, &selection, &output).await,
            Tenants::Check(status) => status.check(program).await,
            Tenants::Edit(_) | Tenants::Provision(_) => unreachable!("they read the tenant file themselves"),
        }
    }
}

async fn list(program: &Program, selection: &Selection, output: &Output) -> Result<u8, CliError> {
    let selection = program.select_to_show(selection).await?;
    let rows: Vec<TenantRow> = selection
        .waves
        .iter()
        .flat_map(|wave| {
            wave.tenants.iter().map(|tenant| TenantRow {
                id: tenant.id.clone(),
                engine: tenant.engine,
                server: tenant.server.to_string(),
                wave: wave.name.clone(),
                tags: tenant.tags.clone(),
                depends_on: tenant.depends_on.clone(),
                location: engine::location(tenant),
            })
        })
        .collect();
    output.deliver(&tenants::list(&rows, output.format, &output.style(program)))?;
    Ok(0)
}

pub(super) fn config(program: &Program, output: &Output) -> Result<u8, CliError> {
    let text = settings::in_force(&program.registry.path, program.settings(), output.format, &output.style(program));
    output.deliver(&text)?;
    Ok(0)
}
