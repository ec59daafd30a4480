//! A run while it goes on: one plain line per event, one JSON object per event, and the state behind a progress bar.
//!
//! Fed by events only. No clock: the caller passes the time since the run began.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use serde_json::Value;

use crate::model::event::{Event, RunHeader};
use crate::model::fault::{Fault, FaultClass};
use crate::model::gate::{GateAction, GateEnd, GateRecord};
use crate::model::load::in_words;
use crate::model::outcome::{NotStarted, Outcome, Standing, TenantRecord};
use crate::model::stats::RunStats;
use crate::model::tenant::TenantId;
use crate::policy::{StopCause, format_duration};

use super::causes::Cause;
use super::outcome::{moved_text, took, total_line, why_not_started};
use super::stragglers::Durations;
use super::style::{Style, Tone, clean, shorten};
use super::{json, label, summary};

/// Follows one run. Its memory grows with the tenants in flight, not with the tenants.
#[derive(Debug, Clone)]
pub(crate) struct Live {
    style: Style,
    total: usize,
    done: usize,
    failed: usize,
    /// Each tenant in flight, and when its first attempt began.
    in_flight: BTreeMap<usize, (TenantId, Duration)>,
    /// Tenants already reported as waiting for another run.
    waiting: HashSet<usize>,
    wave: Option<String>,
    /// Its failure budget.
    budget: Option<String>,
    /// The gate that is being asked: when that began, and for how long its checks have to hold.
    gate: Option<(Duration, Duration)>,
    /// The time that the last run of this kind took for a tenant.
    usual: Option<Duration>,
    /// The least time between two starts, where the run has a rate.
    interval: Option<Duration>,
    /// The times of the tenants that are done.
    durations: Durations,
    /// The tenants in flight that were told to be stragglers.
    told: HashSet<usize>,
    /// The servers beyond a limit on their load, on which nothing new is started, each with that in words.
    over: BTreeMap<String, String>,
    /// The causes of failures and failed attempts, each with the number of its lines.
    causes: HashMap<(bool, Cause), usize>,
}

impl Live {
    /// Maximum width of an engine's message here, in columns; the report at the end shows more of it.
    const MOST_MESSAGE: usize = 240;

    /// Maximum number of lines that an event takes above a bar.
    const MOST_LINES: usize = 4;

    /// From this age on, the tenant that is longest in flight is named.
    const LONG: Duration = Duration::from_secs(5);

    /// Before the first event.
    pub(crate) fn new(style: Style) -> Self {
        Live {
            style,
            total: 0,
            done: 0,
            failed: 0,
            in_flight: BTreeMap::new(),
            waiting: HashSet::new(),
            wave: None,
            budget: None,
            gate: None,
            usual: None,
            interval: None,
            durations: Durations::default(),
            told: HashSet::new(),
            over: BTreeMap::new(),
            causes: HashMap::new(),
        }
    }

    /// With the time that the last run of this kind took for a tenant.
    pub(crate) fn expecting(self, usual: Option<Duration>) -> Self {
        Live { usual, ..self }
    }

    /// With the least time between two starts: nothing goes faster than that, whatever the last run took.
    pub(crate) fn paced(self, interval: Option<Duration>) -> Self {
        Live { interval, ..self }
    }

    /// Number of lines with the same cause that are shown one by one; after that only every tenth, hundredth and so on
    /// is, with their number. The report at the end has each cause once, with all of its tenants.
    const SAME_CAUSE: usize = 3;

