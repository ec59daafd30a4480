//! The dispatcher between two waves: hooks around a wave or the run, and the gate behind a wave.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use super::Dispatcher;
use crate::model::event::Event;
use crate::model::gate::GateAction;
use crate::model::hook::HookPoint;
use crate::model::observation::Observation;
use crate::model::outcome::NotStarted;
use crate::model::plan::{self, Decision};
use crate::model::tenant::{Tenant, TenantId};
use crate::policy::Gate;
use crate::run::PlannedWave;
use crate::run::cancel::Level;
use crate::run::gate::{self, Watch};
use crate::run::observe::{Pace, observe};
use crate::run::wave::WaveRun;

impl Dispatcher {
    /// The histories that can be read over shared connections.
    pub(super) async fn read_together(&self, planned: &PlannedWave) -> HashMap<TenantId, Vec<String>> {
        // Runners read their tenants themselves.
        let here = planned.tenants.iter().filter(|_| self.plan.runners.is_none());
        let tenants: Vec<_> = here.map(|&i| self.plan.tenants[i].clone()).collect();
        let token = self.cancel.token();
        tokio::select! {
            read = self.database.read_together(&tenants) => read,
            () = token.cancelled() => HashMap::new(),
        }
    }

    /// The reason why nothing new of a wave is started, if so: the run stops, or the wave, or one that it waits for, is closed.
    pub(super) fn stopping(&self, wave: &PlannedWave) -> Option<NotStarted> {
        let is_closed = |(name, _): &&(String, NotStarted)| *name == wave.name || wave.waits_for.contains(name);
        self.cancel.reason().or_else(|| self.closed.iter().find(is_closed).map(|(_, reason)| *reason))
    }

    /// The reason why a run has started less than all; a failure rather than a pause, or than the time that ran out.
    pub(super) fn stop_reason(&self) -> Option<NotStarted> {
        use NotStarted::{Deadline, Overloaded, Paused, Window};
        let reasons = || self.cancel.reason().into_iter().chain(self.closed.iter().map(|(_, reason)| *reason));
        match self.cancel.reason() {
            Some(Paused | Deadline | Window | Overloaded) | None => {
                reasons().find(|reason| reason.is_failure()).or(reasons().next())
            }
            reason => reason,
        }
    }

    /// Starts nothing new of a wave, nor of those that wait for it; if that is all that is left, the run stops.
    pub(super) async fn close(&mut self, wave: &str, reason: NotStarted) {
        let mut later = self.plan.waves.iter().skip(self.place).filter(|later| later.name != wave);
        if later.all(|later| self.stopping(later).is_some() || later.waits_for.contains(wave)) {
            return self.cancel.drain(reason);
        }
        if self.closed.iter().all(|(closed, _)| closed != wave) {
            self.closed.push((wave.to_owned(), reason));
            let in_flight = self.running.len();
            self.emit(Event::WaveClosed { wave: wave.to_owned(), reason, in_flight }).await;
        }
    }

    /// Tells once that nothing new is started, and once that work in flight is cancelled.
    pub(super) async fn announce_level(&mut self) {
        let level = self.cancel.level();
        if level == self.announced {
            return;
        }
        let in_flight = self.running.len();
        self.announced = level;
        match level {
            Level::Running => {}
            Level::Draining(reason) => self.emit(Event::Draining { reason, in_flight }).await,
            Level::Cancelling(_) => self.emit(Event::Cancelling { in_flight }).await,
        }
    }

    /// Waits until the ledger has the beginning of a wave. Dying before it: no tenant of the wave was touched, and
    /// whoever finds no beginning of it knows that. Dying behind it: tenants of the wave without an outcome may have moved.
    pub(super) async fn recorded(&self, wave: &str) {
        let Some(recorded) = self.plan.recorded.as_ref() else { return };
        let (mut recorded, mut level) = (recorded.clone(), self.cancel.subscribe());
        let is_lost = tokio::select! {
            is_lost = async { recorded.wait_for(|waves| waves.contains(wave)).await.is_err() } => is_lost,
            // Nothing of the wave is started then.
            () = gate::stopped(&mut level) => false,
        };
        if is_lost {
            self.cancel.drain(NotStarted::Ledger);
        }
    }

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

    /// Asks the gates that the resumed run has not passed.
    pub(super) async fn open_gates(&mut self) {
        let plan = self.plan.clone();
        for open in &plan.open_gates {
            let is_asked = plan.waves.iter().any(|w| w.waits_for.contains(&open.wave) && self.stopping(w).is_none());
            match open.approval() {
                Some(approval) => self.emit(Event::GateFinished(approval)).await,
                None if !is_asked => {}
                None => {
                    self.gate((&open.wave, &open.gate), &open.tenants).await;
                    self.tell_rollback(&open.wave, Some(&open.gate)).await;
                }
            }
        }
    }

    /// Whether the gate behind a wave stands in front of anything: one behind a wave on which nothing was to be done is
    /// asked if there is something to do in a later one.
    pub(super) async fn needs_gate(&self, wave: &WaveRun<'_>, later: &[PlannedWave]) -> bool {
        let name = &wave.planned.name;
        let behind = later.iter().filter(|later| later.waits_for.contains(name) && self.stopping(later).is_none());
        let places: Vec<usize> = behind.flat_map(|wave| &wave.tenants).copied().collect();
        let is_stopping = self.stopping(wave.planned).is_some();
        if is_stopping || places.is_empty() || wave.had_work {
            return !is_stopping && !places.is_empty();
        }
        let (plan, done) = (&self.plan, AtomicUsize::new(0));
        let tenants: Vec<Arc<Tenant>> = places.iter().map(|&index| plan.tenants[index].clone()).collect();
        let (concurrency, timeouts) = (plan.concurrency, plan.timeouts);
        let pace =
            Pace { concurrency, timeouts, lock_wait_limit: plan.retry.lock_wait_limit, answer: None, done: &done };
        let mut level = self.cancel.subscribe();
        let seen = tokio::select! {
            seen = observe(&tenants, (plan.scripts.migrations(), false), &self.database, pace) => seen,
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
        let reason = record.reason();
        self.emit(Event::GateFinished(record)).await;
        if let Some(reason) = reason {
            self.close(wave, reason).await;
        }
    }

    /// Tells that a wave is to be taken back, if failures have stopped the run at it and its gate says so.
    ///
    /// Dying before it: the ledger has the failures and no request, and whoever resumes the run has its gate asked again. Dying
    /// behind it: `runs resume` takes the wave back.
    pub(super) async fn tell_rollback(&self, wave: &str, gate: Option<&Gate>) {
        let closed = self.closed.iter().find(|(name, _)| name == wave).map(|(_, reason)| *reason);
        if gate.is_some_and(|gate| gate.on_failure == GateAction::RollbackWave)
            && let Some(reason) = closed.or(self.cancel.reason()).filter(|reason| reason.is_failure())
        {
            self.emit(Event::RollbackDue { wave: wave.to_owned(), reason }).await;
        }
    }
}
