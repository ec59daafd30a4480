//! Events of a run to the ledger and to the person, and the report at its end.
//!
//! The ledger comes first: what is shown has been handed to it.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::args::RunOutput;
use super::exit::{self, CliError};
use super::late::{self, Joined, Late};
use super::pace::{Pace, usual_pace};
use super::setup::Program;
use super::signals::Signals;
use super::sinks::{JsonLines, LiveView, Records};
use super::undo_wave::{self, Undone};
use super::{files, gates, metrics, next, resume, rollback_run, sources};
use crate::compile::MigrationSet;
use crate::engine::{self, is_beside_another, location};
use crate::inputs::select::Selection;
use crate::ledger::{Ledger, LedgerError, Location, Recorder};
use crate::model::clock::now_ms;
use crate::model::engine::Variant;
use crate::model::event::{Event, RunHeader};
use crate::model::gate::{GateAction, GateRecord};
use crate::model::outcome::{NotStarted, TenantRecord};
use crate::model::pause::Pause;
use crate::model::plan::Target;
use crate::model::run_summary::{LeftAt, RunStatus};
use crate::model::schema::Script;
use crate::model::sink::{EventSink as _, FanOut};
use crate::model::stats::RunStats;
use crate::model::tenant::{Address, Tenant, TenantId};
use crate::model::undo::Undoing;
use crate::policy::{Rate, StopCause};
use crate::report::outcome::{OutcomeView, Page};
use crate::report::{Format, Style, clean, first};
use crate::run::{self, Cancel, OpenGate, RunPlan};

/// The interval at which the bar is redrawn.
const REDRAW: Duration = Duration::from_millis(100);

/// Refuses a ledger in a tenant's database: its tables do not belong there, and an empty tenant file would be taken for
/// a new ledger.
pub(super) fn refuse_tenant(program: &Program) -> Result<(), CliError> {
    let is_beside = |tenant: &&Arc<Tenant>| match tenant.address_for_migrations() {
        Address::File(file) => is_beside_another(file),
        Address::Url(_) | Address::Unusable(_) => false,
    };
    if let Some(tenant) = program.registry.tenants.iter().find(is_beside) {
        return Err(CliError::Settings(format!(
            "the file of tenant {}, {}, is one that SQLite or fleet keeps beside another database, and no database; correct its url",
            clean(tenant.id.as_str()),
            clean(&location(tenant))
        )));
    }
    let Some(tenant) = program.registry.tenant_at_ledger() else { return Ok(()) };
    let place = match &program.settings().ledger {
        Location::File(file) => file.display().to_string(),
        Location::Url(_) => "on that server".to_owned(),
    };
    Err(CliError::Settings(format!(
        "the ledger {place} is the database of tenant {}; set another place for the ledger",
        tenant.id
    )))
}

/// Refuses, before anything is asked or read, tenants that another run is at work on. Returns the versions at which earlier runs
/// left them, if they are wanted: the ledger is open.
pub(super) async fn refuse_held(
    program: &Program,
    selection: &Selection,
    wants_versions: bool,
) -> Result<HashMap<TenantId, LeftAt>, CliError> {
    let tenants = selection.tenants().map(|tenant| &tenant.id).collect();
    let read = async |ledger: &Ledger| {
        ledger.refuse_held(&tenants).await.map_err(|error| held_or(program, error))?;
        match wants_versions {
            true => ledger.left_at(tenants.iter().copied().cloned().collect()).await.map_err(CliError::Ledger),
            false => Ok(HashMap::new()),
        }
    };
    Ok(program.read_ledger_if_any(read).await?.unwrap_or_default())
}

/// The error of a ledger; that another run has the tenants is told with who that is.
pub(super) fn held_or(program: &Program, error: LedgerError) -> CliError {
    const NAMED: usize = 5;
    let LedgerError::Held { holder, tenants } = error else { return CliError::Ledger(error) };
    let what = format!("run {} is at work on {}", holder.run, first(&tenants, NAMED));
    resume::at_work(program, &what, &holder)
}

/// The surroundings of a run: the wanted output, the stream of its events once that is open, and the means to stop it.
pub(super) struct Stage<'a> {
    pub(super) output: &'a RunOutput,
    pub(super) stream: Option<JsonLines>,
    /// `None`: signals are listened to from the beginning of the run on.
    pub(super) stop: Option<(Cancel, Signals)>,
    /// The tenants that are looked for at the end of the next run.
    pub(super) late: Option<Late>,
}

