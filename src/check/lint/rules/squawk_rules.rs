//! squawk's rules for PostgreSQL, with our severity, words and examples; `squawk-linter` looks.

mod form;
mod readers;

use super::{By, POSTGRES, Rule, Scope};
use crate::check::doctor::Severity;

/// Tables with rows and readers, on the way up: what breaks a program that still runs.
const READERS: Scope = Scope { on_new_tables: false, on_the_way_down: false };
/// The same on the way down: what locks or rewrites a table.
const LOCKS: Scope = Scope { on_new_tables: false, on_the_way_down: true };
/// New tables too: the form of what is made.
const SHAPE: Scope = Scope { on_new_tables: true, on_the_way_down: false };
/// Everywhere: mistakes.
const ALWAYS: Scope = Scope { on_new_tables: true, on_the_way_down: true };

/// Rules of squawk that are not used, each with the reason.
pub(crate) const LEFT_OUT: [(&str, &str); 13] = [
    ("require-lock-timeout", "fleet sets `lock_timeout` around every migration"),
    ("require-statement-timeout", "fleet sets `statement_timeout` around every migration"),
    ("require-timeout-settings", "both of the above"),
    ("require-table-schema", "a tenant may be a schema, and a script that names one is refused there"),
    ("prefer-repack", "its statement needs PostgreSQL 19"),
    ("unused-ignore", "fleet tells its own suppressions that suppress nothing"),
    ("ban-drop-column", "fleet's own rule of that name is for all engines"),
    ("ban-drop-table", "fleet's own rule of that name is for all engines"),
    ("ban-drop-view", "fleet's own rule of that name is for all engines"),
    ("ban-drop-function", "fleet's own rule of that name is for all engines that have functions"),
    ("renaming-column", "fleet's own rule of that name is for all engines"),
    ("renaming-table", "fleet's own rule of that name is for all engines"),
    ("adding-required-field", "fleet's own rule of that name is for all engines"),
];

/// A row: why, what to write instead, and an example before and after.
const fn row(id: &'static str, severity: Severity, scope: Scope, texts: [&'static str; 4]) -> Rule {
    let [why, instead, bad, good] = texts;
    Rule { id, engines: POSTGRES, severity, why, instead, bad, good, by: By::Squawk(scope) }
}

/// All of them.
pub(super) fn rules() -> impl Iterator<Item = Rule> {
    form::RULES.into_iter().chain(readers::RULES)
}
