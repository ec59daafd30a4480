//! A running wave: its queue, its failure budget, and the histories read for its tenants together.
//!
//! It starts and emits nothing; the dispatcher does.

use std::collections::HashMap;
use std::sync::Arc;

use super::PlannedWave;
use super::queue::Queue;
use crate::model::outcome::{Outcome, Standing};
use crate::model::tenant::{Tenant, TenantId};
use crate::policy::{FailureBudget, Tally};

/// A failure budget in use: that of a wave, or of the whole run.
pub(super) struct Budget {
    most: FailureBudget,
    tally: Tally,
    /// The number of its tenants, with those of the runs that this one resumes.
    total: usize,
}

impl Budget {
    /// A budget of this many tenants and those that the resumed run is done with.
    pub(super) fn new(most: FailureBudget, tenants: usize, former: Tally) -> Self {
        Budget { most, tally: former, total: tenants + former.finished }
    }

    /// Counts an outcome. Returns whether it used the budget up.
    pub(super) fn count(&mut self, outcome: &Outcome) -> bool {
        self.tally.add(outcome.kind());
        self.most.counts(outcome.kind()) && self.most.is_exceeded(&self.tally, self.total)
    }

    /// Whether another tenant may be started while so many have no outcome yet.
    pub(super) fn admits(&self, at_risk: usize) -> bool {
        self.most.admits(&self.tally, at_risk, self.total)
    }
}

/// A wave of the plan, and its progress.
pub(super) struct WaveRun<'p> {
    pub(super) planned: &'p PlannedWave,
    pub(super) queue: Queue,
    /// Histories read over shared connections; each is used once.
    pub(super) known: HashMap<TenantId, Vec<String>>,
    pub(super) budget: Budget,
    /// The tenants that are at their target, with those of the resumed run.
    pub(super) at_target: Vec<Arc<Tenant>>,
    /// Whether anything was to be done on any of its tenants.
    pub(super) had_work: bool,
    /// The opening of its window that was told last, and of those of its servers.
    pub(super) told_openings: HashMap<Option<Arc<str>>, i64>,
    /// Whether tenants of it were left out because the windows of their servers were closed.
    pub(super) is_outside: bool,
}

impl<'p> WaveRun<'p> {
    /// A wave with an empty queue.
    pub(super) fn new(planned: &'p PlannedWave, known: HashMap<TenantId, Vec<String>>) -> Self {
        let budget = Budget::new(planned.max_failures, planned.tenants.len(), planned.former);
        let had_work = planned.former.finished > 0;
        WaveRun {
            planned,
            queue: Queue::default(),
            known,
            budget,
            at_target: planned.done.clone(),
            had_work,
            told_openings: HashMap::new(),
            is_outside: false,
        }
    }

    /// Notes the outcome of a tenant for the gate behind the wave.
    pub(super) fn note(&mut self, tenant: &Arc<Tenant>, outcome: &Outcome) {
        self.had_work |= *outcome != Outcome::UpToDate;
        self.at_target.extend((outcome.standing() == Standing::AtTarget).then(|| tenant.clone()));
    }

    /// Whether any tenant has its outcome.
    pub(super) fn has_outcomes(&self) -> bool {
        self.budget.tally.finished > self.planned.former.finished
    }
}
