//! The runs of a fleet: a list of them, and one in full.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use serde_json::{Value, json};
use uuid::Uuid;

use crate::model::approval::Approval;
use crate::model::event::Event;
use crate::model::outcome::TenantRecord;
use crate::model::pause::Pause;
use crate::model::run_summary::{AttemptRow, RunStatus, RunSummary};
use crate::model::shared::RunnerRow;
use crate::model::stats::Verdict;
use crate::model::tenant::TenantId;
use crate::policy::{StopCause, format_duration};

use super::causes::group_by;
use super::outcome::{OutcomeView, Page, took, version_before, version_text};
use super::sheet::{Cell, Column, Sheet};
use super::stragglers::Durations;
use super::style::{Tone, clean};
use super::waves::{self, WaveRow};
use super::{Format, Style, json, label, live, summary};

/// A run with its known counts.
pub(super) struct Row<'a> {
    pub(super) run: &'a RunSummary,
    pub(super) status: &'static str,
}

impl Row<'_> {
    pub(super) fn goal(&self) -> String {
        label::aim(self.run.direction, &self.run.goal, self.run.kind.is_task())
    }

    /// The verdict, once there is one.
    fn verdict(&self) -> Option<Verdict> {
        self.run.finished_at_ms.and(self.run.stats).map(|stats| stats.verdict())
    }

    pub(super) fn verdict_text(&self) -> Option<String> {
        Some(summary::words(json::value(self.verdict()?).as_str()?))
    }

    /// The verdict; that a run paused, which is not over for its operator; or its state.
    fn result_text(&self) -> String {
        match (self.run.stats.and_then(|stats| stats.stopped), self.run.waits()) {
            (_, true) => "paused".to_owned(),
            (Some(stopped), _) if stopped.is_pause() && self.run.taken_back => "paused, taken back later".to_owned(),
            (Some(stopped), _) if stopped.is_pause() && self.run.gone_on => "paused, resumed later".to_owned(),
            _ => self.verdict_text().unwrap_or_else(|| self.status.to_owned()),
        }
    }

    pub(super) fn tone(&self) -> Tone {
        match self.verdict() {
            Some(Verdict::AllAtTarget) => Tone::Good,
            _ if self.run.counts.failures() > 0 => Tone::Bad,
            _ => Tone::Warning,
        }
    }

    pub(super) fn fields(&self) -> Value {
        let r = self.run;
        json!({
            "run": r.run, "direction": r.direction, "goal": r.goal,
            "started_at": label::moment(r.started_at_ms), "started_at_ms": r.started_at_ms,
            "finished_at": r.finished_at_ms.map(label::moment), "finished_at_ms": r.finished_at_ms,
            "status": self.status, "result": <&str>::from(r.result()), "verdict": self.verdict(),
            "selected": r.selected, "at_target": r.counts.at_target(), "failures": r.counts.failures(),
            "outstanding": r.outstanding(), "resumes": r.resumes,
            "started_by": r.started_by, "selection": r.selection,
        })
    }
}

/// The runs with their words, in the order given.
pub(super) fn rows(runs: &[RunSummary]) -> Vec<Row<'_>> {
    let resumed = |run: &RunSummary| runs.iter().any(|other| other.resumes == Some(run.run));
    let row = |run| Row {
        run,
        status: match run.status() {
            RunStatus::Dead | RunStatus::Unfinished if resumed(run) => "resumed later",
            status => status.into(),
        },
    };
    runs.iter().map(row).collect()
}

/// The list of runs, in the order given.
pub(crate) fn list(runs: &[RunSummary], format: Format, style: &Style) -> String {
    let rows = rows(runs);
    let table = || if rows.is_empty() { "no runs yet\n".to_owned() } else { sheet(&rows).table(style) };
    format.write(table, || json!({ "runs": rows.iter().map(Row::fields).collect::<Vec<_>>() }), || sheet(&rows))
}

