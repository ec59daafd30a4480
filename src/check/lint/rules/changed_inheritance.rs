//! Rows of one table begin or cease to be those of another, on PostgreSQL.

use super::{By, POSTGRES, Rule, Step};
use crate::check::doctor::Severity;

pub(super) const RULE: Rule = Rule {
    id: "changed-inheritance",
    engines: POSTGRES,
    severity: Severity::Warning,
    why: "Behind INHERIT each query of the parent reads, changes and deletes the rows of the child as well, behind NO INHERIT no longer; \
          the program that still runs on the tenants of later waves is not told.",
    instead: "read both tables in a view that the program asks for, or change the program first (`FROM ONLY`)",
    bad: "ALTER TABLE orders_old INHERIT orders",
    good: "CREATE TABLE orders_old (LIKE orders);\nALTER TABLE orders_old INHERIT orders",
    by: By::Words(look),
};

fn look(step: &Step<'_>) -> Vec<(Option<usize>, String)> {
    step.each(|s| {
        let words = &s.words;
        let changes = |action: &std::ops::Range<usize>| {
            words.is(action.start, "inherit") || words.are(action.start, &["no", "inherit"])
        };
        let action = s.actions().into_iter().find(changes)?;
        let (verb, at) = match words.is(action.start, "no") {
            true => ("leave", action.start + 2),
            false => ("come into", action.start + 1),
        };
        let parent = words.name(if words.is_symbol(at + 1, b'.') { at + 2 } else { at })?;
        (!s.is_new).then(|| format!("the rows of {} {verb} each query of {parent}", s.table()))
    })
}
