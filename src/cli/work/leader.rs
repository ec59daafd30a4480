//! The lead of a shared run: waves, gates and budgets by the dispatcher, whose tenants other processes run.
//!
//! Everything that it writes is fenced by its token. It is dropped in the middle when another runner leads, as if it were
//! killed.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{mpsc, oneshot};
use tokio_util::task::AbortOnDropHandle;

use super::{Runner, Site};
use crate::cli::enqueue::digest;
use crate::cli::exit::{CliError, run_error};
use crate::cli::{gates, resume};
use crate::crash;
use crate::ledger::{Asked, Fence, LedgerError, Recorder};
use crate::model::clock::now_ms;
use crate::model::event::{Event, PlannedTenant};
use crate::model::gate::GateRecord;
use crate::model::outcome::{NotStarted, Outcome, TenantRecord};
use crate::model::stats::RunStats;
use crate::model::tenant::TenantId;
use crate::run::{self, Cancel, Level, RunPlan, Runners};

/// The interval at which outcomes are looked for.
const LOOK: Duration = Duration::from_millis(50);

/// The pause before something is written again.
const PAUSE: Duration = Duration::from_secs(1);

/// The longest name of a server that is a queue's name as it is.
const LONGEST: usize = 80;

/// Leads a run to its end.
pub(super) async fn lead(site: &Site, runner: &Arc<Runner>, token: i64) -> Result<(), CliError> {
    let (ledger, run) = (&runner.ledger, runner.run);
    outcomes_of_former(runner).await.map_err(CliError::Ledger)?;
    let summary = ledger.run(&run.to_string()).await.map_err(run_error)?;
    if summary.finished_at_ms.is_some() {
        return Ok(());
    }
    let former = resume::read_past(ledger, &summary).await?;
    let records = &former.run.records;
    let open = records.iter().filter(|(_, record)| record.is_none()).map(|(planned, _)| planned.tenant.clone());
    let (plan, used_up) = plan(site, &former, open.collect()).await?;
    let mut stats = RunStats { selected: records.len(), held_back: runner.held_back, ..RunStats::default() };
    for record in records.iter().filter_map(|(_, record)| record.as_ref()) {
        stats.add(&record.outcome, record.attempts);
    }
    let cancel = Cancel::default();
    let told_reason = told_reason(records);
    if let Some(reason) = told_reason.or_else(|| former.last_gate.as_ref().and_then(GateRecord::reason)).or(used_up) {
        cancel.drain(reason);
    }
    let gatekeeper = gates::keeper(&site.program, &site.set, &plan)?;
    let handing = Arc::new(Handing::new(runner, token, &plan));
    let plan = Arc::new(RunPlan { gatekeeper, runners: Some(handing.clone()), ..plan });
    let mut recorder = ledger.recorder();
    recorder.join(run, Fence::Leads { token }).await.map_err(CliError::Ledger)?;
    let events = ledger.events(run).await.map_err(CliError::Ledger)?;
    let is_asked = events.iter().any(|(_, event)| matches!(event, Event::PauseRequested(_)));
    let begun_waves = events.into_iter().filter_map(|(_, event)| match event {
        Event::WaveStarted { wave, .. } => Some(wave),
        _ => None,
    });
    let begun_waves = begun_waves.collect();
    let mut told = Told { begun_waves, stats, told_reason, is_asked, handing: handing.clone(), recorder: &recorder };
    // A request that a former leader had read, or not, comes before anything is started.
    if let Asked::Already(request) = ledger.asked_to_pause(run).await.map_err(CliError::Ledger)? {
        told.take(Event::PauseRequested(request)).await;
        cancel.drain(NotStarted::Paused);
    }
    let (sender, mut receiver) = mpsc::channel(1_024);
    let running = AbortOnDropHandle::new(tokio::spawn(run::execute(plan, runner.door.clone(), cancel.clone(), sender)));
    let (mut look, mut again) = (tokio::time::interval(LOOK), tokio::time::interval(runner.lease / 2));
    loop {
        tokio::select! {
            event = receiver.recv() => match event {
                Some(event) => told.take(event).await,
                None => break,
            },
            request = recorder.asked(), if cancel.level() == Level::Running => {
                told.take(Event::PauseRequested(request)).await;
                cancel.drain(NotStarted::Paused);
            }
            _ = look.tick() => {
                if matches!(cancel.level(), Level::Draining(reason) if reason.is_pause()) {
                    handing.take_back().await;
                }
                handing.look().await;
            }
            _ = again.tick() => put_again(runner).await,
        }
    }
    running.await.map_err(|error| CliError::CanNotStart(format!("the run ended unexpectedly: {error}")))?;
    recorder.finish().await.map_err(CliError::Ledger)
}

