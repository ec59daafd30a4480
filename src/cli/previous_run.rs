//! A previous run, as read from the ledger: its goal, its failures, the tenants it did not reach.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Display;

use super::exit::{CliError, run_error};
use super::setup::Program;
use crate::inputs::select::Selection;
use crate::ledger::Ledger;
use crate::model::event::{PlannedTenant, RunHeader};
use crate::model::outcome::{InDoubt, Outcome, Standing, TenantRecord};
use crate::model::plan::{Goal, Target};
use crate::model::schema::{Catalog, Direction};
use crate::model::tenant::TenantId;
use crate::report::clean;

/// A run that is in the ledger.
pub(super) struct PreviousRun {
    pub(super) header: RunHeader,
    pub(super) records: Vec<(PlannedTenant, Option<TenantRecord>)>,
}

/// Of these tenants of a run, those that the file still has, and how many it has no more. It warns of the latter.
pub(super) fn retained(
    program: &Program,
    run: impl Display,
    wanted: BTreeSet<TenantId>,
) -> (BTreeSet<TenantId>, usize) {
    let known: BTreeSet<&TenantId> = program.registry.tenants.iter().map(|t| &t.id).collect();
    let (present, missing) = wanted.into_iter().partition::<BTreeSet<_>, _>(|id| known.contains(id));
    if !missing.is_empty() {
        program.terminal.warn(&format!(
            "{} of the tenants wanted from run {run} are not in the tenant file any more: {}",
            missing.len(),
            program.terminal.names(&missing)
        ));
    }
    (present, missing.len())
}

impl PreviousRun {
    pub(super) async fn read(ledger: &Ledger, wanted: &str) -> Result<Self, CliError> {
        let summary = ledger.run(wanted).await.map_err(run_error)?;
        let header = ledger.header(summary.run).await.map_err(run_error)?;
        let records = ledger.records(summary.run).await.map_err(run_error)?;
        Ok(PreviousRun { header, records })
    }

    /// Leaves out of a rollback that goes on with it whose id had another database then: it would take that one down instead. The same
    /// of a run of a saved plan, which was for the other database. They are named, and count as held back.
    pub(super) fn leave_out_moved(&self, program: &Program, selection: &mut Selection) -> Result<(), CliError> {
        if self.header.direction == Direction::Up && self.header.kind.plan().is_none() {
            return Ok(());
        }
        let place = |(planned, _): &(PlannedTenant, _)| Some((planned.tenant.clone(), planned.database.clone()?));
        let then: HashMap<TenantId, String> = self.records.iter().filter_map(place).collect();
        let mut left = 0;
        for wave in &mut selection.waves {
            wave.tenants.retain(|tenant| {
                let now = program.place_of(tenant);
                let Some(then) = then.get(&tenant.id).filter(|then| **then != now) else { return true };
                program.terminal.warn(&format!(
                    "left out: {}: its database is {now} now, and run {} had {then}; look with `{}`, and name its version with --to",
                    clean(tenant.id.as_str()),
                    self.header.run,
                    program.command("history --tenant ID")
                ));
                left += 1;
                false
            });
        }
        selection.waves.retain(|wave| !wave.tenants.is_empty());
        selection.held_back += left;
        match selection.is_empty() && left > 0 {
            true => Err(CliError::CanNotStart(format!(
                "none of the tenants of run {} that are left has its database of then; nothing was touched",
                self.header.run
            ))),
            false => Ok(()),
        }
    }

    /// The tenants that failed in it.
    pub(super) fn failed(&self) -> BTreeSet<TenantId> {
        let failed = |r: &TenantRecord| r.outcome.standing() == Standing::Failed;
        let records = self.records.iter().filter(|(_, record)| record.as_ref().is_some_and(failed));
        records.map(|(planned, _)| planned.tenant.clone()).collect()
    }

    /// The tenants that it left in doubt.
    pub(super) fn in_doubt(&self) -> BTreeSet<TenantId> {
        let records = self.records.iter().filter_map(|(_, record)| record.as_ref());
        records.filter(|r| matches!(r.outcome, Outcome::InDoubt(_))).map(|r| r.tenant.clone()).collect()
    }

    /// The tenants that it did not reach, or whose outcome was not recorded.
    pub(super) fn unreached(&self) -> BTreeSet<TenantId> {
        let left = |r: &Option<TenantRecord>| r.as_ref().is_none_or(|r| is_outstanding(&r.outcome));
        let mut ids: BTreeSet<TenantId> =
            self.records.iter().filter(|(_, r)| left(r)).map(|(planned, _)| planned.tenant.clone()).collect();
        // Without the tenants that some of them depend on, they would be started as if they had no dependencies.
        ids.extend(self.records.iter().filter_map(|(_, r)| match &r.as_ref()?.outcome {
            Outcome::NotStarted { waited_for, .. } => waited_for.clone(),
            _ => None,
        }));
        ids
    }

    /// Of the tenants it left, those that it may have moved some steps without a record: its goal was a number of
    /// steps, the target for them was never settled, and no outcome says that they were not started.
    pub(super) fn uncertain(&self) -> BTreeSet<TenantId> {
        if !self.header.kind.goal().is_some_and(|goal| matches!(goal.target, Target::Steps(_))) {
            return BTreeSet::new();
        }
        let unreached = self.unreached();
        let began = |r: &Option<TenantRecord>| !matches!(r, Some(r) if matches!(r.outcome, Outcome::NotStarted { .. }));
        let unsettled = self.records.iter().filter(|(planned, record)| planned.target.is_none() && began(record));
        unsettled.map(|(planned, _)| planned.tenant.clone()).filter(|id| unreached.contains(id)).collect()
    }

