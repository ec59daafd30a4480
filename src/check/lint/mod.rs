//! The findings of `fleet lint`: rules over the statements that migrations send, on each engine and in both directions.
//!
//! Pure: texts in, findings out. A rule is one file in `rules/`, or one row of the table of squawk's; see [`rules::all`].

mod calls;
mod known;
pub(crate) mod live;
mod locks;
mod merge;
mod objects;
pub(crate) mod rules;
mod settings;
mod squawk;
mod statement;
mod suppression;
mod tables;
mod types;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rayon::prelude::*;
use serde::Serialize;

use super::doctor::Severity;
use crate::model::engine::{Engine, EngineMap};
use crate::model::schema::{Direction, Execution, Script};
use crate::sql::guard::guards;
use crate::sql::{MadeKind, made};
use known::Known;
pub(crate) use locks::locks;
use objects::Object;
pub(crate) use rules::Rule;
use statement::Statement;
use suppression::Suppressions;

/// The rules whose findings say that rows are lost, which no way down brings back.
pub(crate) const LOSSES: [&str; 5] =
    ["ban-drop-column", "ban-drop-owned", "ban-drop-table", "down-loses-data", "ignored-duplicates"];

/// The migrations to lint.
pub(crate) struct Subject {
    /// The scripts of the whole catalog by engine, in its order: of later ones a rule asks what earlier ones made.
    pub(crate) scripts: Vec<(Engine, Vec<Pair>)>,
    /// Whether the migration at this index is linted; the others are only known.
    pub(crate) chosen: Vec<bool>,
    /// Whether the migration at this index is not applied anywhere yet: the tables that it makes have no rows and no readers.
    pub(crate) is_new: Vec<bool>,
    /// Whether every engine of the fleet is among them, so that a suppression without a finding is one too many.
    pub(crate) is_whole_fleet: bool,
    /// The suppressions in the tenant file: the reason, by migration and rule.
    pub(crate) allowed: BTreeMap<String, BTreeMap<String, String>>,
}

/// A migration on one engine.
#[derive(Debug, Clone)]
pub(crate) struct Pair {
    pub(crate) up: Arc<Script>,
    pub(crate) down: Arc<Script>,
}

/// The position of a finding.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct Place {
    /// The index of the migration in the catalog; the order of findings, not shown.
    #[serde(skip)]
    pub(crate) index: usize,
    pub(crate) migration: String,
    pub(crate) direction: Direction,
    /// The file of an SQL script; none for a Rust migration.
    pub(crate) file: Option<String>,
    /// From 1; 0 for the whole file, or where there is none.
    pub(crate) line: usize,
    /// The statement, from 1; 0 for all of them.
    pub(crate) statement: usize,
}

/// A finding: the same on several engines is one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    pub(crate) rule: &'static str,
    pub(crate) severity: Severity,
    pub(crate) engines: Vec<Engine>,
    /// The table that the statement is about, in lower case and without its schema.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) table: Option<String>,
    #[serde(flatten)]
    pub(crate) place: Place,
    /// The finding, in words.
    pub(crate) what: String,
    /// The remedy.
    pub(crate) instead: &'static str,
    /// The reason of a suppression.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) suppressed: Option<String>,
}

/// Something that no rule has read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct NotAnalysed {
    pub(crate) engines: Vec<Engine>,
    #[serde(flatten)]
    pub(crate) place: Place,
    pub(crate) why: String,
}

/// The result of a lint.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Linted {
    /// In catalog order; the suppressed ones are among them.
    pub(crate) findings: Vec<Finding>,
    pub(crate) not_analysed: Vec<NotAnalysed>,
    /// Number of statements read, on all engines.
    pub(crate) statements: usize,
}

impl Linted {
    /// Number of findings of this severity or a higher one that are not suppressed.
    pub(crate) fn counted(&self, least: Severity) -> usize {
        self.findings.iter().filter(|f| f.severity <= least && f.suppressed.is_none()).count()
    }
}

/// A rule's finding in one script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hit {
    rule: &'static str,
    /// The statement, from 0; none for the script as a whole.
    statement: Option<usize>,
    /// The byte offset in the statement's text.
    at: usize,
    what: String,
    /// In the place of the table that the statement changes.
    table: Option<String>,
}

