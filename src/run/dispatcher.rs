//! The dispatcher: starts units, receives their results, and emits them as events.
//!
//! It alone owns the statistics and emits events, so that observers see a single order. Units do not communicate with
//! the outside.

mod between;
mod load;
mod windows;

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt as _;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::Instrument as _;

use super::attempts::AttemptHistory;
use super::cancel::{Cancel, Level};
use super::decide::{self, Conclusion, Counted, Next, Rules};
use super::gate::{self, Passage};
use super::hooking::Hooking;
use super::load::LoadWatch;
use super::order::{Order, Readiness};
use super::pacing::{Opening, Pacer};
use super::queue::Queue;
use super::unit::{Assignment, Attempt, AttemptEnd};
use super::wave::{Budget, WaveRun};
use super::{PlannedWave, RunPlan, log};
use crate::crash;
use crate::engine::{Database, Notice, Notifier, PartialState, Stopwatch};
use crate::model::event::Event;
use crate::model::fault::{Fault, FaultClass};
use crate::model::hook::HookPoint;
use crate::model::outcome::{NotStarted, Outcome, OutcomeKind, Standing, TenantRecord};
use crate::model::plan::{self, Decision};
use crate::model::stats::RunStats;
use crate::model::timings::Phase;

/// Runs a plan to its end: every tenant gets exactly one [`Event::TenantFinished`] before [`Event::RunFinished`].
///
/// If the event receiver goes away, the run stops as after a lost ledger: nothing new starts.
pub(crate) async fn execute(
    plan: Arc<RunPlan>,
    database: Arc<dyn Database>,
    cancel: Cancel,
    events: mpsc::Sender<Event>,
) -> RunStats {
    let span = log::run(&plan);
    every_wave(plan, database, cancel, events).instrument(span).await
}

async fn every_wave(
    plan: Arc<RunPlan>,
    database: Arc<dyn Database>,
    cancel: Cancel,
    events: mpsc::Sender<Event>,
) -> RunStats {
    let (notifier, notices) = mpsc::unbounded_channel();
    let stats = RunStats { selected: plan.tenants.len(), held_back: plan.held_back, ..RunStats::default() };
    let token = cancel.token();
    let load = LoadWatch::new(plan.pacing.load, database.clone(), plan.timeouts);
    let mut dispatcher = Dispatcher {
        plan: plan.clone(),
        database,
        cancel,
        events,
        stats,
        running: JoinSet::new(),
        tenants: HashMap::new(),
        announced: Level::Running,
        order: Order::of(&plan),
        hooks: Hooking::new(plan.clone(), token),
        pacer: Pacer::new(plan.pacing.clone()),
        load,
        budget: Budget::new(plan.max_failures, plan.tenants.len(), plan.former),
        closed: plan.closed.iter().filter_map(|of| Some((of.wave.clone()?, NotStarted::FailureBudget))).collect(),
        place: 0,
        notifier,
        notices,
    };
    dispatcher.emit(Event::RunStarted(plan.header.clone())).await;
    for note in plan.notes() {
        dispatcher.emit(note).await;
    }
    let is_begun = dispatcher.hook(HookPoint::BeforeRun, None).await;
    dispatcher.open_gates().await;
    for (place, planned) in plan.waves.iter().enumerate() {
        dispatcher.place = place;
        match gate::before_wave(dispatcher.stopping(planned)) {
            Passage::Open => {
                let wave = dispatcher.wave(planned).instrument(log::wave(&planned.name)).await;
                if let Some(gate) = &planned.gate
                    && dispatcher.needs_gate(&wave, &plan.waves[place + 1..]).await
                {
                    dispatcher.gate((&planned.name, gate), &wave.at_target).await;
                }
                dispatcher.tell_rollback(&planned.name, planned.gate.as_ref()).await;
            }
            Passage::Closed(reason) => dispatcher.skip(planned, reason).await,
        }
    }
    if let Some(reason) = dispatcher.stop_reason()
        && (!reason.needs_a_tenant() || dispatcher.stats.outcomes[OutcomeKind::NotStarted] > 0)
    {
        dispatcher.stats.stopped = Some(reason);
    }
    if is_begun {
        dispatcher.hook(HookPoint::AfterRun, None).await;
    }
    let stats = dispatcher.stats;
    dispatcher.emit(Event::RunFinished { stats }).await;
    stats
}

