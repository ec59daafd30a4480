//! The waves of a run over its time, with what was recorded between them.
//!
//! An event that is not known here is drawn by its name: as a span where it comes in two, begun and finished.

use maud::{Markup, html};
use serde_json::Value;

use super::{Page, percent};
use crate::model::event::Event;
use crate::model::outcome::Standing;
use crate::model::run_summary::RunStatus;
use crate::report::outcome::{text, took};
use crate::report::style::{Style, clean};
use crate::report::summary::words;
use crate::report::waves::{self, WaveRow};
use crate::report::{json, label, live, runs};

/// Failures that have a mark of their own.
const MARKS: usize = 500;

/// A part of a run besides its waves.
struct Span {
    name: String,
    wave: Option<String>,
    from_ms: i64,
    /// As `from_ms` where it is a moment.
    to_ms: i64,
    /// The other fields, in words.
    detail: String,
}

pub(super) fn section(page: &Page<'_>) -> Markup {
    let rows = waves::rows(page.outcome.header, page.outcome.records, page.events);
    let spans = spans(page.events);
    let times = rows.iter().flat_map(|row| [row.started_at_ms, row.finished_at_ms]).flatten();
    let times = times.chain(spans.iter().flat_map(|span| [span.from_ms, span.to_ms]));
    let times: Vec<i64> = times.chain(page.ended_at_ms.values().copied()).collect();
    let (Some(&from), Some(&to)) = (times.iter().min(), times.iter().max()) else { return html! {} };
    if rows.iter().all(|row| row.started_at_ms.is_none()) {
        return html! {};
    }
    let x = |at_ms: i64| format!("{:.3}%", percent(at_ms - from, to - from));
    let width = |from_ms: i64, to_ms: i64| format!("{:.3}%", percent(to_ms - from_ms, to - from).max(0.3));
    let failed = |row: &WaveRow<'_>| -> Vec<i64> {
        let of_it =
            page.outcome.records.iter().filter(|r| r.wave == row.name && r.outcome.standing() == Standing::Failed);
        of_it.filter_map(|r| page.ended_at_ms.get(&r.index).copied()).take(MARKS).collect()
    };
    html! {
        section {
            h2 { "Timeline" }
            div.lanes {
                @for row in &rows {
                    div.name { b { (clean(row.name)) } " " (about(row, page.status)) }
                    svg width="100%" height="26" role="img" aria-label=(format!("{}: {}", clean(row.name), about(row, page.status))) {
                        rect.track x="0" y="5" width="100%" height="16" rx="3" {}
                        @if let Some(began) = row.started_at_ms {
                            @let end = row.finished_at_ms.unwrap_or(to);
                            rect.wave x=(x(began)) y="5" width=(width(began, end)) height="16" rx="3" {
                                title { (clean(row.name)) ": " (label::moment(began)) " to " (label::moment(end)) }
                            }
                        }
                        @for span in spans.iter().filter(|span| span.wave.as_deref() == Some(row.name)) {
                            rect.span x=(x(span.from_ms)) y="9" width=(width(span.from_ms, span.to_ms)) height="8" {
                                title { (clean(&span.name)) ": " (label::moment(span.from_ms)) }
                            }
                        }
                        @for at_ms in failed(row) { rect.bad x=(x(at_ms)) y="2" width="2" height="22" {} }
                        @for span in spans.iter().filter(|span| span.wave.is_none()) {
                            rect.stop x=(x(span.from_ms)) y="0" width="1" height="26" {}
                        }
                    }
                }
                div.name {}
                svg.axis width="100%" height="18" aria-hidden="true" {
                    text x="0" y="13" { (time_of(from)) }
                    text x="50%" y="13" text-anchor="middle" { (time_of(from + (to - from) / 2)) }
                    text x="100%" y="13" text-anchor="end" { (time_of(to)) }
                }
            }
            @if !spans.is_empty() {
                ul.moments {
                    @for span in &spans {
                        li {
                            time { (time_of(span.from_ms)) } " "
                            @if let Some(wave) = &span.wave { "wave " (clean(wave)) ": " }
                            (clean(&span.name))
                            @if span.to_ms > span.from_ms { " for " (took(millis(span.to_ms - span.from_ms))) }
                            @if !span.detail.is_empty() { span.dim { " " (clean(&span.detail)) } }
                        }
                    }
                }
            }
        }
    }
}

