//! The runs of a fleet: a list of them, and one in full.
//!
//! Its rows are plain data of its own: it does not know where they were kept.

use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::model::event::{Event, RunHeader};
use crate::model::fault::Fault;
use crate::model::outcome::TenantRecord;
use crate::model::schema::Direction;
use crate::model::started_by::StartedBy;
use crate::model::stats::RunStats;

use super::outcome::{OutcomeView, took};
use super::sheet::{Cell, Column, Sheet};
use super::style::Tone;
use super::{Format, Style, json, label, live, summary};

/// One run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RunRow {
    /// Its id.
    pub(crate) run: Uuid,
    /// Up or down.
    pub(crate) direction: Direction,
    /// The goal in words.
    pub(crate) goal: String,
    /// Whether it moved no version, so that the goal says all.
    pub(crate) is_task: bool,
    /// When it began, in milliseconds since 1970-01-01 UTC.
    pub(crate) started_at_ms: i64,
    /// When it ended; `None` when that is not recorded.
    pub(crate) finished_at_ms: Option<i64>,
    /// What the ledger says of it: `running`, `finished`.
    pub(crate) status: String,
    /// The verdict, once there is one.
    pub(crate) verdict: Option<String>,
    /// Tenants in its plan.
    pub(crate) selected: u64,
    /// Tenants that it brought, or found, where they were to be.
    pub(crate) at_target: u64,
    /// Tenants that someone must look at.
    pub(crate) failures: u64,
    /// Tenants that it did not get to.
    pub(crate) outstanding: u64,
    /// The run that it resumed.
    pub(crate) resumes: Option<Uuid>,
    /// User, host, process and command line; empty for a run of an older program.
    pub(crate) started_by: StartedBy,
    /// The flags that selected the tenants.
    pub(crate) selection: Vec<String>,
}

impl RunRow {
    /// From start to end; `None` when the end is not recorded, or the clock went back.
    pub(crate) fn elapsed(&self) -> Option<Duration> {
        let ms = self.finished_at_ms?.checked_sub(self.started_at_ms)?;
        u64::try_from(ms).ok().map(Duration::from_millis)
    }

    fn goal_text(&self) -> String {
        label::aim(self.direction, &self.goal, self.is_task)
    }

    fn result(&self) -> String {
        summary::words(self.verdict.as_deref().unwrap_or(&self.status))
    }

    fn tone(&self) -> Tone {
        match self.verdict.as_deref() {
            Some("all_at_target") => Tone::Good,
            _ if self.failures > 0 => Tone::Bad,
            _ => Tone::Warning,
        }
    }

    fn fields(&self) -> Value {
        json!({
            "run": self.run, "direction": self.direction, "goal": self.goal,
            "started_at": label::moment(self.started_at_ms), "started_at_ms": self.started_at_ms,
            "finished_at": self.finished_at_ms.map(label::moment), "finished_at_ms": self.finished_at_ms,
            "status": self.status, "verdict": self.verdict,
            "selected": self.selected, "at_target": self.at_target, "failures": self.failures,
            "outstanding": self.outstanding, "resumes": self.resumes,
            "started_by": self.started_by, "selection": self.selection,
        })
    }
}

/// The list of runs, in the order given.
pub(crate) fn list(runs: &[RunRow], format: Format, style: &Style) -> String {
    let table = || if runs.is_empty() { "no runs yet\n".to_owned() } else { sheet(runs).table(style) };
    format.write(table, || json!({ "runs": runs.iter().map(RunRow::fields).collect::<Vec<_>>() }), || sheet(runs))
}

fn sheet(runs: &[RunRow]) -> Sheet {
    let row = |r: &RunRow| -> [Cell; 10] {
        [
            r.run.into(),
            label::moment(r.started_at_ms).into(),
            r.elapsed().map(took).unwrap_or_default().into(),
            r.goal_text().into(),
            Cell::from(r.result()).tone(r.tone()),
            format!("{}/{}", r.at_target, r.selected).into(),
            r.selected.into(),
            r.at_target.into(),
            Cell::from(r.failures).tone(if r.failures > 0 { Tone::Bad } else { Tone::Plain }),
            r.outstanding.into(),
        ]
    };
    Sheet::new([
        Column::new("Run"),
        Column::new("Started").expendable(1),
        Column::screen("Took").right().expendable(5),
        Column::new("Goal").at_least(14).expendable(3),
        Column::new("Result"),
        Column::screen("OK").right().expendable(2),
        Column::data("Selected"),
        Column::data("At target"),
        Column::new("Failed").key("failures").right().expendable(4),
        Column::data("Outstanding"),
    ])
    .rows(runs.iter().map(row))
}

/// One try of one tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct AttemptRow {
    /// The tenant.
    pub(crate) tenant: String,
    /// 1 for the first.
    pub(crate) attempt: u32,
    /// When it began, in milliseconds since 1970-01-01 UTC, where that is recorded.
    pub(crate) started_at_ms: Option<i64>,
    /// What went wrong; `None` for one that ended well or whose end is not recorded.
    pub(crate) error: Option<Fault>,
}

/// One run in full.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RunView<'a> {
    /// Its row in the list.
    pub(crate) row: &'a RunRow,
    /// What was known when it began.
    pub(crate) header: &'a RunHeader,
    /// The outcomes that are recorded, in plan order.
    pub(crate) records: &'a [TenantRecord],
    /// Their counts.
    pub(crate) stats: &'a RunStats,
    /// The attempts that are recorded.
    pub(crate) attempts: &'a [AttemptRow],
    /// The waves, the moments at which it was asked to stop, and the latest progress of tenants, with their times.
    pub(crate) events: &'a [(i64, Event)],
    /// The command line that goes on with it, or runs its failures again.
    pub(crate) rerun: Option<&'a str>,
}

