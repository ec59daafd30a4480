//! A table is dropped that the program of later waves still reads.

use super::super::Statement;
use super::{ALL, By, Rule, Step};
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
    by: By::Words(look),
};

/// The rows that a statement takes with its table, a part of it, or the whole database.
fn emptied(s: &Statement<'_>) -> Option<String> {
    let words = &s.words;
    if words.is(0, "drop") && (words.is(1, "database") || words.is(1, "schema")) {
        return Some(format!("`{}` drops all tables", s.text(0..words.len())));
    }
    if words.is(0, "truncate") {
        return Some(format!("empties {}", s.table()));
    }
    let is_loss = |action: &std::ops::Range<usize>| {
        let next = |word: &str| words.is(action.start + 1, word);
        match words.word(action.start).as_str() {
            "drop" | "truncate" | "exchange" => next("partition"),
            "discard" => true,
            _ => false,
        }
    };
    let action = s.actions().into_iter().find(is_loss)?;
    Some(format!("`{}` takes rows of {}", s.text(action), s.table()))
}

fn look(step: &Step<'_>) -> Vec<(Option<usize>, String)> {
    step.each(|s| {
        let stays = |table: &&String| !step.is_rebuilt(table, s.number) && !step.is_filled_anew(table, s.number);
        let tables: Vec<String> = s.lost_tables.iter().filter(stays).cloned().collect();
        if step.is_up() && !tables.is_empty() {
            return Some(format!("drops {}, which a program that still runs may use", tables.join(", ")));
        }
        let said = emptied(s).filter(|_| step.is_up() && !s.is_new)?;
        Some(format!("{said}: a program that still runs may need the rows, and they are lost"))
    })
}
