//! A table gets another name.

use super::{ALL, About, By, Rule, Step};
use crate::check::doctor::Severity;

pub(super) const RULE: Rule = Rule {
    id: "renaming-table",
    engines: ALL,
    severity: Severity::Warning,
    why: "The version of the program that still runs on tenants of later waves uses the old name and fails at once.",
    instead: "make a view with the old name in the same migration and drop it in a later release, or make a table with the new name and copy",
    bad: "ALTER TABLE users RENAME TO accounts",
    good: "CREATE TABLE users_new (id integer);\nALTER TABLE users_new RENAME TO accounts",
    by: By::Tables(look),
};

fn look(step: &Step<'_>) -> Vec<About> {
    step.each_table(|s| {
        let is_old = |table: &String| if s.words.is(0, "rename") { s.old_tables.contains(table) } else { !s.is_new };
        let old = s.renames().into_iter().filter(|(from, _)| step.is_up() && is_old(from));
        let what =
            |from: &str, to: &str| format!("renames {from} to {to}: a program that still runs knows the old name only");
        old.map(|(from, to)| (Some(from.clone()), what(&from, &to))).collect()
    })
}
