//! A column gets another name.

use super::{ALL, By, Rule, Step};
use crate::check::doctor::Severity;

pub(super) const RULE: Rule = Rule {
    id: "renaming-column",
    engines: ALL,
    severity: Severity::Warning,
    why: "The version of the program that still runs on tenants of later waves uses the old name and fails at once.",
    instead: "add a column, write both, copy the rows in batches, read the new one, and drop the old one in a later release",
    bad: "ALTER TABLE users RENAME COLUMN mail TO email",
    good: "ALTER TABLE users ADD COLUMN email varchar(200)",
    by: By::Words(look),
};

fn look(step: &Step<'_>) -> Vec<(Option<usize>, String)> {
    step.each(|s| {
        let (from, to) = s.renamed_column()?;
        (step.is_up() && !s.is_new).then(|| {
            format!("renames {from} of {} to {to}: a program that still runs knows the old name only", s.table())
        })
    })
}
