//! The text report of a run: failures first, then counts, then the next command, and one summary line.
//!
//! Long lists are cut and say so; the JSON document has everything.

use std::time::Duration;

use crate::model::fault::FaultClass;
use crate::model::outcome::{NotStarted, Outcome, TenantRecord};
use crate::model::program;
use crate::model::run_summary::RunStatus;
use crate::model::stats::RunStats;
use crate::model::tenant::TenantId;
use crate::policy::format_duration;

use super::group::{self, Group};
use super::now::{self, done_text, moved_text};
use super::timings;
use super::view::OutcomeView;
use crate::report::causes::group_by;
use crate::report::sheet::{Cell, Column, Sheet};
use crate::report::style::{Style, Tone, clean, paragraph, width};
use crate::report::{label, summary};

/// The indent of a cause's values.
const FIELD: &str = "           ";
/// Maximum number of causes shown in full; the others have one line each.
const IN_FULL: usize = 20;
/// Maximum number of notes shown per tenant.
const MOST_NOTES: usize = 12;
/// Maximum number of lines shown per statement.
const SQL_LINES: usize = 8;

pub(super) fn render(view: &OutcomeView<'_>, style: &Style) -> String {
    let groups = group::needing_attention(view.records);
    let (in_full, in_short) = groups.split_at(groups.len().min(IN_FULL));
    let mut parts: Vec<String> = in_full.iter().map(|group| block(group, view, style)).collect();
    parts.extend((!in_short.is_empty()).then(|| self::in_short(in_short, style)));
    parts.extend(notes(view, style));
    let rest = rest(view, style);
    parts.extend((!rest.is_empty()).then(|| rest.table(style)));
    parts.extend(timings::tables(view.records, style));
    // The commands are to be copied, so they are never cut or broken.
    let ways: Vec<&str> = view.rerun.into_iter().chain(view.ways.lines()).collect();
    if !ways.is_empty() {
        let lines: String = ways.iter().map(|way| way_out(way, style)).collect();
        parts.push(format!("{}\n{lines}", style.paint(Tone::Bold, "Next")));
    }
    let tone = if view.stats.failures() > 0 { Tone::Bad } else { Tone::Plain };
    let total = style.paint(tone, total_line(view.stats, view.elapsed));
    let early = stopped_and_held_back(view);
    let early: String = early.lines().map(|line| paragraph(line, "", MOST_LINES, style)).collect();
    parts.push(format!("{early}{total}\n"));
    parts.join("\n")
}

/// A way out. Where the line is too long for a terminal, the words before its command are broken between words, and the
/// command has a line of its own.
fn way_out(way: &str, style: &Style) -> String {
    let whole = format!("  {}\n", clean(way));
    match way.find(&format!("{} ", program::name())) {
        _ if style.room().is_none_or(|room| width(&whole) <= room) => whole,
        Some(0) => whole,
        Some(begins) => {
            let (words, command) = way.split_at(begins);
            format!("{}    {}\n", paragraph(words.trim_end(), "  ", usize::MAX, style), clean(command))
        }
        None => paragraph(way, "  ", usize::MAX, style),
    }
}

/// The migrations' notes on tenants' data; a part for each set of tenants with the same notes.
fn notes(view: &OutcomeView<'_>, style: &Style) -> Vec<String> {
    let told = view.records.iter().filter(|r| !r.notes.is_empty());
    let part = |(notes, records): (&Vec<String>, Vec<&TenantRecord>)| {
        let tenants = records.iter().map(|r| &r.tenant);
        let head = format!("NOTES  {}", label::names(tenants, style.columns().saturating_sub(8), style));
        let mut out = format!("{}\n", style.paint(Tone::Warning, head));
        out.extend(notes.iter().take(MOST_NOTES).map(|note| format!("  {}\n", clean(note))));
        if notes.len() > MOST_NOTES {
            out.push_str(&format!("  … {}\n", more_notes(notes)));
        }
        out
    };
    group_by(told, |r| &r.notes).into_iter().map(part).collect()
}

/// The number of notes, and how many of them JSON has. A run that had too many to keep counts the rest in its last note.
fn more_notes(notes: &[String]) -> String {
    let unsaid = notes.last().and_then(|last| last.strip_prefix("and ")?.strip_suffix(" more")?.parse::<usize>().ok());
    let kept = notes.len() - usize::from(unsaid.is_some());
    match unsaid {
        Some(unsaid) => format!("{} in all; --format json has the first {kept}", kept + unsaid),
        None => format!("{kept} in all; --format json has them"),
    }
}

