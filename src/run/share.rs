//! A run that several processes share: one of them leads it, and all of them take its tenants.
//!
//! The leader's dispatcher has waves, gates, caps and budgets as in any run; in place of an attempt it waits for the outcome
//! that another process gives the tenant. That one runs the tenant alone, by the same dispatcher.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;
use std::sync::Arc;

use async_trait::async_trait;

use super::{Pacing, PlannedWave, RunPlan};
use crate::model::event::RunHeader;
use crate::model::hook::{HookCall, HookPoint, Hooks};
use crate::model::outcome::TenantRecord;
use crate::policy::{FailureBudget, Tally};

/// The processes that take the tenants of a run.
#[async_trait]
pub(crate) trait Runners: Send + Sync {
    /// Hands out the tenant at this index of the plan and waits for its outcome, with that index in it. It never ends for a
    /// process that does not lead the run any more. `None`: it was taken back before anybody had it, because the run starts
    /// nothing new.
    async fn outcome(&self, index: usize) -> Option<TenantRecord>;
}

impl RunPlan {
    /// The plan of one tenant by itself: its limits are those that it has in this run. Waves, gates, caps, budgets, windows and
    /// their hooks are those of the run, which the leader keeps. `None`: there is none at this index.
    pub(crate) fn alone(&self, index: usize) -> Option<RunPlan> {
        let tenant = self.tenants.get(index)?.clone();
        let wave = self.waves.iter().find(|wave| wave.tenants.contains(&index))?;
        let planned = self.header.tenants.get(index)?.clone();
        let header = RunHeader { tenants: vec![planned], ..self.header.without_tenants() };
        let wave = PlannedWave {
            tenants: vec![0],
            concurrency: None,
            per_server: None,
            max_failures: FailureBudget::UNLIMITED,
            former: Tally::default(),
            waits_for: BTreeSet::new(),
            gate: None,
            done: Vec::new(),
            window: None,
            ..wave.clone()
        };
        Some(RunPlan {
            header,
            catalog: self.catalog.clone(),
            waves: vec![wave],
            max_failures: FailureBudget::UNLIMITED,
            former: Tally::default(),
            closed: Vec::new(),
            open_gates: Vec::new(),
            gatekeeper: None,
            runners: None,
            recorded: None,
            scripts: self.scripts.clone(),
            held_back: 0,
            concurrency: self.concurrency,
            pacing: Pacing::default(),
            hooks: self.hooks.clone().map(|hooks| Arc::new(OfTenant(hooks)) as Arc<dyn Hooks>),
            retry: self.retry,
            timeouts: self.timeouts,
            limits: self.limits.clone(),
            kill_blockers: self.kill_blockers,
            backup: None,
            restore: None,
            seed: None,
            exec: None,
            timings: self.timings,
            transaction: self.transaction,
            adopt: None,
            left_at: of(&self.left_at, &tenant.id),
            freezes: of(&self.freezes, &tenant.id),
            quarantined: Vec::new(),
            uncovered: Vec::new(),
            starts: of(&self.starts, &tenant.id),
            tenants: vec![tenant],
        })
    }
}

/// The entry of one key.
fn of<K: Clone + Eq + Hash, V: Clone>(all: &HashMap<K, V>, key: &K) -> HashMap<K, V> {
    all.get_key_value(key).map(|(key, value)| (key.clone(), value.clone())).into_iter().collect()
}

/// The hooks around a tenant; those around run and waves are the leader's.
struct OfTenant(Arc<dyn Hooks>);

#[async_trait]
impl Hooks for OfTenant {
    fn has(&self, point: HookPoint) -> bool {
        matches!(point, HookPoint::BeforeTenant | HookPoint::AfterTenant) && self.0.has(point)
    }

    async fn call(&self, call: &HookCall) -> Result<(), String> {
        self.0.call(call).await
    }
}