fn millis(ms: i64) -> std::time::Duration {
    std::time::Duration::from_millis(u64::try_from(ms).unwrap_or(0))
}

/// The time of day of a moment.
fn time_of(ms: i64) -> String {
    let moment = label::moment(ms);
    moment.split_once('T').map_or_else(|| moment.clone(), |(_, time)| time.trim_end_matches('Z').to_owned())
}

fn about(row: &WaveRow<'_>, status: RunStatus) -> String {
    let mut parts = vec![format!("{} of {} at the target", row.at_target, row.tenants)];
    parts.extend((row.failures > 0).then(|| format!("{} failed", row.failures)));
    match (row.started_at_ms, row.finished_at_ms) {
        (Some(from), Some(to)) => parts.push(took(millis(to - from))),
        (Some(_), None) if status == RunStatus::Running => parts.push("goes on".to_owned()),
        (Some(_), None) => parts.push("its end is not recorded".to_owned()),
        (None, _) => parts.push("not started".to_owned()),
    }
    parts.join(", ")
}

/// The events besides the waves, those in two parts as one.
fn spans(events: &[(i64, Event)]) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    for (at_ms, event) in events {
        let mut fields = match event {
            Event::WaveStarted { .. } | Event::WaveFinished { .. } | Event::AttemptStarted { .. } => continue,
            Event::Progress { .. } | Event::ServerLoad { turns: false, .. } => continue,
            event => json::value(event),
        };
        let mut take = |key: &str| match fields.as_object_mut()?.shift_remove(key)? {
            Value::String(text) => Some(text),
            _ => None,
        };
        let (Some(name), wave) = (take("event"), take("wave")) else { continue };
        let detail = || {
            let in_words = match event {
                Event::GateStarted { soak_ms, checks, .. } => Some(live::gate_text(*soak_ms, checks)),
                Event::GateFinished(gate) => Some(live::end_of(gate)),
                Event::LeftOut { tenants } => {
                    Some(format!("in quarantine: {}", label::names(tenants.keys(), 200, &Style::FILE)))
                }
                Event::HookFinished { .. }
                | Event::OutsideWindow { .. }
                | Event::PauseRequested(_)
                | Event::ServerLoad { .. }
                | Event::Overloaded(_) => Some(runs::moment_of_run(event).1),
                Event::Uncovered { kinds, .. } => Some(format!("it has none of {}", kinds.join("; "))),
                Event::LateJoiners { tenants, are_taken } => Some(live::late_joiners(tenants, *are_taken)),
                Event::RollbackDue { reason, .. }
                | Event::WaveClosed { reason, .. }
                | Event::Draining { reason, .. } => Some(text::why_not_started(*reason, None)),
                _ => None,
            };
            if let Some(words) = in_words {
                return words;
            }
            let fields = fields.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null());
            let text = |(key, value): (&String, &Value)| {
                let value = value.as_str().map_or_else(|| value.to_string(), words);
                format!("{} {value}", words(key))
            };
            fields.map(text).collect::<Vec<_>>().join(", ")
        };
        let begun = name.strip_suffix("_finished").map(words);
        let open = spans.iter_mut().rev().find(|span| Some(&span.name) == begun.as_ref() && span.wave == wave);
        match open {
            Some(span) => (span.to_ms, span.detail) = (*at_ms, detail()),
            None => {
                let name = words(name.strip_suffix("_started").or(name.strip_suffix("_finished")).unwrap_or(&name));
                spans.push(Span { name, wave, from_ms: *at_ms, to_ms: *at_ms, detail: detail() });
            }
        }
    }
    spans
}