/// A run that has come to its end.
pub(super) struct Ended {
    pub(super) plan: Arc<RunPlan>,
    /// In plan order.
    pub(super) records: Vec<TenantRecord>,
    events: Vec<(i64, Event)>,
    ended_at_ms: HashMap<usize, i64>,
    /// The gate that did not let it on.
    gate: Option<GateRecord>,
    /// The person's request at which it paused.
    pause: Option<Pause>,
    pub(super) stats: RunStats,
    elapsed: Duration,
    /// The error by which its ledger was lost.
    pub(super) lost: Option<LedgerError>,
    terminated: bool,
    /// The tenants that came into the fleet while it went on.
    joined: Option<Joined>,
}

impl Ended {
    /// The exit code by its own outcomes.
    pub(super) fn code(&self) -> u8 {
        exit::code(self.stats.verdict(), self.terminated)
    }

    /// Its report.
    pub(super) fn view<'a>(&'a self, told: &'a Told) -> OutcomeView<'a> {
        OutcomeView {
            header: &self.plan.header,
            records: &self.records,
            stats: &self.stats,
            elapsed: Some(self.elapsed),
            scripts: &told.scripts,
            rerun: told.next.first.as_deref(),
            ways: &told.next.rest,
            cause: told.cause.as_ref(),
            undo: told.undoing.as_ref(),
        }
    }

    /// The waves that are to be taken back.
    pub(super) fn due(&self) -> Vec<String> {
        Undoing::of(&self.events, Vec::new()).due
    }
}

/// Runs a plan with everything around it: ledger, signals, progress, report; and takes a wave back that failed, if its gate
/// says so. Returns the exit code.
pub(super) async fn drive(
    program: &Program,
    set: &Arc<MigrationSet>,
    (plan, late): (RunPlan, Option<Late>),
    output: &RunOutput,
) -> Result<u8, CliError> {
    let mut stage = Stage { output, stream: None, stop: None, late };
    let mut ended = conduct(program, set, plan, &mut stage).await?;
    let undone = undo_wave::behind(program, set, &ended, &mut stage).await;
    let told = told(program, &mut ended, undone.as_ref()).await;
    let joined = ended.joined.take();
    let view = ended.view(&told);
    let code = undone.as_ref().map_or(ended.code(), |undone| undone.code(ended.code()));
    // The run is over regardless of its reports: a failed report is an error and hides no failure of the run.
    let mut is_told = true;
    let shown = show(program, output, &view);
    let (events, ended_at_ms) = (&ended.events, &ended.ended_at_ms);
    let (status, approvers) = (RunStatus::Finished, &BTreeMap::new());
    let page = Page { outcome: view, events, ended_at_ms, status, approvals: &[], heirs: &[], approvers };
    let reports = write_reports(output, &page);
    let code = late::behind(set, joined, (ended.plan.pacing.deadline, &mut stage)).await.unwrap_or(code);
    let streamed = stage.stream.take().map_or(Ok(()), JsonLines::end);
    let metrics = metrics::write(program, output.metrics_file.as_deref(), None).await;
    for result in reports.into_iter().chain([streamed, shown, metrics]) {
        if let Err(error) = result {
            let command = program.command(&format!("runs show {}", ended.plan.header.run));
            program.terminal.tell(&format!("error: {error}; the run itself is over and recorded, see: {command}"));
            is_told = false;
        }
    }
    Ok(if is_told || code != 0 { code } else { 1 })
}

