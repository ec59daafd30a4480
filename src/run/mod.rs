//! The run: tenants wave by wave, each to exactly one outcome.
//!
//! It never prints, reads no configuration, and knows neither ledger nor report: it emits events. This is the only loop
//! that applies migrations.

mod ask_ahead;
mod attempts;
mod cancel;
mod decide;
mod dispatcher;
mod gate;
mod hooking;
mod liveness;
mod load;
mod lock_watch;
mod log;
mod make_way;
mod observe;
mod online_hindrances;
mod order;
mod pacing;
mod queue;
mod reread;
mod schemas;
mod share;
mod tasks;
#[cfg(test)]
pub(crate) mod tests;
mod unit;
mod verify;
mod wave;
mod wire;

use std::collections::{BTreeSet, HashMap};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::compile::LazyScripts;
use crate::model::engine::Variant;
use crate::model::event::{Event, RunHeader};
use crate::model::hook::Hooks;
use crate::model::plan::Goal;
use crate::model::run_summary::LeftAt;
use crate::model::schema::Catalog;
use crate::model::tenant::{Tenant, TenantId};
use crate::model::transaction::TransactionScope;
use crate::policy::{Concurrency, FailureBudget, Gate, Limits, RetryPolicy, Tally, Timeouts, UsedUp, Window};
use crate::seed::SeedRequest;

pub(crate) use cancel::{Cancel, Level};
pub(crate) use dispatcher::execute;
pub(crate) use gate::{Gatekeeper, OpenGate, Question};
pub(crate) use observe::{Pace, answers, estimate_rows, examine, observe, observe_applied, observe_refreshes, sizes};
pub(crate) use online_hindrances::observe_online_hindrances;
pub(crate) use pacing::Pacing;
pub(crate) use schemas::observe_schemas;
pub(crate) use share::Runners;
pub(crate) use tasks::{AdoptPlan, BackupPlan, Foreseen, RestorePlan, foresee};
pub(crate) use verify::{ValuesOf, observe_assertions, observe_values};
pub(crate) use wire::{Wires, wires};

/// The input of a run; immutable while it goes on.
pub(crate) struct RunPlan {
    /// The header for the ledger and the report.
    pub(crate) header: RunHeader,
    pub(crate) catalog: Arc<Catalog>,
    /// The tenants in plan order, each in exactly one wave.
    pub(crate) tenants: Vec<Arc<Tenant>>,
    /// The number of tenants of the whole run that may fail.
    pub(crate) max_failures: FailureBudget,
    /// The tenants of all waves that the resumed run is done with.
    pub(crate) former: Tally,
    /// The waves in order; together they contain every index in `tenants` once.
    pub(crate) waves: Vec<PlannedWave>,
    /// The waves whose failure budgets the resumed run has used up: nothing of them is started, nor of those that wait for them.
    pub(crate) closed: Vec<UsedUp>,
    /// Gates of earlier waves that the resumed run has not passed: they come before the first wave.
    pub(crate) open_gates: Vec<OpenGate>,
    /// Asks the checks of the gates; there is one where there are gates.
    pub(crate) gatekeeper: Option<Arc<dyn Gatekeeper>>,
    /// The other processes that take its tenants; `None`: this one does.
    pub(crate) runners: Option<Arc<dyn Runners>>,
    /// The waves whose beginnings are in the ledger; `None`: nobody says so.
    pub(crate) recorded: Option<watch::Receiver<BTreeSet<String>>>,
    pub(crate) scripts: Arc<LazyScripts>,
    /// The number of matching tenants held back (`--limit`, `--canary`): outstanding work.
    pub(crate) held_back: usize,
    /// The concurrency caps.
    pub(crate) concurrency: Concurrency,
    /// The limits on starts.
    pub(crate) pacing: Pacing,
    /// The calls around it, its waves and its tenants.
    pub(crate) hooks: Option<Arc<dyn Hooks>>,
    /// The retry policy for transient faults.
    pub(crate) retry: RetryPolicy,
    /// The time limits of the fleet.
    pub(crate) timeouts: Timeouts,
    /// The time limits of single migrations, by index in the catalog and engine.
    pub(crate) limits: HashMap<(usize, Variant), Limits>,
    /// The transaction age above which sessions that hold a lock in a tenant's own database are terminated.
    pub(crate) kill_blockers: Option<Duration>,
    /// The backups to make: of each tenant before its first change, or as the task itself.
    pub(crate) backup: Option<BackupPlan>,
    /// The backups to restore.
    pub(crate) restore: Option<RestorePlan>,
    /// The rows to generate.
    pub(crate) seed: Option<SeedRequest>,
    /// The SQL of an operator.
    pub(crate) exec: Option<Arc<str>>,
    /// Whether the time of each tenant is divided by what it was spent on.
    pub(crate) timings: bool,
    /// The extent of its transactions.
    pub(crate) transaction: TransactionScope,
    /// The version to record.
    pub(crate) adopt: Option<AdoptPlan>,
    /// The versions at which earlier runs left the tenants: one on which nothing is applied now is not migrated.
    pub(crate) left_at: HashMap<TenantId, LeftAt>,
    /// The places in the catalog beyond which tenants are not migrated.
    pub(crate) freezes: HashMap<TenantId, usize>,
    /// The tenants that are left out because they are in quarantine, each with the reason.
    pub(crate) quarantined: Vec<(TenantId, String)>,
    /// The kinds of tenants that stratified waves have none of, by wave.
    pub(crate) uncovered: Vec<(String, Vec<String>)>,
    /// The versions that tenants must have for it: one that has another now is not touched.
    pub(crate) starts: HashMap<TenantId, Option<String>>,
}

