//! An `ALTER TABLE` for which MySQL and MariaDB copy the table.

use std::ops::Range;

use super::super::Statement;
use super::super::settings::Given;
use super::{About, By, MYSQL, Rule, Step};
use crate::check::doctor::Severity;

pub(super) const RULE: Rule = Rule {
    id: "copying-alter",
    engines: MYSQL,
    severity: Severity::Warning,
    why: "The server may copy the whole table, or the statement asks for that or for a lock, and no row is written meanwhile \
          (https://dev.mysql.com/doc/refman/8.4/en/innodb-online-ddl-operations.html). What copies on one of MySQL and MariaDB is told on \
          both: a check of a new column copies on MySQL alone. FORCE, ENGINE and ROW_FORMAT do so where the table has a full-text index. A \
          type that becomes narrower also cuts or refuses values.",
    instead: "say ALGORITHM=INSTANT or ALGORITHM=INPLACE, LOCK=NONE, so that the server refuses rather than copies; else add a column, \
              copy in batches and change over",
    bad: "ALTER TABLE orders MODIFY total bigint",
    good: "ALTER TABLE orders MODIFY total bigint, ALGORITHM=INPLACE",
    by: By::Tables(look),
};

fn look(step: &Step<'_>) -> Vec<About> {
    step.each_table(|s| {
        if let Some(given) = s.settings().into_iter().find(copies_later) {
            return vec![(
                None,
                format!("{} = {} lets each ALTER TABLE {} copy its table", given.name, given.value, given.reach),
            )];
        }
        if let Some(asked) = asks_for_it(s).filter(|_| !s.is_just_made) {
            return vec![(None, format!("`{asked}` keeps writers out of {} until it is done", s.table()))];
        }
        let Some(action) = may_copy(s).filter(|_| !s.is_just_made) else { return Vec::new() };
        let said = s.text(action);
        let of = |table: &str| format!("`{said}` may copy {table}, and nobody writes to it meanwhile");
        match s.words.is(0, "optimize") {
            true => s.old_tables.iter().map(|table| (Some(table.clone()), of(table))).collect(),
            false => vec![(None, of(s.table()))],
        }
    })
}

/// Whether a setting makes the server copy tables.
fn copies_later(given: &Given) -> bool {
    match given.name.as_str() {
        "alter_algorithm" => given.value == "copy",
        "old_alter_table" => ["1", "on", "true", "copy"].contains(&&*given.value),
        _ => false,
    }
}

/// The words with which a statement asks for a copy, or for a lock that writers wait for.
pub(super) fn asks_for_it(s: &Statement<'_>) -> Option<String> {
    let words = &s.words;
    let is_its = s.is("alter", "table") || s.is("create", "index") || s.is("drop", "index");
    let asks = |at: &usize| {
        let value = at + 1 + usize::from(words.is_symbol(at + 1, b'='));
        let is_copy = words.is(*at, "algorithm") && words.is(value, "copy");
        let is_lock = words.is(*at, "lock") && (words.is(value, "shared") || words.is(value, "exclusive"));
        (is_copy || is_lock).then_some(value)
    };
    let found = s.outside(2..words.len()).find_map(|at| Some(at..asks(&at)? + 1)).filter(|_| is_its)?;
    Some(s.text(found))
}

/// The action for which the table may be copied.
pub(super) fn may_copy(s: &Statement<'_>) -> Option<Range<usize>> {
    let says = |pair: &[String]| match pair[0].as_str() {
        "algorithm" => ["instant", "inplace", "nocopy"].contains(&&*pair[1]),
        "lock" => pair[1] == "none",
        _ => false,
    };
    if s.words.is(0, "optimize") {
        return Some(0..s.words.len());
    }
    s.actions().into_iter().find(|action| copies(s, action)).filter(|_| !s.words.all().windows(2).any(says))
}

/// Measured on MariaDB 10.11 and MySQL 9.7 by asking for ALGORITHM=INPLACE (`tests/engines/copying.rs`).
fn copies(s: &Statement<'_>, action: &Range<usize>) -> bool {
    let (words, at) = (&s.words, action.start);
    let is_next = |word: &str| words.is(at + 1, word);
    let is_of_system = is_next("system") && words.is(at + 2, "versioning");
    match words.word(at).as_str() {
        "modify" | "change" => true,
        "convert" => is_next("to"),
        "drop" => is_next("primary") || is_of_system,
        "with" => is_of_system,
        "coalesce" | "reorganize" | "rebuild" => true,
        "optimize" => is_next("partition"),
        // Partitions by ranges or lists hold no rows yet; those by a hash take some of the others'.
        "add" if is_next("partition") => !s.has_in(action, &["values"]),
        "add" => {
            is_of_system
                || s.has_in(action, &["primary", "stored", "persistent", "auto_increment", "spatial"])
                || is_checked(s, action)
                || has_computed_default(s, action)
        }
        "alter" if is_next("check") || is_next("constraint") => {
            words.is(action.end - 1, "enforced") && !words.is(action.end - 2, "not")
        }
        "order" => is_next("by"),
        _ => has_option(s, action),
    }
}

/// Options of a table, which need no comma between them.
fn has_option(s: &Statement<'_>, action: &Range<usize>) -> bool {
    const OPTIONS: [&str; 7] =
        ["engine", "force", "row_format", "key_block_size", "encryption", "tablespace", "partition"];
    let is_option =
        |at: usize| OPTIONS.iter().any(|word| s.words.is(at, word)) || s.words.are(at, &["remove", "partitioning"]);
    let others = ["rename", "drop", "alter", "truncate", "exchange", "discard", "import", "check", "analyze", "repair"];
    !others.iter().any(|word| s.words.is(action.start, word)) && s.outside(action.clone()).any(is_option)
}

/// Whether an action adds a check of the rows that are there.
fn is_checked(s: &Statement<'_>, action: &Range<usize>) -> bool {
    let checks = s.outside(action.clone()).filter(|&at| s.words.is(at, "check") && s.words.is_symbol(at + 1, b'('));
    let is_enforced = |at: usize| !s.words.are(s.closing(at + 1) + 1, &["not", "enforced"]);
    checks.into_iter().any(is_enforced)
}

/// Whether an action adds a column whose value is computed for each row.
fn has_computed_default(s: &Statement<'_>, action: &Range<usize>) -> bool {
    const CLOCK: [&str; 4] = ["current_timestamp", "now", "localtime", "localtimestamp"];
    let is_call = |at: usize| s.words.is_symbol(at + 1, b'(') && !CLOCK.iter().any(|word| s.words.is(at, word));
    let mut defaults = s.outside(action.clone()).filter(|&at| s.words.is(at, "default"));
    defaults.any(|at| s.words.is_symbol(at + 1, b'(') || is_call(at + 1))
}
