//! The summary of a set of observations: counts by state and by version, and the tenants that need attention.
//!
//! Shared by the matrix and the status; it adds nothing to a tenant's observation.

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::model::fault::Fault;
use crate::model::observation::Observation;
use crate::model::program;
use crate::model::schema::{Catalog, State, Unfinished};
use crate::model::tenant::TenantId;

use super::causes::{Cause, group_by};
use super::label;
use super::sheet::{Cell, Column, Sheet};
use super::style::{Style, Tone, clean, paragraph};

/// The names of all states in the order in which they are counted.
const STATES: [&str; 10] = [
    "at_target",
    "behind",
    "empty",
    "migrating",
    "partially_applied",
    "out_of_order",
    "checksum_mismatch",
    "ahead",
    "in_doubt",
    "unreachable",
];

/// The rank of a state in the order of rows: good states first, those that need attention last.
pub(super) fn rank(state: &State) -> (usize, usize) {
    let at = STATES.iter().position(|s| *s == state.name()).expect("STATES has every state");
    (at, if let State::Behind { pending } = state { *pending } else { 0 })
}

/// The state in a table cell.
pub(super) fn state_text(state: &State) -> String {
    match state {
        State::Behind { pending } => format!("behind {pending}"),
        State::Ahead { unknown } => format!("ahead {}", unknown.len()),
        State::Gap { missing } => format!("{} {}", words(state.name()), missing.len()),
        State::Edited { scripts } => format!("{} {}", words(state.name()), scripts.len()),
        other => words(other.name()),
    }
}

/// A snake_case name as words.
pub(super) fn words(name: &str) -> String {
    name.replace('_', " ")
}

/// The colour of a state.
pub(super) fn tone(state: &State) -> Tone {
    match state {
        State::AtTarget => Tone::Good,
        State::Empty | State::Behind { .. } | State::Migrating => Tone::Warning,
        State::Ahead { .. }
        | State::Gap { .. }
        | State::Edited { .. }
        | State::InDoubt(_)
        | State::Stopped(_)
        | State::Unreachable => Tone::Bad,
    }
}

/// All states in their order, with the number of tenants in each.
pub(super) fn states<'a>(
    observations: impl IntoIterator<Item = &'a Observation>,
) -> impl Iterator<Item = (&'static str, usize)> {
    let mut counts = STATES.map(|name| (name, 0));
    for o in observations {
        counts[rank(&o.state).0].1 += 1;
    }
    counts.into_iter()
}

/// The occurring states, with the number of tenants in each.
pub(super) fn by_state<'a>(observations: impl IntoIterator<Item = &'a Observation>) -> Vec<(&'static str, usize)> {
    states(observations).filter(|(_, n)| *n > 0).collect()
}

/// `480 at target, 20 behind`.
pub(super) fn states_text<'a>(observations: impl IntoIterator<Item = &'a Observation>) -> String {
    let states = by_state(observations).into_iter().map(|(name, n)| format!("{n} {}", words(name)));
    states.collect::<Vec<_>>().join(", ")
}

/// `500 tenants: 480 at target, 20 behind`.
pub(super) fn total_line(observations: &[Observation]) -> String {
    match observations {
        [] => "0 tenants".to_owned(),
        some => format!("{}: {}", label::count(some.len(), "tenant"), states_text(some)),
    }
}

/// The number of tenants at one version.
#[derive(Serialize)]
pub(super) struct VersionCount {
    /// The version; `None` when nothing is applied, or when it is not known.
    pub(crate) version: Option<String>,
    /// Whether it was read, and this program has it.
    pub(crate) known: bool,
    /// Number of tenants.
    pub(crate) tenants: usize,
}

impl VersionCount {
    /// The version as a row's name.
    pub(super) fn text(&self) -> String {
        match (&self.version, self.known) {
            (Some(v), _) => v.clone(),
            (None, true) => "(nothing applied)".to_owned(),
            (None, false) => "(not known)".to_owned(),
        }
    }
}

