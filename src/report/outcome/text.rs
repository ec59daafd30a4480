//! The report of a run for a person: trouble first, then counts, then what to type, and one line that sums it up.
//!
//! Long lists are cut and say so; the JSON document has everything.

use std::time::Duration;

use crate::model::fault::FaultClass;
use crate::model::outcome::{NotStarted, Outcome, TenantRecord};
use crate::model::stats::RunStats;
use crate::model::tenant::TenantId;
use crate::policy::format_duration;

use super::group::{self, Group};
use super::now::{self, moved_text};
use super::view::OutcomeView;
use crate::report::causes::group_by;
use crate::report::sheet::{Cell, Column, Sheet};
use crate::report::style::{Style, Tone, clean, paragraph};
use crate::report::{label, summary};

/// Where the values of a cause begin.
const FIELD: &str = "           ";
/// So many causes are told in full; the rest has one line each.
const IN_FULL: usize = 20;
/// So many notes of one tenant are shown.
const MOST_NOTES: usize = 12;
/// So many lines of one statement are shown.
const SQL_LINES: usize = 8;

pub(super) fn render(view: &OutcomeView<'_>, style: &Style) -> String {
    let mut out = String::new();
    let groups = group::needing_attention(view.records);
    for group in groups.iter().take(IN_FULL) {
        out.push_str(&block(group, view, style));
        out.push('\n');
    }
    if groups.len() > IN_FULL {
        out.push_str(&in_short(&groups[IN_FULL..], style));
        out.push('\n');
    }
    out.push_str(&notes(view, style));
    let rest = rest(view, style);
    if !rest.is_empty() {
        out.push_str(&format!("{}\n", rest.table(style)));
    }
    if let Some(rerun) = view.rerun {
        // It is to be copied, so it is never cut or broken.
        out.push_str(&format!("{}\n  {}\n\n", style.paint(Tone::Bold, "Next"), clean(rerun)));
    }
    out.push_str(&stopped_and_held_back(view.stats));
    let tone = if view.stats.failures() > 0 { Tone::Bad } else { Tone::Plain };
    out.push_str(&format!("{}\n", style.paint(tone, &total_line(view.stats, view.elapsed))));
    out
}

/// What the migrations had to say of tenants' data.
fn notes(view: &OutcomeView<'_>, style: &Style) -> String {
    let mut out = String::new();
    let told = view.records.iter().filter(|r| !r.notes.is_empty());
    for (notes, records) in group_by(told, |r| r.notes.clone()) {
        let tenants: Vec<&str> = records.iter().map(|r| r.tenant.as_str()).collect();
        let head = format!("NOTES  {}", label::names(&tenants, style.columns().saturating_sub(8), style));
        out.push_str(&format!("{}\n", style.paint(Tone::Warning, &head)));
        for note in notes.iter().take(MOST_NOTES) {
            out.push_str(&format!("  {}\n", clean(note)));
        }
        if notes.len() > MOST_NOTES {
            out.push_str(&format!("  … {} in all; --format json has them\n", notes.len()));
        }
        out.push('\n');
    }
    out
}

/// One cause: who, where, why, what is left, how long.
fn block(group: &Group<'_>, view: &OutcomeView<'_>, style: &Style) -> String {
    let first = group.first();
    let word = summary::words(first.outcome.name()).to_uppercase();
    let tone = if first.outcome == Outcome::Interrupted { Tone::Warning } else { Tone::Bad };
    let head = match group.members.len() {
        1 => clean(first.tenant.as_str()),
        n => {
            let what = if first.error.is_some() { "same error" } else { "the same" };
            let head = format!("{n} tenants: {what}: ");
            let room = style.columns().saturating_sub(word.len() + 2 + head.len());
            format!("{head}{}", label::names(&group.tenants(), room, style))
        }
    };
    let mut out = format!("{}  {head}\n", style.paint(tone, &word));
    if let Some(at) = group.stopped() {
        out.push_str(&field("stopped", &at, style));
    }
    if let Some(fault) = &first.error {
        let class = if fault.code.is_some() { format!(" ({})", fault.class) } else { String::new() };
        out.push_str(&field("error", &format!("{}{class}", group.error_text()), style));
    }
    if let Some(sql) = group.sql() {
        out.push_str(&sql_lines(sql, style));
    }
    out.push_str(&ahead(&first.outcome, style));
    out.push_str(&blockers(group, style));
    out.push_str(&now_lines(group, view, style));
    let places = [group.tally(|r| r.wave.clone()), group.tally(|r| format!("{} on {}", r.engine, r.server))];
    let attempts = group.attempts();
    let attempts = format!("{attempts} attempt{}", if attempts == "1" { "" } else { "s" });
    let tried = format!("{attempts}, {}; wave {}; {}", group.durations(style), places[0], places[1]);
    out + &field("tried", &tried, style)
}

