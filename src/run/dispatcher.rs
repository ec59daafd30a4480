//! The dispatcher: starts units, takes in what they say, and tells it as events.
//!
//! It alone owns the statistics and emits events, so that the world sees one order of things. Units never talk to the
//! outside.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::cancel::{Cancel, Level};
use super::conclude::{Next, Progress};
use super::order::{Order, Readiness};
use super::queue::Queue;
use super::unit::{Assignment, Attempt, End};
use super::{PlannedWave, RunPlan, Task};
use crate::engine::{Database, Notice, Notifier, PartialState};
use crate::model::event::Event;
use crate::model::fault::{Fault, FaultClass};
use crate::model::outcome::{NotStarted, Outcome, Standing, StoppedAt, TenantRecord};
use crate::model::plan::{self, Decision};
use crate::model::stats::{RunStats, uses_failure_budget};
use crate::model::tenant::TenantId;

/// Runs a plan to its end: every tenant has exactly one [`Event::TenantFinished`] before [`Event::RunFinished`].
///
/// A receiver of events that goes away stops the run as a lost ledger does: nothing new starts.
pub(crate) async fn execute(
    plan: Arc<RunPlan>,
    database: Arc<dyn Database>,
    cancel: Cancel,
    events: mpsc::Sender<Event>,
) -> RunStats {
    let (telling, told) = mpsc::unbounded_channel();
    let stats = RunStats { selected: plan.tenants.len(), held_back: plan.held_back, ..RunStats::default() };
    let mut dispatcher = Dispatcher {
        plan: plan.clone(),
        database,
        cancel,
        events,
        stats,
        running: JoinSet::new(),
        tasks: HashMap::new(),
        tenants: HashMap::new(),
        announced: Level::Running,
        order: Order::of(&plan),
        telling,
        told,
    };
    dispatcher.emit(Event::RunStarted(plan.header.clone())).await;
    for wave in &plan.waves {
        dispatcher.wave(wave).await;
    }
    if let Some(reason) = dispatcher.cancel.reason()
        && (reason != NotStarted::FailureBudget || dispatcher.stats.not_started > 0)
    {
        dispatcher.stats.stopped = Some(reason);
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
    running: JoinSet<Attempt>,
    /// Which tenant a task works on.
    tasks: HashMap<tokio::task::Id, usize>,
    /// Tenants that were started and have no outcome yet.
    tenants: HashMap<usize, InFlight>,
    announced: Level,
    order: Order,
    /// What units say on the way, by the tenant's place.
    telling: mpsc::UnboundedSender<(usize, Notice)>,
    told: mpsc::UnboundedReceiver<(usize, Notice)>,
}

struct InFlight {
    progress: Progress,
    since: Instant,
}

/// What is counted of a wave.
struct WaveCounts {
    finished: usize,
    failed: usize,
}

impl Dispatcher {
    async fn emit(&self, event: Event) {
        if self.events.send(event).await.is_err() {
            self.cancel.drain(NotStarted::Ledger);
        }
    }

    async fn wave(&mut self, wave: &PlannedWave) {
        let name = wave.name.clone();
        if self.cancel.reason().is_none() {
            self.emit(Event::WaveStarted { wave: name.clone(), tenants: wave.tenants.len() }).await;
        }
        let mut tally = WaveCounts { finished: 0, failed: 0 };
        let mut known = self.read_together(wave).await;
        let mut queue = self.queue(wave, &mut known, &mut tally).await;
        let mut level = self.cancel.subscribe();
        loop {
            self.announce_level().await;
            self.follow(&mut queue, wave, &mut tally).await;
            match self.cancel.reason() {
                Some(reason) => self.not_started(queue.drain(), reason, wave, &mut tally).await,
                None => {
                    while let Some(index) = queue.pop(Instant::now()) {
                        self.start(index, wave, known.remove(&self.plan.tenants[index].id)).await;
                    }
                }
            }
            if self.running.is_empty() && queue.next_wake().is_none() {
                // Nobody is left here, unless tenants wait for each other, which a tenant file can't say.
                self.not_started(queue.drain(), NotStarted::Dependency, wave, &mut tally).await;
                break;
            }
            let wake = queue.next_wake().unwrap_or_else(|| Instant::now() + std::time::Duration::from_secs(3600));
            tokio::select! {
                // What a unit said is heard before its end.
                biased;
                Some((index, telling)) = self.told.recv() => self.hear(index, telling).await,
                Some(joined) = self.running.join_next_with_id() => {
                    let (index, attempt) = self.joined(joined);
                    queue.release(index);
                    match attempt.room() {
                        Some(true) => queue.relax(index),
                        Some(false) => queue.throttle(index),
                        None => {}
                    }
                    self.take_in(index, attempt, wave, &mut queue, &mut tally).await;
                }
                _ = level.changed() => {}
                () = tokio::time::sleep_until(wake), if queue.next_wake().is_some() => {}
            }
        }
        if tally.finished > 0 {
            self.emit(Event::WaveFinished { wave: name, stats: self.stats }).await;
        }
    }

    /// Histories that one connection can read for many tenants.
    async fn read_together(&self, wave: &PlannedWave) -> HashMap<TenantId, Vec<String>> {
        if self.cancel.reason().is_some() {
            return HashMap::new();
        }
        let tenants: Vec<_> = wave.tenants.iter().map(|&i| self.plan.tenants[i].clone()).collect();
        let token = self.cancel.token();
        tokio::select! {
            read = self.database.read_together(&tenants) => read,
            () = token.cancelled() => HashMap::new(),
        }
    }

    /// Queues the wave, but for the tenants that are known to be at their target already.
    async fn queue(
        &mut self,
        wave: &PlannedWave,
        known: &mut HashMap<TenantId, Vec<String>>,
        tally: &mut WaveCounts,
    ) -> Queue {
        let mut waiting = Vec::new();
        for &index in &wave.tenants {
            let tenant = self.plan.tenants[index].clone();
            // A tenant that lacks a migration may be in the middle of it, which only its journal says.
            let done = known.get(&tenant.id).is_some_and(|history| {
                let goal = self.plan.goal_of(index);
                self.plan.catalog.missing(history, tenant.engine).is_empty()
                    && matches!(self.plan.task, Task::Migrate)
                    && plan::decide(&self.plan.catalog, tenant.engine, history, &goal) == Decision::Nothing
            });
            if done && self.cancel.reason().is_none() {
                let history = known.remove(&tenant.id);
                let mut progress = Progress::default();
                let attempt = Attempt::without_work(history, End::Nothing);
                progress.absorb(&attempt, self.plan.goal.direction);
                let in_flight = InFlight { progress, since: Instant::now() };
                self.conclude(index, in_flight, (Outcome::UpToDate, None, None), wave, tally).await;
            } else {
                waiting.push((index, tenant.server.clone()));
            }
        }
        let places: Vec<usize> = waiting.iter().map(|(index, _)| *index).collect();
        let caps = self.plan.concurrency;
        let global = wave.concurrency.map_or(caps.global, |own| own.min(caps.global));
        let mut queue = Queue::new(waiting, global.get(), caps.per_server.get());
        for &index in places.iter().filter(|&&index| self.order.readiness(index) != Readiness::Ready) {
            queue.hold(index);
        }
        // Those whose wait was in vain in an earlier wave are told at once.
        self.dismiss(places, &mut queue, wave, tally).await;
        queue
    }

    /// Lets tenants start that waited for others, and gives their outcome to those that waited in vain; these may have
    /// others waiting for them.
    async fn follow(&mut self, queue: &mut Queue, wave: &PlannedWave, tally: &mut WaveCounts) {
        loop {
            let changed = self.order.changed();
            if changed.is_empty() {
                return;
            }
            for &index in changed.iter().filter(|&&index| self.order.readiness(index) == Readiness::Ready) {
                queue.admit(index);
            }
            if self.cancel.reason().is_none() {
                self.dismiss(changed, queue, wave, tally).await;
            }
        }
    }

    /// Gives the outcome to those of these tenants that are held and waited in vain.
    async fn dismiss(&mut self, places: Vec<usize>, queue: &mut Queue, wave: &PlannedWave, tally: &mut WaveCounts) {
        for index in places {
            let Readiness::Skipped(other) = self.order.readiness(index) else { continue };
            if self.cancel.reason().is_none() && queue.dismiss(index) {
                let waited_for = Some(self.plan.tenants[other].id.clone());
                let outcome = Outcome::NotStarted { reason: NotStarted::Dependency, waited_for };
                let fresh = InFlight { progress: Progress::default(), since: Instant::now() };
                self.conclude(index, fresh, (outcome, None, None), wave, tally).await;
            }
        }
    }

    async fn start(&mut self, index: usize, wave: &PlannedWave, known: Option<Vec<String>>) {
        let in_flight = self
            .tenants
            .entry(index)
            .or_insert_with(|| InFlight { progress: Progress::default(), since: Instant::now() });
        let attempt = in_flight.progress.attempts + 1;
        let divisor = in_flight.progress.divisor(&self.plan.retry);
        let touched = in_flight.progress.touched;
        let held = in_flight.progress.held.map_or(0, |held| held.times);
        let tenant = self.plan.tenants[index].clone();
        let goal = in_flight.progress.goal(self.plan.goal_of(index), &self.plan.catalog, tenant.engine);
        self.emit(Event::AttemptStarted { index, tenant: tenant.id.clone(), attempt }).await;
        let assignment = Assignment {
            plan: self.plan.clone(),
            goal,
            database: self.database.clone(),
            tenant,
            timeouts: self.plan.timeouts_of(index, wave).shortened(divisor),
            divisor,
            known: known.filter(|_| attempt == 1),
            cancel: self.cancel.token(),
            teller: self.teller(index),
            touched,
            last_try: attempt - held >= self.plan.retry.attempts,
        };
        // A task of its own: a panic in it is this tenant's, and nobody else's.
        let task = self.running.spawn(assignment.attempt());
        self.tasks.insert(task.id(), index);
    }

    fn teller(&self, index: usize) -> Notifier {
        let telling = self.telling.clone();
        Notifier::new(move |what| {
            // Nobody listens any more only when the run is over.
            let _ = telling.send((index, what));
        })
    }

    async fn hear(&mut self, index: usize, telling: Notice) {
        match telling {
            Notice::Note(text) => {
                if let Some(in_flight) = self.tenants.get_mut(&index) {
                    in_flight.progress.note(text);
                }
            }
            Notice::Rows { migration, statement, rows } => {
                let tenant = self.plan.tenants[index].id.clone();
                let migration = migration.to_string();
                self.emit(Event::Progress { index, tenant, migration, statement, rows }).await;
            }
        }
    }

    fn joined(&mut self, joined: Result<(tokio::task::Id, Attempt), tokio::task::JoinError>) -> (usize, Attempt) {
        let (task, attempt) = match joined {
            Ok((task, attempt)) => (task, attempt),
            Err(error) => {
                let task = error.id();
                let text = match error.try_into_panic() {
                    Ok(panic) => crate::compile::panic_text(panic.as_ref()),
                    Err(_) => "the task was aborted".to_owned(),
                };
                let fault = Fault::new(FaultClass::Panic, format!("fleet itself panicked on this tenant: {text}"));
                let end = End::Stopped { fault, at: None, residue: PartialState::Unknown };
                (task, Attempt::without_work(None, end))
            }
        };
        (self.tasks.remove(&task).expect("every task was entered when it was spawned"), attempt)
    }

    async fn take_in(
        &mut self,
        index: usize,
        attempt: Attempt,
        wave: &PlannedWave,
        queue: &mut Queue,
        tally: &mut WaveCounts,
    ) {
        let mut in_flight = self.tenants.remove(&index).expect("a task's tenant is in flight");
        in_flight.progress.absorb(&attempt, self.plan.goal.direction);
        let final_try = self.cancel.reason().is_some();
        let plan = self.plan.clone();
        let next =
            in_flight.progress.next(attempt.end, &plan.goal, &plan.catalog, &plan.retry, fastrand::f64(), final_try);
        match next {
            Next::Again(pause, error) => {
                let retry_in_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
                let (tenant, attempt) = (plan.tenants[index].id.clone(), in_flight.progress.attempts);
                self.tenants.insert(index, in_flight);
                queue.delay(index, Instant::now() + pause);
                self.emit(Event::AttemptFailed { index, tenant, attempt, error, retry_in_ms }).await;
            }
            Next::Conclude(outcome, at, fault) => {
                self.conclude(index, in_flight, (outcome, at, fault), wave, tally).await;
            }
        }
    }

    async fn conclude(
        &mut self,
        index: usize,
        in_flight: InFlight,
        (outcome, stopped_at, error): (Outcome, Option<StoppedAt>, Option<Fault>),
        wave: &PlannedWave,
        tally: &mut WaveCounts,
    ) {
        let tenant = &self.plan.tenants[index];
        let record = TenantRecord {
            index,
            tenant: tenant.id.clone(),
            engine: tenant.engine,
            server: tenant.server.to_string(),
            wave: wave.name.clone(),
            version: in_flight.progress.version(&self.plan.catalog),
            version_known: in_flight.progress.is_known(),
            committed: in_flight.progress.committed,
            notes: in_flight.progress.notes,
            attempts: in_flight.progress.attempts,
            duration: in_flight.since.elapsed(),
            brought_back: in_flight.progress.brought_back,
            stopped_at,
            error,
            outcome,
        };
        self.stats.add(&record.outcome, record.attempts);
        self.order.concluded(index, record.outcome.standing() == Standing::AtTarget);
        tally.finished += 1;
        if uses_failure_budget(&record.outcome) {
            tally.failed += 1;
            if wave.max_failures.is_exceeded(tally.failed, tally.finished, wave.tenants.len()) {
                self.cancel.drain(NotStarted::FailureBudget);
            }
        }
        self.emit(Event::TenantFinished(record)).await;
    }

    /// Gives the tenants that wait their outcome: not started, or what their last attempt came to.
    async fn not_started(
        &mut self,
        waiting: Vec<usize>,
        reason: NotStarted,
        wave: &PlannedWave,
        tally: &mut WaveCounts,
    ) {
        for index in waiting {
            match self.tenants.remove(&index) {
                None => {
                    let fresh = InFlight { progress: Progress::default(), since: Instant::now() };
                    self.conclude(index, fresh, (reason.outcome(), None, None), wave, tally).await;
                }
                Some(in_flight) => {
                    let (fault, at, residue) = in_flight.progress.last.clone().expect("it waits because it failed");
                    let outcome = in_flight.progress.failure(&fault, &residue);
                    self.conclude(index, in_flight, (outcome, at, Some(fault)), wave, tally).await;
                }
            }
        }
    }

    async fn announce_level(&mut self) {
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
}
