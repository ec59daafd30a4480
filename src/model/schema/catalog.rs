//! The catalog of migrations, and the state of a tenant's history compared with it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Serialize};

use super::Direction;
use super::reading::Reading;
use crate::model::engine::{Variant, VariantMap};
use crate::model::text::distance;

/// The ordered migrations that the binary knows: Rust migrations, then versioned SQL scripts, then repeatable ones.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Catalog {
    /// Names in the order in which they are applied.
    pub(crate) migrations: Vec<Arc<str>>,
    /// The table in each tenant that records applied migrations, `seaql_migrations` unless the migrator says otherwise.
    pub(crate) history_table: String,
    /// The SQL scripts: the tail of `migrations`, in the same order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) scripts: Vec<ScriptEntry>,
    /// By place, the names that a migration replaces, as [`names_of`](super::names_of) reads them: a tenant with all of them has it.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) replaces: BTreeMap<usize, Vec<Arc<str>>>,
    /// The places by name.
    #[serde(skip)]
    pub(crate) places: Places,
}

/// The places of the migrations by name, computed on first use, behind which no name is added.
#[derive(Debug, Clone, Default)]
pub(crate) struct Places(OnceLock<HashMap<Arc<str>, usize>>);

/// They follow from the names.
impl PartialEq for Places {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Places {}

/// An SQL script in the catalog.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct ScriptEntry {
    pub(crate) kind: ScriptKind,
    /// Its checksum by variant: each may have its own file.
    pub(crate) checksums: VariantMap<Arc<str>>,
}

/// The kind of an SQL script, by how often it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, strum::IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub(crate) enum ScriptKind {
    /// Once on each tenant, in the order of versions.
    Versioned,
    /// After all versioned ones, again whenever its text has changed.
    Repeatable,
}

/// The checksum of a script on an engine without a file for it: SHA-256 of the empty string.
pub(crate) const NOTHING: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// The text of a history entry: the name, and for an SQL script, after a tab, the checksum it was applied with. Names
/// contain no control characters, so the tab is unambiguous.
pub(crate) fn history_entry(name: &str, checksum: Option<&str>) -> String {
    match checksum {
        Some(checksum) => format!("{name}\t{checksum}"),
        None => name.to_owned(),
    }
}

/// The name in a [`history_entry`].
pub(crate) fn name_of(entry: &str) -> &str {
    entry.split_once('\t').map_or(entry, |(name, _)| name)
}

impl Catalog {
    /// A catalog of Rust migrations only.
    pub(crate) fn new<N: Into<Arc<str>>>(migrations: impl IntoIterator<Item = N>, history_table: &str) -> Self {
        let migrations = migrations.into_iter().map(Into::into).collect();
        Catalog { migrations, history_table: history_table.to_owned(), ..Catalog::default() }
    }

    /// The place of a migration in the order, from its exact name or its entry in a history.
    pub(crate) fn position(&self, entry: &str) -> Option<usize> {
        let places = || self.migrations.iter().enumerate().rev().map(|(place, name)| (name.clone(), place)).collect();
        self.places.0.get_or_init(places).get(name_of(entry)).copied()
    }

    /// The entry of the SQL script at a place; `None` for a Rust migration.
    pub(crate) fn script(&self, index: usize) -> Option<&ScriptEntry> {
        self.scripts.get(index.checked_sub(self.migrations.len() - self.scripts.len())?)
    }

    fn kind(&self, index: usize) -> Option<ScriptKind> {
        self.script(index).map(|script| script.kind)
    }

    /// Whether a script runs whenever it changes. Such a script is never a tenant's version.
    pub(crate) fn is_repeatable(&self, index: usize) -> bool {
        self.kind(index) == Some(ScriptKind::Repeatable)
    }

    /// The version of a tenant with everything applied: the last migration that is not repeatable.
    pub(crate) fn head(&self) -> Option<&Arc<str>> {
        (0..self.migrations.len()).rev().find(|&i| !self.is_repeatable(i)).map(|i| &self.migrations[i])
    }

