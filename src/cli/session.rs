//! Events of a run to the ledger and to the person, and the report at its end.
//!
//! The ledger comes first: what is shown has been handed to it.

use std::io::{ErrorKind, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::sync::mpsc;

use super::args::RunOutput;
use super::exit::{self, CliError};
use super::setup::Program;
use super::signals::Signals;
use super::terminal::{self, Terminal};
use super::{files, next};
use crate::compile::MigrationSet;
use crate::engine;
use crate::ledger::{Ledger, Location, Recorder};
use crate::model::clock::now_ms;
use crate::model::engine::Variant;
use crate::model::event::Event;
use crate::model::outcome::{NotStarted, Standing, TenantRecord};
use crate::model::plan::Target;
use crate::model::schema::Script;
use crate::model::sink::{EventSink, FanOut, SinkLost};
use crate::report::live::{self, Live};
use crate::report::outcome::OutcomeView;
use crate::report::{Format, Style};
use crate::run::{self, Cancel, RunPlan};

/// The interval of progress lines in a run without a terminal.
const HEARTBEAT: Duration = Duration::from_secs(30);

/// The interval at which the bar is redrawn.
const REDRAW: Duration = Duration::from_millis(100);

/// Refuses a ledger in a tenant's database: its tables do not belong there, and an empty tenant file would be taken for
/// a new ledger.
pub(super) fn refuse_tenant(program: &Program) -> Result<(), CliError> {
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

/// Runs a plan with everything around it: ledger, signals, progress, report. Returns the exit code.
pub(super) async fn drive(
    program: &Program,
    set: &Arc<MigrationSet>,
    plan: RunPlan,
    output: &RunOutput,
) -> Result<u8, CliError> {
    refuse_tenant(program)?;
    files::check_logs(program)?;
    // Removes secrets that a killed run has left in the temporary folder.
    engine::remove_left_secrets();
    let ledger = Ledger::open(&program.settings().ledger).await.map_err(CliError::Ledger)?;
    let mut stream = JsonLines::open(program.terminal, output)?;
    let mut recorder = ledger.recorder();
    // Dying before this: no tenant was touched and nothing is recorded. Dying after: the run is there to be resumed.
    recorder.begin(&plan.header).await.map_err(CliError::Ledger)?;
    let cancel = Cancel::default();
    let signals = Signals::listen(cancel.clone());
    let begun = Instant::now();
    let plan = Arc::new(RunPlan { timings: output.timings, ..plan });
    let (sender, receiver) = mpsc::channel(1_024);
    let running = tokio::spawn(run::execute(plan.clone(), program.door(set), cancel.clone(), sender));
    let (mut records, mut view) = (Records::default(), LiveView::new(program.terminal, begun));
    let mut to_ledger = &recorder;
    // The ledger comes first: what is shown has been handed to it.
    let mut sinks = FanOut::default().and(&mut to_ledger).and(&mut records).and(&mut stream).and(&mut view);
    deliver(receiver, &mut sinks, &recorder, &cancel).await;
    drop(sinks);
    drop(view);
    let records = records.in_plan_order();
    let elapsed = begun.elapsed();
    let mut stats = running.await.map_err(|e| CliError::CanNotStart(format!("the run ended unexpectedly: {e}")))?;
    let failure = recorder.finish().await.err();
    ledger.close().await;
    let waves = plan.waves.iter().map(|wave| {
        let total = wave.tenants.len() + wave.former.finished;
        (wave.name.clone(), wave.max_failures, wave.former, total)
    });
    let used_up = next::used_up(waves, &records);
    let next = match &failure {
        None => next::after(program, &plan.header, &records, used_up.as_ref()),
        Some(_) => next::after_loss(program, &plan.header, &records),
    };
    if let Some(error) = failure {
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
        stats.stopped = Some(NotStarted::Ledger);
    }
    let scripts = needed_scripts(&plan, &records).await;
    let ways = next::held_by(program, &plan.header, &records).await + &next.rest;
    let view = OutcomeView {
        header: &plan.header,
        records: &records,
        stats: &stats,
        elapsed: Some(elapsed),
        scripts: &scripts,
        rerun: next.first.as_deref(),
        ways: &ways,
        used_up: used_up.as_ref(),
    };
    let code = exit::code(stats.verdict(), signals.terminated());
    // The run is over regardless of its reports: a failed report is an error and hides no failure of the run.
    let mut is_told = true;
    let shown = [stream.end(), show(program, output, &view)];
    for result in write_reports(output, &view).into_iter().chain(shown) {
        if let Err(error) = result {
            let command = program.command(&format!("runs show {}", plan.header.run));
            program.terminal.tell(&format!("error: {error}; the run itself is over and recorded, see: {command}"));
            is_told = false;
        }
    }
    Ok(if is_told || code != 0 { code } else { 1 })
}

fn write_reports(output: &RunOutput, view: &OutcomeView<'_>) -> Vec<Result<(), CliError>> {
    let write = |(format, file): &(Format, PathBuf)| files::write(file, &view.render(*format, &Style::FILE));
    output.report.iter().map(write).collect()
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

/// Hands the events of a run to the sinks until the dispatcher is done.
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
            _ = tick.tick() => {
                sinks.tick();
                continue;
            }
        };
        let Some(event) = event else { break };
        if sinks.take(&event, now_ms()).await.is_err() {
            cancel.drain(NotStarted::Ledger);
        }
    }
}

