//! An index over long texts, on MySQL and MariaDB.

use super::{By, MYSQL, Rule, Step};
use crate::check::doctor::Severity;
use crate::sql::lex::Kind;

pub(super) const RULE: Rule = Rule {
    id: "large-text-index",
    engines: MYSQL,
    severity: Severity::Warning,
    why: "A FULLTEXT index locks the table for writes while it is built, and the first one rebuilds it. A prefix of more than 255 \
          characters comes near the limit of 3,072 bytes a key, and makes every write slower.",
    instead: "index a shorter prefix, or a generated column with a hash; build FULLTEXT in a maintenance window, and suppress this with it",
    bad: "CREATE FULLTEXT INDEX notes_text ON notes (body)",
    good: "CREATE INDEX notes_text ON notes (body(64))",
    by: By::Words(look),
};

fn look(step: &Step<'_>) -> Vec<(Option<usize>, String)> {
    step.each(|s| {
        let is_index = s.is("create", "index")
            || s.actions().iter().any(|a| s.words.is(a.start, "add") && s.has_in(a, &["index", "key"]));
        let is_fulltext = s.has_outside("fulltext") && (is_index || s.is("alter", "table"));
        let is_long = |at: usize| {
            s.words.kind(at) == Some(Kind::Number)
                && s.words.written(at).and_then(|n| n.parse::<u64>().ok()).is_some_and(|n| n > 255)
        };
        let has_long_prefix = is_index && (1..s.words.len()).any(|at| is_long(at) && s.words.is_symbol(at - 1, b'('));
        (!s.is_just_made && (is_fulltext || has_long_prefix))
            .then(|| format!("an index over long texts of {}", s.table()))
    })
}
