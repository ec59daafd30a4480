//! A table is dropped that the program of later waves still reads.

use super::super::Statement;
use super::{ALL, About, By, Rule, Step};
use crate::check::doctor::Severity;

pub(super) const RULE: Rule = Rule {
    id: "ban-drop-table",
    engines: ALL,
    severity: Severity::Warning,
    why: "The version of the program that still runs on tenants of later waves reads and writes the table. Its rows are lost; only a \
          backup brings them back.",
    instead: "first release a version that does not use the table; drop it in a later release, with a backup",
    bad: "DROP TABLE old_orders",
    good: "CREATE TABLE scratch (id integer);\nDROP TABLE scratch",
    by: By::Tables(look),
};

/// The rows that a statement takes with its tables, a part of one, or the whole database.
fn emptied(s: &Statement<'_>) -> Vec<(Option<String>, String)> {
    let words = &s.words;
    if words.is(0, "drop") && (words.is(1, "database") || words.is(1, "schema")) {
        return vec![(None, format!("`{}` drops all tables", s.text(0..words.len())))];
    }
    if words.is(0, "truncate") {
        return s.old_tables.iter().map(|table| (Some(table.clone()), format!("empties {table}"))).collect();
    }
    let is_loss = |action: &std::ops::Range<usize>| {
        let next = |word: &str| words.is(action.start + 1, word);
        match words.word(action.start).as_str() {
            "drop" | "truncate" | "exchange" => next("partition"),
            "discard" => true,
            _ => false,
        }
    };
    let action = s.actions().into_iter().find(is_loss).filter(|_| !s.is_new);
    action.map(|action| (None, format!("`{}` takes rows of {}", s.text(action), s.table()))).into_iter().collect()
}

fn look(step: &Step<'_>) -> Vec<About> {
    step.each_table(|s| {
        if !step.is_up() {
            return Vec::new();
        }
        let stays = |table: &&String| !step.is_rebuilt(table, s.number) && !step.is_filled_anew(table, s.number);
        let dropped = s.lost_tables.iter().filter(stays);
        let dropped = dropped
            .map(|table| (Some(table.clone()), format!("drops {table}, which a program that still runs may use")));
        let emptied = emptied(s).into_iter();
        let emptied = emptied.map(|(table, said)| {
            (table, format!("{said}: a program that still runs may need the rows, and they are lost"))
        });
        dropped.chain(emptied).collect()
    })
}