/// The occurring versions: unknown ones first, then the newest to the oldest, then empty, then unread tenants.
pub(super) fn by_version(catalog: &Catalog, observations: &[Observation]) -> Vec<VersionCount> {
    let is_known = |o: &Observation| match &o.version {
        Some(version) => catalog.position(version).is_some(),
        None => o.state != State::Unreachable,
    };
    let key = |o: &&Observation| (o.version.clone(), is_known(o));
    let mut versions: Vec<VersionCount> = group_by(observations, key)
        .into_iter()
        .map(|((version, known), tenants)| VersionCount { version, known, tenants: tenants.len() })
        .collect();
    let order = |v: &VersionCount| match (&v.version, v.known) {
        (Some(name), _) => catalog.position(name).map_or(0, |at| 1 + catalog.migrations.len() - at),
        (None, known) => catalog.migrations.len() + if known { 2 } else { 3 },
    };
    versions.sort_by_key(|v| (order(v), v.version.clone()));
    versions
}

/// The tenants by version, with bars on a terminal.
pub(super) fn version_sheet(catalog: &Catalog, observations: &[Observation], style: &Style) -> Sheet {
    const BAR: usize = 20;
    let all = observations.len();
    // Rounded up, so that one tenant of many still has a bar.
    let bar = |v: &VersionCount| {
        let filled = (v.tenants * BAR).div_ceil(all.max(1));
        Cell::from(if style.unicode { "█" } else { "#" }.repeat(filled)).tone(Tone::Dim)
    };
    Sheet::of(by_version(catalog, observations))
        .column(Column::new("Version").at_least(16), VersionCount::text)
        .column(Column::new("Tenants").right(), |v| v.tenants)
        .column(Column::new("Share").right(), |v| label::share(v.tenants, all))
        .column(Column::screen(""), bar)
        .sheet()
}

/// The summary as data.
pub(super) fn fields(catalog: &Catalog, observations: &[Observation]) -> Value {
    let states: Map<String, Value> = states(observations).map(|(name, n)| (name.to_owned(), n.into())).collect();
    json!({
        "tenants": observations.len(), "by_state": states, "by_version": by_version(catalog, observations),
    })
}

/// Tenants that need attention for the same reason.
pub(super) struct Attention<'a> {
    pub(super) state: String,
    pub(super) why: String,
    pub(super) tenants: Vec<&'a TenantId>,
}

/// The tenants that are not simply at target, behind or empty, grouped by the reason.
pub(super) fn concerns(observations: &[Observation]) -> Vec<Attention<'_>> {
    let held = group_by(observations.iter().filter(|o| o.is_held()), |o| &o.hold);
    let held = held.into_iter().flat_map(|(hold, members)| {
        let tenants: Vec<&TenantId> = members.iter().map(|o| &o.tenant).collect();
        let quarantine = hold.quarantine.as_ref().map(|why| ("quarantined", why.to_string()));
        let frozen = hold.freeze_at.as_ref().map(|name| ("frozen", format!("at {name}, by the tenant file")));
        quarantine.into_iter().chain(frozen).map(move |(state, why)| Attention {
            state: state.to_owned(),
            why,
            tenants: tenants.clone(),
        })
    });
    let wanted =
        observations.iter().filter(|o| tone(&o.state) == Tone::Bad || o.error.is_some() || o.state == State::Migrating);
    let mut groups = group_by(wanted, |o| (rank(&o.state), words(o.state.name()), why(o, true)));
    groups.sort_by_key(|((rank, ..), _)| *rank);
    groups
        .into_iter()
        .map(|((_, state, why), members)| {
            let tenants = members.iter().map(|o| &o.tenant).collect();
            let why = if let [alone] = members.as_slice() { self::why(alone, false) } else { why };
            Attention { state, why, tenants }
        })
        .chain(held)
        .collect()
}

/// The reason why a tenant needs attention, if it does.
#[cfg(feature = "serve")]
pub(super) fn why_of(o: &Observation) -> Option<String> {
    Some(why(o, false)).filter(|why| !why.is_empty())
}