    /// Finds the single migration that `wanted` names: by its exact name, else by a unique prefix, else by a unique
    /// substring.
    ///
    /// # Errors
    /// [`UnknownMigration`] when none or several match; it lists the candidates.
    pub(crate) fn resolve(&self, wanted: &str) -> Result<usize, UnknownMigration> {
        if let Some(at) = self.position(wanted) {
            return Ok(at);
        }
        let all = 0..self.migrations.len();
        let mut matches: Vec<usize> = all.clone().filter(|&i| self.migrations[i].starts_with(wanted)).collect();
        if matches.len() != 1 {
            matches = all.filter(|&i| self.migrations[i].contains(wanted)).collect();
        }
        match matches.as_slice() {
            [one] => Ok(*one),
            [] => Err(UnknownMigration::new(wanted, self.nearest(wanted), self.migrations.len())),
            many => {
                let names = many.iter().map(|&i| self.migrations[i].to_string()).collect();
                Err(UnknownMigration { ambiguous: true, ..UnknownMigration::new(wanted, names, many.len()) })
            }
        }
    }

    /// The names, those nearest to a wrong one first; in a short catalog, all of them in its order.
    fn nearest(&self, wrong: &str) -> Vec<String> {
        let mut names: Vec<String> = self.migrations.iter().map(|name| name.to_string()).collect();
        if names.len() > UnknownMigration::MOST {
            names.sort_by_cached_key(|name| (!self.is_number_of(wrong, name), distance(wrong, name)));
        }
        names
    }

    /// Whether `m3` is meant: the place of a migration in a table, which changes with the catalog and names none.
    fn is_number_of(&self, wrong: &str, name: &str) -> bool {
        let number: Option<usize> = wrong.strip_prefix('m').and_then(|digits| digits.parse().ok());
        number.is_some_and(|number| number.checked_sub(1) == self.position(name))
    }

    /// Compares a tenant's history with this catalog.
    pub(crate) fn state(&self, history: &[String], variant: impl Into<Variant>) -> State {
        let (reading, variant) = (Reading::of(self, history), variant.into());
        if !reading.unknown.is_empty() {
            let told = |(name, why): &(&str, Option<String>)| match why {
                Some(why) => format!("{name} ({why})"),
                None => (*name).to_owned(),
            };
            return State::Ahead { unknown: reading.unknown.iter().map(told).collect() };
        }
        let edited = self.edited(history, variant);
        if !edited.is_empty() {
            return State::Edited { scripts: edited };
        }
        let missing = self.missing(history, variant);
        if missing.is_empty() {
            return State::AtTarget;
        }
        if history.is_empty() {
            return State::Empty;
        }
        let gaps = self.gaps(&missing);
        if gaps.is_empty() {
            return State::Behind { pending: missing.len() };
        }
        State::Gap { missing: gaps.into_iter().map(|i| self.migrations[i].to_string()).collect() }
    }

    /// The missing migrations with an applied one of the same kind after them: Rust migrations and SQL scripts are
    /// numbered independently, so a new migration before applied scripts is no gap.
    pub(crate) fn gaps(&self, missing: &[usize]) -> Vec<usize> {
        let last_applied = |kind| {
            (0..self.migrations.len()).rev().find(|i| self.kind(*i) == kind && missing.binary_search(i).is_err())
        };
        let last = [None, Some(ScriptKind::Versioned)].map(|kind| (kind, last_applied(kind)));
        let is_gap = |i: usize| last.iter().any(|(kind, last)| self.kind(i) == *kind && last.is_some_and(|l| i < l));
        missing.iter().copied().filter(|&i| is_gap(i)).collect()
    }

    /// The places of the migrations to apply for this history, in catalog order: those it lacks, and repeatable scripts
    /// that have changed since.
    pub(crate) fn missing(&self, history: &[String], variant: impl Into<Variant>) -> Vec<usize> {
        let (reading, variant) = (Reading::of(self, history), variant.into());
        let is_missing = |i: &usize| match reading.own(self, *i) {
            _ if reading.applied[*i].is_empty() => true,
            // Under another name it has the same text.
            None => false,
            Some(applied) if self.is_repeatable(*i) => !self.is_current(*i, applied, variant),
            Some(applied) => self.was_nothing(*i, applied, variant),
        };
        (0..self.migrations.len()).filter(is_missing).collect()
    }

