//! What a run that is in the ledger says to a new one: whom it left, who failed, and where it was going.

use std::collections::{BTreeSet, HashMap};

use super::exit::{CliError, run_error};
use crate::event::{PlannedTenant, RunHeader};
use crate::ledger::Ledger;
use crate::outcome::{InDoubt, Outcome, Standing, TenantRecord};
use crate::plan::{Goal, Target};
use crate::schema::{Catalog, Direction};
use crate::tenant::TenantId;

/// A run that is in the ledger.
pub(super) struct Former {
    pub(super) header: RunHeader,
    pub(super) records: Vec<(PlannedTenant, Option<TenantRecord>)>,
}

impl Former {
    pub(super) async fn read(ledger: &Ledger, wanted: &str) -> Result<Self, CliError> {
        let summary = ledger.run(wanted).await.map_err(run_error)?;
        let header = ledger.header(summary.run).await.map_err(run_error)?;
        let records = ledger.records(summary.run).await.map_err(run_error)?;
        Ok(Former { header, records })
    }

    /// The tenants that failed in it.
    pub(super) fn failed(&self) -> BTreeSet<TenantId> {
        let failed = |r: &TenantRecord| r.outcome.standing() == Standing::Failed;
        let records = self.records.iter().filter(|(_, record)| record.as_ref().is_some_and(failed));
        records.map(|(planned, _)| planned.tenant.clone()).collect()
    }

    /// The tenants that it did not get to, or whose outcome was not recorded.
    pub(super) fn left(&self) -> BTreeSet<TenantId> {
        let left = |r: &Option<TenantRecord>| {
            r.as_ref().is_none_or(|r| r.outcome.standing() == Standing::Outstanding || is_lost(&r.outcome))
        };
        self.records.iter().filter(|(_, r)| left(r)).map(|(planned, _)| planned.tenant.clone()).collect()
    }

    /// Its goal, in the places of today's catalog.
    pub(super) fn goal(&self, catalog: &Catalog) -> Result<Goal, CliError> {
        let goal: Goal = serde_json::from_value(self.header.goal_data.clone()).map_err(|_| {
            CliError::Usage(format!(
                "the goal of run {} was recorded by another version; name it with --to",
                self.header.run
            ))
        })?;
        Ok(Goal { target: self.translate(goal.target, goal.direction, catalog)?, ..goal })
    }

    /// What it settled for each tenant, in the places of today's catalog.
    pub(super) fn targets(&self, catalog: &Catalog) -> Result<HashMap<TenantId, Target>, CliError> {
        let mut targets = HashMap::new();
        for (planned, _) in &self.records {
            if let Some(target) = planned.target {
                let target = self.translate(target, self.header.direction, catalog)?;
                targets.insert(planned.tenant.clone(), target);
            }
        }
        Ok(targets)
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

/// Whether a tenant has to be asked again: the run did not learn how it ended.
fn is_lost(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::InDoubt(InDoubt::Unanswered))
}
