//! The runs of a fleet: a list of them, and one in full.

use serde_json::{Value, json};

use crate::model::approval::Approval;
use crate::model::event::Event;
use crate::model::run_summary::{AttemptRow, RunStatus, RunSummary};
use crate::model::stats::{RunStats, Verdict};

use super::outcome::{OutcomeView, took};
use super::sheet::{Cell, Column, Sheet};
use super::style::{Tone, clean};
use super::{Format, Style, json, label, live, summary};

/// A run with its known counts.
struct Row<'a> {
    run: &'a RunSummary,
    stats: RunStats,
    status: &'static str,
}

impl Row<'_> {
    fn goal(&self) -> String {
        label::aim(self.run.direction, &self.run.goal, self.run.kind.is_task())
    }

    /// The verdict, once there is one.
    fn verdict(&self) -> Option<Verdict> {
        self.run.finished_at_ms.and(self.run.stats).map(|stats| stats.verdict())
    }

    fn verdict_text(&self) -> Option<String> {
        Some(summary::words(json::value(self.verdict()?).as_str()?))
    }

    fn tone(&self) -> Tone {
        match self.verdict() {
            Some(Verdict::AllAtTarget) => Tone::Good,
            _ if self.stats.failures() > 0 => Tone::Bad,
            _ => Tone::Warning,
        }
    }

    fn outstanding(&self) -> usize {
        match self.run.status() {
            RunStatus::Finished => self.stats.outstanding(),
            _ => self.run.selected - self.run.with_outcome,
        }
    }

    fn fields(&self) -> Value {
        let r = self.run;
        json!({
            "run": r.run, "direction": r.direction, "goal": r.goal,
            "started_at": label::moment(r.started_at_ms), "started_at_ms": r.started_at_ms,
            "finished_at": r.finished_at_ms.map(label::moment), "finished_at_ms": r.finished_at_ms,
            "status": self.status, "verdict": self.verdict(),
            "selected": r.selected, "at_target": self.stats.at_target(), "failures": self.stats.failures(),
            "outstanding": self.outstanding(), "resumes": r.resumes,
            "started_by": r.started_by, "selection": r.selection,
        })
    }
}

/// The list of runs, in the order given.
pub(crate) fn list(runs: &[RunSummary], format: Format, style: &Style) -> String {
    let resumed = |run: &RunSummary| runs.iter().any(|other| other.resumes == Some(run.run));
    let row = |run| Row {
        run,
        stats: run.stats.unwrap_or_default(),
        status: match run.status() {
            RunStatus::Dead | RunStatus::Unfinished if resumed(run) => "resumed later",
            status => status.into(),
        },
    };
    let rows: Vec<Row<'_>> = runs.iter().map(row).collect();
    let table = || if rows.is_empty() { "no runs yet\n".to_owned() } else { sheet(&rows).table(style) };
    format.write(table, || json!({ "runs": rows.iter().map(Row::fields).collect::<Vec<_>>() }), || sheet(&rows))
}

fn sheet(rows: &[Row<'_>]) -> Sheet {
    let failures = |row: &&Row<'_>| {
        let failures = row.stats.failures();
        Cell::from(failures).tone(if failures > 0 { Tone::Bad } else { Tone::Plain })
    };
    Sheet::of(rows)
        .column("Run", |row| row.run.run)
        .column(Column::new("Started").expendable(1), |row| label::moment(row.run.started_at_ms))
        .column(Column::screen("Took").right().expendable(5), |row| Cell::maybe(row.run.elapsed().map(took)))
        .column(Column::new("Goal").at_least(14).expendable(3), |row| row.goal())
        .column("Result", |row| {
            Cell::from(row.verdict_text().unwrap_or_else(|| row.status.to_owned())).tone(row.tone())
        })
        .column(Column::screen("OK").right().expendable(2), |row| {
            format!("{}/{}", row.stats.at_target(), row.run.selected)
        })
        .column(Column::data("Selected"), |row| row.run.selected)
        .column(Column::data("At target"), |row| row.stats.at_target())
        .column(Column::new("Failed").key("failures").right().expendable(4), failures)
        .column(Column::data("Outstanding"), |row| row.outstanding())
        .sheet()
}

/// One run in full.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RunView<'a> {
    /// The ledger's row of it.
    pub(crate) run: &'a RunSummary,
    /// The outcomes that are recorded, as the report of a run's end shows them.
    pub(crate) outcome: OutcomeView<'a>,
    /// The approvals of its plan.
    pub(crate) approvals: &'a [Approval],
    /// The attempts that are recorded.
    pub(crate) attempts: &'a [AttemptRow],
    /// The waves, the requests to stop it, and the latest progress of tenants, with their times.
    pub(crate) events: &'a [(i64, Event)],
}

