//! Rows that a change of the table refuses are deleted or cut, on MariaDB.

use super::{By, MYSQL, Rule, Step};
use crate::check::doctor::Severity;

pub(super) const RULE: Rule = Rule {
    id: "ignored-duplicates",
    engines: MYSQL,
    severity: Severity::Error,
    why: "ALTER IGNORE TABLE deletes each row but one of those that a new unique key finds twice, and cuts values that do not fit, without an \
          error. Nobody chooses which row stays. MySQL refuses the statement, MariaDB does it \
          (https://mariadb.com/kb/en/alter-table/#ignore).",
    instead: "find the rows that are there twice, decide which of them stay, and add the key without IGNORE",
    bad: "ALTER IGNORE TABLE users ADD UNIQUE (mail)",
    good: "ALTER TABLE users ADD UNIQUE (mail)",
    by: By::Words(look),
};

fn look(step: &Step<'_>) -> Vec<(Option<usize>, String)> {
    step.each(|s| {
        let at = s.skip(1, &["online"]);
        let is_ignore = s.words.is(0, "alter") && s.words.is(at, "ignore");
        (is_ignore && !s.is_new).then(|| {
            format!("deletes rows of {} that a new key finds twice, and cuts values that do not fit", s.table())
        })
    })
}
