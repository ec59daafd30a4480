//! `refresh`: refreshes views on a selection, and shows the last refresh of each.

use std::sync::Arc;

use super::args::{Refresh, RunArgs, Selection};
use super::command::Run;
use super::exit::CliError;
use super::setup::{Program, quoted};
use super::start::{self, Task};
use crate::compile::{MigrationSet, View};
use crate::model::program;
use crate::model::run_kind::RunKind;
use crate::policy::RefreshGroup;
use crate::report::refreshes::{self, TenantRefreshes};
use crate::run;

impl Run for Refresh {
    async fn run(self, program: &Program) -> Result<u8, CliError> {
        let set = program.set().await?;
        let views = wanted(&set, &self.view, &self.group)?;
        if self.status {
            return status(program, &set, &views, &self.on).await;
        }
        let groups = self.group.iter().map(|group| format!(" --group {group}"));
        let words = groups.chain(self.view.iter().map(|view| format!(" --view {}", quoted(view))));
        let command = format!("refresh{}", words.collect::<String>());
        let task = refreshing(command, views.into_iter().map(|view| view.name).collect());
        start::task(program, &set, task, &self.on).await
    }
}

/// The task for these views, given as this command.
pub(super) fn refreshing(command: String, views: Vec<String>) -> Task {
    let question = match views.as_slice() {
        [view] => format!("Refresh {view} on"),
        _ => format!("Refresh {} views on", views.len()),
    };
    Task { kind: RunKind::Refresh { views }, command, question }
}

/// The views of these names and groups, in the order in which they are created: one may depend on another.
pub(super) fn wanted(set: &MigrationSet, names: &[String], groups: &[RefreshGroup]) -> Result<Vec<View>, CliError> {
    let known = set.views();
    if known.is_empty() {
        let text = "there are no views to refresh: no SQL script has a line `-- fleet: view=NAME group=GROUP` (the folder of \
                    scripts is named by `scripts` in the tenant file)";
        return Err(CliError::Usage(text.to_owned()));
    }
    if let Some(unknown) = names.iter().find(|name| !known.iter().any(|view| view.name == **name)) {
        let all: Vec<&str> = known.iter().map(|view| view.name.as_str()).collect();
        return Err(CliError::Usage(format!("there is no view {unknown:?}; there are: {}", all.join(", "))));
    }
    let is_wanted = |view: &&View| {
        (names.is_empty() || names.contains(&view.name)) && (groups.is_empty() || groups.contains(&view.group))
    };
    let views: Vec<View> = known.iter().filter(is_wanted).cloned().collect();
    if views.is_empty() {
        return Err(CliError::Usage(format!("no view is in this group; see: {} scripts list", program::name())));
    }
    Ok(views)
}

async fn status(program: &Program, set: &Arc<MigrationSet>, views: &[View], on: &RunArgs) -> Result<u8, CliError> {
    let rows = last(program, set, &on.selection).await?;
    on.output.deliver(&refreshes::render(views, &rows, on.output.format, &on.output.style(program)))?;
    Ok(if rows.iter().any(|row| row.refreshes.is_err()) { 100 } else { 0 })
}

/// The last refresh of each view on the selected tenants.
pub(super) async fn last(
    program: &Program,
    set: &Arc<MigrationSet>,
    selection: &Selection,
) -> Result<Vec<TenantRefreshes>, CliError> {
    let selection = program.select(selection).await?;
    let tenants: Vec<_> = selection.tenants().cloned().collect();
    let door = program.door(set);
    let look = run::observe_refreshes(&tenants, &door, program.pace());
    let read = program.looking("reading tenants", tenants.len(), look).await;
    let rows: Vec<TenantRefreshes> = tenants
        .iter()
        .zip(read)
        .map(|(tenant, refreshes)| TenantRefreshes { tenant: tenant.id.clone(), variant: tenant.variant(), refreshes })
        .collect();
    Ok(rows)
}
