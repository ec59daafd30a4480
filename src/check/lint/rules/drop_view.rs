//! A view is dropped that the program of later waves still reads.

use super::super::Kinds;
use super::{ALL, By, Rule, Step};
use crate::check::doctor::Severity;
use crate::sql::MadeKind;

pub(super) const RULE: Rule = Rule {
    id: "ban-drop-view",
    engines: ALL,
    severity: Severity::Warning,
    why: "The version of the program that still runs on tenants of later waves, and on this one until it is replaced, may read it.",
    instead: "release a program that does without it first, and suppress this with that reason",
    bad: "DROP VIEW totals",
    good: "DROP VIEW IF EXISTS totals;\nCREATE VIEW totals AS SELECT 1 AS n",
    by: By::Words(look),
};

fn look(step: &Step<'_>) -> Vec<(Option<usize>, String)> {
    step.each(|s| {
        let at = s.skip(1, &["materialized"]);
        if !step.is_up() || !s.words.is(0, "drop") || !s.words.is(at, "view") {
            return None;
        }
        let hold = |kind| matches!(kind, MadeKind::View | MadeKind::Materialized);
        let lost = step.lost(s, at + 1, &Kinds { names: &["view"], hold });
        (!lost.is_empty())
            .then(|| format!("drops the view {}, which a program that still runs may read", lost.join(", ")))
    })
}
