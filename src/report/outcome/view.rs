//! The data of a report of a run, and its forms for machines.
//!
//! Every record is in them, in plan order.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use serde_json::{Value, json};

use crate::model::event::RunHeader;
use crate::model::outcome::{Outcome, TenantRecord};
use crate::model::run_summary::RunStatus;
use crate::model::schema::Script;
use crate::model::stats::RunStats;
use crate::model::undo::{TakenBack, Undoing};
use crate::policy::{StopCause, format_duration};

use super::group::{self, Group};
use super::html::Page;
use super::{junit, now, text, timings};
use crate::report::sheet::{Cell, Sheet};
use crate::report::{Format, Style, label, markdown, summary};

/// A finished run, or the ledger's record of one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OutcomeView<'a> {
    /// Its plan and origin, as they were when it began.
    pub(crate) header: &'a RunHeader,
    /// One record a tenant, in plan order.
    pub(crate) records: &'a [TenantRecord],
    /// The counts.
    pub(crate) stats: &'a RunStats,
    /// The duration; `None` when unknown, as for a killed run.
    pub(crate) elapsed: Option<Duration>,
    /// The scripts that were run, where available. Without them the text does not say whether a failed migration was
    /// rolled back whole.
    pub(crate) scripts: &'a [Script],
    /// The command line that runs exactly the failures again.
    pub(crate) rerun: Option<&'a str>,
    /// The other ways on, one a line with its purpose.
    pub(crate) ways: &'a str,
    /// The failure budget or the gate that stopped the run.
    pub(crate) cause: Option<&'a StopCause>,
    /// The rollback of the run, or of its last wave.
    pub(crate) undo: Option<&'a Undoing>,
}