/// One cause: tenants, place, reason, state left behind, duration.
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
            format!("{head}{}", group.names(room, style))
        }
    };
    let mut out = format!("{}  {head}\n", style.paint(tone, word));
    out.extend(group.stopped().map(|at| field("stopped", &at, style)));
    if let Some(fault) = &first.error {
        let class = if fault.code.is_some() { format!(" ({})", fault.class) } else { String::new() };
        out.push_str(&field("error", &format!("{}{class}", group.error_text()), style));
    }
    out.extend(group.sql().map(|sql| sql_lines(sql, style)));
    if let Outcome::Ahead { unknown } = &first.outcome {
        let names = unknown.join(", ");
        let text = format!("has what this program does not know: {names}; migrate it with the program that has it");
        out.push_str(&field("history", &text, style));
    }
    out.push_str(&blockers(group, style));
    out.push_str(&now_lines(group, view, style));
    let places = [group.tally(|r| r.wave.clone()), group.tally(|r| format!("{} on {}", r.engine, r.server))];
    let attempts = group.attempts();
    let attempts = format!("{attempts} attempt{}", if attempts == "1" { "" } else { "s" });
    let tried = format!("{attempts}, {}; wave {}; {}", group.durations(style), places[0], places[1]);
    out + &field("tried", &tried, style)
}

/// The most lines of one text: the remedy stands at the end of an error.
const MOST_LINES: usize = 12;

