//! Tenants of a run with the same outcome for the same reason.
//!
//! Grouping never hides a difference: differing values are tallied.

use crate::model::outcome::{Outcome, Standing, StoppedAt, TenantRecord};
use crate::report::causes::{Cause, anonymous, group_by};
use crate::report::label;
use crate::report::style::Style;

use super::now;
use super::view::took;

/// One or more records with one cause.
pub(super) struct Group<'a> {
    /// Never empty, in plan order.
    pub(crate) members: Vec<&'a TenantRecord>,
}

/// Two records with the same key have the same cause.
#[derive(PartialEq, Eq, Hash, Clone)]
struct Key {
    outcome: String,
    cause: Option<Cause>,
    stopped: Option<(String, Option<usize>, Option<String>)>,
}

/// Groups the records that need attention: failures, and tenants cancelled in flight.
pub(super) fn needing_attention(records: &[TenantRecord]) -> Vec<Group<'_>> {
    let wanted =
        records.iter().filter(|r| r.outcome.standing() == Standing::Failed || r.outcome == Outcome::Interrupted);
    group_by(wanted, |r| key(r)).into_iter().map(|(_, members)| Group { members }).collect()
}

fn key(r: &TenantRecord) -> Key {
    let outcome = match &r.outcome {
        Outcome::Ahead { unknown } => format!("ahead of {}", unknown.join("\n")),
        Outcome::InDoubt(doubt) => now::doubt_text(doubt),
        Outcome::Failed { class } | Outcome::Unreachable { class } => format!("{} {class}", r.outcome.name()),
        other => other.name().to_owned(),
    };
    let sql = |sql: &String| anonymous(sql, &r.tenant);
    Key {
        outcome,
        cause: r.error.as_ref().map(|f| Cause::of(f, &r.tenant)),
        stopped: r.stopped_at.as_ref().map(|s| (s.migration.clone(), s.statement, s.sql.as_ref().map(sql))),
    }
}

impl<'a> Group<'a> {
    /// The first record, whose outcome, place and SQL stand for all.
    pub(super) fn first(&self) -> &'a TenantRecord {
        self.members[0]
    }

    /// As many names as fit into `room` columns.
    pub(super) fn names(&self, room: usize, style: &Style) -> String {
        label::names(self.members.iter().map(|r| &r.tenant), room, style)
    }

    /// `m2_features, statement 4`.
    pub(super) fn stopped(&self) -> Option<String> {
        self.first().stopped_at.as_deref().map(StoppedAt::place)
    }

    /// The failing statement.
    pub(super) fn sql(&self) -> Option<&'a str> {
        self.first().stopped_at.as_ref()?.sql.as_deref().filter(|sql| !sql.trim().is_empty())
    }

    /// The error in the words of the engine; without tenant names when it stands for several.
    pub(super) fn error_text(&self) -> String {
        let told = |fault| Cause::told(fault, &self.first().tenant, self.members.len() > 1);
        self.first().error.as_ref().map(told).unwrap_or_default()
    }

    /// The values of a property over the members, with counts when they differ.
    pub(super) fn tally(&self, of: impl Fn(&TenantRecord) -> String) -> String {
        let values = group_by(self.members.iter(), |r| of(r));
        match values.as_slice() {
            [(one, _)] => one.clone(),
            many => {
                let some: Vec<String> = many.iter().take(4).map(|(v, who)| format!("{v} ({})", who.len())).collect();
                let more = many.len() - some.len();
                format!("{}{}", some.join(", "), if more > 0 { format!(", {more} others") } else { String::new() })
            }
        }
    }

    /// `1`, or `1 to 4`.
    pub(super) fn attempts(&self) -> String {
        let (least, most) = bounds(self.members.iter().map(|r| r.attempts));
        if least == most { least.to_string() } else { format!("{least} to {most}") }
    }

    /// `41ms`, or `41ms to 1.2s`.
    pub(super) fn durations(&self, style: &Style) -> String {
        // Those that were not tried took no time.
        if self.members.iter().all(|r| r.attempts == 0) {
            return "-".to_owned();
        }
        let (least, most) = bounds(self.members.iter().map(|r| r.duration));
        let dash = if style.unicode { "–" } else { " to " };
        if took(least) == took(most) { took(least) } else { format!("{}{dash}{}", took(least), took(most)) }
    }
}

fn bounds<T: Ord + Copy + Default>(values: impl Iterator<Item = T> + Clone) -> (T, T) {
    (values.clone().min().unwrap_or_default(), values.max().unwrap_or_default())
}