fn sheet(rows: &[Row<'_>]) -> Sheet {
    let failures = |row: &&Row<'_>| {
        let failures = row.run.counts.failures();
        Cell::from(failures).tone(if failures > 0 { Tone::Bad } else { Tone::Plain })
    };
    Sheet::of(rows)
        .column("Run", |row| row.run.run)
        .column(Column::new("Started").expendable(1), |row| label::moment(row.run.started_at_ms))
        .column(Column::screen("Took").right().expendable(5), |row| Cell::maybe(row.run.elapsed().map(took)))
        .column(Column::new("Goal").at_least(14).expendable(3), |row| row.goal())
        .column("Result", |row| Cell::from(row.result_text()).tone(row.tone()))
        .column(Column::screen("OK").right().expendable(2), |row| {
            format!("{}/{}", row.run.counts.at_target(), row.run.selected)
        })
        .column(Column::data("Selected"), |row| row.run.selected)
        .column(Column::data("At target"), |row| row.run.counts.at_target())
        .column(Column::new("Failed").key("failures").right().expendable(4), failures)
        .column(Column::data("Outstanding"), |row| row.run.outstanding())
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
    /// When each outcome was recorded, by the tenant's place in the plan, in milliseconds since 1970-01-01 UTC.
    pub(crate) ended_at_ms: &'a HashMap<usize, i64>,
    /// The runs that resumed it, oldest first.
    pub(crate) heirs: &'a [RunSummary],
    /// By these runs, who approved that they went on.
    pub(crate) approvers: &'a BTreeMap<Uuid, String>,
    /// The tenants that it left and a later run has settled.
    pub(crate) settled: &'a BTreeMap<TenantId, Uuid>,
    /// The runners that took part, in the order in which they came.
    pub(crate) runners: &'a [RunnerRow],
    /// The present time, in milliseconds since 1970-01-01 UTC.
    pub(crate) now_ms: i64,
    /// Whether each tenant has a row.
    pub(crate) all: bool,
}

