//! `work`: one of the runners of a run that several share.
//!
//! It takes tenants from the queue and has each run alone by the dispatcher, as `migrate` would. One runner also leads the run:
//! it has waves, gates and budgets, and hands the tenants out (`leader`). Any other can go on in its place.
//!
//! | it dies | what happens |
//! |---|---|
//! | before it has taken a tenant | nothing; the queue gives the tenant to another |
//! | with a tenant | its lease ends, and another runner reads the tenant and goes on as after any run that was killed |
//! | between a tenant's commit and its outcome | the other one finds it up to date |
//! | frozen for longer than its lease | the same; what it writes behind that is refused (`ledger::Fence`) |
//! | as the leader | another runner leads: it waits for the outcomes of what was handed out, and plans the rest |

mod leader;
mod tenant;

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

use super::args::{RunOutput, Work};
use super::command::Run;
use super::enqueue::{is_on_postgres, terms};
use super::exit::{CliError, run_error};
use super::pace::{Pace, usual_pace};
use super::resume::{self, Former, Rest};
use super::session::held_or;
use super::setup::Program;
use super::signals::Signals;
use super::sinks::LiveView;
use super::terminal::Terminal;
use super::{origin, runs, start};
use crate::compile::MigrationSet;
use crate::engine::{self, Database};
use crate::ledger::{Ledger, LedgerError, Queue, Take};
use crate::model::event::{Event, RunHeader};
use crate::model::run_summary::RunStatus;
use crate::model::tenant::TenantId;
use crate::policy::{FailureBudget, Rate};
use crate::report::clean;
use crate::run::{Cancel, Level, RunPlan};

/// The interval at which a runner looks for the end of its run, and one that stays for another run.
const LOOK: Duration = Duration::from_secs(1);

/// The longest interval of signs of life.
const SIGN: Duration = Duration::from_secs(5);

impl Run for Work {
    async fn run(self, program: &Program) -> Result<u8, CliError> {
        if !is_on_postgres(program) {
            let text =
                "runs are shared through a ledger on PostgreSQL: set `ledger` to the URL that `migrate --enqueue` had";
            return Err(CliError::Usage(text.to_owned()));
        }
        let cancel = Cancel::default();
        let signals = Signals::listen(cancel.clone());
        let interrupted = || if signals.terminated() { 143 } else { 130 };
        loop {
            match open_run(program, self.run.as_deref()).await? {
                Some(run) => {
                    let code = Box::pin(part(&self, program, run, &cancel)).await?;
                    match code {
                        Some(code) if !self.stay => return Ok(code),
                        Some(_) => {}
                        None => return Ok(interrupted()),
                    }
                }
                None if self.stay => {
                    let mut level = cancel.subscribe();
                    let _ = tokio::time::timeout(LOOK, level.wait_for(|level| *level != Level::Running)).await;
                    if cancel.level() != Level::Running {
                        return Ok(interrupted());
                    }
                }
                None => {
                    program.terminal.tell("no run waits for runners");
                    return Ok(0);
                }
            }
        }
    }
}

/// The run to work on: the one that is named, or the oldest that is not over.
async fn open_run(program: &Program, named: Option<&str>) -> Result<Option<Uuid>, CliError> {
    let read = async |ledger: &Ledger| {
        let Some(named) = named else {
            return Ok(ledger.shared_runs().await.map_err(CliError::Ledger)?.first().copied());
        };
        let summary = ledger.run(named).await.map_err(run_error)?;
        let run = summary.run;
        if ledger.shared(run).await.map_err(CliError::Ledger)?.is_none() {
            let text = format!("run {run} was not enqueued, so runners can't share it");
            return Err(CliError::Usage(format!(
                "{text}\nto go on with it: {}",
                program.command(&format!("runs resume {run}"))
            )));
        }
        match ledger.heirs(run).await.map_err(CliError::Ledger)?.last() {
            Some(heir) if summary.finished_at_ms.is_none() => Err(CliError::Usage(format!(
                "run {run} was gone on with by run {}, so nothing of it is to be done\nsee: {}",
                heir.run,
                program.command(&format!("runs show {run}"))
            ))),
            _ => Ok(Some(run)),
        }
    };
    Ok(program.read_ledger_if_any(read).await?.flatten())
}

/// The fleet as this machine has it, with the flags of the run.
struct Site {
    program: Program,
    set: Arc<MigrationSet>,
}

/// A process that takes part in a run.
struct Runner {
    terminal: Terminal,
    ledger: Ledger,
    queue: Queue,
    run: Uuid,
    /// Its name, which no other process has.
    name: String,
    lease: Duration,
    /// Number of matching tenants that were left out of the run.
    held_back: usize,
    /// The run with all its tenants: the index of a tenant is its place in the ledger.
    plan: RunPlan,
    door: Arc<dyn Database>,
    cancel: Cancel,
    begun: Instant,
    view: Mutex<LiveView>,
}