impl RunView<'_> {
    /// The run in the form asked for. CSV and Markdown are those of its outcomes.
    pub(crate) fn render(&self, format: Format, style: &Style) -> String {
        match format {
            Format::Table => self.text(style),
            Format::Csv | Format::Md | Format::Junit => self.outcome.render(format, style),
            _ => self.json(),
        }
    }

    fn row(&self) -> Row<'_> {
        Row { run: self.run, stats: *self.outcome.stats, status: self.run.status().into() }
    }

    fn text(&self, style: &Style) -> String {
        let (row, r, by) = (self.row(), self.run, &self.run.started_by);
        let finished = match r.finished_at_ms {
            Some(ms) => label::moment(ms),
            None if r.status() == RunStatus::Running => "it goes on".to_owned(),
            None => "its end is not recorded".to_owned(),
        };
        let started_by = format!("{} on {}, process {}", by.user, by.host, by.process.id);
        let head = [
            ("run", r.run.to_string()),
            ("goal", row.goal()),
            ("started", label::moment(r.started_at_ms)),
            ("finished", finished),
            ("status", row.status.to_owned()),
            ("verdict", row.verdict_text().unwrap_or_default()),
            ("resumes", r.resumes.map(|run| run.to_string()).unwrap_or_default()),
            ("backups", self.outcome.header.kind.backups().unwrap_or_default().to_owned()),
            ("plan", r.kind.plan().unwrap_or_default().to_owned()),
            ("program", self.outcome.header.program.clone()),
            ("started by", if by.host.is_empty() { String::new() } else { started_by }),
            ("command", by.command.clone()),
        ];
        let events = self.events.iter().enumerate().map(|(place, (at_ms, event))| {
            let (name, text) = moment_of_run(event, &self.events[..place]);
            (name, format!("{} {text}", label::moment(*at_ms)))
        });
        let approved = self.approvals.iter().map(|of| {
            let at = label::moment(of.at_ms);
            ("approved", format!("{at} by {}, recorded by {} on {}", clean(&of.by), of.origin.user, of.origin.host))
        });
        let lines = head.into_iter().filter(|(_, value)| !value.is_empty()).chain(approved).chain(events);
        let row = |(name, value): (_, String)| [Cell::fixed(name).tone(Tone::Dim), value.into()];
        let sheet = Sheet::new([Column::new(""), Column::new("").at_least(20)]).rows(lines.map(row));
        let parts = [sheet.table(style), self.failed_attempts(style), self.outcome.render(Format::Table, style)];
        parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n")
    }

    fn json(&self) -> String {
        let mut fields = self.outcome.fields();
        for (key, value) in self.row().fields().as_object().into_iter().flatten() {
            fields[key.as_str()] = value.clone();
        }
        if let Some(folder) = self.outcome.header.kind.backups() {
            fields["backups"] = folder.into();
        }
        if let Some(digest) = self.run.kind.plan() {
            let approval = |of: &Approval| json!({ "by": of.by, "at": label::moment(of.at_ms), "at_ms": of.at_ms, "recorded_by": of.origin });
            let approvals = self.approvals.iter().map(approval).collect::<Vec<_>>();
            fields["plan"] = json!({ "digest": digest, "approvals": approvals });
        }
        let attempt = |a: &AttemptRow| json!({ "tenant": self.tenant(a), "attempt": a.attempt, "started_at_ms": a.started_at_ms, "error": a.error });
        fields["attempts"] = self.attempts.iter().map(attempt).collect();
        let event = |(at_ms, event): &(i64, Event)| json!({ "at_ms": at_ms, "event": event });
        fields["events"] = self.events.iter().map(event).collect();
        json::document(fields)
    }

    fn tenant(&self, attempt: &AttemptRow) -> &str {
        self.outcome.header.tenants.get(attempt.index).map_or("", |planned| planned.tenant.as_str())
    }

    /// The failed attempts; a successful one shows in the tenant's outcome.
    fn failed_attempts(&self, style: &Style) -> String {
        const LINES: usize = 50;
        let failed: Vec<&AttemptRow> = self.attempts.iter().filter(|a| a.error.is_some()).collect();
        if failed.is_empty() {
            return String::new();
        }
        let sheet = Sheet::of(failed.iter().take(LINES))
            .column(Column::new("Failed attempts").at_least(16), |a| self.tenant(a))
            .column(Column::new("No").right(), |a| a.attempt)
            .column(Column::new("Started").expendable(1), |a| label::moment(a.started_at_ms))
            .column(Column::new("Error").at_least(24), |a| Cell::maybe(a.error.as_ref()))
            .sheet();
        let more = label::more(failed.len(), LINES, " failed attempts; --format json has all", style);
        sheet.table(style) + &more.map(|more| more + "\n").unwrap_or_default()
    }
}

/// A recorded event in words: its kind, and the rest. `before`: the events up to it.
fn moment_of_run(event: &Event, before: &[(i64, Event)]) -> (&'static str, String) {
    let began =
        |name: &str| before.iter().any(|(_, event)| matches!(event, Event::WaveStarted { wave, .. } if wave == name));
    match event {
        Event::WaveStarted { wave, tenants, .. } => {
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
