//! A run with those that it resumed and those that resumed it, and every run since that took one of their tenants.
//!
//! It only reads; the decision is made in `model::undo`.

use std::collections::{BTreeSet, HashMap};

use indexmap::IndexMap;
use uuid::Uuid;

use super::error::LedgerError;
use super::open::Ledger;
use crate::model::event::Event;
use crate::model::run_summary::{RunStatus, RunSummary};
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

    /// The waves that a run had begun when it died; see [`begun_waves`].
    pub(super) async fn begun_waves(&self, run: Uuid) -> Result<Option<BTreeSet<String>>, LedgerError> {
        Ok(begun_waves(&self.run(&run.to_string()).await?, &self.events(run).await?))
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
            let events = self.events(run.run).await?;
            let begun = begun_waves(&run, &events);
            for (planned, record) in self.records(run.run).await? {
                let is_untouched =
                    record.is_none() && begun.as_ref().is_some_and(|begun| !begun.contains(&planned.wave));
                let stage = Stage { run: run.run, is_own, takes_back, record };
                let trail = match is_own {
                    true => {
                        let new = || Trail { wave: planned.wave, ..Trail::default() };
                        let trail = trails.entry(planned.tenant).or_insert_with(new);
                        trail.database = planned.database;
                        Some(trail)
                    }
                    false => trails.get_mut(&planned.tenant),
                };
                if let Some(trail) = trail.filter(|_| !is_untouched) {
                    trail.stages.push(stage);
                }
            }
            if !is_own {
                continue;
            }
            for (_, event) in events {
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

/// The waves that a run had begun when it died: no tenant of another one was touched. `None`: that is not known of it, because it
/// did not wait for the ledger before each wave, or it has not died.
fn begun_waves(run: &RunSummary, events: &[(i64, Event)]) -> Option<BTreeSet<String>> {
    let begun = events.iter().filter_map(|(_, event)| match event {
        Event::WaveStarted { wave, .. } => Some(wave.clone()),
        _ => None,
    });
    (run.status() == RunStatus::Dead && run.started_by.awaits_waves).then(|| begun.collect())
}