fn field(name: &str, value: &str, style: &Style) -> String {
    let text = paragraph(value, FIELD, 4, style);
    format!("  {}{}", style.paint(Tone::Dim, &format!("{name:<9}")), text.trim_start_matches(' '))
}

fn sql_lines(sql: &str, style: &Style) -> String {
    let bar = if style.unicode { "│ " } else { "| " };
    let lines: Vec<&str> = sql.trim().lines().collect();
    let mut out = String::new();
    for line in lines.iter().take(SQL_LINES) {
        out.push_str(&paragraph(line.trim_end(), &format!("{FIELD}{bar}"), 6, style));
    }
    if let Some(more) = lines.len().checked_sub(SQL_LINES).filter(|n| *n > 0) {
        out.push_str(&format!("{FIELD}{bar}{} {} more\n", style.ellipsis(), label::count(more, "line")));
    }
    out
}

fn ahead(outcome: &Outcome, style: &Style) -> String {
    match outcome {
        Outcome::Ahead { unknown } => {
            let names = unknown.join(", ");
            let text = format!("has what this program does not know: {names}; migrate it with the program that has it");
            field("history", &text, style)
        }
        _ => String::new(),
    }
}

fn blockers(group: &Group<'_>, style: &Style) -> String {
    const SHOWN: usize = 3;
    let known = group.members.iter().filter_map(|r| match &r.outcome {
        Outcome::LockTimeout { blocker: Some(blocker), .. } => Some((r, blocker)),
        _ => None,
    });
    let mut out = String::new();
    for (r, blocker) in known.clone().take(SHOWN) {
        let whose = if group.members.len() > 1 { format!("{}: ", r.tenant) } else { String::new() };
        out.push_str(&field("held by", &format!("{whose}{}", blocker), style));
        if let Outcome::LockTimeout { queue, .. } = &r.outcome {
            for other in &queue.others {
                out.push_str(&field("", &format!("and {}", other), style));
            }
            if !queue.waiting.is_empty() {
                let all: Vec<String> = queue.waiting.iter().map(ToString::to_string).collect();
                out.push_str(&field("behind us", &all.join("; "), style));
            }
        }
    }
    if known.clone().count() > SHOWN {
        out.push_str(&field("", &format!("{} {} more", style.ellipsis(), known.count() - SHOWN), style));
    } else if known.count() == 0
        && matches!(group.first().outcome, Outcome::LockTimeout { .. })
        && !held_by_another_run(group)
    {
        out.push_str(&field("held by", "not known", style));
    }
    out
}

fn held_by_another_run(group: &Group<'_>) -> bool {
    group.first().error.as_ref().is_some_and(|error| error.class == FaultClass::TenantLocked)
}

fn now_lines(group: &Group<'_>, view: &OutcomeView<'_>, style: &Style) -> String {
    const SHOWN: usize = 4;
    let key = |r: &&TenantRecord| (now::version_text(r), now::left_behind(r, view.header.direction, view.scripts));
    let places = group_by(group.members.iter().copied(), key);
    let mut out = String::new();
    for (n, ((version, left), who)) in places.iter().take(SHOWN).enumerate() {
        let of = if places.len() > 1 { format!("{}: ", label::count(who.len(), "tenant")) } else { String::new() };
        let left = if left.is_empty() { String::new() } else { format!("; {left}") };
        out.push_str(&field(if n == 0 { "now at" } else { "" }, &format!("{of}{version}{left}"), style));
    }
    if places.len() > SHOWN {
        out.push_str(&field("", &format!("{} {} more states", style.ellipsis(), places.len() - SHOWN), style));
    }
    out
}

