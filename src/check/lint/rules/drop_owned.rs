//! All that a role owns is dropped.

use super::{By, POSTGRES, Rule, Step};
use crate::check::doctor::Severity;

pub(super) const RULE: Rule = Rule {
    id: "ban-drop-owned",
    engines: POSTGRES,
    severity: Severity::Error,
    why: "DROP OWNED drops each table, view and function that the role owns in the database, whatever is in them, and no way down brings \
          the rows back.",
    instead: "drop by name what should go, or give it to another role first (`REASSIGN OWNED`)",
    bad: "DROP OWNED BY app",
    good: "SELECT 1",
    by: By::Words(look),
};

fn look(step: &Step<'_>) -> Vec<(Option<usize>, String)> {
    step.each(|s| s.words.are(0, &["drop", "owned"]).then(|| "drops all that the role owns, its tables too".to_owned()))
}
