//! An `ALTER TABLE` for which MySQL and MariaDB copy the table.

use std::ops::Range;

use super::super::Statement;
use super::{By, MYSQL, Rule, Step};
use crate::check::doctor::Severity;

pub(super) const RULE: Rule = Rule {
    id: "copying-alter",
    engines: MYSQL,
    severity: Severity::Warning,
    why: "The server may copy the whole table, and no row is written meanwhile \
          (https://dev.mysql.com/doc/refman/8.4/en/innodb-online-ddl-operations.html). A type that becomes narrower also cuts or \
          refuses values.",
    instead: "say ALGORITHM=INSTANT or ALGORITHM=INPLACE, LOCK=NONE, so that the server refuses rather than copies; else add a column, \
              copy in batches and change over",
    bad: "ALTER TABLE orders MODIFY total bigint",
    good: "ALTER TABLE orders MODIFY total bigint, ALGORITHM=INPLACE",
    by: By::Words(look),
};

fn look(step: &Step<'_>) -> Vec<(Option<usize>, String)> {
    step.each(|s| {
        let action = may_copy(s).filter(|_| !s.is_just_made)?;
        Some(format!("`{}` may copy {}, and nobody writes to it meanwhile", s.text(action), s.table()))
    })
}

/// The action for which the table may be copied.
pub(super) fn may_copy(s: &Statement<'_>) -> Option<Range<usize>> {
    let says = s
        .words
        .all()
        .windows(2)
        .any(|pair| pair[0] == "algorithm" && ["instant", "inplace", "nocopy"].contains(&&*pair[1]));
    if s.words.is(0, "optimize") {
        return Some(0..s.words.len());
    }
    s.actions().into_iter().find(|action| copies(s, action)).filter(|_| !says)
}

fn copies(s: &Statement<'_>, action: &Range<usize>) -> bool {
    let (words, at) = (&s.words, action.start);
    match words.word(at).as_str() {
        "modify" | "change" | "engine" | "force" | "row_format" => true,
        "convert" => words.is(at + 1, "to"),
        "drop" => words.is(at + 1, "primary"),
        "partition" | "remove" | "coalesce" | "reorganize" | "tablespace" => true,
        "add" if s.has_in(action, &["primary", "stored", "persistent"]) => true,
        "order" => words.is(at + 1, "by"),
        "add" => s.has_in(action, &["auto_increment"]),
        _ => false,
    }
}
