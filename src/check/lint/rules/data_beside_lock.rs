//! Rows are changed in the transaction that holds a table's lock.

use super::unbatched_change::LARGEST;
use super::{By, POSTGRES, Rule, Step};
use crate::check::doctor::Severity;

pub(super) const RULE: Rule = Rule {
    id: "data-change-beside-lock",
    engines: POSTGRES,
    severity: Severity::Warning,
    why: "ALTER, DROP and CREATE INDEX lock their table until the commit. Rows that are changed in the same transaction make that lock \
          last as long as the change: on a large tenant nobody reads the table for minutes.",
    instead: "put the change of rows in a migration of its own, behind the one that locks",
    bad: "ALTER TABLE orders ADD COLUMN region text;\nUPDATE orders SET region = 'eu' WHERE region IS NULL",
    good: "UPDATE orders SET region = 'eu' WHERE region IS NULL",
    by: By::Words(look),
};

fn look(step: &Step<'_>) -> Vec<(Option<usize>, String)> {
    let locks =
        |s: &&super::super::Statement<'_>| s.is_ddl() && s.target.is_some() && !s.is_new && !s.is("create", "table");
    let Some(lock) = step.statements.iter().find(locks).filter(|_| step.in_transaction()) else { return Vec::new() };
    let is_limited = |s: &super::super::Statement<'_>| {
        let all = s.limits(0..s.words.len());
        s.has_outside("limit") && all.into_iter().all(|rows| rows <= LARGEST)
    };
    step.each(|s| {
        (s.is_data_change() && !s.is_new && !is_limited(s)).then(|| {
            let (verb, table) = (lock.verb().to_uppercase(), lock.table());
            format!("changes rows in the transaction in which {verb} locks {table}: the lock lasts as long")
        })
    })
}
