//! The dispatcher between two waves: hooks around a wave or the run, and the gate behind a wave.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use super::Dispatcher;
use crate::model::event::Event;
use crate::model::hook::HookPoint;
use crate::model::observation::Observation;
use crate::model::outcome::NotStarted;
use crate::model::plan::{self, Decision};
use crate::model::tenant::Tenant;
use crate::policy::Gate;
use crate::run::PlannedWave;
use crate::run::gate::{self, Watch};
use crate::run::observe::{Pace, observe};
use crate::run::wave::WaveRun;

impl Dispatcher {
    /// Calls the hook around the run or a wave. One that fails before either stops the run, and false is returned.
    pub(super) async fn hook(&mut self, point: HookPoint, wave: Option<&str>) -> bool {
        let Some(event) = self.hooks.around(point, wave, self.stats).await else { return true };
        let is_stopping = point.is_before() && matches!(event, Event::HookFinished { error: Some(_), .. });
        self.emit(event).await;
        if is_stopping {
            self.cancel.drain(NotStarted::Hook);
        }
        !is_stopping
    }

    /// Tells of a hook behind a tenant that has failed; those that went well say nothing.
    pub(super) async fn hook_ended(&self, event: Event) {
        if matches!(event, Event::HookFinished { error: Some(_), .. }) {
            self.emit(event).await;
        }
    }

    /// Whether the gate behind a wave stands in front of anything: one behind a wave on which nothing was to be done is
    /// asked if there is something to do in a later one.
    pub(super) async fn needs_gate(&self, wave: &WaveRun<'_>, later: &[PlannedWave]) -> bool {
        let places: Vec<usize> = later.iter().flat_map(|wave| &wave.tenants).copied().collect();
        if self.cancel.reason().is_some() || places.is_empty() || wave.had_work {
            return self.cancel.reason().is_none() && !places.is_empty();
        }
        let (plan, done) = (&self.plan, AtomicUsize::new(0));
        let tenants: Vec<Arc<Tenant>> = places.iter().map(|&index| plan.tenants[index].clone()).collect();
        let (concurrency, timeouts) = (plan.concurrency, plan.timeouts);
        let pace =
            Pace { concurrency, timeouts, lock_wait_limit: plan.retry.lock_wait_limit, answer: None, done: &done };
        let mut level = self.cancel.subscribe();
        let seen = tokio::select! {
            seen = observe(&tenants, plan.scripts.migrations(), &self.database, pace) => seen,
            () = gate::stopped(&mut level) => return false,
        };
        let is_done = |(&index, seen): (&usize, &Observation)| {
            let goal = plan.goal_of(index).filter(|_| seen.error.is_none());
            goal.is_some_and(|goal| plan::decide(&plan.catalog, seen.engine, &seen.history, &goal) == Decision::Nothing)
        };
        !places.iter().zip(&seen).all(is_done)
    }

    /// Asks the gate behind a wave, and stops the run where it is not let on.
    pub(super) async fn gate(&mut self, (wave, gate): (&str, &Gate), tenants: &[Arc<Tenant>]) {
        if self.cancel.reason().is_some() {
            return;
        }
        let keeper = self.plan.gatekeeper.clone().expect("a plan with gates has a gatekeeper");
        let watch = Watch { wave, gate, tenants, keeper: &*keeper };
        self.emit(watch.started()).await;
        let record = watch.end(&self.cancel).await;
        if let Some(reason) = record.reason() {
            self.cancel.drain(reason);
        }
        self.emit(Event::GateFinished(record)).await;
    }
}
