//! A table is dropped that the program of later waves still reads.

use super::{ALL, By, Rule, Step};
use crate::check::doctor::Severity;

pub(super) const RULE: Rule = Rule {
    id: "ban-drop-table",
    engines: ALL,
    severity: Severity::Warning,
    why: "The version of the program that still runs on tenants of later waves reads and writes the table. Its rows are lost; only a \
          backup brings them back.",
    instead: "first release a version that does not use the table; drop it in a later release, with a backup",
    bad: "DROP TABLE old_orders",
    good: "CREATE TABLE scratch (id integer);\nDROP TABLE scratch",
    by: By::Words(look),
};

fn look(step: &Step<'_>) -> Vec<(Option<usize>, String)> {
    step.each(|s| {
        let lost = |table: &String| !step.made.tables.contains(table) && !step.is_rebuilt(table, s.number);
        let tables: Vec<String> = s.dropped_tables().into_iter().filter(lost).collect();
        (step.is_up() && !s.is_new && !tables.is_empty())
            .then(|| format!("drops {}, which a program that still runs may use", tables.join(", ")))
    })
}