impl RunPlan {
    /// The events that tell, before anything is touched, who is left out and which kinds of tenants a wave lacks.
    fn notes(&self) -> Vec<Event> {
        let left_out = (!self.quarantined.is_empty())
            .then(|| Event::LeftOut { tenants: self.quarantined.iter().cloned().collect() });
        let uncovered = self.uncovered.iter().cloned().map(|(wave, kinds)| Event::Uncovered { wave, kinds });
        left_out.into_iter().chain(uncovered).collect()
    }

    /// The time limits of the tenant at this index: its own, or its wave's, or the fleet's.
    pub(crate) fn timeouts_of(&self, index: usize, wave: &PlannedWave) -> Timeouts {
        let own = self.tenants.get(index).and_then(|tenant| tenant.lock_timeout);
        Limits::of_lock(own.or(wave.lock_timeout)).over(self.timeouts)
    }

    /// The extent of transactions on the tenant at this index: by its own setting, or its wave's, or the fleet's.
    pub(crate) fn transaction_of(&self, index: usize, wave: &PlannedWave) -> TransactionScope {
        let own = self.tenants.get(index).and_then(|tenant| tenant.transaction);
        own.or(wave.transaction).unwrap_or(self.transaction)
    }

    /// The time limits specific to a migration.
    pub(crate) fn limits_of(&self, migration: usize, variant: Variant) -> Limits {
        self.limits.get(&(migration, variant)).copied().unwrap_or_default()
    }

    /// The goal of a migration for the tenant at this index: its own target, if the header has one. `None`: the run is
    /// a task.
    pub(crate) fn goal_of(&self, index: usize) -> Option<Goal> {
        let goal = self.header.kind.goal()?;
        let target = self.header.tenants.get(index).and_then(|planned| planned.target);
        Some(Goal { target: target.unwrap_or(goal.target), ..goal })
    }
}

/// A wave of a run.
#[derive(Debug, Clone)]
pub(crate) struct PlannedWave {
    pub(crate) name: String,
    /// Indexes in [`RunPlan::tenants`], in order.
    pub(crate) tenants: Vec<usize>,
    /// Its own global cap, if it has one.
    pub(crate) concurrency: Option<NonZeroUsize>,
    /// Its own cap on the tenants of one server, if it has one.
    pub(crate) per_server: Option<NonZeroUsize>,
    /// The number of its tenants that may fail.
    pub(crate) max_failures: FailureBudget,
    /// The tenants of this wave that the resumed run is done with: its failures that are still open use up the budget.
    pub(crate) former: Tally,
    /// The waves that have to have ended well before it, with those that they wait for themselves.
    pub(crate) waits_for: BTreeSet<String>,
    /// The gate between it and the waves that wait for it.
    pub(crate) gate: Option<Gate>,
    /// The tenants of this wave that the resumed run brought to their target.
    pub(crate) done: Vec<Arc<Tenant>>,
    /// The lock timeout on its tenants, if different from the fleet's.
    pub(crate) lock_timeout: Option<Duration>,
    /// The extent of transactions on its tenants, if different from the fleet.
    pub(crate) transaction: Option<TransactionScope>,
    /// The times of the day at which its tenants may be started; `None`: always.
    pub(crate) window: Option<Window>,
}
