//! Rows that programs write go elsewhere, or nowhere, by a rule of PostgreSQL.

use super::{By, POSTGRES, Rule, Step};
use crate::check::doctor::Severity;

pub(super) const RULE: Rule = Rule {
    id: "rewrite-rule",
    engines: POSTGRES,
    severity: Severity::Warning,
    why: "DO INSTEAD replaces each later INSERT, UPDATE or DELETE of the table; with NOTHING the rows are lost, and the program that \
          still runs is told that all went well.",
    instead: "use a trigger, which can refuse a row, or leave it to the program",
    bad: "CREATE RULE quiet AS ON INSERT TO orders DO INSTEAD NOTHING",
    good: "CREATE TABLE orders (id int);\nCREATE RULE quiet AS ON INSERT TO orders DO INSTEAD NOTHING",
    by: By::Words(look),
};

fn look(step: &Step<'_>) -> Vec<(Option<usize>, String)> {
    step.each(|s| {
        let words = &s.words;
        let at = s.skip(1, &["or", "replace"]);
        if !words.is(0, "create") || !words.is(at, "rule") {
            return None;
        }
        let instead = s.outside(at..words.len()).find(|&at| words.are(at, &["do", "instead"]))?;
        let event = s.outside(at..instead).find(|&at| words.is(at, "on")).map(|at| words.word(at + 1))?;
        let to = s.outside(at..instead).find(|&at| words.is(at, "to"))?;
        let last = if words.is_symbol(to + 2, b'.') { to + 3 } else { to + 1 };
        let table = words.name(last)?;
        let is_new = step.made.tables.contains(&table.to_lowercase());
        (event != "select" && !is_new)
            .then(|| format!("from now on each {} of {table} does something else", event.to_uppercase()))
    })
}
