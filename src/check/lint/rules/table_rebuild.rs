//! A table of SQLite is built anew: made, filled, and put in the place of the old one.

use super::{About, By, Rule, SQLITE, Step};
use crate::check::doctor::Severity;

pub(super) const RULE: Rule = Rule {
    id: "table-rebuild",
    engines: SQLITE,
    severity: Severity::Info,
    why: "All rows are copied, and the file is locked for writers until the commit; it grows by the size of the table. Triggers, views \
          and foreign keys that name the table need care (https://www.sqlite.org/lang_altertable.html).",
    instead: "use ALTER TABLE ADD COLUMN, RENAME COLUMN or DROP COLUMN where they can do it",
    bad: "CREATE TABLE users_new (id integer PRIMARY KEY, plan text);\nINSERT INTO users_new SELECT id, plan FROM users;\n\
          DROP TABLE users;\nALTER TABLE users_new RENAME TO users",
    good: "ALTER TABLE users ADD COLUMN plan text",
    by: By::Tables(look),
};

fn look(step: &Step<'_>) -> Vec<About> {
    let rebuilt = step.statements.iter().filter_map(|s| {
        let table = s.renames_to().filter(|_| s.is_just_made)?;
        let is_dropped = step.statements[..s.number].iter().any(|before| before.dropped_tables().contains(&table));
        let what = format!("builds {table} anew: all rows are copied");
        is_dropped.then_some(About { statement: s.number, table: Some(table), what })
    });
    rebuilt.collect()
}
