//! A table gets another name.

use super::{ALL, By, Rule, Step};
use crate::check::doctor::Severity;

pub(super) const RULE: Rule = Rule {
    id: "renaming-table",
    engines: ALL,
    severity: Severity::Warning,
    why: "The version of the program that still runs on tenants of later waves uses the old name and fails at once.",
    instead: "make a view with the old name in the same migration and drop it in a later release, or make a table with the new name and copy",
    bad: "ALTER TABLE users RENAME TO accounts",
    good: "CREATE TABLE users_new (id integer);\nALTER TABLE users_new RENAME TO accounts",
    by: By::Words(look),
};

fn look(step: &Step<'_>) -> Vec<(Option<usize>, String)> {
    step.each(|s| {
        let to = s.renames_to()?;
        (step.is_up() && !s.is_new)
            .then(|| format!("renames {} to {to}: a program that still runs knows the old name only", s.table()))
    })
}
