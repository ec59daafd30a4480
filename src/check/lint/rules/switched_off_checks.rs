//! Foreign keys, checks, triggers and strict values are switched off for a session.

use super::super::Statement;
use super::super::settings::Given;
use super::{ALL, By, Rule, Step};
use crate::check::doctor::Severity;

pub(super) const RULE: Rule = Rule {
    id: "switched-off-checks",
    engines: ALL,
    severity: Severity::Warning,
    why: "Rows that break a foreign key or a check are written without an error, and nothing finds them later: no engine checks them \
          again when it is switched on. Without a strict `sql_mode`, MySQL and MariaDB cut a value that does not fit. A dump is no finding: it switches them on again, and writes rows of its own tables alone.",
    instead: "write the rows in an order that the constraints allow, or defer the constraints (`SET CONSTRAINTS ALL DEFERRED`)",
    bad: "SET session_replication_role = replica;\nSET foreign_key_checks = 0;\nSET sql_mode = '';\nPRAGMA ignore_check_constraints = ON",
    good: "SET session_replication_role = DEFAULT;\nSET foreign_key_checks = 1;\nSET sql_mode = DEFAULT;\nPRAGMA ignore_check_constraints = OFF",
    by: By::Words(look),
};

/// Settings, the value with which they check nothing, and the harm.
const OFF: [(&str, &str, &str); 6] = [
    ("session_replication_role", "replica", ROWS),
    ("foreign_key_checks", "off", ROWS),
    ("unique_checks", "off", ROWS),
    ("check_constraint_checks", "off", ROWS),
    ("ignore_check_constraints", "on", ROWS),
    (
        "writable_schema",
        "on",
        "lets the schema be written as text, which nothing checks, and a slip makes the file unreadable",
    ),
];
const ROWS: &str = "lets rows in unchecked";

/// The harm of a setting that checks nothing.
fn harm(given: &Given) -> Option<&'static str> {
    let value = match given.value.as_str() {
        "false" => "off",
        number if !number.is_empty() && number.bytes().all(|digit| digit == b'0') => "off",
        other => other,
    };
    OFF.iter().find(|(name, off, _)| given.name == *name && value == *off).map(|(.., harm)| *harm)
}

/// Whether values that do not fit are cut from a statement on, and it changes rows or tables before they are refused again. The head of
/// a dump sets the modes and its end sets them back.
fn cuts_values(step: &Step<'_>, s: &Statement<'_>) -> bool {
    let behind = &step.statements[s.number + 1..];
    let end = behind.iter().position(|s| s.strict_mode() == Some(true));
    let is_write = |s: &Statement<'_>| {
        let is_change =
            s.is_data_change() || ["insert", "replace"].contains(&s.verb().as_str()) || !s.actions().is_empty();
        is_change && !s.is_new
    };
    s.strict_mode() == Some(false) && end.is_none_or(|end| behind[..end].iter().any(is_write))
}

/// Whether it is switched on again, and until then only tables are written that were made meanwhile and refer to no others: dumps
/// do so, and their rows were checked where they come from.
fn is_of_dump(step: &Step<'_>, s: &Statement<'_>, off: &Given) -> bool {
    let behind = &step.statements[s.number + 1..];
    let is_on = |s: &Statement<'_>| s.settings().iter().any(|given| given.name == off.name && harm(given).is_none());
    let Some(end) = behind.iter().position(is_on) else { return false };
    let is_own = |s: &Statement<'_>| {
        let others = (0..s.words.len()).filter(|&at| s.words.is_after(at, "references")).any(|at| {
            let table = s.words.name(at).unwrap_or_default().to_lowercase();
            !step.made.tables.contains(&table)
        });
        let is_write =
            s.is_data_change() || ["insert", "replace"].contains(&s.verb().as_str()) || !s.actions().is_empty();
        !others && (s.is_new || !is_write)
    };
    behind[..end].iter().any(|s| s.is("create", "table")) && behind[..end].iter().all(is_own)
}

fn look(step: &Step<'_>) -> Vec<(Option<usize>, String)> {
    step.each(|s| {
        if s.actions().iter().any(|action| s.words.are(action.start, &["disable", "trigger"])) {
            let what = format!("the triggers of {} see no row from then on, nor its foreign keys with ALL", s.table());
            return (!s.is_new).then_some(what);
        }
        if cuts_values(step, s) {
            return Some(
                "sql_mode without STRICT_TRANS_TABLES: values that do not fit are cut without an error".to_owned(),
            );
        }
        let (off, harm) = s.settings().into_iter().find_map(|given| harm(&given).map(|harm| (given, harm)))?;
        (!is_of_dump(step, s, &off)).then(|| format!("{} = {} {harm}", off.name, off.value))
    })
}
