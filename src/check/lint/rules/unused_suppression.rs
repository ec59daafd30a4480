//! A suppression that suppresses nothing. The findings are made in `suppression`, which sees all engines.

use super::{ALL, By, Rule};
use crate::check::doctor::Severity;
use crate::check::lint::suppression::UNUSED;

pub(super) const RULE: Rule = Rule {
    id: UNUSED,
    engines: ALL,
    severity: Severity::Warning,
    why: "The statement that it was written for has changed or gone; it would hide the next one.",
    instead: "remove it, or correct the name of the rule",
    bad: "-- fleet: allow=ban-drop-table the table is empty\nCREATE TABLE plans (id integer)",
    good: "-- fleet: allow=ban-drop-table the table is empty\nDROP TABLE plans",
    by: By::Words(|_| Vec::new()),
};