/// Waits for the outcomes of all that a former leader has handed out: they count, before anything else is decided.
async fn outcomes_of_former(runner: &Runner) -> Result<(), LedgerError> {
    let mut again = tokio::time::interval(runner.lease / 2);
    while !runner.ledger.claims(runner.run).await?.is_empty() {
        tokio::select! {
            _ = again.tick() => put_again(runner).await,
            () = tokio::time::sleep(LOOK) => {}
        }
    }
    Ok(())
}

/// Puts tenants into the queue again that were handed out and that nobody has: the process died before it had put them there, or
/// the runner gave them back.
async fn put_again(runner: &Runner) {
    let Ok(claims) = runner.ledger.claims(runner.run).await else { return };
    for claim in claims.into_iter().filter(|claim| !claim.is_held) {
        // It is tried again.
        let _ = runner.queue.put_again(runner.run, claim.place, &claim.queue).await;
    }
}

/// The plan of the tenants that have no outcome, and the reason why none of them is to be started.
async fn plan(
    site: &Site,
    former: &resume::Former,
    open: BTreeSet<TenantId>,
) -> Result<(RunPlan, Option<NotStarted>), CliError> {
    let (program, set) = (&site.program, &site.set);
    let all = || former.run.records.iter().map(|(planned, _)| planned.tenant.clone()).collect();
    match super::rest(program, set, (former, if open.is_empty() { all() } else { open.clone() })).await {
        Ok(plan) if open.is_empty() => Ok((only(plan, &open), None)),
        Ok(plan) => Ok((plan, None)),
        // With all of them nothing counts as failed before.
        Err(CliError::BudgetUsedUp(_)) => {
            let plan = super::rest(program, set, (former, all())).await?;
            Ok((only(plan, &open), Some(NotStarted::FailureBudget)))
        }
        Err(error) => Err(error),
    }
}

/// A plan with these tenants alone, and without gates before its first wave.
fn only(mut plan: RunPlan, open: &BTreeSet<TenantId>) -> RunPlan {
    for wave in &mut plan.waves {
        wave.tenants.retain(|&index| open.contains(&plan.tenants[index].id));
    }
    plan.waves.retain(|wave| !wave.tenants.is_empty());
    plan.open_gates.clear();
    plan
}

/// The reason why a former leader had started nothing more, as it told of some tenants before it died.
fn told_reason(records: &[(PlannedTenant, Option<TenantRecord>)]) -> Option<NotStarted> {
    records.iter().find_map(|(_, record)| match record.as_ref()?.outcome {
        Outcome::NotStarted { reason, .. } if reason != NotStarted::Dependency => Some(reason),
        _ => None,
    })
}

/// The events of the lead, as the ledger is to have them.
struct Told<'a> {
    /// The waves that a former leader has begun.
    begun_waves: HashSet<String>,
    /// The run so far.
    stats: RunStats,
    /// The reason why a former leader had not started some tenants.
    told_reason: Option<NotStarted>,
    /// Whether a request to pause is recorded.
    is_asked: bool,
    handing: Arc<Handing>,
    recorder: &'a Recorder,
}

impl Told<'_> {
    async fn take(&mut self, mut event: Event) {
        match &mut event {
            Event::RunStarted(_) => return,
            Event::WaveStarted { wave, .. } if !self.begun_waves.insert(wave.clone()) => return,
            Event::PauseRequested(_) if std::mem::replace(&mut self.is_asked, true) => return,
            Event::WaveFinished { stats, .. } => *stats = self.stats,
            Event::TenantFinished(record) => {
                self.stats.add(&record.outcome, record.attempts);
                // Its runner has recorded it.
                if record.runner.is_some() {
                    return;
                }
                record.index = self.handing.tenants[record.index].0;
            }
            Event::RunFinished { stats } => {
                *stats = RunStats { stopped: stats.stopped.or(self.told_reason), ..self.stats };
            }
            _ => {}
        }
        self.handing.runner.view().show(&event, self.handing.runner.begun.elapsed());
        // Only another leader keeps it from being written, and then this one is dropped.
        let _ = self.recorder.record(event, now_ms()).await;
    }
}

