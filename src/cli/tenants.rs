//! `tenants` and `config`: the content of the tenant file. Only `tenants check` connects to databases.

use std::sync::Arc;

use super::args::{Output, Selection, Tenants};
use super::command::Run;
use super::exit::CliError;
use super::setup::Program;
use super::sources;
use crate::engine;
use crate::inputs::registry::rule_of_server;
use crate::inputs::select;
use crate::model::tenant::Tenant;
use crate::report::settings;
use crate::report::tenants::{self, TenantRow};

impl Run for Tenants {
    async fn run(self, program: &Program) -> Result<u8, CliError> {
        match self {
            Tenants::List { selection, output } => list(program, &selection, &output).await,
            Tenants::Check(status) => status.check(program).await,
            Tenants::Sources { accept, output, .. } => sources::list(program, &accept, &output).await,
            Tenants::Edit(_) | Tenants::Provision(_) => unreachable!("they read the tenant file themselves"),
        }
    }
}

async fn list(program: &Program, selection: &Selection, output: &Output) -> Result<u8, CliError> {
    let selection = program.select_to_show(selection).await?;
    output.deliver(&tenants::list(&rows(program, &selection), output.format, &output.style(program)))?;
    Ok(0)
}

/// The selected tenants in plan order, without their secrets.
pub(super) fn rows(program: &Program, selection: &select::Selection) -> Vec<TenantRow> {
    let rules = &program.registry.servers;
    let window = |server: &str| Some(rule_of_server(rules, server)?.window.as_ref()?.to_string());
    let of_wave = |wave: &select::Wave| {
        let row = |tenant: &Arc<Tenant>| TenantRow {
            id: tenant.id.clone(),
            engine: tenant.engine,
            server: tenant.server.to_string(),
            wave: wave.name.clone(),
            server_window: window(&tenant.server),
            per_server: tenant.per_server,
            tags: tenant.tags.clone(),
            depends_on: tenant.depends_on.clone(),
            quarantine: tenant.hold.quarantine.as_ref().map(ToString::to_string),
            location: engine::location(tenant),
            source: tenant.source.as_ref().map(ToString::to_string),
        };
        wave.tenants.iter().map(row).collect::<Vec<_>>()
    };
    selection.waves.iter().flat_map(of_wave).collect()
}

pub(super) fn config(program: &Program, output: &Output) -> Result<u8, CliError> {
    let text = settings::in_force(&program.registry.path, program.settings(), output.format, &output.style(program));
    output.deliver(&text)?;
    Ok(0)
}