fn field(name: &str, value: &str, style: &Style) -> String {
    let text = paragraph(value, FIELD, MOST_LINES, style);
    format!("  {}{}", style.paint(Tone::Dim, format!("{name:<9}")), text.trim_start_matches(' '))
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

fn blockers(group: &Group<'_>, style: &Style) -> String {
    const SHOWN: usize = 3;
    let known = group.members.iter().filter_map(|r| match &r.outcome {
        Outcome::LockTimeout { blocker: Some(blocker), queue } => Some((&r.tenant, blocker, queue)),
        _ => None,
    });
    let known: Vec<_> = known.collect();
    let mut lines: Vec<(&str, String)> = Vec::new();
    for (tenant, blocker, queue) in known.iter().take(SHOWN) {
        let whose = if group.members.len() > 1 { format!("{tenant}: ") } else { String::new() };
        lines.push(("held by", format!("{whose}{blocker}")));
        lines.extend(queue.others.iter().map(|other| ("", format!("and {other}"))));
        if !queue.waiting.is_empty() {
            let all: Vec<String> = queue.waiting.iter().map(ToString::to_string).collect();
            lines.push(("behind us", all.join("; ")));
        }
    }
    lines.extend(label::more(known.len(), SHOWN, "", style).map(|more| ("", more)));
    let first = group.first();
    let by_another_run = first.error.as_ref().is_some_and(|error| error.class == FaultClass::TenantLocked);
    if known.is_empty() && matches!(first.outcome, Outcome::LockTimeout { .. }) && !by_another_run {
        lines.push(("held by", "not known".to_owned()));
    }
    lines.iter().map(|(name, value)| field(name, value, style)).collect()
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
    out.extend(label::more(places.len(), SHOWN, " states", style).map(|more| field("", &more, style)));
    out
}

fn in_short(groups: &[Group<'_>], style: &Style) -> String {
    const LINES: usize = 200;
    let outcome =
        |group: &&Group<'_>| Cell::from(summary::words(group.first().outcome.name()).to_uppercase()).tone(Tone::Bad);
    let sheet = Sheet::of(groups.iter().take(LINES))
        .column("Outcome", outcome)
        .column(Column::new("Tenants").at_least(16), |group| group.names(30, style))
        .column(Column::new("N").right(), |group| group.members.len())
        .column(Column::new("Stopped at").at_least(12).expendable(1), |group| Cell::maybe(group.stopped()))
        .column(Column::new("Error").at_least(24), |group| group.error_text())
        .sheet();
    let more = label::more(groups.len(), LINES, " causes; --format json has all", style);
    sheet.table(style) + &more.map(|more| more + "\n").unwrap_or_default()
}

/// The outcomes that need no attention: name, count, and details.
pub(super) fn rest(view: &OutcomeView<'_>, style: &Style) -> Sheet {
    let others = view.records.iter().filter(|r| {
        use Outcome::*;
        matches!(
            r.outcome,
            Committed { .. } | UpToDate | Migrated(_) | RolledBack(_) | Stamped(_) | Skipped { .. } | NotStarted { .. }
        )
    });
    let kind = |r: &&TenantRecord| match &r.outcome {
        Outcome::Migrated(moved) => done_text(moved, &r.committed, style),
        Outcome::RolledBack(moved) | Outcome::Stamped(moved) => moved_text(moved, style),
        Outcome::Committed { n } => label::count(usize::try_from(*n).unwrap_or(usize::MAX), "row"),
        Outcome::Skipped { reason } => reason.clone(),
        Outcome::NotStarted { reason, waited_for } => match view.cause.filter(|cause| cause.explains(*reason)) {
            Some(cause) => cause.in_short(),
            None => why_not_started(*reason, waited_for.as_ref()),
        },
        _ => String::new(),
    };
    let mut by_name = group_by(others, |r| r.outcome.name());
    let order = view.stats.by_name();
    by_name.sort_by_key(|(name, _)| order.iter().position(|(n, _)| n == name));
    let kinds = |(_, records): &(&str, Vec<&TenantRecord>)| {
        let kinds = group_by(records.iter().copied(), kind);
        let texts: Vec<String> = match kinds.as_slice() {
            [(one, _)] => vec![one.clone()],
            many => many.iter().take(4).map(|(kind, who)| format!("{} {kind}", who.len())).collect(),
        };
        let more = if kinds.len() > texts.len() { format!(", {}", style.ellipsis()) } else { String::new() };
        texts.join(", ") + &more
    };
    Sheet::of(by_name)
        .column("Others", |(name, _)| summary::words(name))
        .column(Column::new("N").right(), |(_, records)| records.len())
        .column(Column::new("").at_least(20), kinds)
        .sheet()
        .headless()
}

/// The reason why a tenant was not started; `waited_for`: the tenant that it depends on, where that is the reason.
pub(in crate::report) fn why_not_started(reason: NotStarted, waited_for: Option<&TenantId>) -> String {
    match (reason, waited_for) {
        (NotStarted::Dependency, Some(other)) => return format!("it had to wait for {other}, which did not end well"),
        (NotStarted::Dependency, None) => "a tenant that has to be done before it did not end well",
        (NotStarted::Interrupted, _) => "the run was interrupted",
        (NotStarted::FailureBudget, _) => "the failure budget was used up",
        (NotStarted::Hook, _) => "a hook failed",
        (NotStarted::Deadline, _) => "the deadline of the run had passed",
        (NotStarted::Window, _) => "the maintenance window of its wave or server was closed",
        (NotStarted::Overloaded, _) => "a server stayed beyond a limit on its load",
        (NotStarted::RunFailureBudget, _) => "the failure budget of the run was used up",
        (NotStarted::GateFailed, _) => "the gate of an earlier wave failed",
        (NotStarted::Paused, _) => "the run was paused",
        (NotStarted::Ledger, _) => "the ledger could not be written any more",
    }
    .to_owned()
}

/// The reason why the run started no more tenants, and the number of tenants held back.
pub(super) fn stopped_and_held_back(view: &OutcomeView<'_>) -> String {
    let (stats, mut out) = (view.stats, String::new());
    match (stats.stopped, view.cause) {
        (Some(reason), Some(cause)) if cause.explains(reason) => out.push_str(&format!("Stopped early: {cause}.\n")),
        (Some(reason), _) => out.push_str(&format!("Stopped early: {}.\n", why_not_started(reason, None))),
        (None, _) => {}
    }
    for of in view.undo.iter().flat_map(|undo| &undo.runs) {
        let so_far = match of.status {
            RunStatus::Finished => "",
            RunStatus::Running => ", which goes on",
            RunStatus::Dead | RunStatus::Unfinished => ", whose end is not recorded",
        };
        out.push_str(&format!("Taken back by run {}{so_far}: {}.\n", of.run, total_line(&of.stats, None)));
    }
    if stats.held_back > 0 {
        out.push_str(&format!(
            "{} left out: held back by --canary, --partition or --limit, gone from the tenant file, or for the reason told above.\n",
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_that_were_only_counted_are_counted() {
        let mut notes: Vec<String> = (1..200).map(|n| format!("note {n}")).collect();
        assert_eq!(more_notes(&notes), "199 in all; --format json has them");
        notes.push("and 1479 more".to_owned());
        assert_eq!(more_notes(&notes), "1678 in all; --format json has the first 199");
    }
}
