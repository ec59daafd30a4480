//! Tables are locked by hand, on MySQL and MariaDB.

use super::{By, MYSQL, Rule, Step};
use crate::check::doctor::Severity;

pub(super) const RULE: Rule = Rule {
    id: "lock-tables",
    engines: MYSQL,
    severity: Severity::Error,
    why: "The locks last beyond the statement, also over its failure, and keep the journal of fleet from being written.",
    instead: "leave it out: each statement takes the lock that it needs, within lock_timeout",
    bad: "LOCK TABLES users WRITE",
    good: "SELECT 1",
    by: By::Words(look),
};

fn look(step: &Step<'_>) -> Vec<(Option<usize>, String)> {
    step.each(|s| {
        let words = s.beginning(step.engine);
        let is = |at: usize, word: &str| words.get(at).is_some_and(|found| found == word);
        let locks = is(0, "lock") && (is(1, "tables") || is(1, "table"));
        let flushes = is(0, "flush") && is(1, "tables") && words.iter().any(|word| word == "lock");
        (locks || flushes).then(|| "locks tables for the whole session".to_owned())
    })
}
