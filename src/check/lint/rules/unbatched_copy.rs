//! A whole table is copied in one statement.

use super::super::Statement;
use super::{ALL, By, Rule, Step};
use crate::check::doctor::Severity;
use crate::sql::{Directive, directive};

pub(super) const RULE: Rule = Rule {
    id: "unbatched-copy",
    engines: ALL,
    severity: Severity::Warning,
    why: "INSERT .. SELECT without a condition copies all rows of a table in one statement and one commit; on a large tenant that is minutes, in \
          which MySQL and MariaDB lock the rows that are read as well, SQLite the whole file, and replicas fall behind. When it fails, \
          all of it is done anew.",
    instead: "put it in a script of its own without a transaction, with a condition that leaves out what is there already, a limit and \
              `/* fleet: batch */` before it",
    bad: "INSERT INTO archive (id, total) SELECT id, total FROM orders",
    good: "-- fleet: transaction=false\n/* fleet: batch */ INSERT INTO archive (id, total) SELECT id, total FROM orders WHERE id NOT IN (SELECT id FROM archive) LIMIT 5000",
    by: By::Words(look),
};

/// The table that is copied as a whole: it comes behind FROM, and nothing restricts or sums up its rows.
fn copied(s: &Statement<'_>) -> Option<String> {
    const BOUNDS: [&str; 9] = ["where", "limit", "fetch", "group", "having", "count", "sum", "min", "max"];
    let words = &s.words;
    if !(words.is(0, "insert") || words.is(0, "replace")) {
        return None;
    }
    let select = s.outside(0..words.len()).find(|&at| words.is(at, "select"))?;
    let is_end = |at: &usize| words.is(*at, "on") && (words.is(at + 1, "conflict") || words.is(at + 1, "duplicate"));
    let end = s.outside(select..words.len()).find(is_end).unwrap_or(words.len());
    if s.outside(select..end).any(|at| BOUNDS.iter().any(|bound| words.is(at, bound))) {
        return None;
    }
    let from = s.outside(select..end).find(|&at| words.is(at, "from"))?;
    let at = s.skip(from + 1, &["only"]);
    let last = if words.is_symbol(at + 1, b'.') { at + 2 } else { at };
    // A function has rows of its own.
    words.name(last).filter(|_| !words.is_symbol(last + 1, b'('))
}

fn look(step: &Step<'_>) -> Vec<(Option<usize>, String)> {
    step.each(|s| {
        let from = copied(s).filter(|_| !s.is_new && directive(s.sql) != Some(Directive::Batch))?;
        Some(format!("INSERT .. SELECT without a condition copies all rows of {from} at once"))
    })
}