impl RunView<'_> {
    /// The run in the form asked for. CSV and Markdown are those of its outcomes.
    pub(crate) fn render(&self, format: Format, style: &Style) -> String {
        match format {
            Format::Table => self.text(style),
            Format::Csv | Format::Md | Format::Junit => self.outcome.render(format, style),
            Format::Html => self.page_of().render(),
            _ => self.json(),
        }
    }

    fn row(&self) -> Row<'_> {
        Row { run: self.run, status: self.run.status().into() }
    }

    /// The run as a page for a browser.
    pub(super) fn page_of(&self) -> Page<'_> {
        let &RunView { outcome, events, ended_at_ms, approvals, heirs, approvers, .. } = self;
        Page { outcome, events, ended_at_ms, status: self.run.status(), approvals, heirs, approvers }
    }

    fn waves(&self) -> Vec<WaveRow<'_>> {
        waves::rows(self.outcome.header, self.outcome.records, self.events)
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
        let settled = group_by(self.settled, |(_, run)| **run).into_iter();
        let settled = settled.map(|(run, tenants)| {
            ("settled", format!("{} since then, by run {run}", label::count(tenants.len(), "tenant")))
        });
        let approved = self.approvals.iter().map(|of| ("approved", approved(of)));
        let done: HashSet<usize> = self.outcome.records.iter().map(|record| record.index).collect();
        let durations = Durations::of(self.outcome.records);
        let events = self.events.iter().filter_map(|(at_ms, event)| {
            let (name, text) = match event {
                // The table of the waves has them.
                Event::WaveStarted { .. } | Event::WaveFinished { .. } => return None,
                Event::AttemptStarted { index, .. } if done.contains(index) => return None,
                Event::AttemptStarted { tenant, .. } if r.status() == RunStatus::Running => {
                    let age = u64::try_from(self.now_ms - at_ms).unwrap_or(0) / 1_000;
                    let age = Duration::from_secs(age);
                    let times = durations.straggles(age).map(|times| format!(", {times}")).unwrap_or_default();
                    ("in flight", format!("{tenant} for {}{times}", format_duration(age)))
                }
                Event::AttemptStarted { tenant, .. } => {
                    ("in flight", format!("{tenant} began, and its end is not recorded"))
                }
                // The last reading of a run that is over says nothing of the servers now.
                Event::ServerLoad { turns: false, .. } if r.status() != RunStatus::Running => return None,
                event => moment_of_run(event),
            };
            Some((name, format!("{} {text}", label::moment(*at_ms))))
        });
        let head = head.into_iter().filter(|(_, value)| !value.is_empty());
        let head = head.chain(self.runners());
        let lines = head
            .chain(self.heirs.iter().map(|run| ("resumed by", heir(run, self.approvers))))
            .chain(settled)
            .chain(approved)
            .chain(events);
        let row = |(name, value): (_, String)| [Cell::fixed(name).tone(Tone::Dim), value.into()];
        let sheet = Sheet::new([Column::new(""), Column::new("").at_least(20).whole()]).rows(lines.map(row));
        let waves = waves::sheet(&self.waves()).table(style);
        let tenants = if self.all { self.tenants().table(style) } else { String::new() };
        let (attempts, outcome) = (self.failed_attempts(style), self.outcome.render(Format::Table, style));
        let parts = [sheet.table(style), waves, tenants, attempts, outcome];
        parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n")
    }

    /// The runners of a run that several share, a line each.
    fn runners(&self) -> Vec<(&'static str, String)> {
        let goes_on = self.run.finished_at_ms.is_none();
        if self.runners.is_empty() && goes_on && self.run.started_by.is_shared() {
            return vec![("runner", "none has come yet".to_owned())];
        }
        let line = |of: &RunnerRow| {
            let mut text = format!("{}: {}", clean(&of.runner), label::count(of.tenants, "tenant"));
            if goes_on {
                let age = Duration::from_secs(u64::try_from(of.silent_ms).unwrap_or(0) / 1_000);
                let leads = if of.leads { ", leads the run" } else { "" };
                text += &format!(", {} in flight{leads}, last sign {} ago", of.in_flight, format_duration(age));
            }
            ("runner", text)
        };
        self.runners.iter().map(line).collect()
    }

    fn json(&self) -> String {
        let mut fields = self.outcome.fields();
        for (key, value) in self.row().fields().as_object().into_iter().flatten() {
            fields[key.as_str()] = value.clone();
        }
        if let Some(folder) = self.outcome.header.kind.backups() {
            fields["backups"] = folder.into();
        }
        for (record, tenant) in self.outcome.records.iter().zip(fields["tenants"].as_array_mut().into_iter().flatten())
        {
            if let Some(before) = version_before(record) {
                tenant["version_before"] = before.into();
            }
            tenant["finished_at_ms"] = self.ended_at_ms.get(&record.index).copied().into();
        }
        fields["waves"] = self.waves().iter().map(WaveRow::fields).collect();
        if self.run.started_by.is_shared() {
            fields["runners"] = json!(self.runners);
        }
        fields["resumed_by"] = self.heirs.iter().map(|heir| json!(heir.run)).collect();
        fields["settled_by"] = json!(self.settled);
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

    /// Every tenant that has its outcome.
    fn tenants(&self) -> Sheet {
        let began = |r: &TenantRecord| {
            let at_ms = *self.ended_at_ms.get(&r.index)?;
            Some(label::moment(at_ms.saturating_sub(i64::try_from(r.duration.as_millis()).ok()?)))
                .filter(|_| r.attempts > 0)
        };
        let before = |r: &TenantRecord| {
            version_before(r).map_or_else(|| "not known".to_owned(), |before| before.unwrap_or("empty").to_owned())
        };
        Sheet::of(self.outcome.records)
            .column(Column::new("Tenant").at_least(16), |r| &r.tenant)
            .column(Column::new("Wave").expendable(2), |r| &r.wave)
            .column("Outcome", |r| summary::words(r.outcome.name()))
            .column(Column::new("Before").at_least(12), |r| before(r))
            .column(Column::new("After").at_least(12), |r| version_text(r))
            .column(Column::new("Began").expendable(1), |r| Cell::maybe(began(r)))
            .column(Column::new("Took").right(), |r| Cell::maybe(Some(took(r.duration)).filter(|_| r.attempts > 0)))
            .column(Column::new("Tries").right().expendable(3), |r| r.attempts)
            .sheet()
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

/// When a plan was approved, by whom, and who recorded it.
pub(super) fn approved(of: &Approval) -> String {
    let at = label::moment(of.at_ms);
    format!("{at} by {}, recorded by {} on {}", clean(&of.by), of.origin.user, of.origin.host)
}

/// A run that resumed another one: when, which, by whom, who approved it, and its verdict.
pub(super) fn heir(heir: &RunSummary, approvers: &BTreeMap<Uuid, String>) -> String {
    let verdict = heir.finished_at_ms.and(heir.stats).map(|stats| json::value(stats.verdict()));
    let status = verdict.as_ref().and_then(Value::as_str).unwrap_or(heir.status().into());
    let by = &heir.started_by;
    let by = if by.host.is_empty() { String::new() } else { format!(", by {} on {}", by.user, by.host) };
    let approved = approvers.get(&heir.run).map(|by| format!(", approved by {}", clean(by))).unwrap_or_default();
    format!("{} {}{by}{approved}: {}", label::moment(heir.started_at_ms), heir.run, summary::words(status))
}

/// A request to pause in words, with who asked where.
fn asked(Pause { by, reason, origin, asked_at_ms }: &Pause) -> String {
    let at = label::moment(*asked_at_ms);
    let reason = reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
    format!("asked for by {by} ({} on {}, {at}){reason}", origin.user, origin.host)
}

/// A recorded event in words: its kind, and the rest.
pub(super) fn moment_of_run(event: &Event) -> (&'static str, String) {
    match event {
        Event::GateStarted { wave, soak_ms, checks } => {
            ("gate", format!("behind wave {wave}: {}", live::gate_text(*soak_ms, checks)))
        }
        Event::GateFinished(gate) => ("gate", format!("behind wave {} {}", gate.wave, live::end_of(gate))),
        Event::WaveClosed { wave, in_flight, .. } => (
            "stop",
            format!("nothing new of wave {wave} was started, nor of waves that wait for it; {in_flight} in flight"),
        ),
        Event::RollbackDue { wave, .. } => ("rollback", format!("wave {wave} is taken back, because it failed")),
        Event::Progress { tenant, migration, rows, .. } => ("progress", format!("{tenant}: {migration}, {rows} rows")),
        Event::HookFinished { hook, wave, tenant, took_ms, error } => {
            let of = label::of_hook(*hook, wave.as_deref(), tenant.as_ref());
            let end = error
                .as_ref()
                .map_or_else(|| took(Duration::from_millis(*took_ms)), |error| format!("failed: {error}"));
            ("hook", format!("{of} {end}"))
        }
        Event::OutsideWindow { wave, server, window, opens_at_ms } => {
            let of = server.as_ref().map(|server| format!("server {server} of wave ")).unwrap_or_default();
            ("window", format!("{of}{wave} waited for {window}, which opens {}", label::moment(*opens_at_ms)))
        }
        Event::ServerLoad { server, load, over, unkept, .. } => {
            let rest = over.iter().chain(unkept).map(|excess| format!("; {}", excess.text)).collect::<String>();
            ("load", format!("server {server}: {}{rest}", label::load(load)))
        }
        Event::Overloaded(overload) => ("stop", StopCause::Load(overload.clone()).to_string()),
        Event::LeftOut { tenants } => {
            let each = tenants.iter().map(|(id, why)| format!("{id} ({why})"));
            ("left out", format!("in quarantine: {}", each.collect::<Vec<_>>().join(", ")))
        }
        Event::Uncovered { wave, kinds } => ("not covered", format!("wave {wave} has none of {}", kinds.join("; "))),
        Event::LateJoiners { tenants, are_taken } => ("late joiners", live::late_joiners(tenants, *are_taken)),
        Event::PauseRequested(pause) => ("pause", asked(pause)),
        Event::Draining { in_flight, .. } => ("stop", format!("nothing new was started; {in_flight} in flight")),
        Event::Cancelling { in_flight } => ("stop", format!("{in_flight} in flight were cancelled")),
        other => ("event", live::jsonl(other)),
    }
}