/// The objects of one namespace: the words that make them, and their kinds where they are made within code.
pub(super) struct Kinds {
    names: &'static [&'static str],
    hold: fn(MadeKind) -> bool,
}

/// One migration in one direction on one engine, as a rule sees it.
pub(crate) struct Step<'a> {
    engine: Engine,
    script: &'a Script,
    up: &'a Script,
    statements: Vec<Statement<'a>>,
    /// The tables and columns that the way up makes.
    made: Known,
    /// The catalog's indexes on this engine.
    all: &'a Known,
}

impl Step<'_> {
    fn is_up(&self) -> bool {
        self.script.direction == Direction::Up
    }

    /// Whether all statements are committed together.
    fn in_transaction(&self) -> bool {
        match self.script.execution {
            Execution::Compiled { transaction } | Execution::Native { transaction, .. } => transaction,
            Execution::Irreversible { .. } => false,
        }
    }

    /// A finding of each statement about each of the tables that `look` tells, with its words.
    fn each_table(&self, look: impl Fn(&Statement<'_>) -> Vec<(Option<String>, String)>) -> Vec<rules::About> {
        let of = |s: &Statement<'_>| {
            look(s)
                .into_iter()
                .map(|(table, what)| rules::About { statement: s.number, table, what })
                .collect::<Vec<_>>()
        };
        self.statements.iter().flat_map(of).collect()
    }

    /// The statements for which `look` has something to tell.
    fn each(&self, look: impl Fn(&Statement<'_>) -> Option<String>) -> Vec<(Option<usize>, String)> {
        self.statements.iter().filter_map(|s| look(s).map(|what| (Some(s.number), what))).collect()
    }

    /// The objects that a `DROP` names from a place on, without those that another statement makes: readers wait for them, or
    /// never had them.
    fn lost(&self, s: &Statement<'_>, from: usize, kinds: &Kinds) -> Vec<String> {
        let others = self.statements.iter().filter(|other| other.number != s.number);
        let made = others.flat_map(|other| match other.made_object(kinds.names) {
            Some(made) => vec![made],
            None => {
                let made = made(self.engine, other.sql).into_iter().filter(|made| (kinds.hold)(made.kind));
                made.map(|made| Object::named(made.name)).collect()
            }
        });
        let made: Vec<Object> = made.collect();
        let dropped = s.objects_behind(s.skip(from, &["if", "exists"])).into_iter();
        dropped.filter(|object| !made.iter().any(|made| made.may_be(object))).map(|object| object.shown()).collect()
    }

    /// Whether a repeatable script makes a table again that it drops: its rows are derived, and it fills them each time.
    fn is_filled_anew(&self, table: &str, from: usize) -> bool {
        let later = &self.statements[from..];
        self.script.record.is_repeatable()
            && later.iter().any(|s| s.is("create", "table") && s.target.as_deref() == Some(table))
    }

    /// The tables that a statement puts in the place of old ones, which were dropped or renamed before, each with the statement that
    /// made the new one.
    fn rebuilt_by<'s>(&'s self, s: &'s Statement<'_>) -> Vec<(String, &'s Statement<'s>)> {
        let before = &self.statements[..s.number];
        let is_gone = |table: &String| {
            self.statements[..=s.number].iter().any(|old| {
                let is_renamed = !old.is_new && old.renames().iter().any(|(from, _)| from == table);
                is_renamed || old.lost_tables.contains(table)
            })
        };
        let makes = |s: &Statement<'_>, table: &String| s.is("create", "table") && s.target.as_ref() == Some(table);
        let renamed = s.renames().into_iter().filter_map(|(from, to)| {
            let made = before.iter().rfind(|made| makes(made, &from)).filter(|_| is_gone(&to))?;
            Some((to, made))
        });
        let made = s.target.clone().filter(|table| makes(s, table) && !s.is_conditional() && is_gone(table));
        renamed.chain(made.map(|table| (table, s))).collect()
    }

    /// Whether a later statement makes a table of this name again, as the end of a rebuild does.
    fn is_rebuilt(&self, table: &str, from: usize) -> bool {
        self.statements[from..].iter().any(|s| s.renames().iter().any(|(_, to)| to == table))
    }
}

