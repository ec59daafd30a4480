//! A column is dropped that the program of later waves still reads.

use super::{ALL, By, Rule, Step};
use crate::check::doctor::Severity;

pub(super) const RULE: Rule = Rule {
    id: "ban-drop-column",
    engines: ALL,
    severity: Severity::Warning,
    why: "The version of the program that still runs on tenants of later waves, and on this one until it is replaced, reads and \
          writes the column. Its values are lost.",
    instead: "first release a version that does not use the column; drop it in a later release, and suppress this with that reason",
    bad: "ALTER TABLE users DROP COLUMN nickname",
    good: "ALTER TABLE users ADD COLUMN display_name varchar(100)",
    by: By::Words(look),
};

fn look(step: &Step<'_>) -> Vec<(Option<usize>, String)> {
    step.each(|s| {
        let columns = s.dropped_columns();
        (step.is_up() && !s.is_new && !columns.is_empty())
            .then(|| format!("drops {} of {}, which a program that still runs may use", columns.join(", "), s.table()))
    })
}
