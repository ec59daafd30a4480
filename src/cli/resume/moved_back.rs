//! A rollout goes on by what its earlier waves have shown: their tenants have to be where it left them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use uuid::Uuid;

use super::{Former, waves};
use crate::cli::exit::{CliError, run_error};
use crate::cli::setup::Program;
use crate::cli::{hold, next};
use crate::compile::MigrationSet;
use crate::inputs::select::Wave;
use crate::model::event::RunHeader;
use crate::model::plan::{Goal, Target};
use crate::model::schema::Catalog;
use crate::model::tenant::{Tenant, TenantId};
use crate::model::undo::Rollout;
use crate::report::count;

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

/// Tenants of waves that others wait for, that were moved back since.
struct Back {
    /// By the run that did it.
    by: BTreeMap<Uuid, BTreeSet<TenantId>>,
    /// The tenants that are left and wait for them.
    behind: BTreeSet<TenantId>,
}

/// Leaves out of a migration that goes on whose waves wait for one of which a tenant was moved back since: by a rollback of some
/// steps or to a version, by a restore of an older backup, by a version that was only recorded. One that moved further up, or is
/// where it was again, is as good. It only reads. Returns whom it left out.
///
/// # Errors
/// [`CliError::Usage`]: nobody else is left.
pub(super) async fn left_out(
    program: &Program,
    set: &Arc<MigrationSet>,
    former: &Former,
    left: &BTreeSet<TenantId>,
) -> Result<BTreeSet<TenantId>, CliError> {
    let header = &former.run.header;
    if !waves::goes_up(header) {
        return Ok(BTreeSet::new());
    }
    let waves = waves::of_run(program, former)?.waves;
    let mut tenants = awaited(&waves, former, left);
    let wanted = header.run.to_string();
    let rollout = program.read_ledger(async |ledger| ledger.rollout(&wanted).await.map_err(run_error)).await?;
    tenants.retain(|tenant| rollout.trails.get(&tenant.id).is_some_and(|trail| trail.may_be_moved_back()));
    if tenants.is_empty() {
        return Ok(BTreeSet::new());
    }
    let reach = reach(former.run.goal(set.catalog())?);
    let mut by: BTreeMap<Uuid, BTreeSet<TenantId>> = BTreeMap::new();
    for now in program.observe(set, &tenants).await {
        if let Some(run) = rollout.trails[&now.tenant].moved_back_by(set.catalog(), reach, Some(&now)) {
            by.entry(run).or_default().insert(now.tenant);
        }
    }
    let Some(back) = Back::of(by, &waves, left) else { return Ok(BTreeSet::new()) };
    let named = back.by.iter().map(|(run, ids)| format!("\n  {}, by run {run}", program.terminal.names(ids)));
    let (named, ways) = (named.collect::<String>(), back.ways(program, header));
    if back.behind.len() == left.len() {
        return Err(CliError::Usage(format!(
            "run {} is not gone on with: tenants of the waves that the rest waits for were moved back since, and what let it on does \
             not hold any more; nothing was touched{named}\n{}",
            header.run,
            ways.trim_end()
        )));
    }
    program.terminal.warn(&format!(
        "left out: {}: tenants of the waves that they wait for were moved back since, and what let them on does not hold any \
         more{named}\n{}",
        program.terminal.names(&back.behind),
        ways.trim_end()
    ));
    Ok(back.behind)
}

