//! The list of runs, with a plot of how long they took.

use maud::{Markup, html};
use serde_json::json;

use super::Form;
use super::frame::{Frame, Part, address};
use crate::model::run_summary::{RunStatus, RunSummary};
use crate::report::outcome::{percent, shares, took};
use crate::report::runs::{Row, rows};
use crate::report::style::{Tone, clean};
use crate::report::{json, label};

/// The runs that the plot shows.
const BARS: usize = 80;
/// The height of the highest bar, in pixels.
const HEIGHT: i64 = 120;

/// The newest runs, newest first.
pub(crate) struct RunsView<'a> {
    pub(crate) runs: &'a [RunSummary],
}

impl RunsView<'_> {
    pub(crate) fn render(&self, form: Form) -> String {
        let rows = rows(self.runs);
        match form {
            Form::Json => json::document(json!({ "runs": rows.iter().map(Row::fields).collect::<Vec<_>>() })),
            Form::Page => {
                let content = html! {
                    header {
                        h1 { "Runs" }
                        @if rows.is_empty() { p { "No run is recorded yet." } }
                        @else { p.dim { "The newest " (rows.len()) ", newest first." } }
                    }
                    @if rows.len() > 1 { section { h2 { "How long they took" } (plot(&rows)) } }
                    @if !rows.is_empty() { section { (table(&rows)) } }
                };
                Frame { title: "Runs", part: Part::Runs, follows: None }.around(content)
            }
        }
    }
}

pub(super) fn class(row: &Row<'_>) -> &'static str {
    match row.tone() {
        Tone::Good => "good",
        Tone::Bad => "bad",
        _ => "left",
    }
}

pub(super) fn table(rows: &[Row<'_>]) -> Markup {
    html! {
        div.wide { table {
            thead { tr { th { "Started" } th { "Result" } th.marks { "Tenants" } th.n { "Took" } th.more { "Goal" } th.more { "By" } } }
            tbody {
                @for row in rows {
                    @let run = row.run;
                    tr class=(class(row)) {
                        td { a href=(address("/runs", &run.run.to_string())) { (label::moment(run.started_at_ms)) } }
                        td { (row.verdict_text().unwrap_or_else(|| row.status.to_owned())) }
                        td.marks {
                            (run.counts.at_target()) " of " (run.selected)
                            @if run.counts.failures() > 0 { ", " (run.counts.failures()) " failed" }
                            (shares(&[("good", "at the target", run.counts.at_target()), ("bad", "failed", run.counts.failures()), ("left", "left", run.outstanding())]))
                        }
                        td.n { @if let Some(elapsed) = run.elapsed() { (took(elapsed)) } @else if run.status() == RunStatus::Running { "goes on" } }
                        td.more { (row.goal()) }
                        td.more { (clean(&run.started_by.user)) @if !run.started_by.host.is_empty() { " on " (clean(&run.started_by.host)) } }
                    }
                }
            }
        } }
    }
}

/// A bar for each run that ended, oldest first.
fn plot(rows: &[Row<'_>]) -> Markup {
    let ms = |run: &RunSummary| i64::try_from(run.elapsed()?.as_millis()).ok();
    let mut bars: Vec<(i64, &RunSummary, &'static str)> =
        rows.iter().filter_map(|row| Some((ms(row.run)?, row.run, class(row)))).take(BARS).collect();
    bars.reverse();
    let most = bars.iter().map(|(ms, ..)| *ms).max().unwrap_or(1).max(1);
    let n = i64::try_from(bars.len().max(12)).unwrap_or(1);
    html! {
        @if let Some((longest, _, _)) = bars.iter().max_by_key(|(ms, ..)| *ms) {
            svg.plot width="100%" height=(HEIGHT + 22) role="img" aria-label="The time that each run took; the table has the same" {
                text x="0" y="11" { (took(std::time::Duration::from_millis(u64::try_from(*longest).unwrap_or(0)))) }
                @for ((ms, run, class), at) in bars.iter().zip(0_i64..) {
                    @let height = (ms * (HEIGHT - 16) / most).max(2);
                    a href=(address("/runs", &run.run.to_string())) tabindex="-1" {
                        rect class=(class) x=(format!("{:.3}%", percent(at, n))) y=(HEIGHT - height) width=(format!("{:.3}%", percent(1, n) * 0.8)) height=(height) rx="1" {
                            title { (label::moment(run.started_at_ms)) ": " (took(std::time::Duration::from_millis(u64::try_from(*ms).unwrap_or(0)))) ", " (label::count(run.selected, "tenant")) }
                        }
                    }
                }
                rect.track x="0" y=(HEIGHT) width="100%" height="1" {}
                @if let (Some((_, first, _)), Some((_, last, _))) = (bars.first(), bars.last()) {
                    text x="0" y=(HEIGHT + 16) { (label::moment(first.started_at_ms)) }
                    @if bars.len() > 12 { text x="100%" y=(HEIGHT + 16) text-anchor="end" { (label::moment(last.started_at_ms)) } }
                }
            }
        }
    }
}
