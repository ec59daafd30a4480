//! A whole table is copied in one statement.

use super::super::Statement;
use super::unbatched_change::LARGEST;
use super::{ALL, About, By, Rule, Step};
use crate::check::doctor::Severity;
use crate::sql::{Directive, directive};

pub(super) const RULE: Rule = Rule {
    id: "unbatched-copy",
    engines: ALL,
    severity: Severity::Warning,
    why: "INSERT .. SELECT, CREATE TABLE .. AS SELECT or SELECT .. INTO without a condition copies all rows of a table in one statement and one \
          commit; on a large tenant that is minutes, in which MySQL and MariaDB lock the rows that are read as well, SQLite the whole file, and replicas fall behind. When it fails, \
          all of it is done anew.",
    instead: "put it in a script of its own without a transaction, with a condition that leaves out what is there already, a limit and \
              `/* fleet: batch */` before it",
    bad: "INSERT INTO archive (id, total) SELECT id, total FROM orders",
    good: "-- fleet: transaction=false\n/* fleet: batch */ INSERT INTO archive (id, total) SELECT id, total FROM orders WHERE id NOT IN (SELECT id FROM archive) LIMIT 5000",
    by: By::Tables(look),
};

/// Whether it makes a table of the rows of a query; `INTO @variable` and a file of MySQL are none.
fn makes_a_table(s: &Statement<'_>) -> bool {
    let into = s.outside(0..s.words.len()).find(|&at| s.words.is(at, "into"));
    let is_name = |at: usize| {
        let name = s.words.name(at + 1).unwrap_or_default().to_lowercase();
        !name.is_empty() && !name.starts_with('@') && !["outfile", "dumpfile"].contains(&&*name)
    };
    s.is("create", "table") || s.words.is(0, "select") && into.is_some_and(is_name)
}

/// The table that is copied as a whole: it comes behind FROM, and nothing restricts or sums up its rows.
fn copied(s: &Statement<'_>) -> Option<String> {
    const BOUNDS: [&str; 9] = ["where", "limit", "fetch", "group", "having", "count", "sum", "min", "max"];
    let words = &s.words;
    let makes = makes_a_table(s) && !(0..words.len()).any(|at| words.are(at, &["with", "no", "data"]));
    if !(words.is(0, "insert") || words.is(0, "replace") || makes) {
        return None;
    }
    let select = s.outside(0..words.len()).find(|&at| words.is(at, "select"))?;
    let is_end = |at: &usize| words.is(*at, "on") && (words.is(at + 1, "conflict") || words.is(at + 1, "duplicate"));
    let end = s.outside(select..words.len()).find(is_end).unwrap_or(words.len());
    let is_batch = !s.limits(select..end).any(|rows| rows > LARGEST);
    if is_batch && s.outside(select..end).any(|at| BOUNDS.iter().any(|bound| words.is(at, bound))) {
        return None;
    }
    let from = s.outside(select..end).find(|&at| words.is(at, "from"))?;
    let at = s.skip(from + 1, &["only"]);
    let last = if words.is_symbol(at + 1, b'.') { at + 2 } else { at };
    // A function has rows of its own.
    words.name(last).filter(|_| !words.is_symbol(last + 1, b'('))
}

fn look(step: &Step<'_>) -> Vec<About> {
    let copies = step.statements.iter().filter_map(|s| {
        let is_small = s.limits(0..s.words.len()).all(|rows| rows <= LARGEST);
        let is_batch = is_small && directive(s.sql) == Some(Directive::Batch);
        let table = copied(s).filter(|_| !s.is_new && !is_batch)?;
        let makes = makes_a_table(s);
        let is_empty = makes && step.made.tables.contains(&table.to_lowercase());
        let how = match s.verb().as_str() {
            "create" => "CREATE TABLE .. SELECT",
            "select" => "SELECT .. INTO",
            _ => "INSERT .. SELECT",
        };
        let bound = if is_small { "a condition" } else { "a limit that bounds it" };
        let what = format!("{how} without {bound} copies all rows of {table} at once");
        (!is_empty).then_some(About { statement: s.number, table: Some(table), what })
    });
    copies.collect()
}
