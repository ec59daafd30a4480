//! `refresh`: views brought up to date over a selection, and when each was refreshed last.

use std::sync::Arc;

use super::args::Refresh;
use super::exit::CliError;
use super::migrate::Chore;
use super::scripts::start;
use super::setup::{Program, quoted};
use super::terminal;
use crate::compile::{MigrationSet, View};
use crate::report::refreshes::{self, TenantRefreshes};
use crate::run::{self, Task};

pub(super) async fn refresh(program: &Program, set: &Arc<MigrationSet>, args: Refresh) -> Result<u8, CliError> {
    let views = wanted(set, &args)?;
    if args.status {
        return status(program, set, &views, &args).await;
    }
    let words = args
        .group
        .iter()
        .map(|group| format!(" --group {group}"))
        .chain(args.view.iter().map(|view| format!(" --view {}", quoted(view))));
    let chore = Chore {
        command: format!("refresh{}", words.collect::<String>()),
        question: match views.len() {
            1 => format!("Refresh {} on", views[0].name),
            n => format!("Refresh {n} views on"),
        },
        task: Task::Refresh(views),
    };
    start(program, set, chore, &args.selection, &args.output).await
}

/// The views that the flags name, in the order in which they are made: one may be made from another.
fn wanted(set: &MigrationSet, args: &Refresh) -> Result<Vec<View>, CliError> {
    let known = set.views();
    if known.is_empty() {
        let text = "there are no views to refresh: no SQL script has a line `-- fleet: view=NAME group=GROUP` (the folder of \
                    scripts is named by `scripts` in the tenant file)";
        return Err(CliError::Usage(text.to_owned()));
    }
    if let Some(unknown) = args.view.iter().find(|name| !known.iter().any(|view| view.name == **name)) {
        let names: Vec<&str> = known.iter().map(|view| view.name.as_str()).collect();
        return Err(CliError::Usage(format!("there is no view {unknown:?}; there are: {}", names.join(", "))));
    }
    let is_wanted = |view: &&View| {
        (args.view.is_empty() || args.view.contains(&view.name))
            && (args.group.is_empty() || args.group.contains(&view.group))
    };
    let views: Vec<View> = known.iter().filter(is_wanted).cloned().collect();
    if views.is_empty() {
        return Err(CliError::Usage("no view is in this group; see: fleet scripts list".to_owned()));
    }
    Ok(views)
}

async fn status(program: &Program, set: &Arc<MigrationSet>, views: &[View], args: &Refresh) -> Result<u8, CliError> {
    let selection = program.select(&args.selection).await?;
    let tenants: Vec<_> = selection.tenants().cloned().collect();
    let read = run::observe_refreshes(&tenants, &program.door(set), program.pace()).await;
    let rows: Vec<TenantRefreshes> = tenants
        .iter()
        .zip(read)
        .map(|(tenant, refreshes)| TenantRefreshes { tenant: tenant.id.clone(), engine: tenant.engine, refreshes })
        .collect();
    let file = args.output.output.as_deref();
    let text = refreshes::render(views, &rows, args.output.format, &program.terminal.style(file));
    terminal::deliver(&text, file)?;
    Ok(if rows.iter().any(|row| row.refreshes.is_err()) { 100 } else { 0 })
}