/// The tenants that are handed out.
struct Handing {
    runner: Arc<Runner>,
    token: i64,
    /// By index in the plan: the place in the run, and the server.
    tenants: Vec<(usize, Arc<str>)>,
    /// The numbers of queues in use, by server.
    queues: Mutex<HashMap<Arc<str>, BTreeSet<usize>>>,
    /// By place, those that wait for an outcome.
    waiting: Mutex<HashMap<i64, oneshot::Sender<Option<TenantRecord>>>>,
}

impl Handing {
    fn new(runner: &Arc<Runner>, token: i64, plan: &RunPlan) -> Self {
        let planned = runner.plan.header.tenants.iter().enumerate();
        let places: HashMap<&TenantId, usize> = planned.map(|(place, planned)| (&planned.tenant, place)).collect();
        let of = |tenant: &Arc<crate::model::tenant::Tenant>| {
            (places.get(&tenant.id).copied().unwrap_or(usize::MAX), tenant.server.clone())
        };
        let tenants = plan.tenants.iter().map(of).collect();
        Handing { runner: runner.clone(), token, tenants, queues: Mutex::default(), waiting: Mutex::default() }
    }

    /// Has those go on that wait for outcomes which are recorded now.
    async fn look(&self) {
        let places: Vec<i64> = locked(&self.waiting).keys().copied().collect();
        if places.is_empty() {
            return;
        }
        let Ok(outcomes) = self.runner.ledger.outcomes_at(self.runner.run, &places).await else { return };
        for (_, record) in outcomes {
            let waiting = i64::try_from(record.index).ok().and_then(|place| locked(&self.waiting).remove(&place));
            if let Some(waiting) = waiting {
                let _ = waiting.send(Some(record));
            }
        }
    }

    /// Takes back the tenants that no runner has taken: the run starts nothing new.
    async fn take_back(&self) {
        // A task of its own: the lead is not polled while its lease is renewed, which would wait for this transaction for ever.
        let (runner, token) = (self.runner.clone(), self.token);
        let taking = tokio::spawn(async move { runner.ledger.take_back(runner.run, token).await });
        let Ok(Ok(places)) = taking.await else { return };
        for place in places {
            if let Some(waiting) = locked(&self.waiting).remove(&place) {
                let _ = waiting.send(None);
            }
            self.runner.queue.remove(self.runner.run, place).await;
        }
    }

    /// Takes the first free queue of a server. The dispatcher keeps the cap: there are as many as tenants in flight.
    fn take_queue(&self, server: &Arc<str>) -> usize {
        let mut queues = locked(&self.queues);
        let used = queues.entry(server.clone()).or_default();
        let free = (0..).find(|number| !used.contains(number)).unwrap_or_default();
        used.insert(free);
        free
    }

    fn leave_queue(&self, server: &Arc<str>, number: usize) {
        if let Some(used) = locked(&self.queues).get_mut(server) {
            used.remove(&number);
        }
    }
}

#[async_trait]
impl Runners for Handing {
    async fn outcome(&self, index: usize) -> Option<TenantRecord> {
        let (at, server) = &self.tenants[index];
        let (run, place) = (self.runner.run, i64::try_from(*at).unwrap_or(i64::MAX));
        let number = self.take_queue(server);
        let queue = queue(server, number);
        let (sender, outcome) = oneshot::channel();
        locked(&self.waiting).insert(place, sender);
        loop {
            match self.runner.ledger.hand_out(run, self.token, (place, &queue)).await {
                Ok(true) => break,
                Ok(false) => return std::future::pending().await,
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
        crash::at("handed_out", "tenant");
        while self.runner.queue.put(run, place, &queue).await.is_err() {
            tokio::time::sleep(PAUSE).await;
        }
        let Ok(record) = outcome.await else { return std::future::pending().await };
        self.leave_queue(server, number);
        Some(TenantRecord { index, ..record? })
    }
}

/// The name of a queue: the tenants of one come one after another, whichever run has them.
fn queue(server: &str, number: usize) -> String {
    match server.len() <= LONGEST {
        true => format!("{server}#{number}"),
        false => format!("{}#{number}", digest(server)),
    }
}

fn locked<T>(of: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_has_a_short_name_of_its_own() {
        assert_eq!(queue("db1:5432", 3), "db1:5432#3");
        let (one, other) = (queue(&"a".repeat(200), 0), queue(&"b".repeat(200), 0));
        assert!(one != other && one.len() < 40, "{one}");
    }
}
