//! Warnings before a run: tables that something else has made, migrations of the sample, and a run that goes on
//! or died.
//!
//! It changes nothing.

use std::collections::BTreeSet;

use super::exit::CliError;
use super::inspect::Planned;
use super::runs;
use super::setup::Program;
use crate::compile::MigrationSet;
use crate::ledger::Ledger;
use crate::model::observation::Observation;
use crate::model::plan::Goal;
use crate::model::program;
use crate::model::run_summary::{RunFilter, RunStatus};
use crate::model::schema::Direction;
use crate::model::tenant::TenantId;
use crate::report::plan::PlanRow;
use crate::report::{count, moment};

/// The tenants that a migration would begin with although they have tables: something else has made them. A note says so.
pub(super) fn with_tables(
    program: &Program,
    goal: &Goal,
    waves: &mut [(String, Vec<PlanRow>)],
    observations: &[Observation],
) -> Vec<(TenantId, usize)> {
    if goal.direction == Direction::Down {
        return Vec::new();
    }
    let mut found = Vec::new();
    for (row, seen) in waves.iter_mut().flat_map(|(_, rows)| rows).zip(observations) {
        if seen.tables > 0 && seen.error.is_none() && !row.steps.is_empty() {
            row.add_note(format!("{} and no history: {}", count(seen.tables, "table"), adoption(program, "")));
            found.push((seen.tenant.clone(), seen.tables));
        }
    }
    found
}

/// That migrations of a plan are those of fleet's own sample: a project with its own tenants does not want them.
pub(super) fn of_sample(set: &MigrationSet, planned: &Planned) -> Option<String> {
    let rows = planned.rows();
    let steps: BTreeSet<&String> = rows.iter().flat_map(|row| &row.steps).collect();
    let is_code = |name: &&&String| set.catalog().position(name).is_some_and(|at| set.catalog().script(at).is_none());
    let of_it = steps.iter().filter(is_code).count();
    (program::is_sample() && of_it > 0).then(|| {
        format!(
            "{} of fleet's own sample, which this program holds: they make the sample's tables. A project of yours has a program \
             of its own: {} init",
            if of_it == 1 { "1 of the steps is".to_owned() } else { format!("{of_it} of the steps are") },
            program::name()
        )
    })
}

/// The way to take in tenants that something else has made. `flags`: which.
pub(super) fn adoption(program: &Program, flags: &str) -> String {
    format!("if something else has made them: {}", program.command(&format!("baseline VERSION --dry-run{flags}")))
}

/// Names the last run where it goes on, or died and left tenants. A ledger that does not answer says nothing: reading the
/// tenants does not depend on it.
pub(super) async fn tell_last_run(program: &Program) {
    let read = async |ledger: &Ledger| {
        let Some(run) = ledger.runs_of(&RunFilter::default(), 1).await.map_err(CliError::Ledger)?.pop() else {
            return Ok(None);
        };
        let open = ledger.ends(run.run).await.map_err(CliError::Ledger)?.open.len();
        Ok(Some((run, open)))
    };
    let Ok(Some(Some((run, open)))) = program.read_ledger_if_any(read).await else { return };
    let (id, since) = (run.run, moment(run.started_at_ms));
    match run.status() {
        RunStatus::Running => {
            let watch = program.command(&format!("runs show {id} --watch"));
            program.terminal.tell(&format!("run {id} is at work since {since}: {watch}"));
        }
        RunStatus::Dead if open > 0 => {
            let resume = runs::way_on(program, id).await;
            let left = count(open, "tenant");
            program.terminal.warn(&format!("run {id}, begun at {since}, died and left {left}: {resume}"));
        }
        _ => {}
    }
}