fn in_short(groups: &[Group<'_>], style: &Style) -> String {
    const LINES: usize = 200;
    let row = |group: &Group<'_>| -> [Cell; 5] {
        [
            Cell::from(summary::words(group.first().outcome.name()).to_uppercase()).tone(Tone::Bad),
            label::names(&group.tenants(), 30, style).into(),
            group.members.len().into(),
            group.stopped().unwrap_or_default().into(),
            group.error_text().into(),
        ]
    };
    let sheet = Sheet::new([
        Column::new("Outcome"),
        Column::new("Tenants").at_least(16),
        Column::new("N").right(),
        Column::new("Stopped at").at_least(12).expendable(1),
        Column::new("Error").at_least(24),
    ]);
    let mut out = sheet.rows(groups.iter().take(LINES).map(row)).table(style);
    if groups.len() > LINES {
        out.push_str(&format!("{} {} more causes; --format json has all\n", style.ellipsis(), groups.len() - LINES));
    }
    out
}

/// The outcomes that need no look at a single tenant: name, count, and of what kinds they are.
pub(super) fn rest(view: &OutcomeView<'_>, style: &Style) -> Sheet {
    let others = view.records.iter().filter(|r| {
        use Outcome::*;
        matches!(r.outcome, UpToDate | Migrated(_) | RolledBack(_) | Skipped { .. } | NotStarted { .. })
    });
    let kind = |r: &&TenantRecord| match &r.outcome {
        Outcome::Migrated(moved) | Outcome::RolledBack(moved) => moved_text(moved, style),
        Outcome::Skipped { reason } => reason.clone(),
        Outcome::NotStarted { reason, waited_for } => not_started_text(*reason, waited_for.as_ref()),
        _ => String::new(),
    };
    let mut by_name = group_by(others, |r| r.outcome.name());
    let order = view.stats.by_name();
    by_name.sort_by_key(|(name, _)| order.iter().position(|(n, _)| n == name));
    let row = |(name, records): (&'static str, Vec<&TenantRecord>)| -> [Cell; 3] {
        let n = records.len();
        let kinds = group_by(records, kind);
        let texts: Vec<String> = match kinds.as_slice() {
            [(one, _)] => vec![one.clone()],
            many => many.iter().take(4).map(|(kind, who)| format!("{} {kind}", who.len())).collect(),
        };
        let more = if kinds.len() > texts.len() { format!(", {}", style.ellipsis()) } else { String::new() };
        [summary::words(name).into(), n.into(), (texts.join(", ") + &more).into()]
    };
    Sheet::new([Column::new("Others"), Column::new("N").right(), Column::new("").at_least(20)])
        .headless()
        .rows(by_name.into_iter().map(row))
}

/// Why a tenant's turn did not come.
pub(in crate::report) fn why_not_started(reason: NotStarted) -> &'static str {
    match reason {
        NotStarted::Interrupted => "the run was interrupted",
        NotStarted::FailureBudget => "the failure budget was used up",
        NotStarted::Ledger => "the ledger could not be written any more",
        NotStarted::Dependency => "a tenant that has to be done before it did not end well",
    }
}

/// The same for one tenant, with the tenant that it had to wait for.
pub(in crate::report) fn not_started_text(reason: NotStarted, waited_for: Option<&TenantId>) -> String {
    match (reason, waited_for) {
        (NotStarted::Dependency, Some(other)) => format!("it had to wait for {other}, which did not end well"),
        _ => why_not_started(reason).to_owned(),
    }
}

/// Why the run started no more tenants, and who was not in it.
pub(super) fn stopped_and_held_back(stats: &RunStats) -> String {
    let mut out = String::new();
    if let Some(reason) = stats.stopped {
        out.push_str(&format!("Stopped early: {}.\n", why_not_started(reason)));
    }
    if stats.held_back > 0 {
        out.push_str(&format!(
            "{} matched; held back by --canary, --partition or --limit, or gone from the tenant file.\n",
            label::count(stats.held_back, "more tenant")
        ));
    }
    out
}

/// `12 tenants: 9 migrated, 2 up to date, 1 failed in 1.2s`.
pub(in crate::report) fn total_line(stats: &RunStats, elapsed: Option<Duration>) -> String {
    let mut counts: Vec<String> = stats
        .by_name()
        .into_iter()
        .filter(|(_, n)| *n > 0)
        .map(|(name, n)| format!("{n} {}", summary::words(name)))
        .collect();
    if let Some(missing) = stats.selected.checked_sub(stats.finished()).filter(|n| *n > 0) {
        counts.push(format!("{missing} without an outcome"));
    }
    let took = elapsed.map(|d| format!(" in {}", format_duration(d))).unwrap_or_default();
    let colon = if counts.is_empty() { "" } else { ": " };
    format!("{}{colon}{}{took}", label::count(stats.selected, "tenant"), counts.join(", "))
}