    /// By place in the catalog, the names of the history entries by which a migration counts as applied: none for one
    /// that is not, others than its own for one that was renamed or that replaces them.
    pub(crate) fn names<'h>(&self, history: &'h [String]) -> Vec<Vec<&'h str>> {
        let names = |entries: Vec<&'h str>| entries.into_iter().map(name_of).collect();
        Reading::of(self, history).applied.into_iter().map(names).collect()
    }

    /// The repeatable scripts that were applied and that the catalog has no more.
    pub(crate) fn gone<'h>(&self, history: &'h [String]) -> Vec<&'h str> {
        Reading::of(self, history).gone
    }

    /// The history that a rollback uses: without transactional DDL the row of a migration is deleted first, so a
    /// migration that stopped on its way down must still be rolled back although it has no row.
    pub(crate) fn before_way_down(
        &self,
        mut history: Vec<String>,
        unfinished: &Unfinished,
        variant: Variant,
    ) -> Vec<String> {
        let place = self.position(&unfinished.migration).filter(|place| !self.applied(&history).contains(place));
        if let Some(place) = place
            && unfinished.direction == Direction::Down
            && unfinished.goes_on()
        {
            let checksum = self.script(place).map(|script| &*script.checksums[variant]);
            history.push(history_entry(&unfinished.migration, checksum));
            history.sort_unstable();
        }
        history
    }

    /// The history that a run up uses: a repeatable script that ended half way runs again, also where its text is the
    /// recorded one again.
    pub(crate) fn before_way_up(history: &[String], unfinished: Option<&Unfinished>) -> Vec<String> {
        let begins_again = |entry: &&String| {
            unfinished.is_some_and(|begun| begun.may_begin_again() && name_of(entry) == begun.migration)
        };
        history.iter().filter(|entry| !begins_again(entry)).cloned().collect()
    }

    /// An unfinished migration, which says whether this catalog still has one of its name.
    pub(crate) fn named(&self, unfinished: Unfinished) -> Unfinished {
        let is_gone = !unfinished.is_restore() && self.position(&unfinished.migration).is_none();
        Unfinished { is_gone, ..unfinished }
    }

    /// The places of the migrations that count as applied, under whatever names.
    pub(crate) fn applied(&self, history: &[String]) -> HashSet<usize> {
        let reading = Reading::of(self, history);
        (0..self.migrations.len()).filter(|&place| !reading.applied[place].is_empty()).collect()
    }

    /// The entry that the migration at a place leaves in a history.
    pub(super) fn entry(&self, index: usize, variant: Variant) -> String {
        history_entry(&self.migrations[index], self.script(index).map(|script| &*script.checksums[variant]))
    }

    /// Whether a script did nothing when it was applied, and has a file for that tenant now.
    fn was_nothing(&self, index: usize, entry: &str, variant: Variant) -> bool {
        let present = self.script(index).map(|script| &*script.checksums[variant]);
        entry.ends_with(NOTHING) && present.is_some_and(|present| present != NOTHING)
    }

    /// Whether a history has a script with its present text. A version that went to MariaDB before there was a part for
    /// MariaDB alone has the text of the other part.
    pub(super) fn is_current(&self, index: usize, entry: &str, variant: Variant) -> bool {
        let checksum = entry.split_once('\t').map(|(_, checksum)| checksum);
        match (self.script(index), checksum) {
            (Some(ScriptEntry { kind, checksums }), Some(applied)) => {
                let is_former = || *kind == ScriptKind::Versioned && *checksums.engines[variant.engine()] == *applied;
                *checksums[variant] == *applied || is_former()
            }
            (None, None) => true,
            // A Rust migration became a script of the same name, or the other way round.
            _ => false,
        }
    }

    /// Those of these versions that MariaDB was sent in the other part, whose way down its own part is not.
    pub(crate) fn of_other_part(&self, history: &[String], variant: Variant, steps: &[usize]) -> Vec<String> {
        let reading = Reading::of(self, history);
        let is_other = |i: &&usize| {
            let entry = reading.own(self, **i).and_then(|entry| entry.split_once('\t'));
            let of = self.script(**i).filter(|script| script.kind == ScriptKind::Versioned);
            of.zip(entry).is_some_and(|(of, (_, applied))| *of.checksums[variant] != *applied)
        };
        steps.iter().filter(is_other).map(|i| self.migrations[*i].to_string()).collect()
    }

    /// The versioned scripts whose text differs from the applied one, in catalog order.
    pub(crate) fn edited(&self, history: &[String], variant: impl Into<Variant>) -> Vec<String> {
        let (reading, variant) = (Reading::of(self, history), variant.into());
        let is_edited = |i: &usize| {
            !self.is_repeatable(*i)
                && reading
                    .own(self, *i)
                    .is_some_and(|entry| !self.is_current(*i, entry, variant) && !self.was_nothing(*i, entry, variant))
        };
        (0..self.migrations.len()).filter(is_edited).map(|i| self.migrations[i].to_string()).collect()
    }

    /// The newest applied migration that this catalog knows, or the newest unknown one, or `None` for an empty history.
    /// A repeatable script is never a version.
    pub(crate) fn version_of(&self, history: &[String]) -> Option<String> {
        let reading = Reading::of(self, history);
        if let Some((unknown, _)) = reading.unknown.iter().max() {
            return Some((*unknown).to_owned());
        }
        let is_version = |i: &usize| !self.is_repeatable(*i) && !reading.applied[*i].is_empty();
        let newest = (0..self.migrations.len()).rev().find(is_version)?;
        Some(self.migrations[newest].to_string())
    }
}

