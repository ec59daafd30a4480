//! Refuses a migration that begins anew where `on_failure = "rollback_wave"` and an earlier one ended without a judgement of its
//! wave: it would take back only what it moved itself, and leave the rest of a wave that fails at the new version.

use std::collections::BTreeSet;
use std::sync::Arc;

use uuid::Uuid;

use super::exit::{CliError, run_error};
use super::setup::{Program, quoted};
use super::start::Intent;
use crate::compile::MigrationSet;
use crate::inputs::select::Selection;
use crate::ledger::Ledger;
use crate::model::event::Event;
use crate::model::gate::GateAction;
use crate::model::observation::Observation;
use crate::model::outcome::NotStarted;
use crate::model::run_summary::{RunFilter, RunStatus, RunSummary};
use crate::model::schema::Direction;
use crate::model::tenant::{Tenant, TenantId};
use crate::model::undo::{Rollout, Undoing, WayBack};
use crate::report::{clean, count};

/// The most runs of the ledger that are looked at, the last first.
const RUNS: usize = 100;

/// A wave of a rollout that ended without a judgement of it.
struct Unjudged {
    wave: String,
    /// The run to go on with.
    last: RunSummary,
    /// Whether it is known to have failed, and is not back yet.
    is_due: bool,
    rollout: Rollout,
}

/// Refuses to begin where a wave has tenants that such a rollout moved, and that are still where it left them.
pub(super) async fn refuse(program: &Program, set: &Arc<MigrationSet>, intent: &Intent) -> Result<(), CliError> {
    let is_new = intent.resumes.is_none() && intent.kind.undoes().is_none();
    let is_up = intent.kind.goal().is_some_and(|goal| goal.direction == Direction::Up);
    let wanted = taken_back(&intent.selection);
    if !is_new || !is_up || wanted.is_empty() {
        return Ok(());
    }
    let found = program.read_ledger_if_any(async |ledger| find(ledger, wanted).await).await?;
    for unjudged in found.unwrap_or_default() {
        let moved = still_there(program, set, &unjudged).await;
        if !moved.is_empty() {
            return Err(unjudged.error(program, &moved));
        }
    }
    Ok(())
}

/// The waves of a selection that are taken back on a failure.
fn taken_back(selection: &Selection) -> BTreeSet<String> {
    let is_it = |gate: &crate::policy::Gate| gate.on_failure == GateAction::RollbackWave;
    let waves = selection.waves.iter().filter(|wave| wave.gate.as_ref().is_some_and(is_it));
    waves.map(|wave| wave.name.clone()).collect()
}

/// Of these waves, those whose last migration died, or was interrupted, without a judgement, or that failed in it.
async fn find(ledger: &Ledger, mut wanted: BTreeSet<String>) -> Result<Vec<Unjudged>, CliError> {
    let mut found = Vec::new();
    for summary in ledger.runs_of(&RunFilter::default(), RUNS).await.map_err(CliError::Ledger)? {
        if wanted.is_empty() {
            break;
        }
        let is_up = summary.kind.goal().is_some_and(|goal| goal.direction == Direction::Up);
        // One that goes on holds its tenants: that is told with who has them.
        if !is_up || summary.status() == RunStatus::Running {
            continue;
        }
        let header = ledger.header(summary.run).await.map_err(run_error)?;
        let its: BTreeSet<String> = header.tenants.into_iter().map(|planned| planned.wave).collect();
        let (of_it, rest): (BTreeSet<String>, _) = wanted.into_iter().partition(|wave| its.contains(wave));
        wanted = rest;
        if of_it.is_empty() {
            continue;
        }
        let rollout = ledger.rollout(&summary.run.to_string()).await.map_err(run_error)?;
        let (mut passed, mut due) = (BTreeSet::new(), BTreeSet::new());
        for run in &rollout.runs {
            let events = ledger.events(run.run).await.map_err(run_error)?;
            due.extend(Undoing::of(&events, Vec::new()).due);
            passed.extend(events.into_iter().filter_map(|(_, event)| match event {
                Event::GateFinished(gate) if gate.is_passed() => Some(gate.wave),
                _ => None,
            }));
        }
        let is_open = |wave: &String| due.contains(wave) || (is_cut_off(&summary) && !passed.contains(wave));
        for wave in of_it.into_iter().filter(is_open) {
            let is_due = due.contains(&wave);
            found.push(Unjudged { wave, last: summary.clone(), is_due, rollout: rollout.clone() });
        }
    }
    Ok(found)
}

/// Whether a run was ended before it could ask its gates.
fn is_cut_off(run: &RunSummary) -> bool {
    run.status() != RunStatus::Finished || run.counts.stopped == Some(NotStarted::Interrupted)
}

/// The tenants of the file that the rollout moved in the wave, and that are not back.
async fn still_there(program: &Program, set: &Arc<MigrationSet>, unjudged: &Unjudged) -> BTreeSet<TenantId> {
    let Unjudged { wave, rollout, last, .. } = unjudged;
    let trail = |tenant: &Tenant| rollout.trails.get(&tenant.id).filter(|trail| trail.wave == *wave);
    let may_be = |tenant: &&Arc<Tenant>| trail(tenant).is_some_and(|trail| trail.is_unsettled());
    let only: BTreeSet<TenantId> = program.registry.tenants.iter().filter(may_be).map(|t| t.id.clone()).collect();
    let Ok(selection) = program.filter(crate::inputs::select::Filter { only: Some(only), ..Default::default() }).await
    else {
        return BTreeSet::new();
    };
    let tenants: Vec<Arc<Tenant>> = selection.tenants().cloned().collect();
    let seen = program.observe(set, &tenants).await;
    let is_moved = |(tenant, now): &(&Arc<Tenant>, &Observation)| {
        let Some(trail) = trail(tenant) else { return false };
        match trail.way_back(set.catalog(), now) {
            WayBack::To(_) => true,
            // Nobody has been told yet that its outcome was lost: the run that goes on does.
            WayBack::Refused(_) => is_cut_off(last) && trail.has_gap(),
            WayBack::Untouched | WayBack::Done => false,
        }
    };
    tenants.iter().zip(&seen).filter(is_moved).map(|(tenant, _)| tenant.id.clone()).collect()
}

impl Unjudged {
    fn error(&self, program: &Program, moved: &BTreeSet<TenantId>) -> CliError {
        let Unjudged { wave, last, is_due, .. } = self;
        let (run, named): (Uuid, String) = (last.run, clean(wave));
        let end = match (is_cut_off(last), last.status()) {
            (false, _) => "ended",
            (true, RunStatus::Finished) => "was interrupted",
            (true, _) => "died",
        };
        let why = match is_due {
            true => format!("run {run} failed at wave {named}, and {end} before that was taken back"),
            false => format!("run {run} has begun with wave {named}, and {end} before its gate had judged it"),
        };
        CliError::CanNotStart(format!(
            "{why}: {} ({}). The wave is taken back on a failure, and a new run would take back no more than it moves itself; \
             nothing was touched\nto go on with that run: {}\nto take back what it moved: {}",
            count(moved.len(), "tenant"),
            program.terminal.names(moved),
            program.command(&format!("runs resume {run}")),
            program.command(&format!("rollback --run {run} --wave {}", quoted(wave)))
        ))
    }
}
