//! A run while it goes on: one plain line an event, one JSON object an event, and the state behind a progress bar.
//!
//! Fed by events only. No clock: how much time has passed is told from outside.

use std::collections::HashSet;
use std::time::Duration;

use serde_json::Value;

use crate::model::event::{Event, RunHeader};
use crate::model::fault::{Fault, FaultClass};
use crate::model::outcome::{Outcome, Standing, TenantRecord};
use crate::model::stats::RunStats;
use crate::model::tenant::TenantId;
use crate::policy::format_duration;

use super::outcome::{moved_text, not_started_text, took, total_line, why_not_started};
use super::style::{Style, Tone, clean, shorten};
use super::{json, label, summary};

/// Follows one run. Its memory grows with the tenants in flight, not with the tenants.
#[derive(Debug, Clone)]
pub(crate) struct Live {
    style: Style,
    total: usize,
    done: usize,
    failed: usize,
    in_flight: HashSet<usize>,
    /// Tenants that were said to wait for another run.
    waiting: HashSet<usize>,
    wave: Option<String>,
}

impl Live {
    /// Messages of engines are cut to so many columns here; the report at the end has more of them.
    const MOST_MESSAGE: usize = 240;

    /// Before the first event.
    pub(crate) fn new(style: Style) -> Self {
        Live { style, total: 0, done: 0, failed: 0, in_flight: HashSet::new(), waiting: HashSet::new(), wave: None }
    }

    /// Takes note of an event and says it in one line without a line break; `None` for what is not worth a line.
    pub(crate) fn line(&mut self, event: &Event) -> Option<String> {
        self.note(event);
        match event {
            Event::RunStarted(header) => Some(started(header)),
            Event::WaveStarted { wave, tenants } => {
                Some(self.heading(&format!("wave {}: {}", clean(wave), label::count(*tenants, "tenant"))))
            }
            Event::AttemptStarted { .. } => None,
            Event::AttemptFailed { index, tenant, error, .. } if error.class == FaultClass::TenantLocked => {
                // Said once: how often it is asked for is of no use to anyone.
                let what = self.style.paint(Tone::Dim, "another run is at work on it; waiting");
                self.waiting.insert(*index).then(|| self.tenant_line(tenant, &what))
            }
            Event::AttemptFailed { index, tenant, error, .. } if error.class == FaultClass::TooManyConnections => {
                let what = "its server has no connection to spare; fewer of its tenants at once from now on";
                let what = self.style.paint(Tone::Dim, what);
                self.waiting.insert(*index).then(|| self.tenant_line(tenant, &what))
            }
            Event::AttemptFailed { tenant, attempt, error, retry_in_ms, .. } => {
                let rest = format_duration(Duration::from_millis(*retry_in_ms));
                let what = format!("attempt {attempt} failed, again in {rest}: {}", self.error(error));
                Some(self.tenant_line(tenant, &self.style.paint(Tone::Warning, &what)))
            }
            Event::Progress { tenant, migration, statement, rows, .. } => {
                let place = statement.map(|n| format!(", statement {n}")).unwrap_or_default();
                let what = format!("{}{place}: {rows} rows so far", clean(migration));
                Some(self.tenant_line(tenant, &what))
            }
            Event::TenantFinished(record) => Some(self.tenant_line(&record.tenant, &self.finished(record))),
            Event::WaveFinished { wave, stats } => {
                let how = if self.wave.as_ref() == Some(wave) { "is over" } else { "was not started" };
                Some(self.heading(&format!("wave {} {how}; so far {}", clean(wave), so_far(stats))))
            }
            Event::Draining { reason, in_flight } => Some(self.style.paint(
                Tone::Warning,
                &format!(
                    "draining: {}; nothing new is started, {in_flight} in flight will finish",
                    why_not_started(*reason)
                ),
            )),
            Event::Cancelling { in_flight } => {
                Some(self.style.paint(Tone::Bad, &format!("cancelling {in_flight} in flight")))
            }
            Event::RunFinished { stats } => Some(self.heading(&total_line(stats, None))),
        }
    }

    /// Takes note of an event without a word, for where a bar is drawn.
    pub(crate) fn note(&mut self, event: &Event) {
        match event {
            Event::RunStarted(header) => self.total = header.tenants.len(),
            Event::WaveStarted { wave, .. } => self.wave = Some(wave.clone()),
            Event::AttemptStarted { index, .. } => {
                self.in_flight.insert(*index);
            }
            Event::TenantFinished(record) => {
                self.in_flight.remove(&record.index);
                self.waiting.remove(&record.index);
                self.done += 1;
                self.failed += usize::from(record.outcome.standing() == Standing::Failed);
            }
            _ => {}
        }
    }

    /// Where the run is, `elapsed` after it began.
    pub(crate) fn progress(&self, elapsed: Duration) -> Progress {
        Progress {
            done: self.done,
            total: self.total,
            failed: self.failed,
            in_flight: self.in_flight.len(),
            wave: self.wave.clone(),
            elapsed,
        }
    }

    fn heading(&self, text: &str) -> String {
        self.style.paint(Tone::Bold, text)
    }

    fn tenant_line(&self, tenant: &TenantId, what: &str) -> String {
        let digits = self.total.to_string().len();
        let tenant = shorten(&clean(tenant.as_str()), 60, self.style.ellipsis());
        format!("[{:>digits$}/{}] {tenant}  {what}", self.done, self.total)
    }