/// The tenants that would be left out of a run that is over, as far as the ledger knows: how many, and the lines that say what to type. `None`:
/// nobody.
pub(in crate::cli) fn by_ledger(program: &Program, former: &Former, rollout: &Rollout) -> Option<(usize, String)> {
    let header = &former.run.header;
    let left = former.left();
    if let Some(gone) = waves::gone(program, former).filter(|_| !left.is_empty()) {
        let then = program.command(&format!("runs resume {}", header.run));
        return Some((
            left.len(),
            format!("{gone}; put back what the run had, then: {then}\nor, {}", anew(program, header)),
        ));
    }
    let waves = waves::of_run(program, former).ok().filter(|_| waves::goes_up(header))?.waves;
    let catalog = Catalog::new(header.catalog.iter().map(String::as_str), "");
    let reach = header.kind.goal().and_then(reach);
    let mut by: BTreeMap<Uuid, BTreeSet<TenantId>> = BTreeMap::new();
    for tenant in awaited(&waves, former, &left) {
        let trail = rollout.trails.get(&tenant.id);
        if let Some(run) = trail.and_then(|trail| trail.moved_back_by(&catalog, reach, None)) {
            by.entry(run).or_default().insert(tenant.id.clone());
        }
    }
    let back = Back::of(by, &waves, &left)?;
    let names = |ids| program.terminal.names(ids);
    let who: Vec<String> = back.by.iter().map(|(run, ids)| format!("{} by run {run}", names(ids))).collect();
    let (wait, stay) = if back.behind.len() == 1 { ("waits", "stays") } else { ("wait", "stay") };
    let waiting = count(back.behind.len(), "tenant");
    let ways = back.ways(program, header);
    Some((
        back.behind.len(),
        format!("moved back since: {}; {waiting} that {wait} for them {stay}\n{ways}", who.join(", ")),
    ))
}

/// The place of a goal, beyond which nothing counts.
fn reach(goal: Goal) -> Option<usize> {
    match goal.target {
        Target::Migration(place) => Some(place),
        Target::End | Target::Steps(_) => None,
    }
}

/// The tenants that are done, of waves that those which are left wait for.
fn awaited(waves: &[Wave], former: &Former, left: &BTreeSet<TenantId>) -> Vec<Arc<Tenant>> {
    let is_left = |tenant: &Arc<Tenant>| left.contains(&tenant.id);
    let waiting = waves.iter().filter(|wave| wave.tenants.iter().any(is_left));
    let before: BTreeSet<&String> = waiting.flat_map(|wave| &wave.waits_for).collect();
    let tenants = waves.iter().filter(|wave| before.contains(&wave.name)).flat_map(|wave| &wave.tenants);
    tenants.filter(|tenant| !is_left(tenant) && !former.failed.contains_key(&tenant.id)).cloned().collect()
}

fn anew(program: &Program, header: &RunHeader) -> String {
    format!("from the first wave on: {}\n", program.command(&next::from_the_beginning(header)))
}

impl Back {
    fn of(by: BTreeMap<Uuid, BTreeSet<TenantId>>, waves: &[Wave], left: &BTreeSet<TenantId>) -> Option<Back> {
        let is_back = |tenant: &Arc<Tenant>| by.values().any(|ids| ids.contains(&tenant.id));
        let fallen: BTreeSet<String> =
            waves.iter().filter(|wave| wave.tenants.iter().any(is_back)).map(|wave| wave.name.clone()).collect();
        let waiting = waves.iter().filter(|wave| !wave.waits_for.is_disjoint(&fallen));
        let ids = waiting.flat_map(|wave| &wave.tenants).map(|tenant| &tenant.id);
        let behind: BTreeSet<TenantId> = ids.filter(|id| left.contains(*id)).cloned().collect();
        (!behind.is_empty()).then_some(Back { by, behind })
    }

    /// The commands to type, a line each.
    fn ways(&self, program: &Program, header: &RunHeader) -> String {
        let ids: BTreeSet<&TenantId> = self.by.values().flatten().collect();
        let mut ways: String =
            ids.iter().filter_map(|id| hold::in_quarantine(program, id)).map(|way| way + "\n").collect();
        let is_counted = header.kind.goal().is_some_and(|goal| matches!(goal.target, Target::Steps(_)));
        // Nothing but an approved plan would be run on them, and so many steps may end elsewhere.
        if !is_counted && !program.settings().require_approval {
            let up = next::first_of(program, &next::to_its_goal(header, &[]), ids);
            let then = program.command(&format!("runs resume {}", header.run));
            ways.push_str(&format!("to bring them there again: {up}\nthen: {then}\nor, "));
        }
        ways + &anew(program, header)
    }
}
