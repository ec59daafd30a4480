//! A function, procedure, aggregate or operator is dropped that the program of later waves still calls.

use super::super::Kinds;
use super::{By, Rule, Step};
use crate::check::doctor::Severity;
use crate::model::engine::EngineMap;
use crate::sql::MadeKind;

pub(super) const RULE: Rule = Rule {
    id: "ban-drop-function",
    engines: EngineMap { sqlite: false, postgres: true, mysql: true },
    severity: Severity::Warning,
    why: "The version of the program that still runs on tenants of later waves, and on this one until it is replaced, may call it. \
          One that is made again with other arguments is another one.",
    instead: "release a program that does without it first, and suppress this with that reason",
    bad: "DROP FUNCTION total_of",
    good: "SELECT 1",
    by: By::Words(look),
};

const KINDS: [&str; 5] = ["function", "procedure", "routine", "aggregate", "operator"];

fn look(step: &Step<'_>) -> Vec<(Option<usize>, String)> {
    step.each(|s| {
        let is_drop = s.words.is(0, "drop") && KINDS.iter().any(|kind| s.words.is(1, kind));
        // An operator's class or family has operators of its own.
        let is_class = s.words.is(1, "operator") && (s.words.is(2, "class") || s.words.is(2, "family"));
        if !step.is_up() || !is_drop || is_class {
            return None;
        }
        let kind = s.words.word(1);
        let names: &[&str] = if kind == "operator" { &["operator"] } else { &["function", "procedure", "aggregate"] };
        let lost = step.lost(s, 2, &Kinds { names, hold: MadeKind::is_routine });
        (!lost.is_empty())
            .then(|| format!("drops the {kind} {}, which a program that still runs may call", lost.join(", ")))
    })
}