struct Dispatcher {
    plan: Arc<RunPlan>,
    database: Arc<dyn Database>,
    cancel: Cancel,
    events: mpsc::Sender<Event>,
    stats: RunStats,
    /// The tenants in flight; each ends with its index in the plan.
    running: JoinSet<(usize, Turn)>,
    /// The started tenants without an outcome yet.
    tenants: HashMap<usize, InFlight>,
    announced: Level,
    order: Order,
    hooks: Hooking,
    pacer: Pacer,
    load: LoadWatch,
    /// The failure budget of the whole run.
    budget: Budget,
    /// The waves that failed, or paused, while others go on.
    closed: Vec<(String, NotStarted)>,
    /// The present wave's place in the plan.
    place: usize,
    /// Notices of the units, by the tenant's index in the plan.
    notifier: mpsc::UnboundedSender<(usize, Notice)>,
    notices: mpsc::UnboundedReceiver<(usize, Notice)>,
}

/// The end of a tenant's turn.
enum Turn {
    /// An attempt of this process.
    Attempt(Box<Attempt>),
    /// All of it, in another process; `None`: none has begun it.
    Elsewhere(Option<Box<TenantRecord>>),
}

struct InFlight {
    history: AttemptHistory,
    since: Instant,
    stopwatch: Stopwatch,
    /// Whether an attempt was begun, with the hook before it called to its end.
    is_begun: bool,
}

impl InFlight {
    fn fresh() -> Self {
        let (history, stopwatch) = (AttemptHistory::default(), Stopwatch::default());
        InFlight { history, since: Instant::now(), stopwatch, is_begun: false }
    }
}

impl Dispatcher {
    async fn emit(&self, event: Event) {
        log::event(&event);
        crash::at("told", (&event).into());
        if self.events.send(event).await.is_err() {
            self.cancel.drain(NotStarted::Ledger);
        }
    }