/// Takes part in a run until it is over. Returns the exit code by its end; `None`: this process was told to stop before.
async fn part(work: &Work, program: &Program, run: Uuid, cancel: &Cancel) -> Result<Option<u8>, CliError> {
    let (site, runner) = join(program, run, cancel).await?;
    let (program, ledger, runner) = (&site.program, runner.ledger.clone(), Arc::new(runner));
    let is_over = async || -> Result<bool, LedgerError> {
        let summary = ledger.run(&run.to_string()).await?;
        Ok(summary.status() == RunStatus::Finished)
    };
    if !is_over().await.map_err(CliError::Ledger)? {
        // Removes secrets that a killed run has left in the temporary folder.
        engine::remove_left_secrets();
        ledger.runner_lives(run, &runner.name).await.map_err(CliError::Ledger)?;
        let signs = AbortOnDropHandle::new(tokio::spawn(signs(runner.clone())));
        let slots = work.slots.unwrap_or(program.settings().concurrency().global).get();
        let taker = runner.clone();
        let take: Take = Arc::new(move |place| {
            let taker = taker.clone();
            Box::pin(async move { taker.take(place).await })
        });
        let worker = Arc::new(runner.queue.worker(run, slots, (runner.lease, take)).await.map_err(CliError::Ledger)?);
        let working = tokio::spawn({
            let worker = worker.clone();
            async move { worker.run().await.map_err(|error| error.to_string()) }
        });
        let ended = beside(&site, &runner, is_over).await;
        // The tenants in flight come to their end.
        worker.request_shutdown();
        if let Ok(Err(error)) = working.await {
            program.terminal.warn(&format!("the queue of run {run} failed: {}", clean(&error)));
        }
        drop(signs);
        drop(worker);
        if !ended? {
            program.terminal.tell(&format!(
                "this runner has stopped; run {run} is not over, and others go on with it: {}",
                program.command(&format!("work {run}"))
            ));
            return Ok(None);
        }
    }
    let code = runs::over(program, run, &work.show.output).await?;
    Ok(Some(code))
}

/// The lead of a run under its token. Dropped, it is given up as if the process had died.
type Lead<'a> = (i64, Pin<Box<dyn Future<Output = Result<(), CliError>> + 'a>>);

/// Leads the run whenever nobody does, until it is over. False: this process was told to stop before.
async fn beside(
    site: &Site,
    runner: &Arc<Runner>,
    is_over: impl AsyncFn() -> Result<bool, LedgerError>,
) -> Result<bool, CliError> {
    let (ledger, run, program) = (&runner.ledger, runner.run, &site.program);
    let mut tick = tokio::time::interval(runner.sign());
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut look = tokio::time::interval(LOOK);
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut level = runner.cancel.subscribe();
    let mut leads: Option<Lead<'_>> = None;
    loop {
        let mut is_due = true;
        tokio::select! {
            biased;
            _ = level.wait_for(|level| *level != Level::Running) => {
                if let Some((token, leader)) = leads.take() {
                    drop(leader);
                    // Another runner need not wait for the end of the lease.
                    ledger.stop_leading(run, token).await.map_err(CliError::Ledger)?;
                }
                return Ok(false);
            }
            ended = ended(&mut leads) => {
                let (token, _) = leads.take().expect("it has ended");
                if let Err(error) = ended {
                    ledger.stop_leading(run, token).await.map_err(CliError::Ledger)?;
                    return Err(error);
                }
            }
            _ = tick.tick() => {}
            // One that does not lead hears of the end.
            _ = look.tick() => is_due = false,
        }
        match is_over().await {
            Ok(true) => return Ok(true),
            Ok(false) => {}
            Err(error) => {
                program.terminal.warn(&format!("failed to {error}; trying again"));
                continue;
            }
        }
        if !is_due {
            continue;
        }
        leads = match leads.take() {
            Some((token, leader)) => ledger.keep_leading(run, token).await.unwrap_or(true).then_some((token, leader)),
            None => {
                let token = ledger.lead(run, &runner.name).await.map_err(|error| held_or(program, error))?;
                token.map(|token| (token, Box::pin(leader::lead(site, runner, token)) as Pin<Box<_>>))
            }
        };
    }
}

/// The end of the leader's work; it never comes where there is none.
async fn ended(leads: &mut Option<Lead<'_>>) -> Result<(), CliError> {
    match leads {
        Some((_, leader)) => leader.await,
        None => std::future::pending().await,
    }
}

/// Says that the runner lives, as long as it has tenants.
async fn signs(runner: Arc<Runner>) {
    let mut tick = tokio::time::interval(runner.sign());
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        if let Err(error) = runner.ledger.runner_lives(runner.run, &runner.name).await {
            runner.terminal.warn(&format!("failed to {error}; trying again"));
        }
        runner.view().tick_now(false);
    }
}

