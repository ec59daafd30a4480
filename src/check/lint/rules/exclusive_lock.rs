//! A table is rewritten, or held, under a lock that readers wait for too, on PostgreSQL.

use super::super::Statement;
use super::{About, By, POSTGRES, Rule, Step};
use crate::check::doctor::Severity;

pub(super) const RULE: Rule = Rule {
    id: "exclusive-lock",
    engines: POSTGRES,
    severity: Severity::Warning,
    why: "Readers wait, too, until all rows are written anew or the transaction ends \
          (https://www.postgresql.org/docs/15/explicit-locking.html).",
    instead: "VACUUM without FULL; REFRESH MATERIALIZED VIEW CONCURRENTLY; another tablespace or persistence for a new table that is filled in \
              batches and takes the place of the old one; no LOCK TABLE",
    bad: "CLUSTER orders USING orders_pkey",
    good: "VACUUM orders",
    by: By::Tables(look),
};

fn look(step: &Step<'_>) -> Vec<About> {
    step.each_table(|s| {
        let Some(what) = holds(s).filter(|_| !s.is_just_made && !is_of_new_index(step, s)) else { return Vec::new() };
        let said = s.text(0..s.words.len());
        if s.listed_tables().is_empty() {
            return vec![(None, format!("`{said}` {what}, and readers wait meanwhile"))];
        }
        let of =
            |table: &String| (Some(table.clone()), format!("`{said}` {what}, and readers of {table} wait meanwhile"));
        s.old_tables.iter().map(of).collect()
    })
}

/// Whether it changes an index of a table that was made just before.
fn is_of_new_index(step: &Step<'_>, s: &Statement<'_>) -> bool {
    let name = |s: &Statement<'_>, at: usize| s.words.name(s.skip(at, &["if", "not", "exists", "concurrently"]));
    let makes = |before: &Statement<'_>| {
        let kind = (1..3).find(|&at| before.words.is(at, "index"));
        before.is_just_made && before.is("create", "index") && kind.and_then(|at| name(before, at + 1)) == name(s, 2)
    };
    s.words.are(0, &["alter", "index"]) && step.statements[..s.number].iter().any(makes)
}

fn holds(s: &Statement<'_>) -> Option<&'static str> {
    let words = &s.words;
    let sets = |action: &std::ops::Range<usize>| {
        let kinds = ["logged", "unlogged", "tablespace", "access"];
        words.is(action.start, "set") && kinds.iter().any(|kind| words.is(action.start + 1, kind))
    };
    let moves = |at: usize| words.are(at, &["set", "tablespace"]);
    match s.verb().as_str() {
        "vacuum" => (1..words.len().min(12)).any(|at| words.is(at, "full")).then_some("writes all rows anew"),
        "cluster" => Some("writes all rows anew"),
        "alter" if s.actions().iter().any(sets) => Some("writes all rows anew"),
        // An index, a materialized view, or all that lies in a tablespace.
        "alter" if s.target.is_none() => s.outside(1..words.len()).any(moves).then_some("writes all its pages anew"),
        "refresh" => (!s.has_outside("concurrently")).then_some("fills the view anew"),
        "lock" => Some("holds the table until the transaction ends"),
        _ => None,
    }
}
