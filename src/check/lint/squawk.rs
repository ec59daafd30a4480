//! squawk's rules on PostgreSQL, as findings of ours. It decides no severity: that is in [`super::rules`].

use std::ops::Range;

use squawk_linter::{Linter, Rule as SquawkRule};
use squawk_syntax::SourceFile;

use super::rules::By;
use super::statement::Statement;
use super::types::SERIAL;
use super::{Hit, Rule, Step};
use crate::model::engine::EngineMap;

/// Statements that were not read, each with the reason.
type NotRead = Vec<(Option<usize>, String)>;

type Linted = (Vec<Hit>, NotRead);

type Lint = fn(&Step<'_>, &[Rule]) -> Linted;

/// The linter of others, by engine.
const LINTERS: EngineMap<Option<Lint>> = EngineMap { sqlite: None, postgres: Some(postgres), mysql: None };

/// The findings of the linter that others made for this engine, if there is one.
pub(super) fn lint(step: &Step<'_>, rules: &[Rule]) -> Linted {
    LINTERS[step.engine].map(|lint| lint(step, rules)).unwrap_or_default()
}

fn postgres(step: &Step<'_>, rules: &[Rule]) -> Linted {
    // One text: some rules look at the statements before.
    let (mut text, mut begins) = (String::new(), Vec::with_capacity(step.statements.len()));
    let mut not_read: NotRead = Vec::new();
    for statement in &step.statements {
        begins.push(text.len());
        match statement.too_deep() {
            Some(why) => not_read.push((Some(statement.number), why)),
            // A suppression needs a reason, and squawk's own have none.
            None => text.push_str(&statement.sql.replace("squawk-ignore", "squawk_ignore")),
        }
        text.push_str("\n;\n");
    }
    let place = |offset: usize| {
        let number = begins.partition_point(|begin| *begin <= offset).checked_sub(1)?;
        Some((number, offset - begins[number]))
    };
    let parse = SourceFile::parse(&text);
    for error in parse.errors() {
        let Some((number, _)) = place(error.range().start().into()) else { continue };
        if not_read.last().is_none_or(|(last, _)| *last != Some(number)) {
            not_read.push((Some(number), format!("squawk's parser does not know it: {}", error.message())));
        }
    }
    let wanted = rules.iter().filter_map(|rule| match &rule.by {
        By::Squawk(scope) if step.is_up() || scope.on_the_way_down => rule.id.parse::<SquawkRule>().ok(),
        _ => None,
    });
    let mut linter = Linter::from(wanted);
    linter.settings.assume_in_transaction = step.in_transaction();
    let mut hits = Vec::new();
    for violation in linter.lint(&parse, &text) {
        let code = violation.code.to_string();
        let Some(rule) = rules.iter().find(|rule| rule.id == code) else { continue };
        let By::Squawk(scope) = &rule.by else { continue };
        let Some((number, at)) = place(violation.text_range.start().into()) else { continue };
        if not_read.iter().any(|(statement, _)| *statement == Some(number)) {
            continue;
        }
        let statement = &step.statements[number];
        let is_new = if scope.on_the_way_down { statement.is_just_made } else { statement.is_new };
        if is_new && !scope.on_new_tables {
            continue;
        }
        if rule.id == "adding-field-with-default" && statement.has_constant_defaults() {
            continue;
        }
        if rule.id == "changing-column-type" && step.all.only_widens(statement) {
            continue;
        }
        let what = violation.message.trim_end_matches('.').to_owned();
        let hit = Hit { rule: rule.id, statement: Some(number), at, what, table: None };
        if !hits.contains(&hit) {
            hits.push(hit);
        }
    }
    hits.extend(step.statements.iter().filter_map(serial));
    (hits, not_read)
}

/// A column with a sequence of its own, which numbers all rows that are there; squawk looks at `DEFAULT` and `GENERATED` only.
fn serial(s: &Statement<'_>) -> Option<Hit> {
    let is_serial = |column: &Range<usize>| SERIAL.iter().any(|of| s.words.is(column.start, of));
    let added = s.added_columns().into_iter().map(|(_, column)| column);
    let column = added.into_iter().find(is_serial).filter(|_| !s.is_just_made)?;
    let what = format!("`{}` takes a number for each row: the table is rewritten", s.words.as_written(column.start));
    let rule = "adding-field-with-default";
    Some(Hit { rule, statement: Some(s.number), at: s.words.start(column.start), what, table: None })
}