/// No migration, or more than one, matches the name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} '{wanted}'; {}: {}{}",
    if *ambiguous { "more than one migration matches" } else { "no migration is named" },
    match (*ambiguous, *more) {
        (true, _) => "it could be",
        (false, 0) => "the catalog has",
        (false, _) => "the nearest names are",
    },
    candidates.join(", "),
    if *more == 0 { String::new() } else { format!(", and {more} more (`matrix --all` has them)") })]
pub(crate) struct UnknownMigration {
    /// The name or id that was given.
    pub(crate) wanted: String,
    /// The candidates to list.
    pub(crate) candidates: Vec<String>,
    /// The number of candidates that are not listed.
    pub(crate) more: usize,
    /// Whether several names contain it.
    pub(crate) ambiguous: bool,
}

impl UnknownMigration {
    /// Maximum number of candidates that are listed.
    const MOST: usize = 6;

    fn new(wanted: &str, mut candidates: Vec<String>, all: usize) -> Self {
        candidates.truncate(Self::MOST);
        UnknownMigration { wanted: wanted.to_owned(), more: all - candidates.len(), candidates, ambiguous: false }
    }
}

/// The state of a tenant's own history compared with the catalog.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, strum::IntoStaticStr, strum::VariantNames)]
#[serde(tag = "state", rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub(crate) enum State {
    /// No migration has been applied.
    Empty,
    /// A number of migrations at the end of the catalog are pending.
    Behind {
        /// Their number.
        pending: usize,
    },
    /// Everything in the catalog has been applied.
    AtTarget,
    /// The history has rows that the catalog does not contain: a newer program was here.
    Ahead {
        /// The unknown versions.
        unknown: Vec<String>,
    },
    /// A migration is missing although a later one has been applied.
    #[strum(serialize = "out_of_order")]
    Gap {
        /// The missing migrations before an applied one.
        missing: Vec<String>,
    },
    /// SQL scripts were edited after they had been applied.
    #[strum(serialize = "checksum_mismatch")]
    Edited {
        /// Their names.
        scripts: Vec<String>,
    },
    /// The journal shows a migration that was begun and not finished. Its progress is unknown; or it is known, but the
    /// script was edited since, so the statement numbers no longer apply.
    InDoubt(Unfinished),
    /// The engine rejected a statement of a migration that it could not roll back: the next run continues there.
    #[strum(serialize = "partially_applied")]
    Stopped(Unfinished),
    /// Another run is working on it.
    Migrating,
    /// The tenant could not be read.
    Unreachable,
}

impl State {
    /// The name in tables and JSON.
    pub(crate) fn name(&self) -> &'static str {
        self.into()
    }
}

/// The journal entry of a migration that was begun and not finished.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Unfinished {
    pub(crate) migration: String,
    /// Up or down.
    pub(crate) direction: Direction,
    /// The statement that was begun last, counted from 1; it may or may not have been executed. `None`: not known (the
    /// migration ran natively). 0: none was begun.
    pub(crate) statement: Option<usize>,
    /// The run that began it.
    pub(crate) run: String,
    /// The engine rejected that statement: all before it were certainly executed, and it was not.
    #[serde(default)]
    pub(crate) stopped: bool,
    /// SHA-256 of the script that was being applied, in lower-case hex; empty where it is not known.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) sha256: String,
    /// Whether the program has no migration of this name any more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) is_gone: bool,
    /// State of its session that the statements from that one on may read, and that no other session has: variables and settings by
    /// their names. Not empty: no run goes on there by itself.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) lost: String,
    /// An operator has said that all before that statement is in place, and a run is to go on there.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) vouched: bool,
}

