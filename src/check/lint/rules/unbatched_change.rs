//! Rows are changed without a condition, all in one statement.

use super::{ALL, By, Rule, Step};
use crate::check::doctor::Severity;
use crate::sql::{Directive, directive};

pub(super) const RULE: Rule = Rule {
    id: "unbatched-change",
    engines: ALL,
    severity: Severity::Warning,
    why: "One UPDATE or DELETE of all rows locks them, and bloats the table or the undo log, until it ends; on a large tenant that is \
          minutes in which the program waits. Replicas wait as long.",
    instead: "put it in a script of its own without a transaction, with a condition, a limit and `/* fleet: batch */` before it",
    bad: "UPDATE orders SET region = 'eu'",
    good: "-- fleet: transaction=false\n/* fleet: batch */ UPDATE orders SET region = 'eu' WHERE id IN (SELECT id FROM orders WHERE region IS NULL LIMIT 5000)",
    by: By::Words(look),
};

fn look(step: &Step<'_>) -> Vec<(Option<usize>, String)> {
    step.each(|s| {
        let verb = s.verb();
        let is_bounded = s.has_outside("where") || s.has_outside("limit") || directive(s.sql) == Some(Directive::Batch);
        (["update", "delete"].contains(&verb.as_str()) && !s.is_new && !is_bounded)
            .then(|| format!("{} without a condition takes all rows of {} at once", verb.to_uppercase(), s.table()))
    })
}