    /// Runs a wave to its end.
    async fn wave<'p>(&mut self, planned: &'p PlannedWave) -> WaveRun<'p> {
        let started = Event::WaveStarted {
            wave: planned.name.clone(),
            tenants: planned.tenants.len(),
            max_failures: Some(planned.max_failures.to_string()),
            run_max_failures: Some(self.plan.max_failures.to_string()),
        };
        self.emit(started).await;
        self.recorded(&planned.name).await;
        let is_begun = self.hook(HookPoint::BeforeWave, Some(&planned.name)).await;
        let known = self.read_together(planned).await;
        let mut wave = WaveRun::new(planned, known);
        self.fill_queue(&mut wave).await;
        self.load.wave_begins();
        let mut level = self.cancel.subscribe();
        loop {
            self.announce_level().await;
            self.follow(&mut wave).await;
            let next = match self.stopping(planned) {
                Some(reason) => {
                    self.not_started(&mut wave, reason).await;
                    None
                }
                None => match self.start_some(&mut wave).await {
                    Ok(next) => next,
                    Err(reason) => {
                        self.cancel.drain(reason);
                        continue;
                    }
                },
            };
            let wake = [wave.queue.next_wake(), next].into_iter().flatten().min();
            let is_idle = self.running.is_empty() && !self.is_waiting_for_load(&wave);
            if is_idle && wake.is_none() && !self.hooks.is_full() {
                // The queue is empty here, unless tenants wait for each other, which a tenant file can't express.
                self.not_started(&mut wave, NotStarted::Dependency).await;
                break;
            }
            self.load.ask(Instant::now());
            let wake = [wake, self.next_reading(&wave)].into_iter().flatten().min();
            tokio::select! {
                // The notices of a unit come before its end.
                biased;
                Some((index, notice)) = self.notices.recv() => self.notice(index, notice).await,
                Some(joined) = self.running.join_next() => {
                    let (index, turn) = joined.expect("a task catches its panic, and none is aborted");
                    wave.queue.release(index);
                    self.load.ended(&self.plan.tenants[index].server);
                    self.turned(&mut wave, index, turn).await;
                }
                Some(event) = self.hooks.ended() => self.hook_ended(event).await,
                Some(reading) = self.load.read() => self.load_was_read(&wave, reading).await,
                _ = level.changed() => {}
                () = tokio::time::sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => {}
            }
        }
        while let Some(event) = self.hooks.ended().await {
            self.hook_ended(event).await;
        }
        if is_begun {
            self.hook(HookPoint::AfterWave, Some(&planned.name)).await;
        }
        if wave.is_outside {
            self.close(&planned.name, NotStarted::Window).await;
        }
        self.wave_finished(&wave).await;
        wave
    }

    async fn turned(&mut self, wave: &mut WaveRun<'_>, index: usize, turn: Turn) {
        match turn {
            Turn::Attempt(attempt) => {
                match attempt.room() {
                    Some(true) => wave.queue.relax(index),
                    Some(false) => wave.queue.throttle(index),
                    None => {}
                }
                self.record(wave, index, *attempt).await;
            }
            Turn::Elsewhere(record) => {
                self.tenants.remove(&index);
                match (record, self.stopping(wave.planned)) {
                    (Some(record), _) => self.count(wave, *record).await,
                    (None, reason) => {
                        let outcome = reason.unwrap_or(NotStarted::Paused).outcome();
                        self.conclude(wave, index, InFlight::fresh(), Conclusion::of(outcome)).await;
                    }
                }
            }
        }
    }

    /// Whether the budgets of the wave and of the run let another tenant start.
    fn admits(&self, wave: &WaveRun<'_>) -> bool {
        let at_risk = self.tenants.len();
        wave.budget.admits(at_risk) && self.budget.admits(at_risk)
    }

    /// Starts tenants as long as there is room, and the pace allows those that were not started before. Returns the time to
    /// look at the pace again, if any tenant waits for it, or the reason why it allows none any more.
    async fn start_some(&mut self, wave: &mut WaveRun<'_>) -> Result<Option<Instant>, NotStarted> {
        loop {
            let (now, mut wake) = (Instant::now(), None);
            let server_opens = self.close_servers(wave, now).await;
            if wave.queue.is_waiting() {
                let opening = self.pacer.opening(wave.planned, now);
                if let Opening::Never(reason) = opening {
                    return Err(reason);
                }
                self.tell_opening(wave, opening).await;
                wake = Some((opening, self.pacer.wake(opening)));
            }
            let is_open = wake.is_none_or(|(opening, _)| opening == Opening::Now);
            let Some(index) = wave.queue.pop(now, is_open && self.admits(wave) && !self.hooks.is_full()) else {
                return Ok([wake.and_then(|(_, wake)| wake), server_opens].into_iter().flatten().min());
            };
            if !self.tenants.contains_key(&index) {
                if !self.load.admits(&self.plan.tenants[index], now) {
                    wave.queue.put_back(index);
                    continue;
                }
                self.pacer.started(now);
            }
            self.start(wave, index).await;
        }
    }

    /// Concludes every tenant of a wave that does not start.
    async fn skip(&mut self, planned: &PlannedWave, reason: NotStarted) {
        self.announce_level().await;
        let mut wave = WaveRun::new(planned, HashMap::new());
        for &index in &planned.tenants {
            self.conclude(&mut wave, index, InFlight::fresh(), Conclusion::of(reason.outcome())).await;
        }
        self.wave_finished(&wave).await;
    }

    async fn wave_finished(&self, wave: &WaveRun<'_>) {
        if wave.has_outcomes() {
            self.emit(Event::WaveFinished { wave: wave.planned.name.clone(), stats: self.stats }).await;
        }
    }

    /// Queues the tenants of the wave, except those known to be at their target already.
    async fn fill_queue(&mut self, wave: &mut WaveRun<'_>) {
        let mut waiting = Vec::new();
        for &index in &wave.planned.tenants {
            let tenant = self.plan.tenants[index].clone();
            // No journal is open in a tenant whose history was read together with others.
            let done = wave.known.get(&tenant.id).zip(self.plan.goal_of(index)).is_some_and(|(history, goal)| {
                plan::decide(&self.plan.catalog, tenant.variant(), history, &goal) == Decision::Nothing
            });
            if done && self.cancel.reason().is_none() {
                let mut in_flight = InFlight::fresh();
                let attempt = Attempt::without_work(wave.known.remove(&tenant.id), AttemptEnd::Nothing);
                in_flight.history.record(&attempt, self.plan.header.direction);
                self.conclude(wave, index, in_flight, Conclusion::of(Outcome::UpToDate)).await;
            } else {
                waiting.push((index, tenant));
            }
        }
        let places: Vec<usize> = waiting.iter().map(|(index, _)| *index).collect();
        let caps = self.plan.concurrency;
        let least = |own: Option<NonZeroUsize>, cap: NonZeroUsize| own.map_or(cap, |own| own.min(cap)).get();
        let (global, per_server) =
            (least(wave.planned.concurrency, caps.global), least(wave.planned.per_server, caps.per_server));
        wave.queue = Queue::new(waiting.iter().map(|(index, tenant)| (*index, tenant)), global, per_server);
        for &index in places.iter().filter(|&&index| self.order.readiness(index) != Readiness::Ready) {
            wave.queue.hold(index);
        }
        // Tenants whose predecessor failed in an earlier wave are concluded at once.
        self.dismiss(wave, places).await;
    }

    /// Admits tenants that waited for others, and concludes those whose predecessor failed; other tenants may wait for
    /// these.
    async fn follow(&mut self, wave: &mut WaveRun<'_>) {
        loop {
            let changed = self.order.changed();
            if changed.is_empty() {
                return;
            }
            for &index in changed.iter().filter(|&&index| self.order.readiness(index) == Readiness::Ready) {
                wave.queue.admit(index);
            }
            if self.stopping(wave.planned).is_none() {
                self.dismiss(wave, changed).await;
            }
        }
    }

    /// Concludes the held ones among these tenants whose predecessor failed.
    async fn dismiss(&mut self, wave: &mut WaveRun<'_>, places: Vec<usize>) {
        for index in places {
            let Readiness::Skipped(other) = self.order.readiness(index) else { continue };
            if self.cancel.reason().is_none() && wave.queue.dismiss(index) {
                let waited_for = Some(self.plan.tenants[other].id.clone());
                let outcome = Outcome::NotStarted { reason: NotStarted::Dependency, waited_for };
                self.conclude(wave, index, InFlight::fresh(), Conclusion::of(outcome)).await;
            }
        }
    }

    async fn start(&mut self, wave: &mut WaveRun<'_>, index: usize) {
        self.load.started(&self.plan.tenants[index], Instant::now());
        if let Some(runners) = self.plan.runners.clone() {
            self.tenants.insert(index, InFlight::fresh());
            self.running.spawn(async move { (index, Turn::Elsewhere(runners.outcome(index).await.map(Box::new))) });
            return;
        }
        let teller = self.notifier(index);
        let stopwatch = if self.plan.timings { Stopwatch::on() } else { Stopwatch::default() };
        let is_new = !self.tenants.contains_key(&index);
        let before = if is_new { self.hooks.before(index, &wave.planned.name) } else { None };
        let in_flight = || InFlight { stopwatch, is_begun: true, ..InFlight::fresh() };
        let InFlight { history, stopwatch, .. } = self.tenants.entry(index).or_insert_with(in_flight);
        let tenant = self.plan.tenants[index].clone();
        let attempt = history.attempts + 1;
        let divisor = history.divisor(&self.plan.retry);
        let goal = self.plan.goal_of(index);
        let assignment = Assignment {
            plan: self.plan.clone(),
            goal: goal.map(|goal| history.goal(goal, &self.plan.catalog, tenant.variant())),
            database: self.database.clone(),
            timeouts: self.plan.timeouts_of(index, wave.planned).shortened(divisor),
            divisor,
            transaction: self.plan.transaction_of(index, wave.planned),
            known: wave.known.remove(&tenant.id).filter(|_| attempt == 1),
            cancel: self.cancel.token(),
            interrupted: self.cancel.interrupted(),
            teller,
            touched: history.touched,
            stopwatch: stopwatch.clone(),
            is_unseen: history.locks.tries > 0 && history.locked.holders.is_empty(),
            last_try: attempt - history.waits.times >= self.plan.retry.attempts,
            tenant,
        };
        let (tenant, span) = (assignment.tenant.id.clone(), log::attempt(&assignment.tenant, attempt));
        self.emit(Event::AttemptStarted { index, tenant, attempt }).await;
        // A separate task: a panic in it affects this tenant only.
        let attempted = async move {
            let begun = Instant::now();
            // Dying in it, or behind it: the tenant was not touched, and its hook is called again by the next run.
            if let Some(before) = before
                && let Err(end) = before.await
            {
                let unhooked = Attempt { is_unhooked: true, ..Attempt::without_work(None, end) };
                return (index, Turn::Attempt(Box::new(unhooked)));
            }
            let attempt = AssertUnwindSafe(assignment.attempt()).catch_unwind().await;
            let attempt = attempt.unwrap_or_else(|panic| panicked(panic.as_ref()));
            log::ended(&attempt, begun.elapsed());
            (index, Turn::Attempt(Box::new(attempt)))
        };
        self.running.spawn(attempted.instrument(span));
    }

    fn notifier(&self, index: usize) -> Notifier {
        let sender = self.notifier.clone();
        Notifier::new(move |notice| {
            // The receiver is gone only when the run is over.
            let _ = sender.send((index, notice));
        })
    }

    async fn notice(&mut self, index: usize, notice: Notice) {
        match notice {
            Notice::Note(text) => {
                if let Some(in_flight) = self.tenants.get_mut(&index) {
                    in_flight.history.note(text);
                }
            }
            Notice::Rows { migration, statement, rows } => {
                let tenant = self.plan.tenants[index].id.clone();
                let migration = migration.to_string();
                self.emit(Event::Progress { index, tenant, migration, statement, rows }).await;
            }
        }
    }

    /// Records an attempt and acts on the decision.
    async fn record(&mut self, wave: &mut WaveRun<'_>, index: usize, attempt: Attempt) {
        let mut in_flight = self.tenants.remove(&index).expect("a task's tenant is in flight");
        let plan = self.plan.clone();
        in_flight.is_begun &= !attempt.is_unhooked;
        in_flight.history.record(&attempt, plan.header.direction);
        let rules = Rules {
            direction: plan.header.direction,
            catalog: &plan.catalog,
            retry: &plan.retry,
            jitter: fastrand::f64(),
            may_be_repeated: plan.header.kind.may_be_repeated(),
            final_try: self.stopping(wave.planned).is_some(),
        };
        let end = attempt.reread.map_or(attempt.end, |reread| reread.end);
        match decide::decide(&in_flight.history, end, &rules) {
            Next::Again(retry) => {
                in_flight.history.pausing(&retry);
                if retry.counted != Counted::Attempt {
                    in_flight.stopwatch.add(Phase::Lock, None, retry.pause);
                }
                let retry_in_ms = u64::try_from(retry.pause.as_millis()).unwrap_or(u64::MAX);
                let (tenant, attempt) = (plan.tenants[index].id.clone(), in_flight.history.attempts);
                self.tenants.insert(index, in_flight);
                wave.queue.delay(index, Instant::now() + retry.pause);
                let error = retry.failure.fault;
                self.emit(Event::AttemptFailed { index, tenant, attempt, error, retry_in_ms }).await;
            }
            Next::Conclude(conclusion) => self.conclude(wave, index, in_flight, conclusion).await,
        }
    }

    /// Gives a tenant its outcome.
    async fn conclude(
        &mut self,
        wave: &mut WaveRun<'_>,
        index: usize,
        in_flight: InFlight,
        Conclusion { outcome, at, fault }: Conclusion,
    ) {
        let tenant = &self.plan.tenants[index];
        let mut history = in_flight.history;
        if self.plan.header.kind.goal().is_some() {
            history.note_gone(&self.plan.catalog);
        }
        let record = TenantRecord {
            index,
            tenant: tenant.id.clone(),
            engine: tenant.engine,
            server: tenant.server.to_string(),
            wave: wave.planned.name.clone(),
            version: history.version(&self.plan.catalog),
            version_known: history.is_known(),
            committed: history.committed,
            notes: history.notes,
            attempts: history.attempts,
            duration: in_flight.since.elapsed(),
            brought_back: history.brought_back,
            stopped_at: at.map(Box::new),
            error: fault,
            timings: in_flight.stopwatch.read(),
            runner: None,
            outcome,
        };
        if in_flight.is_begun {
            self.hooks.after(&record);
        }
        self.count(wave, record).await;
    }

    /// Counts an outcome, acts on the budgets, and tells of it.
    async fn count(&mut self, wave: &mut WaveRun<'_>, record: TenantRecord) {
        let index = record.index;
        let tenant = &self.plan.tenants[index];
        self.stats.add(&record.outcome, record.attempts);
        self.order.concluded(index, record.outcome.standing() == Standing::AtTarget);
        // Both count it; the wave's budget is the one that is told.
        wave.note(tenant, &record.outcome);
        let (of_wave, of_run) = (wave.budget.count(&record.outcome), self.budget.count(&record.outcome));
        match (of_wave, of_run) {
            (true, false) => self.close(&wave.planned.name, NotStarted::FailureBudget).await,
            // No other wave goes on, also none that does not wait for this one.
            (true, true) => self.cancel.drain(NotStarted::FailureBudget),
            (false, true) => self.cancel.drain(NotStarted::RunFailureBudget),
            (false, false) => {}
        }
        self.emit(Event::TenantFinished(record)).await;
    }

    /// Concludes the waiting tenants: not started, or by the failure of their last attempt.
    async fn not_started(&mut self, wave: &mut WaveRun<'_>, reason: NotStarted) {
        for index in wave.queue.drain() {
            match self.tenants.remove(&index) {
                None => self.conclude(wave, index, InFlight::fresh(), Conclusion::of(reason.outcome())).await,
                Some(in_flight) => {
                    let failure = in_flight.history.last.clone().expect("it waits because it failed");
                    let conclusion = decide::given_up(&in_flight.history, failure);
                    self.conclude(wave, index, in_flight, conclusion).await;
                }
            }
        }
    }
}

/// The next run reads the tenant's progress from its database.
fn panicked(panic: &(dyn std::any::Any + Send)) -> Attempt {
    let text = crate::compile::panic_text(panic);
    let fault = Fault::new(FaultClass::Panic, format!("fleet itself panicked on this tenant: {text}"));
    Attempt::without_work(None, AttemptEnd::stopped(fault, PartialState::Unknown))
}
