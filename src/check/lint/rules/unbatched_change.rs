//! Rows are changed without a condition, all in one statement.

use super::super::Statement;
use super::{ALL, By, Rule, Step};
use crate::check::doctor::Severity;
use crate::sql::{Directive, directive};

pub(super) const RULE: Rule = Rule {
    id: "unbatched-change",
    engines: ALL,
    severity: Severity::Warning,
    why: "One UPDATE or DELETE of all rows locks them, and bloats the table or the undo log, until it ends; on a large tenant that is \
          minutes in which the program waits. Replicas wait as long.",
    instead: "put it in a script of its own without a transaction, with a condition, a limit and `/* fleet: batch */` before it",
    bad: "UPDATE orders SET region = 'eu'",
    good: "-- fleet: transaction=false\n/* fleet: batch */ UPDATE orders SET region = 'eu' WHERE id IN (SELECT id FROM orders WHERE region IS NULL LIMIT 5000)",
    by: By::Words(look),
};

/// The verb of a change that takes all rows; also within a `WITH`, where each change has a condition of its own.
fn changes(s: &Statement<'_>) -> Option<String> {
    let words = &s.words;
    let is_with = words.is(0, "with");
    let begins = (0..words.len()).filter(|&at| {
        let is_change = words.is(at, "update") || words.is(at, "delete");
        is_change
            && (at == 0
                || is_with && !words.is_after(at, "for") && !words.is_after(at, "on") && !words.is_after(at, "do"))
    });
    let is_unbounded = |at: &usize| {
        let end = match at.checked_sub(1).filter(|&before| words.is_symbol(before, b'(')) {
            Some(open) => s.closing(open),
            None => words.len(),
        };
        let bound = s.outside(*at..end).find(|&at| words.is(at, "where") || words.is(at, "limit"));
        bound.is_none_or(|at| words.is(at, "where") && is_always(s, at + 1, end))
    };
    begins.into_iter().find(is_unbounded).map(|at| words.word(at))
}

/// Whether a condition holds for every row: `true`, `1`, `1 = 1`.
fn is_always(s: &Statement<'_>, from: usize, end: usize) -> bool {
    let text: Vec<String> = (from..end).map(|at| s.token(at)).take_while(|token| token != "returning").collect();
    match text.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["true"] | ["1"] => true,
        [a, "=", b] => a == b,
        _ => false,
    }
}

fn look(step: &Step<'_>) -> Vec<(Option<usize>, String)> {
    step.each(|s| {
        let verb = changes(s)?;
        let is_batch = directive(s.sql) == Some(Directive::Batch);
        (!s.is_new && !is_batch)
            .then(|| format!("{} without a condition takes all rows of {} at once", verb.to_uppercase(), s.table()))
    })
}
