//! A table is rewritten, or held, under a lock that readers wait for too, on PostgreSQL.

use super::super::Statement;
use super::{By, POSTGRES, Rule, Step};
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
    by: By::Words(look),
};

fn look(step: &Step<'_>) -> Vec<(Option<usize>, String)> {
    step.each(|s| {
        let what = holds(s).filter(|_| !s.is_just_made)?;
        Some(format!("`{}` {what}, and readers wait meanwhile", s.text(0..s.words.len())))
    })
}

fn holds(s: &Statement<'_>) -> Option<&'static str> {
    let words = &s.words;
    let sets = |action: &std::ops::Range<usize>| {
        let kinds = ["logged", "unlogged", "tablespace", "access"];
        words.is(action.start, "set") && kinds.iter().any(|kind| words.is(action.start + 1, kind))
    };
    match s.verb().as_str() {
        "vacuum" => (1..words.len().min(12)).any(|at| words.is(at, "full")).then_some("writes all rows anew"),
        "cluster" => Some("writes all rows anew"),
        "alter" => s.actions().iter().any(sets).then_some("writes all rows anew"),
        "refresh" => (!s.has_outside("concurrently")).then_some("fills the view anew"),
        "lock" => Some("holds the table until the transaction ends"),
        _ => None,
    }
}
