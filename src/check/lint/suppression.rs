//! Suppressions, each with its reason: `-- fleet: allow=RULE reason` in a script, `allow` of the tenant file.

use std::collections::{BTreeMap, BTreeSet};

use super::known::Known;
use super::{Finding, Place, Step, rules};
use crate::check::doctor::Severity;
use crate::model::engine::Engine;
use crate::model::schema::{Direction, Script};
use crate::sql::statement::{allowed, fleet_comment};

/// Those of one script.
pub(super) struct Suppressions {
    /// The statement, or none for all of them; the rule and the reason.
    all: Vec<(Option<usize>, String, String)>,
}

impl Suppressions {
    pub(super) fn of(step: &Step<'_>, file: Option<&BTreeMap<String, String>>) -> Self {
        let mut all: Vec<(Option<usize>, String, String)> = Vec::new();
        for (number, rule, reason) in written(step.engine, step.script) {
            // Those of the head are for the whole script.
            all.push((if number == 0 { None } else { Some(number) }, rule, reason));
        }
        let file = file.into_iter().flatten();
        all.extend(file.map(|(rule, reason)| (None, rule.clone(), reason.clone())));
        Suppressions { all }
    }

    /// The reason why a rule's finding does not count.
    pub(super) fn reason(&self, rule: &str, statement: Option<usize>) -> Option<String> {
        let fits = |of: &Option<usize>| of.is_none() || *of == statement;
        self.all.iter().find(|(of, id, _)| id == rule && fits(of)).map(|(.., reason)| reason.clone())
    }
}

/// The suppressions in the comments of a script: the statement from 0, the rule and the reason.
fn written(engine: Engine, script: &Script) -> Vec<(usize, String, String)> {
    let mut all = Vec::new();
    for (number, sql) in script.statements.iter().enumerate().filter(|(_, sql)| sql.contains("fleet:")) {
        for (comment, _) in super::Statement::new(engine, number, sql).comments(engine) {
            let words = fleet_comment(&comment).and_then(allowed);
            all.extend(words.map(|(rule, reason)| (number, rule.to_owned(), reason.to_owned())));
        }
    }
    all
}

/// The rule of a suppression that suppresses nothing.
pub(super) const UNUSED: &str = "unused-suppression";

/// The suppressions that no finding needed, on engines that their rule is for.
pub(super) fn unused(
    work: &[(usize, &Script, &Script, &Known)],
    file: &BTreeMap<String, BTreeMap<String, String>>,
    findings: &[Finding],
    engines: &[Engine],
) -> Vec<Finding> {
    let is_used = |migration: &str, rule: &str, reason: &str| {
        findings
            .iter()
            .any(|f| f.place.migration == migration && f.rule == rule && f.suppressed.as_deref() == Some(reason))
    };
    let all = rules::all();
    // A rule that no engine here has was meant for another fleet of the same scripts.
    let is_for_others = |id: &str| {
        let rule = all.iter().find(|rule| rule.id == id);
        rule.is_some_and(|rule| !engines.iter().any(|engine| rule.engines[*engine]))
    };
    let mut seen = BTreeSet::new();
    let mut out = Vec::new();
    let mut tell = |place: Place, rule: &str, reason: &str| {
        let key = (place.migration.clone(), place.file.clone(), rule.to_owned(), reason.to_owned());
        if is_for_others(rule) || is_used(&place.migration, rule, reason) || !seen.insert(key) {
            return;
        }
        let what = match all.iter().any(|known| known.id == rule) {
            true => format!("`{rule}` is suppressed ({reason}), and there is nothing to suppress"),
            false => format!("`{rule}` is suppressed ({reason}), and no rule has that name"),
        };
        let (severity, instead) = (Severity::Warning, "remove it, or correct the name of the rule");
        out.push(Finding {
            rule: UNUSED,
            severity,
            engines: engines.to_vec(),
            table: None,
            place,
            what,
            instead,
            suppressed: None,
        });
    };
    for (index, script, ..) in work {
        for (number, rule, reason) in written(script.engine, script) {
            let source = script.source.as_ref();
            let place = Place {
                index: *index,
                migration: script.migration.to_string(),
                direction: script.direction,
                file: source.map(|source| source.file.clone()),
                line: source.and_then(|source| source.lines.get(number)).copied().unwrap_or(0),
                statement: number + 1,
            };
            tell(place, &rule, &reason);
        }
    }
    for (migration, rules) in file {
        for (rule, reason) in rules {
            let (migration, file) = (migration.clone(), None);
            let place = Place { index: usize::MAX, migration, direction: Direction::Up, file, line: 0, statement: 0 };
            tell(place, rule, reason);
        }
    }
    out
}
