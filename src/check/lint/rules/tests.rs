use std::sync::Arc;

use super::*;
use crate::check::lint::{Linted, Pair, Subject, lint};
use crate::model::engine::Engine;
use crate::model::schema::{Direction, Execution, Record, Script, Source};

/// A script as the folder of scripts gives it, with its comments.
fn script(engine: Engine, direction: Direction, text: &str, name: &str) -> Arc<Script> {
    let pieces = crate::sql::split(engine, text);
    let transaction = !text.contains("transaction=false") && engine.capabilities().transactional_ddl;
    Arc::new(Script {
        flavour: None,
        migration: name.into(),
        direction,
        engine,
        execution: Execution::Compiled { transaction },
        statements: pieces.iter().map(|piece| piece.text.to_owned()).collect(),
        sha256: String::new(),
        has_variables: false,
        record: Record::Script { checksum: "c".into(), repeatable: false },
        source: Some(Source { file: format!("{name}.sql"), lines: pieces.iter().map(|piece| piece.line).collect() }),
        online: None,
    })
}

pub(in crate::check::lint) fn pair(engine: Engine, text: &str, name: &str) -> Pair {
    let (up, down) = text.split_once(DOWN).map_or((text, None), |(up, down)| (up, Some(down)));
    let mut way_down = script(engine, Direction::Down, down.unwrap_or_default(), name);
    if down.is_none() {
        let reason = "it has no down part".to_owned();
        Arc::make_mut(&mut way_down).execution = Execution::Irreversible { reason };
    }
    Pair { up: script(engine, Direction::Up, up, name), down: way_down }
}

pub(in crate::check::lint) fn linted(engine: Engine, texts: &[&str]) -> Linted {
    let pairs: Vec<Pair> = texts.iter().zip(1..).map(|(text, n)| pair(engine, text, &format!("{n:04}"))).collect();
    let (chosen, is_new) = (vec![true; pairs.len()], vec![false; pairs.len()]);
    lint(&Subject { scripts: vec![(engine, pairs)], chosen, is_new, is_whole_fleet: true, allowed: Default::default() })
}

/// The rules that find something, without what is suppressed.
pub(crate) fn found(engine: Engine, texts: &[&str]) -> Vec<&'static str> {
    let findings = linted(engine, texts).findings.into_iter();
    findings.filter(|finding| finding.suppressed.is_none()).map(|finding| finding.rule).collect()
}

#[test]
fn each_rule_finds_its_bad_example_and_not_its_good_one_on_each_engine_it_is_for() {
    let mut wrong = Vec::new();
    let mut count = 0;
    for rule in all() {
        for engine in Engine::ALL.into_iter().filter(|engine| rule.engines[*engine]) {
            count += 1;
            for (text, is_bad) in [(rule.bad, true), (rule.good, false)] {
                // A pragma is for SQLite alone, and others can't read it.
                let is_read = |line: &&str| engine == Engine::OF_FILES || !line.starts_with("PRAGMA ");
                let text = text.lines().filter(is_read).collect::<Vec<_>>().join("\n");
                let result = linted(engine, &[&text]);
                let is_found = result.findings.iter().any(|f| f.rule == rule.id && f.suppressed.is_none());
                if is_found != is_bad || !result.not_analysed.is_empty() {
                    wrong.push(format!(
                        "{} on {engine}: {text}\n  {:?}",
                        rule.id,
                        (&result.findings, &result.not_analysed)
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(count > 90, "only {count} pairs");
}

#[test]
fn each_rule_of_squawk_is_used_or_left_out_with_a_reason() {
    use std::collections::BTreeSet;
    // The names come from the file of the crate itself, by way of its own list.
    let known: BTreeSet<String> =
        squawk_linter::Linter::from(every_rule()).rules.iter().map(ToString::to_string).collect();
    let all = all();
    let mut ours: BTreeSet<String> =
        all.iter().filter(|rule| matches!(rule.by, By::Squawk(_))).map(|rule| rule.id.to_owned()).collect();
    ours.extend(LEFT_OUT.iter().map(|(id, _)| (*id).to_owned()));
    assert_eq!(known, ours);
    let ids: BTreeSet<&str> = all.iter().map(|rule| rule.id).collect();
    assert_eq!(ids.len(), all.len(), "two rules have one name");
}

fn every_rule() -> impl Iterator<Item = squawk_linter::Rule> {
    enum_iterator::all::<squawk_linter::Rule>()
}
