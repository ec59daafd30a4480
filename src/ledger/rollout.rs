//! A run with those that it resumed and those that resumed it, and every run since that took one of their tenants.
//!
//! It only reads; the decision is made in `model::undo`.

use std::collections::{BTreeSet, HashMap};

use indexmap::IndexMap;
use uuid::Uuid;

use super::error::LedgerError;
use super::open::Ledger;
use crate::model::event::Event;
use crate::model::run_summary::RunSummary;
use crate::model::tenant::TenantId;
use crate::model::undo::{Rollout, Stage, TakenBack, Trail};

impl Ledger {
    /// The runs since that took back what a run, or one of its rollout, had moved, oldest first.
    ///
    /// # Errors
    /// As [`Ledger::run`], also where a run that it resumes is not in the ledger.
    pub(crate) async fn taken_back(&self, run: Uuid) -> Result<Vec<TakenBack>, LedgerError> {
        let mut first = self.run(&run.to_string()).await?;
        while let Some(parent) = first.resumes {
            first = self.run(&parent.to_string()).await?;
        }
        let is_its = |later: &RunSummary| later.kind.undoes() == Some(first.run);
        let later = self.later_than(run).await?.into_iter().rev().filter(is_its);
        Ok(later.map(|of| TakenBack { run: of.run, stats: of.counts, status: of.status() }).collect())
    }

    /// The rollout that a run belongs to: `last`, an id, or its beginning or end.
    ///
    /// # Errors
    /// As [`Ledger::run`], also where a run that it resumes is not in the ledger.
    pub(crate) async fn rollout(&self, wanted: &str) -> Result<Rollout, LedgerError> {
        let mut first = self.run(wanted).await?;
        while let Some(parent) = first.resumes {
            first = self.run(&parent.to_string()).await?;
        }
        let root = first.run;
        let later = self.later_than(root).await?;
        let mut own = BTreeSet::from([root]);
        let (mut runs, mut trails, mut budgets) = (Vec::new(), IndexMap::<TenantId, Trail>::new(), HashMap::new());
        for run in std::iter::once(first).chain(later.into_iter().rev()) {
            let is_own = run.run == root || run.resumes.is_some_and(|parent| own.contains(&parent));
            let takes_back = run.kind.undoes() == Some(root);
            for (planned, record) in self.records(run.run).await? {
                let stage = Stage { run: run.run, is_own, takes_back, record };
                if is_own {
                    let new = || Trail { wave: planned.wave, ..Trail::default() };
                    let trail = trails.entry(planned.tenant).or_insert_with(new);
                    trail.stages.push(stage);
                    trail.database = planned.database;
                } else if let Some(trail) = trails.get_mut(&planned.tenant) {
                    trail.stages.push(stage);
                }
            }
            if !is_own {
                continue;
            }
            for (_, event) in self.events(run.run).await? {
                if let Event::WaveStarted { wave, max_failures: Some(budget), .. } = event {
                    budgets.insert(wave, budget);
                }
            }
            own.insert(run.run);
            runs.push(run);
        }
        let gaps = trails.iter().filter(|(_, trail)| trail.has_gap()).map(|(id, _)| id.clone()).collect();
        for (id, left) in self.left_before(Some(root), gaps).await? {
            trails[&id].before = Some(left);
        }
        Ok(Rollout { runs, trails, budgets })
    }
}
