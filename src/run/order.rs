//! Dependency order between tenants, and which tenants a failure blocks.
//!
//! A pure data structure: it starts nothing. It costs nothing in a run without `depends_on`.

use crate::model::plan::predecessors;

use super::RunPlan;

/// The dependencies of a run, by the tenants' indexes in the plan.
#[derive(Debug, Default)]
pub(super) struct Order {
    /// The number of unfinished predecessors of each tenant; empty if no tenant has any.
    open: Vec<usize>,
    /// The tenants that wait for each one.
    followers: Vec<Vec<usize>>,
    /// The first predecessor of each tenant that did not end well.
    vain: Vec<Option<usize>>,
    /// Tenants whose readiness changed since the last poll.
    changed: Vec<usize>,
}

/// The state of a tenant in the dependency order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Readiness {
    /// May be started.
    Ready,
    /// Waits for tenants that have not ended yet.
    Blocked,
    /// Never starts: this predecessor did not end well.
    Skipped(usize),
}

impl Order {
    /// The dependency order of a plan. Only migrations have one: a backup of one tenant needs no other.
    pub(super) fn of(plan: &RunPlan) -> Self {
        if plan.header.kind.is_task() || plan.tenants.iter().all(|tenant| tenant.depends_on.is_empty()) {
            return Order::default();
        }
        let before = predecessors(&plan.tenants, plan.header.direction);
        let mut followers = vec![Vec::new(); before.len()];
        for (place, all) in before.iter().enumerate() {
            all.iter().for_each(|&other| followers[other].push(place));
        }
        Order {
            open: before.iter().map(Vec::len).collect(),
            followers,
            vain: vec![None; before.len()],
            changed: Vec::new(),
        }
    }

    /// Whether a tenant may be started now.
    pub(super) fn readiness(&self, index: usize) -> Readiness {
        match (self.vain.get(index), self.open.get(index)) {
            (Some(Some(other)), _) => Readiness::Skipped(*other),
            (_, Some(1..)) => Readiness::Blocked,
            _ => Readiness::Ready,
        }
    }

    /// Records that a tenant has its outcome.
    pub(super) fn concluded(&mut self, index: usize, ended_well: bool) {
        let Some(followers) = self.followers.get(index) else { return };
        for &follower in followers {
            self.open[follower] -= 1;
            if !ended_well {
                self.vain[follower].get_or_insert(index);
            }
        }
        self.changed.extend(followers);
    }

    /// Takes the tenants whose readiness may have changed, in the order of the changes.
    pub(super) fn changed(&mut self) -> Vec<usize> {
        std::mem::take(&mut self.changed)
    }
}
