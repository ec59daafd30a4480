//! A way down takes more than its way up made.

use super::{ALL, About, By, Rule, Step};
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
    by: By::Tables(look),
};

fn look(step: &Step<'_>) -> Vec<About> {
    if step.is_up() {
        return Vec::new();
    }
    let made = &step.made;
    step.each_table(|s| {
        let is_ours = |table: &String| made.tables.contains(table);
        let dropped = s.dropped_tables();
        let lost = dropped.iter().filter(|table| !is_ours(table) && !step.is_rebuilt(table, s.number));
        let lost = lost.filter(|table| s.lost_tables.contains(table));
        let mut found: Vec<_> =
            lost.map(|table| (Some(table.clone()), format!("drops {table}, which the way up does not make"))).collect();
        let emptied =
            |table: &String| (Some(table.clone()), format!("empties {table}, which the way up does not make"));
        if s.verb() == "truncate" {
            found.extend(s.old_tables.iter().filter(|table| !is_ours(table)).map(emptied));
        }
        let Some(table) = s.target.clone().filter(|table| !is_ours(table) && !s.is_new) else { return found };
        let columns = s.dropped_columns().into_iter();
        let columns: Vec<String> =
            columns.filter(|c| !made.columns.contains(&(table.clone(), c.to_lowercase()))).collect();
        if !columns.is_empty() {
            let what = format!("drops {} of {table}, which the way up does not add", columns.join(", "));
            found.push((Some(table.clone()), what));
        }
        found.extend((s.verb() == "delete" && !s.has_outside("where")).then(|| emptied(&table)));
        found
    })
}
