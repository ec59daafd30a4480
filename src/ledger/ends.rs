//! The ends of a run in the light of later runs: tenants it left, and whether they were settled since.
//!
//! It only reads; the decision is made in `model::settled`.

use std::collections::{BTreeMap, BTreeSet};

use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QuerySelect};
use uuid::Uuid;

use super::entity::run;
use super::error::LedgerError;
use super::open::{Ledger, Store};
use super::reader::{READ, newest_first};
use crate::model::outcome::{Outcome, Standing, TenantRecord};
use crate::model::run_kind::RunKind;
use crate::model::run_summary::{RunStatus, RunSummary};
use crate::model::settled::{Aim, replaces, settles};
use crate::model::tenant::TenantId;

/// The tenants that a run did not bring to their end, or of which it has no outcome.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Ends {
    /// Those that no later run has settled. A run without any is closed.
    pub(crate) open: BTreeSet<TenantId>,
    /// Those that a later run has settled, and which one.
    pub(crate) settled: BTreeMap<TenantId, Uuid>,
    /// Of the open ones of a restore, those that a later run has brought back from other backups, and which one.
    pub(crate) replaced: BTreeMap<TenantId, Uuid>,
}

impl Ledger {
    /// The ends of a run. An unknown run has none.
    ///
    /// # Errors
    /// [`LedgerError`] when the ledger can't be read.
    pub(crate) async fn ends(&self, run: Uuid) -> Result<Ends, LedgerError> {
        // A tenant that needed nothing is left out of a task; nothing is open for it.
        let ended = |record: &TenantRecord| {
            record.outcome.standing() == Standing::AtTarget || matches!(record.outcome, Outcome::Skipped { .. })
        };
        let (mut ends, records) = (Ends::default(), self.records(run).await?);
        let targets: BTreeMap<&TenantId, _> = records
            .iter()
            .filter(|(_, record)| !record.as_ref().is_some_and(ended))
            .map(|(planned, _)| (&planned.tenant, planned.target))
            .collect();
        ends.open = targets.keys().map(|tenant| (*tenant).clone()).collect();
        if ends.open.is_empty() {
            return Ok(ends);
        }
        let left = self.run(&run.to_string()).await?;
        let catalog = self.catalog(run).await?;
        for later in self.later_than(run).await? {
            if ends.open.is_empty() {
                break;
            }
            let later_catalog = self.catalog(later.run).await?;
            for (planned, record) in self.records(later.run).await? {
                let (Some(record), true) = (record, ends.open.contains(&planned.tenant)) else { continue };
                let target = targets.get(&planned.tenant).copied().flatten();
                let left = Aim { kind: &left.kind, catalog: &catalog, target };
                let aim = Aim { kind: &later.kind, catalog: &later_catalog, target: planned.target };
                if settles(&left, &aim, &record.outcome) {
                    ends.open.remove(&planned.tenant);
                    ends.settled.insert(planned.tenant, later.run);
                } else if replaces(&left, &record.outcome) {
                    ends.replaced.entry(planned.tenant).or_insert(later.run);
                }
            }
        }
        ends.replaced.retain(|tenant, _| ends.open.contains(tenant));
        Ok(ends)
    }

    /// The living run that resumes this one, or one that resumed it.
    ///
    /// # Errors
    /// [`LedgerError`] when the ledger can't be read.
    pub(crate) async fn living_heir(&self, run: Uuid) -> Result<Option<RunSummary>, LedgerError> {
        Ok(self.heirs(run).await?.into_iter().find(|heir| heir.status() == RunStatus::Running))
    }

    /// The runs that resume this one, or one that resumed it, oldest first.
    ///
    /// # Errors
    /// [`LedgerError`] when the ledger can't be read.
    pub(crate) async fn heirs(&self, run: Uuid) -> Result<Vec<RunSummary>, LedgerError> {
        let (mut line, mut heirs) = (BTreeSet::from([run]), Vec::new());
        for later in self.later_than(run).await?.into_iter().rev() {
            if later.resumes.is_some_and(|parent| line.contains(&parent)) {
                line.insert(later.run);
                heirs.push(later);
            }
        }
        Ok(heirs)
    }

    /// All restores, newest first; the backups of a run may be needed by several.
    ///
    /// # Errors
    /// [`LedgerError`] when the ledger can't be read.
    pub(crate) async fn restores(&self) -> Result<Vec<RunSummary>, LedgerError> {
        // The text only narrows the search; older programs recorded the kind in other words.
        let mut runs = self.store.summaries(newest_first().filter(run::Column::GoalData.contains("restore"))).await?;
        runs.retain(|run| matches!(run.kind, RunKind::Restore { .. }));
        Ok(runs)
    }

    /// The runs that were recorded after this one, newest first, in the order of [`newest_first`]. An unknown run has none.
    pub(super) async fn later_than(&self, run: Uuid) -> Result<Vec<RunSummary>, LedgerError> {
        let store = &self.store;
        let Some(later) = store.is_later_than(run).await? else { return Ok(Vec::new()) };
        store.summaries(newest_first().filter(later)).await
    }
}

impl Store {
    /// The condition of the runs that were recorded after this one; an unknown run has none.
    pub(super) async fn is_later_than(&self, run: Uuid) -> Result<Option<Condition>, LedgerError> {
        use run::Column::{Run, StartedAtMs};

        let began = run::Entity::find_by_id(run.to_string()).select_only().column(StartedAtMs);
        let began: Option<i64> = began.into_tuple().one(&self.db).await.map_err(self.explain(READ))?;
        let condition = |began_at_ms| {
            let same_moment = Condition::all().add(StartedAtMs.eq(began_at_ms)).add(Run.gt(run.to_string()));
            Condition::any().add(StartedAtMs.gt(began_at_ms)).add(same_moment)
        };
        Ok(began.map(condition))
    }
}