/// Runs a plan to its end, with ledger, signals and progress.
pub(super) async fn conduct(
    program: &Program,
    set: &Arc<MigrationSet>,
    plan: RunPlan,
    stage: &mut Stage<'_>,
) -> Result<Ended, CliError> {
    refuse_tenant(program)?;
    files::check_logs(program)?;
    // Removes secrets that a killed run has left in the temporary folder.
    engine::remove_left_secrets();
    let gatekeeper = gates::keeper(program, set, &plan)?;
    let ledger = Ledger::open(&program.settings().ledger).await.map_err(CliError::Ledger)?;
    let stream = match &mut stage.stream {
        Some(stream) => stream,
        none => none.insert(JsonLines::open(program.terminal, stage.output)?),
    };
    let pace = Pace { usual: usual_pace(&ledger, &plan.header).await, interval: plan.pacing.rate.map(Rate::interval) };
    let mut recorder = ledger.recorder();
    // Dying before this: no tenant was touched and nothing is recorded. Dying after: the run is there to be resumed.
    let approved: Vec<GateRecord> = plan.open_gates.iter().filter_map(OpenGate::approval).collect();
    recorder.begin_approved(&plan.header, &approved).await.map_err(|error| held_or(program, error))?;
    sources::note(program, &ledger, plan.header.run).await;
    let (cancel, signals) = stage.stop.take().unwrap_or_else(|| {
        let cancel = Cancel::default();
        (cancel.clone(), Signals::listen(cancel))
    });
    let begun = Instant::now();
    let recorded = Some(recorder.begun());
    let plan = Arc::new(RunPlan { timings: stage.output.timings, gatekeeper, recorded, ..plan });
    let (sender, receiver) = mpsc::channel(1_024);
    let running = tokio::spawn(run::execute(plan.clone(), program.door(set), cancel.clone(), sender));
    let (mut records, mut view) = (Records::default(), LiveView::new(program.terminal, begun, pace));
    let mut to_ledger = &recorder;
    // The ledger comes first: what is shown has been handed to it.
    let mut sinks = FanOut::default().and(&mut to_ledger).and(&mut records).and(stream).and(&mut view);
    deliver(receiver, &mut sinks, &recorder, &cancel).await;
    let (elapsed, ended_ms) = (begun.elapsed(), now_ms());
    let stats = running.await.map_err(|e| CliError::CanNotStart(format!("the run ended unexpectedly: {e}")))?;
    // Whoever came meanwhile is looked for in time of its own, which is not the run's.
    let joined = match stage.late.take() {
        Some(late) => late.look(program, set, (&stats, &cancel)).await,
        None => None,
    };
    // Those that are left count as such.
    let left = joined.as_ref().map_or(0, Joined::left);
    let stats = RunStats { held_back: stats.held_back + left, ..stats };
    for event in joined.iter().map(Joined::event).chain([Event::RunFinished { stats }]) {
        // A ledger that is lost by now is told behind the run.
        let _ = sinks.take(&event, ended_ms).await;
    }
    drop(sinks);
    drop(view);
    let Records { events, ended_at_ms, gate, pause, .. } = &mut records;
    let (events, ended_at_ms) = (std::mem::take(events), std::mem::take(ended_at_ms));
    let (gate, pause) = (gate.take(), pause.take());
    let records = records.in_plan_order();
    let lost = recorder.finish().await.err();
    ledger.close().await;
    let terminated = signals.terminated();
    Ok(Ended { plan, records, events, ended_at_ms, gate, pause, stats, elapsed, lost, terminated, joined })
}

/// The words on a run that has come to its end.
pub(super) struct Told {
    next: next::Next,
    cause: Option<StopCause>,
    scripts: Vec<Script>,
    undoing: Option<Undoing>,
}

/// Finds the words on a run that has come to its end. Tells that its ledger was lost.
pub(super) async fn told(program: &Program, ended: &mut Ended, undone: Option<&Undone>) -> Told {
    let scripts = needed_scripts(&ended.plan, &ended.records).await;
    let earlier = failed_before(program, ended).await;
    let left_behind = left_behind(program, ended).await;
    let (next, cause) = next_of(program, ended, (undone, &left_behind), &earlier);
    Told { next, cause, scripts, undoing: undone.map(Undone::undoing) }
}

/// The runs that this one resumed and whose failures still use up its budgets.
async fn failed_before(program: &Program, ended: &Ended) -> Vec<RunHeader> {
    let header = &ended.plan.header;
    if header.resumes.is_none() || ended.lost.is_some() || !ended.stats.stopped.is_some_and(NotStarted::is_budget) {
        return Vec::new();
    }
    // It has come to its end, and is told with its own failures where the ledger does not answer now.
    let read = program.read_ledger(async |ledger: &Ledger| resume::failed_before(ledger, header.run).await).await;
    read.map(|(headers, _)| headers).unwrap_or_default()
}

/// The lines on the tenants that a rollback of a run left out.
async fn left_behind(program: &Program, ended: &Ended) -> String {
    if ended.lost.is_some() || ended.stats.held_back == 0 {
        return String::new();
    }
    // It has come to its end, and has named them at its beginning.
    let header = &ended.plan.header;
    let read = async |ledger: &Ledger| rollback_run::left_behind(program, ledger, header).await;
    program.read_ledger(read).await.unwrap_or_default()
}

