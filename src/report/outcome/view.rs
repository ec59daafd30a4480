//! What a report of a run is made from, and its forms for machines.
//!
//! Every record is in them, in plan order.

use std::time::Duration;

use serde_json::json;

use crate::model::event::RunHeader;
use crate::model::outcome::{Outcome, TenantRecord};
use crate::model::schema::Script;
use crate::model::stats::RunStats;
use crate::policy::format_duration;

use super::{group, junit, now, text};
use crate::report::sheet::{Cell, Column, Sheet};
use crate::report::{Format, Style, label, markdown, summary};

/// A run that is over, or what the ledger has of one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OutcomeView<'a> {
    /// What was known when it began.
    pub(crate) header: &'a RunHeader,
    /// One record a tenant, in plan order.
    pub(crate) records: &'a [TenantRecord],
    /// The counts.
    pub(crate) stats: &'a RunStats,
    /// How long it took; `None` when nobody knows, as for a run that was killed.
    pub(crate) elapsed: Option<Duration>,
    /// The scripts that were run, where they are at hand. Without them the text does not say whether a failed migration
    /// was rolled back whole.
    pub(crate) scripts: &'a [Script],
    /// The command line that runs exactly the failures again.
    pub(crate) rerun: Option<&'a str>,
}

impl OutcomeView<'_> {
    /// The report in the form asked for.
    pub(crate) fn render(&self, format: Format, style: &Style) -> String {
        match format {
            Format::Md => self.markdown(),
            Format::Junit => junit::render(self),
            _ => format.write(|| text::render(self, style), || self.fields(), || self.every_tenant()),
        }
    }

    /// The JSON document as a value, without its version.
    pub(in crate::report) fn fields(&self) -> serde_json::Value {
        let h = self.header;
        json!({
            "run": h.run, "direction": h.direction, "goal": h.goal, "resumes": h.resumes, "program": h.program,
            "started_at": label::moment(h.started_at_ms), "started_at_ms": h.started_at_ms,
            "elapsed_ms": self.elapsed.map(millis),
            "verdict": self.stats.verdict(), "stats": self.stats, "rerun": self.rerun,
            "catalog": h.catalog, "tenants": self.records,
        })
    }

    fn every_tenant(&self) -> Sheet {
        Sheet::new(
            [
                "Tenant",
                "Engine",
                "Server",
                "Wave",
                "Outcome",
                "From",
                "Version",
                "Committed",
                "Attempts",
                "Duration ms",
                "Stopped at",
                "Statement",
                "Class",
                "Code",
                "Message",
                "Reason",
            ]
            .map(Column::new),
        )
        .rows(self.records.iter().map(tenant_row))
    }

    fn markdown(&self) -> String {
        let style = Style::FILE;
        let mut out = format!("**{}**\n", markdown::text(&text::total_line(self.stats, self.elapsed)));
        let notes = text::stopped_and_held_back(self.stats);
        if !notes.is_empty() {
            out.push_str(&format!("\n{}\n", markdown::text(notes.trim().replace('\n', " ").as_str())));
        }
        let groups = group::needing_attention(self.records);
        if !groups.is_empty() {
            let columns = ["Tenants", "N", "Wave", "Outcome", "Stopped at", "Error", "Now at", "Attempts", "Duration"];
            let sheet = Sheet::new(columns.map(Column::new)).rows(groups.iter().map(|g| group_row(g, &style)));
            out.push_str(&format!("\n{}", sheet.markdown()));
        }
        for (group, sql) in groups.iter().filter_map(|g| Some((g, g.sql()?))) {
            let whose =
                format!("{} ({}):", group.stopped().unwrap_or_default(), label::names(&group.tenants(), 60, &style));
            out.push_str(&format!("\n{}\n\n{}", markdown::text(&whose), markdown::code("sql", sql)));
        }
        let rest = text::rest(self, &style);
        if !rest.is_empty() {
            out.push_str(&format!("\n{}", rest.markdown()));
        }
        if let Some(rerun) = self.rerun {
            out.push_str("\nNext:\n\n");
            out.push_str(&markdown::code("sh", rerun));
        }
        out
    }
}

fn group_row(g: &group::Group<'_>, style: &Style) -> [Cell; 9] {
    let error = Some(g.error_text()).filter(|e| !e.is_empty()).or_else(|| now::reason(&g.first().outcome));
    [
        label::names(&g.tenants(), 60, style).into(),
        g.members.len().into(),
        g.tally(|r| r.wave.clone()).into(),
        summary::words(g.first().outcome.name()).into(),
        g.stopped().unwrap_or_default().into(),
        error.unwrap_or_default().into(),
        g.tally(now::version_text).into(),
        g.attempts().into(),
        g.durations(style).into(),
    ]
}

fn tenant_row(r: &TenantRecord) -> [Cell; 16] {
    let from = match &r.outcome {
        Outcome::Migrated(moved) | Outcome::RolledBack(moved) => moved.from.as_deref(),
        _ => None,
    };
    let (error, stopped) = (r.error.as_ref(), r.stopped_at.as_ref());
    let text = |text: Option<&str>| Cell::from(text.unwrap_or_default());
    [
        (&r.tenant).into(),
        r.engine.into(),
        (&r.server).into(),
        (&r.wave).into(),
        r.outcome.name().into(),
        text(from),
        text(r.version.as_deref()),
        r.committed.join(" ").into(),
        r.attempts.into(),
        millis(r.duration).into(),
        text(stopped.map(|s| s.migration.as_str())),
        stopped.and_then(|s| s.statement).map(|n| n.to_string()).unwrap_or_default().into(),
        text(error.map(|f| f.class.name())),
        text(error.and_then(|f| f.code.as_deref())),
        text(error.map(|f| f.message.as_str())),
        now::reason(&r.outcome).unwrap_or_default().into(),
    ]
}

pub(super) fn millis(d: Duration) -> u64 {
    u64::try_from(d.as_millis()).unwrap_or(u64::MAX)
}

/// A duration without digits that say nothing: zero is `0s`.
pub(in crate::report) fn took(d: Duration) -> String {
    if d.is_zero() { "0s".to_owned() } else { format_duration(d) }
}
