//! The rules, one a file, and those of squawk in a table. A rule is data, and a function over one script.
//!
//! A new rule is a file here and a line in [`all`]; the reference page and the tests of its examples follow.

mod attach_partition;
mod changed_inheritance;
mod copying_alter;
mod data_beside_lock;
mod down_loses_data;
mod drop_column;
mod drop_function;
mod drop_owned;
mod drop_table;
mod drop_view;
mod exclusive_lock;
mod foreign_key_copies;
mod foreign_key_without_index;
mod ignored_duplicates;
mod implicit_commit;
mod large_text_index;
mod lock_tables;
mod missing_way_down;
mod narrowing_type;
mod not_null;
mod rename_column;
mod rename_table;
mod required_column;
mod rewrite_rule;
mod squawk_rules;
mod switched_off_checks;
mod table_rebuild;
mod unbatched_change;
mod unbatched_copy;
mod unlimited_lock_wait;
mod unused_suppression;

use super::{Statement, Step};
use crate::check::doctor::Severity;
use crate::model::engine::{Engine, EngineMap};

/// A rule: its metadata, and the way in which it looks.
#[derive(Clone, Copy)]
pub(crate) struct Rule {
    /// The name that suppressions use; that of squawk where it has the same rule.
    pub(crate) id: &'static str,
    pub(crate) engines: EngineMap<bool>,
    pub(crate) severity: Severity,
    /// The harm that it prevents.
    pub(crate) why: &'static str,
    /// The remedy, without a full stop.
    pub(crate) instead: &'static str,
    /// A script in which it finds something: the way up, and behind [`DOWN`] the way down.
    pub(crate) bad: &'static str,
    /// The same without a finding.
    pub(crate) good: &'static str,
    pub(super) by: By,
}

/// Whether MySQL and MariaDB may copy the table for a statement.
pub(super) fn copies_table(statement: &Statement<'_>) -> bool {
    copying_alter::may_copy(statement).is_some() || copying_alter::asks_for_it(statement).is_some()
}

/// The line between the ways of an example.
pub(crate) const DOWN: &str = "-- down\n";

/// The finder of a rule: the statement from 0, or none for the whole script, and the finding in words.
type Look = fn(&Step<'_>) -> Vec<(Option<usize>, String)>;

/// A finding about a table: another than the one that its statement changes, or one of several.
pub(in crate::check::lint) struct About {
    /// From 0.
    pub(in crate::check::lint) statement: usize,
    pub(in crate::check::lint) table: Option<String>,
    /// The finding in words.
    pub(in crate::check::lint) what: String,
}

#[derive(Clone, Copy)]
pub(super) enum By {
    /// A look at words and statements.
    Words(Look),
    /// The same, with the table whose rows count.
    Tables(fn(&Step<'_>) -> Vec<About>),
    /// The rule of squawk with the same name.
    Squawk(Scope),
}

/// The scripts in which a rule of squawk counts.
#[derive(Clone, Copy)]
pub(super) struct Scope {
    /// Also for tables that have no rows and no readers yet.
    pub(super) on_new_tables: bool,
    pub(super) on_the_way_down: bool,
}

impl Rule {
    /// The engines that it is for.
    pub(crate) fn on(&self) -> Vec<Engine> {
        self.engines.iter().filter(|(_, is_for)| **is_for).map(|(engine, _)| engine).collect()
    }

    /// Whether squawk looks.
    pub(crate) fn is_of_squawk(&self) -> bool {
        matches!(self.by, By::Squawk(_))
    }
}

const ALL: EngineMap<bool> = EngineMap { sqlite: true, postgres: true, mysql: true };
const MYSQL: EngineMap<bool> = EngineMap { sqlite: false, postgres: false, mysql: true };
const POSTGRES: EngineMap<bool> = EngineMap { sqlite: false, postgres: true, mysql: false };
const SQLITE: EngineMap<bool> = EngineMap { sqlite: true, postgres: false, mysql: false };

/// All rules, by their names.
pub(crate) fn all() -> Vec<Rule> {
    let own = [
        attach_partition::RULE,
        changed_inheritance::RULE,
        copying_alter::RULE,
        data_beside_lock::RULE,
        down_loses_data::RULE,
        drop_column::RULE,
        drop_function::RULE,
        drop_owned::RULE,
        drop_table::RULE,
        drop_view::RULE,
        exclusive_lock::RULE,
        foreign_key_copies::RULE,
        foreign_key_without_index::RULE,
        ignored_duplicates::RULE,
        implicit_commit::RULE,
        large_text_index::RULE,
        lock_tables::RULE,
        missing_way_down::RULE,
        narrowing_type::RULE,
        not_null::RULE,
        rename_column::RULE,
        rename_table::RULE,
        required_column::RULE,
        rewrite_rule::RULE,
        switched_off_checks::RULE,
        table_rebuild::RULE,
        unbatched_change::RULE,
        unbatched_copy::RULE,
        unlimited_lock_wait::RULE,
        unused_suppression::RULE,
    ];
    let mut all: Vec<Rule> = own.into_iter().chain(squawk_rules::rules()).collect();
    all.sort_by_key(|rule| rule.id);
    all
}

pub(crate) use squawk_rules::LEFT_OUT;

#[cfg(test)]
pub(crate) mod tests;