/// The outcomes of a run.
#[derive(Default)]
struct Records(Vec<TenantRecord>);

impl Records {
    fn in_plan_order(mut self) -> Vec<TenantRecord> {
        self.0.sort_by_key(|record| record.index);
        self.0
    }
}

#[async_trait]
impl EventSink for Records {
    async fn take(&mut self, event: &Event, _: i64) -> Result<(), SinkLost> {
        if let Event::TenantFinished(record) = event {
            self.0.push(record.clone());
        }
        Ok(())
    }
}

/// The stream of `--format jsonl`; closed where another format was requested, once its reader is gone, and once a write
/// failed.
struct JsonLines {
    terminal: Terminal,
    file: Option<PathBuf>,
    out: Option<Box<dyn Write + Send>>,
    failed: Option<std::io::Error>,
}

impl JsonLines {
    fn open(terminal: Terminal, output: &RunOutput) -> Result<Self, CliError> {
        let out: Option<Box<dyn Write + Send>> = match (output.format, &output.output) {
            (Format::Jsonl, None) => Some(Box::new(terminal::stdout())),
            (Format::Jsonl, Some(path)) => Some(Box::new(files::stream(path)?)),
            _ => None,
        };
        Ok(JsonLines { terminal, file: output.output.clone(), out, failed: None })
    }

    /// Ends the stream; an error if a write failed.
    fn end(self) -> Result<(), CliError> {
        match (self.failed, self.file) {
            (None, _) => Ok(()),
            (Some(error), Some(path)) => Err(files::unwritable(&path, error)),
            (Some(error), None) => Err(CliError::Write { what: "to stdout".to_owned(), error }),
        }
    }
}

#[async_trait]
impl EventSink for JsonLines {
    async fn take(&mut self, event: &Event, _: i64) -> Result<(), SinkLost> {
        if let Some(out) = &mut self.out
            && let Err(error) = out.write_all(format!("{}\n", live::jsonl(event)).as_bytes())
        {
            self.out = None;
            if error.kind() != ErrorKind::BrokenPipe {
                self.terminal.warn(&format!("the event stream ends here, and the run goes on: {error}"));
                self.failed = Some(error);
            }
        }
        Ok(())
    }
}

/// The live view: a bar on a terminal, or plain lines elsewhere.
struct LiveView {
    terminal: Terminal,
    live: Live,
    bar: Option<ProgressBar>,
    /// Keeps `^C` out of the bar while it is drawn.
    _silent: Option<terminal::SilentInterrupt>,
    begun: Instant,
    spoke: Instant,
}

impl LiveView {
    fn new(terminal: Terminal, begun: Instant) -> Self {
        let bar = terminal.live.then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            let template = "{bar:24} {msg}";
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(if terminal.err.unicode {
                    style.progress_chars("━╸─")
                } else {
                    style.progress_chars("#>-")
                });
            }
            bar
        });
        terminal::set_bar(bar.clone());
        let silent = bar.as_ref().and_then(|_| terminal::SilentInterrupt::new());
        LiveView { terminal, live: Live::new(terminal.err), bar, _silent: silent, begun, spoke: begun }
    }
}

impl Drop for LiveView {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
            terminal::set_bar(None);
        }
    }
}

#[async_trait]
impl EventSink for LiveView {
    async fn take(&mut self, event: &Event, _: i64) -> Result<(), SinkLost> {
        if self.terminal.quiet {
            self.live.note(event, self.begun.elapsed());
            return Ok(());
        }
        let line = self.live.line(event, self.begun.elapsed());
        match (&self.bar, line) {
            (Some(bar), line) => {
                if let Event::RunStarted(header) = event {
                    bar.set_length(header.tenants.len() as u64);
                }
                // The bar shows progress; only events that may need action get a line.
                if let Some(line) = line.filter(|_| is_notable(event)) {
                    bar.println(self.live.folded(&line));
                }
                if matches!(event, Event::TenantFinished(_)) {
                    bar.inc(1);
                }
            }
            (None, Some(line)) => self.terminal.tell(&line),
            (None, None) => {}
        }
        Ok(())
    }

    fn tick(&mut self) {
        if self.bar.is_none() && (self.terminal.quiet || self.spoke.elapsed() < HEARTBEAT) {
            return;
        }
        self.spoke = Instant::now();
        let message = self.live.progress(self.begun.elapsed());
        match &self.bar {
            Some(bar) => bar.set_message(message),
            None => self.terminal.tell(&format!("… {message}")),
        }
    }
}

fn is_notable(event: &Event) -> bool {
    match event {
        Event::TenantFinished(record) => record.outcome.standing() == Standing::Failed,
        Event::AttemptFailed { .. } | Event::Progress { .. } | Event::Draining { .. } | Event::Cancelling { .. } => {
            true
        }
        Event::RunStarted(_) | Event::WaveFinished { .. } => true,
        _ => false,
    }
}