    /// Takes an event and describes it in one line without a line break; `None` for an event without a line.
    pub(crate) fn line(&mut self, event: &Event, elapsed: Duration) -> Option<String> {
        let was_over = matches!(event, Event::ServerLoad { server, .. } if self.over.contains_key(server));
        self.note(event, elapsed);
        match event {
            Event::RunStarted(header) => Some(started(header)),
            Event::WaveStarted { wave, tenants, .. } => {
                Some(self.heading(&format!("wave {}: {}", clean(wave), label::count(*tenants, "tenant"))))
            }
            Event::AttemptStarted { .. } => None,
            Event::AttemptFailed { index, tenant, attempt, error, retry_in_ms } => {
                let waits = match error.class {
                    FaultClass::TenantLocked => "another run is at work on it; waiting",
                    FaultClass::TooManyConnections => {
                        "its server has no connection to spare; fewer of its tenants at once from now on"
                    }
                    _ => {
                        let rest = format_duration(Duration::from_millis(*retry_in_ms));
                        let more = self.more_of(true, Cause::of(error, tenant))?;
                        let what = format!("attempt {attempt} failed, again in {rest}: {}{more}", self.error(error));
                        return Some(self.tenant_line(tenant, &self.style.paint(Tone::Warning, what)));
                    }
                };
                // Shown once: the number of tries is of no use.
                let is_new = self.waiting.insert(*index);
                is_new.then(|| self.tenant_line(tenant, &self.style.paint(Tone::Dim, waits)))
            }
            Event::Progress { tenant, migration, statement, rows, .. } => {
                let place = statement.map(|n| format!(", statement {n}")).unwrap_or_default();
                let what = format!("{}{place}: {rows} rows so far", clean(migration));
                Some(self.tenant_line(tenant, &what))
            }
            Event::TenantFinished(record) => {
                let is_failed = record.outcome.standing() == Standing::Failed;
                let cause = record.error.as_ref().filter(|_| is_failed).map(|error| Cause::of(error, &record.tenant));
                let more = cause.map_or(Some(String::new()), |cause| self.more_of(false, cause))?;
                Some(self.tenant_line(&record.tenant, &self.finished(record)) + &more)
            }
            Event::WaveFinished { wave, stats } => {
                let how = if self.wave.as_ref() == Some(wave) { "is over" } else { "was not started" };
                Some(self.heading(&format!("wave {} {how}; so far {}", clean(wave), so_far(stats))))
            }
            Event::GateStarted { wave, soak_ms, checks } => {
                Some(self.heading(&format!("gate of wave {}: {}", clean(wave), gate_text(*soak_ms, checks))))
            }
            Event::GateFinished(gate) => {
                let took = took(Duration::from_millis(gate.took_ms));
                let tone = if gate.is_passed() { Tone::Bold } else { Tone::Bad };
                let text = format!("gate of wave {} {} ({took})", gate.wave, end_of(gate));
                Some(self.style.paint(tone, clean(&text)))
            }
            Event::WaveClosed { wave, reason, in_flight } => {
                let (why, wave) = (why_not_started(*reason, None), clean(wave));
                let what = format!(
                    "wave {wave} ends: {why}; nothing new of it is started, nor of waves that wait for it; {in_flight} in flight \
                     will finish"
                );
                Some(self.style.paint(Tone::Warning, what))
            }
            Event::RollbackDue { wave, .. } => {
                let what = format!("wave {} is taken back behind this run, by a run of its own", clean(wave));
                Some(self.style.paint(Tone::Warning, what))
            }
            Event::Draining { reason, in_flight } => {
                let why = match (&self.wave, &self.budget, reason) {
                    (Some(wave), Some(budget), NotStarted::FailureBudget) => {
                        format!("the failure budget of wave {} ({}) was used up", clean(wave), clean(budget))
                    }
                    _ => why_not_started(*reason, None),
                };
                let again = if *reason == NotStarted::Interrupted { "; Ctrl-C again cancels them" } else { "" };
                let what = format!("draining: {why}; nothing new is started, {in_flight} in flight will finish{again}");
                Some(self.style.paint(Tone::Warning, what))
            }
            Event::PauseRequested(pause) => {
                let what = format!("{}; it goes on with `runs resume`", clean(&pause.in_short()));
                Some(self.style.paint(Tone::Warning, what))
            }
            Event::HookFinished { hook, wave, tenant, took_ms, error } => {
                let of = label::of_hook(*hook, wave.as_deref(), tenant.as_ref());
                Some(match error {
                    Some(error) => self.style.paint(Tone::Warning, format!("hook {of} failed: {}", clean(error))),
                    None => format!("hook {of} {}", took(Duration::from_millis(*took_ms))),
                })
            }
            Event::OutsideWindow { wave, server, window, opens_at_ms } => {
                let opens = label::moment(*opens_at_ms);
                let of = match server {
                    Some(server) => format!("server {} of wave {}", clean(server), clean(wave)),
                    None => format!("wave {}", clean(wave)),
                };
                let what = format!("{of} waits until {opens}: its window is {}", clean(window));
                Some(self.style.paint(Tone::Warning, what))
            }
            Event::ServerLoad { turns: false, .. } => None,
            Event::ServerLoad { server, over, unkept, .. } => {
                let server = clean(server);
                let what = match (was_over, over.is_empty()) {
                    (_, false) => format!("nothing new is started on server {server}: {}", clean(&in_words(over))),
                    (true, true) => format!("server {server} is within its limits again"),
                    (false, true) => format!("server {server}: {}", clean(&in_words(unkept))),
                };
                Some(self.style.paint(Tone::Warning, what))
                    .filter(|_| was_over || !over.is_empty() || !unkept.is_empty())
            }
            Event::Overloaded(overload) => {
                let what =
                    format!("{}; it goes on with `runs resume`", clean(&StopCause::Load(overload.clone()).to_string()));
                Some(self.style.paint(Tone::Warning, what))
            }
            // The command tells them itself.
            Event::LeftOut { .. } | Event::Uncovered { .. } | Event::LateJoiners { .. } => None,
            Event::Cancelling { in_flight } => {
                Some(self.style.paint(Tone::Bad, format!("cancelling {in_flight} in flight")))
            }
            Event::RunFinished { stats } => Some(self.heading(&total_line(stats, None))),
        }
    }

