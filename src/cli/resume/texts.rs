//! A rollout brings the same texts to all of its tenants: one that goes on looks at those that it is done with.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Former;
use crate::cli::exit::CliError;
use crate::cli::setup::Program;
use crate::compile::MigrationSet;
use crate::inputs::select::{Filter, Selection};
use crate::model::schema::State;
use crate::model::tenant::TenantId;
use crate::report::clean;

/// Refuses a run that would bring another text of a script to the tenants that are `left` than it brought to the others: no
/// canary has seen it. One tenant of each engine and flavour is read.
pub(super) async fn refuse_edited(
    program: &Program,
    set: &Arc<MigrationSet>,
    former: &Former,
    (waves, left): (&Selection, &BTreeSet<TenantId>),
) -> Result<(), CliError> {
    let is_done = |id: &TenantId| !left.contains(id) && !former.failed.contains_key(id);
    let done = waves.tenants().filter(|tenant| is_done(&tenant.id));
    let samples: BTreeMap<_, _> = done.map(|tenant| (tenant.variant(), tenant.id.clone())).collect();
    if samples.is_empty() {
        return Ok(());
    }
    let only = Some(samples.into_values().collect());
    let selection = program.filter(Filter { only, ..Filter::default() }).await?;
    let tenants: Vec<_> = selection.tenants().cloned().collect();
    for seen in program.observe(set, &tenants).await {
        if let State::Edited { scripts } = &seen.state {
            return Err(CliError::PlanRefused(format!(
                "{} was edited since run {} applied it to {}: the tenants that are left would get a text that no earlier wave has \
                 seen; nothing was touched\nput the old text back and give the command again; or have the new text counted as \
                 applied where the old one was, and go on: {}",
                clean(&scripts.join(", ")),
                former.run.header.run,
                clean(seen.tenant.as_str()),
                program.command("scripts repair")
            )));
        }
    }
    Ok(())
}
