//! A view is dropped that the program of later waves still reads.

use super::{ALL, By, Rule, Step};
use crate::check::doctor::Severity;

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
        if !step.is_up() || !s.words.is(0, "drop") || !s.words.is(at, "view") || step.is_made_again(s.number) {
            return None;
        }
        let names = s.names_behind(s.skip(at + 1, &["if", "exists"]));
        let made: Vec<String> = step.statements[..s.number].iter().filter_map(|before| before.made_view()).collect();
        let lost: Vec<String> = names.into_iter().filter(|name| !made.contains(name)).collect();
        (!lost.is_empty())
            .then(|| format!("drops the view {}, which a program that still runs may read", lost.join(", ")))
    })
}