    /// Takes an event without a line, for a drawn bar.
    pub(crate) fn note(&mut self, event: &Event, elapsed: Duration) {
        match event {
            Event::RunStarted(header) => self.total = header.tenants.len(),
            Event::WaveStarted { wave, max_failures, .. } => {
                (self.wave, self.budget) = (Some(wave.clone()), max_failures.clone());
            }
            Event::GateStarted { wave, soak_ms, .. } => {
                self.wave = Some(wave.clone());
                self.gate = Some((elapsed, Duration::from_millis(*soak_ms)));
            }
            Event::GateFinished(_) => self.gate = None,
            Event::ServerLoad { server, over, .. } if over.is_empty() => _ = self.over.remove(server),
            Event::ServerLoad { server, over, .. } => _ = self.over.insert(server.clone(), in_words(over)),
            Event::AttemptStarted { index, tenant, .. } => {
                self.in_flight.entry(*index).or_insert_with(|| (tenant.clone(), elapsed));
            }
            Event::TenantFinished(record) => {
                self.in_flight.remove(&record.index);
                self.waiting.remove(&record.index);
                self.told.remove(&record.index);
                self.durations.add(record);
                self.done += 1;
                self.failed += usize::from(record.outcome.standing() == Standing::Failed);
            }
            _ => {}
        }
    }

