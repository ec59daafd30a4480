//! The hooks of a run: their calls, and the events that tell of them.
//!
//! It ends nothing: the dispatcher draws the conclusions from a hook that failed.
//!
//! If the process dies between a hook and the work behind it, no after hook is called: whoever begins again calls the before
//! hook again.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::RunPlan;
use super::unit::AttemptEnd;
use crate::crash;
use crate::engine::PartialState;
use crate::model::event::Event;
use crate::model::fault::{Fault, FaultClass, bounded};
use crate::model::hook::{HookCall, HookPoint, HookTenant};
use crate::model::outcome::TenantRecord;
use crate::model::stats::RunStats;

/// Calls the hooks of a run.
pub(super) struct Hooking {
    plan: Arc<RunPlan>,
    /// Cancelled when work in flight is: a hook before it is not waited for then.
    cancel: CancellationToken,
    /// The calls behind tenants that are under way.
    after: JoinSet<Event>,
    /// As many of them at once as tenants may be in flight.
    room: Arc<Semaphore>,
}

impl Hooking {
    pub(super) fn new(plan: Arc<RunPlan>, cancel: CancellationToken) -> Self {
        let room = Arc::new(Semaphore::new(plan.concurrency.global.get().min(Semaphore::MAX_PERMITS)));
        Hooking { plan, cancel, after: JoinSet::new(), room }
    }

    /// A call at this place, if there is a hook.
    fn at(&self, hook: HookPoint, wave: Option<&str>) -> Option<HookCall> {
        self.plan.hooks.as_ref().filter(|hooks| hooks.has(hook))?;
        let header = &self.plan.header;
        let (direction, goal) = (header.direction, header.goal.clone());
        let wave = wave.map(str::to_owned);
        Some(HookCall { hook, run: header.run, direction, goal, wave, tenant: None, stats: None })
    }

    /// Calls the hook around a run or a wave, and tells of it.
    pub(super) async fn around(&self, hook: HookPoint, wave: Option<&str>, stats: RunStats) -> Option<Event> {
        let call = HookCall { stats: (!hook.is_before()).then_some(stats), ..self.at(hook, wave)? };
        Some(called(self.plan.clone(), call, self.cancel.clone()).await)
    }

    /// The call before the tenant at this index, to be waited for before it is touched.
    pub(super) fn before(
        &self,
        index: usize,
        wave: &str,
    ) -> Option<impl Future<Output = Result<(), AttemptEnd>> + Send + use<>> {
        let tenant = &self.plan.tenants[index];
        let of = HookTenant {
            tenant: tenant.id.clone(),
            engine: tenant.engine,
            server: tenant.server.to_string(),
            outcome: None,
            version: None,
        };
        let call = HookCall { tenant: Some(of), ..self.at(HookPoint::BeforeTenant, Some(wave))? };
        let cancel = self.cancel.clone();
        let calling = called(self.plan.clone(), call, cancel.clone());
        Some(async move {
            match calling.await {
                // The tenant was not touched, so that a run which goes on with it calls the hook again.
                Event::HookFinished { error: Some(_), .. } if cancel.is_cancelled() => {
                    Err(AttemptEnd::Cancelled { at: None, residue: PartialState::Nothing })
                }
                Event::HookFinished { error: Some(error), .. } => {
                    let text = format!("the hook before_tenant failed, and nothing was touched: {error}");
                    Err(AttemptEnd::stopped(Fault::new(FaultClass::Hook, text), PartialState::Nothing))
                }
                _ => Ok(()),
            }
        })
    }

    /// Begins the call behind a tenant that has its outcome, and whose before hook was called to its end.
    pub(super) fn after(&mut self, record: &TenantRecord) {
        let Some(call) = self.at(HookPoint::AfterTenant, Some(&record.wave)) else { return };
        let call = HookCall { tenant: Some(HookTenant::after(record)), ..call };
        let (plan, cancel, room) = (self.plan.clone(), self.cancel.clone(), self.room.clone());
        self.after.spawn(async move {
            let _place = room.acquire_owned().await;
            called(plan, call, cancel).await
        });
    }

    /// Whether so many calls behind tenants are under way that no other tenant is to be started: it would wait for its own, in
    /// maintenance mode perhaps.
    pub(super) fn is_full(&self) -> bool {
        self.after.len() >= self.plan.concurrency.global.get()
    }

    /// The event of a call behind a tenant that has ended. `None`: none is under way any more.
    pub(super) async fn ended(&mut self) -> Option<Event> {
        loop {
            if let Ok(event) = self.after.join_next().await? {
                return Some(event);
            }
        }
    }
}

/// Calls a hook to its end.
async fn called(plan: Arc<RunPlan>, call: HookCall, cancel: CancellationToken) -> Event {
    let begun = Instant::now();
    crash::at("calling", call.hook.into());
    let done = match &plan.hooks {
        None => Ok(()),
        // One that ends a maintenance mode has to come to its own end.
        Some(hooks) if !call.hook.is_before() => hooks.call(&call).await,
        Some(hooks) => tokio::select! {
            done = hooks.call(&call) => done,
            () = cancel.cancelled() => Err("it was not waited for: the run was cancelled".to_owned()),
        },
    };
    crash::at("called", call.hook.into());
    Event::HookFinished {
        hook: call.hook,
        wave: call.wave,
        tenant: call.tenant.map(|tenant| tenant.tenant),
        took_ms: millis(begun.elapsed()),
        error: done.err().map(bounded),
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
