//! A table with rows becomes a partition, and is read as a whole for that.

use super::{By, POSTGRES, Rule, Step};
use crate::check::doctor::Severity;

pub(super) const RULE: Rule = Rule {
    id: "attach-partition",
    engines: POSTGRES,
    severity: Severity::Warning,
    why: "ATTACH PARTITION reads all rows of the table to see whether they belong there, while nobody may read or write it. A valid check \
          that says the same lets it skip that.",
    instead: "add a CHECK of the same bounds with NOT VALID, validate it in the next script, then attach",
    bad: "ALTER TABLE orders ATTACH PARTITION orders_old FOR VALUES FROM (1) TO (9)",
    good: "ALTER TABLE orders_old VALIDATE CONSTRAINT bounds;\nALTER TABLE orders ATTACH PARTITION orders_old FOR VALUES FROM (1) TO (9)",
    by: By::Words(look),
};

fn look(step: &Step<'_>) -> Vec<(Option<usize>, String)> {
    step.each(|s| {
        let words = &s.words;
        let at = (0..words.len()).find(|&at| words.are(at, &["attach", "partition"])).map(|at| at + 2)?;
        let last = if words.is_symbol(at + 1, b'.') { at + 2 } else { at };
        let partition = words.name(last).filter(|_| s.is("alter", "table"))?;
        let is_its = |table: Option<&str>| table == Some(&*partition.to_lowercase());
        let is_checked = step.statements[..s.number].iter().any(|before| {
            let has_check = |at: usize| before.words.is(at, "check") || before.words.is(at, "validate");
            is_its(before.target.as_deref().and_then(|table| table.rsplit('.').next()))
                && (0..before.words.len()).any(has_check)
        });
        let is_new = step.made.tables.contains(&partition.to_lowercase());
        (!is_checked && !is_new).then(|| format!("reads all rows of {partition} while nobody may read or write it"))
    })
}
