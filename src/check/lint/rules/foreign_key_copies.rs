//! A foreign key on a table with rows, on MySQL and MariaDB.

use super::{By, MYSQL, Rule, Step};
use crate::check::doctor::Severity;

pub(super) const RULE: Rule = Rule {
    id: "foreign-key-copies-table",
    engines: MYSQL,
    severity: Severity::Warning,
    why: "With foreign_key_checks on, the server copies the table to check each row, and nobody writes to it meanwhile.",
    instead: "say ALGORITHM=INPLACE with foreign_key_checks off, behind a query that proves that no row is an orphan; or add the key \
              with the table",
    bad: "ALTER TABLE items ADD CONSTRAINT fk FOREIGN KEY (order_id) REFERENCES orders (id)",
    good: "ALTER TABLE items ADD CONSTRAINT fk FOREIGN KEY (order_id) REFERENCES orders (id), ALGORITHM=INPLACE",
    by: By::Words(look),
};

fn look(step: &Step<'_>) -> Vec<(Option<usize>, String)> {
    step.each(|s| {
        let adds = |action: &std::ops::Range<usize>| {
            s.words.is(action.start, "add") && s.outside(action.clone()).any(|at| s.words.is(at, "foreign"))
        };
        (!s.is_just_made && !s.has_outside("algorithm") && s.actions().iter().any(adds))
            .then(|| format!("adds a foreign key to {}: the server copies the table", s.table()))
    })
}
