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
use crate::report::style::{Format, Style};
use crate::report::{csv_text, json, label, markdown, summary};

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
            Format::Table => text::render(self, style),
            Format::Json => self.json(),
            Format::Csv => self.csv(),
            Format::Md => self.markdown(),
        }
    }

    /// JUnit XML: a suite a wave, a case a tenant.
    pub(crate) fn junit(&self) -> String {
        junit::render(self)
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

    fn json(&self) -> String {
        json::document(self.fields())
    }

    fn csv(&self) -> String {
        const HEADER: [&str; 16] = [
            "tenant",
            "engine",
            "server",
            "wave",
            "outcome",
            "from",
            "version",
            "committed",
            "attempts",
            "duration_ms",
            "stopped_at",
            "statement",
            "class",
            "code",
            "message",
            "reason",
        ];
        let rows: Vec<Vec<String>> = self.records.iter().map(csv_row).collect();
        csv_text::write(&HEADER, rows.iter().map(|r| r.iter().map(String::as_str)))
    }

    fn markdown(&self) -> String {
        let style = Style { colour: false, unicode: true, width: 160 };
        let mut out = format!("**{}**\n", markdown::text(&text::total_line(self.stats, self.elapsed)));
        let notes = text::stopped_and_held_back(self.stats);
        if !notes.is_empty() {
            out.push_str(&format!("\n{}\n", markdown::text(notes.trim().replace('\n', " ").as_str())));
        }
        let groups = group::needing_attention(self.records);
        if !groups.is_empty() {
            let header = ["Tenants", "N", "Wave", "Outcome", "Stopped at", "Error", "Now at", "Attempts", "Duration"];
            out.push('\n');
            out.push_str(&markdown::table(&header, groups.iter().map(|g| markdown_row(g, &style))));
        }
        for (group, sql) in groups.iter().filter_map(|g| Some((g, g.sql()?))) {
            let whose =
                format!("{} ({}):", group.stopped().unwrap_or_default(), label::names(&group.tenants(), 60, &style));
            out.push_str(&format!("\n{}\n\n{}", markdown::text(&whose), markdown::code("sql", sql)));
        }
        let rest = text::rest(self, &style);
        if !rest.is_empty() {
            out.push('\n');
            out.push_str(&markdown::table(&["Others", "N", ""], rest.iter().map(|(what, n, of)| [what, n, of])));
        }
        if let Some(rerun) = self.rerun {
            out.push_str("\nNext:\n\n");
            out.push_str(&markdown::code("sh", rerun));
        }
        out
    }
}

fn markdown_row(g: &group::Group<'_>, style: &Style) -> [String; 9] {
    [
        label::names(&g.tenants(), 60, style),
        g.members.len().to_string(),
        g.tally(|r| r.wave.clone()),
        summary::words(g.first().outcome.name()),
        g.stopped().unwrap_or_default(),
        Some(g.error_text()).filter(|e| !e.is_empty()).or_else(|| now::reason(&g.first().outcome)).unwrap_or_default(),
        g.tally(now::version_text),
        g.attempts(),
        g.durations(style),
    ]
}

fn csv_row(r: &TenantRecord) -> Vec<String> {
    let from = match &r.outcome {
        Outcome::Migrated(moved) | Outcome::RolledBack(moved) => moved.from.clone().unwrap_or_default(),
        _ => String::new(),
    };
    let reason = now::reason(&r.outcome).unwrap_or_default();
    let (class, code, message) = match &r.error {
        Some(f) => (f.class.name().to_owned(), f.code.clone().unwrap_or_default(), f.message.clone()),
        None => Default::default(),
    };
    let stopped = r.stopped_at.as_ref();
    let statement = stopped.and_then(|s| s.statement).map(|n| n.to_string()).unwrap_or_default();
    vec![
        r.tenant.to_string(),
        r.engine.to_string(),
        r.server.clone(),
        r.wave.clone(),
        r.outcome.name().to_owned(),
        from,
        r.version.clone().unwrap_or_default(),
        r.committed.join(" "),
        r.attempts.to_string(),
        millis(r.duration).to_string(),
        stopped.map(|s| s.migration.clone()).unwrap_or_default(),
        statement,
        class,
        code,
        message,
        reason,
    ]
}

pub(super) fn millis(d: Duration) -> u64 {
    u64::try_from(d.as_millis()).unwrap_or(u64::MAX)
}

/// A duration without digits that say nothing: zero is `0s`.
pub(in crate::report) fn took(d: Duration) -> String {
    if d.is_zero() { "0s".to_owned() } else { format_duration(d) }
}