/// The stack of a thread: the parser of others calls itself for each level of an expression.
const STACK: usize = 64 << 20;

/// Lints the chosen migrations on all cores.
pub(crate) fn lint(subject: &Subject) -> Linted {
    match rayon::ThreadPoolBuilder::new().stack_size(STACK).build() {
        Ok(pool) => pool.install(|| on_all_cores(subject)),
        Err(_) => on_all_cores(subject),
    }
}

fn on_all_cores(subject: &Subject) -> Linted {
    let rules = rules::all();
    let catalogs: Vec<(Engine, &[Pair], Known)> = subject
        .scripts
        .iter()
        .map(|(engine, pairs)| {
            let known: Vec<Known> = pairs.par_iter().map(|pair| Known::of(&pair.up)).collect();
            (*engine, &pairs[..], Known::merged(known))
        })
        .collect();
    let new: EngineMap<Known> = EngineMap::from_fn(|engine| {
        let pairs = catalogs.iter().filter(|(of, ..)| *of == engine).flat_map(|(_, pairs, _)| pairs.iter());
        let new = pairs.zip(&subject.is_new).filter(|(_, is_new)| **is_new);
        Known::merged(new.map(|(pair, _)| Known::of(&pair.up)))
    });
    let work: Vec<(usize, &Script, &Script, &Known)> = catalogs
        .iter()
        .flat_map(|(_, pairs, all)| pairs.iter().enumerate().map(move |(index, pair)| (index, pair, all)))
        .filter(|(index, ..)| subject.chosen[*index])
        .flat_map(|(index, pair, all)| [(index, &*pair.up, all, pair), (index, &*pair.down, all, pair)])
        .filter(|(_, script, ..)| script.direction == Direction::Up || !script.record.is_taken_down())
        .map(|(index, script, all, pair)| (index, script, &*pair.up, all))
        .collect();
    let looked: Vec<Linted> = work
        .par_iter()
        .map(|&(index, script, up, all)| {
            let allowed = subject.allowed.get(&*script.migration);
            one(&rules, index, &step(script, up, all, &new[script.engine]), allowed)
        })
        .collect();
    let mut linted = merge::merged(looked);
    let mut engines: Vec<Engine> = subject.scripts.iter().map(|(engine, _)| *engine).collect();
    engines.dedup();
    let is_whole = subject.is_whole_fleet && subject.chosen.iter().all(|chosen| *chosen);
    if is_whole {
        linted.findings.extend(suppression::unused(&work, &subject.allowed, &linted.findings, &engines));
    }
    linted
}

fn step<'a>(script: &'a Script, up: &'a Script, all: &'a Known, new: &Known) -> Step<'a> {
    // A guard's table holds what the migration refuses, and goes again.
    let of_guards: Vec<usize> = guards(script.engine, &script.statements).iter().map(|guard| guard.at).collect();
    let (mut made, mut sure) = (Known::default(), BTreeSet::<String>::new());
    let mut statements: Vec<Statement<'a>> = Vec::new();
    for (number, sql) in script.statements.iter().enumerate() {
        let mut statement = Statement::new(script.engine, number, sql);
        // On the way down the tables of the way up have had readers and rows since.
        let is_up = script.direction == Direction::Up;
        let is_just_made = |table: &String| made.tables.contains(table) || (is_up && new.tables.contains(table));
        let is_new = |table: &String| sure.contains(table) || (is_up && new.tables.contains(table));
        statement.is_just_made = statement.target.as_ref().is_some_and(is_just_made);
        statement.is_new = statement.target.as_ref().is_some_and(is_new);
        let dropped = statement.dropped_tables();
        statement.lost_tables = dropped.iter().filter(|table| !is_new(table)).cloned().collect();
        statement.old_tables = statement.listed_tables().into_iter().filter(|table| !is_new(table)).collect();
        let renamed = statement.renames().into_iter().filter(|(from, _)| is_new(from)).map(|(_, to)| to);
        let renamed: Vec<String> = renamed.collect();
        made.add(&statement);
        // Behind a DROP, the name may be that of a table which was there before.
        for table in &dropped {
            made.tables.remove(table);
            sure.remove(table);
        }
        if let Some(table) = statement
            .target
            .as_ref()
            .filter(|_| statement.is("create", "table") && (!statement.is_conditional() || of_guards.contains(&number)))
        {
            sure.insert(table.clone());
        }
        sure.extend(statement.made_view());
        sure.extend(renamed);
        statements.push(statement);
    }
    let made = if script.direction == Direction::Up { made } else { Known::of(up) };
    Step { engine: script.engine, script, up, statements, made, all }
}