/// The reason why no run goes on by itself: `lost` is state of a session, by its names.
pub(crate) fn session_is_gone(lost: &str) -> String {
    format!("no run goes on there by itself, because the state of its session is gone: {lost}")
}

impl Unfinished {
    /// The journal's migration name while a backup is loaded into a tenant of an engine without transactional DDL.
    pub(crate) const RESTORE: &'static str = "restore of a backup";

    /// Whether the next run in the same direction continues at that statement by itself, as long as the script is the
    /// same.
    pub(crate) fn goes_on(&self) -> bool {
        self.is_known() && self.lost.is_empty()
    }

    /// Whether it is known which of its statements have happened, as long as the script is the same.
    pub(crate) fn is_known(&self) -> bool {
        self.stopped && self.statement.is_some()
    }

    /// Whether it was the way up of a repeatable script, by its name: that may begin again, so no one has to look.
    pub(crate) fn may_begin_again(&self) -> bool {
        self.direction == Direction::Up && self.migration.starts_with("R__")
    }

    /// A step at which the next run in its direction continues, in words.
    pub(crate) fn in_words(&self) -> String {
        if self.may_begin_again() {
            return format!("{} ended half way; the next migrate begins it again", self.migration);
        }
        let (n, next) =
            (self.statement.unwrap_or(0), if self.direction == Direction::Up { "migrate" } else { "rollback" });
        match self.stopped {
            true if !self.lost.is_empty() => format!(
                "stopped before statement {n} of {}, refused in run {}; {}",
                self.migration,
                self.run,
                session_is_gone(&self.lost)
            ),
            true => format!("stopped before statement {n} of {}; the next {next} goes on there", self.migration),
            false => format!(
                "ended in statement {n} of {}, which may be repeated; the next {next} goes on there",
                self.migration
            ),
        }
    }

    /// The way out where its script is gone, to follow a sentence that names it.
    pub(crate) fn way_back(&self) -> String {
        match self.is_gone {
            true => format!(", and its script is gone or was renamed: put it back under the name {}", self.migration),
            false => String::new(),
        }
    }

