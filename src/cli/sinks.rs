//! The sinks of a run's events: its records, the JSON lines, and the live view.
//!
//! The ledger is a sink of its own, in its room.

use std::collections::HashMap;
use std::io::{ErrorKind, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::args::RunOutput;
use super::exit::CliError;
use super::files;
use super::pace::Pace;
use super::terminal::{self, Terminal};
use crate::model::event::Event;
use crate::model::gate::{GateEnd, GateRecord};
use crate::model::outcome::{Standing, TenantRecord};
use crate::model::pause::Pause;
use crate::model::sink::{EventSink, SinkLost};
use crate::report::Format;
use crate::report::live::{self, Live};

/// The interval of progress lines in a run without a terminal.
const HEARTBEAT: Duration = Duration::from_secs(30);

/// The outcomes of a run with their times, its other events as the ledger keeps them, and the gate that ended it.
#[derive(Default)]
pub(super) struct Records {
    outcomes: Vec<TenantRecord>,
    pub(super) events: Vec<(i64, Event)>,
    pub(super) ended_at_ms: HashMap<usize, i64>,
    /// The last gate that did not let the run on; one that failed rather than one that waits for a person.
    pub(super) gate: Option<GateRecord>,
    /// The person's request at which it paused.
    pub(super) pause: Option<Pause>,
}

impl Records {
    pub(super) fn in_plan_order(mut self) -> Vec<TenantRecord> {
        self.outcomes.sort_by_key(|record| record.index);
        self.outcomes
    }
}

#[async_trait]
impl EventSink for Records {
    async fn take(&mut self, event: &Event, at_ms: i64) -> Result<(), SinkLost> {
        if let Event::GateFinished(gate) = event
            && gate.reason().is_some()
            && (gate.end == GateEnd::Failed || self.gate.as_ref().is_none_or(|known| known.end != GateEnd::Failed))
        {
            self.gate = Some(gate.clone());
        }
        if let Event::PauseRequested(pause) = event {
            self.pause = Some(pause.clone());
        }
        match event {
            Event::TenantFinished(record) => {
                self.ended_at_ms.insert(record.index, at_ms);
                self.outcomes.push(record.clone());
            }
            Event::RunStarted(_)
            | Event::AttemptStarted { .. }
            | Event::AttemptFailed { .. }
            | Event::Progress { .. }
            | Event::ServerLoad { turns: false, .. }
            | Event::RunFinished { .. } => {}
            event => self.events.push((at_ms, event.clone())),
        }
        Ok(())
    }
}

/// The stream of `--format jsonl`; closed where another format was requested, once its reader is gone, and once a write
/// failed.
pub(super) struct JsonLines {
    terminal: Terminal,
    file: Option<PathBuf>,
    out: Option<Box<dyn Write + Send>>,
    failed: Option<std::io::Error>,
}

impl JsonLines {
    pub(super) fn open(terminal: Terminal, output: &RunOutput) -> Result<Self, CliError> {
        let out: Option<Box<dyn Write + Send>> = match (output.format, &output.output) {
            (Format::Jsonl, None) => Some(Box::new(terminal::stdout())),
            (Format::Jsonl, Some(path)) => Some(Box::new(files::stream(path)?)),
            _ => None,
        };
        Ok(JsonLines { terminal, file: output.output.clone(), out, failed: None })
    }

    /// Ends the stream; an error if a write failed.
    pub(super) fn end(self) -> Result<(), CliError> {
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
pub(super) struct LiveView {
    terminal: Terminal,
    live: Live,
    bar: Option<ProgressBar>,
    /// Keeps `^C` out of the bar while it is drawn.
    _silent: Option<terminal::SilentInterrupt>,
    begun: Instant,
    spoke: Instant,
}

impl LiveView {
    pub(super) fn new(terminal: Terminal, begun: Instant, pace: Pace) -> Self {
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
        let live = Live::new(terminal.err).expecting(pace.usual).paced(pace.interval);
        LiveView { terminal, live, bar, _silent: silent, begun, spoke: begun }
    }

    /// Takes an event of this time after the start of the run without a line of its own.
    pub(super) fn note(&mut self, event: &Event, elapsed: Duration) {
        self.live.note(event, elapsed);
        if let (Some(bar), Event::TenantFinished(_)) = (&self.bar, event) {
            bar.inc(1);
        }
    }

    /// Shows an event of this time after the start of the run.
    pub(super) fn show(&mut self, event: &Event, elapsed: Duration) {
        // Nothing else tells of such a hook: it changes no outcome.
        let is_failed_hook = matches!(event, Event::HookFinished { error: Some(_), .. });
        if self.terminal.quiet && !is_failed_hook {
            return self.note(event, elapsed);
        }
        let line = self.live.line(event, elapsed);
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
    }

    /// Shows the progress: on a bar each time, in lines now and then, or now.
    pub(super) fn tick_now(&mut self, now: bool) {
        let elapsed = self.begun.elapsed();
        for line in self.live.stragglers(elapsed).into_iter().filter(|_| !self.terminal.quiet) {
            match &self.bar {
                Some(bar) => bar.println(self.live.folded(&line)),
                None => self.terminal.tell(&line),
            }
        }
        if self.bar.is_none() && (self.terminal.quiet || (!now && self.spoke.elapsed() < HEARTBEAT)) {
            return;
        }
        self.spoke = Instant::now();
        let message = self.live.progress(elapsed);
        match &self.bar {
            Some(bar) => bar.set_message(message),
            None => self.terminal.tell(&format!("… {message}")),
        }
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
        self.show(event, self.begun.elapsed());
        Ok(())
    }

    fn tick(&mut self) {
        self.tick_now(false);
    }
}

fn is_notable(event: &Event) -> bool {
    match event {
        Event::TenantFinished(record) => record.outcome.standing() == Standing::Failed,
        Event::AttemptFailed { .. } | Event::Progress { .. } | Event::Draining { .. } | Event::Cancelling { .. } => {
            true
        }
        Event::OutsideWindow { .. } | Event::HookFinished { error: Some(_), .. } => true,
        Event::ServerLoad { .. } | Event::Overloaded(_) => true,
        Event::RunStarted(_) | Event::WaveFinished { .. } | Event::GateStarted { .. } | Event::GateFinished(_) => true,
        Event::RollbackDue { .. } | Event::WaveClosed { .. } | Event::PauseRequested(_) => true,
        _ => false,
    }
}
