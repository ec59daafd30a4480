//! `tenants list` and `config`: what the tenant file says. No database is asked.

use super::args::{Output, Selection};
use super::exit::CliError;
use super::setup::Program;
use super::terminal;
use crate::engine;
use crate::report::clean;
use crate::report::tenants::{self, TenantRow};

pub(super) async fn list(program: &Program, selection: &Selection, output: &Output) -> Result<u8, CliError> {
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
    output.deliver(&tenants::list(&rows, output.shape(), &output.style(program)))?;
    Ok(0)
}

/// One line a setting: name, value, where it comes from.
pub(super) fn config(program: &Program) -> Result<u8, CliError> {
    let origins = &program.settings().origins;
    let widest = |of: fn(&(String, String, crate::inputs::Origin)) -> usize| origins.iter().map(of).max().unwrap_or(0);
    // A width in `format!` ends at 65,535, and a screen long before.
    let (keys, values) = (widest(|o| o.0.len()).min(60), widest(|o| o.1.chars().count()).min(120));
    let lines: Vec<String> =
        origins.iter().map(|(key, value, origin)| format!("{key:keys$}  {:values$}  {origin}", clean(value))).collect();
    terminal::print(&format!("{}\n{}", program.registry.path.display(), lines.join("\n")))?;
    Ok(0)
}
