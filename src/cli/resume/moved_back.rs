//! A rollout goes on by what its earlier waves have shown: their tenants have to be where it left them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use uuid::Uuid;

use super::{Former, waves_of_run};
use crate::cli::exit::{CliError, run_error};
use crate::cli::next;
use crate::cli::setup::Program;
use crate::compile::MigrationSet;
use crate::model::plan::Target;
use crate::model::schema::Direction;
use crate::model::tenant::{Tenant, TenantId};

/// Refuses to go on with a run that a person has taken back, as a whole or for some tenants: its later waves would get what the
/// earlier ones do not have any more.
pub(super) fn refuse_whole(program: &Program, former: &Former) -> Result<(), CliError> {
    let Some(last) = former.undoing.runs.last() else { return Ok(()) };
    let header = &former.run.header;
    let finish = match last.is_whole() {
        true => String::new(),
        false => format!("\nto finish the rollback: {}", program.command(&format!("runs resume {}", last.run))),
    };
    Err(CliError::Usage(format!(
        "run {} has taken back what run {} moved, so there is nothing to go on with; nothing was touched{finish}\nonce it is mended, \
         from the first wave on: {}",
        last.run,
        header.run,
        program.command(&next::from_the_beginning(header))
    )))
}

/// Refuses to go on with a migration where tenants of waves that the rest waits for were moved back since: by a rollback of some
/// steps or to a version, by a restore of an older backup, by a version that was only recorded. One that moved further up, or is
/// where it was again, is as good. It only reads.
pub(super) async fn refuse(
    program: &Program,
    set: &Arc<MigrationSet>,
    former: &Former,
    left: &BTreeSet<TenantId>,
) -> Result<(), CliError> {
    let header = &former.run.header;
    if header.kind.goal().is_none_or(|goal| goal.direction == Direction::Down) {
        return Ok(());
    }
    let waves = waves_of_run(program, former)?.waves;
    let is_left = |tenant: &Arc<Tenant>| left.contains(&tenant.id);
    let waiting = waves.iter().filter(|wave| wave.tenants.iter().any(is_left));
    let before: BTreeSet<&String> = waiting.flat_map(|wave| &wave.waits_for).collect();
    let mut tenants: Vec<Arc<Tenant>> =
        waves.iter().filter(|wave| before.contains(&wave.name)).flat_map(|wave| &wave.tenants).cloned().collect();
    tenants.retain(|tenant| !is_left(tenant) && !former.failed.contains_key(&tenant.id));
    let wanted = header.run.to_string();
    let rollout = program.read_ledger(async |ledger| ledger.rollout(&wanted).await.map_err(run_error)).await?;
    tenants.retain(|tenant| rollout.trails.get(&tenant.id).is_some_and(|trail| trail.may_be_moved_back()));
    if tenants.is_empty() {
        return Ok(());
    }
    let reach = match former.run.goal(set.catalog())?.target {
        Target::Migration(place) => Some(place),
        Target::End | Target::Steps(_) => None,
    };
    let mut back: BTreeMap<Uuid, BTreeSet<TenantId>> = BTreeMap::new();
    for now in program.observe(set, &tenants).await {
        if let Some(run) = rollout.trails[&now.tenant].moved_back_by(set.catalog(), reach, &now) {
            back.entry(run).or_default().insert(now.tenant);
        }
    }
    if back.is_empty() { Ok(()) } else { Err(refusal(program, former, &back)) }
}

fn refusal(program: &Program, former: &Former, back: &BTreeMap<Uuid, BTreeSet<TenantId>>) -> CliError {
    let header = &former.run.header;
    let named = back.iter().map(|(run, ids)| format!("\n  {}, by run {run}", program.terminal.names(ids)));
    let ids = back.values().flatten();
    let is_counted = header.kind.goal().is_some_and(|goal| matches!(goal.target, Target::Steps(_)));
    // Nothing but an approved plan would be run on them, and so many steps may end elsewhere.
    let there = (!is_counted && !program.settings().require_approval).then(|| {
        let up = next::first_of(program, &next::to_its_goal(header, &[]), ids);
        let then = program.command(&format!("runs resume {}", header.run));
        format!("to bring them there again: {up}\nthen: {then}\nor, ")
    });
    CliError::Usage(format!(
        "run {} is not gone on with: tenants of the waves that the rest waits for were moved back since, and what let it on does not \
         hold any more; nothing was touched{}\n{}from the first wave on: {}",
        header.run,
        named.collect::<String>(),
        there.unwrap_or_default(),
        program.command(&next::from_the_beginning(header))
    ))
}