/// Reads the run and has this machine checked against its terms.
async fn join(program: &Program, run: Uuid, cancel: &Cancel) -> Result<(Site, Runner), CliError> {
    let location = &program.settings().ledger;
    let ledger = Ledger::open(location).await.map_err(CliError::Ledger)?;
    let queue = Queue::open(location).await.map_err(CliError::Ledger)?.expect("the ledger is on PostgreSQL");
    let summary = ledger.run(&run.to_string()).await.map_err(run_error)?;
    let shared = ledger.shared(run).await.map_err(CliError::Ledger)?.expect("it was looked up as a shared one");
    let former = resume::read_past(&ledger, &summary).await?;
    let program = program.with_settings(kept(&former).iter().filter_map(origin::Flag::setting))?;
    let set = program.set().await?;
    let all = former.run.records.iter().map(|(planned, _)| planned.tenant.clone()).collect();
    let plan = rest(&program, &set, (&former, all)).await?;
    let here = terms(&program, &plan).await;
    let differences = shared.terms.differences(&here);
    let names =
        |header: &RunHeader| header.tenants.iter().map(|planned| planned.tenant.clone()).collect::<Vec<TenantId>>();
    if !differences.is_empty() || names(&plan.header) != names(&former.run.header) {
        let line = |(name, there, here): &(&str, Option<&str>, Option<&str>)| {
            let value = |of: &Option<&str>| of.map_or_else(|| "none".to_owned(), clean);
            format!("\n  {}: {} in the run, {} here", clean(name), value(there), value(here))
        };
        return Err(CliError::CanNotStart(format!(
            "this machine would not do what run {run} was enqueued for; no tenant was taken{}\ngive it the program, the tenant \
             file, the --scripts and the flags that `migrate --enqueue` had",
            differences.iter().map(line).collect::<String>()
        )));
    }
    let begun = Instant::now();
    let usual = usual_pace(&ledger, &plan.header).await;
    let mut view =
        LiveView::new(program.terminal, begun, Pace { usual, interval: plan.pacing.rate.map(Rate::interval) });
    view.show(&Event::RunStarted(plan.header.clone()), Duration::ZERO);
    let door = program.door(&set);
    let (lease, held_back, cancel) = (shared.lease, shared.held_back, cancel.clone());
    let plan = RunPlan { header: former.run.header, ..plan };
    let (view, name, terminal) = (Mutex::new(view), name(), program.terminal);
    let runner = Runner { terminal, ledger, queue, run, name, lease, held_back, plan, door, cancel, begun, view };
    Ok((Site { program, set }, runner))
}

impl Runner {
    /// The interval of signs: several in a lease, and in the time after which a run without one is taken for dead.
    fn sign(&self) -> Duration {
        (self.lease / 4).min(SIGN)
    }

    fn view(&self) -> std::sync::MutexGuard<'_, LiveView> {
        self.view.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// The flags of the command that enqueued a run, which hold for its runners.
fn kept(former: &Former) -> Vec<origin::Flag> {
    origin::carried(former.commands.iter().map(String::as_str))
}

/// The plan of these tenants of a run, in the order that the run has.
///
/// # Errors
/// [`CliError::BudgetUsedUp`]: nothing more may be started.
async fn rest(
    program: &Program,
    set: &Arc<MigrationSet>,
    (former, left): (&Former, std::collections::BTreeSet<TenantId>),
) -> Result<RunPlan, CliError> {
    let kept = kept(former);
    let is_kept = |long: &str| kept.iter().any(|flag| flag.long == long);
    let keep_going = is_kept("keep-going");
    let output = RunOutput { fail_fast: is_kept("fail-fast"), keep_going, ..RunOutput::default() };
    let of_run = output.run_budget(program.settings());
    let mut intent = resume::rest(program, set, former, Rest { left, keep_going, of_run, approved_by: None }).await?;
    let header = &former.run.header;
    let places: std::collections::HashMap<&TenantId, usize> =
        header.tenants.iter().enumerate().map(|(place, planned)| (&planned.tenant, place)).collect();
    for wave in &mut intent.selection.waves {
        wave.tenants.sort_by_key(|tenant| places.get(&tenant.id));
        if keep_going {
            wave.max_failures = FailureBudget::UNLIMITED;
        }
    }
    intent.max_failures = of_run;
    intent.native = is_kept("native");
    intent.left_at = program.left_at(intent.selection.tenants().map(|tenant| tenant.id.clone()).collect()).await?;
    let plan = start::plan(program, set, intent);
    let tenants = plan.header.tenants;
    Ok(RunPlan { header: RunHeader { tenants, ..header.without_tenants() }, ..plan })
}

/// A name for this process: its machine, its id, and a mark, because containers may share both.
fn name() -> String {
    let by = origin::started_by();
    let host: String = by.host.chars().take(60).collect();
    format!("{host}-{}-{:04x}", by.process.id, fastrand::u16(..))
}