impl RunView<'_> {
    /// The run in the form asked for. CSV and Markdown are those of its outcomes.
    pub(crate) fn render(&self, format: Format, style: &Style) -> String {
        match format {
            Format::Table => self.text(style),
            Format::Csv | Format::Md | Format::Junit => self.outcome().render(format, style),
            Format::Json | Format::Jsonl => self.json(),
        }
    }

    /// The run as the report of its end shows it.
    pub(crate) fn outcome(&self) -> OutcomeView<'_> {
        OutcomeView {
            header: self.header,
            records: self.records,
            stats: self.stats,
            elapsed: self.row.elapsed(),
            scripts: &[],
            rerun: self.rerun,
        }
    }

    fn text(&self, style: &Style) -> String {
        let r = self.row;
        let finished = match r.finished_at_ms {
            Some(ms) => label::moment(ms),
            None if r.status == "running" => "it goes on".to_owned(),
            None => "its end is not recorded".to_owned(),
        };
        let mut sheet = Sheet::new([Column::new(""), Column::new("").at_least(20)]);
        let mut line = |name: &str, value: String| {
            if !value.is_empty() {
                sheet.row([Cell::from(name).tone(Tone::Dim), value.into()]);
            }
        };
        line("run", r.run.to_string());
        line("goal", r.goal_text());
        line("started", label::moment(r.started_at_ms));
        line("finished", finished);
        line("status", summary::words(&r.status));
        line("verdict", r.verdict.as_deref().map(summary::words).unwrap_or_default());
        line("resumes", r.resumes.map(|run| run.to_string()).unwrap_or_default());
        line("backups", self.header.kind.backups().unwrap_or_default().to_owned());
        line("program", self.header.program.clone());
        let by = &r.started_by;
        if !by.host.is_empty() {
            line("started by", format!("{} on {}, process {}", by.user, by.host, by.process.id));
        }
        line("command", by.command.clone());
        for (place, (at_ms, event)) in self.events.iter().enumerate() {
            let (name, text) = moment_of_run(event, &self.events[..place]);
            line(name, format!("{} {text}", label::moment(*at_ms)));
        }
        let mut out = sheet.table(style) + "\n";
        let failed: Vec<&AttemptRow> = self.attempts.iter().filter(|a| a.error.is_some()).collect();
        if !failed.is_empty() {
            out.push_str(&attempts_text(&failed, style));
            out.push('\n');
        }
        out + &self.outcome().render(Format::Table, style)
    }

    fn json(&self) -> String {
        let mut fields = self.outcome().fields();
        for (key, value) in self.row.fields().as_object().into_iter().flatten() {
            fields[key.as_str()] = value.clone();
        }
        if let Some(folder) = self.header.kind.backups() {
            fields["backups"] = folder.into();
        }
        fields["attempts"] = json::value(self.attempts);
        let event = |(at_ms, event): &(i64, Event)| json!({ "at_ms": at_ms, "event": event });
        fields["events"] = self.events.iter().map(event).collect();
        json::document(fields)
    }
}

/// A recorded event in words: its kind, and the rest. `before`: the events up to it.
fn moment_of_run(event: &Event, before: &[(i64, Event)]) -> (&'static str, String) {
    let began =
        |name: &str| before.iter().any(|(_, event)| matches!(event, Event::WaveStarted { wave, .. } if wave == name));
    match event {
        Event::WaveStarted { wave, tenants } => {
            ("wave", format!("{wave} began with {}", label::count(*tenants, "tenant")))
        }
        // Each tenant of a wave that was skipped has its outcome, and so the wave has its end.
        Event::WaveFinished { wave, .. } if !began(wave) => ("wave", format!("{wave} was not started")),
        Event::WaveFinished { wave, stats } => {
            ("wave", format!("{wave} ended; {} of {} at target so far", stats.at_target(), stats.selected))
        }
        Event::Progress { tenant, migration, rows, .. } => ("progress", format!("{tenant}: {migration}, {rows} rows")),
        Event::Draining { in_flight, .. } => ("stop", format!("nothing new was started; {in_flight} in flight")),
        Event::Cancelling { in_flight } => ("stop", format!("{in_flight} in flight were cancelled")),
        other => ("event", live::jsonl(other)),
    }
}

/// Attempts that failed; one that ended well is told by the tenant's outcome.
fn attempts_text(failed: &[&AttemptRow], style: &Style) -> String {
    const LINES: usize = 50;
    let row = |a: &&AttemptRow| -> [Cell; 4] {
        let started = a.started_at_ms.map(label::moment).unwrap_or_default();
        let error = a.error.as_ref().map(ToString::to_string).unwrap_or_default();
        [(&a.tenant).into(), a.attempt.into(), started.into(), error.into()]
    };
    let sheet = Sheet::new([
        Column::new("Failed attempts").at_least(16),
        Column::new("No").right(),
        Column::new("Started").expendable(1),
        Column::new("Error").at_least(24),
    ]);
    let mut out = sheet.rows(failed.iter().take(LINES).map(row)).table(style);
    if failed.len() > LINES {
        let more = failed.len() - LINES;
        out.push_str(&format!("{} {more} more failed attempts; --format json has all\n", style.ellipsis()));
    }
    out
}
