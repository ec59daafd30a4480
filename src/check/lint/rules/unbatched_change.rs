//! All rows are changed in one statement: without a condition, or wherever a column has no value yet.

use super::super::Statement;
use super::{ALL, About, By, Rule, Step};
use crate::check::doctor::Severity;
use crate::sql::{Directive, directive};

pub(super) const RULE: Rule = Rule {
    id: "unbatched-change",
    engines: ALL,
    severity: Severity::Warning,
    why: "One UPDATE or DELETE of all rows locks them, and bloats the table or the undo log, until it ends; on a large tenant that is \
          minutes in which the program waits. Replicas wait as long.",
    instead: "put it in a script of its own without a transaction, with a condition that ends (`WHERE region IS NULL`) and `-- fleet: batch=5000` \
              before it; `--online` does so by itself on servers, where the text proves that it ends",
    bad: "UPDATE orders SET region = 'eu' WHERE region IS NULL",
    good: "-- fleet: transaction=false\n/* fleet: batch */ UPDATE orders SET region = 'eu' WHERE id IN (SELECT id FROM orders WHERE region IS NULL LIMIT 5000)",
    by: By::Tables(look),
};

/// A batch of more rows is none: it is that of `-- fleet: batch` at most.
pub(super) const LARGEST: u64 = 1_000_000;

/// The verb of a change that takes all rows, and how it does; also within a `WITH`, where each change has a condition of its own.
fn changes(s: &Statement<'_>) -> Option<(String, String)> {
    let words = &s.words;
    let is_with = words.is(0, "with");
    let begins = (0..words.len()).filter(|&at| {
        let is_change = words.is(at, "update") || words.is(at, "delete");
        is_change
            && (at == 0
                || is_with && !words.is_after(at, "for") && !words.is_after(at, "on") && !words.is_after(at, "do"))
    });
    let unbounded = |at: usize| {
        let end = match at.checked_sub(1).filter(|&before| words.is_symbol(before, b'(')) {
            Some(open) => s.closing(open),
            None => words.len(),
        };
        if let Some(rows) = s.limits(at..end).find(|rows| *rows > LARGEST) {
            return Some((words.word(at), format!("with a limit of {rows} rows may take all rows")));
        }
        let is_batch = directive(s.sql) == Some(Directive::Batch);
        let bound = s.outside(at..end).find(|&at| words.is(at, "where") || words.is(at, "limit"));
        let how = match bound {
            _ if is_batch => return None,
            None => "without a condition takes all rows",
            Some(at) if words.is(at, "where") && is_always(s, at + 1, end) => "without a condition takes all rows",
            Some(at) if words.is(at, "where") && is_joined(s, at + 1..end) => {
                "by a join without a condition may take all rows"
            }
            Some(at) if words.is(at, "where") && asks_for_values(s, at + 1, end) => {
                "of what has a value may take all rows"
            }
            Some(bound) if is_backfill(s, (at, bound), end) => "of what is NULL takes all such rows",
            Some(_) => return None,
        };
        Some((words.word(at), how.to_owned()))
    };
    begins.into_iter().find_map(unbounded)
}

/// Whether the condition of a `DELETE .. USING` only joins: columns are compared with columns, and nothing else is asked for.
fn is_joined(s: &Statement<'_>, condition: std::ops::Range<usize>) -> bool {
    let has_using = s.words.is(0, "delete") && s.outside(0..condition.start).any(|at| s.words.is(at, "using"));
    let is_value =
        |at: usize| s.words.string(at).is_some() || s.token(at).starts_with(|first: char| first.is_ascii_digit());
    let asks = |at: usize| {
        ["in", "exists", "or", "like", "between", "limit", "is", "not"].iter().any(|word| s.words.is(at, word))
    };
    has_using && !condition.clone().any(|at| is_value(at) || asks(at))
}

/// Whether a condition asks only that columns are not NULL, as those of most rows are.
fn asks_for_values(s: &Statement<'_>, from: usize, end: usize) -> bool {
    let words = &s.words;
    let to = s.outside(from..end).find(|&at| words.is(at, "returning")).unwrap_or(end);
    let mut begin = from;
    let parts = (from..=to).filter(|&at| at == to || words.is(at, "and"));
    let parts: Vec<_> = parts.map(|at| std::mem::replace(&mut begin, at + 1)..at).collect();
    parts.into_iter().all(|part| {
        let is_column = part.len() == 4 || part.len() == 6 && words.is_symbol(part.start + 1, b'.');
        is_column && words.are(part.end - 3, &["is", "not", "null"])
    })
}

/// Whether an `UPDATE` sets a column wherever it is NULL, with no limit and no other value asked for.
fn is_backfill(s: &Statement<'_>, (update, condition): (usize, usize), end: usize) -> bool {
    let words = &s.words;
    if !words.is(update, "update") || !words.is(condition, "where") || s.has_in(&(condition..end), &["limit"]) {
        return false;
    }
    let (mut from, mut to) = (condition + 1, end);
    while words.is_symbol(from, b'(') && s.closing(from) + 1 == to {
        (from, to) = (from + 1, to - 1);
    }
    // A limit of a value is no value: all rows may be beyond it.
    let compares = |at: usize| [b'<', b'>', b'!'].iter().any(|part| words.is_symbol(at, *part));
    let is_equal = |at: usize| words.is_symbol(at, b'=') && !compares(at - 1) && !compares(at + 1);
    let asks_for = |at: usize| is_equal(at) || ["in", "exists", "or"].iter().any(|word| words.is(at, word));
    let sets = |column: &str| {
        let is_set = |at: usize| words.is_symbol(at + 1, b'=') && words.name(at).as_deref() == Some(column);
        s.outside(update..condition).any(is_set)
    };
    let is_empty = |at: usize| words.are(at + 1, &["is", "null"]) && words.name(at).is_some_and(|column| sets(&column));
    !s.outside(from..to).any(asks_for) && s.outside(from..to).any(is_empty)
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

fn look(step: &Step<'_>) -> Vec<About> {
    step.each_table(|s| {
        let Some((verb, how)) = changes(s) else { return Vec::new() };
        let said = |table: &str| format!("{} {how} of {table} at once", verb.to_uppercase());
        match s.listed_tables().is_empty() {
            true if s.is_new => Vec::new(),
            true => vec![(None, said(s.table()))],
            false => s.old_tables.iter().map(|table| (Some(table.clone()), said(table))).collect(),
        }
    })
}