    /// Whether it is not a migration but a restore of the backup that `run` made.
    pub(crate) fn is_restore(&self) -> bool {
        self.migration == Self::RESTORE
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::engine::{Engine, EngineMap};

    /// A state that is added here is planted there, and led out of.
    #[test]
    fn the_walk_out_of_every_state_has_each() {
        use strum::VariantNames as _;
        let walk = include_str!("../../../tests/fleet/ways_out.rs");
        let unfinished = || Unfinished {
            migration: String::new(),
            direction: Direction::Up,
            statement: None,
            run: String::new(),
            stopped: false,
            sha256: String::new(),
            is_gone: false,
            lost: String::new(),
            vouched: false,
        };
        let all = [
            State::Empty,
            State::Behind { pending: 1 },
            State::AtTarget,
            State::Ahead { unknown: Vec::new() },
            State::Gap { missing: Vec::new() },
            State::Edited { scripts: Vec::new() },
            State::InDoubt(unfinished()),
            State::Stopped(unfinished()),
            State::Migrating,
            State::Unreachable,
        ];
        assert_eq!(all.len(), State::VARIANTS.len());
        for state in all {
            let planted = match &state {
                State::Empty => "Planted::Empty",
                State::Behind { .. } => "Planted::Behind",
                State::AtTarget => "Planted::AtTarget",
                State::Ahead { .. } => "Planted::Ahead",
                State::Gap { .. } => "Planted::Gap",
                State::Edited { .. } => "Planted::Edited",
                State::InDoubt(_) => "Planted::InDoubt",
                State::Stopped(_) => "Planted::Stopped",
                State::Migrating => "Planted::Migrating",
                State::Unreachable => "Planted::Unreachable",
            };
            assert!(walk.contains(&format!("{planted} => \"{}\",", state.name())), "{planted} is not led out of");
        }
    }

    fn catalog() -> Catalog {
        Catalog::new(["m1_a", "m2_b", "m3_c"], "seaql_migrations")
    }

    fn with_scripts() -> Catalog {
        let script = |kind, checksum: &str| ScriptEntry {
            kind,
            checksums: VariantMap { engines: EngineMap::from_fn(|_| checksum.into()), mariadb: None },
        };
        let names = ["m1", "m2", "1_index", "2_part", "R__view"];
        let scripts = vec![
            script(ScriptKind::Versioned, "c1"),
            script(ScriptKind::Versioned, "c2"),
            script(ScriptKind::Repeatable, "r2"),
        ];
        Catalog { scripts, ..Catalog::new(names, "h") }
    }

    #[test]
    fn a_new_migration_before_applied_scripts_is_pending_and_no_hole() {
        let c = with_scripts();
        assert_eq!(
            c.state(&history(&["m1", "1_index\tc1", "2_part\tc2", "R__view\tr2"]), Engine::Postgres),
            State::Behind { pending: 1 }
        );
        assert_eq!(
            c.state(&history(&["m1", "m2", "2_part\tc2"]), Engine::Postgres),
            State::Gap { missing: vec!["1_index".into()] }
        );
        assert_eq!(
            c.state(&history(&["m2", "1_index\tc1"]), Engine::Postgres),
            State::Gap { missing: vec!["m1".into()] }
        );
    }

    #[test]
    fn a_changed_script_is_run_again_or_refused_by_its_kind() {
        let c = with_scripts();
        let all = history(&["m1", "m2", "1_index\tc1", "2_part\tc2", "R__view\tr1"]);
        assert_eq!(
            (c.state(&all, Engine::Postgres), c.missing(&all, Engine::Postgres)),
            (State::Behind { pending: 1 }, vec![4])
        );
        assert_eq!(c.version_of(&all), Some("2_part".into()), "a repeatable script is no version");
        assert_eq!(c.head().map(|h| &**h), Some("2_part"));
        let edited = history(&["m1", "m2", "1_index\tother", "2_part\tc2"]);
        assert_eq!(c.state(&edited, Engine::Postgres), State::Edited { scripts: vec!["1_index".into()] });
        let nothing = history(&["m1", "m2", &history_entry("1_index", Some(NOTHING))]);
        assert_eq!(c.edited(&nothing, Engine::Postgres), [""; 0]);
        assert_eq!(c.missing(&nothing, Engine::Postgres), [2, 3, 4], "a file for this engine came later");
        let unknown = history(&["m1", "9_gone\tx"]);
        assert_eq!(c.state(&unknown, Engine::Postgres), State::Ahead { unknown: vec!["9_gone".into()] });
        let became_a_script = history(&["m1", "m2", "1_index"]);
        assert_eq!(c.state(&became_a_script, Engine::Postgres), State::Edited { scripts: vec!["1_index".into()] });
    }

    #[test]
    fn a_repeatable_script_that_is_gone_does_not_block() {
        let c = with_scripts();
        let all = history(&["m1", "m2", "1_index\tc1", "2_part\tc2", "R__old\tr0", "R__view\tr2"]);
        assert_eq!(c.state(&all, Engine::Mysql), State::AtTarget);
        assert_eq!(c.gone(&all), ["R__old"]);
        assert_eq!(c.version_of(&all), Some("2_part".into()));
        let without = Catalog::new(["m1", "m2"], "h");
        assert_eq!(
            without.state(&history(&["m1", "m2", "R__old\tr0"]), Engine::Mysql),
            State::Ahead { unknown: vec!["R__old".into()] },
            "a program without scripts can't say that it is gone"
        );
    }

    #[test]
    fn a_renamed_script_is_known_by_its_text() {
        let c = with_scripts();
        let all = history(&["m1", "m2", "1_indx\tc1", "2_part\tc2", "R__view\tr2"]);
        assert_eq!(c.state(&all, Engine::Sqlite), State::AtTarget);
        assert_eq!(c.names(&all)[2], ["1_indx"]);
        assert_eq!(c.version_of(&all[..3]), Some("1_index".into()));
        assert_eq!(c.edited(&all, Engine::Sqlite), [""; 0]);
        for other in [&["1_x\tc9"][..], &["1_x\tc1", "1_y\tc1"], &["1_index\tc1", "1_x\tc1"], &["1_x"]] {
            let other = history(other);
            assert!(matches!(c.state(&other, Engine::Sqlite), State::Ahead { .. }), "{other:?}");
        }
        let nothing = history(&[&history_entry("1_x", Some(NOTHING))]);
        assert_eq!(c.state(&nothing, Engine::Sqlite), State::Behind { pending: 5 }, "it did nothing here");
    }

    #[test]
    fn a_squash_counts_as_applied_where_all_of_its_parts_are() {
        let parts = ["0_a", "0_b"].map(Arc::from).to_vec();
        let c = Catalog { replaces: BTreeMap::from([(2, parts)]), ..with_scripts() };
        let state = |entries: &[&str]| c.state(&history(entries), Engine::Postgres);
        let all = history(&["0_a\tx", "0_b\ty", "2_part\tc2", "R__view\tr2", "m1", "m2"]);
        assert_eq!(state(&["0_a\tx", "0_b\ty", "2_part\tc2", "R__view\tr2", "m1", "m2"]), State::AtTarget);
        assert_eq!(c.names(&all)[2], ["0_a", "0_b"]);
        assert_eq!(c.version_of(&all[..2]), Some("1_index".into()));
        assert_eq!(state(&["m1", "m2"]), State::Behind { pending: 3 }, "one that has none gets it");
        assert_eq!(
            state(&["m1", "m2", "0_b\ty"]),
            State::Ahead { unknown: vec!["0_b (1_index replaces it together with 0_a, not applied)".into()] }
        );
        assert!(matches!(state(&["0_a", "0_b"]), State::Ahead { .. }), "rows of Rust migrations are others");
        let both = history(&["0_a\tx", "1_index\tc1"]);
        assert_eq!(c.names(&both)[2], ["1_index", "0_a"]);
    }

    #[test]
    fn a_squash_of_a_squash_counts_where_either_is() {
        let parts = ["0_s(0_a,0_b)", "0_c"].map(Arc::from).to_vec();
        let c = Catalog { replaces: BTreeMap::from([(2, parts)]), ..with_scripts() };
        let state = |entries: &[&str]| c.state(&history(entries), Engine::Postgres);
        let rest = ["0_c\tz", "2_part\tc2", "R__view\tr2", "m1", "m2"];
        for first in [&["0_s\ts"][..], &["0_a\tx", "0_b\ty"], &["0_a\tx", "0_b\ty", "0_s\ts"]] {
            assert_eq!(state(&[first, &rest].concat()), State::AtTarget, "{first:?}");
        }
        let State::Ahead { unknown } = state(&["m1", "m2", "0_a\tx", "0_c\tz"]) else { panic!("one is missing") };
        assert_eq!(unknown[0], "0_a (1_index replaces it together with 0_s, not applied)");
    }

    fn history(versions: &[&str]) -> Vec<String> {
        versions.iter().map(|v| v.to_string()).collect()
    }

    #[test]
    fn state_covers_every_shape_of_history() {
        let c = catalog();
        assert_eq!(c.state(&[], Engine::Postgres), State::Empty);
        assert_eq!(c.state(&history(&["m1_a"]), Engine::Postgres), State::Behind { pending: 2 });
        assert_eq!(c.state(&history(&["m1_a", "m2_b", "m3_c"]), Engine::Postgres), State::AtTarget);
        assert_eq!(c.state(&history(&["m1_a", "m3_c"]), Engine::Postgres), State::Gap { missing: vec!["m2_b".into()] });
        assert_eq!(
            c.state(&history(&["m1_a", "m9_z"]), Engine::Postgres),
            State::Ahead { unknown: vec!["m9_z".into()] }
        );
    }

    #[test]
    fn a_migration_is_found_by_a_unique_part_of_its_name() {
        let c = catalog();
        assert_eq!(c.resolve("m2_b"), Ok(1));
        assert_eq!(c.resolve("_c"), Ok(2));
        assert!(c.resolve("m").unwrap_err().ambiguous);
        let unknown = c.resolve("nope").unwrap_err();
        assert_eq!(unknown.to_string(), "no migration is named 'nope'; the catalog has: m1_a, m2_b, m3_c");
        let many = Catalog::new((0..200).map(|n| format!("{n:04}_step")).chain(["0200_totals".to_owned()]), "h");
        let told = many.resolve("200_total_s").unwrap_err();
        assert_eq!((told.candidates.len(), told.candidates[0].as_str(), told.more), (6, "0200_totals", 195));
        assert!(told.to_string().contains("the nearest names are: 0200_totals, "), "{told}");
        let told = many.resolve("_step").unwrap_err().to_string();
        assert!(told.ends_with("0005_step, and 194 more (`matrix --all` has them)"), "{told}");
    }
}