    /// Its goal, in the places of today's catalog.
    pub(super) fn goal(&self, catalog: &Catalog) -> Result<Goal, CliError> {
        let goal = self.header.kind.goal().ok_or_else(|| {
            CliError::Usage(format!(
                "the goal of run {} was recorded by another version; name it with --to",
                self.header.run
            ))
        })?;
        self.refuse_missing(&goal, catalog)?;
        Ok(Goal { target: self.translate(goal.target, goal.direction, catalog)?, ..goal })
    }

    /// Refuses a catalog that lacks migrations on the run's way up: its tenants would end as if they were at their
    /// target, and the migrations they failed at would never be applied.
    fn refuse_missing(&self, goal: &Goal, catalog: &Catalog) -> Result<(), CliError> {
        let reach = match (goal.direction, goal.target) {
            (Direction::Down, _) => 0,
            (Direction::Up, Target::Migration(i)) => i + 1,
            (Direction::Up, Target::End | Target::Steps(_)) => self.header.catalog.len(),
        };
        let on_the_way = self.header.catalog.iter().take(reach);
        let missing: Vec<String> =
            on_the_way.filter(|name| catalog.position(name).is_none()).map(|name| clean(name)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let more = if missing.len() > 3 { format!(" and {} more", missing.len() - 3) } else { String::new() };
        Err(CliError::Usage(format!(
            "run {} was to apply {}{more}, which this program with these --scripts does not have; give it what the run had, \
             or name another goal: migrate --to",
            self.header.run,
            missing[..missing.len().min(3)].join(", ")
        )))
    }

    /// The target that it settled for each tenant, in the places of today's catalog.
    pub(super) fn targets(&self, catalog: &Catalog) -> Result<HashMap<TenantId, Target>, CliError> {
        let settled = self.records.iter().filter_map(|(planned, _)| Some((&planned.tenant, planned.target?)));
        let today = |target| self.translate(target, self.header.direction, catalog);
        settled.map(|(tenant, target)| Ok((tenant.clone(), today(target)?))).collect()
    }

    /// The end of the catalog was the end of *its* catalog: a program with more migrations does not go further for it.
    fn translate(&self, target: Target, direction: Direction, catalog: &Catalog) -> Result<Target, CliError> {
        let old = &self.header.catalog;
        let name = match target {
            Target::Migration(i) => old.get(i),
            Target::End if direction == Direction::Up => old.last(),
            Target::End | Target::Steps(_) => return Ok(target),
        };
        let Some(name) = name else { return Ok(target) };
        match catalog.position(name) {
            Some(i) if i + 1 == catalog.migrations.len() && direction == Direction::Up => Ok(Target::End),
            Some(i) => Ok(Target::Migration(i)),
            None => Err(CliError::Usage(format!(
                "run {} went to {name}, which this program does not know; use the program that began it",
                self.header.run
            ))),
        }
    }
}

/// Whether a tenant has still to be taken: its turn did not come, or the run did not learn how it ended. One that was
/// skipped had nothing of what the run was to work on.
pub(super) fn is_outstanding(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Skipped { .. } => false,
        Outcome::InDoubt(InDoubt::Unanswered) => true,
        other => other.standing() == Standing::Outstanding,
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::model::outcome::NotStarted;
    use crate::model::run_kind::RunKind;
    use crate::model::tenant::Engine;

    fn planned(tenant: &str, target: Option<Target>) -> PlannedTenant {
        let (server, wave) = ("local".to_owned(), "rest".to_owned());
        PlannedTenant { tenant: TenantId::from(tenant), engine: Engine::Sqlite, server, wave, target, database: None }
    }

    fn former(target: Target, records: Vec<(PlannedTenant, Option<TenantRecord>)>) -> PreviousRun {
        let goal = Goal { direction: Direction::Down, target, out_of_order: false };
        let header = RunHeader {
            run: Uuid::now_v7(),
            direction: Direction::Down,
            goal: String::new(),
            kind: RunKind::migrate(goal),
            resumes: None,
            catalog: Vec::new(),
            texts: Vec::new(),
            tenants: Vec::new(),
            started_at_ms: 0,
            program: String::new(),
            started_by: Default::default(),
            selection: Vec::new(),
        };
        PreviousRun { header, records }
    }

    fn not_started(tenant: &str) -> TenantRecord {
        TenantRecord {
            index: 0,
            tenant: TenantId::from(tenant),
            engine: Engine::Sqlite,
            server: String::new(),
            wave: String::new(),
            outcome: NotStarted::Interrupted.outcome(),
            version: None,
            version_known: false,
            committed: Vec::new(),
            attempts: 0,
            duration: std::time::Duration::ZERO,
            notes: Vec::new(),
            brought_back: false,
            stopped_at: None,
            error: None,
            timings: None,
            runner: None,
        }
    }

    #[test]
    fn steps_that_nobody_settled_are_uncertain_unless_the_turn_never_came() {
        let records = || {
            vec![
                (planned("settled", Some(Target::Migration(0))), None),
                (planned("unsettled", None), None),
                (planned("waiting", None), Some(not_started("waiting"))),
            ]
        };
        let uncertain = former(Target::Steps(1), records()).uncertain();
        assert_eq!(uncertain, BTreeSet::from([TenantId::from("unsettled")]));
        assert!(former(Target::Migration(0), records()).uncertain().is_empty(), "a named goal is the same each time");
    }
}
