//! A way down takes more than its way up made.

use super::{ALL, By, Rule, Step};
use crate::check::doctor::Severity;

pub(super) const RULE: Rule = Rule {
    id: "down-loses-data",
    engines: ALL,
    severity: Severity::Warning,
    why: "A rollback is done in a hurry. A way down that drops a table or a column which its way up did not make, or empties a table, \
          loses rows that were there before the migration.",
    instead: "let the way down undo what the way up did, and nothing else",
    bad: "ALTER TABLE users ADD COLUMN plan varchar(20);\n-- down\nDROP TABLE users",
    good: "ALTER TABLE users ADD COLUMN plan varchar(20);\n-- down\nALTER TABLE users DROP COLUMN plan",
    by: By::Words(look),
};

fn look(step: &Step<'_>) -> Vec<(Option<usize>, String)> {
    if step.is_up() {
        return Vec::new();
    }
    let made = &step.made;
    step.each(|s| {
        let is_ours = |table: &String| made.tables.contains(table);
        let tables =
            s.dropped_tables().into_iter().filter(|table| !is_ours(table) && !step.is_rebuilt(table, s.number));
        let lost: Vec<String> = tables.filter(|_| !s.is_new).collect();
        if !lost.is_empty() {
            return Some(format!("drops {}, which the way up does not make", lost.join(", ")));
        }
        let table = s.target.clone().filter(|table| !is_ours(table) && !s.is_new)?;
        let columns = s.dropped_columns().into_iter();
        let columns: Vec<String> =
            columns.filter(|c| !made.columns.contains(&(table.clone(), c.to_lowercase()))).collect();
        if !columns.is_empty() {
            return Some(format!("drops {} of {table}, which the way up does not add", columns.join(", ")));
        }
        let is_emptied = s.verb() == "truncate" || (s.verb() == "delete" && !s.has_outside("where"));
        is_emptied.then(|| format!("empties {table}, which the way up does not make"))
    })
}