impl OutcomeView<'_> {
    /// The report in the form asked for.
    pub(crate) fn render(&self, format: Format, style: &Style) -> String {
        match format {
            Format::Md => self.markdown(),
            Format::Junit => junit::render(self),
            Format::Html => self.page(),
            _ => format.write(|| text::render(self, style), || self.fields(), || self.every_tenant()),
        }
    }

    /// The page without the times of anything.
    fn page(&self) -> String {
        let (events, ended_at_ms, approvers) = (&[], &HashMap::new(), &BTreeMap::new());
        let status = RunStatus::Finished;
        Page { outcome: *self, events, ended_at_ms, status, approvals: &[], heirs: &[], approvers }.render()
    }

    /// The JSON document as a value, without its version.
    pub(in crate::report) fn fields(&self) -> Value {
        let h = self.header;
        let mut fields = json!({
            "run": h.run, "direction": h.direction, "goal": h.goal, "resumes": h.resumes, "program": h.program,
            "started_at": label::moment(h.started_at_ms), "started_at_ms": h.started_at_ms,
            "elapsed_ms": self.elapsed.map(millis),
            "verdict": self.stats.verdict(), "stats": self.stats, "rerun": self.rerun,
            "catalog": h.catalog, "tenants": self.records,
        });
        if let Some(undo) = self.undo.filter(|undo| **undo != Undoing::default()) {
            let run = |of: &TakenBack| json!({ "run": of.run, "status": <&str>::from(of.status), "verdict": of.stats.verdict(), "stats": of.stats });
            fields["undo"] = json!({ "waves": undo.due, "runs": undo.runs.iter().map(run).collect::<Vec<_>>() });
        }
        if let timings @ Value::Object(_) = timings::fields(self.records) {
            fields["timings"] = timings;
        }
        fields
    }

    fn every_tenant(&self) -> Sheet {
        let moved = |r: &TenantRecord| match &r.outcome {
            Outcome::Migrated(moved) | Outcome::RolledBack(moved) | Outcome::Stamped(moved) => moved.from.clone(),
            _ => None,
        };
        let stopped = |r: &&TenantRecord| Cell::maybe(r.stopped_at.as_ref().map(|at| &at.migration));
        let statement = |r: &&TenantRecord| Cell::maybe(r.stopped_at.as_ref().and_then(|at| at.statement));
        Sheet::of(self.records)
            .column("Tenant", |r| &r.tenant)
            .column("Engine", |r| r.engine)
            .column("Server", |r| &r.server)
            .column("Wave", |r| &r.wave)
            .column("Outcome", |r| r.outcome.name())
            .column("From", |r| Cell::maybe(moved(r)))
            .column("Version", |r| Cell::maybe(r.version.as_ref()))
            .column("Committed", |r| r.committed.join(" "))
            .column("Attempts", |r| r.attempts)
            .column("Duration ms", |r| millis(r.duration))
            .column("Stopped at", stopped)
            .column("Statement", statement)
            .column("Class", |r| Cell::maybe(r.error.as_ref().map(|fault| fault.class.name())))
            .column("Code", |r| Cell::maybe(r.error.as_ref().and_then(|fault| fault.code.as_ref())))
            .column("Message", |r| Cell::maybe(r.error.as_ref().map(|fault| &fault.message)))
            .column("Reason", |r| Cell::maybe(now::reason(&r.outcome)))
            .sheet()
    }

    fn markdown(&self) -> String {
        let style = Style::FILE;
        let mut out = format!("**{}**\n", markdown::text(&text::total_line(self.stats, self.elapsed)));
        let notes = text::stopped_and_held_back(self);
        if !notes.is_empty() {
            out.push_str(&format!("\n{}\n", markdown::text(notes.trim().replace('\n', " ").as_str())));
        }
        let groups = group::needing_attention(self.records);
        if !groups.is_empty() {
            out.push_str(&format!("\n{}", groups_sheet(&groups, &style).markdown()));
        }
        for (group, sql) in groups.iter().filter_map(|g| Some((g, g.sql()?))) {
            let whose = format!("{} ({}):", group.stopped().unwrap_or_default(), group.names(60, &style));
            out.push_str(&format!("\n{}\n\n{}", markdown::text(&whose), markdown::code("sql", sql)));
        }
        let rest = text::rest(self, &style);
        if !rest.is_empty() {
            out.push_str(&format!("\n{}", rest.markdown()));
        }
        if let Some(rerun) = self.rerun {
            out.push_str(&format!("\nNext:\n\n{}", markdown::code("sh", rerun)));
        }
        if !self.ways.is_empty() {
            out.push_str(&format!("\n{}", if self.rerun.is_some() { "" } else { "Next:\n\n" }));
            out.extend(self.ways.lines().map(|way| format!("- {}\n", markdown::text(way))));
        }
        out
    }
}

fn groups_sheet(groups: &[Group<'_>], style: &Style) -> Sheet {
    let error = |g: &&Group<'_>| {
        let error = Some(g.error_text()).filter(|error| !error.is_empty());
        Cell::maybe(error.or_else(|| now::reason(&g.first().outcome)))
    };
    Sheet::of(groups)
        .column("Tenants", |g| g.names(60, style))
        .column("N", |g| g.members.len())
        .column("Wave", |g| g.tally(|r| r.wave.clone()))
        .column("Outcome", |g| summary::words(g.first().outcome.name()))
        .column("Stopped at", |g| Cell::maybe(g.stopped()))
        .column("Error", error)
        .column("Now at", |g| g.tally(now::version_text))
        .column("Attempts", |g| g.attempts())
        .column("Duration", |g| g.durations(style))
        .sheet()
}

pub(super) fn millis(d: Duration) -> u64 {
    u64::try_from(d.as_millis()).unwrap_or(u64::MAX)
}

/// A duration without insignificant digits. The ledger keeps milliseconds: what took less is not nothing.
pub(in crate::report) fn took(d: Duration) -> String {
    if d < Duration::from_millis(1) { "<1ms".to_owned() } else { format_duration(d) }
}
