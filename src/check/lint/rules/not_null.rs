//! NULL is forbidden in a column that exists. On PostgreSQL that is squawk's `adding-not-nullable-field`.

use super::{By, MYSQL, Rule, Step};
use crate::check::doctor::Severity;

pub(super) const RULE: Rule = Rule {
    id: "not-null-on-existing-column",
    engines: MYSQL,
    severity: Severity::Warning,
    why: "The table is rebuilt, rows with NULL make it fail (or become an empty value without strict mode), and a program that still \
          runs may write NULL.",
    instead: "fill the column in batches and release a program that writes it, before the migration that forbids NULL",
    bad: "ALTER TABLE users MODIFY plan varchar(20) NOT NULL",
    good: "ALTER TABLE users ADD COLUMN plan varchar(20) NOT NULL DEFAULT 'free'",
    by: By::Words(look),
};

fn look(step: &Step<'_>) -> Vec<(Option<usize>, String)> {
    step.each(|s| {
        let forbids = |action: &std::ops::Range<usize>| {
            let is_change = s.words.is(action.start, "modify") || s.words.is(action.start, "change");
            is_change && action.clone().any(|at| s.words.are(at, &["not", "null"]))
        };
        let action = s.actions().into_iter().find(forbids)?;
        (step.is_up() && !s.is_new)
            .then(|| format!("`{}` forbids NULL in a column of {} that may hold it", s.text(action), s.table()))
    })
}
