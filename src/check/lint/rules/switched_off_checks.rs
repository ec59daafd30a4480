//! Foreign keys and triggers are switched off for a session.

use super::super::Statement;
use super::{By, Rule, Step};
use crate::check::doctor::Severity;
use crate::model::engine::EngineMap;

pub(super) const RULE: Rule = Rule {
    id: "switched-off-checks",
    engines: EngineMap { sqlite: false, postgres: true, mysql: true },
    severity: Severity::Warning,
    why: "Rows that break a foreign key or a check are written without an error, and nothing finds them later: no engine checks them \
          again when it is switched on.",
    instead: "write the rows in an order that the constraints allow, or defer the constraints (`SET CONSTRAINTS ALL DEFERRED`)",
    bad: "SET session_replication_role = replica;\nSET foreign_key_checks = 0",
    good: "SET session_replication_role = DEFAULT;\nSET foreign_key_checks = 1",
    by: By::Words(look),
};

/// Settings, and the values with which they check nothing.
const OFF: [(&str, &[&str]); 4] = [
    ("session_replication_role", &["replica"]),
    ("foreign_key_checks", &["0", "off", "false"]),
    ("unique_checks", &["0", "off", "false"]),
    ("check_constraint_checks", &["0", "off", "false"]),
];

/// The setting of these that a `SET` gives one of its values, with that value.
pub(super) fn set(s: &Statement<'_>, all: &[(&'static str, &[&str])]) -> Option<(&'static str, String)> {
    if !s.words.is(0, "set") {
        return None;
    }
    let value = |at: usize| s.words.string(at).unwrap_or_else(|| s.token(at)).to_lowercase();
    let name = |at: usize| s.words.name(at).unwrap_or_default().trim_start_matches('@').to_lowercase();
    (1..s.words.len()).find_map(|at| {
        let (setting, values) = all.iter().find(|(setting, _)| name(at) == *setting)?;
        let behind = (at + 1..s.words.len()).find(|&at| !matches!(&*s.token(at), "=" | ":" | "to"))?;
        values.contains(&&*value(behind)).then(|| (*setting, value(behind)))
    })
}

fn look(step: &Step<'_>) -> Vec<(Option<usize>, String)> {
    step.each(|s| {
        if s.actions().iter().any(|action| s.words.are(action.start, &["disable", "trigger"])) {
            let what = format!("the triggers of {} see no row from then on, nor its foreign keys with ALL", s.table());
            return (!s.is_new).then_some(what);
        }
        let (setting, value) = set(s, &OFF)?;
        Some(format!("{setting} = {value} lets rows in unchecked"))
    })
}
