//! A migration that can't be taken back.

use super::{ALL, By, Rule, Step};
use crate::check::doctor::Severity;
use crate::model::schema::Execution;

pub(super) const RULE: Rule = Rule {
    id: "missing-way-down",
    engines: ALL,
    severity: Severity::Info,
    why: "`rollback` stops at it: when the canary shows a fault, only a new migration or a backup leads back.",
    instead: "write its way down, or an empty one that says so: `-- fleet: nothing`",
    bad: "CREATE TABLE plans (id integer)",
    good: "CREATE TABLE plans (id integer);\n-- down\nDROP TABLE plans",
    by: By::Words(look),
};

fn look(step: &Step<'_>) -> Vec<(Option<usize>, String)> {
    match &step.script.execution {
        Execution::Irreversible { .. } if !step.is_up() && !step.script.record.is_repeatable() => {
            vec![(None, "there is no way down".to_owned())]
        }
        _ => Vec::new(),
    }
}