    /// The progress of the run, `elapsed` after its start, in one line without colours:
    /// `canary  37/500  2 failed  8 in flight  12/s  41s  about 2m left  longest: acme 31s`.
    #[expect(clippy::cast_precision_loss, reason = "counts of tenants are far below 2^52")]
    pub(crate) fn progress(&self, elapsed: Duration) -> String {
        let mut parts: Vec<String> = self.wave.iter().map(|w| shorten(clean(w), 24, "…").into_owned()).collect();
        parts.push(format!("{}/{}", self.done, self.total));
        let counts = [(self.failed, "failed"), (self.in_flight.len(), "in flight")];
        parts.extend(counts.into_iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")));
        // Nobody works meanwhile, so that no rate says when the rest is done.
        if let Some((began, soak)) = self.gate {
            let age = whole(elapsed.saturating_sub(began));
            parts.push(if soak.is_zero() { format!("gate: {age}") } else { format!("gate: {age} of {}", whole(soak)) });
            parts.push(took(elapsed));
            return parts.join("  ");
        }
        for (server, why) in &self.over {
            parts.push(format!("waits for {}: {}", shorten(clean(server), 24, "…"), clean(why)));
        }
        // Before the first outcome there is no rate.
        if self.done > 0 && elapsed.as_secs_f64() >= 0.1 {
            let rate = self.done as f64 / elapsed.as_secs_f64();
            parts.push(if rate < 10.0 { format!("{rate:.1}/s") } else { format!("{rate:.0}/s") });
        }
        parts.push(took(elapsed));
        let left = self.total.saturating_sub(self.done);
        let by = |time: Duration, n: usize| time.saturating_mul(u32::try_from(n).unwrap_or(u32::MAX));
        let by_rate =
            self.interval.map(|least| by(least, left.saturating_sub(self.in_flight.len()))).unwrap_or_default();
        let usual = self.usual.map(|usual| by(usual, left)).unwrap_or_default();
        // The first outcomes are no measure of the others.
        if left > 0 && self.done >= 3 && elapsed >= Self::LONG {
            let rest = elapsed.mul_f64(left as f64 / self.done as f64).max(by_rate);
            parts.push(format!("about {} left", whole(rest)));
        } else if by_rate > usual && by_rate >= Self::LONG {
            parts.push(format!("about {} left at its rate", whole(by_rate)));
        } else if usual >= Self::LONG {
            parts.push(format!("about {} left, as the last run took", whole(usual)));
        }
        if let Some((tenant, began)) = self.in_flight.values().min_by_key(|(_, began)| *began)
            && let age = elapsed.saturating_sub(*began)
            && age >= Self::LONG
        {
            let name = shorten(clean(tenant.as_str()), 24, self.style.ellipsis());
            let times = self.durations.straggles(age).map(|times| format!(", {times}")).unwrap_or_default();
            parts.push(format!("longest: {name} {}{times}", whole(age)));
        }
        parts.join("  ")
    }

    /// A line for each tenant in flight that has become a straggler since this was asked last.
    pub(crate) fn stragglers(&mut self, elapsed: Duration) -> Vec<String> {
        let is_new = |index: &usize| !self.told.contains(index);
        let found = self.in_flight.iter().filter(|(index, _)| is_new(index)).filter_map(|(&index, (tenant, began))| {
            let age = elapsed.saturating_sub(*began);
            let text = format!("straggles: at work for {}, {}", whole(age), self.durations.straggles(age)?);
            Some((index, self.tenant_line(tenant, &self.style.paint(Tone::Warning, text))))
        });
        let found: Vec<(usize, String)> = found.collect();
        found.into_iter().map(|(index, line)| (self.told.insert(index), line).1).collect()
    }

    /// Counts a line with this cause; `None` where the line is left out, else what it says of those before it.
    fn more_of(&mut self, is_attempt: bool, cause: Cause) -> Option<String> {
        let n = self.causes.entry((is_attempt, cause)).or_default();
        *n += 1;
        let is_round =
            std::iter::successors(Some(10_usize), |n| n.checked_mul(10)).take_while(|r| r <= n).any(|r| r == *n);
        match *n <= Self::SAME_CAUSE {
            true => Some(String::new()),
            false => is_round.then(|| format!("  ({n} times the same so far)")),
        }
    }

    /// A line as it stands above a bar: broken between words at the terminal's edge.
    pub(crate) fn folded(&self, line: &str) -> String {
        let options = textwrap::Options::new(self.style.columns().saturating_sub(1))
            .subsequent_indent("    ")
            .wrap_algorithm(textwrap::WrapAlgorithm::FirstFit);
        let mut lines = textwrap::wrap(line, options);
        if lines.len() > Self::MOST_LINES {
            lines.truncate(Self::MOST_LINES);
            lines.push(format!("    {}", self.style.ellipsis()).into());
        }
        lines.join("\n")
    }

    fn heading(&self, text: &str) -> String {
        self.style.paint(Tone::Bold, text)
    }

    fn tenant_line(&self, tenant: &TenantId, what: &str) -> String {
        let digits = self.total.to_string().len();
        let tenant = shorten(clean(tenant.as_str()), 60, self.style.ellipsis());
        format!("[{:>digits$}/{}] {tenant}  {what}", self.done, self.total)
    }

    fn error(&self, fault: &Fault) -> String {
        let code = fault.code.as_deref().map(|c| format!(" {c}")).unwrap_or_default();
        let text = clean(&format!("[{}{code}] {}", fault.class, fault.message));
        shorten(text, Self::MOST_MESSAGE, self.style.ellipsis()).into_owned()
    }

    fn finished(&self, r: &TenantRecord) -> String {
        let word = summary::words(r.outcome.name());
        let mut text = match &r.outcome {
            Outcome::Migrated(moved) | Outcome::RolledBack(moved) | Outcome::Stamped(moved) => {
                format!("{word} {}", moved_text(moved, &self.style))
            }
            Outcome::Refreshed { n } => format!("{word} {}", label::count(as_usize(*n), "view")),
            Outcome::Accepted { n } => format!("{word} {}", label::count(as_usize(*n), "script")),
            Outcome::Seeded { n } => format!("{word} {}", label::count(as_usize(*n), "row")),
            Outcome::Committed { n } => format!("{word}, {}", label::count(as_usize(*n), "row")),
            Outcome::BackedUp { bytes } => format!("{word}, {}", label::bytes(*bytes)),
            Outcome::Restored { bytes } => format!("{word} from {}", label::bytes(*bytes)),
            Outcome::Skipped { reason } => format!("{word}: {}", clean(reason)),
            Outcome::NotStarted { reason, waited_for } => {
                format!("{word}: {}", clean(&why_not_started(*reason, waited_for.as_ref())))
            }
            other if other.standing() == Standing::Failed => word.to_uppercase(),
            _ => word,
        };
        if let Some(at) = &r.stopped_at {
            text.push_str(&format!(" at {}", clean(&at.place())));
        }
        if let Outcome::Ahead { unknown } = &r.outcome {
            text.push_str(&format!(": {} not known to this program", label::names(unknown.iter(), 60, &self.style)));
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

/// The checks of a gate: `soak 10m, verify, http https://shop.example/health`.
pub(super) fn gate_text(soak_ms: u64, checks: &[String]) -> String {
    let soak = (soak_ms > 0).then(|| format!("soak {}", humantime::format_duration(Duration::from_millis(soak_ms))));
    let parts: Vec<String> = soak.into_iter().chain(checks.iter().map(|check| clean(check))).collect();
    if parts.is_empty() { "waits for a person".to_owned() } else { parts.join(", ") }
}

/// Tenants that came into the fleet while a run went on.
pub(super) fn late_joiners(tenants: &[TenantId], are_taken: bool) -> String {
    let end = if are_taken { "migrated behind it by a run of its own" } else { "not migrated" };
    let names = label::names(tenants.iter(), 200, &Style::FILE);
    format!("{} came into the fleet during the run, {end}: {names}", label::count(tenants.len(), "tenant"))
}

/// The end of a gate, with its values: `passed: http https://shop.example/health: 200`.
pub(super) fn end_of(gate: &GateRecord) -> String {
    let end = match (gate.end, &gate.by) {
        (GateEnd::Approved, Some(by)) => format!("approved by {by}"),
        (end, _) => json::value(end).as_str().unwrap_or_default().to_owned(),
    };
    let shown = gate.answers.iter().filter(|answer| gate.is_passed() || !answer.holds);
    let values = shown.map(ToString::to_string).collect::<Vec<_>>().join("; ");
    let colon = if values.is_empty() { "" } else { ": " };
    let pause = if gate.then == GateAction::Pause { "; the run pauses" } else { "" };
    format!("{end}{colon}{values}{pause}")
}

/// A duration in whole seconds.
fn whole(duration: Duration) -> String {
    humantime::format_duration(Duration::from_secs(duration.as_secs())).to_string()
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
    let (at_target, failures, outstanding) = (stats.at_target(), stats.failures(), stats.outstanding());
    format!("{at_target} of {} at target, {failures} failed, {outstanding} outstanding", stats.selected)
}

/// An event's name, and the event as one line of JSON.
#[cfg(feature = "serve")]
pub(crate) fn named(event: &Event) -> (String, String) {
    let name = json::value(event)["event"].as_str().unwrap_or_default().to_owned();
    (name, jsonl(event))
}

/// The line behind the last event of a run that is not at work any more: how its row in the ledger stands.
#[cfg(feature = "serve")]
pub(crate) fn ended(status: &str) -> String {
    json::line(serde_json::json!({ "event": "ended", "status": status }))
}

/// An event as one line of JSON, with `schema_version`. The list of all tenants that begins a run is left out: each of
/// them has its own line later; `selected` is their number.
pub(crate) fn jsonl(event: &Event) -> String {
    let mut fields = json::value(event);
    if let (Event::RunStarted(header), Value::Object(fields)) = (event, &mut fields) {
        fields.shift_remove("tenants");
        fields.insert("selected".to_owned(), header.tenants.len().into());
    }
    json::line(fields)
}