/// The reason why a tenant needs attention; without tenant names when it is shared.
fn why(o: &Observation, is_shared: bool) -> String {
    let fault = |f: &Fault| Cause::told(f, &o.tenant, is_shared);
    let state = match &o.state {
        State::Gap { missing } => {
            format!("missing although a later migration has been applied: {}", missing.join(", "))
        }
        State::Edited { scripts } => {
            format!(
                "their text is not the one that was applied: {}; if that was meant: {} scripts repair {}",
                scripts.join(", "),
                program::name(),
                scripts.join(" ")
            )
        }
        State::Ahead { unknown } => format!("in its history, but not known to this program: {}", unknown.join(", ")),
        State::InDoubt(unfinished) if unfinished.goes_on() => edited_text(unfinished),
        State::InDoubt(unfinished) => unfinished_text(unfinished),
        State::Stopped(unfinished) => unfinished.in_words(),
        State::Migrating => "being migrated by another run; look again when that has ended".to_owned(),
        State::Unreachable if o.error.is_none() => "no reason is known".to_owned(),
        _ => String::new(),
    };
    match (&o.error, state.is_empty()) {
        (Some(error), true) => fault(error),
        (Some(error), false) => format!("{state}; {}", fault(error)),
        (None, _) => state,
    }
}

/// The journal's entry of a step that the next run would continue, if its script were the same.
pub(crate) fn edited_text(u: &Unfinished) -> String {
    let n = u.statement.unwrap_or(0);
    format!(
        "stopped before statement {n} of {}, whose script {}, or see runs resolve",
        u.migration,
        match u.is_gone {
            true => format!("is gone or was renamed; put it back under the name {}", u.migration),
            false => "was edited since; put its old text back".to_owned(),
        }
    )
}

/// An unfinished step in the journal in words, as far as it is known.
pub(super) fn unfinished_text(u: &Unfinished) -> String {
    let point = match u.statement {
        None => "which statement it stopped at is not known".to_owned(),
        Some(0) => "none of its statements had been begun".to_owned(),
        Some(n) if u.stopped => format!("it stopped before statement {n}: all before it happened, no other did"),
        Some(n) => format!("statement {n} was begun last and may or may not have happened"),
    };
    let (migration, direction, run, back) = (&u.migration, u.direction, &u.run, u.way_back());
    format!("{migration} ({direction}) was begun by run {run} and not finished{back}; {point}; see runs resolve")
}

/// The end of Markdown for the matrix and the status: the versions and the concerns.
pub(super) fn markdown(catalog: &Catalog, observations: &[Observation], style: &Style) -> String {
    let versions = version_sheet(catalog, observations, style).markdown();
    let concerns = concerns(observations);
    if concerns.is_empty() {
        return versions;
    }
    let sheet = Sheet::of(&concerns)
        .column("Needs attention", |c| &c.state)
        .column("N", |c| c.tenants.len())
        .column("Tenants", |c| label::names(c.tenants.iter(), 60, style))
        .column("Why", |c| &c.why)
        .sheet();
    format!("{versions}\n{}", sheet.markdown())
}

/// A text of these parts for the matrix and the status, ended by the concerns and the counts; at most `most` concerns.
pub(super) fn text(mut parts: Vec<String>, observations: &[Observation], most: usize, style: &Style) -> String {
    parts.extend(concerns_text(observations, most, style));
    parts.push(format!("{}\n", total_line(observations)));
    parts.join("\n")
}

/// The most lines of one concern: its remedy stands at its end.
const MOST_LINES: usize = 12;

/// The concerns as text: a heading, then two lines or more for each.
fn concerns_text(observations: &[Observation], most: usize, style: &Style) -> Option<String> {
    let concerns = concerns(observations);
    if concerns.is_empty() {
        return None;
    }
    let mut out = format!("{}\n", style.paint(Tone::Bold, "NEEDS ATTENTION"));
    for c in concerns.iter().take(most) {
        let head = format!("{} ({}): ", c.state, c.tenants.len());
        let room = style.columns().saturating_sub(head.len() + 2).min(100);
        let names = label::names(c.tenants.iter(), room, style);
        out.push_str(&format!("  {}{names}\n", style.paint(Tone::Bad, clean(&head))));
        out.push_str(&paragraph(&c.why, "    ", MOST_LINES, style));
    }
    if let Some(more) = concerns.len().checked_sub(most).filter(|n| *n > 0) {
        let more = label::count(more, "more reason");
        out.push_str(&format!("  {} {more}; --format json has all of them\n", style.ellipsis()));
    }
    Some(out)
}
