//! A script takes back the limit of how long a statement waits for a lock.

use super::switched_off_checks::set;
use super::{By, Rule, Step};
use crate::check::doctor::Severity;
use crate::model::engine::EngineMap;

pub(super) const RULE: Rule = Rule {
    id: "unlimited-lock-wait",
    engines: EngineMap { sqlite: false, postgres: true, mysql: true },
    severity: Severity::Warning,
    why: "A statement that waits for a lock makes all wait that come behind it, readers too; fleet gives it up behind `lock_timeout` and tries \
          again later. With 0 (a year on MySQL) one forgotten transaction stops the tenant.",
    instead: "leave it out, and set `lock_timeout` of the tenant file for a migration that may wait for longer",
    bad: "SET lock_timeout = 0;\nSET lock_wait_timeout = DEFAULT",
    good: "SET lock_timeout = '5s';\nSET lock_wait_timeout = 5",
    by: By::Words(look),
};

const LIMITS: [(&str, &[&str]); 2] =
    [("lock_timeout", &["0", "0s", "0ms", "default"]), ("lock_wait_timeout", &["default", "31536000"])];

fn look(step: &Step<'_>) -> Vec<(Option<usize>, String)> {
    step.each(|s| {
        let (setting, value) = set(s, &LIMITS)?;
        Some(format!("{setting} = {value} lets each statement behind it wait for a lock for ever"))
    })
}