fn one(rules: &[Rule], index: usize, step: &Step<'_>, allowed: Option<&BTreeMap<String, String>>) -> Linted {
    let script = step.script;
    let mut hits: Vec<Hit> = Vec::new();
    for rule in rules.iter().filter(|rule| rule.engines[step.engine]) {
        let found: Vec<(Option<usize>, String, Option<String>)> = match rule.by {
            rules::By::Words(look) => look(step).into_iter().map(|(at, what)| (at, what, None)).collect(),
            rules::By::Tables(look) => {
                look(step).into_iter().map(|found| (Some(found.statement), found.what, found.table)).collect()
            }
            rules::By::Squawk(_) => continue,
        };
        hits.extend(found.into_iter().map(|(statement, what, table)| {
            let at = statement.map_or(0, |at| step.statements[at].begin());
            Hit { rule: rule.id, statement, at, what, table }
        }));
    }
    let (found, mut not_read) = squawk::lint(step, rules);
    hits.extend(found);
    not_read.extend(step.statements.iter().filter_map(|s| s.not_read().map(|why| (Some(s.number), why))));
    if let Execution::Native { reason, .. } = &script.execution {
        not_read.push((
            None,
            format!("it runs natively, because {reason}: only what it sends without a database was read"),
        ));
    }
    not_read.sort_by_key(|(statement, _)| *statement);
    not_read.dedup_by_key(|(statement, _)| *statement);
    let suppressions = Suppressions::of(step, allowed);
    let findings = hits.into_iter().filter_map(|hit| {
        let rule = rules.iter().find(|rule| rule.id == hit.rule)?;
        let suppressed = suppressions.reason(rule.id, hit.statement);
        Some(Finding {
            rule: rule.id,
            severity: rule.severity,
            engines: vec![step.engine],
            table: hit.table.or_else(|| step.statements[hit.statement?].target.clone()).map(|table| bare(&table)),
            place: place(index, step, hit.statement, hit.at),
            what: hit.what,
            instead: rule.instead,
            suppressed,
        })
    });
    let note = |(statement, why): (Option<usize>, String)| {
        let at = statement.map_or(0, |at| step.statements[at].begin());
        NotAnalysed { engines: vec![step.engine], place: place(index, step, statement, at), why }
    };
    Linted {
        findings: findings.collect(),
        not_analysed: not_read.into_iter().map(note).collect(),
        statements: script.statements.len(),
    }
}

/// A table in lower case and without its schema, as catalogs of engines are asked for it.
fn bare(table: &str) -> String {
    table.rsplit('.').next().unwrap_or(table).to_lowercase()
}

fn place(index: usize, step: &Step<'_>, statement: Option<usize>, at: usize) -> Place {
    let script = step.script;
    let line = |number: usize| {
        let first = *script.source.as_ref()?.lines.get(number)?;
        let statement = &step.statements[number];
        let between = statement.sql.get(statement.begin()..at).unwrap_or_default();
        Some(first + between.bytes().filter(|b| *b == b'\n').count())
    };
    Place {
        index,
        migration: script.migration.to_string(),
        direction: script.direction,
        file: script.source.as_ref().or(step.up.source.as_ref()).map(|source| source.file.clone()),
        line: statement.and_then(line).unwrap_or(0),
        statement: statement.map_or(0, |number| number + 1),
    }
}

#[cfg(test)]
mod tests;
