//! A column without NULL and without a default is added.

use super::super::types::SERIAL;
use super::{ALL, By, Rule, Step};
use crate::check::doctor::Severity;

pub(super) const RULE: Rule = Rule {
    id: "adding-required-field",
    engines: ALL,
    severity: Severity::Error,
    why: "Existing rows have no value for it: PostgreSQL and SQLite refuse it on a table with rows, MySQL and MariaDB fill in an empty \
          value that nobody chose. Inserts of a program that does not know the column fail.",
    instead: "add it with a default, or allow NULL, fill it in batches and forbid NULL in a later release",
    bad: "ALTER TABLE users ADD COLUMN plan varchar(20) NOT NULL",
    good: "ALTER TABLE users ADD COLUMN plan varchar(20) DEFAULT 'free' NOT NULL",
    by: By::Words(look),
};

/// Words of columns that get a value by themselves.
const FILLED: [&str; 5] = ["default", "generated", "as", "auto_increment", "primary"];

fn look(step: &Step<'_>) -> Vec<(Option<usize>, String)> {
    step.each(|s| {
        let added = s.added_columns().into_iter().filter(|(_, column)| {
            let is_required = column.clone().any(|at| s.words.are(at, &["not", "null"]));
            is_required && !s.has_in(column, &FILLED) && !s.has_in(column, &SERIAL)
        });
        let names: Vec<String> = added.map(|(name, _)| name).collect();
        (!s.is_new && !names.is_empty()).then(|| {
            format!(
                "adds {} to {} as NOT NULL without a default: existing rows have no value",
                names.join(", "),
                s.table()
            )
        })
    })
}
