//! Who has to wait for whom, and what becomes of those whose wait was in vain.
//!
//! A pure data structure: it starts nothing. A run without a `depends_on` costs nothing here.

use crate::model::plan::predecessors;

use super::{RunPlan, Task};

/// The waits of a run, by the tenants' places in the plan.
#[derive(Debug, Default)]
pub(super) struct Order {
    /// How many each one still waits for; empty where nobody waits.
    open: Vec<usize>,
    /// Who waits for each one.
    followers: Vec<Vec<usize>>,
    /// The first of those it waited for that did not end well.
    vain: Vec<Option<usize>>,
    /// Whose wait has changed since this was asked last.
    changed: Vec<usize>,
}

/// Where a tenant stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// It may be started.
    Free,
    /// Others must end before it.
    Waits,
    /// This one, which it had to wait for, did not end well.
    Vain(usize),
}

impl Order {
    /// The order of a plan. Only migrations have one: a backup of one tenant needs no other.
    pub(super) fn of(plan: &RunPlan) -> Self {
        if !matches!(plan.task, Task::Migrate) || plan.tenants.iter().all(|tenant| tenant.depends_on.is_empty()) {
            return Order::default();
        }
        let before = predecessors(&plan.tenants, plan.goal.direction);
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
    pub(super) fn turn(&self, index: usize) -> Turn {
        match (self.vain.get(index), self.open.get(index)) {
            (Some(Some(other)), _) => Turn::Vain(*other),
            (_, Some(1..)) => Turn::Waits,
            _ => Turn::Free,
        }
    }

    /// A tenant has its outcome.
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

    /// Takes the tenants whose turn may have changed, in the order in which that came to be.
    pub(super) fn changed(&mut self) -> Vec<usize> {
        std::mem::take(&mut self.changed)
    }
}