    fn error(&self, fault: &Fault) -> String {
        let code = fault.code.as_deref().map(|c| format!(" {c}")).unwrap_or_default();
        let text = clean(&format!("[{}{code}] {}", fault.class, fault.message));
        shorten(&text, Self::MOST_MESSAGE, self.style.ellipsis())
    }

    fn finished(&self, r: &TenantRecord) -> String {
        let mut text = match (&r.outcome, r.outcome.standing()) {
            (Outcome::Migrated(moved) | Outcome::RolledBack(moved), _) => {
                format!("{} {}", summary::words(r.outcome.name()), moved_text(moved, &self.style))
            }
            (Outcome::Refreshed { n }, _) => format!("refreshed {}", label::count(as_usize(*n), "view")),
            (Outcome::Accepted { n }, _) => format!("accepted {}", label::count(as_usize(*n), "script")),
            (Outcome::Seeded { n }, _) => format!("seeded {}", label::count(as_usize(*n), "row")),
            (Outcome::BackedUp { bytes }, _) => format!("backed up, {}", label::bytes(*bytes)),
            (Outcome::Restored { bytes }, _) => format!("restored from {}", label::bytes(*bytes)),
            (Outcome::Skipped { reason }, _) => format!("skipped: {}", clean(reason)),
            (Outcome::NotStarted { reason, waited_for }, _) => {
                format!("not started: {}", clean(&not_started_text(*reason, waited_for.as_ref())))
            }
            (other, Standing::Failed) => summary::words(other.name()).to_uppercase(),
            (other, _) => summary::words(other.name()),
        };
        if let Some(at) = &r.stopped_at {
            text.push_str(&format!(" at {}", clean(&at.place())));
        }
        if let Outcome::Ahead { unknown } = &r.outcome {
            text.push_str(&format!(": {} not known to this program", label::names(unknown, 60, &self.style)));
        }
        if let Some(error) = &r.error {
            text.push_str(&format!(": {}", self.error(error)));
        }
        if r.attempts > 1 {
            text.push_str(&format!("  {} attempts", r.attempts));
        }
        if r.attempts > 0 {
            text.push_str(&format!("  {}", took(r.duration)));
        }
        let tone = match r.outcome.standing() {
            Standing::Failed => Tone::Bad,
            Standing::Outstanding => Tone::Warning,
            Standing::AtTarget if r.outcome == Outcome::UpToDate => Tone::Dim,
            Standing::AtTarget => Tone::Good,
        };
        self.style.paint(tone, &text)
    }
}

fn as_usize(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

fn started(h: &RunHeader) -> String {
    let mut waves: Vec<&str> = h.tenants.iter().map(|t| t.wave.as_str()).collect();
    waves.dedup();
    let resumes = h.resumes.map(|run| format!(", resumes {run}")).unwrap_or_default();
    let (tenants, waves) = (label::count(h.tenants.len(), "tenant"), label::count(waves.len(), "wave"));
    let aim = label::aim(h.direction, &h.goal, h.kind.is_task());
    format!("run {}: {aim}, {tenants} in {waves}{resumes}", h.run)
}

fn so_far(stats: &RunStats) -> String {
    format!(
        "{} of {} at target, {} failed, {} outstanding",
        stats.at_target(),
        stats.selected,
        stats.failures(),
        stats.outstanding()
    )
}

/// An event as one line of JSON, with `schema_version`. The list of all tenants that begins a run is left out: each of
/// them has its own line later; `selected` says how many there are.
pub(crate) fn jsonl(event: &Event) -> String {
    let mut fields = json::value(event);
    if let (Event::RunStarted(header), Value::Object(fields)) = (event, &mut fields) {
        fields.shift_remove("tenants");
        fields.insert("selected".to_owned(), header.tenants.len().into());
    }
    json::line(fields)
}

/// Where a run is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Progress {
    /// Tenants with an outcome.
    pub(crate) done: usize,
    /// Tenants in the plan.
    pub(crate) total: usize,
    /// Tenants that someone must look at.
    pub(crate) failed: usize,
    /// Tenants that are being worked on, or rest between two attempts.
    pub(crate) in_flight: usize,
    /// The wave that began last.
    pub(crate) wave: Option<String>,
    /// Since the run began.
    pub(crate) elapsed: Duration,
}

impl Progress {
    /// Outcomes a second since the run began; `None` before there is anything to tell from.
    #[expect(clippy::cast_precision_loss, reason = "counts of tenants are far below 2^52")]
    pub(crate) fn rate(&self) -> Option<f64> {
        let seconds = self.elapsed.as_secs_f64();
        (self.done > 0 && seconds >= 0.1).then(|| self.done as f64 / seconds)
    }

    /// One line without colours: `canary  37/500  2 failed  8 in flight  12.4/s  3.0s`.
    pub(crate) fn message(&self) -> String {
        let mut parts: Vec<String> = self.wave.iter().map(|w| shorten(&clean(w), 24, "…")).collect();
        parts.push(format!("{}/{}", self.done, self.total));
        if self.failed > 0 {
            parts.push(format!("{} failed", self.failed));
        }
        if self.in_flight > 0 {
            parts.push(format!("{} in flight", self.in_flight));
        }
        parts.extend(self.rate().map(|r| if r < 10.0 { format!("{r:.1}/s") } else { format!("{r:.0}/s") }));
        parts.push(took(self.elapsed));
        parts.join("  ")
    }
}