/// The commands to type next, and the reason why the run stopped.
fn next_of(
    program: &Program,
    ended: &mut Ended,
    (undone, left_behind): (Option<&Undone>, &str),
    earlier: &[RunHeader],
) -> (next::Next, Option<StopCause>) {
    let (plan, records) = (ended.plan.clone(), &ended.records);
    let waves = plan.waves.iter().map(|wave| {
        let total = wave.tenants.len() + wave.former.finished;
        (Some(wave.name.clone()), wave.max_failures, wave.former, total)
    });
    let all = plan.tenants.len() + plan.former.finished;
    let used_up = next::used_up(waves.chain([(None, plan.max_failures, plan.former, all)]), records);
    let used_up = used_up.or_else(|| plan.closed.first().cloned());
    let is_used_up = used_up.is_some();
    let gate = ended.gate.take();
    let cause = StopCause::of(gate.clone(), ended.pause.take(), used_up, (ended.stats.stopped, &ended.events));
    let paused = gate.as_ref().filter(|gate| gate.then == GateAction::Pause);
    let over = next::Over {
        header: &plan.header,
        open: records,
        records,
        stop: next::Stop { cause: cause.as_ref(), paused, earlier, held: None },
        is_used_up,
        undoing: undone.map(Undone::undoing).unwrap_or_default(),
        left_out: plan.quarantined.iter().cloned().collect(),
        left_behind,
    };
    let next = match &ended.lost {
        None => next::of(program, &over),
        Some(LedgerError::Superseded { by, .. }) => {
            next::Next { first: Some(program.command(&format!("runs show {by}"))), rest: String::new() }
        }
        Some(_) => next::after_loss(program, &over),
    };
    if let Some(error) = ended.lost.take() {
        ended.stats.stopped = Some(NotStarted::Ledger);
        if matches!(error, LedgerError::Superseded { .. }) {
            program.terminal.error(&format!(
                "failed to {error}\nthis run started nothing more; do not resume it, and look at the later one with: {}",
                next.first.as_deref().unwrap_or_default()
            ));
            return (next, cause);
        }
        let go_on = next.first.as_ref().map(|command| {
            let for_good = match plan.header.kind.goal().map(|goal| goal.target) {
                None => "",
                Some(Target::Steps(_)) => "\nif it is lost for good, name the goal with --to: a step more is not taken back",
                Some(_) => {
                    "\nif it is lost for good, run the same command again: tenants that are there already are left alone"
                }
            };
            format!("\nwhen it is back, go on with: {command}{for_good}")
        });
        program.terminal.error(&format!(
            "failed to {error}\nwhat was done is in the report and in the tenants' own histories ({}); the ledger lacks some \
             of it{}",
            program.command("status"),
            go_on.unwrap_or_default()
        ));
    }
    (next, cause)
}

fn write_reports(output: &RunOutput, page: &Page<'_>) -> Vec<Result<(), CliError>> {
    let write = |(format, file): &(Format, PathBuf)| {
        let text = match format {
            Format::Html => page.render(),
            _ => page.outcome.render(*format, &Style::FILE),
        };
        files::write(file, &text)
    };
    output.reports.report.iter().map(write).collect()
}

fn show(program: &Program, output: &RunOutput, view: &OutcomeView<'_>) -> Result<(), CliError> {
    // The stream of events has no outcome at its end.
    if output.format == Format::Jsonl {
        return Ok(());
    }
    output.deliver(&view.render(output.format, &output.style(program)))
}

/// The scripts of migrations that some tenant stopped at: only these need compiling for the report.
async fn needed_scripts(plan: &RunPlan, records: &[TenantRecord]) -> Vec<Script> {
    let mut scripts = Vec::new();
    for variant in Variant::ALL {
        let stopped = |r: &&TenantRecord| r.stopped_at.is_some();
        let tenants = records.iter().filter(stopped).filter_map(|r| plan.tenants.get(r.index));
        if let Some(tenant) = tenants.into_iter().find(|tenant| tenant.variant() == variant) {
            scripts.extend(plan.scripts.of(tenant).await.iter().map(|s| Script::clone(s)));
        }
    }
    scripts
}

/// Hands the events of a run to the sinks until the dispatcher is done, all but the last: its counts are not whole yet.
async fn deliver(mut events: mpsc::Receiver<Event>, sinks: &mut FanOut<'_>, recorder: &Recorder, cancel: &Cancel) {
    let lost = recorder.lost();
    let mut tick = tokio::time::interval(REDRAW);
    tick.tick().await;
    loop {
        let event = tokio::select! {
            event = events.recv() => event,
            () = lost.cancelled(), if cancel.level() == run::Level::Running => {
                // Nothing new starts; the work in flight ends, and the loss is reported on stderr and in the exit code.
                cancel.drain(NotStarted::Ledger);
                continue;
            }
            request = recorder.asked(), if cancel.level() == run::Level::Running => {
                // Told before it works: the ledger has the reason of all that is not started from here on.
                let told = sinks.take(&Event::PauseRequested(request), now_ms()).await;
                cancel.drain(if told.is_ok() { NotStarted::Paused } else { NotStarted::Ledger });
                continue;
            }
            _ = tick.tick() => {
                sinks.tick();
                continue;
            }
        };
        let Some(event) = event else { return };
        if !matches!(event, Event::RunFinished { .. }) && sinks.take(&event, now_ms()).await.is_err() {
            cancel.drain(NotStarted::Ledger);
        }
    }
}
